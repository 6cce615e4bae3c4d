/* Every interleaving, every death, every value that a weak memory may show, within bounds: small
 * scenes with two or three participants run on the explorer's machine (explore.h).
 *
 *     explore [-t seconds for each scene] [-s seed] [-v] [scene ...]
 *     explore -m [-t ...] weakens each order of horus.h in turn and expects a scene to object */
#include "explore.h"
#include <sys/resource.h>

enum { O, A, B, C, PROCESSES }; /* O looks on; A, B and C take part */
static char space[40];
static horus_context *context[PROCESSES];
static horus_pool *pool[PROCESSES];
static horus_topic *topic[PROCESSES], *other[PROCESSES];
static uint64_t number; /* of what was sent last, in the order of the sends */

static horus_context *join_as(int process)
{
    horus_context *c = NULL;
    x_opening = process;
    X_MUST(horus_context_open(&c, &(horus_context_desc){.name = space,
                                                        .pool_bytes = 48 << 10,
                                                        .granule_bytes = 4096,
                                                        .block_bytes = 1024,
                                                        .max_topics = 4,
                                                        .label = "explorer"}) == HORUS_OK);
    x_opening = O;
    return c;
}
static void enter(int process)
{
    context[process] = join_as(process);
    if (context[process])
        pool[process] = context[process]->pool;
}
static horus_topic *open_as(int process, const char *name, horus_policy policy, uint32_t capacity,
                            uint32_t flags)
{
    horus_topic *t = NULL;
    X_MUST(horus_topic_open(&t, name,
                            &(horus_topic_desc){.policy = policy,
                                                .capacity = capacity,
                                                .message_bytes = 40,
                                                .flags = flags,
                                                .max_publishers = 2,
                                                .max_subscribers = 4,
                                                .context = context[process]}) == HORUS_OK);
    return t;
}
static uint32_t held_slots(void)
{
    horus_audit a;
    X_MUST(horus_pool_audit(pool[O], &a, NULL, NULL) == HORUS_OK);
    if (!a.balanced)
        x_fail("the books do not balance: %s", a.first);
    return a.slots;
}
/* Survivors leave, the dead are swept: nothing may be left. */
static void all_leave(void)
{
    X_MUST(horus_context_sweep(context[O], NULL) == HORUS_OK);
    (void)held_slots();
    for (int i = A; i < PROCESSES; i++)
        if (context[i] && !x_is_dead(i)) {
            horus_context_close(context[i]);
            context[i] = NULL;
        }
    horus_topic_close(topic[O]);
    horus_topic_close(other[O]);
    X_MUST(horus_context_sweep(context[O], NULL) == HORUS_OK);
    while (horusi_drop_orphan(pool[O], false))
        ;
    while (context[O]->outs)
        (void)horusi_end_closed(context[O], pool[O], false);
    if (!X->failed && held_slots() != 0)
        x_fail("%u slots are still held after all have left", held_slots());
    for (uint32_t g = 0; !X->failed && g < pool[O]->granules; g++) {
        horus_frame f;
        X_MUST(horus_frame_alloc(&f, pool[O], 4096, HORUS_UNINIT, NULL) == HORUS_OK);
    }
}

/* ---- slots */

static horus_result take_frame(int process, uint64_t bytes, uint64_t value, horus_frame *f)
{
    horus_result r = horus_frame_alloc(f, pool[process], bytes, HORUS_UNINIT, NULL);
    if (r == HORUS_OK)
        x_write_data(f->slot, value);
    else if (r != HORUS_E_POOL_FULL)
        X_MUST(r == HORUS_OK);
    return r;
}
static uint32_t one_slot, one_generation;
static void use_slot(int process, uint64_t mark)
{
    for (int i = 0; i < 2; i++)
        if (horusi_take(pool[process], one_slot)) {
            x_write_data(one_slot, mark);
            X_MUST(x_read_data(one_slot) == mark);
            horusi_release(pool[process], one_slot);
        }
}
static uint32_t some_slot(int process)
{
    horus_frame f = {0};
    X_MUST(horus_frame_alloc(&f, pool[process], 1024, HORUS_UNINIT, NULL) == HORUS_OK);
    uint32_t s = f.slot;
    one_generation = f.generation;
    (void)horus_frame_release(&f);
    return s;
}
static void three_members(void) { enter(O), enter(A), enter(B), enter(C); }
static void prepare_slot(void)
{
    three_members();
    one_slot = some_slot(O);
}
static void a_takes(void) { use_slot(A, 1); }
static void b_takes(void) { use_slot(B, 2); }
static void c_takes(void) { use_slot(C, 3); }

/* A owns the slot and gives it back while B acquires it by its generation and C takes it. */
static void prepare_owned(void)
{
    three_members();
    one_slot = some_slot(A);
    X_MUST(horusi_take(pool[A], one_slot));
    one_generation = pool[A]->rec[one_slot].generation;
}
static void a_releases(void) { horusi_release(pool[A], one_slot); }
static void b_acquires(void)
{
    for (int i = 0; i < 2; i++)
        if (horusi_acquire(pool[B], one_slot, one_generation)) {
            X_MUST(x_read_data(one_slot) == X_BEFORE);
            X_MUST(x_read_data(one_slot) == X_BEFORE);
            horusi_release(pool[B], one_slot);
        }
}

/* ---- memory of all shapes: O leaves room for little */

static void prepare_shapes(void)
{
    three_members();
    horus_frame f;
    for (uint32_t g = 0; g + 3 < pool[O]->granules; g++)
        X_MUST(horus_frame_alloc(&f, pool[O], 4096, HORUS_UNINIT, NULL) == HORUS_OK);
}
static void allocate(int process, uint64_t first, uint64_t second)
{
    horus_frame f, g;
    horus_result r = take_frame(process, first, 1, &f), q = take_frame(process, second, 2, &g);
    if (r == HORUS_OK) {
        X_MUST(x_read_data(f.slot) == 1);
        X_MUST(horus_frame_release(&f) == HORUS_OK);
    }
    if (q == HORUS_OK) {
        X_MUST(x_read_data(g.slot) == 2);
        X_MUST(horus_frame_release(&g) == HORUS_OK);
    }
}
static void a_allocates(void) { allocate(A, 1000, 8000); }
static void b_allocates(void) { allocate(B, 4000, 2000); }
static void leave_shapes(void)
{
    for (uint32_t s = 0; s < pool[O]->slots; s++)
        while (pool[O]->rec[s].count)
            horusi_release(pool[O], s);
    all_leave();
}

