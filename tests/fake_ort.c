/* A library that looks like ONNX Runtime to horus.h, for tests/test_infer.c: functions at their places in a
 * table, one model that adds up its inputs, and a call of the test's choice that fails. It counts what
 * it has made. Built by the test: gcc -shared -fPIC. */
#include "fake_ort.h"
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

fake fake_state = {.element = 1, .ndim = 1};

typedef struct object {
    void *data;
    int64_t shape[16];
    size_t ndim;
    int element;
    char own[64];
} object;
static object status = {.own = "the fake says no"};
static object *make(void)
{
    fake_state.live++;
    return calloc(1, sizeof(object));
}
/* Counts a call. Not NULL: it is to fail. */
static void *call(int place)
{
    fake_state.calls[place]++;
    if (place != fake_state.fails)
        return NULL;
    fake_state.live++;
    return &status;
}
#define BEGIN(place)                                                                               \
    void *s = call(place);                                                                         \
    if (s)                                                                                         \
        return s;
#define MAKES(name, place, ...)                                                                    \
    static void *name(__VA_ARGS__, object **out)                                                   \
    {                                                                                              \
        BEGIN(place)                                                                               \
        *out = make();                                                                             \
        return NULL;                                                                               \
    }

static const char *message(const void *it) { return ((const object *)it)->own; }
static void no_status(void *it)
{
    (void)it;
    fake_state.live--;
}
static void release(void *it)
{
    if (it)
        fake_state.live--;
    free(it);
}
MAKES(env, 3, int level, const char *name)
MAKES(cpu, 69, int allocator, int kind)
static void *allocator(object **out)
{
    BEGIN(78)
    *out = &status;
    return NULL;
}
static void *options(object **out)
{
    BEGIN(10)
    *out = make();
    return NULL;
}
static void *run_options(object **out)
{
    BEGIN(39)
    *out = make();
    return NULL;
}
MAKES(session, 7, void *environment, const char *path, void *with)
static void note(const char *key, const char *value)
{
    strcat(strcat(fake_state.keys, key), "=");
    strcat(strcat(fake_state.keys, value), ";");
}
static void *threads(void *o, int n)
{
    char value[2] = {(char)('0' + n), 0};
    (void)o;
    note("threads", value);
    return call(24);
}
static void *config(void *o, const char *key, const char *value)
{
    (void)o;
    note(key, value);
    return call(130);
}
static void *inputs(void *m, size_t *n)
{
    (void)m;
    *n = 2;
    return call(30);
}
static void *outputs(void *m, size_t *n)
{
    (void)m;
    *n = 1;
    return call(31);
}
MAKES(type_in, 33, void *m, size_t i)
MAKES(type_out, 34, void *m, size_t i)
static void *name_of(int place, const char *text, char **out)
{
    BEGIN(place)
    fake_state.live++;
    *out = strdup(text);
    return NULL;
}
static void *name_in(void *m, size_t i, void *a, char **out)
{
    (void)m, (void)a;
    return name_of(36, i ? "right" : "left", out);
}
static void *name_out(void *m, size_t i, void *a, char **out)
{
    (void)m, (void)a, (void)i;
    return name_of(37, "sum", out);
}
static void *free_name(void *a, void *it)
{
    (void)a;
    release(it);
    return call(76);
}
static void *as_tensor(const void *type, const void **out)
{
    *out = fake_state.sequence ? NULL : type;
    return call(55);
}
/* What is asked of a value knows its shape; of the model, what the test has said. */
static void *element(const void *info, int *out)
{
    const object *o = info;
    *out = o->element ? o->element : fake_state.element;
    return call(60);
}
static void *dims(const void *info, size_t *out)
{
    const object *o = info;
    *out = o->element ? o->ndim : (size_t)fake_state.ndim;
    return call(61);
}
static void *shape(const void *info, int64_t *out, size_t n)
{
    const object *o = info;
    for (size_t i = 0; i < n; i++)
        out[i] = o->element ? o->shape[i] : fake_state.dynamic ? -1 : 4;
    return call(62);
}
static void *tensor(const void *memory, void *data, size_t bytes, const int64_t *dims_, size_t n,
                    int element_, object **out)
{
    (void)memory, (void)bytes;
    BEGIN(49)
    *out = make();
    (*out)->data = data;
    (*out)->ndim = n;
    (*out)->element = element_;
    memcpy((*out)->shape, dims_, n * sizeof *dims_);
    fake_state.data[fake_state.data_count++ % 8] = data;
    return NULL;
}
static void *data(object *value, void **out)
{
    *out = value->data;
    return call(51);
}
static void *value_info(object *value, object **out)
{
    BEGIN(65)
    *out = make();
    **out = *value;
    return NULL;
}
static void *terminate(void *o)
{
    (void)o;
    fake_state.terminate = 1;
    return call(46);
}
static void *go_on(void *o)
{
    (void)o;
    fake_state.terminate = 0;
    return call(47);
}
static void *run(void *m, void *o, const char *const *in, object **from, size_t takes,
                 const char *const *out, size_t gives, object **to)
{
    (void)m, (void)o;
    BEGIN(9)
    if (takes != 2 || gives != 1 || strcmp(in[1], "right") != 0 || strcmp(out[0], "sum") != 0)
        return call(fake_state.fails = 9);
    if (!to[0]) {
        to[0] = make();
        *to[0] = *from[0];
        to[0]->data = to[0]->own;
    }
    for (int64_t i = 0; i < from[0]->shape[0]; i++)
        ((float *)to[0]->data)[i] = ((float *)from[0]->data)[i] + ((float *)from[1]->data)[i];
    return NULL;
}
static void *providers(char ***out, int *n)
{
    static char *names[3];
    BEGIN(125)
    *n = 0;
    names[(*n)++] = "CPUExecutionProvider";
    if (fake_state.cuda)
        names[(*n)++] = "CUDAExecutionProvider";
    if (fake_state.trt)
        names[(*n)++] = "TensorrtExecutionProvider";
    *out = names;
    fake_state.live++;
    return NULL;
}
static void *no_providers(char **names, int n)
{
    (void)names, (void)n;
    fake_state.live--;
    return call(126);
}
static void *provider_make(int place, int can, object **out)
{
    BEGIN(place)
    *out = can >= 2 ? make() : NULL;
    return NULL;
}
static void *cuda_make(object **out) { return provider_make(205, fake_state.cuda, out); }
static void *trt_make(object **out) { return provider_make(171, fake_state.trt, out); }
static void *update(int place, const char *const *key, const char *const *value, size_t n)
{
    BEGIN(place)
    for (size_t i = 0; i < n; i++)
        note(key[i], value[i]);
    return NULL;
}
static void *cuda_update(void *p, const char *const *k, const char *const *v, size_t n)
{
    (void)p;
    return update(206, k, v, n);
}
static void *trt_update(void *p, const char *const *k, const char *const *v, size_t n)
{
    (void)p;
    return update(172, k, v, n);
}
static void *add_provider(int place, int can)
{
    BEGIN(place)
    if (can >= 3)
        return NULL;
    fake_state.live++;
    return &status;
}
static void *cuda_add(void *o, void *p)
{
    (void)o, (void)p;
    return add_provider(204, fake_state.cuda);
}
static void *trt_add(void *o, void *p)
{
    (void)o, (void)p;
    return add_provider(170, fake_state.trt);
}

