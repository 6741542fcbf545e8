/* SPDX-License-Identifier: MIT
 * Kind "ocsvm": the one-class nu-SVM with a radial kernel (Schoelkopf et al. 2001), trained by sequential minimal
 * optimisation with the second-order choice of pairs (Fan, Chen & Lin 2005). The sums of alpha are libsvm's: nu x n. */
#include "scorer/rows.h"

#include <float.h>
#include <math.h>
#include <stddef.h>

enum { NU = DUMI_SCALED_PARAMS, GAMMA, TOLERANCE, CACHE_MB, MAX_ITERATIONS, PARAMS };

static const dumi_param own[] = {
    {"nu", 0.5, 1e-9, 1, NULL, NULL, false,
     "at most this share of the training rows lies outside, and at least this share are support vectors"},
    {"gamma", 0, 0, 1e100, NULL, NULL, false,
     "the kernel is exp(-gamma |x - y|^2); 0: 1 / (columns x variance of all values)"},
    {"tolerance", 0.001, 1e-10, 1, NULL, NULL, false, "training stops where no pair gains more than this"},
    {"cache_mb", 200, 0, 1e9, NULL, NULL, false,
     "megabytes of kernel rows that training keeps, and two rows at least"},
    {"max_iterations", 0, 0, 1e12, NULL, NULL, true, "of training; 0: no limit"},
};

/* Wider than what `gamma` takes and what float data give. */
static const double LEAST_GAMMA = 1e-110, LARGEST_GAMMA = 1e110;

static const dumi_param *param(int32_t index)
{
    return index == DUMI_SCORER_HOLDOUT   ? &dumi_scorer_holdout
           : index == DUMI_SCORER_SCALING ? &dumi_scorer_scaling
                                          : &own[index - NU];
}

/* ---- The kernel: one row against many --------------------------------------------------------------------- */

enum { TOGETHER = 2, LANES = 32, WIDE = 8, WIDES = LANES / WIDE, HALF = 4 };

typedef float floats __attribute__((vector_size(WIDE * sizeof(float))));
typedef int32_t ints __attribute__((vector_size(WIDE * sizeof(int32_t))));
typedef double doubles __attribute__((vector_size(HALF * sizeof(double))));
typedef int64_t longs __attribute__((vector_size(HALF * sizeof(int64_t))));

/* Rows in blocks of LANES, each block column by column: what is done to one row is done to LANES at once, and each
 * lane adds up in the same order whatever the vectors of the processor. */
typedef struct {
    dum_context *context;
    int64_t count, blocks;
    int32_t cols;
    float *whole, *last; /* the blocks that are full, and the last one, whose missing rows are 0 */
    float scale;         /* that the rows have been multiplied by: a power of two */
    float exponent;      /* kernel: 2^(exponent x squared distance of scaled rows) */
} panels;

static const float *block_of(const panels *p, int64_t block)
{
    return (block + 1) * LANES <= p->count ? p->whole + block * LANES * p->cols : p->last;
}

/* Squares of differences must stay within float, and what is lost below it must not count. Usual data are left
 * as they are. Without an overflow in the rows, one in the squares means a kernel of 0, as it should. */
static int scale_exponent(float most, double gamma)
{
    const int wanted = (int)lrint(log2(gamma) / 2);
    const int size = most > 0 ? ilogbf(most) : 0;
    if (wanted >= -30 && wanted <= 30 && size <= 50)
        return 0;
    const int bound = wanted < 60 - size ? wanted : 60 - size;
    return bound < -126 ? -126 : bound > 126 ? 126 : bound;
}

static void transpose(const panels *p, const float *rows, int64_t count, float *to)
{
    for (int64_t j = 0; j < p->cols; j++)
        for (int64_t i = 0; i < LANES; i++)
            to[j * LANES + i] = i < count ? rows[i * p->cols + j] * p->scale : 0;
}

/* Packs the rows where they are; `last` serves as scratch meanwhile. The panels own them then, also where this
 * fails. */
static dum_status pack(dum_context *context, float *rows, int64_t count, int32_t cols, double gamma, panels *p)
{
    *p = (panels){
        .context = context, .count = count, .blocks = (count + LANES - 1) / LANES, .cols = cols, .whole = rows};
    float most = 0;
    for (int64_t i = 0; i < count * cols; i++)
        most = fabsf(rows[i]) > most ? fabsf(rows[i]) : most;
    p->scale = ldexpf(1, scale_exponent(most, gamma));
    const double exponent = gamma / ((double)p->scale * (double)p->scale) * 1.4426950408889634;
    p->exponent = exponent < FLT_MAX ? -(float)exponent : -FLT_MAX;
    DUMI_TRY(DUMI_NEW(context, p->last, LANES * (size_t)cols));
    for (int64_t first = 0; first < count; first += LANES) {
        float *at = rows + first * cols;
        transpose(p, at, count - first, p->last);
        if (first + LANES <= count)
            memcpy(at, p->last, LANES * (size_t)cols * sizeof *at);
    }
    return DUM_OK;
}

