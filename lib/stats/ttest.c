/* SPDX-License-Identifier: MIT
 * Two-sample t-test: Student 1908 with pooled variance, and Welch 1947. */
#include "stats/stats.h"

/* One sample. All numbers are in the scale of compute_spread(). */
typedef struct sample {
    const double *values;
    int64_t n;
    double min, max;
    dumi_sum mean;  /* high + low: the difference of two means keeps its digits */
    double squares; /* sum of squared deviations from the mean */
} sample;

static dum_status check_sample(const char *name, sample *x)
{
    x->min = x->max = x->values[0];
    for (int64_t i = 0; i < x->n; i++) {
        DUMI_REQUIRE(isfinite(x->values[i]), DUM_ERR_NONFINITE, "%s[%lld] is %s, expected finite", name,
                     (long long)i, isnan(x->values[i]) ? "NaN" : "infinite");
        x->min = fmin(x->min, x->values[i]);
        x->max = fmax(x->max, x->values[i]);
    }
    return DUM_OK;
}

static bool is_constant(const sample *x)
{
    return !(x->min < x->max);
}

/* The mean to twice the precision of a double, so that values around 1e9 lose nothing. */
static void compute_mean(sample *x, int exponent)
{
    dumi_sum sum = {0.0, 0.0};
    x->mean.high = ldexp(x->min, -exponent);
    x->mean.low = 0.0;
    if (is_constant(x))
        return;
    for (int64_t i = 0; i < x->n; i++)
        dumi_sum_add(&sum, ldexp(x->values[i], -exponent));
    const double n = (double)x->n, total = sum.high + sum.low;
    const double rest = (sum.high - total) + sum.low;
    x->mean.high = total / n;
    x->mean.low = (fma(-x->mean.high, n, total) + rest) / n;
}

static double deviation(const sample *x, double value, int exponent)
{
    return (ldexp(value, -exponent) - x->mean.high) - x->mean.low;
}

/* The largest distance of a value from its sample's mean. */
static double reach(const sample *x, int exponent)
{
    if (is_constant(x))
        return 0.0;
    return fmax(fabs(deviation(x, x->min, exponent)), fabs(deviation(x, x->max, exponent)));
}

/* Second pass, with the correction of Chan, Golub & LeVeque 1983 for what the mean is off by. */
static void compute_squares(sample *x, int exponent, int spread)
{
    dumi_sum squares = {0.0, 0.0}, sum = {0.0, 0.0};
    x->squares = 0.0;
    if (is_constant(x))
        return;
    for (int64_t i = 0; i < x->n; i++) {
        const double d = ldexp(deviation(x, x->values[i], exponent), -spread);
        dumi_sum_add(&squares, d * d);
        dumi_sum_add(&sum, d);
    }
    const double off = dumi_sum_value(&sum);
    x->squares = dumi_sum_value(&squares) - off * off / (double)x->n;
}

/* Means and squares. Values are divided by 2^exponent where their sum could overflow, deviations
 * then by 2^spread, which makes the largest about 1: their squares neither overflow nor vanish. */
static void compute_moments(sample *a, sample *b, int *exponent, int *spread)
{
    int bits = 0;
    (void)frexp(fmax(fmax(fabs(a->min), fabs(a->max)), fmax(fabs(b->min), fabs(b->max))), &bits);
    *exponent = bits > 900 ? bits - 900 : 0;
    compute_mean(a, *exponent);
    compute_mean(b, *exponent);
    (void)frexp(fmax(reach(a, *exponent), reach(b, *exponent)), spread);
    compute_squares(a, *exponent, *spread);
    compute_squares(b, *exponent, *spread);
}

