/* store.c — the directory of a run, its lock, texts and log: see store.h. */
#include "inside.h"

#include "../io/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int store_failed(int status, char *err, size_t errlen, const char *path, const char *fmt, ...)
{
    char message[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    file_error(err, errlen, path, "%s", message);
    return status;
}

char *store_path(const Store *s, const char *name)
{
    return arena_printf(s->arena, "%s/%s", s->dir, name);
}

int store_sync_directory(const char *path, char *err, size_t errlen)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int bad = fd < 0 || (fsync(fd) && errno != EINVAL), cause = errno; /* EINVAL: a disk without this notion */
    if (fd >= 0) close(fd);
    return bad ? store_failed(CANNOT_WRITE, err, errlen, path, "cannot sync directory: %s", strerror(cause)) : 0;
}

int store_make_checkpoints(Store *s, char *err, size_t errlen)
{
    if (mkdir(s->path_checkpoints, 0777) == 0) return store_sync_directory(s->dir, err, errlen);
    return errno == EEXIST ? 0 : store_failed(CANNOT_CREATE, err, errlen, s->path_checkpoints, "cannot create: %s", strerror(errno));
}

int store_begun(const Store *s, const char *doing, char *err, size_t errlen)
{
    return s->begun ? 0 : store_failed(INTERNAL, err, errlen, s->dir, "internal error: %s before run.json is written", doing);
}

/* ---- the directory ------------------------------------------------------------------------------------ */

/* With what is missing above it; each new name is on disk before something is put there. */
static int make_directory(const char *path, char *err, size_t errlen)
{
    if (mkdir(path, 0777) == 0 || errno == EEXIST) return 0;
    const char *slash = strrchr(path, '/');
    if (errno != ENOENT || !slash || slash == path) return store_failed(CANNOT_CREATE, err, errlen, path, "cannot create: %s", strerror(errno));
    char *above = strndup(path, (size_t)(slash - path));
    if (!above) lq_out_of_memory(strlen(path));
    int status = make_directory(above, err, errlen);
    if (!status && mkdir(path, 0777) && errno != EEXIST) status = store_failed(CANNOT_CREATE, err, errlen, path, "cannot create: %s", strerror(errno));
    if (!status) status = store_sync_directory(above, err, errlen);
    free(above);
    return status;
}

static bool is_temporary(const char *name)
{
    size_t n = strlen(name);
    return n > 4 && !strcmp(name + n - 4, ".tmp");
}

/* What a process leaves that was killed before it had written run.json. */
static bool is_beginning(const char *name)
{
    return !strcmp(name, "lock") || (!strncmp(name, "run.json.", 9) && is_temporary(name));
}

/* May a run be here?  Looks at names only. */
static int judge_directory(const Store *s, bool resume, bool *run, char *err, size_t errlen)
{
    char other[256] = "";
    DIR *d = opendir(s->dir);
    if (!d) return store_failed(CANNOT_CREATE, err, errlen, s->dir, "cannot open: %s", strerror(errno));
    *run = false;
    struct dirent *e;
    for (errno = 0; (e = readdir(d)); errno = 0) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") || is_beginning(e->d_name)) continue;
        if (!strcmp(e->d_name, "run.json")) *run = true;
        else snprintf(other, sizeof other, "%s", e->d_name);
    }
    int cause = errno;
    closedir(d);
    if (cause) return store_failed(CANNOT_CREATE, err, errlen, s->dir, "cannot read: %s", strerror(cause));
    if (*run && !resume)
        return store_failed(CANNOT_CREATE, err, errlen, s->dir, "a run is in this directory already: --resume continues it, or name another directory");
    if (!*run && *other)
        return store_failed(CANNOT_CREATE, err, errlen, s->dir,
                            "the directory is not empty (it has %s) and has no run.json, so it is not the directory of a run%s; name another one", other,
                            resume ? ", and there is nothing to resume" : ": --resume would not continue it");
    return 0;
}

