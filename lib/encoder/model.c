/* SPDX-License-Identifier: MIT
 * What is trained: a network, its parameters, the scaling of its input; and how it embeds. */
#include "encoder/outputs.h"

#include <math.h>

/* ---- The network that the options describe ------------------------------------------------- */

static dum_status build_resnet(const double *values, int32_t cols, dumi_network *network)
{
    const dumi_tensor_shape image = {(int32_t)values[DUMI_E_HEIGHT], (int32_t)values[DUMI_E_WIDTH],
                                     (int32_t)values[DUMI_E_CHANNELS]};
    const double size = (double)image.height * image.width * image.cols;
    DUMI_REQUIRE(image.cols == 1 || image.cols == 3, DUM_ERR_ARGUMENT,
                 "option channels is %d, expected 3, or 1 for grey images", image.cols);
    DUMI_REQUIRE(cols == size, DUM_ERR_SHAPE,
                 "rows have %d columns, options height x width x channels are %d x %d x %d = %.0f", cols,
                 image.height, image.width, image.cols, size);
    const double widest = values[DUMI_E_UNITS] * 32;
    DUMI_REQUIRE(widest * widest * 9 < 2e9, DUM_ERR_LIMIT,
                 "option units is %s, expected 4096 at most for resnet", dumi_show(values[DUMI_E_UNITS]).text);
    return dumi_resnet(network, (int32_t)values[DUMI_E_DEPTH], (int32_t)values[DUMI_E_STEM],
                       (int32_t)values[DUMI_E_UNITS], image);
}

/* Heads that the objective trains. */
static void add_heads(const double *values, int32_t classes, dumi_network *n)
{
    const int32_t objective = (int32_t)values[DUMI_E_OBJECTIVE];
    if (classes > 0)
        n->logits = dumi_network_layer(n, classes, "fc");
    if (objective != DUMI_SUPERVISED)
        dumi_network_project(n, (int32_t)values[DUMI_E_PROJECTION]);
    else if (values[DUMI_E_ROTATION] != 0)
        n->rotation = dumi_network_layer(n, 4, "rotation");
    if (objective == DUMI_INFOMAX && n->map >= 0)
        dumi_network_project_map(n, (int32_t)values[DUMI_E_PROJECTION]);
    if (values[DUMI_E_UNCERTAINTY] != 0)
        n->uncertainty = dumi_network_layer(n, 1, "uncertainty");
}

static dum_status allocate(dumi_encoder_model *m)
{
    DUMI_TRY(DUMI_NEW(m->context, m->shift, m->channels));
    DUMI_TRY(DUMI_NEW(m->context, m->scale, m->channels));
    DUMI_TRY(DUMI_NEW(m->context, m->parameters, m->network.parameters));
    DUMI_TRY(DUMI_NEW(m->context, m->statistics, m->network.statistics));
    memset(m->shift, 0, (size_t)m->channels * sizeof *m->shift);
    for (int32_t j = 0; j < m->channels; j++)
        m->scale[j] = 1;
    return DUM_OK;
}

dum_status dumi_encoder_model_create(dum_context *context, dumi_encoder_kind kind, const double *values,
                                     int32_t cols, int32_t classes, int64_t parameters,
                                     dumi_encoder_model **out)
{
    dumi_encoder_model *m;
    DUMI_TRY(DUMI_NEW(context, m, 1));
    memset(m, 0, sizeof *m);
    m->context = dumi_context_keep(context);
    m->cols = m->channels = cols;
    m->classes = classes;
    dum_status status = DUM_OK;
    if (kind == DUMI_RESNET) {
        status = build_resnet(values, cols, &m->network);
        m->channels = (int32_t)values[DUMI_E_CHANNELS];
    } else {
        dumi_mlp_network(&m->network, cols, (int32_t)values[DUMI_E_LAYERS], (int32_t)values[DUMI_E_UNITS],
                         (int32_t)values[DUMI_E_EMBEDDING]);
    }
    if (status == DUM_OK) {
        add_heads(values, classes, &m->network);
        status = parameters == 0 || (int64_t)m->network.parameters == parameters
                     ? allocate(m)
                     : dumi_fail(DUM_ERR_FORMAT, "the network has %lld parameters, the model %lld",
                                 (long long)m->network.parameters, (long long)parameters);
    }
    *out = status == DUM_OK ? m : NULL;
    if (status != DUM_OK)
        dumi_encoder_model_destroy(m);
    return status;
}

dum_status dumi_encoder_model_finish(dumi_encoder_model *m)
{
    return dumi_packed_network_create(m->context, &m->network, m->parameters, m->statistics, &m->packed);
}

