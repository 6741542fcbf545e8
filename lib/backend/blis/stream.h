/* SPDX-License-Identifier: MIT */
#ifndef DUMI_BLIS_STREAM_H
#define DUMI_BLIS_STREAM_H

#include "backend/ref/ref.h"

/* BLIS's single-precision micro-kernel and the sizes it wants, in plain types: blis.h is included by
 * one file only. */
typedef struct {
    int32_t mr, nr, kc;
    int32_t direct; /* DUMI_DIRECT_NONE, ...: micro-kernels of ours beside BLIS's, with the same bits */
    int32_t least;  /* of those that could do on these panels */
    int32_t bf16;   /* DUMI_BF16_NATIVE, ... */
    void *kernel, *context;
} dumi_blis_kernel;

/* C (m x n, row-major with c_row) = beta C + A B on packed micro-panels. */
void dumi_blis_multiply(const dumi_blis_kernel *kernel, int32_t m, int32_t n, int32_t k, const float *a,
                        const float *b, float beta, float *c, int64_t c_row);

enum { DUMI_DIRECT_ROWS = 6, DUMI_DIRECT_COLS = 16 };
/* Those of direct.c where BLIS's is too large, those of wide.c in place of it. */
enum { DUMI_DIRECT_NONE, DUMI_DIRECT_AVX2, DUMI_DIRECT_AVX512 };

/* Up to 6 rows of A (any strides), or two times as many a_panel apart, by panels of 16 columns of B, b_panel apart,
 * rows b_row apart. */
typedef struct {
    int32_t k;
    bool add; /* to what C holds */
    const float *a;
    int64_t a_row, a_col, a_panel;
    const void *b; /* of `precision`: float32 or int8 */
    int64_t b_row, b_panel;
    float *c;
    int64_t c_row;
    int32_t precision;
    const float *scales; /* of B's columns; int8 only */
} dumi_direct;

/* Memory that is fetched into the caches a little at a time, while something else is done: line by line (of 64
 * bytes) of a row of each of the arrays, row by row. */
typedef struct {
    const float *from[3];
    int64_t row;
    int32_t arrays, rows, lines; /* rows: left; lines: in each row */
    int32_t array, line, share;  /* the next one; how many at a time */
} dumi_ahead;

/* Inline always: a compiler may take a call that only fetches for one without effect. */
static inline __attribute__((always_inline)) void dumi_fetch(dumi_ahead *next)
{
    __builtin_prefetch(next->from[next->array] + (ptrdiff_t)16 * next->line, 0, 2);
    if (++next->line < next->lines)
        return;
    next->line = 0;
    if (++next->array < next->arrays)
        return;
    next->array = 0;
    next->rows--;
    for (int32_t i = 0; i < next->arrays; i++)
        next->from[i] += next->row;
}

static inline __attribute__((always_inline)) void dumi_fetch_share(dumi_ahead *next)
{
    for (int32_t left = next->share; left > 0 && next->rows > 0; left--)
        dumi_fetch(next);
}

/* Does some of the `panels` side by side; returns how many. */
int32_t dumi_blis_direct(int32_t rows, int32_t panels, const dumi_direct *d);
/* One panel, any number of rows, `step` at a time, whose parts of A lie a_panel apart. */
void dumi_blis_direct_rows(int32_t rows, int32_t step, dumi_direct *d);
bool dumi_blis_direct_runs(void);
/* The same with AVX-512; rows beyond `step` are those of the second panel of A. */
int32_t dumi_blis_wide(int32_t rows, int32_t step, int32_t panels, const dumi_direct *d, dumi_ahead *next);
bool dumi_blis_wide_runs(void);

/* Kernels of bf16.c, from the one that runs everywhere to the fastest: AVX2, AVX-512, AVX512-BF16. */
enum { DUMI_BF16_PLAIN, DUMI_BF16_WIDE, DUMI_BF16_WIDEST, DUMI_BF16_NATIVE };
/* The last of them that runs here. */
int32_t dumi_blis_bf16_best(void);
void dumi_blis_bf16_gemm(dumi_stream *stream, const dumi_gemm *gemm);
dumi_packed *dumi_blis_bf16_pack(dum_context *context, const float *b, int32_t k, int32_t n);

/* 6 rows of A by a panel of 16 columns of B, or two b_panel apart: A's element (r, p) is a[r][col[p]]. Rows may be the
 * same. */
typedef struct {
    int32_t k, panels;
    bool add; /* to what C holds */
    const int32_t *col;
    const float *a[DUMI_DIRECT_ROWS];
    const float *b;
    int64_t b_row, b_panel;
    float *c[DUMI_DIRECT_ROWS];
} dumi_tile;

typedef void (*dumi_tile_fn)(const dumi_tile *tile);
/* The best for the running processor. *panels: how many it takes at most. */
dumi_tile_fn dumi_blis_tile(int32_t *panels);

