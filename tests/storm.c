/* The storm: processes that send, receive and hold frames of all sizes under random SIGKILLs and
 * SIGSTOPs, each as the nodes of a scheduler under a watchdog. Survivors must see only whole messages, in
 * order per publisher, with no silent loss, each job of a queue until somebody says that it is done and
 * never after, and the figures of the dead as they were; afterwards the books must balance, all memory
 * must be usable, and nothing may be left behind.
 *
 *     storm [-k kills] [-s stops] [-w workers] [-r seed] [-o other-binary] [-x binary] [-m pool MiB] [-p us]
 *
 * Workers are this program run again (every second one other-binary, say a 32-bit build; with -x all
 * of them binary, say a script that starts this one in an emulator). -p: microseconds between kills
 * at most. */
#define HORUS_IMPLEMENTATION
#include "../horus.h"
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { MAX_WORKERS = 16, MAX_LIVES = 8192, MAX_JOBS = 4096, HOLD = 6 };

/* What workers tell the supervisor, in memory of its own that no kill can spoil. */
typedef struct Life { /* one run of one worker */
    _Atomic uint32_t jobs_begun, jobs_sent, ticks;
    _Atomic uint8_t job[MAX_JOBS];     /* what became of each that it sent: see below */
    _Atomic uint16_t holder[MAX_JOBS]; /* the life that got it last */
} Life;
/* A job: somebody got it; a consumer is about to say that it is done, by ack, by its next receive or
 * by closing; has said so. */
enum { JOB_GOT = 1, JOB_ENDING = 2, JOB_ENDED = 4 };
typedef struct Board {
    _Atomic uint32_t lives;
    _Atomic uint64_t frames_sent, frames_got, reliable_sent, reliable_got, jobs_got, again, lost,
        full, pool_full, max_hold_checks, bytes, figures_read, records_read, ticks, misses;
    _Atomic uint32_t broken; /* violations seen */
    _Atomic uint32_t first;  /* 1 once `what` is taken */
    char what[200];
    Life life[MAX_LIVES];
} Board;

typedef struct Head { /* begins every message */
    uint64_t life, n, bytes, sum;
} Head;

static Board *board;
static volatile sig_atomic_t stop;
static uint64_t rng_state;
static void on_term(int signal) { (void)signal, stop = 1; }

static uint32_t rng(void)
{
    rng_state = rng_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(rng_state >> 33);
}
static void broken(const char *format, ...)
{
    va_list args;
    uint32_t none = 0;
    atomic_fetch_add(&board->broken, 1);
    if (!atomic_compare_exchange_strong(&board->first, &none, 1))
        return;
    va_start(args, format);
    (void)vsnprintf(board->what, sizeof board->what, format, args);
    va_end(args);
}
static uint64_t checksum(const uint64_t *words, size_t n)
{
    uint64_t a = 1, b = 0;
    for (size_t i = 0; i < n; i++) {
        a += words[i];
        b ^= a << (i & 31);
    }
    return a ^ b;
}
/* Fills a message so that a byte of anything else shows. */
static void fill(void *data, size_t bytes, uint64_t life, uint64_t n)
{
    uint64_t *w = data, x = life * 0x9e3779b97f4a7c15u ^ n * 0xc2b2ae3d27d4eb4fu;
    size_t words = bytes / 8;
    for (size_t i = 4; i < words; i++)
        w[i] = x += 0x9e3779b97f4a7c15u;
    *(Head *)data = (Head){life, n, bytes, checksum(w + 4, words - 4)};
}
static bool intact(const void *data, size_t bytes)
{
    Head h = *(const Head *)data;
    return h.bytes == bytes && h.life < MAX_LIVES &&
           h.sum == checksum((const uint64_t *)data + 4, bytes / 8 - 4);
}

