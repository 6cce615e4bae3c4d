/* recorder: draws what "detections" says over the frames of "camera" and writes PNG pictures.
 *
 *     gcc -O2 -I.. recorder.c -o recorder -lm -pthread     in this directory; needs libstb-dev
 *     ./recorder [--out DIR] [--every MS]              default: ./pictures, every 500 ms
 *
 * It keeps the newest frames until their boxes arrive: a frame that is held is never overwritten,
 * however many follow it. Beside the pictures, detections.csv has a line for each box.
 *
 * Two nodes of a scheduler: one that each frame wakes, and one that encodes, on a thread of its own
 * since that takes long. */
#define HORUS_IMPLEMENTATION
#include "horus.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <dirent.h>
#include <unistd.h>

#if __has_include(<stb/stb_easy_font.h>)
#include <stb/stb_easy_font.h>
#elif __has_include(<stb_easy_font.h>)
#include <stb_easy_font.h>
#else
#error "recorder.c needs the stb headers: apt-get install libstb-dev"
#endif

enum { KEPT = 8, TRAIL = 45, TRACKS = 64, CLASSES = 8, BAR = 56 /* px */ };

/* ---- drawing into rgb8 */

typedef struct colour {
    uint8_t r, g, b;
} colour;

static const colour palette[CLASSES] = {{255, 64, 64},  {255, 150, 30}, {255, 228, 50},
                                        {60, 230, 90},  {50, 225, 230}, {90, 150, 255},
                                        {240, 90, 240}, {170, 255, 0}};
static const colour white = {240, 242, 245}, black = {12, 14, 18};

static void blend(const horus_image *img, int x0, int y0, int w, int h, colour c, int alpha)
{
    for (int y = y0 < 0 ? 0 : y0; y < y0 + h && y < (int)img->height_px; y++) {
        for (int x = x0 < 0 ? 0 : x0; x < x0 + w && x < (int)img->width_px; x++) {
            uint8_t *p = (uint8_t *)img->data + (size_t)y * img->stride_bytes + (size_t)x * 3;
            p[0] = (uint8_t)(p[0] + (c.r - p[0]) * alpha / 255);
            p[1] = (uint8_t)(p[1] + (c.g - p[1]) * alpha / 255);
            p[2] = (uint8_t)(p[2] + (c.b - p[2]) * alpha / 255);
        }
    }
}

/* Draws text with 2 x 2 pixels to a dot; returns its width in pixels. */
static int write_text(const horus_image *img, int x, int y, colour c, const char *format, ...)
{
    static char quads[64 * 1024];
    char line[160];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    int count = stb_easy_font_print(0, 0, line, NULL, quads, sizeof quads);
    for (int i = 0; i < count; i++) {
        float a[2], b[2]; /* opposite corners: vertices 0 and 2 of four, 16 bytes each */
        memcpy(a, quads + i * 64, sizeof a);
        memcpy(b, quads + i * 64 + 32, sizeof b);
        blend(img, x + 2 * (int)a[0], y + 2 * (int)a[1], 2 * (int)(b[0] - a[0]),
              2 * (int)(b[1] - a[1]), c, 255);
    }
    return 2 * stb_easy_font_width(line);
}

static colour colour_of(const horus_detection *d)
{
    return palette[(d->class_id == 7 ? d->instance_id : d->class_id) % CLASSES];
}

