/* The test framework: include it after horus.h with its implementation.
 *
 *     TEST(what_is_promised) { CHECK(1 + 1 == 2); CHECK_OK(horus_context_default(&c)); }
 *
 * Each test runs in a process and a namespace of its own (HORUS_NAMESPACE), is ended after a while,
 * and must leave nothing in shared memory. The program's last line is "N passed, N failed". An
 * argument runs only the tests whose names contain it. HORUS_TEST_SECONDS: limit per test.
 *
 * What a test expects of the machine, and not of horus alone, is CHECK_TIMELY(p.ticks > 500). If that
 * fails while a processor stood still (a process on each one that only sleeps woke late), the test is
 * run again, TEST_TRIES times at most, then named as skipped; on a machine that did run it is a failure
 * as any other. */
#ifndef TEST_H
#define TEST_H

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TEST_SANITIZED 1
#endif
#if __has_feature(thread_sanitizer)
#define TEST_THREAD_SANITIZED 1
#endif
#if __has_feature(undefined_behavior_sanitizer)
#define TEST_UNDEFINED_SANITIZED 1
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define TEST_THREAD_SANITIZED 1
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#ifndef TEST_SANITIZED
#define TEST_SANITIZED 1
#endif
#endif
#ifndef TEST_SANITIZED
#define TEST_SANITIZED 0
#endif
#ifndef TEST_THREAD_SANITIZED
#define TEST_THREAD_SANITIZED 0
#endif
#ifndef TEST_UNDEFINED_SANITIZED
#define TEST_UNDEFINED_SANITIZED 0
#endif
#ifdef TEST_COVERAGE /* who ends at once, or is about to be killed, says what it ran so far */
extern void __gcov_dump(void), __gcov_reset(void);
#define TEST_SAY_COVERAGE() (__gcov_dump(), __gcov_reset())
#define _exit(status) (TEST_SAY_COVERAGE(), _exit(status))
#else
#define TEST_SAY_COVERAGE() ((void)0)
#endif
#ifndef TEST_EMULATED /* built for an emulator of another processor: see tests/cross.sh */
#define TEST_EMULATED 0
#endif
/* How often to repeat what is only made likelier by repeating: less where a step costs more. */
#if TEST_SANITIZED || TEST_EMULATED || defined TEST_COVERAGE
#define TEST_TIMES(n) (((n) + 9) / 10)
#else
#define TEST_TIMES(n) (n)
#endif

/* Memory that a test shares with the processes that it forks. */
typedef struct test_board {
    _Atomic uint32_t failures, skipped, late;
    _Atomic uint64_t stood_still_ns; /* the longest that a processor did, in the present test */
    _Atomic uint32_t flag[32];
    _Atomic uint64_t value[4096];
} test_board;
static test_board *board;

typedef struct test_case {
    const char *name, *file;
    void (*run)(void);
    int line;
    struct test_case *next;
} test_case;
static test_case *test_first, **test_last = &test_first;
static char test_space[64]; /* the namespace of this test; others that it makes begin with it */

#define TEST(name_)                                                                                \
    static void name_(void);                                                                       \
    static test_case test_case_##name_ = {#name_, __FILE__, name_, __LINE__, NULL};                \
    __attribute__((constructor)) static void test_register_##name_(void)                           \
    {                                                                                              \
        *test_last = &test_case_##name_;                                                           \
        test_last = &test_case_##name_.next;                                                       \
    }                                                                                              \
    static void name_(void)

__attribute__((format(printf, 3, 4), unused)) static bool test_failed(const char *file, int line,
                                                                      const char *format, ...)
{
    char text[900];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (atomic_fetch_add(&board->failures, 1) < 40) {
        fprintf(stderr, "%s:%d: %s\n", file, line, text);
        fflush(stderr);
    }
    return false;
}
__attribute__((noreturn, unused)) static void test_give_up(void) { exit(1); }
__attribute__((unused)) static bool test_was_late(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: not in time: %s\n", file, line, what);
    atomic_fetch_add(&board->late, 1);
    return false;
}

