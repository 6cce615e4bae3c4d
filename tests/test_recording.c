/* Recordings and replays of deterministic schedulers: that a replay is the same bit for bit without anybody
 * who sends, that each divergence is named, and that any file that is no recording is an error. */
#define HORUS_IMPLEMENTATION
#include "../horus.h"
#include "test.h"
#include <pthread.h>
#include <sys/resource.h>

static const uint64_t second = 1000000000;

#define PADDED_FIELDS(F, A, S, N, V, W)                                                            \
    F(u8, small) F(f64, value) S(text, 8) F(u8, last) V(f32, samples)
HORUS_MESSAGE(padded, "Padded", "padded", PADDED_FIELDS)

/* A file that this test made; it is removed at the end. */
static const char *tape_path(void)
{
    static char path[120];
    (void)snprintf(path, sizeof path, "/tmp/horus.%s.recording", test_space);
    return path;
}
static horus_scheduler *open_tape(horus_context *c, bool replay)
{
    horus_scheduler *s;
    horus_scheduler_desc d = {
        .name = "tape", .context = c, .flags = HORUS_DETERMINISTIC, .seed = replay ? 0 : 77};
    *(replay ? &d.replay : &d.record) = tape_path();
    REQUIRE_OK(horus_scheduler_open(&s, &d));
    return s;
}
static horus_recording told_of(horus_scheduler *s)
{
    horus_recording told;
    REQUIRE_OK(horus_scheduler_get_recording(s, &told));
    return told;
}

/* ---- one of everything */

/* What a node has seen, as one number. */
typedef struct seer {
    horus_context *context;
    horus_topic *in, *frames, *work, *out, *pictures;
    uint64_t seen, ticks;
    bool prying; /* also what only looks */
} seer;
static void see(seer *s, const void *data, size_t bytes)
{
    s->seen = horusi_hash_bytes(s->seen, data, bytes);
}
static void see_info(seer *s, const horus_info *i)
{
    uint64_t w[] = {i->sequence, i->publish_ns, i->lost,        i->publisher,
                    i->type_tag, i->size,       i->redelivered, i->kind};
    see(s, w, sizeof w);
}
static void see_result(seer *s, horus_result r)
{
    int32_t v = (int32_t)r;
    see(s, &v, sizeof v);
}
static horus_result seer_init(void *user)
{
    seer *s = user;
    uint8_t first[64];
    horus_info info;
    see_result(s, horus_topic_receive(s->in, first, sizeof first, &info, HORUS_NO_WAIT));
    see_info(s, &info);
    return HORUS_OK;
}
static horus_result seer_shutdown(void *user)
{
    return horus_topic_send(((seer *)user)->out, "end", 4, HORUS_NO_WAIT);
}
static void see_frame(seer *s)
{
    horus_tensor t;
    horus_image m;
    horus_info info;
    char id[HORUS_FRAME_ID_BYTES];
    uint64_t at;
    horus_result r = horus_topic_receive_tensor(s->frames, &t, &info, HORUS_NO_WAIT);
    see_result(s, r);
    see_info(s, &info);
    if (r == HORUS_OK) {
        CHECK(t.readonly);
        for (int64_t y = 0; y < t.shape[0]; y++)
            see(s, (uint8_t *)t.data + y * t.strides_bytes[0], (size_t)t.shape[1]);
        see(s, t.strides_bytes, sizeof t.strides_bytes);
        CHECK_OK(horus_frame_get_id(&t.frame, id));
        CHECK_OK(horus_frame_get_time(&t.frame, &at));
        see(s, id, strlen(id));
        see(s, &at, sizeof at);
        CHECK_OK(horus_tensor_release(&t));
    }
    if (r != HORUS_E_TYPE)
        return;
    r = horus_topic_receive_image(s->frames, &m, &info, HORUS_NO_WAIT);
    see_result(s, r);
    see_info(s, &info);
    if (r != HORUS_OK)
        return;
    see(s, m.data, (size_t)m.stride_bytes * m.height_px);
    CHECK_OK(horus_image_release(&m));
}
static void pry(seer *s, horus_tick *t)
{
    uint8_t small[4], large[20000];
    uint64_t n;
    size_t ready;
    horus_info info;
    horus_topic_stats stats;
    horus_topic *both[] = {s->in, s->work};
    see_result(s, horus_topic_peek(s->in, large, sizeof large, &info));
    see_info(s, &info);
    see_result(s, horus_topic_peek(s->in, NULL, 0, &info));
    see_info(s, &info);
    see_result(s, horus_topic_peek(s->frames, NULL, 0, &info)); /* of a frame: only what is told */
    see_info(s, &info);
    see_result(s, horus_topic_wait(s->in, 1000));
    see_result(s, horus_wait(both, 2, 1000, &ready));
    see(s, &(uint64_t){ready}, 8);
    CHECK_OK(horus_topic_get_stats(s->in, &stats));
    see(s, &stats.pending, 8);
    see(s, &stats.sent, 8);
    CHECK_TEXT(stats.name, "in");
    see_result(s, horus_topic_receive(s->in, small, sizeof small, &info, HORUS_NO_WAIT));
    see_info(s, &info);
    see_result(s, horus_topic_receive(s->work, large, sizeof large, &info, HORUS_NO_WAIT));
    see_info(s, &info);
    see(s, large, info.size);
    see_result(s, horus_topic_ack(s->work));
    see_result(s, horus_topic_ack(s->in));
    if (t->phase % 8 == 7) {
        see_result(s, t->phase % 16 == 7 ? horus_topic_skip_to_latest(s->in, &n)
                                         : horus_topic_drain(s->in, &n));
        see(s, &n, sizeof n);
    }
}
static horus_result seer_tick(void *user, horus_tick *t)
{
    seer *s = user;
    uint8_t got[20000];
    horus_info info;
    horus_image m;
    s->ticks++;
    if (s->prying)
        pry(s, t);
    horus_result r = horus_topic_receive(s->in, got, sizeof got, &info, HORUS_NO_WAIT);
    see_result(s, r);
    see_info(s, &info);
    if (r == HORUS_OK)
        see(s, got, info.size);
    see_frame(s);
    uint64_t say[3] = {s->seen, horus_tick_random(t), t->now_ns};
    see(s, say, sizeof say);
    see_result(s, horus_topic_send(s->out, say, sizeof say, HORUS_NO_WAIT));
    if (t->phase % 4)
        return HORUS_OK;
    REQUIRE_OK(horus_image_alloc(&m, pool_of(s->context), 16, 4, HORUS_RGB8, HORUS_UNINIT));
    memset(m.data, (int)(s->seen & 0xff), (size_t)m.stride_bytes * m.height_px);
    see_result(s, horus_topic_send_image(s->pictures, &m, HORUS_NO_WAIT));
    CHECK(m.readonly && horus_frame_published(&m.frame));
    CHECK_RESULT(horus_image_set_pixel(&m, 0, 0, (double[]){1, 2, 3}, 3), HORUS_E_READONLY);
    CHECK_OK(horus_image_release(&m));
    return HORUS_OK;
}
static void open_seer(seer *s, horus_context *c)
{
    s->context = c;
    REQUIRE_OK(horus_topic_open(&s->in, "in", &(horus_topic_desc){.context = c, .capacity = 64}));
    REQUIRE_OK(horus_topic_open(&s->frames, "frames", &(horus_topic_desc){.context = c}));
    REQUIRE_OK(horus_topic_open(&s->work, "work",
                                &(horus_topic_desc){.context = c, .policy = HORUS_QUEUE}));
    REQUIRE_OK(horus_topic_open(&s->out, "out", &(horus_topic_desc){.context = c}));
    REQUIRE_OK(horus_topic_open(&s->pictures, "pictures",
                                &(horus_topic_desc){.context = c, .type = &horus_image_type}));
}
static void close_seer(seer *s)
{
    horus_topic_close(s->in);
    horus_topic_close(s->frames);
    horus_topic_close(s->work);
    horus_topic_close(s->out);
    horus_topic_close(s->pictures);
}
/* Sends at random what the seers listen for, until it is told to stop. */
static _Atomic bool enough;
static void *send_anything(void *arg)
{
    horus_context *c = arg;
    horus_topic *in, *frames, *work;
    static uint8_t bytes[16000];
    uint64_t number = 0;
    REQUIRE_OK(horus_topic_open(&in, "in", &(horus_topic_desc){.context = c}));
    REQUIRE_OK(horus_topic_open(&frames, "frames", &(horus_topic_desc){.context = c}));
    REQUIRE_OK(horus_topic_open(&work, "work", &(horus_topic_desc){.context = c}));
    rng_state = horus_now_ns(); /* what came in is another thing each time */
    while (!atomic_load(&enough)) {
        horus_tensor t, part;
        horus_image m;
        for (size_t i = 0; i < 64; i++)
            bytes[rng() % sizeof bytes] = (uint8_t)rng();
        memcpy(bytes, &(uint64_t){++number}, 8);
        (void)horus_topic_send(in, bytes, 1 + rng() % (rng() % 4 ? 100 : sizeof bytes), 0);
        (void)horus_topic_send(work, bytes, 8 + rng() % 50, 0);
        if (rng() % 2) {
            int64_t shape[2] = {5, 32};
            REQUIRE_OK(horus_tensor_alloc(&t, pool_of(c), HORUS_U8, 2, shape, 0));
            memcpy(t.data, bytes, 160);
            CHECK_OK(horus_frame_set_id(&t.frame, rng() % 2 ? "left" : "right"));
            CHECK_OK(horus_frame_set_time(&t.frame, number));
            REQUIRE_OK(horus_tensor_slice(&part, &t, 1, 4));
            part.shape[1] = 7; /* columns: rows that are not dense */
            CHECK_OK(horus_topic_send_tensor(frames, &part, 0));
            CHECK_OK(horus_tensor_release(&part));
            CHECK_OK(horus_tensor_release(&t));
        } else {
            REQUIRE_OK(horus_image_alloc(&m, pool_of(c), 8, 4, HORUS_MONO8, 0));
            memcpy(m.data, bytes, 32);
            CHECK_OK(horus_topic_send_image(frames, &m, 0));
            CHECK_OK(horus_image_release(&m));
        }
        test_sleep_us(rng() % 200);
    }
    horus_topic_close(in);
    horus_topic_close(frames);
    horus_topic_close(work);
    return NULL;
}
static void add_seers(horus_scheduler *s, seer *two, horus_context *c)
{
    static const char *const names[2] = {"fast", "slow"};
    for (int i = 0; i < 2; i++) {
        open_seer(&two[i], c);
        two[i].prying = i == 1;
        REQUIRE_OK(horus_scheduler_add(s, &(horus_node_desc){.name = names[i],
                                                             .tick = seer_tick,
                                                             .init = seer_init,
                                                             .shutdown = seer_shutdown,
                                                             .user = &two[i],
                                                             .rate_num = i ? 60 : 1000,
                                                             .order = -i}));
    }
}
TEST(a_replay_is_the_same_without_anybody_who_sends)
{
    horus_context *c = join(16 * MiB);
    horus_recording told, again;
    seer two[2], twice[2];
    pthread_t sender;
    horus_topic *ear;
    uint8_t heard[64];
    memset(two, 0, sizeof two);
    horus_scheduler *s = open_tape(c, false);
    add_seers(s, two, c);
    REQUIRE(pthread_create(&sender, NULL, send_anything, c) == 0);
    for (int i = 0; i < 40; i++) { /* so that it hears something, however fast it runs */
        CHECK_OK(horus_scheduler_step(s, (int64_t)second / 100));
        test_sleep_us(500);
    }
    CHECK_OK(horus_scheduler_run(s, (int64_t)second / 10));
    atomic_store(&enough, true);
    REQUIRE(pthread_join(sender, NULL) == 0);
    told = told_of(s);
    CHECK(told.inputs > 500 && told.outputs > 500 && !told.diverged);
    close_seer(&two[0]);
    close_seer(&two[1]);
    CHECK_OK(horus_scheduler_close(s));

    horus_context_close(c);
    c = join(16 * MiB);
    REQUIRE_OK(horus_topic_open(&ear, "out", &(horus_topic_desc){.context = c}));
    memset(twice, 0, sizeof twice);
    s = open_tape(c, true);
    add_seers(s, twice, c);
    for (int i = 0; i < 40; i++)
        CHECK_OK(horus_scheduler_step(s, (int64_t)second / 100));
    CHECK_OK(horus_scheduler_run(s, HORUS_FOREVER)); /* it ends where the other one did */
    again = told_of(s);
    CHECK(!again.diverged && again.hash == told.hash && again.calls == told.calls);
    CHECK(again.inputs == told.inputs && again.outputs == told.outputs);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(twice[i].seen, two[i].seen);
        CHECK_EQ(twice[i].ticks, two[i].ticks);
    }
    CHECK_RESULT(horus_topic_receive(ear, heard, sizeof heard, NULL, 0), HORUS_EMPTY);
    CHECK_RESULT(horus_scheduler_run(s, 0), HORUS_E_NOT_FOUND);
    CHECK_TEXT(horus_last_error(), "no further run");
    close_seer(&twice[0]);
    close_seer(&twice[1]);
    horus_topic_close(ear);
    CHECK_OK(horus_scheduler_close(s));
    check_balanced(pool_of(c));
    CHECK_EQ(stats_of(pool_of(c)).used_slots, 3); /* the figures, their topic and its ring */
    horus_context_close(c);
    (void)unlink(tape_path());
}

