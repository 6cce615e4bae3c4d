/* The scheduler: phases, order, overruns, misses, failures and their statistics. What counts is run on
 * a clock of the test's own, so that nothing depends on the machine; what needs real time asserts
 * counts and order, never how fast. */
static unsigned long long heap_calls;
#define HORUS_MALLOC(n) (heap_calls++, calloc(1, n))
#define HORUS_FREE(p) (heap_calls++, free(p))
#define HORUS_IMPLEMENTATION
#include "../horus.h"
#include "test.h"
#include <sys/resource.h>
#include <pthread.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

/* ---- a clock that the test moves */

typedef struct fake {
    uint64_t now;
    uint64_t oversleep;             /* each sleep ends so much later */
    uint64_t sleeps, jump_at, jump; /* the sleep with this number ends later still */
} fake;
static uint64_t fake_now(void *user) { return ((fake *)user)->now; }
static void fake_sleep(void *user, uint64_t ns)
{
    fake *f = user;
    if (ns > f->now)
        f->now = ns;
    f->now += f->oversleep;
    if (++f->sleeps == f->jump_at)
        f->now += f->jump;
}
static const uint64_t ms = 1000000, second = 1000000000;

/* A node that remembers. */
enum { KEPT = 4096 };
typedef struct probe {
    fake *clock;
    uint64_t cost;          /* each tick moves the clock so far */
    uint64_t slow_at, slow; /* the tick of this count costs that instead */
    uint64_t slow_times;    /* and so many after it */
    uint64_t ticks, inits, shutdowns, safes, start;
    uint64_t phase[KEPT], due[KEPT], now[KEPT], skipped[KEPT];
    horus_result result, init_result, shutdown_result;
    uint64_t fail_at, fail_times;    /* ticks that return result */
    uint64_t slow_every, fail_every; /* or each such tick; 0: none */
    uint64_t init_fails;             /* so many inits return init_result; 0: all, if it is not OK */
    uint64_t stop_at;                /* stop the scheduler in this tick; 0: never */
    int id;
    bool safe[KEPT];
    uint64_t init_cost, shutdown_cost, safe_cost; /* as cost, of the other callbacks */
} probe;
static int order_log[4096]; /* ids of what ran: n, init n + 100, shutdown n + 200 */
static _Atomic unsigned order_count;
static void note_order(int what)
{
    unsigned at = atomic_fetch_add(&order_count, 1);
    if (at < sizeof order_log / sizeof *order_log)
        order_log[at] = what;
}
static horus_result probe_tick(void *user, horus_tick *t)
{
    probe *p = user;
    uint64_t i = p->ticks++ % KEPT, cost = p->cost;
    p->phase[i] = t->phase;
    p->start = t->start_ns;
    p->due[i] = t->due_ns;
    p->now[i] = t->now_ns;
    p->skipped[i] = t->skipped;
    p->safe[i] = t->safe;
    note_order(p->id);
    if (t->count >= p->slow_at && t->count <= p->slow_at + p->slow_times && p->slow)
        cost = p->slow;
    if (p->slow_every && t->count % p->slow_every == 0)
        cost = p->slow;
    if (p->clock)
        p->clock->now += cost;
    if (p->stop_at && p->ticks == p->stop_at)
        horus_scheduler_stop(t->scheduler);
    if (p->fail_every && t->count % p->fail_every == 0)
        return p->result;
    return t->count >= p->fail_at && t->count < p->fail_at + p->fail_times ? p->result : HORUS_OK;
}
static horus_result probe_init(void *user)
{
    probe *p = user;
    note_order(p->id + 100);
    p->inits++;
    if (p->clock)
        p->clock->now += p->init_cost;
    return p->init_fails == 0 || p->inits <= p->init_fails ? p->init_result : HORUS_OK;
}
static horus_result probe_shutdown(void *user)
{
    probe *p = user;
    note_order(p->id + 200);
    p->shutdowns++;
    if (p->clock)
        p->clock->now += p->shutdown_cost;
    return p->shutdown_result;
}
static void probe_safe(void *user)
{
    probe *p = user;
    p->safes++;
    if (p->clock)
        p->clock->now += p->safe_cost;
}

static horus_scheduler *open_with(horus_context *c, fake *f, horus_scheduler_desc d)
{
    horus_scheduler *s;
    horus_time_source source = {fake_now, fake_sleep, f};
    d.context = c;
    d.name = d.name ? d.name : "test";
    d.clock = f ? &source : NULL;
    REQUIRE_OK(horus_scheduler_open(&s, &d));
    return s;
}
static void add_probe(horus_scheduler *s, probe *p, horus_node_desc d)
{
    d.tick = d.tick ? d.tick : probe_tick;
    d.init = probe_init;
    d.shutdown = probe_shutdown;
    d.safe_state = probe_safe;
    d.user = p;
    REQUIRE_OK(horus_scheduler_add(s, &d));
}
static horus_node_stats stats_at(horus_scheduler *s, uint32_t i)
{
    horus_scheduler_stats all;
    horus_node_stats n[64];
    size_t count;
    memset(n, 0, sizeof n);
    CHECK_OK(horus_scheduler_get_stats(s, &all, n, 64, &count));
    CHECK(count > i);
    return n[i];
}
/* floor(k * 10^9 * den / num), in pieces that 64 bits hold. */
static uint64_t due_of(uint64_t k, uint64_t num, uint64_t den)
{
    uint64_t d = 1000000000u * den, turns = k / num, rest = k % num;
    return turns * d + rest * (d / num) + rest * (d % num) / num;
}
/* Ticks with due times in [start, start + span): what the phases imply. */
static uint64_t implied(uint64_t num, uint64_t den, uint64_t span)
{
    uint64_t k = (uint64_t)((double)span * (double)num / 1e9 / (double)den); /* near it */
    k = k > 2 ? k - 2 : 0;
    while (due_of(k, num, den) < span)
        k++;
    return k;
}

/* ---- phases */

TEST(rates_that_do_not_divide_one_another_keep_exact_counts)
{
    static const uint32_t hz[] = {1000, 700, 400, 60, 30, 7, 999983};
    horus_context *c = join(8 * MiB);
    fake f = {.now = 123456789};
    probe *p = calloc(7, sizeof *p);
    horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){0});
    for (int i = 0; i < 5; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "n%u", hz[i]);
        p[i].clock = &f;
        add_probe(s, &p[i], (horus_node_desc){.name = name, .rate_num = hz[i]});
    }
    CHECK_OK(horus_scheduler_run(s, (int64_t)(60 * second)));
    for (uint32_t i = 0; i < 5; i++) {
        CHECK_EQ(p[i].ticks, hz[i] * 60);
        CHECK_EQ(stats_at(s, i).ticks, hz[i] * 60);
        CHECK_EQ(stats_at(s, i).skipped, 0);
        CHECK_EQ(stats_at(s, i).overruns, 0);
        for (uint64_t k = 0; k < p[i].ticks && k < KEPT; k++) { /* the last that are kept */
            uint64_t at = p[i].phase[k];
            CHECK_EQ(p[i].due[k] - 123456789, at * second / hz[i]);
            CHECK_EQ(p[i].now[k], p[i].due[k]);
        }
    }
    CHECK_EQ(f.now, 123456789 + 60 * second);
    CHECK_OK(horus_scheduler_close(s));
    free(p);
    horus_context_close(c);
}
TEST(each_rate_is_exact_for_years)
{
    static const struct {
        uint32_t num, den;
    } rate[] = {{60, 1},     {700, 1}, {30000, 1001}, {1, 3}, {999983, 1}, {4294967291u, 4294967},
                {1, 1000000}};
    for (size_t r = 0; r < sizeof rate / sizeof *rate; r++) {
        horusi_node n = {.num = rate[r].num, .den = rate[r].den};
        horusi_node_block block = {.name = "x"};
        horus_scheduler s = {.name = "x"};
        n.block = &block;
        n.scheduler = &s;
        n.whole = 1000000000ull * n.den / n.num;
        n.step = 1000000000ull * n.den % n.num;
        uint64_t due = 77;
        rng_state = r + 1;
        for (int i = 0; i < 20000; i++) { /* by ones and by leaps */
            uint64_t before = due, phase = n.phase, by = rng() % 8 == 0 ? rng() : 1;
            due = horusi_later(&n, due, by);
            CHECK_EQ(n.phase, phase + by);
            if ((double)n.phase * 1e9 * n.den / n.num > 1.8e19) /* five hundred years */
                break;
            CHECK_EQ(due, 77 + due_of(n.phase, n.num, n.den));
            CHECK(due > before);
            /* leaping forward to a time lands on the newest that is due then, or the next one */
            horusi_node m = n, o = n;
            uint64_t now = due + (uint64_t)rng() * (rng() % 1000);
            uint64_t newest = horusi_skip_to_newest(&m, due, now);
            CHECK(newest <= now && horusi_later(&m, newest, 1) > now);
            uint64_t next = horusi_skip_to(&o, due, now);
            CHECK(next >= now);
            CHECK_EQ(next - 77, due_of(o.phase, o.num, o.den));
            CHECK(o.phase == n.phase || due_of(o.phase - 1, o.num, o.den) + 77 < now);
        }
    }
}
TEST(a_double_is_the_fraction_it_stands_for)
{
    static const struct {
        double hz;
        uint32_t num, den;
    } want[] = {{30, 30, 1},
                {59.94, 2997, 50},
                {29.97, 2997, 100},
                {0.1, 1, 10},
                {1.0 / 3, 1, 3},
                {1e6, 1000000, 1},
                {1e-6, 1, 1000000},
                {1000.5, 2001, 2},
                {60000.0 / 1001, 60000, 1001},
                {0.001, 1, 1000},
                {123.456, 15432, 125},
                {30 + 1.0 / (1ull << 40), 30, 1}}; /* the next number would be too large */
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        uint32_t num = 0, den = 0;
        horusi_fraction(want[i].hz, &num, &den);
        CHECK_EQ(num, want[i].num);
        CHECK_EQ(den, want[i].den);
    }
    for (int i = 0; i < 100000; i++) { /* whatever it is, the fraction is that close */
        double x = 1e-6 + (double)rng() * (double)rng() / 281474976710656.0 * 1e6;
        uint32_t num, den;
        horusi_fraction(x, &num, &den);
        double off = (double)num / (double)den / x - 1;
        CHECK(den > 0 && off < 1e-9 && off > -1e-9);
    }
    for (int i = 0; i < 10000; i++) { /* low ones, and those beside a fraction */
        uint32_t k = i < 5000 ? 0 : 65536 + (uint32_t)i, num, den;
        double x = k ? 1.0 / k : 1e-6 + (double)rng() / 16777216.0 * 1e-5;
        x += k ? x * (i % 2 ? 1.0 : -1.0) / (1ull << 53) : 0;
        horusi_fraction(x, &num, &den);
        double off = (double)num / (double)den / x - 1;
        CHECK(den > 0 && off < 1e-9 && off > -1e-9);
    }
}
TEST(nodes_tick_by_order_and_then_as_they_were_added)
{
    horus_context *c = join(8 * MiB);
    fake f = {.now = second};
    static probe p[5];
    static const int order[] = {5, -1, 5, 0, -1}, want[] = {1, 4, 3, 0, 2};
    horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){0});
    for (int i = 0; i < 5; i++) {
        char name[8];
        (void)snprintf(name, sizeof name, "n%d", i);
        p[i].id = i;
        p[i].clock = &f;
        p[i].cost = 10000;
        add_probe(s, &p[i], (horus_node_desc){.name = name, .rate_num = 100, .order = order[i]});
    }
    CHECK_OK(horus_scheduler_run(s, (int64_t)(30 * ms)));
    REQUIRE(order_count == 5 + 15 + 5);
    for (unsigned i = 0; i < 5; i++) {
        CHECK_EQ(order_log[i], want[i] + 100);
        for (unsigned k = 0; k < 3; k++)
            CHECK_EQ(order_log[5 + 5 * k + i], want[i]);
        CHECK_EQ(order_log[20 + i], want[4 - i] + 200); /* the reverse */
    }
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}
/* A second run begins the phases anew and goes on counting; nodes may be added between. */
TEST(a_scheduler_runs_again)
{
    horus_context *c = join(8 * MiB);
    fake f = {.now = 0};
    static probe p[2];
    horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){0});
    p[0].clock = p[1].clock = &f;
    add_probe(s, &p[0], (horus_node_desc){.name = "one", .rate_num = 1000});
    CHECK_OK(horus_scheduler_run(s, (int64_t)(10 * ms)));
    add_probe(s, &p[1], (horus_node_desc){.name = "two", .rate_num = 500, .order = -1});
    CHECK_OK(horus_scheduler_run(s, (int64_t)(10 * ms)));
    CHECK_OK(horus_scheduler_run(s, 0));
    CHECK_EQ(p[0].ticks, 20);
    CHECK_EQ(p[0].phase[10], 0);
    CHECK_EQ(p[0].due[10], 10 * ms);
    CHECK_EQ(p[1].ticks, 5);
    CHECK_EQ(p[0].inits, 3);
    CHECK_EQ(p[0].shutdowns, 3);
    CHECK_EQ(stats_at(s, 0).ticks, 20);
    CHECK_EQ(stats_at(s, 1).ticks, 5);
    CHECK_TEXT(stats_at(s, 1).name, "two");
    CHECK_OK(horus_scheduler_close(s));
    check_balanced(pool_of(c)); /* the figures stay, as messages do, until their memory is needed */
    horus_context_close(c);
}

/* ---- overruns */

/* One tick takes n and a half periods of 10 ms, under each policy. */
TEST(an_overrun_of_n_periods_under_each_policy)
{
    static const uint64_t n[] = {1, 2, 10};
    horus_context *c = join(8 * MiB);
    for (int k = 0; k < 3; k++)
        for (int policy = 0; policy < 3; policy++) {
            fake f = {.now = 1000};
            static probe p, other;
            memset(&p, 0, sizeof p);
            memset(&other, 0, sizeof other);
            p.clock = other.clock = &f;
            p.cost = ms;
            p.slow_at = 3;
            p.slow = n[k] * 10 * ms + 5 * ms;
            horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){0});
            add_probe(s, &p,
                      (horus_node_desc){
                          .name = "slow", .rate_num = 100, .overrun = (horus_overrun)policy});
            add_probe(s, &other, (horus_node_desc){.name = "other", .rate_num = 50, .order = 1});
            CHECK_OK(horus_scheduler_run(s, (int64_t)second));
            horus_node_stats st = stats_at(s, 0);
            CHECK_EQ(st.ticks + st.skipped, 100);
            CHECK_EQ(st.ticks, p.ticks);
            if (policy == HORUS_OVERRUN_CATCH_UP) {
                CHECK_EQ(st.skipped, 0);
                for (uint64_t i = 0; i < 100; i++)
                    CHECK_EQ(p.phase[i], i);
                /* late ones follow one another, a tick's time apart, until it has caught up */
                CHECK_EQ(p.now[4], 1000 + 30 * ms + p.slow);
                CHECK_EQ(p.now[5], n[k] > 1 ? p.now[4] + ms : p.due[5]);
                CHECK_EQ(p.now[40], p.due[40]);
            } else if (policy == HORUS_OVERRUN_SKIP_TO_PHASE) {
                CHECK_EQ(st.skipped, n[k]);
                CHECK_EQ(st.overruns, 1);
                CHECK_EQ(p.phase[4], 3 + n[k] + 1);
                CHECK_EQ(p.skipped[4], n[k]);
                CHECK_EQ(p.skipped[5], 0);
            } else {
                CHECK_EQ(st.skipped, n[k] + 1); /* the next phase is only half a period off */
                CHECK_EQ(p.phase[4], 3 + n[k] + 2);
            }
            for (uint64_t i = 0; i < p.ticks; i++) { /* the phase is never lost */
                CHECK_EQ(p.due[i], 1000 + p.phase[i] * 10 * ms);
                if (policy != HORUS_OVERRUN_CATCH_UP)
                    CHECK(p.now[i] < p.due[i] + 10 * ms);
            }
            /* the other node loses what passed meanwhile but the newest, and is on its phase again */
            st = stats_at(s, 1);
            CHECK_EQ(st.ticks + st.skipped, 50);
            uint64_t passed = (35 + 10 * n[k]) / 20 - 1; /* 40 ms, 60 ms and so on */
            CHECK_EQ(st.skipped, passed - 1);
            CHECK_EQ(other.now[other.ticks - 1], other.due[other.ticks - 1] + ms);
            CHECK_OK(horus_scheduler_close(s));
        }
    horus_context_close(c);
}
TEST(a_minimum_gap_is_kept_after_an_overrun)
{
    horus_context *c = join(8 * MiB);
    fake f = {.now = 5};
    static probe p;
    p.clock = &f;
    p.slow = 12 * ms;
    p.slow_at = 2;
    p.slow_times = 1;
    horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){0});
    add_probe(s, &p,
              (horus_node_desc){.name = "slow",
                                .rate_num = 100,
                                .overrun = HORUS_OVERRUN_MIN_GAP,
                                .min_gap_ns = 25000000});
    CHECK_OK(horus_scheduler_run(s, (int64_t)(200 * ms)));
    CHECK_EQ(p.due[2], 5 + 20 * ms); /* ends at 32; 57 is the soonest, 60 the phase; ends at 72 */
    CHECK_EQ(p.due[3], 5 + 60 * ms);
    CHECK_EQ(p.due[4], 5 + 100 * ms);
    CHECK_EQ(p.due[5], 5 + 110 * ms);
    CHECK_EQ(p.ticks + stats_at(s, 0).skipped, 20);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}
/* A node that always takes longer than its period ticks at every second phase, and takes no other's
 * turn; a minimum of ticks are left out where it catches up at the end. */
TEST(a_node_that_is_always_slow_does_not_stop_others)
{
    horus_context *c = join(8 * MiB);
    for (int policy = 0; policy < 3; policy++) {
        fake f = {.now = 1};
        static probe p, q;
        memset(&p, 0, sizeof p);
        memset(&q, 0, sizeof q);
        p.clock = q.clock = &f;
        p.cost = 15 * ms;
        horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){0});
        add_probe(
            s, &p,
            (horus_node_desc){.name = "slow", .rate_num = 100, .overrun = (horus_overrun)policy});
        add_probe(s, &q, (horus_node_desc){.name = "quick", .rate_num = 50});
        CHECK_OK(horus_scheduler_run(s, (int64_t)second));
        CHECK_EQ(stats_at(s, 0).ticks + stats_at(s, 0).skipped, 100);
        CHECK_EQ(stats_at(s, 1).ticks + stats_at(s, 1).skipped, 50);
        CHECK(q.ticks >= 33 && (policy == HORUS_OVERRUN_CATCH_UP || q.ticks == 50));
        CHECK_EQ(p.ticks, policy == HORUS_OVERRUN_SKIP_TO_PHASE ? 50
                          : policy == HORUS_OVERRUN_MIN_GAP     ? 34
                                                                : p.ticks);
        CHECK(policy != HORUS_OVERRUN_CATCH_UP || (p.ticks >= 66 && p.ticks < 80));
        CHECK_OK(horus_scheduler_close(s));
    }
    horus_context_close(c);
}
TEST(catching_up_ends_a_period_after_the_run)
{
    horus_context *c = join(8 * MiB);
    static const uint32_t hz[] = {100, 1000, 2};
    for (int i = 0; i < 3; i++) {
        fake f = {.now = 1};
        static probe p;
        const uint64_t period = second / hz[i];
        memset(&p, 0, sizeof p);
        p.clock = &f;
        p.cost = period / 4;
        p.slow_at = 5;
        p.slow = 12 * period; /* some are still behind at the end */
        horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){0});
        add_probe(s, &p,
                  (horus_node_desc){
                      .name = "slow", .rate_num = hz[i], .overrun = HORUS_OVERRUN_CATCH_UP});
        CHECK_OK(horus_scheduler_run(s, (int64_t)(18 * period)));
        /* ends at 17 periods; 4 a period from then on: 6 to 13 until a period after the end, and 17 */
        CHECK_EQ(stats_at(s, 0).ticks + stats_at(s, 0).skipped, 18);
        CHECK_EQ(f.now - 1, (hz[i] == 2 ? 18 : 19) * period + period / 4);
        CHECK_EQ(p.phase[p.ticks - 1], hz[i] == 2 ? 10 : 17);
        CHECK_EQ(stats_at(s, 0).skipped, hz[i] == 2 ? 7 : 3);
        CHECK_OK(horus_scheduler_close(s));
    }
    horus_context_close(c);
}
TEST(a_stall_and_late_wake_ups_lose_no_phase)
{
    horus_context *c = join(8 * MiB);
    fake f = {.now = second, .jump_at = 500, .jump = 10 * ms, .oversleep = 60000};
    static probe p, q;
    p.clock = q.clock = &f;
    horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){0});
    add_probe(s, &p, (horus_node_desc){.name = "skip", .rate_num = 1000});
    add_probe(
        s, &q,
        (horus_node_desc){.name = "catch", .rate_num = 1000, .overrun = HORUS_OVERRUN_CATCH_UP});
    CHECK_OK(horus_scheduler_run(s, (int64_t)(2 * second)));
    CHECK_EQ(p.ticks, 2000 - 10);
    CHECK_EQ(stats_at(s, 0).skipped, 10);
    CHECK_EQ(q.ticks, 2000);
    for (uint64_t i = 0; i < p.ticks; i++)
        CHECK_EQ(p.due[i], second + p.phase[i] * ms);
    for (uint64_t i = 0; i < q.ticks; i++)
        CHECK_EQ(q.phase[i], i);
    CHECK_EQ(stats_at(s, 0).spread[HORUS_SPREAD_WAKE].count, p.ticks);
    CHECK_EQ(stats_at(s, 1).spread[HORUS_SPREAD_WAKE].max_ns, 10 * ms + 60000);
    CHECK_OK(horus_scheduler_close(s));
    /* years in one step: no loop over each phase, and the count is exact */
    fake g = {.now = second, .jump_at = 3, .jump = 100000000 * second};
    memset(&p, 0, sizeof p);
    p.clock = &g;
    s = open_with(c, &g, (horus_scheduler_desc){0});
    add_probe(s, &p, (horus_node_desc){.name = "skip", .rate_num = 700});
    CHECK_OK(horus_scheduler_run(s, (int64_t)(100000010 * second)));
    CHECK_EQ(p.ticks + stats_at(s, 0).skipped, 70000007000);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}
/* A clock that goes back, which CLOCK_MONOTONIC does not: nothing ticks twice, nothing ends. */
TEST(a_clock_that_goes_back_repeats_nothing)
{
    horus_context *c = join(8 * MiB);
    fake f = {.now = 100 * second, .jump_at = 50, .jump = (uint64_t)0 - 20 * ms};
    static probe p;
    p.clock = &f;
    horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){0});
    add_probe(s, &p, (horus_node_desc){.name = "n", .rate_num = 1000});
    CHECK_OK(horus_scheduler_run(s, (int64_t)second));
    CHECK_EQ(p.ticks, 1000);
    CHECK_EQ(stats_at(s, 0).skipped, 0);
    for (uint64_t i = 0; i < p.ticks; i++)
        CHECK_EQ(p.phase[i], i);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}
/* On the real clock: rates together, whatever the machine does beside. */
TEST(real_rates_count_every_phase)
{
    const char *limit =
        getenv("HORUS_TEST_SECONDS"); /* a minute if there is time: 3600 ticks at 60 Hz */
    const bool large = getenv("LARGE") != NULL && limit && atoi(limit) >= 120;
    const uint64_t span = large ? 60 * second : 1500 * ms;
    static const uint32_t hz[] = {1000, 700, 400, 60, 30};
    horus_context *c = join(8 * MiB);
    static probe p[5];
    horus_scheduler *s = open_with(c, NULL, (horus_scheduler_desc){0});
    for (int i = 0; i < 5; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "n%u", hz[i]);
        add_probe(s, &p[i], (horus_node_desc){.name = name, .rate_hz = hz[i]});
    }
    CHECK_OK(horus_scheduler_run(s, (int64_t)span));
    for (uint32_t i = 0; i < 5; i++) {
        horus_node_stats st = stats_at(s, i);
        CHECK_EQ(st.ticks, p[i].ticks);
        CHECK_EQ(st.ticks + st.skipped, implied(hz[i], 1, span));
        CHECK(!large || st.ticks + st.skipped == 60 * hz[i]);
        CHECK_TIMELY(st.ticks > 10);
        for (uint64_t k = 0; k < p[i].ticks && k < KEPT; k++) { /* the newest */
            CHECK_EQ(p[i].due[k] - p[i].start, p[i].phase[k] * second / hz[i]);
            CHECK(p[i].now[k] >= p[i].due[k]);
        }
    }
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}

/* ---- what the loop asks of the system: from tick 100 to tick 1100 it only sleeps */
static horus_result asks_between(void *user, horus_tick *t)
{
    uint64_t *before = user;
    if (t->phase == 100 || (t->phase >= 1100 && *before)) { /* it may be left out */
        (void)syscall(SYS_getppid);
        if (t->phase >= 1100) {
            CHECK_EQ(heap_calls, *before);
            *before = 0;
        } else
            *before = heap_calls;
    }
    return HORUS_OK;
}
static void run_traced(void *arg)
{
    static probe p;
    uint64_t before = 0;
    (void)arg;
    horus_context *c = join(8 * MiB);
    horus_scheduler *s =
        open_with(c, NULL, (horus_scheduler_desc){.flags = HORUS_SIGNALS, .blackbox_bytes = 65536});
    add_probe(s, &p, (horus_node_desc){.name = "beside", .rate_num = 700, .budget_ns = 1});
    REQUIRE_OK(horus_scheduler_add(s, &(horus_node_desc){.name = "asks",
                                                         .tick = asks_between,
                                                         .user = &before,
                                                         .rate_num = 1000,
                                                         .overrun = HORUS_OVERRUN_CATCH_UP}));
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        test_leave(3);
    (void)raise(SIGSTOP);
    CHECK_OK(horus_scheduler_run(s, (int64_t)(1150 * ms)));
    CHECK(p.ticks > 500 && stats_at(s, 0).budget_misses > 0);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}
TEST(between_its_sleeps_the_loop_asks_for_nothing)
{
    uint64_t marks = 0, sleeps = 0, others = 0;
    int status, last = 0;
    if (TEST_SANITIZED || TEST_EMULATED)
        SKIP("a sanitizer or emulator has calls of its own");
    pid_t child = test_fork(run_traced, NULL);
    REQUIRE(waitpid(child, &status, 0) == child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 3)
        SKIP("no ptrace here");
    REQUIRE(WIFSTOPPED(status));
    (void)ptrace(PTRACE_SETOPTIONS, child, NULL,
                 (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL));
    for (int signal = 0; ptrace(PTRACE_SYSCALL, child, NULL, (void *)(intptr_t)signal) == 0;) {
        if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
            break;
        signal = WSTOPSIG(status) == (SIGTRAP | 0x80) ? 0 : WSTOPSIG(status);
        struct __ptrace_syscall_info info;
        memset(&info, 0, sizeof info);
        if (signal || ptrace(PTRACE_GET_SYSCALL_INFO, child, (void *)sizeof info, &info) <= 0 ||
            info.op != PTRACE_SYSCALL_INFO_ENTRY)
            continue;
        uint64_t number = info.entry.nr;
        marks += number == SYS_getppid;
        if (marks != 1 || number == SYS_getppid)
            continue;
        bool sleeps_now = number == SYS_clock_nanosleep;
#ifdef SYS_clock_nanosleep_time64
        sleeps_now = sleeps_now || number == SYS_clock_nanosleep_time64;
#endif
        sleeps += sleeps_now;
        if (!sleeps_now && number != SYS_clock_gettime) { /* where the kernel lends no clock */
            others++;
            last = (int)number;
        }
    }
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK_EQ(marks, 2);
    CHECK(sleeps > 10 && sleeps <= 2000);
    if (!CHECK_EQ(others, 0))
        fprintf(stderr, "the last of them: %d\n", last);
}

