/* Signal handlers that send, at any moment: between any two atomic accesses of the library, one by
 * one, and by thousands of real signals a second. */
#define HORUSI_ATOMICS "tests/fuzz/atomics.h"
#define HORUS_IMPLEMENTATION
#include "../horus.h"
#include "test.h"
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/time.h>

static void (*between)(void); /* called before an access, but not within itself */
static uint64_t accesses;
static void fuzz_step(const volatile void *at)
{
    void (*b)(void) = between;
    (void)at;
    if (!b)
        return;
    accesses++;
    between = NULL;
    b();
    between = b;
}

static horus_topic *open_in(horus_context *c, const char *name, horus_topic_desc d)
{
    horus_topic *t;
    d.context = c;
    REQUIRE_OK(horus_topic_open(&t, name, &d));
    return t;
}

/* What a handler sends: whole, or seen not to be. */
typedef struct note {
    uint64_t number, from; /* 0: the program, 1: a handler */
    uint64_t data[10], sum;
} note;
static note note_of(uint64_t from, uint64_t number)
{
    note n = {.number = number, .from = from, .sum = number * 31 + from};
    for (size_t i = 0; i < 10; i++)
        n.sum = n.sum * 31 + (n.data[i] = number * 7 + i);
    return n;
}
static bool is_whole(const note *n)
{
    note want = note_of(n->from, n->number);
    return memcmp(&want, n, sizeof *n) == 0;
}

static horus_topic *handlers; /* its handle */
static volatile uint64_t handled, refused;
static volatile int refusal;
static void send_note(void)
{
    note n = note_of(1, handled + 1);
    horus_result r = horus_topic_send(handlers, &n, sizeof n, HORUS_NO_WAIT);
    if (r == HORUS_OK) {
        handled++;
    } else {
        refused++;
        refusal = r;
    }
}

/* Takes what is there; each publisher's in order, and none missing but for those told as lost. */
typedef struct ledger {
    uint64_t last[2], got, lost, notes[2];
} ledger;
static bool take(horus_topic *t, ledger *l)
{
    static uint8_t buffer[20000];
    horus_info info;
    horus_tensor f;
    note n;
    horus_result r = horus_topic_receive(t, buffer, sizeof buffer, &info, HORUS_NO_WAIT);
    if (r == HORUS_E_TYPE) {
        r = horus_topic_receive_tensor(t, &f, &info, HORUS_NO_WAIT);
        if (r == HORUS_OK) {
            CHECK(test_is_all(f.data, 0x5a, (size_t)f.shape[0]));
            CHECK_OK(horus_tensor_release(&f));
        }
    } else if (r == HORUS_OK && info.size == sizeof n) {
        memcpy(&n, buffer, sizeof n);
        CHECK(is_whole(&n));
        CHECK(n.from < 2);
        CHECK(n.number > l->last[n.from & 1]);
        l->last[n.from & 1] = n.number;
        l->notes[n.from & 1]++;
    } else if (r == HORUS_OK) {
        CHECK(test_is_all(buffer, 0x5a, info.size));
    }
    if (r != HORUS_OK) /* a frame may have gone between the look and the taking */
        return CHECK(r == HORUS_EMPTY || r == HORUS_E_TYPE) && r == HORUS_E_TYPE;
    l->got++;
    l->lost += info.lost;
    return true;
}

/* ---- between any two accesses */

