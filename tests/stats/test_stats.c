/* SPDX-License-Identifier: MIT
 * Statistics against scikit-learn, SciPy and mpmath (tests/reference/stats.py), and at their edges. */
#include "../harness.h"
#include "../reference/stats_reference.h"
#include "stats/stats.h"

static double sequence(int i, int a, int m, int levels)
{
    const double x = (double)((int64_t)i * a % m) / m;
    return levels > 0 ? floor(x * levels) / levels : x;
}

/* Pseudo-random scores; one row in `every` is positive, and scores `lift` higher. */
static void make_scores(int n, int a, int m, int levels, int every, double lift, double *scores,
                        uint8_t *labels)
{
    for (int i = 0; i < n; i++) {
        labels[i] = i % every == 0;
        scores[i] = sequence(i, a, m, levels) + lift * labels[i];
    }
}

/* Within 1e-12, relative to the larger of the value and 1. */
static void close_to(const char *what, double found, double expected)
{
    const double error = fabs(found - expected) / fmax(1, fabs(expected));
    ck_assert_msg(error <= 1e-12, "%s is %.17g, expected %.17g", what, found, expected);
}

static dum_estimate new_estimate(void)
{
    dum_estimate e;
    DUM_INIT(e);
    return e;
}

static dum_interval_options no_interval(void)
{
    dum_interval_options o;
    DUM_INIT(o);
    o.method = DUM_INTERVAL_NONE;
    return o;
}

START_TEST(matches_scikit_learn)
{
    const int n = roc_cases[_i].n;
    double *scores = malloc((size_t)n * sizeof *scores);
    uint8_t *labels = malloc((size_t)n);
    make_scores(n, roc_cases[_i].a, roc_cases[_i].m, roc_cases[_i].levels, roc_cases[_i].every, 0.25, scores,
                labels);
    dum_estimate e = new_estimate();
    ck_ok(dum_auroc(scores, labels, n, NULL, &e));
    close_to("auroc", e.value, roc_cases[_i].auroc);
    close_to("low", e.low, roc_cases[_i].low);
    close_to("high", e.high, roc_cases[_i].high);
    const dum_interval_options none = no_interval();
    ck_ok(dum_average_precision(scores, labels, n, &none, &e));
    close_to("ap", e.value, roc_cases[_i].ap);
    ck_assert_double_eq(e.low, e.value);
    ck_ok(dum_fpr95(scores, labels, n, &none, &e));
    close_to("fpr95", e.value, roc_cases[_i].fpr95);

    /* Reversed scores: 1 - AUROC, exactly; and the order of rows does not matter. */
    ck_ok(dum_auroc(scores, labels, n, &none, &e));
    const double before = e.value;
    for (int i = 0; i < n / 2; i++) {
        const double score = scores[i];
        scores[i] = scores[n - 1 - i];
        scores[n - 1 - i] = score;
        const uint8_t label = labels[i];
        labels[i] = labels[n - 1 - i];
        labels[n - 1 - i] = label;
    }
    ck_ok(dum_auroc(scores, labels, n, &none, &e));
    ck_assert_double_eq(e.value, before);
    for (int i = 0; i < n; i++)
        scores[i] = -scores[i];
    ck_ok(dum_auroc(scores, labels, n, &none, &e));
    close_to("reversed", e.value, 1 - before);
    free(scores);
    free(labels);
}
END_TEST

START_TEST(bootstrap_is_near_delong)
{
    enum { N = 1000 };
    double scores[N];
    uint8_t labels[N];
    make_scores(N, 7919, 10007, 0, 4, 0.3, scores, labels);
    dum_estimate delong = new_estimate(), first = new_estimate(), second = new_estimate();
    dum_interval_options o;
    DUM_INIT(o);
    o.method = DUM_INTERVAL_BOOTSTRAP;
    o.seed = 5;
    ck_ok(dum_auroc(scores, labels, N, NULL, &delong));
    ck_ok(dum_auroc(scores, labels, N, &o, &first));
    ck_ok(dum_auroc(scores, labels, N, &o, &second));
    ck_assert_double_eq_tol(first.low, delong.low, 0.01);
    ck_assert_double_eq_tol(first.high, delong.high, 0.01);
    ck_assert_double_eq(first.low, second.low);
    o.seed = 6;
    ck_ok(dum_auroc(scores, labels, N, &o, &second));
    ck_assert_double_ne(first.low, second.low);
    ck_ok(dum_average_precision(scores, labels, N, NULL, &first));
    ck_assert(first.low < first.value && first.value < first.high);
    ck_ok(dum_fpr95(scores, labels, N, NULL, &first));
    ck_assert(first.low <= first.value && first.value <= first.high && first.low < first.high);
    o.confidence = 0.5;
    ck_ok(dum_auroc(scores, labels, N, &o, &second));
    ck_assert_double_lt(second.high - second.low, delong.high - delong.low);
}
END_TEST

