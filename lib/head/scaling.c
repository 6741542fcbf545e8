/* SPDX-License-Identifier: MIT
 * From raw columns to z: statistics of the training rows, gathered in one pass; whitening takes a second. */
#include "dataset/dataset.h"
#include "head/head.h"
#include "linear/linear.h"

#include <math.h>

enum {
    BLOCK_FLOATS = 1 << 18,
    MOST_BLOCK_ROWS = 1024,
    GATHER_ROWS = 256,
    MEDIAN_ROWS = 10000,
    MOST_WHITEN_COLS = 4096
};

typedef struct {
    dum_context *context;
    dumi_stream *stream;
    const dum_dataset *data;
    const dumi_watch *watch;
    dumi_scaling *scaling;
    int32_t block_rows;
    float *block;                         /* raw rows, host */
    int64_t imputed;                      /* values of the blocks read so far */
    double *mean, *square, *least, *most; /* by column */
} pass;

static int32_t block_rows(int64_t rows, int32_t cols)
{
    int64_t count = BLOCK_FLOATS / cols;
    count = count > MOST_BLOCK_ROWS ? MOST_BLOCK_ROWS : count < 1 ? 1 : count;
    return (int32_t)(count < rows ? count : rows);
}

dum_status dumi_scaling_check(const dumi_scaling *scaling, int32_t rows, float *x, int64_t first,
                              const int64_t *indices)
{
    const int32_t cols = scaling->cols;
    for (int64_t i = 0; i < (int64_t)rows * cols; i++) {
        if (isfinite(x[i]))
            continue;
        const int64_t row = indices != NULL ? indices[i / cols] : first + i / cols;
        DUMI_REQUIRE(
            scaling->median != NULL, DUM_ERR_NONFINITE,
            "row %lld, column %lld (from 0) is %g, expected a finite number; option nonfinite = impute "
            "takes the column's median",
            (long long)row, (long long)(i % cols), (double)x[i]);
        x[i] = scaling->median[i % cols];
    }
    return DUM_OK;
}

/* Between pieces of the rows, which the host may take long to read. */
static dum_status ask_at(const dumi_watch *watch, int64_t first)
{
    return watch != NULL && first > 0 ? watch->ask(watch->user, 0, 1) : DUM_OK;
}

static dum_status read_block(pass *p, int64_t first, int32_t count)
{
    int64_t indices[MOST_BLOCK_ROWS];
    DUMI_TRY(ask_at(p->watch, first));
    for (int32_t i = 0; i < count; i++)
        indices[i] = first + i;
    DUMI_TRY(dumi_dataset_gather(p->data, indices, count, p->block));
    for (int64_t i = 0; i < (int64_t)count * p->scaling->cols && p->scaling->median != NULL; i++)
        p->imputed += !isfinite(p->block[i]);
    return dumi_scaling_check(p->scaling, count, p->block, first, NULL);
}

/* Joins the moments of a block to those of the `before` rows so far: Chan, Golub & LeVeque 1983. */
static void add_block(const pass *p, int64_t before, int32_t count)
{
    const int32_t cols = p->scaling->cols;
    for (int32_t j = 0; j < cols; j++) {
        double sum = 0, square = 0;
        for (int64_t i = 0; i < count; i++) {
            const double value = (double)p->block[i * cols + j];
            sum += value;
            p->least[j] = fmin(p->least[j], value);
            p->most[j] = fmax(p->most[j], value);
        }
        const double mean = sum / count;
        for (int64_t i = 0; i < count; i++) {
            const double difference = (double)p->block[i * cols + j] - mean;
            square += difference * difference;
        }
        const double total = (double)before + count, difference = mean - p->mean[j];
        p->mean[j] += difference * count / total;
        p->square[j] += square + difference * difference * (double)before * count / total;
    }
}

static dum_status gather_moments(pass *p)
{
    for (int32_t j = 0; j < p->scaling->cols; j++) {
        p->mean[j] = p->square[j] = 0;
        p->least[j] = INFINITY;
        p->most[j] = -INFINITY;
    }
    for (int64_t first = 0; first < p->data->rows;) {
        const int64_t left = p->data->rows - first;
        const int32_t count = (int32_t)(left < p->block_rows ? left : p->block_rows);
        DUMI_TRY(read_block(p, first, count));
        add_block(p, first, count);
        first += count;
    }
    return DUM_OK;
}

