/* Vision: images to tensors, softmax and top-k, boxes and their suppression; each against a slow and
 * plain reference in doubles. SEED=n: the random cases once more. */
#define HORUS_IMPLEMENTATION
#include "../horus.h"
#include "test.h"
#include <math.h>

static horus_context *private_context(void)
{
    return join_desc((horus_context_desc){.flags = HORUS_PRIVATE, .pool_bytes = 64 * MiB});
}
static void seed_random(void)
{
    const char *given = getenv("SEED");
    rng_state = given ? strtoull(given, NULL, 10) : horus_now_ns();
    printf("SEED=%llu\n", (unsigned long long)rng_state);
}
static uint32_t below(uint32_t n) { return rng() % n; }
static double absolute(double v) { return v < 0 ? -v : v; }
static bool near(const char *file, int line, double got, double want, double most)
{
    return absolute(got - want) <= most ||
           test_failed(file, line, "%.9g, not %.9g (at most %g off)", got, want, most);
}
#define CHECK_NEAR(got, want, most) near(__FILE__, __LINE__, got, want, most)

static bool is_colour(uint32_t encoding)
{
    return encoding != HORUS_MONO8 && encoding != HORUS_MONO16 && encoding != HORUS_MONO32F &&
           encoding != HORUS_DEPTH16;
}
static double white_of(uint32_t encoding)
{
    switch (encoding) {
    case HORUS_MONO16:
    case HORUS_DEPTH16:
        return 65535;
    case HORUS_MONO32F:
    case HORUS_RGB32F:
        return 1;
    default:
        return 255;
    }
}
static horus_image image_of(horus_pool *p, uint32_t w, uint32_t h, horus_encoding e)
{
    horus_image m;
    REQUIRE_OK(horus_image_alloc(&m, p, w, h, e, 0));
    for (uint64_t i = 0; i < (uint64_t)m.stride_bytes * h / m.elem_bytes; i++) {
        float f = (float)below(1000) / 999;
        if (m.elem_bytes == 4)
            memcpy((uint8_t *)m.data + 4 * i, &f, 4);
        else
            memset((uint8_t *)m.data + i * m.elem_bytes, (int)below(256), m.elem_bytes);
        if (m.elem_bytes == 2)
            ((uint8_t *)m.data)[2 * i] = (uint8_t)below(256);
    }
    return m;
}
static float element(const horus_tensor *t, uint64_t i)
{
    float f;
    REQUIRE(t->dtype == HORUS_F32);
    memcpy(&f, (const uint8_t *)t->data + 4 * i, 4);
    return f;
}

/* ---- the reference */

static double whole(double v) { return (double)(long long)v; } /* of what is not negative */
static double clamp(double v, double low, double high)
{
    return v < low ? low : v > high ? high : v;
}

/* Red (0), green, or blue of a pixel; of mono and depth the value. */
static double colour(const horus_image *m, uint32_t x, uint32_t y, uint32_t c)
{
    double v[4] = {0}, pair[2] = {0};
    REQUIRE_OK(horus_image_pixel(m, x, y, v, m->channels));
    if (m->encoding == HORUS_YUV422) {
        double other = 128;
        (void)horus_image_pixel(m, x & ~1u, y, pair, 2);
        if ((x | 1) < m->width_px) {
            double odd[2];
            (void)horus_image_pixel(m, x | 1, y, odd, 2);
            other = odd[1];
        }
        double luma = 1.164383 * (v[0] > 16 ? v[0] - 16 : 0), u = pair[1] - 128, r = other - 128;
        double rgb[3] = {luma + 1.596027 * r, luma - 0.391762 * u - 0.812968 * r,
                         luma + 2.017232 * u};
        return whole(clamp(rgb[c], 0, 255) + 0.5);
    }
    if (m->encoding == HORUS_BGR8 || m->encoding == HORUS_BGRA8)
        return v[2 - c];
    return m->channels == 1 ? v[0] : v[c];
}
typedef struct side {
    double to, at; /* px of the scaled side, and where it begins */
} side;
/* Where a centre of the tensor lies between the centres of the image. */
static double place(const side *s, uint32_t from, uint32_t x, uint32_t *lo, uint32_t *hi)
{
    double at = clamp((x - s->at + 0.5) * from / s->to - 0.5, 0, from - 1);
    *lo = (uint32_t)at;
    *hi = *lo + 1 < from ? *lo + 1 : *lo;
    return at - *lo;
}
static double rounded(double v)
{
    double n = whole(v + 0.5);
    return n < 1 ? 1 : n;
}
static double half_of(double v) { return v < 0 ? -whole(-v / 2) : whole(v / 2); }
typedef struct reference {
    side x, y;
} reference;
static reference reference_of(const horus_image *m, uint32_t w, uint32_t h, horus_fit fit)
{
    double iw = m->width_px, ih = m->height_px;
    reference r = {{w, 0}, {h, 0}};
    if (fit == HORUS_LETTERBOX ? iw * h >= ih * w : iw * h < ih * w)
        r.y.to = rounded(ih * w / iw);
    else
        r.x.to = rounded(iw * h / ih);
    if (fit == HORUS_STRETCH)
        r = (reference){{w, 0}, {h, 0}};
    r.x.at = half_of(w - r.x.to);
    r.y.at = half_of(h - r.y.to);
    return r;
}
/* Channel c of the tensor at (x, y), before scale, mean and std; pad if no pixel is there. */
static double expected(const horus_image *m, const reference *r, uint32_t channels, bool bgr,
                       double pad, uint32_t c, uint32_t x, uint32_t y)
{
    static const double luma[3] = {0.299, 0.587, 0.114};
    if (x < r->x.at || x >= r->x.at + r->x.to || y < r->y.at || y >= r->y.at + r->y.to)
        return pad;
    uint32_t x0, x1, y0, y1;
    double fx = place(&r->x, m->width_px, x, &x0, &x1);
    double fy = place(&r->y, m->height_px, y, &y0, &y1), sum = 0;
    bool grey = channels == 1 && is_colour(m->encoding);
    for (uint32_t k = grey ? 0 : bgr ? 2 - c : c, end = grey ? 3 : k + 1; k < end; k++)
        sum += (grey ? luma[k] : 1) *
               ((colour(m, x0, y0, k) * (1 - fx) + colour(m, x1, y0, k) * fx) * (1 - fy) +
                (colour(m, x0, y1, k) * (1 - fx) + colour(m, x1, y1, k) * fx) * fy);
    return sum;
}
static float from_half(uint16_t h)
{
    double v = (h & 0x3ff) / 1024.0;
    int e = h >> 10 & 31;
    v = e ? 1 + v : v * 2;
    for (int i = e ? e : 0; i < 15; i++)
        v /= 2;
    for (int i = 15; i < e; i++)
        v *= 2;
    return (float)(h & 0x8000 ? -v : v);
}
/* Compares every element of a preprocessed tensor. */
static void check_all(const horus_image *m, const horus_tensor *t, const horus_preprocess_desc *d,
                      double tolerance)
{
    bool last = d->flags & HORUS_LAYOUT_NHWC;
    const int64_t *shape = t->shape + t->ndim - 3;
    uint32_t channels = (uint32_t)shape[last ? 2 : 0], h = (uint32_t)shape[last ? 0 : 1],
             w = (uint32_t)shape[last ? 1 : 2], wrong = 0;
    reference r = reference_of(m, w, h, d->fit);
    double white = white_of(m->encoding), depth = m->encoding == HORUS_DEPTH16;
    double scale = d->scale < 0 || d->scale > 0 ? d->scale : depth > 0 ? 0.001 : 1 / white;
    if (!(d->scale < 0 || d->scale > 0) && t->dtype == HORUS_U8)
        scale *= 255;
    double pad = d->pad < 0 ? 0 : d->pad > 0 ? d->pad : depth > 0 ? 0 : white * 114 / 255;
    for (uint32_t c = 0; c < channels; c++)
        for (uint32_t y = 0; y < h; y++)
            for (uint32_t x = 0; x < w && wrong < 4; x++) {
                double want = expected(m, &r, channels, d->flags & HORUS_ORDER_BGR, pad, c, x, y);
                double std = d->std[c] < 0 || d->std[c] > 0 ? d->std[c] : 1, got;
                want = (want * scale - d->mean[c]) / std;
                uint64_t i =
                    last ? ((uint64_t)y * w + x) * channels + c : ((uint64_t)c * h + y) * w + x;
                double most = tolerance * (absolute(want) + absolute(white * scale / std));
                if (t->dtype == HORUS_U8) {
                    got = ((const uint8_t *)t->data)[i];
                    want = clamp(want, 0, 255);
                    most += 0.5;
                } else if (t->dtype == HORUS_F16) {
                    uint16_t half;
                    memcpy(&half, (const uint8_t *)t->data + 2 * i, 2);
                    got = (double)from_half(half);
                    most += absolute(want) / 2048 + 1e-7;
                } else {
                    got = (double)element(t, i);
                }
                if (!CHECK_NEAR(got, want, most)) {
                    printf("%s %u x %u to %u x %u x %u, fit %d, flags %u, dtype %u: channel %u at "
                           "%u, %u\n",
                           horus_encoding_name((horus_encoding)m->encoding), m->width_px,
                           m->height_px, channels, w, h, d->fit, d->flags, t->dtype, c, x, y);
                    wrong++;
                }
            }
}

/* ---- images to tensors */

TEST(pixels_are_mixed_between_their_centres)
{
    uint8_t pixels[4] = {0, 255, 40, 80};
    horus_image m;
    float to[16];
    horus_tensor t = {.data = to, .ndim = 3, .shape = {1, 1, 4}, .strides_bytes = {16, 16, 4}};
    horus_preprocess_desc d = {.fit = HORUS_STRETCH, .scale = 1};
    REQUIRE_OK(horus_image_wrap(&m, pixels, 2, 1, 2, HORUS_MONO8));
    REQUIRE_OK(horus_image_preprocess_into(&t, &m, &d, NULL));
    CHECK(to[0] == 0 && to[1] == 63.75f && to[2] == 191.25f && to[3] == 255);
    /* 4 to 2: halfway between two pixels */
    t.shape[2] = 2;
    REQUIRE_OK(horus_image_wrap(&m, pixels, 4, 1, 4, HORUS_MONO8));
    REQUIRE_OK(horus_image_preprocess_into(&t, &m, &d, NULL));
    CHECK(to[0] == 127.5f && to[1] == 60);
    /* 3 to 1: the one in the middle, nothing of the others */
    t.shape[2] = 1;
    REQUIRE_OK(horus_image_wrap(&m, pixels, 3, 1, 4, HORUS_MONO8));
    REQUIRE_OK(horus_image_preprocess_into(&t, &m, &d, NULL));
    CHECK(to[0] == 255);
    /* both directions: 2 x 2 to 4 x 4 */
    t = (horus_tensor){.data = to, .ndim = 3, .shape = {1, 4, 4}, .strides_bytes = {64, 16, 4}};
    REQUIRE_OK(horus_image_wrap(&m, pixels, 2, 2, 2, HORUS_MONO8));
    REQUIRE_OK(horus_image_preprocess_into(&t, &m, &d, NULL));
    CHECK(to[0] == 0 && to[3] == 255 && to[12] == 40 && to[15] == 80);
    CHECK(to[5] == (0 * 9 + 255 * 3 + 40 * 3 + 80) / 16.f);
    CHECK(to[10] == (0 + 255 * 3 + 40 * 3 + 80 * 9) / 16.f);
}