START_TEST(roc_edges)
{
    const double scores[] = {1, 1, 1, 1}, odd[] = {INFINITY, -INFINITY, 0, NAN};
    const uint8_t labels[] = {0, 1, 1, 0}, ones[] = {1, 1, 1, 1}, bad[] = {0, 1, 7, 0}, zeros[] = {0, 0, 0, 0};
    const dum_interval_options none = no_interval();
    dum_estimate e = new_estimate();
    ck_ok(dum_auroc(scores, labels, 4, NULL, &e)); /* all ties */
    ck_assert_double_eq(e.value, 0.5);
    ck_ok(dum_average_precision(scores, labels, 4, &none, &e));
    ck_assert_double_eq(e.value, 0.5);
    ck_ok(dum_fpr95(scores, labels, 4, &none, &e));
    ck_assert_double_eq(e.value, 1);
    ck_ok(dum_auroc(odd, (const uint8_t[]){1, 0, 0}, 3, NULL, &e));
    ck_assert_double_eq(e.value, 1);
    ck_assert_double_eq(e.low, 0); /* one positive: no variance */
    ck_fails(dum_auroc(odd, labels, 4, NULL, &e), DUM_ERR_NONFINITE, "scores[3]");
    ck_fails(dum_auroc(scores, ones, 4, NULL, &e), DUM_ERR_ARGUMENT, "no 0");
    ck_fails(dum_auroc(scores, zeros, 4, NULL, &e), DUM_ERR_ARGUMENT, "no 1");
    ck_fails(dum_fpr95(scores, ones, 4, NULL, &e), DUM_ERR_ARGUMENT, "no 0");
    ck_fails(dum_average_precision(scores, zeros, 4, NULL, &e), DUM_ERR_ARGUMENT, "no 1");
    ck_ok(dum_average_precision(scores, ones, 4, &none, &e));
    ck_assert_double_eq(e.value, 1);
    ck_fails(dum_auroc(scores, bad, 4, NULL, &e), DUM_ERR_ARGUMENT, "labels[2] is 7");
    ck_fails(dum_auroc(scores, labels, 0, NULL, &e), DUM_ERR_ARGUMENT, "n is 0");
    ck_fails(dum_auroc(scores, labels, 1, NULL, &e), DUM_ERR_ARGUMENT, "n is 1");
    ck_fails(dum_auroc(NULL, labels, 4, NULL, &e), DUM_ERR_ARGUMENT, "scores is NULL");
    ck_fails(dum_auroc(scores, labels, 4, NULL, NULL), DUM_ERR_ARGUMENT, "out is NULL");
    dum_interval_options o;
    DUM_INIT(o);
    o.method = DUM_INTERVAL_DELONG;
    ck_fails(dum_fpr95(scores, labels, 4, &o, &e), DUM_ERR_ARGUMENT, "which FPR at 95% TPR does not have");
    o.method = 9;
    ck_fails(dum_auroc(scores, labels, 4, &o, &e), DUM_ERR_ARGUMENT, "method is 9");
    o.method = 0;
    o.confidence = 1.5;
    ck_fails(dum_auroc(scores, labels, 4, &o, &e), DUM_ERR_ARGUMENT, "confidence is 1.5");
    o.confidence = 0;
    o.resamples = -1;
    ck_fails(dum_auroc(scores, labels, 4, &o, &e), DUM_ERR_ARGUMENT, "resamples is -1");
}
END_TEST

