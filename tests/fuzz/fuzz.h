/* What the fuzz targets share: the library with guarded mappings, an input that is read piece by
 * piece, a namespace with something of everything in it, and a way to damage any part of it.
 *
 * A target is a function of an input; FUZZ_TARGET picks one. HORUS_DIR must name a directory of the
 * caller's own in a tmpfs: whoever made it removes it, also after a crash (tests/fuzz/run.sh does). */
#ifndef FUZZ_H
#define FUZZ_H

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef TEST_COVERAGE /* who ends at once still says what it ran */
extern void __gcov_dump(void);
#define _exit(status) (__gcov_dump(), _exit(status))
#endif

/* Every mapping lies between two stretches that nobody may touch, so that an access outside it is
 * seen whatever else is mapped. */
#define FUZZ_GUARD ((size_t)16 << 20)
static int fuzz_maps; /* mappings that live now */
static void *fuzz_mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t offset)
{
    size_t whole = (bytes + 4095) / 4096 * 4096 + 2 * FUZZ_GUARD;
    (void)at;
    uint8_t *p =
        (uint8_t *)mmap(NULL, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == (uint8_t *)MAP_FAILED)
        return MAP_FAILED;
    void *m = mmap(p + FUZZ_GUARD, bytes, prot, flags | MAP_FIXED, fd, offset);
    if (m == MAP_FAILED) {
        int e = errno;
        (void)munmap(p, whole);
        errno = e;
        return MAP_FAILED;
    }
    fuzz_maps++;
    return m;
}
static int fuzz_munmap(void *at, size_t bytes)
{
    fuzz_maps--;
    return munmap((uint8_t *)at - FUZZ_GUARD, (bytes + 4095) / 4096 * 4096 + 2 * FUZZ_GUARD);
}
/* A hostile member, played between any two atomic accesses of the library: every `every` accesses it
 * rewrites one word. */
static struct {
    uint8_t *at; /* NULL: asleep */
    uint64_t was, bad;
    uint32_t how, every, left, hits;
} rewriter;
static void fuzz_step(const volatile void *at)
{
    (void)at;
    if (!rewriter.at || --rewriter.left > 0)
        return;
    rewriter.left = rewriter.every;
    rewriter.hits++;
    uint64_t v;
    memcpy(&v, rewriter.at, 8);
    switch (rewriter.how & 7) {
    case 0: /* between right and wrong */
        v = rewriter.hits & 1 ? rewriter.bad : rewriter.was;
        break;
    case 1:
        v++;
        break;
    case 2:
        v += 1ull << 32;
        break;
    case 3: /* the lower half alone */
        v = (v & 0xffffffff00000000ull) |
            (uint32_t)(rewriter.hits & 1 ? rewriter.bad : rewriter.was);
        break;
    case 4: /* what somebody writes does not last */
        v = rewriter.was;
        break;
    case 5:
        v = v == rewriter.was ? rewriter.bad : rewriter.was;
        break;
    case 6: /* around 64 values */
        v = rewriter.was + (rewriter.hits & 63);
        break;
    default:
        v = rewriter.was ^ 1ull << (rewriter.hits & 63);
        break;
    }
    memcpy(rewriter.at, &v, 8);
}

#define mmap fuzz_mmap
#define munmap fuzz_munmap
#define HORUSI_ATOMICS "tests/fuzz/atomics.h"
#define HORUS_IMPLEMENTATION
#include "../../horus.h"
#undef mmap
#undef munmap

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not so: %s (last error: %s)\n", __FILE__, __LINE__,            \
                    #condition, horus_last_error());                                               \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* ---- the input: what is not there is 0 */

typedef struct input {
    const uint8_t *at, *end;
} input;
static uint64_t take(input *in, unsigned bytes)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < bytes && in->at < in->end; i++)
        v |= (uint64_t)*in->at++ << 8 * i;
    return v;
}
static uint32_t take8(input *in) { return (uint32_t)take(in, 1); }
static bool is_over(const input *in) { return in->at >= in->end; }

