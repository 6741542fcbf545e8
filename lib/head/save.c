/* SPDX-License-Identifier: MIT
 * A head in a model file: options, scaling, weights (docs/model-format.md). */
#include "head/head.h"

#include <stdio.h>

enum { NAME = 32 };
static const char CENTRES[] = "anchor.centres";

static void layer_name(char *name, int32_t layer, const char *what)
{
    snprintf(name, NAME, "head.%d.%s", layer, what);
}

static dum_status write_scaling(const dumi_scaling *s, dumi_model_writer *writer)
{
    DUMI_TRY(dumi_writer_tensor(writer, "scaling.shift", DUMI_F32, s->cols, 0, s->shift));
    DUMI_TRY(dumi_writer_tensor(writer, "scaling.scale", DUMI_F32, s->cols, 0, s->scale));
    DUMI_TRY(dumi_writer_tensor(writer, "scaling.spread", DUMI_F64, s->cols, 0, s->spread));
    if (s->rotation != NULL)
        DUMI_TRY(dumi_writer_tensor(writer, "scaling.rotation", DUMI_F32, s->cols, s->cols, s->rotation));
    if (s->median != NULL)
        DUMI_TRY(dumi_writer_tensor(writer, "scaling.median", DUMI_F32, s->cols, 0, s->median));
    return DUM_OK;
}

dum_status dumi_head_model_write(const dumi_head_model *model, const float *parameters,
                                 dumi_model_writer *writer)
{
    const dumi_centres *centres = &model->centres;
    DUMI_TRY(write_scaling(&model->scaling, writer));
    if (centres->count > 0)
        DUMI_TRY(dumi_writer_tensor(writer, CENTRES, DUMI_F32, centres->count, model->cols, centres->rows));
    for (int32_t l = 0; l < model->mlp.count; l++) {
        const dumi_layer *layer = &model->mlp.layers[l];
        char name[NAME];
        layer_name(name, l, "weight");
        DUMI_TRY(dumi_writer_tensor(writer, name, DUMI_F32, layer->inputs, layer->outputs,
                                    parameters + layer->weights));
        layer_name(name, l, "bias");
        DUMI_TRY(dumi_writer_tensor(writer, name, DUMI_F32, layer->outputs, 0, parameters + layer->bias));
    }
    return dumi_writer_tensor(writer, "head.offset", DUMI_F32, 1, 0, parameters + model->mlp.parameters);
}

dum_status dumi_head_parameters(const dumi_head_model *model, float **out)
{
    dum_context *context = model->context;
    const dumi_backend *backend = context->backend;
    dumi_stream *stream;
    DUMI_TRY(backend->stream_create(context, 1, 1, 0, 1, &stream));
    dum_status status = DUMI_NEW(context, *out, model->parameter_count);
    if (status == DUM_OK) {
        status = backend->download(stream, *out, model->parameters, model->parameter_count);
        if (status != DUM_OK) {
            dumi_free(context, *out);
            *out = NULL;
        }
    }
    backend->stream_destroy(stream);
    return status;
}

/* The number of columns comes from the file: no allocation may trust it before the file's own size does. */
static dum_status find_cols(const dumi_reader *reader, int32_t *cols)
{
    const dumi_tensor *shift = dumi_reader_find(reader, "scaling.shift");
    DUMI_REQUIRE(shift != NULL && shift->rank == 1 && shift->dtype == DUMI_F32 && shift->shape[0] >= 1 &&
                     shift->shape[0] <= INT32_MAX,
                 DUM_ERR_FORMAT, "the model has no usable tensor scaling.shift");
    *cols = (int32_t)shift->shape[0];
    return DUM_OK;
}

