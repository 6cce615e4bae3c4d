/* Long random runs against a simple model: several members of one namespace open, close, send,
 * receive, hold, skip, drain, come and go. After every step what each handle gets must be what the
 * model says, what is held must be unchanged, and the books must balance. */
#define HORUS_IMPLEMENTATION
#include "../horus.h"
#include "test.h"

enum { MEMBERS = 3, TOPICS = 6, HANDLES = 14, HELD = 10, MAX_SENT = 1 << 15 };

typedef struct message { /* what was sent: it can be worked out from the number alone */
    uint32_t topic, publisher, size;
    uint8_t kind;      /* 0: inline, 1: large, 2: frame */
    uint8_t delivered; /* of a queue */
} message;

typedef struct handle {
    horus_topic *t;
    uint32_t topic, member;
    bool exact; /* got + lost is all that was sent since the opening */
    bool sent_first, received;
    uint64_t begin;               /* messages of the topic when it was opened */
    uint64_t got, lost;           /* since then */
    uint32_t publisher;           /* of what it sends */
    uint32_t last[MAX_SENT >> 5]; /* per publisher: the newest that it got */
} handle;

typedef struct held {
    horus_tensor t;
    uint32_t number, member;
} held;

static horus_context *member[MEMBERS];
static handle handles[HANDLES];
static held kept[HELD];
static message sent[MAX_SENT];
static uint32_t sent_count, publishers;
static uint64_t of_topic[TOPICS], delivered[TOPICS];
static bool pressure; /* memory may run out: then messages of closed handles may go */
static const horus_policy policies[TOPICS] = {HORUS_OVERWRITE, HORUS_OVERWRITE, HORUS_RELIABLE,
                                              HORUS_RELIABLE,  HORUS_QUEUE,     HORUS_QUEUE};
static const char *const names[TOPICS] = {"over/a", "over/b",  "rely:a",
                                          "rely:b", "queue.a", "queue.b"};

static uint8_t byte_of(uint32_t number, uint32_t at) { return (uint8_t)(number * 7 + at * 13 + 1); }
static void fill(uint8_t *data, uint32_t number, uint32_t size)
{
    memcpy(data, &number, 4);
    for (uint32_t i = 4; i < size; i++)
        data[i] = byte_of(number, i);
}
static bool intact(const uint8_t *data, uint32_t number, uint32_t size)
{
    uint32_t n;
    memcpy(&n, data, 4);
    bool good = n == number;
    for (uint32_t i = 4; i < size && good; i += i < 64 || i + 64 > size ? 1 : 61)
        good = data[i] == byte_of(number, i);
    return good;
}

static void join_as(uint32_t m)
{
    horus_context_desc d = {.pool_bytes = (pressure ? 3 : 48) * MiB};
    REQUIRE_OK(horus_context_open(&member[m], &d));
}
static horus_pool *some_pool(uint32_t m)
{
    horus_pool *p;
    horus_pool_desc d = {.context = member[m], .pool_bytes = (pressure ? 1 : 16) * MiB};
    REQUIRE_OK(horus_pool_open(&p, rng() % 4 ? NULL : "second", &d));
    return p;
}

static void open_one(handle *h)
{
    memset(h, 0, sizeof *h);
    h->topic = rng() % TOPICS;
    h->member = rng() % MEMBERS;
    horus_topic_desc d = {.context = member[h->member],
                          .policy = policies[h->topic],
                          .capacity = rng() % 4 ? 1 + rng() % 24 : 0,
                          .message_bytes = 120,
                          .history = rng() % 6 ? 0 : rng() % 10,
                          .flags = rng() % 4 ? 0 : HORUS_PUBLISHER};
    for (int i = 0; i < HANDLES; i++) /* somebody else's handle keeps the policy */
        if (&handles[i] != h && handles[i].t && handles[i].topic == h->topic && rng() % 4 == 0)
            d.policy = HORUS_POLICY_ANY;
    horus_result r = horus_topic_open(&h->t, names[h->topic], &d);
    if (r != HORUS_OK) {
        CHECK(pressure && r == HORUS_E_POOL_FULL);
        return;
    }
    h->begin = of_topic[h->topic];
    h->exact = d.history == 0;
    h->publisher = publishers++;
    REQUIRE(publishers < MAX_SENT >> 5);
}
static void close_one(handle *h)
{
    horus_topic_close(h->t);
    h->t = NULL;
}

