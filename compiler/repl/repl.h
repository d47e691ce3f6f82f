/* repl.h — the session at the prompt: what was declared, what of it has been run, and how a
 * text that is entered changes both.
 *
 *   repl.c      lqft, lqft repl: reads texts, lines or requests, until they end
 *   line.c      lines from a terminal (libedit) or from anything else
 *   json.c      lqft repl --json: one object a line
 *   eval.c      one text: declarations, expressions and commands, in their order
 *   commands.c  what begins with a colon
 *   entry.c     a declaration as it was typed: its names and what it mentions
 *   build.c     the program that the entries make, elaborated as a whole
 *   depend.c    on what the result of a task depends
 *   kept.c      results that outlive a program; measurements of kept configurations
 *   job.c       carries out tasks: the only place that calls what runs chains
 *   ask.c       questions about expressions: values, types, gradients
 *   print.c     results as text
 *   complete.c  names that may stand at the cursor, \phi for φ */
#ifndef LQFT_REPL_H
#define LQFT_REPL_H

#include "../run/run.h"

/* lqft repl, and lqft alone: an exit status. */
int repl_command(const RunOptions *o);

/* ==== entry.c ====================================================================== */

typedef VEC(const char *) NameList;

/* Where the user wrote a text: a file, or a line at the prompt. */
typedef struct Origin { const char *path, *text; size_t length; } Origin;

/* One declaration or task.  Entries never change; entering one anew makes another. */
typedef struct Entry {
    const char *text; size_t length;   /* as the program has it */
    size_t      prefix;                /* bytes of it that the user did not write: `report _ = ` */
    bool        passing;               /* asked once: not part of the session */
    DeclKind    kind;
    const char *keyword;
    NameList    names;                 /* that it declares; of a task, what it is called */
    NameList    mentions;              /* all names in it, those of fields and functions too */
    uint64_t    hash;                  /* of its tokens: comments and blanks do not count */
    const Origin *origin; size_t at;   /* where its own text begins there */
} Entry;
typedef VEC(const Entry *) Entries;

bool entry_is_task(const Entry *e);
bool entry_declares(const Entry *e, const char *name);
/* Does a take the place of b when it is entered? */
bool entry_replaces(const Entry *a, const Entry *b);
/* Entries made of the parts of a text; false when it does not parse: the sink of f knows why. */
bool entries_read(Arena *a, Front *f, const Origin *origin, size_t lo, size_t hi, Entries *out);
/* `report _ = text` and the like. */
const Entry *entry_passing(Arena *a, const char *prefix, const Origin *origin, size_t lo, size_t hi);
/* "sample phi", "report chi2" */
const char *entry_title(Arena *a, const Entry *e);

/* ==== kept.c: results ============================================================= */

/* The measurements of one chain task, with what recognises them in another program. */
typedef struct Chain {
    SampleData *data;
    uint64_t   *print;                 /* [data->nprimaries]: of what was measured */
    int         nprimaries;            /* without the configurations, which follow when they were kept */
} Chain;

/* What the tasks of an entry left. */
typedef struct Result {
    bool     done, interrupted;        /* done: it can be shown, and others can be computed from it */
    int      ntasks;                   /* so many of its tasks are whole */
    uint64_t key;                      /* of what it was computed from */
    VEC(Chain) chains;
    VEC(ReportResult *) reports;
    VEC(double *) found; VEC(int64_t) nfound;   /* of variables: minimised over, loaded, kept */
} Result;

/* ==== build.c ===================================================================== */

/* A program and the state of its tasks. */
typedef struct Build {
    Session     s;
    const RunOptions *options;
    const RunProgram *program;         /* the plan as the runtime has it; NULL when it is not sound */
    RunSettings settings;
    RunEngine   engine;
    RunResult   run;
    Entries     entries;
    uint32_t   *lo;                    /* [entries.n + 1]: where each begins in the program's text */
    Result     *results;               /* [entries.n] */
    uint64_t   *key;                   /* [entries.n]: of tasks */
    bool      **needs;                 /* [entries.n][entries.n]: is the one computed from the other? */
    bool        sound;
    VEC(Result) attic;                 /* of programs before: valid again when their keys are */
} Build;

enum { MAX_ATTIC = 4 };

typedef struct Repl {
    RunOptions  o;
    VEC(Override) overrides;
    Arena      *arena;                 /* of entries: as long as the session */
    Build      *build;                 /* never NULL */
    bool        terminal, json, stop;
    int         ninputs, nerrors;
    FILE       *out;                   /* results; messages go to stderr */
    double      started;
    VEC(const char *) svg;             /* written by this input, when JSON is spoken */
    const char *svg_folder;
    Text        diagnostics;           /* of this input, as JSON texts: json.c */
    void      (*on_diagnostics)(struct Repl *, const Sink *);
    const char *loaded;                /* the file that the session came from, or NULL */
    const Entry *resume;               /* the job that was interrupted */
    RunPause    pause;                 /* where it was then */
} Repl;

