/* SPDX-License-Identifier: MIT
 * dum score: scores of rows by a saved model; with p-values or alarms where it is calibrated. */
#include "tool.h"

#include <stdlib.h>
#include <string.h>

/* Spreads the scores into the columns asked for: score, p, alarm. */
static int add_columns(const arguments *args, const dum_scorer *scorer, int64_t rows, const double *scores,
                       double *table, int32_t cols)
{
    double threshold = 0;
    double *p = malloc((size_t)rows * sizeof *p);
    int status = p != NULL ? TOOL_OK : fail("out of memory");
    if (status == TOOL_OK && args->pvalue && dum_scorer_pvalue(scorer, scores, rows, p) != DUM_OK)
        status = fail_library("--pvalue");
    if (status == TOOL_OK && args->false_alarm_rate > 0 &&
        dum_scorer_threshold(scorer, args->false_alarm_rate, &threshold) != DUM_OK)
        status = fail_library("--false-alarm-rate");
    for (int64_t i = 0; i < rows && status == TOOL_OK; i++) {
        double *row = table + i * cols;
        *row++ = scores[i];
        if (args->pvalue)
            *row++ = p[i];
        if (args->false_alarm_rate > 0)
            *row = scores[i] > threshold;
    }
    free(p);
    return status;
}

static int score_rows(const arguments *args, const dum_scorer *scorer, const dum_dataset *data)
{
    const int64_t rows = dum_dataset_rows(data);
    const char *names[3] = {"score"};
    int32_t cols = 1;
    if (args->pvalue)
        names[cols++] = "p";
    if (args->false_alarm_rate > 0)
        names[cols++] = "alarm";
    double *scores = malloc((size_t)rows * sizeof *scores);
    double *table = malloc((size_t)rows * (size_t)cols * sizeof *table);
    int status = scores != NULL && table != NULL ? TOOL_OK : fail("out of memory");
    if (status == TOOL_OK && dum_scorer_score_dataset(scorer, data, scores) != DUM_OK)
        status = fail_library(args->data);
    if (status == TOOL_OK)
        status = add_columns(args, scorer, rows, scores, table, cols);
    if (status == TOOL_OK)
        status = write_table(args->out, table, rows, cols, cols > 1 ? names : NULL);
    free(scores);
    free(table);
    return status;
}

int command_score(int argc, char **argv)
{
    static const char *const accepted[] = {
        "--data",   "--model",     "--out",          "--threads", "--backend", "--pvalue", "--false-alarm-rate",
        "--header", "--no-header", "--label-column", "--quiet",   NULL};
    arguments args;
    int status = parse_arguments(argc, argv, accepted, false, &args);
    if (status != TOOL_OK || (status = require_argument(args.data, "--data")) != TOOL_OK ||
        (status = require_argument(args.model, "--model")) != TOOL_OK)
        return status;
    dum_context *context;
    status = open_context(&args, &context);
    if (status != TOOL_OK)
        return status;
    dum_scorer *scorer = NULL;
    loaded_data data = {0};
    if (dum_scorer_load(context, args.model, &scorer) != DUM_OK)
        status = fail_library(args.model);
    else
        status = load_data(context, args.data, &args, &data);
    if (status == TOOL_OK)
        status = score_rows(&args, scorer, data.dataset);
    free_data(&data);
    dum_scorer_destroy(scorer);
    dum_context_destroy(context);
    return finish_output(status);
}
