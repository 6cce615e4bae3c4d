/* Measures horus against the floors of the machine it runs on, and against its peers.
 *
 *     bench GROUP WINDOWS SCALE CPU0 CPU1
 *
 * GROUP is hop, image, iceoryx (image's beside its own), stream, wake, alloc, open, idle, tick,
 * late[_fifo], beside[_fifo] or infer_small, infer_image, infer_two (with ORT_DYLIB_PATH, and models.py's
 * files in BENCH_MODELS). Two
 * processes (from tick on: one), each pinned to a core, walk through the same windows: floor, subject,
 * floor, subject ... so that a machine that speeds up or slows down does so to both. Every
 * window prints one JSON line that has all its samples, none left out, as [ticks, count] pairs; run.py
 * turns them into percentiles and ratios. Each window begins with a fiftieth of its rounds unmeasured.
 *
 * The library is compiled as a file of its own, so that its calls are calls. */
#define _GNU_SOURCE
#include "../horus.h"
#include "bench.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- two processes */

enum { LINES = 64, WAKE_DWELL_NS = 50000, ALLOC_BATCH = 16 };

typedef struct line {
    _Alignas(64) _Atomic uint64_t seq;
    uint64_t w[7];
} line;

typedef struct shared {
    struct {
        _Alignas(64) _Atomic uint32_t at; /* barriers passed; a futex */
    } side[2];
    _Alignas(64) _Atomic uint64_t dwell; /* ticks that side 1 took before it answered */
    _Alignas(64) _Atomic uint32_t futex[2][16];
    line hop[LINES][2];
    line ring[BENCH_RING];
    line cursor;
} shared;

static shared *sh;
static int cpus[2];
static pid_t other;
static double ns_per_tick;
static uint64_t dwell_ticks;

void bench_die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, args);
    fputs("\n", stderr);
    va_end(args);
    if (other > 0) {
        kill(other, SIGKILL);
    }
    _exit(1);
}

static void check(horus_result result, const char *what)
{
    if (result != HORUS_OK) {
        bench_die("%s: %s (%s)", what, horus_result_text(result), horus_last_error());
    }
}

static long futex(_Atomic uint32_t *word, int op, uint32_t value)
{
    return syscall(SYS_futex, word, op, value, NULL, NULL, 0);
}

static void on_child(int number)
{
    static const char text[] = "bench: the other process died\n";
    (void)number;
    int status;
    if (waitpid(other, &status, WNOHANG) == other && status != 0) {
        (void)!write(STDERR_FILENO, text, sizeof text - 1);
        _exit(1);
    }
}

static void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) {
        bench_die("cannot run on CPU %d: %s", cpu, strerror(errno));
    }
}

/* Sleeps until the other side is here too, so that a side that has nothing to do takes no time. */
static void barrier(int side)
{
    uint32_t mine = atomic_load(&sh->side[side].at) + 1, theirs;
    atomic_store(&sh->side[side].at, mine);
    futex(&sh->side[side].at, FUTEX_WAKE, 1);
    while ((theirs = atomic_load(&sh->side[!side].at)) != mine && theirs != mine + 1) {
        futex(&sh->side[!side].at, FUTEX_WAIT, theirs);
    }
}

/* Side 0 stays this process, side 1 is a child that ends with it. */
static int split(void)
{
    struct sigaction action = {.sa_handler = on_child, .sa_flags = SA_RESTART};
    sigaction(SIGCHLD, &action, NULL);
    pid_t parent = getpid();
    pid_t child = fork();
    if (child < 0) {
        bench_die("fork: %s", strerror(errno));
    }
    other = child == 0 ? parent : child;
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    }
    pin(cpus[child == 0]);
    return child == 0;
}

static void join(int side)
{
    if (side == 0) {
        signal(SIGCHLD, SIG_DFL);
        waitpid(other, NULL, 0);
    }
}

static void calibrate(void)
{
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    uint64_t from = bench_ticks();
    do {
        clock_gettime(CLOCK_MONOTONIC, &b);
    } while ((b.tv_sec - a.tv_sec) * 1000000000 + (b.tv_nsec - a.tv_nsec) < 100000000);
    uint64_t ticks = bench_ticks() - from;
    double ns = (double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec);
    ns_per_tick = ns / (double)ticks;
    dwell_ticks = (uint64_t)(WAKE_DWELL_NS / ns_per_tick);
}

/* ---- windows */

static bench_result result;

static int ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* `per`: how many results one sample covers, e.g. 2 ways in a round trip. */
static void emit(const char *name, int window, double per, uint64_t n)
{
    printf("{\"name\": \"%s\", \"window\": %d, \"unit_ns\": %.9g, ", name, window,
           ns_per_tick / per);
    if (result.ticks != 0) {
        printf("\"value\": %.6g, \"received\": %.6g, ",
               (double)result.ticks * ns_per_tick / (double)(n - 1),
               (double)result.received / (double)n);
    }
    printf("\"hist\": [");
    qsort(result.out, result.samples, sizeof result.out[0], ascending);
    for (uint64_t i = 0, j; i < result.samples; i = j) {
        for (j = i + 1; j < result.samples && result.out[j] == result.out[i]; j++) {
        }
        printf("%s[%llu,%llu]", i == 0 ? "" : ",", (unsigned long long)result.out[i],
               (unsigned long long)(j - i));
    }
    printf("]}\n");
}

typedef struct subject {
    const char *name;
    void (*run)(int side, uint64_t first, uint64_t n, bench_result *r);
    const bench_peer *peer; /* instead of run */
    void *memory;
    uint64_t rounds;
    double per;
    uint64_t next;
} subject;

static void subject_run(subject *s, int side, uint64_t n)
{
    if (s->peer != NULL) {
        s->peer->run(s->memory, side, s->next, n, &result);
    } else {
        s->run(side, s->next, n, &result);
    }
    s->next += n;
}

static void subject_window(subject *s, int side)
{
    result.samples = 0; /* of the window before */
    subject_run(s, side, s->rounds / 50 + 1);
    result.samples = result.ticks = result.received = 0;
    subject_run(s, side, s->rounds);
}

static void *other_thread(void *s)
{
    subject copy = *(subject *)s; /* both sides count `next` on */
    pin(cpus[1]);
    subject_window(&copy, 1);
    return NULL;
}

static void window(subject *s, int side, int number)
{
    barrier(side);
    alarm(120); /* a message that never comes */
    if (s->peer == NULL || !s->peer->threads) {
        subject_window(s, side);
    } else if (side == 0) {
        pthread_t thread;
        subject copy = *s;
        if (pthread_create(&thread, NULL, other_thread, &copy) != 0) {
            bench_die("no thread");
        }
        subject_window(s, 0);
        pthread_join(thread, NULL);
    }
    alarm(0);
    if (side == 0) {
        emit(s->name, number, s->per, s->rounds);
    }
}

