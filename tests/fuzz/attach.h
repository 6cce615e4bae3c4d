/* A namespace's file and a named pool's file are damaged, or replaced by arbitrary bytes, while
 * somebody is in; then a process joins and uses all that it finds. */

static uint8_t *attach_image[2]; /* the files as they should be */
static size_t attach_bytes[2];
static uint8_t *attach_copy[2];

static void attach_init(void)
{
    world w;
    clear_space();
    world_open(&w);
    find_regions(&w);
    const horus_pool *pools[2] = {w.context[0]->pool, w.named[0]};
    for (int i = 0; i < 2; i++) {
        attach_bytes[i] = (size_t)pools[i]->map_bytes;
        attach_image[i] = (uint8_t *)malloc(attach_bytes[i]);
        attach_copy[i] = (uint8_t *)malloc(attach_bytes[i]);
        MUST(attach_image[i] && attach_copy[i]);
        memcpy(attach_image[i], pools[i]->base, attach_bytes[i]);
    }
    world_close(&w);
    clear_space();
}
static int attach_put(const char *name, const uint8_t *bytes, size_t n)
{
    int fd = open(space_path(name), O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
    MUST(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
    return fd;
}

static void target_attach(input *in)
{
    session s;
    uint32_t how = take8(in), patches = take8(in) % 48;
    uint64_t cut = take(in, 3), n;
    horus_audit audit;
    horus_frame f;
    memset(&s, 0, sizeof s);
    clear_space();
    MUST(mkdir(space_path(""), 0700) == 0);
    int fds = next_fd(), maps = fuzz_maps;
    const uint8_t *bytes[2] = {attach_copy[0], attach_copy[1]};
    size_t count[2] = {attach_bytes[0], attach_bytes[1]};
    for (int i = 0; i < 2; i++)
        memcpy(attach_copy[i], attach_image[i], attach_bytes[i]);
    if ((how & 7) == 7) { /* the whole file */
        int i = how >> 3 & 1;
        bytes[i] = in->at;
        count[i] = (size_t)(in->end - in->at);
        in->at = in->end;
    }
    for (uint32_t i = 0; i < patches && !is_over(in); i++)
        patch(in, attach_copy);
    if ((how & 7) == 6) /* cut short, or longer */
        count[how >> 3 & 1] = (size_t)(cut % (attach_bytes[how >> 3 & 1] + 1));
    int fd = attach_put("horus", bytes[0], count[0]);
    close(attach_put("pool.n", bytes[1], count[1]));
    /* who is in: a stranger (then those who wrote the file are dead), or one of them, or both */
    if (!(how & 16))
        MUST(horusi_lock_byte(fd, F_WRLCK, 100) == 0);
    if (how & 32)
        MUST(horusi_lock_byte(fd, F_WRLCK, 0) == 0);
    if (how & 64)
        MUST(horusi_lock_byte(fd, F_WRLCK, 1) == 0);
    for (unsigned side = 0; side < SIDES; side++) {
        horus_context *c;
        if (horus_context_open(&c, &world_desc) != HORUS_OK)
            break;
        s.w.context[side] = c;
        horus_pool_desc d = named_desc;
        d.context = c;
        if (horus_pool_open(&s.w.named[side], "n", &d) != HORUS_OK)
            s.w.named[side] = c->pool;
        for (unsigned i = 0; i < TOPICS; i++) {
            horus_topic_desc t = topic_desc(c, i);
            t.history = side ? 0 : 20;
            t.flags = 0;
            t.type = i == 3 && side ? t.type : NULL;
            (void)horus_topic_open(&s.w.topic[side][i], topic_names[i], &t);
        }
    }
    if (s.w.context[1]) {
        input none = {NULL, NULL};
        for (unsigned i = 0; i < TOPICS * SIDES; i++)
            for (unsigned k = 0; k < 12; k++)
                live_receive(&s, &none, s.w.topic[i / TOPICS][i % TOPICS], k + 54, 0);
        send_some(&s.w, 1);
        for (unsigned i = 0; i < TOPICS; i++) {
            (void)horus_topic_skip_to_latest(s.w.topic[0][i], &n);
            (void)horus_topic_drain(s.w.topic[1][i], &n);
        }
        for (int i = 0; i < 2; i++) {
            horus_pool *p = i ? s.w.named[0] : s.w.context[1]->pool;
            (void)horus_pool_audit(p, &audit, live_each_holder, p);
            if (horus_frame_alloc(&f, p, i ? 20000 : 200000, 0, NULL) == HORUS_OK)
                (void)horus_frame_release(&f);
            (void)horus_pool_trim(p, NULL);
        }
        (void)horus_context_sweep(s.w.context[0], NULL);
        for (unsigned ops = 0; ops < 48 && !is_over(in) && live_goes_on(&s); ops++)
            live_op(&s, in);
    }
    world_close(&s.w);
    close(fd);
    clear_space();
    MUST(next_fd() == fds);
    MUST(fuzz_maps == maps);
}

static void attach_seeds(void)
{
    char name[40];
    for (unsigned i = 0; i < 8; i++) { /* undamaged, with each set of members */
        output o = {.count = 0};
        put(&o, i << 4, 1), put(&o, 0, 4);
        for (unsigned op = 0; op < 27; op++)
            put(&o, 128 + op, 1), put(&o, op * 37, 1), put(&o, op, 1), put(&o, 9, 1);
        (void)snprintf(name, sizeof name, "whole_%u", i);
        save_seed(&o, name);
    }
    for (unsigned k = 0; k < 40; k++) { /* one region damaged */
        output o = {.count = 0};
        put(&o, (k & 7) << 4, 1), put(&o, 6, 1), put(&o, 0, 3);
        for (unsigned i = 0; i < 6; i++)
            put(&o, k, 1), put(&o, k * 8 * i, 2), put(&o, 4 | 3 | 2 << 3, 1), put(&o, i + k, 1);
        (void)snprintf(name, sizeof name, "damage_%u", k);
        save_seed(&o, name);
    }
    for (unsigned k = 0; k < FIELDS * 2; k++) {
        output o = {.count = 0};
        put(&o, k & 2 ? 32 : 0, 1), put(&o, 1, 1), put(&o, 0, 3);
        seed_field(&o, k, false);
        (void)snprintf(name, sizeof name, "field_%u", k);
        save_seed(&o, name);
    }
    for (unsigned k = 0; k < 4; k++) { /* cut short */
        output o = {.count = 0};
        put(&o, 6 | (k & 1) << 3, 1), put(&o, 0, 1), put(&o, k < 2 ? 200 : 70000, 3);
        (void)snprintf(name, sizeof name, "cut_%u", k);
        save_seed(&o, name);
    }
    for (unsigned k = 0; k < 2; k++) { /* a header alone */
        output o = {.count = 0};
        put(&o, 7 | k << 3, 1), put(&o, 0, 4);
        put_bytes(&o, attach_image[k], sizeof(horusi_header));
        (void)snprintf(name, sizeof name, "file_%u", k);
        save_seed(&o, name);
    }
}
