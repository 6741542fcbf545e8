/* SPDX-License-Identifier: MIT
 * The head against the bounds of this machine: arithmetic at the rate of the micro-kernel in cache,
 * bytes at the rate of reading memory. Prints ratios; the last line is JSON. docs/speed.md explains. */
#include "bench.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

enum { COLS = 64, BATCH = 256, ROWS = 4096, WIDE = 4096 };

static dum_head *make_head(dum_context *context, int32_t width, const char *objective, int64_t steps)
{
    dum_head *head;
    bench_check(dum_head_create(context, &head));
    bench_check(dum_head_set_text(head, "objective", objective));
    if (width > 0) {
        bench_check(dum_head_set_number(head, "width", width));
        bench_check(dum_head_set_text(head, "covariance", "diagonal"));
    }
    bench_check(dum_head_set_number(head, "steps", (double)steps));
    return head;
}

static double weights_of(int32_t width)
{
    return 2.0 * COLS * width + 2.0 * width * width;
}

/* Forward, gradient by the weights, gradient by the inputs of all layers but the first. */
static double step_operations(void)
{
    return 2.0 * BATCH * (3 * weights_of(WIDE) - COLS * WIDE);
}

/* Times between the ends of steps, and their shares of the bound: the peak is measured between them. */
enum { STEPS = 12 };

typedef struct {
    dum_context *context;
    double last, times[STEPS], ratios[STEPS];
    int count;
} step_times;

static int32_t on_step(void *user, const dum_progress *progress)
{
    step_times *t = user;
    if (progress->step == 0) /* still preparing */
        return 0;
    const double now = bench_now();
    if (t->last > 0 && t->count < STEPS) {
        t->times[t->count] = now - t->last;
        t->ratios[t->count++] = step_operations() / bench_gemm_peak(t->context, 4) / (now - t->last);
    }
    t->last = bench_now();
    return 0;
}

static dum_dataset *make_data(dum_context *context, const float *rows)
{
    dum_dataset *data;
    bench_check(dum_dataset_from_memory(context, rows, ROWS, COLS, 0, &data));
    return data;
}

static step_times wide_step(const float *rows, int32_t threads, const char *objective, const char *precision)
{
    dum_context *context = bench_context(threads);
    dum_dataset *data = make_data(context, rows);
    dum_head *head = make_head(context, WIDE, objective, STEPS);
    bench_check(dum_head_set_text(head, "train_precision", precision));
    step_times times = {.context = context};
    dum_fit_options options;
    DUM_INIT(options);
    options.progress = on_step;
    options.progress_user = &times;
    bench_check(dum_head_fit(head, data, &options));
    dum_head_destroy(head);
    dum_dataset_destroy(data);
    dum_context_destroy(context);
    return times;
}

static long peak_kilobytes(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    long kilobytes = 0;
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "VmHWM: %ld", &kilobytes) == 1)
            break;
    if (file != NULL)
        fclose(file);
    return kilobytes;
}

/* Peak memory of training in a process of its own, over the weights and both moments. */
static double rss_ratio(const float *rows)
{
    int ends[2];
    if (pipe(ends) != 0)
        exit(1);
    const pid_t child = fork();
    if (child == 0) {
        FILE *reset = fopen("/proc/self/clear_refs", "w");
        if (reset != NULL) {
            fputs("5", reset);
            fclose(reset);
        }
        const long before = peak_kilobytes();
        dum_context *context = bench_context(1);
        dum_dataset *data = make_data(context, rows);
        dum_head *head = make_head(context, WIDE, "local", 3);
        bench_check(dum_head_fit(head, data, NULL));
        const double ratio = (double)(peak_kilobytes() - before) * 1024 / (3 * 4 * weights_of(WIDE));
        if (write(ends[1], &ratio, sizeof ratio) != sizeof ratio)
            _exit(1);
        _exit(0);
    }
    double ratio = 0;
    close(ends[1]);
    if (read(ends[0], &ratio, sizeof ratio) != sizeof ratio)
        exit(1);
    close(ends[0]);
    waitpid(child, NULL, 0);
    return ratio;
}

typedef struct {
    double bulk, row; /* share of the peak; time over that of reading the weights */
} score_ratios;

/* Both of the bound in float32. */
static score_ratios wide_scores(const float *rows, const float *memory, const char *precision)
{
    enum { TRIALS = 9 };
    dum_context *context = bench_context(1);
    dum_dataset *data = make_data(context, rows);
    dum_head *head = make_head(context, WIDE, "local", 1);
    bench_check(dum_head_set_text(head, "precision", precision));
    bench_check(dum_head_fit(head, data, NULL));
    float *s = malloc((size_t)ROWS * COLS * sizeof *s);
    double bulk[TRIALS], single[TRIALS];
    for (int i = 0; i < TRIALS; i++) {
        double begin = bench_now();
        bench_check(dum_head_log_variance(head, rows, ROWS, COLS, 0, s));
        bulk[i] = 2.0 * ROWS * weights_of(WIDE) / (bench_now() - begin) / bench_gemm_peak(context, 4);
        const double rate = bench_bandwidth(memory); /* and the weights are in no cache */
        begin = bench_now();
        bench_check(dum_head_log_variance(head, rows + i * COLS, 1, COLS, 0, s));
        single[i] = (bench_now() - begin) * rate / (4 * weights_of(WIDE));
    }
    free(s);
    dum_head_destroy(head);
    dum_dataset_destroy(data);
    dum_context_destroy(context);
    return (score_ratios){bench_median(bulk, TRIALS), bench_median(single, TRIALS)};
}

enum { SINGLES = 20000 };

typedef struct {
    const dum_scorer *scorer;
    const float *rows;
} one_by_one;

