/* Receives frames, without a copy. In this directory: gcc -O2 -I.. hello_sub.c -o hello_sub */
#define HORUS_IMPLEMENTATION
#include "horus.h"

int main(void)
{
    horus_topic *camera;
    horus_image img;
    horus_info info;
    if (horus_topic_open(&camera, "camera", &(horus_topic_desc){.type = &horus_image_type}) != 0)
        return fprintf(stderr, "%s\n", horus_last_error()), 1;
    while (horus_topic_receive_image(camera, &img, &info, 5000000000) == HORUS_OK) {
        printf("frame %u: %u x %u pixels of %u, sent %u us ago\n", (unsigned)info.sequence,
               img.width_px, img.height_px, *(uint8_t *)img.data,
               (unsigned)((horus_now_ns() - info.publish_ns) / 1000));
        horus_image_release(&img);
    }
    return 0;
}