static void unpack(panels *p)
{
    dumi_free(p->context, p->whole);
    dumi_free(p->context, p->last);
    p->whole = p->last = NULL;
}

static void copy_row(const panels *p, int64_t row, float *to)
{
    const float *from = block_of(p, row / LANES) + row % LANES;
    for (int64_t j = 0; j < p->cols; j++)
        to[j] = from[j * LANES];
}

/* Differences, so that nothing cancels: float is enough for those, and for sums of sums of few squares. `count`, 1 or
 * 2, is a constant where this is called. */
static inline void squares(const panels *p, const float *block, const float *const *x, int count, float scale,
                           float (*out)[LANES])
{
    enum { SPAN = 64 };
    floats sum[TOGETHER][WIDES] = {{{0}}};
    for (int64_t first = 0; first < p->cols; first += SPAN) {
        const int64_t end = p->cols - first < SPAN ? p->cols : first + SPAN;
        floats part[TOGETHER][WIDES] = {{{0}}};
        for (int64_t j = first; j < end; j++)
            for (int64_t v = 0; v < WIDES; v++) {
                floats y;
                memcpy(&y, block + j * LANES + v * WIDE, sizeof y);
                for (int q = 0; q < count; q++) {
                    const floats difference = y - x[q][j] * scale;
                    part[q][v] += difference * difference;
                }
            }
        for (int q = 0; q < count; q++)
            for (int v = 0; v < WIDES; v++)
                sum[q][v] += part[q][v];
    }
    memcpy(out, sum, (size_t)count * sizeof sum[0]);
}

/* 2^(y factor) where that is at most 1: to 1e-7 of itself, and 0 below the least normal number; exactly 1 for 0. */
static inline void powers(const float *y, float factor, float *out)
{
    const float to_integer = 12582912; /* 1.5 x 2^23: adding it rounds */
    floats a, p;
    memcpy(&a, y, sizeof a);
    a *= factor;
    const ints usual = a >= -126.0f;
    a = (floats)((ints)a & usual);
    const floats whole = (a + to_integer) - to_integer, f = a - whole;
    p = 1.5353362e-4f * f + 1.3398875e-3f;
    p = p * f + 9.6184369e-3f;
    p = p * f + 5.5503324e-2f;
    p = p * f + 2.4022648e-1f;
    p = p * f + 6.9314718e-1f;
    p = p * f + 1.0f;
    const ints bits = ((ints)p + (__builtin_convertvector(whole, ints) << 23)) & usual;
    memcpy(out, &bits, sizeof bits);
}

/* Kernel of one or two rows x, times `scale`, with the rows of blocks first .. end - 1, one at least. */
DUMI_CLONES static void kernel_values(const panels *p, const float *const *x, int count, float scale,
                                      int64_t first, int64_t end, float *const *out)
{
    int64_t at = 0;
    do {
        float squared[TOGETHER][LANES];
        if (count == TOGETHER)
            squares(p, block_of(p, first), x, TOGETHER, scale, squared);
        else
            squares(p, block_of(p, first), x, 1, scale, squared);
        for (int q = 0; q < count; q++)
            for (int64_t v = 0; v < WIDES; v++)
                powers(squared[q] + v * WIDE, p->exponent, out[q] + at + v * WIDE);
        at += LANES;
    } while (++first < end);
}

/* ---- The state -------------------------------------------------------------------------------------------- */

typedef struct {
    dumi_state head;
    float *vectors; /* support vectors */
    double *alpha;
    double *numbers; /* gamma, rho */
    panels packed;
    double *weights; /* alpha, and 0 up to a whole block */
} machine;

enum { VECTORS = 1, NUMBERS };
enum { NUMBER_GAMMA, NUMBER_RHO, NUMBER_COUNT };