/* ---- messages */

enum { WORDS = 3 };
static uint64_t delivered[16]; /* how often, by number */
static uint64_t last_seen[PROCESSES], lost_in_all[PROCESSES], got_in_all[PROCESSES];
static uint64_t sent_after[16], sent_before[16];
/* Each message has a size, a tag and a time of its own, and its number in every word. */
static size_t size_of(uint64_t n) { return 8 * (1 + n % WORDS); }
static horus_result send_number(horus_topic *t, int64_t timeout)
{
    uint64_t n = number + 1, m[WORDS] = {n, n, n};
    t->type_tag = (uint32_t)(100 + n);
    sent_after[n] = X->now;
    horus_result r = horus_topic_send(t, m, size_of(n), timeout);
    sent_before[n] = X->now;
    number += r == HORUS_OK;
    return r;
}
static horus_result receive_number(int process, int64_t timeout)
{
    uint64_t m[WORDS];
    horus_info info;
    horus_result r = horus_topic_receive(topic[process], m, sizeof m, &info, timeout);
    if (r != HORUS_OK) {
        X_MUST(r == HORUS_EMPTY);
        return r;
    }
    X_MUST(m[0] >= 1 && m[0] < 16 && info.sequence == m[0]);
    X_MUST(info.size == size_of(m[0]) && info.type_tag == 100 + m[0]);
    for (size_t i = 0; i < size_of(m[0]) / 8; i++)
        X_MUST(m[i] == m[0]);
    X_MUST(info.publish_ns + 100 >= sent_after[m[0]]);
    X_MUST(!sent_before[m[0]] || info.publish_ns <= sent_before[m[0]] + 100);
    if (topic[process]->in && horusi_is_queue(topic[process]->in)) {
        X_MUST(!delivered[m[0]] || info.redelivered);
        delivered[m[0]]++;
        return r;
    }
    X_MUST(m[0] > last_seen[process]);
    X_MUST(m[0] == last_seen[process] + 1 + info.lost);
    last_seen[process] = m[0];
    lost_in_all[process] += info.lost;
    got_in_all[process]++;
    return r;
}
static void prepare_lane(horus_policy policy, uint32_t capacity)
{
    enter(O), enter(A), enter(B);
    topic[A] = open_as(A, "t", policy, capacity, HORUS_PUBLISHER);
    topic[B] = open_as(B, "t", policy, capacity, 0);
    if (policy != HORUS_QUEUE)
        X_MUST(horus_topic_receive(topic[B], &number, 8, NULL, HORUS_NO_WAIT) == HORUS_EMPTY);
}
static void prepare_overwrite(void) { prepare_lane(HORUS_OVERWRITE, 2); }
static void a_sends_four(void)
{
    for (int i = 0; i < 4; i++)
        X_MUST(send_number(topic[A], HORUS_NO_WAIT) == HORUS_OK);
}
static void b_polls(void)
{
    for (int i = 0; i < 4; i++)
        (void)receive_number(B, HORUS_NO_WAIT);
}
/* Once all is quiet, a reader that has looked has the rings that have messages, and none that is
 * over. */
static void check_rings(horus_topic *t)
{
    uint32_t rings = 0, used = 0;
    for (uint32_t i = 0; i < t->max_lanes; i++) {
        bool there = horusi_owner_state(horusi_lanes(t->shm)[i].word) >= HORUSI_LANE_LIVE;
        rings += there;
        used += there && horusi_lanes(t->shm)[i].head > 0;
    }
    if (t->in_count < used || t->in_count > rings)
        x_fail("there are %u rings, %u with messages, and the reader has %u", rings, used,
               t->in_count);
}
static void read_the_rest(void)
{
    while (!X->failed && receive_number(B, HORUS_NO_WAIT) == HORUS_OK)
        ;
    check_rings(topic[B]);
    if (!x_is_dead(A))
        X_MUST(last_seen[B] == number && got_in_all[B] + lost_in_all[B] == number);
    else
        X_MUST(last_seen[B] >= number);
    all_leave();
}

/* ---- asleep */

static void a_sends_two(void)
{
    for (int i = 0; i < 2; i++)
        X_MUST(send_number(topic[A], HORUS_NO_WAIT) == HORUS_OK);
}
static void b_waits_for_two(void)
{
    X_MUST(receive_number(B, HORUS_FOREVER) == HORUS_OK);
    X_MUST(receive_number(B, HORUS_FOREVER) == HORUS_OK);
}
static void nobody_overslept(void)
{
    if (X->long_slices && !x_is_dead(A))
        x_fail("a sleeper was not woken");
    all_leave();
}
/* B has slept here before, so no first short slice helps. */
static void prepare_sleep(void)
{
    prepare_lane(HORUS_OVERWRITE, 2);
    topic[B]->sleeps_since = 1;
    topic[B]->shm->may_sleep = 1;
}
static void prepare_first_sleep(void) { prepare_lane(HORUS_OVERWRITE, 2); }

/* ---- reliable */

