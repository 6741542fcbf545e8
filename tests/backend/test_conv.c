/* SPDX-License-Identifier: MIT
 * Convolutions, batch norms, pools and cross-entropy of the blis backend against ref. */
#include "pair.h"

static size_t inputs_of(const dumi_conv_shape *s)
{
    return (size_t)s->images * (size_t)s->height * (size_t)s->width * (size_t)s->cols;
}

static size_t outputs_of(const dumi_conv_shape *s)
{
    return (size_t)s->images * (size_t)dumi_conv_out(s, s->height) * (size_t)dumi_conv_out(s, s->width) *
           (size_t)s->outputs;
}

static size_t weights_of(const dumi_conv_shape *s)
{
    return (size_t)s->kernel * (size_t)s->kernel * (size_t)s->cols * (size_t)s->outputs;
}

static int32_t between(dumi_rng *rng, int32_t least, int32_t most)
{
    return least + (int32_t)dumi_rng_below(rng, (uint64_t)(most - least + 1));
}

static dumi_conv_shape random_shape(dumi_rng *rng)
{
    static const int32_t kernels[] = {1, 3, 3, 5, 7}, strides[] = {1, 1, 2, 3};
    dumi_conv_shape s = {.images = between(rng, 1, 9),
                         .height = between(rng, 1, 14),
                         .width = between(rng, 1, 14),
                         .cols = between(rng, 1, 20),
                         .outputs = between(rng, 1, 40),
                         .kernel = kernels[dumi_rng_below(rng, 5)],
                         .stride = strides[dumi_rng_below(rng, 4)]};
    s.padding = between(rng, 0, s.kernel / 2);
    while (s.height + 2 * s.padding < s.kernel || s.width + 2 * s.padding < s.kernel)
        s.padding++;
    return s;
}

static void forward_matches(pair *p, dumi_rng *rng, const dumi_conv_shape *s, uint32_t flags)
{
    const size_t count = outputs_of(s);
    float *x = random_floats(rng, inputs_of(s)), *weights = random_floats(rng, weights_of(s));
    float *bias = random_floats(rng, (size_t)s->outputs), *add = random_floats(rng, count);
    float *y = random_floats(rng, count), *expected = random_floats(rng, count);
    dumi_conv conv = {.shape = *s,
                      .weights = weights,
                      .bias = flags & 1 ? bias : NULL,
                      .add = flags & 2 ? add : NULL,
                      .relu = flags & 4};
    p->r->conv(p->ref_stream, &conv, x, expected);
    dumi_packed *packed = flags & 8 ? p->o->conv_pack(p->other, s, weights) : NULL;
    conv.packed = packed;
    p->o->conv(p->other_stream, &conv, x, y);
    check_close(y, expected, count, 1e-5 * sqrt(s->kernel * s->kernel * s->cols));
    check_guard(y, count);
    p->o->unpack(p->other, packed);
    drop(x), drop(weights), drop(bias), drop(add), drop(y), drop(expected);
}

static void gradients_match(pair *p, dumi_rng *rng, const dumi_conv_shape *s, bool add)
{
    float *x = random_floats(rng, inputs_of(s)), *weights = random_floats(rng, weights_of(s));
    float *d_y = random_floats(rng, outputs_of(s));
    float *d_x = random_floats(rng, inputs_of(s)), *expected_x = random_floats(rng, inputs_of(s));
    float *d_w = random_floats(rng, weights_of(s)), *expected_w = random_floats(rng, weights_of(s));
    memcpy(expected_x, d_x, inputs_of(s) * sizeof *d_x);
    p->r->conv_input(p->ref_stream, s, weights, d_y, add, expected_x);
    p->o->conv_input(p->other_stream, s, weights, d_y, add, d_x);
    check_close(d_x, expected_x, inputs_of(s), 1e-5 * sqrt(s->kernel * s->kernel * s->outputs));
    check_guard(d_x, inputs_of(s));
    p->r->conv_weights(p->ref_stream, s, x, d_y, expected_w);
    p->o->conv_weights(p->other_stream, s, x, d_y, d_w);
    check_close(d_w, expected_w, weights_of(s), 2e-5 * sqrt((double)outputs_of(s) / s->outputs));
    check_guard(d_w, weights_of(s));
    drop(x), drop(weights), drop(d_y), drop(d_x), drop(expected_x), drop(d_w), drop(expected_w);
}

