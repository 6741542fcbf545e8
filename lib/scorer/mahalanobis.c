/* SPDX-License-Identifier: MIT
 * Kind "mahalanobis" (Mahalanobis 1936), by the covariance as Ledoit & Wolf (2004) shrink it. */
#include "linear/linear.h"
#include "scorer/ellipsoid.h"

static const dumi_param *param(int32_t index)
{
    return index == DUMI_SCORER_HOLDOUT ? &dumi_scorer_holdout : &dumi_scorer_scaling;
}

static double fourth_powers(const dumi_fitting *f, const double *mean)
{
    double sum = 0;
    for (int64_t i = 0; i < f->count; i++) {
        double square = 0;
        for (int32_t j = 0; j < f->cols; j++) {
            const double off = (double)f->rows[i * f->cols + j] - mean[j];
            square += off * off;
        }
        sum += square * square;
    }
    return sum;
}

/* Rows that are all the same have no covariance: then the distance is the plain one. */
static void set_root(int32_t d, double mu, double *covariance)
{
    double log_determinant;
    if (mu > 0) {
        dumi_cholesky_inverse(d, covariance, 1e-14, &log_determinant);
        return;
    }
    for (int32_t i = 0; i < d; i++)
        covariance[(int64_t)i * d + i] = 1;
}

static dum_status fit(dumi_fitting *f, void **state)
{
    dumi_ellipsoid *e;
    DUMI_TRY(dumi_ellipsoid_create(f, &e));
    const dum_status status = dumi_covariance(f->context, f->rows, NULL, f->count, f->cols, e->mean, e->root);
    if (status != DUM_OK) {
        dumi_state_destroy(e);
        return status;
    }
    const double mu = dumi_shrink(f->cols, (double)f->count, fourth_powers(f, e->mean), e->root);
    set_root(f->cols, mu, e->root);
    return dumi_state_ready(f->values, e, state);
}

const dumi_scorer_kind dumi_scorer_mahalanobis = {
    .name = "mahalanobis",
    .params = {"scorer mahalanobis", DUMI_SCALED_PARAMS, param},
    .scales = true, /* what shrinks the covariance goes by the columns' mean variance */
    .fit_rows = fit,
    .layout = &dumi_ellipsoid_layout,
    .row = dumi_ellipsoid_row,
    .row_cost = 30,
    .row_explains = true,
};
