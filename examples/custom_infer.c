/* An inference operator of one's own, made of the steps of horus_infer: check, specification, set-up, then
 * for each frame extraction, execution and transmission, with code of one's own in between; and a back
 * end of one's own, which here is three lines of C in place of a runtime.
 *
 *     gcc -O2 -I.. custom_infer.c -o custom_infer      in this directory; on old systems -pthread -ldl
 *     ./custom_infer
 */
#define HORUS_IMPLEMENTATION
#include "horus.h"

#include <stdio.h>

/* ---- a back end: gives the largest of four numbers, and where it is */

static horus_result top_load(void *user, const horus_infer_load *how, void **model, char *why,
                             size_t room)
{
    static int it;
    (void)user, (void)why, (void)room;
    printf("loading model %s\n", how->model);
    *model = &it;
    return HORUS_OK;
}
static horus_result top_io(void *model, bool output, uint32_t number, horus_infer_io *out,
                           char *why, size_t room)
{
    (void)model, (void)why, (void)room;
    if (number >= (output ? 2u : 1u))
        return HORUS_E_NOT_FOUND;
    horus_infer_io io = {
        .tensor = out->tensor, .dtype = HORUS_F32, .ndim = 1, .shape = {output ? 1 : 4}};
    (void)snprintf(io.name, sizeof io.name, "%s", !output ? "scores" : number ? "place" : "top");
    *out = io;
    return HORUS_OK;
}
static horus_result top_run(void *model, horus_infer_call *call)
{
    const float *x = call->inputs[0].data;
    float *top = call->outputs[0].data, *place = call->outputs[1].data;
    (void)model;
    *place = 0;
    for (int i = 1; i < 4; i++)
        *place = x[i] > x[(int)*place] ? (float)i : *place;
    *top = x[(int)*place];
    return HORUS_OK;
}
static void top_unload(void *model) { (void)model; }
static const horus_infer_backend top = {.name = "top",
                                        .can = HORUS_INFER_CPU,
                                        .load = top_load,
                                        .io_info = top_io,
                                        .run = top_run,
                                        .unload = top_unload};

static int give_up(const char *report)
{
    fprintf(stderr, "%s%s\n", report, horus_last_error());
    return 1;
}

int main(int argc, char **argv)
{
    static const char *const takes[] = {"scores", NULL}, *const gives[] = {"top", "place", NULL};
    static const horus_infer_list in[] = {{"best", takes}, {NULL, NULL}};
    static const horus_infer_list out[] = {{"best", gives}, {NULL, NULL}};
    const horus_infer_entry wrong[] = {{"best", "/no/such/file"}, {NULL, NULL}};
    const horus_infer_entry right[] = {{"best", argv[0]},
                                       {NULL, NULL}}; /* this back end takes any file */
    char report[2000];
    horus_topic *results = NULL, *reader = NULL;
    horus_infer *op = NULL;
    horus_infer_io io;
    (void)argc;
    if (horus_infer_register(&top) || horus_topic_open(&results, "results", NULL) ||
        horus_topic_open(&reader, "results", NULL))
        return give_up("");

    /* 1. are the parameters right? Here they are not, and all that is wrong is told. */
    horus_infer_desc d = {.backend = "topp",
                          .model_path_map = wrong,
                          .pre_processor_map = in,
                          .inference_map = out,
                          .output = results};
    if (horus_infer_check(&d, report, sizeof report) != HORUS_OK)
        printf("not yet:\n%s", report);
    d.backend = "top";
    d.model_path_map = right;

    /* 2. the specification, and 3. set-up, which loads the models */
    if (horus_infer_create(&op, &d, report, sizeof report) ||
        horus_infer_setup(op, report, sizeof report))
        return give_up(report);
    for (uint32_t i = 0; horus_infer_get_io(op, 0, true, i, &io) == HORUS_OK; i++)
        printf("output %s is tensor %s\n", io.name, io.tensor);

    for (int frame = 0; frame < 3; frame++) {
        /* 4. tensors: by hand here; horus_infer_extract takes them from topics */
        float scores[4] = {0.1f, 0.2f, 0.3f, 0.25f};
        scores[frame] += 0.5f;
        horus_tensor t = {.data = scores, .ndim = 1, .shape = {4}, .strides_bytes = {4}};
        /* 5. execution */
        if (horus_infer_set(op, "scores", &t, 0) || horus_infer_execute(op))
            return give_up("");
        horus_tensor found;
        (void)horus_infer_get(op, "top", &found, NULL); /* what it found decides what is sent */
        bool sure = *(const float *)found.data > 0.65f;
        (void)horus_tensor_release(&found);
        /* 6. transmission */
        if (sure && horus_infer_transmit(op) < 0)
            return give_up("");
        printf("frame %d: %s\n", frame, sure ? "sent" : "not sure");
    }
    horus_tensor t;
    while (horus_topic_receive_tensor(reader, &t, NULL, HORUS_NO_WAIT) == HORUS_OK) {
        char name[HORUS_FRAME_ID_BYTES];
        (void)horus_frame_get_id(&t.frame, name);
        printf("%s = %.2f\n", name, (double)*(const float *)t.data);
        (void)horus_tensor_release(&t);
    }
    horus_infer_close(op);
    horus_topic_close(results);
    horus_topic_close(reader);
    return 0;
}
