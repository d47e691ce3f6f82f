/* settings.h — `name=value` of an executable: parameters, and the sizes of its samples. */
#ifndef LQFT_STANDALONE_SETTINGS_H
#define LQFT_STANDALONE_SETTINGS_H

#include "../run/run.h"

/* The values of all recipes, [nrecipes]. */
void settings_compute(const RunProgram *p, double *values);
/* After all were set: parameters get their values; 0, or 2 and a message when one is out of its bounds. */
int settings_settle(RunProgram *p, char *err, size_t errlen);
/* Do samples have the configurations that are kept of them?  0, or 2 and a message. */
int settings_keep(const RunProgram *p, char *err, size_t errlen);
/* Sets one of them; 0, or 2 and a message. */
int setting_set(RunProgram *p, const char *name, const char *value, char *err, size_t errlen);
/* The value of one now; NaN: there is none.  Sizes are those of the sample. */
double setting_value(const RunProgram *p, const RunSample *s, const char *name);
/* Lists them, for --help. */
void settings_list(const RunProgram *p, FILE *out);

#endif
