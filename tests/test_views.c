/* Views: images, depth maps, clouds and tensors over pool memory, pictures, DLPack, descriptors. */
#define HORUS_IMPLEMENTATION
#include "../horus.h"
#include "test.h"
#include <math.h>
#include <pthread.h>
#ifdef __has_include
#if __has_include(<dlpack/dlpack.h>)
#include <dlpack/dlpack.h>
#endif
#if __has_include(<stb/stb_image.h>) && __has_include(<stb/stb_image_write.h>)
#define STB_IMAGE_IMPLEMENTATION
#define STBI_NO_HDR /* these would need libm */
#define STBI_NO_LINEAR
#define STBI_NO_GIF
#define STBI_NO_PSD
#define STBI_NO_PIC
#define STBI_NO_PNM
#include <stb/stb_image.h>
#define HAVE_STB 1
#endif
#endif

typedef struct kind_of {
    horus_encoding encoding;
    const char *name;
    uint32_t channels, bytes;
    horus_dtype dtype;
    double max; /* largest value */
} kind_of;
static const kind_of kinds[] = {
    {HORUS_RGB8, "rgb8", 3, 1, HORUS_U8, 255},
    {HORUS_BGR8, "bgr8", 3, 1, HORUS_U8, 255},
    {HORUS_RGBA8, "rgba8", 4, 1, HORUS_U8, 255},
    {HORUS_BGRA8, "bgra8", 4, 1, HORUS_U8, 255},
    {HORUS_MONO8, "mono8", 1, 1, HORUS_U8, 255},
    {HORUS_MONO16, "mono16", 1, 2, HORUS_U16, 65535},
    {HORUS_MONO32F, "mono32f", 1, 4, HORUS_F32, 1e9},
    {HORUS_RGB32F, "rgb32f", 3, 4, HORUS_F32, 1e9},
    {HORUS_YUV422, "yuv422", 2, 1, HORUS_U8, 255},
    {HORUS_BAYER_RGGB8, "bayer_rggb8", 1, 1, HORUS_U8, 255},
    {HORUS_DEPTH16, "depth16", 1, 2, HORUS_U16, 65535},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

static horus_image image(horus_context *c, uint32_t w, uint32_t h, horus_encoding e)
{
    horus_image m;
    REQUIRE_OK(horus_image_alloc(&m, pool_of(c), w, h, e, 0));
    return m;
}
static horus_topic *open_in(horus_context *c, const char *name, horus_topic_desc d)
{
    horus_topic *t;
    d.context = c;
    REQUIRE_OK(horus_topic_open(&t, name, &d));
    return t;
}
static horus_context *private_context(void)
{
    return join_desc((horus_context_desc){.flags = HORUS_PRIVATE, .pool_bytes = 16 * MiB});
}

/* ---- encodings */

TEST(encodings_are_those_of_the_table)
{
    for (int i = 0; i < KINDS; i++) {
        const kind_of *k = &kinds[i];
        horus_encoding found = HORUS_DEPTH16;
        char upper[32];
        CHECK_EQ(k->encoding, i);
        CHECK(strcmp(horus_encoding_name(k->encoding), k->name) == 0);
        CHECK_EQ(horus_encoding_channels(k->encoding), k->channels);
        CHECK_EQ(horus_encoding_elem_bytes(k->encoding), k->bytes);
        CHECK_OK(horus_encoding_find(&found, k->name));
        CHECK_EQ(found, k->encoding);
        for (size_t c = 0; c <= strlen(k->name); c++)
            upper[c] =
                (char)(k->name[c] >= 'a' && k->name[c] <= 'z' ? k->name[c] - 32 : k->name[c]);
        CHECK_OK(horus_encoding_find(&found, upper));
        CHECK_EQ(found, k->encoding);
    }
    static const struct {
        const char *name;
        horus_encoding encoding;
    } aliases[] = {{"gray", HORUS_MONO8},       {"rgb", HORUS_RGB8},   {"BGR", HORUS_BGR8},
                   {"Rgba", HORUS_RGBA8},       {"bgra", HORUS_BGRA8}, {"yuyv", HORUS_YUV422},
                   {"float", HORUS_MONO32F},    {"grey", HORUS_MONO8}, {"gray16", HORUS_MONO16},
                   {"bayer", HORUS_BAYER_RGGB8}};
    horus_encoding found;
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++) {
        CHECK_OK(horus_encoding_find(&found, aliases[i].name));
        CHECK_EQ(found, aliases[i].encoding);
    }
    static const char *const wrong[] = {"", "rgb88", "rg", "rgb8 ", " rgb8", "jpeg", "mono"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        found = HORUS_DEPTH16;
        CHECK_RESULT(horus_encoding_find(&found, wrong[i]), HORUS_E_NOT_FOUND);
        CHECK_EQ(found, HORUS_RGB8); /* zero */
        CHECK_TEXT(horus_last_error(), "rgb8");
    }
    CHECK(horus_encoding_name((horus_encoding)11) == NULL);
    CHECK(horus_encoding_name((horus_encoding)-1) == NULL);
    CHECK_EQ(horus_encoding_channels((horus_encoding)11), 0);
    CHECK_EQ(horus_encoding_elem_bytes((horus_encoding)1000), 0);
}

TEST(dtypes_are_those_of_the_table)
{
    static const size_t bytes[] = {4, 8, 2, 2, 1, 2, 4, 8, 1, 2, 4, 8, 1};
    static const char *const names[] = {"float32", "float64", "float16", "bfloat16", "uint8",
                                        "uint16",  "uint32",  "uint64",  "int8",     "int16",
                                        "int32",   "int64",   "bool"};
    for (int i = 0; i < 13; i++) {
        CHECK_EQ(horus_dtype_bytes((horus_dtype)i), bytes[i]);
        CHECK(strcmp(horus_dtype_name((horus_dtype)i), names[i]) == 0);
    }
    CHECK_EQ(horus_dtype_bytes((horus_dtype)13), 0);
    CHECK(horus_dtype_name((horus_dtype)13) == NULL);
    CHECK(horus_dtype_name((horus_dtype)-1) == NULL);
}

/* ---- images */

TEST(pixels_of_every_encoding_can_be_set_and_read)
{
    horus_context *c = private_context();
    for (int i = 0; i < KINDS; i++) {
        const kind_of *k = &kinds[i];
        horus_image m = image(c, 17, 5, k->encoding);
        double in[4], out[4];
        CHECK_EQ(m.width_px, 17);
        CHECK_EQ(m.height_px, 5);
        CHECK_EQ(m.channels, k->channels);
        CHECK_EQ(m.elem_bytes, k->bytes);
        CHECK_EQ(m.stride_bytes, 17 * k->channels * k->bytes);
        CHECK_EQ(m.encoding, k->encoding);
        CHECK(!m.readonly);
        CHECK(test_is_all(m.data, 0, (size_t)m.stride_bytes * 5));
        for (uint32_t y = 0; y < 5; y++)
            for (uint32_t x = 0; x < 17; x++) {
                for (uint32_t ch = 0; ch < k->channels; ch++)
                    in[ch] = (double)((y * 17 + x) * 4 + ch) * (k->max > 255 ? 7 : 1);
                for (uint32_t ch = 0; ch < k->channels; ch++)
                    in[ch] = in[ch] > k->max ? in[ch] - 256 : in[ch];
                CHECK_OK(horus_image_set_pixel(&m, x, y, in, k->channels));
                memset(out, 0x55, sizeof out);
                CHECK_OK(horus_image_pixel(&m, x, y, out, k->channels));
                for (uint32_t ch = 0; ch < k->channels; ch++) {
                    CHECK(out[ch] == in[ch]);
                    const uint8_t *at =
                        (uint8_t *)m.data + y * m.stride_bytes + (x * k->channels + ch) * k->bytes;
                    uint16_t u16;
                    float f;
                    memcpy(&u16, at, 2 <= k->bytes ? 2 : 0);
                    memcpy(&f, at, k->bytes == 4 ? 4 : 0);
                    CHECK((k->bytes == 1   ? (double)*at
                           : k->bytes == 2 ? (double)u16
                                           : (double)f) == in[ch]);
                }
            }
        CHECK_OK(horus_image_release(&m));
        CHECK_ZERO(m);
    }
    check_empty(pool_of(c));
    horus_context_close(c);
}

TEST(values_outside_an_encoding_are_refused_and_nothing_is_written)
{
    horus_context *c = private_context();
    for (int i = 0; i < KINDS; i++) {
        const kind_of *k = &kinds[i];
        horus_image m = image(c, 4, 4, k->encoding);
        size_t bytes = (size_t)m.stride_bytes * 4;
        double v[5] = {1, 1, 1, 1, 1}, out[5];
        memset(m.data, 9, bytes);
        CHECK_RESULT(horus_image_set_pixel(&m, 4, 0, v, k->channels), HORUS_E_ARG);
        CHECK_RESULT(horus_image_set_pixel(&m, 0, 4, v, k->channels), HORUS_E_ARG);
        CHECK_RESULT(horus_image_set_pixel(&m, UINT32_MAX, UINT32_MAX, v, k->channels),
                     HORUS_E_ARG);
        CHECK_RESULT(horus_image_set_pixel(&m, 0, 0, v, k->channels + 1), HORUS_E_SIZE);
        CHECK_RESULT(horus_image_set_pixel(&m, 0, 0, v, k->channels - 1), HORUS_E_SIZE);
        CHECK_TEXT(horus_last_error(), k->name);
        CHECK_RESULT(horus_image_set_pixel(&m, 0, 0, NULL, k->channels), HORUS_E_ARG);
        CHECK_RESULT(horus_image_fill(&m, v, k->channels + 1), HORUS_E_SIZE);
        CHECK_RESULT(horus_image_fill(&m, v, 0), HORUS_E_SIZE);
        CHECK_RESULT(horus_image_fill(&m, NULL, k->channels), HORUS_E_ARG);
        memset(out, 0x11, sizeof out);
        CHECK_RESULT(horus_image_pixel(&m, 4, 0, out, k->channels), HORUS_E_ARG);
        for (uint32_t ch = 0; ch < k->channels; ch++)
            CHECK(out[ch] == 0);
        CHECK_RESULT(horus_image_pixel(&m, 0, 0, out, k->channels + 1), HORUS_E_SIZE);
        CHECK_RESULT(horus_image_pixel(&m, 0, 0, NULL, k->channels), HORUS_E_ARG);
        if (k->dtype != HORUS_F32) {
            static const double bad[] = {-1, -0.001, 1e300, -1e300};
            for (int b = 0; b < 4; b++) {
                v[k->channels - 1] = bad[b];
                CHECK_RESULT(horus_image_set_pixel(&m, 1, 1, v, k->channels), HORUS_E_ARG);
                CHECK_RESULT(horus_image_fill(&m, v, k->channels), HORUS_E_ARG);
            }
            v[k->channels - 1] = k->max + 1;
            CHECK_RESULT(horus_image_set_pixel(&m, 1, 1, v, k->channels), HORUS_E_ARG);
            v[k->channels - 1] = NAN;
            CHECK_RESULT(horus_image_set_pixel(&m, 1, 1, v, k->channels), HORUS_E_ARG);
            v[k->channels - 1] = INFINITY;
            CHECK_RESULT(horus_image_fill(&m, v, k->channels), HORUS_E_ARG);
        } else { /* finite ones that a float rounds to infinity */
            static const double bad[] = {1e39, -1e39, 1e300, 0x1.ffffffp127, -0x1.ffffffp127};
            for (int b = 0; b < 5; b++) {
                v[k->channels - 1] = bad[b];
                CHECK_RESULT(horus_image_set_pixel(&m, 1, 1, v, k->channels), HORUS_E_ARG);
                CHECK_RESULT(horus_image_fill(&m, v, k->channels), HORUS_E_ARG);
            }
        }
        CHECK(test_is_all(m.data, 9, bytes));
        v[k->channels - 1] = k->max; /* the edges fit */
        CHECK_OK(horus_image_set_pixel(&m, 1, 1, v, k->channels));
        CHECK_OK(horus_image_pixel(&m, 1, 1, out, k->channels));
        CHECK(out[k->channels - 1] == k->max);
        CHECK_OK(horus_image_release(&m));
    }
    horus_context_close(c);
}

