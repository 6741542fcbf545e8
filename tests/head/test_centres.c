/* SPDX-License-Identifier: MIT
 * The anchor's centres: where they are, the distance they give, and model files with and without them. */
#include "../harness.h"
#include "head/head.h"

#include <math.h>

enum { ROWS = 300, COLS = 4 };

static float rows[ROWS * COLS];

/* Three heaps, far from each other. */
static void make_rows(void)
{
    dumi_rng rng;
    dumi_rng_init(&rng, 3, 99, 0);
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLS; j++)
            rows[i * COLS + j] = (float)((i % 3 == j ? 100 : 0) + dumi_rng_normal(&rng));
}

static dum_head *fit(dum_context *context, int32_t count, double centres, int seed)
{
    dum_dataset *data;
    dum_head *head;
    ck_ok(dum_dataset_from_memory(context, rows, count, COLS, 0, &data));
    ck_ok(dum_head_create(context, &head));
    ck_ok(dum_head_set_text(head, "scaling", "none"));
    ck_ok(dum_head_set_text(head, "anchor", "centres"));
    ck_ok(dum_head_set_number(head, "centres", centres));
    ck_ok(dum_head_set_number(head, "seed", seed));
    ck_ok(dum_head_set_number(head, "steps", 1));
    ck_ok(dum_head_set_number(head, "rate", 1e-12)); /* so s is the anchor and one offset */
    ck_ok(dum_head_fit(head, data, NULL));
    dum_dataset_destroy(data);
    return head;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* By definition: the mean squared distance to the nearest centres, over the columns. */
static double anchor(const dumi_centres *centres, const float *row)
{
    double squares[256], sum = 0;
    for (int32_t i = 0; i < centres->count; i++) {
        squares[i] = 0;
        for (int j = 0; j < COLS; j++)
            squares[i] += pow((double)row[j] - (double)centres->rows[i * COLS + j], 2);
    }
    qsort(squares, (size_t)centres->count, sizeof *squares, ascending);
    const int32_t near = centres->count < DUMI_NEAR ? centres->count : DUMI_NEAR;
    for (int32_t i = 0; i < near; i++)
        sum += squares[i] / near;
    return log(1e-3 + sum / COLS);
}

START_TEST(one_in_each_heap)
{
    dum_context *context;
    ck_ok(dum_context_create(NULL, &context));
    /* The first three are drawn: a seed for which they are of three heaps. */
    bool found = false;
    for (int seed = 0; seed < 20 && !found; seed++) {
        dum_head *head = fit(context, ROWS, 3, seed);
        const dumi_centres *centres = &head->model->centres;
        ck_assert_int_eq(centres->count, 3);
        int heaps = 0;
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 3; j++)
                heaps |= (centres->rows[i * COLS + j] > 99 && centres->rows[i * COLS + j] < 101) << j;
        found = heaps == 7;
        dum_head_destroy(head);
    }
    ck_assert(found);
    dum_context_destroy(context);
}
END_TEST

START_TEST(distance)
{
    static const struct {
        int32_t rows, expected;
        double centres;
    } cases[] = {{ROWS, 7, 7}, {ROWS, 150, 256}, {7, 3, 256}, {2, 1, 256}, {ROWS, 1, 1}};
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++)
        for (int32_t threads = 1; threads <= 2; threads++) {
            dum_context_options options;
            DUM_INIT(options);
            options.threads = threads;
            dum_context *context;
            ck_ok(dum_context_create(&options, &context));
            dum_head *head = fit(context, cases[c].rows, cases[c].centres, 0);
            const dumi_centres *centres = &head->model->centres;
            ck_assert_int_eq(centres->count, cases[c].expected);
            float s[ROWS], alone;
            ck_ok(dum_head_log_variance(head, rows, ROWS, COLS, 0, s));
            for (int i = 1; i < ROWS; i++) {
                const double expected = anchor(centres, rows + i * COLS) - anchor(centres, rows);
                ck_assert_double_eq_tol((double)s[i] - (double)s[0], expected, 1e-5);
            }
            ck_ok(dum_head_log_variance(head, rows + COLS, 1, COLS, 0, &alone));
            ck_assert_mem_eq(&alone, s + 1, sizeof alone);
            dum_head_destroy(head);
            dum_context_destroy(context);
        }
}
END_TEST

