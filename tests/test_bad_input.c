/* Bad input: every public function with NULL, zero, huge, negative, stale and half-built arguments.
 * The right code, a message, outputs that are defined, and nothing lost. */
#define HORUS_IMPLEMENTATION
#include "../horus.h"
#include "test.h"
#include <math.h>
#include <pthread.h>

/* The call fails so, and says something. */
#define FAILS(call, want)                                                                          \
    do {                                                                                           \
        horusi_error_text[0] = 0;                                                                  \
        CHECK_RESULT(call, want);                                                                  \
        CHECK(horus_last_error()[0] != 0);                                                         \
    } while (0)
#define JUNK(object) memset(&(object), 0x5a, sizeof(object))

typedef struct things {
    horus_context *context;
    horus_pool *pool;
    horus_topic *topic;
    horus_tensor tensor;
    horus_image image;
    horus_depth depth;
    horus_cloud cloud;
} things;
static things make(void)
{
    things o;
    int64_t shape[2] = {4, 5};
    o.context = join(4 * MiB);
    o.pool = pool_of(o.context);
    REQUIRE_OK(horus_topic_open(&o.topic, "t", &(horus_topic_desc){.context = o.context}));
    REQUIRE_OK(horus_tensor_alloc(&o.tensor, o.pool, HORUS_F32, 2, shape, 0));
    REQUIRE_OK(horus_image_alloc(&o.image, o.pool, 4, 5, HORUS_RGB8, 0));
    REQUIRE_OK(horus_depth_alloc(&o.depth, o.pool, 4, 5, HORUS_F32, 0));
    REQUIRE_OK(horus_cloud_alloc(&o.cloud, o.pool, 4, 3, HORUS_F32, 0));
    return o;
}
/* All is as it was, and goes away without a trace. */
static void unmake(things *o)
{
    horus_topic_stats s;
    CHECK_OK(horus_topic_get_stats(o->topic, &s));
    CHECK_EQ(s.sent, 0);
    CHECK(!horus_frame_published(&o->tensor.frame) && !horus_frame_published(&o->image.frame));
    CHECK_EQ(horus_frame_holders(&o->tensor.frame), 1);
    CHECK_OK(horus_tensor_release(&o->tensor));
    CHECK_OK(horus_image_release(&o->image));
    CHECK_OK(horus_depth_release(&o->depth));
    CHECK_OK(horus_cloud_release(&o->cloud));
    horus_topic_close(o->topic);
    check_empty(o->pool);
    horus_context_close(o->context);
}

TEST(results_have_texts_and_errors_are_per_thread)
{
    for (int i = -30; i < 10; i++)
        CHECK(horus_result_text((horus_result)i) && horus_result_text((horus_result)i)[0]);
    CHECK(strcmp(horus_result_text(HORUS_OK), "success") == 0);
    CHECK(strcmp(horus_result_text((horus_result)1000), horus_result_text((horus_result)-1000)) ==
          0);
#define X(name, value, text) CHECK(strcmp(horus_result_text(HORUS_##name), text) == 0);
    HORUS_RESULTS(X)
#undef X
}
static void *look_at_error(void *arg)
{
    (void)arg;
    CHECK(strcmp(horus_last_error(), "") == 0);
    FAILS(horus_frame_hold(NULL), HORUS_E_CLOSED);
    return NULL;
}
TEST(the_last_error_belongs_to_one_thread)
{
    pthread_t thread;
    CHECK(strcmp(horus_last_error(), "") == 0);
    CHECK_RESULT(horus_topic_open(NULL, "x", NULL), HORUS_E_ARG);
    CHECK_TEXT(horus_last_error(), "topic_open");
    REQUIRE(pthread_create(&thread, NULL, look_at_error, NULL) == 0);
    (void)pthread_join(thread, NULL);
    CHECK_TEXT(horus_last_error(), "topic_open");
}

