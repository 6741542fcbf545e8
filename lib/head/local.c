/* SPDX-License-Identifier: MIT */
#include "head/local.h"

#include <math.h>

/* So that off-manifold queries can be made by multiplying. */
static dum_status centre_points(dumi_local *local, const dumi_watch *watch)
{
    double since = 0;
    const int32_t cols = local->scaling->cols;
    for (int32_t j = 0; j < cols; j++) {
        double sum = 0, square = 0;
        DUMI_TRY(dumi_watch_count(watch, &since, 50.0 * local->points));
        for (int64_t i = 0; i < local->points; i++)
            sum += (double)local->host[i * cols + j];
        local->centre[j] = (float)(sum / local->points);
        for (int64_t i = 0; i < local->points; i++) {
            float *value = &local->host[i * cols + j];
            *value -= local->centre[j];
            square += (double)*value * (double)*value;
        }
        local->deviation[j] = (float)sqrt(square / local->points);
    }
    return DUM_OK;
}

/* The mean over the neighbours of the squared difference: by column, or its mean over columns. */
static void set_target(const dumi_local *local, const float *x, const dumi_neighbour *found, int32_t count,
                       float *t)
{
    const int32_t cols = local->scaling->cols;
    if (local->outputs == 1 && cols > 1) {
        double sum = 0;
        for (int32_t i = 0; i < count; i++)
            sum += found[i].square / count;
        t[0] = (float)(sum / cols);
        return;
    }
    for (int32_t j = 0; j < cols; j++) {
        double sum = 0;
        for (int32_t i = 0; i < count; i++) {
            const double off = (double)dumi_neighbours_row(local->tree, found[i].row)[j] - (double)x[j];
            sum += off * off;
        }
        t[j] = (float)(sum / count);
    }
}

static void receive_cached(void *user, int64_t query, const float *x, const dumi_neighbour *found,
                           int32_t count)
{
    const dumi_local *local = user;
    set_target(local, x, found, count, local->cached + query * local->outputs);
}

static void receive_target(void *user, int64_t query, const float *x, const dumi_neighbour *found,
                           int32_t count)
{
    const dumi_local *local = user;
    set_target(local, x, found, count, local->targets + query * local->outputs);
}

dum_status dumi_local_create(dum_context *context, dumi_stream *stream, const double *values,
                             const dumi_scaling *scaling, bool centres, int32_t outputs, int32_t batch,
                             const dum_dataset *data, const dumi_watch *watch, dumi_local *local)
{
    const int64_t most = (int64_t)values[DUMI_RESERVOIR];
    const bool all = data->rows <= most;
    local->context = context;
    local->stream = stream;
    local->scaling = scaling;
    local->outputs = outputs;
    local->points = (int32_t)(all ? data->rows : most);
    local->neighbours = dumi_neighbours_wanted(values, centres);
    if (local->neighbours > local->points - 1)
        local->neighbours = local->points - 1;
    local->seed = (uint64_t)values[DUMI_SEED];
    DUMI_TRY(DUMI_NEW(context, local->rows, local->points));
    DUMI_TRY(DUMI_NEW(context, local->host, (size_t)local->points * (size_t)data->cols));
    DUMI_TRY(DUMI_NEW(context, local->centre, data->cols));
    DUMI_TRY(DUMI_NEW(context, local->deviation, data->cols));
    DUMI_TRY(DUMI_NEW(context, local->self, batch));
    DUMI_TRY(DUMI_NEW(context, local->queries, (size_t)batch * (size_t)data->cols));
    DUMI_TRY(DUMI_NEW(context, local->targets, (size_t)batch * (size_t)outputs));
    dumi_sample_rows(data->rows, local->points, local->seed, local->rows);
    DUMI_TRY(
        dumi_scaling_gather(context, stream, scaling, data, local->rows, local->points, watch, local->host));
    DUMI_TRY(centre_points(local, watch));
    DUMI_TRY(dumi_neighbours_create(context, local->host, local->points, data->cols, watch, &local->tree));
    if (all) {
        DUMI_TRY(DUMI_NEW(context, local->cached, (size_t)local->points * (size_t)outputs));
        return dumi_neighbours_search_self(local->tree, 0, local->points, local->neighbours, watch,
                                           receive_cached, local);
    }
    dumi_log(context, DUM_LOG_INFO, DUM_LOG_RESERVOIR,
             "neighbours are searched in a random sample of %d of %lld rows (option reservoir)", local->points,
             (long long)data->rows);
    return DUM_OK;
}

void dumi_local_destroy(dumi_local *local)
{
    dum_context *context = local->context;
    if (context == NULL)
        return;
    dumi_free(context, local->rows);
    dumi_free(context, local->host);
    dumi_free(context, local->centre);
    dumi_free(context, local->deviation);
    dumi_free(context, local->self);
    dumi_free(context, local->queries);
    dumi_free(context, local->targets);
    dumi_free(context, local->cached);
    dumi_neighbours_destroy(local->tree);
}

