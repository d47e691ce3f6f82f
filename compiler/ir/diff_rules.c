/* diff_rules.c — the derivative of each scalar operation, as the adjoints that it
 * passes on to its operands.
 * Conventions: abs has derivative sign(x), 0 at 0; sign, floor, round, hash and comparisons
 * have derivative 0; min, max and select pass everything to the branch they chose. */
#include "diff.h"

_Static_assert(SC_CONST == 49, "a new row of ops.def needs a derivative rule here");

bool diff_is_flat(Op op) {
    return op == SC_SIGN || op == SC_FLOOR || op == SC_ROUND || op == SC_HASH || (op >= SC_LT && op <= SC_NOT);
}

Ref diff_scale(Ir *ir, Op op, Ref adj, Ref d) {
    if (NODE(ir, adj)->op == SC_SELECT) {
        Ref c = NARG(ir, adj, 0), a = NARG(ir, adj, 1), b = NARG(ir, adj, 2);
        if (ir_is_zero(ir, b)) return ir_select(ir, c, diff_scale(ir, op, a, d), b);
        if (ir_is_zero(ir, a)) return ir_select(ir, c, a, diff_scale(ir, op, b, d));
    }
    return ir_binary(ir, op, adj, d);
}

static Ref times(Ir *ir, Ref adj, Ref d) { return diff_scale(ir, SC_MUL, adj, d); }
static Ref over(Ir *ir, Ref adj, Ref d) { return diff_scale(ir, SC_DIV, adj, d); }
static Ref negated(Ir *ir, Ref adj) { return diff_scale(ir, SC_MUL, adj, ir_const(ir, -1)); }
static Ref square(Ir *ir, Ref x) { return ir_binary(ir, SC_MUL, x, x); }
static Ref add(Ir *ir, Ref a, Ref b) { return ir_binary(ir, SC_ADD, a, b); }
static Ref sub(Ir *ir, Ref a, Ref b) { return ir_binary(ir, SC_SUB, a, b); }

/* One operand x, value y. */
static Ref unary_rule(Ir *ir, Op op, Ref x, Ref y, Ref adj) {
    Ref one = ir_const(ir, 1);
    switch (op) {
    case SC_NEG:   return negated(ir, adj);
    case SC_ABS:   return times(ir, adj, ir_unary(ir, SC_SIGN, x));
    case SC_SQRT:  return over(ir, times(ir, adj, ir_const(ir, 0.5)), y);
    case SC_EXP:   return times(ir, adj, y);
    case SC_EXPM1: return times(ir, adj, add(ir, y, one));     /* off by u of its greatest value for x < 0, as for tanh */
    case SC_LOG:   return over(ir, adj, x);
    case SC_LOG1P: return over(ir, adj, add(ir, one, x));
    case SC_SIN:   return times(ir, adj, ir_unary(ir, SC_COS, x));
    case SC_COS:   return negated(ir, times(ir, adj, ir_unary(ir, SC_SIN, x)));
    case SC_TAN:   return times(ir, adj, add(ir, one, square(ir, y)));
    case SC_ASIN:  return over(ir, adj, ir_unary(ir, SC_SQRT, sub(ir, one, square(ir, x))));
    case SC_ACOS:  return negated(ir, over(ir, adj, ir_unary(ir, SC_SQRT, sub(ir, one, square(ir, x)))));
    case SC_ATAN:  return over(ir, adj, add(ir, one, square(ir, x)));
    case SC_SINH:  return times(ir, adj, ir_unary(ir, SC_COSH, x));
    case SC_COSH:  return times(ir, adj, ir_unary(ir, SC_SINH, x));
    case SC_TANH:  return times(ir, adj, sub(ir, one, square(ir, y)));
    case SC_ASINH: return over(ir, adj, ir_unary(ir, SC_SQRT, add(ir, square(ir, x), one)));
    case SC_ACOSH: /* (x-1)(x+1): no cancellation near 1 */
        return over(ir, adj, ir_unary(ir, SC_SQRT, ir_binary(ir, SC_MUL, sub(ir, x, one), add(ir, x, one))));
    case SC_ATANH: return over(ir, adj, ir_binary(ir, SC_MUL, sub(ir, one, x), add(ir, one, x)));
    case SC_ERF: {
        Ref bell = ir_unary(ir, SC_EXP, ir_unary(ir, SC_NEG, square(ir, x)));
        return times(ir, adj, ir_binary(ir, SC_MUL, ir_const(ir, 1.1283791670955126), bell));
    }
    case SC_ERFC: return negated(ir, unary_rule(ir, SC_ERF, x, y, adj));
    case SC_LGAMMA: return times(ir, adj, ir_unary(ir, SC_DIGAMMA, x));
    case SC_LOG_I0: return times(ir, adj, ir_unary(ir, SC_BESSEL_RATIO, x));
    case SC_BESSEL_RATIO: { /* 1 - y² - y/x, where y/x is ½ at 0 */
        Ref slope = ir_select(ir, ir_binary(ir, SC_EQ, x, ir_const(ir, 0)), ir_const(ir, 0.5),
                              ir_binary(ir, SC_DIV, y, x));
        return times(ir, adj, sub(ir, sub(ir, one, square(ir, y)), slope));
    }
    case SC_SOFTPLUS: return times(ir, adj, ir_unary(ir, SC_SIGMOID, x));
    case SC_SIGMOID: /* y(1 - y), the second factor without cancellation */
        return times(ir, adj, ir_binary(ir, SC_MUL, y, ir_unary(ir, SC_SIGMOID, ir_unary(ir, SC_NEG, x))));
    default: return 0;
    }
}