TEST(contexts_and_pools)
{
    horus_context *c;
    horus_pool *p;
    horus_context_info info;
    horus_pool_stats stats;
    horus_audit audit;
    FAILS(horus_context_open(NULL, NULL), HORUS_E_ARG);
    FAILS(horus_context_default(NULL), HORUS_E_ARG);
    FAILS(horus_context_get_info(NULL, NULL), HORUS_E_ARG);
    FAILS(horus_pool_open(NULL, "x", NULL), HORUS_E_ARG);
    FAILS(horus_pool_get_stats(NULL, NULL), HORUS_E_ARG);
    FAILS(horus_pool_audit(NULL, NULL, NULL, NULL), HORUS_E_ARG);
    FAILS(horus_context_topics(NULL, NULL, NULL), HORUS_E_ARG);
    horus_context_close(NULL);
    horus_pool_close(NULL);
    horus_topic_close(NULL);
    /* where no namespace can be had, everything says so and zeroes its outputs */
    (void)setenv("HORUS_DIR", "/nonexistent", 1);
    JUNK(c);
    FAILS(horus_context_open(&c, NULL), HORUS_E_SYSTEM);
    CHECK(c == NULL);
    JUNK(c);
    FAILS(horus_context_default(&c), HORUS_E_SYSTEM);
    CHECK(c == NULL);
    JUNK(info);
    FAILS(horus_context_get_info(NULL, &info), HORUS_E_SYSTEM);
    CHECK_ZERO(info);
    JUNK(p);
    FAILS(horus_pool_open(&p, NULL, NULL), HORUS_E_SYSTEM);
    CHECK(p == NULL);
    JUNK(stats);
    FAILS(horus_pool_get_stats(NULL, &stats), HORUS_E_SYSTEM);
    CHECK_ZERO(stats);
    JUNK(audit);
    FAILS(horus_pool_audit(NULL, &audit, NULL, NULL), HORUS_E_SYSTEM);
    CHECK_ZERO(audit);
    uint64_t freed = 5;
    FAILS(horus_pool_trim(NULL, &freed), HORUS_E_SYSTEM);
    CHECK_EQ(freed, 0);
    uint32_t rows = 5;
    FAILS(horus_context_sweep(NULL, &rows), HORUS_E_SYSTEM);
    CHECK_EQ(rows, 0);
    horus_frame f;
    void *data = &f;
    JUNK(f);
    FAILS(horus_frame_alloc(&f, NULL, 10, 0, &data), HORUS_E_SYSTEM);
    CHECK_ZERO(f);
    CHECK(data == NULL);
    horus_topic *t;
    JUNK(t);
    FAILS(horus_topic_open(&t, "x", NULL), HORUS_E_SYSTEM);
    CHECK(t == NULL);
    horus_tensor tensor;
    JUNK(tensor);
    FAILS(horus_tensor_from_descriptor(&tensor, NULL, (char[64]){0}, 64), HORUS_E_SYSTEM);
    CHECK_ZERO(tensor);
    (void)unsetenv("HORUS_DIR");
    CHECK_OK(horus_context_default(&c)); /* and works as soon as it can */
}

TEST(environment_that_is_no_good_is_refused)
{
    horus_context *c;
    (void)setenv("HORUS_NAMESPACE", "a//b", 1);
    FAILS(horus_context_open(&c, NULL), HORUS_E_NAME);
    CHECK_TEXT(horus_last_error(), "a//b");
    (void)setenv("HORUS_NAMESPACE", test_space, 1);
    (void)setenv("HORUS_GROUP", "no-such-group", 1);
    FAILS(horus_context_open(&c, NULL), HORUS_E_NOT_FOUND);
    CHECK_TEXT(horus_last_error(), "no-such-group");
    (void)setenv("HORUS_GROUP", "", 1); /* empty is as good as not set */
    (void)setenv("HORUS_DIR", "", 1);
    CHECK_OK(horus_context_open(&c, &(horus_context_desc){.pool_bytes = MiB}));
    horus_context_close(c);
    char slashes[HORUS_NAME_BYTES]; /* each takes three bytes of a file's name */
    for (int i = 0; i < HORUS_NAME_BYTES - 1; i++)
        slashes[i] = i % 2 ? '/' : 'a';
    memcpy(slashes + HORUS_NAME_BYTES - 2, "a", 2);
    FAILS(horus_context_open(&c, &(horus_context_desc){.name = slashes}), HORUS_E_NAME);
    CHECK_TEXT(horus_last_error(), "too many /");
    static const char *const groups[] = {"-1", "4294967295", "99999999999999999999", "0x", "1 "};
    for (int i = 0; i < 5; i++) { /* no number that could be a group's */
        (void)setenv("HORUS_GROUP", groups[i], 1);
        horus_result r = horus_context_open(&c, &(horus_context_desc){.pool_bytes = MiB});
        if (!CHECK(r != HORUS_OK && c == NULL))
            test_failed(__FILE__, __LINE__, "HORUS_GROUP=%s: %s", groups[i], test_result_name(r));
        horus_context_close(c);
    }
    (void)unsetenv("HORUS_GROUP");
    (void)unsetenv("HORUS_DIR");
}

