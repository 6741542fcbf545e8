/* SPDX-License-Identifier: MIT
 * Kind "repen" (Pang, Cao, Chen & Liu 2018): LeSiNN on what one layer makes of a row, trained so that rows which LeSiNN
 * takes for outliers lie further from usual ones than usual ones do. */
#include "scorer/net.h"
#include "scorer/samples.h"

#include <math.h>
#include <stddef.h>

enum { OUTPUTS = DUMI_SCALED_PARAMS, SAMPLE, SAMPLES, STEPS, BATCH, RATE, MARGIN, SEED, PARAMS };

static const dumi_param own[] = {
    {"outputs", 20, 1, DUMI_NET_WIDTH, NULL, NULL, true, "columns of the representation"},
    {"sample", 8, 1, 65536, NULL, NULL, true, "rows of each sample, or all where there are fewer"},
    {"samples", 50, 1, 10000, NULL, NULL, true, "over which the mean is taken"},
    {"steps", 600, 1, 1e9, NULL, NULL, true, "of training"},
    {"batch", 256, 1, 65536, NULL, NULL, true, "triplets of a step"},
    {"rate", 0.001, 1e-9, 10, NULL, NULL, false, "of Adam"},
    {"margin", 1000, 1e-6, 1e12, NULL, NULL, false, "by which squares of distances should differ"},
    {"seed", 0, 0, 9007199254740992.0, NULL, NULL, true, "of all random numbers"},
};

static const dumi_param *param(int32_t index)
{
    return index == DUMI_SCORER_HOLDOUT   ? &dumi_scorer_holdout
           : index == DUMI_SCORER_SCALING ? &dumi_scorer_scaling_minmax
                                          : &own[index - OUTPUTS];
}

typedef struct {
    dumi_net net;
    float *rows; /* of the samples, as the net represents them */
    int64_t *starts;
} representation;

enum { ROWS = DUMI_NET_MORE, STARTS, WIDTH };

static dum_status ready(const double *values, void *state)
{
    DUMI_TRY(dumi_net_ready(values, state));
    const representation *r = state;
    const int64_t *sizes = r->net.head.sizes;
    DUMI_REQUIRE(sizes[DUMI_NET_SIZES] == 2 && r->net.sizes[1] == sizes[WIDTH] &&
                     sizes[WIDTH] <= DUMI_NET_WIDTH,
                 DUM_ERR_FORMAT, "tensor sample.rows does not fit net.sizes");
    return dumi_samples_check(r->starts, sizes[STARTS] - 1, sizes[ROWS]);
}

static const dumi_array arrays[] = {
    DUMI_NET_ARRAYS,
    {"sample.rows", DUMI_F32, offsetof(representation, rows), ROWS, WIDTH},
    {"sample.starts", DUMI_I64, offsetof(representation, starts), STARTS, DUMI_VECTOR},
};
static const dumi_layout layout = {
    .bytes = sizeof(representation), .count = 4, .arrays = arrays, .ready = ready};

/* Rows from which a draw is made in proportion to weights: their sums up to each. */
typedef struct {
    int64_t *rows;
    double *sums;
    int64_t count;
} urn;

typedef struct {
    const dumi_fitting *f;
    urn usual, odd;
    int32_t triplets, outputs;
} training;

static void put(urn *u, int64_t row, double weight)
{
    u->rows[u->count] = row;
    u->sums[u->count] = weight + (u->count > 0 ? u->sums[u->count - 1] : 0);
    u->count++;
}

static const float *draw(const training *t, const urn *u, dumi_rng *rng)
{
    const double at = dumi_rng_uniform(rng) * u->sums[u->count - 1];
    int64_t low = 0, high = u->count - 1;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (u->sums[middle] > at)
            high = middle;
        else
            low = middle + 1;
    }
    return t->f->rows + u->rows[low] * t->f->cols;
}

/* Queries, then rows that are to be near them, then rows that are to be far. */
static void load(void *user, int64_t step, float *x)
{
    const training *t = user;
    const size_t bytes = (size_t)t->f->cols * sizeof *x;
    dumi_rng rng;
    dumi_rng_init(&rng, (uint64_t)t->f->values[SEED], DUMI_RNG_ORDER, (uint32_t)step);
    for (int64_t i = 0; i < t->triplets; i++) {
        memcpy(x + i * t->f->cols, draw(t, &t->usual, &rng), bytes);
        memcpy(x + (t->triplets + i) * t->f->cols, draw(t, &t->usual, &rng), bytes);
        memcpy(x + (2 * (int64_t)t->triplets + i) * t->f->cols, draw(t, &t->odd, &rng), bytes);
    }
}

