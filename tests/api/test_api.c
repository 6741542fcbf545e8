/* SPDX-License-Identifier: MIT
 * The public calls: what they promise on good input, and what they say of bad. */
#define _POSIX_C_SOURCE 200809L
#include "../harness.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROWS = 300, COLS = 6 };

static dum_context *new_context(int32_t threads)
{
    dum_context_options options;
    DUM_INIT(options);
    options.threads = threads;
    dum_context *context;
    ck_ok(dum_context_create(&options, &context));
    return context;
}

/* Correlated rows; the last ten lie far away. */
static void make_rows(float *rows, int n, int d)
{
    uint32_t state = 12345;
    for (int i = 0; i < n; i++) {
        float common = 0;
        for (int j = 0; j < d; j++) {
            float sum = 0;
            for (int k = 0; k < 4; k++) {
                state = state * 1664525u + 1013904223u;
                sum += (float)(state >> 8) / 16777216.0f - 0.5f;
            }
            common = j == 0 ? sum : common;
            rows[i * d + j] = sum + 0.5f * common + (i >= n - 10 ? 4.0f : 0.0f);
        }
    }
}

static dum_dataset *new_dataset(dum_context *context, const float *rows, int64_t n, int32_t d)
{
    dum_dataset *data;
    ck_ok(dum_dataset_from_memory(context, rows, n, d, 0, &data));
    return data;
}

static dum_scorer *new_scorer(dum_context *context, double steps)
{
    dum_scorer *scorer;
    ck_ok(dum_scorer_create(context, "dum", &scorer));
    ck_ok(dum_scorer_set_number(scorer, "steps", steps));
    ck_ok(dum_scorer_set_number(scorer, "width", 32));
    return scorer;
}

static dum_scorer *fitted_scorer(dum_context *context, const float *rows, int64_t n, int32_t d)
{
    dum_scorer *scorer = new_scorer(context, 60);
    dum_dataset *data = new_dataset(context, rows, n, d);
    ck_ok(dum_scorer_fit(scorer, data, NULL));
    dum_dataset_destroy(data);
    return scorer;
}

/* ---- Context ------------------------------------------------------------------------------------ */

typedef struct {
    int64_t blocks, bytes; /* there are */
    int64_t made;          /* blocks, so far */
} counter;

static void *count_alloc(void *user, size_t size, size_t align)
{
    counter *c = user;
    void *pointer = NULL;
    if (posix_memalign(&pointer, align, size) != 0)
        return NULL;
    __atomic_add_fetch(&c->blocks, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&c->made, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&c->bytes, (int64_t)size, __ATOMIC_RELAXED);
    return pointer;
}

static void count_free(void *user, void *pointer, size_t size)
{
    counter *c = user;
    __atomic_sub_fetch(&c->blocks, 1, __ATOMIC_RELAXED);
    __atomic_sub_fetch(&c->bytes, (int64_t)size, __ATOMIC_RELAXED);
    free(pointer);
}

START_TEST(contexts)
{
    dum_context_options options;
    dum_context *context;
    DUM_INIT(options);
    options.threads = -1;
    ck_fails(dum_context_create(&options, &context), DUM_ERR_ARGUMENT, "options.threads is -1");
    ck_assert_ptr_null(context);
    options.threads = 0;
    options.backend = "abacus";
    ck_fails(dum_context_create(&options, &context), DUM_ERR_ARGUMENT, "abacus");
    options.backend = "cuda";
    options.module_dir = "relative";
    ck_fails(dum_context_create(&options, &context), DUM_ERR_BACKEND, "not an absolute path");
    options.module_dir = "/nonexistent";
    ck_fails(dum_context_create(&options, &context), DUM_ERR_BACKEND, "cannot be loaded");
    options.backend = NULL;
    options.alloc = count_alloc;
    ck_fails(dum_context_create(&options, &context), DUM_ERR_ARGUMENT, "both or neither");
    options.struct_size = 0;
    ck_fails(dum_context_create(&options, &context), DUM_ERR_ABI, "DUM_INIT");
    ck_fails(dum_context_create(NULL, NULL), DUM_ERR_ARGUMENT, "out is NULL");
    ck_ok(dum_context_create(NULL, &context));
    ck_assert_str_eq(dum_error_message(), "");
    ck_assert_str_eq(dum_context_backend(context), "blis");
    ck_assert_int_ge(dum_context_threads(context), 1);
    dum_context_destroy(context);
    dum_context_destroy(NULL);
    ck_assert_str_eq(dum_status_name(DUM_ERR_SHAPE), "DUM_ERR_SHAPE");
    ck_assert_str_eq(dum_status_name(DUM_CANCELLED), "DUM_CANCELLED");
    ck_assert_str_eq(dum_status_name(DUM_ERR_INTERNAL), "DUM_ERR_INTERNAL");
    ck_assert_str_eq(dum_status_name((dum_status)77), "unknown");
    ck_assert_str_eq(dum_status_name((dum_status)-77), "unknown");
    ck_assert_str_eq(dum_version(), DUM_VERSION);
}
END_TEST

START_TEST(backends)
{
    dum_backend_info info;
    DUM_INIT(info);
    int available = 0;
    for (int32_t i = 0; i < dum_backend_count(); i++) {
        ck_ok(dum_backend_get(i, &info));
        ck_assert_uint_gt(strlen(info.reason), 0);
        available += info.available;
    }
    ck_assert_int_ge(available, 2);
    ck_fails(dum_backend_get(99, &info), DUM_ERR_ARGUMENT, "index is 99");
}
END_TEST

/* All memory goes through the host's allocator, comes back with its size, and stays under the limit. */
START_TEST(memory)
{
    static float rows[ROWS * COLS];
    make_rows(rows, ROWS, COLS);
    counter c = {0};
    dum_context_options options;
    DUM_INIT(options);
    options.alloc = count_alloc;
    options.free = count_free;
    options.alloc_user = &c;
    dum_context *context;
    ck_ok(dum_context_create(&options, &context));
    dum_scorer *scorer = fitted_scorer(context, rows, ROWS, COLS);
    double score;
    ck_ok(dum_scorer_score(scorer, rows, 1, COLS, 0, &score));
    const int64_t before = c.made; /* after the first call, scoring allocates nothing */
    for (int i = 0; i < 100; i++)
        ck_ok(dum_scorer_score(scorer, rows + i * COLS, 1, COLS, 0, &score));
    ck_assert_int_eq(c.made, before);
    ck_assert_uint_le(dum_context_bytes(context), (uint64_t)c.bytes);
    ck_assert_uint_ge(dum_context_bytes(context) + 4096, (uint64_t)c.bytes);
    dum_context_destroy(context); /* the scorer keeps it alive */
    ck_ok(dum_scorer_score(scorer, rows, 1, COLS, 0, &score));
    dum_scorer_destroy(scorer);
    ck_assert_int_eq(c.blocks, 0);
    ck_assert_int_eq(c.bytes, 0);

    DUM_INIT(options);
    options.max_bytes = 1 << 20;
    ck_ok(dum_context_create(&options, &context));
    scorer = new_scorer(context, 10);
    ck_ok(dum_scorer_set_number(scorer, "width", 4096));
    dum_dataset *data = new_dataset(context, rows, ROWS, COLS);
    ck_fails(dum_scorer_fit(scorer, data, NULL), DUM_ERR_LIMIT, "max_bytes = 1048576");
    dum_dataset_destroy(data);
    dum_scorer_destroy(scorer);
    dum_context_destroy(context);
}
END_TEST

/* Every allocation of a whole life is made to fail in turn: an error, no leak, nothing half-made. */
typedef struct {
    counter c;
    int64_t left;
} failing;

static void *failing_alloc(void *user, size_t size, size_t align)
{
    failing *f = user;
    return f->left-- == 0 ? NULL : count_alloc(&f->c, size, align);
}

static void failing_free(void *user, void *pointer, size_t size)
{
    count_free(&((failing *)user)->c, pointer, size);
}

