/* ops.h — the scalar operations of programs (ops.def), one number at a time. */
#ifndef LQFT_OPS_H
#define LQFT_OPS_H

/* Counted from 1, in the order of ops.def; the compiler's Op begins with the same numbers. */
double lq_op_value(int op, double a, double b, double c);

#endif
