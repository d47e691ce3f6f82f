/* run.h — carrying out a program: running its chains and minimisations, turning series into
 * numbers with errors, and keeping what was done.
 *
 *   run.c       the tasks in order; the results
 *   arguments.c the options of a run on a command line
 *   sample.c    the chains of a sample, in blocks of lanes, over threads
 *   minimize.c  the iterations of a minimisation
 *   variables.c the values that minimisations find
 *   progress.c  the line that shows how far a task is; interruptions
 *   keep.c      the run directory: measurements, checkpoints, going on from one
 *   keep_run.c  run.json;  keep_columns.c: names in measurements.h5
 *   pause.c     going on from a state in memory
 *   summary.c   statistics of the report expressions (Γ-method, tau_int, R-hat, ESS)
 *   output.c    the table, the JSON object, diagnostics
 *   plots.c     figures of the plot declarations
 *   saves.c     files of the save declarations
 *   page.c      all of it as one HTML page */
#ifndef LQFT_RUN_RUN_H
#define LQFT_RUN_RUN_H

#include "program.h"

typedef struct RunSettings {
    uint32_t    seed; bool seed_given;
    int         threads;              /* 0: all cores */
    const char **data; int ndata;     /* folders to read data from, beside the model's own */
    const char *folder;               /* where files are read, and written without a run directory; NULL: the model's own */
    const char *out;                  /* the run directory, where plots and files go too, or NULL */
    bool        resume;
    bool        report;               /* nothing is run: results from what the directory holds, and a page */
    double      max_time;             /* seconds after which the run stops with a checkpoint; 0: none */
    double      every;                /* seconds between checkpoints; 0: as usual */
    const char  *given;               /* what the command line set, as a JSON object, or NULL */
    bool        json, quiet, strict, draw, color;   /* draw: plots in the terminal too */
} RunSettings;

/* The measurements of one sample task after warm-up. Series are [chain][draw][n]. */
typedef struct Series {
    int64_t n, row;                       /* row: last extent, 1 for a number */
    double *data;
    int64_t draws, stride;                /* stride: every how many draws it was kept */
} Series;

typedef struct SampleData {
    const RunSample *task;
    int64_t chains, draws;
    Series *primaries; int nprimaries;    /* a complex primary: re, then im, as n = 2*size, re first */
    int     nstats;                       /* the sampler's monitors, in order */
    Series *stats;                        /* n = 1 each, after warm-up */
    double *warmup_mean;                  /* [nstats]: means over the warm-up */
    double  seconds, warmup_seconds, compile_seconds;
    double  cpu_seconds;                  /* of all threads, in `seconds` */
    bool    interrupted;
} SampleData;

/* What is noticed about a sample, not a mistake in the program: a failed check, a warning,
 * or a remark that all is well. */
typedef enum Notice { NOTICE_REMARK, NOTICE_WARNING, NOTICE_FAILED } Notice;
typedef struct Diagnostic { const char *code; const char *text; Notice notice; } Diagnostic;

typedef struct ReportResult {
    const RunReport *task;
    const char *name;
    int64_t n;                        /* elements; 1 for a number */
    int     rank; int64_t shape[RUN_MAX_RANK];
    double *value, *error, *tau_int, *tau_int_error, *ess, *rhat;   /* [n] each; rhat NaN: not defined */
    double *draws;                    /* of the sample whose tau_int this is, in all chains */
    bool    exact;                    /* depends on no expectation value */
} ReportResult;

/* The present values of a variable: NULL until its start was drawn, or it was loaded or found. */
typedef struct VariableData { double *data, *split; } VariableData;

typedef struct Keeper Keeper;
typedef struct RunPause RunPause;

