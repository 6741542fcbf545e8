/* SPDX-License-Identifier: MIT
 * Out-of-distribution scorers and the outputs of encoders that they stand on. */
#include "../harness.h"
#include "../reference/ood_reference.h"
#include "core/core.h"
#include "encoder/encoder.h"

#include <stdio.h>

enum { IMAGES = 60, SIDE = 8, COLS = SIDE * SIDE * 3, CLASSES = 3 };

static float images[IMAGES * COLS];
static int32_t labels[IMAGES];

/* A class is a stripe of a colour at a height of its own. */
static void make_images(void)
{
    dumi_rng rng;
    dumi_rng_init(&rng, 5, 99, 0);
    for (int i = 0; i < IMAGES; i++) {
        labels[i] = i % CLASSES;
        for (int at = 0; at < COLS; at++) {
            const int y = at / 3 / SIDE;
            const bool stripe = y / 2 == labels[i] && at % 3 == labels[i];
            images[i * COLS + at] = (float)((stripe ? 180 : 40) + 70 * dumi_rng_uniform(&rng));
        }
    }
}

static dum_context *open_context(int32_t threads, allocation_counter *c)
{
    dum_context_options options;
    DUM_INIT(options);
    options.threads = threads;
    if (c != NULL) {
        options.alloc = counted_alloc;
        options.free = counted_free;
        options.alloc_user = c;
    }
    dum_context *context;
    ck_ok(dum_context_create(&options, &context));
    return context;
}

static dum_dataset *all_images(dum_context *context)
{
    dum_dataset *data;
    ck_ok(dum_dataset_from_memory(context, images, IMAGES, COLS, 0, &data));
    return data;
}

static dum_encoder *make_encoder(dum_context *context, const char *objective, bool rotation)
{
    static const struct {
        const char *name;
        double value;
    } numbers[] = {{"height", SIDE}, {"width", SIDE}, {"depth", 8},  {"units", 4}, {"projection", 6},
                   {"batch", 20},    {"epochs", 4},   {"jitter", 0}, {"grey", 0},  {"crop_min", 0.9}};
    dum_encoder *encoder;
    ck_ok(dum_encoder_create(context, "resnet", &encoder));
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        ck_ok(dum_encoder_set_number(encoder, numbers[i].name, numbers[i].value));
    ck_ok(dum_encoder_set_text(encoder, "objective", objective));
    if (rotation)
        ck_ok(dum_encoder_set_text(encoder, "rotation", "on"));
    dum_fit_options options;
    DUM_INIT(options);
    options.labels = labels;
    dum_dataset *data = all_images(context);
    ck_ok(dum_encoder_fit(encoder, data, &options));
    dum_dataset_destroy(data);
    return encoder;
}

/* What embed returns once the encoder is below a scorer is fixed: the scorer has room for that alone. */
START_TEST(output_below_a_scorer)
{
    make_images();
    dum_context *context = open_context(1, NULL);
    dum_encoder *encoder = make_encoder(context, "supervised", false);
    dum_dataset *data = all_images(context);
    dum_scorer *first, *second;
    double scores[2][IMAGES], again[IMAGES];
    ck_ok(dum_scorer_create(context, "mahalanobis", &first));
    ck_ok(dum_scorer_create(context, "knn", &second));
    ck_ok(dum_scorer_set_encoder(first, encoder));
    ck_ok(dum_encoder_set_text(encoder, "output", "map"));
    ck_ok(dum_scorer_set_encoder(second, encoder));
    ck_ok(dum_scorer_fit(first, data, NULL));
    ck_ok(dum_scorer_fit(second, data, NULL));
    ck_ok(dum_scorer_score_dataset(first, data, scores[0]));
    ck_ok(dum_scorer_score_dataset(second, data, scores[1]));
    ck_ok(dum_encoder_set_text(encoder, "output", "logits"));
    ck_ok(dum_scorer_score_dataset(first, data, again));
    ck_assert_mem_eq(again, scores[0], sizeof again);
    ck_ok(dum_scorer_score_dataset(second, data, again));
    ck_assert_mem_eq(again, scores[1], sizeof again);
    ck_fails(dum_encoder_fit(encoder, data, NULL), DUM_ERR_STATE, "below a scorer");
    dum_encoder_destroy(encoder);
    ck_ok(dum_scorer_score_dataset(first, data, again));
    ck_assert_mem_eq(again, scores[0], sizeof again);
    dum_dataset_destroy(data);
    dum_scorer_destroy(first);
    dum_scorer_destroy(second);
    dum_context_destroy(context);
}
END_TEST

