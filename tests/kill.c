/* Kills a process after every single instruction of every operation, at the entry and exit of every
 * system call, between publishing and waking; and stops it there for a while. A survivor must go
 * on, see only whole messages, lose nothing that was promised to stay, and find the books balanced
 * to the slot.
 *
 *     kill [-n deaths, at least] [-s seed] [operation ...]
 *
 * 20500 deaths take a minute or two; -n 300000 has one at every step of every operation.
 *
 * A process joins, prepares, and stops itself. One is single-stepped through the operation (ptrace)
 * and each place that it comes to is noted. Then a fresh one dies after N steps, for each N: a
 * breakpoint brings it near, single steps bring it there, and where it came to is looked at, not
 * assumed. Where there are more steps than -n allows, the first time that each instruction is
 * executed is never left out, and the rest are an even sample, the same for the same seed. */
#if !defined(__x86_64__) || !defined(__linux__)
#error "kill.c: steps through x86-64 instructions on Linux; leave it out elsewhere"
#endif
#define HORUS_IMPLEMENTATION
#include "../horus.h"
#include <alloca.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

enum {
    WHOLE = 200,  /* bytes of a message */
    LARGE = 2000, /* of one that does not fit into an entry */
    COUNT = 1200, /* elements of a tensor: three granules, and a ring may pin eight */
    CAPACITY = 4, /* of each ring */
    QUEUED = 3,
    OURS = 1000,   /* the survivor's messages are numbered from here, all others are below */
    SECONDS = 120, /* that one death may take: nobody may block */
    GRANULE = 4096,
    BLOCK = 1024,
    POOL = 64 * GRANULE
};
static char space[64], space2[64], homes[2][420]; /* the second is there for moments */
static uint64_t seed = 1;
static unsigned long budget; /* 0: 20500, or every step once of operations that are named */
static unsigned passed, failed;
static pid_t victim; /* 0: none */

static struct { /* what was done, in all */
    uint64_t deaths, at_calls, before_wakes, stops, steps, strays, places, died, retries;
} sum;

static struct { /* what is being done, for messages */
    const char *operation, *what;
    size_t step;
} now = {"set-up", "killed", 0};

static void remove_all(void)
{
    for (int i = 0; i < 2; i++) {
        DIR *d = opendir(homes[i]);
        for (struct dirent *e; d && (e = readdir(d)) != NULL;)
            (void)unlinkat(dirfd(d), e->d_name, 0);
        if (d)
            (void)closedir(d);
        (void)rmdir(homes[i]);
    }
}
__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...)
{
    va_list args;
    fprintf(stderr, "kill: FAILED: %s, %s after %zu steps: ", now.operation, now.what, now.step);
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, " (seed %llu; last error: %s)\n", (unsigned long long)seed, horus_last_error());
    if (victim > 0)
        (void)kill(victim, SIGKILL);
    if (victim >= 0) { /* not in the victim */
        printf("%u passed, 1 failed\n", passed);
        remove_all();
    }
    exit(1);
}
static void on_alarm(int signal)
{
    (void)signal;
    die("somebody blocked for %d s", SECONDS);
}
static void on_term(int signal) { die("told to stop by signal %d", signal); }
#define MUST(cond) ((cond) ? (void)0 : die("%s:%d: %s", __FILE__, __LINE__, #cond))
#define MUST_OK(call)                                                                              \
    do {                                                                                           \
        horus_result r_ = (call);                                                                  \
        if (r_ != HORUS_OK)                                                                        \
            die("%s:%d: %s: %s", __FILE__, __LINE__, #call, horus_result_text(r_));                \
    } while (0)

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
    uint64_t s = m->number;
    for (size_t i = 0; i < sizeof m->data / 8; i++)
        s = s * 31 + m->data[i];
    return s == m->sum;
}
static void fill_tensor(const horus_tensor *t, uint64_t number)
{
    for (uint64_t i = 0; i < COUNT; i++)
        ((uint64_t *)t->data)[i] = number + i;
}
static bool tensor_is_whole(const horus_tensor *t)
{
    const uint64_t *data = t->data;
    for (uint64_t i = 0; i < COUNT; i++)
        if (data[i] != data[0] + i)
            return false;
    return t->ndim == 1 && t->shape[0] == COUNT;
}
static bool is_zero(const void *data, size_t bytes)
{
    const uint8_t *p = data;
    return bytes == 0 || (p[0] == 0 && memcmp(p, p + 1, bytes - 1) == 0);
}

/* ---- both sides */

typedef struct side {
    horus_context *c;
    horus_pool *p, *named;
    horus_topic *over, *rely, *queue, *tensors, *own;
    horus_frame frame, large;
    horus_tensor tensor, got;
} side;
static side us;   /* the survivor */
static side them; /* in the process that is killed */

static horus_topic_desc topic_desc(const side *s, horus_policy policy)
{
    return (horus_topic_desc){.context = s->c,
                              .policy = policy,
                              .capacity = CAPACITY,
                              .message_bytes = WHOLE,
                              .max_publishers = 4,
                              .max_subscribers = 8};
}
static horus_topic *open_topic(side *s, const char *name, horus_policy policy)
{
    horus_topic *t;
    horus_topic_desc d = topic_desc(s, policy);
    MUST_OK(horus_topic_open(&t, name, &d));
    return t;
}
static horus_context_desc context_desc(const char *name)
{
    return (horus_context_desc){.name = name,
                                .pool_bytes = POOL,
                                .granule_bytes = GRANULE,
                                .block_bytes = BLOCK,
                                .max_topics = 8};
}
static horus_pool_desc named_desc(const side *s)
{
    return (horus_pool_desc){
        .context = s->c, .pool_bytes = 1 << 16, .granule_bytes = GRANULE, .block_bytes = BLOCK};
}
static void join(side *s)
{
    horus_context_desc d = context_desc(space);
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
    MUST_OK(horus_tensor_alloc(t, s->p, HORUS_U64, 1, (int64_t[]){COUNT}, HORUS_UNINIT));
    fill_tensor(t, number);
}
static horus_result send(horus_topic *t, uint64_t number)
{
    message m = message_of(number);
    return horus_topic_send(t, &m, sizeof m, HORUS_NO_WAIT);
}

struct board { /* shared with the others */
    _Atomic uint32_t ready, go, done;
    int32_t result;
    uint64_t number, kept_waiting_ns, sleeps;
    bool whole;
    bool squeezed; /* the one that was stopped may find no memory */
    _Atomic uint32_t ticks, long_ticks,
        safe;               /* of the victim's node: what its callbacks have seen */
    _Atomic uint32_t lines; /* that were logged */
    _Atomic int32_t pid;
};
static struct board *board;

/* ---- the operations
 *
 * prepare() and begin() are not traced: before and after the survivor has sent something on every
 * topic. run() is one call of the library, and what it uses is made ready by then: nothing of this
 * file is stepped through. check() looks at what came of it, if its process lived so long. */

typedef struct operation {
    const char *name;
    void (*prepare)(void), (*begin)(void), (*run)(void), (*check)(void);
    unsigned flags;
} operation;
enum {
    CORPSE = 1,     /* a third process has died before, and nobody has swept it */
    ACKS = 2,       /* one message of the queue may be done for good */
    SENT = 4,       /* over 1, rely 1 and queue 101 are sent, and stay */
    TENSORS = 8,    /* so are tensors 2 to 4, of which the oldest may have to go */
    SENDS = 16,     /* over 2, rely 2, queue 102 or tensor 5: once, and surely if the call ended */
    CLAIMS = 32,    /* once the call has ended, a message of the queue is claimed */
    FRESH = 64,     /* topic "fresh" may be half made */
    NAMED = 128,    /* pool "named", likewise */
    SECOND = 256,   /* the second namespace, likewise */
    ALLOCS = 2048,  /* stopped, it may find no memory afterwards */
    FILLS = 4096,   /* takes all memory: while it is stopped nobody else has any */
    READS = 512,    /* the survivor has read all before it begins */
    FIGURES = 8192, /* has a scheduler, whose figures and black box outlive it */
    INFERS = 16384, /* topics "status" and "activation" are there, and may be half made */
    THREADS =
        32768,    /* other threads run while one is stepped through: no breakpoints in their code */
    SWEEPS = 1024 /* reads nothing itself, and sweeps a reader that is dead */
};

/* Arguments and results of run(). */
static struct {
    horus_result r;
    message m;
    uint8_t large[LARGE];
    horus_info info;
    horus_topic_desc topic;
    horus_context_desc context;
    horus_pool_desc pool;
    uint64_t freed;
} it;

static void nothing(void) {}
static void fine(void)
{
    if (!(board->squeezed && it.r == HORUS_E_POOL_FULL))
        MUST_OK(it.r);
}
static void joined(void) { join(&them); }
static void ready(void)
{
    join(&them);
    open_all(&them);
    (void)horus_topic_wait(them.rely, HORUS_NO_WAIT); /* counts as a reader */
    (void)horus_topic_wait(them.over, HORUS_NO_WAIT);
    (void)horus_topic_receive(them.tensors, &it.m, sizeof it.m, NULL, HORUS_NO_WAIT);
}

static void will_join(void) { it.context = context_desc(space); }
static void will_found(void) { it.context = context_desc(space2); }
static void have_founded(void)
{
    will_found();
    MUST_OK(horus_context_open(&them.c, &it.context));
}
static void do_join(void) { it.r = horus_context_open(&them.c, &it.context); }
static void check_join(void)
{
    horus_frame f;
    MUST_OK(it.r);
    MUST_OK(horus_pool_open(&them.p, NULL, &(horus_pool_desc){.context = them.c}));
    MUST_OK(horus_frame_alloc(&f, them.p, 100, 0, NULL));
    MUST_OK(horus_frame_release(&f));
}
static void will_open(void)
{
    ready();
    it.topic = topic_desc(&them, HORUS_OVERWRITE);
}
static void do_open(void) { it.r = horus_topic_open(&them.own, "over", &it.topic); }
static void do_create(void) { it.r = horus_topic_open(&them.own, "fresh", &it.topic); }
static void will_pool(void)
{
    ready();
    it.pool = named_desc(&them);
}
static void do_pool(void) { it.r = horus_pool_open(&them.named, "named", &it.pool); }

