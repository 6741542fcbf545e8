/* SPDX-License-Identifier: MIT
 * Outputs of encoders. Those of more than one tensor are what out-of-distribution scorers stand on. */
#include "encoder/outputs.h"

#include <math.h>

enum { POWERS = 10, QUARTERS = 4 };

/* ---- Which there are ----------------------------------------------------------------------- */

static const char *name_of(int32_t output)
{
    return dumi_encoder_params[DUMI_E_OUTPUT].texts[output];
}

static dum_status refuse(int32_t output)
{
    return dumi_fail(DUM_ERR_UNSUPPORTED, "option output is %s, which this encoder does not have",
                     name_of(output));
}

/* The tensor up to which the network runs, -1 where it has none. */
static int32_t last_of(const dumi_network *n, int32_t output)
{
    switch (output) {
    case DUMI_OUT_FEATURES:
        return n->features;
    case DUMI_OUT_MAP:
        return n->map;
    case DUMI_OUT_PROJECTION:
        return n->projection;
    case DUMI_OUT_UNCERTAINTY:
        return n->uncertainty;
    case DUMI_OUT_STAGES:
        return n->stages > 0 ? n->features : -1;
    case DUMI_OUT_GRAM:
    case DUMI_OUT_GRAM_ALL:
        return n->stages > 0 ? n->logits : -1;
    case DUMI_OUT_ROTATION:
        return n->logits >= 0 ? n->rotation : -1;
    default: /* logits, joint, odin */
        return n->logits;
    }
}

static void add_part(dumi_output *o, int64_t cols)
{
    o->parts[o->count++] = (int32_t)cols;
    o->cols += (int32_t)cols;
}

static bool is_gram(int32_t output)
{
    return output == DUMI_OUT_GRAM || output == DUMI_OUT_GRAM_ALL;
}

/* How many parts of the output are Gram matrices of this tensor; of two the first is of the tensor before residual and
 * ReLU. Unit i makes tensor i + 1. */
static int32_t grams_of(const dumi_network *n, int32_t output, int32_t tensor)
{
    const dumi_unit *u = &n->unit[tensor - 1];
    if (output == DUMI_OUT_GRAM_ALL)
        return tensor > n->map || u->kind != DUMI_UNIT_CONV ? 0 : u->relu || u->add >= 0 ? 2 : 1;
    for (int32_t i = 0; i < n->stages; i++)
        if (tensor == n->stage[i])
            return 1;
    return 0;
}

dum_status dumi_encoder_output(const dum_encoder *encoder, dumi_output *out)
{
    const dumi_network *n = &encoder->model->network;
    const int32_t output = (int32_t)encoder->values[DUMI_E_OUTPUT];
    *out = (dumi_output){.kind = output, .last = last_of(n, output)};
    if (out->last < 0)
        return refuse(output);
    for (int32_t i = 0; i < n->stages && output == DUMI_OUT_STAGES; i++)
        add_part(out, n->tensor[n->stage[i]].cols);
    for (int32_t t = 1; t <= n->map && is_gram(output); t++)
        for (int32_t i = 0; i < grams_of(n, output, t); i++)
            add_part(out, POWERS * (int64_t)n->tensor[t].cols);
    if (output == DUMI_OUT_JOINT)
        add_part(out, (int64_t)dumi_network_size(n, n->features));
    if (output == DUMI_OUT_ROTATION)
        add_part(out, (int64_t)QUARTERS * QUARTERS);
    if (output == DUMI_OUT_JOINT || output == DUMI_OUT_ROTATION || is_gram(output))
        add_part(out, (int64_t)dumi_network_size(n, n->logits));
    else if (output != DUMI_OUT_STAGES)
        add_part(out, (int64_t)dumi_network_size(n, out->last));
    return DUM_OK;
}

/* ---- Parts of rows ------------------------------------------------------------------------- */

typedef struct {
    const dum_encoder *encoder;
    const dumi_output *output;
    dumi_embedding *e;
    int32_t count, part, at; /* the part in turn, and its first column */
    float *out;
    int32_t pixels, cols; /* of the map in turn */
} tile;

static dum_status allocate_map(const dumi_encoder_model *m, dumi_embedding *e)
{
    size_t most = 1;
    for (int32_t t = 0; t < m->network.tensors; t++)
        most = dumi_network_size(&m->network, t) > most ? dumi_network_size(&m->network, t) : most;
    return e->map != NULL ? DUM_OK : DUMI_NEW(m->context, e->map, most * (size_t)e->inference.images);
}

