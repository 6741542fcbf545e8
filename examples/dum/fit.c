/* SPDX-License-Identifier: MIT
 * dum fit: train a scorer and save it. */
#include "encoders.h"
#include "settings.h"

#include <stdlib.h>

static int fit_and_save(const arguments *args, dum_scorer *scorer, const dum_dataset *data,
                        const dum_dataset *pairs, const int32_t *labels)
{
    progress_state state;
    dum_fit_options options;
    prepare_fit(args, &state, &options);
    options.pairs = pairs;
    options.labels = labels;
    const dum_status status = dum_scorer_fit(scorer, data, &options);
    if (!end_fit(&state, status))
        return fail_fit(args, args->data, status);
    if (dum_scorer_cols(scorer) == 0)
        return fail("the fit was stopped before there was anything to save");
    if (dum_scorer_save(scorer, args->model) != DUM_OK)
        return fail_library("cannot save");
    char what[64];
    snprintf(what, sizeof what, "scorer %s", dum_scorer_kind(scorer));
    return report_fit(args, args->model, data, what, &state, status);
}

/* --encoder goes below the scorer. */
static int set_encoder(const arguments *args, dum_context *context, dum_scorer *scorer)
{
    if (args->encoder == NULL)
        return TOOL_OK;
    dum_encoder *encoder = NULL;
    int status = load_encoder(context, args->encoder, args, &encoder);
    if (status == TOOL_OK)
        status = check_encoder_data(encoder, args->data);
    if (status == TOOL_OK && args->pairs != NULL)
        status = check_encoder_data(encoder, args->pairs);
    if (status == TOOL_OK && dum_scorer_set_encoder(scorer, encoder) != DUM_OK)
        status = fail_library("--encoder");
    dum_encoder_destroy(encoder);
    return status;
}

static int fit_with(const arguments *args, dum_context *context)
{
    loaded_data data = {0}, pairs = {0};
    int32_t *labels = NULL;
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
    status = set_options((settable){.scorer = scorer}, args);
    if (status == TOOL_OK)
        status = check_model_path(args->model);
    if (status == TOOL_OK)
        status = set_encoder(args, context, scorer);
    if (status == TOOL_OK)
        status = load_data(context, args->data, args, &data);
    if (status == TOOL_OK && args->pairs != NULL)
        status = load_data(context, args->pairs, &unlabelled, &pairs);
    if (status == TOOL_OK && args->labels != NULL)
        status = load_classes(args->labels, args, args->data, dum_dataset_rows(data.dataset), &labels);
    if (status == TOOL_OK)
        status = fit_and_save(args, scorer, data.dataset, pairs.dataset, labels);
    free(labels);
    free_data(&data);
    free_data(&pairs);
    dum_scorer_destroy(scorer);
    return status;
}

int command_fit(int argc, char **argv)
{
    static const char *const accepted[] = {
        "--data",      "--model",        "--scorer",     "--set",
        "--seed",      "--threads",      "--backend",    "--max-seconds",
        "--pairs",     "--holdout",      "--quiet",      "--header",
        "--no-header", "--label-column", "--checkpoint", "--checkpoint-epochs",
        "--resume",    "--encoder",      "--output",     "--labels",
        NULL};
    arguments args;
    int status = parse_arguments(argc, argv, accepted, 0, &args);
    if (status == TOOL_OK && (args.resume || args.checkpoint_epochs > 0))
        status = require_argument(args.checkpoint, "--checkpoint");
    if (status == TOOL_OK && args.output != NULL)
        status = require_argument(args.encoder, "--encoder");
    if (status != TOOL_OK || (status = require_argument(args.data, "--data")) != TOOL_OK ||
        (status = require_argument(args.model, "--model")) != TOOL_OK)
        return status;
    dum_context *context;
    status = open_training(&args, &context);
    if (status != TOOL_OK)
        return status;
    status = fit_with(&args, context);
    dum_context_destroy(context);
    return status;
}