static dum_status check(const machine *m)
{
    DUMI_REQUIRE(m->head.sizes[NUMBERS] == NUMBER_COUNT, DUM_ERR_FORMAT,
                 "tensor ocsvm.numbers has %lld elements of %d", (long long)m->head.sizes[NUMBERS],
                 NUMBER_COUNT);
    DUMI_REQUIRE(m->numbers[NUMBER_GAMMA] >= LEAST_GAMMA && m->numbers[NUMBER_GAMMA] <= LARGEST_GAMMA,
                 DUM_ERR_FORMAT, "tensor ocsvm.numbers: gamma is not positive, or extreme");
    DUMI_REQUIRE(m->numbers[NUMBER_RHO] >= 0, DUM_ERR_FORMAT, "tensor ocsvm.numbers: rho is negative");
    for (int64_t i = 0; i < m->head.sizes[VECTORS]; i++)
        DUMI_REQUIRE(m->alpha[i] > 0 && m->alpha[i] <= 1, DUM_ERR_FORMAT,
                     "tensor ocsvm.alpha: element %lld is not in (0, 1]", (long long)i);
    DUMI_REQUIRE(m->head.sizes[DUMI_COLS] <= INT32_MAX, DUM_ERR_FORMAT,
                 "tensor ocsvm.vectors has too many columns");
    return DUM_OK;
}

static dum_status ready(const double *values, void *state)
{
    (void)values;
    machine *m = state;
    dum_context *context = m->head.context;
    DUMI_TRY(check(m));
    const int64_t count = m->head.sizes[VECTORS], padded = (count + LANES - 1) / LANES * LANES;
    const size_t size = (size_t)count * (size_t)m->head.sizes[DUMI_COLS];
    float *rows;
    DUMI_TRY(DUMI_NEW(context, m->weights, padded));
    for (int64_t i = 0; i < padded; i++)
        m->weights[i] = i < count ? m->alpha[i] : 0;
    DUMI_TRY(DUMI_NEW(context, rows, size));
    memcpy(rows, m->vectors, size * sizeof *rows);
    return pack(context, rows, count, (int32_t)m->head.sizes[DUMI_COLS], m->numbers[NUMBER_GAMMA], &m->packed);
}

static void release(void *state)
{
    machine *m = state;
    if (m->packed.context != NULL)
        unpack(&m->packed);
    dumi_free(m->head.context, m->weights);
}

static const dumi_array arrays[] = {
    {"ocsvm.vectors", DUMI_F32, offsetof(machine, vectors), VECTORS, DUMI_COLS},
    {"ocsvm.alpha", DUMI_F64, offsetof(machine, alpha), VECTORS, DUMI_VECTOR},
    {"ocsvm.numbers", DUMI_F64, offsetof(machine, numbers), NUMBERS, DUMI_VECTOR},
};
static const dumi_layout layout = {
    .bytes = sizeof(machine), .count = 3, .arrays = arrays, .ready = ready, .release = release};

/* ---- Scores ----------------------------------------------------------------------------------------------- */

/* Blocks of support vectors are taken in stretches that stay in the cache while several rows meet them. */
enum { SCORE_ROWS = 32, SUM_LANES = 16, MOST_BLOCKS = 16, STRETCH_FLOATS = 8192 };

static int64_t stretch_blocks(int32_t cols)
{
    const int64_t fit = STRETCH_FLOATS / LANES / cols;
    return fit < 1 ? 1 : fit > MOST_BLOCKS ? MOST_BLOCKS : fit;
}

DUMI_CLONES static void add_weighted(const float *restrict k, const double *restrict weights, int64_t count,
                                     double *restrict sums)
{
    for (int64_t i = 0; i < count; i += SUM_LANES)
        for (int l = 0; l < SUM_LANES; l++)
            sums[l] += weights[i + l] * (double)k[i + l];
}

typedef struct {
    const machine *m;
    const float *data;
    int64_t rows, row_stride;
    double *scores;
} job;

static void score_task(void *argument, int64_t task, int32_t worker)
{
    (void)worker;
    const job *j = argument;
    const panels *p = &j->m->packed;
    const int64_t begin = task * SCORE_ROWS, left = j->rows - begin, step = stretch_blocks(p->cols);
    const int count = left < SCORE_ROWS ? (int)left : SCORE_ROWS;
    double sums[SCORE_ROWS][SUM_LANES];
    for (int i = 0; i < count; i++)
        for (int l = 0; l < SUM_LANES; l++)
            sums[i][l] = 0;
    for (int64_t first = 0; first < p->blocks; first += step) {
        const int64_t end = first + step < p->blocks ? first + step : p->blocks;
        for (int i = 0; i < count; i += TOGETHER) {
            float k[TOGETHER][MOST_BLOCKS * LANES];
            const int now = count - i < TOGETHER ? 1 : TOGETHER;
            const float *row = j->data + (begin + i) * j->row_stride,
                        *x[] = {row, row + (now - 1) * j->row_stride};
            float *out[] = {k[0], k[1]};
            kernel_values(p, x, now, p->scale, first, end, out);
            for (int q = 0; q < now; q++)
                add_weighted(k[q], j->m->weights + first * LANES, (end - first) * LANES, sums[i + q]);
        }
    }
    for (int i = 0; i < count; i++) {
        double sum = 0;
        for (int l = 0; l < SUM_LANES; l++)
            sum += sums[i][l];
        j->scores[begin + i] = j->m->numbers[NUMBER_RHO] - sum;
    }
}