TEST(colours_come_in_the_order_that_is_asked_for)
{
    static const struct {
        horus_encoding encoding;
        uint8_t pixel[4];
    } kinds[] = {{HORUS_RGB8, {10, 20, 30, 0}},
                 {HORUS_BGR8, {30, 20, 10, 0}},
                 {HORUS_RGBA8, {10, 20, 30, 99}},
                 {HORUS_BGRA8, {30, 20, 10, 99}}};
    for (size_t k = 0; k < 4; k++) {
        uint8_t pixel[4];
        horus_image m;
        float to[3];
        horus_tensor t = {.data = to, .ndim = 3, .shape = {3, 1, 1}, .strides_bytes = {4, 4, 4}};
        horus_preprocess_desc d = {.scale = 1};
        memcpy(pixel, kinds[k].pixel, 4);
        REQUIRE_OK(horus_image_wrap(&m, pixel, 1, 1, 4, kinds[k].encoding));
        REQUIRE_OK(horus_image_preprocess_into(&t, &m, &d, NULL));
        CHECK(to[0] == 10 && to[1] == 20 && to[2] == 30);
        d.flags = HORUS_ORDER_BGR;
        REQUIRE_OK(horus_image_preprocess_into(&t, &m, &d, NULL));
        CHECK(to[0] == 30 && to[1] == 20 && to[2] == 10);
        /* (value * scale - mean) / std, by channel of the tensor */
        d = (horus_preprocess_desc){.scale = 0.5f, .mean = {1, 2, 3}, .std = {2, 4, -8}};
        REQUIRE_OK(horus_image_preprocess_into(&t, &m, &d, NULL));
        CHECK(to[0] == 2 && to[1] == 2 && to[2] == -1.5f);
        d.flags = HORUS_ORDER_BGR;
        REQUIRE_OK(horus_image_preprocess_into(&t, &m, &d, NULL));
        CHECK(to[0] == 7 && to[1] == 2 && to[2] == -0.25f);
        d = (horus_preprocess_desc){.scale = -1};
        REQUIRE_OK(horus_image_preprocess_into(&t, &m, &d, NULL));
        CHECK(to[0] == -10 && to[1] == -20 && to[2] == -30);
        /* grey */
        t.shape[0] = 1;
        REQUIRE_OK(horus_image_preprocess_into(&t, &m, &(horus_preprocess_desc){.scale = 1}, NULL));
        CHECK_NEAR((double)to[0], 0.299 * 10 + 0.587 * 20 + 0.114 * 30, 1e-5);
    }
}

TEST(yuv_becomes_rgb)
{
    /* black, white, and a red of 4:2:2, then an odd last pixel */
    uint8_t row[10] = {16, 128, 235, 128, 81, 90, 81, 240, 235, 128};
    horus_image m;
    float to[15];
    horus_tensor t = {.data = to, .ndim = 3, .shape = {1, 5, 3}, .strides_bytes = {60, 12, 4}};
    horus_preprocess_desc d = {.scale = 1, .flags = HORUS_LAYOUT_NHWC};
    REQUIRE_OK(horus_image_wrap(&m, row, 5, 1, 10, HORUS_YUV422));
    REQUIRE_OK(horus_image_preprocess_into(&t, &m, &d, NULL));
    static const float want[15] = {0, 0, 0, 255, 255, 255, 254, 0, 0, 254, 0, 0, 255, 255, 255};
    for (int i = 0; i < 15; i++)
        CHECK_NEAR((double)to[i], (double)want[i], 1);
    CHECK(to[0] == 0 && to[3] == 255 && to[12] == 255);
}

TEST(defaults_are_those_of_the_comment)
{
    horus_context *c = private_context();
    horus_pool *p = pool_of(c);
    for (uint32_t e = 0; e <= HORUS_DEPTH16; e++) {
        if (e == HORUS_BAYER_RGGB8)
            continue;
        horus_image m = image_of(p, 7, 5, (horus_encoding)e);
        horus_tensor t;
        horus_pixel_map map;
        horus_preprocess_desc zero = {0};
        REQUIRE_OK(horus_image_preprocess(&t, &m, e % 2 ? p : NULL, NULL, &map));
        CHECK(t.frame.pool == p);
        CHECK_EQ(t.ndim, 4);
        CHECK_EQ(t.dtype, HORUS_F32);
        CHECK(t.shape[0] == 1 && t.shape[1] == (is_colour(e) ? 3 : 1));
        CHECK(t.shape[2] == 5 && t.shape[3] == 7);
        CHECK(map.scale_x == 1 && map.scale_y == 1 && map.offset_x == 0 && map.offset_y == 0);
        CHECK(map.width_px == 7 && map.height_px == 5);
        check_all(&m, &t, &zero, 1e-6);
        CHECK_OK(horus_tensor_release(&t));
        /* padding: 114 of 255, no measurement of depth */
        zero.width_px = 7;
        zero.height_px = 7;
        REQUIRE_OK(horus_image_preprocess(&t, &m, p, &zero, NULL));
        CHECK_NEAR((double)element(&t, 0), e == HORUS_DEPTH16 ? 0 : 114. / 255, 1e-7);
        check_all(&m, &t, &zero, 1e-6);
        CHECK_OK(horus_tensor_release(&t));
        zero.dtype = HORUS_U8;
        REQUIRE_OK(horus_image_preprocess(&t, &m, p, &zero, NULL));
        CHECK_EQ(*(uint8_t *)t.data, e == HORUS_DEPTH16 ? 0 : 114);
        if (e == HORUS_MONO8)
            CHECK(memcmp((uint8_t *)t.data + 7, m.data, 35) == 0);
        check_all(&m, &t, &zero, 1e-6);
        CHECK_OK(horus_tensor_release(&t));
        CHECK_OK(horus_image_release(&m));
    }
    check_empty(p);
    horus_context_close(c);
}

TEST(letterbox_stretch_and_crop_tell_where_pixels_went)
{
    static const struct {
        uint32_t w, h, to_w, to_h;
        horus_fit fit;
        float scale_x, scale_y, offset_x, offset_y;
    } cases[] = {
        {1920, 1080, 640, 640, HORUS_LETTERBOX, 640.f / 1920, 360.f / 1080, 0, 140},
        {1080, 1920, 640, 640, HORUS_LETTERBOX, 360.f / 1080, 640.f / 1920, 140, 0},
        {100, 100, 64, 32, HORUS_LETTERBOX, 0.32f, 0.32f, 16, 0},
        {100, 33, 50, 50, HORUS_LETTERBOX, 0.5f, 17.f / 33, 0, 16}, /* 16.5 becomes 17 */
        {1000, 1, 10, 10, HORUS_LETTERBOX, 0.01f, 1, 0, 4},         /* 0.01 becomes 1 */
        {1, 1000, 10, 11, HORUS_LETTERBOX, 1, 0.011f, 4, 0},
        {1920, 1080, 640, 640, HORUS_STRETCH, 1.f / 3, 640.f / 1080, 0, 0},
        {1920, 1080, 224, 224, HORUS_CENTER_CROP, 398.f / 1920, 224.f / 1080, -87, 0},
        {1080, 1920, 224, 224, HORUS_CENTER_CROP, 224.f / 1080, 398.f / 1920, 0, -87},
        {101, 100, 100, 100, HORUS_CENTER_CROP, 1, 1, 0, 0},
        {64, 64, 32, 32, HORUS_CENTER_CROP, 0.5f, 0.5f, 0, 0},
    };
    horus_context *c = private_context();
    horus_pool *p = pool_of(c);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        horus_image m = image_of(p, cases[i].w, cases[i].h, HORUS_MONO8);
        horus_tensor t;
        horus_pixel_map map;
        horus_preprocess_desc d = {
            .width_px = cases[i].to_w, .height_px = cases[i].to_h, .fit = cases[i].fit};
        REQUIRE_OK(horus_image_preprocess(&t, &m, p, &d, &map));
        CHECK_NEAR((double)map.scale_x, (double)cases[i].scale_x, 1e-6);
        CHECK_NEAR((double)map.scale_y, (double)cases[i].scale_y, 1e-6);
        if (!CHECK(map.offset_x == cases[i].offset_x && map.offset_y == cases[i].offset_y))
            printf("case %u: %g, %g\n", (unsigned)i, (double)map.offset_x, (double)map.offset_y);
        CHECK(map.width_px == cases[i].w && map.height_px == cases[i].h);
        check_all(&m, &t, &d, 1e-5);
        CHECK_OK(horus_tensor_release(&t));
        CHECK_OK(horus_image_release(&m));
    }
    check_empty(p);
    horus_context_close(c);
}

