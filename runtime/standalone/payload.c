/* payload.c — writing and reading what is appended to a carrier. */
#include "payload.h"

#include "../io/file.h"
#include "../run/program_file.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ALIGN = 64, WORDS = 7 };
static const char mark[8] = {'l', 'q', 'f', 't', 'e', 'x', 'e', '2'};
typedef struct Tail { uint64_t at, size, before, hash; char mark[8]; } Tail;      /* before: 0, or where a tail ends */

/* ==== the processor ======================================================================== */

/* Feature bits of leaves 1, 7 and 0x80000001, but for those that say what the system has switched on. */
static void features(unsigned out[WORDS]) {
    unsigned a, b, c, d;
    memset(out, 0, WORDS * sizeof *out);
    if (__get_cpuid_count(1, 0, &a, &b, &c, &d)) out[0] = c & ~(1u << 27 | 1u << 31), out[1] = d;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) out[2] = b, out[3] = c & ~(1u << 4), out[4] = d & 0x07ffffffu & ~(1u << 10);
    if (__get_cpuid_count(0x80000001u, 0, &a, &b, &c, &d)) out[5] = c, out[6] = d;
}

static json_t *features_json(void) {
    unsigned f[WORDS];
    json_t *list = json_array();
    features(f);
    for (int i = 0; i < WORDS; i++) json_array_append_new(list, json_integer(f[i]));
    return list;
}

static bool has_features(const json_t *list) {
    unsigned f[WORDS];
    features(f);
    for (int i = 0; i < WORDS; i++)
        if ((unsigned)json_integer_value(json_array_get(list, (size_t)i)) & ~f[i]) return false;
    return true;
}

/* ==== writing ================================================================================ */

static void pad(Text *t) {
    static const char zeros[ALIGN];
    text_putn(t, zeros, (ALIGN - t->n % ALIGN) % ALIGN);
}

static void put(Text *t, const void *bytes, size_t n) {
    pad(t);
    text_putn(t, bytes, n);
}

/* Constants so far whose numbers are in the file: many programs read the same. */
typedef VEC(const CodeConstant *) Blobs;

/* The number of an equal one; -1: there is none, and this is the next. */
static int known_blob(Blobs *seen, const CodeConstant *c) {
    for (int i = 0; i < seen->n; i++)
        if (seen->data[i]->n == c->n && !memcmp(seen->data[i]->data, c->data, (size_t)c->n * sizeof(double))) return i;
    vec_push(seen, c);
    return -1;
}

static json_t *group_head(const PayloadGroup *g, Blobs *seen) {
    json_t *o = json_object(), *parts = json_array(), *constants = json_array(), *calls = json_array(), *settings = json_array();
    for (int i = 0; i < g->code.nparts; i++)
        json_array_append_new(parts, json_pack("[i,i,I]", g->code.parts[i].first, g->code.parts[i].n, (json_int_t)g->code.parts[i].size));
    for (int i = 0; i < g->code.nconstants; i++)
        json_array_append_new(constants, json_pack("[i,i,I,i,I,i]", g->code.constants[i].program, g->code.constants[i].buffer, (json_int_t)g->code.constants[i].n,
                                                     g->code.constants[i].from, (json_int_t)g->code.constants[i].row,
                                                     g->code.constants[i].from ? -1 : known_blob(seen, &g->code.constants[i])));
    for (int i = 0; i < g->code.ncalls; i++) json_array_append_new(calls, json_pack("[i,i]", g->code.calls[i].program, g->code.calls[i].n));
    for (int i = 0; i < g->code.nsettings; i++) {
        json_t *from = json_array();
        for (int k = 0; k < g->code.settings[i].n; k++) json_array_append_new(from, json_integer(g->code.settings[i].from[k]));
        json_array_append_new(settings, json_pack("[i,o]", g->code.settings[i].program, from));
    }
    json_object_set_new(o, "settings", settings);
    json_object_set_new(o, "sample", json_integer(g->sample));
    json_object_set_new(o, "alone", json_boolean(g->alone));
    json_object_set_new(o, "cpu", json_string(g->cpu));
    json_object_set_new(o, "lanes", json_integer(g->layout.lanes));
    json_object_set_new(o, "sites", json_boolean(g->layout.sites));
    json_object_set_new(o, "split", json_boolean(g->layout.split));
    json_object_set_new(o, "scratch", json_integer(g->scratch));
    json_object_set_new(o, "shared", json_boolean(g->shared));
    json_object_set_new(o, "programs", json_integer(g->code.nprograms));
    json_object_set_new(o, "parts", parts);
    json_object_set_new(o, "constants", constants);
    json_object_set_new(o, "calls", calls);
    return o;
}

