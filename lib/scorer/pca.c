/* SPDX-License-Identifier: MIT
 * Kind "pca" (Shyu et al. 2003): the square of what principal components do not explain of a row. */
#include "linear/linear.h"
#include "scorer/ellipsoid.h"

#include <float.h>
#include <math.h>
#include <stddef.h>

enum { COMPONENTS = DUMI_SCALED_PARAMS, VARIANCE, PARAMS };

static const dumi_param own[] = {
    {"components", 0, 0, DUMI_MOST_COVARIANCE - 1, NULL, NULL, true,
     "that explain a row, columns - 1 at most; 0: as many as option variance asks for"},
    {"variance", 0.9, 0.01, 1, NULL, NULL, false, "share that the components explain at least"},
};

static const dumi_param *param(int32_t index)
{
    return index == DUMI_SCORER_HOLDOUT   ? &dumi_scorer_holdout
           : index == DUMI_SCORER_SCALING ? &dumi_scorer_scaling
                                          : &own[index - COMPONENTS];
}

typedef struct {
    dumi_state head;
    double *mean;
    double *rest; /* the other components: orthonormal rows */
} complement;

enum { REST = 1 };

static dum_status check(const double *values, void *state)
{
    (void)values;
    const complement *c = state;
    DUMI_REQUIRE(c->head.sizes[DUMI_COLS] <= DUMI_MOST_COVARIANCE, DUM_ERR_FORMAT, "the model has %lld columns",
                 (long long)c->head.sizes[DUMI_COLS]);
    return DUM_OK;
}

static const dumi_array arrays[] = {
    {"pca.mean", DUMI_F64, offsetof(complement, mean), DUMI_COLS, DUMI_VECTOR},
    {"pca.rest", DUMI_F64, offsetof(complement, rest), REST, DUMI_COLS},
};
static const dumi_layout layout = {.bytes = sizeof(complement), .count = 2, .arrays = arrays, .ready = check};

/* The largest eigenvalue not yet passed on, first of equals; which is then marked with -1. */
static int32_t take_largest(int32_t d, double *values)
{
    int32_t best = 0;
    for (int32_t i = 1; i < d; i++)
        if (values[i] > values[best])
            best = i;
    return best;
}

/* Marks the components that explain: their eigenvalues become -1. Returns how many are left. */
static int32_t choose(const dumi_fitting *f, double *values)
{
    const int32_t d = f->cols, most = d - 1;
    const double wanted = f->values[COMPONENTS];
    double sum = 0, explained = 0;
    int32_t taken = 0;
    for (int32_t i = 0; i < d; i++) {
        values[i] = values[i] > 0 ? values[i] : 0; /* rounding */
        sum += values[i];
    }
    while (taken < most && (wanted > 0 ? taken < wanted : explained < f->values[VARIANCE] * sum)) {
        const int32_t best = take_largest(d, values);
        explained += values[best];
        values[best] = -1;
        taken++;
    }
    return d - taken;
}

static dum_status decompose(const dumi_fitting *f, double *mean, double *covariance, double *vectors,
                            double *values)
{
    const dumi_watch watch = dumi_fitting_watch(f);
    DUMI_TRY(dumi_covariance(f->context, f->rows, NULL, f->count, f->cols, mean, covariance, &watch));
    return dumi_eigen(f->context, f->cols, covariance, vectors, values, &watch);
}

static dum_status build(dumi_fitting *f, double *space, complement **out)
{
    const int64_t d = f->cols;
    double *mean = space, *values = mean + d, *covariance = values + d, *vectors = covariance + d * d;
    DUMI_TRY(decompose(f, mean, covariance, vectors, values));
    const int64_t sizes[DUMI_STATE_SIZES] = {[DUMI_COLS] = d, [REST] = choose(f, values)};
    DUMI_TRY(dumi_state_create(f->context, &layout, sizes, (void **)out));
    complement *c = *out;
    memcpy(c->mean, mean, (size_t)d * sizeof *mean);
    double *to = c->rest;
    for (int64_t i = 0; i < d; i++)
        if (values[i] >= 0) {
            memcpy(to, vectors + i * d, (size_t)d * sizeof *to);
            to += d;
        }
    return DUM_OK;
}

static dum_status fit(dumi_fitting *f, void **state)
{
    DUMI_REQUIRE(f->cols <= DUMI_MOST_COVARIANCE, DUM_ERR_LIMIT,
                 "the data have %d columns, kinds with a covariance take %d at most", f->cols,
                 DUMI_MOST_COVARIANCE);
    DUMI_REQUIRE(f->values[COMPONENTS] < f->cols, DUM_ERR_ARGUMENT,
                 "option components is %s, expected less than the data's %d columns",
                 dumi_show(f->values[COMPONENTS]).text, f->cols);
    double *space;
    complement *c;
    DUMI_TRY(DUMI_NEW(f->context, space, (2 * (size_t)f->cols + 2) * (size_t)f->cols));
    const dum_status status = build(f, space, &c);
    dumi_free(f->context, space);
    if (status == DUM_OK)
        *state = c;
    return status;
}

static void find_parts(const complement *c, int32_t d, const double *x, float *parts)
{
    double residual[DUMI_MOST_COVARIANCE];
    memset(residual, 0, (size_t)d * sizeof *residual);
    for (int64_t i = 0; i < c->head.sizes[REST]; i++) {
        const double *v = c->rest + i * d, y = dumi_dot_double(d, v, x);
        for (int32_t j = 0; j < d; j++)
            residual[j] += y * v[j];
    }
    for (int32_t j = 0; j < d; j++)
        parts[j] = (float)fmin(residual[j] * residual[j], 1e37);
}

static double score_row(const void *state, const float *row, float *parts)
{
    const complement *c = state;
    const int32_t d = (int32_t)c->head.sizes[DUMI_COLS];
    double x[DUMI_MOST_COVARIANCE], square = 0;
    for (int32_t j = 0; j < d; j++)
        x[j] = (double)row[j] - c->mean[j];
    for (int64_t i = 0; i < c->head.sizes[REST]; i++) {
        const double y = dumi_dot_double(d, c->rest + i * d, x);
        square += y * y;
    }
    if (parts != NULL)
        find_parts(c, d, x, parts);
    return square <= DBL_MAX ? square : DBL_MAX;
}

const dumi_scorer_kind dumi_scorer_pca = {
    .name = "pca",
    .params = {"scorer pca", PARAMS, param},
    .scales = true,
    .fit_rows = fit,
    .layout = &layout,
    .row = score_row,
    .row_cost = 30,
    .row_explains = true,
};
