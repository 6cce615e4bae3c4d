/* A hostile member that rewrites shared words while they are used: played between any two atomic
 * accesses of the library, so that it never misses its moment. Nobody may be held up for ever, nor
 * be led out of the mapping. */
#define HORUSI_ATOMICS "tests/fuzz/atomics.h"
#define HORUS_IMPLEMENTATION
#include "../horus.h"
#include "test.h"

/* Called before each access of shared (or private) words; it uses no atomics of the library. */
static void (*meddle)(const volatile void *at);
static uint64_t accesses;
static void fuzz_step(const volatile void *at)
{
    void (*m)(const volatile void *) = meddle;
    accesses++;
    if (m)
        m(at);
}
static void meddle_with(void (*m)(const volatile void *at))
{
    accesses = 0;
    (void)signal(SIGALRM, SIG_DFL);
    (void)alarm(m ? 20 : 0); /* what is held up ends here */
    meddle = m;
}

static horus_topic *open_in(horus_context *c, const char *name, horus_topic_desc d)
{
    horus_topic *t;
    d.context = c;
    REQUIRE_OK(horus_topic_open(&t, name, &d));
    return t;
}
__attribute__((unused)) static horus_result send(horus_topic *t, uint64_t n)
{
    return horus_topic_send(t, &n, sizeof n, HORUS_NO_WAIT);
}
__attribute__((unused)) static horus_topic *sender, *reader;
static uint64_t *word; /* what is rewritten */
__attribute__((unused)) static uint64_t hits;

/* ---- loops over words that change for ever */

static void change_lane(const volatile void *at)
{
    if (at == word)
        *word += 1ull << 32; /* a live lane of ever another incarnation */
}
TEST(a_lane_that_changes_for_ever_does_not_hold_up_an_open)
{
    horus_context *c = join(2 * MiB);
    horus_topic *t;
    sender = open_in(c, "t", (horus_topic_desc){.flags = HORUS_PUBLISHER});
    word = (uint64_t *)&sender->out->lane->word;
    *(uint64_t *)&sender->out->lane->ring = 0; /* its ring cannot be had */
    meddle_with(change_lane);
    CHECK_OK(horus_topic_open(&t, "t", &(horus_topic_desc){.context = c}));
    meddle_with(NULL);
    horus_topic_close(t);
}

static void change_epoch(const volatile void *at)
{
    if (at == word)
        ++*(uint32_t *)word; /* the lower half: its generation stays */
}
TEST(an_epoch_that_changes_for_ever_does_not_hold_up_a_receive)
{
    horus_context *c = join(2 * MiB);
    horus_tensor t, got;
    int64_t shape = 100;
    sender = open_in(c, "t", (horus_topic_desc){.context = c});
    REQUIRE_OK(horus_tensor_alloc(&t, pool_of(c), HORUS_U8, 1, &shape, 0));
    CHECK_OK(horus_topic_send_tensor(sender, &t, 0));
    word = (uint64_t *)&t.frame.pool->slot[t.frame.slot].word;
    meddle_with(change_epoch);
    CHECK_RESULT(horus_topic_receive_tensor(sender, &got, NULL, 0), HORUS_EMPTY);
    meddle_with(NULL);
    CHECK_OK(horus_tensor_release(&t));
}
static void change_used(const volatile void *at)
{
    if (at == word)
        *(uint32_t *)word ^= 3; /* 1 and 2 */
}
TEST(a_count_of_headers_that_changes_for_ever_does_not_hold_up_an_alloc)
{
    horus_context *c = join(2 * MiB);
    horus_frame f;
    horus_pool *p = pool_of(c);
    REQUIRE_OK(horus_frame_alloc(&f, p, 100, 0, NULL));
    word = (uint64_t *)(void *)&p->granule[f.slot >> p->blocks_log2].used;
    *(uint32_t *)word = 1;
    meddle_with(change_used);
    horus_result r = horus_frame_alloc(&f, p, 100, 0, NULL);
    CHECK(r == HORUS_OK || r == HORUS_E_POOL_FULL);
    meddle_with(NULL);
}
TEST(a_count_of_handles_that_changes_for_ever_does_not_hold_up_an_open)
{
    horus_context *c = join(2 * MiB);
    horus_topic *t;
    sender = open_in(c, "t", (horus_topic_desc){0});
    for (int i = 0; i < 6; i++)
        (void)open_in(c, "t", (horus_topic_desc){0});
    word = (uint64_t *)(void *)&sender->shm->subs_used;
    *(uint32_t *)word = 1;
    meddle_with(change_used);
    CHECK_OK(horus_topic_open(&t, "t", &(horus_topic_desc){.context = c}));
    meddle_with(NULL);
}

