/* horus.h - crash-safe shared memory for robots: tensor pool, typed views, lock-free topics
 *
 * Version 0.1.0. Public domain or MIT, as you choose; see >>license at the end of the file.
 *
 * Contents (search for the tag)
 *
 *     the API      >>manual >>config >>result >>types >>pool >>topic >>message >>scheduler
 *                  >>vision >>inference
 *     the ground   >>layout >>atomics >>os
 *     memory       >>slots >>blocks >>rings >>repair >>geometry >>join >>frames
 *     topics       >>handles >>recording >>send >>receive >>wait
 *     views        >>tensors >>images >>depth >>pictures >>prepare >>decode
 *     scheduler    >>threads >>figures >>nodes >>phases >>misses >>ticks >>setup >>runs
 *     inference    >>parameters >>backends >>onnxrt >>openvino >>registry >>models >>operator
 *                  >>license
 *
 * ------------------------------------------------------------------------------------ >>manual
 *
 * In ONE C file of your program:
 *
 *     #define HORUS_IMPLEMENTATION
 *     #include "horus.h"
 *
 * and in every other one just the include. Nothing to link but the C library (on old ones
 * -pthread and -ldl). A publisher and a subscriber, in any two processes of one user:
 *
 *     horus_topic *t;
 *     horus_topic_open(&t, "camera", &(horus_topic_desc){.type = &horus_image_type});
 *
 *     horus_image img;                                   | horus_image img;
 *     horus_image_alloc(&img, NULL, 640, 480,            | while (horus_topic_receive_image(t, &img,
 *                       HORUS_RGB8, HORUS_UNINIT);       |            NULL, HORUS_FOREVER) == 0) {
 *     draw(img.data, img.stride_bytes);                  |     look_at(img.data);
 *     horus_topic_send_image(t, &img, 0);                |     horus_image_release(&img);
 *     horus_image_release(&img);                         | }
 *
 * What happens. The first process creates one file under /dev/shm; the others join it. The file is
 * the namespace: the pool of slots that frames live in, the topics, and a row for each process.
 * Sending a frame writes a descriptor into the publisher's own ring; receiving one records this
 * process as a holder of the slot. No pixel is copied, and the price does not depend on the size.
 *
 * Lifetimes. A frame lives while anybody holds it: the handle you were given, a ring entry, another
 * process. What you hold is never overwritten, reused, unmapped or zeroed, however many messages
 * later. Release it once (horus_image_release), and do not use the view afterwards.
 *
 * Writing. A fresh frame is yours to write. Sending it publishes it: from then on everybody, you
 * too, only reads it; horus_image_copy() gives a private writable copy.
 *
 * Crashes. A process may be killed between any two instructions. Its locks vanish with it, the next
 * process that opens, allocates against a full pool, or calls horus_context_sweep() takes back what
 * it held; messages that it had sent stay. A stopped process (SIGSTOP, a debugger) is not dead: it
 * keeps all that it holds.
 *
 * Threads. A context, a pool and frames may be used by any thread. A topic handle belongs to one
 * thread at a time: open one per thread (a second thread that calls meanwhile gets E_BUSY). A
 * signal handler may send inline messages on a handle of its own that was opened with
 * HORUS_PUBLISHER, to an `overwrite` topic.
 *
 *     what                            may run at the same time as
 *     any call on a frame or pool     any other call
 *     a call on a topic handle        calls on other handles, of the same topic too
 *     horus_context_close             nothing that uses this context
 *     writing into a fresh frame      nothing else on that frame
 *
 * fork(). The child keeps reading frames that it inherited, but does not hold them: they live as
 * long as the parent holds them. Handles of the parent give E_DETACHED in the child; open new ones.
 * A signal handler may fork, too. A child of _Fork() or a bare clone(), which skip pthread_atfork(),
 * must not use horus.
 *
 * Real time. After set-up (open; the first send of a handle unless HORUS_PUBLISHER was given) send,
 * receive, alloc and release take no heap, no lock another process could hold, and no system call,
 * but for a wake-up when somebody sleeps, the first use of a range of memory, and the look for dead
 * processes before a call would fail for lack of room.
 *
 * Errors. Every call returns a horus_result; horus_last_error() says what exactly, and what to do.
 * Outputs are zero after a failure.
 *
 * Names of topics, pools and namespaces: [A-Za-z0-9_.:/-], 1 to 96 bytes, no "..", no '/' at either
 * end and no "//".
 *
 * Environment: HORUS_NAMESPACE (which namespace; default: one per user), HORUS_DIR (where; default
 * /dev/shm), HORUS_GROUP (share the namespace with the members of this group). Making a namespace or a
 * pool takes a mounted /proc, joining does not. Once in, a program may close all descriptors that
 * are not its own, as daemons do, or chroot().
 */
#ifndef HORUS_H
#define HORUS_H

#if defined(HORUS_IMPLEMENTATION) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* strict C modes hide POSIX otherwise; see the check in >>os */
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------------------ >>config
 *
 * Define before the include, the same in every file of a program:
 *
 *     HORUS_STATIC       every function static: one file uses the library, nothing is exported
 *     HORUS_NO_OS        no operating system: one address space, contexts in memory that you give,
 *                        time from HORUS_NOW_NS(); see examples/firmware.c
 *     HORUS_NO_VIEWS     without images, clouds and depth (tensors stay)
 *     HORUS_NO_SCHEDULER without the scheduler; HORUS_NO_OS has none
 *     HORUS_NO_VISION    without what prepares and decodes tensors of networks (>>vision); of that,
 *                        HORUS_NO_VIEWS leaves out what takes images
 *     HORUS_NO_INFER     without the inference operator, which needs the scheduler's part
 *     HORUS_SHM_DIR      "/dev/shm"
 *     HORUS_MALLOC(n)    and HORUS_FREE(p): the heap for handles (set-up only); default calloc, free
 *     HORUS_STB_IMAGE_WRITE "path/stb_image_write.h"   for horus_image_write, if it is not found
 *                        as <stb/stb_image_write.h> or <stb_image_write.h>
 *
 * For HORUS_NO_OS also HORUS_NOW_NS() (a uint64_t clock that never goes back), and on processors
 * without 64-bit atomics HORUS_CRITICAL_ENTER() and HORUS_CRITICAL_LEAVE(). */
#if defined(HORUS_NO_OS) && !defined(HORUS_NO_SCHEDULER)
#define HORUS_NO_SCHEDULER
#endif
#if defined(HORUS_NO_SCHEDULER) && !defined(HORUS_NO_INFER)
#define HORUS_NO_INFER
#endif

#define HORUS_VERSION_MAJOR 0
#define HORUS_VERSION_MINOR 1
#define HORUS_VERSION_PATCH 0

#ifdef HORUS_STATIC
#define HORUS_API static __attribute__((unused)) /* a user need not call everything */
#else
#define HORUS_API extern
#endif

#define HORUS_NO_WAIT 0         /* timeout: return at once */
#define HORUS_FOREVER INT64_MAX /* timeout: wait until it happens */
#define HORUS_NAME_BYTES 97     /* a name with its NUL */
#define HORUS_FRAME_ID_BYTES 64 /* a frame id with its NUL */
#define HORUS_MAX_DIMS 8        /* dimensions of a tensor */
#define HORUS_MAX_INLINE 65536  /* largest message that may travel inside a ring, bytes */
#define HORUS_MAX_PROCESSES 128 /* processes in one namespace at a time */

/* ------------------------------------------------------------------------------------ >>result
 *
 * One list; codes are never renumbered. X(name, value, text) */
/* clang-format off */
#define HORUS_RESULTS(X)                                                                          \
    X(OK,             0, "success")                                                               \
    X(EMPTY,          1, "no message")                                                            \
    X(FULL,           2, "the topic is full: its slowest reader has not caught up")               \
    X(TIMEOUT,        3, "the time ran out")                                                      \
    X(INTERRUPTED,    4, "a signal handler ran while waiting")                                    \
    X(E_ARG,         -1, "bad argument")                                                          \
    X(E_NAME,        -2, "bad name")                                                              \
    X(E_TYPE,        -3, "wrong message type")                                                    \
    X(E_POLICY,      -4, "wrong delivery policy")                                                 \
    X(E_SIZE,        -5, "wrong size")                                                            \
    X(E_MEMORY,      -6, "out of heap memory or address space")                                   \
    X(E_POOL_FULL,   -7, "the pool is full")                                                      \
    X(E_LIMIT,       -8, "a fixed limit was reached")                                             \
    X(E_BUSY,        -9, "in use by another thread or process")                                   \
    X(E_CLOSED,     -10, "the object is closed or was released")                                  \
    X(E_READONLY,   -11, "the frame is published; copy() gives a writable one")                   \
    X(E_NOT_FOUND,  -12, "no such thing")                                                         \
    X(E_PERMISSION, -13, "permission denied")                                                     \
    X(E_VERSION,    -14, "another version of the shared layout")                                  \
    X(E_CORRUPT,    -15, "shared memory holds impossible values")                                 \
    X(E_SYSTEM,     -16, "the operating system refused")                                          \
    X(E_UNSUPPORTED,-17, "not available in this build or on this system")                         \
    X(E_GONE,       -18, "the namespace's file was removed from under us")                        \
    X(E_DETACHED,   -19, "opened before fork(): open it again in the child")                      \
    X(E_DIVERGED,   -20, "a replay did something else than what was recorded")
/* clang-format on */

typedef enum horus_result {
#define HORUSI_X(name, value, text) HORUS_##name = value,
    HORUS_RESULTS(HORUSI_X)
#undef HORUSI_X
} horus_result;

/* The fixed text of a code, never NULL. Any thread, any time. */
HORUS_API const char *horus_result_text(horus_result result);

/* What went wrong in this thread's last failed call: the object, the value, the fix. Never NULL; ""
 * if nothing failed yet. Valid until this thread's next failing call. */
HORUS_API const char *horus_last_error(void);

/* ------------------------------------------------------------------------------------ >>types */

typedef struct horus_context horus_context; /* this process's membership in one namespace */
typedef struct horus_pool horus_pool;       /* a pool of slots in it */
typedef struct horus_topic horus_topic;     /* one thread's handle to a topic */

/* Element types. X(NAME, value, bytes, NumPy name, DLPack code); none is below a byte. */
/* clang-format off */
#define HORUS_DTYPES(X)               \
    X(F32,   0, 4, "float32",  2)     \
    X(F64,   1, 8, "float64",  2)     \
    X(F16,   2, 2, "float16",  2)     \
    X(BF16,  3, 2, "bfloat16", 4)     \
    X(U8,    4, 1, "uint8",    1)     \
    X(U16,   5, 2, "uint16",   1)     \
    X(U32,   6, 4, "uint32",   1)     \
    X(U64,   7, 8, "uint64",   1)     \
    X(I8,    8, 1, "int8",     0)     \
    X(I16,   9, 2, "int16",    0)     \
    X(I32,  10, 4, "int32",    0)     \
    X(I64,  11, 8, "int64",    0)     \
    X(BOOL, 12, 1, "bool",     6)

/* Pixel encodings. X(NAME, value, name, channels, bytes per channel, dtype) */
#define HORUS_ENCODINGS(X)                        \
    X(RGB8,        0, "rgb8",        3, 1, U8)    \
    X(BGR8,        1, "bgr8",        3, 1, U8)    \
    X(RGBA8,       2, "rgba8",       4, 1, U8)    \
    X(BGRA8,       3, "bgra8",       4, 1, U8)    \
    X(MONO8,       4, "mono8",       1, 1, U8)    \
    X(MONO16,      5, "mono16",      1, 2, U16)   \
    X(MONO32F,     6, "mono32f",     1, 4, F32)   \
    X(RGB32F,      7, "rgb32f",      3, 4, F32)   \
    X(YUV422,      8, "yuv422",      2, 1, U8)    \
    X(BAYER_RGGB8, 9, "bayer_rggb8", 1, 1, U8)    \
    X(DEPTH16,    10, "depth16",     1, 2, U16)
/* clang-format on */

typedef enum horus_dtype {
#define HORUSI_X(name, value, bytes, text, dl) HORUS_##name = value,
    HORUS_DTYPES(HORUSI_X)
#undef HORUSI_X
} horus_dtype;

typedef enum horus_encoding {
#define HORUSI_X(name, value, text, channels, bytes, dtype) HORUS_##name = value,
    HORUS_ENCODINGS(HORUSI_X)
#undef HORUSI_X
} horus_encoding;

/* Bytes of one element; 0 for a value that is no dtype. */
HORUS_API size_t horus_dtype_bytes(horus_dtype dtype);
/* NumPy's name of a dtype ("float32"), NULL for none. */
HORUS_API const char *horus_dtype_name(horus_dtype dtype);
/* "rgb8" and so on, NULL for none; and the reverse: OK | E_ARG | E_NOT_FOUND, any letter case, with
 * the aliases gray, grey, rgb, bgr, rgba, bgra, yuyv, float, gray16 and bayer. */
HORUS_API const char *horus_encoding_name(horus_encoding encoding);
HORUS_API horus_result horus_encoding_find(horus_encoding *out, const char *name);
/* Channels (1 to 4) and bytes per channel (1, 2 or 4) of an encoding; 0 for none. */
HORUS_API uint32_t horus_encoding_channels(horus_encoding encoding);
HORUS_API uint32_t horus_encoding_elem_bytes(horus_encoding encoding);

/* A handle to a slot of pool memory: plain data. Whoever got it from alloc, receive, copy or hold
 * releases it once. Copying the struct does not hold the slot a second time.
 *   zero       a zeroed handle holds nothing; releasing it is E_CLOSED */
typedef struct horus_frame {
    horus_pool *pool;
    uint32_t slot;       /* which slot */
    uint32_t generation; /* which use of that slot: stale handles are recognised by it */
} horus_frame;

/* A view of elements in a slot, or in memory of your own (frame.pool NULL).
 *   address    (i0,i1,...): data + i0*strides_bytes[0] + i1*strides_bytes[1] + ...
 *   zero       a zeroed tensor is a valid view of nothing */
typedef struct horus_tensor {
    horus_frame frame;
    void *data;
    int64_t shape[HORUS_MAX_DIMS];
    int64_t strides_bytes[HORUS_MAX_DIMS];
    uint32_t ndim; /* 0 to 8 */
    uint8_t dtype; /* horus_dtype */
    bool readonly; /* published: do not write */
    uint8_t pad[2];
} horus_tensor;

/* A view of pixels.
 *   shape      height x width x channels; row-major, channels interleaved
 *   address    (y,x,c): data + y*stride_bytes + (x*channels + c)*elem_bytes
 *   zero       a zeroed image is a valid, empty image */
typedef struct horus_image {
    horus_frame frame;
    void *data;
    uint32_t width_px, height_px;
    uint32_t stride_bytes; /* from one row to the next, >= width*channels*elem_bytes */
    uint8_t encoding;      /* horus_encoding */
    uint8_t channels;      /* 1 to 4 */
    uint8_t elem_bytes;    /* 1, 2 or 4 */
    bool readonly;
} horus_image;

/* A view of a depth map: F32 holds metres, U16 holds units of scale metres (0.001: millimetres).
 * A value of 0, NaN or infinity means "no measurement".
 *   address    (y,x): data + y*stride_bytes + x*(dtype bytes) */
typedef struct horus_depth {
    horus_frame frame;
    void *data;
    uint32_t width_px, height_px;
    uint32_t stride_bytes;
    float scale;   /* metres per unit: 1 for F32, 0.001 for U16 unless set */
    uint8_t dtype; /* HORUS_F32 or HORUS_U16 */
    bool readonly;
    uint8_t pad[2];
} horus_depth;

/* A view of points, each `fields` elements: 3 XYZ, 4 XYZI, 6 XYZRGB, or any other number.
 *   address    point i, field f: data + (i*fields + f)*(dtype bytes) */
typedef struct horus_cloud {
    horus_frame frame;
    void *data;
    uint64_t point_count;
    uint32_t fields; /* 1 to 65535 */
    uint8_t dtype;   /* horus_dtype */
    bool readonly;
    uint8_t pad[2];
} horus_cloud;

/* CLOCK_MONOTONIC in nanoseconds. Any thread. */
HORUS_API uint64_t horus_now_ns(void);

/* ------------------------------------------------------------------------------------ >>pool
 *
 * Contexts: a process joins a namespace once (the default context does it on first use) and leaves
 * it at exit or at horus_context_close. */

enum {
    HORUS_PRIVATE = 1 << 0,    /* context: heap memory, one process; pool_bytes says how much */
    HORUS_HUGE_PAGES = 1 << 1, /* ask for transparent huge pages */
    HORUS_MLOCK = 1 << 2,      /* lock pages in memory as they are first used */
    HORUS_PREFAULT = 1 << 3,   /* commit and touch the whole pool now: no first-use cost later */
    HORUS_PROTECT = 1 << 4     /* debug: published memory is mapped read-only, a stray write faults;
                              where pages have 4096 bytes and granules are whole pages. The default
                              context: HORUS_PROTECT=1 in the environment */
};

/* Everything is a wish that yields to what is there; zero picks the default. */
typedef struct horus_context_desc {
    const char *name;    /* namespace; NULL: HORUS_NAMESPACE, else one per user */
    const char *dir;     /* a tmpfs directory; NULL: HORUS_DIR, else /dev/shm */
    const char *label;   /* what audit calls this process, up to 31 bytes; NULL: program's name */
    const char *group;   /* share with this group (mode 0660); NULL: HORUS_GROUP, else nobody */
    uint64_t pool_bytes; /* data area; 0: 1 GiB. Capped by the free space of the tmpfs and a
                            quarter of the container's memory limit */
    uint32_t granule_bytes; /* power of two, 4096 to 16 MiB; 0: 64 KiB */
    uint32_t block_bytes; /* smallest slot, power of two, 64 up, at most 64 to a granule; 0: 1/64 */
    uint32_t max_topics;  /* 0: 1024 */
    uint32_t flags;       /* HORUS_PRIVATE and so on */
    void *memory;         /* your memory instead of a file: one process; 64-byte aligned */
    size_t memory_bytes;
} horus_context_desc;

/* Joins a namespace, creating it if nobody is in it.
 *   out       the context; close it with horus_context_close
 *   desc      NULL: all defaults
 *   returns   OK | E_ARG | E_NAME | E_MEMORY | E_LIMIT (128 processes are in; ulimit -f) | E_BUSY (a process
 *             holds the gate for over a second) | E_PERMISSION | E_VERSION | E_CORRUPT | E_SYSTEM
 *   threads   any
 *   cost      some 20 system calls, under 1 ms */
HORUS_API horus_result horus_context_open(horus_context **out, const horus_context_desc *desc);

/* Leaves: closes every topic and releases every frame of this context; sent messages stay while
 * anybody is in the namespace, and the last one out removes its files. NULL is allowed.
 * exit() does the same for contexts that one thread alone has used. Those of several threads, of a
 * scheduler that runs with threads, and of an operator whose models run in parallel, end with the
 * process: what they hold is swept by others, and files of the last one out by whoever joins next.
 *   threads   nothing else may use the context, its pools, topics or frames, now or later */
HORUS_API void horus_context_close(horus_context *context);

/* The context that NULL stands for, opened on first use with all defaults (and HORUS_PROTECT if the
 * environment says so), closed at exit.
 *   returns   as horus_context_open */
HORUS_API horus_result horus_context_default(horus_context **out);

typedef struct horus_context_info {
    char name[HORUS_NAME_BYTES]; /* the namespace */
    char path[336];              /* its file; "" for private ones */
    uint32_t row;                /* this process's row, 0 to 127 */
    uint32_t processes;          /* live processes in the namespace */
    uint32_t topics;             /* topics in use */
} horus_context_info;

/* Says which namespace this is. OK | E_ARG | E_DETACHED. Any thread. */
HORUS_API horus_result horus_context_get_info(horus_context *context, horus_context_info *out);

/* Takes back what dead processes held. Rarely needed: opening, and allocating from a full pool, do
 * it. Also redelivers what a dead queue consumer had claimed.
 *   rows      how many dead processes were found; may be NULL
 *   returns   OK | E_DETACHED | E_SYSTEM
 *   cost      system calls; milliseconds for large pools */
HORUS_API horus_result horus_context_sweep(horus_context *context, uint32_t *rows);

typedef struct horus_pool_desc {
    horus_context *context; /* NULL: the default one */
    uint64_t pool_bytes;    /* as in horus_context_desc; used if this call creates the pool */
    uint32_t granule_bytes;
    uint32_t block_bytes;
    uint32_t flags;
} horus_pool_desc;

/* Opens a named pool, creating it if it does not exist. NULL or "default" is the namespace's own
 * pool. Close each opened pool once; the context closes those that are left.
 *   returns   as horus_context_open */
HORUS_API horus_result horus_pool_open(horus_pool **out, const char *name,
                                       const horus_pool_desc *desc);
HORUS_API void horus_pool_close(horus_pool *pool);

typedef struct horus_pool_stats {
    uint64_t data_bytes;      /* size of the data area */
    uint64_t committed_bytes; /* memory that it occupies now */
    uint64_t used_bytes;      /* held slots, rounded up to their size */
    uint64_t free_bytes;      /* data_bytes - used_bytes */
    uint32_t used_slots;      /* held slots, those of topics and rings included */
    uint32_t max_slots;       /* if all were of the smallest size */
    uint32_t granule_bytes;
    uint32_t block_bytes;
} horus_pool_stats;

/* Counts what is held now by anybody: a scan, not atomic while others work.
 *   pool      NULL: the default pool, in this and all calls below
 *   returns   OK | E_ARG | E_DETACHED and what horus_context_default returns */
HORUS_API horus_result horus_pool_get_stats(horus_pool *pool, horus_pool_stats *out);

/* One holder of one slot, as the audit reports it. */
typedef struct horus_holder {
    uint32_t slot, generation;
    uint64_t offset_bytes; /* where in the data area */
    uint64_t bytes;        /* the slot's size */
    uint32_t row;          /* whose row */
    int32_t pid;           /* as that process saw itself */
    char label[32];
    bool alive;    /* false: dead, kept for its messages until they are passed or needed */
    bool ring;     /* a ring entry of that process refers to the slot */
    bool internal; /* a topic or a ring, not a frame */
    char topic[HORUS_NAME_BYTES]; /* ring or internal: whose; else "" */
} horus_holder;

typedef struct horus_audit {
    uint32_t slots, holders; /* slots that are held, and holders in all */
    uint64_t bytes;          /* of those slots */
    uint32_t leaked;         /* bits of dead rows that no ring accounts for */
    uint32_t misshapen;      /* map entries that contradict each other or their headers */
    uint32_t unpinned;       /* ring entries whose slot their publisher does not hold */
    bool balanced;           /* the last three are 0 */
    char first[160];         /* the first contradiction in words, or "" */
} horus_audit;

/* Lists every held slot with its holders and checks the books against each other. Exact when nobody
 * allocates, sends or dies meanwhile; call horus_context_sweep first to count the dead out.
 *   each      called for each holder; may be NULL. Must not call the library.
 *   returns   OK (see out->balanced) | E_ARG | E_DETACHED */
HORUS_API horus_result horus_pool_audit(horus_pool *pool, horus_audit *out,
                                        void (*each)(void *user, const horus_holder *holder),
                                        void *user);

/* Gives the memory of free slots back to the system (hole punching).
 *   freed     bytes given back; may be NULL
 *   returns   OK | E_DETACHED | E_UNSUPPORTED (no file behind the pool) */
HORUS_API horus_result horus_pool_trim(horus_pool *pool, uint64_t *freed);

enum { HORUS_UNINIT = 1 }; /* alloc: the bytes are whatever they were, not zero */

/* Takes a slot of at least `bytes`, zeroed unless HORUS_UNINIT, 64-byte aligned. Held once.
 *   bytes     1 up to the data area's size
 *   data      where it is; may be NULL (horus_frame_data tells later)
 *   returns   OK | E_ARG | E_SIZE (larger than the pool) | E_POOL_FULL (last_error says who holds
 *             what) | E_DETACHED
 *   threads   any
 *   cost      lock-free; no heap; system calls only at a range's first use and before E_POOL_FULL;
 *             zeroing costs as memset does */
HORUS_API horus_result horus_frame_alloc(horus_frame *out, horus_pool *pool, uint64_t bytes,
                                         uint32_t flags, void **data);

/* Holds the frame once more (another owner in this process). OK | E_CLOSED. Any thread. */
HORUS_API horus_result horus_frame_hold(const horus_frame *frame);

/* Gives back one hold and zeroes the handle. The last one frees the slot.
 *   returns   OK | E_CLOSED (not held: released before, or zero)
 *   threads   any; ordering: all reads before the call happen before the slot's next use */
HORUS_API horus_result horus_frame_release(horus_frame *frame);

/* Where the bytes are and how many were asked for. OK | E_CLOSED. data and bytes may be NULL. */
HORUS_API horus_result horus_frame_data(const horus_frame *frame, void **data, uint64_t *bytes);

/* True once the frame was sent: nobody may write any more. False for a zeroed handle. */
HORUS_API bool horus_frame_published(const horus_frame *frame);

/* Processes that hold the slot now, this one included; 0 for a closed handle. */
HORUS_API uint32_t horus_frame_holders(const horus_frame *frame);

/* The sensor's coordinate frame, UTF-8, up to 63 bytes, and the time of exposure. Both travel with
 * the frame. The setters: OK | E_ARG | E_SIZE | E_CLOSED | E_READONLY once published.
 * out of _get_id has HORUS_FRAME_ID_BYTES bytes and is always terminated. */
HORUS_API horus_result horus_frame_set_id(const horus_frame *frame, const char *id);
HORUS_API horus_result horus_frame_get_id(const horus_frame *frame, char *out);
HORUS_API horus_result horus_frame_set_time(const horus_frame *frame, uint64_t timestamp_ns);
HORUS_API horus_result horus_frame_get_time(const horus_frame *frame, uint64_t *timestamp_ns);

/* Tensors. All `alloc` calls: pool NULL is the default one, flags 0 or HORUS_UNINIT, results as of
 * horus_frame_alloc. All `release` calls zero the view; OK | E_CLOSED. */
HORUS_API horus_result horus_tensor_alloc(horus_tensor *out, horus_pool *pool, horus_dtype dtype,
                                          uint32_t ndim, const int64_t *shape, uint32_t flags);
HORUS_API horus_result horus_tensor_release(horus_tensor *tensor);
/* Elements (product of the shape), and whether they lie densely in row-major order. */
HORUS_API uint64_t horus_tensor_numel(const horus_tensor *tensor);
HORUS_API bool horus_tensor_is_contiguous(const horus_tensor *tensor);
/* Another shape of the same elements; the result shares memory and holds the frame once more.
 *   shape     one entry may be -1: worked out from the others
 *   returns   OK | E_ARG | E_SIZE (counts differ) | E_UNSUPPORTED (not contiguous) | E_CLOSED */
HORUS_API horus_result horus_tensor_reshape(horus_tensor *out, const horus_tensor *tensor,
                                            uint32_t ndim, const int64_t *shape);
/* Rows start to end-1 of the first dimension, as NumPy's t[start:end]: negative counts from the
 * end, too large is clipped. Shares memory and holds the frame once more. OK | E_ARG | E_CLOSED */
HORUS_API horus_result horus_tensor_slice(horus_tensor *out, const horus_tensor *tensor,
                                          int64_t start, int64_t end);
/* A dense, private, writable copy in `pool`. Results as of alloc. */
HORUS_API horus_result horus_tensor_copy(horus_tensor *out, const horus_tensor *tensor,
                                         horus_pool *pool);

#ifndef HORUS_NO_VIEWS
/* Images. width and height: 1 up. stride_bytes is width*channels*elem_bytes. */
HORUS_API horus_result horus_image_alloc(horus_image *out, horus_pool *pool, uint32_t width_px,
                                         uint32_t height_px, horus_encoding encoding,
                                         uint32_t flags);
HORUS_API horus_result horus_image_release(horus_image *image);
HORUS_API horus_result horus_image_copy(horus_image *out, const horus_image *image,
                                        horus_pool *pool);
/* A view of your own pixels, for the calls below. OK | E_ARG | E_SIZE (stride too small) */
HORUS_API horus_result horus_image_wrap(horus_image *out, void *pixels, uint32_t width_px,
                                        uint32_t height_px, uint32_t stride_bytes,
                                        horus_encoding encoding);
/* The same memory as a tensor: (H,W) or (H,W,C). Holds the frame once more. */
HORUS_API horus_result horus_image_tensor(horus_tensor *out, const horus_image *image);
/* One pixel. value has one entry per channel, in the encoding's own range (0 to 255, 0 to 65535, or
 * what a float holds, infinities too). OK | E_ARG (outside, or a value out of range) | E_SIZE (count differs) | E_READONLY */
HORUS_API horus_result horus_image_pixel(const horus_image *image, uint32_t x, uint32_t y,
                                         double *value, size_t count);
HORUS_API horus_result horus_image_set_pixel(const horus_image *image, uint32_t x, uint32_t y,
                                             const double *value, size_t count);
/* Every pixel gets the value. Results as set_pixel. */
HORUS_API horus_result horus_image_fill(const horus_image *image, const double *value,
                                        size_t count);
/* Replaces all pixels by dense rows; bytes must be width*height*channels*elem_bytes exactly.
 * OK | E_ARG | E_SIZE | E_READONLY */
HORUS_API horus_result horus_image_copy_from(const horus_image *image, const void *data,
                                             size_t bytes);
/* Copies the rectangle out as dense rows; bytes must be its size exactly.
 * OK | E_ARG (not inside the image, or empty) | E_SIZE */
HORUS_API horus_result horus_image_roi(const horus_image *image, uint32_t x, uint32_t y,
                                       uint32_t width_px, uint32_t height_px, void *out,
                                       size_t bytes);
/* Writes a picture; the suffix picks PNG, BMP, TGA or JPG. Colours are put in order, 16-bit and
 * float images and depth are mapped to 8 bits by their range, raw Bayer is shown as grey, YUV 4:2:2
 * (YUYV) is converted.
 *   returns   OK | E_ARG | E_MEMORY | E_SYSTEM | E_UNSUPPORTED (built without stb_image_write)
 *   cost      heap and file I/O: not for a real-time loop */
HORUS_API horus_result horus_image_write(const horus_image *image, const char *path);

/* Depth maps: dtype HORUS_F32 (metres) or HORUS_U16 (millimetres). */
HORUS_API horus_result horus_depth_alloc(horus_depth *out, horus_pool *pool, uint32_t width_px,
                                         uint32_t height_px, horus_dtype dtype, uint32_t flags);
HORUS_API horus_result horus_depth_release(horus_depth *depth);
HORUS_API horus_result horus_depth_copy(horus_depth *out, const horus_depth *depth,
                                        horus_pool *pool);
HORUS_API horus_result horus_depth_tensor(horus_tensor *out, const horus_depth *depth);
/* Metres at one place; 0, NaN or infinity as stored. OK | E_ARG */
HORUS_API horus_result horus_depth_get(const horus_depth *depth, uint32_t x, uint32_t y,
                                       double *metres);
/* Rounds to the nearest unit. OK | E_ARG (outside; U16: negative or too far; F32: finite, but not as
 * a float) | E_READONLY */
HORUS_API horus_result horus_depth_set(const horus_depth *depth, uint32_t x, uint32_t y,
                                       double metres);

typedef struct horus_depth_stats {
    double min_m, max_m, mean_m; /* metres, over valid pixels; 0 if there are none */
    uint64_t valid;              /* pixels that are positive and finite */
} horus_depth_stats;
/* OK | E_ARG | EMPTY (no valid pixel; out is zero). One pass. */
HORUS_API horus_result horus_depth_statistics(const horus_depth *depth, horus_depth_stats *out);
/* Writes a picture, near is bright, invalid is black. As horus_image_write. */
HORUS_API horus_result horus_depth_write(const horus_depth *depth, const char *path);

/* Point clouds. points: 0 up (a filter may leave none); fields: 1 to 65535. */
HORUS_API horus_result horus_cloud_alloc(horus_cloud *out, horus_pool *pool, uint64_t points,
                                         uint32_t fields, horus_dtype dtype, uint32_t flags);
HORUS_API horus_result horus_cloud_release(horus_cloud *cloud);
HORUS_API horus_result horus_cloud_copy(horus_cloud *out, const horus_cloud *cloud,
                                        horus_pool *pool);
HORUS_API horus_result horus_cloud_tensor(horus_tensor *out, const horus_cloud *cloud);
/* Point i as doubles; F32 and F64 clouds. OK | E_ARG | E_SIZE (count is not fields) | E_TYPE */
HORUS_API horus_result horus_cloud_point(const horus_cloud *cloud, uint64_t i, double *out,
                                         size_t count);
HORUS_API bool horus_cloud_is_xyz(const horus_cloud *cloud);        /* 3 fields */
HORUS_API bool horus_cloud_has_intensity(const horus_cloud *cloud); /* 4 or more */
HORUS_API bool horus_cloud_has_color(const horus_cloud *cloud);     /* 6 or more */
#endif

/* Tensors as wire descriptors: at most 168 bytes that any process of the namespace can open while
 * somebody holds the frame.
 *   bytes     in: room in out; out: bytes written
 *   returns   OK | E_ARG | E_SIZE | E_CLOSED; open: also E_CORRUPT | E_NOT_FOUND (slot reused) */
enum { HORUS_DESCRIPTOR_BYTES = 168 };
HORUS_API horus_result horus_tensor_describe(const horus_tensor *tensor, void *out, size_t *bytes);
HORUS_API horus_result horus_tensor_from_descriptor(horus_tensor *out, horus_context *context,
                                                    const void *descriptor, size_t bytes);

/* DLPack (https://dmlc.github.io/dlpack): ABI-equal declarations of its structs. */
typedef struct horus_dl_device {
    int32_t device_type; /* 1: CPU */
    int32_t device_id;
} horus_dl_device;
typedef struct horus_dl_dtype {
    uint8_t code, bits;
    uint16_t lanes;
} horus_dl_dtype;
typedef struct horus_dl_tensor {
    void *data;
    horus_dl_device device;
    int32_t ndim;
    horus_dl_dtype dtype;
    int64_t *shape;
    int64_t *strides; /* in elements; NULL: row-major and dense */
    uint64_t byte_offset;
} horus_dl_tensor;
typedef struct horus_dl_managed {
    horus_dl_tensor dl_tensor;
    void *manager_ctx;
    void (*deleter)(struct horus_dl_managed *self);
} horus_dl_managed;
typedef struct horus_dl_managed_versioned {
    uint32_t major, minor;
    void *manager_ctx;
    void (*deleter)(struct horus_dl_managed_versioned *self);
    uint64_t flags; /* bit 0: read only; bit 1: a copy */
    horus_dl_tensor dl_tensor;
} horus_dl_managed_versioned;

/* Hands the tensor out; the result holds the frame until its deleter is called (any thread).
 *   returns   OK | E_ARG | E_CLOSED | E_MEMORY | E_READONLY (unversioned cannot say read-only) */
HORUS_API horus_result horus_dlpack_export(horus_dl_managed **out, const horus_tensor *tensor);
HORUS_API horus_result horus_dlpack_export_versioned(horus_dl_managed_versioned **out,
                                                     const horus_tensor *tensor);
/* Copies a CPU tensor of any producer into the pool. The producer's object is left alone.
 *   returns   OK | E_ARG | E_UNSUPPORTED (device, lanes, dtype, over 8 dims), or as alloc */
HORUS_API horus_result horus_dlpack_import(horus_tensor *out, const horus_dl_tensor *source,
                                           horus_pool *pool);

/* ------------------------------------------------------------------------------------ >>topic
 *
 * A topic is a broadcast: each handle sees every message sent since it was opened, its own too, in
 * order per publisher. What happens when a reader is slow is the topic's policy.
 *
 * Calls on a handle: one thread at a time (E_BUSY tells a second one); heap, locks and system calls
 * only as "Real time" in the manual says. peek, skip_to_latest and drain may pass over whole rings,
 * so they cost up to a ring's capacity; ack is one compare-and-swap. */

typedef enum horus_policy {
    HORUS_POLICY_ANY = 0, /* the topic's; OVERWRITE if nobody says */
    HORUS_OVERWRITE = 1, /* the publisher never waits; a slow reader loses the oldest and is told */
    HORUS_RELIABLE = 2, /* nothing is lost; send waits, or says FULL, for the slowest live reader. A
                           handle that has sent counts as a reader from its first receive: what was
                           sent before may be lost to it, and is counted */
    HORUS_QUEUE = 3     /* each message goes to one consumer; unfinished ones are redelivered */
} horus_policy;

typedef enum horus_kind {
    HORUS_KIND_MESSAGE = 0, /* bytes: a struct or anything else */
    HORUS_KIND_TENSOR = 1,
    HORUS_KIND_IMAGE = 2,
    HORUS_KIND_DEPTH = 3,
    HORUS_KIND_CLOUD = 4
} horus_kind;

/* A field of a message. */
typedef enum horus_scalar {
    HORUS_SCALAR_u8,
    HORUS_SCALAR_i8,
    HORUS_SCALAR_u16,
    HORUS_SCALAR_i16,
    HORUS_SCALAR_u32,
    HORUS_SCALAR_i32,
    HORUS_SCALAR_u64,
    HORUS_SCALAR_i64,
    HORUS_SCALAR_f32,
    HORUS_SCALAR_f64,
    HORUS_SCALAR_bool8,
    HORUS_SCALAR_text,
    HORUS_SCALAR_message
} horus_scalar;
typedef struct horus_field {
    const char *name;
    const struct horus_type *nested; /* HORUS_SCALAR_message: which */
    uint32_t offset;                 /* bytes into the fixed part */
    uint32_t count;                  /* elements; bytes of a text; 0: variable, a horus_array */
    uint32_t scalar;                 /* horus_scalar */
} horus_field;

/* A message type: made by HORUS_MESSAGE (see >>message), or one of the four frame types. */
typedef struct horus_type {
    const char *name;                              /* "CmdVel" */
    const char *topic;                             /* where it usually goes: "cmd_vel" */
    const horus_field *(*fields)(uint32_t *count); /* NULL for frames */
    uint32_t size;                                 /* bytes of the fixed part; 0 for frames */
    uint32_t kind;                                 /* horus_kind */
} horus_type;
HORUS_API const horus_type horus_image_type, horus_depth_type, horus_cloud_type, horus_tensor_type;
/* The tag that travels with each message: two programs whose fields differ get different ones.
 * Never 0 but for NULL. Any thread; costs a pass over the fields. */
HORUS_API uint32_t horus_type_tag(const horus_type *type);

enum {
    HORUS_PUBLISHER = 1 << 0,   /* make the ring now, not at the first send */
    HORUS_AT_MOST_ONCE = 1 << 1 /* queue: what a dead consumer had claimed is dropped */
};

typedef struct horus_topic_desc {
    const horus_type *type;  /* NULL: carries anything */
    horus_policy policy;     /* fixed by the first one given, at latest by the first message */
    uint32_t capacity;       /* messages that this handle's ring keeps, 1 to 2^20; 0: 1024, of which
                                at most 8 are frames. Frames of one ring never pin over 1/8 of the pool */
    uint32_t message_bytes;  /* larger ones travel as pool blocks; 0: the type's size, else 104;
                                at most HORUS_MAX_INLINE. Of the topic: the first one decides */
    uint32_t history;        /* also get the k newest messages sent before the opening; those that
                                are overwritten before they are read do not count as lost */
    uint32_t flags;          /* HORUS_PUBLISHER, HORUS_AT_MOST_ONCE */
    uint32_t max_publishers; /* handles that send, at a time; 0: 64. The first one decides */
    uint32_t max_subscribers; /* open handles at a time; 0: 128 */
    horus_context *context;   /* NULL: the default one */
} horus_topic_desc;

/* Opens a handle, creating the topic if it does not exist.
 *   returns   OK | E_ARG | E_NAME | E_TYPE, E_POLICY (differs from the topic's; last_error names
 *             both) | E_LIMIT | E_POOL_FULL | E_MEMORY and what horus_context_open returns
 *   threads   any; the handle then belongs to one thread at a time
 *   cost      set-up */
HORUS_API horus_result horus_topic_open(horus_topic **out, const char *name,
                                        const horus_topic_desc *desc);
/* Closes the handle. Its messages stay for the others. NULL is allowed. */
HORUS_API void horus_topic_close(horus_topic *topic);

/* What came with a message. */
typedef struct horus_info {
    uint64_t sequence;   /* of its publisher, from 1 */
    uint64_t publish_ns; /* CLOCK_MONOTONIC at the send */
    uint64_t lost;       /* messages lost on this handle since the last receive */
    uint32_t publisher;  /* row << 16 | ring: tells publishers of a topic apart */
    uint32_t type_tag;   /* horus_type_tag of its type; 0: sent untyped */
    uint32_t size;       /* bytes of a message; 0 for frames */
    uint8_t kind;        /* horus_kind */
    bool redelivered;    /* queue: a consumer died with it before */
    uint8_t pad[2];
} horus_info;

/* Sends bytes. A typed topic takes its type's size (or more, where the type has variable fields).
 *   timeout_ns  how long to wait where a `reliable` or `queue` topic is full: HORUS_NO_WAIT,
 *               HORUS_FOREVER or nanoseconds; never waits with `overwrite`
 *   returns     OK | FULL (no wait) | TIMEOUT | INTERRUPTED | E_ARG | E_SIZE | E_TYPE | E_BUSY |
 *               E_CLOSED | E_DETACHED | E_POOL_FULL (larger than message_bytes and no room) |
 *               at the first send also E_LIMIT, E_MEMORY, E_POLICY. Nothing is sent unless OK.
 *   ordering    all this thread did before happens-before the return of the receive that gets it
 *               (edge P1 -> C1)
 *   cost        wait-free for overwrite; one copy; a futex wake only if somebody sleeps */
HORUS_API horus_result horus_topic_send(horus_topic *topic, const void *message, size_t bytes,
                                        int64_t timeout_ns);
/* The same on an untyped topic, marked with a type. E_TYPE if the topic's type is another. */
HORUS_API horus_result horus_topic_send_typed(horus_topic *topic, const horus_type *type,
                                              const void *message, size_t bytes,
                                              int64_t timeout_ns);
/* Publishes the frame: only a descriptor travels. The caller keeps its hold, read-only from now on;
 * sending it again is allowed. Results as horus_topic_send. */
HORUS_API horus_result horus_topic_send_tensor(horus_topic *topic, horus_tensor *tensor,
                                               int64_t timeout_ns);

/* Gets the next message into `buffer`.
 *   info        may be NULL
 *   timeout_ns  as above; HORUS_NO_WAIT polls without any system call
 *   returns     OK | EMPTY (no wait) | TIMEOUT | INTERRUPTED | E_SIZE (buffer too small: info->size
 *               says how much it takes; the message stays) | E_TYPE (the next one is a frame,
 *               info->kind says which; it stays) | E_ARG | E_BUSY | E_CLOSED | E_DETACHED | E_GONE
 *   cost        wait-free; one copy. Behind a publisher of millions of messages a second, EMPTY
 *               takes a fraction of a microsecond, once, so that it can get ahead */
HORUS_API horus_result horus_topic_receive(horus_topic *topic, void *buffer, size_t buffer_bytes,
                                           horus_info *info, int64_t timeout_ns);
/* Gets the next frame; release it when done. E_TYPE if the next message is something else (it
 * stays). E_POOL_FULL, E_NOT_FOUND, E_SYSTEM: the frame's own pool could not be opened here. */
HORUS_API horus_result horus_topic_receive_tensor(horus_topic *topic, horus_tensor *out,
                                                  horus_info *info, int64_t timeout_ns);
#ifndef HORUS_NO_VIEWS
HORUS_API horus_result horus_topic_send_image(horus_topic *topic, horus_image *image,
                                              int64_t timeout_ns);
HORUS_API horus_result horus_topic_send_depth(horus_topic *topic, horus_depth *depth,
                                              int64_t timeout_ns);
HORUS_API horus_result horus_topic_send_cloud(horus_topic *topic, horus_cloud *cloud,
                                              int64_t timeout_ns);
HORUS_API horus_result horus_topic_receive_image(horus_topic *topic, horus_image *out,
                                                 horus_info *info, int64_t timeout_ns);
HORUS_API horus_result horus_topic_receive_depth(horus_topic *topic, horus_depth *out,
                                                 horus_info *info, int64_t timeout_ns);
HORUS_API horus_result horus_topic_receive_cloud(horus_topic *topic, horus_cloud *out,
                                                 horus_info *info, int64_t timeout_ns);
#endif

/* Looks at the next message without taking it. OK | EMPTY | E_... as receive. buffer may be NULL
 * (or too small for frames and large messages: then only info is filled). */
HORUS_API horus_result horus_topic_peek(horus_topic *topic, void *buffer, size_t buffer_bytes,
                                        horus_info *info);
/* Drops all but the newest pending message, so that the next receive gets that one. What is dropped
 * does not count as lost. OK | EMPTY. Not for queues (E_POLICY).
 *   skipped   messages dropped; may be NULL */
HORUS_API horus_result horus_topic_skip_to_latest(horus_topic *topic, uint64_t *skipped);
/* Drops everything pending. OK | EMPTY (there was nothing). count may be NULL. */
HORUS_API horus_result horus_topic_drain(horus_topic *topic, uint64_t *count);
/* Queue: the message got last is done; without it, the next receive or close says so.
 * OK | EMPTY (nothing claimed) | E_POLICY */
HORUS_API horus_result horus_topic_ack(horus_topic *topic);
/* Waits until a receive would get something. OK | EMPTY (no wait) | TIMEOUT | INTERRUPTED, or as
 * receive. */
HORUS_API horus_result horus_topic_wait(horus_topic *topic, int64_t timeout_ns);
/* Waits on up to 64 handles of one context; *ready is the index of one that has a message.
 * OK | EMPTY | TIMEOUT | E_ARG | E_BUSY | E_GONE */
HORUS_API horus_result horus_wait(horus_topic *const *topics, size_t count, int64_t timeout_ns,
                                  size_t *ready);

typedef struct horus_topic_stats {
    char name[HORUS_NAME_BYTES];
    char type[64]; /* "" if untyped */
    horus_policy policy;
    uint32_t message_bytes; /* inline limit */
    uint32_t capacity;      /* of this handle's ring; 0 if it has none yet */
    uint32_t publishers;    /* live rings */
    uint32_t subscribers;   /* open handles that receive */
    uint64_t sent;          /* messages of all live rings */
    uint64_t received;      /* messages taken by all open handles */
    uint64_t lost;          /* messages lost by all open handles */
    uint64_t pending; /* messages that this handle has not yet taken; queue: that nobody has */
    uint64_t last_ns; /* publish time of the newest message; 0: none */
    uint32_t frames;  /* frames that this topic's rings hold now */
} horus_topic_stats;
/* Counters of the topic, other processes' too, from shared memory. OK | E_ARG | E_DETACHED */
HORUS_API horus_result horus_topic_get_stats(horus_topic *topic, horus_topic_stats *out);
/* The same for every topic of a namespace: calls `each` for those in use. */
HORUS_API horus_result horus_context_topics(
    horus_context *context, void (*each)(void *user, const horus_topic_stats *stats), void *user);

/* ------------------------------------------------------------------------------------ >>message
 *
 * One table: a list of fields makes the C struct, its type, and whatever else reads the table. Your
 * own message works the same way:
 *
 *     #define WHEEL_FIELDS(F, A, S, N, V, W)                                                      \
 *         F(u64, timestamp_ns) F(f32, speed) A(f32, slip, 4) N(vector3, force) V(f32, samples)
 *     HORUS_MESSAGE(wheel, "Wheel", "wheel", WHEEL_FIELDS)      makes horus_wheel, horus_wheel_type
 *
 *     F(type, name)     u8 i8 u16 i16 u32 i32 u64 i64 f32 f64 bool8
 *     A(type, name, n)  n of them
 *     S(name, n)        text, n bytes with its NUL
 *     N(message, name)  a message defined before
 *     V(type, name)     any number of scalars: a horus_array here, the elements behind the struct
 *     W(message, name)  any number of messages, likewise
 *
 * The layout is the same for 32- and 64-bit programs. Fill variable fields with
 * horus_message_append, read them with horus_message_array. */
typedef uint8_t horus_u8;
typedef int8_t horus_i8;
typedef uint16_t horus_u16;
typedef int16_t horus_i16;
typedef uint32_t horus_u32;
typedef int32_t horus_i32;
typedef float horus_f32;
typedef uint8_t horus_bool8; /* 0 or 1 */
/* 32-bit x86 would align these to 4 */
typedef uint64_t horus_u64 __attribute__((aligned(8)));
typedef int64_t horus_i64 __attribute__((aligned(8)));
typedef double horus_f64 __attribute__((aligned(8)));

/* Where the elements of a variable field are: bytes from the message's start, and how many. */
typedef struct horus_array {
    uint32_t offset, count;
} horus_array;

#define HORUSI_STRUCT_F(type, name) horus_##type name;
#define HORUSI_STRUCT_A(type, name, n) horus_##type name[n];
#define HORUSI_STRUCT_S(name, n) char name[n];
#define HORUSI_STRUCT_N(message, name) horus_##message name;
#define HORUSI_STRUCT_V(type, name) horus_array name;
#define HORUSI_STRUCT_W(message, name) horus_array name;

#define HORUSI_FIELD(name, nested, count, scalar)                                                  \
    {#name, nested, (uint32_t)offsetof(horusi_self, name), count, HORUS_SCALAR_##scalar},
#define HORUSI_FIELD_F(type, name) HORUSI_FIELD(name, NULL, 1, type)
#define HORUSI_FIELD_A(type, name, n) HORUSI_FIELD(name, NULL, n, type)
#define HORUSI_FIELD_S(name, n) HORUSI_FIELD(name, NULL, n, text)
#define HORUSI_FIELD_N(message_, name) HORUSI_FIELD(name, &horus_##message_##_type, 1, message)
#define HORUSI_FIELD_V(type, name) HORUSI_FIELD(name, NULL, 0, type)
#define HORUSI_FIELD_W(message_, name) HORUSI_FIELD(name, &horus_##message_##_type, 0, message)

#define HORUSI_MESSAGE_STRUCT(snake, FIELDS)                                                       \
    typedef struct horus_##snake {                                                                 \
        FIELDS(HORUSI_STRUCT_F, HORUSI_STRUCT_A, HORUSI_STRUCT_S, HORUSI_STRUCT_N,                 \
               HORUSI_STRUCT_V, HORUSI_STRUCT_W)                                                   \
    } horus_##snake;
#define HORUSI_MESSAGE_TYPE(storage, snake, name, topic, FIELDS)                                   \
    static inline const horus_field *horusi_##snake##_fields(uint32_t *count)                      \
    {                                                                                              \
        typedef horus_##snake horusi_self;                                                         \
        static const horus_field fields[] = {FIELDS(HORUSI_FIELD_F, HORUSI_FIELD_A,                \
                                                    HORUSI_FIELD_S, HORUSI_FIELD_N,                \
                                                    HORUSI_FIELD_V, HORUSI_FIELD_W)};              \
        *count = (uint32_t)(sizeof fields / sizeof fields[0]);                                     \
        return fields;                                                                             \
    }                                                                                              \
    storage const horus_type horus_##snake##_type = {name, topic, horusi_##snake##_fields,         \
                                                     (uint32_t)sizeof(horus_##snake),              \
                                                     HORUS_KIND_MESSAGE};

/* Declares a message of your own: struct horus_<snake> and the type horus_<snake>_type. */
#define HORUS_MESSAGE(snake, name, topic, FIELDS)                                                  \
    HORUSI_MESSAGE_STRUCT(snake, FIELDS)                                                           \
    HORUSI_MESSAGE_TYPE(static, snake, name, topic, FIELDS)

/* Appends `count` elements to a message under construction and notes them in its field.
 *   message   the fixed part first, zeroed; room bytes in all
 *   bytes     in: bytes so far (begin with the struct's size); out: with the elements
 *   field     which field of the message
 *   returns   OK | E_ARG | E_SIZE (room is too small; nothing changed) */
HORUS_API horus_result horus_message_append(void *message, size_t room, size_t *bytes,
                                            horus_array *field, const void *elements, size_t count,
                                            size_t elem_bytes);
/* Finds the elements of a variable field of a received message, bounds-checked.
 *   out       the elements inside the message (8-byte aligned if the message is); NULL if none
 *   returns   OK | E_ARG | E_CORRUPT (they do not lie inside the message) */
HORUS_API horus_result horus_message_array(const void *message, size_t bytes,
                                           const horus_array *field, size_t elem_bytes,
                                           const void **out, size_t *count);

/* clang-format off */
/* Quaternions are x, y, z, w; covariances and matrices row-major. A nested message brings its own
 * timestamp_ns, 0 where unused. Units are SI (m, rad, s, N, N m) unless a comment says otherwise.
 * A fields macro is named after the C name, so that the table can paste HORUS_##name##_FIELDS. */

/* A free vector; units by use. */
#define HORUS_vector3_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) F(f64, x) F(f64, y) F(f64, z)

/* A position in m. */
#define HORUS_point3_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) F(f64, x) F(f64, y) F(f64, z)

/* A rotation as a unit quaternion; 0, 0, 0, 1 is none. */
#define HORUS_quaternion_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) F(f64, x) F(f64, y) F(f64, z) F(f64, w)

/* Speed wanted of a wheeled base: linear m/s, forward positive; angular rad/s, left positive. */
#define HORUS_cmd_vel_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) F(f32, linear) F(f32, angular)

/* Velocity in six degrees of freedom: linear m/s, angular rad/s. */
#define HORUS_twist_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(f64, linear_x) F(f64, linear_y) F(f64, linear_z) \
    F(f64, angular_x) F(f64, angular_y) F(f64, angular_z)

/* A Twist in a named frame, with the 6x6 covariance of linear x, y, z, angular x, y, z. */
#define HORUS_twist_with_covariance_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(f64, linear_x) F(f64, linear_y) F(f64, linear_z) \
    F(f64, angular_x) F(f64, angular_y) F(f64, angular_z) \
    S(frame_id, 64) A(f64, covariance, 36)

/* Acceleration in six degrees of freedom: linear m/s^2, angular rad/s^2. */
#define HORUS_accel_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(f64, linear_x) F(f64, linear_y) F(f64, linear_z) \
    F(f64, angular_x) F(f64, angular_y) F(f64, angular_z)

/* An Accel in a named frame. */
#define HORUS_accel_stamped_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(f64, linear_x) F(f64, linear_y) F(f64, linear_z) \
    F(f64, angular_x) F(f64, angular_y) F(f64, angular_z) \
    S(frame_id, 64)

/* A pose in the plane: x, y m; theta rad, counter-clockwise. */
#define HORUS_pose2d_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) F(f64, x) F(f64, y) F(f64, theta)

/* A pose in space: x, y, z m and a unit quaternion. */
#define HORUS_pose3d_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(f64, x) F(f64, y) F(f64, z) \
    F(f64, qx) F(f64, qy) F(f64, qz) F(f64, qw)

/* A Pose3D in a named frame. */
#define HORUS_pose_stamped_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(f64, x) F(f64, y) F(f64, z) \
    F(f64, qx) F(f64, qy) F(f64, qz) F(f64, qw) \
    S(frame_id, 64)

/* A Pose3D in a named frame, with the 6x6 covariance of x, y, z, roll, pitch, yaw. */
#define HORUS_pose_with_covariance_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(f64, x) F(f64, y) F(f64, z) \
    F(f64, qx) F(f64, qy) F(f64, qz) F(f64, qw) \
    S(frame_id, 64) A(f64, covariance, 36)

/* A rigid transform: translation tx, ty, tz m and rotation rx, ry, rz, rw, a unit quaternion. */
#define HORUS_transform_stamped_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(f64, tx) F(f64, ty) F(f64, tz) \
    F(f64, rx) F(f64, ry) F(f64, rz) F(f64, rw)

/* Planar odometry: x, y m, theta rad in frame_id; linear m/s, angular rad/s in child_frame_id. */
#define HORUS_odometry_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(f64, x) F(f64, y) F(f64, theta) \
    F(f64, linear_velocity) F(f64, angular_velocity) \
    S(frame_id, 64) S(child_frame_id, 64)

/* Inertial sample: accel m/s^2, gyro rad/s, orientation (0, 0, 0, 1 where not measured), 3x3
 * covariances about x, y, z; a covariance of -1 means unknown. */
#define HORUS_imu_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(f64, accel_x) F(f64, accel_y) F(f64, accel_z) \
    F(f64, gyro_x) F(f64, gyro_y) F(f64, gyro_z) \
    F(f64, qx) F(f64, qy) F(f64, qz) F(f64, qw) \
    A(f64, orientation_covariance, 9) A(f64, angular_velocity_covariance, 9) \
    A(f64, linear_acceleration_covariance, 9)

/* One sweep of a planar lidar: angles rad, ranges m; range i is at angle_min + i * angle_increment
 * and is good from range_min to range_max. Any number of ranges. */
#define HORUS_laser_scan_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(f32, angle_min) F(f32, angle_max) F(f32, angle_increment) \
    F(f32, range_min) F(f32, range_max) \
    V(f32, ranges)

/* One distance: range, min_range, max_range m; field_of_view rad.
 * sensor_type: 0 ultrasonic, 1 infrared. */
#define HORUS_range_sensor_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(f32, range) F(u8, sensor_type) F(f32, field_of_view) F(f32, min_range) F(f32, max_range)

/* A battery: volts, percentage 0..100, amperes (negative: discharging), degrees Celsius.
 * power_supply_status: 0 unknown, 1 charging, 2 discharging, 3 idle, 4 full. */
#define HORUS_battery_state_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(f32, voltage) F(f32, percentage) F(f32, current) F(f32, temperature) \
    F(u8, power_supply_status)

/* Satellite fix: latitude, longitude, heading degrees; altitude m; speed m/s; hdop has no unit.
 * status: 0 no fix, from 1 a fix. */
#define HORUS_nav_sat_fix_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(f64, latitude) F(f64, longitude) F(f64, altitude) \
    F(u8, status) F(u16, satellites_visible) F(f32, hdop) F(f32, speed) F(f32, heading)

/* Magnetometer sample in tesla. */
#define HORUS_magnetic_field_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) F(f64, x) F(f64, y) F(f64, z)

/* Temperature in degrees Celsius; variance in its square, 0 where unknown. */
#define HORUS_temperature_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) F(f64, temperature) F(f64, variance)

/* Pressure in Pa; variance in Pa^2, 0 where unknown. */
#define HORUS_fluid_pressure_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) F(f64, pressure) F(f64, variance)

/* Light level in lux; variance in lux^2, 0 where unknown. */
#define HORUS_illuminance_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) F(f64, illuminance) F(f64, variance)

/* Microphone samples, nominally -1..1, channels interleaved; sample_rate Hz per channel. */
#define HORUS_audio_frame_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(u32, sample_rate) F(u8, channels) S(frame_id, 64) V(f32, samples)

/* Measured joints: rad, rad/s, N m (m, m/s, N where prismatic); an empty array means not measured.
 * names: one text per joint, each ended by a NUL. */
#define HORUS_joint_state_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    V(u8, names) V(f64, positions) V(f64, velocities) V(f64, efforts)

/* Wanted joints, arrays and names as in JointState.
 * modes, one per joint: 0 position, 1 velocity, 2 effort. */
#define HORUS_joint_command_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    V(u8, names) V(f64, positions) V(f64, velocities) V(f64, efforts) V(u8, modes)

/* One motor: mode 0 velocity rad/s, 1 position rad, 2 torque N m, 3 voltage V (the unit of target);
 * max_velocity rad/s, max_acceleration rad/s^2, infinity for no limit. */
#define HORUS_motor_command_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(u8, motor_id) F(u8, mode) F(f64, target) F(f64, max_velocity) F(f64, max_acceleration) \
    F(f64, feed_forward) F(bool8, enable)

/* One servo: position rad; speed 0..1 of its fastest. */
#define HORUS_servo_command_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(u8, servo_id) F(f32, position) F(f32, speed) F(bool8, enable)

/* Wheel speeds rad/s; max_acceleration rad/s^2, infinity for no limit. */
#define HORUS_differential_drive_command_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(f64, left_velocity) F(f64, right_velocity) F(f64, max_acceleration) F(bool8, enable)

/* Gains of one controller; limits in the units of its output, infinity for none. */
#define HORUS_pid_config_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(f64, kp) F(f64, ki) F(f64, kd) F(u8, controller_id) \
    F(f64, integral_limit) F(f64, output_limit) F(bool8, anti_windup)

/* A point of a trajectory: m, m/s, m/s^2, a quaternion, rad/s; time_from_start s. */
#define HORUS_trajectory_point_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    A(f64, position, 3) A(f64, velocity, 3) A(f64, acceleration, 3) \
    A(f64, orientation, 4) A(f64, angular_velocity, 3) F(f64, time_from_start)

/* Time that a simulation or replay shows. source: 0 wall, 1 simulation, 2 replay;
 * sim_speed: 1 is real time; the times are ns. */
#define HORUS_clock_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(u64, clock_ns) F(u64, realtime_ns) F(f64, sim_speed) F(bool8, paused) F(u8, source)

/* An outer time source (GPS, NTP, PTP): offset_ns is local time minus reference time. */
#define HORUS_time_reference_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(u64, time_ref_ns) S(source, 64) F(i64, offset_ns)

/* Sign of life of a process: uptime s. */
#define HORUS_heartbeat_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    S(node_name, 64) F(u32, node_id) F(u64, sequence) F(f64, uptime) F(bool8, alive)

/* One node: rates Hz, timestamps s since 1970, health 0 good, higher is worse. state: 0
 * uninitialized, 1 initializing, 2 running, 3 stopping, 4 stopped, 5 error, 6 crashed. */
#define HORUS_node_heartbeat_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(u8, state) F(u8, health) F(u32, error_count) F(u64, tick_count) \
    F(u32, target_rate_hz) F(u32, actual_rate_hz) \
    F(u64, heartbeat_timestamp) F(u64, last_tick_timestamp)

/* One report of a component. level: 0 ok, 1 warning, 2 error, 3 fatal. */
#define HORUS_diagnostic_status_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(u8, level) F(u32, code) S(message, 256) S(component, 64)

/* A key and a value as text. value_type: 0 text, 1 integer, 2 float, 3 boolean. */
#define HORUS_diagnostic_value_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) S(key, 64) S(value, 256) F(u8, value_type)

/* Any number of values that one component reports; level as in DiagnosticStatus. */
#define HORUS_diagnostic_report_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) S(component, 64) F(u8, level) W(diagnostic_value, values)

/* Stop everything (engaged) or go on: why, and who asked. auto_reset: ends without an operator. */
#define HORUS_emergency_stop_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(bool8, engaged) S(reason, 256) S(source, 64) F(bool8, auto_reset)

/* Load of a machine: percentages 0..100, bytes, temperature in degrees Celsius. */
#define HORUS_resource_usage_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(f32, cpu_percent) F(u64, memory_bytes) F(f32, memory_percent) \
    F(u64, disk_bytes) F(f32, disk_percent) \
    F(u64, network_rx_bytes) F(u64, network_tx_bytes) F(f32, temperature) F(u32, thread_count)

/* Safety controller. mode: 0 normal, 1 reduced, 2 stopped by a fault; fault_code: 0 is none. */
#define HORUS_safety_status_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(bool8, enabled) F(bool8, estop_engaged) F(bool8, watchdog_ok) F(bool8, limits_ok) \
    F(bool8, comms_ok) F(u8, mode) F(u32, fault_code)

/* Where to go: x, y, tolerance_position m; theta, tolerance_angle rad; timeout_seconds s.
 * priority: 0 is the most urgent. */
#define HORUS_nav_goal_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(f64, x) F(f64, y) F(f64, theta) F(f64, tolerance_position) F(f64, tolerance_angle) \
    F(f64, timeout_seconds) F(u32, goal_id) F(u8, priority)

/* Progress 0..1 of a goal, distance m, time left s.
 * status: 0 pending, 1 active, 2 succeeded, 3 aborted, 4 cancelled. */
#define HORUS_goal_result_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(u32, goal_id) F(u8, status) F(f32, progress) \
    F(f64, distance_to_goal) F(f64, eta_seconds) S(error_message, 256)

/* A stop on a path: pose, velocity there, time_from_start s, curvature 1/m. */
#define HORUS_waypoint_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    N(pose2d, pose) N(twist, velocity) F(f64, time_from_start) F(f32, curvature) \
    F(bool8, stop_required)

/* A path of any length: total_length m, duration_seconds s. */
#define HORUS_nav_path_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) F(f64, total_length) F(f64, duration_seconds) W(waypoint, waypoints)

/* A planner's answer: goal_pose and poses on the way, each x m, y m, theta rad. */
#define HORUS_path_plan_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) A(f64, goal_pose, 3) W(pose2d, waypoints)

/* A map of width x height cells of resolution m, cell (0, 0) at origin; data is row-major, a value
 * per cell: -1 unknown, 0 free .. 100 occupied. */
#define HORUS_occupancy_grid_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(u32, width) F(u32, height) F(f32, resolution) N(pose2d, origin) V(i8, data)

/* An OccupancyGrid (the same first fields and data) with a cost per cell: 0 free, lethal_cost and
 * above blocked, 255 unknown. inflation_radius m, cost_scaling_factor 1/m. */
#define HORUS_cost_map_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(u32, width) F(u32, height) F(f32, resolution) N(pose2d, origin) \
    F(f32, inflation_radius) F(f32, cost_scaling_factor) F(u8, lethal_cost) \
    V(i8, data) V(u8, costs)

/* A moving disc to avoid: position m, velocity m/s, radius m, time_horizon s. */
#define HORUS_velocity_obstacle_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    A(f64, position, 2) A(f64, velocity, 2) F(f32, radius) F(f32, time_horizon) \
    F(u32, obstacle_id)

/* Any number of moving discs. */
#define HORUS_velocity_obstacles_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) W(velocity_obstacle, obstacles)

/* Force N and torque N m at a sensor. */
#define HORUS_wrench_stamped_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(f64, fx) F(f64, fy) F(f64, fz) F(f64, tx) F(f64, ty) F(f64, tz)

/* Wanted force N and torque N m; timeout_seconds s, 0 for none. */
#define HORUS_force_command_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(f64, fx) F(f64, fy) F(f64, fz) F(f64, tx) F(f64, ty) F(f64, tz) F(f64, timeout_seconds)

/* A touch: force N, confidence 0..1, stiffness N/m, damping N s/m; contact_start_ns: 0 is none.
 * state: 0 none, 1 begun, 2 steady, 3 lost, 4 sliding. */
#define HORUS_contact_info_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(u8, state) F(f64, contact_force) F(f32, confidence) F(f64, stiffness) F(f64, damping) \
    F(u64, contact_start_ns)

/* Impedance along x, y, z, about x, y, z: stiffness N/m, N m/rad; damping N s/m, N m s/rad;
 * inertia kg, kg m^2; force_limits N, N m. */
#define HORUS_impedance_parameters_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    A(f64, stiffness, 6) A(f64, damping, 6) A(f64, inertia, 6) A(f64, force_limits, 6) \
    F(bool8, enabled)

/* Feedback to a hand: intensity 0..1, Hz, s, and a force N. pattern_type: 0 constant, 1 pulse. */
#define HORUS_haptic_feedback_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(f32, vibration_intensity) F(f32, vibration_frequency) F(f32, duration_seconds) \
    F(u8, pattern_type) F(bool8, enabled) N(vector3, force)

/* rows x cols taxels, forces N row-major; total_force N; center_of_pressure and physical_size m. */
#define HORUS_tactile_array_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(u32, rows) F(u32, cols) A(f32, physical_size, 2) A(f32, center_of_pressure, 2) \
    A(f32, total_force, 3) F(bool8, in_contact) V(f32, forces)

/* One event. event_type: "axis", "button", "hat" or "connection"; value -1..1 for an axis. */
#define HORUS_joystick_input_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(u32, joystick_id) F(u32, element_id) F(f32, value) F(bool8, pressed) \
    S(event_type, 16) S(element_name, 64)

/* One key. modifier_flags: 1 ctrl, 2 alt, 4 shift. */
#define HORUS_keyboard_input_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    S(key_name, 64) F(u32, code) F(bool8, pressed) F(u32, modifier_flags)

/* An encoded picture: format names the codec ("jpeg", "png"); width, height px, 0 where unknown. */
#define HORUS_compressed_image_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    S(format, 64) F(u32, width) F(u32, height) V(u8, data)

/* Calibration of a camera of width x height px: K 3x3, R 3x3, P 3x4, all px where they have a unit;
 * distortion_coefficients in the order of distortion_model, unused ones 0. */
#define HORUS_camera_info_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(u32, width) F(u32, height) S(distortion_model, 64) A(f64, distortion_coefficients, 8) \
    A(f64, camera_matrix, 9) A(f64, rectification_matrix, 9) A(f64, projection_matrix, 12)

/* A calibrated pair: baseline m; depth_scale multiplies a depth in m. */
#define HORUS_stereo_info_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    N(camera_info, left_camera) N(camera_info, right_camera) F(f64, baseline) F(f64, depth_scale)

/* A rectangle of an image, px. */
#define HORUS_region_of_interest_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(u32, x_offset) F(u32, y_offset) F(u32, width) F(u32, height) F(bool8, do_rectify)

/* A box in an image: its top left corner and size, px. */
#define HORUS_bounding_box2d_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) F(f32, x) F(f32, y) F(f32, width) F(f32, height)

/* A box in space: centre and size m (length along x, width y, height z), rotation rad. */
#define HORUS_bounding_box3d_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(f32, cx) F(f32, cy) F(f32, cz) F(f32, length) F(f32, width) F(f32, height) \
    F(f32, yaw) F(f32, roll) F(f32, pitch)

/* An object found in an image: confidence 0..1; instance_id tells objects of a class apart. */
#define HORUS_detection_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    S(class_name, 64) F(f32, confidence) N(bounding_box2d, bbox) F(u32, class_id) \
    F(u32, instance_id)

/* All that was found in one frame: timestamp_ns and frame_id are the frame's, image_seq is the
 * sequence number with which it was received, 0 where unknown. */
#define HORUS_detections_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) F(u64, image_seq) S(frame_id, 64) W(detection, items)

/* An object found in space: confidence 0..1, velocity m/s. */
#define HORUS_detection3d_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    S(class_name, 64) F(f32, confidence) N(bounding_box3d, bbox) F(u32, class_id) \
    F(u32, instance_id) F(f32, velocity_x) F(f32, velocity_y) F(f32, velocity_z)

/* A label per pixel, row-major. mask_type: 0 semantic (one byte each), 1 instance, 2 panoptic (two
 * bytes each, little-endian). data may be empty where the labels travel as an Image. */
#define HORUS_segmentation_mask_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(u32, width) F(u32, height) F(u32, mask_type) F(u32, num_classes) F(u64, seq) \
    S(frame_id, 64) V(u8, data)

/* An object followed over frames: velocity px per frame, acceleration px per frame^2, ages frames.
 * state: 0 tentative, 1 confirmed, 2 deleted. */
#define HORUS_tracked_object_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(u64, track_id) N(bounding_box2d, bbox) F(u32, class_id) F(f32, confidence) \
    S(class_name, 64) N(bounding_box2d, predicted_bbox) \
    F(f32, velocity_x) F(f32, velocity_y) F(f32, accel_x) F(f32, accel_y) \
    F(u32, age) F(u32, hits) F(u32, time_since_update) F(u8, state)

/* The tracks of one frame. frame_id is the number of the frame, num_tracks what the tracker counts;
 * tracks may be empty where they travel one by one. */
#define HORUS_tracking_header_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(u32, num_tracks) F(u32, frame_id) F(u32, active_tracks) F(u64, total_tracks) \
    W(tracked_object, tracks)

/* A keypoint in an image: x, y px or 0..1, visibility 0..1, index in its skeleton. */
#define HORUS_landmark_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) F(f32, x) F(f32, y) F(f32, visibility) F(u32, index)

/* A keypoint in space: x, y, z m or 0..1, visibility 0..1, index in its skeleton. */
#define HORUS_landmark3d_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) F(f32, x) F(f32, y) F(f32, z) F(f32, visibility) F(u32, index)

/* The keypoints of one body: dimension 2 (z is 0) or 3, confidence 0..1, box px. num_landmarks is
 * the size of the skeleton; landmarks may be empty. */
#define HORUS_landmark_array_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    F(u32, num_landmarks) F(u32, dimension) F(u32, instance_id) F(f32, confidence) \
    F(f32, bbox_x) F(f32, bbox_y) F(f32, bbox_width) F(f32, bbox_height) \
    W(landmark3d, landmarks)

/* A plane ax + by + cz + d = 0 (coefficients a, b, c, d; m), a point on it, its unit normal;
 * confidence 0..1; plane_type is a free word ("floor"). */
#define HORUS_plane_detection_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) \
    A(f64, coefficients, 4) N(point3, center) N(vector3, normal) F(f32, confidence) \
    F(u32, inlier_count) S(plane_type, 64)

/* Any number of planes of one frame. */
#define HORUS_plane_array_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) S(frame_id, 64) W(plane_detection, planes)

/* One field of a point record: offset bytes from its start, count values. datatype: 0 f32, 1 f64,
 * 2 f16, 3 bf16, 4 i8, 5 i16, 6 i32, 7 i64, 8 u8, 9 u16, 10 u32. */
#define HORUS_point_field_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) S(name, 64) F(u32, offset) F(u8, datatype) F(u32, count)

/* X(name in C, name in Python, default topic): a message comes after those that it nests. */
#define HORUS_MESSAGES(X) \
    X(vector3, Vector3, "vector3") \
    X(point3, Point3, "point3") \
    X(quaternion, Quaternion, "quaternion") \
    X(cmd_vel, CmdVel, "cmd_vel") \
    X(twist, Twist, "twist") \
    X(twist_with_covariance, TwistWithCovariance, "twist_cov") \
    X(accel, Accel, "accel") \
    X(accel_stamped, AccelStamped, "accel_stamped") \
    X(pose2d, Pose2D, "pose") \
    X(pose3d, Pose3D, "pose3d") \
    X(pose_stamped, PoseStamped, "pose_stamped") \
    X(pose_with_covariance, PoseWithCovariance, "pose_cov") \
    X(transform_stamped, TransformStamped, "transform") \
    X(odometry, Odometry, "odom") \
    X(imu, Imu, "imu") \
    X(laser_scan, LaserScan, "scan") \
    X(range_sensor, RangeSensor, "range") \
    X(battery_state, BatteryState, "battery") \
    X(nav_sat_fix, NavSatFix, "gps") \
    X(magnetic_field, MagneticField, "mag") \
    X(temperature, Temperature, "temperature") \
    X(fluid_pressure, FluidPressure, "pressure") \
    X(illuminance, Illuminance, "illuminance") \
    X(audio_frame, AudioFrame, "audioframe") \
    X(joint_state, JointState, "joint_states") \
    X(joint_command, JointCommand, "joint_cmd") \
    X(motor_command, MotorCommand, "motor_cmd") \
    X(servo_command, ServoCommand, "servo_cmd") \
    X(differential_drive_command, DifferentialDriveCommand, "diff_drive_cmd") \
    X(pid_config, PidConfig, "pid_config") \
    X(trajectory_point, TrajectoryPoint, "trajectory_point") \
    X(clock, Clock, "clock") \
    X(time_reference, TimeReference, "time_reference") \
    X(heartbeat, Heartbeat, "heartbeat") \
    X(node_heartbeat, NodeHeartbeat, "node_heartbeat") \
    X(diagnostic_status, DiagnosticStatus, "diagnostics") \
    X(diagnostic_value, DiagnosticValue, "diagnostic_value") \
    X(diagnostic_report, DiagnosticReport, "diagnostic_report") \
    X(emergency_stop, EmergencyStop, "estop") \
    X(resource_usage, ResourceUsage, "resources") \
    X(safety_status, SafetyStatus, "safety_status") \
    X(nav_goal, NavGoal, "nav_goal") \
    X(goal_result, GoalResult, "nav_result") \
    X(waypoint, Waypoint, "waypoint") \
    X(nav_path, NavPath, "nav_path") \
    X(path_plan, PathPlan, "path_plan") \
    X(occupancy_grid, OccupancyGrid, "occupancy_grid") \
    X(cost_map, CostMap, "cost_map") \
    X(velocity_obstacle, VelocityObstacle, "velocity_obstacle") \
    X(velocity_obstacles, VelocityObstacles, "velocity_obstacles") \
    X(wrench_stamped, WrenchStamped, "wrench") \
    X(force_command, ForceCommand, "force_cmd") \
    X(contact_info, ContactInfo, "contact") \
    X(impedance_parameters, ImpedanceParameters, "impedance_parameters") \
    X(haptic_feedback, HapticFeedback, "haptic_feedback") \
    X(tactile_array, TactileArray, "tactile_array") \
    X(joystick_input, JoystickInput, "joystick") \
    X(keyboard_input, KeyboardInput, "keyboard") \
    X(compressed_image, CompressedImage, "compressed_image") \
    X(camera_info, CameraInfo, "camera_info") \
    X(stereo_info, StereoInfo, "stereo_info") \
    X(region_of_interest, RegionOfInterest, "region_of_interest") \
    X(bounding_box2d, BoundingBox2D, "bbox2d") \
    X(bounding_box3d, BoundingBox3D, "bbox3d") \
    X(detection, Detection, "detection") \
    X(detections, DetectionList, "detections") \
    X(detection3d, Detection3D, "detection3d") \
    X(segmentation_mask, SegmentationMask, "segmentation_mask") \
    X(tracked_object, TrackedObject, "tracked_object") \
    X(tracking_header, TrackingHeader, "tracking_header") \
    X(landmark, Landmark, "landmark") \
    X(landmark3d, Landmark3D, "landmark3d") \
    X(landmark_array, LandmarkArray, "landmark_array") \
    X(plane_detection, PlaneDetection, "plane_detection") \
    X(plane_array, PlaneArray, "plane_array") \
    X(point_field, PointField, "point_field")
/* clang-format on */

#define HORUSI_X(snake, name, topic)                                                               \
    HORUSI_MESSAGE_STRUCT(snake, HORUS_##snake##_FIELDS)                                           \
    HORUS_API const horus_type horus_##snake##_type;
HORUS_MESSAGES(HORUSI_X)
#undef HORUSI_X

#ifndef HORUS_NO_SCHEDULER
/* ------------------------------------------------------------------------------------ >>scheduler
 *
 * Runs callbacks ("nodes") at their rates, in order, within their budgets.
 *
 *     static horus_result control(void *user, horus_tick *t) { ... return HORUS_OK; }
 *
 *     horus_scheduler *s;
 *     horus_scheduler_open(&s, &(horus_scheduler_desc){.name = "arm", .flags = HORUS_SIGNALS});
 *     horus_scheduler_add(s, &(horus_node_desc){.name = "control", .tick = control, .rate_hz = 1000,
 *                                               .budget_ns = 300000});
 *     horus_scheduler_run(s, HORUS_FOREVER);      until horus_scheduler_stop(), Ctrl-C or SIGTERM
 *     horus_scheduler_close(s);
 *
 * When. Tick k of a node is due at start + floor(k * 10^9 / rate), the rate being a fraction of whole
 * numbers: nothing is accumulated, so 60 Hz gives exactly 3600 ticks a minute, for ever, whatever
 * other nodes do. ticks + skipped always is what the phases imply: nothing is left out in silence.
 *
 * Where. Ordered nodes run one after the other on the thread that called run: what is due at the
 * same time by `order`, then in the order of addition; one pass ticks each node at most once. `compute`
 * nodes run on threads of their own and never delay them; `on_topic` nodes run, each on its own thread,
 * when there is a message. init and shutdown are on the thread that called run, but for those of a
 * RESTART, which are on the node's. Threads of a run block the signals that the program has a handler for,
 * SIGINT, SIGTERM and faults excepted; processes that their callbacks start inherit that.
 *
 * Late. A tick that takes longer than budget_ns, from the call of its callback to its return (in Python from
 * when it has the GIL: the wait for it is latency, and counts for deadlines alone), or ends later than deadline_ns after it was due, is a
 * miss: `on_miss` says what follows. With watchdog_ns this is noticed while the tick still runs, else
 * when it has ended. What becomes of ticks that could not start in time is `overrun`'s matter.
 *
 * Time is CLOCK_MONOTONIC: setting the wall clock changes nothing. The loop sleeps by clock_nanosleep
 * until absolute times, never longer than 100 ms at once. Between two sleeps it takes no lock, no heap
 * and no other system call; what callbacks do is theirs.
 *
 * Statistics lie in the namespace's shared memory: see horus_scheduler_read. Not with HORUS_NO_OS. */

typedef struct horus_scheduler horus_scheduler;

/* What a tick is told. Plain data, valid during the call. */
typedef struct horus_tick {
    horus_scheduler *scheduler;
    const char *node;
    uint64_t count;  /* ticks of this node before this one, in earlier runs too */
    uint64_t phase;  /* k; without a rate: the same as count */
    uint64_t due_ns; /* when it was due, on the scheduler's clock; on_topic: its message was sent */
    uint64_t now_ns; /* when it began */
    uint64_t start_ns; /* tick 0 was due then: of this run, the same for all nodes */
    uint64_t dt_ns;    /* due_ns less that of the node's tick before; the first: one period, or 0 */
    uint64_t skipped;  /* ticks of this node left out since the one before */
    uint64_t budget_ns; /* the node's; 0: none */
    uint32_t index;     /* of the node, in the order of addition */
    bool safe;          /* the node is in its safe state */
    uint8_t pad[3];
    uint64_t random;  /* state of horus_tick_random */
    uint64_t used_ns; /* set by horus_tick_used */
} horus_tick;

/* After a tick over its budget or deadline. */
typedef enum horus_on_miss {
    HORUS_MISS_WARN = 0, /* count it and say so */
    /* leave out the node's next tick; on_topic: of the messages that wait all but the newest, so a lone one
     * is ticked */
    HORUS_MISS_SKIP = 1,
    /* call safe_state, once; the first good tick after it ends the episode */
    HORUS_MISS_SAFE_MODE = 2,
    HORUS_MISS_STOP = 3 /* stop the scheduler: run returns E_LIMIT */
} horus_on_miss;

/* When a tick could not start before the next was due. */
typedef enum horus_overrun {
    /* run the newest that is due, leave out older ones; after a tick that took over a period, wait
     * for the next phase */
    HORUS_OVERRUN_SKIP_TO_PHASE = 0,
    /* run them all, one a pass, as fast as may be; after the end of the run for a period more, up to
     * 100 ms, and then the newest alone */
    HORUS_OVERRUN_CATCH_UP = 1,
    /* as SKIP_TO_PHASE, but a tick that took over a period is followed by min_gap_ns at least
     * without one */
    HORUS_OVERRUN_MIN_GAP = 2
} horus_overrun;

/* When tick or init returns less than 0. */
typedef enum horus_on_failure {
    HORUS_FAILURE_LOG = 0,     /* count it, say so, go on. A node whose init failed is left out */
    HORUS_FAILURE_FATAL = 1,   /* stop the scheduler: run returns that result */
    HORUS_FAILURE_RESTART = 2, /* shutdown, a pause, init; after so many in a row the node ends */
    HORUS_FAILURE_SKIP = 3,    /* after so many in a row, a pause */
    HORUS_FAILURE_IGNORE = 4   /* count it */
} horus_on_failure;

typedef enum horus_node_state {
    HORUS_NODE_IDLE = 0,    /* not running: before init or after shutdown */
    HORUS_NODE_RUNNING = 1, /* initialised */
    HORUS_NODE_SAFE = 2,    /* in its safe state, still ticking */
    HORUS_NODE_PAUSED = 3,  /* after failures; comes back */
    HORUS_NODE_FAILED = 4   /* its init failed, it failed too often, or it ended its thread */
} horus_node_state;

/* A node. Zero picks the default; only name and tick are needed. Strings and `user` are not copied but
 * for the name, and must live until the scheduler is closed.
 *   rate      ordered and compute nodes need none or one of rate_hz and rate_num / rate_den; 10^-6 to
 *             10^6 Hz. A double is taken as the simplest fraction that it stands for: 59.94 is
 *             2997/50. None: 30 Hz */
typedef struct horus_node_desc {
    const char *name; /* unique in its scheduler; 1 to 96 bytes, any text but control characters */
    horus_result (*tick)(void *user, horus_tick *tick); /* less than 0 is a failure */
    horus_result (*init)(void *user);                   /* NULL: nothing to do */
    horus_result (*shutdown)(void *user);               /* never for a node whose init failed */
    /* SAFE_MODE: from the watchdog's thread if there is one, and then perhaps while the tick runs, or the
     * shutdown and init of a RESTART after it. The one watchdog looks at no other node meanwhile, nor
     * while on_event runs on it: be short. */
    void (*safe_state)(void *user);
    void *user;
    double rate_hz;
    uint32_t rate_num, rate_den; /* the exact rate, rate_den 0: 1 */
    int32_t order;               /* low first */
    /* compute, on_topic: SCHED_FIFO 1 to 99, 0: not real time; and 1 + the processor, 0: any.
     * Ordered nodes have the scheduler's, and get_capabilities says so */
    int32_t priority;
    int32_t core;
    bool compute;
    /* tick when it has a message, which tick must receive; its thread's alone, so no other node's */
    horus_topic *on_topic;
    int64_t budget_ns;   /* how long a tick may take, up to an hour; 0: no matter */
    int64_t deadline_ns; /* from due to end, up to an hour; 0: no matter. on_topic: due when sent */
    int64_t min_gap_ns;  /* MIN_GAP, up to an hour; 0: one period */
    horus_on_miss on_miss;
    horus_overrun overrun;
    horus_on_failure on_failure;
    /* deadlines missed in a row that stop the scheduler (E_LIMIT); 0: what the scheduler says */
    uint32_t max_deadline_misses;
    uint32_t max_failures; /* RESTART, SKIP: in a row; 0: 5 */
    int64_t pause_ns;      /* RESTART: 0: 100 ms; SKIP: 0: 30 s; up to a day */
    /* names, up to 64, of parts of a tick that have figures of their own (horus_tick_part), and then NULL;
     * they must live as long as the scheduler. NULL: none */
    const char *const *parts;
} horus_node_desc;

/* A clock of your own, for tests and simulators. Then nothing runs beside the loop: compute nodes are
 * ordered, on_topic nodes and watchdog_ns are E_UNSUPPORTED.
 *   sleep     returns when now() is ns or later, or earlier for a look at stop */
typedef struct horus_time_source {
    uint64_t (*now)(void *user);
    void (*sleep)(void *user, uint64_t ns);
    void *user;
} horus_time_source;

/* Flags of a scheduler. */
enum {
    /* run stops on SIGINT and SIGTERM (not where they are ignored), and gives their handlers back
     * when it ends, but for one that was set meanwhile. A child of fork() has the former ones at once */
    HORUS_SIGNALS = 1 << 0,
    /* a clock that jumps from due time to due time, as one of your own could: the same ticks in the
     * same order with the same times and random numbers, each time, as fast as they go */
    HORUS_DETERMINISTIC = 1 << 1,
    /* ask for SCHED_FIFO, locked memory, exact timers; horus_scheduler_get_capabilities tells what
     * is refused */
    HORUS_REALTIME = 1 << 2,
    HORUS_REALTIME_OR_FAIL = 1 << 3, /* the same, but run fails with E_PERMISSION */
    HORUS_ADMISSION = 1 << 4, /* run fails with E_LIMIT if budgets do not fit into the periods */
    /* with REALTIME: SCHED_DEADLINE for each thread whose nodes all have a rate and a budget: runtime
     * is the sum of the budgets, period and deadline the shortest period. Where it is refused:
     * SCHED_FIFO, and it is told */
    HORUS_REALTIME_DEADLINE = 1 << 5
};

typedef enum horus_event_kind {
    HORUS_EVENT_TICK = 0,  /* black box only: ns is how long it took */
    HORUS_EVENT_START,     /* the scheduler began (no node), or the node's init is done */
    HORUS_EVENT_END,       /* the scheduler ended: result */
    HORUS_EVENT_BUDGET,    /* a tick takes or took ns, over its budget */
    HORUS_EVENT_DEADLINE,  /* a tick ends, or will end, ns or more after it was due */
    HORUS_EVENT_SKIPPED,   /* ns is how many ticks were left out */
    HORUS_EVENT_SAFE,      /* safe_state was called */
    HORUS_EVENT_RECOVERED, /* the first good tick after it */
    HORUS_EVENT_FAILURE,   /* init, tick or shutdown returned result */
    HORUS_EVENT_PAUSED,    /* for ns */
    HORUS_EVENT_RESTARTED,
    HORUS_EVENT_FAILED, /* the node is not ticked any more */
    HORUS_EVENT_LOG     /* horus_scheduler_log */
} horus_event_kind;
typedef struct horus_event {
    uint64_t time_ns; /* the scheduler's clock */
    uint64_t phase;   /* k of the node's newest tick */
    uint64_t ns;
    const char *node; /* NULL: the scheduler */
    const char *text; /* LOG, FAILURE; else "" */
    uint32_t index;   /* of the node; UINT32_MAX: the scheduler */
    horus_event_kind kind;
    horus_result result;
} horus_event;

typedef struct horus_scheduler_desc {
    /* up to 80 bytes, as a topic's; NULL: "scheduler-" and the process's id. Of two that run under one
     * name the newer is what readers see */
    const char *name;
    horus_context *context;         /* NULL: the default one */
    const horus_time_source *clock; /* NULL: CLOCK_MONOTONIC */
    uint32_t flags;                 /* HORUS_SIGNALS and so on */
    uint32_t workers;             /* threads for compute nodes, up to 64; 0: one each, at most 16 */
    uint32_t max_deadline_misses; /* for nodes that say nothing; 0: as many as may be */
    int32_t priority;             /* REALTIME: 1 to 99; 0: 80 */
    uint64_t cores;          /* a bit for each processor that ordered nodes may run on; 0: all */
    uint64_t seed;           /* of horus_tick_random */
    int64_t watchdog_ns;     /* how often ticks are looked at, 100 us to an hour; 0: never */
    uint64_t blackbox_bytes; /* size of the black box, up to 1 GiB; 0: none */
    const char *record;      /* DETERMINISTIC: a file to be made: see horus_recording; or NULL */
    const char *replay;      /* DETERMINISTIC: a file so made, or NULL; its seed is taken */
    /* all but TICK, on the thread where it happens; must not block. Not from within itself: what it
     * logs is for the black box alone */
    void (*on_event)(void *user, const horus_event *event);
    void *user;
} horus_scheduler_desc;

/* Makes a scheduler. It joins the namespace.
 *   returns   OK | E_ARG | E_NAME | E_MEMORY | E_SYSTEM, E_PERMISSION (record, replay: last_error says
 *             why) | E_NOT_FOUND, E_CORRUPT, E_VERSION (replay) and what horus_context_default returns
 *   threads   any */
HORUS_API horus_result horus_scheduler_open(horus_scheduler **out,
                                            const horus_scheduler_desc *desc);

/* Adds a node, before run or between two of them.
 *   returns   OK | E_ARG (last_error names the field, its value and its range: a rate, budget or
 *             deadline that is 0 where it may not be, negative, NaN or too large; no tick; a name that
 *             is taken; compute with on_topic) | E_NAME | E_MEMORY | E_BUSY (it runs) |
 *             E_UNSUPPORTED (on_topic with a clock of one's own) | E_LIMIT (4096 nodes)
 *   threads   one at a time */
HORUS_API horus_result horus_scheduler_add(horus_scheduler *scheduler, const horus_node_desc *desc);

/* Changes a node's rate or budget; while it runs within 100 ms, between two ticks: the next one is due a
 * period of the new rate after the last one was, be it ticked or left out, and phases count from there.
 * A pause goes on, and so does what follows a tick that took over a period (`overrun`).
 *   returns   OK | E_ARG (as horus_scheduler_add) | E_NOT_FOUND
 *   threads   any, one at a time with horus_scheduler_add */
HORUS_API horus_result horus_scheduler_set_rate(horus_scheduler *scheduler, const char *node,
                                                double rate_hz);
HORUS_API horus_result horus_scheduler_set_budget(horus_scheduler *scheduler, const char *node,
                                                  int64_t budget_ns);

/* Calls every init by order, ticks until something ends it, calls shutdown in the reverse order of
 * those whose init worked, and returns. Ticks due at start + duration_ns or later are not run. May be
 * called again: phases begin anew, counters go on.
 *   duration_ns  nanoseconds, or HORUS_FOREVER
 *   returns   OK (the time is over, or stop was called) | INTERRUPTED (SIGINT or SIGTERM, with
 *             HORUS_SIGNALS) | E_LIMIT (a miss policy stopped it, or HORUS_ADMISSION: last_error names
 *             the nodes) | what a node with FAILURE_FATAL returned | E_ARG | E_BUSY (it runs already:
 *             also when a tick calls this) | E_MEMORY |
 *             E_SYSTEM (no thread, or no room for the recording) | E_PERMISSION (REALTIME_OR_FAIL) |
 *             E_DIVERGED, E_CORRUPT, E_NOT_FOUND (replay: it holds no further run) | E_DETACHED
 *   stops     once the tick that runs has ended; on_topic nodes within 100 ms. A signal ends the inits,
 *             too: those that are not begun are not called
 *   stack     64 KiB of the caller's thread, besides what callbacks need
 *   no nodes  is allowed: it waits for its end
 *   fork()    in a child that a callback makes, the run ends when the callback returns: with E_DETACHED on
 *             the caller's thread, with the child's exit(EXIT_FAILURE) on another. It calls back nothing, and its
 *             parent goes on and notices nothing
 *   a callback that ends its thread (pthread_exit) is a failure (E_CLOSED) of its node, which is then
 *             over, with those that the same thread ticked; that of the caller's thread ends the run
 *             with it, as pthread_cancel() does while it sleeps. Leaving a callback in another way than
 *             by return, by longjmp() or a C++ exception, is not allowed: the scheduler would stay within it */
HORUS_API horus_result horus_scheduler_run(horus_scheduler *scheduler, int64_t duration_ns);

/* Runs what falls due in the next duration_ns and returns without waiting for it: for tests and for
 * loops of one's own. All nodes tick on the calling thread, those on_topic last, once each if there is a
 * message. The scheduler's time stands still between two steps, so phases go on from one to the next. The
 * first step, or the first after horus_scheduler_add, calls init; nodes stay initialised until a step
 * ends for another reason than its duration, or the next run (of 0, say) or close is over.
 *   duration_ns  nanoseconds, not HORUS_FOREVER
 *   returns   as run, but never INTERRUPTED */
HORUS_API horus_result horus_scheduler_step(horus_scheduler *scheduler, int64_t duration_ns);

/* Ends run: no tick begins after those that run now. Before run: ends the next one that is not refused
 * at once, after init and before the first tick. From any thread, callback or signal handler; wait-free. NULL is allowed. */
HORUS_API void horus_scheduler_stop(horus_scheduler *scheduler);

/* Frees it; its figures stay to be read until their memory is needed. Before the context is closed.
 * OK (NULL too) | E_BUSY (it runs: nothing was done) | E_DETACHED (it ran as this process was forked: the
 * same; so say add, admit and run there, and get_stats, if admit or the beginning of a run was cut off) */
HORUS_API horus_result horus_scheduler_close(horus_scheduler *scheduler);

/* The next random number of this tick: depends on seed, node and phase alone. */
HORUS_API uint64_t horus_tick_random(horus_tick *tick);
/* Says that this tick used data published at publish_ns (horus_info): its age goes into the node's
 * third histogram when the tick ends. Several: the oldest counts. */
HORUS_API void horus_tick_used(horus_tick *tick, uint64_t publish_ns);
/* Notes how long a part of this tick took, or that it failed: part `number` of the node's desc.parts has
 * figures behind those of all nodes, named "node/part", whose ticks are what is noted here, with failures
 * (a result less than 0) and the second histogram. One that is not there is passed over. */
HORUS_API void horus_tick_part(horus_tick *tick, uint32_t number, uint64_t ns, horus_result result);

/* Notes a line, up to 79 bytes, in the black box and for on_event. tick: the one that says so, or NULL
 * from outside. Any thread. */
HORUS_API void horus_scheduler_log(horus_scheduler *scheduler, const horus_tick *tick,
                                   const char *text);

/* Do the budgets fit? Adds budget / period of all ordered nodes, and of the compute nodes of each
 * thread; threads that are bound to the same single processor together. Rates and budgets are those of
 * the next run; nodes without a budget count nothing.
 *   load      the largest sum, 1.0 being one processor, with E_LIMIT too; may be NULL
 *   returns   OK | E_LIMIT (over 1, or a budget over its own period or deadline: last_error names the
 *             nodes) | E_ARG | E_BUSY (it runs) | E_MEMORY */
HORUS_API horus_result horus_scheduler_admit(horus_scheduler *scheduler, double *load);

/* What a run may ask for. */
enum {
    HORUS_CAN_FIFO = 1 << 0,   /* SCHED_FIFO for all threads that were to have it */
    HORUS_CAN_LOCK = 1 << 1,   /* memory is locked as it is first used (mlockall); it stays so */
    HORUS_CAN_TIMERS = 1 << 2, /* timer slack 1 ns */
    HORUS_CAN_CORES = 1 << 3,  /* threads are bound to processors */
    /* figures and black box are in shared memory; else on the heap: the pool has no room, or the
     * context was opened with HORUS_PROTECT */
    HORUS_CAN_SHARE = 1 << 4,
    HORUS_CAN_DEADLINE = 1 << 5 /* SCHED_DEADLINE for all threads that were to have it */
};
typedef struct horus_capabilities {
    uint32_t wanted, got; /* HORUS_CAN_ bits; wanted & ~got is what was refused */
    /* a line for each thing refused: what, for whom, why, what helps; "" if all was had */
    char degradations[500]; /* whole lines; the last may say how many more there are */
} horus_capabilities;
/* What the present or last run asked for, and really has. Any thread.
 * OK | E_ARG | E_NOT_FOUND (has not run) */
HORUS_API horus_result horus_scheduler_get_capabilities(horus_scheduler *scheduler,
                                                        horus_capabilities *out);

/* Recording and replay. With `record`, each call on a topic that a node's tick, init or shutdown makes
 * (send, receive, peek, wait, skip_to_latest, drain, ack, get_stats) is noted in a file: what came,
 * whoever sent it, and a hash of what was sent. With `replay`, the same nodes, run and stepped in the same
 * order, get from the file what they got then: nothing is received, nothing is sent, and no other process
 * is needed. Such a run ends where the recorded one did, or with its own duration. At the first divergence
 * it ends with E_DIVERGED, and last_error names tick, node and topic. What was recorded until a kill is
 * replayed up to there, and then E_CORRUPT is returned.
 *   the same  bit for bit are messages in their fields (untyped ones in all their bytes: zero the padding),
 *             frames in their elements, sizes, id and time; on any processor, if it computes the same: no
 *             contraction (-ffp-contract=off), no NaN of its own making, no libm
 *   not       recorded: other clocks than the tick's, files, calls of other threads, stop and set_rate from
 *             outside of ticks; and topics are opened in a replay, too
 *   threads   the one that ticks. What a signal handler sends on it meanwhile is taken for the tick's
 *   cost      a write() for each call that is no send, and for each callback; frames are written whole.
 *             None for other schedulers and threads
 *   file      the same for all builds: see >>recording. horus_scheduler_open makes it, mode 0600; one
 *             that is there is emptied and keeps its mode. It holds all that came: treat it as you treat
 *             that. One that cannot be written any further ends the run (E_SYSTEM). One that is damaged is
 *             an error (E_CORRUPT), whoever made it
 *   fork()    a child that comes back from a callback ends its run there (E_DETACHED) */
typedef struct horus_recording {
    uint64_t calls;   /* callbacks begun */
    uint64_t inputs;  /* outcomes of calls that were no sends */
    uint64_t outputs; /* messages sent */
    uint64_t hash;    /* of all of them, in their order */
    uint64_t tick;    /* of the first divergence: phase of the tick, of which ... */
    char node[HORUS_NAME_BYTES], topic[HORUS_NAME_BYTES]; /* "": of the node's turn or result */
    bool diverged;
} horus_recording;
/* Of this scheduler's recording or replay so far. OK | E_ARG | E_NOT_FOUND (it has neither). Not while it
 * runs, but from its callbacks. */
HORUS_API horus_result horus_scheduler_get_recording(const horus_scheduler *scheduler,
                                                     horus_recording *out);

/* A log-linear histogram's summary, nanoseconds. Percentiles are true ones of all values, nothing
 * trimmed, within 3.2 % up to 73 minutes (longer ones count as the longest of those); max is exact. */
typedef struct horus_spread {
    uint64_t count, mean_ns, p50_ns, p99_ns, p99_9_ns, max_ns;
} horus_spread;
enum { HORUS_SPREAD_WAKE = 0, HORUS_SPREAD_RUN = 1, HORUS_SPREAD_AGE = 2, HORUS_SPREADS = 3 };

typedef struct horus_node_stats {
    char name[HORUS_NAME_BYTES];
    horus_node_state state;
    uint32_t rate_num, rate_den; /* 0 for on_topic nodes */
    int32_t order;
    uint64_t ticks;    /* begun */
    uint64_t skipped;  /* due, but left out for any reason */
    uint64_t overruns; /* ticks that ended after the next was due */
    uint64_t budget_misses, deadline_misses;
    uint64_t watchdog_misses; /* of those: noticed while the tick ran */
    uint64_t failures, restarts;
    uint64_t safe_entries, recoveries;
    uint64_t running_since_ns; /* a tick runs since; 0: none */
    uint64_t last_due_ns;
    horus_spread
        spread[HORUS_SPREADS]; /* begin after due; how long it took; age of the data used */
} horus_node_stats;

typedef enum horus_scheduler_end {
    HORUS_END_NONE = 0, /* it runs, has not run, or was killed */
    HORUS_END_DURATION,
    HORUS_END_STOP,
    HORUS_END_SIGNAL,
    HORUS_END_MISS,
    HORUS_END_FAILURE
} horus_scheduler_end;
typedef struct horus_scheduler_stats {
    char name[HORUS_NAME_BYTES];
    int32_t pid;             /* as that process saw itself */
    bool running;            /* run has not returned; true for ever after a kill */
    horus_scheduler_end end; /* why the last run ended */
    uint32_t nodes;          /* with their parts: entries that there are */
    uint64_t start_ns;       /* of the present or last run */
    uint64_t passes;         /* of the loop of ordered nodes */
    uint64_t seed;
} horus_scheduler_stats;

/* Reads the statistics of a scheduler in any process of the namespace, while it runs and after it was
 * killed, until its memory is needed or nobody is left in the namespace. Figures are read one by one
 * while the scheduler goes on.
 *   nodes     room entries, in the order of addition, then their parts; may be NULL if room is 0
 *   count     how many were filled; may be NULL
 *   returns   OK | E_ARG | E_NAME | E_NOT_FOUND (none of that name has run) | E_LIMIT (39 others are
 *             reading these very figures: again) | E_CORRUPT and what horus_topic_open returns
 *   threads   any
 *   cost      opens a topic: some microseconds, and one pass over the histograms */
HORUS_API horus_result horus_scheduler_read(horus_context *context, const char *name,
                                            horus_scheduler_stats *out, horus_node_stats *nodes,
                                            size_t room, size_t *count);
/* One record of a black box. */
typedef struct horus_record {
    uint64_t time_ns, phase, ns; /* as in horus_event; TICK: time_ns is when it ended */
    uint32_t index;              /* of the node; UINT32_MAX: the scheduler */
    horus_event_kind kind;
    horus_result result;
    char node[HORUS_NAME_BYTES];
    char text[80];
} horus_record;
/* Reads the newest records of a scheduler's black box, oldest first; as horus_scheduler_read. One half
 * of blackbox_bytes is for ticks, the other for everything else, so that ticks push out no error.
 *   records   room entries
 *   returns   as horus_scheduler_read; none if it has no black box
 *   cost      reads all of the box */
HORUS_API horus_result horus_scheduler_read_records(horus_context *context, const char *name,
                                                    horus_record *records, size_t room,
                                                    size_t *count);
/* The same of one's own. E_NOT_FOUND before the first run. From any thread, also beside
 * horus_scheduler_add and run; where a run that begins moves the figures, it waits. */
HORUS_API horus_result horus_scheduler_get_stats(horus_scheduler *scheduler,
                                                 horus_scheduler_stats *out,
                                                 horus_node_stats *nodes, size_t room,
                                                 size_t *count);
#endif

#ifndef HORUS_NO_VISION
/* ------------------------------------------------------------------------------------ >>vision
 *
 * From a camera's image to the input of a network, and from its output to detections.
 *
 *     horus_pixel_map map;
 *     horus_image_preprocess(&input, &img, NULL,
 *                            &(horus_preprocess_desc){.width_px = 640, .height_px = 640}, &map);
 *     ...                                                       the network: input -> output
 *     horus_detection found[100];
 *     horus_yolo_candidate room[1000];
 *     uint32_t count = 100;
 *     horus_yolo_decode(found, &count, &output,
 *                       &(horus_yolo_desc){.candidates = room, .candidate_count = 1000, .map = &map},
 *                       NULL);
 *
 * None of these calls takes heap memory or calls the system (but as horus_frame_alloc does), needs
 * -lm, or uses more than 16 KiB of stack (4 KiB with HORUS_NO_OS). Any thread.
 * A "float tensor" is F32, F64, F16 or BF16, and contiguous. What is said of NaN and infinity, and of
 * accuracy, does not hold with -ffast-math. */

/* Where the pixels of an image went: x in the tensor = x in the image * scale_x + offset_x, y alike.
 * Coordinates are those of boxes: pixel i reaches from i to i + 1. */
typedef struct horus_pixel_map {
    float scale_x, scale_y;
    float offset_x, offset_y;     /* px of the tensor; below 0 where the image was cropped */
    uint32_t width_px, height_px; /* of the image */
} horus_pixel_map;

#ifndef HORUS_NO_VIEWS
/* What becomes of an image whose aspect is not the tensor's. */
typedef enum horus_fit {
    HORUS_LETTERBOX,  /* all of it, aspect kept, in the middle; the rest gets `pad` */
    HORUS_STRETCH,    /* all of it, aspect lost */
    HORUS_CENTER_CROP /* aspect kept, the middle of it; no padding */
} horus_fit;
enum {
    HORUS_ORDER_BGR = 1 << 0,  /* channels blue, green, red instead of red, green, blue */
    HORUS_LAYOUT_NHWC = 1 << 1 /* channels last instead of NCHW */
};

/* How an image becomes a tensor: element = (value * scale - mean) / std. Zero picks the default. */
typedef struct horus_preprocess_desc {
    uint32_t width_px, height_px; /* of the tensor; 0: the image's */
    uint32_t channels; /* 1 or 3; 0: 1 for mono and depth, else 3. Three of one are alike;
                                     one of three is 0.299 R + 0.587 G + 0.114 B */
    horus_fit fit;
    horus_dtype dtype; /* F32, F16, or U8 (rounded, cut to 0..255) */
    uint32_t flags;    /* HORUS_ORDER_BGR and so on */
    float scale;       /* 0: 1/255 for 8 bits, 1/65535 for mono16, 0.001 (metres) for depth16, 1 for
                          floats; 255 times that for a U8 tensor */
    float mean[3];     /* by channel of the tensor, as std */
    float std[3];      /* 0: 1 */
    float pad;         /* a value as in the image; 0: 114/255 of white, 0 for depth; below 0: 0 */
} horus_preprocess_desc;

/* Converts, resizes, pads and normalises in one pass: a fresh (1, channels, height, width) tensor,
 * or (1, height, width, channels). Alpha is dropped; yuv422 is converted by BT.601. frame_id and
 * time are the image's.
 * Pixels are mixed bilinearly between their centres, as by cv2.INTER_LINEAR: pixel x of the tensor
 * takes the image at (x + 0.5 - offset) / scale - 0.5, cut to the image. A scaled side has
 * round(side * scale) px, at least 1, and the scale is set to match. Shrinking does not average:
 * below 1/2 details alias. Where nothing is mixed (scale 1, 1/3, 1/5) values pass exactly; elsewhere
 * NaN and infinity spread to what they are mixed with.
 *   pool      NULL: the image's own, else the default one
 *   desc      NULL: all defaults
 *   map       may be NULL
 *   returns   OK | E_ARG | E_SIZE (a side over 1048576 px) | E_CLOSED | E_UNSUPPORTED (bayer_rggb8,
 *             another dtype) and as horus_frame_alloc
 *   cost      about a pass over what is read and written */
HORUS_API horus_result horus_image_preprocess(horus_tensor *out, const horus_image *image,
                                              horus_pool *pool, const horus_preprocess_desc *desc,
                                              horus_pixel_map *map);
/* The same into a tensor that is there, for batches (horus_tensor_slice) and memory of your own. Its
 * shape and dtype count, not the desc's: (channels, height, width), channels last if the desc says
 * so, with or without a leading 1, contiguous. It must not overlap the image.
 *   returns   OK | E_ARG | E_SIZE | E_CLOSED | E_READONLY | E_UNSUPPORTED (also: not contiguous) */
HORUS_API horus_result horus_image_preprocess_into(const horus_tensor *out,
                                                   const horus_image *image,
                                                   const horus_preprocess_desc *desc,
                                                   horus_pixel_map *map);
#endif

/* Softmax over the last dimension: a fresh F32 tensor of the same shape. A row with NaN or +infinity,
 * and one of -infinity alone, becomes NaN. Errors are below 1e-6 of the value where float32 holds
 * what the logits differ by, else below 5e-6; values below 1e-37 of the largest become 0.
 *   pool      NULL: the tensor's own, else the default one
 *   returns   OK | E_ARG (no dimension, or an empty last one) | E_TYPE (no floats) | E_CLOSED |
 *             E_UNSUPPORTED (not contiguous) and as horus_frame_alloc */
HORUS_API horus_result horus_tensor_softmax(horus_tensor *out, const horus_tensor *logits,
                                            horus_pool *pool);
/* The k largest of each row of the last dimension, largest first; of equals, the lower index. NaN is
 * never among them: where a row has too few others, the index is -1 and the value NaN.
 *   index     room entries, k for each row
 *   value     likewise
 *   returns   OK | E_ARG (k is not 1 to the last dimension) | E_SIZE (room) | E_TYPE | E_CLOSED |
 *             E_UNSUPPORTED
 *   cost      a pass, and up to k steps for an element that is among the largest so far */
HORUS_API horus_result horus_tensor_topk(int64_t *index, float *value, size_t room,
                                         const horus_tensor *scores, uint32_t k);
/* The same with k = 1. */
HORUS_API horus_result horus_tensor_argmax(int64_t *index, float *value, size_t room,
                                           const horus_tensor *scores);

/* Outputs of YOLO networks; a leading 1 may be absent. Boxes are centre x, centre y, width, height
 * in px of the input; scores are probabilities. */
typedef enum horus_yolo_layout {
    HORUS_YOLO_V8, /* (1, 4 + classes, boxes): v8 and later */
    HORUS_YOLO_V5  /* (1, boxes, 5 + classes): an objectness before the classes, as v5 and v7 */
} horus_yolo_layout;
enum { HORUS_NMS_AGNOSTIC = 1 }; /* boxes of different classes suppress each other as well */

/* A box above the threshold, corners in px of the input. Working memory: only lend it. */
typedef struct horus_yolo_candidate {
    float x0, y0, x1, y1, score;
    uint32_t class_id, index;
} horus_yolo_candidate;

typedef struct horus_yolo_desc {
    horus_yolo_layout layout;
    float confidence;        /* keep what is above; 0: 0.25; up to 1 */
    float iou;               /* suppress what overlaps a better box by more; 0: 0.45; up to 1 */
    uint32_t max_detections; /* 0: 300 */
    uint32_t flags;          /* HORUS_NMS_AGNOSTIC */
    horus_yolo_candidate
        *candidates;                /* room for those above the threshold; the best stay if there */
    uint32_t candidate_count;       /* are more. 1 up; a usual number is 1000 */
    const horus_pixel_map *map;     /* back to px of the image, cut to it; NULL: px of the input */
    const char *const *class_names; /* UTF-8, cut to 63 bytes; NULL, or beyond the count: "" */
    uint32_t class_name_count;
} horus_yolo_desc;

typedef struct horus_yolo_stats {
    uint32_t candidates; /* boxes above the threshold, without those below */
    uint32_t invalid; /* a score or objectness that is NaN, or above the threshold and a coordinate
                            or score not finite, beyond 1e9, or a size not above 0 */
    uint32_t outside; /* above the threshold, but wholly outside the image */
    uint32_t dropped; /* candidates that did not fit */
    uint32_t suppressed; /* candidates that overlapped a better one */
} horus_yolo_stats;

/* Finds the boxes above the threshold (each with its best class, of equals the lower), suppresses
 * overlapping ones, best first, and writes detections, best first: of equal scores, the box that
 * stands first in the tensor. bbox is in px; instance_id counts 0, 1, 2 ...; timestamp_ns is the
 * tensor's.
 *   count     in: room in out; out: how many
 *   stats     may be NULL
 *   returns   OK | E_ARG | E_TYPE (no floats) | E_SIZE (the shape is not the layout's, or over 2^32 - 1
 *             boxes) | E_CLOSED | E_UNSUPPORTED (not contiguous)
 *   cost      a pass over the tensor; candidates times detections */
HORUS_API horus_result horus_yolo_decode(horus_detection *out, uint32_t *count,
                                         const horus_tensor *output, const horus_yolo_desc *desc,
                                         horus_yolo_stats *stats);
/* The same straight into a DetectionList: the detections become its items, as many as fit.
 *   message   a horus_detections whose fixed part is filled, room bytes in all, 8-byte aligned. A
 *             timestamp_ns of 0 and an empty frame_id become those of the tensor
 *   bytes     in: bytes so far; out: with the items
 *   returns   as horus_yolo_decode; nothing changed but after OK */
HORUS_API horus_result horus_yolo_decode_message(void *message, size_t room, size_t *bytes,
                                                 const horus_tensor *output,
                                                 const horus_yolo_desc *desc,
                                                 horus_yolo_stats *stats);
#endif

#ifndef HORUS_NO_INFER
/* ------------------------------------------------------------------------------------ >>inference
 *
 * Runs models on what topics carry, and sends what they give. One description says which models, by
 * which back end, from which tensors:
 *
 *     static const horus_infer_entry models[] = {{"finder", "finder.onnx"}, {NULL, NULL}};
 *     static const char *const takes[] = {"picture", NULL}, *const gives[] = {"boxes", NULL};
 *     static const horus_infer_list in[] = {{"finder", takes}, {NULL, NULL}},
 *                                   out[] = {{"finder", gives}, {NULL, NULL}};
 *     horus_infer_input from[] = {{.topic = camera, .tensor = "picture"}, {NULL, NULL, false}};
 *
 *     horus_infer *op;
 *     horus_infer_open(&op, &(horus_infer_desc){.backend = "onnxrt", .model_path_map = models,
 *                                               .pre_processor_map = in, .inference_map = out,
 *                                               .inputs = from, .output = found}, NULL, 0);
 *     horus_infer_run(op);       once, or as a node of a scheduler: horus_infer_node()
 *     horus_infer_close(op);
 *
 * Tensors have names. A frame that comes has the one that is its frame id, if the operator takes a
 * tensor of that name, else the one that its input was declared with. Names in pre_processor_map and
 * inference_map stand in the order of the model's own inputs and outputs.
 *
 * No copy is made on the way: a model reads where the sender wrote, and writes into frames of the pool
 * that are then sent. But one is made of a tensor that does not lie densely, and of an output whose
 * shape the model leaves open, where the runtime tells it only afterwards (onnxrt, openvino).
 *
 * Which model runs. Frames are counted from 1, each horus_infer_execute is one. A model with a
 * temporal_map value of n runs on frames 1, n+1, 2n+1 and so on, if it is active then. Of one that does
 * not run the last result is sent again, the same frame; before its first one nothing is sent for it,
 * and nothing on a frame on which it failed. horus_infer_status says how old each is.
 *
 * Several models run in parallel, each but the first on a thread of its own, or in the order of
 * model_path_map. In parallel all run to their end, and the error names each that failed (as far as its
 * 255 bytes go; the status has all); in sequence the first that fails ends the frame. What was computed is sent all the same. Two operators never
 * wait for each other.
 *
 * Memory from the heap is taken at set-up alone. The runtime's is its own affair: ONNX Runtime
 * allocates some ten to twenty times per run, so keep an operator off real-time threads. */

typedef struct horus_infer horus_infer;

/* A parameter that adapts to the machine and the back end unless it is given. */
typedef enum horus_choice { HORUS_AUTO = 0, HORUS_YES = 1, HORUS_NO = 2 } horus_choice;

/* One entry of a map from models to values. A map is an array that ends with a NULL model. */
typedef struct horus_infer_entry {
    const char *model; /* 1 to 63 bytes */
    const char *value;
} horus_infer_entry;
/* The same with a list of names, which ends with NULL. */
typedef struct horus_infer_list {
    const char *model;
    const char *const *names; /* of tensors: 1 to 63 bytes each */
} horus_infer_list;

/* Where tensors come from: messages of the kinds tensor, image (H,W or H,W,C), depth (H,W) and cloud
 * (N,fields); another kind is E_TYPE. An array of these ends with a NULL topic; 64 at most. */
typedef struct horus_infer_input {
    horus_topic *topic; /* the operator's while it runs */
    const char *tensor; /* what its frames are called whose id names no tensor; NULL: nothing */
    bool newest;        /* each frame takes the newest message; else all in their order */
} horus_infer_input;

/* The parameters. Zero picks the default. Arrays and strings are not copied and must live until the
 * operator is closed. Values of maps are text, as in a parameter file: "0", "10". */
typedef struct horus_infer_desc {
    /* "onnxrt", "trt", "openvino", or one that was registered; "identity" and "add" are for tests and dry runs: see
     * horus_infer_backend. For all models, or else backend_map: for each */
    const char *backend;
    const horus_infer_entry *backend_map;
    const horus_infer_entry *model_path_map;   /* needed: the models and their files */
    const horus_infer_list *pre_processor_map; /* needed: tensors that each takes */
    const horus_infer_list *inference_map;     /* needed: tensors that each gives */
    const char *const *in_tensor_names;        /* NULL: those of pre_processor_map */
    const char *const *out_tensor_names;       /* which to send; NULL: all of inference_map */
    const horus_infer_entry *temporal_map;     /* run every n-th frame, n from 1; not there: 1 */
    const horus_infer_entry *activation_map;   /* "1" active, "0" not; not there: active */
    const horus_infer_entry *device_map;       /* which GPU, from "0"; not there: 0 */
    const horus_infer_entry *dla_core_map;     /* which DLA core; trt */
    const horus_infer_list *trt_opt_profile;   /* smallest, usual and largest shape: trt */
    bool infer_on_cpu;   /* else a GPU if there is one that the back end uses */
    bool enable_fp16;    /* half precision, where the back end has it (trt, openvino) */
    bool is_engine_path; /* files are engines, built before (trt) */
    bool
        dynamic_input_dims; /* open dimensions may change from frame to frame; else those of the first
                                frame that the model ran on are kept to */
    /* AUTO is yes where the back end has tensors in a GPU's memory, and no elsewhere. Pool memory is
     * the host's: what is sent is there with either value of transmit_on_cuda */
    horus_choice input_on_cuda, output_on_cuda, transmit_on_cuda;
    horus_choice parallel_inference; /* AUTO: yes, with several models and processors */
    /* AUTO: yes. For back ends of your own: the providers of onnxrt and trt capture no graphs of runs
     * whose tensors are in the host's memory, and fall back by themselves */
    horus_choice enable_cuda_graphs, dla_gpu_fallback;

    /* from here on what is not of the parameter file */
    const char *name;                /* for messages, and the node's; NULL: "infer" */
    const horus_infer_input *inputs; /* NULL: tensors come by horus_infer_set */
    horus_topic *output; /* untyped, or of tensors: a message for each tensor, its id the name, its
                                time when the oldest input that it was computed from was sent */
    horus_topic *status; /* untyped, or of horus_infer_status; one for each frame */
    horus_topic *activation; /* of horus_infer_activation: obeyed before each frame */
    horus_pool *pool;        /* for outputs; NULL: the default one */
    int64_t
        wait_ns; /* how long a frame waits for its other tensors once one has come; up to an hour */
    int64_t budget_ns; /* a model that runs longer is aborted, where the back end can; 0: never */
    uint32_t threads;  /* per model, of the runtime's own; 0: as it likes */
    /* path of the runtime; NULL: ORT_DYLIB_PATH (onnxrt, trt) or OPENVINO_DYLIB_PATH (openvino), else
     * where the loader looks */
    const char *library;
    /* told of each model before it is loaded, and before an engine is built (minutes); may be NULL */
    void (*on_load)(void *user, const char *model, const char *text);
    void *user;
} horus_infer_desc;

/* Checks the parameters, all of them, without any runtime: models, maps, names, values, back ends.
 *   report    room bytes: a line for each problem, in the order of the documented checks, which names
 *             the parameter, the model, the value and what would be right; ends with a NUL, whole lines
 *             only. May be NULL
 *   returns   OK | E_ARG, or E_PERMISSION, E_SYSTEM (the first is that of a file). last_error is the
 *             first line
 *   threads   any
 *   cost      looks at each model's file */
HORUS_API horus_result horus_infer_check(const horus_infer_desc *desc, char *report, size_t room);

/* Makes an operator: horus_infer_create, then horus_infer_setup.
 *   returns   as these two; *out is NULL after a failure */
HORUS_API horus_result horus_infer_open(horus_infer **out, const horus_infer_desc *desc,
                                        char *report, size_t room);

/* The steps one by one, for an operator of your own: examples/custom_infer.c.
 *
 * Create checks, and describes what is wanted. Set-up loads the models and starts the threads; it
 * refuses what this machine or back end cannot do, with the parameter's name, the reason, and the value
 * that works.
 *   report    as for horus_infer_check
 *   returns   OK | E_ARG (numbers of inputs and outputs) | E_UNSUPPORTED (refused) | E_TYPE (a model's
 *             dtype or rank) | E_CORRUPT (the runtime does not take the file) | E_MEMORY | E_SYSTEM (no
 *             thread) | E_BUSY (set-up was done) and what horus_context_default returns
 *   threads   any; one at a time for one operator
 *   cost      the runtime is loaded once for a process, and stays */
HORUS_API horus_result horus_infer_create(horus_infer **out, const horus_infer_desc *desc,
                                          char *report, size_t room);
HORUS_API horus_result horus_infer_setup(horus_infer *infer, char *report, size_t room);

/* Frees it: models, threads, and the results that it holds. NULL is allowed.
 *   threads   nothing else may use it, now or later */
HORUS_API void horus_infer_close(horus_infer *infer);

/* Runs each model once on zeros and drops what comes, so that the first frame is as fast as others.
 * Open dimensions are taken as 1, and a model that does not like that is passed over. Counts nothing.
 *   returns   OK | E_CLOSED (not set up) | E_BUSY, or as horus_infer_execute */
HORUS_API horus_result horus_infer_warm_up(horus_infer *infer);

/* Gives a tensor by hand to the next frame. The frame is held until horus_infer_execute returns; memory
 * of your own (frame.pool NULL) must stay until then.
 *   publish_ns  when it was sent; 0: now
 *   returns   OK | E_ARG | E_NOT_FOUND (no model takes it) | E_BUSY | E_CLOSED
 *   threads   this one and the next four: one at a time, else E_BUSY */
HORUS_API horus_result horus_infer_set(horus_infer *infer, const char *name,
                                       const horus_tensor *tensor, uint64_t publish_ns);
/* Obeys what came on `activation`, then takes tensors from the messages of `inputs`: the first that
 * contains a tensor serves it, and the next one of its name waits for the next frame. Messages without
 * a tensor that a model takes are dropped.
 *   returns   OK | EMPTY (nothing came, and nothing was set) | E_NOT_FOUND (a model that runs on this
 *             frame has no tensor: last_error names both; what came is dropped) | E_BUSY | E_CLOSED and
 *             what receiving from the topics returns
 *   cost      per message as receiving it */
HORUS_API horus_result horus_infer_extract(horus_infer *infer);
/* Runs the models that are due, from and to pool memory, and lets go of their inputs.
 *   returns   OK | E_NOT_FOUND, E_TYPE, E_SIZE (a tensor is missing, of another dtype, of another shape:
 *             last_error names model, tensor and both) | E_LIMIT (aborted: budget_ns) | E_POOL_FULL |
 *             E_CLOSED (not set up) | E_BUSY and what the back end returns. Of several that of the first
 *             model; last_error has the beginning of what each says */
HORUS_API horus_result horus_infer_execute(horus_infer *infer);
/* Sends the results of this frame, or the last ones again, and the status. Never waits.
 *   returns   OK | E_BUSY | E_CLOSED and what sending returns, of the first that fails */
HORUS_API horus_result horus_infer_transmit(horus_infer *infer);
/* The three in one: extract, execute, transmit.
 *   returns   OK | EMPTY, or the first failure. E_ARG, E_NOT_FOUND: also of a message on `activation`,
 *             which does not keep the frame from running */
HORUS_API horus_result horus_infer_run(horus_infer *infer);

/* Fills in a node that runs this operator: its name, tick, init (horus_infer_warm_up), compute. Set a
 * rate, or compute = false and on_topic. Ticks note the age of their inputs (horus_tick_used), and each
 * model has figures of its own, "name/model", in the scheduler's (horus_tick_part): runs, failures, and
 * how long the back end took, which others can read while it runs and after it was killed.
 *   returns   OK | E_ARG */
HORUS_API horus_result horus_infer_node(horus_infer *infer, horus_node_desc *out);

/* Activates a model, or not, from the next frame on. OK | E_ARG | E_NOT_FOUND. Any thread, wait-free. */
HORUS_API horus_result horus_infer_set_active(horus_infer *infer, const char *model, bool active);

/* The newest result of a name: a view that holds its frame; release it.
 *   age_frames  0: of the newest frame; may be NULL
 *   returns   OK | EMPTY (nothing yet) | E_ARG | E_NOT_FOUND (no model gives it) | E_DETACHED
 *   threads   any */
HORUS_API horus_result horus_infer_get(horus_infer *infer, const char *name, horus_tensor *out,
                                       uint64_t *age_frames);

/* What a model takes or gives. */
enum { HORUS_INFER_ANY = -1 };
typedef struct horus_infer_io {
    char name[64];                 /* the model's own name of it, cut to 63 bytes */
    const char *tensor;            /* ours */
    int32_t dtype;                 /* horus_dtype; HORUS_INFER_ANY: whatever comes */
    int32_t ndim;                  /* 0 to 8; HORUS_INFER_ANY: whatever comes */
    int64_t shape[HORUS_MAX_DIMS]; /* below 0: open */
} horus_infer_io;
/* Of model `index` (in the order of model_path_map) the input or output `number`. OK | E_ARG | E_CLOSED
 * (not set up) | E_NOT_FOUND (there are not so many) | E_DETACHED. Any thread after set-up. */
HORUS_API horus_result horus_infer_get_io(horus_infer *infer, uint32_t index, bool output,
                                          uint32_t number, horus_infer_io *out);

/* Figures of a model. */
typedef struct horus_infer_stats {
    char model[64], backend[32];
    char device[32]; /* "CPU", "GPU 0" */
    bool active;
    uint32_t every; /* temporal_map */
    uint32_t inputs, outputs;
    uint64_t frames;   /* of the operator */
    uint64_t runs;     /* that ended well */
    uint64_t failures; /* that did not, those aborted included */
    uint64_t aborts;
    uint64_t resent;  /* frames on which an older result was sent */
    horus_spread run; /* how long a run took, ns: the back end's part */
} horus_infer_stats;
/* Fills in `room` models, in the order of model_path_map. count may be NULL.
 *   returns   OK | E_ARG
 *   threads   any; figures are read one by one while the operator goes on */
HORUS_API horus_result horus_infer_get_stats(horus_infer *infer, horus_infer_stats *out,
                                             size_t room, size_t *count);

/* clang-format off */
/* One output tensor of a frame: how old it is in frames (0: computed now, 2^64-1: never), whether its model
 * is active, how long its last run took in ns, and what the model returned on this frame (horus_result). */
#define HORUS_infer_output_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) S(model, 64) S(tensor, 64) F(u64, age_frames) F(u64, run_ns) F(i32, result) \
    F(bool8, active)

/* One frame of an inference operator: its number from 1, and its outputs. */
#define HORUS_infer_status_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) F(u64, frame) W(infer_output, outputs)

/* Activates a model from the next frame on (1), or not (0). */
#define HORUS_infer_activation_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) S(model, 64) F(u32, active)

/* X as for HORUS_MESSAGES */
#define HORUS_INFER_MESSAGES(X) \
    X(infer_output, InferOutput, "infer_output") \
    X(infer_status, InferStatus, "infer_status") \
    X(infer_activation, InferActivation, "infer_activation")
/* clang-format on */
#define HORUSI_X(snake, name, topic)                                                               \
    HORUSI_MESSAGE_STRUCT(snake, HORUS_##snake##_FIELDS)                                           \
    HORUS_API const horus_type horus_##snake##_type;
HORUS_INFER_MESSAGES(HORUSI_X)
#undef HORUSI_X

/* What a back end can do. */
enum {
    HORUS_INFER_GPU = 1 << 0,    /* runs on a GPU, which device_map may choose */
    HORUS_INFER_CPU = 1 << 1,    /* runs on the processor */
    HORUS_INFER_CUDA = 1 << 2,   /* copies between host and GPU as the *_on_cuda parameters say */
    HORUS_INFER_FP16 = 1 << 3,   /* enable_fp16 */
    HORUS_INFER_ENGINE = 1 << 4, /* is_engine_path */
    HORUS_INFER_DLA = 1 << 5     /* dla_core_map */
};

/* How a model is to be loaded. */
typedef struct horus_infer_load {
    const horus_infer_desc *desc;
    const char *model, *path;
    uint32_t inputs, outputs;   /* names that the maps give */
    int32_t device, dla_core;   /* below 0: not given */
    const char *const *profile; /* trt_opt_profile of this model, or NULL */
} horus_infer_load;

/* One run of a model. */
typedef struct horus_infer_call {
    const horus_tensor *inputs; /* dense, of the model's dtypes and shapes */
    /* written where data is; a data of NULL: the shape is open, and alloc gives the memory */
    horus_tensor *outputs;
    uint32_t input_count, output_count;
    /* Makes output `number` of this shape in the pool: outputs[number] then is complete. */
    horus_result (*alloc)(struct horus_infer_call *call, uint32_t number, horus_dtype dtype,
                          uint32_t ndim, const int64_t *shape);
    void *operators; /* alloc's */
    char why[200];   /* what went wrong, in words */
} horus_infer_call;

/* A back end: a table that lives as long as the process. Each call may write into `why`, room bytes,
 * what went wrong. load, io_info, run and unload are called by one thread at a time for one model, but
 * for several at once; abort by another one while run runs.
 *   built in  onnxrt: libonnxruntime, without its header, by its C interface; it uses CUDA if there is
 *             any and infer_on_cpu is not given. trt: the same, by its TensorRT provider: engines are
 *             built at set-up, and kept in a folder beside the model, MODEL.HASH.engines, for each precision
 *             and GPU; the hash is of the model's file and of those that it names as its weights, which
 *             are read whole. Nothing removes such a folder: once a model was replaced, its old ones
 *             may go whenever nobody loads it (rm -r MODEL.*.engines); what is needed is built again.
 *             openvino: libopenvino_c of 2025.4 or newer, likewise, for .onnx and .xml files, on the
 *             processor, where it computes 64-bit integers in 32. identity: gives what it takes. add:
 *             gives the sum of all that it takes, element by element. These two take any file.
 *             torch has no interface in C: register your own, or use the Python module. Yours of
 *             the same name stands in for a built-in one */
typedef struct horus_infer_backend {
    const char *name;       /* 1 to 31 bytes */
    uint32_t can;           /* HORUS_INFER_GPU and so on */
    const char *extensions; /* ".onnx .ort"; NULL: any file */
    /* May it run here, as `how` says? Refuses by E_UNSUPPORTED. NULL: yes */
    horus_result (*probe)(void *user, const horus_infer_load *how, char *why, size_t room);
    horus_result (*load)(void *user, const horus_infer_load *how, void **model, char *why,
                         size_t room);
    /* E_NOT_FOUND: there are not so many (65534 at most) */
    horus_result (*io_info)(void *model, bool output, uint32_t number, horus_infer_io *out,
                            char *why, size_t room);
    horus_result (*run)(void *model, horus_infer_call *call);
    /* now: makes run return soon, also one that is about to begin; else takes that back, once run has
     * returned. NULL: cannot */
    void (*abort)(void *model, bool now);
    void (*unload)(void *model);
    bool (*on_gpu)(void *model); /* for figures; NULL: no */
    void *user;
} horus_infer_backend;
/* Registers a back end for the process. OK | E_ARG (a name that is taken, no load, io_info, run or
 * unload) | E_LIMIT (16). Any thread. */
HORUS_API horus_result horus_infer_register(const horus_infer_backend *backend);
#endif

/* ------------------------------------------------------------------------------------ */
#ifdef __cplusplus
}
#endif
#endif /* HORUS_H: the API ends here */

#if defined(HORUS_IMPLEMENTATION) && !defined(HORUS_IMPLEMENTATION_DONE)
#define HORUS_IMPLEMENTATION_DONE
#ifdef __cplusplus
#error "horus.h: HORUS_IMPLEMENTATION belongs in a C file; C++ files include horus.h without it"
#endif

/* ------------------------------------------------------------------------------------ >>layout
 *
 * Every byte that processes share. It is a file format: 32- and 64-bit programs see the same.
 *
 *     header | rows[128] | directory[max_topics] | granules[] | slots[] | data[]
 *
 * Memory of one process has one row.
 *
 * A named pool's file has the same layout with rows and directory unused: its holders are rows of
 * the namespace's own file ("primary").
 *
 * Who writes what. Geometry: the creator, before the file has a name. A row: its owner, or whoever
 * holds the row's lock. A slot header: `word` and `holders` by anybody, as >>slots says; the rest
 * by the one process that holds the slot and has not published it. A ring: its publisher.
 * Everything is read as input: copied, range-checked, and only the copy used.
 *
 * Recovery in one sentence: recorded holders are always a superset of true holders, and each
 * repair only shrinks the record to the truth, so it may be repeated and abandoned anywhere. */
#include <stdatomic.h>

#if defined(HORUS_CRITICAL_ENTER) != defined(HORUS_CRITICAL_LEAVE)
#error "horus.h: define both HORUS_CRITICAL_ENTER() and HORUS_CRITICAL_LEAVE()"
#endif

typedef _Atomic uint32_t horusi_a32;
#ifdef HORUS_CRITICAL_ENTER
typedef uint64_t horusi_a64 __attribute__((aligned(8)));
#else
typedef _Atomic uint64_t horusi_a64;
#endif

#if defined(__GNUC__)
#define HORUSI_HOT static inline __attribute__((always_inline))
#define HORUSI_COLD static __attribute__((cold, noinline))
#define horusi_rarely(x) __builtin_expect(!!(x), 0)
#else
#define HORUSI_HOT static inline
#define HORUSI_COLD static
#define horusi_rarely(x) (x)
#endif

/* Asks for a line that will be written soon, so that its journey overlaps with other work. Built-in
 * prefetches ask for a shared copy on a plain x86-64, which would travel twice. */
#if defined(__x86_64__) && defined(__GNUC__)
#define horusi_fetch_to_write(p) __asm__ volatile("prefetchw %0" : : "m"(*(const char *)(p)))
#elif defined(__GNUC__)
#define horusi_fetch_to_write(p) __builtin_prefetch(p, 1)
#else
#define horusi_fetch_to_write(p) ((void)(p))
#endif
#ifdef __GNUC__
#define horusi_fetch(p) __builtin_prefetch(p)
#else
#define horusi_fetch(p) ((void)(p))
#endif

/* A short rest of a thread that looks at one line again and again. */
#if (defined(__x86_64__) || defined(__i386__)) && defined(__GNUC__)
#define horusi_relax() __asm__ volatile("pause")
#elif defined(__aarch64__) && defined(__GNUC__)
#define horusi_relax() __asm__ volatile("isb")
#else
#define horusi_relax() ((void)0)
#endif

#define HORUSI_LAYOUT 1u
#define HORUSI_MAGIC (0x53555245484f5200ull | HORUSI_LAYOUT) /* also tells byte order */
#define HORUSI_ROWS HORUS_MAX_PROCESSES
#define HORUSI_MASKS (HORUSI_ROWS / 64)
#define HORUSI_MAX_GRANULES (1u << 24)
#define HORUSI_MAX_SLOTS (1u << 24) /* a directory word has 24 bits for one */

typedef struct horusi_header {
    uint64_t magic;
    uint64_t domain; /* random; a named pool carries that of its primary */
    uint64_t file_bytes;
    uint32_t granule_bytes, block_bytes, granules;
    uint32_t max_topics;              /* 0 in a named pool's file */
    uint32_t pool_id;                 /* 0: the primary's own; else a hash of the name */
    uint32_t clock;                   /* 0: stamps are CLOCK_MONOTONIC ns, 1: the CPU's counter */
    horusi_a64 clock_ticks, clock_ns; /* one pair of readings */
    char name[104];                   /* of the named pool */
    uint8_t pad[24];
    /* a line of its own */
    horusi_a32 changes; /* grows whenever a tentative claim is undone or memory changes shape */
    uint8_t pad2[60];
} horusi_header;

enum { HORUSI_ROW_FREE = 0, HORUSI_ROW_LIVE = 1, HORUSI_ROW_DEAD = 2 };
typedef struct horusi_row {
    horusi_a64 word; /* incarnation:32 | state:32 */
    horusi_a32 pid;
    uint32_t pad;
    horusi_a64 label[4]; /* text */
    uint8_t pad2[16];
    horusi_a32 doorbell; /* futex */
    horusi_a32 sleepers; /* threads of this process on the futex */
    uint8_t pad3[56];
} horusi_row;

/* What a granule of the data area is. `own` is kind << 30 | value:
 *     FREE; SPLIT | class: equal blocks of block_bytes << class; HEAD | n: first of a run of n;
 *     BODY | s: in the run that starts at s. */
enum { HORUSI_FREE = 0, HORUSI_SPLIT = 1, HORUSI_HEAD = 2, HORUSI_BODY = 3 };
enum { HORUSI_EMPTY = 0, HORUSI_BACKED = 1, HORUSI_UNKNOWN = 2 };
typedef struct horusi_granule {
    horusi_a32 own;
    horusi_a32 used;   /* headers [0, used) of this granule are backed by memory */
    horusi_a32 commit; /* EMPTY, BACKED by memory, or UNKNOWN: neither is sure */
    horusi_a32 full;   /* hint: a scan found no free block */
} horusi_granule;

typedef struct horusi_slot {
    horusi_a64 word;                  /* generation:32 | epoch:32 */
    horusi_a64 holders[HORUSI_MASKS]; /* a bit per row; none set means free */
    horusi_a64 bytes;                 /* asked for */
    horusi_a64 time_ns;
    horusi_a32 flags; /* HORUSI_PUBLISHED ... */
    uint8_t pad[20];
    horusi_a64 frame_id[HORUS_FRAME_ID_BYTES / 8];
} horusi_slot;
enum { HORUSI_PUBLISHED = 1, HORUSI_INTERNAL = 2 };

/* A topic: one slot that holds this, lanes[max_lanes], subs[max_subs]. It exists while a directory
 * word names its slot and generation; whoever closes the last handle moves the generation on. */
#define HORUSI_TOPIC_MAGIC 0x4349504f54535248ull
typedef struct horusi_topic {
    uint64_t magic;
    horusi_a32 max_lanes, max_subs;
    horusi_a32 message_bytes; /* inline limit */
    horusi_a32 type_tag;      /* 0: untyped */
    char name[104];
    char type_name[64];
    horusi_a32 policy; /* horus_policy; ANY until somebody gives one */
    horusi_a32 flags;  /* HORUS_AT_MOST_ONCE */
    /* a line that everybody polls and nobody writes but on a change */
    uint8_t pad[56];
    horusi_a32 version;   /* grows when a lane comes or goes */
    horusi_a32 may_sleep; /* 1: a reader has slept here, so publishers must look */
    horusi_a32 may_wait;  /* 1: a sender has waited here, so readers must look */
    horusi_a32 redeliver; /* grows when a claim is given back */
    horusi_a32 subs_used; /* no sub at or behind this index was ever taken */
    horusi_a32 openings;  /* grows when a reader begins further back than others */
    uint8_t pad2[40];
    horusi_a64 sleepers[HORUSI_MASKS]; /* rows to ring after a send */
    uint8_t pad3[64 - 8 * HORUSI_MASKS];
    horusi_a64 waiters[HORUSI_MASKS]; /* rows to ring when there is room */
    uint8_t pad4[64 - 8 * HORUSI_MASKS];
} horusi_topic;

/* A publisher's ring: entries in a slot of its own, then max_subs cursors, then claims[capacity].
 */
enum {
    HORUSI_LANE_FREE = 0,
    HORUSI_LANE_CLAIMED,
    HORUSI_LANE_ENDING,
    HORUSI_LANE_LIVE,
    HORUSI_LANE_CLOSED,
    HORUSI_LANE_ORPHAN
};
typedef struct horusi_lane {
    horusi_a64 word;     /* incarnation:32 | row:16 | state:16 */
    horusi_a64 ring;     /* slot:32 | generation:32 */
    horusi_a64 ended;    /* messages of the rings that ended here, in all */
    horusi_a64 ending;   /* the same once the present one has ended; ENDING: valid */
    horusi_a32 capacity; /* entries */
    uint32_t pad[7];
    horusi_a64 head;   /* newest sequence; behind the truth by at most one */
    horusi_a64 tail;   /* queue: all before it are done */
    horusi_a64 last;   /* stamp of the newest */
    horusi_a32 frames; /* frames that the ring holds */
    uint32_t pad2[9];
} horusi_lane;

/* An open handle. word as a lane's; ACTIVE ones hold a reliable publisher back. */
enum { HORUSI_SUB_FREE = 0, HORUSI_SUB_IDLE, HORUSI_SUB_ACTIVE };
typedef struct horusi_sub {
    horusi_a64 word;
    horusi_a64 received, lost;
    uint8_t pad[40];
} horusi_sub;

/* A ring entry: header and payload, a multiple of 64 bytes. Message n of a ring lives at entry
 * (n-1) % capacity. A dirty read is detected by `seq`: it is 2n while message n is there, and
 * 2n+1 from the moment message n may no longer be used. */
typedef struct horusi_entry {
    horusi_a64 seq;
    horusi_a64 stamp;
    horusi_a32 tag;
    horusi_a32 size; /* size:24 | kind:8; see HORUSI_WIRE */
    /* payload follows */
} horusi_entry;
#define HORUSI_ENTRY_HEAD 24u
#define HORUSI_WIRE_BLOB 0x80u /* in kind: the payload is the descriptor of a slot of bytes */

/* A queue entry's claim: sequence:24 | incarnation:24 | row:8 | state:8. */
enum {
    HORUSI_CLAIM_NONE = 0,
    HORUSI_CLAIM_READY,
    HORUSI_CLAIM_AGAIN,
    HORUSI_CLAIM_TAKEN,
    HORUSI_CLAIM_DONE
};

/* The descriptor of pool memory: this head, then by kind
 *     tensor   shape[ndim], strides_bytes[ndim], 8 bytes each
 *     image    width, height, stride, 4 bytes each     depth   the same, then scale
 *     cloud    points, 8 bytes; fields, 4 bytes        blob    bytes, 8 bytes */
typedef struct horusi_wire {
    uint32_t pool_id, slot, generation;
    uint8_t kind, dtype, encoding, ndim;
    uint64_t offset_bytes; /* of the first element in the slot */
} horusi_wire;
typedef union horusi_descriptor {
    horusi_wire head;
    uint8_t bytes[HORUS_DESCRIPTOR_BYTES];
} horusi_descriptor;

_Static_assert(sizeof(horusi_header) == 256 && offsetof(horusi_header, changes) == 192, "layout");
_Static_assert(sizeof(horusi_row) == 128 && offsetof(horusi_row, doorbell) == 64, "layout");
_Static_assert(sizeof(horusi_granule) == 16, "layout");
_Static_assert(sizeof(horusi_slot) == 128 && offsetof(horusi_slot, frame_id) == 64, "layout");
_Static_assert(sizeof(horusi_topic) == 448 && offsetof(horusi_topic, version) == 256, "layout");
_Static_assert(sizeof(horusi_lane) == 128 && offsetof(horusi_lane, head) == 64, "layout");
_Static_assert(sizeof(horusi_sub) == 64 && sizeof(horusi_wire) == 24, "layout");
_Static_assert(sizeof(horusi_entry) == HORUSI_ENTRY_HEAD, "layout");

/* ------------------------------------------------------------------------------------ >>atomics
 *
 * The memory order is part of the name, and each use names its edge: A1 and A2 in different places
 * are two ends of one "synchronizes with". A test build replaces this section by its own file
 * (HORUSI_ATOMICS) and so sees, delays, reorders or ends a process at every access.
 *
 *     P1 -> C1    a message: all before the send, to the receive that gets it
 *     P2 -> C2    a payload word that is newer than the sequence read before it, to the second look
 *     S1 -> S2    a holder's bit: set before the word moves on, seen by whoever read the moved word
 *     S3 -> S4    a cleared bit: all that the holder read or wrote, to the slot's next taker
 *     G1 -> G2    a granule's new shape, to whoever finds it
 *     L1 -> L2    a ring that is ready to be read
 *     K1 -> K2    a cursor or claim that lets a publisher overwrite
 *     N1 -> N2    a process-private lock
 *     R1 -> R2    a row's state
 *     D           the directory, Dekker-like: sequentially consistent
 *     W           falling asleep against waking, Dekker-like: sequentially consistent */
#ifdef HORUSI_ATOMICS
#include HORUSI_ATOMICS
#else
#define horusi_ld32_rlx(label, p) atomic_load_explicit(p, memory_order_relaxed)
#define horusi_ld32_acq(label, p) atomic_load_explicit(p, memory_order_acquire)
#define horusi_ldp_acq(label, p) atomic_load_explicit(p, memory_order_acquire)
#define horusi_stp_rel(label, p, v) atomic_store_explicit(p, v, memory_order_release)
#define horusi_ld32_seq(label, p) atomic_load_explicit(p, memory_order_seq_cst)
#define horusi_st32_rlx(label, p, v) atomic_store_explicit(p, v, memory_order_relaxed)
#define horusi_st32_rel(label, p, v) atomic_store_explicit(p, v, memory_order_release)
#define horusi_st32_seq(label, p, v) atomic_store_explicit(p, v, memory_order_seq_cst)
#define horusi_add32_rlx(label, p, v) atomic_fetch_add_explicit(p, v, memory_order_relaxed)
#define horusi_add32_acqrel(label, p, v) atomic_fetch_add_explicit(p, v, memory_order_acq_rel)
#define horusi_add32_seq(label, p, v) atomic_fetch_add_explicit(p, v, memory_order_seq_cst)
/* *expected gets the value found when the swap fails */
#define horusi_cas32_acqrel(label, p, expected, v)                                                 \
    atomic_compare_exchange_strong_explicit(p, expected, v, memory_order_acq_rel,                  \
                                            memory_order_acquire)
#define horusi_cas32_seq(label, p, expected, v)                                                    \
    atomic_compare_exchange_strong_explicit(p, expected, v, memory_order_seq_cst,                  \
                                            memory_order_seq_cst)
#ifndef HORUS_CRITICAL_ENTER
#define horusi_ld64_rlx(label, p) atomic_load_explicit(p, memory_order_relaxed)
#define horusi_ld64_acq(label, p) atomic_load_explicit(p, memory_order_acquire)
#define horusi_ld64_seq(label, p) atomic_load_explicit(p, memory_order_seq_cst)
#define horusi_st64_rlx(label, p, v) atomic_store_explicit(p, v, memory_order_relaxed)
#define horusi_st64_rel(label, p, v) atomic_store_explicit(p, v, memory_order_release)
#define horusi_st64_seq(label, p, v) atomic_store_explicit(p, v, memory_order_seq_cst)
#define horusi_or64_rlx(label, p, v) atomic_fetch_or_explicit(p, v, memory_order_relaxed)
#define horusi_or64_seq(label, p, v) atomic_fetch_or_explicit(p, v, memory_order_seq_cst)
#define horusi_and64_rel(label, p, v) atomic_fetch_and_explicit(p, v, memory_order_release)
#define horusi_xchg64_seq(label, p, v) atomic_exchange_explicit(p, v, memory_order_seq_cst)
#define horusi_cas64_acqrel(label, p, expected, v)                                                 \
    atomic_compare_exchange_strong_explicit(p, expected, v, memory_order_acq_rel,                  \
                                            memory_order_acquire)
#define horusi_cas64_seq(label, p, expected, v)                                                    \
    atomic_compare_exchange_strong_explicit(p, expected, v, memory_order_seq_cst,                  \
                                            memory_order_seq_cst)
#else
/* No 64-bit atomics: one critical section each, which orders everything. */
static uint64_t horusi_critical(horusi_a64 *p, uint64_t keep, uint64_t add)
{
    HORUS_CRITICAL_ENTER();
    uint64_t old = *p;
    *p = (old & keep) | add;
    HORUS_CRITICAL_LEAVE();
    return old;
}
static bool horusi_critical_cas(horusi_a64 *p, uint64_t *expected, uint64_t v)
{
    HORUS_CRITICAL_ENTER();
    bool same = *p == *expected;
    if (same)
        *p = v;
    else
        *expected = *p;
    HORUS_CRITICAL_LEAVE();
    return same;
}
#define horusi_ld64_rlx(label, p) horusi_critical(p, UINT64_MAX, 0)
#define horusi_ld64_acq(label, p) horusi_critical(p, UINT64_MAX, 0)
#define horusi_ld64_seq(label, p) horusi_critical(p, UINT64_MAX, 0)
#define horusi_st64_rlx(label, p, v) ((void)horusi_critical(p, 0, v))
#define horusi_st64_rel(label, p, v) ((void)horusi_critical(p, 0, v))
#define horusi_st64_seq(label, p, v) ((void)horusi_critical(p, 0, v))
#define horusi_or64_rlx(label, p, v) horusi_critical(p, UINT64_MAX, v)
#define horusi_or64_seq(label, p, v) horusi_critical(p, UINT64_MAX, v)
#define horusi_and64_rel(label, p, v) horusi_critical(p, v, 0)
#define horusi_xchg64_seq(label, p, v) horusi_critical(p, 0, v)
#define horusi_cas64_acqrel(label, p, expected, v) horusi_critical_cas(p, expected, v)
#define horusi_cas64_seq(label, p, expected, v) horusi_critical_cas(p, expected, v)
#endif
#endif

/* Payloads travel as atomic words: a reader may look while the publisher overwrites. */
#if UINTPTR_MAX > 0xffffffffu && !defined(HORUS_CRITICAL_ENTER)
typedef uint64_t horusi_word;
typedef horusi_a64 horusi_aword;
#define horusi_ldw_acq horusi_ld64_acq
#define horusi_stw_rel horusi_st64_rel
#else
typedef uint32_t horusi_word;
typedef horusi_a32 horusi_aword;
#define horusi_ldw_acq horusi_ld32_acq
#define horusi_stw_rel horusi_st32_rel
#endif

/* ------------------------------------------------------------------------------------ >>os
 *
 * All that asks the system for something. Locks here are kernel locks on bytes of the namespace's
 * file, held by an open file description: they end with their process, at whatever instruction. */
#include <string.h>
#ifndef HORUS_NO_OS
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#ifndef MADV_NORMAL /* hidden by glibc and musl alike */
#error "horus.h: include it with HORUS_IMPLEMENTATION before any system header, or use -std=gnu11"
#endif
#endif
#endif

#ifdef HORUS_NO_OS
#define HORUSI_THREAD
#ifndef HORUS_NOW_NS
#error "horus.h: HORUS_NO_OS needs HORUS_NOW_NS(), a uint64_t clock in nanoseconds"
#endif
#else
#define HORUSI_THREAD _Thread_local
#ifndef HORUS_MALLOC
#define HORUS_MALLOC(n) calloc(1, n)
#define HORUS_FREE(p) free(p)
#endif
#endif
#ifndef HORUS_SHM_DIR
#define HORUS_SHM_DIR "/dev/shm"
#endif

static HORUSI_THREAD char horusi_error_text[256];
static HORUSI_THREAD struct {
    int error; /* an errno, or what kept a sweep from a pool */
    horus_result result;
    uint32_t waits; /* for fork(), in all of it */
} horusi_swept;     /* this thread's last sweep */

/* Notes what went wrong and returns the code. */
#ifdef HORUS_NO_OS
HORUSI_COLD horus_result horusi_fail(horus_result code, const char *format, ...)
{
    (void)format; /* no printf in firmware: the code's own text */
    size_t i = 0;
    for (const char *s = horus_result_text(code); s[i] && i + 1 < sizeof horusi_error_text; i++)
        horusi_error_text[i] = s[i];
    horusi_error_text[i] = 0;
    return code;
}
#else
#ifdef __GNUC__
__attribute__((format(printf, 2, 3)))
#endif
static horus_result
horusi_fail(horus_result code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(horusi_error_text, sizeof horusi_error_text, format, args);
    va_end(args);
    return code;
}
#endif

/* Copies at most room-1 bytes of text and terminates it. */
static void horusi_text(char *out, size_t room, const char *text)
{
    size_t n = 0;
    while (n + 1 < room && text[n]) {
        out[n] = text[n];
        n++;
    }
    out[n] = 0;
}

#ifdef HORUS_NO_OS
typedef struct horusi_files {
    int unused;
} horusi_files;
static uint64_t horusi_now(void) { return HORUS_NOW_NS(); }
static const uint32_t horusi_tid = 1;
static uint32_t horusi_thread_id(void) { return horusi_tid; }
static void horusi_lock(horusi_a32 *word)
{
    uint32_t free_word;
    do {
        free_word = 0;
    } while (!horusi_cas32_acqrel(N2, word, &free_word, 1));
}
static void horusi_unlock(horusi_a32 *word) { horusi_st32_rel(N1, word, 0); }
static void horusi_give_way(uint32_t tries) { (void)tries; }
static int horusi_sleep_on(horusi_a32 *word, uint32_t seen, uint64_t ns)
{
    (void)word, (void)seen, (void)ns;
    return 0;
}
static void horusi_wake(horusi_a32 *word) { (void)word; }
#define horusi_no_memory(bytes) horusi_fail(HORUS_E_MEMORY, "out of memory")
#else

#define horusi_no_memory(bytes)                                                                    \
    horusi_fail(HORUS_E_MEMORY, "no memory for %llu bytes", (unsigned long long)(bytes))

static uint64_t horusi_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* 0: not asked yet, or hidden while calls on topics are recorded: then the other one has it. Both are 0
 * in a forked child. */
static HORUSI_THREAD uint32_t horusi_tid, horusi_tid_taped;
static uint32_t horusi_thread_id(void)
{
    if (horusi_tid == 0 && horusi_tid_taped != 0)
        return horusi_tid_taped;
    if (horusi_tid == 0) {
#ifdef __linux__
        horusi_tid = (uint32_t)syscall(SYS_gettid);
#else
        static horusi_a32 next;
        horusi_tid = horusi_add32_rlx(ids, &next, 1) + 1;
#endif
    }
    return horusi_tid;
}

/* Lets others run while we wait for one of our own threads; soon even those of a lower priority. */
static void horusi_give_way(uint32_t tries)
{
    struct timespec t = {0, 50000};
    if (tries < 64)
        sched_yield();
    else
        nanosleep(&t, NULL);
}

/* Blocks what comes from outside: a handler that forks must find none of the locks that fork() takes held
 * by its own thread. A fault of the thread's own still reaches who reports it. */
static void horusi_block_signals(sigset_t *before)
{
    static const int own[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGSYS};
    sigset_t all;
    (void)sigfillset(&all);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        (void)sigdelset(&all, own[i]);
    (void)pthread_sigmask(SIG_BLOCK, &all, before);
}
static void horusi_restore_signals(const sigset_t *before)
{
    (void)pthread_sigmask(SIG_SETMASK, before, NULL);
}

#ifdef __linux__
/* of <linux/futex.h>, which not every C library comes with */
enum {
    HORUSI_FUTEX_WAIT = 0,
    HORUSI_FUTEX_WAKE = 1,
    HORUSI_FUTEX_LOCK_PI = 6 | 128, /* private */
    HORUSI_FUTEX_UNLOCK_PI = 7 | 128
};
#ifdef SYS_futex
#define HORUSI_SYS_FUTEX SYS_futex
#else
#define HORUSI_SYS_FUTEX SYS_futex_time64
#endif

/* A process-private lock with priority inheritance. The word holds the owner's thread id. */
static void horusi_lock(horusi_a32 *word)
{
    uint32_t free_word = 0, me = horusi_thread_id();
    for (uint32_t tries = 0; !horusi_cas32_acqrel(N2, word, &free_word, me); tries++) {
        if (syscall(HORUSI_SYS_FUTEX, word, HORUSI_FUTEX_LOCK_PI, 0, NULL, NULL, 0) == 0) {
            (void)horusi_ld32_acq(N2, word); /* the kernel handed it over */
            return;
        }
        if (errno == ENOSYS)
            horusi_give_way(tries); /* an emulator */
        free_word = 0;
    }
}
static void horusi_unlock(horusi_a32 *word)
{
    uint32_t me = horusi_thread_id();
    if (!horusi_cas32_acqrel(N1, word, &me, 0)) {
        (void)horusi_add32_acqrel(N1, word, 0);
        (void)syscall(HORUSI_SYS_FUTEX, word, HORUSI_FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
    }
}

/* Sleeps until woken, for ns at most, unless the word is no longer `seen`. 1: a signal came. */
static int horusi_sleep_on(horusi_a32 *word, uint32_t seen, uint64_t ns)
{
    long t[2] = {(long)(ns / 1000000000u), (long)(ns % 1000000000u)};
    if (syscall(HORUSI_SYS_FUTEX, word, HORUSI_FUTEX_WAIT, seen, t, NULL, 0) == 0)
        return 0;
    return errno == EINTR;
}
static void horusi_wake(horusi_a32 *word)
{
    (void)syscall(HORUSI_SYS_FUTEX, word, HORUSI_FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}
#else
static void horusi_lock(horusi_a32 *word)
{
    uint32_t free_word = 0;
    for (uint32_t tries = 0; !horusi_cas32_acqrel(N2, word, &free_word, 1); tries++) {
        horusi_give_way(tries);
        free_word = 0;
    }
}
static void horusi_unlock(horusi_a32 *word) { horusi_st32_rel(N1, word, 0); }
static int horusi_sleep_on(horusi_a32 *word, uint32_t seen, uint64_t ns)
{
    struct timespec t = {0, ns < 500000 ? (long)ns : 500000}; /* no shared futex: look often */
    if (horusi_ld32_acq(W, word) == seen && nanosleep(&t, NULL) != 0)
        return 1;
    return 0;
}
static void horusi_wake(horusi_a32 *word) { (void)word; }
#endif

#endif /* HORUS_NO_OS */

static bool horusi_trylock(horusi_a32 *word)
{
    uint32_t free_word = 0;
    return horusi_ld32_rlx(N2, word) == 0 &&
           horusi_cas32_acqrel(N2, word, &free_word, horusi_thread_id());
}

/* A barrier that every running thread of this process passes through, so that one side of a
 * handshake needs none of its own. False: not to be had here. */
#if defined(__linux__) && !defined(HORUS_NO_OS) && defined(SYS_membarrier)
static bool horusi_can_barrier(void)
{
    static horusi_a32 known; /* 1: yes, 2: no */
    uint32_t k = horusi_ld32_rlx(N2, &known);
    if (k == 0) {
        long offered = syscall(SYS_membarrier, 0, 0, 0);
        bool has = offered > 0 && (offered & 24) == 24; /* private expedited, and to register */
        k = has && syscall(SYS_membarrier, 16, 0, 0) == 0 ? 1 : 2; /* slow once there are threads */
        horusi_st32_rlx(N1, &known, k);
    }
    return k == 1;
}
static void horusi_barrier(void)
{
    if (syscall(SYS_membarrier, 8, 0, 0) != 0) {
        (void)syscall(SYS_membarrier, 16, 0, 0);
        (void)syscall(SYS_membarrier, 8, 0, 0);
    }
}
#else
static bool horusi_can_barrier(void) { return false; }
static void horusi_barrier(void) {}
#endif

/* The CPU's counter where it is cheap and steady, else nanoseconds. */
static uint64_t horusi_ticks(uint32_t clock)
{
#if (defined(__x86_64__) || defined(__i386__)) && !defined(HORUS_NO_OS)
    if (clock == 1)
        return __builtin_ia32_rdtsc();
#endif
    (void)clock;
    return horusi_now();
}
static uint32_t horusi_clock_kind(void)
{
#if (defined(__x86_64__) || defined(__i386__)) && !defined(HORUS_NO_OS)
    uint32_t a = 0x80000007u, b, c = 0, d; /* the counter never stops nor changes its pace */
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return d >> 8 & 1;
#else
    return 0;
#endif
}
/* One reading of both clocks, as close together as three tries give. */
static void horusi_clock_pair(uint32_t clock, uint64_t *ticks, uint64_t *ns)
{
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < 3; i++) {
        uint64_t a = horusi_ticks(clock), n = horusi_now(), b = horusi_ticks(clock);
        if (b - a < best) {
            best = b - a;
            *ticks = a + (b - a) / 2;
            *ns = n;
        }
    }
}

#if defined(__linux__) && !defined(HORUS_NO_OS)
/* ---- files and their locks: Linux */

#ifndef F_OFD_GETLK
#define F_OFD_GETLK 36
#define F_OFD_SETLK 37
#endif
#ifndef O_TMPFILE
#define O_TMPFILE (020000000 | O_DIRECTORY)
#endif
#ifndef MADV_DONTFORK
#define MADV_DONTFORK 10
#endif
#ifndef MADV_HUGEPAGE
#define MADV_HUGEPAGE 14
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

enum { HORUSI_GATE = HORUSI_ROWS }; /* lock bytes: one per row, then the gate */

/* A namespace's place. A descriptor that is kept may be closed by the program (closefrom(), a
 * daemon's habit), and its number may be another file's soon: it is looked at before each use. */
typedef struct horusi_files {
    int dir_fd;     /* used by horusi_reopen_dir(); it serves even behind a chroot() */
    void *row_lock; /* of horusi_keep_locks() */
    uint64_t dir_dev, dir_ino;
    uint32_t uid, gid; /* gid: of the group that shares, or -1 */
    bool shared;
    char base[160]; /* directory that the namespace's own lies in */
    char leaf[160]; /* the namespace's directory */
} horusi_files;

/* Repeats a call that a signal cut short. */
#define HORUSI_RETRY(r, call)                                                                      \
    do {                                                                                           \
        (r) = (call);                                                                              \
    } while ((r) < 0 && errno == EINTR)
static int horusi_open(int dir_fd, const char *path, int flags, mode_t mode)
{
    int fd;
    HORUSI_RETRY(fd, openat(dir_fd, path, flags | O_CLOEXEC, mode));
    return fd;
}

/* The kernel's 64-bit struct, whatever off_t is. */
typedef struct horusi_flock {
    short type, whence;
    long long start, len;
    int pid;
} horusi_flock;
static int horusi_ofd(int fd, int command, horusi_flock *lock)
{
    int r;
#ifdef SYS_fcntl64
    HORUSI_RETRY(r, (int)syscall(SYS_fcntl64, fd, command, lock));
#else
    HORUSI_RETRY(r, (int)syscall(SYS_fcntl, fd, command, lock));
#endif
    return r;
}
/* Tries to take (F_WRLCK, F_RDLCK) or drop (F_UNLCK) a byte. 0: done. */
static int horusi_lock_byte(int fd, short type, uint32_t byte)
{
    horusi_flock l = {type, SEEK_SET, byte, 1, 0};
    return horusi_ofd(fd, F_OFD_SETLK, &l);
}
/* True if another description locks one of the bytes. errno is 0 then, or says why it cannot be told.
 */
static bool horusi_is_locked(int fd, uint32_t byte, uint32_t count)
{
    horusi_flock l = {F_WRLCK, SEEK_SET, byte, count, 0};
    if (horusi_ofd(fd, F_OFD_GETLK, &l) != 0)
        return true; /* cannot tell: nobody is declared dead for that */
    errno = 0;
    return l.type != F_UNLCK;
}
static horus_result horusi_errno(horus_result code, const char *what, const char *path)
{
    int e = errno;
    if (e == EACCES || e == EPERM || e == ELOOP || e == EROFS)
        code = HORUS_E_PERMISSION;
    if (e == ENOMEM)
        code = HORUS_E_MEMORY;
    if (e == ENOSPC || e == EDQUOT)
        code = HORUS_E_POOL_FULL;
    return horusi_fail(code, "cannot %s %s: %s%s", what, path, strerror(e),
                       e == EMFILE || e == ENFILE ? "; raise the limit (ulimit -n)"
                       : e == ELOOP               ? " (a symlink stands in its place: remove it)"
                                                  : "");
}

/* Backs a range of the file by memory; false: the system has none to give. */
static bool horusi_commit(int fd, uint64_t offset, uint64_t bytes)
{
    int r;
    do {
        r = posix_fallocate(fd, (off_t)offset, (off_t)bytes);
    } while (r == EINTR);
    errno = r;
    return r == 0;
}

/* Punches a hole: the range reads as zeros and has no memory. Not by madvise(), which emulators
 * pass over in silence, and old pixels would show. False: it stays as it was, or in part. */
static bool horusi_give_back(int fd, uint64_t offset, uint64_t bytes)
{
    const int mode = 3; /* FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE */
    long r;
    do {
#if UINTPTR_MAX > 0xffffffffu
        r = syscall(SYS_fallocate, fd, mode, (long)offset, (long)bytes);
#elif __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ /* two registers each, and the high one is 0 */
        r = syscall(SYS_fallocate, fd, mode, (long)offset, 0L, (long)bytes, 0L);
#else
        r = syscall(SYS_fallocate, fd, mode, 0L, (long)offset, 0L, (long)bytes);
#endif
    } while (r != 0 && errno == EINTR);
    return r == 0;
}

/* Free bytes of the file system. UINT64_MAX: it has no limit, or does not say. */
static uint64_t horusi_free_bytes(int fd)
{
    struct statvfs v;
    int got;
    HORUSI_RETRY(got, fstatvfs(fd, &v));
    return got == 0 && v.f_blocks ? (uint64_t)v.f_bavail * v.f_frsize : UINT64_MAX;
}
/* The same, at most a quarter of the container's memory limit. */
static uint64_t horusi_room(int fd)
{
    uint64_t room = horusi_free_bytes(fd);
    static const char *const limits[] = {"/sys/fs/cgroup/memory.max",
                                         "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    for (size_t i = 0; i < 2; i++) {
        char text[32] = {0};
        int f = horusi_open(AT_FDCWD, limits[i], O_RDONLY, 0);
        if (f < 0)
            continue;
        ssize_t n;
        HORUSI_RETRY(n, read(f, text, sizeof text - 1));
        close(f);
        unsigned long long limit = n > 0 ? strtoull(text, NULL, 10) : 0; /* "max" gives 0 */
        if (limit && limit / 4 < room)
            room = limit / 4;
    }
    return room;
}

static uint64_t horusi_random(void)
{
    uint64_t r = horusi_now() * 0x9e3779b97f4a7c15ull ^ (uint64_t)getpid() << 32;
    int f = horusi_open(AT_FDCWD, "/dev/urandom", O_RDONLY, 0);
    if (f >= 0) {
        uint64_t v;
        ssize_t n;
        HORUSI_RETRY(n, read(f, &v, sizeof v));
        if (n == (ssize_t)sizeof v)
            r ^= v;
        close(f);
    }
    return r | 1;
}

/* Gives what we made to the group. 0: done. */
static int horusi_share(const horusi_files *f, int fd, mode_t mode)
{
    int r;
    HORUSI_RETRY(r, fchown(fd, (uid_t)-1, f->gid));
    if (r == 0)
        HORUSI_RETRY(r, fchmod(fd, mode));
    return r;
}

/* Opens (making it if need be) the namespace's directory and checks whose it is. */
static horus_result horusi_open_dir(horusi_files *f, int *dir)
{
    char path[330];
    (void)snprintf(path, sizeof path, "%s/%s", f->base, f->leaf);
    mode_t mode = f->shared ? 02770 : 0700;
    int made = mkdir(path, mode) == 0;
    if (!made && errno != EEXIST)
        return horusi_errno(HORUS_E_SYSTEM, "make", path);
    *dir = horusi_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    struct stat s;
    if (*dir < 0 || fstat(*dir, &s) != 0) {
        if (errno == ENOTDIR) {
            errno = ELOOP;
            return horusi_errno(HORUS_E_PERMISSION, "use", path);
        }
        return errno == ENOENT ? HORUS_E_BUSY : horusi_errno(HORUS_E_SYSTEM, "open", path);
    }
    if (made && f->shared && horusi_share(f, *dir, mode) != 0)
        return horusi_errno(HORUS_E_SYSTEM, "give to the group", path);
    if (f->shared && !made && s.st_uid == f->uid &&
        s.st_gid != f->gid) /* its maker died half-way */
        made = horusi_share(f, *dir, mode) == 0;
    if (f->shared ? s.st_gid != f->gid && !made : s.st_uid != f->uid)
        return horusi_fail(HORUS_E_PERMISSION,
                           "%s belongs to user %u, group %u: set HORUS_NAMESPACE to a name of your "
                           "own, or HORUS_GROUP (all of you) to share it",
                           path, (unsigned)s.st_uid, (unsigned)s.st_gid);
    if (!made && !f->shared && (s.st_mode & 022) != 0)
        return horusi_fail(HORUS_E_PERMISSION, "%s may be written by others: chmod 700 it", path);
    f->dir_dev = (uint64_t)s.st_dev;
    f->dir_ino = (uint64_t)s.st_ino;
    return HORUS_OK;
}
static bool horusi_is_file(int fd, uint64_t dev, uint64_t ino)
{
    struct stat s;
    return fstat(fd, &s) == 0 && (uint64_t)s.st_dev == dev && (uint64_t)s.st_ino == ino;
}
/* Closes a kept descriptor, if it still is ours or that cannot be told. */
static void horusi_close_kept(int fd, uint64_t dev, uint64_t ino)
{
    struct stat s;
    if (fd >= 0 && (fstat(fd, &s) != 0 ? errno != EBADF
                                       : (uint64_t)s.st_dev == dev && (uint64_t)s.st_ino == ino))
        close(fd);
}
/* The directory through a descriptor of its own. -1: errno says why. */
static int horusi_reopen_dir(const horusi_files *f)
{
    char path[330] = ".";
    bool kept = horusi_is_file(f->dir_fd, f->dir_dev, f->dir_ino);
    if (!kept)
        (void)snprintf(path, sizeof path, "%s/%s", f->base, f->leaf);
    int dir =
        horusi_open(kept ? f->dir_fd : AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (dir >= 0 && !kept && !horusi_is_file(dir, f->dir_dev, f->dir_ino)) {
        close(dir);
        errno = ENOENT;
        dir = -1;
    }
    return dir;
}

/* The same file through a description of its own. -1: errno says why. */
static int horusi_reopen(const horusi_files *f, int fd, uint64_t dev, uint64_t ino)
{
    char path[40];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int r = horusi_open(AT_FDCWD, path, O_RDWR, 0), why = errno, dir;
    if (r < 0 && (dir = horusi_reopen_dir(f)) >= 0) { /* no /proc here */
        r = horusi_open(dir, "horus", O_RDWR | O_NOFOLLOW, 0);
        why = r < 0 && why != ENOENT ? why : errno;
        close(dir);
        errno = why;
    }
    if (r >= 0 && !horusi_is_file(r, dev, ino)) { /* another one has come by the number, or path */
        close(r);
        errno = ESTALE;
        r = -1;
    }
    return r;
}

/* Opens a file of the namespace, refusing what is not plainly ours. E_NOT_FOUND if there is none.
 */
static horus_result horusi_open_file(const horusi_files *f, int dir, const char *name, int *fd,
                                     uint64_t *bytes)
{
    struct stat s;
    char path[500];
    (void)snprintf(path, sizeof path, "%s/%s", f->leaf, name);
    *fd = horusi_open(dir, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0);
    if (*fd < 0)
        return errno == ENOENT ? HORUS_E_NOT_FOUND : horusi_errno(HORUS_E_SYSTEM, "open", path);
    horus_result r = HORUS_OK;
    memset(&s, 0, sizeof s);
    if (fstat(*fd, &s) != 0)
        r = horusi_errno(HORUS_E_SYSTEM, "stat", path);
    else if (!S_ISREG(s.st_mode))
        r = horusi_fail(HORUS_E_PERMISSION, "%s/%s is not a regular file: remove it", f->leaf,
                        name);
    else if (f->shared ? s.st_gid != f->gid : s.st_uid != f->uid)
        r = horusi_fail(HORUS_E_PERMISSION, "%s/%s belongs to user %u: remove it", f->leaf, name,
                        (unsigned)s.st_uid);
    *bytes = (uint64_t)s.st_size;
    if (r != HORUS_OK) {
        close(*fd);
        *fd = -1;
    }
    return r;
}

/* A file without a name, and the name for it once it is whole. */
static horus_result horusi_make_file(const horusi_files *f, int dir, int *fd)
{
    mode_t mode = f->shared ? 0660 : 0600;
    *fd = horusi_open(dir, ".", O_TMPFILE | O_RDWR, mode);
    if (*fd < 0)
        return errno == ENOENT ? HORUS_E_BUSY /* the last one out removed the directory */
                               : horusi_errno(HORUS_E_SYSTEM, "make a file in", f->leaf);
    if (f->shared && horusi_share(f, *fd, mode) != 0)
        return horusi_errno(HORUS_E_SYSTEM, "give to the group a file in", f->leaf);
    return HORUS_OK;
}
static int horusi_name_file(int dir, int fd, const char *name)
{
    char path[40];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (linkat(AT_FDCWD, path, dir, name, AT_SYMLINK_FOLLOW) == 0)
        return 0;
#ifdef AT_EMPTY_PATH
    if (errno == ENOENT && linkat(fd, "", dir, name, AT_EMPTY_PATH) == 0)
        return 0; /* no /proc here, but enough privilege */
#endif
    return errno;
}
#elif !defined(HORUS_NO_OS)
typedef struct horusi_files {
    int unused;
} horusi_files;
#endif

#ifndef HORUS_NO_INFER
/* ---- libraries that are loaded while the program runs */
#include <dlfcn.h>

typedef void (*horusi_symbol)(void);
/* NULL: `why` says why. */
static void *horusi_library_open(const char *path, char *why, size_t room)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        horusi_text(why, room, dlerror()); /* there is one: it has just failed */
    return library;
}
static horusi_symbol horusi_library_symbol(void *library, const char *name)
{
    void *found = dlsym(library, name);
    horusi_symbol symbol;
    memcpy(&symbol, &found, sizeof symbol); /* C has no cast for this */
    return symbol;
}
static void horusi_library_close(void *library) { (void)dlclose(library); }

/* Whether a path leads to a file, not to what has an end only if somebody else sees to it: 0, or an errno. */
static int horusi_file_error(const char *path)
{
    struct stat s;
    if (fstatat(AT_FDCWD, path, &s, 0) != 0)
        return errno;
    return S_ISDIR(s.st_mode) ? EISDIR : S_ISFIFO(s.st_mode) || S_ISSOCK(s.st_mode) ? EINVAL : 0;
}
/* Of an ONNX file as it is read: where weights lie that are in files of their own. TensorProto.external_data
 * has pairs of key and value, and a serializer writes the key first, so those bytes are "location" as
 * field 1, then a text as field 2. What is taken for one and is none names no file. */
typedef struct horusi_locations {
    uint32_t seen, bytes, shift, n; /* of the mark; of the text, and how much of it is there */
    char name[512];
    uint32_t files;
    uint64_t known[128]; /* the last names, hashed: many tensors are in one file */
} horusi_locations;
/* Takes one byte. True: `name` is one, whole. */
static bool horusi_is_location(horusi_locations *l, uint8_t byte)
{
    static const char mark[] = "\n\x08"
                               "location\x12";
    if (l->seen < sizeof mark - 1) {
        l->seen = byte == (uint8_t)mark[l->seen] ? l->seen + 1 : byte == (uint8_t)mark[0];
        l->bytes = l->shift = l->n = 0;
        return false;
    }
    if (l->shift < 100) {
        l->bytes |= (byte & 127u) << l->shift;
        l->shift = byte & 128 ? l->shift + 7 : 100;
        bool whole = l->shift == 100; /* its lowest seven bits may all be 0 */
        if (whole ? l->bytes == 0 || l->bytes >= sizeof l->name : l->shift == 21)
            l->seen = 0;
        return false;
    }
    l->name[l->n++] = (char)byte;
    if (l->n < l->bytes)
        return false;
    l->name[l->n] = 0;
    l->seen = 0;
    return true;
}
static const uint64_t HORUSI_FNV = 0xcbf29ce484222325u; /* what a hash begins with */
static uint64_t horusi_fnv(uint64_t hash, const void *data, size_t n)
{
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ ((const uint8_t *)data)[i]) * 0x100000001b3u;
    return hash;
}
/* Whether `name` is one of the last names; else it is from now on. */
static bool horusi_is_known(horusi_locations *l)
{
    enum { KNOWN = sizeof l->known / sizeof l->known[0] };
    uint64_t name = horusi_fnv(HORUSI_FNV, l->name, strlen(l->name));
    for (uint32_t k = 0; k < l->files && k < KNOWN; k++)
        if (l->known[k] == name)
            return true;
    l->known[l->files++ % KNOWN] = name;
    return false;
}
static horus_result horusi_hash_beside(uint64_t *hash, const char *path, const char *name);
/* Adds what a file holds, and, with `names`, what those hold that it names as its weights. */
static horus_result horusi_hash_file(uint64_t *hash, const char *path, horusi_locations *names)
{
    uint8_t some[4096];
    horus_result r = HORUS_OK;
    ssize_t n;
    int fd = horusi_open(AT_FDCWD, path, O_RDONLY, 0);
    if (fd < 0)
        return horusi_errno(HORUS_E_SYSTEM, "open", path);
    do {
        HORUSI_RETRY(n, read(fd, some, sizeof some));
        if (n > 0)
            *hash = horusi_fnv(*hash, some, (size_t)n);
        for (ssize_t i = 0; names && i < n && r == HORUS_OK; i++)
            if (horusi_is_location(names, some[i]) && !horusi_is_known(names))
                r = horusi_hash_beside(hash, path, names->name);
    } while (n > 0 && r == HORUS_OK);
    if (n < 0)
        r = horusi_errno(HORUS_E_SYSTEM, "read", path);
    (void)close(fd);
    return r;
}
/* Adds a file that the model in `path` names; one that is not there counts by its name alone. */
static horus_result horusi_hash_beside(uint64_t *hash, const char *path, const char *name)
{
    char whole[1024];
    struct stat s;
    const char *slash = name[0] == '/' ? NULL : strrchr(path, '/');
    *hash = horusi_fnv(*hash, name, strlen(name) + 1);
    if (snprintf(whole, sizeof whole, "%.*s%s", slash ? (int)(slash + 1 - path) : 0, path, name) >=
        (int)sizeof whole)
        return HORUS_OK;
    if (fstatat(AT_FDCWD, whole, &s, 0) != 0)
        return errno == ENOENT ? HORUS_OK : horusi_errno(HORUS_E_SYSTEM, "look at", whole);
    return S_ISREG(s.st_mode) ? horusi_hash_file(hash, whole, NULL)
                              : HORUS_OK; /* a device may have no end */
}
/* A folder beside a file, for what is made of it: named by what the file holds, and those that it names
 * as its weights, so that another file of its name has another one (64 bits, FNV-1a). `made`: it was
 * not there. */
static horus_result horusi_folder_of(const char *path, char *out, size_t room, bool *made)
{
    uint64_t hash = HORUSI_FNV;
    horusi_locations names;
    memset(&names, 0, sizeof names);
    horus_result r = horusi_hash_file(&hash, path, &names);
    if (r == HORUS_OK &&
        snprintf(out, room, "%s.%016llx.engines", path, (unsigned long long)hash) >= (int)room)
        r = horusi_fail(HORUS_E_LIMIT, "\"%.100s...\" is too long a path", path);
    if (r == HORUS_OK) {
        *made = mkdir(out, 0777) == 0;
        if (!*made && errno != EEXIST)
            r = horusi_errno(HORUS_E_SYSTEM, "make", out);
    }
    return r;
}
/* Whether this thread may run on one processor alone. */
static bool horusi_has_one_processor(void)
{
#ifdef __linux__
    unsigned long set[1024 / (8 * sizeof(long))] = {0};
    const size_t words = sizeof set / sizeof *set;
    uint32_t count = 0;
    if (syscall(SYS_sched_getaffinity, 0, sizeof set, set) < 0)
        return false;
    for (size_t i = 0; i < words; i++)
        for (unsigned long bits = set[i]; bits; bits &= bits - 1)
            count++;
    return count == 1;
#else
    return false;
#endif
}
#endif

/* ------------------------------------------------------------------------------------ >>slots
 *
 * A slot belongs to whoever has a bit in its header; no bit means free. Nothing else says so, so
 * nothing can disagree after a crash.
 *
 *     acquire(s, g)   set my bit; move (g, e) to (g, e+1); if the generation is another, clear it
 *     take(s)         read the word; see no bit set; set mine; move (g, e) to (g+1, e+1) from the
 *                     word read before; if that fails somebody was there in between: clear it
 *     release(s)      clear my bit
 *
 * The epoch makes take fail when any acquire or take slipped in between. Within one process,
 * handles are counted in a private record; only the first sets the bit and only the last clears it,
 * under the record's lock, or else one thread's clearing would wipe another's holding.
 *
 * Memory of all sizes comes from one map of granules. Whoever holds a header owns its memory's
 * shape: a block is mine if I hold its header and the granule is SPLIT to that class; a run if I
 * hold its first header and the granule is its HEAD. A SPLIT granule becomes FREE only by whoever
 * holds all its headers, a run only by whoever holds its one. A run is claimed head first and given
 * up head last: a death in between leaves a HEAD whose bodies are missing, which the next taker of
 * that header sees and undoes. */

typedef struct horusi_rec { /* private: this process's hold on one slot */
    horusi_a32 lock, count, generation;
    horusi_a32 own; /* the granule's word while held | HORUSI_MINE */
} horusi_rec;
#define HORUSI_MINE (1u << 29) /* taken by this process: worth remembering when released */

enum { HORUSI_REUSE_KEYS = 16, HORUSI_REUSE_SLOTS = 16 };
/* While one thread alone has used a context, the private side of slots needs no locks. It says that
 * it is inside (nested: a depth), then looks whether it is still alone; the first other thread says
 * that it is not, makes every thread pass a barrier, waits until it is out, and from then on all
 * take locks. */
typedef struct horusi_alone {
    horusi_a32 solo;   /* 0, the thread, HORUSI_REVOKING, or HORUSI_SHARED */
    horusi_a32 first;  /* the thread, also later */
    horusi_a32 inside; /* depth; written by that thread only */
} horusi_alone;
#define HORUSI_REVOKING UINT32_MAX
#define HORUSI_SHARED (UINT32_MAX - 1)

HORUSI_COLD bool horusi_alone_slowly(horusi_alone *a)
{
    uint32_t me = horusi_thread_id(), depth = horusi_ld32_rlx(N2, &a->inside);
    if (depth > 0 && horusi_ld32_rlx(N2, &a->first) == me) {
        horusi_st32_rlx(N2, &a->inside, depth + 1);
        return true;
    }
    uint32_t solo = 0, as = horusi_can_barrier() ? me : HORUSI_SHARED;
    if (horusi_cas32_acqrel(N2, &a->solo, &solo, as)) {
        horusi_st32_rel(N1, &a->first, as);
        return false; /* from the next time on: whoever else is in by now has locked */
    }
    /* Whoever lost that race, too, ends the other's time alone before it goes on. */
    if (solo != HORUSI_SHARED && solo != HORUSI_REVOKING && solo != me &&
        horusi_cas32_acqrel(N2, &a->solo, &solo, HORUSI_REVOKING)) {
        horusi_barrier();
        for (uint32_t tries = 0; horusi_ld32_acq(N2, &a->inside) != 0; tries++)
            horusi_give_way(tries);
        horusi_st32_rel(N1, &a->solo, HORUSI_SHARED);
    }
    for (uint32_t tries = 0; horusi_ld32_acq(N2, &a->solo) == HORUSI_REVOKING; tries++)
        horusi_give_way(tries);
    return false;
}
/* True: this thread is alone and now inside; horusi_alone_end lets others in. */
HORUSI_HOT bool horusi_alone_begin(horusi_alone *a)
{
    uint32_t me = horusi_tid;
    if (horusi_rarely(me == 0 || horusi_ld32_rlx(N2, &a->solo) != me))
        return horusi_alone_slowly(a);
    uint32_t depth = horusi_ld32_rlx(N2, &a->inside);
    horusi_st32_rlx(N2, &a->inside, depth + 1);
    atomic_signal_fence(memory_order_seq_cst); /* the other side has the barrier for both */
    if (depth > 0 || horusi_ld32_rlx(N2, &a->solo) == me)
        return true; /* depth > 0: whoever revokes waits for us anyway */
    horusi_st32_rel(N1, &a->inside, 0);
    return horusi_alone_slowly(a);
}
HORUSI_HOT void horusi_alone_end(horusi_alone *a)
{
    horusi_st32_rel(N1, &a->inside, horusi_ld32_rlx(N2, &a->inside) - 1);
}

typedef struct horusi_reuse { /* slots that this process used last at one size */
    uint32_t key, count, age;
    struct {
        uint32_t slot, generation;
    } item[HORUSI_REUSE_SLOTS];
} horusi_reuse;

struct horus_pool {
    horus_context *context;
    horus_pool *_Atomic next; /* in context->pools; sweeps walk it while others are opened */
    uint8_t *base;
    uint64_t map_bytes;
    int fd; /* -1: memory of one process. Others use it by horusi_pool_fd() */
    uint64_t dev, ino;
    uint32_t id, flags, opens;
    char name[HORUS_NAME_BYTES];
    horusi_header *header;
    horusi_row *rows;
    horusi_a64 *directory;
    horusi_granule *granule;
    horusi_slot *slot;
    uint8_t *data;
    uint32_t granule_bytes, block_bytes, granules, max_topics, row_count;
    uint32_t blocks_log2; /* smallest blocks per granule, as a power of two */
    uint32_t granule_log2;
    uint32_t slots;
    uint64_t slots_offset, data_offset;
    horusi_rec *rec;
    uint32_t *marks; /* a bit per slot, for the sweep */
    uint64_t private_bytes;
    horusi_a32 reuse_lock;
    uint32_t reuse_clock;
    uint32_t reuse_last; /* the list that was found last: most processes use one size */
    horusi_reuse reuse[HORUSI_REUSE_KEYS];
    horusi_a32 hint[7]; /* per class: where a free block was found last */
};

typedef struct horusi_ref {
    horus_pool *pool; /* NULL: none */
    uint32_t slot, generation;
    uint64_t bytes; /* of a ring's frame: what it counts for */
} horusi_ref;

/* Who is using a handle. The first thread that does enters by plain stores, so that a send waits
 * for no earlier store to arrive: it says that it is inside, then looks whether it is still alone.
 * The first other thread ends that for good: it says so, makes every thread pass a barrier, and
 * from then on all enter by a swap. Either the first thread was seen inside, or it sees that it is
 * not alone. */
typedef struct horusi_use {
    horusi_a32 solo;   /* 0, the thread that is alone, HORUSI_REVOKING, or HORUSI_SHARED */
    horusi_a32 inside; /* 1 while that thread is in */
    horusi_a32 busy;   /* HORUSI_IDLE, HORUSI_USED, or HORUSI_EVICTING by an allocator */
} horusi_use;
enum { HORUSI_IDLE = 0, HORUSI_USED = 1, HORUSI_EVICTING = 2 };
/* Enters as USED or EVICTING. False: somebody else is in, or this thread itself. */
HORUSI_COLD bool horusi_use_slowly(horusi_use *u, uint32_t as, uint32_t me)
{
    for (uint32_t tries = 0; tries < 20000; tries++) { /* a second at least */
        uint32_t solo = horusi_ld32_acq(N2, &u->solo), idle = HORUSI_IDLE;
        if (solo == 0) {
            (void)horusi_cas32_acqrel(N2, &u->solo, &solo,
                                      horusi_can_barrier() ? me : HORUSI_SHARED);
        } else if (solo == me) {
            if (horusi_ld32_rlx(N2, &u->inside))
                return false;
            horusi_st32_rlx(N2, &u->inside, 1);
            atomic_signal_fence(memory_order_seq_cst); /* the other side has the barrier for both */
            if (horusi_ld32_rlx(N2, &u->solo) == me)
                return true;
            horusi_st32_rel(N1, &u->inside, 0);
        } else if (solo != HORUSI_REVOKING && solo != HORUSI_SHARED) {
            if (!horusi_cas32_acqrel(N2, &u->solo, &solo, HORUSI_REVOKING))
                continue;
            horusi_barrier();
            horusi_st32_rel(N1, &u->solo, HORUSI_SHARED);
        } else if (solo == HORUSI_SHARED) {
            if (horusi_ld32_acq(N2, &u->inside))
                return false;
            if (horusi_cas32_acqrel(N2, &u->busy, &idle, as))
                return true;
            if (idle == HORUSI_USED || as == HORUSI_EVICTING)
                return false;
            horusi_give_way(tries); /* an allocation takes back our oldest frame: a moment */
        } else {
            horusi_give_way(tries);
        }
    }
    return false;
}
/* Enters if this is the thread that is alone; it leaves by horusi_use_quit(). */
HORUSI_HOT bool horusi_use_quick(horusi_use *u)
{
    uint32_t me = horusi_tid;
    if (me == 0 || horusi_ld32_rlx(N2, &u->solo) != me || horusi_ld32_rlx(N2, &u->inside) != 0)
        return false;
    horusi_st32_rlx(N2, &u->inside, 1);
    atomic_signal_fence(memory_order_seq_cst);
    if (horusi_ld32_rlx(N2, &u->solo) == me)
        return true;
    horusi_st32_rel(N1, &u->inside, 0);
    return false;
}
HORUSI_HOT void horusi_use_quit(horusi_use *u) { horusi_st32_rel(N1, &u->inside, 0); }
HORUSI_HOT bool horusi_use_begin(horusi_use *u, uint32_t as)
{
    return horusi_use_quick(u) || horusi_use_slowly(u, as, horusi_thread_id());
}
HORUSI_HOT void horusi_use_end(horusi_use *u)
{
    if (horusi_ld32_rlx(N1, &u->busy) != HORUSI_IDLE)
        horusi_st32_rel(N1, &u->busy, HORUSI_IDLE);
    else
        horusi_st32_rel(N1, &u->inside, 0);
}

/* A publisher's side of its ring. It outlives its handle while messages linger. */
typedef struct horusi_out {
    struct horusi_out *next_out;
    struct horus_topic *handle; /* NULL: closed */
    horusi_use *use;            /* the handle's; NULL once it is closed */
    horusi_ref topic, ring;
    horusi_topic *shm;
    horusi_lane *lane;
    uint32_t lane_index, policy, max_lanes, max_subs; /* of the topic when the ring was made */
    uint8_t *entries;
    horusi_a64 *cursors, *claims;
    uint32_t stride, capacity, frame_limit, frames, index, openings;
    uint64_t next;         /* sequence of the next message */
    uint64_t passed;       /* all before it were read by everybody who counts */
    uint64_t room;         /* see horusi_out_room() */
    uint64_t tail;         /* queue: all before it are done */
    uint64_t oldest_frame; /* no entry before this sequence holds a frame */
    uint64_t frame_bytes;  /* pinned by frames */
    uint64_t frame_most;   /* that many at most */
    horusi_ref *refs;      /* what each entry holds */
} horusi_out;

struct horus_context {
    horus_pool *pool, *pools;
    uint32_t row, incarnation, flags;
    uint32_t mask_word;
    uint64_t mask_bit;
    horusi_a32 detached; /* 0, HORUSI_IN_CHILD or HORUSI_AT_EXIT */
    horusi_a32 lock;     /* guards the three lists and opening */
    horusi_a32 sweeping; /* a thread of this process sweeps */
    horusi_a32 runs;     /* of schedulers with threads, and of models in parallel */
    horusi_alone alone;
    horusi_lane *victim;   /* the lane that a sweep is to drop */
    uint32_t victim_topic; /* or the slot of the topic whose lanes it is to drop */
    horusi_out *outs;
    struct horus_topic *topics;
    horus_context *next; /* of all contexts of the process */
    uint64_t domain;
    horusi_files files;
    char name[HORUS_NAME_BYTES];
    char path[336];
};

static uint32_t horusi_high(uint64_t w) { return (uint32_t)(w >> 32); }
static uint32_t horusi_low(uint64_t w) { return (uint32_t)w; }
static uint64_t horusi_pair(uint32_t high, uint32_t low) { return (uint64_t)high << 32 | low; }
static uint32_t horusi_log2(uint64_t n)
{
    uint32_t k = 0;
    while (n >>= 1)
        k++;
    return k;
}
static uint64_t horusi_round(uint64_t n, uint64_t to) { return (n + to - 1) / to * to; }
/* Of the process that opened it a child is left, which has none of its threads; or exit() was here. */
enum { HORUSI_IN_CHILD = 1, HORUSI_AT_EXIT };
static bool horusi_is_detached(const horus_context *c)
{
    return horusi_ld32_rlx(fork, &((horus_context *)(uintptr_t)c)->detached) != 0;
}

#if defined(__linux__) && !defined(HORUS_NO_OS)
/* A pool's file name: "pool." and the name with '/' and ':' escaped; injective, as ':' and '/' and
 * '%' do not otherwise occur. */
static void horusi_pool_file(const char *name, char *out, size_t room)
{
    size_t n = (size_t)snprintf(out, room, "pool.");
    for (; *name && n + 4 < room; name++)
        if (*name == '/' || *name == ':')
            n += (size_t)snprintf(out + n, room - n, "%%%02x", (unsigned)*name);
        else
            out[n++] = *name;
    out[n] = 0;
}
/* The pool's file, for as long as horusi_done_with() says. The program may have closed the descriptor
 * that is kept, and its number may be another file's by now: then the file is opened anew. -1: it is
 * not there any more, or errno says why. */
static int horusi_pool_fd(const horus_pool *p)
{
    if (horusi_is_file(p->fd, p->dev, p->ino))
        return p->fd;
    const horusi_files *f = &p->context->files;
    char file[320] = "horus";
    if (p->id != 0)
        horusi_pool_file(p->name, file, sizeof file);
    int dir = horusi_reopen_dir(f), fd = -1;
    if (dir >= 0) {
        fd = horusi_open(dir, file, O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0);
        int e = errno;
        close(dir);
        errno = e;
    }
    if (fd >= 0 && !horusi_is_file(fd, p->dev, p->ino)) {
        close(fd);
        errno = ENOENT;
        fd = -1;
    }
    return fd;
}
/* A file that came by the number that is kept stays open: it is that number again. */
static void horusi_done_with(const horus_pool *p, int fd)
{
    int e = errno;
    if (fd >= 0 && fd != p->fd)
        close(fd);
    errno = e;
}
#endif
/* Backs a range of the pool's file by memory. False: errno says why. */
static bool horusi_back(horus_pool *p, uint64_t offset, uint64_t bytes)
{
#if defined(__linux__) && !defined(HORUS_NO_OS)
    if (p->fd < 0)
        return true;
    int fd = horusi_pool_fd(p);
    bool done = fd >= 0 && horusi_commit(fd, offset, bytes);
    horusi_done_with(p, fd);
    return done;
#else
    (void)p, (void)offset, (void)bytes;
    return true;
#endif
}
/* Free bytes of its file system. UINT64_MAX: not known. */
static uint64_t horusi_pool_room(const horus_pool *p)
{
    uint64_t room = UINT64_MAX;
#if defined(__linux__) && !defined(HORUS_NO_OS)
    int fd = horusi_pool_fd(p);
    room = horusi_free_bytes(fd);
    horusi_done_with(p, fd);
#else
    (void)p;
#endif
    return room;
}

/* What a granule's word means: a slot's size and place. */
static uint32_t horusi_kind(uint32_t own) { return own >> 30; }
static uint32_t horusi_value(uint32_t own) { return own & (HORUSI_MINE - 1); }
static uint32_t horusi_own(uint32_t kind, uint32_t value) { return kind << 30 | value; }
/* Bytes of slot s under shape `own`; 0 if such a granule has no such slot. */
HORUSI_HOT uint64_t horusi_slot_room(const horus_pool *p, uint32_t s, uint32_t own,
                                     uint64_t *offset)
{
    uint32_t g = s >> p->blocks_log2, b = s & ((1u << p->blocks_log2) - 1), v = horusi_value(own);
    *offset = (uint64_t)g * p->granule_bytes;
    if (horusi_kind(own) == HORUSI_HEAD && b == 0 && v >= 1 && v <= p->granules - g)
        return (uint64_t)v * p->granule_bytes;
    if (horusi_kind(own) == HORUSI_SPLIT && v < p->blocks_log2 && b < 1u << (p->blocks_log2 - v)) {
        *offset += (uint64_t)b * ((uint64_t)p->block_bytes << v);
        return (uint64_t)p->block_bytes << v;
    }
    return 0;
}

static horusi_a64 *horusi_mask(horus_pool *p, uint32_t s)
{
    return &p->slot[s].holders[p->context->mask_word];
}
static bool horusi_is_held(horus_pool *p, uint32_t s)
{
    uint64_t any = 0;
    for (uint32_t i = 0; i < HORUSI_MASKS; i++)
        any |= horusi_ld64_acq(S4, &p->slot[s].holders[i]);
    return any != 0;
}
/* A swap that fails has met another member's success. So often only a member that does nothing else
 * gets in between; it is not waited for. */
enum { HORUSI_SWAPS = 10000 };

/* Makes sure that headers [0, b] of granule g are backed by memory. */
static bool horusi_back_headers(horus_pool *p, uint32_t g, uint32_t upto)
{
    uint32_t used = horusi_ld32_acq(G2, &p->granule[g].used);
    if (used >= upto)
        return true;
    if (!horusi_back(p, p->slots_offset + ((uint64_t)g << p->blocks_log2) * sizeof(horusi_slot),
                     (uint64_t)upto * sizeof(horusi_slot)))
        return false;
    for (uint32_t tries = 0; used < upto && tries < HORUSI_SWAPS; tries++)
        if (horusi_cas32_acqrel(G1, &p->granule[g].used, &used, upto))
            used = upto;
    return used >= upto;
}
static bool horusi_has_header(horus_pool *p, uint32_t s)
{
    uint32_t b = s & ((1u << p->blocks_log2) - 1);
    return s < p->slots && b < horusi_ld32_acq(G2, &p->granule[s >> p->blocks_log2].used);
}

/* One more holder of s in this process; the first sets the bit. */
static void horusi_enter(horus_pool *p, uint32_t s)
{
    horusi_rec *r = &p->rec[s];
    bool alone = horusi_alone_begin(&p->context->alone);
    uint32_t n = horusi_ld32_rlx(N2, &r->count);
    if (!alone) {
        while (n > 0)
            if (horusi_cas32_acqrel(N2, &r->count, &n, n + 1))
                return;
        horusi_lock(&r->lock);
        n = horusi_ld32_rlx(N2, &r->count);
    }
    if (n == 0) /* the bit first: others trust a count above 0 */
        (void)horusi_or64_rlx(S1, horusi_mask(p, s), p->context->mask_bit);
    if (n == 0 || alone)
        horusi_st32_rel(N1, &r->count, n + 1);
    else
        (void)horusi_add32_acqrel(N1, &r->count, 1);
    if (alone)
        horusi_alone_end(&p->context->alone);
    else
        horusi_unlock(&r->lock);
}
/* One less; the last clears the bit. True if it was the last. */
static bool horusi_leave(horus_pool *p, uint32_t s)
{
    horusi_rec *r = &p->rec[s];
    bool alone = horusi_alone_begin(&p->context->alone), last;
    uint32_t n = horusi_ld32_rlx(N2, &r->count);
    if (alone) {
        last = n == 1;
        horusi_st32_rel(N1, &r->count, n - 1);
    } else {
        while (n > 1)
            if (horusi_cas32_acqrel(N1, &r->count, &n, n - 1))
                return false;
        horusi_lock(&r->lock);
        last = horusi_add32_acqrel(N1, &r->count, UINT32_MAX) == 1;
    }
    if (last)
        (void)horusi_and64_rel(S3, horusi_mask(p, s), ~p->context->mask_bit);
    if (alone)
        horusi_alone_end(&p->context->alone);
    else
        horusi_unlock(&r->lock);
    return last;
}

/* Holds generation g of slot s. False: that use of the slot is over. */
static bool horusi_acquire(horus_pool *p, uint32_t s, uint32_t g)
{
    if (!horusi_has_header(p, s))
        return false;
    horusi_enter(p, s);
    uint64_t w = horusi_ld64_acq(S2, &p->slot[s].word);
    for (uint32_t tries = 0; horusi_high(w) == g && tries < HORUSI_SWAPS; tries++) {
        if (horusi_cas64_acqrel(S1, &p->slot[s].word, &w, horusi_pair(g, horusi_low(w) + 1))) {
            uint32_t own = horusi_ld32_acq(G2, &p->granule[s >> p->blocks_log2].own) & ~HORUSI_MINE;
            uint64_t offset;
            if (horusi_slot_room(p, s, own, &offset) == 0)
                break; /* garbage in the map */
            if (horusi_ld32_rlx(N2, &p->rec[s].generation) == g)
                own |= horusi_ld32_rlx(N2, &p->rec[s].own) & HORUSI_MINE;
            horusi_st32_rlx(N1, &p->rec[s].generation, g);
            horusi_st32_rlx(N1, &p->rec[s].own, own);
            return true;
        }
    }
    (void)horusi_leave(p, s);
    return false;
}

/* Takes slot s if nobody holds it: a new generation, held once, its memory private. */
static bool horusi_take(horus_pool *p, uint32_t s)
{
    horusi_rec *r = &p->rec[s];
    uint64_t w = horusi_ld64_acq(S2, &p->slot[s].word);
    if (horusi_is_held(p, s))
        return false;
    bool mine = false, alone = horusi_alone_begin(&p->context->alone);
    if (!alone && !horusi_trylock(&r->lock))
        return false;
    if (horusi_ld32_rlx(N2, &r->count) == 0) {
        (void)horusi_or64_rlx(S1, horusi_mask(p, s), p->context->mask_bit);
        mine = horusi_cas64_acqrel(S1, &p->slot[s].word, &w,
                                   horusi_pair(horusi_high(w) + 1, horusi_low(w) + 1));
        if (mine) {
            horusi_st32_rlx(N1, &r->generation, horusi_high(w) + 1);
            horusi_st32_rel(N1, &r->count, 1);
        } else {
            (void)horusi_and64_rel(S3, horusi_mask(p, s), ~p->context->mask_bit);
        }
    }
    if (alone)
        horusi_alone_end(&p->context->alone);
    else
        horusi_unlock(&r->lock);
    return mine;
}

static void horusi_changed(horus_pool *p) { (void)horusi_add32_acqrel(G1, &p->header->changes, 1); }
/* Gives back a slot that was taken in vain: others may have failed because of it. */
static void horusi_untake(horus_pool *p, uint32_t s)
{
    (void)horusi_leave(p, s);
    horusi_changed(p);
}
/* ------------------------------------------------------------------------------------ >>blocks
 *
 * Where slots lie. A granule is free, split into blocks of one size, or part of a run; whoever holds
 * the headers concerned may change that. An allocation asks, in this order: slots that this process
 * used last at this size, others of that shape, free granules, granules that nobody uses any more, and
 * then what can be made room for. */

static bool horusi_reshape(horus_pool *p, uint32_t g, uint32_t from, uint32_t to)
{
    return horusi_cas32_acqrel(G1, &p->granule[g].own, &from, to);
}
static uint32_t horusi_shape(horus_pool *p, uint32_t g)
{
    return horusi_ld32_acq(G2, &p->granule[g].own);
}

/* Takes the run at granule g apart; its header is ours. Bodies first, the head last. */
static void horusi_undo_run(horus_pool *p, uint32_t g, uint32_t n)
{
    for (uint32_t i = 1; i < n && g + i < p->granules; i++)
        (void)horusi_reshape(p, g + i, horusi_own(HORUSI_BODY, g), HORUSI_FREE);
    (void)horusi_reshape(p, g, horusi_own(HORUSI_HEAD, n), HORUSI_FREE);
    horusi_changed(p);
}

/* Looks, without taking anything, whether granule g could be made FREE now; *head is where its run
 * starts. */
static bool horusi_looks_free(horus_pool *p, uint32_t g, uint32_t *head)
{
    uint32_t own = horusi_shape(p, g), v = horusi_value(own);
    *head = g;
    switch (horusi_kind(own)) {
    case HORUSI_BODY:
        if (v >= g || horusi_kind(horusi_shape(p, v)) != HORUSI_HEAD)
            return false;
        *head = v;
        return horusi_has_header(p, v << p->blocks_log2) && !horusi_is_held(p, v << p->blocks_log2);
    case HORUSI_HEAD:
        return !horusi_has_header(p, g << p->blocks_log2) ||
               !horusi_is_held(p, g << p->blocks_log2);
    case HORUSI_SPLIT:
        if (v >= p->blocks_log2)
            return false;
        for (uint32_t b = 0; b < 1u << (p->blocks_log2 - v); b++)
            if (horusi_has_header(p, (g << p->blocks_log2) + b) &&
                horusi_is_held(p, (g << p->blocks_log2) + b))
                return false;
        return true;
    default:
        return true;
    }
}

/* Gives the memory of granules [g, g+n), which are ours, back to the system. In between they count
 * as neither backed nor empty. */
static void horusi_punch(horus_pool *p, uint32_t g, uint32_t n)
{
#if defined(__linux__) && !defined(HORUS_NO_OS)
    if (p->fd < 0 || p->granule_bytes % 4096 != 0 || p->data_offset % 4096 != 0)
        return;
    int fd = horusi_pool_fd(p);
    if (fd < 0)
        return;
    for (uint32_t i = g; i < g + n; i++)
        horusi_st32_rel(G1, &p->granule[i].commit, HORUSI_UNKNOWN);
    bool done = horusi_give_back(fd, p->data_offset + (uint64_t)g * p->granule_bytes,
                                 (uint64_t)n * p->granule_bytes);
    horusi_done_with(p, fd);
    if (done)
        for (uint32_t i = g; i < g + n; i++)
            horusi_st32_rel(G1, &p->granule[i].commit, HORUSI_EMPTY);
#else
    (void)p, (void)g, (void)n;
#endif
}

/* Makes granule g, and the rest of its run, FREE if nobody uses it; `punch`: its memory goes back
 * to the system. False: somebody uses it. */
static bool horusi_dissolve(horus_pool *p, uint32_t g, bool punch)
{
    uint32_t own = horusi_shape(p, g), v = horusi_value(own), first = g << p->blocks_log2;
    if (horusi_kind(own) == HORUSI_FREE)
        return true;
    if (horusi_kind(own) == HORUSI_BODY) {
        if (v >= g)
            return false;
        g = v;
        first = g << p->blocks_log2;
        own = horusi_shape(p, g);
        v = horusi_value(own);
    }
    if (horusi_kind(own) == HORUSI_HEAD) {
        if (!horusi_back_headers(p, g, 1) || !horusi_take(p, first))
            return false;
        bool same = horusi_shape(p, g) == own && v <= p->granules - g;
        for (uint32_t i = 1; punch && same && i < v; i++) /* not if a dead claimer left gaps */
            punch = horusi_shape(p, g + i) == horusi_own(HORUSI_BODY, g);
        if (same && punch)
            horusi_punch(p, g, v);
        if (same)
            horusi_undo_run(p, g, v);
        horusi_untake(p, first);
        return same;
    }
    if (horusi_kind(own) != HORUSI_SPLIT || v >= p->blocks_log2)
        return false;
    uint32_t n = 1u << (p->blocks_log2 - v), got = 0;
    if (!horusi_back_headers(p, g, n))
        return false;
    while (got < n && horusi_take(p, first + got))
        got++;
    if (got == n && punch && horusi_shape(p, g) == own)
        horusi_punch(p, g, 1);
    bool all = got == n && horusi_reshape(p, g, own, HORUSI_FREE);
    while (got > 0)
        (void)horusi_leave(p, first + --got);
    horusi_changed(p);
    return all;
}

/* Backs granules [g, g+n) by memory. *fresh: all of it is new, so zero. */
static bool horusi_back_data(horus_pool *p, uint32_t g, uint32_t n, bool *fresh)
{
    uint32_t empty = 0;
    for (uint32_t i = g; i < g + n;) {
        uint32_t k = i;
        for (uint32_t c; k < g + n; k++) {
            if ((c = horusi_ld32_acq(G2, &p->granule[k].commit)) == HORUSI_BACKED)
                break;
            empty += c == HORUSI_EMPTY;
        }
        if (k == i) {
            i++;
            continue;
        }
        if (!horusi_back(p, p->data_offset + (uint64_t)i * p->granule_bytes,
                         (uint64_t)(k - i) * p->granule_bytes))
            return false;
        for (; i < k; i++)
            horusi_st32_rel(G1, &p->granule[i].commit, HORUSI_BACKED);
    }
    *fresh = empty == n && p->fd >= 0 && p->granule_bytes % 4096 == 0 && p->data_offset % 4096 == 0;
    return true;
}

/* Claims granules [g, g+n), all FREE a moment ago, as `shape` (SPLIT for n 1, or HEAD). True: the
 * first header is ours and so is the memory. */
static bool horusi_claim(horus_pool *p, uint32_t g, uint32_t n, uint32_t shape)
{
    uint32_t first = g << p->blocks_log2, i = 1;
    if (!horusi_back_headers(p, g, 1) || !horusi_take(p, first))
        return false;
    if (!horusi_reshape(p, g, HORUSI_FREE, shape)) {
        horusi_untake(p, first);
        return false;
    }
    while (i < n && horusi_reshape(p, g + i, HORUSI_FREE, horusi_own(HORUSI_BODY, g)))
        i++;
    if (i < n) {
        horusi_undo_run(p, g, n);
        horusi_untake(p, first);
        return false;
    }
    return true;
}

/* Finds n granules in a row that are FREE, or (apart) that nobody uses, and claims them. Small
 * blocks grow from the low end, runs from the high end. */
static bool horusi_find_granules(horus_pool *p, uint32_t n, uint32_t shape, bool apart,
                                 uint32_t *at)
{
    bool up = horusi_kind(shape) == HORUSI_SPLIT;
    uint32_t run = 0;
    for (uint32_t k = 0; k < p->granules; k++) {
        uint32_t g = up ? k : p->granules - 1 - k, head;
        bool free =
            apart ? horusi_looks_free(p, g, &head) : horusi_kind(horusi_shape(p, g)) == HORUSI_FREE;
        run = free ? run + 1 : 0;
        if (run < n)
            continue;
        bool ready = true;
        for (uint32_t i = 0; apart && ready && i < n; i++)
            ready = horusi_dissolve(p, up ? g - i : g + i, false);
        if (ready && horusi_claim(p, g, n, shape)) {
            *at = g << p->blocks_log2;
            return true;
        }
        run = 0;
    }
    return false;
}

/* Finds a free block of a class, or a free run of n granules, in memory that has the shape already.
 */
static bool horusi_find_shaped(horus_pool *p, uint32_t shape, bool trust_hints, uint32_t *at)
{
    uint32_t class_ = horusi_value(shape);
    bool split = horusi_kind(shape) == HORUSI_SPLIT;
    uint32_t start = split ? horusi_ld32_rlx(hint, &p->hint[class_]) : 0;
    for (uint32_t k = 0; k < p->granules; k++) {
        uint32_t g = split ? (start + k) % p->granules : p->granules - 1 - k;
        if (horusi_shape(p, g) != shape)
            continue;
        uint32_t first = g << p->blocks_log2;
        if (!split) {
            if (!horusi_has_header(p, first) || horusi_is_held(p, first) || !horusi_take(p, first))
                continue;
            bool whole = horusi_shape(p, g) == shape && class_ <= p->granules - g;
            for (uint32_t i = 1; whole && i < class_; i++)
                whole = horusi_shape(p, g + i) == horusi_own(HORUSI_BODY, g);
            if (whole) {
                *at = first;
                return true;
            }
            horusi_untake(p, first);
            continue;
        }
        if (trust_hints && horusi_ld32_rlx(hint, &p->granule[g].full))
            continue;
        uint32_t n = 1u << (p->blocks_log2 - class_);
        if (!horusi_back_headers(p, g, n))
            return false;
        for (uint32_t b = 0; b < n; b++) {
            if (horusi_is_held(p, first + b) || !horusi_take(p, first + b))
                continue;
            if (horusi_shape(p, g) == shape) {
                horusi_st32_rlx(hint, &p->hint[class_], g);
                if (!trust_hints)
                    horusi_st32_rlx(hint, &p->granule[g].full, 0);
                *at = first + b;
                return true;
            }
            horusi_untake(p, first + b);
            break;
        }
        if (horusi_shape(p, g) == shape)
            horusi_st32_rlx(hint, &p->granule[g].full, 1);
    }
    return false;
}

/* The list of a size; NULL: there is none. */
static horusi_reuse *horusi_reuse_find(horus_pool *p, uint32_t key)
{
    horusi_reuse *u = &p->reuse[p->reuse_last];
    for (uint32_t k = 0; u->key != key; u = &p->reuse[k++])
        if (k == HORUSI_REUSE_KEYS)
            return NULL;
    p->reuse_last = (uint32_t)(u - p->reuse);
    return u;
}
/* The slots that this process used last at this size: an unchanged generation says that their
 * memory still has its shape. A busy list is skipped. *robbed: another process took one of them. */
static bool horusi_reuse_get(horus_pool *p, uint32_t key, uint32_t *at, bool *robbed)
{
    bool found = false, alone = horusi_alone_begin(&p->context->alone);
    if (!alone && !horusi_trylock(&p->reuse_lock))
        return false;
    horusi_reuse *u = horusi_reuse_find(p, key);
    if (u) {
        u->age = ++p->reuse_clock;
        for (uint32_t i = u->count; i-- > 0 && !found;) {
            uint32_t s = u->item[i].slot;
            bool same = horusi_high(horusi_ld64_acq(S2, &p->slot[s].word)) == u->item[i].generation;
            if (same && !horusi_take(p, s))
                continue; /* a reader still has it */
            /* a foreign take between the look and ours shows in the generation */
            found = same && horusi_ld32_rlx(N2, &p->rec[s].generation) == u->item[i].generation + 1;
            *robbed |= !found;
            if (same && !found)
                horusi_untake(p, s);
            u->item[i] = u->item[--u->count];
            *at = s;
        }
    }
    if (alone)
        horusi_alone_end(&p->context->alone);
    else
        horusi_st32_rel(N1, &p->reuse_lock, 0); /* nobody ever waits for it */
    return found;
}
static void horusi_reuse_put(horus_pool *p, uint32_t key, uint32_t s, uint32_t generation)
{
    bool alone = horusi_alone_begin(&p->context->alone);
    if (!alone && !horusi_trylock(&p->reuse_lock))
        return;
    horusi_reuse *u = horusi_reuse_find(p, key);
    if (horusi_rarely(!u)) {
        u = &p->reuse[0];
        for (uint32_t k = 1; k < HORUSI_REUSE_KEYS; k++)
            u = p->reuse[k].age < u->age ? &p->reuse[k] : u;
        u->key = key;
        u->count = 0;
    }
    u->age = ++p->reuse_clock;
    if (u->count == HORUSI_REUSE_SLOTS) {
        memmove(&u->item[0], &u->item[1], (HORUSI_REUSE_SLOTS - 1) * sizeof u->item[0]);
        u->count--;
    }
    u->item[u->count].slot = s;
    u->item[u->count++].generation = generation;
    /* a reader has its first line: call for it now, and the next frame's first store will not wait */
    horusi_fetch_to_write(p->data + (uint64_t)(s >> p->blocks_log2) * p->granule_bytes);
    if (alone)
        horusi_alone_end(&p->context->alone);
    else
        horusi_st32_rel(N1, &p->reuse_lock, 0);
}

/* Gives back one hold that is known to exist. */
static void horusi_release(horus_pool *p, uint32_t s)
{
    uint32_t own = horusi_ld32_rlx(N2, &p->rec[s].own);
    uint32_t generation = horusi_ld32_rlx(N2, &p->rec[s].generation);
    if (!horusi_leave(p, s))
        return;
    if (horusi_kind(own) == HORUSI_SPLIT &&
        horusi_ld32_rlx(hint, &p->granule[s >> p->blocks_log2].full))
        horusi_st32_rlx(hint, &p->granule[s >> p->blocks_log2].full, 0);
    if (own & HORUSI_MINE)
        horusi_reuse_put(p, own & ~HORUSI_MINE, s, generation);
}

/* HORUS_PROTECT: makes a held slot's pages read-only, or writable again. */
static void horusi_protect(horus_pool *p, uint32_t s, bool readonly)
{
#if defined(__linux__) && !defined(HORUS_NO_OS)
    uint64_t offset, room;
    if (!(p->flags & HORUS_PROTECT))
        return;
    room = horusi_slot_room(p, s, horusi_ld32_rlx(N2, &p->rec[s].own) & ~HORUSI_MINE, &offset);
    if (room % 4096 == 0)
        (void)mprotect(p->data + offset, (size_t)room,
                       readonly ? PROT_READ : PROT_READ | PROT_WRITE);
#else
    (void)p, (void)s, (void)readonly;
#endif
}

/* Frees memory for an allocation that would fail otherwise; see >>repair. */
static bool horusi_make_room(horus_pool *p, horusi_out *caller, uint32_t round);
static horus_result horusi_pool_full(horus_pool *p, uint64_t bytes, bool backed);

/* Takes a slot of at least `bytes`. `caller` is the ring in whose send this happens, or NULL. */
static horus_result horusi_alloc(horus_pool *p, uint64_t bytes, bool zero, horusi_out *caller,
                                 uint32_t *out, void **data)
{
    uint64_t data_bytes = (uint64_t)p->granules * p->granule_bytes, offset;
    if (bytes == 0 || bytes > data_bytes)
        return horusi_fail(HORUS_E_SIZE, "pool %s: %llu bytes asked for, its data area has %llu",
                           p->name[0] ? p->name : "default", (unsigned long long)bytes,
                           (unsigned long long)data_bytes);
    uint32_t class_ = 0, n = 1;
    if ((p->flags & HORUS_PROTECT) && bytes < 4096) /* no page shared with another slot */
        class_ = horusi_log2(4096) - horusi_log2(p->block_bytes) < p->blocks_log2
                     ? horusi_log2(4096) - horusi_log2(p->block_bytes)
                     : p->blocks_log2;
    if (bytes > p->granule_bytes / 2)
        class_ = p->blocks_log2;
    while (class_ < p->blocks_log2 && (uint64_t)p->block_bytes << class_ < bytes)
        class_++;
    if (class_ == p->blocks_log2)
        n = (uint32_t)((bytes + p->granule_bytes - 1) >> p->granule_log2);
    bool split = class_ < p->blocks_log2;
    uint32_t shape = split ? horusi_own(HORUSI_SPLIT, class_) : horusi_own(HORUSI_HEAD, n);
    uint32_t s = 0, passes = 0, round = 0;
    bool fresh = false, known = false, robbed = false;
    horusi_slot *h;
    for (;;) {
        uint32_t changes = horusi_ld32_acq(G2, &p->header->changes);
        known =
            horusi_reuse_get(p, shape, &s, &robbed); /* its memory is where it was, and backed */
        /* processes that rob each other of the one free slot make another, once */
        if (known || (robbed && horusi_find_granules(p, n, shape, false, &s)) ||
            horusi_find_shaped(p, shape, true, &s) ||
            horusi_find_granules(p, n, shape, false, &s) ||
            (split && horusi_find_shaped(p, shape, false, &s)) ||
            horusi_find_granules(p, n, shape, true, &s))
            break;
        /* full: but not for good if somebody took and gave back meanwhile */
        if (horusi_ld32_acq(G2, &p->header->changes) != changes && ++passes < 64)
            continue;
        if (!horusi_make_room(p, caller, round++))
            return horusi_pool_full(p, bytes, true);
    }
    uint32_t own = horusi_shape(p, s >> p->blocks_log2) & ~HORUSI_MINE;
    if (!known && !horusi_back_data(p, s >> p->blocks_log2, n, &fresh)) {
        horusi_untake(p, s);
        return horusi_pool_full(p, bytes, false);
    }
    uint64_t room = horusi_slot_room(p, s, own, &offset);
    if (room < bytes) {
        horusi_untake(p, s);
        return horusi_fail(HORUS_E_CORRUPT, "the pool's map contradicts itself at slot %u",
                           (unsigned)s);
    }
    horusi_st32_rlx(N1, &p->rec[s].own, own | HORUSI_MINE);
    horusi_protect(p, s, false);
    h = &p->slot[s];
    horusi_st64_rlx(own, &h->bytes, bytes);
    horusi_st64_rlx(own, &h->time_ns, 0);
    horusi_st32_rlx(own, &h->flags, 0);
    horusi_st64_rlx(own, &h->frame_id[0], 0); /* the rest is zeroed when an id is set */
    if (zero && (split || !fresh))
        memset(p->data + offset, 0, (size_t)bytes);
    *out = s;
    *data = p->data + offset;
    return HORUS_OK;
}

/* ------------------------------------------------------------------------------------ >>rings
 *
 * How topics and rings lie in their slots, and how one gets hold of them. */

/* A word of a lane or sub: whose, and what state. */
static uint64_t horusi_owner(uint32_t incarnation, uint32_t row, uint32_t state)
{
    return horusi_pair(incarnation, row << 16 | state);
}
static uint32_t horusi_owner_row(uint64_t w) { return horusi_low(w) >> 16; }
static uint32_t horusi_owner_state(uint64_t w) { return horusi_low(w) & 0xffff; }
/* True while the row is live in that incarnation. */
static bool horusi_is_live(horus_pool *primary, uint64_t owner)
{
    uint32_t row = horusi_owner_row(owner);
    return row < primary->row_count && horusi_ld64_acq(R2, &primary->rows[row].word) ==
                                           horusi_pair(horusi_high(owner), HORUSI_ROW_LIVE);
}

static uint64_t horusi_topic_bytes(uint32_t max_lanes, uint32_t max_subs)
{
    return sizeof(horusi_topic) + (uint64_t)max_lanes * sizeof(horusi_lane) +
           (uint64_t)max_subs * sizeof(horusi_sub);
}
static horusi_lane *horusi_lanes(horusi_topic *t) { return (horusi_lane *)(void *)(t + 1); }
static horusi_sub *horusi_subs(horusi_topic *t, uint32_t max_lanes)
{
    return (horusi_sub *)(void *)(horusi_lanes(t) + max_lanes);
}

/* The bytes of a held slot: what its granule said, and was checked, when it was taken. */
HORUSI_HOT void *horusi_at(horus_pool *p, uint32_t s, uint64_t *room)
{
    uint64_t offset;
    *room = horusi_slot_room(p, s, horusi_ld32_rlx(N2, &p->rec[s].own) & ~HORUSI_MINE, &offset);
    return p->data + offset;
}

/* A held topic, its sizes checked; NULL if this is none. */
static horusi_topic *horusi_topic_at(horus_pool *p, uint32_t s, uint32_t *max_lanes,
                                     uint32_t *max_subs)
{
    uint64_t room;
    horusi_topic *t = (horusi_topic *)horusi_at(p, s, &room);
    if (room < sizeof *t || t->magic != HORUSI_TOPIC_MAGIC)
        return NULL;
    /* atomic loads, here and elsewhere: each is one, and what was checked is what is used */
    uint32_t lanes = horusi_ld32_rlx(L2, &t->max_lanes), subs = horusi_ld32_rlx(L2, &t->max_subs);
    uint32_t message_bytes = horusi_ld32_rlx(L2, &t->message_bytes);
    if (lanes == 0 || lanes > 4096 || subs == 0 || subs > 4096 ||
        horusi_topic_bytes(lanes, subs) > room || message_bytes < 40 ||
        message_bytes > HORUS_MAX_INLINE)
        return NULL;
    *max_lanes = lanes;
    *max_subs = subs;
    return t;
}

/* A directory word: final:1 | hash:15 | generation:24 | slot:24. */
static uint64_t horusi_dir_word(bool final, uint32_t hash, uint32_t generation, uint32_t slot)
{
    return (uint64_t) final << 63 | (uint64_t)(hash & 0x7fff) << 48 |
           (uint64_t)(generation & 0xffffff) << 24 | (slot & 0xffffff);
}
/* Holds the topic that a directory word names. */
static bool horusi_dir_acquire(horus_pool *p, uint64_t word, uint32_t *slot)
{
    *slot = (uint32_t)(word & 0xffffff);
    if (!horusi_has_header(p, *slot))
        return false;
    uint32_t g = horusi_high(horusi_ld64_acq(S2, &p->slot[*slot].word));
    if ((g & 0xffffff) != (uint32_t)(word >> 24 & 0xffffff) || !horusi_acquire(p, *slot, g))
        return false;
    horusi_protect(p, *slot, false);
    return true;
}

/* Ends a topic that nobody but us holds: moves its generation on, so that no one can find it. */
static void horusi_seal(horus_pool *p, uint32_t s, uint64_t dir_word, horusi_a64 *dir)
{
    horusi_rec *r = &p->rec[s];
    uint64_t w = horusi_ld64_acq(S2, &p->slot[s].word), others = 0;
    for (uint32_t i = 0; i < HORUSI_MASKS; i++)
        others |= horusi_ld64_acq(S4, &p->slot[s].holders[i]) &
                  (i == p->context->mask_word ? ~p->context->mask_bit : UINT64_MAX);
    if (others)
        return;
    bool alone = horusi_alone_begin(&p->context->alone);
    if (!alone && !horusi_trylock(&r->lock))
        return;
    bool sealed = horusi_ld32_rlx(N2, &r->count) == 1 &&
                  horusi_cas64_acqrel(S1, &p->slot[s].word, &w,
                                      horusi_pair(horusi_high(w) + 1, horusi_low(w) + 1));
    if (sealed)
        horusi_st32_rlx(N1, &r->generation, horusi_high(w) + 1);
    if (alone)
        horusi_alone_end(&p->context->alone);
    else
        horusi_unlock(&r->lock);
    if (sealed && dir)
        (void)horusi_cas64_seq(D, dir, &dir_word, 0);
}
/* Lets go of a topic that was looked at; if its last handle was closed meanwhile, it ends here. */
static void horusi_dir_release(horus_pool *p, horusi_a64 *dir, uint64_t word, uint32_t slot)
{
    horusi_seal(p, slot, word, dir);
    horusi_release(p, slot);
}

/* A ring's memory: entries, cursors, claims. */
typedef struct horusi_ring {
    uint8_t *entries;
    horusi_a64 *cursors, *claims;
    uint32_t capacity, stride;
    uint32_t slot, generation;
} horusi_ring;
static uint32_t horusi_stride(uint32_t message_bytes)
{
    return (uint32_t)horusi_round(HORUSI_ENTRY_HEAD + (uint64_t)message_bytes, 64);
}
static uint64_t horusi_ring_bytes(uint32_t policy, uint32_t capacity, uint32_t stride,
                                  uint32_t subs)
{
    return (uint64_t)capacity * stride + (policy == HORUS_RELIABLE ? (uint64_t)subs * 8 : 0) +
           (policy == HORUS_QUEUE ? (uint64_t)capacity * 8 : 0);
}
/* Lays a held slot out as a ring. False: it cannot be one. */
static bool horusi_ring_at(horus_pool *p, uint32_t s, uint32_t policy, uint32_t capacity,
                           uint32_t stride, uint32_t subs, horusi_ring *r)
{
    uint64_t room;
    r->entries = (uint8_t *)horusi_at(p, s, &room);
    if (capacity == 0 || horusi_ring_bytes(policy, capacity, stride, subs) > room)
        return false;
    uint8_t *rest = r->entries + (uint64_t)capacity * stride;
    r->cursors = policy == HORUS_RELIABLE ? (horusi_a64 *)(void *)rest : NULL;
    r->claims = policy == HORUS_QUEUE ? (horusi_a64 *)(void *)rest : NULL;
    r->capacity = capacity;
    r->stride = stride;
    return true;
}
/* Holds the ring of a lane. */
static bool horusi_ring_acquire(horus_pool *p, horusi_topic *t, uint32_t max_subs,
                                horusi_lane *lane, horusi_ring *r)
{
    uint64_t ref = horusi_ld64_acq(L2, &lane->ring);
    r->slot = horusi_high(ref);
    r->generation = horusi_low(ref);
    uint32_t message_bytes = horusi_ld32_rlx(L2, &t->message_bytes);
    if (message_bytes > HORUS_MAX_INLINE || !horusi_acquire(p, r->slot, r->generation))
        return false;
    /* the ring once more, after its capacity: that of a later one comes after the ring's number went */
    uint32_t capacity = horusi_ld32_acq(L2, &lane->capacity);
    if (horusi_ld64_acq(L2, &lane->ring) == ref &&
        horusi_ring_at(p, r->slot, horusi_ld32_acq(L2, &t->policy), capacity,
                       horusi_stride(message_bytes), max_subs, r)) {
        horusi_protect(p, r->slot, false);
        return true;
    }
    horusi_release(p, r->slot);
    return false;
}
HORUSI_HOT horusi_entry *horusi_entry_at(uint8_t *entries, uint32_t stride, uint32_t index)
{
    return (horusi_entry *)(void *)(entries + (uint64_t)index * stride);
}

/* The newest message that was ever in a ring: entries tell it also after a death in mid-send. */
static uint64_t horusi_ring_newest(const horusi_ring *r)
{
    uint64_t newest = 0;
    for (uint32_t i = 0; i < r->capacity; i++) {
        uint64_t seq = horusi_ld64_acq(C1, &horusi_entry_at(r->entries, r->stride, i)->seq);
        newest = seq / 2 > newest ? seq / 2 : newest;
    }
    return newest;
}

/* Frees a lane whose word is w: our own, or of a dead row whose lock we have. Readers who never saw
 * its ring count its messages as lost, once, however often this is cut short and begun again. */
static void horusi_lane_end(horusi_topic *t, horusi_lane *lane, uint64_t w, uint64_t newest)
{
    uint64_t ending = horusi_owner(horusi_high(w), horusi_owner_row(w), HORUSI_LANE_ENDING);
    if (w != ending) {
        horusi_st64_rlx(L1, &lane->ending, horusi_ld64_rlx(L2, &lane->ended) + newest);
        if (!horusi_cas64_acqrel(L1, &lane->word, &w, ending))
            return;
    }
    horusi_st64_rel(L1, &lane->ended, horusi_ld64_rlx(L2, &lane->ending));
    (void)horusi_add32_acqrel(L1, &t->version, 1);
    (void)horusi_cas64_acqrel(L1, &lane->word, &ending, 0);
}

/* Copies a payload out of an entry, by atomic words; eight to a round. */
HORUSI_HOT void horusi_word_get(horusi_aword *from, uint8_t *to)
{
    horusi_word w = horusi_ldw_acq(C2, from);
    memcpy(to, &w, sizeof w);
}
HORUSI_HOT void horusi_payload_get(const horusi_entry *e, void *out, uint32_t bytes)
{
    enum { W = sizeof(horusi_word) };
    horusi_aword *from = (horusi_aword *)(uintptr_t)(e + 1);
    uint8_t *to = (uint8_t *)out;
    for (uint32_t rounds = bytes / (8 * W); rounds > 0; rounds--, from += 8, to += 8 * W) {
        horusi_word_get(from, to);
        horusi_word_get(from + 1, to + W);
        horusi_word_get(from + 2, to + 2 * W);
        horusi_word_get(from + 3, to + 3 * W);
        horusi_word_get(from + 4, to + 4 * W);
        horusi_word_get(from + 5, to + 5 * W);
        horusi_word_get(from + 6, to + 6 * W);
        horusi_word_get(from + 7, to + 7 * W);
    }
    for (bytes %= 8 * W; bytes >= W; bytes -= W, from++, to += W)
        horusi_word_get(from, to);
    if (bytes) {
        horusi_word w = horusi_ldw_acq(C2, from);
        memcpy(to, &w, bytes);
    }
}
HORUSI_HOT void horusi_word_put(horusi_aword *to, const uint8_t *from)
{
    horusi_word w;
    memcpy(&w, from, sizeof w);
    horusi_stw_rel(P2, to, w);
}
HORUSI_HOT void horusi_payload_put(horusi_entry *e, const void *in, uint32_t bytes)
{
    enum { W = sizeof(horusi_word) };
    horusi_aword *to = (horusi_aword *)(void *)(e + 1);
    const uint8_t *from = (const uint8_t *)in;
    for (uint32_t rounds = bytes / (8 * W); rounds > 0; rounds--, to += 8, from += 8 * W) {
        horusi_word_put(to, from);
        horusi_word_put(to + 1, from + W);
        horusi_word_put(to + 2, from + 2 * W);
        horusi_word_put(to + 3, from + 3 * W);
        horusi_word_put(to + 4, from + 4 * W);
        horusi_word_put(to + 5, from + 5 * W);
        horusi_word_put(to + 6, from + 6 * W);
        horusi_word_put(to + 7, from + 7 * W);
    }
    for (bytes %= 8 * W; bytes >= W; bytes -= W, to++, from += W)
        horusi_word_put(to, from);
    if (bytes) {
        horusi_word w = 0;
        memcpy(&w, from, bytes);
        horusi_stw_rel(P2, to, w);
    }
}

/* Rings the doorbells of the rows whose bits are set. */
static void horusi_ring_rows(horus_context *c, horusi_a64 *mask)
{
    for (uint32_t i = 0; i < HORUSI_MASKS; i++) {
        uint64_t rows = horusi_ld64_seq(W, &mask[i]);
        if (rows == 0)
            continue;
        rows = horusi_xchg64_seq(W, &mask[i], 0);
        for (; rows; rows &= rows - 1) {
            uint32_t row = i * 64 + horusi_log2(rows & (~rows + 1));
            if (row >= c->pool->row_count)
                break;
            horusi_row *r = &c->pool->rows[row];
            (void)horusi_add32_acqrel(W, &r->doorbell, 1);
            if (horusi_ld32_rlx(W, &r->sleepers)) /* we have seen the bit, so the count */
                horusi_wake(&r->doorbell);
        }
    }
}

static uint64_t horusi_claim_word(uint64_t n, uint32_t incarnation, uint32_t row, uint32_t state)
{
    return (n & 0xffffff) << 40 | (uint64_t)(incarnation & 0xffffff) << 16 | row << 8 | state;
}
static uint32_t horusi_claim_state(uint64_t w) { return (uint32_t)(w & 0xff); }
static bool horusi_claim_is(uint64_t w, uint64_t n) { return (w >> 40) == (n & 0xffffff); }
/* Queue: messages that nobody has claimed, or that were given back. */
static uint64_t horusi_ring_unclaimed(const horusi_ring *r)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < r->capacity; i++) {
        uint64_t seq = horusi_ld64_acq(C1, &horusi_entry_at(r->entries, r->stride, i)->seq);
        uint64_t w = horusi_ld64_acq(K2, &r->claims[i]);
        uint32_t state = horusi_claim_state(w);
        n += seq % 2 == 0 && seq > 0 && horusi_claim_is(w, seq / 2) &&
             (state == HORUSI_CLAIM_READY || state == HORUSI_CLAIM_AGAIN);
    }
    return n;
}

/* ------------------------------------------------------------------------------------ >>repair
 *
 * What a process held when it died is given back by whoever looks next: whoever joins, allocates
 * from a full pool, waits, or asks. Dead means that its row's byte is not locked. The sweeper takes
 * that lock itself, marks the row dead (from then on nothing of that incarnation counts),
 * recomputes what the row's rings still refer to, clears all its other bits, and lets go. Killed at
 * any point, it leaves a row that the next sweeper sweeps again. */

enum { HORUSI_DROP_OLD = 1, HORUSI_DROP_VICTIM = 2, HORUSI_DROP_TOPIC = 3, HORUSI_DROP_ALL = 4 };

static horus_pool *horusi_next(horus_pool *p) { return horusi_ldp_acq(N2, &p->next); }
static horus_pool *horusi_pool_find(horus_context *c, uint32_t id)
{
    horusi_lock(&c->lock);
    horus_pool *p = c->pools;
    while (p && p->id != id)
        p = horusi_next(p);
    horusi_unlock(&c->lock);
    return p;
}
static horus_result horusi_attach_all(horus_context *c); /* see >>join */

#if defined(__linux__) && !defined(HORUS_NO_OS)
static uint32_t horusi_claim_row(uint64_t w) { return (uint32_t)(w >> 8 & 0xff); }
static void horusi_mark(horus_pool *p, uint32_t s) { p->marks[s >> 5] |= 1u << (s & 31); }
static bool horusi_is_marked(const horus_pool *p, uint32_t s)
{
    return p->marks[s >> 5] >> (s & 31) & 1;
}
#endif

/* Reads the descriptor of an entry that should hold message n. True: it refers to a frame. */
static bool horusi_entry_frame(const horusi_entry *e, uint64_t n, horusi_wire *wire)
{
    horusi_entry *w = (horusi_entry *)(uintptr_t)e;
    if (horusi_ld64_acq(C1, &w->seq) != 2 * n || n == 0)
        return false;
    uint32_t size = horusi_ld32_acq(C2, &w->size);
    if ((size >> 24) == HORUS_KIND_MESSAGE || (size & 0xffffff) < sizeof *wire)
        return false;
    horusi_payload_get(e, wire, sizeof *wire);
    return horusi_ld64_rlx(C2, &w->seq) == 2 * n;
}

/* True if nobody who counts still needs what this ring holds: the topic has since carried
 * `capacity` newer messages, every live reliable reader is past it, every queued message is done. */
static bool horusi_superseded(horus_pool *p, horusi_topic *t, uint32_t max_lanes, uint32_t max_subs,
                              uint32_t index, const horusi_ring *ring)
{
    horusi_lane *lane = &horusi_lanes(t)[index];
    uint64_t head = horusi_ld64_acq(L2, &lane->head), newer = 0;
    uint64_t last = horusi_ld64_rlx(L2, &lane->last);
    if (ring->claims) {
        for (uint32_t i = 0; i < ring->capacity; i++) {
            uint64_t claim = horusi_ld64_acq(K2, &ring->claims[i]);
            uint64_t seq =
                horusi_ld64_acq(C1, &horusi_entry_at(ring->entries, ring->stride, i)->seq);
            if (seq != 0 && seq % 2 == 0 && horusi_claim_is(claim, seq / 2) &&
                horusi_claim_state(claim) != HORUSI_CLAIM_DONE)
                return false; /* if seq is odd its publisher died before it was sent */
        }
        return true;
    }
    if (ring->cursors) {
        horusi_sub *subs = horusi_subs(t, max_lanes);
        for (uint32_t i = 0; i < max_subs; i++) {
            uint64_t w = horusi_ld64_acq(K2, &subs[i].word);
            if (horusi_owner_state(w) == HORUSI_SUB_ACTIVE && horusi_is_live(p, w) &&
                horusi_ld64_acq(K2, &ring->cursors[i]) <= head)
                return false;
        }
    }
    uint64_t goal = head > 0 ? ring->capacity : 0;
    for (uint32_t i = 0; i < max_lanes && newer < goal; i++) {
        horusi_lane *other = &horusi_lanes(t)[i];
        horusi_ring r;
        if (i == index ||
            horusi_owner_state(horusi_ld64_acq(L2, &other->word)) < HORUSI_LANE_LIVE ||
            horusi_ld64_rlx(L2, &other->last) <= last ||
            !horusi_ring_acquire(p, t, max_subs, other, &r))
            continue;
        uint64_t top = horusi_ld64_acq(L2, &other->head);
        uint64_t all = top < r.capacity ? top : r.capacity, low = 0, high = all;
        while (low < high) { /* the first that is newer: stamps of a lane only grow */
            uint64_t mid = (low + high) / 2;
            uint32_t at = (uint32_t)((top - all + mid) % r.capacity);
            if (horusi_ld64_acq(C2, &horusi_entry_at(r.entries, r.stride, at)->stamp) > last)
                high = mid;
            else
                low = mid + 1;
        }
        newer += all - low;
        horusi_release(p, r.slot);
    }
    return newer >= goal;
}

#if defined(__linux__) && !defined(HORUS_NO_OS)
/* A publisher that died in mid-send may have published a message and not yet counted it: say so in
 * its place, or else the message would be dropped with the ring while some have it already. */
static void horusi_lane_mend(horusi_lane *lane, const horusi_ring *ring)
{
    uint64_t n = horusi_ld64_acq(L2, &lane->head) + 1;
    horusi_entry *e =
        horusi_entry_at(ring->entries, ring->stride, (uint32_t)((n - 1) % ring->capacity));
    if (n == 0 || horusi_ld64_acq(C1, &e->seq) != 2 * n)
        return;
    horusi_st64_rlx(L1, &lane->last, horusi_ld64_rlx(C2, &e->stamp));
    horusi_st64_rel(L1, &lane->head, n);
}

/* Sees to one topic on behalf of dead row `row`: its handles end, its claims go back, its rings
 * stay (marked) or go. True if something stays. */
static bool horusi_reclaim_topic(horus_context *c, uint32_t s, uint32_t row, int drop)
{
    horus_pool *p = c->pool;
    uint32_t max_lanes, max_subs;
    bool stays = false;
    horusi_topic *t = horusi_topic_at(p, s, &max_lanes, &max_subs);
    if (!t)
        return false;
    horusi_sub *subs = horusi_subs(t, max_lanes);
    for (uint32_t i = 0; i < max_subs; i++) {
        uint64_t w = horusi_ld64_acq(K2, &subs[i].word);
        if (w != 0 && horusi_owner_row(w) == row)
            (void)horusi_cas64_seq(W, &subs[i].word, &w, 0); /* before we look for who waits */
    }
    for (uint32_t i = 0; i < max_lanes; i++) {
        horusi_lane *lane = &horusi_lanes(t)[i];
        uint64_t w = horusi_ld64_acq(L2, &lane->word);
        uint32_t state = horusi_owner_state(w);
        if (state == HORUSI_LANE_FREE)
            continue;
        horusi_ring ring = {0};
        bool have = state >= HORUSI_LANE_LIVE && horusi_ring_acquire(p, t, max_subs, lane, &ring);
        if (have && ring.claims) { /* what the dead row had claimed, in anybody's ring */
            bool drop_claims = horusi_ld32_acq(L2, &t->flags) & HORUS_AT_MOST_ONCE, back = false;
            for (uint32_t k = 0; k < ring.capacity; k++) {
                uint64_t claim = horusi_ld64_acq(K2, &ring.claims[k]);
                if (horusi_claim_row(claim) != row)
                    continue;
                /* given back by somebody who died before he could say so */
                back |= horusi_claim_state(claim) == HORUSI_CLAIM_AGAIN ||
                        horusi_claim_state(claim) == HORUSI_CLAIM_READY;
                if (horusi_claim_state(claim) == HORUSI_CLAIM_TAKEN)
                    back |= horusi_cas64_seq(
                        W, &ring.claims[k], &claim,
                        (claim & ~(uint64_t)0xff) |
                            (drop_claims ? HORUSI_CLAIM_DONE : HORUSI_CLAIM_AGAIN));
            }
            if (back)
                (void)horusi_add32_seq(W, &t->redeliver, 1);
        }
        if (horusi_owner_row(w) == row) {
            if (have)
                horusi_lane_mend(lane, &ring);
            bool keep = have && horusi_ld64_acq(L2, &lane->head) > 0 && drop != HORUSI_DROP_ALL &&
                        !(drop == HORUSI_DROP_VICTIM && lane == c->victim) &&
                        !(drop == HORUSI_DROP_TOPIC && s == c->victim_topic) &&
                        !(drop == HORUSI_DROP_OLD &&
                          horusi_superseded(p, t, max_lanes, max_subs, i, &ring));
            if (keep) {
                (void)horusi_cas64_acqrel(L1, &lane->word, &w,
                                          horusi_owner(horusi_high(w), row, HORUSI_LANE_ORPHAN));
                stays = true;
                horusi_mark(p, s);
                horusi_mark(p, ring.slot);
                for (uint32_t k = 0; k < ring.capacity; k++) {
                    horusi_entry *e = horusi_entry_at(ring.entries, ring.stride, k);
                    horusi_wire wire;
                    if (!horusi_entry_frame(e, horusi_ld64_acq(C1, &e->seq) / 2, &wire))
                        continue;
                    if (ring.claims && horusi_claim_state(horusi_ld64_acq(K2, &ring.claims[k])) ==
                                           HORUSI_CLAIM_DONE)
                        continue;
                    horus_pool *q = horusi_pool_find(c, wire.pool_id);
                    if (q && horusi_has_header(q, wire.slot) &&
                        horusi_high(horusi_ld64_acq(S2, &q->slot[wire.slot].word)) ==
                            wire.generation)
                        horusi_mark(q, wire.slot);
                }
            } else {
                uint64_t newest = have ? horusi_ring_newest(&ring) : 0;
                horusi_lane_end(t, lane, w, newest);
            }
        }
        if (have)
            horusi_release(p, ring.slot);
    }
    horusi_ring_rows(c, t->sleepers); /* whoever waits looks at the world anew */
    horusi_ring_rows(c, t->waiters);
    return stays;
}

#endif

#if defined(__linux__) && !defined(HORUS_NO_OS)
/* Everything of a dead row but what its rings still offer. Its lock is ours. */
static horus_result horusi_reclaim(horus_context *c, uint32_t row, int drop)
{
    horus_pool *primary = c->pool;
    horus_result result = horusi_attach_all(c);
    bool stays = false;
    uint64_t bit = (uint64_t)1 << (row & 63);
    horus_pool *rest =
        horusi_next(primary); /* not those that are opened meanwhile: they come first */
    for (horus_pool *p = primary; p; p = p == primary ? rest : horusi_next(p))
        memset(p->marks, 0, ((size_t)p->slots + 31) / 32 * sizeof *p->marks);
    for (uint32_t i = 0; i < primary->max_topics; i++) {
        uint64_t w = horusi_ld64_seq(D, &primary->directory[i]);
        uint32_t s;
        if (w == 0)
            continue;
        if (!horusi_dir_acquire(primary, w, &s)) {
            (void)horusi_cas64_seq(D, &primary->directory[i], &w, 0); /* a topic that is over */
            continue;
        }
        stays |= horusi_reclaim_topic(c, s, row, drop);
        horusi_release(primary, s);
    }
    for (horus_pool *p = primary; p; p = p == primary ? rest : horusi_next(p))
        for (uint32_t g = 0; g < p->granules; g++) {
            uint32_t used = horusi_ld32_acq(G2, &p->granule[g].used);
            for (uint32_t b = 0; b < used && b < 1u << p->blocks_log2; b++) {
                uint32_t s = (g << p->blocks_log2) + b;
                horusi_a64 *mask = &p->slot[s].holders[row / 64];
                if ((horusi_ld64_rlx(S4, mask) & bit) && !horusi_is_marked(p, s)) {
                    (void)horusi_and64_rel(S3, mask, ~bit);
                    horusi_st32_rlx(hint, &p->granule[g].full, 0);
                }
            }
        }
    for (uint32_t i = 0; i < primary->max_topics;
         i++) { /* topics that this leaves without a holder */
        uint64_t w = horusi_ld64_seq(D, &primary->directory[i]);
        uint32_t s;
        if (w != 0 && horusi_dir_acquire(primary, w, &s)) {
            horusi_dir_release(primary, &primary->directory[i], w, s);
        }
    }
    horusi_changed(primary);
    if (result == HORUS_OK && !stays)
        horusi_st64_rel(R1, &primary->rows[row].word,
                        horusi_pair(horusi_high(horusi_ld64_rlx(R2, &primary->rows[row].word)),
                                    HORUSI_ROW_FREE));
    return result;
}

/* What a description locks stays locked for as long as a page is mapped through it. So that nothing
 * else keeps it, above all no child, its descriptor is closed again before this process may fork. */
static horusi_a32 horusi_fork_lock; /* held while such a descriptor is open, and by fork() */
static void *horusi_keep_locks(int fd)
{
    void *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    int e = page == MAP_FAILED || madvise(page, 4096, MADV_DONTFORK) != 0 ? errno : 0;
    if (e != 0 && page != MAP_FAILED)
        munmap(page, 4096);
    errno = e;
    return e == 0 ? page : NULL;
}
static void horusi_drop_locks(void *locks)
{
    if (locks)
        munmap(locks, 4096);
}
/* Locks a byte of the namespace's file until horusi_drop_locks(). NULL: errno says why; EBUSY:
 * another has it, EAGAIN: another thread has been forking for too long. */
static void *horusi_hold(horus_context *c, uint32_t byte)
{
    horus_pool *p = c->pool;
    void *held = NULL;
    sigset_t signals;
    horusi_block_signals(&signals);
    while (!horusi_trylock(&horusi_fork_lock)) {
        if (horusi_swept.waits++ >= 2000) { /* some 100 ms; or this is a handler within fork() */
            horusi_restore_signals(&signals);
            errno = EAGAIN;
            return NULL;
        }
        horusi_give_way(horusi_swept.waits);
    }
    int kept = horusi_pool_fd(p), e = 0;
    int fd = kept < 0 ? -1 : horusi_reopen(&c->files, kept, p->dev, p->ino);
    if (fd >= 0 && horusi_lock_byte(fd, F_WRLCK, byte) != 0)
        e = errno == EAGAIN || errno == EACCES ? EBUSY : errno;
    else if (fd < 0 || !(held = horusi_keep_locks(fd)))
        e = errno;
    if (fd >= 0)
        close(fd);
    horusi_done_with(p, kept);
    horusi_unlock(&horusi_fork_lock);
    horusi_restore_signals(&signals);
    errno = e;
    return held;
}

/* Marks a row dead; its lock is ours. */
static void horusi_mark_dead(horus_context *c, uint32_t row)
{
    horusi_a64 *word = &c->pool->rows[row].word;
    uint64_t w = horusi_ld64_acq(R2, word);
    if (horusi_low(w) == HORUSI_ROW_LIVE)
        horusi_st64_rel(R1, word, horusi_pair(horusi_high(w), HORUSI_ROW_DEAD));
}

#endif

/* True if the row's process is gone (or left, with messages lingering). errno is 0, or says why it
 * cannot be told. */
static bool horusi_row_is_dead(horus_context *c, uint32_t row)
{
#if defined(__linux__) && !defined(HORUS_NO_OS)
    errno = 0;
    if (c->pool->fd < 0 || row == c->row ||
        horusi_low(horusi_ld64_acq(R2, &c->pool->rows[row].word)) == HORUSI_ROW_FREE)
        return false;
    int fd = horusi_pool_fd(c->pool);
    bool dead = fd >= 0 && !horusi_is_locked(fd, row, 1);
    horusi_done_with(c->pool, fd);
    return dead;
#else
    (void)c, (void)row;
    return false;
#endif
}

/* Sweeps one dead row. False: it was not dead, or another sweeper has it. */
static bool horusi_sweep_row(horus_context *c, uint32_t row, int drop)
{
#if defined(__linux__) && !defined(HORUS_NO_OS)
    void *lock = NULL;
    if (!horusi_row_is_dead(c, row) || !(lock = horusi_hold(c, row))) {
        if (errno != 0 && errno != EBUSY) /* or another sweeper has it */
            horusi_swept.error = errno;
        return false;
    }
    horusi_mark_dead(c, row);
    horus_result r = horusi_reclaim(c, row, drop);
    horusi_swept.result = r != HORUS_OK ? r : horusi_swept.result;
    horusi_drop_locks(lock);
    return true;
#else
    (void)c, (void)row, (void)drop;
    return false;
#endif
}

/* Sweeps every dead row; one thread of a process at a time. Returns how many were swept. */
static uint32_t horusi_sweep_for(horus_context *c, int drop, uint32_t topic)
{
    uint32_t n = 0;
    if (!horusi_trylock(&c->sweeping))
        return 0;
    c->victim_topic = topic;
    horusi_swept.error = 0;
    horusi_swept.waits = 0;
    horusi_swept.result = HORUS_OK;
    for (uint32_t row = 0; row < HORUSI_ROWS; row++)
        n += horusi_sweep_row(c, row, drop);
    horusi_st32_rel(N1, &c->sweeping, 0);
    return n;
}
static uint32_t horusi_sweep(horus_context *c, int drop) { return horusi_sweep_for(c, drop, 0); }

/* Whether giving up a ring could make room in pool p: rings lie in the primary, and a small one may
 * stand in the way of a large run. */
static bool horusi_may_help(const horus_pool *p, uint32_t frames)
{
    return frames > 0 || p->id == 0;
}

/* Drops the ring of a dead publisher that serves the least: overwrite before the others, then by
 * the age of its newest message. False: there is none that would help. */
static bool horusi_drop_orphan(horus_pool *q, bool overwrite_only)
{
    horus_context *c = q->context;
    horus_pool *p = c->pool;
    uint64_t oldest = UINT64_MAX;
    uint32_t row = HORUSI_ROWS;
    if (!horusi_trylock(&c->sweeping))
        return false;
    for (uint32_t i = 0; i < p->max_topics; i++) {
        uint64_t w = horusi_ld64_seq(D, &p->directory[i]);
        uint32_t s, max_lanes, max_subs;
        if (w == 0 || !horusi_dir_acquire(p, w, &s))
            continue;
        horusi_topic *t = horusi_topic_at(p, s, &max_lanes, &max_subs);
        uint32_t policy = t ? horusi_ld32_acq(L2, &t->policy) : 0;
        for (uint32_t k = 0; t && k < max_lanes; k++) {
            horusi_lane *lane = &horusi_lanes(t)[k];
            uint64_t owner = horusi_ld64_acq(L2, &lane->word);
            uint64_t last = horusi_ld64_rlx(L2, &lane->last) | (uint64_t)(policy != HORUS_OVERWRITE)
                                                                   << 63;
            if (horusi_owner_state(owner) == HORUSI_LANE_ORPHAN && last < oldest &&
                horusi_owner_row(owner) < p->row_count &&
                (policy == HORUS_OVERWRITE || !overwrite_only) &&
                horusi_may_help(q, horusi_ld32_rlx(L2, &lane->frames))) {
                oldest = last;
                row = horusi_owner_row(owner);
                c->victim = lane;
            }
        }
        horusi_dir_release(p, &p->directory[i], w, s);
    }
    bool done = row < HORUSI_ROWS && horusi_sweep_row(c, row, HORUSI_DROP_VICTIM);
    horusi_st32_rel(N1, &c->sweeping, 0);
    return done;
}

/* ---- a process's own rings */

/* Messages before o->room need no look for place, as far as is known: see horusi_send_plain(). */
static void horusi_out_room(horusi_out *o)
{
    o->room = o->frames > 0                  ? 0
              : o->policy == HORUS_OVERWRITE ? UINT64_MAX
              : o->policy == HORUS_RELIABLE  ? o->passed + o->capacity
                                             : 0;
}
/* Lets go of what entry `index` of our ring refers to. */
static void horusi_out_drop(horusi_out *o, uint32_t index)
{
    horusi_ref *ref = &o->refs[index];
    if (!ref->pool)
        return;
    o->frame_bytes -= ref->bytes;
    o->frames--;
    horusi_out_room(o);
    horusi_st32_rlx(own, &o->lane->frames, o->frames);
    horusi_release(ref->pool, ref->slot);
    ref->pool = NULL;
}
/* Where message n is, one of the last `capacity` or the next: no division on the way of a send. */
static uint32_t horusi_out_index(const horusi_out *o, uint64_t n)
{
    uint32_t back = (uint32_t)(o->next - n);
    return back <= o->index ? o->index - back : o->index + o->capacity - back;
}
/* The sequence of the oldest frame in our ring; 0: none. */
static uint64_t horusi_out_oldest(horusi_out *o)
{
    if (o->frames == 0)
        return 0;
    uint64_t first = o->next > o->capacity ? o->next - o->capacity : 1;
    if (o->oldest_frame < first)
        o->oldest_frame = first;
    while (o->oldest_frame < o->next && !o->refs[horusi_out_index(o, o->oldest_frame)].pool)
        o->oldest_frame++;
    return o->oldest_frame < o->next ? o->oldest_frame : 0;
}
/* The same of frames in pool p. */
static uint64_t horusi_out_oldest_in(horusi_out *o, const horus_pool *p)
{
    uint64_t n = horusi_out_oldest(o);
    while (n && n < o->next && o->refs[horusi_out_index(o, n)].pool != p)
        n++;
    return n < o->next ? n : 0;
}
/* Withdraws message n of our ring: readers who come for it count it as lost. */
static void horusi_out_evict(horusi_out *o, uint64_t n)
{
    uint32_t index = horusi_out_index(o, n);
    horusi_st64_rel(P1, &horusi_entry_at(o->entries, o->stride, index)->seq, 2 * n + 1);
    horusi_out_drop(o, index);
}

/* An allocator may touch another thread's ring while its handle is not in use; a closed one is
 * guarded by the context's lock, which the allocator has. */
static bool horusi_out_borrow(horusi_out *o, const horusi_out *caller)
{
    return o == caller || !o->use || horusi_use_begin(o->use, HORUSI_EVICTING);
}
static void horusi_out_return(horusi_out *o, const horusi_out *caller)
{
    if (o != caller && o->use)
        horusi_use_end(o->use);
}

/* Gives back one hold of a topic; the last holder of all ends it. */
static void horusi_topic_leave(horus_context *c, const horusi_ref *topic)
{
    horus_pool *p = c->pool;
    uint64_t name = horusi_dir_word(false, 0, topic->generation, topic->slot) & 0xffffffffffffull;
    for (uint32_t i = 0; i < p->max_topics; i++) {
        uint64_t d = horusi_ld64_seq(D, &p->directory[i]);
        if (d != 0 && (d & 0xffffffffffffull) == name)
            horusi_seal(p, topic->slot, d, &p->directory[i]);
    }
    horusi_release(p, topic->slot);
}

/* The ring of a closed handle ends: called with the context's lock. */
static void horusi_out_end(horus_context *c, horusi_out *o)
{
    uint64_t w = horusi_ld64_acq(L2, &o->lane->word);
    for (uint32_t i = 0; i < o->capacity; i++)
        horusi_out_drop(o, i);
    if (horusi_owner_row(w) == c->row && horusi_high(w) == c->incarnation)
        horusi_lane_end(o->shm, o->lane, w, o->next - 1);
    horusi_release(o->ring.pool, o->ring.slot);
    horusi_topic_leave(c, &o->topic);
    horusi_out **l = &c->outs;
    while (*l != o)
        l = &(*l)->next_out;
    *l = o->next_out;
}

static void *horusi_new(horus_context *c, size_t bytes);
static void horusi_delete(horus_context *c, void *memory);

/* Ends closed rings that nobody needs any more; with `p`, also those that would help it. Returns
 * how many. */
static uint32_t horusi_end_closed(horus_context *c, const horus_pool *p, bool overwrite_only)
{
    uint32_t n = 0;
    for (horusi_out *o = c->outs, *next; o; o = next) {
        next = o->next_out;
        if (o->handle)
            continue;
        horusi_ring ring = {o->entries, o->cursors, o->claims, o->capacity, o->stride, 0, 0};
        bool wanted =
            p && (!overwrite_only || o->policy == HORUS_OVERWRITE) && horusi_may_help(p, o->frames);
        if (!wanted &&
            !horusi_superseded(c->pool, o->shm, o->max_lanes, o->max_subs, o->lane_index, &ring))
            continue;
        horusi_out_end(c, o);
        horusi_delete(c, o->refs);
        horusi_delete(c, o);
        n++;
    }
    return n;
}

/* An allocation is about to fail: give up, in this order, dead processes' holdings, what consumers
 * of our queues are done with, the oldest frame of our own overwrite rings, our closed rings and
 * those of the dead, oldest first, and only then rings whose messages were promised to somebody.
 * False: nothing that would help is left. */
enum { HORUSI_MOST_ROUNDS = 4096 }; /* as many orphans as a topic may have: no more in one call */
static bool horusi_make_room(horus_pool *p, horusi_out *caller, uint32_t round)
{
    horus_context *c = p->context;
    if (round == 0 && horusi_sweep(c, HORUSI_DROP_OLD) > 0)
        return true;
    horusi_lock(&c->lock);
    horusi_out *victim = NULL;
    uint64_t oldest = UINT64_MAX;
    bool gave = false;
    for (horusi_out *o = c->outs; o; o = o->next_out) {
        /* A ring without frames has nothing to give, and is left alone: it may be that of a signal
         * handler, which would find its handle in use. */
        if (horusi_ld32_rlx(own, &o->lane->frames) == 0 || !horusi_out_borrow(o, caller))
            continue;
        for (uint32_t i = 0; o->claims && i < o->capacity; i++)
            if (o->refs[i].pool &&
                horusi_claim_state(horusi_ld64_acq(K2, &o->claims[i])) == HORUSI_CLAIM_DONE) {
                horusi_out_drop(o, i);
                gave = true;
            }
        uint64_t n = o->policy == HORUS_OVERWRITE ? horusi_out_oldest_in(o, p) : 0;
        if (n) {
            horusi_entry *e = horusi_entry_at(o->entries, o->stride, horusi_out_index(o, n));
            uint64_t stamp = horusi_ld64_rlx(own, &e->stamp);
            if (stamp < oldest) {
                oldest = stamp;
                victim = o;
            }
        }
        horusi_out_return(o, caller);
    }
    if (!gave && victim) {
        if (horusi_out_borrow(victim, caller)) {
            uint64_t n = horusi_out_oldest_in(victim, p);
            if (n)
                horusi_out_evict(victim, n);
            gave = n != 0;
            horusi_out_return(victim, caller);
        } else {
            gave = round < 20; /* its thread is sending: look again */
        }
    }
    for (int overwrite_only = 1; overwrite_only >= 0 && !gave; overwrite_only--) {
        gave = horusi_end_closed(c, p, overwrite_only) > 0;
        horusi_unlock(&c->lock);
        gave = gave || (round < HORUSI_MOST_ROUNDS && horusi_drop_orphan(p, overwrite_only));
        horusi_lock(&c->lock);
    }
    horusi_unlock(&c->lock);
    return gave;
}

/* ------------------------------------------------------------------------------------ >>geometry
 *
 * Sizes: how a pool is divided, what its header says of it, and whether that can be believed. */

#if defined(__linux__) && !defined(HORUS_NO_OS)
static horus_context *horusi_contexts; /* all of this process, under horusi_contexts_lock */
static horusi_a32 horusi_contexts_lock;
#endif
#ifndef HORUS_NO_OS
static horus_context *_Atomic horusi_default; /* written under horusi_default_lock */
static horusi_a32 horusi_default_lock;
#endif

const char *horus_result_text(horus_result result)
{
    switch (result) {
#define HORUSI_X(name, value, text)                                                                \
    case HORUS_##name:                                                                             \
        return text;
        HORUS_RESULTS(HORUSI_X)
#undef HORUSI_X
    default:
        return "no such result";
    }
}
const char *horus_last_error(void) { return horusi_error_text; }
uint64_t horus_now_ns(void) { return horusi_now(); }

static horus_result horusi_check_name(const char *what, const char *name)
{
    size_t n = 0;
    bool good = name != NULL && name[0] != '/' && name[0] != 0;
    for (; good && name[n]; n++) {
        char c = name[n];
        good = n < HORUS_NAME_BYTES - 1 &&
               ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                c == '_' || c == '.' || c == ':' || c == '/' || c == '-') &&
               !(c == '.' && name[n + 1] == '.') &&
               !(c == '/' && (name[n + 1] == '/' || name[n + 1] == 0));
    }
    if (good)
        return HORUS_OK;
    return horusi_fail(
        HORUS_E_NAME,
        "%s name \"%.40s\": 1 to 96 of A-Z a-z 0-9 _ . : / - are allowed, no \"..\", "
        "no \"//\", no / at either end",
        what, name ? name : "(null)");
}
static uint32_t horusi_hash(const void *data, size_t n, uint32_t h)
{
    for (size_t i = 0; i < n; i++)
        h = (h ^ ((const uint8_t *)data)[i]) * 16777619u;
    return h;
}

typedef struct horusi_geometry {
    uint32_t granule_bytes, block_bytes, granules, max_topics, blocks_log2, rows;
    uint64_t directory, granule, slots, data, end; /* offsets */
} horusi_geometry;

/* Works out the offsets. False: impossible sizes. */
static bool horusi_lay_out(horusi_geometry *g)
{
    if (g->granule_bytes < 1024 || g->granule_bytes > 16u << 20 || g->block_bytes < 64 ||
        (g->granule_bytes & (g->granule_bytes - 1)) || (g->block_bytes & (g->block_bytes - 1)) ||
        g->block_bytes > g->granule_bytes || g->granule_bytes / g->block_bytes > 64 ||
        g->granules == 0 || g->granules > HORUSI_MAX_GRANULES || g->max_topics > 65536)
        return false;
    g->blocks_log2 = horusi_log2(g->granule_bytes / g->block_bytes);
    if (((uint64_t)g->granules << g->blocks_log2) > HORUSI_MAX_SLOTS)
        return false;
    uint64_t bytes = (uint64_t)g->granules * g->granule_bytes;
    uint64_t align = bytes >= 64u << 20 ? 2u << 20 : g->granule_bytes >= 4096 ? 4096 : 64;
    g->directory = sizeof(horusi_header) + (uint64_t)g->rows * sizeof(horusi_row);

    g->granule = horusi_round(g->directory + (uint64_t)g->max_topics * 8, 64);
    g->slots = horusi_round(g->granule + (uint64_t)g->granules * sizeof(horusi_granule),
                            align < 4096 ? 128 : 4096);
    g->data = horusi_round(
        g->slots + ((uint64_t)g->granules << g->blocks_log2) * sizeof(horusi_slot), align);
    g->end = g->data + bytes;
    return true;
}
/* The private side: a record and a mark per slot. */
static uint64_t horusi_private_bytes(const horusi_geometry *g)
{
    uint64_t slots = (uint64_t)g->granules << g->blocks_log2;
    return slots * sizeof(horusi_rec) + (slots + 31) / 32 * 4;
}

/* Chooses sizes for `wish` bytes of data where `room` bytes are to be had for all. */
static horus_result horusi_choose(horusi_geometry *g, uint64_t wish, uint32_t granule_bytes,
                                  uint32_t block_bytes, uint32_t max_topics, uint64_t room,
                                  bool with_private)
{
    memset(g, 0, sizeof *g);
    g->rows = with_private ? 1 : HORUSI_ROWS;
    g->max_topics = max_topics;
    g->granule_bytes = granule_bytes ? granule_bytes : room < 1u << 20 ? 4096 : 65536;
    g->block_bytes = block_bytes ? block_bytes : g->granule_bytes / 64;
    if (g->block_bytes < 64)
        g->block_bytes = 64;
    uint64_t unit = (uint64_t)g->granule_bytes;
    if (wish < UINT64_MAX - unit) {
        uint64_t n = (wish + unit - 1) / unit;
        g->granules = n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
    }
    if (!granule_bytes && !block_bytes) /* a huge pool gets larger pieces */
        while (g->granules > HORUSI_MAX_SLOTS / 64 && g->granule_bytes < 16u << 20) {
            g->granule_bytes *= 2;
            g->block_bytes *= 2;
            g->granules = g->granules / 2 + (g->granules & 1);
        }
    if (!horusi_lay_out(g))
        return horusi_fail(
            HORUS_E_ARG,
            "pool of %llu bytes, granules of %u, blocks of %u: granule and block must "
            "be powers of two, 1024 to 16 Mi and 64 up, at most 64 blocks to a granule, "
            "and at most 2^24 slots in all",
            (unsigned long long)wish, (unsigned)granule_bytes, (unsigned)block_bytes);
    uint32_t low = 0, high = g->granules; /* the most granules whose worst case fits */
    while (low < high) {
        uint32_t middle = low + (high - low + 1) / 2;
        g->granules = middle;
        (void)horusi_lay_out(g);
        if (g->end -
                (g->data - g->slots - ((uint64_t)middle << g->blocks_log2) * sizeof(horusi_slot)) +
                (with_private ? horusi_private_bytes(g) + 4096 : 0) <=
            room)
            low = middle;
        else
            high = middle - 1;
    }
    g->granules = low;
    if (!horusi_lay_out(g))
        return horusi_fail(HORUS_E_POOL_FULL, "no room for a pool: %llu bytes are free",
                           (unsigned long long)room);
    return HORUS_OK;
}

/* Points a pool into its mapping. */
static void horusi_place(horus_pool *p, uint8_t *base, const horusi_geometry *g)
{
    p->base = base;
    p->header = (horusi_header *)(void *)base;
    p->rows = (horusi_row *)(void *)(base + sizeof(horusi_header));
    p->directory = (horusi_a64 *)(void *)(base + g->directory);
    p->granule = (horusi_granule *)(void *)(base + g->granule);
    p->slot = (horusi_slot *)(void *)(base + g->slots);
    p->data = base + g->data;
    p->slots_offset = g->slots;
    p->data_offset = g->data;
    p->granule_bytes = g->granule_bytes;
    p->block_bytes = g->block_bytes;
    p->granules = g->granules;
    p->max_topics = g->max_topics;
    p->row_count = g->rows;
    p->blocks_log2 = g->blocks_log2;
    p->granule_log2 = horusi_log2(g->granule_bytes);
    p->slots = g->granules << g->blocks_log2;
}
static void horusi_write_header(horusi_header *h, const horusi_geometry *g, uint64_t domain,
                                uint32_t pool_id, const char *name)
{
    uint64_t ticks = 0, ns = 0;
    h->domain = domain;
    h->file_bytes = g->end;
    h->granule_bytes = g->granule_bytes;
    h->block_bytes = g->block_bytes;
    h->granules = g->granules;
    h->max_topics = g->max_topics;
    h->pool_id = pool_id;
    h->clock = horusi_clock_kind();
    horusi_clock_pair(h->clock, &ticks, &ns);
    horusi_st64_rlx(own, &h->clock_ticks, ticks);
    horusi_st64_rlx(own, &h->clock_ns, ns);
    horusi_text(h->name, sizeof h->name, name);
    h->magic = HORUSI_MAGIC;
}

#if defined(__linux__) && !defined(HORUS_NO_OS)
/* Reads the geometry of a file that somebody else wrote. */
static horus_result horusi_read_header(const horusi_header *shared, uint64_t file_bytes,
                                       const char *name, horusi_header *h, horusi_geometry *g)
{
    memcpy(h, shared, offsetof(horusi_header, changes));
    if ((h->magic ^ HORUSI_MAGIC) >> 8 != 0)
        return horusi_fail(HORUS_E_CORRUPT, "%s is not a horus file: remove it", name);
    if (h->magic != HORUSI_MAGIC)
        return horusi_fail(HORUS_E_VERSION,
                           "%s has layout %u, this program speaks %u: build both from one horus.h",
                           name, (unsigned)(h->magic & 0xff), HORUSI_LAYOUT);
    memset(g, 0, sizeof *g);
    g->rows = HORUSI_ROWS;
    g->granule_bytes = h->granule_bytes;
    g->block_bytes = h->block_bytes;
    g->granules = h->granules;
    g->max_topics = h->max_topics;
    if (!horusi_lay_out(g) || g->end != h->file_bytes || h->file_bytes > file_bytes || h->clock > 1)
        return horusi_fail(HORUS_E_CORRUPT,
                           "%s has an impossible header, or was cut short: remove it", name);
    if (g->end > SIZE_MAX / 2)
        return horusi_fail(HORUS_E_MEMORY, "%s: %llu bytes do not fit this program's address space",
                           name, (unsigned long long)g->end);
    return HORUS_OK;
}

static void horusi_advise(horus_pool *p)
{
    if (p->flags & HORUS_HUGE_PAGES)
        (void)madvise(p->base, (size_t)p->map_bytes, MADV_HUGEPAGE);
#ifdef MLOCK_ONFAULT
    if (p->flags & HORUS_MLOCK)
        (void)mlock2(p->base, (size_t)p->map_bytes, MLOCK_ONFAULT);
#endif
    if (p->granule_bytes % 4096 != 0 || p->data_offset % 4096 != 0 || sysconf(_SC_PAGESIZE) != 4096)
        p->flags &= ~(uint32_t)HORUS_PROTECT; /* slots would share pages */
    if (p->flags & HORUS_PROTECT)
        (void)mprotect(p->data, (size_t)(p->map_bytes - p->data_offset), PROT_READ);
}
#endif

/* Commits and touches everything now. */
#if defined(__linux__) && !defined(HORUS_NO_OS)
static horus_result horusi_prefault(horus_pool *p)
{
    bool done = true, fresh;
    for (uint32_t g = 0; g < p->granules && done; g++) {
        done = horusi_back_headers(p, g, 1u << p->blocks_log2);
        if (!done || !horusi_claim(p, g, 1, horusi_own(HORUSI_HEAD, 1)))
            continue; /* in use, so backed */
        done = horusi_back_data(p, g, 1, &fresh);
        horusi_undo_run(p, g, 1);
        horusi_untake(p, g << p->blocks_log2);
    }
    if (!done)
        return horusi_fail(HORUS_E_POOL_FULL, "no memory to prefault pool %s", p->name);
    if (madvise(p->base, (size_t)p->map_bytes, MADV_POPULATE_WRITE) != 0) /* older kernels: read */
        for (uint64_t at = 0; at < p->map_bytes; at += 4096)
            (void)*(volatile uint8_t *)(p->base + at);
    return HORUS_OK;
}
#endif

static void *horusi_map_private(uint64_t bytes)
{
#ifdef HORUS_NO_OS
    (void)bytes;
    return NULL;
#else
#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif
    void *m = bytes > SIZE_MAX / 2 ? MAP_FAILED
                                   : mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE,
                                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return m == MAP_FAILED ? NULL : m;
#endif
}

/* Heap for handles; firmware takes it from the pool. */
static void *horusi_new(horus_context *c, size_t bytes)
{
#ifdef HORUS_NO_OS
    uint32_t s;
    void *data;
    if (horusi_alloc(c->pool, bytes + 64, true, NULL, &s, &data) != HORUS_OK)
        return NULL;
    horusi_st32_rlx(own, &c->pool->slot[s].flags, HORUSI_INTERNAL);
    memcpy(data, &s, sizeof s);
    return (uint8_t *)data + 64;
#else
    (void)c;
    void *m = HORUS_MALLOC(bytes);
    if (m)
        memset(m, 0, bytes);
    else
        (void)horusi_no_memory(bytes);
    return m;
#endif
}
static void horusi_delete(horus_context *c, void *memory)
{
#ifdef HORUS_NO_OS
    uint32_t s;
    if (memory) {
        memcpy(&s, (uint8_t *)memory - 64, sizeof s);
        horusi_release(c->pool, s);
    }
#else
    (void)c;
    HORUS_FREE(memory);
#endif
}

/* Marks our row live, with a fresh incarnation. Its lock is ours and it is swept. */
static void horusi_row_begin(horus_context *c, uint32_t row, const char *label)
{
    horusi_row *r = &c->pool->rows[row];
    char text[32] = {0};
    uint64_t w = horusi_ld64_acq(R2, &r->word);
    c->row = row;
    c->incarnation = horusi_high(w) + 1 ? horusi_high(w) + 1 : 1;
    c->mask_word = row / 64;
    c->mask_bit = (uint64_t)1 << (row % 64);
#ifndef HORUS_NO_OS
    horusi_st32_rlx(own, &r->pid, (uint32_t)getpid());
    int f = label ? -1 : open("/proc/self/comm", O_RDONLY | O_CLOEXEC);
    if (f >= 0) { /* a signal in between costs the name, no more */
        ssize_t n = read(f, text, sizeof text - 1);
        text[n > 0 ? n - 1 : 0] = 0; /* its newline */
        close(f);
    }
#endif
    if (label)
        horusi_text(text, sizeof text, label);
    for (size_t i = 0; i < 4; i++) {
        uint64_t v;
        memcpy(&v, text + 8 * i, 8);
        horusi_st64_rlx(own, &r->label[i], v);
    }
    horusi_st32_rlx(own, &r->sleepers, 0);
    horusi_st64_rel(R1, &r->word, horusi_pair(c->incarnation, HORUSI_ROW_LIVE));
}

#if defined(__linux__) && !defined(HORUS_NO_OS)

/* ------------------------------------------------------------------------------------ >>join
 *
 * Joining: open the namespace's file (or build one without a name and link it, whole), hold the
 * gate shared while taking a row's lock, see that the file still has a name, sweep the dead, mark
 * the row live. Leaving: give everything back, and if nobody else is in, under the exclusive gate,
 * remove the files. A file that nobody is in is replaced, not repaired. */

static void horusi_pool_free(horus_pool *p)
{
    if (p->base)
        munmap(p->base, (size_t)p->map_bytes);
    if (p->rec)
        munmap(p->rec, (size_t)p->private_bytes);
    horusi_close_kept(p->fd, p->dev, p->ino);
    HORUS_FREE(p);
}

/* Maps a whole file as a pool. On success the pool owns fd. */
static horus_result horusi_pool_map(horus_context *c, int fd, uint64_t file_bytes, uint32_t flags,
                                    const char *name, horus_pool **out)
{
    horusi_header h;
    horusi_geometry g;
    horus_result r = HORUS_OK;
    *out = NULL;
    if (file_bytes < sizeof h)
        return horusi_fail(HORUS_E_CORRUPT, "%s is empty or cut short (%llu bytes): remove it",
                           name, (unsigned long long)file_bytes);
    struct stat s;
    void *peek = mmap(NULL, sizeof h, PROT_READ, MAP_SHARED, fd, 0);
    if (peek == MAP_FAILED)
        return horusi_errno(HORUS_E_SYSTEM, "map", name);
    r = horusi_read_header((const horusi_header *)peek, file_bytes, name, &h, &g);
    munmap(peek, sizeof h);
    if (r != HORUS_OK)
        return r;
    horus_pool *p = (horus_pool *)HORUS_MALLOC(sizeof *p);
    if (!p)
        return horusi_no_memory(sizeof *p);
    memset(p, 0, sizeof *p);
    p->fd = -1;
    p->map_bytes = g.end;
    p->private_bytes = horusi_private_bytes(&g);
    if (fstat(fd, &s) != 0) {
        r = horusi_errno(HORUS_E_SYSTEM, "stat", name);
        goto fail;
    }
    p->dev = (uint64_t)s.st_dev;
    p->ino = (uint64_t)s.st_ino;
    void *m = mmap(NULL, (size_t)g.end, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (m == MAP_FAILED) {
        r = horusi_errno(HORUS_E_SYSTEM, "map", name);
        goto fail;
    }
    horusi_place(p, (uint8_t *)m, &g);
    p->rec = (horusi_rec *)horusi_map_private(p->private_bytes);
    if (!p->rec) {
        r = horusi_no_memory(p->private_bytes);
        goto fail;
    }
    p->marks = (uint32_t *)(void *)(p->rec + p->slots);
    p->context = c;
    p->id = h.pool_id;
    p->flags = flags;
    p->fd = fd;
    h.name[sizeof h.name - 1] = 0;
    horusi_text(p->name, sizeof p->name, h.name);
    horusi_advise(p);
    *out = p;
    return HORUS_OK;
fail:
    horusi_pool_free(p);
    return r;
}

/* Builds a pool file without a name: sized, its tables backed, its header written. */
static horus_result horusi_pool_build(const horusi_files *f, int dir, const horusi_geometry *g,
                                      uint64_t domain, uint32_t id, const char *name, int *fd)
{
    struct rlimit most;
    if (getrlimit(RLIMIT_FSIZE, &most) == 0 && g->end > most.rlim_cur) /* SIGXFSZ, not an error */
        return horusi_fail(HORUS_E_LIMIT,
                           "%s: a file of %llu bytes, but this process may make none over %llu: "
                           "raise the limit (ulimit -f), or ask for a smaller pool",
                           f->leaf, (unsigned long long)g->end, (unsigned long long)most.rlim_cur);
    horus_result r = horusi_make_file(f, dir, fd);
    if (r != HORUS_OK)
        return r;
    int sized;
    HORUSI_RETRY(sized, ftruncate(*fd, (off_t)g->end));
    if (sized != 0)
        return horusi_errno(HORUS_E_SYSTEM, "size a file in", f->leaf);
    if (!horusi_commit(*fd, 0, g->slots))
        return horusi_errno(HORUS_E_POOL_FULL, "find memory for a file in", f->leaf);
    void *m = mmap(NULL, sizeof(horusi_header), PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    if (m == MAP_FAILED)
        return horusi_errno(HORUS_E_SYSTEM, "map a file in", f->leaf);
    horusi_write_header((horusi_header *)m, g, domain, id, name);
    munmap(m, sizeof(horusi_header));
    return HORUS_OK;
}

/* Opens a pool's file that exists. c->lock is held. */
static horus_result horusi_pool_attach(horus_context *c, int dir, const char *file, uint32_t flags,
                                       horus_pool **out)
{
    int fd;
    uint64_t bytes = 0;
    *out = NULL;
    horus_result r = horusi_open_file(&c->files, dir, file, &fd, &bytes);
    if (r != HORUS_OK)
        return r;
    r = horusi_pool_map(c, fd, bytes, flags, file, out);
    if (r != HORUS_OK) {
        close(fd);
        return r;
    }
    horus_pool *p = *out, *other = c->pools;
    while (other && other->id != p->id)
        other = horusi_next(other);
    bool fits = p->header->domain == c->domain && p->max_topics == 0 && p->id != 0;
    if (!fits || other) {
        bool known = fits && strcmp(other->name, p->name) == 0;
        horusi_pool_free(p);
        *out = known ? other : NULL;
        return known ? HORUS_OK
                     : horusi_fail(HORUS_E_CORRUPT,
                                   "%s belongs to another namespace or clashes with "
                                   "another pool's name: remove it, or rename the pool",
                                   file);
    }
    /* after the primary; never taken out while the context lives */
    horusi_stp_rel(N1, &p->next, horusi_next(c->pools));
    horusi_stp_rel(N1, &c->pools->next, p);
    return HORUS_OK;
}
/* Opens every pool of the namespace, for a sweep that must miss none. */
static horus_result horusi_attach_all(horus_context *c)
{
    horus_result r = HORUS_OK;
    if (c->pool->fd < 0)
        return HORUS_OK;
    int dir = horusi_reopen_dir(&c->files);
    DIR *d = dir < 0 ? NULL : fdopendir(dir);
    if (!d) {
        if (dir >= 0)
            close(dir);
        return horusi_errno(HORUS_E_SYSTEM, "list", c->files.leaf);
    }
    horusi_lock(&c->lock);
    for (;;) {
        errno = 0;
        struct dirent *e = readdir(d);
        if (!e && errno != 0) /* a pool may be missing */
            r = horusi_errno(HORUS_E_SYSTEM, "list", c->files.leaf);
        if (!e)
            break;
        if (strncmp(e->d_name, "pool.", 5) != 0)
            continue;
        char file[320];
        horus_pool *p = c->pools;
        for (; p; p = horusi_next(p)) {
            horusi_pool_file(p->name, file, sizeof file);
            if (p->id != 0 && strcmp(file, e->d_name) == 0)
                break;
        }
        if (!p) {
            horus_result q = horusi_pool_attach(c, dir, e->d_name, 0, &p);
            if (q == HORUS_E_MEMORY || q == HORUS_E_SYSTEM) /* garbage holds nothing */
                r = q;
        }
    }
    horusi_unlock(&c->lock);
    closedir(d);
    return r;
}

/* Removes the namespace's files. The gate is held exclusively and nobody is in. */
static void horusi_remove(const horusi_files *f)
{
    int dir = horusi_reopen_dir(f);
    DIR *d = dir < 0 ? NULL : fdopendir(dir);
    if (!d) {
        if (dir >= 0)
            close(dir);
        return;
    }
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (strncmp(e->d_name, "pool.", 5) == 0)
            (void)unlinkat(dir, e->d_name, 0);
    (void)unlinkat(dir, "horus", 0); /* last: whoever finds it finds all that was there */
    closedir(d);
}
static void horusi_remove_dir(const horusi_files *f)
{
    char path[330];
    bool kept = horusi_is_file(f->dir_fd, f->dir_dev, f->dir_ino); /* wherever we are now */
    if (kept)
        (void)snprintf(path, sizeof path, "../%s", f->leaf);
    else
        (void)snprintf(path, sizeof path, "%s/%s", f->base, f->leaf);
    /* not if a file, or a newcomer's, is in it */
    (void)unlinkat(kept ? f->dir_fd : AT_FDCWD, path, AT_REMOVEDIR);
}
/* Whether our file is the one that has its name. Both false: it cannot be told. */
static bool horusi_is_named(const char *path, uint64_t dev, uint64_t ino)
{
    struct stat s;
    return fstatat(AT_FDCWD, path, &s, AT_SYMLINK_NOFOLLOW) == 0 && (uint64_t)s.st_dev == dev &&
           (uint64_t)s.st_ino == ino;
}
static bool horusi_is_gone(const horus_context *c)
{
    struct stat s;
    bool gone = false;
    int dir = horusi_reopen_dir(&c->files);
    if (dir < 0)
        return false;
    if (fstatat(dir, "horus", &s, AT_SYMLINK_NOFOLLOW) != 0)
        gone = errno == ENOENT;
    else
        gone = (uint64_t)s.st_dev != c->pool->dev || (uint64_t)s.st_ino != c->pool->ino;
    close(dir);
    return gone;
}

/* Fills in the place of a namespace from the wishes and the environment. */
static horus_result horusi_locate(horus_context *c, const horus_context_desc *d)
{
    horusi_files *f = &c->files;
    const char *name = d->name ? d->name : getenv("HORUS_NAMESPACE");
    const char *dir = d->dir ? d->dir : getenv("HORUS_DIR");
    const char *group = d->group ? d->group : getenv("HORUS_GROUP");
    if (name && !*name && !d->name)
        name = NULL;
    if (!dir || !*dir)
        dir = HORUS_SHM_DIR;
    f->dir_fd = -1;
    f->uid = (uint32_t)geteuid();
    f->gid = (uint32_t)-1;
    if (strlen(dir) >= sizeof f->base)
        return horusi_fail(HORUS_E_ARG, "directory %.60s...: longer than %u bytes", dir,
                           (unsigned)sizeof f->base - 1);
    horusi_text(f->base, sizeof f->base, dir);
    if (name) {
        horus_result r = horusi_check_name("namespace", name);
        if (r != HORUS_OK)
            return r;
        char escaped[320];
        horusi_pool_file(name, escaped, sizeof escaped);
        horusi_text(c->name, sizeof c->name, name);
        if ((size_t)snprintf(f->leaf, sizeof f->leaf, "horus.%s", escaped + 5) >= sizeof f->leaf)
            return horusi_fail(HORUS_E_NAME, "namespace name %.40s...: too many / and :", name);
    } else {
        (void)snprintf(f->leaf, sizeof f->leaf, "horus-%u", (unsigned)f->uid);
        (void)snprintf(c->name, sizeof c->name, "user-%u", (unsigned)f->uid);
    }
    if (group && *group) {
        char *end;
        unsigned long long number = strtoull(group, &end, 10);
        bool numeric = group[0] >= '0' && group[0] <= '9' && *end == 0;
        struct group *g = NULL;
        do {
            errno = 0;
        } while (!numeric && !(g = getgrnam(group)) && errno == EINTR);
        if (!numeric && !g &&
            (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
             errno == EIO)) /* others only mean that there is none */
            return horusi_errno(HORUS_E_SYSTEM, "look up group", group);
        if (numeric ? number >= UINT32_MAX : !g)
            return horusi_fail(HORUS_E_NOT_FOUND, "no group %.40s: name one of /etc/group", group);
        f->gid = g ? (uint32_t)g->gr_gid : (uint32_t)number;
        f->shared = true;
    }
    (void)snprintf(c->path, sizeof c->path, "%s/%s/horus", f->base, f->leaf);
    return HORUS_OK;
}

static void horusi_before_fork(void)
{
    horusi_lock(&horusi_default_lock);
    horusi_lock(&horusi_contexts_lock);
    horusi_lock(&horusi_fork_lock);
}
static void horusi_after_fork(void)
{
    horusi_unlock(&horusi_fork_lock);
    horusi_unlock(&horusi_contexts_lock);
    horusi_unlock(&horusi_default_lock);
}
/* The child holds nothing: the parent's row stays the parent's alone. */
static void horusi_in_child(void)
{
    horusi_tid = horusi_tid_taped = 0;
    for (horus_context *c = horusi_contexts; c; c = c->next) {
        horusi_st32_rlx(fork, &c->detached, HORUSI_IN_CHILD);
        c->files.row_lock = NULL; /* not mapped here */
    }
    horusi_contexts = NULL;
    horusi_stp_rel(N1, &horusi_default, NULL);
    horusi_st32_rlx(N1, &horusi_fork_lock, 0);
    horusi_st32_rlx(N1, &horusi_contexts_lock, 0);
    horusi_st32_rlx(N1, &horusi_default_lock, 0);
}
static void horusi_at_exit(void); /* below */
/* Once; horusi_contexts_lock is held. Without these a child would use its parent's row. */
static horus_result horusi_register(void)
{
    static bool forks, exits;
    int e = forks ? 0 : pthread_atfork(horusi_before_fork, horusi_after_fork, horusi_in_child);
    forks = forks || e == 0;
    if (e == 0 && !exits)
        e = atexit(horusi_at_exit) == 0 ? 0 : ENOMEM;
    exits = exits || e == 0;
    return e == 0
               ? HORUS_OK
               : horusi_fail(HORUS_E_MEMORY, "no memory for what is to be done at fork and exit");
}

/* One try at joining. E_BUSY: the world changed under us, try again. */
static horus_result horusi_try_join(horus_context *c, const horus_context_desc *d)
{
    horusi_files *f = &c->files;
    struct stat s;
    int dir = -1, fd = -1, gate = -1, lock = -1;
    uint64_t bytes = 0;
    uint32_t row = HORUSI_ROWS;
    bool created = false;
    horus_result r = horusi_open_dir(f, &dir);
    if (r != HORUS_OK)
        goto out;
    r = horusi_open_file(f, dir, "horus", &fd, &bytes);
    if (r == HORUS_E_NOT_FOUND) {
        horusi_geometry g;
        uint64_t room = horusi_room(dir);
        r = horusi_choose(&g, d->pool_bytes ? d->pool_bytes : 1u << 30, d->granule_bytes,
                          d->block_bytes, d->max_topics ? d->max_topics : 1024, room, false);
        if (r == HORUS_OK)
            r = horusi_pool_build(f, dir, &g, horusi_random(), 0, "", &fd);
        bytes = r == HORUS_OK ? g.end : 0;
        created = true;
    }
    if (r != HORUS_OK)
        goto out;
    if (fstat(fd, &s) == 0)
        gate = horusi_reopen(f, fd, (uint64_t)s.st_dev, (uint64_t)s.st_ino);
    if (gate < 0) {
        r = horusi_errno(HORUS_E_SYSTEM, "reopen", c->path);
        goto out;
    }
    if (horusi_lock_byte(gate, F_RDLCK, HORUSI_GATE) != 0) {
        r = HORUS_E_BUSY;
        goto out;
    }
    if (!created) {
        if (!horusi_is_named(c->path, (uint64_t)s.st_dev, (uint64_t)s.st_ino)) {
            r = HORUS_E_BUSY;
            goto out;
        }
        if (bytes >= sizeof(horusi_header) && !horusi_is_locked(fd, 0, HORUSI_ROWS)) {
            horusi_header h; /* nobody is in: leftovers of a crash are replaced */
            ssize_t n;
            HORUSI_RETRY(n, pread(fd, &h, sizeof h, 0));
            if (n == (ssize_t)sizeof h && (h.magic ^ HORUSI_MAGIC) >> 8 == 0 &&
                horusi_lock_byte(gate, F_WRLCK, HORUSI_GATE) == 0 &&
                horusi_is_named(c->path, (uint64_t)s.st_dev, (uint64_t)s.st_ino) &&
                !horusi_is_locked(fd, 0, HORUSI_ROWS)) {
                horusi_remove(f);
                r = HORUS_E_BUSY;
                goto out;
            }
        }
    }
    r = horusi_pool_map(c, fd, bytes, d->flags, c->path, &c->pool);
    c->pools = c->pool;
    if (r != HORUS_OK)
        goto out;
    fd = -1; /* the pool's now */
    if (c->pool->id != 0 || c->pool->max_topics == 0) {
        r = horusi_fail(HORUS_E_CORRUPT, "%s is a named pool's file: remove it", c->path);
        goto out;
    }
    lock = horusi_reopen(f, c->pool->fd, c->pool->dev, c->pool->ino);
    if (lock < 0) {
        r = horusi_errno(HORUS_E_SYSTEM, "reopen", c->path);
        goto out;
    }
    c->domain = c->pool->header->domain;
    c->row = HORUSI_ROWS;
    /* a row that is free, else one that a dead process left messages in */
    for (int pass = 0; pass < 2 && row == HORUSI_ROWS; pass++)
        for (uint32_t i = 0; i < HORUSI_ROWS && row == HORUSI_ROWS; i++) {
            uint32_t state = horusi_low(horusi_ld64_acq(R2, &c->pool->rows[i].word));
            if (pass == 0 && state != HORUSI_ROW_FREE)
                continue;
            if (horusi_is_locked(c->pool->fd, i, 1) || horusi_lock_byte(lock, F_WRLCK, i) != 0)
                continue;
            horusi_mark_dead(c, i);
            c->mask_word = i / 64; /* the sweep holds what it looks at, in the row that it sweeps */
            c->mask_bit = (uint64_t)1 << (i % 64);
            bool clean =
                !created && (pass == 1 || horusi_low(horusi_ld64_acq(R2, &c->pool->rows[i].word)) !=
                                              HORUSI_ROW_FREE);
            if (clean)
                (void)horusi_reclaim(c, i, HORUSI_DROP_ALL);
            if (horusi_low(horusi_ld64_acq(R2, &c->pool->rows[i].word)) == HORUSI_ROW_FREE)
                row = i;
            else
                (void)horusi_lock_byte(lock, F_UNLCK, i);
        }
    if (row == HORUSI_ROWS) {
        r = horusi_fail(HORUS_E_LIMIT, "%s: %u processes are in, which is the limit", c->path,
                        (unsigned)HORUSI_ROWS);
        goto out;
    }
    f->row_lock = horusi_keep_locks(lock);
    if (!f->row_lock) {
        r = horusi_errno(HORUS_E_SYSTEM, "map", c->path);
        goto out;
    }
    close(lock);
    lock = -1;
    if (!horusi_is_locked(c->pool->fd, row, 1)) {
        r = horusi_fail(HORUS_E_UNSUPPORTED,
                        "%s: a file system (overlayfs?) whose locks end with their descriptor: set "
                        "HORUS_DIR to a tmpfs",
                        c->path);
        goto out;
    }
    horusi_row_begin(c, row, d->label);
    if (created) {
        int e = horusi_name_file(dir, c->pool->fd, "horus");
        if (e != 0) {
            errno = e;
            r = e == EEXIST || e == ENOENT ? HORUS_E_BUSY
                                           : horusi_errno(HORUS_E_SYSTEM, "name", c->path);
            goto out;
        }
    }
    close(gate);
    f->dir_fd = dir;
    return HORUS_OK;
out:
    horusi_drop_locks(f->row_lock);
    f->row_lock = NULL;
    if (lock >= 0)
        close(lock);
    if (gate >= 0)
        close(gate);
    for (horus_pool *next; c->pools; c->pools = next) {
        next = horusi_next(c->pools);
        horusi_pool_free(c->pools);
    }
    c->pool = NULL;
    if (fd >= 0)
        close(fd);
    if (dir >= 0)
        close(dir);
    return r;
}

static horus_result horusi_join(horus_context *c, const horus_context_desc *d)
{
    horus_result r = horusi_locate(c, d);
    if (r != HORUS_OK)
        return r; /* there is no place yet that might be ours to remove */
    uint64_t give_up = horusi_now() + 1000000000u;
    for (int full = 0; r == HORUS_OK;) {
        r = horusi_try_join(c, d);
        /* a row that is being swept counts as taken for a moment */
        bool again = r == HORUS_E_BUSY || (r == HORUS_E_LIMIT && full++ < 5);
        if (!again || (r == HORUS_E_LIMIT && horusi_now() > give_up))
            break;
        if (horusi_now() > give_up)
            return horusi_fail(
                HORUS_E_BUSY,
                "%s: another process has been joining or leaving for over a second; is "
                "it stopped? (fuser %s names it)",
                c->path, c->path);
        struct timespec t = {0, 200000};
        nanosleep(&t, NULL);
        r = HORUS_OK;
    }
    if (r != HORUS_OK && r != HORUS_E_PERMISSION)
        horusi_remove_dir(&c->files); /* ours, if empty */
    return r;
}
#else
static horus_result horusi_attach_all(horus_context *c)
{
    (void)c;
    return HORUS_OK;
}
#endif

/* A context in memory of one process. */
static horus_result horusi_join_private(horus_context **out, const horus_context_desc *d)
{
    horusi_geometry g;
    uint8_t *memory = (uint8_t *)d->memory;
    uint64_t room = memory ? d->memory_bytes : UINT64_MAX, own = 0;
    if (((uintptr_t)memory & 63) != 0)
        return horusi_fail(HORUS_E_ARG, "memory must be 64-byte aligned");
    uint64_t fixed = horusi_round(sizeof(horus_context), 64) + horusi_round(sizeof(horus_pool), 64);
    if (room <= fixed)
        return horusi_fail(HORUS_E_SIZE, "memory of %llu bytes is too small",
                           (unsigned long long)room);
    uint64_t wish = d->pool_bytes ? d->pool_bytes : memory ? d->memory_bytes : 64u << 20;
    horus_result r = horusi_choose(&g, wish, d->granule_bytes, d->block_bytes,
                                   d->max_topics ? d->max_topics
                                   : memory      ? 32
                                                 : 1024,
                                   room - fixed, true);
    if (r == HORUS_E_POOL_FULL)
        r = horusi_fail(HORUS_E_SIZE,
                        "memory of %llu bytes has no room for one granule of %u: give more, or "
                        "smaller granule_bytes and max_topics",
                        (unsigned long long)room, (unsigned)g.granule_bytes);
    if (r != HORUS_OK)
        return r;
    own = fixed + horusi_round(g.end, 64) + horusi_private_bytes(&g);
    if (!memory) {
        memory = (uint8_t *)horusi_map_private(own);
        if (!memory)
            return horusi_no_memory(own);
    } else {
        memset(memory, 0, (size_t)(fixed + g.data));
        memset(memory + fixed + horusi_round(g.end, 64), 0, (size_t)horusi_private_bytes(&g));
    }
    horus_context *c = (horus_context *)(void *)memory;
    horus_pool *p = (horus_pool *)(void *)(memory + horusi_round(sizeof *c, 64));
    horusi_place(p, memory + fixed, &g);
    p->map_bytes = g.end;
    p->rec = (horusi_rec *)(void *)(memory + fixed + horusi_round(g.end, 64));
    p->marks = (uint32_t *)(void *)(p->rec + p->slots);
    p->private_bytes = d->memory ? 0 : own;
    p->fd = -1;
    p->context = c;
    c->pool = c->pools = p;
    c->flags = d->flags | HORUS_PRIVATE;
    c->domain = 1;
    horusi_text(c->name, sizeof c->name, d->name ? d->name : "private");
    horusi_write_header(p->header, &g, c->domain, 0, "");
    horusi_row_begin(c, 0, d->label);
    *out = c;
    return HORUS_OK;
}

horus_result horus_context_open(horus_context **out, const horus_context_desc *desc)
{
    horus_context_desc none = {0};
    const horus_context_desc *d = desc ? desc : &none;
    horus_context *c = NULL;
    if (!out)
        return horusi_fail(HORUS_E_ARG, "context_open: out is NULL");
    *out = NULL;
    if (d->memory || (d->flags & HORUS_PRIVATE))
        return horusi_join_private(out, d);
#if defined(__linux__) && !defined(HORUS_NO_OS)
    c = (horus_context *)HORUS_MALLOC(sizeof *c);
    if (!c)
        return horusi_no_memory(sizeof *c);
    memset(c, 0, sizeof *c);
    c->flags = d->flags;
    sigset_t signals;
    horusi_block_signals(&signals);
    horusi_lock(&horusi_contexts_lock); /* no fork between taking a row and noting it */
    horus_result r = horusi_register();
    if (r == HORUS_OK)
        r = horusi_join(c, d);
    if (r == HORUS_OK) {
        c->next = horusi_contexts;
        horusi_contexts = c;
    }
    horusi_unlock(&horusi_contexts_lock);
    horusi_restore_signals(&signals);
    if (r != HORUS_OK) {
        HORUS_FREE(c);
        return r;
    }
    (void)horusi_sweep(c, HORUSI_DROP_OLD);
    if (d->flags & HORUS_PREFAULT)
        r = horusi_prefault(c->pool);
    if (r != HORUS_OK) {
        horus_context_close(c);
        return r;
    }
    *out = c;
    return HORUS_OK;
#else
    (void)c;
    return horusi_fail(HORUS_E_UNSUPPORTED,
                       "shared contexts need Linux: use HORUS_PRIVATE or memory");
#endif
}

horus_result horus_context_default(horus_context **out)
{
#ifdef HORUS_NO_OS
    if (out)
        *out = NULL;
    return horusi_fail(HORUS_E_UNSUPPORTED, "no default context here: open one in memory of yours");
#else
    horus_result r = HORUS_OK;
    if (!out)
        return horusi_fail(HORUS_E_ARG, "context_default: out is NULL");
    *out = horusi_ldp_acq(N2, &horusi_default);
    if (*out)
        return HORUS_OK;
    sigset_t signals;
    horusi_block_signals(&signals);
    horusi_lock(&horusi_default_lock);
    *out = horusi_ldp_acq(N2, &horusi_default);
    if (!*out) {
        const char *protect = getenv("HORUS_PROTECT");
        horus_context_desc d = {0};
        if (protect && *protect && strcmp(protect, "0") != 0)
            d.flags = HORUS_PROTECT;
        r = horus_context_open(out, &d);
        horusi_stp_rel(N1, &horusi_default, *out);
    }
    horusi_unlock(&horusi_default_lock);
    horusi_restore_signals(&signals);
    return r;
#endif
}

/* The context that a call means: given, or the default. */
static horus_result horusi_context_of(horus_context *given, horus_context **out)
{
    horus_result r = HORUS_OK;
    *out = given;
    if (!given)
        r = horus_context_default(out);
    if (r == HORUS_OK && horusi_is_detached(*out))
        r = horusi_fail(HORUS_E_DETACHED,
                        "this context was opened before fork(): open one in the child");
    return r;
}
static horus_result horusi_pool_of(horus_pool *given, horus_pool **out)
{
    horus_context *c;
    horus_result r = horusi_context_of(given ? given->context : NULL, &c);
    *out = r == HORUS_OK ? given ? given : c->pool : NULL;
    return r;
}

static void horusi_close_topics(horus_context *c); /* see >>handles */

#if defined(__linux__) && !defined(HORUS_NO_OS)
/* Leaves the namespace: gives everything back (`tidy`), and removes the files if nobody else is in.
 */
static void horusi_depart(horus_context *c, bool tidy)
{
    if (tidy) {
        for (horus_pool *p = c->pools; p;
             p = horusi_next(p)) /* free runs that we used go to the system */
            for (uint32_t k = 0; k < HORUSI_REUSE_KEYS; k++)
                for (uint32_t i = 0; i < p->reuse[k].count; i++) {
                    uint32_t g = p->reuse[k].item[i].slot >> p->blocks_log2;
                    if (horusi_kind(horusi_shape(p, g)) == HORUSI_HEAD)
                        (void)horusi_dissolve(p, g, true);
                }
        for (uint32_t tries = 0; !horusi_trylock(&c->sweeping); tries++)
            horusi_give_way(tries);
        horusi_mark_dead(c, c->row);
        (void)horusi_reclaim(c, c->row, HORUSI_DROP_OLD);
    }
    /* a joiner or another leaver may hold the gate for a moment */
    uint64_t give_up = horusi_now() + 1000000000u;
    void *gate;
    horusi_swept.waits = 0;
    while (!(gate = horusi_hold(c, HORUSI_GATE)) && (errno == EBUSY || errno == EAGAIN) &&
           horusi_now() < give_up) {
        struct timespec t = {0, 200000};
        nanosleep(&t, NULL);
    }
    int fd = gate ? horusi_pool_fd(c->pool) : -1;
    bool alone = fd >= 0 && !horusi_is_gone(c);
    for (uint32_t i = 0; alone && i < HORUSI_ROWS; i++)
        alone = i == c->row || !horusi_is_locked(fd, i, 1);
    horusi_done_with(c->pool, fd);
    if (alone)
        horusi_remove(&c->files);
    if (tidy || alone) {
        horusi_drop_locks(c->files.row_lock);
        c->files.row_lock = NULL;
    }
    horusi_drop_locks(gate);
    if (alone)
        horusi_remove_dir(&c->files);
}

/* exit() without a close. Threads that are still running may use what they always used until the
 * process is gone, so nothing is unmapped or freed; and if any other thread ever used the context,
 * what it holds is left to whoever sweeps. */
static void horusi_at_exit(void)
{
    for (horus_context *c = horusi_contexts; c; c = c->next) {
        uint32_t solo = horusi_ld32_acq(N2, &c->alone.solo);
        bool tidy =
            (solo == 0 || solo == horusi_thread_id()) && horusi_ld32_rlx(own, &c->runs) == 0;
        horusi_depart(c, tidy);
        if (tidy) /* destructors that run later may still close what they opened */
            horusi_st32_rel(fork, &c->detached, HORUSI_AT_EXIT);
    }
}
#endif

void horus_context_close(horus_context *c)
{
    if (!c)
        return;
#ifndef HORUS_NO_OS
    sigset_t signals;
    horusi_block_signals(&signals);
    horusi_lock(&horusi_default_lock);
    if (horusi_ldp_acq(N2, &horusi_default) == c)
        horusi_stp_rel(N1, &horusi_default, NULL);
    horusi_unlock(&horusi_default_lock);
    horusi_restore_signals(&signals);
#endif
    if (c->pool->fd < 0) {
        horusi_close_topics(c);
        while (c->outs)
            (void)horusi_end_closed(c, c->pool, false);
#ifndef HORUS_NO_OS
        if (c->pool->private_bytes)
            munmap(c, (size_t)c->pool->private_bytes);
#endif
        return;
    }
#if defined(__linux__) && !defined(HORUS_NO_OS)
    bool attached = !horusi_is_detached(c);
    horusi_block_signals(&signals);
    horusi_lock(&horusi_contexts_lock);
    for (horus_context **l = &horusi_contexts; *l; l = &(*l)->next)
        if (*l == c) {
            *l = c->next;
            break;
        }
    if (attached) {
        horusi_close_topics(c);
        horusi_depart(c, true);
    }
    for (horusi_out *o = c->outs, *next; o; o = next) {
        next = o->next_out;
        horusi_delete(c, o->refs);
        horusi_delete(c, o);
    }
    for (horus_pool *p = c->pools, *next; p; p = next) {
        next = horusi_next(p);
        if (attached) /* a child's views stay readable */
            horusi_pool_free(p);
    }
    if (attached) {
        horusi_close_kept(c->files.dir_fd, c->files.dir_dev, c->files.dir_ino);
        HORUS_FREE(c);
    }
    horusi_unlock(&horusi_contexts_lock);
    horusi_restore_signals(&signals);
#endif
}

/* ------------------------------------------------------------------------------------ >>frames
 *
 * The public face of contexts, pools and slots: statistics, audit, and handles. */

horus_result horus_context_get_info(horus_context *context, horus_context_info *out)
{
    horus_context *c;
    if (!out)
        return horusi_fail(HORUS_E_ARG, "context_get_info: out is NULL");
    memset(out, 0, sizeof *out);
    horus_result r = horusi_context_of(context, &c);
    if (r != HORUS_OK)
        return r;
    horusi_text(out->name, sizeof out->name, c->name);
    horusi_text(out->path, sizeof out->path, c->path);
    out->row = c->row;
    for (uint32_t i = 0; i < c->pool->row_count; i++)
        out->processes +=
            horusi_low(horusi_ld64_acq(R2, &c->pool->rows[i].word)) == HORUSI_ROW_LIVE &&
            !horusi_row_is_dead(c, i);
    for (uint32_t i = 0; i < c->pool->max_topics; i++) {
        uint64_t w = horusi_ld64_seq(D, &c->pool->directory[i]);
        uint32_t s;
        if (w != 0 && horusi_dir_acquire(c->pool, w, &s)) {
            out->topics++;
            horusi_release(c->pool, s);
        }
    }
    return HORUS_OK;
}

horus_result horus_context_sweep(horus_context *context, uint32_t *rows)
{
    horus_context *c;
    if (rows)
        *rows = 0;
    horus_result r = horusi_context_of(context, &c);
    if (r != HORUS_OK)
        return r;
    uint32_t n = horusi_sweep(c, HORUSI_DROP_OLD);
    r = horusi_swept.result; /* its text is still there */
#if defined(__linux__) && !defined(HORUS_NO_OS)
    if (horusi_swept.error != 0) {
        errno = horusi_swept.error;
        r = horusi_errno(HORUS_E_SYSTEM, "sweep", c->path);
    }
#endif
    horusi_lock(&c->lock);
    (void)horusi_end_closed(c, NULL, false);
    horusi_unlock(&c->lock);
    if (rows)
        *rows = r == HORUS_OK ? n : 0;
    return r;
}

horus_result horus_pool_open(horus_pool **out, const char *name, const horus_pool_desc *desc)
{
    horus_pool_desc none = {0};
    const horus_pool_desc *d = desc ? desc : &none;
    horus_context *c;
    if (!out)
        return horusi_fail(HORUS_E_ARG, "pool_open: out is NULL");
    *out = NULL;
    horus_result r = horusi_context_of(d->context, &c);
    if (r != HORUS_OK)
        return r;
    if (!name || strcmp(name, "default") == 0) {
        *out = c->pool;
        return HORUS_OK;
    }
    r = horusi_check_name("pool", name);
    if (r != HORUS_OK)
        return r;
#if defined(__linux__) && !defined(HORUS_NO_OS)
    if (c->pool->fd < 0)
        return horusi_fail(HORUS_E_UNSUPPORTED, "a private context has one pool");
    char file[320];
    horusi_pool_file(name, file, sizeof file);
    uint32_t id = horusi_hash(name, strlen(name), 2166136261u) | 1;
    horusi_lock(&c->lock);
    horus_pool *p = c->pools;
    while (p && strcmp(p->name, name) != 0)
        p = horusi_next(p);
    int dir = p ? -1 : horusi_reopen_dir(&c->files);
    if (!p && dir < 0)
        r = errno == ENOENT ? HORUS_E_BUSY
                            : horusi_errno(HORUS_E_SYSTEM, "open the directory of", file);
    for (int tries = 0; dir >= 0 && !p && tries < 100; tries++) {
        r = horusi_pool_attach(c, dir, file, d->flags, &p);
        if (r != HORUS_E_NOT_FOUND)
            break;
        horusi_geometry g;
        int fd = -1;
        r = horusi_choose(&g, d->pool_bytes ? d->pool_bytes : 1u << 30, d->granule_bytes,
                          d->block_bytes, 0, horusi_room(dir), false);
        if (r == HORUS_OK)
            r = horusi_pool_build(&c->files, dir, &g, c->domain, id, name, &fd);
        if (r == HORUS_OK) {
            int e = horusi_name_file(dir, fd, file);
            errno = e;
            r = e == 0 || e == EEXIST || e == ENOENT ? HORUS_E_BUSY
                                                     : horusi_errno(HORUS_E_SYSTEM, "name", file);
        }
        if (fd >= 0)
            close(fd);
        if (r != HORUS_E_BUSY) /* or else it is there now, or its directory is gone */
            break;
    }
    if (dir >= 0)
        close(dir);
    horusi_unlock(&c->lock);
    if (r == HORUS_OK && (d->flags & HORUS_PREFAULT))
        r = horusi_prefault(p);
    if (r == HORUS_OK)
        *out = p;
    return r == HORUS_E_BUSY ? horusi_fail(HORUS_E_GONE, "%s was removed under us", c->path) : r;
#else
    return horusi_fail(HORUS_E_UNSUPPORTED, "one pool only here");
#endif
}
/* A pool stays mapped until its context closes: frames of it may be anywhere. */
void horus_pool_close(horus_pool *pool) { (void)pool; }

HORUSI_HOT bool horusi_is_valid(const horus_frame *f)
{
    return f && f->pool && !horusi_is_detached(f->pool->context) && f->slot < f->pool->slots &&
           horusi_ld32_acq(N2, &f->pool->rec[f->slot].count) > 0 &&
           horusi_ld32_rlx(N2, &f->pool->rec[f->slot].generation) == f->generation;
}
static horus_result horusi_closed(const char *what)
{
    return horusi_fail(HORUS_E_CLOSED, "%s: the frame was released, or never held", what);
}
static uint32_t horusi_flags(const horus_frame *f)
{
    return horusi_ld32_rlx(own, &f->pool->slot[f->slot].flags);
}

horus_result horus_frame_alloc(horus_frame *out, horus_pool *pool, uint64_t bytes, uint32_t flags,
                               void **data)
{
    horus_pool *p;
    uint32_t s = 0;
    void *at = NULL;
    if (data)
        *data = NULL;
    if (!out)
        return horusi_fail(HORUS_E_ARG, "frame_alloc: out is NULL");
    memset(out, 0, sizeof *out);
    horus_result r = horusi_pool_of(pool, &p);
    if (r == HORUS_OK)
        r = horusi_alloc(p, bytes, !(flags & HORUS_UNINIT), NULL, &s, &at);
    if (r != HORUS_OK)
        return r;
    out->pool = p;
    out->slot = s;
    out->generation = horusi_ld32_rlx(own, &p->rec[s].generation);
    if (data)
        *data = at;
    return HORUS_OK;
}

horus_result horus_frame_hold(const horus_frame *f)
{
    if (!horusi_is_valid(f))
        return horusi_closed("frame_hold");
    horusi_enter(f->pool, f->slot);
    return HORUS_OK;
}

horus_result horus_frame_release(horus_frame *f)
{
    horus_result r = HORUS_OK;
    if (!f || !f->pool)
        return horusi_closed("frame_release");
    if (!horusi_is_detached(f->pool->context)) { /* a child's views hold nothing */
        if (horusi_is_valid(f))
            horusi_release(f->pool, f->slot);
        else
            r = horusi_closed("frame_release");
    }
    memset(f, 0, sizeof *f);
    return r;
}

horus_result horus_frame_data(const horus_frame *f, void **data, uint64_t *bytes)
{
    if (data)
        *data = NULL;
    if (bytes)
        *bytes = 0;
    if (!horusi_is_valid(f))
        return horusi_closed("frame_data");
    uint64_t room, asked = horusi_ld64_rlx(own, &f->pool->slot[f->slot].bytes);
    void *at = horusi_at(f->pool, f->slot, &room);
    if (data)
        *data = at;
    if (bytes)
        *bytes = asked < room ? asked : room;
    return HORUS_OK;
}

bool horus_frame_published(const horus_frame *f)
{
    return horusi_is_valid(f) && (horusi_flags(f) & HORUSI_PUBLISHED) != 0;
}

uint32_t horus_frame_holders(const horus_frame *f)
{
    uint32_t n = 0;
    if (!horusi_is_valid(f))
        return 0;
    for (uint32_t i = 0; i < HORUSI_MASKS; i++)
        for (uint64_t w = horusi_ld64_acq(S4, &f->pool->slot[f->slot].holders[i]); w; w &= w - 1)
            n++;
    return n;
}

static horus_result horusi_may_write(const horus_frame *f, const char *what)
{
    if (!horusi_is_valid(f))
        return horusi_closed(what);
    if (horusi_flags(f) & HORUSI_PUBLISHED)
        return horusi_fail(HORUS_E_READONLY,
                           "%s: the frame is published; copy() gives a writable one", what);
    return HORUS_OK;
}

horus_result horus_frame_set_id(const horus_frame *f, const char *id)
{
    char text[HORUS_FRAME_ID_BYTES] = {0};
    horus_result r = horusi_may_write(f, "frame_set_id");
    if (r != HORUS_OK)
        return r;
    if (!id)
        return horusi_fail(HORUS_E_ARG, "frame_set_id: id is NULL");
    if (strlen(id) >= sizeof text)
        return horusi_fail(HORUS_E_SIZE, "frame id \"%.20s...\": %llu bytes, the limit is %u", id,
                           (unsigned long long)strlen(id), (unsigned)sizeof text - 1);
    memcpy(text, id, strlen(id));
    for (size_t i = 0; i < sizeof text / 8; i++) {
        uint64_t v;
        memcpy(&v, text + 8 * i, 8);
        horusi_st64_rlx(own, &f->pool->slot[f->slot].frame_id[i], v);
    }
    return HORUS_OK;
}
horus_result horus_frame_get_id(const horus_frame *f, char *out)
{
    if (!out)
        return horusi_fail(HORUS_E_ARG, "frame_get_id: out is NULL");
    memset(out, 0, HORUS_FRAME_ID_BYTES);
    if (!horusi_is_valid(f))
        return horusi_closed("frame_get_id");
    for (size_t i = 0; i < HORUS_FRAME_ID_BYTES / 8; i++) {
        uint64_t v = horusi_ld64_rlx(own, &f->pool->slot[f->slot].frame_id[i]);
        memcpy(out + 8 * i, &v, 8);
        if (memchr(&v, 0, 8))
            break; /* what lies behind may be of an earlier use */
    }
    out[HORUS_FRAME_ID_BYTES - 1] = 0;
    return HORUS_OK;
}
horus_result horus_frame_set_time(const horus_frame *f, uint64_t timestamp_ns)
{
    horus_result r = horusi_may_write(f, "frame_set_time");
    if (r == HORUS_OK)
        horusi_st64_rlx(own, &f->pool->slot[f->slot].time_ns, timestamp_ns);
    return r;
}
horus_result horus_frame_get_time(const horus_frame *f, uint64_t *timestamp_ns)
{
    if (!timestamp_ns)
        return horusi_fail(HORUS_E_ARG, "frame_get_time: out is NULL");
    *timestamp_ns = 0;
    if (!horusi_is_valid(f))
        return horusi_closed("frame_get_time");
    *timestamp_ns = horusi_ld64_rlx(own, &f->pool->slot[f->slot].time_ns);
    return HORUS_OK;
}

/* ---- the books */

/* Calls `each` for every header that somebody holds. */
static void horusi_each_held(horus_pool *p, void (*each)(void *user, horus_pool *p, uint32_t s),
                             void *user)
{
    for (uint32_t g = 0; g < p->granules; g++) {
        uint32_t used = horusi_ld32_acq(G2, &p->granule[g].used);
        for (uint32_t b = 0; b < used && b < 1u << p->blocks_log2; b++)
            if (horusi_is_held(p, (g << p->blocks_log2) + b))
                each(user, p, (g << p->blocks_log2) + b);
    }
}
static void horusi_count_slot(void *user, horus_pool *p, uint32_t s)
{
    horus_pool_stats *st = (horus_pool_stats *)user;
    uint64_t offset;
    uint64_t room =
        horusi_slot_room(p, s, horusi_shape(p, s >> p->blocks_log2) & ~HORUSI_MINE, &offset);
    st->used_bytes += room;
    st->used_slots += room != 0;
}

horus_result horus_pool_get_stats(horus_pool *pool, horus_pool_stats *out)
{
    horus_pool *p;
    if (!out)
        return horusi_fail(HORUS_E_ARG, "pool_get_stats: out is NULL");
    memset(out, 0, sizeof *out);
    horus_result r = horusi_pool_of(pool, &p);
    if (r != HORUS_OK)
        return r;
    out->data_bytes = (uint64_t)p->granules * p->granule_bytes;
    out->max_slots = p->slots;
    out->granule_bytes = p->granule_bytes;
    out->block_bytes = p->block_bytes;
    horusi_each_held(p, horusi_count_slot, out);
    out->free_bytes =
        out->data_bytes - (out->used_bytes < out->data_bytes ? out->used_bytes : out->data_bytes);
    for (uint32_t g = 0; g < p->granules; g++)
        out->committed_bytes +=
            horusi_ld32_acq(G2, &p->granule[g].commit) == HORUSI_BACKED ? p->granule_bytes : 0;
    return HORUS_OK;
}

horus_result horus_pool_trim(horus_pool *pool, uint64_t *freed)
{
    horus_pool *p;
    uint32_t before = 0, after = 0;
    if (freed)
        *freed = 0;
    horus_result r = horusi_pool_of(pool, &p);
    if (r != HORUS_OK)
        return r;
    if (p->fd < 0)
        return horusi_fail(HORUS_E_UNSUPPORTED, "pool_trim: no file behind this pool");
    for (uint32_t g = 0; g < p->granules; g++)
        before += horusi_ld32_acq(G2, &p->granule[g].commit) == HORUSI_BACKED;
    for (uint32_t g = 0, n; g < p->granules; g += n) {
        uint32_t head;
        n = 1;
        if (horusi_kind(horusi_shape(p, g)) != HORUSI_FREE) {
            if (horusi_looks_free(p, g, &head))
                (void)horusi_dissolve(p, g, true);
            continue;
        }
        if (horusi_ld32_acq(G2, &p->granule[g].commit) == HORUSI_EMPTY)
            continue;
        while (g + n < p->granules && horusi_kind(horusi_shape(p, g + n)) == HORUSI_FREE &&
               horusi_ld32_acq(G2, &p->granule[g + n].commit) != HORUSI_EMPTY)
            n++;
        if (horusi_claim(p, g, n, horusi_own(HORUSI_HEAD, n))) {
            horusi_untake(p, g << p->blocks_log2);
            (void)horusi_dissolve(p, g, true);
        }
    }
    for (uint32_t g = 0; g < p->granules; g++)
        after += horusi_ld32_acq(G2, &p->granule[g].commit) == HORUSI_BACKED;
    if (freed)
        *freed = before > after ? (uint64_t)(before - after) * p->granule_bytes : 0;
    return HORUS_OK;
}

typedef struct horusi_auditor {
    horus_audit *audit;
    void (*each)(void *user, const horus_holder *holder);
    void *user;
    horus_context *context;
} horusi_auditor;

/* Finds why row `row` holds slot s: a ring entry, a ring, or a topic. */
static bool horusi_why(horus_context *c, horus_pool *p, uint32_t s, uint32_t row, horus_holder *h)
{
    horus_pool *primary = c->pool;
    uint32_t g = horusi_high(horusi_ld64_acq(S2, &p->slot[s].word));
    for (uint32_t i = 0; i < primary->max_topics; i++) {
        uint64_t w = horusi_ld64_seq(D, &primary->directory[i]);
        uint32_t ts, max_lanes, max_subs;
        if (w == 0 || !horusi_dir_acquire(primary, w, &ts))
            continue;
        horusi_topic *t = horusi_topic_at(primary, ts, &max_lanes, &max_subs);
        bool is_topic = t && p == primary && ts == s;
        if (is_topic && h->alive)
            h->internal = true;
        for (uint32_t k = 0; t && k < max_lanes && !h->ring; k++) {
            horusi_lane *lane = &horusi_lanes(t)[k];
            uint64_t owner = horusi_ld64_acq(L2, &lane->word);
            horusi_ring ring;
            if (is_topic && horusi_owner_state(owner) >= HORUSI_LANE_LIVE &&
                horusi_owner_row(owner) == row)
                h->internal = true; /* the dead hold a topic for their rings alone */
            if (horusi_owner_state(owner) < HORUSI_LANE_LIVE ||
                !horusi_ring_acquire(primary, t, max_subs, lane, &ring))
                continue;
            if (p == primary && ring.slot == s && ring.generation == g &&
                (h->alive || horusi_owner_row(owner) == row))
                h->internal = true;
            for (uint32_t e = 0; e < ring.capacity && horusi_owner_row(owner) == row; e++) {
                horusi_entry *entry = horusi_entry_at(ring.entries, ring.stride, e);
                horusi_wire wire;
                if (horusi_entry_frame(entry, horusi_ld64_acq(C1, &entry->seq) / 2, &wire) &&
                    wire.pool_id == p->id && wire.slot == s && wire.generation == g)
                    h->ring = true;
            }
            horusi_release(primary, ring.slot);
        }
        if (t && (h->ring || h->internal))
            horusi_text(h->topic, sizeof h->topic, t->name);
        horusi_dir_release(primary, &primary->directory[i], w, ts);
        if (h->ring || h->internal)
            return true;
    }
    return false;
}

static void horusi_contradiction(horus_audit *a, uint32_t *count, const char *what, uint32_t where)
{
    (*count)++;
    if (a->first[0])
        return;
#ifdef HORUS_NO_OS
    (void)where;
    horusi_text(a->first, sizeof a->first, what);
#else
    (void)snprintf(a->first, sizeof a->first, "%s (at %u)", what, (unsigned)where);
#endif
}

static void horusi_audit_slot(void *user, horus_pool *p, uint32_t s)
{
    horusi_auditor *a = (horusi_auditor *)user;
    horus_context *c = a->context;
    uint64_t offset, room;
    room = horusi_slot_room(p, s, horusi_shape(p, s >> p->blocks_log2) & ~HORUSI_MINE, &offset);
    if (room == 0) {
        horusi_contradiction(a->audit, &a->audit->misshapen, "a held slot has no memory", s);
        return;
    }
    a->audit->slots++;
    a->audit->bytes += room;
    for (uint32_t row = 0; row < c->pool->row_count; row++) {
        if (!(horusi_ld64_acq(S4, &p->slot[s].holders[row / 64]) >> (row % 64) & 1))
            continue;
        horus_holder h;
        horusi_row *r = &c->pool->rows[row];
        memset(&h, 0, sizeof h);
        h.slot = s;
        h.generation = horusi_high(horusi_ld64_acq(S2, &p->slot[s].word));
        h.offset_bytes = offset;
        h.bytes = room;
        h.row = row;
        h.pid = (int32_t)horusi_ld32_rlx(own, &r->pid);
        for (size_t i = 0; i < 4; i++) {
            uint64_t v = horusi_ld64_rlx(own, &r->label[i]);
            memcpy(h.label + 8 * i, &v, 8);
        }
        h.label[sizeof h.label - 1] = 0;
        h.alive = horusi_low(horusi_ld64_acq(R2, &r->word)) == HORUSI_ROW_LIVE;
        bool known = horusi_why(c, p, s, row, &h);
        if (!h.alive && !known)
            horusi_contradiction(a->audit, &a->audit->leaked, "a dead process holds a slot", s);
        a->audit->holders++;
        if (a->each)
            a->each(a->user, &h);
    }
}

horus_result horus_pool_audit(horus_pool *pool, horus_audit *out,
                              void (*each)(void *user, const horus_holder *holder), void *user)
{
    horus_pool *p;
    if (!out)
        return horusi_fail(HORUS_E_ARG, "pool_audit: out is NULL");
    memset(out, 0, sizeof *out);
    horus_result r = horusi_pool_of(pool, &p);
    if (r != HORUS_OK)
        return r;
    horus_context *c = p->context;
    horusi_auditor a = {out, each, user, c};
    horusi_each_held(p, horusi_audit_slot, &a);
    for (uint32_t g = 0; g < p->granules; g++) { /* the map against itself */
        uint32_t own = horusi_shape(p, g), v = horusi_value(own), first = g << p->blocks_log2;
        if (horusi_kind(own) == HORUSI_SPLIT && v >= p->blocks_log2)
            horusi_contradiction(out, &out->misshapen, "a granule is split to an impossible class",
                                 g);
        if (horusi_kind(own) == HORUSI_BODY &&
            (v >= g || horusi_kind(horusi_shape(p, v)) != HORUSI_HEAD ||
             horusi_value(horusi_shape(p, v)) <= g - v))
            horusi_contradiction(out, &out->misshapen, "a run's body has no head", g);
        if (horusi_kind(own) != HORUSI_HEAD)
            continue;
        if (v == 0 || v > p->granules - g)
            horusi_contradiction(out, &out->misshapen, "a run is longer than the pool", g);
        else if (horusi_has_header(p, first) && horusi_is_held(p, first))
            for (uint32_t i = 1; i < v; i++)
                if (horusi_shape(p, g + i) != horusi_own(HORUSI_BODY, g))
                    horusi_contradiction(out, &out->misshapen, "a held run lacks a body", g + i);
    }
    for (uint32_t i = 0; i < c->pool->max_topics; i++) { /* rings against headers */
        uint64_t w = horusi_ld64_seq(D, &c->pool->directory[i]);
        uint32_t ts, max_lanes, max_subs;
        if (w == 0 || !horusi_dir_acquire(c->pool, w, &ts))
            continue;
        horusi_topic *t = horusi_topic_at(c->pool, ts, &max_lanes, &max_subs);
        for (uint32_t k = 0; t && k < max_lanes; k++) {
            horusi_lane *lane = &horusi_lanes(t)[k];
            uint64_t owner = horusi_ld64_acq(L2, &lane->word);
            uint32_t row = horusi_owner_row(owner) % HORUSI_ROWS;
            horusi_ring ring;
            if (horusi_owner_state(owner) < HORUSI_LANE_LIVE)
                continue;
            if (!horusi_ring_acquire(c->pool, t, max_subs, lane, &ring)) {
                horusi_contradiction(out, &out->unpinned, "a ring's memory is gone", k);
                continue;
            }
            for (uint32_t e = 0; e < ring.capacity; e++) {
                horusi_entry *entry = horusi_entry_at(ring.entries, ring.stride, e);
                horusi_wire wire;
                if (!horusi_entry_frame(entry, horusi_ld64_acq(C1, &entry->seq) / 2, &wire) ||
                    wire.pool_id != p->id)
                    continue;
                if (ring.claims &&
                    horusi_claim_state(horusi_ld64_acq(K2, &ring.claims[e])) == HORUSI_CLAIM_DONE)
                    continue;
                bool held =
                    horusi_has_header(p, wire.slot) &&
                    horusi_high(horusi_ld64_acq(S2, &p->slot[wire.slot].word)) == wire.generation &&
                    (horusi_ld64_acq(S4, &p->slot[wire.slot].holders[row / 64]) >> (row % 64) & 1);
                if (!held)
                    horusi_contradiction(out, &out->unpinned, "a ring entry's slot is not held",
                                         wire.slot);
            }
            horusi_release(c->pool, ring.slot);
        }
        horusi_dir_release(c->pool, &c->pool->directory[i], w, ts);
    }
    out->balanced = out->leaked == 0 && out->misshapen == 0 && out->unpinned == 0;
    return HORUS_OK;
}

/* The error of a full pool, or (`backed` false) of a full file system: who holds how much of it. */
typedef struct horusi_census {
    uint64_t bytes[HORUSI_ROWS];
    uint32_t slots[HORUSI_ROWS];
} horusi_census;
static void horusi_census_slot(void *user, horus_pool *p, uint32_t s)
{
    horusi_census *n = (horusi_census *)user;
    uint64_t offset;
    uint64_t room =
        horusi_slot_room(p, s, horusi_shape(p, s >> p->blocks_log2) & ~HORUSI_MINE, &offset);
    for (uint32_t row = 0; row < p->context->pool->row_count; row++)
        if (horusi_ld64_acq(S4, &p->slot[s].holders[row / 64]) >> (row % 64) & 1) {
            n->bytes[row] += room;
            n->slots[row]++;
        }
}
static horus_result horusi_pool_full(horus_pool *p, uint64_t bytes, bool backed)
{
#ifdef HORUS_NO_OS
    (void)p, (void)bytes, (void)backed, (void)horusi_census_slot, (void)horusi_pool_room;
    return horusi_fail(HORUS_E_POOL_FULL, "the pool is full");
#else
    horusi_census n;
    char who[150] = "";
    size_t at = 0;
    memset(&n, 0, sizeof n);
    horusi_each_held(p, horusi_census_slot, &n);
    for (int k = 0; k < 3; k++) {
        uint32_t top = 0;
        for (uint32_t row = 1; row < HORUSI_ROWS; row++)
            if (n.bytes[row] > n.bytes[top])
                top = row;
        if (n.bytes[top] == 0)
            break;
        char label[33] = "";
        for (size_t i = 0; i < 4; i++) {
            uint64_t v = horusi_ld64_rlx(own, &p->context->pool->rows[top].label[i]);
            memcpy(label + 8 * i, &v, 8);
        }
        label[31] = 0;
        int w = snprintf(who + at, sizeof who - at, "%s %s (pid %u) %u slots, %llu KiB",
                         k ? ";" : ": held by", label,
                         (unsigned)horusi_ld32_rlx(own, &p->context->pool->rows[top].pid),
                         (unsigned)n.slots[top], (unsigned long long)(n.bytes[top] >> 10));
        if ((size_t)w >= sizeof who - at) {
            who[at] = 0; /* who does not fit is left out */
            break;
        }
        at += (size_t)w;
        n.bytes[top] = 0;
    }
    if (!backed) {
        uint64_t room = horusi_pool_room(p);
        char left[40] = "";
        if (room != UINT64_MAX)
            (void)snprintf(left, sizeof left, "%llu KiB are free; ",
                           (unsigned long long)room >> 10);
        return horusi_fail(HORUS_E_POOL_FULL,
                           "no memory for %llu bytes in the file system of pool %s (%sdocker: "
                           "--shm-size)%s",
                           (unsigned long long)bytes, p->name[0] ? p->name : "default", left, who);
    }
    return horusi_fail(HORUS_E_POOL_FULL, "pool %s has no %llu bytes free of %llu KiB%s",
                       p->name[0] ? p->name : "default", (unsigned long long)bytes,
                       (unsigned long long)p->granules * p->granule_bytes >> 10, who);
#endif
}

/* ------------------------------------------------------------------------------------ >>handles
 *
 * A topic is a set of single-writer rings ("lanes"), one per sending handle. No two publishers ever
 * write the same word, so none can stall another, and nothing is ever half-claimed. A reader keeps
 * its own place in each ring and finds out from the entries themselves what is new and what it
 * lost.
 *
 * reliable: each reader publishes its place (a cursor per ring), and the publisher does not pass
 * the slowest live one. queue: each entry has a claim word; a consumer moves it READY -> TAKEN ->
 * DONE, the sweep of a dead consumer moves it back, and the publisher overwrites only what is DONE.
 *
 * Sleeping. A reader sets its row's bit in the topic, looks once more, and sleeps on its row's
 * doorbell; a publisher, once `may_sleep` says that somebody ever slept, looks at the bits after
 * each send. Whatever may end a sleep is stored before the bits are looked at, and read after the
 * bit was set, all of it sequentially consistent: a message, a new ring, a claim or a place given
 * back. Sleeps are slices of at most 100 ms: a publisher may die between sending and ringing. */

typedef struct horusi_in { /* a reader's place in one ring */
    horusi_ring ring;
    uint64_t ref;   /* the lane's word for it */
    uint64_t next;  /* sequence to read next */
    uint64_t begin; /* where it stood at the opening: what lies before is history */
    uint32_t index;
    uint32_t lane;      /* which */
    uint32_t publisher; /* as a reader is told */
    bool gone;          /* the lane is over: read what is left, then let go */
} horusi_in;

static bool horusi_is_queue(const horusi_in *in) { return in->ring.claims != NULL; }

struct horus_topic {
    horus_context *context;
    horus_topic *next;
    horusi_use use;
    horusi_ref ref;
    horusi_topic *shm;
    uint32_t type_tag, max_lanes, max_subs, message_bytes, capacity, clock;
    uint32_t least_bytes, most_bytes; /* sizes that need no check; none if most is 0 */
    uint32_t plain_span;              /* plain ones: from least_bytes so far up */
    bool own_capacity, received, sent;
    uint64_t sleeps_since; /* when this handle said that it sleeps here; 0: not yet */
    const horus_type *type;
    horusi_sub *sub;
    uint32_t sub_index;
    uint64_t sub_word;
    horusi_out *out;
    horusi_out *plain; /* the same, once all that is done at the first send is done */
    horusi_in *in;
    horusi_in *only; /* the one ring to read: no queue, and not over; NULL: it is not so simple */
    uint64_t stamp;  /* of the message read last */
    uint32_t streak; /* messages that were sent hard upon each other */
    uint32_t in_count, in_room, turn, version, redeliver;
    uint64_t lost; /* not yet told */
    uint64_t taken;
    uint64_t ended, unseen; /* messages of ended rings: counted so far, and not accounted for */
    horusi_a64 *claim;      /* queue: what we have */
    uint64_t claim_word;
    uint64_t base_ticks, base_ns, span; /* stamps: one pair of readings, and how far it serves */
    double ns_per_tick;
};

#ifdef HORUS_STATIC
#define HORUSI_DEFINE static
#else
#define HORUSI_DEFINE
#endif
HORUSI_DEFINE const horus_type horus_image_type = {"Image", "image", NULL, 0, HORUS_KIND_IMAGE};
HORUSI_DEFINE const horus_type horus_depth_type = {"DepthImage", "depthimage", NULL, 0,
                                                   HORUS_KIND_DEPTH};
HORUSI_DEFINE const horus_type horus_cloud_type = {"PointCloud", "pointcloud", NULL, 0,
                                                   HORUS_KIND_CLOUD};
HORUSI_DEFINE const horus_type horus_tensor_type = {"Tensor", "tensor", NULL, 0, HORUS_KIND_TENSOR};

#define HORUSI_X(snake, name, topic)                                                               \
    HORUSI_MESSAGE_TYPE(HORUSI_DEFINE, snake, #name, topic, HORUS_##snake##_FIELDS)
HORUS_MESSAGES(HORUSI_X)
#undef HORUSI_X

uint32_t horus_type_tag(const horus_type *type)
{
    uint32_t h = 2166136261u, n = 0;
    if (!type)
        return 0;
    h = horusi_hash(type->name, strlen(type->name), h);
    uint32_t numbers[3] = {type->size, type->kind, 0};
    h = horusi_hash(numbers, sizeof numbers, h);
    const horus_field *f = type->fields ? type->fields(&n) : NULL;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t what[4] = {f[i].offset, f[i].count, f[i].scalar, horus_type_tag(f[i].nested)};
        h = horusi_hash(f[i].name, strlen(f[i].name) + 1, h);
        h = horusi_hash(what, sizeof what, h);
    }
    return h ? h : 1;
}
static bool horusi_is_variable(const horus_type *type)
{
    uint32_t n = 0;
    const horus_field *f = type && type->fields ? type->fields(&n) : NULL;
    for (uint32_t i = 0; i < n; i++)
        if (f[i].count == 0 || (f[i].nested && horusi_is_variable(f[i].nested)))
            return true;
    return false;
}

horus_result horus_message_append(void *message, size_t room, size_t *bytes, horus_array *field,
                                  const void *elements, size_t count, size_t elem_bytes)
{
    if (!message || !bytes || !field || (!elements && count) || elem_bytes == 0)
        return horusi_fail(HORUS_E_ARG, "message_append: a NULL argument, or elements of 0 bytes");
    size_t at = (*bytes + 7) & ~(size_t)7;
    if (at < *bytes || at > room || count > (room - at) / elem_bytes || count > UINT32_MAX ||
        at > UINT32_MAX)
        return horusi_fail(HORUS_E_SIZE, "message_append: %llu elements of %llu bytes do not fit",
                           (unsigned long long)count, (unsigned long long)elem_bytes);
    memset((uint8_t *)message + *bytes, 0, at - *bytes);
    if (count)
        memcpy((uint8_t *)message + at, elements, count * elem_bytes);
    field->offset = (uint32_t)at;
    field->count = (uint32_t)count;
    *bytes = at + count * elem_bytes;
    return HORUS_OK;
}
horus_result horus_message_array(const void *message, size_t bytes, const horus_array *field,
                                 size_t elem_bytes, const void **out, size_t *count)
{
    if (out)
        *out = NULL;
    if (count)
        *count = 0;
    if (!message || !field || !out || !count || elem_bytes == 0)
        return horusi_fail(HORUS_E_ARG, "message_array: a NULL argument, or elements of 0 bytes");
    horus_array a = *field;
    if (a.count == 0)
        return HORUS_OK;
    if (a.offset > bytes || a.count > (bytes - a.offset) / elem_bytes)
        return horusi_fail(HORUS_E_CORRUPT,
                           "message_array: %u elements at %u lie outside %llu bytes",
                           (unsigned)a.count, (unsigned)a.offset, (unsigned long long)bytes);
    *out = (const uint8_t *)message + a.offset;
    *count = a.count;
    return HORUS_OK;
}

/* ---- time */

/* n * factor as a whole number. Both come from shared memory: what 64 bits cannot hold is 0. */
static uint64_t horusi_times(uint64_t n, double factor)
{
    double v = (double)(int64_t)n * factor;
    return v > -9e18 && v < 9e18 ? (uint64_t)(int64_t)v : 0;
}
/* A reader converts stamps by a pair of readings that is renewed before it drifts. */
HORUSI_COLD void horusi_new_base(horus_topic *t)
{
    uint64_t first_ticks = horusi_ld64_rlx(own, &t->context->pool->header->clock_ticks);
    uint64_t first_ns = horusi_ld64_rlx(own, &t->context->pool->header->clock_ns);
    horusi_clock_pair(t->clock, &t->base_ticks, &t->base_ns);
    uint64_t elapsed = t->base_ticks - first_ticks;
    t->ns_per_tick = elapsed ? (double)(t->base_ns - first_ns) / (double)elapsed : 0;
    t->span = elapsed < 1000000000u ? elapsed : 1000000000u; /* under a second */
}
HORUSI_HOT uint64_t horusi_stamp_ns(horus_topic *t, uint64_t ticks)
{
    if (t->clock == 0)
        return ticks;
    if (horusi_rarely(ticks - t->base_ticks + t->span > 2 * t->span))
        horusi_new_base(t);
    return t->base_ns + horusi_times(ticks - t->base_ticks, t->ns_per_tick);
}

/* ---- handles */

HORUSI_HOT horus_result horusi_begin(horus_topic *t, const char *what)
{
    if (!t)
        return horusi_fail(HORUS_E_ARG, "%s: topic is NULL", what);
    if (horusi_rarely(!horusi_use_begin(&t->use, HORUSI_USED)))
        return horusi_fail(HORUS_E_BUSY,
                           "%s: another thread is using this handle: open one per thread", what);
    if (!horusi_is_detached(t->context))
        return HORUS_OK;
    horusi_use_end(&t->use);
    return horusi_fail(HORUS_E_DETACHED, "%s: opened before fork(): open it again in the child",
                       what);
}
HORUSI_HOT horus_result horusi_end(horus_topic *t, horus_result r)
{
    horusi_use_end(&t->use);
    return r;
}

/* The entry that a send will write is in the cache of whoever polls it: call for it at once. */
HORUSI_HOT horusi_entry *horusi_fetch_entry(const horusi_out *o)
{
    horusi_entry *e = horusi_entry_at(o->entries, o->stride, o->index);
    horusi_fetch_to_write(e);
    if (o->stride > 64)
        horusi_fetch_to_write((uint8_t *)e + 64);
    return e;
}

/* A new topic's slot, not yet findable. */
static horus_result horusi_topic_build(horus_context *c, const char *name,
                                       const horus_topic_desc *d, uint32_t message_bytes,
                                       uint32_t *slot)
{
    horus_pool *p = c->pool;
    bool small = p->fd < 0 && (uint64_t)p->granules * p->granule_bytes < 16u << 20;
    uint32_t lanes = d->max_publishers ? d->max_publishers : small ? 8 : 64;
    uint32_t subs = d->max_subscribers ? d->max_subscribers : small ? 16 : 128;
    void *data = NULL;
    horus_result r = horusi_alloc(p, horusi_topic_bytes(lanes, subs), true, NULL, slot, &data);
    if (r != HORUS_OK)
        return r;
    horusi_topic *t = (horusi_topic *)data;
    horusi_st32_rlx(own, &p->slot[*slot].flags, HORUSI_INTERNAL);
    horusi_st32_rlx(own, &t->max_lanes, lanes);
    horusi_st32_rlx(own, &t->max_subs, subs);
    horusi_st32_rlx(own, &t->message_bytes, message_bytes);
    horusi_st32_rlx(own, &t->type_tag, horus_type_tag(d->type));
    horusi_text(t->name, sizeof t->name, name);
    horusi_text(t->type_name, sizeof t->type_name, d->type ? d->type->name : "");
    horusi_st32_rlx(own, &t->policy, d->policy);
    horusi_st32_rlx(own, &t->flags, d->flags & HORUS_AT_MOST_ONCE);
    t->magic = HORUSI_TOPIC_MAGIC;
    return HORUS_OK;
}

/* True if the directory's entry names a topic of this name; it is then held. */
static bool horusi_dir_match(horus_pool *p, horusi_a64 *dir, uint64_t word, const char *name,
                             uint32_t hash, uint32_t *slot)
{
    uint32_t lanes, subs;
    if (word == 0 || (word >> 48 & 0x7fff) != (hash & 0x7fff) || !horusi_dir_acquire(p, word, slot))
        return false;
    horusi_topic *t = horusi_topic_at(p, *slot, &lanes, &subs);
    if (t && strncmp(t->name, name, sizeof t->name) == 0)
        return true;
    horusi_dir_release(p, dir, word, *slot);
    return false;
}

/* Finds the topic of a name, or makes it; it is then held. The directory is lock-free: a newcomer
 * is entered as tentative, withdraws before any final entry of its name, strikes out every other
 * tentative one, and only then becomes final, by a swap that fails if it was itself struck out. Of
 * two that race each looks after it was entered, so at most one gets through; a dead one's
 * tentative entry is struck out by the next. */
static horus_result horusi_topic_find(horus_context *c, const char *name, const horus_topic_desc *d,
                                      uint32_t message_bytes, uint32_t *slot)
{
    horus_pool *p = c->pool;
    uint32_t hash = horusi_hash(name, strlen(name), 2166136261u), s, mine = 0, sweeps = 0;
    bool have = false;
    hash ^= hash >> 15;
    for (int tries = 0; tries < 10000; tries++) {
        uint32_t at = p->max_topics;
        for (uint32_t i = 0; i < p->max_topics; i++) {
            uint64_t w = horusi_ld64_seq(D, &p->directory[i]);
            if (w == 0) {
                at = at == p->max_topics ? i : at;
                continue;
            }
            if (!horusi_dir_match(p, &p->directory[i], w, name, hash, &s))
                continue;
            if (w >> 63) {
                if (have)
                    horusi_untake(p, mine);
                *slot = s;
                return HORUS_OK;
            }
            (void)horusi_cas64_seq(D, &p->directory[i], &w, 0);
            horusi_release(p, s);
        }
        if (at == p->max_topics) { /* clear out topics that are over, and closed rings */
            bool freed = false;
            for (uint32_t i = 0; i < p->max_topics; i++) {
                uint64_t w = horusi_ld64_seq(D, &p->directory[i]);
                if (w != 0 && !horusi_dir_acquire(p, w, &s))
                    freed |= horusi_cas64_seq(D, &p->directory[i], &w, 0);
                else if (w != 0)
                    horusi_dir_release(p, &p->directory[i], w, s);
            }
            if (!freed) {
                horusi_lock(&c->lock);
                freed = horusi_end_closed(c, c->pool, false) > 0;
                horusi_unlock(&c->lock);
            }
            if (freed || (sweeps++ < 16 && horusi_sweep(c, HORUSI_DROP_ALL) > 0))
                continue;
            if (have)
                horusi_untake(p, mine);
            return horusi_fail(HORUS_E_LIMIT,
                               "topic %s: %u topics are open, which is the limit "
                               "(max_topics of the namespace's creator)",
                               name, (unsigned)p->max_topics);
        }
        if (!have) {
            horus_result r = horusi_topic_build(c, name, d, message_bytes, &mine);
            if (r != HORUS_OK)
                return r;
            have = true;
        }
        uint64_t none = 0, word = horusi_dir_word(
                               false, hash, horusi_ld32_rlx(own, &p->rec[mine].generation), mine);
        if (!horusi_cas64_seq(D, &p->directory[at], &none, word))
            continue;
        bool withdraw = false;
        for (uint32_t i = 0; i < p->max_topics && !withdraw; i++) {
            uint64_t w = horusi_ld64_seq(D, &p->directory[i]);
            if (i == at || !horusi_dir_match(p, &p->directory[i], w, name, hash, &s))
                continue;
            withdraw = w >> 63 || (!horusi_cas64_seq(D, &p->directory[i], &w, 0) && w >> 63);
            horusi_release(p, s);
        }
        if (withdraw) {
            (void)horusi_cas64_seq(D, &p->directory[at], &word, 0);
        } else if (horusi_cas64_seq(D, &p->directory[at], &word, word | (uint64_t)1 << 63)) {
            *slot = mine;
            return HORUS_OK;
        }
    }
    if (have)
        horusi_untake(p, mine);
    return horusi_fail(HORUS_E_BUSY, "topic %s: others keep creating and closing it", name);
}

static horus_result horusi_check_open(const horusi_topic *t, const horus_topic_desc *d)
{
    char theirs[65];
    horusi_topic *w = (horusi_topic *)(uintptr_t)t;
    uint32_t tag = horusi_ld32_rlx(L2, &w->type_tag), policy = horusi_ld32_acq(L2, &w->policy);
    memcpy(theirs, t->type_name, 64);
    theirs[64] = 0;
    if (d->type && tag && tag != horus_type_tag(d->type))
        return horusi_fail(
            HORUS_E_TYPE, "topic %.96s carries %s (tag %08x), not %s (tag %08x)%s", t->name, theirs,
            (unsigned)tag, d->type->name, (unsigned)horus_type_tag(d->type),
            strcmp(theirs, d->type->name) == 0 ? ": the fields differ, rebuild both" : "");
    if (d->policy != HORUS_POLICY_ANY && policy != HORUS_POLICY_ANY &&
        policy != (uint32_t)d->policy) {
        static const char *const names[] = {"any", "overwrite", "reliable", "queue"};
        return horusi_fail(HORUS_E_POLICY, "topic %.96s is %s, not %s", t->name,
                           policy < 4 ? names[policy] : "?", names[d->policy]);
    }
    return HORUS_OK;
}

/* True if the topic has a live handle. */
static bool horusi_has_handle(horus_pool *p, horusi_topic *t, uint32_t max_lanes, uint32_t max_subs)
{
    bool has = false;
    for (uint32_t i = 0; i < max_subs && !has; i++)
        has = horusi_is_live(p, horusi_ld64_acq(K2, &horusi_subs(t, max_lanes)[i].word));
    return has;
}

enum { HORUSI_FRAMES = 8, HORUSI_MESSAGES = 1024 }; /* that a ring keeps, if not told otherwise */
static void horusi_refresh(horus_topic *t, bool opening);
static horus_result horusi_out_open(horus_topic *t);
static void horusi_history(horus_topic *t, uint32_t k);

horus_result horus_topic_open(horus_topic **out, const char *name, const horus_topic_desc *desc)
{
    horus_topic_desc none;
    horus_context *c;
    uint32_t slot = 0;
    memset(&none, 0, sizeof none);
    const horus_topic_desc *d = desc ? desc : &none;
    if (!out)
        return horusi_fail(HORUS_E_ARG, "topic_open: out is NULL");
    *out = NULL;
    horus_result r = horusi_check_name("topic", name);
    if (r != HORUS_OK)
        return r;
    uint32_t size = d->type ? d->type->size : 0;
    uint32_t message_bytes = d->message_bytes ? d->message_bytes : size ? size : 0;
    if (!d->message_bytes && size && horusi_is_variable(d->type))
        message_bytes = size < 512 ? 1000 : size + 512;
    if (!message_bytes && (!d->type || d->type->kind == HORUS_KIND_TENSOR))
        message_bytes = HORUS_DESCRIPTOR_BYTES;
    if ((uint32_t)d->policy > HORUS_QUEUE || d->capacity > 1u << 20 ||
        d->message_bytes > HORUS_MAX_INLINE || d->max_publishers > 4096 ||
        d->max_subscribers > 4096 || (d->type && !d->type->name))
        return horusi_fail(
            HORUS_E_ARG,
            "topic %s: policy 0 to 3, capacity up to 2^20, message_bytes up to 65536, "
            "max_publishers and max_subscribers up to 4096",
            name);
    if (message_bytes > HORUS_MAX_INLINE)
        message_bytes = HORUS_MAX_INLINE;
    if (message_bytes < 40)
        message_bytes = 40; /* the room of a one-line entry */
    r = horusi_context_of(d->context, &c);
    if (r != HORUS_OK)
        return r;
    horus_pool *p = c->pool;
    horus_topic *t = NULL;
    bool swept = false;
again:
    r = horusi_topic_find(c, name, d, message_bytes, &slot);
    if (r != HORUS_OK)
        return r;
    uint32_t max_lanes = 0, max_subs = 0;
    horusi_topic *shm = horusi_topic_at(p, slot, &max_lanes, &max_subs);
    r = shm ? horusi_check_open(shm, d) : horusi_fail(HORUS_E_CORRUPT, "topic %s: damaged", name);
    if (r != HORUS_OK &&
        !swept) { /* perhaps only the dead, or our own closed rings, say otherwise */
        bool read = shm == NULL || horusi_ld32_acq(L2, &shm->policy) == HORUS_QUEUE ||
                    horusi_has_handle(p, shm, max_lanes, max_subs);
        horusi_lock(&c->lock);
        for (horusi_out *o = c->outs, *next; o && !read; o = next) {
            next = o->next_out;
            if (!o->handle && o->topic.slot == slot) {
                horusi_out_end(c, o);
                horusi_delete(c, o->refs);
                horusi_delete(c, o);
            }
        }
        horusi_unlock(&c->lock);

        horusi_topic_leave(
            c, &(horusi_ref){p, slot, horusi_ld32_rlx(own, &p->rec[slot].generation), 0});
        swept = true;
        if (!read)
            (void)horusi_sweep_for(c, HORUSI_DROP_TOPIC, slot);
        goto again;
    }
    if (r == HORUS_OK) {
        t = (horus_topic *)horusi_new(c, sizeof *t);
        if (t)
            t->in = (horusi_in *)horusi_new(c, (size_t)max_lanes * 2 * sizeof *t->in);
        if (!t || !t->in)
            r = HORUS_E_MEMORY;
    }
    if (r != HORUS_OK) {
        horusi_delete(c, t);
        horusi_topic_leave(
            c, &(horusi_ref){p, slot, horusi_ld32_rlx(own, &p->rec[slot].generation), 0});
        return r;
    }
    t->context = c;
    t->shm = shm;
    t->ref.pool = p;
    t->ref.slot = slot;
    t->ref.generation = horusi_ld32_rlx(own, &p->rec[slot].generation);
    t->type = d->type;
    t->type_tag = horus_type_tag(d->type);
    t->least_bytes = 1;
    if (d->type && d->type->kind == HORUS_KIND_MESSAGE && size > 0) {
        t->least_bytes = size;
        t->most_bytes = horusi_is_variable(d->type) ? UINT32_MAX : size;
    }
    t->max_lanes = max_lanes;
    t->max_subs = max_subs;
    t->in_room = max_lanes * 2;
    t->message_bytes = horusi_ld32_rlx(L2, &shm->message_bytes);
    if (t->message_bytes < 40 || t->message_bytes > HORUS_MAX_INLINE)
        t->message_bytes = 40; /* changed since it was checked: garbage, but none that we trust */
    t->own_capacity = d->capacity != 0;
    t->capacity = d->capacity                                      ? d->capacity
                  : d->type && d->type->kind != HORUS_KIND_MESSAGE ? HORUSI_FRAMES
                                                                   : HORUSI_MESSAGES;
    t->clock = p->header->clock;
    if (d->policy != HORUS_POLICY_ANY) {
        uint32_t any = HORUS_POLICY_ANY;
        (void)horusi_cas32_acqrel(L1, &shm->policy, &any, (uint32_t)d->policy);
        r = horusi_check_open(shm, d);
    }
    /* a place among the handles: our cursors stand at the rings' heads before we count */
    for (int pass = 0; pass < 2 && r == HORUS_OK && !t->sub; pass++) {
        if (pass == 1)
            (void)horusi_sweep(c, HORUSI_DROP_OLD);
        for (uint32_t i = 0; i < max_subs && !t->sub; i++) {
            uint64_t w = horusi_ld64_acq(K2, &horusi_subs(shm, max_lanes)[i].word);
            if (horusi_owner_state(w) != HORUSI_SUB_FREE && horusi_is_live(p, w))
                continue;
            t->sub_word = horusi_owner(c->incarnation, c->row, HORUSI_SUB_IDLE);
            if (!horusi_cas64_acqrel(K1, &horusi_subs(shm, max_lanes)[i].word, &w, t->sub_word))
                continue;
            uint32_t used = horusi_ld32_acq(K2, &shm->subs_used);
            for (uint32_t tries = 0; used <= i && tries < HORUSI_SWAPS; tries++)
                if (horusi_cas32_seq(W, &shm->subs_used, &used, i + 1))
                    break;
            t->sub = &horusi_subs(shm, max_lanes)[i];
            t->sub_index = i;
            horusi_st64_rlx(own, &t->sub->received, 0);
            horusi_st64_rlx(own, &t->sub->lost, 0);
        }
    }
    if (r == HORUS_OK && !t->sub)
        r = horusi_fail(HORUS_E_LIMIT,
                        "topic %s: %u handles are open, which is the limit "
                        "(max_subscribers)",
                        name, (unsigned)max_subs);
    if (r != HORUS_OK) {
        horusi_delete(c, t->in);
        horusi_delete(c, t);
        horusi_topic_leave(
            c, &(horusi_ref){p, slot, horusi_ld32_rlx(own, &p->rec[slot].generation), 0});
        return r;
    }
    t->redeliver = horusi_ld32_acq(K2, &shm->redeliver);
    horusi_refresh(t, true);
    t->sub_word = horusi_owner(c->incarnation, c->row, HORUSI_SUB_ACTIVE);
    horusi_st64_seq(W, &t->sub->word, t->sub_word);
    horusi_refresh(t, true); /* once more now that we count: see horusi_slowest */
    if (d->history) {
        horusi_history(t, d->history);
        (void)horusi_add32_acqrel(K1, &shm->openings, 1);
    }
    horusi_lock(&c->lock);
    t->next = c->topics;
    c->topics = t;
    (void)horusi_end_closed(c, NULL, false);
    horusi_unlock(&c->lock);
    if (d->flags & HORUS_PUBLISHER) {
        r = horusi_out_open(t);
        if (r != HORUS_OK) {
            horus_topic_close(t);
            return r;
        }
    }
    *out = t;
    return HORUS_OK;
}

/* A message, read and held. */
typedef struct horusi_got {
    horus_info info;
    uint32_t kind; /* as in the ring */
    uint32_t bytes;
    horusi_descriptor wire;
    horus_frame frame; /* held, for frames and blobs */
    bool timed;        /* in: somebody wants to know when it was sent */
    bool keep;         /* in: a blob is to stay in its slot, held, for the caller to copy */
} horusi_got;

/* A call on a topic, as a recording sees it. The first five are HORUS_KIND_MESSAGE and so on: receives. */
enum {
    HORUSI_PEEK = 5,
    HORUSI_WAIT,
    HORUSI_WAIT_MANY,
    HORUSI_SKIP,
    HORUSI_DRAIN,
    HORUSI_ACK,
    HORUSI_STATS,
    HORUSI_SEND = 16, /* and the kind */
    HORUSI_DEED_WORDS = 12
};
typedef struct horusi_deed {
    uint8_t what;
    horus_result result;
    uint32_t words;
    uint64_t word[HORUSI_DEED_WORDS]; /* what it told besides, or the hash of what it sends */
    void *buffer;                     /* receive and peek */
    size_t room;
    horusi_got *got;
} horusi_deed;
static horusi_deed horusi_deed_of(uint8_t what)
{
    horusi_deed d;
    memset(&d, 0, sizeof d);
    d.what = what;
    return d;
}
/* Makes the call, or in a replay has its outcome from the recording. */
#define HORUSI_DO(taped, t, deed, call)                                                            \
    do {                                                                                           \
        if (!(taped) || !horusi_replay(t, &(deed)))                                                \
            (deed).result = (call);                                                                \
        if (taped)                                                                                 \
            horusi_record(t, &(deed));                                                             \
    } while (0)

/* ------------------------------------------------------------------------------------ >>recording
 *
 * What the nodes of a deterministic scheduler got from their topics, and hashes of what they sent, in a
 * file. While a callback of such a scheduler runs, its thread's id is hidden (horusi_tid is 0). So each of
 * its calls on a topic leaves the quick path and asks here, and no other call has to.
 *
 *     file    "HORUSR01" | seed, 8 bytes | entries, to the end
 *     entry   horusi_tape_note | name | words, 8 bytes each | data; name and data filled up to 8 bytes
 *
 *     kind   name    words                     what follows
 *     RUN            time, nodes, 1: a step    so many NODE, then CALL until LAST
 *     NODE   node    num << 32 | den, order
 *     CALL   node    phase, due                each DEED of it, then DONE; `what`: which callback
 *     DEED   topic   as `what` needs them      data: what came
 *     DONE   node    hash of all sent so far
 *     LAST                                     CALL of shutdowns, then END
 *     END
 *
 * Little-endian. A DEED's words and data:
 *
 *     receive, peek   sequence, publish time, lost, publisher << 32 | tag, size << 32 | kind << 8 |
 *                     redelivered, bytes of a descriptor; data: the message, or descriptor, id (64 bytes),
 *                     time (8) and bytes of the frame
 *     send            hash, bytes (0 for frames)
 *     the others      what they told besides their result
 *
 * A reader takes all of it as input. */
#ifdef HORUS_NO_SCHEDULER
#define horusi_taped() false
#define horusi_replay(t, deed) ((void)(t), (void)(deed), false)
#define horusi_record(t, deed) ((void)(t), (void)(deed))
#define horusi_hash_message(type, data, bytes) ((void)(type), 0u)
#define horusi_hash_frame(frame, wire, bytes) 0u
#else
enum {
    HORUSI_RUN = 1,
    HORUSI_NODE,
    HORUSI_CALL,
    HORUSI_DEED,
    HORUSI_DONE,
    HORUSI_LAST,
    HORUSI_END
};
enum { HORUSI_TAPE_BYTES = 65536, HORUSI_FRAME_META = HORUS_FRAME_ID_BYTES + 8 };
#define HORUSI_TAPE_MAGIC 0x3130525355524f48ull /* "HORUSR01" */
typedef struct horusi_tape_note {
    uint8_t kind, what, name_bytes, words;
    int32_t result;
    uint64_t data_bytes;
} horusi_tape_note;
_Static_assert(sizeof(horusi_tape_note) == 16, "layout");

typedef struct horusi_tape {
    int fd;
    bool replays, have;  /* have: `note` and what belongs to it are the next entry, not yet used */
    volatile bool busy;  /* a signal handler that sends meanwhile is not of the tick */
    horus_result result; /* below 0: it is over, and `text` says why */
    uint64_t left;       /* data of the entry that is still to be read */
    horusi_tape_note note;
    uint64_t word[HORUSI_DEED_WORDS];
    size_t at, used;           /* of `buffer` */
    uint64_t phase;            /* of the callback that runs */
    struct horusi_tape *outer; /* that callback was called in one of this tape's */
    horus_recording told;
    char name[HORUS_NAME_BYTES + 7], node[HORUS_NAME_BYTES];
    char path[200], text[256];
    uint8_t buffer[HORUSI_TAPE_BYTES];
} horusi_tape;
static HORUSI_THREAD horusi_tape *horusi_tape_now; /* that of the callback that runs here */

/* True: calls of this thread are for horusi_tape_now. */
HORUSI_HOT bool horusi_taped(void)
{
    return horusi_rarely(horusi_tid == 0) && horusi_tid_taped != 0 && !horusi_tape_now->busy;
}

/* ---- hashes */

static uint64_t horusi_mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}
/* In whatever pieces the bytes come: words of 8, and what is left. */
typedef struct horusi_hasher {
    uint64_t h, word;
    uint32_t have; /* bytes in `word` */
} horusi_hasher;
static void horusi_hash_byte(horusi_hasher *s, uint8_t byte)
{
    s->word |= (uint64_t)byte << 8 * s->have;
    if (++s->have < 8)
        return;
    s->h = horusi_mix(s->h ^ s->word) + 1;
    s->word = s->have = 0;
}
static void horusi_hash_feed(horusi_hasher *s, const uint8_t *at, uint64_t n)
{
    for (; n > 0 && s->have > 0; n--)
        horusi_hash_byte(s, *at++);
    for (; n >= 8; n -= 8, at += 8) {
        uint64_t v;
        memcpy(&v, at, 8);
        s->h = horusi_mix(s->h ^ v) + 1;
    }
    for (; n > 0; n--)
        horusi_hash_byte(s, *at++);
}
static uint64_t horusi_hash_bytes(uint64_t h, const void *data, uint64_t n)
{
    horusi_hasher s = {horusi_mix(h ^ n) + 0x9e3779b97f4a7c15u, 0, 0};
    horusi_hash_feed(&s, (const uint8_t *)data, n);
    return horusi_mix(s.h ^ s.word);
}
/* Of a message's fields: what lies between them, or behind a text's end, need not be the same twice. */
static uint64_t horusi_hash_fields(uint64_t h, const horus_type *type, const uint8_t *at,
                                   const uint8_t *message, uint64_t bytes)
{
    static const uint8_t sizes[] = {1, 1, 2, 2, 4, 4, 8, 8, 4, 8, 1, 1};
    uint32_t n = 0;
    const horus_field *f = type->fields(&n);
    for (uint32_t i = 0; i < n; i++) {
        bool nested = f[i].scalar == HORUS_SCALAR_message;
        uint64_t each = nested ? f[i].nested->size : sizes[f[i].scalar], count = f[i].count;
        const uint8_t *from = at + f[i].offset;
        if (count == 0) {
            horus_array a;
            memcpy(&a, from, sizeof a);
            if (a.offset > bytes || a.count > (bytes - a.offset) / each)
                a.offset = a.count = 0; /* none of its elements can be read */
            from = message + a.offset;
            count = a.count;
        } else if (f[i].scalar == HORUS_SCALAR_text) {
            const void *end = memchr(from, 0, (size_t)count);
            count = end ? (uint64_t)((const uint8_t *)end - from) : count;
        }
        for (uint64_t k = 0; nested && k < count; k++)
            h = horusi_hash_fields(h, f[i].nested, from + k * each, message, bytes);
        h = nested ? horusi_mix(h ^ count) : horusi_hash_bytes(h, from, count * each);
    }
    return h;
}
static uint64_t horusi_hash_message(const horus_type *type, const void *message, uint64_t bytes)
{
    uint64_t h = type ? horus_type_tag(type) : 0;
    return type && type->fields ? horusi_hash_fields(h, type, (const uint8_t *)message,
                                                     (const uint8_t *)message, bytes)
                                : horusi_hash_bytes(h, message, bytes);
}
static void horusi_hash_elements(horusi_hasher *s, const horus_tensor *t, uint32_t dim,
                                 uint64_t elem, const uint8_t *at)
{
    bool dense = dim + 1 == t->ndim && t->strides_bytes[dim] == (int64_t)elem;
    if (dim == t->ndim || dense) {
        horusi_hash_feed(s, at, dense ? (uint64_t)t->shape[dim] * elem : elem);
        return;
    }
    for (int64_t i = 0; i < t->shape[dim]; i++)
        horusi_hash_elements(s, t, dim + 1, elem, at + i * t->strides_bytes[dim]);
}
/* Of a frame's kind, sizes, elements, id and time, not of where they lie. The descriptor is our own. */
static uint64_t horusi_hash_frame(const horus_frame *f, const void *wire, uint32_t wire_bytes)
{
    horusi_descriptor d;
    horus_tensor t;
    uint32_t size[4];
    uint64_t points[2], room, elem;
    memset(&t, 0, sizeof t);
    memset(&d, 0, sizeof d);
    memcpy(d.bytes, wire, wire_bytes);
    const uint8_t *from = d.bytes + sizeof d.head;
    memcpy(size, from, sizeof size);
    elem = horus_dtype_bytes((horus_dtype)d.head.dtype);
    uint64_t h = horusi_mix((uint64_t)d.head.kind << 32 | (uint64_t)d.head.dtype << 24 |
                            (uint64_t)d.head.encoding << 16 | d.head.ndim);
    switch (d.head.kind) {
    case HORUS_KIND_IMAGE:
        elem = (uint64_t)horus_encoding_channels((horus_encoding)d.head.encoding) *
               horus_encoding_elem_bytes((horus_encoding)d.head.encoding);
        h = horusi_mix(h ^ horusi_pair(size[1], size[0]));
        t.ndim = 2;
        break;
    case HORUS_KIND_DEPTH:
        h = horusi_mix(h ^ horusi_pair(size[1], size[0])) + size[3];
        t.ndim = 2;
        break;
    case HORUS_KIND_CLOUD:
        memcpy(points, from, sizeof points);
        h = horusi_mix(h ^ points[0]) + points[1];
        t.ndim = 1;
        t.shape[0] = (int64_t)(points[0] * points[1]);
        t.strides_bytes[0] = (int64_t)elem;
        break;
    default:
        t.ndim = d.head.ndim;
        memcpy(t.shape, from, t.ndim * 8);
        memcpy(t.strides_bytes, from + t.ndim * 8, t.ndim * 8);
        h = horusi_hash_bytes(h, t.shape, t.ndim * 8);
    }
    if (d.head.kind == HORUS_KIND_IMAGE || d.head.kind == HORUS_KIND_DEPTH) {
        t.shape[0] = size[1];
        t.shape[1] = size[0];
        t.strides_bytes[0] = size[2];
        t.strides_bytes[1] = (int64_t)elem;
    }
    const uint8_t *data = (const uint8_t *)horusi_at(f->pool, f->slot, &room);
    char id[HORUS_FRAME_ID_BYTES];
    uint64_t at_ns;
    (void)horus_frame_get_id(f, id);
    (void)horus_frame_get_time(f, &at_ns);
    h = horusi_hash_bytes(h, id, strlen(id));
    h = horusi_mix(h ^ at_ns);
    horusi_hasher elements = {h, 0, 0};
    horusi_hash_elements(&elements, &t, 0, elem, data + d.head.offset_bytes);
    return horusi_mix(elements.h ^ elements.word);
}

/* ---- the file */

/* The first reason is the one that is told. */
#ifdef __GNUC__
__attribute__((format(printf, 3, 4)))
#endif
HORUSI_COLD void
horusi_tape_over(horusi_tape *p, horus_result result, const char *format, ...)
{
    va_list args;
    if (p->result < 0)
        return;
    int n = snprintf(p->text, sizeof p->text, "%s of %.80s: ", p->replays ? "replay" : "recording",
                     p->path);
    va_start(args, format);
    (void)vsnprintf(p->text + n, sizeof p->text - (size_t)n, format, args);
    va_end(args);
    p->result = result;
}
/* The first divergence: of a topic, or of the callback itself (""). */
HORUSI_COLD void horusi_tape_diverges(horusi_tape *p, const char *topic, const char *how)
{
    if (p->result < 0)
        return;
    p->told.diverged = true;
    p->told.tick = p->phase;
    horusi_text(p->told.node, sizeof p->told.node, p->node);
    horusi_text(p->told.topic, sizeof p->told.topic, topic);
    horusi_tape_over(p, HORUS_E_DIVERGED, "tick %llu of node %.60s%s%.60s: %s",
                     (unsigned long long)p->phase, p->node, *topic ? ", topic " : "", topic, how);
}
static void horusi_tape_flush(horusi_tape *p)
{
    size_t from = 0;
    while (from < p->used && p->result >= 0) {
        ssize_t n;
        HORUSI_RETRY(n, write(p->fd, p->buffer + from, p->used - from));
        if (n < 0)
            horusi_tape_over(p, HORUS_E_SYSTEM, "cannot write: %s", strerror(errno));
        else
            from += (size_t)n;
    }
    p->used = 0;
}
static void horusi_tape_write(horusi_tape *p, const void *data, uint64_t bytes)
{
    const uint8_t *from = (const uint8_t *)data;
    while (bytes > 0 && p->result >= 0) {
        uint64_t room = sizeof p->buffer - p->used, n = bytes < room ? bytes : room;
        memcpy(p->buffer + p->used, from, (size_t)n);
        p->used += (size_t)n;
        from += n;
        bytes -= n;
        if (p->used == sizeof p->buffer)
            horusi_tape_flush(p);
    }
}
static void horusi_tape_fill(horusi_tape *p, uint64_t bytes)
{
    static const uint8_t zeros[8];
    horusi_tape_write(p, zeros, -bytes & 7);
}
/* Begins an entry; its data, if any, is the caller's to write and to fill up. */
static void horusi_tape_put(horusi_tape *p, uint8_t kind, uint8_t what, const char *name,
                            horus_result result, const uint64_t *word, uint32_t words,
                            uint64_t data_bytes)
{
    size_t n = strlen(name);
    horusi_tape_note note = {kind, what, (uint8_t)n, (uint8_t)words, (int32_t)result, data_bytes};
    horusi_tape_write(p, &note, sizeof note);
    horusi_tape_write(p, name, n);
    horusi_tape_fill(p, n);
    horusi_tape_write(p, word, words * 8);
}
/* Fills the buffer. False: there is no more. */
static bool horusi_tape_more(horusi_tape *p)
{
    ssize_t n;
    HORUSI_RETRY(n, read(p->fd, p->buffer, sizeof p->buffer));
    p->at = 0;
    p->used = n > 0 ? (size_t)n : 0;
    if (n < 0)
        horusi_tape_over(p, HORUS_E_SYSTEM, "cannot read: %s", strerror(errno));
    return n > 0;
}
/* Reads so many bytes; `to` NULL: passes over them. False: they are not there. */
static bool horusi_tape_read(horusi_tape *p, void *to, uint64_t bytes)
{
    uint8_t *into = (uint8_t *)to;
    while (bytes > 0 && p->result >= 0) {
        if (p->at == p->used && !horusi_tape_more(p)) {
            horusi_tape_over(p, HORUS_E_CORRUPT, "it is cut off here (tick %llu of node %.60s)",
                             (unsigned long long)p->phase, p->node);
            break;
        }
        uint64_t n = p->used - p->at < bytes ? p->used - p->at : bytes;
        if (into) {
            memcpy(into, p->buffer + p->at, (size_t)n);
            into += n;
        }
        p->at += (size_t)n;
        bytes -= n;
    }
    return bytes == 0;
}
/* The next entry, if there is one. */
static bool horusi_tape_next(horusi_tape *p)
{
    horusi_tape_note *e = &p->note;
    if (p->have || p->result < 0)
        return p->have && p->result >= 0;
    memset(p->name, 0, sizeof p->name);
    memset(p->word, 0, sizeof p->word);
    if (!horusi_tape_read(p, e, sizeof *e))
        return false;
    if (e->kind < HORUSI_RUN || e->kind > HORUSI_END || e->name_bytes >= HORUS_NAME_BYTES ||
        e->words > HORUSI_DEED_WORDS || (e->data_bytes > 0 && e->kind != HORUSI_DEED) ||
        e->result < -64 || e->result > 64) {
        horusi_tape_over(p, HORUS_E_CORRUPT, "it is damaged: no such entry");
        return false;
    }
    p->left = e->data_bytes;
    p->have = horusi_tape_read(p, p->name, (e->name_bytes + 7u) & ~7u) &&
              horusi_tape_read(p, p->word, (uint64_t)e->words * 8);
    p->name[e->name_bytes] = 0;
    return p->have;
}
/* Is done with the entry, and passes over what is left of it. */
static void horusi_tape_used(horusi_tape *p)
{
    uint64_t end = -p->note.data_bytes & 7;
    p->have = false;
    (void)horusi_tape_read(p, NULL, p->left);
    (void)horusi_tape_read(p, NULL, end);
    p->left = 0;
}
static bool horusi_tape_data(horusi_tape *p, void *to, uint64_t bytes)
{
    p->left -= bytes;
    return horusi_tape_read(p, to, bytes);
}
static bool horusi_tape_is(const horusi_tape *p, uint32_t kind, uint32_t what, const char *name)
{
    return p->note.kind == kind && p->note.what == what && strcmp(p->name, name) == 0;
}

/* ---- calls on topics */

/* Puts a recorded frame into a slot of its own, as published as it was. */
static horus_result horusi_tape_frame(horusi_tape *p, horus_topic *t, horusi_got *got)
{
    uint64_t meta[HORUSI_FRAME_META / 8];
    void *data;
    if (got->bytes < sizeof got->wire.head || got->bytes > sizeof got->wire ||
        p->left < got->bytes + sizeof meta) {
        horusi_tape_over(p, HORUS_E_CORRUPT, "it is damaged: a frame of topic %.60s", p->name);
        return HORUS_EMPTY;
    }
    if (!horusi_tape_data(p, got->wire.bytes, got->bytes) ||
        !horusi_tape_data(p, meta, sizeof meta))
        return HORUS_EMPTY;
    horus_result r = horus_frame_alloc(&got->frame, t->context->pool, p->left ? p->left : 1,
                                       HORUS_UNINIT, &data);
    if (r != HORUS_OK) {
        horusi_tape_over(p, r, "no room for a frame of topic %.60s: %.100s", p->name,
                         horus_last_error());
        return HORUS_EMPTY;
    }
    if (!horusi_tape_data(p, data, p->left)) {
        horusi_release(got->frame.pool, got->frame.slot);
        return HORUS_EMPTY;
    }
    horusi_slot *s = &got->frame.pool->slot[got->frame.slot];
    for (size_t i = 0; i < HORUS_FRAME_ID_BYTES / 8; i++)
        horusi_st64_rlx(own, &s->frame_id[i], meta[i]);
    horusi_st64_rlx(own, &s->time_ns, meta[HORUS_FRAME_ID_BYTES / 8]);
    horusi_st32_rlx(own, &s->flags, HORUSI_PUBLISHED);
    horusi_protect(got->frame.pool, got->frame.slot, true);
    got->wire.head.pool_id = got->frame.pool->id;
    got->wire.head.slot = got->frame.slot;
    got->wire.head.generation = got->frame.generation;
    return HORUS_OK;
}
/* The outcome of a GET or PEEK, out of the entry. */
static horus_result horusi_tape_get(horusi_tape *p, horus_topic *t, horusi_deed *d)
{
    const uint64_t *w = p->word;
    horus_result r = (horus_result)p->note.result;
    horusi_got *got = d->got;
    memset(&got->info, 0, sizeof got->info);
    got->info.sequence = w[0];
    got->info.publish_ns = w[1];
    got->info.lost = w[2];
    got->info.publisher = horusi_high(w[3]);
    got->info.type_tag = horusi_low(w[3]);
    got->info.size = horusi_high(w[4]);
    got->kind = got->info.kind = (uint8_t)(w[4] >> 8 & 0xff);
    got->info.redelivered = w[4] & 1;
    got->bytes = (uint32_t)w[5];
    got->frame.pool = NULL;
    bool bytes = got->kind == HORUS_KIND_MESSAGE, all = p->left == got->info.size;
    bool whole = bytes ? all : p->left != 0; /* a frame has its descriptor at least */
    if (got->kind > HORUS_KIND_CLOUD ||
        (r == HORUS_OK && d->what != HORUSI_PEEK && (got->kind != d->what || !whole)) ||
        (d->what == HORUSI_PEEK && p->left != 0 && !all)) {
        horusi_tape_over(p, HORUS_E_CORRUPT, "it is damaged: a message of topic %.60s", p->name);
        return HORUS_EMPTY;
    }
    if (r != HORUS_OK || p->left == 0)
        return r;
    if (!bytes)
        return horusi_tape_frame(p, t, got);
    if (p->left > d->room) {
        horusi_tape_diverges(p, p->name, "its buffer was larger");
        return HORUS_EMPTY;
    }
    return horusi_tape_data(p, d->buffer, p->left) ? r : HORUS_EMPTY;
}
/* In a replay: the outcome that was recorded, d->result, and true. */
static bool horusi_replay(horus_topic *t, horusi_deed *d)
{
    horusi_tape *p = horusi_tape_now;
    char name[HORUS_NAME_BYTES];
    if (!p->replays)
        return false;
    bool sends = d->what >= HORUSI_SEND;
    uint64_t hash = d->word[0];
    p->busy = true;
    horusi_text(name, sizeof name, t->shm->name);
    d->result = sends ? HORUS_OK : HORUS_EMPTY;
    if (horusi_tape_next(p) && !horusi_tape_is(p, HORUSI_DEED, d->what, name))
        horusi_tape_diverges(
            p, name, sends ? "this send is not what came next" : "this call is not what came next");
    if (p->result >= 0) {
        d->result =
            d->what <= HORUSI_PEEK ? horusi_tape_get(p, t, d) : (horus_result)p->note.result;
        if (sends && hash != p->word[0])
            horusi_tape_diverges(p, name, "this message differs");
        memcpy(d->word, p->word, sizeof d->word);
        horusi_tape_used(p);
        if (p->result < 0 && !sends && d->result == HORUS_OK && d->what <= HORUS_KIND_CLOUD &&
            d->what != HORUS_KIND_MESSAGE)
            horusi_release(d->got->frame.pool, d->got->frame.slot);
    }
    if (p->result < 0) {
        d->result = sends ? HORUS_OK : HORUS_EMPTY;
        memset(d->word, 0, sizeof d->word);
    } else if (sends && d->result == HORUS_OK) {
        p->told.hash = horusi_mix(p->told.hash ^ hash);
        p->told.outputs++;
    } else if (!sends)
        p->told.inputs++;
    if (d->result < 0)
        (void)horusi_fail(d->result, "topic %.96s: %s, as recorded", name,
                          horus_result_text(d->result));
    p->busy = false;
    return true;
}
/* Notes the outcome d->result; in a replay it came from there. */
static void horusi_record(horus_topic *t, horusi_deed *d)
{
    horusi_tape *p = horusi_tape_now;
    char name[HORUS_NAME_BYTES];
    uint64_t bytes = 0, meta[HORUSI_FRAME_META / 8];
    const void *data = d->buffer;
    horusi_got *got = d->got;
    if (p->replays || p->result < 0)
        return;
    p->busy = true;
    horusi_text(name, sizeof name, t->shm->name);
    bool frame =
        d->what <= HORUS_KIND_CLOUD && d->what != HORUS_KIND_MESSAGE && d->result == HORUS_OK;
    if (d->what <= HORUSI_PEEK &&
        (d->result == HORUS_OK || d->result == HORUS_E_SIZE || d->result == HORUS_E_TYPE)) {
        const horus_info *i = &got->info;
        uint64_t told[] = {i->sequence,
                           i->publish_ns,
                           i->lost,
                           horusi_pair(i->publisher, i->type_tag),
                           horusi_pair(i->size, (uint32_t)i->kind << 8 | i->redelivered),
                           frame ? got->bytes : 0};
        memcpy(d->word, told, sizeof told);
        d->words = sizeof told / 8;
        if (d->result == HORUS_OK && i->kind == HORUS_KIND_MESSAGE && i->size <= d->room)
            bytes = i->size;
    }
    if (frame) {
        const uint8_t *at = (const uint8_t *)horusi_at(got->frame.pool, got->frame.slot, &bytes);
        horusi_descriptor wire = got->wire; /* what lies before its first element is not kept */
        if (wire.head.offset_bytes <= bytes) {
            data = at + wire.head.offset_bytes;
            bytes -= wire.head.offset_bytes;
            wire.head.offset_bytes = 0;
        } else
            bytes = 0;
        horusi_slot *s = &got->frame.pool->slot[got->frame.slot];
        for (size_t i = 0; i < HORUS_FRAME_ID_BYTES / 8; i++)
            meta[i] = horusi_ld64_rlx(own, &s->frame_id[i]);
        meta[HORUS_FRAME_ID_BYTES / 8] = horusi_ld64_rlx(own, &s->time_ns);
        bytes += got->bytes + sizeof meta;
        horusi_tape_put(p, HORUSI_DEED, d->what, name, d->result, d->word, d->words, bytes);
        horusi_tape_write(p, wire.bytes, got->bytes);
        horusi_tape_write(p, meta, sizeof meta);
        horusi_tape_write(p, data, bytes - got->bytes - sizeof meta);
    } else {
        horusi_tape_put(p, HORUSI_DEED, d->what, name, d->result, d->word, d->words, bytes);
        horusi_tape_write(p, data, bytes);
    }
    horusi_tape_fill(p, bytes);
    if (d->what < HORUSI_SEND) {
        p->told.inputs++;
        horusi_tape_flush(
            p); /* before the node sees it: so one that ends the process can be replayed */
    } else if (d->result == HORUS_OK) {
        p->told.outputs++;
        p->told.hash = horusi_mix(p->told.hash ^ d->word[0]);
    }
    p->busy = false;
}

/* ---- callbacks */

/* Opens the file. A replay has the recording's seed. */
static horus_result horusi_tape_open(horusi_tape **out, horus_context *c, const char *path,
                                     bool replays, uint64_t *seed)
{
    uint64_t head[2] = {HORUSI_TAPE_MAGIC, *seed};
    horusi_tape *p = (horusi_tape *)horusi_new(c, sizeof *p);
    *out = NULL;
    if (!p)
        return horusi_no_memory(sizeof *p);
    p->replays = replays;
    horusi_text(p->path, sizeof p->path, path);
    p->fd = horusi_open(AT_FDCWD, path, replays ? O_RDONLY : O_WRONLY | O_CREAT | O_TRUNC, 0600);
    horus_result r = HORUS_OK;
    if (p->fd < 0)
        r = horusi_errno(replays && errno == ENOENT ? HORUS_E_NOT_FOUND : HORUS_E_SYSTEM, "open",
                         path);
    else if (!replays) {
        horusi_tape_write(p, head, sizeof head);
        horusi_tape_flush(p);
    } else if (horusi_tape_read(p, head, sizeof head) && head[0] != HORUSI_TAPE_MAGIC)
        horusi_tape_over(p, (head[0] ^ HORUSI_TAPE_MAGIC) << 16 ? HORUS_E_CORRUPT : HORUS_E_VERSION,
                         "this is no recording that this version knows");
    if (r == HORUS_OK && p->result < 0)
        r = horusi_fail(p->result, "%s", p->text);
    if (r == HORUS_OK) {
        *seed = head[1];
        *out = p;
        return r;
    }
    if (p->fd >= 0)
        close(p->fd);
    horusi_delete(c, p);
    return r;
}
static void horusi_tape_close(horusi_tape *p, horus_context *c)
{
    if (!p)
        return;
    if (!p->replays)
        horusi_tape_flush(p);
    close(p->fd);
    horusi_delete(c, p);
}
/* Notes an entry, or in a replay takes the same one. False: it is another one. */
static bool horusi_tape_mark(horusi_tape *p, uint8_t kind, uint8_t what, const char *name,
                             horus_result result, const uint64_t *word, uint32_t words)
{
    if (!p->replays) {
        horusi_tape_put(p, kind, what, name, result, word, words, 0);
        return true;
    }
    if (!horusi_tape_next(p))
        return false;
    bool same = horusi_tape_is(p, kind, what, name) && p->note.result == (int32_t)result &&
                (words == 0 || memcmp(p->word, word, words * 8) == 0);
    if (same)
        horusi_tape_used(p);
    return same;
}
/* A callback begins: from here on this thread's calls on topics are the tape's. */
static void horusi_tape_enter(horusi_tape *p, const char *node, uint8_t what, uint64_t phase,
                              uint64_t due)
{
    const uint64_t word[2] = {phase, due};
    horusi_text(p->node, sizeof p->node, node);
    p->phase = phase;
    if (!horusi_tape_mark(p, HORUSI_CALL, what, node, HORUS_OK, word, 2))
        horusi_tape_diverges(p, "", "this callback is not what came next");
    p->told.calls++;
    p->outer = horusi_tid_taped ? horusi_tape_now : NULL;
    horusi_tape_now = p;
    horusi_tid_taped = horusi_thread_id();
    horusi_tid = 0;
}
static void horusi_tape_leave(horusi_tape *p, horus_result result)
{
    if (horusi_tid_taped ==
        0) { /* a child that the callback has forked: the file is its parent's */
        horusi_tape_over(p, HORUS_E_DETACHED, "a child of fork() came back from a callback");
        return;
    }
    if (p->outer) {
        horusi_tape_now = p->outer;
    } else {
        horusi_tid = horusi_tid_taped;
        horusi_tid_taped = 0;
    }
    const uint64_t hash = p->told.hash;
    if (!horusi_tape_mark(p, HORUSI_DONE, 0, p->node, result, &hash, 1))
        horusi_tape_diverges(p, p->note.kind == HORUSI_DEED ? p->name : "",
                             p->note.kind == HORUSI_DEED ? "it ended before it came to this"
                                                         : "it returned another result");
    if (!p->replays)
        horusi_tape_flush(p);
}
/* A replay: no tick follows. */
static bool horusi_tape_ends(horusi_tape *p)
{
    return p->replays && (!horusi_tape_next(p) || p->note.kind == HORUSI_LAST);
}
static bool horusi_tape_is_at_end(horusi_tape *p)
{
    return p->at == p->used && !horusi_tape_more(p) && p->result >= 0;
}
/* The last tick has ended. `stopped`: by itself; else a replay may end earlier than what was recorded. */
static void horusi_tape_last(horusi_tape *p, bool stopped)
{
    while (p->replays && !stopped && horusi_tape_next(p) && p->note.kind != HORUSI_LAST)
        horusi_tape_used(p);
    if (!horusi_tape_mark(p, HORUSI_LAST, 0, "", HORUS_OK, NULL, 0))
        horusi_tape_diverges(p, "", "it was not stopped here");
}
static horus_result horusi_tape_end(horusi_tape *p)
{
    if (!horusi_tape_mark(p, HORUSI_END, 0, "", HORUS_OK, NULL, 0))
        horusi_tape_diverges(p, "", "it did not end here");
    if (!p->replays)
        horusi_tape_flush(p);
    return p->result;
}
#endif

/* ------------------------------------------------------------------------------------ >>send
 *
 * A send makes place in the handle's own ring, writes the entry, and wakes whoever sleeps. */

/* How many entries the handle's ring gets. */
static uint32_t horusi_ring_capacity(const horus_topic *t, uint32_t policy)
{
    const horus_pool *p = t->context->pool;
    uint64_t most = (uint64_t)p->granules * p->granule_bytes / 8;
    uint32_t n = t->capacity;
    while (!t->own_capacity && n > HORUSI_FRAMES &&
           horusi_ring_bytes(policy, n, horusi_stride(t->message_bytes), t->max_subs) > most)
        n /= 2;
    return n;
}
/* The handle's ring: a slot for the entries, and a lane that names it. */
static horus_result horusi_out_open(horus_topic *t)
{
    horus_context *c = t->context;
    horus_pool *p = c->pool;
    uint32_t any = HORUS_POLICY_ANY, s = 0, i;
    (void)horusi_cas32_acqrel(L1, &t->shm->policy, &any, HORUS_OVERWRITE);
    uint32_t policy = horusi_ld32_acq(L2, &t->shm->policy),
             stride = horusi_stride(t->message_bytes), capacity = horusi_ring_capacity(t, policy);
    uint64_t most = (uint64_t)p->granules * p->granule_bytes / 8;
    uint64_t bytes = horusi_ring_bytes(policy, capacity, stride, t->max_subs);
    horusi_out *o = (horusi_out *)horusi_new(c, sizeof *o);
    if (!o)
        return HORUS_E_MEMORY;
    o->refs = (horusi_ref *)horusi_new(c, (size_t)capacity * sizeof *o->refs);
    void *data;
    horus_result r = o->refs ? horusi_alloc(p, bytes, true, NULL, &s, &data) : HORUS_E_MEMORY;
    if (r != HORUS_OK)
        goto fail;
    horusi_st32_rlx(own, &p->slot[s].flags, HORUSI_INTERNAL);
    horusi_ring ring = {0};
    (void)horusi_ring_at(p, s, policy, capacity, stride, t->max_subs, &ring);
    horusi_lane *lane = NULL;
    for (int pass = 0; pass < 3 && !lane; pass++) {
        if (pass == 1) {
            (void)horusi_sweep_for(c, HORUSI_DROP_TOPIC, t->ref.slot);
        } else if (pass == 2) {
            horusi_lock(&c->lock);
            (void)horusi_end_closed(c, c->pool, false);
            horusi_unlock(&c->lock);
        }
        for (i = 0; i < t->max_lanes && !lane; i++) {
            uint64_t w = horusi_ld64_acq(L2, &horusi_lanes(t->shm)[i].word);
            if (w == 0 &&
                horusi_cas64_acqrel(L1, &horusi_lanes(t->shm)[i].word, &w,
                                    horusi_owner(c->incarnation, c->row, HORUSI_LANE_CLAIMED))) {
                lane = &horusi_lanes(t->shm)[i];
                o->lane_index = i;
            }
        }
    }
    if (!lane) {
        horusi_release(p, s);
        r = horusi_fail(HORUS_E_LIMIT,
                        "topic %.96s: %u handles send, which is the limit "
                        "(max_publishers)",
                        t->shm->name, (unsigned)t->max_lanes);
        goto fail;
    }
    uint32_t g = horusi_ld32_rlx(own, &p->rec[s].generation);
    horusi_enter(p, t->ref.slot); /* the ring holds the topic beyond its handle */
    o->topic = t->ref;
    o->ring.pool = p;
    o->ring.slot = s;
    o->ring.generation = g;
    o->shm = t->shm;
    o->lane = lane;
    o->max_lanes = t->max_lanes;
    o->max_subs = t->max_subs;
    o->policy = policy;
    o->entries = ring.entries;
    o->cursors = ring.cursors;
    o->claims = ring.claims;
    o->stride = stride;
    o->capacity = capacity;
    o->frame_most = most;
    o->frame_limit = capacity;
    o->next = 1;
    o->passed = 1;
    horusi_out_room(o);
    o->tail = 1;
    o->handle = t;
    o->use = &t->use;
    horusi_st64_rel(L1, &lane->ring, 0); /* nobody lays our capacity over an earlier ring */
    horusi_st32_rel(L1, &lane->capacity, capacity);
    horusi_st64_rel(L1, &lane->head, 0); /* nor takes our place for that of an earlier one */
    horusi_st64_rlx(L1, &lane->tail, 1);
    horusi_st64_rlx(L1, &lane->last, 0);
    horusi_st32_rlx(L1, &lane->frames, 0);
    horusi_st64_rel(L1, &lane->ring, horusi_pair(s, g));
    horusi_st64_seq(W, &lane->word, horusi_owner(c->incarnation, c->row, HORUSI_LANE_LIVE));
    (void)horusi_add32_seq(W, &t->shm->version, 1); /* before a send looks for sleepers */
    horusi_lock(&c->lock);
    o->next_out = c->outs;
    c->outs = o;
    t->out = o;
    horusi_unlock(&c->lock);
    return HORUS_OK;
fail:
    horusi_delete(c, o->refs);
    horusi_delete(c, o);
    return r;
}

/* reliable: the first sequence that some live reader has still to read. A reader that begins sets
 * its cursors, then counts (seq_cst), then moves them to the heads that it reads after that; we
 * publish our head (seq_cst), then look who counts. Either it sees our head or we see it. */
static uint64_t horusi_slowest(horus_topic *t, horusi_out *o)
{
    uint64_t slowest = o->next;
    (void)horusi_xchg64_seq(W, &o->lane->head, o->next - 1);
    uint32_t used = horusi_ld32_seq(W, &t->shm->subs_used);
    for (uint32_t i = 0; i < used && i < t->max_subs; i++) {
        uint64_t w = horusi_ld64_seq(W, &horusi_subs(t->shm, t->max_lanes)[i].word);
        if (horusi_owner_state(w) != HORUSI_SUB_ACTIVE || !horusi_is_live(t->context->pool, w))
            continue;
        uint64_t at = horusi_ld64_seq(W, &o->cursors[i]);
        at = at == 0 ? 1 : at;
        slowest = at < slowest ? at : slowest;
    }
    return slowest;
}

/* True once message n of our ring is needed by nobody. */
static bool horusi_is_passed(horus_topic *t, horusi_out *o, uint64_t n)
{
    if (o->policy == HORUS_RELIABLE) {
        uint32_t openings = horusi_ld32_acq(K2, &t->shm->openings);
        if (n >= o->passed || openings != o->openings) {
            o->openings = openings;
            o->passed = horusi_slowest(t, o);
            horusi_out_room(o);
        }
        return n < o->passed;
    }
    if (o->policy == HORUS_QUEUE) {
        uint64_t claim = horusi_ld64_seq(W, &o->claims[horusi_out_index(o, n)]);
        return !horusi_claim_is(claim, n) || horusi_claim_state(claim) == HORUSI_CLAIM_DONE;
    }
    return true;
}

/* Makes place for one more message, and one more frame of `bytes`. False: full. */
static bool horusi_make_place(horus_topic *t, horusi_out *o, uint64_t frame_bytes)
{
    if (o->policy == HORUS_QUEUE) {
        uint64_t first = o->tail;
        while (o->tail < o->next && horusi_is_passed(t, o, o->tail))
            o->tail++;
        if (o->tail != first)
            horusi_st64_rel(K1, &o->lane->tail, o->tail);
    }
    if (o->policy == HORUS_QUEUE
            ? o->next - o->tail >= o->capacity
            : o->next > o->capacity && !horusi_is_passed(t, o, o->next - o->capacity))
        return false;
    /* overwrite: what is beyond the limit goes after the send, off its path */
    while (frame_bytes && o->frames > 0 &&
           ((o->policy != HORUS_OVERWRITE && o->frames >= o->frame_limit) ||
            o->frame_bytes + frame_bytes > o->frame_most)) {
        uint64_t n = horusi_out_oldest(o);
        if (!horusi_is_passed(t, o, n))
            return false;
        if (o->policy == HORUS_QUEUE)
            horusi_out_drop(o, horusi_out_index(o, n)); /* its entry stays DONE */
        else
            horusi_out_evict(o, n);
    }
    return true;
}

/* Entry `index` holds `ref` from now on, and no longer what it held. */
static void horusi_out_hold(horusi_out *o, uint32_t index, const horusi_ref *ref)
{
    horusi_out_drop(o, index);
    if (!ref)
        return;
    o->refs[index] = *ref;
    o->frames++;
    horusi_out_room(o);
    o->frame_bytes += ref->bytes;
    horusi_st32_rlx(own, &o->lane->frames, o->frames);
    while (o->frames > o->frame_limit)
        horusi_out_evict(o, horusi_out_oldest(o));
}

/* Writes the next entry of a ring, which is e. */
HORUSI_HOT void horusi_write_entry(horus_topic *t, horusi_out *o, horusi_entry *e,
                                   const void *payload, uint32_t bytes, uint32_t kind, uint32_t tag,
                                   bool queue)
{
    uint64_t n = o->next;
    uint32_t index = o->index;
    uint64_t stamp = horusi_ticks(t->clock);
    /* from here on the old message is no more */
    horusi_st64_rlx(P2, &e->seq, n > o->capacity ? 2 * (n - o->capacity) + 1 : 1);
    horusi_st64_rel(P2, &e->stamp, stamp);
    horusi_st32_rel(P2, &e->tag, tag);
    horusi_st32_rel(P2, &e->size, kind << 24 | bytes);
    horusi_payload_put(e, payload, bytes);
    if (queue)
        horusi_st64_rlx(P1, &o->claims[index], horusi_claim_word(n, 0, 0, HORUSI_CLAIM_READY));
    horusi_st64_rel(P1, &e->seq, 2 * n);
    horusi_lane *lane = o->lane;
    horusi_st64_rlx(L1, &lane->last, stamp);
    horusi_st64_rel(L1, &lane->head, n);
    o->next = n + 1;
    o->index = index + 1 == o->capacity ? 0 : index + 1;
    /* readers have left their marks on what comes next: call for it early */
    horusi_fetch_to_write((uint8_t *)e + 4 * (size_t)o->stride);
    if (o->stride > 64)
        horusi_fetch_to_write((uint8_t *)e + 4 * (size_t)o->stride + 64);
}

/* Wakes who sleeps, after e was written. Whoever sleeps for the first time says so, and then looks
 * again after a short slice: a look of ours that came too early was after an entry that has arrived
 * by then. */
HORUSI_HOT void horusi_wake_readers(horus_topic *t, const horusi_out *o, horusi_entry *e)
{
    if (!horusi_ld32_rlx(W, &t->shm->may_sleep))
        return;
    (void)horusi_xchg64_seq(W, &e->seq, 2 * (o->next - 1)); /* once more: before the next load */
    horusi_ring_rows(t->context, t->shm->sleepers);
}

/* Sends one message; the reference, if any, is the ring's from now on. */
HORUSI_HOT void horusi_publish(horus_topic *t, horusi_out *o, const void *payload, uint32_t bytes,
                               uint32_t kind, uint32_t tag, const horusi_ref *ref)
{
    uint32_t index = o->index;
    horusi_entry *e = horusi_entry_at(o->entries, o->stride, index);
    horusi_write_entry(t, o, e, payload, bytes, kind, tag, o->claims != NULL);
    if (o->frames || ref)
        horusi_out_hold(o, index, ref);
    horusi_wake_readers(t, o, e);
}

/* The common case: a message of the right size, and place for it in a ring without frames. False:
 * it is not so. */
HORUSI_HOT bool horusi_send_plain(horus_topic *t, const void *message, size_t bytes,
                                  int64_t timeout_ns)
{
    horusi_out *o = t->plain;
    if (horusi_rarely(!o))
        return false;
    horusi_entry *e = horusi_fetch_entry(o);
    if (horusi_rarely(!message || timeout_ns < 0 || bytes - t->least_bytes > t->plain_span ||
                      o->next >= o->room || horusi_ld32_acq(K2, &t->shm->openings) != o->openings ||
                      horusi_is_detached(t->context)))
        return false;
    horusi_write_entry(t, o, e, message, (uint32_t)bytes, HORUS_KIND_MESSAGE, t->type_tag, false);
    horusi_wake_readers(t, o, e);
    return true;
}

static horus_result horusi_wait_room(horus_topic *t, horusi_out *o, uint64_t frame_bytes,
                                     int64_t timeout_ns);

/* The part that all sends share: the ring, and place in it. */
HORUSI_HOT horus_result horusi_prepare(horus_topic *t, uint64_t frame_bytes, int64_t timeout_ns)
{
    if (horusi_rarely(timeout_ns < 0))
        return horusi_fail(HORUS_E_ARG, "topic %.96s: a negative timeout", t->shm->name);
    if (horusi_rarely(!t->sent)) {
        horus_result r = t->out ? HORUS_OK : horusi_out_open(t);
        if (r != HORUS_OK)
            return r;
        t->sent = true;
        uint32_t most = t->most_bytes < t->message_bytes ? t->most_bytes : t->message_bytes;
        t->plain_span = most - t->least_bytes;
        t->plain = most >= t->least_bytes ? t->out : NULL;
        if (!t->received) { /* a handle that only sends holds nobody back */
            t->sub_word = horusi_owner(t->context->incarnation, t->context->row, HORUSI_SUB_IDLE);
            horusi_st64_seq(W, &t->sub->word, t->sub_word);
            horusi_ring_rows(t->context, t->shm->waiters);
        }
    }
    horusi_out *o = t->out;
    if (o->policy == HORUS_OVERWRITE &&
        (frame_bytes == 0 || o->frame_bytes + frame_bytes <= o->frame_most)) {
        o->openings = horusi_ld32_acq(K2, &t->shm->openings);
        return HORUS_OK;
    }
    if (horusi_make_place(t, o, frame_bytes))
        return HORUS_OK;
    return horusi_wait_room(t, o, frame_bytes, timeout_ns);
}

HORUSI_HOT horus_result horusi_send_bytes(horus_topic *t, const void *message, size_t bytes,
                                          uint32_t tag, int64_t timeout_ns)
{
    horus_pool *p = t->context->pool;
    horus_result r = horusi_prepare(t, bytes > t->message_bytes ? bytes : 0, timeout_ns);
    if (r != HORUS_OK)
        return r;
    if (bytes <= t->message_bytes) {
        horusi_publish(t, t->out, message, (uint32_t)bytes, HORUS_KIND_MESSAGE, tag, NULL);
        return HORUS_OK;
    }
    struct {
        horusi_wire head;
        uint64_t bytes;
    } wire;
    horusi_ref ref = {p, 0, 0, bytes};
    memset(&wire, 0, sizeof wire);
    void *data;
    r = horusi_alloc(p, bytes, false, t->out, &ref.slot, &data);
    if (r != HORUS_OK)
        return r;
    memcpy(data, message, bytes);
    ref.generation = horusi_ld32_rlx(own, &p->rec[ref.slot].generation);
    horusi_st32_rlx(own, &p->slot[ref.slot].flags, HORUSI_PUBLISHED);
    wire.head.slot = ref.slot;
    wire.head.generation = ref.generation;
    wire.bytes = bytes;
    horusi_publish(t, t->out, &wire, (uint32_t)sizeof wire, HORUSI_WIRE_BLOB, tag, &ref);
    return HORUS_OK;
}

static horus_result horusi_send_one(horus_topic *t, const horus_type *type, const void *message,
                                    size_t bytes, uint32_t tag, int64_t timeout_ns)
{
    if (!horusi_taped())
        return horusi_send_bytes(t, message, bytes, tag, timeout_ns);
    horusi_deed d = horusi_deed_of(HORUSI_SEND);
    d.words = 2;
    d.word[0] = horusi_hash_message(type, message, bytes);
    d.word[1] = bytes;
    HORUSI_DO(true, t, d, horusi_send_bytes(t, message, bytes, tag, timeout_ns));
    return d.result;
}

static horus_result horusi_check_send(horus_topic *t, const horus_type *type, const void *message,
                                      size_t bytes)
{
    if (!message || bytes == 0 || bytes > UINT32_MAX)
        return horusi_fail(HORUS_E_ARG, "topic %.96s: send: NULL or empty message", t->shm->name);
    uint32_t theirs = horusi_ld32_rlx(L2, &t->shm->type_tag), tag = type ? horus_type_tag(type) : 0;
    if (theirs && type && theirs != tag)
        return horusi_fail(HORUS_E_TYPE, "topic %.96s carries %.63s, not %s", t->shm->name,
                           t->shm->type_name, type->name);
    if (type && type->kind != HORUS_KIND_MESSAGE)
        return horusi_fail(HORUS_E_TYPE, "topic %.96s: bytes are no %s: use the send of its own",
                           t->shm->name, type->name);
    if (type && (bytes < type->size || (bytes > type->size && !horusi_is_variable(type))))
        return horusi_fail(HORUS_E_SIZE, "topic %.96s: a %s has %u bytes, not %llu", t->shm->name,
                           type->name, (unsigned)type->size, (unsigned long long)bytes);
    return HORUS_OK;
}

/* horus_topic_send() once more, for what is not plain. */
HORUSI_COLD horus_result horusi_send_other(horus_topic *t, const void *message, size_t bytes,
                                           int64_t timeout_ns)
{
    horus_result r = horusi_begin(t, "topic_send");
    if (r != HORUS_OK)
        return r;
    if (!message || bytes < t->least_bytes || bytes > t->most_bytes) {
        r = horusi_check_send(t, t->type, message, bytes);
        if (r == HORUS_OK && horusi_ld32_rlx(L2, &t->shm->type_tag))
            r = horusi_fail(HORUS_E_TYPE,
                            "topic %.96s carries %.63s: open it with that type to send",
                            t->shm->name, t->shm->type_name);
    }
    if (r == HORUS_OK)
        r = horusi_send_one(t, t->type, message, bytes, t->type_tag, timeout_ns);
    return horusi_end(t, r);
}
horus_result horus_topic_send(horus_topic *t, const void *message, size_t bytes, int64_t timeout_ns)
{
    if (t && horusi_use_quick(&t->use)) {
        bool sent = horusi_send_plain(t, message, bytes, timeout_ns);
        horusi_use_quit(&t->use);
        if (sent)
            return HORUS_OK;
    }
    return horusi_send_other(t, message, bytes, timeout_ns);
}

horus_result horus_topic_send_typed(horus_topic *t, const horus_type *type, const void *message,
                                    size_t bytes, int64_t timeout_ns)
{
    if (!type)
        return horusi_fail(HORUS_E_ARG, "topic_send_typed: type is NULL");
    horus_result r = horusi_begin(t, "topic_send_typed");
    if (r != HORUS_OK)
        return r;
    r = horusi_check_send(t, type, message, bytes);
    if (r == HORUS_OK)
        r = horusi_send_one(t, type, message, bytes, horus_type_tag(type), timeout_ns);
    return horusi_end(t, r);
}

/* A ring that carries frames keeps few of them, unless its capacity was asked for; messages that
 * travel as pool blocks are meant to stay as long as the others. */
HORUSI_HOT void horusi_keep_few(horus_topic *t)
{
    horusi_out *o = t->out;
    if (horusi_rarely(o && o->frame_limit > HORUSI_FRAMES && !t->own_capacity))
        o->frame_limit = HORUSI_FRAMES;
}
static void horusi_mark_published(const horus_frame *f)
{
    if (horusi_flags(f) & HORUSI_PUBLISHED)
        return;
    horusi_st32_rlx(own, &f->pool->slot[f->slot].flags, HORUSI_PUBLISHED);
    horusi_protect(f->pool, f->slot, true);
}
typedef struct horusi_frame_out {
    const horus_frame *frame;
    const void *wire;
    uint32_t wire_bytes, kind, tag;
} horusi_frame_out;
HORUSI_HOT horus_result horusi_send_out(horus_topic *t, const horusi_frame_out *o,
                                        int64_t timeout_ns)
{
    const horus_frame *f = o->frame;
    uint64_t bytes = horusi_ld64_rlx(own, &f->pool->slot[f->slot].bytes);
    horusi_ref ref = {f->pool, f->slot, f->generation, bytes};
    horusi_keep_few(t);
    horus_result r = horusi_prepare(t, bytes, timeout_ns);
    if (r != HORUS_OK)
        return r;
    horusi_keep_few(t);             /* the first one: it made the ring */
    horusi_enter(f->pool, f->slot); /* the ring's hold */
    horusi_mark_published(f);
    horusi_publish(t, t->out, o->wire, o->wire_bytes, o->kind, o->tag, &ref);
    return HORUS_OK;
}
/* Sends a frame whose descriptor is ready. */
static horus_result horusi_send_frame(horus_topic *t, const horus_frame *f, const void *wire,
                                      uint32_t wire_bytes, const horus_type *type,
                                      int64_t timeout_ns)
{
    horus_result r = horusi_begin(t, "send");
    if (r != HORUS_OK)
        return r;
    if (t->out)
        (void)horusi_fetch_entry(t->out);
    uint32_t theirs = horusi_ld32_rlx(L2, &t->shm->type_tag);
    static HORUSI_THREAD uint32_t tags[5]; /* hashing once per thread is enough */
    if (tags[type->kind] == 0)
        tags[type->kind] = horus_type_tag(type);
    if (f->pool->context != t->context)
        r = horusi_fail(HORUS_E_ARG, "topic %.96s: the frame is of another namespace: copy it",
                        t->shm->name);
    else if (theirs && theirs != tags[type->kind])
        r = horusi_fail(HORUS_E_TYPE, "topic %.96s carries %.63s, not %s", t->shm->name,
                        t->shm->type_name, type->name);
    else if (wire_bytes > t->message_bytes)
        r = horusi_fail(
            HORUS_E_SIZE,
            "topic %.96s: its entries have %u bytes, a descriptor of %u does not fit: open "
            "it with message_bytes >= %u",
            t->shm->name, (unsigned)t->message_bytes, (unsigned)wire_bytes, (unsigned)wire_bytes);
    if (r != HORUS_OK)
        return horusi_end(t, r);
    horusi_frame_out out = {f, wire, wire_bytes, type->kind, tags[type->kind]};
    if (!horusi_taped())
        return horusi_end(t, horusi_send_out(t, &out, timeout_ns));
    horusi_deed d = horusi_deed_of((uint8_t)(HORUSI_SEND + type->kind));
    d.words = 1;
    d.word[0] = horusi_hash_frame(f, wire, wire_bytes);
    HORUSI_DO(true, t, d, horusi_send_out(t, &out, timeout_ns));
    if (d.result == HORUS_OK)
        horusi_mark_published(f);
    return horusi_end(t, d.result);
}

/* ------------------------------------------------------------------------------------ >>receive
 *
 * A reader walks each ring by the entries' own numbers: what is there, what is new, what was lost. */

static void horusi_count_lost(horus_topic *t, uint64_t n)
{
    t->lost += n;
    horusi_st64_rlx(own, &t->sub->lost, horusi_ld64_rlx(own, &t->sub->lost) + n);
}
/* The messages from the next one up to `to` are lost; history that could not be had is not. */
static void horusi_tell_lost(horus_topic *t, const horusi_in *in, uint64_t to)
{
    uint64_t from = in->next > in->begin ? in->next : in->begin;
    if (to > from)
        horusi_count_lost(t, to - from);
}

/* The word of a lane, its ring, and the messages of the rings that had ended there by then. The
 * ring is looked at first and last: its number never comes again, another one's word may be the
 * same. */
static uint64_t horusi_lane_look(horusi_lane *lane, uint64_t *ended, uint64_t *ring)
{
    uint64_t w = horusi_ld64_seq(W, &lane->word);
    for (int tries = 0; tries < 1000; tries++) {
        *ring = horusi_ld64_acq(L2, &lane->ring);
        *ended = horusi_owner_state(w) == HORUSI_LANE_ENDING ? horusi_ld64_acq(L2, &lane->ending)
                                                             : horusi_ld64_acq(L2, &lane->ended);
        uint64_t now = horusi_ld64_seq(W, &lane->word);
        if (now == w && horusi_ld64_acq(L2, &lane->ring) == *ring)
            break;
        w = now;
    }
    return w;
}

static void horusi_find_only(horus_topic *t)
{
    bool simple = t->in_count == 1 && t->received && !horusi_is_queue(t->in) && !t->in->gone;
    t->only = simple ? t->in : NULL;
}
static bool horusi_is_over(horus_topic *t, horusi_in *in);
static void horusi_let_go(horus_topic *t, uint32_t k);
/* Brings the reader's list of rings up to date. `opening`: rings found now are read from their
 * heads on; later ones from their first message. */
static void horusi_refresh(horus_topic *t, bool opening)
{
    horus_pool *p = t->context->pool;
    uint64_t ended = 0;
    uint32_t again = 1000 + t->max_lanes; /* looks: a word that changes for ever holds nobody up */
    t->version = horusi_ld32_acq(L2, &t->shm->version);
    for (uint32_t i = 0; i < t->max_lanes; i++) {
        horusi_lane *lane = &horusi_lanes(t->shm)[i];
        uint64_t past, ref, w = horusi_lane_look(lane, &past, &ref);
        bool live = horusi_owner_state(w) >= HORUSI_LANE_LIVE;
        horusi_in *in = NULL;
        for (uint32_t k = 0; k < t->in_count && !in; k++)
            if (t->in[k].lane == i && !t->in[k].gone)
                in = &t->in[k];
        if (in && (!live || ref != in->ref)) {
            in->gone = true; /* and read to its end, so not lost */
            t->unseen -= horusi_ring_newest(&in->ring);
            in = NULL;
        }
        if (live && !in) {
            horusi_ring ring;
            bool have = t->in_count < t->in_room &&
                        horusi_ring_acquire(p, t->shm, t->max_subs, lane, &ring);
            if (have && horusi_pair(ring.slot, ring.generation) != ref) { /* the next one already */
                horusi_release(p, ring.slot);
                have = false;
            }
            if (!have) {
                if (opening && again > 0 && horusi_ld64_seq(W, &lane->word) != w)
                    i--, again--; /* it ended as we looked: what it had was never ours to lose */
                else
                    ended += past;
                t->version--; /* look again next time */
                continue;
            }
            in = &t->in[t->in_count++];
            memset(in, 0, sizeof *in);
            in->ring = ring;
            in->ref = ref;
            in->lane = i;
            in->publisher = horusi_owner_row(w) << 16 | i;
            in->next = 1;
        }
        ended += past;
        if (in && opening) {
            in->next = horusi_is_queue(in) ? horusi_ld64_acq(K2, &lane->tail)
                                           : horusi_ld64_seq(W, &lane->head) + 1;
            if (horusi_ld64_acq(L2, &lane->ring) != in->ref) /* that is another ring's place */
                in->next = horusi_ring_newest(&in->ring) + 1;
            in->next = in->next ? in->next : 1;
            in->begin = in->next;
            if (in->ring.cursors)
                horusi_st64_seq(W, &in->ring.cursors[t->sub_index], in->next);
            in->index = (uint32_t)((in->next - 1) % in->ring.capacity);
        }
    }
    t->unseen += ended - t->ended;
    t->ended = ended;
    if (!opening && (int64_t)t->unseen > 0 && /* rings that came and went since we last looked */
        horusi_ld32_acq(L2, &t->shm->policy) != HORUS_QUEUE)
        horusi_count_lost(t, t->unseen);
    if (opening || (int64_t)t->unseen > 0)
        t->unseen = 0;
    /* whoever takes just what there is never comes round to a ring that is over */
    for (uint32_t k = t->in_count; t->received && k-- > 0;)
        if (t->in[k].gone && horusi_is_over(t, &t->in[k]))
            horusi_let_go(t, k);
    horusi_find_only(t);
}

static void horusi_in_seek(horusi_in *in, uint64_t n)
{
    in->next = n;
    in->index = (uint32_t)((n - 1) % in->ring.capacity);
}

/* history=k: steps back over the k newest messages of all rings, by publish time. */
static void horusi_history(horus_topic *t, uint32_t k)
{
    for (; k > 0; k--) {
        horusi_in *best = NULL;
        uint64_t newest = 0;
        for (uint32_t i = 0; i < t->in_count; i++) {
            horusi_in *in = &t->in[i];
            if (horusi_is_queue(in) || in->next <= 1 || in->begin - in->next >= in->ring.capacity)
                continue;
            horusi_entry *e = horusi_entry_at(in->ring.entries, in->ring.stride,
                                              (uint32_t)((in->next - 2) % in->ring.capacity));
            uint64_t stamp = horusi_ld64_acq(C2, &e->stamp);
            if (horusi_ld64_acq(C1, &e->seq) == 2 * (in->next - 1) && stamp >= newest) {
                newest = stamp;
                best = in;
            }
        }
        if (!best)
            break;
        horusi_in_seek(best, best->next - 1);
        if (best->ring.cursors)
            horusi_st64_seq(W, &best->ring.cursors[t->sub_index], best->next);
    }
}

/* Lets a reliable publisher know how far we are. */
HORUSI_HOT void horusi_tell_place(horus_topic *t, horusi_in *in)
{
    if (!in->ring.cursors)
        return;
    horusi_st64_rel(K1, &in->ring.cursors[t->sub_index], in->next);
    if (horusi_rarely(horusi_ld32_rlx(W, &t->shm->may_wait))) { /* as horusi_wake_readers() does */
        horusi_st64_seq(W, &in->ring.cursors[t->sub_index], in->next);
        horusi_ring_rows(t->context, t->shm->waiters);
    }
}
/* On to the next message; to message n. */
HORUSI_HOT void horusi_step(horus_topic *t, horusi_in *in)
{
    in->index = in->index + 1 == in->ring.capacity ? 0 : in->index + 1;
    in->next++;
    horusi_tell_place(t, in);
}
HORUSI_COLD void horusi_advance(horus_topic *t, horusi_in *in, uint64_t n)
{
    horusi_in_seek(in, n);
    horusi_tell_place(t, in);
}

/* The newest message that the reader knows of, given that m stood where it looked. */
static uint64_t horusi_newest_known(horus_topic *t, const horusi_in *in, uint64_t m)
{
    uint64_t head = horusi_ld64_acq(L2, &horusi_lanes(t->shm)[in->lane].head);
    if (head <= m) /* of another ring by now, or garbage: then it is not what its entry says */
        return m;
    horusi_entry *e = horusi_entry_at(in->ring.entries, in->ring.stride,
                                      (uint32_t)((head - 1) % in->ring.capacity));
    return horusi_ld64_acq(C1, &e->seq) == 2 * head ? head : m;
}
/* The entry to read next in one ring, lost ones skipped and counted; NULL if there is none. `sure`:
 * we are about to sleep, so the look must not be reordered before our bit. */
HORUSI_COLD horusi_entry *horusi_look_on(horus_topic *t, horusi_in *in, bool sure)
{
    for (uint64_t tries = 0;; tries++) {
        horusi_entry *e = horusi_entry_at(in->ring.entries, in->ring.stride, in->index);
        uint64_t seq = sure ? horusi_ld64_seq(W, &e->seq) : horusi_ld64_acq(C1, &e->seq);
        if (seq < 2 * in->next)
            return NULL;
        if (seq == 2 * in->next)
            return e;
        /* message m, or one that took its place, stood here last: what is a lap behind it is gone,
         * and so is m itself if it is the one that we want */
        uint64_t m = seq / 2, oldest = in->next + 1;
        if (m > in->next && (m - in->next) % in->ring.capacity == 0)
            oldest = horusi_newest_known(t, in, m) - in->ring.capacity + 1;
        if (oldest <= in->next)
            oldest = in->next + 1; /* garbage: step on, never back */
        horusi_tell_lost(t, in, oldest);
        horusi_advance(t, in, oldest);
        if (tries > 1000 + 2 * (uint64_t)in->ring.capacity)
            return NULL; /* lapped again and again, or garbage throughout: the next call goes on */
    }
}
HORUSI_HOT horusi_entry *horusi_look(horus_topic *t, horusi_in *in, bool sure)
{
    horusi_entry *e = horusi_entry_at(in->ring.entries, in->ring.stride, in->index);
    uint64_t seq = sure ? horusi_ld64_seq(W, &e->seq) : horusi_ld64_acq(C1, &e->seq);
    if (seq == 2 * in->next)
        return e;
    return seq < 2 * in->next ? NULL : horusi_look_on(t, in, sure);
}

/* Queue: claims the next free message of one ring. NULL: none. */
static horusi_entry *horusi_claim_next(horus_topic *t, horusi_in *in, bool sure, bool only_look,
                                       bool *again)
{
    horus_context *c = t->context;
    /* a lap to catch up with what was overwritten, another over what is taken or done */
    for (uint64_t tries = 0; tries <= 2 * (uint64_t)in->ring.capacity; tries++) {
        horusi_entry *e = horusi_entry_at(in->ring.entries, in->ring.stride, in->index);
        horusi_a64 *claim = &in->ring.claims[in->index];
        uint64_t seq = sure ? horusi_ld64_seq(W, &e->seq) : horusi_ld64_acq(C1, &e->seq);
        if (seq < 2 * in->next)
            return NULL;
        uint64_t w = horusi_ld64_acq(K2, claim), n = in->next;
        uint32_t state = horusi_claim_state(w);
        if (seq == 2 * n && horusi_claim_is(w, n) &&
            (state == HORUSI_CLAIM_READY || state == HORUSI_CLAIM_AGAIN)) {
            *again = state == HORUSI_CLAIM_AGAIN;
            if (only_look)
                return e;
            uint64_t taken = horusi_claim_word(n, c->incarnation, c->row, HORUSI_CLAIM_TAKEN);
            if (horusi_cas64_acqrel(K1, claim, &w, taken)) {
                t->claim = claim;
                t->claim_word = taken;
                horusi_in_seek(in, n + 1);
                return e;
            }
            continue;
        }
        /* somebody else's, or done; if a newer one stands here, so is all that it laps */
        uint64_t m = seq / 2;
        bool lapped = m > n && (m - n) % in->ring.capacity == 0;
        horusi_in_seek(in, lapped ? m - in->ring.capacity + 1 : n + 1);
    }
    return NULL;
}

/* Queue: what we had is done. */
static bool horusi_unclaim(horus_topic *t)
{
    if (!t->claim)
        return false;
    uint64_t w = t->claim_word;
    bool done = horusi_cas64_seq(W, t->claim, &w, (w & ~(uint64_t)0xff) | HORUSI_CLAIM_DONE);
    t->claim = NULL;
    if (done)
        horusi_ring_rows(t->context, t->shm->waiters);
    return true;
}

/* True if the message that we have is of this ring. */
static bool horusi_has_claim(const horus_topic *t, const horusi_in *in)
{
    return t->claim && horusi_is_queue(in) && t->claim >= in->ring.claims &&
           t->claim < in->ring.claims + in->ring.capacity;
}
/* True if nothing is left to be got from a ring whose publisher has ended it. */
static bool horusi_is_over(horus_topic *t, horusi_in *in)
{
    bool again;
    return !horusi_has_claim(t, in) &&
           !(horusi_is_queue(in) ? horusi_claim_next(t, in, false, true, &again)
                                 : horusi_look(t, in, false));
}
/* Drops a ring that is over. */
static void horusi_let_go(horus_topic *t, uint32_t k)
{
    horusi_release(t->context->pool, t->in[k].ring.slot);
    t->in[k] = t->in[--t->in_count];
    horusi_find_only(t);
}

/* Something changed that is looked at rarely: the set of rings, or a claim that came back. */
HORUSI_COLD void horusi_catch_up(horus_topic *t, uint32_t redeliver)
{
    if (horusi_ld32_acq(L2, &t->shm->version) != t->version) {
        horusi_refresh(t, false);
        /* who takes one message at a time may never come round to a ring that is over */
        for (uint32_t k = t->in_count; k-- > 0;)
            if (t->in[k].gone && horusi_is_over(t, &t->in[k]))
                horusi_let_go(t, k);
    }
    if (redeliver == t->redeliver)
        return;
    t->redeliver = redeliver;
    for (uint32_t k = 0; k < t->in_count; k++) { /* look again from the oldest undone */
        uint64_t tail = horusi_ld64_acq(K2, &horusi_lanes(t->shm)[t->in[k].lane].tail);
        if (horusi_is_queue(&t->in[k]) && tail > 0 && tail < t->in[k].next && !t->in[k].gone)
            horusi_in_seek(&t->in[k], tail);
    }
}

/* The next message of any ring; *which is its reader. Queue: it is claimed unless only_look. */
HORUSI_HOT horusi_entry *horusi_find(horus_topic *t, bool sure, bool only_look, uint32_t *which,
                                     bool *again)
{
    uint32_t redeliver =
        sure ? horusi_ld32_seq(W, &t->shm->redeliver) : horusi_ld32_acq(K2, &t->shm->redeliver);
    uint32_t version =
        sure ? horusi_ld32_seq(W, &t->shm->version) : horusi_ld32_acq(L2, &t->shm->version);
    *again = false;
    if (horusi_rarely(version != t->version || redeliver != t->redeliver))
        horusi_catch_up(t, redeliver);
    uint32_t ends =
        2 * t->in_room; /* rings let go of: a lane that changes for ever is left alone */
    for (uint32_t left = t->in_count, k = t->turn; left > 0; left--, k++) {
        if (k >= t->in_count)
            k = 0;
        horusi_in *in = &t->in[k];
        horusi_entry *e = horusi_is_queue(in) ? horusi_claim_next(t, in, sure, only_look, again)
                                              : horusi_look(t, in, sure);
        if (e) {
            *which = k;
            t->turn = k + 1;
            return e;
        }
        if (horusi_rarely(in->gone && ends > 0 &&
                          !horusi_has_claim(
                              t, in))) { /* read to its end; others may have waited for its place */
            ends--;
            horusi_let_go(t, k);
            horusi_catch_up(t, redeliver);
            left = t->in_count + 1;
            k = UINT32_MAX;
        }
    }
    return NULL;
}

static const char *horusi_kind_name(uint32_t kind)
{
    static const char *const names[] = {"a message", "a tensor", "an image", "a depth image",
                                        "a point cloud"};
    return names[kind];
}

/* Holds the slot that a descriptor names. LAPPED (EMPTY): that use of it is over. */
static horus_result horusi_hold_wire(horus_context *c, const horusi_wire *w, horus_frame *f)
{
    horus_pool *p = c->pool;
    if (w->pool_id != 0) {
        p = horusi_pool_find(c, w->pool_id);
        if (!p) { /* a named pool that we meet for the first time */
            horus_result r = horusi_attach_all(c);
            p = horusi_pool_find(c, w->pool_id);
            if (!p)
                return r != HORUS_OK ? r
                                     : horusi_fail(HORUS_E_NOT_FOUND, "no pool with id %08x",
                                                   (unsigned)w->pool_id);
        }
    }
    if (horusi_rarely(w->slot >= p->slots))
        return HORUS_EMPTY;
    /* the header and the first line of the data: where the slot is if it starts a granule, as all
     * large ones do */
    horusi_fetch_to_write(&p->slot[w->slot]);
    horusi_fetch(p->data + (uint64_t)(w->slot >> p->blocks_log2) * p->granule_bytes);
    if (horusi_rarely(!horusi_acquire(p, w->slot, w->generation)))
        return HORUS_EMPTY;
    f->pool = p;
    f->slot = w->slot;
    f->generation = w->generation;
    horusi_protect(p, w->slot, true);
    return HORUS_OK;
}

/* A reader that only sent until now begins to count. */
static void horusi_count_in(horus_topic *t)
{
    t->received = true;
    horusi_find_only(t);
    if (horusi_owner_state(t->sub_word) == HORUSI_SUB_ACTIVE)
        return;
    horusi_refresh(t, false);
    for (uint32_t k = 0; k < t->in_count; k++)
        if (t->in[k].ring.cursors)
            horusi_st64_seq(W, &t->in[k].ring.cursors[t->sub_index], t->in[k].next);
    t->sub_word = horusi_owner(t->context->incarnation, t->context->row, HORUSI_SUB_ACTIVE);
    horusi_st64_seq(W, &t->sub->word, t->sub_word);
    (void)horusi_add32_acqrel(K1, &t->shm->openings, 1);
}

/* Puts a claim back as it was. */
static void horusi_put_back(horus_topic *t, horusi_in *in, bool again)
{
    uint64_t w = t->claim_word; /* it keeps our row: if we die here, a sweep tells the others */
    (void)horusi_cas64_acqrel(K1, t->claim, &w,
                              (w & ~(uint64_t)0xff) |
                                  (again ? HORUSI_CLAIM_AGAIN : HORUSI_CLAIM_READY));
    t->claim = NULL;
    horusi_in_seek(in, in->next - 1);
    (void)horusi_add32_seq(W, &t->shm->redeliver, 1); /* others have gone past it */
    horusi_ring_rows(t->context, t->shm->sleepers);
}

/* A message could not be had after all: its slot was reused before we could hold it, or what the
 * ring says is impossible. It counts as lost. */
HORUSI_COLD void horusi_give_up(horus_topic *t, horusi_in *in, uint64_t n, bool only_look)
{
    if (!horusi_is_queue(in)) {
        horusi_tell_lost(t, in, n + 1);
        horusi_advance(t, in, n + 1);
    } else if (only_look) {
        horusi_in_seek(in, n + 1); /* somebody else has it, or had it */
    } else {
        horusi_count_lost(t, 1);
        (void)horusi_unclaim(t);
    }
}

/* What a receiver is told besides the message. */
static void horusi_tell(horus_topic *t, const horusi_in *in, uint64_t n, uint64_t stamp,
                        uint32_t tag, uint32_t bytes, horus_info *info)
{
    memset(info, 0, sizeof *info);
    info->sequence = n;
    info->publish_ns = horusi_stamp_ns(t, stamp);
    info->lost = t->lost;
    info->publisher = in->publisher;
    info->type_tag = tag;
    info->size = bytes;
}

/* Says why the next message is not taken, and leaves it. */
HORUSI_COLD horus_result horusi_refuse(horus_topic *t, horusi_in *in, uint32_t want, size_t room,
                                       bool again, const horusi_got *got)
{
    if (t->claim)
        horusi_put_back(t, in, again);
    if (got->kind != want)
        return horusi_fail(HORUS_E_TYPE, "topic %.96s: the next message is %s, not %s",
                           t->shm->name, horusi_kind_name(got->kind), horusi_kind_name(want));
    return horusi_fail(HORUS_E_SIZE, "topic %.96s: the next message has %u bytes, the buffer %llu",
                       t->shm->name, (unsigned)got->info.size, (unsigned long long)room);
}

/* Takes (or looks at) the next message. Bytes go to `buffer`; a frame of kind `want` is held. */
static horus_result horusi_get(horus_topic *t, void *buffer, size_t room, uint32_t want,
                               bool only_look, horusi_got *got)
{
    bool again;
    uint32_t k = 0;
    got->frame.pool = NULL;
    if (horusi_rarely(!t->received))
        horusi_count_in(t);
    if (horusi_rarely(t->claim != NULL) && !only_look)
        (void)horusi_unclaim(t);
    /* what cannot be had is passed over; nonsense without end is left to the next call */
    for (uint32_t tries = 0;; tries++) {
        if (horusi_rarely(tries > HORUSI_SWAPS))
            return HORUS_EMPTY;
        horusi_entry *e = horusi_find(t, false, only_look, &k, &again);
        if (!e)
            return HORUS_EMPTY;
        horusi_in *in = &t->in[k];
        bool claimed = horusi_is_queue(in) && !only_look;
        uint64_t n = claimed ? in->next - 1 : in->next, blob = 0;
        uint64_t stamp = horusi_ld64_acq(C2, &e->stamp);
        uint32_t tag = horusi_ld32_acq(C2, &e->tag), size = horusi_ld32_acq(C2, &e->size);
        uint32_t kind = size >> 24, bytes = size & 0xffffff;
        bool sane = bytes <= in->ring.stride - HORUSI_ENTRY_HEAD;
        if (kind != HORUS_KIND_MESSAGE) {
            uint32_t least = (uint32_t)sizeof got->wire.head + (kind == HORUSI_WIRE_BLOB ? 8 : 0);
            sane = sane && bytes >= least && bytes <= sizeof got->wire &&
                   (kind <= HORUS_KIND_CLOUD || kind == HORUSI_WIRE_BLOB);
            if (sane)
                horusi_payload_get(e, got->wire.bytes, bytes);
            if (sane && kind == HORUSI_WIRE_BLOB)
                memcpy(&blob, got->wire.bytes + sizeof got->wire.head, 8);
            sane = sane && (kind != HORUSI_WIRE_BLOB || (blob > 0 && blob <= UINT32_MAX));
        } else if (sane && room > 0 && bytes <= room) {
            horusi_payload_get(e, buffer, bytes);
        }
        if (horusi_rarely(horusi_ld64_rlx(C2, &e->seq) != 2 * n) && !claimed)
            continue; /* overwritten as we read: the next look counts it as lost */
        got->kind = kind == HORUSI_WIRE_BLOB ? (uint32_t)HORUS_KIND_MESSAGE : kind;
        got->bytes = bytes;
        uint32_t told = kind == HORUS_KIND_MESSAGE ? bytes : (uint32_t)blob;
        if (horusi_rarely(!sane)) {
            horusi_give_up(t, in, n, only_look);
            continue;
        }
        bool fits = got->kind == HORUS_KIND_MESSAGE && told <= room;
        bool refused = !only_look && (got->kind != want || (want == HORUS_KIND_MESSAGE && !fits));
        if (got->timed || horusi_rarely(refused)) {
            horusi_tell(t, in, n, stamp, tag, told, &got->info);
            got->info.kind = (uint8_t)got->kind;
            got->info.redelivered = again;
        }
        if (horusi_rarely(refused)) {
            t->turn = k;
            return horusi_refuse(t, in, want, room, again, got);
        }
        if (kind != HORUS_KIND_MESSAGE && (!only_look || fits)) {
            horus_result r = horusi_hold_wire(t->context, &got->wire.head, &got->frame);
            if (r == HORUS_OK && kind == HORUSI_WIRE_BLOB) {
                uint64_t have;
                void *from = horusi_at(got->frame.pool, got->frame.slot, &have);
                if (have < blob)
                    r = HORUS_EMPTY;
                else if (!got->keep)
                    memcpy(buffer, from, (size_t)blob);
                if (r != HORUS_OK || !got->keep) {
                    horusi_release(got->frame.pool, got->frame.slot);
                    got->frame.pool = NULL;
                }
            }
            if (horusi_rarely(r == HORUS_EMPTY)) {
                horusi_give_up(t, in, n, only_look);
                continue;
            }
            if (horusi_rarely(r != HORUS_OK)) {
                if (claimed)
                    horusi_put_back(t, in, again);
                t->turn = k;
                return r;
            }
        }
        if (only_look) {
            t->turn = k;
            return HORUS_OK;
        }
        if (!claimed)
            horusi_step(t, in);
        t->lost = 0;
        horusi_st64_rlx(own, &t->sub->received, ++t->taken);
        return HORUS_OK;
    }
}

/* A reader that keeps up with a stream takes every line from under the publisher's pen, and both
 * crawl. So when it has read a streak of messages that were sent faster than any two processes could
 * answer each other, and finds no more, it lets the publisher get ahead, once: a fraction of a
 * microsecond. */
enum { HORUSI_STREAK = 8, HORUSI_STREAM_TICKS = 400 };
HORUSI_COLD void horusi_linger(horus_topic *t)
{
    t->streak = HORUSI_STREAK - 1;
    for (int i = 0; i < 32; i++)
        horusi_relax();
}

/* The common case: a message for which the buffer has room is next in the only ring. NOT_FOUND: it
 * is not so, or not any more. */
HORUSI_HOT horus_result horusi_get_plain(horus_topic *t, void *buffer, size_t room,
                                         horus_info *info)
{
    horusi_in *in = t->only;
    if (horusi_rarely(!in || horusi_ld32_acq(L2, &t->shm->version) != t->version ||
                      horusi_is_detached(t->context)))
        return HORUS_E_NOT_FOUND;
    uint64_t n = in->next;
    horusi_entry *e = horusi_entry_at(in->ring.entries, in->ring.stride, in->index);
    uint64_t seq = horusi_ld64_acq(C1, &e->seq);
    if (seq < 2 * n) {
        if (horusi_rarely(t->streak >= HORUSI_STREAK))
            horusi_linger(t);
        return HORUS_EMPTY;
    }
    uint64_t stamp = horusi_ld64_acq(C2, &e->stamp);
    uint32_t tag = horusi_ld32_acq(C2, &e->tag);
    uint32_t bytes = horusi_ld32_acq(C2, &e->size); /* and the kind: 0 */
    if (horusi_rarely(seq != 2 * n || bytes > room ||
                      bytes > in->ring.stride - (uint32_t)HORUSI_ENTRY_HEAD))
        return HORUS_E_NOT_FOUND;
    horusi_payload_get(e, buffer, bytes);
    if (horusi_rarely(horusi_ld64_rlx(C2, &e->seq) != 2 * n))
        return HORUS_E_NOT_FOUND; /* overwritten as we read */
    if (info)
        horusi_tell(t, in, n, stamp, tag, bytes, info);
    t->streak = stamp - t->stamp < HORUSI_STREAM_TICKS ? t->streak + 1 : 0;
    t->stamp = stamp;
    horusi_step(t, in);
    t->lost = 0;
    horusi_st64_rlx(own, &t->sub->received, ++t->taken);
    return HORUS_OK;
}

/* ------------------------------------------------------------------------------------ >>wait
 *
 * Sleeping until there is a message, or room for one; and what else a handle can be asked. */

static uint64_t horusi_deadline(int64_t timeout_ns)
{
    return timeout_ns == HORUS_FOREVER ? UINT64_MAX : horusi_now() + (uint64_t)timeout_ns;
}
/* A slice went by without a ring: is our file still there, and did somebody die? */
static horus_result horusi_look_around(horus_context *c)
{
#if defined(__linux__) && !defined(HORUS_NO_OS)
    if (c->pool->fd < 0)
        return HORUS_OK;
    if (horusi_is_gone(c))
        return horusi_fail(HORUS_E_GONE,
                           "%s was removed (a logout clears a user's shared memory: see loginctl "
                           "enable-linger): open a new context",
                           c->path);
    (void)horusi_sweep(c, HORUSI_DROP_OLD);
#else
    (void)c;
#endif
    return HORUS_OK;
}

enum { HORUSI_SLICE_NS = 100000000, HORUSI_FIRST_SLICE_NS = 1000000 };
/* One slice of sleep on our doorbell. OK: look again. *looked: when we looked around last, or 0; a
 * doorbell that rings all the time, for other topics too, does not keep us from it for longer. */
static horus_result horusi_slice(horus_context *c, uint32_t seen, uint64_t deadline, uint64_t slice,
                                 uint64_t *looked)
{
    horusi_row *row = &c->pool->rows[c->row];
    uint64_t now = horusi_now(), left = deadline > now ? deadline - now : 0;
    if (left == 0)
        return HORUS_TIMEOUT;
    if (left < slice)
        slice = left;
    if (*looked == 0)
        *looked = now;
    uint64_t due = *looked + HORUSI_SLICE_NS, rest = due > now ? due - now : 0;
    if (rest < slice)
        slice = rest;
    if (horusi_sleep_on(&row->doorbell, seen, slice))
        return horusi_fail(HORUS_INTERRUPTED, "a signal handler ran while waiting");
    if ((horusi_ld32_rlx(W, &row->doorbell) == seen && slice >= 1000000u) || horusi_now() >= due) {
        *looked = horusi_now();
        return horusi_look_around(c);
    }
    return HORUS_OK;
}

/* Sleeps no more. In a child that a signal handler forked it is the parent who still does. */
static void horusi_awake(const horus_context *c)
{
    if (!horusi_is_detached(c))
        (void)horusi_add32_rlx(W, &c->pool->rows[c->row].sleepers, UINT32_MAX);
}

static horus_result horusi_wait(horus_topic *const *topics, size_t count, int64_t timeout_ns,
                                size_t *ready)
{
    horus_context *c = topics[0]->context;
    horusi_row *row = &c->pool->rows[c->row];
    uint32_t k;
    bool again;
    for (size_t i = 0; i < count; i++) {
        if (!topics[i]->received)
            horusi_count_in(topics[i]);
        if (horusi_find(topics[i], false, true, &k, &again)) {
            topics[i]->turn = k;
            *ready = i;
            return HORUS_OK;
        }
    }
    if (timeout_ns == HORUS_NO_WAIT)
        return HORUS_EMPTY;
    uint64_t deadline = horusi_deadline(timeout_ns), newest = 0, looked = 0;
    for (size_t i = 0; i < count; i++) {
        if (topics[i]->sleeps_since == 0) {
            horusi_st32_rlx(W, &topics[i]->shm->may_sleep, 1);
            topics[i]->sleeps_since = horusi_now();
        }
        newest = topics[i]->sleeps_since > newest ? topics[i]->sleeps_since : newest;
    }
    (void)horusi_add32_rlx(W, &row->sleepers, 1);
    horus_result r = HORUS_OK;
    for (bool found = false; r == HORUS_OK;) {
        /* a publisher may not have seen yet that we sleep: not for long at first */
        bool known = horusi_now() - newest >= HORUSI_FIRST_SLICE_NS;
        uint32_t seen = horusi_ld32_rlx(W, &row->doorbell);
        for (size_t i = 0; i < count; i++)
            (void)horusi_or64_seq(W, &topics[i]->shm->sleepers[c->mask_word], c->mask_bit);
        for (size_t i = 0; i < count && !found; i++)
            if (horusi_find(topics[i], true, true, &k, &again)) {
                topics[i]->turn = k;
                *ready = i;
                found = true;
            }
        if (found)
            break;
        r = horusi_slice(c, seen, deadline, known ? HORUSI_SLICE_NS : HORUSI_FIRST_SLICE_NS,
                         &looked);
    }
    horusi_awake(c);
    return r;
}

static horus_result horusi_wait_room(horus_topic *t, horusi_out *o, uint64_t frame_bytes,
                                     int64_t timeout_ns)
{
    horus_context *c = t->context;
    horusi_row *row = &c->pool->rows[c->row];
    (void)horusi_sweep(c, HORUSI_DROP_OLD); /* the dead never count */
    if (horusi_make_place(t, o, frame_bytes))
        return HORUS_OK;
    if (timeout_ns == HORUS_NO_WAIT)
        return horusi_fail(HORUS_FULL, "topic %.96s: full, its slowest reader has not caught up",
                           t->shm->name);
    uint64_t deadline = horusi_deadline(timeout_ns), slice = HORUSI_FIRST_SLICE_NS, looked = 0;
    horusi_st32_rlx(W, &t->shm->may_wait, 1);
    (void)horusi_add32_rlx(W, &row->sleepers, 1);
    horus_result r = HORUS_OK;
    for (; r == HORUS_OK; slice = HORUSI_SLICE_NS) {
        uint32_t seen = horusi_ld32_rlx(W, &row->doorbell);
        (void)horusi_or64_seq(W, &t->shm->waiters[c->mask_word], c->mask_bit);
        if (horusi_make_place(t, o, frame_bytes))
            break;
        r = horusi_slice(c, seen, deadline, slice, &looked);
    }
    horusi_awake(c);
    return r == HORUS_TIMEOUT ? horusi_fail(r, "topic %.96s: still full", t->shm->name) : r;
}

/* Waits for the next message and takes it; begins and ends with the handle in use. */
HORUSI_COLD horus_result horusi_receive_later(horus_topic *t, void *buffer, size_t room,
                                              uint32_t want, int64_t timeout_ns, horusi_got *got)
{
    size_t ready;
    uint64_t deadline = horusi_deadline(timeout_ns);
    horus_result r;
    do {
        uint64_t now = horusi_now();
        r = horusi_wait(&t, 1,
                        deadline == UINT64_MAX ? HORUS_FOREVER
                        : deadline > now       ? (int64_t)(deadline - now)
                                               : HORUS_NO_WAIT,
                        &ready);
        if (r == HORUS_OK)
            r = horusi_get(t, buffer, room, want, false, got);
        if (r == HORUS_EMPTY && now >= deadline)
            r = HORUS_TIMEOUT;
    } while (r == HORUS_EMPTY); /* another consumer was faster */
    return r;
}
/* True if there is one ring, and nothing new in it: the short answer to a poll. */
HORUSI_HOT bool horusi_is_idle(horus_topic *t)
{
    const horusi_in *in = t->only;
    if (!in || horusi_ld32_rlx(L2, &t->shm->version) != t->version)
        return false;
    horusi_entry *e = horusi_entry_at(in->ring.entries, in->ring.stride, in->index);
    return horusi_ld64_rlx(C1, &e->seq) < 2 * in->next;
}
HORUSI_HOT horus_result horusi_receive_begun(horus_topic *t, void *buffer, size_t room,
                                             uint32_t want, int64_t timeout_ns, horusi_got *got)
{
    horus_result r =
        horusi_is_idle(t) ? HORUS_EMPTY : horusi_get(t, buffer, room, want, false, got);
    if (r == HORUS_EMPTY && timeout_ns != HORUS_NO_WAIT)
        r = horusi_receive_later(t, buffer, room, want, timeout_ns, got);
    return r;
}
static horus_result horusi_receive(horus_topic *t, void *buffer, size_t room, uint32_t want,
                                   int64_t timeout_ns, horusi_got *got)
{
    horus_result r = horusi_begin(t, "receive");
    if (horusi_rarely(r != HORUS_OK))
        return r;
    if (horusi_rarely(timeout_ns < 0))
        return horusi_end(
            t, horusi_fail(HORUS_E_ARG, "topic %.96s: a negative timeout", t->shm->name));
    if (!horusi_taped())
        return horusi_end(t, horusi_receive_begun(t, buffer, room, want, timeout_ns, got));
    horusi_deed d = horusi_deed_of((uint8_t)want);
    d.buffer = buffer;
    d.room = room;
    d.got = got;
    got->timed = true;
    HORUSI_DO(true, t, d, horusi_receive_begun(t, buffer, room, want, timeout_ns, got));
    return horusi_end(t, d.result);
}

/* horus_topic_receive() once more, for what is not plain. */
HORUSI_COLD horus_result horusi_receive_other(horus_topic *t, void *buffer, size_t room,
                                              horus_info *info, int64_t timeout_ns)
{
    horusi_got got;
    if (info)
        memset(info, 0, sizeof *info);
    if (!buffer)
        return horusi_fail(HORUS_E_ARG, "topic_receive: buffer is NULL");
    got.timed = info != NULL;
    got.keep = false;
    horus_result r = horusi_receive(t, buffer, room, HORUS_KIND_MESSAGE, timeout_ns, &got);
    if (info && (r == HORUS_OK || r == HORUS_E_SIZE || r == HORUS_E_TYPE))
        *info = got.info;
    return r;
}
horus_result horus_topic_receive(horus_topic *t, void *buffer, size_t buffer_bytes,
                                 horus_info *info, int64_t timeout_ns)
{
    if (t && buffer && timeout_ns >= 0 && horusi_use_quick(&t->use)) {
        horus_result r = horusi_get_plain(t, buffer, buffer_bytes, info);
        horusi_use_quit(&t->use);
        if (r == HORUS_OK)
            return r;
        if (r == HORUS_EMPTY && timeout_ns == HORUS_NO_WAIT) {
            if (info)
                memset(info, 0, sizeof *info);
            return r;
        }
    }
    return horusi_receive_other(t, buffer, buffer_bytes, info, timeout_ns);
}

horus_result horus_topic_peek(horus_topic *t, void *buffer, size_t buffer_bytes, horus_info *info)
{
    horusi_got got;
    if (info)
        memset(info, 0, sizeof *info);
    horus_result r = horusi_begin(t, "topic_peek");
    if (r != HORUS_OK)
        return r;
    got.timed = true;
    got.keep = false;
    horusi_deed d = horusi_deed_of(HORUSI_PEEK);
    d.buffer = buffer;
    d.room = buffer ? buffer_bytes : 0;
    d.got = &got;
    HORUSI_DO(horusi_taped(), t, d, horusi_get(t, buffer, d.room, HORUS_KIND_MESSAGE, true, &got));
    if (info && d.result == HORUS_OK)
        *info = got.info;
    return horusi_end(t, d.result);
}

horus_result horus_topic_wait(horus_topic *t, int64_t timeout_ns)
{
    size_t ready;
    horus_result r = horusi_begin(t, "topic_wait");
    if (r != HORUS_OK)
        return r;
    horusi_deed d = horusi_deed_of(HORUSI_WAIT);
    HORUSI_DO(horusi_taped(), t, d,
              timeout_ns < 0 ? horusi_fail(HORUS_E_ARG, "topic_wait: a negative timeout")
                             : horusi_wait(&t, 1, timeout_ns, &ready));
    return horusi_end(t, d.result);
}

static horus_result horusi_wait_many(horus_topic *const *topics, size_t count, int64_t timeout_ns,
                                     uint64_t *which)
{
    size_t ready = 0;
    horus_result r = horusi_wait(topics, count, timeout_ns, &ready);
    *which = ready;
    return r;
}
horus_result horus_wait(horus_topic *const *topics, size_t count, int64_t timeout_ns, size_t *ready)
{
    size_t n = 0, which = 0;
    horus_result r = HORUS_OK;
    if (ready)
        *ready = 0;
    if (!topics || count == 0 || count > 64 || !ready || timeout_ns < 0)
        return horusi_fail(HORUS_E_ARG,
                           "wait: 1 to 64 topics, a place for the answer, a timeout >= 0");
    for (; n < count; n++) {
        r = horusi_begin(topics[n], "wait");
        if (r == HORUS_OK && topics[n]->context != topics[0]->context) {
            (void)horusi_end(topics[n], r);
            r = horusi_fail(HORUS_E_ARG, "wait: the topics are of several contexts");
        }
        if (r != HORUS_OK)
            break;
    }
    if (r == HORUS_OK) {
        horusi_deed d = horusi_deed_of(HORUSI_WAIT_MANY);
        d.words = 1;
        HORUSI_DO(horusi_taped(), topics[0], d,
                  horusi_wait_many(topics, count, timeout_ns, &d.word[0]));
        which = d.word[0] < count ? (size_t)d.word[0] : 0;
        r = d.result;
    }
    while (n > 0)
        (void)horusi_end(topics[--n], r);
    if (r == HORUS_OK)
        *ready = which;
    return r;
}

static horus_result horusi_skip_to_latest(horus_topic *t, uint64_t *skipped)
{
    uint64_t n = 0, newest = 0;
    horusi_in *best = NULL;
    if (!t->received)
        horusi_count_in(t);
    horusi_refresh(t, false);
    for (uint32_t k = 0; k < t->in_count; k++) {
        horusi_in *in = &t->in[k];
        if (horusi_is_queue(in))
            return horusi_fail(HORUS_E_POLICY,
                               "topic %.96s is a queue: each message is to be done by somebody",
                               t->shm->name);
        uint64_t head = in->gone ? horusi_ring_newest(&in->ring)
                                 : horusi_ld64_acq(L2, &horusi_lanes(t->shm)[in->lane].head);
        if (!horusi_look(t, in, false) || head < in->next)
            continue;
        n += head - in->next;
        horusi_advance(t, in, head);
        horusi_entry *e = horusi_entry_at(in->ring.entries, in->ring.stride, in->index);
        uint64_t stamp = horusi_ld64_acq(C2, &e->stamp);
        horusi_in *older = best && stamp < newest ? in : best;
        if (older) {
            n++;
            horusi_advance(t, older, older->next + 1);
        }
        if (older != in) {
            best = in;
            newest = stamp;
        }
    }
    *skipped = n;
    return best ? HORUS_OK : HORUS_EMPTY;
}
horus_result horus_topic_skip_to_latest(horus_topic *t, uint64_t *skipped)
{
    if (skipped)
        *skipped = 0;
    horus_result r = horusi_begin(t, "topic_skip_to_latest");
    if (r != HORUS_OK)
        return r;
    horusi_deed d = horusi_deed_of(HORUSI_SKIP);
    d.words = 1;
    HORUSI_DO(horusi_taped(), t, d, horusi_skip_to_latest(t, &d.word[0]));
    if (skipped)
        *skipped = d.word[0];
    return horusi_end(t, d.result);
}

static horus_result horusi_drain(horus_topic *t, uint64_t *count)
{
    uint64_t n = 0;
    uint32_t k, live = 0;
    bool again;
    if (!t->received)
        horusi_count_in(t);
    (void)horusi_unclaim(t);
    horusi_refresh(t, false);
    for (uint32_t i = 0; i < t->in_count; i++) {
        horusi_in *in = &t->in[i];
        uint64_t head = horusi_ld64_acq(L2, &horusi_lanes(t->shm)[in->lane].head);
        if (horusi_is_queue(in) || in->gone || !horusi_look(t, in, false) || head < in->next)
            continue;
        n += head + 1 - in->next;
        horusi_advance(t, in, head + 1);
    }
    /* queues and rings that are over: one by one, as many as there may be now */
    for (uint32_t left = 1u << 20; left > 0 && horusi_find(t, false, false, &k, &again); left--) {
        if (!horusi_is_queue(&t->in[k]) && !t->in[k].gone && ++live > t->in_count)
            break; /* only what was sent since */
        if (!horusi_unclaim(t))
            horusi_advance(t, &t->in[k], t->in[k].next + 1);
        n++;
    }
    *count = n;
    return n ? HORUS_OK : HORUS_EMPTY;
}
horus_result horus_topic_drain(horus_topic *t, uint64_t *count)
{
    if (count)
        *count = 0;
    horus_result r = horusi_begin(t, "topic_drain");
    if (r != HORUS_OK)
        return r;
    horusi_deed d = horusi_deed_of(HORUSI_DRAIN);
    d.words = 1;
    HORUSI_DO(horusi_taped(), t, d, horusi_drain(t, &d.word[0]));
    if (count)
        *count = d.word[0];
    return horusi_end(t, d.result);
}

horus_result horus_topic_ack(horus_topic *t)
{
    horus_result r = horusi_begin(t, "topic_ack");
    if (r != HORUS_OK)
        return r;
    horusi_deed d = horusi_deed_of(HORUSI_ACK);
    HORUSI_DO(horusi_taped(), t, d,
              horusi_ld32_acq(L2, &t->shm->policy) != HORUS_QUEUE
                  ? horusi_fail(HORUS_E_POLICY, "topic %.96s is no queue: nothing to acknowledge",
                                t->shm->name)
              : horusi_unclaim(t) ? HORUS_OK
                                  : HORUS_EMPTY);
    return horusi_end(t, d.result);
}

void horus_topic_close(horus_topic *t)
{
    if (!t || horusi_begin(t, "topic_close") == HORUS_E_BUSY)
        return;
    horus_context *c = t->context;
    bool attached = !horusi_is_detached(c);
    if (attached) {
        (void)horusi_unclaim(t);
        (void)horusi_cas64_seq(W, &t->sub->word, &t->sub_word, 0);
        horusi_ring_rows(c, t->shm->waiters);
        while (t->in_count > 0)
            horusi_let_go(t, t->in_count - 1);
        horusi_lock(&c->lock);
        if (t->out) {
            uint64_t live = horusi_owner(c->incarnation, c->row, HORUSI_LANE_LIVE);
            (void)horusi_cas64_acqrel(L1, &t->out->lane->word, &live,
                                      horusi_owner(c->incarnation, c->row, HORUSI_LANE_CLOSED));
            t->out->handle = NULL;
            t->out->use = NULL;
        }
        horus_topic **l = &c->topics;
        while (*l != t)
            l = &(*l)->next;
        *l = t->next;
        (void)horusi_end_closed(c, NULL, false);
        horusi_topic_leave(c, &t->ref);
        horusi_unlock(&c->lock);
    }
    horusi_delete(c, t->in);
    horusi_delete(c, t);
}

static void horusi_close_topics(horus_context *c)
{
    for (horus_topic *t = c->topics, *next; t; t = next) {
        next = t->next;
        memset(&t->use, 0, sizeof t->use); /* nothing else runs: so the caller promised */
        horus_topic_close(t);
    }
}

/* Counters of a held topic. */
static void horusi_topic_count(horus_context *c, horusi_topic *shm, uint32_t max_lanes,
                               uint32_t max_subs, horus_topic_stats *out)
{
    uint64_t newest = 0, first_ticks, first_ns;
    memcpy(out->name, shm->name, sizeof out->name - 1);
    memcpy(out->type, shm->type_name, sizeof out->type - 1);
    out->policy = (horus_policy)(horusi_ld32_acq(L2, &shm->policy) % 4);
    out->message_bytes = horusi_ld32_rlx(L2, &shm->message_bytes);
    for (uint32_t i = 0; i < max_lanes; i++) {
        horusi_lane *lane = &horusi_lanes(shm)[i];
        uint32_t state = horusi_owner_state(horusi_ld64_acq(L2, &lane->word));
        if (state < HORUSI_LANE_LIVE)
            continue;
        uint64_t last = horusi_ld64_rlx(L2, &lane->last);
        out->publishers += state == HORUSI_LANE_LIVE;
        out->sent += horusi_ld64_rlx(L2, &lane->head);
        out->frames += horusi_ld32_rlx(L2, &lane->frames);
        newest = last > newest ? last : newest;
    }
    for (uint32_t i = 0; i < max_subs; i++) {
        horusi_sub *sub = &horusi_subs(shm, max_lanes)[i];
        uint64_t w = horusi_ld64_acq(K2, &sub->word);
        if (horusi_owner_state(w) == HORUSI_SUB_FREE || !horusi_is_live(c->pool, w))
            continue;
        out->subscribers += horusi_owner_state(w) == HORUSI_SUB_ACTIVE;
        out->received += horusi_ld64_rlx(own, &sub->received);
        out->lost += horusi_ld64_rlx(own, &sub->lost);
    }
    if (newest && c->pool->header->clock == 1) {
        uint64_t ticks = 0, ns = 0;
        first_ticks = horusi_ld64_rlx(own, &c->pool->header->clock_ticks);
        first_ns = horusi_ld64_rlx(own, &c->pool->header->clock_ns);
        horusi_clock_pair(1, &ticks, &ns);
        newest = ticks == first_ticks
                     ? ns
                     : ns - horusi_times(ticks - newest,
                                         (double)(ns - first_ns) / (double)(ticks - first_ticks));
    }
    out->last_ns = newest;
}

static horus_result horusi_topic_figures(horus_topic *t, horus_topic_stats *out)
{
    horusi_topic_count(t->context, t->shm, t->max_lanes, t->max_subs, out);
    out->capacity = t->out ? t->out->capacity : 0;
    horusi_refresh(t, false);
    for (uint32_t k = 0; k < t->in_count; k++) {
        const horusi_in *in = &t->in[k];
        if (horusi_is_queue(in)) {
            out->pending += horusi_ring_unclaimed(&in->ring);
            continue;
        }
        uint64_t head = in->gone ? horusi_ring_newest(&in->ring)
                                 : horusi_ld64_acq(L2, &horusi_lanes(t->shm)[in->lane].head);
        uint64_t oldest = head > in->ring.capacity ? head - in->ring.capacity + 1 : 1;
        uint64_t next = in->next < oldest ? oldest : in->next;
        if (head >= next)
            out->pending += head - next + 1;
    }
    return HORUS_OK;
}
horus_result horus_topic_get_stats(horus_topic *t, horus_topic_stats *out)
{
    if (!out)
        return horusi_fail(HORUS_E_ARG, "topic_get_stats: out is NULL");
    memset(out, 0, sizeof *out);
    horus_result r = horusi_begin(t, "topic_get_stats");
    if (r != HORUS_OK)
        return r;
    (void)horusi_topic_figures(t, out);
    if (horusi_taped()) { /* the figures, but not the names, are as they were */
        uint64_t *const wide[] = {&out->sent, &out->received, &out->lost, &out->pending,
                                  &out->last_ns};
        uint32_t *const narrow[] = {&out->message_bytes, &out->capacity, &out->publishers,
                                    &out->subscribers, &out->frames};
        horusi_deed d = horusi_deed_of(HORUSI_STATS);
        d.words = 10;
        for (int i = 0; i < 5; i++) {
            d.word[i] = *wide[i];
            d.word[5 + i] = *narrow[i];
        }
        HORUSI_DO(true, t, d, HORUS_OK);
        for (int i = 0; i < 5; i++) {
            *wide[i] = d.word[i];
            *narrow[i] = (uint32_t)d.word[5 + i];
        }
    }
    return horusi_end(t, HORUS_OK);
}

horus_result horus_context_topics(horus_context *context,
                                  void (*each)(void *user, const horus_topic_stats *stats),
                                  void *user)
{
    horus_context *c;
    if (!each)
        return horusi_fail(HORUS_E_ARG, "context_topics: each is NULL");
    horus_result r = horusi_context_of(context, &c);
    if (r != HORUS_OK)
        return r;
    for (uint32_t i = 0; i < c->pool->max_topics; i++) {
        uint64_t w = horusi_ld64_seq(D, &c->pool->directory[i]);
        uint32_t s, lanes, subs;
        if (w == 0 || !horusi_dir_acquire(c->pool, w, &s))
            continue;
        horusi_topic *t = horusi_topic_at(c->pool, s, &lanes, &subs);
        horus_topic_stats st;
        memset(&st, 0, sizeof st);
        if (t)
            horusi_topic_count(c, t, lanes, subs, &st);
        horusi_dir_release(c->pool, &c->pool->directory[i], w, s);
        if (t)
            each(user, &st);
    }
    return HORUS_OK;
}

/* ------------------------------------------------------------------------------------ >>tensors
 *
 * Views are plain data over a slot. What arrives from a ring is checked against the slot that is
 * held before any pointer is made from it. */

size_t horus_dtype_bytes(horus_dtype dtype)
{
    switch (dtype) {
#define HORUSI_X(name, value, bytes, text, dl)                                                     \
    case HORUS_##name:                                                                             \
        return bytes;
        HORUS_DTYPES(HORUSI_X)
#undef HORUSI_X
    default:
        return 0;
    }
}
const char *horus_dtype_name(horus_dtype dtype)
{
    switch (dtype) {
#define HORUSI_X(name, value, bytes, text, dl)                                                     \
    case HORUS_##name:                                                                             \
        return text;
        HORUS_DTYPES(HORUSI_X)
#undef HORUSI_X
    default:
        return NULL;
    }
}

typedef struct horusi_encoding {
    const char *name;
    uint8_t channels, elem_bytes, dtype;
} horusi_encoding;
static const horusi_encoding horusi_encodings[] = {
#define HORUSI_X(name, value, text, channels, bytes, dtype) {text, channels, bytes, HORUS_##dtype},
    HORUS_ENCODINGS(HORUSI_X)
#undef HORUSI_X
};
enum { HORUSI_ENCODINGS = sizeof horusi_encodings / sizeof horusi_encodings[0] };

const char *horus_encoding_name(horus_encoding e)
{
    return (uint32_t)e < HORUSI_ENCODINGS ? horusi_encodings[e].name : NULL;
}
uint32_t horus_encoding_channels(horus_encoding e)
{
    return (uint32_t)e < HORUSI_ENCODINGS ? horusi_encodings[e].channels : 0;
}
uint32_t horus_encoding_elem_bytes(horus_encoding e)
{
    return (uint32_t)e < HORUSI_ENCODINGS ? horusi_encodings[e].elem_bytes : 0;
}
static bool horusi_same_text(const char *a, const char *b)
{
    for (; *a || *b; a++, b++)
        if ((*a >= 'A' && *a <= 'Z' ? *a + 32 : *a) != *b)
            return false;
    return true;
}
horus_result horus_encoding_find(horus_encoding *out, const char *name)
{
    static const struct {
        const char *name;
        horus_encoding encoding;
    } aliases[] = {{"gray", HORUS_MONO8},       {"grey", HORUS_MONO8},    {"rgb", HORUS_RGB8},
                   {"bgr", HORUS_BGR8},         {"rgba", HORUS_RGBA8},    {"bgra", HORUS_BGRA8},
                   {"yuyv", HORUS_YUV422},      {"float", HORUS_MONO32F}, {"gray16", HORUS_MONO16},
                   {"bayer", HORUS_BAYER_RGGB8}};
    if (!out || !name)
        return horusi_fail(HORUS_E_ARG, "encoding_find: a NULL argument");
    *out = HORUS_RGB8;
    for (uint32_t i = 0; i < HORUSI_ENCODINGS; i++)
        if (horusi_same_text(name, horusi_encodings[i].name)) {
            *out = (horus_encoding)i;
            return HORUS_OK;
        }
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++)
        if (horusi_same_text(name, aliases[i].name)) {
            *out = aliases[i].encoding;
            return HORUS_OK;
        }
    return horusi_fail(HORUS_E_NOT_FOUND,
                       "no encoding \"%.30s\": rgb8 bgr8 rgba8 bgra8 mono8 mono16 "
                       "mono32f rgb32f yuv422 bayer_rggb8 depth16",
                       name);
}

static bool horusi_is_empty(const horus_tensor *t)
{
    bool empty = false;
    for (uint32_t i = 0; i < t->ndim; i++)
        empty |= t->shape[i] == 0;
    return empty;
}
/* Bytes from the first element to the end of the last; UINT64_MAX if out of bounds. Strides may not
 * be negative here. */
static uint64_t horusi_tensor_span(const horus_tensor *t)
{
    uint64_t last = 0, bytes = horus_dtype_bytes((horus_dtype)t->dtype);
    if (bytes == 0)
        return UINT64_MAX;
    for (uint32_t i = 0; i < t->ndim; i++)
        if (t->shape[i] < 0 || t->strides_bytes[i] < 0)
            return UINT64_MAX;
    if (horusi_is_empty(t))
        return 0;
    for (uint32_t i = 0; i < t->ndim; i++) {
        uint64_t steps = (uint64_t)t->shape[i] - 1, stride = (uint64_t)t->strides_bytes[i];
        if (steps && stride > (UINT64_MAX / 4 - last) / steps)
            return UINT64_MAX;
        last += steps * stride;
    }
    return last + bytes;
}
/* Row-major strides; false if the size overflows. */
static bool horusi_tensor_dense(horus_tensor *t, uint64_t *bytes)
{
    uint64_t n = horus_dtype_bytes((horus_dtype)t->dtype);
    for (uint32_t i = t->ndim; i-- > 0;) {
        t->strides_bytes[i] = (int64_t)n;
        if (t->shape[i] && n > (uint64_t)INT64_MAX / (uint64_t)t->shape[i])
            return false; /* below 0, too: that is more than INT64_MAX */
        n *= t->shape[i] ? (uint64_t)t->shape[i] : 1;
    }
    *bytes = n;
    return true;
}
static bool horusi_is_readonly(const horus_frame *f)
{
    return (horusi_flags(f) & HORUSI_PUBLISHED) != 0;
}

horus_result horus_tensor_alloc(horus_tensor *out, horus_pool *pool, horus_dtype dtype,
                                uint32_t ndim, const int64_t *shape, uint32_t flags)
{
    horus_tensor t;
    uint64_t bytes;
    if (!out)
        return horusi_fail(HORUS_E_ARG, "tensor_alloc: out is NULL");
    memset(out, 0, sizeof *out);
    memset(&t, 0, sizeof t);
    if (ndim > HORUS_MAX_DIMS || (ndim && !shape) || horus_dtype_bytes(dtype) == 0)
        return horusi_fail(HORUS_E_ARG, "tensor_alloc: 0 to 8 dimensions, a dtype, a shape");
    t.ndim = ndim;
    t.dtype = (uint8_t)dtype;
    for (uint32_t i = 0; i < ndim; i++)
        t.shape[i] = shape[i];
    if (!horusi_tensor_dense(&t, &bytes))
        return horusi_fail(HORUS_E_SIZE,
                           "tensor_alloc: a negative dimension, or too many elements");
    horus_result r = horus_frame_alloc(&t.frame, pool, bytes, flags, &t.data);
    if (r == HORUS_OK)
        *out = t;
    return r;
}
horus_result horus_tensor_release(horus_tensor *t)
{
    if (!t)
        return horusi_closed("tensor_release");
    horus_result r = horus_frame_release(&t->frame);
    memset(t, 0, sizeof *t);
    return r;
}
uint64_t horus_tensor_numel(const horus_tensor *t)
{
    uint64_t n = 1;
    for (uint32_t i = 0; t && i < t->ndim && i < HORUS_MAX_DIMS; i++)
        n *= t->shape[i] > 0 ? (uint64_t)t->shape[i] : 0;
    return t && t->data ? n : 0;
}
bool horus_tensor_is_contiguous(const horus_tensor *t)
{
    if (!t || t->ndim > HORUS_MAX_DIMS)
        return false;
    uint64_t n = horus_dtype_bytes((horus_dtype)t->dtype);
    for (uint32_t i = t->ndim; i-- > 0;) {
        if (t->shape[i] == 0)
            return true;
        if (t->shape[i] != 1 && (t->strides_bytes[i] < 0 || (uint64_t)t->strides_bytes[i] != n))
            return false;
        n *= (uint64_t)t->shape[i];
    }
    return true;
}

static horus_result horusi_check_tensor(const horus_tensor *t, const char *what)
{
    if (!t || t->ndim > HORUS_MAX_DIMS || horus_dtype_bytes((horus_dtype)t->dtype) == 0)
        return horusi_fail(HORUS_E_ARG, "%s: no valid tensor", what);
    for (uint32_t i = 0; i < t->ndim; i++)
        if (t->shape[i] < 0)
            return horusi_fail(HORUS_E_ARG, "%s: dimension %u is negative", what, (unsigned)i);
    if (t->frame.pool ? !horusi_is_valid(&t->frame) : !t->data)
        return horusi_closed(what);
    return HORUS_OK;
}
/* A second view of the same frame. */
static horus_result horusi_second(const horus_frame *f)
{
    return f->pool ? horus_frame_hold(f) : HORUS_OK;
}

horus_result horus_tensor_reshape(horus_tensor *out, const horus_tensor *t, uint32_t ndim,
                                  const int64_t *shape)
{
    if (!out)
        return horusi_fail(HORUS_E_ARG, "tensor_reshape: out is NULL");
    horus_tensor n;
    uint64_t bytes, known = 1, numel = horus_tensor_numel(t);
    uint32_t unknown = HORUS_MAX_DIMS;
    horus_result r = horusi_check_tensor(t, "tensor_reshape");
    if (r == HORUS_OK && (ndim > HORUS_MAX_DIMS || (ndim && !shape)))
        r = horusi_fail(HORUS_E_ARG, "tensor_reshape: 0 to 8 dimensions");
    if (r == HORUS_OK && !horus_tensor_is_contiguous(t))
        r = horusi_fail(HORUS_E_UNSUPPORTED, "tensor_reshape: not contiguous; copy() first");
    if (r == HORUS_OK)
        n = *t;
    for (uint32_t i = 0; r == HORUS_OK && i < ndim; i++) {
        n.shape[i] = shape[i];
        if (shape[i] == -1 && unknown == HORUS_MAX_DIMS)
            unknown = i;
        else if (shape[i] < 0 || (shape[i] && known > UINT64_MAX / (uint64_t)shape[i]))
            r = horusi_fail(HORUS_E_ARG, "tensor_reshape: bad dimension %u", (unsigned)i);
        else
            known *= (uint64_t)shape[i];
    }
    if (r == HORUS_OK && unknown < ndim && known != 0)
        n.shape[unknown] = (int64_t)(numel / known);
    if (r == HORUS_OK) {
        n.ndim = ndim;
        for (uint32_t i = ndim; i < HORUS_MAX_DIMS; i++)
            n.shape[i] = n.strides_bytes[i] = 0;
        if ((unknown < ndim && known == 0) || !horusi_tensor_dense(&n, &bytes) ||
            horus_tensor_numel(&n) != numel)
            r = horusi_fail(HORUS_E_SIZE,
                            "tensor_reshape: the new shape has another number of elements "
                            "than %llu",
                            (unsigned long long)numel);
    }
    if (r == HORUS_OK)
        r = horusi_second(&t->frame);
    if (r == HORUS_OK)
        *out = n;
    else
        memset(out, 0, sizeof *out);
    return r;
}

horus_result horus_tensor_slice(horus_tensor *out, const horus_tensor *t, int64_t start,
                                int64_t end)
{
    if (!out)
        return horusi_fail(HORUS_E_ARG, "tensor_slice: out is NULL");
    horus_tensor n;
    memset(&n, 0, sizeof n);
    horus_result r = horusi_check_tensor(t, "tensor_slice");
    if (r == HORUS_OK && t->ndim == 0)
        r = horusi_fail(HORUS_E_ARG, "tensor_slice: a scalar has no rows");
    if (r == HORUS_OK) {
        int64_t rows = t->shape[0];
        start = start < 0 ? (start < -rows ? 0 : start + rows) : start > rows ? rows : start;
        end = end < 0 ? (end < -rows ? 0 : end + rows) : end > rows ? rows : end;
        n = *t;
        n.shape[0] = end > start ? end - start : 0;
        if (!horusi_is_empty(&n)) /* the strides of an empty view may lead anywhere */
            n.data = (uint8_t *)t->data + start * t->strides_bytes[0];
        r = horusi_second(&t->frame);
    }
    if (r != HORUS_OK)
        memset(&n, 0, sizeof n);
    *out = n;
    return r;
}

/* Copies elements into a dense view of the same shape. */
static void horusi_copy_elements(const horus_tensor *to, const horus_tensor *from, uint32_t dim,
                                 uint8_t *a, const uint8_t *b)
{
    size_t bytes = horus_dtype_bytes((horus_dtype)from->dtype);
    if (dim == from->ndim) {
        memcpy(a, b, bytes);
        return;
    }
    if (dim + 1 == from->ndim && from->strides_bytes[dim] == (int64_t)bytes) {
        memcpy(a, b, (size_t)from->shape[dim] * bytes);
        return;
    }
    for (int64_t i = 0; i < from->shape[dim]; i++)
        horusi_copy_elements(to, from, dim + 1, a + i * to->strides_bytes[dim],
                             b + i * from->strides_bytes[dim]);
}
/* frame_id and time travel with a copy. */
static void horusi_copy_meta(const horus_frame *to, const horus_frame *from)
{
    if (!from->pool)
        return;
    horusi_slot *a = &to->pool->slot[to->slot], *b = &from->pool->slot[from->slot];
    horusi_st64_rlx(own, &a->time_ns, horusi_ld64_rlx(own, &b->time_ns));
    for (size_t i = 0; i < HORUS_FRAME_ID_BYTES / 8; i++)
        horusi_st64_rlx(own, &a->frame_id[i], horusi_ld64_rlx(own, &b->frame_id[i]));
}
horus_result horus_tensor_copy(horus_tensor *out, const horus_tensor *t, horus_pool *pool)
{
    if (!out)
        return horusi_fail(HORUS_E_ARG, "tensor_copy: out is NULL");
    horus_tensor n;
    memset(&n, 0, sizeof n);
    horus_result r = horusi_check_tensor(t, "tensor_copy");
    if (r == HORUS_OK)
        r = horus_tensor_alloc(&n, pool ? pool : t->frame.pool, (horus_dtype)t->dtype, t->ndim,
                               t->shape, HORUS_UNINIT);
    if (r == HORUS_OK) {
        bool empty = horus_tensor_numel(t) == 0;
        if (!empty && horus_tensor_is_contiguous(t))
            memcpy(n.data, t->data,
                   (size_t)(horus_tensor_numel(t) * horus_dtype_bytes((horus_dtype)t->dtype)));
        else if (!empty)
            horusi_copy_elements(&n, t, 0, (uint8_t *)n.data, (const uint8_t *)t->data);
        horusi_copy_meta(&n.frame, &t->frame);
    }
    *out = n;
    return r;
}

/* ---- descriptors */

/* The head of a descriptor. False: `span` bytes from `data` on are not all in the frame. */
static bool horusi_wire_begin(horusi_descriptor *d, const horus_frame *f, const void *data,
                              uint64_t span, uint32_t kind)
{
    uint64_t room;
    uint8_t *at = (uint8_t *)horusi_at(f->pool, f->slot, &room);
    uint64_t offset = (uint64_t)((const uint8_t *)data - at);
    memset(&d->head, 0, sizeof d->head);
    d->head.pool_id = f->pool->id;
    d->head.slot = f->slot;
    d->head.generation = f->generation;
    d->head.kind = (uint8_t)kind;
    d->head.offset_bytes = offset;
    return offset <= room && span <= room - offset;
}
/* Where a received view begins, if `span` bytes from there lie in the slot that is held. */
static void *horusi_wire_data(const horusi_wire *w, const horus_frame *f, uint64_t span)
{
    uint64_t room;
    uint8_t *at = (uint8_t *)horusi_at(f->pool, f->slot, &room);
    if (w->offset_bytes > room || span > room - w->offset_bytes)
        return NULL;
    return at + w->offset_bytes;
}
static horus_result horusi_damaged(void)
{
    return horusi_fail(HORUS_E_CORRUPT, "a descriptor does not fit the slot that it names");
}

static horus_result horusi_tensor_to_wire(const horus_tensor *t, horusi_descriptor *d,
                                          uint32_t *bytes)
{
    horus_result r = horusi_check_tensor(t, "tensor");
    if (r != HORUS_OK)
        return r;
    if (!t->frame.pool)
        return horusi_fail(HORUS_E_ARG, "tensor: not in a pool: copy() puts it there");
    if (!horusi_wire_begin(d, &t->frame, t->data, horusi_tensor_span(t), HORUS_KIND_TENSOR))
        return horusi_fail(HORUS_E_ARG, "tensor: its shape and strides leave its frame");
    d->head.dtype = t->dtype;
    d->head.ndim = (uint8_t)t->ndim;
    uint32_t n = (uint32_t)sizeof d->head;
    memcpy(d->bytes + n, t->shape, t->ndim * 8);
    memcpy(d->bytes + n + t->ndim * 8, t->strides_bytes, t->ndim * 8);
    *bytes = n + t->ndim * 16;
    return HORUS_OK;
}
static horus_result horusi_tensor_from_wire(horus_tensor *t, const horusi_descriptor *d,
                                            uint32_t bytes, const horus_frame *f)
{
    memset(t, 0, sizeof *t);
    t->ndim = d->head.ndim;
    t->dtype = d->head.dtype;
    if (t->ndim > HORUS_MAX_DIMS || bytes < sizeof d->head + t->ndim * 16)
        return horusi_damaged();
    memcpy(t->shape, d->bytes + sizeof d->head, t->ndim * 8);
    memcpy(t->strides_bytes, d->bytes + sizeof d->head + t->ndim * 8, t->ndim * 8);
    t->data = horusi_wire_data(&d->head, f, horusi_tensor_span(t));
    t->frame = *f;
    t->readonly = horusi_is_readonly(f);
    return t->data ? HORUS_OK : horusi_damaged();
}

horus_result horus_tensor_describe(const horus_tensor *t, void *out, size_t *bytes)
{
    horusi_descriptor d;
    uint32_t n = 0;
    memset(&d, 0, sizeof d);
    if (!out || !bytes)
        return horusi_fail(HORUS_E_ARG, "tensor_describe: a NULL argument");
    size_t room = *bytes;
    *bytes = 0;
    horus_result r = horusi_tensor_to_wire(t, &d, &n);
    n = n < 64 ? 64 : n;
    if (r == HORUS_OK && room < n)
        r = horusi_fail(HORUS_E_SIZE, "tensor_describe: %u bytes are needed", (unsigned)n);
    if (r != HORUS_OK)
        return r;
    memcpy(out, d.bytes, n);
    *bytes = n;
    return HORUS_OK;
}
horus_result horus_tensor_from_descriptor(horus_tensor *out, horus_context *context,
                                          const void *descriptor, size_t bytes)
{
    horus_context *c;
    horusi_descriptor d;
    horus_frame f = {NULL, 0, 0};
    if (!out)
        return horusi_fail(HORUS_E_ARG, "tensor_from_descriptor: out is NULL");
    memset(out, 0, sizeof *out);
    if (!descriptor || bytes < 64 || bytes > sizeof d)
        return horusi_fail(HORUS_E_ARG, "tensor_from_descriptor: 64 to 168 bytes");
    horus_result r = horusi_context_of(context, &c);
    if (r != HORUS_OK)
        return r;
    memset(&d, 0, sizeof d);
    memcpy(d.bytes, descriptor, bytes);
    if (d.head.kind != HORUS_KIND_TENSOR)
        return horusi_fail(HORUS_E_CORRUPT, "tensor_from_descriptor: not a tensor's");
    r = horusi_hold_wire(c, &d.head, &f);
    if (r == HORUS_EMPTY)
        return horusi_fail(HORUS_E_NOT_FOUND,
                           "tensor_from_descriptor: that use of the slot is over");
    if (r == HORUS_OK) {
        r = horusi_tensor_from_wire(out, &d, (uint32_t)bytes, &f);
        if (r != HORUS_OK) {
            horusi_release(f.pool, f.slot);
            memset(out, 0, sizeof *out);
        }
    }
    return r;
}

/* Shared end of the typed receives: `got` holds the frame; drop it if the view is impossible. */
static horus_result horusi_receive_nowhere(horus_info *info)
{
    if (info)
        memset(info, 0, sizeof *info);
    return horusi_fail(HORUS_E_ARG, "receive: out is NULL");
}
#define HORUSI_RECEIVE(kind, from_wire)                                                            \
    horusi_got got;                                                                                \
    if (!out)                                                                                      \
        return horusi_receive_nowhere(info);                                                       \
    got.timed = info != NULL;                                                                      \
    got.keep = false;                                                                              \
    horus_result r = horusi_receive(t, NULL, 0, kind, timeout_ns, &got);                           \
    if (info && (r == HORUS_OK || r == HORUS_E_TYPE))                                              \
        *info = got.info;                                                                          \
    else if (info)                                                                                 \
        memset(info, 0, sizeof *info);                                                             \
    if (r == HORUS_OK && (r = from_wire(out, &got.wire, got.bytes, &got.frame)) != HORUS_OK)       \
        horusi_release(got.frame.pool, got.frame.slot);                                            \
    if (r != HORUS_OK)                                                                             \
        memset(out, 0, sizeof *out);                                                               \
    return r;
#define HORUSI_SEND(view, to_wire, type)                                                           \
    horusi_descriptor d;                                                                           \
    uint32_t bytes = 0;                                                                            \
    horus_result r = to_wire(view, &d, &bytes);                                                    \
    if (r == HORUS_OK)                                                                             \
        r = horusi_send_frame(t, &(view)->frame, d.bytes, bytes, &type, timeout_ns);               \
    if (r == HORUS_OK)                                                                             \
        (view)->readonly = true;                                                                   \
    return r;

horus_result horus_topic_send_tensor(horus_topic *t, horus_tensor *tensor, int64_t timeout_ns){
    HORUSI_SEND(tensor, horusi_tensor_to_wire, horus_tensor_type)} horus_result
    horus_topic_receive_tensor(horus_topic *t, horus_tensor *out, horus_info *info,
                               int64_t timeout_ns)
{
    HORUSI_RECEIVE(HORUS_KIND_TENSOR, horusi_tensor_from_wire)
}

/* ---- DLPack */

typedef struct horusi_export {
    horus_tensor tensor;
    int64_t strides[HORUS_MAX_DIMS];
    union {
        horus_dl_managed plain;
        horus_dl_managed_versioned versioned;
    } dl;
} horusi_export;

static void horusi_export_end(horusi_export *e)
{
    horus_context *c = e->tensor.frame.pool ? e->tensor.frame.pool->context : NULL;
    if (c)
        (void)horus_frame_release(&e->tensor.frame);
    horusi_delete(c, e);
}
static void horusi_delete_plain(horus_dl_managed *m)
{
    if (m)
        horusi_export_end((horusi_export *)m->manager_ctx);
}
static void horusi_delete_versioned(horus_dl_managed_versioned *m)
{
    if (m)
        horusi_export_end((horusi_export *)m->manager_ctx);
}

static horus_dl_dtype horusi_dl_dtype(uint8_t dtype)
{
    horus_dl_dtype d = {0, 0, 1};
    switch ((horus_dtype)dtype) {
#define HORUSI_X(name, value, bytes, text, dl)                                                     \
    case HORUS_##name:                                                                             \
        d.code = dl;                                                                               \
        d.bits = 8 * bytes;                                                                        \
        break;
        HORUS_DTYPES(HORUSI_X)
#undef HORUSI_X
    default:
        break;
    }
    return d;
}

static horus_result horusi_export_begin(const horus_tensor *t, const char *what,
                                        horusi_export **out)
{
    *out = NULL;
    horus_result r = horusi_check_tensor(t, what);
    if (r != HORUS_OK)
        return r;
#ifdef HORUS_NO_OS
    if (!t->frame.pool)
        return horusi_fail(HORUS_E_UNSUPPORTED, "dlpack: not in a pool");
#endif
    horusi_export *e =
        (horusi_export *)horusi_new(t->frame.pool ? t->frame.pool->context : NULL, sizeof *e);
    if (!e)
        return HORUS_E_MEMORY;
    r = horusi_second(&t->frame);
    if (r != HORUS_OK) {
        horusi_delete(t->frame.pool->context, e);
        return r;
    }
    e->tensor = *t;
    *out = e;
    return HORUS_OK;
}
/* What DLPack says of `t`: its shape, and `strides`, have to live as long. */
static horus_dl_tensor horusi_dl_tensor(horus_tensor *t, int64_t *strides)
{
    horus_dl_tensor d;
    memset(&d, 0, sizeof d);
    d.data = horusi_is_empty(t) ? NULL : t->data;
    d.device.device_type = 1;
    d.ndim = (int32_t)t->ndim;
    d.dtype = horusi_dl_dtype(t->dtype);
    d.shape = t->shape;
    d.strides = strides;
    int64_t bytes = (int64_t)horus_dtype_bytes((horus_dtype)t->dtype);
    for (uint32_t i = 0; i < t->ndim; i++)
        strides[i] = t->strides_bytes[i] / bytes;
    return d;
}

horus_result horus_dlpack_export(horus_dl_managed **out, const horus_tensor *t)
{
    horusi_export *e;
    if (!out)
        return horusi_fail(HORUS_E_ARG, "dlpack_export: out is NULL");
    *out = NULL;
    if (t && (t->readonly || horus_frame_published(&t->frame)))
        return horusi_fail(HORUS_E_READONLY,
                           "dlpack_export: the unversioned struct cannot say read-only: "
                           "use the versioned one, or copy()");
    horus_result r = horusi_export_begin(t, "dlpack_export", &e);
    if (r != HORUS_OK)
        return r;
    e->dl.plain.dl_tensor = horusi_dl_tensor(&e->tensor, e->strides);
    e->dl.plain.manager_ctx = e;
    e->dl.plain.deleter = horusi_delete_plain;
    *out = &e->dl.plain;
    return HORUS_OK;
}
horus_result horus_dlpack_export_versioned(horus_dl_managed_versioned **out, const horus_tensor *t)
{
    horusi_export *e;
    if (!out)
        return horusi_fail(HORUS_E_ARG, "dlpack_export_versioned: out is NULL");
    *out = NULL;
    horus_result r = horusi_export_begin(t, "dlpack_export_versioned", &e);
    if (r != HORUS_OK)
        return r;
    horus_dl_managed_versioned *m = &e->dl.versioned;
    m->major = 1;
    m->minor = 0;
    m->manager_ctx = e;
    m->deleter = horusi_delete_versioned;
    m->flags = t->readonly || horus_frame_published(&t->frame);
    m->dl_tensor = horusi_dl_tensor(&e->tensor, e->strides);
    *out = m;
    return HORUS_OK;
}
/* Device, dtype and shape of `source`, dense. */
static horus_result horusi_dlpack_shape(horus_tensor *t, const horus_dl_tensor *source)
{
    uint64_t bytes;
    memset(t, 0, sizeof *t);
    if (!source || source->ndim < 0 || (source->ndim && !source->shape))
        return horusi_fail(HORUS_E_ARG, "dlpack: no valid tensor");
    if (source->ndim > HORUS_MAX_DIMS)
        return horusi_fail(HORUS_E_UNSUPPORTED, "dlpack: %d dimensions, at most 8 are possible",
                           (int)source->ndim);
    if (source->device.device_type != 1 && source->device.device_type != 3)
        return horusi_fail(HORUS_E_UNSUPPORTED, "dlpack: device type %d; only host memory (1, 3)",
                           (int)source->device.device_type);
    uint32_t dtype = 0;
    for (; dtype <= HORUS_BOOL; dtype++) {
        horus_dl_dtype d = horusi_dl_dtype((uint8_t)dtype);
        if (d.code == source->dtype.code && d.bits == source->dtype.bits &&
            source->dtype.lanes == 1)
            break;
    }
    if (dtype > HORUS_BOOL)
        return horusi_fail(HORUS_E_UNSUPPORTED, "dlpack: dtype code %u, %u bits, %u lanes",
                           (unsigned)source->dtype.code, (unsigned)source->dtype.bits,
                           (unsigned)source->dtype.lanes);
    t->ndim = (uint32_t)source->ndim;
    t->dtype = (uint8_t)dtype;
    for (uint32_t i = 0; i < t->ndim; i++)
        t->shape[i] = source->shape[i];
    if (!horusi_tensor_dense(t, &bytes))
        return horusi_fail(HORUS_E_SIZE, "dlpack: a negative dimension, or too many elements");
    return HORUS_OK;
}
/* `source` as a view of memory that is not ours. */
static horus_result horusi_dlpack_view(horus_tensor *t, const horus_dl_tensor *source)
{
    horus_result r = horusi_dlpack_shape(t, source);
    if (r != HORUS_OK)
        return r;
    int64_t elem = (int64_t)horus_dtype_bytes((horus_dtype)t->dtype);
    for (uint32_t i = 0; source->strides && i < t->ndim; i++) {
        if (source->strides[i] > INT64_MAX / elem || source->strides[i] < INT64_MIN / elem)
            return horusi_fail(HORUS_E_SIZE, "dlpack: stride %u is out of range", (unsigned)i);
        t->strides_bytes[i] = source->strides[i] * elem;
    }
    if (!source->data && !horusi_is_empty(t))
        return horusi_fail(HORUS_E_ARG, "dlpack: no data");
    if (source->byte_offset > UINTPTR_MAX - (uintptr_t)source->data)
        return horusi_fail(HORUS_E_SIZE, "dlpack: byte_offset %llu is out of range",
                           (unsigned long long)source->byte_offset);
    t->data = source->data ? (uint8_t *)source->data + source->byte_offset : NULL;
    return HORUS_OK;
}
horus_result horus_dlpack_import(horus_tensor *out, const horus_dl_tensor *source, horus_pool *pool)
{
    horus_tensor from, to;
    if (!out)
        return horusi_fail(HORUS_E_ARG, "dlpack_import: out is NULL");
    memset(out, 0, sizeof *out);
    horus_result r = horusi_dlpack_view(&from, source);
    if (r != HORUS_OK)
        return r;
    bool empty = horusi_is_empty(&from);
    r = horus_tensor_alloc(&to, pool, (horus_dtype)from.dtype, from.ndim, from.shape,
                           empty ? 0 : HORUS_UNINIT);
    if (r == HORUS_OK && !empty)
        horusi_copy_elements(&to, &from, 0, (uint8_t *)to.data, (const uint8_t *)from.data);
    if (r == HORUS_OK)
        *out = to;
    return r;
}

#ifndef HORUS_NO_VIEWS
/* ------------------------------------------------------------------------------------ >>images
 *
 * The eleven encodings, and pixels by position. */

static horus_result horusi_check_image(const horus_image *m, const char *what)
{
    if (!m || m->encoding >= HORUSI_ENCODINGS || m->width_px == 0 || m->height_px == 0 ||
        m->channels != horusi_encodings[m->encoding].channels ||
        m->elem_bytes != horusi_encodings[m->encoding].elem_bytes ||
        (uint64_t)m->width_px * m->channels * m->elem_bytes > m->stride_bytes)
        return horusi_fail(HORUS_E_ARG, "%s: no valid image", what);
    if (m->frame.pool ? !horusi_is_valid(&m->frame) : !m->data)
        return horusi_closed(what);
    return HORUS_OK;
}
static uint32_t horusi_row_bytes(const horus_image *m)
{
    return m->width_px * m->channels * m->elem_bytes;
}
static uint8_t *horusi_pixel_at(const horus_image *m, uint32_t x, uint32_t y)
{
    return (uint8_t *)m->data + (uint64_t)y * m->stride_bytes +
           (uint64_t)x * m->channels * m->elem_bytes;
}
static horus_result horusi_image_fit(horus_image *m, uint32_t width, uint32_t height,
                                     uint32_t encoding)
{
    memset(m, 0, sizeof *m);
    if (width == 0 || height == 0 || encoding >= HORUSI_ENCODINGS)
        return horusi_fail(HORUS_E_ARG,
                           "image: %u x %u pixels, encoding %u: at least 1 x 1, and one of "
                           "horus_encoding",
                           (unsigned)width, (unsigned)height, (unsigned)encoding);
    const horusi_encoding *e = &horusi_encodings[encoding];
    uint64_t row = (uint64_t)width * e->channels * e->elem_bytes;
    if (row > UINT32_MAX)
        return horusi_fail(HORUS_E_SIZE, "image: a row of %llu bytes", (unsigned long long)row);
    m->width_px = width;
    m->height_px = height;
    m->stride_bytes = (uint32_t)row;
    m->encoding = (uint8_t)encoding;
    m->channels = e->channels;
    m->elem_bytes = e->elem_bytes;
    return HORUS_OK;
}

horus_result horus_image_alloc(horus_image *out, horus_pool *pool, uint32_t width, uint32_t height,
                               horus_encoding encoding, uint32_t flags)
{
    if (!out)
        return horusi_fail(HORUS_E_ARG, "image_alloc: out is NULL");
    horus_result r = horusi_image_fit(out, width, height, (uint32_t)encoding);
    if (r == HORUS_OK)
        r = horus_frame_alloc(&out->frame, pool, (uint64_t)out->stride_bytes * height, flags,
                              &out->data);
    if (r != HORUS_OK)
        memset(out, 0, sizeof *out);
    return r;
}
horus_result horus_image_release(horus_image *m)
{
    if (!m)
        return horusi_closed("image_release");
    horus_result r = horus_frame_release(&m->frame);
    memset(m, 0, sizeof *m);
    return r;
}
horus_result horus_image_copy(horus_image *out, const horus_image *m, horus_pool *pool)
{
    horus_image n;
    if (!out)
        return horusi_fail(HORUS_E_ARG, "image_copy: out is NULL");
    horus_result r = horusi_check_image(m, "image_copy");
    if (r == HORUS_OK)
        r = horus_image_alloc(&n, pool ? pool : m->frame.pool, m->width_px, m->height_px,
                              (horus_encoding)m->encoding, HORUS_UNINIT);
    if (r != HORUS_OK) {
        memset(out, 0, sizeof *out);
        return r;
    }
    for (uint32_t y = 0; y < m->height_px; y++)
        memcpy(horusi_pixel_at(&n, 0, y), horusi_pixel_at(m, 0, y), horusi_row_bytes(m));
    horusi_copy_meta(&n.frame, &m->frame);
    *out = n;
    return HORUS_OK;
}
horus_result horus_image_wrap(horus_image *out, void *pixels, uint32_t width, uint32_t height,
                              uint32_t stride_bytes, horus_encoding encoding)
{
    horus_image m;
    if (!out)
        return horusi_fail(HORUS_E_ARG, "image_wrap: out is NULL");
    memset(out, 0, sizeof *out);
    if (!pixels)
        return horusi_fail(HORUS_E_ARG, "image_wrap: pixels is NULL");
    horus_result r = horusi_image_fit(&m, width, height, (uint32_t)encoding);
    if (r == HORUS_OK && stride_bytes < m.stride_bytes)
        r = horusi_fail(HORUS_E_SIZE, "image_wrap: stride %u, a row has %u bytes",
                        (unsigned)stride_bytes, (unsigned)m.stride_bytes);
    if (r != HORUS_OK)
        return r;
    m.stride_bytes = stride_bytes;
    m.data = pixels;
    *out = m;
    return HORUS_OK;
}
horus_result horus_image_tensor(horus_tensor *out, const horus_image *m)
{
    if (!out)
        return horusi_fail(HORUS_E_ARG, "image_tensor: out is NULL");
    memset(out, 0, sizeof *out);
    horus_result r = horusi_check_image(m, "image_tensor");
    if (r == HORUS_OK)
        r = horusi_second(&m->frame);
    if (r != HORUS_OK)
        return r;
    out->frame = m->frame;
    out->data = m->data;
    out->dtype = horusi_encodings[m->encoding].dtype;
    out->ndim = m->channels == 1 ? 2 : 3;
    out->readonly = m->frame.pool ? horusi_is_readonly(&m->frame) : m->readonly;
    out->shape[0] = m->height_px;
    out->shape[1] = m->width_px;
    out->shape[2] = m->channels == 1 ? 0 : m->channels;
    out->strides_bytes[0] = m->stride_bytes;
    out->strides_bytes[1] = (int64_t)m->channels * m->elem_bytes;
    out->strides_bytes[2] = m->channels == 1 ? 0 : m->elem_bytes;
    return HORUS_OK;
}

/* One channel value from and to memory. */
static double horusi_value_get(const uint8_t *at, uint8_t dtype)
{
    uint16_t u;
    float f;
    switch (dtype) {
    case HORUS_U16:
        memcpy(&u, at, 2);
        return u;
    case HORUS_F32:
        memcpy(&f, at, 4);
        return (double)f;
    default:
        return *at;
    }
}
static bool horusi_value_fits(double v, uint8_t dtype)
{
    double size = v < 0 ? -v : v; /* what is finite stays so; infinities and NaN are values */
    if (dtype == HORUS_F32)
        return !(size >= 0x1.ffffffp127 && size <= 1.7976931348623157e308);
    return v >= 0 && v <= (dtype == HORUS_U16 ? 65535 : 255);
}
static void horusi_value_set(uint8_t *at, uint8_t dtype, double v)
{
    uint16_t u = (uint16_t)(dtype == HORUS_F32 ? 0 : v + 0.5);
    float f = (float)v;
    if (dtype == HORUS_U16)
        memcpy(at, &u, 2);
    else if (dtype == HORUS_F32)
        memcpy(at, &f, 4);
    else
        *at = (uint8_t)u;
}
static horus_result horusi_check_value(const horus_image *m, const double *value, size_t count,
                                       const char *what)
{
    if (!value)
        return horusi_fail(HORUS_E_ARG, "%s: value is NULL", what);
    if (count != m->channels)
        return horusi_fail(HORUS_E_SIZE, "%s: %llu values, %s has %u channels", what,
                           (unsigned long long)count, horusi_encodings[m->encoding].name,
                           (unsigned)m->channels);
    return HORUS_OK;
}

horus_result horus_image_pixel(const horus_image *m, uint32_t x, uint32_t y, double *value,
                               size_t count)
{
    for (size_t i = 0; value && i < count && i < 4; i++)
        value[i] = 0;
    horus_result r = horusi_check_image(m, "image_pixel");
    if (r == HORUS_OK)
        r = horusi_check_value(m, value, count, "image_pixel");
    if (r == HORUS_OK && (x >= m->width_px || y >= m->height_px))
        r = horusi_fail(HORUS_E_ARG, "image_pixel: (%u, %u) is outside %u x %u", (unsigned)x,
                        (unsigned)y, (unsigned)m->width_px, (unsigned)m->height_px);
    for (uint32_t c = 0; r == HORUS_OK && c < m->channels; c++)
        value[c] = horusi_value_get(horusi_pixel_at(m, x, y) + c * m->elem_bytes,
                                    horusi_encodings[m->encoding].dtype);
    return r;
}

static horus_result horusi_image_writable(const horus_image *m, const char *what)
{
    horus_result r = horusi_check_image(m, what);
    if (r == HORUS_OK && m->frame.pool)
        r = horusi_may_write(&m->frame, what);
    if (r == HORUS_OK && m->readonly)
        r = horusi_fail(HORUS_E_READONLY, "%s: a read-only view; copy() gives a writable one",
                        what);
    return r;
}
/* Turns a checked value into the bytes of one pixel. */
static horus_result horusi_pack(const horus_image *m, const double *value, size_t count,
                                const char *what, uint8_t *pixel)
{
    horus_result r = horusi_image_writable(m, what);
    if (r == HORUS_OK)
        r = horusi_check_value(m, value, count, what);
    for (uint32_t c = 0; r == HORUS_OK && c < m->channels; c++) {
        uint8_t dtype = horusi_encodings[m->encoding].dtype;
        if (!horusi_value_fits(value[c], dtype))
            r = horusi_fail(HORUS_E_ARG, "%s: value %g does not fit %s", what, value[c],
                            horusi_encodings[m->encoding].name);
        else
            horusi_value_set(pixel + c * m->elem_bytes, dtype, value[c]);
    }
    return r;
}
horus_result horus_image_set_pixel(const horus_image *m, uint32_t x, uint32_t y,
                                   const double *value, size_t count)
{
    uint8_t pixel[16];
    horus_result r = horusi_pack(m, value, count, "image_set_pixel", pixel);
    if (r == HORUS_OK && (x >= m->width_px || y >= m->height_px))
        r = horusi_fail(HORUS_E_ARG, "image_set_pixel: (%u, %u) is outside %u x %u", (unsigned)x,
                        (unsigned)y, (unsigned)m->width_px, (unsigned)m->height_px);
    if (r == HORUS_OK)
        memcpy(horusi_pixel_at(m, x, y), pixel, (size_t)m->channels * m->elem_bytes);
    return r;
}
horus_result horus_image_fill(const horus_image *m, const double *value, size_t count)
{
    uint8_t pixel[16];
    horus_result r = horusi_pack(m, value, count, "image_fill", pixel);
    if (r != HORUS_OK)
        return r;
    size_t bytes = (size_t)m->channels * m->elem_bytes;
    for (uint32_t x = 0; x < m->width_px; x++)
        memcpy(horusi_pixel_at(m, x, 0), pixel, bytes);
    for (uint32_t y = 1; y < m->height_px; y++)
        memcpy(horusi_pixel_at(m, 0, y), m->data, horusi_row_bytes(m));
    return HORUS_OK;
}
horus_result horus_image_copy_from(const horus_image *m, const void *data, size_t bytes)
{
    horus_result r = horusi_image_writable(m, "image_copy_from");
    if (r != HORUS_OK)
        return r;
    uint64_t row = horusi_row_bytes(m), all = row * m->height_px;
    if (!data)
        return horusi_fail(HORUS_E_ARG, "image_copy_from: data is NULL");
    if (bytes != all)
        return horusi_fail(HORUS_E_SIZE, "image_copy_from: %llu bytes, %u x %u %s has %llu",
                           (unsigned long long)bytes, (unsigned)m->width_px, (unsigned)m->height_px,
                           horusi_encodings[m->encoding].name, (unsigned long long)all);
    for (uint32_t y = 0; y < m->height_px; y++)
        memcpy(horusi_pixel_at(m, 0, y), (const uint8_t *)data + y * row, (size_t)row);
    return HORUS_OK;
}
horus_result horus_image_roi(const horus_image *m, uint32_t x, uint32_t y, uint32_t width,
                             uint32_t height, void *out, size_t bytes)
{
    horus_result r = horusi_check_image(m, "image_roi");
    if (r != HORUS_OK)
        return r;
    if (!out || width == 0 || height == 0 || x >= m->width_px || y >= m->height_px ||
        width > m->width_px - x || height > m->height_px - y)
        return horusi_fail(HORUS_E_ARG, "image_roi: %u x %u at (%u, %u) is not inside %u x %u",
                           (unsigned)width, (unsigned)height, (unsigned)x, (unsigned)y,
                           (unsigned)m->width_px, (unsigned)m->height_px);
    uint64_t row = (uint64_t)width * m->channels * m->elem_bytes;
    if (bytes != row * height)
        return horusi_fail(HORUS_E_SIZE, "image_roi: %llu bytes, the rectangle has %llu",
                           (unsigned long long)bytes, (unsigned long long)(row * height));
    for (uint32_t i = 0; i < height; i++)
        memcpy((uint8_t *)out + i * row, horusi_pixel_at(m, x, y + i), (size_t)row);
    return HORUS_OK;
}

static horus_result horusi_image_to_wire(const horus_image *m, horusi_descriptor *d,
                                         uint32_t *bytes)
{
    horus_result r = horusi_check_image(m, "image");
    if (r != HORUS_OK)
        return r;
    if (!m->frame.pool)
        return horusi_fail(HORUS_E_ARG, "image: not in a pool: copy() puts it there");
    if (!horusi_wire_begin(d, &m->frame, m->data,
                           (uint64_t)m->stride_bytes * (m->height_px - 1) + horusi_row_bytes(m),
                           HORUS_KIND_IMAGE))
        return horusi_fail(HORUS_E_ARG, "image: its rows leave its frame");
    d->head.encoding = m->encoding;
    uint32_t size[4] = {m->width_px, m->height_px, m->stride_bytes, 0}; /* whole words */
    memcpy(d->bytes + sizeof d->head, size, sizeof size);
    *bytes = (uint32_t)(sizeof d->head + sizeof size);
    return HORUS_OK;
}
static horus_result horusi_image_from_wire(horus_image *m, const horusi_descriptor *d,
                                           uint32_t bytes, const horus_frame *f)
{
    uint32_t size[4];
    if (bytes < sizeof d->head + sizeof size)
        return horusi_damaged();
    memcpy(size, d->bytes + sizeof d->head, sizeof size);
    if (horusi_image_fit(m, size[0], size[1], d->head.encoding) != HORUS_OK ||
        size[2] < m->stride_bytes)
        return horusi_damaged();
    m->stride_bytes = size[2];
    m->data = horusi_wire_data(
        &d->head, f, (uint64_t)m->stride_bytes * (m->height_px - 1) + horusi_row_bytes(m));
    m->frame = *f;
    m->readonly = horusi_is_readonly(f);
    return m->data ? HORUS_OK : horusi_damaged();
}
horus_result horus_topic_send_image(horus_topic *t, horus_image *image, int64_t timeout_ns){
    HORUSI_SEND(image, horusi_image_to_wire, horus_image_type)} horus_result
    horus_topic_receive_image(horus_topic *t, horus_image *out, horus_info *info,
                              int64_t timeout_ns)
{
    HORUSI_RECEIVE(HORUS_KIND_IMAGE, horusi_image_from_wire)
}

/* ------------------------------------------------------------------------------------ >>depth
 *
 * Depth maps and point clouds. */

static horus_result horusi_check_depth(const horus_depth *d, const char *what)
{
    if (!d || (d->dtype != HORUS_F32 && d->dtype != HORUS_U16) || d->width_px == 0 ||
        d->height_px == 0 ||
        (uint64_t)d->width_px * (d->dtype == HORUS_F32 ? 4 : 2) > d->stride_bytes)
        return horusi_fail(HORUS_E_ARG, "%s: no valid depth image", what);
    if (d->frame.pool ? !horusi_is_valid(&d->frame) : !d->data)
        return horusi_closed(what);
    return HORUS_OK;
}
static uint8_t *horusi_depth_at(const horus_depth *d, uint32_t x, uint32_t y)
{
    return (uint8_t *)d->data + (uint64_t)y * d->stride_bytes +
           (uint64_t)x * (d->dtype == HORUS_F32 ? 4 : 2);
}
horus_result horus_depth_alloc(horus_depth *out, horus_pool *pool, uint32_t width, uint32_t height,
                               horus_dtype dtype, uint32_t flags)
{
    horus_image m;
    if (!out)
        return horusi_fail(HORUS_E_ARG, "depth_alloc: out is NULL");
    memset(out, 0, sizeof *out);
    if (dtype != HORUS_F32 && dtype != HORUS_U16)
        return horusi_fail(HORUS_E_ARG,
                           "depth_alloc: HORUS_F32 (metres) or HORUS_U16 (millimetres)");
    horus_result r = horus_image_alloc(&m, pool, width, height,
                                       dtype == HORUS_F32 ? HORUS_MONO32F : HORUS_DEPTH16, flags);
    if (r != HORUS_OK)
        return r;
    out->frame = m.frame;
    out->data = m.data;
    out->width_px = width;
    out->height_px = height;
    out->stride_bytes = m.stride_bytes;
    out->scale = dtype == HORUS_F32 ? 1.0f : 0.001f;
    out->dtype = (uint8_t)dtype;
    return HORUS_OK;
}
horus_result horus_depth_release(horus_depth *d)
{
    if (!d)
        return horusi_closed("depth_release");
    horus_result r = horus_frame_release(&d->frame);
    memset(d, 0, sizeof *d);
    return r;
}
horus_result horus_depth_copy(horus_depth *out, const horus_depth *d, horus_pool *pool)
{
    horus_depth n;
    if (!out)
        return horusi_fail(HORUS_E_ARG, "depth_copy: out is NULL");
    horus_result r = horusi_check_depth(d, "depth_copy");
    if (r == HORUS_OK)
        r = horus_depth_alloc(&n, pool ? pool : d->frame.pool, d->width_px, d->height_px,
                              (horus_dtype)d->dtype, HORUS_UNINIT);
    if (r != HORUS_OK) {
        memset(out, 0, sizeof *out);
        return r;
    }
    n.scale = d->scale;
    for (uint32_t y = 0; y < d->height_px; y++)
        memcpy(horusi_depth_at(&n, 0, y), horusi_depth_at(d, 0, y),
               (size_t)d->width_px * (d->dtype == HORUS_F32 ? 4 : 2));
    horusi_copy_meta(&n.frame, &d->frame);
    *out = n;
    return HORUS_OK;
}
horus_result horus_depth_tensor(horus_tensor *out, const horus_depth *d)
{
    if (!out)
        return horusi_fail(HORUS_E_ARG, "depth_tensor: out is NULL");
    memset(out, 0, sizeof *out);
    horus_result r = horusi_check_depth(d, "depth_tensor");
    if (r == HORUS_OK)
        r = horusi_second(&d->frame);
    if (r != HORUS_OK)
        return r;
    out->frame = d->frame;
    out->data = d->data;
    out->dtype = d->dtype;
    out->ndim = 2;
    out->readonly = d->frame.pool ? horusi_is_readonly(&d->frame) : d->readonly;
    out->shape[0] = d->height_px;
    out->shape[1] = d->width_px;
    out->strides_bytes[0] = d->stride_bytes;
    out->strides_bytes[1] = d->dtype == HORUS_F32 ? 4 : 2;
    return HORUS_OK;
}
horus_result horus_depth_get(const horus_depth *d, uint32_t x, uint32_t y, double *metres)
{
    if (!metres)
        return horusi_fail(HORUS_E_ARG, "depth_get: out is NULL");
    *metres = 0;
    horus_result r = horusi_check_depth(d, "depth_get");
    if (r == HORUS_OK && (x >= d->width_px || y >= d->height_px))
        r = horusi_fail(HORUS_E_ARG, "depth_get: (%u, %u) is outside %u x %u", (unsigned)x,
                        (unsigned)y, (unsigned)d->width_px, (unsigned)d->height_px);
    if (r == HORUS_OK)
        *metres = horusi_value_get(horusi_depth_at(d, x, y), d->dtype) *
                  (d->dtype == HORUS_F32 ? 1.0 : (double)d->scale);
    return r;
}
horus_result horus_depth_set(const horus_depth *d, uint32_t x, uint32_t y, double metres)
{
    horus_result r = horusi_check_depth(d, "depth_set");
    if (r == HORUS_OK && d->frame.pool)
        r = horusi_may_write(&d->frame, "depth_set");
    if (r == HORUS_OK && d->readonly)
        r = horusi_fail(HORUS_E_READONLY,
                        "depth_set: a read-only view; copy() gives a writable one");
    if (r != HORUS_OK)
        return r;
    double units = d->dtype == HORUS_F32 ? metres : metres / (double)d->scale;
    if (x >= d->width_px || y >= d->height_px ||
        !(d->dtype == HORUS_U16 ? units >= 0 && units < 65535.5
                                : horusi_value_fits(units, d->dtype)))
        return horusi_fail(
            HORUS_E_ARG, "depth_set: (%u, %u), %g m: outside %u x %u, or not to be stored",
            (unsigned)x, (unsigned)y, metres, (unsigned)d->width_px, (unsigned)d->height_px);
    horusi_value_set(horusi_depth_at(d, x, y), d->dtype, units);
    return HORUS_OK;
}

/* Eight running results side by side, so that a compiler may use vectors without reordering sums.
 */
enum { HORUSI_LANES = 8 };
typedef struct horusi_extent {
    float low[HORUSI_LANES], high[HORUSI_LANES];
    double sum[HORUSI_LANES];
    uint32_t count[HORUSI_LANES];
} horusi_extent;
static void horusi_extent_add(horusi_extent *e, const float *v)
{
    for (int k = 0; k < HORUSI_LANES; k++) {
        bool valid = v[k] > 0 && v[k] <= 3.402823466e+38f; /* false for NaN */
        float low = valid ? v[k] : 3.402823466e+38f, high = valid ? v[k] : 0;
        e->low[k] = low < e->low[k] ? low : e->low[k];
        e->high[k] = high > e->high[k] ? high : e->high[k];
        e->sum[k] += (double)high;
        e->count[k] += valid;
    }
}
horus_result horus_depth_statistics(const horus_depth *d, horus_depth_stats *out)
{
    if (!out)
        return horusi_fail(HORUS_E_ARG, "depth_statistics: out is NULL");
    memset(out, 0, sizeof *out);
    horus_result r = horusi_check_depth(d, "depth_statistics");
    if (r != HORUS_OK)
        return r;
    double low = 0, high = 0, sum = 0;
    for (uint32_t y = 0; y < d->height_px; y++) {
        const uint8_t *row = horusi_depth_at(d, 0, y);
        for (uint32_t x0 = 0; x0 < d->width_px; x0 += 4096) { /* counts stay small */
            uint32_t end = d->width_px - x0 < 4096 ? d->width_px : x0 + 4096;
            horusi_extent e;
            memset(&e, 0, sizeof e);
            for (int k = 0; k < HORUSI_LANES; k++)
                e.low[k] = 3.402823466e+38f;
            for (uint32_t x = x0; x < end; x += HORUSI_LANES) {
                float v[HORUSI_LANES] = {0};
                uint32_t n = end - x < HORUSI_LANES ? end - x : HORUSI_LANES;
                if (d->dtype == HORUS_F32) {
                    memcpy(v, row + (size_t)x * 4, n * sizeof *v);
                } else {
                    uint16_t u[HORUSI_LANES] = {0};
                    memcpy(u, row + (size_t)x * 2, n * sizeof *u);
                    for (int k = 0; k < HORUSI_LANES; k++)
                        v[k] = u[k];
                }
                horusi_extent_add(&e, v);
            }
            for (int k = 0; k < HORUSI_LANES; k++) {
                if (e.count[k] == 0)
                    continue;
                low = out->valid == 0 || (double)e.low[k] < low ? (double)e.low[k] : low;
                high = (double)e.high[k] > high ? (double)e.high[k] : high;
                sum += e.sum[k];
                out->valid += e.count[k];
            }
        }
    }
    if (out->valid == 0)
        return HORUS_EMPTY;
    double scale = d->dtype == HORUS_F32 ? 1.0 : (double)d->scale;
    out->min_m = low * scale;
    out->max_m = high * scale;
    out->mean_m = sum / (double)out->valid * scale;
    return HORUS_OK;
}

static horus_result horusi_depth_to_wire(const horus_depth *v, horusi_descriptor *d,
                                         uint32_t *bytes)
{
    horus_result r = horusi_check_depth(v, "depth");
    if (r != HORUS_OK)
        return r;
    if (!v->frame.pool)
        return horusi_fail(HORUS_E_ARG, "depth: not in a pool: copy() puts it there");
    if (!horusi_wire_begin(d, &v->frame, v->data, (uint64_t)v->stride_bytes * v->height_px,
                           HORUS_KIND_DEPTH))
        return horusi_fail(HORUS_E_ARG, "depth: its rows leave its frame");
    d->head.dtype = v->dtype;
    uint32_t size[4] = {v->width_px, v->height_px, v->stride_bytes, 0};
    memcpy(&size[3], &v->scale, 4);
    memcpy(d->bytes + sizeof d->head, size, sizeof size);
    *bytes = (uint32_t)(sizeof d->head + sizeof size);
    return HORUS_OK;
}
static horus_result horusi_depth_from_wire(horus_depth *v, const horusi_descriptor *d,
                                           uint32_t bytes, const horus_frame *f)
{
    uint32_t size[4];
    memset(v, 0, sizeof *v);
    if (bytes < sizeof d->head + sizeof size)
        return horusi_damaged();
    memcpy(size, d->bytes + sizeof d->head, sizeof size);
    v->width_px = size[0];
    v->height_px = size[1];
    v->stride_bytes = size[2];
    memcpy(&v->scale, &size[3], 4);
    v->dtype = d->head.dtype;
    v->frame = *f;
    v->readonly = horusi_is_readonly(f);
    v->data = horusi_wire_data(&d->head, f, (uint64_t)size[2] * size[1]);
    return v->data && horusi_check_depth(v, "depth") == HORUS_OK ? HORUS_OK : horusi_damaged();
}
horus_result horus_topic_send_depth(horus_topic *t, horus_depth *depth, int64_t timeout_ns){
    HORUSI_SEND(depth, horusi_depth_to_wire, horus_depth_type)} horus_result
    horus_topic_receive_depth(horus_topic *t, horus_depth *out, horus_info *info,
                              int64_t timeout_ns)
{
    HORUSI_RECEIVE(HORUS_KIND_DEPTH, horusi_depth_from_wire)
}

/* ---- clouds */

static horus_result horusi_check_cloud(const horus_cloud *c, const char *what)
{
    if (!c || c->fields == 0 || c->fields > 65535 || horus_dtype_bytes((horus_dtype)c->dtype) == 0)
        return horusi_fail(HORUS_E_ARG, "%s: no valid point cloud", what);
    if (c->frame.pool ? !horusi_is_valid(&c->frame) : !c->data)
        return horusi_closed(what);
    return HORUS_OK;
}
/* Its size; UINT64_MAX if that overflows. */
static uint64_t horusi_cloud_bytes(uint64_t points, uint32_t fields, uint8_t dtype)
{
    uint64_t one = fields * (uint64_t)horus_dtype_bytes((horus_dtype)dtype);
    return one && points > UINT64_MAX / 2 / one ? UINT64_MAX : points * one;
}
horus_result horus_cloud_alloc(horus_cloud *out, horus_pool *pool, uint64_t points, uint32_t fields,
                               horus_dtype dtype, uint32_t flags)
{
    if (!out)
        return horusi_fail(HORUS_E_ARG, "cloud_alloc: out is NULL");
    memset(out, 0, sizeof *out);
    if (fields == 0 || fields > 65535 || horus_dtype_bytes(dtype) == 0)
        return horusi_fail(HORUS_E_ARG, "cloud_alloc: points of 1 to 65535 fields, and a dtype");
    horus_cloud c;
    memset(&c, 0, sizeof c);
    c.point_count = points;
    c.fields = fields;
    c.dtype = (uint8_t)dtype;
    uint64_t bytes = horusi_cloud_bytes(points, fields, c.dtype);
    horus_result r = horus_frame_alloc(&c.frame, pool, bytes ? bytes : 1, flags, &c.data);
    if (r == HORUS_OK)
        *out = c;
    return r;
}
horus_result horus_cloud_release(horus_cloud *c)
{
    if (!c)
        return horusi_closed("cloud_release");
    horus_result r = horus_frame_release(&c->frame);
    memset(c, 0, sizeof *c);
    return r;
}
horus_result horus_cloud_copy(horus_cloud *out, const horus_cloud *c, horus_pool *pool)
{
    horus_cloud n;
    if (!out)
        return horusi_fail(HORUS_E_ARG, "cloud_copy: out is NULL");
    horus_result r = horusi_check_cloud(c, "cloud_copy");
    if (r == HORUS_OK)
        r = horus_cloud_alloc(&n, pool ? pool : c->frame.pool, c->point_count, c->fields,
                              (horus_dtype)c->dtype, HORUS_UNINIT);
    if (r != HORUS_OK) {
        memset(out, 0, sizeof *out);
        return r;
    }
    memcpy(n.data, c->data, (size_t)horusi_cloud_bytes(c->point_count, c->fields, c->dtype));
    horusi_copy_meta(&n.frame, &c->frame);
    *out = n;
    return HORUS_OK;
}
horus_result horus_cloud_tensor(horus_tensor *out, const horus_cloud *c)
{
    if (!out)
        return horusi_fail(HORUS_E_ARG, "cloud_tensor: out is NULL");
    memset(out, 0, sizeof *out);
    horus_result r = horusi_check_cloud(c, "cloud_tensor");
    if (r == HORUS_OK)
        r = horusi_second(&c->frame);
    if (r != HORUS_OK)
        return r;
    out->frame = c->frame;
    out->data = c->data;
    out->dtype = c->dtype;
    out->ndim = 2;
    out->readonly = c->frame.pool ? horusi_is_readonly(&c->frame) : c->readonly;
    out->shape[0] = (int64_t)c->point_count;
    out->shape[1] = c->fields;
    out->strides_bytes[1] = (int64_t)horus_dtype_bytes((horus_dtype)c->dtype);
    out->strides_bytes[0] = c->fields * out->strides_bytes[1];
    return HORUS_OK;
}
horus_result horus_cloud_point(const horus_cloud *c, uint64_t i, double *out, size_t count)
{
    for (size_t k = 0; out && k < count; k++)
        out[k] = 0;
    horus_result r = horusi_check_cloud(c, "cloud_point");
    if (r != HORUS_OK)
        return r;
    if (!out || i >= c->point_count)
        return horusi_fail(HORUS_E_ARG, "cloud_point: no point %llu of %llu", (unsigned long long)i,
                           (unsigned long long)c->point_count);
    if (count != c->fields)
        return horusi_fail(HORUS_E_SIZE, "cloud_point: %llu places, a point has %u fields",
                           (unsigned long long)count, (unsigned)c->fields);
    if (c->dtype != HORUS_F32 && c->dtype != HORUS_F64)
        return horusi_fail(HORUS_E_TYPE, "cloud_point: for float32 and float64 clouds, this is %s",
                           horus_dtype_name((horus_dtype)c->dtype));
    size_t bytes = horus_dtype_bytes((horus_dtype)c->dtype);
    const uint8_t *at = (const uint8_t *)c->data + i * c->fields * bytes;
    for (size_t k = 0; k < count; k++, at += bytes) {
        if (c->dtype == HORUS_F64)
            memcpy(&out[k], at, 8);
        else
            out[k] = horusi_value_get(at, HORUS_F32);
    }
    return HORUS_OK;
}
bool horus_cloud_is_xyz(const horus_cloud *c) { return c && c->fields == 3; }
bool horus_cloud_has_intensity(const horus_cloud *c) { return c && c->fields >= 4; }
bool horus_cloud_has_color(const horus_cloud *c) { return c && c->fields >= 6; }

static horus_result horusi_cloud_to_wire(const horus_cloud *c, horusi_descriptor *d,
                                         uint32_t *bytes)
{
    horus_result r = horusi_check_cloud(c, "cloud");
    if (r != HORUS_OK)
        return r;
    if (!c->frame.pool)
        return horusi_fail(HORUS_E_ARG, "cloud: not in a pool: copy() puts it there");
    if (!horusi_wire_begin(d, &c->frame, c->data,
                           horusi_cloud_bytes(c->point_count, c->fields, c->dtype),
                           HORUS_KIND_CLOUD))
        return horusi_fail(HORUS_E_ARG, "cloud: its points leave its frame");
    d->head.dtype = c->dtype;
    uint64_t size[2] = {c->point_count, c->fields};
    memcpy(d->bytes + sizeof d->head, size, sizeof size);
    *bytes = (uint32_t)(sizeof d->head + sizeof size);
    return HORUS_OK;
}
static horus_result horusi_cloud_from_wire(horus_cloud *c, const horusi_descriptor *d,
                                           uint32_t bytes, const horus_frame *f)
{
    memset(c, 0, sizeof *c);
    uint64_t size[2];
    if (bytes < sizeof d->head + sizeof size)
        return horusi_damaged();
    memcpy(size, d->bytes + sizeof d->head, sizeof size);
    c->point_count = size[0];
    c->fields = size[1] <= UINT32_MAX ? (uint32_t)size[1] : 0;
    c->dtype = d->head.dtype;
    c->frame = *f;
    c->readonly = horusi_is_readonly(f);
    c->data =
        horusi_wire_data(&d->head, f, horusi_cloud_bytes(c->point_count, c->fields, c->dtype));
    return c->data && horusi_check_cloud(c, "cloud") == HORUS_OK ? HORUS_OK : horusi_damaged();
}
horus_result horus_topic_send_cloud(horus_topic *t, horus_cloud *cloud, int64_t timeout_ns){
    HORUSI_SEND(cloud, horusi_cloud_to_wire, horus_cloud_type)} horus_result
    horus_topic_receive_cloud(horus_topic *t, horus_cloud *out, horus_info *info,
                              int64_t timeout_ns)
{
    HORUSI_RECEIVE(HORUS_KIND_CLOUD, horusi_cloud_from_wire)
}

/* ------------------------------------------------------------------------------------ >>pictures
 *
 * Image files, through the stb_image_write package. */

#if !defined(HORUS_NO_OS)
#ifdef HORUS_STB_IMAGE_WRITE
#define HORUSI_STB HORUS_STB_IMAGE_WRITE
#elif defined(__has_include)
#if __has_include(<stb/stb_image_write.h>)
#define HORUSI_STB <stb/stb_image_write.h>
#elif __has_include(<stb_image_write.h>)
#define HORUSI_STB <stb_image_write.h>
#endif
#endif
#endif
#if defined(HORUSI_STB) && !defined(INCLUDE_STB_IMAGE_WRITE_H)
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#include HORUSI_STB
#endif

#ifdef HORUSI_STB
static uint8_t horusi_byte(double v) { return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v + 0.5); }

typedef struct horusi_sink {
    FILE *file;
    int error; /* errno of the first write that failed */
} horusi_sink;
static void horusi_sink_write(void *user, void *data, int bytes)
{
    horusi_sink *s = (horusi_sink *)user;
    if (s->error == 0 && fwrite(data, 1, (size_t)bytes, s->file) != (size_t)bytes)
        s->error = errno ? errno : EIO;
}

/* Writes dense 8-bit pixels; the suffix picks the format. */
static horus_result horusi_picture(const uint8_t *pixels, uint32_t width, uint32_t height,
                                   uint32_t channels, const char *path)
{
    const char *dot = strrchr(path, '.');
    int w = (int)width, h = (int)height, c = (int)channels, ok = 0;
    bool png = dot && horusi_same_text(dot, ".png"), bmp = dot && horusi_same_text(dot, ".bmp");
    bool tga = dot && horusi_same_text(dot, ".tga"),
         jpg = dot && (horusi_same_text(dot, ".jpg") || horusi_same_text(dot, ".jpeg"));
    if (!png && !bmp && !tga && !jpg)
        return horusi_fail(HORUS_E_ARG,
                           "image_write: %.120s: the suffix must be png, bmp, tga or jpg", path);
    horusi_sink s = {NULL, 0};
    do {
        s.file = fopen(path, "wb");
    } while (!s.file && errno == EINTR);
    if (s.file) {
        if (png)
            ok = stbi_write_png_to_func(horusi_sink_write, &s, w, h, c, pixels, w * c);
        else if (bmp)
            ok = stbi_write_bmp_to_func(horusi_sink_write, &s, w, h, c, pixels);
        else if (tga)
            ok = stbi_write_tga_to_func(horusi_sink_write, &s, w, h, c, pixels);
        else
            ok = stbi_write_jpg_to_func(horusi_sink_write, &s, w, h, c, pixels, 90);
        if (!ok && s.error == 0)
            s.error = ENOMEM; /* all else that it can fail by */
        if (fclose(s.file) != 0 && s.error == 0)
            s.error = errno;
    } else {
        s.error = errno;
    }
    return s.error == 0
               ? HORUS_OK
               : horusi_fail(s.error == ENOMEM ? HORUS_E_MEMORY : HORUS_E_SYSTEM,
                             "image_write: cannot write %.120s: %s", path, strerror(s.error));
}
#endif

static horus_result horusi_write(const horus_image *m, const char *path, bool near_is_bright)
{
    horus_result r = horusi_check_image(m, "image_write");
    if (r == HORUS_OK && (!path || !*path))
        r = horusi_fail(HORUS_E_ARG, "image_write: no path");
    if (r != HORUS_OK)
        return r;
#ifndef HORUSI_STB
    (void)near_is_bright;
    return horusi_fail(HORUS_E_UNSUPPORTED,
                       "image_write: built without stb_image_write: install it "
                       "(apt-get install libstb-dev) or define "
                       "HORUS_STB_IMAGE_WRITE as its path, and compile again");
#else
    uint32_t w = m->width_px, h = m->height_px, channels = m->channels == 2 ? 3 : m->channels;
    uint8_t dtype = horusi_encodings[m->encoding].dtype;
    if ((uint64_t)w * h * channels > INT32_MAX)
        return horusi_fail(HORUS_E_SIZE, "image_write: more than 2 GiB of pixels");
    uint8_t *out = (uint8_t *)HORUS_MALLOC((size_t)w * h * channels), *to = out;
    if (!out)
        return horusi_no_memory((size_t)w * h * channels);
    double low = 0, high = 0; /* of valid values, where a range is to be mapped */
    bool any = false;
    for (uint32_t y = 0; y < h && dtype != HORUS_U8; y++)
        for (uint32_t x = 0; x < w * m->channels; x++) {
            double v =
                horusi_value_get(horusi_pixel_at(m, 0, y) + (size_t)x * m->elem_bytes, dtype);
            if (!(v > -1e300 && v < 1e300) || (near_is_bright && v <= 0))
                continue;
            low = !any || v < low ? v : low;
            high = !any || v > high ? v : high;
            any = true;
        }
    if (dtype == HORUS_F32 && !near_is_bright && low >= 0 && high <= 1) {
        low = 0; /* the usual range of float pictures */
        high = 1;
    }
    double scale = high > low ? 255 / (high - low) : 0;
    for (uint32_t y = 0; y < h; y++)
        for (uint32_t x = 0; x < w; x++, to += channels) {
            const uint8_t *at = horusi_pixel_at(m, x, y);
            if (m->encoding == HORUS_YUV422) { /* Y0 U Y1 V, BT.601 */
                const uint8_t *pair = horusi_pixel_at(m, x & ~1u, y);
                bool odd_end = (x & ~1u) + 1 >= w;
                double luma = 1.164 * (at[0] - 16), u = pair[1] - 128.0;
                double v = (odd_end ? 128 : pair[3]) - 128.0;
                to[0] = horusi_byte(luma + 1.596 * v);
                to[1] = horusi_byte(luma - 0.392 * u - 0.813 * v);
                to[2] = horusi_byte(luma + 2.017 * u);
                continue;
            }
            bool swap = m->encoding == HORUS_BGR8 || m->encoding == HORUS_BGRA8;
            for (uint32_t c = 0; c < m->channels; c++) {
                uint32_t source = swap && c < 3 ? 2 - c : c;
                double v = horusi_value_get(at + (size_t)source * m->elem_bytes, dtype);
                bool valid = v > -1e300 && v < 1e300 && !(near_is_bright && v <= 0);
                if (dtype == HORUS_U8)
                    to[c] = (uint8_t)v;
                else if (near_is_bright)
                    to[c] = valid
                                ? horusi_byte(scale > 0 ? 32 + (high - v) * scale * 223 / 255 : 255)
                                : 0;
                else
                    to[c] = valid ? horusi_byte((v - low) * scale) : 0;
            }
        }
    r = horusi_picture(out, w, h, channels, path);
    HORUS_FREE(out);
    return r;
#endif
}
horus_result horus_image_write(const horus_image *m, const char *path)
{
    return horusi_write(m, path, m && m->encoding == HORUS_DEPTH16);
}
horus_result horus_depth_write(const horus_depth *d, const char *path)
{
    horus_image m;
    horus_result r = horusi_check_depth(d, "depth_write");
    if (r == HORUS_OK)
        r = horusi_image_fit(&m, d->width_px, d->height_px,
                             d->dtype == HORUS_F32 ? HORUS_MONO32F : HORUS_DEPTH16);
    if (r != HORUS_OK)
        return r;
    m.frame = d->frame;
    m.data = d->data;
    m.stride_bytes = d->stride_bytes;
    return horusi_write(&m, path, true);
}
#endif /* HORUS_NO_VIEWS */

#ifndef HORUS_NO_VISION
/* ------------------------------------------------------------------------------------ >>prepare
 *
 * An image becomes a tensor, strip by strip of columns. A strip has tables of which two pixels each
 * column mixes; the two rows that a row mixes are fetched as planes of floats, mixed in x, and are
 * still there for the next row where the image grows. */

#ifdef HORUS_NO_OS
enum { HORUSI_STRIP = 32 }; /* columns; 56 bytes of stack each */
#else
enum { HORUSI_STRIP = 128 };
#endif
typedef float horusi_plane[HORUSI_STRIP];

static float horusi_float_of(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, 4);
    return f;
}
static uint32_t horusi_bits_of(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, 4);
    return bits;
}
static bool horusi_is_finite(float f) { return (horusi_bits_of(f) & 0x7f800000u) != 0x7f800000u; }

/* Four at a time: gcc makes no vectors of loops of unknown length at -O2. */
typedef float horusi_f4 __attribute__((vector_size(16), may_alias, aligned(4)));
typedef int32_t horusi_i4 __attribute__((vector_size(16), may_alias, aligned(4)));
static horusi_f4 horusi_f4_at(const float *p) { return *(const horusi_f4 *)p; }

#ifndef HORUS_NO_VIEWS
typedef int32_t horusi_i8 __attribute__((vector_size(32), may_alias, aligned(4)));
typedef uint16_t horusi_h8 __attribute__((vector_size(16), may_alias, aligned(2)));
typedef uint16_t horusi_h16 __attribute__((vector_size(32), may_alias, aligned(2)));
typedef uint8_t horusi_b8 __attribute__((vector_size(8), may_alias, aligned(1)));
typedef uint8_t horusi_b16 __attribute__((vector_size(16), may_alias, aligned(1)));
static horusi_i4 horusi_pick(horusi_i4 which, horusi_i4 yes, horusi_i4 no)
{
    return (which & yes) | (~which & no);
}
/* Bits of halves: rounded to the nearest, of two the even one. */
static horusi_i4 horusi_halves(horusi_f4 f)
{
    const horusi_i4 zero = {0}, infinite = zero + 0x7c00, nan = zero + 0x7e00;
    horusi_i4 bits = (horusi_i4)f, m = bits & 0x7fffffff;
    horusi_i4 normal = (m - 0x38000000 + 0xfff + (m >> 13 & 1)) >> 13;
    /* below the smallest normal one: the sum's last bits are what remains */
    horusi_i4 small = (horusi_i4)((horusi_f4)m + 0.5f) - 0x3f000000;
    horusi_i4 h = horusi_pick((horusi_i4)(m < 0x38800000), small, normal);
    h = horusi_pick((horusi_i4)(m >= 0x47800000), infinite, h); /* so is a sum of 65520 up */
    h = horusi_pick((horusi_i4)(m > 0x7f800000), nan, h);
    return h | (bits >> 16 & 0x8000);
}
/* Bytes: rounded, cut to 0..255; NaN is 0. */
static horusi_i4 horusi_bytes(horusi_f4 f)
{
    const horusi_f4 zero = {0};
    horusi_i4 cut =
        horusi_pick((horusi_i4)(f < 255), (horusi_i4)(f + 0.5f), (horusi_i4)(zero + 255));
    return __builtin_convertvector((horusi_f4)((horusi_i4)(f > 0) & cut), horusi_i4);
}

/* One direction of a resize: `from` px of the image become `to`, which begin at `at`. */
typedef struct horusi_axis {
    int64_t from, to, at;
    uint32_t begin, end; /* the tensor's px that have pixels, not padding */
} horusi_axis;
/* The pixels that px x of the tensor mixes: lo * (1 - f) + hi * f. */
static float horusi_mixed(const horusi_axis *a, uint32_t x, uint32_t *lo, uint32_t *hi)
{
    int64_t num = (2 * (x - a->at) + 1) * a->from - a->to, den = 2 * a->to;
    int64_t at = num > 0 ? num / den : 0;
    if (at >= a->from - 1) {
        *lo = *hi = (uint32_t)(a->from - 1);
        return 0;
    }
    int64_t rest = num > 0 ? num - at * den : 0;
    *lo = (uint32_t)at;
    *hi = (uint32_t)(rest ? at + 1 : at);
    return (float)rest / (float)den;
}

typedef struct horusi_plan {
    horusi_axis x, y;
    uint32_t width, height, channels; /* of the tensor */
    uint8_t dtype, encoding;
    uint8_t planes;    /* what is fetched: 1 or 3 */
    uint8_t colours;   /* what the image has: 1 or 3 */
    uint8_t source[3]; /* which plane a channel is made of */
    float mul[3], add[3], pad[3];
} horusi_plan;

typedef struct horusi_strip {
    uint32_t n, padded; /* columns; the next multiple of 16 */
    uint32_t inner;     /* columns whose pixels are not the last of a row */
    uint32_t pairs;     /* columns from whose first pixel on a row has 8 bytes more */
    uint32_t pixel;     /* bytes of one */
    bool mixes;         /* any f is not 0 */
    bool dense;         /* each column's pixel is the next one */
    uint32_t lo[HORUSI_STRIP], hi[HORUSI_STRIP]; /* where its two pixels begin in a row */
    horusi_plane f;
    uint32_t a[HORUSI_STRIP], b[HORUSI_STRIP]; /* pixels as they are */
    int64_t held[2];                           /* which rows of the image `row` has, by parity */
    horusi_plane row[2][3];
    horusi_plane result[3]; /* by channel of the tensor */
} horusi_strip;

static uint32_t horusi_get3(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16;
}
static uint32_t horusi_get4(const uint8_t *p) { return horusi_get3(p) | (uint32_t)p[3] << 24; }
static uint32_t horusi_get2(const uint8_t *p)
{
    uint16_t u;
    memcpy(&u, p, 2);
    return u;
}
/* Pixel x of a row of Y0 U Y1 V as RGB; an odd last one has no V. */
static uint32_t horusi_get_yuv(const uint8_t *row, uint32_t x, uint32_t width)
{
    const uint8_t *pair = row + (size_t)(x & ~1u) * 2;
    int32_t y = row[(size_t)x * 2], luma = (y > 16 ? y - 16 : 0) * 76309, rgb[3];
    int32_t u = pair[1] - 128, v = (x | 1) < width ? pair[3] - 128 : 0;
    uint32_t pixel = 0;
    rgb[0] = luma + 104597 * v;
    rgb[1] = luma - 25675 * u - 53279 * v;
    rgb[2] = luma + 132201 * u;
    for (uint32_t c = 0; c < 3; c++) {
        int32_t value = (rgb[c] + 32768) / 65536; /* below 0 all is 0 */
        pixel |= (uint32_t)(value < 0 ? 0 : value > 255 ? 255 : value) << 8 * c;
    }
    return pixel;
}

/* The pixels of one side of a strip. */
static void horusi_gather(const horusi_strip *s, const horusi_plan *p, const uint8_t *row,
                          const uint32_t *at, uint32_t *to)
{
    uint32_t i = 0;
    switch (p->encoding) {
    case HORUS_RGB8:
    case HORUS_BGR8:
        for (; i < s->inner; i++) /* the byte behind is the next pixel's */
            to[i] = horusi_get4(row + at[i]);
        for (; i < s->n; i++)
            to[i] = horusi_get3(row + at[i]);
        break;
    case HORUS_RGBA8:
    case HORUS_BGRA8:
        for (; i < s->n; i++)
            to[i] = horusi_get4(row + at[i]);
        break;
    case HORUS_YUV422:
        for (; i < s->n; i++)
            to[i] = horusi_get_yuv(row, at[i] / 2, (uint32_t)p->x.from);
        break;
    case HORUS_MONO8:
        for (; s->dense && i + 8 <= s->n; i += 8) {
            horusi_h8 halves =
                __builtin_convertvector(*(const horusi_b8 *)(row + at[0] + i), horusi_h8);
            *(horusi_i8 *)(to + i) = __builtin_convertvector(halves, horusi_i8);
        }
        for (; i < s->n; i++)
            to[i] = row[at[i]];
        break;
    default: /* 16 bits */
        for (; i < s->n; i++)
            to[i] = horusi_get2(row + at[i]);
        break;
    }
}
/* Both sides at once: two neighbours of colours lie in eight bytes, and become `a` and `b`, those of mono
 * in two or four, and become the halves of `a`. Where nothing is mixed the second may be any pixel. */
static void horusi_gather_both(horusi_strip *s, const uint8_t *row)
{
    uint32_t i = 0, shift = 8 * s->pixel;
    if (s->pixel == 1) {
        for (; i < s->inner; i++)
            s->a[i] = horusi_get2(row + s->lo[i]);
        for (; i < s->n; i++)
            s->a[i] = row[s->lo[i]] | (uint32_t)row[s->hi[i]] << 8;
    } else if (s->pixel == 2) {
        for (; i < s->inner; i++)
            s->a[i] = horusi_get4(row + s->lo[i]);
        for (; i < s->n; i++)
            s->a[i] = horusi_get2(row + s->lo[i]) | horusi_get2(row + s->hi[i]) << 16;
    } else {
        for (; i < s->pairs; i++) {
            const uint8_t *at = row + s->lo[i];
            uint64_t both = horusi_get4(at) | (uint64_t)horusi_get4(at + 4) << 32;
            s->a[i] = (uint32_t)both;
            s->b[i] = (uint32_t)(both >> shift);
        }
        for (; i < s->n; i++) {
            s->a[i] = horusi_get3(row + s->lo[i]);
            s->b[i] = horusi_get3(row + s->hi[i]);
        }
    }
}
static horusi_f4 horusi_take4(const uint32_t *pixels, int32_t shift, int32_t mask)
{
    horusi_i4 v = *(const horusi_i4 *)pixels >> shift & mask;
    return __builtin_convertvector(v, horusi_f4);
}
static void horusi_take_pixels(float *to, const uint32_t *a, int32_t shift, int32_t mask,
                               uint32_t n)
{
    for (uint32_t i = 0; i < n; i += 4)
        *(horusi_f4 *)(to + i) = horusi_take4(a + i, shift, mask);
}
static void horusi_mix4(float *to, horusi_f4 lo, horusi_f4 hi, const float *f)
{
    *(horusi_f4 *)to = lo + (hi - lo) * horusi_f4_at(f);
}
static void horusi_mix_mono(float *to, const horusi_strip *s)
{
    int32_t shift = (int32_t)(8 * s->pixel), mask = (1 << shift) - 1;
    for (uint32_t i = 0; i < s->padded; i += 4)
        horusi_mix4(to + i, horusi_take4(s->a + i, 0, mask), horusi_take4(s->a + i, shift, mask),
                    s->f + i);
}
/* Into planes, of which the first is that of the lowest byte. */
static void horusi_mix_colours(float *const *to, const horusi_strip *s)
{
    for (uint32_t i = 0; i < s->padded; i += 4) {
        const uint32_t *a = s->a + i, *b = s->b + i;
        const float *f = s->f + i;
        horusi_mix4(to[0] + i, horusi_take4(a, 0, 0xff), horusi_take4(b, 0, 0xff), f);
        horusi_mix4(to[1] + i, horusi_take4(a, 8, 0xff), horusi_take4(b, 8, 0xff), f);
        horusi_mix4(to[2] + i, horusi_take4(a, 16, 0xff), horusi_take4(b, 16, 0xff), f);
    }
}
/* Channels of the tensor at once, where nothing is mixed. n is a multiple of 4, as below. */
static void horusi_scale_pixels(float *const *to, const horusi_strip *s, const horusi_plan *p,
                                uint32_t n)
{
    const bool reverse = p->encoding == HORUS_BGR8 || p->encoding == HORUS_BGRA8;
    int32_t shift[3] = {0, 0, 0}, mask = p->colours == 3 ? 0xff : 0xffff;
    for (uint32_t c = 0; c < p->channels && p->colours == 3; c++)
        shift[c] = 8 * (reverse ? 2 - p->source[c] : p->source[c]);
    if (p->channels == 3)
        for (uint32_t i = 0; i < n; i += 4) {
            *(horusi_f4 *)(to[0] + i) =
                horusi_take4(s->a + i, shift[0], mask) * p->mul[0] + p->add[0];
            *(horusi_f4 *)(to[1] + i) =
                horusi_take4(s->a + i, shift[1], mask) * p->mul[1] + p->add[1];
            *(horusi_f4 *)(to[2] + i) =
                horusi_take4(s->a + i, shift[2], mask) * p->mul[2] + p->add[2];
        }
    else
        for (uint32_t i = 0; i < n; i += 4)
            *(horusi_f4 *)(to[0] + i) =
                horusi_take4(s->a + i, shift[0], mask) * p->mul[0] + p->add[0];
}
static void horusi_mix_rows(float *to, const float *a, const float *b, float f, float mul,
                            float add, uint32_t n)
{
    for (uint32_t i = 0; i < n; i += 4) {
        horusi_f4 lo = horusi_f4_at(a + i), hi = horusi_f4_at(b + i);
        *(horusi_f4 *)(to + i) = (lo + (hi - lo) * f) * mul + add;
    }
}
static void horusi_scale_row(float *to, const float *a, float mul, float add, uint32_t n)
{
    for (uint32_t i = 0; i < n; i += 4)
        *(horusi_f4 *)(to + i) = horusi_f4_at(a + i) * mul + add;
}
static void horusi_take_floats(const horusi_strip *s, const uint8_t *row, float *to)
{
    for (uint32_t i = 0; i < s->n; i++) {
        float lo, hi;
        memcpy(&lo, row + s->lo[i], 4);
        memcpy(&hi, row + s->hi[i], 4);
        to[i] = s->f[i] > 0 ? lo + (hi - lo) * s->f[i] : lo;
    }
}
/* A row of the image as planes, mixed in x. */
static void horusi_fetch_row(horusi_strip *s, const horusi_plan *p, const uint8_t *row,
                             horusi_plane *to)
{
    const bool reverse = p->encoding == HORUS_BGR8 || p->encoding == HORUS_BGRA8;
    const int32_t mask = p->colours == 3 ? 0xff : 0xffff;
    float *planes[3] = {to[reverse ? 2 : 0], to[1], to[reverse ? 0 : 2]};
    if (p->encoding == HORUS_MONO32F || p->encoding == HORUS_RGB32F) {
        for (uint32_t c = 0; c < p->colours; c++)
            horusi_take_floats(s, row + 4 * (size_t)c, to[c]);
    } else if (!s->mixes) {
        horusi_gather(s, p, row, s->lo, s->a);
        for (uint32_t c = 0; c < p->colours; c++)
            horusi_take_pixels(planes[c], s->a, (int32_t)(8 * c), mask, s->padded);
    } else if (p->encoding == HORUS_YUV422) {
        horusi_gather(s, p, row, s->lo, s->a);
        horusi_gather(s, p, row, s->hi, s->b);
        horusi_mix_colours(planes, s);
    } else {
        horusi_gather_both(s, row);
        if (p->colours == 3)
            horusi_mix_colours(planes, s);
        else
            horusi_mix_mono(planes[0], s);
    }
    if (p->colours == 3 && p->planes == 1)
        for (uint32_t i = 0; i < s->n; i++)
            to[0][i] = 0.299f * to[0][i] + 0.587f * to[1][i] + 0.114f * to[2][i];
}
/* Where channel c, row y, column x of the tensor is, and how far the next column. */
typedef struct horusi_target {
    uint8_t *data;
    size_t channel, row, column;
} horusi_target;

/* A plane as halves or bytes, a word each. n is a multiple of 16 here and below. */
static void horusi_to_words(uint32_t *to, const float *from, uint32_t n, uint8_t dtype)
{
    for (uint32_t i = 0; i < n && dtype == HORUS_F16; i += 4)
        *(horusi_i4 *)(to + i) = horusi_halves(horusi_f4_at(from + i));
    for (uint32_t i = 0; i < n && dtype != HORUS_F16; i += 4)
        *(horusi_i4 *)(to + i) = horusi_bytes(horusi_f4_at(from + i));
}
/* Words without their upper halves, and again. */
static void horusi_narrow_words(uint32_t *to, const uint32_t *from, uint32_t n)
{
    for (uint32_t i = 0; i < n; i += 8)
        *(horusi_h8 *)(to + i / 2) =
            __builtin_convertvector(*(const horusi_i8 *)(from + i), horusi_h8);
}
static void horusi_narrow_halves(uint32_t *to, const uint32_t *from, uint32_t n)
{
    for (uint32_t i = 0; i < n; i += 16)
        *(horusi_b16 *)(to + i / 4) =
            __builtin_convertvector(*(const horusi_h16 *)(from + i / 2), horusi_b16);
}
/* n elements side by side. `a` and `b` of the strip are free by now. */
static void horusi_store_plane(horusi_strip *s, uint8_t *to, const float *from, uint32_t n,
                               uint8_t dtype)
{
    uint32_t padded = (n + 15) & ~15u;
    if (dtype == HORUS_F32) {
        memcpy(to, from, (size_t)n * 4);
        return;
    }
    horusi_to_words(s->a, from, padded, dtype);
    horusi_narrow_words(s->b, s->a, padded);
    if (dtype == HORUS_F16) {
        memcpy(to, s->b, (size_t)n * 2);
        return;
    }
    horusi_narrow_halves(s->a, s->b, padded);
    memcpy(to, s->a, n);
}
#ifdef __clang__
#define HORUSI_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define HORUSI_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (horusi_i4){__VA_ARGS__})
#endif
/* Four pixels of three channels, by pairs that each processor has. */
static void horusi_interleave(uint8_t *to, horusi_f4 r, horusi_f4 g, horusi_f4 b)
{
    horusi_f4 rg01 = HORUSI_SHUFFLE(r, g, 0, 4, 1, 5), rg23 = HORUSI_SHUFFLE(r, g, 2, 6, 3, 7);
    horusi_f4 b0r1 = HORUSI_SHUFFLE(b, r, 0, 0, 5, 5), gb1 = HORUSI_SHUFFLE(g, b, 1, 1, 5, 5);
    horusi_f4 b2r3 = HORUSI_SHUFFLE(b, r, 2, 2, 7, 7), gb3 = HORUSI_SHUFFLE(g, b, 3, 3, 7, 7);
    horusi_f4 first = HORUSI_SHUFFLE(rg01, b0r1, 0, 1, 4, 6);
    horusi_f4 second = HORUSI_SHUFFLE(gb1, rg23, 0, 2, 4, 5);
    horusi_f4 third = HORUSI_SHUFFLE(b2r3, gb3, 0, 2, 4, 6);
    memcpy(to, &first, 16);
    memcpy(to + 16, &second, 16);
    memcpy(to + 32, &third, 16);
}
/* n pixels of three channels. Of bytes four are written, of which the last is the next pixel's. */
static void horusi_store_pixels(horusi_strip *s, uint8_t *to, uint32_t n, uint8_t dtype)
{
    const uint32_t padded = (n + 15) & ~15u, bits = dtype == HORUS_F16 ? 16 : 8;
    if (dtype == HORUS_F32) {
        uint32_t i = 0;
        for (; i + 4 <= n; i += 4, to += 48)
            horusi_interleave(to, horusi_f4_at(s->result[0] + i), horusi_f4_at(s->result[1] + i),
                              horusi_f4_at(s->result[2] + i));
        for (; i < n; i++, to += 12)
            for (uint32_t c = 0; c < 3; c++)
                memcpy(to + 4 * c, &s->result[c][i], 4);
        return;
    }
    horusi_to_words(s->a, s->result[0], padded, dtype);
    horusi_to_words(s->b, s->result[1], padded, dtype);
    for (uint32_t i = 0; i < n; i++)
        s->a[i] |= s->b[i] << bits;
    horusi_to_words(s->b, s->result[2], padded, dtype);
    if (dtype == HORUS_F16) {
        for (uint32_t i = 0; i < n; i++, to += 6) {
            uint16_t last = (uint16_t)s->b[i];
            memcpy(to, &s->a[i], 4);
            memcpy(to + 4, &last, 2);
        }
        return;
    }
    for (uint32_t i = 0; i < n; i++)
        s->a[i] |= s->b[i] << 16;
    for (uint32_t i = 0; i + 1 < n; i++, to += 3)
        memcpy(to, &s->a[i], 4);
    memcpy(to, &s->a[n - 1], 3);
}
/* n columns of row y from x on, as they are in `result`. */
static void horusi_store(horusi_strip *s, const horusi_plan *p, const horusi_target *t, uint32_t y,
                         uint32_t x, uint32_t n)
{
    uint8_t *to = t->data + y * t->row + x * t->column;
    if (p->channels == 3 && t->channel < t->column)
        horusi_store_pixels(s, to, n, p->dtype);
    else
        for (uint32_t c = 0; c < p->channels; c++)
            horusi_store_plane(s, to + c * t->channel, s->result[c], n, p->dtype);
}

/* Columns x to end - 1 of a row are padding. */
static void horusi_pad_row(horusi_strip *s, const horusi_plan *p, const horusi_target *t,
                           uint32_t y, uint32_t x, uint32_t end)
{
    for (uint32_t n; x < end; x += n) {
        n = end - x < HORUSI_STRIP ? end - x : HORUSI_STRIP;
        horusi_store(s, p, t, y, x, n);
    }
}
static void horusi_pad(horusi_strip *s, const horusi_plan *p, const horusi_target *t)
{
    for (uint32_t c = 0; c < p->channels; c++)
        for (uint32_t i = 0; i < HORUSI_STRIP; i++)
            s->result[c][i] = p->pad[c];
    for (uint32_t y = 0; y < p->height; y++) {
        bool none = y < p->y.begin || y >= p->y.end;
        horusi_pad_row(s, p, t, y, 0, none ? p->width : p->x.begin);
        if (!none)
            horusi_pad_row(s, p, t, y, p->x.end, p->width);
    }
}
static void horusi_strip_begin(horusi_strip *s, const horusi_plan *p, const horus_image *m,
                               uint32_t x)
{
    uint32_t first, lo, hi;
    memset(s, 0, sizeof *s); /* what is padding is a number, too */
    s->n = p->x.end - x < HORUSI_STRIP ? p->x.end - x : HORUSI_STRIP;
    s->padded = (s->n + 15) & ~15u;
    s->pixel = (uint32_t)m->channels * m->elem_bytes;
    s->held[0] = s->held[1] = -1;
    s->dense = true;
    (void)horusi_mixed(&p->x, x, &first, &hi);
    for (uint32_t i = 0; i < s->n; i++) {
        s->f[i] = horusi_mixed(&p->x, x + i, &lo, &hi);
        s->mixes |= s->f[i] > 0;
        s->dense &= lo == first + i && !(s->f[i] > 0);
        s->inner += hi + 1 < m->width_px;
        s->pairs += ((uint64_t)m->width_px - lo) * s->pixel >= 8;
        s->lo[i] = lo * s->pixel;
        s->hi[i] = hi * s->pixel;
    }
}
/* The planes of row y of the image. */
static horusi_plane *horusi_planes_of(horusi_strip *s, const horusi_plan *p, const horus_image *m,
                                      uint32_t y)
{
    if (s->held[y & 1] != y)
        horusi_fetch_row(s, p, horusi_pixel_at(m, 0, y), s->row[y & 1]);
    s->held[y & 1] = y;
    return s->row[y & 1];
}
static void horusi_resample(horusi_strip *s, const horusi_plan *p, const horus_image *m,
                            const horusi_target *t, uint32_t x)
{
    horusi_strip_begin(s, p, m, x);
    /* floats side by side are computed where they are to be */
    const bool direct = p->dtype == HORUS_F32 && t->column == 4 && s->n % 4 == 0 &&
                        (uintptr_t)t->data % sizeof(float) == 0;
    const bool plain = !s->mixes && p->planes == p->colours && m->elem_bytes != 4;
    const uint32_t n = direct ? s->n : s->padded;
    for (uint32_t y = p->y.begin; y < p->y.end; y++) {
        uint32_t lo, hi;
        float f = horusi_mixed(&p->y, y, &lo, &hi), *to[3];
        for (uint32_t c = 0; c < 3; c++)
            to[c] = direct && c < p->channels
                        ? (float *)(void *)(t->data + c * t->channel + y * t->row + x * t->column)
                        : s->result[c];
        if (plain && !(f > 0)) {
            horusi_gather(s, p, horusi_pixel_at(m, 0, lo), s->lo, s->a);
            horusi_scale_pixels(to, s, p, n);
        } else {
            horusi_plane *above = horusi_planes_of(s, p, m, lo);
            horusi_plane *below = horusi_planes_of(s, p, m, hi);
            for (uint32_t c = 0; c < p->channels; c++) {
                const float *a = above[p->source[c]], *b = below[p->source[c]];
                if (f > 0)
                    horusi_mix_rows(to[c], a, b, f, p->mul[c], p->add[c], n);
                else
                    horusi_scale_row(to[c], a, p->mul[c], p->add[c], n);
            }
        }
        if (!direct)
            horusi_store(s, p, t, y, x, s->n);
    }
}

/* a * b / c, rounded, at least 1. */
static int64_t horusi_scaled(uint32_t a, uint32_t b, uint32_t c)
{
    int64_t n = (2 * (int64_t)a * b + c) / (2 * (int64_t)c);
    return n ? n : 1;
}
static horusi_axis horusi_axis_of(uint32_t from, int64_t to, uint32_t size)
{
    horusi_axis a = {from, to, 0, 0, size};
    if (to < size) {
        a.at = (size - to) / 2;
        a.begin = (uint32_t)a.at;
        a.end = (uint32_t)(a.at + to);
    } else {
        a.at = -((to - size) / 2);
    }
    return a;
}
/* Checks all but the tensor. p: its size and dtype are given. */
static horus_result horusi_plan_make(horusi_plan *p, const horus_image *m,
                                     const horus_preprocess_desc *d, horus_pixel_map *map,
                                     const char *what)
{
    enum { MOST = 1 << 20 };
    bool bytes = m->elem_bytes == 1, depth = m->encoding == HORUS_DEPTH16;
    float white = bytes ? 255 : m->elem_bytes == 2 ? 65535 : 1;
    float scale = d->scale, pad = d->pad;
    if (m->encoding == HORUS_BAYER_RGGB8)
        return horusi_fail(HORUS_E_UNSUPPORTED,
                           "%s: bayer_rggb8 has no colours yet: make rgb8 of it", what);
    if (p->dtype != HORUS_F32 && p->dtype != HORUS_F16 && p->dtype != HORUS_U8)
        return horusi_fail(HORUS_E_UNSUPPORTED, "%s: dtype %s: float32, float16 or uint8", what,
                           horus_dtype_name((horus_dtype)p->dtype));
    if ((p->channels != 1 && p->channels != 3) || d->fit > HORUS_CENTER_CROP ||
        d->flags > (HORUS_ORDER_BGR | HORUS_LAYOUT_NHWC))
        return horusi_fail(HORUS_E_ARG, "%s: 1 or 3 channels, one of horus_fit, known flags", what);
    if (p->width > MOST || p->height > MOST || m->width_px > MOST || m->height_px > MOST)
        return horusi_fail(HORUS_E_SIZE, "%s: %u x %u px to %u x %u: a side has at most %d", what,
                           (unsigned)m->width_px, (unsigned)m->height_px, (unsigned)p->width,
                           (unsigned)p->height, (int)MOST);
    bool wide = (uint64_t)m->width_px * p->height >= (uint64_t)m->height_px * p->width;
    int64_t w = p->width, h = p->height;
    if (d->fit != HORUS_STRETCH && wide == (d->fit == HORUS_LETTERBOX))
        h = horusi_scaled(m->height_px, p->width, m->width_px);
    else if (d->fit != HORUS_STRETCH)
        w = horusi_scaled(m->width_px, p->height, m->height_px);
    p->x = horusi_axis_of(m->width_px, w, p->width);
    p->y = horusi_axis_of(m->height_px, h, p->height);
    p->encoding = m->encoding;
    p->colours = m->channels == 1 ? 1 : 3;
    p->planes = (uint8_t)(p->colours < p->channels ? p->colours : p->channels);
    if (!(scale < 0 || scale > 0))
        scale = (p->dtype == HORUS_U8 ? 255 : 1) / (depth ? 1000 : white);
    pad = pad < 0 || (depth && !(pad > 0)) ? 0 : pad > 0 ? pad : white * 114 / 255;
    bool finite = horusi_is_finite(d->scale) && horusi_is_finite(d->pad);
    for (uint32_t c = 0; c < p->channels; c++) {
        float mean = d->mean[c], std = d->std[c] < 0 || d->std[c] > 0 ? d->std[c] : 1;
        p->source[c] = (uint8_t)(p->planes == 1 ? 0 : d->flags & HORUS_ORDER_BGR ? 2 - c : c);
        p->mul[c] = scale / std;
        p->add[c] = -mean / std;
        p->pad[c] = pad * p->mul[c] + p->add[c];
        finite &= horusi_is_finite(d->std[c]) && horusi_is_finite(p->pad[c]); /* and so is mul */
    }
    if (!finite)
        return horusi_fail(HORUS_E_ARG, "%s: scale, mean, std or pad is not finite, or too large",
                           what);
    if (map) {
        map->scale_x = (float)w / (float)m->width_px;
        map->scale_y = (float)h / (float)m->height_px;
        map->offset_x = (float)p->x.at;
        map->offset_y = (float)p->y.at;
        map->width_px = m->width_px;
        map->height_px = m->height_px;
    }
    return HORUS_OK;
}
static void horusi_preprocess(void *to, const horusi_plan *p, const horus_image *m, uint32_t flags)
{
    size_t elem = horus_dtype_bytes((horus_dtype)p->dtype), all = p->channels;
    horusi_strip s;
    horusi_target t = {(uint8_t *)to, elem * p->width * p->height, elem * p->width, elem};
    if (flags & HORUS_LAYOUT_NHWC)
        t = (horusi_target){(uint8_t *)to, elem, elem * all * p->width, elem * all};
    horusi_pad(&s, p, &t);
    for (uint32_t x = p->x.begin; x < p->x.end; x += s.n)
        horusi_resample(&s, p, m, &t, x);
}

horus_result horus_image_preprocess_into(const horus_tensor *out, const horus_image *m,
                                         const horus_preprocess_desc *desc, horus_pixel_map *map)
{
    static const horus_preprocess_desc zero;
    const char *what = "image_preprocess_into";
    const horus_preprocess_desc *d = desc ? desc : &zero;
    horusi_plan p;
    memset(&p, 0, sizeof p);
    if (map)
        memset(map, 0, sizeof *map);
    horus_result r = horusi_check_tensor(out, what);
    if (r == HORUS_OK)
        r = horusi_check_image(m, what);
    if (r == HORUS_OK && out->frame.pool)
        r = horusi_may_write(&out->frame, what);
    if (r == HORUS_OK && out->readonly)
        r = horusi_fail(HORUS_E_READONLY, "%s: a read-only view; copy() gives a writable one",
                        what);
    if (r == HORUS_OK && !horus_tensor_is_contiguous(out))
        r = horusi_fail(HORUS_E_UNSUPPORTED, "%s: the tensor is not contiguous", what);
    if (r == HORUS_OK && (out->ndim < 3 || out->ndim > 4 || (out->ndim == 4 && out->shape[0] != 1)))
        r = horusi_fail(HORUS_E_ARG,
                        "%s: a tensor of three dimensions, or of four with a leading 1", what);
    if (r != HORUS_OK)
        return r;
    const int64_t *shape = out->shape + out->ndim - 3;
    bool last = d->flags & HORUS_LAYOUT_NHWC;
    for (uint32_t i = 0; i < 3; i++)
        if (shape[i] < 1 || shape[i] > UINT32_MAX)
            return horusi_fail(HORUS_E_SIZE, "%s: a dimension of %lld", what, (long long)shape[i]);
    p.channels = (uint32_t)shape[last ? 2 : 0];
    p.height = (uint32_t)shape[last ? 0 : 1];
    p.width = (uint32_t)shape[last ? 1 : 2];
    p.dtype = out->dtype;
    r = horusi_plan_make(&p, m, d, map, what);
    if (r == HORUS_OK)
        horusi_preprocess(out->data, &p, m, d->flags);
    return r;
}
horus_result horus_image_preprocess(horus_tensor *out, const horus_image *m, horus_pool *pool,
                                    const horus_preprocess_desc *desc, horus_pixel_map *map)
{
    static const horus_preprocess_desc zero;
    const horus_preprocess_desc *d = desc ? desc : &zero;
    horusi_plan p;
    horus_tensor t;
    memset(&p, 0, sizeof p);
    if (map)
        memset(map, 0, sizeof *map);
    if (!out)
        return horusi_fail(HORUS_E_ARG, "image_preprocess: out is NULL");
    memset(out, 0, sizeof *out);
    horus_result r = horusi_check_image(m, "image_preprocess");
    if (r != HORUS_OK)
        return r;
    p.width = d->width_px ? d->width_px : m->width_px;
    p.height = d->height_px ? d->height_px : m->height_px;
    p.channels = d->channels ? d->channels : m->channels == 1 ? 1 : 3;
    p.dtype = (uint32_t)d->dtype <= HORUS_BOOL ? (uint8_t)d->dtype : HORUS_BOOL;
    int64_t c = p.channels, h = p.height, w = p.width;
    bool last = d->flags & HORUS_LAYOUT_NHWC;
    int64_t shape[4] = {1, last ? h : c, last ? w : h, last ? c : w};
    r = horusi_plan_make(&p, m, d, map, "image_preprocess");
    if (r == HORUS_OK)
        r = horus_tensor_alloc(&t, pool ? pool : m->frame.pool, (horus_dtype)p.dtype, 4, shape,
                               HORUS_UNINIT);
    if (r == HORUS_OK) {
        horusi_preprocess(t.data, &p, m, d->flags);
        horusi_copy_meta(&t.frame, &m->frame);
        *out = t;
    } else if (map) {
        memset(map, 0, sizeof *map);
    }
    return r;
}
#endif

/* ------------------------------------------------------------------------------------ >>decode
 *
 * What comes out of a network: probabilities, the best of them, boxes. */

static float horusi_from_half(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, m = h & 0x7fff;
    if (m >= 0x7c00)
        return horusi_float_of(sign | 0x7f800000u | (m & 0x3ff) << 13);
    if (m < 0x400) /* (m / 2^24) */
        return horusi_float_of(sign | horusi_bits_of((float)m * 5.9604644775390625e-8f));
    return horusi_float_of(sign | ((m << 13) + 0x38000000u));
}
static bool horusi_is_float(uint8_t dtype)
{
    return dtype == HORUS_F32 || dtype == HORUS_F64 || dtype == HORUS_F16 || dtype == HORUS_BF16;
}
/* n elements from the i-th on as floats: where they are, or in `room`. */
static const float *horusi_floats(const horus_tensor *t, uint64_t i, uint32_t n, float *room)
{
    const uint8_t *at = (const uint8_t *)t->data + i * horus_dtype_bytes((horus_dtype)t->dtype);
    double d;
    uint16_t h;
    switch (t->dtype) {
    case HORUS_F32:
        if ((uintptr_t)at % sizeof(float) == 0)
            return (const float *)(const void *)at;
        memcpy(room, at, (size_t)n * 4);
        break;
    case HORUS_F64:
        for (uint32_t k = 0; k < n; k++) {
            memcpy(&d, at + (size_t)k * 8, 8);
            room[k] = (float)d;
        }
        break;
    default:
        for (uint32_t k = 0; k < n; k++) {
            memcpy(&h, at + (size_t)k * 2, 2);
            room[k] =
                t->dtype == HORUS_F16 ? horusi_from_half(h) : horusi_float_of((uint32_t)h << 16);
        }
        break;
    }
    return room;
}
static horus_result horusi_check_floats(const horus_tensor *t, const char *what)
{
    horus_result r = horusi_check_tensor(t, what);
    if (r == HORUS_OK && !horusi_is_float(t->dtype))
        r = horusi_fail(HORUS_E_TYPE, "%s: for floats, this tensor has %s", what,
                        horus_dtype_name((horus_dtype)t->dtype));
    if (r == HORUS_OK && !horus_tensor_is_contiguous(t))
        r = horusi_fail(HORUS_E_UNSUPPORTED, "%s: the tensor is not contiguous: copy() it", what);
    return r;
}
/* A tensor as rows of its last dimension. */
static horus_result horusi_check_rows(const horus_tensor *t, uint64_t *rows, uint64_t *n,
                                      const char *what)
{
    horus_result r = horusi_check_floats(t, what);
    if (r == HORUS_OK && (t->ndim == 0 || t->shape[t->ndim - 1] == 0))
        r = horusi_fail(HORUS_E_ARG, "%s: the last dimension has no elements", what);
    if (r == HORUS_OK) {
        *n = (uint64_t)t->shape[t->ndim - 1];
        *rows = horus_tensor_numel(t) / *n;
    }
    return r;
}

/* e^x for x <= 0: x = n * ln 2 + r, |r| <= ln 2 / 2, and the series of e^r, whose next term is below
 * 6e-9. ln 2 is in two parts, n times the first of which is exact. */
static float horusi_exp(float x)
{
    float clamped = x > -87 ? x : -87;
    int32_t n = (int32_t)(clamped * 1.44269504f - 0.5f);
    float r = clamped - (float)n * 0.693145751953125f - (float)n * 1.4286068203094172e-6f;
    float sum = 1.f / 720 + r * (1.f / 5040);
    sum = 1.f / 120 + r * sum;
    sum = 1.f / 24 + r * sum;
    sum = 1.f / 6 + r * sum;
    sum = 0.5f + r * sum;
    sum = 1 + r * (1 + r * sum);
    sum *= horusi_float_of((uint32_t)(n + 127) << 23);
    return x > -87 ? sum : 0;
}
static float horusi_nan(void) { return horusi_float_of(0x7fc00000u); }
static void horusi_softmax_row(float *to, uint64_t n)
{
    float most = to[0];
    bool nan = false;
    double sum = 0;
    for (uint64_t i = 0; i < n; i++) {
        most = to[i] > most ? to[i] : most;
        nan |= !(to[i] <= 3.402823466e38f);
    }
    if (nan || most < -3.402823466e38f) {
        for (uint64_t i = 0; i < n; i++)
            to[i] = horusi_nan();
        return;
    }
    for (uint64_t i = 0; i < n; i++) {
        to[i] = horusi_exp(to[i] - most);
        sum += (double)to[i];
    }
    float by = (float)(1 / sum); /* sum is 1 at least */
    for (uint64_t i = 0; i < n; i++)
        to[i] *= by;
}
enum { HORUSI_CHUNK = 64 };
horus_result horus_tensor_softmax(horus_tensor *out, const horus_tensor *logits, horus_pool *pool)
{
    horus_tensor t;
    uint64_t rows = 0, n = 0;
    float room[HORUSI_CHUNK];
    if (!out)
        return horusi_fail(HORUS_E_ARG, "tensor_softmax: out is NULL");
    horus_result r = horusi_check_rows(logits, &rows, &n, "tensor_softmax");
    if (r == HORUS_OK)
        r = horus_tensor_alloc(&t, pool ? pool : logits->frame.pool, HORUS_F32, logits->ndim,
                               logits->shape, HORUS_UNINIT);
    if (r != HORUS_OK) {
        memset(out, 0, sizeof *out);
        return r;
    }
    float *to = (float *)t.data;
    for (uint64_t i = 0; i < rows * n; i += HORUSI_CHUNK) {
        uint32_t k = (uint32_t)(rows * n - i < HORUSI_CHUNK ? rows * n - i : HORUSI_CHUNK);
        memcpy(to + i, horusi_floats(logits, i, k, room), k * sizeof *to);
    }
    for (uint64_t i = 0; i < rows; i++)
        horusi_softmax_row(to + i * n, n);
    horusi_copy_meta(&t.frame, &logits->frame);
    *out = t;
    return HORUS_OK;
}

/* The k largest of one row, kept in order. */
static void horusi_topk_row(int64_t *index, float *value, const horus_tensor *t, uint64_t begin,
                            uint64_t n, uint32_t k)
{
    float room[HORUSI_CHUNK];
    uint32_t found = 0;
    for (uint64_t i = 0; i < n; i += HORUSI_CHUNK) {
        uint32_t m = (uint32_t)(n - i < HORUSI_CHUNK ? n - i : HORUSI_CHUNK);
        const float *v = horusi_floats(t, begin + i, m, room);
        for (uint32_t j = 0; j < m; j++) {
            if (found == k ? !(v[j] > value[k - 1]) : v[j] != v[j])
                continue;
            uint32_t at = found < k ? found++ : k - 1;
            for (; at > 0 && v[j] > value[at - 1]; at--) {
                index[at] = index[at - 1];
                value[at] = value[at - 1];
            }
            index[at] = (int64_t)(i + j);
            value[at] = v[j];
        }
    }
    for (; found < k; found++) {
        index[found] = -1;
        value[found] = horusi_nan();
    }
}
static horus_result horusi_topk(int64_t *index, float *value, size_t room,
                                const horus_tensor *scores, uint32_t k, const char *what)
{
    uint64_t rows = 0, n = 0;
    horus_result r = horusi_check_rows(scores, &rows, &n, what);
    if (r == HORUS_OK && (!index || !value || k == 0 || k > n))
        r = horusi_fail(HORUS_E_ARG, "%s: index, value, and a k of 1 to %llu", what,
                        (unsigned long long)n);
    if (r == HORUS_OK && rows > room / k)
        r = horusi_fail(HORUS_E_SIZE, "%s: room for %llu, %llu rows of %u", what,
                        (unsigned long long)room, (unsigned long long)rows, (unsigned)k);
    for (uint64_t i = 0; r == HORUS_OK && i < rows; i++)
        horusi_topk_row(index + i * k, value + i * k, scores, i * n, n, k);
    return r;
}
horus_result horus_tensor_topk(int64_t *index, float *value, size_t room,
                               const horus_tensor *scores, uint32_t k)
{
    return horusi_topk(index, value, room, scores, k, "tensor_topk");
}
horus_result horus_tensor_argmax(int64_t *index, float *value, size_t room,
                                 const horus_tensor *scores)
{
    return horusi_topk(index, value, room, scores, 1, "tensor_argmax");
}

/* ---- boxes */

typedef struct horusi_yolo {
    const horus_tensor *t;
    const horus_pixel_map *map;
    horus_yolo_candidate *heap;
    uint32_t count, room;
    bool is_heap; /* the worst first */
    uint32_t classes, boxes;
    float confidence, iou;
    horus_yolo_stats stats;
} horusi_yolo;

static bool horusi_better(const horus_yolo_candidate *a, const horus_yolo_candidate *b)
{
    return a->score > b->score || (!(a->score < b->score) && a->index < b->index);
}
/* Puts c into the heap of n candidates, of which the i-th is free. */
static void horusi_sift(horus_yolo_candidate *heap, uint32_t n, uint32_t i, horus_yolo_candidate c)
{
    for (uint32_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && horusi_better(&heap[child], &heap[child + 1]))
            child++;
        if (!horusi_better(&c, &heap[child]))
            break;
        heap[i] = heap[child];
    }
    heap[i] = c;
}
static void horusi_heap(horusi_yolo *y)
{
    for (uint32_t i = y->count / 2; !y->is_heap && i-- > 0;)
        horusi_sift(y->heap, y->count, i, y->heap[i]);
    y->is_heap = true;
}
/* Best first. */
static void horusi_sort(horusi_yolo *y)
{
    horusi_heap(y);
    for (uint32_t n = y->count; n > 1; n--) {
        horus_yolo_candidate last = y->heap[n - 1];
        y->heap[n - 1] = y->heap[0];
        horusi_sift(y->heap, n - 1, 0, last);
    }
}
static float horusi_cut(float v, float most) { return v < 0 ? 0 : v > most ? most : v; }
/* The box in px of the image; false if none of it is inside. */
static bool horusi_box(const horus_pixel_map *map, const horus_yolo_candidate *c,
                       horus_bounding_box2d *box)
{
    float x0 = c->x0, y0 = c->y0, x1 = c->x1, y1 = c->y1;
    if (map) {
        float w = (float)map->width_px, h = (float)map->height_px;
        x0 = horusi_cut((x0 - map->offset_x) / map->scale_x, w);
        x1 = horusi_cut((x1 - map->offset_x) / map->scale_x, w);
        y0 = horusi_cut((y0 - map->offset_y) / map->scale_y, h);
        y1 = horusi_cut((y1 - map->offset_y) / map->scale_y, h);
    }
    box->x = x0;
    box->y = y0;
    box->width = x1 - x0;
    box->height = y1 - y0;
    return box->width > 0 && box->height > 0;
}
/* A box above the threshold. at: centre and size. */
static void horusi_found(horusi_yolo *y, const float at[4], float score, uint32_t class_id,
                         uint32_t index)
{
    const float most = 1e9f;
    horus_bounding_box2d box;
    horus_yolo_candidate c = {at[0] - at[2] / 2,
                              at[1] - at[3] / 2,
                              at[0] + at[2] / 2,
                              at[1] + at[3] / 2,
                              score,
                              class_id,
                              index};
    bool sound = at[2] > 0 && at[3] > 0 && score <= most;
    for (int i = 0; i < 4; i++)
        sound &= at[i] >= -most && at[i] <= most;
    if (!sound) {
        y->stats.invalid++;
        return;
    }
    if (!horusi_box(y->map, &c, &box)) {
        y->stats.outside++;
        return;
    }
    y->stats.candidates++;
    if (y->count < y->room) {
        y->heap[y->count++] = c;
        return;
    }
    horusi_heap(y);
    y->stats.dropped++;
    if (horusi_better(&c, &y->heap[0]))
        horusi_sift(y->heap, y->count, 0, c);
}

/* The best of the classes so far of a chunk of boxes, of which this is class c. odd: any was NaN. */
static void horusi_rate(float *best, int32_t *which, int32_t *odd, const float *score, uint32_t c)
{
    for (uint32_t i = 0; i < HORUSI_CHUNK; i += 4) {
        horusi_i4 *w = (horusi_i4 *)(which + i), *b = (horusi_i4 *)(best + i);
        horusi_f4 s = horusi_f4_at(score + i);
        horusi_i4 more = (horusi_i4)(s > horusi_f4_at(best + i));
        *w = (more & (int32_t)c) | (~more & *w);
        *b = (more & (horusi_i4)s) | (~more & *b);
        *(horusi_i4 *)(odd + i) |= (horusi_i4)(s != s);
    }
}
static void horusi_scan_v8(horusi_yolo *y)
{
    float best[HORUSI_CHUNK], room[HORUSI_CHUNK] = {0};
    int32_t which[HORUSI_CHUNK], odd[HORUSI_CHUNK];
    for (uint32_t i = 0; i < y->boxes; i += HORUSI_CHUNK) {
        uint32_t n = y->boxes - i < HORUSI_CHUNK ? y->boxes - i : HORUSI_CHUNK;
        for (uint32_t k = 0; k < HORUSI_CHUNK; k++) {
            best[k] = y->confidence;
            which[k] = -1;
            odd[k] = 0;
        }
        for (uint32_t c = 0; c < y->classes; c++) {
            const float *score = horusi_floats(y->t, (4 + (uint64_t)c) * y->boxes + i, n, room);
            if (n < HORUSI_CHUNK && score != room) { /* a whole chunk is read */
                memcpy(room, score, n * sizeof *room);
                score = room;
            }
            horusi_rate(best, which, odd, score, c);
        }
        for (uint32_t k = 0; k < n; k++) {
            float at[4];
            y->stats.invalid += odd[k] != 0;
            if (odd[k] || which[k] < 0)
                continue;
            for (uint32_t j = 0; j < 4; j++)
                at[j] = *horusi_floats(y->t, (uint64_t)j * y->boxes + i + k, 1, room);
            horusi_found(y, at, best[k], (uint32_t)which[k], i + k);
        }
    }
}
static void horusi_scan_v5(horusi_yolo *y)
{
    float room[HORUSI_CHUNK], at[4];
    for (uint32_t i = 0; i < y->boxes; i++) {
        uint64_t begin = (uint64_t)i * (5 + (uint64_t)y->classes);
        float object = *horusi_floats(y->t, begin + 4, 1, room), best = y->confidence;
        uint32_t which = UINT32_MAX, odd = object != object;
        for (uint32_t c = 0; object > y->confidence && c < y->classes; c += HORUSI_CHUNK) {
            uint32_t n = y->classes - c < HORUSI_CHUNK ? y->classes - c : HORUSI_CHUNK;
            const float *p = horusi_floats(y->t, begin + 5 + c, n, room);
            for (uint32_t k = 0; k < n; k++) {
                float s = p[k] * object;
                which = s > best ? c + k : which;
                best = s > best ? s : best;
                odd |= s != s;
            }
        }
        y->stats.invalid += odd;
        if (odd || which == UINT32_MAX)
            continue;
        memcpy(at, horusi_floats(y->t, begin, 4, room), sizeof at);
        horusi_found(y, at, best, which, i);
    }
}
static bool horusi_overlap(const horus_yolo_candidate *a, const horus_yolo_candidate *b, float most)
{
    float w = (a->x1 < b->x1 ? a->x1 : b->x1) - (a->x0 > b->x0 ? a->x0 : b->x0);
    float h = (a->y1 < b->y1 ? a->y1 : b->y1) - (a->y0 > b->y0 ? a->y0 : b->y0);
    if (!(w > 0 && h > 0))
        return false;
    float both = w * h, all = (a->x1 - a->x0) * (a->y1 - a->y0) + (b->x1 - b->x0) * (b->y1 - b->y0);
    return both > most * (all - both);
}
/* Leaves the best `most` at the front. */
static uint32_t horusi_suppress(horusi_yolo *y, uint32_t most, bool agnostic)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < y->count && kept < most; i++) {
        bool alone = true;
        for (uint32_t k = 0; k < kept && alone; k++)
            alone = !((agnostic || y->heap[k].class_id == y->heap[i].class_id) &&
                      horusi_overlap(&y->heap[k], &y->heap[i], y->iou));
        if (alone)
            y->heap[kept++] = y->heap[i];
        else
            y->stats.suppressed++;
    }
    return kept;
}
static bool horusi_map_is_sound(const horus_pixel_map *m)
{
    return m->scale_x > 0 && m->scale_y > 0 && horusi_is_finite(m->scale_x) &&
           horusi_is_finite(m->scale_y) && horusi_is_finite(m->offset_x) &&
           horusi_is_finite(m->offset_y) && m->width_px && m->height_px;
}
static horus_result horusi_yolo_begin(horusi_yolo *y, const horus_tensor *t,
                                      const horus_yolo_desc *d, const char *what)
{
    memset(y, 0, sizeof *y);
    horus_result r = horusi_check_floats(t, what);
    if (r != HORUS_OK)
        return r;
    if (!d || !d->candidates || d->candidate_count == 0)
        return horusi_fail(HORUS_E_ARG, "%s: no room for candidates", what);
    if (d->layout > HORUS_YOLO_V5 || d->flags > HORUS_NMS_AGNOSTIC ||
        !(d->confidence >= 0 && d->confidence <= 1 && d->iou >= 0 && d->iou <= 1))
        return horusi_fail(HORUS_E_ARG, "%s: a known layout and flags, thresholds of 0 to 1", what);
    if (d->map && !horusi_map_is_sound(d->map))
        return horusi_fail(HORUS_E_ARG, "%s: no valid map", what);
    if (t->ndim < 2 || t->ndim > 3 || (t->ndim == 3 && t->shape[0] != 1))
        return horusi_fail(HORUS_E_SIZE, "%s: %u dimensions: two, or three with a leading 1", what,
                           (unsigned)t->ndim);
    bool v5 = d->layout == HORUS_YOLO_V5;
    int64_t fields = t->shape[t->ndim - (v5 ? 1 : 2)], boxes = t->shape[t->ndim - (v5 ? 2 : 1)];
    if (fields < (v5 ? 6 : 5) || fields > INT32_MAX || boxes > UINT32_MAX)
        return horusi_fail(HORUS_E_SIZE,
                           "%s: %lld boxes of %lld values: a box has %s and its classes", what,
                           (long long)boxes, (long long)fields, v5 ? "5 values" : "4 values");
    y->t = t;
    y->map = d->map;
    y->heap = d->candidates;
    y->room = d->candidate_count;
    y->classes = (uint32_t)fields - (v5 ? 5 : 4);
    y->boxes = (uint32_t)boxes;
    y->confidence = d->confidence > 0 ? d->confidence : 0.25f;
    y->iou = d->iou > 0 ? d->iou : 0.45f;
    return HORUS_OK;
}
/* UTF-8, cut between characters; `to` is zero. */
static void horusi_class_name(char *to, size_t room, const char *name)
{
    size_t n = strlen(name);
    if (n >= room)
        for (n = room - 1; n > 0 && ((uint8_t)name[n] & 0xc0) == 0x80;)
            n--;
    memcpy(to, name, n);
}
static uint32_t horusi_yolo_run(horusi_yolo *y, horus_detection *out, uint32_t room,
                                const horus_yolo_desc *d)
{
    uint32_t most = d->max_detections ? d->max_detections : 300;
    uint64_t time_ns = 0;
    if (d->layout == HORUS_YOLO_V5)
        horusi_scan_v5(y);
    else
        horusi_scan_v8(y);
    horusi_sort(y);
    uint32_t n = horusi_suppress(y, most < room ? most : room, d->flags & HORUS_NMS_AGNOSTIC);
    if (y->t->frame.pool)
        (void)horus_frame_get_time(&y->t->frame, &time_ns);
    for (uint32_t i = 0; i < n; i++) {
        const horus_yolo_candidate *c = &y->heap[i];
        memset(&out[i], 0, sizeof out[i]);
        out[i].timestamp_ns = time_ns;
        out[i].confidence = c->score;
        out[i].class_id = c->class_id;
        out[i].instance_id = i;
        (void)horusi_box(y->map, c, &out[i].bbox);
        if (d->class_names && c->class_id < d->class_name_count && d->class_names[c->class_id])
            horusi_class_name(out[i].class_name, sizeof out[i].class_name,
                              d->class_names[c->class_id]);
    }
    return n;
}
horus_result horus_yolo_decode(horus_detection *out, uint32_t *count, const horus_tensor *output,
                               const horus_yolo_desc *desc, horus_yolo_stats *stats)
{
    horusi_yolo y;
    if (stats)
        memset(stats, 0, sizeof *stats);
    uint32_t room = count ? *count : 0;
    if (count)
        *count = 0;
    if (!out || !count)
        return horusi_fail(HORUS_E_ARG, "yolo_decode: a NULL argument");
    horus_result r = horusi_yolo_begin(&y, output, desc, "yolo_decode");
    if (r == HORUS_OK)
        *count = horusi_yolo_run(&y, out, room, desc);
    if (r == HORUS_OK && stats)
        *stats = y.stats;
    return r;
}
horus_result horus_yolo_decode_message(void *message, size_t room, size_t *bytes,
                                       const horus_tensor *output, const horus_yolo_desc *desc,
                                       horus_yolo_stats *stats)
{
    horusi_yolo y;
    horus_detections *list = (horus_detections *)message;
    if (stats)
        memset(stats, 0, sizeof *stats);
    if (!message || !bytes || (uintptr_t)message % 8 || *bytes < sizeof *list)
        return horusi_fail(HORUS_E_ARG,
                           "yolo_decode_message: a message that begins with its %u fixed bytes, "
                           "8-byte aligned",
                           (unsigned)sizeof *list);
    size_t pad = -*bytes % 8, at = *bytes + pad; /* the sum may wrap; the check below does not */
    if (room > UINT32_MAX || *bytes > room || pad > room - *bytes)
        return horusi_fail(HORUS_E_SIZE, "yolo_decode_message: %llu bytes in %llu",
                           (unsigned long long)*bytes, (unsigned long long)room);
    horus_result r = horusi_yolo_begin(&y, output, desc, "yolo_decode_message");
    if (r != HORUS_OK)
        return r;
    memset((uint8_t *)message + *bytes, 0, at - *bytes);
    horus_detection *items = (horus_detection *)(void *)((uint8_t *)message + at);
    uint32_t n = horusi_yolo_run(&y, items, (uint32_t)((room - at) / sizeof *items), desc);
    list->items.offset = (uint32_t)at;
    list->items.count = n;
    *bytes = at + n * sizeof *items;
    if (output->frame.pool && list->timestamp_ns == 0)
        (void)horus_frame_get_time(&output->frame, &list->timestamp_ns);
    if (output->frame.pool && list->frame_id[0] == 0)
        (void)horus_frame_get_id(&output->frame, list->frame_id);
    if (stats)
        *stats = y.stats;
    return HORUS_OK;
}
#endif /* HORUS_NO_VISION */

#ifndef HORUS_NO_SCHEDULER
/* ------------------------------------------------------------------------------------ >>threads
 *
 * What the scheduler asks of the system: threads, sleep, signals. Edges of these sections:
 *
 *     Q1 -> Q2    stop, go and over: all before the store, to the thread that sees it
 *     J1 -> J2    a running tick, to the watchdog, and its judgement, back to the tick's end
 *     B           the block of figures that moves, against who is at it, Dekker-like: sequentially
 *                 consistent */
#include <signal.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

enum { HORUSI_LOOP_SLICE_NS = 100000000, HORUSI_WATCH_SLICE_NS = 20000000, HORUSI_RIGHTS = 6 };

/* Until `ns` on CLOCK_MONOTONIC; a signal may end it early. */
static void horusi_sleep_until(uint64_t ns)
{
#ifdef __linux__
    struct timespec t;
    t.tv_sec = (time_t)(ns / 1000000000u);
    t.tv_nsec = (long)(ns % 1000000000u);
    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
#else
    uint64_t now = horusi_now(), left = ns > now ? ns - now : 0;
    struct timespec t = {(time_t)(left / 1000000000u), (long)(left % 1000000000u)};
    (void)nanosleep(&t, NULL);
#endif
}

/* SIGINT and SIGTERM while a scheduler asks for them: counted, and each run compares the count. */
static horusi_a32 horusi_signals, horusi_signals_lock;
static uint32_t horusi_signals_users;
static struct sigaction horusi_signals_old[2];
static const int horusi_signals_of[2] = {SIGINT, SIGTERM};
/* How often this process, its parent and so on were forked: who remembers another number is in a child. */
static horusi_a32 horusi_forks;
static void horusi_on_signal(int number)
{
    (void)number;
    (void)horusi_add32_rlx(own, &horusi_signals, 1);
}
static void horusi_restore_handlers(void)
{
    for (int i = 0; i < 2; i++) {
        struct sigaction now;
        if (sigaction(horusi_signals_of[i], NULL, &now) == 0 && now.sa_handler == horusi_on_signal)
            (void)sigaction(horusi_signals_of[i], &horusi_signals_old[i], NULL);
    }
}
static void horusi_count_fork(void) /* in the child, which has this thread alone */
{
    horusi_tid = horusi_tid_taped = 0;
    (void)horusi_add32_rlx(fork, &horusi_forks, 1);
    horusi_st32_rlx(fork, &horusi_signals_lock, 0);
    horusi_restore_handlers(); /* the run is the parent's: a child ends by a signal as if there were none */
    horusi_signals_users = 0;
}
/* 0, or an errno. */
static int horusi_watch_forks(void)
{
    static bool watched;
    horusi_lock(&horusi_signals_lock);
    int e = watched ? 0 : pthread_atfork(NULL, NULL, horusi_count_fork);
    watched = e == 0;
    horusi_unlock(&horusi_signals_lock);
    return e;
}
static void horusi_catch_signals(void)
{
    horusi_lock(&horusi_signals_lock);
    for (int i = 0; i < 2 && horusi_signals_users == 0; i++) {
        struct sigaction a;
        memset(&a, 0, sizeof a);
        a.sa_handler = horusi_on_signal;
        (void)sigemptyset(&a.sa_mask);
        (void)sigaction(horusi_signals_of[i], NULL, &horusi_signals_old[i]);
        if (horusi_signals_old[i].sa_handler != SIG_IGN)
            (void)sigaction(horusi_signals_of[i], &a, NULL);
    }
    horusi_signals_users++;
    horusi_unlock(&horusi_signals_lock);
}
static void horusi_leave_signals(void)
{
    horusi_lock(&horusi_signals_lock);
    if (--horusi_signals_users == 0)
        horusi_restore_handlers();
    horusi_unlock(&horusi_signals_lock);
}

typedef pthread_t horusi_thread_handle;
typedef pthread_key_t horusi_thread_word;
static bool horusi_is_handled(int number)
{
    struct sigaction a;
    return number != SIGINT && number != SIGTERM && sigaction(number, NULL, &a) == 0 &&
           a.sa_handler != SIG_DFL && a.sa_handler != SIG_IGN;
}
/* A thread that runs no handlers of the program's: they are for its own threads. Other signals are not
 * blocked: a process that it starts inherits what is, and could not be ended. 0: it runs, else an errno. */
static int horusi_thread(horusi_thread_handle *out, void *(*run)(void *), void *arg)
{
    sigset_t old, blocked;
    horusi_block_signals(&old);
    (void)pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    for (int i = 1; i < NSIG; i++)
        if (sigismember(&old, i) == 0 && !horusi_is_handled(i))
            (void)sigdelset(&blocked, i);
    (void)pthread_sigmask(SIG_SETMASK, &blocked, NULL);
    int e = pthread_create(out, NULL, run, arg);
    horusi_restore_signals(&old);
    return e;
}
/* Who waits so is cancelled after that alone: what the thread uses is not to go before it does. */
static void horusi_join_thread(horusi_thread_handle thread)
{
    int before;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    (void)pthread_join(thread, NULL);
    (void)pthread_setcancelstate(before, &before);
}

/* A word that each thread has. While it is not NULL, `ends` is called with it where the thread ends. 0, or
 * an errno. */
static int horusi_word_make(horusi_thread_word *out, void (*ends)(void *word))
{
    return pthread_key_create(out, ends);
}
/* It fails without memory alone: then the thread's end is not noticed. */
static void horusi_word_set(horusi_thread_word w, void *word)
{
    (void)pthread_setspecific(w, word);
}
static void horusi_word_delete(horusi_thread_word w) { (void)pthread_key_delete(w); }

/* A thread's rights. What was refused is in `refused`, each with its errno. */
typedef struct horusi_rights {
    uint32_t wanted, refused;
    int error[HORUSI_RIGHTS];
    int old_policy;
    struct sched_param old_param;
#ifdef __linux__
    int old_slack;
    unsigned long old_cores[1024 / (8 * sizeof(long))]; /* the C library's set is hidden at times */
#endif
} horusi_rights;
static void horusi_refuse_right(horusi_rights *r, uint32_t what, int error)
{
    r->refused |= what;
    for (uint32_t i = 0; i < HORUSI_RIGHTS; i++)
        if (what >> i & 1)
            r->error[i] = error;
}
/* What SCHED_DEADLINE is asked for with; period 0: not at all, runtime 0: it cannot be had. */
typedef struct horusi_reserve {
    uint64_t runtime_ns, period_ns;
} horusi_reserve;
/* 0, or an errno. What the thread starts has the usual policy. */
static int horusi_claim_deadline(const horusi_reserve *want)
{
    if (want->runtime_ns == 0 || want->runtime_ns > want->period_ns)
        return EINVAL;
#if defined(__linux__) && defined(SYS_sched_setattr)
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } a;
    memset(&a, 0, sizeof a);
    a.size = sizeof a;
    a.policy = 6; /* SCHED_DEADLINE */
    a.flags = 1;  /* SCHED_FLAG_RESET_ON_FORK: else it may start no thread */
    a.runtime = want->runtime_ns;
    a.deadline = a.period = want->period_ns;
    return syscall(SYS_sched_setattr, 0, &a, 0) == 0 ? 0 : errno;
#else
    return ENOSYS;
#endif
}
/* Asks for exact timers, processors (bits of `cores`, or 1 + `core`), and SCHED_DEADLINE or SCHED_FIFO
 * (priority > 0). */
static void horusi_claim_rights(horusi_rights *r, int32_t priority, const horusi_reserve *deadline,
                                uint64_t cores, int32_t core, bool timers)
{
    struct sched_param p;
    memset(r, 0, sizeof *r);
    memset(&p, 0, sizeof p);
    p.sched_priority = priority;
    if (timers)
        r->wanted |= HORUS_CAN_TIMERS;
    if (cores || core > 0)
        r->wanted |= HORUS_CAN_CORES;
#ifdef __linux__
    /* before the policy: a real-time thread has no slack, and says so; one of SCHED_DEADLINE cannot be bound */
    if (timers) {
        r->old_slack = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
        if (prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0) != 0)
            horusi_refuse_right(r, HORUS_CAN_TIMERS, errno);
    }
    if (cores || core > 0) {
        unsigned long set[sizeof r->old_cores / sizeof(long)] = {0};
        const uint32_t bits = 8 * sizeof(long);
        for (uint32_t i = 0; i < 1024; i++)
            if (core > 0 ? i + 1 == (uint32_t)core : i < 64 && (cores >> i & 1))
                set[i / bits] |= 1ul << i % bits;
        if (syscall(SYS_sched_getaffinity, 0, sizeof r->old_cores, r->old_cores) < 0 ||
            syscall(SYS_sched_setaffinity, 0, sizeof set, set) != 0)
            horusi_refuse_right(r, HORUS_CAN_CORES, errno);
    }
#else
    horusi_refuse_right(r, r->wanted & (HORUS_CAN_CORES | HORUS_CAN_TIMERS), ENOSYS);
#endif
    bool reserves = deadline->period_ns > 0;
    int unknown = reserves || priority > 0
                      ? pthread_getschedparam(pthread_self(), &r->old_policy, &r->old_param)
                      : 0;
    if (reserves) {
        int e = unknown ? unknown : horusi_claim_deadline(deadline);
        r->wanted |= HORUS_CAN_DEADLINE;
        if (e == 0)
            return;
        horusi_refuse_right(r, HORUS_CAN_DEADLINE, e);
    }
    if (priority > 0) {
        int e = unknown ? unknown : pthread_setschedparam(pthread_self(), SCHED_FIFO, &p);
        r->wanted |= HORUS_CAN_FIFO;
        if (e)
            horusi_refuse_right(r, HORUS_CAN_FIFO, e);
    }
}
/* Gives back what the thread had before. */
static void horusi_waive_rights(const horusi_rights *r)
{
    uint32_t had = r->wanted & ~r->refused;
    if (had & (HORUS_CAN_FIFO | HORUS_CAN_DEADLINE))
        (void)pthread_setschedparam(pthread_self(), r->old_policy, &r->old_param);
#ifdef __linux__
    if (had & HORUS_CAN_CORES)
        (void)syscall(SYS_sched_setaffinity, 0, sizeof r->old_cores, r->old_cores);
    if ((had & HORUS_CAN_TIMERS) && r->old_slack > 0)
        (void)prctl(PR_SET_TIMERSLACK, (unsigned long)r->old_slack, 0, 0, 0);
#endif
}
/* Locks memory as it is first used: a sparse pool stays sparse. 0, or an errno. */
static int horusi_lock_memory(void)
{
#ifdef __linux__
    return mlockall(MCL_CURRENT | MCL_FUTURE | 4 /* MCL_ONFAULT */) == 0 ? 0 : errno;
#else
    return ENOSYS;
#endif
}
/* Touches the stack that ticks will use, within what the smallest of thread stacks has. */
static void horusi_touch_stack(void)
{
    volatile char page[48 * 1024];
    for (size_t i = 0; i < sizeof page; i += 1024)
        page[i] = 0;
}

/* ------------------------------------------------------------------------------------ >>figures
 *
 * What a scheduler counts, in a frame of its namespace's pool that it keeps in a topic of its own
 * ("horus.scheduler/NAME"): so it is found by name, outlives a kill as messages do, and is swept when
 * it is needed no more. Names are written before it is sent; the rest are words that one thread each
 * writes while others read. A reader takes all of it as input. */
enum {
    HORUSI_BIN_BITS = 4,       /* sixteen bins to each power of two: a bin is 6.25 % wide at most */
    HORUSI_BINS = 16 + 38 * 16 /* up to 2^42 ns, 73 minutes: budgets and deadlines go to an hour */
};
typedef struct horusi_histogram {
    horusi_a64 sum, max;
    horusi_a64 bin[HORUSI_BINS];
} horusi_histogram;
typedef struct horusi_node_block {
    char name[104];
    horusi_a32 rate_num, rate_den;
    uint32_t order, pad;
    horusi_a32 state, pad2;
    horusi_a64 ticks, skipped, overruns, budget_misses, deadline_misses, watchdog_misses, failures,
        restarts, safe_entries, recoveries, running_since, last_due;
    horusi_histogram spread[HORUS_SPREADS];
} horusi_node_block;
#define HORUSI_SCHED_MAGIC 0x32484353535248ull
/* Of a topic of figures, which then fits into a block of 4096 bytes. Each scheduler has a handle, each
 * reader while it reads. */
enum { HORUSI_SCHED_WRITERS = 8, HORUSI_SCHED_HANDLES = 40 };
typedef struct horusi_sched_block {
    uint64_t magic;
    horusi_a32 nodes, pid;
    uint64_t seed;
    char name[104];
    horusi_a32 running, end;
    horusi_a64 start, passes;
    horusi_a32 ticks_room, events_room; /* records of the black box */
    horusi_a64 ticks_next, events_next;
    uint8_t pad[16];
} horusi_sched_block;
_Static_assert(sizeof(horusi_sched_block) == 192, "layout");
_Static_assert(sizeof(horusi_node_block) == 224 + 3 * (16 + 8 * HORUSI_BINS), "layout");

static uint32_t horusi_bin(uint64_t ns)
{
    if (ns < 16)
        return (uint32_t)ns;
#ifdef __GNUC__
    uint32_t e = 63u - (uint32_t)__builtin_clzll(ns);
#else
    uint32_t e = horusi_log2(ns);
#endif
    if (e > 41)
        return HORUSI_BINS - 1;
    return 16 + (e - HORUSI_BIN_BITS) * 16 + (uint32_t)(ns >> (e - HORUSI_BIN_BITS) & 15);
}
/* The middle of a bin, so that a percentile is off by half a bin at most. */
static uint64_t horusi_bin_ns(uint32_t bin)
{
    if (bin < 16)
        return bin;
    uint32_t shift = (bin - 16) / 16;
    return ((uint64_t)(16 + (bin - 16) % 16) << shift) + ((1ull << shift) >> 1);
}

/* Words that one thread writes: no read-modify-write needed. */
HORUSI_HOT void horusi_count(horusi_a64 *word, uint64_t n)
{
    horusi_st64_rlx(report, word, horusi_ld64_rlx(own, word) + n);
}
HORUSI_HOT void horusi_observe(horusi_histogram *h, uint64_t ns)
{
    horusi_count(&h->bin[horusi_bin(ns)], 1);
    horusi_count(&h->sum, ns);
    if (ns > horusi_ld64_rlx(own, &h->max))
        horusi_st64_rlx(report, &h->max, ns);
}

static void horusi_spread_of(horusi_histogram *h, horus_spread *out)
{
    uint64_t bin[HORUSI_BINS], all = 0, sum = horusi_ld64_rlx(report, &h->sum);
    for (uint32_t i = 0; i < HORUSI_BINS; i++) {
        bin[i] = horusi_ld64_rlx(report, &h->bin[i]) & (UINT64_MAX >> 12); /* no sum overflows */
        all += bin[i];
    }
    out->count = all;
    out->max_ns = horusi_ld64_rlx(report, &h->max);
    out->mean_ns = all ? sum / all : 0;
    const uint64_t part[3] = {500, 990, 999};
    uint64_t *to[3] = {&out->p50_ns, &out->p99_ns, &out->p99_9_ns};
    for (int k = 0; k < 3 && all; k++) {
        uint64_t rank = all / 1000 * part[k] + (all % 1000 * part[k] + 999) / 1000, below = bin[0];
        uint32_t i = 0;
        while (below < rank) /* the rank is at most all: some bin reaches it */
            below += bin[++i];
        *to[k] = horusi_bin_ns(i) < out->max_ns ? horusi_bin_ns(i) : out->max_ns;
    }
}

/* block | nodes[] | ticks[ticks_room] | events[events_room] */
static uint64_t horusi_sched_bytes(uint64_t nodes)
{
    return sizeof(horusi_sched_block) + nodes * sizeof(horusi_node_block);
}
enum { HORUSI_TICK_WORDS = 6, HORUSI_EVENT_WORDS = 16 };
static uint64_t horusi_box_bytes(uint64_t ticks, uint64_t events)
{
    return 8 * (ticks * HORUSI_TICK_WORDS + events * HORUSI_EVENT_WORDS);
}
static horusi_node_block *horusi_node_block_at(horusi_sched_block *b, uint32_t i)
{
    return (horusi_node_block *)(void *)(b + 1) + i;
}

/* A record's words: number, time, phase, ns, kind | index << 8 | result << 32, text; the last is a sum
 * of the others. So a record that is half written, by one killed or by two at once, is none. */
static uint64_t horusi_record_sum(const uint64_t *word, uint32_t words)
{
    uint64_t sum = 1;
    for (uint32_t i = 0; i + 1 < words; i++)
        sum = horusi_mix(sum ^ word[i]) + i;
    return sum;
}
static void horusi_box_write(horusi_a64 *ring, horusi_a64 *next, uint32_t room, uint64_t *word,
                             uint32_t words)
{
    uint64_t n = horusi_ld64_rlx(own, next);
    /* Several threads write. One that is passed so often is passed by somebody hostile, and its record
     * may be none. */
    for (int tries = 0; tries < 1000 && !horusi_cas64_acqrel(box, next, &n, n + 1); tries++) {
    }
    word[0] = n;
    word[words - 1] = horusi_record_sum(word, words);
    for (uint32_t i = 0; i < words; i++)
        horusi_st64_rlx(report, &ring[n % room * words + i], word[i]);
}
static horusi_a64 *horusi_box_ticks(horusi_sched_block *b, uint32_t nodes)
{
    return (horusi_a64 *)(void *)horusi_node_block_at(b, nodes);
}
/* Record n of a ring, if it is there and whole. */
static bool horusi_box_read(horusi_a64 *ring, uint32_t room, uint64_t n, uint64_t *word,
                            uint32_t words)
{
    for (uint32_t i = 0; i < words; i++)
        word[i] = horusi_ld64_rlx(report, &ring[n % room * words + i]);
    return word[0] == n && word[words - 1] == horusi_record_sum(word, words);
}

/* How many nodes a block of `bytes` readable bytes, which anybody may have written, has figures of;
 * UINT32_MAX: it is none. Looked at once: what was checked is what is used. */
static uint32_t horusi_sched_nodes(horusi_sched_block *b, uint64_t bytes)
{
    uint32_t n = bytes >= sizeof *b && b->magic == HORUSI_SCHED_MAGIC
                     ? horusi_ld32_rlx(report, &b->nodes)
                     : UINT32_MAX;
    return n != UINT32_MAX && bytes >= horusi_sched_bytes(n) ? n : UINT32_MAX;
}
static horus_result horusi_no_figures(void)
{
    return horusi_fail(HORUS_E_CORRUPT, "scheduler_read: this is no scheduler's statistics");
}
/* Of nodes first and after it. */
static horus_result horusi_sched_figures(horusi_sched_block *b, uint64_t bytes, uint32_t first,
                                         horus_scheduler_stats *out, horus_node_stats *nodes,
                                         size_t room, size_t *count)
{
    uint32_t n = horusi_sched_nodes(b, bytes);
    if (n == UINT32_MAX)
        return horusi_no_figures();
    memcpy(out->name, b->name, sizeof out->name - 1);
    out->pid = (int32_t)horusi_ld32_rlx(report, &b->pid);
    out->running = horusi_ld32_rlx(report, &b->running) != 0;
    uint32_t end = horusi_ld32_rlx(report, &b->end);
    out->end = end <= HORUS_END_FAILURE ? (horus_scheduler_end)end : HORUS_END_NONE;
    out->nodes = n;
    out->start_ns = horusi_ld64_rlx(report, &b->start);
    out->passes = horusi_ld64_rlx(report, &b->passes);
    out->seed = b->seed;
    n = n > first ? n - first : 0;
    if (n > room)
        n = (uint32_t)room;
    for (uint32_t i = 0; i < n; i++) {
        horusi_node_block *from = horusi_node_block_at(b, first + i);
        horus_node_stats *to = &nodes[i];
        memset(to, 0, sizeof *to);
        memcpy(to->name, from->name, sizeof to->name - 1);
        uint32_t state = horusi_ld32_rlx(report, &from->state);
        to->state = state <= HORUS_NODE_FAILED ? (horus_node_state)state : HORUS_NODE_IDLE;
        to->rate_num = horusi_ld32_rlx(report, &from->rate_num);
        to->rate_den = horusi_ld32_rlx(report, &from->rate_den);
        to->order = (int32_t)from->order;
        to->ticks = horusi_ld64_rlx(report, &from->ticks);
        to->skipped = horusi_ld64_rlx(report, &from->skipped);
        to->overruns = horusi_ld64_rlx(report, &from->overruns);
        to->budget_misses = horusi_ld64_rlx(report, &from->budget_misses);
        to->deadline_misses = horusi_ld64_rlx(report, &from->deadline_misses);
        to->watchdog_misses = horusi_ld64_rlx(report, &from->watchdog_misses);
        to->failures = horusi_ld64_rlx(report, &from->failures);
        to->restarts = horusi_ld64_rlx(report, &from->restarts);
        to->safe_entries = horusi_ld64_rlx(report, &from->safe_entries);
        to->recoveries = horusi_ld64_rlx(report, &from->recoveries);
        to->running_since_ns = horusi_ld64_rlx(report, &from->running_since);
        to->last_due_ns = horusi_ld64_rlx(report, &from->last_due);
        for (int k = 0; k < HORUS_SPREADS; k++)
            horusi_spread_of(&from->spread[k], &to->spread[k]);
    }
    if (count)
        *count = n;
    return HORUS_OK;
}

static horus_result horusi_sched_topic(const char *name, char *out, size_t room)
{
    horus_result r = horusi_check_name("scheduler", name);
    if (r == HORUS_OK && strlen(name) > 80)
        r = horusi_fail(HORUS_E_NAME, "scheduler name \"%.40s...\": at most 80 bytes", name);
    if (r == HORUS_OK)
        (void)snprintf(out, room, "horus.scheduler/%s", name);
    return r;
}
static horus_result horusi_stats_args(horus_scheduler_stats *out, horus_node_stats *nodes,
                                      size_t room, size_t *count)
{
    if (count)
        *count = 0;
    if (out)
        memset(out, 0, sizeof *out);
    if (!out || (room > 0 && !nodes))
        return horusi_fail(HORUS_E_ARG, "scheduler_read: out, or nodes with room for %zu, is NULL",
                           room);
    return HORUS_OK;
}
/* Holds the newest block of that name. */
static horus_result horusi_sched_find(horus_context *context, const char *name, horus_tensor *m,
                                      uint64_t *bytes)
{
    char path[HORUS_NAME_BYTES + 20];
    horus_topic *t = NULL;
    horus_result r = horusi_sched_topic(name, path, sizeof path);
    if (r == HORUS_OK)
        r = horus_topic_open(&t, path,
                             &(horus_topic_desc){.type = &horus_tensor_type,
                                                 .capacity = 1,
                                                 .history = 1,
                                                 .max_publishers = HORUSI_SCHED_WRITERS,
                                                 .max_subscribers = HORUSI_SCHED_HANDLES,
                                                 .context = context});
    if (r == HORUS_E_LIMIT) {
        char why[160];
        horusi_text(why, sizeof why, horus_last_error());
        r = horusi_fail(r, "scheduler_read of %s: %s", name, why);
    }
    if (r != HORUS_OK)
        return r;
    r = horus_topic_receive_tensor(t, m, NULL, HORUS_NO_WAIT);
    if (r == HORUS_EMPTY)
        r = horusi_fail(HORUS_E_NOT_FOUND, "scheduler_read: no scheduler %s has run here", name);
    else if (r == HORUS_OK) /* anywhere in a slot, if somebody says so: bytes need no alignment */
        *bytes = m->dtype == HORUS_U8 && m->ndim == 1 && horus_tensor_is_contiguous(m) &&
                         (uintptr_t)m->data % sizeof(uint64_t) == 0
                     ? (uint64_t)m->shape[0]
                     : 0;
    horus_topic_close(t);
    return r;
}
horus_result horus_scheduler_read(horus_context *context, const char *name,
                                  horus_scheduler_stats *out, horus_node_stats *nodes, size_t room,
                                  size_t *count)
{
    horus_tensor m;
    uint64_t bytes = 0;
    horus_result r = horusi_stats_args(out, nodes, room, count);
    if (r == HORUS_OK)
        r = horusi_sched_find(context, name, &m, &bytes);
    if (r != HORUS_OK)
        return r;
    r = horusi_sched_figures((horusi_sched_block *)m.data, bytes, 0, out, nodes, room, count);
    (void)horus_tensor_release(&m);
    return r;
}

horus_result horus_scheduler_read_records(horus_context *context, const char *name,
                                          horus_record *records, size_t room, size_t *count)
{
    horus_tensor m;
    uint64_t bytes = 0, word[2][HORUSI_EVENT_WORDS];
    if (count)
        *count = 0;
    if (!records || !count)
        return horusi_fail(HORUS_E_ARG, "scheduler_read_records: records or count is NULL");
    horus_result r = horusi_sched_find(context, name, &m, &bytes);
    if (r != HORUS_OK)
        return r;
    horusi_sched_block *b = (horusi_sched_block *)m.data;
    const uint32_t size[2] = {HORUSI_TICK_WORDS, HORUSI_EVENT_WORDS};
    uint32_t nodes = horusi_sched_nodes(b, bytes), rooms[2] = {0, 0};
    if (nodes != UINT32_MAX) {
        rooms[0] = horusi_ld32_rlx(report, &b->ticks_room);
        rooms[1] = horusi_ld32_rlx(report, &b->events_room);
    }
    if (nodes == UINT32_MAX ||
        bytes < horusi_sched_bytes(nodes) + horusi_box_bytes(rooms[0], rooms[1]))
        r = horusi_no_figures();
    uint64_t end[2] = {0, 0}, at[2] = {0, 0}; /* as many are left in each ring */
    bool there[2] = {false, false};
    horusi_a64 *ring[2] = {NULL, NULL};
    if (r == HORUS_OK) {
        ring[0] = horusi_box_ticks(b, nodes);
        ring[1] = ring[0] + (uint64_t)rooms[0] * size[0];
        end[0] = horusi_ld64_rlx(report, &b->ticks_next);
        end[1] = horusi_ld64_rlx(report, &b->events_next);
    }
    size_t n = 0; /* newest first; turned round below */
    while (r == HORUS_OK && n < room) {
        for (int k = 0; k < 2; k++)
            while (!there[k] && at[k] < rooms[k] && at[k] < end[k]) {
                at[k]++;
                there[k] = horusi_box_read(ring[k], rooms[k], end[k] - at[k], word[k], size[k]);
            }
        if (!there[0] && !there[1])
            break;
        int k = !there[0] || (there[1] && word[1][1] > word[0][1]);
        horus_record *to = &records[n++];
        there[k] = false;
        memset(to, 0, sizeof *to);
        to->time_ns = word[k][1];
        to->phase = word[k][2];
        to->ns = word[k][3];
        uint32_t kind = horusi_low(word[k][4]) & 0xff, index = horusi_low(word[k][4]) >> 8;
        int32_t result = (int32_t)horusi_high(word[k][4]);
        to->kind = kind <= HORUS_EVENT_LOG ? (horus_event_kind)kind : HORUS_EVENT_LOG;
        to->index = index < nodes ? index : UINT32_MAX;
        to->result = (horus_result)result;
        if (index < nodes)
            memcpy(to->node, horusi_node_block_at(b, index)->name, sizeof to->node - 1);
        if (k == 1)
            memcpy(to->text, &word[1][5], sizeof to->text - 1);
    }
    for (size_t i = 0; i < n / 2; i++) {
        horus_record t = records[i];
        records[i] = records[n - 1 - i];
        records[n - 1 - i] = t;
    }
    (void)horus_tensor_release(&m);
    *count = n;
    return r;
}

/* ------------------------------------------------------------------------------------ >>nodes
 *
 * What a scheduler and a node are, its clock, and what anybody may call on it while it runs: log, stop. A node
 * belongs to one loop, and so to one thread, while the scheduler runs; the watchdog looks at the words
 * that J guards. */
enum { HORUSI_BEGINS, HORUSI_TICKS, HORUSI_ENDS }; /* what a run is at */
enum { HORUSI_RUNS = 1, HORUSI_JUDGED = 2, HORUSI_MAX_NODES = 4096 };
enum { HORUSI_ENTERS = 1, HORUSI_SAFE = 2 }; /* an episode begins; it has begun */
typedef struct horusi_node {
    horus_node_desc d;
    char name[HORUS_NAME_BYTES];
    horus_scheduler *scheduler;
    horusi_node_block *block, *part; /* part: of `parts`, in a row */
    uint32_t parts;
    uint64_t seed;
    uint64_t phase, last_due, skipped; /* k of the next tick; skipped since the last one */
    uint64_t pause_until;              /* 0: none */
    uint64_t rest_until;               /* a long tick: none is due before; 0: none */
    uint64_t over_due;                 /* of one that is over: its first tick that is not run */
    uint64_t next_due;                 /* of the next step's first tick */
    uint32_t num, den;                 /* the rate; num 0: none */
    horusi_a64 wanted;                 /* another rate, as num << 32 | den; 0: none */
    horusi_a64 budget;                 /* ns; d.budget_ns is what it was made with */
    uint64_t whole, step, rest;        /* the period: whole + step/num ns; rest/num is carried */
    uint32_t index;
    uint32_t late_in_row, failures_in_row;
    bool live;        /* init worked, shutdown is due */
    bool called;      /* its tick, init or shutdown runs */
    bool over;        /* ends here: never ticked again in this run */
    bool ticked;      /* in this run */
    bool going;       /* it was part of the step before, and goes on */
    bool called_back; /* what followed its tick may have taken long */
    bool muted;       /* not of this run or step: set between them */
    horusi_a32
        safe; /* ENTERS: by who swapped it from 0; SAFE: by the node's thread; 0: no episode */
    horusi_a32 leave_out; /* 1: the next tick is left out */
    horusi_a64 run;     /* 0, or when the tick began << 2 | RUNS | JUDGED: its miss is dealt with */
    horusi_a64 run_due; /* when that tick was due */
    horusi_a64 run_budget; /* what it may take */
    horusi_a64 run_phase;  /* and its k */
    uint64_t began;        /* that tick: it takes that long since */
} horusi_node;

/* One thread's nodes, in the order of their ticks. */
typedef struct horusi_loop {
    horus_scheduler *scheduler;
    horusi_node **nodes;
    uint64_t *due; /* of each; UINT64_MAX: never */
    uint32_t count;
    uint32_t changes;    /* of the scheduler's, seen */
    bool joinable, gone; /* gone: a tick has ended the thread */
    horusi_thread_handle thread;
    horusi_rights rights;
} horusi_loop;

struct horus_scheduler {
    horus_scheduler_desc d;
    char name[HORUS_NAME_BYTES];
    horus_context *context;
    horus_time_source clock; /* now NULL: CLOCK_MONOTONIC */
    uint64_t logical;        /* DETERMINISTIC: its time */
    uint64_t ahead;          /* steps: what was not waited for */
    bool step, stepped;      /* this is one; the last one has left its nodes initialised */
    bool lent;               /* the clock is that of steps */
    uint8_t at;              /* of a run: HORUSI_BEGINS and so on; the caller's thread's alone */
    horusi_node **nodes;     /* in the order of addition */
    horusi_node **sorted;    /* by order; of these live the loops' arrays */
    uint32_t count, room;
    uint32_t rows;      /* of nodes, then of their parts */
    horusi_loop *loops; /* the first is the caller's */
    uint32_t loop_count;
    uint64_t start, end;
    horus_tensor memory; /* the block's, if it is shared */
    horusi_a32 can_lock; /* of these two, which anybody may read */
    bool can_told;
    horus_capabilities can, finds;  /* finds: while a run begins */
    uint32_t lines_left_out;        /* of its degradations */
    size_t lines_end;               /* of the whole ones */
    uint32_t box_ticks, box_events; /* records of the black box */
    horusi_a32 ready;               /* threads that have asked for their rights */
    horusi_thread_word here;        /* of a run's thread: its loop; tells when a callback ends it */
    bool waits;                     /* a tick begins when its callback calls horusi_tick_waited */
    void (*thread_ends)(void);      /* called by each thread of ours at its end: for bindings */
    void (*look)(void *user);       /* and by the caller's loop, every 100 ms: d.user's */
    horusi_thread_handle watchdog;
    bool watched, has_here, has_threads;
    horusi_rights rights; /* of the thread that called run */
    horus_topic *topic;
    horusi_sched_block *block;
    uint32_t forks; /* horusi_forks as it was */
    bool child;     /* a callback has forked, and this is what came back in the child */
    horusi_sched_block *parents_block; /* then: `block` is nobody's */
    horusi_tape *tape;                 /* a recording or a replay, or NULL */
    uint32_t block_nodes;
    uint32_t signals;   /* horusi_signals as it was */
    horusi_a32 busy;    /* 1: run or admit has not returned; 2: nodes run, and the block stays */
    horusi_a32 looking; /* threads at the block, perhaps of a run that has ended */
    horusi_a32 stop, go, over;
    horusi_a32 changes; /* counts rates set while it runs */
    horusi_a32 ending;  /* somebody writes the next three: the first one only */
    horus_scheduler_end end_kind;
    horus_result result;
    char text[256];
};

HORUSI_HOT uint64_t horusi_clock_of(const horus_scheduler *s)
{
    return horusi_rarely(s->clock.now != NULL) ? s->clock.now(s->clock.user) : horusi_now();
}
static uint64_t horusi_logical_now(void *user) { return ((horus_scheduler *)user)->logical; }
static void horusi_logical_sleep(void *user, uint64_t ns)
{
    ((horus_scheduler *)user)->logical = ns;
}
/* The clock of steps: what would be waited for is over at once. */
static uint64_t horusi_step_now(void *user)
{
    return horusi_now() + ((horus_scheduler *)user)->ahead;
}
static void horusi_step_sleep(void *user, uint64_t ns)
{
    uint64_t now = horusi_step_now(user);
    ((horus_scheduler *)user)->ahead += ns > now ? ns - now : 0;
}

/* A callback that has forked came back in the child: the run is over here. Figures, recording and threads
 * are the parent's; what is still counted is nobody's, and no callback follows. */
static struct {
    horusi_sched_block block;
    horusi_node_block node;
} horusi_nobodys;
HORUSI_COLD void horusi_leave_parent(horus_scheduler *s)
{
    s->child = true;
    s->parents_block = s->block;
    s->block = &horusi_nobodys.block;
    for (uint32_t i = 0; i < s->count; i++) {
        s->nodes[i]->block = &horusi_nobodys.node;
        s->nodes[i]->live = s->nodes[i]->going = false;
    }
    for (uint32_t l = 0; l < s->loop_count && s->loops; l++)
        s->loops[l].joinable = s->loops[l].gone = false;
    s->watched = false;
    if (s->tape)
        horusi_tape_over(s->tape, HORUS_E_DETACHED, "a child of fork() came back from a callback");
    s->end_kind = HORUS_END_FAILURE;
    s->result = HORUS_E_DETACHED;
    (void)snprintf(s->text, sizeof s->text,
                   "scheduler %.80s: a child of fork() came back from a callback", s->name);
    horusi_st32_rlx(own, &s->ending, 1);
    horusi_st32_rlx(own, &s->over, 1);
    horusi_st32_rlx(own, &s->stop, 1);
}
/* To be asked when a callback returns. */
HORUSI_HOT bool horusi_is_child(horus_scheduler *s)
{
    if (!horusi_rarely(horusi_ld32_rlx(fork, &horusi_forks) != s->forks))
        return false;
    if (!s->child)
        horusi_leave_parent(s);
    return true;
}

/* An event, as the black box has it now, and on_event is to be told it. */
static horus_event horusi_happens(horus_scheduler *s, const horusi_node *n, horus_event_kind kind,
                                  uint64_t ns, horus_result result, const char *text)
{
    horusi_sched_block *b = s->block;
    horus_event e;
    memset(&e, 0, sizeof e);
    e.time_ns = horusi_clock_of(s);
    e.phase = n ? horusi_ld64_rlx(own, &n->run_phase) : 0; /* the watchdog reports, too */
    e.ns = ns;
    e.node = n ? n->name : NULL;
    e.text = text;
    e.index = n ? n->index : UINT32_MAX;
    e.kind = kind;
    e.result = result;
    if (s->box_events) { /* then there is a block */
        uint64_t word[HORUSI_EVENT_WORDS] = {0, e.time_ns, e.phase, ns};
        word[4] = horusi_pair((uint32_t)result, (uint32_t)kind | (n ? n->index << 8 : 0xffffff00u));
        horusi_text((char *)&word[5], 80, text);
        horusi_box_write(horusi_box_ticks(b, s->block_nodes) +
                             (uint64_t)s->box_ticks * HORUSI_TICK_WORDS,
                         &b->events_next, s->box_events, word, HORUSI_EVENT_WORDS);
    }
    return e;
}
static HORUSI_THREAD bool horusi_tells; /* this thread is in an on_event */
static void horusi_tell_event(horus_scheduler *s, const horus_event *e)
{
    if (!s->d.on_event || horusi_tells)
        return;
    horusi_tells = true;
    s->d.on_event(s->d.user, e);
    horusi_tells = false;
    (void)horusi_is_child(s);
}
static void horusi_report(horus_scheduler *s, const horusi_node *n, horus_event_kind kind,
                          uint64_t ns, horus_result result, const char *text)
{
    if ((!s->d.on_event && !s->box_events) || horusi_is_child(s))
        return;
    horus_event e = horusi_happens(s, n, kind, ns, result, text);
    horusi_tell_event(s, &e);
}

/* The error of what goes only while nothing runs. A child that was forked meanwhile has no thread of that
 * run, and nobody to end it. */
static horus_result horusi_is_busy(const horus_scheduler *s, const char *what)
{
    if (horusi_ld32_rlx(fork, &horusi_forks) != s->forks)
        return horusi_fail(HORUS_E_DETACHED,
                           "scheduler %s ran as this process was forked: it is the parent's",
                           s->name);
    return horusi_fail(HORUS_E_BUSY, "scheduler %s runs%s", s->name, what);
}
/* Who is at the block from outside: it stays where it is while we are, if this does not return 1. */
static uint32_t horusi_block_enter(horus_scheduler *s)
{
    (void)horusi_add32_seq(B, &s->looking, 1);
    return horusi_ld32_seq(B, &s->busy);
}
static void horusi_block_leave(horus_scheduler *s)
{
    (void)horusi_add32_acqrel(B, &s->looking, UINT32_MAX);
}
void horus_scheduler_log(horus_scheduler *s, const horus_tick *tick, const char *text)
{
    if (!s || !text)
        return;
    horus_event e;
    bool runs = horusi_block_enter(s) == 2 && !horusi_is_child(s);
    if (runs)
        e = horusi_happens(s, tick && tick->index < s->count ? s->nodes[tick->index] : NULL,
                           HORUS_EVENT_LOG, 0, HORUS_OK, text);
    horusi_block_leave(s);
    if (runs)
        horusi_tell_event(s, &e); /* which may end this thread */
}
void horus_scheduler_stop(horus_scheduler *s)
{
    if (s)
        horusi_st32_rel(Q1, &s->stop, 1);
}
static bool horusi_stops(horus_scheduler *s) { return horusi_ld32_acq(Q2, &s->stop) != 0; }
static bool horusi_takes_signals(const horus_scheduler *s)
{
    return (s->d.flags & HORUS_SIGNALS) && !s->step; /* a step does not wait */
}
/* Ends the run for a reason of our own. The first reason is the one that is told. */
#ifdef __GNUC__
__attribute__((format(printf, 4, 5)))
#endif
static void
horusi_stop_for(horus_scheduler *s, horus_scheduler_end kind, horus_result result,
                const char *format, ...)
{
    if (horusi_add32_acqrel(Q2, &s->ending, 1) == 0) {
        va_list args;
        va_start(args, format);
        (void)vsnprintf(s->text, sizeof s->text, format, args);
        va_end(args);
        s->end_kind = kind; /* read once all threads are joined */
        s->result = result;
    }
    horus_scheduler_stop(s);
}
/* To be asked before each tick: a signal, whoever sees it first, ends the run. */
static bool horusi_halts(horus_scheduler *s)
{
    if (horusi_takes_signals(s) &&
        horusi_rarely(horusi_ld32_rlx(own, &horusi_signals) != s->signals))
        horusi_stop_for(s, HORUS_END_SIGNAL, HORUS_INTERRUPTED, "SIGINT or SIGTERM came");
    return horusi_stops(s);
}

enum { HORUSI_REALTIME = HORUS_REALTIME | HORUS_REALTIME_OR_FAIL };
/* Of the ordered nodes' thread; 0: not real time. */
static int32_t horusi_priority(const horus_scheduler *s)
{
    if (!(s->d.flags & HORUSI_REALTIME))
        return 0;
    return s->d.priority ? s->d.priority : 80;
}

/* In a child the thread is the process, and there is nobody to return to. */
static void horusi_thread_ends(horus_scheduler *s)
{
    if (horusi_is_child(s))
        exit(EXIT_FAILURE);
    if (s->thread_ends)
        s->thread_ends();
}

/* ------------------------------------------------------------------------------------ >>phases
 *
 * When a node's ticks are due: its rate as a fraction, the phases that follow, what is left out of them,
 * and a new rate. `phase` and `rest` always are those of the due time that goes with them. */

/* The simplest fraction that x stands for: the first convergent that rounds to it. */
static void horusi_fraction(double x, uint32_t *num, uint32_t *den)
{
    uint64_t p0 = 0, q0 = 1, p = 1, q = 0;
    double rest = x;
    while (rest < 4294967296.0) { /* the convergents grow: 32 bits are soon full */
        uint64_t a = (uint64_t)rest, p2 = a * p + p0, q2 = a * q + q0;
        if (p2 > UINT32_MAX || q2 > UINT32_MAX)
            break;
        p0 = p, q0 = q, p = p2, q = q2;
        if ((p > 0 && !((double)p / (double)q < x) && !((double)p / (double)q > x)) ||
            !(rest - (double)a > 0))
            break;
        rest = 1 / (rest - (double)a);
    }
    *num = (uint32_t)p;
    *den = (uint32_t)q;
}

static void horusi_set_period(horusi_node *n)
{
    if (n->num) {
        n->whole = (uint64_t)1000000000u * n->den / n->num;
        n->step = (uint64_t)1000000000u * n->den % n->num;
    }
}
/* The due time `count` ticks later; count below 2^31. Exact: floor(k * 10^9 * den / num). */
static uint64_t horusi_later(horusi_node *n, uint64_t due, uint64_t count)
{
    uint64_t carry = n->rest + n->step * count; /* both below 2^32 */
    uint64_t more = carry < n->num ? 0 : carry / n->num;
    n->rest = carry - more * n->num;
    n->phase += count;
    return due + n->whole * count + more;
}
/* The due time of the tick before; phase is not 0. */
static uint64_t horusi_earlier(horusi_node *n, uint64_t due)
{
    uint64_t borrow = n->rest < n->step;
    n->rest = n->rest + borrow * n->num - n->step;
    n->phase--;
    return due - n->whole - borrow;
}
/* How many whole periods surely fit into ns. */
static uint64_t horusi_periods(const horusi_node *n, uint64_t ns)
{
    uint64_t count = ns / (n->whole + 1);
    return count < 1u << 30 ? count : 1u << 30;
}
static void horusi_skipped(horusi_node *n, uint64_t count)
{
    if (count == 0)
        return;
    n->skipped += count;
    horusi_count(&n->block->skipped, count);
    horusi_report(n->scheduler, n, HORUS_EVENT_SKIPPED, count, HORUS_OK, "");
}
/* Leaves out all ticks that are due before `limit`. */
static uint64_t horusi_skip_to(horusi_node *n, uint64_t due, uint64_t limit)
{
    uint64_t from = n->phase;
    while (due < limit) {
        uint64_t count = horusi_periods(n, limit - due);
        due = horusi_later(n, due, count ? count : 1);
    }
    horusi_skipped(n, n->phase - from);
    return due;
}
/* Leaves out all that are due but the newest. */
static uint64_t horusi_skip_to_newest(horusi_node *n, uint64_t due, uint64_t now)
{
    uint64_t from = n->phase;
    for (;;) {
        uint64_t count = now > due ? horusi_periods(n, now - due) : 0;
        uint64_t rest = n->rest, phase = n->phase, next = horusi_later(n, due, count ? count : 1);
        if (next > now) { /* only a single step may be one too far */
            n->rest = rest;
            n->phase = phase;
            break;
        }
        due = next;
    }
    horusi_skipped(n, n->phase - from);
    return due;
}

/* Takes a new rate, if one is wanted: it counts from the last tick that was due. */
static void horusi_change_rate(horusi_node *n, uint64_t *due)
{
    uint64_t wanted = horusi_ld64_rlx(own, &n->wanted);
    if (wanted == 0 || wanted == horusi_pair(n->num, n->den))
        return;
    bool counts = n->phase > 0; /* else tick 0 is due as it was */
    uint64_t last = counts ? horusi_earlier(n, *due) : 0;
    n->num = horusi_high(wanted);
    n->den = horusi_low(wanted);
    n->rest = 0;
    horusi_set_period(n);
    horusi_st32_rlx(report, &n->block->rate_num, n->num);
    horusi_st32_rlx(report, &n->block->rate_den, n->den);
    if (counts)
        *due = horusi_later(n, last, 1);
}

/* ------------------------------------------------------------------------------------ >>misses
 *
 * What follows a tick that took too long or failed: on_miss, by the node's thread or the watchdog's, and
 * on_failure; so the calls of init and shutdown, which a restart makes, are here. */

static void horusi_set_state(horusi_node *n, horus_node_state state)
{
    horusi_st32_rlx(report, &n->block->state, (uint32_t)state);
}
/* A node runs, or runs on in its safe state. */
static void horusi_set_running(horusi_node *n)
{
    bool safe = horusi_ld32_rlx(own, &n->safe) != 0;
    horusi_set_state(n, safe ? HORUS_NODE_SAFE : HORUS_NODE_RUNNING);
}
/* Does what on_miss says; from the node's thread or the watchdog's. */
static void horusi_miss(horus_scheduler *s, horusi_node *n, bool budget, uint64_t ns)
{
    uint32_t none = 0;
    horusi_report(s, n, budget ? HORUS_EVENT_BUDGET : HORUS_EVENT_DEADLINE, ns, HORUS_OK, "");
    if (s->child)
        return;
    switch (n->d.on_miss) {
    case HORUS_MISS_SKIP:
        horusi_st32_rlx(own, &n->leave_out, 1);
        break;
    case HORUS_MISS_SAFE_MODE:
        if (!horusi_cas32_acqrel(J1, &n->safe, &none, HORUSI_ENTERS))
            break;
        /* by who begins the episode alone; and nobody ends it before it has begun */
        horusi_count(&n->block->safe_entries, 1);
        horusi_set_state(n, HORUS_NODE_SAFE);
        if (n->d.safe_state)
            n->d.safe_state(n->d.user);
        horusi_report(s, n, HORUS_EVENT_SAFE, 0, HORUS_OK, "");
        horusi_st32_rel(J1, &n->safe, HORUSI_SAFE);
        break;
    case HORUS_MISS_STOP:
        horusi_stop_for(s, HORUS_END_MISS, HORUS_E_LIMIT,
                        "node %s: a tick over its %s (%llu us), and on_miss is STOP", n->name,
                        budget ? "budget" : "deadline", (unsigned long long)(ns / 1000));
        break;
    case HORUS_MISS_WARN:
    default:
        break;
    }
}
/* ---- the watchdog */

static bool horusi_is_watched(const horus_scheduler *s, const horusi_node *n, uint64_t budget)
{
    return s->d.watchdog_ns > 0 && (budget || n->d.deadline_ns);
}
/* Looks at running ticks, once. */
static void horusi_watch(horus_scheduler *s, uint64_t now)
{
    for (uint32_t i = 0; i < s->count; i++) {
        horusi_node *n = s->nodes[i];
        uint64_t run = horusi_ld64_acq(J2, &n->run), due = horusi_ld64_rlx(own, &n->run_due);
        uint64_t spent = now > run >> 2 ? now - (run >> 2) : 0;
        uint64_t since = now > due ? now - due : 0;
        if ((run & (HORUSI_RUNS | HORUSI_JUDGED)) != HORUSI_RUNS)
            continue;
        uint64_t budget =
            horusi_ld64_rlx(own, &n->run_budget); /* that by which the tick's end judges */
        bool over = budget && spent > budget;
        bool late = n->d.deadline_ns && since > (uint64_t)n->d.deadline_ns;
        if ((!over && !late) || !horusi_cas64_acqrel(J1, &n->run, &run, run | HORUSI_JUDGED))
            continue; /* or it has just ended, and judges itself */
        horusi_count(&n->block->watchdog_misses, 1);
        horusi_miss(s, n, over, over ? spent : since);
    }
}
static void *horusi_watchdog(void *arg)
{
    horus_scheduler *s = (horus_scheduler *)arg;
    horusi_rights rights; /* above those whom it watches; refused here as there, and told there */
    int32_t theirs = horusi_priority(s);
    const horusi_reserve none = {0, 0};
    horusi_claim_rights(&rights, theirs > 0 && theirs < 99 ? theirs + 1 : theirs, &none, 0, 0,
                        theirs > 0);
    uint64_t every = (uint64_t)s->d.watchdog_ns, next = horusi_now() + every;
    while (horusi_ld32_acq(Q2, &s->over) == 0) {
        uint64_t now = horusi_now();
        if (now < next) {
            horusi_sleep_until(next - now > HORUSI_WATCH_SLICE_NS ? now + HORUSI_WATCH_SLICE_NS
                                                                  : next);
            continue;
        }
        next = now - next > every ? now + every : next + every;
        horusi_watch(s, now);
    }
    horusi_thread_ends(s);
    return NULL;
}

/* ---- failures, and the callbacks that they lead to */

static void horusi_pause(horus_scheduler *s, horusi_node *n, uint64_t now, uint64_t usual)
{
    uint64_t pause = n->d.pause_ns ? (uint64_t)n->d.pause_ns : usual;
    n->pause_until = now + pause;
    horusi_set_state(n, HORUS_NODE_PAUSED);
    horusi_report(s, n, HORUS_EVENT_PAUSED, pause, HORUS_OK, "");
}
static void horusi_retire(horus_scheduler *s, horusi_node *n)
{
    n->over = true;
    horusi_set_state(n, HORUS_NODE_FAILED);
    horusi_report(s, n, HORUS_EVENT_FAILED, 0, HORUS_OK, "");
}
enum { HORUSI_DO_TICK, HORUSI_DO_INIT, HORUSI_DO_SHUTDOWN };
/* Calls one of the node's callbacks; t: of a tick. */
HORUSI_HOT horus_result horusi_call(horus_scheduler *s, horusi_node *n, uint8_t what, horus_tick *t)
{
    bool taped = horusi_rarely(s->tape != NULL);
    if (taped)
        horusi_tape_enter(s->tape, n->name, what,
                          t ? t->phase : horusi_ld64_rlx(own, &n->run_phase), t ? t->due_ns : 0);
    n->called = true;
    horus_result r = what == HORUSI_DO_TICK   ? n->d.tick(n->d.user, t)
                     : what == HORUSI_DO_INIT ? n->d.init(n->d.user)
                                              : n->d.shutdown(n->d.user);
    n->called = false;
    bool child = horusi_is_child(s);
    if (taped) {
        horusi_tape_leave(s->tape, r);
        if (!child && s->tape->result < 0 && what != HORUSI_DO_SHUTDOWN)
            horusi_stop_for(s, HORUS_END_FAILURE, s->tape->result, "%s", s->tape->text);
    }
    return r;
}
static void horusi_end_node(horus_scheduler *s, horusi_node *n)
{
    n->live = false;
    horus_result r = n->d.shutdown ? horusi_call(s, n, HORUSI_DO_SHUTDOWN, NULL) : HORUS_OK;
    if (r < 0) {
        horusi_count(&n->block->failures, 1);
        horusi_report(s, n, HORUS_EVENT_FAILURE, 0, r, "shutdown");
    }
}
/* What follows a tick or an init that failed. */
static void horusi_failed(horus_scheduler *s, horusi_node *n, horus_result r, const char *what,
                          uint64_t now)
{
    uint32_t most = n->d.max_failures ? n->d.max_failures : 5;
    horusi_count(&n->block->failures, 1);
    n->failures_in_row++;
    if (n->d.on_failure != HORUS_FAILURE_IGNORE)
        horusi_report(s, n, HORUS_EVENT_FAILURE, 0, r, what);
    switch (n->d.on_failure) {
    case HORUS_FAILURE_FATAL:
        horusi_stop_for(s, HORUS_END_FAILURE, r, "node %s: its %s returned \"%s\", which is fatal",
                        n->name, what, horus_result_text(r));
        break;
    case HORUS_FAILURE_RESTART:
        if (n->live) {
            horusi_end_node(s, n);
            now = horusi_clock_of(s);
        }
        if (n->failures_in_row > most)
            horusi_retire(s, n);
        else
            horusi_pause(s, n, now, 100000000u);
        break;
    case HORUS_FAILURE_SKIP:
        if (n->live && n->failures_in_row >= most) {
            n->failures_in_row = 0;
            horusi_pause(s, n, now, 30000000000u);
        }
        break;
    case HORUS_FAILURE_LOG:
    case HORUS_FAILURE_IGNORE:
    default:
        break;
    }
}
/* Calls init. A node that cannot be begun, now or later, is over. */
static void horusi_begin_node(horus_scheduler *s, horusi_node *n)
{
    horus_result r = n->d.init ? horusi_call(s, n, HORUSI_DO_INIT, NULL) : HORUS_OK;
    if (s->child)
        return;
    n->live = r >= 0;
    if (n->live) {
        uint32_t safe = HORUSI_SAFE; /* what the watchdog has begun only now goes on */
        (void)horusi_cas32_acqrel(J1, &n->safe, &safe, 0);
        horusi_set_running(n);
        horusi_report(s, n, HORUS_EVENT_START, 0, HORUS_OK, "");
        return;
    }
    horusi_failed(s, n, r, "init", horusi_clock_of(s));
    if (n->d.on_failure != HORUS_FAILURE_RESTART)
        horusi_retire(s, n);
}
/* The end of a node's pause. False: it is not to be ticked. */
static bool horusi_come_back(horus_scheduler *s, horusi_node *n)
{
    n->pause_until = 0;
    if (n->live) {
        horusi_set_running(n);
        return true;
    }
    horusi_begin_node(s, n);
    if (!n->live)
        return false;
    horusi_count(&n->block->restarts, 1);
    horusi_report(s, n, HORUS_EVENT_RESTARTED, 0, HORUS_OK, "");
    return true;
}

/* ------------------------------------------------------------------------------------ >>ticks
 *
 * One tick, what is due of a node, and the loops that sleep and call that: the ordered nodes', the workers'
 * and those of nodes on topics. Each has a thread and some nodes, which are its own while it runs. */

uint64_t horus_tick_random(horus_tick *t)
{
    return t ? horusi_mix(t->random += 0x9e3779b97f4a7c15u) : 0;
}
void horus_tick_used(horus_tick *t, uint64_t publish_ns)
{
    if (t && publish_ns && (t->used_ns == 0 || publish_ns < t->used_ns))
        t->used_ns = publish_ns;
}

void horus_tick_part(horus_tick *t, uint32_t number, uint64_t ns, horus_result result)
{
    horus_scheduler *s = t ? t->scheduler : NULL;
    if (!s || t->index >= s->count || number >= s->nodes[t->index]->parts || horusi_is_child(s))
        return;
    horusi_node_block *b = &s->nodes[t->index]->part[number];
    horusi_count(&b->ticks, 1);
    horusi_st64_rlx(report, &b->last_due, t->due_ns);
    if (result < 0)
        horusi_count(&b->failures, 1);
    else
        horusi_observe(&b->spread[HORUS_SPREAD_RUN], ns);
}

HORUSI_HOT void horusi_tick_begins(horusi_node *n, uint64_t due, uint64_t now, uint64_t budget,
                                   bool watched)
{
    n->began = now;
    horusi_st64_rlx(report, &n->block->running_since, now);
    horusi_observe(&n->block->spread[HORUS_SPREAD_WAKE], now > due ? now - due : 0);
    if (watched) {
        horusi_st64_rlx(own, &n->run_due, due);
        horusi_st64_rlx(own, &n->run_budget, budget);
        horusi_st64_rel(J1, &n->run, now << 2 | HORUSI_RUNS);
    }
}
/* For bindings whose callbacks first wait for a lock of theirs: the tick begins only now. */
static inline void horusi_tick_waited(horus_tick *t)
{
    horus_scheduler *s = t->scheduler;
    horusi_node *n = s->nodes[t->index];
    t->now_ns = horusi_clock_of(s);
    horusi_tick_begins(n, t->due_ns, t->now_ns, t->budget_ns,
                       horusi_is_watched(s, n, t->budget_ns));
}
/* One tick, now. Returns when it ended: `called_back` says that what followed it is not in that. */
static uint64_t horusi_tick(horus_scheduler *s, horusi_node *n, uint64_t due, uint64_t now)
{
    horusi_node_block *b = n->block;
    if (horusi_rarely(n->muted)) {
        n->last_due = due;
        n->ticked = true;
        return now;
    }
    uint64_t budget = horusi_ld64_rlx(own, &n->budget);
    bool watched = horusi_is_watched(s, n, budget);
    horus_tick t;
    t.scheduler = s;
    t.node = n->name;
    t.count = horusi_ld64_rlx(own, &b->ticks);
    t.phase = n->num ? n->phase : t.count;
    t.due_ns = due;
    t.now_ns = now;
    t.start_ns = s->start;
    t.dt_ns = n->ticked ? due - n->last_due : n->whole;
    t.skipped = n->skipped;
    t.budget_ns = budget;
    t.index = n->index;
    t.safe = horusi_ld32_rlx(own, &n->safe) != 0;
    memset(t.pad, 0, sizeof t.pad);
    t.random = n->seed + t.phase * 0xd1342543de82ef95u;
    t.used_ns = 0;
    n->skipped = 0;
    n->last_due = due;
    n->ticked = true;
    horusi_st64_rlx(report, &b->ticks, t.count + 1);
    horusi_st64_rlx(report, &b->last_due, due);
    horusi_st64_rlx(own, &n->run_phase, t.phase);
    if (horusi_rarely(s->waits))
        n->began = now;
    else
        horusi_tick_begins(n, due, now, budget, watched);
    horus_result r = horusi_call(s, n, HORUSI_DO_TICK, &t);
    if (horusi_rarely(s->child))
        return now;
    bool judged = watched && (horusi_xchg64_seq(J2, &n->run, 0) & HORUSI_JUDGED) != 0;
    uint64_t end =
        horusi_clock_of(s); /* after that: what was judged is a miss by this clock, too */
    uint64_t spent = end > n->began ? end - n->began : 0, since = end > due ? end - due : 0;
    horusi_st64_rlx(report, &b->running_since, 0);
    horusi_observe(&b->spread[HORUS_SPREAD_RUN], spent);
    if (horusi_rarely(t.used_ns != 0 && !s->lent))
        horusi_observe(&b->spread[HORUS_SPREAD_AGE], end > t.used_ns ? end - t.used_ns : 0);
    if (horusi_rarely(s->box_ticks != 0)) {
        uint64_t word[HORUSI_TICK_WORDS] = {0, end, t.phase, spent};
        word[4] = horusi_pair((uint32_t)r, n->index << 8 | HORUS_EVENT_TICK);
        horusi_box_write(horusi_box_ticks(s->block, s->block_nodes), &s->block->ticks_next,
                         s->box_ticks, word, HORUSI_TICK_WORDS);
    }
    bool over = budget && spent > budget;
    bool late = n->d.deadline_ns && since > (uint64_t)n->d.deadline_ns;
    if (horusi_rarely(over || late)) {
        n->called_back = true;
        if (over)
            horusi_count(&b->budget_misses, 1);
        if (late)
            horusi_count(&b->deadline_misses, 1);
        if (!judged)
            horusi_miss(s, n, over, over ? spent : since);
    } else if (horusi_rarely(horusi_ld32_acq(J2, &n->safe) == HORUSI_SAFE)) {
        n->called_back = true;
        horusi_set_state(n, HORUS_NODE_RUNNING);
        horusi_count(&b->recoveries, 1);
        horusi_report(s, n, HORUS_EVENT_RECOVERED, 0, HORUS_OK, "");
        horusi_st32_rel(J1, &n->safe, 0);
    }
    if (horusi_rarely(late)) {
        uint32_t most =
            n->d.max_deadline_misses ? n->d.max_deadline_misses : s->d.max_deadline_misses;
        n->late_in_row++;
        if (most && n->late_in_row >= most)
            horusi_stop_for(s, HORUS_END_MISS, HORUS_E_LIMIT,
                            "node %s: missed its deadline %u times in a row", n->name, most);
    } else
        n->late_in_row = 0;
    if (horusi_rarely(r < 0)) {
        n->called_back = true;
        horusi_failed(s, n, r, "tick", end);
    } else
        n->failures_in_row = 0;
    return end;
}
/* The time after ticks were left out: who was told of it may have taken long. */
static uint64_t horusi_time_after(const horus_scheduler *s, uint64_t now)
{
    return s->d.on_event ? horusi_clock_of(s) : now;
}

/* ---- loops */

/* What is due of a node with a rate: at most one tick. Returns the time after it and all that it called,
 * when the next node's begins. */
static uint64_t horusi_release_node(horus_scheduler *s, horusi_node *n, uint64_t *due, uint64_t now)
{
    uint64_t skipped = n->skipped;
    uint64_t upto = now < s->end ? now : s->end - 1; /* what is due at the end is not of this run */
    if (horusi_rarely(n->pause_until != 0)) {
        if (now < n->pause_until || !horusi_come_back(s, n)) {
            *due = horusi_skip_to(n, *due, upto + 1);
            n->over_due = *due;
            *due = n->over ? UINT64_MAX : *due;
            return horusi_clock_of(s);
        }
        now = horusi_clock_of(s); /* init may have taken long */
        upto = now < s->end ? now : s->end - 1;
    }
    if (horusi_rarely(*due < n->rest_until)) { /* in a step before, or at another rate */
        *due = horusi_skip_to(n, *due, n->rest_until <= upto ? n->rest_until : upto + 1);
        if (*due > upto)
            return horusi_time_after(s, now);
    }
    if (n->d.overrun != HORUS_OVERRUN_CATCH_UP || now - upto > n->whole) /* the run is over */
        *due = horusi_skip_to_newest(n, *due, upto);
    if (horusi_rarely(horusi_ld32_rlx(own, &n->leave_out) != 0)) {
        horusi_st32_rlx(own, &n->leave_out, 0);
        *due = horusi_skip_to(n, *due, *due + 1);
        return horusi_time_after(s, now);
    }
    now = horusi_rarely(n->skipped != skipped) ? horusi_time_after(s, now) : now;
    uint64_t end = horusi_tick(s, n, *due, now);
    *due = horusi_later(n, *due, 1);
    if (horusi_rarely(*due < end)) {
        horusi_count(&n->block->overruns, 1);
        if (end - now > n->whole && n->d.overrun != HORUS_OVERRUN_CATCH_UP) {
            uint64_t gap = n->d.overrun != HORUS_OVERRUN_MIN_GAP ? 0
                           : n->d.min_gap_ns                     ? (uint64_t)n->d.min_gap_ns
                                                                 : n->whole;
            n->rest_until = end + gap;
            *due = horusi_skip_to(n, *due, n->rest_until < s->end ? n->rest_until : s->end);
        }
    }
    if (horusi_rarely(n->over)) {
        n->over_due = *due;
        *due = UINT64_MAX;
    }
    if (horusi_rarely(n->called_back || n->skipped != 0)) {
        end = n->called_back ? horusi_clock_of(s) : horusi_time_after(s, end);
        n->called_back = false;
    }
    return end;
}

/* Counts what was due before the end and did not run. */
static void horusi_settle(horus_scheduler *s, horusi_loop *l)
{
    uint64_t now = horusi_clock_of(s), upto = now < s->end ? now + 1 : s->end;
    for (uint32_t i = 0; i < l->count; i++) {
        horusi_node *n = l->nodes[i];
        if (n->num)
            n->next_due = n->over_due = horusi_skip_to(n, n->over ? n->over_due : l->due[i], upto);
    }
}
static void horusi_change_rates(horus_scheduler *s, horusi_loop *l)
{
    l->changes = horusi_ld32_acq(Q2, &s->changes);
    for (uint32_t i = 0; i < l->count; i++) {
        if (!l->nodes[i]->over)
            horusi_change_rate(l->nodes[i], &l->due[i]);
    }
}
static void horusi_ordered(horus_scheduler *s, horusi_loop *l, bool first, uint64_t begin)
{
    uint64_t now = horusi_clock_of(s), looked = now;
    while (s->end > begin && !horusi_halts(s)) {
        uint64_t seen = now < s->end ? now : s->end - 1, next = UINT64_MAX;
        if (horusi_rarely(horusi_ld32_acq(Q2, &s->changes) != l->changes))
            horusi_change_rates(s, l);
        if (horusi_rarely(s->tape != NULL) && horusi_tape_ends(s->tape))
            break;
        for (uint32_t i = 0; i < l->count; i++) {
            uint64_t due = l->due[i];
            if (due <= seen) {
                if (horusi_rarely(horusi_halts(s) || (s->tape && horusi_tape_ends(s->tape))))
                    break;
                now = horusi_release_node(s, l->nodes[i], &l->due[i], now);
                due = l->due[i];
            }
            next = due < next ? due : next;
        }
        if (first)
            horusi_count(&s->block->passes, 1);
        if (horusi_rarely(s->look != NULL) && first && now - looked >= HORUSI_LOOP_SLICE_NS) {
            looked = now;
            s->look(s->d.user);
            (void)horusi_is_child(s);
        }
        if (next >= s->end && now >= s->end)
            break;
        if (now >= s->end && now - s->end > HORUSI_LOOP_SLICE_NS)
            break; /* it cannot catch up any more */
        uint64_t wake = next < s->end ? next : s->end;
        bool changed = horusi_ld32_acq(Q2, &s->changes) != l->changes; /* by one of these ticks */
        if (wake > now && !changed && !horusi_halts(s)) {
            wake = wake - now > HORUSI_LOOP_SLICE_NS ? now + HORUSI_LOOP_SLICE_NS : wake;
            if (horusi_rarely(s->clock.sleep != NULL))
                s->clock.sleep(s->clock.user, wake);
            else
                horusi_sleep_until(wake);
            (void)horusi_is_child(s); /* a clock of one's own may fork, too */
            now = horusi_clock_of(s);
        }
    }
    horusi_settle(s, l);
}

/* Ticks a node whose topic has a message within `wait` ns. */
static void horusi_tick_topic(horus_scheduler *s, horusi_node *n, uint64_t wait)
{
    horus_topic *t = n->d.on_topic;
    horus_info info;
    horus_result r = horus_topic_wait(t, (int64_t)wait);
    if (r == HORUS_OK)
        r = horus_topic_peek(t, NULL, 0, &info);
    if (r < 0) {
        horusi_failed(s, n, r, "wait for its topic", horusi_clock_of(s));
        if (wait > 0)
            horusi_sleep_until(horusi_now() + wait);
    }
    if (r != HORUS_OK || horusi_halts(s))
        return;
    uint64_t skipped = 0, taken = horusi_ld64_rlx(own, &t->sub->received);
    if (horusi_ld32_rlx(own, &n->leave_out)) {
        horusi_st32_rlx(own, &n->leave_out, 0);
        (void)horus_topic_skip_to_latest(t, &skipped);
        horusi_skipped(n, skipped);
        (void)horus_topic_peek(t, NULL, 0, &info);
    }
    uint64_t now = horusi_clock_of(s); /* of steps: not that of the message's stamp */
    uint64_t sent = !s->step && info.publish_ns && info.publish_ns < now ? info.publish_ns : now;
    now = horusi_tick(s, n, sent, now);
    n->phase++;
    if (wait > 0 && horusi_ld64_rlx(own, &t->sub->received) == taken)
        horusi_sleep_until(now + 1000000u); /* it left its message: no spinning over that */
}
/* The thread of a node that ticks when its topic has a message. */
static void horusi_on_topic(horus_scheduler *s, horusi_node *n)
{
    while (!horusi_halts(s) && !n->over) {
        uint64_t now = horusi_now(), slice = HORUSI_LOOP_SLICE_NS;
        if (now >= s->end)
            break;
        slice = s->end - now < slice ? s->end - now : slice;
        if (n->pause_until && (now < n->pause_until || !horusi_come_back(s, n))) {
            uint64_t left = n->pause_until > now ? n->pause_until - now : 1;
            horusi_sleep_until(now + (left < slice ? left : slice));
            continue;
        }
        horusi_tick_topic(s, n, slice);
    }
}

/* What SCHED_DEADLINE is to reserve for a thread. */
static horusi_reserve horusi_reserve_for(const horusi_loop *l)
{
    horusi_reserve want = {0, 0};
    const uint32_t flags = l->scheduler->d.flags;
    if (!(flags & HORUSI_REALTIME) || !(flags & HORUS_REALTIME_DEADLINE) || l->count == 0)
        return want;
    bool can = true;
    want.period_ns = UINT64_MAX;
    for (uint32_t i = 0; i < l->count; i++) {
        const horusi_node *n = l->nodes[i];
        uint64_t budget = horusi_ld64_rlx(own, &n->budget);
        can = can && n->num && budget;
        want.runtime_ns += budget;
        want.period_ns = n->num && n->whole < want.period_ns ? n->whole : want.period_ns;
    }
    want.runtime_ns = can ? want.runtime_ns : 0;
    return want;
}
static void *horusi_loop_thread(void *arg)
{
    horusi_loop *l = (horusi_loop *)arg;
    horus_scheduler *s = l->scheduler;
    const horus_node_desc *d = &l->nodes[0]->d; /* one that wishes for something is alone */
    const horusi_reserve want = horusi_reserve_for(l);
    horusi_claim_rights(&l->rights, d->priority, &want, 0, d->core,
                        (s->d.flags & HORUSI_REALTIME) != 0);
    (void)horusi_add32_acqrel(Q1, &s->ready, 1);
    horusi_wake(&s->ready);
    while (horusi_ld32_acq(Q2, &s->go) == 0)
        (void)horusi_sleep_on(&s->go, 0, HORUSI_LOOP_SLICE_NS);
    horusi_touch_stack();
    horusi_word_set(s->here, l);
    if (d->on_topic)
        horusi_on_topic(s, l->nodes[0]);
    else
        horusi_ordered(s, l, false, s->start);
    horusi_word_set(s->here, NULL);
    horusi_thread_ends(s);
    return NULL;
}

/* on_topic nodes, and compute nodes that wish for a priority or a processor, have a thread each. */
static bool horusi_is_alone_node(const horusi_node *n)
{
    return (n->d.on_topic || (n->d.compute && (n->d.priority || n->d.core))) &&
           !n->scheduler->clock.now;
}
/* Divides the nodes among loops: the caller's, the workers', and those of one node. */
static horus_result horusi_make_loops(horus_scheduler *s)
{
    uint32_t computes = 0, alone = 0, at = 0;
    bool threads = s->clock.now == NULL;
    for (uint32_t i = 0; i < s->count; i++) { /* by order; the same order as they were added */
        uint32_t k = i;
        for (; k > 0 && s->sorted[k - 1]->d.order > s->nodes[i]->d.order; k--)
            s->sorted[k] = s->sorted[k - 1];
        s->sorted[k] = s->nodes[i];
        alone += horusi_is_alone_node(s->nodes[i]);
        computes += threads && s->nodes[i]->d.compute && !horusi_is_alone_node(s->nodes[i]);
    }
    uint32_t most = s->d.workers ? s->d.workers : 16;
    uint32_t workers = computes < most ? computes : most;
    s->loop_count = 1 + workers + alone;
    size_t bytes =
        s->loop_count * sizeof *s->loops + s->count * (sizeof(uint64_t) + sizeof(horusi_node *));
    s->loops = (horusi_loop *)horusi_new(s->context, bytes);
    if (!s->loops)
        return horusi_no_memory(bytes);
    uint64_t *due = (uint64_t *)(void *)(s->loops + s->loop_count);
    horusi_node **node = (horusi_node **)(void *)(due + s->count);
    for (uint32_t l = 0; l < s->loop_count; l++) {
        uint32_t compute = 0, own_thread = 0;
        s->loops[l].scheduler = s;
        s->loops[l].due = due + at;
        s->loops[l].nodes = node + at;
        for (uint32_t i = 0; i < s->count; i++) {
            horusi_node *n = s->sorted[i];
            uint32_t where = horusi_is_alone_node(n)   ? 1 + workers + own_thread++
                             : threads && n->d.compute ? 1 + compute++ % workers
                                                       : 0;
            if (where == l)
                s->loops[l].nodes[s->loops[l].count++] = n;
        }
        at += s->loops[l].count;
    }
    return HORUS_OK;
}

/* ------------------------------------------------------------------------------------ >>setup
 *
 * What happens before a run: a scheduler and its nodes are described and checked, given other rates and
 * budgets, and added up. */

static horus_result horusi_bad_rate(const char *node, double hz)
{
    if (hz >= 1e-6 && hz <= 1e6)
        return HORUS_OK;
    return horusi_fail(HORUS_E_ARG, "node %s: rate_hz is %g, not 0.000001 to 1000000", node, hz);
}
static horus_result horusi_span(const char *node, const char *what, int64_t ns, int64_t most)
{
    if (ns >= 0 && ns <= most)
        return HORUS_OK;
    return horusi_fail(HORUS_E_ARG, "node %s: %s is %lld, not 0 to %lld ns", node, what,
                       (long long)ns, (long long)most);
}
/* Checks a node and works out its rate. */
static horus_result horusi_check_node(const horus_scheduler *s, const horus_node_desc *d,
                                      horusi_node *n)
{
    const int64_t hour = 3600000000000, day = 24 * hour;
    const char *name = d->name ? d->name : "";
    size_t length = strlen(name), controls = 0;
    horusi_text(n->name, sizeof n->name, name);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f) {
            controls++;
            if (i < sizeof n->name - 1)
                n->name[i] = '?';
        }
    if (length == 0 || length >= HORUS_NAME_BYTES || controls > 0)
        return horusi_fail(HORUS_E_NAME,
                           "node name \"%.40s\": 1 to 96 bytes without control characters (this: "
                           "%zu, with %zu)",
                           d->name ? n->name : "(null)", length, controls);
    for (uint32_t i = 0; i < s->count; i++)
        if (strcmp(s->nodes[i]->name, n->name) == 0)
            return horusi_fail(HORUS_E_ARG, "node %s: scheduler %s has a node of that name",
                               n->name, s->name);
    for (uint32_t i = 0; i < s->count && d->on_topic; i++)
        if (s->nodes[i]->d.on_topic == d->on_topic)
            return horusi_fail(HORUS_E_ARG, "node %s: node %.96s has that on_topic; open another",
                               n->name, s->nodes[i]->name);
    if (!d->tick)
        return horusi_fail(HORUS_E_ARG, "node %s: tick is NULL", n->name);
    if (d->compute && d->on_topic)
        return horusi_fail(HORUS_E_ARG, "node %s: compute and on_topic exclude each other",
                           n->name);
    if (d->on_topic && s->clock.now)
        return horusi_fail(HORUS_E_UNSUPPORTED,
                           "node %s: on_topic does not go with a clock of one's own", n->name);
    bool as_double = d->rate_hz > 0 || d->rate_hz < 0 || !(d->rate_hz <= 0); /* NaN too */
    if ((as_double && d->rate_num) || (d->rate_den && !d->rate_num))
        return horusi_fail(HORUS_E_ARG, "node %s: give rate_hz, or rate_num and rate_den", n->name);
    if (d->on_topic && (as_double || d->rate_num))
        return horusi_fail(HORUS_E_ARG, "node %s: on_topic nodes have no rate", n->name);
    if (as_double && horusi_bad_rate(n->name, d->rate_hz) != HORUS_OK)
        return HORUS_E_ARG;
    if (as_double)
        horusi_fraction(d->rate_hz, &n->num, &n->den);
    else if (!d->on_topic) {
        n->num = d->rate_num ? d->rate_num : 30;
        n->den = d->rate_den ? d->rate_den : 1;
    }
    if (n->num && ((uint64_t)n->num > (uint64_t)n->den * 1000000u ||
                   (uint64_t)n->den > (uint64_t)n->num * 1000000u))
        return horusi_fail(HORUS_E_ARG, "node %s: its rate is %u/%u, not 0.000001 to 1000000 Hz",
                           n->name, (unsigned)n->num, (unsigned)n->den);
    horusi_set_period(n);

    while (d->parts && d->parts[n->parts])
        if (++n->parts > 64)
            return horusi_fail(HORUS_E_LIMIT, "node %s: more than 64 parts", n->name);
    horus_result r = horusi_span(n->name, "budget_ns", d->budget_ns, hour);
    if (r == HORUS_OK)
        r = horusi_span(n->name, "deadline_ns", d->deadline_ns, hour);
    if (r == HORUS_OK)
        r = horusi_span(n->name, "min_gap_ns", d->min_gap_ns, hour);
    if (r == HORUS_OK)
        r = horusi_span(n->name, "pause_ns", d->pause_ns, day);
    if (r == HORUS_OK && d->min_gap_ns && d->overrun != HORUS_OVERRUN_MIN_GAP)
        r = horusi_fail(HORUS_E_ARG, "node %s: min_gap_ns needs overrun MIN_GAP", n->name);
    if (r == HORUS_OK &&
        ((uint32_t)d->on_miss > HORUS_MISS_STOP || (uint32_t)d->overrun > HORUS_OVERRUN_MIN_GAP ||
         (uint32_t)d->on_failure > HORUS_FAILURE_IGNORE))
        r = horusi_fail(HORUS_E_ARG, "node %s: on_miss %d, overrun %d or on_failure %d is none",
                        n->name, (int)d->on_miss, (int)d->overrun, (int)d->on_failure);
    if (r == HORUS_OK && (d->priority < 0 || d->priority > 99 || d->core < 0 || d->core > 1024))
        r = horusi_fail(HORUS_E_ARG,
                        "node %s: priority %d is not 0 to 99, or core %d not 0 to 1024", n->name,
                        (int)d->priority, (int)d->core);
    return r;
}

horus_result horus_scheduler_open(horus_scheduler **out, const horus_scheduler_desc *desc)
{
    horus_scheduler_desc none, *d = &none;
    char name[40], path[HORUS_NAME_BYTES + 20];
    horus_context *c;
    if (!out)
        return horusi_fail(HORUS_E_ARG, "scheduler_open: out is NULL");
    *out = NULL;
    memset(&none, 0, sizeof none);
    if (desc)
        none = *desc;
    if (!d->name) {
        (void)snprintf(name, sizeof name, "scheduler-%ld", (long)getpid());
        d->name = name;
    }
    horus_result r = horusi_sched_topic(d->name, path, sizeof path);
    if (r == HORUS_OK && d->clock && (!d->clock->now || !d->clock->sleep))
        r = horusi_fail(HORUS_E_ARG, "scheduler %s: a clock needs now and sleep", d->name);
    if (r == HORUS_OK && d->clock && (d->flags & HORUS_DETERMINISTIC))
        r = horusi_fail(HORUS_E_ARG, "scheduler %s: DETERMINISTIC brings its own clock", d->name);
    if (r == HORUS_OK && d->watchdog_ns != 0 &&
        (d->watchdog_ns < 100000 || d->watchdog_ns > 3600000000000))
        r = horusi_fail(HORUS_E_ARG,
                        "scheduler %s: watchdog_ns is %lld, not 0 or 100 us to an hour", d->name,
                        (long long)d->watchdog_ns);
    if (r == HORUS_OK && d->watchdog_ns && (d->clock || (d->flags & HORUS_DETERMINISTIC)))
        r = horusi_fail(HORUS_E_UNSUPPORTED, "scheduler %s: no watchdog with a clock of one's own",
                        d->name);
    if (r == HORUS_OK && d->workers > 64)
        r = horusi_fail(HORUS_E_ARG, "scheduler %s: %u workers, not 0 to 64", d->name,
                        (unsigned)d->workers);
    if (r == HORUS_OK && d->blackbox_bytes > 1u << 30)
        r = horusi_fail(HORUS_E_ARG, "scheduler %s: blackbox_bytes is %llu, not 0 to 1 GiB",
                        d->name, (unsigned long long)d->blackbox_bytes);
    if (r == HORUS_OK && (d->priority < 0 || d->priority > 99))
        r = horusi_fail(HORUS_E_ARG, "scheduler %s: priority %d, not 0 to 99", d->name,
                        (int)d->priority);
    if (r == HORUS_OK && (d->record || d->replay) &&
        (!(d->flags & HORUS_DETERMINISTIC) || (d->record && d->replay)))
        r = horusi_fail(HORUS_E_ARG, "scheduler %s: record or replay, and DETERMINISTIC with it",
                        d->name);
    if (r == HORUS_OK && horusi_watch_forks() != 0)
        r = horusi_no_memory(sizeof(void (*)(void)));
    if (r == HORUS_OK)
        r = horusi_context_of(d->context, &c);
    if (r != HORUS_OK)
        return r;
    horus_scheduler *s = (horus_scheduler *)horusi_new(c, sizeof *s);
    if (!s)
        return horusi_no_memory(sizeof *s);
    if (d->record || d->replay)
        r = horusi_tape_open(&s->tape, c, d->record ? d->record : d->replay, d->replay != NULL,
                             &d->seed);
    if (r != HORUS_OK) {
        horusi_delete(c, s);
        return r;
    }
    s->d = *d;
    s->d.record = s->d.replay = NULL; /* the caller's */
    s->context = c;
    horusi_text(s->name, sizeof s->name, d->name);
    s->d.name = s->name;
    if (d->clock)
        s->clock = *d->clock;
    if (d->flags & HORUS_DETERMINISTIC) {
        horus_time_source logical = {horusi_logical_now, horusi_logical_sleep, s};
        s->clock = logical;
    }
    s->forks = horusi_ld32_rlx(fork, &horusi_forks);
    *out = s;
    return HORUS_OK;
}

horus_result horus_scheduler_add(horus_scheduler *s, const horus_node_desc *d)
{
    if (!s || !d)
        return horusi_fail(HORUS_E_ARG, "scheduler_add: the scheduler or desc is NULL");
    if (horusi_ld32_acq(Q2, &s->busy))
        return horusi_is_busy(s, ": add nodes before");
    if (s->count == HORUSI_MAX_NODES)
        return horusi_fail(HORUS_E_LIMIT, "scheduler %s has %u nodes", s->name, (unsigned)s->count);
    horusi_node *n = (horusi_node *)horusi_new(s->context, sizeof *n);
    if (!n)
        return horusi_no_memory(sizeof *n);
    horus_result r = horusi_check_node(s, d, n);
    if (r == HORUS_OK && s->count == s->room) {
        uint32_t room = s->room ? 2 * s->room : 16;
        horusi_node **more = (horusi_node **)horusi_new(s->context, 2 * room * sizeof *more);
        if (!more)
            r = horusi_no_memory(2 * room * sizeof *more);
        else {
            if (s->count) {
                memcpy(more, s->nodes, s->count * sizeof *more);
                memcpy(more + room, s->sorted, s->count * sizeof *more); /* those of steps */
            }
            horusi_delete(s->context, s->nodes);
            s->nodes = more;
            s->sorted = more + room;
            s->room = room;
        }
    }
    if (r != HORUS_OK) {
        horusi_delete(s->context, n);
        return r;
    }
    n->d = *d;
    n->d.name = n->name;
    horusi_st64_rlx(own, &n->budget, (uint64_t)d->budget_ns);
    n->scheduler = s;
    n->index = s->count;
    n->seed =
        horusi_mix(s->d.seed ^ (uint64_t)horusi_hash(n->name, strlen(n->name), 2166136261u) << 32);
    s->nodes[s->count++] = n;
    s->rows += 1 + n->parts;
    return HORUS_OK;
}

static horus_result horusi_known_node(horus_scheduler *s, const char *name, horusi_node **out)
{
    if (!s || !name)
        return horusi_fail(HORUS_E_ARG, "scheduler_set: the scheduler or the node's name is NULL");
    for (uint32_t i = 0; i < s->count; i++)
        if (strcmp(s->nodes[i]->name, name) == 0) {
            *out = s->nodes[i];
            return HORUS_OK;
        }
    return horusi_fail(HORUS_E_NOT_FOUND, "scheduler %s has no node %.96s", s->name, name);
}
horus_result horus_scheduler_set_rate(horus_scheduler *s, const char *node, double rate_hz)
{
    horusi_node *n;
    uint32_t num, den;
    horus_result r = horusi_known_node(s, node, &n);
    if (r == HORUS_OK)
        r = horusi_bad_rate(n->name, rate_hz);
    if (r == HORUS_OK && n->d.on_topic)
        r = horusi_fail(HORUS_E_ARG, "node %s: on_topic nodes have no rate", n->name);
    if (r != HORUS_OK)
        return r;
    horusi_fraction(rate_hz, &num, &den);
    horusi_st64_rlx(own, &n->wanted, horusi_pair(num, den));
    (void)horusi_add32_acqrel(Q1, &s->changes, 1);
    return HORUS_OK;
}
horus_result horus_scheduler_set_budget(horus_scheduler *s, const char *node, int64_t budget_ns)
{
    horusi_node *n;
    horus_result r = horusi_known_node(s, node, &n);
    if (r == HORUS_OK)
        r = horusi_span(n->name, "budget_ns", budget_ns, 3600000000000);
    if (r == HORUS_OK)
        horusi_st64_rlx(own, &n->budget, (uint64_t)budget_ns);
    return r;
}

/* ---- admission */

/* What the next run's budget takes of a processor: at the rate that was set last. */
static double horusi_budget_share(const horusi_node *n)
{
    uint64_t wanted = horusi_ld64_rlx(own, &n->wanted);
    double num = wanted ? (double)horusi_high(wanted) : (double)n->num;
    double den = wanted ? (double)horusi_low(wanted) : (double)n->den;
    return n->num ? (double)horusi_ld64_rlx(own, &n->budget) * num / 1e9 / den : 0;
}
/* 1 + the only processor of a loop's thread; 0: it has several. */
static int32_t horusi_core_of(const horus_scheduler *s, uint32_t loop)
{
    if (loop > 0)
        return s->loops[loop].nodes[0]->d.core; /* one with a wish is alone */
    for (int32_t i = 0; i < 64; i++)
        if (s->d.cores == 1ull << i)
            return i + 1;
    return 0;
}
/* Whether a loop's nodes share a processor with those of `first`, in any case. */
static bool horusi_is_beside(const horus_scheduler *s, uint32_t first, uint32_t loop)
{
    return loop == first ||
           (horusi_core_of(s, first) != 0 && horusi_core_of(s, first) == horusi_core_of(s, loop));
}
/* The names of those who share a processor, the largest share first; whole ones, as many as fit. */
static void horusi_name_shares(const horus_scheduler *s, uint32_t first, char *out, size_t room)
{
    const size_t last = sizeof ", 4294967295 more";
    size_t used = 0;
    const horusi_node *before = NULL;
    uint32_t more = 0;
    out[0] = 0;
    for (;;) {
        const horusi_node *next = NULL;
        for (uint32_t l = 0; l < s->loop_count; l++)
            for (uint32_t i = 0; i < s->loops[l].count && horusi_is_beside(s, first, l); i++) {
                const horusi_node *n = s->loops[l].nodes[i];
                double share = horusi_budget_share(n),
                       limit = before ? horusi_budget_share(before) : 0;
                bool due =
                    !before || share < limit || (!(share > limit) && n->index > before->index);
                double most = next ? horusi_budget_share(next) : 0;
                if (share > 0 && due &&
                    (!next || share > most || (!(share < most) && n->index < next->index)))
                    next = n;
            }
        if (!next)
            break;
        before = next;
        char one[HORUS_NAME_BYTES + 32];
        int n = snprintf(one, sizeof one, "%s%s %.1f %%", used ? ", " : "", next->name,
                         100 * horusi_budget_share(next));
        if (more == 0 && used + (size_t)n + last <= room) {
            memcpy(out + used, one, (size_t)n + 1);
            used += (size_t)n;
        } else
            more++;
    }
    if (more)
        (void)snprintf(out + used, room - used, ", %u more", (unsigned)more);
}
/* Loops are made. */
static horus_result horusi_admit(horus_scheduler *s, double *load)
{
    char who[190]; /* which an error's text has room for */
    double most = 0;
    uint32_t worst = 0;
    const horusi_node *tight = NULL; /* the first whose budget is over its deadline */
    for (uint32_t first = 0; first < s->loop_count; first++) {
        double sum = 0;
        for (uint32_t l = 0; l < s->loop_count; l++)
            for (uint32_t i = 0; i < s->loops[l].count && horusi_is_beside(s, first, l); i++) {
                const horusi_node *n = s->loops[l].nodes[i];
                sum += horusi_budget_share(n);
                if (!tight && n->d.deadline_ns &&
                    horusi_ld64_rlx(own, &n->budget) > (uint64_t)n->d.deadline_ns)
                    tight = n;
            }
        if (sum > most) {
            most = sum;
            worst = first;
        }
    }
    *load = most;
    if (tight)
        return horusi_fail(HORUS_E_LIMIT, "node %s: its budget of %llu ns is over its deadline",
                           tight->name, (unsigned long long)horusi_ld64_rlx(own, &tight->budget));
    if (most <= 1.0 + 1e-9)
        return HORUS_OK;
    horusi_name_shares(s, worst, who, sizeof who);
    return horusi_fail(HORUS_E_LIMIT, "budgets take %.1f %% of a processor: %s", 100 * most, who);
}
horus_result horus_scheduler_admit(horus_scheduler *s, double *load)
{
    uint32_t idle = 0;
    double sum = 0;
    if (load)
        *load = 0;
    if (!s)
        return horusi_fail(HORUS_E_ARG, "scheduler_admit: the scheduler is NULL");
    if (!horusi_cas32_acqrel(Q2, &s->busy, &idle, 1))
        return horusi_is_busy(s, "");
    horus_result r = horusi_make_loops(s);
    if (r == HORUS_OK)
        r = horusi_admit(s, &sum);
    horusi_delete(s->context, s->loops);
    s->loops = NULL;
    horusi_st32_rel(Q1, &s->busy, 0);
    if (load)
        *load = sum;
    return r;
}

/* ------------------------------------------------------------------------------------ >>runs
 *
 * From the beginning of a run to its end: the block of figures, rights and what was refused of them, the
 * threads, init and shutdown, and how it all is taken down where a callback forks or ends its thread. */

/* ---- the block of figures */

/* "node/part": the part whole, up to 63 bytes of it; of the node's name what has room. */
static void horusi_part_name(char *out, const char *node, const char *part)
{
    const size_t n = strlen(part) < 63 ? strlen(part) : 63;
    (void)snprintf(out, HORUS_NAME_BYTES, "%.*s/%.*s", (int)(HORUS_NAME_BYTES - 2 - n), node,
                   (int)n, part);
}
/* Fills in a new block, of all 0: names, rates, and what the old one counted. */
static void horusi_sched_fill(horus_scheduler *s, horusi_sched_block *b, uint32_t ticks,
                              uint32_t events)
{
    b->magic = HORUSI_SCHED_MAGIC;
    horusi_st32_rlx(report, &b->nodes, s->rows);
    horusi_st32_rlx(report, &b->pid, (uint32_t)getpid());
    b->seed = s->d.seed;
    horusi_st32_rlx(report, &b->ticks_room, ticks);
    horusi_st32_rlx(report, &b->events_room, events);
    memcpy(b->name, s->name, strlen(s->name));
    if (s->block) {
        horusi_st64_rlx(report, &b->passes, horusi_ld64_rlx(own, &s->block->passes));
        horusi_st64_rlx(report, &b->ticks_next, horusi_ld64_rlx(own, &s->block->ticks_next));
        horusi_st64_rlx(report, &b->events_next, horusi_ld64_rlx(own, &s->block->events_next));
        memcpy((void *)horusi_node_block_at(b, s->rows),
               (void *)horusi_node_block_at(s->block, s->block_nodes),
               (size_t)horusi_box_bytes(ticks, events));
    }
    horusi_node_block *part = horusi_node_block_at(b, s->count);
    for (uint32_t i = 0; i < s->count; i++) {
        horusi_node *n = s->nodes[i];
        horusi_node_block *to = horusi_node_block_at(b, i);
        if (n->block) {
            memcpy((void *)to, (void *)n->block, sizeof *to);
            memcpy((void *)part, (void *)n->part, n->parts * sizeof *part);
        }
        for (uint32_t k = 0; k < n->parts; k++, part++) {
            horusi_part_name(part->name, n->name, n->d.parts[k]);
            part->order = (uint32_t)n->d.order;
        }
        memcpy(to->name, n->name, strlen(n->name));
        horusi_st32_rlx(report, &to->rate_num, n->num);
        horusi_st32_rlx(report, &to->rate_den, n->den);
        to->order = (uint32_t)n->d.order;
    }
}
/* Makes the block of figures, with room for the nodes that there are now. What the pool has no room for lies
 * on the heap, where other processes cannot read it. */
static horus_result horusi_sched_make(horus_scheduler *s)
{
    uint32_t ticks = (uint32_t)(s->d.blackbox_bytes / (16 * HORUSI_TICK_WORDS));
    uint32_t events = (uint32_t)(s->d.blackbox_bytes / (16 * HORUSI_EVENT_WORDS));
    uint64_t bytes = horusi_sched_bytes(s->rows) + horusi_box_bytes(ticks, events);
    int64_t shape = (int64_t)bytes;
    horus_tensor memory;
    horus_topic *topic = s->topic;
    char path[HORUS_NAME_BYTES + 20];
    (void)horusi_sched_topic(s->name, path, sizeof path);
    horus_result r = s->context->pool->flags & HORUS_PROTECT /* what is sent is read-only then */
                         ? HORUS_E_POOL_FULL
                         : horus_tensor_alloc(&memory, s->context->pool, HORUS_U8, 1, &shape, 0);
    horusi_sched_block *b = r == HORUS_OK ? (horusi_sched_block *)memory.data : NULL;
    if (r == HORUS_OK && !topic)
        r = horus_topic_open(&topic, path,
                             &(horus_topic_desc){.type = &horus_tensor_type,
                                                 .capacity = 2,
                                                 .flags = HORUS_PUBLISHER,
                                                 .max_publishers = HORUSI_SCHED_WRITERS,
                                                 .max_subscribers = HORUSI_SCHED_HANDLES,
                                                 .context = s->context});
    if (r == HORUS_OK && topic != s->topic) { /* an old block goes once the new one can be found */
        topic->out->frame_limit = 1;
        topic->out->frame_most = UINT64_MAX;
    }
    if (r == HORUS_OK) {
        for (uint64_t at = 0; at < bytes; at += 4096) /* no page fault later */
            ((volatile char *)memory.data)[at] = 0;
        horusi_sched_fill(s, b, ticks, events);
        r = horus_topic_send_tensor(topic, &memory, HORUS_NO_WAIT);
    }
    if (r != HORUS_OK) {
        if (b)
            (void)horus_tensor_release(&memory);
        memset(&memory, 0, sizeof memory);
    }
    if (r == HORUS_E_POOL_FULL || r == HORUS_E_LIMIT || r == HORUS_E_SIZE) {
        b = (horusi_sched_block *)horusi_new(s->context, (size_t)bytes);
        r = b ? HORUS_OK : horusi_no_memory(bytes);
        if (b)
            horusi_sched_fill(s, b, ticks, events);
    }
    if (r != HORUS_OK) {
        if (topic != s->topic)
            horus_topic_close(topic);
        return r;
    }
    /* who is at it has not seen us begin, and has the old block; those who come now see it */
    for (uint32_t tries = 0; horusi_ld32_seq(B, &s->looking) != 0; tries++)
        horusi_give_way(tries);
    if (s->memory.data)
        (void)horus_tensor_release(&s->memory);
    else
        horusi_delete(s->context, s->block);
    horusi_node_block *part = horusi_node_block_at(b, s->count);
    for (uint32_t i = 0; i < s->count; i++) {
        s->nodes[i]->block = horusi_node_block_at(b, i);
        s->nodes[i]->part = part;
        part += s->nodes[i]->parts;
    }
    s->memory = memory;
    s->block = b;
    s->block_nodes = s->rows;
    s->topic = topic;
    s->box_ticks = ticks;
    s->box_events = events;
    return HORUS_OK;
}

/* The same, if it is needed. What it sends is no output of a recorded tick that runs this scheduler. */
static horus_result horusi_sched_share(horus_scheduler *s)
{
    horusi_tape *outer = horusi_taped() ? horusi_tape_now : NULL;
    if (outer)
        outer->busy = true;
    horus_result r = s->block && s->block_nodes == s->rows ? HORUS_OK : horusi_sched_make(s);
    if (outer)
        outer->busy = false;
    return r;
}

static horus_result horusi_get_stats(horus_scheduler *s, uint32_t first, horus_scheduler_stats *out,
                                     horus_node_stats *nodes, size_t room, size_t *count)
{
    horus_result r = horusi_stats_args(out, nodes, room, count);
    if (r == HORUS_OK && !s)
        r = horusi_fail(HORUS_E_ARG, "scheduler_get_stats: the scheduler is NULL");
    if (r != HORUS_OK)
        return r;
    for (uint32_t tries = 0; horusi_block_enter(s) == 1;
         tries++) { /* admit, or a run that begins */
        horusi_block_leave(s);
        if (horusi_ld32_rlx(fork, &horusi_forks) != s->forks)
            return horusi_is_busy(s, "");
        horusi_give_way(tries);
    }
    if (!s->block)
        r = horusi_fail(HORUS_E_NOT_FOUND, "scheduler %s has not run", s->name);
    else
        r = horusi_sched_figures(s->block, horusi_sched_bytes(s->block_nodes), first, out, nodes,
                                 room, count);
    horusi_block_leave(s);
    return r;
}
horus_result horus_scheduler_get_stats(horus_scheduler *s, horus_scheduler_stats *out,
                                       horus_node_stats *nodes, size_t room, size_t *count)
{
    return horusi_get_stats(s, 0, out, nodes, room, count);
}

/* ---- rights, and what was refused of them */

static void horusi_note(horus_scheduler *s, const char *what, const char *whose, const char *why,
                        const char *help)
{
    char line[sizeof s->finds.degradations];
    const size_t last = sizeof "\nand 4294967295 more"; /* that fits in any case */
    int n = snprintf(line, sizeof line, "%s%s for %s: %s%s", s->lines_end ? "\n" : "", what, whose,
                     why, help);
    char *to = s->finds.degradations + s->lines_end;
    if (s->lines_left_out == 0 && s->lines_end + (size_t)n + last <= sizeof line) {
        memcpy(to, line, (size_t)n + 1);
        s->lines_end += (size_t)n;
    } else
        (void)snprintf(to, last, "\nand %u more", (unsigned)++s->lines_left_out);
}
/* Notes what a thread was refused. */
static void horusi_note_rights(horus_scheduler *s, const horusi_rights *r, const char *whose)
{
    static const struct {
        const char *what, *help;
    } list[HORUSI_RIGHTS] = {
        /* by bit */
        {"SCHED_FIFO", "; raise the limit (ulimit -r) or give CAP_SYS_NICE"},
        {"locked memory", "; raise the limit (ulimit -l) or give CAP_IPC_LOCK"},
        {"timer slack", ""},
        {"binding to processors", "; are they there, and in the container's set?"},
        {"figures in shared memory", "; a larger pool, or no HORUS_PROTECT, helps"},
        {"SCHED_DEADLINE",
         "; it takes CAP_SYS_NICE, no binding to processors, and of each node a rate "
         "and a budget, which together fit into the shortest period"}};
    s->finds.wanted |= r->wanted;
    s->finds.got &= ~r->refused;
    for (uint32_t i = 0; i < HORUSI_RIGHTS; i++)
        if (r->refused >> i & 1)
            horusi_note(s, list[i].what, whose, strerror(r->error[i]), list[i].help);
}
horus_result horus_scheduler_get_capabilities(horus_scheduler *s, horus_capabilities *out)
{
    if (out)
        memset(out, 0, sizeof *out);
    if (!s || !out)
        return horusi_fail(HORUS_E_ARG, "scheduler_get_capabilities: an argument is NULL");
    bool child = horusi_ld32_rlx(fork, &horusi_forks) != s->forks; /* where nobody writes */
    if (!child)
        horusi_lock(&s->can_lock);
    bool has_run = s->can_told;
    if (has_run)
        *out = s->can;
    if (!child)
        horusi_unlock(&s->can_lock);
    return has_run ? HORUS_OK : horusi_fail(HORUS_E_NOT_FOUND, "scheduler %s has not run", s->name);
}

/* ---- a recording */

/* A run or step begins: in a replay, one of the same nodes and at the same time as was recorded. */
static horus_result horusi_tape_begin(horus_scheduler *s)
{
    horusi_tape *p = s->tape;
    uint64_t run[3] = {s->logical, s->count, s->step};
    p->node[0] = 0;
    p->phase = 0;
    if (p->result >= 0 && p->replays && horusi_tape_is_at_end(p))
        return horusi_fail(HORUS_E_NOT_FOUND, "replay of %.80s: it holds no further run", p->path);
    if (p->replays && horusi_tape_next(p) && p->note.kind == HORUSI_RUN)
        run[0] = s->logical = p->word[0];
    if (!horusi_tape_mark(p, HORUSI_RUN, 0, "", HORUS_OK, run, 3))
        horusi_tape_diverges(p, "", s->step ? "not this step came next" : "not this run came next");
    for (uint32_t i = 0; i < s->count && p->result >= 0; i++) {
        const horusi_node *n = s->sorted[i];
        const uint64_t word[2] = {horusi_pair(n->num, n->den), (uint32_t)n->d.order};
        horusi_text(p->node, sizeof p->node, n->name);
        if (!horusi_tape_mark(p, HORUSI_NODE, 0, n->name, HORUS_OK, word, 2))
            horusi_tape_diverges(p, "", "not this node, rate and order came next");
    }
    return p->result < 0 ? horusi_fail(p->result, "%s", p->text) : HORUS_OK;
}
horus_result horus_scheduler_get_recording(const horus_scheduler *s, horus_recording *out)
{
    if (out)
        memset(out, 0, sizeof *out);
    if (!s || !out)
        return horusi_fail(HORUS_E_ARG, "scheduler_get_recording: an argument is NULL");
    if (!s->tape)
        return horusi_fail(HORUS_E_NOT_FOUND, "scheduler %s neither records nor replays", s->name);
    *out = s->tape->told;
    return HORUS_OK;
}
/* ---- the end of a run, however it comes */

static void horusi_clear_run(horus_scheduler *s)
{
    horusi_delete(s->context, s->loops);
    s->loops = NULL;
    if (s->lent)
        memset(&s->clock, 0, sizeof s->clock);
    s->lent = false;
    horusi_st32_rel(Q1, &s->busy, 0);
}
/* The caller's loop is over: waits for the other threads. */
static void horusi_join_threads(horus_scheduler *s)
{
    s->at = HORUSI_ENDS;
    horusi_waive_rights(&s->rights);
    if (s->tape)
        horusi_tape_last(s->tape, horusi_stops(s) && horusi_ld32_acq(Q2, &s->ending) == 0);
    for (uint32_t l = 1; l < s->loop_count; l++) {
        if (s->loops[l].joinable)
            horusi_join_thread(s->loops[l].thread);
        if (s->loops[l].gone)
            horusi_settle(s, &s->loops[l]);
    }
    if (s->watched) {
        horusi_st32_rel(Q1, &s->over, 1);
        horusi_join_thread(s->watchdog);
    }
    if (s->has_threads)
        (void)horusi_add32_rlx(own, &s->context->runs, UINT32_MAX);
    s->stepped = s->step && horusi_ld32_acq(Q2, &s->ending) == 0 && !horusi_stops(s);
}
/* And ends what was begun; once more, if a shutdown has ended the thread. */
static horus_result horusi_end_run(horus_scheduler *s, horus_result r)
{
    if (s->at != HORUSI_ENDS)
        horusi_join_threads(s);
    for (uint32_t i = s->count; i > 0; i--) {
        horusi_node *n = s->sorted[i - 1];
        n->going = s->stepped;
        if (n->live && !s->stepped)
            horusi_end_node(s, n);
        if (!n->live && !n->over && !s->stepped) /* or it pauses: a later step restarts it */
            horusi_set_state(n, HORUS_NODE_IDLE);
    }
    if (s->tape && horusi_tape_end(s->tape) < 0)
        horusi_stop_for(s, HORUS_END_FAILURE, s->tape->result, "%s", s->tape->text);
    if (horusi_ld32_acq(Q2, &s->ending) != 0)
        r = horusi_fail(s->result, "%s", s->text);
    else
        s->end_kind = r != HORUS_OK     ? HORUS_END_FAILURE
                      : horusi_stops(s) ? HORUS_END_STOP
                                        : HORUS_END_DURATION;
    if (!s->stepped)
        horusi_report(s, NULL, HORUS_EVENT_END, 0, r, "");
    horusi_st32_rlx(report, &s->block->end, (uint32_t)s->end_kind);
    horusi_st32_rlx(report, &s->block->running, 0);
    if (horusi_takes_signals(s) && !s->child) /* there they were given back at once */
        horusi_leave_signals();
    if (s->child) {
        s->block = s->parents_block;
        for (uint32_t i = 0; i < s->count; i++)
            s->nodes[i]->block = horusi_node_block_at(s->block, i);
    }
    horusi_word_set(s->here, NULL);
    horusi_st32_rlx(own, &s->stop, 0); /* one that came before a run that is refused stays */
    horusi_clear_run(s);
    return r;
}
/* A callback has ended its thread (pthread_exit), and we are called in its place: its node is over, and so
 * are those that the same thread ticked. If it was the caller's thread, run ends here. */
static void horusi_thread_gone(void *arg)
{
    horusi_loop *l = (horusi_loop *)arg;
    horus_scheduler *s = l->scheduler;
    bool caller = l == &s->loops[0], ticks = !caller || s->at == HORUSI_TICKS;
    l->gone = !horusi_is_child(s);
    for (uint32_t i = 0; i < (ticks ? l->count : s->count);
         i++) { /* the caller begins and ends all */
        horusi_node *n = ticks ? l->nodes[i] : s->nodes[i];
        bool guilty = n->called;
        n->called = false;
        if (n->over || (!ticks && !guilty))
            continue;
        if (ticks) {
            bool begun = n->ticked && n->last_due == l->due[i]; /* and so is not skipped */
            n->over_due = !n->num ? 0 : begun ? horusi_later(n, l->due[i], 1) : l->due[i];
        }
        horusi_st64_rlx(report, &n->block->running_since, 0);
        (void)horusi_xchg64_seq(J2, &n->run, 0);
        if (guilty) {
            horusi_count(&n->block->failures, 1);
            horusi_report(s, n, HORUS_EVENT_FAILURE, 0, HORUS_E_CLOSED, "its thread ended");
            if (caller || n->d.on_failure == HORUS_FAILURE_FATAL)
                horusi_stop_for(s, HORUS_END_FAILURE, HORUS_E_CLOSED, "node %s ended its thread",
                                n->name);
        }
        horusi_retire(s, n);
    }
    if (!caller)
        return; /* what is due of its nodes is counted at the end */
    horusi_stop_for(s, HORUS_END_FAILURE, HORUS_E_CLOSED, "scheduler %s: its thread ended",
                    s->name); /* by an event's function, if by no node */
    if (ticks)
        horusi_settle(s, l);
    horusi_word_set(s->here, l); /* a shutdown may end the thread as well */
    (void)horusi_end_run(s, HORUS_OK);
}

/* ---- a run */

/* Starts the threads, which ask for their rights and then wait. 0, or an errno: those that are there end
 * at once. */
static int horusi_start_threads(horus_scheduler *s)
{
    int e = 0;
    s->has_threads = !s->step && (s->loop_count > 1 || s->d.watchdog_ns > 0);
    if (s->has_threads)
        (void)horusi_add32_rlx(own, &s->context->runs, 1);
    horusi_st32_rlx(own, &s->go, 0);
    horusi_st32_rlx(own, &s->over, 0);
    horusi_st32_rlx(own, &s->ready, 0);
    for (uint32_t l = 1; l < s->loop_count && e == 0; l++) {
        e = horusi_thread(&s->loops[l].thread, horusi_loop_thread, &s->loops[l]);
        s->loops[l].joinable = e == 0;
    }
    if (e == 0 && s->d.watchdog_ns > 0 && !s->step) {
        e = horusi_thread(&s->watchdog, horusi_watchdog, s);
        s->watched = e == 0;
    }
    if (e != 0)
        horus_scheduler_stop(s);
    return e;
}
/* Asks for the caller's rights, and notes what all threads have and were refused. */
static void horusi_claim_all(horus_scheduler *s)
{
    horusi_rights shared;
    bool realtime = (s->d.flags & HORUSI_REALTIME) != 0 && !s->step;
    memset(&s->finds, 0, sizeof s->finds);
    s->lines_left_out = 0;
    s->lines_end = 0;
    s->finds.got = UINT32_MAX;
    memset(&shared, 0, sizeof shared);
    shared.wanted = HORUS_CAN_SHARE | (realtime ? (uint32_t)HORUS_CAN_LOCK : 0);
    if (!s->memory.data)
        horusi_refuse_right(&shared, HORUS_CAN_SHARE, ENOSPC);
    horusi_note_rights(s, &shared, s->name);
    shared.wanted = shared.refused = 0;
    int why = realtime ? horusi_lock_memory() : 0;
    if (why)
        horusi_refuse_right(&shared, HORUS_CAN_LOCK, why);
    horusi_note_rights(s, &shared, "this process");
    horusi_reserve want = horusi_reserve_for(&s->loops[0]);
    if (!realtime)
        want.period_ns = 0;
    horusi_claim_rights(&s->rights, realtime ? horusi_priority(s) : 0, &want,
                        s->step ? 0 : s->d.cores, 0, realtime);
    horusi_note_rights(s, &s->rights, "the ordered nodes");
    for (uint32_t i = 0; i < s->loops[0].count && !s->clock.now; i++) {
        const horus_node_desc *d = &s->loops[0].nodes[i]->d;
        if (d->priority || d->core)
            horusi_note(s, "priority or core", d->name, "ordered nodes share a thread",
                        "; the scheduler's own are theirs");
    }
    for (uint32_t l = 1; l < s->loop_count && s->loops[l].joinable; l++) {
        uint32_t ready;
        while ((ready = horusi_ld32_acq(Q2, &s->ready)) < l) /* each counts once */
            (void)horusi_sleep_on(&s->ready, ready, HORUSI_LOOP_SLICE_NS);
    }
    for (uint32_t l = 1; l < s->loop_count; l++)
        if (s->loops[l].joinable)
            horusi_note_rights(s, &s->loops[l].rights, s->loops[l].nodes[0]->name);
    s->finds.got &= s->finds.wanted;
    horusi_lock(&s->can_lock);
    s->can = s->finds;
    s->can_told = true;
    horusi_unlock(&s->can_lock);
    uint32_t missing = s->finds.wanted & ~s->finds.got & ~(uint32_t)HORUS_CAN_SHARE;
    if (missing && (s->d.flags & HORUS_REALTIME_OR_FAIL))
        horusi_stop_for(s, HORUS_END_FAILURE, HORUS_E_PERMISSION, "scheduler %s: %s", s->name,
                        s->finds.degradations);
}
/* Sets when the run begins and ends, and when the first tick of each node is due. Returns the begin. */
static uint64_t horusi_set_out(horus_scheduler *s, int64_t duration_ns)
{
    uint64_t begin = horusi_clock_of(s);
    if (s->lent && s->stepped) { /* however long the ticks of the last step took */
        const uint64_t back = begin - s->end;
        s->ahead -= back;
        begin = s->end;
        for (uint32_t i = 0; i < s->count; i++)
            s->nodes[i]->rest_until -= s->nodes[i]->rest_until > back ? back : 0;
    }
    if (!s->stepped || !s->step)
        s->start = begin;
    s->end = duration_ns == HORUS_FOREVER ? UINT64_MAX : begin + (uint64_t)duration_ns;
    horusi_st64_rlx(report, &s->block->start, s->start);
    for (uint32_t l = 0; l < s->loop_count; l++)
        for (uint32_t i = 0; i < s->loops[l].count; i++) {
            horusi_node *n = s->loops[l].nodes[i];
            if (!n->going)
                n->next_due = n->over_due = begin;
            s->loops[l].due[i] = n->over || (s->step && n->d.on_topic) ? UINT64_MAX : n->next_due;
        }
    return begin;
}
/* Ticks until something ends it; threads may go on after that. */
static horus_result horusi_run_threads(horus_scheduler *s, int64_t duration_ns)
{
    int e = horusi_start_threads(s);
    horusi_claim_all(s);
    horusi_touch_stack();
    uint64_t begin = horusi_set_out(s, duration_ns);
    if (s->loop_count > 1) {
        horusi_st32_rel(Q1, &s->go, 1);
        horusi_wake(&s->go);
    }
    s->at = HORUSI_TICKS;
    horusi_ordered(s, &s->loops[0], true, begin);
    for (uint32_t i = 0; s->step && i < s->count && !horusi_stops(s); i++) {
        horusi_node *n = s->sorted[i];
        uint64_t now = horusi_clock_of(s);
        if (n->d.on_topic && !n->over &&
            (!n->pause_until || (now >= n->pause_until && horusi_come_back(s, n))))
            horusi_tick_topic(s, n, 0);
    }
    errno = e;
    return e ? horusi_errno(HORUS_E_SYSTEM, "start a thread of scheduler", s->name) : HORUS_OK;
}
static horus_result horusi_run(horus_scheduler *s, int64_t duration_ns, bool step)
{
    uint32_t idle = 0;
    horus_context *c;
    if (!s || duration_ns < 0 || (step && duration_ns == HORUS_FOREVER))
        return horusi_fail(HORUS_E_ARG, "scheduler_%s: no scheduler, or a duration of %lld ns",
                           step ? "step" : "run", (long long)duration_ns);
    horus_result r = horusi_context_of(s->context, &c);
    if (r != HORUS_OK)
        return r;
    if (!horusi_cas32_seq(B, &s->busy, &idle, 1))
        return horusi_is_busy(s, " already");
    if (s->forks != horusi_ld32_rlx(fork, &horusi_forks)) { /* with memory of its own */
        s->forks = horusi_ld32_rlx(fork, &horusi_forks);
        horusi_st32_rlx(own, &s->looking, 0);
        horusi_st32_rlx(own, &s->can_lock, 0);
        if (s->tape)
            horusi_tape_over(s->tape, HORUS_E_DETACHED, "the file is that of another process");
    }
    s->child = false;
    memset(&s->rights, 0, sizeof s->rights);
    s->step = step;
    s->lent = step && !s->clock.now;
    if (s->lent) {
        horus_time_source clock = {horusi_step_now, horusi_step_sleep, s};
        s->clock = clock;
    }
    horusi_st32_rlx(own, &s->ending, 0);
    s->end_kind = HORUS_END_NONE;
    if (!s->has_here) {
        errno = horusi_word_make(&s->here, horusi_thread_gone);
        if (errno)
            r = horusi_errno(HORUS_E_SYSTEM, "make a thread's key for scheduler", s->name);
        s->has_here = r == HORUS_OK;
    }
    if (r == HORUS_OK)
        r = horusi_sched_share(s);
    if (r == HORUS_OK)
        r = horusi_make_loops(s);
    double load;
    if (r == HORUS_OK && (s->d.flags & HORUS_ADMISSION))
        r = horusi_admit(s, &load);
    if (r == HORUS_OK && s->tape)
        r = horusi_tape_begin(s);
    if (r != HORUS_OK)
        goto out;
    s->at = HORUSI_BEGINS;
    s->watched = false;
    horusi_word_set(s->here, &s->loops[0]);
    horusi_st32_rel(Q1, &s->busy, 2);
    if (horusi_takes_signals(s)) {
        s->signals = horusi_ld32_rlx(own, &horusi_signals);
        horusi_catch_signals();
    }
    horusi_st32_rlx(report, &s->block->end, HORUS_END_NONE);
    horusi_st32_rlx(report, &s->block->running, 1);
    if (!step || !s->stepped)
        horusi_report(s, NULL, HORUS_EVENT_START, 0, HORUS_OK, "");
    for (uint32_t i = 0; i < s->count; i++) {
        horusi_node *n = s->sorted[i];
        n->going = n->going && step;
        if (n->going)
            continue;
        n->phase = n->skipped = n->rest = n->pause_until = n->rest_until = 0;
        horusi_change_rate(n, &n->next_due);
        n->late_in_row = n->failures_in_row = 0;
        n->over = n->ticked = false;
        horusi_st32_rlx(own, &n->leave_out, 0);
        horusi_st64_rlx(own, &n->run_phase, 0);
        /* a signal that came while another one began ends the run here; a stop() is for the ticks */
        (void)horusi_halts(s);
        if (!n->live && horusi_ld32_acq(Q2, &s->ending) == 0) /* not after a fatal one either */
            horusi_begin_node(s, n);
    }
    if (!s->child)
        r = horusi_run_threads(s, duration_ns);
    return horusi_end_run(s, r);
out:
    horusi_clear_run(s);
    return r;
}
horus_result horus_scheduler_run(horus_scheduler *s, int64_t duration_ns)
{
    return horusi_run(s, duration_ns, false);
}
horus_result horus_scheduler_step(horus_scheduler *s, int64_t duration_ns)
{
    return horusi_run(s, duration_ns, true);
}

horus_result horus_scheduler_close(horus_scheduler *s)
{
    if (!s)
        return HORUS_OK;
    if (horusi_ld32_acq(Q2, &s->busy))
        return horusi_is_busy(s, ": stop it first");
    bool child = horusi_ld32_rlx(fork, &horusi_forks) != s->forks;
    for (uint32_t i = s->count; i > 0 && !child; i--) { /* of steps */
        horusi_node *n = s->sorted[i - 1];
        if (!n || !n->block || n->over) /* it was added since */
            continue;
        if (n->live)
            horusi_end_node(s, n);
        horusi_set_state(n, HORUS_NODE_IDLE);
    }
    if (s->memory.data)
        (void)horus_tensor_release(&s->memory);
    else
        horusi_delete(s->context, s->block);
    if (s->has_here)
        horusi_word_delete(s->here);
    horusi_tape_close(s->tape, s->context);
    horus_topic_close(s->topic);
    for (uint32_t i = 0; i < s->count; i++)
        horusi_delete(s->context, s->nodes[i]);
    horusi_delete(s->context, s->nodes);
    horusi_delete(s->context, s);
    return HORUS_OK;
}
#endif /* HORUS_NO_SCHEDULER */

#ifndef HORUS_NO_INFER
/* ------------------------------------------------------------------------------------ >>parameters
 *
 * The description of an inference operator is checked as a whole: every problem is a line of a report.
 * Nothing here needs a runtime. */
enum { HORUSI_MAX_MODELS = 64, HORUSI_MAX_SOURCES = 64, HORUSI_TENSOR_NAME = 63 };

typedef struct horusi_problems {
    char *to;
    size_t room, used;
    uint32_t count;
    bool full;
    horus_result first;
    char text[200]; /* the first one */
} horusi_problems;
static void horusi_problems_begin(horusi_problems *p, char *report, size_t room)
{
    memset(p, 0, sizeof *p);
    p->to = room > 0 ? report : NULL;
    p->room = room;
    if (p->to)
        p->to[0] = 0;
}
#ifdef __GNUC__
__attribute__((format(printf, 3, 4)))
#endif
static void
horusi_problem(horusi_problems *p, horus_result code, const char *format, ...)
{
    char line[600];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (p->count++ == 0) {
        p->first = code;
        horusi_text(p->text, sizeof p->text, line);
    }
    size_t n = strlen(line);
    if (!p->to || p->full || p->room - p->used < n + 2) {
        p->full = true; /* whole lines, and none out of order */
        return;
    }
    memcpy(p->to + p->used, line, n);
    memcpy(p->to + p->used + n, "\n", 2);
    p->used += n + 1;
}
static horus_result horusi_problems_end(const horusi_problems *p, const char *call)
{
    if (p->count == 0)
        return HORUS_OK;
    if (p->count == 1)
        return horusi_fail(p->first, "%s: %s", call, p->text);
    return horusi_fail(p->first, "%s: %s (and %u more)", call, p->text, (unsigned)(p->count - 1));
}

/* How many letters to change, add or leave out make one name of another; names of up to 63 bytes. */
static uint32_t horusi_distance(const char *a, const char *b)
{
    uint32_t row[HORUSI_TENSOR_NAME + 1];
    uint32_t n = 0;
    for (; b[n] && n < HORUSI_TENSOR_NAME; n++)
        row[n] = n;
    row[n] = n;
    for (uint32_t i = 0; a[i] && i < HORUSI_TENSOR_NAME; i++) {
        uint32_t corner = row[0];
        row[0] = i + 1;
        for (uint32_t j = 0; j < n; j++) {
            uint32_t best = corner + (a[i] != b[j]);
            corner = row[j + 1];
            best = best < corner + 1 ? best : corner + 1;
            row[j + 1] = best < row[j] + 1 ? best : row[j] + 1;
        }
    }
    return row[n];
}
/* The nearest of several names. */
typedef struct horusi_nearest {
    const char *word, *best;
    uint32_t distance;
} horusi_nearest;
static void horusi_is_it(horusi_nearest *n, const char *name)
{
    uint32_t d = horusi_distance(n->word, name);
    if (!n->best || d < n->distance) {
        n->best = name;
        n->distance = d;
    }
}
static const char *horusi_near_model(const horus_infer_desc *d, const char *word)
{
    horusi_nearest n = {word, NULL, 0};
    for (const horus_infer_entry *e = d->model_path_map; e && e->model; e++)
        horusi_is_it(&n, e->model);
    return n.best ? n.best : "";
}
static const char *horusi_near_tensor(const horus_infer_list *map, const char *word)
{
    horusi_nearest n = {word, NULL, 0};
    for (const horus_infer_list *l = map; l && l->model; l++)
        for (const char *const *t = l->names; t && *t; t++)
            horusi_is_it(&n, *t);
    return n.best ? n.best : "";
}

static const char *horusi_entry_of(const horus_infer_entry *map, const char *model)
{
    for (const horus_infer_entry *e = map; e && e->model; e++)
        if (strcmp(e->model, model) == 0)
            return e->value ? e->value : "";
    return NULL;
}
static const horus_infer_list *horusi_list_of(const horus_infer_list *map, const char *model)
{
    for (const horus_infer_list *l = map; l && l->model; l++)
        if (strcmp(l->model, model) == 0)
            return l;
    return NULL;
}
static uint32_t horusi_names_in(const horus_infer_list *l)
{
    uint32_t n = 0;
    while (l->names && l->names[n])
        n++;
    return n;
}
static bool horusi_has_tensor(const horus_infer_list *map, const char *name)
{
    for (const horus_infer_list *l = map; l && l->model; l++)
        for (const char *const *t = l->names; t && *t; t++)
            if (strcmp(*t, name) == 0)
                return true;
    return false;
}
/* A number of digits alone, up to `most`. */
static bool horusi_number(const char *text, uint32_t most, uint32_t *out)
{
    uint64_t n = 0;
    *out = 0;
    for (const char *c = text; *c; c++) {
        if (*c < '0' || *c > '9')
            return false;
        n = n * 10 + (uint64_t)(*c - '0');
        if (n > most)
            return false;
    }
    *out = (uint32_t)n;
    return text[0] != 0;
}

static horus_result horusi_errno_code(int e)
{
    return e == EACCES ? HORUS_E_PERMISSION : e == ENOMEM ? HORUS_E_MEMORY : HORUS_E_ARG;
}
static void horusi_check_word(horusi_problems *p, const char *map, const char *of, const char *what,
                              const char *name)
{
    if (name[0] == 0)
        horusi_problem(p, HORUS_E_ARG, "%s: %s has an empty %s: it takes 1 to 63 bytes", map, of,
                       what);
    else if (strlen(name) > HORUSI_TENSOR_NAME)
        horusi_problem(p, HORUS_E_ARG, "%s: %s \"%.40s...\" has %zu bytes: it takes 1 to 63", map,
                       what, name, strlen(name));
}
static void horusi_check_models(horusi_problems *p, const horus_infer_desc *d)
{
    const horus_infer_entry *map = d->model_path_map;
    uint32_t count = 0;
    if (!map || !map->model)
        horusi_problem(p, HORUS_E_ARG,
                       "model_path_map is empty: give each model's name and the path of its file");
    for (const horus_infer_entry *e = map; e && e->model; e++) {
        horusi_check_word(p, "model_path_map", "an entry", "key", e->model);
        for (const horus_infer_entry *o = map; o < e; o++)
            if (strcmp(o->model, e->model) == 0) {
                horusi_problem(p, HORUS_E_ARG, "model_path_map: model %.63s is there twice",
                               e->model);
                break;
            }
        const char *path = e->value ? e->value : "";
        int error = horusi_file_error(path);
        if (error)
            horusi_problem(p, horusi_errno_code(error),
                           "model_path_map: invalid file path for model %.63s: \"%.300s\": %s",
                           e->model, path, strerror(error));
        if (++count == HORUSI_MAX_MODELS + 1)
            horusi_problem(p, HORUS_E_ARG,
                           "model_path_map: more than 64 models: use two operators");
    }
}
static void horusi_check_lists(horusi_problems *p, const char *name, const horus_infer_list *map)
{
    char of[100];
    if (!map || !map->model)
        horusi_problem(p, HORUS_E_ARG, "%s is empty: give each model the names of its tensors",
                       name);
    for (const horus_infer_list *l = map; l && l->model; l++) {
        horusi_check_word(p, name, "an entry", "key", l->model);
        if (!l->names || !l->names[0])
            horusi_problem(p, HORUS_E_ARG, "%s: the list of model %.63s is empty: name its tensors",
                           name, l->model);
        (void)snprintf(of, sizeof of, "the list of model %.63s", l->model);
        for (const char *const *t = l->names; t && *t; t++)
            horusi_check_word(p, name, of, "tensor's name", *t);
    }
}
/* One key of a map: a model, and not there before. */
static void horusi_check_key(horusi_problems *p, const horus_infer_desc *d, const char *map,
                             const char *key, bool again)
{
    if (again)
        horusi_problem(p, HORUS_E_ARG, "%s: model %.63s is there twice", map, key);
    if (key[0] && !horusi_entry_of(d->model_path_map, key))
        horusi_problem(p, HORUS_E_ARG,
                       "%s: \"%.63s\" is no model of model_path_map: did you mean \"%.63s\"?", map,
                       key, horusi_near_model(d, key));
}
static void horusi_check_sizes(horusi_problems *p, const horus_infer_desc *d, const char *name,
                               const horus_infer_list *map)
{
    uint32_t models = 0, lists = 0;
    for (const horus_infer_entry *e = d->model_path_map; e && e->model; e++)
        models++;
    for (const horus_infer_list *l = map; l && l->model; l++)
        lists++;
    if (models != lists)
        horusi_problem(p, HORUS_E_ARG,
                       "size mismatch: model_path_map has %u models, %s %u: each needs one entry",
                       (unsigned)models, name, (unsigned)lists);
    for (const horus_infer_entry *e = d->model_path_map; e && e->model; e++)
        if (e->model[0] && !horusi_list_of(map, e->model))
            horusi_problem(p, HORUS_E_ARG, "model keyword: %.63s is not in %s", e->model, name);
    for (const horus_infer_list *l = map; l && l->model; l++)
        horusi_check_key(p, d, name, l->model, l->model[0] && horusi_list_of(map, l->model) != l);
}
/* in_tensor_names, out_tensor_names */
static void horusi_check_tensors(horusi_problems *p, const char *name, const char *const *names,
                                 const char *map_name, const horus_infer_list *map)
{
    for (const char *const *t = names; t && *t; t++) {
        if (!horusi_has_tensor(map, *t))
            horusi_problem(p, HORUS_E_ARG, "%s: \"%.63s\" is not in %s: did you mean \"%.63s\"?",
                           name, *t, map_name, horusi_near_tensor(map, *t));
        for (const char *const *o = names; o < t; o++)
            if (strcmp(*o, *t) == 0) {
                horusi_problem(p, HORUS_E_ARG, "%s: \"%.63s\" is there twice", name, *t);
                break;
            }
    }
}
static void horusi_check_twice(horusi_problems *p, const horus_infer_desc *d)
{
    for (const horus_infer_list *l = d->pre_processor_map; l && l->model; l++)
        for (const char *const *t = l->names; t && *t; t++)
            for (const char *const *o = l->names; o < t; o++)
                if (strcmp(*o, *t) == 0) {
                    horusi_problem(p, HORUS_E_ARG,
                                   "pre_processor_map: model %.63s takes tensor \"%.63s\" twice",
                                   l->model, *t);
                    break;
                }
    horusi_check_tensors(p, "in_tensor_names", d->in_tensor_names, "pre_processor_map",
                         d->pre_processor_map);
    for (const horus_infer_list *l = d->inference_map; l && l->model; l++)
        for (const char *const *t = l->names; t && *t; t++)
            for (const horus_infer_list *k = d->inference_map; k <= l; k++)
                for (const char *const *o = k->names; o && *o && o != t; o++)
                    if (strcmp(*o, *t) == 0) {
                        horusi_problem(p, HORUS_E_ARG,
                                       "inference_map: tensor \"%.63s\" of model %.63s is given by "
                                       "model %.63s already",
                                       *t, l->model, k->model);
                        break;
                    }
    horusi_check_tensors(p, "out_tensor_names", d->out_tensor_names, "inference_map",
                         d->inference_map);
}

/* The keys and numbers of a map. */
static void horusi_check_numbers(horusi_problems *p, const horus_infer_desc *d, const char *name,
                                 const horus_infer_entry *map, uint32_t least, uint32_t most,
                                 const char *right)
{
    for (const horus_infer_entry *e = map; e && e->model; e++) {
        const char *value = e->value ? e->value : "";
        uint32_t n;
        bool again = false;
        for (const horus_infer_entry *o = map; o < e; o++)
            again |= strcmp(o->model, e->model) == 0;
        horusi_check_word(p, name, "an entry", "key", e->model);
        horusi_check_key(p, d, name, e->model, again);
        if (!horusi_number(value, most, &n) || n < least)
            horusi_problem(p, HORUS_E_ARG, "%s: model %.63s: \"%.40s\" is not %s", name, e->model,
                           value, right);
    }
}
static void horusi_check_maps(horusi_problems *p, const horus_infer_desc *d)
{
    horusi_check_numbers(p, d, "device_map", d->device_map, 0, 1023,
                         "the number of a GPU: \"0\" is the first one");
    horusi_check_numbers(p, d, "dla_core_map", d->dla_core_map, 0, 1023,
                         "the number of a DLA core: \"0\" is the first one");
    horusi_check_numbers(p, d, "temporal_map", d->temporal_map, 1, 1000000000,
                         "a number of frames: \"1\" runs on each, \"10\" on every tenth");
    horusi_check_numbers(p, d, "activation_map", d->activation_map, 0, 1,
                         "\"1\" (active) or \"0\" (not)");
    for (const horus_infer_list *l = d->trt_opt_profile; l && l->model; l++) {
        horusi_check_key(p, d, "trt_opt_profile", l->model,
                         horusi_list_of(d->trt_opt_profile, l->model) != l);
        if (horusi_names_in(l) != 3)
            horusi_problem(p, HORUS_E_ARG,
                           "trt_opt_profile: model %.63s has %u shapes, not 3: the smallest, the "
                           "usual and the largest",
                           l->model, (unsigned)horusi_names_in(l));
    }
}
static void horusi_check_choice(horusi_problems *p, const char *name, horus_choice c)
{
    if ((uint32_t)c > HORUS_NO)
        horusi_problem(p, HORUS_E_ARG, "%s is %d, not HORUS_AUTO, HORUS_YES or HORUS_NO", name,
                       (int)c);
}
/* What is not of the parameter file. */
static void horusi_check_rest(horusi_problems *p, const horus_infer_desc *d)
{
    const int64_t hour = 3600000000000;
    uint32_t sources = 0;
    horusi_check_choice(p, "input_on_cuda", d->input_on_cuda);
    horusi_check_choice(p, "output_on_cuda", d->output_on_cuda);
    horusi_check_choice(p, "transmit_on_cuda", d->transmit_on_cuda);
    horusi_check_choice(p, "parallel_inference", d->parallel_inference);
    horusi_check_choice(p, "enable_cuda_graphs", d->enable_cuda_graphs);
    horusi_check_choice(p, "dla_gpu_fallback", d->dla_gpu_fallback);
    if (d->name && (d->name[0] == 0 || strlen(d->name) >= HORUS_NAME_BYTES))
        horusi_problem(p, HORUS_E_ARG, "name has %zu bytes, not 1 to 96", strlen(d->name));
    if (d->budget_ns < 0 || d->budget_ns > hour)
        horusi_problem(p, HORUS_E_ARG, "budget_ns is %lld, not 0 to %lld ns",
                       (long long)d->budget_ns, (long long)hour);
    if (d->wait_ns < 0 || d->wait_ns > hour)
        horusi_problem(p, HORUS_E_ARG, "wait_ns is %lld, not 0 to %lld ns", (long long)d->wait_ns,
                       (long long)hour);
    if (d->threads > 1024)
        horusi_problem(p, HORUS_E_ARG, "threads is %u, not 0 to 1024", (unsigned)d->threads);
    for (const horus_infer_input *i = d->inputs; i && i->topic; i++) {
        if (i->tensor && !horusi_has_tensor(d->pre_processor_map, i->tensor))
            horusi_problem(p, HORUS_E_ARG,
                           "inputs: \"%.63s\" is not in pre_processor_map: did you mean \"%.63s\"?",
                           i->tensor, horusi_near_tensor(d->pre_processor_map, i->tensor));
        if (++sources == HORUSI_MAX_SOURCES + 1)
            horusi_problem(p, HORUS_E_ARG, "inputs: more than 64 topics: merge some");
    }
}

/* ------------------------------------------------------------------------------------ >>backends
 *
 * The two that compute next to nothing; the table of all is in >>registry. */
typedef struct horusi_plain {
    uint32_t takes;
    bool adds;
} horusi_plain;
static horus_result horusi_plain_load(void *user, const horus_infer_load *how, void **model,
                                      char *why, size_t room)
{
    horusi_plain *m = (horusi_plain *)horusi_new(NULL, sizeof *m);
    *model = m;
    if (!m) {
        horusi_text(why, room, horusi_error_text);
        return HORUS_E_MEMORY;
    }
    m->takes = how->inputs;
    m->adds = user != NULL;
    return HORUS_OK;
}
static horus_result horusi_plain_io(void *model, bool output, uint32_t number, horus_infer_io *out,
                                    char *why, size_t room)
{
    const horusi_plain *m = (const horusi_plain *)model;
    (void)why, (void)room;
    if (number >= (output && m->adds ? 1 : m->takes))
        return HORUS_E_NOT_FOUND;
    (void)snprintf(out->name, sizeof out->name, "%s%u", output ? "y" : "x", (unsigned)number);
    out->dtype = out->ndim = HORUS_INFER_ANY;
    return HORUS_OK;
}
#define HORUSI_ADD(type, name)                                                                     \
    static void name(void *to, const void *from, uint64_t count)                                   \
    {                                                                                              \
        type *t = (type *)to;                                                                      \
        const type *f = (const type *)from;                                                        \
        for (uint64_t i = 0; i < count; i++)                                                       \
            t[i] = (type)(t[i] + f[i]);                                                            \
    }
HORUSI_ADD(float, horusi_add_f32)
HORUSI_ADD(uint8_t, horusi_add_8)
HORUSI_ADD(uint32_t, horusi_add_32)
HORUSI_ADD(uint64_t, horusi_add_64)
#undef HORUSI_ADD
static horus_result horusi_plain_run(void *model, horus_infer_call *call)
{
    const horusi_plain *m = (const horusi_plain *)model;
    for (uint32_t i = 0; i < call->output_count; i++) {
        const horus_tensor *from = &call->inputs[i];
        horus_result r = call->alloc(call, i, (horus_dtype)from->dtype, from->ndim, from->shape);
        if (r != HORUS_OK)
            return r;
        memcpy(call->outputs[i].data, from->data,
               (size_t)horus_tensor_numel(from) * horus_dtype_bytes((horus_dtype)from->dtype));
    }
    const horus_tensor *first = &call->inputs[0];
    uint64_t count = horus_tensor_numel(first);
    for (uint32_t i = 1; m->adds && i < call->input_count; i++) {
        const horus_tensor *more = &call->inputs[i];
        void *to = call->outputs[0].data;
        if (more->dtype != first->dtype || horus_tensor_numel(more) != count) {
            (void)snprintf(call->why, sizeof call->why,
                           "add: input %u has another dtype or number of elements than input 0",
                           (unsigned)i);
            return HORUS_E_SIZE;
        }
        switch (first->dtype) {
        case HORUS_F32:
            horusi_add_f32(to, more->data, count);
            break;
        case HORUS_U8: /* sums wrap, signed ones too */
        case HORUS_I8:
            horusi_add_8(to, more->data, count);
            break;
        case HORUS_U32:
        case HORUS_I32:
            horusi_add_32(to, more->data, count);
            break;
        case HORUS_U64:
        case HORUS_I64:
            horusi_add_64(to, more->data, count);
            break;
        default:
            (void)snprintf(call->why, sizeof call->why,
                           "add: no %s: float32, and integers of 8, "
                           "32 and 64 bits",
                           horus_dtype_name((horus_dtype)first->dtype));
            return HORUS_E_TYPE;
        }
    }
    return HORUS_OK;
}
static void horusi_plain_unload(void *model) { horusi_delete(NULL, model); }

/* ------------------------------------------------------------------------------------ >>onnxrt
 *
 * ONNX Runtime by its C interface: a table of functions that only ever grows, so that each is known by
 * its place. Its header is not needed. One runtime and one environment serve the process. */
enum { HORUSI_ORT_API = 16 }; /* the table's version; newer libraries have it too */
enum {
    HORUSI_ORT_MESSAGE = 2,
    HORUSI_ORT_ENV = 3,
    HORUSI_ORT_SESSION = 7,
    HORUSI_ORT_RUN = 9,
    HORUSI_ORT_OPTIONS = 10,
    HORUSI_ORT_THREADS = 24,
    HORUSI_ORT_INPUTS = 30, /* how many; 31 for outputs. So with the next two */
    HORUSI_ORT_TYPE = 33,
    HORUSI_ORT_NAME = 36,
    HORUSI_ORT_RUN_OPTIONS = 39,
    HORUSI_ORT_TERMINATE = 46, /* 47 takes it back */
    HORUSI_ORT_TENSOR = 49,
    HORUSI_ORT_DATA = 51,
    HORUSI_ORT_TENSOR_INFO = 55,
    HORUSI_ORT_ELEMENT = 60,
    HORUSI_ORT_NDIM = 61,
    HORUSI_ORT_SHAPE = 62,
    HORUSI_ORT_SHAPE_INFO = 65,
    HORUSI_ORT_CPU = 69,
    HORUSI_ORT_FREE = 76,
    HORUSI_ORT_ALLOCATOR = 78,
    HORUSI_ORT_NO_ENV = 92, /* releases: of each kind of object another one */
    HORUSI_ORT_NO_STATUS = 93,
    HORUSI_ORT_NO_MEMORY = 94,
    HORUSI_ORT_NO_SESSION = 95,
    HORUSI_ORT_NO_VALUE = 96,
    HORUSI_ORT_NO_RUN_OPTIONS = 97,
    HORUSI_ORT_NO_TYPE = 98,
    HORUSI_ORT_NO_SHAPE_INFO = 99,
    HORUSI_ORT_NO_OPTIONS = 100,
    HORUSI_ORT_PROVIDERS = 125,
    HORUSI_ORT_NO_PROVIDERS = 126,
    HORUSI_ORT_CONFIG = 130,
    HORUSI_ORT_TRT = 170,  /* append, create, update; 174 releases */
    HORUSI_ORT_CUDA = 204, /* likewise; 208 */
    HORUSI_ORT_NO_PROVIDER = 4
};
static struct {
    horusi_a32 lock;
    const horusi_symbol *api; /* NULL: not loaded */
    void *env, *memory, *allocator;
    char path[300], version[32];
} horusi_ort;
/* Calls the function at a place; the types are those of its parameters. Those that return a status
 * return NULL if all is well. */
#define HORUSI_ORT(place, ...) ((void *(*)(__VA_ARGS__))horusi_ort.api[place])
#define HORUSI_ORT_END(place, object) ((void (*)(void *))horusi_ort.api[place])(object)

/* True if it is none; else its words are in `why`, and it is gone. */
static bool horusi_ort_ok(void *status, char *why, size_t room)
{
    if (!status)
        return true;
    horusi_text(why, room,
                ((const char *(*)(const void *))horusi_ort.api[HORUSI_ORT_MESSAGE])(status));
    HORUSI_ORT_END(HORUSI_ORT_NO_STATUS, status);
    return false;
}

/* Begins with the library, which is loaded for good. */
static horus_result horusi_ort_begin(const char *path, char *why, size_t room)
{
    typedef struct ort_base {
        const void *(*get)(uint32_t version);
        const char *(*version)(void);
    } ort_base;
    void *library = horusi_library_open(path, why, room);
    if (!library)
        return HORUS_E_NOT_FOUND;
    horusi_symbol symbol = horusi_library_symbol(library, "OrtGetApiBase");
    const ort_base *base = symbol ? ((const ort_base *(*)(void))symbol)() : NULL;
    horusi_ort.api = base ? (const horusi_symbol *)base->get(HORUSI_ORT_API) : NULL;
    if (!horusi_ort.api) {
        (void)snprintf(why, room, "%.100s is %s", path,
                       base ? "an ONNX Runtime before 1.16: take a newer one" : "no ONNX Runtime");
        horusi_library_close(library);
        return HORUS_E_UNSUPPORTED;
    }
    horusi_text(horusi_ort.path, sizeof horusi_ort.path, path);
    horusi_text(horusi_ort.version, sizeof horusi_ort.version, base->version());
    if (horusi_ort_ok(
            HORUSI_ORT(HORUSI_ORT_ENV, int, const char *, void **)(4, "horus", &horusi_ort.env),
            why, room) &&
        horusi_ort_ok(HORUSI_ORT(HORUSI_ORT_CPU, int, int, void **)(0, 0, &horusi_ort.memory), why,
                      room) &&
        horusi_ort_ok(HORUSI_ORT(HORUSI_ORT_ALLOCATOR, void **)(&horusi_ort.allocator), why, room))
        return HORUS_OK;
    if (horusi_ort.env)
        HORUSI_ORT_END(HORUSI_ORT_NO_ENV, horusi_ort.env);
    if (horusi_ort.memory)
        HORUSI_ORT_END(HORUSI_ORT_NO_MEMORY, horusi_ort.memory);
    horusi_ort.env = horusi_ort.memory = NULL;
    horusi_ort.api = NULL;
    horusi_library_close(library);
    return HORUS_E_UNSUPPORTED;
}
/* Sees to it that the runtime is there. */
static horus_result horusi_ort_open(const horus_infer_desc *d, char *why, size_t room)
{
    const char *named = d->library ? d->library : getenv("ORT_DYLIB_PATH");
    const char *const usual[] = {"libonnxruntime.so.1", "libonnxruntime.so"};
    horus_result r = HORUS_OK;
    named = named && *named ? named : NULL;
    horusi_lock(&horusi_ort.lock);
    if (!horusi_ort.api) {
        char said[200] = "";
        r = horusi_ort_begin(named ? named : usual[0], said, sizeof said);
        if (r == HORUS_E_NOT_FOUND && !named)
            r = horusi_ort_begin(usual[1], said, sizeof said);
        if (r == HORUS_E_NOT_FOUND)
            (void)snprintf(why, room,
                           "%s: %s. Install ONNX Runtime, or name its library (library, or "
                           "ORT_DYLIB_PATH): that of the Python package is "
                           "onnxruntime/capi/libonnxruntime.so.1.*",
                           named ? "its library cannot be loaded" : "it is not installed", said);
        else if (r != HORUS_OK)
            horusi_text(why, room, said);
    } else if (d->library && strcmp(d->library, horusi_ort.path) != 0) {
        (void)snprintf(why, room, "library is \"%.200s\", but this process has loaded \"%.200s\"",
                       d->library, horusi_ort.path);
        r = HORUS_E_UNSUPPORTED;
    }
    horusi_unlock(&horusi_ort.lock);
    return r == HORUS_E_NOT_FOUND ? HORUS_E_UNSUPPORTED : r;
}

typedef struct horusi_ort_model {
    void *session, *run_options;
    uint32_t count[2]; /* inputs, outputs */
    char **names;      /* of both, the runtime's */
    void **values;     /* of one run */
    bool gpu;
} horusi_ort_model;

/* Whether the runtime was built with an execution provider. */
static bool horusi_ort_has(const char *provider)
{
    char **names = NULL, why[8];
    int count = 0;
    bool has = false;
    if (!horusi_ort_ok(HORUSI_ORT(HORUSI_ORT_PROVIDERS, char ***, int *)(&names, &count), why,
                       sizeof why))
        return false;
    for (int i = 0; i < count; i++)
        has |= strcmp(names[i], provider) == 0;
    (void)horusi_ort_ok(HORUSI_ORT(HORUSI_ORT_NO_PROVIDERS, char **, int)(names, count), why,
                        sizeof why);
    return has;
}
/* Adds a GPU's provider to the options. It may be listed and yet not be there: then making its options
 * fails, or gives none, or adding them fails. */
static bool horusi_ort_provide(void *options, const horus_infer_load *how, bool trt, char *why,
                               size_t room)
{
    enum { MOST = 10 };
    const int place = trt ? HORUSI_ORT_TRT : HORUSI_ORT_CUDA;
    const horus_infer_desc *d = how->desc;
    const char *key[MOST], *value[MOST],
        *name = trt ? "TensorrtExecutionProvider" : "CUDAExecutionProvider";
    char device[16], core[16], dir[600];
    size_t n = 0;
    void *provider = NULL;
    if (!horusi_ort_has(name)) {
        (void)snprintf(why, room, "%s is not in ONNX Runtime %s of %.80s", name, horusi_ort.version,
                       horusi_ort.path);
        return false;
    }
    (void)snprintf(device, sizeof device, "%d", how->device < 0 ? 0 : (int)how->device);
    key[n] = "device_id", value[n++] = device;
    if (trt) {
        bool made = false;
        /* The provider puts precision and GPU into the name of the engine's file, but of the model only
         * how its tensors are called: one that was trained anew would get the old one's engine. */
        horus_result kept = horusi_folder_of(how->path, dir, sizeof dir, &made);
        key[n] = "trt_engine_cache_enable", value[n++] = kept == HORUS_OK ? "1" : "0";
        if (kept == HORUS_OK)
            key[n] = "trt_engine_cache_path", value[n++] = dir;
        (void)snprintf(core, sizeof core, "%d", (int)how->dla_core);
        key[n] = "trt_fp16_enable", value[n++] = d->enable_fp16 ? "1" : "0";
        if (how->dla_core >= 0) {
            key[n] = "trt_dla_enable", value[n++] = "1";
            key[n] = "trt_dla_core", value[n++] = core;
        }
        if (how->profile) {
            key[n] = "trt_profile_min_shapes", value[n++] = how->profile[0];
            key[n] = "trt_profile_opt_shapes", value[n++] = how->profile[1];
            key[n] = "trt_profile_max_shapes", value[n++] = how->profile[2];
        }
        if (d->on_load) {
            char text[800];
            if (kept != HORUS_OK)
                (void)snprintf(
                    text, sizeof text,
                    "an engine for GPU %s is built (minutes), and cannot be kept: %.300s", device,
                    horusi_error_text);
            else
                (void)snprintf(
                    text, sizeof text,
                    made ? "an engine for GPU %s is built (minutes), and kept in %s"
                         : "an engine for GPU %s is taken from %s, or built there: minutes",
                    device, dir);
            d->on_load(d->user, how->model, text);
        }
    }
    bool ok = horusi_ort_ok(HORUSI_ORT(place + 1, void **)(&provider), why, room);
    if (ok && !provider) {
        (void)snprintf(why, room, "%s is listed, but not there", name);
        ok = false;
    }
    ok = ok &&
         horusi_ort_ok(HORUSI_ORT(place + 2, void *, const char *const *, const char *const *,
                                  size_t)(provider, key, value, n),
                       why, room) &&
         horusi_ort_ok(HORUSI_ORT(place, void *, void *)(options, provider), why, room);
    if (provider)
        HORUSI_ORT_END(place + HORUSI_ORT_NO_PROVIDER, provider);
    return ok;
}
/* What of the parameters decides where a model runs. `user` is not NULL: by TensorRT. */
static horus_result horusi_ort_place(void *user, const horus_infer_load *how, void *options,
                                     bool *gpu, char *why, size_t room)
{
    char said[200] = "";
    const bool explicit_gpu = how->device >= 0;
    *gpu = false;
    if (how->desc->infer_on_cpu)
        return HORUS_OK;
    *gpu = horusi_ort_provide(options, how, user != NULL, said, sizeof said);
    if (*gpu || (!explicit_gpu && !user))
        return HORUS_OK;
    (void)snprintf(
        why, room,
        user ? "backend: trt needs a GPU and the provider of TensorRT: %s. \"onnxrt\" works"
             : "device_map: no GPU can be used: %s. Leave it out",
        said);
    return HORUS_E_UNSUPPORTED;
}
static horus_result horusi_ort_options(const horus_infer_load *how, void **options, char *why,
                                       size_t room)
{
    const horus_infer_desc *d = how->desc;
    *options = NULL;
    bool ok = horusi_ort_ok(HORUSI_ORT(HORUSI_ORT_OPTIONS, void **)(options), why, room);
    if (ok && d->threads)
        ok = horusi_ort_ok(HORUSI_ORT(HORUSI_ORT_THREADS, void *, int)(*options, (int)d->threads),
                           why, room);
    if (ok && d->model_path_map[1].model) /* threads that spin take the others' processors */
        ok = horusi_ort_ok(HORUSI_ORT(HORUSI_ORT_CONFIG, void *, const char *, const char *)(
                               *options, "session.intra_op.allow_spinning", "0"),
                           why, room);
    if (!ok && *options) {
        HORUSI_ORT_END(HORUSI_ORT_NO_OPTIONS, *options);
        *options = NULL;
    }
    return ok ? HORUS_OK : HORUS_E_UNSUPPORTED;
}
static horus_result horusi_ort_probe(void *user, const horus_infer_load *how, char *why,
                                     size_t room)
{
    (void)user;
    return horusi_ort_open(how->desc, why, room);
}
static void horusi_ort_unload(void *model)
{
    horusi_ort_model *m = (horusi_ort_model *)model;
    uint32_t all = m->count[0] + m->count[1];
    char why[8];
    for (uint32_t i = 0; m->names && i < all; i++)
        if (m->names[i])
            (void)horusi_ort_ok(
                HORUSI_ORT(HORUSI_ORT_FREE, void *, void *)(horusi_ort.allocator, m->names[i]), why,
                sizeof why);
    if (m->run_options)
        HORUSI_ORT_END(HORUSI_ORT_NO_RUN_OPTIONS, m->run_options);
    if (m->session)
        HORUSI_ORT_END(HORUSI_ORT_NO_SESSION, m->session);
    horusi_delete(NULL, m->names);
    horusi_delete(NULL, m->values);
    horusi_delete(NULL, m);
}
/* Notes what the model takes and gives. */
static horus_result horusi_ort_names(horusi_ort_model *m, char *why, size_t room)
{
    size_t count[2] = {0, 0};
    for (int k = 0; k < 2; k++)
        if (!horusi_ort_ok(
                HORUSI_ORT(HORUSI_ORT_INPUTS + k, void *, size_t *)(m->session, &count[k]), why,
                room))
            return HORUS_E_CORRUPT;
    size_t all = count[0] + count[1];
    m->names = (char **)horusi_new(NULL, (all + 1) * sizeof *m->names);
    m->values = (void **)horusi_new(NULL, (all + 1) * sizeof *m->values);
    if (!m->names || !m->values) {
        horusi_text(why, room, horusi_error_text);
        return HORUS_E_MEMORY;
    }
    m->count[0] = (uint32_t)count[0];
    m->count[1] = (uint32_t)count[1];
    for (uint32_t i = 0; i < all; i++) {
        const int k = i >= m->count[0];
        if (!horusi_ort_ok(HORUSI_ORT(HORUSI_ORT_NAME + k, void *, size_t, void *,
                                      char **)(m->session, k ? i - m->count[0] : i,
                                               horusi_ort.allocator, &m->names[i]),
                           why, room))
            return HORUS_E_CORRUPT;
    }
    return HORUS_OK;
}
static horus_result horusi_ort_load(void *user, const horus_infer_load *how, void **model,
                                    char *why, size_t room)
{
    void *options = NULL;
    horusi_ort_model *m = (horusi_ort_model *)horusi_new(NULL, sizeof *m);
    *model = NULL;
    if (!m) {
        horusi_text(why, room, horusi_error_text);
        return HORUS_E_MEMORY;
    }
    horus_result r = horusi_ort_options(how, &options, why, room);
    if (r == HORUS_OK)
        r = horusi_ort_place(user, how, options, &m->gpu, why, room);
    if (r == HORUS_OK &&
        !horusi_ort_ok(HORUSI_ORT(HORUSI_ORT_SESSION, void *, const char *, void *,
                                  void **)(horusi_ort.env, how->path, options, &m->session),
                       why, room))
        r = HORUS_E_CORRUPT;
    if (r == HORUS_OK &&
        !horusi_ort_ok(HORUSI_ORT(HORUSI_ORT_RUN_OPTIONS, void **)(&m->run_options), why, room))
        r = HORUS_E_UNSUPPORTED;
    if (r == HORUS_OK)
        r = horusi_ort_names(m, why, room);
    if (options)
        HORUSI_ORT_END(HORUSI_ORT_NO_OPTIONS, options);
    if (r == HORUS_OK)
        *model = m;
    else
        horusi_ort_unload(m);
    return r;
}

/* ONNX's element types and ours; -1: none. */
static int horusi_ort_dtype(int element)
{
    static const int8_t dtype[] = {-1,        HORUS_F32, HORUS_U8,  HORUS_I8,      HORUS_U16,
                                   HORUS_I16, HORUS_I32, HORUS_I64, -1 /* text */, HORUS_BOOL,
                                   HORUS_F16, HORUS_F64, HORUS_U32, HORUS_U64,     -1 /* complex */,
                                   -1,        HORUS_BF16};
    return element > 0 && element < (int)sizeof dtype ? dtype[element] : -1;
}
static int horusi_ort_element(uint32_t dtype)
{
    int e = 1;
    while (horusi_ort_dtype(e) != (int)dtype)
        e++;
    return e;
}
/* Shape and dtype from a tensor's description. */
static horus_result horusi_ort_shape(const void *info, horus_infer_io *out, char *why, size_t room)
{
    int element = 0;
    size_t ndim = 0;
    if (!horusi_ort_ok(HORUSI_ORT(HORUSI_ORT_ELEMENT, const void *, int *)(info, &element), why,
                       room) ||
        !horusi_ort_ok(HORUSI_ORT(HORUSI_ORT_NDIM, const void *, size_t *)(info, &ndim), why, room))
        return HORUS_E_CORRUPT;
    if (ndim > HORUS_MAX_DIMS || horusi_ort_dtype(element) < 0) {
        if (ndim > HORUS_MAX_DIMS)
            (void)snprintf(why, room, "it has %zu dimensions, tensors have 8 at most", ndim);
        else
            (void)snprintf(why, room,
                           "its elements are of ONNX's type %d (8 is text): there is no "
                           "such tensor",
                           element);
        return HORUS_E_TYPE;
    }
    out->dtype = horusi_ort_dtype(element);
    out->ndim = (int32_t)ndim;
    return horusi_ort_ok(HORUSI_ORT(HORUSI_ORT_SHAPE, const void *, int64_t *,
                                    size_t)(info, out->shape, ndim),
                         why, room)
               ? HORUS_OK
               : HORUS_E_CORRUPT;
}
static horus_result horusi_ort_io(void *model, bool output, uint32_t number, horus_infer_io *out,
                                  char *why, size_t room)
{
    const horusi_ort_model *m = (const horusi_ort_model *)model;
    void *type = NULL;
    const void *info = NULL;
    if (number >= m->count[output])
        return HORUS_E_NOT_FOUND;
    horusi_text(out->name, sizeof out->name, m->names[number + (output ? m->count[0] : 0)]);
    horus_result r = HORUS_E_CORRUPT;
    if (horusi_ort_ok(HORUSI_ORT(HORUSI_ORT_TYPE + output, void *, size_t, void **)(m->session,
                                                                                    number, &type),
                      why, room) &&
        horusi_ort_ok(HORUSI_ORT(HORUSI_ORT_TENSOR_INFO, const void *, const void **)(type, &info),
                      why, room)) {
        if (info)
            r = horusi_ort_shape(info, out, why, room);
        else {
            horusi_text(why, room, "it is a sequence, map or the like, not a tensor");
            r = HORUS_E_TYPE;
        }
    }
    if (type)
        HORUSI_ORT_END(HORUSI_ORT_NO_TYPE, type);
    return r;
}

/* A value of the runtime over memory of ours. */
static bool horusi_ort_wrap(const horus_tensor *t, void **value, char *why, size_t room)
{
    uint64_t bytes = horus_tensor_numel(t) * horus_dtype_bytes((horus_dtype)t->dtype);
    return horusi_ort_ok(HORUSI_ORT(HORUSI_ORT_TENSOR, const void *, void *, size_t,
                                    const int64_t *, size_t, int,
                                    void **)(horusi_ort.memory, t->data, (size_t)bytes, t->shape,
                                             t->ndim, horusi_ort_element(t->dtype), value),
                         why, room);
}
/* Takes an output that the runtime has made, its shape being known only now. */
static horus_result horusi_ort_take(horus_infer_call *call, uint32_t number, void *value)
{
    void *info = NULL, *data = NULL;
    horus_infer_io io;
    memset(&io, 0, sizeof io);
    if (!horusi_ort_ok(HORUSI_ORT(HORUSI_ORT_SHAPE_INFO, void *, void **)(value, &info), call->why,
                       sizeof call->why))
        return HORUS_E_SYSTEM;
    horus_result r = horusi_ort_shape(info, &io, call->why, sizeof call->why);
    HORUSI_ORT_END(HORUSI_ORT_NO_SHAPE_INFO, info);
    if (r != HORUS_OK)
        return r;
    if (!horusi_ort_ok(HORUSI_ORT(HORUSI_ORT_DATA, void *, void **)(value, &data), call->why,
                       sizeof call->why))
        return HORUS_E_SYSTEM;
    r = call->alloc(call, number, (horus_dtype)io.dtype, (uint32_t)io.ndim, io.shape);
    if (r == HORUS_OK && horus_tensor_numel(&call->outputs[number]) > 0)
        memcpy(call->outputs[number].data, data,
               (size_t)horus_tensor_numel(&call->outputs[number]) *
                   horus_dtype_bytes((horus_dtype)io.dtype));
    return r;
}
static horus_result horusi_ort_run(void *model, horus_infer_call *call)
{
    horusi_ort_model *m = (horusi_ort_model *)model;
    const uint32_t all = m->count[0] + m->count[1];
    horus_result r = HORUS_OK;
    memset(m->values, 0, all * sizeof *m->values);
    for (uint32_t i = 0; i < all && r == HORUS_OK; i++) {
        const horus_tensor *t =
            i < m->count[0] ? &call->inputs[i] : &call->outputs[i - m->count[0]];
        if (t->data && !horusi_ort_wrap(t, &m->values[i], call->why, sizeof call->why))
            r = HORUS_E_SYSTEM;
    }
    if (r == HORUS_OK &&
        !horusi_ort_ok(HORUSI_ORT(HORUSI_ORT_RUN, void *, void *, const char *const *, void **,
                                  size_t, const char *const *, size_t, void **)(
                           m->session, m->run_options, (const char *const *)m->names, m->values,
                           m->count[0], (const char *const *)m->names + m->count[0], m->count[1],
                           m->values + m->count[0]),
                       call->why, sizeof call->why))
        r = HORUS_E_SYSTEM;
    for (uint32_t i = 0; i < m->count[1] && r == HORUS_OK; i++)
        if (!call->outputs[i].data)
            r = horusi_ort_take(call, i, m->values[m->count[0] + i]);
    for (uint32_t i = 0; i < all; i++)
        if (m->values[i])
            HORUSI_ORT_END(HORUSI_ORT_NO_VALUE, m->values[i]);
    return r;
}
static void horusi_ort_abort(void *model, bool now)
{
    const horusi_ort_model *m = (const horusi_ort_model *)model;
    char why[8];
    (void)horusi_ort_ok(HORUSI_ORT(HORUSI_ORT_TERMINATE + (now ? 0 : 1), void *)(m->run_options),
                        why, sizeof why);
}
static bool horusi_ort_on_gpu(void *model) { return ((const horusi_ort_model *)model)->gpu; }

/* ------------------------------------------------------------------------------------ >>openvino
 *
 * OpenVINO by its C interface, function by function: its header is not needed. One library and one core
 * serve the process. It runs on the processor, in single precision unless half is asked for. */
typedef struct horusi_ov_shape { /* theirs, as the next three */
    int64_t rank, *dims;
} horusi_ov_shape;
typedef struct horusi_ov_range {
    int64_t least, most;
} horusi_ov_range;
typedef struct horusi_ov_partial {
    horusi_ov_range rank, *dims;
} horusi_ov_partial;
typedef struct horusi_ov_version {
    const char *build, *description;
} horusi_ov_version;
/* X(result, name, parameters). An int is a status, 0 if all is well. */
/* clang-format off */
#define HORUSI_OV_CALLS(X)                                                                         \
    X(const char *, ov_get_last_err_msg, (void))                                                   \
    X(void, ov_free, (const char *))                                                               \
    X(int, ov_get_openvino_version, (horusi_ov_version *))                                         \
    X(void, ov_version_free, (horusi_ov_version *))                                                \
    X(int, ov_core_create, (void **))                                                              \
    X(void, ov_core_free, (void *))                                                                \
    X(int, ov_core_compile_model_from_file,                                                        \
      (const void *, const char *, const char *, size_t, void **, ...))                            \
    X(void, ov_compiled_model_free, (void *))                                                      \
    X(int, ov_compiled_model_inputs_size, (const void *, size_t *))                                \
    X(int, ov_compiled_model_outputs_size, (const void *, size_t *))                               \
    X(int, ov_compiled_model_input_by_index, (const void *, size_t, void **))                      \
    X(int, ov_compiled_model_output_by_index, (const void *, size_t, void **))                     \
    X(int, ov_compiled_model_create_infer_request, (const void *, void **))                        \
    X(int, ov_port_get_any_name, (const void *, char **))                                          \
    X(int, ov_port_get_partial_shape, (const void *, horusi_ov_partial *))                         \
    X(int, ov_port_get_element_type, (const void *, int *))                                        \
    X(void, ov_partial_shape_free, (horusi_ov_partial *))                                          \
    X(void, ov_output_const_port_free, (void *))                                                   \
    X(int, ov_tensor_create_from_host_ptr, (int, horusi_ov_shape, void *, void **))                \
    X(int, ov_tensor_get_shape, (const void *, horusi_ov_shape *))                                 \
    X(int, ov_shape_free, (horusi_ov_shape *))                                                     \
    X(int, ov_tensor_get_element_type, (const void *, int *))                                      \
    X(int, ov_tensor_data, (const void *, void **))                                                \
    X(void, ov_tensor_free, (void *))                                                              \
    X(int, ov_infer_request_set_input_tensor_by_index, (void *, size_t, const void *))             \
    X(int, ov_infer_request_set_output_tensor_by_index, (void *, size_t, const void *))            \
    X(int, ov_infer_request_get_output_tensor_by_index, (const void *, size_t, void **))           \
    X(int, ov_infer_request_infer, (void *))                                                       \
    X(int, ov_infer_request_start_async, (void *))                                                 \
    X(int, ov_infer_request_wait, (void *))                                                        \
    X(int, ov_infer_request_cancel, (void *))                                                      \
    X(void, ov_infer_request_free, (void *))
/* clang-format on */
static struct horusi_ov_calls {
    horusi_a32 lock;
    void *core; /* NULL: not loaded */
    char path[300];
#define HORUSI_X(result, name, parameters) result(*name) parameters;
    HORUSI_OV_CALLS(HORUSI_X)
#undef HORUSI_X
} horusi_ov;

/* True if a status is none; else what OpenVINO says of it is in `why`: one line, without the places in
 * its source that it begins with. */
static bool horusi_ov_ok(int status, char *why, size_t room)
{
    if (status == 0)
        return true;
    const char *said = horusi_ov.ov_get_last_err_msg(), *line = said;
    size_t used = 0;
    (void)snprintf(why, room, "OpenVINO's status %d", status);
    while (line && *line) {
        size_t n = 0;
        while (line[n] && line[n] != '\n')
            n++;
        if (n > 0 && strncmp(line, "Exception from", 14) != 0 && used < room)
            used +=
                (size_t)snprintf(why + used, room - used, "%s%.*s", used ? " " : "", (int)n, line);
        line += n + (line[n] == '\n');
    }
    horusi_ov.ov_free(said);
    return false;
}

/* OpenVINO's element types and ours; -1: none. */
static int horusi_ov_dtype(int type)
{
    static const int8_t dtype[] = {-1 /* any */,
                                   HORUS_BOOL,
                                   HORUS_BF16,
                                   HORUS_F16,
                                   HORUS_F32,
                                   HORUS_F64,
                                   -1 /* of 4 bits */,
                                   HORUS_I8,
                                   HORUS_I16,
                                   HORUS_I32,
                                   HORUS_I64,
                                   -1,
                                   -1 /* of 1 to 6 bits */,
                                   -1,
                                   -1,
                                   -1,
                                   HORUS_U8,
                                   HORUS_U16,
                                   HORUS_U32,
                                   HORUS_U64};
    return (size_t)type < sizeof dtype ? dtype[type] : -1;
}
static int horusi_ov_type(uint32_t dtype)
{
    int type = 1;
    while (horusi_ov_dtype(type) != (int)dtype)
        type++;
    return type;
}

/* Begins with the library, which is loaded for good. */
static horus_result horusi_ov_begin(const char *path, char *why, size_t room)
{
    static const struct {
        const char *name;
        size_t at;
    } call[] = {
#define HORUSI_X(result, name, parameters) {#name, offsetof(struct horusi_ov_calls, name)},
        HORUSI_OV_CALLS(HORUSI_X)
#undef HORUSI_X
    };
    const char *missing = NULL;
    void *library = horusi_library_open(path, why, room);
    if (!library)
        return HORUS_E_NOT_FOUND;
    for (size_t i = 0; i < sizeof call / sizeof *call && !missing; i++) {
        horusi_symbol symbol = horusi_library_symbol(library, call[i].name);
        memcpy((char *)&horusi_ov + call[i].at, &symbol, sizeof symbol);
        missing = symbol ? NULL : call[i].name;
    }
    horusi_ov_version version = {NULL, NULL};
    /* before 2025.4 types are counted otherwise, and what a model hands through gets lost */
    if (missing || horusi_ov.ov_get_openvino_version(&version) != 0 ||
        strcmp(version.build, "2025.4") < 0)
        (void)snprintf(why, room, "%.100s is %s%.45s: take OpenVINO 2025.4 or newer", path,
                       missing ? "without " : "OpenVINO ",
                       missing         ? missing
                       : version.build ? version.build
                                       : "of no version");
    else if (horusi_ov_ok(horusi_ov.ov_core_create(&horusi_ov.core), why, room))
        horusi_text(horusi_ov.path, sizeof horusi_ov.path, path);
    else
        horusi_ov.core = NULL;
    if (version.build)
        horusi_ov.ov_version_free(&version);
    if (horusi_ov.core)
        return HORUS_OK;
    horusi_library_close(library);
    return HORUS_E_UNSUPPORTED;
}
static horus_result horusi_ov_probe(void *user, const horus_infer_load *how, char *why, size_t room)
{
    const char *path = how->desc->library, *usual = "libopenvino_c.so";
    horus_result r = HORUS_OK;
    (void)user;
    path = path ? path : getenv("OPENVINO_DYLIB_PATH");
    path = path && *path ? path : usual;
    horusi_lock(&horusi_ov.lock);
    if (!horusi_ov.core) {
        char said[200] = "";
        r = horusi_ov_begin(path, said, sizeof said);
        if (r == HORUS_E_NOT_FOUND)
            (void)snprintf(why, room,
                           "%s: %s. Install OpenVINO, or name its library (library, or "
                           "OPENVINO_DYLIB_PATH): that of the Python package is "
                           "openvino/libs/libopenvino_c.so.*",
                           path == usual ? "it is not installed" : "its library cannot be loaded",
                           said);
        else if (r != HORUS_OK)
            horusi_text(why, room, said);
    } else if (how->desc->library && strcmp(path, horusi_ov.path) != 0) {
        (void)snprintf(why, room, "library is \"%.200s\", but this process has loaded \"%.200s\"",
                       path, horusi_ov.path);
        r = HORUS_E_UNSUPPORTED;
    }
    horusi_unlock(&horusi_ov.lock);
    return r == HORUS_E_NOT_FOUND ? HORUS_E_UNSUPPORTED : r;
}

typedef struct horusi_ov_model {
    void *compiled, *request;
    size_t count[2]; /* inputs, outputs */
    bool watched;    /* a run may be aborted */
    horusi_a32 stop; /* it is to be */
} horusi_ov_model;
static void horusi_ov_unload(void *model)
{
    horusi_ov_model *m = (horusi_ov_model *)model;
    if (m->request)
        horusi_ov.ov_infer_request_free(m->request);
    if (m->compiled)
        horusi_ov.ov_compiled_model_free(m->compiled);
    horusi_delete(NULL, m);
}
static horus_result horusi_ov_load(void *user, const horus_infer_load *how, void **model, char *why,
                                   size_t room)
{
    const horus_infer_desc *d = how->desc;
    char threads[16];
    horusi_ov_model *m = (horusi_ov_model *)horusi_new(NULL, sizeof *m);
    (void)user;
    *model = NULL;
    if (!m) {
        horusi_text(why, room, horusi_error_text);
        return HORUS_E_MEMORY;
    }
    m->watched = d->budget_ns > 0;
    (void)snprintf(threads, sizeof threads, "%u", (unsigned)d->threads);
    /* some processors would compute in 16 bits unless they are told */
    if (horusi_ov_ok(horusi_ov.ov_core_compile_model_from_file(
                         horusi_ov.core, how->path, "CPU", d->threads ? 4 : 2, &m->compiled,
                         "INFERENCE_PRECISION_HINT", d->enable_fp16 ? "f16" : "f32",
                         "INFERENCE_NUM_THREADS", threads),
                     why, room) &&
        horusi_ov_ok(horusi_ov.ov_compiled_model_create_infer_request(m->compiled, &m->request),
                     why, room) &&
        horusi_ov_ok(horusi_ov.ov_compiled_model_inputs_size(m->compiled, &m->count[0]), why,
                     room) &&
        horusi_ov_ok(horusi_ov.ov_compiled_model_outputs_size(m->compiled, &m->count[1]), why,
                     room)) {
        *model = m;
        return HORUS_OK;
    }
    horusi_ov_unload(m);
    return HORUS_E_CORRUPT;
}

/* A dtype, and a number of dimensions, as ours. */
static horus_result horusi_ov_form(int type, int64_t ndim, horus_infer_io *out, char *why,
                                   size_t room)
{
    out->dtype = horusi_ov_dtype(type);
    out->ndim = (int32_t)ndim;
    if ((uint64_t)ndim <= HORUS_MAX_DIMS && out->dtype >= 0)
        return HORUS_OK;
    if (out->dtype < 0)
        (void)snprintf(why, room, "its elements are of OpenVINO's type %d: there is no such tensor",
                       type);
    else
        (void)snprintf(why, room, "it has %lld dimensions, tensors have 8 at most",
                       (long long)ndim);
    return HORUS_E_TYPE;
}
static horus_result horusi_ov_io(void *model, bool output, uint32_t number, horus_infer_io *out,
                                 char *why, size_t room)
{
    const horusi_ov_model *m = (const horusi_ov_model *)model;
    horusi_ov_partial shape;
    void *port = NULL;
    char *name = NULL;
    int type = -1;
    if (number >= m->count[output])
        return HORUS_E_NOT_FOUND;
    memset(&shape, 0, sizeof shape);
    horus_result r = HORUS_E_CORRUPT;
    if (horusi_ov_ok((output
                          ? horusi_ov.ov_compiled_model_output_by_index
                          : horusi_ov.ov_compiled_model_input_by_index)(m->compiled, number, &port),
                     why, room) &&
        horusi_ov_ok(horusi_ov.ov_port_get_element_type(port, &type), why, room) &&
        horusi_ov_ok(horusi_ov.ov_port_get_partial_shape(port, &shape), why, room)) {
        const bool open = shape.rank.least != shape.rank.most;
        r = horusi_ov_form(type, open ? 0 : shape.rank.most, out, why, room);
        for (int32_t i = 0; i < out->ndim && r == HORUS_OK; i++)
            out->shape[i] =
                shape.dims[i].least == shape.dims[i].most ? shape.dims[i].most : HORUS_INFER_ANY;
        if (open)
            out->ndim = HORUS_INFER_ANY;
        if (horusi_ov.ov_port_get_any_name(port, &name) == 0) /* it may have none */
            horusi_text(out->name, sizeof out->name, name);
    }
    horusi_ov.ov_free(name);
    horusi_ov.ov_partial_shape_free(&shape);
    if (port)
        horusi_ov.ov_output_const_port_free(port);
    return r;
}

/* A tensor of the request over memory of ours. The request holds on to it: to where it is, until the next
 * run says otherwise, but nothing is read or written between runs. */
static bool horusi_ov_bind(const horusi_ov_model *m, bool output, uint32_t number,
                           const horus_tensor *t, char *why, size_t room)
{
    void *tensor = NULL;
    int64_t dims[HORUS_MAX_DIMS];
    const horusi_ov_shape shape = {t->ndim, dims};
    memcpy(dims, t->shape, sizeof dims);
    bool ok = horusi_ov_ok(horusi_ov.ov_tensor_create_from_host_ptr(horusi_ov_type(t->dtype), shape,
                                                                    t->data, &tensor),
                           why, room) &&
              horusi_ov_ok((output ? horusi_ov.ov_infer_request_set_output_tensor_by_index
                                   : horusi_ov.ov_infer_request_set_input_tensor_by_index)(
                               m->request, number, tensor),
                           why, room);
    if (tensor)
        horusi_ov.ov_tensor_free(tensor);
    return ok;
}
/* Takes an output that OpenVINO has made, its shape being known only now. */
static horus_result horusi_ov_take(const horusi_ov_model *m, horus_infer_call *call,
                                   uint32_t number)
{
    void *tensor = NULL, *data = NULL;
    horusi_ov_shape shape = {0, NULL};
    horus_infer_io io;
    int type = -1;
    char *why = call->why;
    const size_t room = sizeof call->why;
    horus_result r = HORUS_E_SYSTEM;
    memset(&io, 0, sizeof io);
    if (horusi_ov_ok(
            horusi_ov.ov_infer_request_get_output_tensor_by_index(m->request, number, &tensor), why,
            room) &&
        horusi_ov_ok(horusi_ov.ov_tensor_get_element_type(tensor, &type), why, room) &&
        horusi_ov_ok(horusi_ov.ov_tensor_get_shape(tensor, &shape), why, room) &&
        horusi_ov_ok(horusi_ov.ov_tensor_data(tensor, &data), why, room)) {
        r = horusi_ov_form(type, shape.rank, &io, why, room);
        if (r == HORUS_OK)
            r = call->alloc(call, number, (horus_dtype)io.dtype, (uint32_t)io.ndim, shape.dims);
        if (r == HORUS_OK && horus_tensor_numel(&call->outputs[number]) > 0)
            memcpy(call->outputs[number].data, data,
                   (size_t)horus_tensor_numel(&call->outputs[number]) *
                       horus_dtype_bytes((horus_dtype)io.dtype));
    }
    (void)horusi_ov.ov_shape_free(&shape);
    if (tensor)
        horusi_ov.ov_tensor_free(tensor);
    return r;
}
static horus_result horusi_ov_run(void *model, horus_infer_call *call)
{
    horusi_ov_model *m = (horusi_ov_model *)model;
    char *why = call->why;
    const size_t room = sizeof call->why;
    bool ok = true;
    for (uint32_t i = 0; i < call->input_count && ok; i++)
        ok = horusi_ov_bind(m, false, i, &call->inputs[i], why, room);
    for (uint32_t i = 0; i < call->output_count && ok; i++)
        if (call->outputs[i].data)
            ok = horusi_ov_bind(m, true, i, &call->outputs[i], why, room);
    if (ok && !m->watched)
        ok = horusi_ov_ok(horusi_ov.ov_infer_request_infer(m->request), why, room);
    else if (ok) { /* it can be cancelled only once it has begun */
        ok = horusi_ov_ok(horusi_ov.ov_infer_request_start_async(m->request), why, room);
        if (ok && horusi_ld32_acq(I2, &m->stop))
            (void)horusi_ov.ov_infer_request_cancel(m->request);
        ok = ok && horusi_ov_ok(horusi_ov.ov_infer_request_wait(m->request), why, room);
    }
    horus_result r = ok ? HORUS_OK : HORUS_E_SYSTEM;
    for (uint32_t i = 0; i < call->output_count && r == HORUS_OK; i++)
        if (!call->outputs[i].data)
            r = horusi_ov_take(m, call, i);
    return r;
}
static void horusi_ov_abort(void *model, bool now)
{
    horusi_ov_model *m = (horusi_ov_model *)model;
    horusi_st32_rel(I1, &m->stop, now);
    if (now)
        (void)horusi_ov.ov_infer_request_cancel(m->request);
}

/* ------------------------------------------------------------------------------------ >>registry
 *
 * Which back ends there are, and what is checked without loading any. */
static const horus_infer_backend horusi_backends[] = {
    {"onnxrt", HORUS_INFER_CPU | HORUS_INFER_GPU, ".onnx .ort", horusi_ort_probe, horusi_ort_load,
     horusi_ort_io, horusi_ort_run, horusi_ort_abort, horusi_ort_unload, horusi_ort_on_gpu, NULL},
    {"trt", HORUS_INFER_GPU | HORUS_INFER_CUDA | HORUS_INFER_FP16 | HORUS_INFER_DLA, ".onnx",
     horusi_ort_probe, horusi_ort_load, horusi_ort_io, horusi_ort_run, horusi_ort_abort,
     horusi_ort_unload, horusi_ort_on_gpu, "trt"},
    {"openvino", HORUS_INFER_CPU | HORUS_INFER_FP16, ".onnx .xml", horusi_ov_probe, horusi_ov_load,
     horusi_ov_io, horusi_ov_run, horusi_ov_abort, horusi_ov_unload, NULL, NULL},
    {"identity", HORUS_INFER_CPU, NULL, NULL, horusi_plain_load, horusi_plain_io, horusi_plain_run,
     NULL, horusi_plain_unload, NULL, NULL},
    {"add", HORUS_INFER_CPU, NULL, NULL, horusi_plain_load, horusi_plain_io, horusi_plain_run, NULL,
     horusi_plain_unload, NULL, "add"}};
enum { HORUSI_BUILT_IN = sizeof horusi_backends / sizeof *horusi_backends, HORUSI_REGISTERED = 16 };
static const horus_infer_backend *horusi_registered[HORUSI_REGISTERED];
static uint32_t horusi_registered_count;
static horusi_a32 horusi_registered_lock;

/* Those that are registered come first: so one may stand in for one that is built in. */
static const horus_infer_backend *horusi_backend_at(uint32_t i)
{
    const horus_infer_backend *b = NULL;
    horusi_lock(&horusi_registered_lock);
    if (i < horusi_registered_count)
        b = horusi_registered[i];
    else if (i - horusi_registered_count < HORUSI_BUILT_IN)
        b = &horusi_backends[i - horusi_registered_count];
    horusi_unlock(&horusi_registered_lock);
    return b;
}
static const horus_infer_backend *horusi_backend_of(const char *name)
{
    const horus_infer_backend *b;
    uint32_t i = 0;
    while ((b = horusi_backend_at(i)) != NULL && strcmp(b->name, name) != 0)
        i++;
    return b;
}
horus_result horus_infer_register(const horus_infer_backend *b)
{
    horus_result r = HORUS_OK;
    if (!b || !b->name || b->name[0] == 0 || strlen(b->name) > 31 || !b->load || !b->io_info ||
        !b->run || !b->unload)
        return horusi_fail(HORUS_E_ARG, "infer_register: a back end needs a name of 1 to 31 bytes, "
                                        "load, io_info, run and unload");
    horusi_lock(&horusi_registered_lock);
    for (uint32_t i = 0; i < horusi_registered_count && r == HORUS_OK; i++)
        if (strcmp(horusi_registered[i]->name, b->name) == 0)
            r = horusi_fail(HORUS_E_ARG, "infer_register: there is a back end %s", b->name);
    if (r == HORUS_OK && horusi_registered_count == HORUSI_REGISTERED)
        r = horusi_fail(HORUS_E_LIMIT, "infer_register: 16 back ends are registered");
    if (r == HORUS_OK)
        horusi_registered[horusi_registered_count++] = b;
    horusi_unlock(&horusi_registered_lock);
    return r;
}

static void horusi_unknown_backend(horusi_problems *p, const char *where, const char *name)
{
    char known[200] = "";
    size_t used = 0;
    const horus_infer_backend *b;
    horusi_nearest n = {name, NULL, 0};
    for (uint32_t i = 0; (b = horusi_backend_at(i)) != NULL; i++) {
        if (horusi_backend_of(b->name) != b)
            continue; /* another one stands in for it */
        horusi_is_it(&n, b->name);
        if (used < sizeof known)
            used +=
                (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", b->name);
    }
    if (strcmp(name, "torch") == 0)
        horusi_problem(p, HORUS_E_ARG,
                       "%s: torch has no interface in C: export the model to ONNX and give "
                       "\"onnxrt\", or use the Python module, or register a back end of that name",
                       where);
    else
        horusi_problem(p, HORUS_E_ARG,
                       "%s: \"%.40s\" is no back end: did you mean \"%s\"? There are %s", where,
                       name, n.best, known);
}
/* The name of a model's back end; "": none is given. */
static const char *horusi_backend_name(const horus_infer_desc *d, const char *model)
{
    const char *name = d->backend;
    if (!name || !name[0])
        name = horusi_entry_of(d->backend_map, model);
    return name ? name : "";
}
/* Whether a file's name ends as one of several, which are separated by blanks. */
static bool horusi_has_ending(const char *path, const char *endings)
{
    size_t length = strlen(path);
    while (*endings) {
        size_t n = 0;
        while (endings[n] && endings[n] != ' ')
            n++;
        if (length > n && memcmp(path + length - n, endings, n) == 0)
            return true;
        endings += n + (endings[n] == ' ');
    }
    return false;
}
/* One model and its back end, as far as this can be told without loading anything. */
static void horusi_check_backend(horusi_problems *p, const horus_infer_desc *d,
                                 const horus_infer_entry *e)
{
    const char *name = horusi_backend_name(d, e->model);
    if (!name[0]) {
        horusi_problem(p, HORUS_E_ARG, "backend_map: model %.63s has no back end", e->model);
        return;
    }
    const horus_infer_backend *b = horusi_backend_of(name);
    if (!b) {
        if (name != d->backend || e == d->model_path_map) /* once is enough */
            horusi_unknown_backend(p, name == d->backend ? "backend" : "backend_map", name);
        return;
    }
    if (d->infer_on_cpu && !(b->can & HORUS_INFER_CPU))
        horusi_problem(
            p, HORUS_E_ARG,
            "infer_on_cpu: model %.63s: back end %s runs on a GPU only: leave it out, or "
            "use \"onnxrt\"",
            e->model, b->name);
    if (d->is_engine_path && !(b->can & HORUS_INFER_ENGINE))
        horusi_problem(
            p, HORUS_E_ARG,
            "is_engine_path: model %.63s: back end %s takes no engine files: leave it out "
            "and give a file that ends with %s",
            e->model, b->name, b->extensions ? b->extensions : "anything");
    else if (b->extensions && e->value && !horusi_has_ending(e->value, b->extensions))
        horusi_problem(p, HORUS_E_ARG,
                       "model_path_map: model %.63s: \"%.200s\": files of back end %s end with %s",
                       e->model, e->value, b->name, b->extensions);
}
static void horusi_check_backends(horusi_problems *p, const horus_infer_desc *d)
{
    bool one = d->backend && d->backend[0], map = d->backend_map && d->backend_map->model;
    for (const horus_infer_entry *e = d->backend_map; e && e->model; e++) {
        bool again = false;
        for (const horus_infer_entry *o = d->backend_map; o < e; o++)
            again |= strcmp(o->model, e->model) == 0;
        horusi_check_word(p, "backend_map", "an entry", "key", e->model);
        horusi_check_key(p, d, "backend_map", e->model, again);
    }
    if (one && map)
        horusi_problem(p, HORUS_E_ARG,
                       "backend and backend_map are both given: leave one of them out");
    else if (!one && !map)
        horusi_problem(
            p, HORUS_E_ARG,
            "neither backend nor backend_map is given: backend \"onnxrt\" runs ONNX files");
    else
        for (const horus_infer_entry *e = d->model_path_map; e && e->model; e++)
            horusi_check_backend(p, d, e);
}

static horus_result horusi_infer_check(const horus_infer_desc *d, char *report, size_t room,
                                       const char *call)
{
    horusi_problems p;
    horusi_problems_begin(&p, report, room);
    if (!d)
        return horusi_fail(HORUS_E_ARG, "%s: desc is NULL", call);
    horusi_check_models(&p, d);
    horusi_check_lists(&p, "pre_processor_map", d->pre_processor_map);
    horusi_check_lists(&p, "inference_map", d->inference_map);
    horusi_check_sizes(&p, d, "pre_processor_map", d->pre_processor_map);
    horusi_check_sizes(&p, d, "inference_map", d->inference_map);
    horusi_check_twice(&p, d);
    horusi_check_backends(&p, d);
    horusi_check_maps(&p, d);
    horusi_check_rest(&p, d);
    return horusi_problems_end(&p, call);
}
horus_result horus_infer_check(const horus_infer_desc *d, char *report, size_t room)
{
    return horusi_infer_check(d, report, room, "infer_check");
}

/* ------------------------------------------------------------------------------------ >>models
 *
 * What an inference operator is made of, and its models: made, loaded, each run on its thread within its
 * budget, unloaded. Edges, here and in >>operator:
 *
 *     I1 -> I2    a frame's work, to the thread of its model and back; the operator itself, to the
 *                 next one who uses it; the end, to all threads */

#define HORUSI_X(snake, name, topic)                                                               \
    HORUSI_MESSAGE_TYPE(HORUSI_DEFINE, snake, #name, topic, HORUS_##snake##_FIELDS)
HORUS_INFER_MESSAGES(HORUSI_X)
#undef HORUSI_X

/* A tensor that models take, in the present frame. */
typedef struct horusi_feed {
    const char *name;
    horus_tensor view;
    uint64_t publish_ns;
    bool there;
    const struct horusi_source *source; /* where it is from; NULL: given by hand */
} horusi_feed;
/* A topic that they come from. */
typedef struct horusi_source {
    horus_topic *topic;
    horusi_feed *declared;
    bool newest;
    uint32_t kind;      /* of its last frame */
    horus_tensor stash; /* came too early: of the next frame */
    uint64_t stash_ns;
    horusi_feed *stash_for; /* NULL: there is none */
} horusi_source;
/* A tensor that a model gives. */
typedef struct horusi_result {
    const char *name;
    struct horusi_model *model;
    horus_tensor last; /* the newest; the operator's lock */
    uint64_t frame;    /* of that */
} horusi_result;
typedef enum horusi_turn {
    HORUSI_TURN_NONE,
    HORUSI_TURN_DUE,
    HORUSI_TURN_DONE,
    HORUSI_TURN_FAILED
} horusi_turn;
typedef struct horusi_model {
    horus_infer *infer;
    const char *name;
    const horus_infer_backend *backend;
    horus_infer_load how;
    void *loaded;
    horus_infer_io *io;   /* inputs, then outputs */
    horusi_feed **feeds;  /* of each input */
    horus_tensor *views;  /* of one run: inputs, then outputs */
    uint8_t *fixed;       /* inputs whose open dimensions the first run has set */
    horusi_result *gives; /* of each output */
    uint32_t takes_count, gives_count, every;
    horusi_a32 active;
    horusi_turn turn; /* on the present frame */
    horus_result result;
    uint64_t input_ns, run_ns;
    char why[260];
    bool warm;       /* this run is no frame's */
    horusi_a32 lock; /* of the next three: the watchdog's side of a run */
    uint64_t limit;  /* when it is aborted; 0: it does not run */
    bool aborted;
    horusi_a32 go; /* counts what its thread is to run */
    bool joinable;
    pthread_t thread;
    horusi_a64 runs, failures, aborts, resent;
    horusi_histogram spread;
} horusi_model;
struct horus_infer {
    horus_infer_desc d;
    char name[HORUS_NAME_BYTES];
    horus_context *context;
    horus_pool *pool;
    horusi_model *models;
    horusi_feed *feeds;
    horusi_source *sources;
    horusi_result *results, **send; /* all outputs, and which are sent */
    uint8_t *message;               /* the status */
    const char **parts;             /* names of the models, then NULL: for a scheduler's figures */
    uint32_t count, feed_count, source_count, result_count, send_count;
    bool ready;  /* set up */
    bool chosen; /* whose turn it is on the next frame is decided */
    bool parallel, watched;
    uint64_t used_ns; /* the oldest input of the last frame; 0: none */
    horusi_a64 frames;
    horusi_a32 busy, lock, left, quit, alarm;
    pthread_t watchdog;
    horus_result bad; /* of the activation topic; its words: */
    char bad_text[200];
    void (*thread_ends)(void); /* called by each thread of ours at its end: for bindings */
};

static horusi_model *horusi_model_of(horus_infer *op, const char *name)
{
    for (uint32_t i = 0; i < op->count; i++)
        if (strcmp(op->models[i].name, name) == 0)
            return &op->models[i];
    return NULL;
}
static horusi_feed *horusi_feed_of(horus_infer *op, const char *name)
{
    for (uint32_t i = 0; i < op->feed_count; i++)
        if (strcmp(op->feeds[i].name, name) == 0)
            return &op->feeds[i];
    return NULL;
}
static horusi_result *horusi_result_of(horus_infer *op, const char *name)
{
    for (uint32_t i = 0; i < op->result_count; i++)
        if (strcmp(op->results[i].name, name) == 0)
            return &op->results[i];
    return NULL;
}
static void horusi_drop(horus_tensor *t)
{
    if (t->frame.pool)
        (void)horus_frame_release(&t->frame);
    memset(t, 0, sizeof *t);
}
static void horusi_drop_feeds(horus_infer *op)
{
    for (uint32_t i = 0; i < op->feed_count; i++) {
        if (op->feeds[i].there)
            horusi_drop(&op->feeds[i].view);
        op->feeds[i].there = false;
    }
}

/* Begins a call that one thread at a time makes. */
static horus_result horusi_infer_begin(horus_infer *op, const char *call, bool ready)
{
    uint32_t idle = 0;
    horus_context *c;
    if (!op)
        return horusi_fail(HORUS_E_ARG, "%s: the operator is NULL", call);
    horus_result r =
        horusi_context_of(op->context, &c); /* a child of fork() has no threads of it */
    if (r != HORUS_OK)
        return r;
    if (!horusi_cas32_acqrel(I2, &op->busy, &idle, 1))
        return horusi_fail(HORUS_E_BUSY, "%s: operator %s is in use by another thread", call,
                           op->name);
    if (ready && !op->ready) {
        horusi_st32_rel(I1, &op->busy, 0);
        return horusi_fail(HORUS_E_CLOSED, "%s: operator %s is not set up: horus_infer_setup", call,
                           op->name);
    }
    return HORUS_OK;
}
static horus_result horusi_infer_end(horus_infer *op, horus_result r)
{
    horusi_st32_rel(I1, &op->busy, 0);
    return r;
}

/* ---- making one */

/* Room for `count` things, none for none. */
static void *horusi_many(horus_infer *op, size_t count, size_t bytes)
{
    return horusi_new(op->context, (count ? count : 1) * bytes);
}
/* A number of a map that was checked. */
static int32_t horusi_value_of(const horus_infer_entry *map, const char *model, int32_t otherwise)
{
    const char *text = horusi_entry_of(map, model);
    uint32_t n;
    if (!text)
        return otherwise;
    (void)horusi_number(text, INT32_MAX, &n);
    return (int32_t)n;
}
static horus_result horusi_infer_model(horus_infer *op, horusi_model *m, const horus_infer_entry *e)
{
    const horus_infer_desc *d = &op->d;
    const horus_infer_list *takes = horusi_list_of(d->pre_processor_map, e->model);
    const horus_infer_list *gives = horusi_list_of(d->inference_map, e->model);
    const horus_infer_list *profile = horusi_list_of(d->trt_opt_profile, e->model);
    m->infer = op;
    m->name = e->model;
    m->backend = horusi_backend_of(horusi_backend_name(d, e->model));
    m->takes_count = horusi_names_in(takes);
    m->gives_count = horusi_names_in(gives);
    m->how.desc = &op->d;
    m->how.model = e->model;
    m->how.path = e->value;
    m->how.inputs = m->takes_count;
    m->how.outputs = m->gives_count;
    m->how.device = horusi_value_of(d->device_map, e->model, -1);
    m->how.dla_core = horusi_value_of(d->dla_core_map, e->model, -1);
    m->how.profile = profile ? profile->names : NULL;
    m->every = (uint32_t)horusi_value_of(d->temporal_map, e->model, 1);
    horusi_st32_rlx(report, &m->active, (uint32_t)horusi_value_of(d->activation_map, e->model, 1));
    const size_t all = (size_t)m->takes_count + m->gives_count;
    m->io = (horus_infer_io *)horusi_many(op, all, sizeof *m->io);
    m->feeds = (horusi_feed **)horusi_many(op, m->takes_count, sizeof *m->feeds);
    m->views = (horus_tensor *)horusi_many(op, all, sizeof *m->views);
    m->fixed = (uint8_t *)horusi_many(op, m->takes_count, 1);
    if (!m->io || !m->feeds || !m->views || !m->fixed)
        return HORUS_E_MEMORY;
    for (uint32_t i = 0; i < m->takes_count; i++) {
        m->io[i].tensor = takes->names[i];
        m->feeds[i] = horusi_feed_of(op, takes->names[i]);
        if (!m->feeds[i]) {
            m->feeds[i] = &op->feeds[op->feed_count++];
            m->feeds[i]->name = takes->names[i];
        }
    }
    m->gives = &op->results[op->result_count];
    for (uint32_t i = 0; i < m->gives_count; i++) {
        m->io[m->takes_count + i].tensor = m->gives[i].name = gives->names[i];
        m->gives[i].model = m;
        op->result_count++;
    }
    return HORUS_OK;
}
static horus_result horusi_infer_make(horus_infer *op)
{
    const horus_infer_desc *d = &op->d;
    size_t takes = 0, gives = 0, sends = 0;
    for (const horus_infer_list *l = d->pre_processor_map; l->model; l++)
        takes += horusi_names_in(l);
    for (const horus_infer_list *l = d->inference_map; l->model; l++)
        gives += horusi_names_in(l);
    for (const char *const *t = d->out_tensor_names; t && *t; t++)
        sends++;
    sends = d->out_tensor_names ? sends : gives;
    for (const horus_infer_input *i = d->inputs; i && i->topic; i++)
        op->source_count++;
    for (const horus_infer_entry *e = d->model_path_map; e->model; e++)
        op->count++;
    op->models = (horusi_model *)horusi_many(op, op->count, sizeof *op->models);
    op->feeds = (horusi_feed *)horusi_many(op, takes, sizeof *op->feeds);
    op->results = (horusi_result *)horusi_many(op, gives, sizeof *op->results);
    op->send = (horusi_result **)horusi_many(op, sends, sizeof(void *));
    op->sources = (horusi_source *)horusi_many(op, op->source_count, sizeof *op->sources);
    op->message = (uint8_t *)horusi_new(op->context, sizeof(horus_infer_status) +
                                                         sends * sizeof(horus_infer_output));
    op->parts = (const char **)horusi_many(op, op->count + 1, sizeof *op->parts);
    if (!op->models || !op->feeds || !op->results || !op->send || !op->sources || !op->message ||
        !op->parts)
        return HORUS_E_MEMORY;
    for (uint32_t i = 0; i < op->count; i++) {
        op->parts[i] = d->model_path_map[i].model;
        horus_result r = horusi_infer_model(op, &op->models[i], &d->model_path_map[i]);
        if (r != HORUS_OK)
            return r;
    }
    op->send_count = (uint32_t)sends;
    for (uint32_t i = 0; i < op->send_count; i++)
        op->send[i] =
            d->out_tensor_names ? horusi_result_of(op, d->out_tensor_names[i]) : &op->results[i];
    for (uint32_t i = 0; i < op->source_count; i++) {
        op->sources[i].topic = d->inputs[i].topic;
        op->sources[i].newest = d->inputs[i].newest;
        op->sources[i].kind = HORUS_KIND_TENSOR;
        if (d->inputs[i].tensor)
            op->sources[i].declared = horusi_feed_of(op, d->inputs[i].tensor);
    }
    return HORUS_OK;
}
horus_result horus_infer_create(horus_infer **out, const horus_infer_desc *desc, char *report,
                                size_t room)
{
    horus_infer *op = NULL;
    horus_pool *pool;
    if (!out)
        return horusi_fail(HORUS_E_ARG, "infer_create: out is NULL");
    *out = NULL;
    horus_result r = horusi_infer_check(desc, report, room, "infer_create");
    if (r == HORUS_OK)
        r = horusi_pool_of(desc->pool, &pool);
    if (r != HORUS_OK)
        return r;
    op = (horus_infer *)horusi_new(pool->context, sizeof *op);
    if (!op)
        return HORUS_E_MEMORY;
    op->d = *desc;
    op->context = pool->context;
    op->pool = pool;
    horusi_text(op->name, sizeof op->name, desc->name ? desc->name : "infer");
    r = horusi_infer_make(op);
    if (r == HORUS_OK)
        *out = op;
    else
        horus_infer_close(op);
    return r;
}

/* What the back end and this machine cannot do. */
static void horusi_refuse_cuda(horusi_problems *p, const horusi_model *m, const char *name,
                               horus_choice c)
{
    if (c == HORUS_YES && !(m->backend->can & HORUS_INFER_CUDA))
        horusi_problem(p, HORUS_E_UNSUPPORTED,
                       "%s: model %.63s: back end %s takes and gives tensors in the host's memory: "
                       "false works, or leave it out",
                       name, m->name, m->backend->name);
}
static void horusi_refuse_model(horusi_problems *p, const horusi_model *m)
{
    const horus_infer_backend *b = m->backend;
    horusi_refuse_cuda(p, m, "input_on_cuda", m->how.desc->input_on_cuda);
    horusi_refuse_cuda(p, m, "output_on_cuda", m->how.desc->output_on_cuda);
    if (m->how.device >= 0 && (!(b->can & HORUS_INFER_GPU) || m->how.desc->infer_on_cpu))
        horusi_problem(
            p, HORUS_E_UNSUPPORTED,
            "device_map: model %.63s: GPU %d: back end %s runs on the processor: leave it "
            "out",
            m->name, (int)m->how.device, b->name);
    if (m->how.dla_core >= 0 && !(b->can & HORUS_INFER_DLA))
        horusi_problem(p, HORUS_E_UNSUPPORTED,
                       "dla_core_map: model %.63s: back end %s has no DLA: leave it out, or use "
                       "\"trt\"",
                       m->name, b->name);
}
static void horusi_count_io(horusi_problems *p, const horusi_model *m, bool output, uint32_t names)
{
    horus_infer_io io;
    char why[200], list[150] = "";
    uint32_t has = 0;
    size_t used = 0;
    memset(&io, 0, sizeof io);
    while (has < 65535 &&
           m->backend->io_info(m->loaded, output, has, &io, why, sizeof why) != HORUS_E_NOT_FOUND) {
        if (used < sizeof list)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%.63s", has ? ", " : "",
                                     io.name);
        memset(&io, 0, sizeof io);
        has++;
    }
    if (has != names)
        horusi_problem(
            p, HORUS_E_ARG,
            "%s: model %.63s %s %u tensors (%s), and %u are named: name each, in this order",
            output ? "inference_map" : "pre_processor_map", m->name, output ? "gives" : "takes",
            (unsigned)has, list, (unsigned)names);
}
/* Asks what the model takes and gives. */
static void horusi_look_at_io(horusi_problems *p, horusi_model *m, bool output)
{
    const uint32_t names = output ? m->gives_count : m->takes_count;
    horusi_count_io(p, m, output, names);
    for (uint32_t i = 0; i < names; i++) {
        char why[200] = "";
        horus_infer_io *io = &m->io[output ? m->takes_count + i : i];
        horus_result r = m->backend->io_info(m->loaded, output, i, io, why, sizeof why);
        if (r == HORUS_OK && (io->ndim > HORUS_MAX_DIMS || io->ndim < HORUS_INFER_ANY ||
                              io->dtype < HORUS_INFER_ANY ||
                              (io->dtype >= 0 && !horus_dtype_bytes((horus_dtype)io->dtype)))) {
            (void)snprintf(why, sizeof why, "dtype %d, %d dimensions", (int)io->dtype,
                           (int)io->ndim);
            r = HORUS_E_TYPE;
        }
        if (r != HORUS_OK && r != HORUS_E_NOT_FOUND)
            horusi_problem(p, r, "%s: model %.63s, tensor %.63s (%.63s): %s",
                           output ? "inference_map" : "pre_processor_map", m->name, io->tensor,
                           io->name, why);
    }
}
static void horusi_load_model(horusi_problems *p, horusi_model *m)
{
    char why[400] = "";
    const horus_infer_backend *b = m->backend;
    const horus_infer_desc *d = m->how.desc;
    uint32_t before = p->count;
    horus_result r = HORUS_OK;
    horusi_refuse_model(p, m);
    if (p->count != before)
        return;
    if (b->probe)
        r = b->probe(b->user, &m->how, why, sizeof why);
    if (r != HORUS_OK) {
        horusi_problem(p, r, "%s: model %.63s: back end %s cannot be used here: %s",
                       horusi_entry_of(d->backend_map, m->name) ? "backend_map" : "backend",
                       m->name, b->name, why);
        return;
    }
    if (d->on_load)
        d->on_load(d->user, m->name, m->how.path);
    r = b->load(b->user, &m->how, &m->loaded, why, sizeof why);
    if (r == HORUS_OK && !m->loaded)
        r = HORUS_E_CORRUPT;
    if (r == HORUS_OK) {
        horusi_look_at_io(p, m, false);
        horusi_look_at_io(p, m, true);
        return;
    }
    m->loaded = NULL;
    if (r == HORUS_E_UNSUPPORTED)
        horusi_problem(p, r, "model %.63s: %s", m->name, why);
    else
        horusi_problem(p, r, "model_path_map: model %.63s: \"%.150s\" cannot be loaded by %s: %s",
                       m->name, m->how.path, b->name, why);
}

/* ---- one run of one model */

static void horusi_describe_shape(char *out, size_t room, int ndim, const int64_t *shape, int dtype)
{
    size_t used = 0;
    out[0] = 0;
    for (int i = 0; i < ndim && used < room; i++)
        used += (size_t)snprintf(out + used, room - used, shape[i] < 0 ? "%s?" : "%s%lld",
                                 i ? " x " : "", (long long)shape[i]);
    if (used < room)
        (void)snprintf(out + used, room - used, "%s%s",
                       ndim > 0   ? " "
                       : ndim < 0 ? "any "
                                  : "",
                       dtype < 0 ? "of any dtype" : horus_dtype_name((horus_dtype)dtype));
}
static horus_result horusi_alloc_output(horus_infer_call *call, uint32_t number, horus_dtype dtype,
                                        uint32_t ndim, const int64_t *shape)
{
    horusi_model *m = (horusi_model *)call->operators;
    horus_result r = HORUS_E_ARG;
    if (number < call->output_count && !call->outputs[number].data)
        r = horus_tensor_alloc(&call->outputs[number], m->infer->pool, dtype, ndim, shape,
                               HORUS_UNINIT);
    else
        (void)horusi_fail(r, "alloc: output %u has memory, or is none", (unsigned)number);
    if (r != HORUS_OK)
        (void)snprintf(call->why, sizeof call->why, "output %u: %.180s", (unsigned)number,
                       horusi_error_text);
    return r;
}
/* Memory for the outputs whose shape is known. */
static horus_result horusi_make_outputs(horusi_model *m, horus_infer_call *call)
{
    for (uint32_t i = 0; i < m->gives_count; i++) {
        const horus_infer_io *io = &m->io[m->takes_count + i];
        bool open = io->ndim < 0 || io->dtype < 0;
        for (int k = 0; k < io->ndim; k++)
            open |= io->shape[k] < 0;
        memset(&call->outputs[i], 0, sizeof call->outputs[i]);
        if (open)
            continue;
        horus_result r =
            horusi_alloc_output(call, i, (horus_dtype)io->dtype, (uint32_t)io->ndim, io->shape);
        if (r != HORUS_OK)
            return r;
    }
    return HORUS_OK;
}
static void horusi_arm(horusi_model *m, uint64_t begin)
{
    horus_infer *op = m->infer;
    horusi_lock(&m->lock);
    m->limit = begin + (uint64_t)op->d.budget_ns;
    horusi_unlock(&m->lock);
    if (horusi_add32_acqrel(I1, &op->alarm, 1) == 0)
        horusi_wake(&op->alarm);
}
/* True if the run was aborted. */
static bool horusi_disarm(horusi_model *m)
{
    horusi_lock(&m->lock);
    bool aborted = m->aborted;
    m->limit = 0;
    m->aborted = false;
    if (aborted)
        m->backend->abort(m->loaded, false);
    horusi_unlock(&m->lock);
    return aborted;
}
/* Its views are those of its inputs. */
static void horusi_model_run(horusi_model *m)
{
    horus_infer *op = m->infer;
    horus_infer_call call;
    bool aborted = false, watched = op->watched && m->backend->abort && !m->warm;
    memset(&call, 0, sizeof call);
    call.inputs = m->views;
    call.outputs = m->views + m->takes_count;
    call.input_count = m->takes_count;
    call.output_count = m->gives_count;
    call.alloc = horusi_alloc_output;
    call.operators = m;
    horus_result r = horusi_make_outputs(m, &call);
    uint64_t begin = horusi_now();
    if (r == HORUS_OK) {
        if (watched)
            horusi_arm(m, begin);
        r = m->backend->run(m->loaded, &call);
        if (watched)
            aborted = horusi_disarm(m);
    }
    uint64_t end = horusi_now();
    m->run_ns = end - begin;
    for (uint32_t i = 0; i < m->gives_count && r == HORUS_OK; i++)
        if (!call.outputs[i].data) {
            (void)snprintf(call.why, sizeof call.why, "its output %.63s was not made",
                           m->gives[i].name);
            r = HORUS_E_SYSTEM;
        }
    if (r != HORUS_OK && aborted) {
        r = HORUS_E_LIMIT;
        (void)snprintf(call.why, sizeof call.why, "aborted after %llu us: budget_ns is %lld",
                       (unsigned long long)(m->run_ns / 1000), (long long)op->d.budget_ns);
        horusi_count(&m->aborts, 1);
    }
    m->result = r;
    m->turn = r == HORUS_OK ? HORUSI_TURN_DONE : HORUSI_TURN_FAILED;
    if (r != HORUS_OK)
        (void)snprintf(m->why, sizeof m->why, "model %.63s: %.185s", m->name, call.why);
    if (r != HORUS_OK || m->warm) {
        for (uint32_t i = 0; i < m->gives_count; i++)
            horusi_drop(&call.outputs[i]);
        if (!m->warm)
            horusi_count(&m->failures, 1);
        return;
    }
    horusi_count(&m->runs, 1);
    horusi_observe(&m->spread, m->run_ns);
    for (uint32_t i = 0; i < m->gives_count; i++) {
        horus_tensor *made = &call.outputs[i], old;
        (void)horus_frame_set_id(&made->frame, m->gives[i].name);
        (void)horus_frame_set_time(&made->frame, m->input_ns);
        horusi_lock(&op->lock);
        old = m->gives[i].last;
        m->gives[i].last = *made;
        m->gives[i].frame = horusi_ld64_rlx(own, &op->frames) + 1;
        horusi_unlock(&op->lock);
        horusi_drop(&old);
        memset(made, 0, sizeof *made);
    }
}
static void *horusi_infer_thread_ends(const horus_infer *op)
{
    if (op->thread_ends)
        op->thread_ends();
    return NULL;
}
static void *horusi_model_thread(void *arg)
{
    horusi_model *m = (horusi_model *)arg;
    horus_infer *op = m->infer;
    uint32_t done = 0, go;
    for (;; done = go) {
        while ((go = horusi_ld32_acq(I2, &m->go)) == done)
            (void)horusi_sleep_on(&m->go, done, HORUSI_LOOP_SLICE_NS);
        if (horusi_ld32_acq(I2, &op->quit))
            return horusi_infer_thread_ends(op);
        horusi_model_run(m);
        if (horusi_add32_acqrel(I1, &op->left, UINT32_MAX) == 1)
            horusi_wake(&op->left);
    }
}
/* Aborts what is over its budget. Returns when to look again; UINT64_MAX: nothing runs. */
static uint64_t horusi_look_at_limits(horus_infer *op)
{
    uint64_t now = horusi_now(), next = UINT64_MAX;
    for (uint32_t i = 0; i < op->count; i++) {
        horusi_model *m = &op->models[i];
        horusi_lock(&m->lock);
        if (m->limit && now >= m->limit) {
            m->backend->abort(m->loaded, true);
            m->aborted = true;
            m->limit = 0;
        } else if (m->limit && m->limit < next)
            next = m->limit;
        horusi_unlock(&m->lock);
    }
    return next;
}
static void *horusi_infer_watchdog(void *arg)
{
    horus_infer *op = (horus_infer *)arg;
    while (horusi_ld32_acq(I2, &op->quit) == 0) {
        uint64_t next = horusi_look_at_limits(op), now = horusi_now();
        uint32_t seen = horusi_ld32_acq(I2, &op->alarm);
        if (next == UINT64_MAX && seen != 0) { /* whoever begins now wakes us; and look once more */
            (void)horusi_cas32_acqrel(I2, &op->alarm, &seen, 0);
            continue;
        }
        if (next == UINT64_MAX)
            (void)horusi_sleep_on(&op->alarm, 0, HORUSI_LOOP_SLICE_NS);
        else
            horusi_sleep_until(next < now + HORUSI_WATCH_SLICE_NS ? next
                                                                  : now + HORUSI_WATCH_SLICE_NS);
    }
    return horusi_infer_thread_ends(op);
}

/* ---- set-up and its end */

static horus_result horusi_infer_threads(horus_infer *op)
{
    int e = 0;
    for (uint32_t i = 1; i < op->count && op->parallel && e == 0; i++) {
        e = horusi_thread(&op->models[i].thread, horusi_model_thread, &op->models[i]);
        op->models[i].joinable = e == 0;
    }
    if (e == 0 && op->d.budget_ns > 0) {
        e = horusi_thread(&op->watchdog, horusi_infer_watchdog, op);
        op->watched = e == 0;
    }
    errno = e;
    return e ? horusi_errno(HORUS_E_SYSTEM, "start a thread of operator", op->name) : HORUS_OK;
}
static void horusi_infer_stop(horus_infer *op)
{
    horusi_st32_rel(I1, &op->quit, 1);
    for (uint32_t i = 0; i < op->count && op->models; i++) {
        horusi_model *m = &op->models[i];
        (void)horusi_add32_acqrel(I1, &m->go, 1);
        horusi_wake(&m->go);
        if (m->joinable)
            (void)pthread_join(m->thread, NULL);
        m->joinable = false;
        horusi_st32_rlx(own, &m->go, 0); /* where the next thread begins */
    }
    horusi_wake(&op->alarm);
    if (op->watched)
        (void)pthread_join(op->watchdog, NULL);
    op->watched = false;
    horusi_st32_rlx(own, &op->quit, 0);
}
static void horusi_unload_models(horus_infer *op)
{
    for (uint32_t i = 0; i < op->count && op->models; i++) {
        horusi_model *m = &op->models[i];
        if (m->loaded)
            m->backend->unload(m->loaded);
        m->loaded = NULL;
    }
}
horus_result horus_infer_setup(horus_infer *op, char *report, size_t room)
{
    horusi_problems p;
    horusi_problems_begin(&p, report, room);
    horus_result r = horusi_infer_begin(op, "infer_setup", false);
    if (r != HORUS_OK)
        return r;
    if (op->ready)
        return horusi_infer_end(op, horusi_fail(HORUS_E_BUSY, "operator %s is set up", op->name));
    for (uint32_t i = 0; i < op->count; i++)
        horusi_load_model(&p, &op->models[i]);
    r = horusi_problems_end(&p, "infer_setup");
    op->parallel =
        op->count > 1 && (op->d.parallel_inference == HORUS_YES ||
                          (op->d.parallel_inference == HORUS_AUTO && !horusi_has_one_processor()));
    if (r == HORUS_OK)
        r = horusi_infer_threads(op);
    op->ready = r == HORUS_OK;
    if (r != HORUS_OK) {
        horusi_infer_stop(op);
        horusi_unload_models(op);
    }
    return horusi_infer_end(op, r);
}
horus_result horus_infer_open(horus_infer **out, const horus_infer_desc *desc, char *report,
                              size_t room)
{
    horus_result r = horus_infer_create(out, desc, report, room);
    if (r == HORUS_OK)
        r = horus_infer_setup(*out, report, room);
    if (r != HORUS_OK && out) {
        horus_infer_close(*out);
        *out = NULL;
    }
    return r;
}
void horus_infer_close(horus_infer *op)
{
    if (!op)
        return;
    horus_context *c = op->context;
    if (horusi_ld32_rlx(fork, &c->detached) != HORUSI_IN_CHILD) /* else they are the parent's */
        horusi_infer_stop(op);
    if (!horusi_is_detached(c)) { /* at exit() the runtimes may be gone, and so are its holds */
        horusi_unload_models(op);
        horusi_drop_feeds(op);
        for (uint32_t i = 0; i < op->source_count && op->sources; i++)
            horusi_drop(&op->sources[i].stash);
        for (uint32_t i = 0; i < op->result_count; i++)
            horusi_drop(&op->results[i].last);
    }
    for (uint32_t i = 0; i < op->count && op->models; i++) {
        horusi_delete(c, op->models[i].io);
        horusi_delete(c, op->models[i].feeds);
        horusi_delete(c, op->models[i].views);
        horusi_delete(c, op->models[i].fixed);
    }
    horusi_delete(c, op->models);
    horusi_delete(c, op->feeds);
    horusi_delete(c, op->sources);
    horusi_delete(c, op->results);
    horusi_delete(c, op->send);
    horusi_delete(c, op->message);
    horusi_delete(c, (void *)op->parts);
    horusi_delete(c, op);
}

/* ------------------------------------------------------------------------------------ >>operator
 *
 * What it does with a frame, step by step, and what others ask of it meanwhile. A model's results are
 * swapped under the operator's lock, so that any thread may get them. */

/* ---- extract */

/* Whose turn it is on the next frame. */
static void horusi_choose_turns(horus_infer *op)
{
    uint64_t before = horusi_ld64_rlx(own, &op->frames);
    for (uint32_t i = 0; i < op->count && !op->chosen; i++) {
        horusi_model *m = &op->models[i];
        bool due = horusi_ld32_rlx(report, &m->active) != 0 && before % m->every == 0;
        m->turn = due ? HORUSI_TURN_DUE : HORUSI_TURN_NONE;
        m->result = HORUS_OK;
    }
    op->chosen = true;
}
static bool horusi_is_frame_kind(uint32_t kind)
{
#ifdef HORUS_NO_VIEWS
    return kind == HORUS_KIND_TENSOR;
#else
    return kind != HORUS_KIND_MESSAGE;
#endif
}
/* The next frame of a topic, as a tensor. */
static horus_result horusi_source_receive(horusi_source *s, horus_tensor *t, horus_info *info)
{
    for (;;) {
        horus_result r;
#ifndef HORUS_NO_VIEWS
        horus_image image;
        horus_depth depth;
        horus_cloud cloud;
        switch (s->kind) {
        case HORUS_KIND_IMAGE:
            r = horus_topic_receive_image(s->topic, &image, info, HORUS_NO_WAIT);
            if (r == HORUS_OK) {
                r = horus_image_tensor(t, &image);
                (void)horus_image_release(&image);
            }
            break;
        case HORUS_KIND_DEPTH:
            r = horus_topic_receive_depth(s->topic, &depth, info, HORUS_NO_WAIT);
            if (r == HORUS_OK) {
                r = horus_depth_tensor(t, &depth);
                (void)horus_depth_release(&depth);
            }
            break;
        case HORUS_KIND_CLOUD:
            r = horus_topic_receive_cloud(s->topic, &cloud, info, HORUS_NO_WAIT);
            if (r == HORUS_OK) {
                r = horus_cloud_tensor(t, &cloud);
                (void)horus_cloud_release(&cloud);
            }
            break;
        default:
            r = horus_topic_receive_tensor(s->topic, t, info, HORUS_NO_WAIT);
            break;
        }
#else
        r = horus_topic_receive_tensor(s->topic, t, info, HORUS_NO_WAIT);
#endif
        if (r != HORUS_E_TYPE)
            return r;
        if (!horusi_is_frame_kind(info->kind)) {
            char words[sizeof horusi_error_text];
            horusi_text(words, sizeof words, horusi_error_text);
            (void)horus_topic_drain(s->topic, NULL);
            return horusi_fail(r,
                               "inputs: a message that is no frame came, and what waited behind "
                               "it is dropped: %.150s",
                               words);
        }
        s->kind = info->kind;
    }
}
/* Which tensor a frame is. */
static horusi_feed *horusi_feed_in(horus_infer *op, horusi_source *s, const horus_tensor *t)
{
    char id[HORUS_FRAME_ID_BYTES];
    (void)horus_frame_get_id(&t->frame, id);
    horusi_feed *f = horusi_feed_of(op, id);
    return f ? f : s->declared;
}
static void horusi_serve(horusi_feed *f, const horus_tensor *t, uint64_t publish_ns,
                         const horusi_source *from)
{
    f->view = *t;
    f->publish_ns = publish_ns;
    f->there = true;
    f->source = from;
}
static bool horusi_has_all(const horus_infer *op)
{
    for (uint32_t i = 0; i < op->feed_count; i++)
        if (!op->feeds[i].there)
            return false;
    return true;
}
static void horusi_serve_stash(horusi_source *s)
{
    horusi_feed *f = s->stash_for;
    if (f->there)
        horusi_drop(&f->view);
    horusi_serve(f, &s->stash, s->stash_ns, s);
    memset(&s->stash, 0, sizeof s->stash);
    s->stash_for = NULL;
}
/* Takes the newest frame that a topic has: what came before it gives way. */
static horus_result horusi_source_newest(horus_infer *op, horusi_source *s)
{
    horus_tensor t;
    horus_info info;
    horus_result r = horus_topic_skip_to_latest(s->topic, NULL);
    if (r >= HORUS_OK)
        r = horusi_source_receive(s, &t, &info);
    if (r == HORUS_OK) {
        horusi_drop(&s->stash);
        s->stash = t;
        s->stash_ns = info.publish_ns;
        s->stash_for = horusi_feed_in(op, s, &t);
        if (!s->stash_for)
            horusi_drop(&s->stash);
    }
    if (s->stash_for && (!s->stash_for->there || s->stash_for->source == s))
        horusi_serve_stash(s);
    return r == HORUS_EMPTY ? HORUS_OK : r;
}
/* Takes what a topic has, until it has no more, or something of the next frame. */
static horus_result horusi_source_take(horus_infer *op, horusi_source *s)
{
    enum { MOST = 1024 }; /* behind a publisher that never ends */
    horus_tensor t;
    horus_info info;
    if (s->newest)
        return horusi_source_newest(op, s);
    if (s->stash_for) {
        if (s->stash_for->there)
            return HORUS_OK;
        horusi_serve_stash(s);
    }
    for (int i = 0; i < MOST && !horusi_has_all(op); i++) {
        horus_result r = horusi_source_receive(s, &t, &info);
        if (r != HORUS_OK)
            return r == HORUS_EMPTY ? HORUS_OK : r;
        horusi_feed *f = horusi_feed_in(op, s, &t);
        if (f && !f->there)
            horusi_serve(f, &t, info.publish_ns, s);
        else if (f) {
            s->stash = t;
            s->stash_ns = info.publish_ns;
            s->stash_for = f;
            return HORUS_OK;
        } else
            (void)horus_tensor_release(&t);
    }
    return HORUS_OK;
}
/* The first tensor that is still missing, and who needs it. */
static horusi_feed *horusi_missing(horus_infer *op, const char **model)
{
    for (uint32_t i = 0; i < op->count; i++)
        for (uint32_t k = 0; k < op->models[i].takes_count; k++)
            if (op->models[i].turn == HORUSI_TURN_DUE && !op->models[i].feeds[k]->there) {
                *model = op->models[i].name;
                return op->models[i].feeds[k];
            }
    return NULL;
}
static bool horusi_has_any(const horus_infer *op)
{
    for (uint32_t i = 0; i < op->feed_count; i++)
        if (op->feeds[i].there)
            return true;
    return false;
}
/* Waits for the rest of a frame. False: there is nothing to wait for, or no time. */
static bool horusi_wait_for_rest(horus_infer *op, uint64_t until)
{
    horus_topic *topics[HORUSI_MAX_SOURCES];
    size_t count = 0, ready;
    uint64_t now = horusi_now();
    for (uint32_t i = 0; i < op->source_count; i++)
        if (!op->sources[i].stash_for)
            topics[count++] = op->sources[i].topic;
    return count > 0 && now < until &&
           horus_wait(topics, count, (int64_t)(until - now), &ready) == HORUS_OK;
}
static void horusi_activate(horus_infer *op)
{
    horus_infer_activation a;
    horus_info info;
    op->bad = HORUS_OK;
    for (int i = 0; i < 1024; i++) {
        memset(&a, 0, sizeof a);
        horus_result r = horus_topic_receive(op->d.activation, &a, sizeof a, &info, HORUS_NO_WAIT);
        if (r == HORUS_EMPTY)
            break;
        if (r != HORUS_OK || info.size != sizeof a) { /* it may stay: nothing behind it counts */
            (void)snprintf(
                op->bad_text, sizeof op->bad_text,
                "activation: no horus_infer_activation came, and what waited behind it is "
                "dropped: %.90s",
                r != HORUS_OK ? horusi_error_text : "it is too short");
            (void)horus_topic_drain(op->d.activation, NULL);
            op->bad = r != HORUS_OK ? r : HORUS_E_SIZE;
            break;
        }
        a.model[sizeof a.model - 1] = 0;
        horusi_model *m = horusi_model_of(op, a.model);
        if (m && a.active <= 1)
            horusi_st32_rlx(report, &m->active, a.active);
        else if (op->bad == HORUS_OK) {
            op->bad = m ? HORUS_E_ARG : HORUS_E_NOT_FOUND;
            if (m)
                (void)snprintf(op->bad_text, sizeof op->bad_text,
                               "activation: model %.63s: %u is not 1 (active) or 0 (not)", a.model,
                               (unsigned)a.active);
            else
                (void)snprintf(op->bad_text, sizeof op->bad_text,
                               "activation: \"%.50s\" is no model: did you mean \"%.63s\"?",
                               a.model, horusi_near_model(&op->d, a.model));
        }
    }
}
static horus_result horusi_infer_extract(horus_infer *op)
{
    const char *model = "";
    horus_result r = HORUS_OK;
    uint64_t until = 0;
    if (op->d.activation)
        horusi_activate(op);
    horusi_choose_turns(op);
    for (;;) {
        for (uint32_t i = 0; i < op->source_count && r == HORUS_OK; i++)
            r = horusi_source_take(op, &op->sources[i]);
        if (r == HORUS_OK && !horusi_has_any(op)) {
            op->chosen = false; /* a model may be activated before something comes */
            return HORUS_EMPTY;
        }
        if (r != HORUS_OK || !horusi_missing(op, &model))
            break;
        if (until == 0)
            until = horusi_now() + (uint64_t)op->d.wait_ns;
        if (!horusi_wait_for_rest(op, until))
            break;
    }
    const horusi_feed *f = horusi_missing(op, &model);
    if (r == HORUS_OK && f)
        r = horusi_fail(HORUS_E_NOT_FOUND,
                        "operator %.60s: model %.63s takes tensor \"%.63s\": no message had it",
                        op->name, model, f->name);
    if (r != HORUS_OK) {
        horusi_drop_feeds(op);
        op->chosen = false;
    }
    return r;
}
horus_result horus_infer_extract(horus_infer *op)
{
    horus_result r = horusi_infer_begin(op, "infer_extract", true);
    return r == HORUS_OK ? horusi_infer_end(op, horusi_infer_extract(op)) : r;
}
horus_result horus_infer_set(horus_infer *op, const char *name, const horus_tensor *tensor,
                             uint64_t publish_ns)
{
    horus_result r = horusi_infer_begin(op, "infer_set", true);
    if (r != HORUS_OK)
        return r;
    horusi_feed *f = name ? horusi_feed_of(op, name) : NULL;
    if (!name)
        r = horusi_fail(HORUS_E_ARG, "infer_set: name is NULL");
    else if (!f)
        r = horusi_fail(HORUS_E_NOT_FOUND,
                        "operator %.60s: no model takes \"%.63s\": did you mean \"%.63s\"?",
                        op->name, name, horusi_near_tensor(op->d.pre_processor_map, name));
    if (r == HORUS_OK)
        r = horusi_check_tensor(tensor, "infer_set");
    if (r == HORUS_OK)
        r = horusi_second(&tensor->frame);
    if (r == HORUS_OK) {
        if (f->there)
            horusi_drop(&f->view);
        horusi_serve(f, tensor, publish_ns ? publish_ns : horusi_now(), NULL);
    }
    return horusi_infer_end(op, r);
}

/* ---- execute */

/* One input of a model: as it wants it, or why not. */
static horus_result horusi_bind(horusi_model *m, uint32_t i)
{
    const horusi_feed *f = m->feeds[i];
    const horus_infer_io *io = &m->io[i];
    horus_tensor *v = &m->views[i];
    char wants[120], has[120];
    bool fits = true;
    if (!f->there) {
        (void)snprintf(m->why, sizeof m->why, "model %.63s: tensor \"%.63s\" is missing", m->name,
                       f->name);
        return HORUS_E_NOT_FOUND;
    }
    *v = f->view;
    int ndim = (int)v->ndim;
    if (io->ndim == ndim + 1 && (io->shape[0] == 1 || io->shape[0] < 0)) { /* a batch of one */
        memmove(v->shape + 1, v->shape, v->ndim * sizeof *v->shape);
        memmove(v->strides_bytes + 1, v->strides_bytes, v->ndim * sizeof *v->shape);
        v->shape[0] = 1;
        v->ndim++;
    }
    for (int k = 0; k < io->ndim && io->ndim == (int)v->ndim; k++)
        fits &= io->shape[k] < 0 || io->shape[k] == v->shape[k];
    fits &= io->ndim < 0 || io->ndim == (int)v->ndim;
    bool empty = horus_tensor_numel(v) == 0;
    if (!fits || empty || (io->dtype >= 0 && io->dtype != v->dtype)) {
        horusi_describe_shape(wants, sizeof wants, io->ndim, io->shape, io->dtype);
        horusi_describe_shape(has, sizeof has, ndim, f->view.shape, v->dtype);
        (void)snprintf(m->why, sizeof m->why, "model %.40s takes \"%.40s\" as %.40s, it is %.40s%s",
                       m->name, f->name, wants, has,
                       empty         ? ": empty"
                       : m->fixed[i] ? ": see dynamic_input_dims"
                                     : "");
        return fits && !empty ? HORUS_E_TYPE : HORUS_E_SIZE;
    }
    if (f->publish_ns < m->input_ns)
        m->input_ns = f->publish_ns;
    return HORUS_OK;
}
/* From the first frame that it ran on a model keeps to open dimensions as they were then. */
static void horusi_fix_shapes(horusi_model *m)
{
    for (uint32_t i = 0; i < m->takes_count && !m->how.desc->dynamic_input_dims; i++) {
        horus_infer_io *io = &m->io[i];
        bool open = false;
        for (int k = 0; k < io->ndim; k++)
            open |= io->shape[k] < 0;
        if (!open)
            continue;
        horusi_lock(&m->infer->lock);
        memcpy(io->shape, m->views[i].shape, sizeof io->shape);
        horusi_unlock(&m->infer->lock);
        m->fixed[i] = 1;
    }
}
/* Lets go of dense copies. */
static void horusi_unbind(horusi_model *m)
{
    for (uint32_t i = 0; i < m->takes_count; i++) {
        if (m->views[i].data && m->views[i].data != m->feeds[i]->view.data)
            horusi_drop(&m->views[i]);
        memset(&m->views[i], 0, sizeof m->views[i]);
    }
}
static bool horusi_bind_all(horusi_model *m)
{
    m->input_ns = UINT64_MAX;
    m->run_ns = 0;
    for (uint32_t i = 0; i < m->takes_count && m->turn == HORUSI_TURN_DUE; i++) {
        m->result = horusi_bind(m, i);
        if (m->result == HORUS_OK && !horus_tensor_is_contiguous(&m->views[i])) {
            horus_tensor dense;
            m->result = horus_tensor_copy(&dense, &m->views[i], m->infer->pool);
            m->views[i] = dense; /* or nothing */
            if (m->result != HORUS_OK)
                (void)snprintf(m->why, sizeof m->why, "model %.63s: %.185s", m->name,
                               horusi_error_text);
        }
        if (m->result != HORUS_OK) {
            m->turn = HORUSI_TURN_FAILED;
            horusi_count(&m->failures, 1);
        }
    }
    return m->turn == HORUSI_TURN_DUE;
}
static void horusi_run_parallel(horus_infer *op)
{
    horusi_model *mine = NULL;
    uint32_t left, others = 0;
    for (uint32_t i = 0; i < op->count; i++)
        if (op->models[i].turn == HORUSI_TURN_DUE && horusi_bind_all(&op->models[i]))
            others++;
    if (others == 0)
        return;
    (void)horusi_add32_rlx(own, &op->context->runs, 1); /* one may call exit() while others read */
    horusi_st32_rel(I1, &op->left, others - 1);
    for (uint32_t i = 0; i < op->count; i++) {
        horusi_model *m = &op->models[i];
        if (m->turn != HORUSI_TURN_DUE)
            continue;
        if (!mine) {
            mine = m; /* of those that have threads none is left without one */
            continue;
        }
        (void)horusi_add32_acqrel(I1, &m->go, 1);
        horusi_wake(&m->go);
    }
    horusi_model_run(mine);
    while ((left = horusi_ld32_acq(I2, &op->left)) != 0)
        (void)horusi_sleep_on(&op->left, left, HORUSI_LOOP_SLICE_NS);
    (void)horusi_add32_rlx(own, &op->context->runs, UINT32_MAX);
}
/* What went wrong with each model: if there is no room for it all, each says the beginning. */
static horus_result horusi_frame_failed(horus_infer *op, horus_result r)
{
    char words[201] = "";
    size_t used = 0, all = 0, failed = 0, most = sizeof words;
    for (uint32_t i = 0; i < op->count; i++)
        if (op->models[i].turn == HORUSI_TURN_FAILED) {
            all += strlen(op->models[i].why) + 2;
            failed++;
        }
    if (all > sizeof words)
        most = sizeof words / failed - 2;
    for (uint32_t i = 0; i < op->count; i++) /* fits by now */
        if (op->models[i].turn == HORUSI_TURN_FAILED)
            used += (size_t)snprintf(words + used, sizeof words - used, "%s%.*s", used ? "; " : "",
                                     (int)most, op->models[i].why);
    return horusi_fail(r, "operator %.40s: %s", op->name, words);
}
static horus_result horusi_infer_execute(horus_infer *op)
{
    bool failed = false;
    horus_result r = HORUS_OK;
    horusi_choose_turns(op);
    op->chosen = false;
    op->used_ns = 0;
    if (op->parallel)
        horusi_run_parallel(op);
    for (uint32_t i = 0; i < op->count && r == HORUS_OK && !op->parallel; i++) {
        if (op->models[i].turn == HORUSI_TURN_DUE && horusi_bind_all(&op->models[i]))
            horusi_model_run(&op->models[i]);
        r = op->models[i].result;
    }
    for (uint32_t i = 0; i < op->count; i++) {
        horusi_model *m = &op->models[i];
        if (m->turn == HORUSI_TURN_DUE) /* not reached: an earlier one failed */
            m->turn = HORUSI_TURN_NONE;
        if (m->turn == HORUSI_TURN_DONE) {
            if (op->used_ns == 0 || m->input_ns < op->used_ns)
                op->used_ns = m->input_ns;
            horusi_fix_shapes(m);
        }
        if (m->turn == HORUSI_TURN_FAILED) {
            r = failed ? r : m->result;
            failed = true;
        }
        horusi_unbind(m);
    }
    horusi_count(&op->frames, 1);
    horusi_drop_feeds(op);
    return failed ? horusi_frame_failed(op, r) : HORUS_OK;
}
horus_result horus_infer_execute(horus_infer *op)
{
    horus_result r = horusi_infer_begin(op, "infer_execute", true);
    return r == HORUS_OK ? horusi_infer_end(op, horusi_infer_execute(op)) : r;
}
static horus_result horusi_warm_one(horusi_model *m)
{
    bool open = false;
    horus_result r = HORUS_OK;
    for (uint32_t i = 0; i < m->takes_count; i++)
        if (m->io[i].ndim < 0 || m->io[i].dtype < 0)
            return HORUS_OK; /* nobody knows what it takes */
    for (uint32_t i = 0; i < m->takes_count; i++) {
        int64_t shape[HORUS_MAX_DIMS];
        for (int k = 0; k < m->io[i].ndim; k++) {
            open |= m->io[i].shape[k] < 0;
            shape[k] = m->io[i].shape[k] < 0 ? 1 : m->io[i].shape[k];
        }
        r = horus_tensor_alloc(&m->views[i], m->infer->pool, (horus_dtype)m->io[i].dtype,
                               (uint32_t)m->io[i].ndim, shape, 0);
        if (r == HORUS_OK)
            continue;
        (void)snprintf(m->why, sizeof m->why, "model %.63s: %.185s", m->name, horusi_error_text);
        break;
    }
    if (r == HORUS_OK) {
        m->warm = true;
        horusi_model_run(m);
        m->warm = false;
        r = open ? HORUS_OK : m->result;
    }
    for (uint32_t i = 0; i < m->takes_count; i++)
        horusi_drop(&m->views[i]);
    m->turn = HORUSI_TURN_NONE;
    m->result = HORUS_OK;
    return r;
}
horus_result horus_infer_warm_up(horus_infer *op)
{
    horus_result r = horusi_infer_begin(op, "infer_warm_up", true);
    if (r != HORUS_OK)
        return r;
    for (uint32_t i = 0; i < op->count && r == HORUS_OK; i++) {
        r = horusi_warm_one(&op->models[i]);
        if (r != HORUS_OK)
            (void)horusi_fail(r, "operator %.40s: %.200s", op->name, op->models[i].why);
    }
    op->chosen = false;
    return horusi_infer_end(op, r);
}

/* ---- transmit */

static horus_result horusi_send_status(horus_infer *op)
{
    horus_infer_status s;
    horus_infer_output o;
    uint64_t frame = horusi_ld64_rlx(own, &op->frames);
    size_t room = sizeof s + op->send_count * sizeof o, bytes = sizeof s;
    horus_infer_output *to = (horus_infer_output *)(void *)(op->message + sizeof s);
    memset(&s, 0, sizeof s);
    s.timestamp_ns = horusi_now();
    s.frame = frame;
    for (uint32_t i = 0; i < op->send_count; i++) {
        const horusi_result *g = op->send[i];
        memset(&o, 0, sizeof o);
        o.timestamp_ns = s.timestamp_ns;
        horusi_text(o.model, sizeof o.model, g->model->name);
        horusi_text(o.tensor, sizeof o.tensor, g->name);
        o.age_frames = g->frame ? frame - g->frame : UINT64_MAX;
        o.run_ns = g->model->run_ns;
        o.result = g->model->result;
        o.active = horusi_ld32_rlx(report, &g->model->active) != 0;
        to[i] = o;
    }
    s.outputs.offset = (uint32_t)bytes;
    s.outputs.count = op->send_count;
    memcpy(op->message, &s, sizeof s);
    return horus_topic_send_typed(op->d.status, &horus_infer_status_type, op->message, room,
                                  HORUS_NO_WAIT);
}
static horus_result horusi_infer_transmit(horus_infer *op)
{
    horus_result first = HORUS_OK, r;
    for (uint32_t i = 0; i < op->send_count && op->d.output; i++) {
        horusi_result *g = op->send[i];
        horus_tensor t = g->last;
        if (!t.data || g->model->turn == HORUSI_TURN_FAILED)
            continue;
        r = horus_topic_send_tensor(op->d.output, &t, HORUS_NO_WAIT);
        horusi_lock(&op->lock);
        g->last.readonly = t.readonly;
        horusi_unlock(&op->lock);
        first = first == HORUS_OK ? r : first;
    }
    for (uint32_t i = 0; i < op->count; i++)
        if (op->models[i].turn == HORUSI_TURN_NONE && op->models[i].gives[0].last.data)
            horusi_count(&op->models[i].resent, 1);
    if (op->d.status) {
        r = horusi_send_status(op);
        first = first == HORUS_OK ? r : first;
    }
    return first;
}
horus_result horus_infer_transmit(horus_infer *op)
{
    horus_result r = horusi_infer_begin(op, "infer_transmit", true);
    return r == HORUS_OK ? horusi_infer_end(op, horusi_infer_transmit(op)) : r;
}
/* tick: it is told what was used, and how long each model took; or NULL. */
static horus_result horusi_infer_frame(horus_infer *op, horus_tick *tick)
{
    horus_result r = horusi_infer_begin(op, "infer_run", true), sent;
    if (r != HORUS_OK)
        return r;
    r = horusi_infer_extract(op);
    if (r == HORUS_OK) {
        char words[sizeof horusi_error_text];
        r = horusi_infer_execute(op);
        horus_tick_used(tick, op->used_ns);
        for (uint32_t i = 0; i < op->count; i++)
            if (op->models[i].turn != HORUSI_TURN_NONE)
                horus_tick_part(tick, i, op->models[i].run_ns, op->models[i].result);
        horusi_text(words, sizeof words, horusi_error_text);
        sent = horusi_infer_transmit(op);
        if (r == HORUS_OK)
            r = sent;
        else
            horusi_text(horusi_error_text, sizeof horusi_error_text, words);
    }
    if ((r == HORUS_OK || r == HORUS_EMPTY) && op->bad != HORUS_OK)
        r = horusi_fail(op->bad, "operator %.40s: %s", op->name, op->bad_text);
    op->bad = HORUS_OK;
    return horusi_infer_end(op, r);
}

horus_result horus_infer_run(horus_infer *op) { return horusi_infer_frame(op, NULL); }

static horus_result horusi_infer_tick(void *user, horus_tick *tick)
{
    horus_result r = horusi_infer_frame((horus_infer *)user, tick);
    return r == HORUS_EMPTY ? HORUS_OK : r;
}
static horus_result horusi_infer_init(void *user)
{
    return horus_infer_warm_up((horus_infer *)user);
}
horus_result horus_infer_node(horus_infer *op, horus_node_desc *out)
{
    if (out)
        memset(out, 0, sizeof *out);
    if (!op || !out)
        return horusi_fail(HORUS_E_ARG, "infer_node: an argument is NULL");
    out->name = op->name;
    out->tick = horusi_infer_tick;
    out->init = horusi_infer_init;
    out->user = op;
    out->compute = true;
    out->parts = op->parts;
    return HORUS_OK;
}

/* ---- what others ask */

horus_result horus_infer_set_active(horus_infer *op, const char *model, bool active)
{
    if (!op || !model)
        return horusi_fail(HORUS_E_ARG, "infer_set_active: an argument is NULL");
    horusi_model *m = horusi_model_of(op, model);
    if (!m)
        return horusi_fail(HORUS_E_NOT_FOUND,
                           "infer_set_active: \"%.63s\" is no model: did you mean \"%.63s\"?",
                           model, horusi_near_model(&op->d, model));
    horusi_st32_rlx(report, &m->active, active);
    return HORUS_OK;
}
horus_result horus_infer_get(horus_infer *op, const char *name, horus_tensor *out,
                             uint64_t *age_frames)
{
    if (out)
        memset(out, 0, sizeof *out);
    if (age_frames)
        *age_frames = 0;
    if (!op || !name || !out)
        return horusi_fail(HORUS_E_ARG, "infer_get: an argument is NULL");
    horus_context *c;
    horus_result r = horusi_context_of(op->context, &c);
    if (r != HORUS_OK) /* the lock may be held by a thread that this child has not */
        return r;
    horusi_result *g = horusi_result_of(op, name);
    if (!g)
        return horusi_fail(HORUS_E_NOT_FOUND,
                           "infer_get: no model gives \"%.63s\": did you mean \"%.63s\"?", name,
                           horusi_near_tensor(op->d.inference_map, name));
    horusi_lock(&op->lock);
    r = g->last.data ? horus_frame_hold(&g->last.frame) : HORUS_EMPTY;
    uint64_t frame = g->frame, newest = horusi_ld64_rlx(report, &op->frames);
    if (r == HORUS_OK)
        *out = g->last;
    horusi_unlock(&op->lock);
    if (age_frames && frame && newest > frame)
        *age_frames = newest - frame;
    return r;
}
horus_result horus_infer_get_io(horus_infer *op, uint32_t index, bool output, uint32_t number,
                                horus_infer_io *out)
{
    if (out)
        memset(out, 0, sizeof *out);
    if (!op || !out)
        return horusi_fail(HORUS_E_ARG, "infer_get_io: an argument is NULL");
    horus_context *c;
    horus_result r = horusi_context_of(op->context, &c);
    if (r != HORUS_OK)
        return r;
    if (!op->ready)
        return horusi_fail(HORUS_E_CLOSED, "operator %s is not set up", op->name);
    const horusi_model *m = index < op->count ? &op->models[index] : NULL;
    if (!m || number >= (output ? m->gives_count : m->takes_count))
        return horusi_fail(HORUS_E_NOT_FOUND, "operator %s: no such model, or tensor of it",
                           op->name);
    horusi_lock(&op->lock);
    *out = m->io[(output ? m->takes_count : 0) + number];
    horusi_unlock(&op->lock);
    return HORUS_OK;
}
horus_result horus_infer_get_stats(horus_infer *op, horus_infer_stats *out, size_t room,
                                   size_t *count)
{
    if (count)
        *count = 0;
    if (!op || (!out && room))
        return horusi_fail(HORUS_E_ARG, "infer_get_stats: an argument is NULL");
    size_t n = room < op->count ? room : op->count;
    for (size_t i = 0; i < n; i++) {
        horusi_model *m = &op->models[i];
        horus_infer_stats *s = &out[i];
        memset(s, 0, sizeof *s);
        horusi_text(s->model, sizeof s->model, m->name);
        horusi_text(s->backend, sizeof s->backend, m->backend->name);
        bool gpu = op->ready && m->backend->on_gpu && m->backend->on_gpu(m->loaded);
        (void)snprintf(s->device, sizeof s->device, gpu ? "GPU %d" : "CPU",
                       m->how.device < 0 ? 0 : (int)m->how.device);
        s->active = horusi_ld32_rlx(report, &m->active) != 0;
        s->every = m->every;
        s->inputs = m->takes_count;
        s->outputs = m->gives_count;
        s->frames = horusi_ld64_rlx(report, &op->frames);
        s->runs = horusi_ld64_rlx(report, &m->runs);
        s->failures = horusi_ld64_rlx(report, &m->failures);
        s->aborts = horusi_ld64_rlx(report, &m->aborts);
        s->resent = horusi_ld64_rlx(report, &m->resent);
        horusi_spread_of(&m->spread, &s->run);
    }
    if (count)
        *count = n;
    return HORUS_OK;
}
#endif /* HORUS_NO_INFER */

#endif /* HORUS_IMPLEMENTATION */

/* ------------------------------------------------------------------------------------ >>license
 *
 * This software is available under two licenses; choose the one you prefer.
 *
 * A. MIT License. Copyright (c) 2026 the horus authors.
 * Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
 * associated documentation files (the "Software"), to deal in the Software without restriction,
 * including without limitation the rights to use, copy, modify, merge, publish, distribute,
 * sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
 * furnished to do so, subject to the following conditions: The above copyright notice and this
 * permission notice shall be included in all copies or substantial portions of the Software. THE
 * SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT
 * LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
 * NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
 * DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
 * OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
 *
 * B. Public Domain (www.unlicense.org). This is free and unencumbered software released into the
 * public domain. Anyone is free to copy, modify, publish, use, compile, sell, or distribute this
 * software, either in source code form or as a compiled binary, for any purpose, commercial or
 * non-commercial, and by any means. The software is provided as is, without warranty of any kind.
 */
