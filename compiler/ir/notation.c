/* notation.c — array nodes as index notation: see notation.h.
 *
 * Arrays used once are written where they are used, their axes replaced by the
 * indices of the read; so indices are linear forms over the axes that have names in
 * the text, not over those of a node.  Boundary modes are not written: they belong
 * to the declaration of the lattice. */
#include "notation.h"
#include "schedule.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct Form { int64_t k; int n; struct { int axis; int64_t c; } t[]; } Form;
typedef const Form *const *Env;                /* by axis of the node being written */

/* What a lattice site looks like: consecutive axes with these extents. */
typedef struct Site { const char *name; int dims; const int64_t *ext; } Site;

typedef struct ArrayInfo {
    int  uses, size;         /* reads of it; nodes of its text with everything inlined */
    bool positional;         /* the text changes when an index wraps */
    bool apart;              /* must have a definition */
    int  number;             /* of its definition t1, t2, … */
} ArrayInfo;

typedef struct Notation {
    const Ir   *ir;
    Arena      *arena;
    Schedule   *s;
    ArrayInfo  *info;        /* by position in the schedule, for both levels */
    VEC(NotationAxis) axes;  /* with names in the text now */
    VEC(Site)   sites;
    ScalarWalk *walk;        /* the body of the definition being written */
    int        *name;        /* by position in it: s1, s2, … or 0 */
    bool        named;       /* false inside inlined arrays, whose scalars have no names */
    int         nscalars, narrays;
} Notation;

enum { INLINE_MAP = 24, INLINE_REDUCE = 60, NAMED_SIZE = 12, NAMED_DEPTH = 50, SIZE_LIMIT = 1 << 20 };
enum { P_LOWEST, P_OR, P_AND, P_COMPARE, P_SUM, P_PRODUCT, P_POWER, P_ATOM };

static ArrayInfo *info(const Notation *n, Ref r) { return &n->info[PLACE(n->s, r)]; }

/* ---- which arrays are written in place ---------------------------------------------- */

static bool written_in_place(const Notation *n, Ref array)
{
    const ArrayInfo *a = info(n, array);
    int op = NODE(n->ir, array)->op;
    if (op != AR_MAP && op != AR_REDUCE) return false;
    if (a->apart) return false;
    return a->size <= 2 || (a->uses <= 1 && a->size <= (op == AR_MAP ? INLINE_MAP : INLINE_REDUCE));
}

/* Every operand that is a read is one place where the array would be written. */
static void count_uses(Notation *n)
{
    const Ir *ir = n->ir;
    for (int i = 0; i < n->s->nodes.n; i++) {
        Ref r = n->s->nodes.data[i];
        for (uint32_t j = 0; j < NODE(ir, r)->nargs; j++) {
            Ref a = NARG(ir, r, j);
            if (NODE(ir, a)->op == SC_READ) info(n, NARG(ir, a, 0))->uses++;
            else if (NODE(ir, r)->op != SC_READ && ir_is_array(ir, a)) info(n, a)->apart = true;
        }
    }
}

/* A wrapped index gives the body another meaning where the body speaks of positions,
 * and a changed sign or a zero is not in the body at all. */
static void check_wraps(Notation *n, Ref read)
{
    ArrayInfo *a = info(n, NARG(n->ir, read, 0));
    for (int i = 0; i < NODE(n->ir, read)->nidx; i++) {
        uint32_t mode = NIDX(n->ir, read, i)->mode;
        if (mode == IX_ZERO || mode == IX_ANTIPERIODIC) a->apart = true;
        if (mode == IX_PERIODIC && a->positional) a->apart = true;
    }
}

static void measure(Notation *n)
{
    const Ir *ir = n->ir;
    count_uses(n);
    for (int i = 0; i < n->s->nodes.n; i++) {           /* arguments first */
        Ref r = n->s->nodes.data[i];
        int op = NODE(ir, r)->op;
        n->info[i].positional = op == SC_IDX || op == SC_INRANGE || op == SC_RAND;
        for (uint32_t j = 0; j < NODE(ir, r)->nargs; j++)
            n->info[i].positional |= info(n, NARG(ir, r, j))->positional;
        if (op == SC_READ) check_wraps(n, r);
    }
    for (int i = 0; i < n->s->nodes.n; i++) {
        Ref r = n->s->nodes.data[i];
        int op = NODE(ir, r)->op, *size = &n->info[i].size;
        *size = op == AR_MAP ? 0 : 1;
        for (uint32_t j = 0; j < NODE(ir, r)->nargs; j++) {
            Ref a = NARG(ir, r, j);
            if (op != SC_READ || written_in_place(n, a)) *size += info(n, a)->size;
            if (*size > SIZE_LIMIT) *size = SIZE_LIMIT;
        }
    }
}

