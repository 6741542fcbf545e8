/* SPDX-License-Identifier: MIT
 * Products of bfloat16, summed in float32, two steps at a time: the processor's instruction where it has one
 * (AVX512-BF16), which is twice as fast as float32, and the same arithmetic elsewhere. Every element of C gets its products
 * in the same order, whatever the number of rows or threads. */
#include "backend/blis/stream.h"

enum { MOST_ROWS = 6, COLS = DUMI_DIRECT_COLS, BLOCK_PANELS = 4 };

/* Some rows of A by panels of 16 columns of B, side by side. */
typedef struct {
    int64_t pairs;     /* of steps */
    const uint32_t *a; /* two bfloat16, the first in the lower half */
    int64_t a_row;
    const uint32_t *b; /* a panel: step by step, 16 of them */
    int64_t b_panel;
    float *c;
    int64_t c_row;
    int32_t cols; /* of C */
    bool add;     /* to what C holds */
} product;

static float low(uint32_t pair)
{
    return dumi_bfloat16_value((uint16_t)pair);
}

static float high(uint32_t pair)
{
    return dumi_bfloat16_value((uint16_t)(pair >> 16));
}

static void multiply_plain(int32_t rows, const product *d)
{
    for (int32_t r = 0; r < rows; r++)
        for (int32_t first = 0; first < d->cols; first += COLS) {
            const uint32_t *a = d->a + r * d->a_row, *b = d->b + first / COLS * d->b_panel;
            float *c = d->c + r * d->c_row + first, sum[COLS] = {0};
            const int32_t cols = dumi_least(COLS, d->cols - first);
            if (d->add)
                memcpy(sum, c, (size_t)cols * sizeof *c);
            for (int64_t p = 0; p < d->pairs; p++)
                for (int32_t j = 0; j < COLS; j++) {
                    sum[j] += high(a[p]) * high(b[p * COLS + j]);
                    sum[j] += low(a[p]) * low(b[p * COLS + j]);
                }
            memcpy(c, sum, (size_t)cols * sizeof *c);
        }
}

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif
#define WIDE __attribute__((target("avx2,fma")))
#define NATIVE __attribute__((target("avx512f,avx512bf16")))
#define INLINE static inline __attribute__((always_inline))

INLINE WIDE __m256 low8(__m256i pairs)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16));
}

INLINE WIDE __m256 high8(__m256i pairs)
{
    return _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32((int)0xffff0000)));
}

/* rows x 16 columns. */
INLINE WIDE void panel_wide(const int rows, const product *d, const uint32_t *b, float *c, int32_t cols)
{
    __m256 sum[4][2];
    float part[COLS] = {0};
    UNROLL
    for (int r = 0; r < rows; r++) {
        if (d->add)
            memcpy(part, c + r * d->c_row, (size_t)cols * sizeof *c);
        sum[r][0] = _mm256_loadu_ps(part);
        sum[r][1] = _mm256_loadu_ps(part + 8);
    }
    for (int64_t p = 0; p < d->pairs; p++, b += COLS) {
        const __m256i left = _mm256_loadu_si256((const __m256i *)(const void *)b);
        const __m256i right = _mm256_loadu_si256((const __m256i *)(const void *)(b + 8));
        UNROLL
        for (int r = 0; r < rows; r++) {
            const __m256i a = _mm256_set1_epi32((int)d->a[r * d->a_row + p]);
            sum[r][0] = _mm256_fmadd_ps(high8(a), high8(left), sum[r][0]);
            sum[r][1] = _mm256_fmadd_ps(high8(a), high8(right), sum[r][1]);
            sum[r][0] = _mm256_fmadd_ps(low8(a), low8(left), sum[r][0]);
            sum[r][1] = _mm256_fmadd_ps(low8(a), low8(right), sum[r][1]);
        }
    }
    UNROLL
    for (int r = 0; r < rows; r++) {
        _mm256_storeu_ps(part, sum[r][0]);
        _mm256_storeu_ps(part + 8, sum[r][1]);
        memcpy(c + r * d->c_row, part, (size_t)cols * sizeof *c);
    }
}