/* Thin sides, thick corners, a label above (inside, where there is no room). */
static void draw_box(const horus_image *img, const horus_detection *d)
{
    colour c = colour_of(d);
    int x = (int)d->bbox.x, y = (int)d->bbox.y, w = (int)d->bbox.width, h = (int)d->bbox.height;
    int arm = (w < h ? w : h) / 4, label_y = y >= 26 ? y - 24 : y + 6;
    blend(img, x, y, w, 2, c, 255);
    blend(img, x, y + h - 2, w, 2, c, 255);
    blend(img, x, y, 2, h, c, 255);
    blend(img, x + w - 2, y, 2, h, c, 255);
    for (int corner = 0; corner < 4; corner++) {
        int cx = corner & 1 ? x + w - arm : x, cy = corner & 2 ? y + h - 4 : y;
        blend(img, cx, cy, arm, 4, c, 255);
        cx = corner & 1 ? x + w - 4 : x, cy = corner & 2 ? y + h - arm : y;
        blend(img, cx, cy, 4, arm, c, 255);
    }
    char text[96];
    snprintf(text, sizeof text, "%s %u  %.2f", d->class_name, d->instance_id,
             (double)d->confidence);
    int wide = 2 * stb_easy_font_width(text) + 10;
    int label_x = x + wide > (int)img->width_px ? x + w - wide : x;
    blend(img, label_x, label_y, wide, 22, c, 235);
    write_text(img, label_x + 5, label_y + 4, black, "%s", text);
}

/* ---- what is known of the objects */

typedef struct trail {
    uint32_t id, length, next;
    colour c;
    float x[TRAIL], y[TRAIL];
    uint64_t seen_ns;
} trail;

typedef struct detections {
    uint64_t time_ns, sent_ns, image_seq;
    size_t count;
    horus_detection items[TRACKS];
} detections;

static void follow(trail *trails, const detections *d)
{
    for (size_t i = 0; i < d->count; i++) {
        const horus_detection *box = &d->items[i];
        if (box->class_id == 7)
            continue; /* salient regions of a moving camera: their way says nothing */
        trail *t = &trails[box->instance_id % TRACKS];
        if (t->id != box->instance_id)
            *t = (trail){.id = box->instance_id};
        t->x[t->next] = box->bbox.x + box->bbox.width / 2;
        t->y[t->next] = box->bbox.y + box->bbox.height / 2;
        t->next = (t->next + 1) % TRAIL;
        t->length += t->length < TRAIL;
        t->c = colour_of(box);
        t->seen_ns = d->time_ns;
    }
}

static void draw_trail(const horus_image *img, const trail *t)
{
    for (uint32_t k = 0; k < t->length; k++) { /* from the oldest, faint, to the newest */
        uint32_t i = (t->next + TRAIL - t->length + k) % TRAIL;
        int size = k > t->length / 2 ? 4 : 3;
        blend(img, (int)t->x[i] - size / 2, (int)t->y[i] - size / 2, size, size, t->c,
              40 + (int)(200 * k / t->length));
    }
}

/* ---- pictures: drawn by one node, encoded by another */

typedef struct picture {
    horus_image img; /* a private copy */
    detections found;
    uint64_t number;
} picture;

typedef struct writer {
    const char *dir;
    picture job;
    atomic_bool busy; /* a job is there, and it is the encoder's */
} writer;

static void write_picture(const writer *w)
{
    char path[4096], part[4096];
    /* A kill leaves a hidden part, never half a picture under a proper name. */
    snprintf(part, sizeof part, "%s/.part.png", w->dir);
    snprintf(path, sizeof path, "%s/picture_%04llu.png", w->dir, (unsigned long long)w->job.number);
    if (horus_image_write(&w->job.img, part) != HORUS_OK)
        fprintf(stderr, "recorder: %s\n", horus_last_error());
    else if (rename(part, path) != 0)
        fprintf(stderr, "recorder: cannot write %s: %s\n", path, strerror(errno));
    snprintf(path, sizeof path, "%s/detections.csv", w->dir);
    FILE *csv = fopen(path, "a");
    for (size_t i = 0; csv && i < w->job.found.count; i++) {
        const horus_detection *d = &w->job.found.items[i];
        colour c = colour_of(d);
        fprintf(csv, "picture_%04llu.png,%llu,%s,%u,%.2f,%.0f,%.0f,%.0f,%.0f,%02x%02x%02x\n",
                (unsigned long long)w->job.number, (unsigned long long)w->job.found.time_ns,
                d->class_name, d->instance_id, (double)d->confidence, (double)d->bbox.x,
                (double)d->bbox.y, (double)d->bbox.width, (double)d->bbox.height, c.r, c.g, c.b);
    }
    if (csv)
        fclose(csv);
}

