/* SPDX-License-Identifier: MIT
 * Training shared by ranks, which are threads here: it equals one process with the batch of all, they end alike
 * whatever happens to one of them, and a rank that differs is found out. */
#define _GNU_SOURCE
#include "../harness.h"
#include "core/core.h"

#include <pthread.h>
#include <stdio.h>

enum { ROWS = 300, COLS = 7, MOST = 4 };

/* ---- Ranks --------------------------------------------------------------------------------- */

typedef enum { SUMS, AVERAGES, DOES_NOTHING } reducer;

typedef struct {
    int32_t ranks;
    reducer does;
    int64_t fail_at; /* the call of reduce that reports failure on rank 0; 0: none */
    pthread_barrier_t barrier;
    float *values[MOST];
    int64_t counts[MOST];
} group;

typedef struct rank rank;
struct rank {
    group *group;
    int32_t number;
    int32_t times;            /* it has the batch of so many; 0: of one */
    void (*prepare)(rank *r); /* changes options or head; may be NULL */
    dum_context *context;
    allocation_counter allocations;
    bool counts_allocations;
    int64_t allocated; /* during fit */
    dum_head *head;
    dum_fit_options options;
    int64_t calls; /* of reduce */
    bool asked;    /* to stop */
    int64_t at;    /* where a rank does what its test is about; 0: never */
    unsigned char *checkpoint;
    size_t checkpoint_size;
    dum_status status;
    char message[256];
    unsigned char *model;
    size_t model_size;
    float s[ROWS * COLS];
};

static int32_t reduce(void *user, float *values, int64_t count)
{
    rank *r = user;
    group *g = r->group;
    float *sum = calloc((size_t)count, sizeof *sum);
    g->values[r->number] = values;
    g->counts[r->number] = count;
    pthread_barrier_wait(&g->barrier);
    for (int32_t i = 0; i < g->ranks; i++) {
        ck_assert_int_eq(g->counts[i], count);
        for (int64_t j = 0; j < count; j++)
            sum[j] += g->does == AVERAGES ? g->values[i][j] / (float)g->ranks : g->values[i][j];
    }
    pthread_barrier_wait(&g->barrier);
    if (g->does != DOES_NOTHING)
        memcpy(values, sum, (size_t)count * sizeof *sum);
    free(sum);
    return ++r->calls == g->fail_at && r->number == 0 ? 5 : 0;
}

static float rows[ROWS * COLS], pair_rows[ROWS * COLS];

static void make_rows(void)
{
    dumi_rng rng;
    dumi_rng_init(&rng, 31, 99, 0);
    for (int i = 0; i < ROWS * COLS; i++) {
        rows[i] = (float)dumi_rng_normal(&rng) * (float)(1 + i % COLS);
        pair_rows[i] = rows[i] + 0.3f * (float)dumi_rng_normal(&rng);
    }
}

typedef struct {
    const char *optimizer, *covariance, *scaling;
    double width, reservoir, explore, batch; /* batch: of one rank */
    bool pairs;
} variant;

static variant plain = {"sgd", "circular", "whiten", 16, 4096, 0.5, 24, false};

static dum_head *make_head(dum_context *context, const variant *v, int32_t ranks)
{
    dum_head *head;
    ck_ok(dum_head_create(context, &head));
    ck_ok(dum_head_set_text(head, "optimizer", v->optimizer));
    ck_ok(dum_head_set_text(head, "covariance", v->covariance));
    ck_ok(dum_head_set_text(head, "scaling", v->scaling));
    ck_ok(dum_head_set_number(head, "width", v->width));
    ck_ok(dum_head_set_number(head, "reservoir", v->reservoir));
    ck_ok(dum_head_set_number(head, "explore", v->explore));
    ck_ok(dum_head_set_number(head, "batch", v->batch * ranks));
    ck_ok(dum_head_set_number(head, "steps", 25));
    if (strcmp(v->optimizer, "sgd") == 0)
        ck_ok(dum_head_set_number(head, "rate", 0.05));
    ck_ok(dum_head_set_number(head, "clip", 0.2)); /* so that it is at work */
    return head;
}

