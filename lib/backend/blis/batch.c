/* SPDX-License-Identifier: MIT
 * Batch normalisation and cross-entropy on all threads: the rows in pieces whose number is fixed, so that sums
 * do not depend on the number of threads. */
#include "backend/blis/stream.h"

#include <math.h>

/* Rows whose sums fit float32, before they go into the double that is kept. */
enum { PIECES = DUMI_BATCH_PIECES, BLOCK = 32, STRIP = 64 };

typedef struct {
    dumi_stream *stream;
    const dumi_batch_norm *norm;
    int32_t rows, cols;
    const float *x, *y, *add;
    float *out, *d, *d_add;
    bool relu, more;
} batch;

static int64_t piece_start(const batch *b, int64_t piece)
{
    return piece * b->rows / PIECES;
}

/* The two sums of one piece, by column. */
static double *piece_sums(const batch *b, int64_t piece)
{
    return b->stream->room.sums + piece * 2 * b->cols;
}

static void run(batch *b, double cost, dumi_task_fn task)
{
    dumi_parallel(b->stream->context, b->stream->threads, PIECES, cost * b->rows * b->cols, task, b);
}

/* ---- Moments ------------------------------------------------------------------------------ */

/* Sums of x - pivot and of its square over some rows of a strip of columns. */
DUMI_CLONES static void block_moments(const float *x, const float *pivot, int32_t rows, int32_t cols,
                                      int32_t stride, double *sum, double *squares)
{
    float s[STRIP] = {0}, q[STRIP] = {0};
    for (int32_t i = 0; i < rows; i++) {
        const float *row = x + (int64_t)i * stride;
        for (int32_t j = 0; j < cols; j++) {
            const float distance = row[j] - pivot[j];
            s[j] += distance;
            q[j] += distance * distance;
        }
    }
    for (int32_t j = 0; j < cols; j++) {
        sum[j] += (double)s[j];
        squares[j] += (double)q[j];
    }
}

static void moments_task(void *argument, int64_t piece, int32_t worker)
{
    (void)worker;
    const batch *b = argument;
    const int64_t first = piece_start(b, piece), end = piece_start(b, piece + 1);
    double *sum = piece_sums(b, piece), *squares = sum + b->cols;
    memset(sum, 0, (size_t)b->cols * 2 * sizeof *sum);
    if (end == first)
        return;
    const float *pivot = b->x + first * b->cols;
    for (int32_t col = 0; col < b->cols; col += STRIP)
        for (int64_t row = first; row < end; row += BLOCK)
            block_moments(b->x + row * b->cols + col, pivot + col,
                          (int32_t)(end - row < BLOCK ? end - row : BLOCK), dumi_least(STRIP, b->cols - col),
                          b->cols, sum + col, squares + col);
    for (int32_t j = 0; j < b->cols; j++) {
        const double n = (double)(end - first), mean = sum[j] / n;
        squares[j] = fmax(squares[j] - sum[j] * mean, 0); /* about the mean of the piece */
        sum[j] = (double)pivot[j] + mean;
    }
}

void dumi_blis_batch_moments(dumi_stream *stream, int32_t rows, int32_t cols, const float *x, float *mean,
                             float *variance)
{
    batch b = {.stream = stream, .rows = rows, .cols = cols, .x = x};
    run(&b, 4, moments_task);
    for (int32_t j = 0; j < cols; j++) {
        /* Chan, Golub & LeVeque 1983: moments of a union. */
        double n = 0, centre = 0, squares = 0;
        for (int32_t piece = 0; piece < PIECES; piece++) {
            const double m = (double)(piece_start(&b, piece + 1) - piece_start(&b, piece));
            if (!(m > 0))
                continue;
            const double gap = piece_sums(&b, piece)[j] - centre;
            squares += piece_sums(&b, piece)[cols + j] + gap * gap * n * m / (n + m);
            centre += gap * m / (n + m);
            n += m;
        }
        mean[j] = (float)centre;
        variance[j] = (float)(squares / n);
    }
}

