/* Operations of members on a world whose memory may be damaged at any moment: any result will do, a
 * crash, a hang or an access outside the mapping will not. */

typedef struct session {
    world w;
    uint32_t waits, opens; /* what is slow is done a few times */
    bool may_patch;
} session;

static uint8_t live_buffer[20000];

/* Calls one of the receives and lets go of (or keeps) what comes. */
static void live_receive(session *s, input *in, horus_topic *t, uint32_t how, int64_t timeout_ns)
{
    horus_info info;
    horus_tensor tensor, second;
    horus_image image;
    horus_depth depth;
    horus_cloud cloud;
    double value[4];
    switch (how % 6) {
    case 0:
        if (horus_topic_receive_tensor(t, &tensor, &info, timeout_ns) != HORUS_OK)
            break;
        touch_tensor(&tensor);
        if (horus_tensor_slice(&second, &tensor, (int8_t)take8(in), (int8_t)take8(in)) ==
            HORUS_OK) {
            touch_tensor(&second);
            (void)horus_tensor_release(&second);
        }
        drop(&s->w.held[how / 6 % HELD]);
        s->w.held[how / 6 % HELD] = tensor;
        break;
    case 1:
        if (horus_topic_receive_image(t, &image, &info, timeout_ns) != HORUS_OK)
            break;
        touch_image(&image);
        (void)horus_image_pixel(&image, image.width_px - 1, image.height_px - 1, value,
                                image.channels);
        (void)horus_image_release(&image);
        break;
    case 2:
        if (horus_topic_receive_cloud(t, &cloud, NULL, timeout_ns) != HORUS_OK)
            break;
        touch_cloud(&cloud);
        (void)horus_cloud_release(&cloud);
        break;
    case 3:
        if (horus_topic_receive_depth(t, &depth, &info, timeout_ns) != HORUS_OK)
            break;
        touch_depth(&depth);
        (void)horus_depth_release(&depth);
        break;
    default:
        (void)horus_topic_receive(t, live_buffer, how & 64 ? sizeof live_buffer : 170, &info,
                                  timeout_ns);
        break;
    }
}
static void live_send(session *s, input *in, unsigned side, horus_topic *t, uint32_t how,
                      int64_t timeout_ns)
{
    horus_pool *p = how & 64 ? s->w.named[side] : s->w.context[side]->pool;
    horus_image m;
    horus_depth d;
    horus_tensor x;
    int64_t shape[3] = {1 + (int64_t)take8(in), 1 + (int64_t)(how & 7), 3};
    switch (how % 6) {
    case 0:
        if (horus_tensor_alloc(&x, p, HORUS_F32, 3, shape, 0) == HORUS_OK) {
            (void)horus_topic_send_tensor(t, &x, timeout_ns);
            (void)horus_tensor_release(&x);
        }
        break;
    case 1:
        if (horus_image_alloc(&m, p, (uint32_t)shape[0], 5, HORUS_BGR8, 0) == HORUS_OK) {
            (void)horus_topic_send_image(t, &m, timeout_ns);
            (void)horus_image_release(&m);
        }
        break;
    case 2:
        if (horus_depth_alloc(&d, p, (uint32_t)shape[0], 4, HORUS_U16, 0) == HORUS_OK) {
            (void)horus_topic_send_depth(t, &d, timeout_ns);
            (void)horus_depth_release(&d);
        }
        break;
    case 3:
        (void)horus_topic_send(t, live_buffer, 1 + (size_t)shape[0] * 40, timeout_ns);
        break;
    default:
        (void)horus_topic_send(t, live_buffer, how & 8 ? sizeof(horus_vector3) : (size_t)shape[0],
                               timeout_ns);
        break;
    }
}
static void live_open(session *s, input *in, unsigned side, unsigned which)
{
    uint32_t how = take8(in);
    horus_topic_desc d = topic_desc(s->w.context[side], which);
    horus_topic_close(s->w.topic[side][which]);
    s->w.topic[side][which] = NULL;
    if (how & 1)
        d.policy = (horus_policy)(how >> 1 & 3);
    if (how & 8)
        d.history = how >> 4;
    if (how & 16)
        d.flags |= HORUS_PUBLISHER;
    if (how & 32)
        d.type = &horus_cmd_vel_type;
    if (how & 64)
        d.capacity = 1;
    if (how & 128)
        d.history = UINT32_MAX;
    (void)horus_topic_open(&s->w.topic[side][which], topic_names[which], &d);
}
static void live_each_topic(void *user, const horus_topic_stats *stats)
{
    (void)user;
    view_sum += strlen(stats->name) + strlen(stats->type);
}
static void live_each_holder(void *user, const horus_holder *h)
{
    const horus_pool *p = (const horus_pool *)user;
    view_sum += strlen(h->topic) + strlen(h->label);
    MUST(h->bytes <= p->map_bytes - p->data_offset);
    MUST(h->offset_bytes <= p->map_bytes - p->data_offset - h->bytes);
}

