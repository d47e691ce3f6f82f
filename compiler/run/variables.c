/* variables.c — the values of weights and of fields that were minimised over, while a program
 * runs: drawn when they are first needed, then found by minimisations or loaded. */
#include "results.h"

#include <stdlib.h>

const double *variable_data(const RunResult *r, Variable *v) {
    if (v->data) return v->data;
    v->data = arena_alloc(r->arena, (size_t)(v->n + 1) * sizeof *v->data);
    interp_call(&v->start, NULL, &v->data, (RandKey){r->options->seed, 0, 0});
    return v->data;
}

/* The values as code wants them whose rows lie in eight parts. */
static const double *split_data(const RunResult *r, Variable *v) {
    const double *data = variable_data(r, v);
    const Ir *ir = v->start.ir;
    Ref node = v->start.out[0];
    int64_t row = NODE(ir, node)->rank ? NDIM(ir, node, NODE(ir, node)->rank - 1) : 1;
    if (!v->split) v->split = arena_alloc(r->arena, (size_t)(v->n + 1) * sizeof *v->split);
    for (int64_t k = 0; k < v->n; k++) v->split[kernel_place(row, k)] = data[k];
    return v->split;
}

void variable_inputs(const RunResult *r, const Variables *uses, bool split, const double **in) {
    for (int i = 0; i < uses->n; i++) in[i] = split ? split_data(r, uses->data[i]) : variable_data(r, uses->data[i]);
}