/* ---- beginning and end */

TEST(a_node_whose_init_failed_is_left_out_and_not_shut_down)
{
    horus_context *c = join(8 * MiB);
    fake f = {.now = 1};
    static probe p[4];
    horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){0});
    static const char *const name[] = {"a", "b", "c", "d"};
    for (int i = 0; i < 4; i++) {
        p[i].id = i;
        add_probe(
            s, &p[i],
            (horus_node_desc){.name = name[i],
                              .rate_num = 100,
                              .on_failure = i == 2 ? HORUS_FAILURE_IGNORE : HORUS_FAILURE_LOG});
    }
    p[1].init_result = HORUS_E_SYSTEM;
    p[2].init_result = HORUS_E_NOT_FOUND;
    p[3].shutdown_result = HORUS_E_SYSTEM; /* does not keep the others from theirs */
    CHECK_OK(horus_scheduler_run(s, (int64_t)(20 * ms)));
    static const int want[] = {100, 101, 102, 103, 0, 3, 0, 3, 203, 200};
    CHECK_EQ(order_count, 10);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(order_log[i], want[i]);
    CHECK_EQ(stats_at(s, 1).state, HORUS_NODE_FAILED);
    CHECK_EQ(stats_at(s, 1).failures, 1);
    CHECK_EQ(stats_at(s, 1).skipped, 2); /* it was due, all the same */
    CHECK_EQ(stats_at(s, 3).failures, 1);
    CHECK_EQ(stats_at(s, 3).state, HORUS_NODE_IDLE);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}
TEST(a_fatal_init_ends_the_run_before_any_tick)
{
    horus_context *c = join(8 * MiB);
    fake f = {.now = 1};
    static probe p[3];
    horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){0});
    for (int i = 0; i < 3; i++) {
        p[i].id = i;
        add_probe(
            s, &p[i],
            (horus_node_desc){.name = i == 0   ? "a"
                                      : i == 1 ? "motor"
                                               : "c",
                              .on_failure = i == 1 ? HORUS_FAILURE_FATAL : HORUS_FAILURE_LOG});
    }
    p[1].init_result = HORUS_E_NOT_FOUND;
    CHECK_RESULT(horus_scheduler_run(s, HORUS_FOREVER), HORUS_E_NOT_FOUND);
    CHECK_TEXT(horus_last_error(), "motor");
    CHECK_TEXT(horus_last_error(), "init");
    CHECK_EQ(order_count, 3); /* two inits, one shutdown */
    CHECK_EQ(order_log[2], 200);
    horus_scheduler_stats st;
    CHECK_OK(horus_scheduler_get_stats(s, &st, NULL, 0, NULL));
    CHECK_EQ(st.end, HORUS_END_FAILURE);
    CHECK(!st.running);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}
TEST(stop_from_a_tick_ends_the_pass)
{
    horus_context *c = join(8 * MiB);
    fake f = {.now = 1};
    static probe p, q;
    p.stop_at = 3;
    horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){0});
    add_probe(s, &p, (horus_node_desc){.name = "a", .rate_num = 100});
    add_probe(s, &q, (horus_node_desc){.name = "b", .rate_num = 100});
    CHECK_OK(horus_scheduler_run(s, HORUS_FOREVER));
    CHECK_EQ(p.ticks, 3);
    CHECK_EQ(q.ticks, 2);
    CHECK_EQ(stats_at(s, 1).skipped, 1); /* told, not silent */
    CHECK_EQ(f.now, 1 + 20 * ms);
    CHECK_EQ(p.shutdowns + q.shutdowns, 2);
    /* before run: the next one ends at once, and the one after it runs */
    horus_scheduler_stop(s);
    CHECK_OK(horus_scheduler_run(s, HORUS_FOREVER));
    CHECK_EQ(p.ticks, 3);
    CHECK_EQ(p.inits, 2);
    CHECK_EQ(p.shutdowns, 2);
    p.stop_at = 5;
    CHECK_OK(horus_scheduler_run(s, HORUS_FOREVER));
    CHECK_EQ(p.ticks, 5);
    horus_scheduler_stop(NULL);
    CHECK_OK(horus_scheduler_close(s));
    CHECK_OK(horus_scheduler_close(NULL));
    horus_context_close(c);
}
TEST(a_stop_before_a_run_that_is_refused_ends_the_next_one)
{
    horus_context *c = join(8 * MiB);
    fake f = {.now = 9};
    static probe p;
    horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){.flags = HORUS_ADMISSION});
    add_probe(s, &p, (horus_node_desc){.name = "n", .rate_num = 1000, .budget_ns = 2000000});
    horus_scheduler_stop(s);
    CHECK_RESULT(horus_scheduler_run(s, (int64_t)second), HORUS_E_LIMIT);
    CHECK_RESULT(horus_scheduler_run(s, -1), HORUS_E_ARG);
    CHECK_OK(horus_scheduler_set_budget(s, "n", 1000));
    CHECK_OK(horus_scheduler_run(s, (int64_t)second));
    CHECK_EQ(p.inits, 1);
    CHECK_EQ(p.ticks, 0);
    CHECK_OK(horus_scheduler_run(s, (int64_t)(10 * ms))); /* and that one alone */
    CHECK_EQ(p.ticks, 10);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}
static horus_result tick_that_tells(void *user, horus_tick *t)
{
    (void)t;
    ((probe *)user)->ticks++;
    test_raise(3);
    return HORUS_OK;
}
static void *stop_soon(void *arg)
{
    test_await_count(3, 2); /* both have ticked: or else it would end before */
    horus_scheduler_stop(arg);
    return NULL;
}
TEST(stop_from_a_thread_ends_it_within_a_slice)
{
    horus_context *c = join(8 * MiB);
    static probe p, q;
    pthread_t thread;
    horus_scheduler *s = open_with(c, NULL, (horus_scheduler_desc){0});
    add_probe(s, &p,
              (horus_node_desc){
                  .name = "hourly", .tick = tick_that_tells, .rate_num = 1, .rate_den = 3600});
    add_probe(s, &q,
              (horus_node_desc){.name = "beside",
                                .tick = tick_that_tells,
                                .rate_num = 1,
                                .rate_den = 3600,
                                .compute = true});
    REQUIRE(pthread_create(&thread, NULL, stop_soon, s) == 0);
    CHECK_OK(horus_scheduler_run(s, HORUS_FOREVER));
    (void)pthread_join(thread, NULL);
    CHECK_EQ(p.ticks, 1);
    CHECK_EQ(q.ticks, 1);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}
/* A signal comes while a tick runs: the tick ends, and the program's own handler is back after it. */
static volatile sig_atomic_t own_handler;
static void on_own(int number)
{
    (void)number;
    own_handler++;
}
static horus_result raise_in_tick(void *user, horus_tick *t)
{
    if (t->count == 2)
        (void)raise(*(int *)user);
    note_order((int)t->count);
    return HORUS_OK;
}
TEST(signals_end_the_run_if_asked_for)
{
    horus_context *c = join(8 * MiB);
    static int number[] = {SIGINT, SIGTERM};
    for (int i = 0; i < 2; i++) {
        struct sigaction a;
        memset(&a, 0, sizeof a);
        a.sa_handler = on_own;
        (void)sigaction(number[i], &a, NULL);
        horus_scheduler *s = open_with(c, NULL, (horus_scheduler_desc){.flags = HORUS_SIGNALS});
        REQUIRE_OK(horus_scheduler_add(
            s, &(horus_node_desc){
                   .name = "n", .tick = raise_in_tick, .rate_num = 1000, .user = &number[i]}));
        order_count = 0;
        CHECK_RESULT(horus_scheduler_run(s, (int64_t)(20 * second)), HORUS_INTERRUPTED);
        CHECK_EQ(order_log[order_count - 1], 2);
        CHECK_EQ(own_handler, i);
        horus_scheduler_stats st;
        CHECK_OK(horus_scheduler_get_stats(s, &st, NULL, 0, NULL));
        CHECK_EQ(st.end, HORUS_END_SIGNAL);
        CHECK_OK(horus_scheduler_close(s));
        (void)raise(number[i]);
        CHECK_EQ(own_handler, i + 1);
    }
    /* not asked for, or ignored by the program (nohup): left alone */
    own_handler = 0;
    fake f = {.now = 1};
    horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){0});
    REQUIRE_OK(horus_scheduler_add(
        s, &(horus_node_desc){
               .name = "n", .tick = raise_in_tick, .rate_num = 1000, .user = &number[0]}));
    CHECK_OK(horus_scheduler_run(s, (int64_t)(10 * ms)));
    CHECK_EQ(own_handler, 1);
    CHECK_OK(horus_scheduler_close(s));
    (void)signal(SIGINT, SIG_IGN);
    s = open_with(c, &f, (horus_scheduler_desc){.flags = HORUS_SIGNALS});
    REQUIRE_OK(horus_scheduler_add(
        s, &(horus_node_desc){
               .name = "n", .tick = raise_in_tick, .rate_num = 1000, .user = &number[0]}));
    CHECK_OK(horus_scheduler_run(s, (int64_t)(10 * ms)));
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}
static horus_result raise_in_init(void *user)
{
    (void)user;
    uint32_t before = horusi_ld32_rlx(own, &horusi_signals);
    (void)raise(SIGTERM);
    for (int i = 0; i < 1000 && horusi_ld32_rlx(own, &horusi_signals) == before; i++)
        test_sleep_us(1000); /* ThreadSanitizer puts it off until a wait */
    return HORUS_OK;
}
TEST(a_signal_in_an_init_leaves_out_those_that_follow)
{
    horus_context *c = join(8 * MiB);
    static probe p, q;
    horus_scheduler *s = open_with(c, NULL, (horus_scheduler_desc){.flags = HORUS_SIGNALS});
    REQUIRE_OK(horus_scheduler_add(s, &(horus_node_desc){.name = "first",
                                                         .tick = probe_tick,
                                                         .init = raise_in_init,
                                                         .shutdown = probe_shutdown,
                                                         .user = &p}));
    add_probe(s, &q, (horus_node_desc){.name = "second"});
    CHECK_RESULT(horus_scheduler_run(s, (int64_t)(20 * second)), HORUS_INTERRUPTED);
    CHECK_EQ(p.shutdowns, 1);
    CHECK_EQ(p.ticks + q.ticks + q.inits + q.shutdowns, 0);
    CHECK_EQ(stats_at(s, 1).state, HORUS_NODE_IDLE);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}
/* In a child of a run the handlers are what they were before it, whoever forked. */
static void be_signalled(void *arg)
{
    struct sigaction now;
    (void)arg;
    CHECK(sigaction(SIGTERM, NULL, &now) == 0 && now.sa_handler == on_own);
    own_handler = 0;
    (void)raise(SIGTERM);
    /* ThreadSanitizer puts signals off, after a fork beside threads for ever */
    CHECK(TEST_SANITIZED || own_handler == 1);
    CHECK(sigaction(SIGINT, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
}
static void *fork_beside(void *arg)
{
    CHECK_JOIN(test_fork(be_signalled, arg));
    return NULL;
}
static horus_result fork_in_tick(void *user, horus_tick *t)
{
    pthread_t other;
    if (t->count == 1)
        CHECK_JOIN(test_fork(be_signalled, user));
    if (t->count == 2) {
        REQUIRE(pthread_create(&other, NULL, fork_beside, user) == 0);
        (void)pthread_join(other, NULL);
    }
    if (t->count == 3)
        (void)raise(SIGTERM); /* and still caught here */
    return HORUS_OK;
}
TEST(a_child_of_a_run_takes_signals_as_before_it)
{
    horus_context *c = join(8 * MiB);
    struct sigaction a;
    memset(&a, 0, sizeof a);
    a.sa_handler = on_own;
    (void)sigaction(SIGTERM, &a, NULL);
    (void)signal(SIGINT, SIG_DFL);
    own_handler = 0;
    horus_scheduler *s = open_with(c, NULL, (horus_scheduler_desc){.flags = HORUS_SIGNALS});
    REQUIRE_OK(horus_scheduler_add(
        s, &(horus_node_desc){.name = "n", .tick = fork_in_tick, .rate_num = 1000}));
    CHECK_RESULT(horus_scheduler_run(s, (int64_t)(20 * second)), HORUS_INTERRUPTED);
    CHECK_EQ(own_handler, 0);
    CHECK_OK(horus_scheduler_close(s));
    (void)raise(SIGTERM);
    CHECK_EQ(own_handler, 1);
    horus_context_close(c);
}
TEST(no_tick_begins_after_a_signal)
{
    horus_context *c = join(8 * MiB);
    static probe p;
    fake f = {.now = 9};
    static int number = SIGTERM;
    (void)signal(SIGTERM, SIG_DFL);
    memset(&p, 0, sizeof p);
    horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){.flags = HORUS_SIGNALS});
    REQUIRE_OK(horus_scheduler_add(
        s, &(horus_node_desc){
               .name = "first", .tick = raise_in_tick, .rate_num = 1000, .user = &number}));
    add_probe(s, &p, (horus_node_desc){.name = "next", .rate_num = 1000});
    CHECK_RESULT(horus_scheduler_run(s, (int64_t)second), HORUS_INTERRUPTED);
    CHECK_EQ(stats_at(s, 0).ticks, 3);
    CHECK_EQ(p.ticks, 2);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}
static horus_result handle_in_tick(void *user, horus_tick *t)
{
    struct sigaction a;
    (void)user;
    memset(&a, 0, sizeof a);
    a.sa_handler = on_own;
    if (t->count == 2)
        (void)sigaction(SIGINT, &a, NULL);
    return HORUS_OK;
}
TEST(a_handler_that_is_set_while_it_runs_stays)
{
    horus_context *c = join(8 * MiB);
    fake f = {.now = 1};
    own_handler = 0;
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
    horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){.flags = HORUS_SIGNALS});
    REQUIRE_OK(horus_scheduler_add(
        s, &(horus_node_desc){.name = "n", .tick = handle_in_tick, .rate_num = 1000}));
    CHECK_OK(horus_scheduler_run(s, (int64_t)(10 * ms)));
    struct sigaction now;
    CHECK(sigaction(SIGTERM, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
    CHECK(sigaction(SIGINT, NULL, &now) == 0 && now.sa_handler == on_own);
    (void)raise(SIGINT);
    CHECK_EQ(own_handler, 1);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}
static horus_result run_another(void *user, horus_tick *t)
{
    if (t->count == 1) {
        CHECK_OK(horus_scheduler_run(user, (int64_t)ms)); /* its end is not the end of ours */
        (void)raise(SIGINT);
    }
    return HORUS_OK;
}
TEST(a_signal_is_caught_until_the_last_that_asks_for_it_has_ended)
{
    horus_context *c = join(8 * MiB);
    fake f = {.now = 1}, g = {.now = 1};
    static probe p;
    horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){.flags = HORUS_SIGNALS});
    horus_scheduler *in =
        open_with(c, &g, (horus_scheduler_desc){.flags = HORUS_SIGNALS, .name = "in"});
    add_probe(in, &p, (horus_node_desc){.name = "n", .rate_num = 1000});
    REQUIRE_OK(horus_scheduler_add(
        s, &(horus_node_desc){.name = "outer", .tick = run_another, .rate_num = 100, .user = in}));
    CHECK_RESULT(horus_scheduler_run(s, (int64_t)second), HORUS_INTERRUPTED);
    CHECK_EQ(stats_at(s, 0).ticks, 2);
    CHECK_EQ(p.ticks, 1);
    CHECK_OK(horus_scheduler_close(in));
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}
TEST(none_and_a_thousand_nodes)
{
    horus_context *c = join(256 * MiB);
    fake f = {.now = 9};
    horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){0});
    CHECK_OK(horus_scheduler_run(s, (int64_t)(50 * ms)));
    CHECK_EQ(f.now, 9 + 50 * ms);
    static probe p;
    probe *many = calloc(1000, sizeof *many);
    for (unsigned i = 0; i < 1000; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "n%u", i);
        add_probe(s, &many[i],
                  (horus_node_desc){.name = name, .rate_num = 10 + i % 7, .order = -(int)i});
    }
    CHECK_OK(horus_scheduler_run(s, (int64_t)second));
    horus_scheduler_stats st;
    horus_node_stats *n = calloc(1000, sizeof *n);
    size_t count;
    CHECK_OK(horus_scheduler_get_stats(s, &st, n, 1000, &count));
    CHECK_EQ(count, 1000);
    CHECK_EQ(st.nodes, 1000);
    for (unsigned i = 0; i < 1000; i++) {
        CHECK_EQ(many[i].ticks, 10 + i % 7);
        CHECK_EQ(n[i].ticks, 10 + i % 7);
        CHECK_EQ(n[i].order, -(int)i);
    }
    CHECK_EQ(
        horus_scheduler_add(s, &(horus_node_desc){.name = "n5", .tick = probe_tick, .user = &p}),
        HORUS_E_ARG);
    CHECK_OK(horus_scheduler_close(s));
    free(many);
    free(n);
    horus_context_close(c);
}

/* ---- bad input */

static horus_scheduler *self; /* whose tick calls what it may not */
static horus_result tick_that_meddles(void *user, horus_tick *t)
{
    (void)user;
    CHECK_RESULT(horus_scheduler_run(t->scheduler, 0), HORUS_E_BUSY);
    CHECK_TEXT(horus_last_error(), "test");
    CHECK_RESULT(horus_scheduler_close(t->scheduler), HORUS_E_BUSY);
    CHECK_RESULT(horus_scheduler_admit(t->scheduler, NULL), HORUS_E_BUSY);
    CHECK_RESULT(horus_scheduler_add(t->scheduler,
                                     &(horus_node_desc){.name = "late", .tick = tick_that_meddles}),
                 HORUS_E_BUSY);
    horus_scheduler_stats st;
    CHECK_OK(horus_scheduler_get_stats(self, &st, NULL, 0, NULL));
    CHECK(st.running);
    return HORUS_OK;
}
TEST(a_tick_may_not_run_close_or_add)
{
    horus_context *c = join(8 * MiB);
    fake f = {.now = 9};
    self = open_with(c, &f, (horus_scheduler_desc){0});
    REQUIRE_OK(horus_scheduler_add(
        self, &(horus_node_desc){.name = "meddler", .tick = tick_that_meddles}));
    CHECK_OK(horus_scheduler_run(self, (int64_t)(100 * ms)));
    CHECK_OK(horus_scheduler_close(self));
    horus_context_close(c);
}
TEST(bad_nodes_are_refused_by_name_and_value)
{
    horus_context *c = join(8 * MiB);
    horus_scheduler *s = open_with(c, NULL, (horus_scheduler_desc){0});
    horus_topic *t;
    REQUIRE_OK(horus_topic_open(&t, "t", &(horus_topic_desc){.context = c}));
    const double nan = 0.0 / (double)(c == NULL), inf = 1.0 / (double)(c == NULL);
    char long_name[120];
    memset(long_name, 'x', sizeof long_name);
    long_name[110] = '\n'; /* beyond what an error can show */
    long_name[111] = 0;
    CHECK_RESULT(horus_scheduler_add(s, &(horus_node_desc){.name = long_name, .tick = probe_tick}),
                 HORUS_E_NAME);
    CHECK_TEXT(horus_last_error(), "(this: 111, with 1)");
    long_name[97] = 0;
    struct {
        horus_node_desc d;
        horus_result want;
        const char *says;
    } bad[] = {
        {{.name = NULL}, HORUS_E_NAME, "name"},
        {{.name = ""}, HORUS_E_NAME, "name"},
        {{.name = "a\nb"}, HORUS_E_NAME, "node name \"a?b\""},
        {{.name = "a\x7f"}, HORUS_E_NAME, "node name \"a?\""},
        {{.name = long_name}, HORUS_E_NAME, "node name \"xxx"},
        {{.name = "n", .rate_hz = -1}, HORUS_E_ARG, "rate_hz is -1"},
        {{.name = "n", .rate_hz = nan}, HORUS_E_ARG, "rate_hz is"},
        {{.name = "n", .rate_hz = inf}, HORUS_E_ARG, "rate_hz is inf"},
        {{.name = "n", .rate_hz = 1000001}, HORUS_E_ARG, "rate_hz is"},
        {{.name = "n", .rate_hz = 1e300}, HORUS_E_ARG, "rate_hz is"},
        {{.name = "n", .rate_hz = 9e-7}, HORUS_E_ARG, "rate_hz is"},
        {{.name = "n", .rate_hz = 5, .rate_num = 5}, HORUS_E_ARG, "rate_hz, or"},
        {{.name = "n", .rate_den = 5}, HORUS_E_ARG, "rate_num"},
        {{.name = "n", .rate_num = 1000001}, HORUS_E_ARG, "1000001/1"},
        {{.name = "n", .rate_num = 1, .rate_den = 1000001}, HORUS_E_ARG, "1/1000001"},
        {{.name = "n", .budget_ns = -1}, HORUS_E_ARG, "budget_ns is -1"},
        {{.name = "n", .budget_ns = INT64_MAX}, HORUS_E_ARG, "budget_ns is 9223372036854775807"},
        {{.name = "n", .deadline_ns = INT64_MIN}, HORUS_E_ARG, "deadline_ns"},
        {{.name = "n", .deadline_ns = 3600000000001}, HORUS_E_ARG, "deadline_ns"},
        {{.name = "n", .pause_ns = -5}, HORUS_E_ARG, "pause_ns"},
        {{.name = "n", .min_gap_ns = 5}, HORUS_E_ARG, "MIN_GAP"},
        {{.name = "n", .min_gap_ns = -5, .overrun = HORUS_OVERRUN_MIN_GAP},
         HORUS_E_ARG,
         "min_gap_ns"},
        {{.name = "n", .on_miss = (horus_on_miss)4}, HORUS_E_ARG, "on_miss 4"},
        {{.name = "n", .overrun = (horus_overrun)3}, HORUS_E_ARG, "overrun 3"},
        {{.name = "n", .on_failure = (horus_on_failure)77}, HORUS_E_ARG, "on_failure 77"},
        {{.name = "n", .priority = 100}, HORUS_E_ARG, "priority 100"},
        {{.name = "n", .core = -1}, HORUS_E_ARG, "core -1"},
        {{.name = "n", .priority = -1}, HORUS_E_ARG, "priority -1"},
        {{.name = "n", .core = 1025}, HORUS_E_ARG, "core 1025"},
        {{.name = "n", .rate_hz = 5, .on_topic = t}, HORUS_E_ARG, "no rate"},
        {{.name = "n", .compute = true, .on_topic = t}, HORUS_E_ARG, "exclude"},
        {{.name = "n", .rate_num = 5, .on_topic = t}, HORUS_E_ARG, "no rate"},
        {{.name = "taken"}, HORUS_E_ARG, "taken"},
    };
    REQUIRE_OK(horus_scheduler_add(s, &(horus_node_desc){.name = "taken", .tick = probe_tick}));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        bad[i].d.tick = probe_tick;
        CHECK_RESULT(horus_scheduler_add(s, &bad[i].d), bad[i].want);
        CHECK_TEXT(horus_last_error(), bad[i].says);
        if (bad[i].want == HORUS_E_ARG)
            CHECK_TEXT(horus_last_error(), bad[i].d.name);
    }
    CHECK_RESULT(horus_scheduler_add(s, &(horus_node_desc){.name = "n"}), HORUS_E_ARG);
    CHECK_TEXT(horus_last_error(), "tick is NULL");
    CHECK_RESULT(horus_scheduler_add(s, NULL), HORUS_E_ARG);
    CHECK_RESULT(horus_scheduler_add(NULL, &bad[0].d), HORUS_E_ARG);
    CHECK_RESULT(horus_scheduler_run(NULL, 0), HORUS_E_ARG);
    CHECK_RESULT(horus_scheduler_run(s, -1), HORUS_E_ARG);
    CHECK_EQ(s->count, 1); /* none of them was added */
    REQUIRE_OK(horus_scheduler_add(
        s, &(horus_node_desc){.name = "any te\xc3\xa4t, 96 bytes", .tick = probe_tick}));
    REQUIRE_OK(horus_scheduler_add(
        s, &(horus_node_desc){.name = "listens", .tick = probe_tick, .on_topic = t}));
    CHECK_RESULT(horus_scheduler_set_rate(s, "listens", 5), HORUS_E_ARG);
    CHECK_TEXT(horus_last_error(), "no rate");
    for (int i = 3; i < HORUSI_MAX_NODES; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "n%d", i);
        REQUIRE_OK(horus_scheduler_add(s, &(horus_node_desc){.name = name, .tick = probe_tick}));
    }
    CHECK_RESULT(horus_scheduler_add(s, &(horus_node_desc){.name = "n", .tick = probe_tick}),
                 HORUS_E_LIMIT);
    CHECK_TEXT(horus_last_error(), "4096 nodes");
    CHECK_OK(horus_scheduler_close(s));
    horus_topic_close(t);
    horus_context_close(c);
}
TEST(bad_schedulers_are_refused)
{
    horus_context *c = join(8 * MiB);
    horus_time_source half = {.now = fake_now}, whole = {fake_now, fake_sleep, NULL};
    horus_time_source other = {.sleep = fake_sleep};
    char long_name[90];
    memset(long_name, 'x', sizeof long_name);
    long_name[81] = 0;
    struct {
        horus_scheduler_desc d;
        horus_result want;
        const char *says;
    } bad[] = {
        {{.name = ""}, HORUS_E_NAME, "scheduler name"},
        {{.name = "a b"}, HORUS_E_NAME, "scheduler name"},
        {{.name = long_name}, HORUS_E_NAME, "80"},
        {{.name = "x", .clock = &half}, HORUS_E_ARG, "clock"},
        {{.name = "x", .clock = &other}, HORUS_E_ARG, "clock"},
        {{.name = "x", .watchdog_ns = 1000000, .flags = HORUS_DETERMINISTIC},
         HORUS_E_UNSUPPORTED,
         "watchdog"},
        {{.name = "x", .blackbox_bytes = (1u << 30) + 1},
         HORUS_E_ARG,
         "blackbox_bytes is 1073741825"},
        {{.name = "x", .priority = -1}, HORUS_E_ARG, "priority -1"},
        {{.name = "x", .clock = &whole, .flags = HORUS_DETERMINISTIC}, HORUS_E_ARG, "clock"},
        {{.name = "x", .clock = &whole, .watchdog_ns = 1000000}, HORUS_E_UNSUPPORTED, "watchdog"},
        {{.name = "x", .watchdog_ns = -1}, HORUS_E_ARG, "watchdog_ns is -1"},
        {{.name = "x", .watchdog_ns = 99999}, HORUS_E_ARG, "watchdog_ns is 99999"},
        {{.name = "x", .watchdog_ns = INT64_MAX}, HORUS_E_ARG, "watchdog_ns"},
        {{.name = "x", .workers = 65}, HORUS_E_ARG, "65 workers"},
        {{.name = "x", .priority = 100}, HORUS_E_ARG, "priority 100"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        horus_scheduler *s = (horus_scheduler *)&s;
        bad[i].d.context = c;
        CHECK_RESULT(horus_scheduler_open(&s, &bad[i].d), bad[i].want);
        CHECK_TEXT(horus_last_error(), bad[i].says);
        CHECK(s == NULL);
    }
    CHECK_RESULT(horus_scheduler_open(NULL, NULL), HORUS_E_ARG);
    horus_scheduler *s = open_with(c, &(fake){0}, (horus_scheduler_desc){0});
    horus_topic *t;
    REQUIRE_OK(horus_topic_open(&t, "t", &(horus_topic_desc){.context = c}));
    CHECK_RESULT(
        horus_scheduler_add(s, &(horus_node_desc){.name = "n", .tick = probe_tick, .on_topic = t}),
        HORUS_E_UNSUPPORTED);
    horus_scheduler_stats st;
    horus_node_stats n;
    CHECK_RESULT(horus_scheduler_get_stats(s, &st, &n, 1, NULL), HORUS_E_NOT_FOUND);
    CHECK_RESULT(horus_scheduler_get_stats(s, NULL, &n, 1, NULL), HORUS_E_ARG);
    CHECK_RESULT(horus_scheduler_get_stats(s, &st, NULL, 1, NULL), HORUS_E_ARG);
    CHECK_RESULT(horus_scheduler_get_stats(NULL, &st, NULL, 0, NULL), HORUS_E_ARG);
    CHECK_RESULT(horus_scheduler_read(c, "test", &st, &n, 1, NULL), HORUS_E_NOT_FOUND);
    CHECK_RESULT(horus_scheduler_read(c, "a b", &st, &n, 1, NULL), HORUS_E_NAME);
    CHECK_RESULT(horus_scheduler_read(c, "test", NULL, &n, 1, NULL), HORUS_E_ARG);
    horus_record record;
    CHECK_RESULT(horus_scheduler_read_records(c, "test", &record, 1, NULL), HORUS_E_ARG);
    double load = 1;
    CHECK_RESULT(horus_scheduler_admit(NULL, &load), HORUS_E_ARG);
    CHECK(load <= 0);
    horus_scheduler_log(NULL, NULL, "nowhere");
    CHECK_OK(horus_scheduler_close(s));
    horus_topic_close(t);
    check_empty(pool_of(c));
    horus_context_close(c);
}

static void run_what_was_inherited(void *arg)
{
    CHECK_RESULT(horus_scheduler_run(arg, 0), HORUS_E_DETACHED);
    CHECK_RESULT(horus_scheduler_step(arg, 0), HORUS_E_DETACHED);
}
TEST(a_child_does_not_run_its_parents_scheduler)
{
    horus_context *c = join(8 * MiB);
    fake f = {.now = 9};
    static probe p;
    horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){0});
    add_probe(s, &p, (horus_node_desc){.name = "n", .rate_num = 1000});
    CHECK_JOIN(test_fork(run_what_was_inherited, s));
    CHECK_OK(horus_scheduler_run(s, (int64_t)(5 * ms)));
    CHECK_EQ(p.ticks, 5);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}