/* A host that was compiled before options had labels. */
START_TEST(older_options)
{
    make_images();
    dum_context *context = open_context(1, NULL);
    dum_dataset *data = all_images(context);
    dum_scorer *scorer;
    dum_head *head;
    dum_fit_options options;
    DUM_INIT(options);
    options.struct_size = offsetof(dum_fit_options, labels);
    ck_ok(dum_scorer_create(context, "knn", &scorer));
    ck_ok(dum_scorer_fit(scorer, data, &options));
    ck_ok(dum_head_create(context, &head));
    ck_ok(dum_head_set_number(head, "steps", 2));
    ck_ok(dum_head_fit(head, data, &options));
    dum_head_destroy(head);
    dum_scorer_destroy(scorer);
    dum_dataset_destroy(data);
    dum_context_destroy(context);
}
END_TEST

/* ---- Outputs of encoders ------------------------------------------------------------------- */

static const char *const outputs[] = {"features", "logits", "joint",    "stages",
                                      "gram",     "odin",   "rotation", "gram-all"};
enum { OUTPUTS = sizeof outputs / sizeof outputs[0], MOST_COLS = 1448 };

static float *embed_all(dum_encoder *encoder, const char *output, int32_t *cols)
{
    ck_ok(dum_encoder_set_text(encoder, "output", output));
    *cols = dum_encoder_embedding_cols(encoder, COLS);
    ck_assert_int_gt(*cols, 0);
    float *out = malloc((size_t)IMAGES * (size_t)*cols * sizeof *out);
    ck_ok(dum_encoder_embed(encoder, images, IMAGES, COLS, 0, out));
    return out;
}

/* Columns first .. first + count - 1 of `whole` are `part`. */
static void check_part(const float *whole, int32_t cols, int32_t first, const float *part, int32_t count)
{
    for (int64_t i = 0; i < IMAGES; i++)
        ck_assert_mem_eq(whole + i * cols + first, part + i * count, (size_t)count * sizeof *part);
}

START_TEST(joined_outputs)
{
    make_images();
    dum_context *context = open_context(2, NULL);
    dum_encoder *encoder = make_encoder(context, "supervised", true);
    int32_t cols, wide;
    float *features = embed_all(encoder, "features", &cols), *logits = embed_all(encoder, "logits", &cols);
    ck_assert_int_eq(cols, CLASSES);
    float *joint = embed_all(encoder, "joint", &wide);
    ck_assert_int_eq(wide, 16 + CLASSES);
    check_part(joint, wide, 0, features, 16);
    check_part(joint, wide, 16, logits, CLASSES);
    float *stages = embed_all(encoder, "stages", &wide);
    ck_assert_int_eq(wide, 4 + 8 + 16);
    check_part(stages, wide, 12, features, 16);
    float *rotation = embed_all(encoder, "rotation", &wide);
    ck_assert_int_eq(wide, 16 + CLASSES);
    check_part(rotation, wide, 16, logits, CLASSES);
    ck_ok(dum_encoder_set_number(encoder, "perturbation", 0));
    float *odin = embed_all(encoder, "odin", &wide);
    ck_assert_int_eq(wide, CLASSES);
    check_part(odin, wide, 0, logits, CLASSES);
    float *const made[] = {features, logits, joint, stages, rotation, odin};
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++)
        free(made[i]);
    dum_encoder_destroy(encoder);
    dum_context_destroy(context);
}
END_TEST

/* What the network says of an image turned by the caller is what it says of its own turned copy. */
START_TEST(turned_copies)
{
    make_images();
    dum_context *context = open_context(1, NULL);
    dum_encoder *encoder = make_encoder(context, "supervised", true);
    int32_t cols;
    float *rotation = embed_all(encoder, "rotation", &cols), turned[COLS], of_turned[16 + CLASSES];
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) /* counter-clockwise: what was at the right is on top */
            memcpy(turned + (y * SIDE + x) * 3, images + (x * SIDE + SIDE - 1 - y) * 3, 3 * sizeof *turned);
    ck_ok(dum_encoder_embed(encoder, turned, 1, COLS, 0, of_turned));
    for (int quarters = 0; quarters < 4; quarters++)
        ck_assert_mem_eq(of_turned + 4 * quarters, rotation + 4 * ((quarters + 1) % 4), 4 * sizeof *turned);
    free(rotation);
    dum_encoder_destroy(encoder);
    dum_context_destroy(context);
}
END_TEST

