/* SPDX-License-Identifier: MIT
 * Eigenvectors of a symmetric matrix: Householder reduction to tridiagonal form, then the implicit QL
 * algorithm (Golub & Van Loan, sections 8.3.1 and 8.3.3). Everything runs along rows. */
#include "linear/linear.h"

#include <math.h>

DUMI_CLONES static void add_scaled(int32_t count, double factor, const double *restrict x, double *restrict y)
{
    for (int32_t i = 0; i < count; i++)
        y[i] += factor * x[i];
}

/* Reflects row k of a, right of the diagonal, onto its first element; leaves v in its place and 2 / v.v
 * in *beta. Returns the new off-diagonal element. */
static double reflector(int32_t count, double *v, double *beta)
{
    const double square = dumi_dot_double(count, v, v), tail = square - v[0] * v[0];
    *beta = 0;
    if (!(tail > 0))
        return v[0];
    const double target = v[0] > 0 ? -sqrt(square) : sqrt(square);
    v[0] -= target;
    *beta = 2 / (tail + v[0] * v[0]);
    return target;
}

/* a becomes tridiagonal (diagonal, off); row k keeps the vector of reflection k right of the diagonal. */
static dum_status tridiagonal(int32_t d, double *a, double *diagonal, double *off, double *beta,
                              const dumi_watch *watch)
{
    double since = 0;
    for (int32_t k = 0; k + 1 < d; k++) {
        const int32_t count = d - k - 1;
        DUMI_TRY(dumi_watch_count(watch, &since, 3.0 * count * count));
        double *v = a + (int64_t)k * d + k + 1;
        off[k] = k + 2 < d ? reflector(count, v, &beta[k]) : v[0];
        if (k + 2 == d)
            beta[k] = 0;
        diagonal[k] = a[(int64_t)k * d + k];
        if (beta[k] == 0)
            continue;
        double *q = diagonal + k + 1; /* not yet in use */
        for (int32_t i = 0; i < count; i++)
            q[i] = beta[k] * dumi_dot_double(count, a + (int64_t)(k + 1 + i) * d + k + 1, v);
        add_scaled(count, -0.5 * beta[k] * dumi_dot_double(count, q, v), v, q);
        for (int32_t i = 0; i < count; i++) {
            double *row = a + (int64_t)(k + 1 + i) * d + k + 1;
            add_scaled(count, -v[i], q, row);
            add_scaled(count, -q[i], v, row);
        }
    }
    diagonal[d - 1] = a[(int64_t)d * d - 1];
    off[d - 1] = 0;
    return DUM_OK;
}

/* Rows of `vectors` = the transposed product of the reflections. */
static dum_status accumulate(int32_t d, const double *a, const double *beta, double *vectors, double *sums,
                             const dumi_watch *watch)
{
    double since = 0;
    memset(vectors, 0, (size_t)d * (size_t)d * sizeof *vectors);
    for (int32_t i = 0; i < d; i++)
        vectors[(int64_t)i * d + i] = 1;
    for (int32_t k = d - 2; k >= 0; k--) {
        const int32_t count = d - k - 1;
        const double *v = a + (int64_t)k * d + k + 1;
        DUMI_TRY(dumi_watch_count(watch, &since, 2.0 * count * count));
        memset(sums, 0, (size_t)count * sizeof *sums);
        for (int32_t i = 0; i < count && beta[k] != 0; i++)
            add_scaled(count, v[i], vectors + (int64_t)(k + 1 + i) * d + k + 1, sums);
        for (int32_t i = 0; i < count && beta[k] != 0; i++)
            add_scaled(count, -beta[k] * v[i], sums, vectors + (int64_t)(k + 1 + i) * d + k + 1);
    }
    for (int32_t i = 0; i < d; i++) {
        for (int32_t j = 0; j < i; j++) {
            const double held = vectors[(int64_t)i * d + j];
            vectors[(int64_t)i * d + j] = vectors[(int64_t)j * d + i];
            vectors[(int64_t)j * d + i] = held;
        }
    }
    return DUM_OK;
}

/* Rotations of neighbouring rows, kept back so that many are applied while a strip of columns is in cache. */
typedef struct {
    int32_t row;
    double c, s;
} rotation;

enum { STRIP = 32 };

