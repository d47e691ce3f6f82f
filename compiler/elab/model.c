/* model.c — the declarations of a file and of what it imports: parsed, resolved,
 * and elaborated in order (language reference §2).  Functions are only bound here;
 * they are specialised where they are used. */
#include "elab.h"

#include "../../runtime/io/file.h"

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <unistd.h>

#define MAX_EXTENT ((int64_t)1 << 31)
#define MAX_SITES  ((int64_t)1 << 31)
#define MAX_WORK   1e9                /* of data: elements computed, with all iterations */

FieldInfo *model_field(const Model *m, const char *name) {
    for (int i = 0; i < m->fields.n; i++)
        if (m->fields.data[i]->name == name) return m->fields.data[i];
    return NULL;
}

double available_memory(void) {
    struct rlimit limit;
    double bytes = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && (double)limit.rlim_cur < bytes) bytes = (double)limit.rlim_cur;
    return bytes;
}

/* ---- files and imports --------------------------------------------------------------------- */

static char *read_whole(Arena *a, const char *path, size_t *len) {
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    Text t = {0};
    char buffer[65536];
    size_t n;
    while ((n = fread(buffer, 1, sizeof buffer, f)) > 0) text_putn(&t, buffer, n);
    bool bad = ferror(f);
    fclose(f);
    if (bad) { text_free(&t); return NULL; }
    char *out = arena_strndup(a, t.s ? t.s : "", t.n);
    *len = t.n;
    text_free(&t);
    return out;
}

static bool defines(const char *text, const char *name) {
    size_t n = strlen(name);
    for (const char *line = text; line; line = (line = strchr(line, '\n')) ? line + 1 : NULL)
        for (int k = 0; k < 2; k++) {
            const char *word = k ? "sampler " : "def ";
            size_t w = strlen(word);
            if (!strncmp(line, word, w) && !strncmp(line + w, name, n) && strchr("( =", line[w + n])) return true;
        }
    return false;
}

const char *library_module(const Model *m, const char *name) {
    Arena *arena = m->elab->arena;
    const char *folder = arena_printf(arena, "%s/samplers", m->library), *found = NULL;
    DIR *d = strlen(name) < 64 ? opendir(folder) : NULL;
    for (struct dirent *f; d && !found && (f = readdir(d));) {
        size_t n = strlen(f->d_name), len;
        if (n < 6 || strcmp(f->d_name + n - 5, ".lqft")) continue;
        const char *text = read_whole(arena, arena_printf(arena, "%s/%s", folder, f->d_name), &len);
        if (text && defines(text, name)) found = arena_printf(arena, "samplers.%.*s", (int)n - 5, f->d_name);
    }
    if (d) closedir(d);
    return found;
}

static bool is_task(const Decl *d) {
    return d->kind == DC_SCAN || d->kind == DC_SAMPLE || d->kind == DC_REPORT || d->kind == DC_PLOT || d->kind == DC_SAVE || d->kind == DC_PRINT ||
           d->kind == DC_MINIMIZE || d->kind == DC_LOAD || d->kind == DC_KEEP;
}

static void load_file(Model *m, Arena *arena, const char *path, const char *text, size_t len, bool main_file);

/* A file of the model's own: strictly below its folder, as data are (load.c).  NULL, and a
 * reason in err unless there is none of this name. */
static char *read_below(Arena *a, const char *folder, const char *name, size_t *len, char *err, size_t errlen) {
    OldFile f;
    char *text;
    if (file_open_below(&f, folder, name, err, errlen)) return NULL;
    *len = (size_t)f.size;
    int status = file_contents(&f, name, &text, err, errlen);
    file_close(&f);
    if (status) return NULL;
    char *out = arena_strndup(a, text, *len);
    free(text);
    return out;
}

