/* arguments.c — the part of a command line that `lqft run` and executables share. */
#include "run.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

const char *argument_value(int argc, char **argv, int *i, const char *name, bool *missing) {
    size_t n = strlen(name);
    if (strncmp(argv[*i], name, n) != 0) return NULL;
    if (argv[*i][n] == '=') return argv[*i] + n + 1;
    if (argv[*i][n]) return NULL;
    if (*i + 1 < argc) return argv[++*i];
    *missing = true;
    return "";
}

bool argument_count(const char *text, int64_t lo, int64_t hi, int64_t *out) {
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (errno || end == text || *end || v < lo || v > hi) return false;
    *out = v;
    return true;
}

/* Seconds, or with a unit: 30s, 90m, 12h, 2d; more than 0. */
static bool parse_time(const char *text, double *out) {
    static const struct { char unit; double seconds; } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    char *end;
    double v = strtod(text, &end), scale = *end ? 0 : 1;
    for (int i = 0; i < LQ_COUNT(units) && end[0] && !end[1]; i++)
        if (*end == units[i].unit) scale = units[i].seconds;
    *out = v * scale;
    return end != text && scale > 0 && *out > 0 && *out <= 1e9;
}

static ArgumentIs wrong(char *err, size_t errlen, const char *fmt, const char *what) {
    char text[200];
    snprintf(text, sizeof text, "%.150s", what);
    snprintf(err, errlen, fmt, text);
    return ARGUMENT_WRONG;
}

static ArgumentIs flag(RunSettings *s, const char *arg) {
    const struct { const char *name; bool *flag; } flags[] = {
        {"--json", &s->json}, {"--quiet", &s->quiet}, {"--strict", &s->strict}, {"--plot", &s->draw}, {"--resume", &s->resume}, {"--report", &s->report}};
    for (int i = 0; i < LQ_COUNT(flags); i++)
        if (!strcmp(arg, flags[i].name)) return *flags[i].flag = true, ARGUMENT_TAKEN;
    return ARGUMENT_OTHER;
}

ArgumentIs run_argument(RunSettings *s, int argc, char **argv, int *i, char *err, size_t errlen) {
    static const char *const names[] = {"--seed", "--threads", "--color", "--out", "--data", "--max-time", "--checkpoint"};
    enum { SEED, THREADS, COLOR, OUT, DATA, MAX_TIME, EVERY };
    const char *arg = argv[*i], *v = NULL;
    bool missing = false;
    int64_t n;
    int which = 0;
    if (flag(s, arg) == ARGUMENT_TAKEN) return ARGUMENT_TAKEN;
    for (; which < LQ_COUNT(names) && !v; which++) v = argument_value(argc, argv, i, names[which], &missing);
    if (!v) return ARGUMENT_OTHER;
    if (missing) return wrong(err, errlen, "%s needs a value", arg);
    switch (which - 1) {
    case SEED:
        if (!argument_count(v, 0, UINT32_MAX, &n)) return wrong(err, errlen, "a seed is a whole number from 0 to 4294967295, not `%s`", v);
        s->seed = (uint32_t)n, s->seed_given = true;
        break;
    case THREADS:
        if (!argument_count(v, 1, 1024, &n)) return wrong(err, errlen, "a number of threads is a whole number from 1 to 1024, not `%s`", v);
        s->threads = (int)n;
        break;
    case COLOR:
        if (strcmp(v, "always") && strcmp(v, "never") && strcmp(v, "auto")) return wrong(err, errlen, "--color is always, never or auto, not `%s`", v);
        if (strcmp(v, "auto")) s->color = !strcmp(v, "always");
        break;
    case OUT: s->out = v; break;
    case DATA:
        s->data = lq_realloc(s->data, (size_t)(s->ndata + 1) * sizeof *s->data);
        s->data[s->ndata++] = v;
        break;
    case MAX_TIME: case EVERY:
        if (!parse_time(v, which - 1 == EVERY ? &s->every : &s->max_time))
            return wrong(err, errlen, "a time is a number of seconds, or such as 90m, 12h, 2d, not `%s`", v);
        break;
    }
    return ARGUMENT_TAKEN;
}

bool want_color(void) {
    const char *term = getenv("TERM");
    return isatty(STDERR_FILENO) && !getenv("NO_COLOR") && term && strcmp(term, "dumb") != 0;
}

bool draw_seed(RunSettings *s) {
    if (s->seed_given) return true;
    return getrandom(&s->seed, sizeof s->seed, 0) == sizeof s->seed;
}
