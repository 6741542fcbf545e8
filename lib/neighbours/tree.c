/* SPDX-License-Identifier: MIT
 * The tree: halves of the widest column, down to leaves of one size. */
#include "neighbours/tree.h"

#include <math.h>

/* Small leaves prune well, large ones multiply well; in many columns little can be pruned. */
static int32_t leaf_rows(int32_t cols)
{
    return cols <= 8 ? 48 : cols <= 24 ? 96 : cols <= 64 ? 192 : 1024;
}

typedef struct {
    dumi_neighbours *t;
    const float *source;
    int32_t level;
} building;

/* Values of a column with their rows: ties go by the row, so the tree is the same on every machine. */
typedef struct {
    float value;
    int32_t row;
} key;

static bool before(key a, key b)
{
    return a.value < b.value || (a.value == b.value && a.row < b.row);
}

/* Puts the `nth` in its place, lesser ones before it (Hoare's selection; the middle of three divides). */
static void select_nth(key *keys, int64_t count, int64_t nth)
{
    int64_t low = 0, high = count - 1;
    while (low < high) {
        key a = keys[low], b = keys[low + (high - low) / 2], c = keys[high];
        const key pivot = before(a, b) ? (before(b, c)   ? b
                                          : before(a, c) ? c
                                                         : a)
                                       : (before(a, c)   ? a
                                          : before(b, c) ? c
                                                         : b);
        int64_t i = low, j = high;
        while (i <= j) {
            while (before(keys[i], pivot))
                i++;
            while (before(pivot, keys[j]))
                j--;
            if (i <= j) {
                const key held = keys[i];
                keys[i++] = keys[j];
                keys[j--] = held;
            }
        }
        if (nth <= j)
            high = j;
        else if (nth >= i)
            low = i;
        else
            return;
    }
}

DUMI_CLONES static void widen_box(int32_t cols, const float *restrict row, float *restrict least,
                                  float *restrict most)
{
    for (int32_t j = 0; j < cols; j++) {
        least[j] = row[j] < least[j] ? row[j] : least[j];
        most[j] = row[j] > most[j] ? row[j] : most[j];
    }
}

static void find_box(const building *b, int64_t node)
{
    const dumi_neighbours *t = b->t;
    const dumi_node *n = &t->nodes[node];
    float *least = t->boxes + 2 * node * t->cols, *most = least + t->cols;
    const size_t bytes = (size_t)t->cols * sizeof *least;
    memcpy(least, b->source + (int64_t)t->order[n->first] * t->cols, bytes);
    memcpy(most, least, bytes);
    for (int64_t i = n->first + 1; i < n->first + n->count; i++)
        widen_box(t->cols, b->source + (int64_t)t->order[i] * t->cols, least, most);
}

static void set_children(const dumi_neighbours *t, int64_t node, int32_t axis)
{
    const dumi_node *n = &t->nodes[node];
    const int32_t left = n->count / 2;
    t->nodes[2 * node + 1] = (dumi_node){.first = n->first, .count = left, .axis = axis};
    t->nodes[2 * node + 2] = (dumi_node){.first = n->first + left, .count = n->count - left, .axis = axis};
}

/* Identical rows: in ascending order, as those of all nodes below. */
static void sort_identical(const building *b, int64_t node)
{
    const dumi_neighbours *t = b->t;
    dumi_node *n = &t->nodes[node];
    int64_t *rows = (int64_t *)(void *)t->rows + n->first;
    for (int32_t i = 0; i < n->count; i++)
        rows[i] = t->order[n->first + i];
    dumi_sort_int64(rows, n->count);
    for (int32_t i = 0; i < n->count; i++)
        t->order[n->first + i] = (int32_t)rows[i];
    n->axis = -1;
}

static int32_t widest_column(const dumi_neighbours *t, int64_t node, double *width)
{
    const float *least = t->boxes + 2 * node * t->cols, *most = least + t->cols;
    int32_t axis = 0;
    *width = -1;
    for (int32_t j = 0; j < t->cols; j++)
        if ((double)most[j] - (double)least[j] > *width) {
            *width = (double)most[j] - (double)least[j];
            axis = j;
        }
    return axis;
}