static uint64_t rng_state = 1;
static uint32_t rng(void)
{
    uint64_t z = rng_state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)(z >> 32);
}

/* ---- seeds are written by the targets themselves: FUZZ_MAKE_SEEDS=directory */

typedef struct output {
    uint8_t bytes[4096];
    size_t count;
} output;
static void put(output *o, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes && o->count < sizeof o->bytes; i++)
        o->bytes[o->count++] = (uint8_t)(v >> 8 * i);
}
static void put_bytes(output *o, const void *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        put(o, ((const uint8_t *)from)[i], 1);
}
static void save_seed(const output *o, const char *name)
{
    char path[600];
    (void)snprintf(path, sizeof path, "%s/%s", getenv("FUZZ_MAKE_SEEDS"), name);
    FILE *f = fopen(path, "wb");
    MUST(f && fwrite(o->bytes, 1, o->count, f) == o->count && fclose(f) == 0);
}

/* ---- the namespace of a target, in HORUS_DIR */

#define FUZZ_SPACE "f"
static const char *space_path(const char *file)
{
    static char path[600];
    (void)snprintf(path, sizeof path, "%s/horus." FUZZ_SPACE "%s%s", getenv("HORUS_DIR"),
                   *file ? "/" : "", file);
    return path;
}
/* Removes what is there, whatever state it is in. */
static void clear_space(void)
{
    char inner[900];
    DIR *d = opendir(space_path(""));
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        (void)snprintf(inner, sizeof inner, "%s/%s", space_path(""), e->d_name);
        (void)unlink(inner);
    }
    if (d)
        (void)closedir(d);
    (void)rmdir(space_path(""));
}
/* The lowest descriptor that is free: what a call leaks moves it. */
static int next_fd(void)
{
    int fd = dup(0);
    (void)close(fd);
    return fd;
}

/* ---- a world: two members, a named pool, a topic of each policy, and what they carry */

enum { SIDES = 2, TOPICS = 4, HELD = 8 };
typedef struct world {
    horus_context *context[SIDES];
    horus_pool *named[SIDES];
    horus_topic *topic[SIDES][TOPICS];
    horus_tensor held[HELD];
    uint8_t *raw[2]; /* the two files, as a hostile member maps them */
    size_t raw_bytes[2];
} world;

static const horus_context_desc world_desc = {
    .name = FUZZ_SPACE,
    .pool_bytes = 256 << 10,
    .granule_bytes = 4096,
    .block_bytes = 256,
    .max_topics = 6,
    .label = "fuzz",
};
static const horus_pool_desc named_desc = {
    .pool_bytes = 64 << 10, .granule_bytes = 4096, .block_bytes = 256};
static const char *const topic_names[TOPICS] = {"reliable", "over", "queue", "typed"};

/* `reliable` is opened first: its ring is a run, and runs grow from the end of the pool, so that
 * what reads on behind its cursors leaves the mapping. */
