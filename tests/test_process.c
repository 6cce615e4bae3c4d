/* Processes: forks at any moment, exec, pid namespaces, users of one group, read-only places. */
#define HORUS_IMPLEMENTATION
#include "../horus.h"
#include "test.h"
#include <fcntl.h>
#include <pthread.h>
#include <grp.h>
#include <sched.h>
#include <spawn.h>
#include <sys/mount.h>

/* ---- fork at any moment */

static _Atomic int working;
static void *works(void *arg)
{
    horus_context *c = arg;
    horus_topic *t;
    REQUIRE_OK(horus_topic_open(&t, "busy", &(horus_topic_desc){.context = c, .capacity = 8}));
    while (atomic_load(&working)) {
        horus_frame f;
        uint64_t n = 7;
        CHECK_OK(horus_frame_alloc(&f, pool_of(c), 3000, HORUS_UNINIT, NULL));
        CHECK_OK(horus_topic_send(t, &n, sizeof n, 0));
        CHECK_OK(horus_topic_receive(t, &n, sizeof n, NULL, 0));
        CHECK_OK(horus_frame_release(&f));
    }
    horus_topic_close(t);
    return NULL;
}
TEST(a_fork_while_threads_work_gives_a_child_that_begins_anew)
{
    horus_context *c = join(8 * MiB);
    pthread_t thread[2];
    uint32_t rows;
    atomic_store(&working, 1);
    for (int i = 0; i < 2; i++)
        REQUIRE(pthread_create(&thread[i], NULL, works, c) == 0);
    for (int i = 0; i < TEST_TIMES(200); i++) {
        pid_t pid = fork();
        REQUIRE(pid >= 0);
        if (pid == 0) {
            horus_context *own;
            horus_frame f;
            (void)alarm(20); /* a lock that was held at the fork would hold us for ever */
            horus_context_close(c);
            REQUIRE_OK(horus_context_open(&own, NULL));
            REQUIRE_OK(horus_frame_alloc(&f, pool_of(own), 5000, 0, NULL));
            if (i % 3 == 0)
                horus_context_close(own);
            if (i % 3 == 1)
                test_leave(atomic_load(&board->failures) != 0);
            _exit(atomic_load(&board->failures) != 0); /* with a frame in hand */
        }
        CHECK_JOIN(pid);
    }
    atomic_store(&working, 0);
    for (int i = 0; i < 2; i++)
        (void)pthread_join(thread[i], NULL);
    CHECK_OK(horus_context_sweep(c, &rows));
    check_balanced(pool_of(c));
    horus_context_close(c);
}

/* ---- threads that still work when the process ends */

