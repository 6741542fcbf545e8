/* SPDX-License-Identifier: MIT
 * Kind "mahalanobis" (Mahalanobis 1936), by the covariance as Ledoit & Wolf (2004) shrink it. */
#include "scorer/ellipsoid.h"

static const dumi_param *param(int32_t index)
{
    return index == DUMI_SCORER_HOLDOUT ? &dumi_scorer_holdout : &dumi_scorer_scaling;
}

static dum_status fit(dumi_fitting *f, void **state)
{
    dumi_ellipsoid *e;
    DUMI_TRY(dumi_ellipsoid_create(f, &e));
    const dum_status status = dumi_ellipsoid_fit(f, f->rows, f->cols, e->mean, e->root);
    if (status != DUM_OK) {
        dumi_state_destroy(e);
        return status;
    }
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
