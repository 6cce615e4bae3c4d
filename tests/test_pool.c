/* Contexts, pools and frames: who is in, who holds what, and what is left when somebody goes. */
#define _GNU_SOURCE
#include <stddef.h>
static void *counted_malloc(size_t bytes);
static void counted_free(void *memory);
#define HORUS_MALLOC(n) counted_malloc(n)
#define HORUS_FREE(p) counted_free(p)
#include <dirent.h>
#include <unistd.h>
static DIR *watched_fdopendir(int fd);
static ssize_t watched_pread(int fd, void *buffer, size_t bytes, off_t at);
#define fdopendir watched_fdopendir
#define pread watched_pread
#define HORUS_IMPLEMENTATION
#include "../horus.h"
#undef fdopendir
#undef pread
#include "test.h"
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/time.h>

/* The heap, which can be told to fail at the n-th call. */
static _Atomic long malloc_calls, malloc_fails_at, malloc_live;
static void *counted_malloc(size_t bytes)
{
    if (atomic_fetch_add(&malloc_calls, 1) + 1 == atomic_load(&malloc_fails_at))
        return NULL;
    void *m = malloc(bytes);
    if (m) {
        memset(m, 0xa5, bytes); /* nobody may count on zeros */
        atomic_fetch_add(&malloc_live, 1);
    }
    return m;
}
static void counted_free(void *memory)
{
    if (memory)
        atomic_fetch_sub(&malloc_live, 1);
    free(memory);
}

/* Where a sweep lists the pools, with the dead row's lock held. */
static void (*in_a_sweep)(void);
static DIR *watched_fdopendir(int fd)
{
    if (in_a_sweep)
        in_a_sweep();
    return fdopendir(fd);
}

/* Where whoever joins has seen that nobody is in, and what is there is to be replaced. */
static void (*in_a_join)(void);
static ssize_t watched_pread(int fd, void *buffer, size_t bytes, off_t at)
{
    if (in_a_join)
        in_a_join();
    return pread(fd, buffer, bytes, at);
}

static const char *space_path(const char *file)
{
    static char path[300];
    (void)snprintf(path, sizeof path, "%s/horus.%s%s%s", test_dir(), test_space, *file ? "/" : "",
                   file);
    return path;
}
static bool exists(const char *path)
{
    struct stat s;
    return lstat(path, &s) == 0;
}
/* ---- joining and leaving */

TEST(the_default_context_is_one_and_says_where_it_is)
{
    horus_context *a, *b;
    horus_context_info info;
    REQUIRE_OK(horus_context_default(&a));
    REQUIRE_OK(horus_context_default(&b));
    CHECK(a == b);
    CHECK_OK(horus_context_get_info(NULL, &info));
    CHECK(strcmp(info.name, test_space) == 0);
    CHECK(strcmp(info.path, space_path("horus")) == 0);
    CHECK(exists(info.path));
    CHECK_EQ(info.processes, 1);
    CHECK_EQ(info.topics, 0);
    CHECK(info.row < HORUS_MAX_PROCESSES);
} /* closed at exit: the runner sees that nothing is left */

TEST(the_default_context_can_be_closed_and_comes_anew)
{
    horus_context *c;
    REQUIRE_OK(horus_context_default(&c));
    horus_context_close(c);
    CHECK(!exists(space_path("")));
    REQUIRE_OK(horus_context_default(&c));
    CHECK(exists(space_path("horus")));
}

TEST(the_environment_protects_what_the_default_context_publishes)
{
    static const char *const values[] = {"", "0", "1"};
    for (int i = 0; i < 3; i++) {
        horus_context *c;
        REQUIRE(setenv("HORUS_PROTECT", values[i], 1) == 0);
        REQUIRE_OK(horus_context_default(&c));
        CHECK_EQ(c->pool->flags & HORUS_PROTECT,
                 i == 2 && sysconf(_SC_PAGESIZE) == 4096 ? HORUS_PROTECT : 0);
        horus_context_close(c);
    }
}

TEST(files_are_private_to_the_user)
{
    struct stat s;
    horus_context *c = join(MiB);
    horus_pool *p;
    REQUIRE_OK(horus_pool_open(&p, "other", &(horus_pool_desc){.context = c, .pool_bytes = MiB}));
    REQUIRE(stat(space_path(""), &s) == 0);
    CHECK_EQ(s.st_mode & 07777, 0700);
    REQUIRE(stat(space_path("horus"), &s) == 0);
    CHECK_EQ(s.st_mode & 07777, 0600);
    REQUIRE(stat(space_path("pool.other"), &s) == 0);
    CHECK_EQ(s.st_mode & 07777, 0600);
    horus_context_close(c);
}

TEST(a_group_shares_a_namespace_if_asked)
{
    struct stat s;
    char group[16];
    (void)snprintf(group, sizeof group, "%u", (unsigned)getegid());
    horus_context *c = join_desc((horus_context_desc){.pool_bytes = MiB, .group = group});
    REQUIRE(stat(space_path(""), &s) == 0);
    CHECK_EQ(s.st_mode & 0777, 0770);
    CHECK_EQ(s.st_gid, getegid());
    REQUIRE(stat(space_path("horus"), &s) == 0);
    CHECK_EQ(s.st_mode & 0777, 0660);
    horus_context *again = join_desc((horus_context_desc){.group = group});
    horus_context_close(again);
    horus_context_close(c);
    horus_context_desc none = {.group = "no such group"};
    CHECK_RESULT(horus_context_open(&c, &none), HORUS_E_NOT_FOUND);
    CHECK_TEXT(horus_last_error(), "no such group");
    CHECK(c == NULL);
}

TEST(a_creator_killed_before_it_gave_the_directory_to_the_group_is_made_good)
{
    if (geteuid() != 0)
        SKIP("only root may give a directory to any group");
    struct stat s;
    REQUIRE(mkdir(space_path(""), 02770) == 0); /* of root's group, as mkdir leaves it */
    horus_context *c = join_desc((horus_context_desc){.pool_bytes = MiB, .group = "65534"});
    REQUIRE(stat(space_path(""), &s) == 0);
    CHECK_EQ(s.st_gid, 65534);
    horus_context_close(c);
}

TEST(the_last_one_out_removes_everything)
{
    horus_context *a = join(MiB), *b = join(MiB);
    horus_pool *p;
    horus_context_info info;
    CHECK_OK(horus_context_get_info(a, &info));
    CHECK_EQ(info.processes, 2);
    REQUIRE_OK(horus_pool_open(&p, "extra", &(horus_pool_desc){.context = a, .pool_bytes = MiB}));
    horus_context_close(a);
    CHECK(exists(space_path("horus")));
    CHECK(exists(space_path("pool.extra")));
    CHECK_OK(horus_context_get_info(b, &info));
    CHECK_EQ(info.processes, 1);
    horus_context_close(b);
    CHECK(!exists(space_path("")));
}

static void child_joins(void *arg)
{
    horus_context_info mine;
    (void)arg;
    REQUIRE_OK(horus_context_get_info(NULL, &mine));
    atomic_store(&board->value[0], mine.row);
    CHECK_EQ(mine.processes, 2);
    test_raise(0);
    test_await(1);
}
TEST(processes_are_counted_and_have_rows_of_their_own)
{
    horus_context_info info;
    horus_context *c = join(MiB);
    pid_t pid = test_fork(child_joins, NULL);
    test_await(0);
    CHECK_OK(horus_context_get_info(c, &info));
    CHECK_EQ(info.processes, 2);
    CHECK(atomic_load(&board->value[0]) != info.row);
    test_raise(1);
    CHECK_JOIN(pid);
    CHECK_OK(horus_context_get_info(c, &info));
    CHECK_EQ(info.processes, 1);
    horus_context_close(c);
}

TEST(namespaces_do_not_meet_whatever_their_names)
{
    static const char *const ends[] = {"/a", ":a", ".a", "_a", "-a", "/a:b", ":a/b", "/a/b"};
    enum { N = sizeof ends / sizeof ends[0] };
    horus_context *c[N];
    char name[N][96];
    horus_context_info info, other;
    for (int i = 0; i < N; i++) {
        (void)snprintf(name[i], sizeof name[i], "%s%s", test_space, ends[i]);
        c[i] = join_desc((horus_context_desc){.name = name[i], .pool_bytes = MiB});
        CHECK_OK(horus_context_get_info(c[i], &info));
        CHECK(strcmp(info.name, name[i]) == 0);
        CHECK_EQ(info.processes, 1);
        for (int k = 0; k < i; k++) {
            CHECK_OK(horus_context_get_info(c[k], &other));
            CHECK(strcmp(info.path, other.path) != 0);
        }
    }
    for (int i = 0; i < N; i++)
        horus_context_close(c[i]);
}

static const char *const bad_names[] = {
    "",
    "/a",
    "a/",
    "a//b",
    "..",
    "a..b",
    "/",
    "a b",
    "a\tb",
    "a\nb",
    "a%b",
    "a\\b",
    "a*b",
    "a@b",
    "\xc3\xa4",
    "a\x7f",
    ("0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"
     "123456"), /* 97 bytes */
};
TEST(bad_names_are_refused_for_namespaces_and_pools)
{
    horus_context *none = NULL, *c = join(MiB);
    horus_pool *p;
    char huge[301];
    memset(huge, 'x', 300);
    huge[300] = 0;
    for (size_t i = 0; i <= sizeof bad_names / sizeof bad_names[0]; i++) {
        const char *name = i < sizeof bad_names / sizeof bad_names[0] ? bad_names[i] : huge;
        CHECK_RESULT(horus_context_open(&none, &(horus_context_desc){.name = name}), HORUS_E_NAME);
        CHECK(none == NULL);
        CHECK_TEXT(horus_last_error(), "1 to 96");
        CHECK_RESULT(horus_pool_open(&p, name, &(horus_pool_desc){.context = c}), HORUS_E_NAME);
        CHECK(p == NULL);
        CHECK_TEXT(horus_last_error(), "pool name");
    }
    horus_context_close(c);
}

TEST(a_bad_name_leaves_the_directory_alone)
{
    char dir[] = "/dev/shm/horus-test-XXXXXX";
    horus_context *c;
    REQUIRE(mkdtemp(dir));
    CHECK_RESULT(horus_context_open(&c, &(horus_context_desc){.name = "a//b", .dir = dir}),
                 HORUS_E_NAME);
    CHECK_RESULT(horus_context_open(
                     &c, &(horus_context_desc){.name = "a", .dir = dir, .group = "no-such-group"}),
                 HORUS_E_NOT_FOUND);
    CHECK(rmdir(dir) == 0);
}

TEST(good_names_are_accepted_for_pools)
{
    char longest[97], awkward[97];
    horus_context *c = join(MiB);
    memset(longest, 'n', 96);
    longest[96] = 0;
    for (int i = 0; i < 96; i++)
        awkward[i] = i % 2 ? 'x' : ':';
    awkward[96] = 0;
    const char *const names[] = {"a", "A.b", "a:b", "a/b", "a-b_c", "x.y.z", longest, awkward};
    horus_pool *p[8], *again;
    for (int i = 0; i < 8; i++) {
        CHECK_OK(horus_pool_open(&p[i], names[i],
                                 &(horus_pool_desc){.context = c, .pool_bytes = 65536}));
        CHECK_OK(horus_pool_open(&again, names[i], &(horus_pool_desc){.context = c}));
        CHECK(p[i] == again);
        for (int k = 0; k < i; k++)
            CHECK(p[i] != p[k]);
    }
    horus_context_close(c);
}

TEST(two_pools_whose_names_clash_are_told_so)
{
    /* the id of a pool is a hash of its name: find two names that share one */
    enum { N = 400000 };
    char a[24] = "", b[24] = "";
    horus_context *c = join(MiB);
    horus_pool *p, *q;
    uint64_t *seen = malloc(N * sizeof *seen);
    uint32_t slots = 1u << 20, *table = calloc(slots, sizeof *table);
    REQUIRE(seen && table);
    for (uint32_t i = 0; i < N && !a[0]; i++) {
        char name[24];
        (void)snprintf(name, sizeof name, "p%u", i);
        uint32_t id = horusi_hash(name, strlen(name), 2166136261u) | 1, at = (id >> 1) % slots;
        while (table[at] && (uint32_t)seen[table[at] - 1] != id)
            at = (at + 1) % slots;
        if (table[at]) {
            (void)snprintf(a, sizeof a, "p%u", table[at] - 1);
            memcpy(b, name, sizeof b);
        }
        seen[i] = id;
        table[at] = i + 1;
    }
    free(seen);
    free(table);
    REQUIRE(a[0]);
    CHECK_OK(horus_pool_open(&p, a, &(horus_pool_desc){.context = c, .pool_bytes = 65536}));
    CHECK_RESULT(horus_pool_open(&q, b, &(horus_pool_desc){.context = c, .pool_bytes = 65536}),
                 HORUS_E_CORRUPT);
    CHECK(q == NULL);
    CHECK_TEXT(horus_last_error(), "rename");
    horus_context_close(c);
}

static void child_of_many(void *arg)
{
    horus_context *c;
    horus_context_desc d = {.pool_bytes = MiB};
    (void)arg;
    if (horus_context_open(&c, &d) == HORUS_OK)
        atomic_fetch_add(&board->value[0], 1);
    test_raise(0);
    test_await(1);
}
TEST(the_129th_process_is_refused_and_may_join_once_another_left)
{
    pid_t pid[HORUS_MAX_PROCESSES - 1];
    horus_context *c = join(MiB), *more = NULL;
    for (int i = 0; i < HORUS_MAX_PROCESSES - 1; i++)
        pid[i] = test_fork(child_of_many, NULL);
    test_await_count(0, HORUS_MAX_PROCESSES - 1);
    CHECK_EQ(atomic_load(&board->value[0]), HORUS_MAX_PROCESSES - 1);
    CHECK_RESULT(horus_context_open(&more, NULL), HORUS_E_LIMIT);
    CHECK(more == NULL);
    CHECK_TEXT(horus_last_error(), "128");
    CHECK_TEXT(horus_last_error(), test_space);
    test_kill(pid[40]);
    CHECK_OK(horus_context_open(&more, NULL));
    horus_context_close(more);
    test_raise(1);
    for (int i = 0; i < HORUS_MAX_PROCESSES - 1; i++)
        if (i != 40)
            CHECK_JOIN(pid[i]);
    horus_context_close(c);
}

static void child_dies_holding(void *arg)
{
    horus_frame f;
    horus_context *c = join(4 * MiB);
    (void)arg;
    REQUIRE_OK(horus_frame_alloc(&f, pool_of(c), MiB, 0, NULL));
    test_raise(0);
    test_stay();
}
TEST(what_a_killed_process_left_is_replaced_by_the_next)
{
    horus_context_info info;
    pid_t pid = test_fork(child_dies_holding, NULL);
    test_await(0);
    test_kill(pid);
    CHECK(exists(space_path("horus")));
    horus_context *c = join(2 * MiB);
    CHECK_OK(horus_context_get_info(c, &info));
    CHECK_EQ(info.processes, 1);
    CHECK_EQ(stats_of(pool_of(c)).data_bytes, 2 * MiB); /* a new file, of our own wish */
    check_empty(pool_of(c));
    horus_context_close(c);
}

TEST(a_killed_process_gives_back_what_it_held)
{
    uint32_t rows = 99;
    horus_context *c = join(4 * MiB);
    pid_t pid = test_fork(child_dies_holding, NULL);
    test_await(0);
    CHECK_EQ(stats_of(pool_of(c)).used_slots, 1);
    CHECK_OK(horus_context_sweep(c, &rows));
    CHECK_EQ(rows, 0); /* it lives */
    (void)kill(pid, SIGSTOP);
    CHECK_OK(horus_context_sweep(c, &rows));
    CHECK_EQ(rows, 0); /* it is only stopped */
    CHECK_EQ(stats_of(pool_of(c)).used_slots, 1);
    test_kill(pid);
    CHECK_OK(horus_context_sweep(c, &rows));
    CHECK_EQ(rows, 1);
    check_empty(pool_of(c));
    CHECK_OK(horus_context_sweep(c, &rows));
    CHECK_EQ(rows, 0);
    horus_context_close(c);
}

TEST(allocating_from_a_full_pool_takes_back_what_the_dead_held)
{
    horus_frame f;
    horus_context *c = join(4 * MiB);
    pid_t pid = test_fork(child_dies_holding, NULL);
    test_await(0);
    CHECK_RESULT(horus_frame_alloc(&f, pool_of(c), 4 * MiB, 0, NULL), HORUS_E_POOL_FULL);
    test_kill(pid);
    CHECK_OK(horus_frame_alloc(&f, pool_of(c), 4 * MiB, 0, NULL));
    CHECK_OK(horus_frame_release(&f));
    horus_context_close(c);
}

TEST(leaving_releases_what_was_held)
{
    horus_frame f;
    horus_context *a = join(MiB), *b = join(MiB);
    CHECK_OK(horus_frame_alloc(&f, pool_of(b), 1000, 0, NULL));
    CHECK_OK(horus_frame_alloc(&f, pool_of(b), 300000, 0, NULL));
    CHECK_EQ(stats_of(pool_of(a)).used_slots, 2);
    horus_context_close(b);
    check_empty(pool_of(a));
    horus_context_close(a);
}

/* ---- namespaces in private memory */

TEST(a_private_context_needs_no_file)
{
    horus_context_info info;
    horus_frame f;
    horus_pool *p;
    void *data;
    horus_context *c =
        join_desc((horus_context_desc){.flags = HORUS_PRIVATE, .pool_bytes = 4 * MiB});
    CHECK_OK(horus_context_get_info(c, &info));
    CHECK_EQ(info.path[0], 0);
    CHECK_EQ(info.processes, 1);
    CHECK(!exists(space_path("")));
    CHECK_OK(horus_frame_alloc(&f, pool_of(c), 2 * MiB, 0, &data));
    CHECK(test_is_all(data, 0, 2 * MiB));
    memset(data, 7, 2 * MiB);
    CHECK_OK(horus_frame_release(&f));
    CHECK_OK(horus_frame_alloc(&f, pool_of(c), 3 * MiB, 0, &data));
    CHECK(test_is_all(data, 0, 3 * MiB));
    CHECK_OK(horus_frame_release(&f));
    check_empty(pool_of(c));
    CHECK_RESULT(horus_pool_trim(pool_of(c), NULL), HORUS_E_UNSUPPORTED);
    CHECK_RESULT(horus_pool_open(&p, "named", &(horus_pool_desc){.context = c}),
                 HORUS_E_UNSUPPORTED);
    CHECK(p == NULL);
    uint32_t rows = 9;
    CHECK_OK(horus_context_sweep(c, &rows));
    CHECK_EQ(rows, 0);
    horus_context_close(c);
}

TEST(topics_work_in_a_private_context)
{
    horus_topic *a, *b;
    horus_context *c =
        join_desc((horus_context_desc){.flags = HORUS_PRIVATE, .pool_bytes = 4 * MiB});
    CHECK_OK(horus_topic_open(&a, "t", &(horus_topic_desc){.context = c}));
    CHECK_OK(horus_topic_open(&b, "t", &(horus_topic_desc){.context = c}));
    for (int i = 0; i < 100; i++) {
        int got = -1;
        CHECK_OK(horus_topic_send(a, &i, sizeof i, 0));
        CHECK_OK(horus_topic_receive(b, &got, sizeof got, NULL, HORUS_NO_WAIT));
        CHECK_EQ(got, i);
    }
    check_balanced(pool_of(c));
    horus_topic_close(a);
    horus_topic_close(b);
    horus_context_close(c);
}

TEST(memory_given_by_the_user_is_all_that_is_touched)
{
    enum { ROOM = 1 << 17, GUARD = 256 };
    uint8_t *block = aligned_alloc(64, ROOM + 2 * GUARD), *memory = block + GUARD;
    int worked = 0;
    REQUIRE(block);
    for (size_t bytes = 0; bytes <= ROOM; bytes += bytes < 4096 ? 64 : 1984) {
        memset(block, 0xc3, ROOM + 2 * GUARD);
        horus_context *c;
        horus_context_desc d = {.memory = memory, .memory_bytes = bytes};
        horus_result r = horus_context_open(&c, &d);
        if (r == HORUS_OK) {
            horus_frame f;
            void *data;
            horus_pool_stats s = stats_of(pool_of(c));
            worked++;
            CHECK(s.data_bytes > 0 && s.data_bytes < bytes);
            CHECK_OK(horus_frame_alloc(&f, pool_of(c), s.data_bytes, 0, &data));
            memset(data, 1, s.data_bytes);
            CHECK_OK(horus_frame_release(&f));
            CHECK_OK(horus_frame_alloc(&f, pool_of(c), 1, 0, &data));
            CHECK((uintptr_t)data % 64 == 0);
            CHECK_OK(horus_frame_release(&f));
            check_empty(pool_of(c));
            horus_context_close(c);
        } else {
            CHECK(r == HORUS_E_SIZE || r == HORUS_E_POOL_FULL);
            CHECK(c == NULL);
            CHECK(horus_last_error()[0]);
        }
        CHECK(test_is_all(block, 0xc3, GUARD));
        CHECK(test_is_all(memory + bytes, 0xc3, ROOM + GUARD - bytes));
    }
    CHECK(worked > 10);
    free(block);
}

