/* SPDX-License-Identifier: MIT
 * Kind "dum": a head and a norm of its variance. */
#include "head/head.h"
#include "neighbours/neighbours.h"
#include "scorer/scorer.h"

#include <float.h>
#include <math.h>

static const dumi_param norm = {"norm",
                                DUMI_NORM_L2,
                                0,
                                0,
                                (const char *const[]){"l2", "trace", "logdet", NULL},
                                "l2|trace|logdet",
                                false,
                                "of the variance: its length (paper), its sum, or the mean of its logs"};

enum { NORM = DUMI_SCORER_PARAMS, HEAD };

static const dumi_param *param(int32_t index)
{
    return index == DUMI_SCORER_HOLDOUT ? &dumi_scorer_holdout
           : index == NORM              ? &norm
                                        : &dumi_head_params[index - HEAD];
}

static void changed(double *values, int32_t index)
{
    if (index == HEAD + DUMI_PRESET)
        dumi_head_preset(values + HEAD);
}

static dum_status fit(dum_context *context, const double *values, const void *old, const dum_dataset *data,
                      const dum_fit_options *options, void **state)
{
    dumi_head_model *model = NULL;
    dum_status status = dumi_model_train(context, values + HEAD, old, data, options, &model);
    *state = model;
    return status;
}

static void destroy(void *state)
{
    dumi_model_destroy(state);
}

static dum_status score(const double *values, void *state, const float *data, int64_t rows, int32_t cols,
                        int64_t row_stride, double *scores)
{
    return dumi_model_run(state, data, rows, cols, row_stride, NULL, (int32_t)values[NORM], scores);
}

static dum_status prepare_write(const void *state, void **prepared)
{
    float *parameters;
    DUMI_TRY(dumi_head_parameters(state, &parameters));
    *prepared = parameters;
    return DUM_OK;
}

static dum_status write_state(const void *state, const void *prepared, dumi_model_writer *writer)
{
    return dumi_head_model_write(state, prepared, writer);
}

static dum_status read_state(dum_context *context, const dumi_reader *reader, const double *values,
                             int32_t *cols, void **state)
{
    dumi_head_model *model;
    DUMI_TRY(dumi_head_model_read(context, reader, values + HEAD, &model));
    *cols = model->cols;
    *state = model;
    return DUM_OK;
}

/* Variance of the scaled column j, in units of that column's variance in the training rows, from the
 * variances exp(s - most) of z. Whitening: z = y R with R = V diag(1 / root), so y = z diag(root) V'. */
static double column_variance(const dumi_head_model *model, const float *s, double most,
                              const float *eigenvalues, int32_t j)
{
    const int32_t d = model->cols;
    const bool diagonal = model->outputs > 1 || d == 1;
    if (model->scaling.rotation == NULL)
        return exp((double)s[diagonal ? j : 0] - most);
    double sum = 0;
    for (int32_t k = 0; k < d; k++) {
        const double back = (double)model->scaling.rotation[(int64_t)j * d + k] * (double)eigenvalues[k];
        sum += back * back * exp((double)s[diagonal ? k : 0] - most);
    }
    return sum;
}

static void find_eigenvalues(const dumi_head_model *model, float *eigenvalues)
{
    const int32_t d = model->cols;
    for (int32_t k = 0; k < d; k++) {
        double square = 0;
        for (int32_t j = 0; j < d; j++) {
            const double value = (double)model->scaling.rotation[(int64_t)j * d + k];
            square += value * value;
        }
        eigenvalues[k] = (float)(1 / square);
    }
}

static double scaled(const dumi_scaling *scaling, const float *x, int32_t j)
{
    return ((double)x[j] - (double)scaling->shift[j]) * (double)scaling->scale[j];
}

/* Each column's part of |z|^2: y_j (R z)_j, with z = y R, so y = R diag(eigenvalues) z. */
static double anchor_part(const dumi_head_model *model, const float *z, const float *eigenvalues, int32_t j)
{
    const int32_t d = model->cols;
    if (model->scaling.rotation == NULL)
        return (double)z[j] * (double)z[j];
    double y = 0, sum = 0;
    for (int32_t k = 0; k < d; k++) {
        const double part = (double)model->scaling.rotation[(int64_t)j * d + k] * (double)z[k];
        y += part * (double)eigenvalues[k];
        sum += part;
    }
    return y * sum;
}