/* What one handle has seen of each publisher. */
typedef struct Seen {
    uint64_t last[MAX_LIVES];
    uint64_t gaps, lost;
} Seen;
static void order(Seen *seen, const char *topic, const Head *h, const horus_info *info,
                  bool lossless)
{
    uint64_t *last = &seen->last[h->life];
    seen->lost += info->lost;
    atomic_fetch_add(&board->lost, info->lost);
    if (h->n <= *last)
        broken("%s: publisher %llu: %llu after %llu", topic, (unsigned long long)h->life,
               (unsigned long long)h->n, (unsigned long long)*last);
    if (*last)
        seen->gaps += h->n - *last - 1;
    if (seen->gaps > seen->lost)
        broken("%s: %llu missing, %llu reported lost", topic, (unsigned long long)seen->gaps,
               (unsigned long long)seen->lost);
    if (lossless && (info->lost || seen->gaps))
        broken("%s: a reliable topic lost %llu (gaps %llu)", topic, (unsigned long long)info->lost,
               (unsigned long long)seen->gaps);
    *last = h->n;
}

static uint64_t wish_mib;
static const horus_context_desc *wish(uint64_t mib)
{
    static horus_context_desc d;
    d.pool_bytes = 64 << 20; /* rings and topics; frames have a pool of their own */
    wish_mib = mib;
    return &d;
}

typedef struct World {
    horus_context *context;
    horus_pool *pool;
    horus_topic *frames, *reliable, *jobs;
    horus_tensor held[HOLD];
    Seen *seen; /* of frames, then of reliable */
    Life *mine;
    uint64_t life, frame_n, reliable_n;
    uint64_t open_job_life, open_job; /* claimed, not yet acknowledged; no life: none */
} World;

static horus_result open_frames(horus_pool **pool, horus_context *c)
{
    return horus_pool_open(pool, "frames",
                           &(horus_pool_desc){.context = c, .pool_bytes = wish_mib << 20});
}
static bool open_all(World *w, uint64_t mib)
{
    w->seen = calloc(2, sizeof *w->seen);
    return w->seen && horus_context_open(&w->context, wish(mib)) == HORUS_OK &&
           open_frames(&w->pool, w->context) == HORUS_OK &&
           horus_topic_open(&w->frames, "frames",
                            &(horus_topic_desc){.type = &horus_tensor_type,
                                                .context = w->context}) == HORUS_OK &&
           horus_topic_open(&w->reliable, "reliable",
                            &(horus_topic_desc){.policy = HORUS_RELIABLE,
                                                .capacity = 64,
                                                .message_bytes = 64,
                                                .context = w->context}) == HORUS_OK &&
           horus_topic_open(&w->jobs, "jobs",
                            &(horus_topic_desc){.policy = HORUS_QUEUE,
                                                .capacity = 64,
                                                .message_bytes = 64,
                                                .context = w->context}) == HORUS_OK;
}

/* Looks at a held frame once more and lets it go. */
static void drop(horus_tensor *t)
{
    if (!t->data)
        return;
    if (!intact(t->data, (size_t)t->shape[0]))
        broken("a held frame changed");
    atomic_fetch_add(&board->max_hold_checks, 1);
    if (horus_tensor_release(t) != HORUS_OK)
        broken("release: %s", horus_last_error());
}

static void send_frame(World *w)
{
    uint32_t shift = 10 + rng() % 13; /* 1 KB to 8 MB, log-uniform */
    int64_t bytes = (int64_t)((1u << shift) + rng() % (1u << shift)) / 8 * 8;
    horus_tensor t;
    horus_result r =
        horus_tensor_alloc(&t, w->pool, HORUS_U8, 1, &bytes, rng() % 8 ? HORUS_UNINIT : 0);
    if (r == HORUS_E_POOL_FULL) {
        atomic_fetch_add(&board->pool_full, 1);
        return;
    }
    if (r != HORUS_OK) {
        broken("alloc: %s", horus_last_error());
        return;
    }
    fill(t.data, (size_t)bytes, w->life, w->frame_n + 1);
    if (rng() % 10) {
        r = horus_topic_send_tensor(w->frames, &t, HORUS_NO_WAIT);
        if (r == HORUS_OK) {
            w->frame_n++;
            atomic_fetch_add(&board->frames_sent, 1);
            atomic_fetch_add(&board->bytes, (uint64_t)bytes);
        } else if (r != HORUS_E_POOL_FULL) {
            broken("send a frame: %s", horus_last_error());
        }
    }
    if (!intact(t.data, (size_t)bytes))
        broken("my own frame changed");
    (void)horus_tensor_release(&t);
}

