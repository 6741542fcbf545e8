/* SPDX-License-Identifier: MIT
 * What holds for every kind of scorer: one suite over the registry. */
#include "../harness.h"
#include "core/core.h"

#include <stdio.h>

enum { ROWS = 90, COLS = 4 };

static float rows[ROWS * COLS];

static void make_rows(void)
{
    dumi_rng rng;
    dumi_rng_init(&rng, 53, 99, 0);
    for (int i = 0; i < ROWS * COLS; i++)
        rows[i] = (float)(dumi_rng_normal(&rng) * (1 + i % COLS));
    for (int j = 0; j < COLS; j++)
        rows[(ROWS - 1) * COLS + j] = 30; /* an outlier */
}

static dum_context *open_context(const char *backend, int32_t threads, allocation_counter *c)
{
    dum_context_options options;
    DUM_INIT(options);
    options.backend = backend;
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

static bool is(int kind, const char *name)
{
    return strcmp(dum_scorer_kind_name(kind), name) == 0;
}

/* Small, so that files can be cut at every byte. */
static dum_scorer *make_scorer(dum_context *context, int kind)
{
    static const struct {
        const char *kind, *option;
        double value;
    } small[] = {{"dum", "steps", 10},         {"dum", "width", 8},       {"iforest", "trees", 12},
                 {"eif", "trees", 40},         {"eif", "sample", 16},     {"lesinn", "samples", 9},
                 {"repen", "samples", 9},      {"repen", "steps", 20},    {"repen", "batch", 16},
                 {"autoencoder", "epochs", 3}, {"deepsvdd", "epochs", 3}, {"deepsvdd", "width", 8},
                 {"kde", "features", 32},      {"elliptic", "starts", 4}, {"vim", "classes", 2},
                 {"gram", "classes", 2},       {"flow", "width", 8},      {"flow", "epochs", 2}};
    dum_scorer *scorer;
    ck_ok(dum_scorer_create(context, dum_scorer_kind_name(kind), &scorer));
    for (size_t i = 0; i < sizeof small / sizeof small[0]; i++)
        if (is(kind, small[i].kind))
            ck_ok(dum_scorer_set_number(scorer, small[i].option, small[i].value));
    return scorer;
}

/* Kinds that know classes: the first row's is 0, those of the others alternate. */
static dum_fit_options classes_for(const dum_scorer *scorer)
{
    static int32_t labels[ROWS];
    dum_fit_options options;
    DUM_INIT(options);
    for (int i = 0; i < ROWS; i++)
        labels[i] = i % 2;
    if (strcmp(dum_scorer_kind(scorer), "mds") == 0 || strcmp(dum_scorer_kind(scorer), "flow") == 0)
        options.labels = labels;
    return options;
}

/* Kinds that read logits: a row of large numbers is no outlier to them. */
static bool reads_logits(int kind)
{
    return is(kind, "energy") || is(kind, "vim");
}

/* Kinds that need more columns than these rows have, tests/ood has others. */
static bool is_left_out(int kind)
{
    return is(kind, "rotation");
}

static dum_status fit(dum_context *context, dum_scorer *scorer, const float *data, int64_t n, int32_t cols)
{
    dum_dataset *dataset;
    dum_fit_options options = classes_for(scorer);
    ck_ok(dum_dataset_from_memory(context, data, n, cols, 0, &dataset));
    const dum_status status = dum_scorer_fit(scorer, dataset, &options);
    dum_dataset_destroy(dataset);
    return status;
}

static unsigned char *save(const dum_scorer *scorer, size_t *size)
{
    ck_ok(dum_scorer_save_memory(scorer, NULL, 0, size));
    unsigned char *bytes = malloc(*size);
    ck_ok(dum_scorer_save_memory(scorer, bytes, *size, size));
    return bytes;
}

START_TEST(same_bits)
{
    if (is_left_out(_i))
        return;
    double first[ROWS], scores[ROWS];
    make_rows();
    for (int32_t threads = 1; threads <= 3; threads++) {
        dum_context *context = open_context(NULL, threads, NULL);
        dum_scorer *scorer = make_scorer(context, _i), *loaded;
        ck_assert_str_eq(dum_scorer_kind(scorer), dum_scorer_kind_name(_i));
        ck_fails(dum_scorer_score(scorer, rows, 1, COLS, 0, scores), DUM_ERR_STATE, "not fitted");
        ck_ok(fit(context, scorer, rows, ROWS, COLS));
        ck_ok(dum_scorer_score(scorer, rows, ROWS, COLS, 0, scores));
        if (threads == 1)
            memcpy(first, scores, sizeof first);
        ck_assert_mem_eq(scores, first, sizeof first);
        for (int i = 0; i < ROWS; i++) { /* the outlier is the most anomalous; alone it scores the same */
            double one;
            ck_ok(dum_scorer_score(scorer, rows + (ptrdiff_t)i * COLS, 1, COLS, 0, &one));
            ck_assert_mem_eq(&one, first + i, sizeof one);
            /* a single outlier is a principal component of its own */
            ck_assert(isfinite(one) && (one <= first[ROWS - 1] || is(_i, "pca") || reads_logits(_i)));
        }
        ck_fails(dum_scorer_score(scorer, rows, 1, COLS + 1, 0, scores), DUM_ERR_SHAPE, "4 columns");
        size_t size;
        unsigned char *bytes = save(scorer, &size);
        ck_ok(dum_scorer_load_memory(context, bytes, size, &loaded));
        ck_ok(dum_scorer_score(loaded, rows, ROWS, COLS, 0, scores));
        ck_assert_mem_eq(scores, first, sizeof first);
        for (size_t cut = 0; cut < size && threads == 1; cut += cut < 4096 ? 1 : 61) {
            dum_scorer *part;
            ck_assert_int_lt(dum_scorer_load_memory(context, bytes, cut, &part), DUM_OK);
            bytes[cut] ^= 0x10;
            ck_assert_int_lt(dum_scorer_load_memory(context, bytes, size, &part), DUM_OK);
            bytes[cut] ^= 0x10;
        }
        free(bytes);
        dum_scorer_destroy(loaded);
        dum_scorer_destroy(scorer);
        dum_context_destroy(context);
    }
}
END_TEST

START_TEST(bad_input)
{
    if (is_left_out(_i))
        return;
    make_rows();
    dum_context *context = open_context(NULL, 2, NULL);
    static float data[ROWS * COLS];
    double scores[ROWS];
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        dum_scorer *scorer = make_scorer(context, _i);
        memcpy(data, rows, sizeof data);
        data[5 * COLS + 2] = bad[i];
        ck_fails(fit(context, scorer, data, ROWS, COLS), DUM_ERR_NONFINITE, "row 5, column 2");
        ck_assert_int_eq(dum_scorer_cols(scorer), 0);
        ck_ok(fit(context, scorer, rows, ROWS, COLS));
        ck_fails(dum_scorer_score(scorer, data, ROWS, COLS, 0, scores), DUM_ERR_NONFINITE, "row 5, column 2");
        dum_scorer_destroy(scorer);
    }
    /* Constant and duplicate columns; one row over and over; values at the ends of float. Files of them load, too. */
    for (int what = 0; what < 4; what++) {
        for (int i = 0; i < ROWS * COLS; i++)
            data[i] = what == 1            ? 2
                      : what == 3          ? rows[i] * 1e-40f
                      : i % COLS == 0      ? 7
                      : what == 2 && i % 2 ? rows[i] * 1e36f
                      : i % COLS == 2      ? rows[i - 1]
                                           : rows[i];
        dum_scorer *scorer = make_scorer(context, _i);
        ck_ok(fit(context, scorer, data, ROWS, COLS));
        ck_ok(dum_scorer_score(scorer, data, ROWS, COLS, 0, scores));
        const float far[COLS] = {1e38f, -1e38f, 1e-40f, 0};
        double score;
        ck_ok(dum_scorer_score(scorer, far, 1, COLS, 0, &score));
        ck_assert(isfinite(score));
        for (int i = 0; i < ROWS; i++)
            ck_assert(isfinite(scores[i]));
        size_t size;
        unsigned char *bytes = save(scorer, &size);
        dum_scorer *loaded;
        ck_ok(dum_scorer_load_memory(context, bytes, size, &loaded));
        free(bytes);
        dum_scorer_destroy(loaded);
        dum_scorer_destroy(scorer);
    }
    for (int64_t n = 1; n <= 3; n++)
        for (int32_t cols = is(_i, "vim") || is(_i, "gram") ? COLS : 1; cols <= COLS; cols += 3) {
            dum_scorer *scorer = make_scorer(context, _i);
            const dum_status status = fit(context, scorer, rows, n, cols);
            ck_assert_msg(status == DUM_OK || (n == 1 && status == DUM_ERR_SHAPE), "%s", dum_error_message());
            if (status == DUM_OK)
                ck_ok(dum_scorer_score(scorer, rows, n, cols, 0, scores));
            for (int64_t i = 0; i < n && status == DUM_OK; i++)
                ck_assert(isfinite(scores[i]));
            dum_scorer_destroy(scorer);
        }
    dum_context_destroy(context);
}
END_TEST

