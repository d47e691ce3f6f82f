/* code_cache.c — one file for each key in $LQFT_CACHE, $XDG_CACHE_HOME/lqft or ~/.cache/lqft
 * (LQFT_CACHE=off: none).  Files appear whole (written beside, then renamed), so processes
 * may share the folder.  What is read is checked: length, key, a hash of the contents; a
 * file that fails is as good as none and is replaced.  The files used longest ago go when
 * the folder has grown beyond MOST_BYTES. */
#include "code_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MOST_FILES = 4096 };
#define MOST_BYTES ((int64_t)256 << 20)
#define MOST_FILE ((int64_t)64 << 20)

typedef struct Head {
    char     magic[8];
    CodeKey  key, contents;        /* contents: of all that follows */
    uint64_t n, bytes;             /* objects; bytes that follow: n sizes, then the objects */
} Head;

static const char MAGIC[8] = "lqftobj";

static bool folder(char *out, size_t n) {
    const char *own = getenv("LQFT_CACHE"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int length;
    if (own && !strcmp(own, "off")) return false;
    if (own && *own) length = snprintf(out, n, "%s", own);
    else if (xdg && *xdg) length = snprintf(out, n, "%s/lqft", xdg);
    else if (home && *home) length = snprintf(out, n, "%s/.cache/lqft", home);
    else return false;
    return length > 0 && (size_t)length < n - 64;
}

static bool file_of(CodeKey key, char *out, size_t n) {
    if (!folder(out, n)) return false;
    size_t at = strlen(out);
    snprintf(out + at, n - at, "/%016llx%016llx.o", (unsigned long long)key.a, (unsigned long long)key.b);
    return true;
}

/* ---- finding ---------------------------------------------------------------------------- */

static char *read_whole(int fd, size_t *size) {
    struct stat s;
    if (fstat(fd, &s) != 0 || !S_ISREG(s.st_mode) || s.st_size < (off_t)sizeof(Head) || s.st_size > MOST_FILE) return NULL;
    char *bytes = lq_alloc((size_t)s.st_size + 1);
    size_t have = 0;
    while (have < (size_t)s.st_size) {
        ssize_t n = read(fd, bytes + have, (size_t)s.st_size - have);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) { free(bytes); return NULL; }
        have += (size_t)n;
    }
    *size = have;
    return bytes;
}

static bool unpack(CodeKey key, const char *bytes, size_t size, CodeObject *out, int n) {
    Head h;
    memcpy(&h, bytes, sizeof h);
    const char *rest = bytes + sizeof h;
    size_t left = size - sizeof h;
    if (memcmp(h.magic, MAGIC, sizeof MAGIC) != 0 || h.key.a != key.a || h.key.b != key.b) return false;
    if (h.n != (uint64_t)n || h.bytes != left || left < (size_t)n * sizeof(uint64_t)) return false;
    CodeKey found = code_key_of_bytes(rest, left);
    if (found.a != h.contents.a || found.b != h.contents.b) return false;
    const char *at = rest + (size_t)n * sizeof(uint64_t);
    left -= (size_t)n * sizeof(uint64_t);
    for (int i = 0; i < n; i++) {
        uint64_t length;
        memcpy(&length, rest + (size_t)i * sizeof length, sizeof length);
        if (length > left) {
            while (i-- > 0) free(out[i].bytes);
            return false;
        }
        out[i] = (CodeObject){lq_alloc(length + 1), length};
        memcpy(out[i].bytes, at, length);
        at += length, left -= length;
    }
    return true;
}

bool code_cache_find(CodeKey key, CodeObject *out, int n) {
    char path[4096];
    if (!file_of(key, path, sizeof path)) return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    size_t size = 0;
    char *bytes = read_whole(fd, &size);
    bool found = bytes && unpack(key, bytes, size, out, n);
    if (found) (void)futimens(fd, NULL);             /* used now */
    free(bytes);
    close(fd);
    return found;
}

/* ---- keeping ------------------------------------------------------------------------------ */

static void make_folders(char *path) {
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        (void)mkdir(path, 0700);
        *slash = '/';
    }
}

typedef struct Old { char name[40]; int64_t size; struct timespec used; } Old;

static int by_age(const void *a, const void *b) {
    const struct timespec *x = &((const Old *)a)->used, *y = &((const Old *)b)->used;
    if (x->tv_sec != y->tv_sec) return x->tv_sec < y->tv_sec ? -1 : 1;
    return (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

static bool is_ours(const char *name) {
    size_t hex = strspn(name, "0123456789abcdef");
    return hex == 32 && (!strcmp(name + hex, ".o") || !strncmp(name + hex, ".new", 4)) && strlen(name) < sizeof((Old){0}.name);
}

/* Down to three quarters, oldest first. */
static void make_room(void) {
    char path[4096];
    if (!folder(path, sizeof path)) return;
    DIR *d = opendir(path);
    if (!d) return;
    VEC(Old) files = {0};
    int64_t total = 0;
    for (struct dirent *e; (e = readdir(d));) {
        struct stat s;
        if (!is_ours(e->d_name) || fstatat(dirfd(d), e->d_name, &s, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(s.st_mode)) continue;
        Old o = {.size = s.st_size, .used = s.st_mtim};
        memcpy(o.name, e->d_name, strlen(e->d_name) + 1);
        vec_push(&files, o);
        total += s.st_size;
    }
    if (total > MOST_BYTES || files.n > MOST_FILES) {
        qsort(files.data, (size_t)files.n, sizeof *files.data, by_age);
        int left = files.n;
        for (int i = 0; i < files.n && (total > MOST_BYTES / 4 * 3 || left > MOST_FILES / 4 * 3); i++, left--)
            if (unlinkat(dirfd(d), files.data[i].name, 0) == 0) total -= files.data[i].size;
    }
    vec_free(&files);
    closedir(d);
}

static bool write_whole(int fd, const void *bytes, size_t n) {
    for (const char *p = bytes; n;) {
        ssize_t done = write(fd, p, n);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return false;
        p += done, n -= (size_t)done;
    }
    return true;
}

/* A lost cache costs time only, so nothing waits for the disk: a file cut short by a crash
 * is found out by its hash. */
static void write_file(const char *path, const Head *h, const char *rest) {
    char temporary[4200];
    snprintf(temporary, sizeof temporary, "%.*s.new%ld", (int)(strlen(path) - 2), path, (long)getpid());
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return;
    bool ok = write_whole(fd, h, sizeof *h) && write_whole(fd, rest, (size_t)h->bytes);
    ok = close(fd) == 0 && ok;
    if (!ok || rename(temporary, path) != 0) unlink(temporary);
}

void code_cache_keep(CodeKey key, const CodeObject *objects, int n) {
    char path[4096];
    if (!file_of(key, path, sizeof path)) return;
    size_t size = (size_t)n * sizeof(uint64_t);
    for (int i = 0; i < n; i++) size += objects[i].size;
    if (size + sizeof(Head) > (size_t)MOST_FILE) return;
    char *rest = lq_alloc(size + 1), *at = rest + (size_t)n * sizeof(uint64_t);
    for (int i = 0; i < n; i++) {
        uint64_t length = objects[i].size;
        memcpy(rest + (size_t)i * sizeof length, &length, sizeof length);
        memcpy(at, objects[i].bytes, objects[i].size);
        at += objects[i].size;
    }
    Head h = {.key = key, .contents = code_key_of_bytes(rest, size), .n = (uint64_t)n, .bytes = size};
    memcpy(h.magic, MAGIC, sizeof MAGIC);
    make_folders(path);
    write_file(path, &h, rest);
    make_room();
    free(rest);
}