static void set_column(const pass *p, int32_t j)
{
    dumi_scaling *scaling = p->scaling;
    const double deviation = sqrt(p->square[j] / (double)p->data->rows);
    const bool constant = !(p->most[j] > p->least[j]) || !(deviation > 0);
    scaling->spread[j] = constant ? 0 : deviation;
    double shift = p->mean[j], unit = deviation;
    if (scaling->kind == DUMI_SCALE_MINMAX) {
        shift = p->least[j];
        unit = p->most[j] - p->least[j];
    } else if (scaling->kind == DUMI_SCALE_NONE) {
        shift = 0;
        unit = 1;
    }
    const float scale = constant && scaling->kind != DUMI_SCALE_NONE ? 0 : (float)(1 / unit);
    scaling->shift[j] = (float)shift;
    scaling->scale[j] = isfinite(scale) ? scale : 0;
}

/* One scale for all columns that are not constant: what they measure has one unit. */
static void share_unit(dumi_scaling *scaling)
{
    double square = 0;
    int32_t count = 0;
    for (int32_t j = 0; j < scaling->cols; j++) {
        square += scaling->spread[j] * scaling->spread[j];
        count += scaling->spread[j] > 0;
    }
    const float scale = count > 0 ? (float)(1 / sqrt(square / count)) : 0;
    for (int32_t j = 0; j < scaling->cols; j++)
        scaling->scale[j] = scaling->spread[j] > 0 && isfinite(scale) ? scale : 0;
}

/* Sum of |row|^4, which Ledoit & Wolf need. */
static double fourth_powers(int32_t rows, int32_t cols, const float *z)
{
    double sum = 0;
    for (int64_t i = 0; i < rows; i++) {
        double square = 0;
        for (int32_t j = 0; j < cols; j++)
            square += (double)z[i * cols + j] * (double)z[i * cols + j];
        sum += square * square;
    }
    return sum;
}

typedef struct {
    float *x, *z, *products; /* device: a block, scaled; z'z of it */
    float *host;             /* a block, or z'z, on the host */
    double *covariance, *vectors, *values, *shares;
    double fourth;
} whitening;

static dum_status add_products(const pass *p, whitening *w, int32_t count)
{
    const dumi_backend *backend = p->context->backend;
    const int32_t cols = p->scaling->cols;
    const size_t size = (size_t)count * (size_t)cols, square = (size_t)cols * (size_t)cols;
    backend->upload(p->stream, w->x, p->block, size);
    backend->affine(p->stream, count, cols, w->x, p->scaling->shift_device, p->scaling->scale_device, w->z);
    DUMI_TRY(backend->download(p->stream, w->host, w->z, size));
    w->fourth += fourth_powers(count, cols, w->host);
    backend->gemm(p->stream, &(dumi_gemm){
                                 .m = cols,
                                 .n = cols,
                                 .k = count,
                                 .a = w->z,
                                 .a_row = 1,
                                 .a_col = cols,
                                 .b = w->z,
                                 .b_row = cols,
                                 .b_col = 1,
                                 .c = w->products,
                                 .c_row = cols,
                             });
    DUMI_TRY(backend->download(p->stream, w->host, w->products, square));
    for (size_t i = 0; i < square; i++)
        w->covariance[i] += (double)w->host[i];
    return DUM_OK;
}

static dum_status set_rotation(const pass *p, whitening *w)
{
    const int32_t d = p->scaling->cols;
    const double rows = (double)p->data->rows;
    for (int64_t i = 0; i < (int64_t)d * d; i++)
        w->covariance[i] /= rows;
    const double mu = dumi_shrink(d, rows, w->fourth, w->covariance);
    DUMI_TRY(dumi_eigen(p->context, d, w->covariance, w->vectors, w->values, p->watch));
    for (int32_t j = 0; j < d; j++) {
        /* float32 resolves no eigenvalue below this part of their mean */
        const double value = fmax(w->values[j], 1e-6 * mu), factor = mu > 0 ? 1 / sqrt(value) : 1;
        w->values[j] = value;
        w->shares[j] = 0;
        for (int32_t i = 0; i < d; i++) {
            const double part = w->vectors[(int64_t)j * d + i];
            p->scaling->rotation[(int64_t)i * d + j] = (float)(part * factor);
            w->shares[j] += p->scaling->spread[i] > 0 ? part * part : 0;
        }
    }
    return DUM_OK;
}

