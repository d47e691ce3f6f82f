/* help.c — everything that is made from the table of the command line (options.def): --help,
 * man pages, completions for bash, zsh and fish. */
#include "tools.h"

#include <ctype.h>
#include <string.h>

static const struct Command { const char *name, *arguments, *summary, *more; } commands[] = {
#define COMMAND(name, arguments, summary, more) {name, arguments, summary, more},
#define OPTION(commands, name, value, what)
#include "options.def"
#undef COMMAND
#undef OPTION
};

static const struct CommandOption { const char *commands, *name, *value, *what; } options[] = {
#define COMMAND(name, arguments, summary, more)
#define OPTION(commands, name, value, what) {commands, name, value, what},
#include "options.def"
#undef COMMAND
#undef OPTION
};

static const char shows[] = "ast force ir kernels llvm";

/* Is it one of the words, which are separated by blanks? */
static bool in_words(const char *words, const char *word) {
    size_t n = strlen(word);
    for (const char *s = words; (s = strstr(s, word)) != NULL; s += n)
        if ((s == words || s[-1] == ' ') && (s[n] == ' ' || !s[n])) return true;
    return false;
}

static const struct Command *find(const char *name) {
    for (int i = 0; name && i < LQ_COUNT(commands); i++)
        if (!strcmp(commands[i].name, name)) return &commands[i];
    return NULL;
}

bool help_knows(const char *name) { return find(name) != NULL; }

int help_commands(const char **out, int most) {
    int n = 0;
    for (; n < LQ_COUNT(commands) && n < most; n++) out[n] = commands[n].name;
    return n;
}

bool help_has_option(const char *command, const char *arg) {
    size_t n = strcspn(arg, "=");
    for (int i = 0; i < LQ_COUNT(options); i++)
        if (strlen(options[i].name) == n && !strncmp(options[i].name, arg, n) && in_words(options[i].commands, command)) return true;
    return false;
}

/* ---- --help ---------------------------------------------------------------------------- */

static int columns(const char *s) {
    int n = 0;
    for (; *s; s++) n += ((unsigned char)*s & 0xC0) != 0x80;
    return n;
}

enum { WIDEST = 110 };

/* Two columns, the second broken at blanks; indent: what stands before the first. */
static void row(FILE *out, int indent, const char *left, const char *right, int width) {
    int column = fprintf(out, "%s%*s", left, width - columns(left) > 1 ? width - columns(left) : 2, "") - (int)strlen(left) + columns(left) + indent;
    for (bool first = true; *right; first = false) {
        int n = (int)strcspn(right, " ");
        char word[200];
        snprintf(word, sizeof word, "%.*s", n, right);
        if (!first && column + 1 + columns(word) > WIDEST) column = fprintf(out, "\n%*s", width + indent, "") - 1, first = true;
        fprintf(out, "%s%s", first ? "" : " ", word);
        column += columns(word) + !first;
        right += n;
        while (*right == ' ') right++;
    }
    fputc('\n', out);
}

void help_usage(FILE *out) {
    for (int i = 0; i < LQ_COUNT(commands); i++) {
        Text t = {0};
        text_printf(&t, "lqft %s %s", commands[i].name, commands[i].arguments);
        fprintf(out, "%s ", i ? "      " : "usage:");
        row(out, 7, t.s, commands[i].summary, 48);
        text_free(&t);
    }
    fprintf(out, "       lqft --version | --help\n`lqft COMMAND --help` lists the options of a command.\n");
}

/* Paragraphs, broken at 92 columns. */
static void paragraphs(FILE *out, const char *s) {
    int column = 0;
    while (*s) {
        if (*s == '\n') {
            fprintf(out, "\n\n");
            column = 0;
            while (*s == '\n') s++;
        }
        int n = (int)strcspn(s, " \n");
        if (column > 0 && column + n + 1 > 92) fputc('\n', out), column = 0;
        fprintf(out, "%s%.*s", column ? " " : "", n, s);
        column += n + (column > 0);
        s += n;
        while (*s == ' ') s++;
    }
    fputc('\n', out);
}

bool help_command(FILE *out, const char *name) {
    const struct Command *c = find(name);
    if (!c) return false;
    fprintf(out, "usage: lqft %s%s%s\n\n", c->name, *c->arguments ? " " : "", c->arguments);
    paragraphs(out, c->more);
    fprintf(out, "\n");
    for (int i = 0; i < LQ_COUNT(options); i++) {
        if (!in_words(options[i].commands, name)) continue;
        Text t = {0};
        text_printf(&t, "%s%s%s", options[i].name, options[i].value ? " " : "", options[i].value ? options[i].value : "");
        fprintf(out, "  ");
        row(out, 2, t.s, options[i].what, 32);
        text_free(&t);
    }
    return true;
}

