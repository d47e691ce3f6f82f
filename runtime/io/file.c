/* file.c — opening, whole-file reading and atomic replacement: see file.h. */
#include "file.h"

#include "../base.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int file_error(char *err, size_t errlen, const char *path, const char *fmt, ...)
{
    if (!errlen) return -1;
    va_list ap;
    va_start(ap, fmt);
    int n = snprintf(err, errlen, "%s: ", path);
    if (n >= 0 && (size_t)n < errlen) vsnprintf(err + n, errlen - (size_t)n, fmt, ap);
    va_end(ap);
    return -1;
}

/* ---- names below a folder: walked part by part, so that no link leads outside ------- */

const char *file_name_problem(const char *name)
{
    if (*name == '/') return "an absolute path: only files below the folder are used";
    for (const char *p = name;; p++) {
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.') return "`..` leads out of the folder";
        if (n == 0 || (n == 1 && p[0] == '.' && !p[n])) return "not the name of a file";
        if (!p[n]) return NULL;
        p += n;
    }
}

static bool is_link(int dir, const char *name)
{
    struct stat st;
    return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode);
}

/* The folder of the last part of name, or -1 with errno; ELOOP for a link. */
static int open_parent(const char *folder, const char *name, bool make, const char **last)
{
    int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (const char *slash; dir >= 0 && (slash = strchr(name, '/')); name = slash + 1) {
        char *part = strndup(name, (size_t)(slash - name));
        if (!part) lq_out_of_memory((size_t)(slash - name));
        if (make && mkdirat(dir, part, 0777) && errno != EEXIST) {
            int cause = errno;
            close(dir), free(part);
            errno = cause;
            return -1;
        }
        int next = openat(dir, part, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        int cause = next < 0 && is_link(dir, part) ? ELOOP : errno; /* ENOTDIR on some systems */
        close(dir), free(part);
        errno = cause;
        dir = next;
    }
    *last = name;
    return dir;
}

static const char *why(int cause)
{
    return cause == ELOOP ? "a symbolic link, and these are not followed" : strerror(cause);
}

static char *joined(const char *folder, const char *name)
{
    size_t n = strlen(folder) + strlen(name) + 2;
    char *path = lq_alloc(n);
    snprintf(path, n, "%s%s%s", strcmp(folder, ".") ? folder : "", strcmp(folder, ".") ? "/" : "", name);
    return path;
}

/* ---- writing -------------------------------------------------------------------------- */

static void forget(NewFile *nf)
{
    if (nf->dir >= 0) close(nf->dir);
    free(nf->path), free(nf->name), free(nf->temporary);
    *nf = (NewFile){.dir = -1};
}

void file_discard(NewFile *nf)
{
    if (nf->f) {
        fclose(nf->f);
        unlinkat(nf->dir, nf->temporary, 0);
    }
    forget(nf);
}

/* nf->path and nf->dir are known: opens the temporary file. */
static int begin(NewFile *nf, const char *name, char *err, size_t errlen)
{
    size_t n = strlen(name);
    nf->name = memcpy(lq_alloc(n + 1), name, n + 1);
    nf->temporary = lq_alloc(n + 32);
    snprintf(nf->temporary, n + 32, "%s.%ld.tmp", name, (long)getpid());
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
    int fd = openat(nf->dir, nf->temporary, flags, 0666);
    if (fd < 0 && errno == EEXIST && unlinkat(nf->dir, nf->temporary, 0) == 0) /* of a dead process */
        fd = openat(nf->dir, nf->temporary, flags, 0666);
    nf->f = fd < 0 ? NULL : fdopen(fd, "wb");
    if (nf->f) return 0;
    int cause = errno;
    if (fd >= 0) close(fd), unlinkat(nf->dir, nf->temporary, 0);
    file_error(err, errlen, nf->path, "cannot create: %s", strerror(cause));
    forget(nf);
    return -1;
}

int file_create(NewFile *nf, const char *path, char *err, size_t errlen)
{
    struct stat there;
    if (stat(path, &there) == 0 && !S_ISREG(there.st_mode)) /* a device is never replaced */
        return file_error(err, errlen, path, "cannot create: this is no ordinary file");
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t n = slash ? (size_t)(slash - path) + (slash == path) : 1;
    *nf = (NewFile){.path = joined(".", path)};
    char *dir = memcpy(lq_alloc(n + 1), slash ? path : ".", n);
    dir[n] = '\0';
    nf->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(dir);
    if (nf->dir >= 0) return begin(nf, name, err, errlen);
    file_error(err, errlen, path, "cannot create: %s", strerror(errno));
    forget(nf);
    return -1;
}

int file_create_below(NewFile *nf, const char *folder, const char *name, char *err, size_t errlen)
{
    const char *problem = file_name_problem(name), *last;
    *nf = (NewFile){.path = joined(folder, name), .dir = -1};
    if (!problem) {
        nf->dir = open_parent(folder, name, true, &last);
        if (nf->dir < 0) problem = why(errno);
    }
    struct stat there;
    if (!problem && fstatat(nf->dir, last, &there, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(there.st_mode))
        problem = S_ISLNK(there.st_mode) ? why(ELOOP) : "this is no ordinary file";
    if (!problem) return begin(nf, last, err, errlen);
    file_error(err, errlen, nf->path, "cannot create: %s", problem);
    forget(nf);
    return -1;
}

int file_commit(NewFile *nf, char *err, size_t errlen)
{
    const char *doing = "cannot write";
    int bad = ferror(nf->f) || fflush(nf->f) || fsync(fileno(nf->f));
    int cause = bad ? errno : 0;
    if (fclose(nf->f) && !bad) bad = 1, cause = errno;
    nf->f = NULL;
    if (!bad && renameat(nf->dir, nf->temporary, nf->dir, nf->name))
        bad = 1, cause = errno, doing = "cannot rename";
    if (bad) unlinkat(nf->dir, nf->temporary, 0);
    else if (fsync(nf->dir) && errno != EINVAL) /* a rename lasts only once the directory is on disk */
        bad = 1, cause = errno, doing = "cannot sync directory";
    if (bad) file_error(err, errlen, nf->path, "%s: %s", doing, strerror(cause ? cause : EIO));
    forget(nf);
    return bad ? -1 : 0;
}

/* ---- reading ---------------------------------------------------------------------------- */

/* O_NONBLOCK: opening a pipe must not wait */
enum { READING = O_RDONLY | O_CLOEXEC | O_NONBLOCK };

static int measure(OldFile *f, const char *path, char *err, size_t errlen)
{
    struct stat st;
    if (fstat(f->fd, &st) || !S_ISREG(st.st_mode)) {
        file_close(f);
        return file_error(err, errlen, path, "not a regular file");
    }
    f->size = st.st_size;
    return 0;
}

int file_open(OldFile *f, const char *path, char *err, size_t errlen)
{
    *f = (OldFile){open(path, READING), 0};
    if (f->fd < 0) return file_error(err, errlen, path, "cannot open: %s", strerror(errno));
    return measure(f, path, err, errlen);
}

int file_open_below(OldFile *f, const char *folder, const char *name, char *err, size_t errlen)
{
    const char *problem = file_name_problem(name), *last;
    char *path = joined(folder, name);
    int status = 0;
    *f = (OldFile){-1, 0};
    if (!problem) {
        int dir = open_parent(folder, name, false, &last);
        f->fd = dir < 0 ? -1 : openat(dir, last, READING | O_NOFOLLOW);
        int cause = errno;
        if (dir >= 0) close(dir);
        if (f->fd < 0) problem = why(cause);
        if (f->fd < 0 && cause == ENOENT) status = 1;
    }
    if (problem && !status) status = file_error(err, errlen, path, "cannot open: %s", problem);
    if (!problem) status = measure(f, path, err, errlen);
    free(path);
    return status;
}

void file_close(OldFile *f)
{
    if (f->fd >= 0) close(f->fd);
    f->fd = -1;
}

int file_contents(const OldFile *f, const char *path, char **data, char *err, size_t errlen)
{
    int64_t got = 0;
    char *p = f->size < PTRDIFF_MAX ? malloc((size_t)f->size + 1) : NULL;
    *data = NULL;
    if (!p) return file_error(err, errlen, path, "too large for memory");
    ssize_t n = 0;
    while (got < f->size && ((n = pread(f->fd, p + got, (size_t)(f->size - got), got)) > 0 ||
                             (n < 0 && errno == EINTR)))
        if (n > 0) got += n;
    if (got < f->size) {
        int cause = errno;
        free(p);
        return file_error(err, errlen, path, "cannot read: %s", n < 0 ? strerror(cause) : "the file shrank");
    }
    p[got] = '\0';
    *data = p;
    return 0;
}

int file_read(const char *path, char **data, int64_t *size, char *err, size_t errlen)
{
    OldFile f;
    *data = NULL;
    if (file_open(&f, path, err, errlen)) return -1;
    int status = file_contents(&f, path, data, err, errlen);
    *size = f.size;
    file_close(&f);
    return status;
}