START_TEST(struct_sizes)
{
    const double scores[] = {1, 2};
    const uint8_t labels[] = {0, 1};
    struct {
        dum_estimate known;
        double unknown[2];
    } longer;
    memset(&longer, 0, sizeof longer);
    ck_fails(dum_auroc(scores, labels, 2, NULL, &longer.known), DUM_ERR_ABI, "DUM_INIT");
    longer.known.struct_size = sizeof longer;
    longer.unknown[0] = 7;
    ck_ok(dum_auroc(scores, labels, 2, NULL, &longer.known));
    ck_assert_double_eq(longer.known.value, 1);
    ck_assert_double_eq(longer.unknown[0], 7); /* what we do not know stays */
    struct {
        dum_interval_options known;
        int64_t unknown;
    } options;
    memset(&options, 0, sizeof options);
    options.known.struct_size = sizeof options;
    ck_ok(dum_auroc(scores, labels, 2, &options.known, &longer.known));
    options.unknown = 1;
    ck_fails(dum_auroc(scores, labels, 2, &options.known, &longer.known), DUM_ERR_UNSUPPORTED, "newer library");
    options.known.struct_size = 100000;
    ck_fails(dum_auroc(scores, labels, 2, &options.known, &longer.known), DUM_ERR_ABI, "100000");
}
END_TEST

START_TEST(ttest_matches)
{
    const int n = ttest_cases[_i].n, m = ttest_cases[_i].m;
    double *a = malloc((size_t)n * sizeof *a), *b = malloc((size_t)m * sizeof *b);
    for (int i = 0; i < n; i++)
        a[i] = sequence(i, 7919, 10007, 0) + ttest_cases[_i].offset;
    for (int i = 0; i < m; i++)
        b[i] = sequence(i, 104729, 15013, 0) * ttest_cases[_i].scale +
               (ttest_cases[_i].offset + ttest_cases[_i].shift);
    dum_ttest_result r;
    DUM_INIT(r);
    ck_ok(dum_ttest(a, n, b, m, ttest_cases[_i].welch ? DUM_TTEST_WELCH : DUM_TTEST_POOLED, &r));
    close_to("t", r.t, ttest_cases[_i].t);
    close_to("df", r.df, ttest_cases[_i].df);
    close_to("d", r.cohens_d, ttest_cases[_i].d);
    close_to("log10_p", r.log10_p, ttest_cases[_i].log10_p);
    if (ttest_cases[_i].log10_p > -290)
        close_to("p", r.p / pow(10, ttest_cases[_i].log10_p), 1);
    else
        ck_assert_double_le(r.p, 1e-289);
    free(a);
    free(b);
}
END_TEST

/* Values near both ends of the range of doubles: only the scale of mean_difference changes. */
START_TEST(ttest_scales)
{
    const double a[] = {1, 2, 4, 5.5}, b[] = {3, 5, 9};
    const double factors[] = {1e160, 1e-170, 1e307, 1e-300, -1e160};
    double wide_a[4], wide_b[3];
    for (int kind = DUM_TTEST_POOLED; kind <= DUM_TTEST_WELCH; kind++) {
        dum_ttest_result plain, wide;
        DUM_INIT(plain);
        DUM_INIT(wide);
        ck_ok(dum_ttest(a, 4, b, 3, kind, &plain));
        for (int i = 0; i < 4; i++)
            wide_a[i] = a[i] * factors[_i];
        for (int i = 0; i < 3; i++)
            wide_b[i] = b[i] * factors[_i];
        ck_ok(dum_ttest(wide_a, 4, wide_b, 3, kind, &wide));
        const double sign = factors[_i] > 0 ? 1 : -1;
        close_to("t", wide.t * sign, plain.t);
        close_to("df", wide.df, plain.df);
        close_to("d", wide.cohens_d * sign, plain.cohens_d);
        close_to("log10_p", wide.log10_p, plain.log10_p);
        close_to("difference", wide.mean_difference / factors[_i], plain.mean_difference);
    }
    /* Neither the sum nor the difference of these fits in a double, t does. */
    const double top[] = {1.7e308, 1.6e308, 1.7e308}, bottom[] = {-1.7e308, -1.6e308, -1.5e308};
    dum_ttest_result far;
    DUM_INIT(far);
    ck_ok(dum_ttest(top, 3, bottom, 3, DUM_TTEST_WELCH, &far));
    ck_assert(isinf(far.mean_difference) && isfinite(far.t) && far.t > 40 && isfinite(far.log10_p));
}
END_TEST

