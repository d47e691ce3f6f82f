/* program.h — a program that is ready to run, as plain data: what is sampled and minimised, reported,
 * drawn and saved, and the functions that do it, behind an engine.  The compiler makes one from a
 * plan (compiler/run/lower.c) and runs it; `lqft build` writes it into an executable (program_file.c).
 * Nothing here knows the language. Places in the source are kept as text, for messages. */
#ifndef LQFT_PROGRAM_H
#define LQFT_PROGRAM_H

#include "../base.h"

#include <string.h>

enum { RUN_MAX_RANK = 16, RUN_MAX_LANES = 16, RUN_MAX_FIELDS = 16 };

/* ---- memory ---------------------------------------------------------------------------------- */

typedef struct Shape { int rank; int64_t dim[RUN_MAX_RANK]; } Shape;

static inline int64_t shape_elements(const Shape *s) {
    int64_t n = 1;
    for (int i = 0; i < s->rank; i++) n *= s->dim[i];
    return n;
}
/* The last extent: what lies together in a row; 1 for a number. */
static inline int64_t shape_row(const Shape *s) { return s->rank ? s->dim[s->rank - 1] : 1; }

/* An array in the memory of a call; single: of floats. */
typedef struct RunArray { Shape shape; bool single; } RunArray;

/* How replicas lie in memory: element e of lane l at [e*lanes + l]; or, `sites`, one replica at a
 * time, whose rows are in eight parts side by side where `split`. */
typedef struct RunLayout { int lanes; bool sites, split; } RunLayout;

/* Rows are in eight parts where that divides them, else in four, else in one. */
static inline int64_t row_parts(int64_t row) { return row < 1 ? 1 : row % 8 == 0 ? 8 : row % 4 == 0 ? 4 : 1; }
/* Where element e of an array with rows of this length lies when rows are split: element x of part p
 * at [x*parts + p]. */
static inline int64_t row_place(int64_t row, int64_t e) {
    int64_t parts = row_parts(row);
    if (parts == 1) return e;
    int64_t part = row / parts, x = e % row;
    return e - x + x % part * parts + x / part;
}

/* ---- functions --------------------------------------------------------------------------------- */

typedef struct CallArgs {
    /* Per replica element e at [e*W + l], uniform at [e]; of single precision, and so floats,
     * where the array is. */
    const double *const *in;     /* [nin] */
    double *const *out;          /* [nout] */
    double *scratch;             /* as many doubles as the engine says, 64-byte aligned */
    uint32_t seed, step;
    const uint32_t *chains;      /* W chain numbers */
} CallArgs;

/* A function of arrays; what it is made of only the engine knows. */
typedef struct RunFunction { const char *name; int nin, nout; const void *source; int number; } RunFunction;

typedef struct RunPrepared RunPrepared;

/* Who carries functions out: the compiler, or the code in an executable. */
typedef struct RunEngine {
    void *context;
    /* Functions that are called together, for so many replicas; NULL and a message. */
    RunPrepared *(*prepare)(void *context, const RunFunction *const *f, int n, int64_t replicas, RunLayout *layout, char *err, size_t errlen);
    void    (*call)(const RunPrepared *p, int function, const CallArgs *args);
    int64_t (*scratch)(const RunPrepared *p);      /* doubles a call needs, of all lanes */
    bool    (*shared)(const RunPrepared *p);       /* can a call use several threads? */
    void    (*release)(RunPrepared *p);
    /* One call for one replica, its arrays in order: of reports, and of the start of variables. */
    void    (*evaluate)(void *context, const RunFunction *f, const double *const *in, double *const *out, uint32_t seed, uint32_t chain);
} RunEngine;

/* ---- what is run ---------------------------------------------------------------------------------- */

/* Where something stands in the model, and its text there. */
typedef struct RunPlace { const char *file; int line, column; const char *text; } RunPlace;

/* A weight, or a field that is minimised over: an input of functions, shared by all replicas, which
 * has its start until a task gives it a value.  `before`: what it was before that task, or -1. */
typedef struct RunVariable { const char *name; Shape shape; int64_t n; int before; RunFunction start; } RunVariable;
typedef struct RunVariables { int n; int *at; } RunVariables;

/* A field; of a sample: which parts of the state it is (the real part, the imaginary one), and whether
 * the state holds its logarithm. */
typedef struct RunField { const char *name; Shape shape; bool complex, positive; int part; } RunField;

/* What is measured on each configuration; wanted: on all draws, by reports or files. */
typedef struct RunPrimary { RunPlace at; Shape shape; bool complex, wanted; bool single[2]; } RunPrimary;
typedef struct RunMonitor { const char *name; bool tail; } RunMonitor;
typedef struct RunWarning { const char *name, *text; bool always; } RunWarning;

enum { RUN_INIT, RUN_STEP, RUN_MEASURE, RUN_FUNCTIONS };

