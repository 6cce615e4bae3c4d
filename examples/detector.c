/* detector: finds what moves, or what stands out, in the rgb8 frames of the topic "camera" and
 * sends the boxes on "detections". Frames are read where the camera wrote them, never copied: a
 * node of a scheduler that each frame wakes.
 *
 *     gcc -O2 -I.. detector.c -o detector -lm          in this directory
 *
 * Standing camera: what differs from the background, the median of the last seconds. Moving camera
 * (most edges have moved): what stands out from the frame's border. Cells of 4 x 4 pixels. */
#define HORUS_IMPLEMENTATION
#include "horus.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CELL = 4, SAMPLES = 15, MAX_FOUND = 64, MAX_TRACKS = 64, THIN = 3 /* cells */ };
enum { CHANGE = 26, EDGE = 40 }; /* grey levels that count as a change, as an edge */

typedef struct model {
    int w, h; /* cells */
    uint8_t *now, *median, *samples[SAMPLES];
    uint8_t *upper, *lower, *plane, *mask;
    float *score;
    int *queue;
    uint64_t sample_count, next_sample_ns;
} model;

typedef struct track {
    uint32_t id;
    float x, y, vx, vy;
    uint64_t seen_ns;
} track;

/* Makes room for another frame size and forgets what was learnt. */
static bool model_resize(model *m, int w, int h)
{
    size_t cells = (size_t)w * (size_t)h;
    free(m->now);
    free(m->score);
    free(m->queue);
    *m = (model){.w = w, .h = h};
    uint8_t *bytes = calloc(cells, 3 * (SAMPLES + 2) + 4);
    m->now = bytes;
    m->score = calloc(cells, sizeof(float));
    m->queue = calloc(cells, sizeof(int));
    if (!bytes || !m->score || !m->queue) {
        m->w = m->h = 0;
        return false;
    }
    m->median = bytes + cells * 3;
    for (int i = 0; i < SAMPLES; i++)
        m->samples[i] = bytes + cells * 3 * (size_t)(i + 2);
    m->upper = bytes + cells * 3 * (SAMPLES + 2);
    m->lower = m->upper + cells;
    m->plane = m->lower + cells;
    m->mask = m->plane + cells;
    return true;
}

static void reduce(model *m, const horus_image *img)
{
    uint8_t *out = m->now;
    for (int cy = 0; cy < m->h; cy++) {
        const uint8_t *line = (const uint8_t *)img->data + (size_t)cy * CELL * img->stride_bytes;
        for (int cx = 0; cx < m->w; cx++, out += 3) {
            uint32_t sum[3] = {0, 0, 0};
            for (int y = 0; y < CELL; y++) {
                const uint8_t *p = line + (size_t)y * img->stride_bytes + (size_t)cx * CELL * 3;
                for (int x = 0; x < CELL; x++, p += 3)
                    for (int c = 0; c < 3; c++)
                        sum[c] += p[c];
            }
            for (int c = 0; c < 3; c++)
                out[c] = (uint8_t)(sum[c] / (CELL * CELL));
        }
    }
}

/* Adds this frame to the samples and takes their median: what stands still most of the time. Once
 * that is known, places where something moves now (mask) are left as they are. */
static void learn(model *m, uint64_t now_ns, bool all)
{
    if (now_ns < m->next_sample_ns)
        return;
    m->next_sample_ns = now_ns + (m->sample_count < SAMPLES ? 100000000 : 400000000);
    size_t bytes = (size_t)m->w * (size_t)m->h * 3;
    uint8_t *sample = m->samples[m->sample_count % SAMPLES];
    for (size_t i = 0; i < bytes; i++)
        sample[i] = !all && m->sample_count >= SAMPLES && m->mask[i / 3] ? m->median[i] : m->now[i];
    m->sample_count++;
    int n = m->sample_count < SAMPLES ? (int)m->sample_count : SAMPLES;
    for (size_t i = 0; i < bytes; i++) {
        uint8_t sorted[SAMPLES];
        for (int k = 0; k < n; k++) {
            uint8_t v = m->samples[k][i];
            int j = k;
            for (; j > 0 && sorted[j - 1] > v; j--)
                sorted[j] = sorted[j - 1];
            sorted[j] = v;
        }
        m->median[i] = sorted[n / 2];
    }
}

/* How much a cell differs from the background; a shadow (darker, the same hue) does not. */
static float change(const uint8_t *now, const uint8_t *before)
{
    int largest = 0, sum_now = now[0] + now[1] + now[2], sum = before[0] + before[1] + before[2];
    float ratio = (float)(sum_now + 1) / (float)(sum + 1), hue = 0;
    for (int c = 0; c < 3; c++) {
        int d = abs(now[c] - before[c]);
        largest = d > largest ? d : largest;
        hue = fmaxf(hue, fabsf((float)now[c] - (float)before[c] * ratio));
    }
    return ratio > 0.5f && ratio < 1 && hue < 12 ? 0 : (float)largest;
}

