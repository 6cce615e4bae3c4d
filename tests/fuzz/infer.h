/* Descriptions of inference operators, put together of any words: what is said of them is whole, the same
 * for all who ask, and one that passes can be set up and run. */

enum { INFER_MAPS = 9, INFER_MOST = 5 };
static horus_context *infer_context;
static horus_pool *infer_pool;

static void infer_init(void)
{
    (void)setenv("ORT_DYLIB_PATH", "/none/libonnxruntime.so", 1);
    MUST(horus_context_open(&infer_context,
                            &(horus_context_desc){.flags = HORUS_PRIVATE, .pool_bytes = 4 << 20}) ==
         HORUS_OK);
    MUST(horus_pool_open(&infer_pool, NULL, &(horus_pool_desc){.context = infer_context}) ==
         HORUS_OK);
}

/* A word of a few that fit together, or of any bytes. What it is made in lives as long as the input is
 * looked at. */
static char infer_words[256][96];
static unsigned infer_word_count;
static const char *infer_word(input *in, const char *const *known, unsigned count)
{
    uint32_t how = take8(in);
    if (how < 224)
        return known[how % count];
    if (how < 228 || infer_word_count == 256)
        return NULL;
    char *w = infer_words[infer_word_count++];
    uint32_t n = take8(in) % 96;
    for (uint32_t i = 0; i < n; i++)
        w[i] = (char)take8(in);
    w[n == 95 ? 95 : n] = 0;
    return w;
}
static const char *const infer_models[] = {"m1", "m2", "m3", "m1", "m2", "m", ""};
static const char *const infer_tensors[] = {"a", "b", "c", "d", "e", "f", "aa", ""};
static const char *const infer_values[] = {"1",   "0",      "2",     "10", "identity", "add",
                                           "trt", "onnxrt", "torch", "-1", ""};
static const char *const infer_paths[] = {"/dev/null", "/dev/zero", "/proc/self/exe",
                                          "/dev",      "",          "/none"};
#define INFER_WORD(in, known) infer_word(in, known, sizeof(known) / sizeof(known[0]))

static horus_infer_entry infer_entries[INFER_MAPS][INFER_MOST + 1];
static horus_infer_list infer_lists[3][INFER_MOST + 1];
static const char *infer_names[3][INFER_MOST][INFER_MOST + 1], *infer_own[2][INFER_MOST + 1];

static const horus_infer_entry *infer_map(input *in, unsigned which, const char *const *values,
                                          unsigned count)
{
    uint32_t how = take8(in), n = how % (INFER_MOST + 1);
    memset(infer_entries[which], 0, sizeof infer_entries[which]);
    for (uint32_t i = 0; i < n; i++)
        infer_entries[which][i] =
            (horus_infer_entry){how & 128 ? INFER_WORD(in, infer_models) : infer_models[i],
                                infer_word(in, values, count)};
    return how == 0 ? NULL : infer_entries[which];
}
static const horus_infer_list *infer_list(input *in, unsigned which)
{
    uint32_t how = take8(in), n = how % (INFER_MOST + 1);
    memset(infer_lists[which], 0, sizeof infer_lists[which]);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t names = take8(in), m = names % (INFER_MOST + 1);
        for (uint32_t k = 0; k <= m; k++)
            infer_names[which][i][k] = k < m ? INFER_WORD(in, infer_tensors) : NULL;
        infer_lists[which][i] =
            (horus_infer_list){how & 128 ? INFER_WORD(in, infer_models) : infer_models[i],
                               names == 255 ? NULL : infer_names[which][i]};
    }
    return how == 0 ? NULL : infer_lists[which];
}
static const char *const *infer_own_names(input *in, unsigned which)
{
    uint32_t how = take8(in), n = how % (INFER_MOST + 1);
    for (uint32_t k = 0; k <= n; k++)
        infer_own[which][k] = k < n ? INFER_WORD(in, infer_tensors) : NULL;
    return how < 128 ? NULL : infer_own[which];
}
#define INFER_MAP(in, which, values)                                                               \
    infer_map(in, which, values, sizeof(values) / sizeof(values[0]))