/* subjects[0] is the floor. between: it runs again before each of the others. */
static void windows(subject *subjects, size_t count, int between, int side, int n)
{
    int number = 0;
    for (size_t k = 0; k < count; k++) {
        subjects[k].next = 1; /* 0 is what an unused line holds */
    }
    for (int i = 0; i < n; i++) {
        for (size_t k = 1; k < count; k++) {
            if (between || k == 1) {
                window(&subjects[0], side, number++);
            }
            window(&subjects[k], side, number++);
        }
    }
    window(&subjects[0], side, number);
    barrier(side);
}

/* ---- floors */

/* A line per direction, nothing in it but the sequence. Another pair of lines every 1024 rounds,
 * since how far a line is depends on its address. */
#define FLOOR_SEND(side, i)                                                                        \
    atomic_store_explicit(&sh->hop[(i) >> 10 & (LINES - 1)][side].seq, i, memory_order_release)
#define FLOOR_RECEIVE(side, i)                                                                     \
    do {                                                                                           \
    } while (atomic_load_explicit(&sh->hop[(i) >> 10 & (LINES - 1)][!side].seq,                    \
                                  memory_order_acquire) != (i))
BENCH_PINGPONG(floor_hop, FLOOR_SEND, FLOOR_RECEIVE)

/* A sleeping reader: the futex is the message. Side 1 answers after a dwell long enough for side 0
 * to be asleep, and says how long it took. */
#define BENCH_WAKE(NAME, SEND, RECEIVE)                                                            \
    static void NAME(int side, uint64_t first, uint64_t n, bench_result *r)                        \
    {                                                                                              \
        for (uint64_t i = first; i < first + n; i++) {                                             \
            if (side != 0) {                                                                       \
                RECEIVE(side, i);                                                                  \
            }                                                                                      \
            uint64_t from = bench_ticks(), then = from;                                            \
            while (then - from < dwell_ticks) {                                                    \
                then = bench_ticks();                                                              \
            }                                                                                      \
            if (side != 0) {                                                                       \
                atomic_store_explicit(&sh->dwell, then - from, memory_order_relaxed);              \
                SEND(side, i);                                                                     \
                continue;                                                                          \
            }                                                                                      \
            SEND(side, i);                                                                         \
            RECEIVE(side, i);                                                                      \
            uint64_t took = bench_ticks() - then;                                                  \
            r->out[i - first] = took - atomic_load_explicit(&sh->dwell, memory_order_relaxed);     \
        }                                                                                          \
        r->samples = n;                                                                            \
    }

#define FUTEX_SEND(side, i)                                                                        \
    do {                                                                                           \
        atomic_store_explicit(&sh->futex[side][0], (uint32_t)(i), memory_order_release);           \
        futex(&sh->futex[side][0], FUTEX_WAKE, 1);                                                 \
    } while (0)
#define FUTEX_RECEIVE(side, i)                                                                     \
    do {                                                                                           \
        uint32_t seen;                                                                             \
        while ((seen = atomic_load_explicit(&sh->futex[!side][0], memory_order_acquire)) !=        \
               (uint32_t)(i)) {                                                                    \
            futex(&sh->futex[!side][0], FUTEX_WAIT, seen);                                         \
        }                                                                                          \
    } while (0)
BENCH_WAKE(floor_wake, FUTEX_SEND, FUTEX_RECEIVE)

/* One line per message: sequence and 56 bytes. The reader says how far it is every 64 messages; the
 * writer looks only when the ring would be full by what it knows. */
typedef struct line_message {
    uint64_t w[7];
} line_message;

static uint64_t ring_seen;

static inline int ring_put(const line_message *m)
{
    uint64_t i = m->w[0];
    if (i - ring_seen >= BENCH_RING) {
        ring_seen = atomic_load_explicit(&sh->cursor.seq, memory_order_acquire);
        if (i - ring_seen >= BENCH_RING) {
            return 0;
        }
    }
    line *to = &sh->ring[i % BENCH_RING];
    memcpy(to->w, m->w, sizeof to->w);
    atomic_store_explicit(&to->seq, i, memory_order_release);
    return 1;
}

static inline int ring_get(line_message *m, uint64_t i)
{
    line *from = &sh->ring[i % BENCH_RING];
    if (atomic_load_explicit(&from->seq, memory_order_acquire) != i) {
        return 0;
    }
    memcpy(m->w, from->w, sizeof m->w);
    if (i % 64 == 0) {
        atomic_store_explicit(&sh->cursor.seq, i, memory_order_release);
    }
    return 1;
}

static void floor_stream(int side, uint64_t first, uint64_t n, bench_result *r)
{
    if (side == 0) {
        BENCH_CONSUME(line_message, 7, 0, ring_get(&m, next));
        atomic_store_explicit(&sh->cursor.seq, first + n - 1, memory_order_release);
    } else {
        BENCH_PRODUCE(line_message, 7, ring_put(&m));
    }
}

/* ---- horus: messages */

#define BENCH8_FIELDS(F, A, S, N, V, W) F(u64, seq)
#define BENCH40_FIELDS(F, A, S, N, V, W) F(u64, seq) A(u64, body, 3) F(u64, end)
#define BENCH64_FIELDS(F, A, S, N, V, W) A(u64, w, 8)
HORUS_MESSAGE(bench8, "Bench8", "bench8", BENCH8_FIELDS)
HORUS_MESSAGE(bench40, "Bench40", "bench40", BENCH40_FIELDS)
HORUS_MESSAGE(bench64, "Bench64", "bench64", BENCH64_FIELDS)

enum { T8, T40, T64, TIMAGE, TWAKE, PAIRS };
static horus_topic *out_topic[PAIRS], *in_topic[PAIRS]; /* ping and pong, seen from this side */
static horus_topic *stream_topic[2];                    /* reliable, overwrite */

static void open_pair(int which, const char *name, const horus_type *type, int side)
{
    char ping[64], pong[64];
    snprintf(ping, sizeof ping, "%s/ping", name);
    snprintf(pong, sizeof pong, "%s/pong", name);
    horus_topic_desc desc = {.type = type};
    check(horus_topic_open(&in_topic[which], side == 0 ? pong : ping, &desc), "topic_open");
    desc.flags = HORUS_PUBLISHER;
    check(horus_topic_open(&out_topic[which], side == 0 ? ping : pong, &desc), "topic_open");
}

static void close_pair(int which)
{
    horus_topic_close(in_topic[which]);
    horus_topic_close(out_topic[which]);
}

#define HORUS_SEND(WHICH, M)                                                                       \
    check(horus_topic_send(out_topic[WHICH], &(M), sizeof(M), HORUS_NO_WAIT), "send")
#define HORUS_POLL(WHICH, M)                                                                       \
    do {                                                                                           \
        horus_result got;                                                                          \
        while ((got = horus_topic_receive(in_topic[WHICH], &(M), sizeof(M), NULL,                  \
                                          HORUS_NO_WAIT)) == HORUS_EMPTY) {                        \
        }                                                                                          \
        check(got, "receive");                                                                     \
    } while (0)