__attribute__((unused)) static const char *test_result_name(int result)
{
    switch (result) {
#define TEST_X(name, value, text)                                                                  \
    case value:                                                                                    \
        return #name;
        HORUS_RESULTS(TEST_X)
#undef TEST_X
    default:
        return "no result";
    }
}
__attribute__((unused)) static bool test_result(const char *file, int line, const char *call,
                                                int got, int want)
{
    if (got == want)
        return true;
    return test_failed(file, line, "%s: %s, not %s (last error: %s)", call, test_result_name(got),
                       test_result_name(want), horus_last_error());
}
__attribute__((unused)) static bool test_equal(const char *file, int line, const char *a,
                                               const char *b, long long got, long long want)
{
    return got == want || test_failed(file, line, "%s is %lld, not %s (%lld)", a, got, b, want);
}
__attribute__((unused)) static bool test_text(const char *file, int line, const char *what,
                                              const char *text, const char *part)
{
    return (text && strstr(text, part)) || test_failed(file, line, "%s is \"%s\", without \"%s\"",
                                                       what, text ? text : "(null)", part);
}
/* True if n bytes are all `byte`. */
__attribute__((unused)) static bool test_is_all(const void *data, int byte, size_t n)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < n; i++)
        if (p[i] != (uint8_t)byte)
            return false;
    return true;
}

/* CHECK goes on after a failure, REQUIRE ends the test. Each is true if all is well. */
#define CHECK(cond) ((cond) ? true : test_failed(__FILE__, __LINE__, "%s", #cond))
#define CHECK_EQ(got, want)                                                                        \
    test_equal(__FILE__, __LINE__, #got, #want, (long long)(got), (long long)(want))
#define CHECK_RESULT(call, want) test_result(__FILE__, __LINE__, #call, (int)(call), (int)(want))
#define CHECK_OK(call) CHECK_RESULT(call, HORUS_OK)
#define CHECK_TEXT(text, part) test_text(__FILE__, __LINE__, #text, text, part)
/* What holds only on a machine that runs. */
#define CHECK_TIMELY(cond) ((cond) ? true : test_was_late(__FILE__, __LINE__, #cond))
#define CHECK_ZERO(object) CHECK(test_is_all(&(object), 0, sizeof(object)))
#define REQUIRE(cond) (CHECK(cond) ? (void)0 : test_give_up())
#define REQUIRE_OK(call) (CHECK_OK(call) ? (void)0 : test_give_up())
/* Ends a test that cannot run here. */
#define SKIP(why)                                                                                  \
    do {                                                                                           \
        printf("%s:%d: skipped: %s\n", __FILE__, __LINE__, why);                                   \
        atomic_fetch_add(&board->skipped, 1);                                                      \
        return;                                                                                    \
    } while (0)

/* ---- processes */

/* Ends a forked process as exit() would, but for the leak check: what was inherited is not lost. */
__attribute__((noreturn, unused)) static void test_leave(int status)
{
    horusi_at_exit();
    fflush(NULL);
    _exit(status);
}
/* Runs body(arg) in a process of its own. */
__attribute__((unused)) static pid_t test_fork(void (*body)(void *), void *arg)
{
    fflush(NULL);
    pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, 0);
        body(arg);
        test_leave(0);
    }
    return pid;
}
/* Waits for its end and returns its status. */
__attribute__((unused)) static int test_wait(pid_t pid)
{
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}
__attribute__((unused)) static void test_kill(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    (void)test_wait(pid);
}
#define CHECK_JOIN(pid)                                                                            \
    test_equal(__FILE__, __LINE__, "exit status of " #pid, "0", test_wait(pid), 0)

__attribute__((unused)) static void test_sleep_us(long us)
{
    struct timespec t = {us / 1000000, us % 1000000 * 1000};
    (void)nanosleep(&t, NULL);
}
/* One process says that it has come to a point, another waits for it. */
__attribute__((unused)) static void test_raise(unsigned flag)
{
    TEST_SAY_COVERAGE(); /* now: whoever awaits this may kill us, and half a file is worse than none */
    atomic_fetch_add(&board->flag[flag], 1);
}
__attribute__((unused)) static void test_await_count(unsigned flag, uint32_t count)
{
    while (atomic_load(&board->flag[flag]) < count)
        test_sleep_us(200);
}
__attribute__((unused)) static void test_await(unsigned flag) { test_await_count(flag, 1); }
/* Holds a process until somebody kills it. */
__attribute__((unused, noreturn)) static void test_stay(void)
{
    for (;;)
        pause();
}

/* ---- what most tests begin and end with */

static const uint64_t MiB = 1 << 20;

__attribute__((unused)) static horus_context *join_desc(horus_context_desc d)
{
    horus_context *c;
    REQUIRE_OK(horus_context_open(&c, &d));
    return c;
}
/* Joins the test's namespace; the first to do so makes the pool so large. */
__attribute__((unused)) static horus_context *join(uint64_t bytes)
{
    return join_desc((horus_context_desc){.pool_bytes = bytes, .label = "tester"});
}
__attribute__((unused)) static horus_pool *pool_of(horus_context *c)
{
    horus_pool *p;
    REQUIRE_OK(horus_pool_open(&p, NULL, &(horus_pool_desc){.context = c}));
    return p;
}
__attribute__((unused)) static horus_pool_stats stats_of(horus_pool *p)
{
    horus_pool_stats s;
    REQUIRE_OK(horus_pool_get_stats(p, &s));
    return s;
}
__attribute__((unused)) static void check_balanced(horus_pool *p)
{
    horus_audit a;
    CHECK_OK(horus_pool_audit(p, &a, NULL, NULL));
    if (!CHECK(a.balanced))
        test_failed(__FILE__, __LINE__, "the audit says: %s", a.first);
}
/* Nothing is held: not by us, not by anybody. */
__attribute__((unused)) static void check_empty(horus_pool *p)
{
    check_balanced(p);
    CHECK_EQ(stats_of(p).used_slots, 0);
    CHECK_EQ(stats_of(p).used_bytes, 0);
}

static uint64_t rng_state = 1;
__attribute__((unused)) static uint32_t rng(void)
{
    uint64_t z = rng_state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)(z >> 40);
}

