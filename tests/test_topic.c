/* Topics: what arrives, in which order, how often, and what is said about the rest. */
#define HORUS_IMPLEMENTATION
#include "../horus.h"
#include "test.h"
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/time.h>

static horus_topic *open_in(horus_context *c, const char *name, horus_topic_desc d)
{
    horus_topic *t;
    d.context = c;
    REQUIRE_OK(horus_topic_open(&t, name, &d));
    return t;
}
static horus_result send(horus_topic *t, uint64_t n)
{
    return horus_topic_send(t, &n, sizeof n, HORUS_NO_WAIT);
}
/* Receives a number without waiting. */
static horus_result receive(horus_topic *t, uint64_t *n, horus_info *info)
{
    *n = UINT64_MAX;
    return horus_topic_receive(t, n, sizeof *n, info, HORUS_NO_WAIT);
}
#define CHECK_GETS(topic, want)                                                                    \
    do {                                                                                           \
        uint64_t got_;                                                                             \
        if (CHECK_OK(receive(topic, &got_, NULL)))                                                 \
            CHECK_EQ(got_, want);                                                                  \
    } while (0)
#define CHECK_NOTHING(topic)                                                                       \
    do {                                                                                           \
        uint64_t got_;                                                                             \
        CHECK_RESULT(receive(topic, &got_, NULL), HORUS_EMPTY);                                    \
    } while (0)
static horus_tensor frame(horus_context *c, int64_t bytes, int fill)
{
    horus_tensor t;
    REQUIRE_OK(horus_tensor_alloc(&t, pool_of(c), HORUS_U8, 1, &bytes, HORUS_UNINIT));
    memset(t.data, fill, (size_t)bytes);
    return t;
}
static void send_frame(horus_topic *t, horus_context *c, int64_t bytes, int fill)
{
    horus_tensor f = frame(c, bytes, fill);
    CHECK_OK(horus_topic_send_tensor(t, &f, 0));
    CHECK_OK(horus_tensor_release(&f));
}
static horus_topic_stats topic_stats(horus_topic *t)
{
    horus_topic_stats s;
    REQUIRE_OK(horus_topic_get_stats(t, &s));
    return s;
}

/* A topic outlives its handles while messages linger: one name per policy, then. */
static const char *const policy_name[] = {"any", "overwrite", "reliable", "queue"};

/* ---- names and opening */

TEST(bad_names_are_refused)
{
    static const char *const bad[] = {"",    "/a",  "a/",   "a//b",  "..",     "a..b",
                                      "/",   "//",  "a b",  "a\n",   "a%b",    "a\\b",
                                      "a*",  "a?b", "\xff", "a\x01", "a../",   "..a",
                                      "a,b", "a;b", "{a}",  "a+b",   "a/../b", "./../a"};
    horus_context *c = join(4 * MiB);
    horus_topic *t;
    char huge[301];
    memset(huge, 'n', sizeof huge);
    huge[300] = 0;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (!CHECK_RESULT(horus_topic_open(&t, bad[i], &(horus_topic_desc){.context = c}),
                          HORUS_E_NAME))
            test_failed(__FILE__, __LINE__, "for \"%s\"", bad[i]);
        CHECK(t == NULL);
        CHECK_TEXT(horus_last_error(), "1 to 96");
    }
    CHECK_RESULT(horus_topic_open(&t, huge, &(horus_topic_desc){.context = c}), HORUS_E_NAME);
    huge[97] = 0;
    CHECK_RESULT(horus_topic_open(&t, huge, &(horus_topic_desc){.context = c}), HORUS_E_NAME);
    CHECK_RESULT(horus_topic_open(&t, NULL, &(horus_topic_desc){.context = c}), HORUS_E_NAME);
    check_empty(pool_of(c));
    horus_context_close(c);
}

TEST(names_that_differ_are_topics_that_differ)
{
    static const char *const name[] = {"a",   "A",       "a.b",   "a:b", "a/b", "a-b",
                                       "a_b", "0",       "a.b.c", ".a",  "a.",  "-",
                                       ":",   "b/c/d/e", "aa",    "9:/9"};
    enum { N = sizeof name / sizeof name[0] };
    char longest[97];
    horus_context *c = join(8 * MiB);
    horus_topic *t[N + 1];
    memset(longest, 'l', 96);
    longest[96] = 0;
    for (uint64_t i = 0; i <= N; i++) {
        t[i] = open_in(c, i < N ? name[i] : longest, (horus_topic_desc){.capacity = 4});
        CHECK(strcmp(topic_stats(t[i]).name, i < N ? name[i] : longest) == 0);
    }
    for (uint64_t i = 0; i <= N; i++)
        CHECK_OK(send(t[i], i));
    for (uint64_t i = 0; i <= N; i++) {
        CHECK_GETS(t[i], i);
        CHECK_NOTHING(t[i]);
        horus_topic_close(t[i]);
    }
    horus_context_close(c);
}

static uint32_t short_hash(const char *name) /* what the directory keeps of it */
{
    uint32_t hash = horusi_hash(name, strlen(name), 2166136261u);
    return (hash ^ hash >> 15) & 0x7fff;
}
TEST(names_whose_hashes_agree_are_topics_that_differ)
{
    char name[2][32] = {"one", "other"};
    horus_context *c = join(8 * MiB);
    horus_topic *t[2];
    for (unsigned i = 0; short_hash(name[1]) != short_hash(name[0]); i++)
        (void)snprintf(name[1], sizeof name[1], "other%u", i);
    for (int i = 0; i < 2; i++)
        t[i] = open_in(c, name[i], (horus_topic_desc){.capacity = 4});
    uint64_t w[2] = {atomic_load(&c->pool->directory[0]), atomic_load(&c->pool->directory[1])};
    CHECK_EQ(w[0] >> 48, w[1] >> 48);
    CHECK(w[0] != w[1]);
    for (int i = 0; i < 2; i++)
        CHECK_OK(send(t[i], (uint64_t)i));
    for (int i = 0; i < 2; i++) {
        CHECK_GETS(t[i], (uint64_t)i);
        CHECK_NOTHING(t[i]);
        horus_topic_close(t[i]);
    }
    horus_context_close(c);
}
TEST(a_topic_ends_with_its_last_handle)
{
    horus_context *c = join(4 * MiB);
    horus_context_info info;
    for (int i = 0; i < 50; i++) {
        horus_topic *a =
            open_in(c, "t", (horus_topic_desc){.policy = 1 + i % 3, .capacity = 1 + (uint32_t)i});
        horus_topic *b = open_in(c, "t", (horus_topic_desc){.policy = HORUS_POLICY_ANY});
        CHECK_EQ(topic_stats(b).policy, 1 + i % 3);
        CHECK_OK(horus_context_get_info(c, &info));
        CHECK_EQ(info.topics, 1);
        horus_topic_close(a);
        horus_topic_close(b);
        CHECK_OK(horus_context_get_info(c, &info));
        CHECK_EQ(info.topics, 0);
        check_empty(pool_of(c));
    }
    horus_context_close(c);
}

TEST(a_namespace_has_as_many_topics_as_its_creator_said)
{
    horus_context *c = join_desc((horus_context_desc){.pool_bytes = 4 * MiB, .max_topics = 5});
    horus_topic *t[5], *more;
    char name[16];
    for (int i = 0; i < 5; i++) {
        (void)snprintf(name, sizeof name, "t%d", i);
        t[i] = open_in(c, name, (horus_topic_desc){.capacity = 2});
    }
    CHECK_RESULT(horus_topic_open(&more, "more", &(horus_topic_desc){.context = c}), HORUS_E_LIMIT);
    CHECK(more == NULL);
    CHECK_TEXT(horus_last_error(), "5 topics");
    CHECK_TEXT(horus_last_error(), "max_topics");
    more = open_in(c, "t3", (horus_topic_desc){0}); /* one that is there */
    horus_topic_close(more);
    horus_topic_close(t[1]);
    more = open_in(c, "more", (horus_topic_desc){0});
    CHECK_OK(send(more, 3)); /* its message lingers, but does not keep others out */
    horus_topic_close(more);
    more = open_in(c, "again", (horus_topic_desc){0});
    horus_topic_close(more);
    for (int i = 0; i < 5; i++)
        if (i != 1)
            horus_topic_close(t[i]);
    horus_context_close(c);
}

TEST(handles_are_limited_as_the_first_one_said)
{
    horus_context *c = join(8 * MiB);
    horus_topic *t[6], *more;
    for (int i = 0; i < 6; i++)
        t[i] = open_in(c, "t", (horus_topic_desc){.max_publishers = 3, .max_subscribers = 6});
    CHECK_RESULT(horus_topic_open(&more, "t", &(horus_topic_desc){.context = c}), HORUS_E_LIMIT);
    CHECK(more == NULL);
    CHECK_TEXT(horus_last_error(), "max_subscribers");
    for (int i = 0; i < 3; i++)
        CHECK_OK(send(t[i], 1));
    CHECK_RESULT(send(t[3], 1), HORUS_E_LIMIT);
    CHECK_TEXT(horus_last_error(), "max_publishers");
    CHECK_RESULT(send(t[3], 1), HORUS_E_LIMIT);
    horus_topic_close(t[0]); /* a closed ring gives its place to who needs it */
    CHECK_OK(send(t[3], 2));
    more = open_in(c, "t", (horus_topic_desc){0});
    horus_topic_close(more);
    for (int i = 1; i < 6; i++)
        horus_topic_close(t[i]);
    horus_context_close(c);
}

static void *open_and_close(void *arg)
{
    horus_context *c = arg;
    uint32_t me = (uint32_t)atomic_fetch_add(&board->value[0], 1);
    for (int i = 0; i < TEST_TIMES(400); i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "t%u", (me * 3 + (uint32_t)i * 7) % 5);
        horus_topic *t, *u;
        horus_topic_desc d = {.context = c, .capacity = 4, .max_publishers = 16};
        CHECK_OK(horus_topic_open(&t, name, &d));
        CHECK_OK(horus_topic_open(&u, name, &d));
        if (!t || !u)
            break;
        uint64_t n;
        CHECK_OK(send(t, me));
        horus_result r = receive(u, &n, NULL); /* ours, or another thread's */
        CHECK(r == HORUS_OK);
        horus_topic_close(t);
        horus_topic_close(u);
    }
    return NULL;
}
TEST(many_topics_are_opened_by_many_threads_at_once)
{
    horus_context *c = join(16 * MiB);
    horus_context_info info;
    pthread_t thread[4];
    for (int i = 0; i < 4; i++)
        REQUIRE(pthread_create(&thread[i], NULL, open_and_close, c) == 0);
    for (int i = 0; i < 4; i++)
        (void)pthread_join(thread[i], NULL);
    check_balanced(pool_of(c));
    CHECK_OK(horus_context_get_info(c, &info));
    CHECK(info.topics <= 5);
    horus_frame f;
    CHECK_OK(horus_frame_alloc(&f, pool_of(c), 16 * MiB, HORUS_UNINIT, NULL));
    CHECK_OK(horus_frame_release(&f));
    check_empty(pool_of(c));
    horus_context_close(c);
}

static void child_opens_and_closes(void *arg)
{
    (void)arg;
    open_and_close(join(0));
}
TEST(many_topics_are_opened_by_many_processes_at_once)
{
    horus_context *c = join(16 * MiB);
    pid_t pid[4];
    for (int i = 0; i < 4; i++)
        pid[i] = test_fork(child_opens_and_closes, NULL);
    for (int i = 0; i < 4; i++)
        CHECK_JOIN(pid[i]);
    check_balanced(pool_of(c));
    horus_frame f;
    CHECK_OK(horus_frame_alloc(&f, pool_of(c), 16 * MiB, HORUS_UNINIT, NULL));
    CHECK_OK(horus_frame_release(&f));
    check_empty(pool_of(c));
    horus_context_close(c);
}

/* ---- overwrite: who gets what, and what is lost */

TEST(a_handle_gets_what_was_sent_since_its_opening)
{
    horus_context *c = join(4 * MiB);
    horus_topic *a = open_in(c, "t", (horus_topic_desc){0});
    CHECK_NOTHING(a);
    CHECK_OK(send(a, 1));
    horus_topic *b = open_in(c, "t", (horus_topic_desc){0});
    CHECK_OK(send(a, 2));
    CHECK_OK(send(b, 3));
    uint64_t n, seen[2] = {0, 0};
    for (int i = 0; i < 2; i++)
        while (receive(i ? b : a, &n, NULL) == HORUS_OK)
            seen[i] |= 1u << n;
    CHECK_EQ(seen[0], 1 << 1 | 1 << 2 | 1 << 3); /* its own, too */
    CHECK_EQ(seen[1], 1 << 2 | 1 << 3);
    horus_topic_close(a);
    horus_topic_close(b);
    horus_context_close(c);
}

TEST(losses_are_counted_exactly)
{
    horus_context *c = join(4 * MiB);
    horus_info info;
    uint64_t n;
    horus_topic *r = open_in(c, "t", (horus_topic_desc){0});
    horus_topic *s = open_in(c, "t", (horus_topic_desc){.capacity = 4});
    for (uint64_t i = 1; i <= 10; i++)
        CHECK_OK(send(s, i));
    CHECK_OK(receive(r, &n, &info));
    CHECK_EQ(n, 7);
    CHECK_EQ(info.lost, 6);
    CHECK_EQ(info.sequence, 7);
    for (uint64_t i = 8; i <= 10; i++) {
        CHECK_OK(receive(r, &n, &info));
        CHECK_EQ(n, i);
        CHECK_EQ(info.lost, 0);
        CHECK_EQ(info.sequence, i);
        CHECK_EQ(info.size, 8);
        CHECK_EQ(info.kind, HORUS_KIND_MESSAGE);
        CHECK_EQ(info.type_tag, 0);
        CHECK(!info.redelivered);
    }
    CHECK_NOTHING(r);
    CHECK_EQ(topic_stats(r).lost, 6);
    CHECK_EQ(topic_stats(r).received, 4);
    CHECK_EQ(topic_stats(r).sent, 10);
    horus_topic_close(r);
    horus_topic_close(s);
    horus_context_close(c);
}

TEST(readers_of_any_speed_agree_with_a_simple_model)
{
    static const uint32_t capacity[] = {1, 2, 3, 4, 7, 8, 60, 1000};
    horus_context *c = join(16 * MiB);
    for (size_t k = 0; k < sizeof capacity / sizeof capacity[0]; k++) {
        char name[16];
        (void)snprintf(name, sizeof name, "t%u", (unsigned)k);
        horus_topic *s = open_in(c, name, (horus_topic_desc){.capacity = capacity[k]});
        horus_topic *r[4] = {0};
        uint64_t next[4] = {0}, head = 0, cap = capacity[k];
        for (int i = 0; i < TEST_TIMES(3000); i++) {
            uint32_t what = rng() % 8, who = rng() % 4;
            if (what < 3) {
                for (uint32_t m = rng() % (uint32_t)(cap < 8 ? cap + 3 : 8); m > 0; m--)
                    CHECK_OK(send(s, ++head));
            } else if (!r[who]) {
                uint32_t history = rng() % 3 ? 0 : rng() % (uint32_t)(cap + 3);
                r[who] = open_in(c, name, (horus_topic_desc){.history = history});
                uint64_t have = head < cap ? head : cap;
                next[who] = head + 1 - (history < have ? history : have);
            } else if (what == 3) {
                horus_topic_close(r[who]);
                r[who] = NULL;
            } else if (what == 4) {
                uint64_t skipped, want = head + 1 - next[who];
                horus_result got = horus_topic_skip_to_latest(r[who], &skipped);
                CHECK_RESULT(got, want ? HORUS_OK : HORUS_EMPTY);
                if (want)
                    next[who] = head;
            } else {
                uint64_t n, oldest = head > cap ? head - cap + 1 : 1;
                uint64_t lost = oldest > next[who] ? oldest - next[who] : 0;
                horus_info info;
                horus_result got = receive(r[who], &n, &info);
                if (next[who] > head) {
                    CHECK_EQ(got, HORUS_EMPTY);
                    continue;
                }
                next[who] += lost;
                CHECK_EQ(got, HORUS_OK);
                CHECK_EQ(n, next[who]);
                CHECK_EQ(info.sequence, next[who]);
                if (what != 5) /* a skip before may have counted some */
                    CHECK(info.lost <= head);
                next[who]++;
            }
        }
        for (int i = 0; i < 4; i++)
            horus_topic_close(r[i]);
        horus_topic_close(s);
        check_balanced(pool_of(c));
    }
    horus_context_close(c);
}

TEST(loss_counts_add_up_whatever_the_reader_does)
{
    horus_context *c = join(4 * MiB);
    horus_topic *s = open_in(c, "t", (horus_topic_desc){.capacity = 5}),
                *r = open_in(c, "t", (horus_topic_desc){0});
    uint64_t sent = 0, got = 0, lost = 0, n;
    horus_info info;
    for (int i = 0; i < 20000; i++) {
        for (uint32_t m = rng() % 12; m > 0; m--)
            CHECK_OK(send(s, ++sent));
        for (uint32_t m = rng() % 6; m > 0 && receive(r, &n, &info) == HORUS_OK; m--) {
            got++;
            lost += info.lost;
            CHECK_EQ(n, got + lost);
        }
    }
    while (receive(r, &n, &info) == HORUS_OK) {
        got++;
        lost += info.lost;
    }
    CHECK_EQ(got + lost, sent);
    CHECK_EQ(topic_stats(r).lost, lost);
    CHECK_EQ(topic_stats(r).received, got);
    horus_topic_close(r);
    horus_topic_close(s);
    horus_context_close(c);
}

TEST(losses_of_a_ring_that_ended_unseen_are_counted)
{
    horus_context *c = join(4 * MiB);
    horus_topic *r = open_in(c, "t", (horus_topic_desc){0});
    horus_topic *s = open_in(c, "t", (horus_topic_desc){.capacity = 4}),
                *u = open_in(c, "t", (horus_topic_desc){.capacity = 16});
    uint64_t got = 0, lost = 0, n;
    horus_info info;
    for (uint64_t i = 0; i < 5; i++)
        CHECK_OK(send(s, i));
    for (uint64_t i = 0; i < 10; i++)
        CHECK_OK(send(u, i));
    horus_topic_close(s); /* u has carried more than s keeps: its ring may go */
    while (receive(r, &n, &info) == HORUS_OK) {
        got++;
        lost += info.lost;
    }
    CHECK_EQ(got + lost, 15);
    horus_topic_close(r);
    horus_topic_close(u);
    horus_context_close(c);
}

