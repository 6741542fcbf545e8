/* SPDX-License-Identifier: MIT
 * C = A B of the blis backend against both of BLIS's own paths (small-matrix and packed), one thread,
 * in turns. Ratios over 1: the backend is faster. */
#include "bench.h"

/* Last: it defines short names of its own. */
#include <blis.h>

enum { TRIALS = 15 };

static const int32_t shapes[][3] = {{1, 256, 256},    {1, 4096, 4096}, {4, 256, 256},   {6, 512, 64},
                                    {8, 256, 256},    {16, 64, 256},   {32, 1024, 512}, {64, 256, 256},
                                    {64, 4096, 4096}, {256, 256, 256}, {256, 64, 4096}, {256, 4096, 4096}};

typedef struct {
    int32_t m, n, k;
    float *a, *b, *c;
    dumi_stream *stream;
    dumi_packed *packed;
} problem;

static void ours(const problem *p, const dumi_packed *packed)
{
    const dumi_gemm gemm = {.m = p->m,
                            .n = p->n,
                            .k = p->k,
                            .a = p->a,
                            .a_row = p->k,
                            .a_col = 1,
                            .b = p->b,
                            .b_row = p->n,
                            .b_col = 1,
                            .packed = packed,
                            .c = p->c,
                            .c_row = p->n};
    dumi_blis_gemm(p->stream, &gemm);
}

static void theirs(const problem *p, bool small)
{
    rntm_t rntm = BLIS_RNTM_INITIALIZER;
    bli_rntm_set_num_threads(1, &rntm);
    if (small)
        bli_rntm_enable_l3_sup(&rntm);
    else
        bli_rntm_disable_l3_sup(&rntm);
    float one = 1, zero = 0;
    bli_sgemm_ex(BLIS_NO_TRANSPOSE, BLIS_NO_TRANSPOSE, p->m, p->n, p->k, &one, p->a, p->k, 1, p->b, p->n, 1,
                 &zero, p->c, p->n, 1, NULL, &rntm);
}

static void run(const problem *p, int way)
{
    if (way < 2)
        theirs(p, way == 0);
    else
        ours(p, way == 2 ? p->packed : NULL);
}

static void measure(problem *p, double peak)
{
    double times[4][TRIALS], median[4];
    const double operations = 2.0 * p->m * p->n * p->k;
    const int repeat = operations > 1e8 ? 1 : (int)(1e8 / operations);
    for (int trial = 0; trial < TRIALS; trial++)
        for (int way = 0; way < 4; way++) {
            const double begin = bench_now();
            for (int i = 0; i < repeat; i++)
                run(p, way);
            times[way][trial] = (bench_now() - begin) / repeat;
        }
    for (int way = 0; way < 4; way++)
        median[way] = bench_median(times[way], TRIALS);
    const double best = median[0] < median[1] ? median[0] : median[1];
    printf("| %d | %d | %d | %.2f | %.2f | %.2f | %.2f | %.2f |\n", p->m, p->n, p->k,
           operations / median[0] / peak, operations / median[1] / peak, operations / median[2] / peak,
           best / median[2], best / median[3]);
}

int main(void)
{
    dum_context *context = bench_context(1);
    const double peak = bench_gemm_peak(context, 50);
    printf("Rates as shares of the micro-kernel's %.1f GFLOP/s; ratios against the better of BLIS's paths.\n\n",
           peak / 1e9);
    printf("| m | n | k | BLIS small | BLIS packed | weights packed once | ratio | ratio, packing both |\n");
    printf("|--:|--:|--:|--:|--:|--:|--:|--:|\n");
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        problem p = {.m = shapes[i][0], .n = shapes[i][1], .k = shapes[i][2]};
        p.a = bench_floats((size_t)p.m * (size_t)p.k);
        p.b = bench_floats((size_t)p.k * (size_t)p.n);
        p.c = bench_floats((size_t)p.m * (size_t)p.n);
        bench_check(context->backend->stream_create(context, 1, p.m, p.n, p.k, &p.stream));
        p.packed = dumi_blis_pack(context, p.b, p.k, p.n, DUMI_FLOAT32);
        measure(&p, peak);
        dumi_blis_unpack(context, p.packed);
        context->backend->stream_destroy(p.stream);
        free(p.a);
        free(p.b);
        free(p.c);
    }
    dum_context_destroy(context);
    return 0;
}
