/* SPDX-License-Identifier: MIT
 * Encoders through the public API: what each objective learns, bits, files, checkpoints, the host's callback, bad
 * input, failing allocations. */
#define _GNU_SOURCE
#include "../harness.h"
#include "core/core.h"

#include <stdio.h>
#include <unistd.h>

enum { SIZE = 8, PIXELS = SIZE * SIZE * 3, ROWS = 240, CLASSES = 3, TABLE_COLS = 12 };

static const char *const objectives[] = {"simclr",  "moco",      "instance", "local-aggregation",
                                         "infomax", "supervised"};
enum { OBJECTIVES = 6 };

static float images[ROWS * PIXELS], table[ROWS * TABLE_COLS];
static int32_t labels[ROWS];

/* Stripes of a class's direction, at a random phase and contrast, with noise: no pixel tells the class by itself. */
static void make_images(void)
{
    dumi_rng rng;
    dumi_rng_init(&rng, 5, 99, 0);
    for (int i = 0; i < ROWS; i++) {
        labels[i] = i % CLASSES;
        const double phase = 6.283 * dumi_rng_uniform(&rng), contrast = 50 + 40 * dumi_rng_uniform(&rng);
        for (int p = 0; p < PIXELS; p++) {
            const int y = p / 3 / SIZE, x = p / 3 % SIZE;
            const double along = labels[i] == 0 ? x : labels[i] == 1 ? y : x + y;
            const double value =
                127 + contrast * sin(1.6 * along + phase) + 12 * dumi_rng_normal(&rng) + 10 * (p % 3);
            images[i * PIXELS + p] = (float)fmin(255, fmax(0, value));
        }
    }
}

static void make_table(void)
{
    dumi_rng rng;
    dumi_rng_init(&rng, 6, 99, 0);
    for (int i = 0; i < ROWS * TABLE_COLS; i++) {
        const int row = i / TABLE_COLS, col = i % TABLE_COLS;
        table[i] = (float)(dumi_rng_normal(&rng) + (col % CLASSES == row % CLASSES ? 4 : 0));
    }
}

static void setup(void)
{
    make_images();
    make_table();
}

static dum_context *open_context(int32_t threads)
{
    dum_context_options options;
    DUM_INIT(options);
    options.threads = threads;
    dum_context *context;
    ck_ok(dum_context_create(&options, &context));
    return context;
}

static dum_encoder *make_resnet(dum_context *context, const char *objective)
{
    dum_encoder *encoder;
    ck_ok(dum_encoder_create(context, "resnet", &encoder));
    ck_ok(dum_encoder_set_text(encoder, "objective", objective));
    static const struct {
        const char *name;
        double value;
    } numbers[] = {{"height", SIZE},  {"width", SIZE}, {"depth", 8},       {"units", 4},    {"projection", 8},
                   {"batch", 24},     {"epochs", 2},   {"queue", 48},      {"jitter", 0.3}, {"crop_min", 0.6},
                   {"negatives", 60}, {"clusters", 6}, {"neighbours", 60}, {"rate", 0.05}};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        ck_ok(dum_encoder_set_number(encoder, numbers[i].name, numbers[i].value));
    return encoder;
}

static dum_dataset *image_data(dum_context *context, int64_t first, int64_t count)
{
    dum_dataset *data;
    ck_ok(dum_dataset_from_memory(context, images + first * PIXELS, count, PIXELS, 0, &data));
    return data;
}

static dum_status fit(dum_encoder *encoder, const dum_dataset *data, const dum_fit_options *more)
{
    dum_fit_options options;
    DUM_INIT(options);
    if (more != NULL)
        options = *more;
    options.labels = labels;
    return dum_encoder_fit(encoder, data, &options);
}

/* Accuracy of neighbours on rows that were not trained on. */
static double accuracy(const dum_encoder *encoder, dum_context *context)
{
    dum_dataset *train = image_data(context, 0, 180), *test = image_data(context, 180, 60);
    double knn;
    ck_ok(dum_encoder_knn_accuracy(encoder, train, labels, test, labels + 180, 10, &knn));
    dum_dataset_destroy(train);
    dum_dataset_destroy(test);
    return knn;
}

START_TEST(objectives_learn)
{
    dum_context *context = open_context(2);
    dum_encoder *encoder = make_resnet(context, objectives[_i]);
    dum_dataset *data = image_data(context, 0, 180);
    ck_ok(dum_encoder_set_number(encoder, "epochs", 25));
    ck_ok(dum_encoder_set_number(encoder, "crop_min", 0.7));
    ck_ok(fit(encoder, data, NULL));
    const double reached = accuracy(encoder, context);
    ck_assert_msg(reached >= 0.75, "%s: kNN accuracy %.3f", objectives[_i], reached);
    dum_dataset_destroy(data);
    dum_encoder_destroy(encoder);
    dum_context_destroy(context);
}
END_TEST

