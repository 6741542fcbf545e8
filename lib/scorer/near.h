/* SPDX-License-Identifier: MIT
 * What kinds have in common that keep their training rows and look for the nearest. */
#ifndef DUMI_SCORER_NEAR_H
#define DUMI_SCORER_NEAR_H

#include "neighbours/neighbours.h"
#include "scorer/rows.h"

enum { DUMI_NEAR_K = DUMI_SCALED_PARAMS, DUMI_NEAR_IDENTICAL, DUMI_NEAR_PARAMS };

/* Their options up to `identical`; `neighbours` and what follows are the kind's own. */
const dumi_param *dumi_near_param(int32_t index, const dumi_param *neighbours);

/* The head of their states, and the layout's arrays, ready and release. */
enum { DUMI_ROWS = 1 };

typedef struct {
    dumi_state head;
    float *rows;
    dumi_neighbours *tree;
    int32_t k; /* neighbours, or all other rows where there are fewer */
    dumi_leave leave;
} dumi_near;

#define DUMI_NEAR_ARRAY                                                                                        \
    {                                                                                                          \
        "rows", DUMI_F32, offsetof(dumi_near, rows), DUMI_ROWS, DUMI_COLS                                      \
    }

dum_status dumi_near_ready(const double *values, void *state);
void dumi_near_release(void *state);

/* Of kinds that keep nothing but the rows: their layout and fit. */
extern const dumi_layout dumi_near_layout;
dum_status dumi_near_fit(dumi_fitting *f, void **state);

/* A state whose rows are the training rows; `ready` has not been called. */
dum_status dumi_near_create(dumi_fitting *f, const dumi_layout *layout, void **state);

/* Scores of rows from their neighbours. */
typedef double (*dumi_near_fn)(const void *state, const float *x, const dumi_neighbour *found, int32_t count);
dum_status dumi_near_score(void *state, dumi_near_fn score, const float *data, int64_t rows, int32_t cols,
                           int64_t row_stride, double *scores);

/* dumi_scorer_kind.explain: each column's part of the squares of the distances to the neighbours. */
dum_status dumi_near_explain(const double *values, void *state, int64_t row, float *x, float *scratch,
                             float *share, float *deviation);

#endif
