/* demo: starts camera, detector and recorder as processes of their own, shows what flows between
 * them and what their schedulers count, starts again whoever is killed, and proves at the end that
 * nothing stays behind.
 *
 *     gcc -O2 -I.. demo.c -o demo      in this directory, beside the three programs; or: make demo
 *
 *     ./demo [--seconds 10]     0: until Ctrl-C
 *            [--out DIR]        pictures and logs go here; default ./demo_out
 *            [--images DIR]     PNG and JPG files instead of /dev/video0 or the rendered scene
 *            [--scene]          the rendered scene even where there is a camera
 *            [--truth]          also write truth.csv: where the rendered objects are
 *            [--no-restart]     leave a killed process down; start it again by hand
 *
 * Hop: from the send to the moment when this process, asleep until then, has the message.
 * Late: from the moment when a node's tick was due, or its message sent, to its begin. */
#define HORUS_IMPLEMENTATION
#include "horus.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILDREN = 3, TOPICS = 2, NODES = 2, HOPS = 2048, RECENT = 128, SPARKS = 10 };
#define SECOND 1000000000ull
#define MIB 1048576.0

typedef struct child {
    const char *name;
    pid_t pid; /* 0: down */
    uint64_t started_ns, down_ns, moved_ns, processed;
    uint32_t restarts, quick_deaths, holds;
    bool greeted;            /* this pid's scheduler has run */
    bool by_hand;            /* not our child: somebody else started it */
    uint64_t longest_gap_ns; /* from a death to the start of the next one's scheduler */
    horus_node_stats nodes[NODES];
    size_t node_count;        /* of the program */
    uint64_t read_ns, passes; /* when its figures were read, whose, and how far it was */
    pid_t read_pid;
} child;

typedef struct watched {
    const char *name;
    const horus_type *type;
    horus_topic *topic;
    uint64_t seen, bytes, lost, lost_before, timed;
    uint32_t frames;
    uint64_t hops_ns[HOPS], recent_ns[RECENT];
    uint32_t spark[SPARKS + 1]; /* messages in each of the last ticks; the last one is not over */
} watched;

static struct {
    horus_context *context;
    horus_context_info info;
    child children[CHILDREN];
    watched topics[TOPICS];
    const char *out, *images;
    char bin[3800], self[3900], space[HORUS_NAME_BYTES], source[HORUS_FRAME_ID_BYTES];
    bool scene, truth, restart, tty, utf8, gave_up;
    uint64_t start_ns, length_ns, frames_alive;
    uint32_t width_px, height_px, frame_bytes;
    unsigned lines; /* of the table on the screen */
} demo = {.children = {{.name = "camera", .node_count = 1},
                       {.name = "detector", .node_count = 1},
                       {.name = "recorder", .node_count = 2}},
          .topics = {{.name = "camera", .type = &horus_image_type},
                     {.name = "detections", .type = &horus_detections_type}},
          .out = "demo_out",
          .restart = true,
          .length_ns = 10 * SECOND};

static volatile sig_atomic_t stopping;
static void on_signal(int number) { stopping = number; }

/* ---- the screen */

static void erase_table(void)
{
    if (demo.lines)
        printf("\x1b[%uA\x1b[J", demo.lines);
    demo.lines = 0;
}

/* A line that stays, above the table. */
__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    va_list args;
    erase_table();
    va_start(args, format);
    printf("%5.1f s  ", (double)(horus_now_ns() - demo.start_ns) / 1e9);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
}

/* A line of the table. */
__attribute__((format(printf, 1, 2))) static void row(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    fputs("\x1b[K\n", stdout);
    demo.lines++;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* A percentile of the newest hops, in microseconds. */
static double hop_us(const watched *w, unsigned percent)
{
    uint64_t sorted[HOPS];
    size_t n = w->timed < HOPS ? w->timed : HOPS;
    memcpy(sorted, w->hops_ns, n * sizeof sorted[0]);
    qsort(sorted, n, sizeof sorted[0], by_size);
    return n ? (double)sorted[(n - 1) * percent / 100] / 1e3 : 0;
}

/* Messages per second over the last two seconds. */
static double rate_hz(const watched *w, uint64_t now)
{
    uint64_t n = w->seen < RECENT ? w->seen : RECENT, oldest = UINT64_MAX, newest = 0, in = 0;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t t = w->recent_ns[i];
        if (now - t < 2 * SECOND) {
            oldest = t < oldest ? t : oldest;
            newest = t > newest ? t : newest;
            in++;
        }
    }
    bool flows = in > 1 && now - newest < SECOND / 2;
    return flows ? (double)(in - 1) * 1e9 / (double)(newest - oldest) : 0;
}