START_TEST(convolutions_match)
{
    pair p = open_pair(3);
    dumi_rng rng;
    dumi_rng_init(&rng, 3, DUMI_RNG_WEIGHTS, 0);
    static const dumi_conv_shape chosen[] = {
        {2, 32, 32, 16, 16, 3, 1, 1}, {3, 17, 18, 16, 32, 3, 2, 1}, {2, 8, 8, 32, 48, 1, 2, 0},
        {1, 75, 90, 3, 16, 7, 2, 3},  {40, 4, 4, 64, 64, 3, 1, 1},  {2, 5, 5, 16, 16, 1, 1, 0},
        {1, 3, 5000, 1, 3, 3, 1, 1},  {1, 1, 1, 300, 520, 3, 1, 1},
    };
    for (size_t i = 0; i < 150; i++) {
        const size_t fixed = sizeof chosen / sizeof chosen[0];
        const dumi_conv_shape s = i < fixed ? chosen[i] : random_shape(&rng);
        ck_assert_int_eq(p.o->conv_reserve(p.other_stream, &s), DUM_OK);
        forward_matches(&p, &rng, &s, (uint32_t)i % 16);
        gradients_match(&p, &rng, &s, i % 2);
    }
    close_pair(&p);
}
END_TEST

static void run_all(int32_t threads, const dumi_conv_shape *s, const float *x, const float *weights,
                    const float *d_y, float *out)
{
    dum_context *context = open_context("blis", threads);
    const dumi_backend *b = context->backend;
    dumi_stream *stream;
    ck_assert_int_eq(b->stream_create(context, threads, 16, 16, 16, &stream), DUM_OK);
    ck_assert_int_eq(b->conv_reserve(stream, s), DUM_OK);
    const dumi_conv conv = {.shape = *s, .weights = weights};
    float *y = out, *d_x = y + outputs_of(s), *d_w = d_x + inputs_of(s), *moments = d_w + weights_of(s);
    b->conv(stream, &conv, x, y);
    b->conv_input(stream, s, weights, d_y, false, d_x);
    b->conv_weights(stream, s, x, d_y, d_w);
    b->batch_moments(stream, (int32_t)(outputs_of(s) / (size_t)s->outputs), s->outputs, y, moments,
                     moments + s->outputs);
    b->stream_destroy(stream);
    dum_context_destroy(context);
}

START_TEST(threads_do_not_matter)
{
    const dumi_conv_shape shapes[] = {
        {30, 16, 16, 16, 32, 3, 2, 1}, {33, 4, 4, 64, 96, 3, 1, 1}, {1, 40, 40, 16, 80, 3, 1, 1}};
    dumi_rng rng;
    dumi_rng_init(&rng, 4, DUMI_RNG_WEIGHTS, 0);
    for (int i = 0; i < 3; i++) {
        const dumi_conv_shape *s = &shapes[i];
        float *x = random_floats(&rng, inputs_of(s)), *weights = random_floats(&rng, weights_of(s));
        float *d_y = random_floats(&rng, outputs_of(s));
        const size_t count = outputs_of(s) + inputs_of(s) + weights_of(s) + 2 * (size_t)s->outputs;
        float *first = random_floats(&rng, count), *other = random_floats(&rng, count);
        run_all(1, s, x, weights, d_y, first);
        for (int32_t threads = 2; threads <= 5; threads++) {
            run_all(threads, s, x, weights, d_y, other);
            ck_assert_mem_eq(first, other, count * sizeof *first);
        }
        drop(x), drop(weights), drop(d_y), drop(first), drop(other);
    }
}
END_TEST

