/* camera: publishes rgb8 frames on the topic "camera", written in place by whatever makes them: a
 * node of a scheduler.
 *
 *     gcc -O2 -I.. camera.c -o camera -lm     in this directory; --images needs libstb-dev
 *
 *     ./camera                   /dev/video0 where it is, else a rendered factory floor
 *     ./camera --images DIR      the PNG and JPG files of a directory, panned over
 *     ./camera --scene           the rendered floor in any case
 *     options                    --size 960x540  --fps 30
 *                                --truth FILE: where the rendered objects are, a line for each
 *
 * Killed or stopped, it can be started again at any time: its readers go on by themselves. */
#define HORUS_IMPLEMENTATION
#include "horus.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#if __has_include(<linux/videodev2.h>)
#include <linux/videodev2.h>
#define HAVE_V4L2 1
#endif

#define STB_IMAGE_IMPLEMENTATION
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_NO_HDR
#define STBI_NO_LINEAR
#if __has_include(<stb/stb_image.h>)
#include <stb/stb_image.h>
#define HAVE_STB 1
#elif __has_include(<stb_image.h>)
#include <stb_image.h>
#define HAVE_STB 1
#endif

enum { MAX_PHOTOS = 32, MAX_BUFFERS = 4 };

/* Where frames come from: fill() writes one. It may wait for the hardware; *time_ns, now at the
 * call, becomes the time of exposure. False: there is none, and errno says why. */
typedef struct source {
    const char *name;
    uint32_t width_px, height_px;
    double rate_hz;
    bool (*fill)(struct source *source, const horus_image *img, uint64_t *time_ns);
    FILE *truth;
    uint8_t *floor; /* scene: what does not move */
    struct {
        uint8_t *rgb;
        int width_px, height_px;
    } photos[MAX_PHOTOS];
    int photo_count;
    int fd; /* V4L2 */
    uint32_t step_bytes;
    struct {
        uint8_t *data;
        size_t bytes;
    } buffers[MAX_BUFFERS];
} source;

static float clampf(float x, float low, float high) { return x < low ? low : x > high ? high : x; }
static float least(float a, float b) { return a < b ? a : b; }
static float most(float a, float b) { return a > b ? a : b; }
static float length(float x, float y) { return sqrtf(x * x + y * y); }
static uint8_t *row_of(const horus_image *img, uint32_t y)
{
    return (uint8_t *)img->data + (size_t)y * img->stride_bytes;
}

/* ---- a rendered scene: robots and balls on a factory floor, seen from above */

typedef struct object {
    const char *name;
    float r, g, b, size_px; /* at a height of 540 px */
    bool ball;
    double cx, cy, ax, ay, wx, wy, px, py; /* centre + a * sin(w t + p), in frame sizes */
} object;

static const object objects[] = {
    {"orange", 0.98f, 0.47f, 0.08f, 46, false, .50, .160, .40, .045, .62, 1.24, 0.0, 0.0},
    {"blue", 0.10f, 0.36f, 0.95f, 42, false, .50, .440, .41, .050, .75, 1.50, 2.1, 1.1},
    {"green", 0.10f, 0.72f, 0.25f, 44, false, .50, .735, .39, .045, .54, 1.08, 4.2, 2.2},
    {"red", 0.90f, 0.08f, 0.10f, 25, true, .50, .45, .44, .36, .83, 1.13, 0.7, 2.2},
    {"yellow", 0.97f, 0.85f, 0.05f, 21, true, .50, .45, .45, .37, .71, 1.31, 3.1, 0.4},
    {"magenta", 0.85f, 0.12f, 0.75f, 28, true, .50, .45, .42, .35, .52, .97, 5.2, 4.9},
};
enum { OBJECTS = sizeof objects / sizeof objects[0] };

