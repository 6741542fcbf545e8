/* SPDX-License-Identifier: MIT
 * dum encoder, dum embed, dum evaluate: what stands below a scorer. */
#include "encoders.h"
#include "images.h"
#include "settings.h"

#include <stdlib.h>
#include <string.h>

/* ---- dum encoder -------------------------------------------------------------------------- */

/* Images go to a resnet of their size, tables to an mlp; --kind and --set have the last word. */
static int choose_kind(const arguments *args, const char **kind, image_shape *shape)
{
    memset(shape, 0, sizeof *shape);
    const int status = has_ending(args->file, ".npy") ? read_image_shape(args->file, shape) : TOOL_OK;
    if (status != TOOL_OK)
        return status;
    *kind = args->kind != NULL ? args->kind : shape->is_image ? "resnet" : "mlp";
    if (shape->is_image && shape->channels != 1 && shape->channels != 3 && strcmp(*kind, "resnet") == 0)
        return fail("%s has images of %lld channels, expected 1 or 3 (N x H x W, or N x H x W x C)", args->file,
                    shape->channels);
    if (!shape->is_image && strcmp(*kind, "resnet") == 0 &&
        !(is_set(args, "height") && is_set(args, "width") && is_set(args, "channels")))
        return fail("%s has no size of images, as N x H x W x C has: --set height=, width= and channels=",
                    args->file);
    return TOOL_OK;
}

static int set_size(dum_encoder *encoder, const image_shape *shape)
{
    if (dum_encoder_set_number(encoder, "height", (double)shape->height) != DUM_OK ||
        dum_encoder_set_number(encoder, "width", (double)shape->width) != DUM_OK ||
        dum_encoder_set_number(encoder, "channels", (double)shape->channels) != DUM_OK)
        return fail_library("size of the images");
    return TOOL_OK;
}

static int create_encoder(const arguments *args, dum_context *context, dum_encoder **out)
{
    const char *kind;
    image_shape shape;
    int status = choose_kind(args, &kind, &shape);
    if (status != TOOL_OK)
        return status;
    if (strcmp(kind, "identity") == 0)
        return bad_value("--kind", kind, "resnet or mlp");
    if (dum_encoder_create(context, kind, out) != DUM_OK) {
        fail_library("--kind");
        return TOOL_USAGE;
    }
    if (shape.is_image && strcmp(kind, "resnet") == 0)
        status = set_size(*out, &shape);
    if (status == TOOL_OK)
        status = set_options((settable){.encoder = *out}, args);
    return status;
}

/* Other objectives would not look at them. */
static int check_labels(const arguments *args, const dum_encoder *encoder)
{
    const char *objective;
    if (dum_encoder_get_text(encoder, "objective", &objective) != DUM_OK)
        return fail_library("objective");
    const bool supervised = strcmp(objective, "supervised") == 0;
    if (supervised)
        return require_argument(args->labels, "--labels");
    return args->labels == NULL
               ? TOOL_OK
               : bad_value("--labels", args->labels, "none, or --set objective=supervised, which learns them");
}

static int train(const arguments *args, dum_encoder *encoder, const dum_dataset *data, const int32_t *labels)
{
    progress_state state;
    dum_fit_options options;
    prepare_fit(args, &state, &options);
    options.labels = labels;
    const dum_status status = dum_encoder_fit(encoder, data, &options);
    if (!end_fit(&state, status))
        return fail_fit(args, args->file, status);
    if (dum_encoder_save(encoder, args->out) != DUM_OK)
        return fail_library("cannot save");
    char what[64];
    snprintf(what, sizeof what, "encoder %s", dum_encoder_kind(encoder));
    return report_fit(args, args->out, data, what, &state, status);
}

static int train_with(const arguments *args, dum_context *context)
{
    loaded_data data = {0};
    dum_encoder *encoder = NULL;
    int32_t *labels = NULL;
    int status = create_encoder(args, context, &encoder);
    if (status == TOOL_OK)
        status = check_labels(args, encoder);
    if (status == TOOL_OK)
        status = check_model_path(args->out);
    if (status == TOOL_OK)
        status = load_data(context, args->file, args, &data);
    if (status == TOOL_OK && args->labels != NULL)
        status = load_classes(args->labels, args, args->file, dum_dataset_rows(data.dataset), &labels);
    if (status == TOOL_OK)
        status = train(args, encoder, data.dataset, labels);
    free(labels);
    free_data(&data);
    dum_encoder_destroy(encoder);
    return status;
}

int command_encoder(int argc, char **argv)
{
    static const char *const accepted[] = {"--out",
                                           "--kind",
                                           "--labels",
                                           "--set",
                                           "--seed",
                                           "--checkpoint",
                                           "--checkpoint-epochs",
                                           "--resume",
                                           "--threads",
                                           "--backend",
                                           "--header",
                                           "--max-seconds",
                                           "--quiet",
                                           "--no-header",
                                           "--label-column",
                                           NULL};
    arguments args;
    int status = parse_arguments(argc, argv, accepted, 1, &args);
    if (status == TOOL_OK && (args.resume || args.checkpoint_epochs > 0))
        status = require_argument(args.checkpoint, "--checkpoint");
    if (status != TOOL_OK || (status = require_argument(args.file, "DATA")) != TOOL_OK ||
        (status = require_argument(args.out, "--out")) != TOOL_OK)
        return status;
    dum_context *context;
    status = open_training(&args, &context);
    if (status != TOOL_OK)
        return status;
    status = train_with(&args, context);
    dum_context_destroy(context);
    return status;
}

/* ---- dum embed ---------------------------------------------------------------------------- */

