/* A camera, an inference operator and who uses what it finds, as nodes of one scheduler. The model reads the
 * camera's frames where they are, and its results are read where it wrote them.
 *
 *     gcc -O2 -I.. infer.c -o infer                    in this directory; on old systems -pthread -ldl
 *     ./infer                                          a dry run: "identity" gives back what it takes
 *     ./infer model.onnx                               an ONNX model that takes uint8 48 x 64 x 3, by ONNX
 *                                                      Runtime: ORT_DYLIB_PATH=.../libonnxruntime.so.1.x
 */
#define HORUS_IMPLEMENTATION
#include "horus.h"

#include <stdio.h>

typedef struct robot {
    horus_topic *camera, *found, *seen; /* one handle for each who sends or receives */
    horus_infer *eyes;
    unsigned frames;
} robot;

/* 30 frames a second, each of one brightness. */
static horus_result take_picture(void *user, horus_tick *t)
{
    robot *r = user;
    horus_image image;
    horus_result e = horus_image_alloc(&image, NULL, 64, 48, HORUS_RGB8, HORUS_UNINIT);
    if (e != HORUS_OK)
        return e;
    memset(image.data, (int)(t->count % 256), (size_t)image.stride_bytes * image.height_px);
    e = horus_topic_send_image(r->camera, &image, HORUS_NO_WAIT);
    (void)horus_image_release(&image);
    return e;
}
/* Woken by each result. */
static horus_result use_result(void *user, horus_tick *t)
{
    robot *r = user;
    horus_tensor result;
    char name[HORUS_FRAME_ID_BYTES];
    horus_result e = horus_topic_receive_tensor(r->seen, &result, NULL, HORUS_NO_WAIT);
    if (e != HORUS_OK)
        return e;
    (void)horus_frame_get_id(&result.frame, name);
    if (r->frames++ % 10 == 0)
        printf("%s %u: %llu values of %s, the first is %u\n", name, r->frames,
               (unsigned long long)horus_tensor_numel(&result),
               horus_dtype_name((horus_dtype)result.dtype), *(const uint8_t *)result.data);
    if (r->frames == 50)
        horus_scheduler_stop(t->scheduler);
    return horus_tensor_release(&result);
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
                           tensors = {.type = &horus_tensor_type};
    horus_topic *frames;
    if (horus_topic_open(&r.camera, "eyes/camera", &images) ||
        horus_topic_open(&frames, "eyes/camera", &images) ||
        horus_topic_open(&r.found, "eyes/found", &tensors) ||
        horus_topic_open(&r.seen, "eyes/found", &tensors))
        return fprintf(stderr, "%s\n", horus_last_error()), 1;
    const horus_infer_input from[] = {{.topic = frames, .tensor = "picture"}, {NULL, NULL, false}};
    if (horus_infer_open(&r.eyes,
                         &(horus_infer_desc){.name = "eyes",
                                             .backend = argc > 1 ? "onnxrt" : "identity",
                                             .model_path_map = model,
                                             .pre_processor_map = in,
                                             .inference_map = out,
                                             .inputs = from,
                                             .output = r.found},
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
                                                  .on_topic = r.seen}) ||
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
