/* The inference operator: what is said of its parameters, which model runs on which frame, from and to
 * which memory, and what happens when something fails. Back ends of the test's own stand in for a
 * runtime; with ONNX Runtime itself see the end: its library is looked for as the operator does. */
#define _GNU_SOURCE
#include <stddef.h>
#include <stdint.h>
static void *counted_malloc(size_t bytes);
static void counted_free(void *memory);
#define HORUS_MALLOC(n) counted_malloc(n)
#define HORUS_FREE(p) counted_free(p)
#define HORUS_IMPLEMENTATION
#include "../horus.h"
#include "fake_ort.h"
#include "test.h"
#include <limits.h>
#include <malloc.h>
#include <math.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>

static const uint64_t ms = 1000000;

/* ---- a heap that fails when it is told to */

static _Atomic long heap_live, heap_calls, heap_fails_at; /* 0: never */
static void *counted_malloc(size_t bytes)
{
    if (atomic_fetch_add(&heap_calls, 1) + 1 == atomic_load(&heap_fails_at))
        return NULL;
    atomic_fetch_add(&heap_live, 1);
    return malloc(bytes);
}
static void counted_free(void *memory)
{
    if (memory) /* whoever looks at it again is to notice */
        memset(memory, 0xd5, malloc_usable_size(memory));
    atomic_fetch_sub(&heap_live, memory != NULL);
    free(memory);
}

/* ---- files */

static char folder[64];
static void remove_folder(void)
{
    char command[80]; /* no readdir(): it fails in a 32-bit program that qemu runs */
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    if (system(command) != 0)
        (void)printf("%s could not be removed\n", folder);
}
/* A file in a folder that goes with the test. */
static const char *file_of(const char *name, const void *bytes, size_t n)
{
    static char path[32][120];
    static unsigned next;
    char *p = path[next++ % 32];
    if (!folder[0]) {
        const char *tmp = getenv("TMPDIR");
        (void)snprintf(folder, sizeof folder, "%.30s/horus_infer_XXXXXX", tmp ? tmp : "/tmp");
        REQUIRE(mkdtemp(folder));
        REQUIRE(atexit(remove_folder) == 0);
    }
    (void)snprintf(p, 120, "%s/%.40s", folder, name);
    FILE *f = fopen(p, "wb");
    REQUIRE(f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
    return p;
}
static const char *any_file(void) { return file_of("any.model", "x", 1); }

/* ---- descriptions */

#define ENTRIES(...)                                                                               \
    (const horus_infer_entry[])                                                                    \
    {                                                                                              \
        __VA_ARGS__, { NULL, NULL }                                                                \
    }
#define LISTS(...)                                                                                 \
    (const horus_infer_list[])                                                                     \
    {                                                                                              \
        __VA_ARGS__, { NULL, NULL }                                                                \
    }
#define NAMES(...)                                                                                 \
    (const char *const[]) { __VA_ARGS__, NULL }
#define INPUTS(...)                                                                                \
    (const horus_infer_input[])                                                                    \
    {                                                                                              \
        __VA_ARGS__, { NULL, NULL, false }                                                         \
    }

/* Two good models: m1 takes a and gives b, m2 takes a and c and gives d. */
static horus_infer_desc good(void)
{
    static horus_infer_entry paths[3];
    static const char *const in1[] = {"a", NULL}, *const in2[] = {"a", "c", NULL};
    static const char *const out1[] = {"b", NULL}, *const out2[] = {"d", NULL};
    static const horus_infer_list takes[] = {{"m1", in1}, {"m2", in2}, {NULL, NULL}};
    static const horus_infer_list gives[] = {{"m1", out1}, {"m2", out2}, {NULL, NULL}};
    paths[0] = (horus_infer_entry){"m1", any_file()};
    paths[1] = (horus_infer_entry){"m2", any_file()};
    return (horus_infer_desc){.backend = "add",
                              .model_path_map = paths,
                              .pre_processor_map = takes,
                              .inference_map = gives};
}
/* The report has `lines` lines and says all of that, in this order. */
static void check_report(const char *file, int line, const horus_infer_desc *d, unsigned lines,
                         const char *first, const char *then)
{
    char report[4000];
    horus_result r = horus_infer_check(d, report, sizeof report);
    unsigned found = 0;
    for (const char *c = report; *c; c++)
        found += *c == '\n';
    const char *at = strstr(report, first);
    if (r != (lines ? HORUS_E_ARG : HORUS_OK) || found != lines || !at || !strstr(at, then))
        test_failed(file, line, "%s, %u lines and not %u, or without \"%s\", \"%s\":\n%s",
                    test_result_name(r), found, lines, first, then, report);
    if (lines && !strstr(horus_last_error(), "infer_check: "))
        test_failed(file, line, "last error is %s", horus_last_error());
}
#define CHECK_REPORT(d, lines, first, then)                                                        \
    check_report(__FILE__, __LINE__, &(d), lines, first, then)

TEST(good_parameters_pass)
{
    horus_infer_desc d = good();
    CHECK_REPORT(d, 0, "", "");
    d.in_tensor_names = NAMES("c", "a");
    d.out_tensor_names = NAMES("d");
    d.temporal_map = ENTRIES({"m1", "1"}, {"m2", "1000000000"});
    d.activation_map = ENTRIES({"m1", "0"}, {"m2", "1"});
    d.device_map = ENTRIES({"m2", "3"});
    d.dla_core_map = ENTRIES({"m2", "1"});
    d.trt_opt_profile = LISTS({"m1", NAMES("1", "2", "3")});
    d.infer_on_cpu = d.enable_fp16 = d.dynamic_input_dims = true;
    d.parallel_inference = d.input_on_cuda = d.transmit_on_cuda = HORUS_YES;
    d.output_on_cuda = d.enable_cuda_graphs = d.dla_gpu_fallback = HORUS_NO;
    d.budget_ns = d.wait_ns = 3600000000000;
    d.threads = 1024;
    d.name = "eyes";
    CHECK_REPORT(d, 0, "", "");
    d.backend = NULL;
    d.backend_map = ENTRIES({"m1", "add"}, {"m2", "identity"});
    CHECK_REPORT(d, 0, "", "");
    CHECK_OK(horus_infer_check(&d, NULL, 0));
    CHECK_RESULT(horus_infer_check(NULL, NULL, 0), HORUS_E_ARG);
}

/* The documented checks, one by one. */
TEST(validity_the_model_path_map)
{
    horus_infer_desc d = good();
    char longer[70];
    memset(longer, 'n', sizeof longer);
    longer[64] = 0;
    const char *path = any_file();
    d.pre_processor_map = LISTS({"m1", NAMES("a")});
    d.inference_map = LISTS({"m1", NAMES("b")});
    d.model_path_map = ENTRIES({"m1", "/no/such/file.onnx"});
    CHECK_REPORT(d, 1, "model_path_map: invalid file path for model m1: \"/no/such/file.onnx\"",
                 "No such file");
    d.model_path_map = ENTRIES({"m1", "/tmp"});
    CHECK_REPORT(d, 1, "invalid file path for model m1: \"/tmp\"", "directory");
    char pipe_path[100];
    (void)snprintf(pipe_path, sizeof pipe_path, "%.90s/pipe", folder);
    REQUIRE(mkfifo(pipe_path, 0600) == 0); /* a runtime would wait for its writer */
    d.model_path_map = ENTRIES({"m1", pipe_path});
    CHECK_REPORT(d, 1, "invalid file path for model m1", "Invalid argument");
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)snprintf(at.sun_path, sizeof at.sun_path, "%.90s/socket", folder);
    REQUIRE(listener >= 0 && bind(listener, (struct sockaddr *)&at, sizeof at) == 0);
    (void)close(listener);
    d.model_path_map = ENTRIES({"m1", at.sun_path});
    CHECK_REPORT(d, 1, "invalid file path for model m1", "Invalid argument");
    d.model_path_map = ENTRIES({"m1", NULL});
    CHECK_REPORT(d, 1, "invalid file path for model m1", "");
    d.model_path_map = ENTRIES({"m1", path}, {"m1", path});
    CHECK_REPORT(d, 3, "model_path_map: model m1 is there twice", "size mismatch");
    d.model_path_map = NULL;
    CHECK_REPORT(d, 5, "model_path_map is empty", "size mismatch: model_path_map has 0 models");
    static const horus_infer_entry none[] = {{NULL, NULL}};
    d.model_path_map = none;
    CHECK_REPORT(d, 5, "model_path_map is empty", "\"m1\" is no model");
    d.model_path_map = ENTRIES({"", path}, {"m1", path});
    CHECK_REPORT(d, 3, "model_path_map: an entry has an empty key", "size mismatch");
    d.model_path_map = ENTRIES({longer, path});
    CHECK_REPORT(d, 5, "model_path_map: key \"nnnnnn", "has 64 bytes: it takes 1 to 63");
    if (geteuid() != 0) {
        const char *shut = file_of("shut", "x", 1);
        REQUIRE(chmod(folder, 0) == 0);
        d.model_path_map = ENTRIES({"m1", shut});
        CHECK_RESULT(horus_infer_check(&d, NULL, 0), HORUS_E_PERMISSION);
        REQUIRE(chmod(folder, 0700) == 0);
    }
}
TEST(validity_the_maps_of_tensors)
{
    const struct {
        const char *name;
        size_t offset;
    } map[] = {{"pre_processor_map", offsetof(horus_infer_desc, pre_processor_map)},
               {"inference_map", offsetof(horus_infer_desc, inference_map)}};
    char longer[70], text[100];
    memset(longer, 'n', sizeof longer);
    longer[64] = 0;
    for (int i = 0; i < 2; i++) {
        horus_infer_desc d = good();
        const horus_infer_list **it =
            (const horus_infer_list **)(void *)((char *)&d + map[i].offset);
#define SAYS(...) ((void)snprintf(text, sizeof text, __VA_ARGS__), text)
        *it = NULL;
        CHECK_REPORT(d, 4, SAYS("%s is empty", map[i].name), "model keyword: m2 is not in");
        *it = LISTS({"m1", NAMES("x")}, {"m2", (const char *const[]){NULL}});
        CHECK_REPORT(d, 1, SAYS("%s: the list of model m2 is empty", map[i].name), "");
        *it = LISTS({"m1", NAMES("x")}, {"m2", NULL});
        CHECK_REPORT(d, 1, SAYS("%s: the list of model m2 is empty", map[i].name), "");
        *it = LISTS({"m1", NAMES("x")}, {"", NAMES("y")});
        CHECK_REPORT(d, 2, SAYS("%s: an entry has an empty key", map[i].name), "m2 is not in");
        *it = LISTS({"m1", NAMES("x")}, {"m2", NAMES("y", "")});
        CHECK_REPORT(d, 1, SAYS("%s: the list of model m2 has an empty tensor's name", map[i].name),
                     "");
        *it = LISTS({"m1", NAMES("x")}, {"m2", NAMES(longer)});
        CHECK_REPORT(d, 1, SAYS("%s: tensor's name \"nn", map[i].name), "has 64 bytes");
        *it = LISTS({"m1", NAMES("x")});
        CHECK_REPORT(d, 2, "size mismatch: model_path_map has 2 models",
                     SAYS("model keyword: m2 is not in %s", map[i].name));
        *it = LISTS({"m1", NAMES("x")}, {"m3", NAMES("y")});
        CHECK_REPORT(
            d, 2, "m2 is not in",
            SAYS("%s: \"m3\" is no model of model_path_map: did you mean \"m", map[i].name));
        *it = LISTS({"m1", NAMES("x")}, {"m2", NAMES("y")}, {"m2", NAMES("z")});
        CHECK_REPORT(d, 2, "size mismatch", SAYS("%s: model m2 is there twice", map[i].name));
#undef SAYS
    }
}
TEST(validity_names_that_are_there_twice)
{
    horus_infer_desc d = good();
    d.pre_processor_map = LISTS({"m1", NAMES("a", "c", "a")}, {"m2", NAMES("a", "c")});
    CHECK_REPORT(d, 1, "pre_processor_map: model m1 takes tensor \"a\" twice", "");
    d.pre_processor_map = LISTS({"m1", NAMES("a", "a", "a", "a")}, {"m2", NAMES("c", "a", "c")});
    CHECK_REPORT(d, 4, "model m1 takes tensor \"a\" twice", "model m2 takes tensor \"c\" twice");
    d = good();
    d.inference_map = LISTS({"m1", NAMES("b", "b", "b", "b")}, {"m2", NAMES("d")});
    CHECK_REPORT(d, 3, "inference_map: tensor \"b\" of model m1 is given by model m1 already", "");
    d.inference_map = LISTS({"m1", NAMES("b", "b")}, {"m2", NAMES("d")});
    CHECK_REPORT(d, 1, "inference_map: tensor \"b\" of model m1 is given by model m1 already", "");
    d.inference_map = LISTS({"m1", NAMES("b")}, {"m2", NAMES("d", "b")});
    CHECK_REPORT(d, 1, "inference_map: tensor \"b\" of model m2 is given by model m1 already", "");
    d = good();
    d.in_tensor_names = NAMES("a", "cc", "a");
    CHECK_REPORT(d, 2, "in_tensor_names: \"cc\" is not in pre_processor_map: did you mean \"c\"?",
                 "in_tensor_names: \"a\" is there twice");
    d.in_tensor_names = NAMES("a", "a", "c", "a", "a");
    CHECK_REPORT(d, 3, "in_tensor_names: \"a\" is there twice", "");
    d = good();
    d.out_tensor_names = NAMES("d", "d", "bb");
    CHECK_REPORT(d, 2, "out_tensor_names: \"d\" is there twice",
                 "\"bb\" is not in inference_map: did you mean \"b\"?");
}
TEST(keys_and_values_of_the_other_maps_are_checked)
{
    horus_infer_desc d = good();
    d.temporal_map = ENTRIES({"m1", "0"}, {"m2", "often"}, {"m2", "1000000001"}, {"m", "1"});
    CHECK_REPORT(d, 5, "temporal_map: model m1: \"0\" is not a number of frames",
                 "temporal_map: \"m\" is no model of model_path_map: did you mean \"m1\"?");
    d = good();
    d.activation_map = ENTRIES({"m1", "2"}, {"", "1"}, {"m2", NULL});
    CHECK_REPORT(d, 3, "activation_map: model m1: \"2\" is not \"1\" (active) or \"0\" (not)",
                 "activation_map: an entry has an empty key");
    d = good();
    d.device_map = ENTRIES({"m1", "gpu0"}, {"m2", "1024"});
    CHECK_REPORT(d, 2, "device_map: model m1: \"gpu0\" is not the number of a GPU", "\"1024\"");
    d = good();
    d.dla_core_map = ENTRIES({"m1", "-1"});
    CHECK_REPORT(d, 1, "dla_core_map: model m1: \"-1\" is not the number of a DLA core", "");
    d = good();
    d.trt_opt_profile =
        LISTS({"m1", NAMES("1", "2")}, {"m7", NAMES("1", "2", "3")}, {"m1", NAMES("1", "2", "3")});
    CHECK_REPORT(d, 3, "trt_opt_profile: model m1 has 2 shapes, not 3", "m1 is there twice");
    d = good();
    d.input_on_cuda = (horus_choice)3;
    d.parallel_inference = (horus_choice)-1;
    CHECK_REPORT(d, 2, "input_on_cuda is 3, not HORUS_AUTO", "parallel_inference is -1");
    d = good();
    d.name = "";
    d.budget_ns = -1;
    d.wait_ns = 3600000000001;
    d.threads = 1025;
    CHECK_REPORT(d, 4, "name has 0 bytes", "threads is 1025");
    char longer[110];
    memset(longer, 'n', sizeof longer);
    longer[97] = 0;
    d = good();
    d.name = longer;
    d.budget_ns = 3600000000001;
    d.wait_ns = -1;
    CHECK_REPORT(d, 3, "name has 97 bytes", "wait_ns is -1");
    horus_infer_entry many[66];
    memset(many, 0, sizeof many);
    char name[65][8];
    for (int i = 0; i < 65; i++) {
        (void)snprintf(name[i], 8, "n%d", i);
        many[i] = (horus_infer_entry){name[i], any_file()};
    }
    d = good();
    d.model_path_map = many;
    char report[400];
    CHECK_RESULT(horus_infer_check(&d, report, sizeof report), HORUS_E_ARG);
    CHECK_TEXT(report, "more than 64 models");
}
TEST(back_ends_are_checked_without_loading_any)
{
    const char *onnx = file_of("m.onnx", "x", 1), *pt = file_of("m.pt", "x", 1);
    horus_infer_desc d = good();
    d.backend_map = ENTRIES({"m1", "add"}, {"m2", "add"});
    CHECK_REPORT(d, 1, "backend and backend_map are both given", "");
    d.backend = NULL;
    d.backend_map = ENTRIES({"m1", "add"}, {"m3", "add"});
    CHECK_REPORT(d, 2, "backend_map: \"m3\" is no model", "backend_map: model m2 has no back end");
    d.backend_map = ENTRIES({"m1", "add"}, {"m2", "ident"}, {"m2", "add"});
    CHECK_REPORT(d, 2, "backend_map: model m2 is there twice",
                 "backend_map: \"ident\" is no back end: did you mean \"identity\"?");
    d.backend_map = NULL;
    CHECK_REPORT(d, 1, "neither backend nor backend_map is given", "");
    d.backend = "";
    CHECK_REPORT(d, 1, "neither backend nor backend_map is given", "");
    d.backend = "onnx";
    CHECK_REPORT(d, 1,
                 "backend: \"onnx\" is no back end: did you mean \"onnxrt\"? There are onnxrt, trt",
                 "");
    d.backend = "torch";
    CHECK_REPORT(d, 1, "backend: torch has no interface in C", "\"onnxrt\"");
    d.backend = "openvino";
    CHECK_REPORT(d, 2, "files of back end openvino end with .onnx .xml", "model m2");
    d.backend = "onnxrt";
    CHECK_REPORT(d, 2, "model_path_map: model m1: \"",
                 "files of back end onnxrt end with .onnx .ort");
    d.model_path_map = ENTRIES({"m1", onnx}, {"m2", pt});
    CHECK_REPORT(d, 1, "m.pt\": files of back end onnxrt end with .onnx", "");
    d.model_path_map = ENTRIES({"m1", onnx}, {"m2", file_of("m.ort", "x", 1)});
    CHECK_REPORT(d, 0, "", "");
    d.is_engine_path = true;
    CHECK_REPORT(d, 2, "is_engine_path: model m1: back end onnxrt takes no engine files", ".onnx");
    d.is_engine_path = false;
    d.backend = "trt";
    d.infer_on_cpu = true;
    d.model_path_map = ENTRIES({"m1", onnx}, {"m2", onnx});
    CHECK_REPORT(d, 2, "infer_on_cpu: model m1: back end trt runs on a GPU only", "\"onnxrt\"");
    d.infer_on_cpu = false;
    CHECK_REPORT(d, 0, "", "");
}
TEST(all_problems_are_told_in_their_order_in_whole_lines)
{
    horus_infer_desc d = {.model_path_map = ENTRIES({"m1", "/none"}),
                          .pre_processor_map = LISTS({"m2", NAMES("a", "a")}),
                          .inference_map = LISTS({"m1", NAMES("b", "b")}),
                          .in_tensor_names = NAMES("z"),
                          .temporal_map = ENTRIES({"m1", "0"})};
    static const char *const lines[] = {"model_path_map: invalid file path for model m1",
                                        "model keyword: m1 is not in pre_pro",
                                        "pre_processor_map: \"m2\" is no model",
                                        "takes tensor \"a\" twice",
                                        "in_tensor_names: \"z\" is not in",
                                        "inference_map: tensor \"b\" of model m1",
                                        "neither backend nor backend_map",
                                        "temporal_map: model m1: \"0\""};
    enum { LINES = sizeof lines / sizeof *lines };
    char report[2000], small[200];
    CHECK_RESULT(horus_infer_check(&d, report, sizeof report), HORUS_E_ARG);
    CHECK_TEXT(horus_last_error(), lines[0]);
    CHECK_TEXT(horus_last_error(), "(and 7 more)");
    const char *at = report;
    for (int i = 0; i < LINES && at; i++) {
        const char *end = strchr(at, '\n'), *found = strstr(at, lines[i]);
        if (!CHECK(end && found && found < end))
            test_failed(__FILE__, __LINE__, "line %d is not %s: %s", i, lines[i], at);
        at = end ? end + 1 : NULL;
    }
    CHECK(at && *at == 0);
    for (size_t room = 0; room < sizeof small; room++) { /* whole lines, nothing beyond */
        memset(small, 'x', sizeof small);
        CHECK_RESULT(horus_infer_check(&d, small, room), HORUS_E_ARG);
        size_t n = room ? strlen(small) : 0;
        CHECK(room == 0 || n < room);
        CHECK(n == 0 || (small[n - 1] == '\n' && strncmp(small, report, n) == 0));
        CHECK(test_is_all(small + room, 'x', sizeof small - room));
    }
}

/* ---- a back end that remembers, and does what it is told */

enum { STUBS = 8, STUB_IO = 4 };
typedef struct stub {
    const char *model; /* which is loaded here */
    horus_infer_io in[STUB_IO], out[STUB_IO];
    uint32_t takes, gives;
    horus_result load_result, run_result, probe_result, io_result;
    uint64_t sleep_us;
    bool lazy;      /* leaves its outputs unmade */
    bool waits;     /* until it is aborted */
    bool void_load; /* gives no model */
    unsigned meet;  /* waits until so many runs go on at once */
    _Atomic bool stop;
    _Atomic unsigned loads, unloads, runs, aborts, takes_back;
    const void *read[STUB_IO], *wrote[STUB_IO];
    int64_t shape[HORUS_MAX_DIMS];
    uint32_t ndim;
    horus_infer_load how;
    pthread_t thread;
    horus_result (*during)(horus_infer_call *call);
} stub;
static stub stubs[STUBS];
static _Atomic unsigned stub_running, stub_most;
static stub *stub_of(const char *model)
{
    for (int i = 0; i < STUBS; i++)
        if (stubs[i].model && strcmp(stubs[i].model, model) == 0)
            return &stubs[i];
    return &stubs[STUBS - 1];
}
static horus_result stub_probe(void *user, const horus_infer_load *how, char *why, size_t room)
{
    (void)user;
    if (stub_of(how->model)->probe_result != HORUS_OK)
        (void)snprintf(why, room, "not on a Sunday");
    return stub_of(how->model)->probe_result;
}
static horus_result stub_load(void *user, const horus_infer_load *how, void **model, char *why,
                              size_t room)
{
    stub *s = stub_of(how->model);
    CHECK(user == &stubs);
    s->how = *how;
    if (s->load_result != HORUS_OK) {
        (void)snprintf(why, room, "byte 3 is wrong");
        return s->load_result;
    }
    *model = s->void_load ? NULL : s;
    if (*model)
        atomic_fetch_add(&s->loads, 1);
    return HORUS_OK;
}
static horus_result stub_io(void *model, bool output, uint32_t number, horus_infer_io *out,
                            char *why, size_t room)
{
    stub *s = model;
    if (number >= (output ? s->gives : s->takes))
        return HORUS_E_NOT_FOUND;
    const char *tensor = out->tensor;
    *out = output ? s->out[number] : s->in[number];
    out->tensor = tensor;
    if (!out->name[0])
        (void)snprintf(out->name, sizeof out->name, "%s_%u", output ? "out" : "in", number);
    if (s->io_result != HORUS_OK)
        (void)snprintf(why, room, "made of text");
    return s->io_result;
}
static horus_result stub_run(void *model, horus_infer_call *call)
{
    stub *s = model;
    unsigned running = atomic_fetch_add(&stub_running, 1) + 1, most = atomic_load(&stub_most);
    while (running > most && !atomic_compare_exchange_weak(&stub_most, &most, running))
        ;
    s->thread = pthread_self();
    CHECK_EQ(call->input_count, s->takes);
    CHECK_EQ(call->output_count, s->gives);
    for (uint32_t i = 0; i < call->input_count; i++) {
        s->read[i] = call->inputs[i].data;
        CHECK(horus_tensor_is_contiguous(&call->inputs[i]));
    }
    memcpy(s->shape, call->inputs[0].shape, sizeof s->shape);
    s->ndim = call->inputs[0].ndim;
    for (int i = 0; i < 20000 && atomic_load(&stub_most) < s->meet; i++)
        test_sleep_us(500);
    if (s->sleep_us)
        test_sleep_us((long)s->sleep_us);
    for (int i = 0; s->waits && i < 20000 && !atomic_load(&s->stop); i++)
        test_sleep_us(500);
    horus_result r = s->waits ? HORUS_E_SYSTEM : s->run_result;
    if (s->during)
        r = s->during(call);
    else if (r != HORUS_OK)
        (void)snprintf(call->why, sizeof call->why, "it is out of ideas");
    for (uint32_t i = 0; i < call->output_count && r == HORUS_OK && !s->lazy; i++) {
        if (!call->outputs[i].data)
            r = call->alloc(call, i, (horus_dtype)call->inputs[0].dtype, call->inputs[0].ndim,
                            call->inputs[0].shape);
        s->wrote[i] = call->outputs[i].data;
        if (r == HORUS_OK && call->outputs[i].dtype == HORUS_F32)
            for (uint64_t k = 0; k < horus_tensor_numel(&call->outputs[i]); k++)
                ((float *)call->outputs[i].data)[k] =
                    ((const float *)call->inputs[0].data)[0] + (float)i;
    }
    atomic_fetch_add(&s->runs, 1);
    atomic_fetch_sub(&stub_running, 1);
    return r;
}
static void stub_abort(void *model, bool now)
{
    stub *s = model;
    atomic_fetch_add(now ? &s->aborts : &s->takes_back, 1);
    atomic_store(&s->stop, now);
}
static void stub_unload(void *model) { atomic_fetch_add(&((stub *)model)->unloads, 1); }
static const horus_infer_backend stub_backend = {
    "stub",   HORUS_INFER_CPU, NULL,        stub_probe, stub_load, stub_io,
    stub_run, stub_abort,      stub_unload, NULL,       &stubs};