static const variant *current;

static void open_context(rank *r)
{
    dum_context_options options;
    DUM_INIT(options);
    options.threads = 1;
    if (r->counts_allocations) {
        options.backend = "ref";
        options.alloc = counted_alloc;
        options.free = counted_free;
        options.alloc_user = &r->allocations;
    }
    ck_ok(dum_context_create(&options, &r->context));
}

/* A rank from its context to its end; without a group one process that trains alone. */
static void *run_rank(void *user)
{
    rank *r = user;
    const int64_t fail_at = r->allocations.left;
    r->allocations = (allocation_counter){.left = -1};
    open_context(r);
    dum_dataset *data, *pairs;
    ck_ok(dum_dataset_from_memory(r->context, rows, ROWS, COLS, 0, &data));
    ck_ok(dum_dataset_from_memory(r->context, pair_rows, ROWS, COLS, 0, &pairs));
    DUM_INIT(r->options);
    if (r->group != NULL) {
        r->options.ranks = r->group->ranks;
        r->options.rank = r->number;
        r->options.reduce = reduce;
        r->options.reduce_user = r;
    }
    r->options.pairs = current->pairs ? pairs : NULL;
    r->head = make_head(r->context, current, r->times > 0 ? r->times : 1);
    if (r->prepare != NULL)
        r->prepare(r);
    r->allocations.made = 0;
    r->allocations.left = fail_at;
    r->status = dum_head_fit(r->head, data, &r->options);
    r->allocations.left = -1;
    r->allocated = r->allocations.made;
    strcpy(r->message, dum_error_message());
    if (dum_head_cols(r->head) > 0) {
        ck_ok(dum_head_save_memory(r->head, NULL, 0, &r->model_size));
        r->model = malloc(r->model_size);
        ck_ok(dum_head_save_memory(r->head, r->model, r->model_size, &r->model_size));
        ck_ok(dum_head_log_variance(r->head, rows, ROWS, COLS, 0, r->s));
    }
    dum_head_destroy(r->head);
    dum_dataset_destroy(pairs);
    dum_dataset_destroy(data);
    dum_context_destroy(r->context);
    return NULL;
}

static void run(group *g, int32_t ranks, rank *all)
{
    pthread_t threads[MOST];
    g->ranks = ranks;
    pthread_barrier_init(&g->barrier, NULL, (unsigned)ranks);
    for (int32_t i = 0; i < ranks; i++) {
        all[i].group = g;
        all[i].number = i;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, run_rank, &all[i]), 0);
    }
    for (int32_t i = 0; i < ranks; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&g->barrier);
}

static void forget(rank *all)
{
    for (int32_t i = 0; i < MOST; i++) {
        free(all[i].model);
        all[i].model = NULL;
    }
}

static rank *new_ranks(void (*prepare)(rank *r))
{
    rank *all = calloc(MOST, sizeof *all);
    for (int32_t i = 0; i < MOST; i++) {
        all[i].prepare = prepare;
        all[i].allocations.left = -1;
    }
    return all;
}

static void check_alike(const rank *all, int32_t ranks)
{
    for (int32_t i = 1; i < ranks; i++) {
        ck_assert_uint_eq(all[i].model_size, all[0].model_size);
        ck_assert_mem_eq(all[i].model, all[0].model, all[0].model_size);
    }
}

static double most_apart(const float *a, const float *b)
{
    double most = 0;
    const int cols = strcmp(current->covariance, "diagonal") == 0 ? COLS : 1;
    for (int i = 0; i < ROWS * cols; i++) {
        const double apart = fabs((double)a[i] - (double)b[i]);
        ck_assert(isfinite(apart));
        most = apart > most ? apart : most;
    }
    return most;
}

/* ---- Equality ------------------------------------------------------------------------------ */

static const variant variants[] = {
    {"sgd", "circular", "whiten", 16, 4096, 0.5, 24, false},
    {"sgd", "diagonal", "zscore", 16, 64, 0.37, 19, false}, /* no rank has as many rows as another */
    {"sgd", "diagonal", "none", 16, 4096, 0, 33, true},
    {"sgd", "circular", "unit", 300, 100, 0.5, 5, false}, /* so wide that alone no gradient is stored */
    {"adam", "circular", "whiten", 16, 4096, 0.5, 24, false},
    {"adam", "diagonal", "minmax", 16, 4096, 0.5, 200, false}, /* more than there are rows */
};