static void get_frame(World *w, int64_t timeout)
{
    horus_tensor t;
    horus_info info;
    horus_result r = horus_topic_receive_tensor(w->frames, &t, &info, timeout);
    if (r == HORUS_EMPTY || r == HORUS_TIMEOUT || r == HORUS_INTERRUPTED)
        return;
    if (r != HORUS_OK) {
        broken("receive a frame: %s", horus_last_error());
        return;
    }
    if (!intact(t.data, (size_t)t.shape[0]))
        broken("a torn frame of %lld bytes", (long long)t.shape[0]);
    else
        order(&w->seen[0], "frames", t.data, &info, false);
    atomic_fetch_add(&board->frames_got, 1);
    uint32_t k = rng() % (2 * HOLD);
    if (k < HOLD) {
        drop(&w->held[k]);
        w->held[k] = t;
    } else {
        (void)horus_tensor_release(&t);
    }
}

static void reliable_turn(World *w, bool send)
{
    uint64_t small[8];
    horus_info info;
    if (send) {
        fill(small, sizeof small, w->life, w->reliable_n + 1);
        horus_result r =
            horus_topic_send(w->reliable, small, sizeof small, rng() % 4 ? 0 : 2000000);
        if (r == HORUS_OK) {
            w->reliable_n++;
            atomic_fetch_add(&board->reliable_sent, 1);
        } else if (r == HORUS_FULL || r == HORUS_TIMEOUT) {
            atomic_fetch_add(&board->full, 1);
        } else if (r != HORUS_INTERRUPTED && r != HORUS_E_POOL_FULL) {
            broken("send reliably: %s", horus_last_error());
        }
        return;
    }
    for (int i = 0; i < 64; i++) {
        horus_result r = horus_topic_receive(w->reliable, small, sizeof small, &info, 0);
        if (r == HORUS_EMPTY)
            return;
        if (r != HORUS_OK || info.size != sizeof small || !intact(small, sizeof small)) {
            broken("receive reliably: %d %s", r, horus_last_error());
            return;
        }
        order(&w->seen[1], "reliable", (const Head *)small, &info, true);
        atomic_fetch_add(&board->reliable_got, 1);
    }
}

/* Each job that was sent comes to somebody; again only if who had it died before he said that it was
 * done, and then it is marked; and never once that was said. */
static bool job_came(const void *data, const horus_info *info, uint64_t who)
{
    const Head *h = data;
    if (info->size != 64 || !intact(data, 64) || h->n >= MAX_JOBS)
        return false;
    Life *sender = &board->life[h->life];
    uint8_t before = atomic_fetch_or(&sender->job[h->n], JOB_GOT);
    if (before & JOB_ENDED)
        broken("job %llu of %llu was done, and came again", (unsigned long long)h->n,
               (unsigned long long)h->life);
    if (before && !info->redelivered)
        broken("job %llu of %llu came twice", (unsigned long long)h->n,
               (unsigned long long)h->life);
    atomic_store(&sender->holder[h->n], (uint16_t)who);
    return true;
}
static void job_ends(World *w)
{
    Life *sender = &board->life[w->open_job_life];
    if (w->open_job_life == 0)
        return;
    if (atomic_load(&sender->holder[w->open_job]) != w->life)
        broken("job %llu of %llu went to another while its consumer lived",
               (unsigned long long)w->open_job, (unsigned long long)w->open_job_life);
    atomic_fetch_or(&sender->job[w->open_job], JOB_ENDING);
}
static void job_ended(World *w)
{
    if (w->open_job_life)
        atomic_fetch_or(&board->life[w->open_job_life].job[w->open_job], JOB_ENDED);
    w->open_job_life = 0;
}
static void ack_job(World *w)
{
    job_ends(w);
    if (horus_topic_ack(w->jobs) != HORUS_OK)
        broken("ack: %s", horus_last_error());
    job_ended(w);
}