/* All layers must be in the file with the shapes that the options say, before anything is allocated. */
static dum_status check_layers(const dumi_reader *reader, const double *values, int32_t cols)
{
    dumi_mlp mlp;
    const bool diagonal = (int32_t)values[DUMI_COVARIANCE] == DUM_COVARIANCE_DIAGONAL;
    dumi_mlp_shape(&mlp, cols, diagonal ? cols : 1, (int32_t)values[DUMI_LAYERS], (int32_t)values[DUMI_WIDTH]);
    for (int32_t l = 0; l < mlp.count; l++) {
        char name[NAME];
        layer_name(name, l, "weight");
        const dumi_tensor *t = dumi_reader_find(reader, name);
        DUMI_REQUIRE(t != NULL && t->rank == 2 && t->shape[0] == mlp.layers[l].inputs &&
                         t->shape[1] == mlp.layers[l].outputs,
                     DUM_ERR_FORMAT, "tensor %s is missing or its shape does not fit the options", name);
    }
    return DUM_OK;
}

static dum_status read_vector(dum_context *context, const dumi_reader *reader, const char *name, int32_t cols,
                              float **out)
{
    DUMI_TRY(DUMI_NEW(context, *out, cols));
    return dumi_reader_copy(reader, name, DUMI_F32, cols, 0, *out);
}

static dum_status read_scaling(dum_context *context, const dumi_reader *reader, const double *values,
                               dumi_scaling *s)
{
    DUMI_TRY(read_vector(context, reader, "scaling.shift", s->cols, &s->shift));
    DUMI_TRY(read_vector(context, reader, "scaling.scale", s->cols, &s->scale));
    DUMI_TRY(DUMI_NEW(context, s->spread, s->cols));
    DUMI_TRY(dumi_reader_copy(reader, "scaling.spread", DUMI_F64, s->cols, 0, s->spread));
    for (int32_t j = 0; j < s->cols; j++)
        DUMI_REQUIRE(s->scale[j] >= 0 && s->spread[j] >= 0, DUM_ERR_FORMAT,
                     "the scaling of column %d is negative", j);
    if (s->kind == DUMI_SCALE_AUTO)
        s->kind = dumi_reader_find(reader, "scaling.rotation") != NULL ? DUMI_SCALE_WHITEN : DUMI_SCALE_ZSCORE;
    if (s->kind == DUMI_SCALE_WHITEN || s->kind == DUMI_SCALE_WHITEN_COV) {
        const dumi_tensor *t = dumi_reader_find(reader, "scaling.rotation");
        DUMI_REQUIRE(t != NULL && t->rank == 2 && t->shape[0] == s->cols && t->shape[1] == s->cols,
                     DUM_ERR_FORMAT, "tensor scaling.rotation is missing or not %d x %d", s->cols, s->cols);
        DUMI_TRY(DUMI_NEW(context, s->rotation, (size_t)s->cols * (size_t)s->cols));
        DUMI_TRY(dumi_reader_copy(reader, "scaling.rotation", DUMI_F32, s->cols, s->cols, s->rotation));
    }
    if ((int32_t)values[DUMI_NONFINITE] == DUMI_IMPUTE)
        DUMI_TRY(read_vector(context, reader, "scaling.median", s->cols, &s->median));
    return DUM_OK;
}

/* A file from before there were centres has none: its anchor is the distance to the origin. */
static dum_status read_centres(dum_context *context, dumi_stream *stream, const dumi_reader *reader,
                               const double *values, dumi_head_model *model)
{
    const dumi_tensor *t = dumi_reader_find(reader, CENTRES);
    if (!model->centred || (t == NULL && (int32_t)values[DUMI_ANCHOR] == DUMI_AUTO))
        return DUM_OK;
    DUMI_REQUIRE(t != NULL && t->rank == 2 && t->dtype == DUMI_F32 && t->shape[0] >= 1 &&
                     t->shape[0] <= DUMI_MOST_CENTRES && t->shape[1] == model->cols,
                 DUM_ERR_FORMAT, "tensor %s is missing or not 1 to %d rows of %d columns", CENTRES,
                 DUMI_MOST_CENTRES, model->cols);
    dumi_centres *centres = &model->centres;
    centres->count = (int32_t)t->shape[0];
    DUMI_TRY(DUMI_NEW(context, centres->rows, (size_t)centres->count * (size_t)model->cols));
    DUMI_TRY(dumi_reader_copy(reader, CENTRES, DUMI_F32, centres->count, model->cols, centres->rows));
    return dumi_centres_finish(context, stream, model->cols, centres);
}

