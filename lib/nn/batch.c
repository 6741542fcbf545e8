/* SPDX-License-Identifier: MIT
 * A network on a batch in training: forward, and the gradient. */
#include "nn/network.h"

static const dumi_backend *backend_of(const dumi_batch_run *run)
{
    return run->context->backend;
}

static size_t rows_of(const dumi_batch_run *run, int32_t tensor)
{
    const dumi_tensor_shape *t = &run->network->tensor[tensor];
    return (size_t)run->images * (size_t)t->height * (size_t)t->width;
}

static dumi_conv_shape shape_of(const dumi_unit *unit, int32_t images)
{
    dumi_conv_shape shape = unit->shape;
    shape.images = images;
    return shape;
}

/* ---- Which gradients live at once ---------------------------------------------------------- */

typedef struct {
    bool taken[DUMI_MAX_UNITS + 1];
    size_t size[DUMI_MAX_UNITS + 1];
} slot_plan;

static void take_slot(dumi_batch_run *run, slot_plan *plan, int32_t tensor)
{
    if (tensor < (run->input ? 0 : 1) || run->slot[tensor] >= 0)
        return;
    int32_t slot = 0;
    while (plan->taken[slot])
        slot++;
    plan->taken[slot] = true;
    run->slot[tensor] = slot;
    run->slots = slot + 1 > run->slots ? slot + 1 : run->slots;
    const size_t size = dumi_network_size(run->network, tensor);
    plan->size[slot] = size > plan->size[slot] ? size : plan->size[slot];
}

/* From the last unit to the first: a gradient lives from the unit that makes it to the one whose output it is
 * of. */
static dum_status allocate_gradients(dumi_batch_run *run)
{
    const dumi_network *n = run->network;
    slot_plan plan = {0};
    for (int32_t t = 0; t < n->tensors; t++)
        run->slot[t] = -1;
    for (int32_t t = 0; t < n->tensors; t++)
        if (dumi_network_given(n, t))
            take_slot(run, &plan, t);
    for (int32_t i = n->units - 1; i >= 0; i--) {
        const dumi_unit *u = &n->unit[i];
        take_slot(run, &plan, u->add);
        take_slot(run, &plan, u->input);
        if (run->slot[u->output] >= 0)
            plan.taken[run->slot[u->output]] = false;
    }
    for (int32_t slot = 0; slot < run->slots; slot++) {
        run->gradients[slot] =
            run->context->backend->alloc(run->context, plan.size[slot] * (size_t)run->images);
        if (run->gradients[slot] == NULL)
            return dumi_status();
    }
    return DUM_OK;
}

dum_status dumi_batch_run_create(dum_context *context, dumi_stream *stream, const dumi_network *network,
                                 int32_t images, int32_t gradients, dumi_batch_run *run)
{
    *run = (dumi_batch_run){.context = context,
                            .stream = stream,
                            .network = network,
                            .images = images,
                            .input = gradients == DUMI_GRADIENT_INPUT};
    const dumi_backend *backend = context->backend;
    for (int32_t t = 0; t < network->tensors; t++) {
        run->values[t] = backend->alloc(context, dumi_network_size(network, t) * (size_t)images);
        if (run->values[t] == NULL)
            return dumi_status();
    }
    for (int32_t i = 0; i < network->units; i++) {
        const dumi_unit *u = &network->unit[i];
        if (u->kind != DUMI_UNIT_CONV)
            continue;
        const dumi_conv_shape shape = shape_of(u, images);
        DUMI_TRY(backend->conv_reserve(stream, &shape));
        run->before[i] = backend->alloc(context, dumi_network_size(network, u->output) * (size_t)images);
        if (run->before[i] == NULL)
            return dumi_status();
    }
    run->moments = backend->alloc(context, network->statistics);
    if (run->moments == NULL)
        return dumi_status();
    return gradients != DUMI_GRADIENT_NONE ? allocate_gradients(run) : DUM_OK;
}

void dumi_batch_run_destroy(dumi_batch_run *run)
{
    if (run->context == NULL)
        return;
    for (int32_t i = 0; i <= DUMI_MAX_UNITS; i++) {
        backend_of(run)->free(run->context, run->values[i]);
        backend_of(run)->free(run->context, run->gradients[i]);
        if (i < DUMI_MAX_UNITS)
            backend_of(run)->free(run->context, run->before[i]);
    }
    backend_of(run)->free(run->context, run->moments);
    memset(run, 0, sizeof *run);
}