static horus_infer_io io_of(int dtype, int ndim, const int64_t *shape)
{
    horus_infer_io io;
    memset(&io, 0, sizeof io);
    io.dtype = dtype;
    io.ndim = ndim;
    for (int i = 0; i < ndim; i++)
        io.shape[i] = shape[i];
    return io;
}
#define IO(dtype, ndim, ...) io_of(dtype, ndim, (const int64_t[8]){__VA_ARGS__})
/* Models p, q, r of the stub: each takes and gives 4 floats. */
static void stub_begin(void)
{
    static const char *const names[] = {"p", "q", "r"};
    if (!horusi_backend_of("stub"))
        REQUIRE_OK(horus_infer_register(&stub_backend));
    for (int i = 0; i < 3; i++) {
        stubs[i].model = names[i];
        stubs[i].takes = stubs[i].gives = 1;
        stubs[i].in[0] = stubs[i].out[0] = IO(HORUS_F32, 1, 4);
    }
}
/* p takes x and gives px, and so on. */
static horus_infer_desc stub_desc(int models)
{
    static horus_infer_entry paths[4];
    static const char *const x[] = {"x", NULL}, *const px[] = {"px", NULL},
                             *const qx[] = {"qx", NULL}, *const rx[] = {"rx", NULL};
    static horus_infer_list takes[4], gives[4];
    const horus_infer_list all[3] = {{"p", px}, {"q", qx}, {"r", rx}};
    memset(paths, 0, sizeof paths);
    memset(takes, 0, sizeof takes);
    memset(gives, 0, sizeof gives);
    for (int i = 0; i < models; i++) {
        paths[i] = (horus_infer_entry){all[i].model, any_file()};
        takes[i] = (horus_infer_list){all[i].model, x};
        gives[i] = all[i];
    }
    return (horus_infer_desc){.backend = "stub",
                              .model_path_map = paths,
                              .pre_processor_map = takes,
                              .inference_map = gives,
                              .name = "op"};
}
static horus_context *home;
static horus_infer *open_op(const horus_infer_desc *d)
{
    horus_infer *op = NULL;
    horus_infer_desc with = *d;
    if (!home)
        home = join(16 * MiB);
    if (!with.pool)
        with.pool = pool_of(home);
    REQUIRE_OK(horus_infer_open(&op, &with, NULL, 0));
    return op;
}
/* n floats, the first of which is v. */
static horus_tensor floats(int64_t n, float v)
{
    horus_tensor t;
    REQUIRE_OK(horus_tensor_alloc(&t, pool_of(home), HORUS_F32, 1, &n, 0));
    if (n > 0)
        ((float *)t.data)[0] = v;
    return t;
}
static void set_floats(horus_infer *op, const char *name, float v)
{
    horus_tensor t = floats(4, v);
    CHECK_OK(horus_infer_set(op, name, &t, 77));
    CHECK_OK(horus_tensor_release(&t));
}
/* The newest result's first float; NaN if there is none. */
static float result_of(horus_infer *op, const char *name, uint64_t *age)
{
    horus_tensor t;
    float v = NAN;
    horus_result r = horus_infer_get(op, name, &t, age);
    if (r == HORUS_OK) {
        v = ((const float *)t.data)[0];
        CHECK_OK(horus_tensor_release(&t));
    } else
        CHECK_RESULT(r, HORUS_EMPTY);
    return v;
}
static horus_topic *topic_of(const char *name, const horus_type *type)
{
    horus_topic *t;
    REQUIRE_OK(horus_topic_open(
        &t, name, &(horus_topic_desc){.context = home, .type = type, .capacity = 64}));
    return t;
}
static void send_floats(horus_topic *t, const char *id, float v)
{
    horus_tensor f = floats(4, v);
    if (id)
        CHECK_OK(horus_frame_set_id(&f.frame, id));
    CHECK_OK(horus_topic_send_tensor(t, &f, HORUS_NO_WAIT));
    CHECK_OK(horus_tensor_release(&f));
}
/* The next frame of a topic: its id, and its first float. */
static float next_of(horus_topic *t, char *id)
{
    horus_tensor f;
    float v = NAN;
    id[0] = 0;
    if (horus_topic_receive_tensor(t, &f, NULL, HORUS_NO_WAIT) == HORUS_OK) {
        CHECK_OK(horus_frame_get_id(&f.frame, id));
        v = ((const float *)f.data)[0];
        CHECK_OK(horus_tensor_release(&f));
    }
    return v;
}
static horus_infer_stats figures_of(horus_infer *op, unsigned i)
{
    horus_infer_stats s[8];
    size_t n;
    CHECK_OK(horus_infer_get_stats(op, s, 8, &n));
    REQUIRE(n > i);
    return s[i];
}
/* A frame that this process holds, and not for a ring: the operator's, or forgotten. */
static void count_held(void *user, const horus_holder *h)
{
    if (!h->ring && !h->internal)
        ++*(unsigned *)user;
}
static unsigned held(void)
{
    horus_audit a;
    unsigned n = 0;
    CHECK_OK(horus_pool_audit(pool_of(home), &a, count_held, &n));
    if (!CHECK(a.balanced))
        test_failed(__FILE__, __LINE__, "the audit says: %s", a.first);
    return n;
}
static void leave(horus_infer *op)
{
    horus_infer_close(op);
    CHECK_EQ(held(), 0);
    horus_context_close(home);
    home = NULL;
}

/* ---- frames by hand */

TEST(a_model_reads_the_memory_it_is_given_and_writes_what_is_sent)
{
    stub_begin();
    horus_infer_desc d = stub_desc(1);
    home = join(16 * MiB);
    horus_topic *out = topic_of("out", NULL);
    d.output = out;
    horus_infer *op = open_op(&d);
    CHECK_RESULT(horus_infer_extract(op), HORUS_EMPTY);
    horus_tensor t = floats(4, 5), got;
    const void *there = t.data;
    CHECK_OK(horus_infer_set(op, "x", &t, 1234));
    CHECK_OK(horus_tensor_release(&t));
    CHECK_OK(horus_infer_extract(op));
    CHECK_OK(horus_infer_execute(op));
    CHECK_OK(horus_infer_transmit(op));
    CHECK(stubs[0].read[0] == there); /* no copy on the way in */
    horus_info info;
    CHECK_OK(horus_topic_receive_tensor(out, &got, &info, HORUS_NO_WAIT));
    CHECK(got.data == stubs[0].wrote[0]); /* nor out */
    char id[HORUS_FRAME_ID_BYTES];
    uint64_t time;
    CHECK_OK(horus_frame_get_id(&got.frame, id));
    CHECK_TEXT(id, "px");
    CHECK_OK(horus_frame_get_time(&got.frame, &time));
    CHECK_EQ(time, 1234);
    CHECK_OK(horus_tensor_release(&got));
    uint64_t age = 9;
    CHECK(result_of(op, "px", &age) == 5);
    CHECK_EQ(age, 0);
    CHECK_EQ(stubs[0].loads, 1);
    CHECK_EQ(stubs[0].unloads, 0);
    horus_topic_close(out);
    leave(op);
    CHECK_EQ(stubs[0].unloads, 1);
}
TEST(what_a_frame_lacks_or_has_in_another_form_is_named)
{
    stub_begin();
    stubs[0].in[0] = IO(HORUS_F32, 2, 2, 3);
    horus_infer_desc d = stub_desc(1);
    horus_infer *op = open_op(&d);
    CHECK_RESULT(horus_infer_execute(op), HORUS_E_NOT_FOUND);
    CHECK_TEXT(horus_last_error(), "operator op: model p: tensor \"x\" is missing");
    horus_tensor t = floats(6, 1), u;
    CHECK_OK(horus_infer_set(op, "x", &t, 0));
    CHECK_RESULT(horus_infer_execute(op), HORUS_E_SIZE);
    CHECK_TEXT(horus_last_error(), "model p takes \"x\" as 2 x 3 float32, it is 6 float32");
    CHECK_OK(horus_tensor_reshape(&u, &t, 2, (const int64_t[]){3, 2})); /* HWC is not CHW */
    CHECK_OK(horus_infer_set(op, "x", &u, 0));
    CHECK_RESULT(horus_infer_execute(op), HORUS_E_SIZE);
    CHECK_TEXT(horus_last_error(), "it is 3 x 2 float32");
    CHECK_OK(horus_tensor_release(&u));
    CHECK_OK(horus_tensor_reshape(&u, &t, 2, (const int64_t[]){2, 3}));
    CHECK_OK(horus_tensor_release(&t));
    u.dtype = HORUS_I32;
    CHECK_OK(horus_infer_set(op, "x", &u, 0));
    CHECK_RESULT(horus_infer_execute(op), HORUS_E_TYPE);
    CHECK_TEXT(horus_last_error(), "as 2 x 3 float32, it is 2 x 3 int32");
    u.dtype = HORUS_F32;
    CHECK_EQ(stubs[0].runs, 0);
    CHECK_OK(horus_infer_set(op, "x", &u, 0));
    CHECK_OK(horus_infer_set(op, "x", &u, 0)); /* the second stands in for the first */
    CHECK_OK(horus_infer_execute(op));
    CHECK_OK(horus_tensor_release(&u));
    CHECK_EQ(stubs[0].runs, 1);
    CHECK_EQ(figures_of(op, 0).failures, 4);
    CHECK_EQ(figures_of(op, 0).frames, 5);
    float own[2][3] = {{7}}; /* memory of one's own, then nothing */
    horus_tensor mine = {.data = own, .ndim = 2, .shape = {2, 3}, .strides_bytes = {12, 4}};
    CHECK_OK(horus_infer_set(op, "x", &mine, 0));
    CHECK_OK(horus_infer_execute(op));
    CHECK(stubs[0].read[0] == own);
    CHECK_RESULT(horus_infer_set(op, "x", &(horus_tensor){.ndim = 0}, 0), HORUS_E_CLOSED);
    CHECK_RESULT(horus_infer_set(op, "x", NULL, 0), HORUS_E_ARG);
    CHECK_RESULT(horus_infer_set(op, NULL, &mine, 0), HORUS_E_ARG);
    CHECK_RESULT(horus_infer_set(op, "xs", &mine, 0), HORUS_E_NOT_FOUND);
    CHECK_TEXT(horus_last_error(), "did you mean \"x\"?");
    mine.shape[0] = 0;
    CHECK_OK(horus_infer_set(op, "x", &mine, 0));
    CHECK_RESULT(horus_infer_execute(op), HORUS_E_SIZE);
    leave(op);
}
TEST(an_empty_tensor_is_refused_where_any_shape_goes)
{
    stub_begin();
    stubs[0].in[0] = stubs[0].out[0] = IO(HORUS_INFER_ANY, HORUS_INFER_ANY);
    horus_infer_desc d = stub_desc(1);
    horus_infer *op = open_op(&d);
    horus_tensor t = floats(0, 1);
    CHECK_OK(horus_infer_set(op, "x", &t, 0));
    CHECK_OK(horus_tensor_release(&t));
    CHECK_RESULT(horus_infer_execute(op), HORUS_E_SIZE);
    CHECK_TEXT(horus_last_error(), "takes \"x\" as any of any dtype, it is 0 float32: empty");
    for (uint32_t ndim = 0; ndim <= HORUS_MAX_DIMS; ndim++) {
        int64_t shape[HORUS_MAX_DIMS] = {2, 1, 2, 1, 2, 1, 2, 1};
        CHECK_OK(horus_tensor_alloc(&t, pool_of(home), HORUS_F32, ndim, shape, 0));
        CHECK_OK(horus_infer_set(op, "x", &t, 0));
        CHECK_OK(horus_tensor_release(&t));
        CHECK_OK(horus_infer_execute(op));
        CHECK_EQ(stubs[0].ndim, ndim);
    }
    leave(op);
}
TEST(a_batch_of_one_may_be_left_out)
{
    stub_begin();
    const int64_t first[] = {1, -1, 2};
    for (int i = 0; i < 3; i++) {
        stubs[0].in[0] = IO(HORUS_F32, 2, first[i], 4);
        horus_infer_desc d = stub_desc(1);
        horus_infer *op = open_op(&d);
        horus_tensor t = floats(4, 1);
        CHECK_OK(horus_infer_set(op, "x", &t, 0));
        CHECK_OK(horus_tensor_release(&t));
        CHECK_RESULT(horus_infer_execute(op), first[i] < 2 ? HORUS_OK : HORUS_E_SIZE);
        if (first[i] < 2) {
            CHECK_EQ(stubs[0].ndim, 2);
            CHECK_EQ(stubs[0].shape[0], 1);
            CHECK_EQ(stubs[0].shape[1], 4);
        }
        leave(op);
    }
}
TEST(open_dimensions_are_fixed_by_the_first_frame_or_change)
{
    stub_begin();
    for (int dynamic = 0; dynamic < 2; dynamic++) {
        stubs[0].in[0] = stubs[0].out[0] = IO(HORUS_F32, 1, -1);
        horus_infer_desc d = stub_desc(1);
        d.dynamic_input_dims = dynamic;
        horus_infer *op = open_op(&d);
        for (int64_t n = 3; n < 6; n++) {
            horus_tensor t = floats(n, 1);
            CHECK_OK(horus_infer_set(op, "x", &t, 0));
            CHECK_OK(horus_tensor_release(&t));
            horus_result want = n == 3 || dynamic ? HORUS_OK : HORUS_E_SIZE;
            CHECK_RESULT(horus_infer_execute(op), want);
            if (want != HORUS_OK)
                CHECK_TEXT(horus_last_error(), "see dynamic_input_dims");
            else {
                CHECK_OK(horus_infer_get(op, "px", &t, NULL));
                CHECK_EQ(t.shape[0], n);
                CHECK_OK(horus_tensor_release(&t));
            }
        }
        leave(op);
    }
}
TEST(open_dimensions_are_fixed_by_the_first_frame_that_ran)
{
    stub_begin();
    stubs[0].in[0] = stubs[0].out[0] = IO(HORUS_F32, 1, -1);
    stubs[0].takes = 2;
    stubs[0].in[1] = IO(HORUS_F32, 1, 4);
    horus_infer_desc d = stub_desc(1);
    d.pre_processor_map = LISTS({"p", NAMES("x", "y")});
    horus_infer *op = open_op(&d);
    const int64_t length[] = {3, 5, 6, 7};
    for (int i = 0; i < 4; i++) {
        horus_tensor t = floats(length[i], 1), y = floats(i == 0 ? 2 : 4, 1);
        CHECK_OK(horus_infer_set(op, "x", &t, 0));
        CHECK_OK(horus_infer_set(op, "y", &y, 0));
        CHECK_OK(horus_tensor_release(&t));
        CHECK_OK(horus_tensor_release(&y));
        stubs[0].run_result = i == 1 ? HORUS_E_SYSTEM : HORUS_OK; /* the runtime does not take 5 */
        CHECK_RESULT(horus_infer_execute(op), i == 1   ? HORUS_E_SYSTEM
                                              : i == 2 ? HORUS_OK
                                                       : HORUS_E_SIZE);
        CHECK((i == 3) == (strstr(horus_last_error(), "see dynamic_input_dims") != NULL));
        horus_infer_io io;
        CHECK_OK(horus_infer_get_io(op, 0, false, 0, &io));
        CHECK_EQ(io.shape[0], i < 2 ? -1 : 6);
    }
    leave(op);
}
static horus_result give_nothing(horus_infer_call *call)
{
    return call->alloc(call, 0, HORUS_F32, 2, (const int64_t[]){0, 6});
}
TEST(an_output_of_no_elements_is_a_result)
{
    stub_begin();
    home = join(16 * MiB);
    stubs[0].out[0] = IO(HORUS_F32, 2, -1, 6);
    stubs[0].during = give_nothing;
    stubs[0].lazy = true;
    horus_topic *out = topic_of("out", NULL);
    horus_infer_desc d = stub_desc(1);
    d.output = out;
    horus_infer *op = open_op(&d);
    horus_tensor t;
    set_floats(op, "x", 1);
    CHECK_OK(horus_infer_run(op));
    if (CHECK_OK(horus_topic_receive_tensor(out, &t, NULL, HORUS_NO_WAIT))) {
        CHECK_EQ(t.shape[0], 0);
        CHECK_EQ(t.shape[1], 6);
        CHECK_OK(horus_tensor_release(&t));
    }
    if (CHECK_OK(horus_infer_get(op, "px", &t, NULL))) {
        CHECK_EQ(t.shape[1], 6);
        CHECK_OK(horus_tensor_release(&t));
    }
    CHECK_OK(horus_infer_set_active(op, "p", false));
    set_floats(op, "x", 1);
    CHECK_OK(horus_infer_run(op));
    CHECK_EQ(figures_of(op, 0).resent, 1);
    horus_topic_close(out);
    leave(op);
}
TEST(what_does_not_lie_densely_is_copied_once)
{
    stub_begin();
    stubs[0].in[0] = IO(HORUS_F32, 2, 2, 2);
    horus_infer_desc d = stub_desc(1);
    horus_infer *op = open_op(&d);
    horus_tensor t;
    CHECK_OK(horus_tensor_alloc(&t, pool_of(home), HORUS_F32, 2, (const int64_t[]){2, 3}, 0));
    ((float *)t.data)[0] = 3;
    t.shape[1] = 2; /* two of three columns */
    CHECK_OK(horus_infer_set(op, "x", &t, 0));
    CHECK_OK(horus_infer_execute(op));
    CHECK(stubs[0].read[0] != t.data);
    CHECK(result_of(op, "px", NULL) == 3);
    CHECK_EQ(held(), 2); /* the copy is gone */
    CHECK_OK(horus_tensor_release(&t));
    leave(op);
}
TEST(nan_goes_in_and_comes_out)
{
    horus_infer_desc d = good();
    horus_infer *op = open_op(&d);
    set_floats(op, "a", NAN);
    set_floats(op, "c", 1);
    CHECK_OK(horus_infer_execute(op));
    CHECK(isnan(result_of(op, "b", NULL)) && isnan(result_of(op, "d", NULL)));
    CHECK_EQ(figures_of(op, 0).runs, 1);
    leave(op);
}
TEST(identity_gives_what_it_takes_and_add_the_sum)
{
    horus_infer_desc d = good();
    d.backend = NULL;
    d.backend_map = ENTRIES({"m1", "identity"}, {"m2", "add"});
    horus_infer *op = open_op(&d);
    static const struct {
        horus_dtype dtype;
        uint64_t a, c, sum;
    } sums[] = {{HORUS_U8, 200, 100, 44},
                {HORUS_I8, 0xff, 3, 2},
                {HORUS_U32, 1, 0xffffffff, 0},
                {HORUS_I32, 5, 6, 11},
                {HORUS_U64, 1ull << 40, 1, 1 + (1ull << 40)},
                {HORUS_I64, UINT64_MAX, 2, 1}};
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++) {
        uint64_t a = sums[i].a, c = sums[i].c, got = 0;
        horus_tensor t = {.data = &a, .dtype = (uint8_t)sums[i].dtype}, u = t;
        u.data = &c;
        CHECK_OK(horus_infer_set(op, "a", &t, 0));
        CHECK_OK(horus_infer_set(op, "c", &u, 0));
        CHECK_OK(horus_infer_execute(op));
        size_t n = horus_dtype_bytes(sums[i].dtype);
        CHECK_OK(horus_infer_get(op, "b", &t, NULL));
        memcpy(&got, t.data, n);
        CHECK_EQ(got, sums[i].a);
        CHECK_OK(horus_tensor_release(&t));
        CHECK_OK(horus_infer_get(op, "d", &t, NULL));
        got = 0;
        memcpy(&got, t.data, n);
        CHECK_EQ(got, sums[i].sum);
        CHECK_OK(horus_tensor_release(&t));
    }
    double x = 1;
    horus_tensor t = {.data = &x, .dtype = HORUS_F64}, u = {.data = &x, .dtype = HORUS_F32};
    CHECK_OK(horus_infer_set(op, "a", &t, 0));
    CHECK_OK(horus_infer_set(op, "c", &t, 0));
    CHECK_RESULT(horus_infer_execute(op), HORUS_E_TYPE);
    CHECK_TEXT(horus_last_error(), "model m2: add: no float64");
    CHECK_OK(horus_infer_set(op, "a", &t, 0));
    CHECK_OK(horus_infer_set(op, "c", &u, 0));
    CHECK_RESULT(horus_infer_execute(op), HORUS_E_SIZE);
    u.dtype = HORUS_F64;
    u.ndim = 1;
    u.shape[0] = 0;
    float two[2] = {1, 2};
    horus_tensor v = {
        .data = two, .dtype = HORUS_F32, .ndim = 1, .shape = {2}, .strides_bytes = {4}};
    t.dtype = HORUS_F32;
    CHECK_OK(horus_infer_set(op, "a", &t, 0));
    CHECK_OK(horus_infer_set(op, "c", &v, 0));
    CHECK_RESULT(horus_infer_execute(op), HORUS_E_SIZE);
    CHECK_TEXT(horus_last_error(), "input 1 has another dtype or number of elements");
    leave(op);
}

/* ---- which model runs when */

/* Three models over seven frames: one always on, one off in frames 3 to 5, one off from the start and on
 * at 4. What is off sends its last result again, or nothing before its first. */