/* Fills score and mask from the background. Returns the share of edges that have moved. */
static double find_moving(model *m)
{
    int edges = 1, moved = 0;
    for (int y = 0, i = 0; y < m->h; y++) {
        for (int x = 0; x < m->w; x++, i++) {
            const uint8_t *p = m->now + i * 3;
            m->score[i] = change(p, m->median + i * 3);
            m->mask[i] = m->score[i] > CHANGE;
            if (x + 1 < m->w && y + 1 < m->h &&
                abs(p[1] - p[4]) + abs(p[1] - p[m->w * 3 + 1]) > EDGE) {
                edges++;
                moved += m->mask[i];
            }
        }
    }
    return (double)moved / edges;
}

/* One raster pass of the minimum barrier distance: how much a plane must rise and fall at least on
 * the way here from the frame's upper or side border. `upper` and `lower` are the extremes of the
 * best way found so far. */
static void barrier_pass(model *m, const uint8_t *plane, bool forward)
{
    int cells = m->w * m->h, back = forward ? -1 : 1;
    for (int k = 0; k < cells; k++) {
        int i = forward ? k : cells - 1 - k, x = i % m->w, y = i / m->w, v = plane[i];
        int beside = x + back >= 0 && x + back < m->w ? i + back : i;
        int above = y + back >= 0 && y + back < m->h ? i + back * m->w : i;
        for (int n = 0; n < 2; n++) {
            int j = n ? above : beside;
            int high = m->upper[j] > v ? m->upper[j] : v, low = m->lower[j] < v ? m->lower[j] : v;
            if (high - low < m->upper[i] - m->lower[i]) {
                m->upper[i] = (uint8_t)high;
                m->lower[i] = (uint8_t)low;
            }
        }
    }
}

/* Fills score and mask from the frame alone: what no smooth way from the border leads to. */
static void find_salient(model *m)
{
    int cells = m->w * m->h;
    uint32_t histogram[256] = {0};
    memset(m->score, 0, (size_t)cells * sizeof m->score[0]);
    for (int plane = 0; plane < 3; plane++) { /* luma, red against green, yellow against blue */
        static const float weights[3] = {0.3f, 1.2f, 0.8f};
        for (int i = 0; i < cells; i++) {
            const uint8_t *p = m->now + i * 3;
            bool border = i < m->w || i % m->w == 0 || i % m->w == m->w - 1;
            m->plane[i] = (uint8_t)(plane == 0   ? (p[0] + p[1] + p[2]) / 3
                                    : plane == 1 ? 128 + (p[0] - p[1]) / 2
                                                 : 128 + (p[0] + p[1]) / 4 - p[2] / 2);
            m->upper[i] = border ? m->plane[i] : 255;
            m->lower[i] = border ? m->plane[i] : 0;
        }
        for (int pass = 0; pass < 4; pass++)
            barrier_pass(m, m->plane, pass % 2 == 0);
        for (int i = 0; i < cells; i++)
            m->score[i] += weights[plane] * (float)(m->upper[i] - m->lower[i]);
    }
    for (int i = 0; i < cells; i++)
        m->score[i] = fminf(m->score[i], 255);
    double total = 0, below = 0, count = 0, best = -1;
    for (int i = 0; i < cells; i++) {
        histogram[(int)m->score[i]]++;
        total += (int)m->score[i];
    }
    int threshold = 0; /* Otsu's: the two sides differ the most */
    for (int t = 0; t < 255; t++) {
        count += histogram[t];
        below += (double)t * histogram[t];
        double apart =
            count > 0 && count < cells ? below / count - (total - below) / (cells - count) : 0;
        if (count * (cells - count) * apart * apart > best) {
            best = count * (cells - count) * apart * apart;
            threshold = t;
        }
    }
    for (int i = 0; i < cells; i++)
        m->mask[i] = m->score[i] > (float)(threshold > CHANGE ? threshold : CHANGE);
    for (int times = 0; times < THIN; times++) { /* thin bridges between things fall away */
        memcpy(m->upper, m->mask, (size_t)cells);
        for (int i = 0; i < cells; i++)
            m->mask[i] = m->upper[i] && (i % m->w == 0 || m->upper[i - 1]) &&
                         ((i + 1) % m->w == 0 || m->upper[i + 1]) &&
                         (i < m->w || m->upper[i - m->w]) &&
                         (i >= cells - m->w || m->upper[i + m->w]);
    }
}