static inline void wrong(uint64_t got, uint64_t wanted)
{
    if (got != wanted) {
        bench_die("message %llu is wrong: %llu", (unsigned long long)wanted,
                  (unsigned long long)got);
    }
}

static inline void send8(uint64_t i)
{
    horus_bench8 m = {.seq = i};
    HORUS_SEND(T8, m);
}
static inline void receive8(uint64_t i)
{
    horus_bench8 m;
    HORUS_POLL(T8, m);
    wrong(m.seq, i);
}
static inline void send40(uint64_t i)
{
    horus_bench40 m = {.seq = i, .end = ~i};
    HORUS_SEND(T40, m);
}
static inline void receive40(uint64_t i)
{
    horus_bench40 m;
    HORUS_POLL(T40, m);
    wrong(m.seq, i);
    wrong(m.end, ~i);
}
static inline void send64(uint64_t i)
{
    horus_bench64 m = {.w = {i, 0, 0, 0, 0, 0, 0, ~i}};
    HORUS_SEND(T64, m);
}
static inline void receive64(uint64_t i)
{
    horus_bench64 m;
    HORUS_POLL(T64, m);
    wrong(m.w[0], i);
    wrong(m.w[7], ~i);
}
static inline void send_wake(uint64_t i)
{
    horus_bench8 m = {.seq = i};
    HORUS_SEND(TWAKE, m);
}
static inline void receive_wake(uint64_t i)
{
    horus_bench8 m;
    check(horus_topic_receive(in_topic[TWAKE], &m, sizeof m, NULL, HORUS_FOREVER), "receive");
    wrong(m.seq, i);
}

#define SEND8(side, i) send8(i)
#define RECEIVE8(side, i) receive8(i)
#define SEND40(side, i) send40(i)
#define RECEIVE40(side, i) receive40(i)
#define SEND64(side, i) send64(i)
#define RECEIVE64(side, i) receive64(i)
#define SEND_WAKE(side, i) send_wake(i)
#define RECEIVE_WAKE(side, i) receive_wake(i)
BENCH_PINGPONG(hop8, SEND8, RECEIVE8)
BENCH_PINGPONG(hop40, SEND40, RECEIVE40)
BENCH_PINGPONG(hop64, SEND64, RECEIVE64)
BENCH_WAKE(wake, SEND_WAKE, RECEIVE_WAKE)

/* ---- horus: images
 *
 * The sender puts a number into the first pixels and the receiver checks it, so a hand-off includes
 * the journey of one line of the payload. */

static inline void send_image(uint32_t width, uint32_t height, uint64_t i)
{
    horus_image image;
    check(horus_image_alloc(&image, NULL, width, height, HORUS_MONO8, HORUS_UNINIT), "image_alloc");
    *(volatile uint64_t *)image.data = i;
    check(horus_topic_send_image(out_topic[TIMAGE], &image, HORUS_NO_WAIT), "send_image");
    check(horus_image_release(&image), "image_release");
}
static inline void receive_image(uint32_t width, uint64_t i)
{
    horus_image image;
    horus_result got;
    while ((got = horus_topic_receive_image(in_topic[TIMAGE], &image, NULL, HORUS_NO_WAIT)) ==
           HORUS_EMPTY) {
    }
    check(got, "receive_image");
    wrong(*(const volatile uint64_t *)image.data, i);
    wrong(image.width_px, width);
    check(horus_image_release(&image), "image_release");
}

#define SEND_64K(side, i) send_image(256, 256, i)
#define RECEIVE_64K(side, i) receive_image(256, i)
#define SEND_1M(side, i) send_image(1024, 1024, i)
#define RECEIVE_1M(side, i) receive_image(1024, i)
#define SEND_8M(side, i) send_image(4096, 2048, i)
#define RECEIVE_8M(side, i) receive_image(4096, i)
BENCH_PINGPONG(image_64k, SEND_64K, RECEIVE_64K)
BENCH_PINGPONG(image_1m, SEND_1M, RECEIVE_1M)
BENCH_PINGPONG(image_8m, SEND_8M, RECEIVE_8M)

/* ---- horus: streams */

static inline int stream_put(int which, const horus_bench64 *m)
{
    horus_result sent = horus_topic_send(stream_topic[which], m, sizeof *m, HORUS_NO_WAIT);
    if (sent == HORUS_FULL) {
        return 0;
    }
    check(sent, "send");
    return 1;
}

static inline int stream_get(int which, horus_bench64 *m)
{
    horus_result got = horus_topic_receive(stream_topic[which], m, sizeof *m, NULL, HORUS_NO_WAIT);
    if (got == HORUS_EMPTY) {
        return 0;
    }
    check(got, "receive");
    return 1;
}

static void stream_reliable(int side, uint64_t first, uint64_t n, bench_result *r)
{
    if (side == 0) {
        BENCH_CONSUME(horus_bench64, 8, 0, stream_get(0, &m));
    } else {
        BENCH_PRODUCE(horus_bench64, 8, stream_put(0, &m));
    }
}

static void stream_overwrite(int side, uint64_t first, uint64_t n, bench_result *r)
{
    if (side == 0) {
        BENCH_CONSUME(horus_bench64, 8, 1, stream_get(1, &m));
    } else {
        BENCH_PRODUCE(horus_bench64, 8, stream_put(1, &m));
    }
}

#if defined(__has_include)
#if __has_include(<ck_ring.h>)
#define HAVE_CK 1
#endif
#endif
#ifdef HAVE_CK
#include <ck_ring.h>
CK_RING_PROTOTYPE(bench, bench_message)

typedef struct ck_queue {
    ck_ring_t ring;
    bench_message buffer[BENCH_RING];
} ck_queue;

static void ck_make(void *memory)
{
    ck_queue *q = memory;
    ck_ring_init(&q->ring, BENCH_RING);
}

static void ck_run(void *memory, int side, uint64_t first, uint64_t n, bench_result *r)
{
    ck_queue *q = memory;
    if (side == 0) {
        BENCH_CONSUME(bench_message, 8, 0, ck_ring_dequeue_spsc_bench(&q->ring, q->buffer, &m));
    } else {
        BENCH_PRODUCE(bench_message, 8, ck_ring_enqueue_spsc_bench(&q->ring, q->buffer, &m));
    }
}
static const bench_peer ck_peer[] = {
    {"ConcurrencyKit ck_ring", 0, sizeof(ck_queue), ck_make, ck_run}};
enum { CK_PEERS = 1 };
#else
static const bench_peer ck_peer[] = {{0}};
enum { CK_PEERS = 0 };
#endif

/* ---- groups */

static void *share(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        bench_die("mmap: %s", strerror(errno));
    }
    memset(p, 0, bytes);
    return p;
}

