/* run.h — what is done with a plan: its functions are compiled, and it is run by the runtime
 * (runtime/run/), or checked, or shown.
 *
 *   driver.c    the pipeline, one pass a line; what `run`, `check`, `show` share
 *   lower.c     the plan as plain data
 *   check.c     lqft check: gradients, symmetries, reversibility, <exp(-dH)> = 1
 *   show.c      lqft show
 *   main.c      the command line */
#ifndef LQFT_RUN_H
#define LQFT_RUN_H

#include "../elab/elab.h"
#include "../backend/backend.h"
#include "../../runtime/run/run.h"

typedef enum Device { DEVICE_CPU, DEVICE_INTERP, DEVICE_CPU_O0 } Device;

typedef enum LaneWish { LANES_CHEAPEST, LANES_CHAINS, LANES_SITES } LaneWish;

/* `lqft build --open L=16,32`: the executable has code for each of these values. */
enum { MOST_OPEN = 8, MOST_VARIANTS = 64 };
typedef struct Open { const char *name; int n; const char *const *values; } Open;

typedef struct RunOptions {
    const char *path;                 /* the model file */
    const char *library;
    Override   *overrides; int noverrides;
    Device      device;
    LaneWish    lanes;
    const char *target;               /* of `lqft build` */
    bool        portable, shared;
    Open       *open; int nopen;
    RunSettings run;                  /* what the run itself needs to know; `given` is made by run_settings */
} RunOptions;

/* ---- driver.c ---- */

typedef struct Session { Front front; Arena *arena; Model *model; Plan *plan; } Session;
/* Source text to plan: every pass of the front half, one a line. */
void session_open(Session *s, const RunOptions *o, bool claims);
void session_close(Session *s);
/* A group of functions to machine code (or to the interpreter). */
typedef struct Executable Executable;
/* Prints what the front half found; 0, or the exit status. */
int session_check(Session *s, const RunOptions *o);
/* Kernel programs of functions that share memory, for so many replicas; *lanes says how these lie
 * there: the cheaper way, or as was asked.  NULL, or what is wrong. */
const char *fuse_together(const IrFunc *const *functions, int n, int64_t replicas, const RunOptions *o, Arena *arena,
                          KProgram **programs, KLanes *lanes);
/* For so many replicas; *lanes says how they lie in memory. */
Executable *compile_functions(const IrFunc *const *functions, int n, int64_t replicas, const RunOptions *o, KLanes *lanes,
                              char *err, size_t errlen);
void execute(const Executable *x, int function, const CallArgs *args);
int64_t executable_scratch(const Executable *x);         /* doubles a call needs */
bool executable_is_shared(const Executable *x);          /* can a call use several threads? */
const KProgram *executable_program(const Executable *x, int function);
void executable_free(Executable *x);
/* The compiler, or the interpreter, as the engine of a run. */
RunEngine compiling_engine(const RunOptions *o);
/* What of the options concerns the run, complete. */
RunSettings run_settings(const RunOptions *o, Arena *arena);

/* ---- lower.c ---- */

/* The plan as plain data, which lives as long as the session. */
RunProgram *lower_plan(Session *s);
/* The first action of the model whose parameters are fields, for libraries. */
void lower_actions(Session *s, RunProgram *p);
/* The settings of an executable, and how the constants of its code are computed from them; the numbers
 * in CodeSettings.from become those of recipes. */
void lower_settings(Session *s, RunProgram *p, int ngroups, CodeGroup *const *groups);

/* ---- check.c, check_loss.c, show.c: exit statuses ---- */
/* An array that is not known, in the place of a field. */
const Value *field_input(Elab *e, const FieldInfo *f);
/* grad of an action at inputs of the shapes of its fields; NULL when its parameters are not
 * named like fields. */
const Value *action_gradient(Elab *e, const Decl *d, const Value **point, const FieldInfo **fields);
/* The gradient of the objective of a minimisation against differences; a line about it. */
bool check_objective(Session *s, const RunOptions *o, const SampleTask *t, Text *out);
int check_model(const RunOptions *o);
/* ast, force, ir, kernels or llvm of a session without errors, on standard output. */
void show_session(Session *s, const RunOptions *o, const char *what);
int show_model(const RunOptions *o, const char *what);
int run_model(const RunOptions *o);
/* ---- build.c ---- */
int build_model(const RunOptions *o);

#endif