/* A step in all directions, of log-uniform size from a tenth to three times the spread of the data. */
static void step_away(const dumi_local *local, dumi_rng *rng, float *row)
{
    const double size = pow(10, -1 + 1.5 * dumi_rng_uniform(rng));
    for (int32_t j = 0; j < local->scaling->cols; j++)
        row[j] += (float)(size * dumi_rng_normal(rng)) * local->deviation[j];
}

/* A random share of the features comes from another row. */
static void swap_features(const dumi_local *local, dumi_rng *rng, float *row)
{
    const int32_t cols = local->scaling->cols;
    const float *other = local->host + (int64_t)dumi_rng_below(rng, (uint64_t)local->points) * cols;
    const double share = dumi_rng_uniform(rng);
    for (int32_t j = 0; j < cols; j++)
        if (dumi_rng_uniform(rng) < share)
            row[j] = other[j];
}

/* Up to four times as far from the centre. */
static void stretch(const dumi_local *local, dumi_rng *rng, float *row)
{
    const float factor = (float)pow(4, dumi_rng_uniform(rng));
    for (int32_t j = 0; j < local->scaling->cols; j++)
        row[j] *= factor;
}

/* Draws what a query draws, without making it: that is the work of another rank. */
static void pass_over(const dumi_local *local, dumi_rng *rng)
{
    const uint64_t cols = (uint64_t)local->scaling->cols, points = (uint64_t)local->points;
    dumi_rng_below(rng, points);
    switch (dumi_rng_below(rng, 3)) {
    case 0:
        dumi_rng_skip(rng, 2 + 4 * cols);
        break;
    case 1:
        dumi_rng_below(rng, points);
        dumi_rng_skip(rng, 2 + 2 * cols);
        break;
    default:
        dumi_rng_skip(rng, 2);
    }
}

void dumi_local_explore(dumi_local *local, int64_t step, int32_t begin, int32_t count, int32_t first, float *z,
                        float *scratch)
{
    const dumi_backend *backend = local->context->backend;
    const int32_t cols = local->scaling->cols;
    dumi_rng rng;
    dumi_rng_init(&rng, local->seed, DUMI_RNG_EXPLORE, (uint32_t)step);
    for (int32_t i = 0; i < begin; i++)
        pass_over(local, &rng);
    for (int32_t i = 0; i < count; i++) {
        float *row = scratch + (int64_t)i * cols;
        const int64_t from = (int64_t)dumi_rng_below(&rng, (uint64_t)local->points);
        memcpy(row, local->host + from * cols, (size_t)cols * sizeof *row);
        switch (dumi_rng_below(&rng, 3)) {
        case 0:
            step_away(local, &rng, row);
            break;
        case 1:
            swap_features(local, &rng, row);
            break;
        default:
            stretch(local, &rng, row);
        }
        for (int32_t j = 0; j < cols; j++)
            row[j] += local->centre[j];
    }
    backend->upload(local->stream, z + (int64_t)first * cols, scratch, (size_t)count * (size_t)cols);
}

/* The place of a row in the reservoir, or -1. */
static int32_t place(const dumi_local *local, int64_t row)
{
    int32_t low = 0, high = local->points;
    while (low < high) {
        const int32_t middle = low + (high - low) / 2;
        if (local->rows[middle] < row)
            low = middle + 1;
        else
            high = middle;
    }
    return low < local->points && local->rows[low] == row ? low : -1;
}

bool dumi_local_rows(dumi_local *local, const int64_t *indices, int32_t count, float *scratch, float *z)
{
    if (local->cached == NULL)
        return false;
    const int32_t cols = local->scaling->cols;
    for (int32_t i = 0; i < count; i++)
        for (int32_t j = 0; j < cols; j++)
            scratch[(int64_t)i * cols + j] = local->host[indices[i] * cols + j] + local->centre[j];
    local->context->backend->upload(local->stream, z, scratch, (size_t)count * (size_t)cols);
    return true;
}

dum_status dumi_local_targets(dumi_local *local, int32_t rows, int32_t real, const int64_t *indices,
                              const float *z, float *t)
{
    const dumi_backend *backend = local->context->backend;
    const int32_t cols = local->scaling->cols, outputs = local->outputs;
    int32_t first = 0;
    if (local->cached != NULL) {
        for (int32_t i = 0; i < real; i++)
            backend->upload(local->stream, t + (int64_t)i * outputs, local->cached + indices[i] * outputs,
                            (size_t)outputs);
        first = real;
    }
    if (first == rows)
        return DUM_OK;
    const int32_t queries = rows - first;
    DUMI_TRY(backend->download(local->stream, local->queries, z + (int64_t)first * cols,
                               (size_t)queries * (size_t)cols));
    for (int32_t i = 0; i < queries; i++) {
        local->self[i] = first + i < real ? place(local, indices[first + i]) : -1;
        for (int32_t j = 0; j < cols; j++)
            local->queries[(int64_t)i * cols + j] -= local->centre[j];
    }
    const dumi_queries q = {local->queries, queries, cols, local->self};
    DUMI_TRY(dumi_neighbours_search(local->tree, &q, local->neighbours, DUMI_LEAVE_NONE, NULL, receive_target,
                                    local));
    backend->upload(local->stream, t + (int64_t)first * outputs, local->targets,
                    (size_t)queries * (size_t)outputs);
    return backend->sync(local->stream);
}
