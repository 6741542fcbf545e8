/* SPDX-License-Identifier: MIT
 * Sketches of the rows in a byte a number, and a query alone that meets them. */
#include "neighbours/tree.h"

#include <math.h>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#define WIDE __attribute__((target("avx2,fma")))

/* Nodes of up to CHUNK rows are met as a whole. */
enum { CHUNK = 8192, STRIPE = 8, FOUR = 4 };
/* Scores of places without a row, and of rows that are always measured; others are in between. */
enum { NEVER = INT32_MAX / 2, ALWAYS = -NEVER };

/* A query's fractions of a step: its numbers fit into 16 bits, sums of products stay below 2^29. */
static int32_t fractions(const dumi_sketch *s)
{
    int32_t parts = 256;
    while ((int64_t)parts * s->width * DUMI_BOX * DUMI_BOX >= 1 << 29)
        parts /= 2;
    return parts;
}

/* Of a number in steps, moved into the box. */
static float boxed(float steps)
{
    return steps > DUMI_BOX ? DUMI_BOX : steps < -DUMI_BOX ? -DUMI_BOX : steps;
}

void dumi_codes_query(const dumi_neighbours *t, dumi_block *b)
{
    const dumi_sketch *s = t->sketch;
    dumi_coded *query = &b->coded;
    float *at = b->packed + t->cols;
    const double off = dumi_sketch_row(s, t->cols, b->x, b->packed, at) / (double)s->step;
    const bool fits = off < 1e6; /* else all rows are measured */
    const int32_t parts = fractions(s);
    query->square = 0;
    for (int32_t i = 0; i < s->width; i++) {
        query->at[i] = (int16_t)(fits ? lrintf(boxed(at[i] / s->step) * (float)parts) : 0);
        query->square += (int64_t)query->at[i] * query->at[i];
    }
    query->off = fits ? off + s->off + sqrt(s->width) / parts : INFINITY;
}

/* Returns what its code is off, in steps. scratch: a number a column, then a sketch. */
static double code_row(const dumi_neighbours *t, const float *row, float *scratch, int8_t *code, int32_t *norm)
{
    const dumi_sketch *s = t->sketch;
    float *at = scratch + t->cols;
    const double off = dumi_sketch_row(s, t->cols, row, scratch, at) / (double)s->step;
    if (!(off < 0.25)) {
        *norm = ALWAYS;
        return 0;
    }
    const int32_t half = fractions(s) / 2;
    double square = 0;
    *norm = 0;
    for (int32_t i = 0; i < s->width; i++) {
        const float steps = boxed(at[i] / s->step);
        const int32_t whole = (int32_t)lrintf(steps);
        const double rest = (double)steps - whole;
        code[(ptrdiff_t)(i / 2) * 2 * DUMI_PANEL + i % 2] = (int8_t)whole;
        square += rest * rest;
        *norm += half * whole * whole;
    }
    return sqrt(square) + off;
}

typedef struct {
    const dumi_neighbours *t;
    float *scratch; /* for each worker */
    double *off;    /* and the largest that a code is off */
} coding;

static void leaf_task(void *argument, int64_t leaf, int32_t worker)
{
    const coding *c = argument;
    const dumi_neighbours *t = c->t;
    const dumi_sketch *s = t->sketch;
    const dumi_node *n = &t->nodes[t->leaves - 1 + leaf];
    const int32_t places = (n->count + DUMI_PANEL - 1) / DUMI_PANEL * DUMI_PANEL;
    int8_t *codes = s->codes + t->panels[leaf] * DUMI_PANEL * s->width;
    int32_t *norms = s->norms + t->panels[leaf] * DUMI_PANEL;
    memset(codes, 0, (size_t)places * (size_t)s->width);
    for (int32_t i = 0; i < places; i++) {
        norms[i] = NEVER;
        if (i >= n->count)
            continue;
        const double off = code_row(
            t, t->rows + (n->first + i) * t->cols, c->scratch + (int64_t)worker * (t->cols + s->width),
            codes + (ptrdiff_t)(i / DUMI_PANEL) * DUMI_PANEL * s->width + (ptrdiff_t)2 * (i % DUMI_PANEL),
            norms + i);
        c->off[worker] = fmax(c->off[worker], off);
    }
}

