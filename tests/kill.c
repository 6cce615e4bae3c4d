/* Kills a process after every single instruction of every operation, and stops it there for a
 * while: a survivor must go on, see only whole messages, and find the books balanced to the slot.
 *
 *     kill [-n steps per operation, about] [-s seed] [operation ...]
 *
 * One process joins, prepares, and stops itself; it is single-stepped through one operation (ptrace)
 * and killed after N steps, a fresh one for each N. Operations longer than the limit are sampled,
 * the same places for the same seed. */
#define HORUS_IMPLEMENTATION
#include "../horus.h"
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

enum { WHOLE = 200, QUEUED = 3 };
static const uint64_t POOL = 2 << 20;
static char space[64];
static uint64_t seed = 1, deaths, steps, stops;
static unsigned long budget = 200000;
static unsigned passed, failed;
static const char *op_name;
static unsigned long op_step;
static bool op_stopped;

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...)
{
    va_list args;
    fprintf(stderr, "kill: %s, %s after %lu steps: ", op_name, op_stopped ? "stopped" : "killed",
            op_step);
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, " (seed %llu; last error: %s)\n", (unsigned long long)seed, horus_last_error());
    exit(1);
}
#define MUST(cond) ((cond) ? (void)0 : die("%s:%d: %s", __FILE__, __LINE__, #cond))
#define MUST_OK(call)                                                                              \
    do {                                                                                           \
        horus_result r_ = (call);                                                                  \
        if (r_ != HORUS_OK)                                                                        \
            die("%s:%d: %s: %s", __FILE__, __LINE__, #call, horus_result_text(r_));                \
    } while (0)

static uint32_t rng(void)
{
    static uint64_t state;
    uint64_t z = state += 0x9e3779b97f4a7c15u + seed;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)(z >> 40);
}

/* ---- what is sent: whole, or seen not to be */

typedef struct message {
    uint64_t number, data[(WHOLE - 16) / 8], sum;
} message;
static message message_of(uint64_t number)
{
    message m;
    m.number = number;
    m.sum = number;
    for (size_t i = 0; i < sizeof m.data / 8; i++)
        m.sum = m.sum * 31 + (m.data[i] = number * 7 + i);
    return m;
}
static bool is_whole(const message *m)
{
    uint64_t sum = m->number;
    for (size_t i = 0; i < sizeof m->data / 8; i++)
        sum = sum * 31 + m->data[i];
    return sum == m->sum;
}

/* ---- both sides */

typedef struct side {
    horus_context *c;
    horus_pool *p;
    horus_topic *over, *rely, *queue, *tensors, *own;
    horus_frame frame, large;
    horus_tensor tensor;
} side;
static side us;   /* the survivor */
static side them; /* in the process that is killed */

static horus_topic *open_topic(side *s, const char *name, horus_policy policy)
{
    horus_topic *t;
    horus_topic_desc d = {.context = s->c,
                          .policy = policy,
                          .capacity = 4,
                          .message_bytes = WHOLE,
                          .max_publishers = 4,
                          .max_subscribers = 8};
    MUST_OK(horus_topic_open(&t, name, &d));
    return t;
}
static void join(side *s)
{
    horus_context_desc d = {
        .name = space, .pool_bytes = POOL, .granule_bytes = 4096, .max_topics = 8};
    MUST_OK(horus_context_open(&s->c, &d));
    MUST_OK(horus_pool_open(&s->p, NULL, &(horus_pool_desc){.context = s->c}));
}
static void open_all(side *s)
{
    s->over = open_topic(s, "over", HORUS_OVERWRITE);
    s->rely = open_topic(s, "rely", HORUS_RELIABLE);
    s->queue = open_topic(s, "queue", HORUS_QUEUE);
    s->tensors = open_topic(s, "tensors", HORUS_OVERWRITE);
}
static void alloc_tensor(side *s, horus_tensor *t, uint64_t number)
{
    MUST_OK(horus_tensor_alloc(t, s->p, HORUS_U64, 1, (int64_t[]){3000}, HORUS_UNINIT));
    for (int i = 0; i < 3000; i++)
        ((uint64_t *)t->data)[i] = number + (uint64_t)i;
}
static horus_result send(horus_topic *t, uint64_t number)
{
    message m = message_of(number);
    return horus_topic_send(t, &m, sizeof m, HORUS_NO_WAIT);
}

/* ---- the operations: prepare() is not traced, run() is */

typedef struct operation {
    const char *name;
    void (*prepare)(void); /* then the survivor sends something on every topic */
    void (*begin)(void);
    void (*run)(void);
    unsigned flags;
} operation;
enum {
    CORPSE = 1, /* a third process has died before, and nobody has swept it */
    ACKS = 2
}; /* a message of the queue may be done for good */

