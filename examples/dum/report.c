/* SPDX-License-Identifier: MIT
 * dum report: gathers what the page (page.c) shows. */
#include "report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    DRAWN_ROWS = 2000,  /* most points of the scatter plot, beside the top rows */
    JUDGED_ROWS = 20000 /* most rows that medians are taken of, so that wide and long data take seconds */
};

int by_number(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* At most `most` rows, evenly chosen, and the top ones: each once, in order. NULL after a message. */
static int64_t *choose_rows(int64_t n, int64_t most, const top_rows *top, int64_t *count)
{
    const int64_t even = n < most ? n : most;
    int64_t *rows = malloc((size_t)(even + top->count) * sizeof *rows);
    if (rows == NULL) {
        complain("out of memory");
        return NULL;
    }
    for (int64_t i = 0; i < even; i++)
        rows[i] = i * n / even;
    for (int32_t i = 0; i < top->count; i++)
        rows[even + i] = top->rows[i].row;
    qsort(rows, (size_t)(even + top->count), sizeof *rows, by_number);
    *count = 1;
    for (int64_t i = 1; i < even + top->count; i++)
        if (rows[i] != rows[*count - 1])
            rows[(*count)++] = rows[i];
    return rows;
}

/* ---- The columns that tell most ----------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static double median(float *values, int64_t n)
{
    qsort(values, (size_t)n, sizeof *values, by_value);
    return ((double)values[(n - 1) / 2] + (double)values[n / 2]) / 2;
}

/* Median, and the spread about it: the median absolute deviation, or the mean one where more than half of the
 * values are alike; each as large as the standard deviation where values are normal. Changes values. */
static void measure(float *values, int64_t n, double *centre, double *spread)
{
    *centre = median(values, n);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        values[i] = (float)fabs((double)values[i] - *centre);
        sum += (double)values[i];
    }
    *spread = 1.4826 * median(values, n);
    if (!(*spread > 0))
        *spread = 1.2533 * sum / (double)n;
}

/* How far the top rows lie from the rest in a column whose `count` values, of rows `rows`, are given: the mean
 * of their robust z-scores. Missing values are left out. `work`: room for as many. */
static double distance(const float *values, const int64_t *rows, int64_t count, const top_rows *top,
                       float *work)
{
    int64_t present = 0;
    for (int64_t i = 0; i < count; i++)
        if (isfinite(values[i]))
            work[present++] = values[i];
    if (present == 0)
        return 0;
    double centre, spread, sum = 0;
    measure(work, present, &centre, &spread);
    for (int32_t i = 0; i < top->count && spread > 0; i++) {
        const int64_t *row = bsearch(&top->rows[i].row, rows, (size_t)count, sizeof *rows, by_number);
        const double value = row != NULL ? (double)values[row - rows] : NAN;
        if (isfinite(value))
            sum += fabs(value - centre) / spread / top->count;
    }
    return sum;
}

/* Columns first .. first + width - 1 of the rows, one after another. */
static int read_columns(const dum_dataset *data, const int64_t *rows, int64_t count, int32_t first,
                        int32_t width, float *row, float *out)
{
    for (int64_t i = 0; i < count; i++) {
        if (dum_dataset_read(data, rows[i], 1, row) != DUM_OK)
            return fail_library("data");
        for (int32_t j = 0; j < width; j++)
            out[j * count + i] = row[first + j];
    }
    return TOOL_OK;
}

/* The distance of every column, some at a time: a copy of all of them may not fit. */
static int find_distances(const report *r, const int64_t *rows, int64_t count, double *out)
{
    const dum_dataset *data = r->in.data.dataset;
    const int32_t cols = dum_dataset_cols(data);
    const int64_t fit = (1 << 24) / count + 1;
    const int32_t width = fit < cols ? (int32_t)fit : cols;
    float *row = malloc((size_t)cols * sizeof *row), *work = malloc((size_t)count * sizeof *work);
    float *values = malloc((size_t)width * (size_t)count * sizeof *values);
    int status = row != NULL && work != NULL && values != NULL ? TOOL_OK : fail("out of memory");
    for (int32_t first = 0; first < cols && status == TOOL_OK; first += width) {
        const int32_t now = cols - first < width ? cols - first : width;
        status = read_columns(data, rows, count, first, now, row, values);
        for (int32_t j = 0; j < now && status == TOOL_OK; j++)
            out[first + j] = distance(values + j * count, rows, count, &r->top, work);
    }
    free(row);
    free(work);
    free(values);
    return status;
}