TEST(any_image_becomes_the_tensor_of_the_reference)
{
    static const horus_encoding all[] = {HORUS_RGB8,   HORUS_BGR8,   HORUS_RGBA8,   HORUS_BGRA8,
                                         HORUS_MONO8,  HORUS_MONO16, HORUS_MONO32F, HORUS_RGB32F,
                                         HORUS_YUV422, HORUS_DEPTH16};
    horus_context *c = private_context();
    horus_pool *p = pool_of(c);
    seed_random();
    for (int n = 0; n < TEST_TIMES(2000); n++) {
        uint32_t most = n % 16 == 0 ? 300 : 24, w = 1 + below(most), h = 1 + below(24);
        horus_image m = image_of(p, w, h, all[n % 10]), wide;
        horus_tensor t;
        horus_preprocess_desc d = {.width_px = below(4) ? 1 + below(most) : 0,
                                   .height_px = below(4) ? 1 + below(24) : 0,
                                   .channels = (uint32_t[]){0, 1, 3}[below(3)],
                                   .fit = (horus_fit)below(3),
                                   .dtype =
                                       (horus_dtype[]){HORUS_F32, HORUS_F16, HORUS_U8}[below(3)],
                                   .flags = below(4),
                                   .pad = (float)below(3) - 1};
        if (below(2))
            d.scale = (float)(1 + below(100)) / 50000;
        for (int k = 0; k < 3 && d.scale > 0; k++) {
            d.mean[k] = (float)below(100) / 100;
            d.std[k] = ((float)below(100) - 50) / 50;
        }
        double tolerance = m.encoding == HORUS_YUV422 ? 1.01 / 255 : 3e-6;
        REQUIRE_OK(horus_image_preprocess(&t, &m, p, &d, NULL));
        check_all(&m, &t, &d, tolerance);
        /* rows that do not follow each other closely, in memory of our own */
        size_t row = (size_t)w * m.channels * m.elem_bytes, stride = row + below(40);
        uint8_t *own = malloc(stride * h);
        horus_tensor again;
        REQUIRE(own != NULL);
        memset(own, 0xee, stride * h);
        for (uint32_t y = 0; y < h; y++)
            memcpy(own + y * stride, (uint8_t *)m.data + y * row, row);
        REQUIRE_OK(horus_image_wrap(&wide, own, w, h, (uint32_t)stride, all[n % 10]));
        REQUIRE_OK(horus_image_preprocess(&again, &wide, p, &d, NULL));
        CHECK(memcmp(again.data, t.data,
                     (size_t)horus_tensor_numel(&t) * horus_dtype_bytes((horus_dtype)t.dtype)) ==
              0);
        free(own);
        CHECK_OK(horus_tensor_release(&again));
        CHECK_OK(horus_tensor_release(&t));
        CHECK_OK(horus_image_release(&m));
    }
    check_empty(p);
    horus_context_close(c);
}

