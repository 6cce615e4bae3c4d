/* Records a run, or replays it, for tests/replay.sh: the same file goes through builds of several
 * compilers and processors, and what each says must be the same.
 *
 *     replay record FILE            prints the hash of all outputs
 *     replay FILE [PLANT]           the same; PLANT: at that tick the filter is off by one bit
 *
 * Three nodes: one takes what a thread sends at random times, one filters it in floating point, one
 * looks at images. No libm: its functions are not the same everywhere. */
#define HORUS_IMPLEMENTATION
#include "../horus.h"
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>

typedef struct state {
    horus_context *context;
    horus_topic *measured, *camera, *poses, *estimates, *means;
    double x, v, p[2][2];
    float mean;
    uint64_t plant, random;
} state;

static uint32_t dice(state *s)
{
    uint64_t z = s->random += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    return (uint32_t)((z ^ z >> 27) >> 32);
}
static horus_result take(void *user, horus_tick *t)
{
    state *s = user;
    horus_vector3 m;
    horus_info info;
    while (horus_topic_receive(s->measured, &m, sizeof m, &info, HORUS_NO_WAIT) == HORUS_OK) {
        horus_pose2d p;
        memset(&p, 0, sizeof p);
        p.timestamp_ns = info.sequence;
        p.x = m.x + (double)(horus_tick_random(t) >> 40) * 0x1p-30;
        p.y = m.y * m.y + m.x;
        p.theta = sqrt(p.y * p.y + m.z);
        if (horus_topic_send(s->poses, &p, sizeof p, HORUS_NO_WAIT) != HORUS_OK)
            return HORUS_E_SIZE;
    }
    return HORUS_OK;
}
/* A Kalman filter of one axis: what a compiler would contract or reorder shows in the last bits. */
static horus_result filter(void *user, horus_tick *t)
{
    state *s = user;
    horus_pose2d p;
    double dt = (double)t->dt_ns * 1e-9;
    s->x += s->v * dt;
    s->p[0][0] += dt * (s->p[0][1] + s->p[1][0] + dt * s->p[1][1]) + 1e-5;
    s->p[0][1] += dt * s->p[1][1];
    s->p[1][0] += dt * s->p[1][1];
    s->p[1][1] += 1e-3;
    while (horus_topic_receive(s->poses, &p, sizeof p, NULL, HORUS_NO_WAIT) == HORUS_OK) {
        double k0 = s->p[0][0] / (s->p[0][0] + 0.1), k1 = s->p[1][0] / (s->p[0][0] + 0.1);
        double error = p.x / 3.0 - s->x;
        s->x += k0 * error;
        s->v += k1 * error;
        s->p[1][0] -= k1 * s->p[0][0];
        s->p[1][1] -= k1 * s->p[0][1];
        s->p[0][0] -= k0 * s->p[0][0];
        s->p[0][1] -= k0 * s->p[0][1];
    }
    horus_vector3 out;
    memset(&out, 0, sizeof out);
    out.x = s->x;
    out.y = s->v;
    out.z = s->p[0][0] * s->p[1][1] - s->p[0][1] * s->p[1][0];
    if (t->phase == s->plant)
        out.z = out.z * (1 + 0x1p-52);
    return horus_topic_send(s->estimates, &out, sizeof out, HORUS_NO_WAIT);
}
static horus_result look(void *user, horus_tick *t)
{
    state *s = user;
    horus_image m;
    (void)t;
    if (horus_topic_receive_image(s->camera, &m, NULL, HORUS_NO_WAIT) != HORUS_OK)
        return HORUS_OK;
    float sum = 0;
    for (uint32_t y = 0; y < m.height_px; y++)
        for (uint32_t x = 0; x < m.width_px; x++)
            sum += ((const float *)((const uint8_t *)m.data + y * m.stride_bytes))[x] * 0.7f;
    s->mean = s->mean * 0.9f + sum / (float)(m.width_px * m.height_px) * 0.1f;
    (void)horus_image_release(&m);
    return horus_topic_send(s->means, &s->mean, sizeof s->mean, HORUS_NO_WAIT);
}