static dum_status whitening_create(const pass *p, whitening *w)
{
    const dumi_backend *backend = p->context->backend;
    const size_t d = (size_t)p->scaling->cols, block = (size_t)p->block_rows * d;
    w->x = backend->alloc(p->context, block);
    w->z = backend->alloc(p->context, block);
    w->products = backend->alloc(p->context, d * d);
    if (w->x == NULL || w->z == NULL || w->products == NULL)
        return dumi_status();
    DUMI_TRY(DUMI_NEW(p->context, w->host, block > d * d ? block : d * d));
    DUMI_TRY(DUMI_NEW(p->context, w->covariance, d * d));
    DUMI_TRY(DUMI_NEW(p->context, w->vectors, d * d));
    DUMI_TRY(DUMI_NEW(p->context, w->values, d));
    DUMI_TRY(DUMI_NEW(p->context, w->shares, d));
    memset(w->covariance, 0, d * d * sizeof *w->covariance);
    return DUM_OK;
}

static void whitening_destroy(const pass *p, whitening *w)
{
    const dumi_backend *backend = p->context->backend;
    backend->free(p->context, w->x);
    backend->free(p->context, w->z);
    backend->free(p->context, w->products);
    dumi_free(p->context, w->host);
    dumi_free(p->context, w->covariance);
    dumi_free(p->context, w->vectors);
    dumi_free(p->context, w->values);
    dumi_free(p->context, w->shares);
}

static void drop_rotation(const pass *p)
{
    dumi_scaling *scaling = p->scaling;
    dumi_free(p->context, scaling->rotation);
    scaling->rotation = NULL;
    p->context->backend->unpack(p->context, scaling->rotation_packed);
    scaling->rotation_packed = NULL;
}

/* Scaling auto, of two that are there: the whitening stays, or goes and leaves the z-scores. */
static dum_status choose(const pass *p, const whitening *w, const double *options)
{
    dumi_scaling *scaling = p->scaling;
    bool stays;
    DUMI_TRY(dumi_scaling_choose(p->context, p->stream, options, p->data, scaling, w->values, w->shares,
                                 p->watch, &stays));
    scaling->kind = stays ? DUMI_SCALE_WHITEN : DUMI_SCALE_ZSCORE;
    if (!stays)
        drop_rotation(p);
    return DUM_OK;
}

static dum_status whiten(pass *p, const double *options)
{
    const int32_t d = p->scaling->cols;
    DUMI_REQUIRE(d <= MOST_WHITEN_COLS, DUM_ERR_LIMIT,
                 "scaling whiten takes at most %d columns, the data have %d: use scaling zscore",
                 MOST_WHITEN_COLS, d);
    whitening w = {0};
    dum_status status;
    DUMI_GO(whitening_create(p, &w));
    DUMI_GO(DUMI_NEW(p->context, p->scaling->rotation, (size_t)d * (size_t)d));
    for (int64_t first = 0; first < p->data->rows;) {
        const int64_t left = p->data->rows - first;
        const int32_t count = (int32_t)(left < p->block_rows ? left : p->block_rows);
        DUMI_GO(read_block(p, first, count));
        DUMI_GO(add_products(p, &w, count));
        first += count;
    }
    DUMI_GO(set_rotation(p, &w));
    DUMI_GO(dumi_scaling_upload(p->context, p->stream, p->scaling));
    if (p->scaling->kind == DUMI_SCALE_AUTO)
        DUMI_GO(choose(p, &w, options));
done:
    whitening_destroy(p, &w);
    return status;
}

/* Scaling auto: zscore, whiten or whiten-cov. */
static dum_status whiten_by_choice(pass *p, const double *options)
{
    bool own;
    DUMI_TRY(whiten(p, options));
    if (p->scaling->kind == DUMI_SCALE_ZSCORE)
        return DUM_OK;
    DUMI_TRY(dumi_scaling_choose_units(p->context, p->stream, options, p->data, p->scaling, p->watch, &own));
    if (!own)
        return DUM_OK;
    drop_rotation(p);
    p->scaling->kind = DUMI_SCALE_WHITEN_COV;
    share_unit(p->scaling);
    DUMI_TRY(dumi_scaling_upload(p->context, p->stream, p->scaling));
    return whiten(p, options);
}

