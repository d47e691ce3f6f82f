/* llvm_emit.c — programs as LLVM functions: buffers, loops, copies, exchanged fields. */
#include "llvm_emit.h"
#include "code_maker.h"

#include <stdlib.h>

void ll_wrong(Unit *u, const char *what) {
    if (!u->wrong) u->wrong = what;
}

/* ---- control flow ------------------------------------------------------------------ */

/* Builder to a level: appending at the current one, before the inner loop at others. */
void ll_at_level(Nest *z, int level) {
    if (level >= z->depth) l_goto_end(z->f->u, z->here);
    else l_goto_last(z->f->u, z->block[level]);
}

/* A new block that follows the current one. */
BasicBlock ll_next_block(Func *f, const char *name) {
    BasicBlock b = l_block(f, name);
    LLVMBuildBr(f->u->b, b);
    l_goto_end(f->u, b);
    return b;
}

/* for (i = from; i != end; i++), entered at least once. */
Loop ll_loop_begin(Func *f, int64_t from, int64_t end, const char *name) {
    Unit *u = f->u;
    BasicBlock before = l_here(u);
    Loop l = {.head = ll_next_block(f, name), .end = end};
    l.i = LLVMBuildPhi(u->b, u->i64, "");
    Val first = l_int(u, from);
    LLVMAddIncoming(l.i, &first, &before, 1);
    return l;
}

void ll_loop_end(Func *f, const Loop *l) {
    Unit *u = f->u;
    BasicBlock last = l_here(u), after = l_block(f, "after");
    Val next = l_add(u, l->i, l_int(u, 1));
    LLVMAddIncoming(l->i, &next, &last, 1);
    LLVMBuildCondBr(u->b, l_compare(u, LLVMIntNE, next, l_int(u, l->end)), l->head, after);
    l_goto_end(u, after);
}

Loop ll_loop_open(Func *f, Val from, const char *name) {
    Unit *u = f->u;
    BasicBlock before = l_here(u);
    Loop l = {.head = ll_next_block(f, name)};
    l.i = LLVMBuildPhi(u->b, u->i64, "");
    LLVMAddIncoming(l.i, &from, &before, 1);
    return l;
}

void ll_loop_close(Func *f, const Loop *l, Val next, Val on) {
    Unit *u = f->u;
    BasicBlock last = l_here(u), after = l_block(f, "after");
    LLVMAddIncoming(l->i, &next, &last, 1);
    LLVMBuildCondBr(u->b, on, l->head, after);
    l_goto_end(u, after);
}

/* ---- other statements ---------------------------------------------------------------------------------- */

/* n elements one by one, where these are of another width or precision. */
static void emit_elements(Func *f, const KCopy *c, int64_t n, Val dst, Val src) {
    Unit *u = f->u;
    Loop l = ll_loop_begin(f, 0, n, "element");
    Val v = l_load(u, buf_type(f, c->src), buf_at(f, c->src, src, l_mul(u, l.i, buf_width(f, c->src))), buf_align(f, c->src));
    v = l_convert(u, v, buf_number(f, c->dst));
    if (buf_width(f, c->dst) > 1) v = ll_as_vector(u, v);
    l_store(u, v, buf_at(f, c->dst, dst, l_mul(u, l.i, buf_width(f, c->dst))), buf_align(f, c->dst));
    ll_loop_end(f, &l);
}

/* Element by element between rows that are split differently. */
static void emit_rearrangement(Func *f, const KCopy *c, Val at) {
    Unit *u = f->u;
    Val dst = buf_address(f, c->dst), src = buf_address(f, c->src);
    Loop l = ll_loop_begin(f, 0, c->n, "element");
    Val from = buf_split(f, c->src) ? ll_split_element(u, l.i, buf_get(f, c->src)->row) : l.i;
    Val to = l_add(u, at, l.i);
    if (buf_split(f, c->dst)) to = ll_split_element(u, to, buf_get(f, c->dst)->row);
    Val v = l_load(u, buf_number(f, c->src), buf_at(f, c->src, src, from), (unsigned)buf_bytes(f, c->src));
    l_store(u, l_convert(u, v, buf_number(f, c->dst)), buf_at(f, c->dst, dst, to), (unsigned)buf_bytes(f, c->dst));
    ll_loop_end(f, &l);
}