/* ---- the runner */

static volatile sig_atomic_t test_child;
static volatile sig_atomic_t test_late;
static void test_on_alarm(int signal)
{
    (void)signal;
    test_late = 1;
    if (test_child > 0)
        (void)kill(-(pid_t)test_child, SIGKILL);
}

static const char *test_dir(void)
{
    const char *dir = getenv("HORUS_DIR");
    return dir && *dir ? dir : HORUS_SHM_DIR;
}
/* Says what a test has left behind, and removes it. */
static bool test_left_behind(const test_case *t)
{
    char prefix[96], path[700], inner[1300];
    bool found = false;
    DIR *d = opendir(test_dir());
    (void)snprintf(prefix, sizeof prefix, "horus.%s", test_space);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        if (strncmp(e->d_name, prefix, strlen(prefix)) != 0)
            continue;
        found = true;
        fprintf(stderr, "%s:%d: %s left %s behind\n", t->file, t->line, t->name, e->d_name);
        (void)snprintf(path, sizeof path, "%s/%s", test_dir(), e->d_name);
        DIR *in = opendir(path);
        for (struct dirent *f; in && (f = readdir(in)) != NULL;) {
            (void)snprintf(inner, sizeof inner, "%s/%s", path, f->d_name);
            (void)unlink(inner);
        }
        if (in)
            (void)closedir(in);
        if (rmdir(path) != 0)
            (void)unlink(path);
    }
    if (d)
        (void)closedir(d);
    return found;
}

/* Sees how long a processor stands still: a process of its own on each, which sleeps. */
static const uint64_t TEST_STANDSTILL_NS = 5000000;
enum { TEST_TRIES = 12 };
__attribute__((noreturn)) static void test_witness(unsigned cpu, pid_t parent)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    (void)sched_setaffinity(0, sizeof set, &set);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(0); /* it was over before that */
    for (uint64_t before = horus_now_ns();;) {
        test_sleep_us(1000);
        uint64_t now = horus_now_ns(), slept = now - before;
        uint64_t late = slept > 1000000 ? slept - 1000000 : 0;
        before = now;
        if (late > atomic_load(&board->stood_still_ns))
            atomic_store(&board->stood_still_ns, late);
    }
}

