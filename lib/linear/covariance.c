/* SPDX-License-Identifier: MIT */
#include "linear/linear.h"

#include <math.h>

enum { STRIP = 16, BATCH = 4 };

typedef struct {
    const float *rows;
    const int64_t *chosen;
    int64_t count;
    int32_t d;
    double *mean, *covariance;
    double *scratch; /* for each worker BATCH rows */
} work;

static const float *row_of(const work *w, int64_t i)
{
    return w->rows + (w->chosen != NULL ? w->chosen[i] : i) * w->d;
}

DUMI_CLONES static void add_row(int32_t d, const float *restrict row, double *restrict sum)
{
    for (int32_t j = 0; j < d; j++)
        sum[j] += (double)row[j];
}

DUMI_CLONES static void centre_row(int32_t d, const float *restrict row, const double *restrict mean,
                                   double *restrict out)
{
    for (int32_t j = 0; j < d; j++)
        out[j] = (double)row[j] - mean[j];
}

/* sum += a0 x0 + ... + a3 x3 */
DUMI_CLONES static void add_four(int32_t count, const double *restrict a, const double *restrict x0,
                                 const double *restrict x1, const double *restrict x2,
                                 const double *restrict x3, double *restrict sum)
{
    const double a0 = a[0], a1 = a[1], a2 = a[2], a3 = a[3];
    for (int32_t j = 0; j < count; j++)
        sum[j] += (a0 * x0[j] + a1 * x1[j]) + (a2 * x2[j] + a3 * x3[j]);
}

/* Some rows of the lower half: all of the data pass by. */
static void strip_task(void *argument, int64_t task, int32_t worker)
{
    const work *w = argument;
    const int32_t d = w->d, first = (int32_t)task * STRIP, end = first + STRIP < d ? first + STRIP : d;
    double *x = w->scratch + (int64_t)worker * BATCH * d;
    memset(w->covariance + (int64_t)first * d, 0, (size_t)(end - first) * (size_t)d * sizeof *x);
    for (int64_t i = 0; i < w->count; i += BATCH) {
        for (int32_t r = 0; r < BATCH; r++) {
            if (i + r < w->count)
                centre_row(end, row_of(w, i + r), w->mean, x + (int64_t)r * d);
            else
                memset(x + (int64_t)r * d, 0, (size_t)end * sizeof *x);
        }
        for (int32_t j = first; j < end; j++) {
            const double a[BATCH] = {x[j], x[d + j], x[2 * (int64_t)d + j], x[3 * (int64_t)d + j]};
            add_four(j + 1, a, x, x + d, x + 2 * (int64_t)d, x + 3 * (int64_t)d,
                     w->covariance + (int64_t)j * d);
        }
    }
}

dum_status dumi_covariance(dum_context *context, const float *rows, const int64_t *chosen, int64_t count,
                           int32_t d, double *mean, double *covariance, const dumi_watch *watch)
{
    work w = {rows, chosen, count, d, mean, covariance, NULL};
    DUMI_TRY(DUMI_NEW(context, w.scratch, (size_t)context->threads * BATCH * (size_t)d));
    memset(mean, 0, (size_t)d * sizeof *mean);
    for (int64_t i = 0; i < count; i++)
        add_row(d, row_of(&w, i), mean);
    for (int32_t j = 0; j < d; j++)
        mean[j] /= (double)count;
    const dum_status status = dumi_parallel_watched(context, context->threads, (d + STRIP - 1) / STRIP,
                                                    0.5 * (double)count * d * d, strip_task, &w, watch);
    for (int64_t i = 0; i < d; i++)
        for (int64_t j = 0; j <= i; j++) {
            covariance[i * d + j] /= (double)count;
            covariance[j * d + i] = covariance[i * d + j];
        }
    dumi_free(context, w.scratch);
    return status;
}

double dumi_shrink(int32_t d, double rows, double fourth, double *covariance)
{
    const size_t square = (size_t)d * (size_t)d;
    double trace = 0, norm = 0;
    for (size_t i = 0; i < square; i++)
        norm += covariance[i] * covariance[i];
    for (int32_t j = 0; j < d; j++)
        trace += covariance[(int64_t)j * d + j];
    const double mu = trace / d;
    const double delta = (norm - 2 * mu * trace + d * mu * mu) / d;
    const double beta = fmin((fourth / rows - norm) / d / rows, delta);
    const double share = delta > 0 && beta > 0 ? beta / delta : 0;
    for (size_t i = 0; i < square; i++)
        covariance[i] *= 1 - share;
    for (int32_t j = 0; j < d; j++)
        covariance[(int64_t)j * d + j] += share * mu;
    return mu;
}

