/* SPDX-License-Identifier: MIT
 * The paper's objective: two bags of Gaussians, each joined by a product of experts (Cao & Fleet 2014),
 * and the similarity of the two means. */
#include "backend/ref/ref.h"

#include <math.h>

typedef struct {
    const dumi_poe_shape *shape;
    const float *z, *s;
    int32_t first, end; /* rows of the bag */
} bag;

/* Column j of s for row i; a circular covariance has one column for all. */
static double log_variance(const bag *b, int32_t i, int32_t j)
{
    const int32_t outputs = b->shape->outputs;
    return (double)b->s[(int64_t)i * outputs + (outputs > 1 ? j : 0)];
}

/* Largest precision of column j (in logs), and the sum of precisions relative to it. */
static double precisions(const bag *b, int32_t j, double *most)
{
    double sum = 0;
    *most = -INFINITY;
    for (int32_t i = b->first; i < b->end; i++)
        *most = fmax(*most, -log_variance(b, i, j));
    for (int32_t i = b->first; i < b->end; i++)
        sum += exp(-log_variance(b, i, j) - *most);
    return sum;
}

static double share(const bag *b, int32_t i, int32_t j, double most, double sum)
{
    return exp(-log_variance(b, i, j) - most) / sum;
}

static double joined_mean(const bag *b, int32_t j)
{
    double most, mean = 0;
    const double sum = precisions(b, j, &most);
    for (int32_t i = b->first; i < b->end; i++)
        mean += share(b, i, j, most, sum) * (double)b->z[(int64_t)i * b->shape->cols + j];
    return mean;
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

/* Adds this bag's part of the gradient by s for column j. */
static void add_gradient(const bag *b, int32_t j, double mean, double slope, float *d_s)
{
    const int32_t outputs = b->shape->outputs;
    double most;
    const double sum = precisions(b, j, &most);
    for (int32_t i = b->first; i < b->end; i++) {
        const double difference = (double)b->z[(int64_t)i * b->shape->cols + j] - mean;
        d_s[(int64_t)i * outputs + (outputs > 1 ? j : 0)] += (float)(share(b, i, j, most, sum) * difference * slope);
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

dum_status dumi_ref_poe_loss(dumi_stream *stream, const dumi_poe_shape *shape, const float *z,
                             const float *s, float *d_s, double *loss)
{
    (void)stream;
    const bag a = {shape, z, s, 0, shape->split};
    const bag b = {shape, z, s, shape->nested ? 0 : shape->split, shape->rows};
    products p = {0, 0, 0};
    for (int32_t j = 0; j < shape->cols; j++) {
        const double mean_a = joined_mean(&a, j), mean_b = joined_mean(&b, j);
        p.ab += mean_a * mean_b;
        p.aa += mean_a * mean_a;
        p.bb += mean_b * mean_b;
    }
    memset(d_s, 0, (size_t)shape->rows * (size_t)shape->outputs * sizeof *d_s);
    for (int32_t j = 0; j < shape->cols; j++) {
        const double mean_a = joined_mean(&a, j), mean_b = joined_mean(&b, j);
        /* d mean / d s_i = -share_i (z_i - mean), and the loss is minus the similarity: signs cancel. */
        add_gradient(&a, j, mean_a, mean_gradient(shape, &p, mean_a, mean_b, p.aa), d_s);
        add_gradient(&b, j, mean_b, mean_gradient(shape, &p, mean_b, mean_a, p.bb), d_s);
    }
    *loss = loss_of(shape, &p) + (shape->prior > 0 ? add_prior(shape, s, d_s) : 0);
    return DUM_OK;
}
