/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "scorer/rows.h"

#include <math.h>

static dum_status check_row(const float *row, int32_t cols, int64_t number)
{
    for (int32_t j = 0; j < cols; j++)
        DUMI_REQUIRE(isfinite(row[j]), DUM_ERR_NONFINITE, "row %lld, column %d is %g, expected a finite number",
                     (long long)number, j, (double)row[j]);
    return DUM_OK;
}

dum_status dumi_rows_check_finite(const float *data, int64_t rows, int32_t cols, int64_t row_stride)
{
    for (int64_t i = 0; i < rows; i++)
        DUMI_TRY(check_row(data + i * row_stride, cols, i));
    return DUM_OK;
}

/* All rows of a dataset, contiguous; out NULL: only looks at them. */
static dum_status read_rows(dum_context *context, const dum_dataset *data, const dum_fit_options *options,
                            float **out)
{
    enum { READ_ROWS = 256 };
    DUMI_REQUIRE(options->pairs == NULL, DUM_ERR_ARGUMENT, "options.pairs is for scorer dum");
    DUMI_REQUIRE(options->checkpoint_path == NULL && options->checkpoint == NULL &&
                     options->resume_from == NULL,
                 DUM_ERR_ARGUMENT, "options of checkpoints are for scorer dum");
    const int64_t kept = out != NULL || data->rows < READ_ROWS ? data->rows : READ_ROWS;
    float *rows;
    DUMI_TRY(DUMI_NEW(context, rows, (size_t)kept * (size_t)data->cols));
    dum_status status = DUM_OK;
    for (int64_t first = 0; first < data->rows; first += READ_ROWS) {
        int64_t indices[READ_ROWS];
        const int64_t count = data->rows - first < READ_ROWS ? data->rows - first : READ_ROWS;
        float *to = rows + (out != NULL ? first * data->cols : 0);
        for (int64_t i = 0; i < count; i++)
            indices[i] = first + i;
        DUMI_GO(dumi_dataset_gather(data, indices, count, to));
        for (int64_t i = 0; i < count; i++)
            DUMI_GO(check_row(to + i * data->cols, data->cols, first + i));
    }
done:
    if (status == DUM_OK && out != NULL)
        *out = rows;
    else
        dumi_free(context, rows);
    return status;
}

dum_status dumi_rows_check(dum_context *context, const dum_dataset *data, const dum_fit_options *options)
{
    return read_rows(context, data, options, NULL);
}

dum_status dumi_rows_fit(const dumi_scorer_kind *kind, dum_context *context, const double *values,
                         const dum_dataset *data, const dum_fit_options *options, void **state)
{
    dumi_fitting f = {
        .context = context, .values = values, .options = options, .count = data->rows, .cols = data->cols};
    clock_gettime(CLOCK_MONOTONIC, &f.begin);
    DUMI_TRY(read_rows(context, data, options, &f.rows));
    const dum_status status = kind->fit_rows(&f, state);
    dumi_free(context, f.rows);
    return status;
}

dum_status dumi_fitting_progress(const dumi_fitting *f, int64_t step, int64_t steps, double loss)
{
    const dum_fit_options *options = f->options;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    const double seconds =
        (double)(now.tv_sec - f->begin.tv_sec) + 1e-9 * (double)(now.tv_nsec - f->begin.tv_nsec);
    const dum_progress progress = {.struct_size = sizeof progress,
                                   .step = step,
                                   .steps = steps,
                                   .loss = loss,
                                   .seconds = seconds,
                                   .seconds_left =
                                       step > 0 ? seconds * (double)(steps - step) / (double)step : 0};
    const bool stop =
        (options->progress != NULL && options->progress(options->progress_user, &progress) != 0) ||
        (options->max_seconds > 0 && seconds > options->max_seconds && step < steps);
    return stop ? dumi_fail(DUM_CANCELLED, "fit was stopped; the scorer is as it was before") : DUM_OK;
}

enum { TASK_ROWS = 64 };

typedef struct {
    dumi_row_fn score;
    const void *state;
    const float *data;
    int64_t rows, row_stride;
    double *scores;
} job;

static void score_task(void *argument, int64_t task, int32_t worker)
{
    (void)worker;
    const job *j = argument;
    const int64_t end = (task + 1) * TASK_ROWS < j->rows ? (task + 1) * TASK_ROWS : j->rows;
    for (int64_t i = task * TASK_ROWS; i < end; i++)
        j->scores[i] = j->score(j->state, j->data + i * j->row_stride, NULL);
}

dum_status dumi_rows_score(const dumi_scorer_kind *kind, const void *state, const float *data, int64_t rows,
                           int32_t cols, int64_t row_stride, double *scores)
{
    dum_context *context = ((const dumi_state *)state)->context;
    DUMI_TRY(dumi_rows_check_finite(data, rows, cols, row_stride));
    job j = {kind->row, state, data, rows, row_stride, scores};
    dumi_parallel(context, context->threads, (rows + TASK_ROWS - 1) / TASK_ROWS,
                  kind->row_cost * cols * (double)rows, score_task, &j);
    return DUM_OK;
}

dum_status dumi_rows_explain(const dumi_scorer_kind *kind, const void *state, int32_t cols, int64_t row,
                             const float *x, float *share, const float *deviation)
{
    DUMI_REQUIRE(deviation == NULL, DUM_ERR_UNSUPPORTED, "this kind has shares but no deviation: pass NULL");
    DUMI_TRY(check_row(x, cols, row));
    kind->row(state, x, share);
    double sum = 0;
    for (int32_t j = 0; j < cols; j++)
        sum += (double)share[j];
    for (int32_t j = 0; j < cols; j++)
        share[j] = sum != 0 ? (float)((double)share[j] / sum) : 1.0f / (float)cols;
    return DUM_OK;
}
