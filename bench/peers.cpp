/* Queues of other projects, each streaming 64-byte messages one at a time through a ring of 1024,
 * in the way its authors advise for one producer and one consumer. Those that are not installed are
 * left out. ConcurrencyKit does not compile as C++: bench.c has it. */
#include "bench.h"

#include <new>

#if __has_include(<boost/lockfree/spsc_queue.hpp>)
#define HAVE_BOOST 1
#include <boost/lockfree/spsc_queue.hpp>
#endif
#if __has_include(<readerwriterqueue/readerwriterqueue.h>)
#define HAVE_RWQ 1
#include <readerwriterqueue/readerwriterqueue.h>
#endif
#if __has_include(<atomic_queue/atomic_queue.h>)
#define HAVE_ATOMIC_QUEUE 1
#include <atomic_queue/atomic_queue.h>
#endif

template <class Queue> static void make(void *memory) { new (memory) Queue(); }

template <class Queue>
static void run(void *memory, int side, uint64_t first, uint64_t n, bench_result *r)
{
    Queue &q = *static_cast<Queue *>(memory);
    if (side == 0) {
        BENCH_CONSUME(bench_message, 8, false, q.get(m));
    } else {
        BENCH_PRODUCE(bench_message, 8, q.put(m));
    }
}

#ifdef HAVE_BOOST
struct boost_queue {
    boost::lockfree::spsc_queue<bench_message, boost::lockfree::capacity<BENCH_RING>> q;
    bool put(const bench_message &m) { return q.push(m); }
    bool get(bench_message &m) { return q.pop(m); }
};
#endif

#ifdef HAVE_RWQ /* allocates its blocks from the heap */
struct rw_queue {
    moodycamel::ReaderWriterQueue<bench_message> q{BENCH_RING};
    bool put(const bench_message &m) { return q.try_enqueue(m); }
    bool get(bench_message &m) { return q.try_dequeue(m); }
};
#endif

#ifdef HAVE_ATOMIC_QUEUE
struct atomic_queue_try {
    atomic_queue::AtomicQueue2<bench_message, BENCH_RING, true, true, false, true> q;
    bool put(const bench_message &m) { return q.try_push(m); }
    bool get(bench_message &m) { return q.try_pop(m); }
};
struct atomic_queue_spin { /* push and pop that wait inside, without the pause instruction */
    atomic_queue::AtomicQueue2<bench_message, BENCH_RING, true, false, false, true> q;
    bool put(const bench_message &m) { return q.push(m), true; }
    bool get(bench_message &m) { return m = q.pop(), true; }
};
#endif

/* clang-format off */
#define PEER(NAME, THREADS, QUEUE) {NAME, THREADS, sizeof(QUEUE), make<QUEUE>, run<QUEUE>},
const bench_peer bench_peers[] = {
#ifdef HAVE_BOOST
    PEER("boost spsc_queue", 0, boost_queue)
#endif
#ifdef HAVE_RWQ
    PEER("readerwriterqueue (threads)", 1, rw_queue)
#endif
#ifdef HAVE_ATOMIC_QUEUE
    PEER("atomic_queue try_push", 0, atomic_queue_try)
    PEER("atomic_queue push", 0, atomic_queue_spin)
#endif
    {nullptr, 0, 0, nullptr, nullptr}};
/* clang-format on */
const size_t bench_peer_count = sizeof bench_peers / sizeof bench_peers[0] - 1;
