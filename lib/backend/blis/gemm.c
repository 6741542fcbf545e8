/* SPDX-License-Identifier: MIT
 * The loops round the micro-kernel (Goto & van de Geijn 2008; Van Zee & van de Geijn 2015): for each
 * block of kc of the inner dimension, pack A and B into micro-panels, then multiply tile by tile.
 * Every element of C gets its products in the same order, whatever m, the tile or the thread. */
#include "backend/blis/stream.h"

/* A matrix b of k x n in micro-panels: for each block of kc rows, for each nr columns, kc x nr. */
struct dumi_packed {
    int32_t k, n;
    float panels[] __attribute__((aligned(64)));
};

typedef struct {
    dumi_stream *stream;
    const dumi_gemm *g;
    int32_t row, rows, col, cols, depth, deep; /* the chunk of C, and the block of the inner dimension */
    int32_t task_rows, task_cols, row_tasks;
    const float *b; /* packed panels of this block, from column `col` */
    bool first, last;
} block;

/* Packs `panels` micro-panels of `width` vectors each: vector v of step p lies at from[v * across + p * along]. */
static void pack_panel(const float *from, int64_t across, int64_t along, int32_t vectors, int32_t width,
                       int32_t steps, float *restrict to)
{
    if (vectors < width)
        memset(to, 0, (size_t)width * (size_t)steps * sizeof *to);
    if (across == 1) {
        for (int32_t p = 0; p < steps; p++)
            memcpy(to + (int64_t)p * width, from + p * along, (size_t)vectors * sizeof *to);
        return;
    }
    for (int32_t v = 0; v < vectors; v++) {
        const float *restrict vector = from + v * across;
        for (int32_t p = 0; p < steps; p++)
            to[(int64_t)p * width + v] = vector[p * along];
    }
}