typedef struct RunResult {
    const RunProgram  *program;
    const RunSettings *settings;
    const RunEngine   *engine;
    VariableData *variables;          /* [program->nvariables] */
    VEC(SampleData *) samples;        /* by the number of the sample */
    VEC(ReportResult *) reports;
    VEC(Diagnostic) diagnostics;
    VEC(const char *) files;          /* written */
    Keeper *keeper;                   /* NULL: nothing is kept */
    RunPause *pause;                  /* where an interrupted task leaves its state; NULL: nowhere */
    int     task;                     /* the number of the task that is carried out */
    double  begin, front_seconds, total_seconds;
    Arena  *arena;
} RunResult;

void run_diagnostic(RunResult *r, Notice notice, const char *code, const char *fmt, ...) LQ_PRINTF(4, 5);

/* ---- run.c ---- */

/* A run of the program with nothing done yet. */
void run_begin(RunResult *r, const RunProgram *p, const RunSettings *o, const RunEngine *e, Arena *arena);
void run_end(RunResult *r);
/* All tasks, then the results on standard output: the exit status. front_seconds: what was spent before. */
int  run_program(const RunProgram *p, const RunSettings *o, const RunEngine *e, double front_seconds);
/* "file:line:col: error: …" on standard error. */
void run_complain(const RunPlace *at, const char *fmt, ...) LQ_PRINTF(2, 3);

/* ---- arguments.c: what the command lines of `lqft run` and of executables share ---- */

typedef enum ArgumentIs { ARGUMENT_OTHER, ARGUMENT_TAKEN, ARGUMENT_WRONG } ArgumentIs;
/* argv[*i], and what follows it, when it is an option of a run; wrong: a message in err. */
ArgumentIs run_argument(RunSettings *s, int argc, char **argv, int *i, char *err, size_t errlen);
/* An option with a value: --seed 7 or --seed=7. NULL: not this option. */
const char *argument_value(int argc, char **argv, int *i, const char *name, bool *missing);
bool argument_count(const char *text, int64_t lo, int64_t hi, int64_t *out);
bool want_color(void);                               /* on standard error */
/* A seed of the machine where none was given; false: there are none. */
bool draw_seed(RunSettings *s);

/* ---- progress.c ---- */

/* From here to the end SIGINT, SIGTERM, SIGUSR1 and SIGUSR2 only set run_interrupted; a second
 * SIGINT or SIGTERM ends the program.  One pair inside another changes nothing. */
typedef struct RunSignals RunSignals;
RunSignals *run_signals_begin(void);
void run_signals_end(RunSignals *s);
bool run_interrupted(void);
/* The same, asked for by the program itself. */
void run_interrupt(void);
double run_clock(void);                              /* seconds, from any start */
/* The line of a task. */
typedef struct RunProgress RunProgress;
RunProgress *run_progress(const RunSettings *o);
bool run_progress_due(const RunProgress *p);         /* is it time to show something? */
void run_progress_text(RunProgress *p, const char *fmt, ...) LQ_PRINTF(2, 3);
void run_progress_end(RunProgress *p);

/* ---- variables.c ---- */

/* The present values; drawn when nothing has given them yet. */
const double *variable_data(RunResult *r, int variable);
/* Room for new values. */
double *variable_room(RunResult *r, int variable);
/* Of all of `uses`, as inputs of a function; split: rows in eight parts (row_place). */
void variable_inputs(RunResult *r, const RunVariables *uses, bool split, const double **in);

/* The arrays of a `save` or `load` to or from a file: 0, or an exit status after a message. */
int variables_save(RunResult *r, const RunTask *t, const char *folder);
int variables_load(RunResult *r, const RunTask *t);
int variables_keep(RunResult *r, const RunTask *t);

/* ---- minimize.c, sample.c ---- */

/* The series of the objective and the monitors; the variables have their new values.
 * Exit status 0, or 70/75 after a message on stderr. */
int minimize_run(RunResult *r, const RunSample *t, SampleData **out);
int sample_run(RunResult *r, const RunSample *t, SampleData **out);

/* ---- keep.c ---- */

/* What the run in the directory was given: its seed, where none is given now, and `name=value`.
 * 0, also when there is no run, or an exit status after a message. */
