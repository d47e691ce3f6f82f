/* expect.h — expectation values, the bridge from expressions to sample tasks. */
#ifndef LQFT_EXPECT_H
#define LQFT_EXPECT_H
#include "elab.h"

/* E[x]: registers x as something to measure on each configuration of the current
 * sample task, and gives the symbol of its mean (tasks.c). */
const Value *expectation(Elab *e, Env *env, const Expr *x, Span at);

#endif
