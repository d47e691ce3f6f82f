/* print.c — the textual form of the array IR: one array node a line, arguments
 * first; the body of a loop is indented below it. */
#include "print.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- numbers, indices, extents --------------------------------------------------- */

/* The shortest of the usual precisions that reads back as the same number. */
void print_number(double v, Text *out)
{
    char s[32];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(s, sizeof s, "%.*g", digits, v);
        if (strtod(s, NULL) == v || isnan(v)) break;
    }
    text_printf(out, "%s", s);
}

static void print_sym(Sym s, Text *out)
{
    char letter = s >= SYM_LOOP ? 't' : s >= SYM_FREE ? 'f' : 'a';
    text_printf(out, "%c%u", letter, s & (SYM_FREE - 1));
}

void print_affine(const Ir *ir, Aff a, Text *out)
{
    const Affine *f = aff_get(ir, a);
    for (int i = 0; i < f->n; i++) {
        int64_t c = f->t[i].c;
        if (c < 0) text_printf(out, "-");
        else if (i) text_printf(out, "+");
        if (c != 1 && c != -1) text_printf(out, "%lld*", llabs((long long)c));
        print_sym(f->t[i].sym, out);
    }
    if (f->n == 0) text_printf(out, "%lld", (long long)f->k);
    else if (f->k) text_printf(out, "%+lld", (long long)f->k);
}

void print_dims(const Ir *ir, Ref array, int from, int to, Text *out)
{
    text_printf(out, "[");
    for (int i = from; i < to; i++)
        text_printf(out, "%s%lld", i > from ? "," : "", (long long)NDIM(ir, array, i));
    text_printf(out, "]");
}

/* ---- scalar expressions ------------------------------------------------------------ */

enum { P_LOWEST, P_OR, P_AND, P_COMPARE, P_SUM, P_PRODUCT, P_NEGATION, P_ATOM };

/* Infix operators; the right operand of - and / needs a level more. */
static const struct Infix { const char *spelling; int level, right; } infix[IR_NOPS] = {
    [SC_ADD] = {" + ", P_SUM, P_SUM},         [SC_SUB] = {" - ", P_SUM, P_PRODUCT},
    [SC_MUL] = {"*", P_PRODUCT, P_PRODUCT},   [SC_DIV] = {"/", P_PRODUCT, P_NEGATION},
    [SC_LT] = {" < ", P_COMPARE, P_SUM},      [SC_LE] = {" <= ", P_COMPARE, P_SUM},
    [SC_EQ] = {" == ", P_COMPARE, P_SUM},     [SC_NE] = {" != ", P_COMPARE, P_SUM},
    [SC_AND] = {" and ", P_AND, P_AND},       [SC_OR] = {" or ", P_OR, P_OR},
};

static const char *const mode_text[] = {
    [IX_EXACT] = "", [IX_PERIODIC] = " per", [IX_ANTIPERIODIC] = " anti", [IX_ZERO] = " zero",
};

void scalar_printer_init(ScalarPrinter *p, const Ir *ir,
                         void (*array_name)(void *ctx, Ref array, Text *out), void *ctx)
{
    *p = (ScalarPrinter){.ir = ir, .walk = scalar_walk_new(ir), .array_name = array_name, .ctx = ctx};
}

void scalar_printer_free(ScalarPrinter *p)
{
    scalar_walk_free(p->walk);
    free(p->name);
}

enum { NAME_SIZE = 4, NAME_DEPTH = 50 };   /* nodes worth a name; deepest nesting in a line */