TEST(frames)
{
    things o = make();
    horus_frame zero, f, wild;
    void *data;
    uint64_t bytes, time;
    char id[HORUS_FRAME_ID_BYTES];
    memset(&zero, 0, sizeof zero);
    FAILS(horus_frame_alloc(NULL, o.pool, 10, 0, NULL), HORUS_E_ARG);
    JUNK(f);
    JUNK(data);
    horus_result r = horus_frame_alloc(&f, o.pool, 0, 0, &data);
    CHECK(r == HORUS_E_ARG || r == HORUS_E_SIZE);
    CHECK_ZERO(f);
    CHECK(data == NULL);
    static const uint64_t sizes[] = {UINT64_MAX, 1ull << 63, 1ull << 32, UINT32_MAX};
    for (int i = 0; i < 4; i++) {
        JUNK(f);
        JUNK(data);
        FAILS(horus_frame_alloc(&f, o.pool, sizes[i], 0, &data), HORUS_E_SIZE);
        CHECK_ZERO(f);
        CHECK(data == NULL);
    }
    /* nothing, zero, a slot far outside, a neighbour, a use before and one after this one */
    const horus_frame good = o.tensor.frame;
    for (int i = 0; i < 9; i++) {
        const horus_frame *bad = &wild;
        wild = good;
        switch (i) {
        case 0:
            bad = NULL;
            break;
        case 1:
            bad = &zero;
            break;
        case 2:
            wild.slot = UINT32_MAX;
            break;
        case 3:
            wild.slot = stats_of(o.pool).max_slots;
            break;
        case 4:
            wild.slot = stats_of(o.pool).max_slots - 1;
            break;
        case 5:
            wild.generation++;
            break;
        case 6:
            wild.generation--;
            break;
        case 7:
            wild.generation = UINT32_MAX;
            break;
        default:
            wild.slot = 0x80000000u;
            break;
        }
        FAILS(horus_frame_hold(bad), HORUS_E_CLOSED);
        JUNK(data);
        JUNK(bytes);
        FAILS(horus_frame_data(bad, &data, &bytes), HORUS_E_CLOSED);
        CHECK(data == NULL && bytes == 0);
        FAILS(horus_frame_data(bad, NULL, NULL), HORUS_E_CLOSED);
        CHECK(!horus_frame_published(bad));
        CHECK_EQ(horus_frame_holders(bad), 0);
        FAILS(horus_frame_set_id(bad, "id"), HORUS_E_CLOSED);
        JUNK(id);
        FAILS(horus_frame_get_id(bad, id), HORUS_E_CLOSED);
        CHECK_ZERO(id);
        FAILS(horus_frame_set_time(bad, 1), HORUS_E_CLOSED);
        JUNK(time);
        FAILS(horus_frame_get_time(bad, &time), HORUS_E_CLOSED);
        CHECK_EQ(time, 0);
        FAILS(horus_frame_release(i == 0 ? NULL : (f = *bad, &f)), HORUS_E_CLOSED);
        CHECK(i == 0 || test_is_all(&f, 0, sizeof f));
    }
    FAILS(horus_frame_set_id(&good, NULL), HORUS_E_ARG);
    FAILS(horus_frame_get_id(&good, NULL), HORUS_E_ARG);
    FAILS(horus_frame_get_time(&good, NULL), HORUS_E_ARG);
    CHECK_OK(horus_frame_data(&good, NULL, NULL));
    unmake(&o);
}

TEST(tensors)
{
    things o = make();
    horus_tensor out, zero, bad;
    int64_t shape[9] = {4, 5, 1, 1, 1, 1, 1, 1, 1};
    uint8_t wire[HORUS_DESCRIPTOR_BYTES];
    size_t bytes;
    horus_dl_managed *plain;
    horus_dl_managed_versioned *versioned;
    memset(&zero, 0, sizeof zero);
    FAILS(horus_tensor_alloc(NULL, o.pool, HORUS_U8, 1, shape, 0), HORUS_E_ARG);
    FAILS(horus_tensor_release(NULL), HORUS_E_CLOSED);
    bad = zero;
    FAILS(horus_tensor_release(&bad), HORUS_E_CLOSED);
    CHECK_EQ(horus_tensor_numel(NULL), 0);
    CHECK_EQ(horus_tensor_numel(&zero), 0);
    CHECK(!horus_tensor_is_contiguous(NULL));
    FAILS(horus_tensor_reshape(NULL, &o.tensor, 1, shape), HORUS_E_ARG);
    FAILS(horus_tensor_slice(NULL, &o.tensor, 0, 1), HORUS_E_ARG);
    FAILS(horus_tensor_copy(NULL, &o.tensor, NULL), HORUS_E_ARG);
    FAILS(horus_tensor_reshape(&out, &o.tensor, 1, NULL), HORUS_E_ARG);
    FAILS(horus_tensor_reshape(&out, &o.tensor, 9, shape), HORUS_E_ARG);
    FAILS(horus_tensor_reshape(&out, &o.tensor, UINT32_MAX, shape), HORUS_E_ARG);
    FAILS(horus_dlpack_export(NULL, &o.tensor), HORUS_E_ARG);
    FAILS(horus_dlpack_export_versioned(NULL, &o.tensor), HORUS_E_ARG);
    bytes = sizeof wire;
    FAILS(horus_tensor_describe(&o.tensor, NULL, &bytes), HORUS_E_ARG);
    FAILS(horus_tensor_describe(&o.tensor, wire, NULL), HORUS_E_ARG);
    FAILS(horus_tensor_from_descriptor(NULL, o.context, wire, sizeof wire), HORUS_E_ARG);
    JUNK(out);
    FAILS(horus_tensor_from_descriptor(&out, o.context, NULL, sizeof wire), HORUS_E_ARG);
    CHECK_ZERO(out);
    memset(wire, 0, sizeof wire);
    static const size_t lengths[] = {0, 1, 23, 169, 1000, SIZE_MAX};
    for (int i = 0; i < 6; i++) {
        JUNK(out);
        FAILS(horus_tensor_from_descriptor(&out, o.context, wire, lengths[i]), HORUS_E_ARG);
        CHECK_ZERO(out);
    }
    for (int i = 0; i < 12; i++) {
        const horus_tensor *t = &bad;
        horus_result want = HORUS_E_ARG;
        bad = o.tensor;
        switch (i) {
        case 0:
            t = NULL;
            break;
        case 1:
            t = &zero; /* a view of nothing */
            want = HORUS_E_CLOSED;
            break;
        case 2:
            bad.ndim = 9;
            break;
        case 3:
            bad.ndim = UINT32_MAX;
            break;
        case 4:
            bad.dtype = 13;
            break;
        case 5:
            bad.dtype = 255;
            break;
        case 6:
            bad.frame.generation++;
            want = HORUS_E_CLOSED;
            break;
        case 7:
            bad.frame.slot = UINT32_MAX;
            want = HORUS_E_CLOSED;
            break;
        case 8:
            bad.shape[0] = -4;
            break;
        case 9:
            bad.shape[1] = INT64_MIN;
            break;
        case 10:
            bad.shape[0] = INT64_MIN;
            break;
        default:
            memset(&bad.frame, 0, sizeof bad.frame); /* own memory, of which there is none */
            bad.data = NULL;
            want = HORUS_E_CLOSED;
            break;
        }
        bool negative = i >= 8 && i <= 10;
#define REFUSED(call)                                                                              \
    do {                                                                                           \
        horus_result got_ = (call);                                                                \
        CHECK(got_ == want || (negative && got_ == HORUS_E_SIZE));                                 \
        if (got_ != want && !(negative && got_ == HORUS_E_SIZE))                                   \
            test_failed(__FILE__, __LINE__, "case %d: %s", i, test_result_name(got_));             \
    } while (0)
        JUNK(out);
        REFUSED(horus_tensor_reshape(&out, t, 2, shape));
        CHECK_ZERO(out);
        JUNK(out);
        REFUSED(horus_tensor_slice(&out, t, -1, 1));
        CHECK_ZERO(out);
        JUNK(out);
        REFUSED(horus_tensor_copy(&out, t, NULL));
        CHECK_ZERO(out);
        bytes = sizeof wire;
        REFUSED(horus_tensor_describe(t, wire, &bytes));
        CHECK_EQ(bytes, 0);
        JUNK(plain);
        REFUSED(horus_dlpack_export(&plain, t));
        CHECK(plain == NULL);
        JUNK(versioned);
        REFUSED(horus_dlpack_export_versioned(&versioned, t));
        CHECK(versioned == NULL);
        if (t) {
            out = *t;
            REFUSED(horus_topic_send_tensor(o.topic, &out, 0));
            CHECK(memcmp(&out, t, sizeof out) == 0);
        }
        (void)horus_tensor_is_contiguous(t);
        (void)horus_tensor_numel(t);
    }
    CHECK_RESULT(horus_topic_send_tensor(o.topic, NULL, 0), HORUS_E_ARG);
    FAILS(horus_topic_send_tensor(NULL, &o.tensor, 0), HORUS_E_ARG);
    CHECK(!o.tensor.readonly);
    unmake(&o);
}

