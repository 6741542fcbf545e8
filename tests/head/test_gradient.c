/* SPDX-License-Identifier: MIT
 * Gradients of each objective against central differences in double, through the head's output and the
 * network; and the invariants of the paper's objective. */
#include "../harness.h"
#include "head/head.h"

enum { ROWS = 12, COLS = 5, HIDDEN = 2, WIDTH = 7 };

typedef struct {
    bool poe, nested, cosine, anchor;
    int32_t bound, outputs;
    double prior;
} variant;

/* A network and one batch, on the backend ref: its gemm sums in double. */
typedef struct {
    variant v;
    dum_context *context;
    const dumi_backend *backend;
    dumi_stream *stream;
    dumi_mlp mlp;
    dumi_activations activations;
    float *parameters, z[ROWS * COLS], t[ROWS * COLS], s[ROWS * COLS], d_s[ROWS * COLS], d_o[ROWS * COLS];
} fixture;

static void open_fixture(fixture *f, variant v)
{
    dum_context_options options;
    DUM_INIT(options);
    options.backend = "ref";
    f->v = v;
    ck_ok(dum_context_create(&options, &f->context));
    f->backend = f->context->backend;
    ck_ok(f->backend->stream_create(f->context, 1, 64, 64, 64, &f->stream));
    dumi_mlp_shape(&f->mlp, COLS, v.outputs, HIDDEN, WIDTH);
    ck_ok(dumi_activations_create(f->context, &f->mlp, ROWS, true, &f->activations));
    f->parameters = malloc((f->mlp.parameters + 1) * sizeof *f->parameters);
    dumi_mlp_init(&f->mlp, 3, 1.0f, f->parameters);
    f->parameters[f->mlp.parameters] = 0.3f;
    dumi_rng rng;
    dumi_rng_init(&rng, 17, 99, 0);
    for (int i = 0; i < ROWS * COLS; i++) {
        f->z[i] = (float)dumi_rng_normal(&rng);
        f->t[i] = (float)(0.1 + dumi_rng_uniform(&rng));
    }
}

static void close_fixture(fixture *f)
{
    dumi_activations_destroy(f->context, &f->activations);
    f->backend->stream_destroy(f->stream);
    dum_context_destroy(f->context);
    free(f->parameters);
}

static dumi_head_shape head_shape(const fixture *f)
{
    return (dumi_head_shape){.rows = ROWS,
                             .cols = COLS,
                             .outputs = f->v.outputs,
                             .bound = f->v.bound,
                             .bound_scale = 3,
                             .anchor = f->v.anchor,
                             .epsilon = 1e-3f,
                             .offset = f->parameters + f->mlp.parameters,
                             .shrinkage = f->v.poe ? 0 : 0.7f};
}

static double loss(fixture *f)
{
    double value;
    dumi_mlp_forward(f->stream, f->backend, &f->mlp, f->parameters, NULL, ROWS, f->z, &f->activations);
    const dumi_head_shape shape = head_shape(f);
    f->backend->head(f->stream, &shape, f->activations.output, f->z, f->s);
    if (!f->v.poe) {
        const size_t count = (size_t)ROWS * (size_t)f->v.outputs;
        double squares;
        ck_ok(f->backend->local_loss(f->stream, ROWS, f->v.outputs, f->s, f->t, f->d_s, &value));
        ck_ok(f->backend->dot(f->stream, count, f->activations.output, f->activations.output, &squares));
        return value + 0.5 * (double)shape.shrinkage * squares / (double)count;
    }
    const dumi_poe_shape poe = {.rows = ROWS,
                                .cols = COLS,
                                .outputs = f->v.outputs,
                                .split = ROWS / 2,
                                .nested = f->v.nested,
                                .cosine = f->v.cosine,
                                .temperature = 0.5f,
                                .prior = (float)f->v.prior};
    ck_ok(f->backend->poe_loss(f->stream, &poe, f->z, f->s, f->d_s, &value));
    return value;
}

