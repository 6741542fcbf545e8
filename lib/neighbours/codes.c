/* SPDX-License-Identifier: MIT
 * A query alone reads every row once, and the bytes are what takes the time. So rows have a byte a column, too, which
 * rules most of them out. A query is q = s u + f, a row p = t c + e, with whole numbers u and c, and
 *   q.p <= s t (u.c) + |q| |e| + |f| (|p| + |e|). */
#include "neighbours/tree.h"

#include <math.h>

/* A query's numbers are finer than a row's; the sum of their products stays below 2^31. */
enum { MOST_ROW = 127, MOST_QUERY = 2047, LEAST_COLS = 24, MOST_COLS = 8192 };

/* Before a panel's codes, which are [pair of columns][row][2]. length: |p| + |e|. */
typedef struct {
    float step[DUMI_PANEL], error[DUMI_PANEL], length[DUMI_PANEL];
} code_head;

static int32_t pairs(int32_t cols)
{
    return (cols + 1) / 2;
}

static size_t code_bytes(int32_t cols)
{
    return sizeof(code_head) + (size_t)pairs(cols) * 2 * DUMI_PANEL;
}

/* Codes of values that are `stride` apart. Where they are too large or too small for a step in single precision all
 * codes are 0, and what they say is true: nothing. */
static inline dumi_coded encode(int32_t cols, const float *x, ptrdiff_t stride, int32_t most, int16_t *codes)
{
    enum { LANES = 8 };
    float largest[LANES] = {0};
    double squares[LANES] = {0}, rests[LANES] = {0}, square = 0, rest = 0;
    for (int32_t j = 0; j < cols; j += LANES)
        for (int32_t i = 0; i < LANES && i < cols - j; i++) {
            const float size = fabsf(x[(j + i) * stride]);
            largest[i] = size > largest[i] ? size : largest[i];
            squares[i] += (double)size * (double)size;
        }
    for (int32_t i = 0; i < LANES; i++) {
        largest[0] = largest[i] > largest[0] ? largest[i] : largest[0];
        square += squares[i];
    }
    const bool fits = largest[0] > 1e-30F && square < 1e30;
    const float step = fits ? largest[0] / (float)most : 0, per_step = fits ? 1 / step : 0;
    for (int32_t j = 0; j < cols; j += LANES)
        for (int32_t i = 0; i < LANES && i < cols - j; i++) {
            const float value = x[(j + i) * stride], steps = fits ? value * per_step : 0; /* value: infinite? */
            const int32_t code = (int32_t)(steps + (steps < 0 ? -0.5F : 0.5F));
            const double rest_of = (double)value - (double)step * code;
            codes[j + i] = (int16_t)code;
            rests[i] += rest_of * rest_of;
        }
    for (int32_t i = 0; i < LANES; i++)
        rest += rests[i];
    const double up = 1 + 1e-6;
    return (dumi_coded){.codes = codes,
                        .step = step,
                        .error = (float)(sqrt(rest) * up),
                        .length = (float)((sqrt(square) + sqrt(rest)) * up)};
}

DUMI_CLONES void dumi_codes_query(int32_t cols, const float *x, dumi_coded *query)
{
    query->codes[2 * pairs(cols) - 1] = 0;
    *query = encode(cols, x, 1, MOST_QUERY, query->codes);
}

static void pack(int32_t cols, const float *panel, int16_t *scratch, int8_t *code)
{
    code_head head;
    int8_t *to = code + sizeof head;
    memset(to, 0, (size_t)pairs(cols) * 2 * DUMI_PANEL);
    for (int32_t v = 0; v < DUMI_PANEL; v++) {
        const dumi_coded row = encode(cols, panel + v, DUMI_PANEL, MOST_ROW, scratch);
        head.step[v] = row.step;
        head.error[v] = row.error;
        head.length[v] = row.length;
        for (int32_t j = 0; j < cols; j++)
            to[(j / 2 * DUMI_PANEL + v) * 2 + j % 2] = (int8_t)scratch[j];
    }
    memcpy(code, &head, sizeof head);
}

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

static bool is_wanted(int32_t cols)
{
    return cols >= LEAST_COLS && cols <= MOST_COLS && __builtin_cpu_supports("avx2");
}