/* ---- man pages ------------------------------------------------------------------------------ */

static void roff(FILE *out, const char *s) {
    for (bool begins = true; *s; begins = *s == '\n', s++) {
        if (begins && (*s == '.' || *s == '\'')) fprintf(out, "\\&");
        if (*s == '\\') fprintf(out, "\\e");
        else if (*s == '-') fprintf(out, "\\-");
        else if (*s == '`') { /* code: bold */
            const char *end = strchr(s + 1, '`');
            if (!end) { fputc('`', out); continue; }
            fprintf(out, "\\fB");
            for (const char *k = s + 1; k < end; k++) fprintf(out, *k == '-' ? "\\-" : "%c", *k);
            fprintf(out, "\\fR");
            s = end;
        } else if (*s == '\n') {
            while (s[1] == '\n') s++;
            fprintf(out, "\n.PP\n");
        } else fputc(*s, out);
    }
    fputc('\n', out);
}

static void man_options(FILE *out, const char *command) {
    bool any = false;
    for (int i = 0; i < LQ_COUNT(options); i++) {
        if (!in_words(options[i].commands, command)) continue;
        if (!any) fprintf(out, ".SH OPTIONS\n");
        any = true;
        fprintf(out, ".TP\n\\fB");
        for (const char *s = options[i].name; *s; s++) fprintf(out, *s == '-' ? "\\-" : "%c", *s);
        fprintf(out, "\\fR");
        if (options[i].value) fprintf(out, " \\fI%s\\fR", options[i].value);
        fprintf(out, "\n");
        roff(out, options[i].what);
    }
}

static void man_status(FILE *out) {
    static const char *const rows[][2] = {
        {"0", "done"}, {"1", "the program has errors, or a check failed"}, {"2", "usage"}, {"3", "a diagnostic failed, with --strict"},
        {"66", "no such file"}, {"70", "an internal error, or a number that is not finite"},
        {"73, 74", "a file cannot be created, cannot be written"}, {"75", "interrupted, with the results so far"}};
    fprintf(out, ".SH EXIT STATUS\n");
    for (int i = 0; i < LQ_COUNT(rows); i++) fprintf(out, ".TP\n\\fB%s\\fR\n", rows[i][0]), roff(out, rows[i][1]);
}

static void man_environment(FILE *out) {
    static const char *const rows[][2] = {
        {"LQFT_STDLIB", "the folder of the standard library, when it is not the one that was installed"},
        {"LQFT_CACHE", "the folder of compiled code, by default lqft below XDG_CACHE_HOME or ~/.cache"},
        {"NO_COLOR", "no coloured messages"}};
    fprintf(out, ".SH ENVIRONMENT\n");
    for (int i = 0; i < LQ_COUNT(rows); i++) fprintf(out, ".TP\n\\fB%s\\fR\n", rows[i][0]), roff(out, rows[i][1]);
}

static void man_main(FILE *out) {
    fprintf(out, ".TH LQFT 1 \"\" \"lqft\" \"User commands\"\n.SH NAME\nlqft \\- lattice quantum field theory from what stands on the blackboard\n"
                 ".SH SYNOPSIS\n.B lqft\n.I COMMAND\n\\&...\n.SH DESCRIPTION\n");
    roff(out, "A model is a text: fields, an action, observables. lqft derives the force, turns everything into vector code while "
              "the program starts, runs many Markov chains at once, and prints every number with its statistical error.");
    fprintf(out, ".SH COMMANDS\n");
    for (int i = 0; i < LQ_COUNT(commands); i++) {
        fprintf(out, ".TP\n\\fB%s\\fR \\fI", commands[i].name);
        for (const char *s = commands[i].arguments; *s; s++) fprintf(out, *s == '-' ? "\\-" : "%c", *s);
        fprintf(out, "\\fR\n");
        roff(out, commands[i].summary);
    }
    man_status(out);
    man_environment(out);
    fprintf(out, ".SH SEE ALSO\n");
    for (int i = 0; i < LQ_COUNT(commands); i++) fprintf(out, ".BR lqft\\-%s (1)%s\n", commands[i].name, i + 1 < LQ_COUNT(commands) ? "," : "");
}

bool help_man(FILE *out, const char *name) {
    const struct Command *c = find(name);
    if (!name) return man_main(out), true;
    if (!c) return false;
    fprintf(out, ".TH LQFT\\-");
    for (const char *s = name; *s; s++) fputc(toupper((unsigned char)*s), out);
    fprintf(out, " 1 \"\" \"lqft\" \"User commands\"\n.SH NAME\nlqft\\-%s \\- ", name);
    roff(out, c->summary);
    fprintf(out, ".SH SYNOPSIS\n.B lqft %s\n", name);
    if (*c->arguments) roff(out, c->arguments);
    fprintf(out, ".SH DESCRIPTION\n");
    roff(out, c->more);
    man_options(out, name);
    man_status(out);
    fprintf(out, ".SH SEE ALSO\n.BR lqft (1)\n");
    return true;
}