static const char *spark(const watched *w)
{
    static const char *const blocks[8] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static char text[SPARKS * 4];
    uint32_t most = 1;
    text[0] = 0;
    for (int i = 0; i < SPARKS; i++)
        most = w->spark[i] > most ? w->spark[i] : most;
    for (int i = 0; i < SPARKS; i++)
        if (demo.utf8)
            strcat(text, blocks[w->spark[i] * 7 / most]);
        else
            strncat(text, &"_.:-=+*#"[w->spark[i] * 7 / most], 1);
    return text;
}

static unsigned count_pictures(void)
{
    unsigned count = 0, number;
    DIR *d = opendir(demo.out);
    for (struct dirent *e; d && (e = readdir(d));)
        count += sscanf(e->d_name, "picture_%u.png", &number) == 1;
    if (d)
        closedir(d);
    return count;
}

static void draw_table(const horus_pool_stats *pool, uint64_t now)
{
    const child *victim = NULL;
    const char *bold = "\x1b[1m", *dim = "\x1b[2m", *plain = "\x1b[0m";
    erase_table();
    fputs("\x1b[?7l", stdout); /* no wrapping: a wrapped line would upset the count of lines */
    row("%s", "");
    char length[32] = "s, Ctrl-C ends it";
    if (demo.length_ns)
        snprintf(length, sizeof length, "of %.0f s", (double)demo.length_ns / 1e9);
    row("  %shorus demo%s  %s, %u x %u rgb8   %s%.1f %s%s", bold, plain,
        demo.source[0] ? demo.source : "waiting for the camera", demo.width_px, demo.height_px, dim,
        (double)(now - demo.start_ns) / 1e9, length, plain);
    row("%s", "");
    row("  %stopic            rate    hop p50    hop p99   lost  frames    sent%s", dim, plain);
    for (int i = 0; i < TOPICS; i++) {
        const watched *w = &demo.topics[i];
        row("  %s%-11s%s %6.1f Hz %7.1f us %7.1f us %6llu  %6u %7llu  %s", bold, w->name, plain,
            rate_hz(w, now), hop_us(w, 50), hop_us(w, 99), (unsigned long long)w->lost, w->frames,
            (unsigned long long)w->seen, spark(w));
    }
    row("%s", "");
    row("  %sprocess         pid  state        frames done   holds now   restarts%s", dim, plain);
    for (int i = 0; i < CHILDREN; i++) {
        const child *c = &demo.children[i];
        bool silent = c->pid && c->greeted && now - c->moved_ns > SECOND;
        row("  %s%-11s%s %7d  %s%-9s%s %14llu %11u %10u", bold, c->name, plain, (int)c->pid,
            c->pid ? silent ? "\x1b[33m" : "\x1b[32m" : "\x1b[31;1m",
            c->pid ? silent ? "silent" : "running" : "down", plain,
            (unsigned long long)c->processed, c->holds, c->restarts);
        if (c->pid && now / (2 * SECOND) % CHILDREN >= (unsigned)i)
            victim = c;
    }
    row("%s", "");
    row("  %snode            rate     ticks   skipped   late p50     late p99      run p99%s", dim,
        plain);
    for (int i = 0; i < CHILDREN; i++) {
        for (size_t k = 0; k < demo.children[i].node_count; k++) {
            const horus_node_stats *n = &demo.children[i].nodes[k];
            char rate[32] = "on topic";
            if (n->rate_den)
                snprintf(rate, sizeof rate, "%.1f Hz", (double)n->rate_num / n->rate_den);
            row("  %s%-11s%s %8s %9llu %9llu %7.0f us %9.0f us %9.0f us", bold, n->name, plain,
                rate, (unsigned long long)n->ticks, (unsigned long long)n->skipped,
                (double)n->spread[HORUS_SPREAD_WAKE].p50_ns / 1e3,
                (double)n->spread[HORUS_SPREAD_WAKE].p99_ns / 1e3,
                (double)n->spread[HORUS_SPREAD_RUN].p99_ns / 1e3);
        }
    }
    size_t length_out = strlen(demo.out), cut = length_out > 24 ? length_out - 21 : 0;
    char hint[64] = "";
    if (victim)
        snprintf(hint, sizeof hint, "Kill one and watch: kill -9 %d", (int)victim->pid);
    char bar[33] = "................................";
    uint64_t full = pool->data_bytes ? pool->used_bytes * 32 / pool->data_bytes : 0;
    memset(bar, '#', (size_t)(full < 32 ? full + (pool->used_bytes > 0) : 32));
    row("%s", "");
    row("  %spool%s  %.1f of %.0f MiB  [%s]  %llu frames alive", bold, plain,
        (double)pool->used_bytes / MIB, (double)pool->data_bytes / MIB, bar,
        (unsigned long long)demo.frames_alive);
    row("  %s%u pictures in %s%s   %s%s", dim, count_pictures(), cut ? "..." : "", demo.out + cut,
        hint, plain);
    fputs("\x1b[?7h", stdout);
    fflush(stdout);
}

