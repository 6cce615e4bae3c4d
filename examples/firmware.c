/* firmware: horus without an operating system. Everything lies in one static array; an interrupt
 * handler publishes IMU samples, the main loop filters them and hands out frames.
 *
 *     gcc -O2 -I.. firmware.c -o firmware          in this directory, to try it; or
 *     arm-none-eabi-gcc -mcpu=cortex-m3 -mthumb -O2 -I.. firmware.c -o firmware.elf \
 *         --specs=rdimon.specs -Wl,--section-start=.vectors=0
 *     qemu-system-arm -M mps2-an385 -nographic -semihosting -kernel firmware.elf */
#include <stdint.h>
#include <stdio.h>

/* The clock: nanoseconds that never go back. Here a counter that the tick interrupt moves. */
static volatile uint32_t ticks_ms;
static uint64_t firmware_now_ns(void) { return (uint64_t)ticks_ms * 1000000u; }

/* A Cortex-M3 has no 64-bit atomics: horus then masks interrupts around each such access. */
#if defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M'
static uint32_t firmware_mask;
static inline void firmware_enter(void)
{
    uint32_t before;
    __asm__ volatile("mrs %0, primask\n\tcpsid i" : "=r"(before)::"memory");
    firmware_mask = before; /* written with interrupts off */
}
static inline void firmware_leave(void)
{
    __asm__ volatile("msr primask, %0" ::"r"(firmware_mask) : "memory");
}
#define HORUS_CRITICAL_ENTER() firmware_enter()
#define HORUS_CRITICAL_LEAVE() firmware_leave()

/* What the processor starts from: the stack's end and the C library's entry. */
extern void _start(void);
__attribute__((section(".vectors"), used)) static const uintptr_t vectors[2] = {0x00200000,
                                                                                (uintptr_t)_start};
#endif

#define HORUS_NO_OS
#define HORUS_NOW_NS() firmware_now_ns()
#define HORUS_STATIC
#define HORUS_IMPLEMENTATION
#include "horus.h"

static _Alignas(64) uint8_t memory[64 * 1024]; /* everything: topics, rings, frames */
static horus_topic *imu_out; /* the interrupt's own handle: a handle belongs to one context */

/* What the timer interrupt does, a thousand times a second: inline messages are allowed in it. */
static void tick_interrupt(void)
{
    ticks_ms++;
    horus_imu sample = {.timestamp_ns = firmware_now_ns(),
                        .accel_z = 9.81,
                        .gyro_z = (double)(ticks_ms % 10) * 0.01};
    horus_topic_send(imu_out, &sample, sizeof sample, HORUS_NO_WAIT);
}

static int failed(const char *what, horus_result r)
{
    printf("%s: %s\n", what, horus_result_text(r));
    return 1;
}

int main(void)
{
    horus_context *context;
    const horus_context_desc ram = {.memory = memory,
                                    .memory_bytes = sizeof memory,
                                    .granule_bytes = 4096,
                                    .block_bytes = 256,
                                    .max_topics = 4};
    horus_result r = horus_context_open(&context, &ram);
    if (r != HORUS_OK)
        return failed("context", r);
    const horus_topic_desc imu = {.type = &horus_imu_type,
                                  .capacity = 8,
                                  .context = context,
                                  .max_publishers = 1,
                                  .max_subscribers = 2};
    horus_topic_desc out = imu;
    out.flags = HORUS_PUBLISHER; /* its ring is made now: no allocation in the interrupt */
    horus_topic *imu_in;
    if ((r = horus_topic_open(&imu_in, "imu", &imu)) != HORUS_OK ||
        (r = horus_topic_open(&imu_out, "imu", &out)) != HORUS_OK)
        return failed("topic", r);

    double heading = 0;
    uint64_t last_ns = 0;
    uint32_t received = 0, lost = 0;
    for (int loop = 0; loop < 100; loop++) {
        for (int i = 0; i < 5; i++)
            tick_interrupt(); /* on the target this comes by itself */
        horus_imu sample;
        horus_info info;
        while (horus_topic_receive(imu_in, &sample, sizeof sample, &info, HORUS_NO_WAIT) ==
               HORUS_OK) {
            if (last_ns)
                heading += sample.gyro_z * (double)(sample.timestamp_ns - last_ns) * 1e-9;
            last_ns = sample.timestamp_ns;
            received++;
            lost += (uint32_t)info.lost;
        }
    }
    printf("%u samples, %u lost, heading %d urad\n", (unsigned)received, (unsigned)lost,
           (int)(heading * 1e6));

    horus_pool *pool; /* frames come from the same memory: no heap */
    horus_image picture;
    if ((r = horus_pool_open(&pool, NULL, &(horus_pool_desc){.context = context})) != HORUS_OK ||
        (r = horus_image_alloc(&picture, pool, 64, 32, HORUS_MONO8, 0)) != HORUS_OK)
        return failed("frame", r);
    horus_image_release(&picture);
    horus_pool_close(pool);
    horus_topic_close(imu_in);
    horus_topic_close(imu_out);
    horus_context_close(context);
    return received == 500 && lost == 0 ? 0 : 1;
}
