/* test_formats.c — arrays in files, in every format: what is written comes back; files
 * that NumPy, h5py and safetensors wrote (fixtures.py) are read; damaged and hostile ones
 * are refused, with what and where; and no name leads out of a folder.
 *
 *   test_formats DATA     the folder of the fixtures */
#include "../../runtime/base.h"
#include "../../runtime/io/arrays.h"
#include "../../runtime/io/file.h"
#include "../../runtime/io/isolate.h"

#include "../numerics/check.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char dir[] = P_tmpdir "/lqft-test-XXXXXX", err[400];
static const char *fixtures;

static const char *in(const char *folder, const char *name)
{
    static char path[4][512];
    static int next;
    char *p = path[next = (next + 1) % 4];
    snprintf(p, sizeof *path, "%s/%s", folder, name);
    return p;
}

/* One array of a file that is open; NULL when it cannot be loaded.  free() it. */
static double *loaded(ArrayFile *f, const char *name, ArrayInfo *info)
{
    int i = f ? arrays_find(f, name) : -1;
    if (i < 0) return NULL;
    *info = *arrays_info(f, i);
    if (info->problem) {
        snprintf(err, sizeof err, "%s", info->problem);
        return NULL;
    }
    double *x = calloc((size_t)info->count * 2 + 1, sizeof *x);
    if (!x || !arrays_load(f, i, x, err, sizeof err)) return x;
    free(x);
    return NULL;
}

/* Is the array of this name what it should be? */
static void expect(ArrayFile *f, const char *name, ArrayType type, int rank, const int64_t *shape, const double *want)
{
    ArrayInfo a = {0};
    *err = '\0';
    double *x = loaded(f, name, &a);
    bool same = x && a.type == type && a.rank == rank && (!rank || !memcmp(a.shape, shape, (size_t)rank * sizeof *shape));
    int64_t n = same ? a.count * (array_is_complex(type) ? 2 : 1) : 0;
    for (int64_t k = 0; k < n; k++) same = same && (x[k] == want[k]);
    check(same, "%s: %s%s%s", f ? arrays_format(f) : "none", name, x ? "" : ": ", x ? "" : err);
    free(x);
}

static double sevenths[24], ramp[5];

/* The arrays of fixtures.py, as far as the format has them. */
static void expect_fixtures(const char *file, bool all)
{
    ArrayFile *f = arrays_open(in(fixtures, file), err, sizeof err);
    static const int64_t cube[] = {2, 3, 4}, four[] = {4}, three[] = {3}, five[] = {5}, none[] = {0, 3};
    static const double whole[] = {-0x1p53, -1, 0, 0x1p53}, bytes[] = {0, 255, 7}, bits[] = {1, 0, 1}, one[] = {2.5};
    static const double half[] = {1, -0.5, 0x1p-24, INFINITY}, z[] = {0, 3, 1, 2, 2, 1, 3, 0};
    if (!check(f != NULL, "%s opens: %s", file, f ? arrays_format(f) : err)) return;
    expect(f, "a", ARRAY_F64, 3, cube, sevenths);
    expect(f, "/i", ARRAY_I64, 1, four, whole);
    expect(f, "u", ARRAY_U8, 1, three, bytes);
    expect(f, "half", ARRAY_F16, 1, four, half);
    expect(f, "single", ARRAY_F32, 1, five, ramp);
    expect(f, "flag", ARRAY_BOOL, 1, three, bits);
    expect(f, "one", ARRAY_F64, 0, NULL, one);
    expect(f, "empty", ARRAY_F64, 2, none, NULL);
    if (all) expect(f, "f", ARRAY_F64, 3, cube, sevenths);
    if (all) expect(f, "z", ARRAY_C128, 1, four, z);
    if (all) expect(f, "big", ARRAY_F64, 3, cube, sevenths);
    ArrayInfo a;
    double *x = loaded(f, "too_large", &a);
    check(!x && strstr(err, "element 1") && strstr(err, "no double equals"), "%s: an integer beyond 2^53: %s", file, err);
    check(arrays_find(f, "nothing") < 0, "%s: what is not there is not found", file);
    free(x);
    arrays_close(f);
}