static void live_op(session *s, input *in)
{
    uint32_t op = take8(in), how = take8(in);
    unsigned side = how & 1, which = how >> 1 & 3;
    world *w = &s->w;
    horus_topic *t = w->topic[side][which];
    horus_context *c = w->context[side];
    horus_pool *p = how & 128 ? w->named[side] : c->pool;
    int64_t timeout = 0;
    uint64_t n;
    size_t ready;
    horus_info info;
    horus_topic_stats ts;
    horus_pool_stats ps;
    horus_audit audit;
    horus_context_info ci;
    horus_frame f;
    void *data;
    if (op < 96) {
        if (s->may_patch)
            patch(in, w->raw);
        return;
    }
    if (op < 112) {
        if (s->may_patch)
            set_rewriter(in, w->raw);
        return;
    }
    if (op >= 250 && s->waits < 4) {
        timeout = 300000;
        s->waits++;
    }
    switch (op % 32) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
        live_send(s, in, side, t, take8(in), timeout);
        break;
    case 5:
    case 6:
    case 7:
    case 8:
    case 9:
    case 10:
        live_receive(s, in, t, take8(in), timeout);
        break;
    case 11:
        (void)horus_topic_peek(t, how & 64 ? live_buffer : NULL, sizeof live_buffer, &info);
        break;
    case 12:
        (void)horus_topic_skip_to_latest(t, &n);
        break;
    case 13:
        (void)horus_topic_drain(t, &n);
        break;
    case 14:
        (void)horus_topic_ack(t);
        break;
    case 15:
        (void)horus_topic_get_stats(t, &ts);
        break;
    case 16:
    case 17:
        live_open(s, in, side, which);
        break;
    case 18:
        drop(&w->held[how >> 3 & 7]);
        (void)horus_tensor_alloc(&w->held[how >> 3 & 7], p, HORUS_U8, 1,
                                 &(int64_t){1 + (int64_t)take(in, 2)}, 0);
        break;
    case 19:
        drop(&w->held[how >> 3 & 7]);
        break;
    case 20:
        if (horus_frame_alloc(&f, p, 1 + take(in, 3), 0, &data) == HORUS_OK) {
            touch(&f, data, 1);
            (void)horus_frame_data(&f, &data, &n);
            touch(&f, data, n);
            (void)horus_frame_release(&f);
        }
        break;
    case 21:
        (void)horus_pool_get_stats(p, &ps);
        break;
    case 22:
        (void)horus_pool_trim(p, &n);
        break;
    case 23:
        (void)horus_pool_audit(p, &audit, live_each_holder, p);
        break;
    case 24:
        (void)horus_context_sweep(c, NULL);
        break;
    case 25:
        (void)horus_context_topics(c, live_each_topic, NULL);
        (void)horus_context_get_info(c, &ci);
        break;
    case 26:
        (void)horus_wait((horus_topic *const *)w->topic[side], TOPICS, timeout, &ready);
        break;
    case 27: /* leave and join again; side 0 stays, so that the mapping stays */
        if (s->opens++ >= 2)
            break;
        for (unsigned i = 0; i < TOPICS; i++) {
            horus_topic_close(w->topic[1][i]);
            w->topic[1][i] = NULL;
        }
        for (unsigned i = 0; i < HELD; i++)
            if (w->held[i].frame.pool && w->held[i].frame.pool->context == w->context[1])
                drop(&w->held[i]);
        horus_context_close(w->context[1]);
        if (horus_context_open(&w->context[1], &world_desc) != HORUS_OK)
            w->context[1] = NULL;
        w->named[1] = NULL;
        if (w->context[1]) {
            horus_pool_desc d = named_desc;
            d.context = w->context[1];
            (void)horus_pool_open(&w->named[1], "n", &d);
        }
        break;
    case 28:
        if (horusi_is_valid(&w->held[how >> 3 & 7].frame)) {
            char id[HORUS_FRAME_ID_BYTES];
            (void)horus_frame_get_id(&w->held[how >> 3 & 7].frame, id);
            (void)horus_frame_holders(&w->held[how >> 3 & 7].frame);
            if (horus_frame_data(&w->held[how >> 3 & 7].frame, &data, &n) == HORUS_OK)
                touch(&w->held[how >> 3 & 7].frame, data, n);
            (void)horus_topic_send_tensor(t, &w->held[how >> 3 & 7], timeout);
        }
        break;
    default:
        send_some(w, side);
        break;
    }
}
/* A member that could not come back is not asked again. */
static bool live_goes_on(const session *s)
{
    return s->w.context[1] != NULL && s->w.named[1] != NULL;
}

