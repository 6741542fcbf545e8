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
