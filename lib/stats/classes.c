/* SPDX-License-Identifier: MIT
 * Statistics of two classes of scores, on each class sorted: AUROC, average precision, FPR at 95 % TPR. */
#include "stats/stats.h"

#include <math.h>
#include <stdlib.h>

dum_status dumi_classes_create(const double *scores, const uint8_t *labels, int64_t n, dumi_classes *out)
{
    DUMI_NOT_NULL(scores);
    DUMI_NOT_NULL(labels);
    DUMI_REQUIRE(n >= 1, DUM_ERR_ARGUMENT, "n is %lld, expected 1 or more", (long long)n);
    memset(out, 0, sizeof *out);
    for (int64_t i = 0; i < n; i++) {
        DUMI_REQUIRE(!isnan(scores[i]), DUM_ERR_NONFINITE, "scores[%lld] is NaN", (long long)i);
        DUMI_REQUIRE(labels[i] <= 1, DUM_ERR_ARGUMENT, "labels[%lld] is %d, expected 0 or 1", (long long)i,
                     labels[i]);
        out->positives += labels[i];
    }
    out->negatives = n - out->positives;
    DUMI_REQUIRE((uint64_t)n <= SIZE_MAX / sizeof *out->all, DUM_ERR_NOMEM, "n is %lld: too many",
                 (long long)n);
    out->all = malloc((size_t)n * sizeof *out->all);
    DUMI_REQUIRE(out->all != NULL, DUM_ERR_NOMEM, "allocation for %lld scores failed", (long long)n);
    out->positive = out->all;
    out->negative = out->all + out->positives;
    int64_t positive = 0, negative = 0;
    for (int64_t i = 0; i < n; i++) {
        if (labels[i] == 1)
            out->positive[positive++] = scores[i];
        else
            out->negative[negative++] = scores[i];
    }
    dumi_sort_double(out->positive, out->positives);
    dumi_sort_double(out->negative, out->negatives);
    return DUM_OK;
}

void dumi_classes_destroy(dumi_classes *classes)
{
    free(classes->all);
}

/* For x ascending, how many of `sorted` are less than x, and at most x, from where the search for the
 * x before ended. */
static void advance(const double *sorted, int64_t count, double x, int64_t *less, int64_t *most)
{
    while (*less < count && sorted[*less] < x)
        ++*less;
    if (*most < *less)
        *most = *less;
    while (*most < count && sorted[*most] <= x)
        ++*most;
}

double dumi_auroc_of(const dumi_classes *c)
{
    /* Twice U, in whole numbers as long as they are exact in a double. */
    double twice = 0;
    int64_t less = 0, most = 0;
    for (int64_t i = 0; i < c->positives; i++) {
        advance(c->negative, c->negatives, c->positive[i], &less, &most);
        twice += (double)(less + most);
    }
    return twice / 2 / (double)c->positives / (double)c->negatives;
}

/* DeLong, DeLong & Clarke-Pearson 1988 by mid-ranks (Sun & Xu 2014): the variance of each class's
 * placements among the other. */
static double placement_variance(const double *own, int64_t count, const double *other, int64_t others)
{
    double mean = 0, square = 0;
    int64_t less = 0, most = 0;
    for (int64_t i = 0; i < count; i++) {
        advance(other, others, own[i], &less, &most);
        const double placement = (double)(less + most) / 2 / (double)others;
        const double difference = placement - mean;
        mean += difference / (double)(i + 1);
        square += difference * (placement - mean);
    }
    return square / (double)(count - 1);
}

double dumi_auroc_variance(const dumi_classes *c)
{
    return placement_variance(c->positive, c->positives, c->negative, c->negatives) / (double)c->positives +
           placement_variance(c->negative, c->negatives, c->positive, c->positives) / (double)c->negatives;
}

/* Walks the thresholds from the highest score down: *i and *j become how many positives and negatives have
 * that score or more. False at the end. */
static bool next_threshold(const dumi_classes *c, int64_t *i, int64_t *j)
{
    if (*i == c->positives && *j == c->negatives)
        return false;
    double threshold = -INFINITY;
    if (*i < c->positives)
        threshold = c->positive[c->positives - 1 - *i];
    if (*j < c->negatives)
        threshold = fmax(threshold, c->negative[c->negatives - 1 - *j]);
    while (*i < c->positives && c->positive[c->positives - 1 - *i] >= threshold)
        ++*i;
    while (*j < c->negatives && c->negative[c->negatives - 1 - *j] >= threshold)
        ++*j;
    return true;
}

double dumi_average_precision_of(const dumi_classes *c)
{
    double sum = 0;
    int64_t i = 0, j = 0, before = 0;
    while (next_threshold(c, &i, &j)) {
        sum += (double)(i - before) / (double)c->positives * ((double)i / (double)(i + j));
        before = i;
    }
    return sum;
}

double dumi_fpr95_of(const dumi_classes *c)
{
    int64_t i = 0, j = 0;
    while (next_threshold(c, &i, &j))
        if ((double)i / (double)c->positives >= 0.95)
            break;
    return (double)j / (double)c->negatives;
}

static void resample(const double *from, int64_t count, dumi_rng *rng, double *to)
{
    for (int64_t i = 0; i < count; i++)
        to[i] = from[dumi_rng_below(rng, (uint64_t)count)];
    dumi_sort_double(to, count);
}

/* Linear between order statistics, as numpy.quantile. */
static double quantile(const double *sorted, int64_t count, double p)
{
    const double at = p * (double)(count - 1);
    const int64_t low = (int64_t)at;
    const int64_t high = low + 1 < count ? low + 1 : low;
    return sorted[low] + (at - (double)low) * (sorted[high] - sorted[low]);
}

dum_status dumi_bootstrap(const dumi_classes *classes, double (*statistic)(const dumi_classes *classes),
                          const dum_interval_options *options, dum_estimate *estimate)
{
    const int64_t n = classes->positives + classes->negatives;
    const int32_t resamples = options->resamples > 0 ? options->resamples : 1000;
    double *values = malloc(((size_t)n + (size_t)resamples) * sizeof *values);
    DUMI_REQUIRE(values != NULL, DUM_ERR_NOMEM, "allocation for the bootstrap failed");
    dumi_classes drawn = *classes;
    drawn.all = drawn.positive = values + resamples;
    drawn.negative = drawn.positive + classes->positives;
    for (int32_t b = 0; b < resamples; b++) {
        dumi_rng rng;
        dumi_rng_init(&rng, options->seed, DUMI_RNG_BOOTSTRAP, (uint32_t)b);
        resample(classes->positive, classes->positives, &rng, drawn.positive);
        resample(classes->negative, classes->negatives, &rng, drawn.negative);
        values[b] = statistic(&drawn);
    }
    dumi_sort_double(values, resamples);
    const double confidence = options->confidence > 0 ? options->confidence : 0.95;
    estimate->low = quantile(values, resamples, (1 - confidence) / 2);
    estimate->high = quantile(values, resamples, (1 + confidence) / 2);
    free(values);
    return DUM_OK;
}