static void job_turn(World *w, bool send)
{
    uint64_t small[8];
    horus_info info;
    if (send) {
        uint32_t n = atomic_load(&w->mine->jobs_begun);
        if (n + 1 >= MAX_JOBS)
            return;
        fill(small, sizeof small, w->life, n);
        atomic_store(&w->mine->jobs_begun, n + 1);
        horus_result r = horus_topic_send(w->jobs, small, sizeof small, 0);
        if (r == HORUS_OK)
            atomic_store(&w->mine->jobs_sent, n + 1);
        else
            atomic_store(&w->mine->jobs_begun, n); /* refused: the number is free again */
        if (r == HORUS_FULL)
            atomic_fetch_add(&board->full, 1);
        else if (r != HORUS_OK && r != HORUS_E_POOL_FULL)
            broken("send a job: %s", horus_last_error());
        return;
    }
    if (w->open_job_life && rng() % 2) {
        ack_job(w);
        return;
    }
    job_ends(w); /* by this receive, whatever it gets */
    horus_result r =
        horus_topic_receive(w->jobs, small, sizeof small, &info, rng() % 4 ? 0 : 1000000);
    job_ended(w);
    if (r == HORUS_EMPTY || r == HORUS_TIMEOUT || r == HORUS_INTERRUPTED)
        return;
    if (r != HORUS_OK || !job_came(small, &info, w->life)) {
        broken("receive a job: %d %s", r, horus_last_error());
        return;
    }
    const Head *h = (const Head *)small;
    w->open_job_life = h->life;
    w->open_job = h->n;
    if (info.redelivered)
        atomic_fetch_add(&board->again, 1);
    atomic_fetch_add(&board->jobs_got, 1);
    if (rng() % 2) /* else it stays claimed: a kill by then gives it to another, who is told */
        ack_job(w);
}

/* ---- a worker's scheduler, and those of the others */

enum { BOX_BYTES = 16 << 10, RECORDS = 64 };
static void scheduler_name(char *name, size_t room, int k)
{
    (void)snprintf(name, room, "worker-%d", k);
}
/* A line whose every part tells the others. */
static void line_of(char *line, size_t room, uint64_t life, uint32_t tick)
{
    (void)snprintf(line, room, "life %llu tick %u %016llx end", (unsigned long long)life,
                   (unsigned)tick, (unsigned long long)(life * 0x9e3779b97f4a7c15u ^ tick));
}
static void check_record(const horus_record *r)
{
    char line[80];
    unsigned long long life;
    unsigned tick;
    const char *node = r->index == UINT32_MAX ? "" : r->index == 0 ? "work" : "look";
    if (strcmp(r->node, node) != 0)
        broken("a record of node %u, which is called %s", (unsigned)r->index, r->node);
    if (r->kind != HORUS_EVENT_LOG) {
        if (r->text[0] && r->kind != HORUS_EVENT_FAILURE)
            broken("a record with somebody else's text: %s", r->text);
        return;
    }
    if (sscanf(r->text, "life %llu tick %u", &life, &tick) != 2)
        life = tick = 0;
    line_of(line, sizeof line, life, tick);
    if (strcmp(line, r->text) != 0)
        broken("a torn record: %s", r->text);
}
/* Reads what worker k's newest scheduler counts, and all that its black box holds. dead: nobody runs
 * under that name any more, so what was counted is what happened. */
static bool look_at(horus_context *c, int k, bool dead)
{
    char name[40];
    horus_scheduler_stats s;
    horus_node_stats n[3];
    static _Thread_local horus_record records[RECORDS];
    size_t count;
    scheduler_name(name, sizeof name, k);
    horus_result r = horus_scheduler_read(c, name, &s, n, 3, &count);
    uint64_t life = s.seed; /* what it has done by now, the next look must show */
    uint32_t done = r == HORUS_OK && life < MAX_LIVES ? atomic_load(&board->life[life].ticks) : 0;
    if (r == HORUS_OK)
        r = horus_scheduler_read(c, name, &s, n, 3, &count);
    if (r == HORUS_E_NOT_FOUND)
        return false; /* killed before it had any; or long since, and its memory was needed */
    if (r != HORUS_OK) {
        broken("read the figures of %s: %s", name, horus_last_error());
        return false;
    }
    if (strcmp(s.name, name) != 0 || s.seed == 0 || s.seed >= MAX_LIVES || count != 2 ||
        strcmp(n[0].name, "work") != 0 || strcmp(n[1].name, "look") != 0)
        broken("figures of %s: named %s, life %llu, %zu nodes", name, s.name,
               (unsigned long long)s.seed, count);
    else if ((s.seed == life && n[0].ticks < done) || (dead && n[0].ticks > (uint64_t)done + 1))
        broken("figures of %s: %llu ticks, %u were done", name, (unsigned long long)n[0].ticks,
               (unsigned)done);
    else if (dead && (n[0].spread[HORUS_SPREAD_RUN].count > n[0].ticks ||
                      n[0].spread[HORUS_SPREAD_RUN].count + 1 < n[0].ticks))
        broken("figures of %s: %llu ticks, %llu of them timed", name,
               (unsigned long long)n[0].ticks,
               (unsigned long long)n[0].spread[HORUS_SPREAD_RUN].count);
    else if (n[0].recoveries > n[0].safe_entries)
        broken("figures of %s: %llu recoveries from %llu episodes", name,
               (unsigned long long)n[0].recoveries, (unsigned long long)n[0].safe_entries);
    if (horus_scheduler_read_records(c, name, records, RECORDS, &count) == HORUS_OK)
        for (size_t i = 0; i < count; i++)
            check_record(&records[i]);
    atomic_fetch_add(&board->figures_read, 1);
    atomic_fetch_add(&board->records_read, count);
    if (dead) {
        atomic_fetch_add(&board->ticks, n[0].ticks);
        atomic_fetch_add(&board->misses, n[0].budget_misses);
    }
    return true;
}

