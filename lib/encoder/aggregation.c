/* SPDX-License-Identifier: MIT
 * Local aggregation (Zhuang et al. 2019): of the rows of the memory bank that are nearest to a view (its background),
 * those that share a cluster with its row in one of several runs of k-means (its close neighbours) draw it, the
 * others push it away. Clusters are found anew each epoch; in the first tenth of the epochs a row is its only close
 * neighbour, since the bank says nothing yet. */
#include "encoder/bank.h"

#include <math.h>

enum { ITERATIONS = 5, SLICE = 512 };

typedef struct {
    int32_t clusters, runs, background;
    float *unit, *own, *similarity; /* device */
    float *host, *sorted;           /* batch x rows; for each worker, twice rows */
    int32_t *cluster;               /* runs x rows */
    float *entries, *centres;       /* host: the bank, centres of a run */
    float *device_centres, *slice;  /* device */
    double *losses;                 /* one a row of the batch */
} aggregation;

static dum_status allocate(dumi_training *t, aggregation *s, size_t cols)
{
    const size_t rows = (size_t)t->data->rows, batch = (size_t)t->batch, clusters = (size_t)s->clusters;
    s->unit = dumi_training_floats(t, batch * cols);
    s->own = dumi_training_floats(t, batch * cols);
    s->similarity = dumi_training_floats(t, batch * rows);
    s->device_centres = dumi_training_floats(t, clusters * cols);
    s->slice = dumi_training_floats(t, SLICE * clusters);
    if (!s->unit || !s->own || !s->similarity || !s->device_centres || !s->slice)
        return dumi_status();
    DUMI_TRY(DUMI_NEW(t->context, s->host, batch * rows > SLICE * clusters ? batch * rows : SLICE * clusters));
    DUMI_TRY(DUMI_NEW(t->context, s->sorted, (size_t)t->context->threads * 2 * rows));
    DUMI_TRY(DUMI_NEW(t->context, s->cluster, (size_t)s->runs * rows));
    DUMI_TRY(DUMI_NEW(t->context, s->entries, rows * cols));
    DUMI_TRY(DUMI_NEW(t->context, s->losses, batch));
    return DUMI_NEW(t->context, s->centres, clusters * cols);
}

static dum_status create(dumi_training *t)
{
    const int32_t cols = (int32_t)dumi_training_cols(t, t->model->network.projection);
    const int64_t rows = t->data->rows;
    aggregation *s;
    DUMI_TRY(DUMI_NEW(t->context, s, 1));
    memset(s, 0, sizeof *s);
    t->state = s;
    const double wanted =
        t->values[DUMI_E_CLUSTERS] > 0 ? t->values[DUMI_E_CLUSTERS] : floor((double)rows / 30);
    s->clusters = (int32_t)fmax(1, fmin(wanted, (double)rows));
    s->runs = (int32_t)t->values[DUMI_E_CLUSTERINGS];
    s->background = (int32_t)fmin(t->values[DUMI_E_NEIGHBOURS], (double)rows);
    DUMI_TRY(dumi_bank_create(t, cols));
    DUMI_TRY(allocate(t, s, (size_t)cols));
    const size_t count = (size_t)s->runs * (size_t)rows;
    t->kept[1] = (dumi_kept){"clusters", dumi_training_floats(t, count), count};
    t->kept_count = 2;
    return t->kept[1].buffer != NULL ? DUM_OK : dumi_status();
}

static void destroy(dumi_training *t)
{
    aggregation *s = t->state;
    if (s == NULL)
        return;
    float *const device[] = {s->unit, s->own, s->similarity, s->device_centres, s->slice};
    for (size_t i = 0; i < sizeof device / sizeof device[0]; i++)
        t->backend->free(t->context, device[i]);
    void *const host[] = {s->host, s->sorted, s->cluster, s->entries, s->centres, s->losses};
    for (size_t i = 0; i < sizeof host / sizeof host[0]; i++)
        dumi_free(t->context, host[i]);
    dumi_free(t->context, s);
}

/* ---- k-means on the sphere ----------------------------------------------------------------- */

