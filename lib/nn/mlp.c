/* SPDX-License-Identifier: MIT */
#include "nn/nn.h"

#include <math.h>

void dumi_mlp_layers(dumi_mlp *mlp, int32_t count, const int32_t *sizes)
{
    memset(mlp, 0, sizeof *mlp);
    mlp->count = count;
    for (int32_t l = 0; l < count; l++) {
        dumi_layer *layer = &mlp->layers[l];
        layer->inputs = sizes[l];
        layer->outputs = sizes[l + 1];
        layer->weights = mlp->parameters;
        layer->bias = layer->weights + (size_t)layer->inputs * (size_t)layer->outputs;
        mlp->parameters = layer->bias + (size_t)layer->outputs;
    }
}

void dumi_mlp_shape(dumi_mlp *mlp, int32_t inputs, int32_t outputs, int32_t hidden, int32_t width)
{
    int32_t sizes[DUMI_MAX_LAYERS + 1];
    for (int32_t l = 0; l <= hidden; l++)
        sizes[l] = l == 0 ? inputs : width;
    sizes[hidden + 1] = outputs;
    dumi_mlp_layers(mlp, hidden + 1, sizes);
}

void dumi_mlp_init(const dumi_mlp *mlp, uint64_t seed, float output_scale, float *parameters)
{
    memset(parameters, 0, mlp->parameters * sizeof *parameters);
    for (int32_t l = 0; l < mlp->count; l++) {
        const dumi_layer *layer = &mlp->layers[l];
        const double scale = sqrt(2.0 / layer->inputs) * (l + 1 == mlp->count ? (double)output_scale : 1);
        dumi_rng rng;
        dumi_rng_init(&rng, seed, DUMI_RNG_WEIGHTS, (uint32_t)l);
        for (size_t i = layer->weights; i < layer->bias; i++)
            parameters[i] = (float)(scale * dumi_rng_normal(&rng));
    }
}

dum_status dumi_activations_create(dum_context *context, const dumi_mlp *mlp, int32_t rows, bool training,
                                   dumi_activations *out)
{
    const dumi_backend *backend = context->backend;
    memset(out, 0, sizeof *out);
    const int32_t hidden = mlp->count - 1;
    size_t width = 0;
    for (int32_t l = 0; l < hidden; l++)
        width = (size_t)mlp->layers[l].outputs > width ? (size_t)mlp->layers[l].outputs : width;
    for (int32_t l = 0; l < hidden; l++) {
        if (!training && l >= 2) {
            out->hidden[l] = out->hidden[l - 2];
            continue;
        }
        out->hidden[l] = backend->alloc(context, (size_t)rows * width);
        if (out->hidden[l] == NULL)
            return dumi_status();
    }
    for (int32_t i = 0; i < hidden && training; i++) {
        out->delta[i] = backend->alloc(context, (size_t)rows * width);
        if (out->delta[i] == NULL)
            return dumi_status();
    }
    out->output = backend->alloc(context, (size_t)rows * (size_t)mlp->layers[hidden].outputs);
    return out->output != NULL ? DUM_OK : dumi_status();
}

void dumi_activations_destroy(dum_context *context, dumi_activations *activations)
{
    const dumi_backend *backend = context->backend;
    for (int32_t l = 0; l < DUMI_MAX_LAYERS - 1; l++) {
        if (l < 2 || activations->hidden[l] != activations->hidden[l - 2])
            backend->free(context, activations->hidden[l]);
        backend->free(context, activations->delta[l]);
    }
    backend->free(context, activations->output);
    memset(activations, 0, sizeof *activations);
}

void dumi_mlp_forward(dumi_stream *stream, const dumi_backend *backend, const dumi_mlp *mlp,
                      const float *parameters, dumi_packed *const *packed, int32_t rows, const float *z,
                      dumi_activations *activations)
{
    const float *input = z;
    for (int32_t l = 0; l < mlp->count; l++) {
        const dumi_layer *layer = &mlp->layers[l];
        const bool last = l + 1 == mlp->count;
        float *output = last ? activations->output : activations->hidden[l];
        backend->gemm(stream, &(dumi_gemm){
                                  .m = rows,
                                  .n = layer->outputs,
                                  .k = layer->inputs,
                                  .a = input,
                                  .a_row = layer->inputs,
                                  .a_col = 1,
                                  .b = parameters + layer->weights,
                                  .b_row = layer->outputs,
                                  .b_col = 1,
                                  .packed = packed != NULL ? packed[l] : NULL,
                                  .precision = mlp->precision,
                                  .c = output,
                                  .c_row = layer->outputs,
                                  .bias = parameters + layer->bias,
                                  .relu = !last,
                              });
        input = output;
    }
}

const float *dumi_mlp_input(const dumi_backprop *b, int32_t layer)
{
    return layer > 0 ? b->activations->hidden[layer - 1] : b->z;
}

const float *dumi_mlp_delta(const dumi_mlp *mlp, const dumi_backprop *b, int32_t layer)
{
    return layer + 1 < mlp->count ? b->activations->delta[layer] : b->d_output;
}

void dumi_mlp_deltas(dumi_stream *stream, const dumi_backend *backend, const dumi_mlp *mlp,
                     const float *parameters, const dumi_backprop *b)
{
    for (int32_t l = mlp->count - 1; l > 0; l--) {
        const dumi_layer *layer = &mlp->layers[l];
        backend->gemm(stream, &(dumi_gemm){
                                  .m = b->rows,
                                  .n = layer->inputs,
                                  .k = layer->outputs,
                                  .a = dumi_mlp_delta(mlp, b, l),
                                  .a_row = layer->outputs,
                                  .a_col = 1,
                                  .b = parameters + layer->weights,
                                  .b_row = 1,
                                  .b_col = layer->outputs,
                                  .precision = mlp->precision,
                                  .c = b->activations->delta[l - 1],
                                  .c_row = layer->inputs,
                                  .mask = dumi_mlp_input(b, l),
                              });
    }
}

void dumi_mlp_weight_gradient(dumi_stream *stream, const dumi_backend *backend, const dumi_mlp *mlp,
                              const dumi_backprop *b, int32_t l, float *gradient, const dumi_update *update)
{
    const dumi_layer *layer = &mlp->layers[l];
    backend->gemm(stream, &(dumi_gemm){
                              .m = layer->inputs,
                              .n = layer->outputs,
                              .k = b->rows,
                              .a = dumi_mlp_input(b, l),
                              .a_row = 1,
                              .a_col = layer->inputs,
                              .b = dumi_mlp_delta(mlp, b, l),
                              .b_row = layer->outputs,
                              .b_col = 1,
                              .precision = mlp->precision,
                              .c = gradient,
                              .c_row = layer->outputs,
                              .update = update,
                          });
}