dum_status dumi_head_parameters_read(const dumi_head_model *model, const dumi_reader *reader, float *parameters)
{
    for (int32_t l = 0; l < model->mlp.count; l++) {
        const dumi_layer *layer = &model->mlp.layers[l];
        char name[NAME];
        layer_name(name, l, "weight");
        DUMI_TRY(dumi_reader_copy(reader, name, DUMI_F32, layer->inputs, layer->outputs,
                                  parameters + layer->weights));
        layer_name(name, l, "bias");
        DUMI_TRY(dumi_reader_copy(reader, name, DUMI_F32, layer->outputs, 0, parameters + layer->bias));
    }
    return dumi_reader_copy(reader, "head.offset", DUMI_F32, 1, 0, parameters + model->mlp.parameters);
}

static dum_status fill_model(dum_context *context, dumi_stream *stream, const dumi_reader *reader,
                             const double *values, dumi_head_model *model)
{
    DUMI_TRY(read_scaling(context, reader, values, &model->scaling));
    DUMI_TRY(dumi_scaling_upload(context, stream, &model->scaling));
    DUMI_TRY(read_centres(context, stream, reader, values, model));
    float *parameters;
    DUMI_TRY(DUMI_NEW(context, parameters, model->parameter_count));
    dum_status status = dumi_head_parameters_read(model, reader, parameters);
    if (status == DUM_OK) {
        context->backend->upload(stream, model->parameters, parameters, model->parameter_count);
        status = context->backend->sync(stream);
    }
    dumi_free(context, parameters);
    DUMI_TRY(status);
    return dumi_model_finish(model);
}

dum_status dumi_head_model_read(dum_context *context, const dumi_reader *reader, const double *values,
                                dumi_head_model **out)
{
    int32_t cols = 0;
    DUMI_TRY(find_cols(reader, &cols));
    DUMI_TRY(check_layers(reader, values, cols));
    dumi_head_model *model;
    DUMI_TRY(dumi_model_create(context, values, cols, &model));
    dumi_stream *stream = NULL;
    dum_status status = context->backend->stream_create(context, 1, 1, 0, 1, &stream);
    if (status == DUM_OK) {
        status = fill_model(context, stream, reader, values, model);
        context->backend->stream_destroy(stream);
    }
    if (status != DUM_OK) {
        dumi_model_destroy(model);
        return status;
    }
    *out = model;
    return DUM_OK;
}

/* ---- The public calls: to bytes, and from bytes ------------------------------------------- */

static dum_status to_bytes(const dum_head *head, unsigned char **bytes, size_t *size)
{
    DUMI_NOT_NULL(head);
    DUMI_REQUIRE(head->model != NULL, DUM_ERR_STATE, "head is not fitted: call dum_head_fit first");
    dumi_model_writer *writer = NULL;
    float *parameters = NULL;
    dum_status status;
    DUMI_GO(dumi_head_parameters(head->model, &parameters));
    DUMI_GO(dumi_writer_create(head->context, "head", &writer));
    DUMI_GO(dumi_options_write(&dumi_head_table, head->values, DUMI_OPTIONS, writer));
    DUMI_GO(dumi_head_model_write(head->model, parameters, writer));
    DUMI_GO(dumi_writer_finish(writer, bytes, size));
done:
    dumi_writer_destroy(writer);
    dumi_free(head->context, parameters);
    return status;
}

static dum_status from_bytes(dum_context *context, const void *bytes, size_t size, void **out)
{
    dumi_reader *reader;
    DUMI_TRY(dumi_reader_open(context, bytes, size, &reader));
    dum_head *head = NULL;
    dum_status status;
    if (!dumi_reader_is_kind(reader, "checkpoint"))
        DUMI_GO(dumi_reader_expect_kind(reader, "head"));
    DUMI_GO(dum_head_create(context, &head));
    DUMI_GO(dumi_options_read(&dumi_head_table, reader, DUMI_OPTIONS, head->values));
    DUMI_GO(dumi_head_model_read(context, reader, head->values, &head->model));
    *out = head;
    head = NULL;
done:
    dum_head_destroy(head);
    dumi_reader_close(reader);
    return status;
}

DUMI_DEFINE_SAVING(head)