static Val ring_place(Func *f, int buf, Val y) {
    Unit *u = f->u;
    Val slot = ll_ring_slot(f, buf, l_load(u, u->i64, f->first[buf], 8), y);
    return l_mul(u, slot, ll_ring_pitch(f, buf));
}

/* To or from a ring, row by row. */
static void emit_copy_of_rows(Func *f, const KCopy *c, Val at) {
    Unit *u = f->u;
    const KBuf *dst = buf_get(f, c->dst), *src = buf_get(f, c->src), *ring = src->slots ? src : dst;
    int64_t n = ring->n / ring->rows;
    Loop l = ll_loop_begin(f, 0, ring->rows, "row");
    Val from = l_mul(u, l.i, n * buf_width(f, c->src)), to = l_mul(u, l_add(u, l_mul(u, l.i, n), at), buf_width(f, c->dst));
    if (src->slots) from = ring_place(f, c->src, l.i);
    if (dst->slots) to = ring_place(f, c->dst, l.i);
    from = buf_at(f, c->src, buf_address(f, c->src), from), to = buf_at(f, c->dst, buf_address(f, c->dst), to);
    unsigned align = (unsigned)buf_bytes(f, c->src);
    if (buf_type(f, c->dst) == buf_type(f, c->src))
        LLVMBuildMemCpy(u->b, to, align, from, align, l_int(u, n * buf_width(f, c->src) * buf_bytes(f, c->src)));
    else emit_elements(f, c, n, to, from);
    ll_loop_end(f, &l);
}

static void emit_copy(Func *f, const KCopy *c) {
    Unit *u = f->u;
    Nest none = {.f = f, .k = &(KKernel){0}};       /* no axes: loop symbols only */
    if (c->n == 0) return;
    const Affine *where = aff_get(f->p->ir, c->at);
    Val at = ll_affine_value(&none, where, 0);
    int64_t row = buf_get(f, c->dst)->row;
    bool whole = row == buf_get(f, c->src)->row && c->n % row == 0 && where->k % row == 0;
    for (int i = 0; i < where->n; i++) whole &= where->t[i].c % row == 0;
    if (!whole && (buf_split(f, c->dst) || buf_split(f, c->src))) {
        emit_rearrangement(f, c, at);
        return;
    }
    if (buf_get(f, c->dst)->slots || buf_get(f, c->src)->slots) {
        if (buf_get(f, c->dst)->uniform && !buf_get(f, c->src)->uniform) ll_wrong(u, "a varying value for a uniform buffer");
        else emit_copy_of_rows(f, c, at);
        return;
    }
    Val dst = buf_at(f, c->dst, buf_address(f, c->dst), l_mul(u, at, buf_width(f, c->dst)));
    Val src = buf_address(f, c->src);
    if (buf_type(f, c->dst) != buf_type(f, c->src)) {
        if (buf_get(f, c->dst)->uniform) ll_wrong(u, "a varying value for a uniform buffer");
        else emit_elements(f, c, c->n, dst, src);
        return;
    }
    LLVMBuildMemCpy(u->b, dst, buf_align(f, c->dst), src, buf_align(f, c->src),
                    l_int(u, c->n * buf_width(f, c->dst) * buf_bytes(f, c->dst)));
}

/* A constant that depends on settings, from the table, which nobody writes to. */
Val ll_setting(Func *f, Ref r) {
    Unit *u = f->u;
    int k = kernel_setting(f->p, r);
    char name[CODE_NAME];
    code_settings_name(name, f->number);
    if (k < 0 || u->whole) return l_real(u, NODE(f->p->ir, r)->val);       /* whole: nobody makes a table */
    LLVMTypeRef type = LLVMArrayType2(u->f64, (uint64_t)f->p->nsettings);
    Val table = LLVMGetNamedGlobal(u->module, name);
    if (!table) table = LLVMAddGlobal(u->module, type, name), LLVMSetGlobalConstant(table, 1), LLVMSetAlignment(table, 64);
    Val v = LLVMBuildLoad2(u->b, u->f64, l_at(u, table, l_int(u, k)), "");
    unsigned kind = LLVMGetMDKindIDInContext(u->cx, "invariant.load", 14);
    if (LLVMIsAInstruction(v)) LLVMSetMetadata(v, kind, LLVMMetadataAsValue(u->cx, LLVMMDNodeInContext2(u->cx, NULL, 0)));
    return l_convert(u, v, u->real);
}