/* ---- names of axes ---------------------------------------------------------------------- */

static bool name_taken(const Notation *n, const char *name)
{
    for (int i = 0; i < n->axes.n; i++)
        if (!strcmp(n->axes.data[i].name, name)) return true;
    for (int i = 0; i < n->ir->slot_names.n; i++)
        if (n->ir->slot_names.data[i] && !strcmp(n->ir->slot_names.data[i], name)) return true;
    return false;
}

static const char *fresh_name(Notation *n, const char *wanted, bool site)
{
    static const char *const plain[] = {"i", "j", "k", "l", "m", "n"}, *const points[] = {"x", "y", "z", "w"};
    if (wanted && !name_taken(n, wanted)) return wanted;
    for (int i = 0; i < (site ? LQ_COUNT(points) : LQ_COUNT(plain)); i++) {
        const char *s = site ? points[i] : plain[i];
        if (!name_taken(n, s)) return s;
    }
    for (int i = 1;; i++) {
        const char *s = arena_printf(n->arena, "%s%d", site ? "x" : "i", i);
        if (!name_taken(n, s)) return s;
    }
}

static const Site *site_at(const Notation *n, Ref array, int at, int end)
{
    for (int i = 0; i < n->sites.n; i++) {
        const Site *s = &n->sites.data[i];
        bool fits = at + s->dims <= end;
        for (int d = 0; d < s->dims && fits; d++) fits = NDIM(n->ir, array, at + d) == s->ext[d];
        if (fits) return s;
    }
    return NULL;
}

static const Form *axis_form(Notation *n, int axis)
{
    Form *f = arena_alloc(n->arena, sizeof *f + sizeof f->t[0]);
    f->n = 1, f->t[0].axis = axis, f->t[0].c = 1;
    return f;
}

/* Names for axes from … to-1 of a node, written into its environment. */
static void name_axes(Notation *n, Ref array, int from, int to, const Form **env)
{
    for (int i = from; i < to;) {
        const Site *site = site_at(n, array, i, to);
        const char *name = fresh_name(n, site ? site->name : NULL, site);
        for (int d = 0; d < (site ? site->dims : 1); d++, i++) {
            env[i] = axis_form(n, n->axes.n);
            vec_push(&n->axes, ((NotationAxis){name, d, site ? site->dims : 0}));
        }
    }
}

static void name_root_axes(Notation *n, Ref root, const NotationNames *names, const Form **env)
{
    int all = NODE(n->ir, root)->rank + NODE(n->ir, root)->nred, given = names ? names->naxes : 0;
    if (given > all) given = all;
    for (int i = 0; i < given; i++) {
        env[i] = axis_form(n, n->axes.n);
        vec_push(&n->axes, names->axis[i]);
    }
    name_axes(n, root, given, all, env);
}

static void find_sites(Notation *n, Ref root, const NotationNames *names)
{
    int all = NODE(n->ir, root)->rank + NODE(n->ir, root)->nred;
    for (int i = 0; names && i < names->naxes; i++) {
        const NotationAxis *a = &names->axis[i];
        if (a->dims == 0 || a->component != 0 || i + a->dims > all) continue;
        Site s = {a->name, a->dims, n->ir->dims.data + NODE(n->ir, root)->dims + i};
        vec_push(&n->sites, s);
    }
}

/* ---- indices --------------------------------------------------------------------------------- */

static int loop_axis(Notation *n, uint32_t loop)
{
    const char *name = arena_printf(n->arena, "t%u", loop);
    for (int i = 0; i < n->axes.n; i++)
        if (!strcmp(n->axes.data[i].name, name)) return i;
    vec_push(&n->axes, ((NotationAxis){name, 0, 0}));
    return n->axes.n - 1;
}

static void add_term(Form *f, int axis, int64_t c)
{
    int at = 0;
    while (at < f->n && f->t[at].axis < axis) at++;
    if (at < f->n && f->t[at].axis == axis) { f->t[at].c += c; return; }
    memmove(&f->t[at + 1], &f->t[at], (size_t)(f->n - at) * sizeof f->t[0]);
    f->t[at].axis = axis, f->t[at].c = c;
    f->n++;
}