static void child_sends_ten(void *arg)
{
    horus_topic *t;
    REQUIRE_OK(horus_topic_open(&t, arg, NULL));
    for (uint64_t i = 0; i < 10; i++)
        CHECK_OK(send(t, i));
    test_raise(0);
    test_stay();
}
TEST(a_ring_whose_end_was_cut_short_is_ended_and_counted_once)
{
    horus_context *c = join(16 * MiB);
    for (uint32_t cut = 0; cut <= 4; cut++) { /* where a sweeper was killed */
        char name[8];
        horus_info info;
        uint64_t n;
        (void)snprintf(name, sizeof name, "t%u", cut);
        horus_topic *r = open_in(c, name, (horus_topic_desc){.max_publishers = 1});
        pid_t pid = test_fork(child_sends_ten, name);
        test_await_count(0, cut + 1);
        test_kill(pid);
        horusi_lane *lane = &horusi_lanes(r->shm)[0];
        uint64_t w = horusi_ld64_acq(L2, &lane->word);
        CHECK_EQ(horusi_owner_state(w), HORUSI_LANE_LIVE);
        if (cut >= 1) /* the steps of horusi_lane_end() */
            horusi_st64_rlx(L1, &lane->ending, horusi_ld64_rlx(L2, &lane->ended) + 10);
        if (cut >= 2)
            horusi_st64_rel(L1, &lane->word,
                            horusi_owner(horusi_high(w), horusi_owner_row(w), HORUSI_LANE_ENDING));
        if (cut >= 3)
            horusi_st64_rel(L1, &lane->ended, horusi_ld64_rlx(L2, &lane->ending));
        if (cut >= 4)
            (void)horusi_add32_acqrel(L1, &r->shm->version, 1);
        horus_topic *s = open_in(c, name, (horus_topic_desc){0}); /* needs the only lane */
        CHECK_OK(send(s, 77));
        CHECK_EQ(horusi_owner_state(horusi_ld64_acq(L2, &lane->word)), HORUSI_LANE_LIVE);
        CHECK_OK(receive(r, &n, &info));
        CHECK_EQ(n, 77);
        CHECK_EQ(info.lost, 10);
        CHECK_OK(send(s, 78));
        CHECK_OK(receive(r, &n, &info));
        CHECK_EQ(info.lost, 0);
        horus_topic_close(s);
        horus_topic_close(r);
    }
    CHECK_OK(horus_context_sweep(c, NULL));
    check_balanced(pool_of(c));
    horus_context_close(c);
}
TEST(a_ring_keeps_eight_frames_unless_told_otherwise)
{
    static const horus_type *const types[] = {&horus_tensor_type, NULL};
    horus_context *c = join(16 * MiB);
    for (int k = 0; k < 2; k++) {
        horus_topic *r = open_in(c, k ? "t" : "u", (horus_topic_desc){.type = types[k]}),
                    *s = open_in(c, k ? "t" : "u", (horus_topic_desc){.type = types[k]});
        horus_info info;
        horus_tensor got;
        for (int i = 1; i <= 20; i++)
            send_frame(s, c, 1000, i);
        CHECK_EQ(topic_stats(s).frames, 8);
        for (int i = 13; i <= 20; i++) {
            CHECK_OK(horus_topic_receive_tensor(r, &got, &info, 0));
            CHECK_EQ(info.lost, i == 13 ? 12 : 0);
            CHECK_EQ(info.kind, HORUS_KIND_TENSOR);
            CHECK_EQ(info.type_tag, horus_type_tag(&horus_tensor_type));
            CHECK(test_is_all(got.data, i, 1000));
            CHECK(got.readonly);
            CHECK_OK(horus_tensor_release(&got));
        }
        CHECK_RESULT(horus_topic_receive_tensor(r, &got, &info, 0), HORUS_EMPTY);
        CHECK_ZERO(got);
        horus_topic_close(r);
        horus_topic_close(s);
    }
    horus_context_close(c);
}

TEST(frames_beyond_eight_go_but_the_messages_between_them_stay)
{
    horus_context *c = join(16 * MiB);
    horus_topic *r = open_in(c, "t", (horus_topic_desc){0}),
                *s = open_in(c, "t", (horus_topic_desc){0});
    horus_info info;
    horus_tensor got;
    uint64_t n, lost = 0;
    for (uint64_t i = 0; i < 20; i++) {
        send_frame(s, c, 1000, (int)i);
        CHECK_OK(send(s, i));
    }
    for (uint64_t i = 0; i < 20; i++) {
        if (i >= 12) {
            CHECK_OK(horus_topic_receive_tensor(r, &got, &info, 0));
            lost += info.lost;
            CHECK(test_is_all(got.data, (int)i, 1000));
            CHECK_OK(horus_tensor_release(&got));
        }
        CHECK_OK(receive(r, &n, &info));
        CHECK_EQ(n, i);
        lost += info.lost;
    }
    CHECK_EQ(lost, 12);
    CHECK_NOTHING(r);
    horus_topic_close(r);
    horus_topic_close(s);
    horus_context_close(c);
}

TEST(an_evicted_frame_hides_none_of_the_messages_around_it)
{
    horus_context *c = join(16 * MiB);
    horus_topic *s = open_in(c, "t", (horus_topic_desc){0}),
                *r = open_in(c, "t", (horus_topic_desc){0}); /* 1024 messages, 8 of them frames */
    horus_tensor got;
    uint64_t n;
    horus_info info;
    for (uint64_t i = 1; i <= 1024; i++)
        CHECK_OK(send(s, i));
    for (int i = 0; i < 9; i++)
        send_frame(s, c, 1000, i); /* 1025 goes as the ninth comes */
    for (uint64_t i = 10; i <= 1024; i++) {
        CHECK_OK(receive(r, &n, &info));
        CHECK_EQ(n, i);
        CHECK_EQ(info.lost, i == 10 ? 9 : 0);
    }
    for (uint64_t i = 1026; i <= 1033; i++) {
        CHECK_OK(horus_topic_receive_tensor(r, &got, &info, 0));
        CHECK_OK(horus_tensor_release(&got));
        CHECK_EQ(info.sequence, i);
        CHECK_EQ(info.lost, i == 1026);
    }
    horus_topic_close(s);
    horus_topic_close(r);
    horus_context_close(c);
}
TEST(a_reader_far_behind_finds_the_frames_that_are_left)
{
    static const uint32_t counts[] = {9, 100, 999, 1010, 1024, 1500, 5000};
    horus_context *c = join(16 * MiB);
    for (size_t k = 0; k < sizeof counts / sizeof counts[0]; k++) {
        char name[16];
        (void)snprintf(name, sizeof name, "t%u", (unsigned)k);
        horus_topic *r = open_in(c, name, (horus_topic_desc){0}),
                    *s = open_in(c, name, (horus_topic_desc){0}); /* 1024 messages, 8 frames */
        horus_info info;
        horus_tensor got;
        for (uint32_t i = 0; i < counts[k]; i++)
            send_frame(s, c, 64, (int)i);
        for (uint32_t i = counts[k] - 8; i < counts[k]; i++) {
            CHECK_OK(horus_topic_receive_tensor(r, &got, &info, HORUS_NO_WAIT));
            CHECK_EQ(info.sequence, i + 1);
            CHECK_EQ(info.lost, i == counts[k] - 8 ? counts[k] - 8 : 0);
            (void)horus_tensor_release(&got);
        }
        horus_topic_close(r);
        horus_topic_close(s);
    }
    horus_context_close(c);
}

TEST(frames_of_one_ring_never_pin_more_than_an_eighth_of_the_pool)
{
    horus_context *c = join(16 * MiB);
    horus_topic *s = open_in(c, "t", (horus_topic_desc){.capacity = 100});
    for (int i = 0; i < 60; i++) {
        send_frame(s, c, 500000, i);
        CHECK(topic_stats(s).frames * 500000ull <= 2 * MiB);
    }
    CHECK_EQ(topic_stats(s).frames, 4);
    send_frame(s, c, 6 * (int64_t)MiB, 1); /* one alone may be larger */
    CHECK_EQ(topic_stats(s).frames, 1);
    horus_topic_close(s);
    horus_context_close(c);
}

TEST(a_held_frame_stays_unchanged_while_a_million_more_are_sent)
{
    horus_context *c = join(4 * MiB);
    horus_topic *r = open_in(c, "t", (horus_topic_desc){.type = &horus_tensor_type}),
                *s = open_in(c, "t", (horus_topic_desc){.type = &horus_tensor_type});
    horus_tensor first, other;
    horus_info info;
    uint64_t got = 1, lost = 0, many = TEST_TIMES(1000000);
    send_frame(s, c, 4096, 0x5e);
    REQUIRE_OK(horus_topic_receive_tensor(r, &first, NULL, 0));
    for (uint64_t i = 0; i < many; i++) {
        int64_t bytes = 4096;
        horus_tensor f;
        REQUIRE_OK(horus_tensor_alloc(&f, pool_of(c), HORUS_U8, 1, &bytes, HORUS_UNINIT));
        *(uint64_t *)f.data = ~i;
        CHECK(f.data != first.data);
        REQUIRE_OK(horus_topic_send_tensor(s, &f, 0));
        REQUIRE_OK(horus_tensor_release(&f));
        if (i % 1000 == 0) {
            CHECK_OK(horus_topic_receive_tensor(r, &other, &info, 0));
            got++;
            lost += info.lost;
            CHECK_OK(horus_tensor_release(&other));
            CHECK(test_is_all(first.data, 0x5e, 4096));
        }
    }
    CHECK(test_is_all(first.data, 0x5e, 4096));
    CHECK_EQ(horus_frame_holders(&first.frame), 1);
    while (horus_topic_receive_tensor(r, &other, &info, 0) == HORUS_OK) {
        got++;
        lost += info.lost;
        CHECK_OK(horus_tensor_release(&other));
    }
    CHECK_EQ(got + lost, many + 1);
    CHECK_OK(horus_tensor_release(&first));
    horus_topic_close(r);
    horus_topic_close(s);
    check_balanced(pool_of(c));
    horus_context_close(c);
}

TEST(a_slow_reader_of_a_camera_gets_a_recent_frame_at_every_tick)
{
    horus_context *c = join(0); /* the default pool */
    for (int reliable = 0; reliable < 2; reliable++) {
        horus_topic_desc d = {.type = &horus_image_type,
                              .policy = reliable ? HORUS_RELIABLE : HORUS_OVERWRITE};
        horus_topic *r = open_in(c, "camera", d), *s = open_in(c, "camera", d);
        uint64_t sent = 0, got = 0, lost = 0, frames = TEST_TIMES(10000);
        horus_image img;
        horus_info info;
        for (uint64_t i = 0; i < frames; i++) {
            REQUIRE_OK(horus_image_alloc(&img, pool_of(c), 1920, 1080, HORUS_RGB8, HORUS_UNINIT));
            *(uint64_t *)img.data = i;
            horus_result sent_now = horus_topic_send_image(s, &img, HORUS_NO_WAIT);
            CHECK(sent_now == HORUS_OK || (reliable && sent_now == HORUS_FULL));
            sent += sent_now == HORUS_OK;
            CHECK_OK(horus_image_release(&img));
            if (i % 3 != 2) /* 10 Hz behind 30 Hz */
                continue;
            REQUIRE_OK(horus_topic_receive_image(r, &img, &info, HORUS_NO_WAIT));
            got++;
            lost += info.lost;
            CHECK(reliable || i - *(uint64_t *)img.data <= 9);
            CHECK(!reliable || info.sequence == got);
            CHECK_OK(horus_image_release(&img));
        }
        while (horus_topic_receive_image(r, &img, &info, HORUS_NO_WAIT) == HORUS_OK) {
            got++;
            lost += info.lost;
            CHECK_OK(horus_image_release(&img));
        }
        CHECK_EQ(got + lost, sent);
        CHECK(!reliable || lost == 0);
        horus_topic_close(r);
        horus_topic_close(s);
        horus_frame all; /* rings that were closed give way */
        CHECK_OK(horus_frame_alloc(&all, pool_of(c), stats_of(pool_of(c)).data_bytes, HORUS_UNINIT,
                                   NULL) == HORUS_E_POOL_FULL
                     ? HORUS_OK
                     : horus_frame_release(&all));
    }
    horus_context_close(c);
}

/* ---- several publishers */

TEST(a_reader_finds_publishers_that_found_no_place_in_its_list)
{
    horus_context *c = join(16 * MiB);
    horus_topic *r = open_in(c, "t", (horus_topic_desc){.max_publishers = 1}), *s = NULL;
    uint64_t n, got = 0, lost = 0, newest = 0;
    horus_info info;
    for (uint64_t k = 0; k < 5; k++) { /* one after the other; the reader is far behind */
        horus_topic_close(s);
        s = open_in(c, "t", (horus_topic_desc){0});
        for (uint64_t i = 0; i < 10; i++)
            CHECK_OK(send(s, k * 100 + i));
        if (k % 2 == 0 && CHECK_OK(receive(r, &n, &info)))
            got++, lost += info.lost;
    }
    while (receive(r, &n, &info) == HORUS_OK)
        got++, lost += info.lost, newest = n;
    CHECK_EQ(newest, 409); /* EMPTY is not said too early */
    CHECK_OK(send(s, 500));
    CHECK_OK(receive(r, &n, &info));
    CHECK_EQ(got + lost + info.lost, 50);
    horus_topic_close(r);
    horus_topic_close(s);
    horus_context_close(c);
}

TEST(publishers_are_told_apart_and_each_keeps_its_order)
{
    enum { N = 64 };
    horus_context *c = join(64 * MiB);
    horus_topic *r = open_in(c, "t", (horus_topic_desc){0}), *s[N];
    uint64_t last[N] = {0}, count = 0, n;
    uint32_t id[N] = {0};
    horus_info info;
    for (int i = 0; i < N; i++)
        s[i] = open_in(c, "t", (horus_topic_desc){.capacity = 256});
    for (uint64_t i = 0; i < 200 * N; i++) {
        uint32_t who = rng() % N;
        CHECK_OK(send(s[who], (uint64_t)who << 32 | ++last[who]));
        if (last[who] == 250)
            break;
        count++;
    }
    memset(last, 0, sizeof last);
    while (receive(r, &n, &info) == HORUS_OK) {
        uint32_t who = (uint32_t)(n >> 32);
        CHECK_EQ((uint32_t)n, ++last[who]);
        CHECK_EQ(info.sequence, last[who]);
        CHECK_EQ(info.lost, 0);
        CHECK(id[who] == 0 || id[who] == info.publisher + 1);
        id[who] = info.publisher + 1;
    }
    for (int i = 0; i < N; i++)
        for (int k = 0; k < i; k++)
            CHECK(id[i] == 0 || id[i] != id[k]);
    CHECK(count > 1000);
    for (int i = 0; i < N; i++)
        horus_topic_close(s[i]);
    horus_topic_close(r);
    horus_context_close(c);
}

typedef struct worker {
    horus_context *context;
    uint32_t number;
    uint64_t count;
} worker;
static void *publish_many(void *arg)
{
    const worker *w = arg;
    horus_topic *t = open_in(w->context, "t", (horus_topic_desc){.capacity = 64});
    for (uint64_t i = 1; i <= w->count; i++) {
        uint64_t m = (uint64_t)w->number << 32 | i;
        REQUIRE_OK(horus_topic_send(t, &m, sizeof m, HORUS_FOREVER));
    }
    test_await(9); /* a ring that ends takes with it what nobody has read */
    horus_topic_close(t);
    return NULL;
}
static void check_many(horus_context *c, horus_policy policy, uint32_t publishers, uint64_t count)
{
    horus_topic *r = open_in(c, "t", (horus_topic_desc){.policy = policy});
    pthread_t thread[16];
    worker w[16];
    uint64_t last[16] = {0}, lost = 0, got = 0;
    for (uint32_t i = 0; i < publishers; i++) {
        w[i] = (worker){c, i, count};
        REQUIRE(pthread_create(&thread[i], NULL, publish_many, &w[i]) == 0);
    }
    while (got + lost < publishers * count) {
        uint64_t n;
        horus_info info;
        REQUIRE_OK(horus_topic_receive(r, &n, sizeof n, &info, HORUS_FOREVER));
        uint32_t who = (uint32_t)(n >> 32);
        REQUIRE(who < publishers);
        CHECK((uint32_t)n > last[who]);
        last[who] = (uint32_t)n;
        CHECK_EQ(info.sequence, (uint32_t)n);
        lost += info.lost;
        got++;
    }
    if (policy == HORUS_RELIABLE) {
        CHECK_EQ(lost, 0);
        CHECK_EQ(got, publishers * count);
    }
    CHECK_EQ(got + lost, publishers * count);
    test_raise(9);
    for (uint32_t i = 0; i < publishers; i++)
        (void)pthread_join(thread[i], NULL);
    horus_topic_close(r);
}
TEST(threads_publish_at_once_and_losses_add_up)
{
    horus_context *c = join(64 * MiB);
    check_many(c, HORUS_OVERWRITE, 8, TEST_TIMES(20000));
    check_balanced(pool_of(c));
    horus_context_close(c);
}
TEST(threads_publish_at_once_and_reliable_loses_nothing)
{
    horus_context *c = join(64 * MiB);
    check_many(c, HORUS_RELIABLE, 8, TEST_TIMES(3000));
    check_balanced(pool_of(c));
    horus_context_close(c);
}

static void child_publishes(void *arg)
{
    worker w = *(worker *)arg;
    w.context = join(0);
    (void)publish_many(&w);
}
TEST(processes_publish_at_once_and_each_keeps_its_order)
{
    enum { N = 4 };
    horus_context *c = join(64 * MiB);
    horus_topic *r = open_in(c, "t", (horus_topic_desc){.policy = HORUS_RELIABLE});
    pid_t pid[N];
    worker w[N];
    uint64_t last[N] = {0}, each = TEST_TIMES(3000);
    for (uint32_t i = 0; i < N; i++) {
        w[i] = (worker){NULL, i, each};
        pid[i] = test_fork(child_publishes, &w[i]);
    }
    for (uint64_t k = 0; k < N * each; k++) {
        uint64_t n;
        horus_info info;
        REQUIRE_OK(horus_topic_receive(r, &n, sizeof n, &info, HORUS_FOREVER));
        REQUIRE(n >> 32 < N);
        CHECK_EQ((uint32_t)n, ++last[n >> 32]);
        CHECK_EQ(info.lost, 0);
    }
    test_raise(9);
    for (uint32_t i = 0; i < N; i++)
        CHECK_JOIN(pid[i]);
    horus_topic_close(r);
    check_balanced(pool_of(c));
    horus_context_close(c);
}

/* ---- no torn messages */

typedef struct block {
    uint64_t word[120];
} block;
static _Atomic bool done;
static void *publish_blocks(void *arg)
{
    horus_topic *t =
        open_in(arg, "t", (horus_topic_desc){.capacity = 2, .message_bytes = sizeof(block)});
    block b;
    for (uint64_t n = 1; n <= (uint64_t)TEST_TIMES(60000); n++) {
        for (size_t i = 0; i < 120; i++)
            b.word[i] = n;
        CHECK_OK(horus_topic_send(t, &b, sizeof b, 0));
    }
    atomic_store(&done, true);
    horus_topic_close(t);
    return NULL;
}
static void read_blocks(horus_context *c)
{
    horus_topic *t = open_in(c, "t", (horus_topic_desc){.message_bytes = sizeof(block)});
    block b;
    horus_info info;
    test_raise(0);
    while (!atomic_load(&done)) {
        if (horus_topic_receive(t, &b, sizeof b, &info, HORUS_NO_WAIT) != HORUS_OK)
            continue;
        for (size_t i = 0; i < 120; i++)
            if (b.word[i] != info.sequence) {
                test_failed(__FILE__, __LINE__, "word %u of message %llu is of message %llu",
                            (unsigned)i, (unsigned long long)info.sequence,
                            (unsigned long long)b.word[i]);
                break;
            }
    }
    horus_topic_close(t);
}
static void *read_blocks_thread(void *arg)
{
    read_blocks(arg);
    return NULL;
}
TEST(no_message_is_ever_torn)
{
    horus_context *c = join(4 * MiB), *d = join(0);
    pthread_t publisher, reader[2];
    atomic_store(&done, false);
    REQUIRE(pthread_create(&reader[0], NULL, read_blocks_thread, c) == 0);
    REQUIRE(pthread_create(&reader[1], NULL, read_blocks_thread, d) == 0);
    test_await_count(0, 2);
    REQUIRE(pthread_create(&publisher, NULL, publish_blocks, c) == 0);
    (void)pthread_join(publisher, NULL);
    (void)pthread_join(reader[0], NULL);
    (void)pthread_join(reader[1], NULL);
    horus_context_close(d);
    horus_context_close(c);
}

static void *publish_frames(void *arg)
{
    horus_context *c = arg;
    horus_topic *t = open_in(c, "t", (horus_topic_desc){.type = &horus_tensor_type});
    int64_t n = 512;
    for (uint64_t i = 1; i <= (uint64_t)TEST_TIMES(40000); i++) {
        horus_tensor f;
        REQUIRE_OK(horus_tensor_alloc(&f, pool_of(c), HORUS_U64, 1, &n, HORUS_UNINIT));
        for (int64_t k = 0; k < n; k++)
            ((uint64_t *)f.data)[k] = i;
        REQUIRE_OK(horus_topic_send_tensor(t, &f, 0));
        REQUIRE_OK(horus_tensor_release(&f));
    }
    atomic_store(&done, true);
    horus_topic_close(t);
    return NULL;
}
static void *read_frames(void *arg)
{
    horus_topic *t = open_in(arg, "t", (horus_topic_desc){.type = &horus_tensor_type});
    horus_tensor held[4];
    uint64_t seq[4];
    uint32_t count = 0;
    memset(held, 0, sizeof held);
    test_raise(0);
    while (!atomic_load(&done)) {
        horus_info info;
        uint32_t k = count % 4;
        if (held[k].data) { /* after three more it is as it was */
            for (int64_t i = 0; i < 512; i += 37)
                CHECK_EQ(((uint64_t *)held[k].data)[i], seq[k]);
            CHECK_OK(horus_tensor_release(&held[k]));
        }
        if (horus_topic_receive_tensor(t, &held[k], &info, HORUS_NO_WAIT) != HORUS_OK)
            continue;
        seq[k] = info.sequence;
        CHECK_EQ(((uint64_t *)held[k].data)[0], seq[k]);
        CHECK_EQ(((uint64_t *)held[k].data)[511], seq[k]);
        count++;
    }
    for (int k = 0; k < 4; k++)
        if (held[k].data)
            CHECK_OK(horus_tensor_release(&held[k]));
    horus_topic_close(t);
    return NULL;
}
TEST(no_frame_changes_while_a_reader_holds_it)
{
    horus_context *c = join(2 * MiB), *d = join(0);
    pthread_t publisher, reader[2];
    atomic_store(&done, false);
    REQUIRE(pthread_create(&reader[0], NULL, read_frames, c) == 0);
    REQUIRE(pthread_create(&reader[1], NULL, read_frames, d) == 0);
    test_await_count(0, 2);
    REQUIRE(pthread_create(&publisher, NULL, publish_frames, c) == 0);
    (void)pthread_join(publisher, NULL);
    (void)pthread_join(reader[0], NULL);
    (void)pthread_join(reader[1], NULL);
    check_balanced(pool_of(c));
    horus_context_close(d);
    horus_context_close(c);
}

