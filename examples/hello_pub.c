/* Sends a grey frame 30 times a second. In this directory: gcc -O2 -I.. hello_pub.c -o hello_pub */
#define HORUS_IMPLEMENTATION
#include "horus.h"
#include <unistd.h>

int main(void)
{
    horus_topic *camera;
    horus_image img;
    if (horus_topic_open(&camera, "camera", &(horus_topic_desc){.type = &horus_image_type}) != 0)
        return fprintf(stderr, "%s\n", horus_last_error()), 1;
    for (int i = 0; i < 300 && !horus_image_alloc(&img, NULL, 640, 480, HORUS_RGB8, 0); i++) {
        memset(img.data, i, (size_t)img.stride_bytes * img.height_px);
        horus_topic_send_image(camera, &img, HORUS_NO_WAIT);
        horus_image_release(&img);
        usleep(33333);
    }
    return 0;
}
