/* SPDX-License-Identifier: MIT */
#include "neighbours/tree.h"

#include <float.h>
#include <math.h>

DUMI_CLONES double dumi_square_distance(int32_t cols, const float *x, const float *y)
{
    double sum[4] = {0, 0, 0, 0};
    int32_t j = 0;
    for (; j + 4 <= cols; j += 4)
        for (int32_t lane = 0; lane < 4; lane++) {
            const double difference = (double)x[j + lane] - (double)y[j + lane];
            sum[lane] += difference * difference;
        }
    for (; j < cols; j++) {
        const double difference = (double)x[j] - (double)y[j];
        sum[0] += difference * difference;
    }
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

static double gap(const float *a, const float *b, int32_t cols)
{
    const double below = (double)b[0] - (double)a[cols], above = (double)a[0] - (double)b[cols];
    const double most = below > above ? below : above;
    return most > 0 ? most : 0;
}

/* Of two boxes; never more than the distance of two points in them. */
DUMI_CLONES static double box_distance(int32_t cols, const float *restrict a, const float *restrict b)
{
    double sum[4] = {0, 0, 0, 0};
    int32_t j = 0;
    for (; j + 4 <= cols; j += 4)
        for (int32_t lane = 0; lane < 4; lane++) {
            const double out = gap(a + j + lane, b + j + lane, cols);
            sum[lane] += out * out;
        }
    for (; j < cols; j++)
        sum[j % 4] += gap(a + j, b + j, cols) * gap(a + j, b + j, cols);
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) * (1 - 1e-12);
}

