/* SPDX-License-Identifier: MIT
 * dum info, dum scorers, dum encoders, dum backends. */
#include "tool.h"

#include <string.h>

static void print_option(const dum_param_info *info, double number, const char *text, bool last)
{
    if (info->type == DUM_PARAM_TEXT)
        print_text(info->name, text, last);
    else
        print_number(info->name, number, last);
}

static int print_scorer(const dum_scorer *scorer)
{
    const char *kind = dum_scorer_kind(scorer);
    printf("\"columns\": %d, \"calibration_rows\": %lld, \"features\": [", dum_scorer_cols(scorer),
           (long long)dum_scorer_calibration_count(scorer));
    for (int32_t j = 0; j < dum_scorer_cols(scorer) && dum_scorer_feature_name(scorer, j) != NULL; j++) {
        printf(j > 0 ? ", " : "");
        print_quoted(dum_scorer_feature_name(scorer, j));
    }
    printf("], \"options\": {");
    const int32_t count = dum_scorer_param_count(kind);
    for (int32_t i = 0; i < count; i++) {
        dum_param_info info;
        DUM_INIT(info);
        double number = 0;
        const char *text = "";
        if (dum_scorer_param_get(kind, i, &info) != DUM_OK ||
            (info.type == DUM_PARAM_TEXT ? dum_scorer_get_text(scorer, info.name, &text)
                                         : dum_scorer_get_number(scorer, info.name, &number)) != DUM_OK)
            return fail_library("options");
        print_option(&info, number, text, i + 1 == count);
    }
    printf("}");
    return TOOL_OK;
}

static int print_head(const dum_head *head)
{
    printf("\"columns\": %d, \"options\": {", dum_head_cols(head));
    const int32_t count = dum_head_param_count();
    for (int32_t i = 0; i < count; i++) {
        dum_param_info info;
        DUM_INIT(info);
        double number = 0;
        const char *text = "";
        if (dum_head_param_get(i, &info) != DUM_OK ||
            (info.type == DUM_PARAM_TEXT ? dum_head_get_text(head, info.name, &text)
                                         : dum_head_get_number(head, info.name, &number)) != DUM_OK)
            return fail_library("options");
        print_option(&info, number, text, i + 1 == count);
    }
    printf("}");
    return TOOL_OK;
}

static int print_monitor(const dum_monitor *monitor)
{
    dum_monitor_state state;
    DUM_INIT(state);
    if (dum_monitor_read(monitor, &state) != DUM_OK)
        return fail_library("state");
    print_monitor_state(&state);
    printf(", \"options\": {");
    const int32_t count = dum_monitor_param_count();
    for (int32_t i = 0; i < count; i++) {
        dum_param_info info;
        DUM_INIT(info);
        double number = 0;
        const char *text = "";
        if (dum_monitor_param_get(i, &info) != DUM_OK ||
            (info.type == DUM_PARAM_TEXT ? dum_monitor_get_text(monitor, info.name, &text)
                                         : dum_monitor_get_number(monitor, info.name, &number)) != DUM_OK)
            return fail_library("options");
        print_option(&info, number, text, i + 1 == count);
    }
    printf("}");
    return TOOL_OK;
}

static int print_encoder(const dum_encoder *encoder)
{
    const int32_t cols = dum_encoder_cols(encoder);
    print_text("encoder", dum_encoder_kind(encoder), false);
    printf("\"columns\": %d, \"embedding_columns\": %d, \"options\": {", cols,
           dum_encoder_embedding_cols(encoder, cols > 0 ? cols : 1));
    const bool has_options = strcmp(dum_encoder_kind(encoder), "identity") != 0;
    const int32_t count = has_options ? dum_encoder_param_count() : 0;
    for (int32_t i = 0; i < count; i++) {
        dum_param_info info;
        DUM_INIT(info);
        double number = 0;
        const char *text = "";
        if (dum_encoder_param_get(i, &info) != DUM_OK ||
            (info.type == DUM_PARAM_TEXT ? dum_encoder_get_text(encoder, info.name, &text)
                                         : dum_encoder_get_number(encoder, info.name, &number)) != DUM_OK)
            return fail_library("options");
        print_option(&info, number, text, i + 1 == count);
    }
    printf("}");
    return TOOL_OK;
}

static void print_about(const dum_model_info *about)
{
    printf("{\"format\": %d, \"min_reader\": %d, ", about->format, about->min_reader);
    print_text("writer", about->writer, false);
    print_text("kind", about->kind, false);
    print_text("sha256", about->sha256, strcmp(about->kind, "checkpoint.encoder") == 0);
}

/* What a file holds; NULL: not that. */
typedef struct {
    dum_head *head;
    dum_scorer *scorer;
    dum_monitor *monitor;
    dum_encoder *encoder;
} model;

