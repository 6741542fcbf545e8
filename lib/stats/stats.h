/* SPDX-License-Identifier: MIT */
#ifndef DUMI_STATS_H
#define DUMI_STATS_H

#include "core/core.h"

/* Scores of the two classes, each ascending; `all` points at the memory of both. */
typedef struct {
    double *all, *positive, *negative;
    int64_t positives, negatives;
} dumi_classes;

/* Checks scores and labels, and parts them. Memory is malloc's: statistics have no context. */
dum_status dumi_classes_create(const double *scores, const uint8_t *labels, int64_t n, dumi_classes *out);
void dumi_classes_destroy(dumi_classes *classes);

/* The point estimates, on sorted classes. */
double dumi_auroc_of(const dumi_classes *classes);
double dumi_average_precision_of(const dumi_classes *classes);
double dumi_fpr95_of(const dumi_classes *classes);
/* Variance of the AUROC: DeLong. Both classes have 2 rows or more. */
double dumi_auroc_variance(const dumi_classes *classes);

/* Percentile interval of `statistic` over stratified resamples. */
dum_status dumi_bootstrap(const dumi_classes *classes, double (*statistic)(const dumi_classes *classes),
                          const dum_interval_options *options, dum_estimate *estimate);

/* Quantile function of the standard normal distribution. */
double dumi_normal_quantile(double p);
/* log of the two-sided tail of Student's t with df degrees of freedom, and the tail itself. */
double dumi_student_tail(double t, double df, double *log_tail);

#endif