static void put_group(Text *t, const PayloadGroup *g, Blobs *seen) {
    for (int i = 0; i < g->code.nparts; i++) put(t, g->code.parts[i].bytes, g->code.parts[i].size);
    for (int i = 0; i < g->code.nconstants; i++)
        if (!g->code.constants[i].from && known_blob(seen, &g->code.constants[i]) < 0) put(t, g->code.constants[i].data, (size_t)g->code.constants[i].n * sizeof(double));
    for (int i = 0; i < g->code.ncalls; i++) put(t, g->code.calls[i].call, (size_t)g->code.calls[i].n * sizeof(LqCall));
}

static bool put_payload(Text *t, const Payload *p) {
    char *program = program_write(p->program);
    if (!program) return false;
    json_t *o = json_object(), *groups = json_array();
    Blobs seen = {0};
    for (int i = 0; i < p->ngroups; i++) json_array_append_new(groups, group_head(&p->groups[i], &seen));
    seen.n = 0;
    json_object_set_new(o, "version", json_string(LQFT_VERSION));
    json_object_set_new(o, "call", json_integer(sizeof(LqCall)));
    json_object_set_new(o, "features", p->native ? features_json() : json_array());
    json_object_set_new(o, "groups", groups);
    json_object_set_new(o, "program", json_loads(program, 0, NULL));
    free(program);
    char *head = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    uint64_t n[2] = {strlen(p->values), strlen(head)};
    text_putn(t, (const char *)n, sizeof n);
    text_putn(t, p->values, n[0]);
    text_putn(t, head, n[1]);
    free(head);
    for (int i = 0; i < p->ngroups; i++) put_group(t, &p->groups[i], &seen);
    vec_free(&seen);
    pad(t);
    return true;
}

static char *read_whole(const char *path, size_t *n, char *err, size_t errlen) {
    FILE *f = fopen(path, "rb");
    char *bytes = NULL;
    if (f && fseek(f, 0, SEEK_END) == 0) {
        long size = ftell(f);
        rewind(f);
        bytes = size >= 0 ? lq_alloc((size_t)size + 1) : NULL;
        if (bytes && fread(bytes, 1, (size_t)size, f) != (size_t)size) free(bytes), bytes = NULL;
        *n = bytes ? (size_t)size : 0;
    }
    if (!bytes) snprintf(err, errlen, "cannot read %.300s: %s", path, strerror(errno));
    if (f) fclose(f);
    return bytes;
}

static int cannot(int status, const char *out, char *err, size_t errlen) {
    return snprintf(err, errlen, "cannot %s %.300s: %s", status == 73 ? "create" : "write", out, strerror(errno)), status;
}

/* All of it to an open file, which is closed. */
static int write_all(int fd, const char *out, const Text *all, char *err, size_t errlen) {
    int status = 0;
    for (size_t done = 0; !status && done < all->n;) {
        ssize_t n = write(fd, all->s + done, all->n - done);
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) errno = ENOSPC;
        if (n <= 0) status = cannot(74, out, err, errlen);
        else done += (size_t)n;
    }
    if (close(fd) != 0 && !status) status = cannot(74, out, err, errlen);
    return status;
}

/* Written beside it and renamed, so that a running copy is not disturbed.  What is there and no file, such
 * as a device, is not replaced but written to. */