/* a.b is a/b.lqft next to the importing file, or in the library. */
static void import(Model *m, Arena *arena, const Decl *d, const char *importer) {
    Text rel = {0};
    for (const char *c = d->name; *c; c++) text_putn(&rel, *c == '.' ? "/" : c, 1);
    const char *folders[2] = {path_folder(arena, importer), m->library};
    for (int i = 0; i < 2; i++) {
        const char *path = arena_printf(arena, "%s/%.*s.lqft", folders[i], (int)rel.n, rel.s);
        size_t len;
        for (int k = 0; k < m->imported.n; k++)
            if (!strcmp(m->imported.data[k], path)) { text_free(&rel); return; }
        bool ours = i == 0 && strncmp(folders[0], m->library, strlen(m->library)) != 0;
        char err[300] = "";
        char *text = ours ? read_below(arena, folders[0], arena_printf(arena, "%.*s.lqft", (int)rel.n, rel.s), &len, err, sizeof err)
                          : read_whole(arena, path, &len);
        if (*err) {
            diag_error(&m->front->sink, "E0601", d->name_at, "%s", err);
            text_free(&rel);
            return;
        }
        if (!text) continue;
        vec_push(&m->imported, path);
        load_file(m, arena, path, text, len, false);
        text_free(&rel);
        return;
    }
    Diag *g = diag_error(&m->front->sink, "E0601", d->name_at, "there is no file for `import %s`", d->name);
    diag_here(&m->front->sink, g, "looked for %.*s.lqft in %s and in %s", (int)rel.n, rel.s, folders[0], folders[1]);
    text_free(&rel);
}

static void load_file(Model *m, Arena *arena, const char *path, const char *text, size_t len, bool main_file) {
    uint32_t file = source_add(&m->front->sources, path, text, len);
    Program *p = parse_file(m->front, file);
    for (int i = 0; i < p->decls.n; i++) {
        Decl *d = p->decls.data[i];
        d->file = file;
        if (d->kind == DC_IMPORT) import(m, arena, d, path);
        else if (!is_task(d)) vec_push(&m->decls, d);
        else if (main_file) vec_push(&m->tasks, d);
    }
}

bool model_lacks_tasks(const Model *m) {
    for (int i = 0; i < m->decls.n; i++) {
        const Decl *d = m->decls.data[i];
        if (d->kind == DC_ERROR && (d->scan || (d->keyword && !strcmp(d->keyword, "scan")))) return true;
    }
    return false;
}

/* ---- parameters -------------------------------------------------------------------------------- */

static Override *find_override(Model *m, const char *name) {
    for (int i = 0; i < m->noverrides; i++)
        if (!strcmp(m->overrides[i].name, name)) return &m->overrides[i];
    return NULL;
}

static bool in_bounds(double v, double lo, double hi, const Decl *d) {
    return (d->lo_open ? v > lo : v >= lo) && (d->hi_open ? v < hi : v <= hi);
}

static const Forced *forced_value(const Model *m, const char *name) {
    for (const Forced *f = m->forced; f; f = f->up)
        if (f->name == name) return f;
    return NULL;
}

/* The constant that stands for a parameter.  At the points of a scan a forced one is what the scan says;
 * one that was computed from it is fixed, since executables know one default only. */
static Ref param_setting(Model *m, const Decl *d, Ref value, bool given, bool forced) {
    Ir *ir = m->elab->ir;
    double v = ir_const_value(ir, value);
    if (forced) return value;
    for (int i = 0; m->forced && i < ir->settings.n; i++) {
        Setting *s = &ir->settings.data[i];
        if (s->name != d->name) continue;
        if (s->value == v && (!s->dflt || given || s->dflt == value)) return ir_setting(ir, d->name, v, s->dflt, d->name_at);
        if (!s->fixed) s->fixed = "it has other values at the points of a scan";
        return value;
    }
    return ir_setting(ir, d->name, v, given ? 0 : value, d->name_at);
}

