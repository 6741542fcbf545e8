/* SPDX-License-Identifier: MIT
 * dum eval and dum compare: JSON on standard output. */
#include "tool.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void print_estimate(const char *name, const dum_estimate *e, bool last)
{
    char key[32];
    print_number(name, e->value, false);
    snprintf(key, sizeof key, "%s_low", name);
    print_number(key, e->low, false);
    snprintf(key, sizeof key, "%s_high", name);
    print_number(key, e->high, last);
}

static int read_labels(const arguments *args, int64_t count, uint8_t *labels)
{
    double *values;
    int64_t found;
    const int status = load_vector(args->labels, args->label_column, args->header, NULL, &values, &found);
    if (status != TOOL_OK)
        return status;
    int result = TOOL_OK;
    if (found != count)
        result = fail("%s has %lld labels, %s has %lld scores", args->labels, (long long)found, args->scores,
                      (long long)count);
    for (int64_t i = 0; i < count && result == TOOL_OK; i++) {
        if (values[i] != 0 && values[i] != 1)
            result = fail("%s: label of row %lld (from 0) is %g, expected 0 or 1", args->labels, (long long)i,
                          values[i]);
        labels[i] = values[i] == 1;
    }
    free(values);
    return result;
}

static int print_eval(const arguments *args, const double *scores, const uint8_t *labels, int64_t n)
{
    dum_interval_options options;
    DUM_INIT(options);
    options.resamples = args->bootstrap;
    dum_estimate auroc, ap, fpr95;
    DUM_INIT(auroc);
    DUM_INIT(ap);
    DUM_INIT(fpr95);
    if (dum_auroc(scores, labels, n, &options, &auroc) != DUM_OK ||
        dum_average_precision(scores, labels, n, &options, &ap) != DUM_OK ||
        dum_fpr95(scores, labels, n, &options, &fpr95) != DUM_OK)
        return fail_library(args->scores);
    int64_t positives = 0;
    for (int64_t i = 0; i < n; i++)
        positives += labels[i];
    printf("{\"n\": %lld, \"positives\": %lld, ", (long long)n, (long long)positives);
    print_estimate("auroc", &auroc, false);
    print_number("folded", fmax(auroc.value, 1 - auroc.value), false);
    print_estimate("ap", &ap, false);
    print_estimate("fpr95", &fpr95, true);
    printf("}\n");
    return TOOL_OK;
}

int command_eval(int argc, char **argv)
{
    static const char *const accepted[] = {"--scores", "--labels",    "--label-column", "--bootstrap",
                                           "--header", "--no-header", "--quiet",        NULL};
    arguments args;
    int status = parse_arguments(argc, argv, accepted, 0, &args);
    if (status != TOOL_OK || (status = require_argument(args.scores, "--scores")) != TOOL_OK ||
        (status = require_argument(args.labels, "--labels")) != TOOL_OK)
        return status;
    double *scores;
    int64_t count;
    status = load_vector(args.scores, NULL, args.header, "score", &scores, &count);
    if (status != TOOL_OK)
        return status;
    uint8_t *labels = malloc((size_t)count);
    status = labels != NULL ? read_labels(&args, count, labels) : fail("out of memory");
    if (status == TOOL_OK)
        status = print_eval(&args, scores, labels, count);
    free(scores);
    free(labels);
    return finish_output(status);
}

static double mean(const double *values, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += values[i];
    return sum / (double)n;
}

static void print_ttest(const char *name, const double *sample, int64_t n, const double *reference, int64_t m,
                        int32_t kind)
{
    dum_ttest_result r;
    DUM_INIT(r);
    if (dum_ttest(sample, n, reference, m, kind, &r) != DUM_OK) {
        printf("\"%s\": null, ", name);
        return;
    }
    printf("\"%s\": {", name);
    print_number("t", r.t, false);
    print_number("df", r.df, false);
    print_number("p", r.p, false);
    print_number("log10_p", r.log10_p, false);
    print_number("mean_difference", r.mean_difference, false);
    print_number("cohens_d", r.cohens_d, true);
    printf("}, ");
}

/* scores: of the reference, then of the sample. */
static int print_compare(const arguments *args, const double *scores, int64_t m, int64_t n)
{
    uint8_t *labels = malloc((size_t)(m + n));
    if (labels == NULL)
        return fail("out of memory");
    memset(labels, 0, (size_t)m);
    memset(labels + m, 1, (size_t)n);
    dum_interval_options options;
    DUM_INIT(options);
    options.method = args->bootstrap > 0 ? DUM_INTERVAL_BOOTSTRAP : DUM_INTERVAL_DEFAULT;
    options.resamples = args->bootstrap;
    dum_estimate auroc;
    DUM_INIT(auroc);
    const dum_status status = dum_auroc(scores, labels, m + n, &options, &auroc);
    free(labels);
    if (status != DUM_OK)
        return fail_library(args->sample);
    printf("{\"n_reference\": %lld, \"n_sample\": %lld, ", (long long)m, (long long)n);
    print_number("mean_reference", mean(scores, m), false);
    print_number("mean_sample", mean(scores + m, n), false);
    print_ttest("pooled", scores + m, n, scores, m, DUM_TTEST_POOLED);
    print_ttest("welch", scores + m, n, scores, m, DUM_TTEST_WELCH);
    print_estimate("auroc", &auroc, true);
    printf("}\n");
    return TOOL_OK;
}

static int compare_with(const arguments *args, dum_context *context, const dum_scorer *scorer)
{
    loaded_data reference = {0}, sample = {0};
    double *scores = NULL;
    int status = load_data(context, args->reference, args, &reference);
    if (status == TOOL_OK)
        status = load_data(context, args->sample, args, &sample);
    if (status == TOOL_OK) {
        const int64_t m = dum_dataset_rows(reference.dataset), n = dum_dataset_rows(sample.dataset);
        scores = malloc((size_t)(m + n) * sizeof *scores);
        if (scores == NULL)
            status = fail("out of memory");
        else if (dum_scorer_score_dataset(scorer, reference.dataset, scores) != DUM_OK)
            status = fail_library(args->reference);
        else if (dum_scorer_score_dataset(scorer, sample.dataset, scores + m) != DUM_OK)
            status = fail_library(args->sample);
        else
            status = print_compare(args, scores, m, n);
    }
    free(scores);
    free_data(&reference);
    free_data(&sample);
    return status;
}

int command_compare(int argc, char **argv)
{
    static const char *const accepted[] = {"--reference", "--sample", "--model",     "--threads",
                                           "--backend",   "--header", "--no-header", "--label-column",
                                           "--bootstrap", "--quiet",  NULL};
    arguments args;
    int status = parse_arguments(argc, argv, accepted, 0, &args);
    if (status != TOOL_OK || (status = require_argument(args.reference, "--reference")) != TOOL_OK ||
        (status = require_argument(args.sample, "--sample")) != TOOL_OK ||
        (status = require_argument(args.model, "--model")) != TOOL_OK)
        return status;
    dum_context *context;
    status = open_context(&args, &context);
    if (status != TOOL_OK)
        return status;
    dum_scorer *scorer = NULL;
    if (dum_scorer_load(context, args.model, &scorer) != DUM_OK)
        status = fail_library(args.model);
    else
        status = compare_with(&args, context, scorer);
    dum_scorer_destroy(scorer);
    dum_context_destroy(context);
    return finish_output(status);
}
