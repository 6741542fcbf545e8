/* SPDX-License-Identifier: MIT
 * dum monitor: replays rows against a model and a reference; a JSON line for each alarm, and one for the end. */
#include "report.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK_ROWS = 1024 };

/* From --state where that file exists, else new. */
static int open_monitor(const arguments *args, const inputs *in, dum_monitor **out)
{
    if (args->state == NULL || access(args->state, F_OK) != 0)
        return fit_monitor(args, in, out);
    if (args->reference != NULL || args->setting_count > 0)
        return fail("%s exists: the monitor goes on from it, without --reference and --set", args->state);
    return dum_monitor_load(in->context, args->state, out) == DUM_OK ? TOOL_OK : fail_library(args->state);
}

/* One row after the other: an alarm is told where it begins. */
static int push_scores(dum_monitor *monitor, const double *scores, int64_t count, timeline *drawn)
{
    for (int64_t i = 0; i < count; i++) {
        int32_t alarm;
        if (dum_monitor_push_scores(monitor, &scores[i], 1, &alarm) != DUM_OK)
            return fail_library("rows");
        if (drawn != NULL && timeline_add(drawn, monitor, scores[i], alarm != 0) != TOOL_OK)
            return TOOL_FAILED;
        if (!alarm)
            continue;
        if (print_monitor_event(monitor, "alarm", NULL) != TOOL_OK)
            return TOOL_FAILED;
        if (dum_monitor_reset(monitor) != DUM_OK)
            return fail_library("monitor");
    }
    return TOOL_OK;
}

/* As the library does where it is given the dataset, and not its rows. */
static int check_names(const arguments *args, const inputs *in)
{
    for (int32_t j = 0; j < dum_dataset_cols(in->data.dataset); j++) {
        const char *name = dum_dataset_feature_name(in->data.dataset, j);
        const char *known = dum_scorer_feature_name(in->scorer, j);
        if (name != NULL && known != NULL && strcmp(name, known) != 0)
            return fail("%s: column %d is named \"%.60s\", the scorer was fitted with \"%.60s\" there",
                        args->data, j, name, known);
    }
    return TOOL_OK;
}

static int replay(const inputs *in, dum_monitor *monitor, timeline *drawn)
{
    const int64_t rows = dum_dataset_rows(in->data.dataset);
    const int32_t cols = dum_dataset_cols(in->data.dataset);
    double scores[CHUNK_ROWS];
    /* No rows: is the scorer the monitor's? */
    if (dum_monitor_push_rows(monitor, in->scorer, NULL, 0, cols, 0, NULL) != DUM_OK)
        return fail_library("rows");
    float *chunk = malloc((size_t)CHUNK_ROWS * (size_t)cols * sizeof *chunk);
    int status = chunk != NULL ? TOOL_OK : fail("out of memory");
    for (int64_t first = 0; first < rows && status == TOOL_OK; first += CHUNK_ROWS) {
        const int64_t count = rows - first < CHUNK_ROWS ? rows - first : CHUNK_ROWS;
        if (dum_dataset_read(in->data.dataset, first, count, chunk) != DUM_OK ||
            score_chunk(in->scorer, chunk, count, cols, scores) != DUM_OK)
            status = fail_library("rows");
        else
            status = push_scores(monitor, scores, count, drawn);
    }
    free(chunk);
    return status;
}

static int replay_and_draw(const arguments *args, const inputs *in, dum_monitor *monitor)
{
    if (args->svg == NULL)
        return replay(in, monitor, NULL);
    timeline *drawn = calloc(1, sizeof *drawn);
    if (drawn == NULL)
        return fail("out of memory");
    drawn->rows = dum_dataset_rows(in->data.dataset);
    int status = replay(in, monitor, drawn);
    if (status == TOOL_OK)
        status = write_output(args->svg, put_timeline, drawn);
    free(drawn);
    return status;
}

int command_monitor(int argc, char **argv)
{
    static const char *const accepted[] = {
        "--data",   "--model",     "--reference",    "--state", "--set", "--threads", "--backend",
        "--header", "--no-header", "--label-column", "--quiet", "--svg", NULL};
    arguments args;
    int status = parse_arguments(argc, argv, accepted, 0, &args);
    if (status != TOOL_OK)
        return status;
    inputs in;
    dum_monitor *monitor = NULL;
    status = open_inputs(&args, &in);
    if (status == TOOL_OK)
        status = check_names(&args, &in);
    if (status == TOOL_OK)
        status = open_monitor(&args, &in, &monitor);
    if (status == TOOL_OK)
        status = replay_and_draw(&args, &in, monitor);
    if (status == TOOL_OK)
        status = print_monitor_event(monitor, "end", NULL);
    if (status == TOOL_OK && args.state != NULL && dum_monitor_save(monitor, args.state) != DUM_OK)
        status = fail_library(args.state);
    dum_monitor_destroy(monitor);
    close_inputs(&in);
    return finish_output(status);
}
