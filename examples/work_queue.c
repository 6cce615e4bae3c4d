/* work_queue: one process hands out jobs, three workers compete for them. One worker is killed in
 * the middle of a job: another one gets that job again, marked as redelivered. No job is lost.
 *
 *     gcc -O2 -I.. work_queue.c -o work_queue && ./work_queue      in this directory */
#define HORUS_IMPLEMENTATION
#include "horus.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define JOB_FIELDS(F, A, S, N, V, W) F(u64, timestamp_ns) F(u32, number) F(u32, cost_ms)
HORUS_MESSAGE(job, "Job", "jobs", JOB_FIELDS)
#define DONE_FIELDS(F, A, S, N, V, W)                                                              \
    F(u64, timestamp_ns) F(u32, number) F(u32, worker) F(bool8, again)
HORUS_MESSAGE(done, "Done", "done", DONE_FIELDS)

static const horus_topic_desc jobs_desc = {.type = &horus_job_type, .policy = HORUS_QUEUE};
static const horus_topic_desc done_desc = {.type = &horus_done_type, .policy = HORUS_RELIABLE};

enum { JOBS = 12, WORKERS = 3 };

static int work(uint32_t me)
{
    horus_topic *jobs, *done;
    if (horus_topic_open(&jobs, "jobs", &jobs_desc) != 0 ||
        horus_topic_open(&done, "done", &done_desc) != 0)
        return fprintf(stderr, "worker %u: %s\n", me, horus_last_error()), 1;
    horus_job job;
    horus_info info;
    while (horus_topic_receive(jobs, &job, sizeof job, &info, 2000000000) == HORUS_OK) {
        if (job.number == 5 && !info.redelivered)
            raise(SIGKILL); /* whoever gets job 5 first dies with it */
        usleep(job.cost_ms * 1000);
        horus_done report = {horus_now_ns(), job.number, me, info.redelivered};
        if (horus_topic_send(done, &report, sizeof report, HORUS_FOREVER) == HORUS_OK)
            horus_topic_ack(jobs); /* not before: a death until here means "do it again" */
    }
    return 0;
}

int main(void)
{
    for (uint32_t i = 1; i <= WORKERS; i++) {
        pid_t pid = fork(); /* before this process joins: each one joins by itself */
        if (pid == 0)
            return work(i);
        if (pid < 0)
            return perror("fork"), 1;
    }
    horus_topic *jobs, *done;
    if (horus_topic_open(&jobs, "jobs", &jobs_desc) != 0 ||
        horus_topic_open(&done, "done", &done_desc) != 0)
        return fprintf(stderr, "%s\n", horus_last_error()), 1;
    for (uint32_t i = 1; i <= JOBS; i++) { /* a queue keeps them for workers that come later */
        horus_job job = {horus_now_ns(), i, 20 + 10 * (i % 4)};
        if (horus_topic_send(jobs, &job, sizeof job, HORUS_FOREVER) != HORUS_OK)
            return fprintf(stderr, "%s\n", horus_last_error()), 1;
    }
    uint32_t finished = 0, again = 0, deaths = 0;
    horus_done report;
    while (finished < JOBS &&
           horus_topic_receive(done, &report, sizeof report, NULL, 5000000000) == HORUS_OK) {
        printf("job %2u done by worker %u%s\n", report.number, report.worker,
               report.again ? ", redelivered: the worker that had it died" : "");
        finished++;
        again += report.again;
    }
    horus_topic_close(jobs);
    horus_topic_close(done);
    for (int status; wait(&status) > 0;)
        deaths += WIFSIGNALED(status);
    printf("%u of %d jobs done, %u redelivered, %u worker killed\n", finished, JOBS, again, deaths);
    return finished == JOBS && again == 1 && deaths == 1 ? 0 : 1;
}
