/* SPDX-License-Identifier: MIT
 * Kinds "ecod" (Li et al. 2022) and "copod" (Li et al. 2020): how far out each value lies in the tails of its
 * column, by the empirical distribution of the training rows, added up over the columns. */
#include "scorer/rows.h"

#include <math.h>
#include <stddef.h>

typedef struct {
    dumi_state head;
    float *sorted; /* columns x rows: each column ascending */
    float *skew;   /* -1, 0, 1: the sign of each column's third moment */
} tails;

enum { ROWS = 1 };

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
    float *scratch; /* a column for each worker */
} sorting;

static void sort_task(void *argument, int64_t col, int32_t worker)
{
    const sorting *s = argument;
    const int64_t rows = s->t->head.sizes[ROWS], cols = s->t->head.sizes[DUMI_COLS];
    float *column = s->t->sorted + col * rows;
    for (int64_t i = 0; i < rows; i++)
        column[i] = s->rows[i * cols + col];
    dumi_sort_float(column, rows, s->scratch + worker * rows);
    s->t->skew[col] = skew_sign(column, rows);
}

static dum_status check(const double *values, void *state)
{
    (void)values;
    const tails *t = state;
    const int64_t rows = t->head.sizes[ROWS];
    for (int64_t j = 0; j < t->head.sizes[DUMI_COLS]; j++) {
        const float *column = t->sorted + j * rows;
        for (int64_t i = 1; i < rows; i++)
            DUMI_REQUIRE(column[i - 1] <= column[i], DUM_ERR_FORMAT,
                         "tensor tails.sorted: row %lld is not in ascending order", (long long)j);
        DUMI_REQUIRE(t->skew[j] == -1 || t->skew[j] == 0 || t->skew[j] == 1, DUM_ERR_FORMAT,
                     "tensor tails.skew: element %lld is neither -1, 0 nor 1", (long long)j);
    }
    return DUM_OK;
}

static const dumi_array arrays[] = {
    {"tails.sorted", DUMI_F32, offsetof(tails, sorted), DUMI_COLS, ROWS},
    {"tails.skew", DUMI_F32, offsetof(tails, skew), DUMI_COLS, DUMI_VECTOR},
};
static const dumi_layout layout = {.bytes = sizeof(tails), .count = 2, .arrays = arrays, .ready = check};

static dum_status fit(dumi_fitting *f, void **state)
{
    const int64_t sizes[DUMI_STATE_SIZES] = {[DUMI_COLS] = f->cols, [ROWS] = f->count};
    tails *t;
    sorting s = {.rows = f->rows};
    const int32_t workers = f->context->threads < f->cols ? f->context->threads : f->cols;
    DUMI_TRY(dumi_state_create(f->context, &layout, sizes, (void **)&t));
    s.t = t;
    s.scratch = dumi_alloc(f->context, (size_t)workers * (size_t)f->count, sizeof *s.scratch);
    if (s.scratch == NULL) {
        const dum_status status = dumi_status();
        dumi_state_destroy(t);
        return status;
    }
    const dumi_watch watch = dumi_fitting_watch(f);
    const dum_status status = dumi_parallel_watched(f->context, workers, f->cols,
                                                    20.0 * (double)f->count * f->cols, sort_task, &s, &watch);
    dumi_free(f->context, s.scratch);
    if (status == DUM_OK)
        *state = t;
    else
        dumi_state_destroy(t);
    return status;
}

/* How many are below x. Without a branch that depends on the values: the processor then works on several rows at
 * once. */
static int64_t count_below(const float *sorted, int64_t n, float x)
{
    const float *base = sorted;
    for (int64_t left = n; left > 1;) {
        const int64_t half = left / 2;
        base += base[half - 1] < x ? half : 0;
        left -= half;
    }
    return base - sorted + (*base < x);
}

/* How many are below x or equal to it, `below` of them below: there are seldom many equal ones. */
static int64_t count_up_to(const float *sorted, int64_t n, float x, int64_t below)
{
    int64_t step = 1;
    while (below + step <= n && sorted[below + step - 1] <= x)
        step *= 2;
    int64_t low = below + step / 2, high = below + step - 1 < n ? below + step - 1 : n;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (sorted[middle] <= x)
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

static sides look(const tails *t, float x, int64_t j)
{
    const int64_t rows = t->head.sizes[ROWS];
    const float *column = t->sorted + j * rows;
    const int64_t below = count_below(column, rows, x);
    sides s;
    s.left = surprise(count_up_to(column, rows, x, below), rows);
    s.right = surprise(rows - below, rows);
    s.skewed = t->skew[j] > 0 ? s.right : t->skew[j] < 0 ? s.left : s.left + s.right;
    return s;
}

static double ecod_part(const tails *t, float x, int64_t j)
{
    const sides s = look(t, x, j);
    return fmax(fmax(s.left, s.right), s.skewed);
}

static double copod_part(const tails *t, float x, int64_t j)
{
    const sides s = look(t, x, j);
    return fmax(s.skewed, (s.left + s.right) / 2);
}

typedef double (*part_fn)(const tails *t, float x, int64_t j);

/* Column by column, so that each is in cache for all rows. */
static inline __attribute__((always_inline)) void score_rows(const tails *t, part_fn part, const float *rows,
                                                             int64_t stride, int32_t count, double *scores)
{
    for (int32_t i = 0; i < count; i++)
        scores[i] = 0;
    for (int64_t j = 0; j < t->head.sizes[DUMI_COLS]; j++)
        for (int32_t i = 0; i < count; i++)
            scores[i] += part(t, rows[i * stride + j], j);
}

static inline __attribute__((always_inline)) double score_row(const tails *t, part_fn part, const float *row,
                                                              float *parts)
{
    double sum = 0;
    for (int64_t j = 0; j < t->head.sizes[DUMI_COLS]; j++) {
        const double own = part(t, row[j], j);
        sum += own;
        if (parts != NULL)
            parts[j] = (float)own;
    }
    return sum;
}

static void ecod_block(const void *state, const float *rows, int64_t stride, int32_t count, double *scores)
{
    score_rows(state, ecod_part, rows, stride, count, scores);
}

static void copod_block(const void *state, const float *rows, int64_t stride, int32_t count, double *scores)
{
    score_rows(state, copod_part, rows, stride, count, scores);
}

static double ecod_row(const void *state, const float *row, float *parts)
{
    return score_row(state, ecod_part, row, parts);
}

static double copod_row(const void *state, const float *row, float *parts)
{
    return score_row(state, copod_part, row, parts);
}

static const dumi_param *param(int32_t index)
{
    (void)index;
    return &dumi_scorer_holdout;
}

const dumi_scorer_kind dumi_scorer_ecod = {
    .name = "ecod",
    .params = {"scorer ecod", DUMI_SCORER_PARAMS, param},
    .fit_rows = fit,
    .layout = &layout,
    .row = ecod_row,
    .block = ecod_block,
    .row_cost = 150,
    .row_explains = true,
};

const dumi_scorer_kind dumi_scorer_copod = {
    .name = "copod",
    .params = {"scorer copod", DUMI_SCORER_PARAMS, param},
    .fit_rows = fit,
    .layout = &layout,
    .row = copod_row,
    .block = copod_block,
    .row_cost = 150,
    .row_explains = true,
};