TEST(fill_copy_from_and_roi_agree_for_every_encoding_and_stride)
{
    static uint8_t pixels[64 * 1024], dense[16 * 1024], got[16 * 1024];
    horus_context *c = private_context();
    for (int i = 0; i < KINDS; i++)
        for (uint32_t pad = 0; pad <= 40; pad += 20) {
            const kind_of *k = &kinds[i];
            uint32_t w = 13, h = 7, px = k->channels * k->bytes, row = w * px;
            horus_image m;
            double v[4] = {10, 20, 30, 40}, out[4];
            memset(pixels, 0xcc, sizeof pixels);
            CHECK_OK(horus_image_wrap(&m, pixels + 8, w, h, row + pad, k->encoding));
            CHECK_OK(horus_image_fill(&m, v, k->channels));
            for (uint32_t y = 0; y < h; y++)
                for (uint32_t x = 0; x < w; x++) {
                    CHECK_OK(horus_image_pixel(&m, x, y, out, k->channels));
                    CHECK(memcmp(out, v, k->channels * sizeof *v) == 0);
                }
            CHECK(test_is_all(pixels, 0xcc, 8)); /* nothing beside the rows */
            for (uint32_t y = 0; y < h; y++)
                CHECK(test_is_all(pixels + 8 + y * (row + pad) + row, 0xcc, pad));
            CHECK(test_is_all(pixels + 8 + h * (row + pad), 0xcc, 4096));
            for (size_t b = 0; b < (size_t)row * h; b++)
                dense[b] = (uint8_t)rng();
            CHECK_RESULT(horus_image_copy_from(&m, dense, (size_t)row * h - 1), HORUS_E_SIZE);
            CHECK_RESULT(horus_image_copy_from(&m, dense, (size_t)row * h + 1), HORUS_E_SIZE);
            CHECK_RESULT(horus_image_copy_from(&m, dense, 0), HORUS_E_SIZE);
            CHECK_RESULT(horus_image_copy_from(&m, dense, SIZE_MAX), HORUS_E_SIZE);
            CHECK_RESULT(horus_image_copy_from(&m, NULL, (size_t)row * h), HORUS_E_ARG);
            CHECK_OK(horus_image_pixel(&m, w - 1, h - 1, out, k->channels));
            CHECK(memcmp(out, v, k->channels * sizeof *v) == 0); /* unchanged */
            CHECK_OK(horus_image_copy_from(&m, dense, (size_t)row * h));
            for (uint32_t y = 0; y < h; y++) {
                CHECK(memcmp(pixels + 8 + y * (row + pad), dense + y * row, row) == 0);
                CHECK(test_is_all(pixels + 8 + y * (row + pad) + row, 0xcc, pad));
            }
            CHECK_OK(horus_image_roi(&m, 0, 0, w, h, got, (size_t)row * h));
            CHECK(memcmp(got, dense, (size_t)row * h) == 0);
            for (int r = 0; r < 30; r++) {
                uint32_t x = rng() % w, y = rng() % h, rw = 1 + rng() % (w - x),
                         rh = 1 + rng() % (h - y);
                size_t bytes = (size_t)rw * rh * px;
                memset(got, 0xdd, sizeof got);
                CHECK_OK(horus_image_roi(&m, x, y, rw, rh, got, bytes));
                for (uint32_t q = 0; q < rh; q++)
                    CHECK(memcmp(got + q * rw * px, dense + (y + q) * row + x * px, rw * px) == 0);
                CHECK(test_is_all(got + bytes, 0xdd, 100));
                CHECK_RESULT(horus_image_roi(&m, x, y, rw, rh, got, bytes + 1), HORUS_E_SIZE);
                CHECK_RESULT(horus_image_roi(&m, x, y, rw, rh, got, bytes - 1), HORUS_E_SIZE);
            }
            static const uint32_t bad[][4] = {
                {13, 0, 1, 1},         {0, 7, 1, 1},          {12, 0, 2, 1},
                {0, 6, 1, 2},          {0, 0, 0, 1},          {0, 0, 1, 0},
                {1, 0, UINT32_MAX, 1}, {0, 1, 1, UINT32_MAX}, {0, 0, 14, 1},
                {0, 0, 1, 8},          {UINT32_MAX, 0, 2, 1}, {5, 5, 0x80000000u, 0x80000000u}};
            for (size_t b = 0; b < sizeof bad / sizeof bad[0]; b++)
                CHECK_RESULT(
                    horus_image_roi(&m, bad[b][0], bad[b][1], bad[b][2], bad[b][3], got, px),
                    HORUS_E_ARG);
            CHECK_RESULT(horus_image_roi(&m, 0, 0, 1, 1, NULL, px), HORUS_E_ARG);
            horus_image copy;
            CHECK_OK(horus_image_copy(&copy, &m, pool_of(c)));
            CHECK_EQ(copy.stride_bytes, row);
            CHECK(memcmp(copy.data, dense, (size_t)row * h) == 0);
            CHECK_OK(horus_image_release(&copy));
        }
    check_empty(pool_of(c));
    horus_context_close(c);
}

TEST(an_image_is_also_a_tensor_of_the_same_memory)
{
    horus_context *c = private_context();
    for (int i = 0; i < KINDS; i++) {
        const kind_of *k = &kinds[i];
        horus_image m = image(c, 6, 4, k->encoding);
        horus_tensor t;
        CHECK_OK(horus_image_tensor(&t, &m));
        CHECK(t.data == m.data);
        CHECK_EQ(t.dtype, k->dtype);
        CHECK_EQ(t.ndim, k->channels == 1 ? 2 : 3);
        CHECK_EQ(t.shape[0], 4);
        CHECK_EQ(t.shape[1], 6);
        CHECK_EQ(t.strides_bytes[0], m.stride_bytes);
        CHECK_EQ(t.strides_bytes[1], k->channels * k->bytes);
        if (k->channels > 1) {
            CHECK_EQ(t.shape[2], k->channels);
            CHECK_EQ(t.strides_bytes[2], k->bytes);
        }
        CHECK(horus_tensor_is_contiguous(&t));
        CHECK_EQ(horus_tensor_numel(&t), 24 * k->channels);
        CHECK(!t.readonly);
        CHECK_OK(horus_image_release(&m)); /* the tensor holds the frame by itself */
        memset(t.data, 1, 24 * k->channels * k->bytes);
        CHECK_OK(horus_tensor_release(&t));
    }
    check_empty(pool_of(c));
    horus_context_close(c);
}

TEST(impossible_images_are_refused)
{
    horus_context *c = private_context();
    horus_pool *p = pool_of(c);
    horus_image m;
    static uint8_t pixels[100];
    memset(&m, 1, sizeof m);
    CHECK_RESULT(horus_image_alloc(&m, p, 0, 5, HORUS_RGB8, 0), HORUS_E_ARG);
    CHECK_ZERO(m);
    CHECK_RESULT(horus_image_alloc(&m, p, 5, 0, HORUS_RGB8, 0), HORUS_E_ARG);
    CHECK_RESULT(horus_image_alloc(&m, p, 5, 5, (horus_encoding)11, 0), HORUS_E_ARG);
    CHECK_RESULT(horus_image_alloc(&m, p, 5, 5, (horus_encoding)-1, 0), HORUS_E_ARG);
    CHECK_RESULT(horus_image_alloc(&m, p, UINT32_MAX, 1, HORUS_RGB32F, 0), HORUS_E_SIZE);
    CHECK_RESULT(horus_image_alloc(&m, p, 1, UINT32_MAX, HORUS_RGB32F, 0), HORUS_E_SIZE);
    CHECK_RESULT(horus_image_alloc(&m, p, UINT32_MAX, UINT32_MAX, HORUS_MONO8, 0), HORUS_E_SIZE);
    CHECK_RESULT(horus_image_alloc(&m, p, 65536, 65536, HORUS_RGBA8, 0), HORUS_E_SIZE);
    CHECK_RESULT(horus_image_alloc(&m, p, 0x55555556u, 1, HORUS_RGB8, 0), HORUS_E_SIZE);
    CHECK_ZERO(m);
    memset(&m, 1, sizeof m);
    CHECK_RESULT(horus_image_wrap(&m, NULL, 4, 4, 4, HORUS_MONO8), HORUS_E_ARG);
    CHECK_ZERO(m);
    CHECK_RESULT(horus_image_wrap(&m, pixels, 4, 4, 3, HORUS_MONO8), HORUS_E_SIZE);
    CHECK_RESULT(horus_image_wrap(&m, pixels, 4, 4, 15, HORUS_MONO32F), HORUS_E_SIZE);
    CHECK_RESULT(horus_image_wrap(&m, pixels, 0, 4, 4, HORUS_MONO8), HORUS_E_ARG);
    CHECK_RESULT(horus_image_wrap(&m, pixels, 4, 4, 4, (horus_encoding)20), HORUS_E_ARG);
    CHECK_RESULT(horus_image_wrap(&m, pixels, UINT32_MAX, 1, UINT32_MAX, HORUS_RGB8), HORUS_E_SIZE);
    CHECK_ZERO(m);
    /* views that somebody has damaged */
    horus_image good = image(c, 4, 4, HORUS_RGB8);
    double v[3] = {1, 2, 3};
    for (int i = 0; i < 6; i++) {
        m = good;
        switch (i) {
        case 0:
            m.encoding = 200;
            break;
        case 1:
            m.channels = 4;
            break;
        case 2:
            m.elem_bytes = 4;
            break;
        case 3:
            m.stride_bytes = 11;
            break;
        case 4:
            m.width_px = 0;
            break;
        default:
            m.height_px = 0;
            break;
        }
        horus_image copy;
        horus_tensor t;
        CHECK_RESULT(horus_image_set_pixel(&m, 0, 0, v, 3), HORUS_E_ARG);
        CHECK_RESULT(horus_image_fill(&m, v, 3), HORUS_E_ARG);
        CHECK_RESULT(horus_image_copy(&copy, &m, NULL), HORUS_E_ARG);
        CHECK_ZERO(copy);
        CHECK_RESULT(horus_image_tensor(&t, &m), HORUS_E_ARG);
        CHECK_ZERO(t);
    }
    CHECK_OK(horus_image_release(&good));
    CHECK_RESULT(horus_image_release(&good), HORUS_E_CLOSED);
    check_empty(p);
    horus_context_close(c);
}

TEST(a_released_view_is_refused_by_every_call)
{
    horus_context *c = private_context();
    horus_image m = image(c, 4, 4, HORUS_RGB8), stale = m, out;
    horus_tensor t;
    double v[3] = {0};
    uint8_t bytes[48];
    CHECK_OK(horus_image_release(&m));
    CHECK_RESULT(horus_image_pixel(&stale, 0, 0, v, 3), HORUS_E_CLOSED);
    CHECK_RESULT(horus_image_set_pixel(&stale, 0, 0, v, 3), HORUS_E_CLOSED);
    CHECK_RESULT(horus_image_fill(&stale, v, 3), HORUS_E_CLOSED);
    CHECK_RESULT(horus_image_copy_from(&stale, bytes, 48), HORUS_E_CLOSED);
    CHECK_RESULT(horus_image_roi(&stale, 0, 0, 1, 1, bytes, 3), HORUS_E_CLOSED);
    CHECK_RESULT(horus_image_copy(&out, &stale, NULL), HORUS_E_CLOSED);
    CHECK_ZERO(out);
    CHECK_RESULT(horus_image_tensor(&t, &stale), HORUS_E_CLOSED);
    CHECK_ZERO(t);
    CHECK_RESULT(horus_image_write(&stale, "/tmp/never.png"), HORUS_E_CLOSED);
    horus_topic *topic = open_in(c, "t", (horus_topic_desc){0});
    CHECK_RESULT(horus_topic_send_image(topic, &stale, 0), HORUS_E_CLOSED);
    horus_topic_close(topic);
    horus_context_close(c);
}

/* ---- read-only after the send */

TEST(a_sent_image_is_read_only_for_everybody_and_a_copy_is_not)
{
    horus_context *c = join(8 * MiB), *d = join(0);
    horus_topic *s = open_in(c, "t", (horus_topic_desc){0}),
                *r = open_in(d, "t", (horus_topic_desc){0});
    horus_image m = image(c, 8, 8, HORUS_RGB8), alias = m, got, copy;
    horus_tensor before, after;
    double v[3] = {1, 2, 3};
    uint8_t bytes[192];
    char id[HORUS_FRAME_ID_BYTES];
    uint64_t time;
    memset(bytes, 7, sizeof bytes);
    CHECK_OK(horus_image_tensor(&before, &m));
    CHECK(!before.readonly);
    CHECK_OK(horus_image_copy_from(&m, bytes, sizeof bytes));
    CHECK_OK(horus_frame_set_id(&m.frame, "front"));
    CHECK_OK(horus_frame_set_time(&m.frame, 12345));
    CHECK_OK(horus_topic_send_image(s, &m, 0));
    CHECK(m.readonly);
    CHECK(horus_frame_published(&m.frame));
    REQUIRE_OK(horus_topic_receive_image(r, &got, NULL, 0));
    CHECK(got.readonly);
    const horus_image *const views[] = {&m, &alias, &got};
    for (int i = 0; i < 3; i++) {
        CHECK_RESULT(horus_image_set_pixel(views[i], 0, 0, v, 3), HORUS_E_READONLY);
        CHECK_TEXT(horus_last_error(), "copy()");
        CHECK_RESULT(horus_image_fill(views[i], v, 3), HORUS_E_READONLY);
        CHECK_TEXT(horus_last_error(), "copy()");
        CHECK_RESULT(horus_image_copy_from(views[i], bytes, sizeof bytes), HORUS_E_READONLY);
        CHECK_TEXT(horus_last_error(), "copy()");
        CHECK_RESULT(horus_frame_set_id(&views[i]->frame, "x"), HORUS_E_READONLY);
        CHECK_RESULT(horus_frame_set_time(&views[i]->frame, 1), HORUS_E_READONLY);
        CHECK_OK(horus_image_tensor(&after, views[i]));
        CHECK(after.readonly);
        horus_dl_managed *plain;
        CHECK_RESULT(horus_dlpack_export(&plain, &after), HORUS_E_READONLY);
        CHECK(plain == NULL);
        CHECK_OK(horus_tensor_release(&after));
        CHECK_OK(horus_frame_get_id(&views[i]->frame, id));
        CHECK(strcmp(id, "front") == 0);
        CHECK_OK(horus_frame_get_time(&views[i]->frame, &time));
        CHECK_EQ(time, 12345);
    }
    horus_dl_managed *plain; /* a view made before the send cannot be handed out as writable */
    CHECK_RESULT(horus_dlpack_export(&plain, &before), HORUS_E_READONLY);
    CHECK(test_is_all(got.data, 7, 192));
    CHECK_OK(horus_image_copy(&copy, &got, NULL));
    CHECK(!copy.readonly && !horus_frame_published(&copy.frame));
    CHECK_OK(horus_frame_get_id(&copy.frame, id));
    CHECK(strcmp(id, "front") == 0);
    CHECK_OK(horus_frame_get_time(&copy.frame, &time));
    CHECK_EQ(time, 12345);
    CHECK_OK(horus_image_fill(&copy, v, 3));
    CHECK_OK(horus_frame_set_id(&copy.frame, "mine"));
    CHECK(test_is_all(got.data, 7, 192));
    CHECK_OK(horus_topic_send_image(s, &m, 0)); /* again is allowed */
    CHECK_OK(horus_tensor_release(&before));
    CHECK_OK(horus_image_release(&m));
    CHECK_OK(horus_image_release(&got));
    CHECK_OK(horus_image_release(&copy));
    horus_topic_close(s);
    horus_topic_close(r);
    horus_context_close(d);
    horus_context_close(c);
}