/* The calls of a program, prepared, are a symbol. */
static Val prepared_call(Func *f, const KCall *c) {
    Unit *u = f->u;
    char name[CODE_NAME];
    Text full = {0};
    code_calls_name(name, f->number);
    if (u->whole) text_printf(&full, "lqft_calls_%s", f->p->name);
    else text_printf(&full, "%s", name);
    Val calls = LLVMGetNamedGlobal(u->module, full.s);
    if (!calls) calls = LLVMAddGlobal(u->module, LLVMInt8TypeInContext(u->cx), full.s);
    text_free(&full);
    Val place = l_int(u, c->number * (int64_t)sizeof(LqCall));
    return LLVMBuildGEP2(u->b, LLVMInt8TypeInContext(u->cx), calls, &place, 1, "");
}

static Val argument(Func *f, const KCall *c, int i) {
    return i < c->call.nargs ? buf_address(f, c->arg[i]) : LLVMConstNull(f->u->ptr);
}

static bool one_replica(const Func *f) { return f->u->sites || f->u->lanes == 1; }

static void emit_call(Func *f, const KCall *c) {
    Unit *u = f->u;
    LLVMTypeRef params[7] = {u->ptr, u->i32, u->i32, u->ptr, u->ptr, u->ptr, u->ptr};
    LLVMTypeRef type = LLVMFunctionType(u->none, params, 7, 0);
    int shared = 0;
    for (int i = 0; i < c->call.nargs; i++) shared |= (int)buf_get(f, c->arg[i])->uniform << i;
    Val args[7] = {prepared_call(f, c), l_int32(u, one_replica(f) ? 1 : u->lanes), l_int32(u, shared)};
    for (int i = 0; i < LQ_CALL_ARGS; i++) args[3 + i] = argument(f, c, i);
    args[5] = buf_address(f, c->out), args[6] = buf_address(f, c->scratch);
    LLVMBuildCall2(u->b, type, ll_runtime_function(u, "lq_call_lanes", type), args, 7, "");
}

/* With the kernel that follows it, as a task of its rows. */
static void emit_followed(Func *f, const KCall *c, const KKernel *k) {
    Unit *u = f->u;
    Task t;
    int64_t rows = ll_kernel_task(&t, f, k);
    ll_task_close(&t);
    LLVMTypeRef params[9] = {u->ptr, u->ptr, u->ptr, u->ptr, u->ptr, u->i64, u->i64, u->ptr, u->ptr};
    LLVMTypeRef type = LLVMFunctionType(u->none, params, 9, 0);
    Val args[9] = {prepared_call(f, c), argument(f, c, 0), argument(f, c, 1), buf_address(f, c->out), buf_address(f, c->scratch),
                   l_int(u, rows), l_int(u, (k->ext[0] + rows - 1) / rows), t.inner.fn, f->frame};
    LLVMBuildCall2(u->b, type, ll_task_runner(u, "lq_call_followed", type), args, 9, "");
}

static void emit_statements(Func *f, const KStmt *s, int n);

static void exchange(Func *f, const KCarry *c) {
    if (c->cur == c->next) return;
    Val cur = buf_address(f, c->cur), next = buf_address(f, c->next);
    LLVMBuildStore(f->u->b, next, f->slot[c->cur]);
    LLVMBuildStore(f->u->b, cur, f->slot[c->next]);
}

/* Leaves for `after` when no replica is active. */
static void emit_active(Func *f, int buf, BasicBlock after) {
    Unit *u = f->u;
    Val v = l_load(u, buf_type(f, buf), buf_address(f, buf), buf_align(f, buf));
    BasicBlock body = l_block(f, "active");
    LLVMBuildCondBr(u->b, ll_any_lane(u, v), body, after);
    l_goto_end(u, body);
}

