/* SPDX-License-Identifier: MIT
 * Micro-kernels for AVX-512, of which 32 registers hold 12 rows of 32 columns: fewer loads a product than the kernel
 * that BLIS takes here, which knows AVX-512 by the names of some processors only (0.9: not of Zen 4, nor of a virtual
 * machine's). On the panels of direct.c, with its order of addition: the same bits. */
#include "backend/blis/stream.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#define WIDE __attribute__((target("avx512f")))
#define INLINE static inline __attribute__((always_inline)) WIDE

enum { ROWS = DUMI_DIRECT_ROWS, COLS = DUMI_DIRECT_COLS };

INLINE __m512 element16(const dumi_direct *d, const int precision, int64_t at, const __m512 *scale)
{
    if (precision == DUMI_FLOAT32)
        return _mm512_loadu_ps((const float *)d->b + at);
    const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)((const int8_t *)d->b + at));
    return _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes)), *scale);
}

/* `rows` rows of each of `halves` row panels, by `panels` panels of columns: C = (add ? C : 0) + A B. `packed`: A is in
 * panels of 6. */
INLINE void multiply(const int rows, const int halves, const int panels, const int precision, const bool packed,
                     const dumi_direct *d, dumi_ahead *next)
{
    __m512 sum[2 * ROWS][4], scale[4];
    DUMI_UNROLL
    for (int v = 0; v < panels; v++)
        scale[v] =
            precision == DUMI_INT8 ? _mm512_loadu_ps(d->scales + (ptrdiff_t)COLS * v) : _mm512_setzero_ps();
    DUMI_UNROLL
    for (int r = 0; r < halves * rows; r++)
        DUMI_UNROLL
    for (int v = 0; v < panels; v++)
        sum[r][v] = _mm512_setzero_ps();
    const int64_t a_row = packed ? 1 : d->a_row, a_col = packed ? ROWS : d->a_col;
    const float *first = d->a, *second = d->a + d->a_panel;
    int64_t b = 0;
    if (halves == 2) {
        DUMI_UNROLL
        for (int r = 0; r < halves * rows; r++)
            DUMI_UNROLL
        for (int v = 0; v < panels; v++)
            _mm_prefetch((const char *)(d->c + r * d->c_row + (ptrdiff_t)COLS * v), _MM_HINT_T0);
    }
    dumi_ahead ahead = {.rows = 0};
    if (next != NULL)
        ahead = *next;
    int32_t fetched = 0;
    for (int32_t p = 0; p < d->k; p++) {
        if (next != NULL && fetched < ahead.share && ahead.rows > 0) {
            fetched++;
            dumi_fetch(&ahead);
        }
        __m512 right[4];
        DUMI_UNROLL
        for (int v = 0; v < panels; v++)
            right[v] = element16(d, precision, b + v * d->b_panel, &scale[v]);
        DUMI_UNROLL
        for (int r = 0; r < halves * rows; r++) {
            const __m512 factor = _mm512_set1_ps(r < rows ? first[r * a_row] : second[(r - rows) * a_row]);
            DUMI_UNROLL
            for (int v = 0; v < panels; v++)
                sum[r][v] = _mm512_fmadd_ps(factor, right[v], sum[r][v]);
        }
        first += a_col;
        second += a_col;
        b += d->b_row;
    }
    if (next != NULL)
        *next = ahead;
    if (d->add) {
        DUMI_UNROLL
        for (int r = 0; r < halves * rows; r++)
            DUMI_UNROLL
        for (int v = 0; v < panels; v++)
            sum[r][v] = _mm512_add_ps(_mm512_loadu_ps(d->c + r * d->c_row + (ptrdiff_t)COLS * v), sum[r][v]);
    }
    DUMI_UNROLL
    for (int r = 0; r < halves * rows; r++)
        DUMI_UNROLL
    for (int v = 0; v < panels; v++)
        _mm512_storeu_ps(d->c + r * d->c_row + (ptrdiff_t)COLS * v, sum[r][v]);
}

/* The compiler makes one kernel of each: rows, panels, precision. */
#define KERNELS(rows, precision)                                                                               \
    static WIDE void multiply_##rows##_##precision(int32_t panels, const dumi_direct *d)                       \
    {                                                                                                          \
        if (panels == 4)                                                                                       \
            multiply(rows, 1, 4, precision, false, d, NULL);                                                   \
        else if (panels == 2)                                                                                  \
            multiply(rows, 1, 2, precision, false, d, NULL);                                                   \
        else                                                                                                   \
            multiply(rows, 1, 1, precision, false, d, NULL);                                                   \
    }
#define ALL_KERNELS(precision)                                                                                 \
    KERNELS(1, precision)                                                                                      \
    KERNELS(2, precision)                                                                                      \
    KERNELS(3, precision)                                                                                      \
    KERNELS(4, precision)                                                                                      \
    KERNELS(5, precision)                                                                                      \
    KERNELS(6, precision)
ALL_KERNELS(DUMI_FLOAT32)
ALL_KERNELS(DUMI_INT8)

static WIDE void multiply_12(int32_t panels, const dumi_direct *d, dumi_ahead *next)
{
    const bool packed = d->a_row == 1 && d->a_col == ROWS;
    if (packed && panels == 2) {
        multiply(ROWS, 2, 2, DUMI_FLOAT32, true, d, next);
        return;
    }
    dumi_fetch_share(next);
    if (panels == 2)
        multiply(ROWS, 2, 2, DUMI_FLOAT32, false, d, NULL);
    else
        multiply(ROWS, 2, 1, DUMI_FLOAT32, false, d, NULL);
}

int32_t dumi_blis_wide(int32_t rows, int32_t step, int32_t panels, const dumi_direct *d, dumi_ahead *next)
{
    static void (*const kernels[][ROWS])(int32_t, const dumi_direct *) = {
        {multiply_1_DUMI_FLOAT32, multiply_2_DUMI_FLOAT32, multiply_3_DUMI_FLOAT32, multiply_4_DUMI_FLOAT32,
         multiply_5_DUMI_FLOAT32, multiply_6_DUMI_FLOAT32},
        {multiply_1_DUMI_INT8, multiply_2_DUMI_INT8, multiply_3_DUMI_INT8, multiply_4_DUMI_INT8,
         multiply_5_DUMI_INT8, multiply_6_DUMI_INT8}};
    if (rows == 2 * ROWS) {
        const int32_t done = panels >= 2 ? 2 : 1;
        multiply_12(done, d, next);
        return done;
    }
    dumi_fetch_share(next);
    if (rows <= step) {
        const int32_t done = panels >= 4 ? 4 : panels >= 2 ? 2 : 1;
        kernels[d->precision == DUMI_INT8][rows - 1](done, d);
        return done;
    }
    const int32_t done = panels >= 2 ? 2 : 1;
    dumi_direct rest = *d;
    rest.a += d->a_panel;
    rest.c += step * d->c_row;
    kernels[0][step - 1](done, d);
    kernels[0][rows - step - 1](done, &rest);
    return done;
}

bool dumi_blis_wide_runs(void)
{
    return __builtin_cpu_supports("avx512f");
}

#else

int32_t dumi_blis_wide(int32_t rows, int32_t step, int32_t panels, const dumi_direct *d, dumi_ahead *next)
{
    (void)rows;
    (void)step;
    (void)d;
    (void)next;
    return panels;
}

bool dumi_blis_wide_runs(void)
{
    return false;
}

#endif