static uint64_t scaled(double rounds, double scale)
{
    double n = rounds * scale;
    return n < 200 ? 200 : n > BENCH_MAX_SAMPLES ? BENCH_MAX_SAMPLES : (uint64_t)n;
}

#define PINGPONG(NAME, RUN, ROUNDS)                                                                \
    {                                                                                              \
        .name = NAME, .run = RUN, .rounds = scaled(ROUNDS, scale), .per = 2                        \
    }

static void group_hop(int n, double scale)
{
    subject s[] = {
        PINGPONG("floor: one line", floor_hop, 50000),
        PINGPONG("hop: 8 bytes", hop8, 50000),
        PINGPONG("hop: 40 bytes", hop40, 50000),
        PINGPONG("hop: 64 bytes", hop64, 50000),
    };
    int side = split();
    open_pair(T8, "hop8", &horus_bench8_type, side);
    open_pair(T40, "hop40", &horus_bench40_type, side);
    open_pair(T64, "hop64", &horus_bench64_type, side);
    windows(s, sizeof s / sizeof s[0], 1, side, n);
    close_pair(T8);
    close_pair(T40);
    close_pair(T64);
    join(side);
}

/* peers: iceoryx hands over the same, window by window. */
static void group_image(int n, double scale, int peers)
{
    subject s[] = {
        PINGPONG("floor: one line", floor_hop, 25000),
        PINGPONG("image: 64 KB", image_64k, 25000),
        PINGPONG("image: 1 MB", image_1m, 25000),
        PINGPONG("image: 8 MB", image_8m, 25000),
#ifdef WITH_ICEORYX
        PINGPONG("iceoryx: 64 KB", bench_iceoryx_64k, 10000),
        PINGPONG("iceoryx: 1 MB", bench_iceoryx_1m, 10000),
        PINGPONG("iceoryx: 8 MB", bench_iceoryx_8m, 10000),
#endif
    };
    int side = split();
    open_pair(TIMAGE, "image", &horus_image_type, side);
#ifdef WITH_ICEORYX
    if (peers) {
        bench_iceoryx_open(side);
    }
#endif
    windows(s, peers ? sizeof s / sizeof s[0] : 4, 1, side, n);
#ifdef WITH_ICEORYX
    if (peers) {
        bench_iceoryx_close();
    }
#endif
    close_pair(TIMAGE);
    join(side);
}

static void group_stream(int n, double scale)
{
    enum { MAX = 16 };
    subject s[MAX] = {
        {.name = "floor: stream", .run = floor_stream},
        {.name = "stream: reliable", .run = stream_reliable},
        {.name = "stream: overwrite", .run = stream_overwrite},
    };
    size_t count = 3;
    for (size_t i = 0; i < CK_PEERS + bench_peer_count && count < MAX; i++) {
        const bench_peer *peer = i < CK_PEERS ? &ck_peer[i] : &bench_peers[i - CK_PEERS];
        void *memory = share((peer->bytes + 4095) & ~(size_t)4095);
        peer->init(memory);
        s[count++] = (subject){.name = peer->name, .peer = peer, .memory = memory};
    }
    for (size_t i = 0; i < count; i++) {
        s[i].rounds = scaled(800000, scale);
        s[i].per = BENCH_BATCH;
    }
    int side = split();
    for (int i = 0; i < 2; i++) {
        horus_topic_desc desc = {.type = &horus_bench64_type,
                                 .policy = i == 0 ? HORUS_RELIABLE : HORUS_OVERWRITE,
                                 .flags = side == 1 ? HORUS_PUBLISHER : 0};
        check(horus_topic_open(&stream_topic[i], i == 0 ? "reliable" : "overwrite", &desc),
              "topic_open");
    }
    windows(s, count, 0, side, n);
    horus_topic_close(stream_topic[0]);
    horus_topic_close(stream_topic[1]);
    join(side);
}

static void group_wake(int n, double scale)
{
    subject s[] = {
        PINGPONG("floor: futex", floor_wake, 2000),
        PINGPONG("wake-up", wake, 2000),
    };
    int side = split();
    open_pair(TWAKE, "wake", &horus_bench8_type, side);
    windows(s, 2, 1, side, n);
    close_pair(TWAKE);
    join(side);
}

/* ---- one process */

typedef struct alloc_case {
    const char *name;
    horus_pool *pool;
    uint64_t bytes;
} alloc_case;

static void alloc_window(const alloc_case *c, uint64_t n, int number)
{
    for (uint64_t i = 0; i < n; i++) {
        uint64_t from = bench_ticks();
        for (int k = 0; k < ALLOC_BATCH; k++) {
            horus_frame frame;
            if (horus_frame_alloc(&frame, c->pool, c->bytes, HORUS_UNINIT, NULL) != HORUS_OK ||
                horus_frame_release(&frame) != HORUS_OK) {
                bench_die("alloc and release: %s", horus_last_error());
            }
        }
        result.out[i] = bench_ticks() - from;
    }
    result.samples = n;
    emit(c->name, number, ALLOC_BATCH, n);
}

/* A million allocations of 64 bytes to 8 MB, evenly over the logarithm, 64 held at a time; those
 * held at the end stay held. */
static void wear(horus_pool *pool, uint64_t count)
{
    static horus_frame held[64];
    uint64_t random = 88172645463325252u;
    for (uint64_t i = 0; i < count; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        horus_frame *frame = &held[random & 63];
        uint64_t octave = (random >> 6 & 1023) % 17; /* 64 bytes << 0 to 16 */
        uint64_t bytes = (64u << octave) + (random >> 16) % (64u << octave);
        bytes = bytes > 8388608 ? 8388608 : bytes;
        if (frame->pool != NULL) {
            check(horus_frame_release(frame), "frame_release");
        }
        check(horus_frame_alloc(frame, pool, bytes, HORUS_UNINIT, NULL), "frame_alloc");
    }
}

static void group_alloc(int n, double scale)
{
    horus_context *fresh, *worn;
    horus_pool *fresh_pool, *worn_pool;
    char name[64];
    pin(cpus[0]);
    snprintf(name, sizeof name, "bench-fresh-%ld", (long)getpid());
    check(horus_context_open(&fresh, &(horus_context_desc){.name = name}), "context_open");
    check(horus_pool_open(&fresh_pool, NULL, &(horus_pool_desc){.context = fresh}), "pool_open");
    snprintf(name, sizeof name, "bench-worn-%ld", (long)getpid());
    check(horus_context_open(&worn, &(horus_context_desc){.name = name}), "context_open");
    check(horus_pool_open(&worn_pool, NULL, &(horus_pool_desc){.context = worn}), "pool_open");
    wear(worn_pool, (uint64_t)(1e6 * (scale < 1 ? scale : 1)));
    const alloc_case cases[] = {
        {"alloc+release: 4 KB", fresh_pool, 4096},
        {"alloc+release: 4 KB, worn pool", worn_pool, 4096},
        {"alloc+release: 900 KB", fresh_pool, 921600},
        {"alloc+release: 900 KB, worn pool", worn_pool, 921600},
    };
    int number = 0;
    for (int i = 0; i < n; i++) {
        for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
            alloc_window(&cases[k], scaled(20000, scale), number++);
        }
    }
    horus_context_close(fresh);
    horus_context_close(worn);
}