/* A sample, or a minimisation: one chain then, and iterations for draws. */
typedef struct RunSample {
    RunPlace        at;                  /* of the density or the objective */
    const char  *objective;           /* its text */
    bool         minimizes, single;
    int64_t      chains, warmup, draws, thin;
    const char  *sampler, *method;    /* its name; and for messages, with the point of the scan */
    int          nat; const char **at_name; double *at_value;
    int          ntargets; const char **targets;
    RunField    *fields;              /* [ntargets] of a sample */
    int         *minimized, *found;   /* [ntargets] variables: as they were, and as they are after it */
    int          nstate; RunArray *state;
    int          nstats;
    int          nprimaries; RunPrimary *primaries;
    int          nmonitors; RunMonitor *monitors;
    int          nwarnings; RunWarning *warnings;
    RunFunction  function[RUN_FUNCTIONS];
    RunVariables uses[RUN_FUNCTIONS];
} RunSample;

/* Names and extents of the axes of an array: one entry per axis. */
typedef struct Axis { const char *name; int64_t n, first; const double *coords; } Axis;

/* A mean over the configurations of a sample: the real or imaginary part of a primary. */
typedef struct RunInput { int sample, primary; bool imaginary; } RunInput;

/* A function of such means. */
typedef struct RunReport {
    const char  *name;
    Shape        shape;
    int          naxes; Axis *axes;
    int          ninputs; RunInput *inputs;
    RunVariables uses, vjp_uses;
    RunFunction  eval;                /* in: the means, variables; out: value */
    RunFunction  vjp;                 /* in: the means, seed, variables; out: gradient for each mean */
    bool         has_vjp;
} RunReport;

typedef enum PlotKind { PLOT_HISTOGRAM, PLOT_HISTORY, PLOT_LINES, PLOT_MAP, PLOT_REPORT } PlotKind;
typedef struct RunCurve {
    PlotKind     kind;
    const char  *label, *monitor;     /* monitor: what the method watches, or NULL */
    int          sample, primary;     /* histogram, history: series of this primary; -1: none */
    int          report, error;       /* a derived quantity, and what is given for its error; -1: none */
    int          count;               /* lines: how many configurations */
    const double *grid; int64_t ngrid;/* lines: the points that they are drawn against, or NULL */
    bool         joins;               /* in one figure with the curve before it */
} RunCurve;

/* The settings of a plot; NULL and STYLE_AUTO: as it comes. */
typedef enum PlotStyle { STYLE_AUTO, STYLE_POINTS, STYLE_LINE, STYLE_BAND, STYLE_STEPS } PlotStyle;
typedef struct PlotLook {
    const char *title, *xlabel, *ylabel, *xunit, *yunit;
    bool        log_x, log_y;
    PlotStyle   style;
} PlotLook;

/* What a file of `save` holds: a result, or (value) one known before the run; or a series. */
typedef struct RunItem { const char *name; int report; bool value; int primary; } RunItem;

typedef enum TaskKind { TASK_SAMPLE, TASK_LOAD, TASK_KEEP, TASK_REPORT, TASK_PLOT, TASK_SAVE, TASK_PRINT } TaskKind;

typedef struct RunTask {
    TaskKind     kind;
    int          sample, report;      /* -1: none */
    int          ncurves; RunCurve *curves;
    PlotLook     look;
    int          nprinted; int *printed; const char **texts;     /* print: a report or -1, and the text before it */
    int          nitems; RunItem *items;
    const char  *path; RunPlace path_at;
    bool         of_variables;        /* load, save: of variables */
    RunVariables variables;           /* load, save; keep: this one */
    int          kept;                /* keep: the series of this primary */
} RunTask;

/* A parameter, for output and the command line. */
typedef struct RunParam {
    const char *name, *doc;
    bool        boolean, whole;
    double      value, dflt;
    const char *bounds;               /* as text, or NULL */
    double      lo, hi; bool lo_open, hi_open;
    const char *fixed;                /* of an executable: why it has no other value, or NULL */
} RunParam;

/* A number that an executable can be given: a parameter, or an option of a method.  dflt: the recipe that
 * it is computed by when it is not given, -1: `value` as it stands. */
typedef struct RunSetting { const char *name; double value; int dflt; const char *fixed; bool given; } RunSetting;

/* A constant of the code: a setting (its number, else -1), a number (op 0), or an operation (of
 * runtime/ops.def) on earlier recipes. */
typedef struct RunRecipe { int setting, op; double value; int arg[3]; } RunRecipe;

/* An array that is computed before the run: its function has no inputs but constants, earlier data among them. */
typedef struct RunData { RunFunction make; int64_t n; } RunData;

/* An action and its gradient, as functions of fields; name NULL: there is none. Complex fields are two arrays. */
typedef struct RunAction { const char *name; int nfields; RunField *fields; RunFunction value, gradient; } RunAction;

/* `name=value` of a command line. */
typedef struct Given { const char *name, *text; } Given;

typedef struct RunProgram {
    const char  *path;                /* of the model */
    const char  *title;               /* the first paragraph of its comment, or NULL */
    uint64_t     source;              /* hash of all its texts */
    int ngiven;     Given *given;               /* of executables: what was set when it was built */
    int nparams;    RunParam *params;
    int nsettings;  RunSetting *settings;       /* of executables: those of the compiler are constants */
    int nrecipes;   RunRecipe *recipes;
    int ndata;      RunData *data;              /* of executables */
    int nvariables; RunVariable *variables;
    int nsamples;   RunSample *samples;
    int nreports;   RunReport *reports;
    int ntasks;     RunTask *tasks;
    RunAction action;                 /* of shared libraries */
} RunProgram;

#endif
