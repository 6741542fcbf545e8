/* SPDX-License-Identifier: MIT
 * Out-of-distribution scorers and the outputs of encoders that they stand on. */
#include "../harness.h"
#include "core/core.h"

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

int main(void)
{
    Suite *suite = suite_create("ood");
    TCase *cases = tcase_create("ood");
    tcase_add_test(cases, output_below_a_scorer);
    tcase_add_test(cases, older_options);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