/* The keys lie where the rows will. */
static void split(const building *b, int64_t node)
{
    const dumi_neighbours *t = b->t;
    dumi_node *n = &t->nodes[node];
    key *keys = (key *)(void *)t->rows + n->first;
    for (int32_t i = 0; i < n->count; i++) {
        const int32_t row = t->order[n->first + i];
        keys[i] = (key){b->source[(int64_t)row * t->cols + n->axis], row};
    }
    select_nth(keys, n->count, n->count / 2);
    n->cut = keys[n->count / 2].value;
    for (int32_t i = 0; i < n->count; i++)
        t->order[n->first + i] = keys[i].row;
}

static void node_task(void *argument, int64_t task, int32_t worker)
{
    (void)worker;
    const building *b = argument;
    const int64_t node = ((int64_t)1 << b->level) - 1 + task;
    dumi_node *n = &b->t->nodes[node];
    find_box(b, node);
    if (n->axis >= 0) {
        double width;
        n->axis = widest_column(b->t, node, &width);
        if (!(width > 0))
            sort_identical(b, node);
        else if (b->level < b->t->levels)
            split(b, node);
    }
    if (b->level < b->t->levels)
        set_children(b->t, node, n->axis < 0 ? -1 : 0);
}

static inline __attribute__((always_inline)) double move_row(int32_t cols, const float *restrict row,
                                                             const float *restrict centre, ptrdiff_t step,
                                                             float *restrict to)
{
    double sum[4] = {0, 0, 0, 0};
    int32_t j = 0;
    for (; j + 4 <= cols; j += 4)
        for (int32_t lane = 0; lane < 4; lane++) {
            const float x = row[j + lane] - centre[j + lane];
            to[(j + lane) * step] = x;
            sum[lane] += (double)x * (double)x;
        }
    for (; j < cols; j++) {
        const float x = row[j] - centre[j];
        to[j * step] = x;
        sum[0] += (double)x * (double)x;
    }
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

DUMI_CLONES double dumi_move_row(int32_t cols, const float *row, const float *centre, int32_t step, float *to)
{
    return step == 1 ? move_row(cols, row, centre, 1, to) : move_row(cols, row, centre, step, to);
}

static void leaf_task(void *argument, int64_t leaf, int32_t worker)
{
    (void)worker;
    const building *b = argument;
    const dumi_neighbours *t = b->t;
    const int64_t node = t->leaves - 1 + leaf;
    const dumi_node *n = &t->nodes[node];
    const float *least = t->boxes + 2 * node * t->cols;
    float *centre = t->centres + leaf * t->cols, *packed = t->packed + t->panels[leaf] * DUMI_PANEL * t->cols,
          *squares = t->squares + t->panels[leaf] * DUMI_PANEL;
    for (int32_t j = 0; j < t->cols; j++)
        centre[j] = least[j] / 2 + least[t->cols + j] / 2;
    const int32_t whole = (n->count + DUMI_PANEL - 1) / DUMI_PANEL * DUMI_PANEL;
    memset(packed, 0, (size_t)whole * (size_t)t->cols * sizeof *packed);
    for (int32_t i = 0; i < whole; i++) {
        if (i >= n->count) {
            squares[i] = INFINITY; /* never a candidate */
            continue;
        }
        const float *row = t->rows + (n->first + i) * t->cols;
        float *to = packed + (ptrdiff_t)(i / DUMI_PANEL) * DUMI_PANEL * t->cols + i % DUMI_PANEL;
        squares[i] = dumi_low_square(t->cols, dumi_move_row(t->cols, row, centre, DUMI_PANEL, to));
    }
}

static void row_task(void *argument, int64_t task, int32_t worker)
{
    (void)worker;
    const building *b = argument;
    const dumi_neighbours *t = b->t;
    const int64_t end = (task + 1) * 1024 < t->count ? (task + 1) * 1024 : t->count;
    for (int64_t i = task * 1024; i < end; i++) {
        t->place[t->order[i]] = (int32_t)i;
        memcpy(t->rows + i * t->cols, b->source + (int64_t)t->order[i] * t->cols,
               (size_t)t->cols * sizeof *t->rows);
    }
}

static dum_status build(dumi_neighbours *t, const float *source, const dumi_watch *every)
{
    building b = {.t = t, .source = source};
    const double work = 4.0 * (double)t->count * t->cols;
    const dumi_watch *watch = dumi_watch_long(every, work);
    for (int64_t i = 0; i < t->count; i++)
        t->order[i] = (int32_t)i;
    t->nodes[0] = (dumi_node){.first = 0, .count = (int32_t)t->count};
    for (b.level = 0; b.level <= t->levels; b.level++)
        DUMI_TRY(dumi_parallel_watched(t->context, t->context->threads, (int64_t)1 << b.level, work, node_task,
                                       &b, watch));
    DUMI_TRY(dumi_parallel_watched(t->context, t->context->threads, (t->count + 1023) / 1024, work, row_task,
                                   &b, watch));
    for (int64_t leaf = 0, panel = 0; leaf < t->leaves; leaf++) {
        t->panels[leaf] = panel;
        panel += (t->nodes[t->leaves - 1 + leaf].count + DUMI_PANEL - 1) / DUMI_PANEL;
    }
    return dumi_parallel_watched(t->context, t->context->threads, t->leaves, work, leaf_task, &b, watch);
}

static dum_status allocate(dumi_neighbours *t)
{
    const size_t cols = (size_t)t->cols, count = (size_t)t->count, leaves = (size_t)t->leaves;
    const size_t panels = count / DUMI_PANEL + leaves + 1, nodes = 2 * leaves - 1;
    const size_t row_floats = cols < 2 ? 2 : cols; /* keys take two */
    DUMI_TRY(DUMI_NEW(t->context, t->rows, count * row_floats));
    DUMI_TRY(DUMI_NEW(t->context, t->order, count));
    DUMI_TRY(DUMI_NEW(t->context, t->place, count));
    DUMI_TRY(DUMI_NEW(t->context, t->nodes, nodes));
    DUMI_TRY(DUMI_NEW(t->context, t->boxes, 2 * nodes * cols));
    DUMI_TRY(DUMI_NEW(t->context, t->panels, leaves));
    DUMI_TRY(DUMI_NEW(t->context, t->packed, panels * DUMI_PANEL * cols));
    DUMI_TRY(DUMI_NEW(t->context, t->squares, panels * DUMI_PANEL));
    return DUMI_NEW(t->context, t->centres, leaves * cols);
}

dum_status dumi_neighbours_create(dum_context *context, const float *rows, int64_t count, int32_t cols,
                                  const dumi_watch *watch, dumi_neighbours **out)
{
    DUMI_REQUIRE(count <= INT32_MAX, DUM_ERR_LIMIT,
                 "the data have %lld rows, neighbours are sought among %d at most", (long long)count,
                 INT32_MAX);
    dumi_neighbours *t;
    DUMI_TRY(DUMI_NEW(context, t, 1));
    *t = (dumi_neighbours){.context = dumi_context_keep(context), .count = count, .cols = cols};
    while (count >> t->levels > leaf_rows(cols))
        t->levels++;
    t->leaves = (int64_t)1 << t->levels;
    dum_status status = allocate(t);
    if (status == DUM_OK)
        status = build(t, rows, watch);
    if (status == DUM_OK)
        *out = t;
    else
        dumi_neighbours_destroy(t);
    return status;
}

void dumi_neighbours_destroy(dumi_neighbours *t)
{
    if (t == NULL)
        return;
    dum_context *context = t->context;
    void *const parts[] = {t->rows,   t->order,  t->place,   t->nodes,   t->boxes,
                           t->panels, t->packed, t->squares, t->centres, t};
    dumi_sketch_destroy(context, t->sketch);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        dumi_free(context, parts[i]);
    dum_context_destroy(context);
}

const float *dumi_neighbours_row(const dumi_neighbours *t, int32_t row)
{
    return t->rows + (int64_t)t->place[row] * t->cols;
}
