/* SPDX-License-Identifier: MIT
 * The paper's objective: two bags of Gaussians, each joined by a product of experts (Cao & Fleet 2014),
 * and the similarity of the two means. */
#include "backend/ref/ref.h"

#include <math.h>

enum { BLOCK = 64 }; /* columns at a time, so that rows are read along */

/* A block of columns of one bag: the largest precision (in logs), and sums relative to it. */
typedef struct {
    double most[BLOCK], sum[BLOCK], mean[BLOCK];
} joined;

typedef struct {
    const dumi_poe_shape *shape;
    const float *z, *s;
    int32_t first, count; /* the block */
} block;

/* Log-variances of row i in this block; a circular covariance has one for all columns. */
static double log_variance(const block *b, int64_t i, int32_t j)
{
    return (double)b->s[b->shape->outputs > 1 ? i * b->shape->outputs + b->first + j : i];
}

/* Precisions of row i relative to `most`. */
static void precisions(const block *b, const joined *g, int64_t i, double *w)
{
    if (b->shape->outputs > 1) {
        for (int32_t j = 0; j < b->count; j++)
            w[j] = exp(-log_variance(b, i, j) - g->most[j]);
        return;
    }
    const double one = exp(-log_variance(b, i, 0) - g->most[0]);
    for (int32_t j = 0; j < b->count; j++)
        w[j] = one;
}

/* The product of experts of rows first .. end - 1. */
static void join(const block *b, int32_t first, int32_t end, joined *g)
{
    for (int32_t j = 0; j < b->count; j++) {
        g->most[j] = -INFINITY;
        g->sum[j] = g->mean[j] = 0;
    }
    for (int64_t i = first; i < end; i++)
        for (int32_t j = 0; j < b->count; j++)
            g->most[j] = fmax(g->most[j], -log_variance(b, i, j));
    for (int64_t i = first; i < end; i++) {
        double w[BLOCK];
        precisions(b, g, i, w);
        const float *z = b->z + i * b->shape->cols + b->first;
        for (int32_t j = 0; j < b->count; j++) {
            g->sum[j] += w[j];
            g->mean[j] += w[j] * (double)z[j];
        }
    }
    for (int32_t j = 0; j < b->count; j++)
        g->mean[j] /= g->sum[j];
}

/* What the loss needs of the two means: their products, and from these the gradient by one mean. */
typedef struct {
    double ab, aa, bb;
} products;

static double loss_of(const dumi_poe_shape *shape, const products *p)
{
    if (!shape->cosine)
        return -p->ab / (double)shape->temperature;
    const double lengths = sqrt(p->aa) * sqrt(p->bb);
    return lengths > 0 ? -p->ab / lengths / (double)shape->temperature : 0;
}

/* Gradient of -loss by a component of one mean: `own` is that mean's, `other` the other's. */
static double mean_gradient(const dumi_poe_shape *shape, const products *p, double own, double other,
                            double own_square)
{
    const double temperature = (double)shape->temperature;
    if (!shape->cosine)
        return other / temperature;
    const double lengths = sqrt(p->aa) * sqrt(p->bb);
    if (!(lengths > 0))
        return 0;
    return (other - p->ab / own_square * own) / lengths / temperature;
}

/* Adds this bag's part of the gradient by s. d mean / d s_i = -share_i (z_i - mean), and the loss is minus
 * the similarity: the signs cancel. */
static void add_gradient(const block *b, int32_t first, int32_t end, const joined *g, const double *slope,
                         float *d_s)
{
    const int32_t outputs = b->shape->outputs;
    for (int64_t i = first; i < end; i++) {
        double w[BLOCK], all = 0;
        precisions(b, g, i, w);
        const float *z = b->z + i * b->shape->cols + b->first;
        for (int32_t j = 0; j < b->count; j++) {
            const double part = w[j] / g->sum[j] * ((double)z[j] - g->mean[j]) * slope[j];
            if (outputs > 1)
                d_s[i * outputs + b->first + j] += (float)part;
            all += part;
        }
        if (outputs == 1)
            d_s[i] += (float)all;
    }
}

static double add_prior(const dumi_poe_shape *shape, const float *s, float *d_s)
{
    const int64_t count = (int64_t)shape->rows * shape->outputs;
    const double weight = (double)shape->prior / (double)count;
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        sum += (double)s[i] * (double)s[i];
        d_s[i] += (float)(2 * weight * (double)s[i]);
    }
    return weight * sum;
}

dum_status dumi_ref_poe_loss(dumi_stream *stream, const dumi_poe_shape *shape, const float *z, const float *s,
                             float *d_s, double *loss)
{
    (void)stream;
    const int32_t second = shape->nested ? 0 : shape->split;
    block b = {.shape = shape, .z = z, .s = s};
    joined bag_a = {{0}, {0}, {0}}, bag_b = bag_a;
    products p = {0, 0, 0};
    for (b.first = 0; b.first < shape->cols; b.first += BLOCK) {
        b.count = shape->cols - b.first < BLOCK ? shape->cols - b.first : BLOCK;
        join(&b, 0, shape->split, &bag_a);
        join(&b, second, shape->rows, &bag_b);
        for (int32_t j = 0; j < b.count; j++) {
            p.ab += bag_a.mean[j] * bag_b.mean[j];
            p.aa += bag_a.mean[j] * bag_a.mean[j];
            p.bb += bag_b.mean[j] * bag_b.mean[j];
        }
    }
    memset(d_s, 0, (size_t)shape->rows * (size_t)shape->outputs * sizeof *d_s);
    for (b.first = 0; b.first < shape->cols; b.first += BLOCK) {
        b.count = shape->cols - b.first < BLOCK ? shape->cols - b.first : BLOCK;
        if (shape->cols > BLOCK) {
            join(&b, 0, shape->split, &bag_a);
            join(&b, second, shape->rows, &bag_b);
        }
        double by_a[BLOCK] = {0}, by_b[BLOCK] = {0};
        for (int32_t j = 0; j < b.count; j++) {
            by_a[j] = mean_gradient(shape, &p, bag_a.mean[j], bag_b.mean[j], p.aa);
            by_b[j] = mean_gradient(shape, &p, bag_b.mean[j], bag_a.mean[j], p.bb);
        }
        add_gradient(&b, 0, shape->split, &bag_a, by_a, d_s);
        add_gradient(&b, second, shape->rows, &bag_b, by_b, d_s);
    }
    *loss = loss_of(shape, &p) + (shape->prior > 0 ? add_prior(shape, s, d_s) : 0);
    return DUM_OK;
}
