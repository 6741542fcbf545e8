/* SPDX-License-Identifier: MIT
 * The blis backend: our own loops over BLIS's micro-kernel. This is the one file that knows BLIS.
 *
 * Of BLIS only the micro-kernel for the running processor is used, not its gemm: that one allocates
 * and ends the process where it cannot, and its rntm_t changed layout under one soname. Nothing
 * here touches a setting of BLIS. */
#define _POSIX_C_SOURCE 200809L
#include "backend/blis/stream.h"

#include <stdio.h>

/* Last: blis.h defines short names of its own. */
#include <blis.h>

#ifndef DUMI_BLIS_VERSION
#error "the build must say which BLIS it saw"
#endif

/* BLIS 0.9 declares micro-kernels for float *, 1.x for const void *: the call is the same. */
typedef void (*micro_kernel)(dim_t m, dim_t n, dim_t k, const void *alpha, const void *a, const void *b,
                             const void *beta, void *c, inc_t c_row, inc_t c_col, const auxinfo_t *next,
                             const cntx_t *context);

/* const in 1.x; 0.9 asks without. */
static cntx_t *blis_context(void)
{
    return (cntx_t *)(uintptr_t)bli_gks_query_cntx();
}

static const char *unavailable(char *detail, size_t capacity)
{
    const char *loaded = bli_info_get_version_str();
    if (strcmp(loaded, DUMI_BLIS_VERSION) != 0) {
        snprintf(detail, capacity, "built against BLIS %s, but BLIS %.40s is loaded", DUMI_BLIS_VERSION,
                 loaded);
        return detail;
    }
    if (dumi_blis_wide_runs()) {
        snprintf(detail, capacity, "BLIS %s; micro-kernel of our own, %d x %d, for AVX-512", loaded,
                 2 * DUMI_DIRECT_ROWS, 2 * DUMI_DIRECT_COLS);
        return NULL;
    }
    cntx_t *context = blis_context();
    const dim_t mr = bli_cntx_get_blksz_def_dt(BLIS_FLOAT, BLIS_MR, context);
    const dim_t nr = bli_cntx_get_blksz_def_dt(BLIS_FLOAT, BLIS_NR, context);
    if (mr > DUMI_MOST_MR || nr > DUMI_MOST_NR) {
        snprintf(detail, capacity, "its micro-kernel of %d x %d is too large", (int)mr, (int)nr);
        return detail;
    }
    snprintf(detail, capacity, "BLIS %s, micro-kernel %d x %d", loaded, (int)mr, (int)nr);
    return NULL;
}

enum { TRIED_K = 61 };
enum { WIDE_KC = 256 }; /* two panels of columns are in the first cache, or come fast from the second */

static bool same_bits(const dumi_blis_kernel *kernel, int32_t rows, bool add)
{
    _Alignas(64) float a[DUMI_DIRECT_ROWS * TRIED_K];
    _Alignas(64) float b[DUMI_DIRECT_COLS * TRIED_K];
    _Alignas(64) float c[2][DUMI_DIRECT_ROWS * DUMI_DIRECT_COLS];
    dumi_rng rng;
    dumi_rng_init(&rng, 1, DUMI_RNG_WEIGHTS, 0);
    for (int i = 0; i < DUMI_DIRECT_ROWS * TRIED_K; i++)
        a[i] = (float)dumi_rng_uniform(&rng) - 0.5f;
    for (int i = 0; i < DUMI_DIRECT_COLS * TRIED_K; i++)
        b[i] = (float)dumi_rng_uniform(&rng) - 0.5f;
    for (int i = 0; i < DUMI_DIRECT_ROWS * DUMI_DIRECT_COLS; i++)
        c[0][i] = c[1][i] = (float)dumi_rng_uniform(&rng);
    dumi_blis_multiply(kernel, kernel->mr, kernel->nr, TRIED_K, a, b, add ? 1 : 0, c[0], kernel->nr);
    const dumi_direct d = {TRIED_K,    add, a,    1,          kernel->mr,   0,   b,
                           kernel->nr, 0,   c[1], kernel->nr, DUMI_FLOAT32, NULL};
    dumi_blis_direct(rows, 1, &d);
    return memcmp(c[0], c[1], (size_t)rows * (size_t)kernel->nr * sizeof(float)) == 0;
}

static bool direct_agrees(const dumi_blis_kernel *kernel)
{
    if (kernel->mr != DUMI_DIRECT_ROWS || kernel->nr != DUMI_DIRECT_COLS || !dumi_blis_direct_runs())
        return false;
    for (int32_t rows = 1; rows <= DUMI_DIRECT_ROWS; rows++)
        if (!same_bits(kernel, rows, false) || !same_bits(kernel, rows, true))
            return false;
    return true;
}