static void print_line(const horus_pool_stats *pool, uint64_t now)
{
    printf("%5.1f s  ", (double)(now - demo.start_ns) / 1e9);
    for (int i = 0; i < TOPICS; i++) {
        const watched *w = &demo.topics[i];
        printf("%s %llu (%.1f Hz, hop p50 %.1f us p99 %.1f us, lost %llu, frames %u)  ", w->name,
               (unsigned long long)w->seen, rate_hz(w, now), hop_us(w, 50), hop_us(w, 99),
               (unsigned long long)w->lost, w->frames);
    }
    for (int i = 0; i < CHILDREN; i++)
        printf("%s[%d] %llu  ", demo.children[i].name, (int)demo.children[i].pid,
               (unsigned long long)demo.children[i].processed);
    printf("pictures %u  pool %.1f/%.0f MiB\n", count_pictures(), (double)pool->used_bytes / MIB,
           (double)pool->data_bytes / MIB);
    fflush(stdout);
}

/* ---- the processes */

/* The command of a child: path and arguments, ended by NULL. */
static const char *const *command(const child *c)
{
    static char path[4096], truth[4096];
    static const char *argv[8];
    int n = 0;
    snprintf(path, sizeof path, "%s/%s", demo.bin, c->name);
    snprintf(truth, sizeof truth, "%s/truth.csv", demo.out);
    argv[n++] = path;
    if (c == &demo.children[0] && demo.images) {
        argv[n++] = "--images";
        argv[n++] = demo.images;
    } else if (c == &demo.children[0] && demo.scene) {
        argv[n++] = "--scene";
    }
    if (c == &demo.children[0] && demo.truth) {
        argv[n++] = "--truth";
        argv[n++] = truth;
    }
    if (c == &demo.children[2]) {
        argv[n++] = "--out";
        argv[n++] = demo.out;
    }
    argv[n] = NULL;
    return argv;
}

static void start_child(child *c)
{
    char log[4096];
    const char *const *argv = command(c);
    snprintf(log, sizeof log, "%s/%s.log", demo.out, c->name);
    fflush(stdout);
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
        prctl(PR_SET_PDEATHSIG, SIGTERM); /* should this process be killed, the others end too */
        if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0 || getppid() != parent)
            _exit(127);
        execv(argv[0], (char *const *)argv);
        fprintf(stderr, "cannot run %s: %s\n", argv[0], strerror(errno));
        _exit(2);
    }
    c->pid = pid > 0 ? pid : 0;
    c->started_ns = horus_now_ns();
    c->processed = 0;
    c->greeted = c->by_hand = false;
}