static void change_seq(const volatile void *at)
{
    if (at == word) /* there, and gone before it was read */
        *word ^= 1;
}
TEST(an_entry_that_comes_and_goes_for_ever_does_not_hold_up_a_receive)
{
    horus_context *c = join(2 * MiB);
    uint64_t n;
    for (unsigned phase = 0; phase < 4; phase++) {
        sender = open_in(c, "t", (horus_topic_desc){.capacity = 4});
        reader = open_in(c, "t", (horus_topic_desc){0});
        CHECK_OK(send(sender, 1));
        word = (uint64_t *)&horusi_entry_at(sender->out->entries, sender->out->stride, 0)->seq;
        *word ^= phase & 1;
        meddle_with(change_seq);
        if (phase < 2)
            (void)horus_topic_receive(reader, &n, sizeof n, NULL, 0);
        else
            (void)horus_topic_peek(reader, &n, sizeof n, NULL);
        meddle_with(NULL);
        horus_topic_close(reader);
        horus_topic_close(sender);
    }
}
/* Whatever the reader wants next is there, and nonsense. */
static void feed_nonsense(const volatile void *at)
{
    const horusi_in *in = &reader->in[0];
    for (uint32_t i = 0; i < in->ring.capacity; i++) {
        horusi_entry *e = horusi_entry_at(in->ring.entries, in->ring.stride, i);
        if (at != (const volatile void *)&e->seq)
            continue;
        *(uint64_t *)&e->seq = 2 * in->next;
        *(uint32_t *)&e->size = 0x00ffffff;
        if (in->ring.claims) {
            *(uint64_t *)&e->seq = 2 * (in->next - (reader->claim != NULL));
            *(uint64_t *)&in->ring.claims[i] =
                horusi_claim_word(in->next, 0, 0, HORUSI_CLAIM_READY);
        }
    }
}
TEST(nonsense_without_end_does_not_hold_up_a_receive_nor_its_timeout)
{
    horus_context *c = join(2 * MiB);
    uint64_t n, begin;
    for (unsigned policy = 1; policy <= 3; policy++) {
        char name[] = {(char)('a' + policy), 0};
        horus_topic_desc d = {.capacity = 4, .policy = (horus_policy)policy};
        sender = open_in(c, name, d);
        reader = open_in(c, name, (horus_topic_desc){0});
        CHECK_OK(send(sender, 1));
        CHECK_OK(horus_topic_peek(reader, &n, sizeof n, NULL));
        meddle_with(feed_nonsense);
        CHECK_RESULT(horus_topic_receive(reader, &n, sizeof n, NULL, 0), HORUS_EMPTY);
        CHECK_RESULT(horus_topic_peek(reader, &n, sizeof n, NULL), HORUS_EMPTY);
        begin = horus_now_ns();
        CHECK_RESULT(horus_topic_receive(reader, &n, sizeof n, NULL, 20000000), HORUS_TIMEOUT);
        CHECK(horus_now_ns() - begin >= 20000000);
        meddle_with(NULL);
        horus_topic_close(reader);
        horus_topic_close(sender);
    }
}

static uint64_t other_ring, *ring_word;
static void change_ring(const volatile void *at)
{
    if (at != word)
        return;
    ++*(uint32_t *)word; /* the version: look anew */
    if (hits++ & 1)
        return; /* it is looked at twice before each look at the lanes */
    uint64_t now = *ring_word;
    *ring_word = other_ring;
    other_ring = now;
}
TEST(a_lane_that_names_another_ring_for_ever_does_not_hold_up_a_receive)
{
    horus_context *c = join(4 * MiB);
    uint64_t n;
    sender = open_in(c, "t", (horus_topic_desc){.capacity = 4, .flags = HORUS_PUBLISHER});
    horus_topic *second =
        open_in(c, "u", (horus_topic_desc){.capacity = 4, .flags = HORUS_PUBLISHER});
    reader = open_in(c, "t", (horus_topic_desc){0});
    ring_word = (uint64_t *)&sender->out->lane->ring;
    other_ring = *(uint64_t *)&second->out->lane->ring;
    word = (uint64_t *)(void *)&sender->shm->version;
    meddle_with(change_ring);
    (void)horus_topic_receive(reader, &n, sizeof n, NULL, 0);
    (void)horus_topic_peek(reader, &n, sizeof n, NULL);
    (void)horus_topic_drain(reader, NULL);
    meddle_with(NULL);
    horus_topic_close(reader);
}

static uint64_t next_seq;
static void count_down(const volatile void *at)
{
    const horusi_out *o = sender->out;
    for (uint32_t i = 0; i < o->capacity; i++)
        if (at == (const volatile void *)&horusi_entry_at(o->entries, o->stride, i)->seq)
            *(uint64_t *)(uintptr_t)at = 2 * next_seq--;
}
TEST(history_ends_after_a_ring_whatever_its_entries_say)
{
    horus_context *c = join(2 * MiB);
    horus_topic *t;
    sender = open_in(c, "t", (horus_topic_desc){.capacity = 4});
    CHECK_OK(send(sender, 1));
    next_seq = 1ull << 40;
    *(uint64_t *)&sender->out->lane->head = next_seq;
    meddle_with(count_down);
    CHECK_OK(horus_topic_open(&t, "t", &(horus_topic_desc){.context = c, .history = UINT32_MAX}));
    CHECK(t->in[0].begin - t->in[0].next <= 4);
    meddle_with(NULL);
    horus_topic_close(t);
}