static horus_result work(void *user, horus_tick *t)
{
    World *w = user;
    uint32_t what = rng() % 100;
    char line[80];
    if (what < 20)
        send_frame(w);
    else if (what < 50)
        get_frame(w, rng() % 8 ? 0 : 1000000);
    else if (what < 60)
        reliable_turn(w, true);
    else if (what < 75)
        reliable_turn(w, false);
    else if (what < 85)
        job_turn(w, true);
    else if (what < 97)
        job_turn(w, false);
    else if (what < 98)
        drop(&w->held[rng() % HOLD]);
    else if (what < 99)
        (void)horus_context_sweep(w->context, NULL);
    else if (rng() % 20 == 0) /* leave and come back as somebody new */
        horus_scheduler_stop(t->scheduler);
    if (what < 30) {
        line_of(line, sizeof line, w->life, (uint32_t)t->count);
        horus_scheduler_log(t->scheduler, t, line);
    }
    if (stop)
        horus_scheduler_stop(t->scheduler);
    atomic_fetch_add(&w->mine->ticks, 1);
    return HORUS_OK;
}
/* Looks at all, on a thread of its own. */
static horus_result look(void *user, horus_tick *t)
{
    World *w = user;
    (void)look_at(w->context, (int)(horus_tick_random(t) % MAX_WORKERS), false);
    return HORUS_OK;
}
static void be_safe(void *user) { (void)user; }
static horus_result run_worker(World *w, int k)
{
    char name[40];
    horus_scheduler *s = NULL;
    horus_scheduler_stats stats;
    horus_node_stats n[2];
    scheduler_name(name, sizeof name, k);
    horus_scheduler_desc d = {.name = name,
                              .context = w->context,
                              .seed = w->life,
                              .watchdog_ns = 1000000,
                              .blackbox_bytes = BOX_BYTES};
    horus_result r = horus_scheduler_open(&s, &d);
    if (r == HORUS_OK) /* as often as can be */
        r = horus_scheduler_add(s, &(horus_node_desc){.name = "work",
                                                      .tick = work,
                                                      .safe_state = be_safe,
                                                      .user = w,
                                                      .rate_hz = 1e6,
                                                      .budget_ns = 20000000,
                                                      .on_miss = HORUS_MISS_SAFE_MODE});
    if (r == HORUS_OK)
        r = horus_scheduler_add(
            s, &(horus_node_desc){
                   .name = "look", .tick = look, .user = w, .rate_hz = 20, .compute = true});
    if (r == HORUS_OK)
        r = horus_scheduler_run(s, HORUS_FOREVER);
    if (r == HORUS_OK &&
        (horus_scheduler_get_stats(s, &stats, n, 2, NULL) != HORUS_OK ||
         n[0].ticks != atomic_load(&w->mine->ticks) || stats.end != HORUS_END_STOP))
        broken("a scheduler that was stopped has %llu ticks", (unsigned long long)n[0].ticks);
    if (horus_scheduler_close(s) != HORUS_OK)
        broken("close a scheduler: %s", horus_last_error());
    return r;
}

