/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "scorer/rows.h"

#include <math.h>

enum { SCALING_NONE, SCALING_MINMAX, SCALING_ZSCORE, SCALING_UNIT };

dum_status dumi_rows_check_row(const float *row, int32_t cols, int64_t number)
{
    for (int32_t j = 0; j < cols; j++)
        DUMI_REQUIRE(isfinite(row[j]), DUM_ERR_NONFINITE,
                     "row %lld, column %d (from 0) is %g, expected a finite number", (long long)number, j,
                     (double)row[j]);
    return DUM_OK;
}

dum_status dumi_rows_check_finite(const float *data, int64_t rows, int32_t cols, int64_t row_stride)
{
    for (int64_t i = 0; i < rows; i++)
        DUMI_TRY(dumi_rows_check_row(data + i * row_stride, cols, i));
    return DUM_OK;
}

/* What only heads have a use for would be passed over in silence. */
static dum_status check_options(const dum_fit_options *o)
{
    const struct {
        const char *name;
        bool is_set;
    } others[] = {{"pairs", o->pairs != NULL},
                  {"warm_start", o->warm_start != 0},
                  {"checkpoint_epochs", o->checkpoint_epochs != 0},
                  {"checkpoint_path", o->checkpoint_path != NULL},
                  {"checkpoint", o->checkpoint != NULL},
                  {"resume", o->resume != 0},
                  {"resume_from", o->resume_from != NULL || o->resume_size > 0},
                  {"ranks", o->ranks < 0 || o->ranks > 1},
                  {"rank", o->rank != 0},
                  {"reduce", o->reduce != NULL}};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        DUMI_REQUIRE(!others[i].is_set, DUM_ERR_ARGUMENT, "options.%s is set, which is for %s and scorer dum",
                     others[i].name, i == 0 || i > 6 ? "heads" : "heads, encoders");
    DUMI_REQUIRE(o->max_seconds >= 0, DUM_ERR_ARGUMENT, "options.max_seconds is %s, expected 0 or more",
                 dumi_show(o->max_seconds).text);
    return DUM_OK;
}

dum_status dumi_fitting_read(const dumi_fitting *f, const int64_t *indices, int64_t count, float *out)
{
    DUMI_TRY(dumi_dataset_gather(f->data, indices, count, out));
    for (int64_t i = 0; i < count; i++)
        DUMI_TRY(dumi_rows_check_row(out + i * f->data->cols, f->data->cols, indices[i]));
    return DUM_OK;
}

/* All rows of a dataset, contiguous; out NULL: only looks at them. */
static dum_status read_rows(const dumi_fitting *f, float **out)
{
    enum { READ_ROWS = 256, ASK_ROWS = 64 * READ_ROWS };
    dum_context *context = f->context;
    const dum_dataset *data = f->data;
    const int64_t kept = out != NULL || data->rows < READ_ROWS ? data->rows : READ_ROWS;
    float *rows;
    DUMI_TRY(DUMI_NEW_ROWS(context, rows, kept, data->cols));
    dum_status status = DUM_OK;
    for (int64_t first = 0; first < data->rows; first += READ_ROWS) {
        int64_t indices[READ_ROWS];
        if (first % ASK_ROWS == 0)
            DUMI_GO(dumi_fitting_progress(f, 0, data->rows, 0));
        const int64_t count = data->rows - first < READ_ROWS ? data->rows - first : READ_ROWS;
        float *to = rows + (out != NULL ? first * data->cols : 0);
        for (int64_t i = 0; i < count; i++)
            indices[i] = first + i;
        DUMI_GO(dumi_fitting_read(f, indices, count, to));
    }
done:
    if (status == DUM_OK && out != NULL)
        *out = rows;
    else
        dumi_free(context, rows);
    return status;
}

dum_status dumi_rows_check(dum_context *context, const dum_dataset *data, const dum_fit_options *options,
                           dumi_fitting *out)
{
    *out = dumi_fitting_begin(context, options);
    out->data = data;
    DUMI_TRY(check_options(options));
    return read_rows(out, NULL);
}

#define SCALING_PARAM(preset)                                                                                  \
    {                                                                                                          \
        "scaling", preset, 0, 0, (const char *const[]){"none", "minmax", "zscore", "unit", NULL},              \
            "none|minmax|zscore|unit", false,                                                                  \
            "of the columns, by the training rows: to 0 to 1, or to mean 0 and deviation 1; a constant "       \
            "column to 0; unit: of each row, to length 1"                                                      \
    }
