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

#endif
