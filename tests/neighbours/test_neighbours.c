/* SPDX-License-Identifier: MIT
 * The search against one that measures all pairs. */
#include "../harness.h"
#include "neighbours/neighbours.h"

enum { MOST_ROWS = 20000, MOST_VALUES = 24 * MOST_ROWS, MOST_K = 40 };

static float rows[MOST_VALUES], queries[MOST_VALUES];

typedef struct {
    const float *x;
    int64_t count;
    int32_t cols, k;
    bool self;
    dumi_leave leave;
    int64_t seen;
} expected;

static double square(int32_t cols, const float *x, const float *y)
{
    return dumi_square_distance(cols, x, y);
}

/* Whether neighbour `a` comes before `b`. */
static bool nearer(dumi_neighbour a, dumi_neighbour b)
{
    return a.square < b.square || (a.square == b.square && a.row < b.row);
}

static void check(void *user, int64_t query, const float *x, const dumi_neighbour *found, int32_t count)
{
    expected *e = user;
    dumi_neighbour list[MOST_K + 2];
    int32_t have = 0;
    for (int32_t row = 0; row < e->count; row++) {
        if (e->self && row == query)
            continue;
        const dumi_neighbour next = {square(e->cols, x, e->x + (ptrdiff_t)row * e->cols), row};
        int32_t at = have < e->k + 1 ? have++ : e->k + 1;
        list[at] = next;
        for (; at > 0 && nearer(list[at], list[at - 1]); at--) {
            list[at] = list[at - 1];
            list[at - 1] = next;
        }
    }
    const int32_t skip = e->leave == DUMI_LEAVE_IDENTICAL && list[0].square == 0 ? 1 : 0;
    const int32_t wanted = have - skip < e->k ? have - skip : e->k;
    ck_assert_int_eq(count, wanted);
    for (int32_t i = 0; i < wanted; i++) {
        ck_assert_int_eq(found[i].row, list[i + skip].row);
        ck_assert(found[i].square == list[i + skip].square);
    }
    __atomic_fetch_add(&e->seen, 1, __ATOMIC_RELAXED);
}

/* What the values are like. */
enum {
    NORMAL,
    FEW_VALUES,
    PILES,
    FAR_OUT,
    TINY,
    OFFSET,
    HEAVY,
    SMALL,
    LARGE,
    OUTLIERS,
    CONSTANT,
    FEW_DIRECTIONS,
    KINDS
};

static float value(dumi_rng *rng, int kind, int32_t col)
{
    const float x = (float)dumi_rng_normal(rng);
    switch (kind) {
    case FEW_VALUES:
        return (float)dumi_rng_below(rng, 3);
    case FAR_OUT:
        return x * (dumi_rng_below(rng, 20) == 0 ? 1e37f : 1e18f);
    case SMALL:
        return x * 1e-18f;
    case LARGE:
        return x * 1e12f;
    case OUTLIERS: /* further off than codes are good for */
        return dumi_rng_below(rng, 500) == 0 ? x * 1e6f : x;
    case CONSTANT:
        return col % 3 == 0 ? x : 7;
    case TINY:
        return x * 1e-24f;
    case HEAVY:
        return x * x * x * x * x;
    case OFFSET:
        return 1000 + 1e-3f * x * (float)(col + 1);
    default:
        return x;
    }
}

static void fill(dumi_rng *rng, int kind, float *to, int64_t count, int32_t cols)
{
    for (int64_t i = 0; i < count; i++) {
        const bool copy = kind == PILES && i > 0 && dumi_rng_below(rng, 4) != 0;
        const int64_t from = copy ? (int64_t)dumi_rng_below(rng, (uint64_t)(i < 6 ? i : 6)) : 0;
        for (int32_t j = 0; j < cols; j++)
            to[i * cols + j] = copy ? to[from * cols + j] : value(rng, kind, j);
        /* Two directions, and little else. */
        for (int32_t j = 2; j < cols && kind == FEW_DIRECTIONS; j++)
            to[i * cols + j] = to[i * cols + j % 2] * (float)(j % 7) + 0.01f * to[i * cols + j];
    }
}

static dumi_neighbours *make(dum_context *context, int kind, int64_t count, int32_t cols, uint32_t stream)
{
    dumi_rng rng;
    dumi_rng_init(&rng, 7, 99, stream);
    fill(&rng, kind, rows, count, cols);
    fill(&rng, kind, queries, count, cols);
    memcpy(queries, rows, (size_t)cols * sizeof *rows); /* one that is there */
    dumi_neighbours *t;
    ck_ok(dumi_neighbours_create(context, rows, count, cols, NULL, &t));
    ck_ok(dumi_neighbours_code(t));
    return t;
}

