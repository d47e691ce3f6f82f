/* rewrite.c — traversal and substitution over the hash-consed graph.  Work lists
 * instead of recursion: graphs may be deeper than the C stack. */
#include "ir.h"

#include <stdlib.h>
#include <string.h>

/* Visits every node below the roots, arguments first.  `done` has one mark a node. */
typedef VEC(Ref) Refs;

/* The loop symbols and carries hang on their AR_CARRY's init and the AR_LOOP's
 * arguments, so arguments are all there is to follow. */
void ir_walk(const Ir *ir, int n, const Ref *roots, void (*f)(void *ctx, Ref r), void *ctx) {
    uint8_t *mark = lq_alloc((size_t)ir->nodes.n);
    memset(mark, 0, (size_t)ir->nodes.n);
    Refs stack = {0};
    for (int i = n - 1; i >= 0; i--) vec_push(&stack, roots[i]);
    while (stack.n) {
        Ref r = stack.data[stack.n - 1];
        if (mark[r] == 2) { stack.n--; continue; }
        if (mark[r] == 1) {
            mark[r] = 2;
            stack.n--;
            f(ctx, r);
            continue;
        }
        mark[r] = 1;
        for (int i = (int)NODE(ir, r)->nargs - 1; i >= 0; i--)
            if (!mark[NARG(ir, r, i)]) vec_push(&stack, NARG(ir, r, i));
    }
    vec_free(&stack);
    free(mark);
}

typedef struct Search { Ref target; bool found; } Search;
static void search_visit(void *ctx, Ref r) {
    Search *s = ctx;
    s->found |= r == s->target;
}

bool ir_depends(const Ir *ir, Ref r, Ref on) {
    Search s = {on, false};
    ir_walk(ir, 1, &r, search_visit, &s);
    return s.found;
}

/* A node belongs to the loops whose carries or iteration numbers it depends on. */
typedef struct Work { const Ir *ir; uint64_t *loops; double total; } Work;

enum { CALL_SPEED = 32 };   /* elements of a contraction for one that is interpreted */

static void work_visit(void *ctx, Ref r) {
    Work *w = ctx;
    const Ir *ir = w->ir;
    const Node *n = NODE(ir, r);
    uint64_t in = 0;
    for (uint32_t i = 0; i < n->nargs; i++) in |= w->loops[NARG(ir, r, i)];
    for (int i = 0; i < n->nidx; i++) {
        const Affine *a = aff_get(ir, NIDX(ir, r, i)->aff);
        for (int k = 0; k < a->n; k++)
            if (a->t[k].sym >= SYM_LOOP) in |= 1ull << (a->t[k].sym - SYM_LOOP) % 64;
    }
    if (n->op == AR_CARRY) in |= 1ull << n->aux % 64;
    if (n->op == AR_LOOP) in &= ~(1ull << n->aux % 64);
    w->loops[r] = in;
    if (n->op != AR_MAP && n->op != AR_REDUCE && n->op != AR_CALL) return;
    double work = n->op == AR_CALL ? 1.0 / CALL_SPEED : 1;
    for (int i = 0; i < n->rank + n->nred; i++) work *= (double)NDIM(ir, r, i);
    for (int i = 0; i < ir->loops.n && i < 64; i++)
        if (in >> i & 1) work *= (double)ir->loops.data[i].trip;         /* as if none ended early */
    w->total += work;
}

double ir_work(const Ir *ir, Ref r) {
    Work w = {ir, lq_alloc((size_t)ir->nodes.n * sizeof *w.loops), 0};
    memset(w.loops, 0, (size_t)ir->nodes.n * sizeof *w.loops);
    ir_walk(ir, 1, &r, work_visit, &w);
    free(w.loops);
    return w.total;
}

/* ---- rebuilding --------------------------------------------------------------------- */

/* One rebuild: which nodes are replaced outright, which symbols by what; whether
 * to descend from scalars into the arrays they read. */
