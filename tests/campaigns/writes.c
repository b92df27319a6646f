/* A preload that counts what a process writes below a folder, and at the n-th time fails it with an
   error, or sends the process a signal after some milliseconds, or makes it and all later ones wait
   so long. Used by tests/campaigns/forks.py. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static long at, seen;
static int error_number, signal_number, lasting, delay_ms;
static char folder[4096];

void rft_fail(long n, int error, int signal_, int lasts, int delay, const char *below) {
    at = n, error_number = error, signal_number = signal_, lasting = lasts, delay_ms = delay;
    seen = 0;
    snprintf(folder, sizeof folder, "%s", below);
}

long rft_seen(void) { return seen; }

static void *later(void *unused) {
    (void)unused;
    usleep(1000 * delay_ms);
    kill(getpid(), signal_number);
    return NULL;
}

static int below(const char *path) { return !strncmp(path, folder, strlen(folder)); }

static int of_path(const char *path) {
    char whole[8192], cwd[4096];
    if (!folder[0] || !path) return 0;
    if (path[0] == '/') return below(path);
    if (!getcwd(cwd, sizeof cwd)) return 0;
    snprintf(whole, sizeof whole, "%s/%s", cwd, path);
    return below(whole);
}

static int of_file(int file) {
    char name[64], path[4096];
    if (!folder[0]) return 0;
    snprintf(name, sizeof name, "/proc/self/fd/%d", file);
    ssize_t size = readlink(name, path, sizeof path - 1);
    if (size < 0) return 0;
    path[size] = 0;
    return below(path);
}

static int fails(int ours) {
    pthread_t thread;
    if (!ours) return 0;
    long now = __sync_add_and_fetch(&seen, 1);
    if (now == at && signal_number) {
        if (delay_ms == 0) kill(getpid(), signal_number);
        else if (!pthread_create(&thread, NULL, later, NULL)) pthread_detach(thread);
        return 0;
    }
    if (at && now >= at && !error_number && lasting) usleep(1000 * delay_ms);
    if (!error_number || !at || now < at || (now > at && !lasting)) return 0;
    errno = error_number;
    return 1;
}

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = dlsym(RTLD_NEXT, name)

ssize_t write(int file, const void *data, size_t size) {
    REAL(ssize_t, "write", int, const void *, size_t);
    return fails(of_file(file)) ? -1 : real(file, data, size);
}
ssize_t writev(int file, const struct iovec *parts, int count) {
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    return fails(of_file(file)) ? -1 : real(file, parts, count);
}
ssize_t pwrite64(int file, const void *data, size_t size, off64_t to) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    return fails(of_file(file)) ? -1 : real(file, data, size, to);
}
ssize_t sendfile64(int to, int from, off64_t *offset, size_t size) {
    REAL(ssize_t, "sendfile64", int, int, off64_t *, size_t);
    return fails(of_file(to)) ? -1 : real(to, from, offset, size);
}
ssize_t sendfile(int to, int from, off_t *offset, size_t size) {
    REAL(ssize_t, "sendfile", int, int, off_t *, size_t);
    return fails(of_file(to)) ? -1 : real(to, from, offset, size);
}
int fsync(int file) {
    REAL(int, "fsync", int);
    return fails(of_file(file)) ? -1 : real(file);
}
int rename(const char *from, const char *to) {
    REAL(int, "rename", const char *, const char *);
    return fails(of_path(to)) ? -1 : real(from, to);
}
int mkdir(const char *path, mode_t mode) {
    REAL(int, "mkdir", const char *, mode_t);
    return fails(of_path(path)) ? -1 : real(path, mode);
}

#define OPENED(name) \
    int name(const char *path, int flags, ...) { \
        REAL(int, #name, const char *, int, ...); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = va_arg(rest, mode_t); \
        va_end(rest); \
        if ((flags & (O_CREAT | O_WRONLY | O_RDWR)) && fails(of_path(path))) return -1; \
        return real(path, flags, mode); \
    }
OPENED(open)
OPENED(open64)