static void compare(dum_context *context, int kind, int64_t count, int32_t cols, int32_t k, uint32_t stream)
{
    dumi_neighbours *t = make(context, kind, count, cols, stream);
    for (int64_t i = 0; i < count; i++)
        ck_assert_mem_eq(dumi_neighbours_row(t, (int32_t)i), rows + i * cols, (size_t)cols * sizeof *rows);
    const int64_t alone = count < 60 ? count : 60;
    expected e = {.x = rows, .count = count, .cols = cols, .k = k};
    for (int leave = 0; leave < 2; leave++) {
        e.leave = leave == 0 ? DUMI_LEAVE_NONE : DUMI_LEAVE_IDENTICAL;
        ck_ok(dumi_neighbours_search(t, &(dumi_queries){queries, count, cols, NULL}, k, e.leave, NULL, check,
                                     &e));
        for (int64_t i = 0; i < alone; i++)
            ck_ok(dumi_neighbours_search(t, &(dumi_queries){queries + i * cols, 1, cols, NULL}, k, e.leave,
                                         NULL, check, &e));
    }
    ck_assert_int_eq(e.seen, 2 * (count + alone));
    e.leave = DUMI_LEAVE_NONE;
    e.self = true;
    ck_ok(dumi_neighbours_search_self(t, count / 3, count - count / 3, k, NULL, check, &e));
    ck_assert_int_eq(e.seen, 3 * count + 2 * alone - count / 3);
    static int32_t self[MOST_ROWS];
    for (int32_t i = 0; i < count; i++)
        self[i] = i;
    ck_ok(dumi_neighbours_search(t, &(dumi_queries){rows, count, cols, self}, k, e.leave, NULL, check, &e));
    ck_assert_int_eq(e.seen, 4 * count + 2 * alone - count / 3);
    dumi_neighbours_destroy(t);
}

START_TEST(same_as_all_pairs)
{
    dum_context_options options;
    DUM_INIT(options);
    options.threads = 1 + _i % 3;
    dum_context *context;
    ck_ok(dum_context_create(&options, &context));
    const int32_t shapes[][3] = {{1, 1, 1},    {2, 3, 5},     {7, 2, 7},     {47, 8, 3},
                                 {50, 1, 4},   {300, 3, 6},   {700, 1, 2},   {500, 9, 10},
                                 {1500, 2, 1}, {900, 17, 40}, {1000, 33, 5}, {400, 70, 20}};
    for (uint32_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        compare(context, _i, shapes[i][0], shapes[i][1], shapes[i][2], i);
    dum_context_destroy(context);
}
END_TEST

/* A query alone, where sketches of the rows rule out what they can: fewer rows than neighbours, fewer than columns, several
 * chunks of them, both widths of sketches. */
START_TEST(one_among_sketches)
{
    dum_context *context;
    ck_ok(dum_context_create(NULL, &context));
    const int32_t shapes[][3] = {{1, 60, 3},    {2, 24, 5},     {3, 33, 2},     {5, 100, 9},   {40, 300, 7},
                                 {70, 199, 40}, {1500, 100, 1}, {700, 250, 21}, {900, 513, 6}, {20000, 24, 5}};
    for (uint32_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        const int32_t count = shapes[i][0], cols = shapes[i][1], alone = count < 40 ? count : 40;
        dumi_neighbours *t = make(context, _i, count, cols, i);
        expected e = {.x = rows, .count = count, .cols = cols, .k = shapes[i][2]};
        for (int32_t j = 0; j < alone; j++) {
            const float *const x[] = {queries + (ptrdiff_t)j * cols,
                                      rows + (ptrdiff_t)j * (count / alone) * cols};
            for (int from = 0; from < 2; from++) {
                e.leave = from == 0 ? DUMI_LEAVE_NONE : DUMI_LEAVE_IDENTICAL;
                ck_ok(dumi_neighbours_search(t, &(dumi_queries){x[from], 1, cols, NULL}, e.k, e.leave, NULL,
                                             check, &e));
            }
            e.leave = DUMI_LEAVE_NONE;
            e.self = true;
            ck_ok(dumi_neighbours_search_self(t, j, 1, e.k, NULL, check, &e));
            e.self = false;
        }
        ck_assert_int_eq(e.seen, 3 * alone);
        dumi_neighbours_destroy(t);
    }
    dum_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("neighbours");
    TCase *cases = tcase_create("neighbours");
    tcase_add_loop_test(cases, same_as_all_pairs, 0, KINDS);
    tcase_add_loop_test(cases, one_among_sketches, 0, KINDS);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