START_TEST(tables_are_learnt)
{
    dum_context *context = open_context(2);
    static const struct {
        const char *name;
        double rate;
    } optimizers[] = {{"adam", 2e-3}, {"sgd", 0.06}, {"lars", 3}};
    for (int supervised = 0; supervised < 3; supervised++) {
        dum_encoder *encoder;
        dum_dataset *train, *test;
        ck_ok(dum_encoder_create(context, "mlp", &encoder));
        ck_ok(dum_encoder_set_number(encoder, "epochs", 30));
        ck_ok(dum_encoder_set_number(encoder, "batch", 30));
        ck_ok(dum_encoder_set_number(encoder, "embedding", 16));
        ck_ok(dum_encoder_set_text(encoder, "objective", supervised ? "supervised" : "simclr"));
        ck_ok(dum_encoder_set_text(encoder, "optimizer", optimizers[supervised].name));
        ck_ok(dum_encoder_set_number(encoder, "rate", optimizers[supervised].rate));
        ck_ok(dum_dataset_from_memory(context, table, 180, TABLE_COLS, 0, &train));
        ck_ok(dum_dataset_from_memory(context, table + 180 * TABLE_COLS, 60, TABLE_COLS, 0, &test));
        ck_ok(fit(encoder, train, NULL));
        ck_assert_int_eq(dum_encoder_embedding_cols(encoder, TABLE_COLS), 16);
        double knn, linear;
        ck_ok(dum_encoder_knn_accuracy(encoder, train, labels, test, labels + 180, 0, &knn));
        ck_ok(dum_encoder_linear_accuracy(encoder, train, labels, test, labels + 180, &linear));
        ck_assert_msg(knn >= 0.8 && linear >= 0.8, "kNN %.3f, linear %.3f", knn, linear);
        ck_fails(dum_encoder_knn_accuracy(encoder, train, labels, test, labels + 180, 181, &knn),
                 DUM_ERR_ARGUMENT, "neighbours is 181");
        dum_encoder_destroy(encoder);
        dum_dataset_destroy(train);
        dum_dataset_destroy(test);
    }
    dum_context_destroy(context);
}
END_TEST

/* ---- Bits --------------------------------------------------------------------------------- */

static void train_and_embed(const char *objective, int32_t threads, const dum_fit_options *options,
                            dum_status expected, float *out)
{
    dum_context *context = open_context(threads);
    dum_encoder *encoder = make_resnet(context, objective);
    dum_dataset *data = image_data(context, 0, ROWS);
    if (strcmp(objective, "simclr") == 0)
        ck_ok(dum_encoder_set_text(encoder, "uncertainty", "on"));
    if (strcmp(objective, "supervised") == 0)
        ck_ok(dum_encoder_set_text(encoder, "rotation", "on"));
    const dum_status status = fit(encoder, data, options);
    ck_assert_msg(status == expected, "%s", dum_error_message());
    if (out != NULL)
        ck_ok(dum_encoder_embed_dataset(encoder, data, out));
    dum_dataset_destroy(data);
    dum_encoder_destroy(encoder);
    dum_context_destroy(context);
}

START_TEST(threads_do_not_matter)
{
    static float first[ROWS * 16], other[ROWS * 16];
    for (int32_t threads = 1; threads <= 3; threads++)
        train_and_embed(objectives[_i], threads, NULL, DUM_OK, threads == 1 ? first : other);
    ck_assert_mem_eq(first, other, sizeof first);
}
END_TEST

static int32_t stop_at(void *user, const dum_progress *progress)
{
    return progress->step == *(int64_t *)user;
}

START_TEST(checkpoints_resume)
{
    static float whole[ROWS * 16], resumed[ROWS * 16];
    char path[] = "/tmp/dum-encoder-XXXXXX";
    ck_assert_int_ge(mkstemp(path), 0);
    unlink(path);
    train_and_embed(objectives[_i], 2, NULL, DUM_OK, whole);
    dum_fit_options options;
    DUM_INIT(options);
    options.checkpoint_path = path;
    options.resume = 1;
    options.progress = stop_at;
    for (int64_t step = 7; step <= 14; step += 7) { /* 10 steps an epoch */
        options.progress_user = &step;
        train_and_embed(objectives[_i], 1, &options, DUM_CANCELLED, NULL);
    }
    options.progress = NULL;
    train_and_embed(objectives[_i], 3, &options, DUM_OK, resumed);
    ck_assert_mem_eq(whole, resumed, sizeof whole);
    dum_context *context = open_context(1);
    dum_encoder *encoder = make_resnet(context, objectives[_i]);
    dum_dataset *data = image_data(context, 0, ROWS);
    ck_ok(dum_encoder_set_number(encoder, "rate", 0.07));
    ck_fails(fit(encoder, data, &options), DUM_ERR_ARGUMENT, "is not what it was");
    dum_dataset_destroy(data);
    dum_encoder_destroy(encoder);
    dum_context_destroy(context);
    unlink(path);
}
END_TEST

/* ---- Files and scorers -------------------------------------------------------------------- */

static dum_encoder *fitted(dum_context *context)
{
    dum_encoder *encoder = make_resnet(context, "simclr");
    dum_dataset *data = image_data(context, 0, ROWS);
    ck_ok(dum_encoder_set_text(encoder, "uncertainty", "on"));
    ck_ok(fit(encoder, data, NULL));
    dum_dataset_destroy(data);
    return encoder;
}

static dum_scorer *scorer_on(dum_context *context, dum_encoder *encoder, const char *kind)
{
    dum_scorer *scorer;
    ck_ok(dum_scorer_create(context, kind, &scorer));
    ck_ok(dum_scorer_set_encoder(scorer, encoder));
    if (strcmp(kind, "dum") == 0) {
        ck_ok(dum_scorer_set_number(scorer, "steps", 10));
        ck_ok(dum_scorer_set_number(scorer, "width", 16));
    }
    ck_ok(dum_scorer_set_number(scorer, "holdout", 0.2));
    return scorer;
}