/* Forked by one thread while another is about to run it: nobody goes on there. */
static void ask_what_is_busy(void *arg)
{
    horus_scheduler *s = arg;
    horus_scheduler_stats st;
    uint32_t busy = horusi_ld32_acq(Q2, &s->busy);
    if (busy == 1)
        CHECK_RESULT(horus_scheduler_get_stats(s, &st, NULL, 0, NULL), HORUS_E_DETACHED);
    CHECK_RESULT(horus_scheduler_add(s, &(horus_node_desc){.name = "x", .tick = probe_tick}),
                 HORUS_E_DETACHED);
    CHECK_RESULT(horus_scheduler_admit(s, NULL), HORUS_E_DETACHED);
    CHECK_RESULT(horus_scheduler_run(s, 0), HORUS_E_DETACHED);
    CHECK_RESULT(horus_scheduler_close(s), HORUS_E_DETACHED);
    CHECK_TEXT(horus_last_error(), "as this process was forked");
}
TEST(a_child_of_a_run_that_begins_is_told_so_and_does_not_wait_for_it)
{
    for (int priv = 0; priv < 2; priv++) {
        horus_context *c;
        fake f = {.now = 9};
        static probe p;
        memset(&p, 0, sizeof p);
        c = priv ? NULL : join(8 * MiB);
        if (priv)
            REQUIRE_OK(horus_context_open(&c, &(horus_context_desc){.flags = HORUS_PRIVATE}));
        horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){0});
        add_probe(s, &p, (horus_node_desc){.name = "n", .rate_num = 1000});
        CHECK_OK(horus_scheduler_run(s, (int64_t)(5 * ms)));
        for (uint32_t busy = 1; busy <= 2; busy++) {
            horusi_st32_rel(Q1, &s->busy, busy);
            CHECK_JOIN(test_fork(ask_what_is_busy, s));
        }
        horusi_st32_rel(Q1, &s->busy, 0);
        CHECK_OK(horus_scheduler_close(s));
        horus_context_close(c);
    }
}
TEST(a_scheduler_without_a_description_has_the_process_in_its_name)
{
    horus_scheduler *s;
    char want[40];
    static probe p;
    REQUIRE_OK(horus_scheduler_open(&s, NULL));
    (void)snprintf(want, sizeof want, "scheduler-%ld", (long)getpid());
    CHECK_EQ(strcmp(s->name, want), 0);
    add_probe(s, &p, (horus_node_desc){.name = "n"});
    CHECK_OK(horus_scheduler_run(s, 1));
    CHECK_EQ(p.ticks, 1);
    CHECK_OK(horus_scheduler_close(s));
}

/* ---- misses */

static _Atomic unsigned told[HORUS_EVENT_LOG + 1];
static void tell(void *user, const horus_event *e)
{
    (void)user;
    told[e->kind]++;
    CHECK(e->text != NULL);
}

TEST(a_tick_over_its_budget_or_deadline_is_a_miss)
{
    horus_context *c = join(8 * MiB);
    for (int policy = 0; policy < 4; policy++) {
        fake f = {.now = 7};
        static probe p, q;
        memset(&p, 0, sizeof p);
        memset(&q, 0, sizeof q);
        p.clock = &f;
        q.clock = &f;
        p.cost = q.cost = ms;
        p.slow_at = 4;
        p.slow = 3 * ms;
        p.slow_times = 1; /* ticks 4 and 5 */
        horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){0});
        add_probe(s, &p,
                  (horus_node_desc){.name = "p",
                                    .rate_num = 100,
                                    .budget_ns = 2000000,
                                    .on_miss = (horus_on_miss)policy});
        /* starts when p ends, so it is late by p's slowness */
        add_probe(s, &q, (horus_node_desc){.name = "q", .rate_num = 100, .deadline_ns = 3000000});
        horus_result r = horus_scheduler_run(s, (int64_t)(100 * ms));
        horus_node_stats a = stats_at(s, 0), b = stats_at(s, 1);
        CHECK_RESULT(r, policy == HORUS_MISS_STOP ? HORUS_E_LIMIT : HORUS_OK);
        CHECK_EQ(a.deadline_misses, 0);
        CHECK_EQ(b.budget_misses, 0);
        CHECK_EQ(a.budget_misses, policy == HORUS_MISS_STOP ? 1 : 2);
        CHECK_EQ(b.deadline_misses, policy == HORUS_MISS_STOP ? 0 : 2);
        switch (policy) {
        case HORUS_MISS_WARN:
            CHECK_EQ(p.ticks, 10);
            CHECK_EQ(p.safes, 0);
            break;
        case HORUS_MISS_SKIP: /* 4 is slow, 5 is left out, 6 is slow (the sixth tick), 7 is left out */
            CHECK_EQ(p.ticks, 8);
            CHECK_EQ(a.skipped, 2);
            CHECK_EQ(p.phase[4], 4);
            CHECK_EQ(p.phase[5], 6);
            CHECK_EQ(p.skipped[5], 1);
            CHECK_EQ(p.phase[6], 8);
            break;
        case HORUS_MISS_SAFE_MODE:
            CHECK_EQ(p.safes, 1); /* once for both */
            CHECK_EQ(a.safe_entries, 1);
            CHECK_EQ(a.recoveries, 1);
            CHECK(!p.safe[4] && p.safe[5] && p.safe[6] && !p.safe[7]);
            break;
        default:
            CHECK_EQ(p.ticks, 5);
            CHECK_EQ(q.ticks, 4);
            CHECK_TEXT(horus_last_error(), "node p");
            CHECK_TEXT(horus_last_error(), "budget (3000 us)");
            CHECK_EQ(p.shutdowns, 1);
            CHECK_EQ(q.shutdowns, 1);
        }
        CHECK_EQ(q.safes, 0);
        CHECK_OK(horus_scheduler_close(s));
    }
    horus_context_close(c);
}
TEST(a_safe_state_is_entered_once_an_episode_and_again_after_recovery)
{
    horus_context *c = join(8 * MiB);
    fake f = {.now = 7};
    static probe p;
    p.clock = &f;
    p.slow = 3 * ms;
    p.slow_at = 2;
    p.slow_times = 3; /* 2 to 5 */
    horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){0});
    add_probe(
        s, &p,
        (horus_node_desc){
            .name = "p", .rate_num = 100, .deadline_ns = 2000000, .on_miss = HORUS_MISS_SAFE_MODE});
    CHECK_OK(horus_scheduler_run(s, (int64_t)(100 * ms)));
    CHECK_EQ(p.safes, 1);
    p.slow_at = 12; /* in the next run, a second episode that does not end */
    p.slow_times = 100;
    CHECK_OK(horus_scheduler_run(s, (int64_t)(100 * ms)));
    CHECK_EQ(p.safes, 2);
    CHECK_EQ(stats_at(s, 0).recoveries, 1);
    CHECK_EQ(stats_at(s, 0).safe_entries, 2);
    CHECK_EQ(stats_at(s, 0).deadline_misses, 4 + 8);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}
static horus_result tick_that_tells_its_state(void *user, horus_tick *t)
{
    note_order((int)stats_at(t->scheduler, 0).state);
    return probe_tick(user, t);
}
TEST(a_node_in_its_safe_state_is_still_in_it_after_a_pause)
{
    horus_context *c = join(8 * MiB);
    fake f = {.now = 7};
    static probe p;
    p.clock = &f;
    p.slow = 3 * ms;
    p.slow_at = 2; /* 2 and 3 are slow, 2 fails, too: safe, and a pause */
    p.slow_times = 1;
    p.fail_at = 2;
    p.fail_times = 1;
    p.result = HORUS_E_SYSTEM;
    horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){0});
    add_probe(s, &p,
              (horus_node_desc){.name = "p",
                                .tick = tick_that_tells_its_state,
                                .rate_num = 100,
                                .deadline_ns = 2000000,
                                .on_miss = HORUS_MISS_SAFE_MODE,
                                .on_failure = HORUS_FAILURE_SKIP,
                                .max_failures = 1,
                                .pause_ns = 25000000});
    order_count = 0;
    CHECK_OK(horus_scheduler_run(s, (int64_t)(100 * ms)));
    static const int want[] = {100, HORUS_NODE_RUNNING, 0, HORUS_NODE_RUNNING,
                               0,   HORUS_NODE_RUNNING, 0, HORUS_NODE_SAFE,
                               0,   HORUS_NODE_SAFE,    0, HORUS_NODE_RUNNING};
    for (unsigned i = 0; i < sizeof want / sizeof *want; i++)
        CHECK_EQ(order_log[i], want[i]);
    CHECK_EQ(stats_at(s, 0).recoveries, 1);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}
static void event_takes_long(void *user, const horus_event *e)
{
    if (e->kind == HORUS_EVENT_SKIPPED || e->kind == HORUS_EVENT_BUDGET)
        ((fake *)user)->now += 30 * ms;
}
static horus_result tick_that_waits(void *user, horus_tick *t)
{
    probe *p = user;
    p->clock->now += 30 * ms; /* as for an interpreter's lock */
    CHECK_EQ(horusi_ld64_rlx(own, &t->scheduler->nodes[t->index]->run), 0);
    horusi_tick_waited(t);
    return probe_tick(user, t);
}
TEST(what_a_binding_waits_for_is_latency_and_no_part_of_the_budget)
{
    horus_context *c = join(8 * MiB);
    fake f = {.now = 5};
    static probe p;
    memset(&p, 0, sizeof p);
    p.clock = &f;
    p.cost = 2 * ms;
    horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){0});
    s->waits = true;
    add_probe(s, &p,
              (horus_node_desc){.name = "n",
                                .tick = tick_that_waits,
                                .rate_num = 10,
                                .budget_ns = 3000000,
                                .deadline_ns = 31000000});
    CHECK_OK(horus_scheduler_run(s, (int64_t)second));
    horus_node_stats st = stats_at(s, 0);
    CHECK_EQ(st.ticks, 10);
    CHECK_EQ(st.budget_misses, 0);
    CHECK_EQ(st.deadline_misses, 10);
    CHECK_EQ(st.spread[HORUS_SPREAD_WAKE].count, 10);
    CHECK_EQ(st.spread[HORUS_SPREAD_WAKE].max_ns, 30 * ms);
    CHECK_EQ(st.spread[HORUS_SPREAD_RUN].max_ns, 2 * ms);
    CHECK_EQ(p.now[3] - p.due[3], 30 * ms);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}
/* What one node calls beside its tick is not in the next node's tick, nor in its own next one. */
TEST(callbacks_of_one_node_are_not_charged_to_the_next)
{
    horus_context *c = join(8 * MiB);
    for (int way = 0; way < 4; way++) { /* safe_state, shutdown and init, an event's function */
        fake f = {.now = 5};
        static probe p, q;
        memset(&p, 0, sizeof p);
        memset(&q, 0, sizeof q);
        p.clock = q.clock = &f;
        p.slow_at = 3;
        p.slow = way == 1 ? 0 : 2 * ms;
        p.safe_cost = 40 * ms;
        p.shutdown_cost = way == 1 ? 50 * ms : 0;
        p.fail_at = 3;
        p.fail_times = way == 1;
        p.result = HORUS_E_LIMIT;
        horus_scheduler *s = open_with(
            c, &f,
            (horus_scheduler_desc){.on_event = way > 1 ? event_takes_long : NULL, .user = &f});
        add_probe(s, &p,
                  (horus_node_desc){.name = "a",
                                    .rate_num = 100,
                                    .budget_ns = 1000000,
                                    .on_miss = way == 0   ? HORUS_MISS_SAFE_MODE
                                               : way == 3 ? HORUS_MISS_SKIP
                                                          : HORUS_MISS_WARN,
                                    .on_failure = HORUS_FAILURE_RESTART,
                                    .pause_ns = 20000000});
        add_probe(s, &q, (horus_node_desc){.name = "b", .rate_num = 100, .budget_ns = 1000000});
        q.cost = 1000;
        p.init_cost = way == 1 ? 60 * ms : 0;
        CHECK_OK(horus_scheduler_run(s, (int64_t)second));
        horus_node_stats a = stats_at(s, 0), b = stats_at(s, 1);
        CHECK_EQ(a.budget_misses, way != 1);
        CHECK_EQ(a.restarts, way == 1);
        CHECK(a.spread[HORUS_SPREAD_RUN].max_ns == p.slow);
        CHECK_EQ(b.budget_misses, 0);
        CHECK_EQ(b.spread[HORUS_SPREAD_RUN].max_ns, 1000);
        CHECK_EQ(a.ticks + a.skipped, 100);
        CHECK_EQ(b.ticks + b.skipped, 100);
        CHECK_OK(horus_scheduler_close(s));
    }
    horus_context_close(c);
}

TEST(a_safe_state_needs_no_function)
{
    horus_context *c = join(8 * MiB);
    fake f = {.now = 7};
    static probe p;
    p.clock = &f;
    p.slow = 3 * ms;
    p.slow_at = 2;
    horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){0});
    REQUIRE_OK(horus_scheduler_add(s, &(horus_node_desc){.name = "p",
                                                         .tick = probe_tick,
                                                         .user = &p,
                                                         .rate_num = 100,
                                                         .deadline_ns = 2000000,
                                                         .on_miss = HORUS_MISS_SAFE_MODE}));
    CHECK_OK(horus_scheduler_run(s, (int64_t)(100 * ms)));
    CHECK_EQ(stats_at(s, 0).safe_entries, 1);
    CHECK_EQ(stats_at(s, 0).recoveries, 1);
    CHECK(p.safe[3] && !p.safe[4]);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}
TEST(the_first_reason_to_stop_is_the_one_that_is_told)
{
    horus_context *c = join(8 * MiB);
    fake f = {.now = 7};
    static probe p; /* one tick that is late and fails: both would stop the run */
    p.clock = &f;
    p.slow = 3 * ms;
    p.slow_at = p.fail_at = 2;
    p.fail_times = 1;
    p.result = HORUS_E_SYSTEM;
    horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){0});
    add_probe(s, &p,
              (horus_node_desc){.name = "p",
                                .rate_num = 100,
                                .deadline_ns = 2000000,
                                .on_miss = HORUS_MISS_STOP,
                                .on_failure = HORUS_FAILURE_FATAL});
    CHECK_RESULT(horus_scheduler_run(s, (int64_t)second), HORUS_E_LIMIT);
    CHECK_TEXT(horus_last_error(), "over its deadline (3000 us)");
    CHECK_EQ(p.ticks, 3);
    CHECK_EQ(stats_at(s, 0).failures, 1);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}
TEST(so_many_deadlines_missed_in_a_row_stop_it_if_asked_for)
{
    horus_context *c = join(8 * MiB);
    for (int who = 0; who < 3; who++) { /* nobody asks, the scheduler, the node over its head */
        fake f = {.now = 7};
        static probe p;
        memset(&p, 0, sizeof p);
        p.clock = &f;
        p.slow = 3 * ms;
        p.slow_at = 10;
        p.slow_times = 40;
        horus_scheduler *s =
            open_with(c, &f, (horus_scheduler_desc){.max_deadline_misses = who ? 3 : 0});
        add_probe(s, &p,
                  (horus_node_desc){.name = "p",
                                    .rate_num = 100,
                                    .deadline_ns = 2000000,
                                    .max_deadline_misses = who == 2 ? 7 : 0});
        CHECK_RESULT(horus_scheduler_run(s, (int64_t)second), who ? HORUS_E_LIMIT : HORUS_OK);
        CHECK_EQ(p.ticks, who == 0 ? 100 : who == 1 ? 13 : 17);
        if (who)
            CHECK_TEXT(horus_last_error(), who == 1 ? "3 times in a row" : "7 times in a row");
        CHECK_OK(horus_scheduler_close(s));
    }
    horus_context_close(c);
}
/* A tick that runs for ever, until the watchdog has done what on_miss says. */
static volatile bool let_go;
static void safe_lets_go(void *user)
{
    (void)user;
    __atomic_store_n(&let_go, true, __ATOMIC_RELEASE);
}
static horus_result hangs(void *user, horus_tick *t)
{
    probe *p = user;
    p->ticks++;
    if (t->count >= 2 && !t->safe &&
        !p->slow) { /* once, and not in an episode that is on already */
        p->slow = 1;
        __atomic_store_n(&let_go, false, __ATOMIC_RELEASE);
        while (!__atomic_load_n(&let_go, __ATOMIC_ACQUIRE) && !horusi_stops(t->scheduler))
            test_sleep_us(500);
    }
    return HORUS_OK;
}
TEST(the_watchdog_acts_while_a_tick_runs)
{
    horus_context *c = join(8 * MiB);
    for (int policy = HORUS_MISS_SAFE_MODE; policy <= HORUS_MISS_STOP; policy++)
        for (int compute = 0; compute < 2; compute++) {
            static probe p;
            memset(&p, 0, sizeof p);
            let_go = false;
            memset((void *)told, 0, sizeof told);
            horus_scheduler *s = open_with(
                c, NULL, (horus_scheduler_desc){.watchdog_ns = 1000000, .on_event = tell});
            REQUIRE_OK(
                horus_scheduler_add(s, &(horus_node_desc){.name = "hangs",
                                                          .tick = hangs,
                                                          .safe_state = safe_lets_go,
                                                          .user = &p,
                                                          .rate_num = 100,
                                                          .budget_ns = 50000000,
                                                          .deadline_ns = compute ? 80000000 : 0,
                                                          .compute = compute,
                                                          .on_miss = (horus_on_miss)policy}));
            CHECK_RESULT(horus_scheduler_run(s, (int64_t)(400 * ms)),
                         policy == HORUS_MISS_STOP ? HORUS_E_LIMIT : HORUS_OK);
            horus_node_stats st = stats_at(s, 0);
            CHECK_TIMELY(st.watchdog_misses >= 1);
            CHECK(st.budget_misses >= st.watchdog_misses);
            CHECK(compute || told[HORUS_EVENT_BUDGET] == st.budget_misses); /* each once */
            if (policy == HORUS_MISS_SAFE_MODE) {
                CHECK_TIMELY(st.safe_entries >= 1);
                CHECK(st.safe_entries <= st.budget_misses + st.deadline_misses);
                CHECK(st.recoveries <= st.safe_entries);
                CHECK_EQ(st.ticks + st.skipped, 40);
            } else
                CHECK_TIMELY(p.ticks == 3);
            CHECK_OK(horus_scheduler_close(s));
        }
    horus_context_close(c);
}

static void safe_takes_its_time(void *user)
{
    test_sleep_us(5000); /* five of the watchdog's periods */
    safe_lets_go(user);
}
TEST(the_watchdog_sees_a_deadline_alone_at_any_period)
{
    horus_context *c = join(8 * MiB);
    for (int slow = 0; slow < 2; slow++) {
        static probe p;
        memset(&p, 0, sizeof p);
        let_go = false;
        horus_scheduler *s =
            open_with(c, NULL, (horus_scheduler_desc){.watchdog_ns = slow ? 50000000 : 1000000});
        REQUIRE_OK(horus_scheduler_add(s, &(horus_node_desc){.name = "hangs",
                                                             .tick = hangs,
                                                             .safe_state = safe_takes_its_time,
                                                             .user = &p,
                                                             .rate_num = 100,
                                                             .deadline_ns = 20000000,
                                                             .on_miss = HORUS_MISS_SAFE_MODE}));
        CHECK_OK(horus_scheduler_run(s, (int64_t)(200 * ms)));
        horus_node_stats st = stats_at(s, 0);
        CHECK_TIMELY(st.watchdog_misses >= 1);
        CHECK(st.deadline_misses >= st.watchdog_misses);
        CHECK_EQ(st.budget_misses, 0);
        CHECK_TIMELY(st.safe_entries >= 1);
        CHECK_EQ(st.ticks + st.skipped, 20);
        CHECK_OK(horus_scheduler_close(s));
    }
    horus_context_close(c);
}

/* A safe_state that the watchdog calls keeps it from others, which are judged at their ticks' ends. */
static _Atomic int first_is_safe, second_is_safe;
static void first_enters(void *user)
{
    ((probe *)user)->safes++;
    atomic_store(&first_is_safe, 1);
    while (!atomic_load(&second_is_safe))
        test_sleep_us(500);
    __atomic_store_n(&let_go, true, __ATOMIC_RELEASE);
}
static void second_enters(void *user)
{
    ((probe *)user)->safes++;
    atomic_store(&second_is_safe, 1);
}
static horus_result is_slow_after_the_first(void *user, horus_tick *t)
{
    ((probe *)user)->ticks++;
    if (atomic_load(&first_is_safe))
        test_sleep_us(30000);
    if (atomic_load(&first_is_safe) && atomic_load(&second_is_safe))
        horus_scheduler_stop(t->scheduler);
    return HORUS_OK;
}
TEST(a_safe_state_that_waits_for_another_node_keeps_nobody_from_being_judged)
{
    horus_context *c = join(8 * MiB);
    static probe p, q;
    let_go = false;
    horus_scheduler *s = open_with(c, NULL, (horus_scheduler_desc){.watchdog_ns = 1000000});
    horus_node_desc d = {.name = "first",
                         .tick = hangs,
                         .safe_state = first_enters,
                         .user = &p,
                         .rate_num = 100,
                         .budget_ns = 5000000,
                         .compute = true,
                         .on_miss = HORUS_MISS_SAFE_MODE};
    REQUIRE_OK(horus_scheduler_add(s, &d));
    d.name = "second";
    d.tick = is_slow_after_the_first;
    d.safe_state = second_enters;
    d.user = &q;
    d.budget_ns = 10000000;
    d.compute = false;
    REQUIRE_OK(horus_scheduler_add(s, &d));
    CHECK_OK(horus_scheduler_run(s, (int64_t)(20 * second)));
    CHECK(p.safes >= 1);
    CHECK(q.safes >= 1);
    CHECK(stats_at(s, 1).budget_misses >= 1);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}
static horus_result lowers_its_budget(void *user, horus_tick *t)
{
    ((probe *)user)->ticks++;
    CHECK_OK(horus_scheduler_set_budget(t->scheduler, "n", 1));
    test_sleep_us(20000); /* twenty of the watchdog's periods */
    horus_scheduler_stop(t->scheduler);
    return HORUS_OK;
}
TEST(a_budget_that_is_set_counts_from_the_next_tick_for_the_watchdog_too)
{
    horus_context *c = join(8 * MiB);
    static probe p;
    horus_scheduler *s = open_with(c, NULL, (horus_scheduler_desc){.watchdog_ns = 1000000});
    add_probe(s, &p,
              (horus_node_desc){.name = "n",
                                .tick = lowers_its_budget,
                                .rate_num = 100,
                                .budget_ns = 3600000000000,
                                .on_miss = HORUS_MISS_SAFE_MODE});
    CHECK_OK(horus_scheduler_run(s, (int64_t)(20 * second)));
    CHECK_EQ(p.ticks, 1);
    CHECK_EQ(stats_at(s, 0).watchdog_misses, 0);
    CHECK_EQ(stats_at(s, 0).budget_misses, 0);
    CHECK_EQ(p.safes, 0);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}

/* ---- failures */

