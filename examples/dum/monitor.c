/* SPDX-License-Identifier: MIT
 * dum monitor: replays rows against a model and a reference; a JSON line for each alarm, and one for the end. */
#include "tool.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK_ROWS = 1024 };

static void print_count(const char *name, int64_t value)
{
    printf("\"%s\": %lld, ", name, (long long)value);
}

void print_monitor_state(const dum_monitor_state *s)
{
    print_count("rows", s->rows);
    print_count("bad_rows", s->bad_rows);
    print_count("used_rows", s->used_rows);
    print_count("repeats", s->repeats);
    print_count("alarms", s->alarms);
    print_count("alarm_row", s->alarm_row);
    print_count("alarm", s->alarm);
    print_number("statistic", s->statistic, false);
    print_number("threshold", s->threshold, false);
    print_count("reference_rows", s->reference_rows);
    print_number("reference_mean", s->reference_mean, false);
    print_number("reference_sd", s->reference_sd, false);
    print_count("window_rows", s->window_rows);
    print_number("mean", s->mean, false);
    print_number("quantile_05", s->quantile_05, false);
    print_number("median", s->median, false);
    print_number("quantile_95", s->quantile_95, false);
    print_number("t", s->t, false);
    print_number("log10_p", s->log10_p, false);
    print_number("cohens_d", s->cohens_d, false);
    print_number("auroc", s->auroc, true);
}

static int print_event(const dum_monitor *monitor, const char *event)
{
    dum_monitor_state state;
    DUM_INIT(state);
    if (dum_monitor_read(monitor, &state) != DUM_OK)
        return fail_library("monitor");
    printf("{");
    print_text("event", event, false);
    print_monitor_state(&state);
    printf("}\n");
    return TOOL_OK;
}

/* --set name=value; a value that is no number is a text. */
static int set_option(dum_monitor *monitor, const char *setting)
{
    char name[64];
    const char *value = strchr(setting, '=') + 1;
    const size_t length = (size_t)(value - setting) - 1;
    if (length >= sizeof name)
        return fail("--set %s: the name is too long", setting);
    memcpy(name, setting, length);
    name[length] = '\0';
    char *end;
    const double number = strtod(value, &end);
    const bool is_number = *value != '\0' && *end == '\0';
    const dum_status status =
        is_number ? dum_monitor_set_number(monitor, name, number) : dum_monitor_set_text(monitor, name, value);
    return status == DUM_OK ? TOOL_OK : fail_library("--set");
}

static int fit_monitor(const arguments *args, const inputs *in, dum_monitor **out)
{
    loaded_data reference;
    int status = require_argument(args->reference, "--reference");
    if (status != TOOL_OK)
        return status;
    status = load_data(in->context, args->reference, args, &reference);
    if (status == TOOL_OK && dum_monitor_create(in->context, out) != DUM_OK)
        status = fail_library("monitor");
    for (int32_t i = 0; i < args->setting_count && status == TOOL_OK; i++)
        status = set_option(*out, args->settings[i]);
    if (status == TOOL_OK && dum_monitor_fit(*out, in->scorer, reference.dataset) != DUM_OK)
        status = fail_library(args->reference);
    free_data(&reference);
    return status;
}

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
static int push_rows(const inputs *in, dum_monitor *monitor, const float *rows, int64_t count, int32_t cols)
{
    for (int64_t i = 0; i < count; i++) {
        int32_t alarm;
        if (dum_monitor_push_rows(monitor, in->scorer, rows + i * cols, 1, cols, 0, &alarm) != DUM_OK)
            return fail_library("rows");
        if (!alarm)
            continue;
        if (print_event(monitor, "alarm") != TOOL_OK)
            return TOOL_FAILED;
        if (dum_monitor_reset(monitor) != DUM_OK)
            return fail_library("monitor");
    }
    return TOOL_OK;
}

static int replay(const inputs *in, dum_monitor *monitor)
{
    const int64_t rows = dum_dataset_rows(in->data.dataset);
    const int32_t cols = dum_dataset_cols(in->data.dataset);
    float *chunk = malloc((size_t)CHUNK_ROWS * (size_t)cols * sizeof *chunk);
    int status = chunk != NULL ? TOOL_OK : fail("out of memory");
    for (int64_t first = 0; first < rows && status == TOOL_OK; first += CHUNK_ROWS) {
        const int64_t count = rows - first < CHUNK_ROWS ? rows - first : CHUNK_ROWS;
        if (dum_dataset_read(in->data.dataset, first, count, chunk) != DUM_OK)
            status = fail_library("rows");
        else
            status = push_rows(in, monitor, chunk, count, cols);
    }
    free(chunk);
    return status;
}

int command_monitor(int argc, char **argv)
{
    static const char *const accepted[] = {"--data",      "--model",        "--reference", "--state",
                                           "--set",       "--threads",      "--backend",   "--header",
                                           "--no-header", "--label-column", "--quiet",     NULL};
    arguments args;
    int status = parse_arguments(argc, argv, accepted, false, &args);
    if (status != TOOL_OK)
        return status;
    inputs in;
    dum_monitor *monitor = NULL;
    status = open_inputs(&args, &in);
    if (status == TOOL_OK)
        status = open_monitor(&args, &in, &monitor);
    if (status == TOOL_OK)
        status = replay(&in, monitor);
    if (status == TOOL_OK)
        status = print_event(monitor, "end");
    if (status == TOOL_OK && args.state != NULL && dum_monitor_save(monitor, args.state) != DUM_OK)
        status = fail_library(args.state);
    dum_monitor_destroy(monitor);
    close_inputs(&in);
    return finish_output(status);
}