/* Images and tensors end where nothing may be read or written. */
TEST(nothing_outside_of_image_and_tensor_is_touched)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), room = 4 * page;
    uint8_t *from = mmap(NULL, 3 * room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint8_t *to = mmap(NULL, 3 * room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(from != MAP_FAILED && to != MAP_FAILED);
    REQUIRE(mprotect(from + room, room, PROT_READ | PROT_WRITE) == 0);
    REQUIRE(mprotect(to + room, room, PROT_READ | PROT_WRITE) == 0);
    for (uint32_t e = 0; e <= HORUS_DEPTH16; e++)
        for (uint32_t w = 1; w < 20; w++)
            for (uint32_t at_end = 0; at_end < 2; at_end++) {
                uint32_t h = 1 + w % 3, size = 1 + w * 7 % 40;
                size_t bytes = (size_t)w * h * horus_encoding_channels((horus_encoding)e) *
                               horus_encoding_elem_bytes((horus_encoding)e);
                size_t need = (size_t)3 * size * 3 * 4;
                horus_image m;
                horus_tensor t = {.data = to + room + (at_end ? room - need : 0),
                                  .ndim = 4,
                                  .shape = {1, 3, 3, size},
                                  .strides_bytes = {0, 12 * (int64_t)size, 4 * (int64_t)size, 4}};
                if (e == HORUS_BAYER_RGGB8)
                    continue;
                REQUIRE_OK(horus_image_wrap(&m, from + room + (at_end ? room - bytes : 0), w, h,
                                            (uint32_t)bytes / h, (horus_encoding)e));
                memset(m.data, 0x3e, bytes);
                CHECK_OK(horus_image_preprocess_into(&t, &m, NULL, NULL));
            }
    (void)munmap(from, 3 * room);
    (void)munmap(to, 3 * room);
}

TEST(sides_of_any_length_are_placed_exactly)
{
    enum { MOST = 1 << 20 };
    horus_context *c = private_context();
    horus_pool *p = pool_of(c);
    horus_image m = image_of(p, MOST, 1, HORUS_MONO8), small = image_of(p, 3, 3, HORUS_MONO8);
    horus_tensor t;
    horus_pixel_map map;
    uint8_t *pixel = m.data;
    pixel[MOST / 2] = 7;
    pixel[MOST / 2 - 1] = 9;
    horus_preprocess_desc d = {
        .width_px = 1, .height_px = MOST, .fit = HORUS_CENTER_CROP, .scale = 1};
    REQUIRE_OK(horus_image_preprocess(&t, &m, p, &d, &map));
    CHECK(map.scale_y == MOST && map.scale_x == MOST);
    CHECK_NEAR((double)element(&t, 0), 8, 0.01); /* between the two in the middle */
    CHECK(element(&t, MOST - 1) == element(&t, 0));
    CHECK_OK(horus_tensor_release(&t));
    d.fit = HORUS_LETTERBOX;
    REQUIRE_OK(horus_image_preprocess(&t, &m, p, &d, &map));
    CHECK(map.offset_y == MOST / 2 - 1 && map.scale_y == 1);
    CHECK(element(&t, MOST / 2 - 1) == 8 && element(&t, 0) == 114);
    CHECK_OK(horus_tensor_release(&t));
    d.width_px = MOST + 1;
    d.height_px = 1;
    CHECK_RESULT(horus_image_preprocess(&t, &small, p, &d, &map), HORUS_E_SIZE);
    d.width_px = 1;
    d.height_px = MOST + 1;
    CHECK_RESULT(horus_image_preprocess(&t, &small, p, &d, &map), HORUS_E_SIZE);
    CHECK_TEXT(horus_last_error(), "1048576");
    CHECK_OK(horus_image_release(&m));
    d = (horus_preprocess_desc){.width_px = 1, .height_px = 1};
    m = image_of(p, MOST + 1, 1, HORUS_MONO8);
    CHECK_RESULT(horus_image_preprocess(&t, &m, p, &d, &map), HORUS_E_SIZE);
    CHECK_OK(horus_image_release(&m));
    m = image_of(p, 1, MOST + 1, HORUS_MONO8);
    CHECK_RESULT(horus_image_preprocess(&t, &m, p, &d, &map), HORUS_E_SIZE);
    CHECK_OK(horus_image_release(&m));
    CHECK_OK(horus_image_release(&small));
    check_empty(p);
    horus_context_close(c);
}

TEST(floats_that_are_not_mixed_pass_exactly)
{
    horus_context *c = private_context();
    horus_pool *p = pool_of(c);
    for (int k = 0; k < 2; k++) {
        horus_image m;
        horus_tensor t;
        float *v;
        REQUIRE_OK(horus_image_alloc(&m, p, 9, 3, k ? HORUS_RGB32F : HORUS_MONO32F, 0));
        v = m.data;
        for (uint32_t i = 0; i < 27u * m.channels; i++)
            v[i] = (float)i;
        v[0] = (float)NAN;
        v[m.channels] = (float)INFINITY;
        v[2 * m.channels] = -(float)INFINITY;
        REQUIRE_OK(horus_image_preprocess(&t, &m, p, NULL, NULL));
        CHECK(isnan(element(&t, 0)) && isinf(element(&t, 1)) && isinf(element(&t, 2)));
        CHECK(element(&t, 2) < 0 && element(&t, 3) == v[3 * m.channels]);
        CHECK_OK(horus_tensor_release(&t));
        /* a third: the middle one of nine */
        REQUIRE_OK(horus_image_preprocess(
            &t, &m, p, &(horus_preprocess_desc){.width_px = 3, .height_px = 1}, NULL));
        CHECK(element(&t, 0) == v[10 * m.channels] && element(&t, 2) == v[16 * m.channels]);
        CHECK_OK(horus_tensor_release(&t));
        /* and a NaN becomes 0 where there is no NaN */
        REQUIRE_OK(
            horus_image_preprocess(&t, &m, p, &(horus_preprocess_desc){.dtype = HORUS_U8}, NULL));
        CHECK_EQ(*(uint8_t *)t.data, 0);
        CHECK_EQ(((uint8_t *)t.data)[1], 255);
        CHECK_EQ(((uint8_t *)t.data)[2], 0);
        CHECK_OK(horus_tensor_release(&t));
        CHECK_OK(horus_image_release(&m));
    }
    check_empty(p);
    horus_context_close(c);
}

static uint16_t to_half(float v)
{
    horusi_f4 four = {0, v, 0, 0};
    horusi_i4 bits = horusi_halves(four);
    return (uint16_t)bits[1];
}
TEST(halves_are_rounded_to_the_nearest)
{
    for (uint32_t h = 0; h < 0x7c00; h++) {
        float v = from_half((uint16_t)h), next = from_half((uint16_t)(h + 1));
        CHECK(horusi_from_half((uint16_t)h) == v);
        CHECK(horusi_from_half((uint16_t)(h | 0x8000)) == -v);
        CHECK_EQ(to_half(v), h);
        CHECK_EQ(to_half(-v), h | 0x8000);
        if (h == 0x7bff)
            break;
        float middle = (v + next) / 2; /* exact */
        CHECK_EQ(to_half(middle), h + (h & 1));
        CHECK_EQ(to_half(horusi_float_of(horusi_bits_of(middle) + 1)), h + 1);
        CHECK_EQ(to_half(horusi_float_of(horusi_bits_of(middle) - 1)), h);
    }
    CHECK_EQ(to_half(65519.99f), 0x7bff);
    CHECK_EQ(to_half(65520), 0x7c00);
    CHECK_EQ(to_half(-1e30f), 0xfc00);
    CHECK_EQ(to_half((float)INFINITY), 0x7c00);
    CHECK_EQ(to_half((float)NAN) & 0x7fff, 0x7e00);
    CHECK_EQ(to_half(1e-30f), 0);
    CHECK(isinf(horusi_from_half(0x7c00)) && isnan(horusi_from_half(0x7e01)));
    CHECK(horusi_from_half(0xfc00) < 0);
}

/* Memory of one's own may begin anywhere. */
TEST(a_tensor_may_lie_unaligned)
{
    horus_context *c = private_context();
    horus_pool *p = pool_of(c);
    horus_image m = image_of(p, 40, 8, HORUS_RGB8);
    static uint8_t memory[3 * 8 * 40 * 4 + 1];
    for (uint32_t i = 0; i < 6; i++) {
        const horus_dtype dtypes[] = {HORUS_F32, HORUS_F16, HORUS_U8};
        const bool last = i % 2;
        horus_preprocess_desc d = {.dtype = dtypes[i / 2], .flags = last ? HORUS_LAYOUT_NHWC : 0};
        horus_tensor want, own;
        REQUIRE_OK(horus_image_preprocess(&want, &m, p, &d, NULL));
        own = want;
        memset(&own.frame, 0, sizeof own.frame);
        own.data = memory + 1;
        CHECK_OK(horus_image_preprocess_into(&own, &m, &d, NULL));
        CHECK(memcmp(own.data, want.data, 3 * 8 * 40 * horus_dtype_bytes(d.dtype)) == 0);
        CHECK_OK(horus_tensor_release(&want));
    }
    CHECK_OK(horus_image_release(&m));
    check_empty(p);
    horus_context_close(c);
}

TEST(a_batch_is_filled_image_by_image)
{
    horus_context *c = private_context();
    horus_pool *p = pool_of(c);
    horus_image m[2] = {image_of(p, 10, 6, HORUS_RGB8), image_of(p, 5, 9, HORUS_BGR8)};
    horus_tensor batch;
    REQUIRE_OK(horus_tensor_alloc(&batch, p, HORUS_F32, 4, (int64_t[]){2, 3, 8, 8}, 0));
    for (int i = 0; i < 2; i++) {
        horus_tensor one, want;
        horus_preprocess_desc d = {.width_px = 8, .height_px = 8};
        horus_pixel_map map, same;
        REQUIRE_OK(horus_tensor_slice(&one, &batch, i, i + 1));
        CHECK_OK(horus_image_preprocess_into(&one, &m[i], NULL, &map));
        REQUIRE_OK(horus_image_preprocess(&want, &m[i], p, &d, &same));
        CHECK(memcmp(one.data, want.data, 3 * 64 * 4) == 0);
        CHECK(memcmp(&map, &same, sizeof map) == 0);
        CHECK_OK(horus_tensor_release(&want));
        CHECK_OK(horus_tensor_release(&one));
    }
    CHECK_RESULT(horus_image_preprocess_into(&batch, &m[0], NULL, NULL), HORUS_E_ARG);
    CHECK_OK(horus_tensor_release(&batch));
    CHECK_OK(horus_image_release(&m[0]));
    CHECK_OK(horus_image_release(&m[1]));
    check_empty(p);
    horus_context_close(c);
}

TEST(frame_id_and_time_go_with_the_tensor)
{
    horus_context *c = join(16 * MiB);
    horus_pool *p = pool_of(c);
    horus_image m = image_of(p, 8, 8, HORUS_RGB8);
    horus_topic *topic;
    horus_tensor t;
    char id[HORUS_FRAME_ID_BYTES];
    uint64_t ns = 0;
    REQUIRE_OK(horus_topic_open(&topic, "camera", &(horus_topic_desc){.context = c}));
    CHECK_OK(horus_frame_set_id(&m.frame, "camera_left"));
    CHECK_OK(horus_frame_set_time(&m.frame, 1234567));
    REQUIRE_OK(horus_topic_send_image(topic, &m, 0));
    REQUIRE_OK(horus_image_preprocess(&t, &m, p, NULL, NULL)); /* a published one is only read */
    CHECK_OK(horus_frame_get_id(&t.frame, id));
    CHECK_OK(horus_frame_get_time(&t.frame, &ns));
    CHECK_TEXT(id, "camera_left");
    CHECK_EQ(ns, 1234567);
    CHECK(!t.readonly && !horus_frame_published(&t.frame));
    /* what is published is written no more, by no view of it */
    horus_tensor before;
    REQUIRE_OK(horus_tensor_slice(&before, &t, 0, 1));
    REQUIRE_OK(horus_topic_send_tensor(topic, &t, 0));
    CHECK_RESULT(horus_image_preprocess_into(&t, &m, NULL, NULL), HORUS_E_READONLY);
    CHECK(!before.readonly);
    CHECK_RESULT(horus_image_preprocess_into(&before, &m, NULL, NULL), HORUS_E_READONLY);
    CHECK_OK(horus_tensor_release(&before));
    CHECK_OK(horus_tensor_release(&t));
    CHECK_OK(horus_image_release(&m));
    horus_topic_close(topic);
    horus_context_close(c);
}

TEST(what_cannot_be_prepared_is_refused)
{
    horus_context *c = private_context();
    horus_pool *p = pool_of(c);
    horus_image m = image_of(p, 8, 8, HORUS_RGB8), gone, bad,
                raw = image_of(p, 4, 4, HORUS_BAYER_RGGB8);
    horus_tensor t;
    horus_pixel_map map;
    gone = image_of(p, 8, 8, HORUS_RGB8);
    bad = gone;
    CHECK_OK(horus_image_release(&gone));
    gone = bad;
    memset(&bad, 0, sizeof bad);
#define REFUSED(call, want)                                                                        \
    do {                                                                                           \
        memset(&t, 1, sizeof t);                                                                   \
        memset(&map, 1, sizeof map);                                                               \
        CHECK_RESULT(call, want);                                                                  \
        CHECK_ZERO(t);                                                                             \
        CHECK_ZERO(map);                                                                           \
    } while (0)
#define DESC(...) &(horus_preprocess_desc){__VA_ARGS__}
    CHECK_RESULT(horus_image_preprocess(NULL, &m, p, NULL, &map), HORUS_E_ARG);
    REFUSED(horus_image_preprocess(&t, NULL, p, NULL, &map), HORUS_E_ARG);
    REFUSED(horus_image_preprocess(&t, &bad, p, NULL, &map), HORUS_E_ARG);
    REFUSED(horus_image_preprocess(&t, &gone, p, NULL, &map), HORUS_E_CLOSED);
    REFUSED(horus_image_preprocess(&t, &raw, p, NULL, &map), HORUS_E_UNSUPPORTED);
    CHECK_TEXT(horus_last_error(), "bayer_rggb8");
    REFUSED(horus_image_preprocess(&t, &m, p, DESC(.dtype = HORUS_F64), &map), HORUS_E_UNSUPPORTED);
    CHECK_TEXT(horus_last_error(), "float64");
    REFUSED(horus_image_preprocess(&t, &m, p, DESC(.dtype = (horus_dtype)77), &map),
            HORUS_E_UNSUPPORTED);
    REFUSED(horus_image_preprocess(&t, &m, p, DESC(.channels = 2), &map), HORUS_E_ARG);
    REFUSED(horus_image_preprocess(&t, &m, p, DESC(.channels = 4), &map), HORUS_E_ARG);
    REFUSED(horus_image_preprocess(&t, &m, p, DESC(.fit = (horus_fit)3), &map), HORUS_E_ARG);
    REFUSED(horus_image_preprocess(&t, &m, p, DESC(.flags = 4), &map), HORUS_E_ARG);
    REFUSED(horus_image_preprocess(&t, &m, p, DESC(.scale = (float)NAN), &map), HORUS_E_ARG);
    REFUSED(horus_image_preprocess(&t, &m, p, DESC(.scale = (float)INFINITY), &map), HORUS_E_ARG);
    REFUSED(horus_image_preprocess(&t, &m, p, DESC(.mean = {0, 0, (float)NAN}), &map), HORUS_E_ARG);
    REFUSED(horus_image_preprocess(&t, &m, p, DESC(.std = {0, (float)NAN, 0}), &map), HORUS_E_ARG);
    REFUSED(horus_image_preprocess(&t, &m, p, DESC(.std = {(float)INFINITY}), &map), HORUS_E_ARG);
    REFUSED(horus_image_preprocess(&t, &m, p, DESC(.pad = (float)NAN), &map), HORUS_E_ARG);
    REFUSED(horus_image_preprocess(&t, &m, p, DESC(.scale = 1e30f, .std = {1e-30f}), &map),
            HORUS_E_ARG);
    REFUSED(
        horus_image_preprocess(&t, &m, p, DESC(.width_px = 1 << 15, .height_px = 1 << 15), &map),
        HORUS_E_SIZE); /* larger than the pool */
    CHECK_RESULT(horus_image_preprocess(&t, &m, p, DESC(.flags = 4), NULL), HORUS_E_ARG);
    /* the pool is full: no matter, but for the answer */
    horus_tensor hog[65];
    uint32_t held = 0;
    while (held < 65 &&
           horus_tensor_alloc(&hog[held], p, HORUS_U8, 1, (int64_t[]){1 << 20}, 1) == HORUS_OK)
        held++;
    REFUSED(horus_image_preprocess(&t, &m, p, DESC(.width_px = 640, .height_px = 640), &map),
            HORUS_E_POOL_FULL);
    while (held > 0)
        CHECK_OK(horus_tensor_release(&hog[--held]));

    float own[192];
    horus_tensor to = {.data = own, .ndim = 3, .shape = {3, 8, 8}, .strides_bytes = {256, 32, 4}};
    horus_tensor other;
#define REFUSED_INTO(tensor, image, desc, want)                                                    \
    do {                                                                                           \
        memset(own, 1, sizeof own);                                                                \
        memset(&map, 1, sizeof map);                                                               \
        CHECK_RESULT(horus_image_preprocess_into(tensor, image, desc, &map), want);                \
        CHECK_ZERO(map);                                                                           \
        CHECK(test_is_all(own, 1, sizeof own));                                                    \
    } while (0)
    REFUSED_INTO(NULL, &m, NULL, HORUS_E_ARG);
    REFUSED_INTO(&to, NULL, NULL, HORUS_E_ARG);
    REFUSED_INTO(&to, &gone, NULL, HORUS_E_CLOSED);
    REFUSED_INTO(&to, &raw, NULL, HORUS_E_UNSUPPORTED);
    REFUSED_INTO(&to, &m, DESC(.flags = HORUS_LAYOUT_NHWC), HORUS_E_ARG); /* 8 channels */
    REFUSED_INTO(&to, &m, DESC(.scale = (float)NAN), HORUS_E_ARG);
    other = to;
    other.readonly = true;
    REFUSED_INTO(&other, &m, NULL, HORUS_E_READONLY);
    other = to;
    other.data = NULL;
    REFUSED_INTO(&other, &m, NULL, HORUS_E_CLOSED);
    other = to;
    other.strides_bytes[2] = 8;
    REFUSED_INTO(&other, &m, NULL, HORUS_E_UNSUPPORTED);
    other = to;
    other.dtype = HORUS_I32;
    REFUSED_INTO(&other, &m, NULL, HORUS_E_UNSUPPORTED);
    other = (horus_tensor){.data = own, .ndim = 2, .shape = {8, 8}, .strides_bytes = {32, 4}};
    REFUSED_INTO(&other, &m, NULL, HORUS_E_ARG);
    other = (horus_tensor){.data = own, .ndim = 5, .shape = {1, 1, 1, 1, 1}};
    REFUSED_INTO(&other, &m, NULL, HORUS_E_ARG);
    other =
        (horus_tensor){.data = own, .ndim = 3, .shape = {3, 0, 8}, .strides_bytes = {32, 32, 4}};
    REFUSED_INTO(&other, &m, NULL, HORUS_E_SIZE);
    other = (horus_tensor){.data = own,
                           .ndim = 3,
                           .shape = {3, 1, 1ll << 33},
                           .strides_bytes = {1ll << 35, 1ll << 35, 4}};
    REFUSED_INTO(&other, &m, NULL, HORUS_E_SIZE);
    other.shape[2] = 1ll << 31;
    other.strides_bytes[0] = other.strides_bytes[1] = 1ll << 33;
    REFUSED_INTO(&other, &m, NULL, HORUS_E_SIZE);
    CHECK_OK(horus_image_release(&m));
    CHECK_OK(horus_image_release(&raw));
    check_empty(p);
    horus_context_close(c);
}

/* ---- softmax */

static double exponential(double x) /* x <= 0 */
{
    double sum = 1, term = 1;
    int halvings = 0;
    for (; x < -0.5; x /= 2)
        halvings++;
    for (int i = 1; i < 20; i++)
        sum += term *= x / i;
    for (; halvings > 0; halvings--)
        sum *= sum;
    return sum;
}

TEST(the_exponential_is_within_its_bound)
{
    CHECK(horusi_exp(0) == 1);
    CHECK(horusi_exp(-87) == 0 && horusi_exp(-1e30f) == 0 && horusi_exp(-(float)INFINITY) == 0);
    CHECK(horusi_exp(-1e-30f) == 1);
    for (float x = -86.9999f; x < 0; x += 1.0f / 4096) {
        double want = exponential((double)x);
        if (!CHECK(absolute((double)horusi_exp(x) - want) <= 1.3e-7 * want)) {
            printf("exp(%.9g)\n", (double)x);
            break;
        }
    }
}

static horus_tensor floats_of(horus_pool *p, horus_dtype dtype, uint32_t ndim, const int64_t *shape,
                              const float *v)
{
    horus_tensor t;
    REQUIRE_OK(horus_tensor_alloc(&t, p, dtype, ndim, shape, 0));
    for (uint64_t i = 0; i < horus_tensor_numel(&t); i++) {
        double d = (double)v[i];
        uint32_t bits;
        uint16_t half;
        uint8_t *to = (uint8_t *)t.data + i * horus_dtype_bytes(dtype);
        memcpy(&bits, &v[i], 4);
        half = dtype == HORUS_F16 ? to_half(v[i]) : (uint16_t)(bits >> 16);
        if (dtype == HORUS_F32)
            memcpy(to, &v[i], 4);
        else if (dtype == HORUS_F64)
            memcpy(to, &d, 8);
        else
            memcpy(to, &half, 2);
    }
    return t;
}
static const horus_dtype float_types[] = {HORUS_F32, HORUS_F64, HORUS_F16, HORUS_BF16};

TEST(softmax_is_that_of_the_reference)
{
    horus_context *c = private_context();
    horus_pool *p = pool_of(c);
    seed_random();
    for (int n = 0; n < TEST_TIMES(200); n++) {
        int64_t rows = 1 + below(5), columns = 1 + below(n % 10 ? 12 : 2000);
        float *v = malloc((size_t)(rows * columns) * 4);
        REQUIRE(v != NULL);
        const bool odd =
            float_types[n % 4] == HORUS_F32 && n % 3; /* their differences are rounded */
        for (int64_t i = 0; i < rows * columns; i++)  /* what a bfloat16 can say */
            v[i] = ((float)below(256) - 128) * (odd ? 0.3141593f : n % 3 ? 0.125f : 1);
        horus_tensor t = floats_of(p, float_types[n % 4], 3, (int64_t[]){rows, 1, columns}, v), s;
        REQUIRE_OK(horus_tensor_softmax(&s, &t, n % 2 ? p : NULL));
        CHECK(s.dtype == HORUS_F32 && s.ndim == 3 && s.shape[0] == rows && s.shape[2] == columns);
        CHECK(s.frame.pool == p);
        for (int64_t i = 0; i < rows; i++) {
            const float *row = v + i * columns;
            double most = -1e9, sum = 0;
            for (int64_t k = 0; k < columns; k++)
                most = (double)row[k] > most ? (double)row[k] : most;
            for (int64_t k = 0; k < columns; k++)
                sum += exponential((double)row[k] - most);
            for (int64_t k = 0; k < columns; k++) {
                double want = exponential((double)row[k] - most) / sum;
                want = row[k] - (float)most <= -87 ? 0 : want;
                if (!CHECK_NEAR((double)element(&s, (uint64_t)(i * columns + k)), want,
                                (odd ? 5e-6 : 1e-6) * want))
                    break;
            }
        }
        free(v);
        CHECK_OK(horus_tensor_release(&t));
        CHECK_OK(horus_tensor_release(&s));
    }
    check_empty(p);
    horus_context_close(c);
}

TEST(softmax_of_what_is_no_number)
{
    const float inf = (float)INFINITY, nan = (float)NAN, big = 3e38f;
    float v[8][3] = {{big, big, -big}, {-inf, 0, -inf},    {nan, 0, 0},        {0, 0, nan},
                     {0, inf, 0},      {-inf, -inf, -inf}, {-big, -big, -big}, {1, 1, 1}};
    horus_context *c = private_context();
    horus_pool *p = pool_of(c);
    horus_tensor t = floats_of(p, HORUS_F32, 2, (int64_t[]){8, 3}, v[0]), s;
    REQUIRE_OK(horus_tensor_softmax(&s, &t, NULL));
    CHECK(element(&s, 0) == 0.5f && element(&s, 1) == 0.5f && element(&s, 2) == 0);
    CHECK(element(&s, 3) == 0 && element(&s, 4) == 1 && element(&s, 5) == 0);
    for (uint64_t i = 6; i < 18; i++)
        CHECK(isnan(element(&s, i)));
    for (uint64_t i = 18; i < 24; i++)
        CHECK_NEAR((double)element(&s, i), 1. / 3, 1e-7);
    CHECK_OK(horus_tensor_release(&s));

    /* refused */
    horus_tensor other = t, integers, none, empty;
    memset(&s, 1, sizeof s);
    CHECK_RESULT(horus_tensor_softmax(NULL, &t, p), HORUS_E_ARG);
    CHECK_RESULT(horus_tensor_softmax(&s, NULL, p), HORUS_E_ARG);
    CHECK_ZERO(s);
    other.strides_bytes[1] = 8;
    CHECK_RESULT(horus_tensor_softmax(&s, &other, p), HORUS_E_UNSUPPORTED);
    REQUIRE_OK(horus_tensor_alloc(&integers, p, HORUS_I32, 1, (int64_t[]){3}, 0));
    CHECK_RESULT(horus_tensor_softmax(&s, &integers, p), HORUS_E_TYPE);
    CHECK_TEXT(horus_last_error(), "int32");
    REQUIRE_OK(horus_tensor_alloc(&none, p, HORUS_F32, 0, NULL, 0));
    CHECK_RESULT(horus_tensor_softmax(&s, &none, p), HORUS_E_ARG);
    REQUIRE_OK(horus_tensor_alloc(&empty, p, HORUS_F32, 2, (int64_t[]){3, 0}, 0));
    CHECK_RESULT(horus_tensor_softmax(&s, &empty, p), HORUS_E_ARG);
    CHECK_OK(horus_tensor_release(&empty));
    REQUIRE_OK(horus_tensor_alloc(&empty, p, HORUS_F32, 2, (int64_t[]){0, 3}, 0));
    CHECK_OK(horus_tensor_softmax(&s, &empty, p));
    CHECK(s.shape[0] == 0 && s.shape[1] == 3);
    CHECK_OK(horus_tensor_release(&s));
    other = integers;
    CHECK_OK(horus_tensor_release(&empty));
    CHECK_OK(horus_tensor_release(&none));
    CHECK_OK(horus_tensor_release(&integers));
    other.dtype = HORUS_F32;
    CHECK_RESULT(horus_tensor_softmax(&s, &other, p), HORUS_E_CLOSED);
    CHECK_OK(horus_tensor_release(&t));
    /* no room */
    REQUIRE_OK(horus_tensor_alloc(&t, p, HORUS_F16, 1, (int64_t[]){24 << 20}, 1));
    CHECK_RESULT(horus_tensor_softmax(&s, &t, p), HORUS_E_SIZE);
    CHECK_ZERO(s);
    CHECK_OK(horus_tensor_release(&t));
    check_empty(p);
    horus_context_close(c);
}

/* ---- the largest */

TEST(topk_is_that_of_the_reference)
{
    horus_context *c = private_context();
    horus_pool *p = pool_of(c);
    seed_random();
    for (int n = 0; n < TEST_TIMES(400); n++) {
        uint32_t rows = 1 + below(4), columns = 1 + below(n % 10 ? 20 : 300),
                 k = 1 + below(columns);
        float v[1200], value[1200];
        int64_t index[1200];
        for (uint32_t i = 0; i < rows * columns; i++)
            v[i] =
                below(8) == 0 ? (float)NAN : (float)below(n % 2 ? 4 : 256) - 2; /* many are equal */
        horus_tensor t = floats_of(p, float_types[n % 4], 2, (int64_t[]){rows, columns}, v);
        if (k == 1)
            CHECK_OK(horus_tensor_argmax(index, value, rows, &t));
        else
            CHECK_OK(horus_tensor_topk(index, value, 1200, &t, k));
        for (uint32_t i = 0; i < rows; i++) {
            bool taken[300] = {false};
            for (uint32_t j = 0; j < k; j++) {
                int64_t best = -1;
                for (uint32_t x = 0; x < columns; x++)
                    if (!taken[x] && !isnan(v[i * columns + x]) &&
                        (best < 0 || v[i * columns + x] > v[i * columns + best]))
                        best = x;
                if (!CHECK_EQ(index[i * k + j], best))
                    break;
                if (best >= 0) {
                    taken[best] = true;
                    CHECK(value[i * k + j] == v[i * columns + best]);
                } else {
                    CHECK(isnan(value[i * k + j]));
                }
            }
        }
        CHECK_OK(horus_tensor_release(&t));
    }
    check_empty(p);
    horus_context_close(c);
}

TEST(topk_is_refused_what_it_cannot_do)
{
    float v[6] = {1, -(float)INFINITY, (float)INFINITY, 3, 2, 3}, value[6];
    int64_t index[6];
    uint8_t odd[25];
    horus_tensor t = {.data = v, .ndim = 2, .shape = {2, 3}, .strides_bytes = {12, 4}};
    CHECK_RESULT(horus_tensor_topk(NULL, value, 6, &t, 2), HORUS_E_ARG);
    CHECK_RESULT(horus_tensor_topk(index, NULL, 6, &t, 2), HORUS_E_ARG);
    CHECK_RESULT(horus_tensor_topk(index, value, 6, NULL, 2), HORUS_E_ARG);
    CHECK_RESULT(horus_tensor_topk(index, value, 6, &t, 0), HORUS_E_ARG);
    CHECK_RESULT(horus_tensor_topk(index, value, 60, &t, 4), HORUS_E_ARG);
    CHECK_RESULT(horus_tensor_topk(index, value, 3, &t, 2), HORUS_E_SIZE);
    CHECK_RESULT(horus_tensor_argmax(index, value, 1, &t), HORUS_E_SIZE);
    CHECK_OK(horus_tensor_topk(index, value, 6, &t, 3));
    CHECK(index[0] == 2 && index[1] == 0 && index[2] == 1);
    CHECK(index[3] == 0 && index[4] == 2 && index[5] == 1);
    /* memory of our own need not be aligned */
    memcpy(odd + 1, v, sizeof v);
    t.data = odd + 1;
    CHECK_OK(horus_tensor_argmax(index, value, 2, &t));
    CHECK(index[0] == 2 && index[1] == 0 && value[1] == 3);
    t.data = v;
    t.dtype = HORUS_BOOL;
    CHECK_RESULT(horus_tensor_argmax(index, value, 6, &t), HORUS_E_TYPE);
    t.dtype = HORUS_F32;
    t.strides_bytes[0] = 16;
    CHECK_RESULT(horus_tensor_argmax(index, value, 6, &t), HORUS_E_UNSUPPORTED);
}

/* ---- boxes */

enum { ROOM = 64 };
typedef struct box {
    float cx, cy, w, h, object;
    float score[3];
} box;
/* An output of three classes, as either layout has it. */
static horus_tensor output_of(horus_pool *p, const box *boxes, uint32_t n, horus_yolo_layout layout,
                              horus_dtype dtype, uint32_t ndim)
{
    uint32_t fields = layout == HORUS_YOLO_V5 ? 8 : 7;
    int64_t dims[3] = {1, layout == HORUS_YOLO_V5 ? n : fields,
                       layout == HORUS_YOLO_V5 ? fields : n};
    float *v = malloc((size_t)n * fields * 4 + 4);
    REQUIRE(v != NULL);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t f = 0; f < fields; f++) {
            const box *b = &boxes[i];
            uint32_t at = layout == HORUS_YOLO_V5 ? i * fields + f : f * n + i;
            uint32_t field = layout == HORUS_YOLO_V8 && f >= 4 ? f + 1 : f;
            v[at] = field < 4 ? (&b->cx)[field] : field == 4 ? b->object : b->score[field - 5];
        }
    horus_tensor t = floats_of(p, dtype, ndim, dims + 3 - ndim, v);
    free(v);
    return t;
}

