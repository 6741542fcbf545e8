/* SPDX-License-Identifier: MIT
 * Kind "vim" (Wang et al. 2022, "ViM: Out-Of-Distribution with Virtual-logit Matching"), on an encoder's output "joint":
 * the length of what principal components leave of the features, scaled like a logit, less the energy of the logits.
 * Features are taken from the point where a linear layer makes the logits that mean nothing (its bias undone). That
 * layer is found from the rows themselves by least squares, so an encoder of the host needs none to show. */
#include "linear/linear.h"
#include "scorer/ellipsoid.h"

#include <float.h>
#include <math.h>
#include <stddef.h>

enum { COMPONENTS = DUMI_SCORER_PARAMS, CLASSES, PARAMS };

static const dumi_param own[] = {
    {"components", 0, 0, DUMI_MOST_COVARIANCE - 1, NULL, NULL, true,
     "of the features that are left out, less than there are; 0: 1000 of 2048 features, 512 of 768, else half"},
    {"classes", 0, 0, 65536, NULL, NULL, true,
     "how many of the last columns are logits; 0: as the encoder says"},
};

static const dumi_param *param(int32_t index)
{
    return index == DUMI_SCORER_HOLDOUT ? &dumi_scorer_holdout : &own[index - COMPONENTS];
}

typedef struct {
    dumi_state head;
    double *origin; /* of the features */
    double *rest;   /* orthonormal rows: the components that are measured */
    int64_t *classes;
    double *scale;
} vim;

enum { REST = 1, FEATURES, ONE };

static dum_status check(const double *values, void *state)
{
    (void)values;
    vim *v = state;
    DUMI_REQUIRE(v->head.sizes[FEATURES] <= DUMI_MOST_COVARIANCE && v->head.sizes[ONE] == 1 &&
                     *v->classes >= 1 && *v->classes <= 65536,
                 DUM_ERR_FORMAT, "the model has %lld features and %lld classes",
                 (long long)v->head.sizes[FEATURES], (long long)*v->classes);
    v->head.sizes[DUMI_COLS] = v->head.sizes[FEATURES] + *v->classes;
    return DUM_OK;
}

static const dumi_array arrays[] = {
    {"vim.origin", DUMI_F64, offsetof(vim, origin), FEATURES, DUMI_VECTOR},
    {"vim.rest", DUMI_F64, offsetof(vim, rest), REST, FEATURES},
    {"vim.classes", DUMI_I64, offsetof(vim, classes), ONE, DUMI_VECTOR},
    {"vim.scale", DUMI_F64, offsetof(vim, scale), ONE, DUMI_VECTOR},
};
static const dumi_layout layout = {.bytes = sizeof(vim), .count = 4, .arrays = arrays, .ready = check};

static double residual(const vim *v, const float *row)
{
    const int32_t d = (int32_t)v->head.sizes[FEATURES];
    double x[DUMI_MOST_COVARIANCE], square = 0;
    for (int32_t j = 0; j < d; j++)
        x[j] = (double)row[j] - v->origin[j];
    for (int64_t i = 0; i < v->head.sizes[REST]; i++) {
        const double y = dumi_dot_double(d, v->rest + i * d, x);
        square += y * y;
    }
    return square <= DBL_MAX ? sqrt(square) : sqrt(DBL_MAX);
}

static double largest(const vim *v, const float *row)
{
    const float *logits = row + v->head.sizes[FEATURES];
    double most = (double)logits[0];
    for (int64_t c = 1; c < *v->classes; c++)
        most = (double)logits[c] > most ? (double)logits[c] : most;
    return most;
}

/* ---- Fitting ------------------------------------------------------------------------------- */

/* Room for one fit: d features, k logits, n = d + k. */
typedef struct {
    int32_t d, k;
    dumi_watch watch;
    double *mean;                      /* n */
    double *covariance;                /* n x n */
    double *square, *vectors, *values; /* max(d, k) squared, twice, and once not squared */
    double *layer, *bias;              /* d x k: what the logits are made by; k */
} space;

enum { SPACES = 7 };

