/* main.c — the command line (language reference §9). */
#include "repl/repl.h"
#include "run/run.h"
#include "tools/tools.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef LQFT_STDLIB
#define LQFT_STDLIB "stdlib"
#endif
#ifndef LQFT_VERSION
#define LQFT_VERSION "unknown"
#endif

static int usage_error(const char *fmt, ...) LQ_PRINTF(1, 2);
static int usage_error(const char *fmt, ...) {
    va_list ap;
    fprintf(stderr, "lqft: ");
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\n");
    help_usage(stderr);
    return 2;
}

/* The standard library: $LQFT_STDLIB, beside the binary, or where it was built. */
static const char *find_library(Arena *a) {
    const char *env = getenv("LQFT_STDLIB");
    if (env && *env) return env;
    char exe[4096];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (n > 0) {
        exe[n] = 0;
        const char *folder = path_folder(a, exe);
        const char *beside[] = {arena_printf(a, "%s/../stdlib", folder), arena_printf(a, "%s/../share/lqft/stdlib", folder)};
        for (int i = 0; i < LQ_COUNT(beside); i++)
            if (access(arena_printf(a, "%s/prelude.lqft", beside[i]), R_OK) == 0)
                return realpath(beside[i], exe) ? arena_strndup(a, exe, strlen(exe)) : beside[i];
    }
    return LQFT_STDLIB;
}

static int check_input(const char *path) {
    struct stat st;
    if (stat(path, &st) != 0) {
        fprintf(stderr, "lqft: %s: %s\n", path, strerror(errno));
        return 66;
    }
    if (S_ISDIR(st.st_mode)) {
        fprintf(stderr, "lqft: %s is a folder, not a model file\n", path);
        return 66;
    }
    if (access(path, R_OK) != 0) {
        fprintf(stderr, "lqft: %s: %s\n", path, strerror(errno));
        return 66;
    }
    return 0;
}

typedef struct CommandLine {
    RunOptions  o;
    VEC(Override) overrides;
    VEC(Open)   open;
    const char *command, *what;
    Arena      *arena;
} CommandLine;

static bool is_override(const char *arg) {
    const char *eq = strchr(arg, '=');
    return eq && eq != arg && arg[0] != '-' && !strchr("/.", arg[0]) && (isalpha((unsigned char)arg[0]) || arg[0] == '_' || (arg[0] & 0x80));
}

/* L=16,32,64 */
static int parse_open(CommandLine *c, const char *text) {
    const char *eq = strchr(text, '=');
    int n = 1, variants = 1;
    if (!eq || eq == text) return usage_error("--open is followed by name=value,value,…, not `%s`", text);
    for (const char *s = eq; *s; s++) n += *s == ',';
    const char **values = arena_alloc(c->arena, (size_t)n * sizeof *values);
    Open open = {intern_n(text, (size_t)(eq - text)), n, values};
    for (const char *s = eq + 1; n > 0; n--) {
        size_t length = strcspn(s, ",");
        if (!length) return usage_error("a value is missing in `%s`", text);
        values[open.n - n] = arena_strndup(c->arena, s, length);
        s += length + 1;
    }
    for (int i = 0; i < open.n; i++)
        for (int k = 0; k < i; k++)
            if (!strcmp(values[i], values[k])) return usage_error("`%s` is given twice in `%s`", values[i], text);
    for (int i = 0; i < c->open.n; i++)
        if (c->open.data[i].name == open.name) return usage_error("`%s` is open twice", open.name);
    vec_push(&c->open, open);
    for (int i = 0; i < c->open.n && variants <= MOST_VARIANTS; i++) variants *= c->open.data[i].n;
    if (c->open.n > MOST_OPEN || variants > MOST_VARIANTS) return usage_error("there would be code for more than %d combinations", MOST_VARIANTS);
    return 0;
}

