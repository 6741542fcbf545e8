/* SPDX-License-Identifier: MIT
 * The micro-kernel of convolutions: A is not a matrix but a place for each row and a place for each column
 * (Dukhan 2019, "The Indirect Convolution Algorithm"), so that nothing is unrolled into memory. */
#include "backend/blis/stream.h"

static void tile_plain(const dumi_tile *t)
{
    float sum[DUMI_DIRECT_ROWS][DUMI_DIRECT_COLS];
    for (int r = 0; r < DUMI_DIRECT_ROWS; r++)
        for (int j = 0; j < DUMI_DIRECT_COLS; j++)
            sum[r][j] = t->add ? t->c[r][j] : 0;
    for (int32_t p = 0; p < t->k; p++) {
        const float *b = t->b + p * t->b_row;
        for (int r = 0; r < DUMI_DIRECT_ROWS; r++) {
            const float a = t->a[r][t->col[p]];
            for (int j = 0; j < DUMI_DIRECT_COLS; j++)
                sum[r][j] += a * b[j];
        }
    }
    for (int r = 0; r < DUMI_DIRECT_ROWS; r++)
        memcpy(t->c[r], sum[r], sizeof sum[r]);
}

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

__attribute__((target("avx2,fma"))) static void tile_wide(const dumi_tile *t)
{
    __m256 sum[DUMI_DIRECT_ROWS][2];
    DUMI_UNROLL
    for (int r = 0; r < DUMI_DIRECT_ROWS; r++)
        sum[r][0] = sum[r][1] = _mm256_setzero_ps();
    const float *const a0 = t->a[0], *const a1 = t->a[1], *const a2 = t->a[2], *const a3 = t->a[3],
                       *const a4 = t->a[4], *const a5 = t->a[5];
    const float *b = t->b;
    const int32_t *col = t->col, *const end = col + t->k;
    const int64_t b_row = t->b_row;
    for (; col < end; col++, b += b_row) {
        const __m256 left = _mm256_loadu_ps(b), right = _mm256_loadu_ps(b + 8);
        const int64_t at = *col;
        const float *const places[DUMI_DIRECT_ROWS] = {a0, a1, a2, a3, a4, a5};
        DUMI_UNROLL
        for (int r = 0; r < DUMI_DIRECT_ROWS; r++) {
            const __m256 a = _mm256_broadcast_ss(places[r] + at);
            sum[r][0] = _mm256_fmadd_ps(a, left, sum[r][0]);
            sum[r][1] = _mm256_fmadd_ps(a, right, sum[r][1]);
        }
    }
    DUMI_UNROLL
    for (int r = 0; r < DUMI_DIRECT_ROWS; r++) {
        float *c = t->c[r];
        if (t->add) {
            sum[r][0] = _mm256_add_ps(_mm256_loadu_ps(c), sum[r][0]);
            sum[r][1] = _mm256_add_ps(_mm256_loadu_ps(c + 8), sum[r][1]);
        }
        _mm256_storeu_ps(c, sum[r][0]);
        _mm256_storeu_ps(c + 8, sum[r][1]);
    }
}

#define WIDEST __attribute__((target("avx512f")))

static inline __attribute__((always_inline)) WIDEST void multiply_widest(const dumi_tile *t, const int panels)
{
    __m512 sum[DUMI_DIRECT_ROWS][2];
    DUMI_UNROLL
    for (int r = 0; r < DUMI_DIRECT_ROWS; r++)
        sum[r][0] = sum[r][1] = _mm512_setzero_ps();
    const float *const a0 = t->a[0], *const a1 = t->a[1], *const a2 = t->a[2], *const a3 = t->a[3],
                       *const a4 = t->a[4], *const a5 = t->a[5];
    const float *b = t->b;
    const int32_t *col = t->col, *const end = col + t->k;
    const int64_t b_row = t->b_row, b_panel = t->b_panel;
    for (; col < end; col++, b += b_row) {
        __m512 right[2];
        DUMI_UNROLL
        for (int v = 0; v < panels; v++)
            right[v] = _mm512_loadu_ps(b + v * b_panel);
        const int64_t at = *col;
        const float *const places[DUMI_DIRECT_ROWS] = {a0, a1, a2, a3, a4, a5};
        DUMI_UNROLL
        for (int r = 0; r < DUMI_DIRECT_ROWS; r++) {
            const __m512 a = _mm512_set1_ps(places[r][at]);
            DUMI_UNROLL
            for (int v = 0; v < panels; v++)
                sum[r][v] = _mm512_fmadd_ps(a, right[v], sum[r][v]);
        }
    }
    DUMI_UNROLL
    for (int r = 0; r < DUMI_DIRECT_ROWS; r++)
        DUMI_UNROLL
    for (int v = 0; v < panels; v++) {
        float *c = t->c[r] + (ptrdiff_t)DUMI_DIRECT_COLS * v;
        if (t->add)
            sum[r][v] = _mm512_add_ps(_mm512_loadu_ps(c), sum[r][v]);
        _mm512_storeu_ps(c, sum[r][v]);
    }
}

static WIDEST void tile_widest(const dumi_tile *t)
{
    if (t->panels == 2)
        multiply_widest(t, 2);
    else
        multiply_widest(t, 1);
}

dumi_tile_fn dumi_blis_tile(int32_t *panels)
{
    *panels = dumi_blis_wide_runs() ? 2 : 1;
    if (dumi_blis_wide_runs())
        return tile_widest;
    return dumi_blis_direct_runs() ? tile_wide : tile_plain;
}

#else

dumi_tile_fn dumi_blis_tile(int32_t *panels)
{
    *panels = 1;
    return tile_plain;
}

#endif
