/* SPDX-License-Identifier: MIT
 * Each row of docs/bad-input.md: what the data or the caller may do to a fit and a score. */
#define _GNU_SOURCE
#include "../harness.h"
#include "core/core.h"

#include <float.h>
#include <stdio.h>
#include <unistd.h>

enum { ROWS = 120, COLS = 5 };

static dum_context *context;
static float rows[ROWS * COLS];

static void setup(void)
{
    dum_context_options options;
    DUM_INIT(options);
    options.threads = 2;
    ck_ok(dum_context_create(&options, &context));
    dumi_rng rng;
    dumi_rng_init(&rng, 41, 99, 0);
    for (int i = 0; i < ROWS * COLS; i++)
        rows[i] = (float)dumi_rng_normal(&rng);
}

static void teardown(void)
{
    dum_context_destroy(context);
}

static dum_scorer *make_scorer(void)
{
    dum_scorer *scorer;
    ck_ok(dum_scorer_create(context, "dum", &scorer));
    ck_ok(dum_scorer_set_number(scorer, "steps", 15));
    ck_ok(dum_scorer_set_number(scorer, "width", 24));
    return scorer;
}

static dum_status fit(dum_scorer *scorer, const float *data, int64_t n, int32_t cols, int64_t stride)
{
    dum_dataset *dataset;
    const dum_status made = dum_dataset_from_memory(context, data, n, cols, stride, &dataset);
    if (made != DUM_OK)
        return made;
    const dum_status status = dum_scorer_fit(scorer, dataset, NULL);
    /* The message must survive the destroy. */
    dum_dataset_destroy(dataset);
    return status;
}

/* A fit and finite scores of the same rows, with each scaling. */
static void trains(const float *data, int64_t n, int32_t cols)
{
    static const char *const scalings[] = {"none", "minmax", "zscore", "unit", "whiten", "auto", "whiten-cov"};
    double *scores = malloc((size_t)n * sizeof *scores);
    for (size_t i = 0; i < sizeof scalings / sizeof scalings[0]; i++) {
        if (cols > 4096 && strncmp(scalings[i], "whiten", 6) == 0)
            continue;
        dum_scorer *scorer = make_scorer();
        ck_ok(dum_scorer_set_text(scorer, "scaling", scalings[i]));
        ck_ok(fit(scorer, data, n, cols, 0));
        ck_ok(dum_scorer_score(scorer, data, n, cols, 0, scores));
        for (int64_t j = 0; j < n; j++)
            ck_assert_msg(isfinite(scores[j]), "%s: score %d is %g", scalings[i], (int)j, scores[j]);
        dum_scorer_destroy(scorer);
    }
    free(scores);
}

START_TEST(nonfinite_values)
{
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        dum_scorer *scorer = make_scorer();
        rows[7 * COLS + 3] = bad[i];
        ck_fails(fit(scorer, rows, ROWS, COLS, 0), DUM_ERR_NONFINITE, "row 7, column 3");
        ck_assert_int_eq(dum_scorer_cols(scorer), 0);
        ck_ok(dum_scorer_set_text(scorer, "nonfinite", "impute"));
        ck_ok(fit(scorer, rows, ROWS, COLS, 0));
        double score;
        ck_ok(dum_scorer_score(scorer, rows + 7 * COLS, 1, COLS, 0, &score));
        ck_assert(isfinite(score));
        dum_scorer_destroy(scorer);
        rows[7 * COLS + 3] = 0;
        scorer = make_scorer();
        ck_ok(fit(scorer, rows, ROWS, COLS, 0));
        float row[COLS] = {0, 1, bad[i], 0, 0};
        ck_fails(dum_scorer_score(scorer, row, 1, COLS, 0, &score), DUM_ERR_NONFINITE, "column 2");
        dum_scorer_destroy(scorer);
    }
}
END_TEST

START_TEST(extreme_values)
{
    static const float sizes[] = {1e30f, 1e-38f, 1e-42f, FLT_MAX, FLT_TRUE_MIN};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        static float scaled[ROWS * COLS];
        for (int j = 0; j < ROWS * COLS; j++) /* every size beside ordinary columns, and alone */
            scaled[j] = j % 2 || i == 3 ? rows[j] / 4 * sizes[i] : rows[j];
        trains(scaled, ROWS, COLS);
        dum_scorer *scorer = make_scorer();
        ck_ok(fit(scorer, rows, ROWS, COLS, 0));
        double score;
        ck_ok(dum_scorer_score(scorer, scaled, 1, COLS, 0, &score)); /* far from anything seen */
        ck_assert(isfinite(score));
        dum_scorer_destroy(scorer);
    }
}
END_TEST

