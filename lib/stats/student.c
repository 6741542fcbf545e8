/* SPDX-License-Identifier: MIT
 * Tails of Student's t, as exact far out as in the middle, for any number of degrees of freedom.
 *
 * The textbook way is the incomplete beta function by a continued fraction, which needs some
 * sqrt(df) steps and a difference of log-gammas as large as df log df. Neither is done here: with
 * s = sqrt(df) sinh(w) the density is a power of 1 / cosh(w), and where w = asinh(t / sqrt(df)) is
 * the start of the tail,
 *
 *   p = 2 / sqrt(pi) R(df / 2) (1 + t^2 / df)^(-df / 2) J,    R(a) = Gamma(a + 1/2) / Gamma(a),
 *   J = integral from 0 to infinity of (cosh(x) + T sinh(x))^(-df) dx,    T = tanh(w).
 *
 * J has a positive, smooth integrand that starts at 1, for df = 1 as for df = 1e18. */
#include "stats/stats.h"

/* R(a) = Gamma(a + 1/2) / Gamma(a), without a log-gamma. From Stirling's series (DLMF 5.11.8) the
 * logarithm of R(a) / sqrt(a) is -sum of (1 - 4^-k) B_2k / (k (2k - 1) a^(2k - 1)); the powers of
 * log a have cancelled on paper. Below 16 the recurrence R(a) = R(a + 1) a / (a + 1/2) goes first. */
static double gamma_ratio(double a)
{
    static const double series[] = {-1.0 / 8.0,     1.0 / 192.0,     -1.0 / 640.0,
                                    17.0 / 14336.0, -31.0 / 18432.0, 691.0 / 180224.0};
    double factor = 1.0;
    while (a < 16.0) {
        factor *= a / (a + 0.5);
        a += 1.0;
    }
    const double inverse = 1.0 / a, square = inverse * inverse;
    double sum = 0.0;
    for (int k = 5; k >= 0; k--)
        sum = sum * square + series[k];
    return factor * sqrt(a) * exp(sum * inverse);
}

/* J by the double exponential rule (Takahasi & Mori 1974) in the form for half-infinite integrals of
 * what decays exponentially: x = scale exp(u - exp(-u)), trapezia of equal width in u. The scale is
 * where the logarithm of the integrand, -df (T x + x^2 / 2 + ...), passes -1. */
static double tail_integral(double slope, double df)
{
    const double rate = df * slope;
    const double scale = 2.0 / (rate + sqrt(rate * rate + 2.0 * df));
    const double step = 1.0 / 16.0;
    dumi_sum sum = {0.0, 0.0};
    for (int i = -66; i <= 74; i++) {
        const double u = step * i, shrink = exp(-u);
        const double x = scale * exp(u - shrink), half = sinh(0.5 * x);
        const double decay = df * log1p(2.0 * half * half + slope * sinh(x));
        dumi_sum_add(&sum, exp(-decay) * x * (1.0 + shrink));
    }
    return step * dumi_sum_value(&sum);
}

/* log(1 + t^2 / df), also where t^2 is no longer a double. */
static double log_growth(double t, double df)
{
    return t < 1e100 ? log1p(t * t / df) : 2.0 * log(t) - log(df) + log1p(df / t / t);
}

/* 1 - p for small t: 2 / sqrt(pi) R(df / 2) t / sqrt(df) (1 + t^2 / df)^(-(df + 1) / 2) times
 * 2F1(1, (df + 1) / 2; 3/2; t^2 / (df + t^2)) (DLMF 15.8.1), whose terms are all positive and for
 * t <= 1 shrink at least by half. */
static double middle(double t, double df)
{
    const double y = t * t / (df + t * t);
    double term = 1.0, sum = 1.0;
    for (int k = 0; k < 200 && term > 1e-18 * sum; k++) {
        term *= (0.5 * (df + 1.0) + k) / (1.5 + k) * y;
        sum += term;
    }
    return gamma_ratio(0.5 * df) / sqrt(df) * t * exp(-0.5 * (df + 1.0) * log_growth(t, df)) * sum;
}

double dumi_student_log_p(double t, double df)
{
    const double two_by_root_pi = 1.12837916709551257390;
    const double size = fabs(t);
    if (isinf(size))
        return -INFINITY;
    /* Where p is near 1, its logarithm is as good as the digits of 1 - p. */
    if (size < 1.0)
        return log1p(-two_by_root_pi * middle(size, df));
    const double slope = size / hypot(size, sqrt(df));
    return log(two_by_root_pi * gamma_ratio(0.5 * df) * tail_integral(slope, df)) -
           0.5 * df * log_growth(size, df);
}
