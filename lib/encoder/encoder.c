/* SPDX-License-Identifier: MIT
 * The public handle. */
#include "encoder/encoder.h"

static const char *const kinds[] = {"identity", "mlp", "resnet", "callback"};
enum { CREATABLE = 3 };

int32_t dum_encoder_kind_count(void)
{
    return CREATABLE;
}

const char *dum_encoder_kind_name(int32_t index)
{
    return index >= 0 && index < CREATABLE ? kinds[index] : NULL;
}

const char *dumi_encoder_kind_name(dumi_encoder_kind kind)
{
    return kinds[kind];
}

const char *dum_encoder_kind(const dum_encoder *encoder)
{
    return encoder != NULL ? kinds[encoder->kind] : NULL;
}

static dum_status create(dum_context *context, dumi_encoder_kind kind, dum_encoder **out)
{
    dum_encoder *encoder;
    DUMI_TRY(DUMI_NEW(context, encoder, 1));
    memset(encoder, 0, sizeof *encoder);
    encoder->context = dumi_context_keep(context);
    atomic_init(&encoder->references, 1);
    encoder->kind = kind;
    for (int32_t i = 0; i < DUMI_ENCODER_PARAMS; i++)
        encoder->values[i] = dumi_encoder_params[i].value;
    *out = encoder;
    return DUM_OK;
}

dum_status dum_encoder_create(dum_context *context, const char *kind, dum_encoder **out)
{
    dumi_clear_error();
    DUMI_NOT_NULL(out);
    *out = NULL;
    DUMI_NOT_NULL(context);
    DUMI_NOT_NULL(kind);
    for (int32_t i = 0; i < CREATABLE; i++)
        if (strcmp(kind, kinds[i]) == 0)
            return create(context, (dumi_encoder_kind)i, out);
    return dumi_fail(DUM_ERR_ARGUMENT, "kind is \"%.40s\", expected identity, mlp or resnet", kind);
}

dum_status dumi_encoder_create_lacking(dum_context *context, int32_t cols, int32_t embedding_cols,
                                       dum_encoder **out)
{
    DUMI_TRY(create(context, DUMI_CALLBACK, out));
    (*out)->cols = cols;
    (*out)->embedding_cols = embedding_cols;
    return DUM_OK;
}

dum_status dum_encoder_from_callback(dum_context *context, int32_t cols, int32_t embedding_cols,
                                     dum_embed_fn embed, void *user, dum_encoder **out)
{
    dumi_clear_error();
    DUMI_NOT_NULL(out);
    *out = NULL;
    DUMI_NOT_NULL(context);
    DUMI_NOT_NULL(embed);
    DUMI_REQUIRE(cols >= 1 && embedding_cols >= 1, DUM_ERR_SHAPE,
                 "cols is %d and embedding_cols is %d, expected 1 or more", cols, embedding_cols);
    DUMI_TRY(dumi_encoder_create_lacking(context, cols, embedding_cols, out));
    (*out)->embed = embed;
    (*out)->user = user;
    return DUM_OK;
}

dum_status dumi_encoder_view(dum_encoder *encoder, dum_encoder **out)
{
    dum_encoder *view;
    DUMI_TRY(create(encoder->context, encoder->kind, &view));
    memcpy(view->values, encoder->values, sizeof view->values);
    view->model = encoder->model;
    view->embed = encoder->embed;
    view->user = encoder->user;
    view->cols = encoder->cols;
    view->embedding_cols = encoder->embedding_cols;
    view->whole = encoder;
    atomic_fetch_add_explicit(&encoder->references, 1, memory_order_relaxed);
    *out = view;
    return DUM_OK;
}

void dum_encoder_destroy(dum_encoder *encoder)
{
    if (encoder == NULL || atomic_fetch_sub_explicit(&encoder->references, 1, memory_order_acq_rel) != 1)
        return;
    dum_context *context = encoder->context;
    if (encoder->whole != NULL)
        dum_encoder_destroy(encoder->whole);
    else
        dumi_encoder_model_destroy(encoder->model);
    dumi_free(context, encoder);
    dum_context_destroy(context);
}

dum_status dum_encoder_fit(dum_encoder *encoder, const dum_dataset *data, const dum_fit_options *options)
{
    dumi_clear_error();
    DUMI_NOT_NULL(encoder);
    DUMI_NOT_NULL(data);
    dum_fit_options own;
    DUMI_TRY(dumi_read_struct("options", &own, sizeof own, offsetof(dum_fit_options, labels), options));
    DUMI_REQUIRE(encoder->kind == DUMI_MLP || encoder->kind == DUMI_RESNET, DUM_ERR_UNSUPPORTED,
                 "encoder %s is not trained, expected mlp or resnet", kinds[encoder->kind]);
    DUMI_REQUIRE(atomic_load(&encoder->references) == 1, DUM_ERR_STATE,
                 "the encoder is below a scorer: train it first, or train another");
    dumi_encoder_model *model = NULL;
    const dum_status status = dumi_encoder_train(encoder->context, encoder->kind, encoder->values,
                                                 encoder->model, data, &own, &model);
    if (model != NULL) {
        dumi_encoder_model_destroy(encoder->model);
        encoder->model = model;
    }
    return status;
}

dum_status dumi_encoder_check(const dum_encoder *encoder)
{
    DUMI_REQUIRE(encoder->model != NULL || encoder->kind == DUMI_IDENTITY || encoder->kind == DUMI_CALLBACK,
                 DUM_ERR_STATE, "encoder %s is not fitted: call dum_encoder_fit or dum_encoder_import first",
                 kinds[encoder->kind]);
    return DUM_OK;
}

