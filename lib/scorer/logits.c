/* SPDX-License-Identifier: MIT
 * Kinds that read an encoder's logits and keep nothing of the training rows:
 * "msp" (Hendrycks & Gimpel 2017, "A Baseline for Detecting Misclassified and Out-of-Distribution Examples in Neural
 * Networks"): minus the largest softmax; on output "odin" with temperature 1000 it is ODIN (Liang et al. 2018).
 * "energy" (Liu et al. 2020, "Energy-based Out-of-distribution Detection", Eq. 4): -T log sum exp(logits / T).
 * "uncertainty" (Zhang et al. 2021, "Temperature as Uncertainty in Contrastive Learning"): the first column.
 * "rotation" (Hendrycks et al. 2019, "Using Self-Supervised Learning Can Improve Model Robustness and Uncertainty",
 * section 5, as their program has it): how badly four turned copies are told, less how far the softmax of the classes
 * is from uniform. */
#include "scorer/rows.h"

#include <math.h>
#include <stddef.h>

enum { TEMPERATURE = DUMI_SCORER_PARAMS, LOGIT_PARAMS };
enum { PART = DUMI_SCORER_PARAMS, ROTATION_PARAMS };
enum { BOTH, TURNS };
enum { QUARTERS = 4, TURNED = QUARTERS * QUARTERS };

static const dumi_param
    temperature = {"temperature", 1,    1e-3,  1e6,
                   NULL,          NULL, false, "what divides the logits; with an encoder's output odin: 1000"},
    part = {"part",
            BOTH,
            0,
            0,
            (const char *const[]){"both", "turns", NULL},
            "both|turns",
            false,
            "turns: without the softmax of the classes"};

static const dumi_param *logit_param(int32_t index)
{
    return index == DUMI_SCORER_HOLDOUT ? &dumi_scorer_holdout : &temperature;
}

static const dumi_param *uncertainty_param(int32_t index)
{
    (void)index;
    return &dumi_scorer_holdout;
}

static const dumi_param *rotation_param(int32_t index)
{
    return index == DUMI_SCORER_HOLDOUT ? &dumi_scorer_holdout : &part;
}

typedef struct {
    dumi_state head;
    int64_t *cols;
    double value; /* of option temperature or part */
} reader;

enum { ONE = 1 };

static const dumi_array arrays[] = {{"logits.cols", DUMI_I64, offsetof(reader, cols), ONE, DUMI_VECTOR}};

static dum_status ready(const double *values, void *state)
{
    reader *r = state;
    DUMI_REQUIRE(r->head.sizes[ONE] == 1 && *r->cols >= 1 && *r->cols <= INT32_MAX, DUM_ERR_FORMAT,
                 "tensor logits.cols is not one number of columns");
    r->head.sizes[DUMI_COLS] = *r->cols;
    r->value = values[TEMPERATURE];
    return DUM_OK;
}

static dum_status ready_rotation(const double *values, void *state)
{
    DUMI_TRY(ready(values, state));
    const reader *r = state;
    DUMI_REQUIRE(*r->cols > TURNED, DUM_ERR_FORMAT, "the model has %lld columns, expected more than 16",
                 (long long)*r->cols);
    return DUM_OK;
}

static const dumi_layout layout = {.bytes = sizeof(reader), .count = 1, .arrays = arrays, .ready = ready},
                         layout_rotation = {
                             .bytes = sizeof(reader), .count = 1, .arrays = arrays, .ready = ready_rotation};

static dum_status fit_by(const dumi_fitting *f, const dumi_layout *by, void **state)
{
    const int64_t sizes[DUMI_STATE_SIZES] = {[DUMI_COLS] = f->cols, [ONE] = 1};
    void *made;
    DUMI_TRY(dumi_state_create(f->context, by, sizes, &made));
    *((reader *)made)->cols = f->cols;
    return dumi_state_ready(f->values, made, state);
}