enum { POWERS = 10 };

/* As the authors define it. */
static void check_gram(const float *gram, const float *map, int pixels, int cols)
{
    for (int p = 1; p <= POWERS; p++)
        for (int a = 0; a < cols; a++) {
            double sum = 0; /* over a row of the Gram matrix */
            for (int b = 0; b < cols; b++)
                for (int x = 0; x < pixels; x++)
                    sum += pow((double)map[x * cols + a], p) * pow((double)map[x * cols + b], p);
            const double expected = copysign(pow(fabs(sum), 1.0 / p), sum);
            ck_assert_double_eq_tol((double)gram[(p - 1) * cols + a], expected, 1e-5 * fabs(expected) + 1e-30);
        }
}

START_TEST(gram_matrices)
{
    enum { PIXELS = 4, MAP = 16 };
    make_images();
    dum_context *context = open_context(2, NULL);
    dum_encoder *encoder = make_encoder(context, "supervised", false);
    int32_t cols, size;
    float *gram = embed_all(encoder, "gram", &cols), *map = embed_all(encoder, "map", &size);
    ck_assert_int_eq(cols, POWERS * (4 + 8 + 16) + CLASSES);
    ck_assert_int_eq(size, PIXELS * MAP);
    for (int i = 0; i < IMAGES; i++)
        check_gram(gram + (ptrdiff_t)i * cols + (ptrdiff_t)POWERS * 12, map + (ptrdiff_t)i * size, PIXELS, MAP);
    free(gram);
    free(map);
    dum_encoder_destroy(encoder);
    dum_context_destroy(context);
}
END_TEST

/* Of the map of each convolution, without and with residual and ReLU, which those of two shortcuts lack: 6 of 4 columns,
 * 5 of 8, 5 of 16. The last of each is that of the stage. */
START_TEST(gram_matrices_of_all)
{
    static const int32_t wide[] = {4, 8, 16}, parts[] = {6, 5, 5};
    make_images();
    dum_context *context = open_context(2, NULL);
    dum_encoder *encoder = make_encoder(context, "supervised", false);
    int32_t cols, all_cols;
    float *gram = embed_all(encoder, "gram", &cols), *all = embed_all(encoder, "gram-all", &all_cols);
    ck_assert_int_eq(all_cols, POWERS * (6 * 4 + 5 * 8 + 5 * 16) + CLASSES);
    for (int i = 0; i < IMAGES; i++) {
        const float *of_stages = gram + (ptrdiff_t)i * cols, *of_all = all + (ptrdiff_t)i * all_cols;
        for (int s = 0; s < 3; s++) {
            const ptrdiff_t part = (ptrdiff_t)POWERS * wide[s];
            of_all += parts[s] * part;
            ck_assert_mem_eq(of_all - part, of_stages, (size_t)part * sizeof *of_all);
            of_stages += part;
        }
        ck_assert_mem_eq(of_all, of_stages, CLASSES * sizeof *of_all);
    }
    const dumi_encoder_model *m = encoder->model;
    dumi_inference inference;
    ck_ok(dumi_inference_create(m->packed, 1, 1, &inference));
    dumi_encoder_scale(m, images, dumi_inference_value(&inference, 0));
    const float *part = all;
    for (int32_t tensor = 1; tensor <= m->network.map; tensor++) {
        const dumi_tensor_shape *shape = &m->network.tensor[tensor];
        const int pixels = shape->height * shape->width;
        const float *map = dumi_inference_value(&inference, tensor);
        dumi_inference_run_bare(m->packed, &inference, 1, tensor);
        check_gram(part, map, pixels, shape->cols);
        part += POWERS * shape->cols;
        dumi_inference_run(m->packed, &inference, 1, tensor - 1, tensor);
        if (!m->network.unit[tensor - 1].relu)
            continue;
        check_gram(part, map, pixels, shape->cols);
        part += POWERS * shape->cols;
    }
    ck_assert_ptr_eq(part, all + all_cols - CLASSES);
    dumi_inference_destroy(context, &inference);
    free(gram);
    free(all);
    dum_encoder_destroy(encoder);
    dum_context_destroy(context);
}
END_TEST

static double largest_softmax(const float *logits)
{
    double most = (double)logits[0], sum = 0;
    for (int c = 1; c < CLASSES; c++)
        most = fmax(most, (double)logits[c]);
    for (int c = 0; c < CLASSES; c++)
        sum += exp(((double)logits[c] - most) / 1000);
    return 1 / sum;
}