static void emit_loop(Func *f, const KLoop *k) {
    Unit *u = f->u;
    if (k->trip <= 0) return;
    f->trip[k->loop] = k->trip;
    if (k->sweep.radius >= 0) {
        ll_sweep(f, k);
        return;
    }
    BasicBlock after = k->active >= 0 ? l_block(f, "inactive") : NULL;
    Loop l = ll_loop_begin(f, 0, k->trip, "loop");
    if (after) emit_active(f, k->carry[k->active].cur, after);
    f->iteration[k->loop] = l.i;
    emit_statements(f, k->body, k->nbody);
    f->iteration[k->loop] = NULL;
    for (int i = 0; i < k->ncarry; i++) exchange(f, &k->carry[i]);
    ll_loop_end(f, &l);
    if (after) {
        LLVMBuildBr(u->b, after);
        l_goto_end(u, after);
    }
}

static void emit_statements(Func *f, const KStmt *s, int n) {
    for (int i = 0; i < n && !f->u->wrong; i++) {
        switch (s[i].kind) {
        case KS_KERNEL: ll_kernel(f, &s[i].u.kernel); break;
        case KS_COPY:   emit_copy(f, &s[i].u.copy); break;
        case KS_CALL:
            if (s[i].u.call->followed && one_replica(f)) emit_followed(f, s[i].u.call, &s[i + 1].u.kernel), i++;
            else emit_call(f, s[i].u.call);
            break;
        case KS_LOOP:   emit_loop(f, &s[i].u.loop); break;
        }
    }
}

/* ---- a function ------------------------------------------------------------------------------------------- */

/* Field i of CallArgs, loaded. */
static Val call_field(const Func *f, int i) {
    Unit *u = f->u;
    _Static_assert(offsetof(CallArgs, out) == 8 && offsetof(CallArgs, scratch) == 16 &&
                   offsetof(CallArgs, seed) == 24 && offsetof(CallArgs, step) == 28 &&
                   offsetof(CallArgs, chains) == 32, "the layout that generated code assumes");
    LLVMTypeRef fields[6] = {u->ptr, u->ptr, u->ptr, u->i32, u->i32, u->ptr};
    LLVMTypeRef args = LLVMStructTypeInContext(u->cx, fields, 6, 0);
    Val p = LLVMBuildStructGEP2(u->b, args, f->args, (unsigned)i, "");
    return LLVMBuildLoad2(u->b, fields[i], p, "");
}

static Val pointer_element(Unit *u, Val array, int i) {
    Val k = l_int(u, i);
    return LLVMBuildLoad2(u->b, u->ptr, LLVMBuildGEP2(u->b, u->ptr, array, &k, 1, ""), "");
}

static size_t constant_place(const Func *f, const KBuf *b, size_t i) {
    return f->u->sites && !f->p->plain ? (size_t)kernel_place(b->row, (int64_t)i) : i;
}

/* Small constants are data of the module.  Large ones would pass through the
 * assembler number by number, and would be kept with it: they are symbols instead. */
static Val constant_buffer(Func *f, const KBuf *b) {
    Unit *u = f->u;
    size_t n = (size_t)b->n;
    if (!u->whole && native_is_symbol(b)) {
        char name[CODE_NAME];
        code_constant_name(name, f->number, (int)(b - f->p->bufs));
        return LLVMAddGlobal(u->module, LLVMArrayType2(u->f64, n), name);
    }
    Val *v = lq_alloc((n + 1) * sizeof *v);
    for (size_t i = 0; i < n; i++) v[constant_place(f, b, i)] = l_real(u, b->data[i]);
    Val global = LLVMAddGlobal(u->module, LLVMArrayType2(u->f64, n), "constants");
    LLVMSetInitializer(global, LLVMConstArray2(u->f64, v, n));
    LLVMSetGlobalConstant(global, 1);
    LLVMSetLinkage(global, LLVMPrivateLinkage);
    LLVMSetAlignment(global, 64);
    free(v);
    return global;
}

