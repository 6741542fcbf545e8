/* SPDX-License-Identifier: MIT
 * Kind "autoencoder" (Hawkins et al. 2002; Sakurada & Yairi 2014): how badly a network with a narrow waist, trained to give back
 * the training rows, gives a row back. */
#include "scorer/net.h"

#include <math.h>
#include <stddef.h>

enum { HIDDEN = DUMI_SCALED_PARAMS, EPOCHS = HIDDEN + DUMI_NET_HIDDEN, BATCH, RATE, SEED, PARAMS };

#define HIDDEN_PARAM(name, units)                                                                              \
    {                                                                                                          \
        name, units, 0, DUMI_NET_WIDTH, NULL, NULL, true, "units of this hidden layer; 0: there is none"       \
    }

static const dumi_param own[] = {
    HIDDEN_PARAM("hidden1", 16),
    HIDDEN_PARAM("hidden2", 8),
    HIDDEN_PARAM("hidden3", 8),
    HIDDEN_PARAM("hidden4", 16),
    HIDDEN_PARAM("hidden5", 0),
    HIDDEN_PARAM("hidden6", 0),
    HIDDEN_PARAM("hidden7", 0),
    HIDDEN_PARAM("hidden8", 0),
    {"epochs", 100, 1, 1e6, NULL, NULL, true, "passes over the rows"},
    {"batch", 128, 1, 65536, NULL, NULL, true, "rows of a step, or all where there are fewer"},
    {"rate", 0.001, 1e-9, 10, NULL, NULL, false, "of Adam"},
    {"seed", 0, 0, 9007199254740992.0, NULL, NULL, true, "of all random numbers"},
};

static const dumi_param *param(int32_t index)
{
    return index == DUMI_SCORER_HOLDOUT   ? &dumi_scorer_holdout
           : index == DUMI_SCORER_SCALING ? &dumi_scorer_scaling_minmax
                                          : &own[index - HIDDEN];
}

static dum_status ready(const double *values, void *state)
{
    DUMI_TRY(dumi_net_ready(values, state));
    const dumi_net *net = state;
    const int64_t outputs = net->sizes[net->head.sizes[DUMI_NET_SIZES] - 1];
    DUMI_REQUIRE(outputs == net->sizes[0], DUM_ERR_FORMAT, "tensor net.sizes: %lld columns become %lld",
                 (long long)net->sizes[0], (long long)outputs);
    return DUM_OK;
}

static const dumi_array arrays[] = {DUMI_NET_ARRAYS};
static const dumi_layout layout = {.bytes = sizeof(dumi_net), .count = 2, .arrays = arrays, .ready = ready};

typedef struct {
    const dumi_fitting *f;
    int32_t rows;
} training;

/* The mean square of what differs. */
static double loss(void *user, const float *x, const float *out, float *d_out)
{
    const training *t = user;
    const size_t count = (size_t)t->rows * (size_t)t->f->cols;
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        const double off = (double)out[i] - (double)x[i];
        sum += off * off;
        d_out[i] = (float)(2 * off / (double)count);
    }
    return sum / (double)count;
}

static dum_status fit(dumi_fitting *f, void **state)
{
    int32_t sizes[DUMI_NET_HIDDEN + 2] = {f->cols}, layers = 1;
    for (int32_t l = 0; l < DUMI_NET_HIDDEN; l++)
        if (f->values[HIDDEN + l] > 0)
            sizes[layers++] = (int32_t)f->values[HIDDEN + l];
    sizes[layers] = f->cols;
    int64_t state_sizes[DUMI_STATE_SIZES] = {0};
    dumi_net_describe(state_sizes, layers, sizes);
    dumi_net *net;
    DUMI_TRY(dumi_net_create(f, &layout, state_sizes, layers, sizes, (void **)&net));
    training user = {f, (int32_t)(f->values[BATCH] < (double)f->count ? f->values[BATCH] : (double)f->count)};
    const dumi_net_training t = {.rows = user.rows,
                                 .steps = (int64_t)f->values[EPOCHS] * (f->count / user.rows),
                                 .rate = f->values[RATE],
                                 .biases = true,
                                 .seed = (uint64_t)f->values[SEED],
                                 .loss = loss,
                                 .user = &user};
    dumi_net_init(net, (uint64_t)f->values[SEED]);
    return dumi_net_finish(f, net, dumi_net_train(f, net, &t), state);
}

/* The length of what is left of the row: as PyOD has it. */
static double score_row(const void *state, const float *row, float *parts)
{
    enum { CHUNK = 256 };
    const dumi_net *net = state;
    const int32_t cols = (int32_t)net->head.sizes[DUMI_COLS];
    float hidden[DUMI_NET_WIDTH], out[CHUNK];
    const float *last = dumi_net_hidden(net, row, hidden);
    double sum = 0;
    for (int32_t first = 0; first < cols; first += CHUNK) {
        const int32_t count = cols - first < CHUNK ? cols - first : CHUNK;
        dumi_net_output(net, last, first, count, out);
        for (int32_t j = 0; j < count; j++) {
            const double off = (double)row[first + j] - (double)out[j];
            sum += off * off;
            if (parts != NULL)
                parts[first + j] = (float)fmin(off * off, 1e37);
        }
    }
    return dumi_net_finite(sqrt(sum));
}

const dumi_scorer_kind dumi_scorer_autoencoder = {
    .name = "autoencoder",
    .params = {"scorer autoencoder", PARAMS, param},
    .scales = true,
    .fit_rows = fit,
    .layout = &layout,
    .row = score_row,
    .row_cost = 100,
    .row_explains = true,
};
