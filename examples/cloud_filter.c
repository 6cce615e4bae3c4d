/* cloud_filter: thins the point clouds of "cloud" and sends them on "cloud/filtered": points from
 * 0.5 to 20 m only, and one, the centroid, in each 10 cm cube. In and out stay in shared memory.
 *
 *     gcc -O2 -I.. cloud_filter.c -o cloud_filter -lm      in this directory
 *     ./cloud_filter sensor & ./cloud_filter               the first one plays a spinning lidar */
#define HORUS_IMPLEMENTATION
#include "horus.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const float near_m = 0.5f, far_m = 20.0f, voxel_m = 0.1f;

/* A hash table from cube to output point, as large as twice the points. */
typedef struct voxels {
    uint64_t *keys; /* 0: free */
    uint32_t *where, *count;
    size_t room; /* a power of two */
} voxels;

static bool voxels_reserve(voxels *v, size_t points)
{
    size_t room = 1024;
    while (room < 2 * points)
        room *= 2;
    if (room > v->room) {
        free(v->keys);
        v->keys = malloc(room * (sizeof(uint64_t) + 2 * sizeof(uint32_t)));
        v->room = v->keys ? room : 0;
        v->where = (uint32_t *)(v->keys + v->room);
        v->count = v->where + v->room;
    }
    if (v->keys)
        memset(v->keys, 0, v->room * sizeof v->keys[0]);
    return v->keys != NULL;
}

/* Returns how many points were written. Both clouds are F32 with `fields` values a point, the first
 * three x, y, z; the others are averaged as well. */
static uint32_t filter(voxels *v, const float *in, uint64_t points, uint32_t fields, float *out)
{
    uint32_t kept = 0;
    for (uint64_t i = 0; i < points; i++, in += fields) {
        float range2 = in[0] * in[0] + in[1] * in[1] + in[2] * in[2];
        if (!(range2 >= near_m * near_m && range2 <= far_m * far_m)) /* NaN fails, too */
            continue;
        uint64_t key = 1;
        for (int axis = 0; axis < 3; axis++)
            key = key << 21 | (uint64_t)((int64_t)floorf(in[axis] / voxel_m) & 0x1fffff);
        size_t at = (key * 0x9e3779b97f4a7c15u >> 20) & (v->room - 1);
        while (v->keys[at] != 0 && v->keys[at] != key)
            at = (at + 1) & (v->room - 1);
        if (v->keys[at] == 0) {
            v->keys[at] = key;
            v->count[at] = 0;
            v->where[at] = kept++;
        }
        float *centroid = out + (size_t)v->where[at] * fields, share = 1.0f / (float)++v->count[at];
        for (uint32_t f = 0; f < fields; f++)
            centroid[f] = share == 1 ? in[f] : centroid[f] + (in[f] - centroid[f]) * share;
    }
    return kept;
}

/* A lidar of 16 beams in a room of 24 x 16 m, with a pillar that the robot drives around. */
static int sensor(void)
{
    enum { BEAMS = 16, STEPS = 1800 };
    horus_topic *topic;
    if (horus_topic_open(&topic, "cloud", &(horus_topic_desc){.type = &horus_cloud_type}) != 0)
        return fprintf(stderr, "%s\n", horus_last_error()), 1;
    for (int sweep = 0; sweep < 50; sweep++) {
        horus_cloud cloud;
        if (horus_cloud_alloc(&cloud, NULL, BEAMS * STEPS, 4, HORUS_F32, HORUS_UNINIT) != 0)
            return fprintf(stderr, "%s\n", horus_last_error()), 1;
        float *p = cloud.data, pillar = 0.05f * (float)sweep;
        for (int beam = 0; beam < BEAMS; beam++) {
            for (int step = 0; step < STEPS; step++, p += 4) {
                float a = (float)step * 6.2831853f / STEPS, up = ((float)beam - 7.5f) * 0.035f;
                float c = fmaxf(fabsf(cosf(a)), 1e-3f), s = fmaxf(fabsf(sinf(a)), 1e-3f);
                float wall = fminf(12 / c, 8 / s);
                float range = fabsf(remainderf(a - pillar, 6.2831853f)) < 0.1f ? 3 : wall;
                p[0] = range * cosf(a);
                p[1] = range * sinf(a);
                p[2] = range * tanf(up);
                p[3] = range < wall ? 200.0f : 80.0f; /* intensity */
            }
        }
        horus_frame_set_id(&cloud.frame, "lidar");
        horus_frame_set_time(&cloud.frame, horus_now_ns());
        horus_topic_send_cloud(topic, &cloud, HORUS_NO_WAIT);
        horus_cloud_release(&cloud);
        usleep(100000);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "sensor") == 0)
        return sensor();
    const horus_topic_desc clouds = {.type = &horus_cloud_type};
    horus_topic *in, *out;
    voxels v = {0};
    if (horus_topic_open(&in, "cloud", &clouds) != 0 ||
        horus_topic_open(&out, "cloud/filtered", &clouds) != 0)
        return fprintf(stderr, "%s\n", horus_last_error()), 1;
    horus_cloud cloud, thin;
    puts("waiting for topic \"cloud\" (for one to try: cloud_filter sensor)");
    while (horus_topic_receive_cloud(in, &cloud, NULL, 3000000000) == HORUS_OK) {
        uint64_t start = horus_now_ns(), time_ns = 0;
        /* Room for the worst case; what is sent is as short as the filter makes it. */
        if (cloud.dtype == HORUS_F32 && cloud.fields >= 3 &&
            voxels_reserve(&v, cloud.point_count) &&
            horus_cloud_alloc(&thin, NULL, cloud.point_count, cloud.fields, HORUS_F32,
                              HORUS_UNINIT) == 0) {
            thin.point_count = filter(&v, cloud.data, cloud.point_count, cloud.fields, thin.data);
            horus_frame_get_time(&cloud.frame, &time_ns);
            horus_frame_set_time(&thin.frame, time_ns);
            horus_topic_send_cloud(out, &thin, HORUS_NO_WAIT);
            printf("%u points -> %u in %.2f ms\n", (unsigned)cloud.point_count,
                   (unsigned)thin.point_count, (double)(horus_now_ns() - start) / 1e6);
            horus_cloud_release(&thin);
        }
        horus_cloud_release(&cloud);
    }
    free(v.keys);
    return 0;
}