static dum_status use_scorer(dum_context *context, dum_dataset *data, dum_scorer *scorer, const float *rows)
{
    static unsigned char buffer[1 << 18];
    double score, scores[ROWS];
    float share[COLS];
    size_t size;
    dum_scorer *loaded;
    dum_status status = dum_scorer_set_text(scorer, "covariance", "diagonal");
    if (status == DUM_OK)
        status = dum_scorer_fit(scorer, data, NULL);
    if (status == DUM_OK)
        status = dum_scorer_score(scorer, rows, 1, COLS, 0, &score);
    if (status == DUM_OK)
        status = dum_scorer_score_dataset(scorer, data, scores);
    if (status == DUM_OK)
        status = dum_scorer_calibrate(scorer, data);
    if (status == DUM_OK)
        status = dum_scorer_explain(scorer, rows, 1, COLS, 0, share, NULL);
    if (status == DUM_OK)
        status = dum_scorer_save_memory(scorer, buffer, sizeof buffer, &size);
    if (status == DUM_OK) {
        status = dum_scorer_load_memory(context, buffer, size, &loaded);
        dum_scorer_destroy(loaded);
    }
    return status;
}

static dum_status whole_life(const dum_context_options *options, const float *rows)
{
    static const char *const names[COLS] = {"a", "b", "c", "d", "e", "f"};
    dum_context *context;
    dum_dataset *data = NULL;
    dum_scorer *scorer = NULL;
    dum_status status = dum_context_create(options, &context);
    if (status != DUM_OK)
        return status;
    status = dum_dataset_from_memory(context, rows, ROWS, COLS, 0, &data);
    if (status == DUM_OK)
        status = dum_dataset_set_feature_names(data, names, COLS);
    if (status == DUM_OK)
        status = dum_scorer_create(context, "dum", &scorer);
    if (status == DUM_OK)
        status = dum_scorer_set_number(scorer, "width", 8);
    if (status == DUM_OK)
        status = dum_scorer_set_number(scorer, "steps", 2);
    if (status == DUM_OK)
        status = use_scorer(context, data, scorer, rows);
    dum_scorer_destroy(scorer);
    dum_dataset_destroy(data);
    dum_context_destroy(context);
    return status;
}

START_TEST(failing_allocations)
{
    static float rows[ROWS * COLS];
    make_rows(rows, ROWS, COLS);
    failing f = {{0}, 0};
    dum_context_options options;
    DUM_INIT(options);
    options.threads = 1;
    options.alloc = failing_alloc;
    options.free = failing_free;
    options.alloc_user = &f;
    int64_t failures = 0;
    for (int64_t fail_at = 0;; fail_at++) {
        f.left = fail_at;
        const dum_status status = whole_life(&options, rows);
        ck_assert_int_eq(f.c.blocks, 0);
        if (status == DUM_OK)
            break;
        ck_assert_msg(status == DUM_ERR_NOMEM, "allocation %lld: %s (%s)", (long long)fail_at,
                      dum_status_name(status), dum_error_message());
        failures++;
    }
    ck_assert_int_gt(failures, 100);
}
END_TEST

/* ---- Datasets ----------------------------------------------------------------------------------- */

static int32_t read_rows(void *user, const int64_t *indices, int64_t count, float *out)
{
    const float *rows = user;
    for (int64_t i = 0; i < count; i++)
        memcpy(out + i * COLS, rows + indices[i] * COLS, COLS * sizeof *out);
    return 0;
}

static int32_t read_nothing(void *user, const int64_t *indices, int64_t count, float *out)
{
    (void)user;
    (void)indices;
    (void)count;
    (void)out;
    return 42;
}

START_TEST(datasets)
{
    static float rows[ROWS * COLS];
    make_rows(rows, ROWS, COLS);
    dum_context *context = new_context(1);
    dum_dataset *data;
    ck_fails(dum_dataset_from_memory(context, rows, 0, COLS, 0, &data), DUM_ERR_SHAPE, "rows is 0");
    ck_fails(dum_dataset_from_memory(context, rows, 1, 0, 0, &data), DUM_ERR_SHAPE, "cols is 0");
    ck_fails(dum_dataset_from_memory(context, rows, 1, COLS, 3, &data), DUM_ERR_SHAPE, "row_stride is 3");
    ck_fails(dum_dataset_from_memory(context, NULL, 1, COLS, 0, &data), DUM_ERR_ARGUMENT, "data is NULL");
    ck_fails(dum_dataset_from_npy(context, "/nonexistent.npy", &data), DUM_ERR_IO, "No such file");
    ck_fails(dum_dataset_from_callback(context, 5, COLS, NULL, NULL, &data), DUM_ERR_ARGUMENT, "read is NULL");

    /* The same rows from memory with a stride, and from a callback, give the same scores. */
    double expected[ROWS], found[ROWS];
    float *wide = malloc(ROWS * (COLS + 5) * sizeof *wide);
    for (int i = 0; i < ROWS * (COLS + 5); i++)
        wide[i] = i % (COLS + 5) < COLS ? rows[i / (COLS + 5) * COLS + i % (COLS + 5)] : NAN;
    dum_scorer *scorer = fitted_scorer(context, rows, ROWS, COLS);
    ck_ok(dum_scorer_score(scorer, rows, ROWS, COLS, 0, expected));
    ck_ok(dum_scorer_score(scorer, wide, ROWS, COLS, COLS + 5, found));
    ck_assert_mem_eq(found, expected, sizeof found);
    for (int source = 0; source < 2; source++) {
        if (source == 0)
            ck_ok(dum_dataset_from_memory(context, wide, ROWS, COLS, COLS + 5, &data));
        else
            ck_ok(dum_dataset_from_callback(context, ROWS, COLS, read_rows, rows, &data));
        ck_assert_int_eq(dum_dataset_rows(data), ROWS);
        ck_assert_int_eq(dum_dataset_cols(data), COLS);
        dum_scorer *again = new_scorer(context, 60);
        ck_ok(dum_scorer_fit(again, data, NULL));
        ck_ok(dum_scorer_score_dataset(again, data, found));
        ck_assert_mem_eq(found, expected, sizeof found);
        float row[2 * COLS];
        ck_ok(dum_dataset_read(data, 7, 2, row));
        ck_assert_mem_eq(row, rows + 7 * COLS, sizeof row);
        ck_fails(dum_dataset_read(data, ROWS - 1, 2, row), DUM_ERR_SHAPE, "the dataset has 300");
        ck_fails(dum_dataset_read(data, INT64_MAX, INT64_MAX, row), DUM_ERR_SHAPE,
                 "count is 9223372036854775807");
        ck_fails(dum_dataset_read(data, INT64_MIN, 0, row), DUM_ERR_SHAPE, "first is -9223372036854775808");
        dum_scorer_destroy(again);
        dum_dataset_destroy(data);
    }
    ck_ok(dum_dataset_from_callback(context, ROWS, COLS, read_nothing, NULL, &data));
    ck_fails(dum_scorer_fit(scorer, data, NULL), DUM_ERR_CALLBACK, "returned 42");
    ck_ok(dum_scorer_score(scorer, rows, ROWS, COLS, 0, found)); /* as it was before */
    ck_assert_mem_eq(found, expected, sizeof found);
    ck_fails(dum_scorer_score_dataset(scorer, data, found), DUM_ERR_CALLBACK, "returned 42");
    dum_dataset_destroy(data);
    dum_scorer_destroy(scorer);
    dum_context_destroy(context);
    free(wide);
}
END_TEST

