/* SPDX-License-Identifier: MIT
 * Convolutions as products of pixels and weights. A block of images gets zeros round it, in a thread's own
 * memory, so that the inputs under an output pixel lie at the same distances from it everywhere; then
 * micro-kernels go over six pixels and sixteen outputs at a time (tile.c). The gradient by the input is a
 * convolution too: of the gradient by the output, with the weights turned round, and for a stride one for each
 * remainder of the input pixel by it, with the taps that reach that pixel. */
#include "backend/blis/stream.h"

enum { BLOCK = 24 * 1024, PIXELS = 4096, CHUNKS = 16, SMALL_GRADIENT = 1 << 19 };
enum { ROWS = DUMI_DIRECT_ROWS, COLS = DUMI_DIRECT_COLS, MOST_PANELS = 2 };

/* A grid of outputs, each from `taps_y` x `taps_x` pixels of the framed input. */
typedef struct {
    dumi_stream *stream;
    dumi_tile_fn tile;
    int32_t tile_panels; /* that it takes at once, at most */
    const float *x;
    int32_t images, height, width, cols;
    int32_t top, left, framed_width; /* zeros above and beside */
    int32_t taps_y, taps_x, first_y, first_x, stride;
    int32_t rows, wide; /* of the grid */
    float *y;
    int32_t y_height, y_width, outputs, y_first_row, y_first_col, y_step;
    const float *panels;
    const dumi_conv *finish; /* bias, add, relu; NULL: none */
    bool add;                /* to y */
    const float *d_y;        /* for the gradient by the weights */
    float *d_weights;
    int32_t task_images, task_rows, bands, panel_tasks; /* how it is divided */
    int32_t chunks, blocks;
} grid;

static int32_t depth_of(const grid *g)
{
    return g->taps_y * g->taps_x * g->cols;
}

static int32_t panels_of(const grid *g)
{
    return (g->outputs + COLS - 1) / COLS;
}

static int64_t framed_rows(const grid *g, int32_t rows)
{
    return (int64_t)(rows - 1) * g->stride + g->taps_y;
}

/* Whole images side by side, or a band of one. Does not depend on the number of threads. */
static void divide(grid *g)
{
    const int64_t row = (int64_t)g->framed_width * g->cols;
    int64_t fit = (BLOCK / row - g->taps_y) / g->stride + 1;
    fit = fit < PIXELS / g->wide ? fit : PIXELS / g->wide;
    g->task_rows = (int32_t)(fit < 1 ? 1 : fit < g->rows ? fit : g->rows);
    g->bands = (g->rows + g->task_rows - 1) / g->task_rows;
    g->task_images = 1;
    if (g->bands > 1)
        return;
    int64_t most = BLOCK / (framed_rows(g, g->rows) * row);
    most = most < PIXELS / (g->rows * g->wide) ? most : PIXELS / (g->rows * g->wide);
    g->task_images = (int32_t)(most < 1 ? 1 : most < g->images ? most : g->images);
}

/* ---- The geometry of a shape -------------------------------------------------------------- */

static grid forward_grid(dumi_stream *stream, const dumi_conv_shape *s, const float *x, float *y)
{
    grid g = {.stream = stream,
              .x = x,
              .images = s->images,
              .height = s->height,
              .width = s->width,
              .cols = s->cols,
              .top = s->padding,
              .left = s->padding,
              .taps_y = s->kernel,
              .taps_x = s->kernel,
              .stride = s->stride,
              .rows = dumi_conv_out(s, s->height),
              .wide = dumi_conv_out(s, s->width),
              .y = y,
              .outputs = s->outputs,
              .y_step = 1};
    g.tile = dumi_blis_tile(&g.tile_panels);
    g.y_height = g.rows;
    g.y_width = g.wide;
    g.framed_width = s->width + 2 * s->padding;
    divide(&g);
    return g;
}

