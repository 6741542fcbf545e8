/* SPDX-License-Identifier: MIT
 * Scalings against their definitions, the eigenvectors, Ledoit & Wolf against scikit-learn. */
#include "../harness.h"
#include "../reference/whiten_reference.h"
#include "dataset/dataset.h"
#include "head/head.h"
#include "linear/linear.h"

START_TEST(eigenvectors)
{
    enum { D = 40 };
    double a[D * D], copy[D * D], vectors[D * D], values[D];
    dumi_rng rng;
    dumi_rng_init(&rng, 5, 99, 0);
    for (int i = 0; i < D; i++)
        for (int j = 0; j <= i; j++)
            /* rank-deficient in part, with equal eigenvalues */
            copy[i * D + j] = copy[j * D + i] = a[i * D + j] = a[j * D + i] = i < 30   ? dumi_rng_normal(&rng)
                                                                              : i == j ? 2.0
                                                                                       : 0.0;
    dum_context *context;
    ck_ok(dum_context_create(NULL, &context));
    ck_ok(dumi_eigen(context, D, a, vectors, values, NULL));
    for (int k = 0; k < D; k++) {
        for (int i = 0; i < D; i++) {
            double product = 0, norm = 0;
            for (int j = 0; j < D; j++) {
                product += copy[i * D + j] * vectors[k * D + j];
                norm += vectors[i * D + j] * vectors[k * D + j];
            }
            ck_assert_double_eq_tol(product, values[k] * vectors[k * D + i], 1e-12);
            ck_assert_double_eq_tol(norm, i == k, 1e-12);
        }
    }
    double one[1] = {3}, one_vector[1], one_value[1];
    ck_ok(dumi_eigen(context, 1, one, one_vector, one_value, NULL));
    ck_assert_double_eq(one_value[0], 3);
    dum_context_destroy(context);
}
END_TEST

/* Fits a scaling to rows and applies it to them; the kind that it is. */
static int32_t scale(int32_t kind, const float *rows, int32_t n, int32_t d, float *z)
{
    dum_context *context;
    dum_dataset *data;
    ck_ok(dum_context_create(NULL, &context));
    ck_ok(dum_dataset_from_memory(context, rows, n, d, 0, &data));
    double values[DUMI_HEAD_PARAMS];
    dumi_head_defaults(values);
    values[DUMI_SCALING] = kind;
    dumi_stream *stream;
    ck_ok(context->backend->stream_create(context, 1, 1024, 1024, 1024, &stream));
    dumi_scaling scaling = {0};
    ck_ok(dumi_scaling_fit(context, stream, values, data, NULL, &scaling));
    float *between = malloc((size_t)n * (size_t)d * sizeof *between);
    dumi_scaling_apply(stream, context->backend, &scaling, n, rows, between, z);
    free(between);
    kind = scaling.kind;
    ck_assert_int_eq(scaling.rotation_packed != NULL,
                     kind == DUMI_SCALE_WHITEN || kind == DUMI_SCALE_WHITEN_COV);
    dumi_scaling_destroy(context, &scaling);
    context->backend->stream_destroy(stream);
    dum_dataset_destroy(data);
    dum_context_destroy(context);
    return kind;
}

START_TEST(definitions)
{
    /* columns: ordinary, constant, far from zero */
    const float rows[] = {1, 7, 1e6f, 2, 7, 1e6f + 1, 6, 7, 1e6f + 2};
    float z[9];
    scale(DUMI_SCALE_NONE, rows, 3, 3, z);
    ck_assert_mem_eq(z, rows, sizeof z);
    scale(DUMI_SCALE_MINMAX, rows, 3, 3, z);
    const float minmax[] = {0, 0, 0, 0.2f, 0, 0.5f, 1, 0, 1};
    for (int i = 0; i < 9; i++)
        ck_assert_float_eq_tol(z[i], minmax[i], 1e-6f);
    scale(DUMI_SCALE_ZSCORE, rows, 3, 3, z);
    ck_assert_float_eq_tol(z[0], (float)(-2 / sqrt(14.0 / 3)), 1e-6f);
    ck_assert_float_eq_tol(z[8], (float)sqrt(1.5), 1e-6f);
    ck_assert_float_eq(z[1], 0);
    scale(DUMI_SCALE_UNIT, rows, 3, 3, z);
    for (int i = 0; i < 3; i++)
        ck_assert_float_eq_tol(z[3 * i] * z[3 * i] + z[3 * i + 2] * z[3 * i + 2], 1, 1e-6f);
}
END_TEST