TEST(memory_that_is_not_aligned_is_refused)
{
    static _Alignas(64) uint8_t memory[65536];
    horus_context *c;
    horus_context_desc d = {.memory = memory + 8, .memory_bytes = 60000};
    CHECK_RESULT(horus_context_open(&c, &d), HORUS_E_ARG);
    CHECK_TEXT(horus_last_error(), "64-byte");
    CHECK(c == NULL);
}

/* ---- what stands in the way of joining */

static void make_place(mode_t mode)
{
    REQUIRE(mkdir(space_path(""), 0700) == 0);
    REQUIRE(chmod(space_path(""), mode) == 0);
}
static void put_file(const char *name, const void *bytes, size_t n, mode_t mode)
{
    int fd = open(space_path(name), O_CREAT | O_TRUNC | O_WRONLY, 0600);
    REQUIRE(fd >= 0 && write(fd, bytes, n) == (ssize_t)n && fchmod(fd, mode) == 0);
    close(fd);
}
static void clear_place(void)
{
    (void)unlink(space_path("horus"));
    (void)unlink(space_path("pool.p"));
    REQUIRE(rmdir(space_path("")) == 0);
}
/* Joining fails so, and the message names the path (or the namespace) and what to do. */
static void check_refused(horus_result want, const char *names, const char *fix)
{
    horus_context *c = (horus_context *)(void *)&c;
    CHECK_RESULT(horus_context_open(&c, &(horus_context_desc){.pool_bytes = MiB}), want);
    CHECK(c == NULL);
    CHECK_TEXT(horus_last_error(), names);
    CHECK_TEXT(horus_last_error(), fix);
}

TEST(an_empty_file_is_refused)
{
    make_place(0700);
    put_file("horus", "", 0, 0600);
    check_refused(HORUS_E_CORRUPT, space_path("horus"), "remove it");
    clear_place();
    horus_context_close(join(MiB));
}

TEST(random_bytes_are_refused)
{
    static uint32_t junk[5000];
    for (size_t i = 0; i < 5000; i++)
        junk[i] = rng() << 16 ^ rng();
    make_place(0700);
    put_file("horus", junk, sizeof junk, 0600);
    check_refused(HORUS_E_CORRUPT, space_path("horus"), "remove it");
    put_file("horus", junk, 100, 0600); /* shorter than a header */
    check_refused(HORUS_E_CORRUPT, space_path("horus"), "remove it");
    clear_place();
}

/* Leaves a namespace's file behind, as a crash would, and holds a row's lock in it as if somebody
 * were still in. */
static int occupied_file(void)
{
    pid_t pid = test_fork(child_dies_holding, NULL);
    test_await(0);
    test_kill(pid);
    int fd = open(space_path("horus"), O_RDWR);
    REQUIRE(fd >= 0 && horusi_lock_byte(fd, F_WRLCK, 5) == 0);
    return fd;
}

TEST(another_version_of_the_layout_is_refused_while_it_is_in_use)
{
    uint64_t magic;
    int fd = occupied_file();
    REQUIRE(pread(fd, &magic, 8, 0) == 8);
    magic ^= 3;
    REQUIRE(pwrite(fd, &magic, 8, 0) == 8);
    check_refused(HORUS_E_VERSION, space_path("horus"), "layout");
    close(fd); /* now nobody is in: it is a leftover */
    horus_context_close(join(MiB));
}

TEST(another_byte_order_is_refused)
{
    uint64_t magic;
    int fd = occupied_file();
    REQUIRE(pread(fd, &magic, 8, 0) == 8);
    magic = __builtin_bswap64(magic);
    REQUIRE(pwrite(fd, &magic, 8, 0) == 8);
    check_refused(HORUS_E_CORRUPT, space_path("horus"), "remove it");
    close(fd);
    clear_place();
}

TEST(a_file_that_was_cut_short_is_refused_while_it_is_in_use)
{
    struct stat s;
    int fd = occupied_file();
    REQUIRE(fstat(fd, &s) == 0);
    static const off_t keep[] = {300, 4096, 100000, 1000000};
    for (int i = 3; i >= 0; i--) {
        REQUIRE(ftruncate(fd, keep[i]) == 0);
        check_refused(HORUS_E_CORRUPT, space_path("horus"), "cut short");
    }
    REQUIRE(ftruncate(fd, 0) == 0);
    check_refused(HORUS_E_CORRUPT, space_path("horus"), "remove it");
    close(fd);
    clear_place();
}

TEST(impossible_headers_are_refused)
{
    horusi_header h, good;
    int fd = occupied_file();
    REQUIRE(pread(fd, &good, sizeof good, 0) == (ssize_t)sizeof good);
    for (int i = 0; i < 400; i++) {
        h = good;
        switch (i % 8) { /* from the field that is wrong to every field at random */
        case 0:
            h.granules = i ? rng() * (uint32_t)i : 0;
            break;
        case 1:
            h.granule_bytes = i > 8 ? rng() * (uint32_t)i : 0;
            break;
        case 2:
            h.block_bytes = i > 8 ? rng() * (uint32_t)i : 0;
            break;
        case 3:
            h.max_topics = rng() * (uint32_t)i;
            break;
        case 4:
            h.file_bytes = i % 16 == 4 ? rng() % good.file_bytes : (uint64_t)rng() << (rng() % 40);
            break;
        case 5:
            h.clock = 2 + rng();
            break;
        default:
            for (size_t k = 8; k < offsetof(horusi_header, pool_id); k++)
                if (rng() % 4 == 0)
                    ((uint8_t *)&h)[k] = (uint8_t)rng();
            break;
        }
        REQUIRE(pwrite(fd, &h, sizeof h, 0) == (ssize_t)sizeof h);
        if (h.granules == good.granules && h.granule_bytes == good.granule_bytes &&
            h.block_bytes == good.block_bytes && h.max_topics == good.max_topics &&
            h.file_bytes == good.file_bytes && h.clock <= 1)
            continue;
        horus_context *c;
        horus_result r = horus_context_open(&c, NULL);
        CHECK(r == HORUS_E_CORRUPT || r == HORUS_E_MEMORY);
        CHECK(c == NULL);
        horus_context_close(c);
    }
    close(fd);
    clear_place();
}

TEST(a_symlink_in_place_of_the_directory_is_refused)
{
    char target[] = "/tmp/horus-test-XXXXXX";
    REQUIRE(mkdtemp(target));
    REQUIRE(symlink(target, space_path("")) == 0);
    check_refused(HORUS_E_PERMISSION, space_path(""), "symlink");
    CHECK(!exists("/tmp/horus-test-XXXXXX/horus"));
    REQUIRE(unlink(space_path("")) == 0);
    REQUIRE(rmdir(target) == 0); /* nothing was put there */
}

TEST(a_symlink_in_place_of_the_file_is_refused)
{
    char target[] = "/tmp/horus-test-XXXXXX";
    int fd = mkstemp(target);
    REQUIRE(fd >= 0);
    close(fd);
    make_place(0700);
    REQUIRE(symlink(target, space_path("horus")) == 0);
    check_refused(HORUS_E_PERMISSION, "horus", "symlink");
    struct stat s;
    REQUIRE(stat(target, &s) == 0);
    CHECK_EQ(s.st_size, 0);
    (void)unlink(target);
    clear_place();
}

TEST(what_is_no_regular_file_is_refused)
{
    make_place(0700);
    REQUIRE(mkfifo(space_path("horus"), 0600) == 0);
    check_refused(HORUS_E_PERMISSION, "horus", "remove it");
    REQUIRE(unlink(space_path("horus")) == 0);
    REQUIRE(mkdir(space_path("horus"), 0700) == 0);
    horus_context *c;
    horus_result r = horus_context_open(&c, NULL);
    CHECK(r == HORUS_E_PERMISSION || r == HORUS_E_SYSTEM);
    CHECK(c == NULL);
    REQUIRE(rmdir(space_path("horus")) == 0);
    clear_place();
}

TEST(a_plain_file_in_place_of_the_directory_is_refused)
{
    int fd = open(space_path(""), O_CREAT | O_WRONLY, 0600);
    REQUIRE(fd >= 0);
    close(fd);
    horus_context *c;
    CHECK_RESULT(horus_context_open(&c, NULL), HORUS_E_PERMISSION);
    CHECK_TEXT(horus_last_error(), space_path(""));
    REQUIRE(unlink(space_path("")) == 0);
}

TEST(a_directory_that_others_may_write_is_refused)
{
    make_place(0777);
    check_refused(HORUS_E_PERMISSION, space_path(""), "chmod 700");
    clear_place();
}

TEST(a_directory_of_another_user_is_refused)
{
    if (geteuid() != 0)
        SKIP("needs root");
    make_place(0700);
    REQUIRE(chown(space_path(""), 65534, 65534) == 0);
    check_refused(HORUS_E_PERMISSION, space_path(""), "HORUS_NAMESPACE");
    CHECK_TEXT(horus_last_error(), "65534");
    clear_place();
}

TEST(a_file_of_another_user_is_refused)
{
    if (geteuid() != 0)
        SKIP("needs root");
    make_place(0700);
    put_file("horus", "x", 1, 0600);
    REQUIRE(chown(space_path("horus"), 65534, 65534) == 0);
    check_refused(HORUS_E_PERMISSION, "horus", "65534");
    clear_place();
}

