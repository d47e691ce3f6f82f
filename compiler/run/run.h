/* run.h — carrying out a plan: compile the functions of each task, run the chains,
 * and turn series into numbers with errors.
 *
 *   driver.c    the pipeline, one pass a line; what `run`, `check`, `show` share
 *   sample.c    runs the chains of a sample task, in blocks of lanes, over threads
 *   minimize.c  runs the iterations of a minimisation
 *   variables.c the values that minimisations find
 *   progress.c  the line that shows how far a task is; interruptions
 *   summary.c   statistics of the report expressions (Γ-method, tau_int, R-hat, ESS)
 *   output.c    the table, the JSON object, diagnostics
 *   plots.c     figures of the plot declarations
 *   saves.c     files of the save declarations
 *   check.c     lqft check: gradients, symmetries, reversibility, <exp(-dH)> = 1
 *   show.c      lqft show
 *   main.c      the command line */
#ifndef LQFT_RUN_H
#define LQFT_RUN_H

#include "../elab/elab.h"
#include "../backend/backend.h"

typedef enum Device { DEVICE_CPU, DEVICE_INTERP, DEVICE_CPU_O0 } Device;

typedef enum LaneWish { LANES_CHEAPEST, LANES_CHAINS, LANES_SITES } LaneWish;

typedef struct RunOptions {
    const char *path;                 /* the model file */
    const char *library;
    Override   *overrides; int noverrides;
    uint32_t    seed; bool seed_given;
    int64_t     chains;               /* 0: as in the file */
    int         threads;              /* 0: all cores */
    Device      device;
    LaneWish    lanes;
    const char **data; int ndata;     /* folders to read data from, beside the model's own */
    const char *out;                  /* folder for plots and files, or NULL: the model's own */
    bool        json, quiet, strict, draw, color;   /* draw: plots in the terminal too */
} RunOptions;

/* The measurements of one sample task after warm-up. Series are [chain][draw][n]. */
typedef struct Series {
    int64_t n, row;                       /* row: last extent, 1 for a number */
    double *data;
    int64_t draws, stride;                /* stride: every how many draws it was kept */
} Series;

typedef struct SampleData {
    const SampleTask *task;
    int64_t chains, draws;
    Series *primaries; int nprimaries;    /* a complex primary: re, then im, as n = 2*size, re first */
    int     nstats;                       /* the sampler's monitors, in the order of task->frame.monitors */
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
    const ReportTask *task;
    const char *name;
    int64_t n;                        /* elements; 1 for a number */
    int     rank; int64_t shape[IR_MAX_RANK];
    double *value, *error, *tau_int, *tau_int_error, *ess, *rhat;   /* [n] each; rhat NaN: not defined */
    double *draws;                    /* of the sample whose tau_int this is, in all chains */
    bool    exact;                    /* depends on no expectation value */
} ReportResult;

typedef struct RunResult {
    const Model *model;
    const Plan  *plan;
    const RunOptions *options;
    VEC(SampleData *) samples;        /* by SampleTask.index */
    VEC(ReportResult *) reports;
    VEC(Diagnostic) diagnostics;
    VEC(const char *) files;          /* written */
    double  front_seconds, total_seconds;
    Arena  *arena;
} RunResult;

void run_diagnostic(RunResult *r, Notice notice, const char *code, const char *fmt, ...) LQ_PRINTF(4, 5);

/* ---- driver.c ---- */

typedef struct Session { Front front; Arena *arena; Model *model; Plan *plan; } Session;
/* Source text to plan: every pass of the front half, one a line. */
void session_open(Session *s, const RunOptions *o, bool claims);
void session_close(Session *s);
/* A group of functions to machine code (or to the interpreter). */
typedef struct Executable Executable;
/* Prints what the front half found; 0, or the exit status. */
int session_check(Session *s, const RunOptions *o);
/* For so many replicas; *lanes says how they lie in memory. */
Executable *compile_functions(const IrFunc *const *functions, int n, int64_t replicas, const RunOptions *o, KLanes *lanes,
                              char *err, size_t errlen);
void execute(const Executable *x, int function, const CallArgs *args);
int64_t executable_scratch(const Executable *x);         /* doubles a call needs */
bool executable_is_shared(const Executable *x);          /* can a call use several threads? */
const KProgram *executable_program(const Executable *x, int function);
void executable_free(Executable *x);

/* ---- progress.c ---- */

/* From here to the end SIGINT and SIGTERM only set run_interrupted; a second one ends the program. */
typedef struct RunSignals RunSignals;
RunSignals *run_signals_begin(void);
void run_signals_end(RunSignals *s);
bool run_interrupted(void);
double run_clock(void);                              /* seconds, from any start */
/* The line of a task. */
typedef struct RunProgress RunProgress;
RunProgress *run_progress(const RunOptions *o);
bool run_progress_due(const RunProgress *p);         /* is it time to show something? */
void run_progress_text(RunProgress *p, const char *fmt, ...) LQ_PRINTF(2, 3);
void run_progress_end(RunProgress *p);

/* ---- variables.c ---- */

/* The present values; drawn when nothing has given them yet. */
const double *variable_data(const RunResult *r, Variable *v);
/* Of all of `uses`, as inputs of a function; split: rows in eight parts (kernel_place). */
void variable_inputs(const RunResult *r, const Variables *uses, bool split, const double **in);

/* The arrays of a `save` or `load` to or from a file: 0, or an exit status after a message. */
int variables_save(RunResult *r, const Task *t, const char *folder);
int variables_load(RunResult *r, const Task *t);
int variables_keep(RunResult *r, const Task *t);

/* ---- minimize.c ---- */

/* The series of the objective and the monitors; the variables have their new values. */
int minimize_run(RunResult *r, SampleTask *t, SampleData **out);

/* ---- sample.c ---- */

/* Exit status 0, or 70/75 after a message on stderr. */
int sample_run(RunResult *r, SampleTask *t, SampleData **out);

/* ---- summary.c ---- */

/* Statistics of one report from the series of the samples it depends on. Evaluates task->eval
 * at the means and task->vjp for the gradient, with the interpreter. */
ReportResult *summarize_report(RunResult *r, const ReportTask *t);
/* Acceptance, <exp(-dH)>, stuck chains, short or unthermalised runs. */
void summarize_sample(RunResult *r, const SampleData *data);

/* ---- output.c ---- */
void output_table(const RunResult *r, FILE *out);
void output_json(const RunResult *r, FILE *out);
/* "2.501(12)"; "-0.0004(20)"; "1.5" when the error is 0. */
const char *format_value_error(Arena *a, double value, double error);

/* ---- plots.c, saves.c: 0, or exit status 73/74 after a message ---- */
int plots_write(RunResult *r, const Task *t);
int saves_write(RunResult *r, const Task *t);

/* ---- check.c, check_loss.c, show.c: exit statuses ---- */
/* grad of an action at inputs of the shapes of its fields; NULL when its parameters are not
 * named like fields. */
const Value *action_gradient(Elab *e, const Decl *d, const Value **point, const FieldInfo **fields);
/* The gradient of the objective of a minimisation against differences; a line about it. */
bool check_objective(RunResult *r, const SampleTask *t, Text *out);
int check_model(const RunOptions *o);
int show_model(const RunOptions *o, const char *what);
int run_model(const RunOptions *o);

#endif