START_TEST(files_hold_encoders)
{
    dum_context *context = open_context(2);
    dum_encoder *encoder = fitted(context), *loaded;
    static float before[ROWS * 64], after[ROWS * 64];
    size_t size;
    ck_ok(dum_encoder_save_memory(encoder, NULL, 0, &size));
    unsigned char *bytes = malloc(size);
    ck_ok(dum_encoder_save_memory(encoder, bytes, size, &size));
    ck_ok(dum_encoder_load_memory(context, bytes, size, &loaded));
    static const struct {
        const char *name;
        int32_t cols;
    } outputs[] = {{"features", 16}, {"map", 64}, {"projection", 8}, {"uncertainty", 1}};
    for (int i = 0; i < 4; i++) {
        ck_ok(dum_encoder_set_text(encoder, "output", outputs[i].name));
        ck_ok(dum_encoder_set_text(loaded, "output", outputs[i].name));
        ck_assert_int_eq(dum_encoder_embedding_cols(loaded, PIXELS), outputs[i].cols);
        ck_ok(dum_encoder_embed(encoder, images, ROWS, PIXELS, 0, before));
        ck_ok(dum_encoder_embed(loaded, images, ROWS, PIXELS, 0, after));
        ck_assert_mem_eq(before, after, sizeof(float) * ROWS * (size_t)outputs[i].cols);
    }
    ck_ok(dum_encoder_set_text(loaded, "output", "logits"));
    ck_fails(dum_encoder_embed(loaded, images, 1, PIXELS, 0, after), DUM_ERR_UNSUPPORTED, "output is logits");
    bytes[size - 9] ^= 1;
    dum_encoder *none;
    ck_fails(dum_encoder_load_memory(context, bytes, size, &none), DUM_ERR_CHECKSUM, "");
    ck_assert_ptr_null(none);
    free(bytes);
    dum_encoder_destroy(loaded);
    dum_encoder_destroy(encoder);
    dum_context_destroy(context);
}
END_TEST

START_TEST(scorers_stand_on_encoders)
{
    dum_context *context = open_context(2);
    dum_encoder *encoder = fitted(context);
    static float embeddings[ROWS * 16];
    ck_ok(dum_encoder_embed(encoder, images, ROWS, PIXELS, 0, embeddings));
    static const char *const kinds[] = {"dum", "knn", "mahalanobis"};
    for (int i = 0; i < 3; i++) {
        dum_dataset *data = image_data(context, 0, ROWS), *embedded;
        ck_ok(dum_dataset_from_memory(context, embeddings, ROWS, 16, 0, &embedded));
        dum_scorer *scorer = scorer_on(context, encoder, kinds[i]), *plain, *loaded;
        ck_ok(dum_scorer_create(context, "dum", &plain));
        dum_scorer_destroy(plain);
        dum_encoder *identity;
        ck_ok(dum_encoder_create(context, "identity", &identity));
        plain = scorer_on(context, identity, kinds[i]);
        dum_encoder_destroy(identity);
        ck_ok(dum_scorer_fit(scorer, data, NULL));
        ck_ok(dum_scorer_fit(plain, embedded, NULL));
        double on_images[ROWS], on_embeddings[ROWS], from_file[ROWS];
        ck_assert_int_eq(dum_scorer_cols(scorer), PIXELS);
        ck_ok(dum_scorer_score(scorer, images, ROWS, PIXELS, 0, on_images));
        ck_ok(dum_scorer_score(plain, embeddings, ROWS, 16, 0, on_embeddings));
        ck_assert_mem_eq(on_images, on_embeddings, sizeof on_images);
        ck_assert_int_eq(dum_scorer_calibration_count(scorer), 48);
        float share[PIXELS];
        ck_fails(dum_scorer_explain(scorer, images, 1, PIXELS, 0, share, NULL), DUM_ERR_UNSUPPORTED, "encoder");
        ck_fails(fit(encoder, data, NULL), DUM_ERR_STATE, "below a scorer");
        char path[] = "/tmp/dum-scorer-XXXXXX";
        close(mkstemp(path));
        ck_ok(dum_scorer_save(scorer, path));
        ck_ok(dum_scorer_load(context, path, &loaded));
        unlink(path);
        ck_ok(dum_scorer_score(loaded, images, ROWS, PIXELS, 0, from_file));
        ck_assert_mem_eq(on_images, from_file, sizeof on_images);
        dum_scorer_destroy(scorer);
        dum_scorer_destroy(plain);
        dum_scorer_destroy(loaded);
        dum_dataset_destroy(data);
        dum_dataset_destroy(embedded);
    }
    dum_encoder_destroy(encoder);
    dum_context_destroy(context);
}
END_TEST

/* The host's encoder: sums of thirds of a row. */
static int32_t sum_thirds(void *user, const float *data, int64_t rows, int32_t cols, int64_t row_stride,
                          float *out)
{
    if (user != NULL && --*(int *)user < 0)
        return 7;
    for (int64_t i = 0; i < rows; i++)
        for (int32_t k = 0; k < 3; k++) {
            out[i * 3 + k] = 0;
            for (int32_t j = k; j < cols; j += 3)
                out[i * 3 + k] += data[i * row_stride + j];
        }
    return 0;
}