/* The step raises what it is to raise: all images but a few at corners of the network's pieces. */
START_TEST(perturbation)
{
    make_images();
    dum_context *context = open_context(2, NULL);
    dum_encoder *encoder = make_encoder(context, "supervised", false);
    int32_t cols, raised = 0;
    float *logits = embed_all(encoder, "logits", &cols);
    ck_ok(dum_encoder_set_number(encoder, "perturbation", 0.002));
    float *odin = embed_all(encoder, "odin", &cols);
    for (int i = 0; i < IMAGES; i++)
        raised += largest_softmax(odin + i * CLASSES) > largest_softmax(logits + i * CLASSES);
    ck_assert_int_ge(raised, IMAGES - 3);
    free(logits);
    free(odin);
    dum_encoder_destroy(encoder);
    dum_context_destroy(context);
}
END_TEST

START_TEST(same_bits_of_outputs)
{
    make_images();
    float *first = NULL, row[MOST_COLS];
    int32_t cols = 0;
    for (int32_t threads = 1; threads <= 3; threads++) {
        dum_context *context = open_context(threads, NULL);
        dum_encoder *encoder = make_encoder(context, "supervised", true);
        float *found = embed_all(encoder, outputs[_i], &cols);
        ck_assert_int_le(cols, MOST_COLS);
        for (int i = 0; i < IMAGES; i += 7) {
            ck_ok(dum_encoder_embed(encoder, images + (ptrdiff_t)i * COLS, 1, COLS, 0, row));
            ck_assert_mem_eq(row, found + (ptrdiff_t)i * cols, (size_t)cols * sizeof *row);
        }
        if (first == NULL)
            first = found;
        ck_assert_mem_eq(found, first, (size_t)IMAGES * (size_t)cols * sizeof *first);
        if (found != first)
            free(found);
        dum_encoder_destroy(encoder);
        dum_context_destroy(context);
    }
    free(first);
}
END_TEST

/* Tables, too: what has no stages says so. */
START_TEST(outputs_of_layers)
{
    enum { WIDE = 16 }; /* the first pixels of the images: a row of a table */
    make_images();
    dum_context *context = open_context(1, NULL);
    dum_encoder *encoder;
    dum_dataset *data;
    dum_fit_options options;
    float logits[IMAGES * CLASSES], odin[IMAGES * CLASSES], joint[IMAGES * (8 + CLASSES)];
    int32_t raised = 0;
    DUM_INIT(options);
    options.labels = labels;
    ck_ok(dum_encoder_create(context, "mlp", &encoder));
    ck_ok(dum_encoder_set_text(encoder, "objective", "supervised"));
    ck_ok(dum_encoder_set_number(encoder, "embedding", 8));
    ck_ok(dum_encoder_set_number(encoder, "batch", 20));
    ck_ok(dum_encoder_set_number(encoder, "epochs", 5));
    ck_ok(dum_dataset_from_memory(context, images, IMAGES, WIDE, COLS, &data));
    ck_ok(dum_encoder_fit(encoder, data, &options));
    ck_ok(dum_encoder_set_text(encoder, "output", "logits"));
    ck_ok(dum_encoder_embed_dataset(encoder, data, logits));
    ck_ok(dum_encoder_set_text(encoder, "output", "joint"));
    ck_ok(dum_encoder_embed_dataset(encoder, data, joint));
    check_part(joint, 8 + CLASSES, 8, logits, CLASSES);
    ck_ok(dum_encoder_set_text(encoder, "output", "odin"));
    ck_ok(dum_encoder_set_number(encoder, "perturbation", 0.01));
    ck_ok(dum_encoder_embed_dataset(encoder, data, odin));
    for (int i = 0; i < IMAGES; i++)
        raised +=
            largest_softmax(odin + (ptrdiff_t)i * CLASSES) > largest_softmax(logits + (ptrdiff_t)i * CLASSES);
    ck_assert_int_ge(raised, IMAGES - 3);
    static const char *const lacking[] = {"stages", "gram", "rotation", "map", "gram-all"};
    for (size_t i = 0; i < sizeof lacking / sizeof lacking[0]; i++) {
        ck_ok(dum_encoder_set_text(encoder, "output", lacking[i]));
        ck_fails(dum_encoder_embed(encoder, images, 1, WIDE, 0, odin), DUM_ERR_UNSUPPORTED, lacking[i]);
    }
    dum_dataset_destroy(data);
    dum_encoder_destroy(encoder);
    dum_context_destroy(context);
}
END_TEST

/* ---- Scorers against NumPy ----------------------------------------------------------------- */

