/* SPDX-License-Identifier: MIT
 * MoCo (He et al. 2020): a view finds the key of the other view of its row among a queue of earlier keys, made by a
 * network whose weights follow slowly. The key network's batch norms use running statistics that follow with the
 * weights (Cai et al. 2021, "Exponential Moving Average Normalization"), not the batch's: a key tells nothing about
 * the rows beside it, and no shuffling is needed. The other keys of the batch are negatives, too. */
#include "encoder/training.h"

enum { KEY_PARAMETERS, KEY_STATISTICS, QUEUE };

typedef struct {
    dumi_batch_run keys;
    float *query, *logits;
    int32_t queue;
} moco;

/* Directions drawn at random, so that the first steps have negatives. */
static dum_status fill_queue(dumi_training *t, int32_t rows, int32_t cols)
{
    float *host;
    DUMI_TRY(DUMI_NEW(t->context, host, (size_t)rows * (size_t)cols));
    dumi_rng rng;
    dumi_rng_init(&rng, (uint64_t)t->values[DUMI_E_SEED], DUMI_RNG_BANK, 0);
    for (int64_t i = 0; i < (int64_t)rows * cols; i++)
        host[i] = (float)dumi_rng_normal(&rng);
    t->backend->upload(t->stream, t->kept[QUEUE].buffer, host, (size_t)rows * (size_t)cols);
    t->backend->unit(t->stream, rows, cols, t->kept[QUEUE].buffer);
    const dum_status status = t->backend->sync(t->stream);
    dumi_free(t->context, host);
    return status;
}

static dum_status create(dumi_training *t)
{
    const dumi_network *n = &t->model->network;
    const size_t batch = (size_t)t->batch, cols = dumi_training_cols(t, n->projection);
    moco *s;
    DUMI_TRY(DUMI_NEW(t->context, s, 1));
    memset(s, 0, sizeof *s);
    t->state = s;
    s->queue = (int32_t)t->values[DUMI_E_QUEUE];
    DUMI_REQUIRE(s->queue >= t->batch, DUM_ERR_ARGUMENT, "option queue is %d, expected the batch, %d, or more",
                 s->queue, t->batch);
    t->kept[KEY_PARAMETERS] = (dumi_kept){"key.parameters", NULL, n->parameters};
    t->kept[KEY_STATISTICS] = (dumi_kept){"key.statistics", NULL, n->statistics};
    t->kept[QUEUE] = (dumi_kept){"queue", NULL, (size_t)s->queue * cols};
    t->kept_count = 3;
    for (int32_t i = 0; i < t->kept_count; i++)
        if ((t->kept[i].buffer = dumi_training_floats(t, t->kept[i].count)) == NULL)
            return dumi_status();
    s->query = dumi_training_floats(t, batch * cols);
    s->logits = dumi_training_floats(t, batch * (size_t)s->queue);
    if (s->query == NULL || s->logits == NULL)
        return dumi_status();
    t->backend->copy(t->stream, t->kept[KEY_PARAMETERS].buffer, t->parameters, n->parameters);
    t->backend->copy(t->stream, t->kept[KEY_STATISTICS].buffer, t->statistics, n->statistics);
    DUMI_TRY(fill_queue(t, s->queue, (int32_t)cols));
    return dumi_batch_run_create(t->context, t->stream, n, t->batch, false, &s->keys);
}

static void destroy(dumi_training *t)
{
    moco *s = t->state;
    if (s == NULL)
        return;
    dumi_batch_run_destroy(&s->keys);
    t->backend->free(t->context, s->query);
    t->backend->free(t->context, s->logits);
    dumi_free(t->context, s);
}

/* The keys of the second views, into the queue behind those of the step before. */
static void enqueue(dumi_training *t, moco *s, int32_t tensor, int32_t cols)
{
    const size_t size = (size_t)t->batch * (size_t)t->data->cols;
    t->backend->upload(t->stream, s->keys.values[0], t->inputs + size, size);
    dumi_batch_run_forward(&s->keys, t->kept[KEY_PARAMETERS].buffer, t->kept[KEY_STATISTICS].buffer);
    t->backend->unit(t->stream, t->batch, cols, s->keys.values[tensor]);
    const int64_t first = t->step * t->batch % s->queue;
    for (int32_t i = 0; i < t->batch; i++) {
        const int64_t place = (first + i) % s->queue;
        t->host_labels[i] = (float)place;
        t->backend->copy(t->stream, t->kept[QUEUE].buffer + place * cols,
                         s->keys.values[tensor] + (int64_t)i * cols, (size_t)cols);
    }
    t->backend->upload(t->stream, t->labels, t->host_labels, (size_t)t->batch);
}

static dum_status loss(dumi_training *t)
{
    moco *s = t->state;
    const int32_t tensor = t->model->network.projection, cols = (int32_t)dumi_training_cols(t, tensor);
    const size_t size = (size_t)t->batch * (size_t)cols;
    enqueue(t, s, tensor, cols);
    DUMI_TRY(t->backend->sync(t->stream));
    t->backend->copy(t->stream, s->query, t->run.values[tensor], size);
    t->backend->unit(t->stream, t->batch, cols, s->query);
    dumi_training_product(t, t->batch, s->queue, cols, s->query, t->kept[QUEUE].buffer, true, false, s->logits);
    const dumi_cross_entropy shape = {.rows = t->batch,
                                      .cols = s->queue,
                                      .skip = -1,
                                      .scale = (float)(1 / t->values[DUMI_E_TEMPERATURE]),
                                      .labels = t->labels};
    DUMI_TRY(t->backend->cross_entropy(t->stream, &shape, s->logits, s->logits, NULL, &t->loss, &t->right));
    float *d = dumi_batch_run_gradient(&t->run, tensor);
    dumi_training_product(t, t->batch, cols, s->queue, s->logits, t->kept[QUEUE].buffer, false, false, d);
    t->backend->unit_backward(t->stream, t->batch, cols, t->run.values[tensor], d);
    return DUM_OK;
}

static dum_status after(dumi_training *t)
{
    const double momentum = t->values[DUMI_E_KEY_MOMENTUM];
    dumi_training_average(t, t->model->network.parameters, momentum, t->parameters,
                          t->kept[KEY_PARAMETERS].buffer);
    dumi_training_average(t, t->model->network.statistics, momentum, t->statistics,
                          t->kept[KEY_STATISTICS].buffer);
    return DUM_OK;
}

const dumi_objective dumi_moco = {
    .views = 2, .run_views = 1, .create = create, .destroy = destroy, .loss = loss, .after = after};
