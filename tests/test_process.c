/* Processes: forks at any moment, exec, pid namespaces, users of one group, read-only places. */
#define HORUS_IMPLEMENTATION
#include "../horus.h"
#include "test.h"
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
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

TEST(nothing_is_open_after_exec)
{
    horus_context *c = join(2 * MiB);
    horus_pool *p;
    REQUIRE_OK(horus_pool_open(&p, "x", &(horus_pool_desc){.context = c, .pool_bytes = MiB}));
    for (int how = 0; how < 2; how++) {
        pid_t pid = how ? vfork() : fork();
        REQUIRE(pid >= 0);
        if (pid == 0) {
            execl("/bin/sh", "sh", "-c",
                  "! ls -l /proc/self/fd | grep -q horus && ! grep -q horus /proc/self/maps",
                  (char *)NULL);
            _exit(99);
        }
        CHECK_JOIN(pid);
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
