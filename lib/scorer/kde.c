/* SPDX-License-Identifier: MIT
 * Kind "kde": minus the mean of a Gaussian kernel round the training rows, by random Fourier features (Rahimi & Recht
 * 2007): what is kept of the training rows is one number a feature. */
#include "scorer/rows.h"

#include <math.h>
#include <stddef.h>

enum { FEATURES = DUMI_SCALED_PARAMS, BANDWIDTH, SEED, PARAMS };
enum { MOST_FEATURES = 4096 };

static const dumi_param own[] = {
    {"features", 1024, 16, MOST_FEATURES, NULL, NULL, true,
     "random ones; the kernel is off by about 1 / sqrt(features)"},
    {"bandwidth", 0, 0, 1e30, NULL, NULL, false,
     "deviation of the kernel; 0: sqrt(d v / 2), v the variance of all values about their columns' means"},
    {"seed", 0, 0, 9007199254740992.0, NULL, NULL, true, "of all random numbers"},
};

static const dumi_param *param(int32_t index)
{
    return index == DUMI_SCORER_HOLDOUT   ? &dumi_scorer_holdout
           : index == DUMI_SCORER_SCALING ? &dumi_scorer_scaling
                                          : &own[index - FEATURES];
}

typedef struct {
    dumi_state head;
    float *centre; /* of the columns: phases are small where the rows are */
    float *waves;  /* columns x features: turns a unit */
    float *phases; /* of the features, in turns */
    float *means;  /* of the features over the training rows */
} density;

enum { WIDTH = 1 };

static dum_status check(const double *values, void *state)
{
    (void)values;
    const density *k = state;
    DUMI_REQUIRE(k->head.sizes[WIDTH] <= MOST_FEATURES, DUM_ERR_FORMAT, "the model has %lld features",
                 (long long)k->head.sizes[WIDTH]);
    return DUM_OK;
}

static const dumi_array arrays[] = {
    {"kde.centre", DUMI_F32, offsetof(density, centre), DUMI_COLS, DUMI_VECTOR},
    {"kde.waves", DUMI_F32, offsetof(density, waves), DUMI_COLS, WIDTH},
    {"kde.phases", DUMI_F32, offsetof(density, phases), WIDTH, DUMI_VECTOR},
    {"kde.means", DUMI_F32, offsetof(density, means), WIDTH, DUMI_VECTOR},
};
static const dumi_layout layout = {.bytes = sizeof(density), .count = 4, .arrays = arrays, .ready = check};

DUMI_CLONES static void add_waves(int32_t width, const float *restrict x, const float *restrict waves,
                                  float *restrict turns)
{
    const float *second = waves + width, *third = second + width, *fourth = third + width;
    for (int32_t f = 0; f < width; f++)
        turns[f] += (x[0] * waves[f] + x[1] * second[f]) + (x[2] * third[f] + x[3] * fourth[f]);
}

DUMI_CLONES static void add_wave(int32_t width, float x, const float *restrict wave, float *restrict turns)
{
    for (int32_t f = 0; f < width; f++)
        turns[f] += x * wave[f];
}

/* cos(2 pi t), to 1e-7: of the part of t within a quarter of a turn from a whole or half one, by its Taylor series. Where
 * a float32 resolves no turns, the kernel is 0, and so is this. */
DUMI_CLONES static void cosines(int32_t width, float *restrict t)
{
    const float whole = 12582912; /* 1.5 * 2^23: adding it rounds to an integer */
    for (int32_t f = 0; f < width; f++) {
        const float turns = t[f] < 1e5f && t[f] > -1e5f ? t[f] : 0.25f;
        float off = turns - ((turns + whole) - whole);
        off = off < 0 ? -off : off;     /* 0 to a half */
        const float near = 0.25f - off; /* cos(2 pi off) = sin(2 pi near) */
        const float angle = 6.2831853f * near, square = angle * angle;
        t[f] = angle *
               (1 + square * (-1.6666667e-1f +
                              square * (8.3333333e-3f + square * (-1.9841270e-4f + square * 2.7557319e-6f))));
    }
}

static void features_of(const density *k, const float *row, float *out)
{
    const int32_t cols = (int32_t)k->head.sizes[DUMI_COLS], width = (int32_t)k->head.sizes[WIDTH];
    memcpy(out, k->phases, (size_t)width * sizeof *out);
    int32_t j = 0;
    for (; j + 4 <= cols; j += 4) {
        float x[4];
        for (int32_t i = 0; i < 4; i++)
            x[i] = row[j + i] - k->centre[j + i];
        add_waves(width, x, k->waves + (int64_t)j * width, out);
    }
    for (; j < cols; j++)
        add_wave(width, row[j] - k->centre[j], k->waves + (int64_t)j * width, out);
    cosines(width, out);
}