static horus_context *victim;
static uint32_t orphans;
static void make_orphan(const volatile void *at)
{
    horusi_row *row = &victim->pool->rows[7];
    if (at != (const volatile void *)&row->word)
        return;
    orphans += *(uint32_t *)&row->word == HORUSI_ROW_FREE;
    *(uint64_t *)&row->word = horusi_pair(1, HORUSI_ROW_DEAD);
    *(uint64_t *)&sender->out->lane->word = horusi_owner(1, 7, HORUSI_LANE_ORPHAN);
}
TEST(dead_members_without_end_do_not_hold_up_an_alloc)
{
    horus_frame f;
    horus_result r = HORUS_OK;
    victim = join_desc((horus_context_desc){
        .pool_bytes = 128 << 10, .granule_bytes = 4096, .max_topics = 4, .label = "tester"});
    sender = open_in(victim, "t", (horus_topic_desc){.capacity = 4, .flags = HORUS_PUBLISHER});
    while (r == HORUS_OK)
        r = horus_frame_alloc(&f, pool_of(victim), 4096, HORUS_UNINIT, NULL);
    CHECK_EQ(r, HORUS_E_POOL_FULL);
    meddle_with(make_orphan);
    CHECK_RESULT(horus_frame_alloc(&f, pool_of(victim), 4096, HORUS_UNINIT, NULL),
                 HORUS_E_POOL_FULL);
    CHECK(orphans > 10);
    meddle_with(NULL);
}

static void ring_always(const volatile void *at)
{
    if (at == word)
        ++*(uint32_t *)word;
}
static void child_reads_and_dies(void *arg)
{
    horus_context *c = join(2 * MiB);
    horus_topic *t = open_in(c, "t", (horus_topic_desc){0});
    uint64_t n;
    (void)arg;
    CHECK_RESULT(horus_topic_receive(t, &n, sizeof n, NULL, 0), HORUS_EMPTY);
    test_raise(0);
    test_stay();
}
/* A doorbell may ring for other topics of the process, too: a thousand times a second, or for ever. */
TEST(a_doorbell_that_always_rings_does_not_hide_the_death_of_a_reader)
{
    horus_context *c = join(2 * MiB);
    sender = open_in(c, "t", (horus_topic_desc){.capacity = 2, .policy = HORUS_RELIABLE});
    pid_t pid = test_fork(child_reads_and_dies, NULL);
    test_await(0);
    CHECK_OK(send(sender, 1));
    CHECK_OK(send(sender, 2));
    CHECK_RESULT(send(sender, 3), HORUS_FULL);
    word = (uint64_t *)(void *)&c->pool->rows[c->row].doorbell;
    pid_t killer = fork();
    if (killer == 0) {
        test_sleep_us(300000);
        (void)kill(pid, SIGKILL);
        _exit(0);
    }
    meddle_with(ring_always);
    uint64_t n = 3;
    CHECK_OK(horus_topic_send(sender, &n, sizeof n, 10000000000));
    meddle_with(NULL);
    (void)test_wait(killer);
    (void)test_wait(pid);
    horus_topic_close(sender);
}
/* How long this thread has been ready to run and was not let: the machine's doing, not ours. */
static uint64_t kept_waiting_ns(void)
{
    char text[96] = "";
    unsigned long long ran = 0, waited = 0;
    int fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && read(fd, text, sizeof text - 1) > 0)
        (void)sscanf(text, "%llu %llu", &ran, &waited);
    if (fd >= 0)
        close(fd);
    return waited;
}
TEST(a_doorbell_that_always_rings_does_not_hide_that_the_file_is_gone)
{
    horus_context *c = join(2 * MiB);
    uint64_t n;
    reader = open_in(c, "t", (horus_topic_desc){0});
    word = (uint64_t *)(void *)&c->pool->rows[c->row].doorbell;
    REQUIRE(unlink(c->path) == 0);
    meddle_with(ring_always);
    uint64_t fastest =
        UINT64_MAX; /* it looks each 100 ms; a machine may delay one by its own doings */
    for (int i = 0; i < 5 && fastest > 150000000; i++) {
        uint64_t begin = horus_now_ns() - kept_waiting_ns();
        CHECK_RESULT(horus_topic_receive(reader, &n, sizeof n, NULL, 10000000000), HORUS_E_GONE);
        uint64_t took = horus_now_ns() - kept_waiting_ns() - begin;
        fastest = took < fastest ? took : fastest;
    }
    CHECK(fastest <= 150000000);
    meddle_with(NULL);
    char dir[400];
    (void)snprintf(dir, sizeof dir, "%s", c->path);
    *strrchr(dir, '/') = 0;
    horus_context_close(c);
    CHECK(rmdir(dir) == 0);
}