static float lattice(int x, int y)
{
    uint32_t h = (uint32_t)x * 0x9e3779b1u ^ (uint32_t)y * 0x85ebca77u;
    h = (h ^ h >> 15) * 0x2c1b3c6du;
    h = (h ^ h >> 12) * 0x297a2d39u;
    return (float)(h >> 8) / 16777216.0f;
}
static float noise(float x, float y)
{
    float fx = floorf(x), fy = floorf(y), u = x - fx, v = y - fy;
    int ix = (int)fx, iy = (int)fy;
    u = u * u * (3 - 2 * u);
    v = v * v * (3 - 2 * v);
    float top = lattice(ix, iy) * (1 - u) + lattice(ix + 1, iy) * u;
    float bottom = lattice(ix, iy + 1) * (1 - u) + lattice(ix + 1, iy + 1) * u;
    return top * (1 - v) + bottom * v;
}
static float clouds(float x, float y)
{
    float sum = 0, weight = 0.5f;
    for (int i = 0; i < 5; i++, x *= 2.03f, y *= 2.03f, weight *= 0.5f)
        sum += weight * noise(x, y);
    return sum;
}
/* Signed distance to a rounded box around the origin; to a circle it is length() - radius. */
static float box_distance(float x, float y, float half_x, float half_y, float radius)
{
    float dx = fabsf(x) - half_x + radius, dy = fabsf(y) - half_y + radius;
    return length(most(dx, 0), most(dy, 0)) + least(most(dx, dy), 0) - radius;
}
static float cover(float distance) { return clampf(0.5f - distance, 0, 1); }

static void paint(float *rgb, float r, float g, float b, float alpha)
{
    rgb[0] += (r - rgb[0]) * alpha;
    rgb[1] += (g - rgb[1]) * alpha;
    rgb[2] += (b - rgb[2]) * alpha;
}

/* Concrete tiles with seams, two dashed lanes and a worn hazard border. */
static void render_floor(uint8_t *out, uint32_t width, uint32_t height)
{
    float scale = (float)height / 540.0f, tile = 108;
    for (uint32_t py = 0; py < height; py++) {
        for (uint32_t px = 0; px < width; px++, out += 3) {
            float x = (float)px / scale, y = (float)py / scale, w = (float)width / scale;
            float stain = clouds(x / 90, y / 90), grain = noise(x * 0.9f, y * 0.9f);
            float tone = 0.40f + 0.15f * (stain - 0.5f) + 0.05f * (grain - 0.5f);
            tone += 0.03f * (lattice((int)(x / tile) + 7, (int)(y / tile) + 3) - 0.5f);
            float rgb[3] = {tone * 0.98f, tone, tone * 1.03f};
            float seam = least(fabsf(fmodf(x, tile) - tile / 2), fabsf(fmodf(y, tile) - tile / 2));
            paint(rgb, 0.22f, 0.22f, 0.23f, 0.7f * cover(seam - 1.0f));
            float wear = clampf(clouds(x / 14 + 40, y / 14) * 3.2f - 0.6f, 0, 1);
            float lane = least(fabsf(y - 161), fabsf(y - 318)) - 3;
            if (fmodf(x, 64) < 36)
                paint(rgb, 0.86f, 0.84f, 0.78f, 0.75f * wear * cover(lane));
            float edge = least(least(x, w - x), least(y, 540 - y));
            if (edge < 18) {
                bool dark = fmodf(x + y, 36) < 18;
                paint(rgb, dark ? 0.12f : 0.80f, dark ? 0.12f : 0.62f, dark ? 0.12f : 0.10f,
                      0.8f * wear * cover(edge - 17));
            }
            float vx = x / w - 0.5f, vy = y / 540 - 0.5f;
            for (int c = 0; c < 3; c++)
                out[c] =
                    (uint8_t)(255 * clampf(rgb[c] * (1.08f - 0.7f * (vx * vx + vy * vy)), 0, 1));
        }
    }
}