enum { PART = 1024 };

typedef struct {
    const dumi_fitting *f;
    const density *k;
    double *sums; /* parts x features */
} averaging;

static void average_task(void *argument, int64_t part, int32_t worker)
{
    (void)worker;
    const averaging *a = argument;
    const int32_t width = (int32_t)a->k->head.sizes[WIDTH];
    const int64_t end = (part + 1) * PART < a->f->count ? (part + 1) * PART : a->f->count;
    double *sums = a->sums + part * width;
    float out[MOST_FEATURES];
    memset(sums, 0, (size_t)width * sizeof *sums);
    for (int64_t i = part * PART; i < end; i++) {
        features_of(a->k, a->f->rows + i * a->f->cols, out);
        for (int32_t f = 0; f < width; f++)
            sums[f] += (double)out[f];
    }
}

static dum_status set_means(const dumi_fitting *f, density *k)
{
    const int64_t parts = (f->count + PART - 1) / PART, width = k->head.sizes[WIDTH];
    averaging a = {f, k, NULL};
    DUMI_TRY(DUMI_NEW(f->context, a.sums, parts * width));
    const dumi_watch watch = dumi_fitting_watch(f);
    const dum_status status =
        dumi_parallel_watched(f->context, f->context->threads, parts,
                              2.0 * (double)f->count * (double)width * f->cols, average_task, &a, &watch);
    for (int64_t i = 0; i < width && status == DUM_OK; i++) {
        double sum = 0;
        for (int64_t p = 0; p < parts; p++)
            sum += a.sums[p * width + i];
        k->means[i] = (float)(sum / (double)f->count);
    }
    dumi_free(f->context, a.sums);
    return status;
}

/* Sets the centre, and *variance to the mean variance of the columns. */
static dum_status set_centre(const dumi_fitting *f, density *k, double *variance)
{
    double *mean;
    DUMI_TRY(DUMI_NEW(f->context, mean, 2 * (size_t)f->cols));
    dumi_rows_means(f, mean);
    dumi_rows_variances(f, mean, mean + f->cols);
    *variance = 0;
    for (int32_t j = 0; j < f->cols; j++) {
        k->centre[j] = (float)mean[j];
        *variance += mean[f->cols + j] / f->cols;
    }
    dumi_free(f->context, mean);
    return DUM_OK;
}

static void set_waves(const dumi_fitting *f, density *k, double variance)
{
    const int64_t width = k->head.sizes[WIDTH];
    double bandwidth = f->values[BANDWIDTH];
    if (!(bandwidth > 0))
        bandwidth = variance > 0 ? sqrt(f->cols * variance / 2) : 1;
    for (int64_t i = 0; i < width; i++) {
        dumi_rng rng;
        dumi_rng_init(&rng, (uint64_t)f->values[SEED], DUMI_RNG_FEATURES, (uint32_t)i);
        for (int32_t j = 0; j < f->cols; j++) {
            /* A file must hold finite numbers; no float32 resolves turns of such waves anyway. */
            const double wave = dumi_rng_normal(&rng) / bandwidth / 6.283185307179586;
            k->waves[j * width + i] = (float)(wave > 1e38 ? 1e38 : wave < -1e38 ? -1e38 : wave);
        }
        k->phases[i] = (float)dumi_rng_uniform(&rng);
    }
}

static dum_status fit(dumi_fitting *f, void **state)
{
    const int64_t sizes[DUMI_STATE_SIZES] = {[DUMI_COLS] = f->cols, [WIDTH] = (int64_t)f->values[FEATURES]};
    density *k;
    double variance;
    DUMI_TRY(dumi_state_create(f->context, &layout, sizes, (void **)&k));
    dum_status status;
    DUMI_GO(set_centre(f, k, &variance));
    set_waves(f, k, variance);
    DUMI_GO(set_means(f, k));
    return dumi_state_ready(f->values, k, state);
done:
    dumi_state_destroy(k);
    return status;
}

static double score_row(const void *state, const float *row, float *parts)
{
    (void)parts;
    const density *k = state;
    const int32_t width = (int32_t)k->head.sizes[WIDTH];
    float out[MOST_FEATURES];
    features_of(k, row, out);
    double sum = 0;
    for (int32_t f = 0; f < width; f++)
        sum += (double)out[f] * (double)k->means[f];
    return -2 * sum / width;
}

const dumi_scorer_kind dumi_scorer_kde = {
    .name = "kde",
    .params = {"scorer kde", PARAMS, param},
    .scales = true,
    .fit_rows = fit,
    .layout = &layout,
    .row = score_row,
    .row_cost = 1000,
};