static void declare_param(Model *m, const Decl *d) {
    Elab *e = m->elab;
    const Forced *forced = forced_value(m, d->name);
    Override *o = forced ? NULL : find_override(m, d->name);
    const Expr *x = forced ? &forced->value : d->value;
    if (o) {
        o->used = true;
        x = parse_expr(m->front, source_add(&m->front->sources, "command line", o->text, strlen(o->text)));
        if (x && !strcasecmp(o->text, "nan")) {
            elab_error(e, "E0402", x->at, "the parameter `%s` must be finite, and this is no number", d->name);
            x = NULL;
        }
        if (!x) { e->globals = env_bind(e, e->globals, d->name, value_error()); return; }
    }
    e->read.n = 0;
    const Value *dflt = elab_expr(e, e->globals, d->value), *v = dflt;
    if (o || forced) e->read.n = 0, v = elab_expr(e, e->globals, x);
    double value, dflt_value = NAN, lo, hi;
    bool ok = v->kind != VK_ERROR;
    if (ok && v->kind == VK_NUM && !v->u.num.complex && v->u.num.nsets == 0 && !value_is_const(e, v, NULL)) {
        Diag *g = elab_error(e, "E0213", x->at, "a parameter must be known before the program runs: a number, parameters and arithmetic on them");
        diag_help(&m->front->sink, g, "what is computed is a definition: `def %s = …`", d->name);
        ok = false;
    }
    if (ok && !value_is_const(e, v, NULL)) {
        elab_error(e, "E0401", x->at, "the parameter `%s` must be a real number, and this is %s", d->name, value_describe(e, v));
        ok = false;
    }
    if (ok) value = ir_const_value(e->ir, v->u.num.re);
    if (ok && !isfinite(value)) {
        elab_error(e, "E0402", x->at, "the parameter `%s` must be finite, and this is %g", d->name, value);
        ok = false;
    }
    if (ok && d->lo && elab_const(e, e->globals, d->lo, "a bound", &lo) && elab_const(e, e->globals, d->hi, "a bound", &hi) &&
        !in_bounds(value, lo, hi, d)) {
        Diag *g = elab_error(e, "E0403", x->at, "`%s` = %.10g lies outside its bounds %c%g, %g%c", d->name, value,
                             d->lo_open ? '(' : '[', lo, hi, d->hi_open ? ')' : ']');
        if (o || forced) diag_label(&m->front->sink, g, d->name_at, "declared here");
        ok = false;
    }
    if (value_is_const(e, dflt, NULL)) dflt_value = ir_const_value(e->ir, dflt->u.num.re);
    Value *named = value_new(e, VK_NUM, d->name_at);
    if (ok) named->u = v->u;
    if (ok && !v->u.num.boolean) named->u.num.re = param_setting(m, d, v->u.num.re, o != NULL, forced != NULL);
    named->name = d->name;
    param_uses(e, named);
    named->uses[named->nuses++] = named;                 /* room for one more is there */
    e->globals = env_bind(e, e->globals, d->name, ok ? named : value_error());
    ParamInfo info = {d->name, ok ? named : NULL, d->name_at, ok ? value : NAN, dflt_value, ok && v->u.num.boolean, o != NULL, d->doc, d};
    vec_push(&m->params, info);
}

/* ---- index sets ------------------------------------------------------------------------------------ */

static void bind_set(Model *m, const Decl *d, IndexSet *s) {
    Elab *e = m->elab;
    Value *v = value_new(e, VK_SET, d->name_at);
    v->name = d->name;
    v->u.set = s;
    param_uses(e, v);
    if (s) vec_push(&m->sets, s);
    e->globals = env_bind(e, e->globals, d->name, s ? v : value_error());
}

static void declare_axis(Model *m, const Decl *d) {
    int64_t n;
    bool ok = elab_int(m->elab, m->elab->globals, d->value, "the extent of an axis", 1, MAX_EXTENT, &n);
    bind_set(m, d, ok ? set_axis(m->elab, d->name, d->name_at, n) : NULL);
}

static bool call_named(const Expr *x, const char *name) {
    return x->kind == EX_CALL && x->a->kind == EX_NAME && !strcmp(x->a->name, name);
}

/* Given points, in increasing order. */
static IndexSet *make_points(Model *m, const Decl *d) {
    Elab *e = m->elab;
    const Expr *x = d->value;
    if (x->n < 1 || x->nopts) {
        elab_error(e, "E0217", x->at, "`points` takes the points of the grid");
        return NULL;
    }
    double *at = arena_alloc(e->arena, (size_t)x->n * sizeof *at);
    for (int i = 0; i < x->n; i++) {
        if (!elab_const(e, e->globals, x->list[i], "a point of a grid", &at[i])) return NULL;
        if (isfinite(at[i]) && (i == 0 || at[i] > at[i - 1])) continue;
        elab_error(e, "E0230", x->list[i]->at, "the points of a grid are finite and increase, and this is %g%s", at[i],
                   i ? arena_printf(e->arena, " after %g", at[i - 1]) : "");
        return NULL;
    }
    return set_points(e, d->name, d->name_at, x->n, at);
}