/* ---- divergences */

typedef struct talker {
    horus_topic *in, *out, *other;
    int plan;    /* what it does otherwise in tick 7 */
    uint64_t at; /* 7, or never */
} talker;
enum {
    SAYS_ELSE,
    SAYS_NOTHING,
    SAYS_MORE,
    SAYS_ELSEWHERE,
    ASKS_MORE,
    ASKS_LESS,
    FAILS,
    STOPS,
    SAYS_PADDING,
    PLANS
};
static horus_result talk(void *user, horus_tick *t)
{
    talker *k = user;
    uint8_t got[64];
    bool odd = t->phase == 7 && k->at == 7;
    horus_padded p;
    memset(&p, odd && k->plan == SAYS_PADDING ? 0xff : 0, sizeof p);
    p.small = 1;
    p.last = 2;
    p.value = (double)t->phase;
    (void)snprintf(p.text, sizeof p.text, "%u", (unsigned)t->phase);
    p.samples.offset = p.samples.count = 0;
    if (!odd || k->plan != ASKS_LESS)
        (void)horus_topic_receive(k->in, got, sizeof got, NULL, 0);
    if (odd && k->plan == SAYS_ELSE)
        p.value = -0.0;
    if (odd && k->plan == ASKS_MORE)
        (void)horus_topic_receive(k->in, got, sizeof got, NULL, 0);
    if (odd && k->plan == SAYS_ELSEWHERE)
        (void)horus_topic_send(k->other, "x", 1, 0);
    if (!odd || k->plan != SAYS_NOTHING)
        CHECK_OK(horus_topic_send(k->out, &p, sizeof p, 0));
    if (odd && k->plan == SAYS_MORE)
        CHECK_OK(horus_topic_send(k->out, &p, sizeof p, 0));
    if (odd && k->plan == STOPS)
        horus_scheduler_stop(t->scheduler);
    return odd && k->plan == FAILS ? HORUS_E_SIZE : HORUS_OK;
}
static horus_result quiet(void *user, horus_tick *t)
{
    (void)user;
    (void)t;
    return HORUS_OK;
}
static horus_result quiet_end(void *user)
{
    (void)user;
    return HORUS_OK;
}
static horus_result talk_for_a_second(horus_context *c, talker *k, bool replay,
                                      horus_recording *told)
{
    horus_scheduler *s = open_tape(c, replay);
    REQUIRE_OK(horus_topic_open(&k->in, "in", &(horus_topic_desc){.context = c}));
    REQUIRE_OK(horus_topic_open(&k->out, "said",
                                &(horus_topic_desc){.context = c, .type = &horus_padded_type}));
    REQUIRE_OK(horus_topic_open(&k->other, "elsewhere", &(horus_topic_desc){.context = c}));
    REQUIRE_OK(horus_scheduler_add(s, &(horus_node_desc){.name = "quiet", .tick = quiet}));
    REQUIRE_OK(horus_scheduler_add(
        s, &(horus_node_desc){.name = "talker", .tick = talk, .user = k, .rate_num = 100}));
    horus_result r = horus_scheduler_run(s, (int64_t)second);
    *told = told_of(s);
    if (r < 0)
        CHECK_TEXT(horus_last_error(), "tick 7 of node talker");
    horus_topic_close(k->in);
    horus_topic_close(k->out);
    horus_topic_close(k->other);
    CHECK_OK(horus_scheduler_close(s));
    return r;
}
TEST(the_first_divergence_is_named_by_tick_node_and_topic)
{
    static const char *const topic[PLANS] = {"said", "said", "said", "elsewhere", "in",
                                             "said", "",     "",     NULL};
    horus_context *c = join(MiB);
    horus_recording told, again;
    talker k = {.at = 0};
    REQUIRE_OK(talk_for_a_second(c, &k, false, &told));
    CHECK_OK(talk_for_a_second(c, &k, true, &again));
    CHECK_EQ(again.hash, told.hash);
    CHECK_EQ(again.calls, 130);
    k.at = 7;
    for (k.plan = 0; k.plan < PLANS; k.plan++) {
        bool same = topic[k.plan] == NULL;
        if (!CHECK_RESULT(talk_for_a_second(c, &k, true, &again),
                          same ? HORUS_OK : HORUS_E_DIVERGED))
            fprintf(stderr, "plan %d\n", k.plan);
        CHECK_EQ(again.diverged, !same);
        if (same)
            CHECK_EQ(again.hash, told.hash);
        else if (!CHECK(again.tick == 7 && strcmp(again.node, "talker") == 0 &&
                        strcmp(again.topic, topic[k.plan]) == 0))
            fprintf(stderr, "plan %d: %s\n", k.plan, again.topic);
    }
    horus_context_close(c);
    (void)unlink(tape_path());
}
TEST(a_replay_needs_the_same_nodes_and_runs)
{
    horus_context *c = join(MiB);
    horus_recording told;
    talker k = {.at = 0};
    horus_scheduler *s;
    REQUIRE_OK(talk_for_a_second(c, &k, false, &told));
    const horus_node_desc nodes[3] = {{.name = "quiet", .tick = quiet},
                                      {.name = "talker", .tick = quiet, .rate_num = 50},
                                      {.name = "third", .tick = quiet}};
    for (uint32_t n = 1; n <= 3; n++) {
        s = open_tape(c, true);
        for (uint32_t i = 0; i < n; i++)
            REQUIRE_OK(horus_scheduler_add(s, &nodes[i]));
        CHECK_RESULT(horus_scheduler_run(s, HORUS_FOREVER), HORUS_E_DIVERGED);
        CHECK_TEXT(horus_last_error(), n == 2 ? "node talker" : "not this run");
        CHECK_RESULT(horus_scheduler_run(s, HORUS_FOREVER), HORUS_E_DIVERGED);
        CHECK_OK(horus_scheduler_close(s));
    }
    s = open_tape(c, true);
    REQUIRE_OK(horus_scheduler_add(s, &nodes[0]));
    CHECK_RESULT(horus_scheduler_step(s, 1), HORUS_E_DIVERGED);
    CHECK_TEXT(horus_last_error(), "not this step");
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
    (void)unlink(tape_path());
}
static horus_result stops_if_asked(void *user, horus_tick *t)
{
    if (*(bool *)user && t->phase == 3)
        horus_scheduler_stop(t->scheduler);
    return HORUS_OK;
}
TEST(a_replay_ends_in_the_midst_of_a_pass_where_the_run_did)
{
    horus_context *c = join(MiB);
    uint64_t calls = 0;
    for (int replay = 0; replay < 2; replay++) {
        bool stops = replay == 0;
        horus_scheduler *s = open_tape(c, replay);
        const horus_node_desc node = {
            .name = "a", .tick = stops_if_asked, .user = &stops, .rate_num = 10};
        REQUIRE_OK(horus_scheduler_add(s, &node));
        REQUIRE_OK(horus_scheduler_add(
            s,
            &(horus_node_desc){.name = "b", .tick = quiet, .shutdown = quiet_end, .rate_num = 10}));
        CHECK_OK(horus_scheduler_run(s, HORUS_FOREVER));
        calls = told_of(s).calls;
        CHECK_EQ(calls, 4 + 3 + 1);
        CHECK_OK(horus_scheduler_close(s));
    }
    /* steps end with the close: another step is not what came next */
    for (int replay = 0; replay < 2; replay++) {
        horus_scheduler *s = open_tape(c, replay);
        REQUIRE_OK(horus_scheduler_add(
            s, &(horus_node_desc){.name = "b", .tick = quiet, .shutdown = quiet_end}));
        CHECK_OK(horus_scheduler_step(s, 1));
        if (replay)
            CHECK_RESULT(horus_scheduler_step(s, 1), HORUS_E_DIVERGED);
        CHECK_OK(horus_scheduler_close(s));
    }
    horus_context_close(c);
    (void)unlink(tape_path());
}
TEST(a_shorter_replay_ends_with_its_time)
{
    horus_context *c = join(MiB);
    horus_recording told;
    talker k = {.at = 0};
    REQUIRE_OK(talk_for_a_second(c, &k, false, &told));
    horus_scheduler *s = open_tape(c, true);
    REQUIRE_OK(horus_topic_open(&k.in, "in", &(horus_topic_desc){.context = c}));
    REQUIRE_OK(horus_topic_open(&k.out, "said",
                                &(horus_topic_desc){.context = c, .type = &horus_padded_type}));
    REQUIRE_OK(horus_scheduler_add(s, &(horus_node_desc){.name = "quiet", .tick = quiet}));
    REQUIRE_OK(horus_scheduler_add(
        s, &(horus_node_desc){.name = "talker", .tick = talk, .user = &k, .rate_num = 100}));
    CHECK_OK(horus_scheduler_run(s, (int64_t)second / 2));
    CHECK_EQ(told_of(s).calls, 65);
    horus_topic_close(k.in);
    horus_topic_close(k.out);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
    (void)unlink(tape_path());
}