static int parse_option(CommandLine *c, int argc, char **argv, int *i) {
    bool missing = false;
    const char *v, *arg = argv[*i];
    char err[300] = "";
    int64_t n;
    if (!help_has_option(c->command, arg)) return usage_error("`lqft %s` has no option %s", c->command, arg);
    ArgumentIs is = run_argument(&c->o.run, argc, argv, i, err, sizeof err);
    if (is == ARGUMENT_WRONG) return usage_error("%s", err);
    if (is == ARGUMENT_TAKEN) return 0;
    if ((v = argument_value(argc, argv, i, "--chains", &missing)) && !missing) {
        if (!argument_count(v, 1, 1 << 20, &n)) return usage_error("a number of chains is a whole number from 1 to 1048576, not `%s`", v);
        Override o = {.name = "chains", .text = v};
        vec_push(&c->overrides, o);
    } else if ((v = argument_value(argc, argv, i, "--device", &missing)) && !missing) {
        if (!strcmp(v, "cpu")) c->o.device = DEVICE_CPU;
        else if (!strcmp(v, "interp")) c->o.device = DEVICE_INTERP;
        else if (!strcmp(v, "cpu-O0")) c->o.device = DEVICE_CPU_O0;
        else return usage_error("a device is cpu or interp, not `%s`", v);
    } else if ((v = argument_value(argc, argv, i, "--lanes", &missing)) && !missing) {
        if (!strcmp(v, "chains")) c->o.lanes = LANES_CHAINS;
        else if (!strcmp(v, "sites")) c->o.lanes = LANES_SITES;
        else if (strcmp(v, "cheapest") != 0) return usage_error("lanes are chains, sites or cheapest, not `%s`", v);
    } else if ((v = argument_value(argc, argv, i, "-o", &missing)) && !missing) c->o.target = v;
    else if ((v = argument_value(argc, argv, i, "--open", &missing)) && !missing) return parse_open(c, v);
    else if (!strcmp(arg, "--portable")) c->o.portable = true;
    else if (!strcmp(arg, "--shared")) c->o.shared = true;
    else if (missing) return usage_error("%s needs a value", arg);
    else return usage_error("there is no option %s", arg);
    return 0;
}

static int parse_arguments(CommandLine *c, int argc, char **argv) {
    c->command = argv[1];
    for (int i = 2; i < argc; i++) {
        int status = 0;
        if (argv[i][0] == '-' && argv[i][1]) status = parse_option(c, argc, argv, &i);
        else if (is_override(argv[i])) {
            char *eq = strchr(argv[i], '=');
            Override o = {.name = intern_n(argv[i], (size_t)(eq - argv[i])), .text = eq + 1};
            vec_push(&c->overrides, o);
        } else if (!c->o.path) c->o.path = argv[i];
        else if (!c->what) c->what = argv[i];
        else status = usage_error("what is `%s`? a parameter is set as name=value", argv[i]);
        if (status) return status;
    }
    for (int i = 0; i < c->overrides.n; i++)            /* --chains among them */
        for (int k = 0; k < i; k++)
            if (!strcmp(c->overrides.data[k].name, c->overrides.data[i].name)) return usage_error("`%s` is given twice", c->overrides.data[i].name);
    for (int i = 0; i < c->open.n; i++)
        for (int k = 0; k < c->overrides.n; k++)
            if (c->overrides.data[k].name == c->open.data[i].name) return usage_error("`%s` is open, and has a value", c->open.data[i].name);
    c->o.overrides = c->overrides.data, c->o.noverrides = c->overrides.n;
    c->o.open = c->open.data, c->o.nopen = c->open.n;
    return 0;
}

static int explain(const char *code) {
    if (!code) return usage_error("explain needs a code, such as E0207");
    char upper[16] = "";
    for (int i = 0; code[i] && i < 15; i++) upper[i] = (char)toupper((unsigned char)code[i]);
    const char *page = diag_explain(upper);
    if (!page) {
        fprintf(stderr, "lqft: there is no error called %.40s; codes look like E0207\n", code);
        return 2;
    }
    fputs(page, stdout);
    return 0;
}

/* To resume a run is to run it with the seed and the parameters that it has. */
static int recall(CommandLine *c) {
    Given *given;
    int n, status = keep_recall(&c->o.run, c->arena, &n, &given);
    for (int i = 0; i < n; i++) {
        bool now = false;
        for (int k = 0; k < c->overrides.n; k++) now |= !strcmp(c->overrides.data[k].name, given[i].name);
        Override o = {.name = intern(given[i].name), .text = given[i].text};
        if (!now) vec_push(&c->overrides, o);
    }
    c->o.overrides = c->overrides.data, c->o.noverrides = c->overrides.n;
    return status;
}

/* The model of the run in a directory, with its seed and parameters: nothing is run. */
static int report(CommandLine *c) {
    if (!c->o.path) return usage_error("which run directory?");
    c->o.run.out = c->o.path;
    c->o.run.resume = c->o.run.report = c->o.run.quiet = true;
    c->o.path = keep_program(&c->o.run, c->arena);
    if (!c->o.path) return 66;
    int status = check_input(c->o.path);
    return status ? status : recall(c) ? 65 : run_model(&c->o);
}