static void do_alloc(void) { it.r = horus_frame_alloc(&them.frame, them.p, 100, 0, NULL); }
static void do_alloc_large(void)
{
    it.r = horus_frame_alloc(&them.large, them.p, 10000, HORUS_UNINIT, NULL);
}
static void check_alloc(void)
{
    void *data;
    uint64_t bytes;
    fine();
    if (it.r != HORUS_OK)
        return;
    MUST_OK(horus_frame_data(&them.frame, &data, &bytes));
    MUST(bytes == 100 && is_zero(data, bytes));
}
static void do_release(void) { it.r = horus_frame_release(&them.frame); }
static void do_release_large(void) { it.r = horus_frame_release(&them.large); }
static void have_frames(void)
{
    ready();
    do_alloc();
    fine();
    do_alloc_large();
    fine();
    alloc_tensor(&them, &them.tensor, 5);
}
static void have_released(void)
{
    have_frames();
    do_release();
    fine();
    do_release_large();
    fine();
}
static void do_trim(void) { it.r = horus_pool_trim(them.p, &it.freed); }
static void have_trimmed(void) /* so that memory must be had from the system */
{
    ready();
    do_trim();
    fine();
}
static void check_tensor(void) /* that was ours all the time */
{
    MUST_OK(it.r);
    MUST(tensor_is_whole(&them.tensor) && *(uint64_t *)them.tensor.data == 5);
}

static void fill_pool(void) /* so that the next granule is one of our own old frames */
{
    horus_frame f;
    uint32_t frames = them.tensors->out->frames;
    while (them.tensors->out->frames == frames)
        MUST_OK(horus_frame_alloc(&f, them.p, GRANULE, HORUS_UNINIT, NULL));
    for (int i = 0; i < 2; i++)
        MUST_OK(horus_frame_alloc(&f, them.p, GRANULE, HORUS_UNINIT, NULL));
    MUST(them.tensors->out->frames == frames - 1);
}
static void do_alloc_granule(void)
{
    it.r = horus_frame_alloc(&them.frame, them.p, GRANULE, HORUS_UNINIT, NULL);
}
static void check_made_room(void)
{
    check_tensor();
    MUST(them.tensors->out->frames == 1);
}

static void will_send(void)
{
    ready();
    it.m = message_of(2);
}
static void will_send_first(void)
{
    ready();
    it.m = message_of(102);
}
static void have_sent(void)
{
    ready();
    MUST_OK(send(them.over, 1));
    MUST_OK(send(them.rely, 1));
    MUST_OK(send(them.queue, 101));
    it.m = message_of(2);
    memcpy(it.large, &it.m, sizeof it.m);
}
static void will_send_queued(void)
{
    have_sent();
    it.m = message_of(102);
}
static void do_send(void) { it.r = horus_topic_send(them.over, &it.m, sizeof it.m, HORUS_NO_WAIT); }
static void do_send_reliable(void)
{
    it.r = horus_topic_send(them.rely, &it.m, sizeof it.m, HORUS_NO_WAIT);
}
static void do_send_queue(void)
{
    it.r = horus_topic_send(them.queue, &it.m, sizeof it.m, HORUS_NO_WAIT);
}
static void somebody_sleeps(void)
{
    horusi_st32_seq(W, &them.over->shm->may_sleep, 1);
    (void)horusi_or64_seq(W, &them.over->shm->sleepers[us.c->mask_word], us.c->mask_bit);
}
static void fill_reliable(void) /* the corpse has not read what we send */
{
    for (uint64_t i = 0; i < CAPACITY - 1; i++)
        MUST_OK(send(them.rely, 3 + i));
    MUST_OK(horus_topic_drain(them.rely, NULL)); /* we ourselves have */
}
static void do_send_tensor(void)
{
    it.r = horus_topic_send_tensor(them.tensors, &them.tensor, HORUS_NO_WAIT);
}
static void have_sent_tensors(void)
{
    have_sent();
    for (uint64_t i = 0; i < 5; i++) {
        alloc_tensor(&them, &them.tensor, i);
        do_send_tensor();
        fine();
        MUST_OK(horus_tensor_release(&them.tensor));
    }
    alloc_tensor(&them, &them.tensor, 5);
}
static void do_send_large(void)
{
    it.r = horus_topic_send(them.over, it.large, sizeof it.large, HORUS_NO_WAIT);
}

static void do_receive(void)
{
    it.r = horus_topic_receive(them.over, &it.m, sizeof it.m, &it.info, HORUS_NO_WAIT);
}
static void do_receive_reliable(void)
{
    it.r = horus_topic_receive(them.rely, &it.m, sizeof it.m, &it.info, HORUS_NO_WAIT);
}
static void check_receive(void)
{
    MUST_OK(it.r);
    MUST(is_whole(&it.m));
}
static void check_receive_reliable(void)
{
    check_receive();
    MUST(it.info.lost == 0);
}
static void have_received(void) /* a message of somebody who waits for room */
{
    horusi_st32_seq(W, &them.rely->shm->may_wait, 1);
    (void)horusi_or64_seq(W, &them.rely->shm->waiters[us.c->mask_word], us.c->mask_bit);
}
static void do_receive_tensor(void)
{
    it.r = horus_topic_receive_tensor(them.tensors, &them.got, &it.info, HORUS_NO_WAIT);
}
static void check_receive_tensor(void)
{
    MUST_OK(it.r);
    MUST(tensor_is_whole(&them.got));
    MUST_OK(horus_tensor_release(&them.got));
}
static void have_received_tensor(void)
{
    do_receive_tensor();
    fine();
}
static void do_release_tensor(void) { it.r = horus_tensor_release(&them.got); }
static void do_claim(void)
{
    it.r = horus_topic_receive(them.queue, &it.m, sizeof it.m, &it.info, HORUS_NO_WAIT);
}
static void have_claimed(void)
{
    do_claim();
    check_receive();
}
static void check_claim(void) /* unless somebody else took it while we were stopped */
{
    MUST(it.r == HORUS_EMPTY || it.r == HORUS_OK);
    MUST(it.r == HORUS_EMPTY || is_whole(&it.m));
}
static void do_ack(void) { it.r = horus_topic_ack(them.queue); }
static void do_put_back(void) /* the buffer is too small for it */
{
    it.r = horus_topic_receive(them.queue, &it.m, 1, &it.info, HORUS_NO_WAIT);
}
static void check_put_back(void) { MUST(it.r == HORUS_E_SIZE || it.r == HORUS_EMPTY); }
static void will_wait(void) { (void)horus_topic_drain(them.over, NULL); }
static void do_wait(void)
{
    it.r = horus_topic_receive(them.over, &it.m, sizeof it.m, &it.info, 300000);
}
static void check_wait(void)
{
    MUST(it.r == HORUS_TIMEOUT || (it.r == HORUS_OK && is_whole(&it.m)));
}
static void do_sweep(void) { it.r = horus_context_sweep(them.c, NULL); }
static void do_close_topic(void) { horus_topic_close(them.over); }
static void do_close_queue(void) { horus_topic_close(them.queue); }
static void do_leave(void) { horus_context_close(them.c); }

/* A scheduler with a clock of its own, so that each time all is as the time before. Its black box has
 * room for ten ticks and four other records, and all are full when something happens. */
enum {
    PERIOD = 1000000, /* ns */
    SHORT = 1000,     /* that a tick takes */
    LONG = 600000,
    BUDGET = 500000,
    FORMER = 12, /* ticks before, and lines */
    BOX_TICKS = 10,
    BOX_EVENTS = 4,
    LINE = 79
};
static struct {
    horus_scheduler *s;
    uint64_t now, takes;
    bool logs, stops;
    char line[LINE + 1];
} node;
static uint64_t node_now(void *user)
{
    (void)user;
    return node.now;
}
static void node_sleep(void *user, uint64_t ns)
{
    (void)user;
    node.now = ns;
}
static void line_of(char *line, uint32_t number) /* whole, or seen not to be */
{
    for (int i = 0; i < LINE; i++)
        line[i] = (char)('A' + (number + (uint32_t)i) % 23);
    line[LINE] = 0;
}
static horus_result node_tick(void *user, horus_tick *t)
{
    (void)user;
    atomic_fetch_add(&board->ticks, 1);
    node.now += node.takes;
    if (node.takes > BUDGET)
        atomic_fetch_add(&board->long_ticks, 1);
    if (node.logs) {
        line_of(node.line, atomic_load(&board->lines));
        horus_scheduler_log(t->scheduler, t, node.line);
        atomic_fetch_add(&board->lines, 1);
    }
    if (node.stops)
        horus_scheduler_stop(t->scheduler);
    return HORUS_OK;
}
static void node_is_safe(void *user)
{
    (void)user;
    atomic_fetch_add(&board->safe, 1);
}
static horus_result node_ends(void *user)
{
    (void)user;
    node.now++;
    return HORUS_OK;
}
static void add_node(const char *name)
{
    MUST_OK(horus_scheduler_add(node.s, &(horus_node_desc){.name = name,
                                                           .tick = node_tick,
                                                           .shutdown = node_ends,
                                                           .safe_state = node_is_safe,
                                                           .rate_num = 1000000000 / PERIOD,
                                                           .budget_ns = BUDGET,
                                                           .on_miss = HORUS_MISS_SAFE_MODE}));
}
static void will_schedule(void)
{
    ready();
    node.now = 1000000007;
    node.takes = SHORT;
    MUST_OK(horus_scheduler_open(
        &node.s,
        &(horus_scheduler_desc){.name = "s",
                                .context = them.c,
                                .clock = &(horus_time_source){.now = node_now, .sleep = node_sleep},
                                .blackbox_bytes = BOX_EVENTS * 256}));
    add_node("node");
    board->ticks = board->long_ticks = board->safe = board->lines = 0;
    board->pid = getpid();
}
static void do_set_up(void) { it.r = horus_scheduler_step(node.s, 0); }
static void do_tick(void) { it.r = horus_scheduler_step(node.s, PERIOD); }
static void have_ticked(void)
{
    will_schedule();
    node.logs = true;
    MUST_OK(horus_scheduler_step(node.s, (int64_t)FORMER * PERIOD));
    node.logs = false;
}
static void will_move(void) /* the figures, to where there is room for one more */
{
    have_ticked();
    add_node("another");
}
static void will_miss(void)
{
    have_ticked();
    node.takes = LONG;
}
static void will_recover(void)
{
    will_miss();
    do_tick();
    fine();
    node.takes = SHORT;
}
static void will_log(void)
{
    have_ticked();
    line_of(node.line, FORMER);
    horusi_st32_rel(Q1, &node.s->busy, 2); /* as in a tick */
}
static void do_log(void) { horus_scheduler_log(node.s, NULL, node.line); }
static void check_log(void) { horusi_st32_rel(Q1, &node.s->busy, 0); }
static void will_stop(void)
{
    have_ticked();
    node.stops = true;
}
static void do_run(void) { it.r = horus_scheduler_run(node.s, HORUS_FOREVER); }
static void do_close_scheduler(void) { it.r = horus_scheduler_close(node.s); }

