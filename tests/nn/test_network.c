/* SPDX-License-Identifier: MIT
 * Networks of encoders: gradients of every kind of unit against central differences, inference against the
 * training pass, shapes as torchvision has them. */
#include "../harness.h"
#include "nn/network.h"

/* What a test holds: a network in training with one gradient, made from random weights by the output. */
typedef struct {
    dum_context *context;
    const dumi_backend *backend;
    dumi_stream *stream;
    dumi_network network;
    dumi_batch_run run;
    float *parameters, *statistics, *gradient, *slope;
    int32_t output;
    size_t outputs;
} bench;

static void open_bench(bench *b, const char *backend, int32_t images, int32_t output)
{
    dum_context_options options;
    DUM_INIT(options);
    options.backend = backend;
    options.threads = 2;
    ck_assert_int_eq(dum_context_create(&options, &b->context), DUM_OK);
    b->backend = b->context->backend;
    ck_assert_int_eq(b->backend->stream_create(b->context, 2, 64, 64, 64, &b->stream), DUM_OK);
    const dumi_network *n = &b->network;
    b->parameters = b->backend->alloc(b->context, n->parameters);
    b->gradient = b->backend->alloc(b->context, n->parameters);
    b->statistics = b->backend->alloc(b->context, n->statistics + 1);
    dumi_network_init(n, 3, b->parameters, b->statistics);
    ck_assert_int_eq(dumi_batch_run_create(b->context, b->stream, n, images, true, &b->run), DUM_OK);
    b->output = output;
    b->outputs = dumi_network_size(n, output) * (size_t)images;
    b->slope = b->backend->alloc(b->context, b->outputs);
    dumi_rng rng;
    dumi_rng_init(&rng, 9, DUMI_RNG_WEIGHTS, 77);
    for (size_t i = 0; i < b->outputs; i++)
        b->slope[i] = (float)dumi_rng_normal(&rng);
    for (size_t i = 0; i < dumi_network_size(n, 0) * (size_t)images; i++)
        b->run.values[0][i] = (float)dumi_rng_normal(&rng);
    /* Batch norms that are not the identity. */
    for (size_t i = 0; i < n->parameters; i++)
        b->parameters[i] += 0.1f * (float)dumi_rng_normal(&rng);
}

static void close_bench(bench *b)
{
    dumi_batch_run_destroy(&b->run);
    float *const buffers[] = {b->parameters, b->gradient, b->statistics, b->slope};
    for (size_t i = 0; i < 4; i++)
        b->backend->free(b->context, buffers[i]);
    b->backend->stream_destroy(b->stream);
    dum_context_destroy(b->context);
}

static double loss(bench *b)
{
    dumi_batch_run_forward(&b->run, b->parameters, NULL);
    double sum = 0;
    for (size_t i = 0; i < b->outputs; i++)
        sum += (double)b->slope[i] * (double)b->run.values[b->output][i];
    return sum;
}

/* Along directions that are half the gradient and half chance, unit by unit: a step each way. ReLUs bend the line,
 * so that a share of the directions may be off by more. */
static void check_unit(bench *b, const dumi_unit *u, dumi_rng *rng)
{
    const size_t from = u->weights, count = dumi_unit_weights(u) +
                                            (u->kind == DUMI_UNIT_CONV ? 2u : 1u) * (size_t)u->shape.outputs;
    float *saved = b->backend->alloc(b->context, count), *direction = b->backend->alloc(b->context, count);
    memcpy(saved, b->parameters + from, count * sizeof *saved);
    double length = 0;
    for (size_t p = 0; p < count; p++)
        length += (double)b->gradient[from + p] * (double)b->gradient[from + p];
    length = sqrt(length);
    ck_assert_msg(length > 0, "%s has no gradient", u->name);
    enum { TRIES = 9 };
    int near = 0;
    double worst = 0;
    for (int i = 0; i < TRIES; i++) {
        const double step = 0.01 / (length + 1);
        double expected = 0, sides[2];
        for (size_t p = 0; p < count; p++) {
            direction[p] =
                (float)((double)b->gradient[from + p] / length + dumi_rng_normal(rng) / sqrt((double)count));
            expected += (double)direction[p] * (double)b->gradient[from + p];
        }
        for (int side = 0; side < 2; side++) {
            for (size_t p = 0; p < count; p++)
                b->parameters[from + p] = saved[p] + (float)((side ? -step : step) * (double)direction[p]);
            sides[side] = loss(b);
        }
        const double error = fabs((sides[0] - sides[1]) / (2 * step) - expected);
        near += error <= 0.03 * length + 0.01;
        worst = error > worst ? error : worst;
        memcpy(b->parameters + from, saved, count * sizeof *saved);
    }
    ck_assert_msg(near >= TRIES - 2, "%s: %d of %d directions agree, the worst is off by %g of %g", u->name,
                  near, TRIES, worst, length);
    b->backend->free(b->context, saved);
    b->backend->free(b->context, direction);
}

