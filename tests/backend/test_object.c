/* test_object.c — the loader of object code (compiler/backend/object.c): what it loads, and that
 * no change of bytes makes it read or write where it must not (run it under a sanitizer). */
#include "kbuild.h"
#include "../../runtime/code/object.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int failures;
static void check(bool good, const char *what) {
    printf("%s %s\n", good ? "ok  " : "FAIL", what);
    failures += !good;
}

static void nothing(void) {}

static void *any_symbol(void *ctx, const char *name) {
    void (*f)(void) = nothing;
    void *address;
    memcpy(&address, &f, sizeof address);
    (void)name;
    return ctx ? NULL : address;
}

/* out[i] = exp(in[i]), with a row of constants: text, data, a call. */
static char *make_object(size_t *size) {
    static const double table[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    const int64_t dims[1] = {16};
    Ir *ir = ir_new();
    Arena *arena = arena_new();
    KBuild b;
    kbuild_begin(&b, ir, arena, "loaded");
    int in = kbuild_buf(&b, KB_IN, 1, dims, false, false, NULL), c = kbuild_buf(&b, KB_CONST, 1, dims, true, false, table);
    int out = kbuild_buf(&b, KB_OUT, 1, dims, false, false, NULL);
    Index ix = {aff_sym(ir, 0), IX_EXACT, 16};
    Ref v = ir_binary(ir, SC_MUL, ir_unary(ir, SC_TAN, ir_read(ir, b.array[in], &ix)), ir_read(ir, b.array[c], &ix));
    KRoot root = {v, 0, SC_NONE, out, 0};
    vec_push(&b.stmts, kbuild_kernel(&b, 1, dims, 1, &root));
    KProgram *p = kbuild_end(&b);
    char path[] = P_tmpdir "/lqft-object-XXXXXX", err[300] = "", *bytes = NULL;
    int fd = mkstemp(path);
    BackendOptions o = {.lanes = 4, .optimize = 1};
    if (fd >= 0 && backend_native.emit_object(&p, 1, &o, path, err, sizeof err)) {
        off_t end = lseek(fd, 0, SEEK_END);
        bytes = malloc((size_t)end + 1);
        if (pread(fd, bytes, (size_t)end, 0) != end) abort();
        *size = (size_t)end;
    } else printf("     %s\n", err);
    if (fd >= 0) close(fd), unlink(path);
    vec_free(&b.stmts);
    arena_free(arena);
    ir_free(ir);
    return bytes;
}

static uint64_t dice_state = 88172645463325252u;
static uint64_t dice(void) {
    dice_state ^= dice_state << 13, dice_state ^= dice_state >> 7;
    return dice_state ^= dice_state << 17;
}

/* Loaded or refused with a message; the code is not run. */
static bool survives(const char *bytes, size_t size) {
    char err[300] = "";
    Object *o = object_load(bytes, size, any_symbol, NULL, err, sizeof err);
    bool good = o || err[0];
    if (o) (void)object_find(o, "lqft_loaded");
    object_free(o);
    return good;
}

int main(void) {
    size_t size = 0;
    char *bytes = make_object(&size), err[300] = "";
    if (!bytes) return 1;
    Object *o = object_load(bytes, size, any_symbol, NULL, err, sizeof err);
    check(o && object_find(o, "lqft_loaded") && !object_find(o, "lqft_other"), "an object is loaded, and its function found");
    object_free(o);
    o = object_load(bytes, size, any_symbol, &size, err, sizeof err);
    check(!o && strstr(err, "unknown"), "a call of something unknown is refused");
    object_free(o);
    bool good = true;
    for (size_t n = 0; n < size && good; n += 1 + n / 50) good = survives(bytes, n);
    check(good, "cut short anywhere");
    char *copy = malloc(size + 1);
    for (int k = 0; k < 20000 && good; k++) {
        memcpy(copy, bytes, size);
        for (uint64_t j = 0, n = 1 + dice() % 4; j < n; j++) copy[dice() % size] = (char)dice();
        good = survives(copy, size);
    }
    check(good, "20000 objects with changed bytes are loaded or refused");
    free(copy);
    free(bytes);
    printf("%d failures\n", failures);
    return failures != 0;
}
