/* SPDX-License-Identifier: MIT
 * The plain C operations: serial, on ordinary memory. Other CPU backends put those that need no
 * better version into their own tables. */
#ifndef DUMI_REF_H
#define DUMI_REF_H

#include "backend/backend.h"

float *dumi_ref_alloc(dum_context *context, size_t count);
void dumi_ref_free(dum_context *context, float *buffer);
dum_status dumi_ref_sync(dumi_stream *stream);
void dumi_ref_upload(dumi_stream *stream, float *to, const float *from, size_t count);
dum_status dumi_ref_download(dumi_stream *stream, float *to, const float *from, size_t count);
void dumi_ref_copy(dumi_stream *stream, float *to, const float *from, size_t count);
void dumi_ref_fill(dumi_stream *stream, float *to, float value, size_t count);

void dumi_ref_colsum(dumi_stream *stream, int32_t rows, int32_t cols, const float *a, float *out);
void dumi_ref_affine(dumi_stream *stream, int32_t rows, int32_t cols, const float *x, const float *shift,
                     const float *scale, float *out);
void dumi_ref_unit(dumi_stream *stream, int32_t rows, int32_t cols, float *z);
void dumi_ref_head(dumi_stream *stream, const dumi_head_shape *shape, const float *o, const float *z, float *s);
void dumi_ref_head_backward(dumi_stream *stream, const dumi_head_shape *shape, const float *o, const float *d_s,
                            float *d_o, float *d_offset);
dum_status dumi_ref_local_loss(dumi_stream *stream, int32_t rows, int32_t outputs, const float *s,
                               const float *t, float *d_s, double *loss);
dum_status dumi_ref_poe_loss(dumi_stream *stream, const dumi_poe_shape *shape, const float *z, const float *s,
                             float *d_s, double *loss);
dum_status dumi_ref_dot(dumi_stream *stream, size_t count, const float *x, const float *y, double *sum);
void dumi_ref_adam(dumi_stream *stream, size_t count, const dumi_step *step, const float *gradient,
                   float *weights, float *first, float *second);
void dumi_ref_sgd(dumi_stream *stream, size_t count, const dumi_step *step, const float *gradient,
                  float *weights, float *velocity);
/* The step for `count` weights from `at` on. */
void dumi_ref_update(const dumi_update *update, size_t at, size_t count, const float *gradient);
dum_status dumi_ref_norm(dumi_stream *stream, int32_t rows, int32_t outputs, int32_t norm, const float *s,
                         double *scores);

dum_status dumi_ref_conv_reserve(dumi_stream *stream, const dumi_conv_shape *shape);
/* Of the ref backend's own packs. */
const float *dumi_ref_packed_values(const dumi_packed *packed);
dumi_packed *dumi_ref_conv_pack(dum_context *context, const dumi_conv_shape *shape, const float *weights);
void dumi_ref_conv(dumi_stream *stream, const dumi_conv *conv, const float *x, float *y);
void dumi_ref_conv_input(dumi_stream *stream, const dumi_conv_shape *shape, const float *weights,
                         const float *d_y, bool add, float *d_x);
void dumi_ref_conv_weights(dumi_stream *stream, const dumi_conv_shape *shape, const float *x, const float *d_y,
                           float *d_weights);
void dumi_ref_batch_moments(dumi_stream *stream, int32_t rows, int32_t cols, const float *x, float *mean,
                            float *variance);
void dumi_ref_batch_norm(dumi_stream *stream, const dumi_batch_norm *norm, const float *x, const float *add,
                         bool relu, float *y);
void dumi_ref_batch_norm_backward(dumi_stream *stream, const dumi_batch_norm *norm, const float *x,
                                  const float *y, float *d, float *d_add, bool more, float *d_gamma,
                                  float *d_beta);
void dumi_ref_pool_max(dumi_stream *stream, const dumi_conv_shape *shape, const float *x, float *y);
void dumi_ref_pool_max_backward(dumi_stream *stream, const dumi_conv_shape *shape, const float *x,
                                const float *d_y, float *d_x);
void dumi_ref_pool_mean(dumi_stream *stream, int32_t images, int32_t pixels, int32_t cols, const float *x,
                        float *y);
void dumi_ref_pool_mean_backward(dumi_stream *stream, int32_t images, int32_t pixels, int32_t cols,
                                 const float *d_y, bool add, float *d_x);
void dumi_ref_unit_backward(dumi_stream *stream, int32_t rows, int32_t cols, const float *z, float *d);
/* One row; returns its loss. */
double dumi_ref_entropy_row(const dumi_cross_entropy *shape, int64_t row, const float *logits, float *d_logits,
                            float *d_row_scale, bool *right);
dum_status dumi_ref_cross_entropy(dumi_stream *stream, const dumi_cross_entropy *shape, const float *logits,
                                  float *d_logits, float *d_row_scale, double *loss, int64_t *right);

/* Narrow numbers. bfloat16: the upper half of a float32, to the nearest, ties to even. */
static inline uint16_t dumi_bfloat16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static inline float dumi_bfloat16_value(uint16_t half)
{
    const uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The scale of one column of `count` values, `stride` apart; a value in units of it. */
float dumi_ref_int8_scale(const float *column, int32_t count, int64_t stride);
int8_t dumi_ref_int8(float value, float scale);

#endif
