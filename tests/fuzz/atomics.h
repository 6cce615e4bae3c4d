/* The library's atomics, with a hostile member at work before each access: fuzz_step(address) does
 * what another process could do between any two of them, at a place that can be found again. No
 * order is changed; see >>atomics in horus.h. */
static void fuzz_step(const volatile void *at);
#define horusi_ld32_rlx(label, p) (fuzz_step(p), atomic_load_explicit(p, memory_order_relaxed))
#define horusi_ld32_acq(label, p) (fuzz_step(p), atomic_load_explicit(p, memory_order_acquire))
#define horusi_ldp_acq(label, p) atomic_load_explicit(p, memory_order_acquire)
#define horusi_stp_rel(label, p, v) atomic_store_explicit(p, v, memory_order_release)
#define horusi_ld32_seq(label, p) (fuzz_step(p), atomic_load_explicit(p, memory_order_seq_cst))
#define horusi_st32_rlx(label, p, v)                                                               \
    (fuzz_step(p), atomic_store_explicit(p, v, memory_order_relaxed))
#define horusi_st32_rel(label, p, v)                                                               \
    (fuzz_step(p), atomic_store_explicit(p, v, memory_order_release))
#define horusi_st32_seq(label, p, v)                                                               \
    (fuzz_step(p), atomic_store_explicit(p, v, memory_order_seq_cst))
#define horusi_add32_rlx(label, p, v)                                                              \
    (fuzz_step(p), atomic_fetch_add_explicit(p, v, memory_order_relaxed))
#define horusi_add32_acqrel(label, p, v)                                                           \
    (fuzz_step(p), atomic_fetch_add_explicit(p, v, memory_order_acq_rel))
#define horusi_add32_seq(label, p, v)                                                              \
    (fuzz_step(p), atomic_fetch_add_explicit(p, v, memory_order_seq_cst))
#define horusi_cas32_acqrel(label, p, expected, v)                                                 \
    (fuzz_step(p), atomic_compare_exchange_strong_explicit(p, expected, v, memory_order_acq_rel,   \
                                                           memory_order_acquire))
#define horusi_cas32_seq(label, p, expected, v)                                                    \
    (fuzz_step(p), atomic_compare_exchange_strong_explicit(p, expected, v, memory_order_seq_cst,   \
                                                           memory_order_seq_cst))
#define horusi_ld64_rlx(label, p) (fuzz_step(p), atomic_load_explicit(p, memory_order_relaxed))
#define horusi_ld64_acq(label, p) (fuzz_step(p), atomic_load_explicit(p, memory_order_acquire))
#define horusi_ld64_seq(label, p) (fuzz_step(p), atomic_load_explicit(p, memory_order_seq_cst))
#define horusi_st64_rlx(label, p, v)                                                               \
    (fuzz_step(p), atomic_store_explicit(p, v, memory_order_relaxed))
#define horusi_st64_rel(label, p, v)                                                               \
    (fuzz_step(p), atomic_store_explicit(p, v, memory_order_release))
#define horusi_st64_seq(label, p, v)                                                               \
    (fuzz_step(p), atomic_store_explicit(p, v, memory_order_seq_cst))
#define horusi_or64_rlx(label, p, v)                                                               \
    (fuzz_step(p), atomic_fetch_or_explicit(p, v, memory_order_relaxed))
#define horusi_or64_seq(label, p, v)                                                               \
    (fuzz_step(p), atomic_fetch_or_explicit(p, v, memory_order_seq_cst))
#define horusi_and64_rel(label, p, v)                                                              \
    (fuzz_step(p), atomic_fetch_and_explicit(p, v, memory_order_release))
#define horusi_xchg64_seq(label, p, v)                                                             \
    (fuzz_step(p), atomic_exchange_explicit(p, v, memory_order_seq_cst))
#define horusi_cas64_acqrel(label, p, expected, v)                                                 \
    (fuzz_step(p), atomic_compare_exchange_strong_explicit(p, expected, v, memory_order_acq_rel,   \
                                                           memory_order_acquire))
#define horusi_cas64_seq(label, p, expected, v)                                                    \
    (fuzz_step(p), atomic_compare_exchange_strong_explicit(p, expected, v, memory_order_seq_cst,   \
                                                           memory_order_seq_cst))