/* A publisher's ring has as many cursors as the topic had handles when the ring was made. */
TEST(a_count_of_handles_that_grows_later_is_not_believed)
{
    horus_context *c = join(2 * MiB);
    uint64_t n;
    sender = open_in(
        c, "t", (horus_topic_desc){.capacity = 1, .policy = HORUS_RELIABLE, .max_subscribers = 2});
    reader = open_in(c, "t", (horus_topic_desc){0});
    CHECK_OK(send(sender, 1));
    CHECK_OK(horus_topic_receive(reader, &n, sizeof n, NULL, 0));
    CHECK_OK(send(reader, 2)); /* a newer one, so that nobody needs the first */
    horusi_topic *shm = sender->shm;
    horusi_sub *third = &horusi_subs(shm, sender->max_lanes)[2];
    *(uint32_t *)&shm->max_subs = 3; /* what lies behind the cursors would be the third one's */
    *(uint64_t *)&third->word = horusi_owner(c->incarnation, c->row, HORUSI_SUB_ACTIVE);
    *(uint64_t *)&sender->out->cursors[2] = 1;
    horus_topic_close(sender);
    CHECK(c->outs && c->outs->next_out == NULL);
    *(uint32_t *)&shm->max_subs = 2;
    *(uint64_t *)&third->word = 0;
    horus_topic_close(reader);
}

TEST(a_frame_counts_for_as_much_when_it_goes_as_when_it_came)
{
    horus_context *c = join(2 * MiB);
    horus_tensor t;
    int64_t shape = 5000;
    sender = open_in(c, "t", (horus_topic_desc){.capacity = 4});
    for (int i = 0; i < 20; i++) {
        REQUIRE_OK(horus_tensor_alloc(&t, pool_of(c), HORUS_U8, 1, &shape, 0));
        CHECK_OK(horus_topic_send_tensor(sender, &t, 0));
        *(uint64_t *)&t.frame.pool->slot[t.frame.slot].bytes = i % 2 ? 1ull << 60 : 3;
        CHECK_OK(horus_tensor_release(&t));
        CHECK_EQ(sender->out->frame_bytes, 5000 * (i < 4 ? i + 1 : 4));
    }
    for (uint64_t i = 0; i < 4; i++)
        CHECK_OK(send(sender, i));
    CHECK_EQ(sender->out->frames, 0);
    CHECK_EQ(sender->out->frame_bytes, 0);
    horus_topic_close(sender);
}

TEST(clocks_and_stamps_that_make_no_sense_are_survived)
{
    horus_context *c = join(2 * MiB);
    horus_topic_stats stats;
    horus_info info;
    uint64_t n;
    static const uint64_t odd[] = {0, 1, 1ull << 62, 1ull << 63, UINT64_MAX, INT64_MAX};
    for (unsigned i = 0; i < 6 * 6 * 6; i++) {
        horus_topic *t = open_in(c, "t", (horus_topic_desc){.capacity = 4});
        horusi_header *h = c->pool->header;
        horusi_header good = *h;
        CHECK_OK(send(t, i));
        *(uint64_t *)&h->clock_ticks = i % 6 ? odd[i % 6] : horusi_ticks(h->clock) - 1;
        *(uint64_t *)&h->clock_ns = odd[i / 6 % 6];
        *(uint64_t *)&horusi_entry_at(t->out->entries, t->out->stride, 0)->stamp = odd[i / 36];
        *(uint64_t *)&t->out->lane->last = odd[i / 36];
        CHECK_OK(horus_topic_get_stats(t, &stats));
        CHECK_OK(horus_topic_receive(t, &n, sizeof n, &info, 0));
        CHECK_EQ(n, i);
        memcpy(h, &good, offsetof(horusi_header, changes));
        horus_topic_close(t);
    }
}

/* ---- granules whose shape makes no sense, or changes at the wrong moment */

static uint32_t becomes,
    when; /* what the word is made before it is looked at for the `when`th time */