/* Constants are there once in the module. */
static void find_buffers(Func *f, const Func *outer) {
    Unit *u = f->u;
    Val in = call_field(f, 0), out = call_field(f, 1), scratch = f->scratch = call_field(f, 2);
    for (int i = 0; i < f->p->nbufs; i++) {
        const KBuf *b = buf_get(f, i);
        switch (b->kind) {
        case KB_IN:    f->base[i] = pointer_element(u, in, b->slot); break;
        case KB_OUT:   f->base[i] = pointer_element(u, out, b->slot); break;
        case KB_TEMP:  f->base[i] = l_at(u, scratch, l_int(u, b->offset * (u->sites ? 1 : u->lanes))); break;
        case KB_CONST: f->base[i] = outer ? outer->base[i] : constant_buffer(f, b); break;
        }
    }
}

/* Gives the buffers that loops exchange a slot for their address; counts loops. */
static void make_slots(Func *f, const KStmt *s, int n) {
    Unit *u = f->u;
    for (int i = 0; i < n; i++) {
        if (s[i].kind != KS_LOOP) continue;
        const KLoop *k = &s[i].u.loop;
        if (k->loop >= f->nloops) f->nloops = k->loop + 1;
        make_slots(f, k->body, k->nbody);
        for (int c = 0; c < k->ncarry; c++) {
            int pair[2] = {k->carry[c].cur, k->carry[c].next};
            for (int j = 0; j < 2 && pair[0] != pair[1]; j++) {
                if (f->slot[pair[j]]) continue;
                f->slot[pair[j]] = LLVMBuildAlloca(u->b, u->ptr, "where");
                LLVMBuildStore(u->b, f->base[pair[j]], f->slot[pair[j]]);
            }
        }
    }
}

static void make_rings(Func *f) {
    Unit *u = f->u;
    for (int i = 0; i < f->p->nbufs; i++) {
        if (!buf_get(f, i)->slots) continue;
        f->first[i] = LLVMBuildAlloca(u->b, u->i64, "first");
        LLVMBuildStore(u->b, l_int(u, buf_get(f, i)->lead), f->first[i]);
    }
}

/* How the rows of rings that are cut are shared out. */
static void make_parts(Func *f) {
    Unit *u = f->u;
    for (int i = 0; i < f->p->nbufs; i++) {
        const KBuf *b = buf_get(f, i);
        if (!b->cut) continue;
        f->part_rows[i] = ll_part_rows(f, b->rows);
        f->part_slots[i] = l_add(u, f->part_rows[i], l_int(u, b->slots - b->rows));
    }
}

/* The threads there are, of which the program uses so many at most. */
static Val find_workers(Func *f) {
    Unit *u = f->u;
    if (f->p->parts < 2) return l_int(u, 1);
    LLVMTypeRef type = LLVMFunctionType(u->i32, NULL, 0, 0);
    Val n = LLVMBuildCall2(u->b, type, ll_runtime_function(u, "lq_workers", type), NULL, 0, "");
    n = LLVMBuildSExt(u->b, n, u->i64, "");
    return l_select(u, l_compare(u, LLVMIntSLT, n, l_int(u, f->p->parts)), n, l_int(u, f->p->parts));
}

/* An output that a loop exchanged may have ended in its partner's memory. */
static void settle_outputs(Func *f) {
    Unit *u = f->u;
    for (int i = 0; i < f->p->nbufs; i++) {
        if (buf_get(f, i)->kind != KB_OUT || !f->slot[i]) continue;
        Val now = buf_address(f, i);
        BasicBlock move = l_block(f, "move"), after = l_block(f, "after");
        LLVMBuildCondBr(u->b, l_compare(u, LLVMIntEQ, now, f->base[i]), after, move);
        l_goto_end(u, move);
        LLVMBuildMemCpy(u->b, f->base[i], buf_align(f, i), now, buf_align(f, i),
                        l_int(u, buf_get(f, i)->n * buf_width(f, i) * buf_bytes(f, i)));
        LLVMBuildBr(u->b, after);
        l_goto_end(u, after);
    }
}

