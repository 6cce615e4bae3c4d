/* Arbitrary bytes as what stands in a ring entry: its kind, its size, and a descriptor. */

static world wire_world;
static horus_topic *wire_topic; /* a writer */
static horus_topic *wire_reader;
static uint32_t wire_used;

static void wire_end(void)
{
    world_close(&wire_world);
    clear_space();
}
static uint32_t used_slots(void)
{
    horus_pool_stats a, b;
    MUST(horus_pool_get_stats(wire_world.context[0]->pool, &a) == HORUS_OK);
    MUST(horus_pool_get_stats(wire_world.named[1], &b) == HORUS_OK);
    return a.used_slots + b.used_slots;
}
static void wire_init(void)
{
    clear_space();
    world_open(&wire_world);
    (void)atexit(wire_end);
    for (unsigned i = 0; i < 2; i++) {
        horus_topic_desc d = {.context = wire_world.context[i],
                              .capacity = 4,
                              .flags = i ? 0 : HORUS_PUBLISHER,
                              .message_bytes = HORUS_DESCRIPTOR_BYTES};
        MUST(horus_topic_open(i ? &wire_reader : &wire_topic, "wire", &d) == HORUS_OK);
    }
    wire_used = used_slots();
}
/* What a received view covers lies in the slot that it names. */
static void in_slot(const horus_frame *f, const void *data, uint64_t span)
{
    uint64_t room;
    const uint8_t *at = (const uint8_t *)horusi_at(f->pool, f->slot, &room);
    MUST(at && (const uint8_t *)data >= at);
    MUST((uint64_t)((const uint8_t *)data - at) <= room);
    MUST(span <= room - (uint64_t)((const uint8_t *)data - at));
}

static void target_wire(input *in)
{
    horusi_descriptor d;
    uint32_t how = take8(in), kind = take8(in), size = (uint32_t)take(in, 1);
    const horus_frame *f = &wire_world.held[how & 1].frame;
    horus_tensor t, u;
    horus_image m;
    horus_depth z;
    horus_cloud c;
    horus_info info;
    int64_t shape[2] = {-1, 1};
    static uint8_t buffer[5000];
    memset(&d, 0, sizeof d);
    for (size_t i = 0; i < sizeof d; i++)
        d.bytes[i] = (uint8_t)take8(in);
    if (how & 2) { /* a slot that is there; otherwise as it comes */
        d.head.pool_id = f->pool->id;
        d.head.slot = f->slot;
        d.head.generation = f->generation;
    }
    if (how & 4)
        size = HORUS_DESCRIPTOR_BYTES;
    if (how & 8)
        d.head.kind = HORUS_KIND_TENSOR;
    if (how & 16)
        kind = kind % 6 == 5 ? HORUSI_WIRE_BLOB : kind % 6;
    for (unsigned way = 0; way < 6; way++) {
        uint32_t put_size = size > HORUS_DESCRIPTOR_BYTES ? HORUS_DESCRIPTOR_BYTES : size;
        horusi_publish(wire_topic, wire_topic->out, d.bytes, put_size, kind, 0, NULL);
        if (put_size != size) { /* a size that the entry does not have */
            horusi_out *o = wire_topic->out;
            horusi_entry *e =
                horusi_entry_at(o->entries, o->stride, horusi_out_index(o, o->next - 1));
            horusi_st32_rel(P2, &e->size, kind << 24 | (how & 32 ? size << 16 | size : size));
        }
        (void)horus_topic_peek(wire_reader, buffer, way & 1 ? sizeof buffer : 100, &info);
        if (way == 0 && horus_topic_receive_tensor(wire_reader, &t, &info, 0) == HORUS_OK) {
            touch_tensor(&t);
            in_slot(&t.frame, t.data, span_of(&t));
            if (horus_tensor_slice(&u, &t, (int8_t)d.bytes[167], (int8_t)d.bytes[166]) ==
                HORUS_OK) {
                touch_tensor(&u);
                in_slot(&u.frame, u.data, span_of(&u));
                (void)horus_tensor_release(&u);
            }
            if (horus_tensor_reshape(&u, &t, 2, shape) == HORUS_OK) {
                touch_tensor(&u);
                in_slot(&u.frame, u.data, span_of(&u));
                (void)horus_tensor_release(&u);
            }
            if (horus_tensor_copy(&u, &t, NULL) == HORUS_OK) {
                touch_tensor(&u);
                (void)horus_tensor_release(&u);
            }
            (void)horus_tensor_release(&t);
        }
        if (way == 1 && horus_topic_receive_image(wire_reader, &m, &info, 0) == HORUS_OK) {
            touch_image(&m);
            in_slot(&m.frame, m.data, (uint64_t)m.stride_bytes * (m.height_px - 1));
            if (horus_image_tensor(&u, &m) == HORUS_OK) {
                touch_tensor(&u);
                in_slot(&u.frame, u.data, span_of(&u));
                (void)horus_tensor_release(&u);
            }
            (void)horus_image_release(&m);
        }
        if (way == 2 && horus_topic_receive_depth(wire_reader, &z, &info, 0) == HORUS_OK) {
            horus_depth_stats stats;
            touch_depth(&z);
            in_slot(&z.frame, z.data, (uint64_t)z.stride_bytes * (z.height_px - 1));
            (void)horus_depth_statistics(&z, &stats);
            if (horus_depth_tensor(&u, &z) == HORUS_OK) {
                touch_tensor(&u);
                (void)horus_tensor_release(&u);
            }
            (void)horus_depth_release(&z);
        }
        if (way == 3 && horus_topic_receive_cloud(wire_reader, &c, &info, 0) == HORUS_OK) {
            double point[8];
            touch_cloud(&c);
            in_slot(&c.frame, c.data, horusi_cloud_bytes(c.point_count, c.fields, c.dtype));
            (void)horus_cloud_point(&c, c.point_count - 1, point, c.fields <= 8 ? c.fields : 8);
            if (horus_cloud_tensor(&u, &c) == HORUS_OK) {
                touch_tensor(&u);
                in_slot(&u.frame, u.data, span_of(&u));
                (void)horus_tensor_release(&u);
            }
            (void)horus_cloud_release(&c);
        }
        if (way == 4)
            (void)horus_topic_receive(wire_reader, buffer, how & 64 ? sizeof buffer : 170, &info,
                                      0);
        if (way == 5 &&
            horus_tensor_from_descriptor(&t, wire_world.context[1], d.bytes, size) == HORUS_OK) {
            touch_tensor(&t);
            in_slot(&t.frame, t.data, span_of(&t));
            (void)horus_tensor_release(&t);
        }
        (void)horus_topic_drain(wire_reader, NULL);
        (void)horus_topic_drain(wire_topic, NULL);
    }
    MUST(used_slots() == wire_used);
}