static void prepare_reliable(void)
{
    prepare_lane(HORUS_RELIABLE, 1);
    X->strict = true;
}
static void a_sends_three_and_waits(void)
{
    for (int i = 0; i < 3; i++)
        X_MUST(send_number(topic[A], HORUS_FOREVER) == HORUS_OK);
}
static void b_gets_three(void)
{
    for (int i = 0; i < 3; i++)
        X_MUST(receive_number(B, HORUS_FOREVER) == HORUS_OK);
    X_MUST(lost_in_all[B] == 0);
}
static void reliable_is_over(void)
{
    if (X->long_slices && X->left.deaths == X->bounds.deaths)
        x_fail("a sender or a reader was not woken");
    all_leave();
}
/* The reader is away for longer than a first short slice: it must wake who waits for room. */
static void b_gets_three_slowly(void)
{
    for (int i = 0; i < 3; i++) {
        x_pause(5000000);
        X_MUST(receive_number(B, HORUS_NO_WAIT) == HORUS_OK);
    }
}
/* A reader that comes while a sender sends counts from then on, and loses nothing after that. */
static void prepare_reliable_alone(void)
{
    enter(O), enter(A), enter(B);
    topic[A] = open_as(A, "t", HORUS_RELIABLE, 2, HORUS_PUBLISHER);
    X_MUST(send_number(topic[A], HORUS_NO_WAIT) == HORUS_OK);
}
static void a_sends_what_fits(void)
{
    for (int i = 0; i < 4; i++) {
        horus_result r = send_number(topic[A], HORUS_NO_WAIT);
        X_MUST(r == HORUS_OK || r == HORUS_FULL);
    }
}
static void b_opens_and_reads(void)
{
    uint64_t m[WORDS], last = 0;
    horus_info info;
    topic[B] = open_as(B, "t", HORUS_RELIABLE, 2, 0);
    for (int i = 0; i < 3; i++)
        if (horus_topic_receive(topic[B], m, sizeof m, &info, HORUS_NO_WAIT) == HORUS_OK) {
            X_MUST(info.lost == 0 && (last == 0 || m[0] == last + 1));
            last = m[0];
        }
}

/* The same with history: it counts from further back than the others. */
static void prepare_history(void)
{
    enter(O), enter(A), enter(B);
    topic[A] = open_as(A, "t", HORUS_RELIABLE, 3, HORUS_PUBLISHER);
    for (int i = 0; i < 2; i++)
        X_MUST(send_number(topic[A], HORUS_NO_WAIT) == HORUS_OK);
}
static void b_opens_with_history(void)
{
    uint64_t m[WORDS], last = 0;
    horus_info info;
    X_MUST(horus_topic_open(&topic[B], "t",
                            &(horus_topic_desc){.history = 2, .context = context[B]}) == HORUS_OK);
    for (int i = 0; i < 3; i++)
        if (horus_topic_receive(topic[B], m, sizeof m, &info, HORUS_NO_WAIT) == HORUS_OK) {
            X_MUST(info.lost == 0 && (last == 0 || m[0] == last + 1));
            last = m[0];
        }
}
/* A handle that has only sent begins to count with its first receive. */
static void prepare_sender(void)
{
    prepare_lane(HORUS_RELIABLE, 2);
    uint64_t m = 99;
    X_MUST(horus_topic_send(topic[B], &m, 8, HORUS_NO_WAIT) == HORUS_OK);
}
static void b_begins_to_read(void)
{
    uint64_t m[WORDS], last = 0;
    horus_info info;
    for (int i = 0; i < 4; i++)
        if (horus_topic_receive(topic[B], m, sizeof m, &info, HORUS_NO_WAIT) == HORUS_OK &&
            m[0] != 99) {
            X_MUST((last == 0 || info.lost == 0) && (last == 0 || m[0] == last + 1));
            last = m[0];
        }
}

/* A publisher whose ring comes to be while somebody reads. */
static void prepare_no_ring(void)
{
    enter(O), enter(A), enter(B);
    topic[A] = open_as(A, "t", HORUS_OVERWRITE, 2, 0);
    topic[B] = open_as(B, "t", HORUS_OVERWRITE, 2, 0);
}
/* The newest one, and how many were passed over. */
static void prepare_latest(void) { prepare_lane(HORUS_OVERWRITE, 4); }
static void b_skips_to_latest(void)
{
    for (int i = 0; i < 2; i++) {
        uint64_t m[WORDS], skipped;
        horus_info info;
        if (horus_topic_skip_to_latest(topic[B], &skipped) != HORUS_OK)
            continue;
        X_MUST(horus_topic_receive(topic[B], m, sizeof m, &info, HORUS_NO_WAIT) == HORUS_OK);
        X_MUST(m[0] == last_seen[B] + 1 + skipped + info.lost);
        last_seen[B] = m[0];
    }
}

/* ---- small ones, for many loads of old values */

static void prepare_torn(void)
{
    prepare_lane(HORUS_OVERWRITE, 1);
    X_MUST(send_number(topic[A], HORUS_NO_WAIT) == HORUS_OK);
}
static void a_sends_one(void) { X_MUST(send_number(topic[A], HORUS_NO_WAIT) == HORUS_OK); }
static void b_polls_once(void) { (void)receive_number(B, HORUS_NO_WAIT); }
static void b_polls_twice(void)
{
    (void)receive_number(B, HORUS_NO_WAIT);
    (void)receive_number(B, HORUS_NO_WAIT);
}
static void b_peeks(void)
{
    uint64_t m[WORDS];
    horus_info info;
    if (horus_topic_peek(topic[B], m, sizeof m, &info) == HORUS_OK) {
        X_MUST(info.sequence == m[0] && info.size == size_of(m[0]));
        X_MUST(info.type_tag == 100 + m[0] && m[info.size / 8 - 1] == m[0]);
        X_MUST(info.publish_ns + 100 >= sent_after[m[0]]);
    }
}
static void prepare_handed_on(void)
{
    prepare_lane(HORUS_QUEUE, 1);
    X->strict = true;
    X_MUST(send_number(topic[A], HORUS_NO_WAIT) == HORUS_OK);
    topic[C] = topic[B];
}
static void a_offers_one(void)
{
    horus_result r = send_number(topic[A], HORUS_NO_WAIT);
    X_MUST(r == HORUS_OK || r == HORUS_FULL);
}
static void b_consumes_one(void)
{
    (void)receive_number(B, HORUS_NO_WAIT);
    (void)horus_topic_ack(topic[B]);
}
static void prepare_handed_to_reader(void)
{
    prepare_lane(HORUS_RELIABLE, 1);
    X->strict = true;
    X_MUST(send_number(topic[A], HORUS_NO_WAIT) == HORUS_OK);
}

/* ---- queue */