/* An inference operator: `same` gives what came on "tensors", and `sum` the sum of that and of a tensor
 * that was set by hand: 5, whatever comes. */
static struct {
    horus_infer *op;
    horus_topic *status, *activation;
    horus_tensor by_hand;
} infer;
static void open_infer(bool parallel)
{
    static const horus_infer_entry backends[] = {
        {"same", "identity"}, {"sum", "add"}, {NULL, NULL}};
    static const horus_infer_entry files[] = {
        {"same", "/proc/self/exe"}, {"sum", "/proc/self/exe"}, {NULL, NULL}};
    static const char *const x[] = {"x", NULL}, *const x_and_y[] = {"x", "y", NULL};
    static const char *const same[] = {"same", NULL}, *const sum[] = {"sum", NULL};
    static const horus_infer_list takes[] = {{"same", x}, {"sum", x_and_y}, {NULL, NULL}};
    static const horus_infer_list gives[] = {{"same", same}, {"sum", sum}, {NULL, NULL}};
    static const horus_infer_entry seldom[] = {{"sum", "10"}, {NULL, NULL}};
    static const horus_infer_entry off[] = {{"sum", "0"}, {NULL, NULL}};
    const horus_infer_activation on = {.model = "sum", .active = 1};
    static horus_infer_input from[] = {{NULL, "x", false}, {NULL, NULL, false}};
    ready();
    from[0].topic = open_topic(&them, "tensors", HORUS_OVERWRITE);
    infer.status = open_topic(&them, "status", HORUS_OVERWRITE);
    infer.activation = open_topic(&them, "activation", HORUS_OVERWRITE);
    MUST_OK(horus_topic_send(infer.activation, &on, sizeof on, HORUS_NO_WAIT));
    MUST_OK(
        horus_infer_open(&infer.op,
                         &(horus_infer_desc){.backend_map = backends,
                                             .model_path_map = files,
                                             .pre_processor_map = takes,
                                             .inference_map = gives,
                                             .temporal_map = seldom,
                                             .activation_map = off,
                                             .parallel_inference = parallel ? HORUS_YES : HORUS_NO,
                                             .inputs = from,
                                             .output = them.tensors,
                                             .status = infer.status,
                                             .activation = infer.activation,
                                             .pool = them.p},
                         NULL, 0));
    MUST_OK(horus_tensor_alloc(&infer.by_hand, them.p, HORUS_U64, 1, (int64_t[]){COUNT}, 0));
    for (uint64_t i = 0; i < COUNT; i++)
        ((uint64_t *)infer.by_hand.data)[i] = 5 - (uint64_t)OURS;
    MUST_OK(horus_infer_set(infer.op, "y", &infer.by_hand, 1));
}
static void will_infer(void) { open_infer(false); }
static void will_infer_at_once(void) { open_infer(true); } /* `sum` on a thread of its own */
static void have_inferred(void)                            /* and sent nothing yet */
{
    horus_tensor t;
    open_infer(false);
    alloc_tensor(&them, &t, OURS);
    MUST_OK(horus_infer_set(infer.op, "x", &t, 1));
    MUST_OK(horus_tensor_release(&t));
    MUST_OK(horus_infer_extract(infer.op));
    MUST_OK(horus_infer_execute(infer.op));
}
static void do_infer(void) { it.r = horus_infer_run(infer.op); }
static void check_infer(void)
{
    horus_infer_stats s[2];
    if (!(board->squeezed && (it.r == HORUS_E_NOT_FOUND || it.r == HORUS_EMPTY)))
        fine(); /* else its input had to go */
    MUST_OK(horus_infer_get_stats(infer.op, s, 2, NULL));
    MUST(s[0].frames == s[0].runs + s[0].failures && s[1].active);
    horus_infer_close(infer.op);
    MUST_OK(horus_tensor_release(&infer.by_hand));
}
static void do_close_infer(void) { horus_infer_close(infer.op); }

static const operation operations[] = {
    {"join", will_join, nothing, do_join, check_join, 0},
    {"join, sweeping", will_join, nothing, do_join, check_join, CORPSE | SWEEPS},
    {"found a namespace", will_found, nothing, do_join, check_join, SECOND},
    {"open", will_open, nothing, do_open, fine, 0},
    {"create", will_open, nothing, do_create, fine, FRESH},
    {"named pool", will_pool, nothing, do_pool, fine, NAMED},
    {"alloc", ready, nothing, do_alloc, check_alloc, ALLOCS},
    {"alloc large", ready, nothing, do_alloc_large, fine, ALLOCS},
    {"alloc reused", have_released, nothing, do_alloc, check_alloc, ALLOCS},
    {"alloc large reused", have_released, nothing, do_alloc_large, fine, ALLOCS},
    {"alloc large, after a trim", have_trimmed, nothing, do_alloc_large, fine, ALLOCS},
    {"alloc, making room", have_sent_tensors, fill_pool, do_alloc_granule, check_made_room,
     SENT | FILLS},
    {"release", have_frames, nothing, do_release, check_tensor, 0},
    {"release large", have_frames, nothing, do_release_large, check_tensor, 0},
    {"trim", have_released, nothing, do_trim, check_tensor, 0},
    {"first send", will_send, nothing, do_send, fine, SENDS | READS},
    {"first send reliable", will_send, nothing, do_send_reliable, fine, SENDS | READS},
    {"first send to a queue", will_send_first, nothing, do_send_queue, fine, SENDS | READS},
    {"send", have_sent, nothing, do_send, fine, SENT | SENDS},
    {"send, waking", have_sent, somebody_sleeps, do_send, fine, SENT | SENDS},
    {"send reliable", have_sent, nothing, do_send_reliable, fine, SENT | SENDS | READS},
    {"send reliable to a corpse", have_sent, fill_reliable, do_send_reliable, fine,
     CORPSE | READS | SENDS},
    {"send to a queue", will_send_queued, nothing, do_send_queue, fine, SENT | SENDS | READS},
    {"first send of a frame", have_frames, nothing, do_send_tensor, check_tensor, SENDS},
    {"send of a frame, evicting", have_sent_tensors, nothing, do_send_tensor, check_tensor,
     SENT | TENSORS | SENDS},
    {"send of a large message", have_sent, nothing, do_send_large, fine, SENT | SENDS},
    {"receive", ready, nothing, do_receive, check_receive, 0},
    {"receive reliable", ready, nothing, do_receive_reliable, check_receive_reliable, 0},
    {"receive reliable, waking", ready, have_received, do_receive_reliable, check_receive_reliable,
     0},
    {"receive a frame", ready, nothing, do_receive_tensor, check_receive_tensor, 0},
    {"release a frame", ready, have_received_tensor, do_release_tensor, fine, 0},
    {"claim", ready, nothing, do_claim, check_claim, CLAIMS},
    {"claim the next", ready, have_claimed, do_claim, check_claim, ACKS | CLAIMS},
    {"claim, of a corpse", ready, nothing, do_claim, check_claim, CORPSE | CLAIMS},
    {"ack", ready, have_claimed, do_ack, fine, ACKS},
    {"put back", ready, nothing, do_put_back, check_put_back, 0},
    {"wait", ready, will_wait, do_wait, check_wait, 0},
    {"sweep", joined, nothing, do_sweep, fine, CORPSE | SWEEPS},
    {"close", have_sent, nothing, do_close_topic, nothing, SENT},
    {"close a queue", ready, have_claimed, do_close_queue, nothing, ACKS},
    {"figures", will_schedule, nothing, do_set_up, fine, FIGURES},
    {"figures, moved", will_move, nothing, do_set_up, fine, FIGURES},
    {"tick", have_ticked, nothing, do_tick, fine, FIGURES},
    {"tick that misses", will_miss, nothing, do_tick, fine, FIGURES},
    {"tick that recovers", will_recover, nothing, do_tick, fine, FIGURES},
    {"log", will_log, nothing, do_log, check_log, FIGURES},
    {"run until stop", will_stop, nothing, do_run, fine, FIGURES},
    {"close a scheduler", have_ticked, nothing, do_close_scheduler, fine, FIGURES},
    {"infer", will_infer, nothing, do_infer, check_infer, INFERS | ALLOCS | SENDS},
    {"infer, sending again", have_inferred, nothing, do_infer, check_infer,
     INFERS | ALLOCS | SENDS},
    {"infer, two at once", will_infer_at_once, nothing, do_infer, check_infer,
     INFERS | ALLOCS | SENDS | THREADS},
    {"close an operator", have_inferred, nothing, do_close_infer, nothing, INFERS},
    {"leave", have_sent_tensors, have_claimed, do_leave, nothing, ACKS | SENT | TENSORS},
    {"leave as the last", have_founded, nothing, do_leave, nothing, SECOND},
};
enum { OPERATIONS = sizeof operations / sizeof operations[0] };

/* ---- the survivor */

static uint64_t sent_over, sent_rely, sent_queue, baseline, most_granules;
static uint64_t queued[QUEUED]; /* numbers of ours that must come from the queue */
static unsigned queued_count, queued_left, redelivered, refused;
static bool seen; /* we have seen the message that was being sent, and not taken it */
static bool sees_any(void)
{
    return horus_topic_peek(us.over, NULL, 0, NULL) == HORUS_OK ||
           horus_topic_peek(us.rely, NULL, 0, NULL) == HORUS_OK ||
           horus_topic_peek(us.queue, NULL, 0, NULL) == HORUS_OK ||
           horus_topic_peek(us.tensors, NULL, 0, NULL) == HORUS_OK;
}
/* how often each message of others has come */
static struct {
    uint8_t over[OURS], rely[OURS], queue[OURS], tensors[OURS];
} got;

static void feed(void)
{
    horus_tensor t;
    MUST_OK(send(us.over, OURS + ++sent_over));
    MUST_OK(send(us.rely, OURS + ++sent_rely));
    queued_count = queued_left = QUEUED;
    for (unsigned i = 0; i < QUEUED; i++) {
        queued[i] = OURS + ++sent_queue;
        MUST_OK(send(us.queue, OURS + sent_queue));
    }
    alloc_tensor(&us, &t, OURS);
    MUST_OK(horus_topic_send_tensor(us.tensors, &t, HORUS_NO_WAIT));
    MUST_OK(horus_tensor_release(&t));
}