typedef struct Rebuild {
    Ir   *ir;
    Ref  *memo;              /* by Ref: 0 not yet rebuilt */
    int   nsyms; const Sym *syms; const Aff *by;
    bool  into_arrays;
    Ref (*body)(Ir *ir, Ref body, int ndims, const int64_t *dims);   /* applied to the bodies of maps and reductions, or NULL */
    Ref (*array)(Ir *ir, Ref array);     /* applied to maps and reductions when they are rebuilt, or NULL */
} Rebuild;

Ref ir_remake(Ir *ir, Ref r, const Ref *args, const Index *ix, uint32_t loop) {
    Node n = *NODE(ir, r);
    int64_t dims[IR_MAX_RANK];
    for (int i = 0; i < n.rank + n.nred && n.op >= AR_MAP; i++) dims[i] = NDIM(ir, r, i);
    switch (n.op) {
    case SC_IDX: return ir_idx(ir, ix[0]);
    case SC_INRANGE: return ir_inrange(ir, ix[0].aff, ix[0].n);
    case SC_READ: return ir_read(ir, args[0], ix);
    case SC_RAND: return ir_rand(ir, n.aux >> 1, n.aux & 1, ix[0].aff, ix[1].aff);
    case AR_MAP: return ir_map(ir, n.rank, dims, args[0]);
    case AR_REDUCE: return ir_reduce(ir, (Op)n.aux, n.rank, n.nred, dims, args[0]);
    case AR_CARRY: return ir_carry(ir, loop, (int)n.val, args[0]);
    case AR_LOOP: return ir_loop(ir, loop, (int)n.val, (int)n.nargs / 2, args, args + n.nargs / 2);
    case AR_CALL: return ir_call(ir, (CallKind)n.aux, (int)n.nargs, args, n.rank, n.nred, dims, n.nidx, ix, (int64_t)n.val);
    case AR_PROJ: return ir_proj(ir, args[0], (int)n.aux);
    case AR_STACK: return ir_stack(ir, args[0], (int)n.aux);
    default: return ir_op(ir, (Op)n.op, (int)n.nargs, args);
    }
}

Ref ir_remade(Ir *ir, Ref r, const Ref *memo) {
    Node n = *NODE(ir, r);
    Ref few[8], *args = n.nargs > 8 ? lq_alloc(n.nargs * sizeof *args) : few;
    bool changed = false;
    for (uint32_t i = 0; i < n.nargs; i++) {
        args[i] = memo[NARG(ir, r, (int)i)];
        changed |= args[i] != NARG(ir, r, (int)i);
    }
    Index ix[IR_MAX_RANK];
    for (int i = 0; i < n.nidx; i++) ix[i] = *NIDX(ir, r, i);
    Ref out = changed ? ir_remake(ir, r, args, ix, n.aux) : r;
    if (args != few) free(args);
    return out;
}

static Ref rebuild_node(Rebuild *b, Ref r) {
    Ir *ir = b->ir;
    Node n = *NODE(ir, r);
    Ref args_small[8], *args = n.nargs > 8 ? lq_alloc(n.nargs * sizeof *args) : args_small;
    bool changed = false;
    for (uint32_t i = 0; i < n.nargs; i++) {
        Ref a = NARG(ir, r, i);
        bool follow = b->into_arrays || !ir_is_array(ir, a);
        args[i] = follow ? b->memo[a] : a;
        changed |= args[i] != a;
    }
    if (b->body && (n.op == AR_MAP || n.op == AR_REDUCE)) {
        int64_t dims[IR_MAX_RANK];
        for (int i = 0; i < n.rank + n.nred; i++) dims[i] = NDIM(ir, r, i);
        args[0] = b->body(ir, args[0], n.rank + n.nred, dims);
        changed |= args[0] != NARG(ir, r, 0);
    }
    Index ix[IR_MAX_RANK];
    for (int i = 0; i < n.nidx; i++) {
        ix[i] = *NIDX(ir, r, i);
        if (b->nsyms) {
            Aff a = aff_subst(ir, ix[i].aff, b->nsyms, b->syms, b->by);
            changed |= a != ix[i].aff;
            ix[i].aff = a;
        }
    }
    Ref out = changed ? ir_remake(ir, r, args, ix, n.aux) : r;
    if (b->array && ir_is_array(ir, out)) out = b->array(ir, out);
    if (args != args_small) free(args);
    return out;
}