static void ready(void)
{
    message m;
    join(&them);
    open_all(&them);
    (void)horus_topic_wait(them.rely, HORUS_NO_WAIT); /* counts as a reader */
    (void)horus_topic_wait(them.over, HORUS_NO_WAIT);
    (void)horus_topic_receive(them.tensors, &m, sizeof m, NULL, HORUS_NO_WAIT);
}
static void nothing(void) {}
static void do_join(void) { join(&them); }
static void do_open(void) { them.own = open_topic(&them, "over", HORUS_OVERWRITE); }
static void do_create(void) { them.own = open_topic(&them, "fresh", HORUS_OVERWRITE); }
static void do_pool(void)
{
    horus_pool *p;
    MUST_OK(
        horus_pool_open(&p, "named", &(horus_pool_desc){.context = them.c, .pool_bytes = 1 << 18}));
}
static void do_alloc(void) { MUST_OK(horus_frame_alloc(&them.frame, them.p, 100, 0, NULL)); }
static void do_alloc_large(void)
{
    MUST_OK(horus_frame_alloc(&them.large, them.p, 40000, HORUS_UNINIT, NULL));
}
static void have_frames(void)
{
    ready();
    do_alloc();
    do_alloc_large();
    alloc_tensor(&them, &them.tensor, 5);
}
static void do_release(void)
{
    MUST_OK(horus_frame_release(&them.frame));
    MUST_OK(horus_frame_release(&them.large));
}
static void reuse(void)
{
    have_frames();
    do_release();
}
static void do_send(void) { MUST_OK(send(them.over, 1)); }
static void have_sent(void)
{
    ready();
    MUST_OK(send(them.over, 1));
    MUST_OK(send(them.rely, 1));
    MUST_OK(send(them.queue, 101));
}
static void do_send_again(void) { MUST_OK(send(them.over, 2)); }
static void do_send_reliable(void) { MUST_OK(send(them.rely, 2)); }
static void do_send_queue(void) { MUST_OK(send(them.queue, 102)); }
static void somebody_sleeps(void)
{
    have_sent();
    horusi_st32_seq(W, &them.over->shm->may_sleep, 1);
    (void)horusi_or64_seq(W, &them.over->shm->sleepers[us.c->mask_word], us.c->mask_bit);
}
static void do_send_tensor(void)
{
    MUST_OK(horus_topic_send_tensor(them.tensors, &them.tensor, HORUS_NO_WAIT));
}
static void have_sent_tensors(void)
{
    ready();
    for (uint64_t i = 0; i < 5; i++) {
        alloc_tensor(&them, &them.tensor, i);
        do_send_tensor();
        MUST_OK(horus_tensor_release(&them.tensor));
    }
    alloc_tensor(&them, &them.tensor, 5);
}
static void do_send_large(void) /* of more bytes than an entry has */
{
    static uint8_t large[30000];
    message m = message_of(3);
    memcpy(large, &m, sizeof m);
    MUST_OK(horus_topic_send(them.over, large, sizeof large, HORUS_NO_WAIT));
}
static void do_receive(void)
{
    message m;
    MUST_OK(horus_topic_receive(them.over, &m, sizeof m, NULL, HORUS_NO_WAIT));
    MUST(is_whole(&m));
}
static void do_receive_reliable(void)
{
    message m;
    MUST_OK(horus_topic_receive(them.rely, &m, sizeof m, NULL, HORUS_NO_WAIT));
    MUST(is_whole(&m));
}
static void do_receive_tensor(void)
{
    horus_tensor t;
    MUST_OK(horus_topic_receive_tensor(them.tensors, &t, NULL, HORUS_NO_WAIT));
    MUST_OK(horus_tensor_release(&t));
}
static void do_claim(void)
{
    message m;
    MUST_OK(horus_topic_receive(them.queue, &m, sizeof m, NULL, HORUS_NO_WAIT));
    MUST(is_whole(&m));
}
static void do_claim_next(void) /* unless somebody else took it while we were stopped */
{
    message m;
    horus_result r = horus_topic_receive(them.queue, &m, sizeof m, NULL, HORUS_NO_WAIT);
    MUST(r == HORUS_EMPTY || (r == HORUS_OK && is_whole(&m)));
}
static void do_ack(void) { MUST_OK(horus_topic_ack(them.queue)); }
static void do_put_back(void)
{
    uint8_t small;
    horus_result r = horus_topic_receive(them.queue, &small, 1, NULL, HORUS_NO_WAIT);
    MUST(r == HORUS_E_SIZE || r == HORUS_EMPTY);
}
static void do_wait(void)
{
    message m;
    (void)horus_topic_drain(them.over, NULL);
    horus_result r = horus_topic_receive(them.over, &m, sizeof m, NULL, 300000);
    MUST(r == HORUS_TIMEOUT || (r == HORUS_OK && is_whole(&m)));
}
static void do_sweep(void) { MUST_OK(horus_context_sweep(them.c, NULL)); }
static void do_close_topic(void) { horus_topic_close(them.over); }
static void do_close_queue(void) { horus_topic_close(them.queue); }
static void do_leave(void) { horus_context_close(them.c); }
static void do_fill(void) /* an allocation that must first take back our own old frames */
{
    horus_frame f;
    MUST_OK(horus_frame_alloc(&f, them.p, POOL / 2, HORUS_UNINIT, NULL));
}
static void do_trim(void) { MUST_OK(horus_pool_trim(them.p, NULL)); }

