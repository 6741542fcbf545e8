/* SPDX-License-Identifier: MIT
 * Optimisers of whole networks, whose gradient is stored. */
#include "nn/network.h"
#include "nn/nn.h"

#include <math.h>

dum_status dumi_steps_create(dum_context *context, dumi_stream *stream, const dumi_network *network,
                             dumi_steps *steps)
{
    const dumi_backend *backend = context->backend;
    steps->gradient = backend->alloc(context, network->parameters);
    steps->first = backend->alloc(context, network->parameters);
    if (steps->gradient == NULL || steps->first == NULL)
        return dumi_status();
    backend->fill(stream, steps->first, 0, network->parameters);
    if (steps->kind != DUMI_STEP_ADAM)
        return DUM_OK;
    steps->second = backend->alloc(context, network->parameters);
    if (steps->second == NULL)
        return dumi_status();
    backend->fill(stream, steps->second, 0, network->parameters);
    return DUM_OK;
}

void dumi_steps_destroy(dum_context *context, dumi_steps *steps)
{
    context->backend->free(context, steps->gradient);
    context->backend->free(context, steps->first);
    context->backend->free(context, steps->second);
    steps->gradient = steps->first = steps->second = NULL;
}

/* You et al. 2017, section 4: the rate of a layer follows the length of its weights beside its gradient's. */
static dum_status trust(dumi_stream *stream, const dumi_backend *backend, const dumi_steps *s, size_t at,
                        size_t count, double scale, double *out)
{
    double weights, gradient;
    DUMI_TRY(backend->dot(stream, count, s->parameters + at, s->parameters + at, &weights));
    DUMI_TRY(backend->dot(stream, count, s->gradient + at, s->gradient + at, &gradient));
    weights = sqrt(weights);
    gradient = sqrt(gradient) * scale + s->decay * weights;
    *out = weights > 0 && gradient > 0 ? 0.001 * weights / gradient : 1;
    return DUM_OK;
}

static void apply(dumi_stream *stream, const dumi_backend *backend, const dumi_steps *s, const dumi_step *step,
                  size_t at, size_t count)
{
    if (s->kind == DUMI_STEP_ADAM)
        backend->adam(stream, count, step, s->gradient + at, s->parameters + at, s->first + at, s->second + at);
    else
        backend->sgd(stream, count, step, s->gradient + at, s->parameters + at, s->first + at);
}

/* LARS puts the rate into the gradient, before momentum gathers it. */
static dum_status apply_weights(dumi_stream *stream, const dumi_backend *backend, const dumi_steps *s,
                                const dumi_step *step, size_t at, size_t count)
{
    dumi_step own = *step;
    own.decay = (float)s->decay;
    if (s->kind == DUMI_STEP_LARS) {
        double ratio;
        DUMI_TRY(trust(stream, backend, s, at, count, (double)step->scale, &ratio));
        own.scale = (float)((double)own.scale * ratio);
        own.decay = (float)((double)own.decay * ratio);
    }
    apply(stream, backend, s, &own, at, count);
    return DUM_OK;
}

dum_status dumi_steps_apply(dumi_stream *stream, const dumi_backend *backend, const dumi_network *n,
                            dumi_steps *s, double rate)
{
    double squares;
    const size_t first = s->first_unit > 0 ? n->unit[s->first_unit].weights : 0;
    DUMI_TRY(backend->dot(stream, n->parameters - first, s->gradient + first, s->gradient + first, &squares));
    DUMI_REQUIRE(isfinite(squares), DUM_ERR_NONFINITE,
                 "training diverged: the gradient is not finite; a smaller rate or a clip may help");
    const double length = sqrt(squares);
    dumi_step step = {.rate = (float)rate,
                      .beta1 = (float)s->momentum,
                      .scale = s->clip > 0 && length > s->clip ? (float)(s->clip / length) : 1};
    s->steps++;
    if (s->kind == DUMI_STEP_ADAM)
        dumi_adam_correction(&step, rate, (double)s->steps);
    for (int32_t i = s->first_unit; i < n->units; i++) {
        const dumi_unit *u = &n->unit[i];
        if (!dumi_unit_has_weights(u))
            continue;
        const size_t outputs = (size_t)u->shape.outputs;
        DUMI_TRY(apply_weights(stream, backend, s, &step, u->weights, dumi_unit_weights(u)));
        apply(stream, backend, s, &step, u->beta, outputs);
        if (u->kind == DUMI_UNIT_CONV)
            apply(stream, backend, s, &step, u->gamma, outputs);
    }
    return DUM_OK;
}