static int worker(uint64_t seed, uint64_t mib, int k)
{
    World w;
    memset(&w, 0, sizeof w);
    w.life = atomic_fetch_add(&board->lives, 1) + 1;
    if (w.life >= MAX_LIVES)
        return 0;
    w.mine = &board->life[w.life];
    rng_state = seed * 2654435761u + w.life;
    if (!open_all(&w, mib)) {
        broken("a worker cannot open: %s", horus_last_error());
        return 1;
    }
    (void)horus_topic_wait(w.reliable,
                           0); /* it reads: or its first send would say that it only sends */
    if (run_worker(&w, k) != HORUS_OK)
        broken("a worker's scheduler: %s", horus_last_error());
    for (int i = 0; i < HOLD; i++)
        drop(&w.held[i]);
    free(w.seen);
    job_ends(&w); /* by closing */
    horus_context_close(w.context);
    job_ended(&w);
    return 0;
}

/* ---- the supervisor */

static pid_t pids[MAX_WORKERS];
static const char *programs[2];
static char shm_arg[16], seed_arg[24], mib_arg[24], which_arg[16];

static void start(int k)
{
    static uint64_t serial;
    (void)snprintf(seed_arg, sizeof seed_arg, "%llu", (unsigned long long)(rng() ^ serial++));
    (void)snprintf(which_arg, sizeof which_arg, "%d", k);
    fflush(NULL);
    pids[k] = fork();
    if (pids[k] == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl(programs[k & 1], programs[k & 1], "worker", shm_arg, seed_arg, mib_arg, which_arg,
              (char *)NULL);
        _exit(127);
    }
}

static void show_holder(void *user, const horus_holder *h)
{
    (void)user;
    printf("  slot %u gen %u %llu bytes: row %u pid %d %s%s%s %s\n", (unsigned)h->slot,
           (unsigned)h->generation, (unsigned long long)h->bytes, (unsigned)h->row, (int)h->pid,
           h->label, h->alive ? "" : " DEAD",
           h->ring       ? " ring"
           : h->internal ? " internal"
                         : " handle",
           h->topic);
}

static void count_astray(void *user, const horus_holder *h)
{
    *(uint32_t *)user += h->alive || !h->ring;
}

static int failures;
static void check(bool good, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (!good) {
        failures++;
        printf("storm: FAILED: ");
        (void)vprintf(format, args);
        printf("\n");
    }
    va_end(args);
}

/* With nothing held, all memory serves one frame, or thousands of small ones. */
static void use_all(horus_pool *pool, bool frames_only)
{
    horus_audit audit;
    horus_pool_stats stats;
    (void)horus_pool_get_stats(pool, &stats);
    horus_frame big, *small_ones;
    check(horus_frame_alloc(&big, pool, stats.data_bytes / 100 * 95, HORUS_UNINIT, NULL) ==
              HORUS_OK,
          "95 %% in one piece: %s", horus_last_error());
    (void)horus_frame_release(&big);
    uint64_t n = 0, goal = stats.data_bytes / 4096 / 100 * 95;
    small_ones = calloc(goal, sizeof *small_ones);
    while (small_ones && n < goal &&
           horus_frame_alloc(&small_ones[n], pool, 4096, HORUS_UNINIT, NULL) == HORUS_OK)
        n++;
    check(n == goal, "%llu of %llu blocks of 4 KiB: %s", (unsigned long long)n,
          (unsigned long long)goal, horus_last_error());
    while (n > 0)
        (void)horus_frame_release(&small_ones[--n]);
    free(small_ones);
    check(horus_pool_audit(pool, &audit, NULL, NULL) == HORUS_OK && audit.balanced,
          "the audit at the end: %s", audit.first);
    uint32_t astray = 0; /* what the dead had sent may stay where it is in nobody's way */
    (void)horus_pool_audit(pool, &audit, count_astray, &astray);
    check(astray == 0 || !frames_only, "%u slots are held by nobody's frames", (unsigned)astray);
    if (astray && frames_only)
        (void)horus_pool_audit(pool, &audit, show_holder, NULL);
}

