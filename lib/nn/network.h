/* SPDX-License-Identifier: MIT
 * Networks of encoders: a list of units, each from one tensor to another, written against backend/backend.h.
 * Tensors are rows of pixels of columns, channels last; a plain vector is one pixel. */
#ifndef DUMI_NETWORK_H
#define DUMI_NETWORK_H

#include "backend/backend.h"

enum { DUMI_MAX_UNITS = 96, DUMI_UNIT_NAME = 64, DUMI_MOST_STAGES = 4 };

/* CONV: convolution without bias, batch norm, + another tensor, ReLU. LINEAR: with bias, ReLU. */
enum { DUMI_UNIT_CONV, DUMI_UNIT_LINEAR, DUMI_UNIT_POOL_MAX, DUMI_UNIT_POOL_MEAN };

typedef struct {
    int32_t kind;
    dumi_conv_shape shape;      /* images 0; LINEAR: of 1 x 1 pixels; POOL_MEAN: of the input */
    int32_t input, output, add; /* tensors; add -1: none */
    bool relu;
    size_t weights, gamma, beta;    /* places in the parameters; LINEAR: beta is the bias */
    size_t mean, variance;          /* places in the statistics: of CONV only */
    char name[DUMI_UNIT_NAME];      /* of the weights, as torchvision has it */
    char norm_name[DUMI_UNIT_NAME]; /* of the batch norm */
} dumi_unit;

typedef struct {
    int32_t height, width, cols;
} dumi_tensor_shape;

typedef struct {
    int32_t units, tensors; /* tensor 0 is the input */
    dumi_unit unit[DUMI_MAX_UNITS];
    dumi_tensor_shape tensor[DUMI_MAX_UNITS + 1];
    size_t parameters, statistics;
    /* Tensors that outputs and losses are made of; -1: there is none. */
    int32_t map, features, projection, local, uncertainty, logits, rotation;
    int32_t stages, stage[DUMI_MOST_STAGES]; /* of a residual network: their maps, the last is `map` */
} dumi_network;

/* Batch norm as in torchvision. */
#define DUMI_BATCH_EPSILON 1e-5f
enum { DUMI_STEM_SMALL, DUMI_STEM_LARGE };

/* Residual networks (He et al. 2016): depth 18, 34 and 50 as torchvision's, with `width` columns in the first
 * stage; 6 n + 2 as in their section 4.2. SHAPE where the image is too small for the stem and the stages. */
dum_status dumi_resnet(dumi_network *network, int32_t depth, int32_t stem, int32_t width,
                       dumi_tensor_shape image);
/* Hidden layers of one width, then `outputs` without ReLU. */
void dumi_mlp_network(dumi_network *network, int32_t inputs, int32_t layers, int32_t width, int32_t outputs);
/* One hidden layer with ReLU, as wide as the features, then `outputs`: the projection. */
void dumi_network_project(dumi_network *network, int32_t outputs);
/* One layer from the features; returns its tensor. */
int32_t dumi_network_layer(dumi_network *network, int32_t outputs, const char *name);
/* A projection of each pixel of the map, with batch norm: `local`. */
void dumi_network_project_map(dumi_network *network, int32_t outputs);

/* He et al. 2015; batch norms begin as the identity. */
void dumi_network_init(const dumi_network *network, uint64_t seed, float *parameters, float *statistics);

static inline size_t dumi_network_size(const dumi_network *network, int32_t tensor)
{
    const dumi_tensor_shape *t = &network->tensor[tensor];
    return (size_t)t->height * (size_t)t->width * (size_t)t->cols;
}

/* Of a unit that has them. */
static inline size_t dumi_unit_weights(const dumi_unit *u)
{
    return (size_t)u->shape.kernel * (size_t)u->shape.kernel * (size_t)u->shape.cols * (size_t)u->shape.outputs;
}

/* A tensor that outputs and losses are made of. */
bool dumi_network_given(const dumi_network *network, int32_t tensor);

static inline bool dumi_unit_has_weights(const dumi_unit *u)
{
    return u->kind == DUMI_UNIT_CONV || u->kind == DUMI_UNIT_LINEAR;
}

/* ---- Training: a batch of `images`, and all that its gradient needs ------------------------ */

