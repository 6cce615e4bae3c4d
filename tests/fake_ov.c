/* A library that looks like OpenVINO's C interface to horus.h, for tests/test_infer.c: one model that adds
 * up its two inputs, and a call that fails, counted from 1. It counts what it has made. Built by the
 * test: gcc -shared -fPIC. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* What the test reads and writes, by dlsym(). */
long fake_live, fake_calls, fake_fails_at; /* objects made and not released; 0: none fails */
int fake_type = 4, fake_ndim = 1, fake_open, fake_any_rank, fake_cancels;
int fake_taken_type; /* of an output that is taken; 0: as it is */
const char *fake_build = "2025.4.0-fake";
const char *fake_says = "Exception from src/fake.cpp:1:\n\nthe fake\nsays no\n";
char fake_options[200];

typedef struct shape {
    int64_t rank, *dims;
} shape;
typedef struct range {
    int64_t least, most;
} range;
typedef struct partial {
    range rank, *dims;
} partial;
typedef struct version {
    const char *build, *description;
} version;
typedef struct object {
    float *data, own[8];
    int type;
    int64_t ndim, dims[8];
    struct object *bound[3];
} object;

static void *counted(size_t bytes)
{
    fake_live++;
    return calloc(1, bytes);
}
static void gone(void *it)
{
    fake_live -= it != NULL;
    free(it);
}
static int call(void) { return ++fake_calls == fake_fails_at ? -1 : 0; }
#define MAKES(out)                                                                                 \
    if (call() != 0)                                                                               \
        return -1;                                                                                 \
    *(out) = counted(sizeof(object));                                                              \
    return 0

const char *ov_get_last_err_msg(void)
{
    return fake_says ? memcpy(counted(strlen(fake_says) + 1), fake_says, strlen(fake_says) + 1)
                     : NULL;
}
void ov_free(const char *text) { gone((void *)(uintptr_t)text); }
int ov_get_openvino_version(version *v)
{
    if (call() != 0)
        return -1;
    v->build = fake_build;
    fake_live++;
    return 0;
}
void ov_version_free(version *v)
{
    v->build = NULL;
    fake_live--;
}
int ov_core_create(void **out) { MAKES(out); }
void ov_core_free(void *it) { gone(it); }
int ov_core_compile_model_from_file(const void *core, const char *path, const char *device,
                                    size_t count, void **out, const char *key, const char *value,
                                    const char *key2, const char *value2)
{
    (void)core, (void)path, (void)device;
    fake_options[0] = 0;
    strcat(strcat(strcat(fake_options, key), "="), value);
    if (count == 4)
        strcat(strcat(strcat(strcat(fake_options, ";"), key2), "="), value2);
    MAKES(out);
}
void ov_compiled_model_free(void *it) { gone(it); }
int ov_compiled_model_inputs_size(const void *m, size_t *n)
{
    (void)m;
    *n = 2;
    return call();
}
int ov_compiled_model_outputs_size(const void *m, size_t *n)
{
    (void)m;
    *n = 1;
    return call();
}
int ov_compiled_model_input_by_index(const void *m, size_t i, void **out)
{
    (void)m, (void)i;
    MAKES(out);
}
int ov_compiled_model_output_by_index(const void *m, size_t i, void **out)
{
    (void)m, (void)i;
    MAKES(out);
}
int ov_compiled_model_create_infer_request(const void *m, void **out)
{
    (void)m;
    MAKES(out);
}
int ov_port_get_any_name(const void *port, char **out)
{
    (void)port;
    if (call() != 0)
        return -1;
    *out = memcpy(counted(5), "port", 5);
    return 0;
}
int ov_port_get_partial_shape(const void *port, partial *out)
{
    (void)port;
    if (call() != 0)
        return -1;
    out->rank = fake_any_rank ? (range){0, -1} : (range){fake_ndim, fake_ndim};
    out->dims = counted(16 * sizeof *out->dims);
    for (int i = 0; i < fake_ndim; i++)
        out->dims[i] = fake_open ? (range){0, -1} : (range){4, 4};
    return 0;
}
int ov_port_get_element_type(const void *port, int *type)
{
    (void)port;
    *type = fake_type;
    return call();
}
void ov_partial_shape_free(partial *it) { gone(it->dims); }
void ov_output_const_port_free(void *it) { gone(it); }
static object *tensor_of(int type, int64_t ndim, const int64_t *dims, float *data)
{
    object *o = counted(sizeof *o);
    o->type = type;
    o->ndim = ndim;
    memcpy(o->dims, dims, (size_t)ndim * sizeof *dims);
    o->data = data ? data : o->own;
    return o;
}
int ov_tensor_create_from_host_ptr(int type, shape s, void *data, void **out)
{
    if (call() != 0)
        return -1;
    *out = tensor_of(type, s.rank, s.dims, data);
    return 0;
}
int ov_tensor_get_shape(const void *tensor, shape *out)
{
    const object *t = tensor;
    if (call() != 0)
        return -1;
    out->rank = t->ndim;
    out->dims = memcpy(counted(sizeof t->dims), t->dims, sizeof t->dims);
    return 0;
}
int ov_shape_free(shape *it)
{
    gone(it->dims);
    return 0;
}
int ov_tensor_get_element_type(const void *tensor, int *type)
{
    *type = fake_taken_type ? fake_taken_type : ((const object *)tensor)->type;
    return call();
}
int ov_tensor_data(const void *tensor, void **data)
{
    *data = ((const object *)tensor)->data;
    return call();
}
void ov_tensor_free(void *it) { gone(it); }
static int bind(object *request, size_t i, const object *t)
{
    if (call() != 0)
        return -1;
    gone(request->bound[i]);
    request->bound[i] = tensor_of(t->type, t->ndim, t->dims, t->data);
    return 0;
}
int ov_infer_request_set_input_tensor_by_index(void *request, size_t i, const void *t)
{
    return bind(request, i, t);
}
int ov_infer_request_set_output_tensor_by_index(void *request, size_t i, const void *t)
{
    return bind(request, 2 + i, t);
}
int ov_infer_request_get_output_tensor_by_index(const void *request, size_t i, void **out)
{
    const object *t = ((const object *)request)->bound[2 + i];
    object *copy;
    if (call() != 0)
        return -1;
    *out = copy = tensor_of(t->type, t->ndim, t->dims, t->data);
    if (t->data == t->own) {
        memcpy(copy->own, t->own, sizeof t->own);
        copy->data = copy->own;
    }
    return 0;
}
int ov_infer_request_infer(void *request)
{
    object *r = request, **b = r->bound;
    if (call() != 0)
        return -1;
    if (!b[2])
        b[2] = tensor_of(b[0]->type, b[0]->ndim, b[0]->dims, NULL);
    for (int64_t i = 0; i < b[0]->dims[0]; i++)
        b[2]->data[i] = b[0]->data[i] + b[1]->data[i];
    return 0;
}
int ov_infer_request_start_async(void *request)
{
    fake_cancels = 0;
    return ov_infer_request_infer(request);
}
int ov_infer_request_wait(void *request)
{
    (void)request;
    return fake_cancels ? -13 : call();
}
int ov_infer_request_cancel(void *request)
{
    (void)request;
    fake_cancels++;
    return call();
}
void ov_infer_request_free(void *request)
{
    object *r = request;
    for (int i = 0; i < 3; i++)
        gone(r->bound[i]);
    gone(r);
}
