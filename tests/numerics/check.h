/* check.h — what the tests of this folder share: one line a check, and a count of the
 * failures as the exit status. */
#ifndef LQFT_TEST_CHECK_H
#define LQFT_TEST_CHECK_H

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static int check_failures;

__attribute__((format(printf, 2, 3), unused)) static bool check(bool ok, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    printf("%s ", ok ? "ok  " : "FAIL");
    vprintf(fmt, ap);
    printf("\n");
    va_end(ap);
    if (!ok) check_failures++;
    return ok;
}

/* |got - want| <= tolerance·|want|; NaN agrees with nothing */
__attribute__((unused)) static bool check_close(double got, double want, double tolerance,
                                                const char *what)
{
    double off = fabs(got - want) / (want != 0 ? fabs(want) : 1);
    return check(off <= tolerance, "%s: %.17g, expected %.17g (off by %.1e, allowed %.0e)", what,
                 got, want, off, tolerance);
}

static int check_result(void)
{
    printf(check_failures ? "%d checks failed\n" : "all checks passed\n", check_failures);
    return check_failures ? 1 : 0;
}

#endif