static dum_status space_create(const dumi_fitting *f, int32_t k, double **block, space *s)
{
    const size_t n = (size_t)f->cols, d = n - (size_t)k, most = d > (size_t)k ? d : (size_t)k;
    const size_t sizes[SPACES] = {n, n * n, most * most, most * most, most, d * (size_t)k, (size_t)k};
    double **const pointers[SPACES] = {&s->mean,   &s->covariance, &s->square, &s->vectors,
                                       &s->values, &s->layer,      &s->bias};
    size_t all = 0;
    for (int i = 0; i < SPACES; i++)
        all += sizes[i];
    DUMI_TRY(DUMI_NEW(f->context, *block, all));
    double *at = *block;
    for (int i = 0; i < SPACES; at += sizes[i++])
        *pointers[i] = at;
    s->d = (int32_t)d;
    s->k = k;
    return DUM_OK;
}

/* Eigenvectors of `square`, of those with an eigenvalue that counts; the other eigenvalues become 0. */
static dum_status decompose(dum_context *context, int32_t size, space *s)
{
    double most = 0;
    DUMI_TRY(dumi_eigen(context, size, s->square, s->vectors, s->values, &s->watch));
    for (int32_t i = 0; i < size; i++)
        most = s->values[i] > most ? s->values[i] : most;
    for (int32_t i = 0; i < size; i++)
        s->values[i] = s->values[i] > 1e-10 * most ? s->values[i] : 0;
    return DUM_OK;
}

/* layer = C_ff^+ C_fl, bias = mean of the logits less that of what the layer makes of the features. */
static dum_status find_layer(dum_context *context, space *s)
{
    const int32_t d = s->d, k = s->k;
    const int64_t n = d + k;
    for (int64_t i = 0; i < d; i++)
        memcpy(s->square + i * d, s->covariance + i * n, (size_t)d * sizeof *s->square);
    DUMI_TRY(decompose(context, d, s));
    memset(s->layer, 0, (size_t)d * (size_t)k * sizeof *s->layer);
    for (int64_t e = 0; e < d; e++) {
        const double *vector = s->vectors + e * d;
        for (int32_t c = 0; c < k && s->values[e] > 0; c++) {
            double along = 0;
            for (int64_t i = 0; i < d; i++)
                along += vector[i] * s->covariance[i * n + d + c];
            for (int64_t i = 0; i < d; i++)
                s->layer[i * k + c] += vector[i] * along / s->values[e];
        }
    }
    for (int32_t c = 0; c < k; c++) {
        s->bias[c] = s->mean[d + c];
        for (int64_t i = 0; i < d; i++)
            s->bias[c] -= s->mean[i] * s->layer[i * k + c];
    }
    return DUM_OK;
}

/* The shortest of the points whose logits come closest to 0: - layer (layer' layer)^+ bias. */
static dum_status find_origin(dum_context *context, space *s, double *origin)
{
    const int32_t d = s->d, k = s->k;
    memset(s->square, 0, (size_t)k * (size_t)k * sizeof *s->square);
    for (int64_t i = 0; i < d; i++)
        for (int32_t a = 0; a < k; a++)
            for (int32_t b = 0; b < k; b++)
                s->square[a * k + b] += s->layer[i * k + a] * s->layer[i * k + b];
    DUMI_TRY(decompose(context, k, s));
    memset(origin, 0, (size_t)d * sizeof *origin);
    for (int64_t e = 0; e < k; e++) {
        const double *vector = s->vectors + e * k;
        const double along = s->values[e] > 0 ? dumi_dot_double(k, vector, s->bias) / s->values[e] : 0;
        for (int64_t i = 0; i < d; i++)
            origin[i] -= along * dumi_dot_double(k, s->layer + i * k, vector);
    }
    return DUM_OK;
}

/* Eigenvectors of the features' second moments about the origin, but for those of the `left_out` largest. */
static dum_status find_rest(dum_context *context, space *s, int32_t left_out, vim *v)
{
    const int64_t d = s->d, n = s->d + s->k;
    for (int64_t i = 0; i < d; i++)
        for (int64_t j = 0; j < d; j++)
            s->square[i * d + j] =
                s->covariance[i * n + j] + (s->mean[i] - v->origin[i]) * (s->mean[j] - v->origin[j]);
    DUMI_TRY(dumi_eigen(context, s->d, s->square, s->vectors, s->values, &s->watch));
    for (int32_t i = 0; i < left_out; i++) {
        int64_t best = 0;
        for (int64_t e = 1; e < d; e++)
            best = s->values[e] > s->values[best] ? e : best;
        s->values[best] = -DBL_MAX;
    }
    double *to = v->rest;
    for (int64_t e = 0; e < d; e++)
        if (s->values[e] > -DBL_MAX) {
            memcpy(to, s->vectors + e * d, (size_t)d * sizeof *to);
            to += d;
        }
    return DUM_OK;
}

