/* SPDX-License-Identifier: MIT
 * What the files of the statistics room share. Nothing here needs a context: memory is malloc's. */
#ifndef DUMI_STATS_H
#define DUMI_STATS_H

#include "core/core.h"

#include <math.h>

/* ---- Sums: Neumaier 1974, so that n terms cost one or two roundings instead of n ---------- */

typedef struct dumi_sum {
    double high, low;
} dumi_sum;

static inline void dumi_sum_add(dumi_sum *sum, double value)
{
    const double total = sum->high + value;
    if (fabs(sum->high) >= fabs(value))
        sum->low += (sum->high - total) + value;
    else
        sum->low += (value - total) + sum->high;
    sum->high = total;
}

static inline double dumi_sum_value(const dumi_sum *sum)
{
    return sum->high + sum->low;
}

/* malloc of count x size bytes, at least one; NULL with NOMEM recorded, also where the product is beyond
 * what an object can have. */
void *dumi_stats_alloc(int64_t count, size_t size);

/* ---- Rankings ----------------------------------------------------------------------------- */

/* All rows with one and the same score. */
typedef struct dumi_group {
    int64_t positive, negative;
} dumi_group;

/* All that the curves depend on: the groups, from the highest score to the lowest. */
typedef struct dumi_ranking {
    dumi_group *groups;
    int64_t count;
    int64_t positives, negatives;
} dumi_ranking;

/* Validates and sorts; the caller frees ranking->groups (NULL after an error). */
dum_status dumi_ranking_create(const double *scores, const uint8_t *labels, int64_t n, dumi_ranking *ranking);

/* A statistic of a ranking. */
typedef double (*dumi_metric_fn)(const dumi_ranking *ranking);

/* ---- Intervals ---------------------------------------------------------------------------- */

/* Reads the caller's options, puts in the defaults and checks them. */
dum_status dumi_interval_read(const dum_interval_options *theirs, int32_t default_method, const char *metric,
                              dum_interval_options *options);

/* Sets low and high of the AUROC estimate->value. */
void dumi_interval_delong(const dumi_ranking *ranking, double confidence, dum_estimate *estimate);

/* Sets low and high of estimate. */
dum_status dumi_interval_bootstrap(const dumi_ranking *ranking, dumi_metric_fn metric,
                                   const dum_interval_options *options, dum_estimate *estimate);

/* ---- Student's t -------------------------------------------------------------------------- */

/* Natural logarithm of the two-sided p-value of t with df >= 1 degrees of freedom. */
double dumi_student_log_p(double t, double df);

#endif