/* ---- completions ------------------------------------------------------------------------------- */

static void options_of(FILE *out, const char *command) {
    bool any = false;
    for (int i = 0; i < LQ_COUNT(options); i++)
        if (in_words(options[i].commands, command)) fprintf(out, "%s%s", any ? " " : "", options[i].name), any = true;
}

/* cpu|interp as words between blanks. */
static void choices(FILE *out, const char *value) {
    for (; *value; value++) fputc(*value == '|' ? ' ' : *value, out);
}

static bool has_choices(const char *value) { return value && strchr(value, '|'); }

static void complete_bash(FILE *out) {
    fprintf(out, "# bash completion of lqft; written by `lqft completion bash`\n_lqft() {\n"
                 "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]} words=\n"
                 "    COMPREPLY=()\n    if ((COMP_CWORD == 1)); then\n        COMPREPLY=($(compgen -W '");
    for (int i = 0; i < LQ_COUNT(commands); i++) fprintf(out, "%s ", commands[i].name);
    fprintf(out, "--help --version' -- \"$cur\"))\n        return\n    fi\n    case $command:$prev in\n");
    for (int i = 0; i < LQ_COUNT(options); i++) {
        if (!options[i].value) continue;
        fprintf(out, "        *:%s) ", options[i].name);
        if (has_choices(options[i].value)) fprintf(out, "words='"), choices(out, options[i].value), fprintf(out, "' ;;\n");
        else if (!strcmp(options[i].value, "DIR")) fprintf(out, "compopt -o filenames; COMPREPLY=($(compgen -d -- \"$cur\")); return ;;\n");
        else fprintf(out, "return ;;\n");
    }
    fprintf(out, "        show:*.lqft) [[ $cur == -* ]] || words='%s' ;;\n        completion:completion) [[ $cur == -* ]] || words='bash zsh fish' ;;\n"
                 "        man:man) [[ $cur == -* ]] || words='", shows);
    for (int i = 0; i < LQ_COUNT(commands); i++) fprintf(out, "%s%s", i ? " " : "", commands[i].name);
    fprintf(out, "' ;;\n    esac\n    if [[ -z $words ]]; then\n        case $command in\n");
    for (int i = 0; i < LQ_COUNT(commands); i++) {
        fprintf(out, "            %s) words='", commands[i].name);
        options_of(out, commands[i].name);
        fprintf(out, "' ;;\n");
    }
    fprintf(out,
            "        esac\n"
            "        # options when one was begun; else files, and parameters of the model that was named\n"
            "        if [[ $cur != -* ]]; then\n"
            "            words=\n"
            "            compopt -o filenames\n"
            "            COMPREPLY=($(compgen -f -X '!*.lqft' -- \"$cur\") $(compgen -d -- \"$cur\"))\n"
            "            local w\n"
            "            for w in \"${COMP_WORDS[@]:2}\"; do\n"
            "                if [[ $w == *.lqft && -r $w && $w != \"$cur\" && $command != @(fmt|doc) ]]; then\n"
            "                    compopt +o filenames -o nospace\n"
            "                    COMPREPLY=($(compgen -S = -W \"$(sed -n 's/^param  *\\([A-Za-z0-9_]*\\).*/\\1/p' \"$w\") chains warmup draws thin\" -- \"$cur\"))\n"
            "                fi\n"
            "            done\n"
            "            return\n"
            "        fi\n"
            "    fi\n"
            "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
            "}\ncomplete -F _lqft lqft\n");
}

/* Text within single quotes of a shell, without what the place itself reads as a mark. */
static void quoted(FILE *out, const char *s, const char *marks) {
    for (; *s; s++) {
        if (*s == '\'') fprintf(out, "'\\''");
        else if (strchr(marks, *s)) fprintf(out, "\\%c", *s);
        else fputc(*s, out);
    }
}