/* Roughly, of the kernel of two rows. */
static double pair_cost(int32_t cols)
{
    return 3.0 * cols + 25;
}

static dum_status score(const double *values, void *state, const float *data, int64_t rows, int32_t cols,
                        int64_t row_stride, double *scores)
{
    (void)values;
    machine *m = state;
    dum_context *context = m->head.context;
    DUMI_TRY(dumi_rows_check_finite(data, rows, cols, row_stride));
    job j = {m, data, rows, row_stride, scores};
    dumi_parallel(context, context->threads, (rows + SCORE_ROWS - 1) / SCORE_ROWS,
                  pair_cost(cols) * (double)m->packed.count * (double)rows, score_task, &j);
    return DUM_OK;
}

/* ---- Training --------------------------------------------------------------------------------------------- */

/* Kernel rows of training rows, the one used longest ago is the first to go. */
typedef struct {
    int64_t slots, used;
    float **values;         /* of each slot */
    int64_t *owner;         /* of each slot: the training row */
    int64_t *slot;          /* of each training row, or -1 */
    int64_t *newer, *older; /* neighbours of each slot in a ring through slot `slots` */
} row_cache;

/* Training rows that are gathered at a time, and those of a part of a pass. */
enum { GATHERED = 256, PASS_ROWS = 1024 };

/* What a pass over a part of the training rows finds. */
typedef struct {
    double least; /* gradient of rows whose alpha may grow */
    double most;  /* of those whose alpha may shrink */
    double gain;  /* of the best partner */
    int64_t at;   /* of `least`, or of `gain`; -1: none */
} finding;

typedef struct {
    dumi_fitting *f;
    dum_context *context;
    panels rows;
    int64_t padded;
    double *alpha, *gradient; /* padded by 0 and infinity: such rows are never chosen */
    float *gathered;          /* rows as rows */
    int64_t *support;         /* rows that training begins with */
    row_cache cache;
    finding *found; /* of each part of a pass */
    /* The work of a pass: */
    const float *x, *row_i, *row_j;
    float *out;
    double weights[GATHERED]; /* of gathered rows */
    int32_t gathered_count;
    double change_i, change_j;
    finding best;
} solver;

static int64_t parts_of(const solver *s)
{
    return (s->padded + PASS_ROWS - 1) / PASS_ROWS;
}

static int64_t part_end(const solver *s, int64_t part)
{
    return (part + 1) * PASS_ROWS < s->padded ? (part + 1) * PASS_ROWS : s->padded;
}

static void over_parts(solver *s, double operations, dumi_task_fn task)
{
    dumi_parallel(s->context, s->context->threads, parts_of(s), operations * (double)s->padded, task, s);
}

/* 1 / (columns x variance of all values), as scikit-learn's "scale". */
static double automatic_gamma(const dumi_fitting *f)
{
    const int64_t size = f->count * f->cols;
    double mean = 0, variance = 0;
    for (int64_t i = 0; i < size; i++)
        mean += (double)f->rows[i];
    mean /= (double)size;
    for (int64_t i = 0; i < size; i++)
        variance += ((double)f->rows[i] - mean) * ((double)f->rows[i] - mean);
    variance /= (double)size;
    return variance > 0 ? 1 / (f->cols * variance) : 1;
}

static void kernel_row_task(void *argument, int64_t part, int32_t worker)
{
    (void)worker;
    solver *s = argument;
    float *const out = s->out + part * PASS_ROWS;
    kernel_values(&s->rows, &s->x, 1, 1, part * (PASS_ROWS / LANES), part_end(s, part) / LANES, &out);
}

static void unlink_slot(row_cache *c, int64_t slot)
{
    c->newer[c->older[slot]] = c->newer[slot];
    c->older[c->newer[slot]] = c->older[slot];
}

static void make_newest(row_cache *c, int64_t slot)
{
    const int64_t head = c->slots;
    c->older[slot] = c->older[head];
    c->newer[slot] = head;
    c->newer[c->older[head]] = slot;
    c->older[head] = slot;
}