/* The encoder's shutdown, too: the last picture is not lost. */
static horus_result encode(void *user)
{
    writer *w = user;
    if (atomic_load(&w->busy)) {
        write_picture(w);
        horus_image_release(&w->job.img);
        atomic_store(&w->busy, false);
    }
    return HORUS_OK;
}
static horus_result encode_tick(void *user, horus_tick *t)
{
    if (t->count == 0)
        (void)!nice(10); /* of this thread: encoding may wait, receiving not */
    return encode(user);
}

/* Draws over a copy of the frame and hands it to the writer. */
static void make_picture(writer *w, const horus_image *frame, const detections *found,
                         const trail *trails, uint64_t sequence)
{
    horus_image img;
    if (frame->encoding != HORUS_RGB8 || horus_image_copy(&img, frame, NULL) != HORUS_OK) {
        fprintf(stderr, "recorder: no picture of frame %llu: %s\n", (unsigned long long)sequence,
                frame->encoding != HORUS_RGB8 ? "it is not rgb8" : horus_last_error());
        return;
    }
    for (int k = 0; found && k < TRACKS; k++)
        if (trails[k].id != 0 && found->time_ns - trails[k].seen_ns < 1000000000)
            draw_trail(&img, &trails[k]);
    for (size_t i = found ? found->count : 0; i-- > 0;)
        draw_box(&img, &found->items[i]);
    int bar = (int)img.height_px - BAR, x = 12, shown = 0; /* the legend */
    blend(&img, 0, bar, (int)img.width_px, BAR, black, 200);
    x += write_text(&img, x, bar + 8, white, "frame %llu   %u x %u rgb8",
                    (unsigned long long)sequence, img.width_px, img.height_px);
    write_text(&img, x + 36, bar + 8, white, "%s", found ? "" : "the detector is away");
    if (found) {
        write_text(&img, x + 36, bar + 8, white, "%u object%s, boxes %.1f ms after exposure",
                   (unsigned)found->count, found->count == 1 ? "" : "s",
                   (double)(found->sent_ns - found->time_ns) * 1e-6);
        x = 12;
        for (size_t i = 0; i < found->count; i++) {
            const horus_detection *d = &found->items[i];
            if (shown++ == 7)
                break;
            blend(&img, x, bar + 32, 14, 14, colour_of(d), 255);
            x += 34 +
                 write_text(&img, x + 20, bar + 32, white, "%s %u", d->class_name, d->instance_id);
        }
        w->job.found = *found;
    } else {
        w->job.found.count = 0;
    }
    w->job.img = img;
    w->job.number++;
    atomic_store(&w->busy, true);
}

/* ---- the program */

static horus_topic *camera, *boxes;
static uint64_t every_ns = 500000000;
static struct {
    horus_image img;
    uint64_t time_ns, sequence;
} kept[KEPT];

/* Receives one message of detections. False: there is none, or it is not sound. */
static bool receive(detections *out)
{
    _Alignas(8) static uint8_t message[256 * 1024];
    horus_info info;
    const horus_detections *head = (const horus_detections *)message;
    const void *items;
    if (horus_topic_receive(boxes, message, sizeof message, &info, HORUS_NO_WAIT) != HORUS_OK ||
        horus_message_array(message, info.size, &head->items, sizeof out->items[0], &items,
                            &out->count) != HORUS_OK)
        return false;
    out->count = out->count < TRACKS ? out->count : TRACKS;
    if (out->count)
        memcpy(out->items, items, out->count * sizeof out->items[0]);
    out->time_ns = head->timestamp_ns;
    out->image_seq = head->image_seq;
    out->sent_ns = info.publish_ns;
    return true;
}

