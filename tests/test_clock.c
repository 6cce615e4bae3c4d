/* The wall clock is set back an hour and on a year while a scheduler runs and a topic is waited for: nothing
 * of it may be seen. It is set for this program alone, by standing between horus.h and the C library. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>
static _Atomic int64_t wall_step_s;
static _Atomic uint32_t wall_asked;
static int stepped_gettime(clockid_t clock, struct timespec *t)
{
    int r = clock_gettime(clock, t);
    if (clock != CLOCK_MONOTONIC) {
        t->tv_sec += (time_t)atomic_load(&wall_step_s);
        atomic_fetch_add(&wall_asked, 1);
    }
    return r;
}
/* An absolute sleep on the wall clock would last as long as that clock says. */
static int stepped_nanosleep(clockid_t clock, int flags, const struct timespec *t,
                             struct timespec *left)
{
    struct timespec until = *t;
    if (clock != CLOCK_MONOTONIC && (flags & TIMER_ABSTIME)) {
        until.tv_sec -= (time_t)atomic_load(&wall_step_s);
        atomic_fetch_add(&wall_asked, 1);
    }
    return clock_nanosleep(clock, flags, &until, left);
}
#define clock_gettime stepped_gettime
#define clock_nanosleep stepped_nanosleep
#define HORUS_IMPLEMENTATION
#include "../horus.h"
#include "test.h"

static const uint64_t ms = 1000000;
static const int64_t steps[] = {-3600, 31536000, 0};
static uint64_t ticks;
static horus_result steps_the_clock(void *user, horus_tick *t)
{
    (void)user;
    ticks++;
    if (t->phase % 20 == 10)
        atomic_store(&wall_step_s, steps[t->phase / 20 % 3]);
    return HORUS_OK;
}
TEST(a_wall_clock_that_is_set_is_not_seen)
{
    horus_context *c = join(8 * MiB);
    horus_scheduler *s;
    horus_topic *t;
    horus_node_stats n;
    uint64_t before = horus_now_ns();
    REQUIRE_OK(horus_scheduler_open(
        &s, &(horus_scheduler_desc){.name = "stepped", .context = c, .watchdog_ns = 1000000}));
    REQUIRE_OK(horus_scheduler_add(s, &(horus_node_desc){.name = "n",
                                                         .tick = steps_the_clock,
                                                         .rate_num = 1000,
                                                         .budget_ns = 10000000000,
                                                         .deadline_ns = 10000000000}));
    CHECK_OK(horus_scheduler_run(s, (int64_t)(200 * ms)));
    CHECK_OK(horus_scheduler_get_stats(s, &(horus_scheduler_stats){0}, &n, 1, NULL));
    CHECK_EQ(n.ticks + n.skipped, 200);
    CHECK_EQ(n.ticks, ticks);
    CHECK_EQ(n.budget_misses + n.deadline_misses + n.watchdog_misses, 0);
    CHECK(n.spread[HORUS_SPREAD_RUN].max_ns < 10000 * ms &&
          n.spread[HORUS_SPREAD_WAKE].max_ns < 10000 * ms);
    CHECK_OK(horus_scheduler_close(s));
    atomic_store(&wall_step_s, -3600);
    REQUIRE_OK(horus_topic_open(&t, "never", &(horus_topic_desc){.context = c}));
    CHECK_RESULT(horus_topic_wait(t, (int64_t)(10 * ms)), HORUS_TIMEOUT);
    horus_topic_close(t);
    CHECK(horus_now_ns() - before < 20000 * ms);
    CHECK_EQ(atomic_load(&wall_asked), 0);
    struct timespec now; /* that it would have been seen */
    (void)clock_gettime(CLOCK_REALTIME, &now);
    CHECK_EQ(atomic_load(&wall_asked), 1);
    CHECK((int64_t)now.tv_sec < (int64_t)time(NULL) - 3000);
    horus_context_close(c);
}