static void gradient(fixture *f, float *out)
{
    loss(f);
    const dumi_head_shape shape = head_shape(f);
    f->backend->head_backward(f->stream, &shape, f->activations.output, f->d_s, f->d_o,
                              out + f->mlp.parameters);
    const dumi_backprop b = {ROWS, f->z, &f->activations, f->d_o};
    dumi_mlp_deltas(f->stream, f->backend, &f->mlp, f->parameters, &b);
    for (int32_t l = 0; l < f->mlp.count; l++) {
        dumi_mlp_weight_gradient(f->stream, f->backend, &f->mlp, &b, l, out + f->mlp.layers[l].weights, NULL);
        f->backend->colsum(f->stream, ROWS, f->mlp.layers[l].outputs, dumi_mlp_delta(&f->mlp, &b, l),
                           out + f->mlp.layers[l].bias);
    }
}

/* The largest error among the parameters, relative to the length of the gradient. Steps are large, since the
 * weights are float32; a ReLU that changes its side within the step is what the few outliers are. */
static void check_gradient(variant v)
{
    fixture f;
    open_fixture(&f, v);
    const size_t count = f.mlp.parameters + 1;
    float *found = calloc(count, sizeof *found);
    gradient(&f, found);
    double length = 0;
    for (size_t i = 0; i < count; i++)
        length += (double)found[i] * (double)found[i];
    length = sqrt(length);
    ck_assert_double_gt(length, 1e-4);
    size_t outliers = 0;
    for (size_t i = 0; i < count; i++) {
        const float before = f.parameters[i];
        f.parameters[i] = before + 1e-3f;
        const double above_at = (double)f.parameters[i], above = loss(&f);
        f.parameters[i] = before - 1e-3f;
        const double below_at = (double)f.parameters[i], below = loss(&f);
        f.parameters[i] = before;
        const double expected = (above - below) / (above_at - below_at);
        outliers += fabs((double)found[i] - expected) > 2e-3 * length;
    }
    ck_assert_msg(outliers <= 2, "%zu of %zu derivatives are wrong", outliers, count);
    free(found);
    close_fixture(&f);
}

START_TEST(gradients)
{
    for (int bits = 0; bits < 64; bits++) {
        const variant v = {.poe = bits & 1,
                           .nested = bits & 2,
                           .cosine = bits & 4,
                           .anchor = bits & 8,
                           .bound = bits & 16 ? DUMI_BOUND_TANH : DUMI_BOUND_NONE,
                           .outputs = bits & 32 ? COLS : 1,
                           .prior = bits & 2 ? 0.1 : 0};
        check_gradient(v);
    }
}
END_TEST

/* Sum over rows of the gradient by s is 0 for each column, and a shift of s changes nothing. */
START_TEST(poe_invariants)
{
    for (int bits = 0; bits < 8; bits++) {
        fixture f;
        open_fixture(
            &f, (variant){.poe = true, .nested = bits & 1, .cosine = bits & 2, .outputs = bits & 4 ? COLS : 1});
        const double before = loss(&f);
        for (int32_t j = 0; j < f.v.outputs; j++) {
            double sum = 0;
            for (int i = 0; i < ROWS; i++)
                sum += (double)f.d_s[i * f.v.outputs + j];
            ck_assert_double_lt(fabs(sum), 1e-6);
        }
        f.parameters[f.mlp.parameters] += 30;
        ck_assert_double_eq_tol(loss(&f), before, 1e-5 * fabs(before));
        close_fixture(&f);
    }
}
END_TEST

/* A bag of rows with log-variances hundreds apart: nothing overflows. */
START_TEST(poe_extremes)
{
    fixture f;
    open_fixture(&f, (variant){.poe = true, .nested = true, .outputs = COLS});
    for (int i = 0; i < ROWS * COLS; i++)
        f.s[i] = (float)(i % 7 * 300 - 900);
    const dumi_poe_shape poe = {
        .rows = ROWS, .cols = COLS, .outputs = COLS, .split = ROWS / 2, .nested = true, .temperature = 0.07f};
    double value;
    ck_ok(f.backend->poe_loss(f.stream, &poe, f.z, f.s, f.d_s, &value));
    ck_assert(isfinite(value));
    for (int i = 0; i < ROWS * COLS; i++)
        ck_assert(isfinite(f.d_s[i]));
    close_fixture(&f);
}
END_TEST

