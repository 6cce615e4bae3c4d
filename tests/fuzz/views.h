/* DLPack structs of foreign producers; names; and views with arbitrary arguments. A private context
 * serves them all: nothing here is shared. */

static horus_context *views_context;
static horus_pool *views_pool;

static void views_end(void) { horus_context_close(views_context); }
static void views_init(void)
{
    horus_context_desc d = world_desc;
    d.flags = HORUS_PRIVATE;
    MUST(horus_context_open(&views_context, &d) == HORUS_OK);
    views_pool = views_context->pool;
    (void)atexit(views_end);
}
static void views_check_empty(void)
{
    horus_pool_stats s;
    MUST(horus_pool_get_stats(views_pool, &s) == HORUS_OK && s.used_slots == 0);
}
static int64_t take_size(input *in)
{
    uint32_t how = take8(in);
    return how < 160   ? (int64_t)(how % 9)
           : how < 176 ? (int64_t)take(in, 2)
           : how < 200 ? (int64_t)special[how % SPECIALS]
           : how < 216 ? -(int64_t)take(in, 1)
                       : (int64_t)take(in, 8);
}

/* ---- dlpack */

static uint8_t *dl_memory; /* exactly so long, on the heap */
enum { DL_BYTES = 4096 };

/* Where the elements lie, in 128 bits: false if not all are in dl_memory. */
static bool dl_fits(const horus_dl_tensor *d, uint64_t elem, bool *empty)
{
    __int128 low = (__int128)(uintptr_t)d->data + d->byte_offset, high = low + (__int128)elem;
    __int128 dense = (__int128)elem;
    *empty = false;
    for (int i = 0; i < d->ndim; i++)
        *empty |= d->shape[i] == 0;
    for (int i = d->ndim - 1; i >= 0 && !*empty; i--) {
        __int128 steps = d->shape[i] - 1;
        __int128 stride = d->strides ? (__int128)d->strides[i] * (__int128)elem : dense;
        if (steps > 0 && (steps > DL_BYTES || stride > DL_BYTES || stride < -DL_BYTES))
            return false;
        *(stride < 0 ? &low : &high) += stride * (steps > 0 ? steps : 0);
        dense *= d->shape[i];
        if (dense > (__int128)1 << 40)
            return false;
    }
    return low >= (__int128)(uintptr_t)dl_memory &&
           high <= (__int128)((uintptr_t)dl_memory + DL_BYTES);
}
static const uint8_t *dl_element(const horus_dl_tensor *d, uint64_t elem, const int64_t *index)
{
    __int128 at = (__int128)(uintptr_t)d->data + d->byte_offset, dense = (__int128)elem;
    for (int i = d->ndim - 1; i >= 0; i--) {
        at += (d->strides ? (__int128)d->strides[i] * (__int128)elem : dense) * index[i];
        dense *= d->shape[i];
    }
    return (const uint8_t *)(uintptr_t)at;
}
static void dl_import(const horus_dl_tensor *d)
{
    horus_tensor t;
    uint64_t elem = 0;
    bool empty = false, negative = false;
    horus_dl_dtype k = d->dtype;
    bool known = k.lanes == 1 &&
                 ((k.code == 0 && (k.bits == 8 || k.bits == 16 || k.bits == 32 || k.bits == 64)) ||
                  (k.code == 1 && (k.bits == 8 || k.bits == 16 || k.bits == 32 || k.bits == 64)) ||
                  (k.code == 2 && (k.bits == 16 || k.bits == 32 || k.bits == 64)) ||
                  (k.code == 4 && k.bits == 16) || (k.code == 6 && k.bits == 8));
    bool refuse = d->ndim < 0 || d->ndim > 8 || (d->ndim && !d->shape) || !known ||
                  (d->device.device_type != 1 && d->device.device_type != 3);
    if (!refuse) {
        elem = k.bits / 8;
        for (int i = 0; i < d->ndim; i++)
            negative |= d->shape[i] < 0;
        if (!negative) {
            bool fits = dl_fits(d, elem, &empty);
            if (!fits && !empty && d->data) { /* its producer lies: unless it is refused for its
                                                 size, nobody can tell */
                unsigned __int128 all = elem;
                for (int i = 0; i < d->ndim && all < (unsigned __int128)1 << 64; i++)
                    all *= (uint64_t)d->shape[i];
                if (all <= (uint64_t)views_pool->granules * views_pool->granule_bytes)
                    return;
                refuse = true;
            }
        }
        refuse |= negative || (!d->data && !empty);
    }
    horus_result r = horus_dlpack_import(&t, d, views_pool);
    MUST(r == HORUS_OK || !refuse || r < 0);
    MUST(!(refuse && r == HORUS_OK));
    if (r != HORUS_OK) {
        for (size_t i = 0; i < sizeof t; i++)
            MUST(((const uint8_t *)&t)[i] == 0);
        return;
    }
    touch_tensor(&t);
    MUST(t.ndim == (uint32_t)d->ndim && horus_dtype_bytes((horus_dtype)t.dtype) == elem);
    int64_t index[8] = {0};
    for (uint64_t n = 0, all = horus_tensor_numel(&t); n < all; n++) {
        MUST(memcmp((const uint8_t *)t.data + n * elem, dl_element(d, elem, index), elem) == 0);
        for (int i = d->ndim - 1; i >= 0 && ++index[i] == d->shape[i]; i--)
            index[i] = 0;
    }
    /* and out again: the deleter ends the export, once; what it held is free */
    horus_dl_managed *plain;
    horus_dl_managed_versioned *versioned;
    MUST(horus_dlpack_export(&plain, &t) == HORUS_OK);
    MUST(horus_dlpack_export_versioned(&versioned, &t) == HORUS_OK);
    MUST(horus_tensor_release(&t) == HORUS_OK);
    horus_tensor u;
    r = horus_dlpack_import(&u, &versioned->dl_tensor, views_pool);
    MUST(r == HORUS_OK || r == HORUS_E_POOL_FULL);
    if (r == HORUS_OK)
        MUST(horus_tensor_release(&u) == HORUS_OK);
    plain->deleter(plain);
    versioned->deleter(versioned);
}
static void target_dlpack(input *in)
{
    horus_dl_tensor d;
    int64_t shape[9], strides[9];
    uint32_t how = take8(in);
    if (!dl_memory) {
        dl_memory = (uint8_t *)malloc(DL_BYTES);
        MUST(dl_memory);
        for (uint32_t i = 0; i < DL_BYTES; i++)
            dl_memory[i] = (uint8_t)(i * 7 + i / 256);
    }
    memset(&d, 0, sizeof d);
    d.ndim = how & 1 ? (int32_t)take(in, 4) : (int32_t)(take8(in) % 9);
    d.device.device_type = how & 2 ? (int32_t)take(in, 4) : 1;
    d.dtype.code = (uint8_t)(how & 4 ? take8(in) : take8(in) % 7);
    d.dtype.bits = (uint8_t)(how & 4 ? take8(in) : 8u << take8(in) % 4);
    d.dtype.lanes = (uint16_t)(how & 4 ? take(in, 2) : 1);
    for (int i = 0; i < 9; i++) {
        shape[i] = take_size(in);
        strides[i] = how & 8 ? (int8_t)take8(in) : take_size(in);
    }
    d.shape = how & 16 && how & 128 ? NULL : shape;
    d.strides = how & 32 ? NULL : strides;
    d.data = how & 64 && how & 128 ? NULL : dl_memory;
    d.byte_offset = how & 128 ? take(in, 8) : take(in, 2) % (DL_BYTES + 8);
    dl_import(&d);
    views_check_empty();
}
static void dlpack_seeds(void)
{
    static const char *const names[] = {"dense",  "strided", "negative", "empty",  "dims9",
                                        "device", "lanes",   "null",     "offset", "huge"};
    for (unsigned k = 0; k < 10; k++) {
        output o = {.count = 0};
        put(&o,
            k == 0   ? 32u
            : k == 4 ? 1u
            : k == 5 ? 2u
            : k == 6 ? 4u
            : k == 7 ? 128u | 64
            : k == 8 ? 128u
                     : 8u,
            1);
        put(&o, k == 4 ? 9 : 3, k == 4 ? 4 : 1);
        if (k == 5)
            put(&o, 2, 4);
        put(&o, 2, 1), put(&o, k == 6 ? 32 : 2, 1);
        if (k == 6)
            put(&o, 4, 2);
        for (unsigned i = 0; i < 9; i++) {
            put(&o, k == 3 && i == 1 ? 0 : k == 9 ? 180 + i : 2 + i % 3, 1);
            put(&o, k == 2 ? 0xff - i : 20u >> i, 1);
        }
        put(&o, k == 8 ? UINT64_MAX - 7 : 512, 8);
        save_seed(&o, names[k]);
    }
}