static void count_in(uint8_t *seen, uint64_t number)
{
    if (number < OURS)
        MUST(++seen[number] == 1);
}
/* Gets all that there is, and looks at it. */
static void drain(void)
{
    static uint64_t last[HORUSI_ROWS * 4]; /* per publisher */
    static uint8_t large[LARGE];
    message m;
    horus_info info;
    horus_tensor t;
    horus_result r;
    while ((r = horus_topic_receive(us.over, large, sizeof large, &info, HORUS_NO_WAIT)) ==
           HORUS_OK) {
        memcpy(&m, large, sizeof m);
        MUST(is_whole(&m) && is_zero(large + sizeof m, info.size - sizeof m));
        count_in(got.over, m.number);
    }
    MUST(r == HORUS_EMPTY);
    while ((r = horus_topic_receive(us.rely, &m, sizeof m, &info, HORUS_NO_WAIT)) == HORUS_OK) {
        uint64_t *seen = &last[(info.publisher >> 16) * 4 + (info.publisher & 0xffff)];
        MUST(is_whole(&m) && info.lost == 0);
        MUST(info.sequence == *seen + 1 || info.sequence == 1);
        *seen = info.sequence;
        count_in(got.rely, m.number);
    }
    MUST(r == HORUS_EMPTY);
    while ((r = horus_topic_receive(us.queue, &m, sizeof m, &info, HORUS_NO_WAIT)) == HORUS_OK) {
        MUST(is_whole(&m));
        bool known = m.number < OURS;
        for (unsigned i = 0; i < queued_count && !known; i++)
            if (queued[i] == m.number) {
                known = true;
                queued_left--;
                queued[i] = 0; /* once */
            }
        MUST(known);
        redelivered += info.redelivered;
        count_in(got.queue, m.number);
        MUST_OK(horus_topic_ack(us.queue));
    }
    MUST(r == HORUS_EMPTY);
    while ((r = horus_topic_receive_tensor(us.tensors, &t, &info, HORUS_NO_WAIT)) == HORUS_OK) {
        MUST(tensor_is_whole(&t));
        count_in(got.tensors, *(uint64_t *)t.data);
        MUST_OK(horus_tensor_release(&t));
    }
    MUST(r == HORUS_EMPTY);
}

static void check_books(horus_pool *p)
{
    horus_audit a;
    MUST_OK(horus_pool_audit(p, &a, NULL, NULL));
    if (!a.balanced)
        die("the audit says: %s", a.first);
}
static uint64_t used_slots(void)
{
    horus_pool_stats st;
    MUST_OK(horus_pool_get_stats(us.p, &st));
    return st.used_slots;
}
/* Takes all memory that there is, granule by granule: new, so zero; it is soiled for whoever comes
 * next. Returns how many. */