TEST(each_failure_policy_does_what_it_says)
{
    horus_context *c = join(8 * MiB);
    for (int policy = 0; policy < 5; policy++) {
        fake f = {.now = 7};
        static probe p, q;
        memset(&p, 0, sizeof p);
        memset(&q, 0, sizeof q);
        memset((void *)told, 0, sizeof told);
        p.clock = q.clock = &f;
        p.result = HORUS_E_SYSTEM;
        p.fail_at = 10;
        p.fail_times = 7;
        horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){.on_event = tell});
        add_probe(s, &p,
                  (horus_node_desc){
                      .name = "bad", .rate_num = 100, .on_failure = (horus_on_failure)policy});
        add_probe(s, &q, (horus_node_desc){.name = "good", .rate_num = 100});
        horus_result r = horus_scheduler_run(s, (int64_t)(60 * second));
        horus_node_stats st = stats_at(s, 0);
        CHECK_RESULT(r, policy == HORUS_FAILURE_FATAL ? HORUS_E_SYSTEM : HORUS_OK);
        CHECK_EQ(q.ticks, policy == HORUS_FAILURE_FATAL ? 10 : 6000);
        CHECK_EQ(stats_at(s, 1).skipped, policy == HORUS_FAILURE_FATAL ? 1 : 0);
        CHECK_EQ(st.ticks, p.ticks);
        switch (policy) {
        case HORUS_FAILURE_LOG:
        case HORUS_FAILURE_IGNORE:
            CHECK_EQ(p.ticks, 6000);
            CHECK_EQ(st.failures, 7);
            CHECK_EQ(told[HORUS_EVENT_FAILURE], policy == HORUS_FAILURE_LOG ? 7 : 0);
            break;
        case HORUS_FAILURE_FATAL:
            CHECK_EQ(p.ticks, 11);
            CHECK_TEXT(horus_last_error(), "node bad");
            break;
        case HORUS_FAILURE_RESTART: /* five in a row are forgiven, a sixth is not */
            CHECK_EQ(p.ticks, 16);
            CHECK_EQ(st.failures, 6);
            CHECK_EQ(st.restarts, 5);
            CHECK_EQ(p.inits, 6);
            CHECK_EQ(p.shutdowns, 6);
            CHECK_EQ(st.state, HORUS_NODE_FAILED);
            CHECK_EQ(st.ticks + st.skipped, 6000);
            CHECK_EQ(p.phase[11] - p.phase[10], 10); /* 100 ms */
            break;
        default: /* five, 30 s of pause, and on it goes */
            CHECK_EQ(st.failures, 7);
            CHECK_EQ(p.phase[14], 14);
            CHECK_EQ(p.phase[15], 14 + 3000);
            CHECK_EQ(st.ticks + st.skipped, 6000);
            CHECK_EQ(st.skipped, 2999);
            CHECK_EQ(told[HORUS_EVENT_PAUSED], 1);
            CHECK_EQ(p.inits, 1);
        }
        CHECK_OK(horus_scheduler_close(s));
    }
    horus_context_close(c);
}
TEST(a_restart_tries_a_failing_init_again)
{
    horus_context *c = join(8 * MiB);
    fake f = {.now = 7};
    static probe p;
    p.clock = &f;
    p.init_result = HORUS_E_NOT_FOUND;
    p.init_fails = 3;
    horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){0});
    add_probe(s, &p,
              (horus_node_desc){.name = "camera",
                                .rate_num = 100,
                                .on_failure = HORUS_FAILURE_RESTART,
                                .pause_ns = 50000000});
    CHECK_OK(horus_scheduler_run(s, (int64_t)second));
    CHECK_EQ(p.inits, 4);
    CHECK_EQ(p.shutdowns, 1);
    CHECK_EQ(p.phase[0], 15);
    CHECK_EQ(p.ticks, 85);
    CHECK_EQ(stats_at(s, 0).skipped, 15);
    CHECK_EQ(stats_at(s, 0).restarts, 1);
    p.init_fails = 0; /* always */
    CHECK_OK(horus_scheduler_run(s, (int64_t)second));
    CHECK_EQ(p.inits, 4 + 6);
    CHECK_EQ(p.shutdowns, 1);
    CHECK_EQ(stats_at(s, 0).state, HORUS_NODE_FAILED);
    CHECK_EQ(stats_at(s, 0).ticks + stats_at(s, 0).skipped, 200);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}

TEST(a_node_that_pauses_after_failures_is_left_out_if_its_init_fails)
{
    horus_context *c = join(8 * MiB);
    fake f = {.now = 7};
    static probe p;
    p.init_result = HORUS_E_NOT_FOUND;
    horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){0});
    add_probe(
        s, &p,
        (horus_node_desc){
            .name = "p", .rate_num = 100, .on_failure = HORUS_FAILURE_SKIP, .max_failures = 1});
    CHECK_OK(horus_scheduler_run(s, (int64_t)second));
    CHECK_EQ(p.ticks, 0);
    CHECK_EQ(p.inits, 1);
    CHECK_EQ(stats_at(s, 0).state, HORUS_NODE_FAILED);
    CHECK_EQ(stats_at(s, 0).skipped, 100);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}
TEST(a_node_that_comes_back_after_the_end_of_the_run_ticks_once_more_at_most)
{
    horus_context *c = join(8 * MiB);
    for (int overrun = 0; overrun < 3; overrun++) {
        fake f = {.now = 7};
        static probe p;
        memset(&p, 0, sizeof p);
        p.clock = &f;
        p.result = HORUS_E_SYSTEM;
        p.fail_at = 2;
        p.fail_times = 1;
        p.init_cost = 60 * ms; /* the second one begins at 50 ms, and the run ends at 100 */
        horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){0});
        add_probe(s, &p,
                  (horus_node_desc){.name = "camera",
                                    .rate_num = 100,
                                    .overrun = (horus_overrun)overrun,
                                    .on_failure = HORUS_FAILURE_RESTART,
                                    .pause_ns = 25000000});
        CHECK_OK(horus_scheduler_run(s, (int64_t)(100 * ms)));
        CHECK_EQ(p.inits, 2);
        CHECK_EQ(p.ticks, 4);
        CHECK_EQ(p.phase[3], 9);
        CHECK_EQ(stats_at(s, 0).skipped, 6);
        CHECK_EQ(stats_at(s, 0).restarts, 1);
        CHECK_OK(horus_scheduler_close(s));
    }
    horus_context_close(c);
}

/* ---- figures */

TEST(percentiles_are_true_ones)
{
    static horusi_histogram h;
    static uint64_t value[20000];
    horus_spread sp;
    for (uint32_t b = 0; b < HORUSI_BINS;
         b++) { /* each bin's middle is in that bin; bins are in order */
        CHECK_EQ(horusi_bin(horusi_bin_ns(b)), b);
        CHECK(b == 0 || horusi_bin_ns(b) > horusi_bin_ns(b - 1));
    }
    CHECK_EQ(horusi_bin(UINT64_MAX), HORUSI_BINS - 1);
    for (uint64_t ns = 1; ns <= 3600 * second; ns += 1 + ns / 7) { /* an hour, as budgets */
        double off = (double)horusi_bin_ns(horusi_bin(ns)) / (double)ns - 1;
        CHECK(off < 0.033 && off > -0.033);
    }
    memset(&sp, 0xff, sizeof sp);
    memset(&sp, 0, sizeof sp);
    horusi_spread_of(&h, &sp);
    CHECK_ZERO(sp);
    for (int round = 0; round < 4; round++) {
        static const size_t size[] = {1, 7, 1000, 20000};
        size_t n = size[round];
        memset(&h, 0, sizeof h);
        for (size_t i = 0; i < n; i++) {
            value[i] = (uint64_t)rng() * (rng() % 300);
            horusi_observe(&h, value[i]);
        }
        for (size_t i = 1; i < n && n <= 1000; i++)
            for (size_t k = i; k > 0 && value[k - 1] > value[k]; k--) {
                uint64_t t = value[k];
                value[k] = value[k - 1];
                value[k - 1] = t;
            }
        horusi_spread_of(&h, &sp);
        CHECK_EQ(sp.count, n);
        if (n > 1000)
            continue;
        CHECK_EQ(sp.max_ns, value[n - 1]);
        const uint64_t part[] = {500, 990, 999}, got[] = {sp.p50_ns, sp.p99_ns, sp.p99_9_ns};
        for (int k = 0; k < 3; k++) {
            uint64_t want = value[(part[k] * n + 999) / 1000 - 1];
            double off = want ? (double)got[k] / (double)want - 1 : 0;
            CHECK(off < 0.033 && off > -0.033);
        }
    }
}
static void run_until_killed(void *arg)
{
    (void)arg;
    horus_context *c = join(8 * MiB);
    static probe p, q;
    horus_scheduler *s = open_with(c, NULL, (horus_scheduler_desc){.name = "arm/left", .seed = 99});
    add_probe(s, &p, (horus_node_desc){.name = "control", .rate_num = 1000, .order = 3});
    add_probe(s, &q, (horus_node_desc){.name = "detector", .rate_hz = 59.94, .compute = true});
    test_raise(1);
    (void)horus_scheduler_run(s, HORUS_FOREVER);
}
TEST(figures_are_read_by_others_while_it_runs_and_after_a_kill)
{
    horus_context *c = join(8 * MiB);
    horus_scheduler_stats st;
    horus_node_stats n[4];
    size_t count = 0;
    CHECK_RESULT(horus_scheduler_read(c, "arm/left", &st, n, 4, &count), HORUS_E_NOT_FOUND);
    pid_t pid = test_fork(run_until_killed, NULL);
    test_await(1);
    uint64_t before = 0;
    for (int i = 0; i < 2000; i++) {
        if (horus_scheduler_read(c, "arm/left", &st, n, 4, &count) == HORUS_OK &&
            n[0].ticks > before + 20) {
            before = n[0].ticks; /* it goes on, and is seen to */
            if (before > 100)
                break;
        }
        test_sleep_us(1000);
    }
    CHECK(before > 100);
    CHECK_EQ(st.nodes, 2);
    CHECK(st.running);
    test_kill(pid);
    for (int i = 0; i < 3; i++) {
        uint32_t rows;
        CHECK_OK(horus_scheduler_read(c, "arm/left", &st, n, 4, &count));
        CHECK_EQ(count, 2);
        CHECK_EQ(st.pid, pid);
        CHECK_EQ(st.seed, 99);
        CHECK_TEXT(st.name, "arm/left");
        CHECK(st.running && st.end == HORUS_END_NONE && st.start_ns > 0 && st.passes > 20);
        CHECK_TEXT(n[0].name, "control");
        CHECK_EQ(n[0].rate_num, 1000);
        CHECK_EQ(n[0].order, 3);
        CHECK_EQ(n[0].state, HORUS_NODE_RUNNING);
        CHECK_TEXT(n[1].name, "detector");
        CHECK_EQ(n[1].rate_num, 2997);
        CHECK_EQ(n[1].rate_den, 50);
        CHECK(n[0].ticks >= before && n[1].ticks > 1);
        CHECK(n[0].spread[HORUS_SPREAD_WAKE].count + 1 >= n[0].ticks);
        CHECK(n[0].spread[HORUS_SPREAD_WAKE].max_ns >= n[0].spread[HORUS_SPREAD_WAKE].p99_ns);
        CHECK_OK(horus_scheduler_read(c, "arm/left", &st, n, 1, &count)); /* less room */
        CHECK_EQ(count, 1);
        CHECK_EQ(st.nodes, 2);
        CHECK_OK(horus_context_sweep(c, &rows)); /* the figures outlive that */
    }
    check_balanced(pool_of(c));
    horus_context_close(c);
}
static horus_result tick_in_parts(void *user, horus_tick *t)
{
    (void)user;
    horus_tick_part(t, 0, 1000, HORUS_OK);
    horus_tick_part(t, 0, 3000, HORUS_OK);
    horus_tick_part(t, 1, 5000, HORUS_E_LIMIT);
    horus_tick_part(t, 2, 5000, HORUS_OK); /* there is none */
    pid_t pid = fork();
    if (pid == 0) { /* these are its parent's */
        horus_tick_part(t, 0, 9000, HORUS_OK);
        _exit(0);
    }
    CHECK_JOIN(pid);
    return HORUS_OK;
}
TEST(parts_of_a_tick_have_figures_behind_those_of_the_nodes)
{
    horus_context *c = join(8 * MiB);
    fake f = {.now = 1};
    static probe p;
    static const char *const parts[] = {"left", "right", NULL};
    const char *many[66];
    char longer[70], name[HORUS_NAME_BYTES];
    memset(longer, 'p', sizeof longer);
    longer[69] = 0;
    memset(name, 'n', sizeof name);
    name[96] = 0;
    horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){.seed = 1});
    for (int i = 0; i < 66; i++)
        many[i] = i < 65 ? "part" : NULL;
    CHECK_RESULT(horus_scheduler_add(
                     s, &(horus_node_desc){.name = "x", .tick = tick_in_parts, .parts = many}),
                 HORUS_E_LIMIT);
    CHECK_OK(horus_scheduler_add(
        s,
        &(horus_node_desc){
            .name = "eyes", .tick = tick_in_parts, .rate_num = 1000, .order = 7, .parts = parts}));
    horus_scheduler_stats st;
    horus_node_stats n[5];
    size_t count;
    for (int round = 1; round <= 2; round++) { /* what is counted stays as nodes are added */
        CHECK_OK(horus_scheduler_run(s, 3 * (int64_t)ms));
        CHECK_OK(round == 1 ? horus_scheduler_get_stats(s, &st, n, 5, &count)
                            : horus_scheduler_read(c, "test", &st, n, 5, &count));
        const int at = round; /* of the first part */
        CHECK_EQ(count, round == 1 ? 3 : 5);
        CHECK_EQ(st.nodes, count);
        CHECK_TEXT(n[0].name, "eyes");
        CHECK_EQ(n[0].ticks, 3 * round);
        CHECK_TEXT(n[at].name, "eyes/left");
        CHECK_EQ(n[at].ticks, 6 * round);
        CHECK_EQ(n[at].failures, 0);
        CHECK_EQ(n[at].spread[HORUS_SPREAD_RUN].count, 6 * round);
        CHECK_EQ(n[at].spread[HORUS_SPREAD_RUN].max_ns, 3000);
        CHECK_EQ(n[at].spread[HORUS_SPREAD_RUN].mean_ns, 2000);
        CHECK_EQ(n[at].last_due_ns, n[0].last_due_ns);
        CHECK_EQ(n[at].order, 7);
        CHECK_EQ(n[at].rate_num, 0);
        CHECK_TEXT(n[at + 1].name, "eyes/right");
        CHECK_EQ(n[at + 1].ticks, 3 * round);
        CHECK_EQ(n[at + 1].failures, 3 * round);
        CHECK_EQ(n[at + 1].spread[HORUS_SPREAD_RUN].count, 0);
        if (round == 1) {
            many[0] = longer;
            many[1] = NULL;
            add_probe(s, &p, (horus_node_desc){.name = name, .rate_num = 1000, .parts = many});
        } else {
            CHECK_EQ(strlen(n[4].name), 96);
            CHECK(strstr(n[4].name, "n/p") && strspn(strstr(n[4].name, "/") + 1, "p") == 63);
        }
    }
    horus_tick_part(NULL, 0, 1, HORUS_OK);
    horus_tick_part(&(horus_tick){.scheduler = s, .index = 2}, 0, 1, HORUS_OK);
    horus_tick_part(&(horus_tick){.scheduler = NULL}, 0, 1, HORUS_OK);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}
TEST(figures_stay_after_close_and_the_newer_of_one_name_is_seen)
{
    horus_context *c = join(8 * MiB);
    horus_scheduler_stats st;
    horus_node_stats n;
    for (int i = 1; i <= 3; i++) {
        fake f = {.now = 1};
        static probe p;
        horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){.seed = (uint64_t)i});
        add_probe(s, &p, (horus_node_desc){.name = "n", .rate_num = 1000});
        CHECK_OK(horus_scheduler_run(s, i * (int64_t)ms));
        CHECK_OK(horus_scheduler_close(s));
        CHECK_OK(horus_scheduler_read(c, "test", &st, &n, 1, NULL));
        CHECK_EQ(st.seed, i);
        CHECK_EQ(st.end, HORUS_END_DURATION);
        CHECK_EQ(n.ticks, i);
        CHECK_EQ(n.state, HORUS_NODE_IDLE);
    }
    CHECK(stats_of(pool_of(c)).used_bytes <
          4 * horusi_sched_bytes(1)); /* the older ones are gone */
    check_balanced(pool_of(c));
    horus_context_close(c);
}
/* Readers that stand still in the middle of it, as many as there may be. */
TEST(so_many_read_figures_at_a_time_and_the_next_is_told_the_limit)
{
    horus_context *c = join(8 * MiB);
    fake f = {.now = 3};
    static probe p;
    horus_topic *reader[HORUSI_SCHED_HANDLES - 1];
    horus_scheduler_stats st;
    horus_record r;
    size_t count;
    horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){0});
    add_probe(s, &p, (horus_node_desc){.name = "n"});
    CHECK_OK(horus_scheduler_run(s, 1));
    for (unsigned i = 0; i < HORUSI_SCHED_HANDLES - 1; i++)
        REQUIRE_OK(horus_topic_open(
            &reader[i], "horus.scheduler/test",
            &(horus_topic_desc){.type = &horus_tensor_type, .capacity = 1, .context = c}));
    CHECK_RESULT(horus_scheduler_read(c, "test", &st, NULL, 0, NULL), HORUS_E_LIMIT);
    CHECK_TEXT(horus_last_error(), "scheduler_read of test");
    CHECK_TEXT(horus_last_error(), "40 handles are open, which is the limit");
    CHECK_RESULT(horus_scheduler_read_records(c, "test", &r, 1, &count), HORUS_E_LIMIT);
    horus_topic_close(reader[0]);
    CHECK_OK(horus_scheduler_read(c, "test", &st, NULL, 0, NULL)); /* the 39th */
    CHECK_EQ(st.nodes, 1);
    for (unsigned i = 1; i < HORUSI_SCHED_HANDLES - 1; i++)
        horus_topic_close(reader[i]);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}
TEST(garbage_in_place_of_figures_is_found_out)
{
    horus_context *c = join(8 * MiB);
    horus_scheduler_stats st;
    horus_node_stats n[8];
    size_t count;
    for (int i = 0; i < TEST_TIMES(300); i++) {
        horus_tensor m;
        horus_topic *t;
        rng_state = (uint64_t)i + 1;
        int64_t bytes = i < 3 ? (int64_t[]){1, 191, 192}[i] : (int64_t)(rng() % 60000 + 1);
        REQUIRE_OK(horus_tensor_alloc(&m, pool_of(c), HORUS_U8, 1, &bytes, 0));
        for (int64_t k = 0; k < bytes; k++)
            ((uint8_t *)m.data)[k] = (uint8_t)rng();
        horusi_sched_block *b = m.data;
        if (bytes >= 192 && i % 4) { /* more and more of it true */
            b->magic = HORUSI_SCHED_MAGIC;
            if (i % 4 > 1)
                b->nodes = i % 4 == 2
                               ? rng() % 6
                               : (uint32_t)((uint64_t)(bytes - 192) / sizeof(horusi_node_block));
        }
        REQUIRE_OK(horus_topic_open(
            &t, "horus.scheduler/test",
            &(horus_topic_desc){.type = &horus_tensor_type, .capacity = 1, .context = c}));
        REQUIRE_OK(horus_topic_send_tensor(t, &m, 0));
        memset(&st, 0xee, sizeof st);
        horus_result r = horus_scheduler_read(c, "test", &st, n, 8, &count);
        CHECK(r == HORUS_OK || r == HORUS_E_CORRUPT);
        if (i % 4 == 3 && bytes >= 192)
            CHECK_EQ(r, HORUS_OK);
        if (i % 4 == 0 || bytes < 192)
            CHECK_EQ(r, HORUS_E_CORRUPT);
        if (r != HORUS_OK)
            CHECK_ZERO(st);
        horus_record records[8];
        size_t found = 77;
        horus_result e = horus_scheduler_read_records(c, "test", records, 8, &found);
        CHECK(e == HORUS_OK ? r == HORUS_OK && found <= 8 : e == HORUS_E_CORRUPT && found == 0);
        for (size_t k = 0; r == HORUS_OK && k < count; k++)
            CHECK(n[k].state <= HORUS_NODE_FAILED && memchr(n[k].name, 0, sizeof n[k].name));
        CHECK_OK(horus_tensor_release(&m));
        horus_topic_close(t);
    }
    /* true figures in a tensor that is none of theirs */
    for (int i = 0; i < 4; i++) {
        horus_tensor m;
        horus_topic *t;
        int64_t shape[2] = {400, 1};
        size_t found;
        horus_record record;
        REQUIRE_OK(horus_tensor_alloc(&m, pool_of(c), i == 1 ? HORUS_I8 : HORUS_U8, i == 2 ? 2 : 1,
                                      shape, 0));
        horusi_sched_block *b = m.data;
        memset(b, 0, 400);
        b->magic = HORUSI_SCHED_MAGIC;
        if (i == 3) {
            m.shape[0] = 200;
            m.strides_bytes[0] = 2;
        }
        REQUIRE_OK(horus_topic_open(
            &t, "horus.scheduler/test",
            &(horus_topic_desc){.type = &horus_tensor_type, .capacity = 1, .context = c}));
        REQUIRE_OK(horus_topic_send_tensor(t, &m, 0));
        horus_result want = i ? HORUS_E_CORRUPT : HORUS_OK;
        CHECK_RESULT(horus_scheduler_read(c, "test", &st, n, 8, &count), want);
        CHECK_RESULT(horus_scheduler_read_records(c, "test", &record, 1, &found), want);
        CHECK_OK(horus_tensor_release(&m));
        horus_topic_close(t);
    }
    /* something else under that name */
    horus_topic *t;
    REQUIRE_OK(horus_topic_open(&t, "horus.scheduler/other", &(horus_topic_desc){.context = c}));
    REQUIRE_OK(horus_topic_send(t, "x", 1, 0));
    CHECK(horus_scheduler_read(c, "other", &st, n, 8, &count) < 0);
    horus_topic_close(t);
    horus_context_close(c);
}
static horus_result tick_with_data(void *user, horus_tick *t)
{
    (void)user;
    if (t->count == 10) /* a clock that runs ahead: no age at all */
        horus_tick_used(t, t->now_ns + 1000000);
    else if (t->count >= 3) { /* the oldest of what it used */
        horus_tick_used(t, t->now_ns - 2000000);
        horus_tick_used(t, t->now_ns - 5000000);
        horus_tick_used(t, t->now_ns - 1000000);
        horus_tick_used(t, 0);
    }
    horus_tick_used(NULL, 1);
    return HORUS_OK;
}
TEST(the_age_of_data_is_that_of_the_oldest)
{
    horus_context *c = join(8 * MiB);
    fake f = {.now = second};
    horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){0});
    REQUIRE_OK(horus_scheduler_add(
        s, &(horus_node_desc){.name = "n", .tick = tick_with_data, .rate_num = 100}));
    CHECK_OK(horus_scheduler_run(s, (int64_t)(100 * ms)));
    horus_spread age = stats_at(s, 0).spread[HORUS_SPREAD_AGE];
    CHECK_EQ(age.count, 7);
    CHECK_EQ(age.max_ns, 5 * ms);
    CHECK_EQ(age.mean_ns, 5 * ms);
    CHECK_OK(horus_scheduler_run(s, 1));
    age = stats_at(s, 0).spread[HORUS_SPREAD_AGE];
    CHECK_EQ(age.count, 8);
    CHECK_EQ(age.mean_ns, 5 * ms * 7 / 8);
    CHECK_OK(horus_scheduler_close(s));
    /* in a step the clocks differ: no age is told */
    s = open_with(c, NULL, (horus_scheduler_desc){.name = "steps"});
    REQUIRE_OK(horus_scheduler_add(
        s, &(horus_node_desc){.name = "n", .tick = tick_with_data, .rate_num = 1000}));
    CHECK_OK(horus_scheduler_step(s, (int64_t)(8 * ms)));
    CHECK_EQ(stats_at(s, 0).ticks + stats_at(s, 0).skipped, 8);
    CHECK(stats_at(s, 0).ticks > 3);
    CHECK_EQ(stats_at(s, 0).spread[HORUS_SPREAD_AGE].count, 0);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}

/* ---- nodes beside the loop */

static horus_result slow_tick(void *user, horus_tick *t)
{
    probe *p = user;
    (void)t;
    p->ticks++;
    test_sleep_us(60000);
    return HORUS_OK;
}
/* A detector that sleeps 60 ms at 10 Hz beside a loop at 1 kHz: were it in the loop, the control node
 * would miss 60 of each 100 ticks. */
TEST(compute_nodes_do_not_delay_ordered_ones)
{
    horus_context *c = join(8 * MiB);
    static probe p, q[3];
    horus_scheduler *s = open_with(c, NULL, (horus_scheduler_desc){.workers = 2});
    add_probe(s, &p, (horus_node_desc){.name = "control", .rate_num = 1000});
    for (int i = 0; i < 3; i++) { /* three on two threads */
        char name[8];
        (void)snprintf(name, sizeof name, "d%d", i);
        add_probe(
            s, &q[i],
            (horus_node_desc){.name = name, .tick = slow_tick, .rate_num = 5, .compute = true});
    }
    CHECK_OK(horus_scheduler_run(s, (int64_t)second));
    CHECK_EQ(stats_at(s, 0).ticks + stats_at(s, 0).skipped, 1000);
    CHECK_TIMELY(p.ticks > 500); /* of 1000: five sleeps of 60 ms, thrice, are not felt */
    for (uint32_t i = 1; i < 4; i++) {
        CHECK_EQ(stats_at(s, i).ticks + stats_at(s, i).skipped, 5);
        CHECK_TIMELY(q[i - 1].ticks >= 2);
        CHECK_EQ(q[i - 1].shutdowns, 1);
    }
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}
typedef struct listener {
    horus_topic *topic;
    uint64_t ticks, got, wrong, last;
    uint64_t leave; /* do not receive in so many ticks */
    uint64_t stop_at;
} listener;
static horus_result listen_tick(void *user, horus_tick *t)
{
    listener *l = user;
    uint64_t n;
    horus_info info;
    l->ticks++;
    if (l->leave) {
        l->leave--;
        return HORUS_OK;
    }
    while (horus_topic_receive(l->topic, &n, sizeof n, &info, HORUS_NO_WAIT) == HORUS_OK) {
        l->wrong += n != ++l->last;
        l->got++;
        horus_tick_used(t, info.publish_ns);
    }
    if (l->got >= l->stop_at)
        horus_scheduler_stop(t->scheduler);
    return HORUS_OK;
}
static void *send_some(void *arg)
{
    horus_topic *t = arg;
    for (uint64_t n = 1; n <= 200; n++) {
        CHECK_OK(horus_topic_send(t, &n, sizeof n, HORUS_NO_WAIT));
        test_sleep_us(n % 10 ? 100 : 3000);
    }
    return NULL;
}
TEST(a_node_on_a_topic_ticks_when_there_is_a_message)
{
    horus_context *c = join(8 * MiB);
    horus_topic *out;
    pthread_t thread;
    static probe p;
    static listener l = {.stop_at = 200};
    REQUIRE_OK(horus_topic_open(&l.topic, "numbers", &(horus_topic_desc){.context = c}));
    REQUIRE_OK(horus_topic_open(&out, "numbers",
                                &(horus_topic_desc){.context = c, .flags = HORUS_PUBLISHER}));
    horus_scheduler *s = open_with(c, NULL, (horus_scheduler_desc){0});
    add_probe(s, &p, (horus_node_desc){.name = "beside", .rate_num = 100});
    REQUIRE_OK(horus_scheduler_add(
        s, &(horus_node_desc){
               .name = "listener", .tick = listen_tick, .user = &l, .on_topic = l.topic}));
    REQUIRE(pthread_create(&thread, NULL, send_some, out) == 0);
    CHECK_OK(horus_scheduler_run(s, (int64_t)(30 * second)));
    (void)pthread_join(thread, NULL);
    CHECK_EQ(l.got, 200);
    CHECK_EQ(l.wrong, 0);
    CHECK(l.ticks <= 200);
    CHECK_TIMELY(l.ticks >= 10);
    horus_node_stats st = stats_at(s, 1);
    CHECK_EQ(st.ticks, l.ticks);
    CHECK_EQ(st.rate_num, 0);
    CHECK_EQ(st.spread[HORUS_SPREAD_AGE].count, st.ticks);
    CHECK(st.spread[HORUS_SPREAD_WAKE].max_ns < 20 * second &&
          st.spread[HORUS_SPREAD_WAKE].max_ns > 0);
    /* nobody sends: no tick, and its end comes. A message that is left is offered again, not in a spin */
    uint64_t ticks = l.ticks, n = 201;
    CHECK_OK(horus_scheduler_run(s, (int64_t)(50 * ms)));
    CHECK_EQ(l.ticks, ticks);
    l.leave = 100;
    l.stop_at = 201;
    CHECK_OK(horus_topic_send(out, &n, sizeof n, HORUS_NO_WAIT));
    uint64_t begin = horus_now_ns();
    CHECK_OK(horus_scheduler_run(s, (int64_t)(30 * second)));
    CHECK_EQ(l.got, 201);
    CHECK_EQ(l.ticks, ticks + 101);
    CHECK(horus_now_ns() - begin >= 100 * ms);
    CHECK_OK(horus_scheduler_close(s));
    horus_topic_close(out);
    horus_topic_close(l.topic);
    horus_context_close(c);
}

