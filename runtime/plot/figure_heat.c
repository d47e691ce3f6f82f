/* figure_heat.c — the values and colours of heat maps. */
#include <math.h>

#include "plot.h"

/* Dark violet to yellow, even in lightness, also for the colour blind; linear
 * between the entries. */
Rgb heat_colour(double t)
{
    static const unsigned char ramp[][3] = {
        {68, 1, 84},    {72, 40, 120},  {62, 73, 137},  {49, 104, 142},
        {38, 130, 142}, {31, 158, 137}, {53, 183, 121}, {110, 206, 88},
        {181, 222, 43}, {253, 231, 37},
    };
    int last = LQ_COUNT(ramp) - 1;
    double u = t > 0 ? fmin(t, 1) * last : 0;
    int i = u < last ? (int)u : last - 1;
    unsigned char c[3];
    for (int k = 0; k < 3; k++)
        c[k] = (unsigned char)lround(ramp[i][k] + (u - i) * (ramp[i + 1][k] - ramp[i][k]));
    return (Rgb){c[0], c[1], c[2]};
}

bool figure_has_heat(const Figure *f)
{
    int64_t n;
    return f->heat && f->heat_rows > 0 && f->heat_cols > 0 &&
           lq_mul_ok(f->heat_rows, f->heat_cols, &n);
}

Range heat_range(const Figure *f)
{
    Range r = {0};
    for (int64_t i = 0, n = f->heat_rows * f->heat_cols; i < n; i++)
        range_add(&r, f->heat[i], false);
    return r;
}

Range heat_span(const double at[2], int64_t n)
{
    double first = at[0] != at[1] ? at[0] : 0, last = at[0] != at[1] ? at[1] : (double)n - 1;
    double half = n > 1 ? (last - first) / (double)(n - 1) / 2 : 0.5;
    if (!(isfinite(first - half) && isfinite(last + half) && half > 0)) first = 0, last = (double)n - 1, half = 0.5;
    return (Range){first - half, last + half, true};
}

bool heat_counts(const double at[2], int64_t n)
{
    return at[0] == at[1] || (at[0] == rint(at[0]) && at[1] - at[0] == (double)n - 1);
}

/* The mean over rows [r0, r1) and columns [c0, c1) of what is finite, or NaN. */
double heat_mean(const Figure *f, int64_t r0, int64_t r1, int64_t c0, int64_t c1)
{
    int64_t n = 0;
    for (int64_t r = r0; r < r1; r++)
        for (int64_t c = c0; c < c1; c++)
            n += isfinite(f->heat[r * f->heat_cols + c]) != 0;
    double mean = n ? 0 : NAN;
    for (int64_t r = r0; n && r < r1; r++)
        for (int64_t c = c0; c < c1; c++) {
            double v = f->heat[r * f->heat_cols + c];
            if (isfinite(v))
                mean += v / (double)n; /* the sum itself could overflow */
        }
    return mean;
}
