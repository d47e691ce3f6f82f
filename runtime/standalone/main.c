/* main.c — the executable that `lqft build` makes: this carrier, with a program appended to it. */
#include "payload.h"
#include "settings.h"
#include "variants.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static const char *own_name = "sampler";

static int usage_error(const char *text) {
    fprintf(stderr, "%s: %s\nusage: %s [name=value …] [options]; %s --help lists them\n", own_name, text, own_name, own_name);
    return 2;
}

static int help(const Payload *p) {
    printf("usage: %s [name=value …] [options]\n\n", own_name);
    if (p->program->title) printf("%s\n\n", p->program->title);
    printf("Carries out %s: its reports, with errors, go to standard output.\n\nsettings, with their values now:\n", p->program->path);
    settings_list(p->program, stdout);
    printf("\noptions:\n"
           "  --seed N           the seed, 0 to 4294967295; drawn and printed when it is not given\n"
           "  --threads N        threads, all processors by default; the results do not depend on it\n"
           "  --out DIR          the run directory: measurements, checkpoints, the log, figures and files\n"
           "  --resume           continue the run in DIR from its newest checkpoint\n"
           "  --report           nothing is run: results from what DIR holds, and the page DIR/report.html\n"
           "  --max-time TIME    stop with a checkpoint after so long, status 75: seconds, or 90m, 12h, 2d\n"
           "  --checkpoint SECONDS  the time between checkpoints\n"
           "  --data DIR         another folder that the model may read data from; may be repeated\n"
           "  --json             one JSON object on standard output instead of the table\n"
           "  --plot             figures in the terminal too\n"
           "  --strict           status 3 when a diagnostic failed\n"
           "  --quiet            no progress\n"
           "  --color WHEN       always, never or auto\n"
           "  --help             these lines\n");
    if (!p->native)
        printf("\nenvironment:\n"
               "  LQFT_CPU           x86-64-v2, -v3 or -v4: the variant of the code, the best one by default;\n"
               "                     the results do not depend on it\n");
    return 0;
}

typedef VEC(Given) GivenList;

static bool has(const Given *list, int n, const char *name) {
    for (int i = 0; i < n; i++)
        if (!strcmp(list[i].name, name)) return true;
    return false;
}

/* It has the value that it was built with, whatever the text. */
static bool is_built_in(const RunProgram *p, const Given *g) {
    for (int i = 0; i < p->ngiven; i++)
        if (!strcmp(p->given[i].name, g->name) && !strcmp(p->given[i].text, g->text)) return true;
    return false;
}

static void add_given(Text *t, const Given *g) {
    text_printf(t, "%s\"%s\": \"", t->n > 1 ? ", " : "", g->name);
    for (const char *c = g->text; *c; c++) {
        if (*c == '"' || *c == '\\') text_printf(t, "\\%c", *c);
        else if ((unsigned char)*c < ' ') text_printf(t, "\\u%04x", *c);
        else text_putn(t, c, 1);
    }
    text_putn(t, "\"", 1);
}

/* The options; what is set goes into `now`. */
static int read_arguments(int argc, char **argv, RunSettings *s, GivenList *now, bool *helps, Arena *arena) {
    char err[300] = "";
    for (int i = 1; i < argc; i++) {
        const char *eq = strchr(argv[i], '='), *chains;
        bool missing = false;
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
            *helps = true;
        } else if (argv[i][0] == '-') {
            if ((chains = argument_value(argc, argv, &i, "--chains", &missing)) && !missing) {
                vec_push(now, ((Given){"chains", chains}));
                continue;
            }
            ArgumentIs is = run_argument(s, argc, argv, &i, err, sizeof err);
            if (is == ARGUMENT_OTHER) snprintf(err, sizeof err, missing ? "%.100s needs a value" : "there is no option %.100s", argv[i]);
            if (is != ARGUMENT_TAKEN) return usage_error(err);
        } else if (eq && eq != argv[i]) {
            vec_push(now, ((Given){arena_strndup(arena, argv[i], (size_t)(eq - argv[i])), eq + 1}));
        } else {
            snprintf(err, sizeof err, "what is `%.100s`? a parameter is set as name=value", argv[i]);
            return usage_error(err);
        }
    }
    for (int i = 0; i < now->n; i++)
        if (has(now->data, i, now->data[i].name)) return snprintf(err, sizeof err, "`%.100s` is given twice", now->data[i].name), usage_error(err);
    if (s->report) s->resume = s->quiet = true;
    return 0;
}

