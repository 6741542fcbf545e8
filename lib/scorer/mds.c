/* SPDX-License-Identifier: MIT
 * Kind "mds", the Mahalanobis distance score (Lee et al. 2018, "A Simple Unified Framework for Detecting
 * Out-of-Distribution Samples and Adversarial Attacks"): a mean for each class, one covariance for all (shrunk, Ledoit
 * & Wolf 2004), the least squared distance over the classes. On an encoder's output "stages" one such distance for each
 * stage, and their mean: the authors weigh them by a logistic regression on outliers, which are not known here, and
 * perturb the input, which is not done. */
#include "scorer/classes.h"

#include <float.h>
#include <math.h>
#include <stddef.h>

static const dumi_param *param(int32_t index)
{
    return index == DUMI_SCORER_HOLDOUT ? &dumi_scorer_holdout : &dumi_scorer_scaling;
}

typedef struct {
    dumi_state head;
    int64_t *parts;  /* columns of each */
    double *means;   /* classes x columns */
    double *roots;   /* of each part as in dumi_ellipsoid, one after the other */
    double *centres; /* means times roots */
} mds;

enum { PARTS = 1, MEANS, ROOTS };

static dum_status check(const mds *m)
{
    int64_t cols = 0, roots = 0;
    for (int64_t p = 0; p < m->head.sizes[PARTS]; p++) {
        const int64_t d = m->parts[p];
        DUMI_REQUIRE(d >= 1 && d <= DUMI_MOST_COVARIANCE, DUM_ERR_FORMAT,
                     "a part of the model has %lld columns", (long long)d);
        cols += d;
        roots += d * d;
    }
    DUMI_REQUIRE(m->head.sizes[PARTS] <= DUMI_MOST_PARTS && cols == m->head.sizes[DUMI_COLS] &&
                     roots == m->head.sizes[ROOTS],
                 DUM_ERR_FORMAT, "tensor mds.parts does not fit the others");
    return DUM_OK;
}

static dum_status ready(const double *values, void *state)
{
    (void)values;
    mds *m = state;
    DUMI_TRY(check(m));
    DUMI_TRY(DUMI_NEW(m->head.context, m->centres, m->head.sizes[MEANS] * m->head.sizes[DUMI_COLS]));
    dumi_classes_centres(m->head.sizes[MEANS], m->head.sizes[PARTS], m->parts, m->means, m->roots, m->centres);
    return DUM_OK;
}

static void release(void *state)
{
    mds *m = state;
    dumi_free(m->head.context, m->centres);
}

static const dumi_array arrays[] = {
    {"mds.parts", DUMI_I64, offsetof(mds, parts), PARTS, DUMI_VECTOR},
    {"mds.means", DUMI_F64, offsetof(mds, means), MEANS, DUMI_COLS},
    {"mds.roots", DUMI_F64, offsetof(mds, roots), ROOTS, DUMI_VECTOR},
};
static const dumi_layout layout = {
    .bytes = sizeof(mds), .count = 3, .arrays = arrays, .ready = ready, .release = release};

/* ---- Fitting ------------------------------------------------------------------------------- */

static dum_status build(const dumi_fitting *f, const dumi_classes *classes, mds **out)
{
    int64_t sizes[DUMI_STATE_SIZES] = {
        [DUMI_COLS] = f->cols, [PARTS] = f->part_count, [MEANS] = classes->count};
    for (int32_t p = 0; p < f->part_count; p++)
        sizes[ROOTS] += (int64_t)f->parts[p] * f->parts[p];
    DUMI_TRY(dumi_state_create(f->context, &layout, sizes, (void **)out));
    mds *m = *out;
    const dum_status status = dumi_classes_fit(f, classes, m->parts, m->means, m->roots);
    if (status != DUM_OK)
        dumi_state_destroy(m);
    return status;
}

static dum_status fit(dumi_fitting *f, void **state)
{
    dumi_classes classes;
    mds *made;
    DUMI_REQUIRE(f->labels != NULL, DUM_ERR_ARGUMENT,
                 "options.labels is NULL, scorer mds needs the class of each row");
    DUMI_TRY(dumi_classes_create(f, &classes));
    const dum_status status = build(f, &classes, &made);
    dumi_classes_destroy(f->context, &classes);
    return status == DUM_OK ? dumi_state_ready(f->values, made, state) : status;
}

/* ---- Scoring ------------------------------------------------------------------------------- */

/* Of one part, which begins at column `at`. */
static double distance(const mds *m, int64_t at, int64_t d, const double *root, const float *row)
{
    double x[DUMI_MOST_COVARIANCE], w[DUMI_MOST_COVARIANCE], least = DBL_MAX;
    for (int64_t j = 0; j < d; j++)
        x[j] = (double)row[at + j];
    dumi_transform(d, root, x, w);
    for (int64_t c = 0; c < m->head.sizes[MEANS]; c++) {
        const double *centre_of = m->centres + c * m->head.sizes[DUMI_COLS] + at;
        double square = 0;
        for (int64_t j = 0; j < d; j++)
            square += (w[j] - centre_of[j]) * (w[j] - centre_of[j]);
        least = square < least ? square : least;
    }
    return least;
}

static double score_row(const void *state, const float *row, float *parts)
{
    (void)parts;
    const mds *m = state;
    const double *root = m->roots;
    double sum = 0;
    int64_t at = 0;
    for (int64_t p = 0; p < m->head.sizes[PARTS]; p++) {
        const int64_t d = m->parts[p];
        sum += distance(m, at, d, root, row) / (double)m->head.sizes[PARTS];
        root += d * d;
        at += d;
    }
    return sum <= DBL_MAX ? sum : DBL_MAX;
}

const dumi_scorer_kind dumi_scorer_mds = {
    .name = "mds",
    .params = {"scorer mds", DUMI_SCALED_PARAMS, param},
    .scales = true,
    .labels = true,
    .fit_rows = fit,
    .layout = &layout,
    .row = score_row,
    .row_cost = 40,
};