static IndexSet *make_grid(Model *m, const Decl *d) {
    Elab *e = m->elab;
    const Expr *x = d->value;
    bool linear = call_named(x, "linspace"), logarithmic = call_named(x, "logspace");
    if (call_named(x, "points")) return make_points(m, d);
    if (!linear && !logarithmic) {
        elab_error(e, "E0230", x->at, "a grid is `linspace(from, to, points)`, `logspace(from, to, points)` or `points(a, b, …)`");
        return NULL;
    }
    double lo, hi;
    int64_t n;
    if (x->n != 3 || x->nopts) {
        elab_error(e, "E0217", x->at, "`%s` takes three arguments: from, to, points", x->a->name);
        return NULL;
    }
    if (!elab_const(e, e->globals, x->list[0], "the start of a grid", &lo) ||
        !elab_const(e, e->globals, x->list[1], "the end of a grid", &hi) ||
        !elab_int(e, e->globals, x->list[2], "the number of points", 1, 100000000, &n))
        return NULL;
    if (!isfinite(lo) || !isfinite(hi) || (logarithmic && !(lo > 0 && hi > 0))) {
        elab_error(e, "E0230", x->at, "the ends of %s grid must be finite%s", logarithmic ? "a logarithmic" : "a", logarithmic ? " and positive" : "");
        return NULL;
    }
    return set_grid(e, d->name, d->name_at, lo, hi, n, logarithmic);
}

static bool boundary_of(Elab *e, const Expr *x, uint32_t *mode) {
    static const struct { const char *name; uint32_t mode; } table[] = {
        {"periodic", IX_PERIODIC}, {"antiperiodic", IX_ANTIPERIODIC}, {"open", IX_ZERO}};
    for (int i = 0; i < LQ_COUNT(table) && x->kind == EX_NAME; i++)
        if (!strcmp(x->name, table[i].name)) { *mode = table[i].mode; return true; }
    elab_error(e, "E0231", x->at, "a boundary is `periodic`, `antiperiodic` or `open`");
    return false;
}

static bool boundaries(Elab *e, const Expr *x, int rank, uint32_t *mode) {
    if (x->kind != EX_TUPLE) {
        if (!boundary_of(e, x, &mode[0])) return false;
        for (int i = 1; i < rank; i++) mode[i] = mode[0];
        return true;
    }
    if (x->n != rank) {
        elab_error(e, "E0231", x->at, "%d boundaries for %d directions", x->n, rank);
        return false;
    }
    for (int i = 0; i < rank; i++)
        if (!boundary_of(e, x->list[i], &mode[i])) return false;
    return true;
}

static IndexSet *make_lattice(Model *m, const Decl *d) {
    Elab *e = m->elab;
    const Expr *x = d->value;
    bool torus = call_named(x, "torus"), box = call_named(x, "box");
    int64_t ext[IR_MAX_RANK], sites = 1;
    uint32_t mode[IR_MAX_RANK];
    if (!torus && !box) {
        Diag *g = elab_error(e, "E0232", x->at, "a lattice is `torus(L, …)` (periodic) or `box(L, …)` (open)");
        if (x->kind == EX_NUM) diag_help(&e->front->sink, g, "write `torus(%s, %s)` for a square lattice", x->name ? x->name : "L", x->name ? x->name : "L");
        return NULL;
    }
    if (x->n < 1 || x->n > 8) {
        elab_error(e, "E0232", x->at, "a lattice has 1 to 8 directions, and here are %d extents", x->n);
        return NULL;
    }
    bool ok = true;
    for (int i = 0; i < x->n; i++) {
        mode[i] = torus ? IX_PERIODIC : IX_ZERO;
        if (!ok) continue;
        if (!elab_int(e, e->globals, x->list[i], "the extent of a lattice", 1, MAX_EXTENT, &ext[i])) ok = false;
        else if (!lq_mul_ok(sites, ext[i], &sites) || sites > MAX_SITES) {
            elab_error(e, "E0233", x->at, "this lattice has more than 2^31 sites");
            return NULL;
        }
    }
    for (int i = 0; i < x->nopts; i++) {
        if (strcmp(x->opts[i].name, "boundary") != 0) {
            elab_error(e, "E0218", x->opts[i].at, "a lattice has no option `%s`; it has `boundary`", x->opts[i].name);
            ok = false;
        } else ok &= boundaries(e, x->opts[i].value, x->n, mode);
    }
    return ok ? set_lattice(e, d->name, d->name_at, x->n, ext, mode) : NULL;
}

/* ---- fields and data ----------------------------------------------------------------------------------- */