START_TEST(feature_names)
{
    static float rows[ROWS * COLS];
    make_rows(rows, ROWS, COLS);
    const char *names[COLS] = {"a", "b", "c\xC3\xA9", "d", "", "f f"};
    dum_context *context = new_context(1);
    dum_dataset *data = new_dataset(context, rows, ROWS, COLS);
    ck_fails(dum_dataset_set_feature_names(data, names, 3), DUM_ERR_SHAPE, "count is 3");
    names[1] = "two\nlines";
    ck_fails(dum_dataset_set_feature_names(data, names, COLS), DUM_ERR_ARGUMENT, "newline");
    names[1] = "\xFF";
    ck_fails(dum_dataset_set_feature_names(data, names, COLS), DUM_ERR_ARGUMENT, "UTF-8");
    names[1] = NULL;
    ck_fails(dum_dataset_set_feature_names(data, names, COLS), DUM_ERR_ARGUMENT, "column 1 is NULL");
    names[1] = "b";
    ck_assert_ptr_null(dum_dataset_feature_name(data, 1));
    ck_ok(dum_dataset_set_feature_names(data, names, COLS));
    ck_assert_str_eq(dum_dataset_feature_name(data, 1), "b");
    dum_scorer *scorer = new_scorer(context, 5), *loaded;
    ck_ok(dum_scorer_fit(scorer, data, NULL));
    size_t size;
    ck_ok(dum_scorer_save_memory(scorer, NULL, 0, &size));
    void *bytes = malloc(size);
    ck_ok(dum_scorer_save_memory(scorer, bytes, size, &size));
    ck_ok(dum_scorer_load_memory(context, bytes, size, &loaded));
    for (int32_t j = 0; j < COLS; j++)
        ck_assert_str_eq(dum_scorer_feature_name(loaded, j), names[j]);
    ck_assert_ptr_null(dum_scorer_feature_name(loaded, COLS));
    double scores[ROWS];
    ck_ok(dum_scorer_score_dataset(loaded, data, scores));
    names[0] = "other";
    ck_ok(dum_dataset_set_feature_names(data, names, COLS));
    ck_fails(dum_scorer_score_dataset(loaded, data, scores), DUM_ERR_ARGUMENT, "named \"other\"");
    dum_fit_options options;
    DUM_INIT(options);
    options.warm_start = 1;
    ck_fails(dum_scorer_fit(scorer, data, &options), DUM_ERR_ARGUMENT, "named \"other\"");
    ck_ok(dum_scorer_fit(scorer, data, NULL));
    free(bytes);
    dum_scorer_destroy(scorer);
    dum_scorer_destroy(loaded);
    dum_dataset_destroy(data);
    dum_context_destroy(context);
}
END_TEST

/* ---- Options ------------------------------------------------------------------------------------ */

/* The choices of a text, '|'-separated, are exactly what can be set. */
static void check_choices(dum_scorer *scorer, const dum_param_info *info)
{
    char choices[200];
    snprintf(choices, sizeof choices, "%s", info->choices);
    char *rest = choices;
    for (char *choice; (choice = strtok_r(rest, "|", &rest)) != NULL;) {
        const char *found;
        ck_ok(dum_scorer_set_text(scorer, info->name, choice));
        ck_ok(dum_scorer_get_text(scorer, info->name, &found));
        ck_assert_str_eq(found, choice);
    }
    ck_fails(dum_scorer_set_text(scorer, info->name, "nonsense"), DUM_ERR_ARGUMENT, info->choices);
    ck_fails(dum_scorer_set_number(scorer, info->name, 1), DUM_ERR_ARGUMENT, "is a text");
    ck_ok(dum_scorer_set_text(scorer, info->name, info->default_text));
}

START_TEST(option_tables)
{
    dum_context *context = new_context(1);
    dum_scorer *scorer;
    ck_fails(dum_scorer_create(context, "oracle", &scorer), DUM_ERR_ARGUMENT, "expected one of: dum");
    ck_assert_ptr_null(scorer);
    ck_assert_int_ge(dum_scorer_kind_count(), 1);
    ck_assert_str_eq(dum_scorer_kind_name(0), "dum");
    ck_assert_ptr_null(dum_scorer_kind_name(99));
    ck_ok(dum_scorer_create(context, "dum", &scorer));
    ck_assert_str_eq(dum_scorer_kind(scorer), "dum");
    dum_param_info info;
    DUM_INIT(info);
    for (int32_t i = 0; i < dum_scorer_param_count("dum"); i++) {
        ck_ok(dum_scorer_param_get("dum", i, &info));
        ck_assert_uint_gt(strlen(info.help), 5);
        if (info.type == DUM_PARAM_TEXT) {
            check_choices(scorer, &info);
            continue;
        }
        double value;
        ck_ok(dum_scorer_get_number(scorer, info.name, &value));
        ck_assert_double_eq(value, info.default_number);
        ck_ok(dum_scorer_set_number(scorer, info.name, info.min));
        ck_ok(dum_scorer_set_number(scorer, info.name, info.max));
        ck_fails(dum_scorer_set_number(scorer, info.name, info.max * 2 + 1), DUM_ERR_ARGUMENT, info.name);
        ck_fails(dum_scorer_set_number(scorer, info.name, NAN), DUM_ERR_ARGUMENT, info.name);
        ck_fails(dum_scorer_set_text(scorer, info.name, "1"), DUM_ERR_ARGUMENT, "is a number");
        ck_ok(dum_scorer_set_number(scorer, info.name, info.default_number));
    }
    ck_fails(dum_scorer_set_number(scorer, "layers", 2.5), DUM_ERR_ARGUMENT, "an integer");
    ck_fails(dum_scorer_set_number(scorer, "colour", 1), DUM_ERR_ARGUMENT, "no option \"colour\"");
    ck_fails(dum_scorer_param_get("dum", 999, &info), DUM_ERR_ARGUMENT, "index is 999");
    ck_fails(dum_scorer_param_get("none", 0, &info), DUM_ERR_ARGUMENT, "expected one of");
    ck_assert_int_eq(dum_scorer_param_count("none"), 0);
    double width;
    const char *objective;
    ck_ok(dum_scorer_set_text(scorer, "preset", "paper"));
    ck_ok(dum_scorer_get_number(scorer, "width", &width));
    ck_ok(dum_scorer_get_text(scorer, "objective", &objective));
    ck_assert_double_eq(width, 4096);
    ck_assert_str_eq(objective, "poe");
    dum_scorer_destroy(scorer);
    dum_scorer_destroy(NULL);

    dum_head *head;
    ck_ok(dum_head_create(context, &head));
    for (int32_t i = 0; i < dum_head_param_count(); i++) {
        ck_ok(dum_head_param_get(i, &info));
        if (info.type == DUM_PARAM_TEXT)
            ck_ok(dum_head_set_text(head, info.name, info.default_text));
        else
            ck_ok(dum_head_set_number(head, info.name, info.default_number));
    }
    ck_ok(dum_head_set_text(head, "preset", "paper-images"));
    ck_ok(dum_head_get_text(head, "optimizer", &objective));
    ck_assert_str_eq(objective, "sgd");
    ck_ok(dum_head_get_number(head, "epochs", &width));
    ck_assert_double_eq(width, 50);
    dum_head_destroy(head);
    dum_context_destroy(context);
}
END_TEST

/* ---- Fit and score ------------------------------------------------------------------------------ */

/* The same bits for any number of threads; another seed, other bits. */
START_TEST(reproducible)
{
    static const char *const objectives[] = {"local", "poe"};
    enum { N = 2000, D = 20 };
    float *rows = malloc(N * D * sizeof *rows);
    double *first = malloc(N * sizeof *first), *found = malloc(N * sizeof *found);
    make_rows(rows, N, D);
    for (int32_t threads = 1; threads <= 4; threads++) {
        dum_context *context = new_context(threads);
        dum_dataset *data = new_dataset(context, rows, N, D);
        dum_scorer *scorer;
        ck_ok(dum_scorer_create(context, "dum", &scorer));
        ck_ok(dum_scorer_set_text(scorer, "objective", objectives[_i]));
        ck_ok(dum_scorer_set_number(scorer, "steps", 20));
        ck_ok(dum_scorer_set_number(scorer, "reservoir", 700));
        ck_ok(dum_scorer_fit(scorer, data, NULL));
        ck_ok(dum_scorer_score(scorer, rows, N, D, 0, threads == 1 ? first : found));
        if (threads > 1)
            ck_assert_mem_eq(found, first, N * sizeof *found);
        for (int i = 0; i < N; i += 97) { /* a row alone */
            ck_ok(dum_scorer_score(scorer, rows + i * D, 1, D, 0, found));
            ck_assert_double_eq(found[0], first[i]);
        }
        dum_scorer_destroy(scorer);
        if (threads == 1) {
            ck_ok(dum_scorer_create(context, "dum", &scorer));
            ck_ok(dum_scorer_set_number(scorer, "steps", 20));
            ck_ok(dum_scorer_set_number(scorer, "seed", 8));
            ck_ok(dum_scorer_fit(scorer, data, NULL));
            ck_ok(dum_scorer_score(scorer, rows, N, D, 0, found));
            ck_assert(memcmp(found, first, N * sizeof *found) != 0);
            dum_scorer_destroy(scorer);
        }
        dum_dataset_destroy(data);
        dum_context_destroy(context);
    }
    free(rows);
    free(first);
    free(found);
}
END_TEST

