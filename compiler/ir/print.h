/* print.h — scalar expressions as text, for print.c and kernel_print.c: infix with
 * as few parentheses as possible; subexpressions used more than once (and parts of
 * very deep ones) get names s0, s1, … */
#ifndef LQFT_PRINT_H
#define LQFT_PRINT_H

#include "schedule.h"

typedef struct ScalarPrinter {
    const Ir   *ir;
    ScalarWalk *walk;
    int        *name;        /* by position in walk->list: number of its name, or -1 */
    int         nnames;
    void      (*array_name)(void *ctx, Ref array, Text *out);
    void       *ctx;
} ScalarPrinter;

void scalar_printer_init(ScalarPrinter *p, const Ir *ir,
                         void (*array_name)(void *ctx, Ref array, Text *out), void *ctx);
void scalar_printer_free(ScalarPrinter *p);
/* Chooses the names for expressions that are printed together. */
void scalar_plan(ScalarPrinter *p, int nroots, const Ref *roots);
/* The definitions "s0 = …", each between the texts before and after. */
void scalar_print_names(ScalarPrinter *p, const char *before, const char *after, Text *out);
void scalar_print(ScalarPrinter *p, Ref r, Text *out);

void print_number(double v, Text *out);
void print_affine(const Ir *ir, Aff a, Text *out);
void print_dims(const Ir *ir, Ref array, int from, int to, Text *out);   /* [32,32] */

#endif