static Ref rebuild(Rebuild *b, Ref root) {
    Refs stack = {0};
    vec_push(&stack, root);
    while (stack.n) {
        Ref r = stack.data[stack.n - 1];
        if (b->memo[r]) { stack.n--; continue; }
        bool ready = true;
        for (int i = (int)NODE(b->ir, r)->nargs - 1; i >= 0; i--) {
            Ref a = NARG(b->ir, r, i);
            if ((b->into_arrays || !ir_is_array(b->ir, a)) && !b->memo[a]) {
                vec_push(&stack, a);
                ready = false;
            }
        }
        if (!ready) continue;
        stack.n--;
        b->memo[r] = rebuild_node(b, r);
    }
    vec_free(&stack);
    return b->memo[root];
}

static Ref *fresh_memo(const Ir *ir) {
    Ref *memo = lq_alloc((size_t)ir->nodes.n * sizeof *memo);
    memset(memo, 0, (size_t)ir->nodes.n * sizeof *memo);
    return memo;
}

Ref ir_subst_syms(Ir *ir, Ref scalar, int n, const Sym *syms, const Aff *by) {
    Rebuild b = {.ir = ir, .memo = fresh_memo(ir), .nsyms = n, .syms = syms, .by = by};
    Ref out = rebuild(&b, scalar);
    free(b.memo);
    return out;
}

void ir_rewrite_bodies(Ir *ir, int n, Ref *roots, Ref (*body)(Ir *ir, Ref body, int ndims, const int64_t *dims)) {
    Rebuild b = {.ir = ir, .memo = fresh_memo(ir), .into_arrays = true, .body = body};
    for (int i = 0; i < n; i++) roots[i] = rebuild(&b, roots[i]);
    free(b.memo);
}

void ir_rewrite_arrays(Ir *ir, int n, Ref *roots, Ref (*array)(Ir *ir, Ref array)) {
    Rebuild b = {.ir = ir, .memo = fresh_memo(ir), .into_arrays = true, .array = array};
    for (int i = 0; i < n; i++) roots[i] = rebuild(&b, roots[i]);
    free(b.memo);
}

/* A loop whose body changes becomes another loop: its carries must not be mistaken
 * for those of the old one, so it gets a new number. */
typedef struct LoopScan { const Ir *ir; Refs loops; } LoopScan;

static void collect_loops(void *ctx, Ref r) {
    LoopScan *s = ctx;
    if (NODE(s->ir, r)->op == AR_LOOP) vec_push(&s->loops, r);
}