/* The rounding of sums in another order, through 25 steps. Adam makes whole steps of gradients that nearly cancel out:
 * now and then a weight goes another way. In its first step it does so by offset and bias where one process trains
 * without reduce. */
static const double tolerance = 1e-4, adam_tolerance = 2e-3, plain_adam_tolerance = 0.05;

START_TEST(equals_the_larger_batch)
{
    for (size_t v = 0; v < sizeof variants / sizeof variants[0]; v++)
        for (int32_t ranks = 1; ranks <= MOST; ranks++) {
            current = &variants[v];
            rank *all = new_ranks(NULL), *one = new_ranks(NULL), *alone = new_ranks(NULL);
            group g = {0};
            run(&g, ranks, all);
            one->times = alone->times = ranks;
            run(&g, 1, one);
            run_rank(alone);
            ck_assert_msg(alone->status == DUM_OK, "%s", alone->message);
            for (int32_t i = 0; i < ranks; i++) {
                ck_assert_msg(all[i].status == DUM_OK, "%s", all[i].message);
                ck_assert_int_eq(all[i].calls, 1 + 25);
            }
            check_alike(all, ranks);
            const double apart = most_apart(all->s, one->s), plain_apart = most_apart(all->s, alone->s);
            fprintf(stderr, "# variant %zu, %d ranks: %.1e from one rank, %.1e from no ranks\n", v, ranks,
                    apart, plain_apart);
            const bool adam = strcmp(current->optimizer, "adam") == 0;
            ck_assert_double_lt(apart, adam ? adam_tolerance : tolerance);
            ck_assert_double_lt(plain_apart, adam ? plain_adam_tolerance : tolerance);
            forget(all), forget(one), forget(alone);
            free(all), free(one), free(alone);
        }
    current = &plain;
}
END_TEST

/* ---- Ends ---------------------------------------------------------------------------------- */

static int32_t stop(void *user, const dum_progress *progress)
{
    rank *r = user;
    ck_assert(!r->asked);
    r->asked = r->at != 0 && progress->step == r->at;
    return r->asked;
}

static void stop_at_step(rank *r)
{
    r->options.progress = stop;
    r->options.progress_user = r;
    if (r->at < 0)
        r->options.max_seconds = 1e-9;
}

static void fewer_steps(rank *r)
{
    ck_ok(dum_head_set_number(r->head, "steps", (double)r->at));
}

START_TEST(one_stops_all)
{
    const int64_t ats[] = {-1, 7, 24, 25}; /* -1: by max_seconds */
    for (size_t i_at = 0; i_at < sizeof ats / sizeof ats[0]; i_at++) {
        const int64_t at = ats[i_at];
        rank *all = new_ranks(stop_at_step), *one = new_ranks(fewer_steps);
        group g = {0};
        all[1].at = at;
        run(&g, 3, all);
        one->times = 3;
        one->at = at < 0 ? 2 : at < 25 ? at + 1 : 25; /* they hear of it at the next step */
        run(&g, 1, one);
        for (int32_t i = 0; i < 3; i++)
            ck_assert_msg(all[i].status == (at < 24 ? DUM_CANCELLED : DUM_OK), "stop at %d: %s", (int)at,
                          all[i].message);
        check_alike(all, 3);
        ck_assert_double_lt(most_apart(all->s, one->s), tolerance);
        forget(all), forget(one);
        free(all), free(one);
    }
}
END_TEST

static int32_t stop_now(void *user, const dum_progress *progress)
{
    (void)user;
    ck_assert_int_eq(progress->step, 0);
    return 1;
}

static void stop_at_once(rank *r)
{
    r->options.progress = stop_now;
}

