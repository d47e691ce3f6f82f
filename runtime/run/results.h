/* results.h — what summary.c, output.c, plots.c, saves.c and keep.c share. */
#ifndef LQFT_RESULTS_H
#define LQFT_RESULTS_H

#include "run.h"

#include "../stats.h"

/* ---- summary.c ---- */

/* Acceptance and mean acceptance ratio of a sampler with `accept`. */
typedef struct Acceptance {
    double accepted;                  /* fraction, over all chains */
    double ratio, ratio_error;        /* <exp(-dH)>: 1 when the algorithm is exact */
    int64_t stuck, first_stuck;       /* chains that never moved; the first of them */
} Acceptance;

/* False when the sampler accepts everything by construction. */
bool sample_acceptance(const SampleData *d, Acceptance *a);
/* Series of a monitor of this name, or NULL. */
const Series *sample_stat(const SampleData *d, const char *name);

/* The mean of a monitor after the warm-up. */
typedef struct Mean { double value, error; } Mean;
Mean monitor_mean(const SampleData *d, int monitor);
/* How the distribution of a monitor falls off. */
TailResult monitor_tail(const SampleData *d, int monitor);

/* ---- saves.c ---- */

/* The folder of the settings, or the model's. */
const char *own_folder(const RunResult *r);
/* Folder for what the run writes, created when it is missing; NULL after a message. */
const char *output_folder(RunResult *r);
/* The message for a failed write of `path`; err as the writers of runtime/io leave it.
 * Returns the exit status: 73 cannot create, 74 cannot write. */
int output_failed(const char *path, const char *err);
/* All results of a task, computed now when no report declaration asked for them. */
const ReportResult *result_of(RunResult *r, int report);
/* The folder and those above it; false: errno says why not. */
bool make_folders(const char *path);
/* What axis a's element i is called: its coordinate on a grid, else its number. */
double axis_label(const Axis *a, int64_t i);

#endif
