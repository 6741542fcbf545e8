/* SPDX-License-Identifier: MIT
 * Model files of every format version load for ever, and score as they did when they were written.
 * tests/golden: rows.csv, and for each model NAME.dum its scores NAME.csv; for a monitor, its state after each row with
 * the first column as score. Never change them; add. */
#include "../harness.h"
#include "../../examples/dum/csv.h"

#include <dirent.h>
#include <stdio.h>

static const char *folder;

static csv_table read_csv(const char *name)
{
    static char text[1 << 20];
    char path[512], message[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s is missing", path);
    const size_t size = fread(text, 1, sizeof text, file);
    fclose(file);
    csv_table table;
    ck_assert_msg(csv_parse(text, size, CSV_HEADER_AUTO, &table, message), "%s: %s", path, message);
    return table;
}

static void check_monitor(dum_context *context, const char *path, const csv_table *rows,
                          const csv_table *expected)
{
    dum_monitor *monitor;
    ck_ok(dum_monitor_load(context, path, &monitor));
    int64_t number, count;
    double score;
    ck_ok(dum_monitor_read_top(monitor, 1, &number, &score, &count));
    ck_assert_int_eq(count, 1);
    ck_assert_int_eq(number > 0, strstr(path, "unnumbered") == NULL);
    for (int64_t i = 0; i < rows->rows; i++) {
        score = (double)rows->values[i * rows->cols];
        ck_ok(dum_monitor_push_scores(monitor, &score, 1, NULL));
        dum_monitor_state s;
        DUM_INIT(s);
        ck_ok(dum_monitor_read(monitor, &s));
        const double found[] = {s.statistic, s.threshold, (double)s.alarms, (double)s.bad_rows};
        for (int32_t j = 0; j < 4; j++)
            ck_assert_double_eq_tol(found[j], (double)expected->values[i * 4 + j], 1e-4 * (1 + fabs(found[j])));
    }
    dum_monitor_destroy(monitor);
}

static void check_scorer(dum_context *context, const char *path, const csv_table *rows,
                         const csv_table *expected)
{
    dum_scorer *scorer;
    ck_ok(dum_scorer_load(context, path, &scorer));
    double *scores = malloc((size_t)rows->rows * sizeof *scores);
    ck_ok(dum_scorer_score(scorer, rows->values, rows->rows, rows->cols, 0, scores));
    /* processors differ in the last bits */
    for (int64_t i = 0; i < rows->rows; i++)
        ck_assert_double_eq_tol(scores[i], (double)expected->values[i], 1e-4 * (1 + fabs(scores[i])));
    ck_assert_str_eq(dum_scorer_feature_name(scorer, 0), "alpha");
    ck_assert_int_gt(dum_scorer_calibration_count(scorer), 0);
    free(scores);
    dum_scorer_destroy(scorer);
}

static void check_model(dum_context *context, const char *name, const csv_table *rows)
{
    char path[512], scores_name[300];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    snprintf(scores_name, sizeof scores_name, "%.*s.csv", (int)(strlen(name) - 4), name);
    csv_table expected = read_csv(scores_name);
    dum_model_info info;
    DUM_INIT(info);
    ck_ok(dum_model_inspect(context, path, &info));
    ck_assert_int_eq(expected.rows, rows->rows);
    if (strcmp(info.kind, "monitor") == 0)
        check_monitor(context, path, rows, &expected);
    else
        check_scorer(context, path, rows, &expected);
    csv_free(&expected);
}

START_TEST(old_models_load)
{
    csv_table rows = read_csv("rows.csv");
    dum_context *context;
    ck_ok(dum_context_create(NULL, &context));
    DIR *dir = opendir(folder);
    int models = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        const size_t length = strlen(entry->d_name);
        if (length < 5 || strcmp(entry->d_name + length - 4, ".dum") != 0)
            continue;
        check_model(context, entry->d_name, &rows);
        models++;
    }
    closedir(dir);
    ck_assert_int_ge(models, 1);
    dum_context_destroy(context);
    csv_free(&rows);
}
END_TEST

int main(void)
{
    folder = getenv("DUM_GOLDEN");
    if (folder == NULL)
        return 1;
    Suite *suite = suite_create("golden");
    TCase *cases = tcase_create("golden");
    tcase_add_test(cases, old_models_load);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