/* A slot for the kernel row of `row`, whose values are to be made. */
static dum_status claim_slot(solver *s, int64_t row, int64_t *slot)
{
    row_cache *c = &s->cache;
    if (c->used < c->slots) {
        *slot = c->used;
        DUMI_TRY(DUMI_NEW(s->context, c->values[*slot], s->padded));
        c->used++;
    } else {
        *slot = c->newer[c->slots];
        unlink_slot(c, *slot);
        c->slot[c->owner[*slot]] = -1;
    }
    c->owner[*slot] = row;
    c->slot[row] = *slot;
    make_newest(c, *slot);
    return DUM_OK;
}

static dum_status kernel_row(solver *s, int64_t row, const float **out)
{
    row_cache *c = &s->cache;
    int64_t slot = c->slot[row];
    if (slot >= 0) {
        unlink_slot(c, slot);
        make_newest(c, slot);
    } else {
        DUMI_TRY(claim_slot(s, row, &slot));
        copy_row(&s->rows, row, s->gathered);
        s->x = s->gathered;
        s->out = c->values[slot];
        over_parts(s, pair_cost(s->rows.cols), kernel_row_task);
    }
    *out = c->values[slot];
    return DUM_OK;
}

static dum_status create_cache(solver *s)
{
    row_cache *c = &s->cache;
    const double rows = s->f->values[CACHE_MB] * 1e6 / ((double)s->padded * sizeof(float));
    const int64_t count = s->rows.count, least = count < 2 ? count : 2;
    c->slots = rows < (double)least ? least : rows > (double)count ? count : (int64_t)rows;
    DUMI_TRY(DUMI_NEW(s->context, c->values, c->slots));
    for (int64_t i = 0; i < c->slots; i++)
        c->values[i] = NULL;
    DUMI_TRY(DUMI_NEW(s->context, c->owner, c->slots));
    DUMI_TRY(DUMI_NEW(s->context, c->newer, c->slots + 1));
    DUMI_TRY(DUMI_NEW(s->context, c->older, c->slots + 1));
    c->newer[c->slots] = c->older[c->slots] = c->slots;
    DUMI_TRY(DUMI_NEW(s->context, c->slot, count));
    for (int64_t i = 0; i < count; i++)
        c->slot[i] = -1;
    return DUM_OK;
}

static void destroy_solver(solver *s)
{
    row_cache *c = &s->cache;
    for (int64_t i = 0; i < c->used; i++)
        dumi_free(s->context, c->values[i]);
    void *const all[] = {c->values, c->owner,    c->newer,    c->older,   c->slot,
                         s->alpha,  s->gradient, s->gathered, s->support, s->found};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        dumi_free(s->context, all[i]);
    if (s->rows.context != NULL)
        unpack(&s->rows);
}

DUMI_CLONES static void add_scaled(const float *restrict k, double factor, int64_t count, double *restrict sums)
{
    for (int64_t i = 0; i < count; i++)
        sums[i] += factor * (double)k[i];
}

/* Adds the weighted kernel rows of the gathered rows to a part of the gradient. */
static void gather_task(void *argument, int64_t part, int32_t worker)
{
    (void)worker;
    solver *s = argument;
    const int64_t step = stretch_blocks(s->rows.cols), end = part_end(s, part) / LANES;
    for (int64_t first = part * (PASS_ROWS / LANES); first < end; first += step) {
        const int64_t stop = first + step < end ? first + step : end;
        for (int32_t i = 0; i < s->gathered_count; i += TOGETHER) {
            float k[TOGETHER][MOST_BLOCKS * LANES];
            const int now = s->gathered_count - i < TOGETHER ? 1 : TOGETHER;
            const float *row = s->gathered + (int64_t)i * s->rows.cols,
                        *x[] = {row, row + (int64_t)(now - 1) * s->rows.cols};
            float *out[] = {k[0], k[1]};
            kernel_values(&s->rows, x, now, 1, first, stop, out);
            for (int q = 0; q < now; q++)
                add_scaled(k[q], s->weights[i + q], (stop - first) * LANES, s->gradient + first * LANES);
        }
    }
}

/* gradient = sum over `count` rows of their alpha, or 1, times their kernel rows. */
static dum_status sum_rows(solver *s, const int64_t *rows, int64_t count, bool by_alpha)
{
    for (int64_t i = 0; i < s->padded; i++)
        s->gradient[i] = 0;
    for (int64_t first = 0; first < count; first += GATHERED) {
        s->gathered_count = (int32_t)(count - first < GATHERED ? count - first : GATHERED);
        for (int32_t i = 0; i < s->gathered_count; i++) {
            copy_row(&s->rows, rows[first + i], s->gathered + (int64_t)i * s->rows.cols);
            s->weights[i] = by_alpha ? s->alpha[rows[first + i]] : 1;
        }
        over_parts(s, pair_cost(s->rows.cols) * s->gathered_count, gather_task);
        DUMI_TRY(dumi_fitting_progress(s->f, 0, s->rows.count, 0));
    }
    return DUM_OK;
}