/* Each opening in a process of its own. */
static void group_open(int n, double scale)
{
    static const char *const names[] = {"open: first into a namespace", "open: joining",
                                        "open: a topic", "open: a named pool"};
    uint64_t count = scaled(100, scale > 1 ? 1 : scale);
    (void)n;
    _Atomic uint64_t *took = share(4096);
    uint64_t *samples[4];
    pin(cpus[0]);
    for (int k = 0; k < 4; k++) {
        samples[k] = result.out + (uint64_t)k * count;
    }
    int hold[2];
    pid_t holder = 0;
    for (uint64_t i = 0; i < 2 * count; i++) {
        if (i == count) { /* from here on somebody is in */
            char ready;
            int back[2];
            if (pipe(hold) != 0 || pipe(back) != 0 || (holder = fork()) < 0) {
                bench_die("holder: %s", strerror(errno));
            }
            if (holder == 0) {
                horus_context *c;
                close(hold[1]);
                check(horus_context_open(&c, NULL), "context_open");
                (void)!write(back[1], "x", 1);
                (void)!read(hold[0], &ready, 1);
                horus_context_close(c);
                _exit(0);
            }
            (void)!read(back[0], &ready, 1);
        }
        pid_t child = fork();
        if (child < 0) {
            bench_die("fork: %s", strerror(errno));
        }
        if (child == 0) {
            horus_context *c;
            horus_topic *t;
            horus_pool *p;
            uint64_t t0 = bench_ticks();
            check(horus_context_open(&c, NULL), "context_open");
            uint64_t t1 = bench_ticks();
            check(horus_topic_open(&t, "camera", &(horus_topic_desc){.context = c}), "topic_open");
            uint64_t t2 = bench_ticks();
            check(horus_pool_open(&p, "extra", &(horus_pool_desc){.context = c}), "pool_open");
            uint64_t t3 = bench_ticks();
            took[0] = t1 - t0;
            took[1] = t2 - t1;
            took[2] = t3 - t2;
            horus_context_close(c);
            _exit(0);
        }
        int status;
        waitpid(child, &status, 0);
        if (status != 0) {
            bench_die("opening failed");
        }
        samples[i >= count][i % count] = took[0];
        if (i < count) {
            samples[2][i] = took[1];
            samples[3][i] = took[2];
        }
    }
    close(hold[1]);
    waitpid(holder, NULL, 0);
    uint64_t *room = result.out;
    for (int k = 0; k < 4; k++) {
        result.out = samples[k];
        result.samples = count;
        emit(names[k], k, 1, count);
    }
    result.out = room;
}

/* ---- the scheduler */

/* Floor, subject ... in this process alone. */
static void windows_alone(subject *subjects, size_t count, int n)
{
    int number = 0;
    for (int i = 0; i < n; i++) {
        for (size_t k = 0; k < count; k++) {
            subject_window(&subjects[k], 0);
            emit(subjects[k].name, number++, subjects[k].per, subjects[k].rounds);
        }
    }
    subject_window(&subjects[0], 0);
    emit(subjects[0].name, number, subjects[0].per, subjects[0].rounds);
}

static horus_result tick_nothing(void *user, horus_tick *t)
{
    (void)user;
    (void)t;
    return HORUS_OK;
}

/* The first node of each pass: stamps now and then, since a stamp costs more than a tick. */
typedef struct passes {
    uint64_t then, count, number, every;
    bench_result *r;
} passes;
static horus_result tick_stamp(void *user, horus_tick *t)
{
    passes *p = user;
    (void)t;
    if (p->number++ % p->every != 0) {
        return HORUS_OK;
    }
    uint64_t now = bench_ticks();
    if (p->then != 0) {
        p->r->out[p->count++] = now - p->then;
    }
    p->then = now;
    return HORUS_OK;
}

/* The same nodes, called one after the other. */
static horus_node_desc called[100];
static void floor_callbacks(int side, uint64_t first, uint64_t n, bench_result *r)
{
    horus_tick t = {0};
    passes p = {.every = 1, .r = r};
    (void)side;
    (void)first;
    called[0] = (horus_node_desc){.tick = tick_stamp, .user = &p};
    for (int i = 1; i < 100; i++) {
        called[i] = (horus_node_desc){.tick = tick_nothing};
    }
    for (uint64_t pass = 0; pass <= n; pass++) {
        for (int i = 0; i < 100; i++) {
            horus_result (*volatile tick)(void *user, horus_tick *t) = called[i].tick;
            if (tick(called[i].user, &t) != HORUS_OK) {
                bench_die("a callback failed");
            }
        }
    }
    r->samples = p.count;
}

/* A scheduler of `count` nodes at 1 kHz, for that many ticks of each. */
static void run_nodes(const horus_node_desc *node, uint32_t count, uint32_t flags, uint64_t ticks)
{
    horus_scheduler *s;
    char name[32];
    check(horus_scheduler_open(&s, &(horus_scheduler_desc){.name = "bench", .flags = flags}),
          "scheduler_open");
    for (uint32_t i = 0; i < count; i++) {
        horus_node_desc d = i == 0 ? *node : (horus_node_desc){.tick = tick_nothing};
        snprintf(name, sizeof name, "n%u", i);
        d.name = name;
        d.rate_hz = 1000;
        check(horus_scheduler_add(s, &d), "scheduler_add");
    }
    check(horus_scheduler_run(s, (int64_t)ticks * 1000000), "scheduler_run");
    check(horus_scheduler_close(s), "scheduler_close");
}

enum { STAMP_TICKS = 100 }; /* between two stamps, at least */
static void run_passes(uint32_t nodes, uint64_t n, bench_result *r)
{
    passes p = {.every = nodes < STAMP_TICKS ? STAMP_TICKS / nodes : 1, .r = r};
    run_nodes(&(horus_node_desc){.tick = tick_stamp, .user = &p}, nodes, HORUS_DETERMINISTIC,
              n * p.every + 1);
    r->samples = p.count;
}
#define PASSES(NODES)                                                                              \
    static void passes_##NODES(int side, uint64_t first, uint64_t n, bench_result *r)              \
    {                                                                                              \
        (void)side;                                                                                \
        (void)first;                                                                               \
        run_passes(NODES, n, r);                                                                   \
    }
PASSES(1)
PASSES(10)
PASSES(100)
PASSES(1000)

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
static void sleep_until(uint64_t ns)
{
    struct timespec t = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {
    }
}

