/* SPDX-License-Identifier: MIT
 * Kind "ocsvm": the one-class nu-SVM with a radial kernel (Schoelkopf et al. 2001). The sums of alpha are libsvm's:
 * nu x n. */
#include "scorer/radial.h"
#include "scorer/rows.h"
#include "scorer/smo.h"

#include <math.h>
#include <stddef.h>

enum { NU = DUMI_SCALED_PARAMS, GAMMA, TOLERANCE, CACHE_MB, MAX_ITERATIONS, PARAMS };

static const dumi_param own[] = {
    {"nu", 0.5, 1e-9, 1, NULL, NULL, false,
     "at most this share of the training rows lies outside, and at least this share are support vectors"},
    {"gamma", 0, 0, 1e100, NULL, NULL, false,
     "the kernel is exp(-gamma |x - y|^2); 0: 1 / (columns x variance of all values)"},
    {"tolerance", 0.001, 1e-10, 1, NULL, NULL, false, "training stops where no pair gains more than this"},
    {"cache_mb", 200, 0, 1e9, NULL, NULL, false,
     "megabytes of kernel rows that training keeps, and two rows at least"},
    {"max_iterations", 0, 0, 1e12, NULL, NULL, true, "of training; 0: no limit"},
};

/* Wider than what `gamma` takes and what float data give. */
static const double LEAST_GAMMA = 1e-110, LARGEST_GAMMA = 1e110;

static const dumi_param *param(int32_t index)
{
    return index == DUMI_SCORER_HOLDOUT   ? &dumi_scorer_holdout
           : index == DUMI_SCORER_SCALING ? &dumi_scorer_scaling
                                          : &own[index - NU];
}

/* ---- The state -------------------------------------------------------------------------------------------- */

typedef struct {
    dumi_state head;
    float *vectors; /* support vectors */
    double *alpha;
    double *numbers; /* gamma, rho */
    dumi_panels packed;
    double *weights; /* alpha, and 0 up to a whole block */
} machine;

enum { VECTORS = 1, NUMBERS };
enum { NUMBER_GAMMA, NUMBER_RHO, NUMBER_COUNT };

static dum_status check(const machine *m)
{
    DUMI_REQUIRE(m->head.sizes[NUMBERS] == NUMBER_COUNT, DUM_ERR_FORMAT,
                 "tensor ocsvm.numbers has %lld elements of %d", (long long)m->head.sizes[NUMBERS],
                 NUMBER_COUNT);
    DUMI_REQUIRE(m->numbers[NUMBER_GAMMA] >= LEAST_GAMMA && m->numbers[NUMBER_GAMMA] <= LARGEST_GAMMA,
                 DUM_ERR_FORMAT, "tensor ocsvm.numbers: gamma is not positive, or extreme");
    DUMI_REQUIRE(m->numbers[NUMBER_RHO] >= 0, DUM_ERR_FORMAT, "tensor ocsvm.numbers: rho is negative");
    for (int64_t i = 0; i < m->head.sizes[VECTORS]; i++)
        DUMI_REQUIRE(m->alpha[i] > 0 && m->alpha[i] <= 1, DUM_ERR_FORMAT,
                     "tensor ocsvm.alpha: element %lld is not in (0, 1]", (long long)i);
    DUMI_REQUIRE(m->head.sizes[DUMI_COLS] <= INT32_MAX, DUM_ERR_FORMAT,
                 "tensor ocsvm.vectors has too many columns");
    return DUM_OK;
}

static dum_status ready(const double *values, void *state)
{
    (void)values;
    machine *m = state;
    dum_context *context = m->head.context;
    DUMI_TRY(check(m));
    const int64_t count = m->head.sizes[VECTORS], padded = (count + DUMI_LANES - 1) / DUMI_LANES * DUMI_LANES;
    const size_t size = (size_t)count * (size_t)m->head.sizes[DUMI_COLS];
    float *rows;
    DUMI_TRY(DUMI_NEW(context, m->weights, padded));
    for (int64_t i = 0; i < padded; i++)
        m->weights[i] = i < count ? m->alpha[i] : 0;
    DUMI_TRY(DUMI_NEW(context, rows, size));
    memcpy(rows, m->vectors, size * sizeof *rows);
    return dumi_panels_pack(context, rows, count, (int32_t)m->head.sizes[DUMI_COLS], m->numbers[NUMBER_GAMMA],
                            &m->packed);
}