/* The colour of a robot at (u,v), u forward; rgb holds the floor. */
static void shade_robot(const object *o, float u, float v, float s, float *rgb)
{
    float body = box_distance(u, v, s, 0.60f * s, 0.24f * s), light = 1.0f - 0.16f * v / s;
    if (body > 0.2f * s)
        return;
    for (int wheel = 0; wheel < 4; wheel++) {
        float x = (wheel & 1 ? 0.55f : -0.55f) * s, y = (wheel & 2 ? 0.60f : -0.60f) * s;
        paint(rgb, 0.07f, 0.07f, 0.08f, cover(box_distance(u - x, v - y, 0.22f * s, 0.11f * s, 2)));
    }
    paint(rgb, o->r * 0.55f, o->g * 0.55f, o->b * 0.55f, cover(body));
    paint(rgb, o->r * light, o->g * light, o->b * light, cover(body + 2.5f));
    paint(rgb, 0.10f, 0.10f, 0.12f, cover(box_distance(u - 0.80f * s, v, 0.08f * s, 0.46f * s, 3)));
    float plate = box_distance(u + 0.12f * s, v, 0.62f * s, 0.40f * s, 0.12f * s);
    paint(rgb, 0.93f * light, 0.94f * light, 0.95f * light, cover(plate) * 0.92f);
    float arrow = fabsf(fabsf(v) + u - 0.22f * s) - 0.09f * s;
    paint(rgb, o->r, o->g, o->b, cover(most(arrow, fabsf(v) - 0.30f * s)));
    for (int lamp = -1; lamp <= 1; lamp += 2)
        paint(rgb, 1.0f, 0.97f, 0.82f,
              cover(length(u - 0.80f * s, v - 0.34f * s * (float)lamp) - 0.075f * s));
}

static void shade_ball(const object *o, float u, float v, float s, float roll, float *rgb)
{
    float d = length(u, v);
    if (d > s + 1)
        return;
    float z = sqrtf(most(0, 1 - d * d / (s * s)));
    float nx = u / s, ny = v / s, tilted = clampf(nx * 0.8f + z * 0.6f, -1, 1);
    float band = sinf(3.0f * asinf(tilted) + roll);
    float white = clampf((band - 0.72f) * 8, 0, 1) * 0.75f;
    float diffuse = 0.30f + 0.78f * most(0, -0.45f * nx - 0.55f * ny + 0.70f * z);
    float shine = powf(most(0, -0.33f * nx - 0.42f * ny + 0.85f * z), 40) * 0.9f;
    float tint[3] = {o->r, o->g, o->b};
    paint(tint, 0.95f, 0.95f, 0.95f, white);
    paint(rgb, clampf(tint[0] * diffuse + shine, 0, 1), clampf(tint[1] * diffuse + shine, 0, 1),
          clampf(tint[2] * diffuse + shine, 0, 1), cover(d - s));
}