/* Input pixel i lies under output o through tap k where i + padding = o stride + k: the taps of one remainder. */
static int32_t taps_of(const dumi_conv_shape *s, int32_t remainder)
{
    return (s->kernel - remainder + s->stride - 1) / s->stride;
}

/* The first input pixel whose place, padding added, leaves this remainder. */
static int32_t first_of(const dumi_conv_shape *s, int32_t remainder)
{
    return ((remainder - s->padding) % s->stride + s->stride) % s->stride;
}

/* Outputs before the first tap's, as places in the framed gradient. */
static int32_t start_of(const dumi_conv_shape *s, int32_t remainder, int32_t before)
{
    return (first_of(s, remainder) + s->padding - remainder) / s->stride - (taps_of(s, remainder) - 1) + before;
}

static int32_t count_of(int32_t size, int32_t first, int32_t step)
{
    return first < size ? (size - first + step - 1) / step : 0;
}

static grid input_grid(dumi_stream *stream, const dumi_conv_shape *s, int32_t over_y, int32_t over_x,
                       const float *d_y, float *d_x)
{
    const int32_t before = taps_of(s, 0) - 1;
    grid g = {.stream = stream,
              .x = d_y,
              .images = s->images,
              .height = dumi_conv_out(s, s->height),
              .width = dumi_conv_out(s, s->width),
              .cols = s->outputs,
              .top = before,
              .left = before,
              .taps_y = taps_of(s, over_y),
              .taps_x = taps_of(s, over_x),
              .first_y = start_of(s, over_y, before),
              .first_x = start_of(s, over_x, before),
              .stride = 1,
              .y = d_x,
              .y_height = s->height,
              .y_width = s->width,
              .outputs = s->cols,
              .y_first_row = first_of(s, over_y),
              .y_first_col = first_of(s, over_x),
              .y_step = s->stride};
    g.tile = dumi_blis_tile(&g.tile_panels);
    g.rows = count_of(s->height, g.y_first_row, s->stride);
    g.wide = count_of(s->width, g.y_first_col, s->stride);
    const int32_t last = g.first_x + g.wide - 1 + g.taps_x;
    g.framed_width = before + g.width > last ? before + g.width : last;
    if (g.taps_y < 1 || g.taps_x < 1)
        g.rows = 0; /* no tap reaches these pixels */
    if (g.rows > 0 && g.wide > 0)
        divide(&g);
    return g;
}

/* ---- Framing and tables ------------------------------------------------------------------- */

/* Rows first .. first + rows - 1 of the framed image. */
static void frame(const grid *g, int64_t image, int32_t first, int64_t rows, float *to)
{
    const size_t row = (size_t)g->framed_width * (size_t)g->cols, line = (size_t)g->width * (size_t)g->cols,
                 left = (size_t)g->left * (size_t)g->cols;
    for (int64_t i = 0; i < rows; i++, to += row) {
        const int64_t at = first + i - g->top;
        if (at < 0 || at >= g->height) {
            memset(to, 0, row * sizeof *to);
            continue;
        }
        const size_t kept = left + line < row ? line : row - left;
        memset(to, 0, left * sizeof *to);
        memcpy(to + left, g->x + (size_t)(image * g->height + at) * line, kept * sizeof *to);
        memset(to + left + kept, 0, (row - left - kept) * sizeof *to);
    }
}

/* The images (or the band of one) of a task, framed, and where their pixels lie. */
typedef struct {
    int64_t image;
    int32_t images, row, rows, pixels;
    float *frame;
    int32_t *from, *to;
} part;