void scalar_plan(ScalarPrinter *p, int nroots, const Ref *roots)
{
    const Ir *ir = p->ir;
    ScalarWalk *w = p->walk;
    scalar_walk(w, nroots, roots);
    size_t n = (size_t)w->list.n;
    p->name = lq_realloc(p->name, n * sizeof *p->name);
    p->nnames = 0;
    int *uses = calloc(n ? n : 1, sizeof *uses), *size = calloc(n ? n : 1, sizeof *size);
    int *depth = calloc(n ? n : 1, sizeof *depth);
    if (!uses || !size || !depth) lq_out_of_memory(n * sizeof *uses);
    for (size_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < NODE(ir, w->list.data[i])->nargs; j++) {
            uint32_t at = w->place[NARG(ir, w->list.data[i], j)];
            if (at) uses[at - 1]++;
        }
    for (int i = 0; i < nroots; i++) uses[w->place[roots[i]] - 1]++;
    for (size_t i = 0; i < n; i++) {
        Ref r = w->list.data[i];
        size[i] = 1, depth[i] = 1;
        for (uint32_t j = 0; j < NODE(ir, r)->nargs; j++) {
            uint32_t at = w->place[NARG(ir, r, j)];
            if (!at || p->name[at - 1] >= 0) continue;
            size[i] += size[at - 1];
            if (depth[i] <= depth[at - 1]) depth[i] = depth[at - 1] + 1;
        }
        bool shared = uses[i] > 1 && size[i] >= NAME_SIZE;
        p->name[i] = shared || depth[i] > NAME_DEPTH || size[i] > (1 << 20) ? p->nnames++ : -1;
    }
    free(uses);
    free(size);
    free(depth);
}

static void print_node(ScalarPrinter *p, Ref r, int level, Text *out);

static void print_operand(ScalarPrinter *p, Ref r, int level, Text *out)
{
    uint32_t at = p->walk->place[r];
    if (at && p->name[at - 1] >= 0) text_printf(out, "s%d", p->name[at - 1]);
    else print_node(p, r, level, out);
}

static void print_read(ScalarPrinter *p, Ref r, Text *out)
{
    p->array_name(p->ctx, NARG(p->ir, r, 0), out);
    int n = NODE(p->ir, r)->nidx;
    for (int i = 0; i < n; i++) {
        const Index *ix = NIDX(p->ir, r, i);
        text_printf(out, i ? ", " : "[");
        print_affine(p->ir, ix->aff, out);
        text_printf(out, "%s", mode_text[ix->mode & 3]);
    }
    if (n) text_printf(out, "]");
}

static void print_call(ScalarPrinter *p, Ref r, Text *out)
{
    text_printf(out, "%s(", op_name((Op)NODE(p->ir, r)->op));
    for (uint32_t i = 0; i < NODE(p->ir, r)->nargs; i++) {
        if (i) text_printf(out, ", ");
        print_operand(p, NARG(p->ir, r, i), P_LOWEST, out);
    }
    text_printf(out, ")");
}

static void print_infix(ScalarPrinter *p, Ref r, int level, Text *out)
{
    const struct Infix *op = &infix[NODE(p->ir, r)->op];
    int left = op->level == P_COMPARE ? P_SUM : op->level;
    if (level > op->level) text_printf(out, "(");
    print_operand(p, NARG(p->ir, r, 0), left, out);
    text_printf(out, "%s", op->spelling);
    print_operand(p, NARG(p->ir, r, 1), op->right, out);
    if (level > op->level) text_printf(out, ")");
}

static void print_leaf(ScalarPrinter *p, Ref r, int level, Text *out)
{
    const Ir *ir = p->ir;
    const Node *n = NODE(ir, r);
    const Index *ix = n->nidx ? NIDX(ir, r, 0) : NULL;
    switch (n->op) {
    case SC_CONST:
        if (n->boolean) { text_printf(out, n->val != 0 ? "true" : "false"); break; }
        if (level > P_NEGATION - 1 && signbit(n->val)) {
            text_printf(out, "(");
            print_number(n->val, out);
            text_printf(out, ")");
        } else print_number(n->val, out);
        break;
    case SC_IDX:
        text_printf(out, "idx(");
        print_affine(ir, ix->aff, out);
        if (ix->mode != IX_EXACT) text_printf(out, "%s %lld", mode_text[ix->mode & 3], (long long)ix->n);
        text_printf(out, ")");
        break;
    case SC_INRANGE:
        text_printf(out, "inrange(");
        print_affine(ir, ix->aff, out);
        text_printf(out, ", %lld)", (long long)ix->n);
        break;
    case SC_RAND:
        text_printf(out, "%s.%u(", n->aux & 1 ? "normal" : "uniform", n->aux >> 1);
        print_affine(ir, ix[0].aff, out);
        text_printf(out, ", ");
        print_affine(ir, ix[1].aff, out);
        text_printf(out, ")");
        break;
    default: print_read(p, r, out);
    }
}