static void pick_two(const double *weight, int32_t cols, report *r)
{
    r->x_col = 0;
    r->y_col = -1;
    for (int32_t j = 1; j < cols; j++) {
        if (weight[j] > weight[r->x_col]) {
            r->y_col = r->x_col;
            r->x_col = j;
        } else if (r->y_col < 0 || weight[j] > weight[r->y_col]) {
            r->y_col = j;
        }
    }
}

/* Those with the largest mean share of the top rows; where the kind has none, those in which the top rows lie
 * furthest out. */
static int pick_columns(report *r)
{
    const int32_t cols = dum_dataset_cols(r->in.data.dataset);
    if (r->top.has_shares) {
        pick_two(r->top.mean_share, cols, r);
        return TOOL_OK;
    }
    int64_t count = 0;
    int64_t *rows = choose_rows(dum_dataset_rows(r->in.data.dataset), JUDGED_ROWS, &r->top, &count);
    double *distances = calloc((size_t)cols, sizeof *distances);
    int status = rows != NULL && distances != NULL ? TOOL_OK : fail("no memory to choose columns to draw");
    if (status == TOOL_OK)
        status = find_distances(r, rows, count, distances);
    if (status == TOOL_OK)
        pick_two(distances, cols, r);
    free(rows);
    free(distances);
    return status;
}

/* ---- The rest ----------------------------------------------------------------------------------- */

static int read_points(report *r)
{
    const dum_dataset *data = r->in.data.dataset;
    float *row = malloc((size_t)dum_dataset_cols(data) * sizeof *row);
    r->drawn = choose_rows(dum_dataset_rows(data), DRAWN_ROWS, &r->top, &r->drawn_count);
    r->x = malloc((size_t)r->drawn_count * sizeof *r->x);
    r->y = malloc((size_t)r->drawn_count * sizeof *r->y);
    int status = TOOL_OK;
    if (row == NULL || r->drawn == NULL || r->x == NULL || r->y == NULL)
        status = fail("no memory for the points to draw");
    for (int64_t i = 0; i < r->drawn_count && status == TOOL_OK; i++) {
        if (dum_dataset_read(data, r->drawn[i], 1, row) != DUM_OK)
            status = fail_library("data");
        r->x[i] = row[r->x_col];
        r->y[i] = r->y_col >= 0 ? row[r->y_col] : (float)r->scores[r->drawn[i]];
    }
    free(row);
    return status;
}

/* A model that is not calibrated, or on too few rows, is an error only where a rate was asked for. */
static int find_threshold(report *r)
{
    const double asked = r->args->false_alarm_rate;
    r->rate = asked > 0 ? asked : 0.01;
    if (dum_scorer_threshold(r->in.scorer, r->rate, &r->threshold) == DUM_OK)
        r->has_threshold = true;
    else if (asked > 0)
        return fail_library("--false-alarm-rate");
    else
        snprintf(r->no_threshold, sizeof r->no_threshold, "%s", dum_error_message());
    const int64_t n = dum_dataset_rows(r->in.data.dataset);
    for (int64_t i = 0; i < n && r->has_threshold; i++)
        r->above += r->scores[i] > r->threshold;
    return TOOL_OK;
}

static int gather(report *r)
{
    DUM_INIT(r->about);
    if (dum_model_inspect(r->in.context, r->args->model, &r->about) != DUM_OK)
        return fail_library(r->args->model);
    r->scores = score_inputs(r->args, &r->in);
    int status = r->scores != NULL ? find_threshold(r) : TOOL_FAILED;
    if (status == TOOL_OK)
        status = find_top(&r->in, r->scores, r->args->top, &r->top);
    if (status == TOOL_OK)
        status = pick_columns(r);
    if (status == TOOL_OK)
        status = read_points(r);
    return status;
}

int command_report(int argc, char **argv)
{
    static const char *const accepted[] = {
        "--data",    "--model",   "--out",    "--top",       "--false-alarm-rate",
        "--threads", "--backend", "--header", "--no-header", "--label-column",
        "--quiet",   NULL};
    arguments args;
    int status = parse_arguments(argc, argv, accepted, 0, &args);
    if (status != TOOL_OK || (status = require_argument(args.out, "--out")) != TOOL_OK)
        return status;
    report r = {.args = &args};
    status = open_inputs(&args, &r.in);
    if (status == TOOL_OK)
        status = gather(&r);
    if (status == TOOL_OK)
        status = write_output(args.out, put_page, &r);
    free(r.scores);
    free(r.drawn);
    free(r.x);
    free(r.y);
    free_top(&r.top);
    close_inputs(&r.in);
    return finish_output(status);
}