static horus_result init_once(void *user)
{
    return ((probe *)user)->inits++ ? HORUS_E_SYSTEM : HORUS_OK;
}
TEST(a_topic_ticks_one_node_alone)
{
    horus_context *c = join(8 * MiB);
    static probe p;
    horus_topic *t;
    REQUIRE_OK(horus_topic_open(&t, "t", &(horus_topic_desc){.context = c}));
    horus_scheduler *s = open_with(c, NULL, (horus_scheduler_desc){0});
    add_probe(s, &p, (horus_node_desc){.name = "first", .on_topic = t});
    CHECK_RESULT(horus_scheduler_add(
                     s, &(horus_node_desc){.name = "second", .tick = probe_tick, .on_topic = t}),
                 HORUS_E_ARG);
    CHECK_TEXT(horus_last_error(), "node second: node first has that on_topic");
    CHECK_OK(horus_scheduler_close(s));
    horus_topic_close(t);
    horus_context_close(c);
}
TEST(a_node_on_a_topic_pauses_comes_back_and_ends)
{
    horus_context *c = join(8 * MiB);
    horus_topic *in[3], *out;
    static probe p[3]; /* one fails too often, one is not begun again, one pauses until the end */
    horus_scheduler *s = open_with(c, NULL, (horus_scheduler_desc){0});
    REQUIRE_OK(
        horus_topic_open(&out, "t", &(horus_topic_desc){.context = c, .flags = HORUS_PUBLISHER}));
    for (int i = 0; i < 3; i++) {
        REQUIRE_OK(horus_topic_open(&in[i], "t", &(horus_topic_desc){.context = c}));
        p[i].result = HORUS_E_NOT_FOUND;
        p[i].fail_times = UINT64_MAX;
        REQUIRE_OK(
            horus_scheduler_add(s, &(horus_node_desc){.name = (const char *[]){"a", "b", "c"}[i],
                                                      .tick = probe_tick,
                                                      .init = i == 1 ? init_once : probe_init,
                                                      .shutdown = probe_shutdown,
                                                      .user = &p[i],
                                                      .on_topic = in[i],
                                                      .on_failure = HORUS_FAILURE_RESTART,
                                                      .max_failures = i == 1 ? 1 : 2,
                                                      .pause_ns = i == 2 ? 5000000000 : 2000000}));
    }
    CHECK_OK(horus_topic_send(out, "x", 1, HORUS_NO_WAIT)); /* none of them takes it */
    CHECK_OK(horus_scheduler_run(s, (int64_t)(150 * ms)));
    static const unsigned ticks[] = {3, 1, 1}, inits[] = {3, 2, 1}, failures[] = {3, 2, 1};
    for (uint32_t i = 0; i < 3; i++) {
        horus_node_stats st = stats_at(s, i);
        CHECK_EQ(p[i].shutdowns, st.ticks);
        if (!CHECK_TIMELY(st.failures == failures[i]))
            continue; /* the run was over before */
        CHECK_EQ(st.ticks, ticks[i]);
        CHECK_EQ(p[i].inits, inits[i]);
        CHECK_EQ(st.restarts, i == 0 ? 2 : 0);
        CHECK_EQ(st.state, i < 2 ? HORUS_NODE_FAILED : HORUS_NODE_IDLE);
    }
    CHECK_OK(horus_scheduler_close(s));
    for (int i = 0; i < 3; i++)
        horus_topic_close(in[i]);
    horus_topic_close(out);
    horus_context_close(c);
}
TEST(nodes_on_topics_pause_in_steps_as_in_runs)
{
    horus_context *c = join(8 * MiB);
    horus_topic *in[4], *out;
    static probe p[4];
    horus_scheduler *s = open_with(c, NULL, (horus_scheduler_desc){0});
    REQUIRE_OK(
        horus_topic_open(&out, "t", &(horus_topic_desc){.context = c, .flags = HORUS_PUBLISHER}));
    for (int i = 0; i < 4; i++) {
        REQUIRE_OK(horus_topic_open(&in[i], "t", &(horus_topic_desc){.context = c}));
        p[i].result = i == 2 ? HORUS_OK : HORUS_E_NOT_FOUND;
        p[i].fail_times = 1;
    }
    p[2].init_result = HORUS_E_SYSTEM;
    add_probe(s, &p[0],
              (horus_node_desc){.name = "pauses",
                                .on_topic = in[0],
                                .on_failure = HORUS_FAILURE_SKIP,
                                .max_failures = 1,
                                .pause_ns = 3600000000000});
    REQUIRE_OK(horus_scheduler_add(s, &(horus_node_desc){.name = "ends",
                                                         .tick = probe_tick,
                                                         .init = init_once,
                                                         .user = &p[1],
                                                         .on_topic = in[1],
                                                         .on_failure = HORUS_FAILURE_RESTART,
                                                         .max_failures = 1,
                                                         .pause_ns = 3600000000000}));
    add_probe(s, &p[2], (horus_node_desc){.name = "never", .on_topic = in[2]});
    add_probe(s, &p[3],
              (horus_node_desc){.name = "rests",
                                .on_topic = in[3],
                                .on_failure = HORUS_FAILURE_RESTART,
                                .pause_ns = 86400000000000});
    CHECK_OK(horus_topic_send(out, "x", 1, HORUS_NO_WAIT));
    for (int i = 0; i < 10; i++) /* an hour is longer than the steps' ticks can take */
        CHECK_OK(horus_scheduler_step(s, (int64_t)ms));
    CHECK_EQ(p[0].ticks, 1);
    CHECK_EQ(stats_at(s, 0).state, HORUS_NODE_PAUSED);
    CHECK_EQ(p[1].ticks, 1);
    CHECK_EQ(stats_at(s, 1).state, HORUS_NODE_PAUSED);
    CHECK_OK(horus_scheduler_step(s, (int64_t)(3601 * second)));
    CHECK_EQ(p[0].ticks, 2);
    CHECK_EQ(stats_at(s, 0).state, HORUS_NODE_RUNNING);
    CHECK_EQ(p[1].ticks, 1);
    CHECK_EQ(p[1].inits, 2);
    CHECK_EQ(stats_at(s, 1).state, HORUS_NODE_FAILED);
    CHECK_EQ(p[2].ticks, 0);
    CHECK_EQ(stats_at(s, 2).state, HORUS_NODE_FAILED);
    CHECK_EQ(stats_at(s, 3).state, HORUS_NODE_PAUSED);
    CHECK_OK(horus_scheduler_close(s));
    horus_scheduler_stats st;
    horus_node_stats n[4];
    CHECK_OK(horus_scheduler_read(c, "test", &st, n, 4, NULL));
    CHECK_EQ(n[0].state, HORUS_NODE_IDLE);
    CHECK_EQ(n[1].state, HORUS_NODE_FAILED);
    CHECK_EQ(n[3].state, HORUS_NODE_IDLE); /* it does not come back */
    CHECK_EQ(p[0].shutdowns, 1);
    CHECK_EQ(p[3].shutdowns, 1); /* as its pause began */
    for (int i = 0; i < 4; i++)
        horus_topic_close(in[i]);
    horus_topic_close(out);
    horus_context_close(c);
}
TEST(a_late_node_on_a_topic_leaves_out_all_but_the_newest_message)
{
    horus_context *c = join(8 * MiB);
    horus_topic *out;
    static listener l = {.stop_at = UINT64_MAX};
    REQUIRE_OK(horus_topic_open(&l.topic, "t", &(horus_topic_desc){.context = c}));
    REQUIRE_OK(
        horus_topic_open(&out, "t", &(horus_topic_desc){.context = c, .flags = HORUS_PUBLISHER}));
    horus_scheduler *s = open_with(c, NULL, (horus_scheduler_desc){0});
    REQUIRE_OK(horus_scheduler_add(s, &(horus_node_desc){.name = "n",
                                                         .tick = listen_tick,
                                                         .user = &l,
                                                         .on_topic = l.topic,
                                                         .budget_ns = 1,
                                                         .on_miss = HORUS_MISS_SKIP}));
    uint64_t n = 1;
    CHECK_OK(horus_topic_send(out, &n, sizeof n, HORUS_NO_WAIT));
    CHECK_OK(horus_scheduler_step(s, (int64_t)ms)); /* over its budget, as any tick is */
    for (n = 2; n <= 5; n++)
        CHECK_OK(horus_topic_send(out, &n, sizeof n, HORUS_NO_WAIT));
    l.last = 4;
    CHECK_OK(horus_scheduler_step(s, (int64_t)ms));
    CHECK_EQ(l.ticks, 2);
    CHECK_EQ(l.got, 2);
    CHECK_EQ(l.wrong, 0); /* 1 and 5 */
    CHECK_EQ(stats_at(s, 0).skipped, 3);
    CHECK_EQ(stats_at(s, 0).budget_misses, 2);
    CHECK_OK(horus_topic_send(out, &n, sizeof n, HORUS_NO_WAIT)); /* a lone one is the newest */
    CHECK_OK(horus_scheduler_step(s, (int64_t)ms));
    CHECK_EQ(l.got, 3);
    CHECK_EQ(l.wrong, 0);
    CHECK_EQ(stats_at(s, 0).skipped, 3);
    CHECK_OK(horus_scheduler_close(s));
    horus_topic_close(out);
    horus_topic_close(l.topic);
    horus_context_close(c);
}
static void *wait_for_a_message(void *arg)
{
    horus_result r;
    while ((r = horus_topic_wait(arg, HORUS_FOREVER)) == HORUS_E_BUSY)
        test_sleep_us(100); /* we look whether it waits */
    CHECK_OK(r);
    return NULL;
}
TEST(a_topic_that_cannot_be_waited_for_is_a_failure)
{
    horus_context *c = join(8 * MiB);
    horus_topic *in, *out;
    static probe p;
    pthread_t thread;
    REQUIRE_OK(horus_topic_open(&in, "t", &(horus_topic_desc){.context = c}));
    REQUIRE_OK(
        horus_topic_open(&out, "t", &(horus_topic_desc){.context = c, .flags = HORUS_PUBLISHER}));
    /* a handle is one thread's at a time */
    horus_scheduler *s = open_with(c, NULL, (horus_scheduler_desc){0});
    add_probe(s, &p, (horus_node_desc){.name = "a", .on_topic = in});
    REQUIRE(pthread_create(&thread, NULL, wait_for_a_message, in) == 0);
    while (horus_topic_wait(in, HORUS_NO_WAIT) != HORUS_E_BUSY)
        test_sleep_us(1000); /* until it waits */
    CHECK_OK(horus_scheduler_run(s, (int64_t)(300 * ms)));
    uint64_t failures = stats_at(s, 0).failures;
    CHECK_TIMELY(failures >= 1);
    CHECK(failures < 100); /* and it is not tried in a spin */
    CHECK_EQ(p.ticks, 0);
    CHECK_OK(horus_scheduler_close(s));
    s = open_with(c, NULL, (horus_scheduler_desc){0});
    add_probe(s, &p, (horus_node_desc){.name = "a", .on_topic = in});
    for (int i = 0; i < 5000 && (i == 0 || stats_at(s, 0).failures == 0); i++) {
        CHECK_OK(horus_scheduler_step(s, (int64_t)ms));
        test_sleep_us(1000);
    }
    CHECK(stats_at(s, 0).failures > 0);
    CHECK_OK(horus_topic_send(out, "x", 1, HORUS_NO_WAIT));
    (void)pthread_join(thread, NULL);
    CHECK_OK(horus_scheduler_step(s, (int64_t)ms));
    CHECK_EQ(p.ticks, 1);
    CHECK_OK(horus_scheduler_close(s));
    horus_topic_close(out);
    horus_topic_close(in);
    horus_context_close(c);
}
static horus_topic *late_out;
static void *stop_and_send(void *arg)
{
    test_await(3);
    test_sleep_us(10000); /* its node waits by now */
    horus_scheduler_stop(arg);
    CHECK_OK(horus_topic_send(late_out, "x", 1, HORUS_NO_WAIT));
    return NULL;
}
TEST(a_message_after_stop_is_not_ticked)
{
    horus_context *c = join(8 * MiB);
    horus_topic *in;
    static probe p, q;
    pthread_t thread;
    REQUIRE_OK(horus_topic_open(&in, "t", &(horus_topic_desc){.context = c}));
    REQUIRE_OK(horus_topic_open(&late_out, "t",
                                &(horus_topic_desc){.context = c, .flags = HORUS_PUBLISHER}));
    horus_scheduler *s = open_with(c, NULL, (horus_scheduler_desc){0});
    add_probe(s, &p, (horus_node_desc){.name = "tells", .tick = tick_that_tells, .rate_num = 1});
    add_probe(s, &q, (horus_node_desc){.name = "listens", .on_topic = in});
    REQUIRE(pthread_create(&thread, NULL, stop_and_send, s) == 0);
    CHECK_OK(horus_scheduler_run(s, HORUS_FOREVER));
    (void)pthread_join(thread, NULL);
    CHECK_EQ(p.ticks, 1);
    CHECK_EQ(q.ticks, 0);
    CHECK_OK(horus_scheduler_close(s));
    horus_topic_close(late_out);
    horus_topic_close(in);
    horus_context_close(c);
}
TEST(a_message_of_a_clock_that_runs_ahead_is_due_now)
{
    horus_context *c = join(8 * MiB);
    horus_topic *in, *out;
    static probe p;
    REQUIRE_OK(horus_topic_open(&in, "t", &(horus_topic_desc){.context = c}));
    REQUIRE_OK(
        horus_topic_open(&out, "t", &(horus_topic_desc){.context = c, .flags = HORUS_PUBLISHER}));
    horus_scheduler *s = open_with(c, NULL, (horus_scheduler_desc){0});
    add_probe(s, &p, (horus_node_desc){.name = "n", .on_topic = in});
    p.stop_at = 1;
    CHECK_OK(horus_topic_send(out, "x", 1, HORUS_NO_WAIT));
    horusi_entry *e = NULL;
    for (uint32_t i = 0; i < out->out->capacity && (!e || horusi_ld64_rlx(C2, &e->seq) != 2); i++)
        e = horusi_entry_at(out->out->entries, out->out->stride, i);
    REQUIRE(e && horusi_ld64_rlx(C2, &e->seq) == 2);
    horusi_st64_rlx(C1, &e->stamp, horusi_ld64_rlx(C2, &e->stamp) + 1000 * second);
    CHECK_OK(horus_scheduler_run(s, (int64_t)(20 * second)));
    CHECK_EQ(p.ticks, 1);
    CHECK_EQ(p.due[0], p.now[0]);
    CHECK_EQ(stats_at(s, 0).spread[HORUS_SPREAD_WAKE].max_ns, 0);
    CHECK_OK(horus_scheduler_close(s));
    horus_topic_close(out);
    horus_topic_close(in);
    horus_context_close(c);
}

static void *just_return(void *arg) { return arg; }

/* ---- real time, admission, determinism, black box */

TEST(real_time_is_asked_for_and_what_was_refused_is_told)
{
    horus_context *c = join(8 * MiB);
    static probe p, q;
    struct sched_param before, after;
    int policy, policy_after;
    cpu_set_t cores, cores_after;
    (void)pthread_getschedparam(pthread_self(), &policy, &before);
    (void)sched_getaffinity(0, sizeof cores, &cores);
    int core = 0;
    while (!CPU_ISSET((size_t)core, &cores))
        core++;
    horus_scheduler *s = open_with(c, NULL,
                                   (horus_scheduler_desc){.flags = HORUS_REALTIME,
                                                          .priority = 5,
                                                          .cores = core < 64 ? 1ull << core : 0});
    horus_capabilities can;
    CHECK_RESULT(horus_scheduler_get_capabilities(s, &can), HORUS_E_NOT_FOUND);
    add_probe(s, &p, (horus_node_desc){.name = "control", .rate_num = 1000});
    add_probe(
        s, &q,
        (horus_node_desc){
            .name = "beside", .rate_num = 100, .compute = true, .priority = 3, .core = core + 1});
    CHECK_OK(horus_scheduler_run(s, (int64_t)(50 * ms)));
    CHECK_OK(horus_scheduler_get_capabilities(s, &can));
    CHECK_EQ(can.wanted, 31);
    CHECK_EQ(can.got & ~can.wanted, 0);
    CHECK_EQ(can.degradations[0] != 0, can.got != can.wanted);
    CHECK(can.got & HORUS_CAN_SHARE);
    printf("real time: wanted %u, got %u; %s\n", can.wanted, can.got,
           can.degradations[0] ? can.degradations : "nothing refused");
    CHECK_EQ(stats_at(s, 0).ticks + stats_at(s, 0).skipped, 50);
    CHECK_TIMELY(p.ticks > 0 && q.ticks > 0);
    (void)pthread_getschedparam(pthread_self(), &policy_after, &after); /* given back */
    (void)sched_getaffinity(0, sizeof cores_after, &cores_after);
    CHECK_EQ(policy_after, policy);
    CHECK_EQ(after.sched_priority, before.sched_priority);
    CHECK(CPU_EQUAL(&cores, &cores_after));
    CHECK_OK(horus_scheduler_close(s));
    /* a processor that is not there is told, and no obstacle unless that is asked for */
    for (int strict = 0; strict < 2; strict++) {
        s = open_with(c, NULL,
                      (horus_scheduler_desc){.flags = strict ? HORUS_REALTIME_OR_FAIL : 0});
        memset(&p, 0, sizeof p);
        memset(&q, 0, sizeof q);
        add_probe(s, &p, (horus_node_desc){.name = "control", .rate_num = 1000});
        add_probe(
            s, &q,
            (horus_node_desc){.name = "nowhere", .rate_num = 100, .compute = true, .core = 1000});
        CHECK_RESULT(horus_scheduler_run(s, (int64_t)(20 * ms)),
                     strict ? HORUS_E_PERMISSION : HORUS_OK);
        if (strict)
            CHECK_TEXT(horus_last_error(), "nowhere");
        CHECK_OK(horus_scheduler_get_capabilities(s, &can));
        CHECK(!(can.got & HORUS_CAN_CORES));
        CHECK_TEXT(can.degradations, "binding to processors for nowhere");
        CHECK_EQ(p.ticks == 0, strict);
        CHECK_EQ(p.inits, 1);
        CHECK_EQ(p.shutdowns, 1);
        CHECK_OK(horus_scheduler_close(s));
    }
    /* the watchdog of the highest has the same */
    s = open_with(
        c, NULL,
        (horus_scheduler_desc){.flags = HORUS_REALTIME, .priority = 99, .watchdog_ns = 1000000});
    CHECK_RESULT(horus_scheduler_get_capabilities(s, NULL), HORUS_E_ARG);
    memset(&p, 0, sizeof p);
    add_probe(s, &p, (horus_node_desc){.name = "control", .rate_num = 1000});
    CHECK_OK(horus_scheduler_run(s, (int64_t)(5 * ms)));
    CHECK_EQ(p.ticks + stats_at(s, 0).skipped, 5);
    CHECK_OK(horus_scheduler_get_capabilities(s, &can));
    CHECK(can.wanted & HORUS_CAN_FIFO);
    CHECK_OK(horus_scheduler_step(s, (int64_t)(5 * ms))); /* a step has neither */
    CHECK_OK(horus_scheduler_get_capabilities(s, &can));
    CHECK_EQ(can.wanted, HORUS_CAN_SHARE);
    CHECK_OK(horus_scheduler_close(s));
    CHECK_RESULT(horus_scheduler_get_capabilities(NULL, &can), HORUS_E_ARG);
    horus_context_close(c);
}
/* SCHED_DEADLINE: what the thread of a tick has, and what is told. */
static int tick_policy;
static horus_result tick_that_tells_its_policy(void *user, horus_tick *t)
{
    (void)t;
    ((probe *)user)->ticks++;
    tick_policy = (int)syscall(SYS_sched_getscheduler, 0) & ~0x40000000; /* SCHED_RESET_ON_FORK */
    pthread_t other;
    if (CHECK(pthread_create(&other, NULL, just_return, NULL) == 0)) /* it may start threads */
        (void)pthread_join(other, NULL);
    return HORUS_OK;
}
/* Ends with 0 if this machine has it for a reservation of 1 ms in 10. */
static void ask_for_the_deadline_class(void *arg)
{
    uint32_t a[12] = {48, 6}; /* size, policy; then flags, nice, priority */
    const uint64_t times[3] = {1000000, 10000000, 10000000};
    (void)arg;
    memcpy(a + 6, times, sizeof times);
    _exit(syscall(SYS_sched_setattr, 0, a, 0) == 0 ? 0 : 1);
}
TEST(the_deadline_class_is_asked_for_and_gives_way_to_fifo)
{
    enum { PLAIN, NO_BUDGET, ONE_WITHOUT, TOO_LARGE, TWO, TOPIC, NOT_REAL, CASES };
    horus_context *c = join(8 * MiB);
    const int was = (int)syscall(SYS_sched_getscheduler, 0);
    const bool may = test_wait(test_fork(ask_for_the_deadline_class, NULL)) == 0;
    for (int k = 0; k < CASES; k++) {
        static probe p, q;
        horus_capabilities can;
        horus_topic *t = NULL;
        horus_scheduler *s = open_with(
            c, NULL,
            (horus_scheduler_desc){.flags = HORUS_REALTIME_DEADLINE |
                                            (k == NOT_REAL ? 0u : (uint32_t)HORUS_REALTIME)});
        memset(&p, 0, sizeof p);
        tick_policy = -1;
        add_probe(s, &p,
                  (horus_node_desc){.name = "control",
                                    .tick = tick_that_tells_its_policy,
                                    .rate_num = 100,
                                    .budget_ns = k == NO_BUDGET   ? 0
                                                 : k == TOO_LARGE ? 11000000
                                                                  : 1000000});
        if (k == TWO || k == ONE_WITHOUT)
            add_probe(s, &q,
                      (horus_node_desc){.name = "b",
                                        .rate_num = 10,
                                        .order = k == TWO ? 1 : -1,
                                        .budget_ns = k == TWO ? 500000 : 0});
        if (k == TOPIC) {
            REQUIRE_OK(horus_topic_open(&t, "t", &(horus_topic_desc){.context = c}));
            add_probe(s, &q, (horus_node_desc){.name = "listener", .on_topic = t});
        }
        CHECK_OK(horus_scheduler_run(s, (int64_t)(60 * ms)));
        CHECK_EQ(stats_at(s, 0).ticks + stats_at(s, 0).skipped, 6);
        CHECK_OK(horus_scheduler_get_capabilities(s, &can));
        bool had = (can.got & HORUS_CAN_DEADLINE) != 0, fifo = (can.got & HORUS_CAN_FIFO) != 0;
        printf("deadline class: case %d: wanted %u, got %u; %s\n", k, can.wanted, can.got,
               can.degradations);
        bool can_have = may && (k == PLAIN || k == TWO || k == TOPIC);
        CHECK_EQ((can.wanted & HORUS_CAN_DEADLINE) != 0, k != NOT_REAL);
        CHECK_EQ(had, can_have && k != TOPIC);
        CHECK_EQ((can.wanted & HORUS_CAN_FIFO) != 0, k != NOT_REAL && !can_have);
        if (k == NO_BUDGET || k == ONE_WITHOUT || k == TOO_LARGE)
            CHECK_TEXT(can.degradations, "SCHED_DEADLINE for the ordered nodes: Invalid argument");
        if (k == TOPIC)
            CHECK_TEXT(can.degradations, "SCHED_DEADLINE for listener: Invalid argument");
        if ((k == PLAIN || k == TWO) && !may)
            CHECK_TEXT(can.degradations, "SCHED_DEADLINE for the ordered nodes");
        if (p.ticks > 0)
            CHECK_EQ(tick_policy, can_have ? 6 : fifo ? SCHED_FIFO : was);
        CHECK_EQ((int)syscall(SYS_sched_getscheduler, 0), was); /* given back */
        CHECK_OK(horus_scheduler_close(s));
        horus_topic_close(t);
    }
    horus_capabilities can;
    horus_scheduler *s = open_with(
        c, NULL, (horus_scheduler_desc){.flags = HORUS_REALTIME | HORUS_REALTIME_DEADLINE});
    CHECK_OK(horus_scheduler_run(s, 0)); /* no nodes, nothing to reserve */
    CHECK_OK(horus_scheduler_get_capabilities(s, &can));
    CHECK_EQ(can.wanted & HORUS_CAN_DEADLINE, 0);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}

/* Three threads on one processor: the first holds a lock, the last waits for it, and the one between only
 * burns time. Without inheritance the last would wait for the one between. */
