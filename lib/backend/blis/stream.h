/* SPDX-License-Identifier: MIT */
#ifndef DUMI_BLIS_STREAM_H
#define DUMI_BLIS_STREAM_H

#include "backend/ref/ref.h"

/* BLIS's single-precision micro-kernel and the sizes it wants, in plain types: blis.h is included by
 * one file only. */
typedef struct {
    int32_t mr, nr, kc;
    void *kernel, *context;
} dumi_blis_kernel;

/* C (m x n, row-major with c_row) = beta C + A B on packed micro-panels. */
void dumi_blis_multiply(const dumi_blis_kernel *kernel, int32_t m, int32_t n, int32_t k, const float *a,
                        const float *b, float beta, float *c, int64_t c_row);

/* Rows and columns of one task, and the most that is packed at once: fixed, so that the same
 * multiplications happen in the same order for any number of threads. */
enum { DUMI_TASK_ROWS = 256, DUMI_TASK_COLS = 512, DUMI_CHUNK = 4096, DUMI_MOST_MR = 64, DUMI_MOST_NR = 64 };

struct dumi_stream {
    dum_context *context;
    const dumi_blis_kernel *kernel;
    int32_t threads;
    int32_t chunk_m, chunk_n; /* multiples of mr and nr */
    float *pack_a, *pack_b;
    struct dumi_blis_search *search; /* scratch of spread */
};

void dumi_blis_gemm(dumi_stream *stream, const dumi_gemm *gemm);
dumi_packed *dumi_blis_pack(dum_context *context, const float *b, int32_t k, int32_t n);
void dumi_blis_unpack(dum_context *context, dumi_packed *packed);
void dumi_blis_spread(dumi_stream *stream, int32_t queries, int32_t points, int32_t cols, const float *q,
                      const float *p, const int32_t *exclude, int32_t k, int32_t outputs, float *t);
dum_status dumi_blis_search_create(dumi_stream *stream);
void dumi_blis_adam(dumi_stream *stream, size_t count, const dumi_step *step, const float *gradient,
                    float *weights, float *first, float *second);
void dumi_blis_sgd(dumi_stream *stream, size_t count, const dumi_step *step, const float *gradient,
                   float *weights, float *velocity);
dum_status dumi_blis_sum_squares(dumi_stream *stream, size_t count, const float *x, double *sum);

static inline int32_t dumi_round_up(int32_t value, int32_t step)
{
    return (value + step - 1) / step * step;
}

#endif