/* ---- types */

#define WHEEL_A(F, A, S, N, V, W) F(u64, timestamp_ns) F(f32, speed)
#define WHEEL_B(F, A, S, N, V, W) F(u64, timestamp_ns) F(f64, speed)
#define WHEEL_V(F, A, S, N, V, W) F(u64, timestamp_ns) V(f32, samples)
HORUS_MESSAGE(wheel_a, "Wheel", "wheel", WHEEL_A)
HORUS_MESSAGE(wheel_b, "Wheel", "wheel", WHEEL_B)
HORUS_MESSAGE(wheel_v, "WheelV", "wheel", WHEEL_V)

TEST(a_typed_topic_refuses_other_types_and_names_both)
{
    horus_context *c = join(4 * MiB);
    horus_topic *t = open_in(c, "t", (horus_topic_desc){.type = &horus_imu_type}), *u;
    CHECK_RESULT(
        horus_topic_open(&u, "t", &(horus_topic_desc){.context = c, .type = &horus_odometry_type}),
        HORUS_E_TYPE);
    CHECK(u == NULL);
    CHECK_TEXT(horus_last_error(), "Imu");
    CHECK_TEXT(horus_last_error(), "Odometry");
    CHECK_TEXT(horus_last_error(), "topic t ");
    horus_topic *any = open_in(c, "t", (horus_topic_desc){0});
    horus_imu imu = {.timestamp_ns = 7};
    horus_odometry odometry = {0};
    CHECK_RESULT(horus_topic_send(any, &imu, sizeof imu, 0), HORUS_E_TYPE);
    CHECK_TEXT(horus_last_error(), "Imu");
    CHECK_RESULT(horus_topic_send_typed(any, &horus_odometry_type, &odometry, sizeof odometry, 0),
                 HORUS_E_TYPE);
    CHECK_TEXT(horus_last_error(), "Odometry");
    horus_tensor f = frame(c, 100, 1);
    CHECK_RESULT(horus_topic_send_tensor(any, &f, 0), HORUS_E_TYPE);
    CHECK(!horus_frame_published(&f.frame)); /* nothing was sent */
    CHECK(!f.readonly);
    CHECK_EQ(topic_stats(t).sent, 0);
    CHECK_OK(horus_topic_send_typed(any, &horus_imu_type, &imu, sizeof imu, 0));
    CHECK_OK(horus_topic_send(t, &imu, sizeof imu, 0));
    horus_info info;
    for (int i = 0; i < 2; i++) {
        horus_imu got = {0};
        CHECK_OK(horus_topic_receive(t, &got, sizeof got, &info, 0));
        CHECK_EQ(got.timestamp_ns, 7);
        CHECK_EQ(info.type_tag, horus_type_tag(&horus_imu_type));
        CHECK_EQ(info.size, sizeof got);
    }
    CHECK_OK(horus_tensor_release(&f));
    CHECK(strcmp(topic_stats(any).type, "Imu") == 0);
    horus_topic_close(any);
    horus_topic_close(t);
    horus_context_close(c);
}

static void child_fills_jobs(void *arg)
{
    horus_topic *q;
    (void)arg;
    REQUIRE_OK(horus_topic_open(&q, "jobs", &(horus_topic_desc){.policy = HORUS_QUEUE}));
    for (uint64_t i = 0; i < 5; i++)
        CHECK_OK(send(q, i));
}
static void child_sends_and_leaves(void *arg)
{
    horus_topic *t;
    horus_wheel_a message = {0};
    REQUIRE_OK(horus_topic_open(&t, "t", &(horus_topic_desc){.type = arg}));
    CHECK_OK(horus_topic_send_typed(t, arg, &message, sizeof message, 0));
}
TEST(messages_of_a_type_that_nobody_uses_any_more_give_way_and_no_others)
{
    horus_context *c = join(4 * MiB);
    CHECK_JOIN(test_fork(child_fills_jobs, NULL)); /* it is gone; its messages wait */
    for (int i = 0; i < 3; i++) {
        CHECK_JOIN(test_fork(child_sends_and_leaves, (void *)(uintptr_t)&horus_wheel_a_type));
        CHECK_JOIN(test_fork(child_sends_and_leaves, (void *)(uintptr_t)&horus_wheel_b_type));
    }
    horus_topic *q = open_in(c, "jobs", (horus_topic_desc){.policy = HORUS_QUEUE});
    for (uint64_t i = 0; i < 5; i++)
        CHECK_GETS(q, i);
    horus_topic_close(q);
    check_balanced(pool_of(c));
    horus_context_close(c);
}

TEST(one_name_with_other_fields_is_another_type)
{
    horus_context *c = join(4 * MiB);
    horus_topic *t = open_in(c, "t", (horus_topic_desc){.type = &horus_wheel_a_type}), *u;
    CHECK(horus_type_tag(&horus_wheel_a_type) != horus_type_tag(&horus_wheel_b_type));
    CHECK_RESULT(
        horus_topic_open(&u, "t", &(horus_topic_desc){.context = c, .type = &horus_wheel_b_type}),
        HORUS_E_TYPE);
    CHECK_TEXT(horus_last_error(), "fields differ");
    horus_topic_close(t);
    horus_context_close(c);
}

TEST(an_untyped_topic_carries_anything)
{
    horus_context *c = join(4 * MiB);
    horus_topic *t = open_in(c, "t", (horus_topic_desc){0});
    horus_wheel_a w = {1, 2};
    horus_tensor f = frame(c, 100, 9);
    horus_image img;
    horus_info info;
    char buffer[64];
    REQUIRE_OK(horus_image_alloc(&img, pool_of(c), 8, 8, HORUS_MONO8, 0));
    CHECK_OK(horus_topic_send(t, "text", 5, 0));
    CHECK_OK(horus_topic_send_typed(t, &horus_wheel_a_type, &w, sizeof w, 0));
    CHECK_OK(horus_topic_send_tensor(t, &f, 0));
    CHECK_OK(horus_topic_send_image(t, &img, 0));
    CHECK_OK(horus_tensor_release(&f));
    CHECK_OK(horus_image_release(&img));
    CHECK_OK(horus_topic_receive(t, buffer, sizeof buffer, &info, 0));
    CHECK(strcmp(buffer, "text") == 0);
    CHECK_EQ(info.type_tag, 0);
    CHECK_OK(horus_topic_receive(t, &w, sizeof w, &info, 0));
    CHECK_EQ(info.type_tag, horus_type_tag(&horus_wheel_a_type));
    CHECK_OK(horus_topic_receive_tensor(t, &f, &info, 0));
    CHECK_EQ(info.type_tag, horus_type_tag(&horus_tensor_type));
    CHECK_OK(horus_topic_receive_image(t, &img, &info, 0));
    CHECK_EQ(info.type_tag, horus_type_tag(&horus_image_type));
    CHECK_OK(horus_tensor_release(&f));
    CHECK_OK(horus_image_release(&img));
    horus_topic_close(t);
    horus_context_close(c);
}

TEST(a_message_of_a_type_has_its_size)
{
    horus_context *c = join(4 * MiB);
    horus_topic *t = open_in(c, "t", (horus_topic_desc){.type = &horus_wheel_a_type}),
                *v = open_in(c, "v", (horus_topic_desc){.type = &horus_wheel_v_type}),
                *u = open_in(c, "u", (horus_topic_desc){0});
    uint64_t room[64] = {0};
    size_t size = sizeof(horus_wheel_a);
    CHECK_OK(horus_topic_send(t, room, size, 0));
    CHECK_RESULT(horus_topic_send(t, room, size - 1, 0), HORUS_E_SIZE);
    CHECK_TEXT(horus_last_error(), "Wheel");
    CHECK_RESULT(horus_topic_send(t, room, size + 1, 0), HORUS_E_SIZE);
    CHECK_RESULT(horus_topic_send_typed(u, &horus_wheel_a_type, room, size + 1, 0), HORUS_E_SIZE);
    size = sizeof(horus_wheel_v);
    CHECK_RESULT(horus_topic_send(v, room, size - 1, 0), HORUS_E_SIZE);
    CHECK_OK(horus_topic_send(v, room, size, 0));
    CHECK_OK(horus_topic_send(v, room, size + 100, 0)); /* variable fields behind */
    CHECK_OK(horus_topic_send_typed(u, &horus_wheel_v_type, room, size + 100, 0));
    CHECK_RESULT(horus_topic_send(t, room, 0, 0), HORUS_E_ARG);
    CHECK_RESULT(horus_topic_send(u, room, 0, 0), HORUS_E_ARG);
    CHECK_EQ(topic_stats(t).sent, 1);
    CHECK_EQ(topic_stats(v).sent, 2);
    horus_topic_close(t);
    horus_topic_close(u);
    horus_topic_close(v);
    horus_context_close(c);
}

TEST(what_does_not_fit_the_receiver_stays)
{
    horus_context *c = join(4 * MiB);
    static const horus_policy policies[] = {HORUS_OVERWRITE, HORUS_RELIABLE, HORUS_QUEUE};
    for (int k = 0; k < 3; k++) {
        horus_topic *t =
            open_in(c, policy_name[policies[k]], (horus_topic_desc){.policy = policies[k]});
        horus_tensor f = frame(c, 100, 9), got;
        horus_image img;
        horus_info info;
        static uint8_t big[5000], buffer[5000];
        uint64_t n;
        memset(big, 0x2d, sizeof big);
        CHECK_OK(send(t, 42));
        CHECK_OK(horus_topic_send(t, big, sizeof big, 0));
        CHECK_OK(horus_topic_send_tensor(t, &f, 0));
        for (int i = 0; i < 3; i++) {
            CHECK_RESULT(horus_topic_receive(t, buffer, 7, &info, 0), HORUS_E_SIZE);
            CHECK_EQ(info.size, 8);
            CHECK_TEXT(horus_last_error(), "8 bytes");
            CHECK_RESULT(horus_topic_receive_tensor(t, &got, &info, 0), HORUS_E_TYPE);
            CHECK_EQ(info.kind, HORUS_KIND_MESSAGE);
            CHECK_ZERO(got);
        }
        CHECK_GETS(t, 42);
        for (int i = 0; i < 3; i++) {
            CHECK_RESULT(horus_topic_receive(t, buffer, 4999, &info, 0), HORUS_E_SIZE);
            CHECK_EQ(info.size, 5000);
        }
        CHECK_OK(horus_topic_receive(t, buffer, sizeof buffer, &info, 0));
        CHECK_EQ(info.size, 5000);
        CHECK(memcmp(big, buffer, sizeof big) == 0);
        for (int i = 0; i < 3; i++) {
            CHECK_RESULT(receive(t, &n, &info), HORUS_E_TYPE);
            CHECK_EQ(info.kind, HORUS_KIND_TENSOR);
            CHECK_TEXT(horus_last_error(), "a tensor");
            CHECK_RESULT(horus_topic_receive_image(t, &img, &info, 0), HORUS_E_TYPE);
            CHECK_EQ(info.kind, HORUS_KIND_TENSOR);
            CHECK_ZERO(img);
        }
        CHECK_OK(horus_topic_receive_tensor(t, &got, &info, 0));
        CHECK(test_is_all(got.data, 9, 100));
        CHECK_OK(horus_tensor_release(&got));
        CHECK_OK(horus_tensor_release(&f));
        CHECK_NOTHING(t);
        CHECK_EQ(topic_stats(t).lost, 0);
        CHECK_EQ(topic_stats(t).received, 3);
        horus_topic_close(t);
        check_balanced(pool_of(c));
    }
    horus_context_close(c);
}

TEST(a_refused_message_stays_the_next_one)
{
    horus_context *c = join(16 * MiB);
    for (uint32_t policy = 1; policy <= 3; policy++) {
        horus_topic *s[3], *r;
        horus_topic_desc d = {.policy = (horus_policy)policy, .capacity = 64};
        uint32_t frames = 0, numbers = 0, large = 0;
        horus_info info, peeked;
        r = open_in(c, policy_name[policy], d);
        for (int i = 0; i < 3; i++)
            s[i] = open_in(c, policy_name[policy], d);
        for (int i = 0; i < 30; i++)
            if (rng() % 3 == 0)
                send_frame(s[rng() % 3], c, 100, 1);
            else
                CHECK_OK(horus_topic_send(s[rng() % 3], &info, rng() % 2 ? 8 : 40, 0));
        for (int i = 0; i < 100 && horus_topic_peek(r, NULL, 0, &peeked) == HORUS_OK; i++) {
            uint64_t n;
            horus_tensor f;
            horus_result got = receive(r, &n, &info);
            CHECK_EQ(info.sequence, peeked.sequence);
            CHECK_EQ(info.publisher, peeked.publisher);
            CHECK_EQ(info.size, peeked.size);
            CHECK_EQ(info.kind, peeked.kind);
            numbers += got == HORUS_OK;
            if (got == HORUS_E_TYPE) {
                CHECK_OK(horus_topic_receive_tensor(r, &f, &info, 0));
                CHECK_EQ(info.sequence, peeked.sequence);
                CHECK_OK(horus_tensor_release(&f));
                frames++;
            } else if (got == HORUS_E_SIZE) {
                CHECK_RESULT(horus_topic_receive_tensor(r, &f, &info, 0), HORUS_E_TYPE);
                char room[40];
                CHECK_OK(horus_topic_receive(r, room, sizeof room, &info, 0));
                CHECK_EQ(info.sequence, peeked.sequence);
                large++;
            } else {
                CHECK_OK(got);
            }
        }
        CHECK_EQ(frames + numbers + large, 30);
        CHECK(frames > 3 && numbers > 3 && large > 3);
        CHECK_EQ(topic_stats(r).lost, 0);
        horus_topic_close(r);
        for (int i = 0; i < 3; i++)
            horus_topic_close(s[i]);
    }
    check_balanced(pool_of(c));
    horus_context_close(c);
}

/* ---- policies */

TEST(a_policy_that_differs_is_refused_and_both_are_named)
{
    static const char *const name[] = {"", "overwrite", "reliable", "queue"};
    horus_context *c = join(4 * MiB);
    for (uint32_t a = 1; a <= 3; a++)
        for (uint32_t b = 1; b <= 3; b++) {
            horus_topic *t = open_in(c, "t", (horus_topic_desc){.policy = (horus_policy)a}), *u;
            horus_result r = horus_topic_open(
                &u, "t", &(horus_topic_desc){.context = c, .policy = (horus_policy)b});
            if (a == b) {
                CHECK_OK(r);
            } else {
                CHECK_EQ(r, HORUS_E_POLICY);
                CHECK(u == NULL);
                CHECK_TEXT(horus_last_error(), name[a]);
                CHECK_TEXT(horus_last_error(), name[b]);
            }
            horus_topic_close(u);
            horus_topic_close(t);
        }
    horus_context_close(c);
}

TEST(the_first_policy_given_decides_until_the_first_message)
{
    horus_context *c = join(4 * MiB);
    horus_topic *any = open_in(c, "t", (horus_topic_desc){0}), *u;
    CHECK_EQ(topic_stats(any).policy, HORUS_POLICY_ANY);
    horus_topic *q = open_in(c, "t", (horus_topic_desc){.policy = HORUS_QUEUE});
    CHECK_EQ(topic_stats(any).policy, HORUS_QUEUE);
    CHECK_OK(send(any, 1));
    CHECK_GETS(q, 1);
    CHECK_NOTHING(any); /* somebody else had it */
    horus_topic_close(any);
    horus_topic_close(q);

    any = open_in(c, "u", (horus_topic_desc){0});
    CHECK_OK(send(any, 1));
    CHECK_EQ(topic_stats(any).policy, HORUS_OVERWRITE);
    CHECK_RESULT(
        horus_topic_open(&u, "u", &(horus_topic_desc){.context = c, .policy = HORUS_RELIABLE}),
        HORUS_E_POLICY);
    horus_topic_close(any);
    horus_context_close(c);
}

/* ---- reliable */

TEST(reliable_is_full_when_its_slowest_reader_is_behind)
{
    horus_context *c = join(4 * MiB);
    horus_topic_desc d = {.policy = HORUS_RELIABLE, .capacity = 4};
    horus_topic *s = open_in(c, "t", d), *a = open_in(c, "t", d), *b = open_in(c, "t", d);
    for (uint64_t i = 1; i <= 4; i++)
        CHECK_OK(send(s, i));
    CHECK_RESULT(send(s, 5), HORUS_FULL);
    CHECK_TEXT(horus_last_error(), "topic t");
    CHECK_RESULT(horus_topic_send(s, "x", 1, 2000000), HORUS_TIMEOUT);
    CHECK_GETS(a, 1);
    CHECK_RESULT(send(s, 5), HORUS_FULL); /* b has not */
    CHECK_GETS(b, 1);
    CHECK_OK(send(s, 5));
    CHECK_RESULT(send(s, 6), HORUS_FULL);
    for (uint64_t i = 2; i <= 5; i++)
        CHECK_GETS(a, i);
    horus_topic_close(b); /* who leaves does not count */
    for (uint64_t i = 6; i <= 9; i++)
        CHECK_OK(send(s, i));
    CHECK_RESULT(send(s, 10), HORUS_FULL);
    for (uint64_t i = 6; i <= 9; i++)
        CHECK_GETS(a, i);
    CHECK_NOTHING(a);
    CHECK_EQ(topic_stats(s).sent, 9);
    CHECK_EQ(topic_stats(s).lost, 0);
    horus_topic_close(a);
    horus_topic_close(s);
    horus_context_close(c);
}

TEST(a_handle_that_only_sends_holds_nobody_back)
{
    horus_context *c = join(4 * MiB);
    horus_topic_desc d = {.policy = HORUS_RELIABLE, .capacity = 4};
    horus_topic *a = open_in(c, "t", d);
    for (uint64_t i = 1; i <= 100; i++)
        CHECK_OK(send(a, i)); /* nobody reads */
    horus_topic *b = open_in(c, "t", d);
    for (uint64_t i = 1; i <= 4; i++)
        CHECK_OK(send(a, i));
    CHECK_RESULT(send(a, 5), HORUS_FULL); /* b may yet want to read */
    CHECK_OK(send(b, 6));                 /* but it sends first */
    for (uint64_t i = 7; i <= 100; i++)
        CHECK_OK(send(a, i));
    /* from its first receive it counts; what came before is lost to it, and said so */
    uint64_t n;
    horus_info info;
    CHECK_OK(receive(b, &n, &info));
    while (receive(b, &n, &info) == HORUS_OK) {
    }
    for (uint64_t i = 1; i <= 4; i++)
        CHECK_OK(send(a, 200 + i));
    CHECK_RESULT(send(a, 205), HORUS_FULL);
    for (uint64_t i = 1; i <= 4; i++)
        CHECK_GETS(b, 200 + i);
    CHECK_OK(send(a, 205));
    horus_topic_close(a);
    horus_topic_close(b);
    horus_context_close(c);
}