static dum_status fetch(const tile *t, int32_t tensor)
{
    const dumi_encoder_model *m = t->encoder->model;
    DUMI_TRY(allocate_map(m, t->e));
    return m->context->backend->download(t->e->inference.stream, t->e->map,
                                         dumi_inference_value(&t->e->inference, tensor),
                                         (size_t)t->count * dumi_network_size(&m->network, tensor));
}

static void next_part(tile *t)
{
    t->at += t->output->parts[t->part++];
}

/* A tensor as it is. */
static dum_status put_tensor(tile *t, int32_t tensor)
{
    DUMI_TRY(fetch(t, tensor));
    const int32_t cols = t->output->parts[t->part];
    for (int64_t i = 0; i < t->count; i++)
        memcpy(t->out + i * t->output->cols + t->at, t->e->map + i * cols, (size_t)cols * sizeof *t->out);
    next_part(t);
    return DUM_OK;
}

static dum_status put_map(tile *t, int32_t tensor, double cost, dumi_task_fn task)
{
    dum_context *context = t->encoder->context;
    const dumi_tensor_shape *shape = &t->encoder->model->network.tensor[tensor];
    DUMI_TRY(fetch(t, tensor));
    t->pixels = shape->height * shape->width;
    t->cols = shape->cols;
    dumi_parallel(context, context->threads, t->count, cost * t->count * t->pixels * t->cols, task, t);
    next_part(t);
    return DUM_OK;
}

/* ---- Stages -------------------------------------------------------------------------------- */

static void pool_task(void *argument, int64_t image, int32_t worker)
{
    (void)worker;
    const tile *t = argument;
    const float *map = t->e->map + image * t->pixels * t->cols;
    float *out = t->out + image * t->output->cols + t->at;
    for (int32_t c = 0; c < t->cols; c++) {
        double sum = 0;
        for (int32_t x = 0; x < t->pixels; x++)
            sum += (double)map[(int64_t)x * t->cols + c];
        out[c] = (float)(sum / t->pixels);
    }
}

static dum_status put_stages(tile *t)
{
    const dumi_network *n = &t->encoder->model->network;
    for (int32_t i = 0; i + 1 < n->stages; i++)
        DUMI_TRY(put_map(t, n->stage[i], 2, pool_task));
    return put_tensor(t, n->features);
}

static void upload(const tile *t, const float *rows)
{
    const dumi_encoder_model *m = t->encoder->model;
    const dumi_inference *inference = &t->e->inference;
    m->context->backend->upload(inference->stream, dumi_inference_value(inference, 0), rows,
                                (size_t)t->count * (size_t)m->cols);
}

/* ---- Gram matrices (Sastry & Oore 2020, section 3) ----------------------------------------- */

/* For powers p = 1 .. 10: the p-th root of the sums of the rows of F^p F^p', F^p being the map (columns x pixels) with
 * each value to the p-th power, as the authors' programs sum them; a negative sum's root is that of its size, with its
 * sign. Values are taken relative to the largest, so that none overflows. */
static void gram_of(int32_t pixels, int32_t cols, const float *map, double *scratch, float *out)
{
    const int64_t size = (int64_t)pixels * cols;
    double *share = scratch, *power = share + size, *sums = power + size, most = 0;
    for (int64_t i = 0; i < size; i++)
        most = fabs((double)map[i]) > most ? fabs((double)map[i]) : most;
    for (int64_t i = 0; i < size; i++) {
        share[i] = most > 0 ? (double)map[i] / most : 0;
        power[i] = 1;
    }
    for (int32_t p = 1; p <= POWERS; p++) {
        memset(sums, 0, (size_t)cols * sizeof *sums);
        for (int32_t x = 0; x < pixels; x++) {
            double *row = power + (int64_t)x * cols, all = 0;
            for (int32_t c = 0; c < cols; c++) {
                row[c] *= share[(int64_t)x * cols + c];
                all += row[c];
            }
            for (int32_t c = 0; c < cols; c++)
                sums[c] += row[c] * all;
        }
        for (int32_t c = 0; c < cols; c++)
            out[(p - 1) * cols + c] =
                (float)copysign(fmin(pow(fabs(sums[c]), 1.0 / p) * most * most, 1e30), sums[c]);
    }
}

static size_t gram_scratch(const dumi_network *n)
{
    size_t most = 0;
    for (int32_t t = 1; t <= n->map; t++) {
        const size_t size = 2 * dumi_network_size(n, t) + (size_t)n->tensor[t].cols;
        most = size > most ? size : most;
    }
    return most;
}

static void gram_task(void *argument, int64_t image, int32_t worker)
{
    const tile *t = argument;
    double *scratch = t->e->powers + (size_t)worker * gram_scratch(&t->encoder->model->network);
    gram_of(t->pixels, t->cols, t->e->map + image * t->pixels * t->cols, scratch,
            t->out + image * t->output->cols + t->at);
}