static horus_frame all_frames[POOL / GRANULE];
static uint64_t take_frames(void)
{
    uint64_t n = 0;
    void *data;
    while (horus_frame_alloc(&all_frames[n], us.p, GRANULE, 0, &data) == HORUS_OK) {
        MUST(is_zero(data, GRANULE));
        memset(data, 0x55, GRANULE);
        n++;
    }
    return n;
}
static void give_frames(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        MUST_OK(horus_frame_release(&all_frames[i]));
}
static uint64_t take_all(void)
{
    uint64_t n = take_frames();
    give_frames(n);
    return n;
}
/* As many runs as there are, at once: what was begun and not finished is given to nobody as it is. */
static void take_runs(void)
{
    uint64_t n = 0;
    while (n < POOL / GRANULE / 3 &&
           horus_frame_alloc(&all_frames[n], us.p, 10000, HORUS_UNINIT, NULL) == HORUS_OK)
        n++;
    MUST(n >= 10);
    check_books(us.p);
    give_frames(n);
}
/* Everything works; what comes back is dropped. */
static void go_on(bool stopped)
{
    horus_frame small, large;
    horus_tensor t;
    void *data;
    MUST_OK(horus_frame_alloc(&small, us.p, 100, 0, &data));
    MUST(is_zero(data, 100));
    memset(data, 0x55, 100);
    MUST_OK(horus_frame_alloc(&large, us.p, 10000, 0, &data));
    MUST(is_zero(data, 10000));
    memset(data, 0x55, 10000);
    MUST_OK(send(us.over, OURS + ++sent_over));
    horus_result r = send(us.rely, OURS + sent_rely + 1);
    MUST(r == HORUS_OK || (stopped && r == HORUS_FULL)); /* a stopped reader is not dead */
    sent_rely += r == HORUS_OK;
    refused += r == HORUS_FULL;
    r = send(us.queue, 999);
    MUST(r == HORUS_OK || (stopped && r == HORUS_FULL));
    got.queue[999] = 0;
    alloc_tensor(&us, &t, OURS + 77);
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

/* What was sent before, by whoever died, is here; what was being sent came once or not at all. */
static void check_got(const operation *op, bool ended)
{
    unsigned lost = queued_left;
    if (op->flags & SENT) {
        MUST(got.over[1] == 1 && got.rely[1] == 1);
        lost += got.queue[101] == 0;
    }
    if (lost > (op->flags & ACKS ? 1u : 0u))
        die("%u messages of the queue were lost", lost);
    if (op->flags & TENSORS)
        MUST(got.tensors[3] == 1 && got.tensors[4] == 1);
    if (op->flags & CORPSE)
        MUST(got.over[301] == 1 && got.rely[301] == 1 && got.queue[302] == 1);
    if (op->flags & SENDS && (ended || seen))
        MUST(got.over[2] + got.rely[2] + got.queue[102] + got.tensors[5] == 1);
    if (op->flags & CLAIMS && ended)
        MUST(redelivered >= 1);
}

/* The figures of a scheduler whose process stands still, or is no more: a few stores apart from what
 * its callbacks have seen, and once its call has ended not even that. */
static bool is_near(uint64_t value, uint64_t low, uint64_t high)
{
    return value >= low && value <= high;
}
static void check_records(uint64_t start, uint64_t seen_ticks, bool ended)
{
    horus_record list[BOX_TICKS + BOX_EVENTS + 1];
    size_t count, of_ticks = 0, others = 0;
    uint64_t phase = 0, time = 0;
    uint32_t lines = atomic_load(&board->lines);
    char line[LINE + 1];
    MUST_OK(horus_scheduler_read_records(us.c, "s", list, sizeof list / sizeof *list, &count));
    for (size_t i = 0; i < count; i++) {
        const horus_record *r = &list[i];
        MUST(r->time_ns >= time && r->result == HORUS_OK);
        time = r->time_ns;
        MUST(r->index == UINT32_MAX ? r->node[0] == 0
                                    : strcmp(r->node, r->index ? "another" : "node") == 0);
        if (r->kind == HORUS_EVENT_TICK) {
            MUST(r->ns == SHORT || r->ns == LONG);
            MUST(of_ticks == 0 || r->phase == phase + 1 || (r->phase == 0 && time > start));
            phase = r->phase;
            of_ticks++;
            continue;
        }
        others++;
        if (r->kind == HORUS_EVENT_LOG) {
            bool known = false;
            for (uint32_t k = 0; k <= lines && !known; k++) {
                line_of(line, k);
                known = strcmp(r->text, line) == 0;
            }
            MUST(known);
        } else {
            MUST(r->text[0] == 0);
            MUST(r->kind == HORUS_EVENT_START || r->kind == HORUS_EVENT_BUDGET ||
                 r->kind == HORUS_EVENT_SAFE || r->kind == HORUS_EVENT_RECOVERED ||
                 r->kind == HORUS_EVENT_END);
        }
    }
    /* one of each is being written at most, in the place of the oldest */
    uint64_t kept = seen_ticks < BOX_TICKS ? seen_ticks : BOX_TICKS;
    MUST(is_near(of_ticks, kept > 0 ? kept - 1 : 0, ended ? kept : kept + 1));
    MUST(!ended || of_ticks == kept);
    if (seen_ticks > 0) {
        MUST(others >= BOX_EVENTS - 1 && others <= BOX_EVENTS);
        MUST(is_near(phase + 1, seen_ticks - (ended ? 0 : 1), seen_ticks) ||
             (phase == 0 && seen_ticks > FORMER)); /* of another run */
    }
}
static void check_figures(bool ended)
{
    horus_scheduler_stats s;
    horus_node_stats n[3];
    size_t count;
    uint64_t seen_ticks = atomic_load(&board->ticks), long_ticks = atomic_load(&board->long_ticks);
    uint64_t safe = atomic_load(&board->safe);
    horus_result r = horus_scheduler_read(us.c, "s", &s, n, 3, &count);
    if (r == HORUS_E_NOT_FOUND && seen_ticks == 0 && !ended)
        return;
    MUST_OK(r);
    MUST(strcmp(s.name, "s") == 0 && s.pid == atomic_load(&board->pid));
    MUST(count == s.nodes && count >= 1 && count <= 2);
    MUST(strcmp(n[0].name, "node") == 0 && n[0].rate_num == 1000 && n[0].rate_den == 1);
    if (count == 2)
        MUST(strcmp(n[1].name, "another") == 0 && n[1].ticks == 0);
    MUST(is_near(n[0].ticks, seen_ticks, seen_ticks + (ended ? 0 : 1)));
    MUST(is_near(n[0].spread[HORUS_SPREAD_WAKE].count, seen_ticks, n[0].ticks));
    MUST(is_near(n[0].spread[HORUS_SPREAD_RUN].count + (ended || seen_ticks == 0 ? 0 : 1),
                 seen_ticks, seen_ticks + 1));
    MUST(n[0].spread[HORUS_SPREAD_WAKE].max_ns == 0);
    MUST(n[0].spread[HORUS_SPREAD_RUN].max_ns <= LONG);
    MUST(is_near(n[0].budget_misses + (ended || long_ticks == 0 ? 0 : 1), long_ticks,
                 long_ticks + 1));
    MUST(n[0].deadline_misses + n[0].skipped + n[0].overruns + n[0].failures + n[0].restarts +
             n[0].watchdog_misses ==
         0);
    MUST(is_near(n[0].safe_entries, safe, safe + (ended ? 0 : 1)));
    MUST(n[0].recoveries <= safe);
    MUST(n[0].running_since_ns == 0 || (!ended && n[0].running_since_ns == n[0].last_due_ns));
    MUST(n[0].state == HORUS_NODE_IDLE || n[0].state == HORUS_NODE_RUNNING ||
         n[0].state == HORUS_NODE_SAFE);
    MUST(!ended || (n[0].state == HORUS_NODE_SAFE) == (n[0].safe_entries > n[0].recoveries));
    check_records(s.start_ns, seen_ticks, ended);
}

/* What an operator has told of its frames is whole. */
static void check_status(bool was_stopped)
{
    static struct {
        horus_infer_status s;
        horus_infer_output o[2];
    } told;
    horus_topic *t;
    horus_info info;
    horus_topic_desc d = topic_desc(&us, HORUS_OVERWRITE);
    d.history = CAPACITY;
    MUST_OK(horus_topic_open(&t, "status", &d));
    while (horus_topic_receive(t, &told, sizeof told, &info, HORUS_NO_WAIT) == HORUS_OK) {
        MUST(info.size == sizeof told && told.s.outputs.count == 2 && told.s.frame <= 2);
        MUST(strcmp(told.o[0].tensor, "same") == 0 && strcmp(told.o[1].tensor, "sum") == 0);
        MUST(told.o[1].active);
        if (told.o[0].result == HORUS_OK && told.o[1].result == HORUS_OK)
            MUST(told.o[0].age_frames == 0 && told.o[1].age_frames == told.s.frame - 1);
        else /* without memory */
            MUST(was_stopped);
    }
    horus_topic_close(t);
    horus_topic_close(open_topic(&us, "activation", HORUS_OVERWRITE));
}
static void survive(const operation *op, bool ended, bool was_stopped)
{
    (void)alarm(SECONDS);
    MUST_OK(horus_context_sweep(us.c, NULL));
    check_books(us.p);
    if (op->flags & FIGURES)
        check_figures(ended && !was_stopped);
    if (op->flags & INFERS)
        check_status(was_stopped);
    drain();
    check_got(op, ended && !was_stopped);
    take_runs();
    MUST(take_all() + 16 > most_granules);   /* we still read a few rings of the dead */
    for (int i = 0; i < CAPACITY + 1; i++) { /* whoever comes later is to have these */
        go_on(false);
        drain();
    }
    if (op->flags & FRESH)
        horus_topic_close(open_topic(&us, "fresh", HORUS_OVERWRITE));
    if (op->flags & NAMED) {
        horus_pool *named;
        horus_audit a;
        horus_pool_desc d = named_desc(&us);
        MUST_OK(horus_pool_open(&named, "named", &d));
        MUST_OK(horus_pool_audit(named, &a, NULL, NULL));
        MUST(a.balanced && a.slots == 0);
    }
    if (op->flags & SECOND) {
        side s = {0};
        horus_context_desc d = context_desc(space2);
        MUST_OK(horus_context_open(&s.c, &d));
        MUST_OK(horus_pool_open(&s.p, NULL, &(horus_pool_desc){.context = s.c}));
        MUST_OK(horus_frame_alloc(&s.frame, s.p, 10000, 0, NULL));
        check_books(s.p);
        horus_context_close(s.c);
        MUST(access(homes[1], F_OK) != 0);
    }
    MUST_OK(horus_context_sweep(us.c, NULL));
    drain(); /* lets go of rings that have ended */
    check_books(us.p);
    if (baseline == 0)
        baseline = used_slots();
    if (used_slots() != baseline) {
        horus_audit a;
        (void)horus_pool_audit(us.p, &a, show_holder, NULL);
        die("%llu slots are in use, not %llu", (unsigned long long)used_slots(),
            (unsigned long long)baseline);
    }
    uint64_t granules = take_all();
    if (most_granules == 0)
        most_granules = granules;
    if (granules != most_granules)
        die("%llu granules could be had, not %llu", (unsigned long long)granules,
            (unsigned long long)most_granules);
}

/* ---- what a stopped process holds stays as it is */

static struct {
    uint32_t row, incarnation; /* HORUSI_ROWS: it has none yet */
    uint32_t generation[POOL / BLOCK];
    bool held[POOL / BLOCK];
} theirs;
static bool held_by(uint32_t row, uint32_t slot)
{
    return horusi_ld64_acq(S4, &us.p->slot[slot].holders[row / 64]) >> (row % 64) & 1;
}
static void note_theirs(void)
{
    theirs.row = HORUSI_ROWS;
    for (uint32_t i = 0; i < HORUSI_ROWS; i++)
        if (horusi_ld32_rlx(R2, &us.p->rows[i].pid) == (uint32_t)victim &&
            horusi_low(horusi_ld64_acq(R2, &us.p->rows[i].word)) == HORUSI_ROW_LIVE)
            theirs.row = i;
    if (theirs.row == HORUSI_ROWS)
        return;
    theirs.incarnation = horusi_high(horusi_ld64_acq(R2, &us.p->rows[theirs.row].word));
    for (uint32_t s = 0; s < us.p->slots; s++) {
        theirs.held[s] = held_by(theirs.row, s);
        theirs.generation[s] = horusi_high(horusi_ld64_acq(S2, &us.p->slot[s].word));
    }
}
static void check_theirs(void)
{
    if (theirs.row == HORUSI_ROWS)
        return;
    uint64_t w = horusi_ld64_acq(R2, &us.p->rows[theirs.row].word);
    MUST(horusi_low(w) == HORUSI_ROW_LIVE && horusi_high(w) == theirs.incarnation);
    for (uint32_t s = 0; s < us.p->slots; s++) {
        if (!theirs.held[s])
            continue;
        MUST(held_by(theirs.row, s));
        MUST(horusi_high(horusi_ld64_acq(S2, &us.p->slot[s].word)) == theirs.generation[s]);
    }
}

/* ---- the one that dies */

static long own_pid;
extern const char stopping[]; /* where the call below returns to */
__attribute__((noinline)) static void stop_here(void)
{
    long r; /* a bare call: nothing is between it and what follows, and no other thread takes it */
    __asm__ volatile("syscall\n"
                     ".globl stopping\n"
                     "stopping:"
                     : "=a"(r)
                     : "a"(SYS_tkill), "D"(own_pid), "S"((long)SIGSTOP)
                     : "rcx", "r11", "memory");
}
__attribute__((noinline)) static void the_end(void) { stop_here(); }

/* Its stack begins at one address, whoever called this: how a string function goes depends on where in a
 * page its string lies. */
static uintptr_t stack_begins;
__attribute__((noinline)) static void start(const operation *op)
{
    fflush(NULL);
    victim = fork();
    if (victim < 0)
        die("cannot fork: %s", strerror(errno));
    if (victim > 0)
        return;
    victim = -1;
    own_pid = getpid();
    *(volatile char *)alloca((uintptr_t)__builtin_frame_address(0) - stack_begins) = 0;
    (void)signal(SIGALRM, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGHUP, SIG_DFL);
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        die("ptrace is not allowed here: %s", strerror(errno));
    memset(&them, 0, sizeof them);
    op->prepare();
    stop_here();
    op->begin();
    stop_here();
    op->run();
    the_end();
    op->check();
    stop_here();
    _exit(0);
}
/* The signal that it stops with. */
static int await(int flags)
{
    int status;
    while (waitpid(victim, &status, flags) != victim)
        if (errno != EINTR)
            die("waitpid: %s", strerror(errno));
    if (!WIFSTOPPED(status)) {
        victim = 0;
        die("the other process ended with status %x", (unsigned)status);
    }
    return WSTOPSIG(status);
}
static int go(int how)
{
    if (ptrace(how, victim, NULL, NULL) != 0)
        die("ptrace: %s", strerror(errno));
    return await(0);
}
static void finish(void)
{
    pid_t pid = victim;
    victim = 0;
    (void)kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
}
/* A process that leaves something of everything behind. */
static void leave_corpse(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        victim = -1;
        memset(&them, 0, sizeof them);
        have_frames();
        MUST_OK(send(them.over, 301));
        MUST_OK(send(them.rely, 301));
        MUST_OK(send(them.queue, 302));
        have_claimed();
        fill_tensor(&them.tensor, 305);
        do_send_tensor();
        fine();
        (void)kill(getpid(), SIGKILL);
    }
    int status;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    MUST(WIFSIGNALED(status));
}
static bool watching = true; /* there are debug registers */
static bool in_threads; /* it has other threads, which would trip over what is set in the code */
static void bring_to_start(const operation *op)
{
    (void)alarm(SECONDS);
    in_threads = op->flags & THREADS;
    now.step = 0;
    memset(&got, 0, sizeof got);
    redelivered = 0;
    seen = false;
    start(op);
    MUST(await(0) == SIGSTOP);
    (void)ptrace(PTRACE_SETOPTIONS, victim, NULL, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD);
    feed();
    if (op->flags & CORPSE)
        leave_corpse();
    MUST(go(PTRACE_CONT) == SIGSTOP);
    if (op->flags & READS)
        drain();
}

/* ---- where it is, and how to get it there */

static uint64_t place(void)
{
    errno = 0;
    long pc = ptrace(PTRACE_PEEKUSER, victim, offsetof(struct user, regs.rip), NULL);
    if (pc == -1 && errno != 0)
        die("ptrace: %s", strerror(errno));
    return (uint64_t)pc;
}
/* The code is the same in parent and child, so what is under a breakpoint can be read here. */
static uint64_t code_at(uint64_t pc)
{
    uint64_t word;
    memcpy(&word, (const void *)(uintptr_t)(pc & ~7ull), sizeof word);
    return word;
}
static void set_code(uint64_t pc, uint64_t word)
{
    if (ptrace(PTRACE_POKETEXT, victim, pc & ~7ull, word) != 0)
        die("ptrace: cannot set a breakpoint at %llx: %s", (unsigned long long)pc, strerror(errno));
}
static void set_debug(unsigned number, uint64_t value)
{
    if (ptrace(PTRACE_POKEUSER, victim,
               offsetof(struct user, u_debugreg) + number * sizeof(uint64_t), value) != 0)
        watching = false;
}
/* Runs to the next time that it comes to pc. False: it ended first. */
static bool run_to(uint64_t pc)
{
    if (in_threads) {
        set_debug(0, pc);
        set_debug(7, 1);
        MUST(watching);
        int signal = go(PTRACE_CONT);
        set_debug(7, 0);
        MUST(signal == SIGSTOP || (signal == SIGTRAP && place() == pc));
        return signal == SIGTRAP;
    }
    unsigned shift = (unsigned)(pc & 7) * 8;
    uint64_t word = code_at(pc);
    set_code(pc, (word & ~(0xffull << shift)) | 0xccull << shift);
    int signal = go(PTRACE_CONT);
    MUST(signal == SIGTRAP || signal == SIGSTOP);
    set_code(pc, word);
    if (signal == SIGSTOP)
        return false;
    MUST(place() == pc + 1);
    (void)ptrace(PTRACE_POKEUSER, victim, offsetof(struct user, regs.rip), pc);
    return true;
}
static void step(void);
static bool can_watch(uint64_t pc, size_t hops)
{
    uint8_t code = *(const uint8_t *)(uintptr_t)pc; /* "rep": not once for each repetition */
    return watching && hops >= 3 && code != 0xf2 && code != 0xf3;
}
/* Runs to the hops-th time from here that it comes to pc. */
static bool hop_to(uint64_t pc, size_t hops)
{
    if (can_watch(pc, hops)) {
        set_debug(0, pc);
        set_debug(7, 1);
        int signal = SIGTRAP;
        for (size_t i = 0; watching && i < hops && signal == SIGTRAP; i++) {
            signal = go(PTRACE_CONT);
            MUST(signal == SIGSTOP || (signal == SIGTRAP && place() == pc));
        }
        bool watched = watching;
        set_debug(7, 0);
        if (watched)
            return signal == SIGTRAP;
    }
    for (size_t i = 0; i < hops; i++) {
        if (i > 0)
            step();
        if (!run_to(pc))
            return false;
    }
    return true;
}
static void step(void)
{
    MUST(go(PTRACE_SINGLESTEP) == SIGTRAP);
    sum.steps++;
}

