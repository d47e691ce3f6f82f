/* test_io.c — NPY and CSV: what is written comes back, files of others are read,
 * damaged and hostile ones are refused; arenas, text and interned names. */
#include "../../runtime/base.h"
#include "../../runtime/io/arrays.h"
#include "../../runtime/io/csv.h"

#include "check.h"

#include <float.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = P_tmpdir "/lqft-test-XXXXXX", path[64], err[300];

static void put(const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(bytes, 1, n, f) != n || fclose(f)) exit(2);
}

/* an NPY file with this dictionary and this many zero bytes after it */
static void put_npy(const char *header, const void *data, size_t n)
{
    char file[2048] = "\x93NUMPY\x01";
    size_t h = strlen(header);
    file[8] = (char)(h & 255), file[9] = (char)(h >> 8);
    memcpy(file + 10, header, h);
    if (n) memcpy(file + 10 + h, data, n);
    put(file, 10 + h + n);
}

typedef struct Npy {
    double *data;
    int64_t count;
    int rank;
    int64_t shape[ARRAY_MAX_RANK];
} Npy;

static int npy_write(const char *to, const double *data, int rank, const int64_t *shape, char *e, size_t n)
{
    char *other = malloc(strlen(to) + 5); /* what is written is told by the suffix */
    Array a = {.rank = rank, .data = data};
    if (rank) memcpy(a.shape, shape, (size_t)rank * sizeof *shape);
    strcpy(other, to);
    if (strcmp(to + strlen(to) - 4, ".npy")) strcat(other, ".npy");
    int status = arrays_write(NULL, other, 1, &a, e, n);
    if (!status && strcmp(other, to)) status = rename(other, to);
    free(other);
    return status;
}

static int npy_read(const char *from, Npy *out, char *e, size_t n)
{
    ArrayFile *f = arrays_open(from, e, n);
    if (!f) return -1;
    const ArrayInfo *a = arrays_info(f, 0);
    *out = (Npy){malloc(a->count ? (size_t)a->count * sizeof(double) : 1), a->count, a->rank, {0}};
    memcpy(out->shape, a->shape, sizeof a->shape);
    int status = strcmp(arrays_format(f), "npy") ? -1 : arrays_load(f, 0, out->data, e, n);
    if (status) free(out->data);
    arrays_close(f);
    return status;
}

static void npy_round_trip(void)
{
    double x[24] = {0.1, -0.0, DBL_MAX, 0x1p-1074, INFINITY, -1.5};
    Npy a;
    static const int64_t shapes[][3] = {{24}, {4, 6}, {2, 3, 4}, {0, 5}};
    static const int ranks[] = {1, 2, 3, 2};
    for (int i = 0; i < 4; i++) {
        bool wrote = !npy_write(path, x, ranks[i], shapes[i], err, sizeof err);
        bool read = wrote && !npy_read(path, &a, err, sizeof err);
        check(read && a.rank == ranks[i] && !memcmp(a.shape, shapes[i], (size_t)ranks[i] * 8) &&
                  a.count == (i == 3 ? 0 : 24) && !memcmp(a.data, x, (size_t)a.count * 8),
              "npy: shape %d comes back bit for bit", i);
        if (read) free(a.data);
    }
    check(!npy_write(path, x, 0, NULL, err, sizeof err) && !npy_read(path, &a, err, sizeof err) &&
              a.rank == 0 && a.count == 1 && a.data[0] == 0.1, "npy: one number");
    free(a.data);
    struct stat st;
    check(!stat(path, &st) && st.st_size == 128 + 8, "npy: data start at a multiple of 64 (%d)",
          (int)st.st_size);
}

static void npy_of_others(void)
{
    Npy a;
    int32_t i4[6] = {1, 2, 3, 4, 5, -6};
    put_npy("{'descr': '<i4', 'fortran_order': True, 'shape': (2, 3), }\n", i4, sizeof i4);
    static const double c_order[6] = {1, 3, 5, 2, 4, -6};
    bool ok = !npy_read(path, &a, err, sizeof err);
    check(ok && !memcmp(a.data, c_order, sizeof c_order), "npy: i4 in Fortran order");
    free(a.data);
    float f4[2] = {0.5f, -3.25f};
    put_npy("{\"shape\":(2,),\"descr\":\"<f4\",\"fortran_order\":False}", f4, sizeof f4);
    ok = !npy_read(path, &a, err, sizeof err);
    check(ok && a.data[0] == 0.5 && a.data[1] == -3.25, "npy: f4, keys in another order");
    free(a.data);
    unsigned char big[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe};
    put_npy("{'descr': '>i8', 'fortran_order': False, 'shape': (1,), }", big, sizeof big);
    ok = !npy_read(path, &a, err, sizeof err);
    check(ok && a.data[0] == -2, "npy: big-endian i8");
    free(a.data);
}

