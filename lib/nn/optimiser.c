/* SPDX-License-Identifier: MIT */
#include "nn/nn.h"

#include <math.h>

dum_status dumi_optimiser_create(dum_context *context, dumi_stream *stream, dumi_optimiser *optimiser)
{
    const dumi_backend *backend = context->backend;
    optimiser->gradient = backend->alloc(context, optimiser->count);
    optimiser->first = backend->alloc(context, optimiser->count);
    if (optimiser->gradient == NULL || optimiser->first == NULL)
        return dumi_status();
    backend->fill(stream, optimiser->gradient, 0, optimiser->count);
    backend->fill(stream, optimiser->first, 0, optimiser->count);
    if (optimiser->kind == DUMI_ADAM) {
        optimiser->second = backend->alloc(context, optimiser->count);
        if (optimiser->second == NULL)
            return dumi_status();
        backend->fill(stream, optimiser->second, 0, optimiser->count);
    }
    return DUM_OK;
}

void dumi_optimiser_destroy(dum_context *context, dumi_optimiser *optimiser)
{
    const dumi_backend *backend = context->backend;
    backend->free(context, optimiser->gradient);
    backend->free(context, optimiser->first);
    backend->free(context, optimiser->second);
    optimiser->gradient = optimiser->first = optimiser->second = NULL;
}

dum_status dumi_optimiser_step(dumi_stream *stream, const dumi_backend *backend, dumi_optimiser *optimiser,
                               double rate)
{
    double squares;
    DUMI_TRY(backend->sum_squares(stream, optimiser->count, optimiser->gradient, &squares));
    DUMI_REQUIRE(isfinite(squares), DUM_ERR_NONFINITE,
                 "training diverged: the gradient is not finite; a smaller rate or a clip may help");
    const double norm = sqrt(squares), clip = optimiser->clip;
    dumi_step step = {
        .rate = (float)rate,
        .beta1 = (float)optimiser->momentum,
        .decay = (float)optimiser->decay,
        .scale = clip > 0 && norm > clip ? (float)(clip / norm) : 1,
    };
    optimiser->steps++;
    if (optimiser->kind == DUMI_SGD) {
        backend->sgd(stream, optimiser->count, &step, optimiser->gradient, optimiser->parameters,
                     optimiser->first);
        return DUM_OK;
    }
    /* Kingma & Ba 2015, section 2: the corrections of both moments, gathered in rate and epsilon. */
    const double beta1 = 0.9, beta2 = 0.999, t = (double)optimiser->steps;
    const double root = sqrt(1 - pow(beta2, t));
    step.beta1 = (float)beta1;
    step.beta2 = (float)beta2;
    step.rate = (float)(rate * root / (1 - pow(beta1, t)));
    step.epsilon = (float)(1e-8 * root);
    backend->adam(stream, optimiser->count, &step, optimiser->gradient, optimiser->parameters, optimiser->first,
                  optimiser->second);
    return DUM_OK;
}