static dum_status fit(dumi_fitting *f, void **state)
{
    return fit_by(f, &layout, state);
}

static dum_status fit_rotation(dumi_fitting *f, void **state)
{
    DUMI_REQUIRE(
        f->cols > TURNED, DUM_ERR_SHAPE,
        "the data have %d columns, expected the 16 logits of four turned copies, then those of classes: "
        "output rotation of an encoder",
        f->cols);
    return fit_by(f, &layout_rotation, state);
}

/* log of the sum of exp(logits / temperature), less the largest of those; `most`: that one. */
static double log_sum(int32_t count, const float *logits, double by, double *most)
{
    double sum = 0;
    *most = (double)logits[0];
    for (int32_t c = 1; c < count; c++)
        *most = (double)logits[c] > *most ? (double)logits[c] : *most;
    for (int32_t c = 0; c < count; c++)
        sum += exp(((double)logits[c] - *most) / by);
    *most /= by;
    return log(sum);
}

static double msp_row(const void *state, const float *row, float *parts)
{
    (void)parts;
    const reader *r = state;
    double most;
    return -exp(-log_sum((int32_t)*r->cols, row, r->value, &most));
}

static double energy_row(const void *state, const float *row, float *parts)
{
    (void)parts;
    const reader *r = state;
    double most;
    const double sum = log_sum((int32_t)*r->cols, row, r->value, &most);
    return -r->value * (most + sum);
}

static double uncertainty_row(const void *state, const float *row, float *parts)
{
    (void)state;
    (void)parts;
    return (double)row[0];
}

static double rotation_row(const void *state, const float *row, float *parts)
{
    (void)parts;
    const reader *r = state;
    const int32_t classes = (int32_t)*r->cols - TURNED;
    const float *logits = row + TURNED;
    double most, turns = 0, mean = 0;
    for (int32_t q = 0; q < QUARTERS; q++) {
        const double sum = log_sum(QUARTERS, row + (ptrdiff_t)q * QUARTERS, 1, &most);
        turns += (most + sum - (double)row[q * QUARTERS + q]) / QUARTERS;
    }
    if ((int32_t)r->value == TURNS)
        return turns;
    const double sum = log_sum(classes, logits, 1, &most);
    for (int32_t c = 0; c < classes; c++)
        mean += ((double)logits[c] - most - sum) / classes;
    return turns + log((double)classes) +
           mean; /* KL(uniform || softmax) = -log classes - mean of log softmax */
}

const dumi_scorer_kind dumi_scorer_msp = {
    .name = "msp",
    .params = {"scorer msp", LOGIT_PARAMS, logit_param},
    .outputs = DUMI_OUTPUT(LOGITS) | DUMI_OUTPUT(ODIN),
    .fit_rows = fit,
    .layout = &layout,
    .row = msp_row,
    .row_cost = 40,
};

const dumi_scorer_kind dumi_scorer_energy = {
    .name = "energy",
    .params = {"scorer energy", LOGIT_PARAMS, logit_param},
    .outputs = DUMI_OUTPUT(LOGITS) | DUMI_OUTPUT(ODIN),
    .fit_rows = fit,
    .layout = &layout,
    .row = energy_row,
    .row_cost = 40,
};

const dumi_scorer_kind dumi_scorer_rotation = {
    .name = "rotation",
    .params = {"scorer rotation", ROTATION_PARAMS, rotation_param},
    .outputs = DUMI_OUTPUT(ROTATION),
    .fit_rows = fit_rotation,
    .layout = &layout_rotation,
    .row = rotation_row,
    .row_cost = 40,
};

const dumi_scorer_kind dumi_scorer_uncertainty = {
    .name = "uncertainty",
    .params = {"scorer uncertainty", DUMI_SCORER_PARAMS, uncertainty_param},
    .outputs = DUMI_OUTPUT(UNCERTAINTY),
    .fit_rows = fit,
    .layout = &layout,
    .row = uncertainty_row,
    .row_cost = 1,
};
