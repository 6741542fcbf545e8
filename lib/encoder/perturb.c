/* SPDX-License-Identifier: MIT
 * Output "odin" (Liang, Li & Srikant 2018, "Enhancing the Reliability of Out-of-distribution Image Detection in Neural
 * Networks", section 3): the input takes a small step that raises the softmax, at a high temperature, of the class that
 * the network sees in it. Inputs of the classes that were learnt go further by it than others do. */
#include "encoder/outputs.h"

#include <math.h>

struct dumi_perturbation {
    dumi_stream *stream;
    dumi_batch_run run;
    float *parameters, *statistics; /* device */
    float *logits, *slope;          /* host: of a tile, and the gradient by its rows */
};

void dumi_perturbation_destroy(dum_context *context, dumi_perturbation *p)
{
    if (p == NULL)
        return;
    const dumi_backend *backend = context->backend;
    dumi_batch_run_destroy(&p->run);
    backend->free(context, p->parameters);
    backend->free(context, p->statistics);
    dumi_free(context, p->logits);
    dumi_free(context, p->slope);
    if (p->stream != NULL)
        backend->stream_destroy(p->stream);
    dumi_free(context, p);
}

static dum_status fill(const dumi_encoder_model *m, int32_t images, dumi_perturbation *p)
{
    dum_context *context = m->context;
    const dumi_backend *backend = context->backend;
    const dumi_network *n = &m->network;
    const size_t classes = dumi_network_size(n, n->logits);
    const int32_t most = images > n->tensor[n->features].cols ? images : n->tensor[n->features].cols;
    DUMI_TRY(backend->stream_create(context, context->threads, most, most, most, &p->stream));
    DUMI_TRY(dumi_batch_run_create(context, p->stream, n, images, DUMI_GRADIENT_INPUT, &p->run));
    p->parameters = backend->alloc(context, n->parameters);
    p->statistics = backend->alloc(context, n->statistics);
    if (p->parameters == NULL || p->statistics == NULL)
        return dumi_status();
    DUMI_TRY(DUMI_NEW(context, p->logits, (size_t)images * classes));
    DUMI_TRY(DUMI_NEW(context, p->slope, (size_t)images * (size_t)m->cols));
    backend->upload(p->stream, p->parameters, m->parameters, n->parameters);
    backend->upload(p->stream, p->statistics, m->statistics, n->statistics);
    return backend->sync(p->stream);
}

static dum_status create(const dumi_encoder_model *m, dumi_embedding *e)
{
    dumi_perturbation *p;
    DUMI_TRY(DUMI_NEW(m->context, p, 1));
    memset(p, 0, sizeof *p);
    const dum_status status = fill(m, e->inference.images, p);
    e->perturbation = status == DUM_OK ? p : NULL;
    if (status != DUM_OK)
        dumi_perturbation_destroy(m->context, p);
    return status;
}

/* Logits become the gradient of -log of the largest softmax at a temperature, but for the factor 1 / temperature. */
static void to_gradient(int32_t classes, double temperature, float *logits)
{
    int32_t best = 0;
    double sum = 0;
    for (int32_t c = 1; c < classes; c++)
        best = logits[c] > logits[best] ? c : best;
    const double most = (double)logits[best];
    for (int32_t c = 0; c < classes; c++)
        sum += exp(((double)logits[c] - most) / temperature);
    for (int32_t c = 0; c < classes; c++)
        logits[c] = (float)(exp(((double)logits[c] - most) / temperature) / sum - (c == best ? 1 : 0));
}

/* Images: a share of the 255 values of a pixel. Tables: of a column's deviation. */
static double step_of(const dum_encoder *encoder, int32_t channel)
{
    const dumi_encoder_model *m = encoder->model;
    const double step = encoder->values[DUMI_E_PERTURBATION];
    return dumi_encoder_has_images(m) ? step * 255 * (double)m->scale[channel] : step;
}

dum_status dumi_perturb(const dum_encoder *encoder, dumi_embedding *e, int32_t count)
{
    const dumi_encoder_model *m = encoder->model;
    const dumi_backend *backend = m->context->backend;
    const int32_t logits = m->network.logits, classes = m->network.tensor[logits].cols;
    if (e->perturbation == NULL)
        DUMI_TRY(create(m, e));
    dumi_perturbation *p = e->perturbation;
    const size_t size = (size_t)count * (size_t)m->cols;
    p->run.images = count;
    backend->upload(p->stream, p->run.values[0], e->host, size);
    dumi_batch_run_forward(&p->run, p->parameters, p->statistics);
    DUMI_TRY(backend->download(p->stream, p->logits, p->run.values[logits], (size_t)count * (size_t)classes));
    for (int32_t i = 0; i < count; i++)
        to_gradient(classes, encoder->values[DUMI_E_ODIN_TEMPERATURE], p->logits + (int64_t)i * classes);
    backend->upload(p->stream, dumi_batch_run_gradient(&p->run, logits), p->logits,
                    (size_t)count * (size_t)classes);
    dumi_batch_run_backward(&p->run, p->parameters, NULL);
    DUMI_TRY(backend->download(p->stream, p->slope, dumi_batch_run_gradient(&p->run, 0), size));
    for (size_t i = 0; i < size; i++) {
        const float slope = p->slope[i];
        const int32_t channel = (int32_t)(i % (size_t)m->cols % (size_t)m->channels);
        e->host[i] -= (float)((slope > 0 ? 1 : slope < 0 ? -1 : 0) * step_of(encoder, channel));
    }
    return DUM_OK;
}
