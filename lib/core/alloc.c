/* SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE
#include "core/core.h"

#include <stdlib.h>
#include <sys/mman.h>

static const size_t ALIGNMENT = 64;

/* Lies in the ALIGNMENT bytes before each block: the host's free hook wants the size back. */
typedef struct {
    size_t size;
} block_head;

/* Wide matrices are read by columns, a page a row: in pages of 2 MiB, where the system has them, the
 * processor finds them without looking. */
static const size_t LARGE_PAGE = (size_t)2 << 20;

static void *system_alloc(size_t size)
{
    void *pointer = NULL;
    const bool large = size >= 4 * LARGE_PAGE;
    if (posix_memalign(&pointer, large ? LARGE_PAGE : ALIGNMENT, size) != 0)
        return NULL;
#ifdef MADV_HUGEPAGE
    if (large)
        madvise(pointer, size / LARGE_PAGE * LARGE_PAGE, MADV_HUGEPAGE);
#endif
    return pointer;
}

/* Counts the bytes first, so that many threads together stay under the limit too. */
static bool reserve(dum_context *context, size_t size)
{
    const uint64_t before = atomic_fetch_add_explicit(&context->bytes, size, memory_order_relaxed);
    if (context->max_bytes == 0 || before + size <= context->max_bytes)
        return true;
    atomic_fetch_sub_explicit(&context->bytes, size, memory_order_relaxed);
    dumi_fail(DUM_ERR_LIMIT, "%zu bytes wanted, but the context holds %llu of max_bytes = %llu", size,
              (unsigned long long)before, (unsigned long long)context->max_bytes);
    return false;
}

void *dumi_alloc(dum_context *context, size_t count, size_t size)
{
    if (size != 0 && count > (SIZE_MAX - 2 * ALIGNMENT) / size) {
        dumi_fail(DUM_ERR_NOMEM, "%zu x %zu bytes is more than this machine can address", count, size);
        return NULL;
    }
    const size_t total = (count * size + 2 * ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (!reserve(context, total))
        return NULL;
    char *block =
        context->alloc != NULL ? context->alloc(context->alloc_user, total, ALIGNMENT) : system_alloc(total);
    if (block == NULL) {
        atomic_fetch_sub_explicit(&context->bytes, total, memory_order_relaxed);
        dumi_fail(DUM_ERR_NOMEM, "allocation of %zu bytes failed", total);
        return NULL;
    }
    ((block_head *)block)->size = total;
    return block + ALIGNMENT;
}

void dumi_free(dum_context *context, void *pointer)
{
    if (pointer == NULL)
        return;
    char *block = (char *)pointer - ALIGNMENT;
    const size_t total = ((block_head *)block)->size;
    atomic_fetch_sub_explicit(&context->bytes, total, memory_order_relaxed);
    if (context->free != NULL)
        context->free(context->alloc_user, block, total);
    else
        free(block);
}