enum { JOINT = OOD_FEATURES + OOD_CLASSES };

static const struct {
    const char *kind, *option;
    double value;
    const char *scaling;
    int32_t first, cols; /* of the rows */
    const double *expected;
} known[] = {
    {"msp", NULL, 0, NULL, OOD_FEATURES, OOD_CLASSES, ood_msp},
    {"msp", "temperature", 1000, NULL, OOD_FEATURES, OOD_CLASSES, ood_msp_1000},
    {"energy", NULL, 0, NULL, OOD_FEATURES, OOD_CLASSES, ood_energy},
    {"energy", "temperature", 2, NULL, OOD_FEATURES, OOD_CLASSES, ood_energy_2},
    {"mds", NULL, 0, "none", 0, OOD_FEATURES, ood_mds},
    {"mds", NULL, 0, "unit", 0, OOD_FEATURES, ood_mds_unit},
    {"mahalanobis", NULL, 0, "unit", 0, OOD_FEATURES, ood_ssd},
    {"knn", "neighbours", 5, "unit", 0, OOD_FEATURES, ood_knn_unit},
    {"flow", "couplings", 0, "none", 0, OOD_FEATURES, ood_flow_0},
    {"vim", "classes", OOD_CLASSES, NULL, 0, JOINT, ood_vim},
    {"gram", "classes", OOD_CLASSES, NULL, 0, JOINT, ood_gram},
    {"rotation", NULL, 0, NULL, -1, 16 + OOD_CLASSES, ood_rotation},
};
enum { KNOWN = sizeof known / sizeof known[0] };

START_TEST(reference_values)
{
    dum_context *context = open_context(1, NULL);
    dum_scorer *scorer;
    dum_dataset *data;
    dum_fit_options options;
    double scores[OOD_TEST];
    DUM_INIT(options);
    const bool turned = known[_i].first < 0;
    const int32_t stride = turned ? 16 + OOD_CLASSES : JOINT, first = turned ? 0 : known[_i].first;
    const float *test = (turned ? ood_turned : ood_test) + first;
    ck_ok(dum_scorer_create(context, known[_i].kind, &scorer));
    if (known[_i].option != NULL)
        ck_ok(dum_scorer_set_number(scorer, known[_i].option, known[_i].value));
    if (known[_i].scaling != NULL)
        ck_ok(dum_scorer_set_text(scorer, "scaling", known[_i].scaling));
    if (strcmp(known[_i].kind, "mds") == 0 || strcmp(known[_i].kind, "flow") == 0)
        options.labels = ood_labels;
    ck_ok(dum_dataset_from_memory(context, turned ? ood_turned : ood_train + first,
                                  turned ? OOD_TEST : OOD_TRAIN, known[_i].cols, stride, &data));
    ck_ok(dum_scorer_fit(scorer, data, &options));
    ck_ok(dum_scorer_score(scorer, test, OOD_TEST, known[_i].cols, stride, scores));
    for (int i = 0; i < OOD_TEST; i++)
        ck_assert_double_eq_tol(scores[i], known[_i].expected[i], 2e-5 * (1 + fabs(known[_i].expected[i])));
    dum_dataset_destroy(data);
    dum_scorer_destroy(scorer);
    dum_context_destroy(context);
}
END_TEST

/* ---- The flow ------------------------------------------------------------------------------ */

enum { BANANA = 600, GRID = 160 };

/* A parabola with noise: no Gaussian. */
static void make_banana(uint64_t seed, float *rows)
{
    dumi_rng rng;
    dumi_rng_init(&rng, seed, 99, 0);
    for (int i = 0; i < BANANA; i++) {
        const double x = dumi_rng_normal(&rng);
        rows[2 * i] = (float)x;
        rows[2 * i + 1] = (float)(x * x + 0.3 * dumi_rng_normal(&rng));
    }
}

static dum_scorer *fit_flow(dum_context *context, const float *rows, double couplings)
{
    dum_scorer *scorer;
    dum_dataset *data;
    ck_ok(dum_scorer_create(context, "flow", &scorer));
    ck_ok(dum_scorer_set_number(scorer, "couplings", couplings));
    ck_ok(dum_scorer_set_number(scorer, "width", 24));
    ck_ok(dum_scorer_set_number(scorer, "epochs", 60));
    ck_ok(dum_scorer_set_number(scorer, "rate", 0.003));
    ck_ok(dum_dataset_from_memory(context, rows, BANANA, 2, 0, &data));
    ck_ok(dum_scorer_fit(scorer, data, NULL));
    dum_dataset_destroy(data);
    return scorer;
}