static void send_one(handle *h)
{
    static uint8_t data[60000];
    uint32_t number = sent_count, kind = rng() % 3, size;
    horus_result r;
    if (number + 1 >= MAX_SENT)
        return;
    size = kind == 0 ? 8 + rng() % 112 : 121 + rng() % (rng() % 4 ? 3000 : 50000);
    if (kind == 2) {
        horus_tensor t;
        int64_t shape = size;
        r = horus_tensor_alloc(&t, some_pool(h->member), HORUS_U8, 1, &shape, rng() % 2);
        if (r != HORUS_OK) {
            CHECK(pressure && r == HORUS_E_POOL_FULL);
            return;
        }
        fill(t.data, number, size);
        r = horus_topic_send_tensor(h->t, &t, HORUS_NO_WAIT);
        CHECK_OK(horus_tensor_release(&t));
    } else {
        fill(data, number, size);
        r = horus_topic_send(h->t, data, size, HORUS_NO_WAIT);
    }
    if (r != HORUS_OK) {
        CHECK((r == HORUS_FULL && policies[h->topic] != HORUS_OVERWRITE) ||
              (pressure && r == HORUS_E_POOL_FULL));
        return;
    }
    h->sent_first |= !h->received;
    sent[sent_count++] = (message){h->topic, h->publisher, size, (uint8_t)kind, 0};
    of_topic[h->topic]++;
}

/* What arrived is what was sent, in order, and the counts agree. */
static void check_arrival(handle *h, uint32_t number, const uint8_t *data, const horus_info *info)
{
    REQUIRE(number < sent_count);
    message *m = &sent[number];
    CHECK_EQ(m->topic, h->topic);
    CHECK(intact(data, number, m->size));
    CHECK_EQ(info->kind, m->kind == 2 ? HORUS_KIND_TENSOR : HORUS_KIND_MESSAGE);
    if (m->kind != 2)
        CHECK_EQ(info->size, m->size);
    CHECK(!info->redelivered);
    h->got++;
    h->lost += info->lost;
    if (policies[h->topic] == HORUS_QUEUE) {
        CHECK_EQ(m->delivered, 0);
        m->delivered = 1;
        delivered[h->topic]++;
        return;
    }
    CHECK(number + 1 > h->last[m->publisher]); /* in order, each once */
    h->last[m->publisher] = number + 1;
    if (policies[h->topic] == HORUS_RELIABLE && !h->sent_first && !pressure)
        CHECK_EQ(h->lost, 0);
}
/* There is nothing more: then the sums must be right. */
static void check_sums(handle *h)
{
    if (policies[h->topic] == HORUS_QUEUE) {
        if (!pressure)
            CHECK_EQ(delivered[h->topic], of_topic[h->topic]);
        return;
    }
    if (h->exact) /* what was lost on the way here comes with the next message */
        CHECK_EQ(h->got + h->lost + h->t->lost, of_topic[h->topic] - h->begin);
    horus_topic_stats s;
    CHECK_OK(horus_topic_get_stats(h->t, &s));
    CHECK_EQ(s.pending, 0);
}

static void receive_one(handle *h)
{
    static uint8_t data[60000];
    horus_info info, seen;
    horus_tensor t;
    uint32_t number;
    bool peeked = rng() % 4 == 0 && horus_topic_peek(h->t, NULL, 0, &seen) == HORUS_OK;
    horus_result r = horus_topic_receive(h->t, data, sizeof data, &info, HORUS_NO_WAIT);
    h->received = true;
    if (peeked && r != HORUS_EMPTY && h->exact && info.lost == seen.lost) {
        CHECK_EQ(info.publisher, seen.publisher);
        CHECK_EQ(info.sequence, seen.sequence);
    }
    if (r == HORUS_EMPTY) {
        check_sums(h);
        return;
    }
    if (r == HORUS_E_TYPE) {
        r = horus_topic_receive_tensor(h->t, &t, &info, HORUS_NO_WAIT);
        if (r != HORUS_OK) { /* its ring had ended, and its slot was taken: now it counts as lost */
            CHECK(r == HORUS_E_TYPE || r == HORUS_EMPTY);
            CHECK(h->t->lost > 0 || !h->exact); /* lost history does not count */
            return;
        }
        CHECK(t.readonly);
        memcpy(&number, t.data, 4);
        check_arrival(h, number, t.data, &info);
        held *k = &kept[rng() % HELD];
        if (!k->t.data && rng() % 2)
            *k = (held){t, number, h->member};
        else
            CHECK_OK(horus_tensor_release(&t));
        return;
    }
    if (!CHECK_OK(r))
        return;
    memcpy(&number, data, 4);
    check_arrival(h, number, data, &info);
}

static void check_kept(void)
{
    for (int i = 0; i < HELD; i++)
        if (kept[i].t.data)
            CHECK(intact(kept[i].t.data, kept[i].number, sent[kept[i].number].size));
}
static void leave(uint32_t m)
{
    for (int i = 0; i < HANDLES; i++)
        if (handles[i].t && handles[i].member == m && rng() % 2)
            close_one(&handles[i]);
    horus_context_close(member[m]); /* closes the rest */
    for (int i = 0; i < HANDLES; i++)
        if (handles[i].member == m)
            handles[i].t = NULL;
    for (int i = 0; i < HELD; i++)
        if (kept[i].member == m)
            memset(&kept[i], 0, sizeof kept[i]);
}