static void load_part(const grid *g, int32_t worker, int64_t image, int32_t images, int32_t band, part *p)
{
    dumi_conv_room *room = &g->stream->room;
    p->image = image;
    p->images = images;
    p->row = band * g->task_rows;
    p->rows = dumi_least(g->task_rows, g->rows - p->row);
    p->pixels = images * p->rows * g->wide;
    p->frame = room->frames + (size_t)worker * room->frame;
    p->from = room->from + (size_t)worker * room->pixels;
    p->to = room->to + (size_t)worker * room->pixels;
    const int64_t framed = framed_rows(g, p->rows), size = framed * g->framed_width * g->cols;
    int32_t at = 0;
    for (int32_t i = 0; i < images; i++) {
        frame(g, image + i, g->first_y + p->row * g->stride, framed, p->frame + i * size);
        for (int32_t r = 0; r < p->rows; r++) {
            const int64_t from = i * size + ((int64_t)r * g->stride * g->framed_width + g->first_x) * g->cols;
            const int64_t to =
                ((image + i) * g->y_height + (int64_t)(p->row + r) * g->y_step + g->y_first_row) * g->y_width +
                g->y_first_col;
            for (int32_t c = 0; c < g->wide; c++, at++) {
                p->from[at] = (int32_t)(from + (int64_t)c * g->stride * g->cols);
                p->to[at] = (int32_t)(to + (int64_t)c * g->y_step);
            }
        }
    }
}

/* Where the inputs under an output lie, from its first. */
static void tabulate_taps(const grid *g)
{
    int32_t *tap = g->stream->room.tap;
    for (int32_t y = 0; y < g->taps_y; y++)
        for (int32_t x = 0; x < g->taps_x * g->cols; x++)
            *tap++ = y * g->framed_width * g->cols + x;
}

/* ---- Forward ------------------------------------------------------------------------------ */

DUMI_CLONES static void finish_row(const dumi_conv *f, int32_t col, int32_t cols, const float *add,
                                   float *restrict c)
{
    if (f->bias != NULL)
        for (int32_t j = 0; j < cols; j++)
            c[j] += f->bias[col + j];
    if (add != NULL)
        for (int32_t j = 0; j < cols; j++)
            c[j] += add[j];
    if (f->relu)
        for (int32_t j = 0; j < cols; j++)
            c[j] = c[j] > 0 ? c[j] : 0;
}

/* How many panels from this one on can be multiplied at once: the last is alone if it is not whole. */
static int32_t panels_at_once(const grid *g, int32_t panel, int32_t end)
{
    const int32_t whole = dumi_least(end, g->outputs / COLS) - panel;
    return whole < 1 ? 1 : dumi_least(whole, g->tile_panels);
}

/* Six pixels by some panels. */
static void multiply_pixels(const grid *g, const part *p, int32_t first, int32_t panel, int32_t panels)
{
    const int32_t depth = depth_of(g), col = panel * COLS, wide = panels * COLS,
                  cols = dumi_least(wide, g->outputs - col), rows = dumi_least(ROWS, p->pixels - first);
    float spare[ROWS][MOST_PANELS * COLS];
    dumi_tile t = {.k = depth,
                   .panels = panels,
                   .add = g->add,
                   .col = g->stream->room.tap,
                   .b = g->panels + (size_t)panel * (size_t)depth * COLS,
                   .b_row = COLS,
                   .b_panel = (int64_t)depth * COLS};
    float *c[ROWS];
    for (int32_t r = 0; r < ROWS; r++) {
        const int32_t pixel = first + (r < rows ? r : 0);
        t.a[r] = p->frame + p->from[pixel];
        c[r] = g->y + (int64_t)p->to[pixel] * g->outputs + col;
        t.c[r] = r < rows && cols == wide ? c[r] : spare[r];
        if (t.c[r] == spare[r])
            memset(spare[r], 0, sizeof spare[r]);
        if (t.c[r] == spare[r] && g->add && r < rows)
            memcpy(spare[r], c[r], (size_t)cols * sizeof *c[r]);
    }
    g->tile(&t);
    for (int32_t r = 0; r < rows; r++) {
        if (t.c[r] == spare[r])
            memcpy(c[r], spare[r], (size_t)cols * sizeof *c[r]);
        if (g->finish != NULL)
            finish_row(g->finish, col, cols, g->finish->add != NULL ? g->finish->add + (c[r] - g->y) : NULL,
                       c[r]);
    }
}