TEST(a_sent_depth_map_is_read_only)
{
    horus_context *c = join(8 * MiB);
    horus_topic *t = open_in(c, "t", (horus_topic_desc){.type = &horus_depth_type});
    horus_depth m, got, copy;
    horus_tensor view;
    REQUIRE_OK(horus_depth_alloc(&m, pool_of(c), 8, 4, HORUS_U16, 0));
    m.scale = 0.25f;
    CHECK_OK(horus_depth_set(&m, 3, 2, 10));
    CHECK_OK(horus_topic_send_depth(t, &m, 0));
    CHECK_RESULT(horus_depth_set(&m, 3, 2, 11), HORUS_E_READONLY);
    CHECK_TEXT(horus_last_error(), "copy()");
    CHECK_OK(horus_topic_receive_depth(t, &got, NULL, 0));
    CHECK_RESULT(horus_depth_set(&got, 3, 2, 11), HORUS_E_READONLY);
    CHECK(got.readonly);
    CHECK(got.scale == 0.25f);
    CHECK_EQ(got.width_px, 8);
    CHECK_EQ(got.height_px, 4);
    CHECK_EQ(got.dtype, HORUS_U16);
    double metres;
    CHECK_OK(horus_depth_get(&got, 3, 2, &metres));
    CHECK(metres == 10);
    CHECK_OK(horus_depth_tensor(&view, &got));
    CHECK(view.readonly);
    CHECK_OK(horus_tensor_release(&view));
    CHECK_OK(horus_depth_copy(&copy, &got, NULL));
    CHECK(copy.scale == 0.25f);
    CHECK_OK(horus_depth_set(&copy, 3, 2, 11));
    CHECK_OK(horus_depth_release(&copy));
    CHECK_OK(horus_depth_release(&m));
    CHECK_OK(horus_depth_release(&got));
    CHECK_ZERO(got);
    horus_topic_close(t);
    horus_context_close(c);
}

TEST(a_sent_cloud_is_read_only)
{
    horus_context *c = join(8 * MiB);
    horus_topic *t = open_in(c, "t", (horus_topic_desc){.type = &horus_cloud_type});
    horus_cloud m, got, copy;
    horus_tensor view;
    double point[4];
    REQUIRE_OK(horus_cloud_alloc(&m, pool_of(c), 100, 4, HORUS_F32, 0));
    for (int i = 0; i < 400; i++)
        ((float *)m.data)[i] = (float)i;
    CHECK_OK(horus_topic_send_cloud(t, &m, 0));
    CHECK(m.readonly);
    CHECK_OK(horus_topic_receive_cloud(t, &got, NULL, 0));
    CHECK(got.readonly);
    CHECK_EQ(got.point_count, 100);
    CHECK_EQ(got.fields, 4);
    CHECK_EQ(got.dtype, HORUS_F32);
    CHECK_OK(horus_cloud_point(&got, 99, point, 4));
    CHECK(point[0] == 396 && point[3] == 399);
    CHECK_OK(horus_cloud_tensor(&view, &m));
    CHECK(view.readonly);
    CHECK_OK(horus_tensor_release(&view));
    CHECK_OK(horus_cloud_copy(&copy, &got, NULL));
    CHECK(!copy.readonly);
    CHECK(memcmp(copy.data, got.data, 1600) == 0);
    CHECK_OK(horus_cloud_release(&copy));
    CHECK_OK(horus_cloud_release(&m));
    CHECK_OK(horus_cloud_release(&got));
    horus_topic_close(t);
    horus_context_close(c);
}

TEST(a_wrapped_image_must_be_copied_before_it_is_sent)
{
    static uint8_t pixels[100];
    horus_context *c = join(4 * MiB);
    horus_topic *t = open_in(c, "t", (horus_topic_desc){0});
    horus_image m, copy;
    REQUIRE_OK(horus_image_wrap(&m, pixels, 10, 10, 10, HORUS_MONO8));
    CHECK_RESULT(horus_topic_send_image(t, &m, 0), HORUS_E_ARG);
    CHECK_TEXT(horus_last_error(), "copy()");
    CHECK_OK(horus_image_copy(&copy, &m, pool_of(c)));
    CHECK_OK(horus_topic_send_image(t, &copy, 0));
    CHECK_OK(horus_image_release(&copy));
    m.readonly = true; /* a promise that is kept for own memory, too */
    double v = 1;
    CHECK_RESULT(horus_image_fill(&m, &v, 1), HORUS_E_READONLY);
    horus_topic_close(t);
    horus_context_close(c);
}

/* Views of own memory that nobody else can see. */
TEST(no_view_of_own_memory_is_sent_or_described)
{
    static float numbers[12];
    uint8_t wire[HORUS_DESCRIPTOR_BYTES];
    size_t bytes = sizeof wire;
    horus_context *c = join(4 * MiB);
    horus_topic *t = open_in(c, "t", (horus_topic_desc){0});
    horus_tensor x = {.data = numbers, .shape = {12}, .strides_bytes = {4}, .ndim = 1}, same;
    horus_depth d = {.data = numbers,
                     .width_px = 4,
                     .height_px = 3,
                     .stride_bytes = 16,
                     .scale = 1,
                     .dtype = HORUS_F32};
    horus_cloud p = {.data = numbers, .point_count = 4, .fields = 3, .dtype = HORUS_F32};
    CHECK_RESULT(horus_topic_send_tensor(t, &x, 0), HORUS_E_ARG);
    CHECK_TEXT(horus_last_error(), "copy()");
    CHECK_RESULT(horus_tensor_describe(&x, wire, &bytes), HORUS_E_ARG);
    CHECK_EQ(bytes, 0);
    CHECK_RESULT(horus_topic_send_depth(t, &d, 0), HORUS_E_ARG);
    CHECK_TEXT(horus_last_error(), "copy()");
    CHECK_RESULT(horus_topic_send_cloud(t, &p, 0), HORUS_E_ARG);
    CHECK_TEXT(horus_last_error(), "copy()");
    CHECK(!x.readonly && !d.readonly && !p.readonly);
    CHECK_RESULT(horus_topic_peek(t, NULL, 0, NULL), HORUS_EMPTY);
    /* read-only where its owner says so, and so are views of it */
    d.readonly = p.readonly = true;
    CHECK_RESULT(horus_depth_set(&d, 0, 0, 1), HORUS_E_READONLY);
    CHECK(numbers[0] == 0);
    CHECK_OK(horus_depth_tensor(&same, &d));
    CHECK(same.readonly && same.data == numbers && same.frame.pool == NULL);
    CHECK_OK(horus_cloud_tensor(&same, &p));
    CHECK(same.readonly && same.data == numbers && same.frame.pool == NULL);
    horus_image m;
    REQUIRE_OK(horus_image_wrap(&m, numbers, 3, 4, 12, HORUS_MONO32F));
    m.readonly = true;
    CHECK_OK(horus_image_tensor(&same, &m));
    CHECK(same.readonly && same.data == numbers && same.frame.pool == NULL);
    horus_topic_close(t);
    check_empty(pool_of(c));
    horus_context_close(c);
}

TEST(a_frame_of_another_namespace_is_not_sent)
{
    char other[80];
    (void)snprintf(other, sizeof other, "%s-b", test_space);
    horus_context *a = join(4 * MiB),
                  *b = join_desc((horus_context_desc){.name = other, .pool_bytes = 4 * MiB});
    horus_topic *t = open_in(a, "t", (horus_topic_desc){0});
    horus_image m = image(b, 4, 4, HORUS_MONO8), copy;
    CHECK_RESULT(horus_topic_send_image(t, &m, 0), HORUS_E_ARG);
    CHECK_TEXT(horus_last_error(), "another namespace");
    CHECK(!m.readonly);
    CHECK_OK(horus_image_copy(&copy, &m, pool_of(a)));
    CHECK_OK(horus_topic_send_image(t, &copy, 0));
    CHECK_OK(horus_image_release(&copy));
    CHECK_OK(horus_image_release(&m));
    horus_topic_close(t);
    horus_context_close(a);
    horus_context_close(b);
}

/* ---- depth */

TEST(depth_is_read_and_written_in_metres)
{
    horus_context *c = private_context();
    horus_depth f, u;
    double m;
    REQUIRE_OK(horus_depth_alloc(&f, pool_of(c), 10, 10, HORUS_F32, 0));
    REQUIRE_OK(horus_depth_alloc(&u, pool_of(c), 10, 10, HORUS_U16, 0));
    CHECK(f.scale == 1.0f && u.scale == 0.001f);
    CHECK_EQ(f.stride_bytes, 40);
    CHECK_EQ(u.stride_bytes, 20);
    CHECK_OK(horus_depth_set(&f, 3, 4, 2.5));
    CHECK_OK(horus_depth_get(&f, 3, 4, &m));
    CHECK(m == 2.5);
    CHECK(((float *)f.data)[43] == 2.5f);
    CHECK_OK(horus_depth_set(&u, 3, 4, 2.5));
    CHECK_EQ(((uint16_t *)u.data)[43], 2500);
    CHECK_OK(horus_depth_get(&u, 3, 4, &m));
    CHECK(fabs(m - 2.5) < 1e-6);
    CHECK_OK(horus_depth_set(&u, 0, 0, 1.23449)); /* to the nearest */
    CHECK_EQ(((uint16_t *)u.data)[0], 1234);
    CHECK_OK(horus_depth_set(&u, 0, 0, 1.23451));
    CHECK_EQ(((uint16_t *)u.data)[0], 1235);
    CHECK_OK(horus_depth_set(&u, 0, 0, 65.535));
    CHECK_EQ(((uint16_t *)u.data)[0], 65535);
    CHECK_OK(horus_depth_set(&u, 0, 0, 0));
    CHECK_EQ(((uint16_t *)u.data)[0], 0);
    static const double far[] = {1e39, -1e39, 1e308, 0x1.ffffffp127};
    for (int i = 0; i < 4; i++)
        CHECK_RESULT(horus_depth_set(&f, 3, 4, far[i]), HORUS_E_ARG);
    CHECK(((float *)f.data)[43] == 2.5f);
    static const double whole[] = {0x1.fffffep127, 0x1.fffffefffffffp127, INFINITY, -INFINITY};
    for (int i = 0; i < 4; i++) {
        CHECK_OK(horus_depth_set(&f, 3, 4, whole[i]));
        CHECK(((float *)f.data)[43] == (float)whole[i]);
    }
    static const double bad[] = {-0.001, 65.536, 1e300, NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 6; i++)
        CHECK_RESULT(horus_depth_set(&u, 1, 1, bad[i]), HORUS_E_ARG);
    CHECK_EQ(((uint16_t *)u.data)[11], 0);
    CHECK_OK(horus_depth_set(&f, 1, 1, NAN));
    CHECK_OK(horus_depth_get(&f, 1, 1, &m));
    CHECK(isnan(m));
    CHECK_OK(horus_depth_set(&f, 1, 1, INFINITY));
    CHECK_OK(horus_depth_get(&f, 1, 1, &m));
    CHECK(isinf(m));
    CHECK_RESULT(horus_depth_get(&f, 10, 0, &m), HORUS_E_ARG);
    CHECK(m == 0);
    CHECK_RESULT(horus_depth_get(&f, 0, 10, &m), HORUS_E_ARG);
    CHECK_RESULT(horus_depth_set(&f, 10, 0, 1), HORUS_E_ARG);
    CHECK_RESULT(horus_depth_set(&u, 0, UINT32_MAX, 1), HORUS_E_ARG);
    CHECK_RESULT(horus_depth_get(&f, 0, 0, NULL), HORUS_E_ARG);
    u.scale = 0; /* nothing can be stored in units of nothing */
    CHECK_RESULT(horus_depth_set(&u, 0, 0, 1), HORUS_E_ARG);
    horus_depth none;
    CHECK_RESULT(horus_depth_alloc(&none, pool_of(c), 10, 10, HORUS_F64, 0), HORUS_E_ARG);
    CHECK_ZERO(none);
    CHECK_RESULT(horus_depth_alloc(&none, pool_of(c), 0, 10, HORUS_F32, 0), HORUS_E_ARG);
    CHECK_RESULT(horus_depth_alloc(&none, pool_of(c), UINT32_MAX, UINT32_MAX, HORUS_F32, 0),
                 HORUS_E_SIZE);
    CHECK_OK(horus_depth_release(&f));
    CHECK_OK(horus_depth_release(&u));
    check_empty(pool_of(c));
    horus_context_close(c);
}