static void draw_object(source *src, const horus_image *img, const object *o, uint64_t time_ns)
{
    double t = (double)time_ns * 1e-9, scale = img->height_px / 540.0;
    double x = (o->cx + o->ax * sin(o->wx * t + o->px)) * img->width_px;
    double y = (o->cy + o->ay * sin(o->wy * t + o->py)) * img->height_px;
    float dx = (float)(o->ax * o->wx * cos(o->wx * t + o->px) * img->width_px);
    float dy = (float)(o->ay * o->wy * cos(o->wy * t + o->py) * img->height_px);
    float speed = most(length(dx, dy), 1e-3f), c = dx / speed, sn = dy / speed;
    float s = o->size_px * (float)scale, half_x = s, half_y = s;
    if (!o->ball) { /* the box around a turned one, wheels included */
        half_x = s * (fabsf(c) + 0.71f * fabsf(sn)) - 0.1f * s;
        half_y = s * (fabsf(sn) + 0.71f * fabsf(c)) - 0.1f * s;
    }
    if (src->truth)
        fprintf(src->truth, "%llu,%s,%.1f,%.1f,%.1f,%.1f\n", (unsigned long long)time_ns, o->name,
                x - (double)half_x, y - (double)half_y, 2 * (double)half_x, 2 * (double)half_y);
    float drop = (o->ball ? 0.30f : 0.16f) * s, reach = 1.3f * s + drop + 8;
    int x0 = (int)fmax(0, x - (double)reach), x1 = (int)fmin(img->width_px, x + (double)reach);
    int y0 = (int)fmax(0, y - (double)reach), y1 = (int)fmin(img->height_px, y + (double)reach);
    for (int py = y0; py < y1; py++) {
        uint8_t *p = row_of(img, (uint32_t)py) + (size_t)x0 * 3;
        for (int px = x0; px < x1; px++, p += 3) {
            float ex = (float)((double)px + 0.5 - x), ey = (float)((double)py + 0.5 - y);
            float sx = ex - drop, sy = ey - drop, far = length(sx, sy) - s;
            if (!o->ball)
                far = box_distance(c * sx + sn * sy, c * sy - sn * sx, s, 0.6f * s, 0.24f * s);
            float shadow = clampf(0.5f - far / 14, 0, 1) * 0.34f;
            if (shadow <= 0 && length(ex, ey) > 1.2f * s)
                continue;
            float rgb[3] = {(float)p[0] / 255, (float)p[1] / 255, (float)p[2] / 255};
            paint(rgb, 0, 0, 0, shadow);
            if (o->ball)
                shade_ball(o, ex, ey, s, (float)fmod(t * 3, 6.2831853), rgb);
            else
                shade_robot(o, c * ex + sn * ey, c * ey - sn * ex, s, rgb);
            for (int k = 0; k < 3; k++)
                p[k] = (uint8_t)(255 * clampf(rgb[k], 0, 1) + 0.5f);
        }
    }
}

static bool scene_fill(source *src, const horus_image *img, uint64_t *time_ns)
{
    size_t line = (size_t)src->width_px * 3;
    for (uint32_t y = 0; y < src->height_px; y++)
        memcpy(row_of(img, y), src->floor + y * line, line);
    for (int i = 0; i < OBJECTS; i++) /* a function of the clock: a restarted camera goes on */
        draw_object(src, img, &objects[i], *time_ns);
    if (src->truth)
        fflush(src->truth);
    return true;
}

static bool scene_open(source *src)
{
    src->name = "rendered scene";
    src->fill = scene_fill;
    src->floor = malloc((size_t)src->width_px * src->height_px * 3);
    if (src->floor)
        render_floor(src->floor, src->width_px, src->height_px);
    return src->floor != NULL;
}

/* ---- pictures from files, panned over so that something moves */

#ifdef HAVE_STB
static bool photos_fill(source *src, const horus_image *img, uint64_t *time_ns)
{
    double t = (double)*time_ns * 1e-9, stay_s = 3;
    int which = (int)(fmod(t / stay_s, src->photo_count));
    int pw = src->photos[which].width_px, ph = src->photos[which].height_px;
    double aspect = (double)img->width_px / img->height_px;
    double cw = 0.8 * fmin(pw, ph * aspect), ch = cw / aspect; /* the part shown */
    double left = (pw - 1 - cw) * (0.5 + 0.5 * sin(t * 0.7)), step = cw / img->width_px;
    double top = (ph - 1 - ch) * (0.5 + 0.5 * sin(t * 0.45 + 1));
    for (uint32_t y = 0; y < img->height_px; y++) { /* bilinear, in 1/256 of a pixel */
        int fy = (int)((top + (y + 0.5) * step) * 256), iy = fy >> 8, v = fy & 255;
        const uint8_t *upper = src->photos[which].rgb + (size_t)iy * (size_t)pw * 3;
        const uint8_t *lower = iy + 1 < ph ? upper + (size_t)pw * 3 : upper;
        uint8_t *out = row_of(img, y);
        int fx = (int)((left + 0.5 * step) * 65536), dx = (int)(step * 65536);
        for (uint32_t x = 0; x < img->width_px; x++, fx += dx, out += 3) {
            int u = fx >> 8 & 255, i = (fx >> 16) * 3;
            for (int c = 0; c < 3; c++) {
                int a = upper[i + c] * (256 - u) + upper[i + c + 3] * u;
                int b = lower[i + c] * (256 - u) + lower[i + c + 3] * u;
                out[c] = (uint8_t)((a * (256 - v) + b * v) >> 16);
            }
        }
    }
    return true;
}