static int embed(const arguments *args, const dum_encoder *encoder, const dum_dataset *data)
{
    const int32_t cols = dum_encoder_embedding_cols(encoder, dum_dataset_cols(data));
    const int64_t rows = dum_dataset_rows(data);
    /* Where it is 0 the library says why. */
    float *out = malloc((size_t)rows * (size_t)(cols > 0 ? cols : 1) * sizeof *out);
    if (out == NULL)
        return fail("no memory for %lld x %d numbers", (long long)rows, cols);
    int status = TOOL_OK;
    if (dum_encoder_embed_dataset(encoder, data, out) != DUM_OK)
        status = fail_library(args->files[1]);
    if (status == TOOL_OK)
        status = write_floats(args->out, out, rows, cols);
    free(out);
    return status;
}

int command_embed(int argc, char **argv)
{
    static const char *const accepted[] = {"--out",          "--output", "--threads",
                                           "--backend",      "--header", "--no-header",
                                           "--label-column", "--quiet",  NULL};
    arguments args;
    int status = parse_arguments(argc, argv, accepted, 2, &args);
    if (status != TOOL_OK || (status = require_argument(args.file, "ENCODER")) != TOOL_OK ||
        (status = require_argument(args.files[1], "DATA")) != TOOL_OK ||
        (status = require_argument(args.out, "--out")) != TOOL_OK)
        return status;
    dum_context *context = NULL;
    dum_encoder *encoder = NULL;
    loaded_data data = {0};
    status = open_context(&args, &context);
    if (status == TOOL_OK)
        status = load_encoder(context, args.file, &args, &encoder);
    if (status == TOOL_OK)
        status = check_encoder_data(encoder, args.files[1]);
    if (status == TOOL_OK)
        status = load_data(context, args.files[1], &args, &data);
    if (status == TOOL_OK)
        status = embed(&args, encoder, data.dataset);
    free_data(&data);
    dum_encoder_destroy(encoder);
    dum_context_destroy(context);
    return finish_output(status);
}

/* ---- dum evaluate ------------------------------------------------------------------------- */

typedef struct {
    loaded_data data;
    int32_t *labels;
} labelled;

static int load_labelled(const arguments *args, dum_context *context, const dum_encoder *encoder,
                         const char *data, const char *labels, labelled *out)
{
    int status = check_encoder_data(encoder, data);
    if (status == TOOL_OK)
        status = load_data(context, data, args, &out->data);
    if (status == TOOL_OK)
        status = load_classes(labels, args, data, dum_dataset_rows(out->data.dataset), &out->labels);
    return status;
}

static void free_labelled(labelled *l)
{
    free_data(&l->data);
    free(l->labels);
}

static int evaluate(const arguments *args, const dum_encoder *encoder, const labelled *train_set,
                    const labelled *test_set)
{
    const dum_dataset *a = train_set->data.dataset, *b = test_set->data.dataset;
    double knn, linear;
    if (dum_encoder_knn_accuracy(encoder, a, train_set->labels, b, test_set->labels, args->neighbours, &knn) !=
            DUM_OK ||
        dum_encoder_linear_accuracy(encoder, a, train_set->labels, b, test_set->labels, &linear) != DUM_OK)
        return fail_library("evaluate");
    const int64_t n = dum_dataset_rows(a), m = dum_dataset_rows(b);
    const int64_t usual = n < 200 ? n : 200, neighbours = args->neighbours > 0 ? args->neighbours : usual;
    if (!args->json) {
        printf("nearest neighbours (%lld): %.4f\nlinear layer: %.4f\n", (long long)neighbours, knn, linear);
        printf("accuracy on %lld rows, learnt from %lld\n", (long long)m, (long long)n);
        return TOOL_OK;
    }
    printf("{\"n_train\": %lld, \"n_test\": %lld, \"neighbours\": %lld, ", (long long)n, (long long)m,
           (long long)neighbours);
    print_number("knn_accuracy", knn, false);
    print_number("linear_accuracy", linear, true);
    printf("}\n");
    return TOOL_OK;
}

static int evaluate_with(const arguments *args, dum_context *context, const dum_encoder *encoder)
{
    labelled train_set = {0}, test_set = {0};
    int status = load_labelled(args, context, encoder, args->train, args->train_labels, &train_set);
    if (status == TOOL_OK)
        status = load_labelled(args, context, encoder, args->test, args->test_labels, &test_set);
    if (status == TOOL_OK)
        status = evaluate(args, encoder, &train_set, &test_set);
    free_labelled(&train_set);
    free_labelled(&test_set);
    return status;
}

int command_evaluate(int argc, char **argv)
{
    static const char *const accepted[] = {
        "--train",   "--train-labels", "--test",   "--test-labels", "--neighbours",   "--output", "--json",
        "--threads", "--backend",      "--header", "--no-header",   "--label-column", "--quiet",  NULL};
    arguments args;
    int status = parse_arguments(argc, argv, accepted, 1, &args);
    if (status != TOOL_OK || (status = require_argument(args.file, "ENCODER")) != TOOL_OK ||
        (status = require_argument(args.train, "--train")) != TOOL_OK ||
        (status = require_argument(args.train_labels, "--train-labels")) != TOOL_OK ||
        (status = require_argument(args.test, "--test")) != TOOL_OK ||
        (status = require_argument(args.test_labels, "--test-labels")) != TOOL_OK)
        return status;
    dum_context *context = NULL;
    dum_encoder *encoder = NULL;
    status = open_context(&args, &context);
    if (status == TOOL_OK)
        status = load_encoder(context, args.file, &args, &encoder);
    if (status == TOOL_OK)
        status = evaluate_with(&args, context, encoder);
    dum_encoder_destroy(encoder);
    dum_context_destroy(context);
    return finish_output(status);
}
