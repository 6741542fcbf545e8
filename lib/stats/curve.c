/* SPDX-License-Identifier: MIT
 * Statistics of scores and labels: AUROC, average precision, false-positive rate. */
#include "stats/stats.h"

#include <stdlib.h>

/* Mann-Whitney U / (n1 n0): every pair that is ordered right counts 1, every tie 1/2. */
static double auroc(const dumi_ranking *ranking)
{
    dumi_sum pairs = {0.0, 0.0};
    int64_t below = ranking->negatives;
    for (int64_t g = 0; g < ranking->count; g++) {
        const dumi_group group = ranking->groups[g];
        below -= group.negative;
        if (group.positive > 0)
            dumi_sum_add(&pairs, (double)group.positive * ((double)below + 0.5 * (double)group.negative));
    }
    return dumi_sum_value(&pairs) / ((double)ranking->positives * (double)ranking->negatives);
}

static double average_precision(const dumi_ranking *ranking)
{
    dumi_sum sum = {0.0, 0.0};
    int64_t positive = 0, all = 0;
    for (int64_t g = 0; g < ranking->count; g++) {
        const dumi_group group = ranking->groups[g];
        positive += group.positive;
        all += group.positive + group.negative;
        if (group.positive > 0)
            dumi_sum_add(&sum, (double)group.positive * ((double)positive / (double)all));
    }
    return dumi_sum_value(&sum) / (double)ranking->positives;
}

static double fpr95(const dumi_ranking *ranking)
{
    int64_t positive = 0, negative = 0;
    for (int64_t g = 0; g < ranking->count; g++) {
        positive += ranking->groups[g].positive;
        negative += ranking->groups[g].negative;
        /* In whole numbers: 0.95 is no double. */
        if (20 * positive >= 19 * ranking->positives)
            break;
    }
    return (double)negative / (double)ranking->negatives;
}

/* What the three public functions differ in. */
typedef struct metric_info {
    const char *name;
    dumi_metric_fn compute;
    int32_t default_method;
    int64_t min_rows;
    bool needs_negatives;
} metric_info;

static dum_status check_classes(const metric_info *metric, const dumi_ranking *ranking)
{
    DUMI_REQUIRE(ranking->positives > 0, DUM_ERR_ARGUMENT, "labels has no 1: %s needs a positive row",
                 metric->name);
    DUMI_REQUIRE(ranking->negatives > 0 || !metric->needs_negatives, DUM_ERR_ARGUMENT,
                 "labels has no 0: %s needs a negative row", metric->name);
    return DUM_OK;
}

static dum_status estimate(const metric_info *metric, const dumi_ranking *ranking,
                           const dum_interval_options *options, dum_estimate *out)
{
    DUMI_TRY(check_classes(metric, ranking));
    out->value = metric->compute(ranking);
    out->low = out->high = out->value;
    if (options->method == DUM_INTERVAL_DELONG)
        dumi_interval_delong(ranking, options->confidence, out);
    else if (options->method == DUM_INTERVAL_BOOTSTRAP)
        return dumi_interval_bootstrap(ranking, metric->compute, options, out);
    return DUM_OK;
}

static dum_status measure(const metric_info *metric, const double *scores, const uint8_t *labels, int64_t n,
                          const dum_interval_options *options, dum_estimate *out)
{
    DUMI_NOT_NULL(scores);
    DUMI_NOT_NULL(labels);
    DUMI_NOT_NULL(out);
    DUMI_REQUIRE(n >= metric->min_rows, DUM_ERR_ARGUMENT, "n is %lld: %s needs %lld or more rows", (long long)n,
                 metric->name, (long long)metric->min_rows);
    dum_interval_options ours;
    DUMI_TRY(dumi_interval_read(options, metric->default_method, metric->name, &ours));
    dumi_ranking ranking;
    DUMI_TRY(dumi_ranking_create(scores, labels, n, &ranking));
    dum_estimate result = {sizeof result, 0.0, 0.0, 0.0};
    const dum_status status = estimate(metric, &ranking, &ours, &result);
    free(ranking.groups);
    DUMI_TRY(status);
    return dumi_write_struct("out", out, &result, sizeof result, sizeof result);
}

dum_status dum_auroc(const double *scores, const uint8_t *labels, int64_t n,
                     const dum_interval_options *options, dum_estimate *out)
{
    static const metric_info metric = {"AUROC", auroc, DUM_INTERVAL_DELONG, 2, true};
    dumi_clear_error();
    return measure(&metric, scores, labels, n, options, out);
}

dum_status dum_average_precision(const double *scores, const uint8_t *labels, int64_t n,
                                 const dum_interval_options *options, dum_estimate *out)
{
    static const metric_info metric = {"average precision", average_precision, DUM_INTERVAL_BOOTSTRAP, 1,
                                       false};
    dumi_clear_error();
    return measure(&metric, scores, labels, n, options, out);
}

dum_status dum_fpr95(const double *scores, const uint8_t *labels, int64_t n,
                     const dum_interval_options *options, dum_estimate *out)
{
    static const metric_info metric = {"FPR at 95% TPR", fpr95, DUM_INTERVAL_BOOTSTRAP, 2, true};
    dumi_clear_error();
    return measure(&metric, scores, labels, n, options, out);
}
