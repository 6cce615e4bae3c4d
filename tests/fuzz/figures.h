/* A scheduler's figures and its black box, damaged while it runs, or arbitrary bytes in a frame where
 * they should be: any result will do, but what is given out is within its bounds. */

static world figures_world;
static horus_topic *figures_topic; /* of one who sends what he likes as figures */
static horus_scheduler *figures_of;
static horus_tensor figures_forged; /* a frame with bytes of his choice */
static uint64_t figures_now;
static bool figures_logs;
enum { FIGURES_ROOM = 24 };

static uint64_t figures_clock(void *user)
{
    (void)user;
    return figures_now;
}
static void figures_sleep(void *user, uint64_t ns)
{
    (void)user;
    figures_now = ns;
}
static horus_result figures_tick(void *user, horus_tick *t)
{
    (void)user;
    figures_now += t->count % 3 == 0 ? 300000 : 20000;
    if (figures_logs)
        horus_scheduler_log(t->scheduler, t, "a line");
    return HORUS_OK;
}
static void figures_add(const char *name, double hz)
{
    (void)horus_scheduler_add(figures_of, &(horus_node_desc){.name = name,
                                                             .tick = figures_tick,
                                                             .rate_hz = hz,
                                                             .budget_ns = 100000,
                                                             .on_miss = HORUS_MISS_SAFE_MODE});
}
static void figures_end(void)
{
    world_close(&figures_world);
    clear_space();
}
static void figures_init(void)
{
    clear_space();
    world_open(&figures_world);
    world_map(&figures_world);
    (void)atexit(figures_end);
    MUST(horus_topic_open(&figures_topic, "horus.scheduler/s",
                          &(horus_topic_desc){.context = figures_world.context[1],
                                              .type = &horus_tensor_type,
                                              .capacity = 1,
                                              .flags = HORUS_PUBLISHER}) == HORUS_OK);
}
/* What the reader holds of the pool: a read leaves as much as there was. */
static uint64_t figures_holds(void)
{
    const horus_pool *p = figures_world.context[1]->pool;
    uint64_t sum = 0;
    for (uint32_t s = 0; s < p->slots; s++)
        sum += p->rec[s].count;
    return sum;
}
static void figures_look(const horus_scheduler_stats *s, const horus_node_stats *nodes,
                         size_t count)
{
    MUST(memchr(s->name, 0, sizeof s->name) && (int)s->end >= 0 && s->end <= HORUS_END_FAILURE);
    MUST(count <= s->nodes);
    for (size_t i = 0; i < count; i++) {
        const horus_node_stats *n = &nodes[i];
        MUST(memchr(n->name, 0, sizeof n->name) && (int)n->state >= 0);
        MUST(n->state <= HORUS_NODE_FAILED);
        for (int k = 0; k < HORUS_SPREADS; k++) {
            const horus_spread *x = &n->spread[k];
            MUST(x->p50_ns <= x->p99_ns && x->p99_ns <= x->p99_9_ns && x->p99_9_ns <= x->max_ns);
        }
    }
}
static void figures_read(size_t room)
{
    horus_scheduler_stats s;
    horus_node_stats nodes[4];
    size_t count = 77;
    uint64_t holds = figures_holds();
    horus_result r = horus_scheduler_read(figures_world.context[1], "s", &s, nodes, room, &count);
    MUST(r == HORUS_OK || r == HORUS_E_CORRUPT || r == HORUS_E_NOT_FOUND);
    MUST(count <= room && (r == HORUS_OK || count == 0));
    MUST(r != HORUS_OK || horusi_sched_bytes(s.nodes) <= figures_world.context[1]->pool->map_bytes);
    figures_look(&s, nodes, count);
    MUST(figures_holds() == holds);
}
static void figures_read_records(size_t room)
{
    horus_record list[FIGURES_ROOM];
    size_t count = 77;
    uint64_t holds = figures_holds();
    horus_result r =
        horus_scheduler_read_records(figures_world.context[1], "s", list, room, &count);
    MUST(r == HORUS_OK || r == HORUS_E_CORRUPT || r == HORUS_E_NOT_FOUND);
    MUST(count <= room && (r == HORUS_OK || count == 0));
    for (size_t i = 0; i < count; i++) {
        MUST((int)list[i].kind >= 0 && list[i].kind <= HORUS_EVENT_LOG);
        MUST(memchr(list[i].node, 0, sizeof list[i].node));
        MUST(memchr(list[i].text, 0, sizeof list[i].text));
    }
    MUST(figures_holds() == holds);
}
/* Where a block and what belongs to it lie. */
static void figures_regions(const horus_pool *p, const void *block, uint64_t bytes, uint32_t nodes)
{
    const uint8_t *at = (const uint8_t *)block;
    region_count = 0;
    add_region(p, at, sizeof(horusi_sched_block));
    add_region(p, at + offsetof(horusi_sched_block, running), 40);
    for (uint32_t i = 0; i < nodes; i++) {
        const uint8_t *node = at + horusi_sched_bytes(i);
        add_region(p, node, offsetof(horusi_node_block, spread));
        add_region(p, node + offsetof(horusi_node_block, spread), 3 * sizeof(horusi_histogram));
    }
    if (bytes > horusi_sched_bytes(nodes))
        add_region(p, at + horusi_sched_bytes(nodes), bytes - horusi_sched_bytes(nodes));
}
static void figures_regions_of_ours(void)
{
    const horus_scheduler *s = figures_of;
    memset(&rewriter, 0, sizeof rewriter);
    region_count = 0;
    if (s->memory.data) /* else on the heap: no room was left */
        figures_regions(s->memory.frame.pool, s->block,
                        horusi_sched_bytes(s->block_nodes) +
                            horusi_box_bytes(s->box_ticks, s->box_events),
                        s->block_nodes);
}
/* A frame like the scheduler's, or of any size, sent as figures: what is patched next is its. */
static void figures_forge(input *in)
{
    horus_tensor *t = &figures_forged;
    uint32_t how = take8(in);
    int64_t bytes = 1 + (int64_t)take(in, 2) % 40000;
    figures_regions_of_ours();
    drop(t);
    if (horus_tensor_alloc(t, figures_world.context[1]->pool, HORUS_U8, 1, &bytes, 0) != HORUS_OK)
        return;
    if (how & 1) {
        uint64_t most = horusi_sched_bytes(figures_of->block_nodes);
        memcpy(t->data, (const void *)figures_of->block,
               most < (uint64_t)bytes ? (size_t)most : (size_t)bytes);
    }
    (void)horus_topic_send_tensor(figures_topic, t, HORUS_NO_WAIT);
    figures_regions(t->frame.pool, t->data, (uint64_t)bytes, how & 2 ? 1 : 0);
}
/* A descriptor of any shape, of the scheduler's frame, of the forger's or of any other. */
static void figures_describe(input *in)
{
    horusi_descriptor d;
    uint32_t how = take8(in);
    const horus_frame *f =
        how & 1 || !figures_forged.data ? &figures_of->memory.frame : &figures_forged.frame;
    horusi_out *o = figures_topic->out;
    memset(&d, 0, sizeof d);
    d.head.pool_id = how & 2 ? take8(in) : 0;
    d.head.slot = how & 4 ? (uint32_t)take(in, 2) : f->slot;
    d.head.generation = how & 8 ? (uint32_t)take(in, 2) : f->generation;
    d.head.kind = HORUS_KIND_TENSOR;
    d.head.dtype = how & 16 ? (uint8_t)take8(in) : (uint8_t)HORUS_U8;
    d.head.ndim = how & 32 ? (uint8_t)(take8(in) % 10) : 1;
    d.head.offset_bytes = take(in, 2);
    uint64_t shape = take(in, 3), stride = how & 64 ? take(in, 2) : 1;
    memcpy(d.bytes + sizeof d.head, &shape, 8);
    memcpy(d.bytes + sizeof d.head + 8, &stride, 8);
    if (how & 128) /* the rest */
        for (size_t i = sizeof d.head + 16; i < sizeof d; i++)
            d.bytes[i] = (uint8_t)take8(in);
    horusi_publish(figures_topic, o, d.bytes, HORUS_DESCRIPTOR_BYTES, HORUS_KIND_TENSOR, 0, NULL);
}

