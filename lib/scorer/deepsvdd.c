/* SPDX-License-Identifier: MIT
 * Kind "deepsvdd" (Ruff et al. 2018): the square of the distance from a centre of what a network without biases makes of a
 * row, trained to keep the training rows near it. */
#include "scorer/net.h"

#include <math.h>
#include <stddef.h>

enum { LAYERS = DUMI_SCALED_PARAMS, WIDTH, OUTPUTS, EPOCHS, BATCH, RATE, DECAY, SEED, PARAMS };

static const dumi_param own[] = {
    {"layers", 2, 0, DUMI_NET_HIDDEN, NULL, NULL, true, "hidden layers"},
    {"width", 64, 1, DUMI_NET_WIDTH, NULL, NULL, true, "units of a hidden layer"},
    {"outputs", 32, 1, DUMI_NET_WIDTH, NULL, NULL, true, "columns of what the network puts out"},
    {"epochs", 100, 1, 1e6, NULL, NULL, true, "passes over the rows"},
    {"batch", 128, 1, 65536, NULL, NULL, true, "rows of a step, or all where there are fewer"},
    {"rate", 0.0001, 1e-9, 10, NULL, NULL, false, "of Adam"},
    {"weight_decay", 1e-6, 0, 1, NULL, NULL, false, "added to the gradient, times the weights"},
    {"seed", 0, 0, 9007199254740992.0, NULL, NULL, true, "of all random numbers"},
};

static const dumi_param *param(int32_t index)
{
    return index == DUMI_SCORER_HOLDOUT   ? &dumi_scorer_holdout
           : index == DUMI_SCORER_SCALING ? &dumi_scorer_scaling_minmax
                                          : &own[index - LAYERS];
}

typedef struct {
    dumi_net net;
    float *centre;
} sphere;

enum { CENTRE = DUMI_NET_MORE };

static dum_status ready(const double *values, void *state)
{
    DUMI_TRY(dumi_net_ready(values, state));
    const sphere *s = state;
    const int64_t outputs = s->net.sizes[s->net.head.sizes[DUMI_NET_SIZES] - 1];
    DUMI_REQUIRE(outputs == s->net.head.sizes[CENTRE] && outputs <= DUMI_NET_WIDTH, DUM_ERR_FORMAT,
                 "tensor deepsvdd.centre does not fit net.sizes");
    return DUM_OK;
}

static const dumi_array arrays[] = {
    DUMI_NET_ARRAYS,
    {"deepsvdd.centre", DUMI_F32, offsetof(sphere, centre), CENTRE, DUMI_VECTOR},
};
static const dumi_layout layout = {.bytes = sizeof(sphere), .count = 3, .arrays = arrays, .ready = ready};

typedef struct {
    const dumi_fitting *f;
    const sphere *s;
    int32_t rows;
} training;

static double loss(void *user, const float *x, const float *out, float *d_out)
{
    (void)x;
    const training *t = user;
    const int64_t outputs = t->s->net.head.sizes[CENTRE];
    double sum = 0;
    for (int64_t i = 0; i < t->rows * outputs; i++) {
        const double off = (double)out[i] - (double)t->s->centre[i % outputs];
        sum += off * off;
        d_out[i] = (float)(2 * off / t->rows);
    }
    return sum / t->rows;
}

/* The mean of what the untrained network puts out. A network can put out zero whatever the row, by weights of zero:
 * no element of the centre may be near it. */
static void set_centre(const dumi_fitting *f, sphere *s)
{
    enum { MOST = 4096 };
    const int64_t outputs = s->net.head.sizes[CENTRE], rows = f->count < MOST ? f->count : MOST;
    double sums[DUMI_NET_WIDTH] = {0}, size = 0;
    float hidden[DUMI_NET_WIDTH], out[DUMI_NET_WIDTH];
    for (int64_t i = 0; i < rows; i++) {
        const float *row = f->rows + i * f->count / rows * f->cols;
        dumi_net_output(&s->net, dumi_net_hidden(&s->net, row, hidden), 0, (int32_t)outputs, out);
        for (int64_t j = 0; j < outputs; j++)
            sums[j] += (double)out[j] / (double)rows;
    }
    for (int64_t j = 0; j < outputs; j++)
        size += sums[j] * sums[j] / (double)outputs;
    const double least = size > 0 ? fmax(0.1 * sqrt(size), 1e-6) : 0.1;
    for (int64_t j = 0; j < outputs; j++)
        s->centre[j] = (float)(fabs(sums[j]) >= least ? sums[j] : sums[j] < 0 ? -least : least);
}

static dum_status fit(dumi_fitting *f, void **state)
{
    int32_t sizes[DUMI_NET_HIDDEN + 2] = {f->cols}, layers = 1;
    for (int32_t l = 0; l < (int32_t)f->values[LAYERS]; l++)
        sizes[layers++] = (int32_t)f->values[WIDTH];
    sizes[layers] = (int32_t)f->values[OUTPUTS];
    int64_t state_sizes[DUMI_STATE_SIZES] = {[CENTRE] = sizes[layers]};
    dumi_net_describe(state_sizes, layers, sizes);
    sphere *s;
    DUMI_TRY(dumi_net_create(f, &layout, state_sizes, layers, sizes, (void **)&s));
    training user = {f, s,
                     (int32_t)(f->values[BATCH] < (double)f->count ? f->values[BATCH] : (double)f->count)};
    const dumi_net_training t = {.rows = user.rows,
                                 .steps = (int64_t)f->values[EPOCHS] * (f->count / user.rows),
                                 .rate = f->values[RATE],
                                 .decay = f->values[DECAY],
                                 .seed = (uint64_t)f->values[SEED],
                                 .loss = loss,
                                 .user = &user};
    dumi_net_init(&s->net, (uint64_t)f->values[SEED]);
    set_centre(f, s);
    return dumi_net_finish(f, &s->net, dumi_net_train(f, &s->net, &t), state);
}

static double score_row(const void *state, const float *row, float *parts)
{
    (void)parts;
    const sphere *s = state;
    const int32_t outputs = (int32_t)s->net.head.sizes[CENTRE];
    float hidden[DUMI_NET_WIDTH], out[DUMI_NET_WIDTH];
    dumi_net_output(&s->net, dumi_net_hidden(&s->net, row, hidden), 0, outputs, out);
    double sum = 0;
    for (int32_t j = 0; j < outputs; j++) {
        const double off = (double)out[j] - (double)s->centre[j];
        sum += off * off;
    }
    return dumi_net_finite(sum);
}

const dumi_scorer_kind dumi_scorer_deepsvdd = {
    .name = "deepsvdd",
    .params = {"scorer deepsvdd", PARAMS, param},
    .scales = true,
    .fit_rows = fit,
    .layout = &layout,
    .row = score_row,
    .row_cost = 300,
};