static void complete_zsh(FILE *out) {
    fprintf(out, "#compdef lqft\n# zsh completion of lqft; written by `lqft completion zsh`\n_lqft() {\n  local -a commands\n  commands=(\n");
    for (int i = 0; i < LQ_COUNT(commands); i++) {
        fprintf(out, "    '%s:", commands[i].name);
        quoted(out, commands[i].summary, ":");
        fprintf(out, "'\n");
    }
    fprintf(out, "  )\n  if (( CURRENT == 2 )); then\n    _describe command commands\n    return\n  fi\n"
                 "  local command=$words[2]\n  shift words\n  (( CURRENT-- ))\n  case $command in\n");
    for (int i = 0; i < LQ_COUNT(commands); i++) {
        const char *name = commands[i].name;
        fprintf(out, "    %s)\n      _arguments", name);
        for (int k = 0; k < LQ_COUNT(options); k++) {
            if (!in_words(options[k].commands, name)) continue;
            fprintf(out, " \\\n        '*%s[", options[k].name);
            quoted(out, options[k].what, "[]:");
            fprintf(out, "]");
            if (has_choices(options[k].value)) fprintf(out, ":value:("), choices(out, options[k].value), fprintf(out, ")");
            else if (options[k].value) fprintf(out, ":%s:%s", options[k].value, !strcmp(options[k].value, "DIR") ? "_files -/" : " ");
            fprintf(out, "'");
        }
        if (!strcmp(name, "show")) fprintf(out, " \\\n        '1:model:_files -g \"*.lqft\"' '2:what:(%s)' '*:parameter:_lqft_parameters'", shows);
        else if (!strcmp(name, "run") || !strcmp(name, "check")) fprintf(out, " \\\n        '1:model:_files -g \"*.lqft\"' '*:parameter:_lqft_parameters'");
        else if (!strcmp(name, "fmt") || !strcmp(name, "doc")) fprintf(out, " \\\n        '*:model:_files -g \"*.lqft\"'");
        else if (!strcmp(name, "completion")) fprintf(out, " \\\n        '1:shell:(bash zsh fish)'");
        else if (!strcmp(name, "man")) {
            fprintf(out, " \\\n        '1:command:(");
            for (int k = 0; k < LQ_COUNT(commands); k++) fprintf(out, "%s%s", k ? " " : "", commands[k].name);
            fprintf(out, ")'");
        }
        fprintf(out, "\n      ;;\n");
    }
    fprintf(out, "  esac\n}\n"
                 "_lqft_parameters() {\n  local w\n  for w in $words; do\n    [[ $w == *.lqft && -r $w ]] || continue\n"
                 "    compadd -S = -- ${(f)\"$(sed -n 's/^param  *\\([A-Za-z0-9_]*\\).*/\\1/p' $w)\"} chains warmup draws thin\n    return\n  done\n}\n"
                 "if [[ $funcstack[1] == _lqft ]]; then _lqft \"$@\"; else compdef _lqft lqft; fi\n");
}

static void complete_fish(FILE *out) {
    fprintf(out, "# fish completion of lqft; written by `lqft completion fish`\n"
                 "function __lqft_parameters\n    for w in (commandline -opc)\n        if string match -q '*.lqft' -- $w; and test -r $w\n"
                 "            sed -n 's/^param  *\\([A-Za-z0-9_]*\\).*/\\1=/p' $w\n            printf '%%s\\n' chains= warmup= draws= thin=\n        end\n    end\nend\n"
                 "complete -c lqft -f\n");
    for (int i = 0; i < LQ_COUNT(commands); i++) {
        fprintf(out, "complete -c lqft -n __fish_use_subcommand -a %s -d '", commands[i].name);
        quoted(out, commands[i].summary, "");
        fprintf(out, "'\n");
    }
    for (int i = 0; i < LQ_COUNT(options); i++) {
        const char *name = options[i].name;
        fprintf(out, "complete -c lqft -n '__fish_seen_subcommand_from %s' %s %s -d '", options[i].commands, name[1] == '-' ? "-l" : "-s",
                name + (name[1] == '-' ? 2 : 1));
        quoted(out, options[i].what, "");
        fprintf(out, "'");
        if (has_choices(options[i].value)) fprintf(out, " -x -a '"), choices(out, options[i].value), fprintf(out, "'");
        else if (options[i].value && !strcmp(options[i].value, "DIR")) fprintf(out, " -x -a '(__fish_complete_directories)'");
        else if (options[i].value) fprintf(out, " -x");
        fprintf(out, "\n");
    }
    fprintf(out, "complete -c lqft -n '__fish_seen_subcommand_from run check show fmt doc' -a '(__fish_complete_suffix .lqft)'\n"
                 "complete -c lqft -n '__fish_seen_subcommand_from run check show' -a '(__lqft_parameters)'\n"
                 "complete -c lqft -n '__fish_seen_subcommand_from show' -a '%s'\n"
                 "complete -c lqft -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish'\n"
                 "complete -c lqft -n '__fish_seen_subcommand_from man' -a '", shows);
    for (int i = 0; i < LQ_COUNT(commands); i++) fprintf(out, "%s%s", i ? " " : "", commands[i].name);
    fprintf(out, "'\n");
}

bool help_completion(FILE *out, const char *shell) {
    if (!strcmp(shell, "bash")) complete_bash(out);
    else if (!strcmp(shell, "zsh")) complete_zsh(out);
    else if (!strcmp(shell, "fish")) complete_fish(out);
    else return false;
    return true;
}
