/* chains.h — the chains of a sample in memory, and single steps of them: what sample.c makes a run of,
 * and the library (standalone/library.c) hands out one by one. */
#ifndef LQFT_CHAINS_H
#define LQFT_CHAINS_H

#include "run.h"

#include "../threads.h"

/* Chains that lie side by side. */
typedef struct ChainBlock {
    double **state, **next;          /* per part: elements x lanes */
    double  *stats, **measured, **step_out, *scratch;
    const double **in;
    uint32_t chains[RUN_MAX_LANES];
} ChainBlock;

typedef struct Chains {
    RunResult  *r;
    const RunSample *t;
    int64_t     n;                    /* chains */
    RunPrepared *code;
    int         lanes, nblocks;       /* lanes: chains of a block */
    bool        sites, split;         /* lanes are sites of one chain; its rows are split */
    ChainBlock *block;
    const double **variables[RUN_FUNCTIONS];    /* further inputs of each function */
    double      flag;                 /* the `warmup` input: 1 or 0 */
} Chains;

/* Prepares the code and the memory; false and a message. */
bool chains_open(Chains *c, RunResult *r, const RunSample *t, char *err, size_t errlen);
void chains_close(Chains *c);
/* Threads for them: no more than can be used.  pool_use it, then pool_free. */
Pool *chains_pool(const Chains *c);
/* Of one block: the start, step number `step` (from 1) with its monitors, the measurements. */
void chains_start(Chains *c, ChainBlock *b);
void chains_step(Chains *c, ChainBlock *b, uint32_t step);
void chains_measure(Chains *c, ChainBlock *b, uint32_t step);
/* Part i of the state as [chain][element], from the blocks or (restore) to them. */
void chains_state(Chains *c, int part, double *data, bool restore);
/* The number of a monitor, or -1. */
int  chains_monitor(const RunSample *t, const char *name);
/* Zeroed, for so many lanes; out of memory ends the process. */
double *chains_room(int64_t n, int lanes);

#endif