static _Atomic bool enough;
static void *sensors(void *arg)
{
    state *s = arg;
    horus_topic *measured, *camera;
    if (horus_topic_open(&measured, "measured",
                         &(horus_topic_desc){.type = &horus_vector3_type, .context = s->context}) ||
        horus_topic_open(&camera, "camera", &(horus_topic_desc){.context = s->context}))
        return NULL;
    s->random = horus_now_ns();
    while (!atomic_load(&enough)) {
        horus_vector3 v;
        horus_image m;
        memset(&v, 0, sizeof v);
        v.x = dice(s) * 0x1p-30;
        v.y = dice(s) * 0x1p-28;
        v.z = dice(s) * 0x1p-20;
        (void)horus_topic_send(measured, &v, sizeof v, HORUS_NO_WAIT);
        if (dice(s) % 8 == 0 && horus_image_alloc(&m, NULL, 24, 16, HORUS_MONO32F, 0) == HORUS_OK) {
            for (uint32_t i = 0; i < 24 * 16; i++)
                ((float *)m.data)[i] = (float)dice(s) * 0x1p-31f;
            (void)horus_topic_send_image(camera, &m, HORUS_NO_WAIT);
            (void)horus_image_release(&m);
        }
        horusi_sleep_until(horus_now_ns() + dice(s) % 300000);
    }
    horus_topic_close(measured);
    horus_topic_close(camera);
    return NULL;
}
int main(int argc, char **argv)
{
    static state s = {.p = {{1, 0}, {0, 1}}};
    bool record = argc > 2 && strcmp(argv[1], "record") == 0;
    const char *path = argc < 2 ? NULL : argv[record ? 2 : 1];
    horus_scheduler *sched;
    horus_recording told;
    pthread_t thread;
    s.plant = !record && argc > 2 ? strtoull(argv[2], NULL, 10) : UINT64_MAX;
    horus_scheduler_desc d = {.name = "replay", .flags = HORUS_DETERMINISTIC, .seed = 5};
    *(record ? &d.record : &d.replay) = path;
    if (!path || horus_context_default(&s.context) || horus_scheduler_open(&sched, &d)) {
        fprintf(stderr, "replay [record] FILE [PLANT]: %s\n", horus_last_error());
        return 2;
    }
    horus_topic_desc vector = {.type = &horus_vector3_type}, pose = {.type = &horus_pose2d_type};
    if (horus_topic_open(&s.measured, "measured", &vector) ||
        horus_topic_open(&s.camera, "camera", NULL) || horus_topic_open(&s.poses, "poses", &pose) ||
        horus_topic_open(&s.estimates, "estimates", &vector) ||
        horus_topic_open(&s.means, "means", NULL))
        return 2;
    const horus_node_desc nodes[3] = {
        {.name = "take", .tick = take, .user = &s, .rate_num = 700},
        {.name = "filter", .tick = filter, .user = &s, .rate_num = 400, .order = 1},
        {.name = "look", .tick = look, .user = &s, .rate_num = 60, .order = 2}};
    for (int i = 0; i < 3; i++)
        if (horus_scheduler_add(sched, &nodes[i]))
            return 2;
    if (record && pthread_create(&thread, NULL, sensors, &s) != 0)
        return 2;
    horus_result r = HORUS_OK;
    for (int i = 0; i < 50 && r == HORUS_OK; i++) {
        r = horus_scheduler_step(sched, 20000000);
        if (record)
            horusi_sleep_until(horus_now_ns() + 2000000);
    }
    atomic_store(&enough, true);
    if (record)
        (void)pthread_join(thread, NULL);
    char why[256];
    (void)snprintf(why, sizeof why, "%s", r == HORUS_OK ? "" : horus_last_error());
    (void)horus_scheduler_get_recording(sched, &told);
    if (told.diverged)
        printf("diverged: tick %llu, node %s, topic %s\n", (unsigned long long)told.tick, told.node,
               told.topic);
    else if (r != HORUS_OK)
        printf("%s\n", why);
    else
        printf("%016llx: %llu inputs, %llu outputs, %llu calls\n", (unsigned long long)told.hash,
               (unsigned long long)told.inputs, (unsigned long long)told.outputs,
               (unsigned long long)told.calls);
    (void)horus_scheduler_close(sched);
    horus_topic_close(s.measured);
    horus_topic_close(s.camera);
    horus_topic_close(s.poses);
    horus_topic_close(s.estimates);
    horus_topic_close(s.means);
    return r == HORUS_OK ? 0 : 1;
}