static horus_context *ending;
static _Atomic uint64_t turns;
/* The last one out has removed the file, and threads that are still there may see that. */
static _Atomic bool last_one;
static bool is_fine(uint32_t what, horus_result r)
{
    return atomic_load(&last_one) &&
           (what == 1 ? r == HORUS_E_GONE : what == 3 && r == HORUS_E_SYSTEM);
}
/* Works on handles of its own until the process is gone. */
extern void __lsan_disable(void) __attribute__((weak));
/* Of this thread: it may be in the middle of an open at the end, or be gone with its stack. */
static void no_leak_check(void)
{
    if (__lsan_disable)
        __lsan_disable();
}
static void *works_to_the_end(void *arg)
{
    no_leak_check();
    uint32_t who = (uint32_t)(uintptr_t)arg;
    horus_topic *t;
    uint64_t n = who;
    REQUIRE_OK(horus_topic_open(&t, "busy", &(horus_topic_desc){.context = ending, .capacity = 8}));
    for (;;) {
        horus_frame f;
        horus_result r = HORUS_OK;
        switch (who % 4) {
        case 0:
            r = horus_topic_send(t, &n, sizeof n, 0);
            break;
        case 1: /* most of the time it sleeps */
            r = horus_topic_receive(t, &n, sizeof n, NULL, HORUS_FOREVER);
            break;
        case 2:
            if (horus_frame_alloc(&f, pool_of(ending), 3000, HORUS_UNINIT, NULL) == HORUS_OK)
                r = horus_frame_release(&f);
            break;
        default:
            r = horus_context_sweep(ending, NULL);
            break;
        }
        if (r != HORUS_OK && !is_fine(who % 4, r))
            test_failed(__FILE__, __LINE__, "%u: %s", who % 4, test_result_name(r));
        atomic_fetch_add(&turns, 1);
    }
    return NULL;
}
typedef struct ending_by {
    uint32_t how, us;
} ending_by;
static void *exits(void *arg)
{
    ending_by *e = arg;
    test_sleep_us(e->us);
    exit(0);
}
static void ends_with_busy_threads(void *arg)
{
    ending_by *e = arg;
    pthread_t thread[6], last;
    (void)alarm(20); /* or it hangs */
    REQUIRE_OK(horus_context_open(&ending, NULL));
    for (uintptr_t i = 0; i < 6; i++) {
        REQUIRE(pthread_create(&thread[i], NULL, works_to_the_end, (void *)i) == 0);
        REQUIRE(pthread_detach(thread[i]) == 0);
    }
    while (atomic_load(&turns) < 50)
        test_sleep_us(100);
    if (e->how == 0) /* as a return from main() */
        exits(e);
    REQUIRE(pthread_create(&last, NULL, exits, e) == 0);
    if (e->how == 1) /* another thread ends it all, while the first is in a call */
        (void)works_to_the_end((void *)(uintptr_t)1);
    pthread_exit(NULL); /* the first thread is gone by then */
}
TEST(a_process_ends_while_its_threads_work_and_the_next_one_sweeps)
{
    no_leak_check(); /* a child whose first thread ends has what it inherited on no stack */
    horus_context *c = join(8 * MiB);
    horus_topic *t;
    horus_frame f;
    uint32_t rows;
    uint64_t n;
    REQUIRE_OK(horus_topic_open(&t, "busy", &(horus_topic_desc){.context = c}));
    for (uint32_t i = 0; i < (uint32_t)TEST_TIMES(45); i++) {
        ending_by e = {i % 3, rng() % 3000};
        CHECK_JOIN(test_fork(ends_with_busy_threads, &e));
        CHECK_OK(horus_context_sweep(c, &rows));
        CHECK(rows >= 1); /* more where messages of one before wait for us */
        check_balanced(pool_of(c));
        horus_result r;
        while ((r = horus_topic_receive(t, &n, sizeof n, NULL, 0)) == HORUS_OK)
            CHECK_EQ(n % 4, 0);
        CHECK_RESULT(r, HORUS_EMPTY);
    }
    horus_topic_close(t);
    /* all its memory is ours */
    CHECK_OK(horus_frame_alloc(&f, pool_of(c), stats_of(pool_of(c)).data_bytes, 0, NULL));
    CHECK_OK(horus_frame_release(&f));
    horus_context_close(c);
}
TEST(the_last_process_ends_while_its_threads_work_and_leaves_nothing)
{
    no_leak_check();
    atomic_store(&last_one, true);
    for (uint32_t i = 0; i < (uint32_t)TEST_TIMES(15); i++) {
        ending_by e = {i % 3, rng() % 3000};
        CHECK_JOIN(test_fork(ends_with_busy_threads, &e));
    } /* the runner looks for what is left */
}

static horus_topic *legacy;
static void *uses_and_ends(void *arg)
{
    horus_topic *own;
    horus_frame f;
    uint64_t n = 1;
    (void)arg;
    REQUIRE_OK(horus_topic_open(&own, "t", &(horus_topic_desc){.context = ending}));
    REQUIRE_OK(horus_topic_open(&legacy, "t", &(horus_topic_desc){.context = ending}));
    CHECK_OK(horus_topic_send(own, &n, sizeof n, 0));
    CHECK_OK(horus_topic_send(legacy, &n, sizeof n, 0));
    CHECK_OK(horus_frame_alloc(&f, pool_of(ending), 100, 0, NULL));
    CHECK_OK(horus_frame_release(&f));
    horus_topic_close(own);
    pthread_exit(NULL); /* with a handle that is open */
}
TEST(a_thread_that_ends_leaves_its_handle_to_another)
{
    pthread_t thread;
    uint64_t n, sum = 0;
    ending = join(8 * MiB);
    for (int i = 0; i < 20; i++) {
        REQUIRE(pthread_create(&thread, NULL, uses_and_ends, NULL) == 0);
        REQUIRE(pthread_join(thread, NULL) == 0);
        n = 2;
        CHECK_OK(horus_topic_send(legacy, &n, sizeof n, 0));
        while (horus_topic_receive(legacy, &n, sizeof n, NULL, 0) == HORUS_OK)
            sum += n;
        CHECK_EQ(sum, 4 * (uint64_t)(i + 1)); /* its own, the other's, and ours */
        horus_topic_close(legacy);
    }
    check_balanced(pool_of(ending));
    horus_context_close(ending);
}