static void npy_refused(void)
{
    static const char *const headers[] = {
        "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904, 4), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2305843009213693954,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-2,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2 }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2,",
        "{'descr': '|O', 'fortran_order': False, 'shape': (2,), }",
        "{'descr': '<c16', 'fortran_order': False, 'shape': (2,), }",
        "{'descr': '|f8', 'fortran_order': False, 'shape': (2,), }",
        "{'descr': '<f16', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<f8', 'shape': (2,), }",
        "{'descr': '<f8', 'descr': '<f8', 'fortran_order': False, 'shape': (2,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), } rm",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,"
        "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,2), }",
        "",
    };
    Npy a;
    double x[2] = {1, 2};
    int accepted = 0;
    for (int i = 0; i < LQ_COUNT(headers); i++) {
        put_npy(headers[i], x, sizeof x);
        if (!npy_read(path, &a, err, sizeof err)) {
            accepted++;
            printf("     accepted: %s\n", headers[i]);
            free(a.data);
        }
    }
    check(!accepted, "npy: %d damaged headers refused", LQ_COUNT(headers));

    const char good[] = "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }";
    put_npy(good, x, sizeof x);
    check(!npy_read(path, &a, err, sizeof err), "npy: and the sound one read");
    free(a.data);
    size_t whole = 10 + sizeof good - 1 + sizeof x;
    accepted = 0;
    for (size_t n = 0; n < whole; n++) {
        put_npy(good, x, sizeof x);
        if (truncate(path, (off_t)n)) exit(2);
        if (!npy_read(path, &a, err, sizeof err)) accepted++, free(a.data);
    }
    check(!accepted, "npy: every truncation refused");
    check(npy_read(dir, &a, err, sizeof err) && npy_read("/nonexistent", &a, err, sizeof err) &&
              strstr(err, "/nonexistent"), "npy: a folder, no file: %s", err);
}

static void failed_writes(void)
{
    double x = 3;
    int64_t n = 1, negative = -1;
    Npy a;
    if (npy_write(path, &x, 1, &n, err, sizeof err)) exit(2);
    check(npy_write(path, &x, 1, &negative, err, sizeof err), "npy: a negative shape is refused");
    check(npy_write("/nonexistent/x.npy", &x, 1, &n, err, sizeof err) && *err, "npy: %s", err);
    /* a write that fails in the middle: no file may grow beyond 64 KiB */
    static double big[100000];
    int64_t many = 100000;
    const double *column = big;
    struct rlimit old, small;
    signal(SIGXFSZ, SIG_IGN);
    if (getrlimit(RLIMIT_FSIZE, &old)) exit(2);
    small = (struct rlimit){65536, old.rlim_max};
    if (setrlimit(RLIMIT_FSIZE, &small)) exit(2);
    check(npy_write(path, big, 1, &many, err, sizeof err), "npy: %s", err);
    check(csv_write(path, 1, NULL, many, &column, err, sizeof err), "csv: %s", err);
    if (setrlimit(RLIMIT_FSIZE, &old)) exit(2);
    check(!npy_read(path, &a, err, sizeof err) && a.data[0] == 3, "npy: the old file stands");
    free(a.data);
}

static void csv_round_trip(void)
{
    double x[3] = {0.1, NAN, -0x1p-1074}, y[3] = {1e308, INFINITY, 1.0 / 3};
    const double *columns[] = {x, y};
    static const char *const names[] = {"t", "a, \"quoted\" name"};
    CsvTable t;
    bool ok = !csv_write(path, 2, names, 3, columns, err, sizeof err) &&
              !csv_read(path, &t, err, sizeof err);
    check(ok && t.ncols == 2 && t.nrows == 3 && t.names && !strcmp(t.names[0], names[0]) &&
              !strcmp(t.names[1], names[1]), "csv: names come back");
    bool same = ok;
    for (int i = 0; i < 3 && ok; i++)
        same = same && (t.columns[0][i] == x[i] || isnan(x[i])) && isnan(t.columns[0][i]) == isnan(x[i]) &&
               t.columns[1][i] == y[i];
    check(same, "csv: numbers come back exactly");
    if (ok) csv_free(&t);
}

