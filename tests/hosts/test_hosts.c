/* SPDX-License-Identifier: MIT
 * Hosts: many threads on one handle, many contexts, fork after use, small stacks, locales, and what must
 * stay as the host set it. */
#define _GNU_SOURCE
#include "../harness.h"

#include <fenv.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROWS = 1000, COLS = 16, THREADS = 8 };

static float rows[ROWS * COLS];
static double expected[ROWS];

static void make_rows(void)
{
    uint32_t state = 99;
    for (int i = 0; i < ROWS * COLS; i++) {
        state = state * 1664525u + 1013904223u;
        rows[i] = (float)(state >> 8) / 16777216.0f;
    }
}

static dum_context *new_context(int32_t threads)
{
    dum_context_options options;
    DUM_INIT(options);
    options.threads = threads;
    dum_context *context;
    ck_ok(dum_context_create(&options, &context));
    return context;
}

static dum_status fit(dum_context *context, dum_scorer **out)
{
    dum_dataset *data = NULL;
    *out = NULL;
    dum_status status = dum_dataset_from_memory(context, rows, ROWS, COLS, 0, &data);
    if (status == DUM_OK)
        status = dum_scorer_create(context, "dum", out);
    if (status == DUM_OK)
        status = dum_scorer_set_number(*out, "steps", 5);
    if (status == DUM_OK)
        status = dum_scorer_fit(*out, data, NULL);
    dum_dataset_destroy(data);
    return status;
}

/* A fitted scorer on two threads, and its scores in `expected`. */
static dum_scorer *prepare(dum_context *context)
{
    make_rows();
    dum_scorer *scorer;
    ck_ok(fit(context, &scorer));
    ck_ok(dum_scorer_score(scorer, rows, ROWS, COLS, 0, expected));
    return scorer;
}

/* Scores one by one and all at once; returns how many differ from `expected`, or -1. */
static intptr_t score_everything(const dum_scorer *scorer)
{
    double one, all[ROWS];
    intptr_t wrong = 0;
    for (int i = 0; i < ROWS; i++) {
        if (dum_scorer_score(scorer, rows + i * COLS, 1, COLS, 0, &one) != DUM_OK)
            return -1;
        wrong += one != expected[i];
    }
    if (dum_scorer_score(scorer, rows, ROWS, COLS, 0, all) != DUM_OK)
        return -1;
    return wrong + (memcmp(all, expected, sizeof all) != 0);
}

static void *score_thread(void *scorer)
{
    return (void *)score_everything(scorer);
}

START_TEST(threads_on_one_handle)
{
    dum_context *context = new_context(2);
    dum_scorer *scorer = prepare(context);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, score_thread, scorer), 0);
    for (int i = 0; i < THREADS; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        ck_assert_int_eq((intptr_t)wrong, 0);
    }
    dum_scorer_destroy(scorer);
    dum_context_destroy(context);
}
END_TEST

static void *whole_life(void *unused)
{
    (void)unused;
    dum_context_options options;
    DUM_INIT(options);
    options.threads = 2;
    dum_context *context;
    dum_scorer *scorer;
    if (dum_context_create(&options, &context) != DUM_OK)
        return (void *)(intptr_t)-1;
    intptr_t result = -1;
    if (fit(context, &scorer) == DUM_OK)
        result = score_everything(scorer);
    dum_scorer_destroy(scorer);
    dum_context_destroy(context);
    return (void *)result;
}

START_TEST(contexts_side_by_side)
{
    dum_context *context = new_context(2);
    dum_scorer_destroy(prepare(context));
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, whole_life, NULL), 0);
    for (int i = 0; i < THREADS; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        ck_assert_int_eq((intptr_t)wrong, 0);
    }
    dum_context_destroy(context);
}
END_TEST

/* One context, used by several threads at once that fit with it. */
static void *fit_with_shared(void *context)
{
    dum_scorer *scorer;
    const dum_status status = fit(context, &scorer);
    const intptr_t wrong = status == DUM_OK ? score_everything(scorer) : -1;
    dum_scorer_destroy(scorer);
    return (void *)wrong;
}

START_TEST(fits_on_one_context)
{
    dum_context *context = new_context(2);
    dum_scorer_destroy(prepare(context));
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, fit_with_shared, context), 0);
    for (int i = 0; i < 4; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        ck_assert_int_eq((intptr_t)wrong, 0);
    }
    dum_context_destroy(context);
}
END_TEST

/* After use in the parent, the child may use and destroy what it inherited; then the parent goes on. */
/* ThreadSanitizer takes a thread of the child for the parent's and ends the process. */
#ifdef __SANITIZE_THREAD__
enum { FORK_THREADS = 1 };
#else
enum { FORK_THREADS = 3 };
#endif