static horusi_a32 contended;
static _Atomic bool last_has_it, between_saw_it;
static void *take_and_say(void *arg)
{
    (void)arg;
    horusi_lock(&contended);
    atomic_store(&last_has_it, true);
    horusi_unlock(&contended);
    return NULL;
}
static void *burn(void *arg)
{
    uint64_t begin = horus_now_ns();
    (void)arg;
    while (!atomic_load(&last_has_it) && horus_now_ns() - begin < second)
        ;
    atomic_store(&between_saw_it, atomic_load(&last_has_it));
    return NULL;
}
static int start_at(pthread_t *out, int priority, void *(*run)(void *))
{
    pthread_attr_t a;
    struct sched_param p = {.sched_priority = priority};
    (void)pthread_attr_init(&a);
    (void)pthread_attr_setinheritsched(&a, PTHREAD_EXPLICIT_SCHED);
    (void)pthread_attr_setschedpolicy(&a, SCHED_FIFO);
    (void)pthread_attr_setschedparam(&a, &p);
    int e = pthread_create(out, &a, run, NULL);
    (void)pthread_attr_destroy(&a);
    return e;
}
static void *hold_and_start(void *arg)
{
    pthread_t between, last;
    (void)arg;
    horusi_lock(&contended);
    bool started = CHECK(start_at(&last, 30, take_and_say) == 0) && /* runs, and waits */
                   CHECK(!atomic_load(&last_has_it)) && CHECK(start_at(&between, 20, burn) == 0);
    horusi_unlock(&contended);
    if (started) {
        (void)pthread_join(last, NULL);
        (void)pthread_join(between, NULL);
    }
    return NULL;
}
TEST(a_lock_lends_its_holder_the_priority_of_who_waits)
{
    cpu_set_t one, all;
    pthread_t first;
    if (TEST_EMULATED)
        SKIP("no priorities in an emulator");
    (void)sched_getaffinity(0, sizeof all, &all);
    size_t cpu = 0;
    while (!CPU_ISSET(cpu, &all))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0); /* the threads inherit it */
    if (start_at(&first, 10, hold_and_start) != 0)
        SKIP("SCHED_FIFO is not permitted here");
    (void)pthread_join(first, NULL);
    CHECK(atomic_load(&between_saw_it));
}
static void run_without_rights(void *arg)
{
    (void)arg;
    /* neither root nor a limit that allows it */
    if (setresuid(65534, 65534, 65534) != 0 && geteuid() == 0)
        return;
    horus_context *c =
        join_desc((horus_context_desc){.pool_bytes = 8 * MiB, .flags = HORUS_PRIVATE});
    static probe p;
    horus_capabilities can;
    struct sched_param sp = {.sched_priority = 1};
    bool allowed = pthread_setschedparam(pthread_self(), SCHED_FIFO, &sp) == 0;
    for (int strict = 0; strict < 2; strict++) {
        horus_scheduler *s = open_with(
            c, NULL,
            (horus_scheduler_desc){.flags = strict ? HORUS_REALTIME_OR_FAIL : HORUS_REALTIME});
        add_probe(s, &p, (horus_node_desc){.name = "control", .rate_num = 1000});
        horus_result r = horus_scheduler_run(s, (int64_t)(20 * ms));
        CHECK_OK(horus_scheduler_get_capabilities(s, &can));
        if (!allowed) {
            CHECK_RESULT(r, strict ? HORUS_E_PERMISSION : HORUS_OK);
            CHECK(!(can.got & HORUS_CAN_FIFO));
            CHECK_TEXT(can.degradations, "SCHED_FIFO for the ordered nodes");
            CHECK_TEXT(can.degradations, "ulimit -r");
        } else
            CHECK_EQ(can.got & HORUS_CAN_FIFO, HORUS_CAN_FIFO);
        if (!strict)
            CHECK_TIMELY(p.ticks > 0);
        CHECK_OK(horus_scheduler_close(s));
    }
    horus_context_close(c);
    _exit(atomic_load(&board->failures) ? 1 : 0);
}
TEST(without_permission_it_runs_all_the_same) { CHECK_JOIN(test_fork(run_without_rights, NULL)); }
TEST(figures_that_the_pool_has_no_room_for_lie_on_the_heap)
{
    horus_capabilities can;
    for (int how = 0; how < 2; how++) {
        horus_context *c = join_desc((horus_context_desc){.pool_bytes = how ? 8 * MiB : MiB / 4,
                                                          .flags = how ? HORUS_PROTECT : 0});
        horus_scheduler_stats st;
        fake f = {.now = 3};
        static probe p[20];
        memset(p, 0, sizeof p);
        horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){.blackbox_bytes = 4096});
        for (int i = 0; i < 20; i++) {
            char name[8];
            (void)snprintf(name, sizeof name, "n%d", i);
            add_probe(s, &p[i], (horus_node_desc){.name = name, .rate_num = 100});
        }
        CHECK_OK(horus_scheduler_run(s, (int64_t)(100 * ms)));
        CHECK_OK(horus_scheduler_run(s, (int64_t)(100 * ms)));
        CHECK_EQ(stats_at(s, 19).ticks, 20);
        CHECK_OK(horus_scheduler_get_capabilities(s, &can));
        CHECK_EQ(can.wanted, HORUS_CAN_SHARE);
        CHECK_EQ(can.got, 0);
        CHECK_TEXT(can.degradations, "shared memory");
        CHECK_RESULT(horus_scheduler_read(c, "test", &st, NULL, 0, NULL), HORUS_E_NOT_FOUND);
        CHECK_OK(horus_scheduler_close(s));
        horus_context_close(c);
    }
}
/* In memory that is given back when it moves: a run with more nodes has another block. */
static _Atomic bool enough;
static void *look_all_the_time(void *arg)
{
    uint64_t last = 0;
    for (uint32_t looks = 0; !atomic_load(&enough); looks++) {
        horus_scheduler_stats st;
        horus_node_stats n[64];
        size_t count = 0;
        horus_result r = horus_scheduler_get_stats(arg, &st, n, 64, &count);
        if (r != HORUS_E_NOT_FOUND || last > 0)
            CHECK_OK(r);
        horus_capabilities can;
        (void)horus_scheduler_get_capabilities(arg, &can); /* nobody writes it meanwhile */
        CHECK((can.got & ~can.wanted) == 0);
        CHECK(st.nodes == count && st.nodes >= last);
        last = st.nodes;
        atomic_store(&board->value[0], looks);
    }
    return NULL;
}
TEST(figures_are_looked_at_while_nodes_are_added_and_runs_begin)
{
    horus_context *c;
    pthread_t thread;
    static probe p[64];
    fake f = {.now = 3};
    REQUIRE_OK(
        horus_context_open(&c, &(horus_context_desc){.name = test_space, .pool_bytes = 64 << 10}));
    horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){0});
    REQUIRE(pthread_create(&thread, NULL, look_all_the_time, s) == 0);
    for (int i = 0; i < 64; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "n%d", i);
        add_probe(s, &p[i], (horus_node_desc){.name = name});
        CHECK_OK(horus_scheduler_run(s, (int64_t)ms));
        for (uint64_t seen = atomic_load(&board->value[0]), k = 0;
             atomic_load(&board->value[0]) < seen + 2 && k < 1000; k++)
            (void)usleep(100); /* the other one has looked, too */
    }
    CHECK(s->memory.data == NULL); /* on the heap */
    atomic_store(&enough, true);
    (void)pthread_join(thread, NULL);
    CHECK(atomic_load(&board->value[0]) > 64);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}
TEST(figures_that_cannot_be_sent_lie_on_the_heap)
{
    horus_context *c = join(8 * MiB);
    horus_scheduler *s[10];
    horus_capabilities can;
    horus_scheduler_stats st;
    fake f = {.now = 3};
    static probe p[10];
    for (int i = 0; i < 9; i++) { /* eight of one name at a time are seen by others */
        s[i] = open_with(c, &f, (horus_scheduler_desc){.seed = (uint64_t)i});
        add_probe(s[i], &p[i], (horus_node_desc){.name = "n", .rate_num = 1000});
        CHECK_OK(horus_scheduler_run(s[i], (int64_t)(3 * ms)));
        CHECK_EQ(p[i].ticks, 3);
        CHECK_EQ(stats_at(s[i], 0).ticks, 3);
        CHECK_OK(horus_scheduler_get_capabilities(s[i], &can));
        CHECK_EQ(can.got, i < 8 ? HORUS_CAN_SHARE : 0);
        CHECK_OK(horus_scheduler_read(c, "test", &st, NULL, 0, NULL));
        CHECK_EQ(st.seed, i < 8 ? i : 7);
    }
    for (int i = 0; i < 9; i++)
        CHECK_OK(horus_scheduler_close(s[i]));
    /* room for the figures, but none for the ring that tells where they are */
    horus_topic *t;
    horus_tensor hole;
    int64_t bytes = (int64_t)horusi_sched_bytes(1);
    REQUIRE_OK(horus_topic_open(
        &t, "horus.scheduler/small",
        &(horus_topic_desc){.type = &horus_tensor_type, .capacity = 1, .context = c}));
    REQUIRE_OK(horus_tensor_alloc(&hole, pool_of(c), HORUS_U8, 1, &bytes, 0));
    horus_frame *f8 = calloc(100000, sizeof *f8);
    size_t frames = 0;
    for (uint64_t size = MiB; size > 0; size /= 2)
        while (frames < 100000 &&
               horus_frame_alloc(&f8[frames], pool_of(c), size, 0, NULL) == HORUS_OK)
            frames++;
    CHECK_OK(horus_tensor_release(&hole));
    s[9] = open_with(c, NULL, (horus_scheduler_desc){.name = "small"});
    add_probe(s[9], &p[9],
              (horus_node_desc){.name = "n", .rate_num = 1000, .compute = true, .core = 1000});
    CHECK_OK(horus_scheduler_run(s[9], (int64_t)(5 * ms)));
    CHECK_OK(horus_scheduler_get_capabilities(s[9], &can));
    CHECK_EQ(can.wanted, HORUS_CAN_SHARE | HORUS_CAN_CORES);
    CHECK_EQ(can.got, 0);
    CHECK_TEXT(can.degradations, "shared memory"); /* all that was refused, a line each */
    CHECK_TEXT(can.degradations, "\nbinding to processors");
    CHECK_OK(horus_scheduler_close(s[9]));
    while (frames > 0)
        CHECK_OK(horus_frame_release(&f8[--frames]));
    free(f8);
    horus_topic_close(t);
    check_balanced(pool_of(c));
    horus_context_close(c);
}
TEST(figures_that_nobody_takes_from_a_topic_that_keeps_all_are_told_as_an_error)
{
    horus_context *c = join(8 * MiB);
    horus_topic *t;
    fake f = {.now = 3};
    static probe p, q;
    REQUIRE_OK(horus_topic_open(
        &t, "horus.scheduler/test",
        &(horus_topic_desc){
            .type = &horus_tensor_type, .capacity = 1, .policy = HORUS_RELIABLE, .context = c}));
    horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){0});
    add_probe(s, &p, (horus_node_desc){.name = "n", .rate_num = 1000});
    CHECK_OK(horus_scheduler_run(s, (int64_t)(3 * ms)));
    add_probe(s, &q, (horus_node_desc){.name = "m", .rate_num = 1000});
    CHECK_RESULT(horus_scheduler_run(s, (int64_t)(3 * ms)), HORUS_FULL);
    CHECK_EQ(p.ticks, 3);
    horus_topic_close(t);
    CHECK_OK(horus_scheduler_run(s, (int64_t)(3 * ms))); /* nobody is there to wait for */
    CHECK_EQ(p.ticks, 6);
    CHECK_EQ(stats_at(s, 1).ticks, 3);
    CHECK_OK(horus_scheduler_close(s));
    check_balanced(pool_of(c));
    horus_context_close(c);
}
TEST(budgets_that_do_not_fit_are_named)
{
    horus_context *c = join(8 * MiB);
    fake f = {.now = 3};
    double load;
    static probe p[4];
    horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){.flags = HORUS_ADMISSION});
    CHECK_OK(horus_scheduler_admit(s, &load));
    CHECK_EQ((int)load, 0);
    add_probe(s, &p[0],
              (horus_node_desc){.name = "control", .rate_num = 1000, .budget_ns = 600000});
    add_probe(s, &p[1], (horus_node_desc){.name = "log", .rate_num = 1});
    add_probe(s, &p[2], (horus_node_desc){.name = "plan", .rate_num = 10, .budget_ns = 40000000});
    CHECK_OK(horus_scheduler_admit(s, &load));
    CHECK(load > 0.9999 && load < 1.0001);
    CHECK_OK(horus_scheduler_run(s, (int64_t)ms));
    add_probe(s, &p[3], (horus_node_desc){.name = "map", .rate_num = 100, .budget_ns = 100000});
    CHECK_RESULT(horus_scheduler_admit(s, NULL), HORUS_E_LIMIT);
    CHECK_RESULT(horus_scheduler_run(s, (int64_t)ms), HORUS_E_LIMIT);
    CHECK_TEXT(horus_last_error(), "101.0 %");
    CHECK_TEXT(horus_last_error(), "control 60.0 %");
    CHECK_TEXT(horus_last_error(), "plan 40.0 %");
    CHECK_TEXT(horus_last_error(), "map 1.0 %");
    CHECK(!strstr(horus_last_error(), "log"));
    CHECK_EQ(p[0].inits, 1);
    CHECK_OK(horus_scheduler_close(s));
    s = open_with(c, NULL,
                  (horus_scheduler_desc){0}); /* compute nodes are not counted with the others */
    add_probe(s, &p[0], (horus_node_desc){.name = "a", .rate_num = 1000, .budget_ns = 900000});
    add_probe(
        s, &p[1],
        (horus_node_desc){.name = "b", .rate_num = 10, .budget_ns = 90000000, .compute = true});
    CHECK_OK(horus_scheduler_admit(s, &load));
    CHECK(load > 0.8999 && load < 0.9001);
    add_probe(
        s, &p[2],
        (horus_node_desc){.name = "c", .rate_num = 1, .budget_ns = 9000, .deadline_ns = 8000});
    CHECK_RESULT(horus_scheduler_admit(s, &load), HORUS_E_LIMIT);
    CHECK_TEXT(horus_last_error(), "node c: its budget of 9000 ns");
    CHECK(load > 0.9 && load < 0.90001); /* the largest sum all the same */
    CHECK_OK(horus_scheduler_close(s));
    horus_topic
        *t; /* no rate, no share; a deadline that the budget is within is none of admission's */
    REQUIRE_OK(horus_topic_open(&t, "t", &(horus_topic_desc){.context = c}));
    s = open_with(c, NULL, (horus_scheduler_desc){0});
    add_probe(s, &p[0],
              (horus_node_desc){
                  .name = "a", .rate_num = 10, .budget_ns = 50000000, .deadline_ns = 50000000});
    add_probe(s, &p[1], (horus_node_desc){.name = "b", .budget_ns = 3600000000000, .on_topic = t});
    CHECK_OK(horus_scheduler_admit(s, &load));
    CHECK(load > 0.4999 && load < 0.5001);
    CHECK_OK(horus_scheduler_close(s));
    horus_topic_close(t);
    horus_context_close(c);
}
TEST(budgets_are_added_up_for_the_next_run_and_for_each_processor)
{
    horus_context *c = join(8 * MiB);
    static probe p[6];
    double load;
    horus_scheduler *s = open_with(c, NULL, (horus_scheduler_desc){.cores = 1});
    add_probe(s, &p[0], (horus_node_desc){.name = "a", .rate_num = 100, .budget_ns = 3000000});
    CHECK_OK(horus_scheduler_set_rate(s, "a", 200)); /* before it has ever run */
    CHECK_OK(horus_scheduler_admit(s, &load));
    CHECK(load > 0.5999 && load < 0.6001);
    for (int i = 1; i < 4; i++) {
        static const char *const names[] = {"", "b", "c", "beside"};
        add_probe(s, &p[i],
                  (horus_node_desc){.name = names[i],
                                    .rate_num = 100,
                                    .budget_ns = i * 1500000,
                                    .compute = true,
                                    .core = i == 3 ? 2 : 1});
        CHECK_RESULT(horus_scheduler_admit(s, &load), i == 1 ? HORUS_OK : HORUS_E_LIMIT);
        CHECK(i != 1 || (load > 0.7499 && load < 0.7501));
        CHECK(i == 1 || (load > 1.0499 && load < 1.0501));
    }
    CHECK_TEXT(horus_last_error(), "105.0 % of a processor: a 60.0 %, c 30.0 %, b 15.0 %");
    CHECK(!strstr(horus_last_error(), "beside") && !strstr(horus_last_error(), "more"));
    CHECK_OK(horus_scheduler_close(s));
    /* equal ones as they were added, whatever their order and their threads */
    s = open_with(c, NULL, (horus_scheduler_desc){.cores = 1});
    for (int i = 0; i < 4; i++)
        add_probe(s, &p[i],
                  (horus_node_desc){.name = (const char *const[]){"a", "b", "c", "d"}[i],
                                    .order = -i,
                                    .rate_num = 100,
                                    .budget_ns = 3000000,
                                    .compute = i < 2,
                                    .core = i < 2});
    CHECK_RESULT(horus_scheduler_admit(s, &load), HORUS_E_LIMIT);
    CHECK_TEXT(horus_last_error(),
               "120.0 % of a processor: a 30.0 %, b 30.0 %, c 30.0 %, d 30.0 %");
    CHECK_OK(horus_scheduler_close(s));
    /* the worst are named, and whole */
    static probe many[40];
    s = open_with(c, NULL, (horus_scheduler_desc){0});
    for (int i = 0; i < 40; i++) {
        char name[HORUS_NAME_BYTES];
        (void)snprintf(name, sizeof name, "a node of a rather long name (%d)", i);
        add_probe(s, &many[i],
                  (horus_node_desc){.name = name,
                                    .rate_num = 100,
                                    .budget_ns = i == 30   ? 9000000
                                                 : i == 35 ? 5000000
                                                           : 100000});
    }
    CHECK_RESULT(horus_scheduler_admit(s, &load), HORUS_E_LIMIT);
    CHECK_TEXT(horus_last_error(), ": a node of a rather long name (30) 90.0 %, a node of a rather "
                                   "long name (35) 50.0 %, a node of a rather long name (0) 1.0 %");
    unsigned more = 0;
    const char *end = strrchr(horus_last_error(), ',');
    CHECK(end && sscanf(end, ", %u more", &more) == 1 && more > 30 && more < 38);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}
static uint64_t trace;
static horus_result traced(void *user, horus_tick *t)
{
    const uint64_t word[] = {t->index,
                             t->phase,
                             t->due_ns,
                             t->now_ns,
                             t->dt_ns,
                             t->skipped,
                             horus_tick_random(t),
                             horus_tick_random(t)};
    trace = trace * 31 + horusi_hash(word, sizeof word, 2166136261u);
    (*(uint64_t *)user)++;
    test_sleep_us(t->phase % 64 == 0 ? 50 : 0); /* real time has no say */
    return HORUS_OK;
}
TEST(a_deterministic_run_is_the_same_each_time)
{
    horus_context *c = join(8 * MiB);
    uint64_t first = 0;
    for (int i = 0; i < 4; i++) {
        static uint64_t n[3];
        memset(n, 0, sizeof n);
        trace = 0;
        horus_scheduler *s = open_with(
            c, NULL, (horus_scheduler_desc){.flags = HORUS_DETERMINISTIC, .seed = i == 3 ? 8 : 7});
        static const uint32_t hz[] = {1000, 700, 60};
        for (int k = 0; k < 3; k++)
            REQUIRE_OK(horus_scheduler_add(
                s, &(horus_node_desc){.name = (const char *[]){"a", "b", "c"}[k],
                                      .tick = traced,
                                      .rate_num = hz[k],
                                      .user = &n[k],
                                      .compute = k == 2,
                                      .budget_ns = 1000}));
        uint64_t begin = horus_now_ns();
        CHECK_OK(horus_scheduler_run(s, (int64_t)(3 * second)));
        CHECK_TIMELY(TEST_SANITIZED ||
                     horus_now_ns() - begin < 3 * second); /* it waits for nothing */
        for (uint32_t k = 0; k < 3; k++) {
            CHECK_EQ(n[k], 3 * hz[k]);
            CHECK_EQ(stats_at(s, k).budget_misses, 0);
        }
        if (i == 0)
            first = trace;
        CHECK_EQ(trace == first, i < 3);
        CHECK_OK(horus_scheduler_close(s));
    }
    CHECK_EQ(horus_tick_random(NULL), 0);
    horus_context_close(c);
}
static void fly_until_killed(void *arg)
{
    (void)arg;
    horus_context *c = join(8 * MiB);
    static probe p;
    horus_scheduler *s =
        open_with(c, NULL, (horus_scheduler_desc){.name = "plane", .blackbox_bytes = 65536});
    p.result = HORUS_E_NOT_FOUND;
    p.fail_at = 20;
    p.fail_times = 1;
    add_probe(s, &p, (horus_node_desc){.name = "wing", .rate_num = 1000});
    horus_scheduler_log(s, NULL, "before run: nowhere to note it");
    (void)horus_scheduler_run(s, HORUS_FOREVER);
}
TEST(a_black_box_is_read_after_a_kill)
{
    horus_context *c = join(8 * MiB);
    enum { ROOM = 2000 };
    horus_record *r = calloc(ROOM, sizeof *r);
    size_t n = 0;
    CHECK_RESULT(horus_scheduler_read_records(c, "plane", r, ROOM, &n), HORUS_E_NOT_FOUND);
    pid_t pid = test_fork(fly_until_killed, NULL);
    horus_node_stats st = {.ticks = 0};
    horus_scheduler_stats all;
    while (st.ticks < 1000) { /* ticks go round: there is room for 682 */
        (void)horus_scheduler_read(c, "plane", &all, &st, 1, NULL);
        test_sleep_us(2000);
    }
    test_kill(pid);
    CHECK_OK(horus_scheduler_read(c, "plane", &all, &st, 1, NULL));
    CHECK_OK(horus_scheduler_read_records(c, "plane", r, ROOM, &n));
    unsigned ticks = 0, failures = 0, starts = 0;
    uint64_t last = 0;
    for (size_t i = 0; i < n; i++) {
        CHECK(i == 0 || r[i].time_ns >= r[i - 1].time_ns);
        if (r[i].kind == HORUS_EVENT_TICK) {
            CHECK(ticks == 0 || r[i].phase > last);
            CHECK_TEXT(r[i].node, "wing");
            last = r[i].phase;
            ticks++;
        }
        failures += r[i].kind == HORUS_EVENT_FAILURE && r[i].result == HORUS_E_NOT_FOUND &&
                    r[i].phase >= 20 && strcmp(r[i].text, "tick") == 0;
        starts += r[i].kind == HORUS_EVENT_START;
    }
    CHECK(ticks >= 681 && ticks <= 682); /* one may be half written */
    CHECK_EQ(failures, 1);               /* a thousand ticks have not pushed it out */
    CHECK_EQ(starts, 2);
    size_t few;
    CHECK_OK(horus_scheduler_read_records(c, "plane", r, 5, &few));
    CHECK_EQ(few, 5);
    CHECK_EQ(r[4].phase, last);
    CHECK_RESULT(horus_scheduler_read_records(c, "plane", NULL, 5, &few), HORUS_E_ARG);
    free(r);
    horus_context_close(c);
}
static horus_result chatty(void *user, horus_tick *t)
{
    char line[100];
    memset(line, 'x', sizeof line);
    (void)snprintf(line, sizeof line, "tick %llu", (unsigned long long)t->count);
    if (t->count == 3)
        memset(line, 'y', sizeof line - 1), line[99] = 0;
    horus_scheduler_log(t->scheduler, t, line);
    *(uint64_t *)user += 1;
    return HORUS_OK;
}
TEST(a_black_box_keeps_lines_and_drops_damaged_records)
{
    horus_context *c = join(8 * MiB);
    fake f = {.now = 3};
    uint64_t n[2] = {0, 0};
    horus_record r[100];
    size_t count;
    horus_scheduler *s =
        open_with(c, &f, (horus_scheduler_desc){.blackbox_bytes = 8192, .on_event = tell});
    for (int i = 0; i < 2; i++)
        REQUIRE_OK(horus_scheduler_add(
            s, &(horus_node_desc){
                   .name = i ? "b" : "a", .tick = chatty, .rate_num = 100, .user = &n[i]}));
    CHECK_OK(horus_scheduler_run(s, (int64_t)(50 * ms)));
    CHECK_EQ(told[HORUS_EVENT_LOG], 10);
    CHECK_OK(horus_scheduler_read_records(c, "test", r, 100, &count));
    CHECK_EQ(count, 10 + 10 + 3 + 1);
    CHECK_EQ(r[0].kind, HORUS_EVENT_START);
    CHECK_EQ(r[0].index, UINT32_MAX);
    CHECK_EQ(r[count - 1].kind, HORUS_EVENT_END);
    unsigned lines = 0;
    for (size_t i = 0; i < count; i++)
        if (r[i].kind == HORUS_EVENT_LOG) {
            char want[20];
            (void)snprintf(want, sizeof want, "tick %u", lines / 2);
            if (lines / 2 == 3)
                CHECK_EQ(strlen(r[i].text), 79);
            else
                CHECK_TEXT(r[i].text, want);
            CHECK_TEXT(r[i].node, lines % 2 ? "b" : "a");
            lines++;
        }
    /* any word of any record flipped: that one is gone, the others stay */
    horusi_a64 *box = horusi_box_ticks(s->block, 2);
    for (int i = 0; i < 60; i++) {
        uint64_t was = box[i], bit = 1ull << (i * 7 % 64);
        box[i] = was ^ bit;
        CHECK_OK(horus_scheduler_read_records(c, "test", r, 100, &count));
        CHECK_EQ(count, 23);
        box[i] = was;
    }
    uint64_t events = s->block->events_next;
    s->block->events_next = 0; /* ticks alone */
    CHECK_OK(horus_scheduler_read_records(c, "test", r, 100, &count));
    CHECK_EQ(count, 10);
    s->block->events_next = events;
    s->block->ticks_next = UINT64_MAX; /* garbage in the counters */
    s->block->events_next = UINT64_MAX / 2;
    CHECK_OK(horus_scheduler_read_records(c, "test", r, 100, &count));
    CHECK_EQ(count, 0);
    s->block->ticks_room = UINT32_MAX;
    CHECK_RESULT(horus_scheduler_read_records(c, "test", r, 100, &count), HORUS_E_CORRUPT);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}

static horus_result tick_that_logs(void *user, horus_tick *t)
{
    horus_tick wrong = *t;
    (void)user;
    wrong.index = 99;
    horus_scheduler_log(t->scheduler, t, "mine");
    horus_scheduler_log(t->scheduler, &wrong, "nobody's");
    horus_scheduler_log(t->scheduler, NULL, "outside");
    horus_scheduler_log(t->scheduler, t, NULL);
    return HORUS_OK;
}
TEST(a_line_is_noted_while_it_runs_and_under_its_nodes_name)
{
    horus_context *c = join(8 * MiB);
    fake f = {.now = 3};
    horus_record r[20];
    size_t count;
    horus_scheduler *s =
        open_with(c, &f, (horus_scheduler_desc){.blackbox_bytes = 8192, .on_event = tell});
    REQUIRE_OK(horus_scheduler_add(s, &(horus_node_desc){.name = "n", .tick = tick_that_logs}));
    horus_scheduler_log(s, NULL, "before");
    CHECK_OK(horus_scheduler_run(s, 1));
    horus_scheduler_log(s, NULL, "after");
    CHECK_EQ(told[HORUS_EVENT_LOG], 3);
    CHECK_OK(horus_scheduler_read_records(c, "test", r, 20, &count));
    unsigned lines = 0;
    for (size_t i = 0; i < count; i++)
        if (r[i].kind == HORUS_EVENT_LOG) {
            CHECK_EQ(strcmp(r[i].text, (const char *[]){"mine", "nobody's", "outside"}[lines]), 0);
            CHECK_EQ(r[i].index, lines ? UINT32_MAX : 0);
            lines++;
        }
    CHECK_EQ(lines, 3);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}

static horus_scheduler *logged;
static unsigned told_within;
static void event_that_logs(void *user, const horus_event *e)
{
    (void)e;
    ++*(unsigned *)user;
    CHECK(told_within++ == 0);
    horus_scheduler_log(logged, NULL, "told");
    told_within--;
}
TEST(a_line_that_on_event_logs_goes_to_the_black_box_alone)
{
    horus_context *c = join(8 * MiB);
    fake f = {.now = 3};
    horus_record r[20];
    size_t count;
    unsigned events = 0;
    logged = open_with(c, &f,
                       (horus_scheduler_desc){
                           .blackbox_bytes = 8192, .on_event = event_that_logs, .user = &events});
    REQUIRE_OK(
        horus_scheduler_add(logged, &(horus_node_desc){.name = "n", .tick = tick_that_logs}));
    CHECK_OK(horus_scheduler_run(logged, 1));
    CHECK_EQ(events, 2 + 3 + 1); /* two begin, three lines of the tick, the end */
    CHECK_OK(horus_scheduler_read_records(c, "test", r, 20, &count));
    unsigned lines = 0;
    for (size_t i = 0; i < count; i++)
        lines += strcmp(r[i].text, "told") == 0;
    CHECK_EQ(lines, events);
    CHECK_OK(horus_scheduler_close(logged));
    horus_context_close(c);
}

/* ---- a tick that ends its thread */

