/* ops.c — facts about operations, all of them from the rows of ops.def. */
#include "ir.h"

#include "../../runtime/ops.h"
#include "../../runtime/vmath.h"
#include "../../runtime/vmath_list.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

typedef struct OpInfo { const char *name, *vmath; int arity, cost; } OpInfo;

static const OpInfo info[IR_NOPS] = {
#define OP(id, name, arity, type, value, vm, cost) [SC_##id] = {name, vm, arity, cost},
#include "../../runtime/ops.def"
#undef OP
    [SC_NONE] = {"none", NULL, 0, 0},     [SC_CONST] = {"number", NULL, 0, 0},
    [SC_IDX] = {"idx", NULL, 0, 0},       [SC_INRANGE] = {"inrange", NULL, 0, 1},
    [SC_READ] = {"read", NULL, 1, 0},     [SC_RAND] = {"rand", NULL, 0, 60},
    [AR_INPUT] = {"input", NULL, 0, 0},   [AR_CONST] = {"const", NULL, 0, 0},
    [AR_MAP] = {"map", NULL, 1, 0},       [AR_REDUCE] = {"reduce", NULL, 1, 0},
    [AR_LOOP] = {"loop", NULL, 0, 0},     [AR_CARRY] = {"carry", NULL, 1, 0},
    [AR_PROJ] = {"proj", NULL, 1, 0},     [AR_STACK] = {"stack", NULL, 1, 0},
    [AR_CALL] = {"call", NULL, 0, 0},
};

const char *op_name(Op op) { return op < IR_NOPS ? info[op].name : "?"; }
int op_arity(Op op) { return info[op].arity; }
const char *op_vmath(Op op) { return info[op].vmath; }
int op_cost(Op op) { return info[op].cost; }

double op_value(Op op, double a, double b, double c) { return lq_op_value((int)op, a, b, c); }

/* ---- single precision ------------------------------------------------------------ */

typedef void Function1(float *restrict, const float *restrict, int);
typedef void Function2(float *restrict, const float *restrict, const float *restrict, int);

/* The functions that have a text in single precision; others are the double ones, rounded. */
static const struct { const char *name; Function1 *one; Function2 *two; } singles[] = {
#define X(f) {"lqm_" #f, lqmf_##f, NULL},
    VMATH_1(X)
#undef X
#define X(f) {"lqm_" #f, NULL, lqmf_##f},
    VMATH_2(X)
#undef X
#define X(f, rare) {"lqm_" #f, lqmf_##f, NULL},
    VMATH_RARE(X)
#undef X
};

static int single_of_op[IR_NOPS];    /* number in singles, or -1 */
static pthread_once_t singles_once = PTHREAD_ONCE_INIT;

static void find_singles(void)
{
    for (int op = 0; op < IR_NOPS; op++) {
        single_of_op[op] = -1;
        for (int i = 0; i < LQ_COUNT(singles) && info[op].vmath; i++)
            if (strcmp(info[op].vmath, singles[i].name) == 0) single_of_op[op] = i;
    }
}

/* Both operands and double results of +, -, *, / and sqrt have so many bits that rounding
 * twice is rounding once. */
float op_value_single(Op op, float a, float b, float c)
{
    float out;
    if (op == SC_FMA) return fmaf(a, b, c);
    pthread_once(&singles_once, find_singles);
    int i = info[op].vmath ? single_of_op[op] : -1;
    if (i < 0) return (float)op_value(op, a, b, c);
    if (singles[i].one) singles[i].one(&out, &a, 1);
    else singles[i].two(&out, &a, &b, 1);
    return out;
}
