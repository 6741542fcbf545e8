/* SPDX-License-Identifier: MIT
 * Kinds "ecod" (Li et al. 2022) and "copod" (Li et al. 2020): how far out each value lies in the tails of its
 * column, by the empirical distribution of the training rows, added up over the columns. */
#include "scorer/rows.h"

#include <math.h>

typedef struct {
    dum_context *context;
    int64_t rows;
    int32_t cols;
    float *sorted; /* cols x rows: each column ascending */
    float *skew;   /* -1, 0, 1: the sign of each column's third moment */
} tails;

static void destroy(void *state)
{
    tails *t = state;
    if (t == NULL)
        return;
    dum_context *context = t->context;
    dumi_free(context, t->sorted);
    dumi_free(context, t->skew);
    dumi_free(context, t);
    dum_context_destroy(context);
}

static dum_status create(dum_context *context, int64_t rows, int32_t cols, tails **out)
{
    tails *t;
    DUMI_TRY(DUMI_NEW(context, t, 1));
    *t = (tails){.context = dumi_context_keep(context), .rows = rows, .cols = cols};
    t->sorted = dumi_alloc(context, (size_t)rows * (size_t)cols, sizeof *t->sorted);
    t->skew = t->sorted != NULL ? dumi_alloc(context, (size_t)cols, sizeof *t->skew) : NULL;
    if (t->skew == NULL) {
        const dum_status status = dumi_status();
        destroy(t);
        return status;
    }
    *out = t;
    return DUM_OK;
}

/* Of the third central moment; what is rounding noise beside the spread counts as 0. */
static float skew_sign(const float *values, int64_t n)
{
    double mean = 0, square = 0, cube = 0;
    for (int64_t i = 0; i < n; i++)
        mean += (double)values[i];
    mean /= (double)n;
    for (int64_t i = 0; i < n; i++) {
        const double d = (double)values[i] - mean;
        square += d * d;
        cube += d * d * d;
    }
    const double deviation = sqrt(square / (double)n);
    if (!(fabs(cube / (double)n) > 1e-12 * deviation * deviation * deviation))
        return 0;
    return cube > 0 ? 1 : -1;
}

typedef struct {
    tails *t;
    const float *rows;
} sorting;

static void sort_task(void *argument, int64_t col, int32_t worker)
{
    (void)worker;
    const sorting *s = argument;
    float *column = s->t->sorted + col * s->t->rows;
    for (int64_t i = 0; i < s->t->rows; i++)
        column[i] = s->rows[i * s->t->cols + col];
    dumi_sort_float(column, s->t->rows);
    s->t->skew[col] = skew_sign(column, s->t->rows);
}

static dum_status fit(dum_context *context, const double *values, const void *old, const dum_dataset *data,
                      const dum_fit_options *options, void **state)
{
    (void)values;
    (void)old;
    float *rows;
    DUMI_TRY(dumi_rows_read(context, data, options, &rows));
    tails *t = NULL;
    const dum_status status = create(context, data->rows, data->cols, &t);
    if (status == DUM_OK) {
        sorting s = {t, rows};
        const double operations = 20.0 * (double)data->rows * data->cols;
        dumi_parallel(context, context->threads, data->cols, operations, sort_task, &s);
        *state = t;
    }
    dumi_free(context, rows);
    return status;
}