/* Each scaling, covariance, objective, anchor and norm trains, scores finite numbers, and survives a save. */
START_TEST(all_variants)
{
    static const char *const scalings[] = {"none", "minmax", "zscore", "unit", "whiten", "auto", "whiten-cov"};
    static const char *const norms[] = {"l2", "trace", "logdet"};
    static float rows[ROWS * COLS];
    make_rows(rows, ROWS, COLS);
    dum_context *context = new_context(1);
    dum_dataset *data = new_dataset(context, rows, ROWS, COLS);
    double before[ROWS], after[ROWS];
    for (int bits = 0; bits < 7 * 32; bits++) {
        dum_scorer *scorer = new_scorer(context, 3), *loaded;
        ck_ok(dum_scorer_set_text(scorer, "scaling", scalings[bits / 32]));
        ck_ok(dum_scorer_set_text(scorer, "objective", bits & 1 ? "poe" : "local"));
        ck_ok(dum_scorer_set_text(scorer, "covariance", bits & 2 ? "diagonal" : "circular"));
        ck_ok(dum_scorer_set_text(scorer, "anchor", bits & 4 ? "on" : bits & 2 ? "off" : "centres"));
        ck_ok(dum_scorer_set_text(scorer, "bound", bits & 8 ? "none" : "tanh"));
        ck_ok(dum_scorer_set_text(scorer, "optimizer", bits & 16 ? "sgd" : "adam"));
        ck_ok(dum_scorer_set_text(scorer, "bags", bits & 16 ? "disjoint" : "nested"));
        ck_ok(dum_scorer_set_text(scorer, "similarity", bits & 8 ? "cosine" : "dot"));
        ck_ok(dum_scorer_set_text(scorer, "schedule", bits & 8 ? "cosine" : "constant"));
        ck_ok(dum_scorer_set_text(scorer, "norm", norms[bits % 3]));
        ck_ok(dum_scorer_set_number(scorer, "layers", bits % 4));
        ck_ok(dum_scorer_set_number(scorer, "reservoir", bits & 1 ? 4096 : 50));
        ck_ok(dum_scorer_fit(scorer, data, NULL));
        ck_ok(dum_scorer_score(scorer, rows, ROWS, COLS, 0, before));
        for (int i = 0; i < ROWS; i++)
            ck_assert(isfinite(before[i]));
        static unsigned char bytes[1 << 20];
        size_t size;
        ck_ok(dum_scorer_save_memory(scorer, bytes, sizeof bytes, &size));
        ck_ok(dum_scorer_load_memory(context, bytes, size, &loaded));
        ck_ok(dum_scorer_score(loaded, rows, ROWS, COLS, 0, after));
        ck_assert_mem_eq(after, before, sizeof after);
        dum_scorer_destroy(loaded);
        dum_scorer_destroy(scorer);
    }
    dum_dataset_destroy(data);
    dum_context_destroy(context);
}
END_TEST

/* The default head finds the rows that lie far away. */
START_TEST(finds_outliers)
{
    static float rows[ROWS * COLS];
    double scores[ROWS];
    uint8_t labels[ROWS];
    make_rows(rows, ROWS, COLS);
    for (int i = 0; i < ROWS; i++)
        labels[i] = i >= ROWS - 10;
    dum_context *context = new_context(0);
    dum_scorer *scorer = fitted_scorer(context, rows, ROWS, COLS);
    ck_ok(dum_scorer_score(scorer, rows, ROWS, COLS, 0, scores));
    dum_estimate auroc;
    DUM_INIT(auroc);
    ck_ok(dum_auroc(scores, labels, ROWS, NULL, &auroc));
    ck_assert_double_gt(auroc.value, 0.95);
    /* and far beyond the data s grows as log |z|^2 */
    float far[2 * COLS];
    for (int j = 0; j < COLS; j++) {
        far[j] = (j % 2 ? 1e4f : -1e4f);
        far[COLS + j] = 100 * far[j];
    }
    double two[2];
    ck_ok(dum_scorer_score(scorer, far, 2, COLS, 0, two));
    ck_assert_double_eq_tol(two[1] - two[0], log(1e4), 3.1);
    dum_scorer_destroy(scorer);
    dum_context_destroy(context);
}
END_TEST

typedef struct {
    int64_t calls, stop_at, steps;
} watcher;

static int32_t watch(void *user, const dum_progress *p)
{
    watcher *w = user;
    ck_assert_uint_eq(p->struct_size, sizeof *p);
    if (p->step == 0)
        return 0;
    ck_assert_int_eq(p->step, ++w->calls);
    ck_assert(isfinite(p->loss) && p->seconds >= 0 && p->seconds_left >= 0);
    ck_assert_int_le(p->epoch, p->epochs);
    w->steps = p->steps;
    return p->step == w->stop_at;
}

START_TEST(cancel_and_warm_start)
{
    static float rows[ROWS * COLS];
    make_rows(rows, ROWS, COLS);
    dum_context *context = new_context(1);
    dum_dataset *data = new_dataset(context, rows, ROWS, COLS);
    dum_scorer *scorer = new_scorer(context, 50);
    dum_fit_options options;
    DUM_INIT(options);
    watcher w = {0, 7, 0};
    options.progress = watch;
    options.progress_user = &w;
    ck_fails(dum_scorer_fit(scorer, data, &options), DUM_CANCELLED, "as far as it got");
    ck_assert_int_eq(w.calls, 7);
    ck_assert_int_eq(w.steps, 50);
    double first, second, third;
    ck_ok(dum_scorer_score(scorer, rows, 1, COLS, 0, &first));
    ck_fails(dum_scorer_set_number(scorer, "width", 8), DUM_ERR_STATE, "is fitted");
    w = (watcher){0, 0, 0};
    ck_ok(dum_scorer_fit(scorer, data, &options)); /* anew */
    ck_ok(dum_scorer_score(scorer, rows, 1, COLS, 0, &second));
    options.warm_start = 1;
    w = (watcher){0, 0, 0};
    ck_ok(dum_scorer_fit(scorer, data, &options)); /* from there on */
    ck_ok(dum_scorer_score(scorer, rows, 1, COLS, 0, &third));
    ck_assert(first != second && second != third);
    dum_dataset *narrow = new_dataset(context, rows, ROWS, COLS - 1);
    ck_fails(dum_scorer_fit(scorer, narrow, &options), DUM_ERR_SHAPE, "fitted on 6");
    dum_dataset_destroy(narrow);
    options.max_seconds = 1e-9;
    w = (watcher){0, 0, 0};
    ck_fails(dum_scorer_fit(scorer, data, &options), DUM_CANCELLED, "as far as it got");
    options.max_seconds = -1;
    ck_fails(dum_scorer_fit(scorer, data, &options), DUM_ERR_ARGUMENT, "max_seconds is -1");
    dum_scorer_destroy(scorer);
    dum_dataset_destroy(data);
    dum_context_destroy(context);
}
END_TEST

/* Rows of a cheap formula, as many as are wanted. */
typedef struct {
    int32_t cols;
    int64_t read, most; /* rows, since the host was asked; the most of them */
    int64_t calls, stop_at;
} source;

static int32_t read_formula(void *user, const int64_t *indices, int64_t count, float *out)
{
    source *s = user;
    for (int64_t i = 0; i < count; i++)
        for (int32_t j = 0; j < s->cols; j++)
            out[i * s->cols + j] =
                (float)((uint32_t)((indices[i] * s->cols + j) * 2654435761 + (indices[i] << 7)) >> 8) /
                16777216.0f;
    s->read += count;
    s->most = s->read > s->most ? s->read : s->most;
    return 0;
}

static int32_t stop_before_steps(void *user, const dum_progress *p)
{
    source *s = user;
    ck_assert(p->loss == 0 && p->seconds >= 0 && p->seconds_left == 0 && p->epoch == 0 && p->steps == 3);
    ck_assert_int_eq(p->step, 0);
    s->read = 0;
    return ++s->calls == s->stop_at;
}

static int32_t stop_at_first_step(void *user, const dum_progress *p)
{
    return p->step > 0 || stop_before_steps(user, p);
}