static void nobody_joins(void *arg)
{
    horus_context *c;
    REQUIRE(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
    CHECK_RESULT(horus_context_open(&c, &(horus_context_desc){.dir = arg}), HORUS_E_PERMISSION);
    CHECK(c == NULL);
    CHECK_TEXT(horus_last_error(), arg ? (const char *)arg : space_path(""));
}
TEST(a_user_without_permission_is_told_so)
{
    if (geteuid() != 0)
        SKIP("needs root");
    char dir[] = "/tmp/horus-test-XXXXXX";
    REQUIRE(mkdtemp(dir));
    pid_t pid = test_fork(nobody_joins, dir); /* may not even enter */
    CHECK_JOIN(pid);
    REQUIRE(chmod(dir, 0755) == 0);
    pid = test_fork(nobody_joins, dir); /* may enter, not make anything */
    CHECK_JOIN(pid);
    REQUIRE(rmdir(dir) == 0);
    horus_context *c = join(MiB);
    pid = test_fork(nobody_joins, NULL); /* root's namespace */
    CHECK_JOIN(pid);
    horus_context_close(c);
}

TEST(a_directory_that_does_not_exist_is_named)
{
    horus_context *c;
    char longest[400];
    CHECK_RESULT(horus_context_open(&c, &(horus_context_desc){.dir = "/nonexistent/dir"}),
                 HORUS_E_SYSTEM);
    CHECK_TEXT(horus_last_error(), "/nonexistent/dir");
    CHECK(c == NULL);
    memset(longest, 'd', sizeof longest);
    longest[0] = '/';
    longest[399] = 0;
    CHECK_RESULT(horus_context_open(&c, &(horus_context_desc){.dir = longest}), HORUS_E_ARG);
    CHECK(c == NULL);
}

TEST(a_gate_that_stays_shut_is_reported_not_waited_for)
{
    horus_context *c = join(MiB), *other;
    int fd = open(space_path("horus"), O_RDWR);
    REQUIRE(fd >= 0 && horusi_lock_byte(fd, F_WRLCK, HORUSI_GATE) == 0);
    CHECK_RESULT(horus_context_open(&other, NULL), HORUS_E_BUSY);
    CHECK(other == NULL);
    CHECK_TEXT(horus_last_error(), space_path("horus"));
    close(fd);
    CHECK_OK(horus_context_open(&other, NULL));
    horus_context_close(other);
    horus_context_close(c);
}

static void joins_without_descriptors(void *arg)
{
    struct rlimit limit = {0, 0};
    int open_now = 0, refused = 0;
    (void)arg;
    horus_context_close(join(MiB)); /* what is opened once for good */
    for (int fd = 0; fd < 256; fd++)
        open_now += fcntl(fd, F_GETFD) >= 0;
    REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    for (rlim_t n = 3; n < 40; n++) {
        horus_context *c;
        int after = 0;
        limit.rlim_cur = n;
        REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
        horus_result r = horus_context_open(&c, &(horus_context_desc){.pool_bytes = MiB});
        if (r != HORUS_OK) {
            CHECK_EQ(r, HORUS_E_SYSTEM);
            CHECK_TEXT(horus_last_error(), "ulimit -n");
            refused++;
        }
        horus_context_close(c);
        limit.rlim_cur = 256;
        REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
        for (int fd = 0; fd < 256; fd++)
            after += fcntl(fd, F_GETFD) >= 0;
        CHECK_EQ(after, open_now);
    }
    CHECK(refused > 0);
}
TEST(running_out_of_descriptors_is_reported_and_leaks_none)
{
    pid_t pid = test_fork(joins_without_descriptors, NULL);
    CHECK_JOIN(pid);
}

static void joins_without_address_space(void *arg)
{
    struct rlimit limit;
    horus_context *c;
    (void)arg;
    REQUIRE(getrlimit(RLIMIT_AS, &limit) == 0);
    limit.rlim_cur = 400 * MiB;
    REQUIRE(setrlimit(RLIMIT_AS, &limit) == 0);
    if (mmap(NULL, 600 * MiB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
        SKIP("RLIMIT_AS limits nothing here (qemu-user passes over it)");
    CHECK_RESULT(horus_context_open(&c, &(horus_context_desc){.pool_bytes = 600 * MiB}),
                 HORUS_E_MEMORY);
    CHECK(c == NULL);
    CHECK_OK(horus_context_open(&c, &(horus_context_desc){.pool_bytes = 4 * MiB}));
    horus_context_close(c);
}
TEST(running_out_of_address_space_is_reported)
{
    if (TEST_SANITIZED)
        SKIP("a sanitizer needs the address space");
    pid_t pid = test_fork(joins_without_address_space, NULL);
    CHECK_JOIN(pid);
}

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    REQUIRE(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}
static void joins_with_small_files(void *arg)
{
    horus_context *c, *d;
    horus_pool *p;
    horus_frame f;
    (void)arg;
    limit_files(MiB);
    horus_result r = horus_context_open(&c, &(horus_context_desc){.pool_bytes = 4 * MiB});
    limit_files(RLIM_INFINITY);
    CHECK_EQ(r, HORUS_E_LIMIT);
    CHECK_TEXT(horus_last_error(), "ulimit -f");
    CHECK(c == NULL && !exists(space_path("")));
    test_raise(0);
    test_await(1);
    limit_files(64); /* who joins makes no file, and what is used makes none larger */
    r = horus_context_open(&d, NULL);
    horus_result used = horus_frame_alloc(&f, pool_of(d), MiB, 0, NULL);
    horus_result made = horus_pool_open(&p, "side", &(horus_pool_desc){.context = d});
    limit_files(RLIM_INFINITY);
    CHECK_EQ(r, HORUS_OK);
    CHECK_EQ(used, HORUS_OK);
    CHECK_EQ(made, HORUS_E_LIMIT);
    CHECK_OK(horus_frame_release(&f));
    horus_context_close(d);
}
TEST(files_that_may_not_be_so_large_are_reported)
{
    pid_t pid = test_fork(joins_with_small_files, NULL);
    test_await(0);
    horus_context *c = join(4 * MiB);
    test_raise(1);
    CHECK_JOIN(pid);
    horus_context_close(c);
}

/* ---- deaths in between, step by step */

static void begins_a_run(void *arg)
{
    horus_context *c = join(0);
    horus_pool *p = c->pool;
    uint32_t g = p->granules - 3, steps = *(uint32_t *)arg;
    REQUIRE(horusi_back_headers(p, g, 1) && horusi_take(p, g << p->blocks_log2));
    REQUIRE(horusi_reshape(p, g, HORUSI_FREE, horusi_own(HORUSI_HEAD, 3)));
    for (uint32_t i = 1; i <= steps; i++)
        REQUIRE(horusi_reshape(p, g + i, HORUSI_FREE, horusi_own(HORUSI_BODY, g)));
    (void)raise(SIGKILL);
}
/* Its head is there, not all of its bodies: others may have those. */
TEST(a_run_that_a_killed_process_has_begun_is_not_reused_as_it_is)
{
    for (uint32_t steps = 0; steps < 2; steps++) {
        horus_context *c = join_desc((horus_context_desc){
            .pool_bytes = 64 * 4096, .granule_bytes = 4096, .block_bytes = 1024, .max_topics = 8});
        horus_frame f[80];
        void *at[80];
        uint32_t n = 0;
        (void)test_wait(test_fork(begins_a_run, &steps));
        CHECK_OK(horus_context_sweep(c, NULL));
        REQUIRE_OK(horus_frame_alloc(&f[0], pool_of(c), 3 * 4096, 0, &at[0]));
        memset(at[0], 0xee, 3 * 4096);
        for (n = 1; n < 80 && horus_frame_alloc(&f[n], pool_of(c), 4096, 0, &at[n]) == HORUS_OK;
             n++)
            memset(at[n], (int)n, 4096);
        CHECK(n > 50);
        CHECK(test_is_all(at[0], 0xee, 3 * 4096));
        check_balanced(pool_of(c));
        for (uint32_t i = 0; i < n; i++)
            CHECK_OK(horus_frame_release(&f[i]));
        check_empty(pool_of(c));
        horus_context_close(c);
    }
}

static void dies_in_a_side_pool(void *arg)
{
    horus_context *c = join(0);
    horus_pool *side;
    horus_frame f;
    (void)arg;
    REQUIRE_OK(horus_pool_open(&side, "side", &(horus_pool_desc){.context = c, .pool_bytes = MiB}));
    REQUIRE_OK(horus_frame_alloc(&f, side, 1000, 0, NULL));
    (void)raise(SIGKILL);
}
/* It was never opened here, and cannot be: the row of its holder stays to be swept again. */
TEST(a_sweep_that_cannot_open_a_pool_loses_nothing_in_it)
{
    horus_context *c = join(2 * MiB);
    struct rlimit was, limit;
    horus_pool *side;
    uint32_t rows = 0, refused = 0;
    (void)test_wait(test_fork(dies_in_a_side_pool, NULL));
    REQUIRE(getrlimit(RLIMIT_NOFILE, &was) == 0);
    limit = was;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    REQUIRE(fd >= 0 && close(fd) == 0);
    for (int n = fd; n <= fd + 2; n++) { /* some have room for the sweep, and none for the pool */
        limit.rlim_cur = (rlim_t)n;
        REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
        refused += horus_context_sweep(c, &rows) != HORUS_OK;
    }
    REQUIRE(setrlimit(RLIMIT_NOFILE, &was) == 0);
    CHECK(refused > 0);
    CHECK_OK(horus_context_sweep(c, NULL));
    REQUIRE_OK(horus_pool_open(&side, "side", &(horus_pool_desc){.context = c}));
    check_empty(side);
    horus_context_close(c);
}

/* ---- geometry */

TEST(impossible_geometry_is_refused_and_leaves_nothing)
{
    static const struct {
        uint64_t pool;
        uint32_t granule, block;
    } bad[] = {{MiB, 1000, 0},         {MiB, 65536, 100},    {MiB, 65536, 32},
               {MiB, 65536, 512},      {MiB, 4096, 8192},    {MiB, 1u << 25, 0},
               {MiB, 16, 16},          {MiB, 3u << 16, 0},   {MiB, UINT32_MAX, 0},
               {MiB, 0, 1u << 31},     {UINT64_MAX, 0, 0},   {UINT64_MAX - 65535, 65536, 1024},
               {1ull << 60, 4096, 64}, {MiB, 0, UINT32_MAX}, {1ull << 62, 0, 0}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        horus_context *c;
        horus_context_desc d = {.pool_bytes = bad[i].pool,
                                .granule_bytes = bad[i].granule,
                                .block_bytes = bad[i].block};
        if (!CHECK_RESULT(horus_context_open(&c, &d), HORUS_E_ARG))
            test_failed(__FILE__, __LINE__, "in case %u", (unsigned)i);
        CHECK(c == NULL);
        CHECK(!exists(space_path("")));
        horus_context_close(c);
    }
}

TEST(possible_geometry_is_kept)
{
    static const struct {
        uint64_t pool;
        uint32_t granule, block;
    } good[] = {{MiB, 4096, 64},
                {MiB, 4096, 4096},
                {4 * MiB, 65536, 1024},
                {4 * MiB, 65536, 65536},
                {16 * MiB, 1 << 20, 16384},
                {MiB, 1 << 20, 1 << 20},
                {32 * MiB, 16 << 20, 1 << 18},
                {1, 4096, 64}};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        horus_context *c = join_desc((horus_context_desc){.pool_bytes = good[i].pool,
                                                          .granule_bytes = good[i].granule,
                                                          .block_bytes = good[i].block});
        horus_frame f;
        void *data;
        horus_pool_stats s = stats_of(pool_of(c));
        CHECK_EQ(s.granule_bytes, good[i].granule);
        CHECK_EQ(s.block_bytes, good[i].block);
        CHECK(s.data_bytes >= good[i].pool && s.data_bytes < good[i].pool + good[i].granule);
        CHECK_EQ(s.max_slots, s.data_bytes / s.block_bytes);
        CHECK_OK(horus_frame_alloc(&f, pool_of(c), s.data_bytes, 0, &data));
        memset(data, 1, s.data_bytes);
        CHECK_OK(horus_frame_release(&f));
        for (uint32_t n = 0; n < s.max_slots; n++)
            if (!CHECK_OK(horus_frame_alloc(&f, pool_of(c), s.block_bytes, 0, NULL)))
                break;
        CHECK_RESULT(horus_frame_alloc(&f, pool_of(c), 1, 0, NULL), HORUS_E_POOL_FULL);
        check_balanced(pool_of(c));
        horus_context_close(c);
    }
}

TEST(a_second_joiner_gets_the_geometry_that_is_there)
{
    horus_context *a =
                      join_desc((horus_context_desc){.pool_bytes = 2 * MiB, .granule_bytes = 4096}),
                  *b = join_desc((horus_context_desc){
                      .pool_bytes = 8 * MiB, .granule_bytes = 65536, .max_topics = 7});
    CHECK_EQ(stats_of(pool_of(b)).data_bytes, 2 * MiB);
    CHECK_EQ(stats_of(pool_of(b)).granule_bytes, 4096);
    horus_pool *p, *q;
    REQUIRE_OK(horus_pool_open(&p, "q", &(horus_pool_desc){.context = a, .pool_bytes = 3 * MiB}));
    REQUIRE_OK(horus_pool_open(&q, "q", &(horus_pool_desc){.context = b, .pool_bytes = MiB}));
    CHECK_EQ(stats_of(q).data_bytes, 3 * MiB);
    horus_context_close(a);
    horus_context_close(b);
}

TEST(flags_that_ask_for_more_do_not_fail)
{
    static const uint32_t flags[] = {HORUS_HUGE_PAGES, HORUS_MLOCK, HORUS_PREFAULT, HORUS_PROTECT,
                                     HORUS_PREFAULT | HORUS_MLOCK | HORUS_HUGE_PAGES |
                                         HORUS_PROTECT};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        horus_frame f;
        void *data;
        horus_pool *p;
        horus_context *c =
            join_desc((horus_context_desc){.pool_bytes = 4 * MiB, .flags = flags[i]});
        CHECK_OK(horus_pool_open(
            &p, "n", &(horus_pool_desc){.context = c, .pool_bytes = 2 * MiB, .flags = flags[i]}));
        if (flags[i] & HORUS_PREFAULT) {
            CHECK_EQ(stats_of(pool_of(c)).committed_bytes, 4 * MiB);
            CHECK_EQ(stats_of(p).committed_bytes, 2 * MiB);
        }
        for (int k = 0; k < 3; k++) {
            CHECK_OK(horus_frame_alloc(&f, k ? p : pool_of(c), MiB, 0, &data));
            CHECK(test_is_all(data, 0, MiB));
            memset(data, 5, MiB);
            CHECK_OK(horus_frame_release(&f));
        }
        check_empty(pool_of(c));
        horus_context_close(c);
    }
}

/* ---- frames */

TEST(every_byte_of_every_size_can_be_used)
{
    horus_context *c = join(4 * MiB);
    horus_pool *p = pool_of(c);
    for (uint64_t n = 1; n <= 4 * MiB; n = n < 70 ? n + 1 : n % 2 ? n + 1 : n * 3 / 2 + 1) {
        horus_frame f;
        void *data, *again;
        uint64_t bytes = 0;
        REQUIRE_OK(horus_frame_alloc(&f, p, n, 0, &data));
        CHECK((uintptr_t)data % 64 == 0);
        CHECK_OK(horus_frame_data(&f, &again, &bytes));
        CHECK(again == data);
        CHECK_EQ(bytes, n);
        CHECK_EQ(horus_frame_holders(&f), 1);
        CHECK(!horus_frame_published(&f));
        CHECK(test_is_all(data, 0, n));
        memset(data, 0xee, n);
        CHECK(stats_of(p).used_bytes >= n);
        CHECK_OK(horus_frame_release(&f));
        CHECK_ZERO(f);
    }
    horus_frame f;
    uint64_t all = stats_of(p).data_bytes;
    CHECK_OK(horus_frame_alloc(&f, p, all, 0, NULL));
    CHECK_EQ(stats_of(p).free_bytes, 0);
    CHECK_OK(horus_frame_release(&f));
    CHECK_RESULT(horus_frame_alloc(&f, p, all + 1, 0, NULL), HORUS_E_SIZE);
    CHECK_ZERO(f);
    CHECK_RESULT(horus_frame_alloc(&f, p, UINT64_MAX, 0, NULL), HORUS_E_SIZE);
    CHECK_ZERO(f);
    check_empty(p);
    horus_context_close(c);
}

TEST(old_pixels_never_show)
{
    static const uint64_t sizes[] = {1, 100, 1024, 5000, 65536, 65537, 300000, MiB, 3 * MiB};
    enum { N = sizeof sizes / sizeof sizes[0] };
    horus_context *c = join(4 * MiB);
    horus_pool *p = pool_of(c);
    for (int round = 0; round < 200; round++) {
        horus_frame f[8];
        int k = 0;
        for (; k < 8; k++) {
            void *data;
            uint64_t n = sizes[rng() % N];
            if (horus_frame_alloc(&f[k], p, n, 0, &data) != HORUS_OK)
                break;
            if (!CHECK(test_is_all(data, 0, n)))
                break;
            memset(data, 0xff, n);
        }
        while (k > 0)
            CHECK_OK(horus_frame_release(&f[--k]));
        if (round % 17 == 0)
            CHECK_OK(horus_pool_trim(p, NULL));
    }
    check_empty(p);
    horus_context_close(c);
}

TEST(uninitialised_frames_are_not_paid_for)
{
    /* what UNINIT promises is only speed: the slot that was just used comes back as it was */
    horus_frame f;
    void *data, *again;
    horus_context *c = join(4 * MiB);
    REQUIRE_OK(horus_frame_alloc(&f, pool_of(c), MiB, HORUS_UNINIT, &data));
    memset(data, 0x5a, MiB);
    CHECK_OK(horus_frame_release(&f));
    REQUIRE_OK(horus_frame_alloc(&f, pool_of(c), MiB, HORUS_UNINIT, &again));
    CHECK(again == data && test_is_all(again, 0x5a, MiB));
    CHECK_OK(horus_frame_release(&f));
    horus_context_close(c);
}

TEST(a_frame_is_released_once_per_hold)
{
    horus_frame f, copy;
    horus_context *c = join(MiB);
    REQUIRE_OK(horus_frame_alloc(&f, pool_of(c), 100, 0, NULL));
    copy = f;
    for (int i = 0; i < 10; i++)
        CHECK_OK(horus_frame_hold(&f));
    for (int i = 0; i < 10; i++) {
        horus_frame one = f;
        CHECK_OK(horus_frame_release(&one));
        CHECK_EQ(stats_of(pool_of(c)).used_slots, 1);
    }
    CHECK_OK(horus_frame_release(&f));
    CHECK_ZERO(f);
    CHECK_EQ(stats_of(pool_of(c)).used_slots, 0);
    CHECK_RESULT(horus_frame_release(&f), HORUS_E_CLOSED);
    CHECK_RESULT(horus_frame_release(&copy), HORUS_E_CLOSED);
    CHECK_ZERO(copy);
    check_empty(pool_of(c));
    horus_context_close(c);
}

TEST(a_stale_handle_is_refused_after_its_slot_was_used_again)
{
    horus_frame f, stale, other;
    void *data;
    uint64_t bytes = 1, time = 1;
    char id[HORUS_FRAME_ID_BYTES];
    horus_context *c = join(MiB);
    REQUIRE_OK(horus_frame_alloc(&f, pool_of(c), 100, 0, NULL));
    stale = f;
    CHECK_OK(horus_frame_release(&f));
    REQUIRE_OK(horus_frame_alloc(&f, pool_of(c), 100, 0, NULL));
    CHECK_EQ(f.slot, stale.slot); /* or else this test shows nothing */
    CHECK(f.generation != stale.generation);
    other = stale;
    CHECK_RESULT(horus_frame_hold(&other), HORUS_E_CLOSED);
    CHECK_RESULT(horus_frame_data(&other, &data, &bytes), HORUS_E_CLOSED);
    CHECK(data == NULL);
    CHECK_EQ(bytes, 0);
    CHECK(!horus_frame_published(&other));
    CHECK_EQ(horus_frame_holders(&other), 0);
    CHECK_RESULT(horus_frame_set_id(&other, "x"), HORUS_E_CLOSED);
    CHECK_RESULT(horus_frame_get_id(&other, id), HORUS_E_CLOSED);
    CHECK_EQ(id[0], 0);
    CHECK_RESULT(horus_frame_set_time(&other, 1), HORUS_E_CLOSED);
    CHECK_RESULT(horus_frame_get_time(&other, &time), HORUS_E_CLOSED);
    CHECK_EQ(time, 0);
    CHECK_RESULT(horus_frame_release(&other), HORUS_E_CLOSED);
    CHECK_EQ(horus_frame_holders(&f), 1);
    CHECK_OK(horus_frame_release(&f));
    horus_context_close(c);
}

TEST(id_and_time_belong_to_one_use_of_a_slot)
{
    horus_frame f;
    char id[HORUS_FRAME_ID_BYTES], longest[65];
    uint64_t time;
    horus_context *c = join(MiB);
    memset(longest, 'i', 64);
    longest[64] = 0;
    for (int i = 0; i < 100; i++) {
        REQUIRE_OK(horus_frame_alloc(&f, pool_of(c), 100, HORUS_UNINIT, NULL));
        CHECK_OK(horus_frame_get_id(&f, id));
        CHECK_EQ(id[0], 0);
        CHECK_OK(horus_frame_get_time(&f, &time));
        CHECK_EQ(time, 0);
        CHECK_RESULT(horus_frame_set_id(&f, longest), HORUS_E_SIZE);
        CHECK_OK(horus_frame_get_id(&f, id));
        CHECK_EQ(id[0], 0);
        CHECK_OK(horus_frame_set_id(&f, longest + 1));
        CHECK_OK(horus_frame_get_id(&f, id));
        CHECK(strcmp(id, longest + 1) == 0);
        CHECK_OK(horus_frame_set_id(&f, "k\xc3\xbche"));
        CHECK_OK(horus_frame_get_id(&f, id));
        CHECK(strcmp(id, "k\xc3\xbche") == 0);
        CHECK_OK(horus_frame_set_time(&f, UINT64_MAX));
        CHECK_OK(horus_frame_get_time(&f, &time));
        CHECK(time == UINT64_MAX);
        CHECK_OK(horus_frame_release(&f));
    }
    horus_context_close(c);
}

/* ---- mixed sizes */

/* Takes frames of n bytes until the pool is full. */
static uint32_t fill(horus_pool *p, uint64_t n, horus_frame *f, uint32_t room)
{
    uint32_t count = 0;
    while (count < room && horus_frame_alloc(&f[count], p, n, HORUS_UNINIT, NULL) == HORUS_OK)
        count++;
    return count;
}
static void empty(horus_frame *f, uint32_t count)
{
    while (count > 0)
        CHECK_OK(horus_frame_release(&f[--count]));
}
static void check_all_usable(horus_pool *p, horus_frame *f, uint32_t room)
{
    horus_pool_stats s = stats_of(p);
    uint64_t most = s.data_bytes / 100 * 95;
    REQUIRE_OK(horus_frame_alloc(&f[0], p, most, HORUS_UNINIT, NULL));
    CHECK_OK(horus_frame_release(&f[0]));
    uint32_t n = fill(p, 4096, f, room);
    CHECK_EQ(n, s.data_bytes / 4096);
    empty(f, n);
    REQUIRE_OK(horus_frame_alloc(&f[0], p, most, HORUS_UNINIT, NULL));
    CHECK_OK(horus_frame_release(&f[0]));
}

TEST(blocks_and_runs_of_all_sizes_return_to_common_use)
{
    enum { ROOM = 20000 };
    static const uint64_t sizes[] = {1, 2000, 4096, 20000, 65536, 100000, 700000, 6 * MiB};
    horus_frame *f = calloc(ROOM, sizeof *f);
    horus_context *c = join(16 * MiB);
    horus_pool *p = pool_of(c);
    check_all_usable(p, f, ROOM);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint32_t n = fill(p, sizes[i], f, ROOM);
        uint64_t each = stats_of(p).used_bytes / n;
        CHECK(each >= sizes[i]);
        CHECK(each <= (sizes[i] < 65536 ? 2 * sizes[i] + 1024 : sizes[i] + 65536));
        CHECK(stats_of(p).free_bytes < each);
        empty(f, n);
        check_all_usable(p, f, ROOM);
    }
    check_empty(p);
    free(f);
    horus_context_close(c);
}

TEST(a_long_random_mix_leaves_no_fragments)
{
    enum { ROOM = 20000, HELD = 300 };
    horus_frame *f = calloc(ROOM, sizeof *f), held[HELD];
    horus_context *c = join(16 * MiB);
    horus_pool *p = pool_of(c);
    memset(held, 0, sizeof held);
    for (int i = 0; i < TEST_TIMES(60000); i++) {
        horus_frame *h = &held[rng() % HELD];
        if (h->pool) {
            CHECK_OK(horus_frame_release(h));
            continue;
        }
        uint64_t n = 1 + rng() % (1u << (6 + rng() % 17));
        horus_result r = horus_frame_alloc(h, p, n, HORUS_UNINIT, NULL);
        CHECK(r == HORUS_OK || r == HORUS_E_POOL_FULL);
    }
    check_balanced(p);
    for (int i = 0; i < HELD; i++)
        if (held[i].pool)
            CHECK_OK(horus_frame_release(&held[i]));
    check_all_usable(p, f, ROOM);
    check_empty(p);
    free(f);
    horus_context_close(c);
}

TEST(a_full_pool_says_who_holds_what)
{
    char pid[32];
    horus_frame f[4], one;
    horus_context *c = join(MiB);
    horus_pool *p = pool_of(c);
    CHECK_EQ(fill(p, MiB / 4, f, 4), 4);
    CHECK_RESULT(horus_frame_alloc(&one, p, 1000, 0, NULL), HORUS_E_POOL_FULL);
    CHECK_ZERO(one);
    (void)snprintf(pid, sizeof pid, "pid %d", (int)getpid());
    CHECK_TEXT(horus_last_error(), "tester");
    CHECK_TEXT(horus_last_error(), pid);
    CHECK_TEXT(horus_last_error(), "4 slots");
    CHECK_TEXT(horus_last_error(), "1024 KiB");
    CHECK_TEXT(horus_last_error(), "1000 bytes");
    empty(f, 4);
    horus_context_close(c);
}

static void alloc_and_check(void *arg)
{
    horus_pool *p = arg ? arg : pool_of(join(0));
    uint32_t seed = (uint32_t)atomic_fetch_add(&board->value[0], 1) * 77777 + 5;
    horus_frame f[12];
    uint64_t *data[12], size[12];
    memset(f, 0, sizeof f);
    for (int i = 0; i < TEST_TIMES(20000); i++) {
        seed = seed * 1664525u + 1013904223u;
        uint32_t k = (seed >> 8) % 12;
        if (f[k].pool) {
            for (uint64_t w = 0; w<size[k] / 8; w += size[k] / 8> 50 ? 37 : 1)
                if (data[k][w] != (uintptr_t)data[k] + w + f[k].generation)
                    test_failed(__FILE__, __LINE__, "a frame changed under its holder");
            CHECK_OK(horus_frame_release(&f[k]));
            continue;
        }
        size[k] = 8 + (seed >> 16) % 4000 * ((seed >> 12) % 16 == 0 ? 60 : 1) / 8 * 8;
        void *at;
        horus_result r = horus_frame_alloc(&f[k], p, size[k], HORUS_UNINIT, &at);
        CHECK(r == HORUS_OK || r == HORUS_E_POOL_FULL);
        data[k] = at;
        for (uint64_t w = 0; r == HORUS_OK && w < size[k] / 8; w++)
            data[k][w] = (uintptr_t)at + w + f[k].generation;
    }
    for (int k = 0; k < 12; k++)
        if (f[k].pool)
            CHECK_OK(horus_frame_release(&f[k]));
}
static void *alloc_thread(void *arg)
{
    alloc_and_check(arg);
    return NULL;
}
TEST(threads_never_get_the_same_memory)
{
    pthread_t thread[8];
    horus_context *c = join(2 * MiB);
    horus_pool *p = pool_of(c);
    for (int i = 0; i < 8; i++)
        REQUIRE(pthread_create(&thread[i], NULL, alloc_thread, p) == 0);
    for (int i = 0; i < 8; i++)
        (void)pthread_join(thread[i], NULL);
    check_empty(p);
    horus_context_close(c);
}
TEST(processes_never_get_the_same_memory)
{
    pid_t pid[5];
    horus_context *c = join(2 * MiB);
    for (int i = 0; i < 5; i++)
        pid[i] = test_fork(alloc_and_check, NULL);
    for (int i = 0; i < 5; i++)
        CHECK_JOIN(pid[i]);
    check_empty(pool_of(c));
    horus_frame f;
    CHECK_OK(horus_frame_alloc(&f, pool_of(c), 2 * MiB, 0, NULL));
    CHECK_OK(horus_frame_release(&f));
    horus_context_close(c);
}

static void *hold_thread(void *arg)
{
    horus_frame *shared = arg;
    for (int i = 0; i < TEST_TIMES(100000); i++) {
        horus_frame mine = *shared;
        CHECK_OK(horus_frame_hold(&mine));
        CHECK_OK(horus_frame_release(&mine));
    }
    return NULL;
}
TEST(threads_may_hold_and_release_one_frame_at_once)
{
    pthread_t thread[4];
    horus_frame f;
    horus_context *c = join(MiB);
    REQUIRE_OK(horus_frame_alloc(&f, pool_of(c), 100, 0, NULL));
    for (int i = 0; i < 4; i++)
        REQUIRE(pthread_create(&thread[i], NULL, hold_thread, &f) == 0);
    for (int i = 0; i < 4; i++)
        (void)pthread_join(thread[i], NULL);
    CHECK_EQ(stats_of(pool_of(c)).used_slots, 1);
    CHECK_EQ(horus_frame_holders(&f), 1);
    CHECK_OK(horus_frame_release(&f));
    check_empty(pool_of(c));
    horus_context_close(c);
}