typedef void (*any)(void);
static const any table[256] = {
    [2] = (any)message,      [3] = (any)env,           [7] = (any)session,
    [9] = (any)run,          [10] = (any)options,      [24] = (any)threads,
    [30] = (any)inputs,      [31] = (any)outputs,      [33] = (any)type_in,
    [34] = (any)type_out,    [36] = (any)name_in,      [37] = (any)name_out,
    [39] = (any)run_options, [46] = (any)terminate,    [47] = (any)go_on,
    [49] = (any)tensor,      [51] = (any)data,         [55] = (any)as_tensor,
    [60] = (any)element,     [61] = (any)dims,         [62] = (any)shape,
    [65] = (any)value_info,  [69] = (any)cpu,          [76] = (any)free_name,
    [78] = (any)allocator,   [92] = (any)release,      [93] = (any)no_status,
    [94] = (any)release,     [95] = (any)release,      [96] = (any)release,
    [97] = (any)release,     [98] = (any)release,      [99] = (any)release,
    [100] = (any)release,    [125] = (any)providers,   [126] = (any)no_providers,
    [130] = (any)config,     [170] = (any)trt_add,     [171] = (any)trt_make,
    [172] = (any)trt_update, [174] = (any)release,     [204] = (any)cuda_add,
    [205] = (any)cuda_make,  [206] = (any)cuda_update, [208] = (any)release};
static const void *get_api(uint32_t version)
{
    return version == 16 && !fake_state.old ? (const void *)table : NULL;
}
static const char *version(void) { return "1.99"; }
typedef struct base {
    const void *(*get)(uint32_t);
    const char *(*version)(void);
} base;
const base *OrtGetApiBase(void)
{
    static const base it = {get_api, version};
    return fake_state.dead ? NULL : &it;
}