START_TEST(constants_and_duplicates)
{
    static float data[ROWS * COLS];
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLS; j++)
            data[i * COLS + j] = j == 0 ? 7 : j == 2 ? rows[i * COLS + 1] : rows[i * COLS + j]; /* 2 = 1 */
    trains(data, ROWS, COLS);
    for (int i = 0; i < ROWS; i++)
        memcpy(data + i * COLS, rows + i % 3 * COLS, COLS * sizeof *data); /* three rows, forty times */
    trains(data, ROWS, COLS);
    for (int i = 0; i < ROWS * COLS; i++)
        data[i] = 3; /* one row, nothing else */
    trains(data, ROWS, COLS);
}
END_TEST

START_TEST(few_rows_and_columns)
{
    dum_scorer *scorer = make_scorer();
    ck_fails(fit(scorer, rows, 0, COLS, 0), DUM_ERR_SHAPE, "rows is 0");
    ck_fails(fit(scorer, rows, -3, COLS, 0), DUM_ERR_SHAPE, "rows is -3");
    ck_fails(fit(scorer, rows, ROWS, 0, 0), DUM_ERR_SHAPE, "cols is 0");
    ck_fails(fit(scorer, rows, 1, COLS, 0), DUM_ERR_SHAPE, "1 row");
    dum_scorer_destroy(scorer);
    trains(rows, 2, COLS);
    trains(rows, 3, COLS); /* fewer than a batch, and than neighbours */
    trains(rows, 3, 1);
    trains(rows, ROWS * COLS, 1);
    scorer = make_scorer();
    ck_ok(dum_scorer_set_text(scorer, "objective", "poe"));
    ck_fails(fit(scorer, rows, 3, COLS, 0), DUM_ERR_SHAPE, "needs 4");
    ck_ok(fit(scorer, rows, 4, COLS, 0));
    double score;
    ck_ok(dum_scorer_score(scorer, rows, 0, COLS, 0, &score)); /* nothing to do */
    dum_scorer_destroy(scorer);
}
END_TEST

START_TEST(many_columns)
{
    enum { MANY = 20000, FEW = 12 };
    float *data = malloc(sizeof *data * MANY * FEW);
    for (int i = 0; i < MANY * FEW; i++)
        data[i] = rows[i % (ROWS * COLS - 7)] * (float)(1 + i % 3);
    dum_scorer *scorer = make_scorer();
    ck_ok(dum_scorer_set_text(scorer, "scaling", "whiten"));
    ck_fails(fit(scorer, data, FEW, MANY, 0), DUM_ERR_LIMIT, "use scaling zscore");
    ck_ok(dum_scorer_set_text(scorer, "scaling", "auto"));
    ck_ok(dum_scorer_set_number(scorer, "steps", 3));
    ck_ok(fit(scorer, data, FEW, MANY, 0));
    double scores[FEW];
    ck_ok(dum_scorer_score(scorer, data, FEW, MANY, 0, scores));
    for (int i = 0; i < FEW; i++)
        ck_assert(isfinite(scores[i]));
    dum_scorer_destroy(scorer);
    free(data);
}
END_TEST

START_TEST(strides_and_shapes)
{
    static float wide[ROWS * (COLS + 3)];
    for (int i = 0; i < ROWS * (COLS + 3); i++)
        wide[i] = NAN; /* what lies between the rows is nobody's */
    for (int i = 0; i < ROWS; i++)
        memcpy(wide + (ptrdiff_t)i * (COLS + 3), rows + (ptrdiff_t)i * COLS, COLS * sizeof *wide);
    dum_scorer *packed = make_scorer(), *strided = make_scorer();
    ck_ok(fit(packed, rows, ROWS, COLS, COLS));
    ck_ok(fit(strided, wide, ROWS, COLS, COLS + 3));
    double a[ROWS], b[ROWS];
    ck_ok(dum_scorer_score(packed, rows, ROWS, COLS, 0, a));
    ck_ok(dum_scorer_score(strided, wide, ROWS, COLS, COLS + 3, b));
    ck_assert_mem_eq(a, b, sizeof a);
    ck_fails(dum_scorer_score(packed, rows, 1, COLS - 1, 0, a), DUM_ERR_SHAPE, "fitted on 5 columns");
    ck_fails(dum_scorer_score(packed, rows, 1, COLS, COLS - 1, a), DUM_ERR_SHAPE, "row_stride is 4");
    ck_fails(dum_scorer_score(packed, NULL, 1, COLS, 0, a), DUM_ERR_ARGUMENT, "data is NULL");
    ck_fails(dum_scorer_score(packed, rows, -1, COLS, 0, a), DUM_ERR_SHAPE, "rows is -1");
    /* A row alone, in a pair, in all of them. */
    for (int i = 0; i < ROWS; i++) {
        double one;
        ck_ok(dum_scorer_score(packed, rows + (ptrdiff_t)i * COLS, 1, COLS, 0, &one));
        ck_assert_mem_eq(&one, a + i, sizeof one);
    }
    dum_scorer_destroy(packed);
    dum_scorer_destroy(strided);
}
END_TEST