/* Functions that run at exit after the library has left: calls say so, and do no harm. */
static horus_topic *late;
static void uses_late(void)
{
    uint64_t n = 1;
    if (horus_topic_send(late, &n, sizeof n, 0) != HORUS_E_DETACHED ||
        horus_topic_receive(late, &n, sizeof n, NULL, 0) != HORUS_E_DETACHED)
        atomic_fetch_add(&board->failures, 1);
    horus_topic_close(late);
}
static void exits_with_a_late_function(void *arg)
{
    uint64_t n = 1;
    (void)arg;
    (void)atexit(uses_late);
    REQUIRE_OK(horus_topic_open(&late, "t", NULL));
    CHECK_OK(horus_topic_send(late, &n, sizeof n, 0));
    CHECK_OK(horus_topic_receive(late, &n, sizeof n, NULL, 0));
    exit(0);
}
TEST(functions_that_run_late_at_exit_find_the_handle_detached)
{
    CHECK_JOIN(test_fork(exits_with_a_late_function, NULL));
}

TEST(nothing_is_open_after_exec)
{
    horus_context *c = join(2 * MiB);
    horus_pool *p;
    REQUIRE_OK(horus_pool_open(&p, "x", &(horus_pool_desc){.context = c, .pool_bytes = MiB}));
    static char *const look[] = {
        "sh", "-c", "! ls -l /proc/self/fd | grep -q horus && ! grep -q horus /proc/self/maps",
        NULL};
    for (int how = 0; how < 3; how++) {
        pid_t pid = how == 0 ? fork() : how == 1 ? vfork() : -1;
        if (how == 2)
            REQUIRE(posix_spawn(&pid, "/bin/sh", NULL, NULL, look, environ) == 0);
        REQUIRE(pid >= 0);
        if (pid == 0) {
            execv("/bin/sh", look);
            _exit(99);
        }
        CHECK_JOIN(pid);
    }
    horus_context_close(c);
}

static void spawns_and_dies(void *arg)
{
    static char *const wait[] = {"sleep", "20", NULL};
    horus_context *c = join(0);
    horus_frame f;
    pid_t pid;
    REQUIRE_OK(horus_frame_alloc(&f, pool_of(c), 1000, 0, NULL));
    if (*(int *)arg) {
        REQUIRE(posix_spawnp(&pid, "sleep", NULL, NULL, wait, environ) == 0);
    } else if ((pid = vfork()) == 0) {
        execvp("sleep", wait);
        _exit(99);
    }
    atomic_store(&board->value[0], (uint64_t)pid);
    test_raise(0);
    (void)raise(SIGKILL);
}
TEST(a_death_is_noticed_while_spawned_children_live)
{
    horus_context *c = join(2 * MiB);
    for (int how = 0; how < 2; how++) {
        uint32_t rows = 0;
        board->flag[0] = 0;
        (void)test_wait(test_fork(spawns_and_dies, &how));
        CHECK_EQ(atomic_load(&board->flag[0]), 1);
        for (int tries = TEST_EMULATED ? 5000 : 1; rows == 0 && tries > 0; tries--) {
            CHECK_OK(horus_context_sweep(c, &rows)); /* an emulator's vfork() waits for no exec */
            test_sleep_us(TEST_EMULATED ? 1000 : 0);
        }
        CHECK_EQ(rows, 1);
        CHECK(kill((pid_t)atomic_load(&board->value[0]), SIGKILL) == 0); /* it was there */
        check_empty(pool_of(c));
    }
    horus_context_close(c);
}

/* ---- namespaces and users */

