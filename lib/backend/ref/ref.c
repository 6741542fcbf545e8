/* SPDX-License-Identifier: MIT
 * The reference backend: the plainest C that computes each operation, in double where that is what
 * makes it an oracle. */
#include "backend/ref/ref.h"

#include <math.h>
#include <stdio.h>

struct dumi_stream {
    dum_context *context;
};

struct dumi_packed {
    int32_t k, n;
    bool rounds; /* what it is multiplied with, to bfloat16, too */
    float values[];
};

static const char *unavailable(char *detail, size_t capacity)
{
    snprintf(detail, capacity, "plain C, one thread");
    return NULL;
}

static dum_status open_backend(dum_context *context)
{
    (void)context;
    return DUM_OK;
}

static void close_backend(dum_context *context)
{
    (void)context;
}

float *dumi_ref_alloc(dum_context *context, size_t count)
{
    return dumi_alloc(context, count, sizeof(float));
}

void dumi_ref_free(dum_context *context, float *buffer)
{
    dumi_free(context, buffer);
}

static dum_status stream_create(dum_context *context, int32_t threads, int32_t max_m, int32_t max_n,
                                int32_t max_k, dumi_stream **out)
{
    (void)threads;
    (void)max_m;
    (void)max_n;
    (void)max_k;
    DUMI_TRY(DUMI_NEW(context, *out, 1));
    (*out)->context = context;
    return DUM_OK;
}

static void stream_destroy(dumi_stream *stream)
{
    if (stream != NULL)
        dumi_free(stream->context, stream);
}

dum_status dumi_ref_sync(dumi_stream *stream)
{
    (void)stream;
    return DUM_OK;
}

void dumi_ref_upload(dumi_stream *stream, float *to, const float *from, size_t count)
{
    (void)stream;
    memcpy(to, from, count * sizeof *to);
}

dum_status dumi_ref_download(dumi_stream *stream, float *to, const float *from, size_t count)
{
    (void)stream;
    memcpy(to, from, count * sizeof *to);
    return DUM_OK;
}

void dumi_ref_copy(dumi_stream *stream, float *to, const float *from, size_t count)
{
    (void)stream;
    memcpy(to, from, count * sizeof *to);
}

void dumi_ref_fill(dumi_stream *stream, float *to, float value, size_t count)
{
    (void)stream;
    for (size_t i = 0; i < count; i++)
        to[i] = value;
}

static dumi_packed *pack(dum_context *context, const float *b, int32_t k, int32_t n, int32_t precision)
{
    const size_t count = (size_t)k * (size_t)n;
    dumi_packed *packed = dumi_alloc(context, sizeof *packed + count * sizeof(float), 1);
    if (packed == NULL)
        return NULL;
    packed->k = k;
    packed->n = n;
    packed->rounds = precision == DUMI_BFLOAT16;
    for (int32_t j = 0; j < n; j++) {
        const float scale = precision == DUMI_INT8 ? dumi_ref_int8_scale(b + j, k, n) : 1;
        for (int64_t at = j; at < (int64_t)count; at += n)
            packed->values[at] = precision == DUMI_FLOAT32    ? b[at]
                                 : precision == DUMI_BFLOAT16 ? dumi_bfloat16_value(dumi_bfloat16(b[at]))
                                                              : (float)dumi_ref_int8(b[at], scale) * scale;
    }
    return packed;
}

dumi_packed *dumi_ref_conv_pack(dum_context *context, const dumi_conv_shape *shape, const float *weights)
{
    return pack(context, weights, shape->kernel * shape->kernel * shape->cols, shape->outputs, DUMI_FLOAT32);
}

const float *dumi_ref_packed_values(const dumi_packed *packed)
{
    return packed->values;
}

static void unpack(dum_context *context, dumi_packed *packed)
{
    dumi_free(context, packed);
}

static void gemm(dumi_stream *stream, const dumi_gemm *g)
{
    (void)stream;
    const float *b = g->packed != NULL ? g->packed->values : g->b;
    const bool rounds = g->packed != NULL ? g->packed->rounds : g->precision == DUMI_BFLOAT16;
    const int64_t b_row = g->packed != NULL ? g->n : g->b_row, b_col = g->packed != NULL ? 1 : g->b_col;
    for (int64_t i = 0; i < g->m; i++) {
        for (int64_t j = 0; j < g->n; j++) {
            double sum = g->add ? (double)g->c[i * g->c_row + j] : 0;
            for (int64_t p = 0; p < g->k; p++) {
                const float x = g->a[i * g->a_row + p * g->a_col], y = b[p * b_row + j * b_col];
                sum += rounds ? (double)dumi_bfloat16_value(dumi_bfloat16(x)) *
                                    (double)dumi_bfloat16_value(dumi_bfloat16(y))
                              : (double)x * (double)y;
            }
            if (g->bias != NULL)
                sum += (double)g->bias[j];
            if (g->relu && sum < 0)
                sum = 0;
            if (g->mask != NULL && !(g->mask[i * g->n + j] > 0))
                sum = 0;
            g->c[i * g->c_row + j] = (float)sum;
        }
        if (g->update != NULL)
            dumi_ref_update(g->update, (size_t)i * (size_t)g->n, (size_t)g->n, g->c + i * g->c_row);
    }
}

const dumi_backend dumi_backend_ref = {
    .struct_size = sizeof(dumi_backend),
    .abi = DUMI_BACKEND_ABI,
    .name = "ref",
    .unavailable = unavailable,
    .open = open_backend,
    .close = close_backend,
    .alloc = dumi_ref_alloc,
    .free = dumi_ref_free,
    .stream_create = stream_create,
    .stream_destroy = stream_destroy,
    .sync = dumi_ref_sync,
    .upload = dumi_ref_upload,
    .download = dumi_ref_download,
    .copy = dumi_ref_copy,
    .fill = dumi_ref_fill,
    .pack = pack,
    .unpack = unpack,
    .gemm = gemm,
    .colsum = dumi_ref_colsum,
    .affine = dumi_ref_affine,
    .unit = dumi_ref_unit,
    .head = dumi_ref_head,
    .head_backward = dumi_ref_head_backward,
    .local_loss = dumi_ref_local_loss,
    .poe_loss = dumi_ref_poe_loss,
    .dot = dumi_ref_dot,
    .adam = dumi_ref_adam,
    .sgd = dumi_ref_sgd,
    .conv_reserve = dumi_ref_conv_reserve,
    .conv_pack = dumi_ref_conv_pack,
    .conv = dumi_ref_conv,
    .conv_input = dumi_ref_conv_input,
    .conv_weights = dumi_ref_conv_weights,
    .batch_moments = dumi_ref_batch_moments,
    .batch_norm = dumi_ref_batch_norm,
    .batch_norm_backward = dumi_ref_batch_norm_backward,
    .pool_max = dumi_ref_pool_max,
    .pool_max_backward = dumi_ref_pool_max_backward,
    .pool_mean = dumi_ref_pool_mean,
    .pool_mean_backward = dumi_ref_pool_mean_backward,
    .unit_backward = dumi_ref_unit_backward,
    .cross_entropy = dumi_ref_cross_entropy,
    .norm = dumi_ref_norm,
};
