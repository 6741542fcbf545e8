/* SPDX-License-Identifier: MIT
 * Encoders. "identity" is the one kind so far: the input is an embedding already. */
#include "encoder/encoder.h"

dum_status dum_encoder_create(dum_context *context, const char *kind, dum_encoder **out)
{
    dumi_clear_error();
    DUMI_NOT_NULL(out);
    *out = NULL;
    DUMI_NOT_NULL(context);
    DUMI_NOT_NULL(kind);
    DUMI_REQUIRE(strcmp(kind, "identity") == 0, DUM_ERR_ARGUMENT, "kind is \"%.40s\", expected identity", kind);
    dum_encoder *encoder;
    DUMI_TRY(DUMI_NEW(context, encoder, 1));
    encoder->context = dumi_context_keep(context);
    atomic_init(&encoder->references, 1);
    encoder->kind = "identity";
    *out = encoder;
    return DUM_OK;
}

dum_encoder *dumi_encoder_keep(dum_encoder *encoder)
{
    atomic_fetch_add_explicit(&encoder->references, 1, memory_order_relaxed);
    return encoder;
}

void dum_encoder_destroy(dum_encoder *encoder)
{
    if (encoder == NULL || atomic_fetch_sub_explicit(&encoder->references, 1, memory_order_acq_rel) != 1)
        return;
    dum_context *context = encoder->context;
    dumi_free(context, encoder);
    dum_context_destroy(context);
}

int32_t dum_encoder_embedding_cols(const dum_encoder *encoder, int32_t cols)
{
    return encoder != NULL && cols >= 1 ? cols : 0;
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
    for (int64_t i = 0; i < rows; i++)
        memcpy(out + i * cols, data + i * row_stride, (size_t)cols * sizeof *out);
    return DUM_OK;
}