enum { FIRST_ROUNDS = 5000 };
typedef struct
    first_use { /* two threads that use a context for the first time at the same moment */
    horusi_alone alone[FIRST_ROUNDS];
    _Atomic uint32_t arrived, locked[2], threads;
    _Atomic uint32_t both; /* times that one was alone while the other held a lock */
} first_use;
static void *use_first(void *arg)
{
    first_use *f = arg;
    uint32_t me = atomic_fetch_add(&f->threads, 1);
    for (uint32_t i = 0; i < FIRST_ROUNDS; i++) {
        atomic_fetch_add(&f->arrived, 1);
        for (int looks = 0; atomic_load(&f->arrived) < 2 * (i + 1); looks++)
            if (looks > 5000)
                (void)sched_yield(); /* there may be one core, or others on both */
        for (int k = 0; k < 3; k++) {
            bool alone = horusi_alone_begin(&f->alone[i]);
            atomic_store(&f->locked[me], !alone);
            for (int look = 0; look < 20; look++)
                if (alone && atomic_load(&f->locked[!me]))
                    atomic_fetch_add(&f->both, 1);
            atomic_store(&f->locked[me], 0);
            if (alone)
                horusi_alone_end(&f->alone[i]);
        }
    }
    return NULL;
}
TEST(two_threads_may_be_the_first_at_once)
{
    pthread_t thread[2];
    static first_use f;
    for (int i = 0; i < 2; i++)
        REQUIRE(pthread_create(&thread[i], NULL, use_first, &f) == 0);
    for (int i = 0; i < 2; i++)
        (void)pthread_join(thread[i], NULL);
    CHECK_EQ(atomic_load(&f.both), 0);
}

/* ---- counters near their wrap */

TEST(slot_generations_and_epochs_wrap)
{
    horus_frame f, stale;
    uint64_t descriptor[HORUS_DESCRIPTOR_BYTES / 8] = {0}, past[HORUS_DESCRIPTOR_BYTES / 8];
    horus_context *c = join(MiB), *other = join(0);
    horus_pool *p = pool_of(c);
    REQUIRE_OK(horus_frame_alloc(&f, p, 1000, 0, NULL));
    uint32_t s = f.slot;
    CHECK_OK(horus_frame_release(&f));
    atomic_store(&p->slot[s].word, horusi_pair(UINT32_MAX - 3, UINT32_MAX - 5));
    memset(p->reuse, 0, sizeof p->reuse); /* its memory of the slot's past */
    for (int i = 0; i < 12; i++) {
        horus_tensor t, got;
        int64_t shape = 1000;
        size_t bytes = sizeof descriptor;
        REQUIRE_OK(horus_tensor_alloc(&t, p, HORUS_U8, 1, &shape, 0));
        CHECK_EQ(t.frame.slot, s);
        CHECK_EQ(t.frame.generation, (uint32_t)(UINT32_MAX - 2 + (uint32_t)i));
        if (i > 0)
            CHECK_RESULT(horus_frame_hold(&stale), HORUS_E_CLOSED);
        CHECK_OK(horus_tensor_describe(&t, descriptor, &bytes));
        CHECK_OK(horus_tensor_from_descriptor(&got, other, descriptor, bytes));
        CHECK_EQ(horus_frame_holders(&t.frame), 2);
        stale = t.frame;
        CHECK_OK(horus_tensor_release(&t));
        CHECK_OK(horus_tensor_release(&got));
        if (i > 0)
            CHECK_RESULT(horus_tensor_from_descriptor(&got, other, past, sizeof past),
                         HORUS_E_NOT_FOUND);
        memcpy(past, descriptor, sizeof past);
    }
    check_empty(p);
    horus_context_close(other);
    horus_context_close(c);
}

static void child_sends_one(void *arg)
{
    horus_context *c;
    horus_topic *t;
    uint64_t n = (uint64_t)(uintptr_t)arg;
    REQUIRE_OK(horus_context_default(&c));
    REQUIRE_OK(horus_topic_open(&t, "wrap", &(horus_topic_desc){.capacity = 1}));
    atomic_store(&board->value[n], c->incarnation);
    CHECK_OK(horus_topic_send(t, &n, sizeof n, 0));
    if (n % 2)
        (void)kill(getpid(), SIGKILL);
}
TEST(row_incarnations_wrap)
{
    horus_context *c = join(4 * MiB);
    horus_topic *t;
    REQUIRE_OK(horus_topic_open(&t, "wrap", &(horus_topic_desc){.context = c}));
    for (uint32_t i = 1; i < HORUSI_ROWS; i++)
        atomic_store(&c->pool->rows[i].word, horusi_pair(UINT32_MAX - 3, HORUSI_ROW_FREE));
    for (uint64_t i = 0; i < 12; i++) {
        uint64_t got = 99;
        horus_info info;
        pid_t pid = test_fork(child_sends_one, (void *)(uintptr_t)i);
        (void)test_wait(pid);
        CHECK_OK(horus_topic_receive(t, &got, sizeof got, &info, HORUS_NO_WAIT));
        CHECK_EQ(got, i);
        CHECK_EQ(info.lost, 0);
        /* a message stays until the next one, and its row with it: so two rows take turns, and each
         * comes to its last number and to those that follow, of which 0 is none */
        uint64_t turn = i / 2, number = turn < 3 ? UINT32_MAX - 2 + turn : turn - 2;
        CHECK_EQ(atomic_load(&board->value[i]), number);
        CHECK_OK(horus_context_sweep(c, NULL));
    }
    check_balanced(c->pool);
    horus_topic_close(t);
    horus_context_close(c);
}

/* ---- nobody stays: the last one out, and who joins as it goes */

enum { GUESTS = 3, OVER = 0, VISITS = 0, FILES, TOGETHER, EMPTIED, NEWEST, STUCK };
/* Where the last one out lists what it is about to remove, and so on: all others may come meanwhile. */
static void dawdle(void)
{
    if (rng() % 4 == 0)
        test_sleep_us(rng() % 300);
}
/* Whoever is in has the file that is at its path, with all the others. */
static bool is_at_its_path(const horus_context *c)
{
    struct stat s;
    return CHECK(stat(c->path, &s) == 0 && (uint64_t)s.st_ino == c->pool->ino);
}
/* Whoever joins or leaves while another is in the doorway gives up after a second: a machine that
 * stood still. */
