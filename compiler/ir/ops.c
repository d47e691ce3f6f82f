/* ops.c — facts about operations, all of them from the rows of ops.def. */
#include "ir.h"

#include "../../runtime/vmath.h"

#include <math.h>

/* Vector functions are called for one element: constants folded by the compiler,
 * interpreted and compiled programs then agree in every bit. */
static double vm1(void (*f)(double *restrict, const double *restrict, int), double a)
{
    double out;
    f(&out, &a, 1);
    return out;
}

static double vm2(void (*f)(double *restrict, const double *restrict, const double *restrict, int),
                  double a, double b)
{
    double out;
    f(&out, &a, &b, 1);
    return out;
}

typedef struct OpInfo { const char *name, *vmath; int arity, cost; } OpInfo;

static const OpInfo info[IR_NOPS] = {
#define OP(id, name, arity, type, value, vm, cost) [SC_##id] = {name, vm, arity, cost},
#include "ops.def"
#undef OP
    [SC_NONE] = {"none", NULL, 0, 0},     [SC_CONST] = {"number", NULL, 0, 0},
    [SC_IDX] = {"idx", NULL, 0, 0},       [SC_INRANGE] = {"inrange", NULL, 0, 1},
    [SC_READ] = {"read", NULL, 1, 0},     [SC_RAND] = {"rand", NULL, 0, 60},
    [AR_INPUT] = {"input", NULL, 0, 0},   [AR_CONST] = {"const", NULL, 0, 0},
    [AR_MAP] = {"map", NULL, 1, 0},       [AR_REDUCE] = {"reduce", NULL, 1, 0},
    [AR_LOOP] = {"loop", NULL, 0, 0},     [AR_CARRY] = {"carry", NULL, 1, 0},
    [AR_PROJ] = {"proj", NULL, 1, 0},     [AR_STACK] = {"stack", NULL, 1, 0},
};

const char *op_name(Op op) { return op < IR_NOPS ? info[op].name : "?"; }
int op_arity(Op op) { return info[op].arity; }
const char *op_vmath(Op op) { return info[op].vmath; }
int op_cost(Op op) { return info[op].cost; }

double op_value(Op op, double a, double b, double c)
{
    switch (op) {
#define OP(id, name, arity, type, value, vm, cost) case SC_##id: return value;
#include "ops.def"
#undef OP
    default: return NAN;     /* no other operation has a value of its own */
    }
}
