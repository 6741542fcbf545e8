/* SPDX-License-Identifier: MIT
 * What is common to those who run a monitor. */
#include "tool.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TOP_ROWS = 5 };

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

int print_monitor_event(const dum_monitor *monitor, const char *event, const char *time)
{
    dum_monitor_state state;
    DUM_INIT(state);
    int64_t rows[TOP_ROWS], count;
    double scores[TOP_ROWS];
    if (dum_monitor_read(monitor, &state) != DUM_OK ||
        dum_monitor_read_top(monitor, TOP_ROWS, rows, scores, &count) != DUM_OK)
        return fail_library("monitor");
    printf("{");
    print_text("event", event, false);
    if (time != NULL)
        print_text("time", time, false);
    print_monitor_state(&state);
    printf(", \"top\": [");
    for (int64_t i = 0; i < count; i++) {
        printf("%s{\"row\": %lld, ", i > 0 ? ", " : "", (long long)rows[i]);
        print_number("score", scores[i], true);
        printf("}");
    }
    printf("]}\n");
    return TOOL_OK;
}

/* --set name=value; a value that is no number is a text. */
static int set_option(dum_monitor *monitor, const char *setting)
{
    char name[64];
    const char *value = strchr(setting, '=') + 1;
    const size_t length = (size_t)(value - setting) - 1;
    if (length >= sizeof name)
        return fail("--set %s: the name is too long", setting), TOOL_USAGE;
    memcpy(name, setting, length);
    name[length] = '\0';
    char *end;
    const double number = strtod(value, &end);
    const bool is_number = *value != '\0' && *end == '\0';
    const dum_status status =
        is_number ? dum_monitor_set_number(monitor, name, number) : dum_monitor_set_text(monitor, name, value);
    if (status == DUM_OK)
        return TOOL_OK;
    fail_library("--set");
    return TOOL_USAGE;
}

int create_monitor(const arguments *args, dum_context *context, dum_monitor **out)
{
    int status = dum_monitor_create(context, out) == DUM_OK ? TOOL_OK : fail_library("monitor");
    for (int32_t i = 0; i < args->setting_count && status == TOOL_OK; i++)
        status = set_option(*out, args->settings[i]);
    return status;
}

int fit_monitor(const arguments *args, const inputs *in, dum_monitor **out)
{
    loaded_data reference;
    int status = require_argument(args->reference, "--reference");
    if (status != TOOL_OK)
        return status;
    status = load_data(in->context, args->reference, args, &reference);
    if (status == TOOL_OK)
        status = create_monitor(args, in->context, out);
    if (status == TOOL_OK && dum_monitor_fit(*out, in->scorer, reference.dataset) != DUM_OK)
        status = fail_library(args->reference);
    free_data(&reference);
    return status;
}

static bool same_option(const dum_monitor *a, const dum_monitor *b, const dum_param_info *info)
{
    const char *text_a, *text_b;
    double number_a, number_b;
    if (info->type == DUM_PARAM_TEXT)
        return dum_monitor_get_text(a, info->name, &text_a) == DUM_OK &&
               dum_monitor_get_text(b, info->name, &text_b) == DUM_OK && strcmp(text_a, text_b) == 0;
    return dum_monitor_get_number(a, info->name, &number_a) == DUM_OK &&
           dum_monitor_get_number(b, info->name, &number_b) == DUM_OK && !(number_a < number_b) &&
           !(number_a > number_b);
}

int check_settings(const arguments *args, const inputs *in, const dum_monitor *monitor)
{
    dum_monitor *wanted = NULL;
    int status = create_monitor(args, in->context, &wanted);
    for (int32_t i = 0; i < dum_monitor_param_count() && status == TOOL_OK; i++) {
        dum_param_info info;
        DUM_INIT(info);
        if (dum_monitor_param_get(i, &info) != DUM_OK)
            status = fail_library("options");
        else if (!same_option(monitor, wanted, &info))
            status = fail("%s was made with another %s: remove it, or set the option as it was", args->state,
                          info.name);
    }
    dum_monitor_destroy(wanted);
    return status;
}

dum_status score_chunk(const dum_scorer *scorer, const float *rows, int64_t count, int32_t cols, double *scores)
{
    dum_status status = dum_scorer_score(scorer, rows, count, cols, 0, scores);
    if (status != DUM_ERR_NONFINITE)
        return status;
    for (int64_t i = 0; i < count; i++) {
        status = dum_scorer_score(scorer, rows + i * cols, 1, cols, 0, &scores[i]);
        if (status == DUM_ERR_NONFINITE)
            scores[i] = NAN;
        else if (status != DUM_OK)
            return status;
    }
    return DUM_OK;
}