/* nu x n; a whole number where that is what rounding missed, so that no row is left a hair from its limit. */
static double alpha_sum(double nu, int64_t n)
{
    const double sum = nu * (double)n, whole = nearbyint(sum);
    return whole >= 1 && fabs(sum - whole) <= 1e-9 ? whole : sum;
}

/* The rows with the fewest others around them, as far as a sample tells: the first `count` of `support`. */
static dum_status find_lonely(solver *s, int64_t count)
{
    enum { SAMPLE = 2 * GATHERED };
    const int64_t n = s->rows.count, sample = n / 8 < SAMPLE ? n / 8 + 1 : SAMPLE;
    for (int64_t i = 0; i < sample; i++)
        s->support[i] = i * n / sample;
    DUMI_TRY(sum_rows(s, s->support, sample, false));
    memcpy(s->alpha, s->gradient, (size_t)n * sizeof *s->alpha);
    dumi_sort_double(s->alpha, n);
    const double limit = s->alpha[count - 1];
    int64_t found = 0;
    for (int64_t i = 0; i < n; i++)
        if (s->gradient[i] < limit)
            s->support[found++] = i;
    for (int64_t i = 0; i < n && found < count; i++)
        if (s->gradient[i] == limit)
            s->support[found++] = i;
    return DUM_OK;
}

/* Training begins with the largest alpha for lonely rows, which is near the solution. */
static dum_status choose_start(solver *s)
{
    const double sum = alpha_sum(s->f->values[NU], s->rows.count);
    const int64_t whole = (int64_t)sum, count = whole < s->rows.count ? whole + 1 : whole;
    DUMI_TRY(find_lonely(s, count));
    for (int64_t i = 0; i < s->padded; i++)
        s->alpha[i] = 0;
    for (int64_t i = 0; i < count; i++)
        s->alpha[s->support[i]] = i < whole ? 1 : sum - (double)whole;
    DUMI_TRY(sum_rows(s, s->support, count, true));
    for (int64_t i = s->rows.count; i < s->padded; i++)
        s->gradient[i] = INFINITY;
    return DUM_OK;
}

static dum_status create_solver(solver *s, double gamma)
{
    dumi_fitting *f = s->f;
    float *rows = f->rows;
    f->rows = NULL;
    DUMI_TRY(pack(s->context, rows, f->count, f->cols, gamma, &s->rows));
    s->padded = s->rows.blocks * LANES;
    DUMI_TRY(DUMI_NEW(s->context, s->alpha, s->padded));
    DUMI_TRY(DUMI_NEW(s->context, s->gradient, s->padded));
    const int64_t gathered = f->count < GATHERED ? f->count : GATHERED;
    DUMI_TRY(DUMI_NEW(s->context, s->gathered, (size_t)gathered * (size_t)f->cols));
    DUMI_TRY(DUMI_NEW(s->context, s->support, f->count));
    DUMI_TRY(DUMI_NEW(s->context, s->found, parts_of(s)));
    return create_cache(s);
}

/* The lesser of two candidates; of equals, the first row. */
static void take_least(finding *best, double least, int64_t at)
{
    if (least < best->least || (least == best->least && at < best->at)) {
        best->least = least;
        best->at = at;
    }
}

/* A macro: functions that take vectors have another interface on each processor. */
#define CHOOSE(mask, yes, no) (((mask) & (longs)(yes)) | (~(mask) & (longs)(no)))