static void was_stuck(void)
{
    atomic_fetch_add(&board->value[STUCK], 1);
    (void)CHECK_TIMELY(!"somebody stood in the doorway for a second");
}
static horus_context *come_in(void)
{
    horus_context *c;
    horus_context_desc d = {.pool_bytes = 2 * MiB, .label = "guest", .max_topics = 8};
    horus_result r;
    for (int tries = 0; (r = horus_context_open(&c, &d)) == HORUS_E_BUSY && tries < 10; tries++)
        was_stuck();
    REQUIRE_OK(r);
    return c;
}
static void visit(void)
{
    horus_context *c = come_in();
    horus_context_info info;
    horus_pool *named;
    horus_topic *t;
    horus_frame f;
    void *data;
    uint64_t n;
    is_at_its_path(c);
    if (atomic_exchange(&board->value[NEWEST], c->domain) != c->domain)
        atomic_fetch_add(&board->value[FILES], 1);
    CHECK_OK(horus_context_get_info(c, &info));
    if (info.processes > 1)
        atomic_fetch_add(&board->value[TOGETHER], 1);
    if (rng() % 2) { /* a file more, which goes with the other or not at all */
        REQUIRE_OK(
            horus_pool_open(&named, "named", &(horus_pool_desc){.context = c, .pool_bytes = MiB}));
        REQUIRE_OK(horus_frame_alloc(&f, rng() % 2 ? named : pool_of(c), 1000, 0, &data));
        CHECK(test_is_all(data, 0, 1000));
        memset(data, (int)c->row + 1, 1000);
        REQUIRE_OK(horus_topic_open(
            &t, "t", &(horus_topic_desc){.context = c, .capacity = 4, .history = 4}));
        n = c->domain;
        CHECK_OK(horus_topic_send(t, &n, sizeof n, 0));
        while (horus_topic_receive(t, &n, sizeof n, NULL, 0) == HORUS_OK)
            CHECK(n == c->domain); /* of this file's guests, not of an earlier one's */
        if (rng() % 2)
            test_sleep_us(rng() % 500);
        CHECK(test_is_all(data, (int)c->row + 1, 1000));
        if (rng() % 2)
            CHECK_OK(horus_frame_release(&f));
    }
    is_at_its_path(c);
    uint64_t began = horus_now_ns();
    horus_context_close(c);
    if (horus_now_ns() - began >= 1000000000u)
        was_stuck();
    if (!exists(space_path("horus"))) /* we, or somebody just now, was the last one */
        atomic_fetch_add(&board->value[EMPTIED], 1);
    atomic_fetch_add(&board->value[VISITS], 1);
}
static void guest(void *arg)
{
    rng_state = (uint64_t)(uintptr_t)arg;
    in_a_sweep = in_a_join = dawdle;
    do {
        visit();
        if (rng() % 2)
            test_sleep_us(rng() % 2000);
    } while (!atomic_load(&board->flag[OVER]));
}
static pid_t new_guest(void) { return test_fork(guest, (void *)(uintptr_t)(rng() | 1)); }
TEST(processes_come_and_go_and_are_killed_and_nobody_stays)
{
    const char *given = getenv("SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : horus_now_ns() % 1000000, kills = 0;
    pid_t pid[GUESTS];
    printf("processes_come_and_go: seed %llu\n", (unsigned long long)seed);
    rng_state = seed;
    for (int round = 0; round < TEST_TIMES(20); round++) {
        uint64_t goal = atomic_load(&board->value[VISITS]), end = goal + 100;
        horus_context *c = NULL;
        horus_frame all;
        atomic_store(&board->flag[OVER], 0);
        for (int i = 0; i < GUESTS; i++)
            pid[i] = new_guest();
        while (goal < end && atomic_load(&board->failures) == 0) {
            goal += rng() % 10;
            while (atomic_load(&board->value[VISITS]) < goal && atomic_load(&board->failures) == 0)
                test_sleep_us(100);
            test_sleep_us(rng() % 1000);
            int k = (int)(rng() % GUESTS);
            test_kill(pid[k]);
            kills++;
            pid[k] = new_guest();
        }
        if (round % 2) /* as they come and go, or once they are gone */
            c = come_in();
        atomic_store(&board->flag[OVER], 1);
        for (int i = 0; i < GUESTS; i++)
            CHECK_JOIN(pid[i]);
        if (!c) { /* the last one was not killed */
            CHECK(!exists(space_path("")) || atomic_load(&board->value[STUCK]));
            c = come_in();
        }
        is_at_its_path(c);
        CHECK_OK(horus_context_sweep(c, NULL));
        check_balanced(pool_of(c));
        CHECK_OK(horus_frame_alloc(&all, pool_of(c), 2 * MiB, 0, NULL)); /* messages give way */
        CHECK_OK(horus_frame_release(&all));
        check_empty(pool_of(c));
        horus_context_close(c);
        CHECK(!exists(space_path("")));
    }
    uint64_t visits = atomic_load(&board->value[VISITS]), files = atomic_load(&board->value[FILES]),
             together = atomic_load(&board->value[TOGETHER]),
             emptied = atomic_load(&board->value[EMPTIED]);
    printf(
        "processes_come_and_go: %llu visits, %llu met another; %llu kills, %llu files, %llu times "
        "nobody was left\n",
        (unsigned long long)visits, (unsigned long long)together, (unsigned long long)kills,
        (unsigned long long)files, (unsigned long long)emptied);
    CHECK(files > visits / 100);
    CHECK(emptied > visits / 100);
    CHECK(together > visits / 100);
}

/* ---- rows from 64 on: the second word of a slot's holders */

static const horus_topic_desc many_jobs = {.policy = HORUS_QUEUE, .capacity = 4};
static const horus_topic_desc many_parts = {.policy = HORUS_RELIABLE, .capacity = 2};
static horus_topic *open_by(horus_context *c, const char *name, const horus_topic_desc *desc)
{
    horus_topic *t;
    horus_topic_desc d = desc ? *desc : (horus_topic_desc){.capacity = 4};
    d.context = c;
    REQUIRE_OK(horus_topic_open(&t, name, &d));
    return t;
}
static horus_result send_number(horus_topic *t, uint64_t n)
{
    return horus_topic_send(t, &n, sizeof n, HORUS_NO_WAIT);
}
/* The rows up to 64 are taken: the last context is the first one of the second word. */
enum { SECOND = 64 };
static void join_many(horus_context *c[SECOND + 1])
{
    for (uint32_t i = 0; i <= SECOND; i++) {
        c[i] = join(4 * MiB);
        REQUIRE(c[i]->row == i);
    }
}
static void leave_many(horus_context *c[SECOND + 1])
{
    for (uint32_t i = 0; i <= SECOND; i++)
        horus_context_close(c[i]);
}
static uint32_t topics_of(horus_context *c)
{
    horus_context_info info;
    CHECK_OK(horus_context_get_info(c, &info));
    return info.topics;
}

/* Holds a bit of everything until it is killed. */
static void child_holds_in_the_second_word(void *arg)
{
    horus_context *c = join(0);
    horus_pool *named;
    horus_frame f;
    horus_tensor t, got;
    uint64_t n = 0;
    int64_t shape = 5000;
    (void)arg;
    REQUIRE(c->row > SECOND);
    atomic_store(&board->value[0], c->row);
    REQUIRE_OK(horus_frame_alloc(&f, pool_of(c), 1000, 0, NULL));
    REQUIRE_OK(horus_frame_alloc(&f, pool_of(c), 300000, 0, NULL));
    REQUIRE_OK(horus_pool_open(&named, "named", &(horus_pool_desc){.context = c}));
    REQUIRE_OK(horus_frame_alloc(&f, named, 70000, 0, NULL));
    horus_topic *frames =
        open_by(c, "frames", &(horus_topic_desc){.policy = HORUS_OVERWRITE, .history = 1});
    REQUIRE_OK(horus_topic_receive_tensor(frames, &got, NULL, 0));
    horus_topic *jobs = open_by(c, "jobs", &many_jobs);
    REQUIRE_OK(horus_topic_receive(jobs, &n, sizeof n, NULL, 0));
    CHECK_EQ(n, 11);
    (void)open_by(c, "parts", &many_parts); /* a reader that reads nothing */
    (void)open_by(c, "alone", NULL);
    horus_topic *left = open_by(c, "left", NULL);
    REQUIRE_OK(send_number(left, 7));
    REQUIRE_OK(horus_tensor_alloc(&t, pool_of(c), HORUS_U8, 1, &shape, 0));
    memset(t.data, 0x5a, 5000);
    REQUIRE_OK(horus_topic_send_tensor(left, &t, 0));
    test_raise(0);
    test_stay();
}
typedef struct tally {
    uint32_t row, handles, rings, internals;
} tally;
static void count_of_row(void *user, const horus_holder *h)
{
    tally *n = user;
    if (h->row != n->row)
        return;
    n->rings += h->ring;
    n->internals += h->internal;
    n->handles += !h->ring && !h->internal;
}
static tally tally_of(horus_pool *p, uint32_t row)
{
    horus_audit a;
    tally n = {.row = row};
    CHECK_OK(horus_pool_audit(p, &a, count_of_row, &n));
    return n;
}
static void dies_in_the_second_word(uint32_t sweeper)
{
    horus_context *c[SECOND + 1];
    horus_pool *named;
    horus_frame mine, f[64];
    horus_tensor t;
    horus_info info;
    void *data;
    uint64_t n;
    int64_t shape = 5000;
    uint32_t rows = 0;
    join_many(c);
    horus_context *low = c[0], *high = c[SECOND];
    horus_pool *p = pool_of(low);
    REQUIRE_OK(
        horus_pool_open(&named, "named", &(horus_pool_desc){.context = low, .pool_bytes = MiB}));
    REQUIRE_OK(horus_frame_alloc(&mine, pool_of(high), 200000, 0, &data));
    memset(data, 0x77, 200000);
    horus_topic *frames = open_by(low, "frames", NULL), *jobs = open_by(low, "jobs", &many_jobs),
                *parts = open_by(low, "parts", &many_parts), *left = open_by(low, "left", NULL),
                *also_left = open_by(high, "left", NULL);
    uint32_t topics = topics_of(low);
    REQUIRE_OK(horus_tensor_alloc(&t, p, HORUS_U8, 1, &shape, 0));
    memset(t.data, 0x33, 5000);
    CHECK_OK(horus_topic_send_tensor(frames, &t, 0));
    horus_frame sent = t.frame;
    CHECK_OK(send_number(jobs, 11));
    pid_t pid = test_fork(child_holds_in_the_second_word, NULL);
    test_await(0);
    uint32_t row = (uint32_t)atomic_load(&board->value[0]);
    CHECK_EQ(topics_of(low), topics + 1);
    CHECK_EQ(horus_frame_holders(&sent), 2); /* we and the child */
    CHECK_OK(send_number(parts, 1));
    CHECK_OK(send_number(parts, 2));
    CHECK_RESULT(send_number(parts, 3), HORUS_FULL);
    CHECK_RESULT(horus_topic_receive(jobs, &n, sizeof n, &info, 0), HORUS_EMPTY);
    CHECK_OK(horus_context_sweep(c[sweeper], &rows));
    CHECK_EQ(rows, 0);
    tally held = tally_of(p, row);
    CHECK_EQ(held.handles, 3); /* two frames and the one it got */
    CHECK_EQ(held.rings, 1);
    CHECK_EQ(held.internals, 8); /* five topics, its own ring and the two that it reads */
    CHECK_EQ(tally_of(named, row).handles, 1);
    check_balanced(p);
    check_balanced(named);

    test_kill(pid);
    CHECK_OK(send_number(parts, 3)); /* whom a dead reader keeps nobody from */
    CHECK_OK(horus_context_sweep(c[sweeper], &rows));
    CHECK_EQ(rows, 1);
    check_balanced(p);
    check_empty(named);
    held = tally_of(p, row);
    CHECK_EQ(held.handles, 0);
    CHECK_EQ(held.rings, 1); /* what it sent stays for its readers: a frame, the ring, the topic */
    CHECK_EQ(held.internals, 2);
    CHECK_EQ(horus_frame_holders(&sent), 1);
    CHECK_EQ(topics_of(low), topics); /* it alone had the other one open */
    CHECK_OK(horus_topic_receive(jobs, &n, sizeof n, &info, 0));
    CHECK_EQ(n, 11);
    CHECK(info.redelivered);
    for (int i = 0; i < 2; i++) {
        horus_tensor got;
        horus_topic *reader = i == 0 ? left : also_left;
        CHECK_OK(horus_topic_receive(reader, &n, sizeof n, &info, 0));
        CHECK_EQ(n, 7);
        REQUIRE_OK(horus_topic_receive_tensor(reader, &got, &info, 0));
        CHECK_EQ(info.lost, 0);
        CHECK_EQ(info.publisher >> 16, row);
        CHECK(test_is_all(got.data, 0x5a, 5000));
        CHECK_OK(horus_tensor_release(&got));
    }

    /* all memory but what the others hold is there, and the row, too */
    uint32_t count = fill(p, 65536, f, 64);
    CHECK_EQ(count, 64 - 9); /* `mine` 4, four topics 2, rings of two sizes 2, `t` 1 */
    for (uint32_t i = 0; i < count; i++) {
        CHECK_OK(horus_frame_data(&f[i], &data, NULL));
        memset(data, 0xee, 65536);
    }
    CHECK_EQ(horusi_low(atomic_load(&low->pool->rows[row].word)), HORUSI_ROW_FREE);
    CHECK_EQ(horus_frame_holders(&mine), 1);
    CHECK_OK(horus_frame_data(&mine, &data, NULL));
    CHECK(test_is_all(data, 0x77, 200000));
    CHECK(test_is_all(t.data, 0x33, 5000));
    empty(f, count);
    CHECK_OK(horus_frame_release(&mine));
    CHECK_OK(horus_tensor_release(&t));
    horus_context *next = join(0);
    CHECK_EQ(next->row, row);
    horus_context_close(next);
    horus_topic_close(frames);
    horus_topic_close(jobs);
    horus_topic_close(parts);
    horus_topic_close(left);
    horus_topic_close(also_left);
    check_balanced(p);
    leave_many(c);
}
TEST(a_row_above_63_dies_and_one_below_sweeps_it) { dies_in_the_second_word(0); }
TEST(a_row_above_63_dies_and_one_above_sweeps_it) { dies_in_the_second_word(SECOND); }

TEST(a_row_above_63_dies_and_whoever_joins_in_its_place_sweeps_it)
{
    horus_context *c[SECOND + 1], *rest[HORUS_MAX_PROCESSES];
    join_many(c);
    horus_pool *p = pool_of(c[0]);
    horus_topic *jobs = open_by(c[0], "jobs", &many_jobs), *frames = open_by(c[0], "frames", NULL);
    (void)open_by(c[0], "parts", &many_parts);
    horus_pool *named;
    horus_tensor t;
    int64_t shape = 5000;
    REQUIRE_OK(
        horus_pool_open(&named, "named", &(horus_pool_desc){.context = c[0], .pool_bytes = MiB}));
    REQUIRE_OK(horus_tensor_alloc(&t, p, HORUS_U8, 1, &shape, 0));
    CHECK_OK(horus_topic_send_tensor(frames, &t, 0));
    CHECK_OK(send_number(jobs, 11));
    pid_t pid = test_fork(child_holds_in_the_second_word, NULL);
    test_await(0);
    test_kill(pid);
    uint32_t row = (uint32_t)atomic_load(&board->value[0]), last = row, n = 0;
    (void)open_by(c[row - 64], "jobs", &many_jobs); /* its bit is the same, in the first word */
    tally twin = tally_of(p, row - 64);
    CHECK_EQ(twin.internals, 2);                                  /* the topic and the ring */
    while (last == row || n + SECOND + 2 < HORUS_MAX_PROCESSES) { /* its messages keep it */
        rest[n] = join(0);
        CHECK(rest[n]->row != row);
        last = rest[n++]->row;
    }
    CHECK_EQ(last, HORUS_MAX_PROCESSES - 1);
    CHECK_EQ(tally_of(p, row).rings, 1);
    rest[n] = join(0); /* until no other row is left */
    CHECK_EQ(rest[n]->row, row);
    tally held = tally_of(p, row);
    CHECK_EQ(held.handles + held.rings + held.internals, 0);
    held = tally_of(p, row - 64);
    CHECK(memcmp(&held, &twin, sizeof held) == 0);
    check_empty(named);
    check_balanced(p);
    for (uint32_t i = 0; i <= n; i++)
        horus_context_close(rest[i]);
    leave_many(c);
}

TEST(what_rows_above_63_hold_is_not_free_and_ends_with_them)
{
    horus_context *c[SECOND + 1];
    horus_frame mine, f[64];
    void *data;
    uint64_t n;
    join_many(c);
    horus_context *low = c[0], *high = c[SECOND];
    REQUIRE_OK(horus_frame_alloc(&mine, pool_of(high), MiB, 0, &data));
    memset(data, 0x77, MiB);
    CHECK_EQ(stats_of(pool_of(low)).used_slots, 1);
    uint32_t count = fill(pool_of(low), 65536, f, 64);
    CHECK_EQ(count, 48);
    CHECK_TEXT(horus_last_error(), "1024 KiB"); /* who holds what: that row, too */
    for (uint32_t i = 0; i < count; i++) {
        void *other;
        CHECK_OK(horus_frame_data(&f[i], &other, NULL));
        memset(other, 0xee, 65536);
    }
    CHECK(test_is_all(data, 0x77, MiB));
    empty(f, count);
    CHECK_OK(horus_frame_release(&mine));
    for (int i = 0; i < 2; i++) { /* a topic lasts as long as its last handle, whoever has it */
        horus_topic *first = open_by(i ? high : low, "shared", NULL);
        horus_topic *second = open_by(i ? low : high, "shared", NULL);
        horus_topic_close(first);
        CHECK_EQ(topics_of(low), 1);
        first = open_by(i ? high : low, "shared", NULL);
        CHECK_OK(send_number(second, 5));
        CHECK_OK(horus_topic_receive(first, &n, sizeof n, NULL, 0)); /* it is the same one */
        horus_topic_close(first);
        horus_topic_close(second);
        CHECK_OK(horus_frame_alloc(&mine, pool_of(i ? low : high), 4 * MiB, 0,
                                   NULL)); /* its ring goes */
        CHECK_OK(horus_frame_release(&mine));
        CHECK_EQ(topics_of(low), 0);
        check_empty(pool_of(low));
    }
    for (int i = 0; i < 4; i++) /* another topic each time, which nobody below has ever seen */
        horus_topic_close(open_by(high, "brief", i % 2 ? &many_jobs : &many_parts));
    leave_many(c);
}

static void *waits_for_a_message(void *arg)
{
    uint64_t n;
    CHECK_OK(horus_topic_receive(arg, &n, sizeof n, NULL, HORUS_FOREVER));
    return NULL;
}
static void *waits_for_room(void *arg)
{
    uint64_t n = 3;
    CHECK_OK(horus_topic_send(arg, &n, sizeof n, HORUS_FOREVER));
    return NULL;
}
TEST(who_sleeps_in_a_row_above_63_has_its_doorbell_rung)
{
    horus_context *c[SECOND + 1];
    pthread_t thread;
    uint64_t n;
    join_many(c);
    horus_context *low = c[0], *high = c[SECOND];
    horusi_row *row = &low->pool->rows[SECOND];
    horus_topic *s = open_by(low, "t", NULL), *r = open_by(high, "t", NULL);
    REQUIRE(pthread_create(&thread, NULL, waits_for_a_message, r) == 0);
    while (atomic_load(&s->shm->sleepers[1]) == 0)
        test_sleep_us(200);
    CHECK_EQ(atomic_load(&s->shm->sleepers[1]), 1);
    uint32_t rung = atomic_load(&row->doorbell);
    CHECK_OK(send_number(s, 1));
    CHECK_EQ(atomic_load(&row->doorbell), rung + 1);
    (void)pthread_join(thread, NULL);
    horus_topic_close(s);
    horus_topic_close(r);
    r = open_by(low, "parts", &many_parts);
    s = open_by(high, "parts", &many_parts);
    CHECK_OK(send_number(s, 1));
    CHECK_OK(send_number(s, 2));
    REQUIRE(pthread_create(&thread, NULL, waits_for_room, s) == 0);
    while (atomic_load(&r->shm->waiters[1]) == 0)
        test_sleep_us(200);
    rung = atomic_load(&row->doorbell);
    CHECK_OK(horus_topic_receive(r, &n, sizeof n, NULL, 0));
    CHECK_EQ(atomic_load(&row->doorbell), rung + 1);
    (void)pthread_join(thread, NULL);
    horus_topic_close(s);
    horus_topic_close(r);
    leave_many(c);
}

TEST(the_change_counter_wraps)
{
    horus_frame f[4], one;
    horus_context *c = join(MiB);
    horus_pool *p = pool_of(c);
    for (uint32_t i = 0; i < 4; i++) {
        atomic_store(&p->header->changes, UINT32_MAX - i);
        CHECK_EQ(fill(p, MiB / 4, f, 4), 4);
        CHECK_RESULT(horus_frame_alloc(&one, p, 1, 0, NULL), HORUS_E_POOL_FULL);
        empty(f, 4);
        CHECK_OK(horus_frame_alloc(&one, p, MiB, 0, NULL));
        CHECK_OK(horus_frame_release(&one));
    }
    check_empty(p);
    horus_context_close(c);
}

/* ---- named pools */

static void child_reads_named(void *arg)
{
    horus_topic *t;
    horus_tensor got;
    (void)arg;
    REQUIRE_OK(horus_topic_open(&t, "named", &(horus_topic_desc){.history = 5}));
    CHECK_OK(horus_topic_receive_tensor(t, &got, NULL, HORUS_FOREVER));
    CHECK(got.frame.pool && strcmp(got.frame.pool->name, "big") == 0);
    CHECK_EQ(got.shape[0], 1000000);
    CHECK(test_is_all(got.data, 0x42, 1000000));
    test_raise(0);
    test_await(1);
    CHECK(test_is_all(got.data, 0x42, 1000000));
    CHECK_OK(horus_tensor_release(&got));
    horus_topic_close(t);
}
TEST(frames_of_named_pools_reach_processes_that_never_opened_them)
{
    horus_context *c = join(2 * MiB);
    horus_pool *big;
    horus_topic *t;
    horus_tensor sent;
    int64_t shape = 1000000;
    REQUIRE_OK(
        horus_pool_open(&big, "big", &(horus_pool_desc){.context = c, .pool_bytes = 8 * MiB}));
    REQUIRE_OK(horus_topic_open(&t, "named", &(horus_topic_desc){.context = c}));
    REQUIRE_OK(horus_tensor_alloc(&sent, big, HORUS_U8, 1, &shape, 0));
    memset(sent.data, 0x42, 1000000);
    CHECK_OK(horus_topic_send_tensor(t, &sent, 0));
    CHECK_OK(horus_tensor_release(&sent));
    pid_t pid = test_fork(child_reads_named, NULL);
    test_await(0);
    horus_topic_close(t);
    CHECK_EQ(stats_of(pool_of(c)).used_bytes > 0, 1); /* the topic and its ring */
    horus_audit a;
    CHECK_OK(horus_pool_audit(big, &a, NULL, NULL));
    CHECK(a.balanced);
    CHECK_EQ(a.slots, 1);
    horus_frame f;
    CHECK_RESULT(horus_frame_alloc(&f, big, 8 * MiB, 0, NULL), HORUS_E_POOL_FULL);
    test_raise(1);
    CHECK_JOIN(pid);
    CHECK_OK(horus_frame_alloc(&f, big, 8 * MiB, 0, NULL)); /* a closed ring gives way */
    CHECK_OK(horus_frame_release(&f));
    horus_pool_close(big);
    check_balanced(pool_of(c));
    horus_context_close(c);
}

static void child_dies_in_named(void *arg)
{
    horus_pool *p;
    horus_frame f;
    (void)arg;
    REQUIRE_OK(horus_pool_open(&p, "n", &(horus_pool_desc){.pool_bytes = 4 * MiB}));
    REQUIRE_OK(horus_frame_alloc(&f, p, MiB, 0, NULL));
    test_raise(0);
    test_stay();
}
TEST(a_sweep_reaches_named_pools_that_only_the_dead_had_open)
{
    horus_context *c = join(2 * MiB);
    horus_pool *p;
    pid_t pid = test_fork(child_dies_in_named, NULL);
    test_await(0);
    test_kill(pid);
    CHECK_OK(horus_context_sweep(c, NULL));
    REQUIRE_OK(horus_pool_open(&p, "n", &(horus_pool_desc){.context = c}));
    CHECK_EQ(stats_of(p).data_bytes, 4 * MiB);
    check_empty(p);
    horus_context_close(c);
}

TEST(a_damaged_pool_file_is_refused_by_name)
{
    horus_context *c = join(MiB);
    horus_pool *p;
    put_file("pool.p", "garbage", 7, 0600);
    CHECK_RESULT(horus_pool_open(&p, "p", &(horus_pool_desc){.context = c}), HORUS_E_CORRUPT);
    CHECK(p == NULL);
    CHECK_TEXT(horus_last_error(), "pool.p");
    CHECK_TEXT(horus_last_error(), "remove it");
    REQUIRE(unlink(space_path("pool.p")) == 0);
    CHECK_OK(horus_pool_open(&p, "p", &(horus_pool_desc){.context = c, .pool_bytes = MiB}));
    horus_context_close(c);
}

static void child_comes_and_goes(void *arg)
{
    (void)arg;
    horus_context_close(join(0));
}
TEST(a_damaged_pool_file_does_not_use_up_the_rows)
{
    horus_context *c = join(MiB);
    put_file("pool.junk", "", 0, 0600);
    for (int i = 0; i < 2 * HORUSI_ROWS; i++)
        CHECK_JOIN(test_fork(child_comes_and_goes, NULL));
    (void)unlink(space_path("pool.junk"));
    horus_context_close(c);
}

TEST(a_pool_file_of_another_namespace_is_refused)
{
    char from[300], other[80];
    (void)snprintf(other, sizeof other, "%s-b", test_space);
    horus_context *a = join(MiB),
                  *b = join_desc((horus_context_desc){.name = other, .pool_bytes = MiB});
    horus_pool *p;
    REQUIRE_OK(horus_pool_open(&p, "p", &(horus_pool_desc){.context = b, .pool_bytes = MiB}));
    (void)snprintf(from, sizeof from, "%s/horus.%s/pool.p", test_dir(), other);
    REQUIRE(link(from, space_path("pool.p")) == 0);
    CHECK_RESULT(horus_pool_open(&p, "p", &(horus_pool_desc){.context = a}), HORUS_E_CORRUPT);
    CHECK(p == NULL);
    horus_context_close(a);
    horus_context_close(b);
}

/* ---- statistics, audit, trim */

typedef struct found {
    uint32_t handles, rings, internals, dead, wrong;
    char topic[HORUS_NAME_BYTES];
} found;
static void note_holder(void *user, const horus_holder *h)
{
    found *n = user;
    n->handles += !h->ring && !h->internal;
    n->rings += h->ring;
    n->internals += h->internal;
    n->dead += !h->alive;
    n->wrong += h->bytes == 0 || h->offset_bytes % 64 != 0 || h->label[0] == 0;
    if (h->ring)
        memcpy(n->topic, h->topic, sizeof n->topic);
}
TEST(the_audit_tells_handles_rings_and_internals_apart)
{
    horus_context *c = join(8 * MiB);
    horus_pool *p = pool_of(c);
    horus_topic *t;
    horus_tensor held, sent;
    int64_t shape = 70000;
    found n = {0};
    horus_audit a;
    REQUIRE_OK(horus_topic_open(&t, "audited", &(horus_topic_desc){.context = c}));
    REQUIRE_OK(horus_tensor_alloc(&held, p, HORUS_U8, 1, &shape, 0));
    for (int i = 0; i < 3; i++) {
        REQUIRE_OK(horus_tensor_alloc(&sent, p, HORUS_U8, 1, &shape, 0));
        CHECK_OK(horus_topic_send_tensor(t, &sent, 0));
        CHECK_OK(horus_tensor_release(&sent));
    }
    CHECK_OK(horus_pool_audit(p, &a, note_holder, &n));
    CHECK(a.balanced);
    CHECK_EQ(a.first[0], 0);
    CHECK_EQ(a.slots, 6); /* one held, three in the ring, the topic, the ring */
    CHECK_EQ(a.holders, 6);
    CHECK_EQ(n.handles, 1);
    CHECK_EQ(n.rings, 3);
    CHECK_EQ(n.internals, 2);
    CHECK_EQ(n.dead, 0);
    CHECK_EQ(n.wrong, 0);
    CHECK(strcmp(n.topic, "audited") == 0);
    horus_pool_stats s = stats_of(p);
    CHECK_EQ(s.used_slots, a.slots);
    CHECK_EQ(s.used_bytes, a.bytes);
    CHECK_EQ(s.free_bytes, s.data_bytes - s.used_bytes);
    CHECK(s.committed_bytes >= s.used_bytes && s.committed_bytes <= s.data_bytes);
    CHECK_OK(horus_tensor_release(&held));
    horus_topic_close(t);
    horus_context_close(c);
}

static void child_sends_and_dies(void *arg)
{
    horus_topic *t;
    horus_tensor sent;
    int64_t shape = 70000;
    (void)arg;
    REQUIRE_OK(horus_topic_open(&t, "orphan", NULL));
    for (int i = 0; i < 3; i++) {
        REQUIRE_OK(horus_tensor_alloc(&sent, NULL, HORUS_U8, 1, &shape, 0));
        CHECK_OK(horus_topic_send_tensor(t, &sent, 0));
    } /* it still holds them by handle, too */
    (void)kill(getpid(), SIGKILL);
}
TEST(the_audit_shows_what_the_dead_leave_for_their_readers)
{
    horus_context *c = join(8 * MiB);
    horus_topic *t;
    found n = {0};
    horus_audit a;
    REQUIRE_OK(horus_topic_open(&t, "orphan", &(horus_topic_desc){.context = c}));
    (void)test_wait(test_fork(child_sends_and_dies, NULL));
    CHECK_OK(horus_context_sweep(c, NULL));
    CHECK_OK(horus_pool_audit(pool_of(c), &a, note_holder, &n));
    CHECK(a.balanced);
    CHECK_EQ(n.rings, 3);
    CHECK_EQ(n.handles, 0);
    CHECK(n.dead >= 3);
    horus_topic_close(t);
    horus_context_close(c);
}

TEST(the_audit_finds_every_kind_of_contradiction)
{
    horus_context *c = join(4 * MiB);
    horus_pool *p = pool_of(c);
    horus_topic *t;
    horus_tensor sent, run;
    int64_t shape = 1000, large = 300000;
    horus_audit a;
    REQUIRE_OK(horus_topic_open(&t, "audited", &(horus_topic_desc){.context = c}));
    REQUIRE_OK(horus_tensor_alloc(&sent, p, HORUS_U8, 1, &shape, 0));
    REQUIRE_OK(horus_tensor_alloc(&run, p, HORUS_U8, 1, &large, 0));
    CHECK_OK(horus_topic_send_tensor(t, &sent, 0));
    horusi_slot *slot = &p->slot[sent.frame.slot];

    atomic_fetch_or(&slot->holders[1], 1ull << 13); /* row 77, which nobody has */
    CHECK_OK(horus_pool_audit(p, &a, NULL, NULL));
    CHECK(!a.balanced);
    CHECK_EQ(a.leaked, 1);
    CHECK(a.first[0]);
    atomic_fetch_and(&slot->holders[1], ~(1ull << 13));

    uint64_t mine = atomic_exchange(&slot->holders[c->mask_word], 0);
    CHECK_OK(horus_pool_audit(p, &a, NULL, NULL));
    CHECK(!a.balanced);
    CHECK_EQ(a.unpinned, 1);
    atomic_store(&slot->holders[c->mask_word], mine);

    uint32_t g = run.frame.slot >> p->blocks_log2;
    uint32_t body = atomic_exchange(&p->granule[g + 1].own, HORUSI_FREE);
    CHECK_OK(horus_pool_audit(p, &a, NULL, NULL));
    CHECK(!a.balanced);
    CHECK(a.misshapen >= 1);
    atomic_store(&p->granule[g + 1].own, body);
    uint32_t head = atomic_exchange(&p->granule[g].own, horusi_own(HORUSI_HEAD, 0));
    CHECK_OK(horus_pool_audit(p, &a, NULL, NULL));
    CHECK(!a.balanced);
    atomic_store(&p->granule[g].own, horusi_own(HORUSI_SPLIT, 60));
    CHECK_OK(horus_pool_audit(p, &a, NULL, NULL));
    CHECK(!a.balanced);
    atomic_store(&p->granule[g].own, head);

    check_balanced(p);
    CHECK_OK(horus_tensor_release(&sent));
    CHECK_OK(horus_tensor_release(&run));
    horus_topic_close(t);
    horus_context_close(c);
}

static uint64_t memory_of(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 ? (uint64_t)s.st_blocks * 512 : 0;
}
TEST(trim_gives_the_memory_of_free_slots_back)
{
    horus_frame f, small;
    void *data, *kept;
    uint64_t freed = 0;
    horus_context *c = join(32 * MiB);
    horus_pool *p = pool_of(c);
    uint64_t before = memory_of(space_path("horus"));
    REQUIRE_OK(horus_frame_alloc(&small, p, 5000, 0, &kept));
    memset(kept, 0x77, 5000);
    REQUIRE_OK(horus_frame_alloc(&f, p, 24 * MiB, 0, &data));
    memset(data, 1, 24 * MiB);
    CHECK(memory_of(space_path("horus")) >= 24 * MiB);
    CHECK(stats_of(p).committed_bytes >= 24 * MiB);
    CHECK_OK(horus_pool_trim(p, &freed)); /* held memory stays */
    CHECK(test_is_all(data, 1, 24 * MiB));
    CHECK_OK(horus_frame_release(&f));
    CHECK_OK(horus_pool_trim(p, &freed));
    CHECK(freed >= 24 * MiB);
    CHECK(memory_of(space_path("horus")) < before + MiB);
    CHECK(stats_of(p).committed_bytes < MiB);
    CHECK(test_is_all(kept, 0x77, 5000));
    CHECK_OK(horus_pool_trim(p, &freed));
    CHECK_EQ(freed, 0);
    REQUIRE_OK(horus_frame_alloc(&f, p, 24 * MiB, 0, &data));
    CHECK(test_is_all(data, 0, 24 * MiB));
    CHECK_OK(horus_frame_release(&f));
    CHECK_OK(horus_frame_release(&small));
    check_empty(p);
    horus_context_close(c);
}

TEST(a_pool_commits_only_what_is_used)
{
    horus_context *c = join(256 * MiB);
    CHECK(memory_of(space_path("horus")) < 2 * MiB);
    CHECK_EQ(stats_of(pool_of(c)).committed_bytes, 0);
    horus_context_close(c);
}

/* ---- a full file system */

/* In a mount namespace of its own: mounts a tmpfs of so many KiB and points HORUS_DIR at it. False:
 * not here. */
static char small_dir[] = "/tmp/horus-test-XXXXXX";
static bool small_tmpfs(int kib)
{
    char size[32];
    (void)snprintf(size, sizeof size, "size=%dk", kib);
    if (geteuid() != 0 || unshare(CLONE_NEWNS) != 0)
        return false;
    REQUIRE(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    REQUIRE(mkdtemp(small_dir));
    REQUIRE(mount("horus-test", small_dir, "tmpfs", 0, size) == 0);
    (void)setenv("HORUS_DIR", small_dir, 1);
    return true;
}
static void leave_small_tmpfs(void)
{
    (void)umount2(small_dir, MNT_DETACH);
    CHECK(rmdir(small_dir) == 0);
}
/* Eats what is left of the file system. */
static void eat(const char *name, uint64_t keep)
{
    char path[100];
    struct statvfs v;
    (void)snprintf(path, sizeof path, "%s/%s", small_dir, name);
    int fd = open(path, O_CREAT | O_RDWR, 0600);
    REQUIRE(fd >= 0 && fstatvfs(fd, &v) == 0);
    uint64_t have = (uint64_t)v.f_bavail * v.f_frsize;
    REQUIRE(have > keep && posix_fallocate(fd, 0, (off_t)(have - keep)) == 0);
    close(fd);
}

TEST(a_pool_is_capped_by_its_file_system_and_all_of_it_is_usable)
{
    if (!small_tmpfs(2048))
        SKIP("needs root and mount namespaces");
    horus_context *c = join(0); /* the wish is 1 GiB */
    horus_pool *p = pool_of(c);
    horus_frame f, block[2000];
    void *data;
    uint64_t all = stats_of(p).data_bytes;
    CHECK(all >= MiB && all < 2 * MiB);
    REQUIRE_OK(horus_frame_alloc(&f, p, all, 0, &data));
    memset(data, 3, all);
    CHECK_OK(horus_frame_release(&f));
    uint32_t n = fill(p, stats_of(p).block_bytes, block, 2000);
    CHECK(n == stats_of(p).max_slots || n == 2000);
    empty(block, n);
    CHECK_OK(horus_frame_alloc(&f, p, all, 0, &data));
    horus_context_close(c);
    leave_small_tmpfs();
}

TEST(a_full_file_system_is_an_error_of_alloc_not_a_crash)
{
    if (!small_tmpfs(4096))
        SKIP("needs root and mount namespaces");
    horus_context *c = join(0);
    horus_pool *p = pool_of(c);
    horus_frame f;
    void *data;
    REQUIRE_OK(horus_frame_alloc(&f, p, 100000, 0, &data));
    eat("eater", 300000); /* somebody else takes what we had counted on */
    CHECK_RESULT(horus_frame_alloc(&f, p, MiB, 0, &data), HORUS_E_POOL_FULL);
    CHECK_ZERO(f);
    CHECK(data == NULL);
    CHECK_TEXT(horus_last_error(),
               "no memory for 1048576 bytes in the file system of pool default");
    CHECK_TEXT(horus_last_error(), " KiB are free; docker: --shm-size)");
    CHECK_TEXT(horus_last_error(), ": held by "); /* what might be given back */
    for (int i = 0; i < 1000; i++) { /* small ones go on until nothing is left at all */
        horus_result r = horus_frame_alloc(&f, p, 4000, 0, &data);
        if (r != HORUS_OK) {
            CHECK_EQ(r, HORUS_E_POOL_FULL);
            break;
        }
        memset(data, 4, 4000);
    }
    check_balanced(p);
    (void)unlink("eater");
    char path[100];
    (void)snprintf(path, sizeof path, "%s/eater", small_dir);
    REQUIRE(unlink(path) == 0);
    REQUIRE_OK(horus_frame_alloc(&f, p, MiB, 0, &data)); /* and works again */
    memset(data, 5, MiB);
    horus_context_close(c);
    leave_small_tmpfs();
}

TEST(a_file_system_without_room_refuses_the_namespace)
{
    if (!small_tmpfs(256))
        SKIP("needs root and mount namespaces");
    eat("eater", 16384);
    horus_context *c;
    CHECK_RESULT(horus_context_open(&c, NULL), HORUS_E_POOL_FULL);
    CHECK(c == NULL);
    CHECK(horus_last_error()[0]);
    char path[200];
    (void)snprintf(path, sizeof path, "%s/horus.%s", small_dir, test_space);
    CHECK(!exists(path));
    leave_small_tmpfs();
}

TEST(trim_makes_room_for_others_in_a_full_file_system)
{
    if (!small_tmpfs(4096))
        SKIP("needs root and mount namespaces");
    horus_context *c = join(0);
    horus_frame f;
    void *data;
    uint64_t freed;
    REQUIRE_OK(horus_frame_alloc(&f, pool_of(c), 2 * MiB, 0, &data));
    memset(data, 1, 2 * MiB);
    CHECK_OK(horus_frame_release(&f));
    CHECK_OK(horus_pool_trim(pool_of(c), &freed));
    CHECK(freed >= 2 * MiB);
    eat("eater", MiB);
    REQUIRE_OK(horus_frame_alloc(&f, pool_of(c), MiB / 2, 0, &data)); /* punched is not committed */
    CHECK(test_is_all(data, 0, MiB / 2));
    memset(data, 1, MiB / 2);
    CHECK_RESULT(horus_frame_alloc(&f, pool_of(c), 2 * MiB, 0, NULL), HORUS_E_POOL_FULL);
    horus_context_close(c);
    leave_small_tmpfs();
}

/* ---- fork */

typedef struct inherited {
    horus_context *context;
    horus_pool *pool;
    horus_topic *topic;
    horus_frame frame;
    uint8_t *data;
} inherited;
static void child_uses_inherited(void *arg)
{
    inherited *in = arg;
    uint64_t n = 0;
    void *data = &n;
    uint32_t rows;
    size_t ready;
    horus_frame f = in->frame;
    horus_frame own;
    horus_info info;
    horus_topic_stats ts;
    horus_pool_stats ps;
    horus_audit a;
    horus_pool *p;
    horus_context_info ci;
    CHECK(test_is_all(in->data, 0x31, 100000)); /* readable */
    CHECK_RESULT(horus_topic_send(in->topic, &n, 8, 0), HORUS_E_DETACHED);
    CHECK_RESULT(horus_topic_receive(in->topic, &n, 8, &info, 0), HORUS_E_DETACHED);
    CHECK_RESULT(horus_topic_peek(in->topic, &n, 8, &info), HORUS_E_DETACHED);
    CHECK_RESULT(horus_topic_wait(in->topic, 0), HORUS_E_DETACHED);
    CHECK_RESULT(horus_topic_drain(in->topic, NULL), HORUS_E_DETACHED);
    CHECK_RESULT(horus_topic_ack(in->topic), HORUS_E_DETACHED);
    CHECK_RESULT(horus_topic_skip_to_latest(in->topic, NULL), HORUS_E_DETACHED);
    CHECK_RESULT(horus_topic_get_stats(in->topic, &ts), HORUS_E_DETACHED);
    CHECK_RESULT(horus_wait(&in->topic, 1, 0, &ready), HORUS_E_DETACHED);
    CHECK_RESULT(horus_pool_get_stats(in->pool, &ps), HORUS_E_DETACHED);
    CHECK_RESULT(horus_pool_audit(in->pool, &a, NULL, NULL), HORUS_E_DETACHED);
    CHECK_RESULT(horus_pool_trim(in->pool, NULL), HORUS_E_DETACHED);
    CHECK_RESULT(horus_frame_alloc(&own, in->pool, 10, 0, NULL), HORUS_E_DETACHED);
    CHECK_RESULT(horus_context_get_info(in->context, &ci), HORUS_E_DETACHED);
    CHECK_RESULT(horus_context_sweep(in->context, &rows), HORUS_E_DETACHED);
    CHECK_RESULT(horus_pool_open(&p, "x", &(horus_pool_desc){.context = in->context}),
                 HORUS_E_DETACHED);
    CHECK_TEXT(horus_last_error(), "fork");
    CHECK(horus_frame_data(&f, &data, &n) != HORUS_OK);
    CHECK_OK(horus_frame_release(&f)); /* does nothing */
    CHECK_ZERO(f);
    for (int i = 0; i < 1000; i++) { /* however often */
        f = in->frame;
        CHECK_OK(horus_frame_release(&f));
    }
    horus_topic_close(in->topic);
    horus_context_close(in->context);
    CHECK(test_is_all(in->data, 0x31, 100000)); /* still */
    horus_topic *t;                             /* and a new start works */
    REQUIRE_OK(horus_topic_open(&t, "inherited", NULL));
    n = 4711;
    CHECK_OK(horus_topic_send(t, &n, 8, 0));
    horus_topic_close(t);
    CHECK(test_is_all(in->data, 0x31, 100000));
}
TEST(a_forked_child_reads_what_it_inherited_and_starts_anew)
{
    inherited in;
    uint64_t got = 0;
    void *data;
    in.context = join(4 * MiB);
    in.pool = pool_of(in.context);
    REQUIRE_OK(
        horus_topic_open(&in.topic, "inherited", &(horus_topic_desc){.context = in.context}));
    REQUIRE_OK(horus_frame_alloc(&in.frame, in.pool, 100000, 0, &data));
    in.data = data;
    memset(data, 0x31, 100000);
    CHECK_OK(horus_topic_send(in.topic, "first", 6, 0));
    uint32_t used = stats_of(in.pool).used_slots;
    CHECK_JOIN(test_fork(child_uses_inherited, &in));
    CHECK_EQ(horus_frame_holders(&in.frame), 1); /* the parent noticed nothing */
    CHECK_OK(horus_frame_data(&in.frame, &data, NULL));
    CHECK(test_is_all(data, 0x31, 100000));
    char first[8];
    CHECK_OK(horus_topic_receive(in.topic, first, sizeof first, NULL, 0));
    CHECK_OK(horus_topic_receive(in.topic, &got, sizeof got, NULL, 0));
    CHECK_EQ(got, 4711);
    CHECK(stats_of(in.pool).used_slots >= used);
    check_balanced(in.pool);
    CHECK_OK(horus_frame_release(&in.frame));
    horus_topic_close(in.topic);
    horus_context_close(in.context);
}

static void child_of_default(void *arg)
{
    horus_frame f;
    horus_context_info info;
    (void)arg;
    REQUIRE_OK(horus_frame_alloc(&f, NULL, 1000, 0, NULL));
    CHECK_OK(horus_context_get_info(NULL, &info));
    CHECK_EQ(info.processes, 2);
    CHECK(strcmp(info.name, test_space) == 0);
}
TEST(the_default_context_of_a_child_is_its_own)
{
    horus_frame f;
    REQUIRE_OK(horus_frame_alloc(&f, NULL, 1000, 0, NULL));
    for (int i = 0; i < 5; i++)
        CHECK_JOIN(test_fork(child_of_default, NULL));
    CHECK_EQ(stats_of(NULL).used_slots, 1);
    CHECK_OK(horus_frame_release(&f));
    check_empty(NULL);
}

static void grandchild(void *arg)
{
    (void)arg;
    test_raise(1);
    test_stay();
}
static void parent_with_child(void *arg)
{
    horus_frame f;
    (void)arg;
    REQUIRE_OK(horus_frame_alloc(&f, NULL, MiB, 0, NULL));
    atomic_store(&board->value[0], (uint64_t)test_fork(grandchild, NULL));
    test_await(1);
    test_raise(0);
    test_stay();
}
/* What keeps a lock from a child is a mapping that fork() does not copy. */
static void looks_for_page(void *page)
{
    unsigned char in;
    if (mincore(page, 4096, &in) == 0 || errno != ENOMEM)
        test_raise(2);
}
static bool pages_are_kept_from_children(void)
{
    void *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(page != MAP_FAILED && madvise(page, 4096, MADV_DONTFORK) == 0);
    CHECK_JOIN(test_fork(looks_for_page, page));
    (void)munmap(page, 4096);
    return atomic_load(&board->flag[2]) == 0;
}
TEST(a_dead_parent_is_seen_although_its_child_lives)
{
    if (!pages_are_kept_from_children())
        SKIP("MADV_DONTFORK does nothing here (qemu-user passes over it)");
    uint32_t rows = 0;
    horus_context *c = join(8 * MiB);
    pid_t pid = test_fork(parent_with_child, NULL);
    test_await(0);
    CHECK_EQ(stats_of(pool_of(c)).used_slots, 1);
    test_kill(pid);
    pid_t survivor = (pid_t)atomic_load(&board->value[0]);
    CHECK(kill(survivor, 0) == 0);
    CHECK_OK(horus_context_sweep(c, &rows));
    CHECK_EQ(rows, 1);
    check_empty(pool_of(c));
    (void)kill(survivor, SIGKILL);
    horus_context_close(c);
}

static void *sweep_on(void *context)
{
    while (atomic_load(&board->flag[2]) == 0)
        CHECK_OK(horus_context_sweep(context, NULL));
    return NULL;
}
static void child_leaves_a_message(void *arg)
{
    horus_topic *t;
    (void)arg;
    REQUIRE_OK(horus_topic_open(&t, "t", &(horus_topic_desc){.policy = HORUS_QUEUE}));
    CHECK_OK(horus_topic_send(t, "first", 6, 0));
}
TEST(a_child_forked_during_a_sweep_keeps_no_lock)
{
    enum { CHILDREN = 200 };
    if (!pages_are_kept_from_children())
        SKIP("MADV_DONTFORK does nothing here (qemu-user passes over it)");
    horus_context *c = join(8 * MiB);
    pthread_t thread;
    pid_t pid[CHILDREN];
    uint32_t rows;
    CHECK_JOIN(
        test_fork(child_leaves_a_message, NULL)); /* its row stays, and each sweep takes it */
    REQUIRE(pthread_create(&thread, NULL, sweep_on, c) == 0);
    for (int i = 0; i < CHILDREN; i++)
        pid[i] = test_fork(grandchild, NULL);
    atomic_store(&board->flag[2], 1);
    (void)pthread_join(thread, NULL);
    CHECK_OK(horus_context_sweep(c, &rows));
    CHECK_EQ(rows, 1); /* or a child has its lock */
    for (int i = 0; i < CHILDREN; i++)
        test_kill(pid[i]);
    horus_context_close(c);
}

static void forks_and_is_killed(void)
{
    pid_t child = fork(); /* as another thread may at that moment */
    if (child == 0)
        test_stay();
    atomic_store(&board->flag[3], (uint32_t)child);
    (void)kill(getpid(), SIGKILL);
}
static void holds_and_stays(void *arg)
{
    horus_frame f;
    (void)arg;
    REQUIRE_OK(horus_frame_alloc(&f, pool_of(join(0)), 1000, 0, NULL));
    test_raise(0);
    test_stay();
}
static void sweeps_and_is_killed(void *arg)
{
    horus_context *c = join(0);
    (void)arg;
    test_raise(1);
    test_await(2);
    in_a_sweep = forks_and_is_killed;
    (void)horus_context_sweep(c, NULL);
    (void)CHECK(!"killed");
}
TEST(a_child_of_a_killed_sweeper_keeps_no_lock)
{
    uint32_t rows;
    if (!pages_are_kept_from_children())
        SKIP("MADV_DONTFORK does nothing here (qemu-user passes over it)");
    horus_context *c = join(MiB);
    pid_t victim = test_fork(holds_and_stays, NULL);
    test_await(0);
    pid_t sweeper = test_fork(sweeps_and_is_killed, NULL);
    test_await(1);
    test_kill(victim);
    test_raise(2);
    (void)test_wait(sweeper);
    CHECK_OK(horus_context_sweep(c, &rows));
    CHECK_EQ(rows, 2);
    check_empty(pool_of(c));
    (void)kill((pid_t)atomic_load(&board->flag[3]), SIGKILL);
    horus_context_close(c);
}
static void *opens_pools(void *context)
{
    char name[16];
    horus_pool *p;
    for (int i = 0; i < 20; i++) {
        (void)snprintf(name, sizeof name, "p%d", i);
        REQUIRE_OK(
            horus_pool_open(&p, name, &(horus_pool_desc){.context = context, .pool_bytes = MiB}));
    }
    atomic_store(&board->flag[2], 1);
    return NULL;
}
TEST(pools_may_be_opened_while_another_thread_sweeps)
{
    pthread_t opener;
    horus_context *c = join(8 * MiB);
    CHECK_JOIN(
        test_fork(child_leaves_a_message, NULL)); /* its row stays, and each sweep takes it */
    REQUIRE(pthread_create(&opener, NULL, opens_pools, c) == 0);
    (void)sweep_on(c);
    (void)pthread_join(opener, NULL);
    horus_context_close(c);
}

static horus_topic *late_topic;
static void close_late(void) { horus_topic_close(late_topic); }
static void child_exits_with_open_handles(void *arg)
{
    (void)arg;
    (void)atexit(close_late); /* runs after the library's own */
    REQUIRE_OK(horus_topic_open(&late_topic, "t", NULL));
    exit(0);
}
TEST(handles_may_be_closed_by_functions_that_run_at_exit)
{
    CHECK_JOIN(test_fork(child_exits_with_open_handles, NULL));
}

/* A daemon's habit: closes all that it has not opened, and then opens files of its own, which get
 * the same numbers. Returns the last of them; what they hold is looked at by users_files_are_whole(). */
static int close_all_and_reuse(void)
{
    int last = -1;
    for (int i = 3; i < 64; i++)
        close(i);
    while (last < 40) {
        last = memfd_create("user", 0);
        REQUIRE(last >= 0 && write(last, "of the user", 11) == 11);
    }
    return last;
}
static void users_files_are_whole(int last)
{
    char text[16];
    struct stat s;
    for (int i = 3; i <= last; i++) {
        if (fstat(i, &s) != 0 && errno == EBADF && !CHECK(i == 3)) /* our runner's may be there */
            continue;
        CHECK_EQ(s.st_size, 11);
        CHECK(pread(i, text, 11, 0) == 11 && memcmp(text, "of the user", 11) == 0);
    }
}
static void uses_all_without_descriptors(void *arg)
{
    horus_context *c = join(0);
    horus_context_info info;
    horus_pool *p = pool_of(c), *named;
    horus_frame f, g;
    uint8_t *data;
    uint64_t freed;
    uint32_t rows;
    (void)arg;
    REQUIRE_OK(
        horus_pool_open(&named, "named", &(horus_pool_desc){.context = c, .pool_bytes = MiB}));
    int last = close_all_and_reuse();
    CHECK_OK(horus_context_sweep(c, &rows));
    CHECK_EQ(rows, 0);
    CHECK_OK(horus_context_get_info(c, &info));
    CHECK_EQ(info.processes, 2);
    test_raise(1);
    test_await(2);                /* the others have looked whether we are there */
    for (int i = 0; i < 2; i++) { /* ranges that need memory, and give it back */
        REQUIRE_OK(horus_frame_alloc(&f, p, 2 * MiB, 0, (void **)&data));
        data[2 * MiB - 1] = 1;
        REQUIRE_OK(horus_frame_alloc(&g, named, MiB / 4, 0, (void **)&data));
        data[0] = 1;
        CHECK_OK(horus_frame_release(&f));
        CHECK_OK(horus_frame_release(&g));
        CHECK_OK(horus_pool_trim(p, &freed));
        CHECK(freed >= 2 * MiB);
        CHECK_OK(horus_pool_trim(named, &freed));
        CHECK(freed >= MiB / 4);
    }
    REQUIRE_OK(
        horus_pool_open(&named, "late", &(horus_pool_desc){.context = c, .pool_bytes = MiB}));
    users_files_are_whole(last);
    horus_context_close(c);
    users_files_are_whole(last);
}
TEST(descriptors_that_were_closed_and_used_again_harm_nobody)
{
    horus_frame f;
    uint32_t rows = 9;
    void *data;
    horus_context *c = join(8 * MiB);
    REQUIRE_OK(horus_frame_alloc(&f, pool_of(c), 1000, 0, &data));
    memset(data, 7, 1000);
    pid_t child = test_fork(uses_all_without_descriptors, NULL);
    test_await(1);
    CHECK_OK(horus_context_sweep(c, &rows));
    CHECK_EQ(rows, 0);                                                 /* it is alive, */
    CHECK_EQ(horusi_low(c->pool->rows[c->row].word), HORUSI_ROW_LIVE); /* and we are for it */
    test_raise(2);
    CHECK_JOIN(child);
    CHECK_EQ(stats_of(pool_of(c)).used_slots, 1);
    CHECK(test_is_all(data, 7, 1000));
    CHECK_OK(horus_frame_release(&f));
    horus_context_close(c);
    CHECK(!exists(space_path("")));
}
static void leaves_last_without_descriptors(void *arg)
{
    (void)arg;
    horus_context *c = join(MiB);
    int last = close_all_and_reuse();
    uint64_t begin = horus_now_ns();
    horus_context_close(c);
    CHECK(horus_now_ns() - begin < 900000000u); /* it does not wait for what cannot come */
    users_files_are_whole(last);
    CHECK(!exists(space_path("")));
    c = join(MiB); /* and once more, with nothing in the numbers' places */
    for (int i = 3; i < 64; i++)
        close(i);
    horus_context_close(c);
    CHECK(!exists(space_path("")));
}
TEST(the_last_one_out_removes_everything_though_its_descriptors_be_closed)
{
    CHECK_JOIN(test_fork(leaves_last_without_descriptors, NULL));
}
static void joins_and_stays(void *arg)
{
    (void)arg;
    (void)join(0);
    test_raise(0);
    test_stay();
}
/* What can still be done when the files are no more where they were, or others are. */
static void goes_on_without_files(void *instead)
{
    horus_context *c = join(8 * MiB);
    horus_context_info info;
    horus_frame f;
    uint64_t freed;
    char text[1] = {'x'};
    if (*(const bool *)instead) { /* others, and in the numbers' places files of the same tmpfs */
        REQUIRE(unlink(space_path("horus")) == 0);
        for (int i = 3; i < 64; i++)
            close(i);
        for (int i = -1; i < 40;)
            REQUIRE((i = open(space_path("horus"), O_RDWR | O_CREAT, 0600)) >= 0 &&
                    pwrite(i, text, 1, 0) == 1);
    } else {
        for (int i = 3; i < 64; i++)
            close(i);
        REQUIRE(unlink(space_path("horus")) == 0 && rmdir(space_path("")) == 0);
    }
    CHECK_OK(horus_context_get_info(c, &info));
    CHECK_EQ(info.processes, 3); /* nobody is said to be dead because it cannot be told */
    CHECK_RESULT(horus_context_sweep(c, NULL), HORUS_E_SYSTEM);
    CHECK_TEXT(horus_last_error(), "horus");
    CHECK_RESULT(horus_frame_alloc(&f, pool_of(c), 4 * MiB, 0, NULL), HORUS_E_POOL_FULL);
    CHECK_OK(horus_pool_trim(pool_of(c), &freed));
    CHECK_EQ(freed, 0);
    horus_context_close(c);
    if (*(const bool *)instead) {
        struct stat s;
        CHECK(fstat(40, &s) == 0 && s.st_size == 1);
        REQUIRE(unlink(space_path("horus")) == 0 && rmdir(space_path("")) == 0);
    }
}
TEST(without_descriptors_and_files_what_cannot_be_done_is_an_error)
{
    for (int i = 0; i < 2; i++) {
        bool instead = i == 1;
        horus_context *a = join(8 * MiB), *b = join(0);
        CHECK_JOIN(test_fork(goes_on_without_files, &instead));
        horus_context_close(a);
        horus_context_close(b);
    }
}
TEST(a_file_system_whose_locks_end_with_the_descriptor_is_refused)
{
    if (!small_tmpfs(8192))
        SKIP("needs root and mount namespaces");
    char path[4][100], options[400];
    const char *names[] = {"lower", "upper", "work", "all"};
    for (int i = 0; i < 4; i++) {
        (void)snprintf(path[i], sizeof path[i], "%s/%s", small_dir, names[i]);
        REQUIRE(mkdir(path[i], 0700) == 0);
    }
    (void)snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s,workdir=%s", path[0], path[1],
                   path[2]);
    if (mount("overlay", path[3], "overlay", 0, options) != 0) {
        leave_small_tmpfs();
        SKIP("no overlayfs here");
    }
    horus_context *c;
    horus_context_desc desc = {.dir = path[3], .pool_bytes = MiB};
    horus_result r = horus_context_open(&c, &desc);
    if (r == HORUS_OK) { /* a kernel on which a mapping keeps the description: then it is kept */
        CHECK(horusi_is_locked(c->pool->fd, c->row, 1));
        horus_context_close(c);
    } else {
        CHECK_RESULT(r, HORUS_E_UNSUPPORTED);
        CHECK_TEXT(horus_last_error(), "tmpfs");
    }
    CHECK(rmdir(path[3]) != 0 && errno == EBUSY); /* a mount, and */
    REQUIRE(umount(path[3]) == 0);
    CHECK(rmdir(path[1]) == 0); /* nothing in it */
    leave_small_tmpfs();
}
static _Atomic int fork_seconds;
static void slow_prepare(void)
{
    if (atomic_load(&fork_seconds) > 0)
        test_sleep_us(1000000L * atomic_load(&fork_seconds));
}
static void *forks_slowly(void *none)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    CHECK_JOIN(pid);
    return none;
}
TEST(a_sweep_while_another_thread_forks_for_long_says_that_it_was_none)
{
    enum { VICTIMS = 6 };
    pid_t victim[VICTIMS];
    pthread_t thread;
    uint32_t rows;
    REQUIRE(pthread_atfork(slow_prepare, NULL, NULL) == 0); /* first, so that it runs after ours */
    horus_context *c = join(MiB);
    for (uint32_t i = 0; i < VICTIMS; i++) {
        victim[i] = test_fork(joins_and_stays, NULL);
        test_await_count(0, i + 1);
    }
    for (int i = 0; i < VICTIMS; i++)
        test_kill(victim[i]);
    atomic_store(&fork_seconds, 3);
    REQUIRE(pthread_create(&thread, NULL, forks_slowly, NULL) == 0);
    while (horusi_ld32_rlx(N2, &horusi_fork_lock) == 0)
        test_sleep_us(100);
    uint64_t begin = horus_now_ns();
    CHECK_RESULT(horus_context_sweep(c, &rows), HORUS_E_SYSTEM);
    CHECK(horus_now_ns() - begin <
          2500000000u); /* not as long as the fork, nor once for each row */
    (void)pthread_join(thread, NULL);
    CHECK_OK(horus_context_sweep(c, &rows));
    CHECK_EQ(rows, VICTIMS);
    horus_context_close(c);
}
static _Atomic uint32_t handler_forks;
static void forks_in_a_handler(int signal)
{
    int e = errno;
    pid_t pid = fork();
    (void)signal;
    if (pid == 0)
        _exit(0);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
    atomic_fetch_add(&handler_forks, 1);
    errno = e;
}
TEST(a_handler_may_fork_whatever_it_interrupts)
{
    struct sigaction action = {.sa_handler = forks_in_a_handler};
    struct itimerval often = {{0, 900}, {0, 900}}, never = {{0, 0}, {0, 0}};
    horus_context *c = join(MiB), *d;
    CHECK_JOIN(
        test_fork(child_leaves_a_message, NULL)); /* its row stays, and each sweep takes it */
    REQUIRE(sigaction(SIGPROF, &action, NULL) == 0 && setitimer(ITIMER_PROF, &often, NULL) == 0);
    for (uint64_t end = horus_now_ns() + 1000000000u;
         horus_now_ns() < end || atomic_load(&handler_forks) < 20;) {
        (void)horus_context_sweep(c, NULL);
        REQUIRE_OK(horus_context_open(&d, &(horus_context_desc){.name = NULL}));
        horus_context_close(d);
    }
    REQUIRE(setitimer(ITIMER_PROF, &never, NULL) == 0);
    horus_context_close(c);
}
/* chroot() into the test's directory, and back: what a child says of its coverage belongs outside. */
static int lock_in(void)
{
    int outside = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    REQUIRE(outside >= 0 && chroot(test_dir()) == 0 && chdir("/") == 0);
    return outside;
}
static void let_out(int outside)
{
    REQUIRE(fchdir(outside) == 0 && chroot(".") == 0);
    close(outside);
}
static void becomes_a_daemon(void *arg)
{
    horus_context *c = join(0);
    horus_topic *t;
    char byte;
    (void)arg;
    REQUIRE_OK(horus_topic_open(&t, "t", &(horus_topic_desc){.context = c}));
    for (int i = 3; i < 64; i++)
        close(i);
    int outside = lock_in(); /* in this order no file is to be found */
    CHECK_RESULT(horus_topic_receive(t, &byte, 1, NULL, 250000000), HORUS_TIMEOUT);
    horus_topic_close(t);
    horus_context_close(c);
    let_out(outside);
}
TEST(what_cannot_be_told_is_not_said_to_be_gone)
{
    if (geteuid() != 0)
        SKIP("only root may chroot()");
    horus_context *c = join(MiB);
    CHECK_JOIN(test_fork(becomes_a_daemon, NULL));
    horus_context_close(c);
}
static void meets_another_namespace(void *arg)
{
    horus_context *c = join(0);
    horus_frame f;
    uint64_t freed;
    (void)arg;
    for (int i = 3; i < 64; i++)
        close(i);
    test_raise(1);
    test_await(2); /* meanwhile another one was made at its path */
    CHECK_RESULT(horus_context_sweep(c, NULL), HORUS_E_SYSTEM);
    CHECK_RESULT(horus_frame_alloc(&f, pool_of(c), 4 * MiB, 0, NULL), HORUS_E_POOL_FULL);
    CHECK_OK(horus_pool_trim(pool_of(c), &freed));
    horus_context_close(c);
}
TEST(without_descriptors_another_namespace_at_the_same_path_is_left_alone)
{
    horus_frame f;
    void *data;
    pid_t child = test_fork(meets_another_namespace, join(8 * MiB)); /* the first is never closed */
    test_await(1);
    REQUIRE(unlink(space_path("horus")) == 0 && rmdir(space_path("")) == 0);
    horus_context *c = join(8 * MiB);
    REQUIRE_OK(horus_frame_alloc(&f, pool_of(c), 4 * MiB, 0, &data));
    memset(data, 7, 4 * MiB);
    test_raise(2);
    CHECK_JOIN(child);
    CHECK(exists(space_path("horus")));
    CHECK_EQ(stats_of(pool_of(c)).used_slots, 1);
    CHECK(test_is_all(data, 7, 4 * MiB));
    CHECK_OK(horus_frame_release(&f));
    horus_context_close(c);
}
static void leaves_from_elsewhere(void *arg)
{
    struct stat s;
    const char *name = (const char *)arg;
    REQUIRE(chdir(test_dir()) == 0);
    horus_context *c;
    REQUIRE_OK(horus_context_open(&c, &(horus_context_desc){.dir = "."}));
    REQUIRE(chdir("/") == 0);
    CHECK(stat(name, &s) == 0);
    horus_context_close(c);
    CHECK(stat(name, &s) != 0);
}
TEST(a_namespace_of_a_relative_directory_goes_from_anywhere)
{
    char name[300];
    (void)snprintf(name, sizeof name, "%s", space_path(""));
    CHECK_JOIN(test_fork(leaves_from_elsewhere, name));
}
TEST(the_last_one_out_needs_one_descriptor)
{
    struct rlimit limit, was;
    horus_context *c = join(MiB);
    REQUIRE(getrlimit(RLIMIT_NOFILE, &was) == 0);
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    limit = was;
    limit.rlim_cur = (rlim_t)fd + 1; /* the number that is closed now is the last one */
    REQUIRE(fd >= 0 && close(fd) == 0 && setrlimit(RLIMIT_NOFILE, &limit) == 0);
    horus_context_close(c);
    REQUIRE(setrlimit(RLIMIT_NOFILE, &was) == 0);
    CHECK(!exists(space_path("")));
}
TEST(the_dead_are_not_counted_though_nobody_has_swept)
{
    horus_context_info info;
    horus_context *c = join(MiB);
    pid_t victim = test_fork(joins_and_stays, NULL);
    test_await(0);
    CHECK_OK(horus_context_get_info(c, &info));
    CHECK_EQ(info.processes, 2);
    test_kill(victim);
    CHECK_OK(horus_context_get_info(c, &info));
    CHECK_EQ(info.processes, 1);
    horus_context_close(c);
}

