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

static int score_rows(const arguments *args, const inputs *in)
{
    const int64_t rows = dum_dataset_rows(in->data.dataset);
    const char *names[3] = {"score"};
    int32_t cols = 1;
    if (args->pvalue)
        names[cols++] = "p";
    if (args->false_alarm_rate > 0)
        names[cols++] = "alarm";
    double *scores = score_inputs(args, in);
    if (scores == NULL)
        return TOOL_FAILED;
    double *table = malloc((size_t)rows * (size_t)cols * sizeof *table);
    int status =
        table != NULL ? add_columns(args, in->scorer, rows, scores, table, cols) : fail("out of memory");
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
    int status = parse_arguments(argc, argv, accepted, 0, &args);
    if (status != TOOL_OK)
        return status;
    inputs in;
    status = open_inputs(&args, &in);
    if (status == TOOL_OK)
        status = score_rows(&args, &in);
    close_inputs(&in);
    return finish_output(status);
}