/* Averages f x f pixels into one, in place: a photo of 20 Mpx need not stay that large. */
static void shrink(uint8_t *rgb, int *width, int *height, int f)
{
    int w = *width / f, h = *height / f;
    size_t line = (size_t)*width * 3;
    for (int y = 0; y < h; y++) {
        for (int i = 0; i < w * 3; i++) {
            int sum = 0;
            const uint8_t *block = rgb + (size_t)(y * f) * line + (size_t)(i / 3 * f * 3 + i % 3);
            for (int k = 0; k < f * f; k++)
                sum += block[(size_t)(k / f) * line + (size_t)(k % f * 3)];
            rgb[(size_t)y * (size_t)w * 3 + (size_t)i] = (uint8_t)(sum / (f * f));
        }
    }
    *width = w;
    *height = h;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static bool photos_open(source *src, const char *dir)
{
    struct dirent **entries;
    int count = scandir(dir, &entries, NULL, by_name);
    if (count < 0) {
        fprintf(stderr, "camera: cannot read the directory %s: %s\n", dir, strerror(errno));
        return false;
    }
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name, *dot = strrchr(name, '.');
        bool wanted = dot && (!strcasecmp(dot, ".png") || !strcasecmp(dot, ".jpg") ||
                              !strcasecmp(dot, ".jpeg"));
        if (wanted && src->photo_count < MAX_PHOTOS) {
            char path[4096];
            int w, h, channels;
            snprintf(path, sizeof path, "%s/%s", dir, name);
            uint8_t *rgb = stbi_load(path, &w, &h, &channels, 3);
            if (rgb && w >= 16 && h >= 16) {
                int f = (int)fmin(w / (1.25 * src->width_px), h / (1.25 * src->height_px));
                if (f > 1)
                    shrink(rgb, &w, &h, f);
                src->photos[src->photo_count].rgb = rgb;
                src->photos[src->photo_count].width_px = w;
                src->photos[src->photo_count++].height_px = h;
            } else {
                fprintf(stderr, "camera: skipped %s: %s\n", path,
                        rgb ? "smaller than 16 x 16" : stbi_failure_reason());
                stbi_image_free(rgb);
            }
        }
        free(entries[i]);
    }
    free(entries);
    src->name = "pictures";
    src->fill = photos_fill;
    if (src->photo_count == 0)
        fprintf(stderr, "camera: no readable PNG or JPG file in %s\n", dir);
    return src->photo_count > 0;
}
#else
static bool photos_open(source *src, const char *dir)
{
    (void)src;
    fprintf(stderr,
            "camera: built without stb_image, so %s stays unread; apt-get install libstb-dev\n",
            dir);
    return false;
}
#endif

/* ---- a real camera */

#ifdef HAVE_V4L2
static int control(int fd, unsigned long request, void *arg)
{
    int r;
    do {
        r = ioctl(fd, request, arg);
    } while (r < 0 && errno == EINTR);
    return r;
}

