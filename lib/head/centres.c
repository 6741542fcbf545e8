/* SPDX-License-Identifier: MIT
 * The centres of the anchor: k-means (Lloyd 1982) on a sample of the scaled training rows. They are where the rows are, in
 * a number that does not grow with theirs, and none of them is a row: no row is at distance 0 only for being one. */
#include "dataset/dataset.h"
#include "head/head.h"
#include "neighbours/neighbours.h"

#include <math.h>

enum { MOST_ROWS = 4096, ROUNDS = 5 };

static void receive_nearest(void *user, int64_t query, const float *x, const dumi_neighbour *found,
                            int32_t count)
{
    int32_t *nearest = user;
    (void)x;
    (void)count;
    nearest[query] = found[0].row;
}

typedef struct {
    int32_t rows, cols;
    const dumi_watch *watch;
    float *points;
    int32_t *nearest;          /* by row */
    double *sums;              /* of the points of each centre, and how many */
    double *targets, *anchors; /* by row: mean squared distance to its neighbours; to the nearest centres */
} sample;

/* Each centre to the mean of the points that are nearest to it; one that none is nearest to stays. */
static void move(const sample *s, dumi_centres *c)
{
    const int64_t cols = s->cols, wide = cols + 1;
    memset(s->sums, 0, (size_t)(c->count * wide) * sizeof *s->sums);
    for (int64_t i = 0; i < s->rows; i++) {
        double *sums = s->sums + s->nearest[i] * wide;
        for (int64_t k = 0; k < cols; k++)
            sums[k] += (double)s->points[i * cols + k];
        sums[cols]++;
    }
    for (int64_t j = 0; j < c->count; j++) {
        const double *sums = s->sums + j * wide;
        for (int64_t k = 0; k < cols && sums[cols] > 0; k++)
            c->rows[j * cols + k] = (float)(sums[k] / sums[cols]);
    }
}

static dum_status round_of(dum_context *context, const sample *s, dumi_centres *c)
{
    dumi_neighbours *tree;
    DUMI_TRY(dumi_neighbours_create(context, c->rows, c->count, s->cols, s->watch, &tree));
    const dumi_queries queries = {s->points, s->rows, s->cols, NULL};
    const dum_status status =
        dumi_neighbours_search(tree, &queries, 1, DUMI_LEAVE_NONE, s->watch, receive_nearest, s->nearest);
    dumi_neighbours_destroy(tree);
    if (status == DUM_OK)
        move(s, c);
    return status;
}

/* Twice the loss of the objective `local`, but for a constant, at the best offset: s = log(epsilon + anchor / d) + b. */
static double loss(const sample *s, const double *anchors)
{
    double ratio = 0, logs = 0;
    for (int32_t i = 0; i < s->rows; i++) {
        const double anchor = DUMI_EPSILON + anchors[i] / s->cols;
        ratio += s->targets[i] / s->cols / anchor / s->rows;
        logs += log(anchor) / s->rows;
    }
    return log(ratio) + logs;
}

static dum_status search(dum_context *context, const sample *s, const dumi_centres *c, int32_t neighbours)
{
    dumi_neighbours *tree;
    DUMI_TRY(dumi_neighbours_create(context, s->points, s->rows, s->cols, s->watch, &tree));
    const int32_t k = neighbours < s->rows ? neighbours : s->rows - 1;
    dum_status status =
        dumi_neighbours_search_self(tree, 0, s->rows, k, s->watch, dumi_receive_mean, s->targets);
    dumi_neighbours_destroy(tree);
    DUMI_TRY(status);
    DUMI_TRY(dumi_neighbours_create(context, c->rows, c->count, s->cols, s->watch, &tree));
    const dumi_queries queries = {s->points, s->rows, s->cols, NULL};
    status = dumi_neighbours_search(tree, &queries, DUMI_NEAR, DUMI_LEAVE_NONE, s->watch, dumi_receive_mean,
                                    s->anchors);
    dumi_neighbours_destroy(tree);
    return status;
}

/* Anchor auto: whether the centres say more of how far the neighbours are than the origin does. In many columns and few
 * rows they don't: all rows are equally far from each other, and a centre is near the rows that made it. */
static dum_status choose(dum_context *context, const sample *s, int32_t neighbours, dumi_centres *c)
{
    DUMI_TRY(search(context, s, c, neighbours));
    const double with = loss(s, s->anchors);
    for (int64_t i = 0; i < s->rows; i++) {
        s->anchors[i] = 0;
        for (int32_t j = 0; j < s->cols; j++)
            s->anchors[i] += (double)s->points[i * s->cols + j] * (double)s->points[i * s->cols + j];
    }
    const double without = loss(s, s->anchors);
    const bool stay = with < without;
    dumi_log(context, DUM_LOG_INFO, DUM_LOG_CHOICE, "anchor auto: %s (loss with centres %s, without %s)",
             stay ? "centres" : "on", dumi_show_short(with).text, dumi_show_short(without).text);
    if (!stay) {
        dumi_free(context, c->rows);
        *c = (dumi_centres){0};
    }
    return DUM_OK;
}