/* ---- files that are none */

static uint8_t *read_tape(size_t *bytes)
{
    FILE *f = fopen(tape_path(), "rb");
    uint8_t *all = malloc(4 * MiB);
    REQUIRE(f && all);
    *bytes = fread(all, 1, 4 * MiB, f);
    (void)fclose(f);
    return all;
}
static void write_tape(const uint8_t *all, size_t bytes)
{
    FILE *f = fopen(tape_path(), "wb");
    REQUIRE(f && fwrite(all, 1, bytes, f) == bytes);
    (void)fclose(f);
}
/* Frames and messages that wait for the seer. */
static void send_a_few(horus_context *c)
{
    horus_topic *in, *frames;
    horus_image m;
    REQUIRE_OK(horus_topic_open(&in, "in", &(horus_topic_desc){.context = c}));
    REQUIRE_OK(horus_topic_open(&frames, "frames", &(horus_topic_desc){.context = c}));
    for (int i = 0; i < 3; i++) {
        REQUIRE_OK(horus_image_alloc(&m, pool_of(c), 7, 3, HORUS_MONO8, 0));
        CHECK_OK(horus_topic_send_image(frames, &m, 0));
        CHECK_OK(horus_image_release(&m));
        CHECK_OK(horus_topic_send(in, "hello, seer", 12, 0));
    }
    horus_topic_close(in);
    horus_topic_close(frames);
}
static horus_result one_seer(horus_context *c, bool replay, horus_recording *told)
{
    horus_scheduler *s = NULL;
    seer one;
    memset(&one, 0, sizeof one);
    open_seer(&one, c);
    one.prying = true;
    if (!replay)
        send_a_few(c);
    horus_scheduler_desc d = {.name = "tape", .context = c, .flags = HORUS_DETERMINISTIC};
    *(replay ? &d.replay : &d.record) = tape_path();
    horus_result r = horus_scheduler_open(&s, &d);
    if (r == HORUS_OK) {
        REQUIRE_OK(horus_scheduler_add(s, &(horus_node_desc){.name = "seer",
                                                             .tick = seer_tick,
                                                             .init = seer_init,
                                                             .shutdown = seer_shutdown,
                                                             .user = &one,
                                                             .rate_num = 4}));
        r = horus_scheduler_run(s, (int64_t)second);
        *told = told_of(s);
        CHECK_OK(horus_scheduler_close(s));
    }
    close_seer(&one);
    return r;
}
TEST(a_recording_that_is_cut_off_is_replayed_up_to_there)
{
    horus_context *c = join(4 * MiB);
    horus_recording told, again;
    size_t bytes;
    uint64_t calls = 0;
    REQUIRE_OK(one_seer(c, false, &told));
    uint8_t *all = read_tape(&bytes);
    CHECK(bytes > 1000);
    for (size_t cut = 0; cut < bytes; cut += cut < 64 ? 1 : 1 + bytes / (TEST_TIMES(600) + 1)) {
        write_tape(all, cut);
        again.calls = 0;
        horus_result r = one_seer(c, true, &again);
        CHECK_RESULT(r, cut == 16 ? HORUS_E_NOT_FOUND : HORUS_E_CORRUPT);
        if (cut != 16)
            CHECK_TEXT(horus_last_error(), "cut off");
        CHECK(again.calls >= calls); /* as far as it goes */
        calls = again.calls;
        check_balanced(pool_of(c));
    }
    CHECK_EQ(calls, told.calls);
    write_tape(all, bytes);
    CHECK_OK(one_seer(c, true, &again));
    CHECK_EQ(again.hash, told.hash);
    check_balanced(pool_of(c));
    free(all);
    horus_context_close(c);
    (void)unlink(tape_path());
}
TEST(a_damaged_recording_is_an_error_and_no_crash)
{
    horus_context *c = join(4 * MiB);
    horus_recording told, again;
    size_t bytes;
    REQUIRE_OK(one_seer(c, false, &told));
    uint8_t *all = read_tape(&bytes);
    uint32_t same = 0;
    for (uint32_t i = 0; i < TEST_TIMES(2500); i++) {
        size_t at = i < bytes && i < 300 ? i : rng() % bytes;
        uint8_t was = all[at];
        all[at] = i % 3 == 0   ? 0xff
                  : i % 3 == 1 ? (uint8_t)(was ^ 1u << rng() % 8)
                               : (uint8_t)rng();
        write_tape(all, bytes);
        horus_result r = one_seer(c, true, &again);
        same += r == HORUS_OK;
        if (r != HORUS_OK && r != HORUS_E_DIVERGED && r != HORUS_E_CORRUPT &&
            r != HORUS_E_VERSION && r != HORUS_E_SIZE)
            test_failed(__FILE__, __LINE__, "byte %zu: %s: %s", at, test_result_name(r),
                        horus_last_error());
        all[at] = was;
    }
    CHECK(same < TEST_TIMES(2500)); /* what lies between the fields does no harm */
    check_balanced(pool_of(c));
    free(all);
    horus_context_close(c);
    (void)unlink(tape_path());
}
TEST(each_length_and_number_of_an_entry_is_checked)
{
    horus_context *c = join(4 * MiB);
    horus_recording told, again;
    size_t bytes, entries = 0, frames = 0;
    REQUIRE_OK(one_seer(c, false, &told));
    uint8_t *all = read_tape(&bytes);
    horusi_tape_note good, bad[8];
    for (size_t at = 16; at < bytes; entries++) {
        memcpy(&good, all + at, sizeof good);
        bool deed = good.kind == HORUSI_DEED, came = deed && good.result == HORUS_OK;
        bool frame = came && good.what >= HORUS_KIND_TENSOR && good.what <= HORUS_KIND_CLOUD;
        int n = 0;
        for (int i = 0; i < 8; i++)
            bad[i] = good;
        bad[n++].kind = 0;
        bad[n++].kind = 99;
        bad[n++].name_bytes = HORUS_NAME_BYTES;
        bad[n++].words = HORUSI_DEED_WORDS + 1;
        bad[n++].result = 1000;
        if (!deed)
            bad[n++].data_bytes = 8;
        if (frame)
            bad[n++].data_bytes = 0, bad[n++].data_bytes = 90; /* not all of id and time */
        if (came && good.data_bytes > 0 &&
            (good.what == HORUS_KIND_MESSAGE || good.what == HORUSI_PEEK))
            bad[n++].data_bytes++;
        if (deed && good.what == HORUSI_WAIT_MANY &&
            good.result == HORUS_OK) { /* which? none such */
            size_t which = at + sizeof good + ((good.name_bytes + 7u) & ~7u);
            all[which] += 7;
            write_tape(all, bytes);
            CHECK_RESULT(one_seer(c, true, &again), all[which] == 7 ? HORUS_OK : HORUS_E_DIVERGED);
            all[which] -= 7;
        }
        if (frame) {
            uint8_t *word = all + at + sizeof good + ((good.name_bytes + 7u) & ~7u);
            const uint8_t kind = word[4 * 8 + 1], size = word[5 * 8], more = word[5 * 8 + 1];
            for (int i = 0; i < 3;
                 i++) { /* another kind; a descriptor too short, and one too long */
                word[4 * 8 + 1] = i ? kind : HORUS_KIND_CLOUD;
                word[5 * 8] = i == 1 ? 8 : size;
                word[5 * 8 + 1] = i == 2 ? 1 : more;
                write_tape(all, bytes);
                CHECK_RESULT(one_seer(c, true, &again), HORUS_E_CORRUPT);
            }
            word[4 * 8 + 1] = kind;
            word[5 * 8] = size;
            word[5 * 8 + 1] = more;
            uint32_t wire;
            memcpy(&wire, word + 5 * 8, 4);
            bad[7].data_bytes = wire + HORUSI_FRAME_META; /* none of its elements */
            memcpy(all + at, &bad[7], sizeof good);
            write_tape(all, bytes);
            CHECK(one_seer(c, true, &again) < 0);
            bad[7].data_bytes = 1ull << 40;
            memcpy(all + at, &bad[7], sizeof good);
            write_tape(all, bytes);
            CHECK_RESULT(one_seer(c, true, &again), HORUS_E_SIZE);
            CHECK_TEXT(horus_last_error(), "no room for a frame");
        }
        for (int i = 0; i < n && (entries < 10 || frame || entries % 4 == 0); i++) {
            memcpy(all + at, &bad[i], sizeof good);
            write_tape(all, bytes);
            if (!CHECK_RESULT(one_seer(c, true, &again), HORUS_E_CORRUPT))
                fprintf(stderr, "entry %zu, kind %d, case %d\n", entries, good.kind, i);
        }
        memcpy(all + at, &good, sizeof good);
        frames += frame;
        size_t data = at + sizeof good + ((good.name_bytes + 7u) & ~7u) + 8u * good.words;
        if (came && good.data_bytes > 0) { /* cut off within, and within what fills it up */
            write_tape(all, data + 2);
            CHECK_RESULT(one_seer(c, true, &again), HORUS_E_CORRUPT);
            write_tape(all, data + (size_t)good.data_bytes);
            CHECK_RESULT(one_seer(c, true, &again), HORUS_E_CORRUPT);
        }
        at += sizeof good + ((good.name_bytes + 7u) & ~7u) + 8u * good.words +
              ((size_t)(good.data_bytes + 7) & ~(size_t)7);
    }
    CHECK(entries > 60 && frames == 3);
    check_balanced(pool_of(c));
    free(all);
    horus_context_close(c);
    (void)unlink(tape_path());
}
/* Takes a tensor, and sends an image to whom keeps one alone. */
typedef struct keeper {
    horus_context *context;
    horus_topic *in, *out;
    horus_result came[8], went[8];
} keeper;
static horus_result takes_and_sends(void *user, horus_tick *t)
{
    keeper *k = user;
    horus_tensor got;
    horus_image m;
    k->came[t->phase % 8] = horus_topic_receive_tensor(k->in, &got, NULL, HORUS_NO_WAIT);
    if (k->came[t->phase % 8] == HORUS_OK) {
        CHECK_EQ(((uint8_t *)got.data)[4], 'e');
        CHECK_OK(horus_tensor_release(&got));
    }
    REQUIRE_OK(horus_image_alloc(&m, pool_of(k->context), 2, 2, HORUS_MONO8, 0));
    horus_result r = horus_topic_send_image(k->out, &m, HORUS_NO_WAIT);
    k->went[t->phase % 8] = r;
    CHECK_EQ(m.readonly, r == HORUS_OK);
    CHECK_EQ(horus_frame_published(&m.frame), r == HORUS_OK);
    CHECK_RESULT(horus_image_set_pixel(&m, 0, 0, (double[]){7}, 1),
                 r == HORUS_OK ? HORUS_E_READONLY : HORUS_OK);
    CHECK_OK(horus_image_release(&m));
    return HORUS_OK;
}
static horus_result keep(keeper *k, bool replay)
{
    horus_scheduler *s = open_tape(k->context, replay);
    REQUIRE_OK(horus_scheduler_add(
        s,
        &(horus_node_desc){.name = "keeper", .tick = takes_and_sends, .user = k, .rate_num = 8}));
    memset(k->came, 0, sizeof k->came);
    memset(k->went, 0, sizeof k->went);
    horus_result r = horus_scheduler_run(s, (int64_t)second / 2);
    CHECK_OK(horus_scheduler_close(s));
    return r;
}
/* How often this process holds a slot of the pool. */
static uint64_t holds_of(const horus_pool *p)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < p->slots; i++)
        sum += p->rec[i].count;
    return sum;
}
/* The end of the entry of the first frame that came, without what fills it up. */
static size_t end_of_a_frame(const uint8_t *all, size_t bytes)
{
    horusi_tape_note e;
    for (size_t at = 16; at < bytes;) {
        memcpy(&e, all + at, sizeof e);
        at += sizeof e + ((e.name_bytes + 7u) & ~7u) + 8u * e.words + (size_t)e.data_bytes;
        if (e.kind == HORUSI_DEED && e.what == HORUS_KIND_TENSOR && e.data_bytes > 0)
            return e.data_bytes % 8 != 0 ? at : 0;
        at += -e.data_bytes & 7;
    }
    return 0;
}
TEST(frames_that_are_refused_or_cut_off_stay_nobodys)
{
    horus_context *c = join(4 * MiB);
    keeper k = {.context = c};
    horus_topic *in, *full;
    horus_tensor t, part;
    const int64_t six = 6;
    size_t bytes;
    REQUIRE_OK(horus_topic_open(&k.in, "in", &(horus_topic_desc){.context = c}));
    REQUIRE_OK(horus_topic_open(&in, "in", &(horus_topic_desc){.context = c}));
    const horus_topic_desc one = {
        .context = c, .type = &horus_image_type, .policy = HORUS_RELIABLE, .capacity = 1};
    REQUIRE_OK(horus_topic_open(&k.out, "full", &one));
    REQUIRE_OK(horus_topic_open(&full, "full", &one)); /* receives nothing */
    REQUIRE_OK(horus_tensor_alloc(&t, pool_of(c), HORUS_U8, 1, &six, 0));
    memcpy(t.data, " frame", 6);
    REQUIRE_OK(horus_tensor_slice(&part, &t, 1, 6)); /* so that its entry is filled up */
    CHECK_OK(horus_topic_send_tensor(in, &part, 0));
    CHECK_OK(horus_tensor_release(&part));
    CHECK_OK(horus_tensor_release(&t));
    CHECK_OK(keep(&k, false));
    CHECK(k.came[0] == HORUS_OK && k.came[1] == HORUS_EMPTY);
    CHECK_RESULT(k.went[0], HORUS_OK);
    CHECK_RESULT(k.went[1], HORUS_FULL);
    CHECK_RESULT(k.went[3], HORUS_FULL);
    CHECK_OK(keep(&k, true)); /* the same again, of the file */
    CHECK(k.came[0] == HORUS_OK && k.came[1] == HORUS_EMPTY);
    CHECK_RESULT(k.went[0], HORUS_OK);
    CHECK_RESULT(k.went[1], HORUS_FULL);
    CHECK_RESULT(k.went[3], HORUS_FULL);
    uint8_t *all = read_tape(&bytes);
    const size_t end = end_of_a_frame(all, bytes);
    REQUIRE(end > 0);
    const uint64_t held = holds_of(pool_of(c));
    write_tape(all, end); /* the frame is whole, what fills up its entry is not there */
    CHECK_RESULT(keep(&k, true), HORUS_E_CORRUPT);
    CHECK_TEXT(horus_last_error(), "cut off");
    CHECK_RESULT(k.came[0], HORUS_EMPTY);
    CHECK_EQ(holds_of(pool_of(c)), held);
    check_balanced(pool_of(c));
    free(all);
    horus_topic_close(in);
    horus_topic_close(k.in);
    horus_topic_close(k.out);
    horus_topic_close(full);
    horus_context_close(c);
    (void)unlink(tape_path());
}
TEST(bad_wishes_are_refused)
{
    horus_context *c = join(MiB);
    horus_scheduler *s;
    horus_recording told;
    horus_scheduler_desc d = {.name = "x", .context = c, .record = tape_path()};
    CHECK_RESULT(horus_scheduler_open(&s, &d), HORUS_E_ARG);
    CHECK_TEXT(horus_last_error(), "DETERMINISTIC");
    d.flags = HORUS_DETERMINISTIC;
    d.replay = tape_path();
    CHECK_RESULT(horus_scheduler_open(&s, &d), HORUS_E_ARG);
    d.record = NULL;
    CHECK_RESULT(horus_scheduler_open(&s, &d), HORUS_E_NOT_FOUND);
    CHECK(s == NULL);
    d.replay = "/";
    CHECK_RESULT(horus_scheduler_open(&s, &d), HORUS_E_SYSTEM);
    CHECK_TEXT(horus_last_error(), "cannot read");
    write_tape((const uint8_t *)"HORUSR99 and more", 17);
    d.replay = tape_path();
    CHECK_RESULT(horus_scheduler_open(&s, &d), HORUS_E_VERSION);
    write_tape((const uint8_t *)"anything, but more", 18);
    CHECK_RESULT(horus_scheduler_open(&s, &d), HORUS_E_CORRUPT);
    d.replay = NULL;
    d.record = "/no such directory/x";
    CHECK_RESULT(horus_scheduler_open(&s, &d), HORUS_E_SYSTEM);
    d.record = NULL;
    REQUIRE_OK(horus_scheduler_open(&s, &d));
    CHECK_RESULT(horus_scheduler_get_recording(s, &told), HORUS_E_NOT_FOUND);
    CHECK_RESULT(horus_scheduler_get_recording(NULL, &told), HORUS_E_ARG);
    CHECK_RESULT(horus_scheduler_get_recording(s, NULL), HORUS_E_ARG);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
    (void)unlink(tape_path());
}
TEST(a_disk_that_is_full_ends_the_run_and_is_told)
{
    horus_context *c = join(MiB);
    horus_recording told;
    horus_scheduler *s;
    talker k = {.at = 0};
    horus_scheduler_desc d = {
        .name = "x", .context = c, .flags = HORUS_DETERMINISTIC, .record = "/dev/full"};
    CHECK_RESULT(horus_scheduler_open(&s, &d), HORUS_E_SYSTEM);
    CHECK_TEXT(horus_last_error(), "No space left");
    struct rlimit few, all;
    REQUIRE(getrlimit(RLIMIT_FSIZE, &all) == 0);
    few = all;
    few.rlim_cur = 2000;
    (void)signal(SIGXFSZ, SIG_IGN);
    d.record = tape_path();
    REQUIRE_OK(horus_scheduler_open(&s, &d));
    REQUIRE_OK(horus_topic_open(&k.in, "in", &(horus_topic_desc){.context = c}));
    REQUIRE_OK(horus_topic_open(&k.out, "said",
                                &(horus_topic_desc){.context = c, .type = &horus_padded_type}));
    REQUIRE_OK(
        horus_scheduler_add(s, &(horus_node_desc){.name = "talker", .tick = talk, .user = &k}));
    REQUIRE(setrlimit(RLIMIT_FSIZE, &few) == 0);
    CHECK_RESULT(horus_scheduler_run(s, (int64_t)second), HORUS_E_SYSTEM);
    CHECK_TEXT(horus_last_error(), "cannot write: File too large");
    told = told_of(s);
    CHECK(told.calls > 2 && told.calls < 30);
    CHECK_RESULT(horus_scheduler_run(s, (int64_t)second), HORUS_E_SYSTEM);
    CHECK_EQ(told_of(s).calls, told.calls);
    CHECK(setrlimit(RLIMIT_FSIZE, &all) == 0);
    horus_topic_close(k.in);
    horus_topic_close(k.out);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
    (void)unlink(tape_path());
}