/* Where one process was before each step. It is all static, so that the heap stays the same. */
enum { TRACE_MOST = 1 << 18, PLACES = 1 << 16 };
enum { TRIES = 8, TRACES = 8 }; /* to die at each place of a trace, and traces for it */
static struct trace {
    size_t length; /* steps; there is one place more */
    uint64_t pc[TRACE_MOST];
    uint32_t before[TRACE_MOST]; /* the last time at the same place, plus 1; 0: there was none */
    uint32_t anchor[TRACE_MOST]; /* the last step to a place that it had not been at before */
    size_t places;
} trace;
/* All places of all operations. */
static struct place {
    uint64_t pc;
    uint32_t round, last; /* the trace that it was seen in last, and when */
    bool wanted, died;    /* of an operation; somebody did there */
} table[PLACES];
static size_t table_count;
static uint32_t rounds;
static struct place *place_at(uint64_t pc)
{
    size_t i = (pc * 0x9e3779b97f4a7c15u) >> 48;
    while (table[i].pc != 0 && table[i].pc != pc)
        i = (i + 1) % PLACES;
    if (table[i].pc == 0) {
        MUST(++table_count < PLACES * 3 / 4);
        table[i].pc = pc;
    }
    return &table[i];
}
/* Steps through it from here to its end; look(n), if any, is called before each step. */
static void trace_take(void (*look)(size_t n))
{
    rounds++;
    trace.places = 0;
    for (size_t n = 0;; n++) {
        uint64_t pc = trace.pc[n] = place();
        struct place *p = place_at(pc);
        bool first = p->round != rounds;
        trace.before[n] = first ? 0 : p->last + 1;
        trace.anchor[n] = first ? (uint32_t)n : trace.anchor[n - 1];
        trace.places += first;
        p->round = rounds;
        p->last = (uint32_t)n;
        trace.length = n;
        if (pc == (uint64_t)(uintptr_t)the_end)
            return;
        if (n + 1 == TRACE_MOST)
            die("an operation of %zu steps is too long", n);
        if (look)
            look(n);
        step();
    }
}
/* Places of this trace where nobody has died yet. */
static size_t count_new(void)
{
    size_t count = 0;
    for (size_t n = 0; n <= trace.length; n++)
        count += trace.before[n] == 0 && !place_at(trace.pc[n])->died;
    return count;
}
static size_t first_new(void)
{
    size_t n = 0;
    while (n < trace.length && (trace.before[n] != 0 || place_at(trace.pc[n])->died))
        n++;
    return n;
}

/* Brings it to where it was traced before step n, by the cheapest way: to the anchor of some step m
 * (one stop), from there to m (three stops each time that m's place comes up), then step by step.
 * on_foot: step by step all the way, as slowly as it was traced, for what depends on the time.
 * False: it came to its end before. */
static bool on_foot;
static bool reach(size_t n)
{
    const struct trace *t = &trace;
    size_t best = n, best_m = 0, best_hops = 0;
    bool walk = true;
    for (size_t m = n + 1; !on_foot && m-- > 0 && n - m < best;) {
        size_t hops = 0, a = t->anchor[m], k = m, most = best - (n - m);
        if (m != a) {
            for (hops = 1; hops < most && t->before[k] > a + 1; hops++)
                k = t->before[k] - 1;
            if (t->pc[m] == t->pc[a] || hops >= most)
                continue;
        }
        size_t cost = 1 + (hops == 0 ? 0 : can_watch(t->pc[m], hops) ? hops + 2 : 3 * hops) + n - m;
        if (cost < best) {
            walk = false;
            best = cost;
            best_m = m;
            best_hops = hops;
        }
    }
    if (!walk) {
        if (t->anchor[best_m] > 0 && !run_to(t->pc[t->anchor[best_m]]))
            return false;
        if (!hop_to(t->pc[best_m], best_hops))
            return false;
    }
    for (size_t i = best_m; i < n; i++) {
        if (place() == (uint64_t)(uintptr_t)the_end)
            return false;
        step();
    }
    return true;
}

/* ---- deaths and stops after n steps */

/* Brings a fresh process there. False: it took another way and has ended its operation. */
static bool bring_to_step(const operation *op, size_t n)
{
    bring_to_start(op);
    now.step = n;
    bool there = reach(n);
    if (!there || place() != trace.pc[n])
        sum.strays++;
    return there;
}
static void kill_at(const operation *op, size_t n)
{
    now.what = "killed";
    bool there = bring_to_step(op, n);
    uint64_t pc = place();
    if (there)
        place_at(pc)->died = true;
    seen = op->flags & READS && op->flags & SENDS && sees_any();
    finish();
    sum.deaths++;
    survive(op, !there || pc == (uint64_t)(uintptr_t)the_end, false);
}
/* It is stopped as a user would stop it, no tracer near; others work; it goes on to its end. */
static void stop_at(const operation *op, size_t n)
{
    now.what = "stopped";
    if (!bring_to_step(op, n)) {
        finish();
        survive(op, true, true);
        return;
    }
    if (ptrace(PTRACE_DETACH, victim, NULL, SIGSTOP) != 0)
        die("ptrace: %s", strerror(errno));
    MUST(await(WUNTRACED) == SIGSTOP);
    note_theirs();
    MUST_OK(horus_context_sweep(us.c, NULL));
    if (op->flags & FIGURES)
        check_figures(false);
    for (int i = 0; i < CAPACITY + 1; i++) {
        go_on(true);
        drain();
    }
    MUST(take_all() > 0);
    go_on(true);
    check_theirs();
    sum.stops++;
    uint64_t ours = 0;
    if (op->flags & ALLOCS) { /* it goes on while we have all memory but what it had by then */
        ours = take_frames();
        board->squeezed = true;
    }
    (void)kill(victim, SIGCONT);
    MUST(await(WUNTRACED) == SIGSTOP); /* at the end of the operation */
    for (uint64_t i = 0; i < ours; i++)
        MUST(horus_frame_holders(&all_frames[i]) == 1);
    give_frames(ours);
    (void)kill(victim, SIGCONT);
    MUST(await(WUNTRACED) == SIGSTOP); /* once it was checked */
    board->squeezed = false;
    MUST_OK(horus_context_sweep(us.c, NULL));
    check_books(us.p); /* with it among the living */
    finish();
    survive(op, true, true);
}

/* ---- deaths at system calls */

/* Dies at the k-th of their entries and exits. False: the operation has fewer. */
static bool kill_at_call(const operation *op, size_t k)
{
    now.what = "killed at a system call";
    bring_to_start(op);
    now.step = k;
    bool there = true;
    for (size_t i = 0; i <= k && there; i++) {
        MUST(go(PTRACE_SYSCALL) == (SIGTRAP | 0x80));
        there = place() != (uint64_t)(uintptr_t)stopping;
    }
    finish();
    sum.at_calls += there;
    survive(op, !there, false);
    return there;
}

/* ---- deaths between publishing and waking */

static void sleep_message(horus_topic *t)
{
    atomic_store(&board->ready, 1);
    board->result = horus_topic_receive(t, &it.m, sizeof it.m, NULL, 10000000000);
    board->number = it.m.number;
    board->whole = is_whole(&it.m);
}
static void sleep_over(void) { sleep_message(them.over); }
static void sleep_rely(void) { sleep_message(them.rely); }
static void sleep_queue(void) { sleep_message(them.queue); }
static void sleep_tensor(void)
{
    horus_tensor t;
    atomic_store(&board->ready, 1);
    board->result = horus_topic_receive_tensor(them.tensors, &t, NULL, 10000000000);
    board->number = t.data ? *(uint64_t *)t.data : 0;
    board->whole = t.data && tensor_is_whole(&t);
}
static void sleep_room(void)
{
    for (uint64_t i = 0; i < CAPACITY; i++)
        MUST_OK(send(them.rely, 10 + i));
    it.m = message_of(20);
    atomic_store(&board->ready, 1);
    while (!atomic_load(&board->go)) {
    }
    board->result = horus_topic_send(them.rely, &it.m, sizeof it.m, 10000000000);
    board->number = 20;
    board->whole = true;
}
static bool sees_over(void) { return horus_topic_peek(us.over, NULL, 0, NULL) == HORUS_OK; }
static bool sees_rely(void) { return horus_topic_peek(us.rely, NULL, 0, NULL) == HORUS_OK; }
static bool sees_queue(void) { return horus_topic_peek(us.queue, NULL, 0, NULL) == HORUS_OK; }
static bool sees_tensors(void) { return horus_topic_peek(us.tensors, NULL, 0, NULL) == HORUS_OK; }
static uint32_t row_of(pid_t pid)
{
    for (uint32_t i = 0; i < HORUSI_ROWS; i++)
        if (horusi_ld32_rlx(R2, &us.p->rows[i].pid) == (uint32_t)pid &&
            horusi_low(horusi_ld64_acq(R2, &us.p->rows[i].word)) == HORUSI_ROW_LIVE)
            return i;
    return HORUSI_ROWS;
}
static pid_t sleeper;
/* Room: the victim's cursor is past the first message in the sleeper's ring, which we have read and
 * so hold: to get hold of it at each step would hold the victim up for ever. */
