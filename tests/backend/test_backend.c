/* SPDX-License-Identifier: MIT
 * Each operation of each backend against ref: random shapes, tails, strides, guard values. */
#include "pair.h"

#include "backend/blis/stream.h"

static void one_gemm(pair *p, dumi_rng *rng, int32_t m, int32_t n, int32_t k, uint32_t flags)
{
    const bool a_turned = flags & 1, b_turned = flags & 2, packed = flags & 4;
    const int32_t precision = (int32_t)(flags >> 7 & 3);
    const int64_t pad = flags & 8 ? 3 : 0;
    const int64_t a_row = a_turned ? 1 : k + pad, a_col = a_turned ? m + pad : 1;
    const int64_t b_row = b_turned && !packed ? 1 : n, b_col = b_turned && !packed ? k : 1;
    const size_t a_count = (size_t)(a_turned ? a_col * k : a_row * m);
    const size_t c_count = (size_t)((n + pad) * (m - 1) + n);
    float *a = random_floats(rng, a_count), *b = random_floats(rng, (size_t)n * (size_t)k);
    float *bias = random_floats(rng, (size_t)n), *mask = random_floats(rng, (size_t)m * (size_t)n);
    float *c = random_floats(rng, c_count), *expected = random_floats(rng, c_count);
    memcpy(expected, c, c_count * sizeof *c); /* what lies between the rows must stay */
    dumi_gemm g = {.m = m,
                   .n = n,
                   .k = k,
                   .a = a,
                   .a_row = a_row,
                   .a_col = a_col,
                   .b = b,
                   .b_row = b_row,
                   .b_col = b_col,
                   .precision = precision == DUMI_INT8 ? DUMI_FLOAT32 : precision,
                   .c_row = n + pad,
                   .bias = flags & 16 ? bias : NULL,
                   .mask = flags & 32 ? mask : NULL,
                   .relu = flags & 64,
                   .add = flags & 1 << 20};
    dumi_gemm reference = g;
    g.c = c;
    reference.c = expected;
    dumi_packed *theirs = packed ? p->o->pack(p->other, b, k, n, precision) : NULL;
    dumi_packed *ours = packed ? p->r->pack(p->ref, b, k, n, precision) : NULL;
    g.packed = theirs;
    reference.packed = ours;
    p->o->gemm(p->other_stream, &g);
    p->r->gemm(p->ref_stream, &reference);
    check_close(c, expected, c_count, 1e-5 * sqrt(k));
    check_guard(c, c_count);
    p->o->unpack(p->other, theirs);
    p->r->unpack(p->ref, ours);
    drop(a), drop(b), drop(bias), drop(mask), drop(c), drop(expected);
}

START_TEST(gemm_matches)
{
    pair p = open_pair(2);
    dumi_rng rng;
    dumi_rng_init(&rng, 7, 99, 0);
    for (uint32_t flags = 0; flags < 256; flags++)
        one_gemm(&p, &rng, 1 + (int32_t)dumi_rng_below(&rng, 70), 1 + (int32_t)dumi_rng_below(&rng, 90),
                 1 + (int32_t)dumi_rng_below(&rng, 400), flags);
    /* The paths for few rows, few columns, operands in place. */
    for (int32_t m = 1; m <= 14; m++)
        for (uint32_t i = 0; i < 16; i++) {
            const uint32_t flags = i % 8 + 128 * (i / 8);
            one_gemm(&p, &rng, m, 80, 300, flags);
            one_gemm(&p, &rng, m, 83, 300, flags);
            one_gemm(&p, &rng, m, 83, 300, flags + (1 << 20)); /* added to what is there */
        }
    one_gemm(&p, &rng, 400, 48, 1024, 4);
    one_gemm(&p, &rng, 400, 128, 300, 0); /* B in place, A packed */
    one_gemm(&p, &rng, 8, 128, 1024, 0);
    for (uint32_t precision = DUMI_FLOAT32; precision <= DUMI_INT8; precision++)
        for (int32_t m = 1; m <= 300; m += m < 8 ? 1 : 97)
            one_gemm(&p, &rng, m, 150, 300, 4 + 16 + 64 + 128 * precision);
    /* More steps than there is room for. */
    one_gemm(&p, &rng, 2, 20, 200001, 4 + 16 + 128 * DUMI_BFLOAT16);
    for (uint32_t flags = 0; flags < 4; flags++)
        one_gemm(&p, &rng, 90, 300, 3001, flags + 16 + 128 * DUMI_BFLOAT16);
    one_gemm(&p, &rng, 700, 530, 260, 0);
    one_gemm(&p, &rng, 530, 700, 260, 2 + 64);
    close_pair(&p);
}
END_TEST