static WIDE void multiply_wide(int32_t rows, const product *d)
{
    product rest = *d;
    for (; rows > 0; rows -= 4, rest.a += 4 * d->a_row, rest.c += 4 * d->c_row)
        for (int32_t col = 0; col < d->cols; col += COLS) {
            const uint32_t *b = d->b + col / COLS * d->b_panel;
            const int32_t cols = dumi_least(COLS, d->cols - col);
            if (rows >= 4)
                panel_wide(4, &rest, b, rest.c + col, cols);
            else if (rows == 3)
                panel_wide(3, &rest, b, rest.c + col, cols);
            else if (rows == 2)
                panel_wide(2, &rest, b, rest.c + col, cols);
            else
                panel_wide(1, &rest, b, rest.c + col, cols);
        }
}

/* rows x (16 panels). */
INLINE NATIVE void panels_native(const int rows, const int panels, const product *d)
{
    __m512 sum[MOST_ROWS][BLOCK_PANELS];
    __mmask16 mask[BLOCK_PANELS];
    UNROLL
    for (int v = 0; v < panels; v++)
        mask[v] = d->cols >= COLS * (v + 1) ? 0xffff : (__mmask16)((1u << (d->cols - COLS * v)) - 1);
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
    for (int v = 0; v < panels; v++)
        sum[r][v] = d->add ? _mm512_maskz_loadu_ps(mask[v], d->c + r * d->c_row + (ptrdiff_t)COLS * v)
                           : _mm512_setzero_ps();
    const uint32_t *a = d->a, *b = d->b;
    for (int64_t p = 0; p < d->pairs; p++, a++, b += COLS) {
        __m512i right[BLOCK_PANELS];
        UNROLL
        for (int v = 0; v < panels; v++)
            right[v] = _mm512_loadu_si512(b + v * d->b_panel);
        UNROLL
        for (int r = 0; r < rows; r++) {
            const __m512i left = _mm512_set1_epi32((int)a[r * d->a_row]);
            UNROLL
            for (int v = 0; v < panels; v++)
                sum[r][v] = _mm512_dpbf16_ps(sum[r][v], (__m512bh)left, (__m512bh)right[v]);
        }
    }
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
    for (int v = 0; v < panels; v++)
        _mm512_mask_storeu_ps(d->c + r * d->c_row + (ptrdiff_t)COLS * v, mask[v], sum[r][v]);
}

/* The compiler makes one kernel of each. */
#define NATIVE_ROWS(rows)                                                                                      \
    static NATIVE void native_##rows(const product *d)                                                         \
    {                                                                                                          \
        switch ((d->cols + COLS - 1) / COLS) {                                                                 \
        case 4:                                                                                                \
            panels_native(rows, 4, d);                                                                         \
            return;                                                                                            \
        case 3:                                                                                                \
            panels_native(rows, 3, d);                                                                         \
            return;                                                                                            \
        case 2:                                                                                                \
            panels_native(rows, 2, d);                                                                         \
            return;                                                                                            \
        default:                                                                                               \
            panels_native(rows, 1, d);                                                                         \
        }                                                                                                      \
    }
NATIVE_ROWS(1)
NATIVE_ROWS(2)
NATIVE_ROWS(3)
NATIVE_ROWS(4)
NATIVE_ROWS(5)
NATIVE_ROWS(6)

static void multiply_native(int32_t rows, const product *d)
{
    static void (*const of[])(const product *) = {native_1, native_2, native_3, native_4, native_5, native_6};
    product rest = *d;
    for (; rows > 0; rows -= MOST_ROWS, rest.a += MOST_ROWS * d->a_row, rest.c += MOST_ROWS * d->c_row)
        of[dumi_least(rows, MOST_ROWS) - 1](&rest);
}

static bool runs(int32_t kernel)
{
    if (kernel == DUMI_BF16_NATIVE)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bf16");
    return kernel != DUMI_BF16_WIDE || dumi_blis_direct_runs();
}

#else

static bool runs(int32_t kernel)
{
    return kernel == DUMI_BF16_PLAIN;
}

#define multiply_wide multiply_plain
#define multiply_native multiply_plain

#endif

int32_t dumi_blis_bf16_best(int32_t most)
{
    while (!runs(most))
        most--;
    return most;
}

/* ---- Loops ----------------------------------------------------------------------------------- */

/* Pairs of steps of a vector, the last filled up with 0. */
static void round_pairs(const float *from, int64_t along, int64_t steps, uint32_t *restrict to)
{
    for (int64_t p = 0; p < steps / 2; p++)
        to[p] = dumi_bfloat16(from[2 * p * along]) | (uint32_t)dumi_bfloat16(from[(2 * p + 1) * along]) << 16;
    if (steps % 2 != 0)
        to[steps / 2] = dumi_bfloat16(from[(steps - 1) * along]);
}