START_TEST(shares_and_thresholds)
{
    if (is_left_out(_i))
        return;
    make_rows();
    dum_context *context = open_context(NULL, 1, NULL);
    dum_scorer *scorer = make_scorer(context, _i);
    ck_ok(dum_scorer_set_number(scorer, "holdout", 0.5));
    const char *scaling;
    if (!is(_i, "dum") && dum_scorer_get_text(scorer, "scaling", &scaling) == DUM_OK)
        ck_ok(dum_scorer_set_text(scorer, "scaling", "zscore"));
    ck_ok(fit(context, scorer, rows, ROWS - 1, COLS));
    ck_assert_int_eq(dum_scorer_calibration_count(scorer), (ROWS - 1) / 2);
    double threshold, score, p;
    ck_ok(dum_scorer_threshold(scorer, 0.1, &threshold));
    ck_ok(dum_scorer_score(scorer, rows + (ROWS - 1) * COLS, 1, COLS, 0, &score));
    ck_ok(dum_scorer_pvalue(scorer, &score, 1, &p));
    ck_assert(score > threshold || reads_logits(_i));
    ck_assert(p < 0.05 || reads_logits(_i));
    float share[COLS] = {0};
    const dum_status explained = dum_scorer_explain(scorer, rows + (ROWS - 1) * COLS, 1, COLS, 0, share, NULL);
    ck_assert(explained == DUM_OK || explained == DUM_ERR_UNSUPPORTED);
    if (explained == DUM_OK)
        ck_assert_float_eq_tol(share[0] + share[1] + share[2] + share[3], 1, 1e-5f);
    dum_scorer_destroy(scorer);
    dum_context_destroy(context);
}
END_TEST