/* All kernels that run here: the wide ones to the bit; the plain one adds after it has rounded the product. */
START_TEST(bfloat16_kernels_agree)
{
    enum { M = 13, N = 150, K = 301 };
    pair p = open_pair(1);
    dumi_rng rng;
    dumi_rng_init(&rng, 5, 99, 0);
    dumi_blis_kernel *kernel = p.other->backend_state;
    const int32_t best = kernel->bf16;
    float *a = random_floats(&rng, M * K), *b = random_floats(&rng, K * N);
    float *c = random_floats(&rng, M * N), *wide = random_floats(&rng, M * N);
    float *expected = random_floats(&rng, M * N);
    dumi_gemm g = {.m = M, .n = N, .k = K, .a = a, .a_row = K, .a_col = 1, .c = expected, .c_row = N};
    dumi_packed *ours = p.r->pack(p.ref, b, K, N, DUMI_BFLOAT16);
    dumi_packed *theirs = p.o->pack(p.other, b, K, N, DUMI_BFLOAT16);
    g.packed = ours;
    p.r->gemm(p.ref_stream, &g);
    g.packed = theirs;
    for (int32_t i = DUMI_BF16_PLAIN; i <= best; i++) {
        kernel->bf16 = i;
        g.c = i == DUMI_BF16_WIDE ? wide : c;
        p.o->gemm(p.other_stream, &g);
        check_close(g.c, expected, M * N, 1e-5 * sqrt(K));
        if (i > DUMI_BF16_WIDE)
            ck_assert_mem_eq(c, wide, M * N * sizeof *c);
    }
    check_guard(c, M * N), check_guard(wide, M * N);
    p.r->unpack(p.ref, ours);
    p.o->unpack(p.other, theirs);
    drop(a), drop(b), drop(c), drop(wide), drop(expected);
    close_pair(&p);
}
END_TEST

/* What AVX2 and AVX-512 make of the same panels, whole tiles and all kinds of rests. */
START_TEST(float32_kernels_agree)
{
    enum { M = 41, N = 83, K = 301 };
    pair p = open_pair(1);
    dumi_rng rng;
    dumi_rng_init(&rng, 6, 99, 0);
    dumi_blis_kernel *kernel = p.other->backend_state;
    const int32_t best = kernel->direct;
    float *a = random_floats(&rng, (size_t)M * K), *b = random_floats(&rng, (size_t)K * N);
    float *c = random_floats(&rng, (size_t)M * N), *first = random_floats(&rng, (size_t)M * N);
    for (uint32_t flags = 0; flags < 8; flags++)
        for (int32_t m = 1; m <= M; m++)
            for (int32_t n = 1; n <= N; n += 6) {
                dumi_gemm g = {.m = m,
                               .n = n,
                               .k = K,
                               .a = a,
                               .a_row = K,
                               .a_col = 1,
                               .b = b,
                               .b_row = n,
                               .b_col = 1,
                               .c_row = N};
                if (flags & 1)
                    g.a_row = 1, g.a_col = M;
                g.add = flags & 2;
                dumi_packed *packed = flags & 4 ? p.o->pack(p.other, b, K, n, DUMI_FLOAT32) : NULL;
                g.packed = packed;
                for (kernel->direct = kernel->least; kernel->direct <= best; kernel->direct++) {
                    g.c = kernel->direct == kernel->least ? first : c;
                    for (int32_t i = 0; i < M * N; i++)
                        g.c[i] = (float)i;
                    p.o->gemm(p.other_stream, &g);
                    if (g.c == c)
                        ck_assert_mem_eq(c, first, (size_t)M * N * sizeof *c);
                }
                p.o->unpack(p.other, packed);
            }
    check_guard(c, (size_t)M * N), check_guard(first, (size_t)M * N);
    kernel->direct = best;
    drop(a), drop(b), drop(c), drop(first);
    close_pair(&p);
}
END_TEST