/* What takes long before the first step: reading, the products and eigenvectors of a whitening, k-means, neighbours. */
static const struct {
    int64_t rows;
    int32_t cols;
    const char *scaling;
    double centres, reservoir;
    int64_t least; /* calls */
} preparing[] = {{100000, 8, "zscore", 16, 64, 100},
                 {600, 900, "auto", 16, 64, 14},
                 {5000, 600, "zscore", 2048, 64, 80},
                 {20000, 20, "zscore", 16, 20000, 110}};

static dum_scorer *prepared_scorer(dum_context *context, int i)
{
    dum_scorer *scorer = new_scorer(context, 3);
    ck_ok(dum_scorer_set_text(scorer, "scaling", preparing[i].scaling));
    ck_ok(dum_scorer_set_number(scorer, "centres", preparing[i].centres));
    ck_ok(dum_scorer_set_number(scorer, "reservoir", preparing[i].reservoir));
    ck_ok(dum_scorer_set_text(scorer, "nonfinite", "impute"));
    return scorer;
}

START_TEST(cancelled_before_the_first_step)
{
    static float rows[ROWS * COLS];
    make_rows(rows, ROWS, COLS);
    counter blocks = {0};
    dum_context_options with;
    DUM_INIT(with);
    with.threads = 1;
    with.alloc = count_alloc;
    with.free = count_free;
    with.alloc_user = &blocks;
    dum_context *context;
    dum_dataset *small, *large;
    ck_ok(dum_context_create(&with, &context));
    ck_ok(dum_dataset_from_memory(context, rows, ROWS, COLS, 0, &small));
    source s = {.cols = preparing[_i].cols};
    ck_ok(dum_dataset_from_callback(context, preparing[_i].rows, s.cols, read_formula, &s, &large));
    dum_scorer *scorer = prepared_scorer(context, _i), *other = prepared_scorer(context, _i);
    dum_fit_options options;
    DUM_INIT(options);
    options.progress = stop_before_steps;
    options.progress_user = &s;
    s.stop_at = 1;
    ck_fails(dum_scorer_fit(scorer, large, &options), DUM_CANCELLED, "before its first step");
    ck_assert_int_eq(s.most, 0);
    ck_assert_int_eq(dum_scorer_cols(scorer), 0);
    ck_ok(dum_scorer_fit(scorer, small, NULL));
    double before, after;
    ck_ok(dum_scorer_score(scorer, rows, 1, COLS, 0, &before));
    options.progress = stop_at_first_step;
    s = (source){.cols = s.cols};
    ck_fails(dum_scorer_fit(other, large, &options), DUM_CANCELLED, "as far as it got");
    dum_scorer_destroy(other);
    const int64_t asked = s.calls;
    fprintf(stderr, "# asked %lld times, at most %lld rows apart\n", (long long)asked, (long long)s.most);
    ck_assert_int_ge(asked, preparing[_i].least);
    ck_assert_int_le(s.most, 1024 + 256);
    const int64_t held = blocks.blocks;
    options.progress = stop_before_steps;
    for (int64_t at = 2; at <= asked; at += 1 + asked / 6) {
        s = (source){.cols = s.cols, .stop_at = at};
        ck_fails(dum_scorer_fit(scorer, large, &options), DUM_CANCELLED, "as it was before");
        ck_assert_int_eq(s.calls, at);
        ck_assert_int_eq(blocks.blocks, held);
        ck_ok(dum_scorer_score(scorer, rows, 1, COLS, 0, &after));
        ck_assert(after == before);
    }
    dum_scorer_destroy(scorer);
    dum_dataset_destroy(small);
    dum_dataset_destroy(large);
    dum_context_destroy(context);
}
END_TEST

START_TEST(pairs)
{
    static float rows[ROWS * COLS], views[ROWS * COLS];
    make_rows(rows, ROWS, COLS);
    /* the second view differs more where the first column is large */
    for (int i = 0; i < ROWS * COLS; i++)
        views[i] = rows[i] + (rows[i / COLS * COLS] > 0 ? 1.0f : 0.05f) * (i % 2 ? 1.0f : -1.0f);
    dum_context *context = new_context(1);
    dum_dataset *data = new_dataset(context, rows, ROWS, COLS),
                *second = new_dataset(context, views, ROWS, COLS);
    dum_dataset *shorter = new_dataset(context, views, ROWS - 1, COLS);
    dum_fit_options options;
    DUM_INIT(options);
    options.pairs = shorter;
    for (int diagonal = 0; diagonal < 2; diagonal++) {
        dum_scorer *scorer = new_scorer(context, 200);
        ck_ok(dum_scorer_set_text(scorer, "covariance", diagonal ? "diagonal" : "circular"));
        ck_fails(dum_scorer_fit(scorer, data, &options), DUM_ERR_SHAPE, "pairs is 299 x 6");
        options.pairs = second;
        ck_ok(dum_scorer_fit(scorer, data, &options));
        double scores[ROWS], high = 0, low = 0;
        int highs = 0;
        ck_ok(dum_scorer_score(scorer, rows, ROWS, COLS, 0, scores));
        for (int i = 0; i < ROWS - 10; i++) {
            const bool noisy = rows[i * COLS] > 0;
            *(noisy ? &high : &low) += scores[i];
            highs += noisy;
        }
        ck_assert_double_gt(high / highs, low / (ROWS - 10 - highs) + 1);
        options.pairs = shorter;
        dum_scorer_destroy(scorer);
    }
    dum_scorer *scorer = new_scorer(context, 5);
    ck_ok(dum_scorer_set_text(scorer, "objective", "poe"));
    ck_fails(dum_scorer_fit(scorer, data, &options), DUM_ERR_ARGUMENT, "pairs is for objective local");
    dum_scorer_destroy(scorer);
    dum_dataset_destroy(data);
    dum_dataset_destroy(second);
    dum_dataset_destroy(shorter);
    dum_context_destroy(context);
}
END_TEST

START_TEST(heads)
{
    static float rows[ROWS * COLS];
    make_rows(rows, ROWS, COLS);
    dum_context *context = new_context(1);
    dum_dataset *data = new_dataset(context, rows, ROWS, COLS);
    dum_head *head, *loaded, *none;
    float s[ROWS * COLS], again[ROWS * COLS];
    ck_ok(dum_head_create(context, &head));
    ck_fails(dum_head_log_variance(head, rows, 1, COLS, 0, s), DUM_ERR_STATE, "not fitted");
    ck_assert_int_eq(dum_head_cols(head), 0);
    ck_ok(dum_head_set_text(head, "covariance", "diagonal"));
    ck_ok(dum_head_set_number(head, "steps", 10));
    ck_ok(dum_head_fit(head, data, NULL));
    ck_assert_int_eq(dum_head_cols(head), COLS);
    ck_assert_int_eq(dum_head_log_variance_cols(head), COLS);
    ck_fails(dum_head_set_number(head, "steps", 10), DUM_ERR_STATE, "is fitted");
    ck_ok(dum_head_log_variance(head, rows, ROWS, COLS, 0, s));
    ck_fails(dum_head_log_variance(head, rows, 1, COLS + 1, 0, s), DUM_ERR_SHAPE, "cols is 7");
    char path[] = "/tmp/dum-head-XXXXXX";
    close(mkstemp(path));
    ck_ok(dum_head_save(head, path));
    ck_ok(dum_head_load(context, path, &loaded));
    ck_ok(dum_head_log_variance(loaded, rows, ROWS, COLS, 0, again));
    ck_assert_mem_eq(s, again, sizeof s);
    dum_head_destroy(loaded);
    dum_model_info info;
    DUM_INIT(info);
    ck_ok(dum_model_inspect(context, path, &info));
    ck_assert_str_eq(info.kind, "head");
    ck_assert_int_eq(info.format, 1);
    ck_assert_uint_eq(strlen(info.sha256), 64);
    dum_scorer *scorer;
    ck_fails(dum_scorer_load(context, path, &scorer), DUM_ERR_FORMAT, "expected a scorer");
    unlink(path);
    ck_fails(dum_model_inspect(context, path, &info), DUM_ERR_IO, "No such file");
    size_t size;
    unsigned char small[10];
    ck_ok(dum_head_save_memory(head, NULL, 0, &size));
    ck_fails(dum_head_save_memory(head, small, sizeof small, &size), DUM_ERR_ARGUMENT, "capacity is 10");
    ck_fails(dum_head_save_memory(head, NULL, size, &size), DUM_ERR_ARGUMENT, "buffer is NULL");
    unsigned char *bytes = malloc(size);
    ck_ok(dum_head_save_memory(head, bytes, size, &size));
    ck_ok(dum_head_load_memory(context, bytes, size, &loaded));
    ck_fails(dum_head_load_memory(context, bytes, size - 1, &none), DUM_ERR_FORMAT, "");
    free(bytes);
    dum_head_destroy(loaded);
    dum_head_destroy(head);
    dum_dataset_destroy(data);
    dum_context_destroy(context);
}
END_TEST