Ref ir_subst_arrays(Ir *ir, Ref root, int n, const Ref *from, const Ref *to) {
    Rebuild b = {.ir = ir, .memo = fresh_memo(ir), .into_arrays = true};
    for (int i = 0; i < n; i++) b.memo[from[i]] = to[i];
    LoopScan scan = {.ir = ir};
    ir_walk(ir, 1, &root, collect_loops, &scan);
    if (scan.loops.n == 0) {
        Ref out = rebuild(&b, root);
        vec_free(&scan.loops);
        free(b.memo);
        return out;
    }
    /* Loops are listed inner first; each touched one is renumbered by substituting its
     * iteration symbol and carries while its body is rebuilt. */
    Sym *syms = lq_alloc((size_t)scan.loops.n * sizeof *syms);
    Aff *by = lq_alloc((size_t)scan.loops.n * sizeof *by);
    int nsyms = 0;
    VEC(uint32_t) renumber = {0};
    for (int i = 0; i < ir->loops.n; i++) vec_push(&renumber, (uint32_t)i);
    for (int i = 0; i < scan.loops.n; i++) {
        Ref loop = scan.loops.data[i];
        bool touched = false;
        for (int j = 0; j < n && !touched; j++) touched = from[j] != to[j] && ir_depends(ir, loop, from[j]);
        if (!touched) continue;
        uint32_t old = NODE(ir, loop)->aux;
        uint32_t fresh = ir_loop_new(ir, ir->loops.data[old].trip, ir->loops.data[old].at);
        renumber.data[old] = fresh;
        syms[nsyms] = SYM_LOOP + old;
        by[nsyms++] = aff_sym(ir, SYM_LOOP + fresh);
    }
    b.nsyms = nsyms, b.syms = syms, b.by = by;
    /* Like rebuild(), but carries and loops take their new numbers. */
    Refs stack = {0};
    vec_push(&stack, root);
    while (stack.n) {
        Ref r = stack.data[stack.n - 1];
        if (b.memo[r]) { stack.n--; continue; }
        bool ready = true;
        for (int i = (int)NODE(ir, r)->nargs - 1; i >= 0; i--) {
            Ref a = NARG(ir, r, i);
            if (!b.memo[a]) vec_push(&stack, a), ready = false;
        }
        if (!ready) continue;
        stack.n--;
        Node node = *NODE(ir, r);
        bool moved = (node.op == AR_CARRY || node.op == AR_LOOP) && (int)node.aux < renumber.n &&
                     renumber.data[node.aux] != node.aux;
        if (!moved) {
            b.memo[r] = rebuild_node(&b, r);
        } else if (node.op == AR_CARRY) {
            b.memo[r] = ir_carry(ir, renumber.data[node.aux], (int)node.val, b.memo[NARG(ir, r, 0)]);
        } else {
            Refs args = {0};
            for (uint32_t i = 0; i < node.nargs; i++) vec_push(&args, b.memo[NARG(ir, r, i)]);
            b.memo[r] = ir_loop(ir, renumber.data[node.aux], (int)node.val, args.n / 2, args.data, args.data + args.n / 2);
            vec_free(&args);
        }
    }
    Ref out = b.memo[root];
    vec_free(&stack);
    vec_free(&scan.loops);
    vec_free(&renumber);
    free(syms);
    free(by);
    free(b.memo);
    return out;
}

/* ---- free symbols --------------------------------------------------------------------- */

typedef struct SymSet { const Ir *ir; Sym *out; int n, cap; } SymSet;

static void symset_add(SymSet *s, Sym sym) {
    int at = 0;
    while (at < s->n && s->out[at] < sym) at++;
    if ((at < s->n && s->out[at] == sym) || s->n == s->cap) return;
    memmove(s->out + at + 1, s->out + at, (size_t)(s->n - at) * sizeof *s->out);
    s->out[at] = sym, s->n++;
}

int ir_free_syms(const Ir *ir, Ref scalar, Sym *out, int cap) {
    SymSet s = {ir, out, 0, cap};
    uint8_t *mark = lq_alloc((size_t)ir->nodes.n);
    memset(mark, 0, (size_t)ir->nodes.n);
    Refs stack = {0};
    vec_push(&stack, scalar);
    while (stack.n) {
        Ref r = stack.data[--stack.n];
        if (mark[r] || ir_is_array(ir, r)) continue;
        mark[r] = 1;
        for (int i = 0; i < NODE(ir, r)->nidx; i++) {
            const Affine *a = aff_get(ir, NIDX(ir, r, i)->aff);
            for (int j = 0; j < a->n; j++)
                if (a->t[j].sym < SYM_LOOP) symset_add(&s, a->t[j].sym);
        }
        for (uint32_t i = 0; i < NODE(ir, r)->nargs; i++) vec_push(&stack, NARG(ir, r, (int)i));
    }
    vec_free(&stack);
    free(mark);
    return s.n;
}