START_TEST(callbacks_embed)
{
    dum_context *context = open_context(2);
    dum_encoder *encoder, *other;
    dum_dataset *data;
    dum_scorer *loaded;
    double scores[ROWS], again[ROWS];
    int calls = 1000;
    ck_ok(dum_encoder_from_callback(context, TABLE_COLS, 3, sum_thirds, &calls, &encoder));
    ck_ok(dum_dataset_from_memory(context, table, ROWS, TABLE_COLS, 0, &data));
    ck_assert_str_eq(dum_encoder_kind(encoder), "callback");
    dum_scorer *scorer = scorer_on(context, encoder, "dum");
    ck_ok(dum_scorer_fit(scorer, data, NULL));
    ck_ok(dum_scorer_score(scorer, table, ROWS, TABLE_COLS, 0, scores));
    size_t size;
    ck_ok(dum_scorer_save_memory(scorer, NULL, 0, &size));
    unsigned char *bytes = malloc(size);
    ck_ok(dum_scorer_save_memory(scorer, bytes, size, &size));
    ck_ok(dum_scorer_load_memory(context, bytes, size, &loaded));
    free(bytes);
    ck_fails(dum_scorer_score(loaded, table, ROWS, TABLE_COLS, 0, again), DUM_ERR_STATE,
             "dum_scorer_set_encoder");
    ck_ok(dum_encoder_from_callback(context, TABLE_COLS, 2, sum_thirds, NULL, &other));
    ck_fails(dum_scorer_set_encoder(loaded, other), DUM_ERR_SHAPE, "3 columns of 12");
    ck_ok(dum_scorer_set_encoder(loaded, encoder));
    ck_ok(dum_scorer_score(loaded, table, ROWS, TABLE_COLS, 0, again));
    ck_assert_mem_eq(scores, again, sizeof scores);
    calls = 0;
    ck_fails(dum_scorer_score(scorer, table, 1, TABLE_COLS, 0, again), DUM_ERR_CALLBACK,
             "returned 7 for 1 rows");
    ck_fails(dum_encoder_save(encoder, "/tmp/x"), DUM_ERR_UNSUPPORTED, "callback");
    ck_fails(dum_encoder_fit(encoder, data, NULL), DUM_ERR_UNSUPPORTED, "not trained");
    ck_fails(dum_encoder_embed(encoder, table, 1, 5, 0, (float[3]){0}), DUM_ERR_SHAPE, "cols is 5");
    dum_scorer_destroy(scorer);
    dum_scorer_destroy(loaded);
    dum_encoder_destroy(encoder);
    dum_encoder_destroy(other);
    dum_dataset_destroy(data);
    dum_context_destroy(context);
}
END_TEST

static int32_t stop_reading(void *user, const dum_progress *progress)
{
    int *left = user;
    ck_assert_int_eq(progress->step, 0);
    return --*left == 0;
}

/* A scorer's fit asks while the encoder below it embeds, which may take longer than all else. */
START_TEST(embedding_can_be_stopped)
{
    enum { MANY = 1000 };
    dum_context *context = open_context(1);
    dum_encoder *encoder;
    dum_dataset *data;
    dum_fit_options options;
    float *many = calloc(MANY * TABLE_COLS, sizeof *many);
    int calls = 1000, left = 3;
    DUM_INIT(options);
    options.progress = stop_reading;
    options.progress_user = &left;
    ck_ok(dum_encoder_from_callback(context, TABLE_COLS, 3, sum_thirds, &calls, &encoder));
    ck_ok(dum_dataset_from_memory(context, many, MANY, TABLE_COLS, 0, &data));
    dum_scorer *scorer = scorer_on(context, encoder, "knn");
    ck_fails(dum_scorer_fit(scorer, data, &options), DUM_CANCELLED, "as it was before");
    ck_assert_int_eq(calls, 998); /* of 256 rows each */
    options.progress = NULL;
    options.max_seconds = 1e-9;
    ck_fails(dum_scorer_fit(scorer, data, &options), DUM_CANCELLED, "as it was before");
    ck_assert_int_eq(calls, 998);
    options.max_seconds = 1000;
    ck_ok(dum_scorer_fit(scorer, data, &options));
    ck_assert_int_eq(calls, 994);
    dum_scorer_destroy(scorer);
    dum_encoder_destroy(encoder);
    dum_dataset_destroy(data);
    dum_context_destroy(context);
    free(many);
}
END_TEST