TEST(a_reader_that_was_there_before_the_publisher_counts)
{
    horus_context *c = join(4 * MiB), *d = join(0);
    horus_topic_desc desc = {.policy = HORUS_RELIABLE, .capacity = 3};
    horus_topic *r = open_in(c, "t", desc);
    for (uint64_t round = 0; round < 10; round++) { /* rings come and go in one lane */
        horus_topic *s = open_in(d, "t", desc);
        for (uint64_t i = 0; i < 3; i++)
            CHECK_OK(send(s, round * 3 + i));
        CHECK_RESULT(send(s, 99), HORUS_FULL);
        horus_topic_close(s);
        for (uint64_t i = 0; i < 3; i++)
            CHECK_GETS(r, round * 3 + i);
        CHECK_NOTHING(r);
    }
    horus_topic_close(r);
    check_balanced(pool_of(c));
    horus_context_close(d);
    horus_context_close(c);
}

TEST(reliable_frames_wait_for_their_readers)
{
    horus_context *c = join(16 * MiB);
    horus_topic_desc d = {.policy = HORUS_RELIABLE, .type = &horus_tensor_type};
    horus_topic *s = open_in(c, "t", d), *r = open_in(c, "t", d);
    horus_tensor f, got;
    horus_info info;
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 8; i++)
            send_frame(s, c, 100000, i);
        f = frame(c, 100, 1);
        CHECK_RESULT(horus_topic_send_tensor(s, &f, 0), HORUS_FULL);
        CHECK(!horus_frame_published(&f.frame));
        CHECK_OK(horus_tensor_release(&f));
        horus_frame big; /* not even an alloc that fails takes them */
        CHECK_RESULT(horus_frame_alloc(&big, pool_of(c), 16 * MiB, HORUS_UNINIT, NULL),
                     HORUS_E_POOL_FULL);
        for (int i = 0; i < 8; i++) {
            CHECK_OK(horus_topic_receive_tensor(r, &got, &info, 0));
            CHECK_EQ(info.lost, 0);
            CHECK(test_is_all(got.data, i, 100000));
            CHECK_OK(horus_tensor_release(&got));
        }
    }
    horus_topic_close(s);
    horus_topic_close(r);
    horus_context_close(c);
}

TEST(history_of_a_reliable_topic_is_not_lost_either)
{
    horus_context *c = join(4 * MiB);
    horus_topic_desc d = {.policy = HORUS_RELIABLE, .capacity = 8};
    horus_topic *s = open_in(c, "t", d);
    for (uint64_t i = 1; i <= 10; i++)
        CHECK_OK(send(s, i));
    d.history = 4;
    horus_topic *r = open_in(c, "t", d);
    uint64_t more = 0, n;
    horus_info info;
    while (more < 20 && send(s, 11 + more) == HORUS_OK)
        more++;
    CHECK_EQ(more, 4);
    for (uint64_t i = 7; i <= 10 + more; i++) {
        CHECK_OK(receive(r, &n, &info));
        CHECK_EQ(n, i);
        CHECK_EQ(info.lost, 0);
    }
    CHECK_NOTHING(r);
    horus_topic_close(s);
    horus_topic_close(r);
    horus_context_close(c);
}

static void *read_all(void *arg)
{
    horus_topic *t = arg;
    uint64_t n, next = 1;
    test_sleep_us(20000);
    do {
        REQUIRE_OK(horus_topic_receive(t, &n, sizeof n, NULL, HORUS_FOREVER));
        CHECK_EQ(n, next++);
    } while (n < 500);
    return NULL;
}
TEST(a_blocked_sender_is_released_by_a_reading_thread)
{
    horus_context *c = join(4 * MiB);
    horus_topic_desc d = {.policy = HORUS_RELIABLE, .capacity = 4};
    horus_topic *s = open_in(c, "t", d), *r = open_in(c, "t", d);
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, read_all, r) == 0);
    for (uint64_t i = 1; i <= 500; i++)
        CHECK_OK(horus_topic_send(s, &i, sizeof i, HORUS_FOREVER));
    (void)pthread_join(thread, NULL);
    horus_topic_close(s);
    horus_topic_close(r);
    horus_context_close(c);
}

static void child_subscribes(void *arg)
{
    horus_topic *t;
    uint64_t n;
    (void)arg;
    REQUIRE_OK(horus_topic_open(&t, "t", &(horus_topic_desc){.policy = HORUS_RELIABLE}));
    CHECK_RESULT(receive(t, &n, NULL), HORUS_EMPTY);
    test_raise(0);
    test_stay();
}
static void *kill_later(void *arg)
{
    test_sleep_us(30000);
    (void)kill(*(pid_t *)arg, SIGKILL);
    return NULL;
}
TEST(a_dead_reader_never_counts_a_stopped_one_does)
{
    horus_context *c = join(4 * MiB);
    pid_t pid = test_fork(child_subscribes, NULL);
    test_await(0);
    horus_topic *s = open_in(c, "t", (horus_topic_desc){.policy = HORUS_RELIABLE, .capacity = 4});
    for (uint64_t i = 1; i <= 4; i++)
        CHECK_OK(send(s, i));
    CHECK_RESULT(send(s, 5), HORUS_FULL);
    (void)kill(pid, SIGSTOP);
    CHECK_RESULT(send(s, 5), HORUS_FULL);
    CHECK_RESULT(horus_topic_send(s, "x", 1, 150000000), HORUS_TIMEOUT);
    test_kill(pid);
    CHECK_OK(send(s, 5)); /* at once, without a wait */
    for (uint64_t i = 6; i <= 100; i++)
        CHECK_OK(send(s, i));
    horus_topic_close(s);
    check_balanced(pool_of(c));
    horus_context_close(c);
}
TEST(a_sender_that_waits_is_released_when_its_reader_dies)
{
    horus_context *c = join(4 * MiB);
    pid_t pid = test_fork(child_subscribes, NULL);
    test_await(0);
    horus_topic *s = open_in(c, "t", (horus_topic_desc){.policy = HORUS_RELIABLE, .capacity = 4});
    pthread_t thread;
    for (uint64_t i = 1; i <= 4; i++)
        CHECK_OK(send(s, i));
    REQUIRE(pthread_create(&thread, NULL, kill_later, &pid) == 0);
    CHECK_OK(horus_topic_send(s, "x", 1, HORUS_FOREVER));
    (void)pthread_join(thread, NULL);
    (void)test_wait(pid);
    horus_topic_close(s);
    horus_context_close(c);
}

/* ---- queue */

TEST(each_message_of_a_queue_goes_to_one_consumer)
{
    horus_context *c = join(4 * MiB);
    horus_topic_desc d = {.policy = HORUS_QUEUE, .capacity = 64};
    horus_topic *s = open_in(c, "q", d), *a = open_in(c, "q", d), *b = open_in(c, "q", d);
    for (uint64_t i = 1; i <= 60; i++)
        CHECK_OK(send(s, i));
    for (uint64_t i = 1; i <= 60; i++)
        CHECK_GETS(i % 3 ? a : b, i);
    CHECK_NOTHING(a);
    CHECK_NOTHING(b);
    CHECK_NOTHING(s);
    CHECK_EQ(topic_stats(s).received, 60);
    horus_topic_close(a);
    horus_topic_close(b);
    horus_topic_close(s);
    horus_context_close(c);
}

TEST(messages_wait_for_consumers_that_come_later_and_a_full_queue_refuses)
{
    horus_context *c = join(4 * MiB), *d = join(0);
    horus_topic_desc desc = {.policy = HORUS_QUEUE, .capacity = 8};
    horus_topic *s = open_in(c, "q", desc);
    for (uint64_t i = 1; i <= 8; i++)
        CHECK_OK(send(s, i));
    CHECK_RESULT(send(s, 9), HORUS_FULL);
    CHECK_RESULT(horus_topic_send(s, "x", 1, 2000000), HORUS_TIMEOUT);
    horus_topic *r = open_in(d, "q", desc);
    CHECK_GETS(r, 1);
    CHECK_RESULT(send(s, 9), HORUS_FULL); /* it is not done with it */
    CHECK_OK(horus_topic_ack(r));
    CHECK_RESULT(horus_topic_ack(r), HORUS_EMPTY);
    CHECK_OK(send(s, 9));
    CHECK_RESULT(send(s, 10), HORUS_FULL);
    CHECK_GETS(r, 2);
    CHECK_GETS(r, 3); /* ends the claim on 2 */
    CHECK_OK(send(s, 10));
    CHECK_RESULT(send(s, 11), HORUS_FULL);
    horus_topic_close(r); /* ends the claim on 3 */
    CHECK_OK(send(s, 11));
    horus_topic_close(s); /* the queue outlives its publisher */
    r = open_in(d, "q", desc);
    for (uint64_t i = 4; i <= 11; i++)
        CHECK_GETS(r, i);
    CHECK_NOTHING(r);
    CHECK_EQ(topic_stats(r).lost, 0);
    horus_topic_close(r);
    check_balanced(pool_of(c));
    horus_context_close(d);
    horus_context_close(c);
}

TEST(a_consumer_a_lap_behind_finds_what_is_ready)
{
    static const uint32_t capacity[] = {1, 2, 3, 4, 8, 100};
    horus_context *c = join(16 * MiB);
    for (size_t k = 0; k < sizeof capacity / sizeof capacity[0]; k++)
        for (uint64_t passed = 0; passed <= 4 * capacity[k] + 3; passed += 1 + passed / 16) {
            char name[32];
            (void)snprintf(name, sizeof name, "q%u.%u", (unsigned)k, (unsigned)passed);
            horus_topic_desc d = {.policy = HORUS_QUEUE, .capacity = capacity[k]};
            horus_topic *s = open_in(c, name, d), *quick = open_in(c, name, d),
                        *slow = open_in(c, name, d);
            CHECK_NOTHING(slow); /* it stands at the beginning */
            for (uint64_t i = 0; i < passed; i++) {
                CHECK_OK(send(s, i));
                CHECK_GETS(quick, i);
                CHECK_OK(horus_topic_ack(quick));
            }
            for (uint64_t i = 0; i < capacity[k]; i++)
                CHECK_OK(send(s, passed + i));
            for (uint64_t i = 0; i + 1 < capacity[k]; i++)
                CHECK_GETS(quick, passed + i);
            CHECK_GETS(slow, passed + capacity[k] - 1); /* the last one, at the first try */
            CHECK_NOTHING(slow);
            horus_topic_close(s);
            horus_topic_close(quick);
            horus_topic_close(slow);
        }
    check_balanced(pool_of(c));
    horus_context_close(c);
}

static void child_claims(void *arg)
{
    horus_topic *t;
    uint64_t n;
    horus_info info;
    uint64_t take = (uint64_t)(uintptr_t)arg;
    REQUIRE_OK(horus_topic_open(&t, "q", &(horus_topic_desc){.policy = HORUS_QUEUE}));
    for (uint64_t i = 1; i <= take; i++) {
        CHECK_OK(receive(t, &n, &info));
        CHECK_EQ(n, i);
        CHECK(!info.redelivered);
    }
    test_raise(0);
    test_stay();
}
TEST(what_a_dead_consumer_had_claimed_is_delivered_again_and_marked)
{
    horus_context *c = join(4 * MiB);
    horus_topic *s = open_in(c, "q", (horus_topic_desc){.policy = HORUS_QUEUE, .capacity = 8});
    horus_info info;
    uint64_t n;
    for (uint64_t i = 1; i <= 6; i++)
        CHECK_OK(send(s, i));
    pid_t pid = test_fork(child_claims, (void *)(uintptr_t)3); /* 1 and 2 are done, 3 is claimed */
    test_await(0);
    CHECK_OK(receive(s, &n, &info));
    CHECK_EQ(n, 4);
    (void)kill(pid, SIGSTOP); /* a stopped consumer keeps its claims */
    CHECK_OK(horus_context_sweep(c, NULL));
    CHECK_OK(receive(s, &n, &info));
    CHECK_EQ(n, 5);
    test_kill(pid);
    CHECK_OK(horus_context_sweep(c, NULL));
    horus_topic_stats stats;
    CHECK_OK(horus_topic_get_stats(s, &stats));
    CHECK_EQ(stats.pending, 2); /* the one given back, too */
    CHECK_OK(receive(s, &n, &info));
    CHECK_EQ(n, 3);
    CHECK(info.redelivered);
    CHECK_EQ(info.sequence, 3);
    CHECK_OK(receive(s, &n, &info));
    CHECK_EQ(n, 6);
    CHECK(!info.redelivered);
    CHECK_NOTHING(s);
    horus_topic_close(s);
    check_balanced(pool_of(c));
    horus_context_close(c);
}
TEST(a_waiting_consumer_gets_what_a_dead_one_had_claimed)
{
    horus_context *c = join(4 * MiB);
    horus_topic *s = open_in(c, "q", (horus_topic_desc){.policy = HORUS_QUEUE, .capacity = 8});
    horus_info info;
    uint64_t n;
    CHECK_OK(send(s, 1));
    pid_t pid = test_fork(child_claims, (void *)(uintptr_t)1);
    test_await(0);
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, kill_later, &pid) == 0);
    CHECK_OK(horus_topic_receive(s, &n, sizeof n, &info, HORUS_FOREVER)); /* nobody sweeps but we */
    CHECK_EQ(n, 1);
    CHECK(info.redelivered);
    (void)pthread_join(thread, NULL);
    (void)test_wait(pid);
    horus_topic_close(s);
    horus_context_close(c);
}
TEST(a_claim_freed_by_a_sweeper_that_died_before_it_said_so_is_found)
{
    horus_context *c = join(4 * MiB);
    horus_topic *s = open_in(c, "q", (horus_topic_desc){.policy = HORUS_QUEUE, .capacity = 4}),
                *r = open_in(c, "q", (horus_topic_desc){0});
    uint64_t n, word;
    horus_info info;
    CHECK_OK(send(s, 1));
    pid_t pid = test_fork(child_claims, (void *)(uintptr_t)1);
    test_await(0);
    CHECK_OK(send(s, 2));
    CHECK_GETS(r, 2);
    CHECK_OK(horus_topic_ack(r));
    test_kill(pid);
    horusi_a64 *claim = &s->out->claims[0]; /* what the sweeper does first, and no more */
    word = horusi_ld64_acq(K2, claim);
    CHECK_EQ(horusi_claim_state(word), HORUSI_CLAIM_TAKEN);
    horusi_st64_rel(K1, claim, (word & ~(uint64_t)0xff) | HORUSI_CLAIM_AGAIN);
    CHECK_OK(horus_topic_receive(r, &n, sizeof n, &info, 5000000000));
    CHECK_EQ(n, 1);
    CHECK(info.redelivered);
    horus_topic_close(s);
    horus_topic_close(r);
    horus_context_close(c);
}

static void child_puts_back(void *arg)
{
    horus_topic *t;
    (void)arg;
    REQUIRE_OK(horus_topic_open(&t, "q", &(horus_topic_desc){.policy = HORUS_QUEUE}));
    test_raise(0);
    for (char small;;) /* claims a message, finds no room for it, gives it back */
        (void)horus_topic_receive(t, &small, 1, NULL, HORUS_NO_WAIT);
}
TEST(a_message_put_back_is_seen_by_those_who_passed_it)
{
    horus_context *c = join(4 * MiB);
    horus_topic *s = open_in(c, "q", (horus_topic_desc){.policy = HORUS_QUEUE, .capacity = 8}),
                *r = open_in(c, "q", (horus_topic_desc){0});
    pid_t pid = test_fork(child_puts_back, NULL);
    test_await(0);
    uint64_t end = horus_now_ns() + 300000000, n;
    for (uint64_t i = 0; horus_now_ns() < end && atomic_load(&board->failures) == 0; i++) {
        CHECK_OK(send(s, i));
        CHECK_OK(horus_topic_receive(r, &n, sizeof n, NULL, 5000000000));
        CHECK_EQ(n, i);
    }
    test_kill(pid);
    horus_topic_close(s);
    horus_topic_close(r);
    horus_context_close(c);
}

static void child_dies_as_it_puts_back(void *arg)
{
    horus_topic *t;
    uint32_t k = 0;
    bool again = false;
    (void)arg;
    REQUIRE_OK(horus_topic_open(&t, "q", &(horus_topic_desc){.policy = HORUS_QUEUE}));
    REQUIRE(horusi_find(t, false, false, &k, &again) != NULL);
    test_raise(0);
    test_await(1);
    horusi_put_back(t, &t->in[k], again);
    (void)atomic_fetch_sub(&t->shm->redeliver, 1); /* as if it had not come so far */
    (void)kill(getpid(), SIGKILL);
}
TEST(a_message_put_back_by_one_who_died_before_it_said_so_is_found)
{
    horus_context *c = join(4 * MiB);
    horus_topic_desc d = {.policy = HORUS_QUEUE, .capacity = 4};
    horus_topic *s = open_in(c, "q", d), *r = open_in(c, "q", (horus_topic_desc){0});
    CHECK_OK(send(s, 1));
    pid_t pid = test_fork(child_dies_as_it_puts_back, NULL);
    test_await(0);
    CHECK_NOTHING(r); /* so it has gone past it */
    test_raise(1);
    (void)test_wait(pid);
    CHECK_OK(horus_context_sweep(c, NULL));
    CHECK_GETS(r, 1);
    horus_topic_close(r);
    horus_topic_close(s);
    horus_context_close(c);
}

TEST(at_most_once_drops_what_a_dead_consumer_had_claimed)
{
    horus_context *c = join(4 * MiB);
    horus_topic *s = open_in(
        c, "q",
        (horus_topic_desc){.policy = HORUS_QUEUE, .capacity = 4, .flags = HORUS_AT_MOST_ONCE});
    for (uint64_t i = 1; i <= 4; i++)
        CHECK_OK(send(s, i));
    pid_t pid = test_fork(child_claims, (void *)(uintptr_t)2);
    test_await(0);
    CHECK_OK(send(s, 5));
    CHECK_RESULT(send(s, 6), HORUS_FULL);
    test_kill(pid);
    CHECK_OK(send(s, 6)); /* its place is free */
    for (uint64_t i = 3; i <= 6; i++)
        CHECK_GETS(s, i);
    CHECK_NOTHING(s);
    horus_topic_close(s);
    horus_context_close(c);
}

static void child_consumes(void *arg)
{
    horus_topic *t;
    uint64_t total = (uint64_t)(uintptr_t)arg;
    REQUIRE_OK(horus_topic_open(&t, "q", &(horus_topic_desc){.policy = HORUS_QUEUE}));
    test_raise(0);
    while (atomic_load(&board->value[1]) < total) {
        uint64_t n;
        horus_result r = horus_topic_receive(t, &n, sizeof n, NULL, 20000000);
        CHECK(r == HORUS_OK || r == HORUS_TIMEOUT);
        if (r != HORUS_OK)
            continue;
        uint64_t who = n >> 32, i = (uint32_t)n;
        REQUIRE(who < 2 && i < 1900);
        CHECK_EQ(atomic_fetch_add(&board->value[100 + who * 1900 + i], 1), 0);
        atomic_fetch_add(&board->value[1], 1);
    }
    horus_topic_close(t);
}
static void child_produces(void *arg)
{
    horus_topic *t;
    uint64_t who = (uint64_t)(uintptr_t)arg;
    REQUIRE_OK(horus_topic_open(
        &t, "q",
        &(horus_topic_desc){.policy = HORUS_QUEUE, .capacity = 16, .flags = HORUS_PUBLISHER}));
    for (uint64_t i = 0; i < 1900; i++) {
        uint64_t m = who << 32 | i;
        REQUIRE_OK(horus_topic_send(t, &m, sizeof m, HORUS_FOREVER));
    }
    horus_topic_close(t);
}
TEST(many_consumers_and_producers_deliver_each_message_once)
{
    horus_context *c = join(8 * MiB);
    pid_t consumer[5], producer[2];
    uint64_t total = 2 * 1900;
    for (int i = 0; i < 5; i++)
        consumer[i] = test_fork(child_consumes, (void *)(uintptr_t)total);
    test_await_count(0, 5);
    for (uintptr_t i = 0; i < 2; i++)
        producer[i] = test_fork(child_produces, (void *)i);
    for (int i = 0; i < 2; i++)
        CHECK_JOIN(producer[i]);
    for (int i = 0; i < 5; i++)
        CHECK_JOIN(consumer[i]);
    for (uint64_t i = 0; i < total; i++)
        CHECK_EQ(atomic_load(&board->value[100 + i]), 1);
    check_balanced(pool_of(c));
    horus_context_close(c);
}