/* Before the first step: there is nothing to keep, and no rank waits. */
START_TEST(one_stops_all_before_they_begin)
{
    rank *all = new_ranks(NULL);
    group g = {0};
    all[1].prepare = stop_at_once;
    run(&g, 3, all);
    for (int32_t i = 0; i < 3; i++) {
        ck_assert_int_eq(all[i].status, DUM_CANCELLED);
        ck_assert_ptr_nonnull(strstr(all[i].message, "before its first step"));
        ck_assert_int_eq((int64_t)all[i].model_size, 0);
    }
    free(all);
}
END_TEST

static int32_t read_or_fail(void *user, const int64_t *indices, int64_t count, float *out)
{
    rank *r = user;
    if (r->at > 0 && r->calls + 1 >= r->at)
        return 1;
    for (int64_t i = 0; i < count; i++)
        memcpy(out + i * COLS, rows + indices[i] * COLS, COLS * sizeof *out);
    return 0;
}

static dum_dataset *callback_data[MOST];

static void read_by_callback(rank *r)
{
    ck_ok(dum_dataset_from_callback(r->context, ROWS, COLS, read_or_fail, r, &callback_data[r->number]));
    r->options.pairs = callback_data[r->number];
}

static int32_t refuse(void *user, const void *checkpoint, size_t size)
{
    (void)checkpoint;
    (void)size;
    return ((rank *)user)->calls > 4;
}

static void refuse_checkpoint(rank *r)
{
    if (r->at == 0)
        return;
    r->options.checkpoint = refuse;
    r->options.checkpoint_user = r;
}

/* All fail: rank `own` with this message, the others since it did. */
static void check_failed(const rank *all, int32_t ranks, int32_t own, const char *text)
{
    for (int32_t i = 0; i < ranks; i++) {
        const char *expected = i == own ? text : "another rank";
        ck_assert_int_eq(all[i].status, DUM_ERR_CALLBACK);
        ck_assert_msg(strstr(all[i].message, expected) != NULL, "rank %d: %s", i, all[i].message);
        ck_assert_ptr_null(all[i].model);
    }
}

START_TEST(one_fails_all)
{
    const int64_t ats[] = {1, 2, 9}; /* while preparing, at the first step, later */
    for (size_t i = 0; i < 3; i++) {
        rank *all = new_ranks(read_by_callback);
        group g = {0};
        all[1].at = ats[i];
        run(&g, 4, all);
        check_failed(all, 4, 1, "callback");
        for (int32_t k = 0; k < 4; k++)
            dum_dataset_destroy(callback_data[k]);
        free(all);
    }
    rank *all = new_ranks(refuse_checkpoint);
    group g = {0};
    all[0].at = 1;
    run(&g, 2, all);
    check_failed(all, 2, 0, "checkpoint callback");
    free(all);

    for (int64_t at = 1; at <= 3; at++) {
        all = new_ranks(NULL);
        g = (group){.fail_at = at};
        run(&g, 1, all);
        check_failed(all, 1, 0, "options.reduce reported failure (5) on rank 0");
        free(all);
    }
}
END_TEST

static void explode(rank *r)
{
    ck_ok(dum_head_set_number(r->head, "rate", 1000));
    ck_ok(dum_head_set_text(r->head, "bound", "none"));
    ck_ok(dum_head_set_number(r->head, "clip", 0));
    ck_ok(dum_head_set_number(r->head, "steps", 500));
}

START_TEST(all_diverge_alike)
{
    current = &variants[1];
    rank *all = new_ranks(explode);
    group g = {0};
    run(&g, 3, all);
    for (int32_t i = 0; i < 3; i++) {
        ck_assert_msg(all[i].status == DUM_ERR_NONFINITE, "%s", all[i].message);
        ck_assert_str_eq(all[i].message, all[0].message);
    }
    free(all);
    current = &plain;
}
END_TEST