typedef struct {
    dum_context *context;
    int32_t d, capacity, count;
    rotation *list;
    double *vectors;
    const dumi_watch *watch;
    double since;
} rotations;

DUMI_CLONES static void rotate(int32_t count, double c, double s, double *restrict low, double *restrict high)
{
    for (int32_t i = 0; i < count; i++) {
        const double held = high[i];
        high[i] = s * low[i] + c * held;
        low[i] = c * low[i] - s * held;
    }
}

static void apply_to_strip(void *argument, int64_t strip, int32_t worker)
{
    (void)worker;
    const rotations *r = argument;
    const int32_t first = (int32_t)strip * STRIP, count = r->d - first < STRIP ? r->d - first : STRIP;
    for (int32_t i = 0; i < r->count; i++) {
        double *low = r->vectors + (int64_t)r->list[i].row * r->d + first;
        rotate(count, r->list[i].c, r->list[i].s, low, low + r->d);
    }
}

static dum_status apply(rotations *r)
{
    const double operations = 6.0 * r->count * r->d;
    dumi_parallel(r->context, r->context->threads, (r->d + STRIP - 1) / STRIP, operations, apply_to_strip, r);
    r->count = 0;
    return dumi_watch_count(r->watch, &r->since, operations);
}

/* One implicit QL sweep on the unreduced block first .. last. */
static void sweep(int32_t first, int32_t last, double *diagonal, double *off, rotations *kept)
{
    double g = (diagonal[first + 1] - diagonal[first]) / (2 * off[first]);
    double r = hypot(g, 1);
    g = diagonal[last] - diagonal[first] + off[first] / (g + copysign(r, g));
    double s = 1, c = 1, p = 0;
    for (int32_t i = last - 1; i >= first; i--) {
        const double f = s * off[i], b = c * off[i];
        r = hypot(f, g);
        off[i + 1] = r;
        if (r == 0) {
            diagonal[i + 1] -= p;
            off[last] = 0;
            return;
        }
        s = f / r;
        c = g / r;
        g = diagonal[i + 1] - p;
        r = (diagonal[i] - g) * s + 2 * c * b;
        p = s * r;
        diagonal[i + 1] = g + p;
        g = c * r - b;
        kept->list[kept->count++] = (rotation){i, c, s};
    }
    diagonal[first] -= p;
    off[first] = g;
    off[last] = 0;
}

static dum_status diagonalise(int32_t d, double *diagonal, double *off, rotations *kept)
{
    double largest = 0;
    for (int32_t i = 0; i < d; i++)
        largest = fmax(largest, fabs(diagonal[i]) + fabs(off[i]));
    /* Of eigenvalues that are 0 there is but rounding noise: it need not be taken apart. */
    const double noise = 1e-17 * largest;
    for (int32_t first = 0; first < d; first++) {
        for (int32_t sweeps = 0;; sweeps++) {
            int32_t last = first;
            while (last + 1 < d &&
                   fabs(off[last]) > fmax(noise, 1e-16 * (fabs(diagonal[last]) + fabs(diagonal[last + 1]))))
                last++;
            if (last == first)
                break;
            DUMI_REQUIRE(sweeps < 100, DUM_ERR_NONFINITE,
                         "the eigenvectors of the covariance do not converge: use scaling zscore");
            if (kept->count + d > kept->capacity)
                DUMI_TRY(apply(kept));
            sweep(first, last, diagonal, off, kept);
        }
    }
    return apply(kept);
}

dum_status dumi_eigen(dum_context *context, int32_t d, double *a, double *vectors, double *values,
                      const dumi_watch *watch)
{
    const int32_t capacity = 64 * d;
    double *work = NULL;
    rotations kept = {.context = context, .d = d, .capacity = capacity, .vectors = vectors, .watch = watch};
    dum_status status;
    DUMI_GO(DUMI_NEW(context, work, 3 * (size_t)d));
    DUMI_GO(DUMI_NEW(context, kept.list, capacity));
    double *off = work, *beta = work + d, *sums = beta + d;
    DUMI_GO(tridiagonal(d, a, values, off, beta, watch));
    DUMI_GO(accumulate(d, a, beta, vectors, sums, watch));
    DUMI_GO(diagonalise(d, values, off, &kept));
done:
    dumi_free(context, work);
    dumi_free(context, kept.list);
    return status;
}