static int dispatch(CommandLine *c) {
    bool run = !strcmp(c->command, "run"), check = !strcmp(c->command, "check"), show = !strcmp(c->command, "show");
    if (!strcmp(c->command, "explain")) return explain(c->o.path);
    if (!strcmp(c->command, "words")) return list_words(stdout);
    if (!strcmp(c->command, "completion"))
        return c->o.path && help_completion(stdout, c->o.path) ? 0 : usage_error("completion for which shell? bash, zsh or fish");
    if (!strcmp(c->command, "report")) return report(c);
    if (!strcmp(c->command, "repl")) return c->what ? usage_error("what is `%s`? a parameter is set as name=value", c->what) : repl_command(&c->o);
    if (!strcmp(c->command, "man")) return help_man(stdout, c->o.path) ? 0 : usage_error("there is no page of `%s`", c->o.path);
    if (!c->o.path) return usage_error("which model file?");
    if (show && !c->what) return usage_error("show what? ast, force, ir, kernels or llvm");
    if (!show && c->what) return usage_error("what is `%s`? a parameter is set as name=value", c->what);
    int status = check_input(c->o.path);
    if (status) return status;
    if (!strcmp(c->command, "build") && c->o.shared && c->open.n) return usage_error("a library has one value for each name: --open is for executables");
    if (!strcmp(c->command, "build")) return c->o.target ? build_model(&c->o) : usage_error("build needs the name of what is to be made: -o PROGRAM");
    if (run) return recall(c) ? 65 : draw_seed(&c->o.run) ? run_model(&c->o) : 70;
    if (check) return check_model(&c->o);
    return show_model(&c->o, c->what);
}

static int no_command(const char *name) {
    const char *commands[32];
    const char *near = diag_nearest(name, commands, help_commands(commands, LQ_COUNT(commands)));
    return usage_error("there is no command `%s`%s%s%s", name, near ? "; did you mean `" : "", near ? near : "", near ? "`?" : "");
}

/* lqft alone: the prompt. */
static int prompt_alone(void) {
    Arena *arena = arena_new();
    RunOptions o = {.run = {.color = want_color()}, .library = find_library(arena)};
    int status = repl_command(&o);
    arena_free(arena);
    return status;
}

static int command_line(int argc, char **argv) {
    if (argc < 2) return prompt_alone();
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        if (argc < 3 || !help_command(stdout, argv[2])) help_usage(stdout);
        return 0;
    }
    if (!strcmp(argv[1], "--version")) {
        printf("lqft %s\n", LQFT_VERSION);
        return 0;
    }
    if (!help_knows(argv[1])) return no_command(argv[1]);
    for (int i = 2; i < argc; i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) return help_command(stdout, argv[1]) ? 0 : 70;
    if (!strcmp(argv[1], "fmt")) return fmt_command(argc - 2, argv + 2, want_color());
    Arena *arena = arena_new();
    if (!strcmp(argv[1], "doc")) {
        int done = doc_command(argc - 2, argv + 2, find_library(arena), want_color());
        arena_free(arena);
        return done;
    }
    CommandLine c = {.o = {.run = {.color = want_color()}}, .arena = arena};
    int status = parse_arguments(&c, argc, argv);
    c.o.library = find_library(arena);
    if (status == 0) status = dispatch(&c);
    vec_free(&c.overrides), vec_free(&c.open);
    free(c.o.run.data);
    arena_free(arena);
    return status;
}

/* Deep expressions and calls nest deeply in the elaborator; the stack grows on demand. */
static void raise_stack_limit(void) {
    struct rlimit limit;
    rlim_t want = (rlim_t)120 << 20;
    if (getrlimit(RLIMIT_STACK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= want) return;
    limit.rlim_cur = limit.rlim_max == RLIM_INFINITY || limit.rlim_max > want ? want : limit.rlim_max;
    setrlimit(RLIMIT_STACK, &limit);
}

int main(int argc, char **argv) {
    raise_stack_limit();
    int status = command_line(argc, argv);
    if (status == 0 && (fflush(stdout) != 0 || ferror(stdout))) {
        fprintf(stderr, "lqft: cannot write to standard output: %s\n", strerror(errno));
        status = 74;
    }
    return status;
}