static void play_seven(horus_infer *op, horus_topic *out, horus_topic *control)
{
    static const float want[7][3] = {{1, 1, 0}, {2, 2, 0}, {3, 2, 0}, {4, 2, 4},
                                     {5, 2, 5}, {6, 6, 6}, {7, 7, 7}};
    char id[HORUS_FRAME_ID_BYTES];
    for (int frame = 1; frame <= 7; frame++) {
        horus_infer_activation a = {.active = 0};
        if (frame == 3) {
            if (!control)
                CHECK_OK(horus_infer_set_active(op, "q", false));
            (void)strcpy(a.model, "q");
        }
        if (frame == 6 && !control)
            CHECK_OK(horus_infer_set_active(op, "q", true));
        if (frame == 6)
            (void)strcpy(a.model, "q"), a.active = 1;
        if (frame == 4 && !control)
            CHECK_OK(horus_infer_set_active(op, "r", true));
        if (frame == 4)
            (void)strcpy(a.model, "r"), a.active = 1;
        if (control && a.model[0])
            CHECK_OK(horus_topic_send(control, &a, sizeof a, HORUS_NO_WAIT));
        set_floats(op, "x", (float)frame);
        CHECK_OK(horus_infer_run(op));
        for (int m = 0; m < 3; m++) {
            if (want[frame - 1][m] > 0) {
                float v = next_of(out, id);
                if (!CHECK(v == want[frame - 1][m] && id[0] == "pqr"[m] && id[1] == 'x'))
                    test_failed(__FILE__, __LINE__, "frame %d: %s is %g", frame, id, (double)v);
            }
        }
        (void)next_of(out, id);
        CHECK(id[0] == 0); /* and no more */
    }
    CHECK_EQ(figures_of(op, 0).resent, 0);
    CHECK_EQ(figures_of(op, 1).resent, 3);
    CHECK_EQ(figures_of(op, 2).resent, 0);
    CHECK_EQ(figures_of(op, 2).runs, 4);
}
TEST(models_are_switched_on_and_off_while_they_run)
{
    static const char *const backends[] = {"stub", "identity", "add"};
    for (int i = 0; i < 12; i++) {
        stub_begin();
        horus_infer_desc d = stub_desc(3);
        home = join(16 * MiB);
        horus_topic *out = topic_of("out", i & 1 ? &horus_tensor_type : NULL);
        horus_topic *control = topic_of("control", &horus_infer_activation_type);
        d.backend = backends[i % 3];
        d.output = out;
        d.activation_map = ENTRIES({"r", "0"}, {"q", "1"});
        d.parallel_inference = i < 6 ? HORUS_YES : HORUS_NO;
        d.activation = i % 2 ? control : NULL;
        horus_infer *op = open_op(&d);
        play_seven(op, out, d.activation);
        horus_topic_close(out);
        horus_topic_close(control);
        leave(op);
    }
}
TEST(a_temporal_model_runs_on_frames_1_n_plus_1_and_so_on)
{
    stub_begin();
    horus_infer_desc d = stub_desc(3);
    home = join(16 * MiB);
    horus_topic *out = topic_of("out", NULL),
                *status = topic_of("status", &horus_infer_status_type);
    d.output = out;
    d.status = status;
    d.temporal_map = ENTRIES({"p", "1"}, {"q", "3"});
    d.out_tensor_names = NAMES("qx", "px");
    horus_infer *op = open_op(&d);
    for (int frame = 1; frame <= 8; frame++) {
        char id[HORUS_FRAME_ID_BYTES];
        uint8_t message[2000];
        horus_info info;
        uint64_t age;
        set_floats(op, "x", (float)frame);
        CHECK_OK(horus_infer_run(op));
        int ran = (frame - 1) / 3 * 3 + 1;
        CHECK(next_of(out, id) == (float)ran);
        CHECK_TEXT(id, "qx");
        CHECK(next_of(out, id) == (float)frame);
        CHECK_TEXT(id, "px");
        CHECK(isnan(next_of(out, id)));
        CHECK(result_of(op, "qx", &age) == (float)ran);
        CHECK_EQ(age, frame - ran);
        CHECK(result_of(op, "rx", &age) == (float)frame); /* it is there, though not sent */
        CHECK_OK(horus_topic_receive(status, message, sizeof message, &info, HORUS_NO_WAIT));
        const horus_infer_status *s = (const void *)message;
        const void *at;
        size_t n;
        CHECK_EQ(s->frame, frame);
        REQUIRE_OK(horus_message_array(message, info.size, &s->outputs, sizeof(horus_infer_output),
                                       &at, &n));
        const horus_infer_output *o = at;
        REQUIRE(n == 2);
        CHECK_TEXT(o[0].model, "q");
        CHECK_TEXT(o[0].tensor, "qx");
        CHECK_EQ(o[0].age_frames, frame - ran);
        CHECK_EQ(o[1].age_frames, 0);
        CHECK(o[0].active && o[0].result == HORUS_OK && o[1].run_ns > 0);
    }
    CHECK_EQ(figures_of(op, 1).runs, 3);
    CHECK_EQ(figures_of(op, 1).every, 3);
    CHECK_EQ(figures_of(op, 1).run.count, 3);
    CHECK_EQ(figures_of(op, 1).resent, 5);
    horus_topic_close(out);
    horus_topic_close(status);
    leave(op);
}
TEST(the_same_frame_is_sent_again)
{
    stub_begin();
    horus_infer_desc d = stub_desc(1);
    home = join(16 * MiB);
    horus_topic *out = topic_of("out", NULL);
    horus_tensor first, again;
    d.output = out;
    d.temporal_map = ENTRIES({"p", "2"});
    horus_infer *op = open_op(&d);
    set_floats(op, "x", 1);
    CHECK_OK(horus_infer_run(op));
    set_floats(op, "x", 2);
    CHECK_OK(horus_infer_run(op));
    CHECK_OK(horus_topic_receive_tensor(out, &first, NULL, HORUS_NO_WAIT));
    CHECK_OK(horus_topic_receive_tensor(out, &again, NULL, HORUS_NO_WAIT));
    CHECK(first.data == again.data && first.frame.slot == again.frame.slot);
    CHECK_EQ(first.frame.generation, again.frame.generation);
    CHECK_OK(horus_tensor_release(&first));
    CHECK_OK(horus_tensor_release(&again));
    horus_topic_close(out);
    leave(op);
}
TEST(messages_that_switch_models_are_checked)
{
    stub_begin();
    horus_infer_desc d = stub_desc(1);
    home = join(16 * MiB);
    horus_topic *typed = topic_of("a", &horus_infer_activation_type), *loose = topic_of("b", NULL);
    d.activation = typed;
    horus_infer *op = open_op(&d);
    horus_infer_activation a = {.model = "p", .active = 2};
    CHECK_OK(horus_topic_send(typed, &a, sizeof a, HORUS_NO_WAIT));
    set_floats(op, "x", 1);
    CHECK_RESULT(horus_infer_run(op), HORUS_E_ARG);
    CHECK_TEXT(horus_last_error(), "activation: model p: 2 is not 1 (active) or 0 (not)");
    CHECK_EQ(figures_of(op, 0).runs, 1);  /* the frame ran all the same */
    memset(a.model, 'p', sizeof a.model); /* without an end, and unknown */
    CHECK_OK(horus_topic_send(typed, &a, sizeof a, HORUS_NO_WAIT));
    a.active = 3;
    CHECK_OK(horus_topic_send(typed, &a, sizeof a, HORUS_NO_WAIT));
    CHECK_RESULT(horus_infer_run(op), HORUS_E_NOT_FOUND);
    CHECK_TEXT(horus_last_error(), "is no model: did you mean \"p\"?");
    CHECK_RESULT(horus_infer_run(op), HORUS_EMPTY);
    CHECK_RESULT(horus_infer_set_active(op, "pp", true), HORUS_E_NOT_FOUND);
    CHECK_RESULT(horus_infer_set_active(op, NULL, true), HORUS_E_ARG);
    CHECK_RESULT(horus_infer_set_active(NULL, "p", true), HORUS_E_ARG);
    horus_infer_close(op);
    d.activation = loose;
    op = open_op(&d);
    a = (horus_infer_activation){.model = "p", .active = 0};
    CHECK_OK(horus_topic_send(loose, &a, sizeof a - 1, HORUS_NO_WAIT)); /* short, long, a frame */
    CHECK_RESULT(horus_infer_run(op), HORUS_E_SIZE);
    CHECK_TEXT(horus_last_error(), "no horus_infer_activation came");
    char big[sizeof a + 8] = "p";
    CHECK_OK(horus_topic_send(loose, big, sizeof big, HORUS_NO_WAIT));
    CHECK_OK(horus_topic_send(loose, &a, sizeof a, HORUS_NO_WAIT));
    CHECK_RESULT(horus_infer_run(op), HORUS_E_SIZE);
    send_floats(loose, NULL, 1);
    CHECK_RESULT(horus_infer_run(op), HORUS_E_TYPE);
    CHECK(figures_of(op, 0).active);
    CHECK_OK(horus_topic_send(loose, &a, sizeof a, HORUS_NO_WAIT));
    CHECK_RESULT(horus_infer_run(op), HORUS_EMPTY);
    CHECK(!figures_of(op, 0).active);
    horus_topic_close(typed);
    horus_topic_close(loose);
    leave(op);
}

/* ---- from topics */

TEST(a_frame_has_the_name_of_its_id_or_of_its_input)
{
    stub_begin();
    stubs[0].takes = 2;
    stubs[0].in[1] = IO(HORUS_F32, 1, 4);
    home = join(16 * MiB);
    horus_topic *one = topic_of("one", NULL), *two = topic_of("two", &horus_tensor_type);
    horus_infer_desc d = stub_desc(1);
    d.pre_processor_map = LISTS({"p", NAMES("x", "y")});
    d.inputs = INPUTS({.topic = one}, {.topic = two, .tensor = "y"});
    horus_infer *op = open_op(&d);
    CHECK_RESULT(horus_infer_run(op), HORUS_EMPTY);
    send_floats(one, "lens", 1); /* no tensor of ours, and its input declares none: dropped */
    CHECK_RESULT(horus_infer_run(op), HORUS_EMPTY);
    send_floats(one, "x", 2);
    send_floats(two, "lens", 3);
    CHECK_OK(horus_infer_run(op));
    CHECK(result_of(op, "px", NULL) == 2);
    send_floats(two, "x", 4); /* by their ids, both from one topic; the next x waits */
    send_floats(two, "x", 5);
    send_floats(two, "y", 6);
    send_floats(two, "y", 7);
    CHECK_RESULT(horus_infer_run(op), HORUS_E_NOT_FOUND);
    CHECK_TEXT(horus_last_error(), "model p takes tensor \"y\": no message had it");
    CHECK_OK(horus_infer_run(op));
    CHECK(result_of(op, "px", NULL) == 5);
    send_floats(one, "x", 8);
    CHECK_OK(horus_infer_run(op));
    CHECK(result_of(op, "px", NULL) == 8);
    CHECK_RESULT(horus_infer_run(op), HORUS_EMPTY);
    send_floats(two, "y", 9); /* what came with a frame that failed is dropped */
    CHECK_RESULT(horus_infer_run(op), HORUS_E_NOT_FOUND);
    CHECK_TEXT(horus_last_error(), "tensor \"x\"");
    send_floats(one, "x", 10);
    CHECK_RESULT(horus_infer_run(op), HORUS_E_NOT_FOUND);
    d.inputs = INPUTS({.topic = one, .tensor = "z"});
    char report[400];
    CHECK_RESULT(horus_infer_check(&d, report, sizeof report), HORUS_E_ARG);
    CHECK_TEXT(report, "inputs: \"z\" is not in pre_processor_map");
    horus_infer_input many[66];
    memset(many, 0, sizeof many);
    for (int i = 0; i < 65; i++)
        many[i].topic = one;
    d.inputs = many;
    CHECK_RESULT(horus_infer_check(&d, report, sizeof report), HORUS_E_ARG);
    CHECK_TEXT(report, "more than 64 topics");
    send_floats(two, "y", 11); /* held when it is closed: one as stash */
    send_floats(two, "y", 12);
    (void)horus_infer_extract(op);
    horus_topic_close(one);
    horus_topic_close(two);
    leave(op);
}
TEST(a_frame_waits_for_its_other_tensors)
{
    stub_begin();
    stubs[0].takes = 2;
    stubs[0].in[1] = IO(HORUS_F32, 1, 4);
    home = join(16 * MiB);
    horus_topic *one = topic_of("one", NULL), *two = topic_of("two", NULL);
    horus_infer_desc d = stub_desc(1);
    d.pre_processor_map = LISTS({"p", NAMES("x", "y")});
    horus_topic *three = topic_of("three", NULL);
    d.inputs =
        INPUTS({.topic = one, .tensor = "x"}, {.topic = two, .tensor = "y"}, {.topic = three});
    d.wait_ns = 30000 * (int64_t)ms;
    horus_infer *op = open_op(&d);
    pid_t pid = fork();
    if (pid == 0) {
        horus_context *c = join(16 * MiB);
        horus_topic *t;
        horus_topic *u;
        REQUIRE_OK(horus_topic_open(&t, "two", &(horus_topic_desc){.context = c}));
        REQUIRE_OK(horus_topic_open(&u, "three", &(horus_topic_desc){.context = c}));
        home = c;
        test_await(0);
        test_sleep_us(20000);
        send_floats(u, "lens", 5); /* of no use: it goes on waiting */
        test_sleep_us(20000);
        horus_topic_close(u);
        send_floats(t, NULL, 5);
        horus_topic_close(t);
        horus_context_close(c);
        test_leave(0);
    }
    send_floats(one, NULL, 4);
    test_raise(0);
    CHECK_OK(horus_infer_run(op)); /* within half a minute */
    CHECK_JOIN(pid);
    horus_infer_close(op);
    d.wait_ns = 5 * (int64_t)ms;
    op = open_op(&d);
    send_floats(one, NULL, 4);
    uint64_t begin = horus_now_ns();
    CHECK_RESULT(horus_infer_run(op), HORUS_E_NOT_FOUND);
    CHECK(horus_now_ns() - begin >= 5 * ms);
    send_floats(one, NULL,
                4); /* it has two: the second is of the next frame, and nothing to wait on */
    send_floats(one, NULL, 4);
    d.inputs = INPUTS({.topic = one, .tensor = "x"});
    horus_infer *single = open_op(&d);
    send_floats(one, NULL, 4);
    send_floats(one, NULL, 5);
    CHECK_RESULT(horus_infer_run(single), HORUS_E_NOT_FOUND);
    horus_infer_close(single);
    horus_topic_close(three);
    horus_topic_close(one);
    horus_topic_close(two);
    leave(op);
}
TEST(the_newest_frame_is_taken_where_that_is_wanted)
{
    stub_begin();
    home = join(16 * MiB);
    horus_topic *in = topic_of("in", NULL), *queue;
    REQUIRE_OK(horus_topic_open(&queue, "queue",
                                &(horus_topic_desc){.context = home, .policy = HORUS_QUEUE}));
    horus_infer_desc d = stub_desc(1);
    d.inputs = INPUTS({.topic = in, .tensor = "x", .newest = true});
    horus_infer *op = open_op(&d);
    for (int i = 1; i <= 5; i++)
        send_floats(in, NULL, (float)i);
    CHECK_OK(horus_infer_run(op));
    CHECK(result_of(op, "px", NULL) == 5);
    CHECK_RESULT(horus_infer_run(op), HORUS_EMPTY);
    horus_infer_close(op);
    d.inputs = INPUTS({.topic = queue, .tensor = "x", .newest = true});
    op = open_op(&d);
    send_floats(queue, NULL, 1);
    CHECK_RESULT(horus_infer_run(op), HORUS_E_POLICY);
    horus_topic_close(in);
    horus_topic_close(queue);
    leave(op);
}
TEST(the_newest_frame_is_none_that_waited)
{
    stub_begin();
    stubs[0].takes = 2;
    stubs[0].in[1] = IO(HORUS_F32, 1, 4);
    home = join(16 * MiB);
    horus_topic *one = topic_of("one", NULL), *two = topic_of("two", NULL);
    horus_infer_desc d = stub_desc(1);
    d.pre_processor_map = LISTS({"p", NAMES("x", "y")});
    d.inputs = INPUTS({.topic = one, .tensor = "x", .newest = true}, {.topic = two, .tensor = "y"});
    d.wait_ns = 30000 * (int64_t)ms;
    horus_infer *op = open_op(&d);
    pid_t pid = fork();
    if (pid == 0) {
        home = join(16 * MiB);
        horus_topic *t, *u;
        REQUIRE_OK(horus_topic_open(&t, "one", &(horus_topic_desc){.context = home}));
        REQUIRE_OK(horus_topic_open(&u, "two", &(horus_topic_desc){.context = home}));
        test_await(0);
        test_sleep_us(20000);
        send_floats(t, NULL, 2); /* while it waits for y */
        test_sleep_us(20000);
        send_floats(u, NULL, 1);
        horus_topic_close(t);
        horus_topic_close(u);
        horus_context_close(home);
        test_leave(0);
    }
    send_floats(one, NULL, 1);
    test_raise(0);
    CHECK_OK(horus_infer_run(op));
    CHECK(result_of(op, "px", NULL) == 2);
    CHECK_JOIN(pid);
    set_floats(op, "x", 3); /* what is given by hand stays, and what came meanwhile gets older */
    send_floats(one, NULL, 4);
    send_floats(two, NULL, 1);
    CHECK_OK(horus_infer_run(op));
    CHECK(result_of(op, "px", NULL) == 3);
    send_floats(one, NULL, 5);
    send_floats(two, NULL, 1);
    CHECK_OK(horus_infer_run(op));
    CHECK(result_of(op, "px", NULL) == 5);
    set_floats(op, "x", 6);
    send_floats(one, NULL, 7);
    send_floats(two, NULL, 1);
    CHECK_OK(horus_infer_run(op));
    send_floats(two, NULL, 1);
    CHECK_OK(horus_infer_run(op)); /* there is no newer one than the one that waits */
    CHECK(result_of(op, "px", NULL) == 7);
    horus_infer_close(op);
    d.inputs = INPUTS({.topic = one, .newest = true}, {.topic = two, .tensor = "y"});
    d.wait_ns = 0;
    op = open_op(&d);
    send_floats(two, NULL, 1);
    send_floats(one, "x", 8);
    send_floats(one, "lens", 9); /* the newest one, and of no tensor that a model takes */
    CHECK_RESULT(horus_infer_extract(op), HORUS_E_NOT_FOUND);
    horus_topic_close(one);
    horus_topic_close(two);
    leave(op);
}
TEST(images_depth_maps_and_clouds_are_tensors)
{
    stub_begin();
    stubs[0].in[0] = IO(HORUS_INFER_ANY, HORUS_INFER_ANY);
    home = join(16 * MiB);
    horus_topic *in = topic_of("in", NULL);
    horus_infer_desc d = stub_desc(1);
    d.inputs = INPUTS({.topic = in, .tensor = "x"});
    horus_infer *op = open_op(&d);
    horus_image m;
    horus_depth z;
    horus_cloud c;
    for (int i = 0; i < 3; i++) {
        CHECK_OK(horus_image_alloc(&m, pool_of(home), 4, 2, HORUS_RGB8, 0));
        const void *at = m.data;
        CHECK_OK(horus_topic_send_image(in, &m, 0));
        CHECK_OK(horus_image_release(&m));
        CHECK_OK(horus_infer_run(op));
        CHECK(stubs[0].read[0] == at);
        CHECK_EQ(stubs[0].ndim, 3);
        CHECK(stubs[0].shape[0] == 2 && stubs[0].shape[1] == 4 && stubs[0].shape[2] == 3);
        CHECK_OK(horus_depth_alloc(&z, pool_of(home), 4, 2, HORUS_F32, 0));
        CHECK_OK(horus_topic_send_depth(in, &z, 0));
        CHECK_OK(horus_depth_release(&z));
        CHECK_OK(horus_infer_run(op));
        CHECK_EQ(stubs[0].ndim, 2);
        CHECK_OK(horus_cloud_alloc(&c, pool_of(home), 5, 3, HORUS_F32, 0));
        CHECK_OK(horus_topic_send_cloud(in, &c, 0));
        CHECK_OK(horus_cloud_release(&c));
        CHECK_OK(horus_infer_run(op));
        CHECK(stubs[0].shape[0] == 5 && stubs[0].shape[1] == 3);
        send_floats(in, NULL, 1);
        CHECK_OK(horus_infer_run(op));
    }
    CHECK_OK(horus_topic_send(in, "text", 4, 0));
    send_floats(in, NULL, 1);
    CHECK_RESULT(horus_infer_run(op), HORUS_E_TYPE);
    CHECK_TEXT(horus_last_error(), "inputs: a message that is no frame came");
    CHECK_RESULT(horus_infer_run(op), HORUS_EMPTY); /* it is not met again */
    send_floats(in, NULL, 1);
    CHECK_OK(horus_infer_run(op));
    horus_topic_close(in);
    leave(op);
}

/* ---- failures */

TEST(in_parallel_each_failed_model_is_named_and_the_others_go_on)
{
    stub_begin();
    horus_infer_desc d = stub_desc(3);
    home = join(16 * MiB);
    horus_topic *out = topic_of("out", NULL), *status = topic_of("status", NULL);
    d.output = out;
    d.status = status;
    d.parallel_inference = HORUS_YES;
    horus_infer *op = open_op(&d);
    char id[HORUS_FRAME_ID_BYTES];
    stubs[0].meet = stubs[1].meet = stubs[2].meet = 3; /* they do run at once */
    set_floats(op, "x", 1);
    CHECK_OK(horus_infer_run(op));
    CHECK_EQ(stub_most, 3);
    CHECK(pthread_equal(stubs[0].thread, pthread_self()));
    CHECK(!pthread_equal(stubs[1].thread, pthread_self()));
    CHECK(!pthread_equal(stubs[1].thread, stubs[2].thread));
    for (int i = 0; i < 3; i++)
        (void)next_of(out, id);
    stubs[0].run_result = HORUS_E_SYSTEM;
    stubs[2].run_result = HORUS_E_CORRUPT;
    set_floats(op, "x", 2);
    CHECK_RESULT(horus_infer_run(op), HORUS_E_SYSTEM); /* that of the first */
    CHECK_TEXT(horus_last_error(),
               "operator op: model p: it is out of ideas; model r: it is out of ideas");
    CHECK(next_of(out, id) == 2); /* of those that failed nothing, not even what was before */
    CHECK_TEXT(id, "qx");
    CHECK(isnan(next_of(out, id)));
    uint64_t age;
    CHECK(result_of(op, "px", &age) == 1 && age == 1);
    uint8_t message[2000];
    for (int i = 0; i < 2; i++)
        CHECK_OK(horus_topic_receive(status, message, sizeof message, NULL, HORUS_NO_WAIT));
    const horus_infer_output *o = (const void *)(message + sizeof(horus_infer_status));
    CHECK_EQ(o[0].result, HORUS_E_SYSTEM);
    CHECK_EQ(o[0].age_frames, 1);
    CHECK_EQ(o[1].result, HORUS_OK);
    CHECK_EQ(o[2].result, HORUS_E_CORRUPT);
    stubs[0].run_result = HORUS_OK; /* mine is idle: another one is mine */
    CHECK_OK(horus_infer_set_active(op, "p", false));
    stubs[2].run_result = HORUS_OK;
    stubs[1].meet = stubs[2].meet = 2;
    set_floats(op, "x", 3);
    CHECK_OK(horus_infer_run(op));
    CHECK(pthread_equal(stubs[1].thread, pthread_self()));
    for (int i = 0; i < 3; i++)
        CHECK_OK(horus_infer_set_active(op, (const char *[]){"p", "q", "r"}[i], false));
    set_floats(op, "x", 4);
    CHECK_OK(horus_infer_run(op)); /* none at all */
    horus_topic_close(out);
    horus_topic_close(status);
    leave(op);
}
TEST(in_sequence_the_first_failure_ends_the_frame)
{
    stub_begin();
    horus_infer_desc d = stub_desc(3);
    home = join(16 * MiB);
    horus_topic *out = topic_of("out", NULL);
    char id[HORUS_FRAME_ID_BYTES];
    d.output = out;
    d.parallel_inference = HORUS_NO;
    horus_infer *op = open_op(&d);
    stubs[1].run_result = HORUS_E_SYSTEM;
    set_floats(op, "x", 1);
    CHECK_RESULT(horus_infer_run(op), HORUS_E_SYSTEM);
    CHECK_TEXT(horus_last_error(), "model q: it is out of ideas");
    CHECK_EQ(stub_most, 1);
    CHECK_EQ(stubs[0].runs, 1);
    CHECK_EQ(stubs[1].runs, 1);
    CHECK_EQ(stubs[2].runs, 0);
    CHECK_EQ(figures_of(op, 2).failures, 0);
    CHECK(next_of(out, id) == 1); /* what was computed is sent */
    CHECK(isnan(next_of(out, id)));
    stubs[1].run_result = HORUS_OK;
    set_floats(op, "x", 2);
    CHECK_OK(horus_infer_run(op));
    for (int i = 0; i < 3; i++)
        CHECK(next_of(out, id) == 2);
    stubs[1].run_result = HORUS_E_SYSTEM;
    set_floats(op, "x", 3);
    CHECK_RESULT(horus_infer_run(op), HORUS_E_SYSTEM);
    CHECK(next_of(out, id) == 3);
    CHECK(next_of(out, id) == 2); /* that which was not reached sends what it has */
    CHECK_TEXT(id, "rx");
    CHECK(isnan(next_of(out, id)));
    CHECK_EQ(figures_of(op, 2).resent, 1);
    horus_topic_close(out);
    leave(op);
}
TEST(a_back_end_that_makes_no_output_or_one_twice_is_told_so)
{
    stub_begin();
    stubs[0].out[0] = IO(HORUS_F32, 1, -1);
    horus_infer_desc d = stub_desc(1);
    horus_infer *op = open_op(&d);
    stubs[0].lazy = true;
    set_floats(op, "x", 1);
    CHECK_RESULT(horus_infer_run(op), HORUS_E_SYSTEM);
    CHECK_TEXT(horus_last_error(), "model p: its output px was not made");
    leave(op);
}
static horus_result make_twice(horus_infer_call *call)
{
    const int64_t shape = 4, huge = 1ll << 40;
    CHECK_RESULT(call->alloc(call, 7, HORUS_F32, 1, &shape), HORUS_E_ARG);
    CHECK_TEXT(call->why, "output 7");
    CHECK_RESULT(call->alloc(call, 0, HORUS_F32, 1, &huge), HORUS_E_SIZE);
    CHECK_OK(call->alloc(call, 0, HORUS_F32, 1, &shape));
    return call->alloc(call, 0, HORUS_F32, 1, &shape);
}
TEST(an_output_is_made_once)
{
    stub_begin();
    stubs[0].out[0] = IO(HORUS_F32, HORUS_INFER_ANY);
    stubs[0].during = make_twice;
    horus_infer_desc d = stub_desc(1);
    horus_infer *op = open_op(&d);
    set_floats(op, "x", 1);
    CHECK_RESULT(horus_infer_run(op), HORUS_E_ARG);
    CHECK_TEXT(horus_last_error(), "model p: output 0: alloc: output 0 has memory");
    leave(op);
}
TEST(a_full_pool_fails_the_model_and_not_the_operator)
{
    stub_begin();
    horus_infer_desc d = stub_desc(1);
    home = join(1 * MiB);
    horus_infer *op = open_op(&d);
    horus_tensor t = floats(4, 1), view;
    horus_frame all[64];
    unsigned n = 0;
    stubs[0].in[0] = IO(HORUS_F32, 2, 2, 2);
    while (n < 64 && horus_frame_alloc(&all[n], pool_of(home), n < 40 ? 65536 : 1024, 0, NULL) == 0)
        n++;
    while (n < 64 && horus_frame_alloc(&all[n], pool_of(home), 1024, 0, NULL) == 0)
        n++;
    horus_frame rest[2048];
    unsigned more = 0;
    while (more < 2048 && horus_frame_alloc(&rest[more], pool_of(home), 16, 0, NULL) == 0)
        more++;
    CHECK_OK(horus_infer_set(op, "x", &t, 0));
    CHECK_RESULT(horus_infer_run(op), HORUS_E_POOL_FULL);
    CHECK_TEXT(horus_last_error(), "model p: output 0: ");
    CHECK_EQ(stubs[0].runs, 0);
    horus_infer_close(op);
    d.backend = "identity";
    op = open_op(&d);
    CHECK_OK(horus_infer_set(op, "x", &t, 0));
    CHECK_RESULT(horus_infer_run(op), HORUS_E_POOL_FULL);
    horus_infer_close(op);
    d.backend = "stub";
    op = open_op(&d); /* p wants a matrix now */
    view = t;
    view.ndim = 2;
    view.shape[0] = view.shape[1] = 2;
    view.strides_bytes[0] = 4;
    view.strides_bytes[1] = 8;
    CHECK_OK(horus_infer_set(op, "x", &view, 0)); /* transposed: it is to be copied */
    CHECK_RESULT(horus_infer_run(op), HORUS_E_POOL_FULL);
    CHECK_RESULT(horus_infer_warm_up(op), HORUS_E_POOL_FULL);
    CHECK_TEXT(horus_last_error(), "operator op: model p: ");
    for (unsigned i = 0; i < n; i++)
        CHECK_OK(horus_frame_release(&all[i]));
    for (unsigned i = 0; i < more; i++)
        CHECK_OK(horus_frame_release(&rest[i]));
    CHECK_OK(horus_infer_set(op, "x", &view, 0));
    CHECK_OK(horus_infer_run(op));
    CHECK_OK(horus_tensor_release(&t));
    leave(op);
}
/* Two models of three outputs each, and memory for none of them, one, two and so on. */
TEST(a_pool_that_is_full_at_any_output_fails_that_model_alone)
{
    enum { OUTPUTS = 3 };
    static horus_frame all[64], rest[2048];
    stub_begin();
    for (int parallel = 0; parallel < 2; parallel++) {
        for (int i = 0; i < 2; i++) {
            stubs[i].gives = OUTPUTS;
            for (int k = 0; k < OUTPUTS; k++) /* the last one is of an open shape */
                stubs[i].out[k] = k + 1 < OUTPUTS ? IO(HORUS_F32, 1, 4) : IO(HORUS_F32, 1, -1);
        }
        horus_infer_desc d = stub_desc(2);
        d.inference_map = LISTS({"p", NAMES("p0", "p1", "p2")}, {"q", NAMES("q0", "q1", "q2")});
        d.parallel_inference = parallel ? HORUS_YES : HORUS_NO;
        home = join(1 * MiB);
        horus_infer *op = open_op(&d);
        horus_tensor t = floats(4, 1);
        unsigned n = 0, more = 0;
        while (n < 64 && horus_frame_alloc(&all[n], pool_of(home), 65536, 0, NULL) == HORUS_OK)
            n++;
        while (more < 2048 &&
               horus_frame_alloc(&rest[more], pool_of(home), 16, 0, NULL) == HORUS_OK)
            more++;
        REQUIRE(n > 0 && more > 2 * OUTPUTS && more < 2048);
        for (unsigned room = 0; room <= 2 * OUTPUTS; room++) {
            char says[60];
            unsigned before = held();
            CHECK_OK(horus_infer_set(op, "x", &t, 0));
            horus_result r = horus_infer_run(op);
            uint64_t failures = figures_of(op, 0).failures + figures_of(op, 1).failures;
            CHECK_RESULT(r, room < 2 * OUTPUTS ? HORUS_E_POOL_FULL : HORUS_OK);
            if (!parallel && room < 2 * OUTPUTS) { /* in their order */
                (void)snprintf(says, sizeof says, "model %s: output %u: pool default has no",
                               room < OUTPUTS ? "p" : "q", room % OUTPUTS);
                CHECK_TEXT(horus_last_error(), says);
                CHECK_EQ(failures, 1);
            }
            CHECK(room < 2 * OUTPUTS || failures == 0);
            /* one more is kept for each output of a model that ran, none of one that did not */
            uint64_t runs = figures_of(op, 0).runs + figures_of(op, 1).runs;
            CHECK_EQ(held(), before + runs * OUTPUTS);
            horus_infer_close(op);
            CHECK_OK(horus_frame_release(&rest[--more]));
            op = open_op(&d);
        }
        horus_infer_close(op);
        while (more > 0)
            CHECK_OK(horus_frame_release(&rest[--more]));
        while (n > 0)
            CHECK_OK(horus_frame_release(&all[--n]));
        CHECK_OK(horus_tensor_release(&t));
        leave(NULL);
    }
}
TEST(what_cannot_be_sent_is_told)
{
    stub_begin();
    horus_infer_desc d = stub_desc(1);
    home = join(16 * MiB);
    horus_topic *texts = topic_of("texts", &horus_clock_type);
    d.output = texts;
    horus_infer *op = open_op(&d);
    set_floats(op, "x", 1);
    CHECK_RESULT(horus_infer_run(op), HORUS_E_TYPE);
    horus_infer_close(op);
    d.output = NULL;
    d.status = texts;
    op = open_op(&d);
    set_floats(op, "x", 1);
    CHECK_RESULT(horus_infer_run(op), HORUS_E_TYPE);
    stubs[0].run_result = HORUS_E_SYSTEM; /* what the model said comes first */
    set_floats(op, "x", 1);
    CHECK_RESULT(horus_infer_run(op), HORUS_E_SYSTEM);
    CHECK_TEXT(horus_last_error(), "model p: it is out of ideas");
    horus_topic_close(texts);
    leave(op);
}
TEST(a_model_over_its_budget_is_aborted_and_the_others_go_on)
{
    for (int parallel = 0; parallel < 2; parallel++) {
        stub_begin();
        horus_infer_desc d = stub_desc(2);
        d.budget_ns = 3000 * (int64_t)ms;
        d.parallel_inference = parallel ? HORUS_YES : HORUS_NO;
        d.model_path_map = ENTRIES({"q", any_file()}, {"p", any_file()});
        horus_infer *op = open_op(&d);
        for (int i = 0; i < 50; i++) { /* within it */
            set_floats(op, "x", 1);
            CHECK_OK(horus_infer_run(op));
        }
        CHECK_EQ(stubs[0].aborts, 0);
        horus_infer_close(op);
        d.budget_ns = 20 * (int64_t)ms;
        op = open_op(&d);
        stubs[0].waits = true;
        set_floats(op, "x", 1);
        uint64_t begin = horus_now_ns();
        CHECK_RESULT(horus_infer_run(op), HORUS_E_LIMIT);
        CHECK(horus_now_ns() - begin >= 20 * ms);
        CHECK_TEXT(horus_last_error(), "model p: aborted after ");
        CHECK_TEXT(horus_last_error(), "budget_ns is 20000000");
        CHECK_EQ(stubs[0].aborts, 1);
        CHECK_EQ(stubs[0].takes_back, 1);
        CHECK_EQ(figures_of(op, 1).aborts, 1);
        CHECK_EQ(figures_of(op, 1).failures, 1);
        CHECK(result_of(op, "qx", NULL) == 1);

        stubs[0].waits = false;
        set_floats(op, "x", 2);
        CHECK_OK(horus_infer_run(op));
        CHECK(result_of(op, "px", NULL) == 2);
        stubs[0].sleep_us = 40000; /* it does not listen, but ends well: that is no failure */
        set_floats(op, "x", 3);
        CHECK_OK(horus_infer_run(op));
        CHECK_EQ(stubs[0].aborts, 2);
        stubs[0].sleep_us = 0;
        leave(op);
        memset(stubs, 0, sizeof stubs);
    }
}