static void target_live(input *in)
{
    session s;
    memset(&s, 0, sizeof s);
    s.may_patch = true;
    clear_space();
    int maps = fuzz_maps, fds = next_fd();
    world_open(&s.w);
    world_map(&s.w);
    find_regions(&s.w);
    for (unsigned ops = 0; ops < 96 && !is_over(in) && live_goes_on(&s); ops++)
        live_op(&s, in);
    world_close(&s.w);
    clear_space();
    MUST(next_fd() == fds);
    MUST(fuzz_maps == maps);
}
static void seed_patch(output *o, unsigned region_, unsigned at, unsigned how, uint64_t v,
                       unsigned n)
{
    put(o, 1, 1), put(o, 0, 1), put(o, region_, 1), put(o, at, 2), put(o, how, 1), put(o, v, n);
}
static void seed_rewrite(output *o, unsigned region_, unsigned at, unsigned how, unsigned every,
                         unsigned bad)
{
    put(o, 100, 1), put(o, 0, 1), put(o, region_, 1), put(o, at, 2), put(o, how, 1);
    put(o, every, 1), put(o, bad, 1);
}
/* Fields that matter, by region (see find_regions): a lane's, a topic's, the map's, a header's. */
static const uint16_t fields[][2] = {
    {10, 0},  {10, 8}, {10, 32}, {10, 64}, {10, 72},  {8, 8},  {8, 12}, {8, 16},
    {8, 192}, {3, 0},  {3, 4},   {3, 992}, {3, 1008}, {4, 0},  {12, 0}, {12, 8},
    {19, 0},  {14, 0}, {14, 8},  {14, 16}, {0, 16},   {0, 24}, {0, 28}, {0, 32},
    {1, 0},   {2, 0},  {18, 0},  {6, 0},   {6, 240},  {7, 0},  {7, 24}, {11, 0},
};
enum { FIELDS = sizeof fields / sizeof fields[0] };
static void seed_field(output *o, unsigned k, bool op)
{
    const uint16_t *f = fields[k / 2];
    unsigned value = f[0] == 3 || f[0] == 6 ? 18
                     : k & 1                ? 13
                                            : 3; /* HEAD of 40, 2^20, or all bits */
    if (op)
        put(o, 1, 1), put(o, 0, 1);
    put(o, f[0], 1), put(o, f[1], 2), put(o, 4 | (k & 1 ? 2 : 3) | 2 << 3, 1), put(o, value, 1);
}
static void live_seeds(void)
{
    char name[40];
    for (unsigned which = 0; which < TOPICS; which++) { /* all calls on each topic */
        output o = {.count = 0};
        for (unsigned op = 0; op < 29; op++)
            for (unsigned side = 0; side < 2; side++) {
                put(&o, 128 + op, 1), put(&o, side | which << 1, 1), put(&o, op, 1);
                put(&o, 3, 1);
            }
        (void)snprintf(name, sizeof name, "calls_%u", which);
        save_seed(&o, name);
    }
    static const uint8_t after[] = {5, 11, 12, 13, 15, 23, 24, 16, 5, 20, 22, 25, 27};
    for (unsigned k = 0; k < 24; k++) { /* damage, then use */
        output o = {.count = 0};
        for (unsigned i = 0; i < 5; i++)
            seed_patch(&o, k * 2 + i / 3, k * 8 * i, 4 | 3 | 2 << 3, i + k, 1);
        for (unsigned i = 0; i < sizeof after; i++) {
            put(&o, 128 + after[i], 1), put(&o, (k & 3) << 1 | (i & 1), 1), put(&o, i, 1);
        }
        (void)snprintf(name, sizeof name, "damage_%u", k);
        save_seed(&o, name);
    }
    for (unsigned k = 0; k < FIELDS * 2; k++) { /* one field damaged, and whoever comes next */
        output o = {.count = 0};
        seed_field(&o, k, true);
        for (unsigned i = 0; i < sizeof after; i++) {
            put(&o, 128 + (i == 0 ? 16 : after[i]), 1), put(&o, i & 1 || i == 0, 1), put(&o, 0, 1);
        }
        (void)snprintf(name, sizeof name, "field_%u", k);
        save_seed(&o, name);
    }
    for (unsigned how = 0; how < 8; how++) { /* a lane that cannot be had and changes for ever */
        output o = {.count = 0};
        seed_patch(&o, 10, 8, 4 | 3 | 2 << 3, 0, 1);
        seed_rewrite(&o, 10, 0, how, 1, 1);
        put(&o, 128 + 16, 1), put(&o, 1, 1), put(&o, 0, 1);
        (void)snprintf(name, sizeof name, "lane_%u", how);
        save_seed(&o, name);
    }
    for (unsigned k = 0; k < 40; k++) { /* a word that changes all the time */
        output o = {.count = 0};
        seed_rewrite(&o, k, k * 8, k & 7, 1 + k % 3, k);
        for (unsigned i = 0; i < sizeof after; i++) {
            put(&o, 128 + after[i], 1), put(&o, (k & 3) << 1 | (i & 1), 1), put(&o, i, 1);
        }
        (void)snprintf(name, sizeof name, "rewrite_%u", k);
        save_seed(&o, name);
    }
}