/* Each allocation of one rank made to fail in turn: it runs out of memory, and nobody waits. */
START_TEST(failing_allocations)
{
    static const variant small = {"adam", "circular", "whiten", 4, 64, 0.5, 8, false};
    current = &small;
    for (int64_t at = -1, made = 0; at < made; at++) {
        rank *all = new_ranks(fewer_steps);
        all[0].at = all[1].at = 3;
        group g = {0};
        all[1].counts_allocations = true;
        all[1].allocations.left = at;
        run(&g, 2, all);
        if (at < 0)
            made = all[1].allocated;
        ck_assert_int_gt(made, 50);
        ck_assert_int_eq(all[1].status, at < 0 ? DUM_OK : DUM_ERR_NOMEM);
        ck_assert_int_eq(all[1].allocations.live, 0);
        /* Packing the weights for scoring comes after training. */
        ck_assert_msg(all[0].status == DUM_OK || strstr(all[0].message, "another rank") != NULL, "%s",
                      all[0].message);
        forget(all);
        free(all);
    }
    current = &plain;
}
END_TEST

/* ---- Ranks that do not agree --------------------------------------------------------------- */

static void check_refused(const rank *all, int32_t ranks, const char *text)
{
    for (int32_t i = 0; i < ranks; i++) {
        ck_assert_int_eq(all[i].status, DUM_ERR_ARGUMENT);
        ck_assert_msg(strstr(all[i].message, text) != NULL, "rank %d: %s", i, all[i].message);
    }
}

static void differ(rank *r)
{
    if (r->number != 2)
        return;
    if (r->at == 0)
        ck_ok(dum_head_set_number(r->head, "seed", 3));
    if (r->at == 1)
        ck_ok(dum_head_set_number(r->head, "rate", 0.002));
    if (r->at == 2)
        r->options.rank = 1;
}

START_TEST(differing_ranks)
{
    const char *const messages[] = {"the ranks have different", "the ranks have different", "options.rank is"};
    for (int64_t i = 0; i < 3; i++) {
        rank *all = new_ranks(differ);
        group g = {0};
        all[2].at = i;
        run(&g, 4, all);
        check_refused(all, 4, messages[i]);
        free(all);
    }
    for (reducer does = AVERAGES; does <= DOES_NOTHING; does++) {
        rank *all = new_ranks(NULL);
        group g = {.does = does};
        run(&g, 4, all);
        check_refused(all, 4, "options.reduce made 1 of a 1 from each of options.ranks = 4 ranks");
        free(all);
    }
}
END_TEST

START_TEST(arguments)
{
    dum_context *context;
    dum_dataset *data;
    ck_ok(dum_context_create(NULL, &context));
    ck_ok(dum_dataset_from_memory(context, rows, ROWS, COLS, 0, &data));
    dum_head *head = make_head(context, &plain, 1);
    dum_fit_options options;
    DUM_INIT(options);
    group g = {.ranks = 1};
    rank r = {.group = &g};
    pthread_barrier_init(&g.barrier, NULL, 1);
    options.ranks = 2;
    ck_fails(dum_head_fit(head, data, &options), DUM_ERR_ARGUMENT, "options.reduce is NULL");
    options.reduce = reduce;
    options.reduce_user = &r;
    const int32_t wrong[][2] = {{-1, 0}, {4097, 0}, {2, 2}, {2, -1}, {0, 1}};
    const char *const messages[] = {"options.ranks is -1, expected 1 to 4096", "options.ranks is 4097",
                                    "options.rank is 2, expected 0 to 1", "options.rank is -1",
                                    "options.rank is 1, expected 0 to 0"};
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        options.ranks = wrong[i][0];
        options.rank = wrong[i][1];
        ck_fails(dum_head_fit(head, data, &options), DUM_ERR_ARGUMENT, messages[i]);
    }
    ck_assert_int_eq(r.calls, 0);
    options.ranks = 2;
    options.rank = 0;
    ck_ok(dum_head_set_number(head, "batch", 1));
    ck_fails(dum_head_fit(head, data, &options), DUM_ERR_ARGUMENT, "a step has 1 rows");
    options.ranks = 1;
    ck_ok(dum_head_set_text(head, "objective", "poe"));
    ck_ok(dum_head_set_number(head, "batch", 16));
    ck_fails(dum_head_fit(head, data, &options), DUM_ERR_ARGUMENT, "options.reduce is for objective local");
    ck_assert_int_eq(r.calls, 2);

    dum_encoder *encoder;
    ck_ok(dum_encoder_create(context, "mlp", &encoder));
    ck_fails(dum_encoder_fit(encoder, data, &options), DUM_ERR_ARGUMENT, "options.reduce");
    for (int32_t i = 0; i < dum_scorer_kind_count(); i++) {
        dum_scorer *scorer;
        ck_ok(dum_scorer_create(context, dum_scorer_kind_name(i), &scorer));
        if (strcmp(dum_scorer_kind_name(i), "dum") == 0)
            ck_ok(dum_scorer_fit(scorer, data, &options));
        else
            ck_assert_int_ne(dum_scorer_fit(scorer, data, &options), DUM_OK);
        dum_scorer_destroy(scorer);
    }
    dum_encoder_destroy(encoder);
    dum_head_destroy(head);
    dum_dataset_destroy(data);
    dum_context_destroy(context);
    pthread_barrier_destroy(&g.barrier);
}
END_TEST