void ll_target_attributes(Unit *u, Val fn) {
    l_text_attr(u, fn, "target-cpu", u->cpu);
    l_text_attr(u, fn, "target-features", u->features);
    l_text_attr(u, fn, "prefer-vector-width", "512");
}

static Val new_function(Unit *u, const char *name, int number) {
    Text full = {0};
    char by_number[CODE_NAME];
    code_function_name(by_number, number);
    if (u->whole) text_printf(&full, "lqft_%s", name);
    else text_printf(&full, "%s", by_number);
    Val fn = LLVMAddFunction(u->module, full.s, LLVMFunctionType(u->none, &u->ptr, 1, 0));
    text_free(&full);
    l_enum_attr(u, fn, (unsigned)LLVMAttributeFunctionIndex, "nounwind", 0);
    l_enum_attr(u, fn, 1, "noalias", 0);
    ll_target_attributes(u, fn);
    return fn;
}

static void *zeroed(size_t n, size_t size) {
    void *p = lq_alloc((n + 1) * size);
    memset(p, 0, (n + 1) * size);
    return p;
}

void ll_func_open(Func *f, Val fn, Val args, const Func *outer) {
    size_t nbufs = (size_t)f->p->nbufs;
    f->base = zeroed(nbufs, sizeof *f->base);
    f->slot = zeroed(nbufs, sizeof *f->slot);
    f->first = zeroed(nbufs, sizeof *f->first);
    f->first_now = zeroed(nbufs, sizeof *f->first_now);
    f->part_rows = zeroed(nbufs, sizeof *f->part_rows);
    f->part_slots = zeroed(nbufs, sizeof *f->part_slots);
    f->part_at = zeroed(nbufs, sizeof *f->part_at);
    f->fn = fn, f->args = args;
    l_goto_end(f->u, l_block(f, "entry"));
    find_buffers(f, outer);
}

void ll_func_start(Func *f) {
    Unit *u = f->u;
    make_parts(f);
    f->iteration = zeroed(f->nloops, sizeof *f->iteration);
    f->seed = call_field(f, 3), f->step = call_field(f, 4), f->chains = call_field(f, 5);
    BasicBlock start = l_block(f, "start");
    f->allocas = LLVMBuildBr(u->b, start);
    l_goto_end(u, start);
    for (int i = 0; i < LQ_COUNT(f->call_slot); i++) f->call_slot[i] = l_alloca(f, u->vec, "call");
}

void ll_func_close(Func *f) {
    free(f->base);
    free(f->slot);
    free(f->first);
    free(f->first_now);
    free(f->part_rows);
    free(f->part_slots);
    free(f->part_at);
    free(f->iteration);
}

static void func_begin(Func *f) {
    Unit *u = f->u;
    size_t nodes = (size_t)f->p->ir->nodes.n;
    f->value = zeroed(nodes, sizeof *f->value);
    f->level = zeroed(nodes, sizeof *f->level);
    f->phase = zeroed(nodes, sizeof *f->phase);
    f->place = zeroed(nodes, sizeof *f->place);
    f->seen = zeroed(nodes, sizeof *f->seen);
    Val fn = new_function(u, f->p->name, f->number);
    ll_func_open(f, fn, LLVMGetParam(fn, 0), NULL);
    make_slots(f, f->p->stmts, f->p->nstmts);
    make_rings(f);
    f->trip = zeroed(f->nloops, sizeof *f->trip);
    f->workers = find_workers(f);
    ll_func_start(f);
}

static void func_end(Func *f) {
    ll_func_close(f);
    free(f->value);
    free(f->level);
    free(f->phase);
    free(f->place);
    free(f->seen);
    free(f->trip);
    vec_free(&f->order);
}

Val ll_program(Unit *u, const KProgram *p, int number) {
    Func f = {.u = u, .p = p, .number = number};
    func_begin(&f);
    emit_statements(&f, p->stmts, p->nstmts);
    settle_outputs(&f);
    LLVMBuildRetVoid(u->b);
    func_end(&f);
    return f.fn;
}