static void works_behind_chroot(void *arg)
{
    horus_context *c = join(0);
    horus_frame f;
    uint32_t rows;
    (void)arg;
    test_raise(1);           /* says what it covered, too: before it is inside */
    int outside = lock_in(); /* no path leads anywhere, /proc neither */
    test_await(2);
    CHECK_OK(horus_context_sweep(c, &rows));
    CHECK_EQ(rows, 1);
    CHECK_OK(horus_frame_alloc(&f, pool_of(c), 2 * MiB, 0, NULL));
    CHECK_OK(horus_frame_release(&f));
    horus_context_close(c);
    let_out(outside);
}
TEST(a_program_may_lock_itself_in_after_joining)
{
    if (geteuid() != 0)
        SKIP("only root may chroot()");
    horus_context *c = join(8 * MiB);
    pid_t victim = test_fork(joins_and_stays, NULL), jailed = test_fork(works_behind_chroot, NULL);
    test_await(0);
    test_await(1);
    test_kill(victim);
    test_raise(2);
    CHECK_JOIN(jailed);
    horus_context_close(c);
}

/* ---- stray writes */

static void writes_to_published(void *arg)
{
    (void)arg;
    (void)signal(SIGSEGV, SIG_DFL);
    (void)signal(SIGBUS, SIG_DFL);
    horus_context *c =
        join_desc((horus_context_desc){.pool_bytes = 4 * MiB, .flags = HORUS_PROTECT});
    horus_topic *t;
    horus_tensor sent;
    int64_t shape = (int64_t)atomic_load(&board->value[1]);
    REQUIRE_OK(horus_topic_open(&t, "p", &(horus_topic_desc){.context = c}));
    REQUIRE_OK(horus_tensor_alloc(&sent, pool_of(c), HORUS_U8, 1, &shape, 0));
    *(volatile uint8_t *)sent.data = 1; /* still ours */
    CHECK_OK(horus_topic_send_tensor(t, &sent, 0));
    atomic_store(&board->value[0], *(volatile uint8_t *)sent.data); /* reading is fine */
    test_raise(0);
    *(volatile uint8_t *)sent.data = 2;
    test_raise(1);
}
TEST(a_stray_write_to_a_published_frame_faults_under_protect)
{
    static const uint64_t sizes[] = {1, 1000, 5000, 65536, 1000000};
    for (uint32_t i = 0; i < 5; i++) {
        atomic_store(&board->value[1], sizes[i]);
        int status = test_wait(test_fork(writes_to_published, NULL));
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
        CHECK_EQ(atomic_load(&board->flag[0]), i + 1);
        CHECK_EQ(atomic_load(&board->flag[1]), 0);
        CHECK_EQ(atomic_load(&board->value[0]), 1);
    }
    horus_context_close(join(MiB));
}