/* Processor time of a run that sleeps from tick to tick, less that of its first fiftieth. */
typedef struct spent {
    uint64_t from, ticks, first, last;
} spent;
static void spent_note(spent *s)
{
    if (s->ticks == s->from) {
        s->first = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    } else if (s->ticks > s->from) {
        s->last = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    }
    s->ticks++;
}
static void spent_emit(const char *name, int number, const spent *s, uint32_t nodes)
{
    result.out[0] = s->last - s->first;
    result.samples = 1;
    emit(name, number, ns_per_tick * (double)(s->ticks - 1 - s->from) * nodes, 1);
}
static horus_result tick_spent(void *user, horus_tick *t)
{
    (void)t;
    spent_note(user);
    return HORUS_OK;
}
static void group_spent(int n, uint64_t ticks)
{
    char name[64];
    for (int i = 0; i < n; i++) {
        spent s = {.from = ticks / 50 + 1};
        for (uint64_t due = clock_ns(CLOCK_MONOTONIC), k = 0; k < ticks; k++) {
            sleep_until(due += 1000000);
            (void)clock_ns(CLOCK_MONOTONIC);
            spent_note(&s);
        }
        spent_emit("floor: a sleep, processor time", i, &s, 1);
        for (uint32_t nodes = 1; nodes <= 1000; nodes *= 10) {
            s = (spent){.from = ticks / 50 + 1};
            run_nodes(&(horus_node_desc){.tick = tick_spent, .user = &s}, nodes, 0, ticks);
            snprintf(name, sizeof name, "tick: %u node%s, processor time", nodes,
                     nodes == 1 ? "" : "s");
            spent_emit(name, i, &s, nodes);
        }
    }
}

static void group_tick(int n, double scale)
{
    subject s[] = {
        {.name = "floor: a callback", .run = floor_callbacks, .per = 100},
        {.name = "tick: 1 node", .run = passes_1, .per = STAMP_TICKS},
        {.name = "tick: 10 nodes", .run = passes_10, .per = STAMP_TICKS},
        {.name = "tick: 100 nodes", .run = passes_100, .per = STAMP_TICKS},
        {.name = "tick: 1000 nodes", .run = passes_1000, .per = 1000},
    };
    for (size_t i = 0; i < sizeof s / sizeof s[0]; i++) {
        s[i].rounds = scaled(200000 / s[i].per, scale);
    }
    windows_alone(s, sizeof s / sizeof s[0], n);
    group_spent(n, scaled(1000, scale));
}

/* How late a 1 kHz loop begins: actual less programmed time, in nanoseconds. What could not begin in time
 * is caught up by all three, so that nothing late is left out. */
static bool fifo;
static void claim(void)
{
    struct sched_param p = {.sched_priority = 80}; /* HORUS_REALTIME's */
    if (fifo && sched_setscheduler(0, SCHED_FIFO, &p) != 0) {
        bench_die("SCHED_FIFO: %s", strerror(errno));
    }
}
static void waive(void)
{
    struct sched_param p = {0};
    if (fifo) {
        sched_setscheduler(0, SCHED_OTHER, &p);
    }
}
static void late_floor(int side, uint64_t first, uint64_t n, bench_result *r)
{
    (void)side;
    (void)first;
    claim();
    for (uint64_t due = clock_ns(CLOCK_MONOTONIC), i = 0; i < n; i++) {
        sleep_until(due += 1000000);
        r->out[i] = clock_ns(CLOCK_MONOTONIC) - due;
    }
    r->samples = n;
    waive();
}

static uint64_t late_from; /* when tick 0 was due */
static horus_result tick_late(void *user, horus_tick *t)
{
    bench_result *r = user;
    late_from = t->start_ns;
    if (t->phase != 0) { /* that one is due at once: nothing slept before it */
        r->out[r->samples++] = horus_now_ns() - t->due_ns;
    }
    return HORUS_OK;
}
/* A run gives up what it cannot catch up in the 100 ms after its end. */
static void late_never(uint64_t n, bench_result *r)
{
    for (uint64_t now = horus_now_ns(); r->samples < n; r->samples++) {
        r->out[r->samples] = now - late_from - (r->samples + 1) * 1000000;
    }
}
static void late_node(int side, uint64_t first, uint64_t n, bench_result *r)
{
    (void)side;
    (void)first;
    run_nodes(&(horus_node_desc){.tick = tick_late, .user = r, .overrun = HORUS_OVERRUN_CATCH_UP},
              1, fifo ? HORUS_REALTIME_OR_FAIL : 0, n + 1);
    late_never(n, r);
}

/* Whole microseconds; it may tune nothing that the others do not. */
static void late_cyclictest(int side, uint64_t first, uint64_t n, bench_result *r)
{
    char command[160], text[256];
    unsigned long long us, count;
    (void)side;
    (void)first;
    snprintf(command, sizeof command,
             "cyclictest --default-system -q -t1 -a%d -i1000 -l%llu -h200000 %s 2>/dev/null",
             cpus[0], (unsigned long long)n, fifo ? "-m -p80" : "");
    FILE *f = popen(command, "r");
    while (f != NULL && fgets(text, sizeof text, f) != NULL) {
        if (sscanf(text, "# Max Latencies: %llu", &us) == 1) {
            while (r->samples < n) { /* those beyond the histogram */
                r->out[r->samples++] = us * 1000;
            }
        } else if (sscanf(text, "%llu %llu", &us, &count) == 2) {
            while (count-- > 0 && r->samples < n) {
                r->out[r->samples++] = us * 1000;
            }
        }
    }
    if (f == NULL || pclose(f) != 0 || r->samples != n) {
        bench_die("cyclictest failed");
    }
}

static void group_late(int n, double scale)
{
    subject s[] = {
        {.name = "floor: sleep", .run = late_floor},
        {.name = "late: 1 kHz node", .run = late_node},
        {.name = "late: cyclictest", .run = late_cyclictest},
    };
    for (size_t i = 0; i < 3; i++) {
        s[i].rounds = scaled(2000, scale);
        s[i].per = ns_per_tick;
    }
    windows_alone(s, system("command -v cyclictest >/dev/null") == 0 ? 3 : 2, n);
}

/* The pipeline's slow detector: it computes for 60 ms where 50 are its budget. */
static horus_result tick_detect(void *user, horus_tick *t)
{
    (void)user;
    while (horus_now_ns() - t->now_ns < 60000000) {
    }
    return HORUS_OK;
}
static void run_control(bool detector, uint64_t n, bench_result *r)
{
    horus_scheduler *s;
    check(horus_scheduler_open(
              &s,
              &(horus_scheduler_desc){.name = "bench", .flags = fifo ? HORUS_REALTIME_OR_FAIL : 0}),
          "scheduler_open");
    check(horus_scheduler_add(s, &(horus_node_desc){.name = "control",
                                                    .tick = tick_late,
                                                    .user = r,
                                                    .rate_hz = 1000,
                                                    .overrun = HORUS_OVERRUN_CATCH_UP}),
          "scheduler_add");
    if (detector) {
        check(horus_scheduler_add(s, &(horus_node_desc){.name = "detector",
                                                        .tick = tick_detect,
                                                        .rate_hz = 30,
                                                        .compute = true,
                                                        .budget_ns = 50000000,
                                                        .on_miss = HORUS_MISS_SKIP}),
              "scheduler_add");
    }
    check(horus_scheduler_run(s, (int64_t)(n + 1) * 1000000), "scheduler_run");
    late_never(n, r);
    check(horus_scheduler_close(s), "scheduler_close");
}
static void control_alone(int side, uint64_t first, uint64_t n, bench_result *r)
{
    (void)side;
    (void)first;
    run_control(false, n, r);
}
static void control_beside(int side, uint64_t first, uint64_t n, bench_result *r)
{
    (void)side;
    (void)first;
    run_control(true, n, r);
}