/* The integral of exp(-score) over the plane. */
static double mass(const dum_scorer *scorer)
{
    float points[2 * GRID];
    double scores[GRID], sum = 0;
    for (int y = 0; y < GRID; y++) {
        for (int x = 0; x < GRID; x++) {
            points[2 * x] = -10 + 20.0f * ((float)x + 0.5f) / GRID;
            points[2 * x + 1] = -8 + 24.0f * ((float)y + 0.5f) / GRID;
        }
        ck_ok(dum_scorer_score(scorer, points, GRID, 2, 0, scores));
        for (int x = 0; x < GRID; x++)
            sum += exp(-scores[x]) * (20.0 / GRID) * (24.0 / GRID);
    }
    return sum;
}

static double mean_score(const dum_scorer *scorer, const float *rows)
{
    double scores[BANANA], sum = 0;
    ck_ok(dum_scorer_score(scorer, rows, BANANA, 2, 0, scores));
    for (int i = 0; i < BANANA; i++)
        sum += scores[i] / BANANA;
    return sum;
}

/* Couplings move mass about but make none, and put it where new rows are: 0.3 less of them than a Gaussian leaves. */
START_TEST(flow_is_a_density)
{
    static float rows[2 * BANANA], others[2 * BANANA];
    make_banana(1, rows);
    make_banana(2, others);
    dum_context *context = open_context(1, NULL);
    dum_scorer *plain = fit_flow(context, rows, 0), *flow = fit_flow(context, rows, 4);
    ck_assert_double_eq_tol(mass(flow), mass(plain), 0.01 * mass(plain));
    ck_assert_double_lt(mean_score(flow, others), mean_score(plain, others) - 0.3);
    dum_scorer_destroy(plain);
    dum_scorer_destroy(flow);
    dum_context_destroy(context);
}
END_TEST

/* ---- Scorers on an encoder ----------------------------------------------------------------- */

static const struct {
    const char *kind, *output, *scaling;
    double temperature;
    bool finds; /* noise, also on so small a network */
} pairs[] = {{"msp", "logits", NULL, 0, false},     {"msp", "odin", NULL, 1000, false},
             {"energy", "logits", NULL, 0, false},  {"mds", "stages", "none", 0, true},
             {"mds", "features", "unit", 0, true},  {"vim", "joint", NULL, 0, true},
             {"gram", "gram", NULL, 0, true},       {"flow", "stages", "none", 0, true},
             {"flow", "features", "unit", 0, true}, {"mahalanobis", "features", "unit", 0, true},
             {"knn", "features", "unit", 0, true},  {"rotation", "rotation", NULL, 0, false},
             {"gram", "gram-all", NULL, 0, true}};
enum { PAIRS = sizeof pairs / sizeof pairs[0] };

static dum_scorer *fit_pair(dum_context *context, int pair, dum_encoder *encoder, double holdout)
{
    dum_scorer *scorer;
    dum_fit_options options;
    DUM_INIT(options);
    if (strcmp(pairs[pair].kind, "mds") == 0 || strcmp(pairs[pair].kind, "flow") == 0)
        options.labels = labels;
    dum_dataset *data = all_images(context);
    ck_ok(dum_scorer_create(context, pairs[pair].kind, &scorer));
    if (pairs[pair].scaling != NULL)
        ck_ok(dum_scorer_set_text(scorer, "scaling", pairs[pair].scaling));
    if (pairs[pair].temperature > 0)
        ck_ok(dum_scorer_set_number(scorer, "temperature", pairs[pair].temperature));
    ck_ok(dum_scorer_set_number(scorer, "holdout", holdout));
    ck_ok(dum_encoder_set_text(encoder, "output", pairs[pair].output));
    ck_ok(dum_scorer_set_encoder(scorer, encoder));
    ck_ok(dum_scorer_fit(scorer, data, &options));
    dum_dataset_destroy(data);
    return scorer;
}