/* Keeps the frames that came, and draws a picture when one is due. */
static horus_result keep(void *user, horus_tick *t)
{
    static trail trails[TRACKS];
    static detections found;
    static uint64_t count, picture_ns;
    writer *w = user;
    horus_image img;
    horus_info info;
    horus_result r;
    while ((r = horus_topic_receive_image(camera, &img, &info, HORUS_NO_WAIT)) == HORUS_OK) {
        size_t slot = count++ % KEPT;
        horus_image_release(&kept[slot].img); /* the oldest; an empty one is refused, no harm */
        kept[slot].img = img;
        kept[slot].sequence = info.sequence;
        horus_frame_get_time(&img.frame, &kept[slot].time_ns);
    }
    while (receive(&found))
        follow(trails, &found);

    uint64_t now = t->now_ns;
    bool fresh = found.time_ns != 0 && now - found.time_ns < 1000000000;
    for (size_t i = 0; i < KEPT; i++) {
        bool newest = count > 0 && i == (count - 1) % KEPT;
        bool wanted =
            fresh ? kept[i].time_ns == found.time_ns : newest && now - kept[i].time_ns < every_ns;
        if (wanted && kept[i].img.data && now - picture_ns >= every_ns && !atomic_load(&w->busy)) {
            picture_ns = now;
            make_picture(w, &kept[i].img, fresh ? &found : NULL, trails, kept[i].sequence);
        }
    }
    return r;
}
static horus_result let_go(void *user)
{
    (void)user;
    for (size_t i = 0; i < KEPT; i++)
        horus_image_release(&kept[i].img);
    return HORUS_OK;
}

/* The number of the last picture in the directory: a restarted recorder goes on counting. */
static uint64_t last_number(const char *dir)
{
    unsigned long long last = 0, n;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));)
        if (sscanf(e->d_name, "picture_%llu.png", &n) == 1 && n > last)
            last = n;
    if (d)
        closedir(d);
    return last;
}

int main(int argc, char **argv)
{
    static writer w = {.dir = "pictures"};
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--out") && i + 1 < argc)
            w.dir = argv[++i];
        else if (!strcmp(argv[i], "--every") && i + 1 < argc && atoi(argv[i + 1]) > 0)
            every_ns = (uint64_t)atoi(argv[++i]) * 1000000;
        else
            return fprintf(stderr, "usage: recorder [--out DIR] [--every MS]\n"), 2;
    }
    if (mkdir(w.dir, 0777) != 0 && errno != EEXIST)
        return fprintf(stderr, "recorder: cannot make %s: %s\n", w.dir, strerror(errno)), 2;
    w.job.number = last_number(w.dir);

    horus_scheduler *scheduler;
    if (horus_topic_open(&camera, "camera", &(horus_topic_desc){.type = &horus_image_type}) != 0 ||
        horus_topic_open(&boxes, "detections",
                         &(horus_topic_desc){.type = &horus_detections_type}) != 0 ||
        horus_scheduler_open(
            &scheduler, &(horus_scheduler_desc){.name = "recorder", .flags = HORUS_SIGNALS}) != 0 ||
        horus_scheduler_add(scheduler, &(horus_node_desc){.name = "recorder",
                                                          .tick = keep,
                                                          .shutdown = let_go,
                                                          .user = &w,
                                                          .on_topic = camera,
                                                          .on_failure = HORUS_FAILURE_FATAL}) !=
            0 ||
        horus_scheduler_add(scheduler, &(horus_node_desc){.name = "encoder",
                                                          .tick = encode_tick,
                                                          .shutdown = encode,
                                                          .user = &w,
                                                          .rate_hz = 20,
                                                          .compute = true,
                                                          .budget_ns = 50000000,
                                                          .on_miss = HORUS_MISS_SKIP}) != 0)
        return fprintf(stderr, "recorder: %s\n", horus_last_error()), 1;
    horus_result r = horus_scheduler_run(scheduler, HORUS_FOREVER);
    if (r < 0)
        fprintf(stderr, "recorder: %s\n", horus_last_error());
    horus_scheduler_close(scheduler);
    horus_topic_close(camera);
    horus_topic_close(boxes);
    horus_context *context; /* threads used it: close it, and it is left at once and tidily */
    if (horus_context_default(&context) == HORUS_OK)
        horus_context_close(context);
    return r < 0;
}