static void print_log(const child *c)
{
    char path[4096], line[512];
    snprintf(path, sizeof path, "%s/%s.log", demo.out, c->name);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        fprintf(stderr, "    %s", line);
    if (f)
        fclose(f);
}

static void ask_for(const child *c)
{
    char line[8192];
    int n = snprintf(line, sizeof line, "HORUS_NAMESPACE=%s", demo.space);
    for (const char *const *arg = command(c); *arg && n < 8000; arg++)
        n += snprintf(line + n, sizeof line - (size_t)n, " %s", *arg);
    say("start it by hand: %s", line);
}

/* Notices deaths, and starts again, a second later so that it can be seen, whoever died. */
static void tend_children(uint64_t now)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        for (int i = 0; i < CHILDREN; i++) {
            child *c = &demo.children[i];
            if (c->pid != pid)
                continue;
            c->pid = 0;
            c->down_ns = now;
            c->quick_deaths = now - c->started_ns < SECOND ? c->quick_deaths + 1 : 0;
            if (stopping)
                continue;
            bool wrong = WIFEXITED(status) && WEXITSTATUS(status) == 2;
            if (wrong || c->quick_deaths >= 5) {
                say("%s cannot go on; its log:", c->name);
                print_log(c);
                demo.gave_up = true;
                stopping = 1;
            } else if (WIFSIGNALED(status)) {
                say("%s (%d) was killed by signal %d; the others go on", c->name, (int)pid,
                    WTERMSIG(status));
            } else {
                say("%s (%d) ended with status %d", c->name, (int)pid, WEXITSTATUS(status));
            }
            if (!demo.restart && !stopping)
                ask_for(c);
        }
    }
    for (int i = 0; i < CHILDREN; i++) {
        child *c = &demo.children[i];
        if (c->pid && c->by_hand && now - c->moved_ns > SECOND) {
            say("%s (%d) is silent", c->name, (int)c->pid);
            c->pid = 0;
            c->down_ns = now;
        }
        if (c->pid == 0 && demo.restart && !stopping && now - c->down_ns > SECOND) {
            c->restarts++;
            start_child(c);
            say("%s is started again as %d", c->name, (int)c->pid);
        }
    }
}

static void stop_children(void)
{
    uint64_t begin = horus_now_ns();
    for (int i = 0; i < CHILDREN; i++)
        if (demo.children[i].pid)
            kill(demo.children[i].pid, SIGTERM);
    for (int left = CHILDREN; left > 0;) {
        left = 0;
        for (int i = 0; i < CHILDREN; i++) {
            child *c = &demo.children[i];
            uint64_t waited = horus_now_ns() - begin;
            if (c->pid && (c->by_hand ? kill(c->pid, 0) : waitpid(c->pid, NULL, WNOHANG)) != 0)
                c->pid = 0;
            if (c->pid && waited > 3 * SECOND / 2)
                kill(c->pid, SIGKILL);
            if (c->pid && waited > 3 * SECOND)
                c->pid = 0; /* its parent does not collect it; it is gone all the same */
            left += c->pid != 0;
        }
        if (left)
            usleep(2000);
    }
}

/* ---- what flows */

/* Reads the figures of its scheduler; those of a dead one stay until the next one starts. */
static horus_result read_figures(child *c, horus_scheduler_stats *s)
{
    return horus_scheduler_read(demo.context, c->name, s, c->nodes, NODES, NULL);
}

/* Looks at the scheduler of a process: ours, or one that somebody started by hand. */
static void look_at(child *c, uint64_t now)
{
    horus_scheduler_stats s;
    if (read_figures(c, &s) != HORUS_OK)
        return;
    bool moved = s.running && (s.pid != c->read_pid || s.passes != c->passes);
    bool looked = c->read_ns > c->down_ns; /* since the last one died: what moves now lives */
    c->read_ns = now;
    c->read_pid = s.pid;
    c->passes = s.passes;
    if (c->pid == 0 && !demo.restart && moved && looked) {
        say("%s is back as %d, started by hand", c->name, (int)s.pid);
        c->greeted = c->by_hand = true;
        c->pid = s.pid;
    }
    if (s.pid != c->pid)
        return;
    c->processed = c->nodes[0].ticks;
    if (moved)
        c->moved_ns = now;
    if (!c->greeted && s.start_ns > c->down_ns) {
        uint64_t gap = s.start_ns - c->down_ns;
        c->greeted = true;
        if (c->restarts) {
            c->longest_gap_ns = gap > c->longest_gap_ns ? gap : c->longest_gap_ns;
            say("%s works again, %.2f s after it died", c->name, (double)gap / 1e9);
        }
    }
}