int32_t dum_encoder_cols(const dum_encoder *encoder)
{
    if (encoder == NULL)
        return 0;
    return encoder->model != NULL ? encoder->model->cols : encoder->cols;
}

int32_t dum_encoder_embedding_cols(const dum_encoder *encoder, int32_t cols)
{
    if (encoder == NULL || cols < 1)
        return 0;
    if (encoder->kind == DUMI_IDENTITY)
        return cols;
    if (encoder->kind == DUMI_CALLBACK)
        return cols == encoder->cols ? encoder->embedding_cols : 0;
    dumi_output output;
    if (encoder->model == NULL || cols != encoder->model->cols ||
        dumi_encoder_output(encoder, &output) != DUM_OK)
        return 0;
    return output.cols;
}

dum_status dumi_encoder_measure(const dum_encoder *encoder, const char *have, int32_t cols, int32_t *embedding)
{
    *embedding = dum_encoder_embedding_cols(encoder, cols);
    DUMI_TRY(dumi_encoder_check(encoder));
    const int32_t wanted = dum_encoder_cols(encoder);
    DUMI_REQUIRE(wanted == 0 || cols == wanted, DUM_ERR_SHAPE, "%s %d columns, the encoder takes %d", have,
                 cols, wanted);
    dumi_output output;
    if (encoder->model == NULL)
        return DUM_OK;
    DUMI_TRY(dumi_encoder_output(encoder, &output));
    *embedding = output.cols;
    return DUM_OK;
}

/* ---- Embedding ---------------------------------------------------------------------------- */

static dum_status embed_identity(const float *data, int64_t rows, int32_t cols, int64_t row_stride, float *out)
{
    for (int64_t i = 0; i < rows; i++)
        memcpy(out + i * cols, data + i * row_stride, (size_t)cols * sizeof *out);
    return DUM_OK;
}

static dum_status embed_callback(const dum_encoder *encoder, const float *data, int64_t rows,
                                 int64_t row_stride, float *out)
{
    const int32_t result =
        rows > 0 ? encoder->embed(encoder->user, data, rows, encoder->cols, row_stride, out) : 0;
    DUMI_REQUIRE(result == 0, DUM_ERR_CALLBACK, "the encoder's callback returned %d for %lld rows", result,
                 (long long)rows);
    return DUM_OK;
}

dum_status dum_encoder_embed(const dum_encoder *encoder, const float *data, int64_t rows, int32_t cols,
                             int64_t row_stride, float *out)
{
    dumi_clear_error();
    DUMI_NOT_NULL(encoder);
    DUMI_NOT_NULL(data);
    DUMI_NOT_NULL(out);
    if (row_stride == 0)
        row_stride = cols;
    DUMI_REQUIRE(rows >= 0 && cols >= 1 && row_stride >= cols, DUM_ERR_SHAPE,
                 "data is %lld x %d with row_stride %lld, expected rows >= 0, cols >= 1, row_stride >= cols",
                 (long long)rows, cols, (long long)row_stride);
    DUMI_TRY(dumi_encoder_check(encoder));
    if (encoder->kind == DUMI_IDENTITY)
        return embed_identity(data, rows, cols, row_stride, out);
    DUMI_REQUIRE(cols == dum_encoder_cols(encoder), DUM_ERR_SHAPE, "cols is %d, the encoder takes %d columns",
                 cols, dum_encoder_cols(encoder));
    DUMI_REQUIRE(encoder->kind != DUMI_CALLBACK || encoder->embed != NULL, DUM_ERR_STATE,
                 "encoder is a callback that the host has not brought");
    if (encoder->kind == DUMI_CALLBACK)
        return embed_callback(encoder, data, rows, row_stride, out);
    return dumi_encoder_model_embed(encoder, data, rows, row_stride, out);
}

enum { READ_ROWS = 256 };

dum_status dumi_encoder_embed_watched(const dum_encoder *encoder, const dum_dataset *data,
                                      const dumi_watch *watch, float *out)
{
    int32_t cols;
    DUMI_TRY(dumi_encoder_measure(encoder, "the data have", data->cols, &cols));
    float *rows;
    DUMI_TRY(DUMI_NEW(data->context, rows, (size_t)READ_ROWS * (size_t)data->cols));
    dum_status status = DUM_OK;
    for (int64_t first = 0; first < data->rows && status == DUM_OK; first += READ_ROWS) {
        const int64_t count = data->rows - first < READ_ROWS ? data->rows - first : READ_ROWS;
        if (watch != NULL)
            status = watch->ask(watch->user, 0, data->rows);
        if (status == DUM_OK)
            status = dum_dataset_read(data, first, count, rows);
        if (status == DUM_OK)
            status = dum_encoder_embed(encoder, rows, count, data->cols, 0, out + first * cols);
        if (status != DUM_OK)
            dumi_shift_row(first);
    }
    dumi_free(data->context, rows);
    return status;
}

dum_status dum_encoder_embed_dataset(const dum_encoder *encoder, const dum_dataset *data, float *out)
{
    dumi_clear_error();
    DUMI_NOT_NULL(encoder);
    DUMI_NOT_NULL(data);
    DUMI_NOT_NULL(out);
    return dumi_encoder_embed_watched(encoder, data, NULL, out);
}