/* A record that is whole, of whatever its writer likes. */
static void figures_write(input *in)
{
    horusi_sched_block *b = figures_of->block;
    uint64_t word[HORUSI_EVENT_WORDS] = {0, take(in, 4), take(in, 1), take(in, 1)};
    word[4] = horusi_pair((uint32_t)take8(in), (uint32_t)take(in, 4));
    for (uint32_t i = 5; i < HORUSI_EVENT_WORDS - 1; i++)
        word[i] = take8(in) * 0x0101010101010101u;
    horusi_box_write(horusi_box_ticks(b, figures_of->block_nodes) +
                         (uint64_t)figures_of->box_ticks * HORUSI_TICK_WORDS,
                     &b->events_next, figures_of->box_events, word, HORUSI_EVENT_WORDS);
}

static void target_figures(input *in)
{
    world *w = &figures_world;
    horus_scheduler_stats s;
    horus_node_stats nodes[4];
    size_t count;
    int fds = next_fd(), maps = fuzz_maps;
    char extra[2] = "p";
    figures_now = 1000000000;
    figures_logs = true;
    MUST(horus_scheduler_open(&figures_of,
                              &(horus_scheduler_desc){
                                  .name = "s",
                                  .context = w->context[0],
                                  .clock = &(horus_time_source){figures_clock, figures_sleep, NULL},
                                  .blackbox_bytes = 2048}) == HORUS_OK);
    figures_add("a", 1000);
    MUST(horus_scheduler_step(figures_of, 5000000) == HORUS_OK);
    MUST(figures_of->memory.data); /* it is shared */
    figures_regions_of_ours();
    for (unsigned ops = 0; ops < 40 && !is_over(in); ops++)
        switch (take8(in) % 16) {
        case 0:
        case 1:
        case 2:
            if (region_count)
                patch(in, w->raw);
            break;
        case 3:
            if (region_count)
                set_rewriter(in, w->raw);
            break;
        case 4:
        case 5:
            figures_read(take8(in) % 5);
            break;
        case 6:
        case 7:
            figures_read_records(1 + take8(in) % FIGURES_ROOM);
            break;
        case 9:
            figures_write(in);
            break;
        case 8:
            figures_logs = take8(in) & 1;
            (void)horus_scheduler_step(figures_of, 1000000);
            break;
        case 10:
            count = take8(in) % 5;
            if (horus_scheduler_get_stats(figures_of, &s, nodes, count, &count) == HORUS_OK)
                figures_look(&s, nodes, count);
            break;
        case 11: /* its figures move */
            figures_add(extra, 500);
            extra[0]++;
            (void)horus_scheduler_step(figures_of, 1000000);
            figures_regions_of_ours();
            break;
        case 12:
        case 13:
            figures_forge(in);
            break;
        default:
            figures_describe(in);
            break;
        }
    figures_read(2);
    figures_read_records(FIGURES_ROOM);
    memset(&rewriter, 0, sizeof rewriter);
    MUST(horus_scheduler_close(figures_of) == HORUS_OK);
    drop(&figures_forged);
    MUST(next_fd() == fds);
    MUST(fuzz_maps == maps);
}

