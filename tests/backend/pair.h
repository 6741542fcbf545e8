/* SPDX-License-Identifier: MIT
 * ref and another backend side by side, and arrays with guard values. */
#ifndef PAIR_H
#define PAIR_H

#include "../harness.h"
#include "backend/backend.h"

enum { GUARD = 16 };
static const float GUARD_VALUE = 12345.0f;

static dum_context *open_context(const char *backend, int32_t threads)
{
    dum_context_options options;
    DUM_INIT(options);
    options.backend = backend;
    options.threads = threads;
    dum_context *context;
    ck_assert_msg(dum_context_create(&options, &context) == DUM_OK, "%s", dum_error_message());
    return context;
}

static float *random_floats(dumi_rng *rng, size_t count)
{
    ck_assert_uint_lt(count, SIZE_MAX / 8);
    float *values = malloc((count + 2 * GUARD) * sizeof *values);
    ck_assert_ptr_nonnull(values);
    for (size_t i = 0; i < count + 2 * GUARD; i++)
        values[i] = i < GUARD || i >= count + GUARD ? GUARD_VALUE : (float)dumi_rng_normal(rng);
    return values + GUARD;
}

static void check_guard(const float *values, size_t count)
{
    for (size_t i = 0; i < GUARD; i++) {
        ck_assert(values[-(ptrdiff_t)i - 1] == GUARD_VALUE);
        ck_assert(values[count + i] == GUARD_VALUE);
    }
}

static void drop(float *values)
{
    free(values - GUARD);
}

static void check_close(const float *a, const float *b, size_t count, double tolerance)
{
    for (size_t i = 0; i < count; i++) {
        const double scale = 1 + fabs((double)b[i]);
        ck_assert_msg(fabs((double)a[i] - (double)b[i]) <= tolerance * scale,
                      "element %zu of %zu: %g, expected %g", i, count, (double)a[i], (double)b[i]);
    }
}

/* The two tables and a stream of each. */
typedef struct {
    dum_context *ref, *other;
    dumi_stream *ref_stream, *other_stream;
    const dumi_backend *r, *o;
} pair;

static pair open_pair(int32_t threads)
{
    pair p = {.ref = open_context("ref", 1), .other = open_context("blis", threads)};
    p.r = p.ref->backend;
    p.o = p.other->backend;
    ck_assert_int_eq(p.r->stream_create(p.ref, 1, 512, 512, 512, &p.ref_stream), DUM_OK);
    ck_assert_int_eq(p.o->stream_create(p.other, threads, 512, 512, 512, &p.other_stream), DUM_OK);
    return p;
}

static void close_pair(pair *p)
{
    p->r->stream_destroy(p->ref_stream);
    p->o->stream_destroy(p->other_stream);
    ck_assert_uint_gt(dum_context_bytes(p->ref), 0);
    dum_context_destroy(p->ref);
    dum_context_destroy(p->other);
}

#endif