TEST(images)
{
    things o = make();
    horus_image out, zero, bad;
    horus_tensor t;
    double v[4] = {1, 2, 3, 4};
    uint8_t bytes[60];
    memset(&zero, 0, sizeof zero);
    FAILS(horus_image_alloc(NULL, o.pool, 1, 1, HORUS_RGB8, 0), HORUS_E_ARG);
    FAILS(horus_image_wrap(NULL, bytes, 1, 1, 1, HORUS_MONO8), HORUS_E_ARG);
    FAILS(horus_image_copy(NULL, &o.image, NULL), HORUS_E_ARG);
    FAILS(horus_image_tensor(NULL, &o.image), HORUS_E_ARG);
    FAILS(horus_image_release(NULL), HORUS_E_CLOSED);
    out = zero;
    FAILS(horus_image_release(&out), HORUS_E_CLOSED);
    FAILS(horus_encoding_find(NULL, "rgb8"), HORUS_E_ARG);
    horus_encoding e;
    FAILS(horus_encoding_find(&e, NULL), HORUS_E_ARG);
    FAILS(horus_image_write(&o.image, NULL), HORUS_E_ARG);
    for (int i = 0; i < 6; i++) {
        const horus_image *m = &bad;
        horus_result want = HORUS_E_ARG;
        bad = o.image;
        switch (i) {
        case 0:
            m = NULL;
            break;
        case 1:
            m = &zero; /* an empty image */
            break;
        case 2:
            bad.frame.generation--;
            want = HORUS_E_CLOSED;
            break;
        case 3:
            bad.frame.slot = UINT32_MAX;
            want = HORUS_E_CLOSED;
            break;
        case 4:
            bad.frame.pool = NULL;
            bad.data = NULL;
            want = HORUS_E_CLOSED;
            break;
        default:
            bad.width_px = UINT32_MAX;
            break;
        }
        JUNK(v);
        FAILS(horus_image_pixel(m, 0, 0, v, 3), want);
        CHECK(v[0] == 0 && v[1] == 0 && v[2] == 0);
        FAILS(horus_image_set_pixel(m, 0, 0, v, 3), want);
        FAILS(horus_image_fill(m, v, 3), want);
        FAILS(horus_image_copy_from(m, bytes, 60), want);
        FAILS(horus_image_roi(m, 0, 0, 1, 1, bytes, 3), want);
        JUNK(out);
        FAILS(horus_image_copy(&out, m, NULL), want);
        CHECK_ZERO(out);
        JUNK(t);
        FAILS(horus_image_tensor(&t, m), want);
        CHECK_ZERO(t);
        FAILS(horus_image_write(m, "/tmp/never.png"), want);
        if (m) {
            out = *m;
            FAILS(horus_topic_send_image(o.topic, &out, 0), want);
            CHECK(memcmp(&out, m, sizeof out) == 0);
        }
    }
    bad = o.image; /* more rows than its frame has */
    bad.height_px = 1000000;
    FAILS(horus_topic_send_image(o.topic, &bad, 0), HORUS_E_ARG);
    bad.height_px = UINT32_MAX;
    bad.stride_bytes = UINT32_MAX;
    FAILS(horus_topic_send_image(o.topic, &bad, 0), HORUS_E_ARG);
    FAILS(horus_topic_send_image(o.topic, NULL, 0), HORUS_E_ARG);
    FAILS(horus_topic_send_image(NULL, &o.image, 0), HORUS_E_ARG);
    unmake(&o);
}