/* What comes out of an encoder may be set while a scorer stands on it: the scorer goes on as before. */
START_TEST(scorers_keep_the_output)
{
    dum_context *context = open_context(2);
    dum_encoder *encoder = fitted(context);
    dum_dataset *data = image_data(context, 0, ROWS);
    dum_scorer *scorer = scorer_on(context, encoder, "knn"), *other, *loaded;
    static double before[ROWS], after[ROWS];
    ck_ok(dum_scorer_fit(scorer, data, NULL));
    ck_ok(dum_scorer_score(scorer, images, ROWS, PIXELS, 0, before));
    ck_ok(dum_encoder_set_text(encoder, "output", "map")); /* four times the columns */
    ck_ok(dum_scorer_score(scorer, images, ROWS, PIXELS, 0, after));
    ck_assert_mem_eq(before, after, sizeof before);
    other = scorer_on(context, encoder, "knn");
    ck_ok(dum_scorer_fit(other, data, NULL));
    ck_ok(dum_scorer_score(other, images, ROWS, PIXELS, 0, after));
    ck_assert_mem_ne(before, after, sizeof before);
    size_t size;
    ck_ok(dum_scorer_save_memory(scorer, NULL, 0, &size));
    unsigned char *bytes = malloc(size);
    ck_ok(dum_scorer_save_memory(scorer, bytes, size, &size));
    ck_ok(dum_scorer_load_memory(context, bytes, size, &loaded));
    free(bytes);
    ck_fails(fit(encoder, data, NULL), DUM_ERR_STATE, "below a scorer");
    dum_scorer_destroy(other);
    dum_encoder_destroy(encoder);
    ck_ok(dum_scorer_score(scorer, images, ROWS, PIXELS, 0, after));
    ck_assert_mem_eq(before, after, sizeof before);
    dum_scorer_destroy(scorer);
    ck_ok(dum_scorer_score(loaded, images, ROWS, PIXELS, 0, after));
    ck_assert_mem_eq(before, after, sizeof before);
    dum_scorer_destroy(loaded);
    dum_dataset_destroy(data);
    dum_context_destroy(context);
}
END_TEST

/* Encoders and scorers take rows in parts: the number in a message is the caller's. */
START_TEST(messages_name_the_row)
{
    enum { MANY = 5000, BAD = 4700 };
    dum_context *context = open_context(2);
    dum_encoder *encoder;
    dum_scorer *scorers[2];
    dum_dataset *data, *good;
    float *rows = calloc(MANY * TABLE_COLS, sizeof *rows), *out = malloc(sizeof *out * MANY * 4);
    double *scores = malloc(sizeof *scores * MANY);
    for (int i = 0; i < MANY; i++)
        memcpy(rows + i * TABLE_COLS, table + i % ROWS * TABLE_COLS, sizeof *rows * TABLE_COLS);
    ck_ok(dum_dataset_from_memory(context, rows, ROWS, TABLE_COLS, 0, &good));
    ck_ok(dum_dataset_from_memory(context, rows, MANY, TABLE_COLS, 0, &data));
    ck_ok(dum_encoder_create(context, "mlp", &encoder));
    ck_ok(dum_encoder_set_number(encoder, "embedding", 4));
    ck_ok(dum_encoder_set_number(encoder, "epochs", 1));
    ck_ok(dum_encoder_fit(encoder, good, NULL));
    scorers[0] = scorer_on(context, encoder, "ecod");
    ck_ok(dum_scorer_create(context, "ecod", &scorers[1]));
    for (int i = 0; i < 2; i++)
        ck_ok(dum_scorer_fit(scorers[i], good, NULL));
    rows[BAD * TABLE_COLS + 3] = NAN;
    ck_fails(dum_encoder_embed(encoder, rows, MANY, TABLE_COLS, 0, out), DUM_ERR_NONFINITE,
             "row 4700, column 3");
    ck_fails(dum_encoder_embed_dataset(encoder, data, out), DUM_ERR_NONFINITE, "row 4700, column 3");
    for (int i = 0; i < 2; i++) {
        ck_fails(dum_scorer_score(scorers[i], rows, MANY, TABLE_COLS, 0, scores), DUM_ERR_NONFINITE,
                 "row 4700, column 3");
        ck_fails(dum_scorer_score_dataset(scorers[i], data, scores), DUM_ERR_NONFINITE, "row 4700, column 3");
        dum_scorer_destroy(scorers[i]);
    }
    dum_encoder_destroy(encoder);
    dum_dataset_destroy(data);
    dum_dataset_destroy(good);
    dum_context_destroy(context);
    free(rows);
    free(out);
    free(scores);
}
END_TEST

START_TEST(uncertainty_can_be_learnt_afterwards)
{
    dum_context *context = open_context(2);
    dum_encoder *encoder = make_resnet(context, "simclr");
    dum_dataset *data = image_data(context, 0, ROWS);
    static float before[ROWS * 16], after[ROWS * 16], uncertainty[ROWS];
    ck_ok(fit(encoder, data, NULL));
    ck_ok(dum_encoder_embed(encoder, images, ROWS, PIXELS, 0, before));
    ck_ok(dum_encoder_set_text(encoder, "uncertainty", "on"));
    ck_ok(dum_encoder_set_text(encoder, "frozen", "on"));
    ck_fails(fit(encoder, data, NULL), DUM_ERR_ARGUMENT, "warm_start 1");
    dum_fit_options options;
    DUM_INIT(options);
    options.warm_start = 1;
    ck_ok(fit(encoder, data, &options));
    ck_ok(dum_encoder_embed(encoder, images, ROWS, PIXELS, 0, after));
    ck_assert_mem_eq(before, after, sizeof before);
    ck_ok(dum_encoder_set_text(encoder, "output", "uncertainty"));
    ck_ok(dum_encoder_embed(encoder, images, ROWS, PIXELS, 0, uncertainty));
    dum_scorer *scorer = scorer_on(context, encoder, "uncertainty");
    double scores[ROWS];
    ck_ok(dum_scorer_fit(scorer, data, NULL));
    ck_ok(dum_scorer_score(scorer, images, ROWS, PIXELS, 0, scores));
    for (int i = 0; i < ROWS; i++)
        ck_assert(uncertainty[i] > 0 && uncertainty[i] < 10 && (double)uncertainty[i] == scores[i]);
    dum_scorer_destroy(scorer);
    dum_dataset_destroy(data);
    dum_encoder_destroy(encoder);
    dum_context_destroy(context);
}
END_TEST

