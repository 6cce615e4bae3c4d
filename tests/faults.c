/* Every system call and every heap request that horus.h makes, failing at every place: what is
 * told must be true, nothing may leak, nobody else may notice, and the next try must work.
 *
 * The calls are replaced by macros, each use of which is a site of its own. A plan names an error
 * and the n-th call that could give it; a scenario is run for every error and every n. Prints the
 * sites, the injections, and the sites that no scenario reached. FAULTS=large in the environment
 * also lets each site fail for good, not only once. HORUS_FAULTS_NAMES names a file
 * with the output of nm -u of the implementation: it must have no call that is not known here. */
#define _GNU_SOURCE
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- what may fail, and how */

enum { MAX_ERRORS = 10, MAX_SITES = 400 };
typedef struct fault_call {
    const char *name;
    int errors[MAX_ERRORS];
    const char *why_none; /* why nothing is injected */
} fault_call;
/* clang-format off */
static const fault_call calls[] = {
    {"open",    {EINTR, EMFILE, ENFILE, ENOMEM, EACCES, EPERM}, NULL},
    {"openat",  {EINTR, EMFILE, ENFILE, ENOMEM, EACCES, EPERM}, NULL},
    {"openat O_TMPFILE", {EINTR, EMFILE, ENFILE, ENOMEM, EACCES, EPERM, ENOSPC}, NULL},
    {"close",   {EINTR, EIO}, NULL}, /* the descriptor is gone all the same */
    {"read",    {EINTR, EIO}, NULL},
    {"write",   {EINTR, EIO, ENOSPC}, NULL},
    {"pread",   {EINTR, EIO}, NULL},
    {"fstat",   {ENOMEM, EIO}, NULL},
    {"fstatat", {ENOMEM, EACCES}, NULL},
    {"fstatvfs", {EINTR, ENOMEM}, NULL},
    {"ftruncate", {EINTR, ENOMEM, ENOSPC, EPERM}, NULL},
    {"posix_fallocate", {EINTR, ENOMEM, ENOSPC, EDQUOT}, NULL},
    {"fchown",  {EINTR, EPERM, EIO}, NULL},
    {"fchmod",  {EINTR, EPERM, EIO}, NULL},
    {"mkdir",   {ENOMEM, ENOSPC, EACCES, EPERM, EROFS}, NULL},
    {"linkat",  {ENOMEM, ENOSPC, EACCES, EPERM}, NULL},
    {"unlinkat", {ENOMEM, EACCES, EPERM, EROFS}, NULL},
    {"fdopendir", {ENOMEM}, NULL},
    {"readdir", {EIO, ENOMEM}, NULL},
    {"closedir", {EINTR, EIO}, NULL},
    {"mmap",    {ENOMEM, EAGAIN}, NULL},
    {"munmap",  {ENOMEM}, NULL}, /* performed, but said to have failed */
    {"madvise", {ENOMEM, EAGAIN, EPERM, EINVAL}, NULL},
    {"mprotect", {ENOMEM, EACCES}, NULL},
    {"mlock2",  {ENOMEM, EPERM, EAGAIN}, NULL},
    {"getgrnam", {EINTR, EMFILE, ENOMEM, EIO}, NULL},
    {"calloc",  {ENOMEM}, NULL},
    {"malloc",  {0}, "of stb_image_write, which then loses its other buffer"},
    {"realloc", {0}, "stb_image_write ends the program by an assertion then"},
    {"fopen",   {EINTR, EMFILE, ENOMEM, ENOSPC, EACCES}, NULL},
    {"fwrite",  {ENOSPC, EIO}, NULL},
    {"fclose",  {ENOSPC, EIO}, NULL},
    {"pthread_atfork", {ENOMEM}, NULL},
    {"atexit",  {ENOMEM}, NULL},
    {"nanosleep", {EINTR}, NULL},
    {"clock_nanosleep", {EINTR}, NULL},
    {"pthread_key_create", {EAGAIN, ENOMEM}, NULL},
    {"pthread_create", {EAGAIN, ENOMEM, EPERM}, NULL},
    {"pthread_getschedparam", {ESRCH}, NULL}, /* rights: what is refused is told, and no failure */
    {"pthread_setschedparam", {EPERM}, NULL},
    {"SYS_sched_getaffinity", {EINVAL}, NULL},
    {"SYS_sched_setaffinity", {EINVAL, EPERM}, NULL},
    {"SYS_sched_setattr", {EINVAL, EPERM, EBUSY}, NULL},
    {"mlockall", {ENOMEM, EPERM}, NULL},
    {"prctl", {EINVAL, EPERM}, NULL},
    /* syscall() by what it asks for */
    {"SYS_fcntl F_OFD_SETLK", {EINTR, ENOLCK, ENOMEM}, NULL},
    {"SYS_fcntl F_OFD_GETLK", {EINTR, ENOLCK, ENOMEM}, NULL},
    {"SYS_futex FUTEX_WAIT", {EAGAIN}, NULL}, /* EINTR means a signal, and is told as such */
    {"SYS_futex FUTEX_WAKE", {EFAULT}, NULL},
    {"SYS_futex FUTEX_LOCK_PI", {EINTR, EAGAIN, ENOMEM, ESRCH}, NULL},
    {"SYS_futex FUTEX_UNLOCK_PI", {0}, "only fails for who does not own the lock"},
    {"SYS_membarrier", {ENOMEM, EPERM, ENOSYS}, NULL},
    {"SYS_fallocate", {EINTR, ENOMEM, EPERM, EOPNOTSUPP}, NULL},
    {"SYS_gettid", {0}, "cannot fail"},
    /* never injected */
    {"syscall", {0}, "see the lines above"},
    {"clock_gettime", {0}, "cannot fail for CLOCK_MONOTONIC"},
    {"sched_yield", {0}, "cannot fail"},
    {"getpid", {0}, "cannot fail"},
    {"getrlimit", {0}, "cannot fail for RLIMIT_FSIZE"},
    {"geteuid", {0}, "cannot fail"},
    {"getenv", {0}, "no system call"},
    {"free", {0}, "cannot fail"},
    {"pthread_key_delete", {0}, "cannot fail for a key of one's own"},
    {"pthread_setspecific", {0}, "if it fails, a tick that ends its thread is not noticed"},
    {"pthread_join", {0}, "cannot fail for a thread of one's own"},
    {"pthread_self", {0}, "cannot fail"},
    {"pthread_sigmask", {0}, "cannot fail as it is called"},
    {"sigaction", {0}, "fails for no signal that a program may handle"},
    {"dlopen", {0}, "tests/test_infer.c has libraries that cannot be loaded"},
    {"dlerror", {0}, "says why"},
    {"dlsym", {0}, "tests/test_infer.c has libraries without the name"},
    {"dlclose", {0}, "nothing depends on it"},
};
/* Of the C library alone: neither memory nor system. */
static const char *const plain_names[] = {
    "exit", "_GLOBAL_OFFSET_TABLE_", "__assert_fail", "__errno_location", "__stack_chk_fail", "frexp",
    "memchr", "memcmp", "memcpy", "memmove", "memset", "snprintf", "sprintf", "strcmp", "strerror",
    "strlen", "strncmp", "strrchr", "strtoull", "vsnprintf", "pthread_once", "_GLOBAL__",
    "sigemptyset", "sigfillset", "sigismember",
    "sysconf", /* cannot fail for _SC_PAGESIZE */
    "sigdelset", "pthread_sigmask", "pthread_setcancelstate", /* cannot fail so used */
};
/* clang-format on */

typedef struct fault_site {
    const char *call, *file;
    int line, id;
} fault_site;
/* Every use of a macro below puts a pointer to its site here; the linker knows both ends. */
extern fault_site *const __start_fault_sites[], *const __stop_fault_sites[];

typedef struct fault_counts {
    _Atomic uint64_t reached, injected;
} fault_counts;
/* Shared by all the processes that the tests are. */
static struct {
    fault_counts site[MAX_SITES];
    _Atomic uint64_t injected, runs, tests;
} * tally;

typedef struct fault_plan {
    int error;        /* 0: none */
    long at;          /* the n-th call that could give it */
    int times;        /* and so many at the same site after it; INT32_MAX: for good */
    long seen;        /* calls that could have given it */
    int hits;         /* injected so far */
    fault_site *site; /* where it hit */
    const char *call;
} fault_plan;
static fault_plan plan;
static _Thread_local bool armed; /* only the thread that runs the scenario */