static void print_node(ScalarPrinter *p, Ref r, int level, Text *out)
{
    Op op = (Op)NODE(p->ir, r)->op;
    if (op >= SC_CONST || op == SC_NONE) {
        print_leaf(p, r, level, out);
    } else if (infix[op].spelling) {
        print_infix(p, r, level, out);
    } else if (op == SC_NEG) {
        text_printf(out, level > P_NEGATION ? "(-" : "-");
        print_operand(p, NARG(p->ir, r, 0), P_ATOM, out);
        if (level > P_NEGATION) text_printf(out, ")");
    } else print_call(p, r, out);
}

void scalar_print(ScalarPrinter *p, Ref r, Text *out)
{
    print_operand(p, r, P_LOWEST, out);
}

void scalar_print_names(ScalarPrinter *p, const char *before, const char *after, Text *out)
{
    for (int i = 0; i < p->walk->list.n; i++) {
        if (p->name[i] < 0) continue;
        text_printf(out, "%ss%d = ", before, p->name[i]);
        print_node(p, p->walk->list.data[i], P_LOWEST, out);
        text_printf(out, "%s", after);
    }
}

static void ref_name(void *ctx, Ref array, Text *out)
{
    (void)ctx;
    text_printf(out, "%%%u", array);
}

void ir_print_scalar(const Ir *ir, Ref r, Text *out)
{
    if (ir_is_array(ir, r)) { ref_name(NULL, r, out); return; }
    ScalarPrinter p;
    scalar_printer_init(&p, ir, ref_name, NULL);
    scalar_plan(&p, 1, &r);
    scalar_print_names(&p, "", "; ", out);
    scalar_print(&p, r, out);
    scalar_printer_free(&p);
}

/* ---- functions ------------------------------------------------------------------------ */

typedef struct FuncPrinter {
    const IrFunc *f;
    const Ir *ir;
    Schedule *s;
    uint32_t *number;        /* by position in the schedule; 0: not printed yet */
    uint32_t  count;
    ScalarPrinter scalar;
    Text     *out;
} FuncPrinter;

/* Nodes are numbered as they appear, so that texts of equal functions are equal. */
static void local_name(void *ctx, Ref array, Text *out)
{
    FuncPrinter *p = ctx;
    uint32_t *number = &p->number[PLACE(p->s, array)];
    if (!*number) *number = ++p->count;
    text_printf(out, "%%%u", *number);
}

static void print_list(FuncPrinter *p, Ref node, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        if (i > from) text_printf(p->out, ", ");
        local_name(p, NARG(p->ir, node, i), p->out);
    }
}

static void print_array_call(FuncPrinter *p, Ref r)
{
    const Node *n = NODE(p->ir, r);
    text_printf(p->out, " %s ", call_name((CallKind)n->aux));
    print_list(p, r, 0, n->nargs);
    if (n->nred) text_printf(p->out, " over "), print_dims(p->ir, r, n->rank, n->rank + n->nred, p->out);
    for (int i = 0; i < n->nidx; i++) {
        text_printf(p->out, i ? ", " : " at ");
        print_affine(p->ir, NIDX(p->ir, r, i)->aff, p->out);
        text_printf(p->out, "%s", mode_text[NIDX(p->ir, r, i)->mode]);
    }
    if (n->val != 0) text_printf(p->out, " leading %lld", (long long)n->val);
}