static bool sees_room(void)
{
    const horus_topic *t = us.rely;
    bool past = false;
    for (uint32_t i = 0; i < t->in_count; i++) {
        uint64_t w = horusi_ld64_acq(L2, &horusi_lanes(t->shm)[t->in[i].lane].word);
        if (horusi_owner_row(w) != row_of(sleeper) || !t->in[i].ring.cursors)
            continue;
        for (uint32_t k = 0; k < t->max_subs; k++) {
            uint64_t sub = horusi_ld64_acq(K2, &horusi_subs(t->shm, t->max_lanes)[k].word);
            if (horusi_owner_state(sub) == HORUSI_SUB_ACTIVE &&
                horusi_owner_row(sub) == row_of(victim))
                past |= horusi_ld64_acq(K2, &t->in[i].ring.cursors[k]) >= 2;
        }
    }
    return past;
}

typedef struct sleeping {
    operation op;
    void (*sleep)(void);
    bool (*sees)(void); /* what was published */
    uint64_t number;    /* what the sleeper gets */
} sleeping;
static const sleeping sleepings[] = {
    {{"publish, wake", have_sent, nothing, do_send, nothing, 0}, sleep_over, sees_over, 2},
    {{"publish reliably, wake", have_sent, nothing, do_send_reliable, nothing, 0},
     sleep_rely,
     sees_rely,
     2},
    {{"publish to a queue, wake", will_send_queued, nothing, do_send_queue, nothing, 0},
     sleep_queue,
     sees_queue,
     102},
    {{"publish first, wake", will_send_first, nothing, do_send_queue, nothing, 0},
     sleep_queue,
     sees_queue,
     102},
    {{"publish a frame, wake", have_sent_tensors, nothing, do_send_tensor, nothing, 0},
     sleep_tensor,
     sees_tensors,
     5},
    {{"make room, wake", ready, nothing, do_receive_reliable, nothing, 0},
     sleep_room,
     sees_room,
     20},
};
enum { SLEEPINGS = sizeof sleepings / sizeof sleepings[0] };

/* What the kernel says of a process now. Empty: nothing. */
static const char *told_of(pid_t pid, const char *what)
{
    static char text[4096];
    char path[64];
    ssize_t n = -1;
    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, what);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        n = read(fd, text, sizeof text - 1);
        close(fd);
    }
    text[n > 0 ? n : 0] = 0;
    return text;
}
static char state_of(pid_t pid)
{
    const char *end = strrchr(told_of(pid, "stat"), ')');
    return end && end[1] ? end[2] : '?';
}
/* How long this process has been ready to run and was not let: the machine's doing, not ours. */
static uint64_t kept_waiting_ns(void)
{
    unsigned long long ran = 0, waited = 0;
    (void)sscanf(told_of(getpid(), "schedstat"), "%llu %llu", &ran, &waited);
    return waited;
}
/* How often it has given up the processor by itself: the sleep that it is in counts. */
static uint64_t sleeps_of(pid_t pid)
{
    const char *count = strstr(told_of(pid, "status"), "\nvoluntary_ctxt_switches:");
    MUST(count);
    return strtoull(count + 25, NULL, 10);
}
/* For how long it has asked the kernel to let it sleep. 0: it is not in such a call, or was not all the time. */
static uint64_t asked_for_ns(pid_t pid)
{
    long number = -1, t[2] = {0, 0};
    unsigned long a[4];
    uint64_t sleeps = sleeps_of(pid);
    if (sscanf(told_of(pid, "syscall"), "%ld %lx %lx %lx %lx", &number, &a[0], &a[1], &a[2],
               &a[3]) != 5 ||
        number != SYS_futex)
        return 0;
    struct iovec here = {t, sizeof t}, there = {(void *)(uintptr_t)a[3], sizeof t};
    MUST(process_vm_readv(pid, &here, 1, &there, 1, 0) == (ssize_t)sizeof t);
    if (sleeps_of(pid) != sleeps || state_of(pid) != 'S')
        return 0;
    return (uint64_t)t[0] * 1000000000u + (uint64_t)t[1];
}
static void pause_us(long us_)
{
    struct timespec t = {0, us_ * 1000};
    (void)nanosleep(&t, NULL);
}
enum { SLICE_MS = 100, SLACK_MS = 900, TAKEN = 1 << 12 };
/* One sleeps in a call of the library, the other is before its operation. */
static void bring_to_sleep(const sleeping *s)
{
    (void)alarm(SECONDS);
    now.step = 0;
    memset(&got, 0, sizeof got);
    redelivered = queued_left = 0;
    start(&s->op);
    MUST(await(0) == SIGSTOP);
    (void)ptrace(PTRACE_SETOPTIONS, victim, NULL, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD);
    drain();
    memset(board, 0, sizeof *board);
    sleeper = fork();
    if (sleeper == 0) {
        victim = -1;
        memset(&them, 0, sizeof them);
        join(&them);
        open_all(&them);
        s->sleep();
        struct rusage used;
        MUST(getrusage(RUSAGE_SELF, &used) == 0);
        board->sleeps = (uint64_t)used.ru_nvcsw;
        atomic_store(&board->done, 1);
        horus_context_close(them.c);
        board->kept_waiting_ns = kept_waiting_ns();
        _exit(0);
    }
    while (!atomic_load(&board->ready))
        pause_us(100);
    drain(); /* what it has sent holds nobody up but the victim */
    atomic_store(&board->go, 1);
    uint32_t row = row_of(sleeper);
    MUST(row < HORUSI_ROWS);
    while (horusi_ld32_acq(W, &us.p->rows[row].sleepers) != 1)
        pause_us(100);
    pause_us(5000); /* its first slice is a short one */
    while (state_of(sleeper) != 'S')
        pause_us(100);
    uint64_t asked;
    while ((asked = asked_for_ns(sleeper)) == 0 && !atomic_load(&board->done))
        pause_us(100);
    if (asked > SLICE_MS * 1000000ull)
        die("a slice of a sleep has %llu ms", (unsigned long long)(asked / 1000000));
    MUST(!atomic_load(&board->done));
    MUST(go(PTRACE_CONT) == SIGSTOP);
}
static void end_sleep(const sleeping *s)
{
    int status;
    while (!atomic_load(&board->done))
        pause_us(200);
    while (waitpid(sleeper, &status, 0) < 0 && errno == EINTR) {
    }
    MUST(status == 0);
    if (board->result != HORUS_OK)
        die("the sleeper got %s", horus_result_text((horus_result)board->result));
    MUST(board->whole && board->number == s->number);
}

static const sleeping *looked_at;
static size_t published, woken; /* steps: it can be seen before this one; this one wakes; 0: none */
static void look(size_t n)
{
    if (!published && looked_at->sees())
        published = n;
    struct user_regs_struct regs;
    uint64_t pc = place();
    const uint8_t *code = (const uint8_t *)(uintptr_t)pc;
    if (code[0] != 0x0f || code[1] != 0x05 || woken)
        return;
    if (ptrace(PTRACE_GETREGS, victim, NULL, &regs) != 0)
        die("ptrace: %s", strerror(errno));
    if (regs.rax == SYS_futex && (regs.rsi & FUTEX_CMD_MASK) == FUTEX_WAKE && published)
        woken = n;
}

static uint64_t taken_ns[TAKEN];
static size_t taken;
static int compare_ns(const void *a, const void *b)
{
    return (*(const uint64_t *)a > *(const uint64_t *)b) -
           (*(const uint64_t *)a < *(const uint64_t *)b);
}
/* The `percent` fastest took no longer than this. */
static uint64_t taken_ms(unsigned percent)
{
    qsort(taken_ns, taken, sizeof *taken_ns, compare_ns);
    return taken == 0 ? 0 : taken_ns[(taken - 1) * percent / 100] / 1000000;
}
/* Dies before step n, or at the entry of the call that wakes. False: the sleeper's slice ended, and
 * it looked for itself, before that. */
static bool kill_before_wake(const sleeping *s, size_t n, bool at_entry)
{
    now.what = "killed before it wakes a sleeper";
    bring_to_sleep(s);
    now.step = n;
    bool there = reach(n) && place() == trace.pc[n];
    if (there && at_entry) {
        MUST(go(PTRACE_SYSCALL) == (SIGTRAP | 0x80));
        MUST(place() == trace.pc[n] + 2); /* in the call, which has not begun */
    }
    there = there && s->sees();
    finish();
    there = there && !atomic_load(&board->done);
    uint64_t died = horus_now_ns(), waited = kept_waiting_ns();
    uint64_t sleeps = there ? sleeps_of(sleeper) : 0;
    end_sleep(s);
    uint64_t took = horus_now_ns() - died;
    waited = kept_waiting_ns() - waited + board->kept_waiting_ns;
    took -= waited < took ? waited : took;
    if (there) {
        sum.before_wakes++;
        taken_ns[taken < TAKEN ? taken++ : TAKEN - 1] = took;
        if (board->sleeps > sleeps + 1) /* one if it went to sleep just as it was published */
            die("the sleeper slept for %llu slices more",
                (unsigned long long)(board->sleeps - sleeps));
        if (took > (SLICE_MS + SLACK_MS) * 1000000ull)
            die("the sleeper slept on for %llu ms", (unsigned long long)(took / 1000000));
    }
    survive(&s->op, false, true);
    return there;
}
static void try_sleeping(const sleeping *s)
{
    uint64_t before = sum.before_wakes;
    now.operation = s->op.name;
    now.what = "traced";
    looked_at = s;
    published = woken = 0;
    for (int tries = 0;; tries++) { /* the sleeper may take a look in the midst of it */
        bring_to_sleep(s);
        trace_take(look);
        finish();
        end_sleep(s);
        survive(&s->op, false, true);
        if (woken)
            break;
        published = 0;
        if (tries == 20)
            die("no call wakes the sleeper");
    }
    MUST(published > 0 && published <= woken && woken < trace.length);
    size_t stride = budget >= 100000 ? 1 : 1 + (woken - published) / 20;
    for (size_t n = published, next; n <= woken + 1; n = next) {
        int tries = 0;
        next = n >= woken ? n + 1 : n + stride < woken ? n + stride : woken;
        while (!kill_before_wake(s, n <= woken ? n : woken, n > woken)) {
            sum.retries++;
            if (++tries == 20)
                die("the sleeper always looks before");
        }
    }
    printf("%-26s %7zu steps, from %zu to %zu it is published and nobody is woken: %llu deaths\n",
           s->op.name, trace.length, published, woken,
           (unsigned long long)(sum.before_wakes - before));
    passed++;
}

/* ---- what is done, and how often */

static uint32_t rng(void)
{
    static uint64_t state;
    uint64_t z = state += 0x9e3779b97f4a7c15u + seed;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)(z >> 40);
}