static double fourth_powers(const float *rows, int64_t count, int32_t d, const double *mean)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        double square = 0;
        for (int32_t j = 0; j < d; j++) {
            const double off = (double)rows[i * d + j] - mean[j];
            square += off * off;
        }
        sum += square * square;
    }
    return sum;
}

dum_status dumi_shrunk_covariance(dum_context *context, const float *rows, int64_t count, int32_t d,
                                  double *mean, double *covariance, const dumi_watch *watch, double *mu)
{
    DUMI_TRY(dumi_covariance(context, rows, NULL, count, d, mean, covariance, watch));
    *mu = dumi_shrink(d, (double)count, fourth_powers(rows, count, d, mean), covariance);
    return DUM_OK;
}

DUMI_CLONES double dumi_dot_double(int32_t count, const double *x, const double *y)
{
    double sum[4] = {0, 0, 0, 0};
    int32_t i = 0;
    for (; i + 4 <= count; i += 4)
        for (int32_t lane = 0; lane < 4; lane++)
            sum[lane] += x[i + lane] * y[i + lane];
    for (; i < count; i++)
        sum[0] += x[i] * y[i];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* A vector type: what gcc 12 makes of loops over the lanes takes twice as long. */
typedef double quad __attribute__((vector_size(4 * sizeof(double)), aligned(sizeof(double)), may_alias));

#define QUAD_AT(x) (*(const quad *)(const void *)(x))

DUMI_CLONES void dumi_dot_four(int32_t count, const double *x, const double *y, int64_t stride, double *out)
{
    const double *y1 = y + stride, *y2 = y1 + stride, *y3 = y2 + stride;
    quad s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
    int32_t i = 0;
    for (; i + 4 <= count; i += 4) {
        const quad left = QUAD_AT(x + i);
        s0 += left * QUAD_AT(y + i);
        s1 += left * QUAD_AT(y1 + i);
        s2 += left * QUAD_AT(y2 + i);
        s3 += left * QUAD_AT(y3 + i);
    }
    double first[4] = {s0[0], s1[0], s2[0], s3[0]};
    for (; i < count; i++) {
        first[0] += x[i] * y[i];
        first[1] += x[i] * y1[i];
        first[2] += x[i] * y2[i];
        first[3] += x[i] * y3[i];
    }
    out[0] = (first[0] + s0[1]) + (s0[2] + s0[3]);
    out[1] = (first[1] + s1[1]) + (s1[2] + s1[3]);
    out[2] = (first[2] + s2[1]) + (s2[2] + s2[3]);
    out[3] = (first[3] + s3[1]) + (s3[2] + s3[3]);
}

DUMI_CLONES static void add_scaled(int32_t count, double factor, const double *restrict x, double *restrict y)
{
    for (int32_t i = 0; i < count; i++)
        y[i] += factor * x[i];
}

/* Row by row: row i of L from the rows above (Golub & Van Loan, section 4.2), then of its inverse. A column without a
 * pivot is left out: its row and column of L and of the inverse are zero. */
dum_status dumi_cholesky_inverse(int32_t d, double *a, double floor, const dumi_watch *watch, int32_t *rank,
                                 double *log_determinant)
{
    double since = 0;
    *rank = 0;
    *log_determinant = 0;
    for (int64_t i = 0; i < d; i++) {
        double *row = a + i * d;
        const double limit = floor * row[i];
        DUMI_TRY(dumi_watch_count(watch, &since, (double)i * (double)i));
        for (int64_t j = 0; j < i; j++) {
            const double pivot = a[j * d + j];
            row[j] = pivot > 0 ? (row[j] - dumi_dot_double((int32_t)j, row, a + j * d)) / pivot : 0;
        }
        const double pivot = row[i] - dumi_dot_double((int32_t)i, row, row);
        memset(row + i + 1, 0, (size_t)(d - 1 - i) * sizeof *row);
        if (!(pivot > limit)) {
            memset(row, 0, (size_t)(i + 1) * sizeof *row);
            continue;
        }
        row[i] = sqrt(pivot);
        *log_determinant += log(pivot);
        ++*rank;
    }
    /* Rows of the inverse need those above only: row i = (e_i - sum over j < i of l_ij w_j) / l_ii; each l_ij
     * is read before its place is written. */
    for (int64_t i = 0; i < d; i++) {
        double *row = a + i * d;
        if (!(row[i] > 0))
            continue;
        DUMI_TRY(dumi_watch_count(watch, &since, (double)i * (double)i));
        for (int64_t j = 0; j < i; j++) {
            const double l = row[j];
            row[j] = 0;
            add_scaled((int32_t)j + 1, -l, a + j * d, row);
        }
        for (int64_t j = 0; j < i; j++)
            row[j] /= row[i];
        row[i] = 1 / row[i];
    }
    return DUM_OK;
}
