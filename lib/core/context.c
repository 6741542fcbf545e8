/* SPDX-License-Identifier: MIT */
#include "backend/backend.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void release(dum_context *context)
{
    void (*free_hook)(void *, void *, size_t) = context->free;
    void *user = context->alloc_user;
    if (context->backend != NULL)
        context->backend->close(context);
    dumi_pool_destroy(context);
    if (free_hook != NULL)
        free_hook(user, context, sizeof *context);
    else
        free(context);
}

static dum_status check_options(const dum_context_options *options)
{
    DUMI_REQUIRE(options->threads >= 0 && options->threads <= 256, DUM_ERR_ARGUMENT,
                 "options.threads is %d, expected 0 (all processors) to 256", options->threads);
    DUMI_REQUIRE(options->device >= 0, DUM_ERR_ARGUMENT, "options.device is %d, expected 0 or more",
                 options->device);
    DUMI_REQUIRE((options->alloc == NULL) == (options->free == NULL), DUM_ERR_ARGUMENT,
                 "options.alloc and options.free: give both or neither");
    return DUM_OK;
}

dum_status dum_context_create(const dum_context_options *options, dum_context **out)
{
    dumi_clear_error();
    DUMI_NOT_NULL(out);
    *out = NULL;
    dum_context_options own;
    DUMI_TRY(dumi_read_struct("options", &own, sizeof own, sizeof own, options));
    DUMI_TRY(check_options(&own));
    dum_context *context =
        own.alloc != NULL ? own.alloc(own.alloc_user, sizeof *context, 64) : malloc(sizeof *context);
    DUMI_REQUIRE(context != NULL, DUM_ERR_NOMEM, "allocation of %zu bytes failed", sizeof *context);
    memset(context, 0, sizeof *context);
    atomic_init(&context->references, 1);
    atomic_init(&context->bytes, 0);
    context->threads = own.threads > 0 ? own.threads : dumi_processors();
    context->device = own.device;
    context->max_bytes = own.max_bytes;
    context->alloc = own.alloc;
    context->free = own.free;
    context->alloc_user = own.alloc_user;
    context->log = own.log;
    context->log_user = own.log_user;

    dum_status status = dumi_pool_create(context);
    if (status == DUM_OK)
        status = dumi_backend_open(context, own.backend, own.module_dir);
    if (status != DUM_OK) {
        release(context);
        return status;
    }
    *out = context;
    return DUM_OK;
}

dum_context *dumi_context_keep(dum_context *context)
{
    atomic_fetch_add_explicit(&context->references, 1, memory_order_relaxed);
    return context;
}

void dum_context_destroy(dum_context *context)
{
    if (context == NULL)
        return;
    if (atomic_fetch_sub_explicit(&context->references, 1, memory_order_acq_rel) == 1)
        release(context);
}

int32_t dum_context_threads(const dum_context *context)
{
    return context != NULL ? context->threads : 0;
}

const char *dum_context_backend(const dum_context *context)
{
    return context != NULL ? context->backend->name : "";
}

uint64_t dum_context_bytes(const dum_context *context)
{
    return context != NULL ? atomic_load_explicit(&context->bytes, memory_order_relaxed) : 0;
}

void dumi_log(const dum_context *context, int32_t level, int32_t code, const char *format, ...)
{
    if (context->log == NULL)
        return;
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    dumi_utf8_repair(line);
    context->log(context->log_user, level, code, line);
}
