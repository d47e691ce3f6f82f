/* main.c — the executable that `lqft build` makes: this stub, with a program appended to it. */
#include "payload.h"
#include "settings.h"

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
           "  --checkpoint TIME  the time between checkpoints\n"
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

static int set(Payload *p, const Given *g) {
    char err[600] = "";
    int status = setting_set(p->program, g->name, g->text, err, sizeof err);
    return status ? usage_error(err) : 0;
}

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

/* Options first: they say which run is resumed, whose settings are the ones that count. */
static int read_arguments(Payload *p, int argc, char **argv, RunSettings *s, Arena *arena) {
    char err[300] = "";
    VEC(Given) now = {0};
    for (int i = 1; i < argc; i++) {
        const char *eq = strchr(argv[i], '='), *chains;
        bool missing = false;
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) return help(p), -1;
        if (argv[i][0] == '-') {
            if ((chains = argument_value(argc, argv, &i, "--chains", &missing)) && !missing) {
                vec_push(&now, ((Given){"chains", chains}));
                continue;
            }
            ArgumentIs is = run_argument(s, argc, argv, &i, err, sizeof err);
            if (is == ARGUMENT_OTHER) snprintf(err, sizeof err, missing ? "%.100s needs a value" : "there is no option %.100s", argv[i]);
            if (is != ARGUMENT_TAKEN) return usage_error(err);
        } else if (eq && eq != argv[i]) {
            vec_push(&now, ((Given){arena_strndup(arena, argv[i], (size_t)(eq - argv[i])), eq + 1}));
        } else {
            snprintf(err, sizeof err, "what is `%.100s`? a parameter is set as name=value", argv[i]);
            return usage_error(err);
        }
    }
    if (s->report) s->resume = s->quiet = true;
    Given *before;
    int nbefore, status = keep_recall(s, arena, &nbefore, &before);
    const RunProgram *program = p->program;
    Text given = {0};
    text_printf(&given, "{");
    for (int i = 0; i < program->ngiven && !status; i++)
        if (!has(now.data, now.n, program->given[i].name) && !has(before, nbefore, program->given[i].name)) add_given(&given, &program->given[i]);
    for (int i = 0; i < nbefore && !status; i++) {
        if (has(now.data, now.n, before[i].name)) continue;
        if (!is_built_in(program, &before[i])) status = set(p, &before[i]);
        add_given(&given, &before[i]);
    }
    for (int i = 0; i < now.n && !status; i++) {
        if (has(now.data, i, now.data[i].name)) snprintf(err, sizeof err, "`%.100s` is given twice", now.data[i].name), status = usage_error(err);
        if (!status) status = set(p, &now.data[i]);
        add_given(&given, &now.data[i]);
    }
    if (!status && (settings_settle(p->program, err, sizeof err) || settings_keep(program, err, sizeof err))) status = usage_error(err);
    text_printf(&given, "}");
    s->given = arena_strndup(arena, given.s, given.n);
    text_free(&given);
    vec_free(&now);
    return status;
}

int main(int argc, char **argv) {
    char err[400] = "", path[4096];
    Arena *arena = arena_new();
    const char *slash = argc ? strrchr(argv[0], '/') : NULL;
    if (argc) own_name = slash ? slash + 1 : argv[0];
    double begin = run_clock();
    Payload *p = payload_read("/proc/self/exe", arena, err, sizeof err);
    if (!p) {
        ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
        fprintf(stderr, "%s: %.*s: %s\n", own_name, (int)(n > 0 ? n : 0), path, err);
        return 70;
    }
    RunSettings s = {.folder = ".", .color = want_color()};
    RunEngine engine = payload_engine(p, arena);
    int status = read_arguments(p, argc, argv, &s, arena);
    if (status == 0 && payload_processor(p, err, sizeof err)) status = usage_error(err);
    bool seed_given = s.seed_given;
    if (status == 0 && !draw_seed(&s)) status = 70;
    if (status == 0 && !seed_given && !s.quiet) fprintf(stderr, "seed %u\n", s.seed);
    payload_engine_seed(&engine, s.seed);
    if (status == 0) status = run_program(p->program, &s, &engine, run_clock() - begin);
    if (status <= 0 && (fflush(stdout) != 0 || ferror(stdout))) {
        fprintf(stderr, "%s: cannot write to standard output: %s\n", own_name, strerror(errno));
        status = 74;
    }
    payload_engine_free(&engine);
    free(s.data);
    arena_free(arena);
    return status < 0 ? 0 : status;
}