static dum_status code_rows(const dumi_neighbours *t)
{
    const size_t places = ((size_t)t->count / DUMI_PANEL + (size_t)t->leaves) * DUMI_PANEL;
    const int32_t threads = t->context->threads;
    coding c = {t, NULL, NULL};
    dum_status status;
    DUMI_GO(DUMI_NEW(t->context, t->sketch->codes, places * (size_t)t->sketch->width));
    DUMI_GO(DUMI_NEW(t->context, t->sketch->norms, places));
    DUMI_GO(DUMI_NEW(t->context, c.scratch, (size_t)threads * (size_t)(t->cols + t->sketch->width)));
    DUMI_GO(DUMI_NEW(t->context, c.off, threads));
    memset(c.off, 0, (size_t)threads * sizeof *c.off);
    dumi_parallel(t->context, threads, t->leaves, 2.0 * (double)t->count * t->cols * t->sketch->width,
                  leaf_task, &c);
    for (int32_t i = 0; i < threads; i++)
        t->sketch->off = fmax(t->sketch->off, c.off[i]);
    t->sketch->off += 0.001; /* of quotients and sums of them */
done:
    dumi_free(t->context, c.scratch);
    dumi_free(t->context, c.off);
    return status;
}

/* Nodes whose rows are identical are measured at once, wherever they are. */
static void find_piles(const dumi_neighbours *t)
{
    for (int64_t i = 2 * t->leaves - 2; i >= 0; i--)
        t->nodes[i].piled = t->nodes[i].axis < 0 ||
                            (i < t->leaves - 1 && (t->nodes[2 * i + 1].piled || t->nodes[2 * i + 2].piled));
}

dum_status dumi_neighbours_code(dumi_neighbours *t)
{
    DUMI_TRY(dumi_sketch_create(t, &t->sketch));
    if (t->sketch == NULL)
        return DUM_OK;
    find_piles(t);
    while (((t->count - 1) >> t->sketch->level) + 1 > CHUNK)
        t->sketch->level++;
    const int64_t places = (int64_t)DUMI_PANEL * (t->leaves >> t->sketch->level) + CHUNK;
    t->sketch->places = places < t->count + DUMI_PANEL * t->leaves ? places : t->count + DUMI_PANEL * t->leaves;
    return code_rows(t);
}

/* ---- The query ----------------------------------------------------------------------------------------- */

static inline WIDE __m256i get(const int32_t *from)
{
    return _mm256_loadu_si256((const __m256i_u *)(const void *)from);
}

static inline WIDE void put(int32_t *to, __m256i values)
{
    _mm256_storeu_si256((__m256i_u *)(void *)to, values);
}

/* (|u - c|^2 - |u|^2) fractions / 2, of the places of some panels side by side. */
static inline __attribute__((always_inline)) WIDE void score_panels(const int panels, int32_t width,
                                                                    const int16_t *query, const int8_t *codes,
                                                                    const int32_t *norms, int32_t *scores)
{
    __m256i sum[4];
    DUMI_UNROLL
    for (int v = 0; v < 2 * panels; v++)
        sum[v] = _mm256_setzero_si256();
    for (int32_t i = 0; i < width; i += 2, codes += (ptrdiff_t)2 * DUMI_PANEL) {
        int32_t two;
        memcpy(&two, query + i, sizeof two);
        const __m256i left = _mm256_set1_epi32(two);
        DUMI_UNROLL
        for (int v = 0; v < 2 * panels; v++) {
            const int8_t *from = codes + (ptrdiff_t)(v / 2) * DUMI_PANEL * width + (ptrdiff_t)16 * (v % 2);
            const __m256i right = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i_u *)(const void *)from));
            sum[v] = _mm256_add_epi32(sum[v], _mm256_madd_epi16(left, right));
        }
    }
    DUMI_UNROLL
    for (int v = 0; v < 2 * panels; v++)
        put(scores + (ptrdiff_t)8 * v, _mm256_sub_epi32(get(norms + (ptrdiff_t)8 * v), sum[v]));
}

/* Scores, and in `least` the least of each STRIPE panels, place by place. */
static WIDE void find_scores(const dumi_sketch *s, const int16_t *query, int64_t first, int64_t panels,
                             int32_t *scores, int32_t *least)
{
    const int8_t *codes = s->codes + first * DUMI_PANEL * s->width;
    const int32_t *norms = s->norms + first * DUMI_PANEL;
    int64_t panel = 0;
    for (; panel + 2 <= panels; panel += 2)
        score_panels(2, s->width, query, codes + panel * DUMI_PANEL * s->width, norms + panel * DUMI_PANEL,
                     scores + panel * DUMI_PANEL);
    if (panel < panels)
        score_panels(1, s->width, query, codes + panel * DUMI_PANEL * s->width, norms + panel * DUMI_PANEL,
                     scores + panel * DUMI_PANEL);
    for (int64_t i = 0; i < panels; i += STRIPE, least += DUMI_PANEL)
        for (int v = 0; v < DUMI_PANEL; v += 8) {
            __m256i low = get(scores + i * DUMI_PANEL + v);
            for (panel = i + 1; panel < panels && panel < i + STRIPE; panel++)
                low = _mm256_min_epi32(low, get(scores + panel * DUMI_PANEL + v));
            put(least + v, low);
        }
}