static dum_status all_of_it(allocation_counter *c, int kind, int64_t fail_at)
{
    *c = (allocation_counter){.left = -1};
    dum_context *context = open_context("ref", 1, c);
    dum_scorer *scorer = make_scorer(context, kind), *loaded = NULL;
    dum_dataset *data;
    ck_ok(dum_scorer_set_number(scorer, "holdout", 0.3));
    ck_ok(dum_dataset_from_memory(context, rows, 30, COLS, 0, &data));
    c->made = 0;
    c->left = fail_at;
    static unsigned char bytes[1 << 17];
    size_t size;
    float share[COLS];
    double score;
    const dum_fit_options options = classes_for(scorer);
    dum_status status = dum_scorer_fit(scorer, data, &options);
    if (status == DUM_OK)
        status = dum_scorer_score(scorer, rows, 1, COLS, 0, &score);
    if (status == DUM_OK)
        status = dum_scorer_explain(scorer, rows, 1, COLS, 0, share, NULL);
    if (status == DUM_ERR_UNSUPPORTED)
        status = DUM_OK;
    if (status == DUM_OK)
        status = dum_scorer_save_memory(scorer, bytes, sizeof bytes, &size);
    if (status == DUM_OK)
        status = dum_scorer_load_memory(context, bytes, size, &loaded);
    dum_scorer_destroy(loaded);
    dum_scorer_destroy(scorer);
    dum_dataset_destroy(data);
    dum_context_destroy(context);
    ck_assert_int_eq(c->live, 0);
    return status;
}

START_TEST(failing_allocations)
{
    if (is_left_out(_i))
        return;
    make_rows();
    allocation_counter c;
    ck_ok(all_of_it(&c, _i, -1));
    const int64_t all = c.made;
    for (int64_t i = 0; i < all; i++)
        ck_assert_int_eq(all_of_it(&c, _i, i), DUM_ERR_NOMEM);
}
END_TEST

typedef struct {
    int calls, stop_at;
} stopping;

static int32_t stop_then(void *user, const dum_progress *progress)
{
    stopping *s = user;
    ck_assert_int_ge(progress->step, 0);
    ck_assert_int_ge(progress->steps, 1);
    ck_assert_int_le(progress->step, progress->steps);
    return ++s->calls == s->stop_at;
}