static void child_consumes_until_killed(void *arg)
{
    horus_topic *t;
    (void)arg;
    REQUIRE_OK(horus_topic_open(&t, "q", &(horus_topic_desc){.policy = HORUS_QUEUE}));
    for (;;) {
        uint64_t n;
        REQUIRE_OK(horus_topic_receive(t, &n, sizeof n, NULL, HORUS_FOREVER));
        REQUIRE(n < 3000);
        atomic_fetch_add(&board->value[100 + n], 1);
        test_sleep_us(50);
    }
}
TEST(consumers_are_killed_at_random_and_no_message_is_missed)
{
    horus_context *c = join(8 * MiB);
    horus_topic *t = open_in(c, "q", (horus_topic_desc){.policy = HORUS_QUEUE, .capacity = 32});
    pid_t pid[3];
    uint32_t kills = 0, redelivered = 0;
    uint64_t total = TEST_SANITIZED ? 400 : 2000;
    for (int i = 0; i < 3; i++)
        pid[i] = test_fork(child_consumes_until_killed, NULL);
    for (uint64_t n = 0; n < total; n++) {
        CHECK_OK(horus_topic_send(t, &n, sizeof n, HORUS_FOREVER));
        if (n % 40 == 39) {
            int k = (int)(rng() % 3);
            test_kill(pid[k]);
            kills++;
            pid[k] = test_fork(child_consumes_until_killed, NULL);
        }
    }
    for (int i = 0; i < 3; i++)
        test_kill(pid[i]);
    CHECK_OK(horus_context_sweep(c, NULL));
    uint64_t n;
    horus_info info;
    while (receive(t, &n, &info) == HORUS_OK) {
        atomic_fetch_add(&board->value[100 + n], 1);
        redelivered += info.redelivered;
    }
    uint64_t twice = 0;
    for (uint64_t i = 0; i < total; i++) {
        uint64_t times = atomic_load(&board->value[100 + i]);
        CHECK(times >= 1);
        twice += times > 1;
    }
    CHECK(twice <= kills + 3); /* one claim each at most */
    CHECK(redelivered <= 3);
    horus_topic_close(t);
    check_balanced(pool_of(c));
    horus_context_close(c);
}

TEST(queues_carry_frames)
{
    horus_context *c = join(16 * MiB), *d = join(0);
    horus_topic_desc desc = {.policy = HORUS_QUEUE, .type = &horus_tensor_type};
    horus_topic *s = open_in(c, "q", desc), *a = open_in(d, "q", desc), *b = open_in(d, "q", desc);
    horus_tensor got, f;
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 8; i++)
            send_frame(s, c, 70000, i);
        f = frame(c, 100, 1);
        CHECK_RESULT(horus_topic_send_tensor(s, &f, 0), HORUS_FULL);
        CHECK_OK(horus_tensor_release(&f));
        for (int i = 0; i < 8; i++) {
            CHECK_OK(horus_topic_receive_tensor(i % 2 ? a : b, &got, NULL, 0));
            CHECK(test_is_all(got.data, i, 70000));
            CHECK_OK(horus_tensor_release(&got));
        }
        CHECK_OK(horus_topic_ack(a));
        CHECK_OK(horus_topic_ack(b));
    }
    horus_frame all; /* frames of finished messages give way */
    CHECK_OK(horus_frame_alloc(&all, pool_of(c), 14 * MiB, HORUS_UNINIT, NULL));
    CHECK_OK(horus_frame_release(&all));
    horus_topic_close(s);
    horus_topic_close(a);
    horus_topic_close(b);
    check_balanced(pool_of(c));
    horus_context_close(d);
    horus_context_close(c);
}

TEST(a_look_at_a_queue_leaves_what_is_claimed_alone)
{
    horus_context *c = join(16 * MiB);
    horus_topic_desc d = {.policy = HORUS_QUEUE, .capacity = 4, .message_bytes = 64};
    horus_topic *a = open_in(c, "q", d), *b = open_in(c, "q", d), *r = open_in(c, "q", d);
    static uint8_t block[5000];
    uint8_t first[8] = {42}, got[8];
    CHECK_OK(horus_topic_send(a, first, sizeof first, 0));
    CHECK_OK(horus_topic_receive(r, got, sizeof got, NULL, 0)); /* and not done yet */
    CHECK_OK(horus_topic_send(b, block, sizeof block, 0));
    /* as if another consumer had finished it while we look: its slot is in use for something else */
    horusi_wire *wire = (horusi_wire *)(void *)(horusi_entry_at(b->out->entries, 64, 0) + 1);
    wire->generation++;
    CHECK_RESULT(horus_topic_peek(r, block, sizeof block, NULL), HORUS_EMPTY);
    wire->generation--;
    CHECK_EQ(topic_stats(r).lost, 0);
    CHECK_OK(horus_topic_ack(r));
    horus_topic_close(a);
    horus_topic_close(b);
    horus_topic_close(r);
    horus_context_close(c);
}
TEST(ack_is_for_queues)
{
    horus_context *c = join(4 * MiB);
    horus_topic *t = open_in(c, "t", (horus_topic_desc){.policy = HORUS_OVERWRITE});
    CHECK_RESULT(horus_topic_ack(t), HORUS_E_POLICY);
    horus_topic_close(t);
    t = open_in(c, "q", (horus_topic_desc){.policy = HORUS_QUEUE});
    CHECK_RESULT(horus_topic_ack(t), HORUS_EMPTY);
    CHECK_OK(send(t, 1));
    CHECK_RESULT(horus_topic_skip_to_latest(t, NULL), HORUS_E_POLICY);
    CHECK_GETS(t, 1);
    horus_topic_close(t);
    horus_context_close(c);
}

/* ---- history, late joiners, publishers that left */

TEST(history_is_the_newest_of_all_publishers_by_time)
{
    horus_context *c = join(4 * MiB), *d = join(0);
    for (uint32_t k = 0; k <= 12; k++) {
        char name[16];
        (void)snprintf(name, sizeof name, "t%u", (unsigned)k);
        horus_topic *a = open_in(c, name, (horus_topic_desc){.capacity = 16}),
                    *b = open_in(d, name, (horus_topic_desc){.capacity = 16}),
                    *e = open_in(c, name, (horus_topic_desc){.capacity = 16});
        horus_topic *const sender[] = {a, b, a, a, e, b, e, a, b, b};
        for (uint64_t i = 1; i <= 10; i++) {
            test_sleep_us(20); /* stamps differ */
            CHECK_OK(send(sender[i - 1], i));
        }
        horus_topic *r = open_in(c, name, (horus_topic_desc){.history = k});
        uint64_t n, seen = 0, want = k < 10 ? k : 10;
        horus_info info;
        while (receive(r, &n, &info) == HORUS_OK) {
            seen |= 1ull << n;
            CHECK_EQ(info.lost, 0);
        }
        for (uint64_t i = 1; i <= 10; i++)
            CHECK_EQ(seen >> i & 1, i > 10 - want);
        CHECK_OK(send(a, 11)); /* and then what comes */
        CHECK_GETS(r, 11);
        CHECK_NOTHING(r);
        horus_topic_close(r);
        horus_topic_close(a);
        horus_topic_close(b);
        horus_topic_close(e);
    }
    horus_context_close(d);
    horus_context_close(c);
}

TEST(history_that_is_overwritten_before_it_is_read_is_not_lost)
{
    horus_context *c = join(4 * MiB);
    horus_topic *s = open_in(c, "t", (horus_topic_desc){.capacity = 4});
    horus_info info;
    uint64_t n;
    for (uint64_t i = 1; i <= 4; i++)
        CHECK_OK(send(s, i));
    horus_topic *r = open_in(c, "t", (horus_topic_desc){.history = 3}); /* 2, 3, 4 */
    for (uint64_t i = 5; i <= 10; i++)
        CHECK_OK(send(s, i));
    CHECK_OK(receive(r, &n, &info));
    CHECK_EQ(n, 7);
    CHECK_EQ(info.lost, 2); /* 5 and 6: sent since the opening */
    horus_topic_close(s);
    horus_topic_close(r);
    horus_context_close(c);
}
TEST(a_negative_timeout_is_refused_even_if_nothing_had_to_be_waited_for)
{
    horus_context *c = join(4 * MiB);
    for (uint32_t k = 0; k < 2; k++) {
        horus_topic_desc d = {.type = k ? &horus_imu_type : NULL};
        horus_topic *s = open_in(c, k ? "typed" : "any", d),
                    *r = open_in(c, k ? "typed" : "any", d);
        horus_imu m = {.timestamp_ns = 7};
        for (int i = 0; i < 3; i++) { /* the first sends and receives are special */
            CHECK_RESULT(horus_topic_send(s, &m, sizeof m, -1), HORUS_E_ARG);
            CHECK_OK(horus_topic_send(s, &m, sizeof m, 0));
            CHECK_RESULT(horus_topic_receive(r, &m, sizeof m, NULL, INT64_MIN), HORUS_E_ARG);
            CHECK_OK(horus_topic_receive(r, &m, sizeof m, NULL, 0));
        }
        horus_topic_close(s);
        horus_topic_close(r);
    }
    horus_context_close(c);
}

TEST(history_reaches_back_no_further_than_the_ring)
{
    horus_context *c = join(4 * MiB);
    horus_topic *s = open_in(c, "t", (horus_topic_desc){.capacity = 4});
    for (uint64_t i = 1; i <= 10; i++)
        CHECK_OK(send(s, i));
    horus_topic *r = open_in(c, "t", (horus_topic_desc){.history = UINT32_MAX});
    horus_info info;
    uint64_t n;
    for (uint64_t i = 7; i <= 10; i++) {
        CHECK_OK(receive(r, &n, &info));
        CHECK_EQ(n, i);
        CHECK_EQ(info.lost, 0);
    }
    CHECK_NOTHING(r);
    horus_topic_close(r);
    horus_topic_close(s);
    horus_context_close(c);
}

TEST(messages_survive_their_closed_publisher)
{
    horus_context *c = join(4 * MiB), *d = join(0);
    horus_topic *r = open_in(c, "t", (horus_topic_desc){0});
    horus_topic *s = open_in(d, "t", (horus_topic_desc){0});
    horus_tensor got;
    for (uint64_t i = 1; i <= 5; i++)
        CHECK_OK(send(s, i));
    send_frame(s, d, 5000, 0x3c);
    horus_topic_close(s);
    horus_context_close(d); /* it even left */
    for (uint64_t i = 1; i <= 5; i++)
        CHECK_GETS(r, i);
    CHECK_OK(horus_topic_receive_tensor(r, &got, NULL, 0));
    CHECK(test_is_all(got.data, 0x3c, 5000));
    CHECK_OK(horus_tensor_release(&got));
    CHECK_NOTHING(r);
    horus_topic *late = open_in(c, "t", (horus_topic_desc){.history = 100});
    for (uint64_t i = 1; i <= 5; i++)
        CHECK_GETS(late, i);
    CHECK_OK(horus_topic_receive_tensor(late, &got, NULL, 0));
    CHECK(test_is_all(got.data, 0x3c, 5000));
    CHECK_OK(horus_tensor_release(&got));
    horus_topic_close(late);
    horus_topic_close(r);
    check_balanced(pool_of(c));
    horus_context_close(c);
}

/* What a reliable reader has still to read stays when its publisher goes, be it one frame, and as
 * many as may come after it. */
static void child_sends_two_frames(void *arg)
{
    horus_context *c = join(0);
    horus_topic *s = open_in(c, "t", (horus_topic_desc){.policy = HORUS_RELIABLE, .capacity = 2});
    send_frame(s, c, 5000, 1);
    send_frame(s, c, 5000, 2);
    if (arg)
        (void)kill(getpid(), SIGKILL);
    horus_topic_close(s);
    horus_context_close(c);
}
static uint32_t rings_of(horus_topic *t)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->max_lanes; i++)
        n += atomic_load(&horusi_lanes(t->shm)[i].word) != 0;
    return n;
}
enum { CLOSED, LEFT, KILLED };
static void the_last_one_stays(int how)
{
    horus_context *c = join(8 * MiB), *d = join(0);
    horus_topic_desc desc = {.policy = HORUS_RELIABLE, .capacity = 8};
    horus_topic *r = open_in(c, "t", desc), *s = open_in(c, "t", desc), *u;
    horus_tensor got;
    horus_info info;
    uint32_t seen = 0;
    if (how == CLOSED) {
        desc.capacity = 2;
        u = open_in(d, "t", desc);
        send_frame(u, d, 5000, 1);
        send_frame(u, d, 5000, 2);
        horus_topic_close(u);
    } else {
        CHECK_EQ(test_wait(test_fork(child_sends_two_frames, how == KILLED ? c : NULL)),
                 how == KILLED ? SIGKILL : 0);
    }
    REQUIRE_OK(horus_topic_receive_tensor(r, &got, &info, 0));
    CHECK(test_is_all(got.data, 1, 5000));
    CHECK_OK(horus_tensor_release(&got));
    for (int i = 3; i <= 7; i++)
        send_frame(s, c, 5000, i);
    CHECK_OK(horus_context_sweep(c, NULL));
    horus_topic_close(open_in(d, "other", (horus_topic_desc){0})); /* ends what is not needed */
    CHECK_EQ(rings_of(r), 2);
    horus_tensor other[40]; /* what is free is used again */
    for (int i = 0; i < 40; i++)
        other[i] = frame(i % 2 ? c : d, 5000, 0xee);
    for (int i = 0; i < 40; i++)
        CHECK_OK(horus_tensor_release(&other[i]));
    for (int i = 2; i <= 7; i++) {
        REQUIRE_OK(horus_topic_receive_tensor(r, &got, &info, 0));
        CHECK_EQ(info.lost, 0);
        CHECK(test_is_all(got.data, *(uint8_t *)got.data, 5000));
        seen |= 1u << (*(uint8_t *)got.data & 31);
        CHECK_OK(horus_tensor_release(&got));
    }
    CHECK_EQ(seen, 0xfc);
    CHECK_RESULT(horus_topic_receive_tensor(r, &got, &info, 0), HORUS_EMPTY);
    CHECK_OK(horus_context_sweep(c, NULL));
    horus_topic_close(open_in(d, "other", (horus_topic_desc){0}));
    CHECK_EQ(rings_of(r), 1); /* now it is not needed */
    horus_topic_close(r);
    horus_topic_close(s);
    check_balanced(pool_of(c));
    horus_context_close(d);
    horus_context_close(c);
}
TEST(the_last_unread_frame_of_a_closed_reliable_handle_stays) { the_last_one_stays(CLOSED); }
TEST(the_last_unread_frame_of_a_reliable_publisher_that_left_stays) { the_last_one_stays(LEFT); }
TEST(the_last_unread_frame_of_a_killed_reliable_publisher_stays) { the_last_one_stays(KILLED); }

TEST(messages_wait_even_when_no_handle_is_open_at_all)
{
    horus_context *c = join(4 * MiB);
    horus_topic *s = open_in(c, "t", (horus_topic_desc){.capacity = 8});
    for (uint64_t i = 1; i <= 5; i++)
        CHECK_OK(send(s, i));
    horus_topic_close(s);
    horus_topic *r = open_in(c, "t", (horus_topic_desc){.history = 3});
    for (uint64_t i = 3; i <= 5; i++)
        CHECK_GETS(r, i);
    CHECK_NOTHING(r);
    horus_topic_close(r);
    horus_context_close(c);
}

static void child_sends_five(void *arg)
{
    horus_topic *t;
    (void)arg;
    REQUIRE_OK(horus_topic_open(&t, "t", NULL));
    for (uint64_t i = 1; i <= 5; i++)
        CHECK_OK(send(t, i));
    horus_tensor f;
    int64_t n = 5000;
    REQUIRE_OK(horus_tensor_alloc(&f, NULL, HORUS_U8, 1, &n, 0));
    memset(f.data, 0x3c, 5000);
    CHECK_OK(horus_topic_send_tensor(t, &f, 0));
    (void)kill(getpid(), SIGKILL);
}
TEST(messages_survive_the_death_of_their_publisher)
{
    horus_context *c = join(4 * MiB);
    horus_topic *r = open_in(c, "t", (horus_topic_desc){0});
    horus_tensor got;
    (void)test_wait(test_fork(child_sends_five, NULL));
    for (int i = 0; i < 3; i++)
        CHECK_OK(horus_context_sweep(c, NULL));
    for (uint64_t i = 1; i <= 5; i++)
        CHECK_GETS(r, i);
    CHECK_OK(horus_topic_receive_tensor(r, &got, NULL, 0));
    CHECK(test_is_all(got.data, 0x3c, 5000));
    CHECK_OK(horus_tensor_release(&got));
    horus_topic *late = open_in(c, "t", (horus_topic_desc){.history = 100});
    for (uint64_t i = 1; i <= 5; i++)
        CHECK_GETS(late, i);
    CHECK_OK(horus_topic_receive_tensor(late, &got, NULL, 0));
    CHECK(test_is_all(got.data, 0x3c, 5000));
    CHECK_OK(horus_tensor_release(&got));
    horus_topic_close(late);
    horus_topic_close(r);
    check_balanced(pool_of(c));
    horus_context_close(c);
}

/* A process that dies between publishing its newest message and counting it. */
static void send_and_not_count(void *arg)
{
    uint32_t policy = *(uint32_t *)arg / 2;
    horus_context *c = join(0);
    horus_topic *t = open_in(c, policy_name[policy], (horus_topic_desc){0});
    for (uint64_t n = *(uint32_t *)arg % 2; n < 2; n++) {
        CHECK_OK(send(t, n));
        if (n < 1) {
            test_raise(0); /* the first one has been read before the second is sent */
            test_await(1);
        }
    }
    horusi_lane *lane = t->out->lane;
    horusi_st64_rlx(L1, &lane->head, horusi_ld64_rlx(L1, &lane->head) - 1);
    horusi_st64_rlx(L1, &lane->last, 0);
    (void)kill(getpid(), SIGKILL);
}
TEST(a_message_survives_that_its_publisher_had_no_time_to_count)
{
    horus_context *c = join(4 * MiB);
    for (uint32_t i = 2; i < 8; i++) { /* each policy; two messages, one message */
        horus_topic_desc d = {.policy = (horus_policy)(i / 2), .capacity = 4};
        horus_topic *r = open_in(c, policy_name[i / 2], d);
        atomic_store(&board->flag[0], 0);
        atomic_store(&board->flag[1], 0);
        CHECK_NOTHING(r);
        pid_t pid = test_fork(send_and_not_count, &i);
        if (i % 2 == 0) {
            test_await(0);
            CHECK_GETS(r, 0);
            test_raise(1);
        }
        (void)test_wait(pid);
        CHECK_OK(horus_context_sweep(c, NULL));
        CHECK_GETS(r, 1);
        CHECK_NOTHING(r);
        horus_topic_close(r);
        CHECK_OK(horus_context_sweep(c, NULL));
    }
    check_balanced(pool_of(c));
    horus_context_close(c);
}

