/* notation.h — array nodes as index notation in lqft's own source form, so that a
 * derived force can be compared with the one on paper:
 *     -0.42*(phi[x + e0] + phi[x - e0]) + phi[x]*(1.912 + 0.088*phi[x]^2)  */
#ifndef LQFT_NOTATION_H
#define LQFT_NOTATION_H

#include "ir.h"

/* How an axis is written: a plain index (dims 0), or component 0 … dims-1 of the
 * index of a lattice site, whose components are consecutive axes. */
typedef struct NotationAxis { const char *name; int component, dims; } NotationAxis;

/* The axes of the node printed, reduced ones included, as far as they are known;
 * the others get names of their own. */
typedef struct NotationNames { const NotationAxis *axis; int naxes; } NotationNames;

/* The right-hand side of array[axes] = …, after lines "where t1[x] = …" for what it
 * uses more than once or what is too large to stand in it.  names may be NULL. */
void notation_print(const Ir *ir, Ref array, const NotationNames *names, Text *out);

#endif
