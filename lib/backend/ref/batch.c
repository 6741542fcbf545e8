/* SPDX-License-Identifier: MIT
 * Batch normalisation (Ioffe & Szegedy 2015), the gradient of unit length, cross-entropy. */
#include "backend/ref/ref.h"

#include <math.h>

void dumi_ref_batch_moments(dumi_stream *stream, int32_t rows, int32_t cols, const float *x, float *mean,
                            float *variance)
{
    (void)stream;
    for (int32_t j = 0; j < cols; j++) {
        double sum = 0, squares = 0;
        for (int64_t i = 0; i < rows; i++)
            sum += (double)x[i * cols + j];
        const double centre = sum / rows;
        for (int64_t i = 0; i < rows; i++) {
            const double distance = (double)x[i * cols + j] - centre;
            squares += distance * distance;
        }
        mean[j] = (float)centre;
        variance[j] = (float)(squares / rows);
    }
}

static double inverse_deviation(const dumi_batch_norm *n, int32_t j)
{
    return 1 / sqrt((double)n->variance[j] + (double)n->epsilon);
}

void dumi_ref_batch_norm(dumi_stream *stream, const dumi_batch_norm *n, const float *x, const float *add,
                         bool relu, float *y)
{
    (void)stream;
    for (int32_t j = 0; j < n->cols; j++) {
        const double scale = (double)n->gamma[j] * inverse_deviation(n, j);
        for (int64_t at = j; at < (int64_t)n->rows * n->cols; at += n->cols) {
            double value = ((double)x[at] - (double)n->mean[j]) * scale + (double)n->beta[j];
            value += add != NULL ? (double)add[at] : 0;
            y[at] = (float)(relu && value < 0 ? 0 : value);
        }
    }
}

void dumi_ref_batch_norm_backward(dumi_stream *stream, const dumi_batch_norm *n, const float *x, const float *y,
                                  float *d, float *d_add, bool more, float *d_gamma, float *d_beta)
{
    (void)stream;
    const int64_t count = (int64_t)n->rows * n->cols;
    for (int32_t j = 0; j < n->cols; j++) {
        const double inverse = inverse_deviation(n, j), mean = (double)n->mean[j];
        double sum = 0, product = 0;
        for (int64_t at = j; at < count; at += n->cols) {
            if (y != NULL && !(y[at] > 0))
                d[at] = 0;
            if (d_add != NULL)
                d_add[at] = d[at] + (more ? d_add[at] : 0);
            sum += (double)d[at];
            product += (double)d[at] * ((double)x[at] - mean) * inverse;
        }
        d_beta[j] = (float)sum;
        d_gamma[j] = (float)product;
        const double scale = (double)n->gamma[j] * inverse;
        for (int64_t at = j; at < count; at += n->cols) {
            const double unit = ((double)x[at] - mean) * inverse;
            d[at] = (float)(scale * ((double)d[at] - (n->constant ? 0 : (sum + unit * product) / n->rows)));
        }
    }
}

void dumi_ref_unit_backward(dumi_stream *stream, int32_t rows, int32_t cols, const float *z, float *d)
{
    (void)stream;
    for (int64_t i = 0; i < rows; i++) {
        const float *row = z + i * cols;
        float *gradient = d + i * cols;
        double squares = 0, along = 0;
        for (int32_t j = 0; j < cols; j++) {
            squares += (double)row[j] * (double)row[j];
            along += (double)row[j] * (double)gradient[j];
        }
        const double inverse = squares > 0 ? 1 / sqrt(squares) : 0;
        for (int32_t j = 0; j < cols; j++)
            gradient[j] = (float)(((double)gradient[j] - along * (double)row[j] * inverse * inverse) * inverse);
    }
}

double dumi_ref_entropy_row(const dumi_cross_entropy *s, int64_t i, const float *logits, float *d,
                            float *d_scale, bool *right)
{
    const int64_t left_out = s->skip >= 0 ? i + s->skip : -1, label = (int64_t)s->labels[i];
    const double row_scale = s->row_scale != NULL ? (double)s->row_scale[i] : 1;
    const double scale = (double)s->scale * row_scale, target = scale * (double)logits[label];
    double most = target, sum = 0, slope = 0;
    *right = true;
    for (int64_t j = 0; j < s->cols; j++) {
        if (j == left_out)
            continue;
        const double value = scale * (double)logits[j];
        *right = *right && (j == label || value < target);
        most = value > most ? value : most;
    }
    for (int64_t j = 0; j < s->cols; j++)
        sum += j == left_out ? 0 : exp(scale * (double)logits[j] - most);
    for (int64_t j = 0; j < s->cols; j++) {
        const double share = j == left_out ? 0 : exp(scale * (double)logits[j] - most) / sum;
        const double gradient = (share - (j == label ? 1 : 0)) / s->rows;
        slope += gradient * (double)s->scale * (double)logits[j];
        d[j] = (float)(gradient * scale);
    }
    if (d_scale != NULL)
        *d_scale = (float)slope;
    return most + log(sum) - target;
}

dum_status dumi_ref_cross_entropy(dumi_stream *stream, const dumi_cross_entropy *s, const float *logits,
                                  float *d_logits, float *d_row_scale, double *loss, int64_t *right)
{
    (void)stream;
    double sum = 0;
    *right = 0;
    for (int64_t i = 0; i < s->rows; i++) {
        bool hit;
        sum += dumi_ref_entropy_row(s, i, logits + i * s->cols, d_logits + i * s->cols,
                                    d_row_scale != NULL ? d_row_scale + i : NULL, &hit);
        *right += hit;
    }
    *loss = sum / s->rows;
    return DUM_OK;
}