TEST(a_small_frame_of_who_does_not_protect_is_got_by_who_does)
{
    horus_context *a = join(4 * MiB), *b = join_desc((horus_context_desc){.flags = HORUS_PROTECT});
    horus_topic *w = open_in(a, "t", (horus_topic_desc){0});
    horus_topic *r = open_in(b, "t", (horus_topic_desc){0});
    horus_tensor out, in;
    REQUIRE_OK(horus_tensor_alloc(&out, pool_of(a), HORUS_U8, 1, (const int64_t[]){100}, 0));
    memset(out.data, 3, 100);
    CHECK_OK(horus_topic_send_tensor(w, &out, 0));
    REQUIRE_OK(horus_topic_receive_tensor(r, &in, NULL, 0));
    CHECK(test_is_all(in.data, 3, 100)); /* it shares its page: that one is left as it is */
    CHECK_OK(horus_tensor_release(&in));
    CHECK_OK(horus_tensor_release(&out));
    horus_topic_close(r);
    horus_topic_close(w);
    check_balanced(pool_of(a));
    horus_context_close(a);
    horus_context_close(b);
}
TEST(large_messages_stay_as_long_as_small_ones_and_frames_are_few)
{
    horus_context *c = join(64 * MiB);
    horus_topic_desc desc = {.message_bytes = 128};
    horus_topic *w = open_in(c, "t", desc), *r = open_in(c, "t", desc);
    uint8_t large[1000];
    horus_topic_stats s;
    for (int i = 0; i < 1100; i++) {
        memset(large, i, sizeof large);
        CHECK_OK(horus_topic_send(w, large, sizeof large, 0));
    }
    for (int i = 1100 - 1024; i < 1100; i++) {
        REQUIRE_OK(horus_topic_receive(r, large, sizeof large, NULL, 0));
        CHECK(test_is_all(large, (uint8_t)i, sizeof large));
    }
    CHECK_NOTHING(r);
    CHECK_OK(horus_topic_get_stats(w, &s));
    CHECK_EQ(s.capacity, 1024);
    for (int i = 0; i < 20; i++) /* a ring that carries frames keeps 8 pool blocks */
        send_frame(w, c, 1000, i);
    horus_tensor got;
    uint64_t n = 0;
    while (horus_topic_receive_tensor(r, &got, NULL, 0) == HORUS_OK) {
        CHECK_OK(horus_tensor_release(&got));
        n++;
    }
    CHECK_EQ(n, 8);
    horus_topic_close(w);
    horus_topic_close(r);
    check_balanced(pool_of(c));
    horus_context_close(c);
}
/* Wants all memory, so that what only lingers goes. Returns how many frames there were. */
static int take_all(horus_pool *p, horus_frame *f, int most)
{
    int n = 0;
    while (n < most && horus_frame_alloc(&f[n], p, 60000, 0, NULL) == HORUS_OK)
        n++;
    return n;
}
TEST(a_ring_that_is_over_stays_for_who_has_a_message_of_it)
{
    enum { MOST = 200 };
    horus_context *c = join(2 * MiB), *d = join(0);
    horus_topic_desc desc = {.policy = HORUS_QUEUE, .capacity = 4};
    horus_topic *r = open_in(c, "t", desc), *w = open_in(d, "t", desc);
    horus_frame f[MOST];
    horus_topic_stats s;
    CHECK_OK(send(w, 1));
    CHECK_GETS(r, 1);
    horus_topic_close(w);
    horus_context_close(d);
    int n = take_all(pool_of(c), f, MOST);
    CHECK(n > 10 && n < MOST); /* all memory was wanted, so the ring's publisher's lane has gone */
    CHECK_OK(horus_topic_get_stats(r, &s));
    CHECK_EQ(r->in_count, 1); /* or ack would write to memory that is somebody else's */
    CHECK_OK(horus_topic_ack(r));
    CHECK_OK(horus_topic_get_stats(r, &s));
    CHECK_EQ(r->in_count, 0);
    while (n > 0)
        CHECK_OK(horus_frame_release(&f[--n]));
    horus_topic_close(r);
    check_empty(pool_of(c));
    horus_context_close(c);
}
TEST(what_is_left_in_a_ring_that_is_over_is_pending)
{
    enum { MOST = 200 };
    horus_context *c = join(2 * MiB), *d = join(0);
    horus_topic_desc desc = {.capacity = 4};
    horus_topic *r = open_in(c, "t", desc), *w = open_in(d, "t", desc);
    horus_frame f[MOST];
    horus_topic_stats s;
    CHECK_NOTHING(r);
    for (uint64_t i = 0; i < 3; i++)
        CHECK_OK(send(w, i));
    CHECK_GETS(r, 0); /* r holds the ring from here on */
    horus_topic_close(w);
    horus_context_close(d);
    int n = take_all(pool_of(c), f, MOST);
    CHECK_OK(horus_topic_get_stats(r, &s));
    CHECK_EQ(s.pending, 2);
    CHECK(r->in_count == 1 && r->in[0].gone);
    CHECK_GETS(r, 1);
    CHECK_GETS(r, 2);
    CHECK_NOTHING(r);
    while (n > 0)
        CHECK_OK(horus_frame_release(&f[--n]));
    horus_topic_close(r);
    check_empty(pool_of(c));
    horus_context_close(c);
}
TEST(what_is_pending_in_a_queue_is_what_nobody_has)
{
    horus_context *c = join(4 * MiB);
    horus_topic_desc desc = {.policy = HORUS_QUEUE};
    horus_topic *w = open_in(c, "t", desc), *a = open_in(c, "t", desc), *b = open_in(c, "t", desc);
    horus_topic *all[] = {w, a, b};
    horus_topic_stats s;
    for (uint64_t i = 0; i < 5; i++)
        CHECK_OK(send(w, i));
    CHECK_GETS(a, 0);
    CHECK_GETS(b, 1);
    for (int i = 0; i < 3; i++) {
        CHECK_OK(horus_topic_get_stats(all[i], &s));
        CHECK_EQ(s.pending, 3);
    }
    for (int i = 0; i < 3; i++)
        horus_topic_close(all[i]);
    horus_context_close(c);
}
TEST(a_reader_that_never_finds_a_topic_empty_keeps_no_ring_that_is_over)
{
    for (int policy = HORUS_OVERWRITE; policy <= HORUS_QUEUE; policy++) {
        horus_context *c = join(4 * MiB);
        horus_topic_desc desc = {.policy = (horus_policy)policy, .capacity = 2};
        horus_topic *r = open_in(c, "t", desc);
        uint64_t most = 0;
        for (uint64_t i = 0; i < 40;
             i++) { /* publishers come and go; each time one message is got */
            horus_context *d = join(0);
            horus_topic *w = open_in(d, "t", desc);
            CHECK_OK(send(w, i));
            horus_topic_close(w);
            horus_context_close(d);
            horus_topic_stats s; /* looking at the figures counts as looking, too */
            if (i % 2)
                CHECK_OK(horus_topic_get_stats(r, &s));
            CHECK_GETS(r, i);
            uint64_t used = stats_of(pool_of(c)).used_slots;
            most = used > most ? used : most;
        }
        CHECK(most <= 6); /* the topic, two rings that the last messages are in, and one more */
        horus_topic_close(r);
        check_balanced(pool_of(c));
        horus_context_close(c);
    }
}
TEST(one_newer_message_does_not_drop_the_last_one_of_a_publisher_that_left)
{
    horus_context *c = join(4 * MiB), *d = join(0);
    horus_topic *r = open_in(c, "t", (horus_topic_desc){0});
    horus_topic *first = open_in(d, "t", (horus_topic_desc){.capacity = 4});
    CHECK_OK(send(first, 1));
    horus_topic_close(first);
    horus_context_close(d);
    horus_topic *second = open_in(c, "t", (horus_topic_desc){.capacity = 4});
    CHECK_OK(send(second, 2));
    CHECK_OK(horus_context_sweep(c, NULL));
    CHECK_GETS(r, 1);
    CHECK_GETS(r, 2);
    CHECK_NOTHING(r);
    horus_topic_stats s;
    for (uint64_t i = 3; i <= 4; i++)
        CHECK_OK(send(second, i));
    CHECK_OK(horus_context_sweep(c, NULL));
    CHECK_OK(horus_topic_get_stats(r, &s));
    CHECK_EQ(s.sent, 4); /* three newer ones, one less than its capacity */
    for (uint64_t i = 5; i <= 6; i++)
        CHECK_OK(send(second, i));
    CHECK_OK(horus_context_sweep(c, NULL));
    CHECK_OK(horus_topic_get_stats(r, &s));
    CHECK_EQ(s.sent, 5); /* four newer ones: now its ring has gone, and is not counted */
    horus_topic_close(second);
    horus_topic_close(r);
    check_balanced(pool_of(c));
    horus_context_close(c);
}
TEST(publishers_that_come_and_go_cost_no_memory)
{
    horus_context *c = join(8 * MiB);
    horus_topic *r = open_in(c, "t", (horus_topic_desc){0});
    uint32_t after_ten = 0;
    for (uint64_t i = 1; i <= 200; i++) {
        horus_topic *s = open_in(c, "t", (horus_topic_desc){.capacity = 4});
        for (int k = 0; k < 4; k++)
            CHECK_OK(send(s, i));
        horus_topic_close(s);
        for (int k = 0; k < 4; k++)
            CHECK_GETS(r, i);
        if (i == 10)
            after_ten = stats_of(pool_of(c)).used_slots;
    }
    CHECK(stats_of(pool_of(c)).used_slots <= after_ten);
    CHECK(after_ten < 10);
    horus_topic_close(r);
    check_balanced(pool_of(c));
    horus_context_close(c);
}

/* ---- counters near their wrap */

/* Makes it so that the handle's next message has this sequence number. */
static void jump(horus_topic *t, uint64_t next)
{
    horusi_out *o = t->out;
    o->next = o->passed = o->tail = next;
    o->index = (uint32_t)((next - 1) % o->capacity);
    atomic_store(&o->lane->head, next - 1);
    atomic_store(&o->lane->tail, next);
}
TEST(sequence_numbers_cross_every_power_of_two)
{
    static const uint64_t edges[] = {1ull << 16, 1ull << 23, 1ull << 24, 1ull << 25, 1ull << 31,
                                     1ull << 32, 1ull << 33, 1ull << 40, 1ull << 61};
    static const uint32_t capacity[] = {4, 5, 8};
    horus_context *c = join(4 * MiB);
    for (uint32_t policy = 1; policy <= 3; policy++)
        for (size_t e = 0; e < sizeof edges / sizeof edges[0]; e++)
            for (int k = 0; k < 3; k++) {
                horus_topic_desc d = {.policy = (horus_policy)policy,
                                      .capacity = capacity[k],
                                      .flags = HORUS_PUBLISHER};
                char name[32];
                (void)snprintf(name, sizeof name, "t%u.%u.%d", (unsigned)policy, (unsigned)e, k);
                horus_topic *s = open_in(c, name, d);
                jump(s, edges[e] - 10);
                d.flags = 0;
                horus_topic *r = open_in(c, name, d);
                horus_info info;
                uint64_t n, sent = 0, got = 0, lost = 0;
                for (int i = 0; i < 60; i++) {
                    for (uint32_t m = rng() % 4; m > 0; m--) {
                        horus_result sr = send(s, sent + 1);
                        CHECK(sr == HORUS_OK || (sr == HORUS_FULL && policy != HORUS_OVERWRITE));
                        sent += sr == HORUS_OK;
                    }
                    for (uint32_t m = rng() % 4; m > 0 && receive(r, &n, &info) == HORUS_OK; m--) {
                        got++;
                        lost += info.lost;
                        CHECK_EQ(n, got + lost);
                        CHECK_EQ(info.sequence, edges[e] - 11 + n);
                    }
                }
                while (receive(r, &n, &info) == HORUS_OK) {
                    got++;
                    lost += info.lost;
                }
                CHECK_EQ(got + lost, sent);
                CHECK(policy == HORUS_OVERWRITE || lost == 0);
                CHECK(sent > 20);
                horus_topic_close(r);
                horus_topic_close(s);
            }
    horus_context_close(c);
}

TEST(readers_that_begin_further_back_are_waited_for_across_the_wrap_of_their_count)
{
    horus_context *c = join(4 * MiB);
    horus_topic_desc d = {.policy = HORUS_RELIABLE, .capacity = 4, .flags = HORUS_PUBLISHER};
    horus_topic *s = open_in(c, "t", d);
    uint64_t last = 0;
    for (uint64_t i = 0; i < 16; i++) {
        for (uint64_t n = 0; n < 4 + i % 5; n++)
            CHECK_OK(send(s, ++last)); /* nobody reads: it may go on and on */
        atomic_store(&s->shm->openings, UINT32_MAX);
        s->out->openings = UINT32_MAX;
        horus_topic *r =
            open_in(c, "t", (horus_topic_desc){.policy = HORUS_RELIABLE, .history = 2});
        CHECK_OK(send(s, 1000));
        CHECK_OK(send(s, 1001));
        CHECK_RESULT(send(s, 1002), HORUS_FULL);
        CHECK_GETS(r, last - 1);
        CHECK_GETS(r, last);
        CHECK_GETS(r, 1000);
        CHECK_GETS(r, 1001);
        CHECK_NOTHING(r);
        horus_topic_close(r);
        CHECK(atomic_load(&s->shm->openings) < 100);
    }
    horus_topic_close(s);
    horus_context_close(c);
}

static void child_claims_and_stays(void *arg)
{
    horus_topic *t;
    uint64_t n;
    (void)arg;
    REQUIRE_OK(horus_topic_open(&t, "q", &(horus_topic_desc){.policy = HORUS_QUEUE}));
    CHECK_OK(receive(t, &n, NULL));
    test_raise(0);
    test_stay();
}
TEST(claims_of_the_dead_come_back_across_the_wrap_of_claim_numbers)
{
    horus_context *c = join(4 * MiB);
    horus_topic_desc d = {.policy = HORUS_QUEUE, .capacity = 4, .flags = HORUS_PUBLISHER};
    horus_topic *s = open_in(c, "q", d);
    jump(s, (1 << 24) - 6);
    atomic_store(&s->shm->redeliver, UINT32_MAX - 5); /* counts what comes back */
    horus_topic *r = open_in(c, "q", (horus_topic_desc){.policy = HORUS_QUEUE});
    for (uint64_t i = 0; i < 20; i++) {
        horus_info info;
        uint64_t n;
        CHECK_OK(send(s, i));
        board->flag[0] = 0;
        pid_t pid = test_fork(child_claims_and_stays, NULL);
        test_await(0);
        CHECK_NOTHING(r); /* it goes past what another one has */
        test_kill(pid);
        CHECK_OK(horus_context_sweep(c, NULL));
        CHECK_OK(receive(r, &n, &info));
        CHECK_EQ(n, i);
        CHECK(info.redelivered);
        CHECK_NOTHING(r);
    }
    CHECK(atomic_load(&s->shm->redeliver) < 100);
    horus_topic_close(r);
    horus_topic_close(s);
    horus_context_close(c);
}

static void *send_one_later(void *arg)
{
    test_sleep_us(10000);
    CHECK_OK(send(arg, 77));
    return NULL;
}
TEST(doorbells_and_topic_versions_wrap)
{
    horus_context *c = join(4 * MiB);
    horus_topic *r = open_in(c, "t", (horus_topic_desc){0});
    for (uint32_t i = 0; i < 6; i++) {
        horus_topic *s = open_in(c, "t", (horus_topic_desc){0});
        pthread_t thread;
        uint64_t n;
        atomic_store(&r->shm->version, UINT32_MAX - i % 2);
        r->version = UINT32_MAX - i % 2;
        atomic_store(&c->pool->rows[c->row].doorbell, UINT32_MAX - i % 2);
        REQUIRE(pthread_create(&thread, NULL, send_one_later, s) == 0);
        CHECK_OK(horus_topic_receive(r, &n, sizeof n, NULL, HORUS_FOREVER));
        CHECK_EQ(n, 77);
        (void)pthread_join(thread, NULL);
        horus_topic_close(s);
    }
    horus_topic_close(r);
    horus_context_close(c);
}

/* ---- looking, skipping, draining, waiting */

TEST(peek_takes_nothing)
{
    horus_context *c = join(4 * MiB);
    for (uint32_t policy = 1; policy <= 3; policy++) {
        horus_topic *t =
            open_in(c, policy_name[policy], (horus_topic_desc){.policy = (horus_policy)policy});
        horus_info info, took;
        static uint8_t big[3000], seen[3000];
        uint64_t n = 0;
        horus_tensor got;
        CHECK_RESULT(horus_topic_peek(t, &n, sizeof n, &info), HORUS_EMPTY);
        CHECK_ZERO(info);
        CHECK_OK(send(t, 5));
        memset(big, 0x6b, sizeof big);
        CHECK_OK(horus_topic_send(t, big, sizeof big, 0));
        send_frame(t, c, 100, 4);
        for (int i = 0; i < 3; i++) {
            n = 0;
            CHECK_OK(horus_topic_peek(t, &n, sizeof n, &info));
            CHECK_EQ(n, 5);
            CHECK_EQ(info.size, 8);
            CHECK_OK(horus_topic_peek(t, NULL, 0, &info));
            CHECK_EQ(info.sequence, 1);
            CHECK_OK(horus_topic_peek(t, NULL, 0, NULL));
        }
        CHECK_OK(horus_topic_receive(t, &n, sizeof n, &took, 0));
        CHECK(memcmp(&info, &took, sizeof info) == 0);
        CHECK_OK(horus_topic_peek(t, seen, 10, &info)); /* too small: only what it is */
        CHECK_EQ(info.size, 3000);
        CHECK(test_is_all(seen, 0, sizeof seen));
        CHECK_OK(horus_topic_peek(t, seen, sizeof seen, &info));
        CHECK(memcmp(big, seen, sizeof big) == 0);
        memset(seen, 0, sizeof seen);
        CHECK_OK(horus_topic_receive(t, seen, sizeof seen, NULL, 0));
        CHECK(memcmp(big, seen, sizeof big) == 0);
        CHECK_OK(horus_topic_peek(t, seen, sizeof seen, &info));
        CHECK_EQ(info.kind, HORUS_KIND_TENSOR);
        CHECK_EQ(info.size, 0);
        CHECK_OK(horus_topic_receive_tensor(t, &got, NULL, 0));
        CHECK_OK(horus_tensor_release(&got));
        CHECK_RESULT(horus_topic_peek(t, &n, sizeof n, &info), HORUS_EMPTY);
        horus_topic_close(t);
        check_balanced(pool_of(c));
        memset(seen, 0, sizeof seen);
    }
    horus_context_close(c);
}

TEST(peek_reports_losses_that_the_next_receive_reports)
{
    horus_context *c = join(4 * MiB);
    horus_topic *s = open_in(c, "t", (horus_topic_desc){.capacity = 2}),
                *r = open_in(c, "t", (horus_topic_desc){0});
    horus_info info;
    uint64_t n;
    for (uint64_t i = 1; i <= 5; i++)
        CHECK_OK(send(s, i));
    CHECK_OK(horus_topic_peek(r, &n, sizeof n, &info));
    CHECK_EQ(info.lost, 3);
    CHECK_OK(receive(r, &n, &info));
    CHECK_EQ(n, 4);
    CHECK_EQ(info.lost, 3);
    CHECK_OK(receive(r, &n, &info));
    CHECK_EQ(info.lost, 0);
    horus_topic_close(s);
    horus_topic_close(r);
    horus_context_close(c);
}

TEST(skip_to_latest_leaves_the_newest_of_all_publishers)
{
    horus_context *c = join(4 * MiB);
    horus_topic *s[3], *r = open_in(c, "t", (horus_topic_desc){0});
    uint64_t skipped = 9, n;
    horus_info info;
    for (int i = 0; i < 3; i++)
        s[i] = open_in(c, "t", (horus_topic_desc){.capacity = 16});
    CHECK_RESULT(horus_topic_skip_to_latest(r, &skipped), HORUS_EMPTY);
    CHECK_EQ(skipped, 0);
    for (uint64_t i = 1; i <= 9; i++) {
        test_sleep_us(20);
        CHECK_OK(send(s[i * 2 % 3], i));
    }
    CHECK_OK(horus_topic_skip_to_latest(r, &skipped));
    CHECK_EQ(skipped, 8);
    CHECK_OK(horus_topic_skip_to_latest(r, &skipped));
    CHECK_EQ(skipped, 0);
    CHECK_OK(receive(r, &n, &info));
    CHECK_EQ(n, 9);
    CHECK_EQ(info.lost, 0); /* skipped is not lost */
    CHECK_NOTHING(r);
    CHECK_OK(send(s[0], 10));
    CHECK_OK(horus_topic_skip_to_latest(r, NULL));
    CHECK_GETS(r, 10);
    CHECK_NOTHING(r);
    for (int i = 0; i < 3; i++)
        horus_topic_close(s[i]);
    horus_topic_close(r);
    horus_context_close(c);
}

TEST(skip_to_latest_passes_over_rings_that_have_ended)
{
    horus_context *c = join(4 * MiB);
    horus_topic *r = open_in(c, "t", (horus_topic_desc){0}),
                *a = open_in(c, "t", (horus_topic_desc){.capacity = 2}),
                *b = open_in(c, "t", (horus_topic_desc){.capacity = 8});
    uint64_t n, skipped;
    CHECK_NOTHING(r); /* it knows both rings */
    CHECK_OK(send(a, 1));
    CHECK_OK(send(b, 2));
    CHECK_RESULT(horus_topic_peek(r, &n, sizeof n, NULL), HORUS_OK);
    CHECK_OK(send(a, 3));
    for (uint64_t i = 4; i <= 8; i++)
        CHECK_OK(send(b, i));
    horus_topic_close(a); /* superseded by b's: its ring ends at once */
    CHECK_OK(horus_topic_skip_to_latest(r, &skipped));
    CHECK_EQ(skipped, 7);
    CHECK_GETS(r, 8);
    CHECK_NOTHING(r);
    horus_topic_close(b);
    horus_topic_close(r);
    horus_context_close(c);
}

