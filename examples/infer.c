/* A camera, an inference operator, and what it finds: messages, and boxes in the picture. Nodes of one scheduler;
 * the model reads the camera's frames where they are, and its results are read where it wrote them.
 *
 *     gcc -O2 -I.. infer.c -o infer -lm                in this directory; on old systems -pthread -ldl
 *     ./infer                                          a dry run: "identity" gives back what it takes
 *     ./infer model.onnx                               an ONNX model that takes uint8 48 x 64 x 3 and gives how
 *                                                      much a lamp each value is, by ONNX Runtime:
 *                                                      ORT_DYLIB_PATH=.../libonnxruntime.so.1.x
 */
#define HORUS_IMPLEMENTATION
#include "horus.h"

#include <stdio.h>

enum { WIDTH = 64, HEIGHT = 48, LAMP = 8, FRAMES = 50 };
typedef struct robot {
    horus_topic *camera, *results, *pictures, *lamps; /* a handle for each who sends or receives */
    horus_infer *eyes;
    unsigned frames;
} robot;

static void paint(const horus_image *image, int x, int y, int w, int h, uint8_t value)
{
    for (int i = y; i < y + h; i++)
        memset((uint8_t *)image->data + (size_t)i * image->stride_bytes + x * 3, value,
               (size_t)w * 3);
}
/* 30 frames a second, in each a lamp at another place. */
static horus_result take_picture(void *user, horus_tick *t)
{
    robot *r = user;
    horus_image image;
    horus_result e = horus_image_alloc(&image, NULL, WIDTH, HEIGHT, HORUS_RGB8, 0);
    if (e != HORUS_OK)
        return e;
    paint(&image, (int)(t->count % (WIDTH / LAMP)) * LAMP, 16, LAMP, LAMP, 200);
    e = horus_topic_send_image(r->camera, &image, HORUS_NO_WAIT);
    (void)horus_image_release(&image);
    return e;
}
/* The box around the values of a result that are above a half. */
static bool find(const horus_tensor *result, horus_detection *lamp)
{
    const uint8_t *v = result->data;
    int x0 = WIDTH, x1 = 0, y0 = HEIGHT, y1 = 0, most = 0;
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++, v += 3)
            if (*v > 127) {
                x0 = x < x0 ? x : x0;
                x1 = x > x1 ? x : x1;
                y0 = y < y0 ? y : y0;
                y1 = y > y1 ? y : y1;
                most = *v > most ? *v : most;
            }
    *lamp = (horus_detection){.timestamp_ns = horus_now_ns(),
                              .confidence = (float)most / 255,
                              .bbox = {.x = (float)x0,
                                       .y = (float)y0,
                                       .width = (float)(x1 - x0 + 1),
                                       .height = (float)(y1 - y0 + 1)},
                              .class_name = "lamp"};
    return most > 0;
}
/* Woken by each result: a message, and a box in a copy of the picture that it is of. */
static horus_result use_result(void *user, horus_tick *t)
{
    robot *r = user;
    horus_tensor result;
    horus_image picture, drawn;
    horus_detection lamp;
    horus_result e = horus_topic_receive_tensor(r->results, &result, NULL, HORUS_NO_WAIT);
    if (e != HORUS_OK)
        return e;
    bool found = horus_tensor_numel(&result) == WIDTH * HEIGHT * 3 && find(&result, &lamp);
    (void)horus_tensor_release(&result);
    e = horus_topic_receive_image(r->pictures, &picture, NULL, HORUS_NO_WAIT);
    if (e != HORUS_OK)
        return e;
    e = horus_image_copy(&drawn, &picture, NULL);
    (void)horus_image_release(&picture);
    if (e != HORUS_OK || !found)
        return e == HORUS_OK ? horus_image_release(&drawn) : e;
    int x = (int)lamp.bbox.x, y = (int)lamp.bbox.y, w = (int)lamp.bbox.width,
        h = (int)lamp.bbox.height;
    paint(&drawn, x, y, w, 1, 255);
    paint(&drawn, x, y + h - 1, w, 1, 255);
    paint(&drawn, x, y, 1, h, 255);
    paint(&drawn, x + w - 1, y, 1, h, 255);
    if (r->frames++ % 10 == 0)
        printf("%s %u at %d, %d (%.2f)\n", lamp.class_name, r->frames, x, y,
               (double)lamp.confidence);
    if (r->frames == FRAMES) {
        bool there = horus_image_write(&drawn, "found.png") == HORUS_OK;
        printf("%s\n", there ? "the last one is in found.png" : horus_last_error());
        horus_scheduler_stop(t->scheduler);
    }
    (void)horus_image_release(&drawn);
    return horus_topic_send(r->lamps, &lamp, sizeof lamp, HORUS_NO_WAIT);
}