static int32_t stop_at_step(void *user, const dum_progress *progress)
{
    (void)user;
    return progress->step > 0;
}

/* Kinds that are trained in steps are fitted as far as they got once they have made one. */
START_TEST(first_steps)
{
    make_rows();
    dum_context *context = open_context(NULL, 1, NULL);
    dum_scorer *scorer = make_scorer(context, _i);
    dum_dataset *dataset;
    dum_fit_options options = classes_for(scorer);
    options.progress = stop_at_step;
    ck_ok(dum_dataset_from_memory(context, rows, ROWS, COLS, 0, &dataset));
    const dum_status status = dum_scorer_fit(scorer, dataset, &options);
    if (is(_i, "dum") || is(_i, "autoencoder") || is(_i, "deepsvdd") || is(_i, "repen")) {
        ck_assert_int_eq(status, DUM_CANCELLED);
        ck_assert_int_eq(dum_scorer_cols(scorer), COLS);
    } else {
        ck_assert_int_eq(dum_scorer_cols(scorer), status == DUM_OK ? COLS : 0);
    }
    dum_dataset_destroy(dataset);
    dum_scorer_destroy(scorer);
    dum_context_destroy(context);
}
END_TEST

/* Every kind asks; wherever it is told to stop, there is no leak, and what was fitted before still scores. */
START_TEST(stopped_fits)
{
    if (is_left_out(_i))
        return;
    make_rows();
    allocation_counter counter = {.left = -1};
    dum_context *context = open_context("ref", 1, &counter);
    dum_scorer *scorer = make_scorer(context, _i);
    dum_dataset *dataset;
    dum_fit_options options = classes_for(scorer);
    stopping s = {0, 1};
    double before[ROWS], scores[ROWS];
    options.progress = stop_then;
    options.progress_user = &s;
    ck_ok(dum_dataset_from_memory(context, rows, ROWS, COLS, 0, &dataset));
    options.max_seconds = -1;
    ck_fails(dum_scorer_fit(scorer, dataset, &options), DUM_ERR_ARGUMENT, "max_seconds is -1");
    options.max_seconds = 0;
    s.calls = 0;
    dum_status status = dum_scorer_fit(scorer, dataset, &options);
    ck_assert_int_eq(status, DUM_CANCELLED);
    ck_assert_int_eq(s.calls, 1);
    const double wrong[] = {-1, NAN};
    for (int i = 0; i < 2; i++) {
        options.max_seconds = wrong[i];
        ck_fails(dum_scorer_fit(scorer, dataset, &options), DUM_ERR_ARGUMENT, "options.max_seconds is ");
    }
    options.max_seconds = 0;
    s = (stopping){0, 0};
    ck_ok(dum_scorer_fit(scorer, dataset, &options));
    const int asked = s.calls;
    ck_ok(dum_scorer_score(scorer, rows, ROWS, COLS, 0, before));
    for (int at = 1; at <= asked; at += 1 + asked / 12) {
        s = (stopping){0, at};
        status = dum_scorer_fit(scorer, dataset, &options);
        ck_assert(status == DUM_CANCELLED || (status == DUM_OK && at == asked));
        ck_ok(dum_scorer_score(scorer, rows, ROWS, COLS, 0, scores));
        if (status == DUM_CANCELLED && strstr(dum_error_message(), "as it was before") != NULL)
            ck_assert_mem_eq(scores, before, sizeof before);
    }
    dum_dataset_destroy(dataset);
    /* Rows that are all alike leave nothing to be done. */
    static const float alike[ROWS * COLS];
    s = (stopping){0, 0};
    ck_ok(dum_dataset_from_memory(context, alike, ROWS, COLS, 0, &dataset));
    ck_ok(dum_scorer_fit(scorer, dataset, &options));
    ck_assert_int_ge(s.calls, 1);
    dum_dataset_destroy(dataset);
    dum_scorer_destroy(scorer);
    dum_context_destroy(context);
    ck_assert_int_eq(counter.live, 0);
}
END_TEST

static int32_t add_up(void *user, float *values, int64_t count)
{
    (void)user;
    (void)values;
    return count < 1;
}

static int32_t keep_nothing(void *user, const void *checkpoint, size_t size)
{
    (void)user;
    (void)checkpoint;
    return size == 0;
}