typedef struct {
    dum_context *context;
    dumi_stream *stream;
    const dumi_network *network;
    int32_t images;
    float *values[DUMI_MAX_UNITS + 1];
    float *before[DUMI_MAX_UNITS]; /* what a convolution puts out */
    float *moments;                /* of the batch, as the statistics lie */
    int32_t slot[DUMI_MAX_UNITS + 1], slots;
    float *gradients[DUMI_MAX_UNITS + 1]; /* by slot */
    bool has[DUMI_MAX_UNITS + 1];         /* the gradient by this tensor is there */
    int32_t first_unit;                   /* those before it are frozen: no gradient goes there */
    bool input;                           /* the gradient by tensor 0 is wanted */
    const float *statistics;              /* of the last forward pass; NULL: the batch's moments */
} dumi_batch_run;

/* Whether it is to run backward, too, and as far as the input. */
enum { DUMI_GRADIENT_NONE, DUMI_GRADIENT_PARAMETERS, DUMI_GRADIENT_INPUT };

/* Fewer images may be run later: `images` of the run may be lowered. */
dum_status dumi_batch_run_create(dum_context *context, dumi_stream *stream, const dumi_network *network,
                                 int32_t images, int32_t gradients, dumi_batch_run *out);
void dumi_batch_run_destroy(dumi_batch_run *run);
/* From values[0]. With `statistics` (device) batch norms use those instead of the batch's moments. */
void dumi_batch_run_forward(dumi_batch_run *run, const float *parameters, const float *statistics);
/* Where the caller puts the gradient by one of the tensors that losses are made of. */
float *dumi_batch_run_gradient(dumi_batch_run *run, int32_t tensor);
/* The gradient by all parameters, from those by tensors that the caller has put in place. Overwrites them. With
 * `gradient` NULL only that by the input, after a forward pass with statistics, is made. */
void dumi_batch_run_backward(dumi_batch_run *run, const float *parameters, float *gradient);

/* ---- Inference: batch norms folded into the weights ---------------------------------------- */

typedef struct {
    dum_context *context;
    dumi_network network;
    float *bias; /* device: of all units, where gamma and beta would lie */
    dumi_packed *packed[DUMI_MAX_UNITS];
} dumi_packed_network;

/* From parameters and statistics on the host. */
dum_status dumi_packed_network_create(dum_context *context, const dumi_network *network,
                                      const float *parameters, const float *statistics,
                                      dumi_packed_network **out);
void dumi_packed_network_destroy(dumi_packed_network *packed);

typedef struct {
    dumi_stream *stream;
    int32_t images, slots;
    int32_t slot[DUMI_MAX_UNITS + 1];
    float *values[DUMI_MAX_UNITS + 1]; /* by slot */
} dumi_inference;

/* Up to `images` at a time. */
dum_status dumi_inference_create(const dumi_packed_network *packed, int32_t threads, int32_t images,
                                 dumi_inference *out);
void dumi_inference_destroy(dum_context *context, dumi_inference *inference);
/* The caller puts its rows into the input, and finds the output there, and what losses are made of before it. */
float *dumi_inference_value(const dumi_inference *inference, int32_t tensor);
/* Makes the tensors after `from`, which is there, up to `output`. */
void dumi_inference_run(const dumi_packed_network *packed, const dumi_inference *inference, int32_t images,
                        int32_t from, int32_t output);
/* A tensor that a convolution makes, as it is before what is added and ReLU. */
void dumi_inference_run_bare(const dumi_packed_network *packed, const dumi_inference *inference, int32_t images,
                             int32_t tensor);

/* ---- Steps -------------------------------------------------------------------------------- */

enum { DUMI_STEP_SGD, DUMI_STEP_ADAM, DUMI_STEP_LARS };

/* SGD with momentum, Adam (Kingma & Ba 2015), LARS (You et al. 2017). Weight decay, and LARS's own rate for
 * each layer, are for the weights of convolutions and layers alone. */
typedef struct {
    int32_t kind;
    double momentum, decay, clip;
    float *parameters, *gradient, *first, *second; /* device; second: Adam only */
    int64_t steps;
    int32_t first_unit; /* those before it stay as they are */
} dumi_steps;

dum_status dumi_steps_create(dum_context *context, dumi_stream *stream, const dumi_network *network,
                             dumi_steps *steps);
void dumi_steps_destroy(dum_context *context, dumi_steps *steps);
/* NONFINITE where the gradient is not finite. */
dum_status dumi_steps_apply(dumi_stream *stream, const dumi_backend *backend, const dumi_network *network,
                            dumi_steps *steps, double rate);

#endif