static void print_const_array(FuncPrinter *p, Ref r)
{
    const ConstData *c = &p->ir->consts.data[NODE(p->ir, r)->aux];
    text_printf(p->out, " {");
    for (int64_t i = 0; i < c->n && i < 8; i++) {
        if (i) text_printf(p->out, ", ");
        print_number(c->data[i], p->out);
    }
    text_printf(p->out, c->n > 8 ? ", …}" : "}");
}

static void print_body(FuncPrinter *p, Ref r)
{
    Ref body = NARG(p->ir, r, 0);
    scalar_plan(&p->scalar, 1, &body);
    text_printf(p->out, " ");
    scalar_print_names(&p->scalar, "", "; ", p->out);
    scalar_print(&p->scalar, body, p->out);
}

static void print_section(FuncPrinter *p, const Section *section, int indent);

static void print_loop(FuncPrinter *p, Ref r, int indent)
{
    const Node *n = NODE(p->ir, r);
    text_printf(p->out, " %u, %lld times, from ", n->aux, (long long)p->ir->loops.data[n->aux].trip);
    print_list(p, r, 0, n->nargs / 2);
    if (n->val >= 0) text_printf(p->out, ", while carry %d", (int)n->val);
    text_printf(p->out, " {\n");
    print_section(p, &p->s->body[PLACE(p->s, r)], indent + 1);
    text_printf(p->out, "%*snext ", 4 * indent + 4, "");
    print_list(p, r, n->nargs / 2, n->nargs);
    text_printf(p->out, "\n%*s}", 4 * indent, "");
}

static void print_array_node(FuncPrinter *p, Ref r, int indent)
{
    const Ir *ir = p->ir;
    const Node *n = NODE(ir, r);
    Text *out = p->out;
    text_printf(out, "%*s", 4 * indent, "");
    local_name(p, r, out);
    text_printf(out, " = %s", op_name((Op)n->op));
    if (n->op == AR_REDUCE) text_printf(out, " %s", op_name((Op)n->aux));
    if (n->op == AR_INPUT) text_printf(out, " %s", ir->slot_names.data[n->aux]);
    if (n->op != AR_LOOP) text_printf(out, " "), print_dims(ir, r, 0, n->rank, out);
    if (n->boolean) text_printf(out, " bool");
    switch (n->op) {
    case AR_INPUT: text_printf(out, n->uniform ? " uniform" : ""); break;
    case AR_CONST: print_const_array(p, r); break;
    case AR_MAP: print_body(p, r); break;
    case AR_REDUCE:
        text_printf(out, " over ");
        print_dims(ir, r, n->rank, n->rank + n->nred, out);
        print_body(p, r);
        break;
    case AR_CALL: print_array_call(p, r); break;
    case AR_LOOP: print_loop(p, r, indent); break;
    case AR_CARRY: text_printf(out, " %d of loop %u", (int)n->val, n->aux); break;
    default:
        text_printf(out, " ");
        print_list(p, r, 0, 1);
        text_printf(out, ".%u", n->aux);
    }
    text_printf(out, "\n");
}

static void print_section(FuncPrinter *p, const Section *section, int indent)
{
    for (int i = 0; i < section->n; i++) print_array_node(p, section->node[i], indent);
}

void ir_print_func(const IrFunc *f, FILE *out)
{
    Text text = {0};
    FuncPrinter p = {.f = f, .ir = f->ir, .out = &text, .s = schedule_new(f->ir, f->nout, f->out)};
    p.number = arena_alloc(p.s->arena, (size_t)p.s->nodes.n * sizeof *p.number);
    scalar_printer_init(&p.scalar, f->ir, local_name, &p);
    text_printf(&text, "func %s\n", f->name ? f->name : "");
    print_section(&p, &p.s->top, 1);
    text_printf(&text, "    return ");
    for (int i = 0; i < f->nout; i++) {
        if (i) text_printf(&text, ", ");
        local_name(&p, f->out[i], &text);
    }
    fprintf(out, "%s\n", text.s);
    scalar_printer_free(&p.scalar);
    schedule_free(p.s);
    text_free(&text);
}