static void name_colour(const double *rgb, horus_detection *d)
{
    static const struct {
        double below; /* degrees of hue */
        const char *name;
        uint32_t id;
    } hues[] = {{15, "red", 0},   {40, "orange", 1}, {70, "yellow", 2},   {165, "green", 3},
                {195, "cyan", 4}, {260, "blue", 5},  {345, "magenta", 6}, {361, "red", 0}};
    double r = rgb[0], g = rgb[1], b = rgb[2];
    double high = fmax(r, fmax(g, b)), low = fmin(r, fmin(g, b));
    double hue = high <= low ? 0
                 : high == r ? (g - b) / (high - low)
                 : high == g ? 2 + (b - r) / (high - low)
                             : 4 + (r - g) / (high - low);
    hue = fmod(hue * 60 + 360, 360);
    for (size_t i = 0; i < sizeof hues / sizeof hues[0]; i++) {
        if (hue < hues[i].below) {
            snprintf(d->class_name, sizeof d->class_name, "%s", hues[i].name);
            d->class_id = hues[i].id;
            return;
        }
    }
}

/* How uneven an image is over some cells. */
static int unevenness(const model *m, const uint8_t *image, const int *cells, int count)
{
    int sum = 0;
    for (int k = 0; k < count; k++) {
        int x = cells[k] % m->w, y = cells[k] / m->w;
        const uint8_t *p = image + cells[k] * 3;
        for (int c = 0; c < 3 && x + 1 < m->w && y + 1 < m->h; c++)
            sum += abs(p[c] - p[c + 3]) + abs(p[c] - p[m->w * 3 + c]);
    }
    return sum;
}

/* True where the difference is in the background only: something stood there while it was learnt
 * and has left. The place is learnt anew. */
static bool is_ghost(model *m, const int *cells, int count)
{
    if (2 * unevenness(m, m->now, cells, count) > unevenness(m, m->median, cells, count))
        return false;
    for (int k = 0; k < count; k++)
        for (int s = 0; s < SAMPLES + 1; s++) /* the median lies before the samples */
            memcpy(m->median + (size_t)s * (size_t)(m->w * m->h * 3) + cells[k] * 3,
                   m->now + cells[k] * 3, 3);
    return true;
}

static float area(const horus_detection *d) { return d->bbox.width * d->bbox.height; }

/* The connected parts of the mask that are large enough, the largest first. */
static int find_parts(model *m, bool salient, horus_detection *out)
{
    static const int near[8][2] = {{1, 0}, {-1, 0}, {0, 1},  {0, -1},
                                   {1, 1}, {-1, 1}, {1, -1}, {-1, -1}};
    int found = 0, least = salient ? m->w * m->h / 120 : 12;
    for (int start = 0; start < m->w * m->h; start++) {
        int count = 0, seen = 0, x0 = m->w, y0 = m->h, x1 = 0, y1 = 0;
        double strength = 0, rgb[3] = {0, 0, 0};
        if (m->mask[start]) {
            m->queue[count++] = start;
            m->mask[start] = 0;
        }
        while (seen < count) {
            int i = m->queue[seen++], x = i % m->w, y = i / m->w;
            const uint8_t *p = m->now + i * 3;
            int high = p[0] > p[1] ? p[0] : p[1], low = p[0] < p[1] ? p[0] : p[1];
            high = p[2] > high ? p[2] : high;
            low = p[2] < low ? p[2] : low;
            for (int c = 0; c < 3; c++) /* vivid cells say what colour it is */
                rgb[c] += (double)(p[c] * (high - low)) * (high - low);
            strength += (double)m->score[i];
            x0 = x < x0 ? x : x0, x1 = x > x1 ? x : x1;
            y0 = y < y0 ? y : y0, y1 = y > y1 ? y : y1;
            for (int k = 0; k < 8; k++) {
                int u = x + near[k][0], v = y + near[k][1];
                if (u >= 0 && v >= 0 && u < m->w && v < m->h && m->mask[v * m->w + u]) {
                    m->mask[v * m->w + u] = 0;
                    m->queue[count++] = v * m->w + u;
                }
            }
        }
        if (count < least || found == MAX_FOUND || (!salient && is_ghost(m, m->queue, count)))
            continue;
        if (salient) { /* what find_salient() took off */
            x0 = x0 > THIN ? x0 - THIN : 0, x1 = x1 + THIN < m->w ? x1 + THIN : m->w - 1;
            y0 = y0 > THIN ? y0 - THIN : 0, y1 = y1 + THIN < m->h ? y1 + THIN : m->h - 1;
        }
        horus_detection d = {.confidence = (float)(1 - exp(-strength / count / 30)),
                             .bbox = {.x = (float)(x0 * CELL),
                                      .y = (float)(y0 * CELL),
                                      .width = (float)((x1 - x0 + 1) * CELL),
                                      .height = (float)((y1 - y0 + 1) * CELL)}};
        if (salient) {
            snprintf(d.class_name, sizeof d.class_name, "salient");
            d.class_id = 7;
        } else {
            name_colour(rgb, &d);
        }
        int at = found++;
        for (; at > 0 && area(&out[at - 1]) < area(&d); at--)
            out[at] = out[at - 1];
        out[at] = d;
    }
    return found;
}

