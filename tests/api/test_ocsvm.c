/* SPDX-License-Identifier: MIT
 * The one-class SVM: its conditions of optimality, its score in plain double, the ends of its options, and model files
 * that no fit makes. */
#include "../harness.h"
#include "io/io.h"

enum { ROWS = 300, COLS = 70 };

static float rows[ROWS * COLS];

static void make_rows(int32_t cols, float scale)
{
    dumi_rng rng;
    dumi_rng_init(&rng, 7, 99, 0);
    for (int i = 0; i < ROWS * cols; i++)
        rows[i] = scale * (float)(dumi_rng_normal(&rng) * (1 + i % cols) + (i % cols == 1 ? 3 : 0));
}

static dum_context *open_context(void)
{
    dum_context *context;
    ck_ok(dum_context_create(NULL, &context));
    return context;
}

typedef struct {
    const char *name;
    double value;
} setting;

static dum_status fit(dum_context *context, int64_t n, int32_t cols, const setting *settings,
                      const dum_fit_options *options, dum_scorer **scorer)
{
    dum_dataset *data;
    ck_ok(dum_scorer_create(context, "ocsvm", scorer));
    for (; settings != NULL && settings->name != NULL; settings++)
        ck_ok(dum_scorer_set_number(*scorer, settings->name, settings->value));
    ck_ok(dum_dataset_from_memory(context, rows, n, cols, 0, &data));
    const dum_status status = dum_scorer_fit(*scorer, data, options);
    dum_dataset_destroy(data);
    return status;
}

/* What a model file holds. */
typedef struct {
    int64_t count;
    float vectors[ROWS * COLS];
    double alpha[ROWS], numbers[2]; /* gamma, rho */
} parts;

static void read_parts(dum_context *context, const dum_scorer *scorer, int32_t cols, parts *p)
{
    size_t size;
    ck_ok(dum_scorer_save_memory(scorer, NULL, 0, &size));
    unsigned char *bytes = malloc(size);
    ck_ok(dum_scorer_save_memory(scorer, bytes, size, &size));
    dumi_reader *reader;
    ck_ok(dumi_reader_open(context, bytes, size, &reader));
    const dumi_tensor *alpha = dumi_reader_find(reader, "ocsvm.alpha");
    ck_assert(alpha != NULL && alpha->shape[0] <= ROWS);
    p->count = alpha->shape[0];
    ck_ok(dumi_reader_copy(reader, "ocsvm.vectors", DUMI_F32, p->count, cols, p->vectors));
    ck_ok(dumi_reader_copy(reader, "ocsvm.alpha", DUMI_F64, p->count, 0, p->alpha));
    ck_ok(dumi_reader_copy(reader, "ocsvm.numbers", DUMI_F64, 2, 0, p->numbers));
    dumi_reader_close(reader);
    free(bytes);
}

static double plain_sum(const parts *p, const float *x, int32_t cols)
{
    double sum = 0;
    for (int64_t i = 0; i < p->count; i++) {
        double squared = 0;
        for (int32_t j = 0; j < cols; j++) {
            const double difference = (double)x[j] - (double)p->vectors[i * cols + j];
            squared += difference * difference;
        }
        sum += p->alpha[i] * exp(-p->numbers[0] * squared);
    }
    return sum;
}

/* A row of the training data is a support vector with this alpha, or 0. */
static double alpha_of(const parts *p, const float *x, int32_t cols)
{
    for (int64_t i = 0; i < p->count; i++)
        if (memcmp(p->vectors + i * cols, x, (size_t)cols * sizeof *x) == 0)
            return p->alpha[i];
    return 0;
}