/* The model of the run in the directory, or NULL after a message. */
const char *keep_program(const RunSettings *o, Arena *arena);
int  keep_recall(RunSettings *o, Arena *arena, int *n, Given **given);
/* Opens the run directory of the settings, if there is one: 0, or an exit status after a message. */
int  keep_open(RunResult *r);
void keep_close(RunResult *r);
/* What a task has to say about how far it is: arrays in the order of chains, whatever the lanes. */
typedef struct KeepState {
    bool    warming;
    int64_t step, draw;
    int     narrays; const char **names; int64_t *n; double **data;
    double  seconds, warmup_seconds, cpu_seconds;
} KeepState;
/* Will anything become of a state? */
bool keep_wanted(const RunResult *r);
/* Is the sample done already?  Then its series are read back into d. */
int  keep_finished(RunResult *r, SampleData *d, bool *finished);
/* Where the sample goes on, its arrays and series filled in: *found false when it begins. */
int  keep_restore(RunResult *r, SampleData *d, KeepState *k, bool *found);
/* Was the present task done before the checkpoint that the run goes on from? */
bool keep_is_past(const RunResult *r);
/* `report` of a sample that is not finished: its draws so far; *draws 0: there are none. */
int  keep_partial(RunResult *r, SampleData *d, int64_t *draws);
/* Is it time for a checkpoint? */
bool keep_due(const RunResult *r);
/* Writes the draws that are new, then the state.  0, or an exit status after a message. */
int  keep_state(RunResult *r, SampleData *d, const KeepState *k);
/* The sample is done. */
int  keep_sample(RunResult *r, SampleData *d, const KeepState *k);
/* Results, and the end of the log. */
int  keep_summary(RunResult *r, int status);
/* report.html */
int  keep_page(RunResult *r);
void keep_event(RunResult *r, const char *event, const char *fmt, ...) LQ_PRINTF(3, 4);

/* ---- pause.c: a state in memory, for going on where a task was interrupted ---- */

struct RunPause {
    bool      held;                   /* is there one? */
    bool      go_on;                  /* the next task that runs is the one it is of */
    KeepState state;                  /* its own copy */
    const SampleData *data;           /* the draws up to there; NULL: in the warm-up */
    int64_t   count;                  /* of states so far */
};
void pause_hold(RunPause *p, const KeepState *k);
/* False when the state is none of this sample. */
bool pause_restore(RunPause *p, SampleData *d, KeepState *k);
void pause_drop(RunPause *p);

/* ---- summary.c ---- */

/* Acceptance and mean acceptance ratio of a sampler with `accept`. */
typedef struct Acceptance {
    double accepted;                  /* fraction, over all chains */
    double ratio, ratio_error;        /* <exp(-dH)>: 1 when the algorithm is exact */
    int64_t stuck, first_stuck;       /* chains that never moved; the first of them */
} Acceptance;

/* False when the sampler accepts everything by construction. */
bool sample_acceptance(const SampleData *d, Acceptance *a);
/* The mean of a monitor after the warm-up. */
typedef struct Mean { double value, error; } Mean;
Mean monitor_mean(const SampleData *d, int monitor);

/* Statistics of one report from the series of the samples it depends on. */
ReportResult *summarize_report(RunResult *r, const RunReport *t);
/* Acceptance, <exp(-dH)>, stuck chains, short or unthermalised runs. */
void summarize_sample(RunResult *r, const SampleData *data);

/* ---- output.c ---- */
void output_table(const RunResult *r, FILE *out);
void output_json(const RunResult *r, FILE *out);
/* "2.501(12)"; "-0.0004(20)"; "1.5" when the error is 0. */
const char *format_value_error(Arena *a, double value, double error);
/* What axis a's element i is called: its coordinate on a grid, else its number. */
double axis_label(const Axis *a, int64_t i);

/* ---- plots.c, saves.c: 0, or exit status 73/74 after a message ---- */
int plots_write(RunResult *r, const RunTask *t);
int saves_write(RunResult *r, const RunTask *t);

/* ---- page.c ---- */
void page_text(const RunResult *r, Text *t);

#endif
