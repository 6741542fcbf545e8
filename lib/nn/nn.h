/* SPDX-License-Identifier: MIT
 * Multi-layer perceptrons and their optimisers, written against backend/backend.h. */
#ifndef DUMI_NN_H
#define DUMI_NN_H

#include "backend/backend.h"

enum { DUMI_MAX_LAYERS = 17 };

/* Weights (inputs x outputs) and bias of a layer, as offsets into the flat vector of parameters. */
typedef struct {
    int32_t inputs, outputs;
    size_t weights, bias;
} dumi_layer;

typedef struct {
    int32_t count; /* hidden layers + 1 */
    dumi_layer layers[DUMI_MAX_LAYERS];
    size_t parameters;
} dumi_mlp;

void dumi_mlp_shape(dumi_mlp *mlp, int32_t inputs, int32_t outputs, int32_t hidden, int32_t width);

/* He initialisation (He et al. 2015) of the hidden layers; the output layer is `output_scale` times
 * that; biases are 0. Writes mlp->parameters floats on the host. */
void dumi_mlp_init(const dumi_mlp *mlp, uint64_t seed, float output_scale, float *parameters);

/* Activations of up to `rows` rows: what the hidden layers put out, one buffer a layer (training), or
 * two that take turns (prediction). */
typedef struct {
    float *hidden[DUMI_MAX_LAYERS - 1];
    float *output;
    float *delta[2]; /* gradients by two neighbouring hidden layers; training only */
} dumi_activations;

dum_status dumi_activations_create(dum_context *context, const dumi_mlp *mlp, int32_t rows, bool training,
                                   dumi_activations *out);
void dumi_activations_destroy(dum_context *context, dumi_activations *activations);

/* output = mlp(z). With `packed` (one a layer) the weights come from there. */
void dumi_mlp_forward(dumi_stream *stream, const dumi_backend *backend, const dumi_mlp *mlp,
                      const float *parameters, dumi_packed *const *packed, int32_t rows, const float *z,
                      dumi_activations *activations);

/* The gradient by all parameters from that by the output (back-propagation). */
void dumi_mlp_backward(dumi_stream *stream, const dumi_backend *backend, const dumi_mlp *mlp,
                       const float *parameters, int32_t rows, const float *z,
                       const dumi_activations *activations, const float *d_output, float *gradient);

enum { DUMI_ADAM = 0, DUMI_SGD = 1 };

/* The flat vector of parameters, its gradient, and the optimiser's moments. */
typedef struct {
    int32_t kind;
    double momentum, decay, clip; /* clip 0: none */
    size_t count;
    float *parameters, *gradient, *first, *second;
    int64_t steps;
} dumi_optimiser;

/* first and second come from the backend, cleared. */
dum_status dumi_optimiser_create(dum_context *context, dumi_stream *stream, dumi_optimiser *optimiser);
void dumi_optimiser_destroy(dum_context *context, dumi_optimiser *optimiser);

/* One step against the gradient, clipped to the norm `clip` first. NONFINITE if its norm is not finite. */
dum_status dumi_optimiser_step(dumi_stream *stream, const dumi_backend *backend, dumi_optimiser *optimiser,
                               double rate);

#endif