static bool declared_sets(Model *m, const Bind *binds, int n, IndexSet **sets, Span at) {
    Elab *e = m->elab;
    int64_t total = 1;
    if (n > MAX_SETS) {
        elab_error(e, "E0219", at, "more than %d index sets", MAX_SETS);
        return false;
    }
    for (int i = 0; i < n; i++) {
        const Expr *x = binds[i].set;
        Expr name = {.kind = EX_NAME, .at = binds[i].at, .name = binds[i].name};
        sets[i] = elab_set(e, e->globals, x ? x : &name);
        if (!sets[i]) return false;
        if (!lq_mul_ok(total, set_size(sets[i]), &total) || total > MAX_SITES) {
            elab_error(e, "E0233", at, "this array has more than 2^31 elements");
            return false;
        }
    }
    return true;
}

static double elements(IndexSet *const *sets, int n) {
    double total = 1;
    for (int i = 0; i < n; i++) total *= (double)set_size(sets[i]);
    return total;
}

static void declare_field(Model *m, Arena *arena, const Decl *d) {
    static const struct { const char *name; FieldKind kind; } kinds[] = {
        {"real", FIELD_REAL}, {"positive", FIELD_POSITIVE}, {"angle", FIELD_ANGLE}, {"complex", FIELD_COMPLEX},
        {"spin", FIELD_SPIN}};
    Elab *e = m->elab;
    for (int k = 0; k < d->nnames; k++) {
        FieldInfo *f = arena_alloc(arena, sizeof *f);
        f->name = d->names[k];
        f->at = d->names_at[k];
        f->nsets = d->nbinds;
        bool ok = declared_sets(m, d->binds, d->nbinds, f->sets, d->name_at), known = false;
        if (ok && 64 * elements(f->sets, d->nbinds) > available_memory()) {
            elab_error(e, "E0233", f->at, "the field `%s` has %.3g elements, too many for the memory of this machine", f->name, elements(f->sets, d->nbinds));
            ok = false;
        }
        const char *names[LQ_COUNT(kinds)];
        for (int i = 0; i < LQ_COUNT(kinds); i++) {
            names[i] = kinds[i].name;
            if (d->type && d->type->kind == EX_NAME && !strcmp(d->type->name, kinds[i].name)) f->kind = kinds[i].kind, known = true;
        }
        if (!known) {
            Diag *g = elab_error(e, "E0229", d->type ? d->type->at : d->at, "a field is real, positive, angle, complex or spin");
            const char *near = d->type && d->type->kind == EX_NAME ? diag_nearest(d->type->name, names, LQ_COUNT(names)) : NULL;
            if (near) diag_help(&e->front->sink, g, "did you mean `%s`?", near);
        }
        if (ok && known) vec_push(&m->fields, f);
        else e->globals = env_bind(e, e->globals, f->name, value_error());
    }
}

/* The elements of a closed array, computed now: data are constants of the program. */
static Ref evaluate_constant(Elab *e, Ref node) {
    int64_t n = ir_elements(e->ir, node);
    double *data = lq_alloc((size_t)n * sizeof *data);
    IrFunc f = {.name = "data", .in = NULL, .nin = 0, .out = &node, .nout = 1, .ir = e->ir};
    ir_match_contractions(e->ir, 1, &f.out[0]);
    simplify_roots(e->ir, 1, &f.out[0]);
    interp_call(&f, NULL, &data, (RandKey){(uint32_t)e->data_seed, UINT32_MAX, 0});
    int64_t dims[IR_MAX_RANK];
    int rank = NODE(e->ir, node)->rank;
    for (int i = 0; i < rank; i++) dims[i] = NDIM(e->ir, node, i);
    Ref out = ir_const_array_from(e->ir, rank, dims, data, ir_is_variable(e->ir, node) ? node : 0);
    free(data);
    return out;
}

/* Data are computed while the program is compiled: not for minutes. */
static bool affordable(Elab *e, const Value *v, const Decl *d) {
    double n = elements(v->u.num.sets, v->u.num.nsets);
    if (n > MAX_DATA) {
        elab_error(e, "E0233", d->name_at, "the data `%s` have %.3g elements, more than 2^27", d->name, n);
        return false;
    }
    double work = 0;
    for (int p = 0; p < (v->u.num.complex ? 2 : 1); p++) {
        Ref node = value_node(e, v, p);
        ir_match_contractions(e->ir, 1, &node);
        work += ir_work(e->ir, node);
    }
    if (work <= MAX_WORK) return true;
    Diag *g = elab_error(e, "E0311", d->value->at, "computing `%s` takes about %.2g steps, and data are computed before the run", d->name, work);
    diag_help(&e->front->sink, g, "make it a `def`, which is computed where it is used");
    return false;
}

