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
