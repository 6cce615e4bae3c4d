/* What bench/vision.py and tests/py_vision_test.py call, built as a shared library: plain pixels in,
 * plain floats out, through a pool of this process. */
#define HORUS_IMPLEMENTATION
#include "../horus.h"

static horus_context *context;
static horus_pool *pool;
static bool ready(void)
{
    return pool ||
           (horus_context_open(&context, &(horus_context_desc){.flags = HORUS_PRIVATE,
                                                               .pool_bytes = 256 << 20}) == 0 &&
            horus_pool_open(&pool, NULL, &(horus_pool_desc){.context = context}) == 0);
}

/* pixels: width x height of `encoding`, dense. out: the tensor, F32. map: scale_x, scale_y, offset_x,
 * offset_y. Returns the ns of the fastest of `times` runs (alloc and release are part of each), 0
 * after a failure. */
extern uint64_t vision_preprocess(const uint8_t *pixels, uint32_t width, uint32_t height,
                                  uint32_t encoding, const horus_preprocess_desc *desc, float *out,
                                  float *map, uint32_t times);
uint64_t vision_preprocess(const uint8_t *pixels, uint32_t width, uint32_t height,
                           uint32_t encoding, const horus_preprocess_desc *desc, float *out,
                           float *map, uint32_t times)
{
    horus_image image;
    uint64_t best = 0;
    if (!ready() || horus_image_alloc(&image, pool, width, height, (horus_encoding)encoding,
                                      HORUS_UNINIT) != HORUS_OK)
        return 0;
    memcpy(image.data, pixels, (size_t)image.stride_bytes * height);
    for (uint32_t i = 0; i < times; i++) {
        horus_tensor t;
        horus_pixel_map m;
        uint64_t begin = horus_now_ns();
        horus_result r = horus_image_preprocess(&t, &image, pool, desc, &m);
        uint64_t ns = horus_now_ns() - begin;
        if (r != HORUS_OK) {
            fprintf(stderr, "%s\n", horus_last_error());
            best = 0;
            break;
        }
        if (i == 0) {
            memcpy(out, t.data, (size_t)horus_tensor_numel(&t) * 4);
            memcpy(map, &m, 16);
        }
        begin = horus_now_ns();
        (void)horus_tensor_release(&t);
        ns += horus_now_ns() - begin;
        best = best == 0 || ns < best ? ns : best;
    }
    (void)horus_image_release(&image);
    return best;
}

/* An output of F32, (rows, columns), of the layout that `layout` names. out: x, y, width, height,
 * confidence, class of each detection, room for `most`. Returns how many; ns: of the fastest run. */
extern int vision_decode(const float *output, int64_t rows, int64_t columns, uint32_t layout,
                         float confidence, float iou, float *out, uint32_t most, uint32_t times,
                         uint64_t *ns);
int vision_decode(const float *output, int64_t rows, int64_t columns, uint32_t layout,
                  float confidence, float iou, float *out, uint32_t most, uint32_t times,
                  uint64_t *ns)
{
    static horus_yolo_candidate room[30000];
    static horus_detection found[1000];
    horus_tensor t;
    horus_yolo_desc d = {.confidence = confidence,
                         .iou = iou,
                         .max_detections = most,
                         .candidates = room,
                         .candidate_count = 30000};
    uint32_t count = 0;
    d.layout = (horus_yolo_layout)layout;
    *ns = 0;
    if (!ready() || horus_tensor_alloc(&t, pool, HORUS_F32, 2, (int64_t[]){rows, columns},
                                       HORUS_UNINIT) != HORUS_OK)
        return -1;
    memcpy(t.data, output, (size_t)(rows * columns) * 4);
    for (uint32_t i = 0; i < times; i++) {
        count = most < 1000 ? most : 1000;
        uint64_t begin = horus_now_ns();
        horus_result r = horus_yolo_decode(found, &count, &t, &d, NULL);
        uint64_t took = horus_now_ns() - begin;
        *ns = *ns == 0 || took < *ns ? took : *ns;
        if (r != HORUS_OK)
            fprintf(stderr, "%s\n", horus_last_error());
    }
    for (uint32_t i = 0; i < count; i++) {
        float row[6] = {found[i].bbox.x,      found[i].bbox.y,     found[i].bbox.width,
                        found[i].bbox.height, found[i].confidence, (float)found[i].class_id};
        memcpy(out + 6 * (size_t)i, row, sizeof row);
    }
    (void)horus_tensor_release(&t);
    return (int)count;
}