TEST(boxes_become_detections)
{
    static const char *const names[] = {"cat", "dog", NULL};
    const box boxes[] = {
        {100, 200, 50, 40, 1, {0.1f, 0.8f, 0.2f}},   /* the best */
        {102, 200, 50, 40, 1, {0, 0.75f, 0}},        /* overlaps it */
        {102, 200, 50, 40, 1, {0.5f, 0, 0}},         /* another class */
        {300, 100, 20, 20, 1, {0, 0, 0.26f}},        /* no name */
        {400, 100, 20, 20, 1, {0.25f, 0.25f, 0.25f}} /* is not above */
    };
    horus_context *c = private_context();
    horus_pool *p = pool_of(c);
    horus_yolo_candidate room[ROOM];
    horus_detection found[ROOM];
    for (uint32_t n = 0; n < 2 * 2 * 4; n++) {
        horus_yolo_layout layout = (horus_yolo_layout)(n & 1);
        horus_tensor t = output_of(p, boxes, 5, layout, float_types[n >> 2], n & 2 ? 2 : 3);
        horus_yolo_desc d = {.layout = layout,
                             .candidates = room,
                             .candidate_count = ROOM,
                             .class_names = names,
                             .class_name_count = 2 + (n & 1)};
        horus_yolo_stats stats;
        uint32_t count = ROOM;
        double most = t.dtype == HORUS_BF16 ? 0.004 : t.dtype == HORUS_F16 ? 0.0005 : 1e-7;
        CHECK_OK(horus_frame_set_time(&t.frame, 99));
        memset(found, 1, sizeof found);
        REQUIRE_OK(horus_yolo_decode(found, &count, &t, &d, &stats));
        CHECK_EQ(count, 3);
        CHECK(found[0].class_id == 1 && strcmp(found[0].class_name, "dog") == 0);
        CHECK_NEAR((double)found[0].confidence, 0.8, most);
        CHECK(found[0].bbox.x == 75 && found[0].bbox.y == 180);
        CHECK(found[0].bbox.width == 50 && found[0].bbox.height == 40);
        CHECK(found[0].bbox.timestamp_ns == 0 && found[0].timestamp_ns == 99);
        CHECK(found[1].class_id == 0 && strcmp(found[1].class_name, "cat") == 0);
        CHECK(found[2].class_id == 2 && found[2].class_name[0] == 0);
        CHECK(found[0].instance_id == 0 && found[2].instance_id == 2);
        CHECK(stats.candidates == 4 && stats.suppressed == 1 && stats.invalid == 0);
        CHECK(stats.dropped == 0 && stats.outside == 0);
        /* all classes together; then only one wanted */
        d.flags = HORUS_NMS_AGNOSTIC;
        count = ROOM;
        REQUIRE_OK(horus_yolo_decode(found, &count, &t, &d, NULL));
        CHECK_EQ(count, 2);
        d.max_detections = 1;
        count = ROOM;
        REQUIRE_OK(horus_yolo_decode(found, &count, &t, &d, NULL));
        CHECK(count == 1 && found[0].class_id == 1);
        d.max_detections = 0;
        count = 1;
        REQUIRE_OK(horus_yolo_decode(found, &count, &t, &d, NULL));
        CHECK_EQ(count, 1);
        /* an overlap of 48/52 is not above it; a confidence that only the best has */
        d = (horus_yolo_desc){.layout = layout,
                              .candidates = room,
                              .candidate_count = ROOM,
                              .iou = 0.93f,
                              .confidence = 0.78f};
        count = ROOM;
        REQUIRE_OK(horus_yolo_decode(found, &count, &t, &d, NULL));
        CHECK_EQ(count, 1);
        d.confidence = 0.4f;
        count = ROOM;
        REQUIRE_OK(horus_yolo_decode(found, &count, &t, &d, NULL));
        CHECK_EQ(count, 3);
        CHECK(found[0].class_name[0] == 0);
        CHECK_OK(horus_tensor_release(&t));
    }
    check_empty(p);
    horus_context_close(c);
}