static void prepare_queue(uint32_t flags)
{
    three_members();
    topic[A] = open_as(A, "q", HORUS_QUEUE, 2, HORUS_PUBLISHER | flags);
    topic[B] = open_as(B, "q", HORUS_QUEUE, 2, flags);
    topic[C] = open_as(C, "q", HORUS_QUEUE, 2, flags);
    X->strict = true;
    X_MUST(send_number(topic[A], HORUS_NO_WAIT) == HORUS_OK);
}
static void prepare_at_least_once(void) { prepare_queue(0); }
static void prepare_at_most_once(void) { prepare_queue(HORUS_AT_MOST_ONCE); }
static void a_offers_two(void)
{
    for (int i = 0; i < 2; i++) {
        horus_result r = send_number(topic[A], HORUS_NO_WAIT);
        X_MUST(r == HORUS_OK || r == HORUS_FULL);
    }
}
static void consume(int process)
{
    for (int i = 0; i < 2; i++)
        (void)receive_number(process, HORUS_NO_WAIT);
    (void)horus_topic_ack(topic[process]);
}
static void b_consumes(void) { consume(B); }
static void c_consumes(void) { consume(C); }
static void a_offers_three_and_waits(void)
{
    for (int i = 0; i < 3; i++)
        X_MUST(send_number(topic[A], HORUS_FOREVER) == HORUS_OK);
}
static void b_consumes_slowly(void)
{
    for (int i = 0; i < 4; i++) {
        x_pause(5000000);
        X_MUST(receive_number(B, HORUS_NO_WAIT) == HORUS_OK);
        X_MUST(horus_topic_ack(topic[B]) == HORUS_OK);
    }
}
static void consume_the_rest(void)
{
    if (X->long_slices)
        x_fail("nobody woke who waited for room");
    X_MUST(horus_context_sweep(context[O], NULL) == HORUS_OK);
    while (!X->failed && receive_number(C, HORUS_NO_WAIT) == HORUS_OK)
        ;
    bool at_most_once = topic[C]->shm->flags & HORUS_AT_MOST_ONCE;
    for (uint64_t n = 1; n <= number; n++) {
        if (delivered[n] == 0 && !(at_most_once && x_is_dead(B)))
            x_fail("message %d was delivered to nobody", (int)n);
        if (delivered[n] > 1 && (at_most_once || !x_is_dead(B)))
            x_fail("message %d was delivered %d times", (int)n, (int)delivered[n]);
    }
    all_leave();
}

/* ---- frames through a ring of one: eviction against acquisition */

static uint64_t mark_of[16];
static void send_frame_as(int process, uint64_t mark)
{
    horus_tensor t;
    int64_t shape = 1000;
    if (horus_tensor_alloc(&t, pool[process], HORUS_U8, 1, &shape, HORUS_UNINIT) != HORUS_OK)
        return;
    x_write_data(t.frame.slot, mark);
    mark_of[number + 1] = mark;
    number++;
    X_MUST(horus_topic_send_tensor(topic[process], &t, HORUS_NO_WAIT) == HORUS_OK);
    X_MUST(horus_tensor_release(&t) == HORUS_OK);
}
static void a_sends_frames(void)
{
    for (uint64_t i = 0; i < 3; i++)
        send_frame_as(A, 20 + i);
}
static void b_gets_frames(void)
{
    uint64_t last = 0;
    for (int i = 0; i < 3; i++) {
        horus_tensor t;
        horus_info info;
        if (horus_topic_receive_tensor(topic[B], &t, &info, HORUS_NO_WAIT) != HORUS_OK)
            continue;
        X_MUST(info.sequence < 16 && info.sequence == last + 1 + info.lost);
        last = info.sequence;
        X_MUST(x_read_data(t.frame.slot) == mark_of[info.sequence]);
        X_MUST(x_read_data(t.frame.slot) == mark_of[info.sequence]);
        X_MUST(horus_tensor_release(&t) == HORUS_OK);
    }
}
static void prepare_frames(void)
{
    prepare_shapes();
    topic[A] = open_as(A, "f", HORUS_OVERWRITE, 1, HORUS_PUBLISHER);
    topic[B] = open_as(B, "f", HORUS_OVERWRITE, 1, 0);
}
static void c_allocates(void)
{
    horus_frame f;
    if (take_frame(C, 1000, 3, &f) == HORUS_OK) {
        X_MUST(x_read_data(f.slot) == 3);
        X_MUST(horus_frame_release(&f) == HORUS_OK);
    }
}

/* ---- one process, two threads */

static horus_frame common;
static void prepare_common(void)
{
    enter(O), enter(A), enter(C);
    X_MUST(horus_frame_alloc(&common, pool[A], 1024, HORUS_UNINIT, NULL) == HORUS_OK);
    one_slot = common.slot;
}
static void a_holds_and_releases(void)
{
    horus_frame mine = common;
    X_MUST(horus_frame_hold(&mine) == HORUS_OK);
    X_MUST(x_read_data(one_slot) == X_BEFORE);
    X_MUST(horus_frame_release(&mine) == HORUS_OK);
}
static void a_releases_common(void)
{
    horus_frame mine = common;
    X_MUST(horus_frame_hold(&mine) == HORUS_OK);
    X_MUST(horus_frame_release(&mine) == HORUS_OK);
    X_MUST(x_read_data(one_slot) == X_BEFORE);
}
static void common_is_held(void)
{
    X_MUST(pool[A]->rec[one_slot].count == 1);
    X_MUST(horus_frame_release(&common) == HORUS_OK);
    all_leave();
}
/* Two threads come to a slot that is not theirs, one of them first with an old generation; its owner
 * gives it up and takes it again. */