static _Atomic unsigned threads_ended;
static void a_thread_ends(void) { atomic_fetch_add(&threads_ended, 1); }
TEST(a_binding_is_told_when_a_thread_ends)
{
    horus_infer *op;
    stub_begin();
    horus_infer_desc d = stub_desc(3);
    d.budget_ns = 3000 * (int64_t)ms;
    d.parallel_inference = HORUS_YES;
    home = home ? home : join(16 * MiB);
    d.pool = pool_of(home);
    REQUIRE_OK(horus_infer_create(&op, &d, NULL, 0));
    op->thread_ends = a_thread_ends;
    REQUIRE_OK(horus_infer_setup(op, NULL, 0));
    set_floats(op, "x", 1);
    CHECK_OK(horus_infer_run(op));
    leave(op);
    CHECK_EQ(threads_ended, 3); /* of the second and the third model, and the watchdog */
    memset(stubs, 0, sizeof stubs);
}

/* ---- set-up */

/* Opening fails with that result, and the report says so. */
static void check_setup(const char *file, int line, horus_infer_desc d, horus_result want,
                        const char *text, const char *more)
{
    char report[2000];
    horus_infer *op = (horus_infer *)(void *)&d;
    if (!home)
        home = join(16 * MiB);
    d.pool = pool_of(home);
    horus_result r = horus_infer_open(&op, &d, report, sizeof report);
    if (r != want || (op != NULL) != (r == HORUS_OK) || !strstr(report, text) ||
        !strstr(report, more))
        test_failed(file, line, "%s, not %s, or not \"%s\", \"%s\": %s", test_result_name(r),
                    test_result_name(want), text, more, report);
    if (r == HORUS_OK)
        horus_infer_close(op);
}
#define CHECK_SETUP(d, want, text, more) check_setup(__FILE__, __LINE__, d, want, text, more)
TEST(set_up_refuses_by_name_reason_and_what_works)
{
    stub_begin();
    horus_infer_desc d = stub_desc(2);
    d.input_on_cuda = HORUS_YES;
    CHECK_SETUP(
        d, HORUS_E_UNSUPPORTED,
        "input_on_cuda: model p: back end stub takes and gives tensors in the host's memory",
        "false works, or leave it out");
    d.input_on_cuda = HORUS_NO;
    d.output_on_cuda = HORUS_YES;
    CHECK_SETUP(d, HORUS_E_UNSUPPORTED, "output_on_cuda: model p:", "output_on_cuda: model q:");
    d.output_on_cuda = HORUS_AUTO;
    d.transmit_on_cuda = HORUS_YES; /* the pool is the host's memory either way */
    d.device_map = ENTRIES({"q", "1"});
    CHECK_SETUP(d, HORUS_E_UNSUPPORTED,
                "device_map: model q: GPU 1: back end stub runs on the processor: leave it out",
                "");
    d.device_map = NULL;
    d.dla_core_map = ENTRIES({"p", "0"});
    CHECK_SETUP(d, HORUS_E_UNSUPPORTED, "dla_core_map: model p: back end stub has no DLA",
                "\"trt\"");
    d.dla_core_map = NULL;
    stubs[1].probe_result = HORUS_E_UNSUPPORTED;
    CHECK_SETUP(d, HORUS_E_UNSUPPORTED,
                "backend: model q: back end stub cannot be used here: not on a Sunday", "");
    d.backend = NULL;
    d.backend_map = ENTRIES({"p", "stub"}, {"q", "stub"});
    CHECK_SETUP(d, HORUS_E_UNSUPPORTED, "backend_map: model q: back end stub cannot", "");
    stubs[1].probe_result = HORUS_OK;
    stubs[1].load_result = HORUS_E_CORRUPT;
    CHECK_SETUP(d, HORUS_E_CORRUPT, "model_path_map: model q: \"",
                "any.model\" cannot be loaded by stub: byte 3 is wrong");
    stubs[1].load_result = HORUS_E_UNSUPPORTED;
    CHECK_SETUP(d, HORUS_E_UNSUPPORTED, "model q: byte 3 is wrong", "");
    stubs[1].load_result = HORUS_OK;
    stubs[1].void_load = true;
    CHECK_SETUP(d, HORUS_E_CORRUPT, "cannot be loaded by stub", "");
    stubs[1].void_load = false;
    stubs[1].takes = 2;
    CHECK_SETUP(d, HORUS_E_ARG,
                "pre_processor_map: model q takes 2 tensors (in_0, in_1), and 1 are named",
                "name each, in this order");
    stubs[1].takes = 1;
    stubs[1].gives = 0;
    CHECK_SETUP(d, HORUS_E_ARG, "inference_map: model q gives 0 tensors (), and 1 are named", "");
    stubs[1].gives = 4;
    CHECK_SETUP(d, HORUS_E_ARG, "gives 4 tensors (out_0, out_1, out_2, out_3), and 1 are named",
                "");
    stubs[1].gives = 1;
    stubs[1].io_result = HORUS_E_TYPE;
    CHECK_SETUP(d, HORUS_E_TYPE, "pre_processor_map: model q, tensor x (in_0): made of text",
                "inference_map: model q, tensor qx (out_0): made of text");
    stubs[1].io_result = HORUS_OK;
    stubs[1].in[0].ndim = 9;
    CHECK_SETUP(d, HORUS_E_TYPE, "model q, tensor x (in_0): dtype 0, 9 dimensions", "");
    stubs[1].in[0].ndim = -2;
    CHECK_SETUP(d, HORUS_E_TYPE, "dtype 0, -2 dimensions", "");
    stubs[1].in[0].ndim = 1;
    stubs[1].in[0].dtype = 13;
    CHECK_SETUP(d, HORUS_E_TYPE, "dtype 13, 1 dimensions", "");
    stubs[1].in[0].dtype = -2;
    CHECK_SETUP(d, HORUS_E_TYPE, "dtype -2", "");
    stubs[1].in[0].dtype = HORUS_F32;
    CHECK_SETUP(d, HORUS_OK, "", "");
    CHECK_EQ(stubs[0].loads, stubs[0].unloads); /* those that were loaded are let go */
    CHECK_EQ(stubs[1].loads, stubs[1].unloads);
    CHECK(stubs[0].loads >= 10);
    d.backend_map = NULL;
    CHECK_SETUP(d, HORUS_E_ARG, "neither backend nor backend_map", "");
    CHECK_EQ(held(), 0);
    horus_context_close(home);
}
/* All back ends' problems are told at once, models and all. */
TEST(set_up_tells_the_problems_of_all_models)
{
    stub_begin();
    horus_infer_desc d = stub_desc(3);
    char report[2000];
    stubs[0].load_result = stubs[2].load_result = HORUS_E_CORRUPT;
    stubs[1].takes = 3;
    home = join(16 * MiB);
    d.pool = pool_of(home);
    horus_infer *op;
    CHECK_RESULT(horus_infer_open(&op, &d, report, sizeof report), HORUS_E_CORRUPT);
    CHECK_TEXT(horus_last_error(), "infer_setup: model_path_map: model p: ");
    CHECK_TEXT(horus_last_error(), "(and 2 more)");
    CHECK_TEXT(report, "model q takes 3 tensors");
    CHECK_TEXT(report, "model r: \"");
    horus_context_close(home);
}
static void note_load(void *user, const char *model, const char *text)
{
    (void)snprintf((char *)user + strlen(user), 200, "%s:%s;", model, strrchr(text, '/') + 1);
}
TEST(the_back_end_is_told_how_and_we_are_told_what_it_loads)
{
    stub_begin();
    stubs[0].how.desc = NULL;
    char said[1000] = "";
    horus_infer_desc d = stub_desc(2);
    d.trt_opt_profile = LISTS({"q", NAMES("1", "2", "3")});
    d.threads = 3;
    d.enable_fp16 = true;
    d.on_load = note_load;
    d.user = said;
    horus_infer *op = open_op(&d);
    CHECK_TEXT(said, "p:any.model;q:any.model;");
    CHECK_TEXT(stubs[0].how.model, "p");
    CHECK_TEXT(stubs[1].how.path, "any.model");
    CHECK(stubs[0].how.profile == NULL && strcmp(stubs[1].how.profile[2], "3") == 0);
    CHECK_EQ(stubs[0].how.device, -1);
    CHECK_EQ(stubs[0].how.dla_core, -1);
    CHECK_EQ(stubs[0].how.inputs, 1);
    CHECK_EQ(stubs[0].how.outputs, 1);
    CHECK_EQ(stubs[0].how.desc->threads, 3);
    CHECK(stubs[0].how.desc->enable_fp16);
    horus_infer_io io;
    CHECK_OK(horus_infer_get_io(op, 1, true, 0, &io));
    CHECK_TEXT(io.tensor, "qx");
    CHECK_TEXT(io.name, "out_0");
    CHECK_EQ(io.shape[0], 4);
    CHECK_OK(horus_infer_get_io(op, 0, false, 0, &io));
    CHECK_TEXT(io.tensor, "x");
    CHECK_RESULT(horus_infer_get_io(op, 0, false, 1, &io), HORUS_E_NOT_FOUND);
    CHECK_ZERO(io);
    CHECK_RESULT(horus_infer_get_io(op, 0, true, 1, &io), HORUS_E_NOT_FOUND);
    CHECK_RESULT(horus_infer_get_io(op, 2, false, 0, &io), HORUS_E_NOT_FOUND);
    CHECK_RESULT(horus_infer_get_io(NULL, 0, false, 0, &io), HORUS_E_ARG);
    CHECK_RESULT(horus_infer_get_io(op, 0, false, 0, NULL), HORUS_E_ARG);
    leave(op);
}
static horus_result endless_io(void *model, bool output, uint32_t number, horus_infer_io *out,
                               char *why, size_t room)
{
    (void)number, (void)output, (void)why, (void)room;
    *out = ((stub *)model)->in[0];
    return HORUS_OK;
}
TEST(a_back_end_that_never_says_how_many_tensors_a_model_has_is_refused)
{
    horus_infer *op;
    stub_begin();
    horus_infer_backend endless = stub_backend;
    endless.name = "endless";
    endless.io_info = endless_io;
    CHECK_OK(horus_infer_register(&endless));
    horus_infer_desc d = stub_desc(1);
    d.backend = "endless";
    (void)alarm(20); /* what goes on for ever ends here */
    CHECK_RESULT(horus_infer_open(&op, &d, NULL, 0), HORUS_E_ARG);
    CHECK_TEXT(horus_last_error(), "65535 tensors");
    (void)alarm(0);
}
static const horus_infer_backend extra[20];
TEST(back_ends_are_registered_once_each_and_sixteen_at_most)
{
    static char names[20][8];
    static horus_infer_backend some[20];
    horus_infer_backend b = stub_backend;
    CHECK_RESULT(horus_infer_register(NULL), HORUS_E_ARG);
    CHECK_RESULT(horus_infer_register(&extra[0]), HORUS_E_ARG);
    b.name = "";
    CHECK_RESULT(horus_infer_register(&b), HORUS_E_ARG);
    b.name = "a_name_of_thirty_two_characters_";
    CHECK_RESULT(horus_infer_register(&b), HORUS_E_ARG);
    b.name = "b";
    b.load = NULL;
    CHECK_RESULT(horus_infer_register(&b), HORUS_E_ARG);
    b.load = stub_load;
    b.io_info = NULL;
    CHECK_RESULT(horus_infer_register(&b), HORUS_E_ARG);
    b.io_info = stub_io;
    b.run = NULL;
    CHECK_RESULT(horus_infer_register(&b), HORUS_E_ARG);
    b.run = stub_run;
    b.unload = NULL;
    CHECK_RESULT(horus_infer_register(&b), HORUS_E_ARG);
    CHECK_OK(horus_infer_register(&stub_backend));
    CHECK_RESULT(horus_infer_register(&stub_backend), HORUS_E_ARG);
    CHECK_TEXT(horus_last_error(), "there is a back end stub");
    for (int i = 0; i < 2; i++) { /* one's own stands in for these, once each */
        some[i] = stub_backend;
        some[i].name = (const char *[]){"onnxrt", "trt"}[i];
        CHECK_OK(horus_infer_register(&some[i]));
        CHECK(horusi_backend_of(some[i].name) == &some[i]);
        CHECK_RESULT(horus_infer_register(&some[i]), HORUS_E_ARG);
    }
    horus_infer_desc e = stub_desc(1);
    e.backend = "onnx";
    CHECK_REPORT(e, 1,
                 "did you mean \"onnxrt\"? There are stub, onnxrt, trt, openvino, identity, add\n",
                 "");
    for (int i = 2; i < 16; i++) {
        some[i] = stub_backend;
        (void)snprintf(names[i], sizeof names[i], "b%d", i);
        some[i].name = i == 2 ? "torch" : names[i];
        CHECK_RESULT(horus_infer_register(&some[i]), i < 15 ? HORUS_OK : HORUS_E_LIMIT);
    }
    CHECK_RESULT(horus_infer_register(&stub_backend), HORUS_E_ARG); /* the first of them */
    horus_infer_desc d = stub_desc(1); /* torch is there now, and a list of all is cut */
    d.backend = "torch";
    CHECK_OK(horus_infer_check(&d, NULL, 0));
}
static pthread_barrier_t both;
static void *register_it(void *b)
{
    (void)pthread_barrier_wait(&both);
    return horus_infer_register(b) == HORUS_OK ? b : NULL;
}
TEST(of_two_threads_that_register_a_name_one_does)
{
    horus_infer_backend here = stub_backend, there = stub_backend;
    const uint32_t before = horusi_registered_count;
    here.name = there.name = "both";
    REQUIRE(pthread_barrier_init(&both, NULL, 2) == 0);
    for (int i = 0; i < TEST_TIMES(2000); i++) {
        pthread_t thread;
        void *its;
        REQUIRE(pthread_create(&thread, NULL, register_it, &there) == 0);
        void *mine = register_it(&here);
        REQUIRE(pthread_join(thread, &its) == 0);
        if (!CHECK((mine != NULL) != (its != NULL)) ||
            !CHECK(horusi_registered_count == before + 1))
            break;
        horusi_registered_count = before;
    }
    (void)pthread_barrier_destroy(&both);
}
TEST(the_steps_come_in_their_order)
{
    stub_begin();
    horus_infer_desc d = stub_desc(2);
    horus_infer *op;
    horus_tensor t;
    horus_infer_io io;
    home = join(16 * MiB);
    d.pool = pool_of(home);
    CHECK_RESULT(horus_infer_create(NULL, &d, NULL, 0), HORUS_E_ARG);
    CHECK_RESULT(horus_infer_open(NULL, &d, NULL, 0), HORUS_E_ARG);
    op = (horus_infer *)(void *)&d;
    CHECK_RESULT(horus_infer_create(&op, NULL, NULL, 0), HORUS_E_ARG);
    CHECK(op == NULL);
    CHECK_RESULT(horus_infer_open(&op, NULL, NULL, 0), HORUS_E_ARG);
    CHECK_OK(horus_infer_create(&op, &d, NULL, 0));
    CHECK_EQ(stubs[0].loads, 0);
    t = floats(4, 1);
    CHECK_RESULT(horus_infer_set(op, "x", &t, 0), HORUS_E_CLOSED);
    CHECK_RESULT(horus_infer_extract(op), HORUS_E_CLOSED);
    CHECK_RESULT(horus_infer_execute(op), HORUS_E_CLOSED);
    CHECK_RESULT(horus_infer_transmit(op), HORUS_E_CLOSED);
    CHECK_RESULT(horus_infer_run(op), HORUS_E_CLOSED);
    CHECK_TEXT(horus_last_error(), "operator op is not set up: horus_infer_setup");
    CHECK_RESULT(horus_infer_warm_up(op), HORUS_E_CLOSED);
    CHECK_RESULT(horus_infer_get_io(op, 0, false, 0, &io), HORUS_E_CLOSED);
    CHECK_EQ(figures_of(op, 1).runs, 0);
    CHECK_TEXT(figures_of(op, 1).device, "CPU");
    stubs[1].load_result = HORUS_E_CORRUPT; /* what fails leaves it as it was */
    CHECK_RESULT(horus_infer_setup(op, NULL, 0), HORUS_E_CORRUPT);
    CHECK_RESULT(horus_infer_run(op), HORUS_E_CLOSED);
    CHECK_EQ(stubs[0].loads, 1);
    CHECK_EQ(stubs[0].unloads, 1);
    stubs[1].load_result = HORUS_OK;
    CHECK_OK(horus_infer_setup(op, NULL, 0));
    CHECK_RESULT(horus_infer_setup(op, NULL, 0), HORUS_E_BUSY);
    test_sleep_us(20000); /* threads of the second set-up wait as those of a first */
    CHECK_EQ(stubs[0].runs + stubs[1].runs, 0);
    CHECK_OK(horus_infer_set(op, "x", &t, 0));
    CHECK_OK(horus_infer_run(op));
    CHECK_EQ(stubs[0].runs + stubs[1].runs, 2);
    CHECK_OK(horus_tensor_release(&t));
    CHECK_RESULT(horus_infer_get(op, "py", &t, NULL), HORUS_E_NOT_FOUND);
    CHECK_TEXT(horus_last_error(), "no model gives \"py\": did you mean \"px\"?");
    CHECK_RESULT(horus_infer_get(NULL, "px", &t, NULL), HORUS_E_ARG);
    CHECK_RESULT(horus_infer_get(op, NULL, &t, NULL), HORUS_E_ARG);
    CHECK_RESULT(horus_infer_get(op, "px", NULL, NULL), HORUS_E_ARG);
    CHECK_RESULT(horus_infer_run(NULL), HORUS_E_ARG);
    CHECK_RESULT(horus_infer_setup(NULL, NULL, 0), HORUS_E_ARG);
    horus_infer_stats s[1];
    size_t n = 9;
    CHECK_OK(horus_infer_get_stats(op, s, 1, &n)); /* as many as there is room for */
    CHECK_EQ(n, 1);
    CHECK_OK(horus_infer_get_stats(op, NULL, 0, NULL));
    CHECK_RESULT(horus_infer_get_stats(op, NULL, 1, &n), HORUS_E_ARG);
    CHECK_RESULT(horus_infer_get_stats(NULL, s, 1, &n), HORUS_E_ARG);
    CHECK_EQ(n, 0);
    horus_infer_close(NULL);
    leave(op);
}
static horus_infer *inner;
static horus_result call_again(horus_infer_call *call)
{
    (void)call;
    CHECK_RESULT(horus_infer_run(inner), HORUS_E_BUSY);
    CHECK_TEXT(horus_last_error(), "operator op is in use by another thread");
    CHECK_RESULT(horus_infer_set(inner, "x", NULL, 0), HORUS_E_BUSY);
    CHECK_RESULT(horus_infer_setup(inner, NULL, 0), HORUS_E_BUSY);
    CHECK_RESULT(horus_infer_warm_up(inner), HORUS_E_BUSY);
    CHECK_RESULT(horus_infer_transmit(inner), HORUS_E_BUSY);
    horus_tensor t; /* these may */
    CHECK_RESULT(horus_infer_get(inner, "px", &t, NULL), HORUS_EMPTY);
    CHECK_OK(horus_infer_set_active(inner, "p", true));
    return HORUS_OK;
}
TEST(one_thread_at_a_time_runs_an_operator)
{
    stub_begin();
    horus_infer_desc d = stub_desc(1);
    inner = open_op(&d);
    stubs[0].during = call_again;
    set_floats(inner, "x", 1);
    CHECK_OK(horus_infer_run(inner));
    CHECK_EQ(stubs[0].runs, 1);
    leave(inner);
}
TEST(a_child_of_fork_neither_runs_nor_closes_its_parents_operator)
{
    stub_begin();
    horus_infer_desc d = stub_desc(2);
    d.parallel_inference = HORUS_YES;
    horus_infer *op = open_op(&d);
    set_floats(op, "x", 1);
    CHECK_OK(horus_infer_run(op));
    horusi_lock(&op->lock); /* as another thread may have at that moment */
    pid_t pid = fork();
    if (pid == 0) {
        horus_tensor t;
        horus_infer_io io;
        CHECK_RESULT(horus_infer_run(op), HORUS_E_DETACHED);
        CHECK_RESULT(horus_infer_get(op, "px", &t, NULL), HORUS_E_DETACHED);
        CHECK_RESULT(horus_infer_get_io(op, 0, false, 0, &io), HORUS_E_DETACHED);
        horus_infer_close(op);
        CHECK_EQ(stubs[0].unloads, 0); /* it is the parent's, whose threads may be in it */
        test_leave(0);
    }
    horusi_unlock(&op->lock);
    CHECK_JOIN(pid);
    set_floats(op, "x", 2);
    CHECK_OK(horus_infer_run(op));
    CHECK(result_of(op, "qx", NULL) == 2);
    leave(op);
}

