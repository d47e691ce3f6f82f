/* keep_parts.h — what keep.c, keep_run.c and keep_columns.c share; private to them. */
#ifndef LQFT_RUN_KEEP_PARTS_H
#define LQFT_RUN_KEEP_PARTS_H

#include "results.h"
#include "store.h"

#include <jansson.h>

struct Keeper {
    Store      *store;
    Checkpoint *from;                                 /* the run goes on from here, or NULL */
    json_t     *about;                                /* of it */
    json_t     *finished;                             /* a list: of each sample that is done */
    double    **means;                                /* [sample] warm-up means of those, or NULL */
    int        *group;                                /* [sample] in measurements.h5, -1: not yet */
    int64_t    *committed;                            /* [sample] draws there */
    double      last, cost;                           /* when the last checkpoint was made; what it took */
};

static inline json_t *json_number(double v) { return v - v == 0 ? json_real(v) : json_null(); }

/* ---- keep_run.c: 0, or an exit status and a message ---- */

int run_json_write(RunResult *r, char *err, size_t errlen);
/* Is the run in the directory this one? */
int run_json_check(RunResult *r, char *err, size_t errlen);

/* ---- keep_columns.c ---- */

/* Primaries, then monitors. */
StoreColumn *columns_of(Arena *a, const SampleData *d, int *n);
/* Of a sample, after its first field. */
const char *group_name(RunResult *r, int sample);

#endif