START_TEST(absurd_options)
{
    dum_scorer *scorer = make_scorer();
    ck_fails(dum_scorer_set_number(scorer, "rate", -1), DUM_ERR_ARGUMENT, "rate");
    ck_fails(dum_scorer_set_number(scorer, "rate", NAN), DUM_ERR_ARGUMENT, "rate");
    ck_fails(dum_scorer_set_number(scorer, "width", 0), DUM_ERR_ARGUMENT, "width");
    ck_fails(dum_scorer_set_number(scorer, "width", 100000), DUM_ERR_ARGUMENT, "is 100000, expected 1 to");
    ck_fails(dum_scorer_set_number(scorer, "width", 2.5), DUM_ERR_ARGUMENT, "width");
    ck_fails(dum_scorer_set_number(scorer, "wdith", 8), DUM_ERR_ARGUMENT, "wdith");
    ck_fails(dum_scorer_set_text(scorer, "scaling", "Whiten"), DUM_ERR_ARGUMENT,
             "none|minmax|zscore|unit|whiten|auto|whiten-cov");
    ck_fails(dum_scorer_set_text(scorer, "rate", "fast"), DUM_ERR_ARGUMENT, "rate");
    ck_ok(dum_scorer_set_number(scorer, "rate", 1000)); /* in range, and hopeless */
    ck_ok(dum_scorer_set_text(scorer, "bound", "none"));
    ck_ok(dum_scorer_set_number(scorer, "clip", 0));
    ck_ok(dum_scorer_set_number(scorer, "steps", 500));
    ck_fails(fit(scorer, rows, ROWS, COLS, 0), DUM_ERR_NONFINITE, "diverged");
    ck_assert_int_eq(dum_scorer_cols(scorer), 0);
    dum_scorer_destroy(scorer);
    /* More memory than allowed: refused before it is taken. */
    dum_context_options options;
    DUM_INIT(options);
    options.max_bytes = 1 << 20;
    dum_context *small;
    ck_ok(dum_context_create(&options, &small));
    dum_dataset *data;
    ck_ok(dum_dataset_from_memory(small, rows, ROWS, COLS, 0, &data));
    ck_ok(dum_scorer_create(small, "dum", &scorer));
    ck_ok(dum_scorer_set_number(scorer, "width", 65536));
    ck_fails(dum_scorer_fit(scorer, data, NULL), DUM_ERR_LIMIT, "max_bytes");
    dum_scorer_destroy(scorer);
    dum_dataset_destroy(data);
    dum_context_destroy(small);
}
END_TEST

/* Writes a .npy file of doubles or floats, in C or Fortran order. */
static void write_npy(const char *path, const char *type, bool fortran)
{
    char header[128];
    snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': %s, 'shape': (%d, %d), }", type,
             fortran ? "True" : "False", ROWS, COLS);
    const size_t length = strlen(header);
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    const unsigned char start[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)length, 0};
    fwrite(start, 1, sizeof start, file);
    fwrite(header, 1, length, file);
    for (int i = 0; i < ROWS * COLS; i++) {
        const double wide = (double)rows[i];
        if (type[2] == '8')
            fwrite(&wide, sizeof wide, 1, file);
        else
            fwrite(&rows[i], sizeof rows[i], 1, file);
    }
    fclose(file);
}

START_TEST(npy_files)
{
    char path[] = "/tmp/dum-npy-XXXXXX";
    const int made = mkstemp(path);
    ck_assert_int_ge(made, 0);
    close(made);
    dum_dataset *data;
    dum_scorer *scorer = make_scorer();
    double a[ROWS], b[ROWS];
    ck_ok(fit(scorer, rows, ROWS, COLS, 0));
    ck_ok(dum_scorer_score(scorer, rows, ROWS, COLS, 0, a));
    static const char *const types[] = {"<f4", "<f8"};
    for (int i = 0; i < 2; i++) {
        write_npy(path, types[i], false);
        ck_ok(dum_dataset_from_npy(context, path, &data));
        ck_ok(dum_scorer_score_dataset(scorer, data, b));
        ck_assert_mem_eq(a, b, sizeof a);
        dum_dataset_destroy(data);
    }
    write_npy(path, "<f4", true);
    ck_fails(dum_dataset_from_npy(context, path, &data), DUM_ERR_FORMAT, "Fortran order");
    write_npy(path, "<i8", false);
    ck_fails(dum_dataset_from_npy(context, path, &data), DUM_ERR_FORMAT, "i8");
    write_npy(path, ">f4", false);
    ck_fails(dum_dataset_from_npy(context, path, &data), DUM_ERR_FORMAT, ">f4");
    ck_assert_int_eq(truncate(path, 200), 0);
    ck_fails(dum_dataset_from_npy(context, path, &data), DUM_ERR_FORMAT, "");
    unlink(path);
    ck_fails(dum_dataset_from_npy(context, path, &data), DUM_ERR_IO, path);
    dum_scorer_destroy(scorer);
}
END_TEST