/* The affine index of a node over the names in the text. */
static const Form *form_of(Notation *n, Aff aff, Env env)
{
    const Affine *a = aff_get(n->ir, aff);
    int terms = 0;
    for (int i = 0; i < a->n; i++) terms += a->t[i].sym < SYM_FREE ? env[a->t[i].sym]->n : 1;
    Form *f = arena_alloc(n->arena, sizeof *f + (size_t)terms * sizeof f->t[0]);
    f->k = a->k;
    for (int i = 0; i < a->n; i++) {
        Sym s = a->t[i].sym;
        if (s >= SYM_FREE) { add_term(f, loop_axis(n, s & (SYM_FREE - 1)), a->t[i].c); continue; }
        f->k += a->t[i].c * env[s]->k;
        for (int j = 0; j < env[s]->n; j++) add_term(f, env[s]->t[j].axis, a->t[i].c * env[s]->t[j].c);
    }
    int kept = 0;
    for (int i = 0; i < f->n; i++)
        if (f->t[i].c) f->t[kept++] = f->t[i];
    f->n = kept;
    return f;
}

/* One term of a linear combination, " + 2*e1" or, in front, "-x". */
static void print_term(int64_t c, const char *name, int number, bool first, Text *out)
{
    text_printf(out, "%s", first ? (c < 0 ? "-" : "") : c < 0 ? " - " : " + ");
    if (c != 1 && c != -1) text_printf(out, "%lld*", llabs((long long)c));
    if (number >= 0) text_printf(out, "%s%d", name, number);
    else text_printf(out, "%s", name);
}

static void print_form(const Notation *n, const Form *f, Text *out)
{
    for (int i = 0; i < f->n; i++) {
        const NotationAxis *a = &n->axes.data[f->t[i].axis];
        print_term(f->t[i].c, a->name, -1, i == 0, out);
        if (a->dims > 1) text_printf(out, "[%d]", a->component);
    }
    if (f->n == 0) text_printf(out, "%lld", (long long)f->k);
    else if (f->k) text_printf(out, " %c %lld", f->k < 0 ? '-' : '+', llabs((long long)f->k));
}

/* Number of indices from forms[0] on that are together the components of one
 * combination of sites, or 0. */
static int site_run(const Notation *n, const Form *const *forms, int count)
{
    if (forms[0]->n == 0) return 0;
    int dims = n->axes.data[forms[0]->t[0].axis].dims;
    if (dims == 0 || dims > count) return 0;
    for (int d = 0; d < dims; d++) {
        if (forms[d]->n != forms[0]->n) return 0;
        for (int j = 0; j < forms[d]->n; j++) {
            const NotationAxis *a = &n->axes.data[forms[d]->t[j].axis];
            if (a->dims != dims || a->component != d) return 0;
            if (forms[d]->t[j].axis != forms[0]->t[j].axis + d || forms[d]->t[j].c != forms[0]->t[j].c) return 0;
        }
    }
    return dims;
}

static void print_indices(const Notation *n, const Form *const *forms, int count, Text *out)
{
    for (int i = 0; i < count;) {
        text_printf(out, i ? ", " : "[");
        int dims = site_run(n, forms + i, count - i);
        if (dims == 0) { print_form(n, forms[i++], out); continue; }
        for (int j = 0; j < forms[i]->n; j++)
            print_term(forms[i]->t[j].c, n->axes.data[forms[i]->t[j].axis].name, -1, j == 0, out);
        for (int d = 0; d < dims; d++, i++)
            if (forms[i]->k) print_term(forms[i]->k, "e", d, false, out);
    }
    if (count) text_printf(out, "]");
}

/* ---- expressions -------------------------------------------------------------------------------- */

/* Each writes its node and returns how tightly the text binds. */
static int render(Notation *n, Ref r, Env env, Text *out);

static void print_at(Notation *n, Ref r, Env env, int level, Text *out)
{
    Text t = {0};
    bool loose = render(n, r, env, &t) < level;
    text_printf(out, loose ? "(%s)" : "%s", t.s ? t.s : "");
    text_free(&t);
}

static int scalar_name(const Notation *n, Ref r)
{
    uint32_t at = n->named ? n->walk->place[r] : 0;
    return at ? n->name[at - 1] : 0;
}

