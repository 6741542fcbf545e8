/* SPDX-License-Identifier: MIT
 * Small networks: the gradient is stored, measured, and applied. Wide ones (fused): memory holds the weights
 * and their moments only. The length of the gradient, which clipping needs beforehand, then comes from the
 * batch: for a layer X'D it is the sum over pairs of rows of (XX')(DD') (Goodfellow 2015, "Efficient
 * per-example gradient computations", where the pairs are equal). */
#include "nn/nn.h"

#include <math.h>

enum { GRAM_ROWS = 128 };

static size_t largest_layer(const dumi_mlp *mlp)
{
    size_t most = 0;
    for (int32_t l = 0; l < mlp->count; l++) {
        const size_t size = mlp->layers[l].bias - mlp->layers[l].weights;
        most = size > most ? size : most;
    }
    return most;
}

/* Where the products for the length cost little beside the gradient itself. */
static bool is_wide(const dumi_mlp *mlp, int32_t rows)
{
    double edges = 0;
    for (int32_t l = 0; l < mlp->count; l++)
        edges += mlp->layers[l].inputs + mlp->layers[l].outputs;
    return (double)mlp->parameters >= 4.0 * rows * edges;
}

static size_t small_offset(const dumi_optimiser *optimiser, int32_t layer)
{
    size_t offset = largest_layer(optimiser->mlp);
    for (int32_t l = 0; l < layer; l++)
        offset += (size_t)optimiser->mlp->layers[l].outputs;
    return offset;
}

float *dumi_optimiser_bias(const dumi_optimiser *optimiser, int32_t layer)
{
    const dumi_mlp *mlp = optimiser->mlp;
    if (optimiser->fused)
        return optimiser->gradient + small_offset(optimiser, layer);
    return optimiser->gradient + (layer < mlp->count ? mlp->layers[layer].bias : mlp->parameters);
}

dum_status dumi_optimiser_create(dum_context *context, dumi_stream *stream, int32_t rows,
                                 dumi_optimiser *optimiser)
{
    const dumi_backend *backend = context->backend;
    const dumi_mlp *mlp = optimiser->mlp;
    const size_t count = mlp->parameters + (size_t)optimiser->extra;
    optimiser->fused = !optimiser->whole && is_wide(mlp, rows);
    const size_t kept =
        optimiser->fused ? small_offset(optimiser, mlp->count) + (size_t)optimiser->extra : count;
    optimiser->gradient = backend->alloc(context, kept);
    optimiser->first = backend->alloc(context, count);
    if (optimiser->gradient == NULL || optimiser->first == NULL)
        return dumi_status();
    backend->fill(stream, optimiser->first, 0, count);
    if (optimiser->kind == DUMI_ADAM) {
        optimiser->second = backend->alloc(context, count);
        if (optimiser->second == NULL)
            return dumi_status();
        backend->fill(stream, optimiser->second, 0, count);
    }
    if (optimiser->fused && optimiser->clip > 0) {
        optimiser->grams = backend->alloc(context, (size_t)rows * (size_t)rows * 2);
        if (optimiser->grams == NULL)
            return dumi_status();
    }
    return DUM_OK;
}

void dumi_optimiser_destroy(dum_context *context, dumi_optimiser *optimiser)
{
    const dumi_backend *backend = context->backend;
    backend->free(context, optimiser->gradient);
    backend->free(context, optimiser->first);
    backend->free(context, optimiser->second);
    backend->free(context, optimiser->grams);
    optimiser->gradient = optimiser->first = optimiser->second = optimiser->grams = NULL;
}

/* Rows first .. first + m of x by rows second .. second + n of it. */
static void gram(dumi_stream *stream, const dumi_backend *backend, const float *x, int32_t cols, int32_t first,
                 int32_t m, int32_t second, int32_t n, float *out)
{
    backend->gemm(stream, &(dumi_gemm){
                              .m = m,
                              .n = n,
                              .k = cols,
                              .a = x + (int64_t)first * cols,
                              .a_row = cols,
                              .a_col = 1,
                              .b = x + (int64_t)second * cols,
                              .b_row = 1,
                              .b_col = cols,
                              .c = out,
                              .c_row = n,
                          });
}

/* |X'D|^2. The pairs above the blocks of the diagonal stand for those below. */
static dum_status squared_length(dumi_stream *stream, const dumi_backend *backend,
                                 const dumi_optimiser *optimiser, const dumi_backprop *b, int32_t l,
                                 double *out)
{
    const float *x = dumi_mlp_input(b, l), *d = dumi_mlp_delta(optimiser->mlp, b, l);
    const int32_t inputs = optimiser->mlp->layers[l].inputs, outputs = optimiser->mlp->layers[l].outputs;
    float *xx = optimiser->grams, *dd = optimiser->grams + (size_t)b->rows * (size_t)b->rows;
    *out = 0;
    for (int32_t row = 0; row < b->rows; row += GRAM_ROWS) {
        const int32_t m = b->rows - row < GRAM_ROWS ? b->rows - row : GRAM_ROWS, n = b->rows - row;
        double all, square;
        gram(stream, backend, x, inputs, row, m, row, m, xx);
        gram(stream, backend, d, outputs, row, m, row, m, dd);
        DUMI_TRY(backend->dot(stream, (size_t)m * (size_t)m, xx, dd, &square));
        *out += square;
        if (n == m)
            break;
        gram(stream, backend, x, inputs, row, m, row + m, n - m, xx);
        gram(stream, backend, d, outputs, row, m, row + m, n - m, dd);
        DUMI_TRY(backend->dot(stream, (size_t)m * (size_t)(n - m), xx, dd, &all));
        *out += 2 * all;
    }
    return DUM_OK;
}