static void prepare_foreign(void)
{
    enter(O), enter(A), enter(B);
    one_slot = some_slot(B);
    X_MUST(horusi_take(pool[B], one_slot));
    one_generation = pool[B]->rec[one_slot].generation;
}
static void a_acquires(void)
{
    if (horusi_acquire(pool[A], one_slot, one_generation)) {
        X_MUST(x_read_data(one_slot) == X_BEFORE);
        (void)horusi_ld64_rlx(own, &pool[A]->slot[one_slot].word);
        X_MUST(x_read_data(one_slot) == X_BEFORE);
        horusi_release(pool[A], one_slot);
    }
}
static void a_acquires_late(void)
{
    X_MUST(!horusi_acquire(pool[A], one_slot, one_generation - 1));
    a_acquires();
}
static void b_releases_and_takes(void)
{
    horusi_release(pool[B], one_slot);
    use_slot(B, 2);
}
static void prepare_threads(void) { enter(O), enter(A), enter(C); }
static uint32_t a_inside;
static void alone_or_locked(void)
{
    static horusi_a32 lock, work;
    for (int i = 0; i < 3; i++) {
        bool alone = horusi_alone_begin(&context[A]->alone);
        if (!alone)
            horusi_lock(&lock);
        X_MUST(a_inside++ == 0);
        (void)horusi_add32_rlx(own, &work, 1);
        x_write_data(99, 1);
        X_MUST(a_inside-- == 1);
        if (alone)
            horusi_alone_end(&context[A]->alone);
        else
            horusi_unlock(&lock);
    }
}
static void a_allocates_twice(void) { allocate(A, 1000, 1000); }

/* A thread sends on its handle while another, of the same process, needs what the ring holds. */
static void prepare_evict(void)
{
    enter(O), enter(A);
    topic[A] = open_as(A, "f", HORUS_OVERWRITE, 4, HORUS_PUBLISHER);
    send_frame_as(A, 20);
    send_frame_as(A, 21);
    horus_frame f;
    while (horus_frame_alloc(&f, pool[O], 4096, HORUS_UNINIT, NULL) == HORUS_OK)
        ;
}
static void a_sends_frame_again(void) { send_frame_as(A, 22); }
static void a_needs_memory(void)
{
    horus_frame f;
    if (take_frame(A, 4000, 4, &f) == HORUS_OK) {
        X_MUST(x_read_data(f.slot) == 4);
        X_MUST(horus_frame_release(&f) == HORUS_OK);
    }
}
/* Two threads on one handle: one of them may be told that it is busy. */
static void a_sends_on_the_same(void)
{
    uint64_t m[WORDS] = {1, 1, 1};
    for (int i = 0; i < 2; i++) {
        horus_result r = horus_topic_send(topic[A], m, sizeof m, HORUS_NO_WAIT);
        X_MUST(r == HORUS_OK || r == HORUS_E_BUSY);
        number += r == HORUS_OK;
    }
}
static void sent_is_there(void)
{
    uint64_t m[WORDS];
    horus_info info;
    for (uint64_t i = 1; i <= number && !X->failed; i++) {
        X_MUST(horus_topic_receive(topic[B], m, sizeof m, &info, HORUS_NO_WAIT) == HORUS_OK);
        X_MUST(info.sequence == i && info.lost == 0 && m[0] == 1 && m[2] == 1);
    }
    X_MUST(horus_topic_receive(topic[B], m, sizeof m, &info, HORUS_NO_WAIT) == HORUS_EMPTY);
    all_leave();
}
static void prepare_shared_handle(void) { prepare_lane(HORUS_OVERWRITE, 8); }

/* ---- rows, topics and lanes that come and go */

/* A was killed with a frame and a ring full of frames; B sweeps while C does the same, or joins. */
static void prepare_dead(void)
{
    three_members();
    topic[A] = open_as(A, "f", HORUS_OVERWRITE, 2, HORUS_PUBLISHER);
    topic[B] = open_as(B, "f", HORUS_OVERWRITE, 2, 0);
    send_frame_as(A, 20);
    send_frame_as(A, 21);
    horus_frame f;
    X_MUST(horus_frame_alloc(&f, pool[A], 5000, HORUS_UNINIT, NULL) == HORUS_OK);
    x_kill(A);
}
static void dead_is_over(void)
{
    context[A] = NULL;
    all_leave();
}
static void b_sweeps(void) { X_MUST(horus_context_sweep(context[B], NULL) == HORUS_OK); }
static void c_sweeps(void) { X_MUST(horus_context_sweep(context[C], NULL) == HORUS_OK); }
static void b_gets_two_frames(void)
{
    for (uint64_t i = 1; i <= 2; i++) {
        horus_tensor t;
        horus_info info;
        X_MUST(horus_topic_receive_tensor(topic[B], &t, &info, HORUS_NO_WAIT) == HORUS_OK);
        X_MUST(info.sequence == i && info.lost == 0 && x_read_data(t.frame.slot) == 19 + i);
        X_MUST(horus_tensor_release(&t) == HORUS_OK);
    }
}
static void prepare_join(void)
{
    enter(O), enter(B);
    context[A] = join_as(A);
    pool[A] = context[A]->pool;
    horus_frame f;
    X_MUST(horus_frame_alloc(&f, pool[A], 1000, HORUS_UNINIT, NULL) == HORUS_OK);
    x_kill(A);
    context[A] = NULL;
}
/* The same when all other rows are taken: the dead one's row is used again. */
static void prepare_full_house(void)
{
    prepare_join();
    int fd = context[O]->files.lock_fd;
    for (uint32_t row = 3; row < HORUSI_ROWS; row++) {
        pool[O]->rows[row].word = horusi_pair(1, HORUSI_ROW_LIVE);
        X->held[X->helds++] = (x_held){X->fd[fd].inode, fd, row, false};
    }
}
static void others_leave_first(void)
{
    for (int i = A; i < PROCESSES; i++)
        if (context[i] && !x_is_dead(i))
            X_MUST(horusi_low(pool[O]->rows[context[i]->row].word) == HORUSI_ROW_LIVE);
    for (uint32_t row = 3; row < HORUSI_ROWS; row++) {
        pool[O]->rows[row].word = 0;
        horusi_lock_byte(context[O]->files.lock_fd, F_UNLCK, row);
    }
    all_leave();
}
static void c_joins(void)
{
    horus_context *c = NULL;
    X_MUST(horus_context_open(&c, &(horus_context_desc){.name = space}) == HORUS_OK);
    context[C] = c;
    pool[C] = c->pool;
    c_allocates();
}
static void c_joins_and_leaves(void)
{
    c_joins();
    horus_context_close(context[C]);
    context[C] = NULL;
}
static void b_joins_as_well(void)
{
    horus_context *c = NULL;
    X_MUST(horus_context_open(&c, &(horus_context_desc){.name = space}) == HORUS_OK);
    context[B] = c;
    pool[B] = c->pool;
}
static void prepare_joins(void) { enter(O); }
static void joined_are_in(void)
{
    for (int i = A; i < PROCESSES; i++)
        if (context[i] && !x_is_dead(i))
            X_MUST(horusi_low(pool[O]->rows[context[i]->row].word) == HORUSI_ROW_LIVE);
    all_leave();
}

