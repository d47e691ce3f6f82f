/* isolate.c — work in a process of its own: see isolate.h. */
#include "isolate.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    SECONDS = 10, BYTES_A_SECOND = 1 << 25, /* of processor time: so long, and for what is read */
    SPARE = 1 << 30,                        /* of memory, for the libraries */
};

/* Address space in use, or 0. */
static int64_t memory_in_use(void)
{
    long long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f && fscanf(f, "%lld", &pages) != 1) pages = 0;
    if (f) fclose(f);
    return pages * sysconf(_SC_PAGESIZE);
}

static void limit(int what, int64_t most)
{
    struct rlimit r;
    if (getrlimit(what, &r)) return;
    if (r.rlim_max > (rlim_t)most) r.rlim_max = (rlim_t)most;
    if (r.rlim_cur > r.rlim_max) r.rlim_cur = r.rlim_max;
    setrlimit(what, &r);
}

static void confine(int64_t memory)
{
    static const int fatal[] = {SIGINT, SIGTERM, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGPIPE, SIGXFSZ};
    for (int i = 0; i < (int)(sizeof fatal / sizeof *fatal); i++) signal(fatal[i], SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < 3 && null >= 0; fd++) dup2(null, fd);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, 0);
    limit(RLIMIT_CPU, SECONDS + memory / BYTES_A_SECOND);
#ifndef __SANITIZE_ADDRESS__ /* which takes most of the address space for itself */
    int64_t used = memory_in_use(), most;
    if (used && !__builtin_add_overflow(used + SPARE, memory, &most)) limit(RLIMIT_AS, most);
#else
    (void)memory, (void)memory_in_use;
#endif
}

bool isolated_begin(Isolated *p, void (*work)(int out, void *context), void *context, int64_t memory)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC)) return false;
    *p = (Isolated){ends[0], fork()};
    if (p->child == 0) {
        close(ends[0]);
        confine(memory);
        work(ends[1], context);
        _exit(0);
    }
    close(ends[1]);
    if (p->child < 0) close(ends[0]);
    return p->child > 0;
}

bool isolated_read(Isolated *p, void *to, int64_t n)
{
    for (ssize_t k; n > 0; n -= k, to = (char *)to + k) {
        k = read(p->in, to, n < 1 << 30 ? (size_t)n : 1 << 30);
        if (k < 0 && errno == EINTR) k = 0;
        else if (k <= 0) return false;
    }
    return true;
}

const char *isolated_end(Isolated *p)
{
    int status = 0;
    close(p->in); /* work that is still writing ends by SIGPIPE */
    while (waitpid(p->child, &status, 0) < 0 && errno == EINTR) {}
    if (WIFEXITED(status)) return WEXITSTATUS(status) ? "reading it failed" : NULL;
    return WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL ? "reading it takes too long" : "reading it failed";
}

void isolated_write(int out, const void *from, int64_t n)
{
    for (ssize_t k; n > 0; n -= k, from = (const char *)from + k) {
        k = write(out, from, n < 1 << 30 ? (size_t)n : 1 << 30);
        if (k < 0 && errno == EINTR) k = 0;
        else if (k <= 0) _exit(1);
    }
}

void isolated_close_doors(void)
{
    limit(RLIMIT_NOFILE, 0);
}