static void change_shape(const volatile void *at)
{
    if (at == word && ++hits == when)
        *(uint32_t *)word = becomes;
}
/* Granule g, of shape `own`, which is `into` from its second look on (0: stays). */
static bool dissolves(horus_pool *p, uint32_t g, uint32_t own, uint32_t from, uint32_t into)
{
    word = (uint64_t *)(void *)&p->granule[g].own;
    *(uint32_t *)word = own;
    hits = 0, when = from, becomes = into;
    meddle_with(change_shape);
    bool done = horusi_dissolve(p, g, true);
    meddle_with(NULL);
    return done;
}
TEST(granules_whose_shape_makes_no_sense_or_changes_are_not_taken_apart)
{
    horus_context *c = join(2 * MiB);
    horus_pool *p = pool_of(c);
    horus_frame f;
    REQUIRE_OK(horus_frame_alloc(&f, p, 3 * p->granule_bytes, 0, NULL));
    uint32_t g = f.slot >> p->blocks_log2, head = horusi_own(HORUSI_HEAD, 3);
    CHECK_EQ(horusi_shape(p, g), head);
    CHECK(!horusi_dissolve(p, g, true)); /* held */
    CHECK(!horusi_dissolve(p, g + 2, true));
    horus_frame_release(&f);
    CHECK(!dissolves(p, g, horusi_own(HORUSI_BODY, g), 0, 0)); /* its own head; one behind it */
    CHECK(!dissolves(p, g, horusi_own(HORUSI_BODY, g + 1), 0, 0));
    CHECK(
        !dissolves(p, g, horusi_own(HORUSI_SPLIT, p->blocks_log2), 0, 0)); /* into less than one */
    CHECK(!dissolves(p, g, horusi_own(HORUSI_HEAD, p->granules), 0, 0));   /* beyond the end */
    CHECK(!dissolves(p, g, head, 2, horusi_own(HORUSI_SPLIT, 0))); /* somebody was there first */
    CHECK(!dissolves(p, g, horusi_own(HORUSI_SPLIT, 0), 2, head));
    CHECK(!dissolves(p, g, horusi_own(HORUSI_SPLIT, 0), 3, head));
    CHECK(dissolves(p, g, head, 0, 0));
    CHECK_EQ(horusi_shape(p, g), HORUSI_FREE);
    CHECK_EQ(horusi_shape(p, g + 2), HORUSI_FREE);
    REQUIRE_OK(
        horus_frame_alloc(&f, p, 3 * p->granule_bytes, 0, NULL)); /* and all of it is in order */
    horus_frame_release(&f);
}

static uint32_t sweeps_seen;
static void fill_directory(const volatile void *at)
{
    horusi_row *row = &victim->pool->rows[7];
    if (at != (const volatile void *)&row->word)
        return;
    sweeps_seen += *(uint32_t *)&row->word == HORUSI_ROW_FREE;
    *(uint64_t *)&row->word = horusi_pair(1, HORUSI_ROW_DEAD);
}
TEST(a_full_directory_and_dead_members_without_end_do_not_hold_up_an_open)
{
    horus_topic *t;
    victim = join_desc((horus_context_desc){
        .pool_bytes = 256 << 10, .granule_bytes = 4096, .max_topics = 2, .label = "tester"});
    (void)open_in(victim, "a", (horus_topic_desc){0});
    (void)open_in(victim, "b", (horus_topic_desc){0});
    meddle_with(fill_directory);
    CHECK_RESULT(horus_topic_open(&t, "c", &(horus_topic_desc){.context = victim}), HORUS_E_LIMIT);
    CHECK(sweeps_seen > 10 && sweeps_seen < 100);
    meddle_with(NULL);
}

/* ---- entries and descriptors that cannot be */

static horusi_entry *first_entry(horus_topic *t)
{
    return horusi_entry_at(t->out->entries, t->out->stride, 0);
}
/* A message whose entry says something else than what was sent is lost, and told as lost; the next
 * one arrives. */
static void check_passed_over(horus_topic *s, horus_topic *r, uint32_t size, const char *what)
{
    static uint8_t buffer[100000];
    horus_info info;
    memset(buffer, 0, sizeof buffer);
    atomic_store_explicit(&first_entry(s)->size, size, memory_order_relaxed);
    CHECK_OK(send(s, 77));
    horus_result got = horus_topic_receive(r, buffer, sizeof buffer, &info, 0);
    uint64_t n;
    memcpy(&n, buffer, sizeof n);
    if (got != HORUS_OK || n != 77 || info.lost != 1)
        test_failed(__FILE__, __LINE__, "%s (%x): %s, %llu, %llu lost", what, (unsigned)size,
                    test_result_name(got), (unsigned long long)n, (unsigned long long)info.lost);
}
TEST(entries_of_no_kind_or_size_are_passed_over)
{
    horus_context *c = join(2 * MiB);
    static const uint32_t kinds[] = {5, 0x7f, 0x81, 0xff, 1, 4, HORUSI_WIRE_BLOB};
    static const uint32_t sizes[] = {0, 23, 169, 0xffffff, 24};
    for (int policy = 1; policy <= 3; policy++)
        for (size_t i = 0; i < 36; i++) {
            if (kinds[i / 5 % 7] < 5 && i % 5 == 4 && i < 35)
                continue; /* a frame's, and long enough: see below */
            horus_topic_desc d = {.capacity = 4, .policy = (horus_policy)policy};
            char name[] = {(char)('a' + policy), 0};
            sender = open_in(c, name, d);
            reader = open_in(c, name, d);
            CHECK_RESULT(horus_topic_wait(reader, 0), HORUS_EMPTY);
            CHECK_OK(send(sender, 1));
            if (i < 35)
                check_passed_over(sender, reader, kinds[i / 5] << 24 | sizes[i % 5], "a kind");
            else /* larger than an entry, though the buffer has room */
                check_passed_over(sender, reader, 90000, "a size");
            horus_topic_close(reader);
            horus_topic_close(sender);
            horus_topic *rest = open_in(c, name, d); /* what a queue's dead message leaves */
            (void)horus_topic_drain(rest, NULL);
            horus_topic_close(rest);
        }
    check_balanced(pool_of(c));
    horus_context_close(c);
}
TEST(a_large_message_that_is_not_in_its_block_is_passed_over)
{
    static uint8_t large[5000];
    static const uint64_t sizes[] = {0, 9000, 1ull << 32, UINT64_MAX};
    horus_context *c = join(2 * MiB);
    for (int i = 0; i < 4; i++) {
        sender = open_in(c, "t", (horus_topic_desc){.capacity = 4});
        reader = open_in(c, "t", (horus_topic_desc){0});
        CHECK_OK(horus_topic_send(sender, large, sizeof large, 0));
        uint64_t *bytes = (uint64_t *)(void *)((uint8_t *)(first_entry(sender) + 1) + 24);
        CHECK_EQ(*bytes, 5000);
        *bytes = sizes[i];
        check_passed_over(sender, reader, *(uint32_t *)&first_entry(sender)->size, "a large one");
        horus_topic_close(reader);
        horus_topic_close(sender);
    }
    check_balanced(pool_of(c));
    horus_context_close(c);
}

