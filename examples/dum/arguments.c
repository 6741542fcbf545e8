/* SPDX-License-Identifier: MIT */
#include "tool.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void complain(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    fprintf(stderr, "%s: ", tool_name);
    vfprintf(stderr, format, values);
    fputc('\n', stderr);
    va_end(values);
}

static int usage(const char *format, const char *name)
{
    fprintf(stderr, "%s: ", tool_name);
    fprintf(stderr, format, name);
    fprintf(stderr, " (see %s --help)\n", tool_name);
    return TOOL_USAGE;
}

int bad_value(const char *name, const char *value, const char *expected)
{
    complain("%s: bad value \"%s\", expected %s (see %s --help)", name, value, expected, tool_name);
    return TOOL_USAGE;
}

static bool parse_double(const char *text, double *value)
{
    char *end;
    *value = strtod(text, &end);
    return *text != '\0' && *end == '\0' && *value >= 0 && *value < 1e300;
}

/* Where the option's text goes; NULL: there is no such option. */
static const char **text_of(const char *name, arguments *a)
{
    const struct {
        const char *name;
        const char **to;
    } texts[] = {{"--data", &a->data},
                 {"--model", &a->model},
                 {"--out", &a->out},
                 {"--scores", &a->scores},
                 {"--labels", &a->labels},
                 {"--reference", &a->reference},
                 {"--sample", &a->sample},
                 {"--pairs", &a->pairs},
                 {"--backend", &a->backend},
                 {"--scorer", &a->scorer},
                 {"--label-column", &a->label_column},
                 {"--checkpoint", &a->checkpoint},
                 {"--state", &a->state},
                 {"--svg", &a->svg},
                 {"--socket", &a->socket},
                 {"--metrics", &a->metrics},
                 {"--alarms", &a->alarms},
                 {"--format", &a->format},
                 {"--name", &a->name},
                 {"--seed", &a->seed},
                 {"--corruption", &a->corruption},
                 {"--rows", &a->rows},
                 {"--encoder", &a->encoder},
                 {"--kind", &a->kind},
                 {"--output", &a->output},
                 {"--train", &a->train},
                 {"--train-labels", &a->train_labels},
                 {"--test", &a->test},
                 {"--test-labels", &a->test_labels},
                 {"--holdout", &a->holdout}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (strcmp(name, texts[i].name) == 0)
            return texts[i].to;
    }
    return NULL;
}

static int store_number(const char *name, const char *value, arguments *a)
{
    const struct {
        const char *name, *expected;
        double least, most;
        int32_t *whole;
        double *real;
    } numbers[] = {
        {"--threads", "a whole number from 0 to 256", 0, 256, &a->threads, NULL},
        {"--bootstrap", "a whole number", 0, 1e9, &a->bootstrap, NULL},
        {"--checkpoint-epochs", "a whole number", 0, 1e9, &a->checkpoint_epochs, NULL},
        {"--top", "a whole number from 1 to 10000", 1, 10000, &a->top, NULL},
        {"--max-seconds", "0 or more", 0, 1e300, NULL, &a->max_seconds},
        {"--false-alarm-rate", "a number between 0 and 1", 1e-300, 1 - 1e-16, NULL, &a->false_alarm_rate},
        {"--severity", "a whole number from 1 to 5", 1, 5, &a->severity, NULL},
        {"--columns", "a whole number from 1 to 10000", 1, 10000, &a->columns, NULL},
        {"--scale", "a whole number from 1 to 64", 1, 64, &a->scale, NULL},
        {"--neighbours", "a whole number from 1 to 1000000", 1, 1e6, &a->neighbours, NULL},
        {"--streams", "a whole number from 1 to 1000000", 1, 1e6, &a->streams, NULL},
        {"--views", "a whole number from 2 to 10000", 2, 10000, &a->views, NULL},
        {"--row", "a whole number from 0 to 2147483647", 0, 2147483647, &a->row, NULL},
        {"--port", "a whole number from 0 to 65535", 0, 65535, &a->port, NULL},
        {"--interval", "a number of seconds from 0.01 to 86400", 0.01, 86400, NULL, &a->interval},
        {"--rearm", "a number of seconds from 0 to 1e9", 0, 1e9, NULL, &a->rearm}};
    const char *expected = "";
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        double number;
        if (strcmp(name, numbers[i].name) != 0)
            continue;
        expected = numbers[i].expected;
        if (!parse_double(value, &number) || number < numbers[i].least || number > numbers[i].most ||
            (numbers[i].whole != NULL && number > floor(number)))
            break;
        if (numbers[i].whole != NULL)
            *numbers[i].whole = (int32_t)number;
        else
            *numbers[i].real = number;
        return TOOL_OK;
    }
    return bad_value(name, value, expected);
}

