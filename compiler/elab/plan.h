/* plan.h — what tasks.c and scan.c share: the planning of single tasks. */
#ifndef LQFT_PLAN_H
#define LQFT_PLAN_H
#include "elab.h"

#define MAX_SAMPLES 256

/* One `sample`; the expectation values after it are its own.  NULL when there are too many. */
SampleTask *plan_sample(Model *m, Plan *p, const Decl *d);
/* What a `report` says, closed, or the error value. */
const Value *plan_report_value(Elab *e, const Decl *d);
/* A task for it; two for a complex value. */
void plan_add_report(Plan *p, Elab *e, const Decl *d, const char *name, const Value *v);
/* The settings of a `plot`; mistakes go to the sink (looks.c). */
PlotLook plan_look(Elab *e, const Decl *d);
/* The tasks in the block of a `scan` at all of its points (scan.c). */
void plan_scan(Model *m, Plan *p, const Decl *d);


/* ---- tasks.c: what `sample` and `minimize` share ---- */
const Decl *plan_find_method(Model *m, const Expr *method, DeclKind kind);
/* The environment of the body of method s, its first parameters the target and q. */
Env  *plan_bind_method(Model *m, SampleTask *t, const Decl *s, const Value *q);
bool  plan_precision(Elab *e, const Expr *x, SampleTask *t);
Override *plan_override(Model *m, const char *name);
const Expr *plan_override_expr(Model *m, Override *o);
const Value *plan_field_shape(Elab *e, const FieldInfo *f, double c);
const Value *plan_as_field(Elab *e, const FieldInfo *f, const Value *u);
enum { PART_OF_IN, PART_OF_OUT, PART_OF_START };
void  plan_push_parts(Elab *e, const Value *v, SampleTask *t, int where);
void  plan_start_states(Elab *e, SampleTask *t);
void  plan_step(Elab *e, SampleTask *t);
void  plan_finish(IrFunc *f, const char *name, bool single, Ir *ir);
void  plan_add_variables(Elab *e, IrFunc *f, Variables *used);
Task *plan_new_task(Plan *p, Elab *e, TaskKind kind, const Decl *d);

/* ---- minimize.c ---- */
SampleTask *plan_minimize(Model *m, Plan *p, const Decl *d);
void  plan_load(Model *m, Plan *p, const Decl *d);
/* Does x name variables?  Then the task has them. */
bool  plan_named_variables(Elab *e, const Expr *x, Task *t);

#endif
