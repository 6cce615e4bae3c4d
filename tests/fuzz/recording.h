/* A recording's file, damaged or made up. Its node does what the file says comes next, so that one damage
 * does not end all the rest. Any result that a replay may have will do; but what the node gets lies where it
 * should, and nothing stays held, open or mapped. */

static horus_context *recording_context;
enum { TAPED_BYTES = 65536, TAPED = 4 };
static const char *const taped_names[TAPED] = {"in", "frames", "work", "out"};
static horus_topic *taped[TAPED];
static uint8_t tape_whole[TAPED_BYTES]; /* a recording of all there is */
static size_t tape_whole_bytes;
static uint64_t tape_held; /* at most: figures of earlier runs, which go when memory is needed */
static bool tape_follows;  /* the file; else the node does what it did when it was recorded */

static const char *taped_path(void)
{
    static char path[600];
    (void)snprintf(path, sizeof path, "%s/recording", getenv("HORUS_DIR"));
    return path;
}
static horus_topic_desc taped_desc(unsigned which)
{
    horus_topic_desc d = {.context = recording_context, .max_publishers = 4, .max_subscribers = 6};
    d.policy = which == 2 ? HORUS_QUEUE : HORUS_POLICY_ANY;
    d.message_bytes = HORUS_DESCRIPTOR_BYTES;
    return d;
}
/* One call, of kind `what`, on a topic. */
static void taped_call(horus_topic *t, uint32_t what)
{
    uint8_t bytes[700] = {7};
    horus_info info;
    horus_tensor tensor;
    horus_image m;
    horus_depth d;
    horus_cloud cloud;
    horus_topic_stats stats;
    uint64_t n;
    size_t ready = 0;
    const int64_t shape[2] = {3, 5};
    horus_pool *p = recording_context->pool;
    horus_result r;
    switch (what) {
    case HORUS_KIND_MESSAGE:
    case HORUSI_PEEK:
        r = what == HORUSI_PEEK ? horus_topic_peek(t, bytes, sizeof bytes, &info)
                                : horus_topic_receive(t, bytes, sizeof bytes, &info, 0);
        MUST(r != HORUS_OK || info.size <= sizeof bytes || what == HORUSI_PEEK);
        break;
    case HORUS_KIND_TENSOR:
        if (horus_topic_receive_tensor(t, &tensor, &info, 0) != HORUS_OK)
            break;
        MUST(tensor.readonly);
        touch_tensor(&tensor);
        (void)horus_tensor_release(&tensor);
        break;
    case HORUS_KIND_IMAGE:
        if (horus_topic_receive_image(t, &m, &info, 0) != HORUS_OK)
            break;
        MUST(m.readonly);
        touch_image(&m);
        (void)horus_image_release(&m);
        break;
    case HORUS_KIND_DEPTH:
        if (horus_topic_receive_depth(t, &d, &info, 0) != HORUS_OK)
            break;
        touch_depth(&d);
        (void)horus_depth_release(&d);
        break;
    case HORUS_KIND_CLOUD:
        if (horus_topic_receive_cloud(t, &cloud, &info, 0) != HORUS_OK)
            break;
        touch_cloud(&cloud);
        (void)horus_cloud_release(&cloud);
        break;
    case HORUSI_WAIT:
        (void)horus_topic_wait(t, 0);
        break;
    case HORUSI_WAIT_MANY:
        r = horus_wait(taped, TAPED, 0, &ready);
        MUST(r != HORUS_OK || ready < TAPED);
        break;
    case HORUSI_SKIP:
        (void)horus_topic_skip_to_latest(t, &n);
        break;
    case HORUSI_DRAIN:
        (void)horus_topic_drain(t, &n);
        break;
    case HORUSI_ACK:
        (void)horus_topic_ack(t);
        break;
    case HORUSI_STATS:
        if (horus_topic_get_stats(t, &stats) == HORUS_OK)
            MUST(memchr(stats.name, 0, sizeof stats.name));
        break;
    case HORUSI_SEND + HORUS_KIND_TENSOR:
        if (horus_tensor_alloc(&tensor, p, HORUS_F32, 2, shape, 0) != HORUS_OK)
            break;
        (void)horus_topic_send_tensor(t, &tensor, 0);
        (void)horus_tensor_release(&tensor);
        break;
    case HORUSI_SEND + HORUS_KIND_IMAGE:
        if (horus_image_alloc(&m, p, 4, 3, HORUS_RGB8, 0) != HORUS_OK)
            break;
        (void)horus_topic_send_image(t, &m, 0);
        (void)horus_image_release(&m);
        break;
    default:
        (void)horus_topic_send(t, bytes, 40, 0);
        break;
    }
}
static horus_result taped_tick(void *user, horus_tick *t)
{
    horusi_tape *p = t->scheduler->tape;
    (void)user;
    for (unsigned calls = 0; tape_follows && calls < 64; calls++) {
        if (!horusi_tape_next(p) || p->note.kind != HORUSI_DEED)
            break;
        unsigned which = 0;
        while (which < TAPED - 1 && strcmp(p->name, taped_names[which]) != 0)
            which++;
        taped_call(taped[which], p->note.what);
    }
    if (tape_follows)
        return p->have && p->note.kind == HORUSI_DONE && p->note.result < 0 ? HORUS_E_SYSTEM
                                                                            : HORUS_OK;
    static const uint8_t list[][2] = {{0, HORUSI_PEEK},
                                      {0, 0},
                                      {1, HORUS_KIND_TENSOR},
                                      {1, HORUS_KIND_IMAGE},
                                      {1, 4},
                                      {1, HORUSI_PEEK},
                                      {1, 0},
                                      {0, HORUSI_WAIT},
                                      {0, HORUSI_WAIT_MANY},
                                      {2, 0},
                                      {2, HORUSI_ACK},
                                      {2, HORUSI_STATS},
                                      {0, HORUSI_SKIP},
                                      {1, 3},
                                      {2, HORUSI_DRAIN},
                                      {3, HORUSI_SEND},
                                      {3, HORUSI_SEND + HORUS_KIND_IMAGE},
                                      {3, HORUSI_SEND + HORUS_KIND_TENSOR}};
    for (unsigned i = 0; i < sizeof list / sizeof *list; i++)
        if (t->phase % 4 != 3 || i % 5 == 0)
            taped_call(taped[list[i][0]], list[i][1]);
    return t->phase % 4 == 2 ? HORUS_E_SYSTEM : HORUS_OK;
}
static horus_result taped_init(void *user)
{
    (void)user;
    taped_call(taped[0], HORUS_KIND_MESSAGE);
    return HORUS_OK;
}
static void taped_send(void)
{
    const int64_t shape[2] = {3, 5};
    horus_tensor t, part;
    horus_image m;
    horus_cloud cloud;
    horus_depth d;
    horus_topic *out[3];
    for (unsigned i = 0; i < 3; i++) {
        horus_topic_desc desc = taped_desc(i);
        MUST(horus_topic_open(&out[i], taped_names[i], &desc) == HORUS_OK);
    }
    for (unsigned i = 0; i < 4; i++) {
        (void)horus_topic_send(out[0], "hello, hello", 13, 0);
        (void)horus_topic_send(out[2], "some work", 10, 0);
    }
    for (unsigned i = 0; i < 2; i++) {
        MUST(horus_tensor_alloc(&t, recording_context->pool, HORUS_U8, 2, shape, 0) == HORUS_OK);
        MUST(horus_tensor_slice(&part, &t, 1, 3) == HORUS_OK); /* its entry is filled up */
        (void)horus_frame_set_id(&t.frame, "camera");
        (void)horus_topic_send_tensor(out[1], &part, 0);
        (void)horus_tensor_release(&part);
        (void)horus_tensor_release(&t);
        MUST(horus_image_alloc(&m, recording_context->pool, 4, 3, HORUS_RGB8, 0) == HORUS_OK);
        (void)horus_topic_send_image(out[1], &m, 0);
        (void)horus_image_release(&m);
        MUST(horus_cloud_alloc(&cloud, recording_context->pool, 5, 3, HORUS_F32, 0) == HORUS_OK);
        (void)horus_topic_send_cloud(out[1], &cloud, 0);
        (void)horus_cloud_release(&cloud);
        (void)horus_topic_send(out[1], "no frame", 9, 0);
        MUST(horus_depth_alloc(&d, recording_context->pool, 4, 3, HORUS_U16, 0) == HORUS_OK);
        (void)horus_topic_send_depth(out[1], &d, 0);
        (void)horus_depth_release(&d);
    }
    for (unsigned i = 0; i < 3; i++)
        horus_topic_close(out[i]);
}
/* Records, or replays what is there; two steps and a run. */
static horus_result taped_fly(bool replay, horus_recording *told)
{
    horus_scheduler *s;
    horus_scheduler_desc d = {
        .name = "s", .context = recording_context, .flags = HORUS_DETERMINISTIC};
    *(replay ? &d.replay : &d.record) = taped_path();
    horus_result r = horus_scheduler_open(&s, &d);
    if (r != HORUS_OK)
        return r;
    MUST(horus_scheduler_add(s, &(horus_node_desc){.name = "n",
                                                   .tick = taped_tick,
                                                   .init = taped_init,
                                                   .shutdown = taped_init,
                                                   .rate_num = 1000}) == HORUS_OK);
    r = horus_scheduler_step(s, 2000000);
    if (r == HORUS_OK)
        r = horus_scheduler_step(s, 1000000);
    if (r == HORUS_OK)
        r = horus_scheduler_run(s, 3000000);
    MUST(horus_scheduler_get_recording(s, told) == HORUS_OK);
    MUST(memchr(told->node, 0, sizeof told->node) && memchr(told->topic, 0, sizeof told->topic));
    MUST(told->diverged == (r == HORUS_E_DIVERGED));
    MUST(horus_scheduler_close(s) == HORUS_OK);
    return r;
}
static void recording_end(void)
{
    for (unsigned i = 0; i < TAPED; i++)
        horus_topic_close(taped[i]);
    horus_context_close(recording_context);
    (void)unlink(taped_path());
    clear_space();
}
static void taped_write(const uint8_t *from, size_t bytes)
{
    int fd = open(taped_path(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    MUST(fd >= 0 && write(fd, from, bytes) == (ssize_t)bytes);
    (void)close(fd);
}
/* What this process holds of the pool. */
static uint64_t taped_holds(void)
{
    const horus_pool *p = recording_context->pool;
    uint64_t sum = 0;
    for (uint32_t s = 0; s < p->slots; s++)
        sum += p->rec[s].count;
    return sum;
}
static void recording_init(void)
{
    horus_recording told;
    clear_space();
    horus_context_desc desc = world_desc;
    desc.max_topics = 8;
    MUST(horus_context_open(&recording_context, &desc) == HORUS_OK);
    (void)atexit(recording_end);
    for (unsigned i = 0; i < TAPED; i++) {
        horus_topic_desc d = taped_desc(i);
        MUST(horus_topic_open(&taped[i], taped_names[i], &d) == HORUS_OK);
    }
    taped_send();
    MUST(taped_fly(false, &told) == HORUS_OK && told.inputs > 20 && told.outputs > 5);
    FILE *f = fopen(taped_path(), "rb");
    MUST(f);
    tape_whole_bytes = fread(tape_whole, 1, sizeof tape_whole, f);
    (void)fclose(f);
    MUST(tape_whole_bytes > 1000 && tape_whole_bytes < sizeof tape_whole);
    for (unsigned i = 0; i < 2; i++) { /* that is replayed, by either node */
        tape_follows = i == 1;
        MUST(taped_fly(true, &told) == HORUS_OK);
    }
    tape_held = taped_holds();
}
static void taped_replay(const uint8_t *bytes, size_t n)
{
    horus_recording told;
    int fds = next_fd(), maps = fuzz_maps;
    taped_write(bytes, n);
    horus_result r = taped_fly(true, &told);
    MUST(r == HORUS_OK || r == HORUS_E_DIVERGED || r == HORUS_E_CORRUPT || r == HORUS_E_VERSION ||
         r == HORUS_E_NOT_FOUND || r == HORUS_E_SIZE || r == HORUS_E_POOL_FULL);
    MUST(taped_holds() <= tape_held);
    MUST(next_fd() == fds && fuzz_maps == maps);
    MUST(horusi_tid_taped == 0);
}

/* Where entry `number` of a whole recording begins; its end if there is none. */
static size_t taped_entry(uint32_t number)
{
    size_t at = 16;
    horusi_tape_note e;
    for (; number > 0 && at + sizeof e <= tape_whole_bytes; number--) {
        memcpy(&e, tape_whole + at, sizeof e);
        at += sizeof e + ((e.name_bytes + 7u) & ~7u) + 8u * e.words +
              (size_t)((e.data_bytes + 7) & ~(uint64_t)7);
    }
    return at < tape_whole_bytes ? at : tape_whole_bytes - sizeof e;
}
/* 1: the node follows the file; 2: the file is the rest of the input; else the whole one is damaged, in
 * words counted from the beginning of an entry, and cut off, if it says so. */
static void target_recording(input *in)
{
    static uint8_t file[TAPED_BYTES];
    uint32_t how = take8(in);
    size_t n = 16;
    tape_follows = how & 1;
    memcpy(file, tape_whole, tape_whole_bytes);
    if (how & 2) {
        for (; !is_over(in) && n < sizeof file; n++)
            file[n] = (uint8_t)take8(in);
        taped_replay(file, n);
        return;
    }
    n = how & 4 ? taped_entry((uint32_t)take(in, 2) % 256) + (size_t)take(in, 2) : tape_whole_bytes;
    n = n < tape_whole_bytes ? n : tape_whole_bytes;
    for (unsigned damages = 0; damages < 8 && !is_over(in); damages++) {
        size_t at = taped_entry((uint32_t)take(in, 2) % 256) + take8(in);
        uint32_t what = take8(in), width = 1u << (what & 3);
        uint64_t v = what & 4 ? special[take8(in) % SPECIALS] : take(in, width);
        if (what & 8) /* the beginning, too */
            at %= 16;
        if (at + width > tape_whole_bytes)
            continue;
        if (what & 16) { /* a little more or less */
            uint64_t was = 0;
            memcpy(&was, file + at, width);
            v = was + (uint64_t)(int64_t)(int8_t)v;
        }
        memcpy(file + at, &v, width);
    }
    taped_replay(file, n);
}
static void recording_seeds(void)
{
    char name[40];
    for (unsigned k = 0; k < 2; k++) { /* undamaged */
        output o = {.count = 0};
        put(&o, k, 1);
        save_seed(&o, (snprintf(name, sizeof name, "whole_%u", k), name));
    }
    for (unsigned k = 0; k < 24; k++) { /* cut off in or behind an entry */
        output o = {.count = 0};
        put(&o, 4 | (k & 1), 1), put(&o, k * 5, 2), put(&o, k % 3 * 8, 2);
        save_seed(&o, (snprintf(name, sizeof name, "cut_%u", k), name));
    }
    for (unsigned k = 0; k < 256; k++) { /* and in what fills it up */
        output o = {.count = 0};
        horusi_tape_note e;
        const size_t at = taped_entry(k), next = taped_entry(k + 1);
        memcpy(&e, tape_whole + at, sizeof e);
        if (e.data_bytes % 8 == 0 || next <= at)
            continue;
        put(&o, 5, 1), put(&o, k, 2), put(&o, next - at - 1, 2);
        save_seed(&o, (snprintf(name, sizeof name, "filled_%u", k), name));
    }
    for (unsigned k = 0; k < 256; k++) { /* sizes that agree with each other, and are too large */
        horusi_tape_note e;
        memcpy(&e, tape_whole + taped_entry(k), sizeof e);
        const unsigned words = (unsigned)sizeof e + ((e.name_bytes + 7u) & ~7u);
        if (taped_entry(k + 1) <= taped_entry(k) || e.kind != HORUSI_DEED)
            continue;
        output o = {.count = 0};
        put(&o, 1, 1), put(&o, k, 2), put(&o, offsetof(horusi_tape_note, words), 1);
        put(&o, 0, 1), put(&o, 200, 1);
        if (k % 8 == 1)
            save_seed(&o, (snprintf(name, sizeof name, "words_%u", k), name));
        if (e.what > HORUSI_PEEK || e.data_bytes == 0)
            continue;
        const bool frame = e.what != HORUS_KIND_MESSAGE && e.what != HORUSI_PEEK;
        o.count = 0;
        put(&o, 1, 1), put(&o, k, 2), put(&o, offsetof(horusi_tape_note, data_bytes), 1);
        put(&o, 2, 1), put(&o, 1000, 4);
        put(&o, k, 2),
            put(&o, words + (frame ? 40 : 36), 1); /* its descriptor's size, or its own */
        put(&o, 2, 1), put(&o, frame ? 500 : 1000, 4);
        save_seed(&o, (snprintf(name, sizeof name, "large_%u", k), name));
    }
    for (unsigned k = 0; k < 40; k++) { /* a word of an entry's head, name or words */
        output o = {.count = 0};
        put(&o, k & 1, 1), put(&o, k * 3, 2), put(&o, k % 14 * 4, 1);
        put(&o, k % 4 < 2 ? 4 | (k & 3) : 16, 1), put(&o, k, 1);
        save_seed(&o, (snprintf(name, sizeof name, "damage_%u", k), name));
    }
    for (unsigned k = 0; k < 4; k++) { /* a file of a few entries */
        output o = {.count = 0};
        put(&o, 3, 1);
        put_bytes(&o, tape_whole + 16, taped_entry(3 + k) - 16);
        save_seed(&o, (snprintf(name, sizeof name, "file_%u", k), name));
    }
}
