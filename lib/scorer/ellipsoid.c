/* SPDX-License-Identifier: MIT */
#include "scorer/ellipsoid.h"

#include "linear/linear.h"

#include <float.h>
#include <math.h>
#include <stddef.h>

static dum_status check(const double *values, void *state)
{
    (void)values;
    const dumi_ellipsoid *e = state;
    DUMI_REQUIRE(e->head.sizes[DUMI_COLS] <= DUMI_MOST_COVARIANCE, DUM_ERR_FORMAT, "the model has %lld columns",
                 (long long)e->head.sizes[DUMI_COLS]);
    return DUM_OK;
}

static const dumi_array arrays[] = {
    {"ellipsoid.mean", DUMI_F64, offsetof(dumi_ellipsoid, mean), DUMI_COLS, DUMI_VECTOR},
    {"ellipsoid.root", DUMI_F64, offsetof(dumi_ellipsoid, root), DUMI_COLS, DUMI_COLS},
};
const dumi_layout dumi_ellipsoid_layout = {
    .bytes = sizeof(dumi_ellipsoid), .count = 2, .arrays = arrays, .ready = check};

dum_status dumi_ellipsoid_create(const dumi_fitting *f, dumi_ellipsoid **out)
{
    DUMI_REQUIRE(f->cols <= DUMI_MOST_COVARIANCE, DUM_ERR_LIMIT,
                 "the data have %d columns, kinds with a covariance take %d at most", f->cols,
                 DUMI_MOST_COVARIANCE);
    const int64_t sizes[DUMI_STATE_SIZES] = {[DUMI_COLS] = f->cols};
    return dumi_state_create(f->context, &dumi_ellipsoid_layout, sizes, (void **)out);
}

dum_status dumi_ellipsoid_fit(const dumi_fitting *f, const float *rows, int32_t d, double *mean, double *root)
{
    const dumi_watch watch = dumi_fitting_watch(f);
    double mu, log_determinant;
    int32_t rank;
    DUMI_TRY(dumi_shrunk_covariance(f->context, rows, f->count, d, mean, root, &watch, &mu));
    if (mu > 0)
        DUMI_TRY(dumi_cholesky_inverse(d, root, 1e-14, &watch, &rank, &log_determinant));
    for (int32_t i = 0; i < d && !(mu > 0); i++)
        root[(int64_t)i * d + i] = 1;
    return DUM_OK;
}

/* x becomes W' W x times what x was, where positive: a column may lower the distance, given the others, and then has
 * no share in it. */
static void find_parts(const dumi_ellipsoid *e, int32_t d, const double *x, float *parts)
{
    double product[DUMI_MOST_COVARIANCE];
    memset(product, 0, (size_t)d * sizeof *product);
    for (int32_t i = 0; i < d; i++) {
        const double *w = e->root + (int64_t)i * d;
        const double y = dumi_dot_double(i + 1, w, x);
        for (int32_t j = 0; j <= i; j++)
            product[j] += y * w[j];
    }
    for (int32_t j = 0; j < d; j++)
        parts[j] = product[j] * x[j] > 0 ? (float)fmin(product[j] * x[j], 1e37) : 0;
}

double dumi_ellipsoid_distance(int32_t d, const double *mean, const double *root, const float *row, double *x)
{
    double square = 0;
    for (int32_t j = 0; j < d; j++)
        x[j] = (double)row[j] - mean[j];
    for (int32_t i = 0; i < d; i++) {
        const double y = dumi_dot_double(i + 1, root + (int64_t)i * d, x);
        square += y * y;
    }
    return square <= DBL_MAX ? square : DBL_MAX;
}

void dumi_ellipsoid_four(int32_t d, const double *mean, const double *root, const float *const *rows, double *x,
                         double *out)
{
    double y[4];
    for (int32_t r = 0; r < 4; r++) {
        out[r] = 0;
        for (int32_t j = 0; j < d; j++)
            x[(int64_t)r * d + j] = (double)rows[r][j] - mean[j];
    }
    for (int32_t i = 0; i < d; i++) {
        dumi_dot_four(i + 1, root + (int64_t)i * d, x, d, y);
        for (int32_t r = 0; r < 4; r++)
            out[r] += y[r] * y[r];
    }
    for (int32_t r = 0; r < 4; r++)
        out[r] = out[r] <= DBL_MAX ? out[r] : DBL_MAX;
}

double dumi_ellipsoid_row(const void *state, const float *row, float *parts)
{
    const dumi_ellipsoid *e = state;
    const int32_t d = (int32_t)e->head.sizes[DUMI_COLS];
    double x[DUMI_MOST_COVARIANCE];
    const double square = dumi_ellipsoid_distance(d, e->mean, e->root, row, x);
    if (parts != NULL)
        find_parts(e, d, x, parts);
    return square;
}
