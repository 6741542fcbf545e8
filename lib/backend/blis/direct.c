/* SPDX-License-Identifier: MIT
 * Micro-kernels for what BLIS's is too large or too particular for: 1 to 6 rows of 16 columns, operands
 * where they lie. Each element's products are added in the order of BLIS's kernel, by the same
 * instruction: kernel.c checks at run time that the bits agree, and does without these where they do not. */
#include "backend/blis/stream.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#define WIDE __attribute__((target("avx2,fma")))
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif
#define INLINE static inline __attribute__((always_inline)) WIDE

/* rows x (16 panels) of C = (add ? C : 0) + A B. */
INLINE void multiply(const int rows, const int panels, const dumi_direct *d)
{
    __m256 sum[6][8];
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
    for (int v = 0; v < 2 * panels; v++)
        sum[r][v] = _mm256_setzero_ps();
    const float *a = d->a, *b = d->b;
    for (int32_t p = 0; p < d->k; p++) {
        __m256 right[8];
        UNROLL
        for (int v = 0; v < 2 * panels; v++)
            right[v] = _mm256_loadu_ps(b + v / 2 * d->b_panel + v % 2 * 8);
        UNROLL
        for (int r = 0; r < rows; r++) {
            const __m256 left = _mm256_broadcast_ss(a + r * d->a_row);
            UNROLL
            for (int v = 0; v < 2 * panels; v++)
                sum[r][v] = _mm256_fmadd_ps(left, right[v], sum[r][v]);
        }
        a += d->a_col;
        b += d->b_row;
    }
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
    for (int v = 0; v < 2 * panels; v++) {
        float *c = d->c + r * d->c_row + (ptrdiff_t)8 * v;
        if (d->add)
            sum[r][v] = _mm256_add_ps(_mm256_loadu_ps(c), sum[r][v]);
        _mm256_storeu_ps(c, sum[r][v]);
    }
}

/* Enough sums at once to hide the latency of an addition. */
static WIDE void rows1x4(const dumi_direct *d)
{
    multiply(1, 4, d);
}
static WIDE void rows2x2(const dumi_direct *d)
{
    multiply(2, 2, d);
}
static WIDE void rows3x2(const dumi_direct *d)
{
    multiply(3, 2, d);
}
static WIDE void rows1(const dumi_direct *d)
{
    multiply(1, 1, d);
}
static WIDE void rows2(const dumi_direct *d)
{
    multiply(2, 1, d);
}
static WIDE void rows3(const dumi_direct *d)
{
    multiply(3, 1, d);
}
static WIDE void rows4(const dumi_direct *d)
{
    multiply(4, 1, d);
}
static WIDE void rows5(const dumi_direct *d)
{
    multiply(5, 1, d);
}
static WIDE void rows6(const dumi_direct *d)
{
    multiply(6, 1, d);
}

typedef void direct_fn(const dumi_direct *d);
static direct_fn *const one_panel[7] = {NULL, rows1, rows2, rows3, rows4, rows5, rows6};
static direct_fn *const more_panels[4] = {NULL, rows1x4, rows2x2, rows3x2};
static const int32_t panels_of[7] = {0, 4, 2, 2, 1, 1, 1};

int32_t dumi_blis_direct(int32_t rows, int32_t panels, const dumi_direct *d)
{
    if (panels < panels_of[rows] || panels_of[rows] == 1) {
        one_panel[rows](d);
        return 1;
    }
    more_panels[rows](d);
    return panels_of[rows];
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

bool dumi_blis_direct_runs(void)
{
    return false;
}

#endif