static void release(void *state)
{
    machine *m = state;
    if (m->packed.context != NULL)
        dumi_panels_free(&m->packed);
    dumi_free(m->head.context, m->weights);
}

static const dumi_array arrays[] = {
    {"ocsvm.vectors", DUMI_F32, offsetof(machine, vectors), VECTORS, DUMI_COLS},
    {"ocsvm.alpha", DUMI_F64, offsetof(machine, alpha), VECTORS, DUMI_VECTOR},
    {"ocsvm.numbers", DUMI_F64, offsetof(machine, numbers), NUMBERS, DUMI_VECTOR},
};
static const dumi_layout layout = {
    .bytes = sizeof(machine), .count = 3, .arrays = arrays, .ready = ready, .release = release};

/* ---- Scores ----------------------------------------------------------------------------------------------- */

/* Blocks of support vectors are taken in stretches that stay in the cache while several rows meet them. */
enum { SCORE_ROWS = 32, SUM_LANES = 16 };

DUMI_CLONES static void add_weighted(const float *restrict k, const double *restrict weights, int64_t count,
                                     double *restrict sums)
{
    for (int64_t i = 0; i < count; i += SUM_LANES)
        for (int l = 0; l < SUM_LANES; l++)
            sums[l] += weights[i + l] * (double)k[i + l];
}

typedef struct {
    const machine *m;
    const float *data;
    int64_t rows, row_stride;
    double *scores;
} job;

static void score_task(void *argument, int64_t task, int32_t worker)
{
    (void)worker;
    const job *j = argument;
    const dumi_panels *p = &j->m->packed;
    const int64_t begin = task * SCORE_ROWS, left = j->rows - begin, step = dumi_panels_stretch(p->cols);
    const int count = left < SCORE_ROWS ? (int)left : SCORE_ROWS;
    double sums[SCORE_ROWS][SUM_LANES];
    for (int i = 0; i < count; i++)
        for (int l = 0; l < SUM_LANES; l++)
            sums[i][l] = 0;
    for (int64_t first = 0; first < p->blocks; first += step) {
        const int64_t end = first + step < p->blocks ? first + step : p->blocks;
        for (int i = 0; i < count; i += DUMI_TOGETHER) {
            float k[DUMI_TOGETHER][DUMI_STRETCH * DUMI_LANES];
            const int now = count - i < DUMI_TOGETHER ? 1 : DUMI_TOGETHER;
            const float *row = j->data + (begin + i) * j->row_stride,
                        *x[] = {row, row + (now - 1) * j->row_stride};
            float *out[] = {k[0], k[1]};
            dumi_panels_kernel(p, x, now, p->scale, first, end, out);
            for (int q = 0; q < now; q++)
                add_weighted(k[q], j->m->weights + first * DUMI_LANES, (end - first) * DUMI_LANES, sums[i + q]);
        }
    }
    for (int i = 0; i < count; i++) {
        double sum = 0;
        for (int l = 0; l < SUM_LANES; l++)
            sum += sums[i][l];
        j->scores[begin + i] = j->m->numbers[NUMBER_RHO] - sum;
    }
}

static dum_status score(const double *values, void *state, const float *data, int64_t rows, int32_t cols,
                        int64_t row_stride, double *scores)
{
    (void)values;
    machine *m = state;
    dum_context *context = m->head.context;
    DUMI_TRY(dumi_rows_check_finite(data, rows, cols, row_stride));
    job j = {m, data, rows, row_stride, scores};
    dumi_parallel(context, context->threads, (rows + SCORE_ROWS - 1) / SCORE_ROWS,
                  dumi_panels_cost(cols) * (double)m->packed.count * (double)rows, score_task, &j);
    return DUM_OK;
}

/* ---- Training --------------------------------------------------------------------------------------------- */

/* 1 / (columns x variance of all values), as scikit-learn's "scale". */
static double automatic_gamma(const dumi_fitting *f)
{
    const int64_t size = f->count * f->cols;
    double mean = 0, variance = 0;
    for (int64_t i = 0; i < size; i++)
        mean += (double)f->rows[i];
    mean /= (double)size;
    for (int64_t i = 0; i < size; i++)
        variance += ((double)f->rows[i] - mean) * ((double)f->rows[i] - mean);
    variance /= (double)size;
    return variance > 0 ? 1 / (f->cols * variance) : 1;
}