/* The interval's half width over its standard error is the normal quantile of the confidence. */
START_TEST(confidences_match)
{
    enum { N = 4000 };
    double scores[N];
    uint8_t labels[N];
    make_scores(N, 7919, 10007, 0, 2, 0, scores, labels);
    dum_estimate plain = new_estimate(), e = new_estimate();
    dum_interval_options o;
    DUM_INIT(o);
    ck_ok(dum_auroc(scores, labels, N, &o, &plain));
    o.confidence = confidences[_i][0];
    ck_ok(dum_auroc(scores, labels, N, &o, &e));
    const double ratio = (e.high - e.value) / (plain.high - plain.value);
    ck_assert_double_eq_tol(ratio / (confidences[_i][1] / 1.959963984540054), 1,
                            1e-12 + 4e-16 / (e.high - e.value));
}
END_TEST

/* A bootstrap that sorted each resample would not end in the time that Check gives. */
START_TEST(large_bootstrap)
{
    enum { N = 100000 };
    double *scores = malloc(N * sizeof *scores);
    uint8_t *labels = malloc(N);
    make_scores(N, 7919, 1000003, 0, 4, 0.3, scores, labels);
    dum_estimate e = new_estimate();
    dum_interval_options o;
    DUM_INIT(o);
    o.resamples = 300;
    ck_ok(dum_fpr95(scores, labels, N, &o, &e));
    ck_assert(e.low < e.value && e.value < e.high && e.high - e.low < 0.01);
    free(scores);
    free(labels);
}
END_TEST

START_TEST(tails_match)
{
    close_to("log10 tail", dumi_student_log_p(tails[_i][0], tails[_i][1]) / log(10), tails[_i][2]);
}
END_TEST

START_TEST(ttest_edges)
{
    const double same[] = {2, 2, 2}, other[] = {3, 3}, bad[] = {1, INFINITY}, two[] = {1, 4};
    dum_ttest_result r;
    DUM_INIT(r);
    ck_fails(dum_ttest(same, 3, same, 3, DUM_TTEST_POOLED, &r), DUM_ERR_ARGUMENT,
             "values of a and b are equal");
    ck_ok(dum_ttest(same, 3, other, 2, DUM_TTEST_WELCH, &r));
    ck_assert(isinf(r.t) && r.t < 0 && r.p == 0 && isinf(r.log10_p) && r.log10_p < 0);
    ck_assert_double_eq(r.mean_difference, -1);
    ck_fails(dum_ttest(bad, 2, two, 2, DUM_TTEST_WELCH, &r), DUM_ERR_NONFINITE, "a[1] is inf");
    ck_fails(dum_ttest(two, 1, two, 1, DUM_TTEST_POOLED, &r), DUM_ERR_ARGUMENT, "3 or more");
    ck_fails(dum_ttest(two, 1, two, 2, DUM_TTEST_WELCH, &r), DUM_ERR_ARGUMENT, "n_a is 1, expected at least 2");
    ck_fails(dum_ttest(two, 0, two, 2, DUM_TTEST_WELCH, &r), DUM_ERR_ARGUMENT, "n_a is 0");
    ck_fails(dum_ttest(two, 2, NULL, 2, DUM_TTEST_WELCH, &r), DUM_ERR_ARGUMENT, "b is NULL");
    ck_fails(dum_ttest(two, 2, two, 2, 5, &r), DUM_ERR_ARGUMENT, "kind is 5");
    ck_ok(dum_ttest(two, 1, same, 3, DUM_TTEST_POOLED, &r));
    ck_assert(isinf(r.t)); /* one value against constants */
    ck_ok(dum_ttest(two, 2, two, 2, DUM_TTEST_POOLED, &r));
    ck_assert_double_eq(r.t, 0);
    ck_assert_double_eq(r.p, 1);
}
END_TEST