/* A product: coefficient times powers over powers. */
typedef struct Factor { Ref r; int power; } Factor;
typedef struct Product { double coefficient; VEC(Factor) over, under; } Product;

static void add_factor(Product *p, Ref r, int power, bool under)
{
    Factor *f = under ? p->under.data : p->over.data;
    int count = under ? p->under.n : p->over.n;
    for (int i = 0; i < count; i++)
        if (f[i].r == r) { f[i].power += power; return; }
    if (under) vec_push(&p->under, ((Factor){r, power}));
    else vec_push(&p->over, ((Factor){r, power}));
}

static void collect_factors(const Notation *n, Product *p, Ref r, bool under)
{
    const Ir *ir = n->ir;
    const Node *node = NODE(ir, r);
    double e;
    if (scalar_name(n, r)) { add_factor(p, r, 1, under); return; }
    switch (node->op) {
    case SC_CONST:
        if (!node->boolean && !under) p->coefficient *= node->val;
        else add_factor(p, r, 1, under);
        break;
    case SC_NEG:
        p->coefficient = -p->coefficient;
        collect_factors(n, p, NARG(ir, r, 0), under);
        break;
    case SC_MUL:
        collect_factors(n, p, NARG(ir, r, 0), under);
        collect_factors(n, p, NARG(ir, r, 1), under);
        break;
    case SC_DIV:
        collect_factors(n, p, NARG(ir, r, 0), under);
        collect_factors(n, p, NARG(ir, r, 1), !under);
        break;
    case SC_POW:
        if (ir_is_literal(ir, NARG(ir, r, 1), &e) && e == floor(e) && e > 0 && e < 64)
            add_factor(p, NARG(ir, r, 0), (int)e, under);
        else add_factor(p, r, 1, under);
        break;
    default: add_factor(p, r, 1, under);
    }
}

static void print_factors(Notation *n, const Factor *f, int count, bool after, Env env, Text *out)
{
    for (int i = 0; i < count; i++) {
        if (i || after) text_printf(out, "*");
        print_at(n, f[i].r, env, f[i].power > 1 ? P_ATOM : P_POWER, out);
        if (f[i].power > 1) text_printf(out, "^%d", f[i].power);
    }
}

/* The product without its sign. */
static int render_product(Notation *n, const Product *p, Env env, Text *out)
{
    double c = fabs(p->coefficient);
    bool number = c != 1 || p->over.n == 0;
    if (!number && p->under.n == 0 && p->over.n == 1 && p->over.data[0].power == 1) {
        Text t = {0};
        int level = render(n, p->over.data[0].r, env, &t);
        text_printf(out, level < P_PRODUCT ? "(%s)" : "%s", t.s);
        text_free(&t);
        return level < P_PRODUCT ? P_ATOM : level;
    }
    if (number) text_printf(out, "%.10g", c);
    print_factors(n, p->over.data, p->over.n, number, env, out);
    if (p->under.n) {
        bool single = p->under.n == 1;
        text_printf(out, single ? "/" : "/(");
        print_factors(n, p->under.data, p->under.n, false, env, out);
        text_printf(out, single ? "" : ")");
    }
    if (p->under.n == 0 && p->over.n == 0) return P_ATOM;
    return !number && p->under.n == 0 && p->over.n == 1 ? P_POWER : P_PRODUCT;
}

/* A term of a sum is the product of a and, if there is one, b. */
typedef struct Term { Ref a, b; bool negative; } Term;
typedef VEC(Term) Terms;

static void collect_terms(const Notation *n, Terms *terms, Ref r, bool negative)
{
    const Ir *ir = n->ir;
    int op = scalar_name(n, r) ? SC_NONE : NODE(ir, r)->op;
    if (op == SC_ADD || op == SC_SUB) {
        collect_terms(n, terms, NARG(ir, r, 0), negative);
        collect_terms(n, terms, NARG(ir, r, 1), negative != (op == SC_SUB));
    } else if (op == SC_NEG) {
        collect_terms(n, terms, NARG(ir, r, 0), !negative);
    } else if (op == SC_FMA) {
        vec_push(terms, ((Term){NARG(ir, r, 0), NARG(ir, r, 1), negative}));
        collect_terms(n, terms, NARG(ir, r, 2), negative);
    } else vec_push(terms, ((Term){r, 0, negative}));
}