TEST(statistics_of_a_row_of_any_length_reach_its_end)
{
    horus_context *c = private_context();
    for (uint32_t w = 4090; w<12300; w += w % 4096> 4 ? 1 : w % 4096 == 4 ? 4080 : 1) {
        horus_depth d;
        horus_depth_stats s;
        REQUIRE_OK(horus_depth_alloc(&d, pool_of(c), w, 1, HORUS_F32, 0));
        ((float *)d.data)[0] = 1;
        ((float *)d.data)[w - 1] = 3;
        CHECK_OK(horus_depth_statistics(&d, &s));
        CHECK_EQ(s.valid, 2);
        CHECK(s.min_m == 1 && s.max_m == 3 && s.mean_m == 2);
        CHECK_OK(horus_depth_release(&d));
    }
    horus_context_close(c);
}

TEST(statistics_skip_what_is_no_measurement)
{
    horus_context *c = private_context();
    horus_depth f, u;
    horus_depth_stats s;
    uint32_t w = 101, h = 7;
    REQUIRE_OK(horus_depth_alloc(&f, pool_of(c), w, h, HORUS_F32, 0));
    REQUIRE_OK(horus_depth_alloc(&u, pool_of(c), w, h, HORUS_U16, 0));
    CHECK_RESULT(horus_depth_statistics(&f, &s), HORUS_EMPTY);
    CHECK_ZERO(s);
    CHECK_RESULT(horus_depth_statistics(&u, &s), HORUS_EMPTY);
    float *p = f.data;
    uint16_t *q = u.data;
    for (int round = 0; round < 200; round++) {
        static const float odd[] = {0, -0.0f, NAN, INFINITY, -INFINITY, -1, -1e30f, NAN};
        double low = 1e300, high = 0, sum = 0, ulow = 1e300, uhigh = 0, usum = 0;
        uint64_t n = 0, un = 0;
        for (uint32_t i = 0; i < w * h; i++) {
            p[i] = rng() % 3 ? odd[rng() % 8] : (float)(rng() % 10000 + 1) / 100;
            q[i] = (uint16_t)(rng() % 4 ? rng() % 65536 : 0);
            if (round == 199)
                p[i] = i == 100 ? 3.5f : odd[rng() % 8]; /* the last of a row alone */
            if (p[i] > 0 && p[i] < INFINITY) {
                low = p[i] < low ? p[i] : low;
                high = p[i] > high ? p[i] : high;
                sum += p[i];
                n++;
            }
            if (q[i]) {
                ulow = q[i] < ulow ? q[i] : ulow;
                uhigh = q[i] > uhigh ? q[i] : uhigh;
                usum += q[i];
                un++;
            }
        }
        CHECK_OK(horus_depth_statistics(&f, &s));
        CHECK_EQ(s.valid, n);
        CHECK(s.min_m == low && s.max_m == high);
        CHECK(fabs(s.mean_m - sum / (double)n) <= 1e-5 * s.mean_m);
        CHECK_OK(horus_depth_statistics(&u, &s));
        CHECK_EQ(s.valid, un);
        CHECK(fabs(s.min_m - ulow * 0.001) < 1e-6 && fabs(s.max_m - uhigh * 0.001) < 1e-4);
        CHECK(fabs(s.mean_m - usum / (double)un * 0.001) <= 1e-5 * s.mean_m);
    }
    for (uint32_t i = 0; i < w * h; i++)
        p[i] = i % 2 ? 3e38f : 1e-38f;
    CHECK_OK(horus_depth_statistics(&f, &s)); /* as far as floats reach */
    CHECK_EQ(s.valid, w * h);
    CHECK(s.max_m == (double)3e38f && s.min_m == (double)1e-38f);
    CHECK(isfinite(s.mean_m) && s.mean_m > 1.4e38 && s.mean_m < 1.6e38);
    CHECK_RESULT(horus_depth_statistics(&f, NULL), HORUS_E_ARG);
    CHECK_OK(horus_depth_release(&f));
    CHECK_OK(horus_depth_release(&u));
    horus_context_close(c);
}

TEST(statistics_of_a_large_map_are_exact_enough)
{
    horus_context *c = private_context();
    horus_depth f;
    horus_depth_stats s;
    REQUIRE_OK(horus_depth_alloc(&f, pool_of(c), 1920, 1080, HORUS_F32, HORUS_UNINIT));
    double sum = 0;
    for (uint32_t i = 0; i < 1920 * 1080; i++)
        sum += ((float *)f.data)[i] = 0.1f + (float)(rng() % 1000000) / 1000;
    CHECK_OK(horus_depth_statistics(&f, &s));
    CHECK_EQ(s.valid, 1920 * 1080);
    CHECK(fabs(s.mean_m * 1920 * 1080 - sum) < 1e-5 * sum);
    CHECK_OK(horus_depth_release(&f));
    horus_context_close(c);
}

/* ---- clouds */

TEST(a_cloud_without_points_travels)
{
    horus_context *c = join(8 * MiB);
    horus_cloud m, copy, got;
    horus_tensor v;
    horus_topic *t = open_in(c, "none", (horus_topic_desc){.type = &horus_cloud_type});
    REQUIRE_OK(horus_cloud_alloc(&m, pool_of(c), 0, 4, HORUS_F32, 0));
    CHECK_OK(horus_cloud_copy(&copy, &m, pool_of(c)));
    CHECK_EQ(copy.point_count, 0);
    CHECK_OK(horus_cloud_tensor(&v, &m));
    CHECK_EQ(v.shape[0], 0);
    CHECK_EQ(horus_tensor_numel(&v), 0);
    CHECK_OK(horus_tensor_release(&v));
    CHECK_OK(horus_topic_send_cloud(t, &m, HORUS_NO_WAIT));
    REQUIRE_OK(horus_topic_receive_cloud(t, &got, NULL, HORUS_NO_WAIT));
    CHECK_EQ(got.point_count, 0);
    CHECK_EQ(got.fields, 4);
    CHECK_OK(horus_cloud_release(&got));
    CHECK_OK(horus_cloud_release(&copy));
    CHECK_OK(horus_cloud_release(&m));
    horus_topic_close(t);
    horus_context_close(c);
}

TEST(clouds_have_any_number_of_fields)
{
    horus_context *c = private_context();
    static const uint32_t fields[] = {1, 2, 3, 4, 5, 6, 7, 100, 65535};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        for (int wide = 0; wide < 2; wide++) {
            uint32_t n = fields[i], points = n > 1000 ? 3 : 50;
            horus_cloud m;
            horus_tensor t;
            double *out = calloc(n + 1, sizeof *out);
            REQUIRE(out);
            REQUIRE_OK(
                horus_cloud_alloc(&m, pool_of(c), points, n, wide ? HORUS_F64 : HORUS_F32, 0));
            for (uint32_t k = 0; k < points * n; k++) {
                if (wide)
                    ((double *)m.data)[k] = k + 0.5;
                else
                    ((float *)m.data)[k] = (float)k + 0.5f;
            }
            CHECK_EQ(horus_cloud_is_xyz(&m), n == 3);
            CHECK_EQ(horus_cloud_has_intensity(&m), n >= 4);
            CHECK_EQ(horus_cloud_has_color(&m), n >= 6);
            for (uint32_t k = 0; k < points; k++) {
                CHECK_OK(horus_cloud_point(&m, k, out, n));
                CHECK(out[0] == k * n + 0.5 && out[n - 1] == k * n + n - 1 + 0.5);
            }
            CHECK_RESULT(horus_cloud_point(&m, points, out, n), HORUS_E_ARG);
            CHECK(out[0] == 0 && out[n - 1] == 0);
            CHECK_RESULT(horus_cloud_point(&m, UINT64_MAX, out, n), HORUS_E_ARG);
            CHECK_RESULT(horus_cloud_point(&m, 0, out, n + 1), HORUS_E_SIZE);
            CHECK_RESULT(horus_cloud_point(&m, 0, NULL, n), HORUS_E_ARG);
            CHECK_OK(horus_cloud_tensor(&t, &m));
            CHECK_EQ(t.ndim, 2);
            CHECK_EQ(t.shape[0], points);
            CHECK_EQ(t.shape[1], n);
            CHECK(horus_tensor_is_contiguous(&t));
            CHECK_OK(horus_tensor_release(&t));
            CHECK_OK(horus_cloud_release(&m));
            free(out);
        }
    horus_cloud m;
    double v[3];
    REQUIRE_OK(horus_cloud_alloc(&m, pool_of(c), 5, 3, HORUS_I16, 0));
    CHECK_RESULT(horus_cloud_point(&m, 0, v, 3), HORUS_E_TYPE);
    CHECK_TEXT(horus_last_error(), "int16");
    CHECK_OK(horus_cloud_release(&m));
    CHECK_RESULT(horus_cloud_alloc(&m, pool_of(c), 1, 0, HORUS_F32, 0), HORUS_E_ARG);
    CHECK_RESULT(horus_cloud_alloc(&m, pool_of(c), 1, 65536, HORUS_F32, 0), HORUS_E_ARG);
    CHECK_RESULT(horus_cloud_alloc(&m, pool_of(c), 1, 3, (horus_dtype)13, 0), HORUS_E_ARG);
    CHECK_RESULT(horus_cloud_alloc(&m, pool_of(c), UINT64_MAX, 3, HORUS_F32, 0), HORUS_E_SIZE);
    CHECK_RESULT(horus_cloud_alloc(&m, pool_of(c), UINT64_MAX / 12 + 1, 3, HORUS_F32, 0),
                 HORUS_E_SIZE);
    CHECK_RESULT(horus_cloud_alloc(&m, pool_of(c), 1ull << 60, 65535, HORUS_F64, 0), HORUS_E_SIZE);
    CHECK_ZERO(m);
    CHECK(!horus_cloud_is_xyz(NULL) && !horus_cloud_has_color(NULL));
    check_empty(pool_of(c));
    horus_context_close(c);
}

/* ---- tensors */

TEST(tensors_have_13_dtypes_and_up_to_8_dimensions)
{
    horus_context *c = private_context();
    static const int64_t shape[8] = {2, 3, 1, 4, 2, 1, 2, 3};
    for (int d = 0; d < 13; d++)
        for (uint32_t n = 0; n <= 8; n++) {
            horus_tensor t;
            int64_t numel = 1, stride = (int64_t)horus_dtype_bytes((horus_dtype)d);
            REQUIRE_OK(horus_tensor_alloc(&t, pool_of(c), (horus_dtype)d, n, shape, 0));
            CHECK_EQ(t.ndim, n);
            CHECK_EQ(t.dtype, d);
            for (uint32_t i = n; i-- > 0;) {
                CHECK_EQ(t.shape[i], shape[i]);
                CHECK_EQ(t.strides_bytes[i], stride);
                stride *= shape[i];
                numel *= shape[i];
            }
            CHECK_EQ(horus_tensor_numel(&t), numel);
            CHECK(horus_tensor_is_contiguous(&t));
            CHECK(test_is_all(t.data, 0, (size_t)stride));
            CHECK((uintptr_t)t.data % 64 == 0);
            CHECK_OK(horus_tensor_release(&t));
            CHECK_ZERO(t);
            CHECK_RESULT(horus_tensor_release(&t), HORUS_E_CLOSED);
        }
    check_empty(pool_of(c));
    horus_context_close(c);
}