/* ---- Forward ------------------------------------------------------------------------------ */

DUMI_CLONES static void normalise(const batch *b, int64_t row, const float *restrict scale,
                                  const float *restrict shift)
{
    const float *x = b->x + row * b->cols, *add = b->add != NULL ? b->add + row * b->cols : NULL;
    float *restrict out = b->out + row * b->cols;
    if (add != NULL)
        for (int32_t j = 0; j < b->cols; j++)
            out[j] = x[j] * scale[j] + shift[j] + add[j];
    else
        for (int32_t j = 0; j < b->cols; j++)
            out[j] = x[j] * scale[j] + shift[j];
    if (b->relu)
        for (int32_t j = 0; j < b->cols; j++)
            out[j] = out[j] > 0 ? out[j] : 0;
}

static void norm_task(void *argument, int64_t piece, int32_t worker)
{
    (void)worker;
    const batch *b = argument;
    const float *factors = b->stream->room.factors;
    for (int64_t row = piece_start(b, piece); row < piece_start(b, piece + 1); row++)
        normalise(b, row, factors, factors + b->cols);
}

static double inverse_deviation(const dumi_batch_norm *n, int32_t j)
{
    return 1 / sqrt((double)n->variance[j] + (double)n->epsilon);
}

void dumi_blis_batch_norm(dumi_stream *stream, const dumi_batch_norm *norm, const float *x, const float *add,
                          bool relu, float *y)
{
    batch b = {
        .stream = stream, .rows = norm->rows, .cols = norm->cols, .x = x, .add = add, .out = y, .relu = relu};
    float *scale = stream->room.factors, *shift = scale + norm->cols;
    for (int32_t j = 0; j < norm->cols; j++) {
        const double s = (double)norm->gamma[j] * inverse_deviation(norm, j);
        scale[j] = (float)s;
        shift[j] = (float)((double)norm->beta[j] - (double)norm->mean[j] * s);
    }
    run(&b, 4, norm_task);
}

/* ---- Backward ----------------------------------------------------------------------------- */

/* Masks rows of a strip of columns, hands them on, and sums d and d (x - mean). */
DUMI_CLONES static void block_backward(const batch *b, int64_t row, int32_t rows, int32_t col, int32_t cols,
                                       double *sum, double *product)
{
    float s[STRIP] = {0}, q[STRIP] = {0};
    const float *restrict mean = b->norm->mean + col;
    for (int32_t i = 0; i < rows; i++) {
        const int64_t at = (row + i) * b->cols + col;
        const float *restrict x = b->x + at;
        float *restrict d = b->d + at;
        if (b->y != NULL) {
            const float *restrict y = b->y + at;
            for (int32_t j = 0; j < cols; j++)
                d[j] = y[j] > 0 ? d[j] : 0;
        }
        if (b->d_add != NULL) {
            float *restrict d_add = b->d_add + at;
            if (b->more)
                for (int32_t j = 0; j < cols; j++)
                    d_add[j] += d[j];
            else
                memcpy(d_add, d, (size_t)cols * sizeof *d);
        }
        for (int32_t j = 0; j < cols; j++) {
            s[j] += d[j];
            q[j] += d[j] * (x[j] - mean[j]);
        }
    }
    for (int32_t j = 0; j < cols; j++) {
        sum[j] += (double)s[j];
        product[j] += (double)q[j];
    }
}

static void sums_task(void *argument, int64_t piece, int32_t worker)
{
    (void)worker;
    const batch *b = argument;
    const int64_t end = piece_start(b, piece + 1);
    double *sum = piece_sums(b, piece), *product = sum + b->cols;
    memset(sum, 0, (size_t)b->cols * 2 * sizeof *sum);
    for (int32_t col = 0; col < b->cols; col += STRIP)
        for (int64_t row = piece_start(b, piece); row < end; row += BLOCK)
            block_backward(b, row, (int32_t)(end - row < BLOCK ? end - row : BLOCK), col,
                           dumi_least(STRIP, b->cols - col), sum + col, product + col);
}