static const Value *elab_data_expr(Elab *e, Env *env, const Expr *x) {
    const Value *v = elab_expr(e, env, x);
    return v->kind == VK_DIST ? elab_draw(e, v, x->at) : v;
}

static void declare_data(Model *m, Arena *arena, const Decl *d) {
    Elab *e = m->elab;
    for (int k = 0; k < d->nnames; k++) {
        const Value *v;
        if (call_named(d->value, "load")) {
            IndexSet *sets[MAX_SETS];
            v = declared_sets(m, d->binds, d->nbinds, sets, d->name_at) ? load_data(m, arena, d, k, sets) : value_error();
        }
        else if (d->nbinds) v = elab_array(e, e->globals, d->nbinds, d->binds, d->value, elab_data_expr, d->name_at);
        else v = value_close(e, elab_data_expr(e, e->globals, d->value));
        if (v->kind != VK_ERROR && v->kind != VK_NUM)
            v = ELAB_FAIL(e, "E0225", d->value->at, "data are numbers, and this is %s", value_describe(e, v));
        if (v->kind == VK_NUM && !affordable(e, v, d)) v = value_error();
        if (v->kind == VK_NUM) {
            Ref re = evaluate_constant(e, value_node(e, v, false));
            Ref im = v->u.num.complex ? evaluate_constant(e, value_node(e, v, true)) : 0;
            Value *out = (Value *)value_array(e, re, im, 0, NULL, v->u.num.nsets, v->u.num.sets, d->names_at[k]);
            out->name = d->names[k];
            param_uses(e, out);
            v = out;
        }
        e->globals = env_bind(e, e->globals, d->names[k], v);
    }
}

/* ---- all declarations ------------------------------------------------------------------------------------- */

static void declare(Model *m, Arena *arena, const Decl *d) {
    Elab *e = m->elab;
    e->read.n = 0;
    switch (d->kind) {
    case DC_PARAM: declare_param(m, d); break;
    case DC_AXIS: declare_axis(m, d); break;
    case DC_GRID: bind_set(m, d, make_grid(m, d)); break;
    case DC_LATTICE: bind_set(m, d, make_lattice(m, d)); break;
    case DC_FIELD: declare_field(m, arena, d); break;
    case DC_DATA: declare_data(m, arena, d); break;
    case DC_NETWORK: elab_network(e, d); break;
    case DC_DEF: case DC_ACTION: case DC_OBSERVABLE: case DC_LOSS: case DC_KERNEL: case DC_SAMPLER: case DC_OPTIMIZER: case DC_LAYER: {
        Value *f = value_new(e, VK_FUNC, d->name_at);
        f->name = d->name;
        f->u.func.kind = FN_DECL;
        f->u.func.decl = d;
        e->globals = env_bind(e, e->globals, d->name, f);
        break;
    }
    case DC_ERROR:                  /* the parser reported it; its name is known, its value is not */
        if (d->name && !env_find(e->globals, d->name)) e->globals = env_bind(e, e->globals, d->name, value_error());
        break;
    default: break;
    }
}

/* Without an imported file most names are missing, and functions that use themselves
 * could be written out for ever; other mistakes leave the rest worth elaborating. */
static bool is_unusable(const Sink *s) {
    static const char *const codes[] = {"E0128", "E0301", "E0302", "E0601"};
    for (int i = 0; i < s->diags.n; i++)
        for (int k = 0; k < LQ_COUNT(codes); k++)
            if (!strcmp(s->diags.data[i]->code, codes[k])) return true;
    return s->nerrors > s->limit;
}

/* An imported file of functions alone keeps what was declared up to its last one: a name
 * that the user's file gives to something else means in the library what it meant there. */
static void set_scope(Model *m, const Decl *d, Env *env) {
    if (d->file >= LQ_COUNT(m->elab->scope)) return;
    bool main_file = !strcmp(m->front->sources.files.data[d->file]->path, m->path);
    m->elab->scope[d->file] = main_file ? NULL : env;
}

