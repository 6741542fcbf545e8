/* SPDX-License-Identifier: MIT
 * dum fit: train a scorer and save it. */
#define _POSIX_C_SOURCE 200809L
#include "tool.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t interrupted;

static void interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

typedef struct {
    bool bar, open; /* open: the bar's line has not ended */
    double shown;   /* seconds at which the bar was last drawn */
    double seconds;
} progress_state;

static int32_t show_progress(void *user, const dum_progress *p)
{
    progress_state *state = user;
    state->seconds = p->seconds;
    if (state->bar && (p->seconds - state->shown > 0.1 || p->step == p->steps)) {
        const int width = 30, done = (int)((double)width * (double)p->step / (double)p->steps);
        state->shown = p->seconds;
        fprintf(stderr, "\r[%.*s%*s] step %lld of %lld, loss %.4f, %.0f s left ", done,
                "##############################", width - done, "", (long long)p->step, (long long)p->steps,
                p->loss, p->seconds_left);
        state->open = p->step != p->steps;
        if (!state->open)
            fputc('\n', stderr);
        fflush(stderr);
    }
    return interrupted;
}

/* name=value: as text or number, as the option's type says. */
static int set_option(dum_scorer *scorer, const char *name, const char *value)
{
    const char *kind = dum_scorer_kind(scorer);
    dum_param_info info;
    DUM_INIT(info);
    for (int32_t i = 0; i < dum_scorer_param_count(kind); i++) {
        if (dum_scorer_param_get(kind, i, &info) != DUM_OK || strcmp(info.name, name) != 0)
            continue;
        if (info.type == DUM_PARAM_TEXT)
            return dum_scorer_set_text(scorer, name, value) == DUM_OK ? TOOL_OK : TOOL_USAGE;
        char *end;
        const double number = strtod(value, &end);
        if (*value == '\0' || *end != '\0')
            return fail("option %s is \"%s\", expected a number", name, value), TOOL_USAGE;
        return dum_scorer_set_number(scorer, name, number) == DUM_OK ? TOOL_OK : TOOL_USAGE;
    }
    /* Unknown: the library says what there is. */
    return dum_scorer_set_text(scorer, name, value) == DUM_OK ? TOOL_OK : TOOL_USAGE;
}

static int set_one(dum_scorer *scorer, const char *name, const char *value)
{
    const int status = set_option(scorer, name, value);
    if (status != TOOL_OK && dum_error_message()[0] != '\0')
        fail_library("--set");
    return status;
}

static int set_options(dum_scorer *scorer, const arguments *args)
{
    /* A preset sets others, so it comes first. */
    for (int pass = 0; pass < 2; pass++) {
        for (int32_t i = 0; i < args->setting_count; i++) {
            const char *equals = strchr(args->settings[i], '=');
            char name[64];
            snprintf(name, sizeof name, "%.*s", (int)(equals - args->settings[i]), args->settings[i]);
            if ((strcmp(name, "preset") == 0) != (pass == 0))
                continue;
            const int status = set_one(scorer, name, equals + 1);
            if (status != TOOL_OK)
                return status;
        }
    }
    int status = args->seed != NULL ? set_one(scorer, "seed", args->seed) : TOOL_OK;
    if (status == TOOL_OK && args->holdout != NULL)
        status = set_one(scorer, "holdout", args->holdout);
    return status;
}

/* Hours of training should not be lost to a mistyped path. */
static int check_model_path(const char *path)
{
    if (is_special_file(path))
        return fail("cannot write %s: it is not a regular file", path);
    const char *slash = strrchr(path, '/');
    const size_t length = slash == NULL ? 0 : (size_t)(slash - path) + 1;
    char *folder = malloc(length + 2);
    if (folder == NULL)
        return fail("out of memory");
    memcpy(folder, path, length);
    memcpy(folder + length, ".", 2);
    const bool writable = access(folder, W_OK | X_OK) == 0;
    free(folder);
    return writable ? TOOL_OK : fail("cannot write %s: %s", path, strerror(errno));
}