static horus_context *mine;
static horus_topic *here, *there; /* sends, receives */
static horus_tensor frame_of(int64_t bytes)
{
    horus_tensor f;
    REQUIRE_OK(horus_tensor_alloc(&f, pool_of(mine), HORUS_U8, 1, &bytes, HORUS_UNINIT));
    memset(f.data, 0x5a, (size_t)bytes);
    return f;
}
static uint64_t sent; /* by the program, on `here` */
static void do_send(void)
{
    note n = note_of(0, ++sent);
    CHECK_OK(horus_topic_send(here, &n, sizeof n, HORUS_NO_WAIT));
}
static void do_send_large(void)
{
    static uint8_t large[9000];
    memset(large, 0x5a, sizeof large);
    CHECK_OK(horus_topic_send(here, large, sizeof large, HORUS_NO_WAIT));
    sent++;
}
static void do_send_frame(void)
{
    horus_tensor f = frame_of(5000);
    CHECK_OK(horus_topic_send_tensor(here, &f, HORUS_NO_WAIT));
    CHECK_OK(horus_tensor_release(&f));
    sent++;
}
static ledger seen;
static void do_receive(void) { (void)take(there, &seen); }
static void do_hold(void)
{
    horus_frame f;
    REQUIRE_OK(horus_frame_alloc(&f, pool_of(mine), 3000, 0, NULL));
    CHECK_OK(horus_frame_hold(&f));
    horus_frame g = f;
    CHECK_OK(horus_frame_release(&f));
    CHECK_OK(horus_frame_release(&g));
}
/* All memory is taken: each frame that is sent makes room for itself at the ring's expense. */
static void do_make_room(void)
{
    enum { MOST = 4096 };
    static horus_frame f[MOST];
    uint32_t n = 0;
    while (n < MOST &&
           horus_frame_alloc(&f[n], pool_of(mine), 16 << 10, HORUS_UNINIT, NULL) == HORUS_OK)
        n++;
    CHECK(n > 0 && n < MOST);
    while (n > 0)
        CHECK_OK(horus_frame_release(&f[--n]));
}
static void do_open_and_close(void)
{
    horus_topic *t = open_in(mine, "t", (horus_topic_desc){.flags = HORUS_PUBLISHER});
    horus_topic_close(t);
}
static void do_look_around(void)
{
    horus_pool_stats s;
    horus_topic_stats t;
    horus_audit a;
    uint64_t n;
    CHECK_OK(horus_context_sweep(mine, NULL));
    CHECK_OK(horus_pool_get_stats(pool_of(mine), &s));
    CHECK_OK(horus_topic_get_stats(there, &t));
    CHECK_OK(horus_pool_audit(pool_of(mine), &a, NULL, NULL));
    CHECK_OK(horus_pool_trim(pool_of(mine), NULL));
    CHECK_RESULT(horus_topic_wait(there, 0), HORUS_OK);
    CHECK_OK(horus_topic_peek(there, NULL, 0, NULL));
    CHECK_OK(horus_topic_skip_to_latest(there, &n));
    seen.got += n; /* on purpose: not lost */
}
static const struct {
    const char *name;
    void (*run)(void);
} moments[] = {
    {"send", do_send},
    {"send large", do_send_large},
    {"send a frame", do_send_frame},
    {"receive", do_receive},
    {"hold and release", do_hold},
    {"make room", do_make_room},
    {"open and close", do_open_and_close},
    {"look around", do_look_around},
};
TEST(a_handler_may_send_between_any_two_steps_of_the_library)
{
    horus_pool *p;
    mine = join(2 * MiB);
    p = pool_of(mine);
    handlers =
        open_in(mine, "t", (horus_topic_desc){.capacity = 1 << 12, .flags = HORUS_PUBLISHER});
    here = open_in(mine, "t", (horus_topic_desc){.capacity = 64, .flags = HORUS_PUBLISHER});
    there = open_in(mine, "t", (horus_topic_desc){0});
    for (int round = 0; round < 6; round++)
        for (size_t i = 0; i < sizeof moments / sizeof moments[0]; i++) {
            uint64_t before = handled, steps = accesses;
            do_send_frame();
            between = send_note;
            moments[i].run();
            between = NULL;
            CHECK(handled > before);
            if (refused)
                test_failed(__FILE__, __LINE__,
                            "%s: %llu of %llu sends of the handler were refused: %s (%s)",
                            moments[i].name, (unsigned long long)refused,
                            (unsigned long long)(accesses - steps), test_result_name(refusal),
                            horus_last_error());
            refused = 0;
            while (take(there, &seen)) {
            }
        }
    do_send(); /* what was lost behind the last message is told with the next one */
    send_note();
    while (take(there, &seen)) {
    }
    CHECK_EQ(seen.got + seen.lost, sent + handled);
    CHECK(seen.notes[1] > 1000);
    horus_topic_close(here);
    horus_topic_close(there);
    horus_topic_close(handlers);
    check_balanced(p);
    horus_context_close(mine);
}

/* ---- thousands a second */