/* Far away, at the end of float32, and at a centre: finite. */
START_TEST(extremes)
{
    dum_context *context;
    ck_ok(dum_context_create(NULL, &context));
    dum_head *head = fit(context, ROWS, 256, 0);
    float odd[3 * COLS], s[3];
    for (int j = 0; j < COLS; j++) {
        odd[j] = 3e38f;
        odd[COLS + j] = j % 2 ? -1e30f : 1e-40f;
        odd[2 * COLS + j] = head->model->centres.rows[j];
    }
    ck_ok(dum_head_log_variance(head, odd, 3, COLS, 0, s));
    for (int i = 0; i < 3; i++)
        ck_assert(isfinite(s[i]));
    ck_assert(s[0] > s[1] && s[1] > s[2]);
    dum_head_destroy(head);
    dum_context_destroy(context);
}
END_TEST

START_TEST(saved)
{
    dum_context *context;
    ck_ok(dum_context_create(NULL, &context));
    for (int with = 0; with < 2; with++) {
        dum_dataset *data;
        dum_head *head, *loaded;
        ck_ok(dum_dataset_from_memory(context, rows, ROWS, COLS, 0, &data));
        ck_ok(dum_head_create(context, &head));
        ck_ok(dum_head_set_text(head, "anchor", with ? "centres" : "on"));
        ck_ok(dum_head_set_number(head, "steps", 5));
        ck_ok(dum_head_fit(head, data, NULL));
        ck_assert_int_eq(head->model->centres.count, with ? 150 : 0);
        size_t size;
        ck_ok(dum_head_save_memory(head, NULL, 0, &size));
        unsigned char *bytes = malloc(size);
        ck_ok(dum_head_save_memory(head, bytes, size, &size));
        ck_ok(dum_head_load_memory(context, bytes, size, &loaded));
        float before[ROWS], after[ROWS];
        ck_ok(dum_head_log_variance(head, rows, ROWS, COLS, 0, before));
        ck_ok(dum_head_log_variance(loaded, rows, ROWS, COLS, 0, after));
        ck_assert_mem_eq(before, after, sizeof before);
        free(bytes);
        dum_head_destroy(loaded);
        dum_head_destroy(head);
        dum_dataset_destroy(data);
    }
    dum_context_destroy(context);
}
END_TEST

/* Clusters at unlike distances from the origin want centres; few rows in many columns, all equally far, do not. */
START_TEST(automatic)
{
    enum { FEW = 30, MANY = 400 };
    static float wide[FEW * MANY];
    dumi_rng rng;
    dumi_rng_init(&rng, 4, 99, 0);
    for (int i = 0; i < FEW * MANY; i++)
        wide[i] = (float)dumi_rng_normal(&rng);
    for (int i = 0; i < ROWS; i++)
        rows[i * COLS] += (float)(i % 3 * 1000);
    dum_context *context;
    ck_ok(dum_context_create(NULL, &context));
    for (int clusters = 0; clusters < 2; clusters++) {
        dum_dataset *data;
        dum_head *head;
        ck_ok(dum_dataset_from_memory(context, clusters ? rows : wide, clusters ? ROWS : FEW,
                                      clusters ? COLS : MANY, 0, &data));
        ck_ok(dum_head_create(context, &head));
        ck_ok(dum_head_set_number(head, "steps", 1));
        ck_ok(dum_head_fit(head, data, NULL));
        ck_assert_int_eq(head->model->centres.count, clusters ? ROWS / 2 : 0);
        dum_head_destroy(head);
        dum_dataset_destroy(data);
    }
    dum_context_destroy(context);
}
END_TEST

int main(void)
{
    make_rows();
    Suite *suite = suite_create("centres");
    TCase *cases = tcase_create("centres");
    tcase_add_test(cases, one_in_each_heap);
    tcase_add_test(cases, distance);
    tcase_add_test(cases, extremes);
    tcase_add_test(cases, saved);
    tcase_add_test(cases, automatic);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
