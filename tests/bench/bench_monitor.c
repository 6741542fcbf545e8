/* SPDX-License-Identifier: MIT
 * Alarm rates and delays of the monitor by simulation: bench_monitor STREAMS ROWS REFERENCE WINDOW FALSE_ALARMS
 * [TEST [SCORES [THIN [SHIFT]]]]. Each stream has a reference of its own. After an alarm: reset. With SHIFT, the scores are shifted
 * by that many standard deviations after a quarter of the rows, and the delay of the first alarm is measured. */
#include "core/core.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char *const tests[] = {"t",     "welch",        "ks",         "mann-whitney",
                                    "cusum", "page-hinkley", "martingale", "pot"};
/* ar: autocorrelation, with the coefficient; twice: each row comes twice. */
static const char *const kinds[] = {"normal", "exponential", "lognormal", "rounded",
                                    "ar0.5",  "ar0.9",       "twice",     "bursts"};

enum { NORMAL, EXPONENTIAL, LOGNORMAL, ROUNDED, AR5, AR9, TWICE, BURSTS, KINDS };

typedef struct {
    int kind;
    dumi_rng rng;
    double before;
    int64_t row;
} source;

static double next(source *s)
{
    const double z = dumi_rng_normal(&s->rng);
    const double keep = s->kind == AR5 ? 0.5 : s->kind == AR9 ? 0.9 : 0;
    s->row++;
    switch (s->kind) {
    case EXPONENTIAL:
        return -log(1 - dumi_rng_uniform(&s->rng));
    case LOGNORMAL:
        return exp(z);
    case ROUNDED:
        return floor(z * 2);
    case AR5:
    case AR9:
        return s->before = keep * s->before + sqrt(1 - keep * keep) * z;
    case TWICE:
        return s->row % 2 ? (s->before = z) : s->before;
    case BURSTS: /* one row in 500 starts ten that are the same */
        if (s->before > 0)
            s->before -= 1;
        else if (dumi_rng_below(&s->rng, 500) == 0)
            s->before = 10;
        return s->before > 0 ? 1.5 : z;
    default:
        return z;
    }
}

static double deviation(int kind)
{
    return kind == LOGNORMAL ? sqrt((exp(1) - 1) * exp(1)) : kind == ROUNDED ? 2 : 1;
}

typedef struct {
    const char *test;
    int kind;
    double window, alarms, thin, shift;
    int64_t streams, rows, reference;
} plan;

static void need(dum_status status)
{
    if (status != DUM_OK) {
        fprintf(stderr, "%s\n", dum_error_message());
        exit(1);
    }
}

static dum_monitor *make(dum_context *context, const plan *p, source *s, int64_t stream, double *scores)
{
    dum_monitor *monitor;
    for (int64_t i = 0; i < p->reference; i++)
        scores[i] = next(s);
    need(dum_monitor_create(context, &monitor));
    need(dum_monitor_set_text(monitor, "test", p->test));
    need(dum_monitor_set_number(monitor, "window", p->window));
    need(dum_monitor_set_number(monitor, "false_alarms", p->alarms));
    need(dum_monitor_set_number(monitor, "thin", p->thin));
    need(dum_monitor_set_number(monitor, "seed", (double)stream));
    need(dum_monitor_fit_scores(monitor, scores, p->reference));
    return monitor;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void run(dum_context *context, const plan *p)
{
    double *scores = malloc((size_t)p->reference * sizeof *scores), sum = 0, squares = 0, seconds = 0;
    double *delays = malloc((size_t)p->streams * sizeof *delays);
    int64_t found = 0, early = 0;
    const int64_t change = p->shift > 0 ? p->rows / 4 : p->rows;
    for (int64_t stream = 0; stream < p->streams; stream++) {
        source s = {.kind = p->kind};
        dumi_rng_init(&s.rng, (uint64_t)p->kind, 77, (uint32_t)stream);
        dum_monitor *monitor = make(context, p, &s, stream, scores);
        double count = 0;
        const clock_t begin = clock();
        for (int64_t i = 0; i < p->rows; i++) {
            const double score = next(&s) + (i >= change ? p->shift * deviation(p->kind) : 0);
            int32_t alarm;
            need(dum_monitor_push_scores(monitor, &score, 1, &alarm));
            if (!alarm)
                continue;
            need(dum_monitor_reset(monitor));
            count++;
            if (i >= change) {
                delays[found++] = (double)(i - change + 1);
                break;
            }
            early++;
        }
        seconds += (double)(clock() - begin) / CLOCKS_PER_SEC;
        sum += count;
        squares += count * count;
        dum_monitor_destroy(monitor);
    }
    const double n = (double)p->streams, mean = sum / n, error = sqrt(fmax(squares / n - mean * mean, 0) / n);
    if (p->shift > 0) {
        qsort(delays, (size_t)found, sizeof *delays, compare);
        printf("%-12s %-11s shift %-4g found %lld of %lld; delay median %.0f, 90 %% %.0f; false alarms before "
               "%lld\n",
               p->test, kinds[p->kind], p->shift, (long long)found, (long long)p->streams,
               found ? delays[found / 2] : NAN, found ? delays[found * 9 / 10] : NAN, (long long)early);
    } else {
        printf(
            "%-12s %-11s wanted %-4g measured %8.3f +- %.3f (%.0f alarms, %g rows, thin %g, %.2f us a row)\n",
            p->test, kinds[p->kind], p->alarms, mean / (double)p->rows * 1e6,
            1.96 * error / (double)p->rows * 1e6, sum, n * (double)p->rows, p->thin,
            seconds / n / (double)p->rows * 1e6);
    }
    fflush(stdout);
    free(scores);
    free(delays);
}

int main(int argc, char **argv)
{
    if (argc < 6) {
        fprintf(stderr, "bench_monitor STREAMS ROWS REFERENCE WINDOW FALSE_ALARMS [TEST|all [SCORES|all [THIN "
                        "[SHIFT]]]]\n");
        return 2;
    }
    plan p = {.streams = atoll(argv[1]),
              .rows = atoll(argv[2]),
              .reference = atoll(argv[3]),
              .window = atof(argv[4]),
              .alarms = atof(argv[5]),
              .thin = argc > 8 ? atof(argv[8]) : 1,
              .shift = argc > 9 ? atof(argv[9]) : 0};
    dum_context_options options;
    DUM_INIT(options);
    options.threads = 1;
    dum_context *context;
    need(dum_context_create(&options, &context));
    for (int test = 0; test < (int)(sizeof tests / sizeof tests[0]); test++)
        for (int kind = 0; kind < KINDS; kind++) {
            if (argc > 6 && strcmp(argv[6], "all") != 0 && strcmp(argv[6], tests[test]) != 0)
                continue;
            if (argc > 7 && strcmp(argv[7], "all") != 0 && strcmp(argv[7], kinds[kind]) != 0)
                continue;
            p.test = tests[test];
            p.kind = kind;
            run(context, &p);
        }
    dum_context_destroy(context);
    return 0;
}
