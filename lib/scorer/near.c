/* SPDX-License-Identifier: MIT */
#include "scorer/near.h"

#include <stddef.h>

static const dumi_param identical = {"identical",
                                     0,
                                     0,
                                     0,
                                     (const char *const[]){"leave-out", "count", NULL},
                                     "leave-out|count",
                                     false,
                                     "the first training row that is identical to a scored row: leave-out, "
                                     "so that training rows score as such; or "
                                     "count it among the neighbours"};

const dumi_param *dumi_near_param(int32_t index, const dumi_param *neighbours)
{
    return index == DUMI_SCORER_HOLDOUT   ? &dumi_scorer_holdout
           : index == DUMI_SCORER_SCALING ? &dumi_scorer_scaling
           : index == DUMI_NEAR_K         ? neighbours
                                          : &identical;
}

dum_status dumi_near_ready(const double *values, void *state)
{
    dumi_near *s = state;
    const int64_t rows = s->head.sizes[DUMI_ROWS], cols = s->head.sizes[DUMI_COLS];
    DUMI_REQUIRE(rows >= 2 && rows <= INT32_MAX && cols <= INT32_MAX, DUM_ERR_FORMAT,
                 "tensor rows has the shape %lld x %lld", (long long)rows, (long long)cols);
    s->k = (int32_t)(values[DUMI_NEAR_K] < (double)(rows - 1) ? values[DUMI_NEAR_K] : (double)(rows - 1));
    s->leave = values[DUMI_NEAR_IDENTICAL] == 0 ? DUMI_LEAVE_IDENTICAL : DUMI_LEAVE_NONE;
    if (s->tree != NULL)
        return DUM_OK;
    DUMI_TRY(dumi_neighbours_create(s->head.context, s->rows, rows, (int32_t)cols, NULL, &s->tree));
    return dumi_neighbours_code(s->tree);
}

void dumi_near_release(void *state)
{
    dumi_neighbours_destroy(((dumi_near *)state)->tree);
}

dum_status dumi_near_create(dumi_fitting *f, const dumi_layout *layout, void **state)
{
    DUMI_REQUIRE(f->count >= 2, DUM_ERR_SHAPE, "the data have %lld rows, neighbours need 2 or more",
                 (long long)f->count);
    const int64_t sizes[DUMI_STATE_SIZES] = {[DUMI_COLS] = f->cols, [DUMI_ROWS] = f->count};
    DUMI_TRY(dumi_state_create(f->context, layout, sizes, state));
    dumi_near *s = *state;
    dumi_free(f->context, s->rows);
    s->rows = f->rows;
    f->rows = NULL;
    return DUM_OK;
}

static const dumi_array arrays[] = {DUMI_NEAR_ARRAY};
const dumi_layout dumi_near_layout = {.bytes = sizeof(dumi_near),
                                      .count = 1,
                                      .arrays = arrays,
                                      .ready = dumi_near_ready,
                                      .release = dumi_near_release};

dum_status dumi_near_fit(dumi_fitting *f, void **state)
{
    void *made;
    DUMI_TRY(dumi_near_create(f, &dumi_near_layout, &made));
    return dumi_state_ready(f->values, made, state);
}

typedef struct {
    const void *state;
    dumi_near_fn score;
    double *scores;
} scoring;

static void receive(void *user, int64_t query, const float *x, const dumi_neighbour *found, int32_t count)
{
    const scoring *s = user;
    s->scores[query] = s->score(s->state, x, found, count);
}

dum_status dumi_near_score(void *state, dumi_near_fn score, const float *data, int64_t rows, int32_t cols,
                           int64_t row_stride, double *scores)
{
    const dumi_near *s = state;
    scoring job = {state, score, scores};
    DUMI_TRY(dumi_rows_check_finite(data, rows, cols, row_stride));
    const dumi_queries queries = {data, rows, row_stride, NULL};
    return dumi_neighbours_search(s->tree, &queries, s->k, s->leave, NULL, receive, &job);
}

typedef struct {
    const dumi_near *s;
    float *share;
} explaining;

static void receive_shares(void *user, int64_t query, const float *x, const dumi_neighbour *found,
                           int32_t count)
{
    (void)query;
    const explaining *e = user;
    const int64_t cols = e->s->head.sizes[DUMI_COLS];
    double sum = 0;
    for (int32_t i = 0; i < count; i++)
        sum += found[i].square;
    for (int64_t j = 0; j < cols; j++) {
        double part = 0;
        for (int32_t i = 0; i < count; i++) {
            const double off = (double)x[j] - (double)dumi_neighbours_row(e->s->tree, found[i].row)[j];
            part += off * off;
        }
        e->share[j] = (float)(sum > 0 ? part / sum : 1 / (double)cols);
    }
}

dum_status dumi_near_explain(const double *values, void *state, int64_t row, float *x, float *scratch,
                             float *share, float *deviation)
{
    (void)values;
    (void)scratch;
    const dumi_near *s = state;
    const int32_t cols = (int32_t)s->head.sizes[DUMI_COLS];
    explaining e = {s, share};
    DUMI_REQUIRE(deviation == NULL, DUM_ERR_UNSUPPORTED, "deviation is for scorer dum, expected NULL");
    DUMI_TRY(dumi_rows_check_row(x, cols, row));
    const dumi_queries query = {x, 1, cols, NULL};
    return dumi_neighbours_search(s->tree, &query, s->k, s->leave, NULL, receive_shares, &e);
}