START_TEST(encoders)
{
    dum_context *context = new_context(1);
    dum_encoder *encoder;
    ck_fails(dum_encoder_create(context, "mind-reader", &encoder), DUM_ERR_ARGUMENT, "expected identity");
    ck_ok(dum_encoder_create(context, "identity", &encoder));
    ck_assert_int_eq(dum_encoder_embedding_cols(encoder, 5), 5);
    const float x[] = {1, 2, 9, 3, 4, 9};
    float z[4];
    ck_ok(dum_encoder_embed(encoder, x, 2, 2, 3, z));
    ck_assert(z[0] == 1 && z[1] == 2 && z[2] == 3 && z[3] == 4);
    ck_fails(dum_encoder_embed(encoder, x, 2, 2, 1, z), DUM_ERR_SHAPE, "row_stride 1");
    dum_scorer *scorer = new_scorer(context, 5);
    ck_ok(dum_scorer_set_encoder(scorer, encoder));
    dum_encoder_destroy(encoder);
    dum_scorer_destroy(scorer);
    dum_context_destroy(context);
}
END_TEST

/* A scorer's file gives the encoder below it: the same embeddings. */
START_TEST(encoder_of_scorer)
{
    enum { PAIRS = 64, WIDE = 3 };
    dum_context *context = new_context(1);
    float rows[PAIRS * WIDE], z[8], again[8];
    for (int i = 0; i < PAIRS * WIDE; i++)
        rows[i] = (float)(i * i % 17);
    dum_dataset *data;
    dum_encoder *encoder, *loaded;
    dum_scorer *scorer = new_scorer(context, 5), *bare;
    ck_ok(dum_dataset_from_memory(context, rows, PAIRS, WIDE, 0, &data));
    ck_ok(dum_encoder_create(context, "mlp", &encoder));
    ck_ok(dum_encoder_set_number(encoder, "embedding", 4));
    ck_ok(dum_encoder_set_number(encoder, "steps", 2));
    ck_ok(dum_encoder_fit(encoder, data, NULL));
    /* what is wrong is the output, not the columns */
    ck_ok(dum_encoder_set_text(encoder, "output", "uncertainty"));
    float all[PAIRS * 4];
    ck_fails(dum_encoder_embed_dataset(encoder, data, all), DUM_ERR_UNSUPPORTED, "output is uncertainty");
    ck_ok(dum_encoder_set_text(encoder, "output", "features"));
    ck_ok(dum_scorer_set_encoder(scorer, encoder));
    ck_ok(dum_scorer_fit(scorer, data, NULL));
    static char bytes[1 << 20];
    size_t size;
    ck_ok(dum_scorer_save_memory(scorer, bytes, sizeof bytes, &size));
    ck_ok(dum_encoder_load_memory(context, bytes, size, &loaded));
    ck_assert_str_eq(dum_encoder_kind(loaded), "mlp");
    ck_ok(dum_encoder_embed(encoder, rows, 2, WIDE, 0, z));
    ck_ok(dum_encoder_embed(loaded, rows, 2, WIDE, 0, again));
    ck_assert(memcmp(z, again, sizeof z) == 0);
    ck_ok(dum_scorer_create(context, "hbos", &bare));
    ck_ok(dum_scorer_fit(bare, data, NULL));
    ck_ok(dum_scorer_save_memory(bare, bytes, sizeof bytes, &size));
    dum_encoder_destroy(loaded);
    ck_fails(dum_encoder_load_memory(context, bytes, size, &loaded), DUM_ERR_FORMAT, "no encoder below it");
    ck_assert(loaded == NULL);
    dum_scorer_destroy(bare);
    dum_scorer_destroy(scorer);
    dum_encoder_destroy(encoder);
    dum_dataset_destroy(data);
    dum_context_destroy(context);
}
END_TEST

/* Narrow numbers say nearly the same, with the same bits for any number of threads and rows. */
START_TEST(precisions)
{
    static const char *const settings[][2] = {
        {"float32", "float32"}, {"bfloat16", "float32"}, {"int8", "float32"}, {"float32", "bfloat16"}};
    float rows[ROWS * COLS], exact[ROWS], s[ROWS], alone;
    make_rows(rows, ROWS, COLS);
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        float first[ROWS];
        for (int32_t threads = 1; threads <= 2; threads++) {
            dum_context *context = new_context(threads);
            dum_dataset *data = new_dataset(context, rows, ROWS, COLS);
            dum_head *head;
            ck_ok(dum_head_create(context, &head));
            ck_ok(dum_head_set_number(head, "steps", 40));
            ck_ok(dum_head_set_text(head, "precision", settings[i][0]));
            ck_ok(dum_head_set_text(head, "train_precision", settings[i][1]));
            ck_ok(dum_head_fit(head, data, NULL));
            ck_ok(dum_head_log_variance(head, rows, ROWS, COLS, 0, s));
            if (threads == 1)
                memcpy(first, s, sizeof s);
            ck_assert_mem_eq(first, s, sizeof s);
            ck_ok(dum_head_log_variance(head, rows + 7 * COLS, 1, COLS, 0, &alone));
            ck_assert(alone == s[7]);
            dum_head_destroy(head);
            dum_dataset_destroy(data);
            dum_context_destroy(context);
        }
        if (i == 0)
            memcpy(exact, s, sizeof s);
        double most = 0;
        for (int row = 0; row < ROWS; row++)
            most = larger(most, fabs((double)s[row] - (double)exact[row]));
        ck_assert_msg(i == 0 || (most > 0 && most < 0.1), "%s, %s: %g", settings[i][0], settings[i][1], most);
    }
}
END_TEST

START_TEST(product_of_experts)
{
    /* by hand: precisions 1 and 3 */
    const float means[] = {0, 10, 4, 20}, logs[] = {0, 0, -1.0986123f, 0}, circular[] = {0, -1.0986123f};
    float mean[2], s[2];
    ck_ok(dum_product_of_experts(means, logs, 2, 2, DUM_COVARIANCE_DIAGONAL, mean, s));
    ck_assert_float_eq_tol(mean[0], 3, 1e-5f);
    ck_assert_float_eq_tol(mean[1], 15, 1e-5f);
    ck_assert_float_eq_tol(s[0], -1.3862944f, 1e-5f);
    ck_assert_float_eq_tol(s[1], -0.6931472f, 1e-5f);
    ck_ok(dum_product_of_experts(means, circular, 2, 2, DUM_COVARIANCE_CIRCULAR, mean, s));
    ck_assert_float_eq_tol(mean[1], 17.5f, 1e-5f);
    const float extreme[] = {-1e5f, 0, 1e5f, 0};
    ck_ok(dum_product_of_experts(means, extreme, 2, 2, DUM_COVARIANCE_DIAGONAL, mean, s));
    ck_assert(mean[0] == 0 && s[0] == -1e5f);
    const float bad[] = {0, NAN, 0, 0};
    ck_fails(dum_product_of_experts(bad, logs, 2, 2, 0, mean, s), DUM_ERR_NONFINITE, "row 0, column 1");
    ck_fails(dum_product_of_experts(means, logs, 0, 2, 0, mean, s), DUM_ERR_ARGUMENT, "m is 0");
    ck_fails(dum_product_of_experts(means, logs, 2, 2, 5, mean, s), DUM_ERR_ARGUMENT, "covariance is 5");
}
END_TEST