static int write_file(const char *out, const Text *all, char *err, size_t errlen) {
    struct stat st;
    if (stat(out, &st) == 0 && !S_ISREG(st.st_mode)) {
        int fd = open(out, O_WRONLY | O_CLOEXEC);
        return fd < 0 ? cannot(73, out, err, errlen) : write_all(fd, out, all, err, errlen);
    }
    char *temporary = lq_alloc(strlen(out) + 32);
    sprintf(temporary, "%s.new%ld", out, (long)getpid());
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0777);
    int status = fd < 0 ? cannot(73, out, err, errlen) : write_all(fd, out, all, err, errlen);
    if (!status && rename(temporary, out) != 0) status = cannot(73, out, err, errlen);
    if (status && fd >= 0) unlink(temporary);
    free(temporary);
    return status;
}

int payload_begin(Text *all, const char *carrier, char *err, size_t errlen) {
    size_t n = 0;
    char *bytes = read_whole(carrier, &n, err, errlen);
    if (!bytes) return 66;
    text_putn(all, bytes, n);
    free(bytes);
    return 0;
}

/* Its place in the file is aligned too. */
int payload_add(Text *all, const Payload *p, char *err, size_t errlen) {
    Text payload = {0};
    Tail tail = {0}, last;
    if (all->n >= sizeof last) memcpy(&last, all->s + all->n - sizeof last, sizeof last);
    if (all->n >= sizeof last && !memcmp(last.mark, mark, sizeof mark)) tail.before = all->n;
    pad(all);
    if (!put_payload(&payload, p)) {
        snprintf(err, errlen, "a name in the program is no UTF-8 text");
        text_free(&payload);
        return 65;
    }
    tail.at = all->n, tail.size = payload.n;
    tail.hash = lq_hash(payload.s, payload.n, tail.before + 1);
    memcpy(tail.mark, mark, sizeof mark);
    text_putn(all, payload.s, payload.n);
    text_putn(all, (const char *)&tail, sizeof tail);
    text_free(&payload);
    return 0;
}

int payload_write(const Text *all, const char *out, char *err, size_t errlen) { return write_file(out, all, err, errlen); }

/* ==== reading ================================================================================== */

/* blobs: constants so far whose numbers are in the file. */
typedef struct Blob { const char *bytes; int64_t n; } Blob;
typedef struct In { const char *bytes; size_t size, at; bool wrong; VEC(Blob) blobs; } In;

/* The next blob; NULL when the payload ends before. */
static const char *take(In *in, size_t n) {
    size_t at = (in->at + ALIGN - 1) / ALIGN * ALIGN;
    if (in->wrong || at > in->size || n > in->size - at) { in->wrong = true; return NULL; }
    in->at = at + n;
    return in->bytes + at;
}

static int64_t integer_of(const json_t *o, const char *key) { return json_integer_value(json_object_get(o, key)); }
static int64_t entry(const json_t *list, int i) { return json_integer_value(json_array_get(list, (size_t)i)); }

/* n numbers: of an earlier constant, or (-1) the next ones. */
static const char *read_blob(In *in, int64_t n, int same) {
    if (same >= 0) return same < in->blobs.n && in->blobs.data[same].n == n ? in->blobs.data[same].bytes : NULL;
    const char *bytes = n <= (int64_t)(in->size / sizeof(double)) ? take(in, (size_t)n * sizeof(double)) : NULL;
    vec_push(&in->blobs, ((Blob){bytes, n}));
    return bytes;
}

