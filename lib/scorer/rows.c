/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "scorer/rows.h"

#include <math.h>

enum { SCALING_NONE, SCALING_MINMAX, SCALING_ZSCORE };

dum_status dumi_rows_check_row(const float *row, int32_t cols, int64_t number)
{
    for (int32_t j = 0; j < cols; j++)
        DUMI_REQUIRE(isfinite(row[j]), DUM_ERR_NONFINITE, "row %lld, column %d is %g, expected a finite number",
                     (long long)number, j, (double)row[j]);
    return DUM_OK;
}

dum_status dumi_rows_check_finite(const float *data, int64_t rows, int32_t cols, int64_t row_stride)
{
    for (int64_t i = 0; i < rows; i++)
        DUMI_TRY(dumi_rows_check_row(data + i * row_stride, cols, i));
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
            DUMI_GO(dumi_rows_check_row(to + i * data->cols, data->cols, first + i));
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

#define SCALING_PARAM(preset)                                                                                  \
    {                                                                                                          \
        "scaling", preset, 0, 0, (const char *const[]){"none", "minmax", "zscore", NULL},                      \
            "none|minmax|zscore", false,                                                                       \
            "of the columns, by the training rows: to 0 to 1, or to mean 0 and deviation 1; a constant "       \
            "column to 0"                                                                                      \
    }
const dumi_param dumi_scorer_scaling = SCALING_PARAM(SCALING_NONE);
const dumi_param dumi_scorer_scaling_minmax = SCALING_PARAM(SCALING_MINMAX);
const dumi_param dumi_scorer_scaling_zscore = SCALING_PARAM(SCALING_ZSCORE);

/* As the paper's min-max scaling, and scikit-learn's StandardScaler. */
static void scale_column(const dumi_fitting *f, int32_t j, float *scaling)
{
    double least = (double)f->rows[j], most = least, mean = 0, square = 0;
    for (int64_t i = 0; i < f->count; i++) {
        const double x = (double)f->rows[i * f->cols + j];
        least = x < least ? x : least;
        most = x > most ? x : most;
        mean += x / (double)f->count;
    }
    for (int64_t i = 0; i < f->count; i++) {
        const double off = (double)f->rows[i * f->cols + j] - mean;
        square += off * off / (double)f->count;
    }
    const bool minmax = f->values[DUMI_SCORER_SCALING] == SCALING_MINMAX;
    const double width = minmax ? most - least : sqrt(square);
    scaling[j] = (float)(minmax ? least : mean);
    scaling[f->cols + j] = most > least ? (float)fmin(1 / width, 1e38) : 0;
}

void dumi_rows_scale(const float *scaling, int64_t rows, int32_t cols, const float *from, int64_t row_stride,
                     float *to)
{
    for (int64_t i = 0; i < rows; i++)
        for (int32_t j = 0; j < cols; j++) {
            const double x =
                ((double)from[i * row_stride + j] - (double)scaling[j]) * (double)scaling[cols + j];
            to[i * cols + j] = (float)(x < -1e15 ? -1e15 : x > 1e15 ? 1e15 : x);
        }
}

dum_status dumi_rows_fit(const dumi_scorer_kind *kind, dum_context *context, const double *values,
                         const dum_dataset *data, const dum_fit_options *options, float **scaling, void **state)
{
    dumi_fitting f = {
        .context = context, .values = values, .options = options, .count = data->rows, .cols = data->cols};
    clock_gettime(CLOCK_MONOTONIC, &f.begin);
    DUMI_TRY(read_rows(context, data, options, &f.rows));
    dum_status status = DUM_OK;
    if (kind->scales && values[DUMI_SCORER_SCALING] != SCALING_NONE) {
        DUMI_GO(DUMI_NEW(context, *scaling, 2 * (size_t)f.cols));
        for (int32_t j = 0; j < f.cols; j++)
            scale_column(&f, j, *scaling);
        dumi_rows_scale(*scaling, f.count, f.cols, f.rows, f.cols, f.rows);
    }
    status = kind->fit_rows(&f, state);
done:
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
    DUMI_TRY(dumi_rows_check_row(x, cols, row));
    kind->row(state, x, share);
    double sum = 0;
    for (int32_t j = 0; j < cols; j++)
        sum += (double)share[j];
    for (int32_t j = 0; j < cols; j++)
        share[j] = sum != 0 ? (float)((double)share[j] / sum) : 1.0f / (float)cols;
    return DUM_OK;
}
