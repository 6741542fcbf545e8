/* SPDX-License-Identifier: MIT
 * Kind "lof" (Breunig, Kriegel, Ng & Sander 2000): how much denser it is round a row's neighbours than round the row. */
#include "scorer/near.h"

#include <math.h>
#include <stddef.h>

static const dumi_param neighbours = {
    "neighbours", 20,   1,    10000,
    NULL,         NULL, true, "how many make a neighbourhood, or all other rows where there are fewer"};

static const dumi_param *param(int32_t index)
{
    return dumi_near_param(index, &neighbours);
}

typedef struct {
    dumi_near near;
    double *reach;   /* of each training row: the distance of its k-th neighbour */
    double *density; /* local reachability density */
} factor;

static dum_status ready(const double *values, void *state)
{
    const factor *s = state;
    for (int64_t i = 0; i < s->near.head.sizes[DUMI_ROWS]; i++)
        DUMI_REQUIRE(s->reach[i] >= 0 && s->density[i] > 0, DUM_ERR_FORMAT,
                     "tensor lof.reach or lof.density: element %lld is out of range", (long long)i);
    return dumi_near_ready(values, state);
}

static const dumi_array arrays[] = {
    DUMI_NEAR_ARRAY,
    {"lof.reach", DUMI_F64, offsetof(factor, reach), DUMI_ROWS, DUMI_VECTOR},
    {"lof.density", DUMI_F64, offsetof(factor, density), DUMI_ROWS, DUMI_VECTOR},
};
static const dumi_layout layout = {
    .bytes = sizeof(factor), .count = 3, .arrays = arrays, .ready = ready, .release = dumi_near_release};

typedef struct {
    factor *s;
    int32_t *rows; /* of each training row: its neighbours */
} gathering;

static void gather(void *user, int64_t query, const float *x, const dumi_neighbour *found, int32_t count)
{
    (void)x;
    const gathering *g = user;
    for (int32_t i = 0; i < count; i++)
        g->rows[query * g->s->near.k + i] = found[i].row;
    g->s->reach[query] = sqrt(found[count - 1].square);
}

/* A pile of k + 1 copies has no extent: what is added keeps its density finite (as scikit-learn does). */
static double density_of(double reach_sum, int32_t count)
{
    return 1 / (reach_sum / count + 1e-10);
}

static void density_task(void *argument, int64_t row, int32_t worker)
{
    (void)worker;
    const gathering *g = argument;
    const factor *s = g->s;
    const int32_t k = s->near.k, cols = (int32_t)s->near.head.sizes[DUMI_COLS];
    const float *x = s->near.rows + row * cols;
    double sum = 0;
    for (int32_t i = 0; i < k; i++) {
        const int32_t other = g->rows[row * k + i];
        const double distance = sqrt(dumi_square_distance(cols, x, s->near.rows + (int64_t)other * cols));
        sum += fmax(distance, s->reach[other]);
    }
    s->density[row] = density_of(sum, k);
}

static dum_status find_densities(const dumi_fitting *f, const gathering *g)
{
    const int64_t part = dumi_fitting_part(f);
    factor *s = g->s;
    for (int64_t first = 0; first < f->count; first += part) {
        DUMI_TRY(dumi_fitting_progress(f, first, f->count, 0));
        const int64_t count = f->count - first < part ? f->count - first : part;
        DUMI_TRY(dumi_neighbours_search_self(s->near.tree, first, count, s->near.k, NULL, gather, (void *)g));
    }
    const dumi_watch watch = dumi_fitting_watch(f);
    return dumi_parallel_watched(f->context, f->context->threads, f->count,
                                 3.0 * (double)f->count * s->near.k * f->cols, density_task, (void *)g, &watch);
}

static dum_status fit(dumi_fitting *f, void **state)
{
    gathering g = {NULL, NULL};
    DUMI_TRY(dumi_near_create(f, &layout, (void **)&g.s));
    dum_status status;
    DUMI_GO(dumi_near_ready(f->values, g.s));
    DUMI_GO(DUMI_NEW(f->context, g.rows, (size_t)f->count * (size_t)g.s->near.k));
    DUMI_GO(find_densities(f, &g));
    *state = g.s;
    g.s = NULL;
done:
    dumi_state_destroy(g.s);
    dumi_free(f->context, g.rows);
    return status;
}

static double row_score(const void *state, const float *x, const dumi_neighbour *found, int32_t count)
{
    (void)x;
    const factor *s = state;
    double reach = 0, density = 0;
    for (int32_t i = 0; i < count; i++) {
        reach += fmax(sqrt(found[i].square), s->reach[found[i].row]);
        density += s->density[found[i].row];
    }
    return density / count / density_of(reach, count);
}

static dum_status score(const double *values, void *state, const float *data, int64_t rows, int32_t cols,
                        int64_t row_stride, double *scores)
{
    (void)values;
    return dumi_near_score(state, row_score, data, rows, cols, row_stride, scores);
}

const dumi_scorer_kind dumi_scorer_lof = {
    .name = "lof",
    .params = {"scorer lof", DUMI_NEAR_PARAMS, param},
    .scales = true,
    .fit_rows = fit,
    .layout = &layout,
    .score = score,
    .explain = dumi_near_explain,
};