/* A descriptor whose words do not fit its slot is an error that says so, and holds nothing. */
TEST(descriptors_that_do_not_fit_their_slot_are_refused)
{
    horus_context *c = join(4 * MiB);
    horus_tensor t, no_tensor;
    horus_image m, no_image;
    horus_depth d, no_depth;
    horus_cloud p, no_cloud;
    int64_t shape[2] = {8, 9};
    REQUIRE_OK(horus_tensor_alloc(&t, pool_of(c), HORUS_U16, 2, shape, 0));
    REQUIRE_OK(horus_image_alloc(&m, pool_of(c), 8, 9, HORUS_RGB8, 0));
    REQUIRE_OK(horus_depth_alloc(&d, pool_of(c), 8, 9, HORUS_F32, 0));
    REQUIRE_OK(horus_cloud_alloc(&p, pool_of(c), 8, 3, HORUS_F32, 0));
    /* each 32-bit word of each kind's descriptor behind the name of its slot, and its length */
    for (uint32_t kind = HORUS_KIND_TENSOR; kind <= HORUS_KIND_CLOUD; kind++)
        for (uint32_t w = 3; w < 16; w++)
            for (int v = 0; v < 6; v++) {
                static const uint32_t bad[] = {0, 1, 0xffffffff, 0x80000000, 0x10000, 0x63636363};
                sender = open_in(c, "t", (horus_topic_desc){.capacity = 4, .message_bytes = 168});
                reader = open_in(c, "t", (horus_topic_desc){0});
                uint32_t used = stats_of(pool_of(c)).used_slots;
                horus_result r = kind == HORUS_KIND_TENSOR  ? horus_topic_send_tensor(sender, &t, 0)
                                 : kind == HORUS_KIND_IMAGE ? horus_topic_send_image(sender, &m, 0)
                                 : kind == HORUS_KIND_DEPTH ? horus_topic_send_depth(sender, &d, 0)
                                                            : horus_topic_send_cloud(sender, &p, 0);
                CHECK_OK(r);
                used += stats_of(pool_of(c)).used_slots - used; /* its ring */
                horusi_entry *e = first_entry(sender);
                if (w == 15)
                    *(uint32_t *)&e->size = kind << 24 | 24;
                else
                    ((uint32_t *)(void *)(e + 1))[w] = bad[v];
                switch (kind) {
                case HORUS_KIND_TENSOR:
                    r = horus_topic_receive_tensor(reader, &no_tensor, NULL, 0);
                    r == HORUS_OK ? (void)horus_tensor_release(&no_tensor) : (void)0;
                    CHECK_ZERO(no_tensor);
                    break;
                case HORUS_KIND_IMAGE:
                    r = horus_topic_receive_image(reader, &no_image, NULL, 0);
                    r == HORUS_OK ? (void)horus_image_release(&no_image) : (void)0;
                    CHECK_ZERO(no_image);
                    break;
                case HORUS_KIND_DEPTH:
                    r = horus_topic_receive_depth(reader, &no_depth, NULL, 0);
                    r == HORUS_OK ? (void)horus_depth_release(&no_depth) : (void)0;
                    CHECK_ZERO(no_depth);
                    break;
                default:
                    r = horus_topic_receive_cloud(reader, &no_cloud, NULL, 0);
                    r == HORUS_OK ? (void)horus_cloud_release(&no_cloud) : (void)0;
                    CHECK_ZERO(no_cloud);
                    break;
                }
                CHECK(r == HORUS_OK || r == HORUS_E_CORRUPT);
                if (w == 15)
                    CHECK_RESULT(r, HORUS_E_CORRUPT);
                if (w == 6 && bad[v] == 0xffffffff) /* as wide, or as long, as nothing can be */
                    CHECK_RESULT(r, HORUS_E_CORRUPT);
                if (w == 6 && bad[v] == 0 && (kind == HORUS_KIND_IMAGE || kind == HORUS_KIND_DEPTH))
                    CHECK_RESULT(r, HORUS_E_CORRUPT);
                if (w == 8 && bad[v] == 0 && kind == HORUS_KIND_CLOUD) /* points of no fields */
                    CHECK_RESULT(r, HORUS_E_CORRUPT);
                CHECK_EQ(stats_of(pool_of(c)).used_slots, used);
                horus_topic_close(reader);
                horus_topic_close(sender);
            }
    CHECK_OK(horus_tensor_release(&t));
    CHECK_OK(horus_image_release(&m));
    CHECK_OK(horus_depth_release(&d));
    CHECK_OK(horus_cloud_release(&p));
    check_balanced(pool_of(c));
    horus_context_close(c);
}
TEST(a_frame_id_without_an_end_ends)
{
    horus_context *c = join(2 * MiB);
    horus_frame f;
    char id[HORUS_FRAME_ID_BYTES];
    REQUIRE_OK(horus_frame_alloc(&f, pool_of(c), 100, 0, NULL));
    memset((void *)pool_of(c)->slot[f.slot].frame_id, 'x', HORUS_FRAME_ID_BYTES);
    CHECK_OK(horus_frame_get_id(&f, id));
    CHECK_EQ(strlen(id), HORUS_FRAME_ID_BYTES - 1);
    CHECK_OK(horus_frame_release(&f));
    horus_context_close(c);
}

