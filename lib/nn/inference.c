/* SPDX-License-Identifier: MIT
 * A trained network: each batch norm is a part of the weights and the bias before it. */
#include "nn/network.h"

#include <math.h>

static dum_status pack_conv(dumi_packed_network *p, int32_t index, const float *parameters,
                            const float *statistics, float *bias)
{
    const dumi_unit *u = &p->network.unit[index];
    const int32_t outputs = u->shape.outputs;
    const size_t count = dumi_unit_weights(u);
    float *weights;
    DUMI_TRY(DUMI_NEW(p->context, weights, count));
    for (int32_t o = 0; o < outputs; o++) {
        const double variance = (double)statistics[u->variance + (size_t)o] + (double)DUMI_BATCH_EPSILON;
        const double scale = (double)parameters[u->gamma + (size_t)o] / sqrt(variance);
        const double mean = (double)statistics[u->mean + (size_t)o];
        bias[u->beta + (size_t)o] = (float)((double)parameters[u->beta + (size_t)o] - mean * scale);
        for (size_t at = (size_t)o; at < count; at += (size_t)outputs)
            weights[at] = (float)((double)parameters[u->weights + at] * scale);
    }
    p->packed[index] = p->context->backend->conv_pack(p->context, &u->shape, weights);
    dumi_free(p->context, weights);
    return p->packed[index] != NULL ? DUM_OK : dumi_status();
}

static dum_status pack_linear(dumi_packed_network *p, int32_t index, const float *parameters, float *bias)
{
    const dumi_unit *u = &p->network.unit[index];
    memcpy(bias + u->beta, parameters + u->beta, (size_t)u->shape.outputs * sizeof *bias);
    p->packed[index] = p->context->backend->pack(p->context, parameters + u->weights, u->shape.cols,
                                                 u->shape.outputs, DUMI_FLOAT32);
    return p->packed[index] != NULL ? DUM_OK : dumi_status();
}

static dum_status upload_bias(dumi_packed_network *p, const float *bias)
{
    const dumi_backend *backend = p->context->backend;
    dumi_stream *stream;
    DUMI_TRY(backend->stream_create(p->context, 1, 1, 0, 1, &stream));
    backend->upload(stream, p->bias, bias, p->network.parameters);
    const dum_status status = backend->sync(stream);
    backend->stream_destroy(stream);
    return status;
}

static dum_status fill(dumi_packed_network *p, const float *parameters, const float *statistics)
{
    float *bias;
    DUMI_TRY(DUMI_NEW(p->context, bias, p->network.parameters));
    memset(bias, 0, p->network.parameters * sizeof *bias);
    dum_status status = DUM_OK;
    for (int32_t i = 0; i < p->network.units && status == DUM_OK; i++) {
        if (p->network.unit[i].kind == DUMI_UNIT_CONV)
            status = pack_conv(p, i, parameters, statistics, bias);
        else if (p->network.unit[i].kind == DUMI_UNIT_LINEAR)
            status = pack_linear(p, i, parameters, bias);
    }
    if (status == DUM_OK)
        status = upload_bias(p, bias);
    dumi_free(p->context, bias);
    return status;
}

dum_status dumi_packed_network_create(dum_context *context, const dumi_network *network,
                                      const float *parameters, const float *statistics,
                                      dumi_packed_network **out)
{
    dumi_packed_network *p;
    DUMI_TRY(DUMI_NEW(context, p, 1));
    memset(p, 0, sizeof *p);
    p->context = context;
    p->network = *network;
    p->bias = context->backend->alloc(context, network->parameters);
    const dum_status status = p->bias != NULL ? fill(p, parameters, statistics) : dumi_status();
    *out = status == DUM_OK ? p : NULL;
    if (status != DUM_OK)
        dumi_packed_network_destroy(p);
    return status;
}

void dumi_packed_network_destroy(dumi_packed_network *p)
{
    if (p == NULL)
        return;
    for (int32_t i = 0; i < DUMI_MAX_UNITS; i++)
        p->context->backend->unpack(p->context, p->packed[i]);
    p->context->backend->free(p->context, p->bias);
    dumi_free(p->context, p);
}

/* ---- Running ------------------------------------------------------------------------------ */

/* The last unit that reads each tensor; what can be the output is kept. */
static void last_uses(const dumi_network *n, int32_t *last)
{
    for (int32_t i = 0; i < n->units; i++) {
        last[n->unit[i].input] = i;
        if (n->unit[i].add >= 0)
            last[n->unit[i].add] = i;
    }
    for (int32_t t = 0; t < n->tensors; t++)
        if (dumi_network_given(n, t))
            last[t] = n->units;
    for (int32_t i = 0; i < n->stages; i++)
        last[n->stage[i]] = n->units;
}

static int32_t free_slot(const bool *taken)
{
    int32_t slot = 0;
    while (taken[slot])
        slot++;
    return slot;
}