static void forward_task(void *argument, int64_t task, int32_t worker)
{
    const grid *g = argument;
    const int32_t share = (int32_t)(task % g->panel_tasks), panels = panels_of(g);
    const int64_t block = task / g->panel_tasks;
    const int64_t image = block / g->bands * g->task_images;
    const int32_t images = (int32_t)(g->images - image < g->task_images ? g->images - image : g->task_images);
    part p;
    load_part(g, worker, image, images, (int32_t)(block % g->bands), &p);
    const int32_t end = (share + 1) * panels / g->panel_tasks;
    for (int32_t panel = share * panels / g->panel_tasks, done; panel < end; panel += done) {
        done = panels_at_once(g, panel, end);
        for (int32_t first = 0; first < p.pixels; first += ROWS)
            multiply_pixels(g, &p, first, panel, done);
    }
}

static double operations(const grid *g)
{
    return 2.0 * g->images * g->rows * g->wide * depth_of(g) * panels_of(g);
}

static void run_forward(grid *g)
{
    tabulate_taps(g);
    const int32_t wanted = 4 * g->stream->threads;
    if (g->bands == 1 && g->task_images > (g->images + wanted - 1) / wanted)
        g->task_images = (g->images + wanted - 1) / wanted;
    const int64_t blocks = (int64_t)((g->images + g->task_images - 1) / g->task_images) * g->bands;
    g->panel_tasks = 1;
    if (blocks < wanted && g->stream->threads > 1)
        g->panel_tasks = dumi_least(panels_of(g), (int32_t)((wanted + blocks - 1) / blocks));
    dumi_parallel(g->stream->context, g->stream->threads, blocks * g->panel_tasks, operations(g), forward_task,
                  g);
}

void dumi_blis_conv(dumi_stream *stream, const dumi_conv *conv, const float *x, float *y)
{
    const dumi_conv_shape *s = &conv->shape;
    grid g = forward_grid(stream, s, x, y);
    g.finish = conv->bias != NULL || conv->add != NULL || conv->relu ? conv : NULL;
    if (conv->packed != NULL) {
        g.panels = conv->packed->panels;
    } else {
        dumi_blis_pack_panels(conv->weights, 1, s->outputs, s->outputs, COLS, depth_of(&g), stream->room.panel);
        g.panels = stream->room.panel;
    }
    run_forward(&g);
}

dumi_packed *dumi_blis_conv_pack(dum_context *context, const dumi_conv_shape *s, const float *weights)
{
    enum { ALIGNED = 64 };
    const int32_t depth = s->kernel * s->kernel * s->cols;
    const size_t count = (size_t)depth * (size_t)dumi_round_up(s->outputs, COLS);
    char *memory = dumi_alloc(context, ALIGNED + count * sizeof(float), 1);
    if (memory == NULL)
        return NULL;
    dumi_packed *packed = (dumi_packed *)memory;
    packed->precision = DUMI_FLOAT32;
    packed->scales = NULL;
    packed->panels = memory + ALIGNED;
    dumi_blis_pack_panels(weights, 1, s->outputs, s->outputs, COLS, depth, packed->panels);
    return packed;
}

/* ---- The gradient by the input ------------------------------------------------------------ */

/* For each tap of the remainders, from the last to the first, the weights (outputs x cols of the input), in
 * panels of 16 columns. */
static void turn_weights(const grid *g, const dumi_conv_shape *s, int32_t over_y, int32_t over_x,
                         const float *weights, float *panels)
{
    const int32_t depth = depth_of(g);
    for (int32_t ty = 0; ty < g->taps_y; ty++) {
        for (int32_t tx = 0; tx < g->taps_x; tx++) {
            const int32_t y = over_y + s->stride * (g->taps_y - 1 - ty),
                          x = over_x + s->stride * (g->taps_x - 1 - tx);
            const float *tap = weights + ((int64_t)y * s->kernel + x) * s->cols * s->outputs;
            float *to = panels + (int64_t)(ty * g->taps_x + tx) * s->outputs * COLS;
            for (int32_t c = 0; c < dumi_round_up(s->cols, COLS); c++) {
                float *column = to + (int64_t)(c / COLS) * depth * COLS + c % COLS;
                for (int32_t o = 0; o < s->outputs; o++)
                    column[(int64_t)o * COLS] = c < s->cols ? tap[(int64_t)c * s->outputs + o] : 0;
            }
        }
    }
}