/* ---- who is recorded */

static horus_result dies_of_a_message(void *user, horus_tick *t)
{
    seer *s = user;
    uint64_t got = 0;
    (void)t;
    s->ticks++;
    if (horus_topic_receive(s->in, &got, sizeof got, NULL, 0) == HORUS_OK && got == 3) {
        if (s->prying)
            (void)raise(SIGKILL);
        s->seen = got;
    }
    return HORUS_OK;
}
static void record_a_death(void *arg)
{
    horus_context *c = join(MiB);
    seer one = {.prying = true};
    (void)arg;
    REQUIRE_OK(horus_topic_open(&one.in, "in", &(horus_topic_desc){.context = c}));
    for (uint64_t i = 0; i < 5; i++)
        CHECK_OK(horus_topic_send(one.in, &i, sizeof i, 0));
    horus_scheduler *s = open_tape(c, false);
    REQUIRE_OK(horus_scheduler_add(
        s, &(horus_node_desc){.name = "mortal", .tick = dies_of_a_message, .user = &one}));
    (void)horus_scheduler_run(s, HORUS_FOREVER);
}
TEST(a_run_that_was_killed_is_replayed_up_to_the_message_that_killed_it)
{
    CHECK(WIFSIGNALED(test_wait(test_fork(record_a_death, NULL))));
    horus_context *c = join(MiB);
    seer one = {.prying = false};
    REQUIRE_OK(horus_topic_open(&one.in, "in", &(horus_topic_desc){.context = c}));
    horus_scheduler *s = open_tape(c, true);
    REQUIRE_OK(horus_scheduler_add(
        s, &(horus_node_desc){.name = "mortal", .tick = dies_of_a_message, .user = &one}));
    CHECK_RESULT(horus_scheduler_run(s, HORUS_FOREVER), HORUS_E_CORRUPT);
    CHECK_TEXT(horus_last_error(), "cut off here (tick 3 of node mortal)");
    CHECK_EQ(one.ticks, 4);
    CHECK_EQ(one.seen, 3);
    horus_topic_close(one.in);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
    (void)unlink(tape_path());
}
static horus_result takes_so_much(void *user, horus_tick *t)
{
    seer *s = user;
    uint8_t small[4], large[64];
    (void)t;
    s->seen = horus_topic_receive(s->in, s->prying ? small : large, s->prying ? 4 : 64, NULL, 0) ==
              HORUS_OK;
    return HORUS_OK;
}
TEST(a_message_that_a_smaller_buffer_does_not_hold_is_a_divergence)
{
    horus_context *c = join(MiB);
    seer one = {.prying = false};
    REQUIRE_OK(horus_topic_open(&one.in, "in", &(horus_topic_desc){.context = c}));
    CHECK_OK(horus_topic_send(one.in, "more than four", 15, 0));
    for (int replay = 0; replay < 3; replay++) {
        horus_scheduler *s = open_tape(c, replay > 0);
        one.prying = replay == 2;
        REQUIRE_OK(horus_scheduler_add(
            s,
            &(horus_node_desc){.name = "n", .tick = takes_so_much, .user = &one, .rate_num = 1}));
        CHECK_RESULT(horus_scheduler_run(s, (int64_t)second),
                     replay == 2 ? HORUS_E_DIVERGED : HORUS_OK);
        CHECK_EQ(one.seen, replay < 2);
        if (replay == 2)
            CHECK_TEXT(told_of(s).topic, "in");
        CHECK_OK(horus_scheduler_close(s));
    }
    horus_topic_close(one.in);
    horus_context_close(c);
    (void)unlink(tape_path());
}
static horus_result takes_all(void *user, horus_tick *t)
{
    static uint8_t large[200000];
    seer *s = user;
    horus_info info;
    (void)t;
    if (horus_topic_receive(s->in, large, sizeof large, &info, 0) == HORUS_OK)
        s->seen = horusi_hash_bytes(info.size, large, info.size);
    return HORUS_OK;
}
TEST(a_message_larger_than_any_buffer_is_kept_whole)
{
    static uint8_t large[200000];
    uint64_t seen = 0;
    horus_context *c = join(4 * MiB);
    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (uint8_t)rng();
    for (int replay = 0; replay < 2; replay++) {
        seer one = {.seen = 0};
        REQUIRE_OK(horus_topic_open(&one.in, "in", &(horus_topic_desc){.context = c}));
        if (!replay)
            CHECK_OK(horus_topic_send(one.in, large, sizeof large - 3, 0));
        horus_scheduler *s = open_tape(c, replay);
        REQUIRE_OK(horus_scheduler_add(
            s, &(horus_node_desc){.name = "n", .tick = takes_all, .user = &one, .rate_num = 1}));
        CHECK_OK(horus_scheduler_run(s, (int64_t)second));
        CHECK_OK(horus_scheduler_close(s));
        CHECK(one.seen != 0 && (!replay || one.seen == seen));
        seen = one.seen;
        horus_topic_close(one.in);
    }
    horus_context_close(c);
    (void)unlink(tape_path());
}