DUMI_CLONES static void round_rows(const dumi_gemm *g, int32_t row, int32_t rows, int64_t step, int64_t pairs,
                                   uint32_t *to)
{
    const int64_t steps = g->k - step < 2 * pairs ? g->k - step : 2 * pairs;
    for (int64_t i = 0; i < rows; i++) {
        const float *from = g->a + (row + i) * g->a_row + step * g->a_col;
        if (g->a_col == 1)
            round_pairs(from, 1, steps, to + i * pairs); /* a constant distance: vectors */
        else
            round_pairs(from, g->a_col, steps, to + i * pairs);
    }
}

typedef struct {
    const dumi_gemm *g;
    int32_t kernel, row, rows;
    int64_t all_pairs, pair, pairs; /* of all steps; those of this pass */
    const uint32_t *a;
} pass;

static void multiply_task(void *argument, int64_t task, int32_t worker)
{
    (void)worker;
    const pass *x = argument;
    const dumi_gemm *g = x->g;
    const int32_t col = (int32_t)task * COLS * BLOCK_PANELS;
    const product d = {
        .pairs = x->pairs,
        .a = x->a,
        .a_row = x->pairs,
        .b = (const uint32_t *)g->packed->panels + (col / COLS * x->all_pairs + x->pair) * COLS,
        .b_panel = x->all_pairs * COLS,
        .c = g->c + x->row * g->c_row + col,
        .c_row = g->c_row,
        .cols = dumi_least(COLS * BLOCK_PANELS, g->n - col),
        .add = g->add || x->pair > 0,
    };
    if (x->kernel == DUMI_BF16_NATIVE)
        multiply_native(x->rows, &d);
    else if (x->kernel == DUMI_BF16_WIDE)
        multiply_wide(x->rows, &d);
    else
        multiply_plain(x->rows, &d);
    if (x->pair + x->pairs == x->all_pairs)
        dumi_blis_finish(g, x->row, x->rows, col, d.cols);
}

void dumi_blis_bf16_gemm(dumi_stream *stream, const dumi_gemm *g)
{
    const int64_t room = (int64_t)stream->capacity_a;
    uint32_t *a = (uint32_t *)stream->pack_a;
    pass x = {.g = g, .kernel = stream->kernel->bf16, .all_pairs = ((int64_t)g->k + 1) / 2, .a = a};
    const int64_t deep = x.all_pairs < room ? x.all_pairs : room;
    const int32_t most_rows = (int32_t)(room / deep < g->m ? room / deep : g->m);
    const int64_t tasks = (g->n + COLS * BLOCK_PANELS - 1) / (COLS * BLOCK_PANELS);
    for (x.row = 0; x.row < g->m; x.row += x.rows) {
        x.rows = dumi_least(most_rows, g->m - x.row);
        for (x.pair = 0; x.pair < x.all_pairs; x.pair += x.pairs) {
            x.pairs = x.all_pairs - x.pair < deep ? x.all_pairs - x.pair : deep;
            round_rows(g, x.row, x.rows, 2 * x.pair, x.pairs, a);
            dumi_parallel(stream->context, stream->threads, tasks, 4.0 * x.rows * g->n * (double)x.pairs / 32,
                          multiply_task, &x);
        }
    }
}

dumi_packed *dumi_blis_bf16_pack(dum_context *context, const float *b, int32_t k, int32_t n)
{
    enum { ALIGNED = 64 };
    const int64_t pairs = ((int64_t)k + 1) / 2, wide = dumi_round_up(n, COLS);
    char *memory = dumi_alloc(context, ALIGNED + (size_t)pairs * (size_t)wide * sizeof(uint32_t), 1);
    if (memory == NULL)
        return NULL;
    dumi_packed *packed = (dumi_packed *)memory;
    *packed = (dumi_packed){.precision = DUMI_BFLOAT16, .panels = memory + ALIGNED};
    uint32_t *to = packed->panels;
    for (int32_t col = 0; col < wide; col += COLS)
        for (int64_t p = 0; p < pairs; p++)
            for (int32_t j = col; j < col + COLS; j++, to++)
                if (j < n)
                    round_pairs(b + 2 * p * n + j, n, k - 2 * p < 2 ? 1 : 2, to);
                else
                    *to = 0;
    return packed;
}