static void afterwards(horus_context *c)
{
    horus_pool *pool;
    horus_audit audit;
    horus_pool_stats stats;
    horus_pool *both[2];
    check(horus_pool_open(&both[0], NULL, &(horus_pool_desc){.context = c}) == HORUS_OK &&
              open_frames(&both[1], c) == HORUS_OK,
          "pools: %s", horus_last_error());
    uint32_t rows = 0;
    check(horus_context_sweep(c, &rows) == HORUS_OK, "sweep: %s", horus_last_error());
    for (int k = 0; k < 2; k++) {
        pool = both[k];
        check(horus_pool_audit(pool, &audit, NULL, NULL) == HORUS_OK && audit.balanced,
              "the audit of pool %d: leaked %u, misshapen %u, unpinned %u: %s", k,
              (unsigned)audit.leaked, (unsigned)audit.misshapen, (unsigned)audit.unpinned,
              audit.first);
        if (!audit.balanced)
            (void)horus_pool_audit(pool, &audit, show_holder, NULL);
        (void)horus_pool_get_stats(pool, &stats);
        printf("storm: %u slots in use in pool %d before memory is asked for\n",
               (unsigned)stats.used_slots, k);
    }

    /* every job that was sent was done: what is left in the queue is taken here */
    horus_topic *jobs;
    uint64_t small[8], left = 0, missing = 0;
    horus_info info;
    check(horus_topic_open(&jobs, "jobs",
                           &(horus_topic_desc){.policy = HORUS_QUEUE, .context = c}) == HORUS_OK,
          "open jobs: %s", horus_last_error());
    while (horus_topic_receive(jobs, small, sizeof small, &info, 0) == HORUS_OK) {
        const Head *h = (const Head *)small;
        if (job_came(small, &info, 0))
            atomic_fetch_or(&board->life[h->life].job[h->n], JOB_ENDING);
        else
            check(false, "a job left over is damaged");
        left++;
    }
    horus_topic_close(jobs);
    for (uint32_t i = 0; i < MAX_LIVES; i++)
        for (uint32_t n = 0; n < board->life[i].jobs_sent; n++)
            missing += !(board->life[i].job[n] & JOB_ENDING);
    check(missing == 0, "%llu jobs were never done", (unsigned long long)missing);
    printf("storm: %llu jobs were left over\n", (unsigned long long)left);

    for (int k = 0; k < 2; k++)
        use_all(both[k], k == 1);
}