TEST(impossible_tensors_are_refused)
{
    horus_context *c = private_context();
    static const int64_t shapes[][8] = {{-1, 1, 1, 1, 1, 1, 1, 1},
                                        {1, -5, 1, 1, 1, 1, 1, 1},
                                        {INT64_MAX, 1, 1, 1, 1, 1, 1, 1},
                                        {INT64_MAX, INT64_MAX, 1, 1, 1, 1, 1, 1},
                                        {1ll << 32, 1ll << 32, 1, 1, 1, 1, 1, 1},
                                        {1ll << 31, 1ll << 31, 4, 1, 1, 1, 1, 1},
                                        {1ll << 16, 1ll << 16, 1ll << 16, 1ll << 16, 1, 1, 1, 1},
                                        {INT64_MIN, 1, 1, 1, 1, 1, 1, 1},
                                        {65536, 65536, 65536, 65536, 65536, 65536, 65536, 65536},
                                        {17 * 1024 * 1024, 1, 1, 1, 1, 1, 1, 1}};
    horus_tensor t;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (int d = 0; d < 13; d++) {
            memset(&t, 1, sizeof t);
            CHECK_RESULT(horus_tensor_alloc(&t, pool_of(c), (horus_dtype)d, 8, shapes[i], 0),
                         HORUS_E_SIZE);
            CHECK_ZERO(t);
        }
    static const int64_t one[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    CHECK_RESULT(horus_tensor_alloc(&t, pool_of(c), HORUS_U8, 9, one, 0), HORUS_E_ARG);
    CHECK_RESULT(horus_tensor_alloc(&t, pool_of(c), (horus_dtype)13, 1, one, 0), HORUS_E_ARG);
    CHECK_RESULT(horus_tensor_alloc(&t, pool_of(c), (horus_dtype)-1, 1, one, 0), HORUS_E_ARG);
    CHECK_RESULT(horus_tensor_alloc(&t, pool_of(c), HORUS_U8, 1, NULL, 0), HORUS_E_ARG);
    CHECK_RESULT(horus_tensor_alloc(NULL, pool_of(c), HORUS_U8, 1, one, 0), HORUS_E_ARG);
    check_empty(pool_of(c));
    horus_context_close(c);
}

TEST(tensors_without_elements_are_tensors)
{
    horus_context *c = private_context();
    static const int64_t shapes[][3] = {{0, 3, 4}, {3, 0, 4}, {3, 4, 0}, {0, 0, 0}};
    for (int i = 0; i < 4; i++) {
        horus_tensor t, u, s;
        int64_t flat[2] = {0, 5}, guess[2] = {-1, 3};
        REQUIRE_OK(horus_tensor_alloc(&t, pool_of(c), HORUS_F32, 3, shapes[i], 0));
        CHECK_EQ(horus_tensor_numel(&t), 0);
        CHECK(horus_tensor_is_contiguous(&t));
        CHECK_OK(horus_tensor_reshape(&u, &t, 2, flat));
        CHECK_EQ(horus_tensor_numel(&u), 0);
        CHECK_OK(horus_tensor_release(&u));
        CHECK_OK(horus_tensor_reshape(&u, &t, 2, guess));
        CHECK_EQ(u.shape[0], 0);
        CHECK_OK(horus_tensor_release(&u));
        CHECK_OK(horus_tensor_slice(&s, &t, 0, 1));
        CHECK_EQ(horus_tensor_numel(&s), 0);
        CHECK_OK(horus_tensor_release(&s));
        CHECK_OK(horus_tensor_copy(&u, &t, NULL));
        CHECK_EQ(horus_tensor_numel(&u), 0);
        CHECK_OK(horus_tensor_release(&u));
        CHECK_OK(horus_tensor_release(&t));
    }
    check_empty(pool_of(c));
    horus_context_close(c);
}

TEST(reshape_shares_memory_and_works_out_one_dimension)
{
    horus_context *c = private_context();
    static const struct {
        uint32_t ndim;
        int64_t shape[8];
        horus_result want;
        int64_t guessed;
    } cases[] = {
        {1, {24}, HORUS_OK, 0},
        {1, {-1}, HORUS_OK, 24},
        {2, {4, 6}, HORUS_OK, 0},
        {2, {-1, 6}, HORUS_OK, 4},
        {2, {6, -1}, HORUS_OK, 4},
        {8, {1, 2, 1, 2, 1, 2, 3, 1}, HORUS_OK, 0},
        {3, {2, -1, 2}, HORUS_OK, 6},
        {1, {23}, HORUS_E_SIZE, 0},
        {2, {-1, 5}, HORUS_E_SIZE, 0},
        {2, {-1, 0}, HORUS_E_SIZE, 0},
        {2, {-1, 48}, HORUS_E_SIZE, 0},
        {2, {0, 24}, HORUS_E_SIZE, 0},
        {0, {0}, HORUS_E_SIZE, 0},
        {2, {-1, -1}, HORUS_E_ARG, 0},
        {2, {-2, 12}, HORUS_E_ARG, 0},
        {9, {1}, HORUS_E_ARG, 0},
        {2, {INT64_MAX, INT64_MAX}, HORUS_E_ARG, 0},
    };
    horus_tensor t, u;
    int64_t shape[3] = {2, 3, 4};
    REQUIRE_OK(horus_tensor_alloc(&t, pool_of(c), HORUS_I32, 3, shape, 0));
    for (int i = 0; i < 24; i++)
        ((int32_t *)t.data)[i] = i;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        memset(&u, 1, sizeof u);
        horus_result r = horus_tensor_reshape(&u, &t, cases[i].ndim, cases[i].shape);
        if (cases[i].want == HORUS_E_ARG) /* too large to multiply is a matter of size as well */
            CHECK(r == HORUS_E_ARG || r == HORUS_E_SIZE);
        else
            CHECK_RESULT(r, cases[i].want);
        if (r != HORUS_OK) {
            CHECK_ZERO(u);
            continue;
        }
        CHECK_EQ(horus_tensor_numel(&u), 24);
        CHECK(u.data == t.data && horus_tensor_is_contiguous(&u));
        for (uint32_t k = 0; k < cases[i].ndim; k++)
            CHECK_EQ(u.shape[k], cases[i].shape[k] == -1 ? cases[i].guessed : cases[i].shape[k]);
        CHECK_OK(horus_tensor_release(&u));
    }
    CHECK_OK(horus_tensor_reshape(&u, &t, 1, &(int64_t){-1}));
    CHECK_OK(horus_tensor_release(&t)); /* u holds the frame by itself */
    CHECK_EQ(((int32_t *)u.data)[23], 23);
    horus_frame before = u.frame;
    CHECK_OK(horus_tensor_reshape(&u, &u, 2, (int64_t[]){3, 8})); /* in place: one hold more */
    CHECK_EQ(u.shape[1], 8);
    CHECK_OK(horus_frame_release(&before));
    CHECK_OK(horus_tensor_release(&u));
    check_empty(pool_of(c));
    horus_context_close(c);
}

TEST(slices_are_those_of_numpy)
{
    horus_context *c = private_context();
    horus_tensor t, s;
    int64_t shape[2] = {5, 3};
    REQUIRE_OK(horus_tensor_alloc(&t, pool_of(c), HORUS_U16, 2, shape, 0));
    for (int i = 0; i < 15; i++)
        ((uint16_t *)t.data)[i] = (uint16_t)i;
    for (int64_t start = -8; start <= 8; start++)
        for (int64_t end = -8; end <= 8; end++) {
            int64_t first = -1, count = 0;
            int64_t lo = start < 0 ? start + 5 : start, hi = end < 0 ? end + 5 : end;
            for (int64_t i = 0; i < 5; i++)
                if (i >= lo && i < hi) {
                    first = first < 0 ? i : first;
                    count++;
                }
            CHECK_OK(horus_tensor_slice(&s, &t, start, end));
            CHECK_EQ(s.shape[0], count);
            CHECK_EQ(s.shape[1], 3);
            CHECK_EQ(s.ndim, 2);
            CHECK(s.data >= t.data && (uint8_t *)s.data <= (uint8_t *)t.data + 30);
            if (count)
                CHECK_EQ(*(uint16_t *)s.data, first * 3);
            CHECK_OK(horus_tensor_release(&s));
        }
    CHECK_OK(horus_tensor_slice(&s, &t, INT64_MIN, INT64_MAX));
    CHECK_EQ(s.shape[0], 5);
    CHECK_OK(horus_tensor_release(&s));
    CHECK_OK(horus_tensor_slice(&s, &t, INT64_MAX, INT64_MIN));
    CHECK_EQ(s.shape[0], 0);
    CHECK_OK(horus_tensor_release(&s));
    CHECK_OK(horus_tensor_slice(&s, &t, 1, 4));
    ((uint16_t *)s.data)[0] = 999; /* shared memory */
    CHECK_EQ(((uint16_t *)t.data)[3], 999);
    horus_frame before = s.frame;
    CHECK_OK(horus_tensor_slice(&s, &s, 1, 3)); /* in place: one hold more */
    CHECK_EQ(*(uint16_t *)s.data, 6);
    CHECK_OK(horus_frame_release(&before));
    CHECK_OK(horus_tensor_release(&s));
    CHECK_OK(horus_tensor_release(&t));
    horus_tensor scalar;
    REQUIRE_OK(horus_tensor_alloc(&scalar, pool_of(c), HORUS_U16, 0, NULL, 0));
    CHECK_RESULT(horus_tensor_slice(&s, &scalar, 0, 1), HORUS_E_ARG);
    CHECK_ZERO(s);
    CHECK_OK(horus_tensor_release(&scalar));
    check_empty(pool_of(c));
    horus_context_close(c);
}

TEST(a_view_that_runs_backwards_is_not_contiguous)
{
    static float numbers[4] = {1, 2, 3, 4};
    horus_tensor t = {.data = numbers + 3, .shape = {4}, .strides_bytes = {-4}, .ndim = 1}, copy;
    horus_context *c = private_context();
    CHECK(!horus_tensor_is_contiguous(&t));
    REQUIRE_OK(horus_tensor_copy(&copy, &t, pool_of(c)));
    CHECK(horus_tensor_is_contiguous(&copy));
    for (int i = 0; i < 4; i++)
        CHECK(((float *)copy.data)[i] == 4 - i);
    CHECK_OK(horus_tensor_release(&copy));
    horus_context_close(c);
}
TEST(a_copy_without_a_pool_goes_where_the_original_is)
{
    horus_context *c = private_context();
    horus_tensor t, t2;
    horus_image m = image(c, 4, 4, HORUS_MONO8), m2;
    horus_depth d, d2;
    horus_cloud p, p2;
    int64_t shape = 5;
    REQUIRE_OK(horus_tensor_alloc(&t, pool_of(c), HORUS_U8, 1, &shape, 0));
    REQUIRE_OK(horus_depth_alloc(&d, pool_of(c), 4, 4, HORUS_U16, 0));
    REQUIRE_OK(horus_cloud_alloc(&p, pool_of(c), 4, 3, HORUS_F32, 0));
    REQUIRE_OK(horus_tensor_copy(&t2, &t, NULL));
    REQUIRE_OK(horus_image_copy(&m2, &m, NULL));
    REQUIRE_OK(horus_depth_copy(&d2, &d, NULL));
    REQUIRE_OK(horus_cloud_copy(&p2, &p, NULL));
    CHECK(t2.frame.pool == pool_of(c) && m2.frame.pool == pool_of(c));
    CHECK(d2.frame.pool == pool_of(c) && p2.frame.pool == pool_of(c));
    CHECK_EQ(stats_of(pool_of(c)).used_slots, 8);
    horus_context *other = private_context(); /* and with one, there */
    REQUIRE_OK(horus_depth_copy(&d2, &d, pool_of(other)));
    REQUIRE_OK(horus_cloud_copy(&p2, &p, pool_of(other)));
    CHECK(d2.frame.pool == pool_of(other) && p2.frame.pool == pool_of(other));
    CHECK_EQ(stats_of(pool_of(other)).used_slots, 2);
    double value;
    CHECK_RESULT(horus_image_pixel(&m, 3, 4, &value, 1), HORUS_E_ARG); /* below the last row */
    CHECK_RESULT(horus_image_pixel(&m, 4, 3, &value, 1), HORUS_E_ARG);
    int64_t vast[2] = {(int64_t)1 << 40, (int64_t)1 << 23}; /* elements that can be counted only */
    CHECK_RESULT(horus_tensor_reshape(&t2, &t, 2, vast), HORUS_E_SIZE);
    horus_context_close(other);
    horus_context_close(c);
}

TEST(strided_views_are_copied_dense_and_not_reshaped)
{
    horus_context *c = private_context();
    horus_tensor t, transposed, copy, u;
    int64_t shape[3] = {3, 4, 5};
    REQUIRE_OK(horus_tensor_alloc(&t, pool_of(c), HORUS_I32, 3, shape, 0));
    for (int i = 0; i < 60; i++)
        ((int32_t *)t.data)[i] = i;
    transposed = t;
    transposed.shape[0] = 5;
    transposed.shape[2] = 3;
    transposed.strides_bytes[0] = 4;
    transposed.strides_bytes[2] = 80;
    CHECK(!horus_tensor_is_contiguous(&transposed));
    CHECK_RESULT(horus_tensor_reshape(&u, &transposed, 1, &(int64_t){60}), HORUS_E_UNSUPPORTED);
    CHECK_TEXT(horus_last_error(), "copy()");
    CHECK_ZERO(u);
    CHECK_OK(horus_tensor_copy(&copy, &transposed, NULL));
    CHECK(horus_tensor_is_contiguous(&copy));
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 4; j++)
            for (int k = 0; k < 3; k++)
                CHECK_EQ(((int32_t *)copy.data)[(i * 4 + j) * 3 + k], (k * 4 + j) * 5 + i);
    CHECK_OK(horus_tensor_reshape(&u, &copy, 1, &(int64_t){60}));
    CHECK_OK(horus_tensor_release(&u));
    CHECK_OK(horus_tensor_release(&copy));
    transposed.strides_bytes[0] = 0; /* broadcast */
    CHECK_OK(horus_tensor_copy(&copy, &transposed, NULL));
    CHECK_EQ(((int32_t *)copy.data)[12], 0);
    CHECK_OK(horus_tensor_release(&copy));
    CHECK_OK(horus_tensor_release(&t));
    check_empty(pool_of(c));
    horus_context_close(c);
}