/* Runs one test; true if it passed. */
static bool test_run(const test_case *t, unsigned number, unsigned seconds)
{
    int status = 0, tries = 0;
again:
    memset((void *)board, 0, sizeof *board);
    (void)snprintf(test_space, sizeof test_space, "t%d-%03u", (int)getpid(), number);
    (void)setenv("HORUS_NAMESPACE", test_space, 1);
    fflush(NULL);
    test_late = 0;
    pid_t pid = fork();
    if (pid == 0) {
        (void)setpgid(0, 0);
        (void)signal(SIGALRM, SIG_DFL);
        t->run();
        exit(atomic_load(&board->failures) ? 1 : 0);
    }
    if (pid < 0) {
        fprintf(stderr, "%s:%d: %s: cannot fork: %s\n", t->file, t->line, t->name, strerror(errno));
        return false;
    }
    (void)setpgid(pid, pid);
    test_child = pid;
    (void)alarm(seconds);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    (void)alarm(0);
    test_child = 0;
    (void)kill(-pid, SIGKILL); /* what it forked and forgot */
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
        ;
    bool passed = status == 0 && atomic_load(&board->failures) == 0;
    if (test_late)
        fprintf(stderr, "%s:%d: %s: still running after %u s\n", t->file, t->line, t->name,
                seconds);
    else if (WIFSIGNALED(status))
        fprintf(stderr, "%s:%d: %s: ended by signal %d\n", t->file, t->line, t->name,
                WTERMSIG(status));
    else if (!passed)
        fprintf(stderr, "%s:%d: %s: failed (exit code %d, %u checks)\n", t->file, t->line, t->name,
                WEXITSTATUS(status), atomic_load(&board->failures));
    if (test_left_behind(t))
        passed = false;
    if (passed && atomic_load(&board->late)) {
        uint64_t still = atomic_load(&board->stood_still_ns);
        fprintf(stderr, "%s:%d: %s: not in time; a processor stood still for %u us at most\n",
                t->file, t->line, t->name, (unsigned)(still / 1000));
        if (still > TEST_STANDSTILL_NS && ++tries < TEST_TRIES)
            goto again;
        if (still > TEST_STANDSTILL_NS) {
            printf("%s:%d: skipped: %s: each time in %d a processor stood still\n", t->file,
                   t->line, t->name, TEST_TRIES);
            atomic_fetch_add(&board->skipped, 1);
            return true;
        }
        fprintf(stderr, "%s:%d: FAILED %s\n", t->file, t->line, t->name);
        passed = false;
    } else if (!passed)
        fprintf(stderr, "%s:%d: FAILED %s\n", t->file, t->line, t->name);
    return passed;
}

int main(int argc, char **argv)
{
    unsigned passed = 0, failed = 0, number = 0, ran = 0;
    const char *limit = getenv("HORUS_TEST_SECONDS");
    unsigned seconds = limit ? (unsigned)atoi(limit) : TEST_SANITIZED ? 240 : 60;
    bool timed = getenv("HORUS_TEST_TIMES") != NULL;
    board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (board == MAP_FAILED)
        return 2;
    cpu_set_t cpus;
    pid_t runner, parent = getpid();
    if (sched_getaffinity(0, sizeof cpus, &cpus) != 0)
        return 2;
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &cpus) && fork() == 0)
            test_witness(cpu, parent);
    if ((runner = fork()) != 0) {
        int status = 2;
        (void)waitpid(runner, &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)unsetenv("HORUS_GROUP");
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    struct sigaction on_alarm;
    memset(&on_alarm, 0, sizeof on_alarm);
    on_alarm.sa_handler = test_on_alarm;
    (void)sigaction(SIGALRM, &on_alarm, NULL);
    for (test_case *t = test_first; t; t = t->next) {
        number++;
        if (argc > 1 && !strstr(t->name, argv[1]))
            continue;
        uint64_t begin = horus_now_ns();
        ran++;
        bool ok = test_run(t, number, seconds);
        if (timed)
            printf("%8.3f s  %s\n", (double)(horus_now_ns() - begin) / 1e9, t->name);
        if (!ok)
            failed++;
        else if (atomic_load(&board->skipped) == 0)
            passed++;
    }
    if (ran == 0) {
        fprintf(stderr, "FAILED: no test is called so: %s\n", argc > 1 ? argv[1] : "");
        failed++;
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed ? 1 : 0;
}

#endif