/* ---- exit() */

static bool says_that_it_exits;
static void before_it_is_gone(void)
{
    if (says_that_it_exits) {
        test_raise(1);
        test_await(2);
    }
}
static horus_result exits_once_the_other_is_in(horus_infer_call *call)
{
    (void)call;
    test_await(0);
    folder[0] = 0; /* it is the parent's */
    exit(3);
}
static horus_result reads_until_it_is_told(horus_infer_call *call)
{
    const volatile float *x = call->inputs[0].data;
    int64_t n = call->inputs[0].shape[0];
    bool changed = false;
    test_raise(0);
    for (int i = 0; i < 20000 && !atomic_load(&board->flag[2]); i++) {
        for (int64_t k = 0; k < n; k++)
            changed |= x[k] != (k == 0 ? 7.f : 0.f);
        test_sleep_us(500);
    }
    if (changed)
        test_raise(3);
    return HORUS_E_SYSTEM;
}
static void exits_beside_a_model(void *arg)
{
    (void)arg;
    stub_begin();
    home = join(0);
    horus_infer_desc d = stub_desc(2);
    d.parallel_inference = HORUS_YES;
    stubs[0].in[0] = stubs[0].out[0] = stubs[1].in[0] = stubs[1].out[0] = IO(HORUS_F32, 1, -1);
    stubs[0].during = exits_once_the_other_is_in;
    stubs[1].during = reads_until_it_is_told; /* its thread has used nothing of the context's yet */
    horus_infer *op = open_op(&d);
    horus_tensor t = floats(512, 7);
    says_that_it_exits = true;
    CHECK_OK(horus_infer_set(op, "x", &t, 0));
    CHECK_OK(horus_tensor_release(&t));
    (void)horus_infer_execute(op);
}
TEST(what_models_still_read_while_another_one_exits_is_nobody_elses)
{
    enum { MOST = 4096 };
    static horus_tensor m[MOST];
    (void)atexit(before_it_is_gone); /* before the library's own, and so it runs after that */
    horus_context *c = join(4 * MiB);
    size_t n = 0;
    int64_t shape = 512;
    (void)any_file(); /* so that the folder is ours */
    pid_t child = test_fork(exits_beside_a_model, NULL);
    test_await(1);
    while (n < MOST && horus_tensor_alloc(&m[n], c->pool, HORUS_F32, 1, &shape, 0) == HORUS_OK)
        memset(m[n++].data, 0x3f, 2048);
    CHECK(n > 500 && n < MOST); /* all that there is */
    test_sleep_us(20000);
    test_raise(2);
    CHECK_EQ(WEXITSTATUS(test_wait(child)), 3);
    CHECK_EQ(atomic_load(&board->flag[3]), 0);
    for (size_t i = 0; i < n; i++)
        CHECK_OK(horus_tensor_release(&m[i]));
    horus_context_close(c);
}
static horus_infer *closed_at_exit;
static void closes_it(void)
{
    if (closed_at_exit) {
        horus_infer_close(closed_at_exit);
        test_sleep_us(250000); /* its threads would look at what was freed */
    }
}
static void exits_with_an_operator(void *arg)
{
    stub_begin();
    home = join(0);
    horus_infer_desc d = stub_desc(3);
    d.parallel_inference = HORUS_YES;
    d.budget_ns = 1000 * (int64_t)ms;
    horus_infer *op = open_op(&d);
    if (arg) {
        set_floats(op, "x", 1);
        CHECK_OK(horus_infer_run(op));
    }
    closed_at_exit = op;
    folder[0] = 0; /* it is the parent's */
    exit(3);
}
TEST(an_operator_may_be_closed_after_the_librarys_own_end_at_exit)
{
    (void)atexit(closes_it); /* before the library's own, and so it runs after that */
    horus_context *c = join(4 * MiB);
    (void)any_file(); /* so that the folder is ours */
    for (int ran = 0; ran < 2; ran++)
        CHECK_EQ(test_wait(test_fork(exits_with_an_operator, ran ? &ran : NULL)), 3 << 8);
    horus_context_close(c);
}
TEST(two_operators_side_by_side_do_not_wait_for_each_other)
{
    stub_begin();
    horus_infer_desc d = stub_desc(1), e = stub_desc(1);
    horus_infer *one = open_op(&d);
    e.model_path_map = ENTRIES({"q", any_file()});
    e.pre_processor_map = LISTS({"q", NAMES("x")});
    e.inference_map = LISTS({"q", NAMES("qx")});
    horus_infer *two = open_op(&e);
    pthread_t thread;
    stubs[0].meet = stubs[1].meet = 2; /* each waits until both run */
    set_floats(one, "x", 1);
    set_floats(two, "x", 2);
    REQUIRE(pthread_create(&thread, NULL, (void *(*)(void *))(void (*)(void))horus_infer_run,
                           two) == 0);
    CHECK_OK(horus_infer_run(one));
    REQUIRE(pthread_join(thread, NULL) == 0);
    CHECK(result_of(one, "px", NULL) == 1 && result_of(two, "qx", NULL) == 2);
    CHECK_EQ(stub_most, 2);
    horus_infer_close(two);
    leave(one);
}
TEST(every_allocation_may_fail)
{
    stub_begin();
    horus_infer_desc d = stub_desc(3);
    home = join(16 * MiB);
    d.pool = pool_of(home);
    d.backend = NULL;
    d.backend_map = ENTRIES({"p", "stub"}, {"q", "identity"}, {"r", "add"});
    d.temporal_map = ENTRIES({"p", "2"});
    horus_topic *in = topic_of("in", NULL);
    d.inputs = INPUTS({.topic = in, .tensor = "x"});
    long before = heap_live, at = 0;
    for (bool failed = true; failed;) {
        horus_infer *op;
        atomic_store(&heap_calls, 0);
        atomic_store(&heap_fails_at, ++at);
        horus_result r = horus_infer_open(&op, &d, NULL, 0);
        atomic_store(&heap_fails_at, 0);
        failed = r != HORUS_OK;
        if (failed) {
            CHECK_RESULT(r, HORUS_E_MEMORY);
            CHECK_TEXT(horus_last_error(), "no memory for");
            CHECK(op == NULL);
        } else { /* set up, it needs none */
            long calls = heap_calls;
            for (int i = 0; i < 5; i++) {
                set_floats(op, "x", 1);
                CHECK_OK(horus_infer_run(op));
            }
            CHECK_EQ(heap_calls, calls);
        }
        horus_infer_close(op);
        CHECK_EQ(heap_live, before);
        CHECK_EQ(held(), 0);
    }
    CHECK(at > 20);
    horus_topic_close(in);
    horus_context_close(home);
}

/* What any thread may call, while frames run: ThreadSanitizer looks on. */
static void *look_on(void *arg)
{
    horus_infer *op = arg;
    uint64_t seen = 0;
    while (atomic_load(&board->flag[5]) == 0) {
        horus_tensor t;
        uint64_t age;
        horus_infer_stats s[3];
        horus_infer_io io;
        if (horus_infer_get(op, "qx", &t, &age) == HORUS_OK) {
            CHECK(((const float *)t.data)[0] >= (float)seen);
            seen = (uint64_t)((const float *)t.data)[0];
            CHECK_OK(horus_tensor_release(&t));
        }
        CHECK_OK(horus_infer_set_active(op, "r", seen & 1));
        CHECK_OK(horus_infer_get_stats(op, s, 3, NULL));
        CHECK(s[1].runs >= seen);
        CHECK_OK(horus_infer_get_io(op, 1, true, 0, &io));
        CHECK_OK(horus_infer_get_io(op, 0, false, 0, &io)); /* the first frame changes it */
        CHECK(io.shape[0] == -1 || io.shape[0] == 4);
    }
    return NULL;
}
TEST(others_look_on_while_it_runs)
{
    stub_begin();
    horus_infer_desc d = stub_desc(3);
    d.parallel_inference = HORUS_YES;
    d.budget_ns = 3600 * 1000 * (int64_t)ms;
    stubs[0].in[0] = IO(HORUS_F32, 1, -1);
    horus_infer *op = open_op(&d);
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, look_on, op) == 0);
    for (int i = 1; i <= TEST_TIMES(3000); i++) {
        set_floats(op, "x", (float)i);
        CHECK_OK(horus_infer_run(op));
        CHECK_RESULT(horus_infer_transmit(op), HORUS_OK);
    }
    atomic_store(&board->flag[5], 1);
    REQUIRE(pthread_join(thread, NULL) == 0);
    CHECK_EQ(figures_of(op, 1).runs, TEST_TIMES(3000));
    leave(op);
}

/* ---- odd cases */

TEST(odd_descriptions_are_told_too)
{
    static const horus_infer_list none[] = {{NULL, NULL}};
    static const horus_infer_entry no_entry[] = {{NULL, NULL}};
    static const char *const nothing[] = {NULL};
    char longer[80], other[80], path[120];
    memset(longer, 'n', sizeof longer);
    longer[79] = 0;
    memcpy(other, longer, sizeof other);
    horus_infer_desc d = good();
    d.pre_processor_map = NULL;
    d.in_tensor_names = NAMES("z");
    CHECK_REPORT(d, 5, "in_tensor_names: \"z\" is not in pre_processor_map: did you mean \"\"?",
                 "");
    d.pre_processor_map = none;
    CHECK_REPORT(d, 5, "pre_processor_map is empty", "");
    d.pre_processor_map = LISTS({"m1", NULL}, {"m2", NAMES("a", "z")});
    CHECK_REPORT(d, 1, "the list of model m1 is empty", "");
    d.pre_processor_map = LISTS({"m1", NULL}, {"m2", NAMES("a")});
    CHECK_REPORT(d, 2, "the list of model m1 is empty", "did you mean \"a\"?");
    d = good();
    d.inference_map = LISTS({"m1", NULL}, {"m2", NAMES("a")});
    CHECK_REPORT(d, 1, "the list of model m1 is empty", "");
    d.inference_map = LISTS({"m1", NULL}, {"m2", nothing});
    CHECK_REPORT(d, 2, "the list of model m1 is empty", "the list of model m2 is empty");
    d.inference_map = LISTS({"m1", nothing}, {"m2", NAMES("a", "a")});
    CHECK_REPORT(d, 2, "the list of model m1 is empty", "tensor \"a\" of model m2 is given by");
    d = good();
    d.temporal_map = ENTRIES({longer, "1"});
    CHECK_REPORT(d, 2, "temporal_map: key \"nnn", "is no model of model_path_map");
    d.temporal_map = NULL;
    d.model_path_map = ENTRIES({longer, any_file()}, {other, any_file()});
    CHECK_RESULT(horus_infer_check(&d, NULL, 0), HORUS_E_ARG);
    d = good();
    d.trt_opt_profile = LISTS({"m1", NULL});
    CHECK_REPORT(d, 1, "trt_opt_profile: model m1 has 0 shapes, not 3", "");
    d = good();
    d.backend = "";
    d.backend_map = ENTRIES({"m1", "add"}, {"m2", ""});
    CHECK_REPORT(d, 1, "backend_map: model m2 has no back end", "");
    d.backend_map = no_entry;
    CHECK_REPORT(d, 1, "neither backend nor backend_map is given", "");
    d = good();
    d.backend = "onnxrt";
    d.model_path_map = ENTRIES({"m1", NULL}, {"m2", any_file()});
    CHECK_REPORT(d, 2, "invalid file path for model m1", "\": files of back end onnxrt end with");
    REQUIRE(getcwd(path, sizeof path) && chdir(folder) == 0);
    FILE *f = fopen("m", "w");
    REQUIRE(f && fclose(f) == 0);
    d.model_path_map = ENTRIES({"m1", "m"}, {"m2", "m"});
    CHECK_REPORT(d, 2, "model_path_map: model m1: \"m\": files of", "");
    REQUIRE(chdir(path) == 0);
    static horus_infer_backend engines, many[8];
    static char names[8][32];
    engines = stub_backend;
    engines.name = "engines";
    engines.can = HORUS_INFER_ENGINE | HORUS_INFER_GPU | HORUS_INFER_DLA;
    engines.extensions = ".engine .plan";
    CHECK_OK(horus_infer_register(&engines));
    d.backend = "engines";
    d.is_engine_path = true;
    d.model_path_map =
        ENTRIES({"m1", file_of("m.engine", "", 0)}, {"m2", file_of("m.plan", "", 0)});
    CHECK_REPORT(d, 0, "", "");
    d.backend = "add";
    CHECK_REPORT(d, 2, "is_engine_path: model m1: back end add takes no engine files", "anything");
    for (int i = 0; i < 8; i++) {
        many[i] = engines;
        (void)snprintf(names[i], 32, "back_end_with_a_name_that_is_%d_", i);
        many[i].name = names[i];
        CHECK_OK(horus_infer_register(&many[i]));
    }
    d.backend = "nothing of it";
    CHECK_REPORT(d, 1, "backend: \"nothing of it\" is no back end", "There are engines");
}
TEST(long_lists_and_shapes_are_cut)
{
    stub_begin();
    horus_infer_desc d = stub_desc(1);
    stubs[0].gives = 4;
    for (int i = 0; i < 4; i++)
        memset(stubs[0].out[i].name, 'o', 63);
    CHECK_SETUP(d, HORUS_E_ARG, "model p gives 4 tensors (ooooo", "and 1 are named");
    stubs[0].gives = 1;
    const int64_t big = 1000000000000000;
    static const struct {
        int ndim;
        int64_t first;
        const char *text;
    } wants[] = {{8, 1000000000000000, "1000000000000000 x 10000000000000"},
                 {2, -1, "? x 1000000000000000 float32"},
                 {0, 0, "as float32, it is 4 float32"}};
    for (int i = 0; i < 3; i++) {
        stubs[0].in[0] =
            IO(HORUS_F32, wants[i].ndim, wants[i].first, big, big, big, big, big, big, big);
        horus_infer *op = open_op(&d);
        set_floats(op, "x", 1);
        CHECK_RESULT(horus_infer_run(op), HORUS_E_SIZE);
        CHECK_TEXT(horus_last_error(), wants[i].text);
        horus_infer_close(op);
    }
    horus_context_close(home);
}
static horus_result say_much(horus_infer_call *call)
{
    memset(call->why, 'w', sizeof call->why - 1);
    return HORUS_E_SYSTEM;
}
TEST(what_many_models_say_is_cut)
{
    stub_begin();
    horus_infer_desc d = stub_desc(3);
    d.parallel_inference = HORUS_YES;
    for (int i = 0; i < 3; i++)
        stubs[i].during = say_much;
    horus_infer *op = open_op(&d);
    set_floats(op, "x", 1);
    CHECK_RESULT(horus_infer_run(op), HORUS_E_SYSTEM);
    CHECK_TEXT(horus_last_error(), "operator op: model p: wwwww");
    CHECK_TEXT(horus_last_error(), "; model q: wwwww");
    CHECK_TEXT(horus_last_error(), "; model r: wwwww");
    stubs[1].during = stubs[2].during = NULL; /* one alone has room */
    set_floats(op, "x", 1);
    CHECK_RESULT(horus_infer_run(op), HORUS_E_SYSTEM);
    CHECK_EQ(strlen(horus_last_error()), strlen("operator op: model p: ") + 185);
    leave(op);
}
TEST(in_parallel_a_missing_tensor_fails_its_model_alone)
{
    stub_begin();
    stubs[1].takes = 2;
    stubs[1].in[1] = IO(HORUS_INFER_ANY, 1, 4);
    stubs[0].out[0] = IO(HORUS_INFER_ANY, 1, 4);
    horus_infer_desc d = stub_desc(2);
    d.parallel_inference = HORUS_YES;
    d.pre_processor_map = LISTS({"p", NAMES("x")}, {"q", NAMES("y", "x")});
    horus_infer *op = open_op(&d);
    CHECK_OK(horus_infer_warm_up(op));
    CHECK_EQ(stubs[1].runs, 0);
    set_floats(op, "x", 1);
    CHECK_RESULT(horus_infer_execute(op), HORUS_E_NOT_FOUND);
    CHECK_TEXT(horus_last_error(), "model q: tensor \"y\" is missing");
    CHECK(result_of(op, "px", NULL) == 1);
    set_floats(op, "y", 1);
    horus_tensor t = floats(4, 1);
    CHECK_OK(horus_infer_set(op, "x", &t, 5)); /* older than y */
    CHECK_OK(horus_tensor_release(&t));
    CHECK_OK(horus_infer_execute(op));
    CHECK_EQ(op->used_ns, 5);
    horus_tensor made;
    uint64_t time;
    CHECK_OK(horus_infer_get(op, "qx", &made, NULL)); /* of its two inputs the older */
    CHECK_OK(horus_frame_get_time(&made.frame, &time));
    CHECK_EQ(time, 5);
    CHECK_OK(horus_tensor_release(&made));
    t = floats(4, 1);
    CHECK_OK(horus_infer_set(op, "x", &t, 99));
    CHECK_OK(horus_tensor_release(&t));
    set_floats(op, "y", 1); /* 77: q's input is older than p's */
    CHECK_OK(horus_infer_execute(op));
    CHECK_EQ(op->used_ns, 77);
    uint64_t age = 5;
    horus_infer_close(op);
    op = open_op(&d);
    CHECK_RESULT(horus_infer_get(op, "px", &t, &age), HORUS_EMPTY);
    CHECK_EQ(age, 0);
    CHECK_OK(horusi_infer_tick(op, &(horus_tick){.count = 0})); /* nothing came: no failure */
    leave(op);
}
TEST(parallel_adapts_to_the_processors_unless_it_is_given)
{
    cpu_set_t one;
    stub_begin();
    horus_infer_desc d = stub_desc(2);
    REQUIRE(sched_getaffinity(0, sizeof one, &one) == 0);
    horus_infer *op = open_op(&d);
    CHECK_EQ(op->parallel, CPU_COUNT(&one) > 1);
    horus_infer_close(op);
    for (int i = 0, found = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &one) && found++)
            CPU_CLR(i, &one);
    REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
    op = open_op(&d);
    CHECK(!op->parallel);
    horus_infer_close(op);
    d.parallel_inference = HORUS_YES;
    op = open_op(&d);
    CHECK(op->parallel);
    leave(op);
}
TEST(floods_end)
{
    stub_begin();
    home = join(16 * MiB);
    horus_topic *in, *control, *three = topic_of("three", NULL);
    REQUIRE_OK(horus_topic_open(&in, "in", &(horus_topic_desc){.context = home, .capacity = 2048}));
    REQUIRE_OK(horus_topic_open(&control, "control",
                                &(horus_topic_desc){.context = home,
                                                    .capacity = 2048,
                                                    .type = &horus_infer_activation_type}));
    horus_infer_desc d = stub_desc(1);
    d.inputs = INPUTS({.topic = in}, {.topic = three, .tensor = "x"});
    d.activation = control;
    horus_infer *op = open_op(&d);
    horus_tensor t = floats(4, 1);
    horus_infer_activation a = {.model = "p", .active = 1};
    CHECK_OK(horus_frame_set_id(&t.frame, "lens"));
    for (int i = 0; i < 1100; i++) {
        CHECK_OK(horus_topic_send_tensor(in, &t, HORUS_NO_WAIT));
        CHECK_OK(horus_topic_send(control, &a, sizeof a, HORUS_NO_WAIT));
    }
    CHECK_OK(horus_tensor_release(&t));
    for (int i = 0; i < 2; i++) {
        horus_topic_stats s;
        CHECK_RESULT(horus_infer_run(op), HORUS_EMPTY);
        CHECK_OK(horus_topic_get_stats(in, &s));
        CHECK_EQ(s.pending, i ? 0 : 76);
        CHECK_OK(horus_topic_get_stats(control, &s));
        CHECK_EQ(s.pending, i ? 0 : 76);
    }
    CHECK_OK(horus_topic_send(in, "text", 4, 0)); /* the first topic fails: the second is let be */
    send_floats(three, NULL, 3);
    CHECK_RESULT(horus_infer_run(op), HORUS_E_TYPE);
    CHECK_OK(horus_infer_run(op));
    send_floats(three, NULL, 3); /* one waits; and another one is set by hand meanwhile */
    send_floats(three, NULL, 4);
    horus_infer_close(op);
    d.pre_processor_map = LISTS({"p", NAMES("x", "y")});
    stubs[0].takes = 2;
    stubs[0].in[1] = IO(HORUS_F32, 1, 4);
    op = open_op(&d);
    CHECK_RESULT(horus_infer_run(op), HORUS_E_NOT_FOUND); /* 3 is dropped, 4 waits */
    set_floats(op, "x", 5);
    set_floats(op, "y", 6);
    CHECK_OK(horus_infer_run(op));
    CHECK(result_of(op, "px", NULL) == 5);
    set_floats(op, "y", 6);
    CHECK_OK(horus_infer_run(op));
    CHECK(result_of(op, "px", NULL) == 4);
    horus_topic_close(in);
    horus_topic_close(control);
    horus_topic_close(three);
    leave(op);
}
TEST(a_back_end_that_cannot_abort_runs_on)
{
    horus_infer_desc d = good();
    d.budget_ns = 1;
    d.backend = NULL;
    d.backend_map = ENTRIES({"m1", "identity"}, {"m2", "add"});
    horus_infer *op = open_op(&d);
    for (int i = 0; i < 100; i++) {
        set_floats(op, "a", 1);
        set_floats(op, "c", 1);
        CHECK_OK(horus_infer_run(op));
    }
    CHECK_EQ(figures_of(op, 0).aborts, 0);
    leave(op);
}
TEST(several_models_over_their_budgets_are_aborted)
{
    stub_begin();
    horus_infer_desc d = stub_desc(3);
    d.budget_ns = 30 * (int64_t)ms;
    d.parallel_inference = HORUS_YES;
    horus_infer *op = open_op(&d);
    for (int i = 0; i < 3; i++)
        stubs[i].waits = true;
    for (int i = 0; i < 3; i++) {
        set_floats(op, "x", 1);
        CHECK_RESULT(horus_infer_run(op), HORUS_E_LIMIT);
    }
    for (unsigned i = 0; i < 3; i++) {
        CHECK_EQ(figures_of(op, i).aborts, 3);
        CHECK_EQ(stubs[i].takes_back, 3);
    }
    leave(op);
}
TEST(a_status_tells_of_what_never_came)
{
    stub_begin();
    home = join(16 * MiB);
    horus_topic *status = topic_of("status", NULL), *clocks = topic_of("c", &horus_clock_type);
    horus_infer_desc d = stub_desc(2);
    d.activation_map = ENTRIES({"q", "0"});
    d.status = status;
    horus_infer *op = open_op(&d);
    uint8_t message[2000];
    set_floats(op, "x", 1);
    CHECK_OK(horus_infer_run(op));
    CHECK_OK(horus_topic_receive(status, message, sizeof message, NULL, HORUS_NO_WAIT));
    const horus_infer_output *o = (const void *)(message + sizeof(horus_infer_status));
    CHECK(o[1].age_frames == UINT64_MAX && !o[1].active && o[1].run_ns == 0);
    CHECK(o[0].age_frames == 0 && o[0].active);
    horus_infer_close(op);
    d.activation_map = NULL; /* the first failure of several is told */
    d.output = d.status = clocks;
    op = open_op(&d);
    set_floats(op, "x", 1);
    CHECK_RESULT(horus_infer_run(op), HORUS_E_TYPE);
    horus_topic_close(status);
    horus_topic_close(clocks);
    leave(op);
}

/* ---- as a node */

