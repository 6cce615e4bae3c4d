/* Networks' inputs and outputs: arbitrary images, descs, shapes and numbers. Any result will do, but
 * what is given out is within its bounds, and the memory around it is left alone (views_context). */

enum { DECODE_ROOM = 6, DECODE_BYTES = 3000 };
static uint8_t *decode_bytes; /* exactly as long as the tensor or image, on the heap */

static float take_float(input *in)
{
    static const uint32_t odd[] = {0x7fc00000, 0x7f800000, 0xff800000, 0x7f7fffff, 0xff7fffff,
                                   1,          0x80000000, 0x00800000, 0x3e800000, 0x3f800000};
    uint32_t how = take8(in), bits = how < 40 ? odd[how % 10] : (uint32_t)take(in, 4);
    float f;
    memcpy(&f, &bits, 4);
    return how < 200 || how % 2 ? f : (float)(how % 64) / 32;
}
/* A dense tensor of what is left of the input, again and again; false if it would be too large. */
static bool take_tensor(input *in, horus_tensor *t, bool floats)
{
    static const uint8_t kinds[] = {HORUS_F32, HORUS_F16, HORUS_F64, HORUS_BF16};
    uint64_t n, all;
    memset(t, 0, sizeof *t);
    t->ndim = take8(in) % 6;
    n = take8(in);
    t->dtype = (uint8_t)(floats && n < 224 ? kinds[n % 4] : n % 14);
    t->readonly = n == 255;
    n = horus_dtype_bytes((horus_dtype)t->dtype);
    all = n ? n : 1;
    for (uint32_t i = t->ndim; i-- > 0;) {
        t->shape[i] = take8(in) & 1 ? 1 : take_size(in);
        t->strides_bytes[i] = (int64_t)n;
        if (t->shape[i] > 0 && n > INT64_MAX / (uint64_t)t->shape[i])
            return false;
        n *= t->shape[i] > 0 ? (uint64_t)t->shape[i] : 1;
        all *= t->shape[i] > 0 ? (uint64_t)t->shape[i] : 0;
    }
    if (all > DECODE_BYTES)
        return false;
    decode_bytes = (uint8_t *)malloc(all ? all : 1);
    MUST(decode_bytes != NULL);
    t->data = decode_bytes;
    for (uint64_t i = 0; i + 4 <= all && t->dtype == HORUS_F32; i += 4) {
        float f = take_float(in);
        memcpy(decode_bytes + i, &f, 4);
    }
    for (uint64_t i = 0; i < all && t->dtype != HORUS_F32; i++)
        decode_bytes[i] = (uint8_t)(is_over(in) ? i * 37 : take8(in));
    return true;
}
static void decode_boxes(input *in)
{
    static const char *const names[3] = {"a", NULL, "c"};
    horus_yolo_candidate *room = (horus_yolo_candidate *)calloc(DECODE_ROOM, sizeof *room);
    horus_detection *out = (horus_detection *)calloc(DECODE_ROOM, sizeof *out);
    horus_pixel_map map = {0};
    horus_yolo_desc d = {0};
    horus_yolo_stats s;
    horus_tensor t;
    uint32_t how = take8(in), count = take8(in) % (DECODE_ROOM + 1), asked = count;
    MUST(room && out);
    d.layout = (horus_yolo_layout)(how % 16 == 15 ? 2 : how & 1);
    d.flags = how >> 1 & 1;
    d.candidates = room;
    d.candidate_count = take8(in) % (DECODE_ROOM + 1);
    d.max_detections = how >> 2 & 3;
    d.class_names = how & 16 ? names : NULL;
    d.class_name_count = 3;
    d.map = how & 32 ? &map : NULL;
    if (how & 64) {
        d.confidence = take_float(in);
        d.iou = take_float(in);
    }
    map.scale_x = map.scale_y = 0.5f;
    map.width_px = map.height_px = 100;
    if (how & 128) {
        map.scale_x = take_float(in);
        map.offset_y = take_float(in);
        map.width_px = (uint32_t)take(in, 4);
    }
    if (take_tensor(in, &t, true)) {
        horus_result r = horus_yolo_decode(out, &count, &t, &d, &s);
        MUST(count <= asked && (r == HORUS_OK || count == 0));
        MUST(count + s.dropped + s.suppressed <= s.candidates || r != HORUS_OK);
        for (uint32_t i = 0; i < count; i++) {
            const horus_detection *f = &out[i];
            MUST(f->confidence > 0 && f->confidence <= 1e9f && f->instance_id == i);
            MUST(i == 0 || f->confidence <= out[i - 1].confidence);
            MUST(f->bbox.width > 0 && f->bbox.height > 0);
            MUST(!d.map || (f->bbox.x >= 0 && f->bbox.x <= (float)map.width_px));
            MUST(memchr(f->class_name, 0, sizeof f->class_name));
        }
        /* and into a message that ends anywhere */
        size_t size = sizeof(horus_detections) + take8(in) * 4, bytes = size - take8(in),
               was = bytes;
        uint8_t *message = (uint8_t *)calloc(1, size);
        MUST(message != NULL);
        horus_result q = horus_yolo_decode_message(message, size, &bytes, &t, &d, &s);
        MUST(q == HORUS_OK ? r == HORUS_OK && bytes >= was && bytes <= size : bytes == was);
        free(message);
        free(decode_bytes);
    }
    free(room);
    free(out);
}
static void decode_rows(input *in)
{
    int64_t *index = (int64_t *)calloc(DECODE_ROOM, sizeof *index);
    float *value = (float *)calloc(DECODE_ROOM, sizeof *value);
    horus_tensor t, s;
    uint32_t k = take8(in) % 8, room = take8(in) % (DECODE_ROOM + 1);
    MUST(index && value);
    if (take_tensor(in, &t, true)) {
        if (horus_tensor_topk(index, value, room, &t, k) == HORUS_OK) {
            uint64_t n = (uint64_t)t.shape[t.ndim - 1], rows = horus_tensor_numel(&t) / n;
            MUST(rows * k <= room);
            for (uint64_t i = 0; i < rows * k; i++) {
                MUST(index[i] >= -1 && (index[i] < 0 || (uint64_t)index[i] < n));
                MUST((index[i] < 0) == (value[i] != value[i]));
                MUST(i % k == 0 || index[i] < 0 || value[i] <= value[i - 1]);
            }
        }
        if (horus_tensor_softmax(&s, &t, views_pool) == HORUS_OK) {
            touch_tensor(&s);
            for (uint64_t i = 0, all = horus_tensor_numel(&s); i < all; i++) {
                float v = ((const float *)s.data)[i];
                MUST(v != v || (v >= 0 && v <= 1.00001f));
            }
            MUST(horus_tensor_release(&s) == HORUS_OK);
        }
        free(decode_bytes);
    }
    free(index);
    free(value);
}
static void decode_image(input *in)
{
    horus_preprocess_desc d = {0};
    horus_pixel_map map;
    horus_image m;
    horus_tensor t;
    uint32_t e = take8(in) % 12, w = 1 + take8(in) % 20, h = 1 + take8(in) % 9, how = take8(in);
    uint32_t row = w * horus_encoding_channels((horus_encoding)e) *
                   horus_encoding_elem_bytes((horus_encoding)e);
    uint32_t stride = row + take8(in) % 5 * (how & 1);
    size_t bytes = (size_t)stride * (h - 1) + row;
    uint8_t *pixels = (uint8_t *)malloc(bytes ? bytes : 1);
    MUST(pixels != NULL);
    for (size_t i = 0; i < bytes; i++)
        pixels[i] = (uint8_t)(is_over(in) ? i : take8(in));
    d.width_px = (uint32_t)take_size(in) & 0xfffff;
    d.height_px = (uint32_t)take_size(in);
    d.channels = take8(in) % 5;
    d.fit = (horus_fit)(take8(in) % 4);
    d.dtype = (horus_dtype)(how & 2 ? take8(in) % 14 : HORUS_F32);
    d.flags = how >> 2 & 3;
    if (how & 16) {
        d.scale = take_float(in);
        d.pad = take_float(in);
        for (int i = 0; i < 3; i++) {
            d.mean[i] = take_float(in);
            d.std[i] = take_float(in);
        }
    }
    if (horus_image_wrap(&m, pixels, w, h, stride, (horus_encoding)e) == HORUS_OK) {
        if (horus_image_preprocess(&t, &m, views_pool, &d, &map) == HORUS_OK) {
            touch_tensor(&t);
            MUST(map.scale_x > 0 && map.scale_y > 0 && map.width_px == w);
            MUST(horus_tensor_release(&t) == HORUS_OK);
        }
        if (take_tensor(in, &t, false)) { /* of any shape and dtype */
            (void)horus_image_preprocess_into(&t, &m, &d, &map);
            free(decode_bytes);
        }
    }
    free(pixels);
}
static void target_decode(input *in)
{
    uint32_t what = take8(in) % 4;
    if (what == 0)
        decode_rows(in);
    else if (what == 1)
        decode_image(in);
    else
        decode_boxes(in);
    views_check_empty();
}