/* What is appended was hashed as a whole: sizes are trusted as far as memory is concerned. */
static bool read_group(PayloadGroup *g, const RunProgram *program, const json_t *o, In *in, Arena *arena) {
    json_t *parts = json_object_get(o, "parts"), *constants = json_object_get(o, "constants"), *calls = json_object_get(o, "calls"), *settings = json_object_get(o, "settings");
    const char *cpu = json_string_value(json_object_get(o, "cpu"));
    *g = (PayloadGroup){.sample = (int)integer_of(o, "sample"), .alone = json_is_true(json_object_get(o, "alone")), .scratch = integer_of(o, "scratch"),
                        .shared = json_is_true(json_object_get(o, "shared")), .cpu = cpu ? arena_printf(arena, "%s", cpu) : ""};
    g->layout = (RunLayout){(int)integer_of(o, "lanes"), json_is_true(json_object_get(o, "sites")), json_is_true(json_object_get(o, "split"))};
    CodeGroup *c = &g->code;
    c->nprograms = (int)integer_of(o, "programs");
    c->parts = lq_alloc((json_array_size(parts) + 1) * sizeof *c->parts);
    c->constants = lq_alloc((json_array_size(constants) + 1) * sizeof *c->constants);
    c->calls = lq_alloc((json_array_size(calls) + 1) * sizeof *c->calls);
    for (size_t i = 0; i < json_array_size(parts); i++) {
        const json_t *p = json_array_get(parts, i);
        size_t size = (size_t)entry(p, 2);
        const char *bytes = take(in, size);
        if (!bytes) return false;
        CodePart part = {lq_alloc(size + 1), size, (int)entry(p, 0), (int)entry(p, 1)};
        memcpy(part.bytes, bytes, size);
        c->parts[c->nparts++] = part;
    }
    for (size_t i = 0; i < json_array_size(constants); i++) {
        const json_t *p = json_array_get(constants, i);
        int64_t n = entry(p, 2);
        CodeConstant k = {(int)entry(p, 0), (int)entry(p, 1), n, NULL, (int)entry(p, 3), entry(p, 4)};
        if (n < 0 || k.from < 0 || k.from > program->ndata || k.row < 0 || (k.row && n % k.row)) return false;
        if (k.from && program->data[k.from - 1].n != n) return false;
        const char *bytes = k.from ? NULL : read_blob(in, n, (int)entry(p, 5));
        if (!bytes && !k.from) return false;
        k.data = lq_alloc_vectors((size_t)(n ? n : 1) * sizeof(double));
        if (!k.data) return false;
        if (bytes) memcpy(k.data, bytes, (size_t)n * sizeof(double));
        c->constants[c->nconstants++] = k;
    }
    c->settings = lq_alloc((json_array_size(settings) + 1) * sizeof *c->settings);
    for (size_t i = 0; i < json_array_size(settings); i++) {
        const json_t *p = json_array_get(settings, i), *from = json_array_get(p, 1);
        int n = (int)json_array_size(from);
        CodeSettings k = {(int)entry(p, 0), n, NULL, lq_alloc(((size_t)n + 1) * sizeof *k.from)};
        for (int j = 0; j < n; j++) {
            k.from[j] = (int)entry(from, j);
            if (k.from[j] < 0 || k.from[j] >= program->nrecipes) return free(k.from), false;
        }
        c->settings[c->nsettings++] = k;
    }
    for (size_t i = 0; i < json_array_size(calls); i++) {
        const json_t *p = json_array_get(calls, i);
        int n = (int)entry(p, 1);
        const char *bytes = n >= 0 && n < 1 << 20 ? take(in, (size_t)n * sizeof(LqCall)) : NULL;
        if (!bytes) return false;
        CodeCalls k = {(int)entry(p, 0), n, lq_alloc(((size_t)n + 1) * sizeof *k.call)};
        memcpy(k.call, bytes, (size_t)n * sizeof(LqCall));
        for (int j = 0; j < n; j++) k.call[j].plan = NULL;
        c->calls[c->ncalls++] = k;
    }
    return true;
}

