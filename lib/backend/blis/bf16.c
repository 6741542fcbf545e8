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
    DUMI_UNROLL
    for (int r = 0; r < rows; r++) {
        if (d->add)
            memcpy(part, c + r * d->c_row, (size_t)cols * sizeof *c);
        sum[r][0] = _mm256_loadu_ps(part);
        sum[r][1] = _mm256_loadu_ps(part + 8);
    }
    for (int64_t p = 0; p < d->pairs; p++, b += COLS) {
        const __m256i left = _mm256_loadu_si256((const __m256i *)(const void *)b);
        const __m256i right = _mm256_loadu_si256((const __m256i *)(const void *)(b + 8));
        DUMI_UNROLL
        for (int r = 0; r < rows; r++) {
            const __m256i a = _mm256_set1_epi32((int)d->a[r * d->a_row + p]);
            sum[r][0] = _mm256_fmadd_ps(high8(a), high8(left), sum[r][0]);
            sum[r][1] = _mm256_fmadd_ps(high8(a), high8(right), sum[r][1]);
            sum[r][0] = _mm256_fmadd_ps(low8(a), low8(left), sum[r][0]);
            sum[r][1] = _mm256_fmadd_ps(low8(a), low8(right), sum[r][1]);
        }
    }
    DUMI_UNROLL
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

/* sum + a b of both halves; without the instruction, what it does. */
INLINE NATIVE __m512 dot(__m512 sum, __m512i a, __m512i b, const bool native)
{
    if (native)
        return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
    const __m512i upper = _mm512_set1_epi32((int)0xffff0000);
    sum = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_and_si512(a, upper)),
                          _mm512_castsi512_ps(_mm512_and_si512(b, upper)), sum);
    return _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_slli_epi32(a, 16)),
                           _mm512_castsi512_ps(_mm512_slli_epi32(b, 16)), sum);
}

/* rows x (16 panels). */
INLINE NATIVE void panels_512(const int rows, const int panels, const product *d, const bool native)
{
    __m512 sum[MOST_ROWS][BLOCK_PANELS];
    __mmask16 mask[BLOCK_PANELS];
    DUMI_UNROLL
    for (int v = 0; v < panels; v++)
        mask[v] = (__mmask16)((1 << dumi_least(COLS, d->cols - COLS * v)) - 1);
    DUMI_UNROLL
    for (int r = 0; r < rows; r++)
        DUMI_UNROLL
    for (int v = 0; v < panels; v++)
        sum[r][v] = d->add ? _mm512_maskz_loadu_ps(mask[v], d->c + r * d->c_row + (ptrdiff_t)COLS * v)
                           : _mm512_setzero_ps();
    const uint32_t *a = d->a, *b = d->b;
    for (int64_t p = 0; p < d->pairs; p++, a++, b += COLS) {
        __m512i right[BLOCK_PANELS];
        DUMI_UNROLL
        for (int v = 0; v < panels; v++)
            right[v] = _mm512_loadu_si512(b + v * d->b_panel);
        DUMI_UNROLL
        for (int r = 0; r < rows; r++) {
            const __m512i left = _mm512_set1_epi32((int)a[r * d->a_row]);
            DUMI_UNROLL
            for (int v = 0; v < panels; v++)
                sum[r][v] = dot(sum[r][v], left, right[v], native);
        }
    }
    DUMI_UNROLL
    for (int r = 0; r < rows; r++)
        DUMI_UNROLL
    for (int v = 0; v < panels; v++)
        _mm512_mask_storeu_ps(d->c + r * d->c_row + (ptrdiff_t)COLS * v, mask[v], sum[r][v]);
}

/* The compiler makes one kernel of each. */
#define NATIVE_ROWS(rows)                                                                                      \
    static NATIVE void native_##rows(const product *d)                                                         \
    {                                                                                                          \
        switch ((d->cols + COLS - 1) / COLS) {                                                                 \
        case 4:                                                                                                \
            panels_512(rows, 4, d, true);                                                                      \
            return;                                                                                            \
        case 3:                                                                                                \
            panels_512(rows, 3, d, true);                                                                      \
            return;                                                                                            \
        case 2:                                                                                                \
            panels_512(rows, 2, d, true);                                                                      \
            return;                                                                                            \
        default:                                                                                               \
            panels_512(rows, 1, d, true);                                                                      \
        }                                                                                                      \
    }                                                                                                          \
    /* Of two panels at most: their halves need registers, too. */                                             \
    static NATIVE void widest_##rows(const product *d)                                                         \
    {                                                                                                          \
        product part = *d;                                                                                     \
        for (; part.cols > 0; part.cols -= 2 * COLS, part.b += 2 * d->b_panel, part.c += (ptrdiff_t)2 * COLS)  \
            if (part.cols > COLS)                                                                              \
                panels_512(rows, 2, &part, false);                                                             \
            else                                                                                               \
                panels_512(rows, 1, &part, false);                                                             \
    }