/* A topic is opened and closed by one while another opens, uses and keeps it. */
static void open_send_close(int process)
{
    topic[process] = open_as(process, "d", HORUS_OVERWRITE, 2, 0);
    X_MUST(horus_topic_send(topic[process], &number, 8, HORUS_NO_WAIT) == HORUS_OK);
    horus_topic_close(topic[process]);
    topic[process] = NULL;
}
static void a_opens_and_closes(void) { open_send_close(A); }
static void b_opens_and_keeps(void)
{
    uint64_t m;
    horus_info info;
    topic[B] = open_as(B, "d", HORUS_OVERWRITE, 2, 0);
    X_MUST(horus_topic_send(topic[B], &number, 8, HORUS_NO_WAIT) == HORUS_OK);
    topic[O] = open_as(O, "d", HORUS_OVERWRITE, 2, 0);
    X_MUST(horus_topic_send(topic[B], &number, 8, HORUS_NO_WAIT) == HORUS_OK);
    X_MUST(horus_topic_receive(topic[O], &m, 8, &info, HORUS_NO_WAIT) == HORUS_OK);
}
static void prepare_members(void) { enter(O), enter(A), enter(B); }

/* A publisher's messages outlive it; its ring is then dropped under a reader, exactly counted. */
static void prepare_ending(void)
{
    three_members();
    topic[A] = open_as(A, "e", HORUS_OVERWRITE, 2, HORUS_PUBLISHER);
    topic[B] = open_as(B, "e", HORUS_OVERWRITE, 2, 0);
    X_MUST(horus_topic_receive(topic[B], &number, 8, NULL, HORUS_NO_WAIT) == HORUS_EMPTY);
    for (int i = 0; i < 3; i++)
        X_MUST(send_number(topic[A], HORUS_NO_WAIT) == HORUS_OK);
    x_kill(A);
    X_MUST(horus_context_sweep(context[O], NULL) == HORUS_OK);
    context[A] = NULL;
}
static void c_drops_orphan(void) { (void)horusi_drop_orphan(pool[C], false); }
static void b_reads_two(void)
{
    for (int i = 0; i < 2; i++)
        (void)receive_number(B, HORUS_NO_WAIT);
}
/* Another publisher comes in its place: all that was ever sent was either read or lost. */
static void ended_is_counted(void)
{
    uint64_t m[WORDS] = {9, 9, 9}, lost;
    horus_info info;
    X_MUST(horus_context_sweep(context[O], NULL) == HORUS_OK);
    while (horusi_drop_orphan(pool[O], false))
        ;
    while (!X->failed && receive_number(B, HORUS_NO_WAIT) == HORUS_OK)
        ;
    check_rings(topic[B]);
    lost = lost_in_all[B];
    topic[O] = open_as(O, "e", HORUS_OVERWRITE, 2, 0);
    X_MUST(horus_topic_send(topic[O], m, sizeof m, HORUS_NO_WAIT) == HORUS_OK);
    for (bool ours = false; !ours && !X->failed;) {
        X_MUST(horus_topic_receive(topic[B], m, sizeof m, &info, HORUS_NO_WAIT) == HORUS_OK);
        lost += info.lost;
        ours = m[0] == 9;
        got_in_all[B] += !ours;
    }
    if (lost + got_in_all[B] != 3)
        x_fail("3 were sent, %d came and %d were lost", (int)got_in_all[B], (int)lost);
    all_leave();
}

/* ---- the scenes */