/* ---- Forward ------------------------------------------------------------------------------ */

static dumi_batch_norm norm_of(const dumi_batch_run *run, const dumi_unit *u, const float *parameters,
                               const float *statistics)
{
    return (dumi_batch_norm){.rows = (int32_t)rows_of(run, u->output),
                             .cols = u->shape.outputs,
                             .epsilon = DUMI_BATCH_EPSILON,
                             .gamma = parameters + u->gamma,
                             .beta = parameters + u->beta,
                             .mean = statistics + u->mean,
                             .variance = statistics + u->variance,
                             .constant = run->statistics != NULL};
}

static void forward_conv(dumi_batch_run *run, int32_t index, const float *parameters, const float *statistics)
{
    const dumi_backend *backend = backend_of(run);
    const dumi_unit *u = &run->network->unit[index];
    const dumi_conv conv = {.shape = shape_of(u, run->images), .weights = parameters + u->weights};
    float *x = run->before[index];
    backend->conv(run->stream, &conv, run->values[u->input], x);
    if (statistics == NULL)
        backend->batch_moments(run->stream, (int32_t)rows_of(run, u->output), u->shape.outputs, x,
                               run->moments + u->mean, run->moments + u->variance);
    const dumi_batch_norm norm = norm_of(run, u, parameters, statistics != NULL ? statistics : run->moments);
    backend->batch_norm(run->stream, &norm, x, u->add >= 0 ? run->values[u->add] : NULL, u->relu,
                        run->values[u->output]);
}

static void forward_linear(const dumi_batch_run *run, const dumi_unit *u, const float *parameters)
{
    const int32_t inputs = u->shape.cols, outputs = u->shape.outputs;
    backend_of(run)->gemm(run->stream, &(dumi_gemm){.m = run->images,
                                                    .n = outputs,
                                                    .k = inputs,
                                                    .a = run->values[u->input],
                                                    .a_row = inputs,
                                                    .a_col = 1,
                                                    .b = parameters + u->weights,
                                                    .b_row = outputs,
                                                    .b_col = 1,
                                                    .c = run->values[u->output],
                                                    .c_row = outputs,
                                                    .bias = parameters + u->beta,
                                                    .relu = u->relu});
}

void dumi_batch_run_forward(dumi_batch_run *run, const float *parameters, const float *statistics)
{
    const dumi_backend *backend = backend_of(run);
    run->statistics = statistics;
    for (int32_t i = 0; i < run->network->units; i++) {
        const dumi_unit *u = &run->network->unit[i];
        const dumi_conv_shape shape = shape_of(u, run->images);
        const float *input = run->values[u->input];
        float *output = run->values[u->output];
        if (u->kind == DUMI_UNIT_CONV)
            forward_conv(run, i, parameters, statistics);
        else if (u->kind == DUMI_UNIT_LINEAR)
            forward_linear(run, u, parameters);
        else if (u->kind == DUMI_UNIT_POOL_MAX)
            backend->pool_max(run->stream, &shape, input, output);
        else
            backend->pool_mean(run->stream, run->images, shape.height * shape.width, shape.cols, input, output);
    }
    memset(run->has, 0, sizeof run->has);
}

/* ---- Backward ----------------------------------------------------------------------------- */

float *dumi_batch_run_gradient(dumi_batch_run *run, int32_t tensor)
{
    run->has[tensor] = true;
    return run->gradients[run->slot[tensor]];
}

/* The gradient by a tensor, to be written or, where `more` comes out true, added to; NULL for the input of the
 * network where that is not wanted. */
static float *gradient_of(dumi_batch_run *run, int32_t tensor, bool *more)
{
    if (tensor == 0 ? !run->input : tensor <= run->first_unit)
        return NULL; /* unit i makes tensor i + 1 */
    *more = run->has[tensor];
    return dumi_batch_run_gradient(run, tensor);
}