TEST(objectness_multiplies_and_gates)
{
    const box boxes[] = {{10, 10, 4, 4, 0.5f, {0.9f, 0.4f, 0}},
                         {50, 10, 4, 4, 0.5f, {0.4f, 0.45f, 0}},
                         {90, 10, 4, 4, 0.2f, {9, 9, 9}}};
    horus_context *c = private_context();
    horus_pool *p = pool_of(c);
    horus_yolo_candidate room[ROOM];
    horus_detection found[ROOM];
    horus_tensor t = output_of(p, boxes, 3, HORUS_YOLO_V5, HORUS_F32, 3);
    horus_yolo_desc d = {.layout = HORUS_YOLO_V5, .candidates = room, .candidate_count = ROOM};
    uint32_t count = ROOM;
    REQUIRE_OK(horus_yolo_decode(found, &count, &t, &d, NULL));
    CHECK(count == 1 && found[0].confidence == 0.45f && found[0].class_id == 0);
    CHECK_OK(horus_tensor_release(&t));
    check_empty(p);
    horus_context_close(c);
}

TEST(boxes_go_back_to_the_image)
{
    const box boxes[] = {{320, 320, 64, 36, 1, {0.9f}},  /* the middle */
                         {0, 140, 20, 20, 1, {0.8f}},    /* cut at a corner */
                         {640, 500, 20, 20, 1, {0.7f}},  /* and at the other */
                         {320, 100, 20, 20, 1, {0.6f}},  /* in the padding above */
                         {320, 560, 20, 20, 1, {0.6f}},  /* below */
                         {-30, 300, 20, 20, 1, {0.6f}},  /* left and */
                         {690, 300, 20, 20, 1, {0.6f}}}; /* right of all */
    horus_context *c = private_context();
    horus_pool *p = pool_of(c);
    horus_yolo_candidate room[ROOM];
    horus_detection found[ROOM];
    horus_image m = image_of(p, 1280, 720, HORUS_MONO8);
    horus_tensor input, t = output_of(p, boxes, 7, HORUS_YOLO_V8, HORUS_F32, 3);
    horus_pixel_map map;
    horus_preprocess_desc prepare = {.width_px = 640, .height_px = 640};
    horus_yolo_desc d = {.candidates = room, .candidate_count = ROOM, .map = &map};
    horus_yolo_stats stats;
    uint32_t count = ROOM;
    REQUIRE_OK(horus_image_preprocess(&input, &m, p, &prepare, &map));
    REQUIRE_OK(horus_yolo_decode(found, &count, &t, &d, &stats));
    CHECK_EQ(count, 3);
    CHECK(stats.outside == 4 && stats.candidates == 3);
    static const float want[3][4] = {{576, 324, 128, 72}, {0, 0, 20, 20}, {1260, 700, 20, 20}};
    for (int i = 0; i < 3; i++)
        CHECK(memcmp(&found[i].bbox.x, want[i], sizeof want[i]) == 0);
    /* a map must be one */
    horus_pixel_map good = map;
#define WRONG(field, value)                                                                        \
    do {                                                                                           \
        map = good;                                                                                \
        map.field = value;                                                                         \
        count = ROOM;                                                                              \
        CHECK_RESULT(horus_yolo_decode(found, &count, &t, &d, &stats), HORUS_E_ARG);               \
        CHECK_EQ(count, 0);                                                                        \
    } while (0)
    WRONG(scale_x, 0);
    WRONG(scale_y, -1);
    WRONG(scale_x, (float)NAN);
    WRONG(scale_x, (float)INFINITY);
    WRONG(scale_y, (float)INFINITY);
    WRONG(offset_x, (float)NAN);
    WRONG(offset_y, (float)INFINITY);
    WRONG(width_px, 0);
    WRONG(height_px, 0);
    CHECK_OK(horus_tensor_release(&t));
    CHECK_OK(horus_tensor_release(&input));
    CHECK_OK(horus_image_release(&m));
    check_empty(p);
    horus_context_close(c);
}

