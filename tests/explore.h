/* The explorer's machine: participants are fibers of one thread, and each access of horus.h to an
 * atomic, and each system call that matters, is a place where another may go on or one may die. A
 * load may return any store that C11 allows it:
 *
 * - each atomic has its stores in the order in which they were executed, which is its modification
 *   order (orders that differ from that are not tried);
 * - each participant has a view: per atomic, the oldest store that it may still read. A load moves
 *   it up, an acquire joins the view that came with the store, a release leaves the own one;
 * - a read-modify-write reads the newest store and hands on the view that came with it;
 * - a seq_cst load reads nothing older than the newest seq_cst store to the same atomic;
 * - when time must pass before anybody can go on, all stores arrive everywhere;
 * - a kernel lock, a futex call, membarrier and a death are full barriers between those concerned.
 *
 * Atomics that only one participant ever uses are left alone; the set of the others is found by
 * running until it stands still. What a place does is a choice; choices are enumerated depth first
 * or drawn at random, within bounds: preemptions, deaths, and loads of other than the newest store.
 * Payload is watched by cells: a read or write that does not happen after the last write (a write:
 * also after all reads) is a race. */
#ifndef EXPLORE_H
#define EXPLORE_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

/* ---- what horus.h calls instead of the system */

static int x_opened(int fd);
static int x_close(int fd);
static void *x_mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t offset);
static int x_munmap(void *at, size_t bytes);
static long x_syscall(long number, ...);
static void x_yield(void);
static int x_sleep(const struct timespec *t);
static int x_sleep_until(const struct timespec *t);
static int x_clock(struct timespec *t);
static uint64_t x_ticks(void);
static void *x_malloc(size_t bytes);
static int x_back(int fd, uint64_t at, uint64_t bytes, bool punch);

#define open(...) x_opened(open(__VA_ARGS__))
#define openat(...) x_opened(openat(__VA_ARGS__))
#define close(fd) x_close(fd)
#define mmap(...) x_mmap(__VA_ARGS__)
#define munmap(p, n) x_munmap(p, n)
#define syscall(...) x_syscall(__VA_ARGS__)
#define sched_yield() x_yield()
#define nanosleep(t, left) x_sleep(t)
#define clock_nanosleep(clock, flags, t, left) x_sleep_until(t)
#define clock_gettime(clock, t) x_clock(t)
#define __builtin_ia32_rdtsc() x_ticks()
#define posix_fallocate(fd, at, n) x_back(fd, (uint64_t)(at), (uint64_t)(n), false)
#define madvise(p, n, what) 0
#define HORUS_MALLOC(n) x_malloc(n)
#define HORUS_FREE(p) ((void)(p))
#define HORUSI_ATOMICS "tests/explore_atomics.h"
#define HORUS_IMPLEMENTATION
#ifdef EXPLORE_HORUS /* a copy that is broken on purpose */
#include EXPLORE_HORUS
#else
#include "../horus.h"
#endif
#undef open
#undef openat
#undef close
#undef mmap
#undef munmap
#undef syscall
#undef nanosleep
#undef clock_nanosleep
#undef clock_gettime
#undef posix_fallocate
#undef madvise

/* ---- the machine */

enum {
    X_THREADS = 4,
    X_KEPT = 16, /* stores of an atomic that can still be read */
    X_LOCS = 1024,
    X_CELLS = 24,
    X_KEYS = 1 << 14,
    X_DEPTH = 1 << 16,
    X_STEPS = 100000,
    X_REGIONS = 32,
    X_SITES = 1024,
    X_ARENA = 1 << 20,
    X_STACK = 256 << 10,
    X_TRACE = 1 << 12,
    X_BEFORE = 7 /* what a slot's data say before anybody wrote them */
};
enum { X_READY = 1, X_ON_LOCK, X_ON_FUTEX, X_ENDED, X_DIED };

/* How a scene ends: also the exit status of who runs it, where every other one, or a signal, means that
 * it did not run at all. What cannot be explored says nothing of horus.h. */
typedef enum x_verdict {
    X_HOLDS = 0,
    X_OBJECTS = 3, /* a race, a deadlock, or what the scene says of the end is not so */
    X_HANGS = 4,   /* it goes on for ever */
    X_UNABLE = 5   /* the machine has no room for it, or does not know what it asks for */
} x_verdict;

typedef uint16_t x_view[X_LOCS];

/* A view: per atomic, per cell and its readers, and a clock per participant. */
#define x_view_length() (X->locs + X_CELLS * (1 + X_THREADS) + X_THREADS)
#define x_clock_at(thread) (X->locs + X_CELLS * (1 + X_THREADS) + (thread))

typedef struct x_loc {
    void *real;
    uint64_t run; /* the execution that the rest belongs to */
    uint16_t last, sc;
    uint16_t looked[X_THREADS]; /* the reader's clock when it last read it as payload */
    uint8_t bytes;
    struct {
        uint64_t value;
        uint32_t view; /* in X->views; 0: none */
    } store[X_KEPT];
} x_loc;

typedef struct x_key {
    uint64_t key, shadow, shadow_run;
    uint8_t seen, wrote;
    int loc; /* -1: left alone */
} x_key;

typedef struct x_thread {
    ucontext_t context;
    uint8_t *stack;
    void (*run)(void);
    int process, state;
    bool mortal, timed_out;
    uint32_t tid;
    int saved_errno;
    uint64_t waits_for, deadline;
    horusi_a32 *lock;
    x_view view;
} x_thread;

