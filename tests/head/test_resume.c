/* SPDX-License-Identifier: MIT
 * Checkpoints: training that was stopped or killed and goes on ends with the bits of one left alone. */
#define _GNU_SOURCE
#include "../harness.h"
#include "core/core.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROWS = 300, COLS = 6 };

static char folder[] = "/tmp/dum-resume-XXXXXX";
static char checkpoint_path[64], model_path[64];

static void make_folder(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(checkpoint_path, sizeof checkpoint_path, "%s/c.dum", folder);
    snprintf(model_path, sizeof model_path, "%s/m.dum", folder);
}

static void remove_folder(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
    strcpy(folder, "/tmp/dum-resume-XXXXXX");
}

/* Log lines about checkpoints. */
static void count_lines(void *user, int32_t level, int32_t code, const char *line)
{
    (void)level;
    (void)line;
    *(int *)user += code == DUM_LOG_CHECKPOINT;
}

static dum_context *open_context(int32_t threads, int *lines)
{
    dum_context_options options;
    DUM_INIT(options);
    options.threads = threads;
    options.log = lines != NULL ? count_lines : NULL;
    options.log_user = lines;
    dum_context *context;
    ck_ok(dum_context_create(&options, &context));
    return context;
}

static float rows[ROWS * COLS];

static dum_dataset *make_data(dum_context *context, int64_t count, float first)
{
    dumi_rng rng;
    dumi_rng_init(&rng, 31, 99, 0);
    for (int i = 0; i < ROWS * COLS; i++)
        rows[i] = (float)dumi_rng_normal(&rng) * (float)(1 + i % COLS);
    rows[0] = first;
    dum_dataset *data;
    ck_ok(dum_dataset_from_memory(context, rows, count, COLS, 0, &data));
    return data;
}

typedef struct {
    const char *objective, *optimizer;
    double width, reservoir, steps;
    const char *precision;
} variant;

static const variant variants[] = {
    {"local", "adam", 16, 4096, 90, "float32"},
    {"local", "sgd", 16, 64, 90, "float32"},
    {"poe", "adam", 16, 4096, 90, "float32"},
    {"local", "adam", 600, 4096, 40, "float32"}, /* so wide that no gradient is stored */
    {"local", "sgd", 16, 4096, 90, "bfloat16"},
    {"local", "adam", 600, 4096, 40, "bfloat16"},
};

static dum_head *make_head(dum_context *context, variant v)
{
    dum_head *head;
    ck_ok(dum_head_create(context, &head));
    ck_ok(dum_head_set_text(head, "objective", v.objective));
    ck_ok(dum_head_set_text(head, "optimizer", v.optimizer));
    ck_ok(dum_head_set_text(head, "train_precision", v.precision));
    ck_ok(dum_head_set_number(head, "width", v.width));
    ck_ok(dum_head_set_number(head, "reservoir", v.reservoir));
    ck_ok(dum_head_set_number(head, "steps", v.steps));
    ck_ok(dum_head_set_number(head, "batch", v.width > 100 ? 16 : 64));
    return head;
}

/* The whole model file. */
typedef struct {
    unsigned char *bytes;
    size_t size;
} model_bytes;

static model_bytes bytes_of(const dum_head *head)
{
    model_bytes m = {NULL, 0};
    ck_ok(dum_head_save_memory(head, NULL, 0, &m.size));
    m.bytes = malloc(m.size);
    ck_ok(dum_head_save_memory(head, m.bytes, m.size, &m.size));
    return m;
}

static model_bytes undisturbed(variant v)
{
    dum_context *context = open_context(1, NULL);
    dum_dataset *data = make_data(context, ROWS, 0);
    dum_head *head = make_head(context, v);
    ck_ok(dum_head_fit(head, data, NULL));
    const model_bytes m = bytes_of(head);
    dum_head_destroy(head);
    dum_dataset_destroy(data);
    dum_context_destroy(context);
    return m;
}

typedef struct {
    int64_t stop_at;
    model_bytes last;
    int calls;
} keeper;

static int32_t stop(void *user, const dum_progress *progress)
{
    const int64_t at = ((keeper *)user)->stop_at;
    return at > 0 && progress->step == at;
}

static int32_t keep(void *user, const void *checkpoint, size_t size)
{
    keeper *k = user;
    k->last.bytes = realloc(k->last.bytes, size);
    memcpy(k->last.bytes, checkpoint, size);
    k->last.size = size;
    k->calls++;
    return 0;
}