static void use_both(void)
{
    cpu_set_t both;
    CPU_ZERO(&both);
    CPU_SET((size_t)cpus[0], &both);
    CPU_SET((size_t)cpus[1], &both);
    sched_setaffinity(0, sizeof both, &both);
}
static void group_beside(int n, double scale)
{
    subject s[] = {
        {.name = "floor: C node alone", .run = control_alone},
        {.name = "beside: C node, compute node", .run = control_beside},
    };
    use_both();
    for (size_t i = 0; i < 2; i++) {
        s[i].rounds = scaled(2000, scale);
        s[i].per = ns_per_tick;
    }
    windows_alone(s, 2, n);
}

/* ---- inference: an operator, and the runtime's own call with the same input and output, both with
 * what they need made before. One thread of the runtime's each. */

enum { /* places in the runtime's table, by its header of version 16 */
       ORT_ENV = 3,
       ORT_SESSION = 7,
       ORT_RUN = 9,
       ORT_OPTIONS = 10,
       ORT_THREADS = 24,
       ORT_TENSOR = 49,
       ORT_MEMORY = 69
};
typedef void (*ort_function)(void);
static const ort_function *ort;
#define ORT(place, ...) ((void *(*)(__VA_ARGS__))ort[place])
static void ort_check(void *status, const char *what)
{
    if (status != NULL) {
        bench_die("%s failed", what);
    }
}

static struct {
    void *session, *values[2];
    horus_infer *op, *over_topics;
    horus_tensor input;
    horus_topic *to, *from;
} infer;
static char infer_path[300];

/* The runtime by itself: a session of the model, and values over the pool's memory. */
static void bare_open(const horus_tensor *output)
{
    typedef struct ort_base {
        const void *(*get)(uint32_t version);
    } ort_base;
    const char *path = getenv("ORT_DYLIB_PATH");
    void *library = dlopen(path ? path : "libonnxruntime.so.1", RTLD_NOW | RTLD_LOCAL);
    void *symbol = library ? dlsym(library, "OrtGetApiBase") : NULL, *env, *options, *memory;
    const ort_base *(*base)(void);
    if (symbol == NULL) {
        bench_die("no ONNX Runtime: %s", dlerror());
    }
    memcpy(&base, &symbol, sizeof base);
    ort = base()->get(16);
    ort_check(ORT(ORT_ENV, int, const char *, void **)(4, "bench", &env), "CreateEnv");
    ort_check(ORT(ORT_OPTIONS, void **)(&options), "CreateSessionOptions");
    ort_check(ORT(ORT_THREADS, void *, int)(options, 1), "SetIntraOpNumThreads");
    ort_check(ORT(ORT_SESSION, void *, const char *, void *, void **)(env, infer_path, options,
                                                                      &infer.session),
              "CreateSession");
    ort_check(ORT(ORT_MEMORY, int, int, void **)(0, 0, &memory), "CreateCpuMemoryInfo");
    for (int i = 0; i < 2; i++) {
        const horus_tensor *t = i ? output : &infer.input;
        ort_check(ORT(ORT_TENSOR, void *, void *, size_t, const int64_t *, size_t, int,
                      void **)(memory, t->data, horus_tensor_numel(t) * 4, t->shape, t->ndim, 1,
                               &infer.values[i]),
                  "CreateTensor");
    }
}
static void bare_run(int side, uint64_t first, uint64_t n, bench_result *r)
{
    static const char *const x[] = {"x"}, *const y[] = {"y"};
    (void)side;
    (void)first;
    uint64_t then = bench_ticks();
    for (uint64_t i = 0; i < n; i++) {
        ort_check(ORT(ORT_RUN, void *, void *, const char *const *, void **, size_t,
                      const char *const *, size_t,
                      void **)(infer.session, NULL, x, infer.values, 1, y, 1, infer.values + 1),
                  "Run");
        uint64_t now = bench_ticks();
        r->out[i] = now - then;
        then = now;
    }
    r->samples = n;
}
/* By hand: set and execute. */
static void infer_executes(int side, uint64_t first, uint64_t n, bench_result *r)
{
    (void)side;
    (void)first;
    uint64_t then = bench_ticks();
    for (uint64_t i = 0; i < n; i++) {
        if (horus_infer_set(infer.op, "x", &infer.input, 1) != HORUS_OK ||
            horus_infer_execute(infer.op) != HORUS_OK) {
            bench_die("%s", horus_last_error());
        }
        uint64_t now = bench_ticks();
        r->out[i] = now - then;
        then = now;
    }
    r->samples = n;
}
/* Over topics: what the operator's side of it takes, which is to receive, run and send. */
static void infer_topics(int side, uint64_t first, uint64_t n, bench_result *r)
{
    (void)side;
    (void)first;
    for (uint64_t i = 0; i < n; i++) {
        horus_tensor t;
        check(horus_topic_send_tensor(infer.to, &infer.input, HORUS_NO_WAIT), "send_tensor");
        uint64_t then = bench_ticks();
        horus_result done = horus_infer_run(infer.over_topics);
        r->out[i] = bench_ticks() - then;
        check(done, "infer_run");
        check(horus_topic_receive_tensor(infer.from, &t, NULL, HORUS_NO_WAIT), "receive_tensor");
        check(horus_tensor_release(&t), "release");
    }
    r->samples = n;
}