/* Fitted, saved, loaded; images of noise, which no class resembles, come out above most others. */
START_TEST(on_an_encoder)
{
    static float noise[IMAGES * COLS];
    make_images();
    dumi_rng rng;
    dumi_rng_init(&rng, 6, 99, 0);
    for (int i = 0; i < IMAGES * COLS; i++)
        noise[i] = (float)(255 * dumi_rng_uniform(&rng));
    dum_context *context = open_context(2, NULL);
    dum_encoder *encoder = make_encoder(context, "supervised", true);
    dum_scorer *scorer = fit_pair(context, _i, encoder, 0.2), *loaded;
    double scores[2 * IMAGES], again[2 * IMAGES];
    uint8_t is_noise[2 * IMAGES];
    ck_assert_int_eq(dum_scorer_calibration_count(scorer), IMAGES / 5);
    ck_ok(dum_scorer_score(scorer, images, IMAGES, COLS, 0, scores));
    ck_ok(dum_scorer_score(scorer, noise, IMAGES, COLS, 0, scores + IMAGES));
    static unsigned char bytes[1 << 20];
    size_t size;
    ck_ok(dum_scorer_save_memory(scorer, bytes, sizeof bytes, &size));
    ck_ok(dum_scorer_load_memory(context, bytes, size, &loaded));
    ck_ok(dum_scorer_score(loaded, images, IMAGES, COLS, 0, again));
    ck_ok(dum_scorer_score(loaded, noise, IMAGES, COLS, 0, again + IMAGES));
    ck_assert_mem_eq(again, scores, sizeof scores);
    for (int i = 0; i < 2 * IMAGES; i++)
        is_noise[i] = i >= IMAGES;
    dum_estimate auroc;
    DUM_INIT(auroc);
    ck_ok(dum_auroc(scores, is_noise, 2 * IMAGES, NULL, &auroc));
    ck_assert_msg(auroc.value > 0.6 || !pairs[_i].finds, "%s on %s: AUROC %g", pairs[_i].kind, pairs[_i].output,
                  auroc.value);
    dum_scorer_destroy(loaded);
    dum_scorer_destroy(scorer);
    dum_encoder_destroy(encoder);
    dum_context_destroy(context);
}
END_TEST

/* The mean of what each stage has for itself. */
START_TEST(mean_of_stages)
{
    static const int32_t begin[] = {0, 4, 12, 28};
    make_images();
    dum_context *context = open_context(1, NULL);
    dum_encoder *encoder = make_encoder(context, "supervised", false);
    dum_scorer *scorer = fit_pair(context, 3, encoder, 0);
    double whole[IMAGES], sum[IMAGES] = {0}, one[IMAGES];
    int32_t cols;
    float *stages = embed_all(encoder, "stages", &cols);
    ck_ok(dum_scorer_score(scorer, images, IMAGES, COLS, 0, whole));
    for (int s = 0; s < 3; s++) {
        dum_scorer *single;
        dum_dataset *data;
        dum_fit_options options;
        const int32_t wide = begin[s + 1] - begin[s];
        DUM_INIT(options);
        options.labels = labels;
        ck_ok(dum_scorer_create(context, "mds", &single));
        ck_ok(dum_dataset_from_memory(context, stages + begin[s], IMAGES, wide, cols, &data));
        ck_ok(dum_scorer_fit(single, data, &options));
        ck_ok(dum_scorer_score(single, stages + begin[s], IMAGES, wide, cols, one));
        for (int i = 0; i < IMAGES; i++)
            sum[i] += one[i] / 3;
        dum_dataset_destroy(data);
        dum_scorer_destroy(single);
    }
    for (int i = 0; i < IMAGES; i++)
        ck_assert_double_eq_tol(whole[i], sum[i], 1e-9 * sum[i]);
    free(stages);
    dum_scorer_destroy(scorer);
    dum_encoder_destroy(encoder);
    dum_context_destroy(context);
}
END_TEST

/* ---- Bad input ----------------------------------------------------------------------------- */

static dum_status try_fit(dum_context *context, const char *kind, dum_encoder *encoder, const int32_t *classes)
{
    dum_scorer *scorer;
    dum_fit_options options;
    DUM_INIT(options);
    options.labels = classes;
    dum_dataset *data = all_images(context);
    ck_ok(dum_scorer_create(context, kind, &scorer));
    if (encoder != NULL)
        ck_ok(dum_scorer_set_encoder(scorer, encoder));
    const dum_status status = dum_scorer_fit(scorer, data, &options);
    dum_dataset_destroy(data);
    char message[256];
    snprintf(message, sizeof message, "%s", dum_error_message());
    dum_scorer_destroy(scorer);
    ck_assert_str_eq(dum_error_message(), message);
    return status;
}

