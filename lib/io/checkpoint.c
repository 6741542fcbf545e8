/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "io/checkpoint.h"

#include <stdio.h>
#include <unistd.h>

dum_status dumi_checkpoint_write_number(dumi_model_writer *writer, const char *key, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)value);
    return dumi_writer_meta(writer, key, text);
}

dum_status dumi_checkpoint_read_number(const dumi_reader *reader, const char *key, int64_t *value)
{
    const char *text = dumi_reader_meta(reader, key);
    double number;
    DUMI_REQUIRE(text != NULL && dumi_parse_number(text, &number) && number >= 0 && number < 9e15 &&
                     number == (double)(int64_t)number,
                 DUM_ERR_FORMAT, "the checkpoint has no usable %s", key);
    *value = (int64_t)number;
    return DUM_OK;
}

void dumi_checkpoint_log(const dum_context *context, int64_t step)
{
    dumi_log(context, DUM_LOG_INFO, DUM_LOG_CHECKPOINT, "training goes on from step %lld of a checkpoint",
             (long long)step);
}

static void save_file(dum_context *context, const char *path, const unsigned char *bytes, size_t size)
{
    if (dumi_file_write(context, &dumi_file_system, path, bytes, size) == DUM_OK)
        return;
    dumi_log(context, DUM_LOG_ERROR, DUM_LOG_CHECKPOINT, "no checkpoint, training goes on: %s",
             dum_error_message());
    dumi_clear_error();
}

dum_status dumi_checkpoint_put(dum_context *context, const dum_fit_options *options, int64_t step,
                               unsigned char *bytes, size_t size)
{
    if (options->checkpoint_path != NULL)
        save_file(context, options->checkpoint_path, bytes, size);
    dum_status status = DUM_OK;
    if (options->checkpoint != NULL && options->checkpoint(options->checkpoint_user, bytes, size) != 0)
        status = dumi_fail(DUM_ERR_CALLBACK, "the checkpoint callback reported failure at step %lld",
                           (long long)step);
    dumi_free(context, bytes);
    return status;
}

dum_status dumi_checkpoint_get(dum_context *context, const dum_fit_options *options, const void **bytes,
                               unsigned char **owned, size_t *size)
{
    *bytes = options->resume_from;
    *size = options->resume_size;
    *owned = NULL;
    if (options->resume_from != NULL || options->resume == 0)
        return DUM_OK;
    DUMI_REQUIRE(options->checkpoint_path != NULL, DUM_ERR_ARGUMENT,
                 "options.resume is %d, but options.checkpoint_path is NULL", options->resume);
    if (access(options->checkpoint_path, F_OK) != 0)
        return DUM_OK;
    DUMI_TRY(dumi_file_read(context, options->checkpoint_path, UINT64_MAX, owned, size));
    *bytes = *owned;
    return DUM_OK;
}