static void *score_one_by_one(void *argument)
{
    const one_by_one *o = argument;
    for (int i = 0; i < SINGLES; i++) {
        double score;
        bench_check(dum_scorer_score(o->scorer, o->rows + i % ROWS * COLS, 1, COLS, 0, &score));
    }
    return NULL;
}

/* Rows a second of all threads together. */
static double rows_per_second(const dum_scorer *scorer, const float *rows, int threads)
{
    pthread_t started[8];
    one_by_one o = {scorer, rows};
    double best = 0;
    for (int trial = 0; trial < 3; trial++) {
        const double begin = bench_now();
        for (int i = 0; i < threads; i++)
            if (pthread_create(&started[i], NULL, score_one_by_one, &o) != 0)
                exit(1);
        for (int i = 0; i < threads; i++)
            pthread_join(started[i], NULL);
        const double rate = (double)threads * SINGLES / (bench_now() - begin);
        best = rate > best ? rate : best;
    }
    return best;
}

static dum_scorer *default_scorer(dum_context *context, const float *rows)
{
    dum_dataset *data = make_data(context, rows);
    dum_scorer *scorer;
    bench_check(dum_scorer_create(context, "dum", &scorer));
    bench_check(dum_scorer_set_number(scorer, "steps", 50));
    bench_check(dum_scorer_fit(scorer, data, NULL));
    dum_dataset_destroy(data);
    return scorer;
}

/* Times of one thread for peers.py: the ratios of other programs are to them. */
static int print_seconds(const float *rows)
{
    step_times steps = wide_step(rows, 1, "local", "float32");
    dum_context *context = bench_context(1);
    dum_dataset *data = make_data(context, rows);
    dum_head *head = make_head(context, WIDE, "local", 1);
    bench_check(dum_head_fit(head, data, NULL));
    float *s = malloc((size_t)ROWS * COLS * sizeof *s);
    double bulk[3], row[15];
    for (int i = 0; i < 3; i++) {
        const double begin = bench_now();
        bench_check(dum_head_log_variance(head, rows, ROWS, COLS, 0, s));
        bulk[i] = bench_now() - begin;
    }
    for (int i = 0; i < 15; i++) {
        const double begin = bench_now();
        bench_check(dum_head_log_variance(head, rows, 1, COLS, 0, s));
        row[i] = bench_now() - begin;
    }
    dum_scorer *scorer = default_scorer(context, rows);
    const double small = 1 / rows_per_second(scorer, rows, 1);
    dum_scorer_destroy(scorer);
    free(s);
    dum_head_destroy(head);
    dum_dataset_destroy(data);
    dum_context_destroy(context);
    printf("{\"step\": %.9f, \"bulk\": %.9f, \"row\": %.9f, \"small\": %.9f}\n",
           bench_median(steps.times, steps.count), bench_median(bulk, 3), bench_median(row, 15), small);
    return 0;
}

int main(int argc, char **argv)
{
    float *rows = bench_floats((size_t)ROWS * COLS);
    if (argc > 1 && strcmp(argv[1], "--seconds") == 0)
        return print_seconds(rows);
    const double rss = rss_ratio(rows);
    dum_context *context = bench_context(1);
    float *memory = bench_floats(BENCH_MEMORY);
    const double peak = bench_gemm_peak(context, 50), bandwidth = bench_bandwidth(memory);
    printf("bounds, one thread: %.1f GFLOP/s in the micro-kernel, %.1f GB/s from memory\n", peak / 1e9,
           bandwidth / 1e9);

    step_times one = wide_step(rows, 1, "local", "float32"), poe = wide_step(rows, 1, "poe", "float32");
    step_times two = wide_step(rows, 2, "local", "float32"), half = wide_step(rows, 1, "local", "bfloat16");
    const double step_ratio = bench_median(one.ratios, one.count);
    const double speedup = bench_median(one.times, one.count) / bench_median(two.times, two.count);
    printf("step, 64 and 3 x 4096, batch 256: %.3f of the bound (objective poe %.3f); two threads %.2f times\n",
           step_ratio, bench_median(poe.ratios, poe.count), speedup);
    const double half_ratio = bench_median(half.ratios, half.count);
    printf("the same, products in bfloat16: %.3f of the bound in float32\n", half_ratio);
    printf("peak memory of training: %.2f of weights and moments\n", rss);

    static const char *const precisions[] = {"float32", "bfloat16", "int8"};
    score_ratios wide[3];
    for (int i = 0; i < 3; i++) {
        wide[i] = wide_scores(rows, memory, precisions[i]);
        printf("bulk scores, %s: %.3f of the bound in float32; one row: %.2f times the time to read the "
               "weights in "
               "float32\n",
               precisions[i], wide[i].bulk, wide[i].row);
    }

    dum_scorer *scorer = default_scorer(context, rows);
    const double single = rows_per_second(scorer, rows, 1), eight = rows_per_second(scorer, rows, 8);
    printf("default head, one row at a time: %.0f rows a second from one thread, %.0f from eight together\n",
           single, eight);
    dum_scorer_destroy(scorer);
    dum_context_destroy(context);
    free(rows);
    free(memory);

    printf("{\"gemm_gflops\": %.1f, \"step_ratio\": %.3f, \"thread_speedup\": %.2f, \"score_ratio\": %.3f, "
           "\"latency_ratio\": %.2f, \"rows_per_s_default_head\": %.0f, \"rss_ratio\": %.2f, "
           "\"step_ratio_bfloat16\": %.3f, \"score_ratio_bfloat16\": %.3f, \"score_ratio_int8\": %.3f}\n",
           peak / 1e9, step_ratio, speedup, wide[0].bulk, wide[0].row, single, rss, half_ratio, wide[1].bulk,
           wide[2].bulk);
    return 0;
}
