/* SPDX-License-Identifier: MIT
 * Long vectors in pieces of fixed length, so that sums do not depend on the number of threads. */
#include "backend/blis/stream.h"

enum { PIECE = 1 << 15 };

typedef struct {
    dumi_stream *stream;
    size_t count;
    const dumi_step *step;
    const float *gradient;
    float *weights, *first, *second;
    const float *other;
    double *sums;
} vectors;

static size_t piece_of(const vectors *v, int64_t task, size_t *start)
{
    *start = (size_t)task * PIECE;
    return v->count - *start < PIECE ? v->count - *start : PIECE;
}

static void adam_task(void *argument, int64_t task, int32_t worker)
{
    (void)worker;
    const vectors *v = argument;
    size_t start;
    const size_t count = piece_of(v, task, &start);
    dumi_ref_adam(v->stream, count, v->step, v->gradient + start, v->weights + start, v->first + start,
                  v->second + start);
}

static void sgd_task(void *argument, int64_t task, int32_t worker)
{
    (void)worker;
    const vectors *v = argument;
    size_t start;
    const size_t count = piece_of(v, task, &start);
    dumi_ref_sgd(v->stream, count, v->step, v->gradient + start, v->weights + start, v->first + start);
}

static void for_pieces(dumi_stream *stream, vectors *v, double cost, dumi_task_fn task)
{
    const int64_t pieces = (int64_t)((v->count + PIECE - 1) / PIECE);
    dumi_parallel(stream->context, stream->threads, pieces, cost * (double)v->count, task, v);
}

void dumi_blis_adam(dumi_stream *stream, size_t count, const dumi_step *step, const float *gradient,
                    float *weights, float *first, float *second)
{
    vectors v = {stream, count, step, gradient, weights, first, second, NULL, NULL};
    for_pieces(stream, &v, 16, adam_task);
}

void dumi_blis_sgd(dumi_stream *stream, size_t count, const dumi_step *step, const float *gradient,
                   float *weights, float *velocity)
{
    vectors v = {stream, count, step, gradient, weights, velocity, NULL, NULL, NULL};
    for_pieces(stream, &v, 8, sgd_task);
}

enum { SUMS = 256 }; /* partial sums, added in order at the end */

static void dot_task(void *argument, int64_t task, int32_t worker)
{
    (void)worker;
    const vectors *v = argument;
    const size_t share = (v->count + SUMS - 1) / SUMS, start = (size_t)task * share;
    const size_t count = start >= v->count ? 0 : v->count - start < share ? v->count - start : share;
    dumi_ref_dot(v->stream, count, v->gradient + start, v->other + start, &v->sums[task]);
}

dum_status dumi_blis_dot(dumi_stream *stream, size_t count, const float *x, const float *y, double *sum)
{
    double sums[SUMS];
    vectors v = {stream, count, NULL, x, NULL, NULL, NULL, y, sums};
    dumi_parallel(stream->context, stream->threads, SUMS, 4.0 * (double)count, dot_task, &v);
    *sum = 0;
    for (int i = 0; i < SUMS; i++)
        *sum += sums[i];
    return DUM_OK;
}
