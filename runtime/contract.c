/* contract.c — sums of products of two arrays.  See contract.h. */
#include "contract.h"

#include <stdlib.h>

#include "base.h"

struct LqContractPlan {
    LqContraction c;
};

LqContractPlan *lq_contract_plan(const LqContraction *c)
{
    LqContractPlan *p = lq_alloc(sizeof *p);
    p->c = *c;
    return p;
}

void lq_contract_plan_free(LqContractPlan *p)
{
    free(p);
}

size_t lq_contract_scratch(const LqContractPlan *p)
{
    (void)p;
    return 0;
}

/* The element of an operand at a point of all axes. */
static double element(const LqOperand *o, int naxes, const int64_t *at, const void *data, bool single)
{
    int64_t where = 0;
    double sign = 1;
    for (int d = 0; d < o->rank; d++) {
        const LqIndex *ix = &o->ix[d];
        int64_t i = ix->k;
        for (int x = 0; x < naxes; x++) i += ix->c[x] * at[x];
        int64_t turns = (i >= 0 ? i : i - ix->n + 1) / ix->n;
        if (ix->mode == LQ_ZERO && turns) return 0;
        if (ix->mode == LQ_ANTIPERIODIC && turns % 2) sign = -sign;
        where = where * ix->n + i - turns * ix->n;
    }
    return sign * (single ? (double)((const float *)data)[where] : ((const double *)data)[where]);
}

/* The next point of the axes from `first` on; false after the last. */
static bool next(const int64_t *ext, int first, int end, int64_t *at)
{
    for (int x = end - 1; x >= first; x--) {
        if (++at[x] < ext[x]) return true;
        at[x] = 0;
    }
    return false;
}

void lq_contract(const LqContractPlan *p, const void *a, const void *b, void *out, void *scratch)
{
    const LqContraction *c = &p->c;
    int n = c->rank + c->nred;
    int64_t at[LQ_AXES] = {0}, o = 0;
    bool empty = false;
    (void)scratch;
    for (int x = 0; x < n; x++) {
        if (c->ext[x] == 0 && x < c->rank) return;
        if (c->ext[x] == 0) empty = true;
    }
    do {
        double sum = 0;
        if (!empty)
            do {
                double x = element(&c->a, n, at, a, c->single), y = element(&c->b, n, at, b, c->single);
                sum = c->single ? (double)(float)(sum + x * y) : sum + x * y;
            } while (next(c->ext, c->rank, n, at));
        if (c->single) ((float *)out)[o++] = (float)sum;
        else ((double *)out)[o++] = sum;
    } while (next(c->ext, 0, c->rank, at));
}