static void joins_and_sends(void *arg)
{
    horus_topic *t;
    horus_context_info info;
    (void)arg;
    REQUIRE_OK(horus_topic_open(&t, "t", NULL));
    CHECK_OK(horus_context_get_info(NULL, &info));
    CHECK_EQ(info.processes, 2);
    CHECK_OK(horus_topic_send(t, "hello", 6, 0));
    test_raise(0);
    test_stay();
}
TEST(two_pid_namespaces_share_one_pool)
{
    if (geteuid() != 0)
        SKIP("needs root");
    uint32_t rows = 9;
    char hello[6];
    horus_topic *t;
    REQUIRE_OK(horus_topic_open(&t, "t", NULL));
    pid_t pid = fork();
    if (pid == 0) {
        if (unshare(CLONE_NEWPID) != 0)
            _exit(3);
        pid_t inner = fork(); /* number 1 over there */
        if (inner == 0) {
            CHECK_EQ(getpid(), 1);
            joins_and_sends(NULL);
        }
        (void)test_wait(inner);
        _exit(0);
    }
    while (atomic_load(&board->flag[0]) == 0) {
        int status;
        if (waitpid(pid, &status, WNOHANG) == pid)
            SKIP("no pid namespaces here");
        test_sleep_us(500);
    }
    CHECK_OK(horus_topic_receive(t, hello, sizeof hello, NULL, 1000000000));
    CHECK_OK(horus_context_sweep(NULL, &rows)); /* its pid means nothing here: it lives */
    CHECK_EQ(rows, 0);
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
    FILE *f = fopen(path, "r");
    int inner = 0;
    REQUIRE(f && fscanf(f, "%d", &inner) == 1 && inner > 1);
    (void)fclose(f);
    CHECK(kill(inner, SIGKILL) == 0);
    CHECK_JOIN(pid);
    CHECK_OK(horus_context_sweep(NULL, &rows));
    CHECK_EQ(rows, 1);
    check_balanced(NULL);
    horus_topic_close(t);
}

static void as_user(uid_t uid)
{
    gid_t group = 4711;
    REQUIRE(setgroups(1, &group) == 0 && setgid(uid) == 0 && setuid(uid) == 0);
}
static void first_user(void *arg)
{
    horus_topic *t;
    horus_context *c;
    char text[6];
    (void)arg;
    as_user(12001);
    REQUIRE_OK(horus_context_open(&c, &(horus_context_desc){.group = "4711", .pool_bytes = MiB}));
    REQUIRE_OK(horus_topic_open(&t, "t", &(horus_topic_desc){.context = c}));
    test_raise(0);
    CHECK_OK(horus_topic_receive(t, text, sizeof text, NULL, 10000000000));
    test_await(1);
    horus_context_close(c);
}
static void second_user(void *arg)
{
    horus_topic *t;
    horus_context *c;
    (void)arg;
    as_user(12002);
    CHECK_RESULT(horus_context_open(&c, NULL), HORUS_E_PERMISSION); /* without the group: no */
    REQUIRE_OK(horus_context_open(&c, &(horus_context_desc){.group = "4711"}));
    REQUIRE_OK(horus_topic_open(&t, "t", &(horus_topic_desc){.context = c}));
    CHECK_OK(horus_topic_send(t, "hello", 6, 0));
    horus_context_close(c);
}
TEST(two_users_of_a_group_share_one_pool)
{
    if (geteuid() != 0)
        SKIP("needs root");
    pid_t first = test_fork(first_user, NULL);
    test_await(0);
    CHECK_JOIN(test_fork(second_user, NULL));
    test_raise(1);
    CHECK_JOIN(first);
}

TEST(a_read_only_place_is_refused_by_name)
{
    char dir[] = "/tmp/horus-test-XXXXXX";
    horus_context *c;
    if (geteuid() != 0 || unshare(CLONE_NEWNS) != 0)
        SKIP("needs root and mount namespaces");
    REQUIRE(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    REQUIRE(mkdtemp(dir) && mount("horus-test", dir, "tmpfs", MS_RDONLY, "size=4m") == 0);
    CHECK_RESULT(horus_context_open(&c, &(horus_context_desc){.dir = dir}), HORUS_E_PERMISSION);
    CHECK(c == NULL);
    CHECK_TEXT(horus_last_error(), dir);
    (void)umount2(dir, MNT_DETACH);
    CHECK(rmdir(dir) == 0);
}
