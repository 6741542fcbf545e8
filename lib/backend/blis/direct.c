/* SPDX-License-Identifier: MIT
 * Micro-kernels for what BLIS's is too large or too particular for: 1 to 6 rows of 16 columns, operands
 * where they lie. Each element's products are added in the order of BLIS's kernel, by the same
 * instruction: kernel.c checks at run time that the bits agree, and does without these where they do not. */
#include "backend/blis/stream.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#define WIDE __attribute__((target("avx2,fma")))
#define INLINE static inline __attribute__((always_inline)) WIDE

/* Eight elements of B as float32. */
INLINE __m256 element8(const dumi_direct *d, const int precision, int64_t at, const __m256 *scale)
{
    if (precision == DUMI_FLOAT32)
        return _mm256_loadu_ps((const float *)d->b + at);
    const __m128i bytes = _mm_loadl_epi64((const __m128i *)(const void *)((const int8_t *)d->b + at));
    return _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)), *scale);
}

/* rows x (16 panels) of C = (add ? C : 0) + A B. */
INLINE void multiply(const int rows, const int panels, const int precision, const dumi_direct *d)
{
    __m256 sum[6][8], scale[8];
    DUMI_UNROLL
    for (int v = 0; v < 2 * panels; v++)
        scale[v] = precision == DUMI_INT8 ? _mm256_loadu_ps(d->scales + (ptrdiff_t)8 * v) : _mm256_setzero_ps();
    DUMI_UNROLL
    for (int r = 0; r < rows; r++)
        DUMI_UNROLL
    for (int v = 0; v < 2 * panels; v++)
        sum[r][v] = _mm256_setzero_ps();
    const float *a = d->a;
    int64_t b = 0;
    for (int32_t p = 0; p < d->k; p++) {
        __m256 right[8];
        DUMI_UNROLL
        for (int v = 0; v < 2 * panels; v++)
            right[v] = element8(d, precision, b + v / 2 * d->b_panel + (int64_t)8 * (v % 2), &scale[v]);
        DUMI_UNROLL
        for (int r = 0; r < rows; r++) {
            const __m256 left = _mm256_broadcast_ss(a + r * d->a_row);
            DUMI_UNROLL
            for (int v = 0; v < 2 * panels; v++)
                sum[r][v] = _mm256_fmadd_ps(left, right[v], sum[r][v]);
        }
        a += d->a_col;
        b += d->b_row;
    }
    DUMI_UNROLL
    for (int r = 0; r < rows; r++)
        DUMI_UNROLL
    for (int v = 0; v < 2 * panels; v++) {
        float *c = d->c + r * d->c_row + (ptrdiff_t)8 * v;
        if (d->add)
            sum[r][v] = _mm256_add_ps(_mm256_loadu_ps(c), sum[r][v]);
        _mm256_storeu_ps(c, sum[r][v]);
    }
}

/* The compiler makes one kernel of each: rows, panels, precision. Enough sums at once to hide the latency of an
 * addition, where there are panels enough. */
#define KERNELS(precision)                                                                                     \
    static WIDE int32_t multiply_##precision(int32_t rows, int32_t panels, const dumi_direct *d)               \
    {                                                                                                          \
        if (rows == 1 && panels >= 4)                                                                          \
            return multiply(1, 4, precision, d), 4;                                                            \
        if (rows == 2 && panels >= 2)                                                                          \
            return multiply(2, 2, precision, d), 2;                                                            \
        if (rows == 3 && panels >= 2)                                                                          \
            return multiply(3, 2, precision, d), 2;                                                            \
        if (rows == 1)                                                                                         \
            multiply(1, 1, precision, d);                                                                      \
        else if (rows == 2)                                                                                    \
            multiply(2, 1, precision, d);                                                                      \
        else if (rows == 3)                                                                                    \
            multiply(3, 1, precision, d);                                                                      \
        else if (rows == 4)                                                                                    \
            multiply(4, 1, precision, d);                                                                      \
        else if (rows == 5)                                                                                    \
            multiply(5, 1, precision, d);                                                                      \
        else                                                                                                   \
            multiply(6, 1, precision, d);                                                                      \
        return 1;                                                                                              \
    }
KERNELS(DUMI_FLOAT32)
KERNELS(DUMI_INT8)

int32_t dumi_blis_direct(int32_t rows, int32_t panels, const dumi_direct *d)
{
    if (d->precision == DUMI_INT8)
        return multiply_DUMI_INT8(rows, panels, d);
    return multiply_DUMI_FLOAT32(rows, panels, d);
}

static WIDE void rows6(int32_t rows, dumi_direct *d)
{
    for (int32_t row = 0; row + 6 <= rows; row += 6) {
        multiply(6, 1, DUMI_FLOAT32, d);
        d->a += d->a_panel;
        d->c += 6 * d->c_row;
    }
}

void dumi_blis_direct_rows(int32_t rows, int32_t step, dumi_direct *d)
{
    if (step == 6 && d->precision == DUMI_FLOAT32) {
        rows6(rows, d);
        rows %= 6;
    }
    for (; rows > 0; rows -= step) {
        dumi_blis_direct(rows < step ? rows : step, 1, d);
        d->a += d->a_panel;
        d->c += step * d->c_row;
    }
}

bool dumi_blis_direct_runs(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

#else

int32_t dumi_blis_direct(int32_t rows, int32_t panels, const dumi_direct *d)
{
    (void)rows;
    (void)d;
    return panels;
}

void dumi_blis_direct_rows(int32_t rows, int32_t step, dumi_direct *d)
{
    (void)rows;
    (void)step;
    (void)d;
}

bool dumi_blis_direct_runs(void)
{
    return false;
}

#endif