/* A row costs as many products as the default network's, not more. */
static int32_t most_centres(const double *values, int32_t cols)
{
    enum { NUMBERS = 131072, LEAST = 256, MOST = 2048 };
    if (values[DUMI_CENTRES] > 0)
        return (int32_t)values[DUMI_CENTRES];
    return NUMBERS / cols < LEAST ? LEAST : NUMBERS / cols > MOST ? MOST : NUMBERS / cols;
}

dum_status dumi_centres_fit(dum_context *context, dumi_stream *stream, const double *values,
                            const dum_dataset *data, const dumi_scaling *scaling, const dumi_watch *watch,
                            dumi_centres *out)
{
    const uint64_t seed = (uint64_t)values[DUMI_SEED];
    const int32_t cols = scaling->cols, most = most_centres(values, cols);
    sample s = {
        .rows = (int32_t)(data->rows < MOST_ROWS ? data->rows : MOST_ROWS), .cols = cols, .watch = watch};
    int64_t *indices = NULL;
    dum_status status;
    out->count = most < s.rows / 2 ? most : s.rows > 1 ? s.rows / 2 : 1;
    DUMI_GO(DUMI_NEW(context, indices, s.rows));
    DUMI_GO(DUMI_NEW(context, s.points, (size_t)s.rows * (size_t)cols));
    DUMI_GO(DUMI_NEW(context, s.nearest, s.rows));
    DUMI_GO(DUMI_NEW(context, s.sums, (size_t)out->count * (size_t)(cols + 1)));
    DUMI_GO(DUMI_NEW(context, s.targets, s.rows));
    DUMI_GO(DUMI_NEW(context, s.anchors, s.rows));
    DUMI_GO(DUMI_NEW(context, out->rows, (size_t)out->count * (size_t)cols));
    dumi_sample_rows(data->rows, s.rows, seed, indices);
    DUMI_GO(dumi_scaling_gather(context, stream, scaling, data, indices, s.rows, watch, s.points));
    for (int32_t j = 0; j < out->count; j++) {
        const uint64_t first = dumi_permute((uint64_t)s.rows, (uint64_t)j, seed, DUMI_RNG_CENTRES, 0);
        memcpy(out->rows + (int64_t)j * cols, s.points + (int64_t)first * cols,
               (size_t)cols * sizeof *out->rows);
    }
    for (int32_t i = 0; i < ROUNDS; i++)
        DUMI_GO(round_of(context, &s, out));
    if ((int32_t)values[DUMI_ANCHOR] == DUMI_AUTO && s.rows > 1)
        DUMI_GO(choose(context, &s, dumi_neighbours_wanted(values, true), out));
    if (out->count > 0)
        DUMI_GO(dumi_centres_finish(context, stream, cols, out));
done:
    dumi_free(context, indices);
    dumi_free(context, s.points);
    dumi_free(context, s.nearest);
    dumi_free(context, s.sums);
    dumi_free(context, s.targets);
    dumi_free(context, s.anchors);
    return status;
}

dum_status dumi_centres_finish(dum_context *context, dumi_stream *stream, int32_t cols, dumi_centres *c)
{
    const dumi_backend *backend = context->backend;
    const size_t size = (size_t)c->count * (size_t)cols;
    float *columns, *bias = NULL;
    dum_status status;
    DUMI_TRY(DUMI_NEW(context, columns, size));
    DUMI_GO(DUMI_NEW(context, bias, c->count));
    for (int32_t i = 0; i < c->count; i++) {
        double square = 0;
        for (int32_t j = 0; j < cols; j++) {
            const float value = c->rows[(int64_t)i * cols + j];
            columns[(int64_t)j * c->count + i] = value;
            square += (double)value * (double)value;
        }
        bias[i] = (float)(-square / 2);
    }
    c->rows_device = backend->alloc(context, size);
    c->bias_device = backend->alloc(context, (size_t)c->count);
    c->packed = backend->pack(context, columns, cols, c->count, DUMI_FLOAT32);
    if (c->rows_device == NULL || c->bias_device == NULL || c->packed == NULL) {
        status = dumi_status();
        goto done;
    }
    backend->upload(stream, c->rows_device, c->rows, size);
    backend->upload(stream, c->bias_device, bias, (size_t)c->count);
    DUMI_GO(backend->sync(stream));
done:
    dumi_free(context, columns);
    dumi_free(context, bias);
    return status;
}

dum_status dumi_centres_copy(dum_context *context, dumi_stream *stream, int32_t cols, const dumi_centres *from,
                             dumi_centres *to)
{
    if (from->count == 0)
        return DUM_OK;
    const size_t size = (size_t)from->count * (size_t)cols;
    DUMI_TRY(DUMI_NEW(context, to->rows, size));
    memcpy(to->rows, from->rows, size * sizeof *to->rows);
    to->count = from->count;
    return dumi_centres_finish(context, stream, cols, to);
}

void dumi_centres_destroy(dum_context *context, dumi_centres *c)
{
    dumi_free(context, c->rows);
    context->backend->free(context, c->rows_device);
    context->backend->free(context, c->bias_device);
    if (c->packed != NULL)
        context->backend->unpack(context, c->packed);
}