/* ---- names */

/* The rule, written down anew. */
static bool name_is_good(const char *n)
{
    size_t length = strlen(n);
    if (length < 1 || length > 96 || n[0] == '/' || n[length - 1] == '/')
        return false;
    if (strstr(n, "..") || strstr(n, "//"))
        return false;
    return strspn(n, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:/-") ==
           length;
}
/* The way back from a file's name: if there is one for every name, no two share a file. */
static bool name_decode(const char *file, char *out, size_t room)
{
    size_t n = 0;
    for (; *file && n + 1 < room; file++) {
        if (*file == '%') {
            unsigned c;
            if (sscanf(file + 1, "%2x", &c) != 1)
                return false;
            out[n++] = (char)c;
            file += 2;
        } else {
            out[n++] = *file;
        }
    }
    out[n] = 0;
    return true;
}
static void target_names(input *in)
{
    uint32_t how = take8(in);
    char name[300], file[400], back[400], id[HORUS_FRAME_ID_BYTES];
    size_t n = 0;
    while (!is_over(in) && n + 1 < sizeof name)
        if ((name[n] = (char)take8(in)) != 0)
            n++;
    name[n] = 0;
    bool good = name_is_good(name);
    MUST((horusi_check_name("a", name) == HORUS_OK) == good);
    if (good) {
        horusi_pool_file(name, file, 320); /* as pool_open does it */
        MUST(strncmp(file, "pool.", 5) == 0 && !strchr(file, '/') && !strchr(file, ':'));
        MUST(name_decode(file + 5, back, sizeof back) && strcmp(back, name) == 0);
        horus_context c;
        memset(&c, 0, sizeof c);
        horus_context_desc d = world_desc;
        d.name = name;
        horus_result r = horusi_locate(&c, &d);
        MUST(r == HORUS_OK || (r == HORUS_E_NAME && strlen(file) > 150));
        if (r == HORUS_OK) {
            MUST(strncmp(c.files.leaf, "horus.", 6) == 0 && !strchr(c.files.leaf, '/'));
            MUST(name_decode(c.files.leaf + 6, back, sizeof back) && strcmp(back, name) == 0);
            MUST(strcmp(c.name, name) == 0);
            MUST(strlen(c.path) + 1 < sizeof c.path);
        }
    }
    horus_topic *t;
    horus_topic_desc td = {.context = views_context, .max_subscribers = 2, .max_publishers = 1};
    horus_result r = horus_topic_open(&t, name, &td);
    MUST(r == (good ? HORUS_OK : HORUS_E_NAME) && (t != NULL) == good);
    if (good) {
        horus_topic_stats s;
        MUST(horus_topic_get_stats(t, &s) == HORUS_OK && strcmp(s.name, name) == 0);
    }
    horus_topic_close(t);
    horus_frame f;
    MUST(horus_frame_alloc(&f, views_pool, 100, 0, NULL) == HORUS_OK);
    r = horus_frame_set_id(&f, name);
    MUST(r == (n < HORUS_FRAME_ID_BYTES ? HORUS_OK : HORUS_E_SIZE));
    MUST(horus_frame_get_id(&f, id) == HORUS_OK);
    MUST(strcmp(id, r == HORUS_OK ? name : "") == 0);
    MUST(horus_frame_release(&f) == HORUS_OK);
    views_check_empty();
    if (how < 8) { /* files of their own, now and then */
        horus_context *c;
        horus_context_desc d = world_desc;
        d.name = name;
        r = horus_context_open(&c, &d);
        MUST(r == HORUS_OK || (r == HORUS_E_NAME && (!good || strlen(file) > 150)));
        horus_pool *p;
        horus_pool_desc pd = named_desc;
        pd.context = c;
        if (r == HORUS_OK) {
            r = horus_pool_open(&p, name, &pd);
            MUST(r == HORUS_OK);
            MUST(strcmp(p->name, name) == 0 || strcmp(name, "default") == 0);
        }
        horus_context_close(c);
        MUST(access(getenv("HORUS_DIR"), F_OK) == 0);
    }
}
static void names_seeds(void)
{
    static const char *const names[] = {
        "a",       "camera/left:raw", "..", "a..b", "/a",      "a/",    "a//b",
        "A-z_0.9", "a%2fb",           ".",  "a:",   "default", "a b\t", "\xc3\xa4"};
    char file[40];
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        output o = {.count = 0};
        put(&o, 0, 1);
        put_bytes(&o, names[i], strlen(names[i]));
        (void)snprintf(file, sizeof file, "name_%u", i);
        save_seed(&o, file);
    }
    for (unsigned n = 95; n < 98; n++) {
        output o = {.count = 0};
        put(&o, 9, 1);
        for (unsigned i = 0; i < n; i++)
            put(&o, 'n', 1);
        (void)snprintf(file, sizeof file, "long_%u", n);
        save_seed(&o, file);
    }
}

