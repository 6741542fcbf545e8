/* SPDX-License-Identifier: MIT
 * Two-sample t-tests (paper, section 4.1): Student 1908, pooled; Welch 1947. */
#include "stats/stats.h"

#include <math.h>

typedef struct {
    double n, shifted, square; /* mean less the first value; sum of squared deviations from the mean */
} sample;

static dum_status check(const char *name, const double *values, int64_t n)
{
    DUMI_REQUIRE(n >= 1, DUM_ERR_ARGUMENT, "n_%s is %lld, expected 1 or more", name, (long long)n);
    DUMI_REQUIRE(values != NULL, DUM_ERR_ARGUMENT, "%s is NULL", name);
    for (int64_t i = 0; i < n; i++)
        DUMI_REQUIRE(isfinite(values[i]), DUM_ERR_NONFINITE, "%s[%lld] is %g, expected a finite number", name,
                     (long long)i, values[i]);
    return DUM_OK;
}

/* Two passes; the first value is taken off, and the sums are compensated (Neumaier), so that a large common
 * offset costs nothing. */
static sample summarise(const double *values, int64_t n)
{
    sample s = {.n = (double)n};
    double sum = 0, rest = 0;
    for (int64_t i = 0; i < n; i++) {
        const double value = values[i] - values[0], total = sum + value;
        rest += fabs(sum) >= fabs(value) ? (sum - total) + value : (value - total) + sum;
        sum = total;
    }
    s.shifted = (sum + rest) / s.n;
    double deviations = 0;
    for (int64_t i = 0; i < n; i++) {
        const double deviation = (values[i] - values[0]) - s.shifted;
        s.square += deviation * deviation;
        deviations += deviation;
    }
    s.square -= deviations * deviations / s.n;
    return s;
}

/* mean(a) - mean(b), exact where the two first values cancel. */
static double difference_of_means(const double *a, const sample *s_a, const double *b, const sample *s_b)
{
    return (a[0] - b[0]) + (s_a->shifted - s_b->shifted);
}

static void pooled(const sample *a, const sample *b, double *variance, double *df)
{
    *df = a->n + b->n - 2;
    *variance = (a->square + b->square) / *df * (1 / a->n + 1 / b->n);
}

static void welch(const sample *a, const sample *b, double *variance, double *df)
{
    const double v_a = a->square / (a->n - 1) / a->n, v_b = b->square / (b->n - 1) / b->n;
    *variance = v_a + v_b;
    *df = *variance * *variance / (v_a * v_a / (a->n - 1) + v_b * v_b / (b->n - 1));
}

static dum_status test(const double *a, const sample *s_a, const double *b, const sample *s_b, int32_t kind,
                       dum_ttest_result *r)
{
    double variance;
    if (kind == DUM_TTEST_WELCH)
        welch(s_a, s_b, &variance, &r->df);
    else
        pooled(s_a, s_b, &variance, &r->df);
    r->mean_difference = difference_of_means(a, s_a, b, s_b);
    if (variance > 0) {
        double log_tail;
        r->t = r->mean_difference / sqrt(variance);
        r->p = dumi_student_tail(r->t, r->df, &log_tail);
        r->log10_p = log_tail / 2.302585092994046;
        r->cohens_d = r->mean_difference / sqrt((s_a->square + s_b->square) / (s_a->n + s_b->n - 2));
        return DUM_OK;
    }
    DUMI_REQUIRE(r->mean_difference != 0, DUM_ERR_ARGUMENT, "a and b are constant and equal: t has no meaning");
    r->t = r->cohens_d = copysign(INFINITY, r->mean_difference);
    r->df = s_a->n + s_b->n - 2;
    r->p = 0;
    r->log10_p = -INFINITY;
    return DUM_OK;
}

dum_status dum_ttest(const double *a, int64_t n_a, const double *b, int64_t n_b, int32_t kind,
                     dum_ttest_result *out)
{
    dumi_clear_error();
    DUMI_NOT_NULL(out);
    DUMI_REQUIRE(kind == DUM_TTEST_POOLED || kind == DUM_TTEST_WELCH, DUM_ERR_ARGUMENT,
                 "kind is %d, expected DUM_TTEST_POOLED or DUM_TTEST_WELCH", kind);
    DUMI_TRY(check("a", a, n_a));
    DUMI_TRY(check("b", b, n_b));
    DUMI_REQUIRE(kind == DUM_TTEST_WELCH || n_a + n_b >= 3, DUM_ERR_ARGUMENT,
                 "n_a + n_b is %lld, a pooled test needs 3 or more", (long long)(n_a + n_b));
    DUMI_REQUIRE(kind == DUM_TTEST_POOLED || (n_a >= 2 && n_b >= 2), DUM_ERR_ARGUMENT,
                 "n_a is %lld and n_b is %lld, Welch's test needs 2 or more of each", (long long)n_a,
                 (long long)n_b);
    const sample s_a = summarise(a, n_a), s_b = summarise(b, n_b);
    dum_ttest_result result = {.struct_size = sizeof result};
    DUMI_TRY(test(a, &s_a, b, &s_b, kind, &result));
    return dumi_write_struct("out", out, &result, sizeof result, sizeof result);
}