/* ---- Checkpoints --------------------------------------------------------------------------- */

static int32_t keep(void *user, const void *checkpoint, size_t size)
{
    rank *r = user;
    r->checkpoint = realloc(r->checkpoint, size);
    memcpy(r->checkpoint, checkpoint, size);
    r->checkpoint_size = size;
    return 0;
}

static const rank *keeper; /* whose checkpoint the ranks from number `at` on do not go on from */

static void keep_or_resume(rank *r)
{
    if (keeper != NULL && (r->at == 0 || r->number < r->at)) {
        r->options.resume_from = keeper->checkpoint;
        r->options.resume_size = keeper->checkpoint_size;
    } else if (keeper == NULL) {
        stop_at_step(r);
        r->options.checkpoint = keep;
        r->options.checkpoint_user = r;
        r->options.checkpoint_epochs = 100;
    }
}

START_TEST(checkpoints)
{
    current = &variants[4]; /* the optimizer with the larger state */
    rank *whole = new_ranks(NULL), *first = new_ranks(keep_or_resume), *second = new_ranks(keep_or_resume);
    group g = {0};
    run(&g, 2, whole);
    first[1].at = 11;
    run(&g, 2, first);
    ck_assert_int_eq(first[0].status, DUM_CANCELLED);
    ck_assert_uint_eq(first[0].checkpoint_size, first[1].checkpoint_size);
    ck_assert_mem_eq(first[0].checkpoint, first[1].checkpoint, first[0].checkpoint_size);
    keeper = first;
    run(&g, 2, second);
    for (int32_t i = 0; i < 2; i++) {
        ck_assert_msg(second[i].status == DUM_OK, "%s", second[i].message);
        ck_assert_int_eq(second[i].calls, 1 + 25 - 12);
        ck_assert_mem_eq(second[i].model, whole[0].model, whole[0].model_size);
    }
    forget(second);
    memset(second, 0, 4 * sizeof *second);
    second[0].prepare = second[1].prepare = second[2].prepare = keep_or_resume;
    second[1].at = 1; /* it begins anew */
    run(&g, 2, second);
    check_refused(second, 2, "the ranks have different");
    second[1].at = 0;
    run(&g, 3, second);
    check_refused(second, 3, "options.ranks is 3, 2 when the checkpoint was made");
    keeper = NULL;
    current = &plain;
    free(first[0].checkpoint), free(first[1].checkpoint);
    forget(whole), forget(first);
    free(whole), free(first), free(second);
}
END_TEST

int main(void)
{
    make_rows();
    current = &plain;
    Suite *suite = suite_create("share");
    TCase *cases = tcase_create("share");
    tcase_set_timeout(cases, 300);
    tcase_add_test(cases, equals_the_larger_batch);
    tcase_add_test(cases, one_stops_all);
    tcase_add_test(cases, one_stops_all_before_they_begin);
    tcase_add_test(cases, one_fails_all);
    tcase_add_test(cases, all_diverge_alike);
    tcase_add_test(cases, failing_allocations);
    tcase_add_test(cases, differing_ranks);
    tcase_add_test(cases, arguments);
    tcase_add_test(cases, checkpoints);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