/* Takes one message. `timed`: this process was asleep until it came. */
static bool take(watched *w, bool timed)
{
    horus_info info;
    horus_result r;
    if (w->type->kind == HORUS_KIND_IMAGE) {
        horus_image img;
        r = horus_topic_receive_image(w->topic, &img, &info, HORUS_NO_WAIT);
        if (r == HORUS_OK) {
            info.size = demo.frame_bytes = img.stride_bytes * img.height_px;
            demo.width_px = img.width_px;
            demo.height_px = img.height_px;
            horus_frame_get_id(&img.frame, demo.source);
            horus_image_release(&img);
        }
    } else {
        _Alignas(8) static uint8_t message[256 * 1024];
        r = horus_topic_receive(w->topic, message, sizeof message, &info, HORUS_NO_WAIT);
    }
    if (r != HORUS_OK)
        return false;
    if (timed)
        w->hops_ns[w->timed++ % HOPS] = horus_now_ns() - info.publish_ns;
    w->recent_ns[w->seen++ % RECENT] = info.publish_ns;
    w->bytes += info.size;
    w->spark[SPARKS]++;
    return true;
}

static void note_topic(void *user, const horus_topic_stats *stats)
{
    (void)user;
    for (int i = 0; i < TOPICS; i++) {
        watched *w = &demo.topics[i];
        if (strcmp(stats->name, w->name) != 0)
            continue;
        /* The counter is that of the open handles; it shrinks when one is closed. */
        if (stats->lost > w->lost_before)
            w->lost += stats->lost - w->lost_before;
        w->lost_before = stats->lost;
        w->frames = stats->frames;
    }
}

static void note_holder(void *user, const horus_holder *holder)
{
    uint64_t *last = user; /* holders of one slot come together */
    uint64_t slot = (uint64_t)holder->generation << 32 | holder->slot;
    if (holder->internal || strncmp(holder->topic, "horus.scheduler/", 16) == 0)
        return; /* no frame */
    demo.frames_alive += slot != *last;
    *last = slot;
    for (int i = 0; i < CHILDREN; i++)
        demo.children[i].holds += holder->alive && holder->pid == (int32_t)demo.children[i].pid;
}

static void tick(uint64_t now, bool print)
{
    horus_pool_stats pool = {0};
    horus_audit audit;
    uint64_t last = UINT64_MAX;
    demo.frames_alive = 0;
    for (int i = 0; i < CHILDREN; i++)
        demo.children[i].holds = 0;
    horus_context_topics(demo.context, note_topic, NULL);
    horus_pool_get_stats(NULL, &pool);
    horus_pool_audit(NULL, &audit, note_holder, &last);
    for (int i = 0; i < CHILDREN; i++)
        look_at(&demo.children[i], now);
    if (demo.tty)
        draw_table(&pool, now);
    else if (print)
        print_line(&pool, now);
    for (int i = 0; i < TOPICS; i++) {
        memmove(demo.topics[i].spark, demo.topics[i].spark + 1, SPARKS * sizeof(uint32_t));
        demo.topics[i].spark[SPARKS] = 0;
    }
}