typedef struct x_held { /* a byte of a file that is locked */
    uint64_t inode;
    uint32_t description;
    int process;
    uint32_t byte;
    bool shared;
} x_held;
typedef struct x_page { /* a mapping that keeps a description, and so its locks */
    void *at;
    uint32_t description;
    bool of_run;
} x_page;

typedef struct x_bounds {
    int preemptions, deaths, stale;
} x_bounds;

typedef struct x_event {
    const x_site *site;
    uint64_t value;
    uint8_t thread;
    char what;
    uint16_t behind;
} x_event;

typedef struct x_machine {
    bool running, failed, grew, tracing;
    x_verdict verdict; /* if it failed */
    bool strict;       /* nobody may overwrite a message before all have read it */
    int current, threads;
    x_thread thread[X_THREADS];
    ucontext_t home;
    /* choices */
    struct {
        uint16_t chosen, options;
    } choice[X_DEPTH];
    int depth, known;
    bool random;
    uint64_t rng;
    double likely; /* that a random choice is not the first */
    x_bounds bounds, left;
    /* memory */
    x_key key[X_KEYS];
    x_loc loc[X_LOCS];
    int locs;
    uint64_t run;
    uint16_t *views;
    uint32_t view_count, view_room;
    struct {
        uint64_t value;
        uint16_t last, read[X_THREADS];
        int slot; /* -1: unused */
    } cell[X_CELLS];
    uint8_t before[256]; /* what was written while the scene was prepared */
    uint64_t given_back; /* pages of the first file that have no memory: there is always some */
    int made;            /* a cell that whoever asks for private memory writes, or 0 */
    /* the world */
    struct {
        uint8_t *base;
        size_t bytes;
        uint64_t id;
        bool of_run;
    } region[X_REGIONS];
    int regions;
    x_held held[192];
    int helds;
    x_page page[192];
    int pages;
    uint32_t descriptions;
    x_view lock_view; /* what the kernel's locks hand on: one for all of them */
    struct {
        int process;
        uint32_t description;
        bool of_run;
        uint64_t inode;
    } fd[1024];
    uint64_t now, long_slices;
    uint32_t wakes;
    uint8_t *arena;
    size_t arena_used;
    /* what to come back to */
    struct {
        uint8_t *statics, *arena, *shared;
        size_t statics_bytes, arena_bytes, shared_bytes;
        uint8_t *shared_at;
        x_held held[192];
        x_page page[192];
        int helds, pages, regions;
        uint64_t now;
    } saved;
    /* results */
    uint64_t executions, steps, deaths, all_executions;
    uint8_t order[X_SITES], reached[X_SITES];
    x_event trace[X_TRACE];
    uint32_t traced;
    char why[400];
} x_machine;
static x_machine *X;

extern char __data_start, _end;
extern const x_site __start_x_sites[], __stop_x_sites[];

static void x_switch(int to);