__attribute__((target("avx2"))) uint64_t dumi_codes_near(const dumi_meeting *m, int32_t panel)
{
    const dumi_neighbours *t = m->t;
    const dumi_coded *q = &m->block->coded;
    const int64_t at = t->panels[m->leaf] + panel;
    const int8_t *code = t->codes + at * (int64_t)code_bytes(t->cols), *c = code + sizeof(code_head);
    __m256i sum[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    for (int32_t j = 0; j < pairs(t->cols); j++, c += (ptrdiff_t)2 * DUMI_PANEL) {
        int32_t two;
        memcpy(&two, q->codes + (ptrdiff_t)2 * j, sizeof two);
        const __m256i left = _mm256_set1_epi32(two);
        for (int v = 0; v < 2; v++) {
            const __m128i bytes = _mm_loadu_si128((const __m128i_u *)(const void *)(c + (ptrdiff_t)16 * v));
            sum[v] = _mm256_add_epi32(sum[v], _mm256_madd_epi16(left, _mm256_cvtepi8_epi16(bytes)));
        }
    }
    uint64_t near = 0;
    const code_head *head = (const code_head *)(const void *)code;
    const __m256 square = _mm256_set1_ps(m->block->squares[0]), bound = _mm256_set1_ps(m->block->bounds[0]),
                 step = _mm256_set1_ps(q->step), error = _mm256_set1_ps(q->error),
                 length = _mm256_set1_ps(q->length);
    for (int v = 0; v < 2; v++) {
        __m256 product = _mm256_mul_ps(_mm256_cvtepi32_ps(sum[v]),
                                       _mm256_mul_ps(step, _mm256_loadu_ps(head->step + (ptrdiff_t)8 * v)));
        product =
            _mm256_add_ps(product, _mm256_mul_ps(length, _mm256_loadu_ps(head->error + (ptrdiff_t)8 * v)));
        product =
            _mm256_add_ps(product, _mm256_mul_ps(error, _mm256_loadu_ps(head->length + (ptrdiff_t)8 * v)));
        const __m256 both =
            _mm256_add_ps(square, _mm256_loadu_ps(t->squares + at * DUMI_PANEL + (ptrdiff_t)8 * v));
        const __m256 least = _mm256_sub_ps(both, _mm256_add_ps(product, product));
        /* not greater: NaN, too, is looked at */
        near |= (uint64_t)(uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(least, bound, _CMP_NGT_UQ)) << (8 * v);
    }
    return near;
}
#else
static bool is_wanted(int32_t cols)
{
    (void)cols;
    return false;
}

uint64_t dumi_codes_near(const dumi_meeting *m, int32_t panel)
{
    (void)m;
    (void)panel;
    return (1U << DUMI_PANEL) - 1;
}
#endif

typedef struct {
    dumi_neighbours *t;
    int16_t *scratch; /* for each worker, a number a column */
} coding;

static void leaf_task(void *argument, int64_t leaf, int32_t worker)
{
    const coding *c = argument;
    const dumi_neighbours *t = c->t;
    const int64_t rows = t->nodes[t->leaves - 1 + leaf].count, first = t->panels[leaf],
                  end = first + (rows + DUMI_PANEL - 1) / DUMI_PANEL;
    for (int64_t panel = first; panel < end; panel++)
        pack(t->cols, t->packed + panel * DUMI_PANEL * t->cols, c->scratch + (int64_t)worker * t->cols,
             t->codes + panel * (int64_t)code_bytes(t->cols));
}

dum_status dumi_neighbours_code(dumi_neighbours *t)
{
    if (!is_wanted(t->cols))
        return DUM_OK;
    const size_t panels = (size_t)(t->count / DUMI_PANEL + t->leaves);
    coding c = {t, NULL};
    DUMI_TRY(DUMI_NEW(t->context, c.scratch, (size_t)t->context->threads * (size_t)t->cols));
    const dum_status status = DUMI_NEW(t->context, t->codes, panels * code_bytes(t->cols));
    if (status == DUM_OK)
        dumi_parallel(t->context, t->context->threads, t->leaves, 4.0 * (double)t->count * t->cols, leaf_task,
                      &c);
    dumi_free(t->context, c.scratch);
    return status;
}
