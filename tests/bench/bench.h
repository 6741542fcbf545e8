/* SPDX-License-Identifier: MIT
 * Clocks and the bounds of the machine, for the benchmarks. */
#ifndef DUMI_BENCH_H
#define DUMI_BENCH_H

#define _GNU_SOURCE
#include "backend/blis/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline double bench_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static inline int bench_order(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static inline double bench_median(double *times, int count)
{
    qsort(times, (size_t)count, sizeof *times, bench_order);
    return times[count / 2];
}

static inline void bench_check(dum_status status)
{
    if (status == DUM_OK || status == DUM_CANCELLED)
        return;
    fprintf(stderr, "%s: %s\n", dum_status_name(status), dum_error_message());
    exit(1);
}

static inline dum_context *bench_context(int32_t threads)
{
    dum_context_options options;
    DUM_INIT(options);
    options.backend = "blis";
    options.threads = threads;
    dum_context *context;
    bench_check(dum_context_create(&options, &context));
    return context;
}

static inline float *bench_floats(size_t count)
{
    float *values = malloc(count * sizeof *values);
    if (values == NULL)
        exit(1);
    dumi_rng rng;
    dumi_rng_init(&rng, 1, DUMI_RNG_WEIGHTS, 0);
    for (size_t i = 0; i < count; i++)
        values[i] = (float)(dumi_rng_uniform(&rng) - 0.5);
    return values;
}

/* Operations a second of C += A B with packed operands that stay in cache: the micro-kernel alone. */
static inline double bench_gemm_peak(dum_context *context)
{
    const dumi_blis_kernel *kernel = context->backend_state;
    const int32_t k = kernel->kc;
    float *a = dumi_alloc(context, (size_t)kernel->mr * (size_t)k, sizeof *a);
    float *b = dumi_alloc(context, (size_t)kernel->nr * (size_t)k, sizeof *b);
    float *c = dumi_alloc(context, (size_t)kernel->mr * (size_t)kernel->nr, sizeof *c);
    memset(a, 0, (size_t)kernel->mr * (size_t)k * sizeof *a);
    memset(b, 0, (size_t)kernel->nr * (size_t)k * sizeof *b);
    memset(c, 0, (size_t)kernel->mr * (size_t)kernel->nr * sizeof *c);
    double best = 1e9;
    for (int trial = 0; trial < 50; trial++) {
        const double begin = bench_now();
        for (int i = 0; i < 2000; i++)
            dumi_blis_multiply(kernel, kernel->mr, kernel->nr, k, a, b, 1, c, kernel->nr);
        const double time = bench_now() - begin;
        best = time < best ? time : best;
    }
    dumi_free(context, a);
    dumi_free(context, b);
    dumi_free(context, c);
    return 2.0 * kernel->mr * kernel->nr * k * 2000 / best;
}

typedef float bench_vector __attribute__((vector_size(32), aligned(4)));

/* Bytes a second at which one thread reads memory that is in no cache. */
static inline double bench_bandwidth(void)
{
    const size_t count = (size_t)64 << 20;
    float *values = bench_floats(count);
    double best = 1e9;
    static volatile float sink;
    for (int trial = 0; trial < 7; trial++) {
        const double begin = bench_now();
        bench_vector sums[8];
        memset(sums, 0, sizeof sums);
        for (size_t i = 0; i < count; i += 64)
            for (size_t j = 0; j < 8; j++)
                sums[j] += *(const bench_vector *)(const void *)(values + i + 8 * j);
        float sum = 0;
        for (size_t j = 0; j < 8; j++)
            for (size_t l = 0; l < 8; l++)
                sum += sums[j][l];
        sink = sum;
        const double time = bench_now() - begin;
        best = time < best ? time : best;
    }
    (void)sink;
    free(values);
    return (double)count * sizeof *values / best;
}

#endif