/* Numbers stand first in a sum. */
static void constants_first(const Notation *n, Terms *terms)
{
    int at = 0;
    for (int i = 0; i < terms->n; i++) {
        Term t = terms->data[i];
        if (t.b || !ir_is_const(n->ir, t.a, NULL)) continue;
        memmove(&terms->data[at + 1], &terms->data[at], (size_t)(i - at) * sizeof t);
        terms->data[at++] = t;
    }
}

static int render_sum(Notation *n, Ref r, Env env, Text *out)
{
    Terms terms = {0};
    collect_terms(n, &terms, r, false);
    constants_first(n, &terms);
    int level = P_SUM;
    for (int i = 0; i < terms.n; i++) {
        Product p = {.coefficient = terms.data[i].negative ? -1 : 1};
        collect_factors(n, &p, terms.data[i].a, false);
        if (terms.data[i].b) collect_factors(n, &p, terms.data[i].b, false);
        bool minus = signbit(p.coefficient);
        text_printf(out, "%s", i ? (minus ? " - " : " + ") : minus ? "-" : "");
        int tight = render_product(n, &p, env, out);
        if (terms.n == 1 && !minus) level = tight;
        vec_free(&p.over);
        vec_free(&p.under);
    }
    vec_free(&terms);
    return level;
}

static const struct Infix { const char *spelling; int level; } infix[IR_NOPS] = {
    [SC_LT] = {" < ", P_COMPARE},  [SC_LE] = {" <= ", P_COMPARE}, [SC_EQ] = {" == ", P_COMPARE},
    [SC_NE] = {" != ", P_COMPARE}, [SC_AND] = {" and ", P_AND},   [SC_OR] = {" or ", P_OR},
};

static int render_infix(Notation *n, Ref r, Env env, Text *out)
{
    const struct Infix *op = &infix[NODE(n->ir, r)->op];
    int operand = op->level == P_COMPARE ? P_SUM : op->level;
    print_at(n, NARG(n->ir, r, 0), env, operand, out);
    text_printf(out, "%s", op->spelling);
    print_at(n, NARG(n->ir, r, 1), env, operand, out);
    return op->level;
}

static int render_select(Notation *n, Ref r, Env env, Text *out)
{
    static const char *const words[] = {"if ", " then ", " else "};
    for (uint32_t i = 0; i < 3; i++) {
        text_printf(out, "%s", words[i]);
        print_at(n, NARG(n->ir, r, i), env, i < 2 ? P_OR : P_LOWEST, out);
    }
    return P_LOWEST;
}

static int render_call(Notation *n, Ref r, Env env, Text *out)
{
    text_printf(out, "%s(", op_name((Op)NODE(n->ir, r)->op));
    for (uint32_t i = 0; i < NODE(n->ir, r)->nargs; i++) {
        if (i) text_printf(out, ", ");
        print_at(n, NARG(n->ir, r, i), env, P_LOWEST, out);
    }
    text_printf(out, ")");
    return P_ATOM;
}

static void print_binder(Notation *n, Ref reduce, Env env, Text *out)
{
    const Node *r = NODE(n->ir, reduce);
    text_printf(out, "%s[", r->aux == SC_ADD ? "sum" : r->aux == SC_MUL ? "prod" : op_name((Op)r->aux));
    for (int i = r->rank; i < r->rank + r->nred; i++) {
        const NotationAxis *a = &n->axes.data[env[i]->t[0].axis];
        if (a->component == 0) text_printf(out, "%s%s", i > r->rank ? ", " : "", a->name);
    }
    text_printf(out, "] ");
}

/* The body of a map or reduction; env holds its axes, reduced ones included. */
static int render_array(Notation *n, Ref array, Env env, Text *out)
{
    if (NODE(n->ir, array)->op == AR_MAP) return render(n, NARG(n->ir, array, 0), env, out);
    print_binder(n, array, env, out);
    print_at(n, NARG(n->ir, array, 0), env, P_PRODUCT, out);
    return P_PRODUCT;
}

static void print_array_name(const Notation *n, Ref array, Text *out)
{
    const Node *a = NODE(n->ir, array);
    const char *name = a->op == AR_INPUT ? n->ir->slot_names.data[a->aux] : NULL;
    if (name) text_printf(out, "%s", name);
    else text_printf(out, "t%d", info(n, array)->number);
}