static horus_topic_desc topic_desc(horus_context *c, unsigned which)
{
    horus_topic_desc d = {.context = c, .max_publishers = 4, .max_subscribers = 6};
    d.policy = which == 0   ? HORUS_RELIABLE
               : which == 2 ? HORUS_QUEUE
               : which == 1 ? HORUS_OVERWRITE
                            : HORUS_POLICY_ANY;
    d.capacity = which == 0 ? 64 : 4;
    d.message_bytes = which == 0 ? 40 : which == 3 ? 0 : HORUS_DESCRIPTOR_BYTES;
    d.flags = which == 0 ? HORUS_PUBLISHER : 0;
    d.type = which == 3 ? &horus_vector3_type : NULL;
    return d;
}
static void send_some(world *w, unsigned side)
{
    uint8_t bytes[6000] = {1, 2, 3};
    horus_vector3 v = {.x = 1};
    horus_image m;
    horus_cloud cloud;
    horus_context *c = w->context[side];
    for (unsigned i = 0; i < TOPICS; i++) {
        horus_topic *t = w->topic[side][i];
        if (!t)
            continue;
        if (i == 3) {
            (void)horus_topic_send(t, &v, sizeof v, 0);
            continue;
        }
        (void)horus_topic_send(t, bytes, 33, 0);
        (void)horus_topic_send(t, bytes, i == 0 ? 5000 : 600, 0);
        if (horus_image_alloc(&m, w->named[side], 10, 6, HORUS_RGB8, 0) == HORUS_OK) {
            (void)horus_topic_send_image(t, &m, 0);
            (void)horus_image_release(&m);
        }
        if (horus_cloud_alloc(&cloud, c->pool, 20, 3, HORUS_F32, 0) == HORUS_OK) {
            (void)horus_topic_send_cloud(t, &cloud, 0);
            (void)horus_cloud_release(&cloud);
        }
    }
}
static void world_open(world *w)
{
    uint8_t bytes[400];
    int64_t shape[2] = {30, 40};
    memset(w, 0, sizeof *w);
    for (unsigned s = 0; s < SIDES; s++) {
        MUST(horus_context_open(&w->context[s], &world_desc) == HORUS_OK);
        horus_pool_desc d = named_desc;
        d.context = w->context[s];
        MUST(horus_pool_open(&w->named[s], "n", &d) == HORUS_OK);
        for (unsigned i = 0; i < TOPICS; i++) {
            horus_topic_desc t = topic_desc(w->context[s], i);
            MUST(horus_topic_open(&w->topic[s][i], topic_names[i], &t) == HORUS_OK);
        }
    }
    send_some(w, 0);
    (void)horus_topic_receive(w->topic[1][2], bytes, sizeof bytes, NULL, 0); /* a claim */
    for (unsigned i = 0; i < 3; i++)
        (void)horus_tensor_alloc(&w->held[i], i == 1 ? w->named[0] : w->context[0]->pool, HORUS_U8,
                                 2, shape, 0);
}
static void world_map(world *w)
{
    static const char *const files[2] = {"horus", "pool.n"};
    for (int i = 0; i < 2; i++) {
        int fd = open(space_path(files[i]), O_RDWR | O_CLOEXEC);
        w->raw_bytes[i] = (size_t)(i ? w->named[0] : w->context[0]->pool)->map_bytes;
        w->raw[i] =
            (uint8_t *)mmap(NULL, w->raw_bytes[i], PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        MUST(fd >= 0 && w->raw[i] != (uint8_t *)MAP_FAILED);
        close(fd);
    }
}
static void drop(horus_tensor *t)
{
    if (t->frame.pool)
        (void)horus_tensor_release(t);
    memset(t, 0, sizeof *t);
}
static void world_close(world *w)
{
    for (unsigned i = 0; i < HELD; i++)
        drop(&w->held[i]);
    for (unsigned s = 0; s < SIDES; s++) {
        for (unsigned i = 0; i < TOPICS; i++)
            horus_topic_close(w->topic[s][i]);
        horus_context_close(w->context[s]);
    }
    memset(&rewriter, 0, sizeof rewriter);
    for (int i = 0; i < 2; i++)
        if (w->raw[i])
            (void)munmap(w->raw[i], w->raw_bytes[i]);
    memset(w, 0, sizeof *w);
}

/* ---- regions of the shared file, and patches to them */

typedef struct region {
    uint64_t offset, bytes;
    unsigned file; /* 0: the namespace's, 1: the named pool's */
} region;
enum { REGIONS = 64 };
static region regions[REGIONS];
static unsigned region_count;
static void add_region(const horus_pool *p, const void *at, uint64_t bytes)
{
    uint64_t offset = (uint64_t)((const uint8_t *)at - p->base);
    if (region_count < REGIONS && bytes > 0 && offset + bytes <= p->map_bytes) {
        regions[region_count].offset = offset;
        regions[region_count].bytes = bytes;
        regions[region_count++].file = p->id != 0;
    }
}
/* Where what a topic's handle uses lies. */
static void add_topic(const horus_topic *t)
{
    const horus_pool *p = t->context->pool;
    const horusi_out *o = t->out;
    add_region(p, t->shm, sizeof *t->shm);
    add_region(p, (const uint8_t *)t->shm + 256, 64); /* what is polled */
    add_region(p, horusi_lanes(t->shm), t->max_lanes * sizeof(horusi_lane));
    add_region(p, horusi_subs(t->shm, t->max_lanes), t->max_subs * sizeof(horusi_sub));
    add_region(p, &p->slot[t->ref.slot], 64);
    if (!o)
        return;
    add_region(p, o->entries, (uint64_t)o->capacity * o->stride);
    for (uint32_t i = 0; i < 4; i++) /* the heads of entries */
        add_region(p, o->entries + (size_t)i * o->stride, 64);
    if (o->cursors)
        add_region(p, o->cursors, t->max_subs * 8);
    if (o->claims)
        add_region(p, o->claims, o->capacity * 8);
    add_region(p, &p->slot[o->ring.slot], 64);
}
static void find_regions(const world *w)
{
    const horus_pool *p = w->context[0]->pool, *n = w->named[0];
    region_count = 0;
    add_region(p, p->header, sizeof *p->header);
    add_region(p, p->rows, 4 * sizeof *p->rows);
    add_region(p, p->directory, p->max_topics * 8);
    add_region(p, p->granule, p->granules * sizeof *p->granule);
    add_region(p, p->slot, p->slots * sizeof *p->slot);
    add_region(n, n->header, sizeof *n->header);
    add_region(n, n->granule, n->granules * sizeof *n->granule);
    add_region(n, n->slot, 8 * sizeof *n->slot);
    for (unsigned i = 0; i < TOPICS; i++)
        add_topic(w->topic[0][i]);
    add_region(p, p->slot + w->held[0].frame.slot, 64);
    add_region(p, p->data, p->map_bytes - p->data_offset);
}

/* One damage: where, how wide, and what. base: where the two files lie. */
static const uint64_t special[] = {0,
                                   1,
                                   2,
                                   UINT64_MAX,
                                   INT64_MAX,
                                   1ull << 63,
                                   1ull << 62,
                                   UINT32_MAX,
                                   1ull << 31,
                                   4096,
                                   4097,
                                   65536,
                                   65537,
                                   1u << 20,
                                   0xffffffff00000000ull,
                                   0x0000000100000001ull,
                                   0x0003000000030003ull,
                                   1ull << 30 | 1,
                                   2ull << 30 | 40,
                                   3ull << 30};
enum { SPECIALS = sizeof special / sizeof special[0] };
static void patch(input *in, uint8_t *const base[2])
{
    const region *r = &regions[take8(in) % region_count], *q;
    uint64_t at = take(in, 2), how = take(in, 1), v = 0;
    unsigned width = 1u << (how & 3);
    at = r->offset + at % r->bytes;
    if (r->file == 1 && !base[1])
        return;
    if (how & 4)
        at &= ~(uint64_t)(width - 1);
    if (at + width > r->offset + r->bytes)
        at = r->offset + r->bytes > width ? r->offset + r->bytes - width : r->offset;
    uint8_t *to = base[r->file] + at;
    memcpy(&v, to, width);
    switch (how >> 3 & 7) {
    case 0:
        v = take(in, width);
        break;
    case 1:
        v += (uint64_t)(int64_t)(int8_t)take8(in);
        break;
    case 2:
    case 3:
        v = special[take8(in) % SPECIALS];
        break;
    case 4:
        v ^= 1ull << (take8(in) % 64);
        break;
    case 5: /* something that is right elsewhere */
        q = &regions[take8(in) % region_count];
        at = (q->offset + take(in, 2) % q->bytes) & ~(uint64_t)7;
        if (base[q->file])
            memcpy(&v, base[q->file] + at, 8);
        break;
    case 6:
        v = take8(in);
        break;
    default:
        v = (v & 0xffffffff00000000ull) | take(in, 2);
        break;
    }
    memcpy(to, &v, width);
}

/* Sets the rewriter upon a word. */
static void set_rewriter(input *in, uint8_t *const base[2])
{
    const region *r = &regions[take8(in) % region_count];
    uint64_t at = (r->offset + take(in, 2) % r->bytes) & ~(uint64_t)7;
    uint32_t how = take8(in), every = take8(in), bad = take8(in);
    memset(&rewriter, 0, sizeof rewriter);
    if (!base[r->file] || every == 0)
        return;
    rewriter.how = how;
    rewriter.every = rewriter.left = every;
    rewriter.bad = how & 8 ? take(in, 8) : special[bad % SPECIALS];
    memcpy(&rewriter.was, base[r->file] + at, 8);
    rewriter.at = base[r->file] + at;
}

/* ---- looking at what was received */

/* All that a view covers lies inside the mapping of its pool, behind its tables; its ends can be
 * read. */
static uint64_t view_sum;
static void touch(const horus_frame *f, const void *data, uint64_t span)
{
    const horus_pool *p = f->pool;
    const uint8_t *at = (const uint8_t *)data;
    MUST(p && at >= p->data && at <= p->base + p->map_bytes);
    MUST(span <= (uint64_t)(p->base + p->map_bytes - at));
    if (span > 0)
        view_sum += *(const volatile uint8_t *)at + *(const volatile uint8_t *)(at + span - 1);
}
/* Bytes from the first to the end of the last element, by other means than the library's. */
static uint64_t span_of(const horus_tensor *t)
{
    unsigned __int128 last = 0;
    MUST(t->ndim <= HORUS_MAX_DIMS && horus_dtype_bytes((horus_dtype)t->dtype) > 0);
    for (uint32_t i = 0; i < t->ndim; i++) {
        MUST(t->shape[i] >= 0);
        if (t->shape[i] == 0)
            return 0;
    }
    for (uint32_t i = 0; i < t->ndim; i++) {
        MUST(t->strides_bytes[i] >= 0);
        last += (unsigned __int128)(t->shape[i] - 1) * (uint64_t)t->strides_bytes[i];
        MUST(last < UINT64_MAX / 2);
    }
    return (uint64_t)last + horus_dtype_bytes((horus_dtype)t->dtype);
}
static void touch_tensor(const horus_tensor *t) { touch(&t->frame, t->data, span_of(t)); }
static void touch_image(const horus_image *m)
{
    MUST(m->width_px > 0 && m->height_px > 0);
    touch(&m->frame, m->data,
          (uint64_t)m->stride_bytes * (m->height_px - 1) +
              (uint64_t)m->width_px * m->channels * m->elem_bytes);
}
static void touch_depth(const horus_depth *d)
{
    MUST(d->width_px > 0 && d->height_px > 0 && (d->dtype == HORUS_F32 || d->dtype == HORUS_U16));
    touch(&d->frame, d->data,
          (uint64_t)d->stride_bytes * (d->height_px - 1) +
              (uint64_t)d->width_px * (d->dtype == HORUS_F32 ? 4 : 2));
}
static void touch_cloud(const horus_cloud *c)
{
    unsigned __int128 n = (unsigned __int128)c->point_count * c->fields;
    MUST(c->fields > 0 && horus_dtype_bytes((horus_dtype)c->dtype) > 0);
    n *= horus_dtype_bytes((horus_dtype)c->dtype);
    MUST(n < UINT64_MAX / 2);
    touch(&c->frame, c->data, (uint64_t)n);
}

#endif
