/* What the benchmark's parts share: the stamp, and the loops that every floor, every peer and horus
 * run in. A subject supplies only "send i" and "receive i", so that ratios compare like with like.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The stamp. Ticks become nanoseconds by calibration against CLOCK_MONOTONIC. */
static inline uint64_t bench_ticks(void)
{
#if defined(__x86_64__) || defined(__i386__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t t;
    __asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(t));
    return t;
#else
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
#endif
}

/* What one window of one subject yields. */
typedef struct bench_result {
    uint64_t *out;     /* samples in ticks, room for BENCH_MAX_SAMPLES */
    uint64_t samples;  /* how many */
    uint64_t ticks;    /* streams: first to last message; else 0 */
    uint64_t received; /* streams: messages that arrived */
} bench_result;

enum { BENCH_MAX_SAMPLES = 1 << 20, BENCH_BATCH = 256, BENCH_RING = 1024 };

/* Prints what is wrong, ends both processes. */
void bench_die(const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 1, 2), noreturn))
#endif
    ;

/* Ping-pong. Side 0 takes one stamp per round trip, right after it has the answer. */
#define BENCH_PINGPONG(NAME, SEND, RECEIVE)                                                        \
    static void NAME(int side, uint64_t first, uint64_t n, bench_result *r)                        \
    {                                                                                              \
        if (side != 0) {                                                                           \
            for (uint64_t i = first; i < first + n; i++) {                                         \
                RECEIVE(side, i);                                                                  \
                SEND(side, i);                                                                     \
            }                                                                                      \
            return;                                                                                \
        }                                                                                          \
        uint64_t then = bench_ticks();                                                             \
        for (uint64_t i = first; i < first + n; i++) {                                             \
            SEND(side, i);                                                                         \
            RECEIVE(side, i);                                                                      \
            uint64_t now = bench_ticks();                                                          \
            r->out[i - first] = now - then;                                                        \
            then = now;                                                                            \
        }                                                                                          \
        r->samples = n;                                                                            \
    }

/* Streams. A message is `words` words: the first its number, the last the complement, both checked
 * on arrival. Side 1 produces, side 0 consumes and stamps every BENCH_BATCH messages. TRY is an
 * expression on `m`, true when it was sent or received. LOSSY: gaps are allowed. */
#define BENCH_PRODUCE(MESSAGE, WORDS, TRY)                                                         \
    do {                                                                                           \
        MESSAGE m = {{0}};                                                                         \
        for (uint64_t i = first; i < first + n; i++) {                                             \
            m.w[0] = i;                                                                            \
            m.w[(WORDS)-1] = ~i;                                                                   \
            while (!(TRY)) {                                                                       \
            }                                                                                      \
        }                                                                                          \
    } while (0)
#define BENCH_CONSUME(MESSAGE, WORDS, LOSSY, TRY)                                                  \
    do {                                                                                           \
        MESSAGE m = {{0}};                                                                         \
        uint64_t start = 0, then = 0, from = 0, samples = 0, received = 0;                         \
        for (uint64_t next = first; next < first + n;) {                                           \
            while (!(TRY)) {                                                                       \
            }                                                                                      \
            uint64_t got = m.w[0];                                                                 \
            if (m.w[(WORDS)-1] != ~got || ((LOSSY) ? got < next : got != next)) {                  \
                bench_die("message %llu is wrong: got %llu", (unsigned long long)next,             \
                          (unsigned long long)got);                                                \
            }                                                                                      \
            next = got + 1;                                                                        \
            received++;                                                                            \
            if (start == 0) {                                                                      \
                start = then = bench_ticks();                                                      \
                from = next;                                                                       \
            } else if (next - from >= BENCH_BATCH) {                                               \
                uint64_t now = bench_ticks();                                                      \
                r->out[samples++] = (now - then) * BENCH_BATCH / (next - from);                    \
                then = now;                                                                        \
                from = next;                                                                       \
            }                                                                                      \
        }                                                                                          \
        r->ticks = bench_ticks() - start;                                                          \
        r->samples = samples;                                                                      \
        r->received = received;                                                                    \
    } while (0)

typedef struct bench_message {
    uint64_t w[8];
} bench_message; /* 64 bytes */

/* A queue to stream through. run() is called on both sides. */
typedef struct bench_peer {
    const char *name;
    int threads; /* 1: two threads, because it cannot live in shared memory; 0: two processes */
    size_t bytes;
    void (*init)(void *memory); /* before the fork; memory is shared, zeroed, 4096-byte aligned */
    void (*run)(void *memory, int side, uint64_t first, uint64_t n, bench_result *r);
} bench_peer;
extern const bench_peer bench_peers[];
extern const size_t bench_peer_count;

/* peers_iceoryx.c: `iox-roudi` must be running. */
void bench_iceoryx_open(int side);
void bench_iceoryx_close(void);
void bench_iceoryx_64k(int side, uint64_t first, uint64_t n, bench_result *r);
void bench_iceoryx_1m(int side, uint64_t first, uint64_t n, bench_result *r);
void bench_iceoryx_8m(int side, uint64_t first, uint64_t n, bench_result *r);

#ifdef __cplusplus
}
#endif
#endif
