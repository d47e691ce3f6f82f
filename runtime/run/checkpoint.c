/* checkpoint.c — the states of a run, whole files of which the last two are kept: see store.h.
 *
 *   "lqft-sta", version, length of the file, of the text, number of arrays: 8 bytes each
 *   for each array: length of its name, its elements: 8 bytes each
 *   the text, each name: each with a zero and filled up to 8 bytes
 *   the elements of each array
 *   checksum of all before: 8 bytes
 *
 * Numbers are as this machine has them, which a run is not moved from to one of another order.
 * The checksum finds every change that is confined to 8 aligned bytes, for each step of it maps the
 * words one to one, and of others all but one in 2^64. */
#include "inside.h"

#include "../io/file.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { VERSION = 1, HEAD_WORDS = 5 };
static const char MAGIC[8] = "lqft-sta";

/* ---- writing ------------------------------------------------------------------------------------- */

typedef struct Out { FILE *f; uint64_t sum; bool ok; int cause; } Out;

static void out(Out *o, const void *p, size_t n)
{
    o->sum = lq_hash(p, n, o->sum);
    if (!o->ok || !n || fwrite(p, 1, n, o->f) == n) return;
    o->ok = false, o->cause = errno;
}

static size_t padded(size_t length)
{
    return (length + 8) / 8 * 8; /* with a zero at least */
}

static void put_text(Text *t, const char *s)
{
    static const char zeros[8];
    text_putn(t, s, strlen(s));
    text_putn(t, zeros, padded(strlen(s)) - strlen(s));
}

static void put(Text *t, int64_t x)
{
    text_putn(t, (const char *)&x, sizeof x);
}

/* All before the elements. */
static Text head(const char *about, int n, const StoreArray *arrays)
{
    Text t = {0};
    text_putn(&t, MAGIC, 8);
    for (int i = 1; i < HEAD_WORDS; i++) put(&t, i == 1 ? VERSION : i == 3 ? (int64_t)strlen(about) : i == 4 ? n : 0);
    for (int i = 0; i < n; i++) put(&t, (int64_t)strlen(arrays[i].name)), put(&t, arrays[i].n);
    put_text(&t, about);
    for (int i = 0; i < n; i++) put_text(&t, arrays[i].name);
    int64_t length = (int64_t)t.n + 8;
    for (int i = 0; i < n; i++) length += arrays[i].n * 8;
    memcpy(t.s + 16, &length, sizeof length);
    return t;
}

static int write_state(const char *path, const char *about, int n, const StoreArray *arrays, char *err, size_t errlen)
{
    NewFile f;
    if (file_create(&f, path, err, errlen)) return CANNOT_CREATE;
    Text t = head(about, n, arrays);
    Out o = {f.f, 0, true, 0};
    out(&o, t.s, t.n);
    for (int i = 0; i < n; i++) out(&o, arrays[i].data, (size_t)arrays[i].n * 8);
    uint64_t sum = o.sum;
    out(&o, &sum, sizeof sum);
    text_free(&t);
    if (o.ok) return file_commit(&f, err, errlen) ? CANNOT_WRITE : 0;
    file_discard(&f);
    return store_failed(CANNOT_WRITE, err, errlen, path, "cannot write: %s", strerror(o.cause));
}

/* ---- which there are --------------------------------------------------------------------------------- */

static char *state_path(const Store *s, int64_t number)
{
    size_t n = strlen(s->path_checkpoints) + 40;
    char *path = lq_alloc(n);
    snprintf(path, n, "%s/state-%06lld", s->path_checkpoints, (long long)number);
    return path;
}

/* The number in a name, or -1. */
static int64_t state_number(const char *name)
{
    char *end;
    if (strncmp(name, "state-", 6) || name[6] < '0' || name[6] > '9') return -1;
    errno = 0;
    long long n = strtoll(name + 6, &end, 10);
    return errno || *end || n > INT64_MAX - 2 ? -1 : n;
}

/* The largest number below `below`, or -1; -2 when the directory cannot be read. */
static int64_t state_below(const Store *s, int64_t below)
{
    int64_t largest = -1;
    DIR *d = opendir(s->path_checkpoints);
    if (!d) return errno == ENOENT ? -1 : -2;
    errno = 0;
    for (struct dirent *e; (e = readdir(d));) {
        int64_t n = state_number(e->d_name);
        if (n < below && n > largest) largest = n;
    }
    if (errno) largest = -2;
    closedir(d);
    return largest;
}

/* Two that are whole stay, whatever else is there.  What cannot be removed now is next time. */
static void remove_others(const Store *s, bool only_newer)
{
    DIR *d = opendir(s->path_checkpoints);
    for (struct dirent *e; d && (e = readdir(d));) {
        int64_t n = state_number(e->d_name);
        if (n >= 0 && n != s->newest && n != s->previous && (n > s->newest || !only_newer)) unlinkat(dirfd(d), e->d_name, 0);
    }
    if (d) closedir(d);
}

void states_forget_damaged(const Store *s)
{
    if (s->newest >= 0) remove_others(s, true);
}

int store_checkpoint(Store *s, const char *about, int n, const StoreArray *arrays, char *err, size_t errlen)
{
    int status = store_begun(s, "store_checkpoint", err, errlen);
    if (!status) status = store_make_checkpoints(s, err, errlen);
    if (!status) status = measurements_sync(s, err, errlen); /* what the state counts is there before it */
    if (status) return status;
    int64_t last = state_below(s, INT64_MAX);
    if (last == -2) return store_failed(CANNOT_WRITE, err, errlen, s->path_checkpoints, "cannot read: %s", strerror(errno));
    char *path = state_path(s, last + 1);
    status = write_state(path, about, n, arrays, err, errlen);
    free(path);
    if (status) return status;
    s->previous = s->newest >= 0 ? s->newest : last;
    s->newest = last + 1;
    remove_others(s, false);
    return 0;
}