/* What convolutions and batch norms need room for; sizes in elements. */
typedef struct {
    size_t frame, pixels, taps, panels, partial, column; /* frame, pixels and column: of each worker */
    float *frames;                                       /* images with zeros round them */
    int32_t *from, *to;                                  /* pixels: in the frame and in the result */
    int32_t *tap;
    float *panel;    /* packed weights */
    float *partials; /* gradients by the weights, from parts of the batch */
    float *columns;  /* 16 columns of a matrix that has fewer left */
    size_t batch;    /* columns of a batch norm */
    double *sums;    /* two a piece of the rows and column */
    float *factors;  /* three a column */
} dumi_conv_room;

enum { DUMI_BATCH_PIECES = 64 };

enum { DUMI_MOST_MR = 64, DUMI_MOST_NR = 64 };

struct dumi_stream {
    dum_context *context;
    const dumi_blis_kernel *kernel;
    int32_t threads;
    size_t capacity_a; /* floats of pack_a */
    float *pack_a;
    int32_t cols_b;
    float *pack_b; /* for each worker, cols_b columns of kc */
    float *tiles;  /* for each worker, a tile of C that never reaches memory; NULL: none */
    dumi_conv_room room;
};

/* A matrix b of k x n in micro-panels: for each block of kc rows, for each nr columns, kc x nr. bfloat16: as bf16.c
 * has it. */
struct dumi_packed {
    int32_t precision; /* DUMI_FLOAT32, ... */
    float *scales;     /* of the columns; int8 only */
    void *panels;      /* both lie behind the struct */
};

static inline size_t dumi_element_size(int32_t precision)
{
    return precision == DUMI_INT8 ? 1 : sizeof(float);
}

/* int8 elements of panels of `width`, from element `at` on and from column `col` on, as float32. */
void dumi_blis_widen(const dumi_packed *packed, int64_t at, int32_t col, int32_t width, int32_t steps,
                     int32_t panels, float *restrict to);

/* Micro-panels side by side, the last filled up with 0: vector v of step p lies at
 * from[v * across + p * along]. */
void dumi_blis_pack_panels(const float *from, int64_t across, int64_t along, int32_t vectors, int32_t width,
                           int32_t steps, float *restrict to);
dumi_packed *dumi_blis_pack(dum_context *context, const float *b, int32_t k, int32_t n, int32_t precision);
void dumi_blis_unpack(dum_context *context, dumi_packed *packed);

dum_status dumi_blis_gemm_create(dumi_stream *stream, int32_t max_m, int32_t max_n, int32_t max_k);
void dumi_blis_gemm_destroy(dumi_stream *stream);
void dumi_blis_gemm(dumi_stream *stream, const dumi_gemm *gemm);
/* Bias, ReLU and mask on a piece of C that is still in cache. */
void dumi_blis_finish(const dumi_gemm *g, int32_t row, int32_t rows, int32_t col, int32_t cols);

void dumi_blis_adam(dumi_stream *stream, size_t count, const dumi_step *step, const float *gradient,
                    float *weights, float *first, float *second);
void dumi_blis_sgd(dumi_stream *stream, size_t count, const dumi_step *step, const float *gradient,
                   float *weights, float *velocity);
dum_status dumi_blis_dot(dumi_stream *stream, size_t count, const float *x, const float *y, double *sum);

dum_status dumi_blis_conv_reserve(dumi_stream *stream, const dumi_conv_shape *shape);
void dumi_blis_conv_destroy(dumi_stream *stream);
dumi_packed *dumi_blis_conv_pack(dum_context *context, const dumi_conv_shape *shape, const float *weights);
void dumi_blis_conv(dumi_stream *stream, const dumi_conv *conv, const float *x, float *y);
void dumi_blis_conv_input(dumi_stream *stream, const dumi_conv_shape *shape, const float *weights,
                          const float *d_y, bool add, float *d_x);
void dumi_blis_conv_weights(dumi_stream *stream, const dumi_conv_shape *shape, const float *x, const float *d_y,
                            float *d_weights);
void dumi_blis_batch_moments(dumi_stream *stream, int32_t rows, int32_t cols, const float *x, float *mean,
                             float *variance);
void dumi_blis_batch_norm(dumi_stream *stream, const dumi_batch_norm *norm, const float *x, const float *add,
                          bool relu, float *y);
void dumi_blis_batch_norm_backward(dumi_stream *stream, const dumi_batch_norm *norm, const float *x,
                                   const float *y, float *d, float *d_add, bool more, float *d_gamma,
                                   float *d_beta);
dum_status dumi_blis_cross_entropy(dumi_stream *stream, const dumi_cross_entropy *shape, const float *logits,
                                   float *d_logits, float *d_row_scale, double *loss, int64_t *right);

static inline int32_t dumi_round_up(int32_t value, int32_t step)
{
    return (value + step - 1) / step * step;
}

static inline int32_t dumi_least(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

#endif