static horus_result exits(void *user, horus_tick *t)
{
    ((probe *)user)->ticks++;
    if (t->count == 2)
        pthread_exit(NULL);
    return HORUS_OK;
}
static void *run_it(void *arg)
{
    (void)horus_scheduler_run(arg, (int64_t)(100 * ms));
    test_raise(5); /* not reached */
    return NULL;
}
TEST(a_tick_that_ends_its_thread_is_a_failure_of_its_node_alone)
{
    horus_context *c = join(8 * MiB);
    static probe p, q, r;
    horus_scheduler *s =
        open_with(c, NULL, (horus_scheduler_desc){.workers = 1, .watchdog_ns = 1000000});
    add_probe(s, &p, (horus_node_desc){.name = "control", .rate_num = 1000});
    add_probe(s, &q,
              (horus_node_desc){.name = "exits",
                                .tick = exits,
                                .rate_num = 100,
                                .compute = true,
                                .budget_ns = 1000000000});
    add_probe(s, &r, (horus_node_desc){.name = "beside", .rate_num = 100, .compute = true});
    CHECK_OK(horus_scheduler_run(s, (int64_t)(100 * ms)));
    CHECK(p.ticks > 50 || stats_at(s, 0).skipped > 0);
    CHECK_EQ(stats_at(s, 0).ticks + stats_at(s, 0).skipped, 100);
    bool ended = CHECK_TIMELY(q.ticks == 3); /* or the run was over before the third */
    for (uint32_t i = 1; i < 3; i++) {
        CHECK(!ended || stats_at(s, i).state == HORUS_NODE_FAILED);
        CHECK_EQ(stats_at(s, i).ticks + stats_at(s, i).skipped, 10);
        CHECK_EQ(stats_at(s, i).failures, ended && i == 1);
        CHECK_EQ(stats_at(s, i).running_since_ns, 0);
    }
    CHECK_EQ(p.shutdowns + q.shutdowns + r.shutdowns, 3);
    CHECK_OK(horus_scheduler_run(s, (int64_t)(20 * ms))); /* and begins anew */
    CHECK_EQ(stats_at(s, 1).ticks, q.ticks);
    CHECK_TIMELY(q.ticks > 3);
    CHECK_OK(horus_scheduler_close(s));
    /* the caller's own thread: the run ends with it */
    pthread_t thread;
    memset(&p, 0, sizeof p);
    memset(&q, 0, sizeof q);
    memset(&r, 0, sizeof r);
    s = open_with(c, NULL, (horus_scheduler_desc){0});
    add_probe(s, &p, (horus_node_desc){.name = "control", .rate_num = 100});
    add_probe(s, &q, (horus_node_desc){.name = "exits", .tick = exits, .rate_num = 100});
    add_probe(s, &r, (horus_node_desc){.name = "beside", .rate_num = 100, .compute = true});
    REQUIRE(pthread_create(&thread, NULL, run_it, s) == 0);
    (void)pthread_join(thread, NULL);
    CHECK_EQ(atomic_load(&board->flag[5]), 0);
    horus_scheduler_stats st;
    CHECK_OK(horus_scheduler_get_stats(s, &st, NULL, 0, NULL));
    CHECK(!st.running);
    if (CHECK_TIMELY(q.ticks == 3))
        CHECK_EQ(st.end, HORUS_END_FAILURE);
    CHECK_EQ(p.shutdowns + q.shutdowns + r.shutdowns, 3);
    CHECK_OK(horus_scheduler_run(s, (int64_t)(10 * ms))); /* not busy */
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}

static horus_result exits_at_once(void *user, horus_tick *t)
{
    (void)user;
    (void)t;
    pthread_exit(NULL);
}
TEST(a_tick_that_ends_its_thread_stops_the_run_if_that_is_fatal)
{
    horus_context *c = join(8 * MiB);
    static probe p, q, r;
    horus_topic *in, *out;
    REQUIRE_OK(horus_topic_open(&in, "t", &(horus_topic_desc){.context = c}));
    REQUIRE_OK(
        horus_topic_open(&out, "t", &(horus_topic_desc){.context = c, .flags = HORUS_PUBLISHER}));
    horus_scheduler *s = open_with(c, NULL, (horus_scheduler_desc){.workers = 1});
    p.init_result = HORUS_E_SYSTEM; /* over before its thread is */
    add_probe(s, &p, (horus_node_desc){.name = "over", .rate_num = 100, .compute = true});
    add_probe(s, &q, (horus_node_desc){.name = "listens", .tick = exits_at_once, .on_topic = in});
    CHECK_OK(horus_topic_send(out, "x", 1, HORUS_NO_WAIT));
    CHECK_OK(horus_scheduler_run(s, (int64_t)(30 * ms))); /* of that node alone */
    if (CHECK_TIMELY(stats_at(s, 1).failures == 1))
        CHECK_EQ(stats_at(s, 1).state, HORUS_NODE_FAILED);
    CHECK_EQ(stats_at(s, 1).skipped, 0);
    CHECK_EQ(q.shutdowns, 1);
    add_probe(s, &r,
              (horus_node_desc){.name = "exits",
                                .tick = exits_at_once,
                                .rate_num = 100,
                                .compute = true,
                                .on_failure = HORUS_FAILURE_FATAL});
    CHECK_RESULT(horus_scheduler_run(s, (int64_t)(20 * second)), HORUS_E_CLOSED);
    CHECK_TEXT(horus_last_error(), "node exits ended its thread");
    CHECK_EQ(stats_at(s, 0).failures, 2); /* its init, twice: the thread's end is not its fault */
    CHECK_EQ(stats_at(s, 2).failures, 1);
    CHECK_EQ(r.shutdowns, 1);
    CHECK_OK(horus_scheduler_close(s));
    horus_topic_close(in);
    horus_topic_close(out);
    horus_context_close(c);
}

static void *run_for_long(void *arg)
{
    (void)horus_scheduler_run(arg, (int64_t)(20 * second));
    test_raise(5); /* not reached */
    return NULL;
}
enum { EXITS_IN_INIT = 1, EXITS_IN_SHUTDOWN, EXITS_IN_EVENT };
static int exits_in;
static horus_result init_that_exits(void *user)
{
    ((probe *)user)->inits++;
    if (exits_in == EXITS_IN_INIT)
        pthread_exit(NULL);
    return HORUS_OK;
}
static horus_result shutdown_that_exits(void *user)
{
    ((probe *)user)->shutdowns++;
    if (exits_in == EXITS_IN_SHUTDOWN)
        pthread_exit(NULL);
    return HORUS_OK;
}
static void event_that_exits(void *user, const horus_event *e)
{
    (void)user;
    if (exits_in == EXITS_IN_EVENT && e->kind == HORUS_EVENT_FAILURE)
        pthread_exit(NULL);
}
TEST(an_init_or_shutdown_that_ends_the_callers_thread_ends_the_run)
{
    for (exits_in = EXITS_IN_INIT; exits_in <= EXITS_IN_EVENT; exits_in++) {
        horus_context *c = join(8 * MiB);
        pthread_t thread;
        static probe p[4];
        memset(p, 0, sizeof p);
        p[0].fail_at = 3; /* of 1 kHz: the run ends with the event, if not before */
        p[0].fail_times = 1;
        p[0].result = HORUS_E_SYSTEM;
        horus_scheduler *s = open_with(c, NULL,
                                       (horus_scheduler_desc){.watchdog_ns = 1000000,
                                                              .flags = HORUS_SIGNALS,
                                                              .on_event = event_that_exits});
        add_probe(s, &p[0],
                  (horus_node_desc){.name = "first",
                                    .rate_num = 1000,
                                    .on_failure = exits_in == EXITS_IN_SHUTDOWN
                                                      ? HORUS_FAILURE_FATAL
                                                      : HORUS_FAILURE_LOG});
        for (int i = 1; i < 3; i++)
            REQUIRE_OK(
                horus_scheduler_add(s, &(horus_node_desc){.name = i == 1 ? "exits" : "as well",
                                                          .tick = probe_tick,
                                                          .init = init_that_exits,
                                                          .shutdown = shutdown_that_exits,
                                                          .user = &p[i],
                                                          .compute = i == 2}));
        add_probe(s, &p[3], (horus_node_desc){.name = "last"});
        REQUIRE(pthread_create(&thread, NULL, run_for_long, s) == 0);
        (void)pthread_join(thread, NULL);
        CHECK_EQ(atomic_load(&board->flag[5]), 0);
        horus_scheduler_stats st;
        CHECK_OK(horus_scheduler_get_stats(s, &st, NULL, 0, NULL));
        CHECK(!st.running);
        CHECK_EQ(st.end, HORUS_END_FAILURE);
        bool in_init = exits_in == EXITS_IN_INIT, in_shutdown = exits_in == EXITS_IN_SHUTDOWN;
        const uint64_t inits[] = {1, 1, !in_init, !in_init};
        const uint64_t shutdowns[] = {1, !in_init, !in_init, !in_init};
        for (uint32_t i = 0; i < 4; i++) {
            bool exited = (i == 1 && exits_in != EXITS_IN_EVENT) || (i == 2 && in_shutdown);
            bool over = exited || (exits_in == EXITS_IN_EVENT && i != 2);
            CHECK_EQ(p[i].inits, inits[i]);
            CHECK_EQ(p[i].shutdowns, shutdowns[i]);
            CHECK_EQ(stats_at(s, i).state, over ? HORUS_NODE_FAILED : HORUS_NODE_IDLE);
            CHECK_EQ(stats_at(s, i).failures, exited + (i == 0 && !in_init));
        }
        exits_in += 100; /* not busy, and nobody exits any more */
        CHECK_OK(horus_scheduler_run(s, (int64_t)ms));
        CHECK_EQ(p[3].inits, inits[3] + 1);
        exits_in -= 100;
        CHECK_OK(horus_scheduler_close(s));
        horus_context_close(c);
    }
}
/* On a node's own thread: it is over, and counted, whichever callback it was. */
static horus_result second_init_that_exits(void *user)
{
    probe *p = user;
    if (++p->inits == 2)
        pthread_exit(NULL);
    return HORUS_OK;
}
static horus_result first_shutdown_that_exits(void *user)
{
    probe *p = user;
    if (p->shutdowns++ == 0)
        pthread_exit(NULL);
    return HORUS_OK;
}
TEST(a_restart_that_ends_its_thread_is_a_failure_of_its_node_alone)
{
    horus_context *c = join(8 * MiB);
    for (int in_init = 0; in_init < 2; in_init++) {
        static probe p, q;
        memset(&p, 0, sizeof p);
        memset(&q, 0, sizeof q);
        p.fail_at = 2;
        p.fail_times = 1;
        p.result = HORUS_E_SYSTEM;
        horus_scheduler *s = open_with(c, NULL, (horus_scheduler_desc){0});
        REQUIRE_OK(horus_scheduler_add(
            s, &(horus_node_desc){.name = "exits",
                                  .tick = probe_tick,
                                  .init = in_init ? second_init_that_exits : probe_init,
                                  .shutdown = in_init ? probe_shutdown : first_shutdown_that_exits,
                                  .user = &p,
                                  .rate_num = 100,
                                  .compute = true,
                                  .on_failure = HORUS_FAILURE_RESTART,
                                  .pause_ns = 25000000}));
        add_probe(s, &q, (horus_node_desc){.name = "beside", .rate_num = 100});
        CHECK_OK(horus_scheduler_run(s, (int64_t)(100 * ms)));
        if (CHECK_TIMELY(p.ticks == 3 && p.inits == (in_init ? 2 : 1))) {
            CHECK_EQ(stats_at(s, 0).state, HORUS_NODE_FAILED);
            CHECK_EQ(stats_at(s, 0).failures, 2); /* its tick, and its thread's end */
            CHECK_EQ(p.shutdowns, 1);
        }
        CHECK_EQ(stats_at(s, 0).ticks, p.ticks);
        CHECK_EQ(stats_at(s, 0).ticks + stats_at(s, 0).skipped, 10);
        CHECK_EQ(stats_at(s, 1).ticks + stats_at(s, 1).skipped, 10);
        CHECK_EQ(q.shutdowns, 1);
        CHECK_OK(horus_scheduler_close(s));
    }
    horus_context_close(c);
}

/* ---- a child that comes back from a callback */

/* ---- an event's function that ends the thread that logs */

static _Atomic int logs_ended;
static void event_that_exits_for_lines(void *user, const horus_event *e)
{
    (void)user;
    if (e->kind == HORUS_EVENT_LOG) {
        atomic_fetch_add(&logs_ended, 1);
        pthread_exit(NULL);
    }
}
static void *logs_once(void *arg)
{
    horus_scheduler_log(arg, NULL, "from outside"); /* or before the run: then nobody is told */
    return NULL;
}
static horus_result tick_that_logs_once(void *user, horus_tick *t)
{
    pthread_t thread;
    probe *p = user;
    p->ticks++;
    if (t->index == 1 && p->ticks == 1)
        horus_scheduler_log(t->scheduler, t, "from a node");
    if (t->index == 0 && p->ticks == 1 &&
        CHECK_EQ(pthread_create(&thread, NULL, logs_once, t->scheduler), 0))
        CHECK_EQ(pthread_join(thread, NULL), 0);
    if (atomic_load(&logs_ended) == 2)
        horus_scheduler_stop(t->scheduler);
    return HORUS_OK;
}
TEST(a_line_whose_event_ends_the_thread_keeps_no_later_run_waiting)
{
    horus_context *c = join(8 * MiB);
    static probe p, q, r;
    horus_scheduler *s = open_with(
        c, NULL,
        (horus_scheduler_desc){.on_event = event_that_exits_for_lines, .blackbox_bytes = 4096});
    add_probe(s, &p, (horus_node_desc){.name = "a", .tick = tick_that_logs_once, .rate_num = 100});
    add_probe(s, &q,
              (horus_node_desc){
                  .name = "b", .tick = tick_that_logs_once, .rate_num = 100, .compute = true});
    CHECK_OK(horus_scheduler_run(s, (int64_t)(20 * second)));
    CHECK_EQ(atomic_load(&logs_ended), 2);
    CHECK_EQ(stats_at(s, 1).state, HORUS_NODE_FAILED);
    add_probe(s, &r, (horus_node_desc){.name = "c"}); /* its figures move */
    CHECK_OK(horus_scheduler_run(s, 0));
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}

enum { FORKS_IN_TICK, FORKS_IN_INIT, FORKS_IN_SHUTDOWN, FORKS_IN_EVENT, FORKS_IN_SAFE, FORKS };
/* ---- a run whose caller's thread is cancelled */

static _Atomic int beside_is_in, beside_may_go;
static horus_result takes_until_told(void *user, horus_tick *t)
{
    probe *p = user;
    p->ticks++;
    atomic_store(&beside_is_in, 1);
    while (!atomic_load(&beside_may_go))
        test_sleep_us(500);
    p->start = t->start_ns; /* the tick has ended */
    return HORUS_OK;
}
static horus_result ends_after_its_tick(void *user)
{
    probe *p = user;
    p->shutdowns++;
    return p->start ? HORUS_OK : HORUS_E_SYSTEM;
}
static void *runs_shortly(void *arg)
{
    CHECK_OK(horus_scheduler_run(arg, (int64_t)ms));
    pthread_testcancel(); /* not before */
    test_raise(5);        /* not reached */
    return NULL;
}
static void *goes_later(void *arg)
{
    test_sleep_us(30000);
    atomic_store(&beside_may_go, 1);
    return arg;
}
TEST(a_run_whose_thread_is_cancelled_ends_all_that_it_began)
{
    horus_context *c = join(8 * MiB);
    for (int waiting = 0; waiting < 2;
         waiting++) { /* while it sleeps; while it waits for a tick's end */
        static probe p, q;
        pthread_t thread, later;
        void *how = NULL;
        memset(&p, 0, sizeof p);
        memset(&q, 0, sizeof q);
        atomic_store(&beside_is_in, 0);
        atomic_store(&beside_may_go, 0);
        horus_scheduler *s = open_with(c, NULL, (horus_scheduler_desc){.watchdog_ns = 1000000});
        add_probe(s, &p, (horus_node_desc){.name = "ordered", .rate_num = 1});
        REQUIRE_OK(horus_scheduler_add(s, &(horus_node_desc){.name = "beside",
                                                             .tick = takes_until_told,
                                                             .shutdown = ends_after_its_tick,
                                                             .user = &q,
                                                             .rate_num = 1,
                                                             .compute = true}));
        REQUIRE(pthread_create(&thread, NULL, waiting ? runs_shortly : run_for_long, s) == 0);
        while (!atomic_load(&beside_is_in))
            test_sleep_us(500);
        test_sleep_us(30000);
        CHECK_EQ(pthread_cancel(thread), 0);
        REQUIRE(pthread_create(&later, NULL, goes_later, NULL) == 0);
        (void)pthread_join(thread, &how);
        (void)pthread_join(later, NULL);
        CHECK(how == PTHREAD_CANCELED);
        CHECK_EQ(p.shutdowns, 1);
        CHECK_EQ(q.shutdowns, 1);
        CHECK_EQ(stats_at(s, 0).failures, 0);
        CHECK_EQ(stats_at(s, 1).failures, 0); /* its tick has ended when it is shut down */
        CHECK_EQ(stats_at(s, 1).ticks, 1);
        horus_scheduler_stats st;
        CHECK_OK(horus_scheduler_get_stats(s, &st, NULL, 0, NULL));
        CHECK(!st.running);
        CHECK_EQ(st.end, waiting ? HORUS_END_DURATION : HORUS_END_FAILURE);
        CHECK_OK(horus_scheduler_run(s, 0)); /* not busy */
        CHECK_OK(horus_scheduler_close(s));
    }
    CHECK_EQ(atomic_load(&board->flag[5]), 0);
    horus_context_close(c);
}

/* ---- exit() in a tick */

static horus_result tick_that_exits(void *user, horus_tick *t)
{
    (void)user;
    if (t->count == 5)
        exit(3);
    return HORUS_OK;
}
static bool says_that_it_exits;
static void before_it_is_gone(void)
{
    if (says_that_it_exits) {
        test_raise(0);
        test_await(1);
    }
}
static void exits_beside_a_thread(void *arg)
{
    static probe p;
    (void)arg;
    says_that_it_exits = true;
    horus_context *c = join(0);
    horus_scheduler *s = open_with(c, NULL, (horus_scheduler_desc){0});
    add_probe(s, &p, (horus_node_desc){.name = "beside", .rate_num = 10000, .compute = true});
    REQUIRE_OK(horus_scheduler_add(
        s, &(horus_node_desc){.name = "exits", .tick = tick_that_exits, .rate_num = 100}));
    (void)horus_scheduler_run(s, HORUS_FOREVER);
}
TEST(what_threads_still_write_to_while_a_tick_exits_is_nobody_elses)
{
    enum { MOST = 4096, BYTES = 2048 };
    static horus_tensor m[MOST];
    static const char none[BYTES];
    (void)atexit(before_it_is_gone); /* before the library's own, and so it runs after that */
    horus_context *c = join(4 * MiB);
    size_t n = 0;
    int64_t shape = BYTES;
    pid_t child = test_fork(exits_beside_a_thread, NULL);
    test_await(0);
    while (n < MOST && horus_tensor_alloc(&m[n], c->pool, HORUS_U8, 1, &shape, 0) == HORUS_OK)
        n++;
    CHECK(n > 500 && n < MOST); /* all that there is */
    test_sleep_us(50000);
    for (size_t i = 0; i < n; i++)
        CHECK(memcmp(m[i].data, none, BYTES) == 0);
    test_raise(1);
    CHECK_EQ(WEXITSTATUS(test_wait(child)), 3);
    for (size_t i = 0; i < n; i++)
        CHECK_OK(horus_tensor_release(&m[i]));
    horus_context_close(c);
}

static int forks_in;    /* which callback forks, once */
static pid_t its_child; /* 0: this is it */
static int its_status;  /* what it exits with */
static void fork_in(int where)
{
    if (where != forks_in || its_child >= 0)
        return;
    fflush(NULL);
    its_child = fork();
    if (its_child > 0)
        CHECK_EQ(WEXITSTATUS(test_wait(its_child)), its_status);
}
static horus_result tick_that_forks(void *user, horus_tick *t)
{
    probe *p = user;
    p->ticks++;
    CHECK(its_child != 0); /* none begins in a child */
    if (t->count == 3)
        fork_in(FORKS_IN_TICK);
    if (its_child == 0)
        horus_scheduler_log(t->scheduler, t, "not in the parent's black box");
    return t->count == 5 ? HORUS_E_SYSTEM : HORUS_OK;
}
static horus_result init_that_forks(void *user)
{
    ((probe *)user)->inits++;
    CHECK(its_child != 0);
    fork_in(FORKS_IN_INIT);
    return HORUS_OK;
}
static horus_result shutdown_that_forks(void *user)
{
    ((probe *)user)->shutdowns++;
    CHECK(its_child != 0);
    fork_in(FORKS_IN_SHUTDOWN);
    return HORUS_OK;
}
static void safe_that_forks(void *user)
{
    ((probe *)user)->safes++;
    CHECK(its_child != 0);
    fork_in(FORKS_IN_SAFE);
}
static void event_that_forks(void *user, const horus_event *e)
{
    (void)user;
    CHECK(its_child != 0);
    if (e->kind == HORUS_EVENT_DEADLINE)
        fork_in(FORKS_IN_EVENT);
}
TEST(a_child_that_comes_back_from_a_callback_ends_its_run_and_leaves_its_parents_alone)
{
    for (forks_in = 0; forks_in < 2 * FORKS; forks_in++) {
        bool steps = forks_in >= FORKS;
        horus_context *c = join(8 * MiB);
        static probe p, q;
        horus_record r[64];
        size_t count = 0;
        memset(&p, 0, sizeof p);
        memset(&q, 0, sizeof q);
        its_child = -1;
        forks_in %= FORKS;
        horus_scheduler *s = open_with(c, NULL,
                                       (horus_scheduler_desc){.flags = HORUS_SIGNALS,
                                                              .watchdog_ns = 3600000000000,
                                                              .blackbox_bytes = 32768,
                                                              .on_event = event_that_forks});
        horus_node_desc d = {.name = "forks",
                             .tick = tick_that_forks,
                             .init = init_that_forks,
                             .shutdown = shutdown_that_forks,
                             .safe_state = safe_that_forks,
                             .user = &p,
                             .rate_num = 1000,
                             .deadline_ns = 1,
                             .on_miss = HORUS_MISS_SAFE_MODE,
                             .on_failure = HORUS_FAILURE_RESTART,
                             .pause_ns = 1};
        REQUIRE_OK(horus_scheduler_add(s, &d));
        d = (horus_node_desc){.name = "first",
                              .tick = tick_that_tells,
                              .shutdown = shutdown_that_forks,
                              .user = &q,
                              .order = -1};
        d.compute = true;
        REQUIRE_OK(horus_scheduler_add(s, &d));
        horus_result result = steps ? horus_scheduler_step(s, (int64_t)(20 * ms))
                                    : horus_scheduler_run(s, (int64_t)(20 * ms));
        if (steps && result == HORUS_OK)
            result = horus_scheduler_run(s, 0);
        if (its_child == 0) { /* the child */
            CHECK_RESULT(result, HORUS_E_DETACHED);
            CHECK_TEXT(horus_last_error(), "came back from a callback");
            CHECK_EQ(p.shutdowns + q.shutdowns, forks_in == FORKS_IN_SHUTDOWN);
            CHECK_RESULT(horus_scheduler_run(s, 0), HORUS_E_DETACHED);
            CHECK_OK(horus_scheduler_close(s));
            test_leave(atomic_load(&board->failures) != 0);
        }
        CHECK_TIMELY(its_child > 0); /* else that callback did not come */
        CHECK_OK(result);
        CHECK_EQ(stats_at(s, 0).ticks, p.ticks);
        CHECK_EQ(stats_at(s, 0).ticks + stats_at(s, 0).skipped, 20);
        CHECK_EQ(stats_at(s, 0).failures, p.ticks > 5);
        CHECK_EQ(p.shutdowns, p.inits);
        CHECK_EQ(q.shutdowns, 1);
        horus_scheduler_stats st;
        CHECK_OK(horus_scheduler_get_stats(s, &st, NULL, 0, NULL));
        CHECK_EQ(st.end, HORUS_END_DURATION);
        CHECK_OK(horus_scheduler_read_records(c, "test", r, 64, &count));
        for (size_t i = 0; i < count; i++)
            CHECK(r[i].kind != HORUS_EVENT_LOG);
        CHECK_OK(horus_scheduler_close(s));
        horus_context_close(c);
        forks_in += steps ? FORKS : 0;
    }
}
/* On a thread of the scheduler's own there is no run to return from: the child is over with its thread. */
TEST(a_child_of_a_compute_node_ends_with_its_thread)
{
    horus_context *c = join(8 * MiB);
    static probe p, q;
    its_child = -1;
    its_status = EXIT_FAILURE;
    forks_in = FORKS_IN_TICK;
    horus_scheduler *s = open_with(c, NULL, (horus_scheduler_desc){0});
    REQUIRE_OK(horus_scheduler_add(s, &(horus_node_desc){.name = "forks",
                                                         .tick = tick_that_forks,
                                                         .shutdown = shutdown_that_forks,
                                                         .user = &p,
                                                         .rate_num = 1000,
                                                         .compute = true}));
    add_probe(s, &q, (horus_node_desc){.name = "beside", .rate_num = 100});
    CHECK_OK(horus_scheduler_run(s, (int64_t)(200 * ms)));
    CHECK_TIMELY(its_child > 0);
    CHECK_EQ(stats_at(s, 0).ticks, p.ticks);
    CHECK_EQ(stats_at(s, 0).ticks + stats_at(s, 0).skipped, 200);
    CHECK_EQ(q.shutdowns, 1);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}
/* Memory of one process is the child's own: its scheduler runs there, once it has left its parent's run. */
TEST(a_child_with_private_memory_leaves_its_parents_run_and_begins_its_own)
{
    horus_context *c;
    static probe p;
    fake f = {.now = 7};
    REQUIRE_OK(horus_context_open(&c, &(horus_context_desc){.flags = HORUS_PRIVATE}));
    its_child = -1;
    forks_in = FORKS_IN_TICK;
    horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){0});
    REQUIRE_OK(horus_scheduler_add(
        s, &(horus_node_desc){.name = "n", .tick = tick_that_forks, .user = &p, .rate_num = 1000}));
    horus_result r = horus_scheduler_run(s, (int64_t)(10 * ms));
    if (its_child == 0) {
        CHECK_RESULT(r, HORUS_E_DETACHED);
        CHECK_EQ(p.ticks, 4);
        its_child = 1; /* and is a parent itself */
        CHECK_OK(horus_scheduler_run(s, (int64_t)(10 * ms)));
        CHECK_EQ(p.ticks, 14);
        CHECK_EQ(stats_at(s, 0).ticks, 14);
        CHECK_OK(horus_scheduler_close(s));
        horus_context_close(c);
        test_leave(atomic_load(&board->failures) != 0);
    }
    CHECK_OK(r);
    CHECK_EQ(p.ticks, 10);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}

TEST(what_counts_in_a_row_begins_anew_after_a_good_tick)
{
    horus_context *c = join(8 * MiB);
    fake f = {.now = 7};
    static probe p[3];
    horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){.max_deadline_misses = 2});
    for (int i = 0; i < 3; i++) {
        p[i].clock = &f;
        p[i].fail_every = i ? 2 : 0;
        p[i].result = HORUS_E_SYSTEM;
    }
    p[0].slow_every = 2;
    p[0].slow = 3 * ms;
    p[0].slow_at = UINT64_MAX - 1;
    add_probe(s, &p[0], (horus_node_desc){.name = "late", .rate_num = 100, .deadline_ns = 2000000});
    add_probe(s, &p[1],
              (horus_node_desc){.name = "restarts",
                                .rate_num = 100,
                                .on_failure = HORUS_FAILURE_RESTART,
                                .max_failures = 1,
                                .pause_ns = 1000000});
    add_probe(s, &p[2],
              (horus_node_desc){.name = "pauses",
                                .rate_num = 100,
                                .on_failure = HORUS_FAILURE_SKIP,
                                .max_failures = 2});
    CHECK_OK(horus_scheduler_run(s, (int64_t)second));
    CHECK_EQ(stats_at(s, 0).deadline_misses, 50);
    CHECK_EQ(p[0].ticks, 100);
    CHECK_EQ(stats_at(s, 1).failures, 50);
    CHECK_EQ(stats_at(s, 1).restarts, 50);
    CHECK_EQ(p[1].ticks, 100);
    CHECK_EQ(p[2].ticks, 100);
    CHECK_EQ(stats_at(s, 2).failures, 50);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}