/* ---- Embedding ---------------------------------------------------------------------------- */

enum { MOST_IMAGES = 64, MOST_FLOATS = 1 << 22 };

void dumi_encoder_model_destroy(dumi_encoder_model *m)
{
    if (m == NULL)
        return;
    dum_context *context = m->context;
    for (dumi_embedding *e; (e = dumi_slots_take(&m->slots)) != NULL;)
        dumi_embedding_destroy(m, e);
    dumi_packed_network_destroy(m->packed);
    dumi_free(context, m->shift);
    dumi_free(context, m->scale);
    dumi_free(context, m->parameters);
    dumi_free(context, m->statistics);
    dumi_free(context, m);
    dum_context_destroy(context);
}

/* Images at a time: so many that the largest tensor stays in bounds. */
static int32_t tile_of(const dumi_network *n)
{
    size_t most = 1;
    for (int32_t t = 0; t < n->tensors; t++)
        most = dumi_network_size(n, t) > most ? dumi_network_size(n, t) : most;
    const size_t fit = MOST_FLOATS / most;
    return fit < 1 ? 1 : fit > MOST_IMAGES ? MOST_IMAGES : (int32_t)fit;
}

static dum_status embedding_create(const dumi_encoder_model *m, dumi_embedding **out)
{
    dumi_embedding *e;
    DUMI_TRY(DUMI_NEW(m->context, e, 1));
    memset(e, 0, sizeof *e);
    const int32_t images = tile_of(&m->network);
    dum_status status = DUMI_NEW(m->context, e->host, (size_t)images * (size_t)m->cols);
    if (status == DUM_OK)
        status = dumi_inference_create(m->packed, m->context->threads, images, &e->inference);
    *out = status == DUM_OK ? e : NULL;
    if (status != DUM_OK)
        dumi_embedding_destroy(m, e);
    return status;
}

/* NaN: so far from the only value that a column had that no float holds the difference. */
static float within(float x)
{
    return x > 1e15f ? 1e15f : x < -1e15f ? -1e15f : isnan(x) ? 0 : x;
}

void dumi_encoder_scale(const dumi_encoder_model *m, const float *row, float *x)
{
    for (int32_t at = 0; at < m->cols; at += m->channels)
        for (int32_t j = 0; j < m->channels; j++)
            x[at + j] = within((row[at + j] - m->shift[j]) * m->scale[j]);
}

dum_status dumi_encoder_check_row(const dumi_encoder_model *m, int64_t row, const float *values)
{
    const bool images = dumi_encoder_has_images(m);
    for (int32_t j = 0; j < m->cols; j++) {
        DUMI_REQUIRE(isfinite(values[j]), DUM_ERR_NONFINITE,
                     "row %lld, column %d is %g, expected a finite number", (long long)row, j,
                     (double)values[j]);
        DUMI_REQUIRE(!images || (values[j] >= 0 && values[j] <= 255), DUM_ERR_ARGUMENT,
                     "row %lld, column %d is %g, expected a pixel value from 0 to 255", (long long)row, j,
                     (double)values[j]);
    }
    return DUM_OK;
}

static dum_status load_tile(const dumi_encoder_model *m, dumi_embedding *e, const float *data, int64_t first,
                            int32_t count, int64_t row_stride)
{
    for (int32_t i = 0; i < count; i++) {
        const float *row = data + (first + i) * row_stride;
        DUMI_TRY(dumi_encoder_check_row(m, first + i, row));
        dumi_encoder_scale(m, row, e->host + (int64_t)i * m->cols);
    }
    return DUM_OK;
}

dum_status dumi_encoder_model_embed(const dum_encoder *encoder, const float *data, int64_t rows,
                                    int64_t row_stride, float *out)
{
    dumi_encoder_model *m = encoder->model;
    dumi_output output;
    DUMI_TRY(dumi_encoder_output(encoder, &output));
    dumi_embedding *e = dumi_slots_take(&m->slots);
    if (e == NULL)
        DUMI_TRY(embedding_create(m, &e));
    dum_status status = DUM_OK;
    for (int64_t first = 0; first < rows && status == DUM_OK; first += e->inference.images) {
        const int64_t left = rows - first;
        const int32_t count = left < e->inference.images ? (int32_t)left : e->inference.images;
        status = load_tile(m, e, data, first, count, row_stride);
        if (status == DUM_OK)
            status = dumi_embedding_make(encoder, &output, e, count, out + first * output.cols);
    }
    if (!dumi_slots_put(&m->slots, e))
        dumi_embedding_destroy(m, e);
    return status;
}