/* What the run that is resumed was given, where it is not given again. */
static int recall(RunSettings *s, GivenList *all, Arena *arena) {
    Given *before;
    GivenList now = *all;
    int n, status = keep_recall(s, arena, &n, &before);
    *all = (GivenList){0};
    for (int i = 0; i < n && !status; i++)
        if (!has(now.data, now.n, before[i].name)) vec_push(all, before[i]);
    for (int i = 0; i < now.n; i++) vec_push(all, now.data[i]);
    vec_free(&now);
    return status;
}

/* The program has all these values, and else those that it was built with. */
static int set_all(RunProgram *p, const GivenList *all, RunSettings *s, Arena *arena) {
    char err[600] = "";
    Text given = {0};
    int status = 0;
    text_printf(&given, "{");
    for (int i = 0; i < p->ngiven; i++)
        if (!has(all->data, all->n, p->given[i].name)) add_given(&given, &p->given[i]);
    for (int i = 0; i < all->n && !status; i++) {
        if (!is_built_in(p, &all->data[i])) status = setting_set(p, all->data[i].name, all->data[i].text, err, sizeof err);
        add_given(&given, &all->data[i]);
    }
    if (!status) status = settings_settle(p, err, sizeof err);
    if (!status) status = settings_keep(p, err, sizeof err);
    text_printf(&given, "}");
    s->given = arena_strndup(arena, given.s, given.n);
    text_free(&given);
    return status ? usage_error(err) : 0;
}

static int run(Payload *p, RunSettings *s, double begin, Arena *arena) {
    RunEngine engine = payload_engine(p, arena);
    bool seed_given = s->seed_given;
    int status = draw_seed(s) ? 0 : 70;
    if (status == 0 && !seed_given && !s->quiet) fprintf(stderr, "seed %u\n", s->seed);
    payload_engine_seed(&engine, s->seed);
    if (status == 0) status = run_program(p->program, s, &engine, run_clock() - begin);
    payload_engine_free(&engine);
    return status;
}

/* A file that cannot be used. */
static int no_program(const char *err) {
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    fprintf(stderr, "%s: %.*s: %s\n", own_name, (int)(n > 0 ? n : 0), path, err);
    return 70;
}

/* Options first: they say which run is resumed, whose settings are the ones that count. */
static int carry_out(Payloads *all, int argc, char **argv, RunSettings *s, Arena *arena) {
    char err[600] = "";
    double begin = run_clock();
    bool helps = false;
    GivenList given = {0};
    int status = read_arguments(argc, argv, s, &given, &helps, arena);
    if (!status && !helps) status = recall(s, &given, arena);
    int variant = status ? -1 : variant_choose(all, given.n, given.data, arena, err, sizeof err);
    if (!status && variant < 0) status = usage_error(err);
    Payload *p = status ? NULL : payload_read(all, variant, arena, err, sizeof err);
    if (!status && !p) status = no_program(err);
    if (p) variant_explain(all, p->program, arena);
    if (p && helps) help(p);
    else if (p) status = set_all(p->program, &given, s, arena);
    if (p && !helps && !status && payload_processor(p, err, sizeof err)) status = usage_error(err);
    if (p && !helps && !status) status = run(p, s, begin, arena);
    else if (p) payload_free(p);
    vec_free(&given);
    return status;
}

int main(int argc, char **argv) {
    char err[400] = "";
    Arena *arena = arena_new();
    const char *slash = argc ? strrchr(argv[0], '/') : NULL;
    if (argc) own_name = slash ? slash + 1 : argv[0];
    Payloads *all = payloads_open("/proc/self/exe", arena, err, sizeof err);
    if (!all) return no_program(err);
    RunSettings s = {.folder = ".", .color = want_color()};
    int status = carry_out(all, argc, argv, &s, arena);
    if (status == 0 && (fflush(stdout) != 0 || ferror(stdout))) {
        fprintf(stderr, "%s: cannot write to standard output: %s\n", own_name, strerror(errno));
        status = 74;
    }
    free(s.data);
    payloads_close(all);
    arena_free(arena);
    return status;
}