TEST(drain_drops_all_that_is_pending)
{
    horus_context *c = join(4 * MiB);
    for (uint32_t policy = 1; policy <= 3; policy++) {
        horus_topic_desc d = {.policy = (horus_policy)policy, .capacity = 8};
        horus_topic *s = open_in(c, policy_name[policy], d),
                    *u = open_in(c, policy_name[policy], d),
                    *r = open_in(c, policy_name[policy], d);
        uint64_t count = 9, n;
        horus_info info;
        CHECK_OK(send(s, 0)); /* now s and u only send */
        CHECK_OK(send(u, 0));
        CHECK_OK(horus_topic_drain(r, &count));
        CHECK_EQ(count, 2);
        CHECK_RESULT(horus_topic_drain(r, &count), HORUS_EMPTY);
        CHECK_EQ(count, 0);
        for (uint64_t i = 1; i <= 7; i++)
            CHECK_OK(send(i % 2 ? s : u, i));
        CHECK_OK(horus_topic_drain(r, &count));
        CHECK_EQ(count, 7);
        CHECK_NOTHING(r);
        for (uint64_t i = 0; i < 8; i++) /* a reliable sender or a queue has its room again */
            CHECK_OK(send(s, 100 + i));
        for (uint64_t i = 0; i < 8; i++) {
            CHECK_OK(receive(r, &n, &info));
            CHECK_EQ(n, 100 + i);
            CHECK_EQ(info.lost, 0);
        }
        horus_topic_close(s);
        horus_topic_close(u);
        horus_topic_close(r);
        check_balanced(pool_of(c));
    }
    horus_context_close(c);
}

TEST(drain_reaches_what_closed_publishers_left)
{
    horus_context *c = join(4 * MiB);
    horus_topic *r = open_in(c, "t", (horus_topic_desc){.max_publishers = 2}),
                *live = open_in(c, "t", (horus_topic_desc){.flags = HORUS_PUBLISHER});
    uint64_t n, drained;
    CHECK_NOTHING(r);
    for (int k = 0; k < 2; k++) { /* the second takes the place of the first, whose ring is over */
        horus_topic *s = open_in(c, "t", (horus_topic_desc){0});
        for (uint64_t i = 0; i < 3; i++)
            CHECK_OK(send(s, i));
        CHECK_OK(receive(r, &n, NULL)); /* knows of both rings */
        horus_topic_close(s);
    }
    CHECK_OK(send(live, 9));
    CHECK_OK(horus_topic_drain(r, &drained));
    CHECK_EQ(drained, 5);
    CHECK_NOTHING(r);
    horus_topic_close(live);
    horus_topic_close(r);
    horus_context_close(c);
}
TEST(wait_says_that_there_is_something_and_takes_nothing)
{
    horus_context *c = join(4 * MiB);
    horus_topic *t = open_in(c, "t", (horus_topic_desc){0});
    CHECK_RESULT(horus_topic_wait(t, HORUS_NO_WAIT), HORUS_EMPTY);
    uint64_t before = horus_now_ns();
    CHECK_RESULT(horus_topic_wait(t, 3000000), HORUS_TIMEOUT);
    CHECK(horus_now_ns() - before >= 3000000);
    CHECK_RESULT(horus_topic_receive(t, &before, sizeof before, NULL, 2000000), HORUS_TIMEOUT);
    CHECK_RESULT(horus_topic_wait(t, -1), HORUS_E_ARG);
    CHECK_OK(send(t, 1));
    CHECK_OK(horus_topic_wait(t, HORUS_NO_WAIT));
    CHECK_OK(horus_topic_wait(t, HORUS_FOREVER));
    CHECK_GETS(t, 1);
    horus_topic_close(t);
    horus_context_close(c);
}

static void *send_slowly(void *arg)
{
    for (uint64_t i = 1; i <= 30; i++) {
        test_sleep_us(i % 3 ? 500 : 3000);
        CHECK_OK(send(arg, i));
    }
    return NULL;
}
TEST(a_blocking_receive_is_woken_by_another_thread)
{
    horus_context *c = join(4 * MiB);
    horus_topic *s = open_in(c, "t", (horus_topic_desc){0}),
                *r = open_in(c, "t", (horus_topic_desc){0});
    pthread_t thread;
    uint64_t n;
    REQUIRE(pthread_create(&thread, NULL, send_slowly, s) == 0);
    for (uint64_t i = 1; i <= 30; i++) {
        CHECK_OK(horus_topic_receive(r, &n, sizeof n, NULL, HORUS_FOREVER));
        CHECK_EQ(n, i);
    }
    (void)pthread_join(thread, NULL);
    horus_topic_close(s);
    horus_topic_close(r);
    horus_context_close(c);
}
static void child_sends_slowly(void *arg)
{
    horus_topic *t;
    (void)arg;
    REQUIRE_OK(horus_topic_open(&t, "t", NULL));
    (void)send_slowly(t);
    horus_topic_close(t);
}
TEST(a_blocking_receive_is_woken_by_another_process)
{
    horus_context *c = join(4 * MiB);
    horus_topic *r = open_in(c, "t", (horus_topic_desc){0});
    uint64_t n;
    pid_t pid = test_fork(child_sends_slowly, NULL);
    for (uint64_t i = 1; i <= 30; i++) {
        CHECK_OK(horus_topic_receive(r, &n, sizeof n, NULL, HORUS_FOREVER));
        CHECK_EQ(n, i);
    }
    CHECK_JOIN(pid);
    horus_topic_close(r);
    horus_context_close(c);
}

typedef struct many {
    horus_topic *sender[64];
    uint64_t count;
} many;
static void *send_on_many(void *arg)
{
    many *m = arg;
    for (uint64_t i = 0; i < m->count; i++) {
        if (i % 16 == 0)
            test_sleep_us(300);
        uint32_t k = rng() % 64;
        CHECK_OK(send(m->sender[k], k));
    }
    return NULL;
}
TEST(one_wait_covers_many_topics)
{
    horus_context *c = join(32 * MiB);
    horus_topic *reader[64];
    many m = {.count = (uint64_t)TEST_TIMES(3000)};
    pthread_t thread;
    size_t ready = 99;
    for (int i = 0; i < 64; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "t%d", i);
        horus_topic_desc d = {.capacity = 256, .max_publishers = 2, .max_subscribers = 4};
        m.sender[i] = open_in(c, name, d);
        reader[i] = open_in(c, name, d);
    }
    CHECK_RESULT(horus_wait(reader, 64, HORUS_NO_WAIT, &ready), HORUS_EMPTY);
    CHECK_EQ(ready, 0);
    ready = 99;
    CHECK_RESULT(horus_wait(reader, 64, 2000000, &ready), HORUS_TIMEOUT);
    CHECK_EQ(ready, 0);
    REQUIRE(pthread_create(&thread, NULL, send_on_many, &m) == 0);
    for (uint64_t i = 0; i < m.count; i++) {
        uint64_t n;
        REQUIRE_OK(horus_wait(reader, 64, HORUS_FOREVER, &ready));
        REQUIRE(ready < 64);
        CHECK_OK(receive(reader[ready], &n, NULL));
        CHECK_EQ(n, ready);
    }
    (void)pthread_join(thread, NULL);
    CHECK_RESULT(horus_wait(reader, 64, HORUS_NO_WAIT, &ready), HORUS_EMPTY);
    horus_context_close(c);
}

TEST(wait_refuses_what_it_cannot_wait_for)
{
    horus_context *c = join(16 * MiB), *d = join(0);
    horus_topic *a = open_in(c, "a", (horus_topic_desc){0}),
                *b = open_in(d, "b", (horus_topic_desc){0}), *list[65];
    size_t ready = 5;
    uint64_t n;
    for (int i = 0; i < 65; i++)
        list[i] = a;
    CHECK_RESULT(horus_wait(list, 65, 0, &ready), HORUS_E_ARG);
    CHECK_EQ(ready, 0);
    CHECK_RESULT(horus_wait(list, 0, 0, &ready), HORUS_E_ARG);
    CHECK_RESULT(horus_wait(NULL, 1, 0, &ready), HORUS_E_ARG);
    CHECK_RESULT(horus_wait(list, 1, 0, NULL), HORUS_E_ARG);
    CHECK_RESULT(horus_wait(list, 1, -5, &ready), HORUS_E_ARG);
    CHECK_RESULT(horus_wait(list, 2, 0, &ready), HORUS_E_BUSY); /* one handle twice */
    list[1] = b;
    CHECK_RESULT(horus_wait(list, 2, 0, &ready), HORUS_E_ARG); /* two contexts */
    list[1] = NULL;
    CHECK_RESULT(horus_wait(list, 2, 0, &ready), HORUS_E_ARG);
    CHECK_RESULT(receive(a, &n, NULL), HORUS_EMPTY); /* none stayed locked */
    CHECK_RESULT(receive(b, &n, NULL), HORUS_EMPTY);
    horus_topic_close(a);
    horus_topic_close(b);
    horus_context_close(d);
    horus_context_close(c);
}

static void on_signal(int signal) { (void)signal; }
static void catch_alarms(void (*handler)(int), int flags, long interval_us)
{
    struct sigaction a;
    struct itimerval v = {{0, interval_us}, {0, interval_us}};
    memset(&a, 0, sizeof a);
    a.sa_handler = handler;
    a.sa_flags = flags;
    REQUIRE(sigaction(SIGALRM, &a, NULL) == 0 && setitimer(ITIMER_REAL, &v, NULL) == 0);
}
static void stop_alarms(void)
{
    struct itimerval none = {{0, 0}, {0, 0}};
    (void)setitimer(ITIMER_REAL, &none, NULL);
}
TEST(a_signal_interrupts_a_wait_whatever_its_flags)
{
    horus_context *c = join(4 * MiB);
    horus_topic *t = open_in(c, "t", (horus_topic_desc){0}),
                *r = open_in(c, "r", (horus_topic_desc){.policy = HORUS_RELIABLE, .capacity = 1}),
                *s = open_in(c, "r", (horus_topic_desc){.policy = HORUS_RELIABLE, .capacity = 1});
    uint64_t n;
    size_t ready;
    CHECK_OK(send(s, 1));
    for (int k = 0; k < 2; k++) {
        catch_alarms(on_signal, k ? SA_RESTART : 0, 5000);
        CHECK_RESULT(horus_topic_receive(t, &n, sizeof n, NULL, HORUS_FOREVER), HORUS_INTERRUPTED);
        CHECK_RESULT(horus_topic_wait(t, HORUS_FOREVER), HORUS_INTERRUPTED);
        CHECK_RESULT(horus_wait(&t, 1, HORUS_FOREVER, &ready), HORUS_INTERRUPTED);
        CHECK_RESULT(horus_topic_send(s, &n, sizeof n, HORUS_FOREVER), HORUS_INTERRUPTED);
        stop_alarms();
    }
    CHECK_GETS(r, 1);
    CHECK_NOTHING(r);
    horus_topic_close(t);
    horus_topic_close(r);
    horus_topic_close(s);
    horus_context_close(c);
}

static volatile sig_atomic_t is_child;
static void fork_in_handler(int signal)
{
    (void)signal;
    pid_t pid = fork();
    is_child = pid == 0;
    if (pid > 0)
        CHECK_JOIN(pid);
}
TEST(a_child_that_a_handler_forks_leaves_its_parents_wait_alone)
{
    if (TEST_THREAD_SANITIZED)
        SKIP("the thread sanitizer cannot fork in a signal handler");
    horus_context *c = join(4 * MiB);
    horus_topic *t = open_in(c, "t", (horus_topic_desc){0}),
                *r = open_in(c, "r", (horus_topic_desc){.policy = HORUS_RELIABLE, .capacity = 1}),
                *s = open_in(c, "r", (horus_topic_desc){.policy = HORUS_RELIABLE, .capacity = 1});
    uint64_t n = 0;
    CHECK_OK(send(s, 1));
    for (int k = 0; k < 2; k++) {
        catch_alarms(fork_in_handler, 0, 20000);
        horus_result result = k ? horus_topic_send(s, &n, sizeof n, HORUS_FOREVER)
                                : horus_topic_receive(t, &n, sizeof n, NULL, HORUS_FOREVER);
        if (is_child) /* its return is its parent's business no more */
            test_leave(result != HORUS_INTERRUPTED);
        stop_alarms();
        CHECK_RESULT(result, HORUS_INTERRUPTED);
        CHECK_EQ(horusi_ld32_rlx(own, &c->pool->rows[c->row].sleepers), 0);
    }
    horus_topic_close(t);
    horus_topic_close(r);
    horus_topic_close(s);
    horus_context_close(c);
}

/* How often a thread of ours has given up the processor by itself: the sleep that it is in counts. */
static uint64_t sleeps_of(pid_t thread)
{
    char path[64], text[4096] = "";
    (void)snprintf(path, sizeof path, "/proc/self/task/%d/status", (int)thread);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    REQUIRE(fd >= 0 && read(fd, text, sizeof text - 1) > 0);
    close(fd);
    const char *count = strstr(text, "\nvoluntary_ctxt_switches:");
    REQUIRE(count);
    return strtoull(count + 25, NULL, 10);
}
static struct {
    pid_t waiter;
    uint64_t sleeps; /* of the waiter, when the file was no more */
} removal;
static void *remove_file(void *arg)
{
    test_sleep_us(30000);
    CHECK(unlink(arg) == 0);
    removal.sleeps = sleeps_of(removal.waiter);
    return NULL;
}
TEST(a_waiter_is_told_that_the_file_was_removed)
{
    horus_context *c = join(4 * MiB);
    horus_topic *t = open_in(c, "t", (horus_topic_desc){0});
    horus_context_info info;
    uint64_t n;
    pthread_t thread;
    CHECK_OK(horus_context_get_info(c, &info));
    removal.waiter = (pid_t)syscall(SYS_gettid);
    REQUIRE(pthread_create(&thread, NULL, remove_file, info.path) == 0);
    CHECK_RESULT(horus_topic_receive(t, &n, sizeof n, NULL, HORUS_FOREVER), HORUS_E_GONE);
    uint64_t sleeps = sleeps_of(removal.waiter);
    CHECK_TEXT(horus_last_error(), info.path);
    (void)pthread_join(thread, NULL);
    /* within a slice, which is one sleep: the one that it was in, or was about to begin */
    if (sleeps > removal.sleeps + 1)
        CHECK_EQ(sleeps, removal.sleeps + 1);
    uint64_t begin = sleeps_of(removal.waiter); /* and when it was gone before */
    CHECK_RESULT(horus_topic_receive(t, &n, sizeof n, NULL, HORUS_FOREVER), HORUS_E_GONE);
    CHECK_EQ(sleeps_of(removal.waiter), begin + 1);
    horus_topic_close(t);
    horus_context *fresh = join(4 * MiB); /* a new start works beside it */
    horus_topic *u = open_in(fresh, "t", (horus_topic_desc){0});
    CHECK_OK(send(u, 1));
    CHECK_GETS(u, 1);
    horus_topic_close(u);
    horus_context_close(c);
    CHECK(access(info.path, F_OK) == 0); /* the old one does not remove the new one's */
    horus_context_close(fresh);
}

/* ---- threads and signals on handles */

static horus_topic *contested;
static void *hammer(void *arg)
{
    uint64_t *ok = arg;
    for (int i = 0; i < TEST_TIMES(30000); i++) {
        uint64_t n;
        horus_info info;
        horus_topic_stats s;
        horus_result r;
        switch (i % 6) {
        case 0:
        case 1:
            r = send(contested, 7);
            break;
        case 2:
            r = horus_topic_peek(contested, &n, sizeof n, &info);
            break;
        case 3:
            r = horus_topic_get_stats(contested, &s);
            break;
        default:
            r = receive(contested, &n, &info);
            CHECK(r != HORUS_OK || n == 7);
            break;
        }
        CHECK(r == HORUS_OK || r == HORUS_EMPTY || r == HORUS_E_BUSY);
        *ok += r == HORUS_OK;
    }
    return NULL;
}
TEST(two_threads_on_one_handle_get_busy_and_nothing_breaks)
{
    horus_context *c = join(4 * MiB);
    contested = open_in(c, "t", (horus_topic_desc){.capacity = 8});
    pthread_t thread[2];
    uint64_t ok[2] = {0, 0};
    for (int i = 0; i < 2; i++)
        REQUIRE(pthread_create(&thread[i], NULL, hammer, &ok[i]) == 0);
    for (int i = 0; i < 2; i++)
        (void)pthread_join(thread[i], NULL);
    CHECK(ok[0] + ok[1] > 0);
    uint64_t n;
    while (receive(contested, &n, NULL) == HORUS_OK)
        CHECK_EQ(n, 7);
    CHECK_OK(send(contested, 1));
    CHECK_GETS(contested, 1);
    horus_topic_close(contested);
    check_balanced(pool_of(c));
    horus_context_close(c);
}

static horus_topic *handler_topic;
static volatile sig_atomic_t handler_count, handler_failed;
static void send_in_handler(int signal)
{
    (void)signal;
    uint64_t n = (uint64_t)1 << 32 | (uint32_t)(handler_count + 1);
    if (horus_topic_send(handler_topic, &n, sizeof n, HORUS_NO_WAIT) == HORUS_OK)
        handler_count++;
    else
        handler_failed++;
}
/* Takes one message, whatever it is. False: there is none. */
static bool take_any(horus_topic *r, uint32_t *last, uint64_t *total)
{
    static char buffer[20000];
    horus_info info;
    horus_result got = horus_topic_receive(r, buffer, sizeof buffer, &info, HORUS_NO_WAIT);
    if (got == HORUS_E_TYPE) {
        horus_tensor f;
        CHECK_OK(horus_topic_receive_tensor(r, &f, &info, 0));
        CHECK_OK(horus_tensor_release(&f));
    } else if (got != HORUS_OK) {
        CHECK_EQ(got, HORUS_EMPTY);
        return false;
    } else if (info.size == 8) {
        uint64_t n;
        memcpy(&n, buffer, sizeof n);
        if (n >> 32 == 1) { /* the handler's */
            CHECK_EQ((uint32_t)n, *last + 1);
            *last = (uint32_t)n;
        }
    }
    *total += 1 + info.lost;
    return true;
}
TEST(a_signal_handler_sends_on_a_handle_of_its_own)
{
    horus_context *c = join(16 * MiB);
    handler_topic = open_in(c, "t", (horus_topic_desc){.capacity = 4096, .flags = HORUS_PUBLISHER});
    horus_topic *s = open_in(c, "t", (horus_topic_desc){.capacity = 64}),
                *r = open_in(c, "t", (horus_topic_desc){0});
    uint64_t sent = 0, total = 0;
    uint32_t last = 0;
    catch_alarms(send_in_handler, SA_RESTART, 300);
    while (handler_count < 300) { /* frames, large and small messages, with handlers in between */
        static char big[20000];
        if (sent % 50 == 0)
            send_frame(s, c, 3000, 1);
        else if (sent % 50 == 1)
            CHECK_OK(horus_topic_send(s, big, sizeof big, 0));
        else
            CHECK_OK(send(s, sent & UINT32_MAX));
        sent++;
        (void)take_any(r, &last, &total);
    }
    stop_alarms();
    while (take_any(r, &last, &total)) {
    }
    CHECK_EQ(last, handler_count);
    CHECK_EQ(handler_failed, 0);
    CHECK_EQ(total, sent + (uint64_t)handler_count);
    horus_topic_close(s);
    horus_topic_close(handler_topic);
    horus_topic_close(r);
    check_balanced(pool_of(c));
    horus_context_close(c);
}

/* ---- sizes */