static void wire_seed(const char *name, uint32_t kind, const horusi_descriptor *d, uint32_t bytes)
{
    output o = {.count = 0};
    put(&o, 2 | 4 | 16, 1), put(&o, kind, 1), put(&o, bytes, 1);
    put_bytes(&o, d->bytes, sizeof d->bytes);
    save_seed(&o, name);
}
static void wire_seeds(void)
{
    horusi_descriptor d;
    uint32_t n;
    horus_image m;
    horus_depth z;
    horus_cloud c;
    horus_pool *p = wire_world.context[0]->pool;
    memset(&d, 0, sizeof d);
    MUST(horusi_tensor_to_wire(&wire_world.held[0], &d, &n) == HORUS_OK);
    wire_seed("tensor", HORUS_KIND_TENSOR, &d, n);
    memset(&d, 0, sizeof d);
    MUST(horus_image_alloc(&m, p, 10, 9, HORUS_RGB8, 0) == HORUS_OK);
    MUST(horusi_image_to_wire(&m, &d, &n) == HORUS_OK);
    wire_seed("image", HORUS_KIND_IMAGE, &d, n);
    (void)horus_image_release(&m);
    memset(&d, 0, sizeof d);
    MUST(horus_depth_alloc(&z, p, 10, 9, HORUS_U16, 0) == HORUS_OK);
    MUST(horusi_depth_to_wire(&z, &d, &n) == HORUS_OK);
    wire_seed("depth", HORUS_KIND_DEPTH, &d, n);
    (void)horus_depth_release(&z);
    memset(&d, 0, sizeof d);
    MUST(horus_cloud_alloc(&c, p, 20, 3, HORUS_F32, 0) == HORUS_OK);
    MUST(horusi_cloud_to_wire(&c, &d, &n) == HORUS_OK);
    wire_seed("cloud", HORUS_KIND_CLOUD, &d, n);
    (void)horus_cloud_release(&c);
    memset(&d, 0, sizeof d);
    d.bytes[sizeof d.head + 1] = 1; /* 256 bytes */
    wire_seed("blob", 5, &d, sizeof d.head + 8);
}