/* ---- the lock ---------------------------------------------------------------------------------------------- */

static Store *stores; /* that this process has open: the kernel's lock is between processes only */

static int refuse_holder(Store *s, char *err, size_t errlen)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(s->lock, F_GETLK, &l) || l.l_type == F_UNLCK || l.l_pid <= 0)
        return store_failed(CANNOT_CREATE, err, errlen, s->dir, "another process writes to this directory");
    return store_failed(CANNOT_CREATE, err, errlen, s->dir, "another run writes to this directory: process %ld", (long)l.l_pid);
}

/* A lock of the kernel, which goes with the process however that ends. */
static int take_lock(Store *s, char *err, size_t errlen)
{
    struct stat st;
    const char *path = store_path(s, "lock");
    if (stat(s->dir, &st)) return store_failed(CANNOT_CREATE, err, errlen, s->dir, "cannot open: %s", strerror(errno));
    s->device = st.st_dev, s->inode = st.st_ino;
    for (Store *other = stores; other; other = other->next)
        if (other->device == s->device && other->inode == s->inode)
            return store_failed(CANNOT_CREATE, err, errlen, s->dir, "another run writes to this directory: process %ld", (long)getpid());
    s->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (s->lock < 0) return store_failed(CANNOT_CREATE, err, errlen, path, "cannot create: %s", strerror(errno));
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(s->lock, F_SETLK, &l) == 0) return 0;
    if (errno == EACCES || errno == EAGAIN) return refuse_holder(s, err, errlen);
    return store_failed(CANNOT_CREATE, err, errlen, path, "cannot lock: %s", strerror(errno));
}

/* ---- the log --------------------------------------------------------------------------------------------------- */

/* A line that a process began and did not end is cut off. */
static int repair_log(Store *s, char *err, size_t errlen)
{
    const char *path = s->path_log;
    char block[4096];
    struct stat st;
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW), bad = 0, cause = 0;
    if (fd < 0) return errno == ENOENT ? 0 : store_failed(CANNOT_WRITE, err, errlen, path, "cannot open: %s", strerror(errno));
    bad = fstat(fd, &st);
    off_t end = bad ? 0 : st.st_size, keep = end;
    for (bool found = false; !bad && keep > 0 && !found;) {
        off_t from = keep > (off_t)sizeof block ? keep - (off_t)sizeof block : 0;
        ssize_t n = pread(fd, block, (size_t)(keep - from), from);
        bad = n != keep - from;
        while (!bad && n > 0 && block[n - 1] != '\n') n--;
        if (!bad) found = n > 0, keep = from + n;
    }
    if (!bad && keep < end) bad = ftruncate(fd, keep);
    if (bad) cause = errno;
    close(fd);
    return bad ? store_failed(CANNOT_WRITE, err, errlen, path, "cannot repair: %s", strerror(cause)) : 0;
}

static void put_json(Text *t, const char *s)
{
    for (; *s; s++)
        if (*s == '"' || *s == '\\') text_printf(t, "\\%c", *s);
        else if ((unsigned char)*s < ' ') text_printf(t, "\\u%04x", *s);
        else text_putn(t, s, 1);
}

static void put_line(Text *t, const char *event, const char *members)
{
    struct timespec now;
    struct tm utc;
    char date[32];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
    text_printf(t, "{\"time\": \"%s.%03ldZ\", \"event\": \"", date, now.tv_nsec / 1000000);
    put_json(t, event);
    text_printf(t, "\"%s%s}\n", members && *members ? ", " : "", members ? members : "");
    for (size_t i = 0; i + 1 < t->n; i++)
        if (t->s[i] == '\n') t->s[i] = ' '; /* between members, where it means the same */
}