static int render_read(Notation *n, Ref r, Env env, Text *out)
{
    const Ir *ir = n->ir;
    Ref array = NARG(ir, r, 0);
    const Node *a = NODE(ir, array);
    const Form *forms[IR_MAX_RANK];
    if (a->op == AR_CONST && a->rank == 0) {
        double v = ir->consts.data[a->aux].data[0];
        text_printf(out, "%.10g", v);
        return signbit(v) ? P_SUM : P_ATOM;
    }
    for (int i = 0; i < NODE(ir, r)->nidx; i++) forms[i] = form_of(n, NIDX(ir, r, i)->aff, env);
    if (!written_in_place(n, array)) {
        print_array_name(n, array, out);
        print_indices(n, forms, NODE(ir, r)->nidx, out);
        return P_ATOM;
    }
    bool named = n->named;
    int axes = n->axes.n;
    n->named = false;
    name_axes(n, array, a->rank, a->rank + a->nred, forms);
    int level = render_array(n, array, forms, out);
    n->axes.n = axes;
    n->named = named;
    return level;
}

static int render_index(Notation *n, Ref r, Env env, Text *out)
{
    const Index *ix = NIDX(n->ir, r, 0);
    const Form *f = form_of(n, ix->aff, env);
    bool wraps = ix->mode == IX_PERIODIC && NODE(n->ir, r)->op == SC_IDX;
    if (wraps) text_printf(out, "mod(");
    print_form(n, f, out);
    if (wraps) text_printf(out, ", %lld)", (long long)ix->n);
    if (NODE(n->ir, r)->op == SC_INRANGE) {
        text_printf(out, " in 0..%lld", (long long)ix->n - 1);
        return P_COMPARE;
    }
    bool single = f->n == 1 && f->k == 0 && f->t[0].c == 1;
    return wraps || single || (f->n == 0 && f->k >= 0) ? P_ATOM : P_SUM;
}

static int render_const(const Notation *n, Ref r, Text *out)
{
    const Node *node = NODE(n->ir, r);
    if (node->boolean) text_printf(out, node->val != 0 ? "true" : "false");
    else text_printf(out, "%.10g", node->val);
    return signbit(node->val) ? P_SUM : P_ATOM;
}

static int render_power(Notation *n, Ref r, Env env, Text *out)
{
    print_at(n, NARG(n->ir, r, 0), env, P_ATOM, out);
    text_printf(out, "^");
    print_at(n, NARG(n->ir, r, 1), env, P_ATOM, out);
    return P_POWER;
}

/* A power of a whole number or a product goes through the product, the rest here. */
static int render_multiplicative(Notation *n, Ref r, Env env, Text *out)
{
    double e;
    if (NODE(n->ir, r)->op == SC_POW &&
        !(ir_is_literal(n->ir, NARG(n->ir, r, 1), &e) && e == floor(e) && e > 1 && e < 64))
        return render_power(n, r, env, out);
    return render_sum(n, r, env, out);
}

static int render(Notation *n, Ref r, Env env, Text *out)
{
    int op = NODE(n->ir, r)->op, name = scalar_name(n, r);
    if (name) {
        text_printf(out, "s%d", name);
        return P_ATOM;
    }
    switch (op) {
    case SC_CONST: return render_const(n, r, out);
    case SC_IDX: case SC_INRANGE: return render_index(n, r, env, out);
    case SC_READ: return render_read(n, r, env, out);
    case SC_RAND:
        text_printf(out, NODE(n->ir, r)->aux & 1 ? "normal(0, 1)" : "uniform(0, 1)");
        return P_ATOM;
    case SC_ADD: case SC_SUB: case SC_NEG: case SC_FMA: return render_sum(n, r, env, out);
    case SC_MUL: case SC_DIV: case SC_POW: return render_multiplicative(n, r, env, out);
    case SC_SELECT: return render_select(n, r, env, out);
    default: return infix[op].spelling ? render_infix(n, r, env, out) : render_call(n, r, env, out);
    }
}

/* ---- definitions ------------------------------------------------------------------------------------ */

