/* SPDX-License-Identifier: MIT
 * A query alone reads what it is compared with once, and those bytes are what takes the time. So rows have sketches of a
 * few bytes, which rule most of them out.
 *
 * Let P be a matrix that lengthens nothing, x a row less a fixed centre, and |Rx|^2 = |x|^2 - |Px|^2, which is not
 * negative. R = (1 - P'P)^(1/2) is linear, so |x - y|^2 = |Px - Py|^2 + |Rx - Ry|^2, and | |Rx| - |Ry| | <= |Rx - Ry|:
 * sketches (Px, |Rx|) are never further from each other than their rows, whatever P is; that it holds the leading
 * directions makes them nearly as far. (Where they cannot, P is 1.) Nor does it take them apart to move both into a box. What
 * is left then is rounding:
 *   |x - y| / step >= |u - c| - (what u and c are off),
 * u being the query in fractions of a step, c a row in whole ones. */
#include "neighbours/tree.h"

#include <math.h>

#if defined(__x86_64__) && defined(__GNUC__)
#include "linear/linear.h"

#include <immintrin.h>

#define WIDE __attribute__((target("avx2,fma")))

enum { LEAST_COLS = 24, WIDE_COLS = 200, MOST_COLS = 8192, SAMPLE = 512 };
/* P shortens by this much at least, so |Rx| >= 0.089 |x|, and is known well. */
#define SHORTER 0.004
/* Where sketches would leave a larger share of the rows, each of them four bytes a column to read, rows are their own
 * sketches. That is so of columns that have nothing in common; of tables and embeddings it is 0.005 to 0.02. */
#define MOST_LEFT 0.05

/* A sum of so many products is one of the terms of another. */
static int32_t chain_of(int32_t cols)
{
    return 1 + (int32_t)sqrt(cols);
}

/* By how much, over |x|, a sketch in single precision may be off. Numbers of Px: by g = (terms of both
 * sums) 2^-24 |P_i| |x|, which makes g width^(1/2) |x| of them all; |Px|^2 by twice that times |x|, and |Rx| by as much over
 * 2 |Rx|: 11.3 g width^(1/2) |x|. */
static double slack(int32_t cols, int32_t width)
{
    return 12.5 * (chain_of(cols) + (double)cols / chain_of(cols) + 6) * 0x1p-24 * sqrt(width);
}

/* The products of x with all directions, which are [column][direction]. */
static inline __attribute__((always_inline)) WIDE void project_by(const int parts, int32_t cols, const float *x,
                                                                  const float *directions, float *to)
{
    const int32_t chain = chain_of(cols);
    __m256 total[8], sum[8];
    DUMI_UNROLL
    for (int r = 0; r < parts; r++)
        total[r] = _mm256_setzero_ps();
    for (int32_t first = 0; first < cols; first += chain) {
        const int32_t end = cols - first < chain ? cols : first + chain;
        DUMI_UNROLL
        for (int r = 0; r < parts; r++)
            sum[r] = _mm256_setzero_ps();
        for (int32_t j = first; j < end; j++) {
            const __m256 left = _mm256_broadcast_ss(x + j);
            DUMI_UNROLL
            for (int r = 0; r < parts; r++, directions += 8)
                sum[r] = _mm256_fmadd_ps(left, _mm256_loadu_ps(directions), sum[r]);
        }
        DUMI_UNROLL
        for (int r = 0; r < parts; r++)
            total[r] = _mm256_add_ps(total[r], sum[r]);
    }
    DUMI_UNROLL
    for (int r = 0; r < parts; r++)
        _mm256_storeu_ps(to + (ptrdiff_t)8 * r, total[r]);
}

static WIDE void project(int32_t width, int32_t cols, const float *x, const float *directions, float *to)
{
    if (width == DUMI_SKETCH)
        project_by(8, cols, x, directions, to);
    else
        project_by(4, cols, x, directions, to);
}

double dumi_sketch_row(const dumi_sketch *s, int32_t cols, const float *row, float *scratch, float *to)
{
    if (s->directions == NULL) {
        to[s->width - 1] = 0; /* of an odd number of columns one more */
        return sqrt(dumi_move_row(cols, row, s->centre, 1, to)) * 4 * 0x1p-24;
    }
    const double square = dumi_move_row(cols, row, s->centre, 1, scratch);
    project(s->width, cols, scratch, s->directions, to);
    double rest = square;
    for (int32_t i = 0; i < s->width; i++)
        rest -= (double)to[i] * (double)to[i];
    to[s->width - 1] = (float)sqrt(rest > 0 ? rest : 0) - s->rest; /* the last direction is 0 */
    return sqrt(square) * slack(cols, s->width);
}

/* ---- Directions: a step of subspace iteration on a sample, from some of its rows (Halko, Martinsson & Tropp 2011) */

typedef struct {
    int32_t count;
    float *rows;     /* less their mean, and such that the largest number is 1 */
    double *vectors; /* [direction][column] */
    float *sketches;
} sampling;

static const float *sampled(const dumi_neighbours *t, const sampling *a, int32_t i)
{
    return t->rows + i * t->count / a->count * t->cols;
}

