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
#include "test.h"
#include <math.h>
#include <pthread.h>

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
    atomic_fetch_sub(&heap_live, memory != NULL);
    free(memory);
}

/* ---- files */

static char folder[64];
static void remove_folder(void)
{
    char path[400];
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        (void)unlink(path);
    }
    if (d)
        (void)closedir(d);
    (void)rmdir(folder);
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
    d = good();
    d.inference_map = LISTS({"m1", NAMES("b", "b")}, {"m2", NAMES("d")});
    CHECK_REPORT(d, 1, "inference_map: tensor \"b\" of model m1 is given by model m1 already", "");
    d.inference_map = LISTS({"m1", NAMES("b")}, {"m2", NAMES("d", "b")});
    CHECK_REPORT(d, 1, "inference_map: tensor \"b\" of model m2 is given by model m1 already", "");
    d = good();
    d.in_tensor_names = NAMES("a", "cc", "a");
    CHECK_REPORT(d, 2, "in_tensor_names: \"cc\" is not in pre_processor_map: did you mean \"c\"?",
                 "in_tensor_names: \"a\" is there twice");
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