static int fit_and_save(const arguments *args, dum_scorer *scorer, const dum_dataset *data,
                        const dum_dataset *pairs)
{
    progress_state state = {.bar = !args->quiet && isatty(STDERR_FILENO)};
    dum_fit_options options;
    DUM_INIT(options);
    options.pairs = pairs;
    options.max_seconds = args->max_seconds;
    options.checkpoint_path = args->checkpoint;
    options.checkpoint_epochs = args->checkpoint_epochs;
    options.resume = args->resume;
    options.progress = show_progress;
    options.progress_user = &state;
    struct sigaction action = {.sa_handler = interrupt};
    sigaction(SIGINT, &action, NULL);
    const dum_status status = dum_scorer_fit(scorer, data, &options);
    if (state.open)
        fputc('\n', stderr);
    if (status != DUM_OK && status != DUM_CANCELLED)
        return fail_library(args->data);
    if (dum_scorer_save(scorer, args->model) != DUM_OK)
        return fail_library("cannot save");
    if (!args->quiet)
        fprintf(stderr, "%s: %lld rows, %d columns, scorer %s, %.1f s%s\n", args->model,
                (long long)dum_dataset_rows(data), dum_dataset_cols(data), dum_scorer_kind(scorer),
                state.seconds, status == DUM_CANCELLED && !interrupted ? ", stopped by --max-seconds" : "");
    if (status == DUM_CANCELLED && interrupted)
        return fail("interrupted: %s holds the model as far as it got", args->model);
    return TOOL_OK;
}

static void print_log(void *user, int32_t level, int32_t code, const char *line)
{
    (void)user;
    (void)code;
    if (level <= DUM_LOG_WARNING)
        fprintf(stderr, "dum: %s\n", line);
}

static int fit_with(const arguments *args, dum_context *context)
{
    loaded_data data = {0}, pairs = {0};
    dum_scorer *scorer = NULL;
    int status = TOOL_OK;
    if (dum_scorer_create(context, args->scorer != NULL ? args->scorer : "dum", &scorer) != DUM_OK) {
        fail_library("--scorer");
        return TOOL_USAGE;
    }
    /* The label is a column of a CSV file: pairs in .npy have none. */
    arguments unlabelled = *args;
    if (args->pairs != NULL && has_ending(args->pairs, ".npy"))
        unlabelled.label_column = NULL;
    status = set_options(scorer, args);
    if (status == TOOL_OK)
        status = check_model_path(args->model);
    if (status == TOOL_OK)
        status = load_data(context, args->data, args, &data);
    if (status == TOOL_OK && args->pairs != NULL)
        status = load_data(context, args->pairs, &unlabelled, &pairs);
    if (status == TOOL_OK)
        status = fit_and_save(args, scorer, data.dataset, pairs.dataset);
    free_data(&data);
    free_data(&pairs);
    dum_scorer_destroy(scorer);
    return status;
}

int command_fit(int argc, char **argv)
{
    static const char *const accepted[] = {"--data",       "--model",
                                           "--scorer",     "--set",
                                           "--seed",       "--threads",
                                           "--backend",    "--max-seconds",
                                           "--pairs",      "--holdout",
                                           "--quiet",      "--header",
                                           "--no-header",  "--label-column",
                                           "--checkpoint", "--checkpoint-epochs",
                                           "--resume",     NULL};
    arguments args;
    int status = parse_arguments(argc, argv, accepted, false, &args);
    if (status == TOOL_OK && (args.resume || args.checkpoint_epochs > 0))
        status = require_argument(args.checkpoint, "--checkpoint");
    if (status != TOOL_OK || (status = require_argument(args.data, "--data")) != TOOL_OK ||
        (status = require_argument(args.model, "--model")) != TOOL_OK)
        return status;
    dum_context_options options;
    DUM_INIT(options);
    options.backend = args.backend;
    options.threads = args.threads;
    options.log = args.quiet ? NULL : print_log;
    dum_context *context;
    if (dum_context_create(&options, &context) != DUM_OK)
        return fail_library("cannot start");
    status = fit_with(&args, context);
    dum_context_destroy(context);
    return status;
}