/* Maps are taken as they are made: later ones are put in their places. */
static dum_status put_gram(tile *t)
{
    const dumi_network *n = &t->encoder->model->network;
    const dumi_packed_network *packed = t->encoder->model->packed;
    dum_context *context = t->encoder->context;
    if (t->e->powers == NULL)
        DUMI_TRY(DUMI_NEW(context, t->e->powers, (size_t)context->threads * gram_scratch(n)));
    upload(t, t->e->host);
    for (int32_t tensor = 1; tensor <= n->logits; tensor++) {
        const int32_t grams = grams_of(n, t->output->kind, tensor);
        if (grams == 2) {
            dumi_inference_run_bare(packed, &t->e->inference, t->count, tensor);
            DUMI_TRY(put_map(t, tensor, 4 * POWERS, gram_task));
        }
        dumi_inference_run(packed, &t->e->inference, t->count, tensor - 1, tensor);
        if (grams > 0)
            DUMI_TRY(put_map(t, tensor, 4 * POWERS, gram_task));
    }
    return put_tensor(t, n->logits);
}

/* ---- Turns --------------------------------------------------------------------------------- */

static void run(const tile *t, const float *rows)
{
    upload(t, rows);
    dumi_inference_run(t->encoder->model->packed, &t->e->inference, t->count, 0, t->output->last);
}

/* Logits of the four turned copies of an image, each of four; then those of the classes of the upright one. */
static dum_status put_turns(tile *t)
{
    const dumi_encoder_model *m = t->encoder->model;
    const dumi_network *n = &m->network;
    const dumi_image shape = {n->tensor[0].height, n->tensor[0].width, n->tensor[0].cols};
    DUMI_TRY(allocate_map(m, t->e));
    for (int32_t quarters = QUARTERS - 1; quarters >= 0; quarters--) {
        for (int64_t i = 0; i < t->count; i++)
            dumi_encoder_turn(&shape, quarters, t->e->host + i * m->cols, t->e->map + i * m->cols);
        run(t, t->e->map);
        DUMI_TRY(fetch(t, n->rotation));
        for (int64_t i = 0; i < t->count; i++)
            memcpy(t->out + i * t->output->cols + (ptrdiff_t)QUARTERS * quarters, t->e->map + i * QUARTERS,
                   QUARTERS * sizeof *t->out);
    }
    next_part(t);
    return put_tensor(t, n->logits);
}

/* ---- All ----------------------------------------------------------------------------------- */

/* log(1 + exp(-t)) = -log of the sigmoid that multiplies the similarities. */
static void to_uncertainty(int64_t count, float *values)
{
    for (int64_t i = 0; i < count; i++) {
        const double t = (double)values[i];
        values[i] = (float)(t > 0 ? log1p(exp(-t)) : log1p(exp(t)) - t);
    }
}

static dum_status put_single(const tile *t)
{
    const dumi_encoder_model *m = t->encoder->model;
    DUMI_TRY(m->context->backend->download(t->e->inference.stream, t->out,
                                           dumi_inference_value(&t->e->inference, t->output->last),
                                           (size_t)t->count * (size_t)t->output->cols));
    if (t->output->kind == DUMI_OUT_UNCERTAINTY)
        to_uncertainty(t->count, t->out);
    return DUM_OK;
}

dum_status dumi_embedding_make(const dum_encoder *encoder, const dumi_output *output, dumi_embedding *e,
                               int32_t count, float *out)
{
    const dumi_network *n = &encoder->model->network;
    tile t = {.encoder = encoder, .output = output, .e = e, .count = count, .out = out};
    if (output->kind == DUMI_OUT_ROTATION)
        return put_turns(&t);
    if (output->kind == DUMI_OUT_ODIN)
        DUMI_TRY(dumi_perturb(encoder, e, count));
    if (is_gram(output->kind))
        return put_gram(&t);
    run(&t, e->host);
    if (output->kind == DUMI_OUT_STAGES)
        return put_stages(&t);
    if (output->kind != DUMI_OUT_JOINT)
        return put_single(&t);
    DUMI_TRY(put_tensor(&t, n->features));
    return put_tensor(&t, n->logits);
}

void dumi_embedding_destroy(const dumi_encoder_model *m, dumi_embedding *e)
{
    if (e == NULL)
        return;
    dumi_perturbation_destroy(m->context, e->perturbation);
    dumi_inference_destroy(m->context, &e->inference);
    dumi_free(m->context, e->host);
    dumi_free(m->context, e->map);
    dumi_free(m->context, e->powers);
    dumi_free(m->context, e);
}
