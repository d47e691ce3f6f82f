/* llvm_task.c — parts of a program as functions of their own, which lq_parallel calls once for
 * each index: tasks.  A task has the buffers of the program, as they are exchanged and as rings
 * stand at the time of the call; the numbers of the enclosing loops' iterations; and what it is
 * told besides.  All this is in a frame of words on the stack of the program. */
#include "llvm_emit.h"

#include <stdlib.h>

/* Words of a frame: where CallArgs are, threads, by buffer its address and its first row, by
 * loop its iteration, what is told. */
enum { AT_ARGS, AT_WORKERS, AT_BUFFERS };
static int at_where(int buf) { return AT_BUFFERS + 2 * buf; }
static int at_first(int buf) { return AT_BUFFERS + 2 * buf + 1; }
static int at_iteration(const Func *f, uint32_t loop) { return AT_BUFFERS + 2 * f->p->nbufs + (int)loop; }
static int at_told(const Func *f, int i) { return at_iteration(f, f->nloops) + i; }

static Val frame_word(Unit *u, Val frame, int i) {
    Val at = l_int(u, i);
    return LLVMBuildGEP2(u->b, u->i64, frame, &at, 1, "");
}

static Val frame_load(Unit *u, Val frame, int i, LLVMTypeRef type) { return l_load(u, type, frame_word(u, frame, i), 8); }

/* A stack slot of the inner function with what the frame says. */
static Val slot_from_frame(Unit *u, Val frame, int i, LLVMTypeRef type) {
    Val v = frame_load(u, frame, i, type), slot = LLVMBuildAlloca(u->b, type, "");
    LLVMBuildStore(u->b, v, slot);
    return slot;
}

static Val task_function(Unit *u, const char *name) {
    LLVMTypeRef params[3] = {u->ptr, u->i64, u->i32};
    Val fn = LLVMAddFunction(u->module, name, LLVMFunctionType(u->none, params, 3, 0));
    LLVMSetLinkage(fn, LLVMPrivateLinkage);
    l_enum_attr(u, fn, (unsigned)LLVMAttributeFunctionIndex, "nounwind", 0);
    ll_target_attributes(u, fn);
    return fn;
}

static void frame_fill(Func *f, const Val *tell, int ntell) {
    Unit *u = f->u;
    if (!f->frame) f->frame = l_alloca(f, LLVMArrayType2(u->i64, (uint64_t)at_told(f, MOST_TOLD)), "frame");
    l_store(u, f->args, frame_word(u, f->frame, AT_ARGS), 8);
    l_store(u, f->workers, frame_word(u, f->frame, AT_WORKERS), 8);
    for (int i = 0; i < f->p->nbufs; i++) {
        if (f->slot[i]) l_store(u, buf_address(f, i), frame_word(u, f->frame, at_where(i)), 8);
        if (f->first[i]) l_store(u, l_load(u, u->i64, f->first[i], 8), frame_word(u, f->frame, at_first(i)), 8);
    }
    for (uint32_t i = 0; i < f->nloops; i++)
        if (f->iteration[i]) l_store(u, f->iteration[i], frame_word(u, f->frame, at_iteration(f, i)), 8);
    for (int i = 0; i < ntell; i++) l_store(u, tell[i], frame_word(u, f->frame, at_told(f, i)), 8);
}

void ll_task_begin(Task *t, Func *outer, const char *name, const Val *tell, int ntell) {
    Unit *u = outer->u;
    frame_fill(outer, tell, ntell);
    Func *f = &t->inner;
    *t = (Task){.inner = *outer, .outer = outer, .from = l_here(u)};
    memset(f->row_slot, 0, sizeof f->row_slot);
    f->frame = NULL;
    Val fn = task_function(u, name), frame = LLVMGetParam(fn, 0);
    BasicBlock entry = LLVMAppendBasicBlockInContext(u->cx, fn, "frame");
    l_goto_end(u, entry);
    Val args = frame_load(u, frame, AT_ARGS, u->ptr);
    ll_func_open(f, fn, args, outer);
    BasicBlock body = l_here(u);
    l_goto_end(u, entry);
    LLVMBuildBr(u->b, body);
    l_goto_end(u, body);
    f->workers = frame_load(u, frame, AT_WORKERS, u->i64);
    for (int i = 0; i < f->p->nbufs; i++) {
        if (outer->slot[i]) f->slot[i] = slot_from_frame(u, frame, at_where(i), u->ptr);
        if (outer->first[i]) f->first[i] = slot_from_frame(u, frame, at_first(i), u->i64);
    }
    ll_func_start(f);
    for (uint32_t i = 0; i < f->nloops; i++)
        if (outer->iteration[i]) f->iteration[i] = frame_load(u, frame, at_iteration(f, i), u->i64);
    for (int i = 0; i < ntell; i++) t->told[i] = frame_load(u, frame, at_told(f, i), u->i64);
    f->task = t->index = LLVMGetParam(fn, 1);
}

Val ll_task_runner(Unit *u, const char *name, LLVMTypeRef type) {
    Val fn = LLVMGetNamedFunction(u->module, name);
    if (fn) return fn;
    fn = LLVMAddFunction(u->module, name, type);
    l_enum_attr(u, fn, (unsigned)LLVMAttributeFunctionIndex, "nounwind", 0);
    return fn;
}

void ll_task_close(Task *t) {
    Func *f = &t->inner, *outer = t->outer;
    Unit *u = f->u;
    LLVMBuildRetVoid(u->b);
    outer->order = f->order, outer->stamp = f->stamp;         /* they may have grown */
    ll_func_close(f);
    l_goto_end(u, t->from);
}

void ll_task_end(Task *t, Val ntasks) {
    Unit *u = t->inner.u;
    ll_task_close(t);
    LLVMTypeRef params[3] = {u->i64, u->ptr, u->ptr}, type = LLVMFunctionType(u->none, params, 3, 0);
    Val operands[3] = {ntasks, t->inner.fn, t->outer->frame};
    LLVMBuildCall2(u->b, type, ll_task_runner(u, "lq_parallel", type), operands, 3, "");
}

Val ll_part_rows(Func *f, int64_t rows) {
    Unit *u = f->u;
    Val sum = l_add(u, f->workers, l_int(u, rows - 1));
    return LLVMBuildUDiv(u->b, sum, f->workers, "");
}