TEST(all_else_works_under_protect)
{
    horus_context *c = join_desc(
                      (horus_context_desc){.pool_bytes = 8 * MiB, .flags = HORUS_PROTECT}),
                  *other = join(0);
    horus_topic *t, *u;
    static char big[200000];
    REQUIRE_OK(horus_topic_open(&u, "p", &(horus_topic_desc){.context = other}));
    REQUIRE_OK(horus_topic_open(&t, "p", &(horus_topic_desc){.context = c}));
    for (int i = 0; i < 60; i++) {
        horus_tensor mine, got;
        int64_t shape = 1 + (int64_t)(rng() % 200000);
        REQUIRE_OK(horus_tensor_alloc(&mine, pool_of(c), HORUS_U8, 1, &shape, i % 2));
        memset(mine.data, i, (size_t)shape);
        CHECK_OK(horus_topic_send_tensor(t, &mine, 0));
        CHECK_OK(horus_tensor_release(&mine));
        CHECK_OK(horus_topic_receive_tensor(u, &got, NULL, 0));
        CHECK(test_is_all(got.data, i, (size_t)shape));
        CHECK_OK(horus_tensor_release(&got));
        CHECK_OK(horus_topic_receive_tensor(t, &got, NULL, 0));
        CHECK(test_is_all(got.data, i, (size_t)shape));
        CHECK_OK(horus_tensor_release(&got));
        memset(big, i, sizeof big);
        CHECK_OK(horus_topic_send(u, big, sizeof big, 0));
        CHECK_OK(horus_topic_receive(t, big, sizeof big, NULL, 0));
        CHECK(test_is_all(big, i, sizeof big));
        CHECK_OK(horus_topic_receive(u, big, sizeof big, NULL, 0));
    }
    check_balanced(pool_of(c));
    horus_topic_close(t);
    horus_topic_close(u);
    horus_context_close(c);
    horus_context_close(other);
}

/* ---- what an alloc may take back */

TEST(a_failing_alloc_first_takes_back_our_own_oldest_frames)
{
    horus_context *c = join(8 * MiB), *o = join(0);
    horus_topic *one, *two, *receive_one, *receive_two;
    horus_topic_desc for_all = {.context = c, .capacity = 100, .message_bytes = 168};
    horus_topic_desc reader = {.context = o};
    horus_tensor t, kept;
    horus_info info;
    horus_frame f[128];
    horus_topic_stats a, b;
    int64_t shape = 100000;
    uint32_t n = 0;
    REQUIRE_OK(horus_topic_open(&one, "one", &for_all));
    REQUIRE_OK(horus_topic_open(&two, "two", &for_all));
    REQUIRE_OK(horus_topic_open(&receive_one, "one", &reader));
    REQUIRE_OK(horus_topic_open(&receive_two, "two", &reader));
    for (int i = 0; i < 10; i++) { /* one, two, one, two, ... */
        REQUIRE_OK(horus_tensor_alloc(&t, pool_of(c), HORUS_U8, 1, &shape, HORUS_UNINIT));
        memset(t.data, i, 100000);
        CHECK_OK(horus_topic_send_tensor(i % 2 ? two : one, &t, 0));
        CHECK_OK(horus_tensor_release(&t));
    }
    REQUIRE_OK(horus_topic_receive_tensor(receive_one, &kept, &info, 0)); /* the oldest of all */
    do {
        REQUIRE_OK(horus_frame_alloc(&f[n++], pool_of(c), 65536, HORUS_UNINIT, NULL));
        CHECK_OK(horus_topic_get_stats(one, &a));
        CHECK_OK(horus_topic_get_stats(two, &b));
        CHECK(a.frames == b.frames || a.frames + 1 == b.frames); /* oldest first, over topics */
    } while (a.frames + b.frames > 5 && n < 128);
    CHECK_EQ(a.frames, 2);
    CHECK_EQ(b.frames, 3);
    CHECK_OK(horus_topic_receive_tensor(receive_one, &t, &info, 0));
    CHECK_EQ(info.lost, 2); /* the second and third; the first was received */
    CHECK_EQ(info.sequence, 4);
    CHECK(test_is_all(t.data, 6, 100000));
    CHECK_OK(horus_tensor_release(&t));
    CHECK_OK(horus_topic_receive_tensor(receive_two, &t, &info, 0));
    CHECK_EQ(info.lost, 2);
    CHECK(test_is_all(t.data, 5, 100000));
    CHECK_OK(horus_tensor_release(&t));
    while (n < 128 && horus_frame_alloc(&f[n], pool_of(c), 65536, HORUS_UNINIT, NULL) == HORUS_OK)
        n++;
    CHECK_TEXT(horus_last_error(), "held by");
    CHECK(test_is_all(kept.data, 0, 100000)); /* never from a live holder */
    CHECK_OK(horus_tensor_release(&kept));
    check_balanced(pool_of(c));
    horus_context_close(o);
    horus_context_close(c);
}

TEST(messages_of_the_dead_give_way_to_an_alloc_that_would_fail)
{
    horus_context *c = join(2 * MiB);
    horus_topic *t;
    horus_frame f[64];
    horus_tensor got;
    horus_info info;
    uint32_t n;
    REQUIRE_OK(horus_topic_open(&t, "orphan", &(horus_topic_desc){.context = c}));
    (void)test_wait(test_fork(child_sends_and_dies, NULL));
    CHECK_OK(horus_topic_receive_tensor(t, &got, &info, 0)); /* they are there */
    CHECK_EQ(info.lost, 0);
    CHECK_EQ(info.sequence, 1);
    CHECK_OK(horus_tensor_release(&got));
    CHECK_OK(horus_context_sweep(c, NULL));
    horus_pool_stats s = stats_of(pool_of(c));
    CHECK(s.used_bytes >= 3 * 131072); /* and stay */
    n = fill(pool_of(c), 65536, f, 64);
    CHECK(n * 65536 > s.free_bytes - 65536 + 3 * 131072 - 1);
    CHECK_RESULT(horus_topic_receive_tensor(t, &got, NULL, 0), HORUS_EMPTY); /* they gave way */
    empty(f, n);
    check_balanced(pool_of(c));
    horus_topic_close(t);
    horus_context_close(c);
}