static void write_rows(const char *path, const char *header, const void *values, size_t size)
{
    FILE *file = fopen(path, "wb");
    const size_t length = strlen(header);
    const unsigned char start[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)length, 0};
    ck_assert(file != NULL && fwrite(start, 1, 10, file) == 10 && fwrite(header, 1, length, file) == length &&
              fwrite(values, 1, size, file) == size && fclose(file) == 0);
}

/* Float32 and float64 files, mapped, train to the bits that memory does; and what they gave is saved. */
START_TEST(files)
{
    static float rows[ROWS * COLS];
    static double wide[ROWS * COLS];
    double expected[ROWS], found[ROWS];
    make_rows(rows, ROWS, COLS);
    for (int i = 0; i < ROWS * COLS; i++)
        wide[i] = (double)rows[i];
    char folder[] = "/tmp/dum-api-XXXXXX", path[64], model[64];
    ck_assert(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/x.npy", folder);
    snprintf(model, sizeof model, "%s/m.dum", folder);
    dum_context *context = new_context(1);
    dum_scorer *fitted = fitted_scorer(context, rows, ROWS, COLS), *loaded;
    ck_ok(dum_scorer_score(fitted, rows, ROWS, COLS, 0, expected));
    for (int type = 0; type < 2; type++) {
        if (type == 0)
            write_rows(path, "{'descr': '<f4', 'fortran_order': False, 'shape': (300, 6)}\n", rows,
                       sizeof rows);
        else
            write_rows(path, "{'descr': '<f8', 'fortran_order': False, 'shape': (300, 6)}\n", wide,
                       sizeof wide);
        dum_dataset *data;
        dum_scorer *scorer = new_scorer(context, 60);
        ck_ok(dum_dataset_from_npy(context, path, &data));
        ck_ok(dum_scorer_fit(scorer, data, NULL));
        ck_ok(dum_scorer_score_dataset(scorer, data, found));
        ck_assert_mem_eq(found, expected, sizeof found);
        ck_ok(dum_scorer_save(scorer, model));
        ck_ok(dum_scorer_load(context, model, &loaded));
        ck_ok(dum_scorer_score(loaded, rows, ROWS, COLS, 0, found));
        ck_assert_mem_eq(found, expected, sizeof found);
        dum_scorer_destroy(loaded);
        dum_scorer_destroy(scorer);
        dum_dataset_destroy(data);
    }
    ck_fails(dum_scorer_save(fitted, folder), DUM_ERR_IO, "not a regular file");
    ck_fails(dum_scorer_load(context, path, &loaded), DUM_ERR_FORMAT, "not a libdum model");
    ck_assert_int_eq(unlink(path) | unlink(model) | rmdir(folder), 0);
    dum_scorer_destroy(fitted);
    dum_context_destroy(context);
}
END_TEST

typedef struct {
    int32_t levels[9], counts[9];
    char lines[9][160];
} log_book;

static void keep_line(void *user, int32_t level, int32_t code, const char *line)
{
    log_book *book = user;
    ck_assert(code >= 1 && code <= DUM_LOG_CHOICE);
    ck_assert_ptr_eq(strchr(line, '\n'), NULL);
    book->levels[code] = level;
    book->counts[code]++;
    snprintf(book->lines[code], sizeof book->lines[code], "%s", line);
}

static void expect_line(log_book *book, int32_t code, int32_t level, const char *part)
{
    ck_assert_msg(book->counts[code] == 1, "code %d came %d times", code, book->counts[code]);
    ck_assert_int_eq(book->levels[code], level);
    ck_assert_msg(strstr(book->lines[code], part) != NULL, "\"%s\" lacks \"%s\"", book->lines[code], part);
    memset(book, 0, sizeof *book);
}

START_TEST(logs_and_imputation)
{
    static float rows[ROWS * COLS], holes[ROWS * COLS];
    double expected[ROWS], found[ROWS];
    make_rows(rows, ROWS, COLS);
    log_book book;
    memset(&book, 0, sizeof book);
    dum_context_options options;
    DUM_INIT(options);
    options.log = keep_line;
    options.log_user = &book;
    dum_context *context;
    ck_ok(dum_context_create(&options, &context));
    expect_line(&book, DUM_LOG_BACKEND, DUM_LOG_INFO, "backend");

    dum_dataset *data = new_dataset(context, rows, ROWS, COLS);
    dum_scorer *scorer = new_scorer(context, 20), *loaded;
    ck_ok(dum_scorer_set_number(scorer, "reservoir", 100));
    ck_ok(dum_scorer_fit(scorer, data, NULL));
    expect_line(&book, DUM_LOG_RESERVOIR, DUM_LOG_INFO, "100 of 300 rows");
    dum_scorer_destroy(scorer);

    /* Without an anchor and with nothing to learn, all scores are one. */
    scorer = new_scorer(context, 1);
    ck_ok(dum_scorer_set_text(scorer, "anchor", "off"));
    ck_ok(dum_scorer_set_number(scorer, "layers", 0));
    ck_ok(dum_scorer_set_text(scorer, "scaling", "none"));
    static float same[ROWS * COLS];
    dum_dataset *flat = new_dataset(context, same, ROWS, COLS);
    ck_ok(dum_scorer_fit(scorer, flat, NULL));
    expect_line(&book, DUM_LOG_CONSTANT_SCORE, DUM_LOG_WARNING, "same score");
    ck_ok(dum_scorer_score(scorer, same, ROWS, COLS, 0, found));
    ck_assert(isfinite(found[0]));
    dum_dataset_destroy(flat);
    dum_scorer_destroy(scorer);

    /* A hole scores as its column's median does. */
    memcpy(holes, rows, sizeof holes);
    holes[5 * COLS + 2] = NAN;
    holes[9 * COLS] = INFINITY;
    dum_dataset *holed = new_dataset(context, holes, ROWS, COLS);
    scorer = new_scorer(context, 20);
    ck_fails(dum_scorer_fit(scorer, holed, NULL), DUM_ERR_NONFINITE, "row 5, column 2 (from 0) is nan");
    ck_ok(dum_scorer_set_text(scorer, "nonfinite", "impute"));
    ck_ok(dum_scorer_fit(scorer, holed, NULL));
    expect_line(&book, DUM_LOG_IMPUTED, DUM_LOG_INFO, "2 values");
    float column[ROWS];
    int count = 0;
    for (int i = 0; i < ROWS; i++)
        if (i != 5)
            column[count++] = rows[i * COLS + 2];
    for (int i = 1; i < count; i++)
        for (int j = i; j > 0 && column[j - 1] > column[j]; j--) {
            const float value = column[j];
            column[j] = column[j - 1];
            column[j - 1] = value;
        }
    memcpy(rows, holes, sizeof holes);
    rows[5 * COLS + 2] = column[count / 2];
    ck_ok(dum_scorer_score(scorer, rows + 5 * COLS, 1, COLS, 0, expected));
    ck_ok(dum_scorer_score(scorer, holes + 5 * COLS, 1, COLS, 0, found));
    ck_assert_double_eq(found[0], expected[0]);

    size_t size;
    ck_ok(dum_scorer_save_memory(scorer, NULL, 0, &size));
    unsigned char *bytes = malloc(size);
    ck_ok(dum_scorer_save_memory(scorer, bytes, size, &size));
    ck_ok(dum_scorer_load_memory(context, bytes, size, &loaded));
    ck_ok(dum_scorer_score(loaded, holes, ROWS, COLS, 0, found));
    ck_ok(dum_scorer_score(scorer, holes, ROWS, COLS, 0, expected));
    ck_assert_mem_eq(found, expected, sizeof found);
    ck_assert_int_eq(book.counts[DUM_LOG_IGNORED], 0);
    free(bytes);
    dum_scorer_destroy(loaded);
    dum_scorer_destroy(scorer);
    dum_dataset_destroy(holed);
    dum_dataset_destroy(data);
    dum_context_destroy(context);
}
END_TEST

/* Columns near both ends of float32: finite in, finite out. */
START_TEST(extreme_columns)
{
    static const char *const scalings[] = {"none", "minmax", "zscore", "unit", "whiten", "auto", "whiten-cov"};
    static float rows[ROWS * COLS];
    double scores[ROWS];
    make_rows(rows, ROWS, COLS);
    for (int i = 0; i < ROWS; i++) {
        rows[i * COLS] *= 1e37f;
        rows[i * COLS + 1] *= 1e-40f;
        rows[i * COLS + 2] = i % 2 ? 3.4e38f : -3.4e38f;
        rows[i * COLS + 3] = 7;
    }
    dum_context *context = new_context(1);
    dum_dataset *data = new_dataset(context, rows, ROWS, COLS);
    for (int i = 0; i < 7; i++) {
        dum_scorer *scorer = new_scorer(context, 20);
        ck_ok(dum_scorer_set_text(scorer, "scaling", scalings[i]));
        ck_ok(dum_scorer_fit(scorer, data, NULL));
        ck_ok(dum_scorer_score(scorer, rows, ROWS, COLS, 0, scores));
        for (int j = 0; j < ROWS; j++)
            ck_assert_msg(isfinite(scores[j]), "%s: score %d is %g", scalings[i], j, scores[j]);
        dum_scorer_destroy(scorer);
    }
    dum_dataset_destroy(data);
    dum_context_destroy(context);
}
END_TEST

START_TEST(calibration)
{
    static float rows[ROWS * COLS];
    make_rows(rows, ROWS, COLS);
    dum_context *context = new_context(1);
    dum_dataset *data = new_dataset(context, rows, ROWS - 10, COLS);
    dum_scorer *scorer = new_scorer(context, 40), *loaded;
    double threshold, p[ROWS], scores[ROWS];
    ck_fails(dum_scorer_threshold(scorer, 0.1, &threshold), DUM_ERR_STATE, "not fitted");
    ck_ok(dum_scorer_set_number(scorer, "holdout", 0.341)); /* 98 rows */
    ck_ok(dum_scorer_fit(scorer, data, NULL));
    ck_assert_int_eq(dum_scorer_calibration_count(scorer), 98);
    ck_fails(dum_scorer_threshold(scorer, 0.01, &threshold), DUM_ERR_ARGUMENT, "needs 99 calibration rows");
    ck_fails(dum_scorer_threshold(scorer, 1.5, &threshold), DUM_ERR_ARGUMENT, "is 1.5");
    ck_ok(dum_scorer_calibrate(scorer, data));
    ck_assert_int_eq(dum_scorer_calibration_count(scorer), ROWS - 10);
    ck_ok(dum_scorer_score(scorer, rows, ROWS, COLS, 0, scores));
    ck_ok(dum_scorer_threshold(scorer, 0.1, &threshold));
    int above = 0;
    for (int i = 0; i < ROWS - 10; i++)
        above += scores[i] > threshold;
    ck_assert_int_eq(above, 290 - 262); /* ceil(291 x 0.9) = 262 */
    ck_ok(dum_scorer_pvalue(scorer, scores, ROWS, p));
    for (int i = 0; i < ROWS; i++) {
        int at_least = 0;
        for (int j = 0; j < ROWS - 10; j++)
            at_least += scores[j] >= scores[i];
        ck_assert_double_eq(p[i], (1.0 + at_least) / 291);
    }
    size_t size;
    ck_ok(dum_scorer_save_memory(scorer, NULL, 0, &size));
    unsigned char *bytes = malloc(size);
    ck_ok(dum_scorer_save_memory(scorer, bytes, size, &size));
    ck_ok(dum_scorer_load_memory(context, bytes, size, &loaded));
    double again;
    ck_ok(dum_scorer_threshold(loaded, 0.1, &again));
    ck_assert_double_eq(again, threshold);
    ck_ok(dum_scorer_pvalue(loaded, scores, ROWS, scores)); /* in place */
    ck_assert_mem_eq(scores, p, sizeof p);
    scores[3] = NAN;
    ck_fails(dum_scorer_pvalue(loaded, scores, ROWS, scores), DUM_ERR_NONFINITE, "scores[3]");
    free(bytes);
    dum_scorer_destroy(loaded);
    dum_scorer_destroy(scorer);
    dum_dataset_destroy(data);
    dum_context_destroy(context);
}
END_TEST

/* The feature that was made odd has the largest share, whatever the scaling and the covariance. */
START_TEST(explanations)
{
    static const char *const scalings[] = {"none", "minmax", "zscore", "whiten", "whiten-cov"};
    static float rows[ROWS * COLS];
    make_rows(rows, ROWS, COLS);
    dum_context *context = new_context(1);
    dum_dataset *data = new_dataset(context, rows, ROWS - 10, COLS);
    for (int variant = 0; variant < 10; variant++) {
        dum_scorer *scorer = new_scorer(context, 300);
        ck_ok(dum_scorer_set_text(scorer, "scaling", scalings[variant / 2]));
        ck_ok(dum_scorer_set_text(scorer, "covariance", variant % 2 ? "diagonal" : "circular"));
        ck_ok(dum_scorer_fit(scorer, data, NULL));
        float share[COLS], deviation[COLS], row[COLS];
        memcpy(row, rows, sizeof row);
        row[3] += 12;
        ck_ok(dum_scorer_explain(scorer, row, 1, COLS, 0, share, deviation));
        float sum = 0;
        int largest = 0;
        for (int j = 0; j < COLS; j++) {
            sum += share[j];
            largest = share[j] > share[largest] ? j : largest;
            ck_assert(deviation[j] > 0);
        }
        ck_assert_float_eq_tol(sum, 1, 1e-5f);
        if (variant % 2 == 0) /* a diagonal head learns where variance is, which need not be there */
            ck_assert_int_eq(largest, 3);
        ck_ok(dum_scorer_explain(scorer, row, 1, COLS, 0, share, NULL));
        dum_scorer_destroy(scorer);
    }
    /* So far out that no float holds the variances. */
    for (int variant = 0; variant < 10; variant++) {
        dum_scorer *scorer = new_scorer(context, 20);
        ck_ok(dum_scorer_set_text(scorer, "scaling", scalings[variant / 2]));
        ck_ok(dum_scorer_set_text(scorer, "covariance", variant % 2 ? "diagonal" : "circular"));
        ck_ok(dum_scorer_set_text(scorer, "bound", "none"));
        ck_ok(dum_scorer_fit(scorer, data, NULL));
        float share[COLS], deviation[COLS], row[COLS], sum = 0;
        for (int j = 0; j < COLS; j++)
            row[j] = j % 2 ? -3e38f : 1e38f;
        ck_ok(dum_scorer_explain(scorer, row, 1, COLS, 0, share, deviation));
        for (int j = 0; j < COLS; j++) {
            sum += share[j];
            ck_assert(isfinite(deviation[j]));
        }
        ck_assert_float_eq_tol(sum, 1, 1e-5f);
        dum_scorer_destroy(scorer);
    }
    dum_scorer *scorer = new_scorer(context, 3);
    ck_ok(dum_scorer_set_text(scorer, "anchor", "off"));
    ck_ok(dum_scorer_fit(scorer, data, NULL));
    float share[COLS];
    ck_fails(dum_scorer_explain(scorer, rows, 1, COLS, 0, share, NULL), DUM_ERR_UNSUPPORTED, "diagonal");
    dum_scorer_destroy(scorer);
    dum_dataset_destroy(data);
    dum_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("api");
    TCase *cases = tcase_create("api");
    tcase_set_timeout(cases, 300);
    tcase_add_test(cases, contexts);
    tcase_add_test(cases, backends);
    tcase_add_test(cases, memory);
    tcase_add_test(cases, failing_allocations);
    tcase_add_test(cases, datasets);
    tcase_add_test(cases, feature_names);
    tcase_add_test(cases, option_tables);
    tcase_add_loop_test(cases, reproducible, 0, 2);
    tcase_add_test(cases, all_variants);
    tcase_add_test(cases, finds_outliers);
    tcase_add_test(cases, cancel_and_warm_start);
    tcase_add_loop_test(cases, cancelled_before_the_first_step, 0, sizeof preparing / sizeof preparing[0]);
    tcase_add_test(cases, pairs);
    tcase_add_test(cases, heads);
    tcase_add_test(cases, encoders);
    tcase_add_test(cases, encoder_of_scorer);
    tcase_add_test(cases, precisions);
    tcase_add_test(cases, product_of_experts);
    tcase_add_test(cases, calibration);
    tcase_add_test(cases, files);
    tcase_add_test(cases, logs_and_imputation);
    tcase_add_test(cases, extreme_columns);
    tcase_add_test(cases, explanations);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