static dum_status gradient_squares(dumi_stream *stream, const dumi_backend *backend,
                                   const dumi_optimiser *optimiser, const dumi_backprop *b, double *squares)
{
    const dumi_mlp *mlp = optimiser->mlp;
    if (!optimiser->fused)
        return backend->dot(stream, mlp->parameters + (size_t)optimiser->extra, optimiser->gradient,
                            optimiser->gradient, squares);
    const float *small = dumi_optimiser_bias(optimiser, 0);
    const size_t count =
        small_offset(optimiser, mlp->count) - small_offset(optimiser, 0) + (size_t)optimiser->extra;
    DUMI_TRY(backend->dot(stream, count, small, small, squares));
    for (int32_t l = 0; l < mlp->count && optimiser->clip > 0; l++) {
        double layer;
        DUMI_TRY(squared_length(stream, backend, optimiser, b, l, &layer));
        *squares += layer;
    }
    return DUM_OK;
}

/* Kingma & Ba 2015, section 2: the corrections of both moments, gathered in rate and epsilon. */
void dumi_adam_correction(dumi_step *step, double rate, double t)
{
    const double beta1 = 0.9, beta2 = 0.999, root = sqrt(1 - pow(beta2, t));
    step->beta1 = (float)beta1;
    step->beta2 = (float)beta2;
    step->rate = (float)(rate * root / (1 - pow(beta1, t)));
    step->epsilon = (float)(1e-8 * root);
}

static void apply(dumi_stream *stream, const dumi_backend *backend, const dumi_optimiser *optimiser,
                  const dumi_step *step, size_t at, size_t count, const float *gradient)
{
    float *weights = optimiser->parameters + at, *first = optimiser->first + at;
    if (optimiser->kind == DUMI_SGD)
        backend->sgd(stream, count, step, gradient, weights, first);
    else
        backend->adam(stream, count, step, gradient, weights, first, optimiser->second + at);
}

static void apply_fused(dumi_stream *stream, const dumi_backend *backend, const dumi_optimiser *optimiser,
                        const dumi_backprop *b, const dumi_step *step)
{
    const dumi_mlp *mlp = optimiser->mlp;
    for (int32_t l = 0; l < mlp->count; l++) {
        const dumi_layer *layer = &mlp->layers[l];
        const dumi_update update = {step, optimiser->parameters + layer->weights,
                                    optimiser->first + layer->weights,
                                    optimiser->second != NULL ? optimiser->second + layer->weights : NULL};
        dumi_mlp_weight_gradient(stream, backend, mlp, b, l, optimiser->gradient, &update);
        apply(stream, backend, optimiser, step, layer->bias, (size_t)layer->outputs,
              dumi_optimiser_bias(optimiser, l));
    }
    apply(stream, backend, optimiser, step, mlp->parameters, (size_t)optimiser->extra,
          dumi_optimiser_bias(optimiser, mlp->count));
}

void dumi_optimiser_gradient(dumi_stream *stream, const dumi_backend *backend, const dumi_optimiser *optimiser,
                             const dumi_backprop *b)
{
    const dumi_mlp *mlp = optimiser->mlp;
    for (int32_t l = 0; l < mlp->count && !optimiser->fused; l++)
        dumi_mlp_weight_gradient(stream, backend, mlp, b, l, optimiser->gradient + mlp->layers[l].weights,
                                 NULL);
}

dum_status dumi_optimiser_step(dumi_stream *stream, const dumi_backend *backend, dumi_optimiser *optimiser,
                               const dumi_backprop *b, double rate)
{
    double squares;
    DUMI_TRY(gradient_squares(stream, backend, optimiser, b, &squares));
    DUMI_REQUIRE(isfinite(squares), DUM_ERR_NONFINITE,
                 "training diverged: the gradient is not finite; a smaller rate or a clip may help");
    const double norm = sqrt(fmax(squares, 0)), clip = optimiser->clip;
    dumi_step step = {
        .rate = (float)rate,
        .beta1 = (float)optimiser->momentum,
        .decay = (float)optimiser->decay,
        .scale = clip > 0 && norm > clip ? (float)(clip / norm) : 1,
    };
    optimiser->steps++;
    if (optimiser->kind == DUMI_ADAM)
        dumi_adam_correction(&step, rate, (double)optimiser->steps);
    if (optimiser->fused)
        apply_fused(stream, backend, optimiser, b, &step);
    else
        apply(stream, backend, optimiser, &step, 0, optimiser->mlp->parameters + (size_t)optimiser->extra,
              optimiser->gradient);
    return DUM_OK;
}