/* d = a d + b x + c by column. */
DUMI_CLONES static void row_backward(int32_t cols, const float *restrict factors, const float *restrict x,
                                     float *restrict d)
{
    const float *restrict second = factors + cols, *restrict third = factors + (ptrdiff_t)2 * cols;
    for (int32_t j = 0; j < cols; j++)
        d[j] = factors[j] * d[j] + second[j] * x[j] + third[j];
}

static void gradient_task(void *argument, int64_t piece, int32_t worker)
{
    (void)worker;
    const batch *b = argument;
    for (int64_t row = piece_start(b, piece); row < piece_start(b, piece + 1); row++)
        row_backward(b->cols, b->stream->room.factors, b->x + row * b->cols, b->d + row * b->cols);
}

void dumi_blis_batch_norm_backward(dumi_stream *stream, const dumi_batch_norm *norm, const float *x,
                                   const float *y, float *d, float *d_add, bool more, float *d_gamma,
                                   float *d_beta)
{
    const int32_t cols = norm->cols;
    batch b = {.stream = stream,
               .norm = norm,
               .rows = norm->rows,
               .cols = cols,
               .x = x,
               .y = y,
               .d = d,
               .d_add = d_add,
               .more = more};
    run(&b, 6, sums_task);
    float *factors = stream->room.factors;
    for (int32_t j = 0; j < cols; j++) {
        const double inverse = inverse_deviation(norm, j), scale = (double)norm->gamma[j] * inverse;
        double sum = 0, product = 0;
        for (int32_t piece = 0; piece < PIECES; piece++) {
            sum += piece_sums(&b, piece)[j];
            product += piece_sums(&b, piece)[cols + j];
        }
        product *= inverse;
        d_beta[j] = (float)sum;
        d_gamma[j] = (float)product;
        const double by_x = -scale * inverse * product / norm->rows;
        factors[j] = (float)scale;
        factors[cols + j] = norm->constant ? 0 : (float)by_x;
        factors[2 * cols + j] =
            norm->constant ? 0 : (float)(-scale * sum / norm->rows - by_x * (double)norm->mean[j]);
    }
    run(&b, 4, gradient_task);
}

/* ---- Cross-entropy ------------------------------------------------------------------------ */

typedef struct {
    dumi_stream *stream;
    const dumi_cross_entropy *shape;
    const float *logits;
    float *d_logits, *d_row_scale;
    double losses[PIECES];
    int64_t right[PIECES];
} entropy;

static void entropy_task(void *argument, int64_t piece, int32_t worker)
{
    (void)worker;
    entropy *e = argument;
    const int64_t first = piece * e->shape->rows / PIECES, end = (piece + 1) * e->shape->rows / PIECES;
    e->losses[piece] = 0;
    e->right[piece] = 0;
    for (int64_t i = first; i < end; i++) {
        bool right;
        e->losses[piece] +=
            dumi_ref_entropy_row(e->shape, i, e->logits + i * e->shape->cols, e->d_logits + i * e->shape->cols,
                                 e->d_row_scale != NULL ? e->d_row_scale + i : NULL, &right);
        e->right[piece] += right;
    }
}

dum_status dumi_blis_cross_entropy(dumi_stream *stream, const dumi_cross_entropy *shape, const float *logits,
                                   float *d_logits, float *d_row_scale, double *loss, int64_t *right)
{
    entropy e = {
        .stream = stream, .shape = shape, .logits = logits, .d_logits = d_logits, .d_row_scale = d_row_scale};
    dumi_parallel(stream->context, stream->threads, PIECES, 60.0 * shape->rows * shape->cols, entropy_task, &e);
    *loss = 0;
    *right = 0;
    for (int32_t piece = 0; piece < PIECES; piece++) {
        *loss += e.losses[piece] / shape->rows;
        *right += e.right[piece];
    }
    return DUM_OK;
}
