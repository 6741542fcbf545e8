/* SPDX-License-Identifier: MIT
 * What kinds have in common that train a small network on rows. */
#ifndef DUMI_SCORER_NET_H
#define DUMI_SCORER_NET_H

#include "nn/nn.h"
#include "scorer/rows.h"

enum { DUMI_NET_PARAMETERS = 1, DUMI_NET_SIZES, DUMI_NET_MORE };
/* Hidden units and outputs (of kinds whose outputs are not the columns): rows are scored on the stack. */
enum { DUMI_NET_HIDDEN = 8, DUMI_NET_WIDTH = 1024 };

typedef struct {
    dumi_state head;
    float *parameters; /* of one layer after the other: weights (inputs x outputs), bias */
    int64_t *sizes;    /* inputs, units of the hidden layers, outputs */
    dumi_mlp mlp;
} dumi_net;

#define DUMI_NET_ARRAYS                                                                                        \
    {"net.parameters", DUMI_F32, offsetof(dumi_net, parameters), DUMI_NET_PARAMETERS, DUMI_VECTOR},            \
    {                                                                                                          \
        "net.sizes", DUMI_I64, offsetof(dumi_net, sizes), DUMI_NET_SIZES, DUMI_VECTOR                          \
    }

/* `sizes` of the state becomes that of a net with these layers. */
void dumi_net_describe(int64_t *state_sizes, int32_t layers, const int32_t *sizes);
/* A state with these layers; parameters are not set. */
dum_status dumi_net_create(const dumi_fitting *f, const dumi_layout *layout, const int64_t *state_sizes,
                           int32_t layers, const int32_t *sizes, void **out);
/* Checks sizes (outputs: INT32_MAX at most) and sets head.sizes[DUMI_COLS] and mlp. */
dum_status dumi_net_ready(const double *values, void *state);

typedef struct {
    int32_t rows; /* of a batch */
    int64_t steps;
    double rate, decay; /* of Adam */
    bool biases;
    uint64_t seed;
    /* x (rows x inputs) of a step; NULL: the rows, in epochs, each in its own random order. */
    void (*load)(void *user, int64_t step, float *x);
    /* The loss of a batch, and d_out, its gradient by what the net puts out for x. */
    double (*loss)(void *user, const float *x, const float *out, float *d_out);
    void *user;
} dumi_net_training;

void dumi_net_init(dumi_net *net, uint64_t seed);
/* CANCELLED: the net is trained as far as it got. */
dum_status dumi_net_train(const dumi_fitting *f, dumi_net *net, const dumi_net_training *t);
/* The last act of a fit: what dumi_net_train returned decides whether there is a state. */
dum_status dumi_net_finish(const dumi_fitting *f, void *net, dum_status trained, void **state);

/* What the last hidden layer puts out (`hidden`, DUMI_NET_WIDTH floats, holds it; it is the row where there is none). */
const float *dumi_net_hidden(const dumi_net *net, const float *row, float *hidden);
/* Outputs first .. first + count - 1 from that. */
void dumi_net_output(const dumi_net *net, const float *hidden, int32_t first, int32_t count, float *out);

/* Rows far out of float32's range get the largest score. */
static inline double dumi_net_finite(double score)
{
    return score <= 1e300 ? score : 1e300;
}

#endif