static const operation operations[] = {
    {"join", nothing, nothing, do_join, 0},
    {"join, sweeping", nothing, nothing, do_join, CORPSE},
    {"open", ready, nothing, do_open, 0},
    {"create", ready, nothing, do_create, 0},
    {"named pool", ready, nothing, do_pool, 0},
    {"alloc", ready, nothing, do_alloc, 0},
    {"alloc large", ready, nothing, do_alloc_large, 0},
    {"alloc reused", reuse, nothing, do_alloc, 0},
    {"alloc large reused", reuse, nothing, do_alloc_large, 0},
    {"release", have_frames, nothing, do_release, 0},
    {"first send", ready, nothing, do_send, 0},
    {"send", have_sent, nothing, do_send_again, 0},
    {"send, waking", have_sent, somebody_sleeps, do_send_again, 0},
    {"send reliable", have_sent, nothing, do_send_reliable, 0},
    {"send to a queue", have_sent, nothing, do_send_queue, 0},
    {"first send of a frame", have_frames, nothing, do_send_tensor, 0},
    {"send of a frame, evicting", have_sent_tensors, nothing, do_send_tensor, 0},
    {"send of a large message", have_sent, nothing, do_send_large, 0},
    {"receive", ready, nothing, do_receive, 0},
    {"receive reliable", ready, nothing, do_receive_reliable, 0},
    {"receive a frame", ready, nothing, do_receive_tensor, 0},
    {"claim", ready, nothing, do_claim_next, 0},
    {"claim the next", ready, do_claim, do_claim_next, ACKS},
    {"ack", ready, do_claim, do_ack, ACKS},
    {"put back", ready, nothing, do_put_back, 0},
    {"wait", ready, nothing, do_wait, 0},
    {"sweep", ready, nothing, do_sweep, CORPSE},
    {"alloc, making room", have_sent_tensors, nothing, do_fill, 0},
    {"trim", have_frames, nothing, do_trim, 0},
    {"close", have_sent, nothing, do_close_topic, 0},
    {"close a queue", ready, do_claim, do_close_queue, ACKS},
    {"leave", have_sent_tensors, do_claim, do_leave, ACKS},
};

/* ---- the survivor */

static uint64_t sent_over, sent_rely, sent_queue, baseline;
static uint64_t queued[8]; /* numbers that may come from the queue */
static unsigned queued_count, queued_left;

static void feed(void)
{
    horus_tensor t;
    MUST_OK(send(us.over, 1000 + ++sent_over));
    MUST_OK(send(us.rely, 1000 + ++sent_rely));
    queued_count = queued_left = QUEUED;
    for (unsigned i = 0; i < QUEUED; i++) {
        queued[i] = 1000 + ++sent_queue;
        MUST_OK(send(us.queue, 1000 + sent_queue));
    }
    alloc_tensor(&us, &t, 1000);
    MUST_OK(horus_topic_send_tensor(us.tensors, &t, HORUS_NO_WAIT));
    MUST_OK(horus_tensor_release(&t));
}

