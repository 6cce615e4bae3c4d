/* reliable_command: a controller sends motor commands that must all arrive, in order, to a slow
 * motor driver, which answers each. When the driver falls behind, the sender is told (FULL, or it
 * waits); when the driver dies, the sender is not held back by it. In this directory:
 *
 *     gcc -O2 -I.. reliable_command.c -o reliable_command && ./reliable_command */
#define HORUS_IMPLEMENTATION
#include "horus.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define ACK_FIELDS(F, A, S, N, V, W) F(u64, timestamp_ns) F(u64, command) F(f64, position)
HORUS_MESSAGE(motor_ack, "MotorAck", "motor_ack", ACK_FIELDS)

static const horus_topic_desc commands_desc = {
    .type = &horus_motor_command_type, .policy = HORUS_RELIABLE, .capacity = 8};
static const horus_topic_desc acks_desc = {
    .type = &horus_motor_ack_type, .policy = HORUS_RELIABLE, .history = 1};

static int driver(void)
{
    horus_topic *commands, *acks;
    if (horus_topic_open(&commands, "motor_cmd", &commands_desc) != 0 ||
        horus_topic_open(&acks, "motor_ack", &acks_desc) != 0)
        return fprintf(stderr, "driver: %s\n", horus_last_error()), 1;
    horus_motor_command command;
    horus_motor_ack ack = {0};
    horus_info info;
    horus_topic_drain(commands, NULL); /* from here on it is a reader that is waited for */
    horus_topic_send(acks, &ack, sizeof ack, HORUS_FOREVER); /* command 0: ready */
    while (horus_topic_receive(commands, &command, sizeof command, &info, 1000000000) == HORUS_OK) {
        usleep(2000); /* the motor is slow */
        ack = (horus_motor_ack){horus_now_ns(), info.sequence, command.target};
        horus_topic_send(acks, &ack, sizeof ack, HORUS_FOREVER);
    }
    return 0;
}

int main(void)
{
    pid_t child = fork();
    if (child == 0)
        return driver();
    horus_topic *commands, *acks;
    horus_motor_ack ack;
    if (horus_topic_open(&commands, "motor_cmd", &commands_desc) != 0 ||
        horus_topic_open(&acks, "motor_ack", &acks_desc) != 0 ||
        horus_topic_receive(acks, &ack, sizeof ack, NULL, 5000000000) != HORUS_OK)
        return fprintf(stderr, "%s\n", horus_last_error()), 1;

    unsigned full = 0, answered = 0, in_order = 0;
    for (unsigned i = 1; i <= 100; i++) {
        horus_motor_command command = {.timestamp_ns = horus_now_ns(),
                                       .motor_id = 1,
                                       .mode = 1,
                                       .target = i * 0.01,
                                       .enable = 1};
        horus_result r = horus_topic_send(commands, &command, sizeof command, HORUS_NO_WAIT);
        if (r == HORUS_FULL) { /* eight are waiting already: now wait, but not for ever */
            full++;
            r = horus_topic_send(commands, &command, sizeof command, 500000000);
        }
        if (r != HORUS_OK)
            return fprintf(stderr, "command %u: %s\n", i, horus_last_error()), 1;
        while (horus_topic_receive(acks, &ack, sizeof ack, NULL, HORUS_NO_WAIT) == HORUS_OK)
            in_order += ack.command == ++answered;
    }
    while (answered < 100 &&
           horus_topic_receive(acks, &ack, sizeof ack, NULL, 1000000000) == HORUS_OK)
        in_order += ack.command == ++answered;
    printf("100 commands sent, %u answered, %u in order; the channel was full %u times\n", answered,
           in_order, full);

    kill(child, SIGKILL); /* a dead reader holds nobody back */
    waitpid(child, NULL, 0);
    unsigned accepted = 0;
    uint64_t start = horus_now_ns();
    for (unsigned i = 0; i < 20; i++) {
        horus_motor_command off = {.timestamp_ns = horus_now_ns(), .motor_id = 1};
        accepted += horus_topic_send(commands, &off, sizeof off, 1000000000) == HORUS_OK;
    }
    printf("after the driver's death %u of 20 accepted in %.1f ms\n", accepted,
           (double)(horus_now_ns() - start) / 1e6);
    horus_topic_close(commands);
    horus_topic_close(acks);
    return answered == 100 && in_order == 100 && full > 0 && accepted == 20 ? 0 : 1;
}