int main(int argc, char **argv)
{
    long kills = 1000, stops = 100, workers = 8, mib = 128, pause_us = 40000;
    uint64_t seed = (uint64_t)time(NULL) ^ (uint64_t)getpid() << 20;
    char self[512], namespace[64];
    if (argc >= 6 && strcmp(argv[1], "worker") == 0) {
        int fd = atoi(argv[2]);
        board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        close(fd);
        struct sigaction sa = {.sa_handler = on_term};
        (void)sigaction(SIGTERM, &sa, NULL);
        return board == MAP_FAILED ? 1
                                   : worker(strtoull(argv[3], NULL, 10),
                                            strtoull(argv[4], NULL, 10), atoi(argv[5]));
    }
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length > 0 ? length : 0] = 0;
    programs[0] = programs[1] = self;
    for (int o; (o = getopt(argc, argv, "k:s:w:r:o:x:m:p:")) != -1;)
        switch (o) {
        case 'k':
            kills = atol(optarg);
            break;
        case 's':
            stops = atol(optarg);
            break;
        case 'w':
            workers = atol(optarg);
            break;
        case 'r':
            seed = strtoull(optarg, NULL, 10);
            break;
        case 'o':
            programs[1] = optarg;
            break;
        case 'x':
            programs[0] = programs[1] = optarg;
            break;
        case 'm':
            mib = atol(optarg);
            break;
        case 'p':
            pause_us = atol(optarg) > 0 ? atol(optarg) : 1;
            break;
        default:
            return 2;
        }
    workers = workers > MAX_WORKERS ? MAX_WORKERS : workers;
    rng_state = seed;
    (void)snprintf(namespace, sizeof namespace, "storm-%d", (int)getpid());
    (void)setenv("HORUS_NAMESPACE", namespace, 1);
    (void)snprintf(mib_arg, sizeof mib_arg, "%ld", mib);
    int fd = (int)syscall(SYS_memfd_create, "board", 0);
    if (fd < 0 || ftruncate(fd, sizeof *board) != 0)
        return 2;
    board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)snprintf(shm_arg, sizeof shm_arg, "%d", fd);
    printf("storm: seed %llu, %ld workers, %ld kills, %ld stops, pool %ld MiB%s\n",
           (unsigned long long)seed, workers, kills, stops, mib,
           programs[1] == programs[0] ? "" : ", two programs");
    fflush(stdout);

    horus_context *c;
    check(horus_context_open(&c, wish((uint64_t)mib)) == HORUS_OK, "open: %s", horus_last_error());
    if (failures)
        return 1;
    for (int k = 0; k < workers; k++)
        start(k);
    long killed = 0, stopped = 0, ended = 0, read = 0;
    int status;
    uint64_t began = horus_now_ns();
    while (killed < kills && atomic_load(&board->broken) == 0 &&
           atomic_load(&board->lives) < MAX_LIVES - 64) {
        usleep(rng() % (uint32_t)pause_us);
        int k = (int)(rng() % (uint32_t)workers);
        if (stopped < stops && rng() % 10 == 0) { /* a pause is not a death */
            (void)kill(pids[k], SIGSTOP);
            usleep(rng() % 60000);
            (void)kill(pids[k], SIGCONT);
            stopped++;
            continue;
        }
        (void)kill(pids[k], SIGKILL);
        killed++;
        for (int i = 0; i < workers; i++) {
            if (waitpid(pids[i], &status, i == k ? 0 : WNOHANG) != pids[i])
                continue;
            ended += i != k;
            check(i == k || (WIFEXITED(status) && WEXITSTATUS(status) == 0),
                  "worker %d ended with status %x", i, (unsigned)status);
            read += look_at(c, i, true);
            start(i);
        }
    }
    for (int k = 0; k < workers; k++)
        (void)kill(pids[k], SIGTERM);
    for (int k = 0; k < workers; k++) {
        (void)waitpid(pids[k], &status, 0);
        check((WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
                  (WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM),
              "worker %d ended with status %x", k, (unsigned)status);
        (void)look_at(c, k, true);
    }
    check(read > killed / 4, "figures of only %ld of %ld dead and gone could be read", read,
          killed + ended);
    check(killed < 50 || board->again > (uint64_t)killed / 20,
          "only %llu of %ld killed had a job that was not done", (unsigned long long)board->again,
          killed);
    afterwards(c);
    check(atomic_load(&board->broken) == 0, "%u broken promises, the first: %s",
          (unsigned)atomic_load(&board->broken), board->what);
    char path[400];
    horus_context_info info;
    (void)horus_context_get_info(c, &info);
    (void)snprintf(path, sizeof path, "%s", info.path);
    *strrchr(path, '/') = 0;
    horus_context_close(c);
    check(access(path, F_OK) != 0, "%s is still there", path);
    printf("storm: %ld kills, %ld stops, %ld leavings, %u lives in %.1f s\n", killed, stopped,
           ended, (unsigned)atomic_load(&board->lives), (double)(horus_now_ns() - began) / 1e9);
    printf("storm: figures of %ld dead and gone read, %llu in all, with %llu records; %llu ticks, "
           "%llu "
           "over their budget\n",
           read, (unsigned long long)board->figures_read, (unsigned long long)board->records_read,
           (unsigned long long)board->ticks, (unsigned long long)board->misses);
    printf("storm: frames %llu sent (%llu MiB) %llu got, %llu looked at again; reliable %llu sent "
           "%llu got; "
           "jobs %llu done, %llu redelivered; lost %llu (told), full %llu, pool full %llu\n",
           (unsigned long long)board->frames_sent, (unsigned long long)board->bytes >> 20,
           (unsigned long long)board->frames_got, (unsigned long long)board->max_hold_checks,
           (unsigned long long)board->reliable_sent, (unsigned long long)board->reliable_got,
           (unsigned long long)board->jobs_got, (unsigned long long)board->again,
           (unsigned long long)board->lost, (unsigned long long)board->full,
           (unsigned long long)board->pool_full);
    printf("%d passed, %d failed\n", failures == 0, failures);
    return failures != 0;
}