TEST(depth_maps_and_clouds)
{
    things o = make();
    horus_depth depth, no_depth, bad_depth;
    horus_cloud cloud, no_cloud, bad_cloud;
    horus_depth_stats stats;
    horus_tensor t;
    double metres, point[3];
    memset(&no_depth, 0, sizeof no_depth);
    memset(&no_cloud, 0, sizeof no_cloud);
    FAILS(horus_depth_alloc(NULL, o.pool, 1, 1, HORUS_F32, 0), HORUS_E_ARG);
    FAILS(horus_depth_copy(NULL, &o.depth, NULL), HORUS_E_ARG);
    FAILS(horus_depth_tensor(NULL, &o.depth), HORUS_E_ARG);
    FAILS(horus_depth_release(NULL), HORUS_E_CLOSED);
    FAILS(horus_depth_get(&o.depth, 0, 0, NULL), HORUS_E_ARG);
    FAILS(horus_depth_statistics(&o.depth, NULL), HORUS_E_ARG);
    FAILS(horus_depth_write(&o.depth, NULL), HORUS_E_ARG);
    FAILS(horus_cloud_alloc(NULL, o.pool, 1, 3, HORUS_F32, 0), HORUS_E_ARG);
    FAILS(horus_cloud_copy(NULL, &o.cloud, NULL), HORUS_E_ARG);
    FAILS(horus_cloud_tensor(NULL, &o.cloud), HORUS_E_ARG);
    FAILS(horus_cloud_release(NULL), HORUS_E_CLOSED);
    FAILS(horus_cloud_point(&o.cloud, 0, NULL, 3), HORUS_E_ARG);
    for (int i = 0; i < 7; i++) {
        const horus_depth *d = &bad_depth;
        const horus_cloud *c = &bad_cloud;
        horus_result want = HORUS_E_ARG;
        bad_depth = o.depth;
        bad_cloud = o.cloud;
        switch (i) {
        case 0:
            d = NULL;
            c = NULL;
            break;
        case 1:
            bad_depth = no_depth;
            bad_cloud = no_cloud;
            break;
        case 2:
            bad_depth.frame.generation++;
            bad_cloud.frame.generation++;
            want = HORUS_E_CLOSED;
            break;
        case 3:
            bad_depth.dtype = HORUS_I32;
            bad_cloud.dtype = 99;
            break;
        case 4:
            bad_depth.stride_bytes = 15;
            bad_cloud.fields = 65536;
            break;
        case 5:
            bad_depth.height_px = 0;
            bad_cloud.fields = 0;
            break;
        default:
            bad_depth.frame.pool = NULL;
            bad_depth.data = NULL;
            bad_cloud.frame.pool = NULL;
            bad_cloud.data = NULL;
            want = HORUS_E_CLOSED;
            break;
        }
        JUNK(metres);
        FAILS(horus_depth_get(d, 0, 0, &metres), want);
        CHECK(metres == 0);
        FAILS(horus_depth_set(d, 0, 0, 1), want);
        JUNK(stats);
        FAILS(horus_depth_statistics(d, &stats), want);
        CHECK_ZERO(stats);
        JUNK(depth);
        FAILS(horus_depth_copy(&depth, d, NULL), want);
        CHECK_ZERO(depth);
        JUNK(t);
        FAILS(horus_depth_tensor(&t, d), want);
        CHECK_ZERO(t);
        FAILS(horus_depth_write(d, "/tmp/never.png"), want);
        if (d)
            FAILS(horus_topic_send_depth(o.topic, &bad_depth, 0), want);
        JUNK(point);
        FAILS(horus_cloud_point(c, 0, point, 3), want);
        CHECK(point[0] == 0 && point[2] == 0);
        JUNK(cloud);
        FAILS(horus_cloud_copy(&cloud, c, NULL), want);
        CHECK_ZERO(cloud);
        JUNK(t);
        FAILS(horus_cloud_tensor(&t, c), want);
        CHECK_ZERO(t);
        if (c)
            FAILS(horus_topic_send_cloud(o.topic, &bad_cloud, 0), want);
    }
    bad_depth = o.depth; /* larger than their frames */
    bad_depth.height_px = 1000000;
    FAILS(horus_topic_send_depth(o.topic, &bad_depth, 0), HORUS_E_ARG);
    bad_cloud = o.cloud;
    bad_cloud.point_count = 1000000;
    FAILS(horus_topic_send_cloud(o.topic, &bad_cloud, 0), HORUS_E_ARG);
    bad_cloud.point_count = UINT64_MAX;
    FAILS(horus_topic_send_cloud(o.topic, &bad_cloud, 0), HORUS_E_ARG);
    bad_cloud.point_count = UINT64_MAX / 12 + 2; /* times 12 wraps to something small */
    FAILS(horus_topic_send_cloud(o.topic, &bad_cloud, 0), HORUS_E_ARG);
    FAILS(horus_topic_send_depth(o.topic, NULL, 0), HORUS_E_ARG);
    FAILS(horus_topic_send_depth(NULL, &o.depth, 0), HORUS_E_ARG);
    FAILS(horus_topic_send_cloud(o.topic, NULL, 0), HORUS_E_ARG);
    FAILS(horus_topic_send_cloud(NULL, &o.cloud, 0), HORUS_E_ARG);
    unmake(&o);
}