static long heap_live, maps_live;
static uint64_t maps_bytes;

static const fault_call *call_named(const char *name)
{
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (strcmp(calls[i].name, name) == 0)
            return &calls[i];
    fprintf(stderr, "faults.c: no line for %s\n", name);
    abort();
}
/* The error that this call is to fail with, or 0. */
static int fault(fault_site *site, const char *name)
{
    if (tally)
        atomic_fetch_add(&tally->site[site->id].reached, 1);
    if (!armed || plan.error == 0)
        return 0;
    const fault_call *c = call_named(name);
    bool can = false;
    for (int i = 0; i < MAX_ERRORS && c->errors[i]; i++)
        can |= c->errors[i] == plan.error;
    if (!can)
        return 0;
    plan.seen++;
    if (plan.hits == 0 ? plan.seen != plan.at : site != plan.site || plan.hits >= plan.times)
        return 0;
    plan.hits++;
    plan.site = site;
    plan.call = name;
    atomic_fetch_add(&tally->site[site->id].injected, 1);
    atomic_fetch_add(&tally->injected, 1);
    return plan.error;
}
/* Fails by returning -1. */
#define FAIL(name)                                                                                 \
    do {                                                                                           \
        int error_ = fault(site, name);                                                            \
        if (error_) {                                                                              \
            errno = error_;                                                                        \
            return -1;                                                                             \
        }                                                                                          \
    } while (0)