/* nu x n; a whole number where that is what rounding missed, so that no row is left a hair from its limit. */
static double alpha_sum(double nu, int64_t n)
{
    const double sum = nu * (double)n, whole = nearbyint(sum);
    return whole >= 1 && fabs(sum - whole) <= 1e-9 ? whole : sum;
}

typedef struct {
    dumi_panels rows;
    double *alpha, *gradient;
} trained;

/* The gradient of the rows on the edge; where there are none, between those inside and those outside. */
static double offset(const trained *t)
{
    double sum = 0, inside = INFINITY, outside = 0;
    int64_t count = 0;
    for (int64_t i = 0; i < t->rows.count; i++) {
        const double g = t->gradient[i];
        if (t->alpha[i] >= 1) {
            outside = fmax(outside, g);
        } else if (t->alpha[i] <= 0) {
            inside = fmin(inside, g);
        } else {
            sum += g;
            count++;
        }
    }
    if (count > 0)
        return sum / (double)count;
    return inside < INFINITY ? (inside + outside) / 2 : outside;
}

static dum_status keep(const dumi_fitting *f, const trained *t, double gamma, machine **out)
{
    int64_t count = 0;
    for (int64_t i = 0; i < t->rows.count; i++)
        count += t->alpha[i] > 0;
    const int64_t sizes[DUMI_STATE_SIZES] = {
        [DUMI_COLS] = f->cols, [VECTORS] = count, [NUMBERS] = NUMBER_COUNT};
    DUMI_TRY(dumi_state_create(f->context, &layout, sizes, (void **)out));
    machine *m = *out;
    m->numbers[NUMBER_GAMMA] = gamma;
    m->numbers[NUMBER_RHO] = fmax(offset(t), 0);
    int64_t kept = 0;
    for (int64_t i = 0; i < t->rows.count; i++)
        if (t->alpha[i] > 0) {
            float *to = m->vectors + kept * t->rows.cols;
            dumi_panels_row(&t->rows, i, to);
            for (int32_t c = 0; c < t->rows.cols; c++)
                to[c] /= t->rows.scale;
            m->alpha[kept++] = t->alpha[i];
        }
    return DUM_OK;
}

static dum_status train(dumi_fitting *f, double gamma, trained *t)
{
    float *rows = f->rows;
    f->rows = NULL;
    DUMI_TRY(dumi_panels_pack(f->context, rows, f->count, f->cols, gamma, &t->rows));
    DUMI_TRY(DUMI_NEW(f->context, t->alpha, t->rows.blocks * DUMI_LANES));
    DUMI_TRY(DUMI_NEW(f->context, t->gradient, t->rows.blocks * DUMI_LANES));
    const dumi_smo_options options = {.sum = alpha_sum(f->values[NU], f->count),
                                      .tolerance = f->values[TOLERANCE],
                                      .cache_bytes = f->values[CACHE_MB] * 1e6,
                                      .max_iterations = f->values[MAX_ITERATIONS]};
    return dumi_smo(f, &options, &t->rows, t->alpha, t->gradient);
}

static dum_status fit(dumi_fitting *f, void **state)
{
    trained t = {0};
    machine *made = NULL;
    dum_status status;
    double gamma = f->values[GAMMA];
    DUMI_REQUIRE(gamma == 0 || gamma >= 1e-100, DUM_ERR_ARGUMENT,
                 "option gamma is %s, expected 0 (automatic) or 1e-100 to 1e+100", dumi_show(gamma).text);
    if (gamma == 0)
        gamma = automatic_gamma(f);
    DUMI_GO(train(f, gamma, &t));
    DUMI_GO(keep(f, &t, gamma, &made));
done:
    dumi_free(f->context, t.alpha);
    dumi_free(f->context, t.gradient);
    if (t.rows.context != NULL)
        dumi_panels_free(&t.rows);
    return status == DUM_OK ? dumi_state_ready(f->values, made, state) : status;
}

const dumi_scorer_kind dumi_scorer_ocsvm = {
    .name = "ocsvm",
    .params = {"scorer ocsvm", PARAMS, param},
    .scales = true,
    .fit_rows = fit,
    .layout = &layout,
    .score = score,
};