/* Medians of the finite values of a random sample of rows; 0 where a column has none. */
static dum_status set_medians(const pass *p, uint64_t seed)
{
    const int32_t cols = p->scaling->cols;
    const int64_t rows = p->data->rows, count = rows < MEDIAN_ROWS ? rows : MEDIAN_ROWS;
    float *medians = NULL, *sample = NULL, *column = NULL;
    double since = 0;
    dum_status status;
    DUMI_GO(DUMI_NEW(p->context, medians, cols));
    DUMI_GO(DUMI_NEW(p->context, sample, (size_t)count * (size_t)cols));
    DUMI_GO(DUMI_NEW(p->context, column, 2 * count)); /* and as much to sort it */
    for (int64_t i = 0; i < count; i++) {
        const int64_t row = (int64_t)dumi_permute((uint64_t)rows, (uint64_t)i, seed, DUMI_RNG_IMPUTE, 0);
        if (i % GATHER_ROWS == 0)
            DUMI_GO(ask_at(p->watch, i));
        DUMI_GO(dumi_dataset_gather(p->data, &row, 1, sample + i * cols));
    }
    for (int32_t j = 0; j < cols; j++) {
        size_t finite = 0;
        DUMI_GO(dumi_watch_count(p->watch, &since, 100 * (double)count));
        for (int64_t i = 0; i < count; i++)
            if (isfinite(sample[i * cols + j]))
                column[finite++] = sample[i * cols + j];
        dumi_sort_float(column, (int64_t)finite, column + count);
        medians[j] = finite > 0 ? column[finite / 2] : 0;
    }
    p->scaling->median = medians;
    medians = NULL;
done:
    dumi_free(p->context, medians);
    dumi_free(p->context, sample);
    dumi_free(p->context, column);
    return status;
}

static dum_status pass_create(pass *p)
{
    const int32_t cols = p->scaling->cols;
    DUMI_TRY(DUMI_NEW(p->context, p->block, (size_t)p->block_rows * (size_t)cols));
    DUMI_TRY(DUMI_NEW(p->context, p->mean, 4 * (size_t)cols));
    p->square = p->mean + cols;
    p->least = p->square + cols;
    p->most = p->least + cols;
    DUMI_TRY(DUMI_NEW(p->context, p->scaling->shift, cols));
    DUMI_TRY(DUMI_NEW(p->context, p->scaling->scale, cols));
    return DUMI_NEW(p->context, p->scaling->spread, cols);
}

dum_status dumi_scaling_fit(dum_context *context, dumi_stream *stream, const double *values,
                            const dum_dataset *data, const dumi_watch *watch, dumi_scaling *out)
{
    out->kind = (int32_t)values[DUMI_SCALING];
    out->cols = data->cols;
    pass p = {.context = context,
              .stream = stream,
              .data = data,
              .watch = watch,
              .scaling = out,
              .block_rows = block_rows(data->rows, data->cols)};
    dum_status status;
    DUMI_GO(pass_create(&p));
    if ((int32_t)values[DUMI_NONFINITE] == DUMI_IMPUTE)
        DUMI_GO(set_medians(&p, (uint64_t)values[DUMI_SEED]));
    DUMI_GO(gather_moments(&p));
    if (p.imputed > 0)
        dumi_log(context, DUM_LOG_INFO, DUM_LOG_IMPUTED,
                 "%lld values are not finite: column medians take their place", (long long)p.imputed);
    for (int32_t j = 0; j < out->cols; j++)
        set_column(&p, j);
    if (out->kind == DUMI_SCALE_WHITEN_COV)
        share_unit(out);
    DUMI_GO(dumi_scaling_upload(context, stream, out));
    if (out->kind == DUMI_SCALE_AUTO && out->cols > MOST_WHITEN_COLS)
        out->kind = DUMI_SCALE_ZSCORE;
    if (out->kind == DUMI_SCALE_AUTO)
        DUMI_GO(whiten_by_choice(&p, values));
    else if (out->kind == DUMI_SCALE_WHITEN || out->kind == DUMI_SCALE_WHITEN_COV)
        DUMI_GO(whiten(&p, values));
done:
    dumi_free(context, p.block);
    dumi_free(context, p.mean);
    return status;
}

static dum_status upload(dum_context *context, dumi_stream *stream, const float *host, int32_t count,
                         float **device)
{
    if (*device == NULL)
        *device = context->backend->alloc(context, (size_t)count);
    if (*device == NULL)
        return dumi_status();
    context->backend->upload(stream, *device, host, (size_t)count);
    return DUM_OK;
}

dum_status dumi_scaling_upload(dum_context *context, dumi_stream *stream, dumi_scaling *scaling)
{
    const dumi_backend *backend = context->backend;
    DUMI_TRY(upload(context, stream, scaling->shift, scaling->cols, &scaling->shift_device));
    DUMI_TRY(upload(context, stream, scaling->scale, scaling->cols, &scaling->scale_device));
    if (scaling->rotation != NULL && scaling->rotation_packed == NULL) {
        scaling->rotation_packed =
            backend->pack(context, scaling->rotation, scaling->cols, scaling->cols, DUMI_FLOAT32);
        if (scaling->rotation_packed == NULL)
            return dumi_status();
    }
    return backend->sync(stream);
}

