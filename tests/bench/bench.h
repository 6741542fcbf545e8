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

/* Operations a second of C += A B with packed operands that stay in cache: the micro-kernel alone, the best
 * of `trials` of about a millisecond. The clock of a shared machine changes: measure it beside the work. */
static inline double bench_gemm_peak(dum_context *context, int trials)
{
    const dumi_blis_kernel *kernel = context->backend_state;
    const bool wide = kernel->direct == DUMI_DIRECT_AVX512;
    const int32_t rows = wide ? 2 * kernel->mr : kernel->mr, cols = wide ? 2 * kernel->nr : kernel->nr;
    const int32_t k = wide ? 128 : kernel->kc; /* so that both operands stay in the first cache */
    static _Alignas(64) float a[DUMI_MOST_MR * 1024], b[DUMI_MOST_NR * 1024], c[DUMI_MOST_MR * DUMI_MOST_NR];
    const dumi_direct tile = {k,   true,       a,
                              1,   kernel->mr, (int64_t)kernel->mr * k,
                              b,   kernel->nr, (int64_t)kernel->nr * k,
                              c,   cols,       DUMI_FLOAT32,
                              NULL};
    dumi_ahead none = {.rows = 0};
    double best = 1e9;
    for (int trial = 0; trial < trials; trial++) {
        const double begin = bench_now();
        for (int i = 0; i < 2000; i++)
            if (wide)
                dumi_blis_wide(rows, kernel->mr, 2, &tile, &none);
            else
                dumi_blis_multiply(kernel, rows, cols, k, a, b, 1, c, cols);
        const double time = bench_now() - begin;
        best = time < best ? time : best;
    }
    return 2.0 * rows * cols * k * 2000 / best;
}

typedef float bench_vector __attribute__((vector_size(32), aligned(4)));

/* Bytes a second at which one thread reads memory that is in no cache: in 1 to 8 streams at once, whichever
 * is fastest. */
static inline double bench_bandwidth_once(const float *values, size_t count, size_t streams)
{
    static volatile float sink;
    const size_t each = count / streams;
    const double begin = bench_now();
    bench_vector sums[4];
    memset(sums, 0, sizeof sums);
    for (size_t i = 0; i < each; i += 32)
        for (size_t s = 0; s < streams; s++)
            for (size_t j = 0; j < 4; j++)
                sums[j] += *(const bench_vector *)(const void *)(values + s * each + i + 8 * j);
    const double time = bench_now() - begin;
    sink = sums[0][0] + sums[1][0] + sums[2][0] + sums[3][0];
    (void)sink;
    return (double)(each * streams) * sizeof *values / time;
}

enum { BENCH_MEMORY = 64 << 20 }; /* floats: far more than the caches hold */

static inline double bench_bandwidth(const float *values)
{
    double best = 0;
    for (size_t streams = 1; streams <= 8; streams *= 2) {
        const double rate = bench_bandwidth_once(values, BENCH_MEMORY, streams);
        best = rate > best ? rate : best;
    }
    return best;
}

#endif