/* Never NULL; sound: without errors.  Messages stay in its sink, at the places of the user's texts. */
Build *build_new(Repl *r, const Entries *entries);
void   build_free(Build *b);
/* Entry whose text holds this place of the main text, or -1. */
int    build_entry_at(const Build *b, Span at);
int    build_find(const Build *b, const Entry *e);
/* Messages point into the texts that the user wrote. */
void   build_relocate(Build *b);
/* Takes results of the program before over that are still valid. */
void   build_inherit(Build *b, Build *before);
/* The tasks of entry i: their numbers in the plan from *first on; how many. */
int    build_tasks(const Build *b, int i, Task **out, int most);
bool   build_is_stale(const Build *b, int i);
/* Tasks of the plan in the program, and back. */
const RunSample  *build_sample(const Build *b, const SampleTask *t);
const RunReport  *build_report(const Build *b, const ReportTask *t);
const SampleTask *build_sample_task(const Build *b, const RunSample *t);
const ReportTask *build_report_task(const Build *b, const RunReport *t);
int    build_variable(const Build *b, const Variable *v);

/* ==== depend.c ==================================================================== */

/* Fills needs and key. */
void depend_all(Repl *r, Build *b);
/* A number that is the same for equal computations in any program. */
uint64_t fingerprint(const Ir *ir, Ref root);
/* Of the elements of a constant array, and of the random numbers that a function draws. */
uint64_t fingerprint_draws(const IrFunc *f);

/* ==== kept.c ====================================================================== */

/* Measure the configurations of samples themselves, as far as memory goes: so that what is asked
 * later can be measured on them. */
void kept_plan(Build *b);
/* The data of a finished sample task as a chain. */
Chain kept_chain(const Build *b, const SampleTask *t, SampleData *d);
/* Moves a chain into the program b, as that of the task t. */
Chain kept_adopt(Build *b, const SampleTask *t, Chain *from);
bool  kept_has(const Chain *c, int primary);
/* Measures what is wanted on the kept configurations. */
typedef enum KeptState { KEPT_MEASURED, KEPT_MISSING, KEPT_STOPPED, KEPT_FAILED } KeptState;
KeptState kept_measure(Build *b, Chain *c, const bool *wanted);
void  result_free(Result *r);

/* ==== job.c ======================================================================= */

/* Runs the tasks of entry i, and first what they need.  0, or an exit status after a message. */
int  job_run(Repl *r, Build *b, int i);
/* Goes on with the one that was interrupted, from where it was: the draws that it would have made. */
int  job_resume(Repl *r, Build *b, int i);
/* The series that a task is made from; primary -1: what the method watches. */
typedef struct Wish { const SampleTask *sample; int primary; } Wish;
typedef VEC(Wish) Wishes;
void wishes_of(const Task *t, Wishes *w);
/* The chain of a task, or NULL. */
Chain *job_chain(Build *b, const SampleTask *t);

/* ==== eval.c ====================================================================== */

/* A whole text: 0, or 1 when something in it failed. */
int  eval_text(Repl *r, const char *name, const char *text, size_t length);
/* Enters these; runs the tasks among them when `carry_out`. */
int  eval_enter(Repl *r, const Entries *fresh, bool carry_out);
/* Tasks asked once; quiet: no messages, and 1 when it has errors. */
int  eval_passing(Repl *r, const Entry *e, bool quiet);
/* Carries out entry i of the program where that is needed, and shows the result. */
int  eval_run(Repl *r, int i);
/* Shows what a job left that ended with this status; the status. */
int  eval_shown(Repl *r, int i, int status);
/* Does the text end where more is wanted?  Commands are always whole. */
bool eval_is_open(const char *text, size_t length);
const Origin *eval_origin(Repl *r, const char *path, const char *text, size_t length);
/* Makes b the program of the session. */
void eval_accept(Repl *r, Build *b);
/* Prints the messages of a front end, or leaves them to JSON. */
void eval_messages(Repl *r, Front *f);
int  eval_complain(Repl *r, const char *fmt, ...) LQ_PRINTF(2, 3);

/* ==== commands.c ================================================================== */

int  command_run(Repl *r, const char *line);
int  command_names(const char **out, int most);

/* ==== ask.c ======================================================================= */

int  ask_type(Repl *r, const char *text, bool shape);
int  ask_gradient(Repl *r, const char *text, const char *by);
/* What an expression is that no report can show: a set, a function, a condition.  False: an error. */
bool ask_describe(Repl *r, const char *text, size_t length, Text *out);
/* Signature, size and comment of a name; false when there is none. */
bool ask_doc(Repl *r, const char *name, Text *out);
void ask_forces(Repl *r);

/* ==== print.c ===================================================================== */

void print_result(Repl *r, Build *b, int i);
void print_session(Repl *r);

/* ==== complete.c ================================================================== */

typedef struct Completions { VEC(const char *) names; int start; Arena *arena; } Completions;
/* What may stand for the word that ends at byte `cursor`; start: where it begins. */
void complete(Repl *r, const char *text, int cursor, Completions *out);
void completions_free(Completions *c);
/* "phi" to "φ", or NULL. */
const char *symbol_of(const char *name);

/* ==== line.c, json.c ============================================================== */

typedef struct Lines Lines;
Lines *lines_new(Repl *r);
/* The next line without its end, or NULL; *interrupted: by ^C, and not at the end of the input. */
const char *lines_next(Lines *l, bool more, size_t *length, bool *interrupted);
void  lines_remember(Lines *l, const char *text);
void  lines_free(Lines *l);
int   json_loop(Repl *r);

#endif