/* ---- what changes at the very moment that it is used */

static uint32_t countdown;
static uint64_t other_value;
static bool narrow; /* 32 bits of it */
static void change_once(const volatile void *at)
{
    if (at != word || countdown == 0 || --countdown > 0)
        return;
    if (narrow)
        *(uint32_t *)word = (uint32_t)other_value;
    else
        *word = other_value;
    hits++;
}
static void change_each_time(const volatile void *at)
{
    if (at == word) { /* the other value at each look */
        uint32_t now = *(uint32_t *)word;
        *(uint32_t *)word = (uint32_t)other_value;
        other_value = now;
        hits++;
    }
}
static void change_at(void *at, uint32_t look, uint64_t value, bool narrow_)
{
    word = at;
    countdown = look;
    other_value = value;
    narrow = narrow_;
    hits = 0;
    meddle_with(change_once);
}
TEST(a_topic_that_is_damaged_while_it_is_opened_is_refused_or_replaced)
{
    horus_context *c = join(4 * MiB);
    unsigned met = 0, refused = 0;
    for (int field = 0; field < 5; field++)
        for (uint32_t look = 1; look <= 8; look++) {
            horus_topic *t = NULL;
            static const uint32_t bad[] = {0, 0, 8, 1u << 24,
                                           4096}; /* the last: more than there is room for */
            sender = open_in(c, "t", (horus_topic_desc){.capacity = 4});
            horusi_topic *shm = sender->shm;
            horusi_a32 *at = field == 0 || field == 4 ? &shm->max_lanes
                             : field == 1             ? &shm->max_subs
                                                      : &shm->message_bytes;
            uint32_t was = *(uint32_t *)at;
            change_at(at, look, bad[field], true);
            horus_result r = horus_topic_open(&t, "t", &(horus_topic_desc){.context = c});
            meddle_with(NULL);
            met += hits != 0;
            refused += r != HORUS_OK;
            CHECK(r == HORUS_OK || r == HORUS_E_CORRUPT);
            CHECK(look > 1 || hits == 0 || r != HORUS_OK || t->shm != shm); /* not as it is */
            *(uint32_t *)at = was;
            if (r == HORUS_OK) { /* its entries may be of another size than all others think */
                uint64_t n = 5, got = 5;
                CHECK_OK(horus_topic_send(t, &n, sizeof n, 0));
                if (horus_topic_receive(t, &got, sizeof got, NULL, 0) == HORUS_OK)
                    CHECK_EQ(got, 5);
            } else {
                CHECK(t == NULL);
                CHECK_TEXT(horus_last_error(), "damaged");
            }
            horus_topic_close(t);
            horus_topic_close(sender);
        }
    CHECK(met >= 8);
    for (int phase = 0; phase < 2; phase++) { /* right when it is found, wrong when it is used */
        horus_topic *t;
        sender = open_in(c, "t", (horus_topic_desc){.capacity = 4});
        uint32_t was = *(uint32_t *)(void *)&sender->shm->max_lanes;
        word = (uint64_t *)(void *)&sender->shm->max_lanes;
        other_value = phase ? 0 : was;
        *(uint32_t *)word = phase ? was : 0;
        meddle_with(change_each_time);
        horus_result r = horus_topic_open(&t, "t", &(horus_topic_desc){.context = c});
        meddle_with(NULL);
        refused += r == HORUS_E_CORRUPT;
        CHECK(r == HORUS_OK || strstr(horus_last_error(), "damaged"));
        *(uint32_t *)word = was;
        horus_topic_close(t);
        horus_topic_close(sender);
    }
    CHECK(refused > 0);
    horus_context_close(c);
}
/* Somebody else is quicker: takes the place among the handles, or the lane, that we had looked at. */
TEST(a_place_that_another_takes_first_is_left_to_it)
{
    horus_context *c = join(4 * MiB);
    uint64_t n = 0;
    horus_topic *first = open_in(c, "t", (horus_topic_desc){.capacity = 4}), *t;
    horusi_sub *subs = horusi_subs(first->shm, first->max_lanes);
    uint64_t theirs = horusi_owner(c->incarnation, c->row, HORUSI_SUB_IDLE);
    CHECK_EQ(first->sub_index, 0);
    change_at((void *)&subs[1].word, 2, theirs, false);
    REQUIRE_OK(horus_topic_open(&t, "t", &(horus_topic_desc){.context = c}));
    meddle_with(NULL);
    CHECK_EQ(hits, 1);
    CHECK_EQ(t->sub_index, 2);
    horusi_lane *lanes = horusi_lanes(first->shm);
    theirs = horusi_owner(c->incarnation, c->row, HORUSI_LANE_CLAIMED);
    change_at((void *)&lanes[0].word, 2, theirs, false);
    CHECK_OK(send(t, 3));
    meddle_with(NULL);
    CHECK_EQ(hits, 1);
    CHECK(t->out->lane == &lanes[1]);
    CHECK_OK(horus_topic_receive(first, &n, sizeof n, NULL, 0));
    CHECK_EQ(n, 3);
    *(uint64_t *)&lanes[0].word = 0;
    *(uint64_t *)&subs[1].word = 0;
    horus_topic_close(t);
    horus_topic_close(first);
    check_balanced(pool_of(c));
    horus_context_close(c);
}
/* What a publisher that died at the worst moment leaves: an entry that its count does not know. */
TEST(a_ring_without_claims_beside_a_claim_of_another_is_survived)
{
    horus_context *c = join(4 * MiB);
    horus_topic *t[3]; /* one that sends, another, and a reader */
    horus_topic_stats stats;
    uint64_t n = 1;
    for (int i = 0; i < 3; i++)
        t[i] = open_in(c, "t", (horus_topic_desc){.capacity = 4, .policy = HORUS_QUEUE});
    CHECK_OK(horus_topic_send(t[0], &n, sizeof n, 0));
    CHECK_OK(horus_topic_receive(t[2], &n, sizeof n, NULL, 0)); /* and has it, until the next */
    horusi_a32 *policy = &t[2]->shm->policy;
    atomic_store(policy, HORUS_OVERWRITE);
    CHECK_OK(horus_topic_send(t[1], &n, sizeof n, 0));
    CHECK_OK(horus_topic_get_stats(t[2], &stats)); /* finds that ring */
    CHECK_EQ(t[2]->in_count, 2);
    CHECK(t[2]->claim && !t[2]->in[1].ring.claims);
    horusi_a64 *lane = &horusi_lanes(t[2]->shm)[t[2]->in[1].lane].word;
    uint64_t was = atomic_exchange(lane, 0);
    CHECK_OK(horus_topic_get_stats(t[2], &stats)); /* and that it is over */
    CHECK(t[2]->claim && t[2]->in[1].gone);
    atomic_store(lane, was);
    atomic_store(policy, HORUS_QUEUE);
    horus_topic_close(t[1]);
    horus_topic_close(t[2]);
    horus_topic_close(t[0]);
    horus_context_close(c);
}
TEST(an_entry_that_is_not_counted_yet_is_neither_skipped_nor_lost)
{
    horus_context *c = join(4 * MiB);
    uint64_t n, count;
    sender = open_in(c, "t", (horus_topic_desc){.capacity = 8});
    reader = open_in(c, "t", (horus_topic_desc){0});
    CHECK_OK(send(sender, 1));
    *(uint64_t *)&sender->out->lane->head = 0;
    CHECK_RESULT(horus_topic_skip_to_latest(reader, &count), HORUS_EMPTY);
    CHECK_EQ(count, 0);
    CHECK_OK(horus_topic_receive(reader, &n, sizeof n, NULL, 0));
    CHECK_EQ(n, 1);
    CHECK_OK(send(sender, 2));
    *(uint64_t *)&sender->out->lane->head = 1;
    CHECK_OK(horus_topic_drain(reader, &count));
    CHECK_EQ(count, 1);
    CHECK_RESULT(horus_topic_receive(reader, &n, sizeof n, NULL, 0), HORUS_EMPTY);
    horus_topic_close(reader);
    horus_topic_close(sender);
    horus_context_close(c);
}