/* Gets all that there is, and looks at it. */
static void drain(void)
{
    static uint64_t last[1 << 16]; /* per publisher: row and ring are below 128 and 4 */
    message m;
    horus_info info;
    horus_tensor t;
    horus_result r;
    static uint8_t large[40000];
    while ((r = horus_topic_receive(us.over, large, sizeof large, &info, HORUS_NO_WAIT)) ==
           HORUS_OK) {
        memcpy(&m, large, sizeof m);
        MUST(is_whole(&m));
    }
    MUST(r == HORUS_EMPTY);
    while ((r = horus_topic_receive(us.rely, &m, sizeof m, &info, HORUS_NO_WAIT)) == HORUS_OK) {
        uint64_t *seen = &last[(info.publisher >> 16) * 4 + (info.publisher & 0xffff)];
        MUST(is_whole(&m) && info.lost == 0);
        MUST(info.sequence == *seen + 1 || info.sequence == 1);
        *seen = info.sequence;
    }
    MUST(r == HORUS_EMPTY);
    while ((r = horus_topic_receive(us.queue, &m, sizeof m, &info, HORUS_NO_WAIT)) == HORUS_OK) {
        MUST(is_whole(&m));
        bool known = m.number < 1000; /* theirs, or the corpse's */
        for (unsigned i = 0; i < queued_count && !known; i++)
            if (queued[i] == m.number) {
                known = true;
                queued_left--;
                queued[i] = 0; /* once */
            }
        MUST(known);
        MUST_OK(horus_topic_ack(us.queue));
    }
    MUST(r == HORUS_EMPTY);
    while ((r = horus_topic_receive_tensor(us.tensors, &t, &info, HORUS_NO_WAIT)) == HORUS_OK) {
        MUST(t.ndim == 1 && t.shape[0] == 3000);
        for (int i = 0; i < 3000; i++)
            MUST(((uint64_t *)t.data)[i] == *(uint64_t *)t.data + (uint64_t)i);
        MUST_OK(horus_tensor_release(&t));
    }
    MUST(r == HORUS_EMPTY);
}

static void check_books(void)
{
    horus_audit a;
    MUST_OK(horus_pool_audit(us.p, &a, NULL, NULL));
    if (!a.balanced)
        die("the audit says: %s", a.first);
}
static uint64_t used_slots(void)
{
    horus_pool_stats st;
    MUST_OK(horus_pool_get_stats(us.p, &st));
    return st.used_slots;
}
/* Everything works; what comes back is dropped. */
static void go_on(void)
{
    horus_frame small, large;
    horus_tensor t;
    MUST_OK(horus_frame_alloc(&small, us.p, 100, 0, NULL));
    MUST_OK(horus_frame_alloc(&large, us.p, 40000, 0, NULL));
    MUST_OK(send(us.over, 1000 + ++sent_over));
    horus_result r = send(us.rely, 1000 + sent_rely + 1);
    MUST(r == HORUS_OK || (op_stopped && r == HORUS_FULL)); /* a stopped reader is not dead */
    sent_rely += r == HORUS_OK;
    r = send(us.queue, 999);
    MUST(r == HORUS_OK || (op_stopped && r == HORUS_FULL));
    alloc_tensor(&us, &t, 77);
    MUST_OK(horus_topic_send_tensor(us.tensors, &t, HORUS_NO_WAIT));
    MUST_OK(horus_tensor_release(&t));
    MUST_OK(horus_frame_release(&small));
    MUST_OK(horus_frame_release(&large));
}

static void show_holder(void *user, const horus_holder *h)
{
    (void)user;
    fprintf(stderr, "  slot %u, %llu bytes: row %u pid %d%s%s%s %s\n", h->slot,
            (unsigned long long)h->bytes, h->row, h->pid, h->alive ? "" : " dead",
            h->ring ? " ring" : "", h->internal ? " internal" : "", h->topic);
}

static void survive(const operation *op)
{
    MUST_OK(horus_context_sweep(us.c, NULL));
    check_books();
    drain();
    if (queued_left > (op->flags & ACKS ? 2u : 0u))
        die("%u of %u messages of the queue were lost", queued_left, queued_count);
    for (int i = 0; i < 5; i++) { /* whoever comes later is to have these, not what the dead sent */
        go_on();
        drain();
    }
    if (strcmp(op->name, "create") == 0)
        horus_topic_close(open_topic(&us, "fresh", HORUS_OVERWRITE));
    if (strcmp(op->name, "named pool") == 0) {
        horus_pool *named;
        horus_audit a;
        MUST_OK(horus_pool_open(&named, "named",
                                &(horus_pool_desc){.context = us.c, .pool_bytes = 1 << 18}));
        MUST_OK(horus_pool_audit(named, &a, NULL, NULL));
        MUST(a.balanced && a.slots == 0);
    }
    MUST_OK(horus_context_sweep(us.c, NULL));
    drain(); /* lets go of rings that have ended */
    check_books();
    if (baseline == 0)
        baseline = used_slots();
    if (used_slots() != baseline) {
        horus_audit a;
        (void)horus_pool_audit(us.p, &a, show_holder, NULL);
        die("%llu slots are in use, not %llu", (unsigned long long)used_slots(),
            (unsigned long long)baseline);
    }
}