START_TEST(bad_input)
{
    static int32_t bad[IMAGES];
    make_images();
    dum_context *context = open_context(1, NULL);
    dum_encoder *supervised = make_encoder(context, "supervised", false);
    dum_encoder *simclr = make_encoder(context, "simclr", false);
    ck_fails(try_fit(context, "mds", supervised, NULL), DUM_ERR_ARGUMENT, "options.labels is NULL");
    memcpy(bad, labels, sizeof bad);
    bad[7] = -1;
    ck_fails(try_fit(context, "mds", supervised, bad), DUM_ERR_ARGUMENT, "options.labels[7] is -1");
    bad[7] = 65536;
    ck_fails(try_fit(context, "mds", supervised, bad), DUM_ERR_ARGUMENT, "expected 0 to 65535");
    ck_fails(try_fit(context, "knn", supervised, labels), DUM_ERR_ARGUMENT, "scorer knn takes none");
    ck_fails(try_fit(context, "msp", supervised, NULL), DUM_ERR_ARGUMENT, "stands on logits or odin");
    ck_fails(try_fit(context, "vim", supervised, NULL), DUM_ERR_ARGUMENT, "stands on joint");
    ck_fails(try_fit(context, "gram", supervised, NULL), DUM_ERR_ARGUMENT, "stands on gram");
    ck_fails(try_fit(context, "rotation", supervised, NULL), DUM_ERR_ARGUMENT, "stands on rotation");
    ck_fails(try_fit(context, "vim", NULL, NULL), DUM_ERR_ARGUMENT, "option classes is 0");
    ck_fails(try_fit(context, "gram", NULL, NULL), DUM_ERR_ARGUMENT, "option classes is 0");
    static const char *const lacking[] = {"logits", "joint", "gram", "odin", "rotation", "gram-all"};
    for (size_t i = 0; i < sizeof lacking / sizeof lacking[0]; i++) {
        ck_ok(dum_encoder_set_text(simclr, "output", lacking[i]));
        ck_fails(try_fit(context, "knn", simclr, NULL), DUM_ERR_UNSUPPORTED, lacking[i]);
    }
    ck_ok(dum_encoder_set_text(simclr, "output", "stages"));
    ck_ok(try_fit(context, "mds", simclr, labels));
    ck_ok(dum_encoder_set_text(supervised, "output", "rotation"));
    ck_fails(try_fit(context, "rotation", supervised, NULL), DUM_ERR_UNSUPPORTED, "output is rotation");
    dum_encoder_destroy(supervised);
    dum_encoder_destroy(simclr);
    dum_context_destroy(context);
}
END_TEST

START_TEST(failing_allocations)
{
    make_images();
    allocation_counter c = {.left = -1};
    dum_context *context = open_context(1, &c);
    dum_encoder *encoder = make_encoder(context, "supervised", true);
    static unsigned char bytes[1 << 20];
    size_t size;
    ck_ok(dum_encoder_set_text(encoder, "output", outputs[_i]));
    ck_ok(dum_encoder_save_memory(encoder, bytes, sizeof bytes, &size));
    dum_encoder_destroy(encoder);
    float row[MOST_COLS];
    for (int64_t i = 0, failed = 1; failed; i++) {
        c.left = -1;
        ck_ok(dum_encoder_load_memory(context, bytes, size, &encoder));
        c.left = i;
        const dum_status status = dum_encoder_embed(encoder, images, 1, COLS, 0, row);
        ck_assert(status == DUM_OK || status == DUM_ERR_NOMEM);
        failed = status != DUM_OK;
        c.left = -1;
        ck_ok(dum_encoder_embed(encoder, images, 1, COLS, 0, row)); /* and nothing is left in pieces */
        dum_encoder_destroy(encoder);
    }
    dum_context_destroy(context);
    ck_assert_int_eq(c.live, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ood");
    TCase *cases = tcase_create("ood");
    tcase_add_test(cases, output_below_a_scorer);
    tcase_add_test(cases, older_options);
    tcase_add_test(cases, joined_outputs);
    tcase_add_test(cases, turned_copies);
    tcase_add_test(cases, gram_matrices);
    tcase_add_test(cases, gram_matrices_of_all);
    tcase_add_test(cases, perturbation);
    tcase_add_test(cases, outputs_of_layers);
    tcase_add_loop_test(cases, same_bits_of_outputs, 0, OUTPUTS);
    tcase_add_loop_test(cases, reference_values, 0, KNOWN);
    tcase_add_test(cases, flow_is_a_density);
    tcase_add_loop_test(cases, on_an_encoder, 0, PAIRS);
    tcase_add_test(cases, mean_of_stages);
    tcase_add_test(cases, bad_input);
    tcase_add_loop_test(cases, failing_allocations, 0, OUTPUTS);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