/* Gives each box the number of the track that it continues, or a new one. */
static void follow(track *tracks, horus_detection *found, int count, uint64_t now_ns)
{
    static uint32_t last_id;
    for (int i = 0; i < count; i++) {
        const horus_bounding_box2d *box = &found[i].bbox;
        float x = box->x + box->width / 2, y = box->y + box->height / 2;
        float nearest = 30 + (box->width + box->height) / 4;
        track *best = NULL, *oldest = &tracks[0];
        for (int k = 0; k < MAX_TRACKS; k++) {
            track *t = &tracks[k];
            float dt = (float)(now_ns - t->seen_ns) * 1e-9f;
            if (t->seen_ns < oldest->seen_ns)
                oldest = t;
            if (t->id == 0 || t->seen_ns == now_ns || dt > 0.5f)
                continue;
            float away = hypotf(t->x + t->vx * dt - x, t->y + t->vy * dt - y);
            if (away < nearest) {
                nearest = away;
                best = t;
            }
        }
        if (best) {
            float dt = (float)(now_ns - best->seen_ns) * 1e-9f;
            best->vx += 0.3f * ((x - best->x) / dt - best->vx);
            best->vy += 0.3f * ((y - best->y) / dt - best->vy);
        } else {
            best = oldest;
            *best = (track){.id = ++last_id};
        }
        best->x = x;
        best->y = y;
        best->seen_ns = now_ns;
        found[i].instance_id = best->id;
    }
}

/* ---- the program */

static horus_topic *camera, *detections;

static horus_result look(void *user, horus_tick *t)
{
    static model m;
    static track tracks[MAX_TRACKS];
    horus_detection found[MAX_FOUND];
    horus_image img;
    horus_info info;
    (void)user;
    horus_topic_skip_to_latest(camera, NULL); /* late? the newest frame matters */
    horus_result r = horus_topic_receive_image(camera, &img, &info, HORUS_NO_WAIT);
    if (r != HORUS_OK)
        return r;

    int w = (int)img.width_px / CELL, h = (int)img.height_px / CELL, n = 0;
    uint64_t time_ns = info.publish_ns;
    horus_frame_get_time(&img.frame, &time_ns);
    horus_tick_used(t, time_ns);
    if (img.encoding == HORUS_RGB8 && w > 1 && h > 1 &&
        ((w == m.w && h == m.h) || model_resize(&m, w, h))) {
        reduce(&m, &img);
        bool salient = find_moving(&m) > 0.5;
        learn(&m, t->now_ns, salient);
        if (salient)
            find_salient(&m);
        if (salient || m.sample_count > SAMPLES / 2) /* before, the background is a guess */
            n = find_parts(&m, salient, found);
        follow(tracks, found, n, t->now_ns);
    }

    struct {
        horus_detections head;
        horus_detection items[MAX_FOUND];
    } message = {.head = {.timestamp_ns = time_ns, .image_seq = info.sequence}};
    size_t bytes = sizeof message.head;
    horus_frame_get_id(&img.frame, message.head.frame_id);
    horus_image_release(&img);
    horus_message_append(&message, sizeof message, &bytes, &message.head.items, found, (size_t)n,
                         sizeof found[0]);
    if (horus_topic_send(detections, &message, bytes, HORUS_NO_WAIT) != HORUS_OK)
        fprintf(stderr, "detector: %s\n", horus_last_error());
    return HORUS_OK;
}

int main(void)
{
    horus_scheduler *scheduler;
    if (horus_topic_open(&camera, "camera", &(horus_topic_desc){.type = &horus_image_type}) != 0 ||
        horus_topic_open(&detections, "detections",
                         &(horus_topic_desc){.type = &horus_detections_type}) != 0 ||
        horus_scheduler_open(
            &scheduler, &(horus_scheduler_desc){.name = "detector", .flags = HORUS_SIGNALS}) != 0 ||
        horus_scheduler_add(scheduler, &(horus_node_desc){.name = "detector",
                                                          .tick = look,
                                                          .on_topic = camera,
                                                          .on_failure = HORUS_FAILURE_FATAL}) != 0)
        return fprintf(stderr, "detector: %s\n", horus_last_error()), 1;
    horus_result r = horus_scheduler_run(scheduler, HORUS_FOREVER);
    if (r < 0)
        fprintf(stderr, "detector: %s\n", horus_last_error());
    horus_scheduler_close(scheduler);
    horus_topic_close(camera);
    horus_topic_close(detections);
    horus_context *context; /* two threads used it: close it, and it is left at once and tidily */
    if (horus_context_default(&context) == HORUS_OK)
        horus_context_close(context);
    return r < 0;
}