/* What only heads have a use for is refused by name. */
START_TEST(options_of_heads)
{
    if (is(_i, "dum") || is_left_out(_i))
        return;
    make_rows();
    dum_context *context = open_context(NULL, 1, NULL);
    dum_scorer *scorer = make_scorer(context, _i);
    dum_dataset *dataset;
    ck_ok(dum_dataset_from_memory(context, rows, ROWS, COLS, 0, &dataset));
    const dum_fit_options plain = classes_for(scorer);
    static const char *const names[] = {
        "pairs",  "warm_start",  "checkpoint_epochs", "checkpoint_path", "checkpoint",
        "resume", "resume_from", "resume_from",       "ranks",           "rank",
        "reduce"};
    const int count = sizeof names / sizeof names[0];
    dum_fit_options o[sizeof names / sizeof names[0]];
    for (int i = 0; i < count; i++)
        o[i] = plain;
    o[0].pairs = dataset;
    o[1].warm_start = 1;
    o[2].checkpoint_epochs = 3;
    o[3].checkpoint_path = "none";
    o[4].checkpoint = keep_nothing;
    o[5].resume = 1;
    o[6].resume_from = names;
    o[7].resume_size = 1;
    o[8].ranks = 2;
    o[9].rank = 1;
    o[10].reduce = add_up;
    for (int i = 0; i < count; i++) {
        char wanted[64];
        snprintf(wanted, sizeof wanted, "options.%s is set, which is for heads", names[i]);
        ck_fails(dum_scorer_fit(scorer, dataset, &o[i]), DUM_ERR_ARGUMENT, wanted);
    }
    ck_ok(dum_scorer_fit(scorer, dataset, &plain));
    dum_dataset_destroy(dataset);
    dum_scorer_destroy(scorer);
    dum_context_destroy(context);
}
END_TEST

/* Not only while the rows are read, and before a member or a stage begins. */
static const struct {
    const char *kind, *without;
    int64_t rows;
    int least;
} asking[] = {{"iforest", NULL, ROWS, 12},       {"eif", NULL, ROWS, 40},   {"lof", NULL, 20000, 7},
              {"elliptic", NULL, ROWS, 40},      {"repen", NULL, ROWS, 23}, {"ensemble", "knn", ROWS, 100},
              {"ensemble", "iforest", 40000, 9}, {"gram", NULL, ROWS, 2}};

START_TEST(long_fits_ask)
{
    const int64_t count = asking[_i].rows;
    int kind = 0;
    while (!is(kind, asking[_i].kind))
        kind++;
    dum_context *context = open_context(NULL, 1, NULL);
    dum_scorer *scorer = make_scorer(context, kind);
    dum_dataset *dataset;
    dum_fit_options options;
    stopping s = {0, 0};
    DUM_INIT(options);
    options.progress = stop_then;
    options.progress_user = &s;
    if (asking[_i].without != NULL) {
        ck_ok(dum_scorer_set_number(scorer, "ecod", 0));
        ck_ok(dum_scorer_set_number(scorer, asking[_i].without, 0));
    }
    dumi_rng rng;
    dumi_rng_init(&rng, 59, 99, 0);
    float *many = malloc((size_t)count * COLS * sizeof *many);
    for (int64_t i = 0; i < count * COLS; i++)
        many[i] = (float)dumi_rng_normal(&rng);
    ck_ok(dum_dataset_from_memory(context, many, count, COLS, 0, &dataset));
    ck_ok(dum_scorer_fit(scorer, dataset, &options));
    ck_assert_int_ge(s.calls, asking[_i].least);
    s = (stopping){0, asking[_i].least - 1};
    ck_assert_int_eq(dum_scorer_fit(scorer, dataset, &options), DUM_CANCELLED);
    ck_assert_int_eq(s.calls, asking[_i].least - 1);
    dum_dataset_destroy(dataset);
    dum_scorer_destroy(scorer);
    dum_context_destroy(context);
    free(many);
}
END_TEST

enum { ENDLESS_SHIFT = 62 };

/* Rows without end, until it is asked for the thousandth time. */
static int32_t read_endless(void *user, const int64_t *indices, int64_t count, float *out)
{
    int *calls = user;
    for (int64_t i = 0; i < count; i++) {
        ck_assert(indices[i] >= 0 && indices[i] < (int64_t)1 << ENDLESS_SHIFT);
        memcpy(out + i * COLS, rows + indices[i] % ROWS * COLS, COLS * sizeof *out);
    }
    return ++*calls == 1000;
}

