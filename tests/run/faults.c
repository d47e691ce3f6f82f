/* faults.c — calls of the system that fail: see faults.h. */
#include "faults.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

const char *const fault_names[FAULT_KINDS] = {"write", "fsync", "rename", "open", "mkdir", "ftruncate", "read", "allocation", "allocation by libhdf5 or libc"};
bool fault_no_sync;

static struct { long count[FAULT_KINDS], at; int kind, cause; bool lasts, happened, on; } fault;

void fault_set(int kind, long at, int cause, bool lasts)
{
    fault.on = false;
    for (int i = 0; i < FAULT_KINDS; i++) fault.count[i] = 0;
    fault.kind = kind, fault.at = at, fault.cause = cause, fault.lasts = lasts, fault.happened = false;
    fault.on = true;
}

long fault_count(int kind)
{
    return fault.count[kind];
}

bool fault_happened(void)
{
    return fault.happened;
}

static bool fails(int kind)
{
    if (!fault.on) return false;
    long n = ++fault.count[kind];
    if (kind != fault.kind || !fault.at || n < fault.at || (n > fault.at && !fault.lasts)) return false;
    fault.happened = true;
    errno = fault.cause;
    return true;
}

/* Standard streams are the test's own. */
ssize_t write(int fd, const void *p, size_t n)
{
    return fd > 2 && fails(FAULT_WRITE) ? -1 : syscall(SYS_write, fd, p, n);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    return fails(FAULT_WRITE) ? -1 : syscall(SYS_pwrite64, fd, p, n, at);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off_t at)
{
    return pwrite(fd, p, n, at);
}

ssize_t pread(int fd, void *p, size_t n, off_t at)
{
    return fails(FAULT_READ) ? -1 : syscall(SYS_pread64, fd, p, n, at);
}

ssize_t pread64(int fd, void *p, size_t n, off_t at)
{
    return pread(fd, p, n, at);
}

int fsync(int fd)
{
    return fails(FAULT_SYNC) ? -1 : fault_no_sync ? 0 : (int)syscall(SYS_fsync, fd);
}

int rename(const char *from, const char *to)
{
    return fails(FAULT_RENAME) ? -1 : (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
}

int renameat(int a, const char *from, int b, const char *to)
{
    return fails(FAULT_RENAME) ? -1 : (int)syscall(SYS_renameat, a, from, b, to);
}

static int opened(int dir, const char *path, int flags, va_list ap)
{
    int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, int) : 0;
    return fails(FAULT_OPEN) ? -1 : (int)syscall(SYS_openat, dir, path, flags, mode);
}

#define OPEN(name, ...)                                     \
    int name(__VA_ARGS__, int flags, ...)                   \
    {                                                       \
        va_list ap;                                         \
        va_start(ap, flags);                                \
        int fd = opened(dir_, path, flags, ap);             \
        va_end(ap);                                         \
        return fd;                                          \
    }
#define dir_ AT_FDCWD
OPEN(open, const char *path)
OPEN(open64, const char *path)
#undef dir_
#define dir_ dir
OPEN(openat, int dir, const char *path)
OPEN(openat64, int dir, const char *path)

int mkdir(const char *path, mode_t mode)
{
    return fails(FAULT_MKDIR) ? -1 : (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

int ftruncate(int fd, off_t size)
{
    return fails(FAULT_TRUNCATE) ? -1 : (int)syscall(SYS_ftruncate, fd, size);
}

int ftruncate64(int fd, off_t size)
{
    return ftruncate(fd, size);
}

/* Streams write by calls of their own, inside the C library. */
size_t fwrite(const void *p, size_t size, size_t n, FILE *f)
{
    static size_t (*real)(const void *, size_t, size_t, FILE *);
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "fwrite");
    return f != stdout && f != stderr && fails(FAULT_WRITE) ? 0 : real(p, size, n, f);
}

int fflush(FILE *f)
{
    static int (*real)(FILE *);
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "fflush");
    return f && f != stdout && f != stderr && fails(FAULT_WRITE) ? EOF : real(f);
}

#ifndef __SANITIZE_ADDRESS__ /* which has its own */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

extern char __executable_start, etext; /* of the linker: this program, the runtime in it */

/* Whose memory is it? */
static bool no_memory(void *caller)
{
    return fault.on && fails((char *)caller >= &__executable_start && (char *)caller < &etext ? FAULT_MEMORY : FAULT_LIBRARY_MEMORY);
}

void *malloc(size_t n)
{
    return no_memory(__builtin_return_address(0)) ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    return no_memory(__builtin_return_address(0)) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
    return no_memory(__builtin_return_address(0)) ? NULL : __libc_realloc(p, n);
}
#endif
