/* SPDX-License-Identifier: MIT
 * Tails of the normal and of Student's t distribution, in logs. */
#include "stats/stats.h"

#include <math.h>

/* Acklam's rational start (relative error 1e-9), then one step of Halley's method on erfc. */
double dumi_normal_quantile(double p)
{
    static const double a[] = {-3.969683028665376e+01, 2.209460984245205e+02,  -2.759285104469687e+02,
                               1.383577518672690e+02,  -3.066479806614716e+01, 2.506628277459239e+00};
    static const double b[] = {-5.447609879822406e+01, 1.615858368580409e+02, -1.556989798598866e+02,
                               6.680131188771972e+01, -1.328068155288572e+01};
    static const double c[] = {-7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e+00,
                               -2.549732539343734e+00, 4.374664141464968e+00,  2.938163982698783e+00};
    static const double d[] = {7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00,
                               3.754408661907416e+00};
    const double tail = fmin(p, 1 - p);
    double x;
    if (tail < 0.02425) {
        const double q = sqrt(-2 * log(tail));
        x = (((((c[0] * q + c[1]) * q + c[2]) * q + c[3]) * q + c[4]) * q + c[5]) /
            ((((d[0] * q + d[1]) * q + d[2]) * q + d[3]) * q + 1);
    } else {
        const double q = tail - 0.5, r = q * q;
        x = (((((a[0] * r + a[1]) * r + a[2]) * r + a[3]) * r + a[4]) * r + a[5]) * q /
            (((((b[0] * r + b[1]) * r + b[2]) * r + b[3]) * r + b[4]) * r + 1);
    }
    const double error = 0.5 * erfc(-x / sqrt(2.0)) - tail;
    const double step = error * sqrt(2 * 3.141592653589793) * exp(x * x / 2);
    x -= step / (1 + x * step / 2);
    return p < 0.5 ? x : -x;
}

/* What Stirling's formula leaves of log gamma(x): a series for x >= 10. */
static double stirling_rest(double x)
{
    static const double terms[] = {1.0 / 12,   -1.0 / 360,      1.0 / 1260, -1.0 / 1680,
                                   1.0 / 1188, -691.0 / 360360, 1.0 / 156,  -3617.0 / 122400};
    const double inverse = 1 / x, square = inverse * inverse;
    double sum = 0;
    for (int i = 7; i >= 0; i--)
        sum = sum * square + terms[i];
    return sum * inverse;
}

/* log(gamma(x + 1/2) / gamma(x)), without the cancellation of two large logs. */
static double log_half_ratio(double x)
{
    double shift = 0;
    for (; x < 10; x += 1)
        shift += log1p(
            -0.5 / (x + 0.5)); /* gamma(x + 1/2) / gamma(x) = (x / (x + 1/2)) gamma(x + 3/2) / gamma(x + 1) */
    /* Stirling: x log1p(1 / 2x) - 1/2 + log(x) / 2 + the difference of the rests. */
    return shift + x * log1p(0.5 / x) - 0.5 + 0.5 * log(x) + stirling_rest(x + 0.5) - stirling_rest(x);
}

/* Continued fraction of the incomplete beta function, Lentz's method (Numerical Recipes, 6.4). Converges
 * fast for x < (a + 1) / (a + b + 2). */
static double beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < tiny ? tiny : d);
    double h = d;
    for (int32_t m = 1; m < 100000; m++) {
        const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        d = 1 + even * d;
        c = 1 + even / c;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = fabs(c) < tiny ? tiny : c;
        h *= d * c;
        const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 + odd * d;
        c = 1 + odd / c;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = fabs(c) < tiny ? tiny : c;
        h *= d * c;
        if (fabs(d * c - 1) < 1e-16)
            break;
    }
    return h;
}

/* P(|T| > t) = I_x(df / 2, 1 / 2) with x = df / (df + t^2). */
double dumi_student_tail(double t, double df, double *log_tail)
{
    const double a = df / 2, square = t * t / df;
    if (square == 0) {
        *log_tail = 0;
        return 1;
    }
    /* log x and log(1 - x) from t^2 / df, exact at both ends */
    const double log_x = -log1p(square), log_y = isinf(square) ? 0 : -log1p(1 / square);
    const double log_front = a * (isinf(square) ? -2 * log(fabs(t)) + log(df) : log_x) + 0.5 * log_y +
                             log_half_ratio(a) - 0.5 * log(3.141592653589793);
    const double x = 1 / (1 + square), y = isinf(square) ? 1 : square / (1 + square);
    if (x < (a + 1) / (a + 2.5)) {
        *log_tail = log_front + log(beta_fraction(a, 0.5, x) / a);
        return exp(*log_tail);
    }
    const double middle = exp(log_front) * beta_fraction(0.5, a, y) / 0.5;
    *log_tail = log1p(-middle);
    return 1 - middle;
}
