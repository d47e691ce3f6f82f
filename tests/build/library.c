/* library.c — a program that uses models as libraries, right and wrong.  run.py builds the models and
 * compiles this with them, also with a sanitizer and under valgrind.
 *
 *   library two OUT1 SEED1 OUT2 SEED2   two samplers by turns: all configurations of all fields, as doubles
 *   library threads OUT1 SEED1 OUT2 SEED2   the same, each in a thread of its own
 *   library gradient                    worst error of the gradient against differences of the action
 *   library errors                      each wrong use: its result and what lqft_error says
 *
 * `name=value` in front of the command are settings. */
#include "../../runtime/standalone/lqft_sampler.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_FIELDS = 8 };

static int nsettings;
static char **settings;

static void stop(const lqft_sampler *s, const char *what) {
    fprintf(stderr, "%s: %s\n", what, lqft_error(s));
    exit(1);
}

static void set_all(lqft_sampler *s) {
    for (int i = 0; i < nsettings; i++) {
        char name[100];
        const char *eq = strchr(settings[i], '=');
        snprintf(name, sizeof name, "%.*s", (int)(eq - settings[i]), settings[i]);
        if (lqft_set(s, name, atof(eq + 1))) stop(s, "set");
    }
}

static lqft_sampler *open_one(uint32_t seed) {
    lqft_sampler *s = lqft_open(seed);
    if (!s) stop(NULL, "open");
    return s;
}

static lqft_sampler *begin(uint32_t seed) {
    lqft_sampler *s = open_one(seed);
    set_all(s);
    return s;
}

static void write_fields(lqft_sampler *s, FILE *out) {
    for (int i = 0; lqft_field(s, i); i++) {
        const char *name = lqft_field(s, i);
        int64_t n = lqft_size(s, name);
        double *field = malloc((size_t)n * sizeof *field);
        if (lqft_get(s, name, field)) stop(s, "get");
        fwrite(field, sizeof *field, (size_t)n, out);
        free(field);
    }
}

/* ---- numbers ------------------------------------------------------------------------------- */

typedef struct Job { lqft_sampler *s; FILE *out; } Job;

static Job job(char **argument) { return (Job){begin((uint32_t)strtoul(argument[1], NULL, 10)), fopen(argument[0], "wb")}; }

static void end(Job *j) {
    lqft_close(j->s);
    if (!j->out || fclose(j->out)) exit(2);
}

static int two(char **arguments) {
    Job a = job(arguments), b = job(arguments + 2);
    int more = 2;
    while (more) {
        more = 0;
        for (int i = 0; i < 2; i++) {
            Job *j = i ? &b : &a;
            int drawn = lqft_draw(j->s);
            if (drawn < 0) stop(j->s, "draw");
            if (drawn) write_fields(j->s, j->out);
            more += drawn;
        }
    }
    end(&a), end(&b);
    return 0;
}

static void *draw_all(void *context) {
    Job *j = context;
    int drawn;
    while ((drawn = lqft_draw(j->s)) > 0) write_fields(j->s, j->out);
    if (drawn < 0) stop(j->s, "draw");
    return NULL;
}

static int threads(char **arguments) {
    Job jobs[2] = {job(arguments), job(arguments + 2)};
    pthread_t thread[2];
    for (int i = 0; i < 2; i++) if (pthread_create(&thread[i], NULL, draw_all, &jobs[i])) return 2;
    for (int i = 0; i < 2; i++) pthread_join(thread[i], NULL);
    for (int i = 0; i < 2; i++) end(&jobs[i]);
    return 0;
}

/* Elements of a field without its chains. */
static int64_t elements(lqft_sampler *s, const char *name) { return lqft_size(s, name) / (int64_t)lqft_setting(s, "chains"); }

static int gradient(void) {
    lqft_sampler *s = open_one(1);
    double *in[MOST_FIELDS], *out[MOST_FIELDS], worst = 0, plus, minus, value;
    int64_t n[MOST_FIELDS], checked = 0;
    int fields = 0;
    srand48(1);
    for (; lqft_field(s, fields); fields++) {
        n[fields] = elements(s, lqft_field(s, fields));
        in[fields] = malloc((size_t)n[fields] * sizeof(double)), out[fields] = malloc((size_t)n[fields] * sizeof(double));
        for (int64_t i = 0; i < n[fields]; i++) in[fields][i] = 0.2 + drand48();
    }
    if (lqft_action(s, (const double *const *)in, &value)) stop(s, "action");
    set_all(s);                                      /* of an action that was asked for before, too */
    if (lqft_action(s, (const double *const *)in, &value)) stop(s, "action");
    if (lqft_gradient(s, (const double *const *)in, out)) stop(s, "gradient");
    for (int f = 0; f < fields; f++)
        for (int64_t i = 0; i < n[f]; i++, checked++) {
            double h = 1e-5, x = in[f][i];
            in[f][i] = x + h, lqft_action(s, (const double *const *)in, &plus);
            in[f][i] = x - h, lqft_action(s, (const double *const *)in, &minus);
            in[f][i] = x;
            worst = fmax(worst, fabs((plus - minus) / (2 * h) - out[f][i]) / (1 + fabs(out[f][i])));
        }
    printf("%.17g %.17g %lld\n", value, worst, (long long)checked);
    for (int f = 0; f < fields; f++) free(in[f]), free(out[f]);
    lqft_close(s);
    return 0;
}