START_TEST(fork_after_use)
{
    dum_context *context = new_context(_i + 1);
    dum_scorer *scorer = prepare(context);
    for (int round = 0; round < 3; round++) {
        const pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
            alarm(60);
            dum_scorer *own = NULL;
            int bad =
                score_everything(scorer) != 0 || fit(context, &own) != DUM_OK || score_everything(own) != 0;
            dum_scorer_destroy(own);
            dum_scorer_destroy(scorer);
            dum_context_destroy(context);
            _exit(bad);
        }
        int status;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child ended with %d", status);
        ck_assert_int_eq(score_everything(scorer), 0);
    }
    dum_scorer_destroy(scorer);
    dum_context_destroy(context);
}
END_TEST

START_TEST(small_stack)
{
    dum_context *context = new_context(1);
    dum_scorer_destroy(prepare(context));
    dum_context_destroy(context);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    ck_assert_int_eq(pthread_attr_setstacksize(&attributes, 128 * 1024), 0);
    pthread_t thread;
    void *wrong;
    ck_assert_int_eq(pthread_create(&thread, &attributes, whole_life, NULL), 0);
    pthread_join(thread, &wrong);
    ck_assert_int_eq((intptr_t)wrong, 0);
    pthread_attr_destroy(&attributes);
}
END_TEST

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

START_TEST(idle_burns_nothing)
{
    dum_context *context = new_context(2);
    dum_scorer *scorer = prepare(context); /* the pool has started */
    struct timespec wait = {0, 300000000};
    const double before = cpu_seconds();
    nanosleep(&wait, NULL);
    ck_assert_double_lt(cpu_seconds() - before, 0.05);
    dum_scorer_destroy(scorer);
    dum_context_destroy(context);
}
END_TEST

static void on_signal(int number)
{
    (void)number;
}

/* No number with a comma. */
static void check_line(void *user, int32_t level, int32_t code, const char *line)
{
    int *lines = user;
    (void)level;
    ++*lines;
    for (const char *at = line; (at = strchr(at, ',')) != NULL; at++)
        ck_assert_msg(at[1] == ' ', "code %d: %s", (int)code, line);
}

START_TEST(host_settings_stay)
{
    struct sigaction action = {.sa_handler = on_signal}, found;
    sigaction(SIGUSR1, &action, NULL);
    fesetround(FE_UPWARD);
    fesetround(FE_TONEAREST);
    feclearexcept(FE_ALL_EXCEPT);
    const int mode = fegetround();
    const char *threads = getenv("BLIS_NUM_THREADS");
    const char *name = setlocale(LC_ALL, "de_DE.UTF-8");
    if (name == NULL) /* not installed: any other than C will do to see that it stays */
        name = setlocale(LC_ALL, "C.UTF-8");
    char before[64];
    snprintf(before, sizeof before, "%s", name != NULL ? name : "C");
    dum_context_options options;
    int lines = 0;
    DUM_INIT(options);
    options.threads = 2;
    options.log = check_line;
    options.log_user = &lines;
    dum_context *context;
    ck_ok(dum_context_create(&options, &context));
    dum_scorer *scorer = prepare(context);
    ck_assert_int_ge(lines, 2); /* which scaling and which anchor */
    size_t size;
    ck_ok(dum_scorer_save_memory(scorer, NULL, 0, &size));
    char *bytes = malloc(size + 1);
    ck_ok(dum_scorer_save_memory(scorer, bytes, size, &size));
    bytes[size] = '\0';
    /* numbers have points in any locale, and read back */
    ck_assert_ptr_nonnull(memmem(bytes, size, "\"0.001\"", 7));
    dum_scorer *loaded;
    ck_ok(dum_scorer_load_memory(context, bytes, size, &loaded));
    ck_assert_int_eq(score_everything(loaded), 0);
    free(bytes);
    dum_scorer_destroy(loaded);
    dum_scorer_destroy(scorer);
    dum_context_destroy(context);
    ck_assert_str_eq(setlocale(LC_ALL, NULL), before);
    ck_assert_int_eq(fegetround(), mode);
    ck_assert(getenv("BLIS_NUM_THREADS") == threads);
    sigaction(SIGUSR1, NULL, &found);
    ck_assert(found.sa_handler == on_signal);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hosts");
    TCase *cases = tcase_create("hosts");
    tcase_add_test(cases, threads_on_one_handle);
    tcase_add_test(cases, contexts_side_by_side);
    tcase_add_test(cases, fits_on_one_context);
    tcase_add_loop_test(cases, fork_after_use, 0, FORK_THREADS);
    tcase_add_test(cases, small_stack);
    tcase_add_test(cases, idle_burns_nothing);
    tcase_add_test(cases, host_settings_stay);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
