/* SPDX-License-Identifier: MIT
 * Nearest neighbours by gemm: |q - p|^2 = |q|^2 - 2 q.p + |p|^2 ranks candidates, more of them than
 * wanted; those are then measured exactly. */
#include "backend/blis/stream.h"

enum { MOST_NEIGHBOURS = 256, TILE_QUERIES = 64, TILE_POINTS = 1024 };

struct dumi_blis_search {
    float products[TILE_QUERIES][TILE_POINTS];
    double squares[TILE_POINTS];
    dumi_neighbour candidates[TILE_QUERIES][MOST_NEIGHBOURS];
    int32_t found[TILE_QUERIES];
};

typedef struct {
    struct dumi_blis_search *scratch;
    int32_t points, cols, k, outputs, keep;
    const float *q, *p;
    const int32_t *exclude;
    float *t;
    int32_t query, queries, point, tile_points; /* the tile */
} search;

/* More candidates than k, since float32 products order near ties at random. */
static int32_t candidates(int32_t k, int32_t points)
{
    const int32_t wanted = k + 8 < MOST_NEIGHBOURS ? k + 8 : MOST_NEIGHBOURS;
    return wanted < points ? wanted : points;
}

static void collect_task(void *argument, int64_t task, int32_t worker)
{
    (void)worker;
    const search *x = argument;
    dumi_neighbour *list = x->scratch->candidates[task];
    int32_t *found = &x->scratch->found[task];
    const int32_t excluded = x->exclude[x->query + task];
    for (int32_t j = 0; j < x->tile_points; j++) {
        const double distance = x->scratch->squares[j] - 2.0 * (double)x->scratch->products[task][j];
        if ((*found < x->keep || distance < list[x->keep - 1].distance) && x->point + j != excluded)
            dumi_neighbour_insert(list, found, x->keep, distance, x->point + j);
    }
}

static double square_norm(int32_t cols, const float *p)
{
    double sum = 0;
    for (int32_t c = 0; c < cols; c++)
        sum += (double)p[c] * (double)p[c];
    return sum;
}

static double square_distance(int32_t cols, const float *q, const float *p)
{
    double sum = 0;
    for (int32_t c = 0; c < cols; c++) {
        const double difference = (double)q[c] - (double)p[c];
        sum += difference * difference;
    }
    return sum;
}

static void measure_task(void *argument, int64_t task, int32_t worker)
{
    (void)worker;
    const search *x = argument;
    const dumi_neighbour *list = x->scratch->candidates[task];
    const float *q = x->q + (x->query + task) * x->cols;
    /* In the order of their rows, so that equal distances keep it. */
    int32_t order[MOST_NEIGHBOURS] = {0}, found = 0;
    for (int32_t i = 0; i < x->scratch->found[task]; i++) {
        int32_t at = i;
        for (; at > 0 && order[at - 1] > list[i].index; at--)
            order[at] = order[at - 1];
        order[at] = list[i].index;
    }
    dumi_neighbour exact[MOST_NEIGHBOURS] = {{0, 0}};
    for (int32_t i = 0; i < x->scratch->found[task]; i++) {
        const double distance = square_distance(x->cols, q, x->p + (int64_t)order[i] * x->cols);
        dumi_neighbour_insert(exact, &found, x->k, distance, order[i]);
    }
    dumi_neighbour_spread(exact, x->k, x->cols, q, x->p, x->outputs, x->t + (x->query + task) * x->outputs);
}

static void search_tile(dumi_stream *stream, search *x)
{
    memset(x->scratch->found, 0, sizeof x->scratch->found);
    for (x->point = 0; x->point < x->points; x->point += TILE_POINTS) {
        x->tile_points = x->points - x->point < TILE_POINTS ? x->points - x->point : TILE_POINTS;
        const float *points = x->p + (int64_t)x->point * x->cols;
        dumi_blis_gemm(stream, &(dumi_gemm){
                                   .m = x->queries,
                                   .n = x->tile_points,
                                   .k = x->cols,
                                   .a = x->q + (int64_t)x->query * x->cols,
                                   .a_row = x->cols,
                                   .a_col = 1,
                                   .b = points,
                                   .b_row = 1,
                                   .b_col = x->cols,
                                   .c = x->scratch->products[0],
                                   .c_row = TILE_POINTS,
                               });
        for (int32_t j = 0; j < x->tile_points; j++)
            x->scratch->squares[j] = square_norm(x->cols, points + (int64_t)j * x->cols);
        dumi_parallel(stream->context, stream->threads, x->queries, 4.0 * x->queries * x->tile_points,
                      collect_task, x);
    }
    dumi_parallel(stream->context, stream->threads, x->queries, 3.0 * x->queries * x->k * x->cols, measure_task,
                  x);
}

void dumi_blis_spread(dumi_stream *stream, int32_t queries, int32_t points, int32_t cols, const float *q,
                      const float *p, const int32_t *exclude, int32_t k, int32_t outputs, float *t)
{
    search x = {.scratch = stream->search,
                .points = points,
                .cols = cols,
                .k = k,
                .outputs = outputs,
                .keep = candidates(k, points),
                .q = q,
                .p = p,
                .exclude = exclude,
                .t = t};
    for (x.query = 0; x.query < queries; x.query += TILE_QUERIES) {
        x.queries = queries - x.query < TILE_QUERIES ? queries - x.query : TILE_QUERIES;
        search_tile(stream, &x);
    }
}

dum_status dumi_blis_search_create(dumi_stream *stream)
{
    return DUMI_NEW(stream->context, stream->search, 1);
}