static void of_others(void)
{
    for (int i = 0; i < 24; i++) sevenths[i] = i / 7.0;
    for (int i = 0; i < 5; i++) ramp[i] = i / 4.0;
    expect_fixtures("numpy.npz", true);
    expect_fixtures("packed.npz", true);
    expect_fixtures("weights.safetensors", false);
    expect_fixtures("h5py.h5", true);
    expect_fixtures("latest.h5", true);
    static const int64_t cube[] = {2, 3, 4}, three[] = {3};
    static const double seven[] = {7, 7, 7};
    ArrayFile *f = arrays_open(in(fixtures, "numpy.npy"), err, sizeof err);
    expect(f, "", ARRAY_F64, 3, cube, sevenths);
    arrays_close(f);
    f = arrays_open(in(fixtures, "h5py.h5"), err, sizeof err);
    expect(f, "group/inner/a", ARRAY_F64, 3, cube, sevenths);
    arrays_close(f);
    f = arrays_open(in(fixtures, "latest.h5"), err, sizeof err);
    expect(f, "/many/7", ARRAY_F64, 1, three, seven);
    arrays_close(f);
}

/* ---- what is written comes back ------------------------------------------------------------ */

static void round_trip(const char *name, bool complex, bool integers)
{
    double x[24], y[6], n[3] = {-0x1p53, 0, 12345}, z[4] = {1, -2, 0.1, 1e300};
    for (int i = 0; i < 24; i++) x[i] = i * 0.1 - 1;
    for (int i = 0; i < 6; i++) y[i] = (float)(i * 0.3);
    x[0] = 0x1p-1074, x[1] = -INFINITY, x[2] = 1.7976931348623157e308;
    Array a[] = {{"x", ARRAY_F64, 3, {2, 3, 4}, x}, {"net/first.y", ARRAY_F32, 2, {6, 1}, y},
                 {"empty", ARRAY_F64, 2, {0, 5}, x}, {"µ", ARRAY_F64, 0, {0}, x + 7},
                 {"n", ARRAY_I64, 1, {3}, n}, {"z", ARRAY_C128, 1, {2}, z}};
    int count = 4 + integers + (integers && complex);
    bool ok = !arrays_write(dir, name, count, a, err, sizeof err);
    ArrayFile *f = ok ? arrays_open_below(dir, name, err, sizeof err) : NULL;
    if (!check(f && arrays_count(f) == count, "%s is written and read%s%s", name, f ? "" : ": ", f ? "" : err)) return;
    for (int i = 0; i < count; i++) expect(f, a[i].name, a[i].type, a[i].rank, a[i].shape, a[i].data);
    arrays_close(f);
    struct stat before, after;
    char copy[64];
    snprintf(copy, sizeof copy, "2%s", name);
    ok = !arrays_write(dir, copy, count, a, err, sizeof err) && !stat(in(dir, name), &before) && !stat(in(dir, copy), &after);
    char *one = NULL, *two = NULL;
    int64_t n1 = 0, n2 = 0;
    ok = ok && !file_read(in(dir, name), &one, &n1, err, sizeof err) && !file_read(in(dir, copy), &two, &n2, err, sizeof err);
    check(ok && n1 == n2 && !memcmp(one, two, (size_t)n1), "%s: the same arrays give the same bytes", name);
    free(one), free(two);
    unlink(in(dir, name)), unlink(in(dir, copy));
}

static void refuses_to_write(void)
{
    double x[3] = {1, 2.5, NAN};
    Array a[2] = {{"x", ARRAY_F64, 1, {3}, x}, {"x", ARRAY_F64, 1, {3}, x}};
    check(arrays_write(dir, "x.npz", 2, a, err, sizeof err) && strstr(err, "the same name"), "write: %s", err);
    check(arrays_write(dir, "x.npy", 2, a, err, sizeof err), "write: %s", err);
    check(arrays_write(dir, "x.txt", 1, a, err, sizeof err), "write: %s", err);
    a[0].type = ARRAY_I64;
    check(arrays_write(dir, "x.npz", 1, a, err, sizeof err) && strstr(err, "integers"), "write: %s", err);
    a[0].type = ARRAY_C128, a[0].shape[0] = 1;
    check(arrays_write(dir, "x.safetensors", 1, a, err, sizeof err), "write: %s", err);
    check(arrays_write(dir, "x.csv", 1, a, err, sizeof err), "write: %s", err);
    check(access(in(dir, "x.safetensors"), F_OK) && access(in(dir, "x.csv"), F_OK), "and leaves nothing behind");
}