/* Columns: of a whole span of sums, and of one and a bit; values: usual, and at both ends of float. */
static const struct {
    int32_t cols;
    float scale;
    double nu, gamma;
} solved[] = {{1, 1, 0.5, 0},    {3, 1, 0.5, 0},     {3, 1, 0.05, 2},       {64, 1, 0.3, 0},
              {70, 1, 0.5, 0},   {3, 1e37f, 0.5, 0}, {70, 1e-36f, 0.2, 0},  {3, 1, 1, 0},
              {3, 1, 0.9999, 0}, {3, 1, 0.001, 0},   {3, 1e30f, 0.5, 1e90}, {3, 1e-30f, 0.5, 1e-90}};

START_TEST(optimal)
{
    static parts p;
    const int32_t cols = solved[_i].cols;
    const double nu = solved[_i].nu;
    make_rows(cols, solved[_i].scale);
    dum_context *context = open_context();
    dum_scorer *scorer;
    const setting settings[] = {{"nu", nu}, {"gamma", solved[_i].gamma}, {NULL, 0}};
    ck_ok(fit(context, ROWS, cols, settings, NULL, &scorer));
    read_parts(context, scorer, cols, &p);
    double scores[ROWS], total = 0, inside = -INFINITY, outside = INFINITY;
    ck_ok(dum_scorer_score(scorer, rows, ROWS, cols, 0, scores));
    for (int64_t i = 0; i < p.count; i++)
        total += p.alpha[i];
    ck_assert_double_eq_tol(total, nu * ROWS, 1e-9 * ROWS);
    for (int64_t i = 0; i < ROWS; i++) {
        const float *x = rows + i * cols;
        ck_assert_double_eq_tol(scores[i], p.numbers[1] - plain_sum(&p, x, cols), 1e-6 * (1 + nu * ROWS));
        const double alpha = alpha_of(&p, x, cols);
        if (alpha < 1)
            inside = fmax(inside, scores[i]);
        if (alpha > 0)
            outside = fmin(outside, scores[i]);
    }
    /* The largest score of those that may come in, the least of those that may go out. */
    ck_assert(!(inside - outside > 0.001 + 1e-6 * ROWS));
    dum_scorer_destroy(scorer);
    dum_context_destroy(context);
}
END_TEST

START_TEST(option_ends)
{
    make_rows(3, 1);
    dum_context *context = open_context();
    double all[ROWS], few[ROWS];
    dum_scorer *scorer;
    ck_ok(fit(context, ROWS, 3, NULL, NULL, &scorer));
    ck_ok(dum_scorer_score(scorer, rows, ROWS, 3, 0, all));
    dum_scorer_destroy(scorer);
    const setting no_cache[] = {{"cache_mb", 0}, {NULL, 0}};
    ck_ok(fit(context, ROWS, 3, no_cache, NULL, &scorer));
    ck_ok(dum_scorer_score(scorer, rows, ROWS, 3, 0, few));
    ck_assert_mem_eq(all, few, sizeof all);
    dum_scorer_destroy(scorer);
    const setting one_step[] = {{"max_iterations", 1}, {NULL, 0}};
    ck_ok(fit(context, ROWS, 3, one_step, NULL, &scorer));
    ck_ok(dum_scorer_score(scorer, rows, ROWS, 3, 0, few));
    ck_assert_mem_ne(all, few, sizeof all);
    ck_fails(dum_scorer_set_number(scorer, "nu", 0.1), DUM_ERR_STATE, "fitted");
    dum_scorer_destroy(scorer);
    const setting tiny[] = {{"gamma", 1e-200}, {NULL, 0}};
    ck_fails(fit(context, ROWS, 3, tiny, NULL, &scorer), DUM_ERR_ARGUMENT,
             "option gamma is 1e-200, expected 0");
    ck_fails(dum_scorer_set_number(scorer, "nu", 0), DUM_ERR_ARGUMENT, "option nu is 0, expected");
    ck_fails(dum_scorer_set_number(scorer, "nu", 1.5), DUM_ERR_ARGUMENT, "option nu is 1.5, expected");
    ck_fails(dum_scorer_set_number(scorer, "tolerance", 0), DUM_ERR_ARGUMENT, "option tolerance is 0");
    dum_scorer_destroy(scorer);
    dum_context_destroy(context);
}
END_TEST