/* So that the mean residual is the mean of the largest logits. */
static double find_scale(const dumi_fitting *f, const vim *v)
{
    double logits = 0, residuals = 0;
    for (int64_t i = 0; i < f->count; i++) {
        logits += largest(v, f->rows + i * f->cols);
        residuals += residual(v, f->rows + i * f->cols);
    }
    return residuals > 1e-12 * fabs(logits) ? fmax(-1e150, fmin(1e150, logits / residuals)) : 0;
}

static int32_t components_of(const dumi_fitting *f, int32_t d)
{
    const int32_t wanted = (int32_t)f->values[COMPONENTS];
    return wanted > 0 ? wanted : d >= 2048 ? 1000 : d >= 768 ? 512 : d / 2;
}

static dum_status build(const dumi_fitting *f, space *s, vim *v)
{
    s->watch = dumi_fitting_watch(f);
    DUMI_TRY(dumi_covariance(f->context, f->rows, NULL, f->count, f->cols, s->mean, s->covariance, &s->watch));
    DUMI_TRY(find_layer(f->context, s));
    DUMI_TRY(find_origin(f->context, s, v->origin));
    DUMI_TRY(find_rest(f->context, s, components_of(f, s->d), v));
    *v->classes = s->k;
    *v->scale = 1;
    v->head.sizes[DUMI_COLS] = f->cols;
    *v->scale = find_scale(f, v);
    return DUM_OK;
}

static dum_status check_fit(const dumi_fitting *f, int32_t *classes)
{
    *classes = f->values[CLASSES] > 0 ? (int32_t)f->values[CLASSES] : f->part_count > 1 ? f->parts[1] : 0;
    DUMI_REQUIRE(*classes > 0, DUM_ERR_ARGUMENT,
                 "option classes is 0, expected the number of logits: no encoder says how many there are");
    DUMI_REQUIRE(*classes < f->cols, DUM_ERR_SHAPE,
                 "the data have %d columns, expected features and then %d logits", f->cols, *classes);
    const int32_t d = f->cols - *classes;
    DUMI_REQUIRE(f->cols <= DUMI_MOST_COVARIANCE, DUM_ERR_LIMIT,
                 "the data have %d columns, kinds with a covariance take %d at most", f->cols,
                 DUMI_MOST_COVARIANCE);
    DUMI_REQUIRE(f->values[COMPONENTS] < d, DUM_ERR_ARGUMENT,
                 "option components is %s, expected less than the %d features",
                 dumi_show(f->values[COMPONENTS]).text, d);
    return DUM_OK;
}

static dum_status fit(dumi_fitting *f, void **state)
{
    int32_t classes;
    double *block = NULL;
    vim *v = NULL;
    space s;
    dum_status status;
    DUMI_TRY(check_fit(f, &classes));
    DUMI_TRY(space_create(f, classes, &block, &s));
    const int64_t sizes[DUMI_STATE_SIZES] = {
        [DUMI_COLS] = f->cols, [FEATURES] = s.d, [REST] = s.d - components_of(f, s.d), [ONE] = 1};
    DUMI_GO(dumi_state_create(f->context, &layout, sizes, (void **)&v));
    DUMI_GO(build(f, &s, v));
    status = dumi_state_ready(f->values, v, state);
    v = NULL;
done:
    dumi_free(f->context, block);
    dumi_state_destroy(v);
    return status;
}

static double score_row(const void *state, const float *row, float *parts)
{
    (void)parts;
    const vim *v = state;
    const float *logits = row + v->head.sizes[FEATURES];
    const double most = largest(v, row);
    double sum = 0;
    for (int64_t c = 0; c < *v->classes; c++)
        sum += exp((double)logits[c] - most);
    const double score = *v->scale * residual(v, row) - most - log(sum);
    return fmax(-DBL_MAX, fmin(score, DBL_MAX));
}

const dumi_scorer_kind dumi_scorer_vim = {
    .name = "vim",
    .params = {"scorer vim", PARAMS, param},
    .outputs = DUMI_OUTPUT(JOINT),
    .fit_rows = fit,
    .layout = &layout,
    .row = score_row,
    .row_cost = 30,
};