int main(int argc, char **argv)
{
    robot r = {.frames = 0};
    horus_scheduler *s = NULL;
    horus_node_desc eyes;
    char report[2000];
    const horus_infer_entry model[] = {{"finder", argc > 1 ? argv[1] : argv[0]}, {NULL, NULL}};
    static const char *const takes[] = {"picture", NULL}, *const gives[] = {"result", NULL};
    static const horus_infer_list in[] = {{"finder", takes}, {NULL, NULL}};
    static const horus_infer_list out[] = {{"finder", gives}, {NULL, NULL}};

    const horus_topic_desc images = {.type = &horus_image_type},
                           tensors = {.type = &horus_tensor_type},
                           detections = {.type = &horus_detection_type};
    horus_topic *frames, *found;
    if (horus_topic_open(&r.camera, "eyes/camera", &images) ||
        horus_topic_open(&frames, "eyes/camera", &images) ||
        horus_topic_open(&r.pictures, "eyes/camera", &images) ||
        horus_topic_open(&found, "eyes/results", &tensors) ||
        horus_topic_open(&r.results, "eyes/results", &tensors) ||
        horus_topic_open(&r.lamps, "eyes/lamps", &detections))
        return fprintf(stderr, "%s\n", horus_last_error()), 1;
    const horus_infer_input from[] = {{.topic = frames, .tensor = "picture"}, {NULL, NULL, false}};
    if (horus_infer_open(&r.eyes,
                         &(horus_infer_desc){.name = "eyes",
                                             .backend = argc > 1 ? "onnxrt" : "identity",
                                             .model_path_map = model,
                                             .pre_processor_map = in,
                                             .inference_map = out,
                                             .inputs = from,
                                             .output = found},
                         report, sizeof report))
        return fprintf(stderr, "%s%s\n", report, horus_last_error()), 1;

    (void)horus_infer_node(r.eyes, &eyes);
    eyes.compute = false;
    eyes.on_topic = frames; /* woken by each frame, on a thread of its own */
    if (horus_scheduler_open(&s,
                             &(horus_scheduler_desc){.name = "infer", .flags = HORUS_SIGNALS}) ||
        horus_scheduler_add(
            s, &(horus_node_desc){.name = "camera", .tick = take_picture, .user = &r}) ||
        horus_scheduler_add(s, &eyes) ||
        horus_scheduler_add(s, &(horus_node_desc){.name = "user",
                                                  .tick = use_result,
                                                  .user = &r,
                                                  .on_topic = r.results}) ||
        horus_scheduler_run(s, HORUS_FOREVER) < 0)
        return fprintf(stderr, "%s\n", horus_last_error()), 1;

    horus_infer_stats figures;
    (void)horus_infer_get_stats(r.eyes, &figures, 1, NULL);
    printf("%s by %s on the %s: %llu runs, p50 %llu us, p99 %llu us\n", figures.model,
           figures.backend, figures.device, (unsigned long long)figures.runs,
           (unsigned long long)(figures.run.p50_ns / 1000),
           (unsigned long long)(figures.run.p99_ns / 1000));
    (void)horus_scheduler_close(s);
    horus_infer_close(r.eyes);
    return 0;
}
