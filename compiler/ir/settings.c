/* settings.c — constants that a compiled program can be given anew.
 *
 * Parameters are constants to all passes: they are folded, and come out where literals would.  But
 * a constant that was computed from parameters remembers how (a recipe), so that code can read it
 * from a table which is computed at the start, and need not be compiled for another value.  What
 * asks for the value of such a constant, to decide something by it, fixes the parameters: another
 * value would be another program.  So nothing can depend on a value without its being known. */
#include "ir.h"

#include <math.h>

static bool recipe_equal(const Recipe *a, const Recipe *b) {
    if (a->setting != b->setting || a->op != b->op || a->n != b->n) return false;
    for (int i = 0; i < a->n; i++)
        if (a->args[i] != b->args[i]) return false;
    return true;
}

/* A table of recipes by what they say: number + 1, or 0. */
static uint32_t *slot_of(Ir *ir, const Recipe *q) {
    uint64_t key[5] = {(uint64_t)q->setting, (uint64_t)q->op, q->args[0], q->args[1], q->args[2]};
    uint32_t at = (uint32_t)lq_hash(key, sizeof key, 1) & (uint32_t)(ir->recipe_cap - 1);
    while (ir->recipe_table[at] && !recipe_equal(&ir->recipes.data[ir->recipe_table[at] - 1], q)) at = (at + 1) & (uint32_t)(ir->recipe_cap - 1);
    return &ir->recipe_table[at];
}

static void grow(Ir *ir) {
    ir->recipe_cap = ir->recipe_cap ? 2 * ir->recipe_cap : 64;
    ir->recipe_table = arena_alloc(ir->arena, (size_t)ir->recipe_cap * sizeof *ir->recipe_table);
    for (int i = 0; i < ir->recipes.n; i++) *slot_of(ir, &ir->recipes.data[i]) = (uint32_t)i + 1;
}

static Ref by_recipe(Ir *ir, Recipe q, double value) {
    if (2 * ir->recipes.n >= ir->recipe_cap) grow(ir);
    uint32_t *slot = slot_of(ir, &q);
    if (!*slot) {
        vec_push(&ir->recipes, q);
        *slot = (uint32_t)ir->recipes.n;
    }
    return ir_const_by_recipe(ir, *slot - 1, value);
}

const Recipe *ir_recipe(const Ir *ir, Ref r) {
    const Node *n = NODE(ir, r);
    return n->op == SC_CONST && n->aux >= CONST_RECIPE ? &ir->recipes.data[n->aux - CONST_RECIPE] : NULL;
}

double ir_const_value(const Ir *ir, Ref r) { return NODE(ir, r)->val; }

bool ir_is_literal(const Ir *ir, Ref r, double *v) {
    if (NODE(ir, r)->op != SC_CONST || ir_recipe(ir, r)) return false;
    if (v) *v = NODE(ir, r)->val;
    return true;
}

Ref ir_setting(Ir *ir, const char *name, double value, Ref dflt, Span at) {
    if (dflt && !ir_recipe(ir, dflt)) dflt = 0;
    int k = 0;
    while (k < ir->settings.n && !(ir->settings.data[k].name == name && ir->settings.data[k].dflt == dflt &&
                                   ir->settings.data[k].value == value)) k++;
    if (k == ir->settings.n) vec_push(&ir->settings, ((Setting){.name = name, .value = value, .dflt = dflt, .at = at}));
    return by_recipe(ir, (Recipe){.setting = k}, value);
}

static Ref negated(const Ir *ir, Ref r) {
    const Recipe *q = ir_recipe(ir, r);
    return q && q->setting < 0 && q->op == SC_NEG ? q->args[0] : 0;
}

/* Signs are taken out of products, so that c and -c are seen to be of one size. */
static Ref signed_product(Ir *ir, Op op, Ref a, Ref b) {
    double v;
    Ref p = negated(ir, a), q = negated(ir, b);
    if (p || q) {
        Ref r = ir_binary(ir, op, p ? p : a, q ? q : b);
        return p && q ? r : ir_unary(ir, SC_NEG, r);
    }
    if (ir_is_literal(ir, a, &v) && v < 0) return ir_unary(ir, SC_NEG, ir_binary(ir, op, ir_const(ir, -v), b));
    if (ir_is_literal(ir, b, &v) && v < 0) return ir_unary(ir, SC_NEG, ir_binary(ir, op, a, ir_const(ir, -v)));
    return 0;
}

Ref ir_const_computed(Ir *ir, Op op, int n, const Ref *args) {
    double v[3] = {0};
    Recipe q = {.setting = -1, .op = op, .n = n};
    Ref simpler = 0;
    if (op == SC_NEG && negated(ir, args[0])) return negated(ir, args[0]);
    if (op == SC_ADD && (args[0] == negated(ir, args[1]) || args[1] == negated(ir, args[0]))) return ir_const(ir, 0);
    if (op == SC_MUL || op == SC_DIV) simpler = signed_product(ir, op, args[0], args[1]);
    if (simpler) return simpler;
    for (int i = 0; i < n; i++) v[i] = ir_const_value(ir, args[i]), q.args[i] = args[i];
    return by_recipe(ir, q, op_value(op, v[0], v[1], v[2]));
}

void ir_fix(Ir *ir, Ref r) {
    const Recipe *q = r ? ir_recipe(ir, r) : NULL;
    if (!q) return;
    if (q->setting < 0) {
        Recipe copy = *q;
        for (int i = 0; i < copy.n; i++) ir_fix(ir, copy.args[i]);
        return;
    }
    Setting *s = &ir->settings.data[q->setting];
    if (s->fixed) return;
    s->fixed = ir->fixing ? ir->fixing : "it decides what is computed";
    ir_fix(ir, s->dflt);
}

/* ---- arrays that are computed before the run ------------------------------------------------------ */

Ref ir_source(const Ir *ir, Ref array) { return NODE(ir, array)->op == AR_CONST ? ir->consts.data[NODE(ir, array)->aux].source : 0; }

typedef struct Looking { const Ir *ir; bool found; } Looking;

static void look(void *ctx, Ref r) {
    Looking *l = ctx;
    l->found |= NODE(l->ir, r)->op == SC_RAND || ir_recipe(l->ir, r) || ir_source(l->ir, r);
}

bool ir_is_variable(const Ir *ir, Ref array) {
    Looking l = {.ir = ir};
    ir_walk(ir, 1, &array, look, &l);
    return l.found;
}
