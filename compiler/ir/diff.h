/* diff.h — private to differentiation: what diff.c uses of diff_rules.c. */
#ifndef LQFT_DIFF_H
#define LQFT_DIFF_H

#include "ir.h"

/* adj times d (or divided by d), with the product moved inside a select that has a zero
 * branch: where that branch is chosen the result is 0 even if d is infinite there. */
Ref diff_scale(Ir *ir, Op op, Ref adj, Ref d);

/* The adjoints that operation r passes on to its operands, given its own adjoint adj:
 * out[i] for operands with active[i], 0 where nothing is passed on.  False: why says
 * what has no derivative. */
bool diff_rule(Ir *ir, Ref r, Ref adj, const bool *active, Ref *out, const char **why);

/* Operations that have zero derivative everywhere, by convention. */
bool diff_is_flat(Op op);

/* diff_calls.c: the adjoints of the arguments of a call, out[0] and out[1], as arrays; 0 for none. */
void diff_call(Ir *ir, Ref call, Ref adj, Ref *out);

/* The contribution of a read in a body over axes of extents dims, whose partial derivative is term, to the adjoint
 * of the array it reads, by a scatter: an array, or 0 when the indices do not allow it. */
Ref diff_scattered(Ir *ir, int n, const int64_t *dims, Ref read, Ref term);

#endif
