/* SPDX-License-Identifier: MIT
 * Confidence intervals: DeLong for the AUROC, percentile bootstrap for anything. */
#include "stats/stats.h"

#include <float.h>
#include <stdlib.h>

enum { DEFAULT_RESAMPLES = 1000, MAX_RESAMPLES = 1000000 };

static dum_status check_confidence(double confidence)
{
    DUMI_REQUIRE(confidence > 0.0 && confidence < 1.0, DUM_ERR_ARGUMENT,
                 "options.confidence is %s, expected more than 0 and less than 1, or 0 for 0.95",
                 dumi_show(confidence).text);
    return DUM_OK;
}

dum_status dumi_interval_read(const dum_interval_options *theirs, int32_t default_method, const char *metric,
                              dum_interval_options *options)
{
    DUMI_TRY(dumi_read_struct("options", options, sizeof *options, sizeof *options, theirs));
    if (fpclassify(options->confidence) == FP_ZERO)
        options->confidence = 0.95;
    DUMI_TRY(check_confidence(options->confidence));
    DUMI_REQUIRE(options->method >= DUM_INTERVAL_DEFAULT && options->method <= DUM_INTERVAL_BOOTSTRAP,
                 DUM_ERR_ARGUMENT, "options.method is %d, expected one of DUM_INTERVAL_* (%d to %d)",
                 (int)options->method, DUM_INTERVAL_DEFAULT, DUM_INTERVAL_BOOTSTRAP);
    DUMI_REQUIRE(options->method != DUM_INTERVAL_DELONG || default_method == DUM_INTERVAL_DELONG,
                 DUM_ERR_ARGUMENT, "options.method is %d (DeLong), which %s does not have: use bootstrap (%d)",
                 DUM_INTERVAL_DELONG, metric, DUM_INTERVAL_BOOTSTRAP);
    DUMI_REQUIRE(options->resamples >= 0 && options->resamples <= MAX_RESAMPLES, DUM_ERR_ARGUMENT,
                 "options.resamples is %d, expected 0 (default, %d) to %d", (int)options->resamples,
                 DEFAULT_RESAMPLES, MAX_RESAMPLES);
    if (options->method == DUM_INTERVAL_DEFAULT)
        options->method = default_method;
    if (options->resamples == 0)
        options->resamples = DEFAULT_RESAMPLES;
    return DUM_OK;
}

/* The z > 0 with P(|Z| < z) = confidence. Newton's method from 0: erf is concave there, so each step
 * stops short of the root and none goes astray. The tail is used where it has more digits. */
static double two_sided_z(double confidence)
{
    const double half_root_pi = 0.88622692545275801365;
    double x = 0.0;
    for (int i = 0; i < 100; i++) {
        const double missing = confidence < 0.5 ? confidence - erf(x) : erfc(x) - (1.0 - confidence);
        const double step = half_root_pi * exp(x * x) * missing;
        x += step;
        if (!(step > DBL_EPSILON * x))
            break;
    }
    return x * 1.41421356237309504880;
}

/* Variance of the AUROC: DeLong, DeLong & Clarke-Pearson 1988, equation 4. A row's placement value is
 * the share of the other class that it beats. Sun & Xu 2014 get these from mid-ranks in O(n log n):
 * over all rows less within the class; groups in order give that difference directly. */
static double delong_variance(const dumi_ranking *ranking, double auroc)
{
    const double n1 = (double)ranking->positives, n0 = (double)ranking->negatives;
    dumi_sum s10 = {0.0, 0.0}, s01 = {0.0, 0.0};
    int64_t above = 0, below = ranking->negatives;
    for (int64_t g = 0; g < ranking->count; g++) {
        const double positive = (double)ranking->groups[g].positive;
        const double negative = (double)ranking->groups[g].negative;
        below -= ranking->groups[g].negative;
        const double v10 = ((double)below + 0.5 * negative) / n0 - auroc;
        const double v01 = ((double)above + 0.5 * positive) / n1 - auroc;
        dumi_sum_add(&s10, positive * v10 * v10);
        dumi_sum_add(&s01, negative * v01 * v01);
        above += ranking->groups[g].positive;
    }
    return dumi_sum_value(&s10) / ((n1 - 1.0) * n1) + dumi_sum_value(&s01) / ((n0 - 1.0) * n0);
}