/* Follows the change of two alphas in the gradient of rows first .. end - 1, and looks for the next row to grow. */
DUMI_CLONES static void follow(const solver *s, int64_t first, int64_t end, finding *found)
{
    const doubles none = {INFINITY, INFINITY, INFINITY, INFINITY};
    doubles least = none, most = -none;
    longs at = {-1, -1, -1, -1}, index = {first, first + 1, first + 2, first + 3};
    for (int64_t i = first; i < end; i += HALF, index += HALF) {
        doubles g, a;
        memcpy(&g, s->gradient + i, sizeof g);
        memcpy(&a, s->alpha + i, sizeof a);
        const doubles ki = {(double)s->row_i[i], (double)s->row_i[i + 1], (double)s->row_i[i + 2],
                            (double)s->row_i[i + 3]};
        const doubles kj = {(double)s->row_j[i], (double)s->row_j[i + 1], (double)s->row_j[i + 2],
                            (double)s->row_j[i + 3]};
        g = g + (s->change_i * ki + s->change_j * kj);
        memcpy(s->gradient + i, &g, sizeof g);
        const longs less = (a < 1.0) & (g < least), more = (a > 0.0) & (g > most);
        least = (doubles)CHOOSE(less, g, least);
        at = CHOOSE(less, index, at);
        most = (doubles)CHOOSE(more, g, most);
    }
    *found = (finding){INFINITY, -INFINITY, 0, -1};
    for (int l = 0; l < HALF; l++) {
        take_least(found, least[l], at[l]);
        found->most = most[l] > found->most ? most[l] : found->most;
    }
}

static void follow_task(void *argument, int64_t part, int32_t worker)
{
    (void)worker;
    solver *s = argument;
    follow(s, part * PASS_ROWS, part_end(s, part), &s->found[part]);
}

static void find_first(solver *s)
{
    over_parts(s, 6, follow_task);
    s->best = s->found[0];
    for (int64_t part = 1; part < parts_of(s); part++) {
        take_least(&s->best, s->found[part].least, s->found[part].at);
        s->best.most = fmax(s->best.most, s->found[part].most);
    }
}

/* Equal rows: libsvm's lower limit of the curvature along a pair. */
static const float LEAST_CURVATURE = 1e-12f;

/* The row whose alpha shrinks for that of the row found: the one by which the objective falls most. */
DUMI_CLONES static void pair(const solver *s, int64_t first, int64_t end, finding *found)
{
    float gain[WIDE];
    int32_t at[WIDE];
    const double least = s->best.least;
    for (int l = 0; l < WIDE; l++) {
        gain[l] = 0;
        at[l] = -1;
    }
    for (int64_t i = first; i < end; i += WIDE)
        for (int l = 0; l < WIDE; l++) {
            const float rise = (float)(s->gradient[i + l] - least), flat = 2 - 2 * s->row_i[i + l];
            const float curvature = flat > LEAST_CURVATURE ? flat : LEAST_CURVATURE;
            const float falls = s->alpha[i + l] > 0 && rise > 0 ? rise * rise / curvature : 0;
            at[l] = falls > gain[l] ? (int32_t)(i - first) : at[l];
            gain[l] = falls > gain[l] ? falls : gain[l];
        }
    *found = (finding){INFINITY, -INFINITY, 0, -1};
    for (int l = 0; l < WIDE; l++)
        if ((double)gain[l] > found->gain) {
            found->gain = (double)gain[l];
            found->at = first + at[l] + l;
        }
}

static void pair_task(void *argument, int64_t part, int32_t worker)
{
    (void)worker;
    solver *s = argument;
    pair(s, part * PASS_ROWS, part_end(s, part), &s->found[part]);
}

static int64_t find_second(solver *s)
{
    over_parts(s, 6, pair_task);
    finding best = s->found[0];
    for (int64_t part = 1; part < parts_of(s); part++)
        if (s->found[part].gain > best.gain)
            best = s->found[part];
    return best.at;
}

/* Moves alpha from row j to row i as far as it helps. False: it stays as it is, in double. */
static bool move(solver *s, int64_t i, int64_t j)
{
    const double before_i = s->alpha[i], before_j = s->alpha[j], room = 1 - before_i;
    const double curvature = fmax(2 - 2 * (double)s->row_i[j], (double)LEAST_CURVATURE);
    const double step = (s->gradient[j] - s->gradient[i]) / curvature;
    const double most = fmin(room, before_j), taken = fmin(step, most);
    s->alpha[i] = taken == room ? 1 : before_i + taken;
    s->alpha[j] = before_j - taken;
    s->change_i = s->alpha[i] - before_i;
    s->change_j = s->alpha[j] - before_j;
    return s->change_i != 0 || s->change_j != 0;
}

/* How many iterations it may be in all, from how fast the gap has closed. */
static int64_t expected_steps(const solver *s, int64_t step, double first_gap, double gap)
{
    const double closed = log(first_gap / gap), wanted = log(first_gap / s->f->values[TOLERANCE]);
    if (!(closed > 0.01) || !(wanted > closed))
        return step + s->rows.count;
    return step + 1 + (int64_t)((double)step * (wanted - closed) / closed);
}

/* How far the solution is from the best: alpha would go from a row of the larger gradient to one of the less. */
static double gap_of(const solver *s)
{
    return fmax(s->best.most - s->best.least, 0);
}

