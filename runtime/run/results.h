/* results.h — what summary.c, output.c, plots.c, saves.c and keep.c share. */
#ifndef LQFT_RESULTS_H
#define LQFT_RESULTS_H

#include "run.h"

#include "../stats.h"

/* ---- summary.c ---- */

/* Series of a monitor of this name, or NULL. */
const Series *sample_stat(const SampleData *d, const char *name);

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

#endif