/* a^b: b a^(b-1) for a; a^b log a for b, only where b itself depends on a variable. */
static void pow_rule(Ir *ir, Ref a, Ref b, Ref y, Ref adj, const bool *active, Ref *out) {
    if (active[0]) {
        Ref p = ir_binary(ir, SC_POW, a, sub(ir, b, ir_const(ir, 1)));
        out[0] = times(ir, adj, ir_binary(ir, SC_MUL, b, p));
    }
    if (active[1]) out[1] = times(ir, adj, ir_binary(ir, SC_MUL, y, ir_unary(ir, SC_LOG, a)));
}

static void choose(Ir *ir, Ref cond, Ref adj, Ref *first, Ref *second) {
    Ref zero = ir_const(ir, 0);
    *first = ir_select(ir, cond, adj, zero);
    *second = ir_select(ir, cond, zero, adj);
}

bool diff_rule(Ir *ir, Ref r, Ref adj, const bool *active, Ref *out, const char **why) {
    Op op = (Op)NODE(ir, r)->op;
    Ref arg[3] = {0};
    for (int i = 0; i < (int)NODE(ir, r)->nargs && i < 3; i++) arg[i] = NARG(ir, r, i);
    Ref a = arg[0], b = arg[1];
    out[0] = out[1] = out[2] = 0;
    switch (op) {
    case SC_ADD: out[0] = out[1] = adj; break;
    case SC_SUB: out[0] = adj, out[1] = negated(ir, adj); break;
    case SC_MUL: out[0] = times(ir, adj, b), out[1] = times(ir, adj, a); break;
    case SC_FMA: out[0] = times(ir, adj, b), out[1] = times(ir, adj, a), out[2] = adj; break;
    case SC_DIV:
        out[0] = over(ir, adj, b);
        if (active[1]) out[1] = negated(ir, over(ir, times(ir, adj, r), b));
        break;
    case SC_MIN: choose(ir, ir_binary(ir, SC_LT, a, b), adj, &out[0], &out[1]); break;
    case SC_MAX: choose(ir, ir_binary(ir, SC_LT, b, a), adj, &out[0], &out[1]); break;
    case SC_SELECT: choose(ir, a, adj, &out[1], &out[2]); break;
    case SC_POW: pow_rule(ir, a, b, r, adj, active, out); break;
    case SC_ATAN2: {
        Ref norm = add(ir, square(ir, a), square(ir, b));
        out[0] = over(ir, times(ir, adj, b), norm);
        out[1] = negated(ir, over(ir, times(ir, adj, a), norm));
        break;
    }
    case SC_NEG: case SC_ABS: case SC_SQRT: case SC_EXP: case SC_EXPM1: case SC_LOG: case SC_LOG1P:
    case SC_SIN: case SC_COS: case SC_TAN: case SC_ASIN: case SC_ACOS: case SC_ATAN: case SC_SINH:
    case SC_COSH: case SC_TANH: case SC_ASINH: case SC_ACOSH: case SC_ATANH: case SC_ERF:
    case SC_ERFC: case SC_LGAMMA: case SC_LOG_I0: case SC_BESSEL_RATIO: case SC_SOFTPLUS: case SC_SIGMOID:
        out[0] = unary_rule(ir, op, a, r, adj);
        break;
    case SC_SIGN: case SC_FLOOR: case SC_ROUND: case SC_HASH:
    case SC_LT: case SC_LE: case SC_EQ: case SC_NE: case SC_AND: case SC_OR: case SC_NOT:
        break;
    case SC_DIGAMMA:
        *why = "digamma has no derivative here";
        return false;
    default:
        *why = "this operation has no derivative";
        return false;
    }
    for (int i = 0; i < 3; i++)
        if (!active[i]) out[i] = 0;
    return true;
}