static dum_status copy(dum_context *context, const void *from, size_t size, void *to_pointer)
{
    if (from == NULL)
        return DUM_OK;
    void *to = dumi_alloc(context, size, 1);
    if (to == NULL)
        return dumi_status();
    memcpy(to, from, size);
    memcpy(to_pointer, &to, sizeof to);
    return DUM_OK;
}

dum_status dumi_scaling_copy(dum_context *context, const dumi_scaling *from, dumi_scaling *to)
{
    const size_t cols = (size_t)from->cols, floats = cols * sizeof(float);
    to->kind = from->kind;
    to->cols = from->cols;
    DUMI_TRY(copy(context, from->shift, floats, &to->shift));
    DUMI_TRY(copy(context, from->scale, floats, &to->scale));
    DUMI_TRY(copy(context, from->spread, cols * sizeof(double), &to->spread));
    DUMI_TRY(copy(context, from->rotation, cols * floats, &to->rotation));
    return copy(context, from->median, floats, &to->median);
}

void dumi_scaling_destroy(dum_context *context, dumi_scaling *scaling)
{
    const dumi_backend *backend = context->backend;
    dumi_free(context, scaling->shift);
    dumi_free(context, scaling->scale);
    dumi_free(context, scaling->spread);
    dumi_free(context, scaling->rotation);
    dumi_free(context, scaling->median);
    backend->free(context, scaling->shift_device);
    backend->free(context, scaling->scale_device);
    if (scaling->rotation_packed != NULL)
        backend->unpack(context, scaling->rotation_packed);
}

void dumi_scaling_apply(dumi_stream *stream, const dumi_backend *backend, const dumi_scaling *scaling,
                        int32_t rows, const float *x, float *between, float *z)
{
    const int32_t cols = scaling->cols;
    float *scaled = scaling->rotation_packed != NULL ? between : z;
    backend->affine(stream, rows, cols, x, scaling->shift_device, scaling->scale_device, scaled);
    if (scaling->kind == DUMI_SCALE_UNIT)
        backend->unit(stream, rows, cols, z);
    if (scaling->rotation_packed != NULL)
        backend->gemm(stream, &(dumi_gemm){
                                  .m = rows,
                                  .n = cols,
                                  .k = cols,
                                  .a = between,
                                  .a_row = cols,
                                  .a_col = 1,
                                  .packed = scaling->rotation_packed,
                                  .c = z,
                                  .c_row = cols,
                              });
}

void dumi_sample_rows(int64_t rows, int32_t count, uint64_t seed, int64_t *indices)
{
    for (int32_t i = 0; i < count; i++)
        indices[i] =
            count == rows ? i : (int64_t)dumi_permute((uint64_t)rows, (uint64_t)i, seed, DUMI_RNG_RESERVOIR, 0);
    if (count < rows)
        dumi_sort_int64(indices, count);
}

dum_status dumi_scaling_gather(dum_context *context, dumi_stream *stream, const dumi_scaling *scaling,
                               const dum_dataset *data, const int64_t *indices, int32_t rows,
                               const dumi_watch *watch, float *out)
{
    const dumi_backend *backend = context->backend;
    const int32_t cols = scaling->cols;
    const size_t size = (size_t)GATHER_ROWS * (size_t)cols;
    float *raw = NULL, *x = backend->alloc(context, size), *z = backend->alloc(context, size);
    float *between = backend->alloc(context, size);
    dum_status status = x != NULL && z != NULL && between != NULL ? DUM_OK : dumi_status();
    DUMI_GO(status);
    DUMI_GO(DUMI_NEW(context, raw, size));
    for (int32_t first = 0; first < rows; first += GATHER_ROWS) {
        const int32_t count = rows - first < GATHER_ROWS ? rows - first : GATHER_ROWS;
        const size_t floats = (size_t)count * (size_t)cols;
        DUMI_GO(ask_at(watch, first));
        DUMI_GO(dumi_dataset_gather(data, indices + first, count, raw));
        DUMI_GO(dumi_scaling_check(scaling, count, raw, 0, indices + first));
        backend->upload(stream, x, raw, floats);
        dumi_scaling_apply(stream, backend, scaling, count, x, between, z);
        DUMI_GO(backend->download(stream, out + (int64_t)first * cols, z, floats));
    }
done:
    backend->free(context, x);
    backend->free(context, z);
    backend->free(context, between);
    dumi_free(context, raw);
    return status;
}