static WIDE int32_t count_up_to(const int32_t *values, int64_t count, int32_t most)
{
    __m256i more = _mm256_setzero_si256();
    int32_t each[8], sum = 0;
    for (int64_t i = 0; i < count; i += 8)
        more = _mm256_add_epi32(more, _mm256_cmpgt_epi32(get(values + i), _mm256_set1_epi32(most)));
    put(each, more);
    for (int v = 0; v < 8; v++)
        sum += each[v];
    return (int32_t)count + sum;
}

/* A number up to which there are `wanted` values or some more, besides those of rows that are always measured. */
static WIDE int32_t least_for(const int32_t *values, int64_t count, int32_t wanted)
{
    const int32_t always = count_up_to(values, count, ALWAYS);
    __m256i least = get(values), most = least;
    for (int64_t i = 8; i < count; i += 8) {
        least = _mm256_min_epi32(least, get(values + i));
        most = _mm256_max_epi32(most, get(values + i));
    }
    int32_t each[2][8], low = NEVER - 1, high = ALWAYS;
    put(each[0], least);
    put(each[1], most);
    for (int v = 0; v < 8; v++) {
        low = each[0][v] < low ? each[0][v] : low;
        high = each[1][v] > high ? each[1][v] : high;
    }
    high = high < NEVER ? high : NEVER - 1;
    while (low < high) {
        const int32_t middle = low + (high - low) / 2, found = count_up_to(values, count, middle) - always;
        if (found < wanted)
            low = middle + 1;
        else
            high = middle;
        if (found >= wanted && found <= wanted + wanted / 2)
            break;
    }
    return high;
}

/* Up to which score a row may be of use. */
static int32_t most_of_use(const dumi_meeting *m)
{
    const dumi_coded *q = &m->block->coded;
    const double square = dumi_reach(m->block, m->k, 0);
    const int32_t parts = fractions(m->t->sketch);
    const double steps = (sqrt(square) / (double)m->t->sketch->step * (1 + 1e-6) + q->off) * parts;
    const double most = (steps * steps - (double)q->square) / (2 * parts) + 1;
    return most < NEVER - 1 ? (int32_t)most : NEVER - 1;
}

/* Which of a panel's scores are above `above` and no more than `most`, a bit each. */
static WIDE uint64_t between(const int32_t *scores, int32_t above, int32_t most)
{
    uint64_t near = 0;
    for (int v = 0; v < 2; v++) {
        const __m256i score = get(scores + (ptrdiff_t)8 * v);
        const __m256i in = _mm256_andnot_si256(_mm256_cmpgt_epi32(score, _mm256_set1_epi32(most)),
                                               _mm256_cmpgt_epi32(score, _mm256_set1_epi32(above)));
        near |= (uint64_t)(uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(in)) << (8 * v);
    }
    return near;
}

/* Rows to be measured, in the tree's order. */
typedef struct {
    int64_t at[FOUR];
    int32_t count;
} waiting;

/* dumi_square_distance of x from four others, side by side: each has its bits. False as soon as all are above `most`: sums
 * only grow. */
static WIDE bool square_distances(int32_t cols, const float *x, const float *const *y, double most,
                                  double *squares)
{
    enum { PART = 128 };
    double each[FOUR][4];
    __m256d sum[FOUR];
    int32_t j = 0;
    DUMI_UNROLL
    for (int i = 0; i < FOUR; i++)
        sum[i] = _mm256_setzero_pd();
    while (j + 4 <= cols) {
        bool near = false;
        for (const int32_t end = cols - j < PART ? cols : j + PART; j + 4 <= end; j += 4) {
            const __m256d left = _mm256_cvtps_pd(_mm_loadu_ps(x + j));
            DUMI_UNROLL
            for (int i = 0; i < FOUR; i++) {
                const __m256d difference = _mm256_sub_pd(left, _mm256_cvtps_pd(_mm_loadu_ps(y[i] + j)));
                sum[i] = _mm256_add_pd(sum[i], _mm256_mul_pd(difference, difference));
            }
        }
        for (int i = 0; i < FOUR; i++) {
            _mm256_storeu_pd(each[i], sum[i]);
            near |= (each[i][0] + each[i][1]) + (each[i][2] + each[i][3]) <= most;
        }
        if (!near)
            return false;
    }
    for (int i = 0; i < FOUR; i++) {
        for (int32_t rest = j; rest < cols; rest++) {
            const double difference = (double)x[rest] - (double)y[i][rest];
            each[i][0] += difference * difference;
        }
        squares[i] = (each[i][0] + each[i][1]) + (each[i][2] + each[i][3]);
    }
    return true;
}