__attribute__((format(printf, 2, 3))) static void x_stop(x_verdict verdict, const char *format, ...)
{
    if (X->failed)
        return;
    va_list args;
    X->failed = true;
    X->verdict = verdict;
    va_start(args, format);
    (void)vsnprintf(X->why, sizeof X->why, format, args);
    va_end(args);
    if (X->running) {
        X->running = false;
        swapcontext(&X->thread[X->current].context, &X->home);
    }
}
#define x_fail(...) x_stop(X_OBJECTS, __VA_ARGS__)
#define X_MUST(cond)                                                                               \
    ((cond) ? (void)0 : x_fail("%s:%d: %s (%s)", __FILE__, __LINE__, #cond, horus_last_error()))

static void x_note(const x_site *site, char what, uint64_t value, int behind)
{
    if (X->tracing)
        X->trace[X->traced++ % X_TRACE] =
            (x_event){site, value, (uint8_t)X->current, what, (uint16_t)behind};
}

/* ---- choices */

static int x_choose(int options)
{
    int at = X->depth;
    if (options <= 1)
        return 0;
    if (at == X_DEPTH) {
        x_stop(X_UNABLE, "too many choices");
        return 0;
    }
    X->depth++;
    if (at >= X->known) {
        int chosen = 0;
        if (X->random) {
            X->rng = X->rng * 6364136223846793005u + 1442695040888963407u;
            if ((double)(X->rng >> 33) / (double)(1u << 31) < X->likely) {
                X->rng = X->rng * 6364136223846793005u + 1442695040888963407u;
                chosen = (int)((X->rng >> 33) % (unsigned)options);
            }
        }
        X->choice[at].chosen = (uint16_t)chosen;
        X->choice[at].options = (uint16_t)options;
        X->known = at + 1;
    } else if (X->choice[at].options != options) {
        x_stop(X_UNABLE, "a run was not like the one before it (choice %d: %d options, then %d)",
               at, X->choice[at].options, options);
        return 0;
    }
    return X->choice[at].chosen;
}
/* Goes on to the next unexplored branch. False: all were explored. */
static bool x_next_branch(void)
{
    X->known = X->depth;
    while (X->known > 0) {
        if (++X->choice[X->known - 1].chosen < X->choice[X->known - 1].options)
            return true;
        X->known--;
    }
    return false;
}

/* ---- participants */

static bool x_runs(x_thread *t)
{
    if (t->state == X_ON_LOCK && *(volatile uint32_t *)t->lock == 0)
        return true;
    return t->state == X_READY;
}
static void x_switch(int to)
{
    int from = X->current;
    if (to == from)
        return;
    X->thread[from].saved_errno = errno;
    X->thread[from].tid = horusi_tid;
    X->current = to;
    horusi_tid = X->thread[to].tid;
    errno = X->thread[to].saved_errno;
    x_note(NULL, '>', (uint64_t)to, 0);
    swapcontext(&X->thread[from].context, &X->thread[to].context);
}
/* The current one cannot go on: somebody else must, or time must pass, or all is over. */
static void x_give_over(void)
{
    int able[X_THREADS], n = 0;
    for (int i = 1; i <= X->threads; i++) {
        int k = (X->current + i) % X->threads;
        if (x_runs(&X->thread[k]))
            able[n++] = k;
    }
    if (n == 0) {
        x_thread *first = NULL;
        for (int i = 0; i < X->threads; i++) {
            x_thread *t = &X->thread[i];
            if (t->state == X_ON_FUTEX && (!first || t->deadline < first->deadline)) {
                first = t;
                able[0] = i;
            }
        }
        for (int i = 0; !first && i < X->threads; i++)
            if (X->thread[i].state == X_ON_LOCK)
                x_fail("participant %d waits for ever for a lock", i);
        if (!first) { /* all have ended or died */
            X->running = false;
            swapcontext(&X->thread[X->current].context, &X->home);
            return;
        }
        X->long_slices += first->deadline >= X->now + HORUSI_SLICE_NS / 2;
        X->now = first->deadline > X->now ? first->deadline : X->now;
        for (int i = 0; i < X->threads; i++) /* by now every store has arrived everywhere */
            for (int k = 0; k < X->locs; k++)
                if (X->loc[k].run == X->run)
                    X->thread[i].view[k] = X->loc[k].last;
        first->state = X_READY;
        first->timed_out = true;
        n = 1;
    }
    x_switch(able[x_choose(n)]);
}
/* A participant that has something else to do for a while. */
static void x_pause(uint64_t ns)
{
    x_thread *t = &X->thread[X->current];
    t->state = X_ON_FUTEX;
    t->waits_for = 1;
    t->deadline = X->now + ns;
    x_give_over();
}
static void x_yield(void)
{
    if (!X->running)
        return;
    X->now += 1000;
    if (++X->steps > X_STEPS)
        x_stop(X_HANGS, "it goes on for ever");
    for (int i = 1; i < X->threads; i++) {
        int k = (X->current + i) % X->threads;
        if (x_runs(&X->thread[k])) {
            x_switch(k);
            return;
        }
    }
    /* those who sleep may be whom we wait for */
    x_pause(50000);
}
static int x_sleep(const struct timespec *t)
{
    X->now += (uint64_t)t->tv_nsec;
    x_yield();
    return 0;
}
static int x_sleep_until(const struct timespec *t)
{
    uint64_t ns = (uint64_t)t->tv_sec * 1000000000u + (uint64_t)t->tv_nsec;
    if (X->running && ns > X->now)
        x_pause(ns - X->now);
    return 0;
}
static void x_entry(void)
{
    X->thread[X->current].run();
    X->thread[X->current].state = X_ENDED;
    x_note(NULL, 'e', 0, 0);
    x_give_over();
}

static void x_join(uint16_t *to, const uint16_t *from)
{
    int n = x_view_length();
    for (int i = 0; i < n; i++)
        to[i] = to[i] > from[i] ? to[i] : from[i];
}
static void x_die(void)
{
    int process = X->thread[X->current].process;
    X->deaths++;
    x_note(NULL, '+', 0, 0);
    for (int i = 0; i < X->threads; i++)
        if (X->thread[i].process == process) {
            X->thread[i].state = X_DIED;
            x_join(X->lock_view, X->thread[i].view);
        }
    for (int i = 0; i < X->helds;)
        if (X->held[i].process == process)
            X->held[i] = X->held[--X->helds];
        else
            i++;
    x_give_over();
}
/* A place where another may go on, or this one may die. */
static void x_point(bool contended, bool effect)
{
    int able[X_THREADS], n = 0;
    if (++X->steps > X_STEPS)
        x_stop(X_HANGS, "it goes on for ever");
    if (contended && X->left.preemptions > 0)
        for (int i = 1; i < X->threads; i++) {
            int k = (X->current + i) % X->threads;
            if (x_runs(&X->thread[k]))
                able[n++] = k;
        }
    bool may_die = effect && X->left.deaths > 0 && X->thread[X->current].mortal;
    int c = x_choose(1 + n + may_die);
    if (c == 0)
        return;
    if (c > n) {
        X->left.deaths--;
        x_die();
    }
    X->left.preemptions--;
    x_switch(able[c - 1]);
}

/* ---- memory */

static bool x_is_static(const void *p)
{
    return (const char *)p >= &__data_start && (const char *)p < &_end;
}
static x_key *x_find(const volatile void *at, bool *shared)
{
    const uint8_t *p = (const uint8_t *)(uintptr_t)at;
    uint64_t key = (uintptr_t)p;
    *shared = false;
    for (int i = 0; i < X->regions; i++)
        if (p >= X->region[i].base && p < X->region[i].base + X->region[i].bytes) {
            key = X->region[i].id << 40 | (uint64_t)(p - X->region[i].base);
            *shared = true;
            break;
        }
    if (!*shared && x_is_static(p))
        key |= (uint64_t)(X->thread[X->current].process + 1) << 56;
    uint64_t h = key * 0x9e3779b97f4a7c15u >> 50;
    while (X->key[h].key != key && X->key[h].key != 0)
        h = (h + 1) % X_KEYS;
    if (X->key[h].key == 0) {
        X->key[h].key = key;
        X->key[h].loc = -1;
    }
    return &X->key[h];
}
/* Where the newest value is: statics belong to a process, of which there are several in this one. */
static void *x_real(x_key *k, const volatile void *p)
{
    if (!x_is_static((const void *)(uintptr_t)p))
        return (void *)(uintptr_t)p;
    if (k->shadow_run != X->run) {
        k->shadow_run = X->run;
        k->shadow = 0;
        memcpy(&k->shadow, X->saved.statics + ((const char *)(uintptr_t)p - &__data_start), 8);
    }
    return &k->shadow;
}
static uint64_t x_get(const void *p, int bytes)
{
    if (bytes == 4)
        return *(const volatile uint32_t *)p;
    return *(const volatile uint64_t *)p;
}
static void x_put(void *p, int bytes, uint64_t v)
{
    if (bytes == 4)
        *(volatile uint32_t *)p = (uint32_t)v;
    else
        *(volatile uint64_t *)p = v;
}
static uint64_t x_changed(int op, uint64_t old, uint64_t v, int bytes)
{
    v = op == X_ADD ? old + v : op == X_OR ? old | v : op == X_AND ? old & v : v;
    return bytes == 4 ? (uint32_t)v : v;
}
static uint64_t x_plain(int op, void *p, int bytes, uint64_t v, uint64_t *expected)
{
    uint64_t old = x_get(p, bytes);
    if (op == X_LOAD)
        return old;
    if (op == X_CAS) {
        if (old != *expected) {
            *expected = old;
            return 0;
        }
        x_put(p, bytes, v);
        return 1;
    }
    x_put(p, bytes, x_changed(op, old, v, bytes));
    return old;
}
static uint16_t *x_view_at(uint32_t index)
{
    return X->views + (size_t)index * (size_t)x_view_length();
}
static uint32_t x_keep_view(const uint16_t *view)
{
    if (X->view_count == X->view_room) {
        x_stop(X_UNABLE, "too many views");
        return 0;
    }
    memcpy(x_view_at(X->view_count), view, (size_t)x_view_length() * sizeof *view);
    return X->view_count++;
}
static bool x_has_acquire(int order)
{
    return order == X_ACQ || order == X_ACQREL || order == X_SEQ;
}
static bool x_has_release(int order)
{
    return order == X_REL || order == X_ACQREL || order == X_SEQ;
}
static void x_store(x_loc *l, uint64_t v, int order, uint32_t base)
{
    x_thread *t = &X->thread[X->current];
    int at = (int)(l - X->loc);
    l->last++;
    if (t->view[at] < l->last)
        t->view[at] = l->last;
    uint32_t view = base;
    if (x_has_release(order)) {
        view = x_keep_view(t->view);
        if (base)
            x_join(x_view_at(view), x_view_at(base));
    }
    l->store[l->last % X_KEPT].value = v;
    l->store[l->last % X_KEPT].view = view;
    if (order == X_SEQ)
        l->sc = l->last;
    x_put(l->real, l->bytes, v);
}
static uint64_t x_read(x_loc *l, uint16_t which, int order)
{
    x_thread *t = &X->thread[X->current];
    int at = (int)(l - X->loc);
    uint32_t view = l->store[which % X_KEPT].view;
    if (t->view[at] < which)
        t->view[at] = which;
    if (x_has_acquire(order) && view)
        x_join(t->view, x_view_at(view));
    return l->store[which % X_KEPT].value;
}
static uint16_t x_oldest(x_loc *l, int order)
{
    uint16_t oldest = X->thread[X->current].view[l - X->loc];
    if (order == X_SEQ && oldest < l->sc)
        oldest = l->sc;
    return l->last - oldest >= X_KEPT ? (uint16_t)(l->last - X_KEPT + 1) : oldest;
}
static x_loc *x_loc_of(x_key *k, void *real, int bytes)
{
    x_loc *l = &X->loc[k->loc];
    if (l->run != X->run) { /* the first look in this execution */
        l->run = X->run;
        l->bytes = (uint8_t)bytes;
        l->last = l->sc = 0;
        memset(l->looked, 0, sizeof l->looked);
        l->store[0].value = x_get(real, bytes);
        l->store[0].view = 0;
    }
    l->real = real; /* it may be mapped at several places */
    if (l->bytes != bytes || l->store[l->last % X_KEPT].value != x_get(real, bytes)) {
        l->bytes = (uint8_t)bytes; /* the memory serves something new, which was laid out plainly */
        l->last++;
        l->store[l->last % X_KEPT].value = x_get(real, bytes);
        l->store[l->last % X_KEPT].view = 0;
    }
    return l;
}
static int x_process(void) { return X->running ? X->thread[X->current].process : -1; }
/* A word of which each process has its own, though all are in this one. */
static const volatile void *x_private;
static horusi_a32 x_own_words[X_THREADS + 1];
static const volatile void *x_own(const volatile void *p)
{
    return p == x_private && X->running ? &x_own_words[x_process() + 1] : p;
}
uint64_t x_access(const x_site *site, const volatile void *p, int bytes, uint64_t v,
                  uint64_t *expected)
{
    p = x_own(p);
    int op = site->op, order = X->order[site->id];
    bool shared, writes = op != X_LOAD;
    if (!X->running)
        return x_plain(op, (void *)(uintptr_t)p, bytes, v, expected);
    x_key *k = x_find(p, &shared);
    X->now++;
    X->reached[site->id] |= k->loc >= 0; /* only there has its order a meaning */
    k->seen |= (uint8_t)(1u << X->current);
    k->wrote |= (uint8_t)((unsigned)writes << X->current);
    if (k->loc < 0 && k->wrote && (k->seen & (k->seen - 1)))
        X->grew = true;
    x_point(k->loc >= 0, writes && shared);
    void *real = x_real(k, p);
    if (k->loc < 0) {
        uint64_t r = x_plain(op, real, bytes, v, expected);
        if (writes)
            x_note(site, "lsaxonc"[op], v, 0);
        return r;
    }
    x_loc *l = x_loc_of(k, real, bytes);
    uint64_t newest = l->store[l->last % X_KEPT].value;
    uint16_t *view = X->thread[X->current].view;
    if (X->strict && op == X_LOAD && strcmp(site->label, "C2") == 0)
        l->looked[X->current] = ++view[x_clock_at(X->current)];
    for (int i = 0; X->strict && op == X_STORE && i < X->threads; i++)
        if (strcmp(site->label, "P2") == 0 && view[x_clock_at(i)] < l->looked[i] &&
            X->thread[i].state != X_DIED)
            x_fail("participant %d overwrites what participant %d may still read", X->current, i);
    if (op == X_STORE) {
        x_note(site, 's', v, 0);
        x_store(l, v, order, 0);
        return v;
    }
    if (op == X_LOAD || (op == X_CAS && newest != *expected)) {
        uint16_t back = 0, oldest = x_oldest(l, order);
        if (X->left.stale > 0) {
            uint16_t able[X_KEPT], n = 0;
            for (uint16_t i = 0; i <= l->last - oldest; i++)
                if (op == X_LOAD || l->store[(l->last - i) % X_KEPT].value != *expected)
                    able[n++] = i;
            back = able[x_choose(n)];
            X->left.stale -= back > 0;
        }
        uint64_t r = x_read(l, (uint16_t)(l->last - back), order == X_REL ? X_RLX : order);
        x_note(site, op == X_LOAD ? 'l' : 'f', r, back);
        if (op == X_LOAD)
            return r;
        *expected = r;
        return 0;
    }
    uint32_t base = l->store[l->last % X_KEPT].view;
    (void)x_read(l, l->last, order);
    x_note(site, "lsaxonc"[op], v, 0);
    x_store(l, op == X_CAS ? v : x_changed(op, newest, v, bytes), order, base);
    return op == X_CAS ? 1 : newest;
}

/* ---- payload: cells, one for a slot */

static int x_cell(uint32_t slot)
{
    for (int i = 0; i < X_CELLS; i++)
        if (X->cell[i].slot == (int)slot)
            return i;
    for (int i = 0; i < X_CELLS; i++)
        if (X->cell[i].slot < 0) {
            X->cell[i].slot = (int)slot;
            X->cell[i].value = slot < 256 && X->before[slot] ? X->before[slot] : X_BEFORE;
            return i;
        }
    x_stop(X_UNABLE, "too many slots");
    return 0;
}
static void x_write_data(uint32_t slot, uint64_t value)
{
    if (!X->running) {
        X->before[slot % 256] = (uint8_t)value;
        return;
    }
    int c = x_cell(slot), at = X->locs + c * (1 + X_THREADS);
    uint16_t *view = X->thread[X->current].view;
    x_note(NULL, 'W', slot, 0);
    if (view[at] != X->cell[c].last)
        x_fail("participant %d writes slot %u without having seen its last write", X->current,
               slot);
    for (int i = 0; i < X_THREADS; i++)
        if (view[at + 1 + i] != X->cell[c].read[i])
            x_fail("participant %d writes slot %u, which participant %d still reads", X->current,
                   slot, i);
    view[at] = ++X->cell[c].last;
    X->cell[c].value = value;
}
static uint64_t x_read_data(uint32_t slot)
{
    int c = x_cell(slot), at = X->locs + c * (1 + X_THREADS);
    uint16_t *view = X->thread[X->current].view;
    x_note(NULL, 'R', slot, 0);
    if (view[at] != X->cell[c].last)
        x_fail("participant %d reads slot %u without having seen its last write", X->current, slot);
    view[at + 1 + X->current] = ++X->cell[c].read[X->current];
    return X->cell[c].value;
}

/* ---- the system */

static void *x_malloc(size_t bytes)
{
    size_t at = (X->arena_used + 63) & ~(size_t)63;
    if (at + bytes > X_ARENA) {
        fprintf(stderr, "explore: the arena is full\n");
        abort();
    }
    X->arena_used = at + bytes;
    memset(X->arena + at, 0, bytes);
    if (X->running && X->made)
        x_write_data((uint32_t)X->made, 1);
    return X->arena + at;
}
/* Memory comes, or goes: for pages of the pool. */
static int x_back(int fd, uint64_t at, uint64_t bytes, bool punch)
{
    (void)fd;
    for (uint64_t page = at / 4096; page < (at + bytes + 4095) / 4096 && page < 64; page++)
        if (punch)
            X->given_back |= (uint64_t)1 << page;
        else
            X->given_back &= ~((uint64_t)1 << page);
    return 0;
}
static int x_opening = -1; /* the process on whose behalf the set-up opens files */
static int x_opened(int fd)
{
    struct stat s;
    if (fd >= 0 && fd < 1024 && fstat(fd, &s) == 0) {
        X->fd[fd].inode = s.st_ino;
        X->fd[fd].process = X->running ? x_process() : x_opening;
        X->fd[fd].description = ++X->descriptions;
        X->fd[fd].of_run = X->saved.statics != NULL;
    }
    return fd;
}
static void x_unlock_all(uint32_t description)
{
    for (int i = 0; i < X->helds;)
        if (X->held[i].description == description)
            X->held[i] = X->held[--X->helds];
        else
            i++;
}
static int x_close(int fd)
{
    bool kept = fd < 0 || fd >= 1024;
    for (int i = 0; i < X->pages && !kept; i++)
        kept = X->page[i].description == X->fd[fd].description;
    if (!kept)
        x_unlock_all(X->fd[fd].description);
    if (fd >= 0 && fd < 1024 && !X->fd[fd].of_run && X->saved.statics)
        return 0; /* needed again in the next execution */
    if (fd >= 0 && fd < 1024)
        X->fd[fd].of_run = false;
    return close(fd);
}
static void *x_mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t offset)
{
    if (flags & MAP_ANONYMOUS)
        return x_malloc(bytes);
    void *m = mmap(at, bytes, prot, flags, fd, offset);
    struct stat s;
    if (m != MAP_FAILED && (prot & PROT_WRITE) && fstat(fd, &s) == 0 && X->regions < X_REGIONS) {
        X->region[X->regions].base = m;
        X->region[X->regions].bytes = bytes;
        X->region[X->regions].id = 1 + (uint64_t)s.st_ino % 0xffff;
        X->region[X->regions++].of_run = X->saved.statics != NULL;
    } else if (m != MAP_FAILED) {
        if (X->pages == 192)
            abort(); /* or its locks would vanish unseen */
        X->page[X->pages++] = (x_page){m, X->fd[fd].description, X->saved.statics != NULL};
    }
    return m;
}
static int x_munmap(void *at, size_t bytes)
{
    if ((uint8_t *)at >= X->arena && (uint8_t *)at < X->arena + X_ARENA)
        return 0;
    for (int i = 0; i < X->pages; i++)
        if (X->page[i].at == at) {
            bool again = !X->page[i].of_run && X->saved.statics;
            x_unlock_all(X->page[i].description);
            X->page[i] = X->page[--X->pages];
            return again ? 0 : munmap(at, bytes);
        }
    for (int i = 0; i < X->regions; i++)
        if (X->region[i].base == at) {
            if (!X->region[i].of_run && X->saved.statics)
                return 0;
            X->region[i] = X->region[--X->regions];
            break;
        }
    return munmap(at, bytes);
}
static int x_clock(struct timespec *t)
{
    X->now += 50;
    t->tv_sec = (time_t)(X->now / 1000000000u);
    t->tv_nsec = (long)(X->now % 1000000000u);
    return 0;
}
/* Far enough apart for a stamp of another message to be told from its own. */
static uint64_t x_ticks(void) { return X->now += 5000; }

static int x_flock(int fd, int command, horusi_flock *l)
{
    uint64_t inode = X->fd[fd].inode;
    uint32_t description = X->fd[fd].description;
    if (X->running)
        x_point(true, true);
    for (int i = 0; i < X->helds; i++) {
        x_held *h = &X->held[i];
        if (h->inode != inode || h->description == description || (long long)h->byte < l->start ||
            (long long)h->byte >= l->start + l->len || (h->shared && l->type == F_RDLCK) ||
            l->type == F_UNLCK)
            continue;
        if (command == F_OFD_GETLK) {
            l->type = F_WRLCK;
            l->start = h->byte;
            return 0;
        }
        errno = EAGAIN;
        return -1;
    }
    if (X->running) {
        x_thread *t = &X->thread[X->current];
        x_note(NULL,
               command == F_OFD_GETLK ? 'g'
               : l->type == F_UNLCK   ? 'u'
                                      : 'k',
               (uint64_t)l->start, 0);
        x_join(t->view, X->lock_view);
        x_join(X->lock_view, t->view);
    }
    if (command == F_OFD_GETLK) {
        l->type = F_UNLCK;
        return 0;
    }
    for (int i = 0; i < X->helds; i++)
        if (X->held[i].inode == inode && X->held[i].description == description &&
            (long long)X->held[i].byte == l->start) {
            X->held[i] = X->held[--X->helds];
            break;
        }
    if (l->type != F_UNLCK)
        X->held[X->helds++] =
            (x_held){inode, description, X->fd[fd].process, (uint32_t)l->start, l->type == F_RDLCK};
    return 0;
}
static long x_futex(horusi_a32 *word, int command, uint32_t value, const long *timeout)
{
    bool shared;
    word = (horusi_a32 *)(uintptr_t)x_own(word);
    x_key *k = x_find(word, &shared);
    uint32_t *real = x_real(k, word);
    x_thread *t = &X->thread[X->current];
    switch (command & 0x7f) {
    case FUTEX_LOCK_PI:
        while (*(volatile uint32_t *)real != 0) {
            t->state = X_ON_LOCK;
            t->lock = (horusi_a32 *)(void *)real;
            x_give_over();
            t->state = X_READY;
        }
        x_note(NULL, 'L', 0, 0);
        if (k->loc >= 0) {
            x_loc *l = x_loc_of(k, real, 4);
            (void)x_read(l, l->last, X_SEQ);
            x_store(l, t->tid ? t->tid : horusi_tid, X_SEQ, l->store[l->last % X_KEPT].view);
        } else {
            *real = horusi_tid;
        }
        return 0;
    case FUTEX_WAIT:
        x_point(true, true);
        if (*(volatile uint32_t *)real != value) {
            errno = EAGAIN;
            return -1;
        }
        t->state = X_ON_FUTEX;
        t->waits_for = k->key;
        t->timed_out = false;
        t->deadline = X->now + (uint64_t)timeout[0] * 1000000000u + (uint64_t)timeout[1];
        x_note(NULL, 'z', value, 0);
        x_give_over();
        t->state = X_READY;
        if (!t->timed_out)
            return 0;
        errno = ETIMEDOUT;
        return -1;
    case FUTEX_WAKE:
        x_point(true, true);
        x_note(NULL, 'w', 0, 0);
        X->wakes++;
        for (int i = 0; i < X->threads; i++)
            if (X->thread[i].state == X_ON_FUTEX && X->thread[i].waits_for == k->key)
                X->thread[i].state = X_READY;
        return 0;
    default:
        x_stop(X_UNABLE, "futex %d is not known here", command);
        return -1;
    }
}
static long x_syscall(long number, ...)
{
    va_list args;
    va_start(args, number);
    long a = va_arg(args, long);
    long r = -1;
    if (number == SYS_gettid) {
        r = X->running ? 100 + X->current : 99;
    } else if (number == SYS_fcntl) {
        int command = va_arg(args, int);
        r = x_flock((int)a, command, va_arg(args, horusi_flock *));
    } else if (number == SYS_membarrier) {
        r = a == 0 ? 24 : 0;
        if (a == 8 && X->running) {
            x_point(true, false);
            x_view all = {0};
            int process = x_process();
            for (int i = 0; i < X->threads; i++)
                if (X->thread[i].process == process)
                    x_join(all, X->thread[i].view);
            for (int i = 0; i < X->threads; i++)
                if (X->thread[i].process == process)
                    x_join(X->thread[i].view, all);
        }
    } else if (number == SYS_futex) {
        int command = va_arg(args, int);
        uint32_t value = va_arg(args, uint32_t);
        const long *timeout = va_arg(args, const long *);
        if (X->running)
            r = x_futex((horusi_a32 *)(uintptr_t)a, command, value, timeout);
        else
            r = 0;
    } else if (number == SYS_fallocate) {
        (void)va_arg(args, int);
        uint64_t at = va_arg(args, uint64_t);
        r = x_back((int)a, at, va_arg(args, uint64_t), true);
    } else {
        x_stop(X_UNABLE, "system call %ld is not known here", number);
    }
    va_end(args);
    return r;
}

/* ---- one execution, and all of them */

typedef struct x_scenario {
    const char *name;
    void (*prepare)(void);
    void (*finish)(void);
    struct {
        void (*run)(void);
        int process;
        bool mortal;
    } who[X_THREADS];
    x_bounds bounds;
} x_scenario;

static void x_save(uint8_t *shared, size_t shared_bytes)
{
    X->saved.statics_bytes = (size_t)(&_end - &__data_start);
    X->saved.statics = malloc(X->saved.statics_bytes);
    X->saved.arena = malloc(X->arena_used);
    X->saved.arena_bytes = X->arena_used;
    X->saved.shared = malloc(shared_bytes);
    X->saved.shared_bytes = shared_bytes;
    X->saved.shared_at = shared;
    memcpy(X->saved.statics, &__data_start, X->saved.statics_bytes);
    memcpy(X->saved.arena, X->arena, X->arena_used);
    memcpy(X->saved.shared, shared, shared_bytes);
    memcpy(X->saved.held, X->held, sizeof X->held);
    X->saved.helds = X->helds;
    memcpy(X->saved.page, X->page, sizeof X->page);
    X->saved.pages = X->pages;
    X->saved.regions = X->regions;
    X->saved.now = X->now;
}
static void x_restore(void)
{
    memcpy(&__data_start, X->saved.statics, X->saved.statics_bytes);
    memcpy(X->arena, X->saved.arena, X->saved.arena_bytes);
    X->arena_used = X->saved.arena_bytes;
    memcpy(X->saved.shared_at, X->saved.shared, X->saved.shared_bytes);
    while (X->regions > X->saved.regions) {
        X->regions--;
        munmap(X->region[X->regions].base, X->region[X->regions].bytes);
    }
    for (int i = 3; i < 1024; i++)
        if (X->fd[i].of_run) {
            close(i);
            X->fd[i].of_run = false;
        }
    memcpy(X->held, X->saved.held, sizeof X->held);
    X->helds = X->saved.helds;
    for (int i = 0; i < X->pages; i++)
        if (X->page[i].of_run)
            munmap(X->page[i].at, 4096);
    memcpy(X->page, X->saved.page, sizeof X->page);
    X->pages = X->saved.pages;
    X->now = X->saved.now;
    horusi_tid = 0;
}
static void x_execute(const x_scenario *s)
{
    X->run++;
    X->executions++;
    X->all_executions++;
    X->depth = 0;
    X->steps = 0;
    X->left = X->bounds;
    X->view_count = 1;
    X->long_slices = 0;
    X->wakes = 0;
    X->traced = 0;
    X->given_back = 0;
    memset(X->lock_view, 0, sizeof X->lock_view);
    memset(X->cell, 0, sizeof X->cell);
    for (int i = 0; i < X_CELLS; i++)
        X->cell[i].slot = -1;
    for (X->threads = 0; X->threads < X_THREADS && s->who[X->threads].run; X->threads++) {
        x_thread *t = &X->thread[X->threads];
        getcontext(&t->context);
        t->context.uc_stack.ss_sp = t->stack;
        t->context.uc_stack.ss_size = X_STACK;
        t->context.uc_link = NULL;
        makecontext(&t->context, x_entry, 0);
        t->run = s->who[X->threads].run;
        t->process = s->who[X->threads].process;
        t->mortal = s->who[X->threads].mortal;
        t->state = X_READY;
        t->tid =
            100 + (uint32_t)(t - X->thread); /* as `begin` says of the handles: the short ways */
        t->saved_errno = 0;
        memset(t->view, 0, sizeof t->view);
    }
    X->running = true;
    X->current = x_choose(X->threads);
    horusi_tid = X->thread[X->current].tid;
    swapcontext(&X->home, &X->thread[X->current].context);
    X->running = false;
    horusi_tid = 0;
    if (!X->failed)
        s->finish();
    x_restore();
}
/* While a scene is prepared: the process is killed. */
static void x_kill(int process)
{
    for (int i = 0; i < X->helds;)
        if (X->held[i].process == process)
            X->held[i] = X->held[--X->helds];
        else
            i++;
}
static bool x_is_dead(int process)
{
    for (int i = 0; i < X->threads; i++)
        if (X->thread[i].process == process && X->thread[i].state == X_DIED)
            return true;
    return false;
}

/* Atomics that two use, one of them to write, are from now on watched. */
static void x_watch(void)
{
    X->grew = false;
    X->locs = 0;
    for (int i = 0; i < X_KEYS; i++) {
        x_key *k = &X->key[i];
        if (k->key && k->wrote && (k->seen & (k->seen - 1))) {
            if (x_view_length() >= X_LOCS) {
                x_stop(X_UNABLE, "too many atomics");
                return;
            }
            k->loc = X->locs++;
            X->loc[k->loc].run = 0;
        }
    }
    free(X->views);
    X->view_room = 20000;
    X->views = malloc((size_t)X->view_room * (size_t)x_view_length() * sizeof *X->views);
}
static void x_forget(void)
{
    memset(X->key, 0, sizeof X->key);
    X->locs = 0;
    x_watch();
}

static double x_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* others may need the machine as well */
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Explores within the bounds: everything, if it ends within `most` executions and `seconds`. */
typedef struct x_result {
    uint64_t executions;
    bool complete, failed;
} x_result;
static x_result x_explore(const x_scenario *s, x_bounds bounds, uint64_t most, double seconds)
{
    x_result r = {0, false, false};
    double end = x_seconds() + seconds;
    X->random = false;
    X->bounds = bounds;
    X->known = 0;
    X->failed = false;
    do {
        x_execute(s);
        if (X->grew) { /* what was explored so far did not stop, or look, where it should */
            x_watch();
            X->failed = false;
            X->known = 0;
            r.executions = 0;
            continue;
        }
        r.executions++;
        if (X->failed)
            break;
        if (!x_next_branch()) {
            r.complete = true;
            break;
        }
    } while (r.executions < most && ((r.executions & 63) || x_seconds() < end));
    r.failed = X->failed;
    return r;
}
/* The same by chance. */
static x_result x_sample(const x_scenario *s, x_bounds bounds, uint64_t most, double seconds,
                         uint64_t seed)
{
    x_result r = {0, false, false};
    double end = x_seconds() + seconds;
    X->random = true;
    X->bounds = bounds;
    X->failed = false;
    X->rng = seed * 2654435761u + 12345;
    int depth = 100;
    do {
        X->known = 0;
        X->likely =
            (double)(bounds.preemptions + bounds.deaths + bounds.stale) / (double)(1 + depth);
        x_execute(s);
        depth = X->depth > 10 ? X->depth : 10;
        if (X->grew) {
            x_watch();
            X->failed = false;
        }
        r.executions++;
    } while (!X->failed && r.executions < most && ((r.executions & 63) || x_seconds() < end));
    X->random = false;
    r.failed = X->failed;
    return r;
}
/* What led to a failure: the same choices once more, aloud. */
static void x_tell(const x_scenario *s)
{
    char why[sizeof X->why];
    memcpy(why, X->why, sizeof why);
    X->known = X->depth;
    X->random = false;
    X->failed = false;
    X->tracing = true;
    x_execute(s);
    X->tracing = false;
    printf("  %s: %s\n", s->name, why);
    if (strcmp(why, X->why) != 0)
        printf("  (and, when it was run again: %s)\n", X->why);
    uint32_t first = X->traced > 400 ? X->traced - 400 : 0;
    for (uint32_t i = first; i < X->traced; i++) {
        x_event *e = &X->trace[i % X_TRACE];
        if (e->site)
            printf("    %u: %c %-5s line %u  %llx%s%.0u\n", e->thread, e->what, e->site->label,
                   e->site->line, (unsigned long long)e->value, e->behind ? "  stale by " : "",
                   e->behind);
        else
            printf("    %u: %c %llx\n", e->thread, e->what, (unsigned long long)e->value);
    }
    X->failed = true;
}
#endif