/* A tensor gets a place that none needs any more. Unit i makes tensor i + 1. */
static void plan_slots(const dumi_network *n, dumi_inference *out, size_t *sizes)
{
    int32_t last[DUMI_MAX_UNITS + 1] = {0};
    bool taken[DUMI_MAX_UNITS + 1] = {false};
    last_uses(n, last);
    for (int32_t t = 0; t < n->tensors; t++) {
        const int32_t slot = free_slot(taken);
        out->slot[t] = slot;
        out->slots = slot + 1 > out->slots ? slot + 1 : out->slots;
        taken[slot] = true;
        const size_t size = dumi_network_size(n, t);
        sizes[slot] = size > sizes[slot] ? size : sizes[slot];
        for (int32_t before = 0; before < t; before++)
            if (last[before] == t - 1)
                taken[out->slot[before]] = false;
    }
}

static dum_status reserve(const dumi_packed_network *p, const dumi_inference *inference)
{
    for (int32_t i = 0; i < p->network.units; i++) {
        dumi_conv_shape shape = p->network.unit[i].shape;
        shape.images = inference->images;
        if (p->network.unit[i].kind == DUMI_UNIT_CONV)
            DUMI_TRY(p->context->backend->conv_reserve(inference->stream, &shape));
    }
    return DUM_OK;
}

static int32_t widest(const dumi_network *n)
{
    int32_t most = 1;
    for (int32_t i = 0; i < n->units; i++)
        if (n->unit[i].kind == DUMI_UNIT_LINEAR && n->unit[i].shape.cols > most)
            most = n->unit[i].shape.cols;
    return most;
}

dum_status dumi_inference_create(const dumi_packed_network *p, int32_t threads, int32_t images,
                                 dumi_inference *out)
{
    *out = (dumi_inference){.images = images};
    const dumi_backend *backend = p->context->backend;
    size_t sizes[DUMI_MAX_UNITS + 1] = {0};
    DUMI_TRY(backend->stream_create(p->context, threads, images, 0, widest(&p->network), &out->stream));
    plan_slots(&p->network, out, sizes);
    for (int32_t slot = 0; slot < out->slots; slot++) {
        out->values[slot] = backend->alloc(p->context, sizes[slot] * (size_t)images);
        if (out->values[slot] == NULL)
            return dumi_status();
    }
    return reserve(p, out);
}

void dumi_inference_destroy(dum_context *context, dumi_inference *inference)
{
    for (int32_t slot = 0; slot <= DUMI_MAX_UNITS; slot++)
        context->backend->free(context, inference->values[slot]);
    if (inference->stream != NULL)
        context->backend->stream_destroy(inference->stream);
    memset(inference, 0, sizeof *inference);
}

float *dumi_inference_value(const dumi_inference *inference, int32_t tensor)
{
    return inference->values[inference->slot[tensor]];
}

static void run_unit(const dumi_packed_network *p, const dumi_inference *inference, int32_t index,
                     int32_t images, bool bare)
{
    const dumi_backend *backend = p->context->backend;
    const dumi_unit *u = &p->network.unit[index];
    dumi_conv_shape shape = u->shape;
    shape.images = images;
    const float *input = dumi_inference_value(inference, u->input);
    float *output = dumi_inference_value(inference, u->output);
    if (u->kind == DUMI_UNIT_CONV) {
        const dumi_conv conv = {.shape = shape,
                                .packed = p->packed[index],
                                .bias = p->bias + u->beta,
                                .add = u->add >= 0 && !bare ? dumi_inference_value(inference, u->add) : NULL,
                                .relu = u->relu && !bare};
        backend->conv(inference->stream, &conv, input, output);
    } else if (u->kind == DUMI_UNIT_LINEAR) {
        backend->gemm(inference->stream, &(dumi_gemm){.m = images,
                                                      .n = shape.outputs,
                                                      .k = shape.cols,
                                                      .a = input,
                                                      .a_row = shape.cols,
                                                      .a_col = 1,
                                                      .packed = p->packed[index],
                                                      .c = output,
                                                      .c_row = shape.outputs,
                                                      .bias = p->bias + u->beta,
                                                      .relu = u->relu});
    } else if (u->kind == DUMI_UNIT_POOL_MAX) {
        backend->pool_max(inference->stream, &shape, input, output);
    } else {
        backend->pool_mean(inference->stream, images, shape.height * shape.width, shape.cols, input, output);
    }
}

void dumi_inference_run(const dumi_packed_network *p, const dumi_inference *inference, int32_t images,
                        int32_t from, int32_t output)
{
    for (int32_t i = from; i < output; i++)
        run_unit(p, inference, i, images, false);
}

void dumi_inference_run_bare(const dumi_packed_network *p, const dumi_inference *inference, int32_t images,
                             int32_t tensor)
{
    run_unit(p, inference, tensor - 1, images, true);
}