/* False where numbers are too large or too small to go on. */
static bool sample_rows(const dumi_neighbours *t, const dumi_sketch *s, const sampling *a)
{
    const int32_t cols = t->cols;
    memset(a->vectors, 0, (size_t)cols * sizeof *a->vectors);
    for (int32_t i = 0; i < a->count; i++)
        for (int32_t j = 0; j < cols; j++)
            a->vectors[j] += (double)sampled(t, a, i)[j];
    for (int32_t j = 0; j < cols; j++)
        s->centre[j] = (float)(a->vectors[j] / a->count);
    float largest = 0;
    for (int32_t i = 0; i < a->count; i++) {
        float *x = a->rows + (int64_t)i * cols;
        dumi_move_row(cols, sampled(t, a, i), s->centre, 1, x);
        for (int32_t j = 0; j < cols; j++)
            largest = fabsf(x[j]) > largest ? fabsf(x[j]) : largest;
    }
    if (!(largest > 1e-25F && largest < 1e15F))
        return false;
    for (int64_t i = 0; i < (int64_t)a->count * cols; i++)
        a->rows[i] /= largest;
    return true;
}

DUMI_CLONES static void take_along(int32_t cols, double length, const double *restrict along,
                                   double *restrict x)
{
    for (int32_t j = 0; j < cols; j++)
        x[j] -= length * along[j];
}

/* Gram & Schmidt, twice; what depends on those before becomes 0. */
static void orthonormalise(int32_t count, int32_t cols, double *vectors)
{
    for (int32_t i = 0; i < count; i++) {
        double *x = vectors + (int64_t)i * cols;
        const double before = dumi_dot_double(cols, x, x);
        for (int32_t pass = 0; pass < 2; pass++)
            for (int32_t j = 0; j < i; j++) {
                const double *along = vectors + (int64_t)j * cols;
                take_along(cols, dumi_dot_double(cols, x, along), along, x);
            }
        const double after = dumi_dot_double(cols, x, x);
        const double scale = after > 1e-8 * before ? 1 / sqrt(after) : 0;
        for (int32_t j = 0; j < cols; j++)
            x[j] *= scale;
    }
}

/* The square of the largest factor by which the vectors lengthen, or more (Gershgorin). */
static double most_longer(int32_t count, int32_t cols, const double *vectors)
{
    double most = 0;
    for (int32_t i = 0; i < count; i++) {
        double sum = 0;
        for (int32_t j = 0; j < count; j++)
            sum += fabs(dumi_dot_double(cols, vectors + (int64_t)i * cols, vectors + (int64_t)j * cols));
        most = fmax(most, sum);
    }
    return most;
}

static void set_directions(const dumi_sketch *s, int32_t cols, double factor, const double *vectors)
{
    for (int32_t j = 0; j < cols; j++)
        for (int32_t i = 0; i < s->width; i++)
            s->directions[(int64_t)j * s->width + i] =
                i == s->width - 1 ? 0 : (float)(factor * vectors[(int64_t)i * cols + j]);
}

/* x += sum of factor[i] times the row i; factors are `stride` apart. */
DUMI_CLONES static void add_rows(int32_t cols, const float *rows, const float *factor, ptrdiff_t stride,
                                 double *x)
{
    const double f0 = (double)factor[0], f1 = (double)factor[stride], f2 = (double)factor[2 * stride],
                 f3 = (double)factor[3 * stride];
    const float *r1 = rows + cols, *r2 = r1 + cols, *r3 = r2 + cols;
    for (int32_t j = 0; j < cols; j++)
        x[j] += (f0 * (double)rows[j] + f1 * (double)r1[j]) + (f2 * (double)r2[j] + f3 * (double)r3[j]);
}

/* vectors = sum over the rows x of (Px) x'; the last three rows at most are left out. */
static void iterate(const dumi_sketch *s, int32_t cols, const sampling *a)
{
    enum { FOUR = 4 };
    memset(a->vectors, 0, (size_t)(s->width - 1) * (size_t)cols * sizeof *a->vectors);
    for (int32_t i = 0; i + FOUR <= a->count; i += FOUR) {
        const float *rows = a->rows + (int64_t)i * cols;
        float at[FOUR * DUMI_SKETCH];
        for (int32_t r = 0; r < FOUR; r++)
            project(s->width, cols, rows + (int64_t)r * cols, s->directions, at + (ptrdiff_t)r * s->width);
        for (int32_t r = 0; r < s->width - 1; r++)
            add_rows(cols, rows, at + r, s->width, a->vectors + (int64_t)r * cols);
    }
}

static void find_directions(const dumi_sketch *s, int32_t cols, const sampling *a)
{
    const int32_t count = s->width - 1;
    for (int32_t i = 0; i < count; i++)
        for (int32_t j = 0; j < cols; j++)
            a->vectors[(int64_t)i * cols + j] = (double)a->rows[(int64_t)(i * a->count / count) * cols + j];
    set_directions(s, cols, 1, a->vectors);
    iterate(s, cols, a);
    orthonormalise(count, cols, a->vectors);
    set_directions(s, cols, (1 - SHORTER) / sqrt(fmax(1, most_longer(count, cols, a->vectors))), a->vectors);
}