static float positive(float x)
{
    return x > 0 ? x : 0;
}

/* One triplet: margin + |q - near|^2 - |q - far|^2 where that is more than 0; what is put out passes a ReLU. */
static double triplet_loss(const training *t, const float *q, const float *near, const float *far, float *d_q,
                           float *d_near, float *d_far)
{
    double loss = t->f->values[MARGIN];
    for (int32_t j = 0; j < t->outputs; j++) {
        const double a = (double)positive(q[j]) - (double)positive(near[j]),
                     b = (double)positive(q[j]) - (double)positive(far[j]);
        loss += a * a - b * b;
    }
    const double scale = loss > 0 ? 2.0 / t->triplets : 0;
    for (int32_t j = 0; j < t->outputs; j++) {
        const double a = (double)positive(q[j]) - (double)positive(near[j]),
                     b = (double)positive(q[j]) - (double)positive(far[j]);
        d_q[j] = q[j] > 0 ? (float)(scale * (a - b)) : 0;
        d_near[j] = near[j] > 0 ? (float)(-scale * a) : 0;
        d_far[j] = far[j] > 0 ? (float)(scale * b) : 0;
    }
    return loss > 0 ? loss / t->triplets : 0;
}

static double loss(void *user, const float *x, const float *out, float *d_out)
{
    (void)x;
    const training *t = user;
    const int64_t width = t->outputs, near = t->triplets * width, far = 2 * near;
    double sum = 0;
    for (int64_t i = 0; i < near; i += width)
        sum += triplet_loss(t, out + i, out + near + i, out + far + i, d_out + i, d_out + near + i,
                            d_out + far + i);
    return sum;
}

static void represent(const dumi_net *net, const float *row, float *out)
{
    const int32_t width = net->mlp.layers[0].outputs;
    dumi_net_output(net, row, 0, width, out);
    for (int32_t j = 0; j < width; j++)
        out[j] = positive(out[j]);
}

/* LeSiNN's scores of all rows. */
typedef struct {
    const dumi_fitting *f;
    float *rows;
    int64_t *starts;
    int64_t samples;
    double *scores;
} rating;

enum { TASK_ROWS = 64 };

static void rate_task(void *argument, int64_t task, int32_t worker)
{
    (void)worker;
    const rating *r = argument;
    const int64_t end = (task + 1) * TASK_ROWS < r->f->count ? (task + 1) * TASK_ROWS : r->f->count;
    for (int64_t i = task * TASK_ROWS; i < end; i++)
        r->scores[i] =
            dumi_samples_score(r->rows, r->starts, r->samples, r->f->cols, r->f->rows + i * r->f->cols);
}

/* Outliers by Cantelli's inequality: beyond the mean by 1.732 deviations, and the highest of all in any case. */
static void fill_urns(training *t, const double *scores)
{
    const int64_t n = t->f->count;
    double mean = 0, square = 0, most = scores[0];
    for (int64_t i = 0; i < n; i++) {
        mean += scores[i] / (double)n;
        most = scores[i] > most ? scores[i] : most;
    }
    for (int64_t i = 0; i < n; i++)
        square += (scores[i] - mean) * (scores[i] - mean) / (double)n;
    const double limit = fmin(mean + 1.732 * sqrt(square), most), unit = most > 0 ? most : 1;
    for (int64_t i = 0; i < n; i++) {
        const bool odd = scores[i] >= limit;
        if (odd)
            put(&t->odd, i, scores[i] / unit + 1e-9);
        if (!odd || most <= limit)
            put(&t->usual, i, (most - scores[i]) / unit + 1e-9);
    }
}

/* Before the first step, whatever part of the rows is rated. */
static dum_status ask(const void *user, int64_t task, int64_t tasks)
{
    (void)task;
    return dumi_fitting_progress(user, 0, tasks, 0);
}