/* ---- wrong uses ------------------------------------------------------------------------------- */

static void show(const char *what, double result, const lqft_sampler *s) { printf("%s|%g|%s\n", what, result, lqft_error(s)), fflush(stdout); }

static int errors(void) {
    double x[4096] = {0}, value = 7;
    const double *in[MOST_FIELDS] = {x, x, x, x, x, x, x, x};
    double *out[MOST_FIELDS] = {x, x, x, x, x, x, x, x};
    int64_t dims[16];
    lqft_sampler *s = begin(1);
    show("unknown", lqft_set(s, "lenght", 1), s);
    show("outside", lqft_set(s, "a", 1000), s);
    show("still", lqft_setting(s, "a"), s);
    show("inside", lqft_set(s, "a", 2), s);
    show("not a number", lqft_set(s, "a", NAN), s);
    show("infinite", lqft_set(s, "a", INFINITY), s);
    show("fixed", lqft_set(s, "L", 5), s);
    show("half a chain", lqft_set(s, "chains", 2.5), s);
    show("no chain", lqft_set(s, "chains", 0), s);
    show("no name", lqft_set(s, NULL, 1), s);
    show("no setting", lqft_setting(s, "lenght"), s);
    show("no setting's name", lqft_setting(s, NULL), s);
    show("field", lqft_size(s, "nosuch"), s);
    show("field's shape", lqft_shape(s, "nosuch", dims), s);
    show("field's name", lqft_shape(s, NULL, dims), s);
    show("shape", lqft_shape(s, "phi", NULL), s);
    show("beyond", lqft_field(s, 1000) || lqft_field(s, -1), s);
    show("too early", lqft_get(s, "phi", x), s);
    show("acceptance", isnan(lqft_acceptance(s)), s);
    show("no point", lqft_action(s, NULL, &value), s);
    show("no value", lqft_action(s, in, NULL), s);
    show("no gradient", lqft_gradient(s, in, NULL), s);
    in[0] = NULL;
    show("no field", lqft_action(s, in, &value), s);
    out[0] = NULL, in[0] = x;
    show("no field of it", lqft_gradient(s, in, out), s);
    show("draw", lqft_draw(s), s);
    show("too late", lqft_set(s, "a", 1), s);
    show("get nothing", lqft_get(s, "nosuch", x), s);
    show("get nowhere", lqft_get(s, "phi", NULL), s);
    show("get", lqft_get(s, "phi", x), s);
    lqft_close(s);
    lqft_sampler *other = begin(2);
    lqft_close(s);
    show("closed draw", lqft_draw(s), s);
    show("closed set", lqft_set(s, "a", 1), s);
    show("closed field", lqft_field(s, 0) != NULL, s);
    show("closed get", lqft_get(s, "phi", x), s);
    show("closed action", lqft_action(s, in, &value), s);
    show("the other", lqft_draw(other), other);
    lqft_close(other);
    lqft_close(other);
    lqft_close(NULL);
    show("none set", lqft_set(NULL, "a", 1), NULL);
    show("none setting", isnan(lqft_setting(NULL, "a")), NULL);
    show("none field", lqft_field(NULL, 0) != NULL, NULL);
    show("none shape", lqft_shape(NULL, "phi", dims), NULL);
    show("none size", lqft_size(NULL, "phi"), NULL);
    show("none draw", lqft_draw(NULL), NULL);
    show("none get", lqft_get(NULL, "phi", x), NULL);
    show("none acceptance", isnan(lqft_acceptance(NULL)), NULL);
    show("none action", lqft_action(NULL, in, &value), NULL);
    show("none gradient", lqft_gradient(NULL, in, out), NULL);
    return 0;
}

int main(int argc, char **argv) {
    int i = 1;
    while (i < argc && strchr(argv[i], '=')) i++;
    settings = argv + 1, nsettings = i - 1;
    const char *command = i < argc ? argv[i] : "";
    if (!strcmp(command, "two") && argc == i + 5) return two(argv + i + 1);
    if (!strcmp(command, "threads") && argc == i + 5) return threads(argv + i + 1);
    if (!strcmp(command, "gradient")) return gradient();
    if (!strcmp(command, "errors")) return errors();
    return 2;
}