/* Square of the standard error of the difference of means, and its degrees of freedom. */
static double squared_error(const sample *a, const sample *b, int32_t kind, double *df)
{
    const double n_a = (double)a->n, n_b = (double)b->n;
    *df = n_a + n_b - 2.0;
    if (kind == DUM_TTEST_POOLED)
        return (a->squares + b->squares) / *df * (1.0 / n_a + 1.0 / n_b);
    const double e_a = a->squares / (n_a - 1.0) / n_a, e_b = b->squares / (n_b - 1.0) / n_b;
    const double sum = e_a + e_b;
    /* Welch & Satterthwaite. Two constant samples have no df of their own: the pooled one, its upper
     * bound, stands in, and t is infinite anyway. */
    if (sum > 0.0)
        *df = sum * sum / (e_a * e_a / (n_a - 1.0) + e_b * e_b / (n_b - 1.0));
    return sum;
}

static dum_status compute(sample *a, sample *b, int32_t kind, dum_ttest_result *result)
{
    int exponent, spread;
    compute_moments(a, b, &exponent, &spread);
    const double high = a->mean.high - b->mean.high;
    const double bb = high - a->mean.high; /* Knuth's two-sum: what rounding took from high */
    const double lost = (a->mean.high - (high - bb)) - (b->mean.high + bb);
    const double difference = high + (lost + (a->mean.low - b->mean.low));
    result->mean_difference = ldexp(difference, exponent);
    const double error = sqrt(squared_error(a, b, kind, &result->df));
    if (!(error > 0.0)) {
        DUMI_REQUIRE(a->min < b->min || a->min > b->min, DUM_ERR_ARGUMENT,
                     "all values of a and b are equal: t has no value; one of them must differ");
        result->t = result->cohens_d = a->min > b->min ? INFINITY : -INFINITY;
        result->log10_p = -INFINITY;
        return DUM_OK;
    }
    const double deviation_pooled = sqrt((a->squares + b->squares) / ((double)a->n + (double)b->n - 2.0));
    result->t = ldexp(difference / error, -spread);
    result->cohens_d = ldexp(difference / deviation_pooled, -spread);
    const double log_p = dumi_student_log_p(result->t, result->df);
    result->p = exp(log_p);
    result->log10_p = log_p * 0.43429448190325182765;
    return DUM_OK;
}

static dum_status check_counts(int64_t n_a, int64_t n_b, int32_t kind)
{
    DUMI_REQUIRE(kind == DUM_TTEST_POOLED || kind == DUM_TTEST_WELCH, DUM_ERR_ARGUMENT,
                 "kind is %d, expected DUM_TTEST_POOLED (%d) or DUM_TTEST_WELCH (%d)", (int)kind,
                 DUM_TTEST_POOLED, DUM_TTEST_WELCH);
    const int64_t least = kind == DUM_TTEST_WELCH ? 2 : 1;
    DUMI_REQUIRE(n_a >= least, DUM_ERR_ARGUMENT, "n_a is %lld, expected at least %lld", (long long)n_a,
                 (long long)least);
    DUMI_REQUIRE(n_b >= least, DUM_ERR_ARGUMENT, "n_b is %lld, expected at least %lld", (long long)n_b,
                 (long long)least);
    DUMI_REQUIRE(n_a > 1 || n_b > 1, DUM_ERR_ARGUMENT,
                 "n_a and n_b are 1: a pooled t-test needs 3 or more values together");
    return DUM_OK;
}

dum_status dum_ttest(const double *a, int64_t n_a, const double *b, int64_t n_b, int32_t kind,
                     dum_ttest_result *out)
{
    dumi_clear_error();
    DUMI_NOT_NULL(a);
    DUMI_NOT_NULL(b);
    DUMI_NOT_NULL(out);
    DUMI_TRY(check_counts(n_a, n_b, kind));
    sample first = {a, n_a, 0.0, 0.0, {0.0, 0.0}, 0.0}, second = {b, n_b, 0.0, 0.0, {0.0, 0.0}, 0.0};
    DUMI_TRY(check_sample("a", &first));
    DUMI_TRY(check_sample("b", &second));
    dum_ttest_result result;
    DUM_INIT(result);
    DUMI_TRY(compute(&first, &second, kind, &result));
    return dumi_write_struct("out", out, &result, sizeof result, sizeof result);
}
