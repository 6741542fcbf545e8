/* SPDX-License-Identifier: MIT
 * The loops round the micro-kernel (Goto & van de Geijn 2008; Van Zee & van de Geijn 2015): A is packed
 * into micro-panels by all threads, then each takes blocks of columns, packs its part of B where that is
 * needed, and multiplies tile by tile. Every element of C gets its products in the same order, whatever
 * m, the tile or the thread. */
#include "backend/blis/stream.h"

/* Rows and columns that one thread works on between two looks at memory: the parts of A and B fit into
 * the second cache. */
enum { ROWS = 192, COLS = 256 };
enum { MOST_A = 1 << 21, SMALL = 1 << 16, BAD_STRIDE = 1024 };

typedef struct {
    dumi_stream *stream;
    const dumi_gemm *g;
    int32_t row, rows, depth, depths; /* the rows and the part of the inner dimension of this pass */
    int32_t block_rows, task_rows, task_cols, row_tasks;
    bool direct_a, direct_b; /* used where they lie */
    bool own_a;              /* packed by each task for itself: no other needs the same rows */
    bool in_tiles;
} pass;

/* Memory that is fetched into the caches a little at a time, while something else is done: rows of 64-byte
 * lines. */
typedef struct {
    const float *from;
    int64_t row;
    int32_t rows, lines; /* left; in each row */
    int32_t line, share; /* next of this row; how many at a time */
} ahead;

/* A block of C in the hands of one thread, and its operands. */
typedef struct {
    const pass *x;
    int32_t row, rows, col, cols, depth, deep;
    int32_t rows_all; /* of the task */
    int32_t step;     /* rows of a row panel */
    const float *a;
    int64_t a_row, a_col, a_panel;
    const void *b; /* of `precision` */
    int64_t b_row, b_panel;
    int32_t precision;
    const float *scales;
    float *c;
    int64_t c_row;
    bool add, direct;
    ahead next_b; /* what will be packed next */
} block;