static dum_status load_model(dum_context *context, const char *path, const char *kind, model *out)
{
    if (strcmp(kind, "encoder") == 0)
        return dum_encoder_load(context, path, &out->encoder);
    if (strcmp(kind, "monitor") == 0)
        return dum_monitor_load(context, path, &out->monitor);
    if (strcmp(kind, "head") == 0 || strcmp(kind, "checkpoint") == 0)
        return dum_head_load(context, path, &out->head);
    const dum_status status = dum_scorer_load(context, path, &out->scorer);
    /* The encoder below it, if there is one. */
    if (status == DUM_OK && dum_encoder_load(context, path, &out->encoder) != DUM_OK)
        out->encoder = NULL;
    return status;
}

static int print_parts(const model *m)
{
    int status = TOOL_OK;
    if (m->head != NULL)
        status = print_head(m->head);
    if (m->monitor != NULL)
        status = print_monitor(m->monitor);
    if (m->scorer != NULL)
        status = print_scorer(m->scorer);
    if (m->scorer != NULL && m->encoder != NULL)
        printf(", \"below\": {");
    if (m->encoder != NULL && status == TOOL_OK)
        status = print_encoder(m->encoder);
    if (m->scorer != NULL && m->encoder != NULL)
        printf("}");
    return status;
}

/* Loads before it prints: a model that fails to load must not leave half a line. */
static int print_model(dum_context *context, const char *path, const dum_model_info *about)
{
    model m = {0};
    /* Nothing but dum encoder --resume can load one. */
    const bool is_checkpoint = strcmp(about->kind, "checkpoint.encoder") == 0;
    if (!is_checkpoint && load_model(context, path, about->kind, &m) != DUM_OK)
        return fail_library(path);
    print_about(about);
    const int status = print_parts(&m);
    printf("}\n");
    dum_head_destroy(m.head);
    dum_scorer_destroy(m.scorer);
    dum_monitor_destroy(m.monitor);
    dum_encoder_destroy(m.encoder);
    return status;
}

int command_info(int argc, char **argv)
{
    static const char *const accepted[] = {"--quiet", NULL};
    arguments args;
    int status = parse_arguments(argc, argv, accepted, 1, &args);
    if (status != TOOL_OK || (status = require_argument(args.file, "the path of a model")) != TOOL_OK)
        return status;
    dum_context *context;
    status = open_context(&args, &context);
    if (status != TOOL_OK)
        return status;
    dum_model_info about;
    DUM_INIT(about);
    if (dum_model_inspect(context, args.file, &about) != DUM_OK)
        status = fail_library(args.file);
    else
        status = print_model(context, args.file, &about);
    dum_context_destroy(context);
    return finish_output(status);
}

static void print_param(const dum_param_info *info)
{
    if (info->type == DUM_PARAM_TEXT)
        printf("  %-15s text     default %-9s %s: %s\n", info->name, info->default_text, info->choices,
               info->help);
    else
        printf("  %-15s %-8s default %-9g %g to %g: %s\n", info->name,
               info->type == DUM_PARAM_INTEGER ? "integer" : "real", info->default_number, info->min, info->max,
               info->help);
}

int command_scorers(int argc, char **argv)
{
    static const char *const accepted[] = {"--quiet", NULL};
    arguments args;
    const int status = parse_arguments(argc, argv, accepted, 0, &args);
    if (status != TOOL_OK)
        return status;
    for (int32_t k = 0; k < dum_scorer_kind_count(); k++) {
        const char *kind = dum_scorer_kind_name(k);
        printf("%s\n", kind);
        for (int32_t i = 0; i < dum_scorer_param_count(kind); i++) {
            dum_param_info info;
            DUM_INIT(info);
            if (dum_scorer_param_get(kind, i, &info) != DUM_OK)
                return fail_library(kind);
            print_param(&info);
        }
    }
    return finish_output(TOOL_OK);
}

int command_encoders(int argc, char **argv)
{
    static const char *const accepted[] = {"--quiet", NULL};
    arguments args;
    const int status = parse_arguments(argc, argv, accepted, 0, &args);
    if (status != TOOL_OK)
        return status;
    printf("mlp, resnet\n");
    for (int32_t i = 0; i < dum_encoder_param_count(); i++) {
        dum_param_info info;
        DUM_INIT(info);
        if (dum_encoder_param_get(i, &info) != DUM_OK)
            return fail_library("encoders");
        print_param(&info);
    }
    return finish_output(TOOL_OK);
}

int command_backends(int argc, char **argv)
{
    static const char *const accepted[] = {"--quiet", NULL};
    arguments args;
    const int status = parse_arguments(argc, argv, accepted, 0, &args);
    if (status != TOOL_OK)
        return status;
    for (int32_t i = 0; i < dum_backend_count(); i++) {
        dum_backend_info info;
        DUM_INIT(info);
        if (dum_backend_get(i, &info) != DUM_OK)
            return fail_library("backends");
        printf("%-5s %s: %s\n", info.name, info.available ? "available" : "not available", info.reason);
    }
    return finish_output(TOOL_OK);
}
