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
    int32_t precision; /* of the products in training: DUMI_FLOAT32 or DUMI_BFLOAT16 */
} dumi_mlp;

/* `count` layers from sizes[0] inputs on; or `hidden` of one width. */
void dumi_mlp_layers(dumi_mlp *mlp, int32_t count, const int32_t *sizes);
void dumi_mlp_shape(dumi_mlp *mlp, int32_t inputs, int32_t outputs, int32_t hidden, int32_t width);

/* He initialisation (He et al. 2015) of the hidden layers; the output layer is `output_scale` times
 * that; biases are 0. Writes mlp->parameters floats on the host. */
void dumi_mlp_init(const dumi_mlp *mlp, uint64_t seed, float output_scale, float *parameters);

/* Activations of up to `rows` rows: what the hidden layers put out, one buffer a layer (training), or
 * two that take turns (prediction). */
typedef struct {
    float *hidden[DUMI_MAX_LAYERS - 1];
    float *output;
    float *delta[DUMI_MAX_LAYERS - 1]; /* gradients by what the hidden layers put out; training only */
} dumi_activations;

dum_status dumi_activations_create(dum_context *context, const dumi_mlp *mlp, int32_t rows, bool training,
                                   dumi_activations *out);
void dumi_activations_destroy(dum_context *context, dumi_activations *activations);

/* output = mlp(z). With `packed` (one a layer) the weights come from there. */
void dumi_mlp_forward(dumi_stream *stream, const dumi_backend *backend, const dumi_mlp *mlp,
                      const float *parameters, dumi_packed *const *packed, int32_t rows, const float *z,
                      dumi_activations *activations);

/* What the gradient by the parameters is made from. */
typedef struct {
    int32_t rows;
    const float *z;
    const dumi_activations *activations;
    const float *d_output;
} dumi_backprop;

/* The gradients by what the layers put out, from that by the output. */
void dumi_mlp_deltas(dumi_stream *stream, const dumi_backend *backend, const dumi_mlp *mlp,
                     const float *parameters, const dumi_backprop *b);
/* The gradient by the weights of one layer: goes to `gradient`, or with `update` into the weights. */
void dumi_mlp_weight_gradient(dumi_stream *stream, const dumi_backend *backend, const dumi_mlp *mlp,
                              const dumi_backprop *b, int32_t layer, float *gradient,
                              const dumi_update *update);
/* What layer `layer` takes in, and the gradient by what it puts out. */
const float *dumi_mlp_input(const dumi_backprop *b, int32_t layer);
const float *dumi_mlp_delta(const dumi_mlp *mlp, const dumi_backprop *b, int32_t layer);

enum { DUMI_ADAM = 0, DUMI_SGD = 1 };

/* The flat vector of parameters (those of an mlp, and `extra` more), its gradient, and the moments. */
typedef struct {
    int32_t kind;
    double momentum, decay, clip; /* clip 0: none */
    const dumi_mlp *mlp;
    int32_t extra;
    bool whole; /* the gradient is stored as one vector, whatever its size */
    bool fused; /* no gradient by the weights is ever stored: each goes into its weights as it is computed */
    float *parameters, *gradient, *first, *second;
    float *grams; /* fused: for the length of that gradient */
    int64_t steps;
} dumi_optimiser;

/* Gradient and moments come from the backend; the moments are 0. `rows` is the size of a batch. */
dum_status dumi_optimiser_create(dum_context *context, dumi_stream *stream, int32_t rows,
                                 dumi_optimiser *optimiser);
void dumi_optimiser_destroy(dum_context *context, dumi_optimiser *optimiser);

/* Where the gradient by the bias of a layer goes; layer mlp->count: the extra parameters. */
float *dumi_optimiser_bias(const dumi_optimiser *optimiser, int32_t layer);

/* The gradients by the weights, where they are stored. Those by the biases and the extra parameters are there. */
void dumi_optimiser_gradient(dumi_stream *stream, const dumi_backend *backend, const dumi_optimiser *optimiser,
                             const dumi_backprop *b);
/* One step by that gradient, or by what is made here where it is not stored. Clips to the norm `clip` first.
 * NONFINITE if the norm is not finite. */
dum_status dumi_optimiser_step(dumi_stream *stream, const dumi_backend *backend, dumi_optimiser *optimiser,
                               const dumi_backprop *b, double rate);

/* Betas, rate and epsilon of Adam's step t. */
void dumi_adam_correction(dumi_step *step, double rate, double t);

#endif