/* The nearest centre of every row. */
static dum_status assign(dumi_training *t, aggregation *s, int32_t cols, int32_t *cluster)
{
    t->backend->upload(t->stream, s->device_centres, s->centres, (size_t)s->clusters * (size_t)cols);
    for (int64_t first = 0; first < t->data->rows; first += SLICE) {
        const int32_t count = (int32_t)(t->data->rows - first < SLICE ? t->data->rows - first : SLICE);
        dumi_training_product(t, count, s->clusters, cols, dumi_bank(t) + first * cols, s->device_centres, true,
                              false, s->slice);
        DUMI_TRY(t->backend->download(t->stream, s->host, s->slice, (size_t)count * (size_t)s->clusters));
        for (int64_t i = 0; i < count; i++) {
            const float *near = s->host + i * s->clusters;
            int32_t best = 0;
            for (int32_t c = 1; c < s->clusters; c++)
                best = near[c] > near[best] ? c : best;
            cluster[first + i] = best;
        }
    }
    return DUM_OK;
}

/* Means of unit length; a centre without rows stays where it is. */
static void move_centres(const dumi_training *t, aggregation *s, int32_t cols, const int32_t *cluster)
{
    float *seen = s->host;
    memset(seen, 0, (size_t)s->clusters * sizeof *seen);
    for (int64_t i = 0; i < t->data->rows; i++) {
        float *centre = s->centres + (int64_t)cluster[i] * cols;
        for (int32_t j = 0; j < cols; j++)
            centre[j] = s->entries[i * cols + j] + (seen[cluster[i]] > 0 ? centre[j] : 0);
        seen[cluster[i]] = 1;
    }
    for (float *centre = s->centres; centre < s->centres + (int64_t)s->clusters * cols; centre += cols) {
        double squares = 0;
        for (int32_t j = 0; j < cols; j++)
            squares += (double)centre[j] * (double)centre[j];
        for (int32_t j = 0; j < cols && squares > 0; j++)
            centre[j] = (float)((double)centre[j] / sqrt(squares));
    }
}

static dum_status find_clusters(dumi_training *t, aggregation *s, int32_t cols)
{
    const int64_t rows = t->data->rows, epoch = t->step / t->pace.per_epoch;
    DUMI_TRY(t->backend->download(t->stream, s->entries, dumi_bank(t), (size_t)rows * (size_t)cols));
    for (int32_t run = 0; run < s->runs; run++) {
        int32_t *cluster = s->cluster + run * rows;
        for (int32_t c = 0; c < s->clusters; c++) {
            const uint64_t row = dumi_permute((uint64_t)rows, (uint64_t)c, (uint64_t)t->values[DUMI_E_SEED],
                                              DUMI_RNG_BANK, (uint32_t)(epoch * s->runs + run));
            memcpy(s->centres + (int64_t)c * cols, s->entries + (int64_t)row * cols,
                   (size_t)cols * sizeof *s->centres);
        }
        for (int i = 0; i < ITERATIONS; i++) {
            DUMI_TRY(assign(t, s, cols, cluster));
            if (i + 1 < ITERATIONS)
                move_centres(t, s, cols, cluster);
        }
    }
    return DUM_OK;
}

/* The clusters of this epoch: found now, or those that a checkpoint holds. */
static dum_status refresh(dumi_training *t, aggregation *s, int32_t cols)
{
    const int64_t rows = t->data->rows, warm = t->pace.steps / t->pace.per_epoch / 10,
                  epoch = t->step / t->pace.per_epoch;
    const size_t count = (size_t)s->runs * (size_t)rows;
    if (t->step % t->pace.per_epoch != 0 && t->step != t->pace.begun)
        return DUM_OK;
    float *numbers;
    DUMI_TRY(DUMI_NEW(t->context, numbers, count));
    dum_status status = DUM_OK;
    if (t->step % t->pace.per_epoch != 0) {
        status = t->backend->download(t->stream, numbers, t->kept[1].buffer, count);
        for (size_t i = 0; i < count && status == DUM_OK; i++)
            s->cluster[i] = (int32_t)numbers[i];
    } else {
        if (epoch >= warm && epoch > 0)
            status = find_clusters(t, s, cols);
        for (size_t i = 0; i < count && (epoch < warm || epoch == 0); i++)
            s->cluster[i] = (int32_t)(i % (size_t)rows);
        for (size_t i = 0; i < count; i++)
            numbers[i] = (float)s->cluster[i];
        t->backend->upload(t->stream, t->kept[1].buffer, numbers, count);
        if (status == DUM_OK)
            status = t->backend->sync(t->stream);
    }
    dumi_free(t->context, numbers);
    return status;
}