/* How many are below x, or at it too. */
static int64_t count_below(const float *sorted, int64_t n, float x, bool at)
{
    int64_t low = 0, high = n;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (sorted[middle] < x || (at && sorted[middle] == x))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* -log of the share of training values in a tail. Beyond all of them: as if x were one more of them. */
static double surprise(int64_t count, int64_t n)
{
    return count > 0 ? log((double)n / (double)count) : log((double)n + 1);
}

typedef struct {
    double left, right, skewed;
} sides;

static sides look(const tails *t, const float *row, int32_t j)
{
    const float *column = t->sorted + (int64_t)j * t->rows;
    sides s;
    s.left = surprise(count_below(column, t->rows, row[j], true), t->rows);
    s.right = surprise(t->rows - count_below(column, t->rows, row[j], false), t->rows);
    s.skewed = t->skew[j] > 0 ? s.right : t->skew[j] < 0 ? s.left : s.left + s.right;
    return s;
}

static double ecod_row(const void *state, const float *row, float *parts)
{
    const tails *t = state;
    double sum = 0;
    for (int32_t j = 0; j < t->cols; j++) {
        const sides s = look(t, row, j);
        const double part = fmax(fmax(s.left, s.right), s.skewed);
        sum += part;
        if (parts != NULL)
            parts[j] = (float)part;
    }
    return sum;
}

static double copod_row(const void *state, const float *row, float *parts)
{
    const tails *t = state;
    double sum = 0;
    for (int32_t j = 0; j < t->cols; j++) {
        const sides s = look(t, row, j);
        const double part = fmax(s.skewed, (s.left + s.right) / 2);
        sum += part;
        if (parts != NULL)
            parts[j] = (float)part;
    }
    return sum;
}

static dum_status score_by(dumi_row_fn by, void *state, const float *data, int64_t rows, int32_t cols,
                           int64_t row_stride, double *scores)
{
    const tails *t = state;
    const double operations = 10.0 * cols * log2((double)t->rows + 2);
    return dumi_rows_score(t->context, by, t, operations, data, rows, cols, row_stride, scores);
}

static dum_status ecod_score(const double *values, void *state, const float *data, int64_t rows, int32_t cols,
                             int64_t row_stride, double *scores)
{
    (void)values;
    return score_by(ecod_row, state, data, rows, cols, row_stride, scores);
}

static dum_status copod_score(const double *values, void *state, const float *data, int64_t rows, int32_t cols,
                              int64_t row_stride, double *scores)
{
    (void)values;
    return score_by(copod_row, state, data, rows, cols, row_stride, scores);
}

static dum_status ecod_explain(const double *values, void *state, int64_t row, float *x, float *scratch,
                               float *share, float *deviation)
{
    (void)values;
    (void)scratch;
    return dumi_rows_explain(ecod_row, state, ((tails *)state)->cols, row, x, share, deviation);
}

static dum_status copod_explain(const double *values, void *state, int64_t row, float *x, float *scratch,
                                float *share, float *deviation)
{
    (void)values;
    (void)scratch;
    return dumi_rows_explain(copod_row, state, ((tails *)state)->cols, row, x, share, deviation);
}

static dum_status write_state(const void *state, const void *prepared, dumi_model_writer *writer)
{
    (void)prepared;
    const tails *t = state;
    DUMI_TRY(dumi_writer_tensor(writer, "tails.sorted", DUMI_F32, t->cols, t->rows, t->sorted));
    return dumi_writer_tensor(writer, "tails.skew", DUMI_F32, t->cols, 0, t->skew);
}

static dum_status check_state(const tails *t)
{
    for (int32_t j = 0; j < t->cols; j++) {
        const float *column = t->sorted + (int64_t)j * t->rows;
        for (int64_t i = 1; i < t->rows; i++)
            DUMI_REQUIRE(column[i - 1] <= column[i], DUM_ERR_FORMAT,
                         "tensor tails.sorted: row %d is not in ascending order", j);
        DUMI_REQUIRE(t->skew[j] == -1 || t->skew[j] == 0 || t->skew[j] == 1, DUM_ERR_FORMAT,
                     "tensor tails.skew: element %d is neither -1, 0 nor 1", j);
    }
    return DUM_OK;
}

static dum_status read_state(dum_context *context, const dumi_reader *reader, const double *values,
                             int32_t *cols, void **state)
{
    (void)values;
    const dumi_tensor *sorted = dumi_reader_find(reader, "tails.sorted");
    DUMI_REQUIRE(sorted != NULL && sorted->rank == 2 && sorted->dtype == DUMI_F32 && sorted->shape[0] >= 1 &&
                     sorted->shape[0] <= INT32_MAX && sorted->shape[1] >= 1,
                 DUM_ERR_FORMAT, "the model has no usable tensor tails.sorted");
    tails *t = NULL;
    DUMI_TRY(create(context, sorted->shape[1], (int32_t)sorted->shape[0], &t));
    dum_status status;
    DUMI_GO(dumi_reader_copy(reader, "tails.sorted", DUMI_F32, t->cols, t->rows, t->sorted));
    DUMI_GO(dumi_reader_copy(reader, "tails.skew", DUMI_F32, t->cols, 0, t->skew));
    DUMI_GO(check_state(t));
    *cols = t->cols;
    *state = t;
    return DUM_OK;
done:
    destroy(t);
    return status;
}

static const dumi_param *param(int32_t index)
{
    (void)index;
    return &dumi_scorer_holdout;
}

const dumi_scorer_kind dumi_scorer_ecod = {
    .name = "ecod",
    .params = {"scorer ecod", DUMI_SCORER_PARAMS, param},
    .fit = fit,
    .destroy = destroy,
    .score = ecod_score,
    .explain = ecod_explain,
    .write = write_state,
    .read = read_state,
};

const dumi_scorer_kind dumi_scorer_copod = {
    .name = "copod",
    .params = {"scorer copod", DUMI_SCORER_PARAMS, param},
    .fit = fit,
    .destroy = destroy,
    .score = copod_score,
    .explain = copod_explain,
    .write = write_state,
    .read = read_state,
};