TEST(boxes_that_make_no_sense_are_counted_and_left_out)
{
    const float inf = (float)INFINITY, nan = (float)NAN;
    const box boxes[] = {{10, 10, 5, 5, 1, {0.9f, 0, 0}},    {nan, 10, 5, 5, 1, {0.9f, 0, 0}},
                         {10, inf, 5, 5, 1, {0.9f, 0, 0}},   {10, 10, -5, 5, 1, {0.9f, 0, 0}},
                         {10, 10, 5, 0, 1, {0.9f, 0, 0}},    {10, 10, nan, 5, 1, {0.9f, 0, 0}},
                         {10, 10, 5, 2e9f, 1, {0.9f, 0, 0}}, {-2e9f, 10, 5, 5, 1, {0.9f, 0, 0}},
                         {10, 10, 5, 5, 1, {inf, 0, 0}},     {10, 10, 5, 5, 1, {nan, 0.9f, 0}},
                         {10, 10, 5, 5, 1, {0.9f, 0, nan}},  {nan, nan, nan, nan, 1, {0.1f, 0, 0}},
                         {5e8f, 10, 1, 5, 1, {0.9f, 0, 0}}}; /* 1 is lost in 5e8 */
    horus_context *c = private_context();
    horus_pool *p = pool_of(c);
    horus_yolo_candidate room[ROOM];
    horus_detection found[ROOM];
    for (int v5 = 0; v5 < 2; v5++) {
        horus_yolo_layout layout = (horus_yolo_layout)v5;
        horus_tensor t = output_of(p, boxes, 13, layout, HORUS_F32, 3);
        horus_yolo_desc d = {.layout = layout, .candidates = room, .candidate_count = ROOM};
        horus_yolo_stats stats;
        uint32_t count = ROOM;
        REQUIRE_OK(horus_yolo_decode(found, &count, &t, &d, &stats));
        CHECK_EQ(count, 1);
        CHECK_EQ(stats.candidates, 1);
        CHECK_EQ(stats.invalid, 10);
        CHECK_EQ(stats.outside, 1);
        CHECK_OK(horus_tensor_release(&t));
        if (v5) {
            const box bad[] = {{10, 10, 5, 5, nan, {0.9f}}, {10, 10, 5, 5, inf, {0.9f}}};
            t = output_of(p, bad, 2, layout, HORUS_F32, 3);
            count = ROOM;
            REQUIRE_OK(horus_yolo_decode(found, &count, &t, &d, &stats));
            CHECK(count == 0 && stats.invalid == 2);
            CHECK_OK(horus_tensor_release(&t));
        }
    }
    check_empty(p);
    horus_context_close(c);
}

/* ---- against brute force */

typedef struct ref_box {
    double x0, y0, x1, y1;
    float score;
    uint32_t class_id, index;
    bool gone;
} ref_box;
static int ref_order(const void *a, const void *b)
{
    const ref_box *x = a, *y = b;
    return x->score > y->score   ? -1
           : x->score < y->score ? 1
           : x->index < y->index ? -1
                                 : x->index > y->index;
}
static double ref_iou(const ref_box *a, const ref_box *b)
{
    double w = (a->x1 < b->x1 ? a->x1 : b->x1) - (a->x0 > b->x0 ? a->x0 : b->x0);
    double h = (a->y1 < b->y1 ? a->y1 : b->y1) - (a->y0 > b->y0 ? a->y0 : b->y0);
    double both = w > 0 && h > 0 ? w * h : 0;
    return both / ((a->x1 - a->x0) * (a->y1 - a->y0) + (b->x1 - b->x0) * (b->y1 - b->y0) - both);
}

TEST(suppression_is_that_of_brute_force)
{
    enum { MOST = 400 };
    horus_context *c = private_context();
    horus_pool *p = pool_of(c);
    static box boxes[MOST];
    static ref_box ref[MOST];
    static horus_yolo_candidate room[MOST];
    static horus_detection found[MOST];
    seed_random();
    for (int n = 0; n < TEST_TIMES(400); n++) {
        uint32_t all = below(n % 8 ? 60 : MOST), space = 20 + below(200), at_most = 0;
        horus_yolo_layout layout = (horus_yolo_layout)below(2);
        bool agnostic = below(2);
        /* coordinates are quarters: exact. An overlap is never exactly the threshold: 0.45 */
        for (uint32_t i = 0; i < all; i++) {
            boxes[i] = (box){(float)below(4 * space) / 4, (float)below(4 * space) / 4,
                             (float)(1 + below(80)) / 2,  (float)(1 + below(80)) / 2,
                             (float)(1 + below(4)) / 4,   {0}};
            for (int k = 0; k < 3; k++)
                boxes[i].score[k] = (float)below(33) / 32; /* with ties */
        }
        uint32_t candidates = 0;
        for (uint32_t i = 0; i < all; i++) {
            const box *b = &boxes[i];
            float best = 0.25f;
            uint32_t which = 9;
            for (uint32_t k = 0; k < 3; k++) {
                float s = layout == HORUS_YOLO_V5 ? b->score[k] * b->object : b->score[k];
                if (s > best && (layout == HORUS_YOLO_V8 || b->object > 0.25f)) {
                    best = s;
                    which = k;
                }
            }
            if (which < 9)
                ref[candidates++] = (ref_box){.x0 = (double)b->cx - (double)b->w / 2,
                                              .y0 = (double)b->cy - (double)b->h / 2,
                                              .x1 = (double)b->cx + (double)b->w / 2,
                                              .y1 = (double)b->cy + (double)b->h / 2,
                                              .score = best,
                                              .class_id = which,
                                              .index = i};
        }
        qsort(ref, candidates, sizeof *ref, ref_order);
        uint32_t room_count = below(3) ? MOST : 1 + below(20), wanted = 0;
        uint32_t looked_at = candidates < room_count ? candidates : room_count;
        uint32_t max = below(3) ? 0 : 1 + below(10);
        at_most = max ? max : 300;
        for (uint32_t i = 0; i < looked_at; i++)
            for (uint32_t k = 0; k < i && !ref[i].gone; k++)
                ref[i].gone = !ref[k].gone && (agnostic || ref[k].class_id == ref[i].class_id) &&
                              ref_iou(&ref[k], &ref[i]) > 0.45000001;
        horus_tensor t = output_of(p, boxes, all, layout, HORUS_F32, 2 + below(2));
        horus_yolo_desc d = {.layout = layout,
                             .candidates = room,
                             .candidate_count = room_count,
                             .max_detections = max,
                             .flags = agnostic ? HORUS_NMS_AGNOSTIC : 0};
        horus_yolo_stats stats;
        uint32_t count = MOST;
        REQUIRE_OK(horus_yolo_decode(found, &count, &t, &d, &stats));
        CHECK_EQ(stats.candidates, candidates);
        CHECK_EQ(stats.dropped, candidates - looked_at);
        for (uint32_t i = 0; i < looked_at && wanted < at_most; i++) {
            if (ref[i].gone)
                continue;
            const horus_detection *f = &found[wanted++];
            if (!CHECK(wanted <= count) ||
                !CHECK(f->confidence == ref[i].score && f->class_id == ref[i].class_id &&
                       (double)f->bbox.x == ref[i].x0 && (double)f->bbox.y == ref[i].y0 &&
                       (double)f->bbox.width == ref[i].x1 - ref[i].x0 &&
                       (double)f->bbox.height == ref[i].y1 - ref[i].y0)) {
                printf("case %d: detection %u of %u\n", n, wanted, count);
                break;
            }
        }
        CHECK_EQ(count, wanted);
        CHECK_OK(horus_tensor_release(&t));
    }
    check_empty(p);
    horus_context_close(c);
}

TEST(names_are_cut_between_characters)
{
    char to[64] = {0}, text[80];
    memset(text, 'a', sizeof text);
    text[63] = 0;
    horusi_class_name(to, sizeof to, text);
    CHECK(strcmp(to, text) == 0);
    text[63] = 'a';
    text[79] = 0;
    memset(to, 0, sizeof to);
    horusi_class_name(to, sizeof to, text);
    CHECK_EQ(strlen(to), 63);
    memcpy(text + 61, "\xe2\x82\xac", 3); /* three bytes from the 62nd on */
    memset(to, 0, sizeof to);
    horusi_class_name(to, sizeof to, text);
    CHECK_EQ(strlen(to), 61);
    memset(text, 0x80, 79); /* no UTF-8 at all */
    memset(to, 0, sizeof to);
    horusi_class_name(to, sizeof to, text);
    CHECK_EQ(strlen(to), 0);
}

