/* SPDX-License-Identifier: MIT
 * The loops round the micro-kernel (Goto & van de Geijn 2008; Van Zee & van de Geijn 2015): A is packed
 * into micro-panels by all threads, then each takes blocks of columns, packs its part of B where that is
 * needed, and multiplies tile by tile. Every element of C gets its products in the same order, whatever
 * m, the tile or the thread. */
#include "backend/blis/stream.h"

/* Rows and columns that one thread works on between two looks at memory: the parts of A and B fit into
 * the second cache, which is of a mebibyte or more where there is AVX-512. */
enum { ROWS = 192, WIDE_ROWS = 264, COLS = 256 };
enum { MOST_A = 1 << 21, SMALL = 1 << 16, IN_CACHE = 1 << 17, BAD_STRIDE = 1024 };

typedef struct {
    dumi_stream *stream;
    const dumi_gemm *g;
    int32_t row, rows, depth, depths; /* the rows and the part of the inner dimension of this pass */
    int32_t block_rows, task_rows, task_cols, row_tasks;
    bool direct_a, direct_b; /* used where they lie */
    bool own_a;              /* packed by each task for itself: no other needs the same rows */
    bool in_tiles;
} pass;

/* A block of C in the hands of one thread, and its operands. */
typedef struct {
    const pass *x;
    int32_t row, rows, col, cols, depth, deep;
    int32_t rows_all; /* of the task */
    int32_t step;     /* rows of a row panel */
    int32_t tall;     /* of a tile: one or two row panels */
    const float *a;
    int64_t a_row, a_col, a_panel;
    const void *b; /* of `precision` */
    int64_t b_row, b_panel;
    int32_t precision;
    const float *scales;
    float *c;
    int64_t c_row;
    bool add, direct;
    dumi_ahead next; /* what will be packed or updated next */
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

static int32_t most_rows_of(const dumi_blis_kernel *kernel)
{
    return dumi_round_up(kernel->direct == DUMI_DIRECT_AVX512 ? WIDE_ROWS : ROWS, kernel->mr);
}

static int32_t tile_rows(const dumi_blis_kernel *kernel)
{
    return kernel->direct == DUMI_DIRECT_AVX512 ? 2 * kernel->mr : kernel->mr;
}

/* Spreads what is fetched ahead over the tiles of `rows` rows; those of 12 rows are two panels wide. */
static void spread(block *b, int32_t rows)
{
    const dumi_blis_kernel *kernel = b->x->stream->kernel;
    const int32_t tall = tile_rows(kernel), wide = kernel->nr * (tall / kernel->mr);
    const int32_t tiles = (rows + tall - 1) / tall * ((b->cols + wide - 1) / wide);
    const int64_t lines = (int64_t)b->next.rows * b->next.lines * b->next.arrays;
    b->next.share = (int32_t)(lines / tiles) + 1;
}

/* Some of the panels side by side, as the kernel likes it. Returns how many. */
static int32_t multiply_direct(block *b, int32_t rows, int32_t panels, const float *left, const void *right,
                               const float *scales, float *c, int64_t c_row)
{
    const dumi_direct d = {b->deep,  b->add,     left, b->a_row, b->a_col,     b->a_panel, right,
                           b->b_row, b->b_panel, c,    c_row,    b->precision, scales};
    if (b->x->stream->kernel->direct == DUMI_DIRECT_AVX512)
        return dumi_blis_wide(rows, b->step, panels, &d, &b->next);
    dumi_fetch_share(&b->next);
    return dumi_blis_direct(rows, panels, &d);
}

static bool takes_direct(const block *b, int32_t rows)
{
    const dumi_blis_kernel *kernel = b->x->stream->kernel;
    return b->direct || kernel->direct == DUMI_DIRECT_AVX512 ||
           (kernel->direct != DUMI_DIRECT_NONE && rows < kernel->mr);
}

/* A partial tile goes through a whole one of its own, so that the kernel does the same arithmetic for it. */
static void multiply_part(block *b, int32_t rows, int32_t cols, const float *left, const void *right,
                          const float *scales, float *c)
{
    const dumi_blis_kernel *kernel = b->x->stream->kernel;
    float tile[DUMI_MOST_MR * DUMI_MOST_NR] __attribute__((aligned(64)));
    const int32_t all = rows > kernel->mr ? rows : kernel->mr;
    for (int32_t i = 0; i < all && b->add; i++)
        for (int32_t j = 0; j < kernel->nr; j++)
            tile[i * kernel->nr + j] = i < rows && j < cols ? c[i * b->c_row + j] : 0;
    if (takes_direct(b, rows)) {
        multiply_direct(b, rows, 1, left, right, scales, tile, kernel->nr);
    } else {
        dumi_fetch_share(&b->next);
        dumi_blis_multiply(kernel, kernel->mr, kernel->nr, b->deep, left, right, b->add ? 1 : 0, tile,
                           kernel->nr);
    }
    for (int32_t i = 0; i < rows; i++)
        memcpy(c + i * b->c_row, tile + (ptrdiff_t)i * kernel->nr, (size_t)cols * sizeof *c);
}

/* `tall` rows or fewer by one column panel or several: as many for all rows of the block. Returns how many. */
static int32_t multiply_tile(block *b, int32_t rows, int32_t cols, const float *left, const void *right,
                             const float *scales, float *c)
{
    const dumi_blis_kernel *kernel = b->x->stream->kernel;
    if (cols < kernel->nr || (rows < kernel->mr && kernel->direct == DUMI_DIRECT_NONE)) {
        multiply_part(b, rows, dumi_least(cols, kernel->nr), left, right, scales, c);
        return 1;
    }
    if (takes_direct(b, rows)) {
        const int32_t panels = cols / DUMI_DIRECT_COLS, most = b->rows == rows ? panels : b->tall / b->step;
        return multiply_direct(b, rows, dumi_least(panels, most), left, right, scales, c, b->c_row);
    }
    dumi_fetch_share(&b->next);
    dumi_blis_multiply(kernel, rows, kernel->nr, b->deep, left, right, b->add ? 1 : 0, c, b->c_row);
    return 1;
}

static void multiply_block(block *b)
{
    const dumi_blis_kernel *kernel = b->x->stream->kernel;
    const int32_t nr = kernel->nr, tall = b->tall;
    const char *right = b->b;
    const int64_t panel = b->b_panel * (int64_t)dumi_element_size(b->precision);
    for (int32_t col = 0, done = 1; col < b->cols; col += done * nr, right += done * panel) {
        const float *left = b->a;
        float *c = b->c + col;
        if (b->direct && b->rows > tall && b->cols - col >= nr && kernel->direct == DUMI_DIRECT_AVX2) {
            /* The whole column of tiles in one loop: a call for each would cost a twentieth of its time. */
            dumi_direct d = {b->deep,  b->add, left, b->a_row, b->a_col,     b->a_panel, right,
                             b->b_row, 0,      c,    b->c_row, b->precision, NULL};
            dumi_blis_direct_rows(b->rows, b->step, &d);
            done = 1;
            continue;
        }
        for (int32_t row = 0; row < b->rows; row += tall, c += tall * b->c_row) {
            done = multiply_tile(b, dumi_least(tall, b->rows - row), b->cols - col, left, right,
                                 b->scales != NULL ? b->scales + col : NULL, c);
            left += tall / b->step * b->a_panel;
        }
    }
}

/* What the optimiser will want of the rows after these, spread over the tiles of these. */
static void fetch_update(block *b, int32_t row)
{
    const dumi_update *u = b->x->g->update;
    const size_t at = (size_t)(b->row + row) * (size_t)b->x->g->n + (size_t)b->col;
    b->next = (dumi_ahead){.from = {u->weights + at, u->first + at, u->second != NULL ? u->second + at : NULL},
                           .row = b->x->g->n,
                           .arrays = u->second != NULL ? 3 : 2,
                           .rows = dumi_least(b->tall, b->rows - row),
                           .lines = (b->cols + 15) / 16};
    spread(b, b->tall);
}

/* With an update, row panel by row panel: long pieces of few rows, whose weights and moments come from memory
 * while the row panel before is multiplied. Rows whose distance is a power of two share few places of a cache:
 * of more rows, the first would be gone when the last are there. */
static void multiply_and_update(block *b)
{
    const dumi_blis_kernel *kernel = b->x->stream->kernel;
    const dumi_update *u = b->x->g->update;
    const bool last = b->depth + b->deep == b->x->g->k;
    for (int32_t row = 0; row < b->rows; row += b->tall) {
        const int32_t rows = dumi_least(b->tall, b->rows - row);
        const float *left = b->a + row / b->step * b->a_panel, *right = b->b;
        float *c = b->x->in_tiles ? b->c : b->c + row * b->c_row;
        if (last)
            fetch_update(b, row + rows);
        for (int32_t col = 0; col < b->cols;) {
            const int32_t done = multiply_tile(b, rows, b->cols - col, left, right, NULL, c + col);
            col += done * kernel->nr;
            right += done * b->b_panel;
        }
        for (int32_t i = 0; i < rows && last; i++)
            dumi_ref_update(u, (size_t)(b->row + row + i) * (size_t)b->x->g->n + (size_t)b->col,
                            (size_t)b->cols, c + i * b->c_row);
    }
}

/* Spread over the tiles of the block. */
static void fetch_later(block *b, const float *from, int64_t row, int32_t rows, int64_t floats)
{
    b->next = (dumi_ahead){.from = {from},
                           .row = row,
                           .arrays = 1,
                           .rows = floats > 0 ? rows : 0,
                           .lines = (int32_t)((floats + 15) / 16)};
    spread(b, b->rows_all);
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
        } else if (b->rows_all > 4 * kernel->mr && (int64_t)g->k * g->n > IN_CACHE) {
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
    const dumi_blis_kernel *kernel = x->stream->kernel;
    const int32_t mr = kernel->mr;
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
        float *to = x->stream->pack_a + (int64_t)worker * most_rows_of(kernel) * kernel->kc;
        pack_rows(g, mr, b->row, b->rows, b->depth, b->deep, to);
        b->a = to;
    } else {
        b->a = x->stream->pack_a + (int64_t)(b->depth - x->depth) * dumi_round_up(x->rows, mr) +
               (int64_t)(b->row - x->row) * b->deep;
    }
    b->tall = b->step * (tile_rows(kernel) / mr);
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
        b.next.rows = 0;
        prepare_b(&b, worker);
        for (b.row = first; b.row < end; b.row += b.rows) {
            b.rows = dumi_least(x->block_rows, end - b.row);
            prepare_a(&b, worker);
            b.c = g->c + b.row * g->c_row + b.col;
            b.c_row = g->c_row;
            if (x->in_tiles) {
                b.c_row = x->task_cols;
                b.c = x->stream->tiles + (int64_t)worker * tile_rows(kernel) * x->task_cols;
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
    x->block_rows = most_rows_of(kernel);
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
    const bool direct = x->stream->kernel->direct != DUMI_DIRECT_NONE;
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
    const size_t own = (size_t)stream->threads * (size_t)most_rows_of(kernel) * (size_t)kernel->kc;
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
                    workers * (size_t)tile_rows(kernel) * (size_t)dumi_round_up(COLS, kernel->nr));
}

void dumi_blis_gemm_destroy(dumi_stream *stream)
{
    dumi_free(stream->context, stream->pack_a);
    dumi_free(stream->context, stream->pack_b);
    dumi_free(stream->context, stream->tiles);
}