void dumi_blis_conv_input(dumi_stream *stream, const dumi_conv_shape *s, const float *weights, const float *d_y,
                          bool add, float *d_x)
{
    const size_t count = (size_t)s->images * (size_t)s->height * (size_t)s->width * (size_t)s->cols;
    if (!add && s->kernel < s->stride)
        dumi_ref_fill(stream, d_x, 0, count); /* some pixels lie under no tap */
    for (int32_t over_y = 0; over_y < s->stride; over_y++) {
        for (int32_t over_x = 0; over_x < s->stride; over_x++) {
            grid g = input_grid(stream, s, over_y, over_x, d_y, d_x);
            if (g.rows < 1 || g.wide < 1)
                continue;
            turn_weights(&g, s, over_y, over_x, weights, stream->room.panel);
            g.panels = stream->room.panel;
            g.add = add;
            run_forward(&g);
        }
    }
}

/* ---- The gradient by the weights ---------------------------------------------------------- */

/* Six inputs under a pixel by some panels, over the pixels of a part. */
static void multiply_taps(const grid *g, const part *p, int32_t first, int32_t panel, int32_t panels,
                          const float *d_y, int64_t d_row, bool add, float *out)
{
    const int32_t depth = depth_of(g), col = panel * COLS, wide = panels * COLS,
                  cols = dumi_least(wide, g->outputs - col), rows = dumi_least(ROWS, depth - first);
    float spare[ROWS][MOST_PANELS * COLS];
    dumi_tile t = {.k = p->pixels,
                   .panels = panels,
                   .add = add,
                   .col = p->from,
                   .b = d_y,
                   .b_row = d_row,
                   .b_panel = COLS};
    for (int32_t r = 0; r < ROWS; r++) {
        float *c = out + (int64_t)(first + (r < rows ? r : 0)) * g->outputs + col;
        t.a[r] = p->frame + g->stream->room.tap[first + (r < rows ? r : 0)];
        t.c[r] = r < rows && cols == wide ? c : spare[r];
        if (t.c[r] == spare[r])
            memset(spare[r], 0, sizeof spare[r]);
        if (t.c[r] == spare[r] && add && r < rows)
            memcpy(spare[r], c, (size_t)cols * sizeof *c);
    }
    g->tile(&t);
    for (int32_t r = 0; r < rows && cols < wide; r++)
        memcpy(out + (int64_t)(first + r) * g->outputs + col, spare[r], (size_t)cols * sizeof **spare);
}

/* The last columns of the gradient by the output, with zeros beside them. */
static const float *widen(const grid *g, int32_t worker, const float *d_y, int32_t cols, int32_t pixels)
{
    float *to = g->stream->room.columns + (size_t)worker * g->stream->room.column;
    memset(to, 0, (size_t)pixels * COLS * sizeof *to);
    for (int32_t i = 0; i < pixels; i++)
        memcpy(to + (ptrdiff_t)i * COLS, d_y + (int64_t)i * g->outputs, (size_t)cols * sizeof *to);
    return to;
}

static void add_part(const grid *g, int32_t worker, const part *p, int32_t first, int32_t end, bool add,
                     float *out)
{
    const float *d_y =
        g->d_y + ((p->image * g->rows + p->row) * (int64_t)g->wide) * g->outputs; /* y_step is 1 */
    for (int32_t panel = 0, done; panel < panels_of(g); panel += done) {
        done = panels_at_once(g, panel, panels_of(g));
        const int32_t col = panel * COLS, cols = g->outputs - col;
        const float *from = cols >= COLS ? d_y + col : widen(g, worker, d_y + col, cols, p->pixels);
        for (int32_t row = first; row < end; row += ROWS)
            multiply_taps(g, p, row, panel, done, from, cols >= COLS ? g->outputs : COLS, add, out);
    }
}