/* ---- seeds */

static void decode_seeds(void)
{
    char name[40];
    for (unsigned k = 0; k < 16; k++) { /* boxes: (1, 7, 4) and (1, 4, 7) */
        output o = {.count = 0};
        put(&o, 2, 1), put(&o, k & 1 ? 1 : 0 + 32 * (k & 2), 1), put(&o, 6, 1),
            put(&o, 3 + k % 4, 1);
        put(&o, 3, 1), put(&o, k < 12 ? 0 : k, 1);
        put(&o, 0, 1), put(&o, k & 1 ? 7 : 4, 1), put(&o, 0, 1), put(&o, k & 1 ? 4 : 7, 1);
        put(&o, 1, 1);
        for (unsigned i = 0; i < 28; i++)
            put(&o, 200 + 2 * ((i * 5 + k) % 27), 1);
        (void)snprintf(name, sizeof name, "boxes_%u", k);
        save_seed(&o, name);
    }
    for (unsigned k = 0; k < 8; k++) { /* rows of 5 */
        output o = {.count = 0};
        put(&o, 0, 1), put(&o, 1 + k % 5, 1), put(&o, 6, 1), put(&o, 2, 1), put(&o, k % 4, 1);
        put(&o, 0, 1), put(&o, 5, 1), put(&o, 1, 1);
        for (unsigned i = 0; i < 5; i++)
            put(&o, k < 4 ? 30 + i : 202 + i * 4, 1);
        (void)snprintf(name, sizeof name, "rows_%u", k);
        save_seed(&o, name);
    }
    for (unsigned k = 0; k < 24; k++) { /* every encoding */
        output o = {.count = 0};
        put(&o, 1, 1), put(&o, k % 11, 1), put(&o, k % 6, 1), put(&o, 1, 1), put(&o, k & 14, 1);
        put(&o, 0, 1);
        for (unsigned i = 0;
             i < (k % 6 + 1) * 2 * horus_encoding_channels((horus_encoding)(k % 11)) *
                     horus_encoding_elem_bytes((horus_encoding)(k % 11));
             i++)
            put(&o, 128 + i, 1);
        put(&o, 5, 1), put(&o, 3, 1), put(&o, k & 1 ? 3 : 0, 1), put(&o, k % 3, 1);
        if (k & 2)
            put(&o, k % 3 * 2, 1);
        (void)snprintf(name, sizeof name, "image_%u", k);
        save_seed(&o, name);
    }
}