/* z from where the anchor is: the mean of the nearest centres, or the origin. */
static void from_anchor(const dumi_head_model *model, float *z)
{
    const dumi_centres *centres = &model->centres;
    const int32_t d = model->cols;
    dumi_neighbour nearest[DUMI_NEAR];
    int32_t found = 0;
    for (int32_t i = 0; i < centres->count; i++) {
        const double square = dumi_square_distance(d, z, centres->rows + (int64_t)i * d);
        if (found < DUMI_NEAR || square < nearest[DUMI_NEAR - 1].square)
            dumi_neighbours_insert(nearest, &found, DUMI_NEAR, square, i);
    }
    for (int32_t j = 0; j < d && found > 0; j++) {
        double sum = 0;
        for (int32_t i = 0; i < found; i++)
            sum += (double)centres->rows[(int64_t)nearest[i].row * d + j];
        z[j] = (float)((double)z[j] - sum / found);
    }
}

/* From the scaled column back to the input's unit: one standard deviation of z is this much of x. */
static double input_unit(const dumi_scaling *scaling, const float *x, int32_t j)
{
    const double scale = (double)scaling->scale[j];
    if (!(scale > 0))
        return 0;
    double length = 1;
    if (scaling->kind == DUMI_SCALE_UNIT) {
        length = 0;
        for (int32_t k = 0; k < scaling->cols; k++)
            length += scaled(scaling, x, k) * scaled(scaling, x, k);
        length = sqrt(length);
    }
    return length / scale;
}

/* False: they have no sum. */
static bool normalise(int32_t d, float *share)
{
    double sum = 0;
    for (int32_t j = 0; j < d; j++)
        sum += (double)share[j];
    for (int32_t j = 0; j < d && isfinite(sum); j++)
        share[j] = sum > 0 ? (float)((double)share[j] / sum) : 1.0f / (float)d;
    return isfinite(sum);
}

/* What column j adds to the sum that makes shares; of a diagonal covariance over exp(most). */
static double part_of(const dumi_head_model *model, const float *x, const float *z, const float *s, double most,
                      const float *eigenvalues, int32_t j)
{
    const double spread = model->scaling.spread[j];
    if (model->outputs == 1)
        return anchor_part(model, z, eigenvalues, j);
    const double relative = spread > 0 ? input_unit(&model->scaling, x, j) / spread : 0;
    return column_variance(model, s, most, eigenvalues, j) * relative * relative;
}

/* Of a row so far out that its parts are more than a float holds. */
static void share_far(const dumi_head_model *model, const float *x, const float *z, const float *s,
                      const float *eigenvalues, float *share)
{
    const int32_t d = model->cols;
    double most = -INFINITY, largest = 0;
    for (int32_t j = 0; j < model->outputs; j++)
        if (model->scaling.rotation != NULL || model->scaling.spread[j] > 0)
            most = (double)s[j] > most ? (double)s[j] : most;
    for (int32_t j = 0; j < d; j++) {
        const double size = fabs(part_of(model, x, z, s, most, eigenvalues, j));
        largest = size > largest ? size : largest;
    }
    for (int32_t j = 0; j < d; j++)
        share[j] = largest > 0 ? (float)(part_of(model, x, z, s, most, eigenvalues, j) / largest) : 1;
    normalise(d, share);
}

static dum_status explain(const double *values, void *state, int64_t row, float *x, float *scratch,
                          float *share, float *deviation)
{
    (void)values;
    dumi_head_model *model = state;
    const dumi_scaling *scaling = &model->scaling;
    const int32_t d = model->cols;
    const bool diagonal = model->outputs > 1;
    DUMI_REQUIRE(
        diagonal || model->anchor, DUM_ERR_UNSUPPORTED,
        "explain needs covariance diagonal or the anchor: one log-variance without it names no feature");
    float *z = scratch, *s = scratch + d, *eigenvalues = scratch + 2 * (int64_t)d;
    DUMI_TRY(dumi_model_row(model, row, x, z, s));
    if (scaling->rotation != NULL)
        find_eigenvalues(model, eigenvalues);
    if (model->anchor)
        from_anchor(model, z);
    for (int32_t j = 0; j < d; j++) {
        const double variance = column_variance(model, s, 0, eigenvalues, j), unit = input_unit(scaling, x, j);
        const double spread = scaling->spread[j], relative = spread > 0 ? unit / spread : 0;
        share[j] =
            diagonal ? (float)(variance * relative * relative) : (float)anchor_part(model, z, eigenvalues, j);
        if (deviation != NULL)
            deviation[j] = unit > 0 ? (float)fmin(sqrt(variance) * unit, (double)FLT_MAX) : 0;
    }
    if (!normalise(d, share))
        share_far(model, x, z, s, eigenvalues, share);
    return DUM_OK;
}

const dumi_scorer_kind dumi_scorer_dum = {
    .name = "dum",
    .params = {"scorer dum", HEAD + DUMI_HEAD_PARAMS, param},
    .changed = changed,
    .fit = fit,
    .destroy = destroy,
    .score = score,
    .explain = explain,
    .prepare_write = prepare_write,
    .write = write_state,
    .read = read_state,
};