static void check_gradients(bench *b)
{
    dumi_rng rng;
    dumi_rng_init(&rng, 10, DUMI_RNG_WEIGHTS, 1);
    loss(b);
    memcpy(dumi_batch_run_gradient(&b->run, b->output), b->slope, b->outputs * sizeof *b->slope);
    dumi_batch_run_backward(&b->run, b->parameters, b->gradient);
    for (int32_t i = 0; i < b->network.units; i++)
        if (dumi_unit_has_weights(&b->network.unit[i]))
            check_unit(b, &b->network.unit[i], &rng);
}

START_TEST(gradients_of_residual_networks)
{
    static const int32_t depths[] = {8, 18, 50, 18},
                         stems[] = {DUMI_STEM_SMALL, DUMI_STEM_SMALL, DUMI_STEM_SMALL, DUMI_STEM_LARGE};
    for (int i = 0; i < 4; i++) {
        bench b = {0};
        const int32_t size = stems[i] == DUMI_STEM_LARGE ? 35 : 9;
        ck_assert_int_eq(dumi_resnet(&b.network, depths[i], stems[i], 8, (dumi_tensor_shape){size, size, 3}),
                         DUM_OK);
        dumi_network_project(&b.network, 5);
        open_bench(&b, "blis", 16, b.network.projection);
        check_gradients(&b);
        close_bench(&b);
    }
}
END_TEST

START_TEST(gradients_of_layers)
{
    bench b = {0};
    dumi_mlp_network(&b.network, 7, 2, 12, 6);
    dumi_network_project(&b.network, 3);
    open_bench(&b, "blis", 20, b.network.projection);
    check_gradients(&b);
    close_bench(&b);
}
END_TEST

/* Two heads, the map and the features ask at once: their gradients add up. */
START_TEST(gradients_add_up)
{
    bench b = {0};
    ck_assert_int_eq(dumi_resnet(&b.network, 8, DUMI_STEM_SMALL, 4, (dumi_tensor_shape){8, 8, 1}), DUM_OK);
    dumi_network_project(&b.network, 5);
    dumi_network_project_map(&b.network, 3);
    const int32_t logits = b.network.logits = dumi_network_layer(&b.network, 4, "fc");
    open_bench(&b, "blis", 4, b.network.projection);
    const int32_t tensors[] = {b.network.map, b.network.features, b.network.projection, b.network.local,
                               logits};
    double *sum = calloc(b.network.parameters, sizeof *sum);
    for (int all = 0; all < 2; all++) {
        for (int i = 0; i < 5; i++) {
            if (!all || i == 0)
                dumi_batch_run_forward(&b.run, b.parameters, NULL);
            float *d = dumi_batch_run_gradient(&b.run, tensors[i]);
            for (size_t k = 0; k < dumi_network_size(&b.network, tensors[i]) * 4; k++)
                d[k] = 0.01f * (float)(k % 13) - 0.05f;
            if (all && i < 4)
                continue;
            dumi_batch_run_backward(&b.run, b.parameters, b.gradient);
            for (size_t p = 0; p < b.network.parameters; p++)
                sum[p] += all ? -(double)b.gradient[p] : (double)b.gradient[p];
        }
    }
    for (size_t p = 0; p < b.network.parameters; p++)
        ck_assert_double_le(fabs(sum[p]), 1e-4);
    free(sum);
    close_bench(&b);
}
END_TEST

/* By the input, past batch norms whose statistics are those of a trained network. */
static void check_input(bench *b)
{
    const size_t count = dumi_network_size(&b->network, 0) * (size_t)b->run.images;
    float *input = b->run.values[0], *saved = malloc(count * sizeof *saved), *d = malloc(count * sizeof *d);
    dumi_rng rng;
    dumi_rng_init(&rng, 2, DUMI_RNG_WEIGHTS, 5);
    for (size_t i = 0; i < b->network.statistics; i++)
        b->statistics[i] = (float)(0.5 + dumi_rng_uniform(&rng));
    dumi_batch_run_forward(&b->run, b->parameters, b->statistics);
    memcpy(dumi_batch_run_gradient(&b->run, b->output), b->slope, b->outputs * sizeof *b->slope);
    dumi_batch_run_backward(&b->run, b->parameters, NULL);
    memcpy(d, dumi_batch_run_gradient(&b->run, 0), count * sizeof *d);
    memcpy(saved, input, count * sizeof *saved);
    double length = 0, sides[2] = {0};
    for (size_t i = 0; i < count; i++)
        length += (double)d[i] * (double)d[i];
    length = sqrt(length);
    ck_assert_double_gt(length, 0);
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < count; i++)
            input[i] = saved[i] + (side ? -1e-3f : 1e-3f) * d[i] / (float)length;
        dumi_batch_run_forward(&b->run, b->parameters, b->statistics);
        for (size_t i = 0; i < b->outputs; i++)
            sides[side] += (double)b->slope[i] * (double)b->run.values[b->output][i];
    }
    ck_assert_double_eq_tol((sides[0] - sides[1]) / 2e-3, length, 0.03 * length);
    free(saved);
    free(d);
}

