/* SPDX-License-Identifier: MIT */
#include "image/corrupt.h"

#include <math.h>

void dumi_gaussian_noise(dumi_corrupting *c)
{
    static const double sigma[DUMI_SEVERITIES] = {0.04, 0.06, 0.08, 0.09, 0.10};
    const int64_t size = dumi_image_size(&c->shape);
    for (int64_t i = 0; i < size; i++)
        c->planes[i] += (float)(255 * sigma[c->severity] * dumi_rng_normal(&c->rng));
}

/* Stirling's series: good to 1e-9 from 10 on. */
static double log_factorial(double k)
{
    static const double small[10] = {0,
                                     0,
                                     0.6931471805599453,
                                     1.791759469228055,
                                     3.178053830347946,
                                     4.787491742782046,
                                     6.579251212010101,
                                     8.525161361065415,
                                     10.60460290274525,
                                     12.801827480081469};
    if (k < 10)
        return small[(int)k];
    return (k + 0.5) * log(k) - k + 0.9189385332046727 + (1 / 12.0 - 1 / (360 * k * k)) / k;
}

/* Knuth: as many factors as keep the product above exp(-mean). */
static double poisson_by_product(dumi_rng *rng, double mean)
{
    const double least = exp(-mean);
    double product = dumi_rng_uniform(rng);
    int32_t count = 0;
    while (product > least) {
        product *= dumi_rng_uniform(rng);
        count++;
    }
    return count;
}

/* Hoermann 1993, "The transformed rejection method for generating Poisson random variables": PTRS, for mean >= 10. */
static double poisson_by_rejection(dumi_rng *rng, double mean)
{
    const double b = 0.931 + 2.53 * sqrt(mean), a = -0.059 + 0.02483 * b;
    const double inverse_alpha = 1.1239 + 1.1328 / (b - 3.4), squeeze = 0.9277 - 3.6224 / (b - 2);
    for (;;) {
        const double u = dumi_rng_uniform(rng) - 0.5, v = dumi_rng_uniform(rng);
        const double edge = 0.5 - fabs(u);
        if (edge <= 0)
            continue;
        const double k = floor((2 * a / edge + b) * u + mean + 0.43);
        if (edge >= 0.07 && v <= squeeze)
            return k;
        if (k < 0 || (edge < 0.013 && v > edge))
            continue;
        if (log(v * inverse_alpha / (a / (edge * edge) + b)) <= k * log(mean) - mean - log_factorial(k))
            return k;
    }
}

static double poisson(dumi_rng *rng, double mean)
{
    return mean < 10 ? poisson_by_product(rng, mean) : poisson_by_rejection(rng, mean);
}

void dumi_shot_noise(dumi_corrupting *c)
{
    static const double photons[DUMI_SEVERITIES] = {500, 250, 100, 75, 50}; /* of a white pixel */
    const double most = photons[c->severity];
    const int64_t size = dumi_image_size(&c->shape);
    for (int64_t i = 0; i < size; i++)
        c->planes[i] = (float)(255 / most * poisson(&c->rng, (double)c->planes[i] / 255 * most));
}

void dumi_impulse_noise(dumi_corrupting *c)
{
    static const double share[DUMI_SEVERITIES] = {0.01, 0.02, 0.03, 0.05, 0.07};
    const int64_t size = dumi_image_size(&c->shape);
    for (int64_t i = 0; i < size; i++) {
        const double u = dumi_rng_uniform(&c->rng) / share[c->severity];
        if (u < 1)
            c->planes[i] = u < 0.5 ? 255 : 0;
    }
}
