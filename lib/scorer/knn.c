/* SPDX-License-Identifier: MIT
 * Kind "knn": the distance to the k nearest training rows (Ramaswamy, Rastogi & Shim 2000: the largest; Angiulli &
 * Pizzuti 2002: the mean). */
#include "scorer/near.h"

#include <math.h>

enum { METHOD = DUMI_NEAR_PARAMS, PARAMS };
enum { LARGEST, MEAN, MEDIAN };

static const dumi_param neighbours =
                            {"neighbours", 5,    1,    100000,
                             NULL,         NULL, true, "how many, or all other rows where there are fewer"},
                        method = {"method",
                                  LARGEST,
                                  0,
                                  0,
                                  (const char *const[]){"largest", "mean", "median", NULL},
                                  "largest|mean|median",
                                  false,
                                  "which of the k distances is the score"};

static const dumi_param *param(int32_t index)
{
    return index == METHOD ? &method : dumi_near_param(index, &neighbours);
}

static double largest(const void *state, const float *x, const dumi_neighbour *found, int32_t count)
{
    (void)state;
    (void)x;
    return sqrt(found[count - 1].square);
}

static double mean(const void *state, const float *x, const dumi_neighbour *found, int32_t count)
{
    (void)state;
    (void)x;
    double sum = 0;
    for (int32_t i = 0; i < count; i++)
        sum += sqrt(found[i].square);
    return sum / count;
}

static double median(const void *state, const float *x, const dumi_neighbour *found, int32_t count)
{
    (void)state;
    (void)x;
    return (sqrt(found[(count - 1) / 2].square) + sqrt(found[count / 2].square)) / 2;
}

static dum_status score(const double *values, void *state, const float *data, int64_t rows, int32_t cols,
                        int64_t row_stride, double *scores)
{
    static const dumi_near_fn by[] = {largest, mean, median};
    return dumi_near_score(state, by[(int32_t)values[METHOD]], data, rows, cols, row_stride, scores);
}

const dumi_scorer_kind dumi_scorer_knn = {
    .name = "knn",
    .params = {"scorer knn", PARAMS, param},
    .scales = true,
    .fit_rows = dumi_near_fit,
    .layout = &dumi_near_layout,
    .score = score,
    .explain = dumi_near_explain,
};
