/* SPDX-License-Identifier: MIT
 * dum noise --delays: how soon does a monitor raise the alarm after images become corrupted? */
#define _POSIX_C_SOURCE 200809L
#include "noise.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

const char *const delay_tests[DELAY_TESTS] = {"mann-whitney", "cusum", "martingale"};

/* Vigna's splitmix64. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static double draw(const double *scores, int64_t count, uint64_t *state)
{
    return scores[(int64_t)(next_random(state) % (uint64_t)count)];
}

/* A monitor that knows the clean scores. */
static int create(const noise *n, int32_t test, uint64_t stream, dum_monitor **out)
{
    int status = create_monitor(n->args, n->model.context, out);
    if (status == TOOL_OK && (dum_monitor_set_text(*out, "test", delay_tests[test]) != DUM_OK ||
                              dum_monitor_set_number(*out, "seed", (double)(uint32_t)stream) != DUM_OK))
        status = fail_library("monitor");
    if (status == TOOL_OK && dum_monitor_fit_scores(*out, n->clean, n->a.rows) != DUM_OK)
        status = fail("a monitor by %s on the scores of %s: %s", delay_tests[test], n->args->files[1],
                      dum_error_message());
    return status;
}

/* *row: how many rows were pushed when the alarm came; -1: none came. */
static int push_until_alarm(dum_monitor *monitor, const double *scores, int64_t count, int64_t most,
                            uint64_t *state, int64_t *row)
{
    *row = -1;
    for (int64_t i = 0; i < most && *row < 0; i++) {
        const double score = draw(scores, count, state);
        int32_t alarm;
        if (dum_monitor_push_scores(monitor, &score, 1, &alarm) != DUM_OK)
            return fail_library("monitor");
        if (alarm)
            *row = i + 1;
    }
    return TOOL_OK;
}

static int run_stream(noise *n, int32_t test, const double *scores, int64_t count, uint64_t stream,
                      int64_t *found)
{
    uint64_t state = stream;
    dum_monitor *monitor = NULL;
    int status = create(n, test, stream, &monitor);
    for (int64_t left = DELAY_BEFORE, row; status == TOOL_OK && left > 0; left = row >= 0 ? left - row : 0) {
        status = push_until_alarm(monitor, n->clean, n->a.rows, left, &state, &row);
        if (status != TOOL_OK || row < 0)
            continue;
        n->false_alarms++;
        if (dum_monitor_reset(monitor) != DUM_OK)
            status = fail_library("monitor");
    }
    if (status == TOOL_OK)
        status = push_until_alarm(monitor, scores, count, DELAY_AFTER, &state, found);
    dum_monitor_destroy(monitor);
    return status;
}

static int compare_rows(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* What changes the stream has `count` scores. first: number of the first stream; each has its own random
 * numbers. */
static int measure_delay(noise *n, int32_t test, const double *scores, int64_t count, uint64_t first,
                         delay *out)
{
    const int32_t streams = n->args->streams;
    double *rows = malloc((size_t)streams * sizeof *rows);
    int status = rows != NULL ? TOOL_OK : fail("out of memory");
    out->found = 0;
    for (int32_t i = 0; i < streams && status == TOOL_OK; i++) {
        int64_t row = -1;
        status = run_stream(n, test, scores, count, first + (uint64_t)i, &row);
        rows[i] = row >= 0 ? (double)row : INFINITY;
        out->found += row >= 0;
    }
    if (status == TOOL_OK) {
        qsort(rows, (size_t)streams, sizeof *rows, compare_rows);
        out->median = rows[streams / 2];
        out->quantile_90 = rows[(int64_t)streams * 9 / 10];
    }
    free(rows);
    return status;
}

/* All tests of a cell, which are numbered on. */
static int measure_cell(noise *n, const double *scores, int64_t count, uint64_t seed, int32_t cell, delay *out)
{
    int status = TOOL_OK;
    for (int32_t test = 0; test < DELAY_TESTS && status == TOOL_OK; test++)
        status = measure_delay(n, test, scores, count,
                               seed + (uint64_t)(cell * DELAY_TESTS + test) * (uint64_t)n->args->streams,
                               &out[test]);
    return status;
}

int measure_delays(noise *n, uint64_t seed)
{
    const bool shown = !n->args->quiet && isatty(STDERR_FILENO);
    const int32_t cells = SEVERITIES * n->count;
    int status = measure_cell(n, n->second, n->b.rows, seed, cells, n->none_delays);
    for (int32_t cell = 0; cell < cells && status == TOOL_OK; cell++) {
        status = measure_cell(n, n->scores + cell * n->a.rows, n->a.rows, seed, cell,
                              n->rows[cell / SEVERITIES].delays[cell % SEVERITIES]);
        if (shown)
            fprintf(stderr, "\rdelays: %d of %d%s", cell + 1, cells, cell + 1 == cells ? "\n" : " ");
    }
    return status;
}