/* Scalars of a body that are used more than once and large, or very deep. */
static void plan_scalars(Notation *n, Ref body)
{
    const Ir *ir = n->ir;
    ScalarWalk *w = n->walk;
    scalar_walk(w, 1, &body);
    size_t count = (size_t)w->list.n;
    n->name = arena_alloc(n->arena, count * sizeof *n->name);
    int *uses = arena_alloc(n->arena, count * sizeof *uses), *depth = arena_alloc(n->arena, count * sizeof *depth);
    for (size_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < NODE(ir, w->list.data[i])->nargs; j++) {
            uint32_t at = w->place[NARG(ir, w->list.data[i], j)];
            if (at) uses[at - 1]++;
        }
    for (size_t i = 0; i + 1 < count; i++) {            /* the last one is the body */
        Ref r = w->list.data[i];
        int size = info(n, r)->size;
        for (uint32_t j = 0; j < NODE(ir, r)->nargs; j++) {
            uint32_t at = w->place[NARG(ir, r, j)];
            if (at && !n->name[at - 1] && depth[at - 1] >= depth[i]) depth[i] = depth[at - 1] + 1;
        }
        bool shared = uses[i] > 1 && size > NAMED_SIZE;
        if (shared || depth[i] > NAMED_DEPTH) n->name[i] = ++n->nscalars;
    }
}

static void print_scalars(Notation *n, Env env, Text *out)
{
    for (int i = 0; i < n->walk->list.n; i++) {
        int name = n->name[i];
        if (!name) continue;
        n->name[i] = 0;                                  /* here it is written out */
        text_printf(out, "where s%d = ", name);
        render(n, n->walk->list.data[i], env, out);
        text_printf(out, "\n");
        n->name[i] = name;
    }
}

static void print_table(const Notation *n, Ref array, Text *out)
{
    const ConstData *c = &n->ir->consts.data[NODE(n->ir, array)->aux];
    text_printf(out, "(");
    for (int64_t i = 0; i < c->n && i < 8; i++) text_printf(out, "%s%.10g", i ? ", " : "", c->data[i]);
    text_printf(out, c->n > 8 ? ", …)" : ")");
}

/* Right-hand side of a node that is written apart. */
static void print_value(Notation *n, Ref array, Env env, Text *out)
{
    const Node *a = NODE(n->ir, array);
    switch (a->op) {
    case AR_MAP: case AR_REDUCE: render_array(n, array, env, out); break;
    case AR_CONST: print_table(n, array, out); break;
    case AR_CARRY: text_printf(out, "a value carried by loop %u", a->aux); break;
    case AR_INPUT:
        print_array_name(n, array, out);
        print_indices(n, env, a->rank, out);
        break;
    default: {
        uint32_t loop = NODE(n->ir, NARG(n->ir, array, 0))->aux;
        text_printf(out, a->op == AR_PROJ ? "value %u after loop %u" : "value %u before each iteration of loop %u",
                    a->aux, loop);
    }
    }
}

/* The line of an array that is written apart, or the value of the root. */
static void print_definition(Notation *n, Ref array, bool root, const NotationNames *names, Text *out)
{
    const Form *env[IR_MAX_RANK];
    const Node *a = NODE(n->ir, array);
    n->axes.n = 0;
    if (root) name_root_axes(n, array, names, env);
    else name_axes(n, array, 0, a->rank + a->nred, env);
    n->named = a->op == AR_MAP || a->op == AR_REDUCE;
    if (n->named) {
        plan_scalars(n, NARG(n->ir, array, 0));
        print_scalars(n, env, out);
    }
    if (root) { print_value(n, array, env, out); return; }
    info(n, array)->number = ++n->narrays;
    text_printf(out, "where t%d", n->narrays);
    print_indices(n, env, a->rank, out);
    text_printf(out, " = ");
    print_value(n, array, env, out);
    text_printf(out, "\n");
}

void notation_print(const Ir *ir, Ref array, const NotationNames *names, Text *out)
{
    Notation n = {.ir = ir, .arena = arena_new(), .s = schedule_new(ir, 1, &array), .walk = scalar_walk_new(ir)};
    n.info = arena_alloc(n.arena, (size_t)n.s->nodes.n * sizeof *n.info);
    find_sites(&n, array, names);
    measure(&n);
    for (int i = 0; i < n.s->nodes.n; i++) {
        Ref r = n.s->nodes.data[i];
        int op = NODE(ir, r)->op;
        bool named = op == AR_INPUT && ir->slot_names.data[NODE(ir, r)->aux];
        bool number = op == AR_CONST && NODE(ir, r)->rank == 0;
        if (op < AR_INPUT || op == AR_LOOP || named || number || r == array) continue;
        if (!written_in_place(&n, r)) print_definition(&n, r, false, NULL, out);
    }
    print_definition(&n, array, true, names, out);
    vec_free(&n.axes);
    vec_free(&n.sites);
    scalar_walk_free(n.walk);
    schedule_free(n.s);
    arena_free(n.arena);
}