/* Runs until the time is over or somebody presses Ctrl-C. */
static void watch(void)
{
    horus_topic *topics[TOPICS];
    uint64_t tick_ns = demo.start_ns, ticks = 0;
    for (int i = 0; i < TOPICS; i++)
        topics[i] = demo.topics[i].topic;
    while (!stopping) {
        uint64_t now = horus_now_ns();
        if (demo.length_ns && now - demo.start_ns >= demo.length_ns)
            break;
        tend_children(now);
        if (now >= tick_ns) {
            tick(now, ticks++ % 2 == 0);
            tick_ns += SECOND / 5; /* at 30 Hz six frames: an even line of blocks */
        }
        for (int i = 0; i < TOPICS; i++)
            while (take(&demo.topics[i], false)) /* came while this process was busy */
                ;
        size_t ready;
        now = horus_now_ns();
        if (now < tick_ns &&
            horus_wait(topics, TOPICS, (int64_t)(tick_ns - now), &ready) == HORUS_OK)
            take(&demo.topics[ready], true);
    }
}

/* ---- before and after */

/* Removes what an earlier run wrote, and nothing else. */
static void clear_out(void)
{
    static const char *const names[] = {"detections.csv", "truth.csv",    ".part.png",
                                        "camera.log",     "detector.log", "recorder.log"};
    int dir = open(demo.out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = dir >= 0 ? fdopendir(dup(dir)) : NULL;
    unsigned number;
    for (struct dirent *e; d && (e = readdir(d));)
        if (sscanf(e->d_name, "picture_%u.png", &number) == 1)
            unlinkat(dir, e->d_name, 0);
    for (size_t i = 0; dir >= 0 && i < sizeof names / sizeof names[0]; i++)
        unlinkat(dir, names[i], 0);
    if (d)
        closedir(d);
    if (dir >= 0)
        close(dir);
}

/* Lists the namespace's directory, and its parent for anything of its name. True: all is gone. */
static bool nothing_left(void)
{
    char dir[sizeof demo.info.path], parent[sizeof demo.info.path];
    unsigned left = 0;
    snprintf(dir, sizeof dir, "%s", demo.info.path);
    *strrchr(dir, '/') = 0;
    snprintf(parent, sizeof parent, "%s", dir);
    *strrchr(parent, '/') = 0;
    DIR *d = opendir(dir);
    printf("  left over   $ ls -A %s\n", dir);
    if (!d)
        printf("              ls: cannot access '%s': %s\n", dir, strerror(errno));
    for (struct dirent *e; d && (e = readdir(d));) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            printf("              %s\n", e->d_name);
        left++;
    }
    if (d)
        closedir(d);
    d = opendir(parent);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (strstr(e->d_name, demo.space)) {
            printf("              %s/%s\n", parent, e->d_name);
            left++;
        }
    }
    if (d)
        closedir(d);
    printf("              %s\n",
           left ? "SOMETHING IS LEFT IN SHARED MEMORY" : "nothing is left in shared memory");
    return left == 0;
}

static bool summary(uint64_t run_ns)
{
    const watched *camera = &demo.topics[0], *detections = &demo.topics[1];
    unsigned pictures = count_pictures();
    printf("\nsummary of %.1f s\n", (double)run_ns / 1e9);
    printf("  camera      %llu frames of %.2f MB: %.0f MB, and no pixel copied on the way\n",
           (unsigned long long)camera->seen, demo.frame_bytes / 1e6, (double)camera->bytes / 1e6);
    printf("  detections  %llu messages\n", (unsigned long long)detections->seen);
    for (int i = 0; i < TOPICS; i++)
        printf("  hop         %-10s p50 %.1f us, p99 %.1f us, send to sleeping process\n",
               demo.topics[i].name, hop_us(&demo.topics[i], 50), hop_us(&demo.topics[i], 99));
    printf("  lost        %llu frames, %llu detections\n", (unsigned long long)camera->lost,
           (unsigned long long)detections->lost);
    for (int i = 0; i < CHILDREN; i++)
        if (demo.children[i].restarts)
            printf(
                "  restarted   %s %u times, working again %.2f s after its death at the latest\n",
                demo.children[i].name, demo.children[i].restarts,
                (double)demo.children[i].longest_gap_ns / 1e9);
    for (int i = 0; i < CHILDREN; i++)
        for (size_t k = 0; k < demo.children[i].node_count; k++) {
            const horus_node_stats *n = &demo.children[i].nodes[k];
            printf("  node        %-10s %llu ticks, %llu skipped, begun late by p99 %.1f us\n",
                   n->name, (unsigned long long)n->ticks, (unsigned long long)n->skipped,
                   (double)n->spread[HORUS_SPREAD_WAKE].p99_ns / 1e3);
        }
    printf("  pictures    %u in %s\n", pictures, demo.out);
    return nothing_left() && pictures > 0;
}

