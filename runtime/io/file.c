/* file.c — whole-file reading and atomic replacement: see file.h. */
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

int file_create(NewFile *nf, const char *path, char *err, size_t errlen)
{
    size_t n = strlen(path);
    struct stat there;
    if (stat(path, &there) == 0 && !S_ISREG(there.st_mode)) /* a device is never replaced */
        return file_error(err, errlen, path, "cannot create: this is no ordinary file");
    *nf = (NewFile){NULL, lq_alloc(n + 1), lq_alloc(n + 32)};
    memcpy(nf->path, path, n + 1);
    snprintf(nf->temporary, n + 32, "%s.%ld.tmp", path, (long)getpid());
    nf->f = fopen(nf->temporary, "wbe");
    if (nf->f) return 0;
    int cause = errno;
    file_discard(nf);
    return file_error(err, errlen, path, "cannot create: %s", strerror(cause));
}

void file_discard(NewFile *nf)
{
    if (nf->f) {
        fclose(nf->f);
        unlink(nf->temporary);
    }
    free(nf->path);
    free(nf->temporary);
    *nf = (NewFile){0};
}

/* A rename lasts only once the directory is on disk. */
static int sync_directory_of(const char *path)
{
    char *dir = lq_alloc(strlen(path) + 2), *slash;
    strcpy(dir, path);
    slash = strrchr(dir, '/');
    if (!slash) strcpy(dir, ".");
    else slash[slash == dir] = '\0';
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(dir);
    if (fd < 0) return -1;
    int failed = fsync(fd) && errno != EINVAL; /* some file systems cannot */
    return (close(fd) || failed) ? -1 : 0;
}

int file_commit(NewFile *nf, char *err, size_t errlen)
{
    const char *doing = "cannot write";
    int bad = ferror(nf->f) || fflush(nf->f) || fsync(fileno(nf->f));
    int cause = bad ? errno : 0;
    if (fclose(nf->f) && !bad) bad = 1, cause = errno;
    nf->f = NULL;
    if (!bad && rename(nf->temporary, nf->path)) bad = 1, cause = errno, doing = "cannot rename";
    if (bad) unlink(nf->temporary);
    else if (sync_directory_of(nf->path)) bad = 1, cause = errno, doing = "cannot sync directory";
    if (bad) file_error(err, errlen, nf->path, "%s: %s", doing, strerror(cause ? cause : EIO));
    file_discard(nf);
    return bad ? -1 : 0;
}

int file_read(const char *path, char **data, int64_t *size, char *err, size_t errlen)
{
    *data = NULL;
    /* O_NONBLOCK: opening a pipe must not wait */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0) return file_error(err, errlen, path, "cannot open: %s", strerror(errno));
    if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
        close(fd);
        return file_error(err, errlen, path, "not a regular file");
    }
    int64_t want = st.st_size, got = 0;
    char *p = want < PTRDIFF_MAX ? malloc((size_t)want + 1) : NULL;
    if (!p) {
        close(fd);
        return file_error(err, errlen, path, "too large for memory");
    }
    ssize_t n = 0;
    while (got < want && ((n = read(fd, p + got, (size_t)(want - got))) > 0 ||
                          (n < 0 && errno == EINTR)))
        if (n > 0) got += n;
    int cause = errno;
    close(fd);
    if (got < want) {
        free(p);
        return file_error(err, errlen, path, "cannot read: %s",
                          n < 0 ? strerror(cause) : "the file shrank");
    }
    p[got] = '\0';
    *data = p;
    *size = got;
    return 0;
}