DUMI_CLONES void dumi_blis_finish(const dumi_gemm *g, int32_t row, int32_t rows, int32_t col, int32_t cols)
{
    for (int32_t i = row; i < row + rows; i++) {
        float *restrict c = g->c + i * g->c_row + col;
        if (g->bias != NULL) {
            const float *restrict bias = g->bias + col;
            for (int32_t j = 0; j < cols; j++)
                c[j] += bias[j];
        }
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

/* A partial tile goes through a whole one of its own, so that the kernel does the same arithmetic for it. */
static void multiply_part(const block *b, int32_t rows, int32_t cols, const float *left, const void *right,
                          const float *scales, float *c)
{
    const dumi_blis_kernel *kernel = b->x->stream->kernel;
    float tile[DUMI_MOST_MR * DUMI_MOST_NR] __attribute__((aligned(64)));
    for (int32_t i = 0; i < kernel->mr && b->add; i++)
        for (int32_t j = 0; j < kernel->nr; j++)
            tile[i * kernel->nr + j] = i < rows && j < cols ? c[i * b->c_row + j] : 0;
    if (b->direct || (kernel->direct && rows < kernel->mr)) {
        const dumi_direct d = {b->deep,  b->add, left, b->a_row,   b->a_col,     right,
                               b->b_row, 0,      tile, kernel->nr, b->precision, scales};
        dumi_blis_direct(rows, 1, &d);
    } else {
        dumi_blis_multiply(kernel, kernel->mr, kernel->nr, b->deep, left, right, b->add ? 1 : 0, tile,
                           kernel->nr);
    }
    for (int32_t i = 0; i < rows; i++)
        memcpy(c + i * b->c_row, tile + (ptrdiff_t)i * kernel->nr, (size_t)cols * sizeof *c);
}

/* One row panel by one column panel or, where that is all of the rows, several. Returns how many. */
static int32_t multiply_tile(const block *b, int32_t rows, int32_t cols, const float *left, const void *right,
                             const float *scales, float *c)
{
    const dumi_blis_kernel *kernel = b->x->stream->kernel;
    if (cols < kernel->nr || (rows < kernel->mr && !kernel->direct)) {
        multiply_part(b, rows, dumi_least(cols, kernel->nr), left, right, scales, c);
        return 1;
    }
    if (b->direct || rows < kernel->mr) {
        const dumi_direct d = {b->deep,  b->add,     left, b->a_row, b->a_col,     right,
                               b->b_row, b->b_panel, c,    b->c_row, b->precision, scales};
        return dumi_blis_direct(rows, b->rows == rows ? cols / DUMI_DIRECT_COLS : 1, &d);
    }
    dumi_blis_multiply(kernel, rows, kernel->nr, b->deep, left, right, b->add ? 1 : 0, c, b->c_row);
    return 1;
}

/* Inline always: a compiler may take a call that only fetches for one without effect. */
static inline __attribute__((always_inline)) void fetch(ahead *next)
{
    for (int32_t left = next->share; left > 0 && next->rows > 0; left--) {
        __builtin_prefetch(next->from + (ptrdiff_t)16 * next->line, 0, 2);
        if (++next->line == next->lines) {
            next->line = 0;
            next->rows--;
            next->from += next->row;
        }
    }
}

static void multiply_block(block *b)
{
    const dumi_blis_kernel *kernel = b->x->stream->kernel;
    const int32_t step = b->step, nr = kernel->nr;
    const char *right = b->b;
    const int64_t panel = b->b_panel * (int64_t)dumi_element_size(b->precision);
    for (int32_t col = 0, done = 1; col < b->cols; col += done * nr, right += done * panel) {
        const float *left = b->a;
        float *c = b->c + col;
        if (b->direct && b->rows > step && b->cols - col >= nr) {
            /* The whole column of tiles in one loop: a call for each would cost a twentieth of its time. */
            dumi_direct d = {b->deep,  b->add, left, b->a_row, b->a_col,     right,
                             b->b_row, 0,      c,    b->c_row, b->precision, NULL};
            dumi_blis_direct_rows(b->rows, step, b->a_panel, &d);
            done = 1;
            continue;
        }
        for (int32_t row = 0; row < b->rows; row += step, left += b->a_panel, c += step * b->c_row) {
            fetch(&b->next_b);
            done = multiply_tile(b, dumi_least(step, b->rows - row), b->cols - col, left, right,
                                 b->scales != NULL ? b->scales + col : NULL, c);
        }
    }
}

/* What the optimiser will want of a row panel's weights. */
static inline __attribute__((always_inline)) void fetch_update(const block *b, int32_t row, int32_t col)
{
    const dumi_update *u = b->x->g->update;
    const int32_t rows = dumi_least(b->step, b->rows - row);
    for (int32_t i = 0; i < rows; i++) {
        const size_t at = (size_t)(b->row + row + i) * (size_t)b->x->g->n + (size_t)(b->col + col);
        __builtin_prefetch(u->weights + at, 0, 2);
        __builtin_prefetch(u->first + at, 0, 2);
        if (u->second != NULL)
            __builtin_prefetch(u->second + at, 0, 2);
    }
}

/* With an update, row panel by row panel: long pieces of few rows, whose weights and moments come from memory
 * while the row panel before is multiplied. Rows whose distance is a power of two share few places of a cache:
 * of more rows, the first would be gone when the last are there. */
static void multiply_and_update(block *b)
{
    const dumi_blis_kernel *kernel = b->x->stream->kernel;
    const dumi_update *u = b->x->g->update;
    const bool last = b->depth + b->deep == b->x->g->k;
    for (int32_t row = 0; row < b->rows; row += b->step) {
        const int32_t rows = dumi_least(b->step, b->rows - row);
        const float *left = b->a + row / b->step * b->a_panel, *right = b->b;
        float *c = b->x->in_tiles ? b->c : b->c + row * b->c_row;
        for (int32_t col = 0; col < b->cols; col += kernel->nr, right += b->b_panel) {
            if (last && row + b->step < b->rows)
                fetch_update(b, row + b->step, col);
            multiply_tile(b, rows, dumi_least(kernel->nr, b->cols - col), left, right, NULL, c + col);
        }
        for (int32_t i = 0; i < rows && last; i++)
            dumi_ref_update(u, (size_t)(b->row + row + i) * (size_t)b->x->g->n + (size_t)b->col,
                            (size_t)b->cols, c + i * b->c_row);
    }
}

/* Spread over the tiles of the block. */
static void fetch_later(block *b, const float *from, int64_t row, int32_t rows, int64_t floats)
{
    const dumi_blis_kernel *kernel = b->x->stream->kernel;
    const int32_t lines = (int32_t)((floats + 15) / 16);
    const int64_t tiles =
        (int64_t)((b->rows_all + kernel->mr - 1) / kernel->mr) * ((b->cols + kernel->nr - 1) / kernel->nr);
    b->next_b =
        (ahead){from, row, floats > 0 ? rows : 0, lines, 0, (int32_t)((int64_t)rows * lines / tiles) + 1};
}

/* This worker's columns of B, as they will be multiplied. */
static void prepare_b(block *b, int32_t worker)
{
    const pass *x = b->x;
    const dumi_gemm *g = x->g;
    const dumi_blis_kernel *kernel = x->stream->kernel;
    b->b_row = kernel->nr;
    b->b_panel = (int64_t)kernel->nr * b->deep;
    b->precision = DUMI_FLOAT32;
    float *own = x->stream->pack_b; /* NULL where nothing is ever packed here */
    if (own != NULL)
        own += (int64_t)worker * kernel->kc * x->stream->cols_b;
    if (g->packed != NULL) {
        const int64_t at = (int64_t)b->depth * dumi_round_up(g->n, kernel->nr) + (int64_t)b->col * b->deep;
        const int32_t precision = g->packed->precision;
        b->b = (const char *)g->packed->panels + at * (int64_t)dumi_element_size(precision);
        b->scales = g->packed->scales + b->col;
        if (x->direct_a && x->direct_b) {
            b->precision = precision;
        } else if (precision != DUMI_FLOAT32) {
            dumi_blis_widen(g->packed, at, b->col, kernel->nr, b->deep, (b->cols + kernel->nr - 1) / kernel->nr,
                            own);
            b->b = own;
        } else if (b->rows_all > kernel->mr) {
            fetch_later(b, (const float *)b->b + b->b_panel, 0, 1,
                        (int64_t)b->b_panel * ((b->cols - 1) / kernel->nr));
        }
        return;
    }
    const float *from = g->b + b->depth * g->b_row + b->col * g->b_col;
    b->scales = NULL;
    if (x->direct_b) {
        b->b = from;
        b->b_row = g->b_row;
        b->b_panel = kernel->nr;
        return;
    }
    dumi_blis_pack_panels(from, g->b_col, g->b_row, b->cols, kernel->nr, b->deep, own);
    b->b = own;
    const int32_t left = dumi_least(kernel->kc, x->depth + x->depths - b->depth - b->deep);
    if (g->b_col == 1)
        fetch_later(b, from + b->deep * g->b_row, g->b_row, left, b->cols);
    else if (g->b_row == 1)
        fetch_later(b, from + b->deep, g->b_col, b->cols, left);
}

static void pack_rows(const dumi_gemm *g, int32_t mr, int32_t row, int32_t rows, int32_t depth, int32_t deep,
                      float *to)
{
    dumi_blis_pack_panels(g->a + row * g->a_row + depth * g->a_col, g->a_row, g->a_col, rows, mr, deep, to);
}

static void prepare_a(block *b, int32_t worker)
{
    const pass *x = b->x;
    const dumi_gemm *g = x->g;
    const int32_t mr = x->stream->kernel->mr;
    b->step = mr;
    b->a_row = 1;
    b->a_col = mr;
    b->a_panel = (int64_t)mr * b->deep;
    if (x->direct_a) {
        /* 8 rows are better taken as 4 and 4 than as 6 and 2. */
        const int32_t panels = (b->rows + mr - 1) / mr;
        b->step = (b->rows + panels - 1) / panels;
        b->a = g->a + b->row * g->a_row + b->depth * g->a_col;
        b->a_row = g->a_row;
        b->a_col = g->a_col;
        b->a_panel = b->step * g->a_row;
    } else if (x->own_a) {
        float *to = x->stream->pack_a + (int64_t)worker * dumi_round_up(ROWS, mr) * x->stream->kernel->kc;
        pack_rows(g, mr, b->row, b->rows, b->depth, b->deep, to);
        b->a = to;
    } else {
        b->a = x->stream->pack_a + (int64_t)(b->depth - x->depth) * dumi_round_up(x->rows, mr) +
               (int64_t)(b->row - x->row) * b->deep;
    }
}

enum { PACKED_PANELS = 8 };

/* Some row panels, all of the pass's depth. */
static void pack_a_task(void *argument, int64_t task, int32_t worker)
{
    (void)worker;
    const pass *x = argument;
    const dumi_blis_kernel *kernel = x->stream->kernel;
    const int32_t rows = PACKED_PANELS * kernel->mr, row = (int32_t)task * rows,
                  wide = dumi_round_up(x->rows, kernel->mr);
    for (int32_t depth = 0; depth < x->depths; depth += kernel->kc) {
        const int32_t deep = dumi_least(kernel->kc, x->depths - depth);
        pack_rows(x->g, kernel->mr, x->row + row, dumi_least(rows, x->rows - row), x->depth + depth, deep,
                  x->stream->pack_a + (int64_t)depth * wide + (int64_t)row * deep);
    }
}

static void multiply_task(void *argument, int64_t task, int32_t worker)
{
    const pass *x = argument;
    const dumi_gemm *g = x->g;
    const dumi_blis_kernel *kernel = x->stream->kernel;
    const int32_t first = x->row + (int32_t)(task % x->row_tasks) * x->task_rows;
    const int32_t end = dumi_least(first + x->task_rows, x->row + x->rows);
    block b = {
        .x = x, .direct = x->direct_a || x->direct_b, .col = (int32_t)(task / x->row_tasks) * x->task_cols};
    b.cols = dumi_least(x->task_cols, g->n - b.col);
    b.rows_all = end - first;
    for (b.depth = x->depth; b.depth < x->depth + x->depths; b.depth += b.deep) {
        b.deep = dumi_least(kernel->kc, x->depth + x->depths - b.depth);
        b.add = b.depth > 0 || g->add;
        b.next_b.rows = 0;
        prepare_b(&b, worker);
        for (b.row = first; b.row < end; b.row += b.rows) {
            b.rows = dumi_least(x->block_rows, end - b.row);
            prepare_a(&b, worker);
            b.c = g->c + b.row * g->c_row + b.col;
            b.c_row = g->c_row;
            if (x->in_tiles) {
                b.c_row = x->task_cols;
                b.c = x->stream->tiles + (int64_t)worker * kernel->mr * x->task_cols;
            }
            if (g->update != NULL) {
                multiply_and_update(&b);
                continue;
            }
            multiply_block(&b);
            if (b.depth + b.deep == g->k)
                dumi_blis_finish(g, b.row, b.rows, b.col, b.cols);
        }
    }
}

/* Columns and rows of a task: enough tasks for the threads, none too thin. Bits do not depend on it. */
static void divide(pass *x)
{
    const dumi_gemm *g = x->g;
    const dumi_blis_kernel *kernel = x->stream->kernel;
    int32_t most_cols = COLS;
    if (!x->direct_b && (g->packed == NULL || g->packed->precision != DUMI_FLOAT32))
        most_cols = dumi_least(most_cols, x->stream->cols_b);
    const int32_t wanted = 4 * x->stream->threads;
    x->block_rows = dumi_round_up(ROWS, kernel->mr);
    x->task_rows = dumi_round_up(x->rows, kernel->mr);
    x->task_cols = dumi_round_up(dumi_least(most_cols, g->n), kernel->nr);
    if (x->stream->threads > 1) {
        const int32_t share = dumi_round_up((g->n + wanted - 1) / wanted, 2 * kernel->nr);
        x->task_cols = dumi_least(x->task_cols, share > 64 ? share : dumi_round_up(64, kernel->nr));
        const int32_t col_tasks = (g->n + x->task_cols - 1) / x->task_cols;
        const int32_t row_share = (x->rows * col_tasks + wanted - 1) / wanted;
        if (col_tasks < wanted && row_share < x->task_rows)
            x->task_rows = dumi_round_up(row_share > 48 ? row_share : 48, kernel->mr);
    }
    x->row_tasks = (x->rows + x->task_rows - 1) / x->task_rows;
}

static void run_pass(pass *x)
{
    dumi_stream *stream = x->stream;
    const dumi_blis_kernel *kernel = stream->kernel;
    if (!x->direct_a && !x->own_a)
        dumi_parallel(stream->context, stream->threads,
                      (x->rows + PACKED_PANELS * kernel->mr - 1) / (PACKED_PANELS * kernel->mr),
                      4.0 * x->rows * x->depths, pack_a_task, x);
    divide(x);
    const int64_t col_tasks = (x->g->n + x->task_cols - 1) / x->task_cols;
    dumi_parallel(stream->context, stream->threads, x->row_tasks * col_tasks,
                  2.0 * x->rows * x->g->n * x->depths / 16, multiply_task, x);
}

/* Where packing costs more than it saves: few rows, or all of it in the second cache (unless the rows are
 * apart by what makes them all fall into the same few places of the first). */
static void choose(pass *x)
{
    const dumi_gemm *g = x->g;
    const bool direct = x->stream->kernel->direct;
    const int64_t size_a = (int64_t)g->m * g->k, size_b = (int64_t)g->k * g->n;
    const bool bad_a = g->a_col == 1 && g->a_row % BAD_STRIDE == 0;
    x->direct_a = direct && (g->m <= DUMI_DIRECT_ROWS || (!bad_a && (size_a <= SMALL || g->n <= 64)));
    x->own_a = !x->direct_a && g->n <= COLS && g->update == NULL;
    if (g->packed != NULL) {
        x->direct_b = x->direct_a && g->m <= DUMI_DIRECT_ROWS;
        return;
    }
    x->direct_b = direct && g->b_col == 1 && g->n % DUMI_DIRECT_COLS == 0 &&
                  (g->m <= 2 * DUMI_DIRECT_ROWS || (size_b <= SMALL && g->b_row % BAD_STRIDE != 0));
}

void dumi_blis_gemm(dumi_stream *stream, const dumi_gemm *g)
{
    const dumi_blis_kernel *kernel = stream->kernel;
    if ((g->packed != NULL ? g->packed->precision : g->precision) == DUMI_BFLOAT16) {
        dumi_blis_bf16_gemm(stream, g);
        return;
    }
    pass x = {.stream = stream, .g = g};
    choose(&x);
    x.in_tiles = g->update != NULL && stream->tiles != NULL && g->k <= kernel->kc;
    int32_t most_rows = g->m, most_depth = g->k;
    if (!x.direct_a && !x.own_a) {
        const int32_t shallow = dumi_least(kernel->kc, g->k);
        const int32_t fit = (int32_t)(stream->capacity_a / (size_t)shallow) / kernel->mr * kernel->mr;
        most_rows = dumi_least(fit, g->m);
        const size_t deep = stream->capacity_a / (size_t)dumi_round_up(most_rows, kernel->mr);
        if (deep < (size_t)g->k)
            most_depth = (int32_t)deep / kernel->kc * kernel->kc;
    }
    for (x.row = 0; x.row < g->m; x.row += x.rows) {
        x.rows = dumi_least(most_rows, g->m - x.row);
        for (x.depth = 0; x.depth < g->k; x.depth += x.depths) {
            x.depths = dumi_least(most_depth, g->k - x.depth);
            run_pass(&x);
        }
    }
}

dum_status dumi_blis_gemm_create(dumi_stream *stream, int32_t max_m, int32_t max_n, int32_t max_k)
{
    const dumi_blis_kernel *kernel = stream->kernel;
    const size_t all = (size_t)dumi_round_up(max_m, kernel->mr) * (size_t)max_k;
    const size_t own = (size_t)stream->threads * (size_t)dumi_round_up(ROWS, kernel->mr) * (size_t)kernel->kc;
    stream->capacity_a = all < MOST_A ? all : MOST_A;
    if (stream->capacity_a < own)
        stream->capacity_a = own;
    DUMI_TRY(DUMI_NEW(stream->context, stream->pack_a, stream->capacity_a));
    if (max_n == 0)
        return DUM_OK;
    const size_t workers = (size_t)stream->threads;
    stream->cols_b = dumi_round_up(dumi_least(max_n, COLS), kernel->nr);
    DUMI_TRY(DUMI_NEW(stream->context, stream->pack_b, workers * (size_t)kernel->kc * (size_t)stream->cols_b));
    return DUMI_NEW(stream->context, stream->tiles,
                    workers * (size_t)kernel->mr * (size_t)dumi_round_up(COLS, kernel->nr));
}

void dumi_blis_gemm_destroy(dumi_stream *stream)
{
    dumi_free(stream->context, stream->pack_a);
    dumi_free(stream->context, stream->pack_b);
    dumi_free(stream->context, stream->tiles);
}