START_TEST(stopped_fits_go_on)
{
    for (size_t i = 0; i < sizeof variants / sizeof variants[0]; i++) {
        const model_bytes expected = undisturbed(variants[i]);
        keeper k = {0};
        dum_fit_options options;
        DUM_INIT(options);
        options.progress = stop;
        options.progress_user = &k;
        options.checkpoint = keep;
        options.checkpoint_user = &k;
        options.checkpoint_epochs = 3;
        const int64_t stops[] = {1, 7, 8, 31, 0};
        for (size_t s = 0; s < sizeof stops / sizeof stops[0]; s++) {
            dum_context *context = open_context(1 + (int32_t)(s % 3), NULL);
            dum_dataset *data = make_data(context, ROWS, 0);
            dum_head *head = make_head(context, variants[i]);
            model_bytes from = k.last;
            if (from.size > 0) {
                from.bytes = malloc(from.size);
                memcpy(from.bytes, k.last.bytes, from.size);
            }
            options.resume_from = from.bytes;
            options.resume_size = from.size;
            k.stop_at = stops[s];
            ck_assert_int_eq(dum_head_fit(head, data, &options), stops[s] > 0 ? DUM_CANCELLED : DUM_OK);
            if (stops[s] == 0) {
                const model_bytes found = bytes_of(head);
                ck_assert_uint_eq(found.size, expected.size);
                ck_assert_mem_eq(found.bytes, expected.bytes, found.size);
                free(found.bytes);
            }
            free(from.bytes);
            dum_head_destroy(head);
            dum_dataset_destroy(data);
            dum_context_destroy(context);
        }
        ck_assert_int_gt(k.calls, 4);
        free(k.last.bytes);
        free(expected.bytes);
    }
}
END_TEST

/* In a process of its own: fits with checkpoints, saves, ends. */
static void train_in_child(variant v, int32_t threads)
{
    dum_context *context = open_context(threads, NULL);
    dum_dataset *data = make_data(context, ROWS, 0);
    dum_head *head = make_head(context, v);
    dum_fit_options options;
    DUM_INIT(options);
    options.checkpoint_path = checkpoint_path;
    options.resume = 1;
    const bool done = dum_head_fit(head, data, &options) == DUM_OK && dum_head_save(head, model_path) == DUM_OK;
    _exit(done ? 0 : 1);
}

START_TEST(killed_fits_go_on)
{
    make_folder();
    variant v = variants[0];
    v.steps = 600;
    const model_bytes expected = undisturbed(v);
    dumi_rng rng;
    dumi_rng_init(&rng, (uint64_t)time(NULL), 99, 0);
    int killed = 0, status = 1;
    for (int attempt = 0; attempt < 1000 && (status != 0 || killed == 0); attempt++) {
        const pid_t child = fork();
        if (child == 0)
            train_in_child(v, 1 + attempt % 3);
        const struct timespec moment = {0, 1000000 + (long)(dumi_rng_uniform(&rng) * 4e6 * (1 + attempt / 10))};
        nanosleep(&moment, NULL);
        kill(child, SIGKILL);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_msg(status == 0 || WIFSIGNALED(status), "the child failed");
        killed += WIFSIGNALED(status);
    }
    ck_assert_int_eq(status, 0);
    dum_context *context = open_context(1, NULL);
    dum_head *head;
    ck_ok(dum_head_load(context, model_path, &head));
    const model_bytes found = bytes_of(head);
    ck_assert_uint_eq(found.size, expected.size);
    ck_assert_mem_eq(found.bytes, expected.bytes, found.size);
    fprintf(stderr, "# killed %d times\n", killed);
    free(found.bytes), free(expected.bytes);
    dum_head_destroy(head);
    dum_context_destroy(context);
    remove_folder();
}
END_TEST

static int32_t refuse(void *user, const void *checkpoint, size_t size)
{
    (void)user;
    (void)checkpoint;
    (void)size;
    return 1;
}