TEST(a_slice_of_an_empty_view_stays_where_it_is)
{
    horus_context *c = join(MiB);
    horus_tensor t, got, part;
    int64_t shape[2] = {0, 200};
    uint8_t wire[HORUS_DESCRIPTOR_BYTES];
    size_t bytes = sizeof wire;
    REQUIRE_OK(horus_tensor_alloc(&t, pool_of(c), HORUS_F64, 2, shape, 0));
    REQUIRE_OK(horus_tensor_describe(&t, wire, &bytes));
    /* somebody else says that it has many rows of no elements, or one row, far from the next */
    for (int i = 0; i < 2; i++) {
        int64_t lie[4] = {i ? 1 : INT64_MAX / 2, i ? 1 : 0, INT64_MAX / 4, 8};
        memcpy(wire + sizeof(horusi_wire), lie, sizeof lie);
        REQUIRE_OK(horus_tensor_from_descriptor(&got, c, wire, bytes));
        for (int64_t start = 1; start < 1000000; start *= 3) {
            REQUIRE_OK(horus_tensor_slice(&part, &got, start, start + 5));
            CHECK(part.data == got.data);
            CHECK_EQ(part.shape[0], i ? 0 : 5);
            CHECK_OK(horus_tensor_release(&part));
        }
        CHECK_OK(horus_tensor_release(&got));
    }
    CHECK_OK(horus_tensor_release(&t));
    horus_context_close(c);
}
TEST(slices_and_transposed_views_travel_as_they_are)
{
    horus_context *c = join(8 * MiB), *d = join(0);
    horus_topic *s = open_in(c, "t", (horus_topic_desc){.type = &horus_tensor_type}),
                *r = open_in(d, "t", (horus_topic_desc){.type = &horus_tensor_type});
    horus_tensor t, part, got;
    int64_t shape[2] = {10, 7};
    REQUIRE_OK(horus_tensor_alloc(&t, pool_of(c), HORUS_F64, 2, shape, 0));
    for (int i = 0; i < 70; i++)
        ((double *)t.data)[i] = i;
    CHECK_OK(horus_tensor_slice(&part, &t, 2, 9));
    int64_t swap = part.shape[0];
    part.shape[0] = part.shape[1];
    part.shape[1] = swap;
    part.strides_bytes[1] = part.strides_bytes[0];
    part.strides_bytes[0] = 8;
    CHECK_OK(horus_topic_send_tensor(s, &part, 0));
    CHECK_OK(horus_topic_receive_tensor(r, &got, NULL, 0));
    CHECK_EQ(got.ndim, 2);
    CHECK_EQ(got.dtype, HORUS_F64);
    CHECK(memcmp(got.shape, part.shape, sizeof got.shape) == 0);
    CHECK(memcmp(got.strides_bytes, part.strides_bytes, sizeof got.strides_bytes) == 0);
    for (int i = 0; i < 7; i++)
        for (int k = 0; k < 7; k++)
            CHECK(*(double *)((uint8_t *)got.data + i * got.strides_bytes[0] +
                              k * got.strides_bytes[1]) == (k + 2) * 7 + i);
    /* strides that leave the frame are refused at the sender */
    horus_tensor bad = t;
    bad.strides_bytes[0] = 1 << 20;
    CHECK_RESULT(horus_topic_send_tensor(s, &bad, 0), HORUS_E_ARG);
    bad = t;
    bad.shape[0] = INT64_MAX;
    CHECK_RESULT(horus_topic_send_tensor(s, &bad, 0), HORUS_E_ARG);
    bad = t;
    bad.strides_bytes[1] = -8;
    CHECK_RESULT(horus_topic_send_tensor(s, &bad, 0), HORUS_E_ARG);
    CHECK_OK(horus_tensor_release(&got));
    CHECK_OK(horus_tensor_release(&part));
    CHECK_OK(horus_tensor_release(&t));
    horus_topic_close(s);
    horus_topic_close(r);
    horus_context_close(d);
    horus_context_close(c);
}

/* ---- descriptors */

TEST(a_descriptor_opens_the_same_memory_elsewhere)
{
    horus_context *c = join(8 * MiB), *d = join(0);
    static const int64_t shape[8] = {2, 2, 2, 2, 2, 2, 2, 2};
    for (uint32_t n = 0; n <= 8; n++) {
        horus_tensor t, got;
        uint64_t wire[HORUS_DESCRIPTOR_BYTES / 8] = {0};
        size_t bytes = sizeof wire;
        REQUIRE_OK(horus_tensor_alloc(&t, pool_of(c), HORUS_U16, n, shape, 0));
        memset(t.data, 0x21, 2u << n);
        CHECK_OK(horus_tensor_describe(&t, wire, &bytes));
        CHECK(bytes >= 64 && bytes <= HORUS_DESCRIPTOR_BYTES);
        CHECK(bytes >= 24 + 16 * n);
        CHECK_OK(horus_tensor_from_descriptor(&got, d, wire, bytes));
        CHECK(got.data != t.data && test_is_all(got.data, 0x21, 2u << n));
        CHECK_EQ(got.ndim, n);
        CHECK_EQ(got.dtype, HORUS_U16);
        CHECK(!got.readonly);
        CHECK(memcmp(got.shape, t.shape, sizeof t.shape) == 0);
        CHECK(memcmp(got.strides_bytes, t.strides_bytes, sizeof t.strides_bytes) == 0);
        CHECK_EQ(horus_frame_holders(&t.frame), 2);
        ((uint8_t *)got.data)[0] = 0x22;
        CHECK_EQ(((uint8_t *)t.data)[0], 0x22);
        CHECK_OK(horus_tensor_release(&t)); /* the other holds it now */
        CHECK_EQ(((uint8_t *)got.data)[0], 0x22);
        CHECK_OK(horus_tensor_release(&got));
        for (size_t room = 0; room < 64; room += 7) {
            REQUIRE_OK(horus_tensor_alloc(&t, pool_of(c), HORUS_U16, n, shape, 0));
            bytes = room;
            CHECK_RESULT(horus_tensor_describe(&t, wire, &bytes), HORUS_E_SIZE);
            CHECK_EQ(bytes, 0);
            CHECK_OK(horus_tensor_release(&t));
        }
    }
    check_empty(pool_of(c));
    horus_context_close(d);
    horus_context_close(c);
}

TEST(a_descriptor_of_a_reused_slot_is_refused)
{
    horus_context *c = join(8 * MiB), *d = join(0);
    horus_tensor t, got;
    uint64_t wire[HORUS_DESCRIPTOR_BYTES / 8] = {0};
    size_t bytes = sizeof wire;
    int64_t shape = 100;
    REQUIRE_OK(horus_tensor_alloc(&t, pool_of(c), HORUS_U8, 1, &shape, 0));
    CHECK_OK(horus_tensor_describe(&t, wire, &bytes));
    uint32_t slot = t.frame.slot;
    CHECK_OK(horus_tensor_release(&t));
    REQUIRE_OK(horus_tensor_alloc(&t, pool_of(c), HORUS_U8, 1, &shape, 0));
    CHECK_EQ(t.frame.slot, slot);
    memset(&got, 1, sizeof got);
    CHECK_RESULT(horus_tensor_from_descriptor(&got, d, wire, bytes), HORUS_E_NOT_FOUND);
    CHECK_ZERO(got);
    CHECK_EQ(horus_frame_holders(&t.frame), 1);
    CHECK_OK(horus_tensor_release(&t));
    horus_context_close(d);
    horus_context_close(c);
}

TEST(garbage_descriptors_are_refused_or_harmless)
{
    horus_context *c = join(4 * MiB), *d = join(0);
    horus_tensor t[3];
    uint8_t good[3][HORUS_DESCRIPTOR_BYTES], wire[HORUS_DESCRIPTOR_BYTES];
    size_t bytes[3];
    static const int64_t shapes[3][8] = {{100}, {10, 20, 30}, {2, 2, 2, 2, 2, 2, 2, 2}};
    static const uint32_t ndim[3] = {1, 3, 8};
    uint64_t opened = 0, refused = 0;
    for (int i = 0; i < 3; i++) {
        REQUIRE_OK(horus_tensor_alloc(&t[i], pool_of(c), HORUS_F32, ndim[i], shapes[i], 0));
        bytes[i] = sizeof good[i];
        memset(good[i], 0, sizeof good[i]);
        CHECK_OK(horus_tensor_describe(&t[i], good[i], &bytes[i]));
    }
    horus_pool *p = pool_of(d);
    for (int i = 0; i < TEST_TIMES(100000); i++) {
        int k = i % 3;
        horus_tensor got;
        size_t n = bytes[k];
        memcpy(wire, good[k], sizeof wire);
        for (uint32_t hits = 1 + rng() % 4; hits > 0; hits--) {
            uint64_t word = rng() % 2 ? (uint64_t)rng() << 40 ^ (uint64_t)rng() << 16 ^ rng()
                                      : (uint64_t)1 << rng() % 64;
            size_t at = rng() % sizeof wire;
            if (rng() % 2)
                wire[at] = (uint8_t)word;
            else
                memcpy(wire + at / 8 * 8, &word, 8);
        }
        if (rng() % 16 == 0)
            n = rng() % (sizeof wire + 1);
        horus_result r = horus_tensor_from_descriptor(&got, d, wire, n);
        if (r != HORUS_OK) {
            CHECK(r == HORUS_E_ARG || r == HORUS_E_CORRUPT || r == HORUS_E_NOT_FOUND);
            CHECK_ZERO(got);
            refused++;
            continue;
        }
        opened++;
        const uint8_t *slot = NULL;
        uint64_t room = 0;
        CHECK_OK(horus_frame_data(&got.frame, (void **)&slot, &room));
        CHECK(got.ndim <= 8 && horus_dtype_bytes((horus_dtype)got.dtype) > 0);
        uint64_t last = 0; /* the farthest element lies in the pool's mapping */
        bool none = false;
        for (uint32_t m = 0; m < got.ndim; m++) {
            none |= got.shape[m] == 0;
            CHECK(got.shape[m] >= 0 && got.strides_bytes[m] >= 0);
            if (got.shape[m] > 0)
                last += (uint64_t)(got.shape[m] - 1) * (uint64_t)got.strides_bytes[m];
        }
        CHECK((uint8_t *)got.data >= p->data && (uint8_t *)got.data <= p->base + p->map_bytes);
        if (!none) {
            volatile uint8_t touch = ((uint8_t *)got.data)[0];
            touch = ((uint8_t *)got.data)[last + horus_dtype_bytes((horus_dtype)got.dtype) - 1];
            (void)touch;
            CHECK((uint8_t *)got.data + last + horus_dtype_bytes((horus_dtype)got.dtype) <=
                  p->base + p->map_bytes);
        }
        CHECK_OK(horus_tensor_release(&got));
    }
    CHECK(opened > 100 && refused > 1000);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(horus_frame_holders(&t[i].frame), 1);
        CHECK_OK(horus_tensor_release(&t[i]));
    }
    check_empty(pool_of(c));
    horus_context_close(d);
    horus_context_close(c);
}

/* ---- DLPack */

