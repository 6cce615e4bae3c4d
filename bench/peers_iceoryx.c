/* iceoryx's C binding, handing over chunks as bench.c hands over images: loan, publish, take,
 * release. */
#define _GNU_SOURCE
#include "bench.h"

#include <stdbool.h>

#include "iceoryx_binding_c/log.h"
#include "iceoryx_binding_c/publisher.h"
#include "iceoryx_binding_c/runtime.h"
#include "iceoryx_binding_c/subscriber.h"

static iox_pub_storage_t pub_storage;
static iox_sub_storage_t sub_storage;
static iox_pub_t pub;
static iox_sub_t sub;

void bench_iceoryx_open(int side)
{
    static const char *const event[] = {"ping", "pong"};
    iox_set_loglevel(Iceoryx_LogLevel_Warn);
    iox_runtime_init(side == 0 ? "bench-0" : "bench-1");
    iox_pub_options_t po;
    iox_pub_options_init(&po);
    pub = iox_pub_init(&pub_storage, "bench", "image", event[side], &po);
    iox_sub_options_t so;
    iox_sub_options_init(&so);
    so.queueCapacity = 8;
    sub = iox_sub_init(&sub_storage, "bench", "image", event[!side], &so);
    for (int i = 0; iox_sub_get_subscription_state(sub) != SubscribeState_SUBSCRIBED ||
                    !iox_pub_has_subscribers(pub);
         i++) {
        if (i == 2000) {
            bench_die("iceoryx does not connect");
        }
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
}

void bench_iceoryx_close(void)
{
    iox_sub_deinit(sub);
    iox_pub_deinit(pub);
}

static inline void chunk_send(uint32_t bytes, uint64_t i)
{
    void *chunk;
    if (iox_pub_loan_chunk(pub, &chunk, bytes) != AllocationResult_SUCCESS) {
        bench_die("iceoryx: loan of %u bytes refused", bytes);
    }
    *(volatile uint64_t *)chunk = i;
    iox_pub_publish_chunk(pub, chunk);
}

static inline void chunk_receive(uint64_t i)
{
    const void *chunk;
    enum iox_ChunkReceiveResult result;
    while ((result = iox_sub_take_chunk(sub, &chunk)) == ChunkReceiveResult_NO_CHUNK_AVAILABLE) {
    }
    if (result != ChunkReceiveResult_SUCCESS || *(const volatile uint64_t *)chunk != i) {
        bench_die("iceoryx: chunk %llu is wrong", (unsigned long long)i);
    }
    iox_sub_release_chunk(sub, chunk);
}

#define SEND_64K(side, i) chunk_send(65536, i)
#define SEND_1M(side, i) chunk_send(1048576, i)
#define SEND_8M(side, i) chunk_send(8388608, i)
#define RECEIVE(side, i) chunk_receive(i)
BENCH_PINGPONG(pingpong_64k, SEND_64K, RECEIVE)
BENCH_PINGPONG(pingpong_1m, SEND_1M, RECEIVE)
BENCH_PINGPONG(pingpong_8m, SEND_8M, RECEIVE)

void bench_iceoryx_64k(int side, uint64_t first, uint64_t n, bench_result *r)
{
    pingpong_64k(side, first, n, r);
}
void bench_iceoryx_1m(int side, uint64_t first, uint64_t n, bench_result *r)
{
    pingpong_1m(side, first, n, r);
}
void bench_iceoryx_8m(int side, uint64_t first, uint64_t n, bench_result *r)
{
    pingpong_8m(side, first, n, r);
}
