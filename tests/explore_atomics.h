/* The atomics of horus.h as the explorer wants them: each access is a call that knows its place, its
 * label and its order. See explore.c. */
enum { X_RLX, X_ACQ, X_REL, X_ACQREL, X_SEQ };
enum { X_LOAD, X_STORE, X_ADD, X_XCHG, X_OR, X_AND, X_CAS };

typedef struct x_site {                  /* one access in the source */
    const char *label, *function, *what; /* what: the expression that names the atomic */
    uint16_t line, id;
    uint8_t op, order;
} x_site;
uint64_t x_access(const x_site *site, const volatile void *p, int bytes, uint64_t v,
                  uint64_t *expected);

#define X_DO(label_, op_, order_, bytes_, p_, v_, expected_)                                       \
    ({                                                                                             \
        __attribute__((section("x_sites"), used, aligned(8))) static const x_site x_site_ = {      \
            #label_, __func__, #p_, __LINE__, __COUNTER__, op_, order_};                           \
        x_access(&x_site_, (const volatile void *)(p_), bytes_, v_, expected_);                    \
    })
#define X_DO32(label, op, order, p, v) ((uint32_t)X_DO(label, op, order, 4, p, (uint32_t)(v), NULL))
#define X_DO64(label, op, order, p, v) X_DO(label, op, order, 8, p, v, NULL)
#define X_CAS_OF(type, label, order, p, e, v)                                                      \
    ({                                                                                             \
        uint64_t x_expected_ = *(e);                                                               \
        bool x_done_ = X_DO(label, X_CAS, order, (int)sizeof(type), p, v, &x_expected_) != 0;      \
        *(e) = (type)x_expected_; /* the same if it is done; no branch, as in the original */      \
        x_done_;                                                                                   \
    })

#define horusi_ld32_rlx(label, p) X_DO32(label, X_LOAD, X_RLX, p, 0)
#define horusi_ld32_acq(label, p) X_DO32(label, X_LOAD, X_ACQ, p, 0)
#define horusi_ld32_seq(label, p) X_DO32(label, X_LOAD, X_SEQ, p, 0)
#define horusi_st32_rlx(label, p, v) ((void)X_DO32(label, X_STORE, X_RLX, p, v))
#define horusi_st32_rel(label, p, v) ((void)X_DO32(label, X_STORE, X_REL, p, v))
#define horusi_st32_seq(label, p, v) ((void)X_DO32(label, X_STORE, X_SEQ, p, v))
#define horusi_add32_rlx(label, p, v) X_DO32(label, X_ADD, X_RLX, p, v)
#define horusi_add32_acqrel(label, p, v) X_DO32(label, X_ADD, X_ACQREL, p, v)
#define horusi_add32_seq(label, p, v) X_DO32(label, X_ADD, X_SEQ, p, v)
#define horusi_cas32_acqrel(label, p, e, v) X_CAS_OF(uint32_t, label, X_ACQREL, p, e, v)
#define horusi_cas32_seq(label, p, e, v) X_CAS_OF(uint32_t, label, X_SEQ, p, e, v)
#define horusi_ld64_rlx(label, p) X_DO64(label, X_LOAD, X_RLX, p, 0)
#define horusi_ld64_acq(label, p) X_DO64(label, X_LOAD, X_ACQ, p, 0)
#define horusi_ld64_seq(label, p) X_DO64(label, X_LOAD, X_SEQ, p, 0)
#define horusi_st64_rlx(label, p, v) ((void)X_DO64(label, X_STORE, X_RLX, p, v))
#define horusi_st64_rel(label, p, v) ((void)X_DO64(label, X_STORE, X_REL, p, v))
#define horusi_st64_seq(label, p, v) ((void)X_DO64(label, X_STORE, X_SEQ, p, v))
#define horusi_or64_rlx(label, p, v) X_DO64(label, X_OR, X_RLX, p, v)
#define horusi_or64_seq(label, p, v) X_DO64(label, X_OR, X_SEQ, p, v)
#define horusi_and64_rel(label, p, v) X_DO64(label, X_AND, X_REL, p, v)
#define horusi_xchg64_seq(label, p, v) X_DO64(label, X_XCHG, X_SEQ, p, v)
#define horusi_cas64_acqrel(label, p, e, v) X_CAS_OF(uint64_t, label, X_ACQREL, p, e, v)
#define horusi_cas64_seq(label, p, e, v) X_CAS_OF(uint64_t, label, X_SEQ, p, e, v)
#define horusi_ldp_acq(label, p) ((void *)(uintptr_t)X_DO64(label, X_LOAD, X_ACQ, p, 0))
#define horusi_stp_rel(label, p, v) ((void)X_DO64(label, X_STORE, X_REL, p, (uintptr_t)(v)))