/* ---- Bad input ---------------------------------------------------------------------------- */

START_TEST(bad_input_is_named)
{
    dum_context *context = open_context(1);
    dum_encoder *encoder = make_resnet(context, "simclr"), *none;
    dum_dataset *data = image_data(context, 0, ROWS), *one = image_data(context, 0, 1);
    float out[16], bad[PIXELS];
    ck_fails(dum_encoder_create(context, "vgg", &none), DUM_ERR_ARGUMENT, "expected identity, mlp or resnet");
    ck_fails(dum_encoder_embed(encoder, images, 1, PIXELS, 0, out), DUM_ERR_STATE, "resnet is not fitted");
    ck_fails(dum_encoder_save(encoder, "/tmp/x"), DUM_ERR_STATE, "not fitted");
    ck_fails(fit(encoder, one, NULL), DUM_ERR_SHAPE, "1 rows");
    ck_ok(dum_encoder_set_number(encoder, "batch", 1));
    ck_fails(fit(encoder, data, NULL), DUM_ERR_ARGUMENT, "option batch is 1, expected 2 or more");
    ck_ok(dum_encoder_set_number(encoder, "batch", 24));
    ck_ok(dum_encoder_set_number(encoder, "height", 9));
    ck_fails(fit(encoder, data, NULL), DUM_ERR_SHAPE, "9 x 8 x 3 = 216");
    ck_ok(dum_encoder_set_number(encoder, "height", 8));
    ck_ok(dum_encoder_set_number(encoder, "channels", 2));
    ck_fails(fit(encoder, data, NULL), DUM_ERR_ARGUMENT, "channels is 2");
    ck_ok(dum_encoder_set_number(encoder, "channels", 3));
    ck_ok(dum_encoder_set_number(encoder, "depth", 18));
    ck_ok(dum_encoder_set_text(encoder, "stem", "large"));
    ck_fails(fit(encoder, data, NULL), DUM_ERR_SHAPE, "images are 8 x 8, expected at least 32 x 32");
    ck_ok(dum_encoder_set_number(encoder, "depth", 19));
    ck_ok(dum_encoder_set_text(encoder, "stem", "small"));
    ck_fails(fit(encoder, data, NULL), DUM_ERR_ARGUMENT, "depth is 19");
    ck_ok(dum_encoder_set_number(encoder, "depth", 8));
    ck_ok(dum_encoder_set_text(encoder, "objective", "supervised"));
    ck_fails(dum_encoder_fit(encoder, data, NULL), DUM_ERR_ARGUMENT, "options.labels is NULL");
    labels[3] = -1;
    ck_fails(fit(encoder, data, NULL), DUM_ERR_ARGUMENT, "options.labels[3] is -1");
    labels[3] = 0;
    ck_ok(dum_encoder_set_text(encoder, "objective", "moco"));
    ck_ok(dum_encoder_set_number(encoder, "queue", 5));
    ck_fails(fit(encoder, data, NULL), DUM_ERR_ARGUMENT, "queue is 5");
    ck_ok(dum_encoder_set_text(encoder, "objective", "simclr"));
    memcpy(bad, images, sizeof bad);
    images[PIXELS * 7 + 5] = 256;
    ck_fails(fit(encoder, data, NULL), DUM_ERR_ARGUMENT, "row 7, column 5 is 256");
    images[PIXELS * 7 + 5] = NAN;
    ck_fails(fit(encoder, data, NULL), DUM_ERR_NONFINITE, "row 7, column 5");
    images[PIXELS * 7 + 5] = 0;
    ck_ok(dum_encoder_set_number(encoder, "rate", 1000));
    ck_ok(dum_encoder_set_text(encoder, "optimizer", "sgd"));
    const dum_status diverged = fit(encoder, data, NULL);
    ck_assert(diverged == DUM_OK || diverged == DUM_ERR_NONFINITE);
    ck_ok(dum_encoder_set_number(encoder, "rate", 0.01));
    ck_ok(fit(encoder, data, NULL));
    bad[0] = -1;
    ck_fails(dum_encoder_embed(encoder, bad, 1, PIXELS, 0, out), DUM_ERR_ARGUMENT, "column 0 is -1");
    ck_fails(dum_encoder_set_number(encoder, "depth", 8), DUM_ERR_STATE, "depth cannot be set");
    ck_ok(dum_encoder_embed(encoder, images, 1, PIXELS, 0, out)); /* one image is a batch of one */
    dum_dataset_destroy(data);
    dum_dataset_destroy(one);
    dum_encoder_destroy(encoder);
    dum_context_destroy(context);
}
END_TEST

/* Identity takes any number of columns, but both sets must have one. */
START_TEST(sets_must_be_alike)
{
    dum_context *context = open_context(1);
    dum_encoder *encoder;
    dum_dataset *wide, *narrow;
    double reached = -1;
    ck_ok(dum_encoder_create(context, "identity", &encoder));
    ck_ok(dum_dataset_from_memory(context, images, 20, PIXELS, 0, &wide));
    ck_ok(dum_dataset_from_memory(context, table, 20, TABLE_COLS, 0, &narrow));
    ck_fails(dum_encoder_knn_accuracy(encoder, wide, labels, narrow, labels, 5, &reached), DUM_ERR_SHAPE,
             "test has 12 columns, train has 192");
    ck_fails(dum_encoder_linear_accuracy(encoder, narrow, labels, wide, labels, &reached), DUM_ERR_SHAPE,
             "test has 192 columns, train has 12");
    ck_assert(reached == -1);
    ck_ok(dum_encoder_knn_accuracy(encoder, narrow, labels, narrow, labels, 5, &reached));
    dum_dataset_destroy(wide);
    dum_dataset_destroy(narrow);
    dum_encoder_destroy(encoder);
    dum_context_destroy(context);
}
END_TEST

