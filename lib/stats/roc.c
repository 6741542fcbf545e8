/* SPDX-License-Identifier: MIT
 * The public calls on scores and labels. */
#include "stats/stats.h"

#include <math.h>

typedef struct {
    double (*statistic)(const dumi_classes *classes);
    bool negatives_needed, delong;
} measure;

static dum_status read_options(const dum_interval_options *options, bool delong, dum_interval_options *own)
{
    DUMI_TRY(dumi_read_struct("options", own, sizeof *own, sizeof *own, options));
    DUMI_REQUIRE(own->confidence >= 0 && own->confidence < 1, DUM_ERR_ARGUMENT,
                 "options.confidence is %g, expected more than 0 and less than 1, or 0 for 0.95",
                 own->confidence);
    DUMI_REQUIRE(own->resamples >= 0 && own->resamples <= 1000000, DUM_ERR_ARGUMENT,
                 "options.resamples is %d, expected 0 (1000) to 1000000", own->resamples);
    DUMI_REQUIRE(own->method >= DUM_INTERVAL_DEFAULT && own->method <= DUM_INTERVAL_BOOTSTRAP, DUM_ERR_ARGUMENT,
                 "options.method is %d, expected a DUM_INTERVAL_ constant", own->method);
    DUMI_REQUIRE(delong || own->method != DUM_INTERVAL_DELONG, DUM_ERR_ARGUMENT,
                 "options.method is DUM_INTERVAL_DELONG, which is for dum_auroc only");
    if (own->method == DUM_INTERVAL_DEFAULT)
        own->method = delong ? DUM_INTERVAL_DELONG : DUM_INTERVAL_BOOTSTRAP;
    return DUM_OK;
}

/* With one row in a class its variance is unknown: the interval then says nothing. */
static void delong_interval(const dumi_classes *classes, const dum_interval_options *options, dum_estimate *e)
{
    e->low = 0;
    e->high = 1;
    if (classes->positives < 2 || classes->negatives < 2)
        return;
    const double confidence = options->confidence > 0 ? options->confidence : 0.95;
    const double half = dumi_normal_quantile((1 + confidence) / 2) * sqrt(dumi_auroc_variance(classes));
    e->low = fmax(0, e->value - half);
    e->high = fmin(1, e->value + half);
}

static dum_status check_classes(const dumi_classes *classes, const measure *m)
{
    DUMI_REQUIRE(classes->positives > 0, DUM_ERR_ARGUMENT, "labels hold no 1, expected both classes");
    DUMI_REQUIRE(classes->negatives > 0 || !m->negatives_needed, DUM_ERR_ARGUMENT,
                 "labels hold no 0, expected both classes");
    return DUM_OK;
}

static dum_status estimate(const measure *m, const double *scores, const uint8_t *labels, int64_t n,
                           const dum_interval_options *options, dum_estimate *out)
{
    dumi_clear_error();
    DUMI_NOT_NULL(out);
    dum_interval_options own;
    DUMI_TRY(read_options(options, m->delong, &own));
    dumi_classes classes;
    DUMI_TRY(dumi_classes_create(scores, labels, n, &classes));
    dum_estimate result = {.struct_size = sizeof result};
    dum_status status;
    DUMI_GO(check_classes(&classes, m));
    result.value = result.low = result.high = m->statistic(&classes);
    if (own.method == DUM_INTERVAL_DELONG)
        delong_interval(&classes, &own, &result);
    else if (own.method == DUM_INTERVAL_BOOTSTRAP)
        DUMI_GO(dumi_bootstrap(&classes, m->statistic, &own, &result));
    status = dumi_write_struct("out", out, &result, sizeof result, sizeof result);
done:
    dumi_classes_destroy(&classes);
    return status;
}

dum_status dum_auroc(const double *scores, const uint8_t *labels, int64_t n,
                     const dum_interval_options *options, dum_estimate *out)
{
    const measure m = {dumi_auroc_of, true, true};
    return estimate(&m, scores, labels, n, options, out);
}

dum_status dum_average_precision(const double *scores, const uint8_t *labels, int64_t n,
                                 const dum_interval_options *options, dum_estimate *out)
{
    const measure m = {dumi_average_precision_of, false, false};
    return estimate(&m, scores, labels, n, options, out);
}

dum_status dum_fpr95(const double *scores, const uint8_t *labels, int64_t n,
                     const dum_interval_options *options, dum_estimate *out)
{
    const measure m = {dumi_fpr95_of, true, false};
    return estimate(&m, scores, labels, n, options, out);
}
