/* test_store.c — run directories: what was committed is there whatever happens to the process,
 * the disk or the files.
 *
 *   test_store [PART]   directory, cost, states, damage, disk, kills or faults; all of them
 *   test_store fault KIND AT  one failing call, for a debugger
 *   test_store make DIR a small run, for layout.py
 *
 * Every number of a measurement is a function of group, quantity, chain, draw and element, so that
 * what is read is compared with what must have been written, bit for bit. */
#include "../../runtime/io/arrays.h"
#include "../../runtime/run/store.h"

#include "../numerics/check.h"
#include "faults.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CHAINS = 3, COLUMNS = 4, GROUPS = 2, MOST_DRAWS = 1000, STATE = 1000 };

static char root[64] = "/dev/shm/lqft-store-XXXXXX", err[600]; /* in memory, or where temporary files are */

/* Stays until the test ends. */
static const char *in(const char *folder, const char *name)
{
    char *path;
    return asprintf(&path, "%s/%s", folder, name) < 0 ? "" : path;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path) != 0 && errno != ENOENT;
}

static void remove_tree(const char *dir)
{
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- a run ------------------------------------------------------------------------------------------- */

static const double times[] = {0, 0.5, 1, 1.5, 2};
static const char *const axes_t[] = {"t"}, *const axes_z[] = {"k", "part"};
static const double *const coords_t[] = {times};
static const StoreColumn columns[COLUMNS] = {
    {.name = "M", .rank = 0, .stride = 1, .about = "mean of φ"},
    {.name = "C", .rank = 1, .shape = {5}, .stride = 3, .axes = axes_t, .coords = coords_t},
    {.name = "z", .rank = 2, .shape = {4, 2}, .stride = 1, .axes = axes_z},
    {.name = "field", .rank = 2, .shape = {8, 8}, .stride = 7},
};

static int64_t elements(int c)
{
    int64_t n = 1;
    for (int i = 0; i < columns[c].rank; i++) n *= columns[c].shape[i];
    return n;
}

static double value(int group, int c, int64_t chain, int64_t draw, int64_t e)
{
    return sin(1e3 * group + 1e2 * c + 1e1 * (double)chain + (double)draw + 1e-3 * (double)e);
}

typedef struct Run {
    Store *s;
    int group[GROUPS];
    double *data[GROUPS][COLUMNS];
    int64_t rows[COLUMNS];
} Run;

static void fill(Run *r)
{
    for (int g = 0; g < GROUPS; g++)
        for (int c = 0; c < COLUMNS; c++) {
            int64_t n = elements(c);
            r->rows[c] = MOST_DRAWS / columns[c].stride + 1;
            double *x = r->data[g][c] = malloc((size_t)(CHAINS * r->rows[c] * n) * sizeof *x);
            for (int64_t k = 0; k < CHAINS * r->rows[c] * n; k++)
                x[k] = value(g, c, k / n / r->rows[c], k / n % r->rows[c] * columns[c].stride, k % n);
        }
}

static const double *state(int64_t draws)
{
    static double x[STATE];
    for (int i = 0; i < STATE; i++) x[i] = cos((double)draws + i);
    return x;
}

static int append(Run *r, int g, int64_t first, int64_t n)
{
    return store_append(r->s, r->group[g], first, n, (const double *const *)r->data[g], r->rows, err, sizeof err);
}

/* A state that counts `draws` of each group. */
static int checkpoint(Run *r, int64_t draws)
{
    char about[64];
    StoreArray arrays[] = {{"phi", STATE, state(draws)}, {"empty", 0, NULL}, {"one", 1, state(draws)}};
    snprintf(about, sizeof about, "{\"draws\": %lld}", (long long)draws);
    return store_checkpoint(r->s, about, 3, arrays, err, sizeof err);
}

static int begin_run(Run *r, const char *dir, bool resume)
{
    int status = store_open(dir, resume, &r->s, err, sizeof err);
    if (status || store_is_resumed(r->s)) return status;
    status = store_write_text(r->s, "run.json", "{}\n", 3, err, sizeof err);
    if (status) store_close(r->s);
    return status;
}

static int groups(Run *r)
{
    static const char *const names[] = {"phi", "tasks/second"};
    int status = 0;
    for (int g = 0; g < GROUPS && !status; g++)
        status = store_group(r->s, names[g], "draws of φ", CHAINS, COLUMNS, columns, &r->group[g], err, sizeof err);
    return status;
}

/* Is what the file has the draws 0 … n-1? */
static bool holds(Run *r, int g, int64_t n)
{
    double *read[COLUMNS];
    int64_t rows[COLUMNS];
    bool same = true;
    for (int c = 0; c < COLUMNS; c++) {
        rows[c] = (n + columns[c].stride - 1) / columns[c].stride;
        read[c] = calloc((size_t)(CHAINS * rows[c] * elements(c)) + 1, sizeof(double));
    }
    if (store_read(r->s, r->group[g], n, read, rows, err, sizeof err)) same = false;
    for (int c = 0; c < COLUMNS; c++) {
        for (int64_t chain = 0; chain < CHAINS && same; chain++)
            same = !memcmp(read[c] + chain * rows[c] * elements(c), r->data[g][c] + chain * r->rows[c] * elements(c), (size_t)(rows[c] * elements(c)) * 8);
        free(read[c]);
    }
    return same;
}

/* The draws that the newest state counts; 0 without one; -1 when it is not what was written. */
static int64_t restored(Run *r, char **warning)
{
    Checkpoint *c;
    long long draws = 0;
    if (store_restore(r->s, &c, warning, err, sizeof err)) return -1;
    if (!c) return 0;
    const StoreArray *phi = checkpoint_find(c, "phi"), *empty = checkpoint_find(c, "empty");
    bool same = sscanf(c->about, "{\"draws\": %lld}", &draws) == 1 && phi && phi->n == STATE && empty && empty->n == 0 &&
                !memcmp(phi->data, state(draws), STATE * sizeof(double)) && !checkpoint_find(c, "none");
    checkpoint_free(c);
    return same ? draws : -1;
}

/* ---- killed ----------------------------------------------------------------------------------------------- */

/* What the process that is killed says it has done. */
typedef struct Done { volatile int64_t appended, kept, failed; } Done;

static void run_until_killed(Run *r, const char *dir, Done *done)
{
    char *warning;
    int64_t n = 0;
    if (begin_run(r, dir, true) || groups(r) || (n = restored(r, &warning)) < 0) done->failed = 1;
    for (uint64_t k = (uint64_t)n; !done->failed && n < MOST_DRAWS; k++) {
        int64_t more = 1 + (int64_t)(k * 7919 % 13);
        if (n + more > MOST_DRAWS) more = MOST_DRAWS - n;
        for (int g = 0; g < GROUPS; g++)
            if (append(r, g, n, more)) done->failed = 2;
        done->appended = n += more;
        if (k % 3 && n < MOST_DRAWS) continue;
        if (checkpoint(r, n)) done->failed = 3;
        done->kept = n;
        if (store_log(r->s, "checkpoint", "\"draws\": 1", err, sizeof err)) done->failed = 4;
    }
    if (done->failed) fprintf(stderr, "%s\n", err);
    pause();
}

static bool log_is_whole(const char *dir)
{
    FILE *f = fopen(in(dir, "log.jsonl"), "r");
    char line[256];
    bool whole = true;
    while (f && fgets(line, sizeof line, f)) whole = whole && line[0] == '{' && strstr(line, "}\n");
    if (f) fclose(f);
    return whole;
}

/* Everything that is kept is there; and the draws that were appended, when the state counts them. */
static bool all_there(Run *r, const char *dir, const Done *done, int64_t *lost)
{
    char *warning = NULL;
    int64_t n = 0;
    *err = '\0';
    if (begin_run(r, dir, true) || groups(r)) return false;
    bool same = (n = restored(r, &warning)) >= done->kept && !warning;
    for (int g = 0; g < GROUPS && same; g++) {
        same = store_draws(r->s, r->group[g]) >= done->appended && holds(r, g, n);
        same = same && holds(r, g, store_draws(r->s, r->group[g]));
        if (done->appended - store_draws(r->s, r->group[g]) > *lost) *lost = done->appended - store_draws(r->s, r->group[g]);
    }
    store_close(r->s);
    return same && log_is_whole(dir);
}

static void test_kills(Run *r)
{
    enum { KILLS = 210 };
    const char *dir = in(root, "killed");
    Done *done = mmap(NULL, sizeof *done, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int bad = 0, early = 0, turns = 0;
    int64_t lost = 0, last = 0;
    uint64_t dice = (uint64_t)getpid();
    fault_no_sync = true; /* what was written survives the process without it */
    for (int i = 0; i < KILLS && bad < 3; i++) {
        if (done->kept >= MOST_DRAWS) remove_tree(dir), done->kept = done->appended = 0, turns++;
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) run_until_killed(r, dir, done), _exit(0);
        dice = dice * 6364136223846793005u + 1442695040888963407u;
        for (int k = 0; i % 4 && k < 2000 && (i % 4 == 1 ? done->kept : done->appended) == last && !done->failed; k++) usleep(1000); /* it has begun */
        usleep((useconds_t)(dice >> 33) % (i % 4 ? 30000 : 9000));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        early += done->kept == last, last = done->kept;
        if (done->failed || !all_there(r, dir, done, &lost)) {
            bad++;
            printf("kill %d: kept %lld, appended %lld, failed %d: %s\n", i, (long long)done->kept, (long long)done->appended, (int)done->failed, err);
        }
        done->appended = done->kept, done->failed = 0; /* what is not kept is appended again */
    }
    fault_no_sync = false;
    check(bad == 0, "%d kills with SIGKILL, each followed by a resume, %d after it had kept a new state, %d runs begun anew: every committed draw is there", KILLS, KILLS - early, turns);
}

/* ---- failing calls --------------------------------------------------------------------------------------------- */

static int problems;
static bool playing; /* of what the library does without memory only what is left is judged */

static void problem(const char *what, int kind, long at, bool lasts)
{
    if (kind == FAULT_LIBRARY_MEMORY && playing) return;
    if (problems++ < 10) printf("%s %ld%s: %s: %s\n", fault_names[kind], at, lasts ? " and later" : "", what, err);
}

/* The script of a run; returns the status of the first call that fails twice, else 0. */
typedef struct Script { const char *dir; int kind, cause; long at; bool lasts; Done *done; } Script;

/* A call failed: is the message what it should be? */
static void judge(const Script *f, int status)
{
    bool named = strstr(err, f->dir) != NULL;
    bool caused = f->kind >= FAULT_MEMORY || strstr(err, strerror(f->cause)) || strstr(err, "disk full");
    bool known = status == 73 || status == 74 || (status == 65 && (f->kind == FAULT_READ || f->kind == FAULT_OPEN || f->kind == FAULT_MEMORY));
    if (!fault_happened() || !named || !known || !caused) problem("message or status", f->kind, f->at, f->lasts);
}

#define ATTEMPT(call)                                                            \
    for (int status_, turn_ = 0; (status_ = (call)); turn_++) {                  \
        judge(f, status_);                                                       \
        if (turn_ || f->lasts) {                                                 \
            if (!f->lasts) problem(#call " fails again", f->kind, f->at, false); \
            return status_;                                                      \
        }                                                                        \
    }

/* The newest state, which may be passed over when reading it fails, with a warning. */
static int restore_36(Run *r)
{
    char *warning = NULL;
    if (restored(r, &warning) == 36 && !warning) return 0;
    if (warning) snprintf(err, sizeof err, "%s", warning);
    free(warning);
    return 65;
}

static int play(Run *r, const Script *f)
{
    ATTEMPT(begin_run(r, f->dir, true))
    ATTEMPT(store_log(r->s, "start", NULL, err, sizeof err))
    ATTEMPT(groups(r))
    ATTEMPT(append(r, 0, 0, 7))
    ATTEMPT(append(r, 0, 7, 9))
    ATTEMPT(append(r, 1, 0, 16))
    ATTEMPT(checkpoint(r, 16))
    f->done->kept = 16;
    ATTEMPT(append(r, 0, 16, 20))
    ATTEMPT(append(r, 1, 16, 20))
    ATTEMPT(checkpoint(r, 36))
    f->done->kept = 36;
    store_close(r->s);
    ATTEMPT(begin_run(r, f->dir, true))
    ATTEMPT(restore_36(r))
    ATTEMPT(groups(r))
    ATTEMPT(append(r, 0, 36, 4))
    ATTEMPT(append(r, 0, 36, 6)) /* once more, and others */
    ATTEMPT(append(r, 1, 36, 6))
    ATTEMPT(store_write_text(r->s, "summary.json", "{}\n", 3, err, sizeof err))
    ATTEMPT(checkpoint(r, 42))
    f->done->kept = 42;
    store_close(r->s);
    return 0;
}

/* One script in a process of its own, then what it leaves. */
static void try_fault(Run *r, Script f, long *tried, long *stopped)
{
    int status;
    char *warning = NULL;
    remove_tree(f.dir);
    *f.done = (Done){0};
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        problems = 0, playing = true;
        if (f.kind >= FAULT_MEMORY && !freopen("/dev/null", "w", stderr)) _exit(9);
        fault_set(f.kind, f.at, f.cause, f.lasts);
        play(r, &f);
        fflush(stdout);
        _exit(problems ? 1 : 0);
    }
    waitpid(child, &status, 0);
    ++*tried;
    bool memory = f.kind == FAULT_MEMORY && WIFEXITED(status) && WEXITSTATUS(status) == 70; /* a message, and the end */
    if (f.kind == FAULT_LIBRARY_MEMORY) memory = true; /* the library may go wrong in any way: what is left counts */
    *stopped += f.done->kept < 42;
    *err = '\0';
    if (!memory && (!WIFEXITED(status) || WEXITSTATUS(status))) problem(WIFEXITED(status) ? "the run" : "crashed", f.kind, f.at, f.lasts);
    if (begin_run(r, f.dir, true) || groups(r)) {
        problem("resume", f.kind, f.at, f.lasts);
        return;
    }
    int64_t n = restored(r, &warning);
    if (n < f.done->kept || warning || !holds(r, 0, n) || !holds(r, 1, n)) problem("what is left", f.kind, f.at, f.lasts);
    if (append(r, 0, n, 3) || !holds(r, 0, n + 3)) problem("going on", f.kind, f.at, f.lasts);
    store_close(r->s);
}

static void test_faults(Run *r)
{
    static const int causes[FAULT_KINDS] = {ENOSPC, EIO, ENOSPC, EMFILE, ENOSPC, EIO, EIO, ENOMEM, ENOMEM};
    static Done here;
    Done *done = mmap(NULL, sizeof *done, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    const char *dir = in(root, "faults");
    long counts[FAULT_KINDS];
    fault_no_sync = true;
    remove_tree(dir);
    fault_set(FAULT_MEMORY, 0, 0, false);
    int status = play(r, &(Script){dir, FAULT_WRITE, 0, 0, true, &here});
    for (int k = 0; k < FAULT_KINDS; k++) counts[k] = fault_count(k);
    if (!check(status == 0, "the run without a failure%s%s", status ? ": " : "", status ? err : "")) return;
    for (int k = 0; k < FAULT_KINDS; k++) {
        long tried = 0, stopped = 0, step = k == FAULT_LIBRARY_MEMORY ? 1 + counts[k] / 80 : 1; /* libhdf5 takes memory at thousands of places */
        problems = 0;
        for (int lasts = 0; lasts < (k == FAULT_MEMORY ? 1 : 2); lasts++) /* without memory the first failure is the last */
            for (long at = 1 + lasts; at <= counts[k]; at += step * (1 + 3 * lasts)) try_fault(r, (Script){dir, k, causes[k], at, lasts, done}, &tried, &stopped);
        check(problems == 0, "%s: %ld runs, failing once at each, and from then on at some, of %ld calls%s; %ld stopped, all of them went on", fault_names[k], tried,
              counts[k], step > 1 ? " (one in many)" : "", stopped);
    }
    fault_set(FAULT_WRITE, 0, 0, false);
    fault_no_sync = false;
    remove_tree(dir);
}

/* ---- a full disk, and one that is not written to ------------------------------------------------------------------ */

static void test_full_disk(Run *r)
{
    const char *disk = in(root, "disk"), *dir = in(disk, "run");
    char *warning;
    mkdir(disk, 0777);
    if (mount("tmpfs", disk, "tmpfs", 0, "size=3m")) {
        printf("skipped: a full disk and one that is read-only, for mounting is not permitted (%s)\n", strerror(errno));
        return;
    }
    int full = 0;
    for (int64_t spare = 0; spare < 40; spare++) { /* pages of the disk that are left */
        static char page[4096];
        int64_t n = 200;
        bool ok = !begin_run(r, dir, true) && !groups(r) && !append(r, 0, 0, n) && !append(r, 1, 0, n) && !checkpoint(r, n);
        int status = 0, fd = open(in(disk, "filler"), O_WRONLY | O_CREAT, 0666);
        while (ok && write(fd, page, sizeof page) == sizeof page) {}
        ok = ok && ftruncate(fd, lseek(fd, 0, SEEK_END) - spare * 4096) == 0;
        for (; ok && !status && n < 1000; n += 50) {
            status = append(r, 0, n, 50);
            if (!status) status = append(r, 1, n, 50);
            if (!status) status = checkpoint(r, n + 50);
            if (!status) status = store_log(r->s, "kept", NULL, err, sizeof err);
            if (status) break;
        }
        full += status != 0;
        ok = ok && (status == 73 || status == 74) && strstr(err, dir) && (strstr(err, strerror(ENOSPC)) || strstr(err, "disk full"));
        char message[600];
        snprintf(message, sizeof message, "%s", err);
        close(fd), unlink(in(disk, "filler"));
        int64_t kept = n;
        ok = ok && !append(r, 0, n, 50) && !append(r, 1, n, 50) && !checkpoint(r, n + 50); /* in the same process */
        store_close(r->s);
        ok = ok && !begin_run(r, dir, true) && !groups(r) && restored(r, &warning) == kept + 50 && !warning && holds(r, 0, kept + 50) && holds(r, 1, kept + 50);
        store_close(r->s);
        if (!ok) check(false, "disk with %d pages left: after %lld draws: %s; then: %s", (int)spare, (long long)n, message, err);
        remove_tree(dir);
    }
    check(full == 40, "a disk that fills up, %d times: statuses 73 and 74 with the cause; when there is space again the same process goes on, and the next", full);
    begin_run(r, dir, true);
    store_close(r->s);
    if (mount(NULL, disk, NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0) {
        check(store_open(dir, true, &r->s, err, sizeof err) == 73 && strstr(err, strerror(EROFS)), "a disk that is read-only, old run: %s", err);
        check(store_open(in(disk, "new"), false, &r->s, err, sizeof err) == 73 && strstr(err, strerror(EROFS)), "a disk that is read-only, new run: %s", err);
    }
    umount(disk);
}

/* ---- damaged files --------------------------------------------------------------------------------------------------- */

static void put_file(const char *path, const char *bytes, int64_t n)
{
    unlink(path); /* a file cut to nothing and written again is synced by some disks */
    FILE *f = fopen(path, "w");
    if (!f || (n && fwrite(bytes, 1, (size_t)n, f) != (size_t)n) || fclose(f)) check(false, "writing %s", path);
}

static char *get_file(const char *path, int64_t *n)
{
    struct stat st;
    FILE *f = fopen(path, "r");
    if (!f || fstat(fileno(f), &st)) return *n = 0, calloc(1, 1);
    char *bytes = malloc((size_t)st.st_size + 1);
    *n = (int64_t)fread(bytes, 1, (size_t)st.st_size, f);
    fclose(f);
    return bytes;
}

/* The newest state is these bytes: is the one before it used, with a warning? */
static bool passed_over(Run *r, const char *path, const char *bytes, int64_t n)
{
    char *warning = NULL;
    put_file(path, bytes, n);
    int64_t got = restored(r, &warning);
    bool ok = got == 10 && warning && strstr(warning, path);
    free(warning);
    return ok;
}

static void test_states(Run *r)
{
    const char *dir = in(root, "states"), *path;
    char *warning;
    int64_t n, flips = 0, cuts = 0, bad = 0;
    if (begin_run(r, dir, false) || groups(r) || append(r, 0, 0, 20) || append(r, 1, 0, 20) || checkpoint(r, 5) || checkpoint(r, 10) || checkpoint(r, 20)) {
        check(false, "a run with states: %s", err);
        return;
    }
    path = in(dir, "checkpoint/state-000002");
    check(access(in(dir, "checkpoint/state-000000"), F_OK) && !access(in(dir, "checkpoint/state-000001"), F_OK) && restored(r, &warning) == 20 && !warning, "two states are kept");
    char *bytes = get_file(path, &n);
    for (int64_t i = 0; i < n; i += i < 512 || i > n - 64 ? 1 : 64) {
        bytes[i] ^= (char)(1 << i % 8);
        bad += !passed_over(r, path, bytes, n), flips++;
        bytes[i] ^= (char)(1 << i % 8);
    }
    for (int64_t i = 0; i < n; i += i < 512 || i > n - 64 ? 1 : 61) bad += !passed_over(r, path, bytes, i), cuts++;
    bad += !passed_over(r, path, "something else, and long enough to have a head of a file", 56), cuts++;
    for (int word = 0; word < 14; word++) /* counts that promise what is not there */
        for (int shift = 0; shift < 64; shift += 7) {
            char *copy = memcpy(malloc((size_t)n), bytes, (size_t)n);
            uint64_t value = ~(uint64_t)0 >> shift;
            memcpy(copy + 8 * word, &value, 8);
            if (memcmp(copy, bytes, (size_t)n)) bad += !passed_over(r, path, copy, n), flips++;
            free(copy);
        }
    check(bad == 0, "%lld flipped bits and %lld truncations of a state of %lld bytes: found, and the one before it used", (long long)flips, (long long)cuts, (long long)n);
    put_file(in(dir, "checkpoint/state-000001"), "x", 1), put_file(path, "x", 1);
    Checkpoint *c;
    check(store_restore(r->s, &c, &warning, err, sizeof err) == 65 && !c && !warning, "no state is whole: %s", err);
    put_file(path, bytes, n);
    check(restored(r, &warning) == 20 && !warning && !checkpoint(r, 20) && restored(r, &warning) == 20, "a state that is whole again");
    store_close(r->s);
    free(bytes);
}

/* Measurements that are damaged: the file by libhdf5 anywhere, the index anywhere. */
static void test_measurements(Run *r)
{
    const char *dir = in(root, "damaged"), *data = in(dir, "measurements.h5");
    char *warning;
    int64_t n, whole = 0, lost = 0, bad = 0, k = 0;
    if (begin_run(r, dir, false) || groups(r) || append(r, 0, 0, 100) || append(r, 0, 100, 150) || append(r, 1, 0, 250) || checkpoint(r, 250)) {
        check(false, "a run: %s", err);
        return;
    }
    store_close(r->s);
    char *bytes = get_file(data, &n);
    for (int64_t i = 0; i < n; i += 4999, k++) {
        bytes[i] ^= (char)(1 << k % 8);
        put_file(data, bytes, k % 5 ? n : i);
        bytes[i] ^= (char)(1 << k % 8);
        bool ok = !begin_run(r, dir, true), found = ok && !groups(r);
        ok = ok && (found || strstr(err, "no index")) && restored(r, &warning) == 250;
        lost += ok && !found ? GROUPS : 0;
        for (int g = 0; g < GROUPS && ok && found; g++) {
            int64_t have = store_draws(r->s, r->group[g]);
            ok = holds(r, g, have) && (have == 250 || !holds(r, g, 250)) && (have == 250 || strstr(err, "measurements.h5"));
            whole += have == 250, lost += have < 250;
        }
        bad += !ok;
        if (r->s) store_close(r->s);
    }
    put_file(data, bytes, n);
    check(bad == 0 && whole && lost, "measurements with flipped bits and cut off, %lld times: %lld groups whole, %lld with a message; no wrong number", (long long)k, (long long)whole, (long long)lost);
    free(bytes);
}

/* ---- the directory ------------------------------------------------------------------------------------------------- */

static void refused(const char *dir, bool resume, int status, const char *says)
{
    Store *s;
    *err = '\0';
    int got = store_open(dir, resume, &s, err, sizeof err);
    check(got == status && !s && strstr(err, says), "%s: %s", resume ? "with --resume" : "without", err);
    if (!got) store_close(s);
}

static void test_directory(Run *r)
{
    const char *strange = in(root, "strange"), *dir = in(root, "a/new/one"), *log = in(dir, "log.jsonl");
    char holder[64];
    int go[2], status;
    mkdir(strange, 0777), put_file(in(strange, "thesis.tex"), "x", 1);
    refused(strange, false, 73, "thesis.tex"), refused(strange, true, 73, "no run.json");
    check(access(in(strange, "lock"), F_OK) != 0, "nothing is put into a strange directory");
    refused(in(strange, "thesis.tex"), false, 73, "thesis.tex");
    check(store_open(dir, false, &r->s, err, sizeof err) == 0 && store_log(r->s, "x", NULL, err, sizeof err) == 70, "run.json comes first: %s", err);
    store_close(r->s); /* as if killed before run.json */
    check(!begin_run(r, dir, false) && !store_is_resumed(r->s) && !groups(r) && !append(r, 0, 0, 10), "a directory with a lock only is a new one");
    size_t n;
    char *text = store_read_text(r->s, "run.json", &n, err, sizeof err);
    check(text && n == 3 && !strcmp(text, "{}\n") && !store_read_text(r->s, "summary.json", &n, err, sizeof err) && !*err, "run.json is read; there is no summary.json");
    free(text);
    refused(dir, true, 73, "another run");
    store_close(r->s);
    refused(dir, false, 73, "--resume");
    if (pipe(go)) return;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        status = begin_run(r, dir, true) || write(go[1], "x", 1) != 1;
        pause(), _exit(status);
    }
    check(read(go[0], holder, 1) == 1, "another process has the run");
    snprintf(holder, sizeof holder, "process %ld", (long)child);
    refused(dir, true, 73, holder);
    kill(child, SIGKILL), waitpid(child, NULL, 0);
    int64_t size;
    check(!begin_run(r, dir, true) && !store_log(r->s, "one", NULL, err, sizeof err), "it is killed, and the lock is free");
    store_close(r->s);
    FILE *f = fopen(log, "a");
    if (f) fputs("{\"time\": \"2026", f), fclose(f);
    check(!begin_run(r, dir, true) && !store_log(r->s, "two", NULL, err, sizeof err) && log_is_whole(dir), "a torn line of the log is repaired");
    StoreColumn other[COLUMNS];
    memcpy(other, columns, sizeof other), other[1].stride = 2;
    check(store_group(r->s, "phi", NULL, CHAINS, COLUMNS, other, &status, err, sizeof err) == 65, "another run: %s", err);
    check(store_group(r->s, "phi", NULL, CHAINS + 1, COLUMNS, columns, &status, err, sizeof err) == 65, "another run: %s", err);
    check(!groups(r) && append(r, 0, 12, 3) == 65, "a gap: %s", err);
    store_close(r->s);
    text = get_file(log, &size);
    check(strstr(text, "\"two\"}\n") && size == (int64_t)strlen(text), "the log: %lld bytes", (long long)size);
    free(text);
}

/* What appending costs, not a check of time: many quantities of a sweep, and a megabyte. */
static void test_cost(Run *r)
{
    struct timespec a, b;
    enum { CALLS = 200, LARGE = 128 * 1024 / 64 };
    static double x[64 * LARGE];
    const double *data[] = {x};
    const StoreColumn one = {.name = "x", .rank = 0, .stride = 1}, large = {.name = "x", .rank = 1, .shape = {LARGE}, .stride = 1};
    for (int k = 0; k < 2; k++) {
        int group;
        const char *dir = in(root, k ? "cost large" : "cost small");
        bool ok = !begin_run(r, dir, false) && !store_group(r->s, "g", NULL, 64, 1, k ? &large : &one, &group, err, sizeof err);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
        for (int i = 0; i < CALLS && ok; i++) {
            const double *at[] = {x - (ptrdiff_t)i * (k ? LARGE : 1)}; /* the same numbers each time */
            ok = !store_append(r->s, group, i, 1, k ? (const double *const *)at : data, (int64_t[]){k ? 1 : CALLS}, err, sizeof err);
        }
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
        check(ok, "%s: %.2f ms of processor time a call", k ? "appending 1 MB" : "appending a number of each of 64 chains", ((double)(b.tv_sec - a.tv_sec) * 1e3 + (double)(b.tv_nsec - a.tv_nsec) * 1e-6) / CALLS);
        store_close(r->s);
    }
}

static const struct { const char *name; void (*test)(Run *r); } parts[] = {
    {"directory", test_directory}, {"cost", test_cost}, {"states", test_states}, {"damage", test_measurements}, {"disk", test_full_disk}, {"kills", test_kills}, {"faults", test_faults},
};

int main(int argc, char **argv)
{
    static Run r;
    fill(&r);
    if (argc == 3) {
        bool ok = !begin_run(&r, argv[2], false) && !groups(&r) && !append(&r, 0, 0, 40) && !append(&r, 0, 40, 61) && !append(&r, 1, 0, 10) &&
                  !store_log(r.s, "start", NULL, err, sizeof err) && !store_log(r.s, "a \"strange\"\n one", "\"draw\":\n10", err, sizeof err);
        if (!ok) printf("%s\n", err);
        store_close(r.s);
        return !ok;
    }
    if (access("/dev/shm", W_OK)) snprintf(root, sizeof root, "%s/lqft-store-XXXXXX", P_tmpdir);
    if (!mkdtemp(root)) return 1;
    if (argc == 4) {
        fault_set(atoi(argv[2]), atol(argv[3]), EIO, false);
        return play(&r, &(Script){in(root, "one"), atoi(argv[2]), EIO, atol(argv[3]), false, &(Done){0}});
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 0; i < LQ_COUNT(parts); i++)
        if (argc == 1 || !strcmp(argv[1], parts[i].name)) parts[i].test(&r);
    remove_tree(root);
    return check_result();
}