/* Whole lines, in their room; the same with more room, as far as they went. */
static void infer_report(const horus_infer_desc *d, horus_result r, size_t room)
{
    char whole[20000], *cut = (char *)malloc(room);
    MUST(cut || room == 0);
    MUST(horus_infer_check(d, whole, sizeof whole) == r);
    MUST(horus_infer_check(d, cut, room) == r);
    MUST((r == HORUS_OK) == (whole[0] == 0));
    size_t n = room ? strnlen(cut, room) : 0;
    MUST(room == 0 || n < room);
    MUST(strncmp(whole, cut, n) == 0);
    MUST(n == 0 || cut[n - 1] == '\n');
    MUST(r == HORUS_OK || strncmp(horus_last_error(), "infer_check: ", 13) == 0);
    free(cut);
}
static void infer_frames(input *in, horus_infer *op)
{
    static double numbers[64];
    for (unsigned i = 0; i < 12 && !is_over(in); i++) {
        horus_tensor t = {.data = numbers};
        uint64_t age;
        const char *name = INFER_WORD(in, infer_tensors);
        switch (take8(in) % 6) {
        case 0:
        case 1: /* up to 4 x 4, of any dtype */
            t.dtype = (uint8_t)(take8(in) % 14);
            t.ndim = take8(in) % 3;
            t.strides_bytes[1] = (int64_t)horus_dtype_bytes((horus_dtype)t.dtype);
            t.shape[0] = take8(in) % 5, t.shape[1] = take8(in) % 5;
            t.strides_bytes[0] = t.ndim > 1 ? t.strides_bytes[1] * 4 : t.strides_bytes[1];
            (void)horus_infer_set(op, name, &t, take(in, 2));
            break;
        case 2:
            (void)horus_infer_set_active(op, INFER_WORD(in, infer_models), take8(in) & 1);
            break;
        case 3:
            (void)horus_infer_warm_up(op);
            break;
        case 4:
            if (horus_infer_get(op, name, &t, &age) == HORUS_OK) {
                MUST(t.data && horus_tensor_is_contiguous(&t) && age < 20);
                MUST(horus_tensor_release(&t) == HORUS_OK);
            }
            break;
        default:
            (void)horus_infer_run(op);
            break;
        }
    }
}
static void target_infer(input *in)
{
    horus_infer_desc d = {.name = NULL};
    horus_infer *op;
    uint32_t how = take8(in);
    infer_word_count = 0;
    d.backend = how & 1 ? NULL : INFER_WORD(in, infer_values);
    d.backend_map = how & 1 ? INFER_MAP(in, 0, infer_values) : NULL;
    d.model_path_map = INFER_MAP(in, 1, infer_paths);
    d.pre_processor_map = infer_list(in, 0);
    d.inference_map = infer_list(in, 1);
    if (how & 2) {
        d.temporal_map = INFER_MAP(in, 2, infer_values);
        d.activation_map = INFER_MAP(in, 3, infer_values);
    }
    if (how & 4) {
        d.device_map = INFER_MAP(in, 4, infer_values);
        d.dla_core_map = INFER_MAP(in, 5, infer_values);
        d.trt_opt_profile = infer_list(in, 2);
    }
    if (how & 8) {
        d.in_tensor_names = infer_own_names(in, 0);
        d.out_tensor_names = infer_own_names(in, 1);
    }
    if (how & 16) {
        uint32_t bits = take8(in);
        d.infer_on_cpu = bits & 1, d.enable_fp16 = bits >> 1 & 1, d.is_engine_path = bits >> 2 & 1;
        d.dynamic_input_dims = bits >> 3 & 1;
        d.input_on_cuda = (horus_choice)(take8(in) % 5),
        d.output_on_cuda = (horus_choice)(bits >> 6);
        d.name = INFER_WORD(in, infer_tensors);
        d.wait_ns = (int64_t)take(in, 1) - 4, d.budget_ns = (int64_t)take(in, 1) - 4;
    }
    d.parallel_inference = how & 32 ? HORUS_YES : HORUS_NO;
    d.pool = infer_pool;
    horus_result r = horus_infer_check(&d, NULL, 0), made;
    MUST(r == HORUS_OK || r == HORUS_E_ARG || r == HORUS_E_PERMISSION);
    infer_report(&d, r, take8(in) * 4);
    made = horus_infer_open(&op, &d, NULL, 0);
    MUST(r == HORUS_OK || made == r);
    MUST((made == HORUS_OK) == (op != NULL));
    if (op)
        infer_frames(in, op);
    horus_infer_close(op);
    horus_pool_stats s;
    MUST(horus_pool_get_stats(infer_pool, &s) == HORUS_OK && s.used_slots == 0);
}

/* Two or three models that are right, then frames; and each of them with one byte changed. */
static void infer_seeds(void)
{
    static const uint8_t good[] = {2,   4,          /* temporal and activation maps; identity */
                                   2,   0, 1,       /* m1, m2 and their files */
                                   2,   1, 0, 1, 1, /* m1 takes a, m2 takes b */
                                   2,   1, 2, 1, 3, /* c and d */
                                   1,   3, 2, 1, 0, /* every tenth; active */
                                   200,             /* room */
                                   0,   0, 0, 2, 3, 4, 0, 0, /* a: 3 x 4 float32 */
                                   1,   0, 0, 2, 3, 4, 0, 0, /* b */
                                   0,   5,                   /* run */
                                   2,   4,                   /* get c */
                                   0,   2, 1, 1,             /* activate */
                                   0,   0, 0, 1, 4, 4, 0, 0, 0, 5, 0, 3, 2, 4};
    char name[40];
    for (unsigned k = 0; k < 40; k++) {
        output o = {.count = 0};
        for (unsigned i = 0; i < sizeof good; i++)
            put(&o, i == k - 1 ? (good[i] + 1 + 29 * k) & 255 : good[i], 1);
        save_seed(&o, (snprintf(name, sizeof name, k ? "changed_%u" : "good", k), name));
    }
}