static void yuyv_to_rgb(const uint8_t *in, uint8_t *out, uint32_t width)
{
    for (uint32_t x = 0; x + 1 < width; x += 2, in += 4, out += 6) {
        int d = in[1] - 128, e = in[3] - 128; /* BT.601, limited range */
        for (int k = 0; k < 2; k++) {
            int luma = 298 * (in[2 * k] - 16) + 128;
            int rgb[3] = {(luma + 409 * e) >> 8, (luma - 100 * d - 208 * e) >> 8,
                          (luma + 516 * d) >> 8};
            for (int c = 0; c < 3; c++)
                out[3 * k + c] = (uint8_t)(rgb[c] < 0 ? 0 : rgb[c] > 255 ? 255 : rgb[c]);
        }
    }
}

static bool v4l2_fill(source *src, const horus_image *img, uint64_t *time_ns)
{
    struct v4l2_buffer buffer = {.type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_MMAP};
    if (ioctl(src->fd, VIDIOC_DQBUF, &buffer) != 0) /* EINTR: perhaps it is to stop */
        return false;
    if (buffer.index >= MAX_BUFFERS) {
        errno = ERANGE;
        return false;
    }
    if (buffer.flags & V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC)
        *time_ns = (uint64_t)buffer.timestamp.tv_sec * 1000000000 +
                   (uint64_t)buffer.timestamp.tv_usec * 1000;
    else
        *time_ns = horus_now_ns();
    const uint8_t *in = src->buffers[buffer.index].data;
    if ((size_t)src->step_bytes * src->height_px <= src->buffers[buffer.index].bytes)
        for (uint32_t y = 0; y < src->height_px; y++)
            yuyv_to_rgb(in + (size_t)y * src->step_bytes, row_of(img, y), src->width_px);
    return control(src->fd, VIDIOC_QBUF, &buffer) == 0;
}

static bool v4l2_open(source *src, const char *device)
{
    int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    struct v4l2_format format = {.type = V4L2_BUF_TYPE_VIDEO_CAPTURE};
    struct v4l2_requestbuffers request = {
        .count = MAX_BUFFERS, .type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_MMAP};
    struct v4l2_streamparm pace = {.type = V4L2_BUF_TYPE_VIDEO_CAPTURE};
    src->fd = open(device, O_RDWR | O_CLOEXEC);
    if (src->fd < 0)
        return false;
    format.fmt.pix.width = src->width_px; /* wishes: the driver answers with what it has */
    format.fmt.pix.height = src->height_px;
    format.fmt.pix.pixelformat = V4L2_PIX_FMT_YUYV;
    if (control(src->fd, VIDIOC_S_FMT, &format) != 0 ||
        format.fmt.pix.pixelformat != V4L2_PIX_FMT_YUYV || format.fmt.pix.width < 16 ||
        format.fmt.pix.height < 16 || control(src->fd, VIDIOC_REQBUFS, &request) != 0 ||
        request.count > MAX_BUFFERS) {
        fprintf(stderr, "camera: %s gives no YUYV stream\n", device);
        close(src->fd);
        return false;
    }
    for (uint32_t i = 0; i < request.count; i++) {
        struct v4l2_buffer buffer = {.index = i, .type = request.type, .memory = request.memory};
        if (control(src->fd, VIDIOC_QUERYBUF, &buffer) != 0)
            return false;
        void *p = mmap(NULL, buffer.length, PROT_READ, MAP_SHARED, src->fd, (off_t)buffer.m.offset);
        if (p == MAP_FAILED || control(src->fd, VIDIOC_QBUF, &buffer) != 0)
            return false;
        src->buffers[i].data = p;
        src->buffers[i].bytes = buffer.length;
    }
    src->name = device;
    src->fill = v4l2_fill;
    /* The hardware sets the pace. Ticks that are a little faster wait for the frame, and now and then
     * one is left out; were they slower, frames would wait for them in the driver. */
    const struct v4l2_fract *period = &pace.parm.capture.timeperframe;
    if (control(src->fd, VIDIOC_G_PARM, &pace) == 0 && period->numerator && period->denominator)
        src->rate_hz = 1.01 * period->denominator / period->numerator;
    src->width_px = format.fmt.pix.width & ~1u;
    src->height_px = format.fmt.pix.height;
    src->step_bytes = format.fmt.pix.bytesperline;
    return control(src->fd, VIDIOC_STREAMON, &type) == 0;
}
#else
static bool v4l2_open(source *src, const char *device)
{
    (void)src, (void)device;
    return false;
}
#endif