static int store(const char *name, const char *value, arguments *a)
{
    if (strcmp(name, "--out") == 0 && a->out_count < MAX_FILES)
        a->outs[a->out_count++] = value;
    if (strcmp(name, "--delays") == 0) {
        if (a->delay_count == MAX_FILES)
            return usage("--delays %s: expected three files at most", value);
        a->delays[a->delay_count++] = value;
        return TOOL_OK;
    }
    const char **text = text_of(name, a);
    if (text != NULL) {
        if (*text != NULL && text != &a->out) /* --out: some commands write several files */
            return bad_value(name, value, "the option once");
        *text = value;
        return TOOL_OK;
    }
    if (strcmp(name, "--set") == 0) {
        if (a->setting_count == MAX_SETTINGS || strchr(value, '=') == NULL)
            return usage("--set %s: expected name=value", value);
        a->settings[a->setting_count++] = value;
        return TOOL_OK;
    }
    return store_number(name, value, a);
}

static bool store_flag(const char *name, arguments *a)
{
    if (strcmp(name, "--quiet") == 0)
        a->quiet = true;
    else if (strcmp(name, "--pvalue") == 0)
        a->pvalue = true;
    else if (strcmp(name, "--resume") == 0)
        a->resume = true;
    else if (strcmp(name, "--json") == 0)
        a->json = true;
    else if (strcmp(name, "--header") == 0)
        a->header = CSV_HEADER_YES;
    else if (strcmp(name, "--no-header") == 0)
        a->header = CSV_HEADER_NO;
    else
        return false;
    return true;
}

static bool is_accepted(const char *name, const char *const *accepted)
{
    for (; *accepted != NULL; accepted++)
        if (strcmp(name, *accepted) == 0)
            return true;
    return false;
}

bool is_help(const char *argument)
{
    return strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0;
}

int parse_arguments(int argc, char **argv, const char *const *accepted, int32_t most_files, arguments *out)
{
    memset(out, 0, sizeof *out);
    out->port = -1;
    out->rearm = -1;
    out->row = -1;
    for (int i = 0; i < argc; i++) {
        const char *name = argv[i];
        if (name[0] != '-' || name[1] == '\0') {
            if (out->file_count == most_files)
                return usage("unexpected argument \"%s\"", name);
            out->files[out->file_count++] = name;
            out->file = out->files[0];
            continue;
        }
        char before[32]; /* of --name=value, the name */
        const char *equals = strchr(name, '=');
        if (equals != NULL && (size_t)(equals - name) < sizeof before) {
            memcpy(before, name, (size_t)(equals - name));
            before[equals - name] = '\0';
            name = before;
        }
        if (!is_accepted(name, accepted))
            return usage("this command has no option %s", argv[i]);
        if (store_flag(name, out)) {
            if (equals != NULL)
                return usage("%s takes no value", name);
            continue;
        }
        if (equals == NULL && ++i == argc)
            return usage("%s needs a value", name);
        const int status = store(name, equals != NULL ? equals + 1 : argv[i], out);
        if (status != TOOL_OK)
            return status;
    }
    return TOOL_OK;
}

int require_argument(const char *value, const char *name)
{
    return value != NULL ? TOOL_OK : usage("%s is needed", name);
}

int parse_seed(const char *text, uint64_t *seed)
{
    *seed = 0;
    if (text == NULL)
        return TOOL_OK;
    char *end;
    errno = 0;
    *seed = strtoull(text, &end, 10);
    return errno == 0 && *text >= '0' && *text <= '9' && *end == '\0'
               ? TOOL_OK
               : bad_value("--seed", text, "a whole number from 0 to 18446744073709551615");
}

int open_context(const arguments *args, dum_context **out)
{
    dum_context_options options;
    DUM_INIT(options);
    options.backend = args->backend;
    options.threads = args->threads;
    return dum_context_create(&options, out) == DUM_OK ? TOOL_OK : fail_library("cannot start");
}