const dumi_param dumi_scorer_scaling = SCALING_PARAM(SCALING_NONE);
const dumi_param dumi_scorer_scaling_minmax = SCALING_PARAM(SCALING_MINMAX);
const dumi_param dumi_scorer_scaling_zscore = SCALING_PARAM(SCALING_ZSCORE);

void dumi_rows_means(const dumi_fitting *f, double *mean)
{
    memset(mean, 0, (size_t)f->cols * sizeof *mean);
    for (int64_t i = 0; i < f->count; i++)
        for (int32_t j = 0; j < f->cols; j++)
            mean[j] += (double)f->rows[i * f->cols + j];
    for (int32_t j = 0; j < f->cols; j++)
        mean[j] /= (double)f->count;
}

void dumi_rows_variances(const dumi_fitting *f, const double *mean, double *variance)
{
    memset(variance, 0, (size_t)f->cols * sizeof *variance);
    for (int64_t i = 0; i < f->count; i++)
        for (int32_t j = 0; j < f->cols; j++) {
            const double off = (double)f->rows[i * f->cols + j] - mean[j];
            variance[j] += off * off;
        }
    for (int32_t j = 0; j < f->cols; j++)
        variance[j] /= (double)f->count;
}

static void find_range(const dumi_fitting *f, float *least, float *most)
{
    memcpy(least, f->rows, (size_t)f->cols * sizeof *least);
    memcpy(most, f->rows, (size_t)f->cols * sizeof *most);
    for (int64_t i = 1; i < f->count; i++)
        for (int32_t j = 0; j < f->cols; j++) {
            const float x = f->rows[i * f->cols + j];
            least[j] = x < least[j] ? x : least[j];
            most[j] = x > most[j] ? x : most[j];
        }
}

/* Columns stay as they are. */
static void find_nothing(const dumi_fitting *f, float *scaling)
{
    for (int32_t j = 0; j < f->cols; j++) {
        scaling[j] = 0;
        scaling[f->cols + j] = 1;
    }
}

/* As the paper's min-max scaling, and scikit-learn's StandardScaler. */
static dum_status find_scaling(const dumi_fitting *f, float *scaling)
{
    if (f->values[DUMI_SCORER_SCALING] == SCALING_UNIT) {
        find_nothing(f, scaling);
        return DUM_OK;
    }
    const bool minmax = f->values[DUMI_SCORER_SCALING] == SCALING_MINMAX;
    float *shift = scaling, *scale = scaling + f->cols;
    double *mean;
    DUMI_TRY(DUMI_NEW(f->context, mean, 2 * (size_t)f->cols));
    double *variance = mean + f->cols;
    dumi_rows_means(f, mean);
    dumi_rows_variances(f, mean, variance);
    find_range(f, shift, scale);
    for (int32_t j = 0; j < f->cols; j++) {
        const double width = minmax ? (double)scale[j] - (double)shift[j] : sqrt(variance[j]);
        scale[j] = scale[j] > shift[j] ? (float)fmin(1 / width, 1e38) : 0;
        shift[j] = minmax ? shift[j] : (float)mean[j];
    }
    dumi_free(f->context, mean);
    return DUM_OK;
}

static void to_length_one(int32_t cols, float *row)
{
    double most = 0, square = 0;
    for (int32_t j = 0; j < cols; j++) { /* not by fmax, over which gcc 12.2 breaks down on aarch64 */
        const double size = fabs((double)row[j]);
        most = size > most ? size : most;
    }
    for (int32_t j = 0; j < cols && most > 0; j++)
        square += (double)row[j] / most * ((double)row[j] / most);
    for (int32_t j = 0; j < cols && most > 0; j++)
        row[j] = (float)((double)row[j] / most / sqrt(square));
}

void dumi_rows_scale(const dumi_scorer_kind *kind, const double *values, const float *scaling, int64_t rows,
                     int32_t cols, const float *from, int64_t row_stride, float *to)
{
    const bool unit = kind->scales && values[DUMI_SCORER_SCALING] == SCALING_UNIT;
    for (int64_t i = 0; i < rows; i++) {
        for (int32_t j = 0; j < cols; j++) {
            const double x =
                ((double)from[i * row_stride + j] - (double)scaling[j]) * (double)scaling[cols + j];
            to[i * cols + j] = (float)(x < -1e15 ? -1e15 : x > 1e15 ? 1e15 : x);
        }
        if (unit)
            to_length_one(cols, to + i * cols);
    }
}