static dum_status find_candidates(training *t, int64_t each, int64_t samples)
{
    const dumi_fitting *f = t->f;
    rating r = {.f = f, .samples = samples};
    dum_status status;
    DUMI_GO(DUMI_NEW(f->context, r.rows, (size_t)(samples * each) * (size_t)f->cols));
    DUMI_GO(DUMI_NEW(f->context, r.starts, samples + 1));
    DUMI_GO(DUMI_NEW(f->context, r.scores, f->count));
    for (int64_t i = 0; i <= samples; i++)
        r.starts[i] = i * each;
    for (int64_t i = 0; i < samples * each; i++)
        memcpy(r.rows + i * f->cols,
               f->rows + dumi_samples_row(f, (uint64_t)f->values[SEED], each, i) * f->cols,
               (size_t)f->cols * sizeof *r.rows);
    const dumi_watch watch = {ask, f};
    DUMI_GO(dumi_parallel_watched(f->context, f->context->threads, (f->count + TASK_ROWS - 1) / TASK_ROWS,
                                  2.0 * (double)f->count * (double)(samples * each) * f->cols, rate_task, &r,
                                  &watch));
    fill_urns(t, r.scores);
done:
    dumi_free(f->context, r.rows);
    dumi_free(f->context, r.starts);
    dumi_free(f->context, r.scores);
    return status;
}

static void keep_samples(const dumi_fitting *f, representation *r, int64_t each)
{
    for (int64_t i = 0; i < r->net.head.sizes[STARTS]; i++)
        r->starts[i] = i * each;
    for (int64_t i = 0; i < r->net.head.sizes[ROWS]; i++)
        represent(&r->net, f->rows + dumi_samples_row(f, (uint64_t)f->values[SEED], each, i) * f->cols,
                  r->rows + i * r->net.head.sizes[WIDTH]);
}

/* Stopped here, there is nothing to keep yet. */
static dum_status prepare(training *t, int64_t each)
{
    const dumi_fitting *f = t->f;
    DUMI_TRY(DUMI_NEW(f->context, t->usual.rows, f->count));
    DUMI_TRY(DUMI_NEW(f->context, t->usual.sums, f->count));
    DUMI_TRY(DUMI_NEW(f->context, t->odd.rows, f->count));
    DUMI_TRY(DUMI_NEW(f->context, t->odd.sums, f->count));
    return find_candidates(t, each, (int64_t)f->values[SAMPLES]);
}

static dum_status train(training *t, representation *r)
{
    const dumi_fitting *f = t->f;
    const dumi_net_training how = {.rows = 3 * t->triplets,
                                   .steps = (int64_t)f->values[STEPS],
                                   .rate = f->values[RATE],
                                   .biases = true,
                                   .load = load,
                                   .loss = loss,
                                   .user = t};
    dumi_net_init(&r->net, (uint64_t)f->values[SEED]);
    return dumi_net_train(f, &r->net, &how);
}

static dum_status fit(dumi_fitting *f, void **state)
{
    const int64_t each = (int64_t)(f->values[SAMPLE] < (double)f->count ? f->values[SAMPLE] : (double)f->count),
                  samples = (int64_t)f->values[SAMPLES];
    const int32_t sizes[] = {f->cols, (int32_t)f->values[OUTPUTS]};
    int64_t state_sizes[DUMI_STATE_SIZES] = {
        [ROWS] = samples * each, [STARTS] = samples + 1, [WIDTH] = sizes[1]};
    dumi_net_describe(state_sizes, 1, sizes);
    representation *r;
    DUMI_TRY(dumi_net_create(f, &layout, state_sizes, 1, sizes, (void **)&r));
    training t = {.f = f, .triplets = (int32_t)f->values[BATCH], .outputs = sizes[1]};
    const dum_status prepared = prepare(&t, each), status = prepared == DUM_OK ? train(&t, r) : prepared;
    void *const parts[] = {t.usual.rows, t.usual.sums, t.odd.rows, t.odd.sums};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        dumi_free(f->context, parts[i]);
    if (prepared != DUM_OK) {
        dumi_state_destroy(r);
        return prepared;
    }
    if (status == DUM_OK || status == DUM_CANCELLED)
        keep_samples(f, r, each);
    return dumi_net_finish(f, r, status, state);
}

static double score_row(const void *state, const float *row, float *parts)
{
    (void)parts;
    const representation *r = state;
    float x[DUMI_NET_WIDTH];
    represent(&r->net, row, x);
    return dumi_net_finite(dumi_samples_score(r->rows, r->starts, r->net.head.sizes[STARTS] - 1,
                                              (int32_t)r->net.head.sizes[WIDTH], x));
}

const dumi_scorer_kind dumi_scorer_repen = {
    .name = "repen",
    .params = {"scorer repen", PARAMS, param},
    .scales = true,
    .fit_rows = fit,
    .layout = &layout,
    .row = score_row,
    .row_cost = 1000,
};
