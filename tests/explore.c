/* Every interleaving, every death, every value that a weak memory may show, within bounds: small
 * scenes with two or three participants run on the explorer's machine (explore.h).
 *
 *     explore [-t seconds for each scene] [-s seed] [scene ...]
 *     explore -m [-t ...] [-j processes] [-f part of a place] [-T seconds] [-b seconds] [-r seed]
 *             [-o file]
 *                         weakens each order of horus.h in turn, then each label as a whole, and
 *                         expects a scene to object, or tests/orders.txt to say why none does, but not
 *                         both; -T: for each scene, once something is weakened (else as -t); -b: of
 *                         those with a reason in orders.txt only as many as can be begun in so long,
 *                         drawn by -r; -o: writes which scene objected to which (tests/caught.txt)
 *     explore -w "PLACE>ORDER PLACE>ORDER ..." [scene ...]
 *                         weakens these together; a place is function/atomic/label/operation, and
 *                         with #1,3 after it the first and third access there instead of all
 *
 * Without -m or -w it ends with 0 if all scenes hold, 3 if one objects, 4 if one hangs and none
 * objects; 1 or 2: something could not be explored. */
#include "explore.h"
#include <sys/prctl.h>
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
    if (t)
        t->most_bytes = 40; /* as if it had a type: most sends and receives are plain */
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
/* The same for each block of memory that a frame has, whatever shape it had before. */
static void use_memory(const horus_frame *f, bool write)
{
    horus_pool *p = f->pool;
    uint64_t offset,
        room = horusi_slot_room(p, f->slot,
                                horusi_ld32_rlx(own, &p->rec[f->slot].own) & ~HORUSI_MINE, &offset);
    for (uint64_t at = offset; at < offset + room; at += p->block_bytes) {
        uint32_t cell = 1000 + (uint32_t)(at / p->block_bytes);
        if (write)
            x_write_data(cell, f->slot);
        else
            X_MUST(x_read_data(cell) == f->slot);
        if (X->given_back >> ((p->data_offset + at) / 4096) & 1)
            x_fail("slot %u has memory that was given back", f->slot);
    }
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
    horus_result r = take_frame(process, first, 1, &f), q;
    if (r == HORUS_OK)
        use_memory(&f, true);
    q = take_frame(process, second, 2, &g);
    if (q == HORUS_OK)
        use_memory(&g, true);
    if (r == HORUS_OK) {
        X_MUST(x_read_data(f.slot) == 1);
        use_memory(&f, false);
        X_MUST(horus_frame_release(&f) == HORUS_OK);
    }
    if (q == HORUS_OK) {
        X_MUST(x_read_data(g.slot) == 2);
        use_memory(&g, false);
        X_MUST(horus_frame_release(&g) == HORUS_OK);
    }
}
static void a_allocates(void) { allocate(A, 1000, 8000); }
static void b_allocates(void) { allocate(B, 4000, 2000); }
static void b_allocates_once(void) { allocate(B, 8000, 9000); }
static void c_trims(void) { (void)horus_pool_trim(pool[C], NULL); }
/* Two want the same last piece: they may get into each other's way, but one of them gets it. */
static horus_result last_piece[PROCESSES];
static void prepare_last_piece(void)
{
    three_members();
    horus_frame f;
    for (uint32_t g = 0; g + 2 < pool[O]->granules; g++)
        X_MUST(horus_frame_alloc(&f, pool[O], 4096, HORUS_UNINIT, NULL) == HORUS_OK);
}
static void a_wants_it(void)
{
    last_piece[A] = horus_frame_alloc(&(horus_frame){0}, pool[A], 8000, HORUS_UNINIT, NULL);
}
static void b_wants_it(void)
{
    last_piece[B] = horus_frame_alloc(&(horus_frame){0}, pool[B], 8000, HORUS_UNINIT, NULL);
}
/* B takes the last free granule and gives it back unused: A may not be told that the pool is full. */
static void prepare_last_granule(void)
{
    enter(O), enter(A), enter(B);
    horus_frame f;
    for (uint32_t g = 0; g + 1 < pool[O]->granules; g++)
        X_MUST(horus_frame_alloc(&f, pool[O], 4096, HORUS_UNINIT, NULL) == HORUS_OK);
    for (uint32_t g = 0; g < pool[O]->granules; g++)
        if (horusi_kind(pool[O]->granule[g].own) == HORUSI_FREE)
            one_slot = g << pool[O]->blocks_log2;
    X_MUST(horusi_back_headers(pool[O], one_slot >> pool[O]->blocks_log2, 1));
}
static int b_is_at; /* 0: to come, 1: it has the granule, 2: it is done */
static void b_takes_in_vain(void)
{
    b_is_at = 1;
    if (horusi_take(pool[B], one_slot))
        horusi_untake(pool[B], one_slot);
    b_is_at = 2;
}
static void a_gets_the_last(void)
{
    horus_frame f;
    int before = b_is_at;
    horus_result r = horus_frame_alloc(&f, pool[A], 4096, HORUS_UNINIT, NULL);
    X_MUST(r == HORUS_OK || before == 1 || b_is_at != before);
    if (r == HORUS_OK)
        X_MUST(horus_frame_release(&f) == HORUS_OK);
}
/* A claims a run of two and may die over it; B gives back what was A's, and wants the same twice. */
static void a_claims_run(void)
{
    horus_frame f;
    if (take_frame(A, 8000, 1, &f) == HORUS_OK)
        X_MUST(horus_frame_release(&f) == HORUS_OK);
}
static void b_sweeps_and_allocates(void)
{
    (void)horusi_sweep_row(context[B], context[A]->row, HORUSI_DROP_OLD);
    allocate(B, 8000, 4000);
}
/* A has given two blocks back, of the last granule, and wants one again; B wants all of it. */
static void prepare_reuse(void)
{
    prepare_last_granule();
    enter(C);
    horus_frame f, g;
    X_MUST(horus_frame_alloc(&f, pool[A], 1000, HORUS_UNINIT, NULL) == HORUS_OK);
    X_MUST(horus_frame_alloc(&g, pool[A], 1000, HORUS_UNINIT, NULL) == HORUS_OK);
    X_MUST(horus_frame_release(&f) == HORUS_OK && horus_frame_release(&g) == HORUS_OK);
}
static void a_wants_a_block(void)
{
    horus_frame f;
    if (take_frame(A, 1000, 1, &f) == HORUS_OK) {
        use_memory(&f, true);
        X_MUST(horus_frame_release(&f) == HORUS_OK);
    }
}
static void b_wants_all_of_it(void)
{
    horus_frame f;
    if (take_frame(B, 4000, 2, &f) == HORUS_OK)
        use_memory(&f, true);
}
static void leave_shapes(void)
{
    for (uint32_t s = 0; s < pool[O]->slots; s++)
        while (pool[O]->rec[s].count)
            horusi_release(pool[O], s);
    all_leave();
}

static void one_has_it(void)
{
    if (last_piece[A] != HORUS_OK && last_piece[B] != HORUS_OK)
        x_fail("both were told that the pool is full");
    for (int i = A; i <= B; i++)
        if (last_piece[i] == HORUS_OK)
            for (uint32_t s = 0; s < pool[i]->slots; s++)
                while (pool[i]->rec[s].count)
                    horusi_release(pool[i], s);
    leave_shapes();
}

/* ---- messages */

