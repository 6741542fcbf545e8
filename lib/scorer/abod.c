/* SPDX-License-Identifier: MIT
 * Kind "abod" (Kriegel, Schubert & Zimek 2008; their FastABOD): how little the angles vary under which a row sees its k
 * nearest training rows. */
#include "scorer/near.h"

#include <float.h>
#include <math.h>

static const dumi_param neighbours = {
    "neighbours", 5,    2,    1000,
    NULL,         NULL, true, "between which angles are taken, or all other rows where there are fewer"};

static const dumi_param *param(int32_t index)
{
    return dumi_near_param(index, &neighbours);
}

/* (a - x).(b - x) */
DUMI_CLONES static double dot_from(int32_t cols, const float *restrict x, const float *restrict a,
                                   const float *restrict b)
{
    double sum[4] = {0, 0, 0, 0};
    int32_t j = 0;
    for (; j + 4 <= cols; j += 4)
        for (int32_t lane = 0; lane < 4; lane++)
            sum[lane] +=
                ((double)a[j + lane] - (double)x[j + lane]) * ((double)b[j + lane] - (double)x[j + lane]);
    for (; j < cols; j++)
        sum[0] += ((double)a[j] - (double)x[j]) * ((double)b[j] - (double)x[j]);
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* Minus the variance of (a.b) / (|a|^2 |b|^2) over all pairs of neighbours; those that are identical to the row are
 * seen under no angle. */
static double row_score(const void *state, const float *x, const dumi_neighbour *found, int32_t count)
{
    const dumi_near *s = state;
    const int32_t cols = (int32_t)s->head.sizes[DUMI_COLS];
    double pairs = 0, mean = 0, squares = 0;
    for (int32_t i = 0; i < count; i++)
        for (int32_t j = i + 1; j < count; j++) {
            if (!(found[i].square > 0))
                continue;
            const double dot = dot_from(cols, x, dumi_neighbours_row(s->tree, found[i].row),
                                        dumi_neighbours_row(s->tree, found[j].row));
            const double angle = dot / found[i].square / found[j].square, off = angle - mean;
            pairs += 1;
            mean += off / pairs;
            squares += off * (angle - mean);
        }
    /* No pair: a row among copies of itself is as usual as can be. */
    const double variance = pairs > 0 ? squares / pairs : DBL_MAX;
    return variance <= DBL_MAX ? -variance : -DBL_MAX;
}

static dum_status score(const double *values, void *state, const float *data, int64_t rows, int32_t cols,
                        int64_t row_stride, double *scores)
{
    (void)values;
    return dumi_near_score(state, row_score, data, rows, cols, row_stride, scores);
}

const dumi_scorer_kind dumi_scorer_abod = {
    .name = "abod",
    .params = {"scorer abod", DUMI_NEAR_PARAMS, param},
    .scales = true,
    .fit_rows = dumi_near_fit,
    .layout = &dumi_near_layout,
    .score = score,
};