TEST(messages_of_every_size_up_to_64_kib_travel_inline)
{
    horus_context *c = join(64 * MiB);
    horus_topic *t =
        open_in(c, "t", (horus_topic_desc){.message_bytes = HORUS_MAX_INLINE, .capacity = 4});
    uint8_t *out = malloc(70000), *in = malloc(70000);
    REQUIRE(out && in);
    CHECK_EQ(topic_stats(t).message_bytes, HORUS_MAX_INLINE);
    for (size_t n = 1; n <= HORUS_MAX_INLINE; n = n < 300 ? n + 1 : n % 7 ? n + 1 : n * 5 / 4 + 3) {
        horus_info info;
        for (size_t i = 0; i < n; i++)
            out[i] = (uint8_t)rng();
        memset(in, 0, 70000);
        CHECK_OK(horus_topic_send(t, out, n, 0));
        CHECK_OK(horus_topic_receive(t, in, n, &info, 0));
        CHECK_EQ(info.size, n);
        CHECK(memcmp(in, out, n) == 0);
        CHECK(test_is_all(in + n, 0, 70000 - n));
    }
    CHECK_OK(horus_topic_send(t, out, HORUS_MAX_INLINE, 0));
    CHECK_OK(horus_topic_receive(t, in, HORUS_MAX_INLINE, NULL, 0));
    CHECK_EQ(topic_stats(t).frames, 0);
    free(out);
    free(in);
    horus_topic_close(t);
    horus_context_close(c);
}

TEST(larger_messages_travel_as_pool_blocks)
{
    static const size_t sizes[] = {105, 169, 1000, 65536, 65537, 1000000, 5000000};
    horus_context *c = join(64 * MiB), *d = join(0);
    horus_topic *s = open_in(c, "t", (horus_topic_desc){0}),
                *r = open_in(d, "t", (horus_topic_desc){0});
    uint8_t *out = malloc(5000000), *in = malloc(5000000);
    REQUIRE(out && in);
    for (int round = 0; round < 6; round++)
        for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
            horus_info info;
            memset(out, round * 16 + (int)k, sizes[k]);
            out[sizes[k] - 1] = 0xfe;
            CHECK_OK(horus_topic_send(s, out, sizes[k], 0));
            CHECK_OK(horus_topic_receive(r, in, sizes[k], &info, 0));
            CHECK_EQ(info.size, sizes[k]);
            CHECK_EQ(info.kind, HORUS_KIND_MESSAGE);
            CHECK(memcmp(in, out, sizes[k]) == 0);
        }
    CHECK_RESULT(horus_topic_send(s, out, 65ull * MiB > SIZE_MAX ? SIZE_MAX : 65 * MiB, 0),
                 HORUS_E_SIZE);
    for (size_t k = 3; k < 5; k++) { /* or stay there, held, until the receiver has copied them */
        horusi_got got;
        uint64_t room = 0;
        memset(in, 0, sizes[k]);
        CHECK_OK(horus_topic_send(s, out, sizes[k], 0));
        got.timed = got.keep = true;
        CHECK_OK(horusi_receive(r, in, sizes[k], HORUS_KIND_MESSAGE, 0, &got));
        REQUIRE(got.frame.pool != NULL);
        CHECK_EQ(got.info.size, sizes[k]);
        CHECK_EQ(in[0], 0);
        const void *data = horusi_at(got.frame.pool, got.frame.slot, &room);
        CHECK(room >= sizes[k] && memcmp(data, out, sizes[k]) == 0);
        horusi_release(got.frame.pool, got.frame.slot);
    }
    CHECK_EQ(topic_stats(s).lost, 0);
    check_balanced(pool_of(c));
    free(out);
    free(in);
    horus_topic_close(s);
    horus_topic_close(r);
    horus_context_close(d);
    horus_context_close(c);
}

TEST(a_large_message_that_finds_no_room_is_not_sent)
{
    horus_context *c = join(2 * MiB);
    horus_topic *t = open_in(c, "t", (horus_topic_desc){0});
    static uint8_t big[300000];
    CHECK_OK(send(t, 1));
    uint32_t n = 0;
    horus_frame all[64];
    while (n < 64 && horus_frame_alloc(&all[n], pool_of(c), 65536, HORUS_UNINIT, NULL) == HORUS_OK)
        n++;
    CHECK_RESULT(horus_topic_send(t, big, sizeof big, 0), HORUS_E_POOL_FULL);
    CHECK_TEXT(horus_last_error(), ": held by");
    CHECK(strcmp(horus_last_error() + strlen(horus_last_error()) - 4, " KiB") == 0);
    CHECK_OK(send(t, 2));
    while (n > 0)
        CHECK_OK(horus_frame_release(&all[--n]));
    CHECK_GETS(t, 1);
    CHECK_GETS(t, 2);
    CHECK_NOTHING(t);
    horus_topic_close(t);
    check_balanced(pool_of(c));
    horus_context_close(c);
}

TEST(a_descriptor_that_does_not_fit_is_refused_and_the_fix_named)
{
    horus_context *c = join(4 * MiB);
    horus_topic *t = open_in(c, "t", (horus_topic_desc){.message_bytes = 40});
    horus_tensor f;
    int64_t shape[8] = {1, 1, 1, 1, 1, 1, 1, 4};
    REQUIRE_OK(horus_tensor_alloc(&f, pool_of(c), HORUS_F64, 8, shape, 0));
    CHECK_RESULT(horus_topic_send_tensor(t, &f, 0), HORUS_E_SIZE);
    CHECK_TEXT(horus_last_error(), "message_bytes");
    CHECK(!horus_frame_published(&f.frame));
    horus_topic_close(t);
    t = open_in(c, "u", (horus_topic_desc){.message_bytes = HORUS_DESCRIPTOR_BYTES});
    CHECK_OK(horus_topic_send_tensor(t, &f, 0));
    CHECK_OK(horus_tensor_release(&f));
    horus_topic_close(t);
    horus_context_close(c);
}

/* ---- what comes with a message */

TEST(stamps_grow_and_lie_between_the_clock_readings_around_the_send)
{
    horus_context *c = join(4 * MiB);
    horus_topic *t = open_in(c, "t", (horus_topic_desc){0});
    uint64_t last = 0, n;
    const uint64_t slack = 50000000; /* of the conversion from the CPU's counter */
    for (uint64_t i = 1; i <= 200; i++) {
        horus_info info;
        uint64_t before = horus_now_ns();
        CHECK_OK(send(t, i));
        uint64_t after = horus_now_ns();
        CHECK_OK(receive(t, &n, &info));
        CHECK(info.publish_ns + slack >= before && info.publish_ns <= after + slack);
        CHECK(info.publish_ns >= last);
        last = info.publish_ns;
    }
    CHECK(topic_stats(t).last_ns + slack >= last && topic_stats(t).last_ns <= last + slack);
    horus_topic_close(t);
    horus_context_close(c);
}

static void count_topic(void *user, const horus_topic_stats *s)
{
    horus_topic_stats *out = user;
    if (strcmp(s->name, "watched") == 0)
        *out = *s;
    test_raise(5);
}
static void child_watches(void *arg)
{
    horus_topic_stats s;
    (void)arg;
    memset(&s, 0, sizeof s);
    REQUIRE_OK(horus_context_topics(NULL, count_topic, &s));
    CHECK_EQ(atomic_load(&board->flag[5]), 2);
    CHECK(strcmp(s.name, "watched") == 0);
    CHECK(strcmp(s.type, "Imu") == 0);
    CHECK_EQ(s.policy, HORUS_OVERWRITE);
    CHECK_EQ(s.sent, 10);
    CHECK_EQ(s.received, 3);
    CHECK_EQ(s.lost, 6);
    CHECK_EQ(s.publishers, 1);
    CHECK(s.subscribers >= 1);
    CHECK(s.last_ns > 0);
    horus_topic *t;
    REQUIRE_OK(horus_topic_open(&t, "watched", NULL));
    horus_topic_stats mine = topic_stats(t);
    CHECK_EQ(mine.sent, 10);
    CHECK_EQ(mine.received, 3);
    CHECK_EQ(mine.pending, 0);
    CHECK_EQ(mine.capacity, 0);
    horus_topic_close(t);
}
TEST(other_processes_read_the_statistics)
{
    horus_context *c = join(4 * MiB);
    horus_topic *other = open_in(c, "other", (horus_topic_desc){0});
    horus_topic *s = open_in(
        c, "watched",
        (horus_topic_desc){.type = &horus_imu_type, .policy = HORUS_OVERWRITE, .capacity = 4});
    horus_topic *r = open_in(c, "watched", (horus_topic_desc){0});
    horus_imu imu = {0};
    for (int i = 0; i < 10; i++)
        CHECK_OK(horus_topic_send(s, &imu, sizeof imu, 0));
    for (int i = 0; i < 3; i++)
        CHECK_OK(horus_topic_receive(r, &imu, sizeof imu, NULL, 0));
    CHECK_EQ(topic_stats(r).pending, 1);
    CHECK_EQ(topic_stats(s).capacity, 4);
    CHECK_JOIN(test_fork(child_watches, NULL));
    horus_topic_close(other);
    horus_topic_close(s);
    horus_topic_close(r);
    horus_context_close(c);
}

/* ---- restarts */

static void camera(void *arg)
{
    horus_topic *t;
    REQUIRE_OK(horus_topic_open(&t, "camera", &(horus_topic_desc){.type = &horus_image_type}));
    for (int i = 0; i < 20; i++) {
        horus_image img;
        REQUIRE_OK(horus_image_alloc(&img, NULL, 1024, 1024, HORUS_MONO8, HORUS_UNINIT));
        memset(img.data, i, 4096);
        REQUIRE_OK(horus_topic_send_image(t, &img, 0));
        if (arg && i == 19)
            (void)kill(getpid(), SIGKILL);
        REQUIRE_OK(horus_image_release(&img));
    }
    horus_topic_close(t);
}
static void restart_camera(bool killed)
{
    horus_context *c = join(256 * MiB);
    horus_topic *r = open_in(c, "camera", (horus_topic_desc){.type = &horus_image_type});
    uint64_t committed = 0, most = 0, got = 0, lost = 0;
    int times = TEST_TIMES(100);
    for (int i = 0; i < times; i++) {
        int status = test_wait(test_fork(camera, killed ? c : NULL));
        CHECK(killed ? WIFSIGNALED(status) : status == 0);
        horus_image img;
        horus_info info;
        while (horus_topic_receive_image(r, &img, &info, 0) == HORUS_OK) {
            got++;
            lost += info.lost;
            CHECK(test_is_all(img.data, (int)(info.sequence - 1), 4096));
            CHECK_OK(horus_image_release(&img));
        }
        uint64_t now = stats_of(pool_of(c)).committed_bytes;
        if (i < 4)
            committed = now > committed ? now : committed;
        most = now > most ? now : most;
    }
    CHECK_EQ(got + lost, (uint64_t)times * 20);
    CHECK_EQ(got, (uint64_t)times * 8);
    CHECK(most <= committed);
    CHECK(committed <= 64 * MiB);
    horus_topic_close(r);
    check_balanced(pool_of(c));
    horus_context_close(c);
}
TEST(a_camera_that_restarts_a_hundred_times_costs_no_memory) { restart_camera(false); }
TEST(a_camera_that_is_killed_a_hundred_times_costs_no_memory) { restart_camera(true); }

/* ---- hostile memory */

static void child_reads_garbage(void *arg)
{
    uint32_t mode = (uint32_t)(uintptr_t)arg;
    horus_topic_desc d = {.policy = (horus_policy)(1 + mode % 3), .capacity = 2};
    horus_context *c = join(2 * MiB);
    horus_topic *s = open_in(c, "t", d), *r = open_in(c, "t", d);
    uint64_t n;
    (void)signal(SIGALRM, SIG_DFL);
    (void)alarm(10);
    CHECK_OK(send(s, 1));
    for (uint32_t i = 0; i < 2; i++) /* no message can be there with such a number */
        atomic_store(&horusi_entry_at(s->out->entries, s->out->stride, i)->seq,
                     (1ull << 62) + 2 * i + mode / 3);
    for (int i = 0; i < 5; i++) {
        (void)receive(r, &n, NULL);
        (void)horus_topic_peek(r, &n, sizeof n, NULL);
        (void)horus_topic_skip_to_latest(r, NULL);
        (void)horus_topic_drain(r, NULL);
        (void)horus_topic_wait(r, HORUS_NO_WAIT);
    }
    horus_topic_close(r);
    horus_topic_close(s);
    horus_context_close(c);
}
TEST(garbage_sequences_do_not_hold_a_reader)
{
    horus_context *c = join(2 * MiB);
    for (uintptr_t mode = 0; mode < 6; mode++)
        CHECK_JOIN(test_fork(child_reads_garbage, (void *)mode));
    horus_context_close(c);
}

TEST(a_damaged_size_of_entries_is_not_believed)
{
    horus_context *c = join(8 * MiB);
    horus_topic *t = open_in(c, "t", (horus_topic_desc){0}), *u;
    size_t bytes = 3 * MiB;
    uint8_t *data = calloc(1, bytes);
    static const uint32_t damage[] = {0, 1, 0xffffffff, 0xfffffff0, 0x80000000, 65537};
    for (size_t i = 0; i < sizeof damage / sizeof damage[0]; i++) {
        uint32_t was = t->shm->message_bytes;
        t->shm->message_bytes = damage[i];
        if (horus_topic_open(&u, "t", &(horus_topic_desc){.context = c}) == HORUS_OK) {
            (void)horus_topic_send(u, data, bytes, 0);
            (void)horus_topic_send(u, data, 1000, 0);
            horus_topic_close(u);
        }
        t->shm->message_bytes = was;
    }
    free(data);
    horus_topic_close(t);
    horus_context_close(c);
}

/* ---- types whose variable part is deeper, and sizes at the limit */

#define INNER_FIELDS(F, A, S, N, V, W) F(u64, timestamp_ns) V(u8, bytes)
HORUS_MESSAGE(inner, "Inner", "inner", INNER_FIELDS)
#define OUTER_FIELDS(F, A, S, N, V, W) F(u32, number) N(inner, one) F(u32, after)
HORUS_MESSAGE(outer, "Outer", "outer", OUTER_FIELDS)
#define VAST_FIELDS(F, A, S, N, V, W) A(u8, fixed, 65300) V(u8, more)
HORUS_MESSAGE(vast, "Vast", "vast", VAST_FIELDS)
TEST(a_message_is_variable_if_one_inside_it_is)
{
    horus_context *c = join(4 * MiB);
    horus_topic *t = open_in(c, "t", (horus_topic_desc){.type = &horus_outer_type});
    union {
        horus_outer m;
        uint8_t room[400];
    } u, v;
    size_t n = sizeof u.m;
    horus_info info;
    memset(&u, 0, sizeof u);
    u.m.number = 9;
    REQUIRE_OK(horus_message_append(&u, sizeof u, &n, &u.m.one.bytes, "hello", 6, 1));
    CHECK_OK(horus_topic_send(t, &u, n, 0));
    REQUIRE_OK(horus_topic_receive(t, &v, sizeof v, &info, 0));
    CHECK_EQ(info.size, n);
    CHECK(memcmp(&u, &v, n) == 0);
    CHECK_RESULT(horus_topic_send(t, &u, sizeof u.m - 1, 0), HORUS_E_SIZE);
    horus_topic_close(t);
    horus_context_close(c);
}
TEST(a_type_near_the_inline_limit_travels_inline_up_to_it)
{
    static union {
        horus_vast m;
        uint8_t room[70000];
    } u, v;
    horus_context *c = join(16 * MiB);
    horus_topic *t = open_in(c, "t", (horus_topic_desc){.type = &horus_vast_type, .capacity = 2});
    horus_topic_stats s;
    horus_info info;
    CHECK_OK(horus_topic_get_stats(t, &s));
    CHECK_EQ(s.message_bytes, HORUS_MAX_INLINE);
    for (size_t n = sizeof u.m; n < 66000; n += 99) { /* across the limit */
        memset(&u, (int)n & 0xff, sizeof u);
        CHECK_OK(horus_topic_send(t, &u, n, 0));
        REQUIRE_OK(horus_topic_receive(t, &v, sizeof v, &info, 0));
        CHECK_EQ(info.size, n);
        CHECK(memcmp(&u, &v, n) == 0);
    }
    horus_topic_close(t);
    horus_context_close(c);
}

/* ---- a reader on the heels of a publisher of millions a second */

TEST(a_reader_on_the_heels_of_a_fast_publisher_rests_and_misses_nothing)
{
    horus_context *c = join(4 * MiB);
    horus_topic *s = open_in(c, "t", (horus_topic_desc){.capacity = 64}),
                *r = open_in(c, "t", (horus_topic_desc){0});
    uint64_t n;
    for (uint64_t i = 0; i < 200; i++) {
        CHECK_OK(send(s, i)); /* at one and the same instant, all of them */
        *(uint64_t *)&horusi_entry_at(s->out->entries, s->out->stride, (uint32_t)(i % 64))->stamp =
            1000000;
        CHECK_GETS(r, i);
        if (i >= 20) {
            CHECK(r->streak >= HORUSI_STREAK);
            CHECK_NOTHING(r); /* it rests, once */
            CHECK_EQ(r->streak, HORUSI_STREAK - 1);
            CHECK_NOTHING(r);
            CHECK_EQ(r->streak, HORUSI_STREAK - 1);
        }
    }
    CHECK_RESULT(receive(r, &n, NULL), HORUS_EMPTY);
    horus_topic_close(r);
    horus_topic_close(s);
    horus_context_close(c);
}

TEST(a_private_context_waits_for_longer_than_a_slice)
{
    horus_context *c =
        join_desc((horus_context_desc){.flags = HORUS_PRIVATE, .pool_bytes = 4 * MiB});
    horus_topic *t = open_in(c, "t", (horus_topic_desc){0});
    uint64_t n, begin = horus_now_ns();
    CHECK_RESULT(horus_topic_receive(t, &n, sizeof n, NULL, 250000000), HORUS_TIMEOUT);
    CHECK(horus_now_ns() - begin >= 250000000);
    CHECK_OK(send(t, 1));
    CHECK_GETS(t, 1);
    horus_topic_close(t);
    horus_context_close(c);
}

/* ---- rings that ended */

/* A ring that ended goes once its capacity of newer messages has come, in whatever rings, however often
 * these have gone round. */
TEST(an_ended_ring_goes_after_as_many_newer_messages_as_it_keeps)
{
    enum { MINE = 3, THEIRS = 5 };
    for (uint64_t before = 0; before <= 2 * THEIRS + 1; before++)
        for (uint64_t after = 0; after <= MINE + 1; after++) {
            horus_context *c = join(4 * MiB);
            horus_topic *a = open_in(c, "t", (horus_topic_desc){.capacity = MINE}),
                        *b = open_in(c, "t", (horus_topic_desc){.capacity = THEIRS}),
                        *d = open_in(c, "t", (horus_topic_desc){.capacity = THEIRS});
            for (uint64_t i = 0; i < before; i++)
                CHECK_OK(send(i % 3 ? b : d, i)); /* older, and so of no account */
            test_sleep_us(2);
            CHECK_OK(send(a, 100));
            test_sleep_us(2);
            for (uint64_t i = 0; i < after; i++)
                CHECK_OK(send(i % 2 ? b : d, 101 + i));
            horus_topic_close(a);
            horus_topic *r = open_in(c, "t", (horus_topic_desc){.history = 64});
            uint64_t n;
            bool found = false;
            while (receive(r, &n, NULL) == HORUS_OK)
                found |= n == 100;
            CHECK_EQ(found, after < MINE);
            horus_topic_close(r);
            horus_topic_close(b);
            horus_topic_close(d);
            horus_context_close(c);
        }
}

static double open_send_close(horus_context *c, int rounds)
{
    struct timespec t[2];
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t[0]);
    for (int i = 0; i < rounds; i++) {
        horus_topic *o = open_in(c, "t", (horus_topic_desc){0});
        for (uint64_t k = 0; k < 1100; k++) /* more than the ring keeps */
            CHECK_OK(send(o, k));
        horus_topic_close(o);
    }
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t[1]);
    return (double)(t[1].tv_sec - t[0].tv_sec) * 1e9 + (double)(t[1].tv_nsec - t[0].tv_nsec);
}
TEST(a_topic_that_was_opened_and_closed_often_is_no_dearer)
{
    horus_context *c = join(64 * MiB);
    double first = open_send_close(c, 8);
    (void)open_send_close(c, 120);
    double later = open_send_close(c, 8);
    printf("%.0f ns at first, %.0f later\n", first / 8, later / 8);
    CHECK_TIMELY(later < 10 * first);
    horus_context_close(c);
}