/* ---- allocation failure at every n-th call */

static horus_result scenario_step(horus_result r)
{
    CHECK(r == HORUS_OK || r == HORUS_E_MEMORY);
    if (r == HORUS_E_MEMORY)
        CHECK_TEXT(horus_last_error(), "memory");
    return r;
}
/* Everything that takes memory from the heap; true if all of it worked. */
static bool scenario(const char *picture)
{
    horus_context *c = NULL;
    horus_pool *p = NULL;
    horus_topic *images = NULL, *tensors = NULL, *queue = NULL;
    horus_dl_managed *plain = NULL;
    horus_dl_managed_versioned *versioned = NULL;
    horus_tensor t, imported, got;
    horus_image image, seen;
    int64_t shape[2] = {100, 50};
    uint64_t number = 1;
    bool worked = false;
    memset(&t, 0, sizeof t);
    memset(&imported, 0, sizeof imported);
    memset(&got, 0, sizeof got);
    memset(&image, 0, sizeof image);
    memset(&seen, 0, sizeof seen);
    if (scenario_step(horus_context_open(&c, NULL)) != HORUS_OK ||
        scenario_step(horus_pool_open(&p, "heap", &(horus_pool_desc){.context = c})) != HORUS_OK ||
        scenario_step(horus_topic_open(
            &images, "images", &(horus_topic_desc){.context = c, .type = &horus_image_type})) !=
            HORUS_OK ||
        scenario_step(horus_topic_open(
            &tensors, "tensors", &(horus_topic_desc){.context = c, .flags = HORUS_PUBLISHER})) !=
            HORUS_OK ||
        scenario_step(horus_topic_open(
            &queue, "queue",
            &(horus_topic_desc){.context = c, .policy = HORUS_QUEUE, .capacity = 16})) != HORUS_OK)
        goto done;
    if (scenario_step(horus_tensor_alloc(&t, p, HORUS_F32, 2, shape, 0)) != HORUS_OK ||
        scenario_step(horus_image_alloc(&image, p, 32, 32, HORUS_RGB8, 0)) != HORUS_OK ||
        scenario_step(horus_topic_send_image(images, &image, 0)) != HORUS_OK ||
        scenario_step(horus_topic_send(queue, &number, sizeof number, 0)) != HORUS_OK ||
        scenario_step(horus_topic_receive(queue, &number, sizeof number, NULL, 0)) != HORUS_OK ||
        scenario_step(horus_topic_receive_image(images, &seen, NULL, 0)) != HORUS_OK ||
        scenario_step(horus_dlpack_export(&plain, &t)) != HORUS_OK ||
        scenario_step(horus_topic_send_tensor(tensors, &t, 0)) != HORUS_OK ||
        scenario_step(horus_topic_receive_tensor(tensors, &got, NULL, 0)) != HORUS_OK ||
        scenario_step(horus_dlpack_export_versioned(&versioned, &got)) != HORUS_OK ||
        scenario_step(horus_dlpack_import(&imported, &versioned->dl_tensor, p)) != HORUS_OK)
        goto done;
    horus_result r = horus_image_write(&seen, picture);
    if (r != HORUS_E_UNSUPPORTED && scenario_step(r) != HORUS_OK)
        goto done;
    worked = true;
done:
    if (plain)
        plain->deleter(plain);
    if (versioned)
        versioned->deleter(versioned);
    if (t.frame.pool)
        CHECK_OK(horus_tensor_release(&t));
    if (got.frame.pool)
        CHECK_OK(horus_tensor_release(&got));
    if (imported.frame.pool)
        CHECK_OK(horus_tensor_release(&imported));
    if (image.frame.pool)
        CHECK_OK(horus_image_release(&image));
    if (seen.frame.pool)
        CHECK_OK(horus_image_release(&seen));
    horus_topic_close(images);
    horus_topic_close(tensors);
    horus_topic_close(queue);
    horus_context_close(c);
    return worked;
}
TEST(every_failing_allocation_is_reported_and_leaks_nothing)
{
    char dir[] = "/tmp/horus-test-XXXXXX", picture[64];
    horus_context *watcher = join(8 * MiB);
    horus_pool *p = pool_of(watcher), *named;
    horus_frame all;
    bool worked = false;
    long n = 0;
    REQUIRE(mkdtemp(dir));
    (void)snprintf(picture, sizeof picture, "%s/picture.png", dir);
    REQUIRE_OK(horus_pool_open(&named, "heap",
                               &(horus_pool_desc){.context = watcher, .pool_bytes = 4 * MiB}));
    long live = atomic_load(&malloc_live);
    while (!worked && n < 200) {
        atomic_store(&malloc_calls, 0);
        atomic_store(&malloc_fails_at, ++n);
        worked = scenario(picture);
        bool failed = atomic_load(&malloc_calls) >= n;
        atomic_store(&malloc_fails_at, 0);
        CHECK(worked != failed);
        if (!CHECK_EQ(atomic_load(&malloc_live), live))
            test_failed(__FILE__, __LINE__, "when call %ld fails", n);
        CHECK_OK(horus_context_sweep(watcher, NULL));
        check_balanced(p);
        check_balanced(named);
        /* messages stay, but give way: nothing else is held */
        REQUIRE_OK(horus_frame_alloc(&all, p, 8 * MiB, HORUS_UNINIT, NULL));
        CHECK_OK(horus_frame_release(&all));
        REQUIRE_OK(horus_frame_alloc(&all, named, 4 * MiB, HORUS_UNINIT, NULL));
        CHECK_OK(horus_frame_release(&all));
        check_empty(p);
        check_empty(named);
    }
    CHECK(n > 10 && worked);
    (void)unlink(picture);
    (void)rmdir(dir);
    horus_context_close(watcher);
    CHECK_EQ(atomic_load(&malloc_live), 0);
}

TEST(a_topic_whose_opening_failed_leaves_no_trace)
{
    horus_context *c = join(4 * MiB);
    horus_topic *t = NULL;
    for (long n = 1; n < 10; n++) {
        atomic_store(&malloc_calls, 0);
        atomic_store(&malloc_fails_at, n);
        horus_result r = horus_topic_open(
            &t, "trace",
            &(horus_topic_desc){.context = c, .type = &horus_imu_type, .flags = HORUS_PUBLISHER});
        atomic_store(&malloc_fails_at, 0);
        horus_topic_close(t);
        if (r == HORUS_OK)
            break;
        CHECK_EQ(r, HORUS_E_MEMORY);
        CHECK(t == NULL);
        CHECK_OK(horus_topic_open(&t, "trace",
                                  &(horus_topic_desc){.context = c,
                                                      .type = &horus_odometry_type,
                                                      .policy = HORUS_RELIABLE}));
        horus_topic_close(t);
        check_empty(pool_of(c));
    }
    horus_context_close(c);
}

/* ---- hostile memory */

/* Writes garbage where processes share memory. 0: rows, directory and map; 1: slot headers; 2: all
 * memory in use; 3: the words that topics, rings and entries consist of. */
static void scribble(horus_context *c, uint32_t mode, horus_topic *const topic[3])
{
    static const uint64_t special[] = {0,          1,          UINT64_MAX, 1ull << 63, INT64_MAX,
                                       1ull << 32, UINT32_MAX, 1ull << 24, 0xffffff,   1ull << 40};
    horus_pool *p = c->pool;
    uint32_t hits = 1u << (rng() % 12);
    uint64_t from = mode == 0   ? sizeof(horusi_header)
                    : mode == 1 ? p->slots_offset
                                : 4096,
             to = mode == 0   ? p->slots_offset
                  : mode == 1 ? p->data_offset
                              : p->map_bytes;
    for (uint32_t i = 0; i < hits; i++) {
        uint64_t at = from + ((uint64_t)rng() << 16 ^ rng()) % (to - from);
        uint8_t *byte = p->base + at;
        if (mode == 3) {
            const horus_topic *t = topic[rng() % 3];
            const horusi_out *o = t->out;
            uint32_t what = rng() % 8;
            uint64_t span = (uint64_t)o->capacity * (o->stride + 8);
            if (what == 0)
                byte = (uint8_t *)t->shm + rng() % (sizeof *t->shm + 300);
            else if (what == 1)
                byte = (uint8_t *)o->lane + rng() % sizeof *o->lane;
            else if (what == 2)
                byte = o->entries + rng() % span;
            else
                byte = o->entries + (uint64_t)(rng() % o->capacity) * o->stride + rng() % 64;
        } else if (at >= p->data_offset) { /* only where there is memory already */
            uint64_t g = (at - p->data_offset) / p->granule_bytes;
            if (atomic_load(&p->granule[g].commit) != HORUSI_BACKED)
                continue;
        }
        uint64_t word = rng() % 3 == 0   ? special[rng() % 10]
                        : rng() % 2 == 0 ? (uint64_t)rng() << 40 ^ (uint64_t)rng() << 20 ^ rng()
                                         : rng() % 64;
        switch (rng() % 4) {
        case 0:
            *byte = (uint8_t)word;
            break;
        case 1:
            *byte = (uint8_t)(*byte ^ 1u << (rng() % 8));
            break;
        default:
            byte = (uint8_t *)((uintptr_t)byte & ~(uintptr_t)7);
            memcpy(byte, &word, rng() % 2 ? 8 : 4);
            break;
        }
    }
}
/* Scribbles over all that processes share, then uses it. Any result will do; a crash, a hang, or an
 * access outside the mapping will not. */
static void child_uses_garbage(void *arg)
{
    static uint8_t buffer[100000];
    uint32_t mode = (uint32_t)(uintptr_t)arg % 4;
    horus_context *c = join(MiB), *d = NULL;
    horus_topic *a, *b, *q, *r = NULL;
    horus_tensor t, got;
    int64_t shape = 3000;
    rng_state = (uintptr_t)arg;
    (void)alarm(20);
    (void)signal(SIGALRM, SIG_DFL);
    REQUIRE_OK(horus_topic_open(&a, "a", &(horus_topic_desc){.context = c, .capacity = 16}));
    REQUIRE_OK(horus_topic_open(
        &b, "b", &(horus_topic_desc){.context = c, .policy = HORUS_RELIABLE, .capacity = 4}));
    REQUIRE_OK(horus_topic_open(
        &q, "q", &(horus_topic_desc){.context = c, .policy = HORUS_QUEUE, .capacity = 8}));
    for (int i = 0; i < 3; i++) {
        REQUIRE_OK(horus_tensor_alloc(&t, pool_of(c), HORUS_U8, 1, &shape, 0));
        CHECK_OK(horus_topic_send_tensor(a, &t, 0));
        CHECK_OK(horus_topic_send(a, buffer, 5000, 0));
        CHECK_OK(horus_topic_send(b, buffer, 50, 0));
        CHECK_OK(horus_topic_send(q, buffer, 60, 0));
        CHECK_OK(horus_topic_send_tensor(q, &t, 0));
        CHECK_OK(horus_tensor_release(&t));
    }
    scribble(c, mode, (horus_topic *[]){a, b, q});
    uint64_t n;
    horus_info info;
    horus_topic_stats ts;
    horus_pool_stats ps;
    horus_audit audit;
    horus_frame f;
    (void)horus_context_open(&d, NULL);
    (void)horus_topic_open(&r, "a", &(horus_topic_desc){.context = d ? d : c, .history = 100});
    horus_topic *all[4] = {a, b, q, r};
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 4; i++) {
            if (!all[i])
                continue;
            (void)horus_topic_peek(all[i], buffer, sizeof buffer, &info);
            for (int k = 0; k < 6; k++) {
                (void)horus_topic_receive(all[i], buffer, sizeof buffer, &info, 0);
                if (horus_topic_receive_tensor(all[i], &got, &info, 0) == HORUS_OK) {
                    if (got.ndim == 1 && got.strides_bytes[0] == 1)
                        (void)test_is_all(got.data, 0, (size_t)got.shape[0]);
                    (void)horus_tensor_release(&got);
                }
            }
            (void)horus_topic_get_stats(all[i], &ts);
            (void)horus_topic_send(all[i], buffer, 100, 0);
            (void)horus_topic_send(all[i], buffer, 9000, 0);
            if (horus_tensor_alloc(&t, pool_of(c), HORUS_U8, 1, &shape, 0) == HORUS_OK) {
                (void)horus_topic_send_tensor(all[i], &t, 0);
                (void)horus_tensor_release(&t);
            }
            (void)horus_topic_skip_to_latest(all[i], &n);
            (void)horus_topic_drain(all[i], &n);
        }
    (void)horus_pool_get_stats(pool_of(c), &ps);
    (void)horus_pool_audit(pool_of(c), &audit, NULL, NULL);
    (void)horus_context_sweep(c, NULL);
    (void)horus_frame_alloc(&f, pool_of(c), 700000, 0, NULL);
    (void)horus_frame_alloc(&f, pool_of(c), 100, 0, NULL);
    (void)horus_pool_trim(pool_of(c), NULL);
    for (int i = 0; i < 4; i++)
        horus_topic_close(all[i]);
    horus_context_close(d);
    horus_context_close(c);
    atomic_fetch_add(&board->value[2], 1);
    _exit(0);
}
TEST(garbage_in_shared_memory_is_survived)
{
    char path[400];
    int rounds = TEST_TIMES(240);
    for (int i = 0; i < rounds; i++) {
        int status = test_wait(test_fork(child_uses_garbage, (void *)(uintptr_t)(i + 1)));
        if (!CHECK_EQ(status, 0))
            test_failed(__FILE__, __LINE__, "with seed %d", i + 1);
        DIR *d = opendir(space_path(""));
        for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
            (void)snprintf(path, sizeof path, "%s/%s", space_path(""), e->d_name);
            (void)unlink(path);
        }
        if (d)
            (void)closedir(d);
        (void)rmdir(space_path(""));
    }
}

/* ---- granules that are smaller than a page */

TEST(granules_below_a_page_work_and_show_no_old_pixels)
{
    static const uint32_t flags[] = {0, HORUS_PROTECT, HORUS_PREFAULT};
    for (int i = 0; i < 6; i++) {
        horus_context *c = join_desc((horus_context_desc){.pool_bytes = 256 << 10,
                                                          .granule_bytes = i % 2 ? 1024 : 2048,
                                                          .block_bytes = 64,
                                                          .flags = flags[i / 2]});
        horus_frame f;
        void *data;
        uint64_t freed = 1;
        for (uint64_t bytes = 1; bytes <= 20000; bytes = bytes * 3 + 1)
            for (int k = 0; k < 3; k++) {
                REQUIRE_OK(horus_frame_alloc(&f, pool_of(c), bytes, 0, &data));
                CHECK(test_is_all(data, 0, bytes));
                memset(data, 0x77, bytes);
                CHECK_OK(horus_frame_release(&f));
                if (k == 1)
                    CHECK_OK(horus_pool_trim(pool_of(c), &freed));
            }
        check_empty(pool_of(c));
        REQUIRE_OK(horus_frame_alloc(&f, pool_of(c), 256 << 10, 0, &data));
        CHECK(test_is_all(data, 0, 256 << 10));
        CHECK_OK(horus_frame_release(&f));
        horus_context_close(c);
    }
}

/* ---- places */

TEST(without_a_name_the_namespace_is_the_users)
{
    char dir[500], want[40];
    horus_context_info info;
    (void)snprintf(dir, sizeof dir, "%s/horus.%s.own", test_dir(), test_space);
    REQUIRE(mkdir(dir, 0700) == 0);
    for (int k = 0; k < 2; k++) {
        horus_context *c, *d, *none;
        if (k == 0)
            (void)unsetenv("HORUS_NAMESPACE");
        else
            (void)setenv("HORUS_NAMESPACE", "", 1); /* as good as none */
        REQUIRE_OK(horus_context_open(&c, &(horus_context_desc){.dir = dir, .pool_bytes = MiB}));
        REQUIRE_OK(horus_context_open(&d, &(horus_context_desc){.dir = dir}));
        CHECK_OK(horus_context_get_info(d, &info));
        (void)snprintf(want, sizeof want, "user-%u", (unsigned)geteuid());
        CHECK(strcmp(info.name, want) == 0);
        (void)snprintf(want, sizeof want, "/horus-%u/horus", (unsigned)geteuid());
        CHECK_TEXT(info.path, want);
        CHECK_EQ(info.processes, 2);
        CHECK_RESULT(horus_context_open(&none, &(horus_context_desc){.dir = dir, .name = ""}),
                     HORUS_E_NAME);
        horus_context_close(d);
        horus_context_close(c);
    }
    CHECK(rmdir(dir) == 0);
}

TEST(without_proc_a_privileged_process_joins_and_sweeps)
{
    uint32_t rows;
    if (geteuid() != 0 || unshare(CLONE_NEWNS) != 0)
        SKIP("needs root and mount namespaces");
    REQUIRE(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    horus_context *first = join(MiB); /* this takes /proc */
    if (umount2("/proc", MNT_DETACH) != 0)
        SKIP("/proc cannot be taken away here");
    horus_context *c = join(0);
    horus_pool *p;
    REQUIRE_OK(horus_pool_open(&p, "p", &(horus_pool_desc){.context = c, .pool_bytes = MiB}));
    pid_t pid = test_fork(child_dies_holding, NULL);
    test_await(0);
    CHECK(stats_of(pool_of(c)).used_slots > 0);
    test_kill(pid);
    CHECK_OK(horus_context_sweep(c, &rows));
    CHECK_EQ(rows, 1);
    check_empty(pool_of(c));
    check_empty(p);
    horus_context_close(c);
    horus_context_close(first);
    CHECK(mount("proc", "/proc", "proc", 0, NULL) == 0); /* a leak checker reads it at the end */
}

/* A copy of a file in place of another one. */
static void copy_file(const char *from, const char *to)
{
    static uint8_t bytes[1 << 16];
    char path[600];
    (void)snprintf(path, sizeof path, "%s", space_path(from));
    int a = open(path, O_RDONLY), b = open(space_path(to), O_CREAT | O_TRUNC | O_RDWR, 0600);
    REQUIRE(a >= 0 && b >= 0);
    for (ssize_t n; (n = read(a, bytes, sizeof bytes)) > 0;)
        REQUIRE(write(b, bytes, (size_t)n) == n);
    close(a);
    close(b);
}
TEST(files_that_changed_their_places_are_refused)
{
    horus_pool *p, *q = (horus_pool *)(void *)&p;
    horus_context *c = join(MiB);
    REQUIRE_OK(horus_pool_open(&p, "p", &(horus_pool_desc){.context = c, .pool_bytes = MiB}));
    copy_file("horus", "pool.q"); /* the namespace's own as a pool's */
    CHECK_RESULT(horus_pool_open(&q, "q", &(horus_pool_desc){.context = c}), HORUS_E_CORRUPT);
    CHECK(q == NULL);
    CHECK_TEXT(horus_last_error(), "remove it");
    copy_file("pool.p", "horus.new");
    REQUIRE(unlink(space_path("pool.q")) == 0);
    char name[600];
    (void)snprintf(name, sizeof name, "%s", space_path("horus.new"));
    REQUIRE(rename(name, space_path("horus")) == 0); /* a pool's as the namespace's */
    int fd = open(space_path("horus"), O_RDWR);
    REQUIRE(fd >= 0 && horusi_lock_byte(fd, F_WRLCK, 5) == 0);
    check_refused(HORUS_E_CORRUPT, "named pool", "remove it");
    close(fd);
    horus_context_close(c);
    (void)unlink(space_path("pool.p"));
    (void)unlink(space_path("horus"));
    (void)rmdir(space_path(""));
}

TEST(a_pool_of_a_namespace_that_was_removed_is_gone)
{
    horus_pool *p = (horus_pool *)(void *)&p;
    horus_context *c = join(MiB);
    REQUIRE(unlink(space_path("horus")) == 0 && rmdir(space_path("")) == 0);
    CHECK_RESULT(horus_pool_open(&p, "p", &(horus_pool_desc){.context = c, .pool_bytes = MiB}),
                 HORUS_E_GONE);
    CHECK(p == NULL);
    CHECK_TEXT(horus_last_error(), "removed");
    horus_context_close(c);
}