TEST(detections_are_a_message)
{
    const box boxes[] = {
        {10, 10, 4, 4, 1, {0.9f}}, {50, 10, 4, 4, 1, {0.5f}}, {90, 10, 4, 4, 1, {0.7f}}};
    horus_context *c = join(16 * MiB);
    horus_pool *p = pool_of(c);
    horus_yolo_candidate room[ROOM];
    horus_yolo_stats stats;
    horus_topic *topic;
    horus_tensor t = output_of(p, boxes, 3, HORUS_YOLO_V8, HORUS_F32, 3);
    horus_yolo_desc d = {.candidates = room, .candidate_count = ROOM};
    struct {
        horus_detections list;
        uint8_t items[3 * sizeof(horus_detection) + 8];
    } m, got;
    size_t bytes = sizeof m.list, n;
    const void *items;
    CHECK_OK(horus_frame_set_time(&t.frame, 4711));
    CHECK_OK(horus_frame_set_id(&t.frame, "front"));
    REQUIRE_OK(horus_topic_open(&topic, "found",
                                &(horus_topic_desc){.context = c, .type = &horus_detections_type}));
    memset(&m, 0, sizeof m);
    m.list.image_seq = 5;
    REQUIRE_OK(horus_yolo_decode_message(&m, sizeof m, &bytes, &t, &d, &stats));
    CHECK_EQ(bytes, sizeof m.list + 3 * sizeof(horus_detection));
    CHECK(m.list.timestamp_ns == 4711 && strcmp(m.list.frame_id, "front") == 0);
    CHECK_EQ(stats.candidates, 3);
    REQUIRE_OK(horus_topic_send(topic, &m, bytes, 0));
    horus_info info;
    REQUIRE_OK(horus_topic_receive(topic, &got, sizeof got, &info, 0));
    REQUIRE_OK(
        horus_message_array(&got, info.size, &got.list.items, sizeof(horus_detection), &items, &n));
    REQUIRE(n == 3);
    const horus_detection *f = items;
    CHECK(f[0].confidence == 0.9f && f[1].confidence == 0.7f && f[2].confidence == 0.5f);
    CHECK(got.list.image_seq == 5 && f[0].timestamp_ns == 4711);
    /* what is there stays; as many as fit, the best; behind other elements */
    memset(&m, 0xff, sizeof m);
    memset(&m.list, 0, sizeof m.list);
    m.list.timestamp_ns = 1;
    m.list.frame_id[0] = 'x';
    bytes = sizeof m.list + 3;
    REQUIRE_OK(horus_yolo_decode_message(&m, sizeof m - 8, &bytes, &t, &d, NULL));
    CHECK_EQ(m.list.items.offset, sizeof m.list + 8);
    CHECK_EQ(m.list.items.count, 2);
    CHECK_EQ(bytes, sizeof m.list + 8 + 2 * sizeof(horus_detection));
    CHECK(m.list.timestamp_ns == 1 && m.list.frame_id[0] == 'x' && m.list.frame_id[1] == 0);
    CHECK(test_is_all(m.items, 0xff, 3) && test_is_all(m.items + 3, 0, 5));
    memcpy(&got, &m, sizeof m);
    REQUIRE_OK(horus_message_array(&m, bytes, &m.list.items, sizeof(horus_detection), &items, &n));
    CHECK(n == 2 && ((const horus_detection *)items)[1].confidence == 0.7f);
    /* memory of one's own has neither time nor id */
    horus_tensor own = t;
    memset(&own.frame, 0, sizeof own.frame);
    memset(&m.list, 0, sizeof m.list);
    bytes = sizeof m.list;
    REQUIRE_OK(horus_yolo_decode_message(&m, sizeof m, &bytes, &own, &d, NULL));
    CHECK(m.list.timestamp_ns == 0 && m.list.frame_id[0] == 0 && m.list.items.count == 3);
    /* refused, and nothing changed */
    memcpy(&m, &got, sizeof m);
#define NOT_DECODED(message, size, begin, output, desc, want)                                      \
    do {                                                                                           \
        bytes = begin;                                                                             \
        memset(&stats, 1, sizeof stats);                                                           \
        CHECK_RESULT(horus_yolo_decode_message(message, size, &bytes, output, desc, &stats),       \
                     want);                                                                        \
        CHECK_EQ(bytes, begin);                                                                    \
        CHECK_ZERO(stats);                                                                         \
        CHECK(memcmp(&m, &got, sizeof m) == 0);                                                    \
    } while (0)
    size_t fixed = sizeof m.list;
    NOT_DECODED(NULL, sizeof m, fixed, &t, &d, HORUS_E_ARG);
    NOT_DECODED((uint8_t *)&m + 1, sizeof m - 1, fixed, &t, &d, HORUS_E_ARG);
    NOT_DECODED(&m, sizeof m, fixed - 1, &t, &d, HORUS_E_ARG);
    NOT_DECODED(&m, fixed - 1, fixed, &t, &d, HORUS_E_SIZE);
    NOT_DECODED(&m, fixed + 4, fixed + 3, &t, &d, HORUS_E_SIZE);
    NOT_DECODED(&m, SIZE_MAX, SIZE_MAX, &t, &d, HORUS_E_SIZE);
    NOT_DECODED(&m, (size_t)UINT32_MAX + (sizeof(size_t) > 4), fixed, &t, NULL,
                sizeof(size_t) > 4 ? HORUS_E_SIZE : HORUS_E_ARG);
    NOT_DECODED(&m, sizeof m, fixed, &t, NULL, HORUS_E_ARG);
    NOT_DECODED(&m, sizeof m, fixed, NULL, &d, HORUS_E_ARG);
    CHECK_RESULT(horus_yolo_decode_message(&m, sizeof m, NULL, &t, &d, NULL), HORUS_E_ARG);
    CHECK_OK(horus_tensor_release(&t));
    horus_topic_close(topic);
    horus_context_close(c);
}

TEST(what_is_no_output_is_refused)
{
    float v[200] = {0};
    horus_yolo_candidate room[4];
    horus_detection found[4];
    horus_yolo_stats stats;
    horus_tensor t = {.data = v, .ndim = 3, .shape = {1, 5, 10}, .strides_bytes = {200, 40, 4}}, o;
    horus_yolo_desc good = {.candidates = room, .candidate_count = 4}, d = good;
#define NO(out, tensor, desc, want)                                                                \
    do {                                                                                           \
        uint32_t count = 4;                                                                        \
        memset(&stats, 1, sizeof stats);                                                           \
        CHECK_RESULT(horus_yolo_decode(out, &count, tensor, desc, &stats), want);                  \
        CHECK_EQ(count, 0);                                                                        \
        CHECK_ZERO(stats);                                                                         \
    } while (0)
#define NO_DESC(field, value)                                                                      \
    do {                                                                                           \
        d = good;                                                                                  \
        d.field = value;                                                                           \
        NO(found, &t, &d, HORUS_E_ARG);                                                            \
    } while (0)
    uint32_t count = 4;
    CHECK_OK(horus_yolo_decode(found, &count, &t, &d, &stats));
    CHECK_EQ(count, 0);
    CHECK_RESULT(horus_yolo_decode(found, NULL, &t, &d, &stats), HORUS_E_ARG);
    NO(NULL, &t, &d, HORUS_E_ARG);
    NO(found, NULL, &d, HORUS_E_ARG);
    NO(found, &t, NULL, HORUS_E_ARG);
    NO_DESC(candidates, NULL);
    NO_DESC(candidate_count, 0);
    NO_DESC(layout, (horus_yolo_layout)2);
    NO_DESC(flags, 2);
    NO_DESC(confidence, -0.1f);
    NO_DESC(confidence, 1.1f);
    NO_DESC(confidence, (float)NAN);
    NO_DESC(iou, -0.1f);
    NO_DESC(iou, 2);
    NO_DESC(iou, (float)NAN);
    o = t;
    o.dtype = HORUS_I32;
    NO(found, &o, &good, HORUS_E_TYPE);
    o = t;
    o.strides_bytes[1] = 44;
    NO(found, &o, &good, HORUS_E_UNSUPPORTED);
    o = t;
    o.data = NULL;
    NO(found, &o, &good, HORUS_E_CLOSED);
    o = (horus_tensor){.data = v, .ndim = 1, .shape = {50}, .strides_bytes = {4}};
    NO(found, &o, &good, HORUS_E_SIZE);
    o = (horus_tensor){
        .data = v, .ndim = 4, .shape = {1, 1, 5, 10}, .strides_bytes = {200, 200, 40, 4}};
    NO(found, &o, &good, HORUS_E_SIZE);
    o = (horus_tensor){.data = v, .ndim = 3, .shape = {2, 5, 10}, .strides_bytes = {200, 40, 4}};
    NO(found, &o, &good, HORUS_E_SIZE);
    o = (horus_tensor){.data = v, .ndim = 2, .shape = {4, 10}, .strides_bytes = {40, 4}};
    NO(found, &o, &good, HORUS_E_SIZE);
    d = good;
    d.layout = HORUS_YOLO_V5;
    o = (horus_tensor){.data = v, .ndim = 2, .shape = {10, 5}, .strides_bytes = {20, 4}};
    NO(found, &o, &d, HORUS_E_SIZE);
    o = (horus_tensor){
        .data = v, .ndim = 2, .shape = {5, 1ll << 32}, .strides_bytes = {4ll << 32, 4}};
    NO(found, &o, &good, HORUS_E_SIZE);
    o = (horus_tensor){.data = v, .ndim = 2, .shape = {1ll << 32, 1}, .strides_bytes = {4, 4}};
    NO(found, &o, &good, HORUS_E_SIZE);
    /* no boxes is an answer */
    o = (horus_tensor){.data = v, .ndim = 2, .shape = {5, 0}, .strides_bytes = {4, 4}};
    count = 4;
    CHECK_OK(horus_yolo_decode(found, &count, &o, &good, &stats));
    CHECK_EQ(count, 0);
}

TEST(many_classes_are_looked_at_piece_by_piece)
{
    enum { CLASSES = 150, BOXES = 130 };
    static float v[BOXES * (5 + CLASSES)];
    horus_yolo_candidate room[BOXES];
    horus_detection found[BOXES];
    for (int v5 = 0; v5 < 2; v5++) {
        horus_tensor t = {.data = v, .ndim = 2, .strides_bytes = {0, 4}};
        horus_yolo_desc d = {
            .layout = (horus_yolo_layout)v5, .candidates = room, .candidate_count = BOXES};
        uint32_t fields = (v5 ? 5 : 4) + CLASSES, count = BOXES;
        t.shape[0] = v5 ? BOXES : fields;
        t.shape[1] = v5 ? fields : BOXES;
        t.strides_bytes[0] = t.shape[1] * 4;
        for (uint32_t i = 0; i < BOXES; i++)
            for (uint32_t f = 0; f < fields; f++)
                v[v5 ? i * fields + f : f * BOXES + i] = f == 0         ? (float)i * 10
                                                         : f < 4        ? 5
                                                         : v5 && f == 4 ? 1
                                                         : f - (v5 ? 5 : 4) == i + 10
                                                             ? 0.5f + (float)i / 512
                                                             : 0.3f;
        REQUIRE_OK(horus_yolo_decode(found, &count, &t, &d, NULL));
        REQUIRE(count == BOXES);
        for (uint32_t i = 0; i < BOXES; i++)
            CHECK_EQ(found[i].class_id, BOXES - 1 - i + 10);
    }
}

/* Outputs end where nothing may be read, whatever their dtype. */
TEST(nothing_behind_an_output_is_read)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), room_bytes = 16 * page;
    horus_context *c = private_context();
    horus_yolo_candidate room[ROOM];
    horus_detection found[ROOM];
    int64_t index[ROOM * 8];
    float value[ROOM * 8];
    uint8_t *at = mmap(NULL, room_bytes + page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(at != MAP_FAILED && mprotect(at, room_bytes, PROT_READ | PROT_WRITE) == 0);
    for (uint32_t n = 1; n < 200; n += 1 + n / 8)
        for (uint32_t k = 0; k < 8; k++) {
            horus_yolo_desc d = {.candidates = room, .candidate_count = ROOM};
            horus_tensor t = {.ndim = 2, .dtype = float_types[k / 2]}, s;
            int64_t elem = (int64_t)horus_dtype_bytes((horus_dtype)t.dtype);
            uint32_t count = ROOM;
            d.layout = (horus_yolo_layout)(k & 1);
            t.shape[0] = k & 1 ? n : 7;
            t.shape[1] = k & 1 ? 8 : n;
            t.strides_bytes[0] = t.shape[1] * elem;
            t.strides_bytes[1] = elem;
            t.data = at + room_bytes - t.shape[0] * t.strides_bytes[0];
            CHECK_OK(horus_yolo_decode(found, &count, &t, &d, NULL));
            CHECK_EQ(count, 0);
            CHECK_OK(horus_tensor_argmax(index, value, ROOM * 8, &t));
            CHECK(index[0] == 0 && value[0] == 0);
            REQUIRE_OK(horus_tensor_softmax(&s, &t, pool_of(c)));
            CHECK_NEAR((double)element(&s, 0), 1 / (double)t.shape[1], 1e-6);
            CHECK_OK(horus_tensor_release(&s));
        }
    (void)munmap(at, room_bytes + page);
    horus_context_close(c);
}