START_TEST(paths)
{
    dum_scorer *scorer = make_scorer(), *loaded;
    ck_fails(dum_scorer_save(scorer, "/tmp/x.dum"), DUM_ERR_STATE, "not fitted");
    ck_ok(fit(scorer, rows, ROWS, COLS, 0));
    ck_fails(dum_scorer_save(scorer, "/nonexistent/x.dum"), DUM_ERR_IO, "/nonexistent/x.dum");
    ck_fails(dum_scorer_save(scorer, "/tmp"), DUM_ERR_IO, "not a regular file");
    ck_fails(dum_scorer_save(scorer, "/dev/null"), DUM_ERR_IO, "not a regular file");
    ck_fails(dum_scorer_save(scorer, ""), DUM_ERR_IO, "");
    ck_fails(dum_scorer_save(scorer, NULL), DUM_ERR_ARGUMENT, "path is NULL");
    ck_fails(dum_scorer_load(context, "/nonexistent/x.dum", &loaded), DUM_ERR_IO, "/nonexistent/x.dum");
    ck_assert_ptr_null(loaded);
    dum_scorer_destroy(scorer);
}
END_TEST

static int32_t stop_at_3(void *user, const dum_progress *progress)
{
    (void)user;
    return progress->step == 3;
}

START_TEST(cancelled)
{
    dum_scorer *scorer = make_scorer();
    dum_dataset *data;
    ck_ok(dum_dataset_from_memory(context, rows, ROWS, COLS, 0, &data));
    dum_fit_options options;
    DUM_INIT(options);
    options.progress = stop_at_3;
    ck_fails(dum_scorer_fit(scorer, data, &options), DUM_CANCELLED, "as far as it got");
    double score;
    ck_ok(dum_scorer_score(scorer, rows, 1, COLS, 0, &score));
    options.max_seconds = -1;
    ck_fails(dum_scorer_fit(scorer, data, &options), DUM_ERR_ARGUMENT, "max_seconds is -1");
    dum_dataset_destroy(data);
    dum_scorer_destroy(scorer);
}
END_TEST

START_TEST(byte_rows)
{
    static const uint8_t bytes[] = {0, 1, 2, 99, 253, 254, 255, 99};
    static const float wanted[] = {253, 254, 255, 0, 1, 2};
    float found[6];
    dum_dataset *data;
    ck_ok(dum_dataset_from_bytes(context, bytes, 2, 3, 4, &data));
    ck_assert_int_eq(dum_dataset_cols(data), 3);
    ck_ok(dum_dataset_read(data, 1, 1, found));
    ck_ok(dum_dataset_read(data, 0, 1, found + 3));
    ck_assert_mem_eq(found, wanted, sizeof wanted);
    dum_dataset_destroy(data);
    ck_ok(dum_dataset_from_bytes(context, bytes, 2, 4, 0, &data));
    ck_ok(dum_dataset_read(data, 1, 1, found));
    ck_assert(found[0] == 253 && found[3] == 99);
    dum_dataset_destroy(data);
    ck_fails(dum_dataset_from_bytes(context, NULL, 2, 3, 4, &data), DUM_ERR_ARGUMENT, "data is NULL");
    ck_fails(dum_dataset_from_bytes(context, bytes, 2, 3, 2, &data), DUM_ERR_SHAPE, "row_stride is 2");
    ck_fails(dum_dataset_from_bytes(context, bytes, 0, 3, 0, &data), DUM_ERR_SHAPE, "rows is 0");
    ck_assert_ptr_null(data);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bad-input");
    TCase *cases = tcase_create("bad-input");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, nonfinite_values);
    tcase_add_test(cases, extreme_values);
    tcase_add_test(cases, constants_and_duplicates);
    tcase_add_test(cases, few_rows_and_columns);
    tcase_add_test(cases, many_columns);
    tcase_add_test(cases, strides_and_shapes);
    tcase_add_test(cases, absurd_options);
    tcase_add_test(cases, npy_files);
    tcase_add_test(cases, byte_rows);
    tcase_add_test(cases, paths);
    tcase_add_test(cases, cancelled);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