/* What the description points to lives as long as the operators, which are alike. */
static horus_infer *infer_open(uint32_t models, horus_choice parallel, horus_topic *from,
                               horus_topic *to)
{
    static const char *const names[] = {"m", "n"}, *const takes[] = {"x", NULL};
    static const char *const gives[2][2] = {{"y", NULL}, {"z", NULL}};
    static horus_infer_entry paths[3];
    static horus_infer_list in[3], out[3];
    static horus_infer_input input[2];
    horus_infer *op;
    for (uint32_t i = 0; i < models; i++) {
        paths[i] = (horus_infer_entry){names[i], infer_path};
        in[i] = (horus_infer_list){names[i], takes};
        out[i] = (horus_infer_list){names[i], gives[i]};
    }
    input[0] = (horus_infer_input){.topic = from, .tensor = "x"};
    horus_infer_desc d = {.backend = "onnxrt",
                          .model_path_map = paths,
                          .pre_processor_map = in,
                          .inference_map = out,
                          .infer_on_cpu = true,
                          .threads = 1,
                          .parallel_inference = parallel,
                          .inputs = from ? input : NULL,
                          .output = to};
    check(horus_infer_open(&op, &d, NULL, 0), "infer_open");
    return op;
}
static void infer_input(const char *name, uint32_t ndim, const int64_t *shape)
{
    const char *folder = getenv("BENCH_MODELS");
    snprintf(infer_path, sizeof infer_path, "%s/%s.onnx", folder ? folder : ".", name);
    check(horus_tensor_alloc(&infer.input, NULL, HORUS_F32, ndim, shape, 0), "tensor_alloc");
}
static void group_infer(const char *name, int n, double scale)
{
    static const int64_t small[] = {1, 16}, image[] = {1, 3, 640, 640}, part[] = {1, 3, 1, 1};
    const bool large = strcmp(name, "image") == 0;
    const char *label = large ? "640x640x3" : "small";
    static char text[3][64];
    horus_topic *topic[2];
    horus_tensor output;
    subject s[] = {{.run = bare_run}, {.run = infer_executes}, {.run = infer_topics}};
    infer_input(name, large ? 4 : 2, large ? image : small);
    check(horus_tensor_alloc(&output, NULL, HORUS_F32, large ? 4 : 2, large ? part : small, 0),
          "tensor_alloc");
    check(horus_topic_open(&infer.to, "in", NULL), "topic_open");
    check(horus_topic_open(&topic[0], "in", NULL), "topic_open");
    check(horus_topic_open(&topic[1], "out", NULL), "topic_open");
    check(horus_topic_open(&infer.from, "out", NULL), "topic_open");
    infer.op = infer_open(1, HORUS_NO, NULL, NULL);
    infer.over_topics = infer_open(1, HORUS_NO, topic[0], topic[1]);
    bare_open(&output);
    snprintf(text[0], sizeof text[0], "floor: session.run, %s", label);
    snprintf(text[1], sizeof text[1], "infer: set and execute, %s", label);
    snprintf(text[2], sizeof text[2], "infer: over topics, %s", label);
    for (size_t i = 0; i < 3; i++) {
        s[i].name = text[i];
        s[i].rounds = scaled(20000, scale);
        s[i].per = 1;
    }
    windows_alone(s, 3, n);
    horus_infer_close(infer.op);
    horus_infer_close(infer.over_topics);
}

/* Two equal models, one after the other and beside each other. */
static horus_infer *two[2];
static void infer_sequence(int side, uint64_t first, uint64_t n, bench_result *r)
{
    infer.op = two[0];
    infer_executes(side, first, n, r);
}
static void infer_parallel(int side, uint64_t first, uint64_t n, bench_result *r)
{
    infer.op = two[1];
    infer_executes(side, first, n, r);
}
static void group_infer_two(int n, double scale)
{
    static const int64_t shape[] = {256, 256};
    subject s[] = {{.name = "floor: two models, in sequence", .run = infer_sequence},
                   {.name = "infer: two models, parallel", .run = infer_parallel}};
    use_both();
    infer_input("heavy", 2, shape);
    two[0] = infer_open(2, HORUS_NO, NULL, NULL);
    two[1] = infer_open(2, HORUS_YES, NULL, NULL);
    for (size_t i = 0; i < 2; i++) {
        s[i].rounds = scaled(100, scale);
        s[i].per = 1;
    }
    windows_alone(s, 2, n);
    horus_infer_close(two[0]);
    horus_infer_close(two[1]);
}

/* Resident memory of a process that has opened a namespace and two topics, and of one that has not:
 * two runs of this program. */
static void group_idle(int opened)
{
    horus_context *context = NULL;
    horus_topic *in, *out;
    if (opened) {
        check(horus_context_open(&context, NULL), "context_open");
        horus_topic_desc desc = {.type = &horus_bench64_type, .context = context};
        check(horus_topic_open(&in, "in", &desc), "topic_open");
        desc.flags = HORUS_PUBLISHER;
        check(horus_topic_open(&out, "out", &desc), "topic_open");
    }
    FILE *f = fopen("/proc/self/smaps_rollup", "r");
    char text[256];
    long kb = -1;
    while (f != NULL && fgets(text, sizeof text, f) != NULL) {
        if (sscanf(text, "Rss: %ld", &kb) == 1) {
            break;
        }
    }
    if (f != NULL) {
        fclose(f);
    }
    printf("{\"name\": \"%s\", \"rss_kb\": %ld}\n", opened ? "idle" : "bare", kb);
    horus_context_close(context);
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: bench GROUP WINDOWS SCALE CPU0 CPU1 (see run.py)\n");
        return 2;
    }
    const char *group = argv[1];
    int n = atoi(argv[2]);
    double scale = atof(argv[3]);
    cpus[0] = atoi(argv[4]);
    cpus[1] = atoi(argv[5]);
    setvbuf(stdout, NULL, _IOFBF, 1 << 20);
    char name[64];
    snprintf(name, sizeof name, "bench-%ld", (long)getpid());
    setenv("HORUS_NAMESPACE", name, 1);
    if (strcmp(group, "idle") == 0) {
        group_idle(n);
        return 0;
    }
    result.out = share(BENCH_MAX_SAMPLES * sizeof result.out[0]);
    sh = share(sizeof *sh);
    pin(cpus[0]);
    calibrate();
    if (strcmp(group, "hop") == 0) {
        group_hop(n, scale);
    } else if (strcmp(group, "image") == 0) {
        group_image(n, scale, 0);
    } else if (strcmp(group, "stream") == 0) {
        group_stream(n, scale);
    } else if (strcmp(group, "wake") == 0) {
        group_wake(n, scale);
    } else if (strcmp(group, "alloc") == 0) {
        group_alloc(n, scale);
    } else if (strcmp(group, "open") == 0) {
        group_open(n, scale);
    } else if (strcmp(group, "tick") == 0) {
        group_tick(n, scale);
    } else if (strcmp(group, "late") == 0 || strcmp(group, "late_fifo") == 0) {
        fifo = strcmp(group, "late_fifo") == 0;
        group_late(n, scale);
    } else if (strcmp(group, "beside") == 0 || strcmp(group, "beside_fifo") == 0) {
        fifo = strcmp(group, "beside_fifo") == 0;
        group_beside(n, scale);
    } else if (strcmp(group, "infer_small") == 0 || strcmp(group, "infer_image") == 0) {
        group_infer(group + 6, n, scale);
    } else if (strcmp(group, "infer_two") == 0) {
        group_infer_two(n, scale);
#ifdef WITH_ICEORYX
    } else if (strcmp(group, "iceoryx") == 0) {
        group_image(n, scale, 1);
#endif
    } else {
        bench_die("no group '%s'", group);
    }
    return 0;
}