/* clang-format off */
static const x_scenario scenes[] = {
    {"slot: three take it", prepare_slot, all_leave,
     {{a_takes, A, true}, {b_takes, B, true}, {c_takes, C, false}}, {3, 1, 2}},
    {"slot: release, acquire, take", prepare_owned, all_leave,
     {{a_releases, A, true}, {b_acquires, B, true}, {c_takes, C, false}}, {3, 1, 2}},
    {"memory: blocks and runs", prepare_shapes, leave_shapes,
     {{a_allocates, A, true}, {b_allocates, B, true}}, {2, 1, 1}},
    {"small: an entry is overwritten", prepare_torn, read_the_rest,
     {{a_sends_one, A, false}, {b_polls_once, B, false}}, {1, 0, 4}},
    {"small: under a peek", prepare_torn, read_the_rest,
     {{a_sends_one, A, false}, {b_peeks, B, false}}, {1, 0, 4}},
    {"small: a queue of one", prepare_handed_on, consume_the_rest,
     {{a_offers_one, A, false}, {b_consumes_one, B, false}}, {2, 0, 2}},
    {"small: a reliable ring of one", prepare_handed_to_reader, reliable_is_over,
     {{a_offers_one, A, false}, {b_polls_once, B, false}}, {2, 0, 2}},
    {"small: a first ring", prepare_no_ring, read_the_rest,
     {{a_sends_one, A, false}, {b_polls_twice, B, false}}, {1, 0, 3}},
    {"small: a slot goes and comes", prepare_owned, all_leave,
     {{a_releases, A, false}, {b_acquires, B, false}}, {2, 0, 3}},
    {"small: a slot is taken again", prepare_owned, all_leave,
     {{a_releases, A, false}, {c_takes, C, false}}, {2, 0, 3}},
    {"overwrite: lapped", prepare_overwrite, read_the_rest,
     {{a_sends_four, A, true}, {b_polls, B, false}}, {3, 1, 2}},
    {"overwrite: a publisher comes", prepare_no_ring, read_the_rest,
     {{a_sends_two, A, true}, {b_polls, B, false}}, {2, 1, 2}},
    {"overwrite: the latest", prepare_latest, all_leave,
     {{a_sends_four, A, true}, {b_skips_to_latest, B, false}}, {2, 1, 2}},
    {"sleep: two messages", prepare_sleep, nobody_overslept,
     {{a_sends_two, A, true}, {b_waits_for_two, B, false}}, {3, 0, 2}},
    {"sleep: for the first time", prepare_first_sleep, nobody_overslept,
     {{a_sends_two, A, false}, {b_waits_for_two, B, false}}, {2, 0, 2}},
    {"reliable: a ring of one", prepare_reliable, reliable_is_over,
     {{a_sends_three_and_waits, A, false}, {b_gets_three, B, true}}, {2, 1, 1}},
    {"reliable: a slow reader", prepare_reliable, reliable_is_over,
     {{a_sends_three_and_waits, A, false}, {b_gets_three_slowly, B, false}}, {2, 0, 2}},
    {"reliable: a reader comes", prepare_reliable_alone, all_leave,
     {{a_sends_what_fits, A, true}, {b_opens_and_reads, B, true}}, {2, 1, 1}},
    {"reliable: history", prepare_history, all_leave,
     {{a_sends_what_fits, A, false}, {b_opens_with_history, B, true}}, {2, 1, 1}},
    {"reliable: a sender reads", prepare_sender, all_leave,
     {{a_sends_what_fits, A, false}, {b_begins_to_read, B, true}}, {2, 1, 1}},
    {"queue: at least once", prepare_at_least_once, consume_the_rest,
     {{a_offers_two, A, false}, {b_consumes, B, true}, {c_consumes, C, false}}, {2, 1, 1}},
    {"queue: at most once", prepare_at_most_once, consume_the_rest,
     {{a_offers_two, A, false}, {b_consumes, B, true}, {c_consumes, C, false}}, {2, 1, 1}},
    {"queue: full", prepare_at_least_once, consume_the_rest,
     {{a_offers_three_and_waits, A, false}, {b_consumes_slowly, B, false}}, {2, 0, 2}},
    {"frames: evict and acquire", prepare_frames, leave_shapes,
     {{a_sends_frames, A, true}, {b_gets_frames, B, true}, {c_allocates, C, false}}, {2, 1, 1}},
    {"threads: hold and release", prepare_common, common_is_held,
     {{a_holds_and_releases, A, false}, {a_releases_common, A, false}, {c_takes, C, false}}, {3, 0, 2}},
    {"threads: acquire", prepare_foreign, all_leave,
     {{a_acquires, A, true}, {a_acquires_late, A, true}, {b_releases_and_takes, B, false}}, {3, 1, 1}},
    {"threads: the first two", prepare_threads, all_leave,
     {{alone_or_locked, A, false}, {alone_or_locked, A, false}}, {4, 0, 3}},
    {"threads: allocate", prepare_threads, all_leave,
     {{a_allocates_twice, A, true}, {a_allocates_twice, A, true}, {c_allocates, C, false}}, {2, 1, 1}},
    {"threads: send and evict", prepare_evict, leave_shapes,
     {{a_sends_frame_again, A, true}, {a_needs_memory, A, true}}, {2, 1, 1}},
    {"threads: one handle", prepare_shared_handle, sent_is_there,
     {{a_sends_on_the_same, A, false}, {a_sends_on_the_same, A, false}}, {3, 0, 2}},
    {"dead: two sweep", prepare_dead, dead_is_over,
     {{b_sweeps, B, true}, {c_sweeps, C, false}}, {2, 1, 1}},
    {"dead: sweep and read", prepare_dead, dead_is_over,
     {{c_sweeps, C, true}, {b_gets_two_frames, B, false}}, {2, 1, 1}},
    {"dead: sweep and join", prepare_join, joined_are_in,
     {{b_sweeps, B, true}, {c_joins, C, false}}, {2, 1, 1}},
    {"dead: its row is used again", prepare_full_house, others_leave_first,
     {{b_sweeps, B, true}, {c_joins, C, false}}, {2, 1, 1}},
    {"join: two at once", prepare_joins, joined_are_in,
     {{c_joins_and_leaves, C, true}, {b_joins_as_well, B, false}}, {2, 1, 1}},
    {"topic: open and close", prepare_members, all_leave,
     {{a_opens_and_closes, A, true}, {b_opens_and_keeps, B, false}}, {2, 1, 1}},
    {"ring: ends under a reader", prepare_ending, ended_is_counted,
     {{c_drops_orphan, C, true}, {b_reads_two, B, false}}, {2, 1, 1}},
};
/* clang-format on */
enum { SCENES = sizeof scenes / sizeof scenes[0] };

/* ---- the program */