/* A write that fails in the middle: no file may grow beyond 64 KiB. */
static void failed_writes(void)
{
    static const char *const names[] = {"f.npy", "f.npz", "f.csv", "f.h5", "f.safetensors"};
    static double big[100000];
    double small = 3;
    struct rlimit old, low;
    signal(SIGXFSZ, SIG_IGN);
    if (getrlimit(RLIMIT_FSIZE, &old)) exit(2);
    low = (struct rlimit){65536, old.rlim_max};
    for (int i = 0; i < LQ_COUNT(names); i++) {
        Array one = {"x", ARRAY_F64, 1, {1}, &small}, many = {"x", ARRAY_F64, 1, {100000}, big};
        bool ok = !arrays_write(dir, names[i], 1, &one, err, sizeof err) && !setrlimit(RLIMIT_FSIZE, &low);
        check(ok && arrays_write(dir, names[i], 1, &many, err, sizeof err), "a write that fails: %s", err);
        if (setrlimit(RLIMIT_FSIZE, &old)) exit(2);
        ArrayFile *f = arrays_open_below(dir, names[i], err, sizeof err);
        double x = 0;
        check(f && arrays_info(f, 0)->count == 1 && !arrays_load(f, 0, &x, err, sizeof err) && x == 3, "%s: the old file stands", names[i]);
        arrays_close(f);
        unlink(in(dir, names[i]));
    }
}

/* ---- damaged and hostile files -------------------------------------------------------------------- */

static void is_refused(const void *bytes, size_t n, const char *what, const char *why)
{
    ArrayFile *f = arrays_open_bytes(bytes, (int64_t)n, "hostile", err, sizeof err);
    bool refused = !f;
    for (int i = 0; f && i < arrays_count(f); i++) {
        const ArrayInfo *a = arrays_info(f, i);
        if (a->problem) refused = true, snprintf(err, sizeof err, "%s", a->problem);
        double *x = refused || a->count > 1000000 ? NULL : calloc((size_t)a->count * 2 + 1, sizeof *x);
        if (x && arrays_load(f, i, x, err, sizeof err)) refused = true;
        free(x);
    }
    check(refused && strstr(err, why), "%s: %s", what, refused ? err : "accepted");
    arrays_close(f);
}

static void with_header(const char *json, size_t data, const char *what, const char *why)
{
    size_t n = strlen(json);
    unsigned char *bytes = calloc(8 + n + data, 1);
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(n >> 8 * i);
    memcpy(bytes + 8, json, n);
    is_refused(bytes, 8 + n + data, what, why);
    free(bytes);
}

static void hostile_weights(void)
{
    static const struct { const char *json, *what, *why; } bad[] = {
        {"{\"x\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[0,8]}}", "safetensors: a short array", "does not agree"},
        {"{\"x\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,8]}}", "safetensors: bytes nobody owns", "gaps"},
        {"{\"x\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[0,16]},\"y\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[8,16]}}",
         "safetensors: arrays one over the other", "overlap"},
        {"{\"x\":{\"dtype\":\"F64\",\"shape\":[3],\"data_offsets\":[0,24]}}", "safetensors: beyond the file", "outside"},
        {"{\"x\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[16,0]}}", "safetensors: backwards", "outside"},
        {"{\"x\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[-16,0]}}", "safetensors: before the file", "outside"},
        {"{\"x\":{\"dtype\":\"F64\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,16]}}", "safetensors: an overflow", "not possible"},
        {"{\"x\":{\"dtype\":\"F64\",\"shape\":[-2,-1],\"data_offsets\":[0,16]}}", "safetensors: a negative extent", "not possible"},
        {"{\"x\":{\"dtype\":\"F64\",\"shape\":[1.5],\"data_offsets\":[0,16]}}", "safetensors: half an extent", "not possible"},
        {"{\"x\":{\"dtype\":\"F9\",\"shape\":[2],\"data_offsets\":[0,16]}}", "safetensors: an unknown type", "type that is not read"},
        {"{\"x\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,8]},\"x\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[8,16]}}",
         "safetensors: a name twice", "duplicate"},
        {"{\"x\":[]}", "safetensors: no object", "exactly"},
        {"{\"x\":", "safetensors: half a header", "near byte"},
    };
    for (int i = 0; i < LQ_COUNT(bad); i++) with_header(bad[i].json, 16, bad[i].what, bad[i].why);
    char *deep = malloc(2000001);
    memset(deep, '[', 2000000);
    memcpy(deep, "{\"x\":", 5);
    deep[2000000] = '\0';
    with_header(deep, 0, "safetensors: a million brackets", "depth");
    free(deep);
}