TEST(warm_up_runs_each_model_once_on_zeros_and_counts_nothing)
{
    stub_begin();
    horus_infer_desc d = stub_desc(3);
    stubs[1].in[0] = IO(HORUS_F32, 2, -1, 4);
    stubs[2].in[0] = IO(HORUS_F32, HORUS_INFER_ANY);
    d.budget_ns = 1; /* which does not matter here */
    stubs[0].sleep_us = 5000;
    horus_infer *op = open_op(&d);
    CHECK_OK(horus_infer_warm_up(op));
    CHECK_EQ(stubs[0].runs, 1);
    CHECK_EQ(stubs[0].aborts, 0);
    CHECK_EQ(stubs[1].runs, 1);
    CHECK_EQ(stubs[1].shape[0], 1);
    CHECK_EQ(stubs[2].runs, 0); /* nobody knows what it takes */
    CHECK_EQ(figures_of(op, 0).frames, 0);
    CHECK_EQ(figures_of(op, 0).runs, 0);
    horus_tensor t;
    CHECK_RESULT(horus_infer_get(op, "px", &t, NULL), HORUS_EMPTY);
    CHECK_EQ(held(), 0);
    stubs[1].run_result = HORUS_E_SYSTEM; /* with open dimensions it may not like a 1 */
    CHECK_OK(horus_infer_warm_up(op));
    stubs[0].run_result = HORUS_E_SYSTEM;
    CHECK_RESULT(horus_infer_warm_up(op), HORUS_E_SYSTEM);
    CHECK_TEXT(horus_last_error(), "operator op: model p: it is out of ideas");
    CHECK_EQ(figures_of(op, 0).failures, 0);
    CHECK_EQ(held(), 0);
    leave(op);
}
static horus_scheduler *ours;
static horus_result stop_after_three(horus_infer_call *call)
{
    ((float *)call->outputs[0].data)[0] = ((const float *)call->inputs[0].data)[0];
    if (stubs[0].runs == 3)
        horus_scheduler_stop(ours);
    return HORUS_OK;
}
TEST(a_scheduler_runs_it_and_knows_the_age_of_its_inputs)
{
    stub_begin();
    stubs[0].during = stop_after_three;
    stubs[0].sleep_us = 500;
    home = join(16 * MiB);
    horus_topic *in = topic_of("in", NULL), *out = topic_of("out", NULL);
    horus_infer_desc d = stub_desc(1);
    d.inputs = INPUTS({.topic = in, .tensor = "x"});
    d.output = out;
    horus_infer *op = open_op(&d);
    horus_scheduler *s;
    horus_node_desc n;
    CHECK_RESULT(horus_infer_node(op, NULL), HORUS_E_ARG);
    CHECK_RESULT(horus_infer_node(NULL, &n), HORUS_E_ARG);
    CHECK_ZERO(n);
    CHECK_OK(horus_infer_node(op, &n));
    CHECK(n.compute && n.user == op && strcmp(n.name, "op") == 0);
    n.rate_hz = 200;
    REQUIRE_OK(horus_scheduler_open(&s, &(horus_scheduler_desc){.context = home, .name = "s"}));
    CHECK_OK(horus_scheduler_add(s, &n));
    for (int i = 1; i <= 3; i++)
        send_floats(in, NULL, (float)i);
    ours = s;
    CHECK_OK(horus_scheduler_run(s, HORUS_FOREVER));
    char id[HORUS_FRAME_ID_BYTES];
    for (int i = 1; i <= 3; i++)
        CHECK(next_of(out, id) == (float)i);
    CHECK_EQ(stubs[0].runs, 4); /* the first was init's */
    horus_scheduler_stats all;
    horus_node_stats node[3];
    size_t count;
    CHECK_OK(horus_scheduler_get_stats(s, &all, node, 3, &count));
    CHECK_EQ(count, 2); /* the node, and its model: the first run was no frame's */
    CHECK_EQ(node[0].spread[HORUS_SPREAD_AGE].count, 3);
    CHECK_EQ(node[0].failures, 0);
    CHECK_TEXT(node[1].name, "op/p");
    CHECK_EQ(node[1].ticks, 3);
    CHECK_EQ(node[1].failures, 0);
    CHECK_EQ(node[1].spread[HORUS_SPREAD_RUN].count, 3);
    CHECK(node[1].spread[HORUS_SPREAD_RUN].p50_ns >= 450000);
    CHECK_EQ(node[1].spread[HORUS_SPREAD_RUN].max_ns, figures_of(op, 0).run.max_ns);
    stubs[0].run_result = HORUS_E_SYSTEM;
    stubs[0].during = NULL;
    send_floats(in, NULL, 4);
    CHECK_RESULT(horusi_infer_tick(op, &(horus_tick){.scheduler = s}), HORUS_E_SYSTEM);
    CHECK_OK(horus_scheduler_close(s));
    CHECK_OK(horus_scheduler_read(home, "s", &all, node, 3, &count));
    CHECK_EQ(node[1].ticks, 4);
    CHECK_EQ(node[1].failures, 1);
    CHECK_EQ(node[1].spread[HORUS_SPREAD_RUN].count, 3);
    horus_topic_close(in);
    horus_topic_close(out);
    leave(op);
}
static horus_result stays_in_its_sixth_frame(horus_infer_call *call)
{
    static int calls;
    (void)call;
    if (++calls == 7) { /* the first was init's */
        test_raise(0);
        test_stay();
    }
    return HORUS_OK;
}
static horus_result fails_but_at_first(horus_infer_call *call)
{
    static int calls;
    (void)snprintf(call->why, sizeof call->why, "it is out of ideas");
    return ++calls == 1 ? HORUS_OK : HORUS_E_SYSTEM;
}
static void runs_until_it_is_killed(void *arg)
{
    (void)arg;
    stub_begin();
    home = join(0);
    horus_infer_desc d = stub_desc(3);
    d.parallel_inference = HORUS_NO;
    d.temporal_map = ENTRIES({"q", "3"});
    stubs[0].sleep_us = 2000;
    stubs[0].during = stays_in_its_sixth_frame;
    stubs[2].during = fails_but_at_first;
    horus_topic *in = topic_of("in", NULL);
    d.inputs = INPUTS({.topic = in, .tensor = "x"});
    horus_infer *op = open_op(&d);
    horus_scheduler *s;
    horus_node_desc n;
    CHECK_OK(horus_infer_node(op, &n));
    n.rate_hz = 500;
    n.on_failure = HORUS_FAILURE_IGNORE;
    REQUIRE_OK(horus_scheduler_open(&s, &(horus_scheduler_desc){.context = home, .name = "s"}));
    CHECK_OK(horus_scheduler_add(s, &n));
    for (int i = 1; i <= 6; i++)
        send_floats(in, NULL, (float)i);
    (void)horus_scheduler_run(s, HORUS_FOREVER);
}
TEST(what_models_took_is_read_by_others_while_one_runs_and_after_a_kill)
{
    horus_context *c = join(8 * MiB);
    horus_scheduler_stats all;
    horus_node_stats n[5];
    size_t count;
    (void)any_file(); /* so that the folder is ours */
    pid_t pid = test_fork(runs_until_it_is_killed, NULL);
    test_await(0); /* in a run */
    for (int i = 0; i < 4; i++) {
        uint32_t rows;
        REQUIRE_OK(horus_scheduler_read(c, "s", &all, n, 5, &count));
        CHECK_EQ(count, 4);
        CHECK(all.running && all.pid == pid);
        CHECK_TEXT(n[0].name, "op");
        const char *const names[] = {"op/p", "op/q", "op/r"};
        const uint64_t ticks[] = {5, 2, 5}, failures[] = {0, 0, 5};
        for (int k = 0; k < 3; k++) {
            const horus_spread *run = &n[k + 1].spread[HORUS_SPREAD_RUN];
            CHECK(strcmp(n[k + 1].name, names[k]) == 0);
            CHECK_EQ(n[k + 1].ticks, ticks[k]);
            CHECK_EQ(n[k + 1].failures, failures[k]);
            CHECK_EQ(run->count, ticks[k] - failures[k]);
            CHECK(run->max_ns >= run->p99_ns && run->p99_ns >= run->p50_ns);
            CHECK(k != 0 || (run->p50_ns > 1900000 && run->mean_ns > 1900000));
        }
        if (i == 0)
            test_kill(pid);
        else
            CHECK_OK(horus_context_sweep(c, &rows)); /* the figures outlive that */
    }
    check_balanced(pool_of(c));
    horus_context_close(c);
}
/* ---- ONNX Runtime, or what looks like it */

/* A static program loads no libraries, and an emulated one none that the compiler at hand makes. */
static bool has_loader(void)
{
    void *libm = dlopen("libm.so.6", RTLD_NOW);
    if (libm)
        (void)dlclose(libm);
    return libm != NULL;
}
#define NEEDS_A_LOADER                                                                             \
    if (!has_loader())                                                                             \
    SKIP("a library that looks like ONNX Runtime: this program cannot load any")
/* A folder's file is put together by the compiler at hand. */
static fake *fake_begin(const char **path)
{
    static char library[120];
    char command[500];
    const char *here = __FILE__, *slash = strrchr(here, '/');
    (void)snprintf(library, sizeof library, "%s", file_of("libfake.so", "", 0));
    (void)snprintf(command, sizeof command, "gcc -shared -fPIC -O1 %.*s/fake_ort.c -o %s",
                   slash ? (int)(slash - here) : 1, slash ? here : ".", library);
    REQUIRE(system(command) == 0);
    void *it = dlopen(library, RTLD_NOW);
    REQUIRE(it);
    *path = library;
    return dlsym(it, "fake_state");
}
static horus_infer_desc onnx_desc(const char *library)
{
    static horus_infer_entry paths[2];
    static const char *const in[] = {"x", "y", NULL}, *const out[] = {"z", NULL};
    static const horus_infer_list takes[] = {{"m", in}, {NULL, NULL}},
                                  gives[] = {{"m", out}, {NULL, NULL}};
    paths[0] = (horus_infer_entry){"m", file_of("m.onnx", "x", 1)};
    if (!home)
        home = join(16 * MiB);
    return (horus_infer_desc){.backend = "onnxrt",
                              .model_path_map = paths,
                              .pre_processor_map = takes,
                              .inference_map = gives,
                              .pool = pool_of(home),
                              .library = library,
                              .name = "op"};
}
TEST(a_library_that_is_not_there_or_another_is_told)
{
    const char *library;
    NEEDS_A_LOADER;
    fake *f = fake_begin(&library);
    horus_infer_desc d = onnx_desc("/none/libonnxruntime.so");
    CHECK_SETUP(
        d, HORUS_E_UNSUPPORTED,
        "backend: model m: back end onnxrt cannot be used here: its library cannot be loaded: "
        "/none/libonnxruntime.so",
        "ORT_DYLIB_PATH");
    d.library = NULL;
    REQUIRE(setenv("ORT_DYLIB_PATH", "/none/either.so", 1) == 0);
    CHECK_SETUP(d, HORUS_E_UNSUPPORTED, "its library cannot be loaded: /none/either.so", "");
    d.library = "libm.so.6";
    CHECK_SETUP(d, HORUS_E_UNSUPPORTED, "libm.so.6 is no ONNX Runtime", "");
    d.library = library;
    f->dead = 1;
    CHECK_SETUP(d, HORUS_E_UNSUPPORTED, "libfake.so is no ONNX Runtime", "");
    f->dead = 0;
    f->old = 1;
    CHECK_SETUP(d, HORUS_E_UNSUPPORTED, "libfake.so is an ONNX Runtime before 1.16", "");
    f->old = 0;
    static const int first[] = {3, 69, 78};
    for (int i = 0; i < 3; i++) {
        f->fails = first[i];
        CHECK_SETUP(d, HORUS_E_UNSUPPORTED, "onnxrt cannot be used here: the fake says no", "");
        CHECK_EQ(f->live, 0);
    }
    f->fails = 0;
    REQUIRE(setenv("ORT_DYLIB_PATH", library, 1) == 0);
    d.library = NULL;
    CHECK_SETUP(d, HORUS_OK, "", "");
    d.library = library;
    CHECK_SETUP(d, HORUS_OK, "", "");
    d.library = "/none.so";
    CHECK_SETUP(d, HORUS_E_UNSUPPORTED, "library is \"/none.so\", but this process has loaded \"",
                "libfake.so\"");
    horus_context_close(home);
}
TEST(without_a_path_the_loader_is_asked)
{
    NEEDS_A_LOADER;
    horus_infer_desc d = onnx_desc(NULL);
    char report[1000];
    horus_infer *op;
    for (int i = 0; i < 2; i++) {
        REQUIRE((i ? unsetenv("ORT_DYLIB_PATH") : setenv("ORT_DYLIB_PATH", "", 1)) == 0);
        horus_result r = horus_infer_open(&op, &d, report, sizeof report);
        if (r != HORUS_E_CORRUPT) { /* the model is none: that is for a runtime to say */
            CHECK_RESULT(r, HORUS_E_UNSUPPORTED);
            CHECK_TEXT(report, "it is not installed: libonnxruntime.so: ");
        }
    }
    horus_context_close(home);
}
static horus_result run_onnx(horus_infer *op)
{
    set_floats(op, "x", 1);
    set_floats(op, "y", 2);
    return horus_infer_run(op);
}
TEST(every_call_to_the_runtime_may_fail)
{
    const char *library;
    NEEDS_A_LOADER;
    fake *f = fake_begin(&library);
    horus_infer_desc d = onnx_desc(library);
    horus_infer *op = open_op(&d);
    CHECK_OK(run_onnx(op));
    CHECK(result_of(op, "z", NULL) == 3);
    CHECK_TEXT(figures_of(op, 0).device, "CPU");
    horus_infer_close(op);
    long live = f->live, heap = heap_live; /* the environment, and what describes memory */
    CHECK_EQ(live, 2);
    d.threads = 2;
    d.model_path_map = ENTRIES({"m", d.model_path_map->value}, {"n", d.model_path_map->value});
    d.pre_processor_map = LISTS({"m", NAMES("x", "y")}, {"n", NAMES("x", "y")});
    d.inference_map = LISTS({"m", NAMES("z")}, {"n", NAMES("zz")});
    d.parallel_inference = HORUS_NO;
    static const struct {
        int place, dynamic;
        horus_result want;
    } fails[] = {
        {10, 0, HORUS_E_UNSUPPORTED}, {24, 0, HORUS_E_UNSUPPORTED}, {130, 0, HORUS_E_UNSUPPORTED},
        {7, 0, HORUS_E_CORRUPT},      {39, 0, HORUS_E_UNSUPPORTED}, {30, 0, HORUS_E_CORRUPT},
        {31, 0, HORUS_E_CORRUPT},     {36, 0, HORUS_E_CORRUPT},     {37, 0, HORUS_E_CORRUPT},
        {33, 0, HORUS_E_CORRUPT},     {34, 0, HORUS_E_CORRUPT},     {55, 0, HORUS_E_CORRUPT},
        {60, 0, HORUS_E_CORRUPT},     {61, 0, HORUS_E_CORRUPT},     {62, 0, HORUS_E_CORRUPT},
        {49, 0, HORUS_E_SYSTEM},      {9, 0, HORUS_E_SYSTEM},       {65, 1, HORUS_E_SYSTEM},
        {51, 1, HORUS_E_SYSTEM},      {60, 2, HORUS_E_CORRUPT},     {76, 0, HORUS_OK}};
    for (size_t i = 0; i < sizeof fails / sizeof *fails; i++) {
        char report[2000];
        bool at_run = fails[i].want == HORUS_E_SYSTEM || fails[i].dynamic == 2;
        f->dynamic = fails[i].dynamic;
        f->fails = at_run ? 0 : fails[i].place;
        horus_result r = horus_infer_open(&op, &d, report, sizeof report);
        if (at_run) {
            REQUIRE_OK(r);
            f->fails = fails[i].place;
            r = run_onnx(op);
            CHECK_TEXT(horus_last_error(), "model m: the fake says no");
            f->fails = 0;
            CHECK_OK(run_onnx(op)); /* the next one is good */
        } else if (fails[i].want != HORUS_OK)
            CHECK_TEXT(report, "the fake says no");
        if (!CHECK_RESULT(r, fails[i].want))
            test_failed(__FILE__, __LINE__, "place %d: %s", fails[i].place, report);
        CHECK(f->calls[fails[i].place] > 0);
        horus_infer_close(op);
        CHECK_EQ(f->live, live);
        CHECK_EQ(heap_live, heap);
    }
    f->fails = f->dynamic = 0;
    f->keys[0] = 0;
    atomic_store(&heap_calls, 0);
    op = open_op(&d);
    CHECK_TEXT(f->keys, "session.intra_op.allow_spinning=0;"); /* of each of two models */
    CHECK_TEXT(f->keys, "threads=2;");
    horus_infer_close(op);
    long calls = heap_calls;
    for (long at = 1; at <= calls; at++) {
        atomic_store(&heap_calls, 0);
        atomic_store(&heap_fails_at, at);
        CHECK_RESULT(horus_infer_open(&op, &d, NULL, 0), HORUS_E_MEMORY);
        atomic_store(&heap_fails_at, 0);
        CHECK_EQ(f->live, live);
        CHECK_EQ(heap_live, heap);
    }
    CHECK_EQ(held(), 0);
    horus_context_close(home);
}
TEST(the_runtime_reads_and_writes_pool_memory)
{
    const char *library;
    NEEDS_A_LOADER;
    fake *f = fake_begin(&library);
    horus_infer_desc d = onnx_desc(library);
    for (int dynamic = 0; dynamic < 2; dynamic++) {
        f->dynamic = dynamic;
        horus_infer *op = open_op(&d);
        horus_tensor x = floats(4, 1), y = floats(4, 2), z;
        f->data_count = 0;
        CHECK_OK(horus_infer_set(op, "x", &x, 0));
        CHECK_OK(horus_infer_set(op, "y", &y, 0));
        CHECK_OK(horus_infer_run(op));
        CHECK_OK(horus_infer_get(op, "z", &z, NULL));
        CHECK(f->data[0] == x.data && f->data[1] == y.data);
        CHECK_EQ(f->data_count, dynamic ? 2 : 3); /* an open shape: the runtime's own, copied */
        CHECK(dynamic || f->data[2] == z.data);
        CHECK(((float *)z.data)[0] == 3);
        CHECK_OK(horus_tensor_release(&x));
        CHECK_OK(horus_tensor_release(&y));
        CHECK_OK(horus_tensor_release(&z));
        horus_infer_close(op);
    }
    f->dynamic = 0;
    f->element = 8; /* text */
    CHECK_SETUP(d, HORUS_E_TYPE,
                "pre_processor_map: model m, tensor x (left): its elements are of ONNX's "
                "type 8",
                "inference_map: model m, tensor z (sum)");
    f->element = 17;
    CHECK_SETUP(d, HORUS_E_TYPE, "type 17", "");
    f->element = 0;
    CHECK_SETUP(d, HORUS_E_TYPE, "type 0", "");
    f->element = 1;
    f->ndim = 9;
    CHECK_SETUP(d, HORUS_E_TYPE, "it has 9 dimensions, tensors have 8 at most", "");
    f->ndim = 1;
    f->sequence = 1;
    CHECK_SETUP(d, HORUS_E_TYPE, "it is a sequence, map or the like", "");
    f->sequence = 0;
    static const int8_t dtypes[] = {1, 11, 10, 16, 2, 4, 12, 13, 3, 5, 6, 7, 9}; /* ours in order */
    for (int i = 0; i < 13; i++) {
        horus_infer_io io;
        f->element = dtypes[i];
        horus_infer *op = open_op(&d);
        CHECK_OK(horus_infer_get_io(op, 0, false, 1, &io));
        CHECK_EQ(io.dtype, i);
        CHECK_TEXT(io.name, "right");
        CHECK_EQ(horusi_ort_element((uint32_t)i), dtypes[i]);
        horus_infer_close(op);
    }
    CHECK_EQ(f->live, 2);
    horus_context_close(home);
}
TEST(a_gpu_is_used_if_it_is_there_and_refused_if_not)
{
    const char *library;
    NEEDS_A_LOADER;
    fake *f = fake_begin(&library);
    horus_infer_desc d = onnx_desc(library);
    for (f->cuda = 0; f->cuda <= 3;
         f->cuda++) { /* not listed, no options, not to be added, there */
        horus_infer *op = open_op(&d);
        CHECK_TEXT(figures_of(op, 0).device, f->cuda == 3 ? "GPU 0" : "CPU");
        horus_infer_close(op);
        d.device_map = ENTRIES({"m", "2"});
        if (f->cuda < 3)
            CHECK_SETUP(d, HORUS_E_UNSUPPORTED, "model m: device_map: no GPU can be used: ",
                        f->cuda == 0   ? "CUDAExecutionProvider is not in ONNX Runtime 1.99"
                        : f->cuda == 1 ? "CUDAExecutionProvider is listed, but not there"
                                       : "the fake says no. Leave it out");
        else {
            f->keys[0] = 0;
            op = open_op(&d);
            CHECK_TEXT(figures_of(op, 0).device, "GPU 2");
            CHECK_TEXT(f->keys, "device_id=2;");
            horus_infer_close(op);
            d.infer_on_cpu = true;
            CHECK_SETUP(d, HORUS_E_UNSUPPORTED,
                        "device_map: model m: GPU 2: back end onnxrt runs on", "");
            d.device_map = NULL;
            op = open_op(&d);
            CHECK_TEXT(figures_of(op, 0).device, "CPU");
            horus_infer_close(op);
            d.infer_on_cpu = false;
        }
        d.device_map = NULL;
    }
    static const int places[] = {125, 126, 204, 205, 206};
    for (int i = 0; i < 5; i++) {
        f->cuda = 3;
        f->fails = places[i];
        horus_infer *op = open_op(&d);
        CHECK_TEXT(figures_of(op, 0).device, i == 1 ? "GPU 0" : "CPU");
        horus_infer_close(op);
    }
    f->fails = 0;
    CHECK_EQ(f->live, 2);
    horus_context_close(home);
}
TEST(trt_is_onnx_runtimes_provider)
{
    const char *library;
    NEEDS_A_LOADER;
    fake *f = fake_begin(&library);
    horus_infer_desc d = onnx_desc(library);
    char said[1000] = "";
    d.backend = "trt";
    for (f->trt = 0; f->trt < 3; f->trt++)
        CHECK_SETUP(
            d, HORUS_E_UNSUPPORTED,
            "model m: backend: trt needs a GPU and the provider of TensorRT: ", "\"onnxrt\" works");
    CHECK_EQ(f->trt, 3);
    d.input_on_cuda = d.output_on_cuda = HORUS_YES; /* it copies, to and from the host */
    d.enable_fp16 = true;
    d.device_map = ENTRIES({"m", "1"});
    d.dla_core_map = ENTRIES({"m", "0"});
    d.trt_opt_profile = LISTS({"m", NAMES("x:1", "x:2", "x:3")});
    d.on_load = note_load;
    d.user = said;
    horus_infer *op = open_op(&d);
    CHECK_TEXT(figures_of(op, 0).device, "GPU 1");
    CHECK_TEXT(f->keys, "device_id=1;trt_engine_cache_enable=1;trt_engine_cache_path=");
    CHECK_TEXT(
        f->keys,
        ".engines;trt_fp16_enable=1;trt_dla_enable=1;trt_dla_core=0;trt_profile_min_shapes=x:1;"
        "trt_profile_opt_shapes=x:2;trt_profile_max_shapes=x:3;");
    CHECK_TEXT(said, "m:m.onnx;m:");
    CHECK_OK(run_onnx(op));
    horus_infer_close(op);
    CHECK_EQ(f->live, 2);
    horus_context_close(home);
}
static void note_whole(void *user, const char *model, const char *text)
{
    (void)model;
    (void)snprintf((char *)user + strlen(user), 900, "%s;", text);
}
/* Engines are found again by what a model is made of: another one of its name gets others. */
TEST(engines_are_kept_beside_the_model_by_what_it_holds)
{
    const char *library;
    NEEDS_A_LOADER;
    fake *f = fake_begin(&library);
    horus_infer_desc d = onnx_desc(library);
    char said[4000], path[4][300], wants[100];
    static char longer[400];
    d.backend = "trt";
    d.on_load = note_whole;
    d.user = said;
    f->trt = 3;
    static const char *const content[] = {"one", "one", "two", "one"};
    for (int i = 0; i < 4; i++) {
        const char *file = file_of("m.onnx", content[i], strlen(content[i]));
        f->keys[0] = said[0] = 0;
        horus_infer *op = open_op(&d);
        horus_infer_close(op);
        const char *at = strstr(f->keys, "trt_engine_cache_path=");
        REQUIRE(at && sscanf(at, "trt_engine_cache_path=%299[^;]", path[i]) == 1);
        CHECK(strncmp(path[i], file, strlen(file)) == 0); /* beside it */
        CHECK_EQ(strlen(path[i]), strlen(file) + strlen(".0123456789abcdef.engines"));
        CHECK_EQ(horusi_file_error(path[i]), EISDIR);
        (void)snprintf(wants, sizeof wants, "an engine for GPU 0 is %s",
                       i == 0 || i == 2 ? "built (minutes), and kept in " : "taken from ");
        CHECK_TEXT(said, wants);
        CHECK(strstr(said, "m.onnx;") < strstr(said, "an engine")); /* before it begins */
    }
    CHECK(strcmp(path[0], path[1]) == 0 && strcmp(path[0], path[3]) == 0);
    CHECK(strcmp(path[0], path[2]) != 0);
    /* where no folder can be made it is built each time, and said */
    (void)snprintf(longer, sizeof longer, "%s/%0235d.onnx", folder, 7);
    FILE *file = fopen(longer, "wb");
    REQUIRE(file && fclose(file) == 0);
    const horus_infer_entry entry[] = {{"m", longer}, {NULL, NULL}};
    d.model_path_map = entry;
    for (int i = 0; i < 2; i++) {
        f->keys[0] = said[0] = 0;
        horus_infer *op = open_op(&d);
        horus_infer_close(op);
        CHECK_TEXT(f->keys, "trt_engine_cache_enable=0;trt_fp16_enable=0;");
        CHECK_TEXT(said, "is built (minutes), and cannot be kept: cannot make ");
    }
    char out[30];
    bool made;
    CHECK_RESULT(horusi_folder_of(longer, out, sizeof out, &made), HORUS_E_LIMIT);
    CHECK_RESULT(horusi_folder_of("/none/m.onnx", out, sizeof out, &made), HORUS_E_SYSTEM);
    CHECK_RESULT(horusi_folder_of(folder, out, sizeof out, &made), HORUS_E_SYSTEM); /* no file */
    horus_context_close(home);
}
/* An ONNX tensor's external_data, as protobuf has it. */
static size_t put_location(char *to, const char *name)
{
    size_t n = strlen(name), k = 0;
    memcpy(to,
           "\n\x08"
           "location\x12",
           11);
    to[11] = (char)(n < 128 ? n : n % 128 | 128);
    if (n >= 128)
        to[12 + k++] = (char)(n / 128);
    memcpy(to + 12 + k, name, n);
    return 12 + k + n;
}
static uint64_t folder_made_of(const char *path, horus_result want)
{
    char out[400];
    bool made;
    unsigned long long hash = 0;
    CHECK_RESULT(horusi_folder_of(path, out, sizeof out, &made), want);
    if (want == HORUS_OK) {
        CHECK(sscanf(out + strlen(path), ".%16llx.engines", &hash) == 1);
        (void)rmdir(out);
    }
    return hash;
}
/* Beside the model; no content: it is taken away. */
static void put_weights(const char *name, const char *content)
{
    char path[400];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = content ? fopen(path, "wb") : NULL;
    CHECK(content ? f && fputs(content, f) >= 0 && fclose(f) == 0 : remove(path) == 0);
}
TEST(engines_are_of_the_weights_too_that_lie_in_files_of_their_own)
{
    static char model[80000], longer[151];
    memset(longer, 'w', sizeof longer - 1);
    const char *const names[] = {"weights.bin", longer, "weights.bin", "none", "/dev/zero", "."};
    size_t n = 0;
    for (int i = 0; i < 6; i++) {
        n += (size_t)snprintf(model + n, 60, "\n\n\n\bloc\n\blocatio\nlocation\n\blocation%d", i);
        n += put_location(model + n, names[i]);
    }
    char path[120];
    (void)snprintf(path, sizeof path, "%s", file_of("m.onnx", model, n));
    uint64_t without = folder_made_of(path, HORUS_OK);
    put_weights("weights.bin", "1");
    put_weights(longer, "1");
    uint64_t first = folder_made_of(path, HORUS_OK);
    CHECK(first != without);
    CHECK_EQ(folder_made_of(path, HORUS_OK), first);
    put_weights("weights.bin", "2"); /* of the same size */
    CHECK(folder_made_of(path, HORUS_OK) != first);
    put_weights("weights.bin", "1");
    CHECK_EQ(folder_made_of(path, HORUS_OK), first);
    put_weights(longer, "2");
    CHECK(folder_made_of(path, HORUS_OK) != first);
    put_weights(longer, "1");
    put_weights("other.bin", "2"); /* it is not of the model */
    CHECK_EQ(folder_made_of(path, HORUS_OK), first);
    for (size_t bytes = 120; bytes < 256; bytes++) { /* a length is sevens of bits */
        char name[256];
        memset(name, 'n', bytes);
        name[bytes] = 0;
        n = put_location(model, name);
        (void)snprintf(path, sizeof path, "%s", file_of("m.onnx", model, n));
        first = folder_made_of(path, HORUS_OK);
        put_weights(name, "1");
        CHECK(folder_made_of(path, HORUS_OK) != first);
        put_weights(name, NULL);
    }
    for (size_t gap = 4060; gap < 4110; gap++) { /* however the reads part it */
        memset(model, 0, gap);
        n = gap + put_location(model + gap, gap % 2 ? "weights.bin" : "none");
        (void)snprintf(path, sizeof path, "%s", file_of("m.onnx", model, n));
        put_weights("weights.bin", "1");
        first = folder_made_of(path, HORUS_OK);
        put_weights("weights.bin", "2");
        CHECK_EQ(folder_made_of(path, HORUS_OK) != first, gap % 2);
    }
    for (size_t i = n = 0; i < 3000; i++) /* each is read once: else 12 GB */
        n += put_location(model + n, i % 2 ? "weights.bin" : "big.bin");
    (void)snprintf(path, sizeof path, "%s", file_of("m.onnx", model, n));
    char *big = calloc(1, 8 * MiB);
    REQUIRE(big);
    (void)file_of("big.bin", big, 8 * MiB);
    free(big);
    uint64_t begin = horus_now_ns();
    (void)folder_made_of(path, HORUS_OK);
    CHECK(horus_now_ns() - begin < 6000 * ms);
    for (size_t i = n = 0; i < 200; i++) { /* more than are remembered */
        char name[20];
        (void)snprintf(name, sizeof name, "part%zu.bin", i);
        n += put_location(model + n, name);
    }
    (void)snprintf(path, sizeof path, "%s", file_of("m.onnx", model, n));
    first = folder_made_of(path, HORUS_OK);
    put_weights("part199.bin", "1");
    CHECK(folder_made_of(path, HORUS_OK) != first);
    static const char *const none[] = {"", "\xff\x7f",
                                       "\xff\xff\xff\x01"}; /* no length of a name */
    for (int i = 0; i < 3; i++) {
        n = put_location(model, none[i]) - strlen(none[i]) - 1;
        memcpy(model + n, none[i], strlen(none[i]) + 1);
        n += strlen(none[i]) + (i == 0);
        n += put_location(model + n, "weights.bin");
        (void)snprintf(path, sizeof path, "%s", file_of("m.onnx", model, n));
        put_weights("weights.bin", "1");
        first = folder_made_of(path, HORUS_OK);
        put_weights("weights.bin", "2");
        CHECK(folder_made_of(path, HORUS_OK) != first);
    }
    char far[900], out[1000]; /* where a name is too long, none is looked for */
    bool made;
    n = (size_t)snprintf(far, sizeof far, "%s", folder);
    while (n < 700)
        n += (size_t)snprintf(far + n, sizeof far - n, "/.");
    (void)snprintf(far + n, sizeof far - n, "/m.onnx");
    memset(model, 'w', 511);
    model[511] = 0;
    n = put_location(model + 512, model);
    (void)file_of("m.onnx", model + 512, n);
    CHECK_OK(horusi_folder_of(far, out, sizeof out, &made));
    CHECK(made && rmdir(out) == 0);
    char loop[400]; /* one that cannot be looked at, before others */
    (void)snprintf(loop, sizeof loop, "%s/loop", folder);
    REQUIRE(symlink("loop", loop) == 0);
    n = put_location(model, "loop");
    n += put_location(model + n, "weights.bin");
    (void)folder_made_of(file_of("m.onnx", model, n), HORUS_E_PERMISSION);
    if (geteuid() != 0) {
        REQUIRE(chmod(file_of("big.bin", "1", 1), 0) == 0);
        (void)folder_made_of(path, HORUS_E_SYSTEM);
    }
}
TEST(an_output_of_an_open_shape_may_find_no_room)
{
    const char *library;
    static horus_frame all[3000];
    unsigned n = 0;
    NEEDS_A_LOADER;
    fake *f = fake_begin(&library);
    home = join(1 * MiB);
    horus_infer_desc d = onnx_desc(library);
    f->dynamic = 1;
    horus_infer *op = open_op(&d);
    set_floats(op, "x", 1);
    set_floats(op, "y", 1);
    for (uint64_t size = MiB; size > 0; size /= 2)
        while (n < 3000 && horus_frame_alloc(&all[n], pool_of(home), size, 0, NULL) == HORUS_OK)
            n++;
    REQUIRE(n < 3000);
    CHECK_RESULT(horus_infer_run(op), HORUS_E_POOL_FULL);
    CHECK_TEXT(horus_last_error(), "model m: output 0: ");
    while (n > 0)
        CHECK_OK(horus_frame_release(&all[--n]));
    CHECK_OK(run_onnx(op));
    leave(op);
}
TEST(the_runtime_is_told_to_end_a_run)
{
    const char *library;
    NEEDS_A_LOADER;
    fake *f = fake_begin(&library);
    horus_infer_desc d = onnx_desc(library);
    horus_infer *op = open_op(&d);
    const horus_infer_backend *b = horusi_backend_of("onnxrt");
    b->abort(op->models[0].loaded, true);
    CHECK_EQ(f->terminate, 1);
    b->abort(op->models[0].loaded, false);
    CHECK_EQ(f->terminate, 0);
    leave(op);
}