static bool parse(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        char *end = NULL;
        if (!strcmp(argv[i], "--scene")) {
            demo.scene = true;
        } else if (!strcmp(argv[i], "--truth")) {
            demo.truth = true;
        } else if (!strcmp(argv[i], "--no-restart")) {
            demo.restart = false;
        } else if (value && *value && !strcmp(argv[i], "--out")) {
            demo.out = argv[++i];
        } else if (value && *value && !strcmp(argv[i], "--images")) {
            demo.images = argv[++i];
        } else if (value && !strcmp(argv[i], "--seconds")) {
            double s = strtod(argv[++i], &end);
            if (end == value || *end || !(s >= 0 && s < 1e9))
                return false;
            demo.length_ns = (uint64_t)(s * 1e9);
        } else {
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    if (!parse(argc, argv)) {
        fprintf(stderr, "usage: demo [--seconds 10] [--out DIR] [--images DIR | --scene] [--truth] "
                        "[--no-restart]\n");
        return 2;
    }
    ssize_t n = readlink("/proc/self/exe", demo.self, sizeof demo.self - 1);
    snprintf(demo.bin, sizeof demo.bin, "%.*s",
             (int)(n > 0 ? strrchr(demo.self, '/') - demo.self : 1), n > 0 ? demo.self : ".");
    const char *term = getenv("TERM"), *locale = getenv("LC_ALL");
    locale = locale && *locale ? locale : getenv("LC_CTYPE");
    locale = locale && *locale ? locale : getenv("LANG");
    demo.tty = isatty(1) && term && strcmp(term, "dumb") != 0;
    demo.utf8 = locale && (strstr(locale, "UTF-8") || strstr(locale, "utf8"));
    if (mkdir(demo.out, 0777) != 0 && errno != EEXIST)
        return fprintf(stderr, "demo: cannot make %s: %s\n", demo.out, strerror(errno)), 2;
    clear_out();

    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    snprintf(demo.space, sizeof demo.space, "demo-%d", (int)getpid()); /* nobody else's */
    setenv("HORUS_NAMESPACE", demo.space, 1);

    int status = 1;
    demo.start_ns = horus_now_ns();
    if (horus_context_default(&demo.context) != HORUS_OK ||
        horus_context_get_info(demo.context, &demo.info) != HORUS_OK)
        goto failed;
    for (int i = 0; i < TOPICS; i++)
        if (horus_topic_open(&demo.topics[i].topic, demo.topics[i].name,
                             &(horus_topic_desc){.type = demo.topics[i].type}) != HORUS_OK)
            goto failed;
    for (int i = 0; i < CHILDREN; i++)
        start_child(&demo.children[i]);
    say("camera, detector and recorder run; they share %s", demo.info.path);
    if (demo.tty)
        fputs("\x1b[?25l", stdout); /* no cursor */
    watch();
    uint64_t run_ns = horus_now_ns() - demo.start_ns;
    if (demo.tty)
        fputs("\x1b[?25h", stdout);
    demo.lines = 0; /* the last table stays */
    if (stopping == SIGINT)
        say("Ctrl-C");
    stop_children();
    horus_scheduler_stats ended;
    for (int i = 0; i < CHILDREN; i++)
        read_figures(&demo.children[i], &ended);
    for (int i = 0; i < TOPICS; i++)
        while (take(&demo.topics[i], false)) /* what was still on the way */
            ;
    horus_context_topics(demo.context, note_topic, NULL);
    for (int i = 0; i < TOPICS; i++)
        horus_topic_close(demo.topics[i].topic);
    horus_context_close(demo.context);
    demo.context = NULL;
    status = summary(run_ns) && !demo.gave_up ? 0 : 1;
    return status;

failed:
    fprintf(stderr, "demo: %s\n", horus_last_error());
    return status;
}