int store_log(Store *s, const char *event, const char *members, char *err, size_t errlen)
{
    int status = store_begun(s, "store_log", err, errlen);
    if (status) return status;
    const char *path = s->path_log;
    Text t = {0};
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0) return store_failed(CANNOT_CREATE, err, errlen, path, "cannot create: %s", strerror(errno));
    off_t end = lseek(fd, 0, SEEK_END);
    put_line(&t, event, members);
    ssize_t n = write(fd, t.s, t.n);
    int cause = n < 0 ? errno : n < (ssize_t)t.n ? ENOSPC : 0;
    if (n > 0 && cause && ftruncate(fd, end)) cause = errno;
    text_free(&t);
    if (close(fd) && !cause) cause = errno;
    return cause ? store_failed(CANNOT_WRITE, err, errlen, path, "cannot write: %s", strerror(cause)) : 0;
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

/* Files that were not finished. */
static void remove_temporaries(const char *path)
{
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));)
        if (is_temporary(e->d_name)) unlinkat(dirfd(d), e->d_name, 0);
    if (d) closedir(d);
}

static int open_directory(Store *s, bool resume, char *err, size_t errlen)
{
    int status = make_directory(s->dir, err, errlen);
    if (!status) status = judge_directory(s, resume, &s->resumed, err, errlen); /* before a lock is put into a strange one */
    if (!status) status = take_lock(s, err, errlen);
    if (!status) status = judge_directory(s, resume, &s->resumed, err, errlen); /* another run may have been quicker */
    if (status) return status;
    s->begun = s->resumed;
    remove_temporaries(s->dir), remove_temporaries(s->path_checkpoints);
    return s->resumed ? repair_log(s, err, errlen) : 0;
}

int store_open(const char *dir, bool resume, Store **out, char *err, size_t errlen)
{
    Store *s = lq_alloc(sizeof *s);
    *s = (Store){.arena = arena_new(), .lock = -1, .newest = -1, .previous = -1};
    size_t n = strlen(dir);
    while (n > 1 && dir[n - 1] == '/') n--;
    s->dir = n ? arena_strndup(s->arena, dir, n) : arena_strndup(s->arena, ".", 1);
    s->path_data = store_path(s, "measurements.h5"), s->path_log = store_path(s, "log.jsonl");
    s->path_checkpoints = store_path(s, "checkpoint");
    *out = NULL;
    int status = open_directory(s, resume, err, errlen);
    if (!status && s->resumed) status = measurements_find(s, err, errlen);
    if (!status) {
        if (!s->m) s->m = measurements_new();
        s->next = stores;
        stores = *out = s;
        return 0;
    }
    if (s->lock >= 0) close(s->lock);
    measurements_free(s->m);
    arena_free(s->arena);
    free(s);
    return status;
}

void store_close(Store *s)
{
    if (!s) return;
    for (Store **p = &stores; *p; p = &(*p)->next)
        if (*p == s) {
            *p = s->next;
            break;
        }
    measurements_close(s);
    close(s->lock);
    arena_free(s->arena);
    free(s);
}

bool store_is_resumed(const Store *s)
{
    return s->resumed;
}

/* ---- texts --------------------------------------------------------------------------------------------------------- */

int store_write_text(Store *s, const char *name, const char *text, size_t n, char *err, size_t errlen)
{
    const char *path = store_path(s, name);
    NewFile f;
    if (file_create(&f, path, err, errlen)) return CANNOT_CREATE;
    if (fwrite(text, 1, n, f.f) != n) {
        int cause = errno;
        file_discard(&f);
        return store_failed(CANNOT_WRITE, err, errlen, path, "cannot write: %s", strerror(cause));
    }
    if (file_commit(&f, err, errlen)) return CANNOT_WRITE;
    if (!strcmp(name, "run.json")) s->begun = true;
    return 0;
}

char *store_read_text(const Store *s, const char *name, size_t *n, char *err, size_t errlen)
{
    const char *path = store_path(s, name);
    char *text;
    int64_t size;
    if (errlen) *err = '\0';
    if (access(path, F_OK) && errno == ENOENT) return NULL;
    if (file_read(path, &text, &size, err, errlen)) return NULL;
    *n = (size_t)size;
    return text;
}