NATIVE_ROWS(1)
NATIVE_ROWS(2)
NATIVE_ROWS(3)
NATIVE_ROWS(4)
NATIVE_ROWS(5)
NATIVE_ROWS(6)

static void multiply_512(int32_t rows, const product *d, bool native)
{
    static void (*const with[])(const product *) = {native_1, native_2, native_3, native_4, native_5, native_6};
    static void (*const without[])(const product *) = {widest_1, widest_2, widest_3,
                                                       widest_4, widest_5, widest_6};
    void (*const *of)(const product *) = native ? with : without;
    product rest = *d;
    for (; rows > 0; rows -= MOST_ROWS, rest.a += MOST_ROWS * d->a_row, rest.c += MOST_ROWS * d->c_row)
        of[dumi_least(rows, MOST_ROWS) - 1](&rest);
}

static bool runs(int32_t kernel)
{
    if (kernel >= DUMI_BF16_WIDEST &&
        !(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")))
        return false;
    if (kernel == DUMI_BF16_NATIVE)
        return __builtin_cpu_supports("avx512bf16");
    return kernel == DUMI_BF16_PLAIN || dumi_blis_direct_runs();
}

#else

static bool runs(int32_t kernel)
{
    return kernel == DUMI_BF16_PLAIN;
}

#define multiply_wide multiply_plain

static void multiply_512(int32_t rows, const product *d, bool native)
{
    (void)native;
    multiply_plain(rows, d);
}

#endif

int32_t dumi_blis_bf16_best(void)
{
    int32_t kernel = DUMI_BF16_NATIVE;
    while (!runs(kernel))
        kernel--;
    return kernel;
}

/* ---- Loops ----------------------------------------------------------------------------------- */

static inline uint32_t pair_of(float first, float second)
{
    return dumi_bfloat16(first) | (uint32_t)dumi_bfloat16(second) << 16;
}

/* `count` steps of some vectors, by pairs, the last filled up with 0: vector v's are at to[v * across_to + p * along_to]. */
static inline __attribute__((always_inline)) void round_vectors(const float *from, int64_t across,
                                                                int64_t along, int64_t vectors, int64_t count,
                                                                uint32_t *restrict to, int64_t across_to,
                                                                int64_t along_to)
{
    for (int64_t p = 0; p < count / 2; p++, from += 2 * along, to += along_to)
        for (int64_t v = 0; v < vectors; v++)
            to[v * across_to] = pair_of(from[v * across], from[v * across + along]);
    for (int64_t v = 0; v < vectors && count % 2 != 0; v++)
        to[v * across_to] = pair_of(from[v * across], 0);
}

typedef struct {
    const dumi_gemm *g;
    dumi_stream *stream;
    int32_t row, rows, task_cols;
    int64_t all_pairs, pair, pairs; /* of all steps; those of this pass */
    int64_t steps;                  /* of this pass */
    uint32_t *a;                    /* rows x pairs */
} pass;

enum { ROUNDED_ROWS = 16, TASK_COLS = 256 };

/* A is taken as it lies: along the rows, or 16 of its columns at a time. */
DUMI_CLONES static void round_a(const pass *x, int32_t row, int32_t rows)
{
    const dumi_gemm *g = x->g;
    const float *from = g->a + (x->row + row) * g->a_row + 2 * x->pair * g->a_col;
    uint32_t *to = x->a + row * x->pairs;
    if (g->a_col == 1)
        for (int32_t i = 0; i < rows; i++)
            round_vectors(from + i * g->a_row, 0, 1, 1, x->steps, to + i * x->pairs, 0, 1);
    else if (g->a_row == 1 && rows == ROUNDED_ROWS)
        round_vectors(from, 1, g->a_col, ROUNDED_ROWS, x->steps, to, x->pairs, 1);
    else
        round_vectors(from, g->a_row, g->a_col, rows, x->steps, to, x->pairs, 1);
}

static void round_task(void *argument, int64_t task, int32_t worker)
{
    (void)worker;
    const pass *x = argument;
    const int32_t row = (int32_t)task * ROUNDED_ROWS;
    round_a(x, row, dumi_least(ROUNDED_ROWS, x->rows - row));
}

/* 16 columns whose steps are neighbours in memory, tile by tile through the first cache. */
static inline __attribute__((always_inline)) void turn_columns(const float *b, int64_t b_col, int64_t steps,
                                                               uint32_t *restrict to)
{
    enum { TILE = 16 };
    int64_t done = 0;
    for (; done + TILE <= steps / 2; done += TILE, to += (ptrdiff_t)TILE * COLS) {
        uint32_t tile[COLS][TILE];
        for (int32_t j = 0; j < COLS; j++)
            for (int32_t p = 0; p < TILE; p++) {
                const float *from = b + j * b_col + 2 * (done + p);
                tile[j][p] = pair_of(from[0], from[1]);
            }
        for (int32_t p = 0; p < TILE; p++)
            for (int32_t j = 0; j < COLS; j++)
                to[p * COLS + j] = tile[j][p];
    }
    round_vectors(b + 2 * done, b_col, 1, COLS, steps - 2 * done, to, 1, COLS);
}

/* Panels of B, the last filled up with 0. `b`: its element at the first step and column. */
DUMI_CLONES static void round_b(const float *b, int64_t b_row, int64_t b_col, int32_t cols, int64_t steps,
                                uint32_t *to)
{
    const int64_t size = (steps + 1) / 2 * COLS;
    int32_t col = 0;
    for (; col + COLS <= cols; col += COLS, to += size)
        if (b_col == 1)
            round_vectors(b + col, 1, b_row, COLS, steps, to, 1, COLS);
        else if (b_row == 1)
            turn_columns(b + col * b_col, b_col, steps, to);
        else
            round_vectors(b + col * b_col, b_col, b_row, COLS, steps, to, 1, COLS);
    if (col < cols) {
        memset(to, 0, (size_t)size * sizeof *to);
        round_vectors(b + col * b_col, b_col, b_row, cols - col, steps, to, 1, COLS);
    }
}

static void multiply(const pass *x, int32_t rows, const product *d)
{
    const int32_t kernel = x->stream->kernel->bf16;
    product block = *d;
    for (int32_t col = 0; col < d->cols; col += COLS * BLOCK_PANELS) {
        block.b = d->b + col / COLS * d->b_panel;
        block.c = d->c + col;
        block.cols = dumi_least(COLS * BLOCK_PANELS, d->cols - col);
        if (kernel >= DUMI_BF16_WIDEST)
            multiply_512(rows, &block, kernel == DUMI_BF16_NATIVE);
        else if (kernel == DUMI_BF16_WIDE)
            multiply_wide(rows, &block);
        else
            multiply_plain(rows, &block);
    }
}

static void fetch(const float *from, int32_t cols)
{
    for (int32_t j = 0; j < cols; j += 16)
        __builtin_prefetch(from + j, 0, 2);
}

/* Few rows at a time, whose weights and moments come from memory while those before are multiplied; C stays in cache. */
static void multiply_and_update(const pass *x, int32_t col, const product *d)
{
    float tile[MOST_ROWS * TASK_COLS] __attribute__((aligned(64)));
    const dumi_gemm *g = x->g;
    const dumi_update *u = g->update;
    product few = *d;
    few.c = tile;
    few.c_row = TASK_COLS;
    for (int32_t row = 0; row < x->rows; row += MOST_ROWS) {
        const int32_t rows = dumi_least(MOST_ROWS, x->rows - row);
        for (int32_t i = 0; i < MOST_ROWS && row + MOST_ROWS + i < x->rows; i++) {
            const int64_t next = (int64_t)(x->row + row + MOST_ROWS + i) * g->n + col;
            fetch(u->weights + next, d->cols);
            fetch(u->first + next, d->cols);
            if (u->second != NULL)
                fetch(u->second + next, d->cols);
        }
        few.a = d->a + row * d->a_row;
        multiply(x, rows, &few);
        for (int32_t i = 0; i < rows; i++)
            dumi_ref_update(u, (size_t)(x->row + row + i) * (size_t)g->n + (size_t)col, (size_t)d->cols,
                            tile + (ptrdiff_t)i * TASK_COLS);
    }
}

static void multiply_task(void *argument, int64_t task, int32_t worker)
{
    const pass *x = argument;
    const dumi_gemm *g = x->g;
    const int32_t col = (int32_t)task * x->task_cols;
    const bool last = x->pair + x->pairs == x->all_pairs;
    product d = {
        .pairs = x->pairs,
        .a = x->a,
        .a_row = x->pairs,
        .b_panel = (g->packed != NULL ? x->all_pairs : x->pairs) * COLS,
        .c = g->c + x->row * g->c_row + col,
        .c_row = g->c_row,
        .cols = dumi_least(x->task_cols, g->n - col),
        .add = g->add || x->pair > 0,
    };
    if (g->packed != NULL) {
        d.b = (const uint32_t *)g->packed->panels + (col / COLS * x->all_pairs + x->pair) * COLS;
    } else {
        const dumi_stream *stream = x->stream;
        uint32_t *own = (uint32_t *)stream->pack_b + (int64_t)worker * stream->kernel->kc * stream->cols_b;
        round_b(g->b + 2 * x->pair * g->b_row + col * g->b_col, g->b_row, g->b_col, d.cols, x->steps, own);
        d.b = own;
    }
    if (g->update != NULL && x->pairs == x->all_pairs) {
        multiply_and_update(x, col, &d);
        return;
    }
    multiply(x, x->rows, &d);
    if (!last)
        return;
    dumi_blis_finish(g, x->row, x->rows, col, d.cols);
    for (int32_t i = 0; i < x->rows && g->update != NULL; i++)
        dumi_ref_update(g->update, (size_t)(x->row + i) * (size_t)g->n + (size_t)col, (size_t)d.cols,
                        d.c + i * d.c_row);
}

/* Columns of a task, and pairs of steps of a pass: A's go into what all share, B's into what each worker has, if they are
 * not there already. */
static int64_t divide(pass *x)
{
    const dumi_stream *stream = x->stream;
    const dumi_gemm *g = x->g;
    int64_t deep = (int64_t)stream->capacity_a;
    if (g->packed != NULL) {
        x->task_cols = COLS * BLOCK_PANELS;
    } else {
        const int64_t room = (int64_t)stream->kernel->kc * stream->cols_b;
        x->task_cols = TASK_COLS;
        if (stream->threads > 1)
            x->task_cols =
                dumi_least(TASK_COLS, dumi_round_up(g->n / (4 * stream->threads) + 1, COLS * BLOCK_PANELS));
        while (x->task_cols > COLS && room / x->task_cols < 32)
            x->task_cols /= 2;
        deep = room / x->task_cols < deep ? room / x->task_cols : deep;
    }
    return x->all_pairs < deep ? x->all_pairs : deep;
}

void dumi_blis_bf16_gemm(dumi_stream *stream, const dumi_gemm *g)
{
    pass x = {.g = g, .stream = stream, .all_pairs = ((int64_t)g->k + 1) / 2, .a = (uint32_t *)stream->pack_a};
    const int64_t deep = divide(&x), fitting = (int64_t)stream->capacity_a / deep;
    const int32_t most_rows = (int32_t)(fitting < g->m ? fitting : g->m);
    const int64_t tasks = (g->n + x.task_cols - 1) / x.task_cols;
    for (x.row = 0; x.row < g->m; x.row += x.rows) {
        x.rows = dumi_least(most_rows, g->m - x.row);
        for (x.pair = 0; x.pair < x.all_pairs; x.pair += x.pairs) {
            x.pairs = x.all_pairs - x.pair < deep ? x.all_pairs - x.pair : deep;
            x.steps = x.pair + x.pairs < x.all_pairs ? 2 * x.pairs : g->k - 2 * x.pair;
            const double products = 2.0 * x.rows * (double)x.pairs;
            dumi_parallel(stream->context, stream->threads, (x.rows + ROUNDED_ROWS - 1) / ROUNDED_ROWS,
                          2 * products, round_task, &x);
            dumi_parallel(stream->context, stream->threads, tasks, 2 * products * g->n / 32, multiply_task, &x);
        }
    }
}

dumi_packed *dumi_blis_bf16_pack(dum_context *context, const float *b, int32_t k, int32_t n)
{
    enum { ALIGNED = 64 };
    const size_t pairs = ((size_t)k + 1) / 2, wide = (size_t)dumi_round_up(n, COLS);
    char *memory = dumi_alloc(context, ALIGNED + pairs * wide * sizeof(uint32_t), 1);
    if (memory == NULL)
        return NULL;
    dumi_packed *packed = (dumi_packed *)memory;
    *packed = (dumi_packed){.precision = DUMI_BFLOAT16, .panels = memory + ALIGNED};
    round_b(b, n, 1, n, k, packed->panels);
    return packed;
}