dum_status dumi_rows_fit(const dumi_scorer_kind *kind, dum_context *context, const double *values,
                         const dum_dataset *data, const dumi_output *output, const dum_fit_options *options,
                         float **scaling, void **state)
{
    dumi_fitting f = {.context = context,
                      .values = values,
                      .options = options,
                      .data = data,
                      .count = data->rows,
                      .cols = data->cols,
                      .labels = options->labels,
                      .part_count = 1,
                      .parts = {data->cols}};
    if (output != NULL) {
        f.part_count = output->count;
        memcpy(f.parts, output->parts, sizeof f.parts);
    }
    clock_gettime(CLOCK_MONOTONIC, &f.begin);
    DUMI_TRY(check_options(options));
    if (!kind->streams)
        DUMI_TRY(read_rows(&f, &f.rows));
    dum_status status = DUM_OK;
    if (kind->scales && values[DUMI_SCORER_SCALING] != SCALING_NONE) {
        DUMI_GO(DUMI_NEW(context, *scaling, 2 * (size_t)f.cols));
        DUMI_GO(find_scaling(&f, *scaling));
        dumi_rows_scale(kind, values, *scaling, f.count, f.cols, f.rows, f.cols, f.rows);
    }
    status = kind->fit_rows(&f, state);
done:
    dumi_free(context, f.rows);
    return status;
}

dumi_fitting dumi_fitting_begin(dum_context *context, const dum_fit_options *options)
{
    dumi_fitting f = {.context = context, .options = options};
    clock_gettime(CLOCK_MONOTONIC, &f.begin);
    return f;
}

double dumi_fitting_seconds(const dumi_fitting *f)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - f->begin.tv_sec) + 1e-9 * (double)(now.tv_nsec - f->begin.tv_nsec);
}

dum_status dumi_fitting_progress(const dumi_fitting *f, int64_t step, int64_t steps, double loss)
{
    const dum_fit_options *options = f->options;
    const double seconds = dumi_fitting_seconds(f);
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

static dum_status ask(const void *user, int64_t step, int64_t steps)
{
    return dumi_fitting_progress(user, step, steps, 0);
}

dumi_watch dumi_fitting_watch(const dumi_fitting *f)
{
    return (dumi_watch){ask, f};
}

int64_t dumi_fitting_part(const dumi_fitting *f)
{
    enum { LEAST = 96, MOST = 1 << 14 }; /* of a thread: fewer make no block of the search */
    const double each = 1e9 / ((double)f->count * (f->cols + 10.0));
    return f->context->threads * (each < LEAST ? LEAST : each > MOST ? MOST : (int64_t)each);
}

typedef struct {
    const dumi_scorer_kind *kind;
    const void *state;
    const float *data;
    int64_t rows, row_stride;
    double *scores;
} job;

static void score_task(void *argument, int64_t task, int32_t worker)
{
    (void)worker;
    const job *j = argument;
    const int64_t first = task * DUMI_BLOCK_ROWS,
                  end = first + DUMI_BLOCK_ROWS < j->rows ? first + DUMI_BLOCK_ROWS : j->rows;
    if (j->kind->block != NULL && end - first > 1) {
        j->kind->block(j->state, j->data + first * j->row_stride, j->row_stride, (int32_t)(end - first),
                       j->scores + first);
        return;
    }
    for (int64_t i = first; i < end; i++)
        j->scores[i] = j->kind->row(j->state, j->data + i * j->row_stride, NULL);
}

dum_status dumi_rows_score(const dumi_scorer_kind *kind, const void *state, const float *data, int64_t rows,
                           int32_t cols, int64_t row_stride, double *scores)
{
    dum_context *context = ((const dumi_state *)state)->context;
    DUMI_TRY(dumi_rows_check_finite(data, rows, cols, row_stride));
    job j = {kind, state, data, rows, row_stride, scores};
    dumi_parallel(context, context->threads, (rows + DUMI_BLOCK_ROWS - 1) / DUMI_BLOCK_ROWS,
                  kind->row_cost * cols * (double)rows, score_task, &j);
    return DUM_OK;
}

dum_status dumi_rows_explain(const dumi_scorer_kind *kind, const void *state, int32_t cols, int64_t row,
                             const float *x, float *share, const float *deviation)
{
    DUMI_REQUIRE(deviation == NULL, DUM_ERR_UNSUPPORTED, "deviation is for scorer dum, expected NULL");
    DUMI_TRY(dumi_rows_check_row(x, cols, row));
    kind->row(state, x, share);
    double sum = 0;
    for (int32_t j = 0; j < cols; j++)
        sum += (double)share[j];
    for (int32_t j = 0; j < cols; j++)
        share[j] = sum != 0 ? (float)((double)share[j] / sum) : 1.0f / (float)cols;
    return DUM_OK;
}