static int32_t least(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static void pack_a_task(void *argument, int64_t task, int32_t worker)
{
    (void)worker;
    const block *x = argument;
    const dumi_gemm *g = x->g;
    const int32_t mr = x->stream->kernel->mr, row = (int32_t)task * mr;
    pack_panel(g->a + (x->row + row) * g->a_row + x->depth * g->a_col, g->a_row, g->a_col,
               least(mr, x->rows - row), mr, x->deep, x->stream->pack_a + (int64_t)row * x->deep);
}

static void pack_b_task(void *argument, int64_t task, int32_t worker)
{
    (void)worker;
    const block *x = argument;
    const dumi_gemm *g = x->g;
    const int32_t nr = x->stream->kernel->nr, col = (int32_t)task * nr;
    pack_panel(g->b + (x->col + col) * g->b_col + x->depth * g->b_row, g->b_col, g->b_row,
               least(nr, x->cols - col), nr, x->deep, x->stream->pack_b + (int64_t)col * x->deep);
}

/* bias, ReLU and mask on a piece of C that is still in cache. */
static void finish(const dumi_gemm *g, int32_t row, int32_t rows, int32_t col, int32_t cols)
{
    for (int32_t i = row; i < row + rows; i++) {
        float *restrict c = g->c + i * g->c_row + col;
        if (g->bias != NULL)
            for (int32_t j = 0; j < cols; j++)
                c[j] += g->bias[col + j];
        if (g->relu)
            for (int32_t j = 0; j < cols; j++)
                c[j] = c[j] > 0 ? c[j] : 0;
        if (g->mask != NULL) {
            const float *restrict mask = g->mask + (int64_t)i * g->n + col;
            for (int32_t j = 0; j < cols; j++)
                c[j] = mask[j] > 0 ? c[j] : 0;
        }
    }
}

/* One micro-tile; a partial one goes through a whole tile of its own, so that the kernel does the
 * same arithmetic for it. */
static void multiply_tile(const block *x, int32_t row, int32_t col, const float *a, const float *b)
{
    const dumi_blis_kernel *kernel = x->stream->kernel;
    const int32_t rows = least(kernel->mr, x->row + x->rows - row);
    const int32_t cols = least(kernel->nr, x->col + x->cols - col);
    const float beta = x->first ? 0 : 1;
    float *c = x->g->c + row * x->g->c_row + col;
    if (rows == kernel->mr && cols == kernel->nr) {
        dumi_blis_multiply(kernel, rows, cols, x->deep, a, b, beta, c, x->g->c_row);
        return;
    }
    float tile[DUMI_MOST_MR * DUMI_MOST_NR] __attribute__((aligned(64)));
    for (int32_t i = 0; i < kernel->mr && !x->first; i++)
        for (int32_t j = 0; j < kernel->nr; j++)
            tile[i * kernel->nr + j] = i < rows && j < cols ? c[i * x->g->c_row + j] : 0;
    dumi_blis_multiply(kernel, kernel->mr, kernel->nr, x->deep, a, b, beta, tile, kernel->nr);
    for (int32_t i = 0; i < rows; i++)
        memcpy(c + i * x->g->c_row, tile + (ptrdiff_t)i * kernel->nr, (size_t)cols * sizeof *c);
}

static void multiply_task(void *argument, int64_t task, int32_t worker)
{
    (void)worker;
    const block *x = argument;
    const dumi_blis_kernel *kernel = x->stream->kernel;
    const int32_t row = (int32_t)(task % x->row_tasks) * x->task_rows;
    const int32_t col = (int32_t)(task / x->row_tasks) * x->task_cols;
    const int32_t row_end = least(row + x->task_rows, x->rows), col_end = least(col + x->task_cols, x->cols);
    for (int32_t j = col; j < col_end; j += kernel->nr)
        for (int32_t i = row; i < row_end; i += kernel->mr)
            multiply_tile(x, x->row + i, x->col + j, x->stream->pack_a + (int64_t)i * x->deep,
                          x->b + (int64_t)j * x->deep);
    if (x->last)
        finish(x->g, x->row + row, row_end - row, x->col + col, col_end - col);
}

static void multiply_block(block *x)
{
    dumi_stream *stream = x->stream;
    const dumi_gemm *g = x->g;
    const dumi_blis_kernel *kernel = stream->kernel;
    const double moved = 4.0 * x->deep;
    dumi_parallel(stream->context, stream->threads, (x->rows + kernel->mr - 1) / kernel->mr, moved * x->rows,
                  pack_a_task, x);
    if (g->packed != NULL) {
        x->b =
            g->packed->panels + (int64_t)x->depth * dumi_round_up(g->n, kernel->nr) + (int64_t)x->col * x->deep;
    } else {
        dumi_parallel(stream->context, stream->threads, (x->cols + kernel->nr - 1) / kernel->nr,
                      moved * x->cols, pack_b_task, x);
        x->b = stream->pack_b;
    }
    const int64_t col_tasks = (x->cols + x->task_cols - 1) / x->task_cols;
    x->row_tasks = (x->rows + x->task_rows - 1) / x->task_rows;
    dumi_parallel(stream->context, stream->threads, x->row_tasks * col_tasks,
                  2.0 * x->rows * x->cols * x->deep / 16, multiply_task, x);
}

void dumi_blis_gemm(dumi_stream *stream, const dumi_gemm *g)
{
    const dumi_blis_kernel *kernel = stream->kernel;
    const int32_t chunk_n = g->packed != NULL ? g->n : stream->chunk_n;
    block x = {.stream = stream, .g = g};
    x.task_rows = dumi_round_up(DUMI_TASK_ROWS, kernel->mr);
    x.task_cols = dumi_round_up(least(DUMI_TASK_COLS, (g->n + 3) / 4), kernel->nr);
    for (x.col = 0; x.col < g->n; x.col += chunk_n) {
        x.cols = least(chunk_n, g->n - x.col);
        for (x.row = 0; x.row < g->m; x.row += stream->chunk_m) {
            x.rows = least(stream->chunk_m, g->m - x.row);
            for (x.depth = 0; x.depth < g->k; x.depth += kernel->kc) {
                x.deep = least(kernel->kc, g->k - x.depth);
                x.first = x.depth == 0;
                x.last = x.depth + x.deep == g->k;
                multiply_block(&x);
            }
        }
    }
}

dumi_packed *dumi_blis_pack(dum_context *context, const float *b, int32_t k, int32_t n)
{
    const dumi_blis_kernel *kernel = context->backend_state;
    const int32_t wide = dumi_round_up(n, kernel->nr);
    dumi_packed *packed = dumi_alloc(context, sizeof *packed + (size_t)k * (size_t)wide * sizeof(float), 1);
    if (packed == NULL)
        return NULL;
    packed->k = k;
    packed->n = n;
    for (int32_t depth = 0; depth < k; depth += kernel->kc) {
        const int32_t deep = least(kernel->kc, k - depth);
        for (int32_t col = 0; col < n; col += kernel->nr)
            pack_panel(b + (int64_t)depth * n + col, 1, n, least(kernel->nr, n - col), kernel->nr, deep,
                       packed->panels + (int64_t)depth * wide + (int64_t)col * deep);
    }
    return packed;
}

void dumi_blis_unpack(dum_context *context, dumi_packed *packed)
{
    dumi_free(context, packed);
}