/* Whatever finite row comes, a table's encoder makes something of it, and so do scorers. */
START_TEST(far_rows)
{
    enum { FAR = 5, WIDTH = 16 };
    static const float sizes[FAR] = {1e20f, 1e37f, 1e38f, 2e38f, 3e38f};
    dum_context *context = open_context(1);
    dum_encoder *encoder;
    dum_dataset *data;
    float far[FAR * TABLE_COLS], out[FAR * WIDTH];
    double scores[FAR];
    for (int i = 0; i < FAR * TABLE_COLS; i++)
        far[i] = i % 2 ? sizes[i / TABLE_COLS] : -sizes[i / TABLE_COLS];
    ck_ok(dum_encoder_create(context, "mlp", &encoder));
    ck_ok(dum_encoder_set_number(encoder, "steps", 5));
    ck_ok(dum_encoder_set_number(encoder, "embedding", WIDTH));
    ck_ok(dum_dataset_from_memory(context, table, ROWS, TABLE_COLS, 0, &data));
    ck_ok(dum_encoder_fit(encoder, data, NULL));
    ck_ok(dum_encoder_embed(encoder, far, FAR, TABLE_COLS, 0, out));
    for (int i = 0; i < FAR * WIDTH; i++)
        ck_assert_msg(isfinite(out[i]), "%g: %g", (double)sizes[i / WIDTH], (double)out[i]);
    dum_scorer *scorer = scorer_on(context, encoder, "knn");
    ck_ok(dum_scorer_fit(scorer, data, NULL));
    ck_ok(dum_scorer_score(scorer, far, FAR, TABLE_COLS, 0, scores));
    for (int i = 0; i < FAR; i++)
        ck_assert(isfinite(scores[i]) && scores[i] > 1e9);
    dum_scorer_destroy(scorer);
    dum_encoder_destroy(encoder);
    dum_dataset_destroy(data);
    dum_context_destroy(context);
}
END_TEST

/* Columns that vary by few units of float32 far from 0, or by little near it, are no constants; their embeddings are those
 * of the same columns near 0, in a common unit, but for rounding. */
START_TEST(shifted_columns)
{
    enum { WIDTH = 16, SIDES = 2 };
    static const double shifts[SIDES] = {1048576, 0}, units[SIDES] = {0.125, 1e-9};
    static float plain[ROWS * TABLE_COLS], moved[ROWS * TABLE_COLS];
    dum_context *context = open_context(1);
    for (int i = 0; i < ROWS * TABLE_COLS; i++)
        plain[i] = i % TABLE_COLS == 2 ? 7 : rintf(table[i] * 8);
    for (int side = 0; side < SIDES; side++) {
        float out[2][ROWS * WIDTH];
        double most = 0, size = 0;
        for (int i = 0; i < ROWS * TABLE_COLS; i++)
            moved[i] = (float)(shifts[side] + units[side] * (double)plain[i]);
        for (int i = 0; i < 2; i++) {
            dum_encoder *encoder;
            dum_dataset *data;
            ck_ok(dum_encoder_create(context, "mlp", &encoder));
            ck_ok(dum_encoder_set_number(encoder, "steps", 5));
            ck_ok(dum_encoder_set_number(encoder, "embedding", WIDTH));
            ck_ok(dum_dataset_from_memory(context, i == 0 ? plain : moved, ROWS, TABLE_COLS, 0, &data));
            ck_ok(dum_encoder_fit(encoder, data, NULL));
            ck_ok(dum_encoder_embed_dataset(encoder, data, out[i]));
            dum_dataset_destroy(data);
            dum_encoder_destroy(encoder);
        }
        for (int i = 0; i < ROWS * WIDTH; i++) {
            most = larger(most, fabs((double)out[0][i] - (double)out[1][i]));
            size = larger(size, fabs((double)out[0][i]));
        }
        ck_assert_double_lt(most, 0.05 * size);
    }
    dum_context_destroy(context);
}
END_TEST

static int32_t read_constant(void *user, const int64_t *indices, int64_t count, float *out)
{
    (void)user;
    (void)indices;
    for (int64_t i = 0; i < count * TABLE_COLS; i++)
        out[i] = (float)(i % 7);
    return 0;
}