/* ---- ONNX Runtime itself, with models that are written here */

typedef struct onnx {
    uint8_t bytes[200000];
    size_t n;
} onnx;
static void put_number(onnx *o, uint64_t v)
{
    for (; v > 127; v >>= 7)
        o->bytes[o->n++] = (uint8_t)(v | 128);
    o->bytes[o->n++] = (uint8_t)v;
}
static void put_int(onnx *o, unsigned field, uint64_t v)
{
    put_number(o, field << 3);
    put_number(o, v);
}
static void put_bytes(onnx *o, unsigned field, const void *bytes, size_t n)
{
    put_number(o, field << 3 | 2);
    put_number(o, n);
    memcpy(o->bytes + o->n, bytes, n);
    o->n += n;
}
static void put_text(onnx *o, unsigned field, const char *text)
{
    put_bytes(o, field, text, strlen(text));
}
/* A tensor that the graph takes (11) or gives (12); a dimension of -1 is open. */
static void put_value(onnx *graph, unsigned field, const char *name, int element, int ndim,
                      const int64_t *shape)
{
    static onnx dim, dims, tensor, type, value;
    dims.n = tensor.n = type.n = value.n = 0;
    for (int i = 0; i < ndim; i++) {
        dim.n = 0;
        if (shape[i] < 0)
            put_text(&dim, 2, "N");
        else
            put_int(&dim, 1, (uint64_t)shape[i]);
        put_bytes(&dims, 1, dim.bytes, dim.n);
    }
    put_int(&tensor, 1, (uint64_t)element);
    put_bytes(&tensor, 2, dims.bytes, dims.n);
    put_bytes(&type, 1, tensor.bytes, tensor.n);
    put_text(&value, 1, name);
    put_bytes(&value, 2, type.bytes, type.n);
    put_bytes(graph, field, value.bytes, value.n);
}
static void put_node(onnx *graph, const char *op, const char *a, const char *b, const char *out)
{
    static onnx node;
    node.n = 0;
    put_text(&node, 1, a);
    if (b)
        put_text(&node, 1, b);
    put_text(&node, 2, out);
    put_text(&node, 4, op);
    put_bytes(graph, 1, node.bytes, node.n);
}
static size_t finish_onnx(onnx *graph, onnx *model)
{
    onnx set = {.n = 0};
    put_int(&set, 2, 13);
    put_text(graph, 2, "g");
    model->n = 0;
    put_int(model, 1, 8);
    put_bytes(model, 7, graph->bytes, graph->n);
    put_bytes(model, 8, set.bytes, set.n);
    return model->n;
}
static onnx graph, model;
/* One operation on x, or x and y, giving z. */
static const char *onnx_file(const char *name, const char *op, int takes, int element, int ndim,
                             const int64_t *shape, int out_element, int out_ndim,
                             const int64_t *out_shape)
{
    graph.n = 0;
    put_node(&graph, op, "x", takes > 1 ? "y" : NULL, "z");
    put_value(&graph, 11, "x", element, ndim, shape);
    if (takes > 1)
        put_value(&graph, 11, "y", element, ndim, shape);
    put_value(&graph, 12, "z", out_element, out_ndim, out_shape);
    return file_of(name, model.bytes, finish_onnx(&graph, &model));
}
static const int64_t four[] = {4}, open_[] = {-1};
static bool has_runtime(void)
{
    const char *path = getenv("ORT_DYLIB_PATH");
    return path && *path && !TEST_THREAD_SANITIZED && has_loader();
}
#define NEED_RUNTIME()                                                                             \
    do {                                                                                           \
        if (!has_runtime())                                                                        \
            SKIP("ONNX Runtime: ORT_DYLIB_PATH names none, this program loads no libraries, or "   \
                 "ThreadSanitizer does not know it");                                              \
    } while (0)

static const void *bound[8];
static int bound_count;
static void *note_bound(const void *memory, void *data, size_t bytes, const int64_t *shape,
                        size_t n, int element, void **out)
{
    typedef void *(*real)(const void *, void *, size_t, const int64_t *, size_t, int, void **);
    extern const horusi_symbol *real_ort;
    bound[bound_count++ % 8] = data;
    return ((real)real_ort[HORUSI_ORT_TENSOR])(memory, data, bytes, shape, n, element, out);
}
const horusi_symbol *real_ort;
TEST(onnxrt_adds_from_pool_memory_to_pool_memory)
{
    NEED_RUNTIME();
    horus_infer_desc d = onnx_desc(NULL);
    d.model_path_map = ENTRIES({"m", onnx_file("add.onnx", "Add", 2, 1, 1, four, 1, 1, four)});
    CHECK(model.n < 120);
    horus_infer *op = open_op(&d);
    horus_infer_io io;
    CHECK_OK(horus_infer_get_io(op, 0, true, 0, &io));
    CHECK_TEXT(io.name, "z");
    CHECK(io.dtype == HORUS_F32 && io.ndim == 1 && io.shape[0] == 4);
    CHECK_OK(horus_infer_warm_up(op));
    static horusi_symbol noting[256];
    memcpy(noting, horusi_ort.api, 220 * sizeof *noting); /* those that there are since 1.16 */
    noting[HORUSI_ORT_TENSOR] = (horusi_symbol)note_bound;
    real_ort = horusi_ort.api;
    horusi_ort.api = noting;
    for (int i = 0; i < 100; i++) {
        horus_tensor x = floats(4, (float)i), y = floats(4, 0.5f), z;
        bound_count = 0;
        CHECK_OK(horus_infer_set(op, "x", &x, 0));
        CHECK_OK(horus_infer_set(op, "y", &y, 0));
        CHECK_OK(horus_infer_run(op));
        CHECK_OK(horus_infer_get(op, "z", &z, NULL));
        CHECK(((float *)z.data)[0] == (float)i + 0.5f);
        CHECK(bound_count == 3 && bound[0] == x.data && bound[1] == y.data && bound[2] == z.data);
        CHECK_OK(horus_tensor_release(&x));
        CHECK_OK(horus_tensor_release(&y));
        CHECK_OK(horus_tensor_release(&z));
    }
    horusi_ort.api = real_ort;
    set_floats(op, "x", NAN);
    set_floats(op, "y", 1);
    CHECK_OK(horus_infer_run(op));
    CHECK(isnan(result_of(op, "z", NULL)));
    set_floats(op, "x", 1); /* y is missing; and then of another size */
    CHECK_RESULT(horus_infer_run(op), HORUS_E_NOT_FOUND);
    set_floats(op, "x", 1);
    horus_tensor t = floats(5, 1);
    CHECK_OK(horus_infer_set(op, "y", &t, 0));
    CHECK_RESULT(horus_infer_run(op), HORUS_E_SIZE);
    CHECK_TEXT(horus_last_error(), "model m takes \"y\" as 4 float32, it is 5 float32");
    CHECK_OK(horus_tensor_release(&t));
    leave(op);
}
TEST(onnxrt_switches_models_as_any_back_end)
{
    NEED_RUNTIME();
    for (int parallel = 0; parallel < 2; parallel++) {
        stub_begin();
        const char *same = onnx_file("same.onnx", "Identity", 1, 1, 1, four, 1, 1, four);
        const char *open_file = onnx_file("open.onnx", "Identity", 1, 1, 1, open_, 1, 1, open_);
        home = join(16 * MiB);
        horus_infer_desc d = stub_desc(3);
        horus_topic *out = topic_of("out", NULL);
        d.backend = "onnxrt";
        d.model_path_map = ENTRIES({"p", same}, {"q", open_file}, {"r", same});
        d.output = out;
        d.activation_map = ENTRIES({"r", "0"});
        d.parallel_inference = parallel ? HORUS_YES : HORUS_NO;
        d.threads = 1;
        horus_infer *op = open_op(&d);
        play_seven(op, out, NULL);
        horus_topic_close(out);
        leave(op);
    }
}
TEST(onnxrt_takes_all_dtypes_and_ranks_and_open_shapes)
{
    NEED_RUNTIME();
    static const int64_t shape[] = {1, 2, 1, 2, 1, 1, 1, 1, 1}, rows[] = {1, -1};
    static const int elements[] = {1, 10, 3, 2, 6, 7, 9};
    static const horus_dtype dtypes[] = {HORUS_F32, HORUS_F16, HORUS_I8,  HORUS_U8,
                                         HORUS_I32, HORUS_I64, HORUS_BOOL};
    horus_infer_desc d = onnx_desc(NULL);
    d.pre_processor_map = LISTS({"m", NAMES("x")});
    for (int i = 0; i < 7 + 8; i++) {
        int ndim = i < 7 ? 2 : i - 6, e = i < 7 ? i : 0;
        horus_tensor t, z;
        d.model_path_map = ENTRIES({"m", onnx_file("id.onnx", "Identity", 1, elements[e], ndim,
                                                   shape, elements[e], ndim, shape)});
        horus_infer *op = open_op(&d);
        CHECK_OK(horus_tensor_alloc(&t, pool_of(home), dtypes[e], (uint32_t)ndim, shape, 0));
        memset(t.data, 1, (size_t)(horus_tensor_numel(&t) * horus_dtype_bytes(dtypes[e])));
        CHECK_OK(horus_infer_set(op, "x", &t, 0));
        CHECK_OK(horus_infer_run(op));
        CHECK_OK(horus_infer_get(op, "z", &z, NULL));
        CHECK_EQ(z.ndim, ndim);
        CHECK_EQ(z.dtype, dtypes[e]);
        CHECK(memcmp(t.data, z.data,
                     (size_t)(horus_tensor_numel(&t) * horus_dtype_bytes(dtypes[e]))) == 0);
        CHECK_OK(horus_tensor_release(&t));
        CHECK_OK(horus_tensor_release(&z));
        horus_infer_close(op);
    }
    d.model_path_map =
        ENTRIES({"m", onnx_file("nine.onnx", "Identity", 1, 1, 9, shape, 1, 9, shape)});
    CHECK_SETUP(d, HORUS_E_TYPE, "it has 9 dimensions, tensors have 8 at most", "");
    d.model_path_map =
        ENTRIES({"m", onnx_file("text.onnx", "Identity", 1, 8, 1, four, 8, 1, four)});
    CHECK_SETUP(d, HORUS_E_TYPE, "its elements are of ONNX's type 8", "");
    /* how many there are is known afterwards */
    d.model_path_map =
        ENTRIES({"m", onnx_file("where.onnx", "NonZero", 1, 1, 1, four, 7, 2, rows)});
    horus_infer *op = open_op(&d);
    for (int i = 0; i < 3; i++) {
        horus_tensor t = floats(4, 1), z;
        ((float *)t.data)[0] = 0;
        for (int k = 0; k < i; k++)
            ((float *)t.data)[k] = 1;
        CHECK_OK(horus_infer_set(op, "x", &t, 0));
        CHECK_OK(horus_tensor_release(&t));
        CHECK_OK(horus_infer_run(op));
        CHECK_OK(horus_infer_get(op, "z", &z, NULL));
        CHECK(z.dtype == HORUS_I64 && z.shape[0] == 1 && z.shape[1] == i); /* even none */
        CHECK(i == 0 || ((int64_t *)z.data)[i - 1] == i - 1);
        CHECK_OK(horus_tensor_release(&z));
    }
    leave(op);
}
TEST(onnxrt_says_what_is_wrong_with_a_file)
{
    NEED_RUNTIME();
    if (TEST_SANITIZED)
        SKIP("wrong files: the runtime throws, and AddressSanitizer in a C program cannot follow");
    horus_infer_desc d = onnx_desc(NULL);
    const char *whole = onnx_file("add.onnx", "Add", 2, 1, 1, four, 1, 1, four);
    size_t n = model.n;
    d.model_path_map = ENTRIES({"m", "/none/m.onnx"});
    CHECK_SETUP(d, HORUS_E_ARG, "model_path_map: invalid file path for model m", "");
    d.model_path_map = ENTRIES({"m", file_of("empty.onnx", "", 0)});
    CHECK_SETUP(d, HORUS_E_CORRUPT, "model_path_map: model m: \"", "empty.onnx\" cannot be loaded");
    for (size_t cut = 1; cut < n; cut += 1 + n / 12) {
        d.model_path_map = ENTRIES({"m", file_of("cut.onnx", model.bytes, cut)});
        CHECK_SETUP(d, HORUS_E_CORRUPT, "cut.onnx\" cannot be loaded by onnxrt: ", "");
    }
    d.model_path_map = ENTRIES({"m", file_of("text.onnx", "This is no model at all.", 24)});
    CHECK_SETUP(d, HORUS_E_CORRUPT, "text.onnx\" cannot be loaded by onnxrt: ", "");
    d.model_path_map = ENTRIES({"m", onnx_file("what.onnx", "Conjure", 2, 1, 1, four, 1, 1, four)});
    CHECK_SETUP(d, HORUS_E_CORRUPT, "what.onnx\" cannot be loaded by onnxrt: ", "Conjure");
    d.model_path_map = ENTRIES({"m", file_of("m.pt", "x", 1)});
    CHECK_SETUP(d, HORUS_E_ARG, "m.pt\": files of back end onnxrt end with .onnx", "");
    d.model_path_map = ENTRIES({"m", whole});
    d.pre_processor_map = LISTS({"m", NAMES("x")});
    CHECK_SETUP(d, HORUS_E_ARG, "model m takes 2 tensors (x, y), and 1 are named", "");
    d.pre_processor_map = LISTS({"m", NAMES("x", "y")});
    d.inference_map = LISTS({"m", NAMES("z", "zz")});
    CHECK_SETUP(d, HORUS_E_ARG, "inference_map: model m gives 1 tensors (z), and 2 are named", "");
    d.inference_map = LISTS({"m", NAMES("z")});
    d.device_map = ENTRIES({"m", "0"});
    CHECK_SETUP(d, HORUS_E_UNSUPPORTED, "device_map: no GPU can be used: ", "Leave it out");
    d.device_map = NULL;
    d.backend = "trt";
    CHECK_SETUP(d, HORUS_E_UNSUPPORTED, "trt needs a GPU", "\"onnxrt\" works");
    CHECK_EQ(held(), 0);
    horus_context_close(home);
}
static void abort_by(const char *backend)
{
    enum { STEPS = 600 };
    static const int64_t square[] = {700, 700};
    char name[2][16];
    horus_infer_desc d = onnx_desc(NULL);
    d.backend = backend;
    graph.n = 0;
    for (int i = 0; i < STEPS; i++) { /* half a minute, if it is let be */
        (void)snprintf(name[i & 1], 16, i ? "t%d" : "x", i);
        (void)snprintf(name[!(i & 1)], 16, i + 1 < STEPS ? "t%d" : "z", i + 1);
        put_node(&graph, "MatMul", name[i & 1], "x", name[!(i & 1)]);
    }
    put_value(&graph, 11, "x", 1, 2, square);
    put_value(&graph, 12, "z", 1, 2, square);
    d.model_path_map =
        ENTRIES({"m", file_of("long.onnx", model.bytes, finish_onnx(&graph, &model))},
                {"n", onnx_file("same.onnx", "Identity", 1, 1, 2, square, 1, 2, square)});
    d.pre_processor_map = LISTS({"m", NAMES("x")}, {"n", NAMES("x")});
    d.inference_map = LISTS({"m", NAMES("z")}, {"n", NAMES("same")});
    d.parallel_inference = HORUS_YES;
    d.budget_ns = 300 * (int64_t)ms;
    d.threads = 1;
    horus_infer *op = open_op(&d);
    for (int i = 0; i < 2; i++) {
        horus_tensor t;
        CHECK_OK(horus_tensor_alloc(&t, pool_of(home), HORUS_F32, 2, square, 0));
        CHECK_OK(horus_infer_set(op, "x", &t, 0));
        CHECK_OK(horus_tensor_release(&t));
        CHECK_RESULT(horus_infer_run(op), HORUS_E_LIMIT);
        CHECK_TEXT(horus_last_error(), "model m: aborted after ");
        CHECK_EQ(figures_of(op, 0).runs, 0);
        CHECK_TIMELY(figures_of(op, 1).runs == (uint64_t)i + 1); /* the other one goes on */
    }
    leave(op);
}
TEST(onnxrt_ends_a_run_that_is_over_its_budget)
{
    NEED_RUNTIME();
    abort_by("onnxrt");
}

/* ---- OpenVINO itself, with the same models */

static bool has_openvino(void)
{
    const char *path = getenv("OPENVINO_DYLIB_PATH");
    return path && *path && !TEST_SANITIZED && has_loader();
}
#define NEED_OPENVINO()                                                                            \
    do {                                                                                           \
        if (!has_openvino())                                                                       \
            SKIP("OpenVINO: OPENVINO_DYLIB_PATH names none, this program loads no libraries, or "  \
                 "its TBB does not go with a sanitizer");                                          \
    } while (0)