static int fault_open(fault_site *site, const char *path, int flags, ...)
{
    va_list a;
    va_start(a, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(a, mode_t) : 0;
    va_end(a);
    FAIL("open");
    return open(path, flags, mode);
}
static int fault_openat(fault_site *site, int dir, const char *path, int flags, ...)
{
    va_list a;
    va_start(a, flags);
    mode_t mode = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(a, mode_t) : 0;
    va_end(a);
    FAIL((flags & O_TMPFILE) == O_TMPFILE ? "openat O_TMPFILE" : "openat");
    return openat(dir, path, flags, mode);
}
static int fault_close(fault_site *site, int fd)
{
    int r = close(fd);
    FAIL("close");
    return r;
}
static ssize_t fault_write(fault_site *site, int fd, const void *from, size_t n)
{
    FAIL("write");
    return write(fd, from, n);
}
static ssize_t fault_read(fault_site *site, int fd, void *to, size_t n)
{
    FAIL("read");
    return read(fd, to, n);
}
static ssize_t fault_pread(fault_site *site, int fd, void *to, size_t n, off_t at)
{
    FAIL("pread");
    return pread(fd, to, n, at);
}
static int fault_fstat(fault_site *site, int fd, struct stat *s)
{
    FAIL("fstat");
    return fstat(fd, s);
}
static int fault_fstatat(fault_site *site, int dir, const char *path, struct stat *s, int flags)
{
    FAIL("fstatat");
    return fstatat(dir, path, s, flags);
}
static int fault_fstatvfs(fault_site *site, int fd, struct statvfs *s)
{
    FAIL("fstatvfs");
    return fstatvfs(fd, s);
}
static int fault_ftruncate(fault_site *site, int fd, off_t n)
{
    FAIL("ftruncate");
    return ftruncate(fd, n);
}
static int fault_posix_fallocate(fault_site *site, int fd, off_t at, off_t n)
{
    int error = fault(site, "posix_fallocate");
    return error ? error : posix_fallocate(fd, at, n);
}
static int fault_fchown(fault_site *site, int fd, uid_t u, gid_t g)
{
    FAIL("fchown");
    return fchown(fd, u, g);
}
static int fault_fchmod(fault_site *site, int fd, mode_t m)
{
    FAIL("fchmod");
    return fchmod(fd, m);
}
static int fault_mkdir(fault_site *site, const char *path, mode_t m)
{
    FAIL("mkdir");
    return mkdir(path, m);
}
static int fault_linkat(fault_site *site, int a, const char *from, int b, const char *to, int flags)
{
    FAIL("linkat");
    return linkat(a, from, b, to, flags);
}
static int fault_unlinkat(fault_site *site, int dir, const char *path, int flags)
{
    FAIL("unlinkat");
    return unlinkat(dir, path, flags);
}
static DIR *fault_fdopendir(fault_site *site, int fd)
{
    int error = fault(site, "fdopendir");
    errno = error ? error : errno;
    return error ? NULL : fdopendir(fd);
}
static struct dirent *fault_readdir(fault_site *site, DIR *d)
{
    int error = fault(site, "readdir");
    errno = error ? error : errno;
    return error ? NULL : readdir(d);
}
static int fault_closedir(fault_site *site, DIR *d)
{
    int r = closedir(d);
    FAIL("closedir");
    return r;
}
static void *fault_mmap(fault_site *site, void *at, size_t n, int prot, int flags, int fd, off_t o)
{
    int error = fault(site, "mmap");
    errno = error ? error : errno;
    void *m = error ? MAP_FAILED : mmap(at, n, prot, flags, fd, o);
    if (m != MAP_FAILED) {
        maps_live++;
        maps_bytes += n;
    }
    return m;
}
static int fault_munmap(fault_site *site, void *at, size_t n)
{
    int r = munmap(at, n);
    if (r == 0) {
        maps_live--;
        maps_bytes -= n;
    }
    FAIL("munmap");
    return r;
}
static int fault_madvise(fault_site *site, void *at, size_t n, int advice)
{
    FAIL("madvise");
    return madvise(at, n, advice);
}
static int fault_mprotect(fault_site *site, void *at, size_t n, int prot)
{
    FAIL("mprotect");
    return mprotect(at, n, prot);
}
static int fault_mlock2(fault_site *site, const void *at, size_t n, unsigned flags)
{
    FAIL("mlock2");
    return mlock2(at, n, flags);
}
static struct group *fault_getgrnam(fault_site *site, const char *name)
{
    int error = fault(site, "getgrnam");
    errno = error ? error : errno;
    return error ? NULL : getgrnam(name);
}
static void *fault_heap(fault_site *site, const char *name, void *old, size_t n)
{
    if (fault(site, name)) {
        errno = ENOMEM;
        return NULL;
    }
    void *m = old ? realloc(old, n) : malloc(n);
    if (m && !old) {
        memset(m, 0xa5, n); /* nobody may count on zeros */
        heap_live++;
    }
    return m;
}
static void fault_free(void *m)
{
    heap_live -= m != NULL;
    free(m);
}
static FILE *fault_fopen(fault_site *site, const char *path, const char *mode)
{
    int error = fault(site, "fopen");
    errno = error ? error : errno;
    return error ? NULL : fopen(path, mode);
}
static size_t fault_fwrite(fault_site *site, const void *from, size_t size, size_t n, FILE *f)
{
    int error = fault(site, "fwrite");
    errno = error ? error : errno;
    return error ? 0 : fwrite(from, size, n, f);
}
static int fault_fclose(fault_site *site, FILE *f)
{
    int r = fclose(f);
    FAIL("fclose");
    return r;
}
static int fault_pthread_atfork(fault_site *site, void (*a)(void), void (*b)(void), void (*c)(void))
{
    int error = fault(site, "pthread_atfork");
    return error ? error : pthread_atfork(a, b, c);
}
static int fault_atexit(fault_site *site, void (*f)(void))
{
    return fault(site, "atexit") ? -1 : atexit(f);
}
static int fault_nanosleep(fault_site *site, const struct timespec *t, struct timespec *left)
{
    FAIL("nanosleep");
    return nanosleep(t, left);
}
static int fault_clock_nanosleep(fault_site *site, clockid_t c, int flags, const struct timespec *t,
                                 struct timespec *left)
{
    int error = fault(site, "clock_nanosleep");
    return error ? error : clock_nanosleep(c, flags, t, left);
}
static int fault_pthread_key_create(fault_site *site, pthread_key_t *k, void (*f)(void *))
{
    int error = fault(site, "pthread_key_create");
    return error ? error : pthread_key_create(k, f);
}
static int fault_pthread_create(fault_site *site, pthread_t *t, const pthread_attr_t *a,
                                void *(*f)(void *), void *arg)
{
    int error = fault(site, "pthread_create");
    return error ? error : pthread_create(t, a, f, arg);
}
static int fault_pthread_getschedparam(fault_site *site, pthread_t t, int *policy,
                                       struct sched_param *p)
{
    int error = fault(site, "pthread_getschedparam");
    return error ? error : pthread_getschedparam(t, policy, p);
}
static int fault_pthread_setschedparam(fault_site *site, pthread_t t, int policy,
                                       const struct sched_param *p)
{
    int error = fault(site, "pthread_setschedparam");
    return error ? error : pthread_setschedparam(t, policy, p);
}
static int fault_mlockall(fault_site *site, int flags)
{
    FAIL("mlockall");
    return mlockall(flags);
}
static int fault_prctl(fault_site *site, int what, unsigned long a, int b, int c, int d)
{
    FAIL("prctl");
    return prctl(what, a, b, c, d);
}
static long fault_syscall(fault_site *site, long number, ...)
{
    long arg[6];
    va_list a;
    va_start(a, number);
    for (int i = 0; i < 6; i++)
        arg[i] = va_arg(a, long);
    va_end(a);
    const char *name = number == SYS_gettid              ? "SYS_gettid"
                       : number == SYS_sched_getaffinity ? "SYS_sched_getaffinity"
                       : number == SYS_sched_setaffinity ? "SYS_sched_setaffinity"
                       : number == SYS_sched_setattr     ? "SYS_sched_setattr"
                       : number == SYS_fallocate         ? "SYS_fallocate"
                                                         : "SYS_membarrier";
    if (number == SYS_fcntl)
        name = (int)arg[1] == F_OFD_GETLK ? "SYS_fcntl F_OFD_GETLK" : "SYS_fcntl F_OFD_SETLK";
    if (number == SYS_futex)
        switch ((int)arg[1] & 127) {
        case 0:
            name = "SYS_futex FUTEX_WAIT";
            break;
        case 1:
            name = "SYS_futex FUTEX_WAKE";
            break;
        case 6:
            name = "SYS_futex FUTEX_LOCK_PI";
            break;
        default:
            name = "SYS_futex FUTEX_UNLOCK_PI";
        }
    FAIL(name);
    return syscall(number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
}

#define SITE(call)                                                                                 \
    __extension__({                                                                                \
        static fault_site here_ = {#call, __FILE__, __LINE__, 0};                                  \
        static fault_site *const entry_ __attribute__((section("fault_sites"), used)) = &here_;    \
        (void)entry_;                                                                              \
        &here_;                                                                                    \
    })
#define open(...) fault_open(SITE(open), __VA_ARGS__)
#define openat(...) fault_openat(SITE(openat), __VA_ARGS__)
#define close(fd) fault_close(SITE(close), fd)
#define read(fd, to, n) fault_read(SITE(read), fd, to, n)
#define write(fd, from, n) fault_write(SITE(write), fd, from, n)
#define pread(fd, to, n, at) fault_pread(SITE(pread), fd, to, n, at)
#define fstat(fd, s) fault_fstat(SITE(fstat), fd, s)
#define fstatat(d, p, s, f) fault_fstatat(SITE(fstatat), d, p, s, f)
#define fstatvfs(fd, s) fault_fstatvfs(SITE(fstatvfs), fd, s)
#define ftruncate(fd, n) fault_ftruncate(SITE(ftruncate), fd, n)
#define posix_fallocate(fd, at, n) fault_posix_fallocate(SITE(posix_fallocate), fd, at, n)
#define fchown(fd, u, g) fault_fchown(SITE(fchown), fd, u, g)
#define fchmod(fd, m) fault_fchmod(SITE(fchmod), fd, m)
#define mkdir(p, m) fault_mkdir(SITE(mkdir), p, m)
#define linkat(a, p, b, q, f) fault_linkat(SITE(linkat), a, p, b, q, f)
#define unlinkat(d, p, f) fault_unlinkat(SITE(unlinkat), d, p, f)
#define fdopendir(fd) fault_fdopendir(SITE(fdopendir), fd)
#define readdir(d) fault_readdir(SITE(readdir), d)
#define closedir(d) fault_closedir(SITE(closedir), d)
#define mmap(a, n, p, f, fd, o) fault_mmap(SITE(mmap), a, n, p, f, fd, o)
#define munmap(a, n) fault_munmap(SITE(munmap), a, n)
#define madvise(a, n, w) fault_madvise(SITE(madvise), a, n, w)
#define mprotect(a, n, p) fault_mprotect(SITE(mprotect), a, n, p)
#define mlock2(a, n, f) fault_mlock2(SITE(mlock2), a, n, f)
#define getgrnam(n) fault_getgrnam(SITE(getgrnam), n)
#define HORUS_MALLOC(n) fault_heap(SITE(calloc), "calloc", NULL, n)
#define HORUS_FREE(p) fault_free(p)
#define malloc(n) fault_heap(SITE(malloc), "malloc", NULL, n)
#define realloc(p, n) fault_heap(SITE(realloc), "realloc", p, n)
#define free(p) fault_free(p)
#define fopen(p, m) fault_fopen(SITE(fopen), p, m)
#define fwrite(p, s, n, f) fault_fwrite(SITE(fwrite), p, s, n, f)
#define fclose(f) fault_fclose(SITE(fclose), f)
#define pthread_atfork(a, b, c) fault_pthread_atfork(SITE(pthread_atfork), a, b, c)
#define atexit(f) fault_atexit(SITE(atexit), f)
#define nanosleep(t, l) fault_nanosleep(SITE(nanosleep), t, l)
#define clock_nanosleep(c, f, t, l) fault_clock_nanosleep(SITE(clock_nanosleep), c, f, t, l)
#define pthread_key_create(k, f) fault_pthread_key_create(SITE(pthread_key_create), k, f)
#define pthread_create(t, a, f, p) fault_pthread_create(SITE(pthread_create), t, a, f, p)
#define pthread_getschedparam(t, o, p)                                                             \
    fault_pthread_getschedparam(SITE(pthread_getschedparam), t, o, p)
#define pthread_setschedparam(t, o, p)                                                             \
    fault_pthread_setschedparam(SITE(pthread_setschedparam), t, o, p)
#define mlockall(f) fault_mlockall(SITE(mlockall), f)
#define prctl(w, a, b, c, d) fault_prctl(SITE(prctl), w, a, b, c, d)
#define syscall(...) fault_syscall(SITE(syscall), __VA_ARGS__)

#define HORUS_IMPLEMENTATION
#include "../horus.h"

#undef open
#undef openat
#undef close
#undef read
#undef pread
#undef fstat
#undef fstatat
#undef fstatvfs
#undef ftruncate
#undef posix_fallocate
#undef fchown
#undef fchmod
#undef mkdir
#undef linkat
#undef unlinkat
#undef fdopendir
#undef readdir
#undef closedir
#undef mmap
#undef munmap
#undef madvise
#undef mprotect
#undef mlock2
#undef getgrnam
#undef malloc
#undef realloc
#undef free
#undef fopen
#undef fwrite
#undef fclose
#undef pthread_atfork
#undef atexit
#undef nanosleep
#undef clock_nanosleep
#undef pthread_key_create
#undef pthread_create
#undef pthread_getschedparam
#undef pthread_setschedparam
#undef mlockall
#undef prctl
#undef syscall
#include "test.h"

/* ---- steps, and what may be said of them */

static bool is_large(void)
{
    const char *e = getenv("FAULTS");
    return e && strcmp(e, "large") == 0;
}
static char about[200]; /* what is going on, for messages */

/* The codes that an error may become. */
static bool is_right(horus_result r)
{
    const char *call = plan.call ? plan.call : "";
    switch (plan.error) {
    case EINTR:
        return false; /* a retry is right, always */
    case ENOMEM:
        return r == HORUS_E_MEMORY || r == HORUS_E_POOL_FULL || r == HORUS_E_SYSTEM;
    case ENOSPC:
    case EDQUOT:
        return r == HORUS_E_POOL_FULL ||
               (r == HORUS_E_SYSTEM && (call[0] == 'f' || call[0] == 'w')); /* a user's file */
    case EACCES:
    case EPERM:
    case EROFS:
        return r == HORUS_E_PERMISSION || r == HORUS_E_NOT_FOUND ||
               /* of a frame's far pool */ (r == HORUS_E_SYSTEM && call[0] == 'f') ||
               (r == HORUS_E_SYSTEM && plan.times > 100);
    default:
        return r == HORUS_E_SYSTEM || (r == HORUS_E_MEMORY && strcmp(call, "mmap") == 0) ||
               (r == HORUS_E_POOL_FULL && plan.times > 100);
    }
}
/* Calls with the plan in force. False: it failed; then it must say so well. */
static bool judge(int line, const char *call, horus_result r, const char *object)
{
    armed = false;
    if (r == HORUS_OK)
        return true;
    const char *text = horusi_error_text;
    if (plan.hits == 0)
        test_failed(__FILE__, line, "%s: %s without a fault: %s (%s)", call, test_result_name(r),
                    text, about);
    else if (!is_right(r))
        test_failed(__FILE__, line, "%s: %s is the wrong answer (last error: %s) (%s, %s:%d)", call,
                    test_result_name(r), text, about, plan.site->file, plan.site->line);
    if (!text[0] ||
        (!strstr(text, object) && !strstr(text, "no memory for") && !strstr(text, "group root")))
        test_failed(__FILE__, line, "%s: \"%s\" does not name %s (%s, %s:%d)", call, text, object,
                    about, plan.site ? plan.site->file : "", plan.site ? plan.site->line : 0);
    return false;
}
#define TRY(call, object)                                                                          \
    (horusi_error_text[0] = 0, armed = true, judge(__LINE__, #call, (call), object))
#define QUIETLY(call) (armed = true, (call), armed = false)

typedef struct scene {
    const char *name;
    bool (*run)(void);     /* true: all of it worked, and was seen to */
    void (*prepare)(void); /* before each run, without faults; may be NULL */
    bool watched;          /* another member is in, and must notice nothing */
    bool in_child;         /* in a process of its own, which nothing was opened in */
} scene;

/* ---- the other member */

static horus_context *watcher;
static horus_topic *watcher_topic;
static horus_frame watcher_frame;
static uint8_t *watcher_data;
static void watcher_begin(void)
{
    void *data;
    watcher = join(8 * MiB);
    REQUIRE_OK(horus_topic_open(&watcher_topic, "watched",
                                &(horus_topic_desc){.context = watcher, .capacity = 64}));
    REQUIRE_OK(horus_frame_alloc(&watcher_frame, pool_of(watcher), 5000, 0, &data));
    watcher_data = data;
    memset(data, 0x77, 5000);
}
static void watcher_check(void)
{
    static uint64_t number;
    uint64_t got;
    bool good = CHECK(test_is_all(watcher_data, 0x77, 5000));
    number++;
    good &= CHECK_OK(horus_topic_send(watcher_topic, &number, sizeof number, 0));
    good &= CHECK_OK(horus_topic_receive(watcher_topic, &got, sizeof got, NULL, 0));
    good &= CHECK_EQ(got, number);
    good &= CHECK_EQ(horus_frame_holders(&watcher_frame), 1);
    good &= CHECK_OK(horus_context_sweep(watcher, NULL));
    horus_audit a;
    good &= CHECK_OK(horus_pool_audit(pool_of(watcher), &a, NULL, NULL));
    good &= CHECK(a.balanced);
    if (!good)
        test_failed(__FILE__, __LINE__, "the other member was harmed: %s (%s)", a.first, about);
}
static void watcher_end(void)
{
    CHECK_OK(horus_frame_release(&watcher_frame));
    horus_topic_close(watcher_topic);
    horus_context_close(watcher);
}

/* ---- what may leak */

typedef struct books {
    long heap, maps;
    uint64_t bytes;
    int descriptors, places;
} books;
static books count_books(void)
{
    books b = {heap_live, maps_live, maps_bytes, 0, 0};
    char line[600];
    DIR *d = opendir("/proc/self/fd");
    for (struct dirent *e; d && (e = readdir(d)) != NULL;)
        b.descriptors++;
    if (d)
        (void)closedir(d);
    FILE *f = fopen("/proc/self/maps", "r");
    while (f && fgets(line, sizeof line, f)) /* a deleted file's too */
        b.places += strstr(line, test_dir()) != NULL;
    if (f)
        (void)fclose(f);
    return b;
}
static void compare_books(const books *was)
{
    books is = count_books();
    if (is.heap != was->heap || is.maps != was->maps || is.bytes != was->bytes ||
        is.descriptors != was->descriptors || is.places != was->places)
        test_failed(__FILE__, __LINE__,
                    "leaks: heap %ld, mappings %ld (%d places), descriptors %d (%s, %s:%d)",
                    is.heap - was->heap, is.maps - was->maps, is.places - was->places,
                    is.descriptors - was->descriptors, about, plan.site ? plan.site->file : "",
                    plan.site ? plan.site->line : 0);
}

/* ---- the runner */

static const scene *playing;
static void play_once(void *arg)
{
    bool warm = arg != NULL; /* the first run maps what then stays */
    bool watched = playing->watched;
    if (playing->prepare)
        playing->prepare();
    books before = count_books();
    bool worked = playing->run();
    armed = false;
    fault_plan was = plan;
    if (was.hits == 0 || was.error == EINTR)
        if (!worked)
            test_failed(__FILE__, __LINE__, "did not work (%s, %s:%d)", about,
                        was.site ? was.site->file : "", was.site ? was.site->line : 0);
    if (!playing->in_child && warm)
        compare_books(&before);
    plan.error = 0;
    if (watched)
        watcher_check();
    if (was.hits) { /* the next try must do it */
        if (playing->prepare)
            playing->prepare();
        if (!playing->run())
            test_failed(__FILE__, __LINE__, "the second try failed (%s, %s:%d)", about,
                        was.site->file, was.site->line);
        armed = false;
        if (!playing->in_child && warm)
            compare_books(&before);
        if (watched)
            watcher_check();
    }
    plan = was;
    atomic_store(&board->value[0], (uint64_t)was.hits);
}
static void play(const scene *s)
{
    int errors[40], n_errors = 0;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        for (int k = 0; k < MAX_ERRORS && calls[i].errors[k]; k++) {
            int known = 0;
            while (known < n_errors && errors[known] != calls[i].errors[k])
                known++;
            if (known == n_errors)
                errors[n_errors++] = calls[i].errors[k];
        }
    playing = s;
    if (s->watched)
        watcher_begin();
    plan = (fault_plan){0};
    (void)snprintf(about, sizeof about, "%s, no fault", s->name);
    if (!s->in_child)
        play_once(NULL); /* what is made once for good */
    for (int e = 0; e < n_errors; e++)
        for (int mode = 0; mode < (is_large() ? 3 : 2); mode++) {
            if (mode == 1 && errors[e] != EINTR)
                continue;
            for (long n = 1; atomic_load(&board->failures) < 30; n++) {
                static const int times[] = {1, 5, INT32_MAX};
                if (mode == 2 && errors[e] == EINTR)
                    break; /* nobody can live with that */
                plan = (fault_plan){.error = errors[e], .at = n, .times = times[mode]};
                (void)snprintf(about, sizeof about, "%s, %s at %ld, %s", s->name,
                               strerrorname_np(errors[e]), n,
                               mode == 0   ? "once"
                               : mode == 1 ? "5 times"
                                           : "for good");
                atomic_store(&board->value[0], 0);
                if (s->in_child)
                    CHECK_JOIN(test_fork(play_once, NULL));
                else
                    play_once(&n);
                atomic_fetch_add(&tally->runs, 1);
                if (atomic_load(&board->value[0]) == 0)
                    break;
            }
        }
    plan = (fault_plan){0};
    if (s->watched)
        watcher_end();
    atomic_fetch_add(&tally->tests, 1);
}

/* ---- scenes */

static bool one_frame(horus_context *c, uint64_t bytes)
{
    horus_frame f;
    void *data;
    horus_pool *p = pool_of(c);
    if (!TRY(horus_frame_alloc(&f, p, bytes, 0, &data), "pool default")) {
        CHECK_ZERO(f);
        CHECK(data == NULL);
        return false;
    }
    CHECK(test_is_all(data, 0, bytes));
    memset(data, 0x5a, bytes);
    CHECK_OK(horus_frame_release(&f));
    return true;
}
static bool opens(const horus_context_desc *d, const char *object)
{
    horus_context *c = (horus_context *)&c;
    bool worked = TRY(horus_context_open(&c, d), object);
    if (!worked) {
        CHECK(c == NULL);
        return false;
    }
    plan.at = plan.hits ? plan.at : plan.at; /* as it was: faults go on below */
    worked = one_frame(c, 100);
    QUIETLY(horus_context_close(c));
    return worked;
}
static void child_is_told(void *arg)
{
    horus_context_info info;
    CHECK_RESULT(horus_context_get_info(arg, &info), HORUS_E_DETACHED);
}
static bool first_call(void)
{
    horus_context *c;
    if (!TRY(horus_context_open(&c, &(horus_context_desc){.pool_bytes = MiB}), test_space))
        return false;
    CHECK_JOIN(test_fork(child_is_told, c)); /* what is registered once is registered */
    horus_context_close(c);
    return true;
}
static bool join_and_leave(void)
{
    horus_context_desc d = {.pool_bytes = 2 * MiB};
    return opens(&d, test_space);
}
TEST(the_first_call_of_a_process) { play(&(scene){"first call", first_call, NULL, false, true}); }
static bool default_context(void)
{
    horus_context *c;
    bool worked = TRY(horus_context_default(&c), test_space);
    if (!worked)
        CHECK(c == NULL);
    else
        worked = one_frame(c, 100);
    QUIETLY(horus_context_close(c));
    return worked;
}
TEST(the_default_context) { play(&(scene){"default", default_context, NULL, false, false}); }
TEST(creating_a_namespace) { play(&(scene){"create", join_and_leave, NULL, false, false}); }
TEST(joining_a_namespace) { play(&(scene){"join", join_and_leave, NULL, true, false}); }
static bool join_group(void)
{
    horus_context_desc d = {.pool_bytes = 2 * MiB, .group = "root"};
    if (opens(&d, test_space))
        return true;
    horus_context
        *c; /* a directory that was not given to the group is made good, or is not there */
    plan.error = plan.hits ? 0 : plan.error;
    if (CHECK_OK(horus_context_open(&c, &d)))
        horus_context_close(c);
    return false;
}
TEST(creating_a_namespace_for_a_group)
{
    if (geteuid() != 0)
        SKIP("needs root");
    play(&(scene){"group", join_group, NULL, false, false});
}
static bool join_wishes(void)
{
    horus_context *c;
    horus_context_desc d = {.pool_bytes = MiB,
                            .flags = HORUS_PREFAULT | HORUS_MLOCK | HORUS_HUGE_PAGES};
    bool worked = TRY(horus_context_open(&c, &d), "");
    if (!worked) {
        CHECK(c == NULL);
        return false;
    }
    CHECK_EQ(stats_of(pool_of(c)).committed_bytes, stats_of(pool_of(c)).data_bytes);
    QUIETLY(horus_context_close(c));
    return true;
}
TEST(prefaulting_and_locking) { play(&(scene){"wishes", join_wishes, NULL, false, false}); }

static void dies_with_things(void *arg)
{
    horus_context *c = join(2 * MiB);
    horus_pool *p;
    horus_topic *t, *u;
    horus_frame f;
    horus_tensor x;
    int64_t shape = 3000;
    (void)arg;
    REQUIRE_OK(horus_pool_open(&p, "other", &(horus_pool_desc){.context = c, .pool_bytes = MiB}));
    REQUIRE_OK(horus_topic_open(&t, "dead", &(horus_topic_desc){.context = c, .capacity = 4}));
    REQUIRE_OK(horus_topic_open(
        &u, "jobs", &(horus_topic_desc){.context = c, .capacity = 4, .policy = HORUS_QUEUE}));
    REQUIRE_OK(horus_frame_alloc(&f, p, 3000, 0, NULL));
    REQUIRE_OK(horus_frame_alloc(&f, pool_of(c), 3000, 0, NULL));
    REQUIRE_OK(horus_tensor_alloc(&x, p, HORUS_U8, 1, &shape, 0));
    REQUIRE_OK(horus_topic_send_tensor(t, &x, 0));
    REQUIRE_OK(horus_topic_send(u, "job", 4, 0));
    char job[4];
    REQUIRE_OK(horus_topic_receive(u, job, sizeof job, NULL, 0));
    (void)kill(getpid(), SIGKILL);
}
static void leave_a_dead_one(void) { (void)test_wait(test_fork(dies_with_things, NULL)); }
TEST(replacing_what_a_crash_left)
{
    play(&(scene){"leftovers", join_and_leave, leave_a_dead_one, false, false});
}
TEST(joining_beside_the_dead)
{
    play(&(scene){"beside", join_and_leave, leave_a_dead_one, true, false});
}
static void count_astray(void *user, const horus_holder *h)
{
    *(uint32_t *)user += !h->alive && !h->ring && !h->internal;
}
static bool sweeps(void)
{
    uint32_t rows = 9;
    horus_audit a;
    horus_pool_stats s;
    horus_context_info info;
    if (!TRY(horus_context_sweep(watcher, &rows), "")) {
        plan.error = 0;
        CHECK_OK(horus_context_sweep(watcher, &rows)); /* nothing is lost by a failure */
        return false;
    }
    bool worked = CHECK(rows >= 1);
    uint32_t astray = 0;
    CHECK_OK(horus_pool_audit(pool_of(watcher), &a, count_astray, &astray));
    worked &= CHECK_EQ(astray, 0);
    worked &= TRY(horus_pool_audit(pool_of(watcher), &a, NULL, NULL), "");
    worked &= CHECK(a.balanced);
    worked &= TRY(horus_pool_get_stats(pool_of(watcher), &s), "");
    worked &= TRY(horus_context_get_info(watcher, &info), "");
    if (!worked)
        test_failed(__FILE__, __LINE__, "the sweep (%s, %s:%d)", about,
                    plan.site ? plan.site->file : "", plan.site ? plan.site->line : 0);
    return worked;
}
static void only_one_dead(void)
{
    CHECK_OK(horus_context_sweep(watcher, NULL));
    horus_frame f; /* what the dead had sent goes, too */
    CHECK_RESULT(horus_frame_alloc(&f, pool_of(watcher), 8 * MiB, HORUS_UNINIT, NULL),
                 HORUS_E_POOL_FULL);
    leave_a_dead_one();
}
TEST(sweeping_the_dead)
{
    /* the other pool stays mapped once it was seen */
    play(&(scene){"sweep", sweeps, only_one_dead, true, false});
}

static bool named_pools(void)
{
    horus_context *c = join(2 * MiB);
    horus_pool *p, *q;
    bool worked =
        TRY(horus_pool_open(
                &p, "cam/left:raw",
                &(horus_pool_desc){.context = c, .pool_bytes = MiB, .flags = HORUS_PREFAULT}),
            "");
    if (!worked) {
        CHECK(p == NULL);
    } else {
        horus_frame f;
        horus_context *d = join(0);
        worked = TRY(horus_frame_alloc(&f, p, 300000, 0, NULL), "pool cam/left:raw");
        if (worked)
            CHECK_OK(horus_frame_release(&f));
        if (!TRY(horus_pool_open(&q, "cam/left:raw", &(horus_pool_desc){.context = d}), "cam")) {
            CHECK(q == NULL);
            worked = false;
        } else {
            CHECK_EQ(stats_of(q).data_bytes, MiB);
        }
        horus_context_close(d);
    }
    horus_context_close(c);
    return worked;
}
TEST(named_pools_are_made_and_joined)
{
    play(&(scene){"named pool", named_pools, NULL, false, false});
}

static bool memory(void)
{
    horus_context *c = join_desc((horus_context_desc){.pool_bytes = 2 * MiB});
    horus_pool *p = pool_of(c);
    bool worked = one_frame(c, 100) && one_frame(c, 30000) && one_frame(c, 300000) &&
                  one_frame(c, 2 * MiB); /* takes apart what the others had */
    uint64_t freed;
    if (worked && !TRY(horus_pool_trim(p, &freed), ""))
        worked = false;
    worked = one_frame(c, 2 * MiB) && worked; /* zero again */
    check_empty(p);
    horus_context_close(c);
    return worked;
}
TEST(first_use_of_memory_and_giving_it_back)
{
    play(&(scene){"memory", memory, NULL, false, false});
}
static bool protects(void)
{
    horus_context *c;
    horus_context_desc d = {.pool_bytes = MiB, .flags = HORUS_PROTECT};
    if (!TRY(horus_context_open(&c, &d), test_space))
        return false;
    horus_frame f;
    bool worked = TRY(horus_frame_alloc(&f, pool_of(c), 5000, HORUS_UNINIT, NULL), "pool default");
    if (worked)
        CHECK_OK(horus_frame_release(&f));
    horus_context_close(c);
    return worked;
}
TEST(protected_memory) { play(&(scene){"protect", protects, NULL, false, false}); }
static bool privately(void)
{
    horus_context_desc d = {.pool_bytes = MiB, .flags = HORUS_PRIVATE};
    return opens(&d, "no memory");
}
TEST(private_contexts) { play(&(scene){"private", privately, NULL, false, false}); }

/* Messages and frames in all policies, from one pool to a member that has not opened it. */
static horus_context *one, *two;
static bool messages(void)
{
    static const horus_policy policy[] = {HORUS_OVERWRITE, HORUS_RELIABLE, HORUS_QUEUE};
    static char large[20000];
    bool worked = true;
    horus_pool *p = NULL;
    one = join(4 * MiB);
    two = join(0);
    horus_result pr =
        horus_pool_open(&p, "far", &(horus_pool_desc){.context = one, .pool_bytes = MiB});
    REQUIRE_OK(pr);
    for (int k = 0; k < 3 && worked; k++) {
        horus_topic *s = NULL, *r = NULL;
        horus_tensor x, y;
        int64_t shape = 5000;
        char name[8] = {'t', (char)('0' + k), 0};
        memset(&x, 0, sizeof x);
        worked = TRY(horus_topic_open(&s, name,
                                      &(horus_topic_desc){.context = one,
                                                          .policy = policy[k],
                                                          .capacity = 4,
                                                          .flags = HORUS_PUBLISHER}),
                     "") &&
                 TRY(horus_topic_open(&r, name, &(horus_topic_desc){.context = two}), "") &&
                 TRY(horus_topic_send(s, "small", 6, 0), "") &&
                 TRY(horus_topic_send(s, large, sizeof large, 0), "") &&
                 TRY(horus_tensor_alloc(&x, p, HORUS_U8, 1, &shape, 0), "far");
        if (worked) {
            memset(x.data, 0x3c, 5000);
            worked = TRY(horus_topic_send_tensor(s, &x, 0), "");
        }
        if (worked) {
            char small[6];
            worked = TRY(horus_topic_receive(r, small, sizeof small, NULL, 1000000), "") &&
                     CHECK(strcmp(small, "small") == 0) &&
                     TRY(horus_topic_receive(r, large, sizeof large, NULL, 1000000), "");
        }
        if (worked && TRY(horus_topic_receive_tensor(r, &y, NULL, 1000000), "")) {
            CHECK(test_is_all(y.data, 0x3c, 5000));
            CHECK_OK(horus_tensor_release(&y));
        } else if (worked) {
            worked = false; /* it is still the next one */
            fault_plan was = plan;
            plan.error = 0;
            CHECK_ZERO(y);
            if (CHECK_OK(horus_topic_receive_tensor(r, &y, NULL, 0)))
                CHECK_OK(horus_tensor_release(&y));
            plan = was;
        }
        if (worked) { /* a wait that ends by time: slices, and a look around */
            armed = true;
            horus_result q = horus_topic_wait(r, 3000000);
            armed = false;
            if (q != HORUS_TIMEOUT && (plan.hits == 0 || q != HORUS_OK))
                CHECK_EQ(q, HORUS_TIMEOUT);
        }
        if (x.frame.pool)
            CHECK_OK(horus_tensor_release(&x));
        QUIETLY(horus_topic_close(r));
        QUIETLY(horus_topic_close(s));
    }
    check_balanced(pool_of(one));
    check_balanced(p);
    horus_context_close(two);
    horus_context_close(one);
    return worked;
}
TEST(messages_of_every_policy) { play(&(scene){"messages", messages, NULL, false, false}); }

static void *waits_long(void *arg)
{
    uint64_t got = 0;
    test_raise(1);
    CHECK_OK(horus_topic_receive(arg, &got, sizeof got, NULL, 20000000000));
    return NULL;
}
static bool wakes(void)
{
    horus_context *c = join(MiB);
    horus_topic *s, *r;
    uint64_t n = 1;
    pthread_t thread;
    REQUIRE_OK(horus_topic_open(&s, "w", &(horus_topic_desc){.context = c}));
    REQUIRE_OK(horus_topic_open(&r, "w", &(horus_topic_desc){.context = c}));
    atomic_store(&board->flag[1], 0);
    REQUIRE(pthread_create(&thread, NULL, waits_long, r) == 0);
    test_await(1);
    while (atomic_load(&c->pool->rows[c->row].sleepers) == 0)
        test_sleep_us(100);
    test_sleep_us(2000);
    uint64_t begin = horus_now_ns();
    bool worked = TRY(horus_topic_send(s, &n, sizeof n, 0), "");
    fault_plan was = plan;
    plan.error = 0;
    if (!worked)
        CHECK_OK(horus_topic_send(s, &n, sizeof n, 0));
    plan = was;
    (void)pthread_join(thread, NULL);
    CHECK(horus_now_ns() - begin < 10000000000); /* a lost wake-up costs a slice, no more */
    QUIETLY(horus_topic_close(s));
    horus_topic_close(r);
    horus_context_close(c);
    return worked;
}
TEST(a_wake_up_that_is_lost_costs_a_slice) { play(&(scene){"wake", wakes, NULL, false, false}); }

/* The private locks of one process: another thread has them half the time. */
static horus_context *contended;
static _Atomic int contend, holding;
static void *contends(void *arg)
{
    horus_frame f = *(horus_frame *)arg;
    while (atomic_load(&contend)) {
        horusi_lock(&contended->lock);
        atomic_store(&holding, 1);
        test_sleep_us(1000);
        atomic_store(&holding, 0);
        horusi_unlock(&contended->lock);
        (void)horus_frame_hold(&f);
        horus_frame g = f;
        (void)horus_frame_release(&g);
    }
    return NULL;
}
static bool locks(void)
{
    horus_frame f;
    pthread_t thread;
    contended = join(MiB);
    REQUIRE_OK(horus_frame_alloc(&f, pool_of(contended), 100, 0, NULL));
    atomic_store(&contend, 1);
    REQUIRE(pthread_create(&thread, NULL, contends, &f) == 0);
    bool worked = true;
    for (int i = 0; i < 5; i++) {
        horus_topic *t;
        for (int looks = 0; looks < 1000 && !atomic_load(&holding); looks++)
            test_sleep_us(100);
        if (TRY(horus_topic_open(&t, "l", &(horus_topic_desc){.context = contended}), "l"))
            QUIETLY(horus_topic_close(t));
        else
            worked = false;
        worked &= one_frame(contended, 1000);
    }
    atomic_store(&contend, 0);
    (void)pthread_join(thread, NULL);
    CHECK_OK(horus_frame_release(&f));
    horus_context_close(contended);
    return worked;
}
TEST(locks_that_threads_wait_for) { play(&(scene){"locks", locks, NULL, false, false}); }

static void child_begins_anew(void *arg)
{
    horus_frame f;
    (void)arg;
    plan.error = 0;
    REQUIRE_OK(horus_frame_alloc(&f, NULL, 1000, 0, NULL));
    CHECK_OK(horus_frame_release(&f));
}
static bool forks(void)
{
    horus_frame f;
    uint32_t rows;
    horus_context *c = join(MiB);
    REQUIRE_OK(horus_frame_alloc(&f, pool_of(c), 1000, 0, NULL));
    armed = true; /* in the child too */
    pid_t pid = test_fork(child_begins_anew, NULL);
    armed = false;
    CHECK_JOIN(pid);
    CHECK_OK(horus_context_sweep(c, &rows));
    CHECK_EQ(rows, 0);
    CHECK_EQ(horus_frame_holders(&f), 1);
    CHECK_OK(horus_frame_release(&f));
    horus_context_close(c);
    return true;
}
TEST(forking) { play(&(scene){"fork", forks, NULL, false, false}); }

static bool pictures(void)
{
    static const char *const suffix[] = {"png", "bmp", "tga", "jpg"};
    horus_context *c = join(MiB);
    horus_image m;
    char path[64];
    bool worked = true;
    struct stat s;
    REQUIRE_OK(horus_image_alloc(&m, pool_of(c), 20, 20, HORUS_RGB8, 0));
    for (int i = 0; i < 4 && worked; i++) {
        (void)snprintf(path, sizeof path, "/tmp/horus-faults-%d.%s", (int)getpid(), suffix[i]);
        worked = TRY(horus_image_write(&m, path), ".");
        if (worked)
            CHECK(stat(path, &s) == 0 && s.st_size > 50);
        (void)unlink(path);
    }
    CHECK_OK(horus_image_release(&m));
    horus_context_close(c);
    return worked;
}
TEST(pictures_are_written)
{
#ifndef HORUSI_STB
    SKIP("needs stb_image_write.h");
#endif
    play(&(scene){"pictures", pictures, NULL, false, false});
}

/* A scheduler that asks for all there is: a thread beside, a watchdog, signals, real time. */
static horus_result scheduled(void *user, horus_tick *t)
{
    (void)t;
    atomic_fetch_add((_Atomic uint64_t *)user, 1);
    return HORUS_OK;
}
static bool scheduling_in(horus_context *c)
{
    static _Atomic uint64_t ticks;
    horus_scheduler *s = NULL;
    horus_capabilities can;
    struct sched_param param;
    int policy;
    cpu_set_t cores;
    (void)pthread_getschedparam(pthread_self(), &policy, &param);
    (void)sched_getaffinity(0, sizeof cores, &cores);
    uint64_t core = CPU_ISSET(0, &cores) ? 1 : 2;
    double load;
    atomic_store(&ticks, 0);
    bool worked =
        TRY(horus_scheduler_open(
                &s, &(horus_scheduler_desc){.name = "sch",
                                            .context = c,
                                            .flags = HORUS_SIGNALS | HORUS_REALTIME |
                                                     HORUS_REALTIME_DEADLINE | HORUS_ADMISSION,
                                            .cores = core,
                                            .watchdog_ns = 1000000}),
            "sch");
    CHECK(worked || !s);
    worked = worked &&
             TRY(horus_scheduler_add(s, &(horus_node_desc){.name = "sch-a",
                                                           .tick = scheduled,
                                                           .user = &ticks,
                                                           .rate_num = 1000,
                                                           .budget_ns = 200000}),
                 "sch") &&
             TRY(horus_scheduler_add(s, &(horus_node_desc){.name = "sch-b",
                                                           .tick = scheduled,
                                                           .user = &ticks,
                                                           .compute = true,
                                                           .rate_num = 1000}),
                 "sch") &&
             TRY(horus_scheduler_add(s, &(horus_node_desc){.name = "sch-c",
                                                           .tick = scheduled,
                                                           .user = &ticks,
                                                           .compute = true,
                                                           .rate_num = 1000}),
                 "sch") &&
             TRY(horus_scheduler_admit(s, &load), "sch") &&
             TRY(horus_scheduler_run(s, 2000000), "sch");
    if (worked) {
        horus_scheduler_stats st;
        horus_node_stats n[3];
        size_t count;
        uint64_t ran = 0, due = 0;
        CHECK_OK(horus_scheduler_get_stats(s, &st, n, 3, &count));
        for (int i = 0; i < 3; i++) {
            ran += n[i].ticks;
            due += n[i].ticks + n[i].skipped;
        }
        CHECK_EQ(due, 6);
        CHECK_EQ(ran, atomic_load(&ticks));
        CHECK_OK(horus_scheduler_get_capabilities(s, &can));
        CHECK_EQ(can.got != can.wanted, can.degradations[0] != 0);
    }
    QUIETLY((void)horus_scheduler_close(s));
    (void)pthread_setschedparam(pthread_self(), policy,
                                &param); /* giving it back may have failed */
    (void)sched_setaffinity(0, sizeof cores, &cores);
    (void)munlockall();
    return worked;
}
static bool scheduling(void)
{
    horus_context *c = join(MiB);
    bool worked = scheduling_in(c);
    QUIETLY(horus_context_close(c));
    return worked;
}
TEST(a_scheduler_runs) { play(&(scene){"scheduler", scheduling, NULL, false, false}); }
/* A recording, and its replay: what cannot be written or read ends the run, and says so. */
static horus_result sends_once(void *user, horus_tick *t)
{
    uint64_t got;
    horus_topic *topic = user;
    (void)horus_topic_receive(topic, &got, sizeof got, NULL, 0);
    return horus_topic_send(topic, &t->phase, sizeof t->phase, 0);
}
static bool recording(void)
{
    char path[120];
    horus_context *c = join(MiB);
    horus_topic *t = NULL;
    (void)snprintf(path, sizeof path, "/tmp/horus.%s.recording", test_space);
    bool worked = TRY(horus_topic_open(&t, "said", &(horus_topic_desc){.context = c}), "said");
    for (int replay = 0; replay < 2 && worked; replay++) {
        horus_scheduler *s = NULL;
        horus_recording told;
        horus_scheduler_desc d = {.name = "rec", .context = c, .flags = HORUS_DETERMINISTIC};
        *(replay ? &d.replay : &d.record) = path;
        worked = TRY(horus_scheduler_open(&s, &d), "rec");
        CHECK(worked || !s);
        worked = worked && TRY(horus_scheduler_add(s, &(horus_node_desc){.name = "rec",
                                                                         .tick = sends_once,
                                                                         .user = t,
                                                                         .rate_num = 10}),
                               "rec");
        if (worked) {
            worked = TRY(horus_scheduler_run(s, 300000000), "rec");
            CHECK_OK(horus_scheduler_get_recording(s, &told));
            CHECK(!worked || told.calls == 3);
        }
        QUIETLY((void)horus_scheduler_close(s));
    }
    QUIETLY(horus_topic_close(t));
    QUIETLY(horus_context_close(c));
    QUIETLY((void)unlink(path));
    return worked;
}
TEST(a_run_is_recorded_and_replayed) { play(&(scene){"recording", recording, NULL, false, false}); }
static void count_held(void *user, const horus_holder *h)
{
    if (!h->ring && !h->internal)
        ++*(unsigned *)user;
}
/* Three models at once, from and to topics, with a thread that watches over their budgets. */
static bool inferring_in(horus_context *c)
{
    static const char *const takes[] = {"x", NULL}, *const both[] = {"x", "y", NULL};
    static const char *const gives[3][2] = {{"a", NULL}, {"b", NULL}, {"c", NULL}};
    static const horus_infer_entry paths[] = {{"eyes", "tests/faults.c"},
                                              {"eyes2", "tests/faults.c"},
                                              {"eyes3", "tests/faults.c"},
                                              {NULL, NULL}};
    static const horus_infer_list in[] = {
        {"eyes", takes}, {"eyes2", takes}, {"eyes3", both}, {NULL, NULL}};
    static const horus_infer_list out[] = {
        {"eyes", gives[0]}, {"eyes2", gives[1]}, {"eyes3", gives[2]}, {NULL, NULL}};
    static const char *const names[4] = {"eyes.in", "eyes.out", "eyes.status", "eyes.switch"};
    const horus_infer_activation on = {.model = "eyes2", .active = 1};
    horus_infer *op = NULL;
    horus_topic *t[4] = {NULL, NULL, NULL, NULL};
    float v[6] = {1, 2, 3, 4, 5, 6};
    horus_tensor y = {
        .data = v, .ndim = 2, .shape = {2, 2}, .strides_bytes = {12, 4}}; /* of three columns */
    bool worked = true;
    for (int i = 0; i < 4 && worked; i++)
        worked =
            TRY(horus_topic_open(&t[i], names[i], &(horus_topic_desc){.context = c}), names[i]);
    horus_infer_input from[] = {{t[0], "x", false}, {NULL, NULL, false}};
    worked = worked && TRY(horus_infer_open(&op,
                                            &(horus_infer_desc){.name = "eyes",
                                                                .backend = "add",
                                                                .model_path_map = paths,
                                                                .pre_processor_map = in,
                                                                .inference_map = out,
                                                                .inputs = from,
                                                                .output = t[1],
                                                                .status = t[2],
                                                                .activation = t[3],
                                                                .wait_ns = 1000000,
                                                                .budget_ns = 3600000000000,
                                                                .pool = pool_of(c)},
                                            NULL, 0),
                           "eyes");
    CHECK(worked || !op);
    for (int i = 0; i < 3 && worked; i++) {
        horus_tensor x;
        CHECK_OK(horus_infer_set(op, "y", &y, 0));
        worked = TRY(horus_tensor_alloc(&x, pool_of(c), HORUS_F32, 2, y.shape, 0), "");
        if (!worked)
            break;
        worked = TRY(horus_topic_send_tensor(t[0], &x, HORUS_NO_WAIT), names[0]) &&
                 TRY(horus_topic_send(t[3], &on, sizeof on, HORUS_NO_WAIT), names[3]) &&
                 TRY(horus_infer_run(op), "eyes");
        QUIETLY((void)horus_tensor_release(&x));
        for (int k = 0; k < 3 && worked; k++) { /* whole, in their order */
            CHECK_OK(horus_topic_receive_tensor(t[1], &x, NULL, HORUS_NO_WAIT));
            CHECK(x.data && ((float *)x.data)[3] == (k < 2 ? 0 : 5));
            CHECK_OK(horus_tensor_release(&x));
        }
    }
    QUIETLY(horus_infer_close(op));
    horus_audit a;
    unsigned held = 0;
    CHECK_OK(horus_pool_audit(pool_of(c), &a, count_held, &held));
    if (!CHECK(a.balanced && held == 0))
        test_failed(__FILE__, __LINE__, "%u frames are held (%s): %s", held, about, a.first);
    for (int i = 0; i < 4; i++)
        QUIETLY(horus_topic_close(t[i]));
    return worked;
}
static bool inferring(void)
{
    horus_context *c = join(MiB);
    bool worked = inferring_in(c);
    QUIETLY(horus_context_close(c));
    return worked;
}
TEST(an_inference_operator_runs) { play(&(scene){"inference", inferring, NULL, false, false}); }
/* Where engines of a model are kept. */
static bool keeping(void)
{
    char path[120], weights[120], folder[200];
    bool made = false;
    (void)snprintf(path, sizeof path, "/tmp/horus.%s.model", test_space);
    (void)snprintf(weights, sizeof weights, "/tmp/horus.%s.model.weights", test_space);
    FILE *f = fopen(path, "w");
    REQUIRE(f &&
            fprintf(f,
                    "\n\x08"
                    "location\x12%c%s",
                    (int)strlen(weights), weights) > 0 &&
            fclose(f) == 0);
    f = fopen(weights, "w");
    REQUIRE(f && fputs("weights", f) >= 0 && fclose(f) == 0);
    bool worked = TRY(horusi_folder_of(path, folder, sizeof folder, &made), path);
    if (worked)
        CHECK(made && rmdir(folder) == 0);
    REQUIRE(unlink(path) == 0 && unlink(weights) == 0);
    return worked;
}
TEST(a_folder_for_engines_is_made) { play(&(scene){"engines", keeping, NULL, false, false}); }
/* The pool has room for its figures, but none for the ring that tells where they are. */
static bool scheduling_on_the_heap(void)
{
    static horus_frame full[2000];
    horus_topic *t;
    horus_tensor hole;
    horus_context *c = join(MiB);
    int64_t bytes = (int64_t)horusi_sched_bytes(3);
    size_t n = 0;
    REQUIRE_OK(horus_topic_open(
        &t, "horus.scheduler/sch",
        &(horus_topic_desc){.type = &horus_tensor_type, .capacity = 1, .context = c}));
    REQUIRE_OK(horus_tensor_alloc(&hole, pool_of(c), HORUS_U8, 1, &bytes, 0));
    for (uint64_t size = MiB; size > 0; size /= 2)
        while (n < 2000 && horus_frame_alloc(&full[n], pool_of(c), size, 0, NULL) == HORUS_OK)
            n++;
    REQUIRE(n < 2000);
    CHECK_OK(horus_tensor_release(&hole));
    bool worked = scheduling_in(c);
    while (n > 0)
        CHECK_OK(horus_frame_release(&full[--n]));
    QUIETLY(horus_topic_close(t));
    QUIETLY(horus_context_close(c));
    return worked;
}
TEST(a_scheduler_runs_without_shared_memory)
{
    play(&(scene){"scheduler on the heap", scheduling_on_the_heap, NULL, false, false});
}

/* ---- the sites */

__attribute__((constructor)) static void number_the_sites(void)
{
    tally = mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (tally == MAP_FAILED || __stop_fault_sites - __start_fault_sites > MAX_SITES)
        abort();
    int id = 0;
    for (fault_site *const *s = __start_fault_sites; s < __stop_fault_sites; s++)
        (*s)->id = id++;
}
/* Sites where nothing fails on purpose, and why that is right: part of a source line. */
static const struct {
    const char *line, *why;
} justified[] = {
    {"r = horusi_open(dir, \"horus\", O_RDWR | O_NOFOLLOW, 0);", "only where /proc is missing"},
    {"linkat(fd, \"\"", "only where /proc is missing"},
    {"HORUSI_FUTEX_UNLOCK_PI", "only fails for who does not own the lock"},
    {"SYS_gettid", "cannot fail"},
    {"SYS_membarrier, 0", "asked once in a process, by the first thread, before a scene begins"},
    {"SYS_membarrier, 16", "the same, and again only where a barrier failed"},
    {"SYS_membarrier, 8", "needs a second thread at one moment; see tests/test_pool.c"},
    {"  close(", "on the way out of another failure: one fails at a time"},
    {"munmap(page, 4096);", "on the way out of another failure: one fails at a time"},
    {"nanosleep(&t, NULL);", "a pause whose length does not matter"},
    {"int e = watched ? 0 : pthread_atfork",
     "once in a process: in its first play, in which nothing fails"},
};
/* The text of a line of horus.h. */
static const char *line_of(const char *file, int line)
{
    static char text[300];
    FILE *f = fopen(strncmp(file, "tests/../", 9) == 0 ? file + 9 : file, "r");
    text[0] = 0;
    for (int i = 0; f && i < line && fgets(text, sizeof text, f); i++) {
    }
    if (f)
        (void)fclose(f);
    return text;
}
/* HORUS_FAULTS_NAMES: the output of nm -u. A call that is not in the table is one that is forgotten. */
TEST(every_call_of_the_library_is_in_the_table)
{
    const char *path = getenv("HORUS_FAULTS_NAMES");
    FILE *f = path ? fopen(path, "r") : NULL;
    char name[200];
    unsigned names = 0;
    if (!f)
        SKIP("HORUS_FAULTS_NAMES names no file: run by tests/run.sh");
    while (fscanf(f, " U %199s", name) == 1) {
        bool known = false;
        for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
            known |= strcmp(name, calls[i].name) == 0;
        for (size_t i = 0; i < sizeof plain_names / sizeof *plain_names; i++)
            known |= strcmp(name, plain_names[i]) == 0;
        if (!known)
            test_failed(__FILE__, __LINE__, "horus.h calls %s: add it to the table, and wrap it",
                        name);
        names++;
    }
    (void)fclose(f);
    CHECK(names > 40);
}
TEST(every_call_site_is_reached)
{
    unsigned sites = 0, reached = 0, injected = 0;
    if (atomic_load(&tally->tests) < 18)
        SKIP("only when all the other tests were run");
    for (fault_site *const *s = __start_fault_sites; s < __stop_fault_sites; s++) {
        const fault_call *c = call_named((*s)->call);
        fault_counts *n = &tally->site[(*s)->id];
        bool can = c->errors[0] || strcmp(c->name, "syscall") == 0;
        sites++;
        reached += n->reached != 0;
        injected += n->injected != 0;
        if (n->injected || !can)
            continue;
        const char *text = line_of((*s)->file, (*s)->line), *why = NULL;
        for (size_t i = 0; i < sizeof justified / sizeof *justified; i++)
            if (strstr(text, justified[i].line))
                why = justified[i].why;
        if (!why && !n->reached && !strstr((*s)->file, "horus.h"))
            why = "a part of stb_image_write that is not called, and not left out at -O0";
        if (!why)
            test_failed((*s)->file, (*s)->line, "%s is %s: %s", (*s)->call,
                        n->reached ? "never made to fail" : "never reached", text);
        else
            printf("not made to fail: %s at %s:%d: %s\n", (*s)->call, (*s)->file, (*s)->line, why);
    }
    printf(
        "faults: %u call sites, %u reached, %u failed on purpose; %llu injections in %llu runs\n",
        sites, reached, injected, (unsigned long long)tally->injected,
        (unsigned long long)tally->runs);
}