/* A chunk of the images by a block of the taps. */
static void weights_task(void *argument, int64_t task, int32_t worker)
{
    const grid *g = argument;
    const int64_t chunk = task / g->blocks, block = task % g->blocks;
    const int32_t depth = depth_of(g), tiles = (depth + ROWS - 1) / ROWS;
    const int32_t first = (int32_t)(block * tiles / g->blocks) * ROWS;
    const int32_t end = dumi_least((int32_t)((block + 1) * tiles / g->blocks) * ROWS, depth);
    const int64_t last = (chunk + 1) * g->images / g->chunks;
    float *out = g->chunks == 1 ? g->d_weights
                                : g->stream->room.partials + (size_t)chunk * (size_t)depth * (size_t)g->outputs;
    bool add = false;
    for (int64_t image = chunk * g->images / g->chunks; image < last; image += g->task_images) {
        const int32_t images = (int32_t)(last - image < g->task_images ? last - image : g->task_images);
        for (int32_t band = 0; band < g->bands; band++, add = true) {
            part p;
            load_part(g, worker, image, images, band, &p);
            add_part(g, worker, &p, first, end, add, out);
        }
    }
}

enum { PIECE = 4096 };

DUMI_CLONES static void add_floats(size_t count, const float *restrict from, float *restrict to)
{
    for (size_t i = 0; i < count; i++)
        to[i] += from[i];
}

static void sum_task(void *argument, int64_t task, int32_t worker)
{
    (void)worker;
    const grid *g = argument;
    const size_t count = (size_t)depth_of(g) * (size_t)g->outputs, at = (size_t)task * PIECE,
                 size = count - at < PIECE ? count - at : PIECE;
    memcpy(g->d_weights + at, g->stream->room.partials + at, size * sizeof *g->d_weights);
    for (int32_t chunk = 1; chunk < g->chunks; chunk++)
        add_floats(size, g->stream->room.partials + (size_t)chunk * count + at, g->d_weights + at);
}

/* Parts of the batch where the gradient is small, parts of the gradient where it is large: by shape alone. */
static void divide_gradient(grid *g)
{
    const int32_t count = depth_of(g) * g->outputs;
    int32_t chunks = SMALL_GRADIENT / count;
    chunks = chunks < 1 ? 1 : chunks > CHUNKS ? CHUNKS : chunks;
    g->chunks = dumi_least(chunks, g->images);
    const int32_t tiles = (depth_of(g) + ROWS - 1) / ROWS, blocks = (CHUNKS + g->chunks - 1) / g->chunks;
    g->blocks = dumi_least(blocks, tiles);
}

void dumi_blis_conv_weights(dumi_stream *stream, const dumi_conv_shape *shape, const float *x, const float *d_y,
                            float *d_weights)
{
    grid g = forward_grid(stream, shape, x, NULL);
    g.d_y = d_y;
    g.d_weights = d_weights;
    divide_gradient(&g);
    tabulate_taps(&g);
    dumi_parallel(stream->context, stream->threads, (int64_t)g.chunks * g.blocks, operations(&g), weights_task,
                  &g);
    if (g.chunks == 1)
        return;
    const int64_t count = (int64_t)depth_of(&g) * g.outputs;
    dumi_parallel(stream->context, stream->threads, (count + PIECE - 1) / PIECE, (double)count * g.chunks,
                  sum_task, &g);
}

/* ---- Room --------------------------------------------------------------------------------- */

static void most(size_t *size, size_t wanted)
{
    *size = wanted > *size ? wanted : *size;
}