Payload *payload_read(const Payloads *all, int variant, Arena *arena, char *err, size_t errlen) {
    const Variant *v = &all->variants[variant];
    size_t head = 2 * sizeof(uint64_t) + strlen(v->values);
    In in = {.bytes = v->bytes, .size = v->size, .at = head + v->head};
    json_t *o = json_loadb(v->bytes + head, v->head, 0, NULL), *groups = json_object_get(o, "groups"), *features = json_object_get(o, "features");
    const char *version = json_string_value(json_object_get(o, "version"));
    Payload *p = NULL;
    if (!version || strcmp(version, LQFT_VERSION) || integer_of(o, "call") != sizeof(LqCall)) snprintf(err, errlen, "it was built by another version of lqft");
    else if (!has_features(features)) snprintf(err, errlen, "it was built for a processor that can do more than this one; build it with --portable");
    else {
        char *text = json_dumps(json_object_get(o, "program"), JSON_COMPACT);
        p = arena_alloc(arena, sizeof *p);
        p->values = v->values;
        p->native = json_array_size(features) > 0;
        p->program = text ? program_read(text, strlen(text), arena) : NULL;
        p->groups = arena_alloc(arena, (json_array_size(groups) + 1) * sizeof *p->groups);
        free(text);
        bool ok = p->program != NULL;
        for (size_t i = 0; ok && i < json_array_size(groups); i++) ok = read_group(&p->groups[p->ngroups++], p->program, json_array_get(groups, i), &in, arena);
        if (!ok) p = NULL, snprintf(err, errlen, "its contents are damaged");
    }
    vec_free(&in.blobs);
    json_decref(o);
    return p;
}

/* The variant whose tail ends here; *end: where the tail before it ends, 0: there is none.  False and a message: something is wrong. */
static bool read_variant(const Payloads *all, uint64_t *end, Variant *v, Arena *arena, char *err, size_t errlen) {
    Tail tail;
    uint64_t n[2];
    if (*end < sizeof tail) return snprintf(err, errlen, "it is not complete"), false;
    memcpy(&tail, all->map + *end - sizeof tail, sizeof tail);
    if (memcmp(tail.mark, mark, sizeof mark)) return snprintf(err, errlen, *end == all->size ? "no program was built into it: `lqft build` does that" : "it is not complete"), false;
    if (tail.at > *end - sizeof tail || tail.size != *end - sizeof tail - tail.at || tail.before > tail.at) return snprintf(err, errlen, "it is not complete"), false;
    *v = (Variant){.bytes = all->map + tail.at, .size = tail.size};
    bool whole = lq_hash(v->bytes, v->size, tail.before + 1) == tail.hash && v->size >= sizeof n;
    if (!whole) return snprintf(err, errlen, "its contents are damaged: the checksum is another"), false;
    memcpy(n, v->bytes, sizeof n);
    if (n[0] > v->size - sizeof n || n[1] > v->size - sizeof n - n[0]) return snprintf(err, errlen, "its contents are damaged"), false;
    v->values = arena_strndup(arena, v->bytes + sizeof n, n[0]);
    v->head = n[1];
    *end = tail.before;
    return strlen(v->values) == n[0] || (snprintf(err, errlen, "its contents are damaged"), false);
}

enum { MOST_READ = 4096 };

Payloads *payloads_open(const char *path, Arena *arena, char *err, size_t errlen) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    Payloads *all = arena_alloc(arena, sizeof *all);
    if (fd < 0 || fstat(fd, &st) != 0) return snprintf(err, errlen, "cannot read it: %s", strerror(errno)), fd < 0 || close(fd), NULL;
    all->size = (size_t)st.st_size;
    all->map = all->size ? mmap(NULL, all->size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    close(fd);
    if (all->map == MAP_FAILED) return snprintf(err, errlen, "cannot read it: %s", all->size ? strerror(errno) : "it is empty"), NULL;
    VEC(Variant) found = {0};
    Variant v;
    bool ok = true;
    for (uint64_t end = all->size; ok && (end || !found.n) && found.n < MOST_READ;) {
        ok = read_variant(all, &end, &v, arena, err, errlen);
        if (ok) vec_push(&found, v);
    }
    all->variants = arena_alloc(arena, (size_t)(found.n + 1) * sizeof *all->variants);
    for (int i = 0; i < found.n; i++) all->variants[i] = found.data[found.n - 1 - i];      /* as they were added */
    all->n = found.n;
    vec_free(&found);
    if (ok) return all;
    payloads_close(all);
    return NULL;
}

void payloads_close(Payloads *all) { munmap(all->map, all->size); }