/* The same of a point and a box in single precision, which may overflow. */
DUMI_CLONES static float point_distance(int32_t cols, const float *restrict x, const float *restrict box)
{
    float sum[8] = {0, 0, 0, 0, 0, 0, 0, 0};
    int32_t j = 0;
    for (; j + 8 <= cols; j += 8)
        for (int32_t lane = 0; lane < 8; lane++) {
            const float below = box[j + lane] - x[j + lane], above = x[j + lane] - box[cols + j + lane];
            const float gap = below > above ? below : above, out = gap > 0 ? gap : 0;
            sum[lane] += out * out;
        }
    for (; j < cols; j++) {
        const float below = box[j] - x[j], above = x[j] - box[cols + j];
        const float gap = below > above ? below : above, out = gap > 0 ? gap : 0;
        sum[0] += out * out;
    }
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

/* A bound for sums in single precision, which may be too large by a little but not too small. */
static float bound_of(int32_t cols, double reach_of)
{
    const double bound = reach_of * (1 + 1e-6) + 16.0 * (cols + 4) * (double)FLT_MIN;
    return bound < (double)FLT_MAX ? (float)bound : INFINITY;
}

void dumi_neighbours_insert(dumi_neighbour *list, int32_t *found, int32_t k, double square, int32_t row)
{
    int32_t at = *found < k ? (*found)++ : k - 1;
    for (;
         at > 0 && (list[at - 1].square > square || (list[at - 1].square == square && list[at - 1].row > row));
         at--)
        list[at] = list[at - 1];
    list[at] = (dumi_neighbour){square, row};
}

/* Whether it is nearer to query i than the last of its list. */
static bool enters(const dumi_block *b, int32_t k, int32_t i, double square, int32_t row)
{
    if (b->found[i] < k)
        return true;
    const dumi_neighbour *last = &b->lists[(int64_t)i * k + k - 1];
    return square < last->square || (square == last->square && row < last->row);
}

void dumi_neighbours_offer(const dumi_meeting *m, int32_t active, double square, int32_t row)
{
    dumi_block *b = m->block;
    const int32_t i = b->active[active];
    if (b->self[i] == row || !enters(b, m->k, i, square, row))
        return;
    dumi_neighbours_insert(b->lists + (int64_t)i * m->k, &b->found[i], m->k, square, row);
    b->bounds[active] = bound_of(m->t->cols, dumi_reach(b, m->k, i));
}

void dumi_neighbours_consider(const dumi_meeting *m, int32_t active, int32_t panel, uint64_t near)
{
    const dumi_neighbours *t = m->t;
    const dumi_node *leaf = &t->nodes[t->leaves - 1 + m->leaf];
    const float *x = m->block->x + (int64_t)m->block->active[active] * t->cols;
    for (; near != 0; near &= near - 1) {
        const int32_t p = panel * DUMI_PANEL + __builtin_ctzll(near);
        if (p >= leaf->count)
            return;
        const int64_t at = leaf->first + p;
        dumi_neighbours_offer(m, active, dumi_square_distance(t->cols, x, t->rows + at * t->cols),
                              t->order[at]);
    }
}

static void find_worst(dumi_block *b, int32_t k)
{
    b->worst = 0;
    for (int32_t i = 0; i < b->rows; i++) {
        const double own = dumi_reach(b, k, i);
        b->worst = own > b->worst ? own : b->worst;
    }
}

/* Identical rows are measured once. */
static void visit_identical(const dumi_meeting *m, const dumi_node *node)
{
    const dumi_neighbours *t = m->t;
    dumi_block *b = m->block;
    for (int32_t i = 0; i < b->rows; i++) {
        const double square =
            dumi_square_distance(t->cols, b->x + (int64_t)i * t->cols, t->rows + node->first * t->cols);
        for (int64_t p = node->first; p < node->first + node->count; p++) {
            const int32_t row = t->order[p];
            if (!enters(b, m->k, i, square, row))
                break;
            if (b->self[i] != row)
                dumi_neighbours_insert(b->lists + (int64_t)i * m->k, &b->found[i], m->k, square, row);
        }
    }
    find_worst(b, m->k);
}

static void visit_leaf(const dumi_meeting *m)
{
    const dumi_neighbours *t = m->t;
    dumi_block *b = m->block;
    const float *box = t->boxes + 2 * (t->leaves - 1 + m->leaf) * t->cols,
                *centre = t->centres + m->leaf * t->cols;
    const float low = (float)(1 - dumi_slack(t->cols));
    int32_t active = 0;
    for (int32_t i = 0; i < b->rows; i++) {
        const float *x = b->x + (int64_t)i * t->cols;
        const float bound = bound_of(t->cols, dumi_reach(b, m->k, i));
        if (b->rows > 1 && bound < INFINITY) {
            const float distance = point_distance(t->cols, x, box);
            if (distance * low > bound && distance < INFINITY)
                continue;
        }
        b->active[active] = i;
        b->bounds[active++] = bound;
    }
    const int32_t step = active == 1 ? 1 : DUMI_GROUP;
    for (int32_t i = 0; i < active; i++) {
        float *to = b->packed + (int64_t)(i - i % step) * t->cols + i % step;
        b->squares[i] = dumi_low_square(
            t->cols, dumi_move_row(t->cols, b->x + (int64_t)b->active[i] * t->cols, centre, step, to));
    }
    for (int32_t i = active; i % step != 0; i++) { /* fills the last group up */
        b->bounds[i] = -1;
        b->squares[i] = INFINITY;
    }
    dumi_neighbours_meet(m, active);
    find_worst(b, m->k);
}

/* As deep as the tree has levels: 31 at most. */
static void visit(dumi_meeting *m, int64_t node)
{
    const dumi_neighbours *t = m->t;
    if (t->nodes[node].axis < 0) {
        visit_identical(m, &t->nodes[node]);
        return;
    }
    if (m->block->scores != NULL && dumi_codes_cover(t, node)) {
        dumi_codes_meet(m, node);
        find_worst(m->block, m->k);
        return;
    }
    if (node >= t->leaves - 1) {
        m->leaf = node - (t->leaves - 1);
        visit_leaf(m);
        return;
    }
    int64_t near = 2 * node + 1, far = near + 1;
    double to_near = box_distance(t->cols, m->block->box, t->boxes + 2 * near * t->cols),
           to_far = box_distance(t->cols, m->block->box, t->boxes + 2 * far * t->cols);
    if (to_far < to_near) {
        const double held = to_near;
        to_near = to_far;
        to_far = held;
        near = far;
        far = 2 * node + 1;
    }
    if (to_near <= m->block->worst)
        visit(m, near);
    if (to_far <= m->block->worst)
        visit(m, far);
}

typedef struct {
    const dumi_neighbours *t;
    const dumi_queries *queries; /* NULL: the rows themselves, from `first` of the tree's order on */
    int64_t first, count;
    const int64_t *sorted; /* the queries by leaf; NULL: as they come */
    int32_t asked, k;      /* k: one more where one may be left out; no more than there are */
    dumi_leave leave;
    const dumi_watch *watch;
    dumi_neighbours_fn receive;
    void *user;
    dumi_block *blocks; /* one a worker */
} searching;

static void find_box(dumi_block *b, int32_t cols)
{
    memcpy(b->box, b->x, (size_t)cols * sizeof *b->box);
    memcpy(b->box + cols, b->x, (size_t)cols * sizeof *b->box);
    for (int32_t i = 1; i < b->rows; i++)
        for (int32_t j = 0; j < cols; j++) {
            const float x = b->x[(int64_t)i * cols + j];
            b->box[j] = x < b->box[j] ? x : b->box[j];
            b->box[cols + j] = x > b->box[cols + j] ? x : b->box[cols + j];
        }
}

static int64_t query_of(const searching *s, int64_t i)
{
    return s->sorted != NULL ? s->sorted[i] : i;
}

static void hand_out(const searching *s, const dumi_block *b, int64_t first)
{
    for (int32_t i = 0; i < b->rows; i++) {
        const dumi_neighbour *list = b->lists + (int64_t)i * s->k;
        int32_t found = b->found[i];
        if (s->leave == DUMI_LEAVE_IDENTICAL && found > 0 && list[0].square == 0) {
            list++;
            found--;
        }
        found = found < s->asked ? found : s->asked;
        const int64_t query = s->queries == NULL ? s->t->order[s->first + first + i] : query_of(s, first + i);
        s->receive(s->user, query, b->x + (int64_t)i * s->t->cols, list, found);
    }
}

static void search_task(void *argument, int64_t task, int32_t worker)
{
    const searching *s = argument;
    const dumi_neighbours *t = s->t;
    dumi_block *b = &s->blocks[worker];
    const int64_t first = task * DUMI_BLOCK;
    b->rows = (int32_t)(s->count - first < DUMI_BLOCK ? s->count - first : DUMI_BLOCK);
    if (s->queries == NULL) {
        b->x = t->rows + (s->first + first) * t->cols;
        b->self = t->order + s->first + first;
    } else {
        for (int32_t i = 0; i < b->rows; i++) {
            const int64_t query = query_of(s, first + i);
            memcpy(b->copy + (int64_t)i * t->cols, s->queries->rows + query * s->queries->stride,
                   (size_t)t->cols * sizeof *b->copy);
            b->own[i] = s->queries->self != NULL ? s->queries->self[query] : -1;
        }
        b->x = b->copy;
        b->self = b->own;
    }
    find_box(b, t->cols);
    memset(b->found, 0, sizeof b->found);
    b->worst = INFINITY;
    if (b->scores != NULL)
        dumi_codes_query(t, b);
    dumi_meeting m = {.t = t, .block = b, .k = s->k};
    visit(&m, 0);
    hand_out(s, b, first);
}

static int64_t leaf_of(const dumi_neighbours *t, const float *x)
{
    int64_t node = 0;
    while (node < t->leaves - 1)
        node = 2 * node + (t->nodes[node].axis < 0 || x[t->nodes[node].axis] < t->nodes[node].cut ? 1 : 2);
    return node - (t->leaves - 1);
}

/* Queries that lie near each other side by side. */
static void sort_queries(const searching *s, int64_t *starts, int64_t *sorted)
{
    const dumi_neighbours *t = s->t;
    memset(starts, 0, (size_t)(t->leaves + 1) * sizeof *starts);
    for (int64_t i = 0; i < s->count; i++)
        starts[leaf_of(t, s->queries->rows + i * s->queries->stride) + 1]++;
    for (int64_t i = 0; i < t->leaves; i++)
        starts[i + 1] += starts[i];
    for (int64_t i = 0; i < s->count; i++)
        sorted[starts[leaf_of(t, s->queries->rows + i * s->queries->stride)]++] = i;
}

static dum_status run(searching *s)
{
    const dumi_neighbours *t = s->t;
    const int64_t blocks = (s->count + DUMI_BLOCK - 1) / DUMI_BLOCK;
    const int32_t workers = (int32_t)(t->context->threads < blocks ? t->context->threads : blocks);
    const size_t rows = (size_t)(s->count < DUMI_BLOCK ? s->count : DUMI_BLOCK), cols = (size_t)t->cols;
    const size_t packed = (rows + DUMI_GROUP) * cols, floats = rows * cols + packed + 2 * cols;
    /* Of a query alone, where there are codes: scores, the least of some, and the code. */
    const bool alone = s->count == 1 && t->sketch != NULL;
    const size_t scores = alone ? (size_t)t->sketch->places : 0,
                 code = alone ? (size_t)t->sketch->width / 2 : 0;
    float *space = NULL;
    dumi_neighbour *lists = NULL;
    dum_status status;
    DUMI_GO(DUMI_NEW(t->context, s->blocks, workers));
    DUMI_GO(DUMI_NEW(t->context, space, (size_t)workers * floats + 2 * scores + code));
    DUMI_GO(DUMI_NEW(t->context, lists, (size_t)workers * rows * (size_t)s->k));
    for (int32_t i = 0; i < workers; i++) {
        float *own = space + (size_t)i * floats;
        s->blocks[i].copy = own;
        s->blocks[i].packed = own + rows * cols;
        s->blocks[i].box = own + rows * cols + packed;
        memset(s->blocks[i].packed, 0, packed * sizeof *own);
        s->blocks[i].lists = lists + (size_t)i * rows * (size_t)s->k;
        s->blocks[i].scores = alone ? (int32_t *)(void *)(own + floats) : NULL;
        s->blocks[i].least = alone ? s->blocks[i].scores + scores : NULL;
        s->blocks[i].coded.at = alone ? (int16_t *)(void *)(own + floats + 2 * scores) : NULL;
    }
    /* Asked as if all met all, which is what happens in many columns. */
    const double columns = t->cols + 10, meetings = 0.3 * (double)s->count * (double)t->count * columns;
    const dumi_watch *watch = dumi_watch_long(s->watch, meetings);
    status = dumi_parallel_watched(t->context, workers, blocks,
                                   watch != NULL ? meetings : 1e3 * (double)s->count * columns, search_task, s,
                                   watch);
done:
    dumi_free(t->context, s->blocks);
    dumi_free(t->context, space);
    dumi_free(t->context, lists);
    return status;
}

static int32_t wanted(const dumi_neighbours *t, int32_t k, dumi_leave leave)
{
    const int64_t all = (int64_t)k + (leave == DUMI_LEAVE_IDENTICAL ? 1 : 0);
    return (int32_t)(all < t->count ? all : t->count);
}

dum_status dumi_neighbours_search(const dumi_neighbours *t, const dumi_queries *queries, int32_t k,
                                  dumi_leave leave, const dumi_watch *watch, dumi_neighbours_fn receive,
                                  void *user)
{
    searching s = {.t = t,
                   .queries = queries,
                   .count = queries->count,
                   .asked = k,
                   .k = wanted(t, k, leave),
                   .leave = leave,
                   .watch = watch,
                   .receive = receive,
                   .user = user};
    int64_t *starts = NULL, *sorted = NULL;
    dum_status status = DUM_OK;
    if (s.count > DUMI_BLOCK / 4 && t->leaves > 1) {
        DUMI_GO(DUMI_NEW(t->context, starts, t->leaves + 1));
        DUMI_GO(DUMI_NEW(t->context, sorted, s.count));
        sort_queries(&s, starts, sorted);
        s.sorted = sorted;
    }
    status = run(&s);
done:
    dumi_free(t->context, starts);
    dumi_free(t->context, sorted);
    return status;
}

dum_status dumi_neighbours_search_self(const dumi_neighbours *t, int64_t first, int64_t count, int32_t k,
                                       const dumi_watch *watch, dumi_neighbours_fn receive, void *user)
{
    searching s = {.t = t,
                   .first = first,
                   .count = count,
                   .asked = k,
                   .k = wanted(t, k, DUMI_LEAVE_NONE),
                   .leave = DUMI_LEAVE_NONE,
                   .watch = watch,
                   .receive = receive,
                   .user = user};
    return run(&s);
}

void dumi_receive_mean(void *user, int64_t query, const float *x, const dumi_neighbour *found, int32_t count)
{
    double *squares = user;
    (void)x;
    squares[query] = 0;
    for (int32_t i = 0; i < count; i++)
        squares[query] += found[i].square / count;
}
