/* mutate.c — the readers of runtime/io on files that are damaged in many ways: thousands of
 * variants of the fixtures, always the same ones.  The same check runs under a coverage
 * guided fuzzer (tests/fuzz/io_fuzz.c).
 *
 *   mutate DATA [ROUNDS]     the folder of the fixtures; rounds for each of them */
#include "../../runtime/io/file.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t state;

static uint64_t any(uint64_t below) /* splitmix64 (Steele, Lea, Flood 2014) */
{
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return (z ^ z >> 31) % below;
}

/* One change; the length may become smaller, or larger by what is repeated. */
static size_t change(uint8_t *p, size_t n, size_t room)
{
    static const uint64_t edges[] = {0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0xffffffff, 0x7fffffffffffffff, UINT64_MAX};
    size_t at = any(n), left = n - at, len = 1 + any(left < 64 ? left : 64);
    switch (any(7)) {
    case 0: p[at] ^= (uint8_t)(1u << any(8)); return n;
    case 1: p[at] = (uint8_t)any(256); return n;
    case 2: { /* a size or an offset at its limits */
        uint64_t v = edges[any(11)];
        size_t width = (size_t)1 << any(4);
        memcpy(p + at, &v, width < left ? width : left);
        return n;
    }
    case 3: return at ? at : 1;                                          /* cut off */
    case 4: memmove(p + at, p + at + len, left - len); return n - len ? n - len : 1; /* a piece is missing */
    case 5: /* a piece twice */
        if (n + len > room) return n;
        memmove(p + at + len, p + at, left);
        return n + len;
    default: { /* a number in text */
        for (size_t i = at; i < n && i < at + 64; i++)
            if (p[i] >= '0' && p[i] <= '9') return p[i] = (uint8_t)('0' + any(10)), n;
        return n;
    }
    }
}

static int mutate(const char *path, int rounds)
{
    char *file, err[200];
    int64_t size;
    if (file_read(path, &file, &size, err, sizeof err)) return printf("FAIL %s\n", err), 1;
    if (!size) return printf("FAIL %s is empty\n", path), free(file), 1;
    size_t room = (size_t)size + 4096;
    uint8_t *copy = malloc(room);
    for (int i = 0; i < rounds; i++) {
        size_t n = (size_t)size;
        memcpy(copy, file, n);
        for (uint64_t k = 1 + any(4); k > 0; k--) n = change(copy, n, room);
        uint8_t *exact = malloc(n); /* reading beyond it is noticed by a sanitizer */
        memcpy(exact, copy, n);
        LLVMFuzzerTestOneInput(exact, n);
        free(exact);
    }
    printf("ok   %s: %d damaged variants are read or refused\n", path, rounds);
    free(copy), free(file);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct { const char *name; int rounds; } files[] = {
        {"numpy.npy", 20000}, {"numpy.npz", 10000}, {"packed.npz", 10000}, {"bomb.npz", 5000}, {"weights.safetensors", 20000},
        {"table.csv", 20000}, {"h5py.h5", 60}, {"latest.h5", 60}};
    int bad = 0, factor = argc > 2 ? atoi(argv[2]) : 1;
    if (argc < 2) return 2;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[600];
        snprintf(path, sizeof path, "%s/%s", argv[1], files[i].name);
        state = i;
        bad |= mutate(path, files[i].rounds * factor);
    }
    return bad;
}