static void figures_seed(output *o, const char *name)
{
    put(o, 4, 1), put(o, 3, 1), put(o, 6, 1), put(o, 20, 1), put(o, 8, 1), put(o, 1, 1);
    put(o, 10, 1), put(o, 2, 1);
    save_seed(o, name);
}
static void figures_seeds(void)
{
    char name[40];
    output whole = {.count = 0};
    figures_seed(&whole, "whole");
    for (unsigned k = 0; k < 24; k++) { /* one word damaged: the head's, then others */
        output o = {.count = 0};
        unsigned at = k < 14 ? k * 4 + (k >= 6 ? 120 - 24 : 0) : (k - 14) * 24;
        put(&o, 0, 1), put(&o, k < 14 ? 0 : k % 5, 1), put(&o, at, 2);
        put(&o, 4 | 2 | 2 << 3, 1), put(&o, k % 2 ? 7 : 2, 1);
        figures_seed(&o, (snprintf(name, sizeof name, "damage_%u", k), name));
    }
    for (unsigned k = 0; k < 12; k++) { /* a word that changes all the time */
        output o = {.count = 0};
        put(&o, 3, 1), put(&o, k % 5, 1), put(&o, k < 6 ? k * 8 : 136 + k * 8, 2),
            put(&o, k & 7, 1);
        put(&o, 1 + k % 3, 1), put(&o, k, 1);
        figures_seed(&o, (snprintf(name, sizeof name, "rewrite_%u", k), name));
    }
    for (unsigned k = 0; k < 8; k++) { /* forged: short, of the right size, with a damaged head */
        output o = {.count = 0};
        put(&o, 12, 1), put(&o, k & 3, 1), put(&o, k < 4 ? 100 + 60 * k : 13136 + k, 2);
        put(&o, 0, 1), put(&o, 0, 1), put(&o, 8 + 4 * (k & 1), 2), put(&o, 4 | 2, 1);
        put(&o, k, 4);
        figures_seed(&o, (snprintf(name, sizeof name, "forged_%u", k), name));
    }
    for (unsigned k = 0; k < 8; k++) { /* a record of a node that there is, or is not */
        output o = {.count = 0};
        put(&o, 9, 1), put(&o, 1000000000 + k, 4), put(&o, k, 3);
        put(&o, (k & 1 ? 12 : k) | (k < 2 ? 0 : k << 10 << k) << 8, 4);
        for (unsigned i = 0; i < 10; i++)
            put(&o, k < 4 ? 'a' + i : 255, 1);
        figures_seed(&o, (snprintf(name, sizeof name, "record_%u", k), name));
    }
    for (unsigned k = 0; k < 8; k++) { /* described: from elsewhere in the frame, or another */
        output o = {.count = 0};
        put(&o, 14, 1), put(&o, 1 | k << 4, 1);
        if (k & 1)
            put(&o, 3, 1);
        if (k & 2)
            put(&o, 1 + k, 1);
        put(&o, k < 4 ? 0 : 2 * k, 2), put(&o, 13300, 3);
        if (k & 4)
            put(&o, 1, 2);
        figures_seed(&o, (snprintf(name, sizeof name, "described_%u", k), name));
    }
}