/* A row alone, and the same row among others, packed or not, for 1 to 4 threads: the same bits. */
START_TEST(gemm_is_bitwise_stable)
{
    enum { M = 300, N = 700, K = 520 };
    dumi_rng rng;
    dumi_rng_init(&rng, 3, 99, 0);
    float *a = random_floats(&rng, M * K), *b = random_floats(&rng, K * N);
    float *first[3], *c = random_floats(&rng, M * N), *few = random_floats(&rng, 7 * N);
    for (int i = 0; i < 3; i++)
        first[i] = random_floats(&rng, M * N);
    for (int32_t threads = 1; threads <= 4; threads++) {
        dum_context *context = open_context("blis", threads);
        const dumi_backend *backend = context->backend;
        dumi_stream *stream;
        ck_assert_int_eq(backend->stream_create(context, threads, M, N, K, &stream), DUM_OK);
        for (int32_t precision = DUMI_FLOAT32; precision <= DUMI_INT8; precision++) {
            float *to = threads == 1 ? first[precision] : c;
            dumi_packed *packed = backend->pack(context, b, K, N, precision);
            dumi_gemm g = {
                .m = M, .n = N, .k = K, .a = a, .a_row = K, .a_col = 1, .packed = packed, .c = to, .c_row = N};
            backend->gemm(stream, &g);
            ck_assert_mem_eq(to, first[precision], M * N * sizeof *to);
            for (int32_t row = 0; row < M; row += 37)
                for (int32_t rows = 1; rows <= 7 && row + rows <= M; rows++) {
                    g.m = rows;
                    g.a = a + row * K;
                    g.c = few;
                    backend->gemm(stream, &g);
                    ck_assert_mem_eq(few, first[precision] + row * N, (size_t)rows * N * sizeof *few);
                }
            backend->unpack(context, packed);
            if (precision == DUMI_INT8)
                continue;
            g = (dumi_gemm){.m = M,
                            .n = N,
                            .k = K,
                            .a = a,
                            .a_row = K,
                            .a_col = 1,
                            .b = b,
                            .b_row = N,
                            .b_col = 1,
                            .precision = precision,
                            .c = c,
                            .c_row = N};
            backend->gemm(stream, &g);
            ck_assert_mem_eq(c, first[precision], M * N * sizeof *c);
        }
        backend->stream_destroy(stream);
        dum_context_destroy(context);
    }
    drop(a), drop(b), drop(c), drop(few), drop(first[0]), drop(first[1]), drop(first[2]);
}
END_TEST

