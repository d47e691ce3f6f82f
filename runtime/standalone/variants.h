/* variants.h — an executable with code for several values of what has to be known when code is made. */
#ifndef LQFT_STANDALONE_VARIANTS_H
#define LQFT_STANDALONE_VARIANTS_H

#include "payload.h"

#include "../run/run.h"

/* The first variant with the values that are given; others do not count.  -1 and a message: there is none. */
int  variant_choose(const Payloads *all, int n, const Given *given, Arena *arena, char *err, size_t errlen);
/* The program of a variant says of what differs between them which values there are. */
void variant_explain(const Payloads *all, RunProgram *p, Arena *arena);

#endif
