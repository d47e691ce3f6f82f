/* ops.c — operations one number at a time.  Vector functions are called for one element: constants
 * folded by the compiler, interpreted and compiled programs then agree in every bit. */
#include "ops.h"
#include "vmath.h"

#include <math.h>

enum { OP_NONE,
#define OP(id, name, arity, type, value, vm, cost) OP_##id,
#include "ops.def"
#undef OP
};

static double vm1(void (*f)(double *restrict, const double *restrict, int), double a) {
    double out;
    f(&out, &a, 1);
    return out;
}

static double vm2(void (*f)(double *restrict, const double *restrict, const double *restrict, int), double a, double b) {
    double out;
    f(&out, &a, &b, 1);
    return out;
}

double lq_op_value(int op, double a, double b, double c) {
    switch (op) {
#define OP(id, name, arity, type, value, vm, cost) case OP_##id: return value;
#include "ops.def"
#undef OP
    default: return NAN;     /* no other operation has a value of its own */
    }
}