/* ---- reading: nothing in the file is trusted ----------------------------------------------------------------- */

typedef struct Loaded { Checkpoint c; char *bytes; } Loaded; /* arrays and names are in the bytes */

static int64_t word(const char *bytes, int64_t i)
{
    int64_t x;
    memcpy(&x, bytes + 8 * i, sizeof x);
    return x;
}

/* The same steps as when it was written, over pieces of the same lengths. */
static uint64_t checksum(const char *bytes, int64_t elements_at, int64_t n)
{
    uint64_t h = lq_hash(bytes, (size_t)elements_at, 0);
    const char *p = bytes + elements_at;
    for (int64_t i = 0; i < n; i++) {
        size_t size = (size_t)word(bytes, HEAD_WORDS + 2 * i + 1) * 8;
        h = lq_hash(p, size, h);
        p += size;
    }
    return h;
}

/* Moves *at by `size` more bytes, of which 8 remain for the checksum. */
static bool advance(int64_t *at, int64_t size, int64_t length)
{
    return size >= 0 && !__builtin_add_overflow(*at, size, at) && *at <= length - 8;
}

/* Where the names and where the elements begin; what is wrong, or NULL. */
static const char *check_state(const char *bytes, int64_t size, int64_t *names_at, int64_t *elements_at)
{
    int64_t at = 0, n, total = 0;
    if (size < 8 * (HEAD_WORDS + 1) || memcmp(bytes, MAGIC, 8)) return size ? "this is no state of a run" : "the file is empty";
    if (word(bytes, 1) != VERSION) return "another version of lqft has written it, or it is damaged";
    if (word(bytes, 2) != size) return "its length is not what it was when it was written";
    n = word(bytes, 4);
    if (n < 0 || n > size / 16 || !advance(&at, 8 * HEAD_WORDS + 16 * n, size)) return "it is damaged";
    int64_t about = word(bytes, 3);
    if (about < 0 || about > size || !advance(&at, (int64_t)padded((size_t)about), size)) return "it is damaged";
    *names_at = at;
    for (int64_t i = 0; i < n; i++) {
        int64_t name = word(bytes, HEAD_WORDS + 2 * i);
        if (name < 0 || name > size || !advance(&at, (int64_t)padded((size_t)name), size)) return "it is damaged";
    }
    *elements_at = at;
    for (int64_t i = 0; i < n; i++)
        if (!lq_mul_ok(word(bytes, HEAD_WORDS + 2 * i + 1), 8, &total) || !advance(&at, total, size)) return "it is damaged";
    if (at != size - 8) return "it is damaged";
    return checksum(bytes, *elements_at, n) == (uint64_t)word(bytes, size / 8 - 1) ? NULL : "its bytes differ from their checksum";
}

static Checkpoint *take_state(char *bytes, int64_t names_at, int64_t elements_at)
{
    Loaded *l = lq_alloc(sizeof *l);
    int64_t n = word(bytes, 4);
    *l = (Loaded){{bytes + 8 * HEAD_WORDS + 16 * n, (int)n, lq_alloc((size_t)n * sizeof(StoreArray))}, bytes};
    for (int64_t i = 0; i < n; i++) {
        int64_t elements = word(bytes, HEAD_WORDS + 2 * i + 1);
        l->c.arrays[i] = (StoreArray){bytes + names_at, elements, (const double *)(bytes + elements_at)};
        names_at += (int64_t)padded((size_t)word(bytes, HEAD_WORDS + 2 * i));
        elements_at += 8 * elements;
    }
    return &l->c;
}

/* One state; NULL with the reason when it is not whole, or cannot be read. */
static Checkpoint *load_state(const char *path, char *why, size_t whylen)
{
    char *bytes;
    int64_t size, names_at, elements_at;
    if (file_read(path, &bytes, &size, why, whylen)) return NULL;
    const char *damage = size % 8 ? "its length is not what it was when it was written" : check_state(bytes, size, &names_at, &elements_at);
    if (!damage) return take_state(bytes, names_at, elements_at);
    file_error(why, whylen, path, "%s", damage);
    free(bytes);
    return NULL;
}

int store_restore(Store *s, Checkpoint **out, char **warning, char *err, size_t errlen)
{
    Text passed = {0};
    char why[512];
    int64_t number = INT64_MAX;
    *out = NULL, *warning = NULL;
    while (!*out && (number = state_below(s, number)) >= 0) {
        char *path = state_path(s, number);
        *out = load_state(path, why, sizeof why);
        if (!*out) text_printf(&passed, "%s%s", passed.n ? "; " : "", why);
        free(path);
    }
    int status = 0;
    if (number == -2) status = store_failed(BAD_DATA, err, errlen, s->path_checkpoints, "cannot read: %s", strerror(errno));
    else if (!*out && passed.n) status = store_failed(BAD_DATA, err, errlen, s->path_checkpoints, "no state is whole: %s", passed.s);
    if (*out) s->newest = number, s->previous = -1;
    if (*out && passed.n) {
        text_printf(&passed, "; the state before it is used");
        *warning = passed.s; /* the caller's now */
    } else text_free(&passed);
    return status;
}

const StoreArray *checkpoint_find(const Checkpoint *c, const char *name)
{
    for (int i = 0; c && i < c->n; i++)
        if (!strcmp(c->arrays[i].name, name)) return &c->arrays[i];
    return NULL;
}

void checkpoint_free(Checkpoint *c)
{
    if (!c) return;
    Loaded *l = (Loaded *)c; /* its first member */
    free(l->bytes), free(l->c.arrays), free(l);
}