static void remove_space_of(int pid)
{
    char path[100];
    (void)snprintf(path, sizeof path, "/dev/shm/horus.explore%d", pid);
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;)
        (void)unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        (void)closedir(d);
    (void)rmdir(path);
}
static void remove_space(void) { remove_space_of((int)getpid()); }
/* A machine of its own for one scene, in a process of its own. */
static void begin(const x_scenario *s)
{
    (void)snprintf(space, sizeof space, "explore%d", (int)getpid());
    X = mmap(NULL, sizeof *X, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    X->arena = mmap(NULL, X_ARENA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < X_THREADS; i++)
        X->thread[i].stack =
            mmap(NULL, X_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (const x_site *site = __start_x_sites; site < __stop_x_sites; site++)
        X->order[site->id] = site->order;
    for (int i = 0; i < X_CELLS; i++)
        X->cell[i].slot = -1;
    X->now = 1000000000;
    atexit(remove_space);
    s->prepare();
    if (X->failed) {
        printf("  %s: cannot be prepared: %s\n", s->name, X->why);
        exit(1);
    }
    for (int i = O; i < PROCESSES; i++) { /* who prepared is not who takes part */
        if (context[i])
            memset(&context[i]->alone, 0, sizeof context[i]->alone);
        for (uint32_t k = 0; topic[i] && k < X_THREADS; k++)
            if (s->who[k].process == i) {
                topic[i]->use.solo = 100 + k;
                break;
            }
    }
    x_save(pool[O]->base, (size_t)pool[O]->map_bytes);
    x_forget();
}

static double seconds = 2;
static uint64_t seed = 1;
typedef struct tally { /* shared with the children */
    uint8_t reached[SCENES][X_SITES];
    uint64_t executions[SCENES], complete[SCENES], deaths;
    int objector[4 * X_SITES];
} tally;
static tally *sum;

/* Small bounds in full if time allows, then larger ones by chance. Returns 1 if it fails. */
static int explore(const x_scenario *s, bool quiet)
{
    static const x_bounds small[] = {{1, 0, 1}, {1, 1, 0}, {2, 0, 1}};
    int which = (int)(s - scenes);
    bool failed = false;
    bool complete = false;
    for (int step = 0; step < 5 && !failed; step++) {
        x_bounds b = step < 3 ? small[step] : s->bounds;
        if ((step == 1 && s->bounds.deaths == 0) || (step == 4 && complete))
            continue;
        x_result r = step < 4 ? x_explore(s, b, UINT64_MAX, seconds / 5)
                              : x_sample(s, b, UINT64_MAX, seconds / 5, seed);
        complete = r.complete;
        failed = r.failed;
        if (quiet)
            continue;
        sum->executions[which] += r.executions;
        sum->complete[which] += r.complete;
        printf("%s%s%d/%d/%d %llu%s", step ? ", " : "", step == 4 ? "chance " : "", b.preemptions,
               b.deaths, b.stale, (unsigned long long)r.executions, r.complete ? " (all)" : "");
    }
    if (!quiet) {
        memcpy(sum->reached[which], X->reached, sizeof X->reached);
        sum->deaths += X->deaths;
        printf("; %d atomics\n", X->locs);
        if (failed)
            x_tell(s);
    }
    return failed;
}
/* In a process of its own, which may crash or hang if horus.h is broken. */
static bool objects(const x_scenario *s, const x_site *weak, int order)
{
    fflush(stdout);
    pid_t pid = fork();
    int status = 1;
    if (pid == 0) {
        struct rlimit most = {(rlim_t)(4 * seconds + 20), (rlim_t)(4 * seconds + 20)};
        (void)setrlimit(RLIMIT_CPU, &most);
        begin(s);
        if (weak)
            X->order[weak->id] = (uint8_t)order;
        exit(explore(s, weak != NULL));
    }
    (void)waitpid(pid, &status, 0);
    if (status != 0) /* it may not have cleaned up */
        remove_space_of(pid);
    return status != 0;
}

/* ---- every order, weakened */

static const char *const order_names[] = {"rlx", "acq", "rel", "acqrel", "seq"};
static const char *const op_names[] = {"load", "store", "add", "xchg", "or", "and", "cas"};
static int weaker(const x_site *site, int k)
{
    bool load = site->op == X_LOAD, store = site->op == X_STORE;
    int order = site->order, way[4], n = 0;
    if (order == X_SEQ)
        way[n++] = load ? X_ACQ : store ? X_REL : X_ACQREL;
    if (order == X_ACQREL || (order == X_SEQ && !load && !store)) {
        way[n++] = X_ACQ;
        way[n++] = X_REL;
    }
    if (order == X_ACQ || order == X_REL || (order == X_SEQ && (load || store)))
        way[n++] = X_RLX;
    return k < n ? way[k] : -1;
}
static int weaken_all(void)
{
    int objected = 0, silent = 0, unreached = 0, running = 0, number_of = 0;
    for (const x_site *site = __start_x_sites; site < __stop_x_sites; site++) {
        bool reached = false;
        for (int i = 0; i < SCENES; i++)
            reached |= sum->reached[i][site->id] != 0;
        unreached += !reached && weaker(site, 0) >= 0;
        for (int k = 0, order; reached && (order = weaker(site, k)) >= 0; k++, number_of++) {
            if (running == 2) {
                (void)wait(NULL);
                running--;
            }
            fflush(stdout);
            running++;
            if (fork() == 0) {
                int by = -1;
                for (int i = 0; i < SCENES && by < 0; i++)
                    if (sum->reached[i][site->id] && objects(&scenes[i], site, order))
                        by = i;
                sum->objector[number_of] = by + 1;
                printf("%-9s %4u %-26s %-5s %-5s %s -> %s: %s\n", by < 0 ? "SILENT" : "objects",
                       site->line, site->function, site->label, op_names[site->op],
                       order_names[site->order], order_names[order],
                       by < 0 ? "nobody" : scenes[by].name);
                fflush(stdout);
                _exit(0);
            }
        }
    }
    while (wait(NULL) > 0)
        ;
    for (int i = 0; i < number_of; i++) {
        objected += sum->objector[i] > 0;
        silent += sum->objector[i] == 0;
    }
    printf("%d weakened orders: %d caught, %d not; %d accesses are in no scene\n", number_of,
           objected, silent, unreached);
    return silent;
}

int main(int argc, char **argv)
{
    int option, passed = 0, failed = 0;
    bool weaken = false;
    while ((option = getopt(argc, argv, "t:s:m")) > 0)
        if (option == 't')
            seconds = strtod(optarg, NULL);
        else if (option == 's')
            seed = strtoull(optarg, NULL, 0);
        else if (option == 'm')
            weaken = true;
        else
            return 2;
    sum = mmap(NULL, sizeof *sum, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    printf("seed %llu; preemptions/deaths/stale loads at most, and executions:\n",
           (unsigned long long)seed);
    for (int i = 0; i < SCENES; i++) {
        bool wanted = optind == argc;
        for (int k = optind; k < argc; k++)
            wanted |= strstr(scenes[i].name, argv[k]) != NULL;
        if (!wanted)
            continue;
        printf("  %-30s ", scenes[i].name);
        bool bad = objects(&scenes[i], NULL, 0);
        passed += !bad;
        failed += bad;
        if (bad)
            printf("  %s: FAILED\n", scenes[i].name);
    }
    if (weaken)
        (void)weaken_all();
    uint64_t executions = 0, complete = 0;
    for (int i = 0; i < SCENES; i++) {
        executions += sum->executions[i];
        complete += sum->complete[i];
    }
    printf("%d scenes, %llu executions, %llu deaths, %llu bounds explored in full\n",
           passed + failed, (unsigned long long)executions, (unsigned long long)sum->deaths,
           (unsigned long long)complete);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