/* ---- The loss ----------------------------------------------------------------------------- */

static bool is_close(const aggregation *s, int64_t rows, int64_t a, int64_t b)
{
    for (int32_t run = 0; run < s->runs; run++)
        if (s->cluster[run * rows + a] == s->cluster[run * rows + b])
            return true;
    return false;
}

/* A row's similarities become its gradient by them. */
static void judge_row(void *argument, int64_t task, int32_t worker)
{
    const dumi_training *t = argument;
    const aggregation *s = t->state;
    const int64_t rows = t->data->rows, own = t->indices[task];
    float *near = s->host + task * rows, *sorted = s->sorted + (int64_t)worker * 2 * rows;
    const double scale = 1 / t->values[DUMI_E_TEMPERATURE];
    memcpy(sorted, near, (size_t)rows * sizeof *sorted);
    dumi_sort_float(sorted, rows, sorted + rows);
    const float bound = sorted[rows - s->background], most = sorted[rows - 1];
    double all = 0, close = 0;
    for (int64_t j = 0; j < rows; j++) {
        if (near[j] < bound && j != own)
            continue;
        const double share = exp(scale * ((double)near[j] - (double)most));
        all += share;
        close += is_close(s, rows, own, j) ? share : 0;
    }
    s->losses[task] = log(all) - log(close);
    for (int64_t j = 0; j < rows; j++) {
        double slope = 0;
        if (near[j] >= bound || j == own) {
            const double share = exp(scale * ((double)near[j] - (double)most));
            slope = share / all - (is_close(s, rows, own, j) ? share / close : 0);
        }
        near[j] = (float)(slope * scale / t->batch);
    }
}

static dum_status loss(dumi_training *t)
{
    aggregation *s = t->state;
    const int32_t tensor = t->model->network.projection, cols = (int32_t)dumi_training_cols(t, tensor);
    const int32_t rows = (int32_t)t->data->rows;
    const size_t size = (size_t)t->batch * (size_t)rows;
    DUMI_TRY(refresh(t, s, cols));
    t->backend->copy(t->stream, s->unit, t->run.values[tensor], (size_t)t->batch * (size_t)cols);
    t->backend->unit(t->stream, t->batch, cols, s->unit);
    dumi_training_product(t, t->batch, rows, cols, s->unit, dumi_bank(t), true, false, s->similarity);
    DUMI_TRY(t->backend->download(t->stream, s->host, s->similarity, size));
    dumi_parallel(t->context, t->context->threads, t->batch, 60.0 * (double)size, judge_row, t);
    t->loss = 0;
    for (int32_t i = 0; i < t->batch; i++)
        t->loss += s->losses[i] / t->batch;
    t->backend->upload(t->stream, s->similarity, s->host, size);
    float *d = dumi_batch_run_gradient(&t->run, tensor);
    dumi_training_product(t, t->batch, cols, rows, s->similarity, dumi_bank(t), false, false, d);
    t->backend->unit_backward(t->stream, t->batch, cols, t->run.values[tensor], d);
    return t->backend->sync(t->stream);
}

static dum_status after(dumi_training *t)
{
    const aggregation *s = t->state;
    dumi_bank_follow(t, (int32_t)dumi_training_cols(t, t->model->network.projection), s->unit, s->own);
    return DUM_OK;
}

const dumi_objective dumi_local_aggregation = {
    .views = 1, .run_views = 1, .create = create, .destroy = destroy, .loss = loss, .after = after};