/* Enough rows for the threads to share every pass, and for rows of the kernel to leave the cache. */
START_TEST(threads)
{
    enum { MANY = 5000, WIDTH = 160 };
    float *many = malloc(sizeof(float) * MANY * WIDTH);
    double *first = malloc(sizeof(double) * MANY), *scores = malloc(sizeof(double) * MANY);
    dumi_rng rng;
    dumi_rng_init(&rng, 8, 99, 0);
    for (int i = 0; i < MANY * WIDTH; i++)
        many[i] = (float)dumi_rng_normal(&rng);
    for (int32_t count = 1; count <= 3; count++) {
        dum_context_options options;
        DUM_INIT(options);
        options.threads = count;
        dum_context *context;
        dum_dataset *data;
        dum_scorer *scorer;
        ck_ok(dum_context_create(&options, &context));
        ck_ok(dum_dataset_from_memory(context, many, MANY, WIDTH, 0, &data));
        ck_ok(dum_scorer_create(context, "ocsvm", &scorer));
        ck_ok(dum_scorer_set_number(scorer, "nu", 0.1));
        ck_ok(dum_scorer_set_number(scorer, "cache_mb", 1));
        ck_ok(dum_scorer_fit(scorer, data, NULL));
        ck_ok(dum_scorer_score(scorer, many, MANY, WIDTH, 0, scores));
        if (count == 1)
            memcpy(first, scores, sizeof(double) * MANY);
        ck_assert_mem_eq(scores, first, sizeof(double) * MANY);
        for (int64_t i = 0; i < MANY; i += 97) {
            double one;
            ck_ok(dum_scorer_score(scorer, many + i * WIDTH, 1, WIDTH, 0, &one));
            ck_assert_mem_eq(&one, first + i, sizeof one);
        }
        dum_scorer_destroy(scorer);
        dum_dataset_destroy(data);
        dum_context_destroy(context);
    }
    free(many);
    free(first);
    free(scores);
}
END_TEST

/* One row, two, equal ones; less than one alpha in all. */
START_TEST(few_rows)
{
    dum_context *context = open_context();
    const double nus[] = {1e-9, 0.01, 0.5, 1};
    for (int64_t n = 1; n <= 5; n++)
        for (int i = 0; i < 8; i++) {
            make_rows(2, 1);
            for (int j = 2; j < 10 && i >= 4; j++)
                rows[j] = rows[j % 2];
            const setting settings[] = {{"nu", nus[i % 4]}, {NULL, 0}};
            double scores[5];
            dum_scorer *scorer;
            ck_ok(fit(context, n, 2, settings, NULL, &scorer));
            ck_ok(dum_scorer_score(scorer, rows, n, 2, 0, scores));
            for (int64_t r = 0; r < n; r++)
                ck_assert(isfinite(scores[r]) && fabs(scores[r]) <= 5);
            dum_scorer_destroy(scorer);
        }
    dum_context_destroy(context);
}
END_TEST

static int32_t stop(void *user, const dum_progress *progress)
{
    int64_t *left = user;
    ck_assert(progress->step >= 0 && progress->steps >= progress->step && isfinite(progress->loss));
    return (*left)-- == 0;
}

START_TEST(stopped)
{
    make_rows(3, 1);
    dum_context *context = open_context();
    dum_fit_options options;
    DUM_INIT(options);
    int64_t calls = 1000, left;
    options.progress = stop;
    options.progress_user = &calls;
    dum_scorer *scorer;
    ck_ok(fit(context, ROWS, 3, NULL, &options, &scorer));
    dum_scorer_destroy(scorer);
    options.progress_user = &left;
    for (int64_t at = 0; at < 1000 - calls; at++) {
        left = at;
        ck_assert_int_eq(fit(context, ROWS, 3, NULL, &options, &scorer), DUM_CANCELLED);
        ck_assert_int_eq(dum_scorer_cols(scorer), 0);
        dum_scorer_destroy(scorer);
    }
    dum_context_destroy(context);
}
END_TEST