/* ---- views */

/* The result of a view function: an error with a zeroed output, or a view inside its frame. */
static void check_view(horus_result r, horus_tensor *t)
{
    if (r != HORUS_OK) {
        for (size_t i = 0; i < sizeof *t; i++)
            MUST(((const uint8_t *)t)[i] == 0);
        return;
    }
    touch_tensor(t);
    in_slot(&t->frame, t->data, span_of(t));
}
static double take_value(input *in)
{
    uint32_t how = take8(in);
    uint64_t bits = how < 100 ? 0 : take(in, 8);
    double v = how;
    if (how >= 100)
        memcpy(&v, &bits, 8);
    return v;
}
static void target_views(input *in)
{
    horus_tensor t, u, back[8];
    horus_image m, n;
    horus_depth d, e;
    horus_cloud c, k;
    int64_t shape[9];
    double value[9];
    uint8_t *bytes, pixels[64];
    unsigned kept = 0;
    /* a tensor */
    uint32_t ndim = take8(in) % 10, dtype = take8(in) % 14;
    for (unsigned i = 0; i < 9; i++)
        shape[i] = take_size(in);
    horus_result r = horus_tensor_alloc(&t, views_pool, (horus_dtype)dtype, ndim, shape, 0);
    check_view(r, &t);
    MUST(r != HORUS_OK || (ndim <= 8 && dtype < 13));
    for (unsigned steps = 0; r == HORUS_OK && steps < 8 && !is_over(in); steps++) {
        uint32_t how = take8(in);
        horus_result q;
        int64_t a = take_size(in), b = take_size(in);
        switch (how % 4) {
        case 0:
            q = horus_tensor_slice(&u, &t, a, b);
            break;
        case 1:
            for (unsigned i = 0; i < 9; i++)
                shape[i] = how & 16 ? take_size(in) : (int8_t)take8(in);
            q = horus_tensor_reshape(&u, &t, how >> 5, shape);
            if (q == HORUS_OK)
                MUST(horus_tensor_numel(&u) == horus_tensor_numel(&t));
            break;
        case 2:
            q = horus_tensor_copy(&u, &t, NULL);
            if (q == HORUS_OK)
                MUST(horus_tensor_is_contiguous(&u) &&
                     horus_tensor_numel(&u) == horus_tensor_numel(&t));
            break;
        default: { /* a view that nobody made: its owner sends it, or describes it */
            uint8_t wire[HORUS_DESCRIPTOR_BYTES];
            size_t room = sizeof wire;
            u = t;
            u.shape[how >> 2 & 7] = a;
            u.strides_bytes[how >> 5] = b;
            u.ndim = take8(in) % 10;
            q = horus_tensor_describe(&u, wire, &room);
            if (q == HORUS_OK) {
                touch_tensor(&u);
                in_slot(&u.frame, u.data, span_of(&u));
                MUST(horus_tensor_from_descriptor(&u, views_context, wire, room) == HORUS_OK);
                touch_tensor(&u);
                (void)horus_tensor_release(&u);
            }
            continue;
        }
        }
        check_view(q, &u);
        if (q == HORUS_OK) {
            back[kept++] = t;
            t = u;
        }
    }
    if (r == HORUS_OK)
        MUST(horus_tensor_release(&t) == HORUS_OK);
    while (kept > 0)
        MUST(horus_tensor_release(&back[--kept]) == HORUS_OK);
    /* an image */
    uint32_t w = (uint32_t)take_size(in), h = (uint32_t)take_size(in), enc = take8(in) % 12;
    for (unsigned i = 0; i < 9; i++)
        value[i] = take_value(in);
    uint32_t x = (uint32_t)take_size(in), y = (uint32_t)take_size(in);
    uint32_t rw = (uint32_t)take_size(in), rh = (uint32_t)take_size(in);
    size_t count = take8(in) % 6;
    if (horus_image_alloc(&m, views_pool, w, h, (horus_encoding)enc, 0) == HORUS_OK) {
        touch_image(&m);
        (void)horus_image_set_pixel(&m, x, y, value, count);
        (void)horus_image_fill(&m, value, count);
        (void)horus_image_pixel(&m, x, y, value, count);
        uint64_t roi = (uint64_t)rw * rh * m.channels * m.elem_bytes;
        roi = roi < 100000 ? roi : 100000;
        bytes = (uint8_t *)malloc((size_t)roi + 1);
        MUST(bytes);
        if (horus_image_roi(&m, x, y, rw, rh, bytes, (size_t)roi) == HORUS_OK)
            MUST((uint64_t)x + rw <= m.width_px && (uint64_t)y + rh <= m.height_px);
        (void)horus_image_copy_from(&m, bytes, (size_t)roi);
        free(bytes);
        if (horus_image_copy(&n, &m, NULL) == HORUS_OK) {
            touch_image(&n);
            (void)horus_image_release(&n);
        }
        r = horus_image_tensor(&u, &m);
        check_view(r, &u);
        if (r == HORUS_OK)
            (void)horus_tensor_release(&u);
        (void)horus_image_release(&m);
    }
    /* pixels of one's own */
    if (horus_image_wrap(&m, pixels, w, h, rw, (horus_encoding)enc) == HORUS_OK)
        MUST((uint64_t)m.width_px * m.channels * m.elem_bytes <= m.stride_bytes);
    /* depth */
    if (horus_depth_alloc(&d, views_pool, w, h, (horus_dtype)dtype, 0) == HORUS_OK) {
        horus_depth_stats stats;
        touch_depth(&d);
        d.scale = (float)(value[1] > -1e30 && value[1] < 1e30 ? value[1] : 0.5);
        (void)horus_depth_set(&d, x, y, value[0]);
        (void)horus_depth_get(&d, x, y, value);
        (void)horus_depth_statistics(&d, &stats);
        if (horus_depth_copy(&e, &d, NULL) == HORUS_OK) {
            touch_depth(&e);
            (void)horus_depth_release(&e);
        }
        (void)horus_depth_release(&d);
    }
    /* a cloud */
    uint64_t points = (uint64_t)take_size(in);
    uint32_t fields = (uint32_t)take_size(in);
    if (horus_cloud_alloc(&c, views_pool, points, fields, (horus_dtype)dtype, 0) == HORUS_OK) {
        touch_cloud(&c);
        (void)horus_cloud_point(&c, (uint64_t)take_size(in), value, take8(in) % 10);
        if (horus_cloud_copy(&k, &c, NULL) == HORUS_OK) {
            touch_cloud(&k);
            (void)horus_cloud_release(&k);
        }
        r = horus_cloud_tensor(&u, &c);
        check_view(r, &u);
        if (r == HORUS_OK)
            (void)horus_tensor_release(&u);
        (void)horus_cloud_release(&c);
    }
    /* an array in a message */
    uint8_t message[64];
    horus_array field = {(uint32_t)take_size(in), (uint32_t)take_size(in)};
    const void *from;
    size_t got, size = take8(in) % (sizeof message + 1), elem = (size_t)take_size(in);
    for (size_t i = 0; i < sizeof message; i++)
        message[i] = (uint8_t)i;
    if (horus_message_array(message, size, &field, elem, &from, &got) == HORUS_OK && got > 0) {
        const uint8_t *at = (const uint8_t *)from;
        MUST(at >= message && at <= message + size &&
             (unsigned __int128)got * elem <= (size_t)(message + size - at));
    }
    size_t end = take8(in) % (sizeof message + 1), was = end;
    if (horus_message_append(message, sizeof message, &end, &field, pixels,
                             (size_t)take_size(in) % 9, elem % 8) == HORUS_OK)
        MUST(end >= was && end <= sizeof message);
    views_check_empty();
}
static void views_seeds(void)
{
    char name[40];
    for (unsigned k = 0; k < 12; k++) {
        output o = {.count = 0};
        put(&o, k % 9, 1), put(&o, k, 1);
        for (unsigned i = 0; i < 9; i++)
            put(&o, 1 + (i + k) % 6, 1);
        for (unsigned i = 0; i < 8; i++) {
            put(&o, i + k, 1), put(&o, i, 1), put(&o, k, 1);
            for (unsigned j = 0; j < 9 && (i + k) % 4 == 1; j++)
                put(&o, j == 0 ? 0xff : 1, 1);
            put(&o, k, (i + k) % 4 == 3);
        }
        put(&o, 5, 1), put(&o, 7, 1), put(&o, k, 1);
        for (unsigned i = 0; i < 9; i++)
            put(&o, i * 10, 1);
        put(&o, 1, 1), put(&o, 2, 1), put(&o, 3, 1), put(&o, 2, 1), put(&o, 1 + k % 4, 1);
        put(&o, 20, 1), put(&o, 3, 1), put(&o, 2, 1), put(&o, 3, 1);
        put(&o, 8, 1), put(&o, 4, 1), put(&o, 64, 1), put(&o, 2, 1), put(&o, 24, 1);
        put(&o, 3, 1);
        (void)snprintf(name, sizeof name, "all_%u", k);
        save_seed(&o, name);
    }
}