static struct plan {
    bool wanted;
    size_t length, places; /* steps, and places that no operation before it has */
} plans[OPERATIONS];

/* Other threads can be let run only where there are debug registers. */
static bool can_follow(const operation *op)
{
    if (!(op->flags & THREADS))
        return true;
    now.operation = op->name;
    bring_to_start(op);
    set_debug(0, place());
    finish();
    survive(op, false, false);
    if (!watching)
        printf("skipped: %s: there are no debug registers here\n", op->name);
    return watching;
}
static void take_trace(const operation *op)
{
    now.operation = op->name;
    now.what = "traced";
    for (int i = 0; i < 3; i++) { /* the first times leave the pool otherwise than they found it */
        bring_to_start(op);
        if (i == 2)
            trace_take(NULL);
        finish();
        survive(op, i == 2, false);
    }
}

/* Steps at which to die: all that are the first at a place where nobody has died, the last, and an
 * even sample of the others. Returns how many; in order. */
static size_t choose(size_t quota, uint32_t *chosen)
{
    size_t all = trace.length + 1, must = count_new(), others = all - must, seen = 0, taken = 0,
           n = 0;
    size_t rest = quota > must ? quota - must : 0;
    rest = rest < others ? rest : others;
    double phase = (rng() % 1000) / 1000.0;
    for (size_t i = 0; i < all; i++) {
        bool take = trace.before[i] == 0 && !place_at(trace.pc[i])->died;
        if (!take) {
            seen++;
            take = taken < rest &&
                   ((double)taken + phase < (double)seen * (double)rest / (double)others ||
                    rest - taken > others - seen);
            taken += take;
        }
        if (take || i + 1 == all)
            chosen[n++] = (uint32_t)i;
    }
    return n;
}
/* Dies where nobody has died yet. The way is not quite the same each time (the clock, which row or slot
 * is free, whether the survivor was first), so that now and then a process strays: it is tried again,
 * at last step by step. Returns at how many places of the trace nobody died. */
static size_t die_everywhere(const operation *op)
{
    for (size_t i = 0; i <= trace.length; i++) {
        struct place *p = place_at(trace.pc[i]);
        p->wanted = true;
        for (int k = 0; k < TRIES && trace.before[i] == 0 && !p->died; k++) {
            on_foot = k >= TRIES / 2;
            kill_at(op, i);
            on_foot = false;
        }
    }
    return count_new();
}
static void try_operation(const operation *op, size_t quota, unsigned round)
{
    static uint32_t chosen[TRACE_MOST];
    take_trace(op);
    uint64_t deaths = sum.deaths, at_calls = sum.at_calls, stops = sum.stops, strays = sum.strays;
    now.operation = op->name;
    size_t n = choose(quota, chosen);
    unsigned hindered = 0;
    for (size_t i = 0; i < n; i++) {
        kill_at(op, chosen[i]);
        if ((i + seed + round) % 4 == 0 && !(op->flags & FILLS)) {
            refused = 0;
            stop_at(op, chosen[i]);
            hindered += (op->flags & SWEEPS) && refused > 0; /* others: a stopped reader counts */
        }
    }
    size_t missed = die_everywhere(op);
    for (int traces = 1; missed > 0 && traces < TRACES; traces++) {
        take_trace(op);
        missed = die_everywhere(op);
    }
    for (size_t k = 0; round == 0 && kill_at_call(op, k); k++) {
    }
    deaths = sum.deaths - deaths;
    at_calls = sum.at_calls - at_calls;
    stops = sum.stops - stops;
    strays = sum.strays - strays;
    printf("%-26s %6zu steps at %5zu places (%zu missed), %6llu deaths, %4llu at calls, %5llu stops"
           " (%u hinder), %4llu strays\n",
           op->name, trace.length, trace.places, missed, (unsigned long long)deaths,
           (unsigned long long)at_calls, (unsigned long long)stops, hindered,
           (unsigned long long)strays);
    fflush(stdout);
    /* While a sweeper holds the kernel lock of a dead row, nobody else can tell that the row is dead: a
     * reliable reader in it counts, and a sender may be told FULL. One that is stopped just there hinders
     * others for as long as it stands still, which is as documented; but it is a short stretch, so only a
     * few stops may hit it (0.2 % of 1036 stops in a sweep that joins). */
    if (hindered > 2 + stops / 20)
        die("a stopped sweeper keeps the dead among the living at %u of %llu steps", hindered,
            (unsigned long long)stops);
    if (missed > 0) /* in each of several traces: it is not the clock's doing */
        die("nobody died at %zu of %zu places, the first is %llx, after %zu steps", missed,
            trace.places, (unsigned long long)trace.pc[first_new()], first_new());
    passed += round == 0;
}

/* The same addresses each time, no first calls that look for their function, and no memset by "rep
 * stosb", which is a step for each byte. */
static void settle(char **argv)
{
    if (getenv("LD_BIND_NOW"))
        return;
    (void)setenv("LD_BIND_NOW", "1", 1);
    (void)setenv("GLIBC_TUNABLES",
                 "glibc.cpu.x86_rep_stosb_threshold=1000000000"
                 ":glibc.cpu.x86_rep_movsb_threshold=1000000000",
                 1);
    (void)personality(ADDR_NO_RANDOMIZE);
    (void)execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
    int c;
    settle(argv);
    stack_begins = ((uintptr_t)__builtin_frame_address(0) & ~(uintptr_t)4095) - (1 << 16);
    while ((c = getopt(argc, argv, "n:s:")) != -1)
        if (c == 'n')
            budget = strtoul(optarg, NULL, 10);
        else if (c == 's')
            seed = strtoull(optarg, NULL, 10);
    (void)signal(SIGALRM, on_alarm);
    (void)signal(SIGTERM, on_term);
    (void)signal(SIGINT, on_term);
    (void)signal(SIGHUP, on_term);
    (void)snprintf(space, sizeof space, "kill%d", (int)getpid());
    (void)snprintf(space2, sizeof space2, "kill%d.2", (int)getpid());
    board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(board != MAP_FAILED);
    join(&us);
    open_all(&us);
    horus_context_info info;
    MUST_OK(horus_context_get_info(us.c, &info));
    char *end = strstr(info.path, space);
    MUST(end);
    *end = 0;
    (void)snprintf(homes[0], sizeof homes[0], "%s%s", info.path, space);
    (void)snprintf(homes[1], sizeof homes[1], "%s%s", info.path, space2);
    (void)horus_topic_wait(us.over, HORUS_NO_WAIT);
    (void)horus_topic_wait(us.rely, HORUS_NO_WAIT);
    (void)horus_topic_wait(us.queue, HORUS_NO_WAIT);
    for (int i = 0; i < 8; i++) { /* until our rings are full, and hold what they always hold */
        feed();
        drain();
    }
    bool all = optind >= argc;
    uint64_t full = 0;
    for (size_t i = 0; i < OPERATIONS; i++) {
        plans[i].wanted = all;
        for (int k = optind; k < argc; k++)
            plans[i].wanted |= strcmp(argv[k], operations[i].name) == 0;
        plans[i].wanted = plans[i].wanted && can_follow(&operations[i]);
        if (!plans[i].wanted)
            continue;
        take_trace(&operations[i]);
        plans[i].length = trace.length;
        plans[i].places = count_new();
        for (size_t n = 0; n <= trace.length; n++)
            place_at(trace.pc[n])->died = true; /* counted */
        full += trace.length + 1;
    }
    for (size_t i = 0; i < PLACES; i++)
        table[i].died = false;
    if (budget == 0)
        budget = all ? 20500 : full;
    uint64_t left = budget;
    for (unsigned round = 0; full > 0 && (round == 0 || left > 0); round++) {
        /* how many of each: as many of all, where they are so long */
        size_t low = 1, high = TRACE_MOST;
        while (low < high) {
            size_t mid = (low + high) / 2;
            uint64_t n = 0;
            for (size_t i = 0; i < OPERATIONS; i++) {
                size_t least = mid < plans[i].places ? plans[i].places : mid;
                n += plans[i].wanted ? least > plans[i].length ? plans[i].length + 1 : least : 0;
            }
            if (n >= left || n >= full)
                high = mid;
            else
                low = mid + 1;
        }
        uint64_t before = sum.deaths;
        for (size_t i = 0; i < OPERATIONS; i++)
            if (plans[i].wanted)
                try_operation(&operations[i], low, round);
        left -= sum.deaths - before < left ? sum.deaths - before : left;
    }
    for (size_t i = 0; i < SLEEPINGS; i++) {
        bool wanted = all;
        for (int k = optind; k < argc; k++)
            wanted |= strcmp(argv[k], sleepings[i].op.name) == 0;
        if (wanted)
            try_sleeping(&sleepings[i]);
    }
    now.operation = "the end";
    /* the machine may delay one of them by its own doings, but not many: two slices would be seen */
    if (taken >= 100 && (taken_ms(50) > SLICE_MS * 3 / 2 || taken_ms(95) > SLICE_MS * 5 / 2))
        die("sleepers slept on for %llu ms, and %llu ms in the slowest of 20",
            (unsigned long long)taken_ms(50), (unsigned long long)taken_ms(95));
    if (passed == 0)
        die("no operation is called so");
    horus_context_close(us.c);
    MUST(access(homes[0], F_OK) != 0 && access(homes[1], F_OK) != 0);
    for (size_t i = 0; i < PLACES; i++) {
        sum.places += table[i].died || table[i].wanted;
        sum.died += table[i].died;
    }
    printf("%u operations of %llu steps: %llu deaths, at %llu of %llu instructions; %llu deaths at "
           "the "
           "entry or exit of a system call; %llu between publishing and waking (half of the "
           "sleepers took %llu ms at most, 95 %% %llu ms, all %llu ms; %llu tries came late); %llu "
           "stops; %llu strays, %llu single steps, seed "
           "%llu\n",
           passed, (unsigned long long)full, (unsigned long long)sum.deaths,
           (unsigned long long)sum.died, (unsigned long long)sum.places,
           (unsigned long long)sum.at_calls, (unsigned long long)sum.before_wakes,
           (unsigned long long)taken_ms(50), (unsigned long long)taken_ms(95),
           (unsigned long long)taken_ms(100), (unsigned long long)sum.retries,
           (unsigned long long)sum.stops, (unsigned long long)sum.strays,
           (unsigned long long)sum.steps, (unsigned long long)seed);
    if (all && sum.deaths < budget)
        die("only %llu deaths, not %lu", (unsigned long long)sum.deaths, budget);
    printf("%u passed, %u failed\n", passed, failed);
    return 0;
}