/* ---- the one that dies */

static pid_t start(const operation *op)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    (void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    memset(&them, 0, sizeof them);
    op->prepare();
    (void)raise(SIGSTOP);
    op->begin();
    (void)raise(SIGSTOP);
    op->run();
    (void)raise(SIGSTOP);
    _exit(0);
}
/* Lets it run to its next SIGSTOP. */
static void run_on(pid_t pid, bool first)
{
    int status;
    if (!first)
        (void)ptrace(PTRACE_CONT, pid, NULL, NULL);
    if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status) || WSTOPSIG(status) != SIGSTOP)
        die("the other process ended with status %x", (unsigned)status);
}
/* One instruction further; true if that was the end of the operation. */
static bool step(pid_t pid)
{
    int status;
    (void)ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL);
    if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
        die("the other process ended with status %x", (unsigned)status);
    steps++;
    return WSTOPSIG(status) == SIGSTOP;
}
static void finish(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
}
/* A process that leaves something of everything behind. */
static void leave_corpse(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        memset(&them, 0, sizeof them);
        have_frames();
        (void)send(them.over, 301);
        (void)send(them.rely, 301);
        (void)send(them.queue, 302);
        do_claim();
        do_send_tensor();
        (void)kill(getpid(), SIGKILL);
    }
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
}
static pid_t bring_to_start(const operation *op)
{
    op_step = 0;
    pid_t pid = start(op);
    run_on(pid, true);
    feed();
    if (op->flags & CORPSE)
        leave_corpse();
    run_on(pid, false);
    return pid;
}

static void try_operation(const operation *op)
{
    uint64_t steps_before = steps, deaths_before = deaths, stops_before = stops;
    op_name = op->name;
    op_stopped = false;
    pid_t pid = bring_to_start(op); /* how long is it? */
    unsigned long length = 0;
    while (!step(pid))
        length++;
    finish(pid);
    survive(op);
    unsigned long tries = length ? 2 * budget / length : 1, n = 0;
    tries = tries < 8 ? 8 : tries;
    for (unsigned long i = 0; i < tries && n <= length; i++) {
        n = tries >= length ? i
                            : (unsigned long)(((double)i + rng() % 1000 / 1000.0) * (double)length /
                                              (double)tries);
        bool stop = i % 4 == 3;
        pid = bring_to_start(op);
        bool over = false;
        for (op_step = 0; op_step < n && !over; op_step++)
            over = step(pid);
        if (stop) {
            op_stopped = true;
            go_on();
            drain();
            if (!over)
                run_on(pid, false);
            op_stopped = false;
            stops++;
        }
        finish(pid);
        deaths++;
        survive(op);
    }
    printf("%-26s %7lu instructions, %5llu deaths, %4llu stops, %9llu steps\n", op->name, length,
           (unsigned long long)(deaths - deaths_before), (unsigned long long)(stops - stops_before),
           (unsigned long long)(steps - steps_before));
    fflush(stdout);
    passed++;
}

int main(int argc, char **argv)
{
    int c, first = 0;
    while ((c = getopt(argc, argv, "n:s:")) != -1)
        if (c == 'n')
            budget = strtoul(optarg, NULL, 10);
        else if (c == 's')
            seed = strtoull(optarg, NULL, 10);
    first = optind;
    op_name = "set-up";
    (void)snprintf(space, sizeof space, "kill%d", (int)getpid());
    join(&us);
    open_all(&us);
    (void)horus_topic_wait(us.over, HORUS_NO_WAIT);
    (void)horus_topic_wait(us.rely, HORUS_NO_WAIT);
    (void)horus_topic_wait(us.queue, HORUS_NO_WAIT);
    for (int i = 0; i < 8; i++) { /* until our rings are full, and hold what they always hold */
        feed();
        drain();
    }
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        bool wanted = first >= argc;
        for (int k = first; k < argc; k++)
            wanted |= strcmp(argv[k], operations[i].name) == 0;
        if (wanted)
            try_operation(&operations[i]);
    }
    op_name = "the end";
    horus_context_close(us.c);
    char path[128];
    (void)snprintf(path, sizeof path, "/dev/shm/horus.%s", space);
    MUST(access(path, F_OK) != 0);
    printf("%u operations, %llu deaths, %llu stops, %llu steps\n", passed,
           (unsigned long long)deaths, (unsigned long long)stops, (unsigned long long)steps);
    printf("%u passed, %u failed\n", passed, failed);
    return 0;
}