static void measure(const grid *g, dumi_conv_room *room)
{
    const size_t row = (size_t)g->framed_width * (size_t)g->cols, depth = (size_t)depth_of(g);
    most(&room->frame, (size_t)g->task_images * (size_t)framed_rows(g, g->task_rows) * row);
    most(&room->pixels, (size_t)g->task_images * (size_t)g->task_rows * (size_t)g->wide);
    most(&room->taps, depth);
    most(&room->panels, depth * (size_t)panels_of(g) * COLS);
}

static dum_status grow_floats(dum_context *context, size_t before, size_t wanted, float **buffer)
{
    if (*buffer != NULL && wanted <= before)
        return DUM_OK;
    dumi_free(context, *buffer);
    return DUMI_NEW(context, *buffer, wanted);
}

static dum_status grow_places(dum_context *context, size_t before, size_t wanted, int32_t **buffer)
{
    if (*buffer != NULL && wanted <= before)
        return DUM_OK;
    dumi_free(context, *buffer);
    return DUMI_NEW(context, *buffer, wanted);
}

static dum_status grow(dumi_stream *stream, const dumi_conv_room *wanted)
{
    dum_context *context = stream->context;
    dumi_conv_room *room = &stream->room;
    const size_t workers = (size_t)stream->threads;
    DUMI_TRY(grow_floats(context, workers * room->frame, workers * wanted->frame, &room->frames));
    room->frame = wanted->frame;
    DUMI_TRY(grow_floats(context, workers * room->column, workers * wanted->column, &room->columns));
    room->column = wanted->column;
    DUMI_TRY(grow_places(context, workers * room->pixels, workers * wanted->pixels, &room->from));
    DUMI_TRY(grow_places(context, workers * room->pixels, workers * wanted->pixels, &room->to));
    room->pixels = wanted->pixels;
    DUMI_TRY(grow_places(context, room->taps, wanted->taps, &room->tap));
    room->taps = wanted->taps;
    DUMI_TRY(grow_floats(context, room->panels, wanted->panels, &room->panel));
    room->panels = wanted->panels;
    DUMI_TRY(grow_floats(context, room->partial, wanted->partial, &room->partials));
    room->partial = wanted->partial;
    if (room->sums != NULL && wanted->batch <= room->batch)
        return DUM_OK;
    dumi_free(context, room->sums);
    dumi_free(context, room->factors);
    room->factors = NULL;
    DUMI_TRY(DUMI_NEW(context, room->sums, wanted->batch * 2 * DUMI_BATCH_PIECES));
    DUMI_TRY(DUMI_NEW(context, room->factors, wanted->batch * 3));
    room->batch = wanted->batch;
    return DUM_OK;
}

dum_status dumi_blis_conv_reserve(dumi_stream *stream, const dumi_conv_shape *shape)
{
    dumi_conv_room wanted = stream->room;
    grid forward = forward_grid(stream, shape, NULL, NULL);
    divide_gradient(&forward);
    measure(&forward, &wanted);
    most(&wanted.partial, (size_t)forward.chunks * (size_t)depth_of(&forward) * (size_t)forward.outputs);
    most(&wanted.column, wanted.pixels * COLS);
    most(&wanted.batch, (size_t)shape->outputs);
    for (int32_t over_y = 0; over_y < shape->stride; over_y++) {
        for (int32_t over_x = 0; over_x < shape->stride; over_x++) {
            const grid g = input_grid(stream, shape, over_y, over_x, NULL, NULL);
            if (g.rows > 0 && g.wide > 0)
                measure(&g, &wanted);
        }
    }
    return grow(stream, &wanted);
}

void dumi_blis_conv_destroy(dumi_stream *stream)
{
    dumi_conv_room *room = &stream->room;
    dum_context *context = stream->context;
    dumi_free(context, room->frames);
    dumi_free(context, room->columns);
    dumi_free(context, room->from);
    dumi_free(context, room->to);
    dumi_free(context, room->tap);
    dumi_free(context, room->panel);
    dumi_free(context, room->partials);
    dumi_free(context, room->sums);
    dumi_free(context, room->factors);
}