TEST(topics)
{
    things o = make();
    horus_topic *t;
    horus_topic_stats stats;
    horus_info info;
    uint64_t n = 0;
    horus_tensor tensor;
    horus_image image;
    horus_depth depth;
    horus_cloud cloud;
    size_t ready;
    static const horus_type nameless = {0};
    static const horus_topic_desc bad[] = {
        {.policy = (horus_policy)4},
        {.policy = (horus_policy)-1},
        {.capacity = (1u << 20) + 1},
        {.capacity = UINT32_MAX},
        {.message_bytes = HORUS_MAX_INLINE + 1},
        {.message_bytes = UINT32_MAX},
        {.max_publishers = 4097},
        {.max_publishers = UINT32_MAX},
        {.max_subscribers = 4097},
        {.max_subscribers = UINT32_MAX},
        {.type = &nameless},
    };
    FAILS(horus_topic_open(NULL, "x", NULL), HORUS_E_ARG);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        horus_topic_desc d = bad[i];
        d.context = o.context;
        JUNK(t);
        FAILS(horus_topic_open(&t, "x", &d), HORUS_E_ARG);
        CHECK(t == NULL);
    }
    /* possible, but not in this pool */
    horus_topic_desc large = {.context = o.context,
                              .capacity = 1u << 20,
                              .message_bytes = HORUS_MAX_INLINE,
                              .flags = HORUS_PUBLISHER};
    JUNK(t);
    horus_result r = horus_topic_open(&t, "large", &large);
    CHECK(r == HORUS_E_SIZE || r == HORUS_E_POOL_FULL);
    CHECK(t == NULL);
    large =
        (horus_topic_desc){.context = o.context, .max_publishers = 4096, .max_subscribers = 4096};
    CHECK_OK(horus_topic_open(&t, "wide", &large));
    horus_topic_close(t);

    FAILS(horus_topic_send(NULL, &n, 8, 0), HORUS_E_ARG);
    FAILS(horus_topic_send(o.topic, NULL, 8, 0), HORUS_E_ARG);
    FAILS(horus_topic_send(o.topic, &n, 0, 0), HORUS_E_ARG);
    FAILS(horus_topic_send_typed(NULL, &horus_imu_type, &n, 8, 0), HORUS_E_ARG);
    FAILS(horus_topic_send_typed(o.topic, NULL, &n, 8, 0), HORUS_E_ARG);
    FAILS(horus_topic_send_typed(o.topic, &horus_imu_type, NULL, 8, 0), HORUS_E_ARG);
    FAILS(horus_topic_send_typed(o.topic, &horus_imu_type, &n, 8, 0), HORUS_E_SIZE);
    FAILS(horus_topic_send_typed(o.topic, &horus_image_type, &n, 8, 0), HORUS_E_TYPE);
    JUNK(info);
    FAILS(horus_topic_receive(NULL, &n, 8, &info, 0), HORUS_E_ARG);
    CHECK_ZERO(info);
    FAILS(horus_topic_receive(o.topic, NULL, 8, &info, 0), HORUS_E_ARG);
    FAILS(horus_topic_receive(o.topic, &n, 8, &info, -1), HORUS_E_ARG);
    FAILS(horus_topic_receive(o.topic, &n, 8, &info, INT64_MIN), HORUS_E_ARG);
    FAILS(horus_topic_receive_tensor(o.topic, NULL, &info, 0), HORUS_E_ARG);
    FAILS(horus_topic_receive_image(o.topic, NULL, &info, 0), HORUS_E_ARG);
    FAILS(horus_topic_receive_depth(o.topic, NULL, &info, 0), HORUS_E_ARG);
    FAILS(horus_topic_receive_cloud(o.topic, NULL, &info, 0), HORUS_E_ARG);