static void csv_forms(void)
{
    static const char *const forms[] = {
        "1,2\n3,4\n",
        "\xef\xbb\xbfx,y\r\n1,2\r\n3,4",
        "# made by hand\n\n x ; y \n1;2\n3 ; 4 # end\n",
        "1 2\n 3\t 4  \n",
        "\"x\" \"y\"\n1 2\n3 4\n",
        "1 2\n\"\"\n3 4\n",
    };
    for (int i = 0; i < LQ_COUNT(forms); i++) {
        CsvTable t;
        put(forms[i], strlen(forms[i]));
        bool ok = !csv_read(path, &t, err, sizeof err);
        check(ok && t.ncols == 2 && t.nrows == 2 && t.columns[0][0] == 1 && t.columns[1][0] == 2 &&
                  t.columns[0][1] == 3 && t.columns[1][1] == 4 &&
                  (t.names != NULL) == (i == 1 || i == 2 || i == 4) &&
                  (!t.names || !strcmp(t.names[1], "y")), "csv: form %d (%s)", i, ok ? "read" : err);
        if (ok) csv_free(&t);
    }
    static const char *const bad[] = {"", "# nothing\n", "1,2\n3\n", "x,y\n1,2\n1,two\n", "1,2\n3,4,5\n",
                                      "1,2\n\"3,4\n", "1 2\n3x 4\n"};
    int accepted = 0;
    CsvTable t;
    for (int i = 0; i < LQ_COUNT(bad); i++) {
        put(bad[i], strlen(bad[i]));
        if (!csv_read(path, &t, err, sizeof err)) accepted++, csv_free(&t), printf("     %d\n", i);
    }
    put("1,2\0,3\n", 8);
    if (!csv_read(path, &t, err, sizeof err)) accepted++, csv_free(&t);
    check(!accepted, "csv: bad files refused (%d accepted)", accepted);
    put("a\n1\n\nx\n", 7);
    check(csv_read(path, &t, err, sizeof err) && strstr(err, "line 4"), "csv: says where: %s", err);
}

static void shared_code(void)
{
    Arena *a = arena_new();
    bool zero = true, aligned = true;
    for (size_t i = 0; i < 3000; i++) {
        size_t n = i % 97 ? i % 300 : 70000;
        unsigned char *p = arena_alloc(a, n);
        aligned = aligned && (uintptr_t)p % 16 == 0;
        for (size_t k = 0; k < n; k++) zero = zero && p[k] == 0;
        memset(p, 0xff, n); /* pieces must not overlap */
    }
    check(zero && aligned, "arena: zeroed, aligned, apart");
    check(!strcmp(arena_printf(a, "%s-%d", "x", 7), "x-7"), "arena: printf");
    arena_free(a);
    bool same = true, kept = true;
    const char *first = intern("n0");
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 5000; i++) {
            char name[16];
            int n = snprintf(name, sizeof name, "n%d", i);
            const char *p = intern(name);
            same = same && p == intern_n(name, (size_t)n) && !strcmp(p, name);
            kept = kept && (i || p == first);
        }
    check(same && kept && intern("a") != intern("b") && intern_n("ab", 1) == intern("a"),
          "interned names are one each");
    Text t = {0};
    for (int i = 0; i < 1000; i++) text_printf(&t, "%d,", i % 10);
    check(t.n == 2000 && strlen(t.s) == 2000, "text grows");
    text_free(&t);
    int64_t p;
    check(lq_mul_ok(1 << 20, 1 << 20, &p) && p == 1LL << 40 && !lq_mul_ok(INT64_MAX, 2, &p),
          "product with overflow check");
    double *v = lq_alloc_vectors(1000);
    check(v && (uintptr_t)v % 64 == 0 && !lq_alloc_vectors(SIZE_MAX), "vectors are aligned");
    free(v);
}

int main(void)
{
    if (!mkdtemp(dir)) return 2;
    snprintf(path, sizeof path, "%s/file", dir);
    npy_round_trip();
    npy_of_others();
    npy_refused();
    failed_writes();
    csv_round_trip();
    csv_forms();
    shared_code();
    unlink(path);
    check(!rmdir(dir), "no temporary files left");
    return check_result();
}