static horus_infer_desc openvino_desc(void)
{
    horus_infer_desc d = onnx_desc(NULL);
    d.backend = "openvino";
    d.threads = 1;
    return d;
}
static int (*real_from_host)(int, horusi_ov_shape, void *, void **);
static int note_from_host(int type, horusi_ov_shape shape, void *data, void **out)
{
    bound[bound_count++ % 8] = data;
    return real_from_host(type, shape, data, out);
}
/* The network of an Add in OpenVINO's own format, which has no weights. */
static const char *ir_file(void)
{
    static char text[4000];
    static const char port[] = "precision=\"FP32\" names=\"%s\"><dim>4</dim></port>";
    char ports[3][100];
    for (int i = 0; i < 3; i++) {
        static const char *const names[] = {"x", "y", "z"};
        (void)snprintf(ports[i], sizeof ports[i], port, names[i]);
    }
    (void)snprintf(
        text, sizeof text,
        "<?xml version=\"1.0\"?><net name=\"g\" version=\"11\"><layers>"
        "<layer id=\"0\" name=\"x\" type=\"Parameter\" version=\"opset1\">"
        "<data shape=\"4\" element_type=\"f32\"/><output><port id=\"0\" %s</output></layer>"
        "<layer id=\"1\" name=\"y\" type=\"Parameter\" version=\"opset1\">"
        "<data shape=\"4\" element_type=\"f32\"/><output><port id=\"0\" %s</output></layer>"
        "<layer id=\"2\" name=\"a\" type=\"Add\" version=\"opset1\"><data "
        "auto_broadcast=\"numpy\"/>"
        "<input><port id=\"0\" %s<port id=\"1\" %s</input><output><port id=\"2\" "
        "%s</output></layer>"
        "<layer id=\"3\" name=\"r\" type=\"Result\" version=\"opset1\">"
        "<input><port id=\"0\" %s</input></layer></layers><edges>"
        "<edge from-layer=\"0\" from-port=\"0\" to-layer=\"2\" to-port=\"0\"/>"
        "<edge from-layer=\"1\" from-port=\"0\" to-layer=\"2\" to-port=\"1\"/>"
        "<edge from-layer=\"2\" from-port=\"2\" to-layer=\"3\" to-port=\"0\"/></edges></net>",
        ports[0], ports[1], ports[0], ports[1], ports[2], ports[2]);
    return file_of("add.xml", text, strlen(text));
}
TEST(openvino_adds_from_pool_memory_to_pool_memory)
{
    NEED_OPENVINO();
    for (int format = 0; format < 2; format++) {
        horus_infer_desc d = openvino_desc();
        const horus_infer_entry file[] = {
            {"m", format ? ir_file() : onnx_file("add.onnx", "Add", 2, 1, 1, four, 1, 1, four)},
            {NULL, NULL}};
        d.model_path_map = file;
        horus_infer *op = open_op(&d);
        horus_infer_io io;
        CHECK_OK(horus_infer_get_io(op, 0, true, 0, &io));
        CHECK_TEXT(io.name, "z");
        CHECK(io.dtype == HORUS_F32 && io.ndim == 1 && io.shape[0] == 4);
        CHECK_TEXT(figures_of(op, 0).device, "CPU");
        CHECK_OK(horus_infer_warm_up(op));
        real_from_host = horusi_ov.ov_tensor_create_from_host_ptr;
        horusi_ov.ov_tensor_create_from_host_ptr = note_from_host;
        for (int i = 0; i < 100; i++) {
            horus_tensor x = floats(4, (float)i), y = floats(4, 0.5f), z;
            bound_count = 0;
            CHECK_OK(horus_infer_set(op, "x", &x, 0));
            CHECK_OK(horus_infer_set(op, "y", &y, 0));
            CHECK_OK(horus_infer_run(op));
            CHECK_OK(horus_infer_get(op, "z", &z, NULL));
            CHECK(((float *)z.data)[0] == (float)i + 0.5f);
            CHECK(bound_count == 3 && bound[0] == x.data && bound[1] == y.data &&
                  bound[2] == z.data);
            CHECK_OK(horus_tensor_release(&x));
            CHECK_OK(horus_tensor_release(&y));
            CHECK_OK(horus_tensor_release(&z));
        }
        horusi_ov.ov_tensor_create_from_host_ptr = real_from_host;
        set_floats(op, "x", NAN);
        set_floats(op, "y", 1);
        CHECK_OK(horus_infer_run(op));
        CHECK(isnan(result_of(op, "z", NULL)));
        leave(op);
    }
}
TEST(openvino_switches_models_as_any_back_end)
{
    NEED_OPENVINO();
    for (int parallel = 0; parallel < 2; parallel++) {
        stub_begin();
        const char *same = onnx_file("same.onnx", "Identity", 1, 1, 1, four, 1, 1, four);
        const char *open_file = onnx_file("open.onnx", "Identity", 1, 1, 1, open_, 1, 1, open_);
        home = join(16 * MiB);
        horus_infer_desc d = stub_desc(3);
        horus_topic *out = topic_of("out", NULL);
        d.backend = NULL;
        d.backend_map = ENTRIES({"p", "openvino"}, {"q", "openvino"},
                                {"r", has_runtime() ? "onnxrt" : "openvino"});
        d.model_path_map = ENTRIES({"p", same}, {"q", open_file}, {"r", same});
        d.output = out;
        d.activation_map = ENTRIES({"r", "0"});
        d.parallel_inference = parallel ? HORUS_YES : HORUS_NO;
        d.enable_fp16 = parallel;
        d.threads = 1;
        horus_infer *op = open_op(&d);
        play_seven(op, out, NULL);
        horus_topic_close(out);
        leave(op);
    }
}
TEST(openvino_and_onnxrt_agree)
{
    NEED_OPENVINO();
    NEED_RUNTIME();
    static const int64_t square[] = {32, 32};
    horus_infer_desc d = openvino_desc();
    graph.n = 0;
    put_node(&graph, "MatMul", "x", "x", "a");
    put_node(&graph, "Tanh", "a", NULL, "z");
    put_value(&graph, 11, "x", 1, 2, square);
    put_value(&graph, 12, "z", 1, 2, square);
    const char *file = file_of("square.onnx", model.bytes, finish_onnx(&graph, &model));
    d.backend = NULL;
    d.backend_map = ENTRIES({"ov", "openvino"}, {"ort", "onnxrt"});
    d.model_path_map = ENTRIES({"ov", file}, {"ort", file});
    d.pre_processor_map = LISTS({"ov", NAMES("x")}, {"ort", NAMES("x")});
    d.inference_map = LISTS({"ov", NAMES("a")}, {"ort", NAMES("b")});
    horus_infer *op = open_op(&d);
    for (int i = 0; i < 10; i++) {
        horus_tensor x, a, b;
        float worst = 0;
        CHECK_OK(horus_tensor_alloc(&x, pool_of(home), HORUS_F32, 2, square, 0));
        for (int k = 0; k < 32 * 32; k++)
            ((float *)x.data)[k] = (float)(rng() % 2001) / 5000 - 0.2f;
        CHECK_OK(horus_infer_set(op, "x", &x, 0));
        CHECK_OK(horus_tensor_release(&x));
        CHECK_OK(horus_infer_run(op));
        CHECK_OK(horus_infer_get(op, "a", &a, NULL));
        CHECK_OK(horus_infer_get(op, "b", &b, NULL));
        for (int k = 0; k < 32 * 32; k++) {
            float difference = fabsf(((float *)a.data)[k] - ((float *)b.data)[k]);
            worst = difference > worst ? difference : worst;
        }
        CHECK(worst <= 1e-5f && ((float *)a.data)[0] != 0);
        CHECK_OK(horus_tensor_release(&a));
        CHECK_OK(horus_tensor_release(&b));
    }
    leave(op);
}
TEST(openvino_takes_all_dtypes_and_ranks_and_open_shapes)
{
    NEED_OPENVINO();
    static const int64_t shape[] = {1, 2, 1, 2, 1, 1, 1, 1, 1}, rows[] = {1, -1};
    static const int elements[] = {1, 10, 3, 2, 6, 7, 9, 5, 4, 11, 12, 13, 16};
    static const horus_dtype dtypes[] = {HORUS_F32, HORUS_F16,  HORUS_I8,  HORUS_U8,  HORUS_I32,
                                         HORUS_I64, HORUS_BOOL, HORUS_I16, HORUS_U16, HORUS_F64,
                                         HORUS_U32, HORUS_U64,  HORUS_BF16};
    enum { DTYPES = sizeof dtypes / sizeof *dtypes };
    horus_infer_desc d = openvino_desc();
    d.pre_processor_map = LISTS({"m", NAMES("x")});
    for (int i = 0; i < DTYPES + 8; i++) {
        int ndim = i < DTYPES ? 2 : i + 1 - DTYPES, e = i < DTYPES ? i : 0;
        horus_tensor t, z;
        d.model_path_map = ENTRIES({"m", onnx_file("id.onnx", "Identity", 1, elements[e], ndim,
                                                   shape, elements[e], ndim, shape)});
        horus_infer *op = open_op(&d);
        CHECK_OK(horus_tensor_alloc(&t, pool_of(home), dtypes[e], (uint32_t)ndim, shape, 0));
        const size_t size = horus_dtype_bytes(dtypes[e]); /* integers of 32 bits at most */
        for (uint64_t k = 0; k < horus_tensor_numel(&t); k++)
            memset((uint8_t *)t.data + k * size, 1, size == 8 && dtypes[e] != HORUS_F64 ? 3 : size);
        CHECK_OK(horus_infer_set(op, "x", &t, 0));
        CHECK_OK(horus_infer_run(op));
        CHECK_OK(horus_infer_get(op, "z", &z, NULL));
        CHECK_EQ(z.ndim, ndim);
        CHECK_EQ(z.dtype, dtypes[e]);
        if (memcmp(t.data, z.data,
                   (size_t)(horus_tensor_numel(&t) * horus_dtype_bytes(dtypes[e]))) != 0)
            test_failed(__FILE__, __LINE__, "%s: other values", horus_dtype_name(dtypes[e]));
        CHECK_OK(horus_tensor_release(&t));
        CHECK_OK(horus_tensor_release(&z));
        horus_infer_close(op);
    }
    d.model_path_map =
        ENTRIES({"m", onnx_file("nine.onnx", "Identity", 1, 1, 9, shape, 1, 9, shape)});
    CHECK_SETUP(d, HORUS_E_TYPE, "it has 9 dimensions, tensors have 8 at most", "");
    d.model_path_map =
        ENTRIES({"m", onnx_file("text.onnx", "Identity", 1, 8, 1, four, 8, 1, four)});
    CHECK_SETUP(d, HORUS_E_TYPE, "its elements are of OpenVINO's type", "");
    d.model_path_map =
        ENTRIES({"m", onnx_file("where.onnx", "NonZero", 1, 1, 1, four, 7, 2, rows)});
    horus_infer *op = open_op(&d);
    for (int i = 0; i < 3; i++) {
        horus_tensor t = floats(4, 1), z;
        ((float *)t.data)[0] = 0;
        for (int k = 0; k < i; k++)
            ((float *)t.data)[k] = 1;
        CHECK_OK(horus_infer_set(op, "x", &t, 0));
        CHECK_OK(horus_tensor_release(&t));
        CHECK_OK(horus_infer_run(op));
        CHECK_OK(horus_infer_get(op, "z", &z, NULL));
        CHECK(z.dtype == HORUS_I64 && z.shape[0] == 1 && z.shape[1] == i); /* even none */
        CHECK(i == 0 || ((int64_t *)z.data)[i - 1] == i - 1);
        CHECK_OK(horus_tensor_release(&z));
    }
    leave(op);
}
TEST(openvino_says_what_is_wrong_with_a_file)
{
    NEED_OPENVINO();
    horus_infer_desc d = openvino_desc();
    const char *whole = onnx_file("add.onnx", "Add", 2, 1, 1, four, 1, 1, four);
    size_t n = model.n;
    d.model_path_map = ENTRIES({"m", file_of("empty.onnx", "", 0)});
    CHECK_SETUP(d, HORUS_E_CORRUPT, "model_path_map: model m: \"", "empty.onnx\" cannot be loaded");
    for (size_t cut = 1; cut < n; cut += 1 + n / 4) {
        d.model_path_map = ENTRIES({"m", file_of("cut.onnx", model.bytes, cut)});
        CHECK_SETUP(d, HORUS_E_CORRUPT, "cut.onnx\" cannot be loaded by openvino: ", "");
    }
    d.model_path_map = ENTRIES({"m", file_of("text.onnx", "This is no model at all.", 24)});
    CHECK_SETUP(d, HORUS_E_CORRUPT, "text.onnx\" cannot be loaded by openvino: ", "");
    d.model_path_map = ENTRIES({"m", file_of("text.xml", "<net", 4)});
    CHECK_SETUP(d, HORUS_E_CORRUPT, "text.xml\" cannot be loaded by openvino: ", "");
    d.model_path_map = ENTRIES({"m", onnx_file("what.onnx", "Conjure", 2, 1, 1, four, 1, 1, four)});
    CHECK_SETUP(d, HORUS_E_CORRUPT, "what.onnx\" cannot be loaded by openvino: ", "Conjure");
    d.model_path_map = ENTRIES({"m", whole});
    d.pre_processor_map = LISTS({"m", NAMES("x")});
    CHECK_SETUP(d, HORUS_E_ARG, "model m takes 2 tensors (x, y), and 1 are named", "");
    d.pre_processor_map = LISTS({"m", NAMES("x", "y")});
    d.device_map = ENTRIES({"m", "0"});
    CHECK_SETUP(d, HORUS_E_UNSUPPORTED, "device_map: model m: GPU 0: back end openvino runs on the",
                "leave it out");
    CHECK_EQ(held(), 0);
    horus_context_close(home);
}
TEST(openvino_ends_a_run_that_is_over_its_budget)
{
    NEED_OPENVINO();
    abort_by("openvino");
}

/* ---- what looks like OpenVINO */

static char fake_ov[120];
/* What it calls `name`. */
static void *ov_state(const char *name)
{
    void *it = dlsym(dlopen(fake_ov, RTLD_NOW | RTLD_NOLOAD), name);
    REQUIRE(it);
    return it;
}
#define OV(type, name) (*(type *)ov_state("fake_" #name))
static horus_infer_desc fake_ov_begin(void)
{
    char command[500];
    const char *here = __FILE__, *slash = strrchr(here, '/');
    (void)snprintf(fake_ov, sizeof fake_ov, "%s", file_of("libfakeov.so", "", 0));
    (void)snprintf(command, sizeof command, "gcc -shared -fPIC -O1 %.*s/fake_ov.c -o %s",
                   slash ? (int)(slash - here) : 1, slash ? here : ".", fake_ov);
    REQUIRE(system(command) == 0);
    REQUIRE(dlopen(fake_ov, RTLD_NOW));
    horus_infer_desc d = openvino_desc();
    d.library = fake_ov;
    return d;
}
TEST(openvino_that_is_not_there_or_another_is_told)
{
    NEEDS_A_LOADER;
    horus_infer_desc d = openvino_desc();
    char report[600];
    REQUIRE(unsetenv("OPENVINO_DYLIB_PATH") == 0);
    horus_infer *op;
    horus_result r = horus_infer_open(&op, &d, report, sizeof report);
    if (r == HORUS_E_UNSUPPORTED) { /* it is not installed for the loader to find, as a rule */
        CHECK_TEXT(report, "backend: model m: back end openvino cannot be used here: ");
        CHECK_TEXT(report, "it is not installed: ");
        CHECK_TEXT(report, "OPENVINO_DYLIB_PATH");
        REQUIRE(setenv("OPENVINO_DYLIB_PATH", "", 1) == 0);
        CHECK_SETUP(d, HORUS_E_UNSUPPORTED, "it is not installed: ", "");
    }
    horus_infer_close(op);
    if (r == HORUS_E_UNSUPPORTED) {
        REQUIRE(setenv("OPENVINO_DYLIB_PATH", "/none/libopenvino_c.so", 1) == 0);
        CHECK_SETUP(d, HORUS_E_UNSUPPORTED, "its library cannot be loaded: /none/", "Install");
        REQUIRE(setenv("OPENVINO_DYLIB_PATH", "libm.so.6", 1) == 0);
        CHECK_SETUP(d, HORUS_E_UNSUPPORTED,
                    "libm.so.6 is without ov_get_last_err_msg: take OpenVINO 2025.4", "");
        d = fake_ov_begin();
        OV(const char *, build) = "2025.3.9-1";
        CHECK_SETUP(d, HORUS_E_UNSUPPORTED, "is OpenVINO 2025.3.9-1: take OpenVINO 2025.4", "");
        OV(const char *, build) = "2025.4.0-1";
        for (int i = 0; i < 2; i++) {
            OV(long, calls) = 0;
            OV(long, fails_at) = i + 1;
            CHECK_SETUP(d, HORUS_E_UNSUPPORTED,
                        i ? "the fake says no" : "is OpenVINO of no version", "");
            CHECK_EQ(OV(long, live), 0);
        }
        OV(long, fails_at) = 0;
        op = open_op(&d);
        horus_infer_close(op);
        d.library = "/none/libopenvino_c.so";
        CHECK_SETUP(d, HORUS_E_UNSUPPORTED, "but this process has loaded", "libfakeov.so");
    }
    horus_context_close(home);
}
TEST(every_call_to_openvino_may_fail)
{
    NEEDS_A_LOADER;
    horus_infer_desc d = fake_ov_begin();
    for (int way = 0; way < 3; way++) { /* at once, watched, and with an output of an open shape */
        OV(int, open) = way == 2;
        d.budget_ns = way == 1 ? 3600000000000 : 0;
        d.enable_fp16 = way == 1;
        d.threads = way == 1 ? 7 : 0;
        horus_infer *op = open_op(&d);
        CHECK_TEXT(&OV(char, options), way == 1 ? "PRECISION_HINT=f16;INFERENCE_NUM_THREADS=7"
                                                : "INFERENCE_PRECISION_HINT=f32");
        CHECK_OK(run_onnx(op));
        CHECK(result_of(op, "z", NULL) == 3);
        horus_infer_close(op);
        const long live = OV(long, live), heap = heap_live;
        bool failed = true;
        unsigned failures = 0;
        for (long at = 1; failed; at++) {
            OV(long, calls) = 0;
            OV(long, fails_at) = at;
            horus_result r = horus_infer_open(&op, &d, NULL, 0);
            failed = OV(long, calls) >= at;
            if (r == HORUS_OK) {
                r = run_onnx(op);
                if (r != HORUS_OK)
                    CHECK_TEXT(horus_last_error(), "model m: the fake says no");
                failed = OV(long, calls) >= at;
                OV(long, fails_at) = 0;
                CHECK_OK(run_onnx(op)); /* the next one is good */
                CHECK(result_of(op, "z", NULL) == 3);
            }
            if (r != HORUS_OK) { /* it is none where the model is only asked how much it takes */
                CHECK(r == HORUS_E_CORRUPT || r == HORUS_E_SYSTEM);
                failures++;
            }
            horus_infer_close(op);
            CHECK_EQ(OV(long, live), live);
            CHECK_EQ(heap_live, heap);
        }
        CHECK(failures >= 15);
        OV(long, fails_at) = 0;
    }
    atomic_store(&heap_calls, 0);
    horus_infer *op = open_op(&d);
    horus_infer_close(op);
    const long calls = heap_calls, live = OV(long, live);
    for (long at = 1; at <= calls; at++) {
        atomic_store(&heap_calls, 0);
        atomic_store(&heap_fails_at, at);
        CHECK_RESULT(horus_infer_open(&op, &d, NULL, 0), HORUS_E_MEMORY);
        atomic_store(&heap_fails_at, 0);
        CHECK_EQ(OV(long, live), live);
    }
    CHECK_EQ(held(), 0);
    horus_context_close(home);
}
TEST(odd_models_of_openvino_are_told)
{
    NEEDS_A_LOADER;
    horus_infer_desc d = fake_ov_begin();
    OV(int, type) = 6;
    CHECK_SETUP(d, HORUS_E_TYPE, "its elements are of OpenVINO's type 6: there is no such", "");
    OV(int, type) = 99;
    CHECK_SETUP(d, HORUS_E_TYPE, "OpenVINO's type 99", "");
    OV(int, type) = 4;
    OV(int, ndim) = 9;
    CHECK_SETUP(d, HORUS_E_TYPE, "it has 9 dimensions, tensors have 8 at most", "");
    OV(int, ndim) = 1;
    char longer[3000];
    memset(longer, 'l', sizeof longer);
    for (int i = 99; i < 3000; i += 100)
        longer[i] = i < 2999 ? '\n' : 0;
    for (int i = 0; i < 2; i++) { /* it does not say what is wrong, or too much */
        OV(const char *, says) = i ? longer : NULL;
        OV(long, calls) = 0;
        OV(long, fails_at) = 1;
        CHECK_SETUP(d, HORUS_E_CORRUPT, i ? "lll lll" : "OpenVINO's status -1", "");
    }
    OV(long, fails_at) = 0;
    OV(int, any_rank) = 1;
    horus_infer *op = open_op(&d);
    horus_infer_io io;
    CHECK_OK(horus_infer_get_io(op, 0, false, 0, &io));
    CHECK(io.ndim == HORUS_INFER_ANY && io.dtype == HORUS_F32);
    CHECK_OK(run_onnx(op));
    /* an abort that comes as a run is about to begin, and is taken back */
    horus_infer_close(op);
    d.budget_ns = 3600000000000;
    op = open_op(&d);
    horusi_ov_abort(op->models[0].loaded, true);
    CHECK_RESULT(run_onnx(op), HORUS_E_SYSTEM);
    horusi_ov_abort(op->models[0].loaded, false);
    CHECK_OK(run_onnx(op));
    horus_infer_close(op);
    OV(int, any_rank) = 0;
    OV(int, open) = 1; /* what comes is no tensor of ours */
    OV(int, taken_type) = 23;
    op = open_op(&d);
    CHECK_RESULT(run_onnx(op), HORUS_E_TYPE);
    CHECK_TEXT(horus_last_error(), "model m: its elements are of OpenVINO's type 23");
    leave(op);
}

/* ---- killed and stopped in mid-run, wherever that may be */

enum { WIDE = 16384 };
static void send_wide(horus_topic *in, float v)
{
    horus_tensor t = floats(WIDE, v);
    for (int i = 0; i < WIDE; i++)
        ((float *)t.data)[i] = v;
    CHECK_OK(horus_topic_send_tensor(in, &t, HORUS_NO_WAIT));
    CHECK_OK(horus_tensor_release(&t));
}
/* Takes all that has come: whole results, whose elements are all alike, as those of the input are. */
static unsigned take_wide(horus_topic *out)
{
    horus_tensor t;
    unsigned n = 0;
    for (; horus_topic_receive_tensor(out, &t, NULL, HORUS_NO_WAIT) == HORUS_OK; n++) {
        const float *v = t.data;
        bool alike = t.ndim == 1 && t.shape[0] == WIDE && isfinite(v[0]);
        for (int i = 0; i < WIDE && alike; i++)
            alike = v[i] == v[0];
        CHECK(alike);
        CHECK_OK(horus_tensor_release(&t));
    }
    return n;
}
/* What is killed: two models at once, and one that is late every third time. */
static void infer_for_ever(void *file)
{
    home = NULL;
    stub_begin();
    horus_infer_desc d = stub_desc(3);
    for (int i = 0; i < 3; i++) {
        stubs[i].in[0] = stubs[i].out[0] = IO(HORUS_F32, 1, WIDE);
        stubs[i].sleep_us = 300;
    }
    const horus_infer_entry *files = ENTRIES({"p", file}, {"q", file}, {"r", file});
    if (file) {
        d.backend = "onnxrt";
        d.model_path_map = files;
        d.threads = 1;
    }
    d.parallel_inference = HORUS_YES;
    d.temporal_map = ENTRIES({"r", "3"});
    d.budget_ns = 3600000000000;
    home = join(16 * MiB);
    horus_topic *in = topic_of("in", NULL), *out = topic_of("out", NULL);
    d.inputs = INPUTS({.topic = in, .tensor = "x"});
    d.output = out;
    horus_infer *op = open_op(&d);
    for (;;) {
        horus_result r = horus_infer_run(op);
        if (r == HORUS_EMPTY)
            (void)horus_topic_wait(in, 1000000);
        else if (!CHECK_OK(r))
            test_leave(1);
    }
}
/* Sends and takes for so long, or until `enough` results have come. */
static unsigned play_for(horus_topic *in, horus_topic *out, uint64_t us, unsigned enough)
{
    uint64_t end = horus_now_ns() + us * 1000;
    unsigned n = 0;
    while (horus_now_ns() < end && n < enough) {
        send_wide(in, (float)(rng() % 100));
        test_sleep_us(200);
        n += take_wide(out);
    }
    return n;
}
typedef struct its {
    pid_t pid;
    unsigned frames;
} its;
static void count_its(void *user, const horus_holder *h)
{
    its *it = user;
    it->frames += h->pid == it->pid && h->bytes >= WIDE * sizeof(float); /* no rings */
}
static void kill_in_mid_run(const char *file)
{
    enum { PATIENCE = 30000000 }; /* us: with the machine all to others */
    unsigned results = 0;
    home = join(16 * MiB);
    horus_topic *in = topic_of("in", NULL), *out = topic_of("out", NULL);
    (void)any_file(); /* in a folder of ours: who is killed removes none */
    for (int i = 0, good = 1; i < TEST_TIMES(50) && good; i++) {
        int status;
        const bool loaded = i % 5 != 0; /* else it may die as it loads */
        pid_t pid = test_fork(infer_for_ever, (void *)(uintptr_t)file);
        good = !loaded || CHECK(play_for(in, out, PATIENCE, 1) > 0);
        results += play_for(in, out, rng() % 8000, UINT_MAX);
        if (i % 3 == 0) { /* it stands still: nothing of it is touched, and others go on */
            horus_audit a;
            its before = {pid, 0}, after = {pid, 0};
            (void)kill(pid, SIGSTOP);
            while (waitpid(pid, &status, WUNTRACED) < 0 && errno == EINTR)
                ;
            if (!CHECK(WIFSTOPPED(status)))
                break;
            (void)take_wide(out);
            CHECK_OK(horus_pool_audit(pool_of(home), &a, count_its, &before));
            CHECK_EQ(play_for(in, out, 3000, UINT_MAX), 0);
            CHECK_OK(horus_context_sweep(home, NULL));
            CHECK_OK(horus_pool_audit(pool_of(home), &a, count_its, &after));
            CHECK(a.balanced && after.frames == before.frames);
            (void)kill(pid, SIGCONT);
            good = !loaded || CHECK(play_for(in, out, PATIENCE, 3) >= 3);
        }
        good = CHECK_EQ(waitpid(pid, &status, WNOHANG), 0) && good; /* it has not ended of itself */
        test_kill(pid);
        CHECK_OK(horus_context_sweep(home, NULL));
        results += take_wide(out); /* and lets go of its ring */
        CHECK_EQ(held(), 0);
    }
    CHECK(results > 0);
    horus_topic_close(in);
    horus_topic_close(out);
    horus_context_close(home);
}
static void seed_from(const char *given)
{
    rng_state = given ? strtoull(given, NULL, 0) : horus_now_ns();
    printf("SEED=%llu\n", (unsigned long long)rng_state);
}
TEST(killed_or_stopped_in_mid_run_it_leaves_nothing)
{
    seed_from(getenv("SEED"));
    kill_in_mid_run(NULL);
}
TEST(killed_or_stopped_in_mid_run_onnxrt_leaves_nothing)
{
    NEED_RUNTIME();
    static const int64_t wide[] = {WIDE};
    char name[2][16];
    seed_from(getenv("SEED"));
    graph.n = 0;
    for (int i = 0; i < 10; i++) {
        (void)snprintf(name[0], 16, i ? "t%d" : "x", i);
        (void)snprintf(name[1], 16, i < 9 ? "t%d" : "z", i + 1);
        put_node(&graph, "Sin", name[0], NULL, name[1]);
    }
    put_value(&graph, 11, "x", 1, 1, wide);
    put_value(&graph, 12, "z", 1, 1, wide);
    kill_in_mid_run(file_of("sines.onnx", model.bytes, finish_onnx(&graph, &model)));
}