START_TEST(gradients_by_the_input)
{
    for (int layers = 0; layers < 4; layers++) {
        bench b = {0};
        if (layers < 3)
            dumi_mlp_network(&b.network, 7, layers, 12, 6);
        else
            ck_assert_int_eq(dumi_resnet(&b.network, 14, DUMI_STEM_LARGE, 8, (dumi_tensor_shape){33, 33, 3}),
                             DUM_OK);
        const int32_t logits = b.network.logits = dumi_network_layer(&b.network, 4, "fc");
        open_bench(&b, layers % 2 ? "blis" : "ref", 5, logits);
        float *input = malloc(dumi_network_size(&b.network, 0) * 5 * sizeof *input);
        memcpy(input, b.run.values[0], dumi_network_size(&b.network, 0) * 5 * sizeof *input);
        dumi_batch_run_destroy(&b.run);
        ck_assert_int_eq(dumi_batch_run_create(b.context, b.stream, &b.network, 5, DUMI_GRADIENT_INPUT, &b.run),
                         DUM_OK);
        memcpy(b.run.values[0], input, dumi_network_size(&b.network, 0) * 5 * sizeof *input);
        check_input(&b);
        free(input);
        close_bench(&b);
    }
}
END_TEST

START_TEST(inference_is_the_training_pass)
{
    bench b = {0};
    ck_assert_int_eq(dumi_resnet(&b.network, 18, DUMI_STEM_LARGE, 8, (dumi_tensor_shape){40, 36, 3}), DUM_OK);
    dumi_network_project(&b.network, 5);
    open_bench(&b, "blis", 6, b.network.projection);
    dumi_rng rng;
    dumi_rng_init(&rng, 1, DUMI_RNG_WEIGHTS, 2);
    for (size_t i = 0; i < b.network.statistics; i++)
        b.statistics[i] = (float)(0.5 + dumi_rng_uniform(&rng));
    dumi_batch_run_forward(&b.run, b.parameters, b.statistics);
    dumi_packed_network *packed;
    ck_assert_int_eq(dumi_packed_network_create(b.context, &b.network, b.parameters, b.statistics, &packed),
                     DUM_OK);
    const int32_t outputs[] = {b.network.map, b.network.features, b.network.projection};
    for (int i = 0; i < 3; i++) {
        dumi_inference inference;
        ck_assert_int_eq(dumi_inference_create(packed, 2, 6, &inference), DUM_OK);
        memcpy(dumi_inference_value(&inference, 0), b.run.values[0],
               6 * dumi_network_size(&b.network, 0) * sizeof(float));
        dumi_inference_run(packed, &inference, 6, 0, outputs[i]);
        const float *ours = dumi_inference_value(&inference, outputs[i]), *expected = b.run.values[outputs[i]];
        for (size_t k = 0; k < 6 * dumi_network_size(&b.network, outputs[i]); k++)
            ck_assert_double_le(fabs((double)ours[k] - (double)expected[k]),
                                1e-3 * (1 + fabs((double)expected[k])));
        dumi_inference_destroy(b.context, &inference);
    }
    dumi_packed_network_destroy(packed);
    close_bench(&b);
}
END_TEST

/* Numbers of parameters as torchvision's: resnet18 11,689,512 with its layer of 1000 classes, and so on. */
START_TEST(sizes_are_torchvisions)
{
    static const struct {
        int32_t depth;
        size_t parameters;
    } known[] = {{18, 11689512}, {34, 21797672}, {50, 25557032}};
    for (int i = 0; i < 3; i++) {
        dumi_network n;
        ck_assert_int_eq(dumi_resnet(&n, known[i].depth, DUMI_STEM_LARGE, 64, (dumi_tensor_shape){224, 224, 3}),
                         DUM_OK);
        dumi_network_layer(&n, 1000, "fc");
        ck_assert_uint_eq(n.parameters, known[i].parameters);
        ck_assert_int_eq(n.tensor[n.map].height, 7);
    }
    dumi_network n;
    ck_assert_int_eq(dumi_resnet(&n, 18, DUMI_STEM_SMALL, 64, (dumi_tensor_shape){7, 32, 3}), DUM_ERR_SHAPE);
    ck_assert_str_eq(dum_error_message(), "images are 7 x 32, expected at least 8 x 8 for this depth and stem");
    ck_assert_int_eq(dumi_resnet(&n, 19, DUMI_STEM_SMALL, 64, (dumi_tensor_shape){32, 32, 3}),
                     DUM_ERR_ARGUMENT);
    ck_assert_int_eq(dumi_resnet(&n, 68, DUMI_STEM_SMALL, 64, (dumi_tensor_shape){32, 32, 3}),
                     DUM_ERR_ARGUMENT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("network");
    TCase *cases = tcase_create("network");
    tcase_set_timeout(cases, 300);
    tcase_add_test(cases, gradients_of_residual_networks);
    tcase_add_test(cases, gradients_of_layers);
    tcase_add_test(cases, gradients_add_up);
    tcase_add_test(cases, gradients_by_the_input);
    tcase_add_test(cases, inference_is_the_training_pass);
    tcase_add_test(cases, sizes_are_torchvisions);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
