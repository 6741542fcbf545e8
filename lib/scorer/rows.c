/* SPDX-License-Identifier: MIT */
#include "scorer/rows.h"

#include <math.h>

static dum_status check_row(const float *row, int32_t cols, int64_t number)
{
    for (int32_t j = 0; j < cols; j++)
        DUMI_REQUIRE(isfinite(row[j]), DUM_ERR_NONFINITE, "row %lld, column %d is %g, expected a finite number",
                     (long long)number, j, (double)row[j]);
    return DUM_OK;
}

dum_status dumi_rows_read(dum_context *context, const dum_dataset *data, const dum_fit_options *options,
                          float **out)
{
    enum { READ_ROWS = 256 };
    DUMI_REQUIRE(options->pairs == NULL, DUM_ERR_ARGUMENT, "options.pairs is for scorer dum");
    DUMI_REQUIRE(options->checkpoint_path == NULL && options->checkpoint == NULL &&
                     options->resume_from == NULL,
                 DUM_ERR_ARGUMENT, "options of checkpoints are for scorer dum: this kind is fitted at once");
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

dum_status dumi_rows_score(dum_context *context, dumi_row_fn score, const void *state, double operations,
                           const float *data, int64_t rows, int32_t cols, int64_t row_stride, double *scores)
{
    for (int64_t i = 0; i < rows; i++)
        DUMI_TRY(check_row(data + i * row_stride, cols, i));
    job j = {score, state, data, rows, row_stride, scores};
    dumi_parallel(context, context->threads, (rows + TASK_ROWS - 1) / TASK_ROWS, operations * (double)rows,
                  score_task, &j);
    return DUM_OK;
}

dum_status dumi_rows_explain(dumi_row_fn score, const void *state, int32_t cols, int64_t row, const float *x,
                             float *share, const float *deviation)
{
    DUMI_REQUIRE(deviation == NULL, DUM_ERR_UNSUPPORTED, "this kind has shares but no deviation: pass NULL");
    DUMI_TRY(check_row(x, cols, row));
    score(state, x, share);
    double sum = 0;
    for (int32_t j = 0; j < cols; j++)
        sum += (double)share[j];
    for (int32_t j = 0; j < cols; j++)
        share[j] = sum != 0 ? (float)((double)share[j] / sum) : 1.0f / (float)cols;
    return DUM_OK;
}
