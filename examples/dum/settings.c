/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "settings.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- Options by name ---------------------------------------------------------------------- */

static int32_t param_count(settable to)
{
    return to.scorer != NULL ? dum_scorer_param_count(dum_scorer_kind(to.scorer)) : dum_encoder_param_count();
}

static dum_status param_get(settable to, int32_t index, dum_param_info *info)
{
    return to.scorer != NULL ? dum_scorer_param_get(dum_scorer_kind(to.scorer), index, info)
                             : dum_encoder_param_get(index, info);
}

static int set_text(settable to, const char *name, const char *value)
{
    const dum_status status = to.scorer != NULL ? dum_scorer_set_text(to.scorer, name, value)
                                                : dum_encoder_set_text(to.encoder, name, value);
    return status == DUM_OK ? TOOL_OK : TOOL_USAGE;
}

static int set_number(settable to, const char *name, double value)
{
    const dum_status status = to.scorer != NULL ? dum_scorer_set_number(to.scorer, name, value)
                                                : dum_encoder_set_number(to.encoder, name, value);
    return status == DUM_OK ? TOOL_OK : TOOL_USAGE;
}

static int set_option(settable to, const char *name, const char *value)
{
    dum_param_info info;
    DUM_INIT(info);
    for (int32_t i = 0; i < param_count(to); i++) {
        if (param_get(to, i, &info) != DUM_OK || strcmp(info.name, name) != 0)
            continue;
        if (info.type == DUM_PARAM_TEXT)
            return set_text(to, name, value);
        char *end;
        const double number = strtod(value, &end);
        if (*value == '\0' || *end != '\0')
            return fail("option %s is \"%s\", expected a number", name, value), TOOL_USAGE;
        return set_number(to, name, number);
    }
    /* Unknown: the library says what there is. */
    return set_text(to, name, value);
}

static int set_one(settable to, const char *argument, const char *name, const char *value)
{
    const int status = set_option(to, name, value);
    if (status != TOOL_OK && dum_error_message()[0] != '\0')
        fail_library(argument);
    return status;
}

int set_options(settable to, const arguments *args)
{
    /* A preset sets others, so it comes first. */
    for (int pass = 0; pass < 2; pass++) {
        for (int32_t i = 0; i < args->setting_count; i++) {
            const char *equals = strchr(args->settings[i], '=');
            char name[64];
            snprintf(name, sizeof name, "%.*s", (int)(equals - args->settings[i]), args->settings[i]);
            if ((strcmp(name, "preset") == 0) != (pass == 0))
                continue;
            const int status = set_one(to, "--set", name, equals + 1);
            if (status != TOOL_OK)
                return status;
        }
    }
    int status = args->seed != NULL ? set_one(to, "--seed", "seed", args->seed) : TOOL_OK;
    if (status == TOOL_OK && args->holdout != NULL)
        status = set_one(to, "--holdout", "holdout", args->holdout);
    return status;
}

bool is_set(const arguments *args, const char *name)
{
    const size_t length = strlen(name);
    for (int32_t i = 0; i < args->setting_count; i++)
        if (strncmp(args->settings[i], name, length) == 0 && args->settings[i][length] == '=')
            return true;
    return false;
}

/* ---- Training ----------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupted;

static void interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

static int32_t show_progress(void *user, const dum_progress *p)
{
    progress_state *state = user;
    if (state->bar && (p->seconds - state->shown > 0.1 || p->step == p->steps)) {
        const int width = 30, done = (int)((double)width * (double)p->step / (double)p->steps);
        state->shown = p->seconds;
        fprintf(stderr, "\r[%.*s%*s] step %lld of %lld", done, "##############################", width - done,
                "", (long long)p->step, (long long)p->steps);
        if (p->step > 0) /* before, there is neither */
            fprintf(stderr, ", loss %.4f, %.0f s left ", p->loss, p->seconds_left);
        state->open = p->step != p->steps;
        if (!state->open)
            fputc('\n', stderr);
        fflush(stderr);
    }
    return interrupted;
}

static double now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + 1e-9 * (double)at.tv_nsec;
}

static void print_log(void *user, int32_t level, int32_t code, const char *line)
{
    const arguments *args = user;
    (void)code;
    if (level <= (args->quiet ? DUM_LOG_ERROR : DUM_LOG_WARNING))
        fprintf(stderr, "dum: %s\n", line);
}

int open_training(const arguments *args, dum_context **out)
{
    dum_context_options options;
    DUM_INIT(options);
    options.backend = args->backend;
    options.threads = args->threads;
    options.log = print_log;
    options.log_user = (void *)args;
    return dum_context_create(&options, out) == DUM_OK ? TOOL_OK : fail_library("cannot start");
}

void prepare_fit(const arguments *args, progress_state *state, dum_fit_options *options)
{
    *state = (progress_state){.bar = !args->quiet && isatty(STDERR_FILENO), .begin = now()};
    DUM_INIT(*options);
    options->max_seconds = args->max_seconds;
    options->checkpoint_path = args->checkpoint;
    options->checkpoint_epochs = args->checkpoint_epochs;
    options->resume = args->resume;
    options->progress = show_progress;
    options->progress_user = state;
    struct sigaction action = {.sa_handler = interrupt};
    sigaction(SIGINT, &action, NULL);
}

bool end_fit(const progress_state *state, dum_status status)
{
    if (state->open)
        fputc('\n', stderr);
    return status == DUM_OK || status == DUM_CANCELLED;
}

int fail_fit(const arguments *args, const char *data, dum_status status)
{
    /* The rows are open by then: what cannot be read is the checkpoint. */
    const bool unread = status == DUM_ERR_FORMAT || status == DUM_ERR_VERSION || status == DUM_ERR_CHECKSUM;
    return fail_library(unread && args->resume ? args->checkpoint : data);
}

int report_fit(const arguments *args, const char *path, const dum_dataset *data, const char *what,
               const progress_state *state, dum_status status)
{
    if (!args->quiet)
        fprintf(stderr, "%s: %lld rows, %d columns, %s, %.1f s%s\n", path, (long long)dum_dataset_rows(data),
                dum_dataset_cols(data), what, now() - state->begin,
                status == DUM_CANCELLED && !interrupted ? ", stopped by --max-seconds" : "");
    if (status == DUM_CANCELLED && interrupted)
        return fail("interrupted: %s holds the model as far as it got", path);
    return TOOL_OK;
}

int check_model_path(const char *path)
{
    if (*path == '\0')
        return fail("the path of the model is empty");
    if (is_special_file(path))
        return fail("cannot write %s: it is not a regular file", path);
    char *target = follow_links(path);
    const char *slash = target != NULL ? strrchr(target, '/') : NULL;
    const size_t length = slash == NULL ? 0 : (size_t)(slash - target) + 1;
    char *folder = target != NULL ? malloc(length + 2) : NULL;
    if (folder != NULL) {
        memcpy(folder, target, length);
        memcpy(folder + length, ".", 2);
    }
    const bool writable = folder != NULL && access(folder, W_OK | X_OK) == 0;
    const int error = errno;
    free(folder);
    free(target);
    return writable ? TOOL_OK : fail("cannot write %s: %s", path, strerror(error));
}