/* So many that rows times columns of the projection is 0 in 64 bits. */
START_TEST(too_many_rows_for_a_bank)
{
    static const char *const banks[] = {"instance", "local-aggregation"};
    dum_context *context = open_context(1);
    dum_encoder *encoder;
    dum_dataset *data, *endless;
    dum_fit_options options;
    float before[8], after[8];
    DUM_INIT(options);
    options.warm_start = 1;
    ck_ok(dum_encoder_create(context, "mlp", &encoder));
    ck_ok(dum_encoder_set_number(encoder, "steps", 2));
    ck_ok(dum_encoder_set_number(encoder, "projection", 4));
    ck_ok(dum_encoder_set_number(encoder, "embedding", 8));
    ck_ok(dum_encoder_set_text(encoder, "objective", banks[_i]));
    ck_ok(dum_dataset_from_memory(context, table, ROWS, TABLE_COLS, 0, &data));
    ck_ok(dum_dataset_from_callback(context, (int64_t)1 << 62, TABLE_COLS, read_constant, NULL, &endless));
    ck_ok(dum_encoder_fit(encoder, data, NULL));
    ck_ok(dum_encoder_embed(encoder, table, 1, TABLE_COLS, 0, before));
    ck_fails(dum_encoder_fit(encoder, endless, &options), DUM_ERR_LIMIT, "4611686018427387904 rows");
    ck_ok(dum_encoder_embed(encoder, table, 1, TABLE_COLS, 0, after));
    ck_assert_mem_eq(before, after, sizeof before);
    dum_dataset_destroy(data);
    dum_dataset_destroy(endless);
    dum_encoder_destroy(encoder);
    dum_context_destroy(context);
}
END_TEST

/* ---- Memory ------------------------------------------------------------------------------- */

/* One epoch, an embedding and a file, with the allocation numbered `left` failing. */
static dum_status attempt(const char *objective, allocation_counter *counter)
{
    dum_context_options options;
    DUM_INIT(options);
    options.threads = 1;
    options.alloc = counted_alloc;
    options.free = counted_free;
    options.alloc_user = counter;
    dum_context *context = NULL;
    dum_encoder *encoder = NULL, *loaded = NULL;
    dum_dataset *data = NULL;
    static unsigned char bytes[1 << 20];
    static float out[24 * 16];
    size_t size;
    dum_status status = dum_context_create(&options, &context);
    if (status == DUM_OK)
        status = dum_encoder_create(context, "resnet", &encoder);
    if (status == DUM_OK)
        status = dum_dataset_from_memory(context, images, 24, PIXELS, 0, &data);
    if (status == DUM_OK) {
        const char *const numbers[] = {"height", "width", "depth", "units", "projection", "batch", "epochs"};
        const double values[] = {SIZE, SIZE, 8, 2, 4, 12, 1};
        for (int i = 0; i < 7; i++)
            ck_ok(dum_encoder_set_number(encoder, numbers[i], values[i]));
        ck_ok(dum_encoder_set_text(encoder, "objective", objective));
        if (strcmp(objective, "simclr") == 0)
            ck_ok(dum_encoder_set_text(encoder, "uncertainty", "on"));
        status = fit(encoder, data, NULL);
    }
    if (status == DUM_OK)
        status = dum_encoder_embed(encoder, images, 24, PIXELS, 0, out);
    if (status == DUM_OK)
        status = dum_encoder_save_memory(encoder, bytes, sizeof bytes, &size);
    if (status == DUM_OK)
        status = dum_encoder_load_memory(context, bytes, size, &loaded);
    dum_encoder_destroy(loaded);
    dum_encoder_destroy(encoder);
    dum_dataset_destroy(data);
    dum_context_destroy(context);
    return status;
}

START_TEST(allocations_fail)
{
    allocation_counter counter = {.left = -1};
    ck_ok(attempt(objectives[_i], &counter));
    ck_assert_int_eq(counter.live, 0);
    const int64_t made = counter.made;
    for (int64_t left = 0; left < made; left++) {
        counter = (allocation_counter){.left = left};
        ck_assert_int_eq(attempt(objectives[_i], &counter), DUM_ERR_NOMEM);
        ck_assert_msg(counter.live == 0, "%lld of %lld: %lld left", (long long)left, (long long)made,
                      (long long)counter.live);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("encoder");
    TCase *cases = tcase_create("encoder");
    tcase_set_timeout(cases, 600);
    tcase_add_unchecked_fixture(cases, setup, NULL);
    tcase_add_loop_test(cases, objectives_learn, 0, OBJECTIVES);
    tcase_add_test(cases, tables_are_learnt);
    tcase_add_loop_test(cases, threads_do_not_matter, 0, OBJECTIVES);
    tcase_add_loop_test(cases, checkpoints_resume, 0, OBJECTIVES);
    tcase_add_test(cases, files_hold_encoders);
    tcase_add_test(cases, scorers_stand_on_encoders);
    tcase_add_test(cases, callbacks_embed);
    tcase_add_test(cases, embedding_can_be_stopped);
    tcase_add_test(cases, scorers_keep_the_output);
    tcase_add_test(cases, messages_name_the_row);
    tcase_add_test(cases, uncertainty_can_be_learnt_afterwards);
    tcase_add_test(cases, bad_input_is_named);
    tcase_add_test(cases, sets_must_be_alike);
    tcase_add_test(cases, far_rows);
    tcase_add_test(cases, shifted_columns);
    tcase_add_loop_test(cases, too_many_rows_for_a_bank, 0, 2);
    suite_add_tcase(suite, cases);
    /* One thread, and most of the time: left out under TSan. */
    TCase *allocations = tcase_create("allocations");
    tcase_set_timeout(allocations, 600);
    tcase_add_unchecked_fixture(allocations, setup, NULL);
    tcase_add_loop_test(allocations, allocations_fail, 0, OBJECTIVES);
    suite_add_tcase(suite, allocations);
    return run_suite(suite);
}
