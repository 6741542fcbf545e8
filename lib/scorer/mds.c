/* SPDX-License-Identifier: MIT
 * Kind "mds", the Mahalanobis distance score (Lee et al. 2018, "A Simple Unified Framework for Detecting
 * Out-of-Distribution Samples and Adversarial Attacks"): a mean for each class, one covariance for all (shrunk, Ledoit
 * & Wolf 2004), the least squared distance over the classes. On an encoder's output "stages" one such distance for each
 * stage, and their mean: the authors weigh them by a logistic regression on outliers, which are not known here, and
 * perturb the input, which is not done. */
#include "linear/linear.h"
#include "scorer/ellipsoid.h"

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

/* out = W x. */
static void transform(int64_t d, const double *root, const double *x, double *out)
{
    for (int64_t i = 0; i < d; i++)
        out[i] = dumi_dot_double((int32_t)i + 1, root + i * d, x);
}

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
    const int64_t cols = m->head.sizes[DUMI_COLS];
    DUMI_TRY(DUMI_NEW(m->head.context, m->centres, m->head.sizes[MEANS] * cols));
    for (int64_t c = 0; c < m->head.sizes[MEANS]; c++) {
        const double *root = m->roots;
        for (int64_t p = 0, at = c * cols; p < m->head.sizes[PARTS]; at += m->parts[p++]) {
            transform(m->parts[p], root, m->means + at, m->centres + at);
            root += m->parts[p] * m->parts[p];
        }
    }
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

static dum_status check_fit(const dumi_fitting *f, int32_t *classes)
{
    *classes = 0;
    DUMI_REQUIRE(f->labels != NULL, DUM_ERR_ARGUMENT,
                 "options.labels is NULL, scorer mds needs the class of each row");
    for (int64_t i = 0; i < f->count; i++)
        *classes = f->labels[i] >= *classes ? f->labels[i] + 1 : *classes;
    for (int32_t p = 0; p < f->part_count; p++)
        DUMI_REQUIRE(f->parts[p] <= DUMI_MOST_COVARIANCE, DUM_ERR_LIMIT,
                     "the data have %d columns, kinds with a covariance take %d at most", f->parts[p],
                     DUMI_MOST_COVARIANCE);
    return DUM_OK;
}

/* The means of the classes that have rows; place[c]: which of them is of class c, -1 none. Returns how many. */
static int32_t number_classes(const dumi_fitting *f, int32_t classes, int64_t *rows, int32_t *place)
{
    int32_t found = 0;
    memset(rows, 0, (size_t)classes * sizeof *rows);
    for (int64_t i = 0; i < f->count; i++)
        rows[f->labels[i]]++;
    for (int32_t c = 0; c < classes; c++)
        place[c] = rows[c] > 0 ? found++ : -1;
    return found;
}

/* Rows become what is left of them without the mean of their class. */
static void centre(const dumi_fitting *f, const int64_t *rows, const int32_t *place, mds *m)
{
    const int64_t d = f->cols;
    memset(m->means, 0, (size_t)(m->head.sizes[MEANS] * d) * sizeof *m->means);
    for (int64_t i = 0; i < f->count; i++)
        for (int64_t j = 0; j < d; j++)
            m->means[place[f->labels[i]] * d + j] += (double)f->rows[i * d + j] / (double)rows[f->labels[i]];
    for (int64_t i = 0; i < f->count; i++)
        for (int64_t j = 0; j < d; j++)
            f->rows[i * d + j] = (float)((double)f->rows[i * d + j] - m->means[place[f->labels[i]] * d + j]);
}

static dum_status fit_parts(const dumi_fitting *f, mds *m, float *part, double *mean)
{
    double *root = m->roots;
    for (int32_t p = 0, at = 0; p < f->part_count; at += f->parts[p++]) {
        const int32_t d = f->parts[p];
        m->parts[p] = d;
        for (int64_t i = 0; i < f->count; i++)
            memcpy(part + i * d, f->rows + i * f->cols + at, (size_t)d * sizeof *part);
        DUMI_TRY(dumi_ellipsoid_fit(f->context, part, f->count, d, mean, root));
        root += (int64_t)d * d;
    }
    return DUM_OK;
}

static dum_status build(const dumi_fitting *f, int32_t classes, int64_t *rows, int32_t *place, mds **out)
{
    int64_t sizes[DUMI_STATE_SIZES] = {
        [DUMI_COLS] = f->cols, [PARTS] = f->part_count, [MEANS] = number_classes(f, classes, rows, place)};
    for (int32_t p = 0; p < f->part_count; p++)
        sizes[ROOTS] += (int64_t)f->parts[p] * f->parts[p];
    DUMI_TRY(dumi_state_create(f->context, &layout, sizes, (void **)out));
    centre(f, rows, place, *out);
    float *part = NULL;
    double *mean = NULL;
    dum_status status;
    DUMI_GO(DUMI_NEW(f->context, part, (size_t)f->count * (size_t)f->cols));
    DUMI_GO(DUMI_NEW(f->context, mean, f->cols));
    DUMI_GO(fit_parts(f, *out, part, mean));
done:
    dumi_free(f->context, part);
    dumi_free(f->context, mean);
    if (status != DUM_OK)
        dumi_state_destroy(*out);
    return status;
}

static dum_status fit(dumi_fitting *f, void **state)
{
    int32_t classes, *place = NULL;
    int64_t *rows = NULL;
    mds *made;
    dum_status status;
    DUMI_TRY(check_fit(f, &classes));
    DUMI_GO(DUMI_NEW(f->context, rows, classes));
    DUMI_GO(DUMI_NEW(f->context, place, classes));
    DUMI_GO(build(f, classes, rows, place, &made));
    status = dumi_state_ready(f->values, made, state);
done:
    dumi_free(f->context, rows);
    dumi_free(f->context, place);
    return status;
}

/* ---- Scoring ------------------------------------------------------------------------------- */

/* Of one part, which begins at column `at`. */
static double distance(const mds *m, int64_t at, int64_t d, const double *root, const float *row)
{
    double x[DUMI_MOST_COVARIANCE], w[DUMI_MOST_COVARIANCE], least = DBL_MAX;
    for (int64_t j = 0; j < d; j++)
        x[j] = (double)row[at + j];
    transform(d, root, x, w);
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