static _Atomic int ringing;
static pid_t rung;
static void *ring_main(void *arg)
{
    (void)arg;
    while (atomic_load(&ringing)) {
        (void)syscall(SYS_tgkill, getpid(), rung, SIGUSR1);
        test_sleep_us(60);
    }
    return NULL;
}
static void on_bell(int signal)
{
    static volatile sig_atomic_t
        inside; /* ThreadSanitizer calls a handler in the middle of itself */
    int e = errno;
    (void)signal;
    if (inside)
        return;
    inside = 1;
    send_note();
    inside = 0;
    errno = e;
}
/* Flag 0: it reads; flag 1: all was sent, value 0: how much. */
static void another_reads(void *arg)
{
    ledger l = {{0}, 0, 0, {0}};
    horus_context *c = join(0);
    horus_topic *t = open_in(c, "t", (horus_topic_desc){0});
    bool all = false;
    (void)arg;
    (void)horus_topic_wait(t, 0);
    test_raise(0);
    while (!all) {
        all = atomic_load(&board->flag[1]) != 0; /* before the last look */
        horus_result r = horus_topic_wait(t, 2000000);
        CHECK(r == HORUS_OK || r == HORUS_TIMEOUT);
        while (take(t, &l)) {
        }
    }
    CHECK_EQ(l.got + l.lost, atomic_load(&board->value[0]));
    CHECK(l.notes[0] > 0 && l.notes[1] > 0);
    horus_topic_close(t);
    horus_context_close(c);
}
TEST(handlers_send_thousands_of_times_a_second)
{
    struct sigaction a;
    struct itimerval v = {{0, 250}, {0, 250}};
    pthread_t thread;
    sigset_t before;
    const uint64_t goal = (uint64_t)TEST_TIMES(20000);
    mine = join(4 * MiB);
    pid_t pid = test_fork(another_reads, NULL);
    handlers = open_in(mine, "t", (horus_topic_desc){.capacity = 512, .flags = HORUS_PUBLISHER});
    here = open_in(mine, "t", (horus_topic_desc){.capacity = 64, .flags = HORUS_PUBLISHER});
    there = open_in(mine, "t", (horus_topic_desc){0});
    test_await(0);
    memset(&a, 0, sizeof a);
    a.sa_handler = on_bell;
    a.sa_flags = SA_RESTART;
    sigfillset(&a.sa_mask); /* one handle: one handler at a time */
    rung = (pid_t)syscall(SYS_gettid);
    REQUIRE(sigaction(SIGUSR1, &a, NULL) == 0);
    atomic_store(&ringing, 1);
    (void)pthread_sigmask(SIG_BLOCK, &a.sa_mask,
                          &before); /* the timer's bell is not for the thread */
    REQUIRE(pthread_create(&thread, NULL, ring_main, NULL) == 0);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    REQUIRE(sigaction(SIGVTALRM, &a, NULL) == 0 && setitimer(ITIMER_VIRTUAL, &v, NULL) == 0);
    uint64_t begin = horus_now_ns(), turns = 0;
    while (handled < goal && refused == 0 && atomic_load(&board->failures) == 0) {
        do_send();
        do_hold();
        if (turns % 7 == 0)
            do_send_frame();
        if (turns % 11 == 0)
            do_send_large();
        if (turns % 97 == 0)
            do_make_room();
        if (turns % 501 == 0)
            do_open_and_close();
        do_receive();
        turns++;
    }
    uint64_t ns = horus_now_ns() - begin;
    v = (struct itimerval){{0, 0}, {0, 0}};
    (void)setitimer(ITIMER_VIRTUAL, &v, NULL);
    atomic_store(&ringing, 0);
    (void)pthread_join(thread, NULL);
    (void)signal(SIGUSR1, SIG_IGN);
    CHECK_EQ(refused, 0);
    if (refused)
        test_failed(__FILE__, __LINE__, "the handler's sends were refused: %s",
                    test_result_name(refusal));
    do_send(); /* what was lost behind the last message is told with the next one */
    send_note();
    while (take(there, &seen)) {
    }
    CHECK_EQ(seen.got + seen.lost, sent + handled);
    CHECK(seen.notes[1] > 0);
    atomic_store(&board->value[0], sent + handled);
    test_raise(1);
    CHECK_JOIN(pid);
    printf("handlers: %llu sent in %llu turns, %.0f a second\n", (unsigned long long)handled,
           (unsigned long long)turns, (double)handled * 1e9 / (double)ns);
    horus_topic_close(here);
    horus_topic_close(there);
    horus_topic_close(handlers);
    CHECK_OK(horus_context_sweep(mine, NULL));
    check_balanced(pool_of(mine));
    horus_context_close(mine);
}
