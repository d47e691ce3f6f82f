/* local.h — what a sum of local terms says about one element of an array at a time. */
#ifndef LQFT_LOCAL_H
#define LQFT_LOCAL_H

#include "ir.h"

typedef struct LocalError { const char *why; } LocalError;

/* The array over q's axes of  S(q with q[u] replaced by v[u]) - S(q),  for each u by
 * itself.  S: a scalar expression; q, v: inputs of one shape.  0, and why, when S is not a
 * sum of terms each of which reads a fixed neighbourhood of q. */
Ref ir_difference(Ir *ir, Ref S, Ref q, Ref v, LocalError *err);

/* Numbers of colours c(u) = sum a[i] u[i] mod m of the elements u of q, such that no term of
 * S reads two elements of one colour.  The smallest m that the search finds; m = the number
 * of elements always works.  False as above. */
bool ir_colouring(Ir *ir, Ref S, Ref q, int64_t *a, int64_t *m, LocalError *err);

#endif