/* Against the definition: the largest k for which k values are at or below k rate / n. */
START_TEST(false_discoveries)
{
    enum { N = 20 };
    for (uint32_t round = 0; round < 500; round++) {
        double p[N], evidence[N], harmonic = 0;
        for (uint32_t i = 0; i < N; i++) {
            p[i] = (double)(1 + (round * 7919 + i * 104729 + i * i * round) % 50) / 50;
            p[i] = i < round % N ? p[i] * p[i] * p[i] : p[i];
            evidence[i] = -log10(p[i]);
            harmonic += 1.0 / (i + 1);
        }
        for (int32_t method = DUM_FDR_PLAIN; method <= DUM_FDR_ANY; method++) {
            /* No product of whole fiftieths: nothing hangs on a rounding. */
            const double rate = 0.2137, level = method == DUM_FDR_ANY ? rate / harmonic : rate;
            int wanted = 0;
            for (int k = 1; k <= N; k++) {
                int below = 0;
                for (int i = 0; i < N; i++)
                    below += p[i] <= k * level / N;
                if (below >= k)
                    wanted = k;
            }
            uint8_t found[N];
            int64_t count;
            ck_ok(dum_false_discoveries(evidence, N, rate, method, found, &count));
            ck_assert_int_eq(count, wanted);
            for (int i = 0; i < N; i++)
                ck_assert_int_eq(found[i], wanted > 0 && p[i] <= wanted * level / N);
        }
    }
}
END_TEST

START_TEST(false_discovery_edges)
{
    const double sure[] = {INFINITY, -INFINITY, INFINITY}, bad[] = {1, NAN};
    uint8_t found[3];
    int64_t count;
    ck_ok(dum_false_discoveries(sure, 3, 1e-9, DUM_FDR_ANY, found, &count));
    ck_assert(count == 2 && found[0] && !found[1] && found[2]);
    ck_ok(dum_false_discoveries(sure + 1, 1, 0.5, DUM_FDR_PLAIN, found, &count));
    ck_assert(count == 0 && !found[0]);
    ck_fails(dum_false_discoveries(bad, 2, 0.1, DUM_FDR_PLAIN, found, &count), DUM_ERR_NONFINITE,
             "evidence[1] is NaN");
    ck_fails(dum_false_discoveries(sure, 0, 0.1, DUM_FDR_PLAIN, found, &count), DUM_ERR_ARGUMENT, "n is 0");
    ck_fails(dum_false_discoveries(sure, 3, 1, DUM_FDR_PLAIN, found, &count), DUM_ERR_ARGUMENT, "rate is 1");
    ck_fails(dum_false_discoveries(sure, 3, NAN, DUM_FDR_PLAIN, found, &count), DUM_ERR_ARGUMENT, "rate is");
    ck_fails(dum_false_discoveries(sure, 3, 0.1, 2, found, &count), DUM_ERR_ARGUMENT, "method is 2");
    ck_fails(dum_false_discoveries(sure, 3, 0.1, 0, NULL, &count), DUM_ERR_ARGUMENT, "found is NULL");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stats");
    TCase *cases = tcase_create("roc");
    tcase_add_loop_test(cases, matches_scikit_learn, 0, (int)(sizeof roc_cases / sizeof roc_cases[0]));
    tcase_add_test(cases, bootstrap_is_near_delong);
    tcase_add_loop_test(cases, confidences_match, 0, (int)(sizeof confidences / sizeof confidences[0]));
    tcase_add_test(cases, large_bootstrap);
    tcase_add_test(cases, roc_edges);
    tcase_add_test(cases, struct_sizes);
    suite_add_tcase(suite, cases);
    cases = tcase_create("t-test");
    tcase_add_loop_test(cases, ttest_matches, 0, (int)(sizeof ttest_cases / sizeof ttest_cases[0]));
    tcase_add_loop_test(cases, tails_match, 0, (int)(sizeof tails / sizeof tails[0]));
    tcase_add_test(cases, ttest_edges);
    tcase_add_loop_test(cases, ttest_scales, 0, 5);
    suite_add_tcase(suite, cases);
    cases = tcase_create("false discoveries");
    tcase_add_test(cases, false_discoveries);
    tcase_add_test(cases, false_discovery_edges);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
