/* depth_stop: stops the robot when the depth camera sees something too close in its way. Reads
 * depth images from "depth", sends EmergencyStop messages on the reliable topic "estop".
 *
 *     gcc -O3 -I.. depth_stop.c -o depth_stop              in this directory
 *     ./depth_stop sensor & ./depth_stop                   the first one plays the depth camera */
#define HORUS_IMPLEMENTATION
#include "horus.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const float stop_m = 0.60f, go_m = 0.80f; /* two limits: no flutter in between */
static const double enough = 0.01;               /* share of the corridor's pixels */

/* The share of the corridor (the middle half of each row, the upper two thirds: below is floor)
 * that is closer than limit_m. A 0, NaN or infinity is no measurement and counts for nothing. The
 * loops have no branch, so that the compiler can make them SIMD. */
static double share_closer(const horus_depth *depth, float limit_m)
{
    uint32_t x0 = depth->width_px / 4, x1 = depth->width_px - x0, rows = depth->height_px * 2 / 3;
    uint32_t closer = 0;
    float limit = limit_m / depth->scale;
    for (uint32_t y = 0; y < rows; y++) {
        const void *row = (const uint8_t *)depth->data + (size_t)y * depth->stride_bytes;
        const float *metres = row;
        const uint16_t *units = row;
        if (depth->dtype == HORUS_F32)
            for (uint32_t x = x0; x < x1; x++)
                closer += (metres[x] > 0) & (metres[x] < limit);
        else
            for (uint32_t x = x0; x < x1; x++)
                closer += (units[x] > 0) & ((float)units[x] < limit);
    }
    return rows && x1 > x0 ? (double)closer / ((double)rows * (x1 - x0)) : 0;
}

/* A wall at 3 m, and a box that comes to 0.4 m and goes away again, in millimetres. */
static int sensor(void)
{
    horus_topic *topic;
    if (horus_topic_open(&topic, "depth", &(horus_topic_desc){.type = &horus_depth_type}) != 0)
        return fprintf(stderr, "%s\n", horus_last_error()), 1;
    for (int i = 0; i < 120; i++) {
        horus_depth depth;
        if (horus_depth_alloc(&depth, NULL, 640, 480, HORUS_U16, HORUS_UNINIT) != 0)
            return fprintf(stderr, "%s\n", horus_last_error()), 1;
        int away = i < 60 ? 60 - i : i - 60, box_mm = 400 + away * 40;
        for (int y = 0; y < 480; y++) {
            uint16_t *row = (uint16_t *)depth.data + y * 640;
            for (int x = 0; x < 640; x++)
                if (x % 97 == 0)
                    row[x] = 0; /* no measurement */
                else
                    row[x] = (uint16_t)(x > 260 && x < 380 && y > 150 ? box_mm : 3000);
        }
        horus_topic_send_depth(topic, &depth, HORUS_NO_WAIT);
        horus_depth_release(&depth);
        usleep(33333);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "sensor") == 0)
        return sensor();
    const horus_topic_desc estop_desc = {.type = &horus_emergency_stop_type,
                                         .policy = HORUS_RELIABLE};
    horus_topic *camera, *estop;
    if (horus_topic_open(&camera, "depth", &(horus_topic_desc){.type = &horus_depth_type}) != 0 ||
        horus_topic_open(&estop, "estop", &estop_desc) != 0)
        return fprintf(stderr, "%s\n", horus_last_error()), 1;
    bool stopped = false;
    for (;;) {
        horus_depth depth;
        horus_info info;
        horus_topic_skip_to_latest(camera, NULL); /* old news is no news */
        horus_result r = horus_topic_receive_depth(camera, &depth, &info, 1000000000);
        horus_emergency_stop stop = {.source = "depth_stop", .auto_reset = 1};
        if (r == HORUS_OK) {
            double share = share_closer(&depth, stopped ? go_m : stop_m);
            stop.engaged = share > enough;
            snprintf(stop.reason, sizeof stop.reason, "%.1f %% of the way is closer than %.2f m",
                     share * 100, (double)(stopped ? go_m : stop_m));
            horus_depth_release(&depth);
        } else if (r == HORUS_TIMEOUT) { /* blind: stop */
            stop.engaged = 1;
            snprintf(stop.reason, sizeof stop.reason, "no depth image for a second");
        } else {
            return fprintf(stderr, "%s\n", horus_last_error()), 1;
        }
        if (stop.engaged != stopped) {
            stopped = stop.engaged;
            stop.timestamp_ns = horus_now_ns();
            if (horus_topic_send(estop, &stop, sizeof stop, 100000000) != HORUS_OK)
                fprintf(stderr, "%s\n", horus_last_error());
            printf("%s: %s\n", stopped ? "STOP" : "go", stop.reason);
            fflush(stdout);
        }
        if (r == HORUS_TIMEOUT)
            return 0; /* a robot would go on waiting; an example ends */
    }
}