#ifdef DLPACK_VERSION
#define SAME(ours, theirs, a, b)                                                                   \
    _Static_assert(offsetof(ours, a) == offsetof(theirs, b) &&                                     \
                       sizeof(((ours *)0)->a) == sizeof(((theirs *)0)->b),                         \
                   "DLPack " #b)
_Static_assert(sizeof(horus_dl_device) == sizeof(DLDevice), "DLPack");
_Static_assert(sizeof(horus_dl_dtype) == sizeof(DLDataType), "DLPack");
_Static_assert(sizeof(horus_dl_tensor) == sizeof(DLTensor), "DLPack");
_Static_assert(sizeof(horus_dl_managed) == sizeof(DLManagedTensor), "DLPack");
SAME(horus_dl_device, DLDevice, device_type, device_type);
SAME(horus_dl_device, DLDevice, device_id, device_id);
SAME(horus_dl_dtype, DLDataType, code, code);
SAME(horus_dl_dtype, DLDataType, bits, bits);
SAME(horus_dl_dtype, DLDataType, lanes, lanes);
SAME(horus_dl_tensor, DLTensor, data, data);
SAME(horus_dl_tensor, DLTensor, device, device);
SAME(horus_dl_tensor, DLTensor, ndim, ndim);
SAME(horus_dl_tensor, DLTensor, dtype, dtype);
SAME(horus_dl_tensor, DLTensor, shape, shape);
SAME(horus_dl_tensor, DLTensor, strides, strides);
SAME(horus_dl_tensor, DLTensor, byte_offset, byte_offset);
SAME(horus_dl_managed, DLManagedTensor, dl_tensor, dl_tensor);
SAME(horus_dl_managed, DLManagedTensor, manager_ctx, manager_ctx);
SAME(horus_dl_managed, DLManagedTensor, deleter, deleter);
_Static_assert(kDLInt == 0 && kDLUInt == 1 && kDLFloat == 2 && kDLBfloat == 4, "DLPack codes");
_Static_assert(kDLCPU == 1 && kDLCUDAHost == 3, "DLPack devices");
#ifdef DLPACK_MAJOR_VERSION
SAME(horus_dl_managed_versioned, DLManagedTensorVersioned, major, version.major);
SAME(horus_dl_managed_versioned, DLManagedTensorVersioned, minor, version.minor);
SAME(horus_dl_managed_versioned, DLManagedTensorVersioned, manager_ctx, manager_ctx);
SAME(horus_dl_managed_versioned, DLManagedTensorVersioned, deleter, deleter);
SAME(horus_dl_managed_versioned, DLManagedTensorVersioned, flags, flags);
SAME(horus_dl_managed_versioned, DLManagedTensorVersioned, dl_tensor, dl_tensor);
_Static_assert(DLPACK_FLAG_BITMASK_READ_ONLY == 1, "DLPack flags");
#endif
#endif

static const struct {
    uint8_t code, bits;
} dl_types[] = {{2, 32}, {2, 64}, {2, 16}, {4, 16}, {1, 8},  {1, 16}, {1, 32},
                {1, 64}, {0, 8},  {0, 16}, {0, 32}, {0, 64}, {6, 8}};

TEST(exports_say_what_the_tensor_is)
{
    horus_context *c = join(8 * MiB);
    static const int64_t shape[3] = {4, 5, 6};
    for (int d = 0; d < 13; d++)
        for (uint32_t n = 0; n <= 3; n++) {
            horus_tensor t;
            horus_dl_managed *plain;
            horus_dl_managed_versioned *versioned;
            REQUIRE_OK(horus_tensor_alloc(&t, pool_of(c), (horus_dtype)d, n, shape, 0));
            CHECK_OK(horus_dlpack_export(&plain, &t));
            CHECK_OK(horus_dlpack_export_versioned(&versioned, &t));
            const horus_dl_tensor *const both[] = {&plain->dl_tensor, &versioned->dl_tensor};
            for (int k = 0; k < 2; k++) {
                const horus_dl_tensor *x = both[k];
                CHECK((uint8_t *)x->data + x->byte_offset == (uint8_t *)t.data);
                CHECK_EQ(x->device.device_type, 1);
                CHECK_EQ(x->device.device_id, 0);
                CHECK_EQ(x->ndim, n);
                CHECK_EQ(x->dtype.code, dl_types[d].code);
                CHECK_EQ(x->dtype.bits, dl_types[d].bits);
                CHECK_EQ(x->dtype.lanes, 1);
                for (uint32_t i = 0; i < n; i++) {
                    CHECK_EQ(x->shape[i], t.shape[i]);
                    CHECK_EQ(x->strides[i] * (int64_t)horus_dtype_bytes((horus_dtype)d),
                             t.strides_bytes[i]);
                }
            }
            CHECK_EQ(versioned->major, 1);
            CHECK_EQ(versioned->flags, 0);
            plain->deleter(plain);
            versioned->deleter(versioned);
            CHECK_OK(horus_tensor_release(&t));
        }
    check_empty(pool_of(c));
    horus_context_close(c);
}

TEST(an_empty_tensor_is_exported_without_data)
{
    horus_context *c = join(8 * MiB);
    static const int64_t shape[2] = {3, 0};
    horus_tensor t, back;
    horus_dl_managed *plain;
    horus_dl_managed_versioned *versioned;
    REQUIRE_OK(horus_tensor_alloc(&t, pool_of(c), HORUS_F32, 2, shape, 0));
    REQUIRE_OK(horus_dlpack_export(&plain, &t));
    REQUIRE_OK(horus_dlpack_export_versioned(&versioned, &t));
    CHECK(plain->dl_tensor.data == NULL && versioned->dl_tensor.data == NULL);
    CHECK(plain->dl_tensor.strides != NULL && versioned->dl_tensor.strides != NULL);
    REQUIRE_OK(horus_dlpack_import(&back, &plain->dl_tensor, pool_of(c)));
    CHECK(back.shape[0] == 3 && back.shape[1] == 0);
    plain->deleter(plain);
    versioned->deleter(versioned);
    CHECK_OK(horus_tensor_release(&back));
    CHECK_OK(horus_tensor_release(&t));
    check_empty(pool_of(c));
    horus_context_close(c);
}

static void *delete_there(void *arg)
{
    horus_dl_managed_versioned *m = arg;
    m->deleter(m);
    return NULL;
}
TEST(own_memory_is_exported_as_it_is)
{
    static float numbers[6] = {1, 2, 3, 4, 5, 6};
    horus_tensor t = {.data = numbers, .shape = {2, 3}, .strides_bytes = {12, 4}, .ndim = 2};
    horus_dl_managed *plain;
    horus_dl_managed_versioned *versioned;
    REQUIRE_OK(horus_dlpack_export(&plain, &t));
    REQUIRE_OK(horus_dlpack_export_versioned(&versioned, &t));
    CHECK(plain->dl_tensor.data == numbers && versioned->dl_tensor.data == numbers);
    CHECK_EQ(versioned->flags, 0);
    void (*delete_plain)(horus_dl_managed *) = plain->deleter;
    void (*delete_versioned)(horus_dl_managed_versioned *) = versioned->deleter;
    delete_plain(plain);
    delete_versioned(versioned);
    delete_plain(NULL); /* as free() takes it */
    delete_versioned(NULL);
    t.readonly = true;
    REQUIRE_OK(horus_dlpack_export_versioned(&versioned, &t));
    CHECK_EQ(versioned->flags, 1);
    versioned->deleter(versioned);
    CHECK_RESULT(horus_dlpack_export(&plain, &t), HORUS_E_READONLY);
    CHECK(numbers[0] == 1 && numbers[5] == 6);
}

TEST(an_export_keeps_its_frame_until_its_deleter_runs_on_any_thread)
{
    horus_context *c = join(8 * MiB);
    horus_topic *topic = open_in(c, "t", (horus_topic_desc){.capacity = 2});
    horus_tensor t, got, other;
    horus_dl_managed_versioned *m;
    int64_t shape = 1000;
    pthread_t thread;
    REQUIRE_OK(horus_tensor_alloc(&t, pool_of(c), HORUS_U8, 1, &shape, 0));
    memset(t.data, 0x66, 1000);
    CHECK_OK(horus_topic_send_tensor(topic, &t, 0));
    CHECK_OK(horus_tensor_release(&t));
    REQUIRE_OK(horus_topic_receive_tensor(topic, &got, NULL, 0));
    REQUIRE_OK(horus_dlpack_export_versioned(&m, &got));
    CHECK_EQ(m->flags & 1, 1); /* read only */
    CHECK_OK(horus_tensor_release(&got));
    for (int i = 0; i < 100; i++) { /* the ring has long forgotten it */
        REQUIRE_OK(horus_tensor_alloc(&other, pool_of(c), HORUS_U8, 1, &shape, HORUS_UNINIT));
        memset(other.data, i, 1000);
        CHECK_OK(horus_topic_send_tensor(topic, &other, 0));
        CHECK_OK(horus_tensor_release(&other));
    }
    CHECK(test_is_all(m->dl_tensor.data, 0x66, 1000));
    uint32_t used = stats_of(pool_of(c)).used_slots;
    REQUIRE(pthread_create(&thread, NULL, delete_there, m) == 0);
    (void)pthread_join(thread, NULL);
    CHECK_EQ(stats_of(pool_of(c)).used_slots, used - 1);
    horus_topic_close(topic);
    horus_context_close(c);
}

TEST(imports_copy_any_host_tensor)
{
    horus_context *c = private_context();
    static const int64_t shape[2] = {3, 4};
    for (int d = 0; d < 13; d++) {
        horus_tensor t, back;
        horus_dl_managed *m;
        size_t bytes = horus_dtype_bytes((horus_dtype)d);
        REQUIRE_OK(horus_tensor_alloc(&t, pool_of(c), (horus_dtype)d, 2, shape, 0));
        for (size_t i = 0; i < 12 * bytes; i++)
            ((uint8_t *)t.data)[i] = (uint8_t)rng();
        REQUIRE_OK(horus_dlpack_export(&m, &t));
        REQUIRE_OK(horus_dlpack_import(&back, &m->dl_tensor, pool_of(c)));
        CHECK(back.data != t.data);
        CHECK_EQ(back.dtype, d);
        CHECK(memcmp(back.data, t.data, 12 * bytes) == 0);
        CHECK_OK(horus_tensor_release(&back));
        m->dl_tensor.strides = NULL; /* dense */
        REQUIRE_OK(horus_dlpack_import(&back, &m->dl_tensor, pool_of(c)));
        CHECK(memcmp(back.data, t.data, 12 * bytes) == 0);
        CHECK_OK(horus_tensor_release(&back));
        m->deleter(m);
        CHECK_OK(horus_tensor_release(&t));
    }
    int32_t numbers[24];
    int64_t dims[2] = {4, 3}, strides[2] = {-6, 2};
    horus_dl_tensor x;
    horus_tensor got;
    for (int i = 0; i < 24; i++)
        numbers[i] = i;
    memset(&x, 0, sizeof x);
    x.data = numbers;
    x.byte_offset = 18 * 4;
    x.device.device_type = 1;
    x.ndim = 2;
    x.dtype = (horus_dl_dtype){0, 32, 1};
    x.shape = dims;
    x.strides = strides;
    REQUIRE_OK(horus_dlpack_import(&got, &x, pool_of(c)));
    CHECK(horus_tensor_is_contiguous(&got));
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 3; k++)
            CHECK_EQ(((int32_t *)got.data)[i * 3 + k], 18 - 6 * i + 2 * k);
    CHECK_OK(horus_tensor_release(&got));
    x.device.device_type = 3; /* pinned host memory */
    x.ndim = 0;
    REQUIRE_OK(horus_dlpack_import(&got, &x, pool_of(c)));
    CHECK_EQ(*(int32_t *)got.data, 18);
    CHECK_OK(horus_tensor_release(&got));
    dims[0] = 0; /* nothing at all, at no address */
    x.ndim = 2;
    x.data = NULL;
    x.byte_offset = 0;
    REQUIRE_OK(horus_dlpack_import(&got, &x, pool_of(c)));
    CHECK_EQ(horus_tensor_numel(&got), 0);
    CHECK_EQ(got.shape[1], 3);
    CHECK_OK(horus_tensor_release(&got));
    check_empty(pool_of(c));
    horus_context_close(c);
}

TEST(imports_refuse_what_they_cannot_copy)
{
    horus_context *c = private_context();
    int32_t numbers[24] = {0};
    int64_t dims[9] = {2, 3, 1, 1, 1, 1, 1, 1, 1}, strides[9] = {3, 1, 1, 1, 1, 1, 1, 1, 1};
    horus_dl_tensor good, x;
    horus_tensor got;
    memset(&good, 0, sizeof good);
    good.data = numbers;
    good.device.device_type = 1;
    good.ndim = 2;
    good.dtype = (horus_dl_dtype){0, 32, 1};
    good.shape = dims;
    good.strides = strides;
#define REFUSES(change, want)                                                                      \
    do {                                                                                           \
        x = good;                                                                                  \
        change;                                                                                    \
        memset(&got, 1, sizeof got);                                                               \
        CHECK_RESULT(horus_dlpack_import(&got, &x, pool_of(c)), want);                             \
        CHECK_ZERO(got);                                                                           \
    } while (0)
    REFUSES(x.device.device_type = 2, HORUS_E_UNSUPPORTED);
    REFUSES(x.device.device_type = 0, HORUS_E_UNSUPPORTED);
    REFUSES(x.device.device_type = -1, HORUS_E_UNSUPPORTED);
    REFUSES(x.dtype.lanes = 4, HORUS_E_UNSUPPORTED);
    REFUSES(x.dtype.lanes = 0, HORUS_E_UNSUPPORTED);
    REFUSES(x.dtype.bits = 4, HORUS_E_UNSUPPORTED);
    REFUSES(x.dtype.code = 5, HORUS_E_UNSUPPORTED); /* complex */
    REFUSES(x.dtype.code = 200, HORUS_E_UNSUPPORTED);
    REFUSES((x.dtype.code = 1, x.dtype.bits = 1), HORUS_E_UNSUPPORTED);
    REFUSES(x.ndim = 9, HORUS_E_UNSUPPORTED);
    REFUSES(x.ndim = INT32_MAX, HORUS_E_UNSUPPORTED);
    REFUSES(x.ndim = -1, HORUS_E_ARG);
    REFUSES(x.ndim = INT32_MIN, HORUS_E_ARG);
    REFUSES(x.shape = NULL, HORUS_E_ARG);
    REFUSES(x.data = NULL, HORUS_E_ARG);
    static int64_t negative[2] = {-2, 3}, huge[2] = {INT64_MAX, 3}, wide[2] = {INT64_MAX, 1},
                   low[2] = {INT64_MIN, 1}, large[2] = {1 << 20, 1 << 20};
    REFUSES(x.shape = negative, HORUS_E_SIZE);
    REFUSES(x.shape = huge, HORUS_E_SIZE);
    REFUSES(x.shape = large, HORUS_E_SIZE);
    REFUSES(x.strides = wide, HORUS_E_SIZE);
    REFUSES(x.strides = low, HORUS_E_SIZE);
    static int64_t none[2] = {0, 3}; /* not even for no elements */
    REFUSES((x.shape = none, x.byte_offset = UINT64_MAX), HORUS_E_SIZE);
    CHECK_RESULT(horus_dlpack_import(&got, NULL, pool_of(c)), HORUS_E_ARG);
    CHECK_RESULT(horus_dlpack_import(NULL, &good, pool_of(c)), HORUS_E_ARG);
    check_empty(pool_of(c));
    horus_context_close(c);
}