/* Every beginning of a file, and the file with something after it. */
static void truncations(const char *file, int stride, bool longer)
{
    char *bytes;
    int64_t n, accepted = 0, tried = 0;
    if (file_read(in(fixtures, file), &bytes, &n, err, sizeof err)) exit(2);
    for (int64_t k = 0; k < n; k += stride, tried++) {
        ArrayFile *f = arrays_open_bytes(bytes, k, file, err, sizeof err);
        bool whole = f != NULL;
        for (int i = 0; f && i < arrays_count(f) && whole; i++) {
            const ArrayInfo *a = arrays_info(f, i);
            double *x = a->problem || a->count > 100000 ? NULL : calloc((size_t)a->count * 2 + 1, sizeof *x);
            if (x && arrays_load(f, i, x, err, sizeof err) && !strstr(err, "no double")) whole = false;
            free(x);
        }
        accepted += whole && arrays_count(f) > 0;
        arrays_close(f);
    }
    check(!accepted, "%s: %lld truncations refused, %lld accepted", file, (long long)tried, (long long)accepted);
    char *more = realloc(bytes, (size_t)n + 8);
    memset(more + n, 0, 8);
    if (longer) is_refused(more, (size_t)n + 8, file, "");
    free(more);
}

/* Is an array of these bytes refused, other than the one that no double equals? */
static bool any_refused(const void *bytes, int64_t n, const char *file)
{
    ArrayFile *f = arrays_open_bytes(bytes, n, file, err, sizeof err);
    ArrayInfo a;
    bool refused = !f;
    for (int k = 0; f && k < arrays_count(f) && !refused; k++) {
        if (arrays_info(f, k)->problem && !strcmp(arrays_info(f, k)->name, "text")) continue;
        double *x = loaded(f, arrays_info(f, k)->name, &a);
        refused = !x && !strstr(err, "no double");
        free(x);
    }
    arrays_close(f);
    return refused;
}

/* A changed number inside an archive is noticed, packed or not. */
static void checksums(void)
{
    char *bytes;
    int64_t n, tried = 0, noticed = 0;
    if (file_read(in(fixtures, "numpy.npz"), &bytes, &n, err, sizeof err)) exit(2);
    unsigned char *seven = memmem(bytes, (size_t)n, &sevenths[1], 8);
    if (!seven) exit(2);
    seven[1] ^= 1;
    check(any_refused(bytes, n, "numpy.npz") && strstr(err, "checksum"), "npz: a changed number: %s", err);
    free(bytes);
    if (file_read(in(fixtures, "packed.npz"), &bytes, &n, err, sizeof err)) exit(2);
    for (int64_t at = 0; at < n; at += 11, tried++) {
        bytes[at] ^= 4;
        noticed += any_refused(bytes, n, "packed.npz");
        bytes[at] ^= 4;
    }
    /* names, times and what `text` holds may change */
    check(noticed > tried / 2, "npz: of %lld changed bytes %lld are noticed", (long long)tried, (long long)noticed);
    free(bytes);
}

static void hostile_files(void)
{
    checksums();
    ArrayFile *f = arrays_open(in(fixtures, "bomb.npz"), err, sizeof err);
    const char *problem = f && arrays_count(f) ? arrays_info(f, 0)->problem : "none";
    check(f && problem && strstr(problem, "size is not possible"), "npz: a bomb: %s", problem ? problem : "accepted");
    arrays_close(f);
    static const struct { const char *name, *why; } refused[] = {
        {"outside", "another file"}, {"external", "another file"}, {"virtual", "view of other"}, {"lzf", "compression"},
        {"records", "records"}, {"text", "no numbers"}, {"huge", "shape is not possible"}};
    f = arrays_open(in(fixtures, "h5py.h5"), err, sizeof err);
    for (int i = 0; f && i < LQ_COUNT(refused); i++) {
        int k = arrays_find(f, refused[i].name);
        const char *p = k < 0 ? NULL : arrays_info(f, k)->problem;
        double x[2];
        if (!strcmp(refused[i].name, "huge")) { /* of a possible shape, and not in this machine's memory */
            check(k >= 0 && !p, "hdf5: a huge array is listed, and nothing more");
            continue;
        }
        check(p && strstr(p, refused[i].why) && arrays_load(f, k, x, err, sizeof err), "hdf5: %s: %s", refused[i].name, p ? p : "accepted");
    }
    check(f && arrays_find(f, "soft") < 0, "hdf5: a link within the file has no second name");
    arrays_close(f);
    f = arrays_open(in(fixtures, "loop.h5"), err, sizeof err);
    check(!f && strstr(err, "too deeply"), "hdf5: a group within itself: %s", f ? "accepted" : err);
    arrays_close(f);
    truncations("numpy.npy", 1, true);
    truncations("numpy.npz", 7, false); /* what follows an archive is not its own */
    truncations("packed.npz", 7, false);
    truncations("weights.safetensors", 1, true);
    truncations("h5py.h5", 1201, false);
}

/* ---- work in a process of its own ------------------------------------------------------------- */