static void backward_conv(dumi_batch_run *run, int32_t index, const float *parameters, float *gradient)
{
    const dumi_backend *backend = backend_of(run);
    const dumi_unit *u = &run->network->unit[index];
    const dumi_batch_norm norm =
        norm_of(run, u, parameters, run->statistics != NULL ? run->statistics : run->moments);
    const dumi_conv_shape shape = shape_of(u, run->images);
    float *d = run->gradients[run->slot[u->output]];
    bool more = false;
    float *d_add = u->add >= 0 ? gradient_of(run, u->add, &more) : NULL;
    /* With statistics there are no moments: their place takes what is not wanted. */
    backend->batch_norm_backward(run->stream, &norm, run->before[index],
                                 u->relu ? run->values[u->output] : NULL, d, d_add, more,
                                 gradient != NULL ? gradient + u->gamma : run->moments + u->mean,
                                 gradient != NULL ? gradient + u->beta : run->moments + u->variance);
    if (gradient != NULL)
        backend->conv_weights(run->stream, &shape, run->values[u->input], d, gradient + u->weights);
    float *d_x = gradient_of(run, u->input, &more);
    if (d_x != NULL)
        backend->conv_input(run->stream, &shape, parameters + u->weights, d, more, d_x);
}

static void linear_weights(const dumi_batch_run *run, const dumi_unit *u, float *gradient)
{
    const dumi_backend *backend = backend_of(run);
    const int32_t inputs = u->shape.cols, outputs = u->shape.outputs;
    const float *d = run->gradients[run->slot[u->output]], *x = run->values[u->input];
    backend->colsum(run->stream, run->images, outputs, d, gradient + u->beta);
    backend->gemm(run->stream, &(dumi_gemm){.m = inputs,
                                            .n = outputs,
                                            .k = run->images,
                                            .a = x,
                                            .a_row = 1,
                                            .a_col = inputs,
                                            .b = d,
                                            .b_row = outputs,
                                            .b_col = 1,
                                            .c = gradient + u->weights,
                                            .c_row = outputs});
}

/* The mask of a layer's ReLU is applied where the gradient by its output is made: by the layer after it. */
static void backward_linear(dumi_batch_run *run, const dumi_unit *u, const float *parameters, float *gradient)
{
    const dumi_backend *backend = backend_of(run);
    const int32_t inputs = u->shape.cols, outputs = u->shape.outputs;
    const float *d = run->gradients[run->slot[u->output]], *x = run->values[u->input];
    if (gradient != NULL)
        linear_weights(run, u, gradient);
    bool more = false;
    float *d_x = gradient_of(run, u->input, &more);
    if (d_x == NULL)
        return;
    const dumi_unit *before = u->input > 0 ? &run->network->unit[u->input - 1] : NULL;
    backend->gemm(
        run->stream,
        &(dumi_gemm){.m = run->images,
                     .n = inputs,
                     .k = outputs,
                     .a = d,
                     .a_row = outputs,
                     .a_col = 1,
                     .b = parameters + u->weights,
                     .b_row = 1,
                     .b_col = outputs,
                     .c = d_x,
                     .c_row = inputs,
                     .add = more,
                     .mask = before != NULL && before->kind == DUMI_UNIT_LINEAR && before->relu ? x : NULL});
}

/* Units that no gradient reaches. */
static void backward_none(const dumi_batch_run *run, const dumi_unit *u, float *gradient)
{
    const dumi_backend *backend = backend_of(run);
    if (!dumi_unit_has_weights(u) || gradient == NULL)
        return;
    backend->fill(run->stream, gradient + u->weights, 0, dumi_unit_weights(u));
    backend->fill(run->stream, gradient + u->beta, 0, (size_t)u->shape.outputs);
    if (u->kind == DUMI_UNIT_CONV)
        backend->fill(run->stream, gradient + u->gamma, 0, (size_t)u->shape.outputs);
}

void dumi_batch_run_backward(dumi_batch_run *run, const float *parameters, float *gradient)
{
    const dumi_backend *backend = backend_of(run);
    for (int32_t i = run->network->units - 1; i >= run->first_unit; i--) {
        const dumi_unit *u = &run->network->unit[i];
        const dumi_conv_shape shape = shape_of(u, run->images);
        bool more = false;
        if (!run->has[u->output]) {
            backward_none(run, u, gradient);
        } else if (u->kind == DUMI_UNIT_CONV) {
            backward_conv(run, i, parameters, gradient);
        } else if (u->kind == DUMI_UNIT_LINEAR) {
            backward_linear(run, u, parameters, gradient);
        } else {
            const float *d = run->gradients[run->slot[u->output]];
            float *d_x = gradient_of(run, u->input, &more);
            if (u->kind == DUMI_UNIT_POOL_MAX)
                backend->pool_max_backward(run->stream, &shape, run->values[u->input], d, d_x);
            else
                backend->pool_mean_backward(run->stream, run->images, shape.height * shape.width, shape.cols, d,
                                            more, d_x);
        }
        run->has[u->output] = false;
    }
}