/* ---- pictures */

#ifdef HAVE_STB
static char picture_dir[] = "/tmp/horus-test-XXXXXX";
static const char *picture(const char *suffix)
{
    static char path[80];
    (void)snprintf(path, sizeof path, "%s/p.%s", picture_dir, suffix);
    return path;
}
static void pictures_begin(void) { REQUIRE(mkdtemp(picture_dir)); }
static void pictures_end(void)
{
    static const char *const suffix[] = {"png", "bmp", "tga", "jpg", "JPEG", "PNG"};
    for (size_t i = 0; i < sizeof suffix / sizeof suffix[0]; i++)
        (void)unlink(picture(suffix[i]));
    CHECK(rmdir(picture_dir) == 0);
}
/* Writes the image and reads it back with so many channels. */
static uint8_t *written(const horus_image *m, const char *suffix, int channels)
{
    int w = 0, h = 0, n = 0;
    REQUIRE_OK(horus_image_write(m, picture(suffix)));
    uint8_t *p = stbi_load(picture(suffix), &w, &h, &n, channels);
    REQUIRE(p != NULL);
    CHECK_EQ(w, m->width_px);
    CHECK_EQ(h, m->height_px);
    return p;
}

TEST(pictures_of_8_bit_images_show_their_pixels)
{
    static const char *const suffix[] = {"png", "bmp", "tga", "jpg"};
    horus_context *c = private_context();
    pictures_begin();
    for (int i = 0; i < KINDS; i++) {
        const kind_of *k = &kinds[i];
        if (k->dtype != HORUS_U8 || k->encoding == HORUS_YUV422)
            continue;
        horus_image m = image(c, 16, 8, k->encoding);
        for (uint32_t y = 0; y < 8; y++)
            for (uint32_t x = 0; x < 16; x++) { /* flat areas: JPEG can do those */
                double v[4] = {x < 8 ? 200.0 : 40.0, y < 4 ? 90.0 : 160.0, 20, 255};
                CHECK_OK(horus_image_set_pixel(&m, x, y, v, k->channels));
            }
        for (int s = 0; s < (TEST_UNDEFINED_SANITIZED ? 3 : 4); s++) { /* stb's JPEG shifts ints */
            int wrong = 0;
            uint8_t *p = written(&m, suffix[s], 3);
            for (uint32_t y = 0; y < 8; y++)
                for (uint32_t x = 0; x < 16; x++) {
                    int a = x < 8 ? 200 : 40, b = y < 4 ? 90 : 160, d = 20, red = a, green = b,
                        blue = d;
                    if (k->channels == 1)
                        green = blue = red;
                    if (k->encoding == HORUS_BGR8 || k->encoding == HORUS_BGRA8) {
                        red = d;
                        blue = a;
                    }
                    const uint8_t *at = p + (y * 16 + x) * 3;
                    int slack = s == 3 ? 60 : 0;
                    wrong += abs(at[0] - red) > slack || abs(at[1] - green) > slack ||
                             abs(at[2] - blue) > slack;
                }
            if (!CHECK_EQ(wrong, 0))
                test_failed(__FILE__, __LINE__, "%s as %s", k->name, suffix[s]);
            stbi_image_free(p);
        }
        if (k->channels == 4) { /* alpha stays where the format has it */
            uint8_t *p = written(&m, "png", 4);
            CHECK_EQ(p[3], 255);
            double v[4] = {1, 2, 3, 77};
            CHECK_OK(horus_image_set_pixel(&m, 0, 0, v, 4));
            stbi_image_free(p);
            p = written(&m, "png", 4);
            CHECK_EQ(p[3], 77);
            stbi_image_free(p);
        }
        CHECK_OK(horus_image_release(&m));
    }
    pictures_end();
    horus_context_close(c);
}

TEST(pictures_of_padded_rows_leave_the_padding_out)
{
    static uint8_t pixels[20 * 10];
    horus_image m;
    pictures_begin();
    memset(pixels, 255, sizeof pixels);
    REQUIRE_OK(horus_image_wrap(&m, pixels, 7, 10, 20, HORUS_MONO8));
    double v = 3;
    CHECK_OK(horus_image_fill(&m, &v, 1));
    uint8_t *p = written(&m, "png", 1);
    CHECK(test_is_all(p, 3, 70));
    stbi_image_free(p);
    pictures_end();
}

TEST(pictures_of_16_bit_and_float_images_span_their_range)
{
    static const horus_encoding encodings[] = {HORUS_MONO16, HORUS_MONO32F, HORUS_RGB32F};
    horus_context *c = private_context();
    pictures_begin();
    for (int i = 0; i < 3; i++) {
        horus_image m = image(c, 64, 2, encodings[i]);
        uint32_t ch = m.channels;
        for (uint32_t x = 0; x < 64; x++)
            for (uint32_t y = 0; y < 2; y++) {
                double n = 100 + x * 10.0, v[3] = {n, n, n};
                CHECK_OK(horus_image_set_pixel(&m, x, y, v, ch));
            }
        uint8_t *p = written(&m, "png", 1);
        CHECK_EQ(p[0], 0);
        CHECK_EQ(p[63], 255);
        for (int x = 1; x < 64; x++)
            CHECK(p[x] > p[x - 1]);
        stbi_image_free(p);
        double same[3] = {500, 500, 500}; /* no range at all */
        CHECK_OK(horus_image_fill(&m, same, ch));
        p = written(&m, "png", 1);
        CHECK(test_is_all(p, p[0], 128));
        stbi_image_free(p);
        CHECK_OK(horus_image_release(&m));
    }
    horus_image m = image(c, 4, 1, HORUS_MONO32F); /* 0 to 1 is the usual range of floats */
    float *f = m.data;
    f[0] = 0.25f;
    f[1] = 0.5f;
    f[2] = NAN;
    f[3] = INFINITY;
    uint8_t *p = written(&m, "png", 1);
    CHECK_EQ(p[0], 64);
    CHECK_EQ(p[1], 128);
    CHECK_EQ(p[2], 0);
    CHECK_EQ(p[3], 0);
    stbi_image_free(p);
    f[0] = 0.5f; /* the highest first, and one below 0: no usual range */
    f[1] = 0;
    f[2] = -0.5f;
    f[3] = -0.25f;
    p = written(&m, "png", 1);
    CHECK_EQ(p[0], 255);
    CHECK_EQ(p[1], 128);
    CHECK_EQ(p[2], 0);
    CHECK_EQ(p[3], 64);
    stbi_image_free(p);
    for (int x = 0; x < 4; x++)
        f[x] = NAN;
    p = written(&m, "png", 1);
    CHECK(test_is_all(p, 0, 4));
    stbi_image_free(p);
    CHECK_OK(horus_image_release(&m));
    pictures_end();
    horus_context_close(c);
}

TEST(pictures_of_yuv_are_converted)
{
    static const struct {
        uint8_t y, u, v;
        int rgb[3];
    } colours[] = {{16, 128, 128, {0, 0, 0}},        {235, 128, 128, {255, 255, 255}},
                   {126, 128, 128, {128, 128, 128}}, {81, 90, 240, {254, 0, 0}},
                   {145, 54, 34, {0, 255, 1}},       {41, 240, 110, {0, 0, 255}}};
    horus_context *c = private_context();
    pictures_begin();
    for (size_t i = 0; i < sizeof colours / sizeof colours[0]; i++)
        for (uint32_t w = 1; w <= 8; w += 7) {
            horus_image m = image(c, w, 2, HORUS_YUV422);
            for (uint32_t x = 0; x < w; x++)
                for (uint32_t y = 0; y < 2; y++) {
                    double v[2] = {colours[i].y, x % 2 ? colours[i].v : colours[i].u};
                    CHECK_OK(horus_image_set_pixel(&m, x, y, v, 2));
                }
            uint8_t *p = written(&m, "png", 3);
            for (uint32_t x = 0; x < w / 2 * 2; x++) /* an odd last column has no second chroma */
                for (int k = 0; k < 3; k++)
                    CHECK(abs(p[x * 3 + (uint32_t)k] - colours[i].rgb[k]) <= 4);
            stbi_image_free(p);
            CHECK_OK(horus_image_release(&m));
        }
    pictures_end();
    horus_context_close(c);
}

TEST(pictures_of_depth_show_near_as_bright_and_nothing_as_black)
{
    horus_context *c = private_context();
    pictures_begin();
    for (int k = 0; k < 3; k++) {
        horus_depth d;
        horus_image m;
        uint8_t *p;
        int w, h, n;
        if (k < 2) {
            REQUIRE_OK(horus_depth_alloc(&d, pool_of(c), 6, 1, k ? HORUS_F32 : HORUS_U16, 0));
            for (uint32_t x = 1; x < 6; x++)
                CHECK_OK(horus_depth_set(&d, x, 0, x));
            REQUIRE_OK(horus_depth_write(&d, picture("png")));
            p = stbi_load(picture("png"), &w, &h, &n, 1);
            REQUIRE(p != NULL);
            CHECK_OK(horus_depth_release(&d));
        } else {
            m = image(c, 6, 1, HORUS_DEPTH16);
            for (uint32_t x = 1; x < 6; x++)
                CHECK_OK(horus_image_set_pixel(&m, x, 0, &(double){x * 1000}, 1));
            p = written(&m, "png", 1);
            CHECK_OK(horus_image_release(&m));
        }
        CHECK_EQ(p[0], 0);
        CHECK_EQ(p[1], 255);
        for (int x = 2; x < 6; x++)
            CHECK(p[x] < p[x - 1] && p[x] > 0); /* far is dark, not black */
        stbi_image_free(p);
    }
    /* one depth everywhere has no range: all of it is near */
    horus_depth flat;
    int w, h, n;
    REQUIRE_OK(horus_depth_alloc(&flat, pool_of(c), 2, 1, HORUS_F32, 0));
    CHECK_OK(horus_depth_set(&flat, 0, 0, 3));
    REQUIRE_OK(horus_depth_write(&flat, picture("png")));
    uint8_t *p = stbi_load(picture("png"), &w, &h, &n, 1);
    REQUIRE(p != NULL);
    CHECK_EQ(p[0], 255);
    CHECK_EQ(p[1], 0);
    stbi_image_free(p);
    CHECK_OK(horus_depth_release(&flat));
    pictures_end();
    horus_context_close(c);
}

TEST(a_picture_that_cannot_be_written_says_why)
{
    horus_context *c = private_context();
    horus_image m = image(c, 4, 4, HORUS_RGB8);
    pictures_begin();
    CHECK_OK(horus_image_write(&m, picture("PNG")));
    if (!TEST_UNDEFINED_SANITIZED)
        CHECK_OK(horus_image_write(&m, picture("JPEG")));
    static const char *const wrong[] = {"gif", "", "pn", "pngx", "png "};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        CHECK_RESULT(horus_image_write(&m, picture(wrong[i])), HORUS_E_ARG);
        CHECK_TEXT(horus_last_error(), "png");
    }
    CHECK_RESULT(horus_image_write(&m, "no suffix"), HORUS_E_ARG);
    CHECK_RESULT(horus_image_write(&m, ""), HORUS_E_ARG);
    CHECK_RESULT(horus_image_write(&m, NULL), HORUS_E_ARG);
    CHECK_RESULT(horus_image_write(&m, "/nonexistent/dir/p.png"), HORUS_E_SYSTEM);
    CHECK_TEXT(horus_last_error(), "/nonexistent/dir/p.png");
    CHECK_RESULT(horus_image_write(&m, "/nonexistent/dir/p.jpg"), HORUS_E_SYSTEM);
    horus_image huge = m; /* nothing of it is read */
    huge.frame.pool = NULL;
    huge.width_px = huge.height_px = 40000;
    huge.stride_bytes = 120000;
    CHECK_RESULT(horus_image_write(&huge, picture("png")), HORUS_E_SIZE);
    CHECK_TEXT(horus_last_error(), "2 GiB");
    CHECK_OK(horus_image_release(&m));
    pictures_end();
    horus_context_close(c);
}
#else
TEST(pictures_without_stb_say_what_to_install)
{
    static uint8_t pixels[16];
    horus_image m;
    REQUIRE_OK(horus_image_wrap(&m, pixels, 4, 4, 4, HORUS_MONO8));
    CHECK_RESULT(horus_image_write(&m, "/tmp/never.png"), HORUS_E_UNSUPPORTED);
    CHECK_TEXT(horus_last_error(), "libstb-dev");
}
#endif