static void crashes(int out, void *context)
{
    isolated_write(out, "x", 1);
    raise(*(int *)context);
}

static void is_confined(int out, void *context)
{
    char answers[2];
    void *volatile memory = malloc(*(size_t *)context);
    answers[0] = memory == NULL;
    isolated_close_doors();
    answers[1] = open("/etc/passwd", O_RDONLY) < 0;
    isolated_write(out, answers, 2);
}

static void writes_a_file(int out, void *context)
{
    int file = open(context, O_RDWR | O_CREAT, 0666);
    isolated_write(file < 0 ? out : file, "x", 1);
}

static void writes_on(int out, void *context)
{
    for (;;) isolated_write(out, context, 1);
}

static void isolation(void)
{
    Isolated p;
    char byte, answers[2] = {0};
    static int signals[] = {SIGSEGV, SIGABRT, SIGFPE};
    for (int i = 0; i < LQ_COUNT(signals); i++) {
        bool ok = isolated_begin(&p, crashes, &signals[i], 0) && isolated_read(&p, &byte, 1) && !isolated_read(&p, &byte, 1);
        const char *end = isolated_end(&p);
        check(ok && end, "isolated: a crash is an error: %s", end ? end : "none");
    }
    size_t much = (size_t)3 << 30;
    char *written = strdup(in(dir, "written"));
    bool ok = isolated_begin(&p, is_confined, &much, 1 << 20) && isolated_read(&p, answers, 2);
    isolated_end(&p);
#ifdef __SANITIZE_ADDRESS__
    answers[0] = 1; /* not limited then */
#endif
    check(ok && answers[0] && answers[1], "isolated: 3 GiB are refused, and so is another file");
    struct stat st;
    ok = isolated_begin(&p, writes_a_file, written, 0) && !isolated_read(&p, &byte, 1) && isolated_end(&p);
    check(ok && !stat(written, &st) && st.st_size == 0, "isolated: nothing is written");
    unlink(written), free(written);
    ok = isolated_begin(&p, writes_on, "x", 0) && isolated_read(&p, &byte, 1);
    check(ok && isolated_end(&p), "isolated: work that nobody waits for ends");
}

/* ---- names and folders ------------------------------------------------------------------------------ */

static void stays_inside(void)
{
    char base[64];
    double x = 1;
    Array a = {"x", ARRAY_F64, 0, {0}, &x};
    snprintf(base, sizeof base, "%s/base", dir);
    if (mkdir(base, 0777) || arrays_write(NULL, in(dir, "secret.npy"), 1, &a, err, sizeof err) ||
        symlink("../secret.npy", in(base, "link.npy")) || symlink("..", in(base, "up")) || mkfifo(in(base, "pipe"), 0666)) exit(2);
    static const char *const names[] = {"../secret.npy", "/etc/passwd", "sub/../../secret.npy", "link.npy", "up/secret.npy",
                                        "..", ".", "", "a//b.npy", "./", "x.npy/", "pipe"};
    for (int i = 0; i < LQ_COUNT(names); i++) {
        OldFile f;
        int status = file_open_below(&f, base, names[i], err, sizeof err);
        check(status == -1, "not read below a folder: \"%s\": %s", names[i], err);
        NewFile nf;
        status = file_create_below(&nf, base, names[i], err, sizeof err);
        check(status == -1, "nor written: \"%s\": %s", names[i], err);
    }
    OldFile f;
    check(file_open_below(&f, base, "none.npy", err, sizeof err) == 1, "a file that is not there is just that");
    check(!arrays_write(base, "made/for/it.npy", 1, &a, err, sizeof err), "folders below are made");
    ArrayFile *back = arrays_open_below(base, "./made/./for/it.npy", err, sizeof err);
    check(back != NULL, "and read from");
    arrays_close(back);
    unlink(in(base, "made/for/it.npy")), rmdir(in(base, "made/for")), rmdir(in(base, "made"));
    unlink(in(base, "link.npy")), unlink(in(base, "up")), unlink(in(base, "pipe")), unlink(in(dir, "secret.npy"));
    check(!rmdir(base), "nothing else was made");
}

int main(int argc, char **argv)
{
    if (argc < 2 || !mkdtemp(dir)) return 2;
    fixtures = argv[1];
    of_others();
    round_trip("all.npz", true, true);
    round_trip("all.h5", true, true);
    round_trip("all.safetensors", false, true);
    refuses_to_write();
    failed_writes();
    hostile_weights();
    hostile_files();
    stays_inside();
    isolation();
    check(!rmdir(dir), "no temporary files left");
    return check_result();
}