START_TEST(wrong_checkpoints_are_refused)
{
    make_folder();
    int lines = 0;
    dum_context *context = open_context(1, &lines);
    dum_dataset *data = make_data(context, ROWS, 0);
    dum_head *head = make_head(context, variants[0]);
    dum_fit_options options;
    DUM_INIT(options);
    options.resume = 1;
    ck_fails(dum_head_fit(head, data, &options), DUM_ERR_ARGUMENT, "checkpoint_path is NULL");
    options.checkpoint_path = checkpoint_path;
    options.checkpoint_epochs = -1;
    ck_fails(dum_head_fit(head, data, &options), DUM_ERR_ARGUMENT, "checkpoint_epochs is -1");
    options.checkpoint_epochs = 5;
    ck_ok(dum_head_fit(head, data, &options));
    ck_assert_int_eq(lines, 0);
    dum_model_info info;
    DUM_INIT(info);
    ck_ok(dum_model_inspect(context, checkpoint_path, &info));
    ck_assert_str_eq(info.kind, "checkpoint");
    /* Finished: nothing is left to do. */
    const model_bytes once = bytes_of(head);
    ck_ok(dum_head_fit(head, data, &options));
    ck_assert_int_eq(lines, 1);
    const model_bytes twice = bytes_of(head);
    ck_assert_mem_eq(once.bytes, twice.bytes, once.size);
    free(once.bytes), free(twice.bytes);

    dum_head *other = make_head(context, variants[0]);
    ck_ok(dum_head_set_number(other, "rate", 0.002));
    ck_fails(dum_head_fit(other, data, &options), DUM_ERR_ARGUMENT, "option rate");
    ck_assert_int_eq(dum_head_cols(other), 0);
    dum_head_destroy(other);
    other = make_head(context, variants[0]);
    dum_dataset *fewer = make_data(context, ROWS - 1, 0);
    ck_fails(dum_head_fit(other, fewer, &options), DUM_ERR_ARGUMENT, "299 x 6");
    dum_dataset_destroy(fewer);
    dum_dataset *altered = make_data(context, ROWS, 1);
    ck_fails(dum_head_fit(other, altered, &options), DUM_ERR_ARGUMENT, "not those");
    dum_dataset_destroy(altered);
    dum_dataset_destroy(data);
    data = make_data(context, ROWS, 0);

    options.checkpoint = refuse;
    options.resume = 0;
    ck_fails(dum_head_fit(other, data, &options), DUM_ERR_CALLBACK, "checkpoint callback");
    options.checkpoint = NULL;
    options.checkpoint_path = "/nonexistent/folder/c.dum"; /* training is not lost to a full disk */
    lines = 0;
    ck_ok(dum_head_fit(other, data, &options));
    ck_assert_int_gt(lines, 1);

    FILE *file = fopen(checkpoint_path, "r+b");
    fseek(file, -5, SEEK_END);
    fputc(0x55, file);
    fclose(file);
    options.checkpoint_path = checkpoint_path;
    options.resume = 1;
    dum_head *third = make_head(context, variants[0]);
    ck_fails(dum_head_fit(third, data, &options), DUM_ERR_CHECKSUM, "");
    ck_ok(dum_head_save(head, checkpoint_path));
    ck_fails(dum_head_fit(third, data, &options), DUM_ERR_FORMAT, "checkpoint");
    dum_head_destroy(third);
    dum_head_destroy(other);
    dum_head_destroy(head);
    dum_dataset_destroy(data);
    dum_context_destroy(context);
    remove_folder();
}
END_TEST

/* Each allocation of a fit with checkpoints, and of one that goes on from them, made to fail in turn. */
static dum_status fit_twice(allocation_counter *c, int64_t fail_at)
{
    *c = (allocation_counter){.left = -1};
    dum_context_options options;
    DUM_INIT(options);
    options.backend = "ref";
    options.threads = 1;
    options.alloc = counted_alloc;
    options.free = counted_free;
    options.alloc_user = c;
    dum_context *context;
    ck_ok(dum_context_create(&options, &context));
    dum_dataset *data = make_data(context, 40, 0);
    dum_head *head = make_head(context, (variant){"local", "adam", 4, 64, 2, "float32"});
    keeper k = {0};
    dum_fit_options fit;
    DUM_INIT(fit);
    fit.checkpoint = keep;
    fit.checkpoint_user = &k;
    c->made = 0;
    c->left = fail_at;
    dum_status status = dum_head_fit(head, data, &fit);
    if (status == DUM_OK) {
        fit.checkpoint = NULL;
        fit.resume_from = k.last.bytes;
        fit.resume_size = k.last.size;
        status = dum_head_fit(head, data, &fit);
    }
    free(k.last.bytes);
    dum_head_destroy(head);
    dum_dataset_destroy(data);
    dum_context_destroy(context);
    ck_assert_int_eq(c->live, 0);
    return status;
}

START_TEST(failing_allocations)
{
    allocation_counter c;
    ck_ok(fit_twice(&c, -1));
    const int64_t all = c.made;
    ck_assert_int_gt(all, 100);
    for (int64_t i = 0; i < all; i++)
        ck_assert_int_eq(fit_twice(&c, i), DUM_ERR_NOMEM);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resume");
    TCase *cases = tcase_create("resume");
    tcase_set_timeout(cases, 300);
    tcase_add_test(cases, stopped_fits_go_on);
    tcase_add_test(cases, killed_fits_go_on);
    tcase_add_test(cases, wrong_checkpoints_are_refused);
    tcase_add_test(cases, failing_allocations);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