/* Whitened squared lengths = d x Mahalanobis distances with scikit-learn's Ledoit-Wolf covariance. */
static void check_lengths(int32_t kind, const double *distances)
{
    enum { N = WHITEN_ROWS, D = WHITEN_COLS };
    float z[N * D];
    scale(kind, whiten_rows, N, D, z);
    for (int i = 0; i < N; i++) {
        double square = 0;
        for (int j = 0; j < D; j++)
            square += (double)z[i * D + j] * (double)z[i * D + j];
        ck_assert_double_eq_tol(square, distances[i], 1e-4 * distances[i]);
    }
}

START_TEST(whitening_matches_scikit_learn)
{
    check_lengths(DUMI_SCALE_WHITEN, whiten_distances);
    check_lengths(DUMI_SCALE_WHITEN_COV, whiten_cov_distances);
}
END_TEST

/* Two sheets close to each other hide behind the correlation of the columns: whitening parts them. Clusters along one
 * direction, seen in ten columns with noise of their own, are drowned by that noise once it is as large as they are. */
START_TEST(automatic)
{
    enum { N = 600, D = 10 };
    static float rows[N * D], z[N * D], same[N * D];
    dumi_rng rng;
    dumi_rng_init(&rng, 7, 99, 0);
    for (int i = 0; i < N; i++) {
        const double along = dumi_rng_normal(&rng);
        for (int j = 0; j < 3; j++)
            rows[i * 3 + j] = (float)(along + (j == 0 ? 0.02 * (i % 2) : 0) + 0.002 * dumi_rng_normal(&rng));
    }
    const int32_t found = scale(DUMI_SCALE_AUTO, rows, N, 3, z);
    ck_assert(found == DUMI_SCALE_WHITEN || found == DUMI_SCALE_WHITEN_COV);
    scale(found, rows, N, 3, same);
    ck_assert_mem_eq(z, same, N * 3 * sizeof *z);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < D; j++)
            rows[i * D + j] = j == D - 1 ? 3 : (float)(i % 5 + 0.02 * dumi_rng_normal(&rng));
    ck_assert_int_eq(scale(DUMI_SCALE_AUTO, rows, N, D, z), DUMI_SCALE_ZSCORE);
    scale(DUMI_SCALE_ZSCORE, rows, N, D, same);
    ck_assert_mem_eq(z, same, sizeof z);
    ck_assert_int_eq(scale(DUMI_SCALE_AUTO, rows, 1, D, z), DUMI_SCALE_WHITEN);
    for (int i = 0; i < N * D; i++)
        rows[i] = 1;
    scale(DUMI_SCALE_AUTO, rows, N, D, z);
    for (int i = 0; i < N * D; i++)
        ck_assert_float_eq(z[i], 0);
}
END_TEST

/* A few directions, seen in half of the columns, and the same noise in all: in their own unit columns of noise stay small, as
 * z-scores they are as large as the others. In units at random it is the other way round. */
START_TEST(automatic_units)
{
    enum { N = 150, D = 60, DIRECTIONS = 8 };
    static float rows[N * D], z[N * D], same[N * D];
    double mix[DIRECTIONS][D], unit[D];
    dumi_rng rng;
    dumi_rng_init(&rng, 11, 99, 0);
    for (int j = 0; j < D; j++) {
        for (int k = 0; k < DIRECTIONS; k++)
            mix[k][j] = j < D / 2 ? 3 * dumi_rng_normal(&rng) : 0;
        unit[j] = pow(10, 4 * dumi_rng_uniform(&rng) - 2);
    }
    for (int i = 0; i < N; i++) {
        double along[DIRECTIONS];
        for (int k = 0; k < DIRECTIONS; k++)
            along[k] = dumi_rng_normal(&rng);
        for (int j = 0; j < D; j++) {
            double value = dumi_rng_normal(&rng);
            for (int k = 0; k < DIRECTIONS; k++)
                value += along[k] * mix[k][j];
            rows[i * D + j] = (float)value;
        }
    }
    ck_assert_int_eq(scale(DUMI_SCALE_AUTO, rows, N, D, z), DUMI_SCALE_WHITEN_COV);
    scale(DUMI_SCALE_WHITEN_COV, rows, N, D, same);
    ck_assert_mem_eq(z, same, sizeof z);
    for (int i = 0; i < N * D; i++)
        rows[i] = (float)((double)rows[i] * unit[i % D]);
    ck_assert_int_eq(scale(DUMI_SCALE_AUTO, rows, N, D, z), DUMI_SCALE_WHITEN);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scaling");
    TCase *cases = tcase_create("scaling");
    tcase_add_test(cases, eigenvectors);
    tcase_add_test(cases, definitions);
    tcase_add_test(cases, whitening_matches_scikit_learn);
    tcase_add_test(cases, automatic);
    tcase_add_test(cases, automatic_units);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