/* ---- what hashes are of */

#define INNER_FIELDS(F, A, S, N, V, W) F(u8, k) F(f64, v)
HORUS_MESSAGE(inner, "Inner", "inner", INNER_FIELDS)
#define OUTER_FIELDS(F, A, S, N, V, W)                                                             \
    N(inner, one) A(f32, many, 3) S(text, 4) W(inner, more) V(u16, tail)
HORUS_MESSAGE(outer, "Outer", "outer", OUTER_FIELDS)
TEST(a_message_is_its_fields_and_their_elements)
{
    uint8_t message[256];
    horus_outer *o = (horus_outer *)(void *)message;
    horus_inner more[2];
    const uint16_t tail[3] = {1, 2, 3};
    size_t bytes = sizeof *o;
    memset(message, 0, sizeof message);
    memset(more, 0, sizeof more);
    memcpy(o->text, "ab\0c", 4);
    REQUIRE_OK(horus_message_append(o, sizeof message, &bytes, &o->more, more, 2, sizeof *more));
    REQUIRE_OK(horus_message_append(o, sizeof message, &bytes, &o->tail, tail, 3, 2));
    const uint64_t hash = horusi_hash_message(&horus_outer_type, message, bytes);
    uint32_t count = 0;
    for (size_t i = 0; i < bytes; i++) {
        if (i >= offsetof(horus_outer, more) && i < sizeof *o)
            continue; /* where they are, and how many */
        message[i] ^= 0x40;
        count += horusi_hash_message(&horus_outer_type, message, bytes) != hash;
        message[i] ^= 0x40;
    }
    CHECK_EQ(count, 9 + 12 + 3 + 2 * 9 + 6);
    CHECK_EQ(horusi_hash_message(&horus_outer_type, message, bytes), hash);
    memcpy(o->text, "abcd", 4); /* without an end */
    const uint64_t full = horusi_hash_message(&horus_outer_type, message, bytes);
    o->text[3] = 'e';
    CHECK(horusi_hash_message(&horus_outer_type, message, bytes) != full && full != hash);
    o->tail.count = 4;
    CHECK(horusi_hash_message(&horus_outer_type, message, bytes) != full);
    o->tail.offset = 100000; /* outside: none of it is read */
    CHECK(horusi_hash_message(&horus_outer_type, message, bytes) != full);
    CHECK(horusi_hash_message(NULL, message, 8) != horusi_hash_message(NULL, message, 9));
    CHECK(horusi_hash_message(NULL, "", 1) != horusi_hash_message(NULL, "\0", 2));
    CHECK(horusi_hash_message(&horus_image_type, message, 8) !=
          horusi_hash_message(NULL, message, 8));
}
static uint64_t hash_of(const void *view, int kind)
{
    horusi_descriptor d;
    uint32_t bytes;
    const horus_tensor *t = view; /* a view begins with its frame */
    memset(&d, 0xee, sizeof d);
    REQUIRE_OK(kind == HORUS_KIND_TENSOR  ? horusi_tensor_to_wire(view, &d, &bytes)
               : kind == HORUS_KIND_IMAGE ? horusi_image_to_wire(view, &d, &bytes)
               : kind == HORUS_KIND_DEPTH ? horusi_depth_to_wire(view, &d, &bytes)
                                          : horusi_cloud_to_wire(view, &d, &bytes));
    return horusi_hash_frame(&t->frame, d.bytes, bytes);
}
TEST(a_frame_is_its_elements_wherever_they_lie)
{
    horus_context *c = join(MiB);
    horus_pool *p = pool_of(c);
    horus_tensor t[3];
    horus_image m[2];
    horus_depth z[2];
    horus_cloud w[2];
    for (int i = 0; i < 2; i++) { /* the second ones are wider: their rows are not dense */
        int64_t shape[2] = {4, i ? 9 : 5};
        REQUIRE_OK(horus_tensor_alloc(&t[i], p, HORUS_U16, 2, shape, 0));
        REQUIRE_OK(horus_image_alloc(&m[i], p, i ? 9 : 5, 4, HORUS_RGB8, 0));
        REQUIRE_OK(horus_depth_alloc(&z[i], p, i ? 9 : 5, 4, HORUS_F32, 0));
        REQUIRE_OK(horus_cloud_alloc(&w[i], p, 5, 3, HORUS_F32, 0));
        t[i].shape[1] = m[i].width_px = z[i].width_px = 5;
    }
    memset((uint8_t *)t[1].data + 10, 0x77, 8);
    memset((uint8_t *)m[1].data + 15, 0x77, 12);
    memset((uint8_t *)z[1].data + 20, 0x77, 16);
    REQUIRE_OK(horus_tensor_alloc(&t[2], p, HORUS_U16, 2, (int64_t[]){4, 10}, HORUS_UNINIT));
    memset(t[2].data, 0, 80);
    for (int64_t i = 1; i < 40; i += 2)
        ((uint16_t *)t[2].data)[i] = 9;
    t[2].shape[1] = 5;
    t[2].strides_bytes[1] = 4; /* every second */
    void *view[4][2] = {{&t[0], &t[1]}, {&m[0], &m[1]}, {&z[0], &z[1]}, {&w[0], &w[1]}};
    CHECK_EQ(hash_of(&t[2], HORUS_KIND_TENSOR), hash_of(&t[0], HORUS_KIND_TENSOR));
    for (int k = 0; k < 4; k++) {
        horus_tensor *one = view[k][0];
        const int kind = k + 1;
        const uint64_t hash = hash_of(one, kind);
        CHECK_EQ(hash_of(view[k][1], kind), hash);
        for (size_t i = 0; i < 40; i++) {
            ((uint8_t *)one->data)[i] ^= 1;
            CHECK(hash_of(one, kind) != hash);
            ((uint8_t *)one->data)[i] ^= 1;
        }
        CHECK_OK(horus_frame_set_id(&one->frame, "left"));
        CHECK(hash_of(one, kind) != hash);
        CHECK_OK(horus_frame_set_id(&one->frame, ""));
        CHECK_EQ(hash_of(one, kind), hash);
        CHECK_OK(horus_frame_set_time(&one->frame, 1));
        CHECK(hash_of(one, kind) != hash);
    }
    const uint64_t image = hash_of(&m[1], HORUS_KIND_IMAGE),
                   depth = hash_of(&z[1], HORUS_KIND_DEPTH);
    m[1].encoding = HORUS_BGR8;
    CHECK(hash_of(&m[1], HORUS_KIND_IMAGE) != image);
    z[1].scale = 2;
    CHECK(hash_of(&z[1], HORUS_KIND_DEPTH) != depth);
    for (int i = 0; i < 3; i++) {
        CHECK_OK(horus_tensor_release(&t[i]));
        if (i == 2)
            break;
        CHECK_OK(horus_image_release(&m[i]));
        CHECK_OK(horus_depth_release(&z[i]));
        CHECK_OK(horus_cloud_release(&w[i]));
    }
    horus_context_close(c);
}
/* Another thread, a forked child and whoever comes later are not recorded. */
static void *say_something(void *arg)
{
    CHECK_OK(horus_topic_send(arg, "thread", 7, 0));
    return NULL;
}
static horus_result has_company(void *user, horus_tick *t)
{
    seer *s = user;
    pthread_t other;
    (void)t;
    REQUIRE(pthread_create(&other, NULL, say_something, s->work) == 0);
    REQUIRE(pthread_join(other, NULL) == 0);
    pid_t child = fork();
    if (child == 0) {
        CHECK_RESULT(horus_topic_send(s->out, "child", 6, 0), HORUS_E_DETACHED);
        test_leave(0);
    }
    CHECK_JOIN(child);
    CHECK_OK(horus_topic_send(s->out, "node", 5, 0));
    horusi_tape_now->busy = true; /* a signal handler that comes while a call is noted */
    CHECK_OK(horus_topic_send(s->in, "handler", 8, 0));
    horusi_tape_now->busy = false;
    return HORUS_OK;
}
/* A tick that runs another recorded scheduler, and goes on. */
static horus_result say_once(void *user, horus_tick *t)
{
    (void)t;
    return horus_topic_send(((seer *)user)->work, "inner", 6, 0);
}
static horus_result runs_another(void *user, horus_tick *t)
{
    seer *s = user;
    horus_scheduler *inner;
    char path[150];
    horus_scheduler_desc d = {.name = "inner", .context = s->context, .flags = HORUS_DETERMINISTIC};
    (void)snprintf(path, sizeof path, "%s.%u", tape_path(), (unsigned)t->phase);
    *(s->prying ? &d.replay : &d.record) = path;
    CHECK_OK(horus_topic_send(s->out, "before", 7, 0));
    REQUIRE_OK(horus_scheduler_open(&inner, &d));
    REQUIRE_OK(horus_scheduler_add(
        inner, &(horus_node_desc){.name = "i", .tick = say_once, .user = s, .rate_num = 10}));
    CHECK_OK(horus_scheduler_run(inner, (int64_t)second / 2));
    CHECK_EQ(told_of(inner).outputs, 5);
    CHECK_OK(horus_scheduler_close(inner));
    CHECK_OK(horus_topic_send(s->out, "after", 6, 0));
    if (s->prying)
        (void)unlink(path);
    return HORUS_OK;
}
TEST(a_recorded_tick_may_run_another_recorded_scheduler)
{
    horus_context *c = join(MiB);
    const uint32_t tid = horusi_thread_id();
    for (int replay = 0; replay < 2; replay++) {
        seer one;
        memset(&one, 0, sizeof one);
        open_seer(&one, c);
        one.prying = replay;
        horus_scheduler *s = open_tape(c, replay);
        REQUIRE_OK(horus_scheduler_add(
            s, &(horus_node_desc){.name = "o", .tick = runs_another, .user = &one, .rate_num = 2}));
        CHECK_OK(horus_scheduler_run(s, (int64_t)second));
        CHECK_EQ(told_of(s).outputs, 2 * 2);
        CHECK_EQ(horusi_tid, tid);
        CHECK_OK(horus_scheduler_close(s));
        close_seer(&one);
    }
    horus_context_close(c);
    (void)unlink(tape_path());
}
static horus_result forks_once(void *user, horus_tick *t)
{
    pid_t *child = user;
    if (t->phase == 2 && (*child = fork()) > 0)
        CHECK_JOIN(*child);
    return HORUS_OK;
}
TEST(a_child_that_goes_on_in_the_tick_does_not_write_to_the_recording)
{
    horus_context *c = join(MiB);
    pid_t child = -1;
    const horus_node_desc node = {
        .name = "node", .tick = forks_once, .shutdown = quiet_end, .user = &child, .rate_num = 10};
    horus_scheduler *s = open_tape(c, false);
    REQUIRE_OK(horus_scheduler_add(s, &node));
    horus_result r = horus_scheduler_run(s, (int64_t)second / 2);
    if (child == 0)
        test_leave(r != HORUS_E_DETACHED);
    CHECK_OK(r);
    CHECK_EQ(told_of(s).calls, 5 + 1);
    CHECK_OK(horus_scheduler_close(s));
    s = open_tape(c, true);
    REQUIRE_OK(horus_scheduler_add(
        s,
        &(horus_node_desc){.name = "node", .tick = quiet, .shutdown = quiet_end, .rate_num = 10}));
    CHECK_OK(horus_scheduler_run(s, HORUS_FOREVER));
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
    (void)unlink(tape_path());
}
/* Memory of one process is the child's own, and so is its scheduler; the file is not. */
TEST(a_child_with_private_memory_does_not_write_to_its_parents_recording)
{
    horus_context *c;
    REQUIRE_OK(horus_context_open(&c, &(horus_context_desc){.flags = HORUS_PRIVATE}));
    const horus_node_desc node = {
        .name = "node", .tick = quiet, .shutdown = quiet_end, .rate_num = 10};
    horus_scheduler *s = open_tape(c, false);
    REQUIRE_OK(horus_scheduler_add(s, &node));
    CHECK_OK(horus_scheduler_run(s, (int64_t)second / 2));
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        CHECK_RESULT(horus_scheduler_run(s, (int64_t)second / 2), HORUS_E_DETACHED);
        CHECK_TEXT(horus_last_error(), "the file is that of another process");
        CHECK_OK(horus_scheduler_close(s));
        test_leave(atomic_load(&board->failures) != 0);
    }
    CHECK_JOIN(child);
    CHECK_OK(horus_scheduler_run(s, (int64_t)second / 2)); /* it goes on in the parent */
    CHECK_EQ(told_of(s).calls, 2 * (5 + 1));
    CHECK_OK(horus_scheduler_close(s));
    s = open_tape(c, true);
    REQUIRE_OK(horus_scheduler_add(s, &node));
    for (int run = 0; run < 2; run++)
        CHECK_OK(horus_scheduler_run(s, HORUS_FOREVER));
    CHECK_EQ(told_of(s).calls, 2 * (5 + 1));
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
    (void)unlink(tape_path());
}
TEST(only_the_calls_of_the_tick_are_recorded)
{
    horus_context *c = join(MiB);
    seer one;
    memset(&one, 0, sizeof one);
    open_seer(&one, c);
    CHECK_OK(horus_topic_send(one.out, "before", 7, 0));
    uint32_t tid = horusi_tid;
    horus_scheduler *s = open_tape(c, false);
    REQUIRE_OK(horus_scheduler_add(
        s, &(horus_node_desc){.name = "node", .tick = has_company, .user = &one, .rate_num = 10}));
    CHECK_OK(horus_scheduler_run(s, (int64_t)second / 2));
    horus_recording told = told_of(s);
    CHECK_EQ(told.calls, 5);
    CHECK_EQ(told.outputs, 5);
    CHECK_EQ(told.inputs, 0);
    CHECK_EQ(horusi_tid, tid);
    CHECK_OK(horus_topic_send(one.out, "after", 6, 0));
    CHECK_EQ(told_of(s).outputs, 5);
    close_seer(&one);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
    (void)unlink(tape_path());
}
