/* SPDX-License-Identifier: MIT
 * Operations by element and by row. */
#include "backend/ref/ref.h"

#include <math.h>

DUMI_CLONES void dumi_ref_colsum(dumi_stream *stream, int32_t rows, int32_t cols, const float *a, float *out)
{
    (void)stream;
    memset(out, 0, (size_t)cols * sizeof *out);
    for (int64_t i = 0; i < rows; i++) {
        const float *restrict row = a + i * cols;
        for (int32_t j = 0; j < cols; j++)
            out[j] += row[j];
    }
}

DUMI_CLONES void dumi_ref_affine(dumi_stream *stream, int32_t rows, int32_t cols, const float *x,
                                 const float *shift, const float *scale, float *out)
{
    (void)stream;
    for (int64_t i = 0; i < rows; i++) {
        for (int32_t j = 0; j < cols; j++) {
            /* In double, since x - shift may overflow float. */
            double value = ((double)x[i * cols + j] - (double)shift[j]) * (double)scale[j];
            value = value > 1e15 ? 1e15 : value;
            out[i * cols + j] = (float)(value < -1e15 ? -1e15 : value);
        }
    }
}

static double square_norm(int32_t cols, const float *z)
{
    double sum = 0;
    for (int32_t j = 0; j < cols; j++)
        sum += (double)z[j] * (double)z[j];
    return sum;
}

void dumi_ref_unit(dumi_stream *stream, int32_t rows, int32_t cols, float *z)
{
    (void)stream;
    for (int64_t i = 0; i < rows; i++) {
        float *row = z + i * cols;
        const double length = sqrt(square_norm(cols, row));
        for (int32_t j = 0; j < cols && length > 0; j++)
            row[j] = (float)((double)row[j] / length);
    }
}

static double square_distance(int32_t cols, const float *x, const float *y)
{
    double sum = 0;
    for (int32_t j = 0; j < cols; j++) {
        const double difference = (double)x[j] - (double)y[j];
        sum += difference * difference;
    }
    return sum;
}

enum { LOOKED_AT = 64 };

DUMI_CLONES static bool any_above(const float *values, int32_t count, float least)
{
    int32_t above = 0;
    for (int32_t i = 0; i < count; i++)
        above += values[i] > least;
    return above > 0;
}

/* Puts i among the `count` with the largest products, if it is one; all before it were put. */
static inline void rank(const float *products, int32_t i, int32_t count, int32_t *found)
{
    int32_t at = i < count ? i : count;
    while (at > 0 && products[i] > products[found[at - 1]]) {
        if (at < count)
            found[at] = found[at - 1];
        at--;
    }
    if (at < count)
        found[at] = i;
}

/* Ranked by their products, which float32 rounds; measured in double. */
static double nearest_centres(const dumi_head_shape *shape, const float *z, const float *products)
{
    const int32_t count = shape->centre_count < DUMI_NEAR ? shape->centre_count : DUMI_NEAR;
    int32_t found[DUMI_NEAR];
    for (int32_t first = 0; first < shape->centre_count; first += LOOKED_AT) {
        const int32_t left = shape->centre_count - first, looked = left < LOOKED_AT ? left : LOOKED_AT;
        if (first > 0 && !any_above(products + first, looked, products[found[count - 1]]))
            continue;
        for (int32_t i = first; i < first + looked; i++)
            rank(products, i, count, found);
    }
    double sum = 0;
    for (int32_t i = 0; i < count; i++)
        sum += square_distance(shape->cols, z, shape->centres + (int64_t)found[i] * shape->cols);
    return sum / count;
}

void dumi_ref_head(dumi_stream *stream, const dumi_head_shape *shape, const float *o, const float *z, float *s)
{
    (void)stream;
    const float c = shape->bound_scale;
    for (int64_t i = 0; i < shape->rows; i++) {
        float base = *shape->offset;
        if (shape->anchor) {
            const float *row = z + i * shape->cols;
            const double square = shape->centre_count > 0
                                      ? nearest_centres(shape, row, shape->products + i * shape->centre_count)
                                      : square_norm(shape->cols, row);
            base += (float)log((double)shape->epsilon + square / shape->cols);
        }
        for (int64_t j = i * shape->outputs; j < (i + 1) * shape->outputs; j++)
            s[j] = base + (shape->bound == DUMI_BOUND_TANH ? c * tanhf(o[j] / c) : o[j]);
    }
}

