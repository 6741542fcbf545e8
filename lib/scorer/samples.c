/* SPDX-License-Identifier: MIT
 * Kinds "sp" (Sugiyama & Borgwardt 2013): the distance to the nearest of a random sample of the training rows; and
 * "lesinn" (Pang, Ting & Albrecht 2015): its mean over many small samples. */
#include "scorer/samples.h"

#include "neighbours/neighbours.h"

#include <math.h>
#include <stddef.h>

enum { SAMPLE = DUMI_SCALED_PARAMS, SEED, SP_PARAMS, SAMPLES = SP_PARAMS, LESINN_PARAMS };

static const dumi_param seed = {"seed", 0, 0, 9007199254740992.0, NULL, NULL, true, "of all random numbers"},
                        sp_sample = {"sample", 20,   1,    1000000,
                                     NULL,     NULL, true, "rows, or all where there are fewer"},
                        lesinn_sample = {"sample", 8,
                                         1,        1000000,
                                         NULL,     NULL,
                                         true,     "rows of each sample, or all where there are fewer"},
                        samples_param = {"samples", 50,   1,    10000,
                                         NULL,      NULL, true, "over which the mean is taken"};

static const dumi_param *sp_param(int32_t index)
{
    return index == DUMI_SCORER_HOLDOUT   ? &dumi_scorer_holdout
           : index == DUMI_SCORER_SCALING ? &dumi_scorer_scaling
           : index == SAMPLE              ? &sp_sample
                                          : &seed;
}

static const dumi_param *lesinn_param(int32_t index)
{
    return index == SAMPLE ? &lesinn_sample : index == SAMPLES ? &samples_param : sp_param(index);
}

typedef struct {
    dumi_state head;
    float *rows;      /* of all samples, one after the other */
    int64_t *samples; /* where each begins; and the end */
} sampled;

enum { ROWS = 1, STARTS };

dum_status dumi_samples_check(const int64_t *starts, int64_t samples, int64_t rows)
{
    bool right = samples >= 1 && starts[0] == 0 && starts[samples] == rows;
    for (int64_t i = 0; i < samples && right; i++)
        right = starts[i] < starts[i + 1];
    DUMI_REQUIRE(right, DUM_ERR_FORMAT, "tensor sample.starts does not fit the rows");
    return DUM_OK;
}

int64_t dumi_samples_row(const dumi_fitting *f, uint64_t sampling_seed, int64_t each, int64_t i)
{
    return (int64_t)dumi_permute((uint64_t)f->count, (uint64_t)(i % each), sampling_seed, DUMI_RNG_SAMPLE,
                                 (uint32_t)(i / each));
}

double dumi_samples_score(const float *rows, const int64_t *starts, int64_t samples, int32_t cols,
                          const float *x)
{
    double sum = 0;
    for (int64_t i = 0; i < samples; i++) {
        double least = INFINITY;
        for (int64_t r = starts[i]; r < starts[i + 1]; r++) {
            const double square = dumi_square_distance(cols, x, rows + r * cols);
            least = square < least ? square : least;
        }
        sum += sqrt(least);
    }
    return sum / (double)samples;
}

static dum_status check(const double *values, void *state)
{
    (void)values;
    const sampled *s = state;
    DUMI_REQUIRE(s->head.sizes[DUMI_COLS] <= INT32_MAX, DUM_ERR_FORMAT, "the model has %lld columns",
                 (long long)s->head.sizes[DUMI_COLS]);
    return dumi_samples_check(s->samples, s->head.sizes[STARTS] - 1, s->head.sizes[ROWS]);
}

static const dumi_array arrays[] = {
    {"sample.rows", DUMI_F32, offsetof(sampled, rows), ROWS, DUMI_COLS},
    {"sample.starts", DUMI_I64, offsetof(sampled, samples), STARTS, DUMI_VECTOR},
};
static const dumi_layout layout = {.bytes = sizeof(sampled), .count = 2, .arrays = arrays, .ready = check};

static dum_status fit(dumi_fitting *f, int64_t samples, void **state)
{
    const int64_t each = (int64_t)(f->values[SAMPLE] < (double)f->count ? f->values[SAMPLE] : (double)f->count);
    const int64_t sizes[DUMI_STATE_SIZES] = {
        [DUMI_COLS] = f->cols, [ROWS] = samples * each, [STARTS] = samples + 1};
    sampled *s;
    DUMI_TRY(dumi_state_create(f->context, &layout, sizes, (void **)&s));
    for (int64_t i = 0; i <= samples; i++)
        s->samples[i] = i * each;
    for (int64_t i = 0; i < samples * each; i++) {
        const int64_t row = dumi_samples_row(f, (uint64_t)f->values[SEED], each, i);
        memcpy(s->rows + i * f->cols, f->rows + row * f->cols, (size_t)f->cols * sizeof *s->rows);
    }
    return dumi_state_ready(f->values, s, state);
}

static dum_status sp_fit(dumi_fitting *f, void **state)
{
    return fit(f, 1, state);
}

static dum_status lesinn_fit(dumi_fitting *f, void **state)
{
    return fit(f, (int64_t)f->values[SAMPLES], state);
}

static double score_row(const void *state, const float *row, float *parts)
{
    (void)parts;
    const sampled *s = state;
    return dumi_samples_score(s->rows, s->samples, s->head.sizes[STARTS] - 1, (int32_t)s->head.sizes[DUMI_COLS],
                              row);
}

const dumi_scorer_kind dumi_scorer_sp = {
    .name = "sp",
    .params = {"scorer sp", SP_PARAMS, sp_param},
    .scales = true,
    .fit_rows = sp_fit,
    .layout = &layout,
    .row = score_row,
    .row_cost = 40,
};

const dumi_scorer_kind dumi_scorer_lesinn = {
    .name = "lesinn",
    .params = {"scorer lesinn", LESINN_PARAMS, lesinn_param},
    .scales = true,
    .fit_rows = lesinn_fit,
    .layout = &layout,
    .row = score_row,
    .row_cost = 800,
};