TEST(what_steps_began_is_shut_down_though_another_node_was_added_and_admitted)
{
    horus_context *c = join(8 * MiB);
    static probe first, second;
    double load;
    horus_scheduler *s = open_with(c, NULL, (horus_scheduler_desc){0});
    add_probe(s, &first, (horus_node_desc){.name = "first", .order = 5});
    CHECK_OK(horus_scheduler_step(s, (int64_t)ms));
    add_probe(s, &second, (horus_node_desc){.name = "second"});
    CHECK_OK(horus_scheduler_admit(s, &load)); /* looks at them by order */
    CHECK_OK(horus_scheduler_close(s));
    CHECK_EQ(first.inits, 1);
    CHECK_EQ(first.shutdowns, 1);
    CHECK_EQ(second.inits + second.shutdowns, 0);
    horus_context_close(c);
}
/* How often this process has waited: each time it gave its processor away by itself. */
static long waits(void)
{
    struct rusage u;
    CHECK_EQ(getrusage(RUSAGE_SELF, &u), 0);
    return u.ru_nvcsw;
}
TEST(steps_begin_and_end_nodes_once_and_their_phases_go_on)
{
    horus_context *c = join(8 * MiB);
    static probe p[4];
    horus_scheduler *s;
    for (int logical = 0; logical < 2; logical++) {
        uint32_t flags = logical ? HORUS_DETERMINISTIC : HORUS_SIGNALS;
        long waited = waits();
        memset(p, 0, sizeof p);
        REQUIRE_OK(horus_scheduler_open(
            &s, &(horus_scheduler_desc){.context = c, .name = "s", .flags = flags}));
        for (int i = 0; i < 3; i++) {
            p[i].id = i;
            add_probe(s, &p[i],
                      (horus_node_desc){.name = i == 0   ? "a"
                                                : i == 1 ? "b"
                                                         : "slow",
                                        .compute = i == 1,
                                        .rate_num = i == 2 ? 30 : 1000});
        }
        for (int step = 0; step < 5; step++)
            CHECK_OK(horus_scheduler_step(s, (int64_t)ms));
        p[3].id = 3;
        add_probe(s, &p[3], (horus_node_desc){.name = "c", .rate_num = 500, .order = -1});
        CHECK_EQ(p[0].shutdowns, 0);
        CHECK_EQ(stats_at(s, 0).state, HORUS_NODE_RUNNING);
        for (int step = 5; step < 1000; step++)
            CHECK_OK(horus_scheduler_step(s, (int64_t)ms));
        CHECK_EQ(p[0].ticks, 1000);
        CHECK_EQ(p[1].ticks, 1000);
        CHECK_EQ(p[2].ticks, 30);
        CHECK_EQ(p[3].ticks, 498); /* from the sixth on: its own first phase */
        for (int i = 0; i < 4; i++) {
            CHECK_EQ(p[i].inits, 1);
            CHECK_EQ(p[i].shutdowns, 0);
            CHECK_EQ(stats_at(s, (size_t)i).skipped, 0);
        }
        CHECK(waits() - waited < 500); /* not in each step */
        order_count = 0;
        CHECK_OK(horus_scheduler_run(s, logical ? (int64_t)ms : 0)); /* ends what steps began */
        CHECK_EQ(p[0].inits, 1);
        CHECK_EQ(p[0].shutdowns, 1);
        CHECK_EQ(p[2].ticks, logical ? 31 : 30); /* anew */
        CHECK_OK(horus_scheduler_step(s, (int64_t)ms));
        CHECK_EQ(p[0].inits, 2);
        horus_scheduler_stop(s);
        CHECK_OK(horus_scheduler_step(s, (int64_t)ms));
        CHECK_EQ(p[0].shutdowns, 2);
        CHECK_OK(horus_scheduler_close(s));
        CHECK_EQ(p[0].shutdowns, 2);
    }
    CHECK_RESULT(horus_scheduler_step(NULL, 1), HORUS_E_ARG);
    /* added since, and never run: not shut down */
    fake f = {.now = 7};
    s = open_with(c, &f, (horus_scheduler_desc){0});
    CHECK_RESULT(horus_scheduler_step(s, HORUS_FOREVER), HORUS_E_ARG);
    CHECK_RESULT(horus_scheduler_step(s, -1), HORUS_E_ARG);
    p[0].id = 0;
    add_probe(s, &p[0], (horus_node_desc){.name = "a"});
    CHECK_OK(horus_scheduler_step(s, 0));
    add_probe(s, &p[1], (horus_node_desc){.name = "b", .order = -5});
    for (int i = 0; i < 40; i++) { /* its lists grow meanwhile */
        char name[8];
        (void)snprintf(name, sizeof name, "n%d", i);
        add_probe(s, &p[2], (horus_node_desc){.name = name});
    }
    order_count = 0;
    CHECK_OK(horus_scheduler_close(s));
    CHECK_EQ(order_count, 1);
    CHECK_EQ(order_log[0], 200);
    horus_context_close(c);
}
static horus_result tick_that_is_slow(void *user, horus_tick *t)
{
    uint64_t until = horusi_now() + 5 * ms;
    (void)t;
    while (horusi_now() < until) {
    }
    ++*(int *)user;
    return HORUS_OK;
}
TEST(a_muted_node_is_not_ticked_and_counts_nothing)
{
    horus_context *c = join(8 * MiB);
    static probe p[2];
    memset(p, 0, sizeof p);
    horus_scheduler *s = open_with(c, NULL, (horus_scheduler_desc){.flags = HORUS_DETERMINISTIC});
    add_probe(s, &p[0], (horus_node_desc){.name = "a", .rate_num = 1000});
    add_probe(s, &p[1], (horus_node_desc){.name = "b", .rate_num = 1000});
    s->nodes[0]->muted = true;
    for (int step = 0; step < 5; step++)
        CHECK_OK(horus_scheduler_step(s, (int64_t)ms));
    CHECK_EQ(p[0].ticks, 0);
    CHECK_EQ(p[1].ticks, 5);
    CHECK_EQ(stats_at(s, 0).ticks, 0);
    CHECK_EQ(stats_at(s, 0).skipped, 0);
    CHECK_EQ(stats_at(s, 0).spread[HORUS_SPREAD_RUN].count, 0);
    CHECK_EQ(stats_at(s, 0).spread[HORUS_SPREAD_WAKE].count, 0);
    CHECK_EQ(stats_at(s, 1).ticks, 5);
    s->nodes[0]->muted = false;
    CHECK_OK(horus_scheduler_step(s, (int64_t)ms));
    CHECK_EQ(p[0].ticks, 1);
    CHECK_EQ(p[0].phase[0], 5); /* its own phases went on */
    CHECK_EQ(p[0].skipped[0], 0);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}

TEST(a_failure_in_a_step_ends_what_steps_began)
{
    horus_context *c = join(8 * MiB);
    static probe p;
    horus_scheduler *s = open_with(c, NULL, (horus_scheduler_desc){0});
    p.fail_at = 3;
    p.fail_times = 1;
    p.result = HORUS_E_SYSTEM;
    add_probe(s, &p,
              (horus_node_desc){.name = "n", .rate_num = 1000, .on_failure = HORUS_FAILURE_FATAL});
    CHECK_OK(horus_scheduler_set_rate(s, "n", 500)); /* before the first run, too */
    for (int i = 0; i < 3; i++)
        CHECK_OK(horus_scheduler_step(s, (int64_t)(2 * ms)));
    CHECK_EQ(p.ticks, 3);
    CHECK_EQ(p.shutdowns, 0);
    CHECK_RESULT(horus_scheduler_step(s, (int64_t)(2 * ms)), HORUS_E_SYSTEM);
    CHECK_TEXT(horus_last_error(), "node n");
    CHECK_EQ(p.shutdowns, 1);
    CHECK_EQ(stats_at(s, 0).state, HORUS_NODE_IDLE);
    CHECK_OK(horus_scheduler_step(s, (int64_t)(2 * ms)));
    CHECK_EQ(p.inits, 2);
    CHECK_EQ(p.phase[4], 0); /* anew */
    /* its clock is never put back by a wait that is over already */
    uint64_t ahead = s->ahead;
    horusi_step_sleep(s, horusi_now() - second);
    CHECK_EQ(s->ahead, ahead);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}
TEST(a_step_does_not_pay_for_the_one_before)
{
    horus_context *c = join(8 * MiB);
    horus_scheduler *s;
    int ticks = 0;
    static probe woken;
    horus_topic *in, *out;
    horus_topic_desc d = {.type = &horus_cmd_vel_type, .context = c};
    REQUIRE_OK(horus_topic_open(&in, "in", &d));
    REQUIRE_OK(horus_topic_open(&out, "in", &d));
    REQUIRE_OK(horus_scheduler_open(&s, &(horus_scheduler_desc){.context = c, .name = "s"}));
    REQUIRE_OK(horus_scheduler_add(s, &(horus_node_desc){.name = "slow",
                                                         .tick = tick_that_is_slow,
                                                         .user = &ticks,
                                                         .rate_num = 1000,
                                                         .budget_ns = (int64_t)ms}));
    memset(&woken, 0, sizeof woken);
    add_probe(s, &woken, (horus_node_desc){.name = "woken", .on_topic = in});
    for (int i = 0; i < 6; i++) {
        horus_cmd_vel v = {.linear = (float)i};
        if (i % 2)
            REQUIRE_OK(horus_topic_send(out, &v, sizeof v, HORUS_NO_WAIT));
        CHECK_OK(horus_scheduler_step(s, (int64_t)ms));
        (void)horus_topic_receive(in, &v, sizeof v, NULL, HORUS_NO_WAIT);
    }
    CHECK_EQ(ticks, 6);
    CHECK_EQ(stats_at(s, 0).skipped, 0);
    CHECK_EQ(stats_at(s, 0).budget_misses, 6); /* time does go on while it ticks */
    CHECK_EQ(woken.ticks, 3);
    CHECK_OK(horus_scheduler_close(s));
    horus_topic_close(in);
    horus_topic_close(out);
    horus_context_close(c);
}
static horus_result tick_that_looks_at_its_mask(void *user, horus_tick *t)
{
    sigset_t *mask = (sigset_t *)user;
    horus_scheduler_stop(t->scheduler);
    return pthread_sigmask(SIG_BLOCK, NULL, mask) == 0 ? HORUS_OK : HORUS_E_SYSTEM;
}
/* Handlers are for the program's own threads; what has none may end what a tick starts. */
TEST(threads_take_no_signals_that_the_program_handles_but_their_own_faults)
{
    horus_context *c = join(8 * MiB);
    horus_scheduler *s;
    sigset_t mask, callers;
    const int handled[] = {SIGPROF, SIGUSR1, SIGCHLD, SIGSEGV, SIGFPE, SIGTERM};
    struct sigaction act = {.sa_handler = on_own}, ignored = {.sa_handler = SIG_IGN};
    (void)sigemptyset(&mask);
    (void)sigemptyset(&callers);
    for (size_t i = 0; i < sizeof handled / sizeof *handled; i++)
        (void)sigaction(handled[i], &act, NULL);
    (void)sigaction(SIGUSR2, &ignored, NULL);
    (void)sigaddset(&callers, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &callers, NULL);
    REQUIRE_OK(horus_scheduler_open(&s, &(horus_scheduler_desc){.context = c, .name = "s"}));
    REQUIRE_OK(horus_scheduler_add(s, &(horus_node_desc){.name = "beside",
                                                         .tick = tick_that_looks_at_its_mask,
                                                         .user = &mask,
                                                         .compute = true}));
    CHECK_OK(horus_scheduler_run(s, 30 * (int64_t)second)); /* until it has looked */
    CHECK(sigismember(&mask, SIGPROF) == 1 && sigismember(&mask, SIGUSR1) == 1);
    CHECK(sigismember(&mask, SIGCHLD) == 1 && sigismember(&mask, SIGHUP) == 1);
    CHECK(sigismember(&mask, SIGINT) == 0 && sigismember(&mask, SIGTERM) == 0);
    CHECK(sigismember(&mask, SIGQUIT) == 0 && sigismember(&mask, SIGUSR2) == 0);
    CHECK(sigismember(&mask, SIGSEGV) == 0 && sigismember(&mask, SIGFPE) == 0);
    (void)pthread_sigmask(SIG_BLOCK, NULL, &callers); /* the caller's is as it was */
    CHECK(sigismember(&callers, SIGHUP) == 1 && sigismember(&callers, SIGPROF) == 0);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}
static _Atomic uint32_t threads_ended;
static void a_thread_ends(void) { atomic_fetch_add(&threads_ended, 1); }
static void looks(void *user) { ++*(int *)user; }
TEST(a_binding_is_told_when_a_thread_ends_and_may_look_now_and_then)
{
    horus_context *c = join(8 * MiB);
    horus_scheduler *s;
    static probe p[2];
    int looked = 0;
    memset(p, 0, sizeof p);
    REQUIRE_OK(horus_scheduler_open(
        &s, &(horus_scheduler_desc){
                .context = c, .name = "s", .watchdog_ns = (int64_t)ms, .user = &looked}));
    add_probe(s, &p[0], (horus_node_desc){.name = "ordered"});
    add_probe(s, &p[1], (horus_node_desc){.name = "beside", .compute = true});
    s->thread_ends = a_thread_ends;
    s->look = looks;
    CHECK_OK(horus_scheduler_run(s, 350 * (int64_t)ms));
    CHECK_TIMELY(looked >= 1); /* on the thread that called run */
    CHECK(looked <= 3);
    CHECK_EQ(atomic_load(&threads_ended), 2); /* the worker and the watchdog */
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}
TEST(what_was_refused_is_told_in_whole_lines)
{
    horus_context *c = join(8 * MiB);
    static probe p[20];
    char name[20][HORUS_NAME_BYTES];
    horus_capabilities can;
    horus_scheduler *s = open_with(c, NULL, (horus_scheduler_desc){0});
    for (int i = 0; i < 20; i++) {
        (void)snprintf(name[i], sizeof name[i], i < 5 ? "node %d%080d" : "n%d", i, 0);
        add_probe(s, &p[i], (horus_node_desc){.name = name[i], .priority = 5});
    }
    CHECK_OK(horus_scheduler_run(s, 0));
    CHECK_OK(horus_scheduler_get_capabilities(s, &can));
    unsigned lines = 0, more = 0;
    for (char *line = strtok(can.degradations, "\n"); line; line = strtok(NULL, "\n")) {
        CHECK_EQ(more, 0); /* it is the last */
        if (sscanf(line, "and %u more", &more) != 1) {
            CHECK(strstr(line, name[lines]) && strstr(line, "; the scheduler's own are theirs"));
            lines++;
        }
    }
    CHECK(lines > 1 && more > 1);
    CHECK_EQ(lines + more, 20);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}
TEST(wishes_that_ordered_nodes_cannot_have_are_told)
{
    horus_context *c = join(8 * MiB);
    horus_capabilities can;
    horus_scheduler *s;
    static probe p[4];
    memset(p, 0, sizeof p);
    REQUIRE_OK(horus_scheduler_open(&s, &(horus_scheduler_desc){.context = c, .name = "s"}));
    add_probe(s, &p[0], (horus_node_desc){.name = "plain"});
    add_probe(s, &p[1], (horus_node_desc){.name = "urgent", .priority = 50});
    add_probe(s, &p[2], (horus_node_desc){.name = "bound", .core = 1});
    add_probe(s, &p[3], (horus_node_desc){.name = "alone", .core = 1, .compute = true});
    CHECK_OK(horus_scheduler_run(s, (int64_t)ms));
    CHECK_OK(horus_scheduler_get_capabilities(s, &can));
    CHECK(strstr(can.degradations, "for urgent: ordered nodes share a thread") != NULL);
    CHECK(strstr(can.degradations, "for bound: ordered nodes share a thread") != NULL);
    CHECK(strstr(can.degradations, "plain") == NULL && strstr(can.degradations, "alone") == NULL);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}
/* At its sixth tick it gives node "n" another rate and budget. */
static horus_result tick_that_sets(void *user, horus_tick *t)
{
    if (t->count == 5) {
        CHECK_OK(horus_scheduler_set_rate(t->scheduler, "n", *(double *)user));
        CHECK_OK(horus_scheduler_set_budget(t->scheduler, "n", (int64_t)ms / 2));
    }
    return HORUS_OK;
}
TEST(rates_and_budgets_change_while_it_runs)
{
    horus_context *c = join(8 * MiB);
    for (int fast = 0; fast < 2; fast++) {
        fake f = {.now = 7};
        static probe p;
        double rate = fast ? 1000 : 4;
        memset(&p, 0, sizeof p);
        p.clock = &f;
        p.cost = ms - 1;
        horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){0});
        REQUIRE_OK(horus_scheduler_add(
            s, &(horus_node_desc){
                   .name = "sets", .tick = tick_that_sets, .user = &rate, .rate_num = 10}));
        add_probe(s, &p, (horus_node_desc){.name = "n", .rate_num = 100});
        CHECK_OK(horus_scheduler_run(s, 2 * (int64_t)second));
        /* 100 Hz up to the tick at 500 ms, which is of the same pass as the change */
        CHECK_EQ(p.phase[50], 50);
        CHECK_EQ(p.due[50] - p.due[0], 500 * ms);
        CHECK_EQ(p.due[51] - p.due[50], fast ? ms : 250 * ms);
        CHECK_EQ(p.phase[51], 51);
        CHECK_EQ(p.ticks, fast ? 51 + 1499 : 51 + 5);
        CHECK_EQ(stats_at(s, 1).skipped, 0);
        CHECK_EQ(stats_at(s, 1).rate_num, fast ? 1000 : 4);
        CHECK_EQ(stats_at(s, 1).budget_misses, p.ticks - 50);
        CHECK_OK(horus_scheduler_close(s));
    }
    horus_context_close(c);
}
/* One tick of node n, at 30 ms of 100 Hz, takes 55 ms and asks for 1 kHz meanwhile: what it left out is
 * counted once, and what follows such a tick still does. */
static horus_result tick_that_sets_its_own(void *user, horus_tick *t)
{
    probe *p = user;
    if (t->phase == 3)
        CHECK_OK(horus_scheduler_set_rate(t->scheduler, "n", 1000));
    return probe_tick(p, t);
}
TEST(a_rate_set_within_a_slow_tick_counts_from_what_was_left_out)
{
    horus_context *c = join(8 * MiB);
    for (int policy = 0; policy < 3; policy++) {
        fake f = {.now = 7};
        static probe p;
        memset(&p, 0, sizeof p);
        p.clock = &f;
        p.slow_at = 3;
        p.slow = 55 * ms;
        horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){0});
        add_probe(s, &p,
                  (horus_node_desc){.name = "n",
                                    .tick = tick_that_sets_its_own,
                                    .rate_num = 100,
                                    .overrun = (horus_overrun)policy,
                                    .min_gap_ns = policy == HORUS_OVERRUN_MIN_GAP ? 25000000 : 0});
        CHECK_OK(horus_scheduler_run(s, (int64_t)(200 * ms)));
        horus_node_stats st = stats_at(s, 0);
        /* it ends at 85. 40 to 80 are left out, phases 4 to 8, and then 81, 82 and so on */
        CHECK_EQ(p.phase[4], policy == HORUS_OVERRUN_CATCH_UP        ? 4
                             : policy == HORUS_OVERRUN_SKIP_TO_PHASE ? 13
                                                                     : 20);
        CHECK_EQ(p.due[4] - 7, policy == HORUS_OVERRUN_CATCH_UP        ? 31 * ms
                               : policy == HORUS_OVERRUN_SKIP_TO_PHASE ? 85 * ms
                                                                       : 110 * ms);
        CHECK_EQ(st.skipped, policy == HORUS_OVERRUN_CATCH_UP        ? 0
                             : policy == HORUS_OVERRUN_SKIP_TO_PHASE ? 9
                                                                     : 16);
        CHECK_EQ(p.phase[p.ticks - 1] + 1, st.ticks + st.skipped); /* nothing twice */
        CHECK_EQ(p.due[p.ticks - 1] - 7, 199 * ms);
        CHECK_OK(horus_scheduler_close(s));
    }
    horus_context_close(c);
}
/* At its third tick it sets the rate of node n, which pauses then. */
static horus_result tick_that_sets_a_paused_one(void *user, horus_tick *t)
{
    (void)user;
    if (t->count == 2)
        CHECK_OK(horus_scheduler_set_rate(t->scheduler, "n", 200));
    return HORUS_OK;
}
TEST(a_pause_goes_on_at_another_rate_and_is_counted_once)
{
    horus_context *c = join(8 * MiB);
    fake f = {.now = 7};
    static probe p;
    p.clock = &f;
    p.fail_at = 2;
    p.fail_times = 1;
    p.result = HORUS_E_SYSTEM;
    horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){0});
    add_probe(s, &p,
              (horus_node_desc){.name = "n",
                                .rate_num = 100,
                                .on_failure = HORUS_FAILURE_SKIP,
                                .max_failures = 1,
                                .pause_ns = 65000000});
    REQUIRE_OK(horus_scheduler_add(
        s,
        &(horus_node_desc){.name = "sets", .tick = tick_that_sets_a_paused_one, .rate_num = 20}));
    CHECK_OK(horus_scheduler_run(s, (int64_t)(200 * ms)));
    /* fails at 20, pauses until 85; the change is at 100, of the pass that ticks at 100 */
    CHECK_EQ(p.due[3] - 7, 90 * ms);
    CHECK_EQ(p.due[4] - 7, 100 * ms);
    CHECK_EQ(p.due[5] - 7, 105 * ms);
    CHECK_EQ(stats_at(s, 0).skipped, 6);
    CHECK_OK(horus_scheduler_close(s));
    memset(&p, 0, sizeof p); /* and one that ends only after the change */
    p.clock = &f;
    p.fail_at = 8;
    p.fail_times = 1;
    p.result = HORUS_E_SYSTEM;
    f.now = 7;
    s = open_with(c, &f, (horus_scheduler_desc){0});
    add_probe(s, &p,
              (horus_node_desc){.name = "n",
                                .rate_num = 100,
                                .on_failure = HORUS_FAILURE_SKIP,
                                .max_failures = 1,
                                .pause_ns = 65000000});
    REQUIRE_OK(horus_scheduler_add(
        s,
        &(horus_node_desc){.name = "sets", .tick = tick_that_sets_a_paused_one, .rate_num = 20}));
    CHECK_OK(horus_scheduler_run(s, (int64_t)(200 * ms)));
    /* fails at 80; 90 and 100 are left out, then 105 to 140; back at 145 */
    CHECK_EQ(p.due[9] - 7, 145 * ms);
    CHECK_EQ(p.phase[9], 19);
    CHECK_EQ(stats_at(s, 0).skipped, 10);
    CHECK_EQ(p.phase[p.ticks - 1] + 1, stats_at(s, 0).ticks + stats_at(s, 0).skipped);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}
TEST(a_minimum_gap_is_kept_from_one_step_to_the_next)
{
    horus_context *c = join(8 * MiB);
    fake f = {.now = 5};
    static probe p;
    p.clock = &f;
    p.slow = 12 * ms;
    p.slow_at = 2;
    horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){0});
    add_probe(s, &p,
              (horus_node_desc){.name = "slow",
                                .rate_num = 100,
                                .overrun = HORUS_OVERRUN_MIN_GAP,
                                .min_gap_ns = 25000000});
    for (int i = 0; i < 20; i++)
        CHECK_OK(horus_scheduler_step(s, (int64_t)(10 * ms)));
    CHECK_EQ(p.due[2], 5 + 20 * ms); /* ends at 32; 57 is the soonest, 60 the phase */
    CHECK_EQ(p.due[3], 5 + 60 * ms);
    CHECK_EQ(p.due[4], 5 + 70 * ms);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}
static void *set_later(void *s)
{
    static const char *const names[] = {"slow", "failed", "paused"};
    struct timespec t = {0, 200000000};
    (void)nanosleep(&t, NULL);
    for (int i = 0; i < 3; i++)
        CHECK_OK(horus_scheduler_set_rate((horus_scheduler *)s, names[i], 100));
    return NULL;
}
TEST(a_rate_that_another_thread_sets_counts_soon)
{
    horus_context *c = join(8 * MiB);
    horus_scheduler *s;
    static probe p[3];
    pthread_t thread;
    memset(p, 0, sizeof p);
    p[1].init_result = p[2].init_result = HORUS_E_SYSTEM;
    REQUIRE_OK(horus_scheduler_open(&s, &(horus_scheduler_desc){.context = c, .name = "s"}));
    add_probe(s, &p[0], (horus_node_desc){.name = "slow", .rate_hz = 0.001, .compute = true});
    add_probe(s, &p[1], (horus_node_desc){.name = "failed", .rate_num = 10});
    add_probe(s, &p[2],
              (horus_node_desc){.name = "paused",
                                .rate_num = 10,
                                .on_failure = HORUS_FAILURE_RESTART,
                                .pause_ns = 60 * (int64_t)second});
    REQUIRE(pthread_create(&thread, NULL, set_later, s) == 0);
    CHECK_OK(horus_scheduler_run(s, (int64_t)second));
    (void)pthread_join(thread, NULL);
    CHECK_EQ(p[0].ticks + stats_at(s, 0).skipped, 100);
    CHECK_TIMELY(p[0].ticks > 20); /* some 70 after the change */
    CHECK_EQ(p[1].ticks + p[2].ticks, 0);
    CHECK_TIMELY(stats_at(s, 2).skipped > 80);
    CHECK(stats_at(s, 2).skipped <= 100);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}
TEST(rates_and_budgets_change_between_runs)
{
    horus_context *c = join(8 * MiB);
    fake f = {.now = 7};
    static probe p;
    p.clock = &f;
    p.cost = ms;
    horus_scheduler *s = open_with(c, &f, (horus_scheduler_desc){0});
    add_probe(s, &p, (horus_node_desc){.name = "n", .rate_num = 100});
    CHECK_OK(horus_scheduler_run(s, (int64_t)second));
    CHECK_EQ(p.ticks, 100);
    CHECK_OK(horus_scheduler_set_rate(s, "n", 59.94));
    CHECK_OK(horus_scheduler_set_budget(s, "n", 500000));
    CHECK_OK(horus_scheduler_run(s, (int64_t)(50 * second)));
    CHECK_EQ(p.ticks, 100 + 2997);
    CHECK_EQ(stats_at(s, 0).rate_num, 2997);
    CHECK_EQ(stats_at(s, 0).rate_den, 50);
    CHECK_EQ(stats_at(s, 0).budget_misses, 2997);
    CHECK_RESULT(horus_scheduler_set_rate(s, "n", 0), HORUS_E_ARG);
    CHECK_RESULT(horus_scheduler_set_rate(s, "n", 0.0 / (double)(c == NULL)), HORUS_E_ARG);
    CHECK_RESULT(horus_scheduler_set_rate(s, "x", 1), HORUS_E_NOT_FOUND);
    CHECK_RESULT(horus_scheduler_set_rate(s, NULL, 1), HORUS_E_ARG);
    CHECK_RESULT(horus_scheduler_set_rate(NULL, "n", 1), HORUS_E_ARG);
    CHECK_RESULT(horus_scheduler_set_budget(s, "n", -1), HORUS_E_ARG);
    CHECK_RESULT(horus_scheduler_set_budget(s, "x", 1), HORUS_E_NOT_FOUND);
    CHECK_EQ(stats_at(s, 0).rate_num, 2997);
    CHECK_OK(horus_scheduler_close(s));
    horus_context_close(c);
}