/* A model file with two vectors of two columns, alpha, numbers. */
static dum_status load(dum_context *context, const double *alpha, const double *numbers, int64_t count)
{
    const float vectors[] = {1, 2, 3, 4};
    dumi_model_writer *writer;
    unsigned char *bytes;
    size_t size;
    dum_scorer *scorer;
    ck_ok(dumi_writer_create(context, "scorer.ocsvm", &writer));
    ck_ok(dumi_writer_tensor(writer, "ocsvm.vectors", DUMI_F32, 2, 2, vectors));
    ck_ok(dumi_writer_tensor(writer, "ocsvm.alpha", DUMI_F64, 2, 0, alpha));
    ck_ok(dumi_writer_tensor(writer, "ocsvm.numbers", DUMI_F64, count, 0, numbers));
    ck_ok(dumi_writer_finish(writer, &bytes, &size));
    dumi_writer_destroy(writer);
    const dum_status status = dum_scorer_load_memory(context, bytes, size, &scorer);
    dumi_free(context, bytes);
    dum_scorer_destroy(scorer);
    return status;
}

static const struct {
    double alpha[2], numbers[3];
    int64_t count;
    const char *message; /* NULL: it loads */
} files[] = {
    {{0.5, 1}, {0.1, 0.2, 0}, 2, NULL},
    {{0.5, -1}, {0.1, 0.2, 0}, 2, "ocsvm.alpha: element 1"},
    {{0, 1}, {0.1, 0.2, 0}, 2, "ocsvm.alpha: element 0"},
    {{0.5, 1.5}, {0.1, 0.2, 0}, 2, "ocsvm.alpha: element 1"},
    {{0.5, NAN}, {0.1, 0.2, 0}, 2, "ocsvm.alpha"},
    {{0.5, 1}, {0, 0.2, 0}, 2, "gamma is not positive"},
    {{0.5, 1}, {-0.1, 0.2, 0}, 2, "gamma is not positive"},
    {{0.5, 1}, {1e300, 0.2, 0}, 2, "gamma is not positive, or extreme"},
    {{0.5, 1}, {1e-300, 0.2, 0}, 2, "gamma is not positive, or extreme"},
    {{0.5, 1}, {0.1, -0.2, 0}, 2, "rho is negative"},
    {{0.5, 1}, {0.1, INFINITY, 0}, 2, "ocsvm.numbers"},
    {{0.5, 1}, {0.1, 0.2, 0}, 1, "ocsvm.numbers has 1 elements"},
    {{0.5, 1}, {0.1, 0.2, 0}, 3, "ocsvm.numbers has 3 elements"},
};

START_TEST(hostile_files)
{
    dum_context *context = open_context();
    if (files[_i].message == NULL)
        ck_ok(load(context, files[_i].alpha, files[_i].numbers, files[_i].count));
    else if (!isfinite(files[_i].alpha[1]) || !isfinite(files[_i].numbers[1]))
        ck_assert_int_lt(load(context, files[_i].alpha, files[_i].numbers, files[_i].count), DUM_OK);
    else
        ck_fails(load(context, files[_i].alpha, files[_i].numbers, files[_i].count), DUM_ERR_FORMAT,
                 files[_i].message);
    dum_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ocsvm");
    TCase *cases = tcase_create("ocsvm");
    tcase_add_loop_test(cases, optimal, 0, sizeof solved / sizeof solved[0]);
    tcase_add_test(cases, option_ends);
    tcase_add_test(cases, threads);
    tcase_add_test(cases, few_rows);
    tcase_add_test(cases, stopped);
    tcase_add_loop_test(cases, hostile_files, 0, sizeof files / sizeof files[0]);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