static void step(void)
{
    handle *h = &handles[rng() % HANDLES];
    held *k = &kept[rng() % HELD];
    uint32_t what = rng() % 100;
    uint64_t n = 0;
    if (!h->t) {
        if (rng() % 8 == 0)
            open_one(h);
        return;
    }
    if (what < 42) {
        send_one(h);
    } else if (what < 80) {
        for (uint32_t i = 1 + rng() % 3; i > 0; i--)
            receive_one(h);
    } else if (what < 83) {
        close_one(h);
    } else if (what < 86) {
        if (k->t.data) {
            check_kept();
            CHECK_OK(horus_tensor_release(&k->t));
        }
    } else if (what < 88) {
        h->received = true;
        if (policies[h->topic] != HORUS_QUEUE) { /* what was lost on the way comes with the next */
            h->exact = false;
            (void)horus_topic_skip_to_latest(h->t, &n);
        } else {
            horus_result r = horus_topic_ack(h->t);
            CHECK(r == HORUS_OK || r == HORUS_EMPTY);
        }
    } else if (what < 89) {
        if (policies[h->topic] == HORUS_QUEUE)
            return;
        h->received = true;
        h->exact = false;
        (void)horus_topic_drain(h->t, &n);
        receive_one(h);
    } else if (what < 90) {
        uint32_t m = rng() % MEMBERS;
        leave(m);
        join_as(m);
    } else if (what < 92) {
        CHECK_OK(horus_context_sweep(member[rng() % MEMBERS], NULL));
    } else if (what < 93) {
        CHECK_OK(horus_pool_trim(some_pool(rng() % MEMBERS), NULL));
        check_kept();
    } else if (what < 95 && pressure) {
        horus_frame f;
        horus_result r = horus_frame_alloc(&f, some_pool(rng() % MEMBERS),
                                           65536ull * (1 + rng() % 40), HORUS_UNINIT, NULL);
        CHECK(r == HORUS_OK || r == HORUS_E_POOL_FULL || r == HORUS_E_SIZE);
        check_kept();
        if (r == HORUS_OK)
            CHECK_OK(horus_frame_release(&f));
    } else {
        check_balanced(some_pool(rng() % MEMBERS));
    }
}

static void run(uint64_t seed, bool tight, uint32_t steps)
{
    memset(handles, 0, sizeof handles);
    memset(kept, 0, sizeof kept);
    memset(of_topic, 0, sizeof of_topic);
    memset(delivered, 0, sizeof delivered);
    sent_count = publishers = 0;
    pressure = tight;
    rng_state = seed;
    for (uint32_t m = 0; m < MEMBERS; m++)
        join_as(m);
    uint32_t before = atomic_load(&board->failures);
    for (uint32_t i = 0; i < steps && atomic_load(&board->failures) == before; i++)
        step();
    if (atomic_load(&board->failures) != before)
        test_failed(__FILE__, __LINE__, "with seed %llu", (unsigned long long)seed);
    check_kept();
    for (uint32_t m = 1; m < MEMBERS; m++)
        leave(m);
    leave(0);
}
/* Afterwards the one who is left can have all memory. */
static void check_all_memory(void)
{
    horus_frame f;
    horus_pool *second;
    horus_context *c = join(0);
    CHECK_OK(
        horus_frame_alloc(&f, pool_of(c), stats_of(pool_of(c)).data_bytes, HORUS_UNINIT, NULL));
    CHECK_OK(horus_frame_release(&f));
    check_empty(pool_of(c));
    if (horus_pool_open(&second, "second", &(horus_pool_desc){.context = c}) == HORUS_OK)
        check_balanced(second);
    horus_context_close(c);
}

TEST(random_runs_agree_with_the_model)
{
    horus_context *stays = NULL;
    for (uint64_t seed = 1; seed <= (uint64_t)TEST_TIMES(40); seed++) {
        run(seed * 1000, false, 3000);
        if (atomic_load(&board->failures))
            return;
    }
    horus_context_close(stays);
    check_all_memory();
}

TEST(random_runs_in_too_little_memory_agree_with_the_model)
{
    for (uint64_t seed = 1; seed <= (uint64_t)TEST_TIMES(40); seed++) {
        run(seed * 1000 + 7, true, 3000);
        if (atomic_load(&board->failures))
            return;
    }
    check_all_memory();
}

TEST(after_a_random_run_all_memory_is_free_for_who_stays)
{
    for (uint64_t seed = 1; seed <= (uint64_t)TEST_TIMES(10); seed++) {
        horus_context *stays = join_desc((horus_context_desc){.pool_bytes = 3 * MiB});
        run(seed * 1000 + 13, true, 2000);
        CHECK_OK(horus_context_sweep(stays, NULL));
        check_balanced(pool_of(stays));
        horus_frame f;
        CHECK_OK(horus_frame_alloc(&f, pool_of(stays), stats_of(pool_of(stays)).data_bytes,
                                   HORUS_UNINIT, NULL));
        CHECK_OK(horus_frame_release(&f));
        check_empty(pool_of(stays));
        horus_context_close(stays);
    }
}