/* One member tells nothing of how its class varies: the variance is undefined, and the honest interval
 * is all of [0, 1]. Perfectly separated classes have variance 0: the interval is a point, as DeLong's
 * method has it; a bootstrap shares that. */
void dumi_interval_delong(const dumi_ranking *ranking, double confidence, dum_estimate *estimate)
{
    estimate->low = 0.0;
    estimate->high = 1.0;
    if (ranking->positives < 2 || ranking->negatives < 2)
        return;
    const double reach = two_sided_z(confidence) * sqrt(delong_variance(ranking, estimate->value));
    estimate->low = fmax(0.0, estimate->value - reach);
    estimate->high = fmin(1.0, estimate->value + reach);
}

/* Of n >= 1 ascending values, linear between order statistics (type 7 of Hyndman & Fan 1996, numpy's
 * default). */
static double quantile(const double *values, int64_t n, double probability)
{
    const double position = probability * (double)(n - 1);
    const int64_t index = (int64_t)position;
    if (index >= n - 1)
        return values[n - 1];
    return values[index] + (position - (double)index) * (values[index + 1] - values[index]);
}

/* For each member of either class, positives first, the group that it is in. */
static int64_t *list_members(const dumi_ranking *ranking)
{
    int64_t *const members = dumi_stats_alloc(ranking->positives + ranking->negatives, sizeof *members);
    if (members == NULL)
        return NULL;
    int64_t *positive = members, *negative = members + ranking->positives;
    for (int64_t g = 0; g < ranking->count; g++) {
        for (int64_t i = 0; i < ranking->groups[g].positive; i++)
            *positive++ = g;
        for (int64_t i = 0; i < ranking->groups[g].negative; i++)
            *negative++ = g;
    }
    return members;
}

/* As many rows of each class as there were, drawn with replacement: only the groups' counts matter,
 * so nothing is sorted again. */
static void resample(const dumi_ranking *ranking, const int64_t *members, dumi_rng *rng, dumi_ranking *drawn)
{
    const uint64_t positives = (uint64_t)ranking->positives, negatives = (uint64_t)ranking->negatives;
    memset(drawn->groups, 0, (size_t)drawn->count * sizeof *drawn->groups);
    for (uint64_t i = 0; i < positives; i++)
        drawn->groups[members[dumi_rng_below(rng, positives)]].positive++;
    for (uint64_t i = 0; i < negatives; i++)
        drawn->groups[members[positives + dumi_rng_below(rng, negatives)]].negative++;
}

/* Percentile interval: Efron & Tibshirani 1993, chapter 13. Every resample has a random stream of its
 * own, so the first of them are the same however many are asked for. */
dum_status dumi_interval_bootstrap(const dumi_ranking *ranking, dumi_metric_fn metric,
                                   const dum_interval_options *options, dum_estimate *estimate)
{
    const int64_t resamples = options->resamples;
    dum_status status = DUM_ERR_NOMEM;
    dumi_ranking drawn = *ranking;
    int64_t *const members = list_members(ranking);
    double *const values = dumi_stats_alloc(resamples, sizeof *values);
    drawn.groups = dumi_stats_alloc(ranking->count, sizeof *drawn.groups);
    if (members == NULL || values == NULL || drawn.groups == NULL)
        goto done;
    for (int64_t r = 0; r < resamples; r++) {
        dumi_rng rng;
        dumi_rng_init(&rng, options->seed, DUMI_RNG_BOOTSTRAP, (uint32_t)r);
        resample(ranking, members, &rng, &drawn);
        values[r] = metric(&drawn);
    }
    dumi_sort_double(values, resamples);
    estimate->low = quantile(values, resamples, 0.5 * (1.0 - options->confidence));
    estimate->high = quantile(values, resamples, 0.5 * (1.0 + options->confidence));
    status = DUM_OK;
done:
    free(drawn.groups);
    free(values);
    free(members);
    return status;
}