Model *model_load(Front *front, Arena *arena, const char *path, const char *library, Override *overrides, int noverrides, uint32_t seed) {
    Model *m = arena_alloc(arena, sizeof *m);
    Elab *e = arena_alloc(arena, sizeof *e);
    *m = (Model){.front = front, .elab = e, .overrides = overrides, .noverrides = noverrides, .library = library, .path = path};
    e->front = front, e->ir = ir_new(), e->arena = arena, e->model = m;
    e->data_seed = seed;
    e->iteration = aff_const(e->ir, 0), e->iterations = 1, e->nodes_limit = 2000000, e->work_limit = 4000000;
    size_t len;
    const char *prelude = arena_printf(arena, "%s/prelude.lqft", library);
    char *text = read_whole(arena, prelude, &len);
    if (text) load_file(m, arena, prelude, text, len, false);
    text = front->text ? (char *)front->text : read_whole(arena, path, &len);
    if (front->text) len = front->length;
    if (text) load_file(m, arena, path, text, len, true);
    resolve_model(m);
    m->unusable = is_unusable(&front->sink) || model_lacks_tasks(m);
    if (m->unusable) return m;
    for (int i = 0; i < front->sink.diags.n; i++) elab_mark(e, front->sink.diags.data[i]->labels[0].at);
    for (int i = 0; i < m->decls.n; i++)
        if (decl_is_function(m->decls.data[i]->kind)) {
            declare(m, arena, m->decls.data[i]);
            set_scope(m, m->decls.data[i], e->globals);
        }
    for (int i = 0; i < m->decls.n; i++)
        if (!decl_is_function(m->decls.data[i]->kind)) set_scope(m, m->decls.data[i], NULL);
    m->functions = e->globals;
    for (int i = 0; i < m->decls.n; i++)
        if (!decl_is_function(m->decls.data[i]->kind)) declare(m, arena, m->decls.data[i]);
    m->declared = e->globals;
    return m;
}

/* ---- the same declarations at other values of parameters ------------------------------------------------ */

/* Is the value the same whatever the forced parameters are? */
static bool stays(const Model *m, const Value *v) {
    if (!v || v->kind == VK_ERROR) return false;
    for (const Forced *f = m->forced; f; f = f->up)
        for (int i = 0; i < v->nuses; i++)
            if (v->uses[i]->name == f->name) return false;
    return true;
}

static void keep(Model *m, const Model *base, const char *name, const Value *v) {
    m->elab->globals = env_bind(m->elab, m->elab->globals, name, v);
    for (int i = 0; i < base->params.n; i++)
        if (base->params.data[i].bound == v) vec_push(&m->params, base->params.data[i]);
}

static void bind_reports(Elab *e, const Env *v, const Env *declared) {
    if (v == declared) return;
    bind_reports(e, v->up, declared);
    e->globals = env_bind(e, e->globals, v->name, v->value);
}

/* What does not depend on the forced parameters is kept: the same sets, the same data. */
void model_force(Model *m, const Forced *forced, Model *saved) {
    Elab *e = m->elab;
    const Env *reports = e->globals;
    *saved = *m;
    m->forced = forced;
    memset(&m->params, 0, sizeof m->params);
    memset(&m->fields, 0, sizeof m->fields);
    memset(&m->sets, 0, sizeof m->sets);
    e->globals = m->functions;
    e->grads.n = 0;
    for (int i = 0; i < m->decls.n; i++) {
        const Decl *d = m->decls.data[i];
        if (decl_is_function(d->kind)) continue;
        bool kept = d->kind != DC_FIELD && (d->kind != DC_NETWORK || !m->retrains) && (d->name || d->nnames);
        for (int k = 0; k < (d->nnames ? d->nnames : 1) && kept; k++)
            kept = stays(m, env_find(m->declared, d->nnames ? d->names[k] : d->name));
        for (int k = 0; k < (d->nnames ? d->nnames : 1) && kept; k++) {
            const char *name = d->nnames ? d->names[k] : d->name;
            keep(m, saved, name, env_find(m->declared, name));
        }
        if (!kept) declare(m, e->arena, d);
    }
    bind_reports(e, reports, m->declared);
}

void model_unforce(Model *m, const Model *saved, Env *globals) {
    vec_free(&m->params), vec_free(&m->fields), vec_free(&m->sets);
    m->forced = saved->forced;
    m->params.data = saved->params.data, m->params.n = saved->params.n, m->params.cap = saved->params.cap;
    m->fields.data = saved->fields.data, m->fields.n = saved->fields.n, m->fields.cap = saved->fields.cap;
    m->sets.data = saved->sets.data, m->sets.n = saved->sets.n, m->sets.cap = saved->sets.cap;
    m->elab->globals = globals;
    m->elab->grads.n = 0;
}