static int32_t embed_same(void *user, const float *data, int64_t count, int32_t cols, int64_t stride,
                          float *out)
{
    (void)user;
    for (int64_t i = 0; i < count; i++)
        memcpy(out + i * cols, data + i * stride, (size_t)cols * sizeof *out);
    return 0;
}

/* So many that rows times columns is 0 in 64 bits: an error of kinds that hold them, with an encoder below of all but
 * gram, which has them made as it goes. */
START_TEST(more_rows_than_memory)
{
    make_rows();
    dum_context *context = open_context(NULL, 1, NULL);
    dum_dataset *dataset;
    dum_encoder *encoder;
    int calls = 0;
    const bool always = is(_i, "gram"), streams = always || is(_i, "dum") || is(_i, "iforest");
    ck_ok(dum_encoder_from_callback(context, COLS, COLS, embed_same, NULL, &encoder));
    ck_ok(
        dum_dataset_from_callback(context, (int64_t)1 << ENDLESS_SHIFT, COLS, read_endless, &calls, &dataset));
    for (int embedded = 0; embedded < 2; embedded++) {
        dum_scorer *scorer = make_scorer(context, _i);
        if (embedded)
            ck_ok(dum_scorer_set_encoder(scorer, encoder));
        calls = 0;
        ck_assert_int_eq(dum_scorer_fit(scorer, dataset, NULL),
                         always || (streams && !embedded) ? DUM_ERR_CALLBACK : DUM_ERR_NOMEM);
        ck_assert_int_eq(dum_scorer_cols(scorer), 0);
        dum_scorer_destroy(scorer);
    }
    dum_encoder_destroy(encoder);
    dum_dataset_destroy(dataset);
    dum_context_destroy(context);
}
END_TEST

/* A head that is trained further reads a sample of them only. */
START_TEST(endless_rows)
{
    make_rows();
    dum_context *context = open_context(NULL, 1, NULL);
    dum_dataset *dataset;
    dum_scorer *scorer;
    dum_fit_options options;
    int calls = 0;
    DUM_INIT(options);
    options.warm_start = 1;
    ck_ok(dum_scorer_create(context, "dum", &scorer));
    ck_ok(dum_scorer_set_number(scorer, "steps", 10));
    ck_ok(dum_scorer_set_number(scorer, "reservoir", 100));
    ck_ok(
        dum_dataset_from_callback(context, (int64_t)1 << ENDLESS_SHIFT, COLS, read_endless, &calls, &dataset));
    ck_ok(fit(context, scorer, rows, ROWS, COLS));
    ck_ok(dum_scorer_fit(scorer, dataset, &options));
    dum_scorer_destroy(scorer);
    dum_dataset_destroy(dataset);
    dum_context_destroy(context);
}
END_TEST

/* But those that read what an encoder puts out. */
START_TEST(ensembles_take_every_kind)
{
    static const char *const apart[] = {"ensemble", "energy",   "flow",        "gram", "mds",
                                        "msp",      "rotation", "uncertainty", "vim"};
    dum_context *context = open_context(NULL, 1, NULL);
    dum_scorer *scorer;
    double weight;
    ck_ok(dum_scorer_create(context, "ensemble", &scorer));
    for (int kind = 0; kind < dum_scorer_kind_count(); kind++) {
        bool member = true;
        for (size_t i = 0; i < sizeof apart / sizeof apart[0]; i++)
            member = member && !is(kind, apart[i]);
        if (member)
            ck_ok(dum_scorer_get_number(scorer, dum_scorer_kind_name(kind), &weight));
    }
    dum_scorer_destroy(scorer);
    dum_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kinds");
    TCase *cases = tcase_create("kinds");
    const int kinds = dum_scorer_kind_count();
    tcase_add_loop_test(cases, same_bits, 0, kinds);
    tcase_add_loop_test(cases, bad_input, 0, kinds);
    tcase_add_loop_test(cases, shares_and_thresholds, 0, kinds);
    tcase_add_loop_test(cases, stopped_fits, 0, kinds);
    tcase_add_loop_test(cases, first_steps, 0, kinds);
    tcase_add_loop_test(cases, options_of_heads, 0, kinds);
    tcase_add_loop_test(cases, failing_allocations, 0, kinds);
    tcase_add_loop_test(cases, long_fits_ask, 0, sizeof asking / sizeof asking[0]);
    tcase_add_loop_test(cases, more_rows_than_memory, 0, kinds);
    tcase_add_test(cases, endless_rows);
    tcase_add_test(cases, ensembles_take_every_kind);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