/* Moves alpha between one pair of rows. Not moved: there is none, or double has no room for the step. */
static dum_status improve(solver *s, bool *moved)
{
    const int64_t i = s->best.at;
    DUMI_TRY(kernel_row(s, i, &s->row_i));
    const int64_t j = find_second(s);
    *moved = false;
    if (j < 0)
        return DUM_OK;
    DUMI_TRY(kernel_row(s, j, &s->row_j));
    *moved = move(s, i, j);
    if (*moved)
        find_first(s);
    return DUM_OK;
}

static dum_status train(solver *s)
{
    const double limit = s->f->values[MAX_ITERATIONS] > 0 ? s->f->values[MAX_ITERATIONS] : INFINITY;
    const double cost = pair_cost(s->rows.cols) * (double)s->padded;
    const int64_t interval = cost > 1e8 ? 1 : cost < 25000 ? 4000 : (int64_t)(1e8 / cost);
    /* No change yet: any finite kernel row will do. */
    DUMI_TRY(kernel_row(s, 0, &s->row_i));
    s->row_j = s->row_i;
    s->change_i = s->change_j = 0;
    find_first(s);
    const double first_gap = gap_of(s);
    int64_t step = 0;
    bool moved = true;
    while (moved && gap_of(s) >= s->f->values[TOLERANCE] && (double)step < limit) {
        if (step % interval == 0)
            DUMI_TRY(
                dumi_fitting_progress(s->f, step, expected_steps(s, step, first_gap, gap_of(s)), gap_of(s)));
        DUMI_TRY(improve(s, &moved));
        step++;
    }
    return dumi_fitting_progress(s->f, step, step, gap_of(s));
}

/* The gradient of the rows on the edge; where there are none, between those inside and those outside. */
static double offset(const solver *s)
{
    double sum = 0, inside = INFINITY, outside = 0;
    int64_t count = 0;
    for (int64_t i = 0; i < s->rows.count; i++) {
        const double g = s->gradient[i];
        if (s->alpha[i] >= 1) {
            outside = fmax(outside, g);
        } else if (s->alpha[i] <= 0) {
            inside = fmin(inside, g);
        } else {
            sum += g;
            count++;
        }
    }
    if (count > 0)
        return sum / (double)count;
    return inside < INFINITY ? (inside + outside) / 2 : outside;
}

static dum_status keep(const solver *s, double gamma, machine **out)
{
    int64_t count = 0;
    for (int64_t i = 0; i < s->rows.count; i++)
        count += s->alpha[i] > 0;
    const int64_t sizes[DUMI_STATE_SIZES] = {
        [DUMI_COLS] = s->f->cols, [VECTORS] = count, [NUMBERS] = NUMBER_COUNT};
    DUMI_TRY(dumi_state_create(s->context, &layout, sizes, (void **)out));
    machine *m = *out;
    m->numbers[NUMBER_GAMMA] = gamma;
    m->numbers[NUMBER_RHO] = fmax(offset(s), 0);
    int64_t kept = 0;
    for (int64_t i = 0; i < s->rows.count; i++)
        if (s->alpha[i] > 0) {
            float *to = m->vectors + kept * s->rows.cols;
            copy_row(&s->rows, i, to);
            for (int32_t c = 0; c < s->rows.cols; c++)
                to[c] /= s->rows.scale;
            m->alpha[kept++] = s->alpha[i];
        }
    return DUM_OK;
}

static dum_status fit(dumi_fitting *f, void **state)
{
    solver s = {.f = f, .context = f->context};
    machine *made = NULL;
    dum_status status;
    double gamma = f->values[GAMMA];
    DUMI_REQUIRE(gamma == 0 || gamma >= 1e-100, DUM_ERR_ARGUMENT,
                 "option gamma is %s, expected 0 (automatic) or 1e-100 to 1e+100", dumi_show(gamma).text);
    if (gamma == 0)
        gamma = automatic_gamma(f);
    DUMI_GO(create_solver(&s, gamma));
    DUMI_GO(choose_start(&s));
    DUMI_GO(train(&s));
    DUMI_GO(keep(&s, gamma, &made));
done:
    destroy_solver(&s);
    return status == DUM_OK ? dumi_state_ready(f->values, made, state) : status;
}

const dumi_scorer_kind dumi_scorer_ocsvm = {
    .name = "ocsvm",
    .params = {"scorer ocsvm", PARAMS, param},
    .scales = true,
    .fit_rows = fit,
    .layout = &layout,
    .score = score,
};
