/* The fuzz targets; FUZZ_TARGET names one (see the table below), or `storm`. Run by run.sh. */
#include "fuzz.h"
#include "live.h"
#include "attach.h"
#include "wire.h"
#include "views.h"
#include "figures.h"
#include "recording.h"
#include "decode.h"
#include "infer.h"

static void nothing(void) {}
static const struct target {
    const char *name;
    void (*init)(void);
    void (*run)(input *in);
    void (*seeds)(void);
} targets[] = {
    {"attach", attach_init, target_attach, attach_seeds},
    {"live", nothing, target_live, live_seeds},
    {"descriptors", wire_init, target_wire, wire_seeds},
    {"dlpack", views_init, target_dlpack, dlpack_seeds},
    {"names", views_init, target_names, names_seeds},
    {"views", views_init, target_views, views_seeds},
    {"figures", figures_init, target_figures, figures_seeds},
    {"recording", recording_init, target_recording, recording_seeds},
    {"decode", views_init, target_decode, decode_seeds},
    {"infer", infer_init, target_infer, infer_seeds},
};
static const struct target *chosen;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *name = getenv("FUZZ_TARGET"), *dir = getenv("HORUS_DIR");
    (void)argc, (void)argv;
    (void)unsetenv("HORUS_GROUP");
    if (!dir || !*dir) {
        fprintf(stderr, "set HORUS_DIR to an empty directory of your own in /dev/shm\n");
        exit(2);
    }
    if (name && strcmp(name, "storm") == 0)
        exit(storm());
    for (size_t i = 0; name && i < sizeof targets / sizeof targets[0]; i++)
        if (strcmp(name, targets[i].name) == 0)
            chosen = &targets[i];
    if (!chosen) {
        fprintf(stderr, "set FUZZ_TARGET to storm");
        for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++)
            fprintf(stderr, ", %s", targets[i].name);
        fprintf(stderr, "\n");
        exit(2);
    }
    chosen->init();
    if (getenv("FUZZ_MAKE_SEEDS")) {
        chosen->seeds();
        exit(0);
    }
    return 0;
}
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    input in = {data, data + bytes};
    chosen->run(&in);
    return 0;
}
#ifdef TEST_COVERAGE /* without libFuzzer: runs the files that are named */
void __sanitizer_print_stack_trace(void);
void __sanitizer_print_stack_trace(void) {}
int main(int argc, char **argv)
{
    static uint8_t data[1 << 16];
    (void)LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 1; i < argc; i++) {
        FILE *f = fopen(argv[i], "rb");
        if (!f)
            return 1;
        size_t bytes = fread(data, 1, sizeof data, f);
        (void)fclose(f);
        (void)LLVMFuzzerTestOneInput(data, bytes);
    }
    return 0;
}
#endif