/* Sketches of the sample, the mean of their last numbers taken from these. */
static void sketch_sample(const dumi_neighbours *t, dumi_sketch *s, const sampling *a)
{
    double rest = 0;
    s->rest = 0;
    for (int32_t i = 0; i < a->count; i++) {
        float *to = a->sketches + (int64_t)i * s->width;
        dumi_sketch_row(s, t->cols, sampled(t, a, i), a->rows, to);
        rest += (double)to[s->width - 1] / a->count;
    }
    s->rest = (float)rest;
    for (int32_t i = 0; i < a->count; i++)
        a->sketches[(int64_t)(i + 1) * s->width - 1] -= s->rest;
}

/* Seven of ten sketches fit into the box: with the largest inside, all others would be too near its middle. */
static void find_step(dumi_sketch *s, const sampling *a)
{
    double sizes[SAMPLE];
    for (int32_t i = 0; i < a->count; i++) {
        sizes[i] = 0;
        for (int32_t r = 0; r < s->width; r++)
            sizes[i] = fmax(sizes[i], fabs((double)a->sketches[(int64_t)i * s->width + r]));
    }
    dumi_sort_double(sizes, a->count);
    s->step = (float)(sizes[(a->count - 1) * 7 / 10] / DUMI_BOX);
}

/* The share of the sample that sketches leave to some of its rows: those no further than the nearest row. */
static double share_left(const dumi_neighbours *t, const dumi_sketch *s, const sampling *a)
{
    enum { QUERIES = 12 };
    int64_t left = 0, all = 0;
    for (int32_t q = 0; q < QUERIES && q < a->count; q++) {
        const int32_t query = (int32_t)((int64_t)q * a->count / QUERIES);
        double nearest = INFINITY;
        for (int32_t i = 0; i < a->count; i++)
            if (i != query)
                nearest = fmin(nearest, dumi_square_distance(t->cols, sampled(t, a, query), sampled(t, a, i)));
        for (int32_t i = 0; i < a->count; i++)
            left += dumi_square_distance(s->width, a->sketches + (int64_t)query * s->width,
                                         a->sketches + (int64_t)i * s->width) <= nearest
                        ? 1
                        : 0;
        all += a->count;
    }
    return (double)left / (double)all;
}

void dumi_sketch_destroy(dum_context *context, dumi_sketch *s)
{
    if (s == NULL)
        return;
    void *const parts[] = {s->centre, s->directions, s->codes, s->norms, s};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        dumi_free(context, parts[i]);
}

static bool is_wanted(int32_t cols)
{
    return cols >= LEAST_COLS && cols <= MOST_COLS && __builtin_cpu_supports("avx2") &&
           __builtin_cpu_supports("fma");
}

dum_status dumi_sketch_create(const dumi_neighbours *t, dumi_sketch **out)
{
    if (!is_wanted(t->cols))
        return DUM_OK;
    dumi_sketch *s;
    DUMI_TRY(DUMI_NEW(t->context, s, 1));
    *s = (dumi_sketch){.width = t->cols < WIDE_COLS ? DUMI_SKETCH / 2 : DUMI_SKETCH};
    const size_t cols = (size_t)t->cols, width = (size_t)s->width;
    sampling a = {.count = t->count < SAMPLE ? (int32_t)t->count : SAMPLE};
    dum_status status;
    DUMI_GO(DUMI_NEW(t->context, s->centre, cols));
    DUMI_GO(DUMI_NEW(t->context, s->directions, cols * width));
    DUMI_GO(DUMI_NEW(t->context, a.rows, (size_t)a.count * cols));
    DUMI_GO(DUMI_NEW(t->context, a.sketches, (size_t)a.count * (width < cols + 1 ? cols + 1 : width)));
    DUMI_GO(DUMI_NEW(t->context, a.vectors, width * cols));
    if (sample_rows(t, s, &a)) {
        find_directions(s, t->cols, &a);
        sketch_sample(t, s, &a);
        if (share_left(t, s, &a) > MOST_LEFT) {
            dumi_free(t->context, s->directions);
            s->directions = NULL;
            s->width = t->cols + t->cols % 2;
            sketch_sample(t, s, &a);
        }
        find_step(s, &a);
    }
    if (s->step > 1e-25F && s->step < 1e15F) {
        *out = s;
        s = NULL;
    }
done:
    dumi_free(t->context, a.rows);
    dumi_free(t->context, a.sketches);
    dumi_free(t->context, a.vectors);
    dumi_sketch_destroy(t->context, s);
    return status;
}
#else
dum_status dumi_sketch_create(const dumi_neighbours *t, dumi_sketch **out)
{
    (void)t;
    (void)out;
    return DUM_OK;
}

void dumi_sketch_destroy(dum_context *context, dumi_sketch *sketch)
{
    (void)context;
    (void)sketch;
}
#endif
