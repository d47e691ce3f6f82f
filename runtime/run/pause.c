/* pause.c — the state of an interrupted task in memory, as a checkpoint is one on disk: at the
 * prompt a task goes on from it, and ends with the draws of one that nobody interrupted. */
#include "run.h"

#include <stdlib.h>
#include <string.h>

void pause_drop(RunPause *p) {
    for (int i = 0; i < p->state.narrays; i++) free(p->state.data[i]);
    free(p->state.data), free(p->state.n);
    *p = (RunPause){.count = p->count};
}

void pause_hold(RunPause *p, const KeepState *k) {
    pause_drop(p);
    p->state = *k;
    p->state.names = NULL;
    p->state.n = lq_alloc((size_t)(k->narrays + 1) * sizeof *k->n);
    p->state.data = lq_alloc((size_t)(k->narrays + 1) * sizeof *k->data);
    for (int i = 0; i < k->narrays; i++) {
        p->state.n[i] = k->n[i];
        p->state.data[i] = lq_alloc((size_t)(k->n[i] + 1) * sizeof **k->data);
        memcpy(p->state.data[i], k->data[i], (size_t)k->n[i] * sizeof **k->data);
    }
    p->held = true;
    p->count++;
}

/* Rows of the draws so far, from series that have only these to ones with room for all. */
static bool copy_series(const Series *from, Series *to, int64_t chains, int64_t draws) {
    int64_t rows = (draws + to->stride - 1) / to->stride;
    if (!from->data || from->n != to->n || from->stride != to->stride || from->draws < rows || to->draws < rows) return false;
    for (int64_t c = 0; c < chains; c++)
        memcpy(to->data + c * to->draws * to->n, from->data + c * from->draws * from->n, (size_t)(rows * to->n) * sizeof *to->data);
    return true;
}

bool pause_restore(RunPause *p, SampleData *d, KeepState *k) {
    const SampleData *old = p->data;
    bool fits = p->held && p->state.narrays == k->narrays && p->state.draw <= d->task->draws && (p->state.warming || p->state.draw == 0 || old);
    for (int i = 0; fits && i < k->narrays; i++) fits = p->state.n[i] == k->n[i];
    if (fits && old) fits = old->chains == d->chains && old->nprimaries == d->nprimaries && old->nstats == d->nstats;
    if (fits && old && !p->state.warming) {
        for (int i = 0; fits && i < d->nprimaries; i++) fits = copy_series(&old->primaries[i], &d->primaries[i], d->chains, p->state.draw);
        for (int i = 0; fits && i < d->nstats; i++) fits = copy_series(&old->stats[i], &d->stats[i], d->chains, p->state.draw);
    }
    if (!fits) return false;
    for (int i = 0; i < k->narrays; i++) memcpy(k->data[i], p->state.data[i], (size_t)k->n[i] * sizeof **k->data);
    KeepState own = *k;
    *k = p->state;
    k->names = own.names, k->n = own.n, k->data = own.data;
    return true;
}