#define RECEIVES(what, out)                                                                        \
    JUNK(out);                                                                                     \
    JUNK(info);                                                                                    \
    FAILS(horus_topic_receive_##what(NULL, &out, &info, 0), HORUS_E_ARG);                          \
    CHECK_ZERO(out);                                                                               \
    CHECK_ZERO(info);                                                                              \
    JUNK(out);                                                                                     \
    FAILS(horus_topic_receive_##what(o.topic, &out, NULL, -1), HORUS_E_ARG);                       \
    CHECK_ZERO(out);                                                                               \
    JUNK(out);                                                                                     \
    JUNK(info);                                                                                    \
    CHECK_RESULT(horus_topic_receive_##what(o.topic, &out, &info, 0), HORUS_EMPTY);                \
    CHECK_ZERO(out);                                                                               \
    CHECK_ZERO(info)
    RECEIVES(tensor, tensor);
    RECEIVES(image, image);
    RECEIVES(depth, depth);
    RECEIVES(cloud, cloud);
    JUNK(info);
    FAILS(horus_topic_peek(NULL, &n, 8, &info), HORUS_E_ARG);
    CHECK_ZERO(info);
    uint64_t count = 9;
    FAILS(horus_topic_skip_to_latest(NULL, &count), HORUS_E_ARG);
    CHECK_EQ(count, 0);
    count = 9;
    FAILS(horus_topic_drain(NULL, &count), HORUS_E_ARG);
    CHECK_EQ(count, 0);
    FAILS(horus_topic_ack(NULL), HORUS_E_ARG);
    FAILS(horus_topic_wait(NULL, 0), HORUS_E_ARG);
    FAILS(horus_topic_wait(o.topic, -1), HORUS_E_ARG);
    JUNK(ready);
    FAILS(horus_wait(NULL, 1, 0, &ready), HORUS_E_ARG);
    CHECK_EQ(ready, 0);
    JUNK(stats);
    FAILS(horus_topic_get_stats(NULL, &stats), HORUS_E_ARG);
    CHECK_ZERO(stats);
    FAILS(horus_topic_get_stats(o.topic, NULL), HORUS_E_ARG);
    CHECK_RESULT(horus_topic_receive(o.topic, &n, 8, NULL, 0), HORUS_EMPTY);
    unmake(&o);
}

TEST(a_negative_timeout_of_a_send_is_refused)
{
    static const int64_t bad[] = {-1, -1000000000, INT64_MIN};
    horus_context *c = join(4 * MiB);
    for (uint32_t policy = 1; policy <= 3; policy++) {
        static const char *const names[] = {"", "overwrite", "reliable", "queue"};
        horus_topic *t, *r;
        horus_topic_desc d = {.context = c, .policy = (horus_policy)policy, .capacity = 1};
        uint64_t n = 1;
        REQUIRE_OK(horus_topic_open(&t, names[policy], &d));
        REQUIRE_OK(horus_topic_open(&r, names[policy], &d));
        CHECK_OK(horus_topic_send(t, &n, sizeof n, 0));
        for (int i = 0; i < 3; i++) {
            horus_result got = horus_topic_send(t, &n, sizeof n, bad[i]);
            CHECK(got == HORUS_E_ARG || (policy == HORUS_OVERWRITE && got == HORUS_OK));
        }
        horus_topic_close(t);
        horus_topic_close(r);
    }
    horus_context_close(c);
}

static void no_topic(void *user, const horus_topic_stats *stats)
{
    (void)user, (void)stats;
    test_failed(__FILE__, __LINE__, "a topic was listed");
}
static void child_uses_what_it_inherited(void *arg)
{
    horus_topic_stats s;
    things *o = arg;
    FAILS(horus_context_topics(o->context, no_topic, &s), HORUS_E_DETACHED);
}
TEST(the_topics_of_a_parent_are_not_listed_in_its_child)
{
    things o = make();
    FAILS(horus_context_topics(o.context, NULL, NULL), HORUS_E_ARG);
    CHECK_JOIN(test_fork(child_uses_what_it_inherited, &o));
    unmake(&o);
}

TEST(views_of_nothing_and_receives_into_nothing_say_so)
{
    things o = make();
    horus_info info;
    horus_image image;
    horus_depth depth;
    horus_cloud cloud;
    CHECK(!horus_cloud_is_xyz(NULL) && !horus_cloud_has_intensity(NULL));
    CHECK(!horus_cloud_has_color(NULL));
    JUNK(info);
    FAILS(horus_topic_receive_image(o.topic, NULL, &info, 0), HORUS_E_ARG);
    CHECK_ZERO(info);
    FAILS(horus_topic_receive_image(o.topic, NULL, NULL, 0), HORUS_E_ARG);
    JUNK(image);
    CHECK_RESULT(horus_topic_receive_image(o.topic, &image, NULL, 0), HORUS_EMPTY);
    CHECK_ZERO(image);
    JUNK(depth);
    CHECK_RESULT(horus_topic_receive_depth(o.topic, &depth, NULL, 0), HORUS_EMPTY);
    CHECK_ZERO(depth);
    JUNK(cloud);
    CHECK_RESULT(horus_topic_receive_cloud(o.topic, &cloud, NULL, 0), HORUS_EMPTY);
    CHECK_ZERO(cloud);
    unmake(&o);
}

/* Bytes that a message may not have, whatever lies behind them. */
TEST(a_message_of_more_than_4_gib_is_refused)
{
#if SIZE_MAX > UINT32_MAX
    things o = make();
    uint8_t byte = 1;
    FAILS(horus_topic_send(o.topic, &byte, (size_t)1 << 32, 0), HORUS_E_ARG);
    FAILS(horus_topic_send_typed(o.topic, &horus_cmd_vel_type, &byte, (size_t)1 << 32, 0),
          HORUS_E_ARG);
    unmake(&o);
#endif
}
TEST(nothing_is_sent_from_null_by_a_handle_that_has_sent)
{
    horus_context *c = join(4 * MiB);
    horus_topic *t;
    uint64_t n = 1;
    REQUIRE_OK(horus_topic_open(&t, "t", &(horus_topic_desc){.context = c}));
    CHECK_OK(horus_topic_send(t, &n, sizeof n, 0));
    FAILS(horus_topic_send(t, NULL, sizeof n, 0), HORUS_E_ARG);
    CHECK_OK(horus_topic_receive(t, &n, sizeof n, NULL, 0));
    CHECK_RESULT(horus_topic_receive(t, &n, sizeof n, NULL, 0), HORUS_EMPTY);
    horus_topic_close(t);
    horus_context_close(c);
}
TEST(a_private_context_has_no_other_pools_to_look_for)
{
    static _Alignas(64) uint8_t memory[1 << 16];
    uint8_t wire[HORUS_DESCRIPTOR_BYTES];
    size_t bytes = sizeof wire;
    horus_tensor t, got;
    int64_t shape = 10;
    horus_context *c =
        join_desc((horus_context_desc){.memory = memory, .memory_bytes = sizeof memory});
    REQUIRE_OK(horus_tensor_alloc(&t, pool_of(c), HORUS_U8, 1, &shape, 0));
    CHECK_OK(horus_tensor_describe(&t, wire, &bytes));
    ((horusi_wire *)(void *)wire)->pool_id = 12345;
    JUNK(got);
    FAILS(horus_tensor_from_descriptor(&got, c, wire, bytes), HORUS_E_NOT_FOUND);
    CHECK_ZERO(got);
    CHECK_OK(horus_tensor_release(&t));
    check_empty(pool_of(c));
    horus_context_close(c);
}

TEST(buffers_and_infos_may_be_left_out)
{
    horus_context *c = join(4 * MiB);
    horus_topic *t;
    uint64_t n = 7;
    REQUIRE_OK(horus_topic_open(&t, "t", &(horus_topic_desc){.context = c}));
    CHECK_OK(horus_topic_send(t, &n, sizeof n, 0));
    CHECK_OK(horus_topic_peek(t, NULL, 0, NULL));
    CHECK_OK(horus_topic_peek(t, NULL, 100, NULL));
    CHECK_OK(horus_topic_receive(t, &n, sizeof n, NULL, 0));
    CHECK_OK(horus_topic_send(t, &n, sizeof n, 0));
    CHECK_RESULT(horus_topic_receive(t, &n, 0, NULL, 0), HORUS_E_SIZE);
    CHECK_OK(horus_topic_skip_to_latest(t, NULL));
    CHECK_OK(horus_topic_drain(t, NULL));
    CHECK_OK(horus_context_sweep(c, NULL));
    CHECK_OK(horus_pool_trim(pool_of(c), NULL));
    horus_topic_close(t);
    horus_context_close(c);
}

TEST(a_large_message_is_peeked_without_a_buffer)
{
    static uint8_t big[5000];
    horus_context *c = join(4 * MiB);
    horus_topic *t;
    horus_info info;
    REQUIRE_OK(horus_topic_open(&t, "t", &(horus_topic_desc){.context = c}));
    CHECK_OK(horus_topic_send(t, big, sizeof big, 0));
    CHECK_OK(horus_topic_peek(t, NULL, 0, &info));
    CHECK_EQ(info.size, 5000);
    CHECK_OK(horus_topic_peek(t, NULL, sizeof big, &info)); /* NULL has no room, whatever is said */
    CHECK_EQ(info.size, 5000);
    CHECK_OK(horus_topic_receive(t, big, sizeof big, &info, 0));
    horus_topic_close(t);
    horus_context_close(c);
}

TEST(named_pools_of_a_context_without_room_fail_cleanly)
{
    horus_context *c = join(MiB);
    horus_pool *p;
    static const horus_pool_desc bad[] = {{.granule_bytes = 1000},
                                          {.block_bytes = 63},
                                          {.granule_bytes = 4096, .block_bytes = 8192},
                                          {.pool_bytes = UINT64_MAX},
                                          {.pool_bytes = 1ull << 62}};
    for (int i = 0; i < 5; i++) {
        horus_pool_desc d = bad[i];
        d.context = c;
        JUNK(p);
        FAILS(horus_pool_open(&p, "bad", &d), HORUS_E_ARG);
        CHECK(p == NULL);
    }
    CHECK_OK(horus_pool_open(&p, "bad", &(horus_pool_desc){.context = c, .pool_bytes = MiB}));
    horus_pool *again;
    CHECK_OK(horus_pool_open(&again, "default", &(horus_pool_desc){.context = c}));
    CHECK(again == pool_of(c));
    horus_context_close(c);
}