enum { WORDS = 3 };
static uint64_t delivered[16]; /* how often, by number */
static uint64_t last_seen[PROCESSES], lost_in_all[PROCESSES], got_in_all[PROCESSES];
static uint64_t sent_after[16], sent_before[16];
static uint64_t drained; /* or read, whatever they were */
/* Each message has a size, a tag and a time of its own, and its number in every word. */
static size_t size_of(uint64_t n) { return n % WORDS == 1 ? 12 : n % WORDS == 2 ? 11 : 24; }
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
    X_MUST(info.size % 8 == 0 || (m[info.size / 8] & 0xffffff) == m[0]);
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
/* The ring that it waits for comes to be only now. */
static void prepare_sleep_for_ring(void)
{
    enter(O), enter(A), enter(B);
    topic[B] = open_as(B, "t", HORUS_OVERWRITE, 2, 0);
    topic[A] = open_as(A, "t", HORUS_OVERWRITE, 2, 0);
    X_MUST(horus_topic_receive(topic[B], &number, 8, NULL, HORUS_NO_WAIT) == HORUS_EMPTY);
    topic[B]->sleeps_since = 1;
    topic[B]->shm->may_sleep = 1;
}
static void b_waits_for_one(void) { X_MUST(receive_number(B, HORUS_FOREVER) == HORUS_OK); }
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
/* Two of them: the sender is rung for each, and waits on until the last has read. */
static void prepare_two_readers(void)
{
    enter(O), enter(A), enter(B), enter(C);
    topic[A] = open_as(A, "t", HORUS_RELIABLE, 1, HORUS_PUBLISHER);
    topic[B] = open_as(B, "t", HORUS_RELIABLE, 1, 0);
    topic[C] = open_as(C, "t", HORUS_RELIABLE, 1, 0);
    X->strict = true;
    X_MUST(send_number(topic[A], HORUS_NO_WAIT) == HORUS_OK);
}
static void a_sends_one_and_waits(void)
{
    X_MUST(send_number(topic[A], HORUS_FOREVER) == HORUS_OK);
}
static void b_and_c_get_one_slowly(void)
{
    x_pause(5000000);
    X_MUST(receive_number(B, HORUS_NO_WAIT) == HORUS_OK);
    X_MUST(receive_number(C, HORUS_NO_WAIT) == HORUS_OK);
}
/* One reads, which makes no room yet; the other closes, or sends and is no reader any more. */
static void b_reads_and_c_closes(void)
{
    x_pause(5000000);
    X_MUST(receive_number(B, HORUS_NO_WAIT) == HORUS_OK);
    horus_topic_close(topic[C]);
    topic[C] = NULL;
}
static void b_reads_and_c_sends(void)
{
    x_pause(5000000);
    X_MUST(receive_number(B, HORUS_NO_WAIT) == HORUS_OK);
    X_MUST(horus_topic_send(topic[C], &(uint64_t){1}, 8, HORUS_NO_WAIT) == HORUS_OK);
}
/* While the scene runs: a process is killed, and its row swept by another. */
static void kill_and_sweep(int victim, int sweeper)
{
    uint32_t row = context[victim]->row;
    x_kill(victim);
    context[victim] = NULL;
    topic[victim] = NULL;
    (void)horusi_sweep_row(context[sweeper], row, HORUSI_DROP_OLD); /* who waits may be faster */
}
static void b_reads_and_c_is_swept(void)
{
    x_pause(5000000);
    X_MUST(receive_number(B, HORUS_NO_WAIT) == HORUS_OK);
    kill_and_sweep(C, B);
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

/* Once there was a message, none is lost that was sent after the reader began to count: `before` of
 * them were sent by then, and one may have been under way. */
static void check_promised(uint64_t last, uint64_t before, uint64_t n, const horus_info *info)
{
    if (last != 0 && n != last + 1 && n - 1 > before + 1)
        x_fail("after message %d came %d; %d were sent before", (int)last, (int)n, (int)before);
    X_MUST(last == 0 || info->lost == 0 || n - 1 <= before + 1);
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
    uint64_t before = number;
    for (int i = 0; i < 3; i++)
        if (horus_topic_receive(topic[B], m, sizeof m, &info, HORUS_NO_WAIT) == HORUS_OK) {
            X_MUST(info.lost == 0);
            check_promised(last, before, m[0], &info);
            last = m[0];
        }
}
/* A knows how far all were when there was nobody. B comes with history, which is less; from then on A
 * may overwrite nothing that B has yet to read, unless A could not yet know of B. */
static uint64_t wanted_from; /* by B, while it is open and at rest */
static void prepare_late_history(void)
{
    enter(O), enter(A), enter(B);
    topic[A] = open_as(A, "t", HORUS_RELIABLE, 3, HORUS_PUBLISHER);
    for (int i = 0; i < 4; i++)
        X_MUST(send_number(topic[A], HORUS_NO_WAIT) == HORUS_OK);
    wanted_from = UINT64_MAX;
}
static void b_comes_and_rests(void)
{
    X_MUST(horus_topic_open(&topic[B], "t",
                            &(horus_topic_desc){.history = 2, .context = context[B]}) == HORUS_OK);
    X_MUST(topic[B]->in_count == 1);
    wanted_from = topic[B]->in[0].next;
    x_pause(50000);
    wanted_from = UINT64_MAX;
}
static void a_sends_two_over_it(void)
{
    for (int i = 0; i < 2; i++) {
        bool wanted = wanted_from != UINT64_MAX; /* before the send began */
        horus_result r = send_number(topic[A], HORUS_NO_WAIT);
        X_MUST(r == HORUS_OK || r == HORUS_FULL);
        bool knows = topic[A]->out->openings != 0 || X->left.stale == X->bounds.stale;
        if (r == HORUS_OK && wanted && knows && number - 3 >= wanted_from)
            x_fail("message %d was overwritten, and B has yet to read it", (int)number - 3);
    }
}
/* A handle that has only sent begins to count with its first receive. */
static void prepare_sender(void)
{
    enter(O), enter(A), enter(B);
    topic[A] = open_as(A, "t", HORUS_RELIABLE, 2, HORUS_PUBLISHER);
    topic[B] = open_as(B, "t", HORUS_RELIABLE, 2, 0);
    uint64_t m = 99;
    X_MUST(horus_topic_send(topic[B], &m, 8, HORUS_NO_WAIT) == HORUS_OK);
}
static void b_begins_to_read(void)
{
    uint64_t m[WORDS], last = 0, before = 0;
    horus_info info;
    for (int i = 0; i < 4; i++) {
        horus_result r = horus_topic_receive(topic[B], m, sizeof m, &info, HORUS_NO_WAIT);
        before = i == 0 ? number : before;
        if (r == HORUS_OK && m[0] != 99) {
            check_promised(last, before, m[0], &info);
            last = m[0];
        }
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
static void a_sends_one(void)
{
    X->now += 1000; /* later than what was sent before */
    X_MUST(send_number(topic[A], HORUS_NO_WAIT) == HORUS_OK);
}
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
        X_MUST(!sent_before[m[0]] || info.publish_ns <= sent_before[m[0]] + 100);
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
/* Two consumers have a message each; room comes once the older one is done. */
static void prepare_two_at_work(void)
{
    prepare_queue(0);
    X_MUST(send_number(topic[A], HORUS_NO_WAIT) == HORUS_OK);
    X_MUST(receive_number(B, HORUS_NO_WAIT) == HORUS_OK);
    X_MUST(receive_number(C, HORUS_NO_WAIT) == HORUS_OK);
}
static void c_and_b_are_done_late(void)
{
    x_pause(5000000);
    X_MUST(horus_topic_ack(topic[C]) == HORUS_OK);
    X_MUST(horus_topic_ack(topic[B]) == HORUS_OK);
}
/* A consumer waits for what another has, who puts it back. */
static void prepare_wait_for_put_back(void)
{
    prepare_queue(0);
    X_MUST(horus_topic_receive(topic[B], &(uint64_t[WORDS]){0}, 8 * WORDS, NULL, HORUS_NO_WAIT) ==
           HORUS_OK);
    horusi_find_only(topic[C]);
    X_MUST(horus_topic_receive(topic[C], &(uint64_t[WORDS]){0}, 8 * WORDS, NULL, HORUS_NO_WAIT) ==
           HORUS_EMPTY);
    topic[C]->sleeps_since = 1;
    topic[C]->shm->may_sleep = 1;
}
static void prepare_wait_for_queue(void)
{
    prepare_wait_for_put_back();
    X_MUST(horus_topic_ack(topic[B]) == HORUS_OK);
}
static void b_gives_it_back(void)
{
    for (uint32_t k = 0; k < topic[B]->in_count; k++)
        if (horusi_has_claim(topic[B], &topic[B]->in[k]))
            horusi_put_back(topic[B], &topic[B]->in[k], false);
}
static void c_waits_for_one(void) { X_MUST(receive_number(C, HORUS_FOREVER) == HORUS_OK); }
/* One is done, and the other, which dies, is swept: at most once, so its message is done as well. */
static void prepare_two_at_most_once(void)
{
    prepare_queue(HORUS_AT_MOST_ONCE);
    X_MUST(send_number(topic[A], HORUS_NO_WAIT) == HORUS_OK);
    X_MUST(receive_number(B, HORUS_NO_WAIT) == HORUS_OK);
    X_MUST(receive_number(C, HORUS_NO_WAIT) == HORUS_OK);
}
static void c_is_done_and_b_is_swept(void)
{
    x_pause(5000000);
    X_MUST(horus_topic_ack(topic[C]) == HORUS_OK);
    kill_and_sweep(B, C);
}
static void b_is_swept(void) { kill_and_sweep(B, O); }
/* A consumer whose buffer is too small puts the message back. */
static void b_puts_back(void)
{
    uint64_t m;
    horus_info info;
    for (int i = 0; i < 2; i++)
        (void)horus_topic_receive(topic[B], &m, 4, &info, HORUS_NO_WAIT);
}
static void b_drains(void)
{
    uint64_t n = 0;
    (void)horus_topic_drain(topic[B], &n);
    drained += n;
    (void)horus_topic_drain(topic[B], &n);
    drained += n;
}
static void drained_and_read(void)
{
    while (!X->failed && horus_topic_receive(topic[B], (uint64_t[WORDS]){0}, 8 * WORDS,
                                             &(horus_info){0}, HORUS_NO_WAIT) == HORUS_OK)
        drained++;
    uint64_t lost = topic[B]->shm ? topic[B]->sub->lost : 0;
    if (!x_is_dead(A) && drained + lost != number)
        x_fail("%d were sent, %d passed over or read, %d lost", (int)number, (int)drained,
               (int)lost);
    all_leave();
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
/* A thread holds by adding to the count of another, which acquires in vain. */
static void prepare_trust(void)
{
    enter(O), enter(A), enter(B);
    one_slot = some_slot(B);
    context[A]->alone.solo = HORUSI_SHARED;
}
static void a_acquires_in_vain(void)
{
    X_MUST(!horusi_acquire(pool[A], one_slot, one_generation - 1));
}
static void b_takes_once(void)
{
    if (horusi_take(pool[B], one_slot)) {
        x_write_data(one_slot, 2);
        horusi_release(pool[B], one_slot);
    }
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
/* A lock hands on what was done under it, and the use of a handle does. */
static horusi_a32 a_lock;
static horusi_use a_use;
static void inside(void)
{
    static horusi_a32 work;
    X_MUST(a_inside++ == 0);
    (void)horusi_add32_rlx(own, &work, 1);
    x_write_data(98, 1);
    X_MUST(a_inside-- == 1);
}
static void a_locks(void)
{
    for (int i = 0; i < 2; i++) {
        horusi_lock(&a_lock);
        inside();
        horusi_unlock(&a_lock);
    }
}
static void a_tries_to_lock(void)
{
    for (int i = 0; i < 2; i++)
        if (horusi_trylock(&a_lock)) {
            inside();
            horusi_unlock(&a_lock);
        }
}
static void a_uses(void)
{
    for (int i = 0; i < 3; i++)
        if (horusi_use_quick(&a_use)) {
            inside();
            horusi_use_quit(&a_use);
        } else if (horusi_use_begin(&a_use, HORUSI_USED)) {
            inside();
            horusi_use_end(&a_use);
        }
}
static void a_evicts(void)
{
    for (int i = 0; i < 2; i++)
        if (horusi_use_begin(&a_use, HORUSI_EVICTING)) {
            inside();
            horusi_use_end(&a_use);
        }
}
/* The lists of what was used last: what a thread did before it changed one is seen by the next. */
static uint32_t lists_before;
static void prepare_lists(void)
{
    enter(O), enter(A);
    one_slot = some_slot(A);
    lists_before = pool[A]->reuse_clock;
    context[A]->alone.solo = HORUSI_SHARED;
}
static void a_puts_and_gets(void)
{
    uint32_t s;
    bool robbed = false;
    x_write_data(97, 1);
    horusi_reuse_put(pool[A], horusi_own(HORUSI_SPLIT, 0), one_slot + 1, 1);
    x_write_data(96, 1);
    (void)horusi_reuse_get(pool[A], horusi_own(HORUSI_SPLIT, 0), &s, &robbed);
}
static void a_looks_at_lists(void)
{
    uint32_t before = lists_before;
    for (int i = 0; i < 2; i++)
        if (horusi_trylock(&pool[A]->reuse_lock)) {
            if (pool[A]->reuse_clock - before >= 1)
                (void)x_read_data(97);
            if (pool[A]->reuse_clock - before >= 2)
                (void)x_read_data(96);
            horusi_unlock(&pool[A]->reuse_lock);
        }
}
static void lists_are_over(void)
{
    pool[A]->reuse[0].count = 0;
    all_leave();
}
static void prepare_members_of_a(void) { enter(O), enter(A); }
/* Two threads ask for the context that nobody opened. */
static void prepare_default(void)
{
    enter(O);
    (void)setenv("HORUS_NAMESPACE", space, 1);
    X->made = 500;
}
static void a_asks_for_default(void)
{
    horus_context *c = NULL;
    X_MUST(horus_context_default(&c) == HORUS_OK);
    (void)x_read_data(500);
    context[A] = c;
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
/* A dies with a slot; B sweeps its row, and C takes the slot. */
static void a_takes_once(void)
{
    if (horusi_take(pool[A], one_slot)) {
        x_write_data(one_slot, 1);
        horusi_release(pool[A], one_slot);
    }
}
static void b_sweeps_a(void)
{
    (void)horusi_sweep_row(context[B], context[A]->row, HORUSI_DROP_OLD);
}
static void c_takes_twice(void)
{
    for (int i = 0; i < 2; i++)
        if (horusi_take(pool[C], one_slot)) {
            x_write_data(one_slot, 3);
            horusi_release(pool[C], one_slot);
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
    for (uint32_t row = 3; row < HORUSI_ROWS; row++) {
        pool[O]->rows[row].word = horusi_pair(1, HORUSI_ROW_LIVE);
        X->held[X->helds++] = (x_held){pool[O]->ino, UINT32_MAX, O, row, false};
    }
}
static void others_leave_first(void)
{
    for (int i = A; i < PROCESSES; i++)
        if (context[i] && !x_is_dead(i))
            X_MUST(horusi_low(pool[O]->rows[context[i]->row].word) == HORUSI_ROW_LIVE);
    for (uint32_t row = 3; row < HORUSI_ROWS; row++)
        pool[O]->rows[row].word = 0;
    x_unlock_all(UINT32_MAX);
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

/* A handle's place is its own from the start, also when its process has only just joined. */
static void prepare_places(void)
{
    enter(O), enter(C);
    topic[O] = open_as(O, "t", HORUS_OVERWRITE, 2, 0);
}
static void b_joins_and_opens(void)
{
    b_joins_as_well();
    topic[B] = open_as(B, "t", HORUS_OVERWRITE, 2, 0);
}
static void c_opens_as_well(void) { topic[C] = open_as(C, "t", HORUS_OVERWRITE, 2, 0); }
static void places_are_two(void)
{
    if (topic[B]->sub_index == topic[C]->sub_index)
        x_fail("two handles have one place");
    for (int i = B; i <= C; i++)
        X_MUST(topic[i]->sub->word == topic[i]->sub_word);
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

/* Two make the same topic in different places of the directory, for one just became free. */
static void prepare_two_make(void)
{
    three_members();
    topic[C] = open_as(C, "x", HORUS_OVERWRITE, 2, 0);
}
static void c_closes(void)
{
    horus_topic_close(topic[C]);
    topic[C] = NULL;
}
static void a_makes(void) { topic[A] = open_as(A, "d", HORUS_OVERWRITE, 2, 0); }
static void b_makes(void) { topic[B] = open_as(B, "d", HORUS_OVERWRITE, 2, 0); }
static void it_is_one(void)
{
    if (!x_is_dead(A) && !x_is_dead(B) && topic[A]->ref.slot != topic[B]->ref.slot)
        x_fail("there are two topics of one name");
    topic[O] = open_as(O, "d", HORUS_OVERWRITE, 2, 0);
    if (!x_is_dead(B) && topic[O]->ref.slot != topic[B]->ref.slot)
        x_fail("a topic that is open is made a second time");
    all_leave();
}
/* The last handle is closed while somebody finds the topic. */
static uint64_t dir_word;
static bool found_it;
static void prepare_last_handle(void)
{
    enter(O), enter(A), enter(B);
    topic[A] = open_as(A, "y", HORUS_OVERWRITE, 2, 0);
    one_slot = topic[A]->ref.slot;
    for (uint32_t i = 0; i < pool[O]->max_topics; i++)
        dir_word |= pool[O]->directory[i];
}
static void a_closes(void)
{
    horus_topic_close(topic[A]);
    topic[A] = NULL;
}
static void b_finds(void)
{
    uint32_t s;
    for (int i = 0; i < 2 && !found_it; i++)
        found_it = horusi_dir_acquire(pool[B], dir_word, &s);
}
static void it_lasts(void)
{
    if (found_it && horusi_high(pool[O]->slot[one_slot].word) != pool[B]->rec[one_slot].generation)
        x_fail("a topic ended although somebody holds it");
    if (found_it)
        horusi_dir_release(pool[B], &pool[B]->directory[0], dir_word, one_slot);
    all_leave();
}
/* A publisher opens its ring again and again: closed ones end, and their lanes are used again. */
static void prepare_again(void)
{
    enter(O), enter(A), enter(B);
    topic[B] = open_as(B, "e", HORUS_OVERWRITE, 1, 0);
    X_MUST(horus_topic_receive(topic[B], &number, 8, NULL, HORUS_NO_WAIT) == HORUS_EMPTY);
    topic[A] = open_as(A, "e", HORUS_OVERWRITE, 1, HORUS_PUBLISHER);
    X_MUST(horus_topic_send(topic[A], &(uint64_t){1}, 8, HORUS_NO_WAIT) == HORUS_OK);
    number = 1;
}
static void a_opens_again(void)
{
    for (int i = 0; i < 2; i++) {
        horus_topic_close(topic[A]);
        topic[A] = open_as(A, "e", HORUS_OVERWRITE, 1, HORUS_PUBLISHER);
        X_MUST(horus_topic_send(topic[A], &(uint64_t){1}, 8, HORUS_NO_WAIT) == HORUS_OK);
        number++;
    }
}
static void b_counts(void)
{
    uint64_t m;
    horus_info info;
    for (int i = 0; i < 3; i++)
        drained += horus_topic_receive(topic[B], &m, 8, &info, HORUS_NO_WAIT) == HORUS_OK;
}

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
/* The same before the reader knew of it: what it cannot read any more, it counts as lost. */
static void prepare_unseen(void)
{
    three_members();
    topic[B] = open_as(B, "e", HORUS_OVERWRITE, 2, 0);
    X_MUST(horus_topic_receive(topic[B], &number, 8, NULL, HORUS_NO_WAIT) == HORUS_EMPTY);
    topic[A] = open_as(A, "e", HORUS_OVERWRITE, 2, HORUS_PUBLISHER);
    for (int i = 0; i < 3; i++)
        X_MUST(send_number(topic[A], HORUS_NO_WAIT) == HORUS_OK);
    x_kill(A);
    X_MUST(horus_context_sweep(context[O], NULL) == HORUS_OK);
    context[A] = NULL;
}
static void c_takes_its_lane(void)
{
    (void)horusi_drop_orphan(pool[C], false);
    topic[C] = open_as(C, "e", HORUS_OVERWRITE, 2, HORUS_PUBLISHER);
    for (int i = 0; i < 2; i++)
        X_MUST(horus_topic_send(topic[C], &(uint64_t){7}, 8, HORUS_NO_WAIT) == HORUS_OK);
}
/* In a ring that has room for another number of them. */
static void c_opens_in_its_lane(void)
{
    (void)horusi_drop_orphan(pool[C], false);
    topic[C] = open_as(C, "e", HORUS_OVERWRITE, 5, HORUS_PUBLISHER);
}
static void c_takes_its_lane_for_more(void)
{
    c_opens_in_its_lane();
    for (int i = 0; i < 2; i++)
        X_MUST(horus_topic_send(topic[C], &(uint64_t){7}, 8, HORUS_NO_WAIT) == HORUS_OK);
}
/* Who opens now is told of nothing that was sent before. */
static void prepare_orphan(void)
{
    prepare_unseen();
    horus_topic_close(topic[B]);
    topic[B] = NULL;
    topic[O] = open_as(O, "e", HORUS_OVERWRITE, 2, 0);
}
static void b_opens_and_looks(void)
{
    uint64_t m[WORDS];
    topic[B] = open_as(B, "e", HORUS_OVERWRITE, 2, 0);
    X_MUST(horus_topic_receive(topic[B], m, sizeof m, NULL, HORUS_NO_WAIT) == HORUS_EMPTY);
    X_MUST(topic[B]->sub->lost == 0);
}
static void orphan_is_over(void)
{
    X_MUST(horus_context_sweep(context[O], NULL) == HORUS_OK);
    while (horusi_drop_orphan(pool[O], false))
        ;
    all_leave();
}
static void five_are_counted(void)
{
    X_MUST(horus_context_sweep(context[O], NULL) == HORUS_OK);
    while (horusi_drop_orphan(pool[O], false))
        ;
    number = 5;
    if (!x_is_dead(C))
        drained_and_read();
    else
        all_leave();
}
static void c_drops_orphan(void) { (void)horusi_drop_orphan(pool[C], false); }
static void b_reads_two(void)
{
    for (int i = 0; i < 2; i++)
        (void)receive_number(B, HORUS_NO_WAIT);
}
/* Two threads of a process: what one did before it swept, or dropped a ring, is seen by the next that
 * sweeps. */
static void c_sweeps_and_drops(void)
{
    x_write_data(97, 1);
    (void)horusi_sweep_for(context[C], HORUSI_DROP_OLD, 5);
    x_write_data(96, 1);
    (void)horusi_drop_orphan(pool[C], false);
}
static void c_looks_at_sweep(void)
{
    for (int i = 0; i < 2; i++)
        if (horusi_trylock(&context[C]->sweeping)) {
            if (context[C]->victim_topic == 5)
                (void)x_read_data(97);
            if (context[C]->victim)
                (void)x_read_data(96);
            horusi_unlock(&context[C]->sweeping);
        }
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

/* A run of two granules is given up and taken apart; its second granule then becomes blocks. What the
 * run's user did with it comes before what the blocks' user does. */
static uint32_t run_granule;
static horus_frame run_frame;
static void prepare_run(void)
{
    three_members();
    X_MUST(horus_frame_alloc(&run_frame, pool[A], 8000, HORUS_UNINIT, NULL) == HORUS_OK);
    run_granule = run_frame.slot >> pool[A]->blocks_log2;
    X_MUST(horusi_back_headers(pool[O], run_granule + 1, 4));
}
static void a_uses_run(void)
{
    horus_frame f = run_frame;
    use_memory(&f, true);
    X_MUST(horus_frame_release(&f) == HORUS_OK);
}
static void b_dissolves(void)
{
    for (int i = 0; i < 2; i++)
        (void)horusi_dissolve(pool[B], run_granule, false);
}
static void use_block(uint32_t b)
{
    x_write_data(1000 + ((run_granule + 1) * 4096 + b * 1024) / 1024, 5);
}
static void c_claims_body(void)
{
    horus_pool *p = pool[C];
    uint32_t g = run_granule + 1;
    for (int i = 0; i < 3; i++)
        if (horusi_kind(horusi_shape(p, g)) == HORUSI_FREE &&
            horusi_claim(p, g, 1, horusi_own(HORUSI_SPLIT, 0))) {
            for (uint32_t b = 0; b < 4; b++)
                use_block(b);
            horusi_release(p, g << p->blocks_log2);
            break;
        }
}
static void b_dissolves_and_splits(void)
{
    horus_pool *p = pool[B];
    uint32_t g = run_granule + 1;
    (void)horusi_dissolve(p, run_granule, false);
    if (horusi_claim(p, g, 1, horusi_own(HORUSI_SPLIT, 0))) {
        (void)horusi_back_headers(p, g, 4);
        horusi_release(p, g << p->blocks_log2);
    }
}
static void c_takes_block(void)
{
    horus_pool *p = pool[C];
    uint32_t g = run_granule + 1, s = (g << p->blocks_log2) + 1;
    for (int i = 0; i < 3; i++)
        if (horusi_has_header(p, s) && horusi_take(p, s)) {
            if (horusi_shape(p, g) == horusi_own(HORUSI_SPLIT, 0))
                use_block(1);
            horusi_untake(p, s);
        }
}

/* ---- nodes: loops and watchdog of a scheduler of B, each a thread of it */

static horus_scheduler *sched;
static horusi_node *node;
static uint64_t ticks_over, stopped_after; /* the newest message when stop was called */
static int safe_calls, happened[HORUS_EVENT_LOG + 1];
static void note_event(void *user, const horus_event *e)
{
    (void)user;
    happened[e->kind]++;
    if (e->kind == HORUS_EVENT_SAFE || e->kind == HORUS_EVENT_RECOVERED)
        X_MUST(happened[HORUS_EVENT_SAFE] - happened[HORUS_EVENT_RECOVERED] ==
               (e->kind == HORUS_EVENT_SAFE));
}
static void node_is_safe(void *user)
{
    (void)user;
    safe_calls++;
}
static uint64_t box_bytes; /* of the next scheduler */
/* Initialised, as after a step. */
static void make_node(const horus_node_desc *d, int64_t watchdog_ns)
{
    x_opening = B;
    X_MUST(horus_scheduler_open(&sched, &(horus_scheduler_desc){.name = "s",
                                                                .context = context[B],
                                                                .watchdog_ns = watchdog_ns,
                                                                .blackbox_bytes = box_bytes,
                                                                .on_event = note_event}) ==
           HORUS_OK);
    X_MUST(horus_scheduler_add(sched, d) == HORUS_OK);
    X_MUST(horus_scheduler_step(sched, 0) == HORUS_OK);
    x_opening = O;
    (void)pthread_key_delete(sched->here); /* once, not at the end of each execution */
    sched->has_here = sched->step = false;
    sched->end = UINT64_MAX;
    node = sched->nodes[0];
}
static void nodes_are_over(void)
{
    X_MUST(horus_scheduler_close(sched) == HORUS_OK);
    all_leave();
}

static horus_result gets_a_message(void *user, horus_tick *t)
{
    (void)user;
    X_MUST(receive_number(B, HORUS_NO_WAIT) == HORUS_OK);
    if (last_seen[B] == 2)
        horus_scheduler_stop(t->scheduler);
    return HORUS_OK;
}
static void prepare_on_topic(void)
{
    prepare_sleep();
    make_node(&(horus_node_desc){.name = "n", .tick = gets_a_message, .on_topic = topic[B]}, 0);
}
static void b_runs_its_node(void) { horusi_on_topic(sched, node); }
static void both_were_ticked(void)
{
    X_MUST(node->block->ticks == 2 && last_seen[B] == 2);
    if (X->long_slices)
        x_fail("a node was not woken for its message");
    nodes_are_over();
}
/* Stop is called, and then a message is sent: by a thread of B, on a handle of its own. */
static horus_result gets_none_after_stop(void *user, horus_tick *t)
{
    (void)user;
    X_MUST(t->count < 2);
    X_MUST(receive_number(B, HORUS_NO_WAIT) == HORUS_OK);
    X_MUST(last_seen[B] <= stopped_after);
    return HORUS_OK;
}
static void prepare_stop(void)
{
    enter(O), enter(B);
    topic[A] = open_as(B, "t", HORUS_OVERWRITE, 2, HORUS_PUBLISHER);
    topic[B] = open_as(B, "t", HORUS_OVERWRITE, 2, 0);
    X_MUST(horus_topic_receive(topic[B], &number, 8, NULL, HORUS_NO_WAIT) == HORUS_EMPTY);
    topic[B]->sleeps_since = 1;
    topic[B]->shm->may_sleep = 1;
    stopped_after = UINT64_MAX;
    make_node(&(horus_node_desc){.name = "n", .tick = gets_none_after_stop, .on_topic = topic[B]},
              0);
}
static void b_sends_stops_and_sends(void)
{
    X_MUST(send_number(topic[A], HORUS_NO_WAIT) == HORUS_OK);
    stopped_after = number;
    horus_scheduler_stop(sched);
    X_MUST(send_number(topic[A], HORUS_NO_WAIT) == HORUS_OK);
}
static void it_has_ended(void)
{
    X_MUST(node->block->ticks == last_seen[B] && last_seen[B] < 2);
    nodes_are_over();
}

/* A watchdog: long ticks and short ones in turn. */
enum { BUDGET = 100000 };
static horus_result takes_long_at_times(void *user, horus_tick *t)
{
    (void)user;
    if (t->count % 2 == 0) {
        X->now += 2 * BUDGET;
        ticks_over++;
    }
    x_point(true, false);
    return HORUS_OK;
}
static void prepare_watched(void)
{
    enter(O), enter(B);
    make_node(&(horus_node_desc){.name = "n",
                                 .tick = takes_long_at_times,
                                 .safe_state = node_is_safe,
                                 .budget_ns = BUDGET,
                                 .on_miss = HORUS_MISS_SAFE_MODE},
              100000);
}
static void b_ticks(void)
{
    for (int i = 0; i < 4; i++) {
        uint64_t now = horusi_now();
        (void)horusi_tick(sched, node, now, now);
    }
}
static void b_watches(void)
{
    for (int i = 0; i < 3; i++)
        horusi_watch(sched, horusi_now());
}
static void episodes_add_up(void)
{
    const horusi_node_block *b = node->block;
    uint64_t entries = b->safe_entries, recoveries = b->recoveries;
    X_MUST(entries == (uint64_t)safe_calls && entries == (uint64_t)happened[HORUS_EVENT_SAFE]);
    X_MUST(entries >= 1 && recoveries == (uint64_t)happened[HORUS_EVENT_RECOVERED]);
    X_MUST(entries == recoveries + (node->safe != 0));
    X_MUST((b->state == HORUS_NODE_SAFE) == (node->safe != 0));
    nodes_are_over();
}

static void each_miss_was_judged_once(void)
{
    X_MUST(node->block->ticks == 4 && node->block->budget_misses == 2 && ticks_over == 2);
    X_MUST(happened[HORUS_EVENT_BUDGET] == 2 && node->block->watchdog_misses <= 2);
    episodes_add_up();
}
/* The watchdog has judged a tick, and does something about it only when others have come and gone. */
static void b_ticks_twice(void)
{
    for (int i = 0; i < 2; i++)
        (void)horusi_tick(sched, node, X->now, X->now);
}
static void b_acts_late(void) { horusi_miss(sched, node, true, BUDGET + 1); }

/* Ticks that are far apart, and each in time: what is known of one is not held against the next. */
static horus_result takes_no_time(void *user, horus_tick *t)
{
    (void)user, (void)t;
    x_point(true, false);
    return HORUS_OK;
}
static void prepare_deadline(void)
{
    enter(O), enter(B);
    make_node(&(horus_node_desc){.name = "n", .tick = takes_no_time, .deadline_ns = BUDGET},
              100000);
}
static void b_ticks_in_time(void)
{
    for (int i = 0; i < 2; i++) {
        (void)horusi_tick(sched, node, X->now, X->now);
        X->now += 2 * BUDGET;
    }
}
static void nothing_was_late(void)
{
    X_MUST(node->block->ticks == 2 && happened[HORUS_EVENT_DEADLINE] == 0);
    X_MUST(node->block->watchdog_misses == 0);
    nodes_are_over();
}

/* A line is logged from outside as a run ends, and the figures move; somebody else gets their memory. */
static horus_frame moved[12];
static uint32_t moved_count;
static void prepare_moving(void)
{
    enter(O), enter(B);
    box_bytes = 256;
    make_node(&(horus_node_desc){.name = "n", .tick = takes_no_time}, 0);
    sched->has_here = true; /* of no use, and none is made in each execution */
    sched->busy = 2;
    context[B]->alone.solo = HORUSI_SHARED; /* no barrier on the way: it has had threads, */
    sched->topic->use.solo = 101;           /* and it is who moves them that ran it */
}
static void b_logs(void) { horus_scheduler_log(sched, NULL, "a line"); }
static void b_moves_figures(void)
{
    void *data;
    horusi_st32_rlx(own, &sched->busy, 0); /* the run is over */
    X_MUST(horus_scheduler_add(sched, &(horus_node_desc){.name = "m", .tick = takes_no_time}) ==
           HORUS_OK);
    X_MUST(horus_scheduler_step(sched, 0) == HORUS_OK);
    while (horus_frame_alloc(&moved[moved_count], pool[B], 4096, HORUS_UNINIT, &data) == HORUS_OK) {
        memset(data, 0x55, 4096);
        moved_count++;
    }
}
static void memory_is_whose_it_is(void)
{
    uint64_t bytes;
    void *data;
    X_MUST(moved_count >= 3);
    for (uint32_t i = 0; i < moved_count; i++) {
        X_MUST(horus_frame_data(&moved[i], &data, &bytes) == HORUS_OK);
        for (uint64_t k = 0; k < bytes; k++)
            X_MUST(((uint8_t *)data)[k] == 0x55);
        X_MUST(horus_frame_release(&moved[i]) == HORUS_OK);
    }
    sched->has_here = false;
    nodes_are_over();
}

/* Rates that change while it runs. */
static uint64_t scene_now(void *user)
{
    (void)user;
    return X->now += 10;
}
static void scene_sleep(void *user, uint64_t ns)
{
    (void)user;
    if (ns > X->now)
        x_pause(ns - X->now);
}
static horus_result counts_ticks(void *user, horus_tick *t)
{
    (void)user;
    /* a rate is taken as a whole, and its first tick is one period after the last one */
    X_MUST(t->dt_ns == 0 || t->dt_ns == 1000000 || t->dt_ns == 2000000 || t->dt_ns == 500000);
    X_MUST(t->budget_ns == 0 || t->budget_ns == BUDGET);
    return HORUS_OK;
}
static void prepare_rates(void)
{
    enter(O), enter(B);
    make_node(&(horus_node_desc){.name = "n", .tick = counts_ticks, .rate_num = 1000}, 0);
    sched->clock = (horus_time_source){scene_now, scene_sleep, NULL};
    X_MUST(horusi_make_loops(sched) == HORUS_OK);
    sched->loops[0].due[0] = X->now;
    node->ticked = false;
    node->phase = node->rest = 0;
    sched->end = X->now + 3000000;
}
static void b_runs_its_loop(void) { horusi_ordered(sched, &sched->loops[0], true, 0); }
static void b_sets_rates(void)
{
    X_MUST(horus_scheduler_set_rate(sched, "n", 500) == HORUS_OK);
    X_MUST(horus_scheduler_set_budget(sched, "n", BUDGET) == HORUS_OK);
    X_MUST(horus_scheduler_set_rate(sched, "n", 2000) == HORUS_OK);
}
static void the_newest_rate_counts(void)
{
    X_MUST(sched->loops[0].changes == 2 && node->budget == BUDGET);
    X_MUST(node->num == 2000 && node->den == 1 && node->block->rate_num == 2000);
    nodes_are_over();
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
    {"small: a lock", prepare_members_of_a, all_leave,
     {{a_locks, A, false}, {a_tries_to_lock, A, false}}, {2, 0, 2}},
    {"small: a handle in use", prepare_members_of_a, all_leave,
     {{a_uses, A, false}, {a_uses, A, false}, {a_evicts, A, false}}, {3, 0, 2}},
    {"small: slots used last", prepare_lists, lists_are_over,
     {{a_puts_and_gets, A, false}, {a_looks_at_lists, A, false}}, {2, 0, 2}},
    {"small: a sweep", prepare_ending, dead_is_over,
     {{c_sweeps_and_drops, C, false}, {c_looks_at_sweep, C, false}}, {1, 0, 1}},
    {"small: the default context", prepare_default, all_leave,
     {{a_asks_for_default, A, false}, {a_asks_for_default, A, false}}, {1, 0, 1}},
    {"memory: runs and trim", prepare_shapes, leave_shapes,
     {{a_allocates, A, true}, {b_allocates_once, B, true}, {c_trims, C, true}}, {2, 1, 1}},
    {"small: a topic ends", prepare_last_handle, it_lasts,
     {{a_closes, A, false}, {b_finds, B, false}}, {1, 0, 3}},
    {"small: taken in vain", prepare_last_granule, leave_shapes,
     {{a_gets_the_last, A, false}, {b_takes_in_vain, B, false}}, {1, 0, 3}},
    {"memory: one of two gets it", prepare_last_piece, one_has_it,
     {{a_wants_it, A, false}, {b_wants_it, B, false}}, {2, 0, 2}},
    {"memory: a run left half claimed", prepare_last_piece, leave_shapes,
     {{a_claims_run, A, true}, {b_sweeps_and_allocates, B, false}}, {1, 1, 1}},
    {"memory: blocks become a run", prepare_reuse, leave_shapes,
     {{a_wants_a_block, A, false}, {b_wants_all_of_it, B, false}}, {2, 0, 2}},
    {"memory: a body of a run", prepare_run, leave_shapes,
     {{a_uses_run, A, false}, {b_dissolves, B, false}, {c_claims_body, C, false}}, {3, 0, 3}},
    {"memory: a block in a body", prepare_run, leave_shapes,
     {{a_uses_run, A, false}, {b_dissolves_and_splits, B, false}, {c_takes_block, C, false}}, {3, 0, 3}},
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
    {"sleep: for a first ring", prepare_sleep_for_ring, nobody_overslept,
     {{a_sends_one, A, false}, {b_waits_for_one, B, false}}, {2, 0, 2}},
    {"sleep: for a queue", prepare_wait_for_queue, nobody_overslept,
     {{a_offers_one, A, false}, {c_waits_for_one, C, false}}, {2, 0, 2}},
    {"sleep: for what a dead one had", prepare_wait_for_put_back, nobody_overslept,
     {{b_is_swept, O, false}, {c_waits_for_one, C, false}}, {2, 0, 2}},
    {"sleep: for what is put back", prepare_wait_for_put_back, nobody_overslept,
     {{b_gives_it_back, B, false}, {c_waits_for_one, C, false}}, {2, 0, 2}},
    {"reliable: a ring of one", prepare_reliable, reliable_is_over,
     {{a_sends_three_and_waits, A, false}, {b_gets_three, B, true}}, {2, 1, 1}},
    {"reliable: a slow reader", prepare_reliable, reliable_is_over,
     {{a_sends_three_and_waits, A, false}, {b_gets_three_slowly, B, false}}, {2, 0, 2}},
    {"reliable: two slow readers", prepare_two_readers, reliable_is_over,
     {{a_sends_one_and_waits, A, false}, {b_and_c_get_one_slowly, B, false}}, {2, 0, 2}},
    {"reliable: a reader leaves", prepare_two_readers, reliable_is_over,
     {{a_sends_one_and_waits, A, false}, {b_reads_and_c_closes, B, false}}, {2, 0, 2}},
    {"reliable: a reader is swept", prepare_two_readers, reliable_is_over,
     {{a_sends_one_and_waits, A, false}, {b_reads_and_c_is_swept, B, false}}, {2, 0, 2}},
    {"reliable: a reader sends", prepare_two_readers, reliable_is_over,
     {{a_sends_one_and_waits, A, false}, {b_reads_and_c_sends, B, false}}, {2, 0, 2}},
    {"reliable: a reader comes", prepare_reliable_alone, all_leave,
     {{a_sends_what_fits, A, true}, {b_opens_and_reads, B, true}}, {2, 1, 1}},
    {"reliable: history", prepare_history, all_leave,
     {{a_sends_what_fits, A, false}, {b_opens_with_history, B, true}}, {2, 1, 1}},
    {"small: history comes late", prepare_late_history, all_leave,
     {{b_comes_and_rests, B, false}, {a_sends_two_over_it, A, false}}, {2, 0, 2}},
    {"reliable: a sender reads", prepare_sender, all_leave,
     {{a_sends_what_fits, A, false}, {b_begins_to_read, B, true}}, {2, 1, 1}},
    {"queue: at least once", prepare_at_least_once, consume_the_rest,
     {{a_offers_two, A, false}, {b_consumes, B, true}, {c_consumes, C, false}}, {2, 1, 1}},
    {"queue: at most once", prepare_at_most_once, consume_the_rest,
     {{a_offers_two, A, false}, {b_consumes, B, true}, {c_consumes, C, false}}, {2, 1, 1}},
    {"queue: full", prepare_at_least_once, consume_the_rest,
     {{a_offers_three_and_waits, A, false}, {b_consumes_slowly, B, false}}, {2, 0, 2}},
    {"queue: two at work", prepare_two_at_work, consume_the_rest,
     {{a_sends_one_and_waits, A, false}, {c_and_b_are_done_late, B, false}}, {2, 0, 2}},
    {"queue: a consumer is swept", prepare_two_at_most_once, consume_the_rest,
     {{a_sends_one_and_waits, A, false}, {c_is_done_and_b_is_swept, C, false}}, {2, 0, 2}},
    {"queue: put back", prepare_at_least_once, consume_the_rest,
     {{a_offers_one, A, false}, {b_puts_back, B, true}, {c_consumes, C, false}}, {2, 1, 1}},
    {"overwrite: drained", prepare_overwrite, drained_and_read,
     {{a_sends_four, A, true}, {b_drains, B, false}}, {2, 1, 2}},
    {"frames: evict and acquire", prepare_frames, leave_shapes,
     {{a_sends_frames, A, true}, {b_gets_frames, B, true}, {c_allocates, C, false}}, {2, 1, 1}},
    {"threads: hold and release", prepare_common, common_is_held,
     {{a_holds_and_releases, A, false}, {a_releases_common, A, false}, {c_takes, C, false}}, {3, 0, 2}},
    {"threads: acquire", prepare_foreign, all_leave,
     {{a_acquires, A, true}, {a_acquires_late, A, true}, {b_releases_and_takes, B, false}}, {3, 1, 1}},
    {"small: a thread trusts another", prepare_trust, all_leave,
     {{a_acquires, A, false}, {a_acquires_in_vain, A, false}, {b_takes_once, B, false}}, {2, 0, 2}},
    {"threads: the first two", prepare_threads, all_leave,
     {{alone_or_locked, A, false}, {alone_or_locked, A, false}}, {4, 0, 3}},
    {"threads: the first three", prepare_threads, all_leave,
     {{alone_or_locked, A, false}, {alone_or_locked, A, false}, {alone_or_locked, A, false}}, {3, 0, 2}},
    {"threads: allocate", prepare_threads, all_leave,
     {{a_allocates_twice, A, true}, {a_allocates_twice, A, true}, {c_allocates, C, false}}, {2, 1, 1}},
    {"threads: send and evict", prepare_evict, leave_shapes,
     {{a_sends_frame_again, A, true}, {a_needs_memory, A, true}}, {2, 1, 1}},
    {"threads: one handle", prepare_shared_handle, sent_is_there,
     {{a_sends_on_the_same, A, false}, {a_sends_on_the_same, A, false}}, {3, 0, 2}},
    {"dead: swept and taken", prepare_slot, all_leave,
     {{a_takes_once, A, true}, {b_sweeps_a, B, false}, {c_takes_twice, C, false}}, {1, 1, 1}},
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
    {"topic: places of two handles", prepare_places, places_are_two,
     {{b_joins_and_opens, B, false}, {c_opens_as_well, C, false}}, {2, 0, 3}},
    {"topic: two make it", prepare_two_make, it_is_one,
     {{a_makes, A, true}, {b_makes, B, true}, {c_closes, C, false}}, {2, 1, 2}},
    {"topic: two enter it", prepare_two_make, it_is_one,
     {{a_makes, A, false}, {b_makes, B, false}, {c_closes, C, false}}, {3, 0, 2}},
    {"ring: again and again", prepare_again, drained_and_read,
     {{a_opens_again, A, false}, {b_counts, B, false}}, {2, 0, 2}},
    {"ring: ends before it is seen", prepare_unseen, drained_and_read,
     {{c_drops_orphan, C, false}, {b_counts, B, false}}, {2, 0, 3}},
    {"ring: another takes its lane", prepare_ending, five_are_counted,
     {{c_takes_its_lane, C, true}, {b_counts, B, false}}, {2, 1, 2}},
    {"ring: a larger one in its lane", prepare_unseen, five_are_counted,
     {{c_takes_its_lane_for_more, C, false}, {b_counts, B, false}}, {2, 0, 2}},
    {"ring: as a reader opens", prepare_orphan, orphan_is_over,
     {{c_opens_in_its_lane, C, false}, {b_opens_and_looks, B, false}}, {2, 0, 2}},
    {"ring: ends under a reader", prepare_ending, ended_is_counted,
     {{c_drops_orphan, C, true}, {b_reads_two, B, false}}, {2, 1, 1}},
    {"node: sleeps for its topic", prepare_on_topic, both_were_ticked,
     {{a_sends_two, A, false}, {b_runs_its_node, B, false}}, {2, 0, 2}},
    {"node: stop, then a message", prepare_stop, it_has_ended,
     {{b_sends_stops_and_sends, B, false}, {b_runs_its_node, B, false}}, {2, 0, 2}},
    {"node: a watchdog judges", prepare_watched, each_miss_was_judged_once,
     {{b_ticks, B, false}, {b_watches, B, false}}, {3, 0, 1}},
    {"small: an episode begins late", prepare_watched, episodes_add_up,
     {{b_ticks_twice, B, false}, {b_acts_late, B, false}}, {2, 0, 2}},
    {"small: a deadline", prepare_deadline, nothing_was_late,
     {{b_ticks_in_time, B, false}, {b_watches, B, false}}, {2, 0, 2}},
    {"node: a line as figures move", prepare_moving, memory_is_whose_it_is,
     {{b_logs, B, false}, {b_moves_figures, B, false}}, {2, 0, 2}},
    {"node: its rate changes", prepare_rates, the_newest_rate_counts,
     {{b_runs_its_loop, B, false}, {b_sets_rates, B, false}}, {2, 0, 2}},
};
/* clang-format on */
enum { SCENES = sizeof scenes / sizeof scenes[0] };

/* ---- the program */

static const char *shm_dir(void)
{
    const char *dir = getenv("HORUS_DIR");
    return dir && *dir ? dir : HORUS_SHM_DIR;
}
static void remove_space_of(int pid)
{
    char path[700];
    (void)snprintf(path, sizeof path, "%s/horus.explore%d", shm_dir(), pid);
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;)
        (void)unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        (void)closedir(d);
    (void)rmdir(path);
}
static void remove_space(void) { remove_space_of((int)getpid()); }
/* What a run that was killed could not clean up. */
static void remove_old_spaces(void)
{
    static const char ours[] = "horus.explore";
    DIR *d = opendir(shm_dir());
    for (struct dirent *e; d && (e = readdir(d)) != NULL;)
        if (strncmp(e->d_name, ours, sizeof ours - 1) == 0) {
            int pid = atoi(e->d_name + sizeof ours - 1);
            if (pid > 0 && kill(pid, 0) != 0 && errno == ESRCH)
                remove_space_of(pid);
        }
    if (d)
        (void)closedir(d);
}

/* Children, and how all end early: who is told to stop ends his children and cleans up after them,
 * and who loses his parent is told by the kernel. */
enum { CHILDREN = 64 };
static volatile pid_t children[CHILDREN];
static volatile sig_atomic_t is_over;
static int ends_by = SIGTERM; /* a scene itself has no time to clean up, wherever it is */
static void on_term(int signal_)
{
    (void)signal_;
    is_over = 1;
    for (int i = 0; i < CHILDREN; i++)
        if (children[i] > 0)
            (void)kill(children[i], ends_by);
}
static void hold_signals(bool held)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    (void)sigprocmask(held ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
}
/* Returns 0 in the child, which the kernel sends `signal_` when this process is gone. */
static pid_t new_child(int signal_)
{
    pid_t parent = getpid();
    int i = 0;
    fflush(stdout);
    while (children[i] != 0)
        if (++i == CHILDREN)
            abort();
    hold_signals(true);
    ends_by = signal_;
    pid_t pid = is_over ? -1 : fork();
    if (pid == 0) {
        for (i = 0; i < CHILDREN; i++)
            children[i] = 0;
        (void)prctl(PR_SET_PDEATHSIG, signal_);
        if (getppid() != parent)
            _exit(X_UNABLE);
        if (signal_ == SIGKILL) {
            (void)signal(SIGTERM, SIG_IGN); /* the parent decides, and cleans up */
            (void)signal(SIGINT, SIG_IGN);
            (void)signal(SIGHUP, SIG_IGN);
        }
    } else if (pid > 0) {
        children[i] = pid;
    }
    hold_signals(false);
    return pid;
}
/* Waits for `pid`, or (-1) for any; returns it. */
static pid_t wait_child(pid_t pid, int *status)
{
    pid_t got;
    while ((got = waitpid(pid, status, 0)) < 0 && errno == EINTR)
        ;
    for (int i = 0; i < CHILDREN; i++)
        if (got > 0 && children[i] == got)
            children[i] = 0;
    return got;
}
static void leave_if_over(void)
{
    if (!is_over)
        return;
    while (wait_child(-1, NULL) > 0)
        ;
    printf("told to stop\n");
    fflush(stdout);
    _exit(128 + SIGTERM);
}
/* A machine of its own for one scene, in a process of its own. */
static void begin(const x_scenario *s)
{
    (void)snprintf(space, sizeof space, "explore%d", (int)getpid());
    x_private = &horusi_fork_lock; /* another's death while it holds it stops nobody */
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
        exit(X_UNABLE);
    }
    for (int i = O; i < PROCESSES; i++) { /* who prepared is not who takes part */
        if (context[i] && context[i]->alone.solo != HORUSI_SHARED)
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
    int verdict[4 * X_SITES]; /* of each weakening: x_verdict + 1; 0: it did not come to an end */
    int by[4 * X_SITES];      /* the scene that objected */
} tally;
static tally *sum;

/* Small bounds in full if time allows, then larger ones by chance. */
static x_verdict explore(const x_scenario *s, bool quiet)
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
    return failed ? X->verdict : X_HOLDS;
}
/* In a process of its own, which may crash or hang if horus.h is broken. orders: what each access has
 * instead of its own; NULL: its own, and results are printed. A crash is no objection: it may be the
 * explorer's own, and then it would be one to everything. */
static x_verdict look(const x_scenario *s, const uint8_t *orders, double factor)
{
    int status = -1;
    pid_t pid = new_child(SIGKILL);
    if (pid == 0) {
        seconds *= factor;
        rlim_t most = (rlim_t)(4 * seconds + 20);
        (void)setrlimit(RLIMIT_CPU, &(struct rlimit){most, most + 5});
        begin(s);
        if (orders)
            memcpy(X->order, orders, sizeof X->order);
        exit((int)explore(s, orders != NULL));
    }
    bool waited = pid > 0 && wait_child(pid, &status) == pid;
    if (waited && status != 0) /* it may not have cleaned up */
        remove_space_of(pid);
    leave_if_over();
    if (waited && WIFEXITED(status)) {
        int code = WEXITSTATUS(status);
        if (code == X_HOLDS || code == X_OBJECTS || code == X_HANGS)
            return (x_verdict)code;
        printf("  %s: ended with status %d\n", s->name, code);
    } else if (waited && WIFSIGNALED(status)) {
        if (WTERMSIG(status) == SIGXCPU)
            return X_HANGS;
        printf("  %s: crashed: %s\n", s->name, strsignal(WTERMSIG(status)));
    } else {
        printf("  %s: cannot be run: %s\n", s->name, strerror(errno));
    }
    return X_UNABLE;
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
/* Where an access is, without its line: function/atomic/label/operation. The atomic is the last name
 * in the expression, indices and arguments apart. */
static const char *place_of(const x_site *site)
{
    static char place[200];
    const char *name = site->what;
    int depth = 0, length = 0;
    for (const char *c = site->what; *c; c++) {
        bool in_name = (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '_';
        bool begins = c == site->what || strchr("->.&(* ", c[-1]) != NULL;
        depth += (*c == '[' || *c == '(') - (*c == ']' || *c == ')');
        if (depth == 0 && in_name && begins) {
            name = c;
            length = 0;
        }
        length += depth == 0 && in_name;
    }
    (void)snprintf(place, sizeof place, "%s/%.*s/%s/%s", site->function, length, name, site->label,
                   op_names[site->op]);
    return place;
}
/* The accesses at a place are told apart by their number there, from 1, as the source has them. */
static int number_of(const x_site *site)
{
    char place[200];
    int number = 1;
    (void)snprintf(place, sizeof place, "%s", place_of(site));
    for (const x_site *each = __start_x_sites; each < __stop_x_sites; each++)
        number += each->id < site->id && strcmp(place_of(each), place) == 0;
    return number;
}
static int sites_at(const char *place)
{
    int count = 0;
    for (const x_site *each = __start_x_sites; each < __stop_x_sites; each++)
        count += strcmp(place_of(each), place) == 0;
    return count;
}
/* Cuts "#1,3" off a place. Returns a bit for each of these numbers; 0: there are none, or what is no
 * number from 1 to 31. */
static uint32_t cut_numbers(char *place)
{
    uint32_t which = 0;
    char *c = strchr(place, '#');
    if (!c)
        return 0;
    for (*c = ','; *c == ',';) {
        *c = 0;
        unsigned long number = strtoul(c + 1, &c, 10);
        if (number < 1 || number > 31)
            return 0;
        which |= 1u << number;
    }
    return *c == 0 ? which : 0;
}

enum { NOT_DRAWN = -1 }; /* for x_verdict + 1 */
enum { ROWS = 1024, GROUPS = 100, WEAKENINGS = 4 * X_SITES };
typedef struct explained { /* a row of orders.txt */
    char place[160], key[20];
    int order;      /* -1: any weaker one */
    uint32_t which; /* of several accesses there: a bit for each; 0: there is only one */
    int sites;
} explained;
static explained rows[ROWS],
    group_rows[GROUPS + 1]; /* of a group: without a key, it has no reason */
static char keys[32][20], groups[GROUPS][1200];
static int row_count, key_count, group_count, used_by_key[32];

static int order_of(const char *name)
{
    for (int i = 0; i < 5; i++)
        if (strcmp(order_names[i], name) == 0)
            return i;
    fprintf(stderr, "explore: no order is called %s\n", name);
    exit(2);
}
static int key_of(const char *key)
{
    for (int i = 0; i < key_count; i++)
        if (strcmp(keys[i], key) == 0)
            return i;
    return -1;
}
/* orders.txt: "key NAME what it means", "together PLACE>ORDER ... [: KEY why]", or
 * "function atomic label operation[#number,number ...][>order] KEY why". */
static void read_reasons(const char *path)
{
    char line[1200], function[60], atomic[40], label[10], op[40], key[20];
    FILE *f = fopen(path, "r");
    if (!f) {
        fprintf(stderr, "explore: cannot read %s: run it in the root of the repository\n", path);
        exit(2);
    }
    while (fgets(line, sizeof line, f)) {
        explained *row = &rows[row_count];
        line[strcspn(line, "\n")] = 0;
        if (line[0] == '#' || line[0] == 0)
            continue;
        if (sscanf(line, "key %19s", key) == 1) {
            if (key_count < 32)
                strcpy(keys[key_count++], key);
        } else if (strncmp(line, "together ", 9) == 0) {
            char *why = strstr(line, " : ");
            if (why) {
                *why = 0;
                if (sscanf(why + 3, "%19s", key) != 1 || key_of(key) < 0) {
                    fprintf(stderr, "explore: %s: no key is called %s\n", path, why + 3);
                    exit(2);
                }
                strcpy(group_rows[group_count].key, key);
            }
            if (group_count == GROUPS) {
                fprintf(stderr, "explore: %s: too many groups\n", path);
                exit(2);
            }
            (void)snprintf(groups[group_count], sizeof groups[0], "%s", line + 9);
            group_count++;
        } else if (row_count < ROWS &&
                   sscanf(line, "%59s %39s %9s %39s %19s", function, atomic, label, op, key) == 5) {
            char *order = strchr(op, '>');
            row->order = order ? order_of(order + 1) : -1;
            if (order)
                *order = 0;
            bool numbered = strchr(op, '#') != NULL;
            row->which = cut_numbers(op);
            (void)snprintf(row->place, sizeof row->place, "%s/%s/%s/%s", function, atomic, label,
                           op);
            strcpy(row->key, key);
            row_count++;
            int sites = sites_at(row->place);
            if ((sites > 1) != numbered || (numbered && row->which == 0) ||
                row->which >> (sites > 1 ? sites + 1 : 1)) {
                fprintf(
                    stderr,
                    "explore: %s: %s has %d accesses: a row names its own by their numbers where "
                    "there are several, as in load#1,3\n",
                    path, row->place, sites);
                exit(2);
            }
            if (key_of(key) < 0) {
                fprintf(stderr, "explore: %s: no key is called %s\n", path, key);
                exit(2);
            }
        } else {
            fprintf(stderr, "explore: %s: %s\n", path, line);
            exit(2);
        }
    }
    (void)fclose(f);
}
static explained *reason_for(const char *place, int number, int order)
{
    for (int i = 0; i < row_count; i++)
        if ((rows[i].order < 0 || rows[i].order == order) && strcmp(rows[i].place, place) == 0 &&
            (rows[i].which == 0 || rows[i].which >> number & 1))
            return &rows[i];
    return NULL;
}

typedef struct weakening {
    const x_site *site; /* NULL: several */
    int order;
    int first;         /* the scene that objected the last time, or -1 */
    char name[200];    /* PLACE>ORDER of a site, as -w takes it */
    explained *reason; /* or NULL */
    uint8_t orders[X_SITES];
} weakening;
static weakening *weakenings;
static int weakening_count;
static weakening *add_weakening(const x_site *site, int order)
{
    weakening *w = &weakenings[weakening_count++];
    w->site = site;
    w->order = order;
    w->first = -1;
    for (const x_site *each = __start_x_sites; each < __stop_x_sites; each++)
        w->orders[each->id] = each->order;
    if (site) {
        char place[200], which[16] = "";
        int number = number_of(site);
        (void)snprintf(place, sizeof place, "%s", place_of(site));
        if (sites_at(place) > 1)
            (void)snprintf(which, sizeof which, "#%d", number);
        (void)snprintf(w->name, sizeof w->name, "%.150s%s>%s", place, which, order_names[order]);
        w->orders[site->id] = (uint8_t)order;
        w->reason = reason_for(place, number, order);
    }
    return w;
}
/* "place[#number ...]>order place>order ...": all of them together. */
static weakening *add_group(const char *text)
{
    weakening *w = add_weakening(NULL, 0);
    char copy[1200], *rest = NULL;
    (void)snprintf(copy, sizeof copy, "%s", text);
    (void)snprintf(w->name, sizeof w->name, "%s", text);
    for (char *item = strtok_r(copy, " ", &rest); item; item = strtok_r(NULL, " ", &rest)) {
        char *order = strchr(item, '>');
        int found = 0;
        if (order)
            *order++ = 0;
        bool numbered = strchr(item, '#') != NULL;
        uint32_t which = cut_numbers(item);
        for (const x_site *site = __start_x_sites; site < __stop_x_sites; site++)
            if (strcmp(place_of(site), item) == 0 && (!numbered || which >> number_of(site) & 1)) {
                w->orders[site->id] = (uint8_t)(order ? order_of(order) : X_RLX);
                found++;
            }
        if (!found) {
            fprintf(stderr, "explore: there is no %s\n", item);
            exit(2);
        }
    }
    return w;
}
/* All accesses with a label: relaxed, or no longer sequentially consistent. */
static void add_label(const char *label, bool relaxed, const char *only)
{
    bool any = false;
    weakening *w = add_weakening(NULL, relaxed ? X_RLX : X_ACQREL);
    char place[40];
    (void)snprintf(place, sizeof place, "every/*/%s/*", label);
    (void)snprintf(w->name, sizeof w->name, "every %s %s", label,
                   relaxed ? "relaxed" : "not sequentially consistent");
    w->reason = reason_for(place, 0, w->order);
    for (const x_site *site = __start_x_sites; site < __stop_x_sites; site++) {
        int to = relaxed ? X_RLX : site->order == X_SEQ ? weaker(site, 0) : site->order;
        if (strcmp(site->label, label) != 0 || to == site->order)
            continue;
        w->orders[site->id] = (uint8_t)to;
        any = true;
    }
    weakening_count -= !any || (only && !strstr(w->name, only));
}
static bool is_reached(int scene, const weakening *w)
{
    for (const x_site *site = __start_x_sites; site < __stop_x_sites; site++)
        if (w->orders[site->id] != site->order && sum->reached[scene][site->id])
            return true;
    return false;
}
/* Which scene objected to which weakening the last time, "scene<TAB>weakening": it is asked first. A
 * scene that no longer does costs time alone, for all the others are asked then. */
static void read_caught(const char *path)
{
    char line[400];
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        char *name = strchr(line, '\t');
        if (!name)
            continue;
        *name++ = 0;
        for (int n = 0; n < weakening_count; n++)
            for (int i = 0; i < SCENES && strcmp(weakenings[n].name, name) == 0; i++)
                if (strcmp(scenes[i].name, line) == 0)
                    weakenings[n].first = i;
    }
    if (f)
        (void)fclose(f);
}
static void write_caught(const char *path)
{
    FILE *f = fopen(path, "w");
    if (!f) {
        fprintf(stderr, "explore: cannot write %s\n", path);
        exit(2);
    }
    fprintf(f, "# The scene that objected to each weakening, as `make mutate` wrote it: `make "
               "test` asks it\n"
               "# first, and all others where it no longer objects.\n");
    for (int n = 0; n < weakening_count; n++)
        if (sum->verdict[n] - 1 == X_OBJECTS || sum->verdict[n] - 1 == X_HANGS)
            fprintf(f, "%s\t%s\n", scenes[sum->by[n]].name, weakenings[n].name);
    (void)fclose(f);
}
enum { LONG_LOOK = 24 }; /* at what has a reason, in looks of `seconds` at one scene each */
/* A scene that objects, if one does; else the worst that happened. */
static x_verdict objector_of(const weakening *w, int *by)
{
    x_verdict worst = X_HOLDS;
    double factor[] = {1, 8, 40}; /* what no scene has objected to yet is looked at for longer */
    double at_first = 40;         /* the scene that objected the last time: it ends as it does so */
    int looks = 3, reached = 0;
    for (int i = 0; i < SCENES; i++)
        reached += is_reached(i, w);
    if (w->reason && reached) { /* it may be false: as long, but all scenes together have a limit */
        factor[1] = LONG_LOOK < factor[1] * reached ? (double)LONG_LOOK / reached : factor[1];
        looks = factor[1] > 1 ? 2 : 1;
    }
    for (int again = 0; again < looks; again++)
        for (int k = again == 0 && w->first >= 0 ? -1 : 0; k < SCENES; k++) {
            int i = k < 0 ? w->first : k;
            if (is_reached(i, w)) {
                x_verdict v = look(&scenes[i], w->orders, k < 0 ? at_first : factor[again]);
                if (v > worst) {
                    worst = v;
                    *by = i;
                }
                if (v == X_OBJECTS || v == X_HANGS)
                    return v;
            }
        }
    return worst;
}
static double wall_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
/* budget: seconds in which to begin those that have a reason, in an order that `draw` decides; 0: all.
 * Those that have none are all begun, and first. Returns how many were begun. */
static int run_weakenings(int jobs, double budget, uint64_t draw)
{
    int running = 0, begun = 0, must = 0;
    double end = wall_seconds() + budget;
    int *order = calloc((size_t)weakening_count + 1, sizeof *order);
    for (int n = 0; n < weakening_count; n++)
        if (!weakenings[n].reason)
            order[must++] = n;
    for (int n = 0, k = must; n < weakening_count; n++)
        if (weakenings[n].reason)
            order[k++] = n;
    for (int n = weakening_count; budget > 0 && n > must + 1; n--) {
        draw = draw * 6364136223846793005u + 1442695040888963407u;
        int k = must + (int)((draw >> 33) % (unsigned)(n - must)), other = order[n - 1];
        order[n - 1] = order[k];
        order[k] = other;
    }
    for (; begun < weakening_count && (begun < must || budget == 0 || wall_seconds() < end);
         begun++) {
        int n = order[begun];
        const weakening *w = &weakenings[n];
        if (running == jobs) {
            (void)wait_child(-1, NULL);
            running--;
        }
        leave_if_over();
        running++;
        if (new_child(SIGTERM) == 0) {
            int by = 0;
            x_verdict v = objector_of(w, &by);
            sum->verdict[n] = 1 + (int)v;
            sum->by[n] = by;
            const explained *row = w->reason;
            printf("%-9s ", v == X_OBJECTS  ? "objects"
                            : v == X_HANGS  ? "hangs"
                            : v == X_UNABLE ? "BROKEN"
                            : row           ? "explained"
                                            : "SILENT");
            printf("%s: %s\n", w->name, v != X_HOLDS ? scenes[by].name : row ? row->key : "nobody");
            fflush(stdout);
            _exit(0);
        }
    }
    while (wait_child(-1, NULL) > 0)
        ;
    leave_if_over();
    for (int i = begun; i < weakening_count; i++)
        sum->verdict[order[i]] = NOT_DRAWN;
    free(order);
    return begun;
}
/* Each order, each label as a whole, and what the table says to be needed together. Returns how many
 * have neither an objector nor a reason, and how many reasons are for nothing. */
static int weaken_all(int jobs, const char *only, const char *together, double budget,
                      uint64_t draw, const char *write_to)
{
    int caught = 0, explained_ = 0, unexplained = 0, unreached = 0, stale = 0, nothing = 0;
    int groups_caught = 0, groups_silent = 0, groups_explained = 0, hung = 0, broken = 0;
    weakenings = calloc(WEAKENINGS, sizeof *weakenings);
    if (together)
        (void)add_group(together);
    for (const x_site *site = __start_x_sites; !together && site < __stop_x_sites; site++) {
        bool first = true;
        for (const x_site *k = __start_x_sites; k < site; k++)
            first &= strcmp(k->label, site->label) != 0;
        if (first) {
            add_label(site->label, false, only);
            add_label(site->label, true, only);
        }
    }
    for (int i = 0; i < group_count && !together; i++)
        if (!only || strstr(groups[i], only))
            add_group(groups[i])->reason = group_rows[i].key[0] ? &group_rows[i] : NULL;
    for (const x_site *site = __start_x_sites; !together && site < __stop_x_sites; site++)
        for (int k = 0, order; (order = weaker(site, k)) >= 0; k++)
            if (!only || strstr(place_of(site), only))
                (void)add_weakening(site, order);
    read_caught("tests/caught.txt");
    int begun = run_weakenings(jobs, budget, draw);
    if (write_to)
        write_caught(write_to);
    for (int n = 0; n < weakening_count; n++) {
        const weakening *w = &weakenings[n];
        int verdict = sum->verdict[n] - 1;
        bool objected = verdict == X_OBJECTS || verdict == X_HANGS, reached = false;
        if (verdict == NOT_DRAWN - 1) {
            if (w->reason)
                w->reason->sites++;
            continue;
        }
        hung += verdict == X_HANGS;
        if (!objected && verdict != X_HOLDS) {
            broken++;
            printf("BROKEN  %s: it was not explored\n", w->name);
            continue;
        }
        explained *row = w->reason;
        for (int i = 0; i < SCENES; i++)
            reached |= is_reached(i, w);
        if (row) {
            row->sites++;
            if (objected) { /* it would hide the day on which no scene does */
                stale++;
                printf("STALE  %s %s: a scene objects now\n", w->name, row->key);
            }
        }
        if (!w->site) {
            groups_caught += objected;
            groups_silent += !objected && !row;
            groups_explained += !objected && row;
            continue;
        }
        caught += objected;
        explained_ += !objected && row;
        unexplained += !objected && !row;
        unreached += !reached;
        if (!objected && row)
            used_by_key[key_of(row->key)]++;
        else if (!objected)
            printf("UNEXPLAINED  %s (line %d, %s)%s\n", w->name, w->site->line,
                   order_names[w->site->order], reached ? "" : " (in no scene)");
    }
    for (int i = 0; i < row_count + group_count && !together; i++) {
        bool group = i >= row_count;
        const explained *row = group ? &group_rows[i - row_count] : &rows[i];
        if ((group && !row->key[0]) || row->sites > 0 || only)
            continue;
        nothing++;
        printf("STALE  %s %s: there is no such access\n",
               group ? groups[i - row_count] : row->place, row->key);
    }
    for (int i = 0; i < key_count && !together; i++)
        printf("  %-8s %d\n", keys[i], used_by_key[i]);
    printf("%d sets of orders weakened together: %d caught, %d explained, %d UNEXPLAINED\n",
           groups_caught + groups_silent + groups_explained, groups_caught, groups_explained,
           groups_silent);
    printf("%d weakened orders: %d caught, %d explained, %d UNEXPLAINED; %d of them in no scene; "
           "%d reasons stale, %d for nothing\n",
           caught + explained_ + unexplained, caught, explained_, unexplained, unreached, stale,
           nothing);
    printf("%d of all those caught hang; %d could NOT BE EXPLORED\n", hung, broken);
    if (budget > 0)
        printf(
            "%d of %d weakenings were tried: all without a reason, and others as drawn by -r %llu; "
            "`make mutate` has all of them\n",
            begun, weakening_count, (unsigned long long)draw);
    return unexplained + groups_silent + nothing + stale + broken;
}

int main(int argc, char **argv)
{
    int option, passed = 0, failed = 0;
    int jobs = 2;
    double when_weakened = 0, budget = 0;
    uint64_t draw = 1;
    bool weaken = false, objected = false, hangs = false, unable = false;
    const char *only = NULL, *together = NULL, *write_to = NULL;
    while ((option = getopt(argc, argv, "t:s:mj:f:w:T:b:r:o:")) > 0)
        if (option == 't')
            seconds = strtod(optarg, NULL);
        else if (option == 's')
            seed = strtoull(optarg, NULL, 0);
        else if (option == 'm')
            weaken = true;
        else if (option == 'j')
            jobs = atoi(optarg);
        else if (option == 'T')
            when_weakened = strtod(optarg, NULL);
        else if (option == 'b')
            budget = strtod(optarg, NULL);
        else if (option == 'r')
            draw = strtoull(optarg, NULL, 0);
        else if (option == 'f')
            only = optarg;
        else if (option == 'o')
            write_to = optarg;
        else if (option == 'w')
            together = optarg;
        else
            return 2;
    if (weaken || together)
        read_reasons("tests/orders.txt");
    static const int endings[] = {SIGTERM, SIGINT, SIGHUP};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        (void)sigaction(endings[i], &(struct sigaction){.sa_handler = on_term}, NULL);
    remove_old_spaces();
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
        x_verdict v = look(&scenes[i], NULL, 1);
        passed += v == X_HOLDS;
        failed += v != X_HOLDS;
        objected |= v == X_OBJECTS;
        hangs |= v == X_HANGS;
        unable |= v == X_UNABLE;
        if (v != X_HOLDS)
            printf("  %s: FAILED%s\n", scenes[i].name,
                   v == X_OBJECTS ? ""
                   : v == X_HANGS ? ": it hangs"
                                  : ": it could not be explored");
    }
    seconds = when_weakened > 0 ? when_weakened : seconds;
    if (weaken || together)
        failed += weaken_all(jobs, only, together, budget, draw, write_to);
    uint64_t executions = 0, complete = 0;
    for (int i = 0; i < SCENES; i++) {
        executions += sum->executions[i];
        complete += sum->complete[i];
    }
    printf("%d scenes, %llu executions, %llu deaths, %llu bounds explored in full\n",
           passed + failed, (unsigned long long)executions, (unsigned long long)sum->deaths,
           (unsigned long long)complete);
    printf("%d passed, %d failed\n", passed, failed);
    if (weaken || together || unable || passed + failed == 0)
        return failed != 0 || passed == 0;
    return objected ? X_OBJECTS : hangs ? X_HANGS : X_HOLDS;
}