/* ---- the program */

static horus_topic *camera;

static horus_result send_frame(void *user, horus_tick *t)
{
    source *src = user;
    horus_image img;
    uint64_t exposed_ns = t->now_ns;
    horus_result r =
        horus_image_alloc(&img, NULL, src->width_px, src->height_px, HORUS_RGB8, HORUS_UNINIT);
    if (r != HORUS_OK) {
        fprintf(stderr, "camera: dropped a frame: %s\n", horus_last_error());
        return HORUS_OK;
    }
    if (src->fill(src, &img, &exposed_ns)) {
        horus_frame_set_id(&img.frame, src->name);
        horus_frame_set_time(&img.frame, exposed_ns);
        if (horus_topic_send_image(camera, &img, HORUS_NO_WAIT) != HORUS_OK)
            fprintf(stderr, "camera: %s\n", horus_last_error());
    } else if (errno != EINTR) {
        fprintf(stderr, "camera: %s gives no more frames: %s\n", src->name, strerror(errno));
        r = HORUS_E_CLOSED;
    }
    horus_image_release(&img);
    return r;
}

int main(int argc, char **argv)
{
    static source src = {.width_px = 960, .height_px = 540, .rate_hz = 30};
    const char *images = NULL, *truth = NULL;
    bool scene = false;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(argv[i], "--scene"))
            scene = true;
        else if (!strcmp(argv[i], "--images") && *value)
            images = argv[++i];
        else if (!strcmp(argv[i], "--truth") && *value)
            truth = argv[++i];
        else if (!strcmp(argv[i], "--fps") && (src.rate_hz = atof(value)) > 0.01)
            i++;
        else if (!strcmp(argv[i], "--size") &&
                 sscanf(value, "%ux%u", &src.width_px, &src.height_px) == 2 &&
                 src.width_px - 64 <= 8192 && src.height_px - 64 <= 8192)
            i++;
        else
            return fprintf(stderr, "usage: camera [--images DIR | --scene] [--size 960x540] "
                                   "[--fps 30] [--truth FILE]\n"),
                   2;
    }
    if (images ? !photos_open(&src, images)
               : (scene || !v4l2_open(&src, "/dev/video0")) && !scene_open(&src))
        return 2;
    if (truth && !(src.truth = fopen(truth, "a")))
        return fprintf(stderr, "camera: cannot write %s: %s\n", truth, strerror(errno)), 2;

    horus_scheduler *scheduler;
    if (horus_topic_open(&camera, "camera", &(horus_topic_desc){.type = &horus_image_type}) != 0 ||
        horus_scheduler_open(
            &scheduler, &(horus_scheduler_desc){.name = "camera", .flags = HORUS_SIGNALS}) != 0 ||
        horus_scheduler_add(scheduler, &(horus_node_desc){.name = "camera",
                                                          .tick = send_frame,
                                                          .user = &src,
                                                          .rate_hz = src.rate_hz,
                                                          .on_failure = HORUS_FAILURE_FATAL}) != 0)
        return fprintf(stderr, "camera: %s\n", horus_last_error()), 1;
    printf("camera: %s, %u x %u rgb8\n", src.name, src.width_px, src.height_px);
    fflush(stdout);

    horus_result r = horus_scheduler_run(scheduler, HORUS_FOREVER);
    if (r < 0)
        fprintf(stderr, "camera: %s\n", horus_last_error());
    horus_scheduler_close(scheduler);
    horus_topic_close(camera);
    return r < 0;
}