/* A network so wide that no gradient is stored: the step is still -rate clip g / |g|, g over all layers. */
START_TEST(fused_step_is_clipped_gradient)
{
    enum { FEW = 3, WIDE = 64 };
    static const char *const backends[] = {"ref", "blis"};
    for (size_t which = 0; which < 2; which++) {
        dum_context_options options;
        DUM_INIT(options);
        options.backend = backends[which];
        dum_context *context;
        ck_ok(dum_context_create(&options, &context));
        const dumi_backend *backend = context->backend;
        dumi_stream *stream;
        ck_ok(backend->stream_create(context, 2, WIDE, WIDE, WIDE, &stream));
        dumi_mlp mlp;
        dumi_mlp_shape(&mlp, COLS, COLS, 3, WIDE);
        const size_t count = mlp.parameters + 1;
        float *weights = malloc(count * sizeof *weights), *before = malloc(count * sizeof *before);
        float *gradient = calloc(count, sizeof *gradient);
        dumi_mlp_init(&mlp, 5, 1.0f, weights);
        weights[mlp.parameters] = 0;
        memcpy(before, weights, count * sizeof *before);
        float z[FEW * COLS], d_output[FEW * COLS];
        dumi_rng rng;
        dumi_rng_init(&rng, 19, 99, 0);
        for (int i = 0; i < FEW * COLS; i++) {
            z[i] = (float)dumi_rng_normal(&rng);
            d_output[i] = (float)dumi_rng_normal(&rng);
        }
        dumi_activations activations;
        ck_ok(dumi_activations_create(context, &mlp, FEW, true, &activations));
        const dumi_backprop b = {FEW, z, &activations, d_output};
        dumi_mlp_forward(stream, backend, &mlp, weights, NULL, FEW, z, &activations);
        dumi_mlp_deltas(stream, backend, &mlp, weights, &b);

        dumi_optimiser optimiser = {
            .kind = DUMI_SGD, .clip = 0.01, .mlp = &mlp, .extra = 1, .parameters = weights};
        ck_ok(dumi_optimiser_create(context, stream, FEW, &optimiser));
        ck_assert(optimiser.fused);
        double squares = 0;
        for (int32_t l = 0; l < mlp.count; l++) {
            const dumi_layer *layer = &mlp.layers[l];
            dumi_mlp_weight_gradient(stream, backend, &mlp, &b, l, gradient + layer->weights, NULL);
            backend->colsum(stream, FEW, layer->outputs, dumi_mlp_delta(&mlp, &b, l), gradient + layer->bias);
            memcpy(dumi_optimiser_bias(&optimiser, l), gradient + layer->bias,
                   (size_t)layer->outputs * sizeof *gradient);
        }
        gradient[mlp.parameters] = 0.7f;
        *dumi_optimiser_bias(&optimiser, mlp.count) = 0.7f;
        ck_ok(backend->dot(stream, count, gradient, gradient, &squares));
        ck_assert_double_gt(sqrt(squares), 1);
        dumi_optimiser_gradient(stream, backend, &optimiser, &b);
        ck_ok(dumi_optimiser_step(stream, backend, &optimiser, &b, 1));
        for (size_t i = 0; i < count; i++)
            ck_assert_float_eq_tol(weights[i], before[i] - (float)(0.01 / sqrt(squares)) * gradient[i], 1e-6f);

        dumi_optimiser_destroy(context, &optimiser);
        dumi_activations_destroy(context, &activations);
        backend->stream_destroy(stream);
        dum_context_destroy(context);
        free(weights), free(before), free(gradient);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gradient");
    TCase *cases = tcase_create("gradient");
    tcase_add_test(cases, gradients);
    tcase_add_test(cases, poe_invariants);
    tcase_add_test(cases, poe_extremes);
    tcase_add_test(cases, fused_step_is_clipped_gradient);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