/* ---- the storm: another process rewrites the same words while they are used */

static void storm_rewrite(const session *s, uint64_t seed, volatile uint64_t *count)
{
    uint8_t *const *base = s->w.raw;
    uint8_t script[64];
    rng_state = seed;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        const region *r = &regions[rng() % region_count];
        uint64_t at = r->offset + (rng() % r->bytes & ~7ull), was = 0;
        _Atomic uint64_t *word = (_Atomic uint64_t *)(void *)(base[r->file] + at);
        uint32_t how = rng() % 8, times = 1u << rng() % 12;
        if (how == 0) { /* stays damaged */
            for (size_t i = 0; i < sizeof script; i++)
                script[i] = (uint8_t)rng();
            patch(&(input){script, script + sizeof script}, base);
            *count += 1;
            continue;
        }
        if (at + 8 > r->offset + r->bytes)
            continue;
        /* between what is right and what is not, as fast as can be; right in the end */
        was = atomic_load_explicit(word, memory_order_relaxed);
        uint64_t bad = special[rng() % SPECIALS];
        bad = how == 1   ? was + 1
              : how == 2 ? was ^ 1ull << rng() % 64
              : how == 3 ? (was & 0xffffffff00000000ull) | (uint32_t)bad
              : how == 4 ? (was & 0xffffffff) | bad << 32
              : how == 5 ? (uint64_t)rng() << 32 | rng()
                         : bad;
        for (uint32_t i = 0; i < times; i++) {
            atomic_store_explicit(word, bad, memory_order_relaxed);
            for (uint32_t k = rng() % 64; k > 0; k--)
                horusi_relax();
            atomic_store_explicit(word, was, memory_order_relaxed);
        }
        *count += 2 * (uint64_t)times;
    }
}
void __sanitizer_print_stack_trace(void);
static void storm_hangs(int signal)
{
    (void)signal;
    static const char text[] = "a call did not come back:\n";
    (void)!write(2, text, sizeof text - 1);
    __sanitizer_print_stack_trace();
    _exit(9);
}
static void storm_round(uint64_t seed, volatile uint64_t *counts)
{
    session s;
    uint8_t script[4096];
    memset(&s, 0, sizeof s);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)signal(SIGALRM, storm_hangs);
    clear_space();
    world_open(&s.w);
    world_map(&s.w);
    find_regions(&s.w);
    pid_t other = fork();
    MUST(other >= 0);
    if (other == 0)
        storm_rewrite(&s, seed, counts + 1);
    rng_state = ~seed;
    uint64_t end = horus_now_ns() + 60000000;
    while (horus_now_ns() < end && live_goes_on(&s)) {
        for (size_t i = 0; i < sizeof script; i++)
            script[i] = (uint8_t)rng();
        input in = {script, script + sizeof script};
        s.waits = s.opens = 0;
        while (!is_over(&in) && horus_now_ns() < end && live_goes_on(&s)) {
            (void)alarm(15); /* a call */
            live_op(&s, &in);
            counts[0] += 1;
        }
    }
    (void)alarm(15);
    world_close(&s.w);
    (void)alarm(0);
    (void)kill(other, SIGKILL);
    (void)waitpid(other, NULL, 0);
    clear_space();
    _exit(0);
}
/* FUZZ_SECONDS of rounds from FUZZ_SEED on. */
static int storm(void)
{
    const char *seconds = getenv("FUZZ_SECONDS"), *first = getenv("FUZZ_SEED");
    uint64_t seed = first ? strtoull(first, NULL, 0) : horus_now_ns() / 1000;
    uint64_t end = horus_now_ns() + (uint64_t)(seconds ? atoi(seconds) : 20) * 1000000000u;
    unsigned rounds = 0, failures = 0;
    volatile uint64_t *counts = (volatile uint64_t *)mmap(NULL, 4096, PROT_READ | PROT_WRITE,
                                                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    printf("storm: FUZZ_SEED=%llu\n", (unsigned long long)seed);
    for (; horus_now_ns() < end && failures < 5; rounds++, seed++) {
        int status = -1;
        fflush(NULL);
        pid_t pid = fork();
        if (pid == 0)
            storm_round(seed, counts);
        (void)waitpid(pid, &status, 0);
        if (status == 0)
            continue;
        failures++;
        printf("storm: FAILED with FUZZ_SEED=%llu: status %x\n", (unsigned long long)seed,
               (unsigned)status);
    }
    clear_space();
    printf("storm: %u rounds, %llu calls, %llu rewrites, %u failed\n", rounds,
           (unsigned long long)counts[0], (unsigned long long)counts[1], failures);
    return failures ? 1 : 0;
}