static void measure(const dumi_meeting *m, waiting *w)
{
    const dumi_neighbours *t = m->t;
    const float *rows[FOUR];
    double squares[FOUR];
    for (int32_t i = 0; i < FOUR; i++)
        rows[i] = t->rows + w->at[i < w->count ? i : 0] * t->cols;
    const bool near = square_distances(t->cols, m->block->x, rows, dumi_reach(m->block, m->k, 0), squares);
    for (int32_t i = 0; i < w->count && near; i++)
        dumi_neighbours_offer(m, 0, squares[i], t->order[w->at[i]]);
    w->count = 0;
}

/* Measures the rows of some leaves, from `leaf` on, whose scores are above `above` and no more than `most`. */
static WIDE void consider(const dumi_meeting *m, int64_t leaf, int64_t panels, int32_t above, int32_t most)
{
    const dumi_neighbours *t = m->t;
    const dumi_block *b = m->block;
    const int64_t first = t->panels[leaf];
    waiting w = {.count = 0};
    for (int64_t panel = 0; panel < panels; panel++) {
        if (panel % STRIPE == 0 && between(b->least + panel / STRIPE * DUMI_PANEL, INT32_MIN, most) == 0) {
            panel += STRIPE - 1;
            continue;
        }
        uint64_t near = between(b->scores + panel * DUMI_PANEL, above, most);
        if (near == 0)
            continue;
        while (leaf + 1 < t->leaves && t->panels[leaf + 1] <= first + panel)
            leaf++;
        const int64_t start =
            t->nodes[t->leaves - 1 + leaf].first + (first + panel - t->panels[leaf]) * DUMI_PANEL;
        for (; near != 0; near &= near - 1) {
            w.at[w.count++] = start + __builtin_ctzll(near);
            if (w.count == FOUR)
                measure(m, &w);
        }
    }
    if (w.count > 0)
        measure(m, &w);
}

bool dumi_codes_cover(const dumi_neighbours *t, int64_t node)
{
    return node >= ((int64_t)1 << t->sketch->level) - 1 && !t->nodes[node].piled;
}

/* The best by their sketches first, then all that these leave. */
void dumi_codes_meet(const dumi_meeting *m, int64_t node)
{
    const dumi_neighbours *t = m->t;
    dumi_block *b = m->block;
    int64_t left = node, right = node;
    while (left < t->leaves - 1) {
        left = 2 * left + 1;
        right = 2 * right + 2;
    }
    const int64_t leaf = left - (t->leaves - 1), first = t->panels[leaf],
                  panels = t->panels[right - (t->leaves - 1)] - first +
                           (t->nodes[right].count + DUMI_PANEL - 1) / DUMI_PANEL,
                  stripes = (panels + STRIPE - 1) / STRIPE;
    find_scores(t->sketch, b->coded.at, first, panels, b->scores, b->least);
    b->active[0] = 0;
    const int32_t wanted = m->k + 1; /* the query itself may be one of them */
    const int32_t best = 2 * (int64_t)wanted < stripes * DUMI_PANEL
                             ? least_for(b->least, stripes * DUMI_PANEL, wanted)
                             : least_for(b->scores, panels * DUMI_PANEL, wanted);
    const int32_t known = most_of_use(m), start = best < known ? best : known;
    consider(m, leaf, panels, INT32_MIN, start);
    consider(m, leaf, panels, start, most_of_use(m));
}
#else
bool dumi_codes_cover(const dumi_neighbours *t, int64_t node)
{
    (void)t;
    (void)node;
    return false;
}

void dumi_codes_query(const dumi_neighbours *t, dumi_block *b)
{
    (void)t;
    (void)b;
}

void dumi_codes_meet(const dumi_meeting *m, int64_t node)
{
    (void)m;
    (void)node;
}

dum_status dumi_neighbours_code(dumi_neighbours *t)
{
    (void)t;
    return DUM_OK;
}
#endif