START_TEST(optimisers_match)
{
    pair p = open_pair(2);
    dumi_rng rng;
    dumi_rng_init(&rng, 13, 99, 0);
    const size_t counts[] = {1, 31, 32768, 32769, 100003};
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        const size_t count = counts[c];
        float *gradient = random_floats(&rng, count);
        float *theirs[3], *ours[3];
        for (int i = 0; i < 3; i++) {
            theirs[i] = random_floats(&rng, count);
            ours[i] = random_floats(&rng, count);
            for (size_t j = 0; j < count; j++)
                ours[i][j] = theirs[i][j] = fabsf(theirs[i][j]);
        }
        const dumi_step step = {
            .rate = 0.01f, .beta1 = 0.9f, .beta2 = 0.999f, .epsilon = 1e-8f, .decay = 0.1f, .scale = 0.5f};
        p.o->adam(p.other_stream, count, &step, gradient, theirs[0], theirs[1], theirs[2]);
        p.r->adam(p.ref_stream, count, &step, gradient, ours[0], ours[1], ours[2]);
        p.o->sgd(p.other_stream, count, &step, gradient, theirs[0], theirs[1]);
        p.r->sgd(p.ref_stream, count, &step, gradient, ours[0], ours[1]);
        double sum, expected;
        ck_assert_int_eq(p.o->dot(p.other_stream, count, gradient, gradient, &sum), DUM_OK);
        ck_assert_int_eq(p.r->dot(p.ref_stream, count, gradient, gradient, &expected), DUM_OK);
        ck_assert_double_eq_tol(sum, expected, 1e-9 * expected);
        for (int i = 0; i < 3; i++) {
            check_close(theirs[i], ours[i], count, 1e-6);
            check_guard(theirs[i], count);
            drop(theirs[i]), drop(ours[i]);
        }
        drop(gradient);
    }
    close_pair(&p);
}
END_TEST

/* A gradient that goes into its weights at once. */
START_TEST(updates_match)
{
    static const int32_t shapes[][3] = {{1, 1, 1},       {7, 33, 5},     {100, 40, 64},
                                        {203, 301, 256}, {61, 270, 700}, {9, 300, 3001}};
    dumi_rng rng;
    dumi_rng_init(&rng, 23, 99, 0);
    for (int32_t threads = 1; threads <= 2; threads++) {
        pair p = open_pair(threads);
        for (size_t i = 0; i < 4 * sizeof shapes / sizeof shapes[0]; i++) {
            const int32_t m = shapes[i / 4][0], n = shapes[i / 4][1], k = shapes[i / 4][2];
            const bool adam = i % 2;
            const size_t count = (size_t)m * (size_t)n;
            const dumi_step step = {
                .rate = 0.01f, .beta1 = 0.9f, .beta2 = 0.999f, .epsilon = 1e-8f, .decay = 0.1f, .scale = 0.5f};
            float *a = random_floats(&rng, (size_t)m * (size_t)k),
                  *b = random_floats(&rng, (size_t)n * (size_t)k);
            float *scratch = random_floats(&rng, count), *theirs[3], *ours[3];
            for (int v = 0; v < 3; v++) {
                theirs[v] = random_floats(&rng, count);
                ours[v] = random_floats(&rng, count);
                for (size_t j = 0; j < count; j++)
                    ours[v][j] = theirs[v][j] = 1 + fabsf(theirs[v][j]);
            }
            dumi_update update = {&step, theirs[0], theirs[1], adam ? theirs[2] : NULL};
            dumi_gemm g = {.m = m,
                           .n = n,
                           .k = k,
                           .a = a,
                           .a_row = 1,
                           .a_col = m,
                           .b = b,
                           .b_row = n,
                           .b_col = 1,
                           .precision = i / 2 % 2 ? DUMI_BFLOAT16 : DUMI_FLOAT32,
                           .c = scratch,
                           .c_row = n,
                           .update = &update};
            p.o->gemm(p.other_stream, &g);
            check_guard(scratch, count);
            update = (dumi_update){&step, ours[0], ours[1], adam ? ours[2] : NULL};
            p.r->gemm(p.ref_stream, &g);
            for (int v = 0; v < 3; v++) {
                check_close(theirs[v], ours[v], count, 1e-4);
                check_guard(theirs[v], count);
                drop(theirs[v]), drop(ours[v]);
            }
            drop(a), drop(b), drop(scratch);
        }
        close_pair(&p);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("backend");
    TCase *cases = tcase_create("operations");
    tcase_add_test(cases, gemm_matches);
    tcase_add_test(cases, gemm_is_bitwise_stable);
    tcase_add_test(cases, float32_kernels_agree);
    tcase_add_test(cases, bfloat16_kernels_agree);
    tcase_add_test(cases, optimisers_match);
    tcase_add_test(cases, updates_match);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