static dum_status open_backend(dum_context *context)
{
    cntx_t *blis = blis_context();
    dumi_blis_kernel *kernel;
    DUMI_TRY(DUMI_NEW(context, kernel, 1));
    kernel->mr = (int32_t)bli_cntx_get_blksz_def_dt(BLIS_FLOAT, BLIS_MR, blis);
    kernel->nr = (int32_t)bli_cntx_get_blksz_def_dt(BLIS_FLOAT, BLIS_NR, blis);
    kernel->kc = (int32_t)bli_cntx_get_blksz_def_dt(BLIS_FLOAT, BLIS_KC, blis);
    /* The one name that both have; in this context, "virtual" micro-kernels are the native ones. */
    void_fp ukr = bli_cntx_get_l3_vir_ukr_dt(BLIS_FLOAT, BLIS_GEMM_UKR, blis);
    memcpy(&kernel->kernel, &ukr, sizeof ukr);
    kernel->context = blis;
    kernel->direct = kernel->least = direct_agrees(kernel) ? DUMI_DIRECT_AVX2 : DUMI_DIRECT_NONE;
    if (dumi_blis_wide_runs()) {
        kernel->least = kernel->direct == DUMI_DIRECT_AVX2 ? DUMI_DIRECT_AVX2 : DUMI_DIRECT_AVX512;
        kernel->direct = DUMI_DIRECT_AVX512;
        kernel->mr = DUMI_DIRECT_ROWS;
        kernel->nr = DUMI_DIRECT_COLS;
        kernel->kc = WIDE_KC;
    }
    kernel->bf16 = dumi_blis_bf16_best();
    context->backend_state = kernel;
    return DUM_OK;
}

static void close_backend(dum_context *context)
{
    dumi_free(context, context->backend_state);
}

void dumi_blis_multiply(const dumi_blis_kernel *kernel, int32_t m, int32_t n, int32_t k, const float *a,
                        const float *b, float beta, float *c, int64_t c_row)
{
    auxinfo_t next;
    memset(&next, 0, sizeof next);
    bli_auxinfo_set_next_a((void *)(uintptr_t)a, &next);
    bli_auxinfo_set_next_b((void *)(uintptr_t)b, &next);
    float one = 1;
    micro_kernel ukr;
    memcpy(&ukr, &kernel->kernel, sizeof ukr);
    ukr(m, n, k, &one, a, b, &beta, c, c_row, 1, &next, kernel->context);
}

static void stream_destroy(dumi_stream *stream)
{
    if (stream == NULL)
        return;
    dum_context *context = stream->context;
    dumi_blis_gemm_destroy(stream);
    dumi_blis_conv_destroy(stream);
    dumi_free(context, stream);
}

static dum_status stream_create(dum_context *context, int32_t threads, int32_t max_m, int32_t max_n,
                                int32_t max_k, dumi_stream **out)
{
    dumi_stream *stream;
    DUMI_TRY(DUMI_NEW(context, stream, 1));
    memset(stream, 0, sizeof *stream);
    stream->context = context;
    stream->kernel = context->backend_state;
    stream->threads = threads;
    const dum_status status = dumi_blis_gemm_create(stream, max_m, max_n, max_k);
    *out = status == DUM_OK ? stream : NULL;
    if (status != DUM_OK)
        stream_destroy(stream);
    return status;
}

const dumi_backend dumi_backend_blis = {
    .struct_size = sizeof(dumi_backend),
    .abi = DUMI_BACKEND_ABI,
    .name = "blis",
    .unavailable = unavailable,
    .open = open_backend,
    .close = close_backend,
    .alloc = dumi_ref_alloc,
    .free = dumi_ref_free,
    .stream_create = stream_create,
    .stream_destroy = stream_destroy,
    .sync = dumi_ref_sync,
    .upload = dumi_ref_upload,
    .download = dumi_ref_download,
    .copy = dumi_ref_copy,
    .fill = dumi_ref_fill,
    .pack = dumi_blis_pack,
    .unpack = dumi_blis_unpack,
    .gemm = dumi_blis_gemm,
    .colsum = dumi_ref_colsum,
    .affine = dumi_ref_affine,
    .unit = dumi_ref_unit,
    .head = dumi_ref_head,
    .head_backward = dumi_ref_head_backward,
    .local_loss = dumi_ref_local_loss,
    .poe_loss = dumi_ref_poe_loss,
    .dot = dumi_blis_dot,
    .adam = dumi_blis_adam,
    .sgd = dumi_blis_sgd,
    .conv_reserve = dumi_blis_conv_reserve,
    .conv_pack = dumi_blis_conv_pack,
    .conv = dumi_blis_conv,
    .conv_input = dumi_blis_conv_input,
    .conv_weights = dumi_blis_conv_weights,
    .batch_moments = dumi_blis_batch_moments,
    .batch_norm = dumi_blis_batch_norm,
    .batch_norm_backward = dumi_blis_batch_norm_backward,
    .pool_max = dumi_ref_pool_max,
    .pool_max_backward = dumi_ref_pool_max_backward,
    .pool_mean = dumi_ref_pool_mean,
    .pool_mean_backward = dumi_ref_pool_mean_backward,
    .unit_backward = dumi_ref_unit_backward,
    .cross_entropy = dumi_blis_cross_entropy,
    .norm = dumi_ref_norm,
};