/* A batch far from 0, so that moments need care. */
static void one_batch(pair *p, dumi_rng *rng, int32_t rows, int32_t cols, uint32_t flags)
{
    const size_t count = (size_t)rows * (size_t)cols, wide = (size_t)cols;
    float *x = random_floats(rng, count), *add = random_floats(rng, count), *gamma = random_floats(rng, wide);
    float *beta = random_floats(rng, wide), *moments = random_floats(rng, 2 * wide);
    float *expected = random_floats(rng, 2 * wide), *y = random_floats(rng, count);
    float *expected_y = random_floats(rng, count);
    float *sums[2] = {random_floats(rng, 2 * wide), random_floats(rng, 2 * wide)};
    float *d[2] = {random_floats(rng, count), random_floats(rng, count)};
    float *d_add[2] = {random_floats(rng, count), random_floats(rng, count)};
    for (size_t i = 0; i < count; i++)
        x[i] += 30;
    p->r->batch_moments(p->ref_stream, rows, cols, x, expected, expected + cols);
    p->o->batch_moments(p->other_stream, rows, cols, x, moments, moments + cols);
    check_close(moments, expected, 2 * wide, 1e-5);
    check_guard(moments, 2 * wide);
    const dumi_batch_norm norm = {rows, cols, 1e-5f, gamma, beta, expected, expected + cols, (flags & 8) != 0};
    p->r->batch_norm(p->ref_stream, &norm, x, flags & 1 ? add : NULL, flags & 2, expected_y);
    p->o->batch_norm(p->other_stream, &norm, x, flags & 1 ? add : NULL, flags & 2, y);
    check_close(y, expected_y, count, 1e-3);
    check_guard(y, count);
    memcpy(d[1], d[0], count * sizeof *y);
    memcpy(d_add[1], d_add[0], count * sizeof *y);
    const float *mask = flags & 2 ? expected_y : NULL;
    float *handed[2] = {flags & 1 ? d_add[0] : NULL, flags & 1 ? d_add[1] : NULL};
    p->r->batch_norm_backward(p->ref_stream, &norm, x, mask, d[0], handed[0], flags & 4, sums[0],
                              sums[0] + cols);
    p->o->batch_norm_backward(p->other_stream, &norm, x, mask, d[1], handed[1], flags & 4, sums[1],
                              sums[1] + cols);
    check_close(sums[1], sums[0], 2 * wide, 1e-4);
    check_close(d[1], d[0], count, 1e-3);
    check_close(d_add[1], d_add[0], count, 1e-6);
    check_guard(d[1], count), check_guard(d_add[1], count);
    drop(x), drop(add), drop(gamma), drop(beta), drop(moments), drop(expected), drop(y), drop(expected_y);
    drop(sums[0]), drop(sums[1]), drop(d[0]), drop(d[1]), drop(d_add[0]), drop(d_add[1]);
}

START_TEST(batch_norms_match)
{
    pair p = open_pair(2);
    dumi_rng rng;
    dumi_rng_init(&rng, 5, DUMI_RNG_WEIGHTS, 0);
    const dumi_conv_shape widest = {1, 1, 1, 1, 200, 1, 1, 0};
    ck_assert_int_eq(p.o->conv_reserve(p.other_stream, &widest), DUM_OK);
    for (uint32_t i = 0; i < 60; i++)
        one_batch(&p, &rng, between(&rng, 2, 600), between(&rng, 1, 200), i % 16);
    close_pair(&p);
}
END_TEST

START_TEST(cross_entropies_match)
{
    pair p = open_pair(2);
    dumi_rng rng;
    dumi_rng_init(&rng, 6, DUMI_RNG_WEIGHTS, 0);
    for (uint32_t i = 0; i < 60; i++) {
        dumi_cross_entropy shape = {between(&rng, 1, 90), between(&rng, 2, 130), -1, 4, NULL, NULL};
        const size_t rows = (size_t)shape.rows, count = rows * (size_t)shape.cols;
        float *logits = random_floats(&rng, count), *labels = random_floats(&rng, rows);
        float *scales = random_floats(&rng, rows),
              *d[2] = {random_floats(&rng, count), random_floats(&rng, count)};
        float *d_scale[2] = {random_floats(&rng, rows), random_floats(&rng, rows)};
        shape.skip = i % 2 ? between(&rng, 0, 3) : -1;
        for (int64_t r = 0; r < shape.rows; r++) {
            do
                labels[r] = (float)between(&rng, 0, shape.cols - 1);
            while ((int64_t)labels[r] == r + shape.skip && shape.skip >= 0);
        }
        shape.labels = labels;
        shape.row_scale = i % 3 ? scales : NULL;
        double loss[2];
        int64_t right[2];
        p.r->cross_entropy(p.ref_stream, &shape, logits, d[0], d_scale[0], &loss[0], &right[0]);
        p.o->cross_entropy(p.other_stream, &shape, logits, d[1], d_scale[1], &loss[1], &right[1]);
        ck_assert_double_eq_tol(loss[1], loss[0], 1e-6 * (1 + fabs(loss[0])));
        ck_assert_int_eq(right[0], right[1]);
        check_close(d[1], d[0], count, 1e-5), check_close(d_scale[1], d_scale[0], rows, 1e-5);
        check_guard(d[1], count), check_guard(d_scale[1], rows);
        drop(logits), drop(labels), drop(scales), drop(d[0]), drop(d[1]), drop(d_scale[0]), drop(d_scale[1]);
    }
    close_pair(&p);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conv");
    TCase *cases = tcase_create("convolution");
    tcase_set_timeout(cases, 300);
    tcase_add_test(cases, convolutions_match);
    tcase_add_test(cases, threads_do_not_matter);
    tcase_add_test(cases, batch_norms_match);
    tcase_add_test(cases, cross_entropies_match);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