void dumi_ref_head_backward(dumi_stream *stream, const dumi_head_shape *shape, const float *o, const float *d_s,
                            float *d_o, float *d_offset)
{
    (void)stream;
    const int64_t count = (int64_t)shape->rows * shape->outputs;
    const float weight = shape->shrinkage / (float)count;
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        sum += (double)d_s[i];
        float slope = 1;
        if (shape->bound == DUMI_BOUND_TANH) {
            const float level = tanhf(o[i] / shape->bound_scale);
            slope = 1 - level * level;
        }
        d_o[i] = d_s[i] * slope + weight * o[i];
    }
    if (d_offset != NULL)
        *d_offset = (float)sum;
}

dum_status dumi_ref_local_loss(dumi_stream *stream, int32_t rows, int32_t outputs, const float *s,
                               const float *t, float *d_s, double *loss)
{
    (void)stream;
    const int64_t count = (int64_t)rows * outputs;
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        /* t exp(-s) by logarithms would cost more and is not needed: float range is kept by the exponent
         * in double. */
        const double ratio = (double)t[i] * exp(-(double)s[i]);
        sum += ratio + (double)s[i];
        d_s[i] = (float)(0.5 * (1 - ratio) / (double)count);
    }
    *loss = 0.5 * sum / (double)count;
    return DUM_OK;
}

dum_status dumi_ref_dot(dumi_stream *stream, size_t count, const float *x, const float *y, double *sum)
{
    (void)stream;
    double total = 0;
    for (size_t i = 0; i < count; i++)
        total += (double)x[i] * (double)y[i];
    *sum = total;
    return DUM_OK;
}

/* Kingma & Ba 2015; the bias correction is in step->rate and step->epsilon. */
DUMI_CLONES void dumi_ref_adam(dumi_stream *stream, size_t count, const dumi_step *step, const float *gradient,
                               float *weights, float *first, float *second)
{
    (void)stream;
    const dumi_step p = *step;
    for (size_t i = 0; i < count; i++) {
        const float g = gradient[i] * p.scale + p.decay * weights[i];
        first[i] = p.beta1 * first[i] + (1 - p.beta1) * g;
        second[i] = p.beta2 * second[i] + (1 - p.beta2) * g * g;
        weights[i] -= p.rate * first[i] / (sqrtf(second[i]) + p.epsilon);
    }
}

DUMI_CLONES void dumi_ref_sgd(dumi_stream *stream, size_t count, const dumi_step *step, const float *gradient,
                              float *weights, float *velocity)
{
    (void)stream;
    const dumi_step p = *step;
    for (size_t i = 0; i < count; i++) {
        velocity[i] = p.beta1 * velocity[i] + gradient[i] * p.scale + p.decay * weights[i];
        weights[i] -= p.rate * velocity[i];
    }
}

float dumi_ref_int8_scale(const float *column, int32_t count, int64_t stride)
{
    float most = 0;
    for (int64_t i = 0; i < count; i++)
        most = fmaxf(most, fabsf(column[i * stride]));
    return most / 127;
}

int8_t dumi_ref_int8(float value, float scale)
{
    if (!(scale > 0))
        return 0;
    const long units = lrintf(value / scale);
    return (int8_t)(units > 127 ? 127 : units < -127 ? -127 : units);
}

void dumi_ref_update(const dumi_update *u, size_t at, size_t count, const float *gradient)
{
    if (u->second != NULL)
        dumi_ref_adam(NULL, count, u->step, gradient, u->weights + at, u->first + at, u->second + at);
    else
        dumi_ref_sgd(NULL, count, u->step, gradient, u->weights + at, u->first + at);
}

/* log sum exp(factor s) */
static double log_sum_exp(int32_t count, const float *s, double factor)
{
    double most = -INFINITY, sum = 0;
    for (int32_t j = 0; j < count; j++)
        most = factor * (double)s[j] > most ? factor * (double)s[j]
                                            : most; /* fmax here breaks gcc 12 on aarch64 */
    for (int32_t j = 0; j < count; j++)
        sum += exp(factor * (double)s[j] - most);
    return most + log(sum);
}

dum_status dumi_ref_norm(dumi_stream *stream, int32_t rows, int32_t outputs, int32_t norm, const float *s,
                         double *scores)
{
    (void)stream;
    for (int64_t i = 0; i < rows; i++) {
        const float *row = s + i * outputs;
        if (norm == DUMI_NORM_LOGDET) {
            double sum = 0;
            for (int32_t j = 0; j < outputs; j++)
                sum += (double)row[j];
            scores[i] = sum / outputs;
        } else {
            scores[i] =
                norm == DUMI_NORM_L2 ? 0.5 * log_sum_exp(outputs, row, 2) : log_sum_exp(outputs, row, 1);
        }
    }
    return DUM_OK;
}
