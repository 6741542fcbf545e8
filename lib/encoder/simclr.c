/* SPDX-License-Identifier: MIT
 * NT-Xent (Chen et al. 2020; paper, Eq. 1): each view finds the other view of its row among all views of the batch.
 * With option uncertainty each row's similarities are also multiplied by a sigmoid of its own (Zhang et al. 2021,
 * "Temperature as Uncertainty in Contrastive Learning"), which is 1 for inputs that are easy to tell. */
#include "encoder/training.h"

#include <math.h>

typedef struct {
    float *unit, *similarity, *d_unit;   /* device */
    float *row_scale, *d_row_scale;      /* device; NULL: one temperature for all */
    float *logits, *sigmoids, *d_logits; /* host */
} simclr;

static dum_status create(dumi_training *t)
{
    const size_t rows = (size_t)t->batch * 2, cols = dumi_training_cols(t, t->model->network.projection);
    simclr *s;
    DUMI_TRY(DUMI_NEW(t->context, s, 1));
    memset(s, 0, sizeof *s);
    t->state = s;
    for (int32_t i = 0; i < 2 * t->batch; i++)
        t->host_labels[i] = (float)((i + t->batch) % (2 * t->batch));
    t->backend->upload(t->stream, t->labels, t->host_labels, rows);
    DUMI_TRY(t->backend->sync(t->stream));
    s->unit = dumi_training_floats(t, rows * cols);
    s->d_unit = dumi_training_floats(t, rows * cols);
    s->similarity = dumi_training_floats(t, rows * rows);
    if (s->unit == NULL || s->d_unit == NULL || s->similarity == NULL)
        return dumi_status();
    if (t->model->network.uncertainty < 0)
        return DUM_OK;
    s->row_scale = dumi_training_floats(t, rows);
    s->d_row_scale = dumi_training_floats(t, rows);
    DUMI_TRY(DUMI_NEW(t->context, s->logits, rows));
    DUMI_TRY(DUMI_NEW(t->context, s->sigmoids, rows));
    DUMI_TRY(DUMI_NEW(t->context, s->d_logits, rows));
    return s->row_scale != NULL && s->d_row_scale != NULL ? DUM_OK : dumi_status();
}

static void destroy(dumi_training *t)
{
    simclr *s = t->state;
    if (s == NULL)
        return;
    float *const buffers[] = {s->unit, s->similarity, s->d_unit, s->row_scale, s->d_row_scale};
    for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++)
        t->backend->free(t->context, buffers[i]);
    dumi_free(t->context, s->logits);
    dumi_free(t->context, s->sigmoids);
    dumi_free(t->context, s->d_logits);
    dumi_free(t->context, s);
}

/* A column of 2 B numbers: the host is as good a place as any. */
static dum_status scales_from_logits(const dumi_training *t, const simclr *s)
{
    const size_t rows = (size_t)t->batch * 2;
    DUMI_TRY(t->backend->download(t->stream, s->logits, t->run.values[t->model->network.uncertainty], rows));
    for (size_t i = 0; i < rows; i++)
        s->sigmoids[i] = (float)(1 / (1 + exp(-(double)s->logits[i])));
    t->backend->upload(t->stream, s->row_scale, s->sigmoids, rows);
    return t->backend->sync(t->stream);
}

static dum_status gradient_of_logits(dumi_training *t, const simclr *s)
{
    const size_t rows = (size_t)t->batch * 2;
    DUMI_TRY(t->backend->download(t->stream, s->d_logits, s->d_row_scale, rows));
    for (size_t i = 0; i < rows; i++)
        s->d_logits[i] *= s->sigmoids[i] * (1 - s->sigmoids[i]);
    t->backend->upload(t->stream, dumi_batch_run_gradient(&t->run, t->model->network.uncertainty), s->d_logits,
                       rows);
    return t->backend->sync(t->stream);
}

static dum_status loss(dumi_training *t)
{
    const simclr *s = t->state;
    const int32_t rows = 2 * t->batch, tensor = t->model->network.projection;
    const int32_t cols = (int32_t)dumi_training_cols(t, tensor);
    const size_t size = (size_t)rows * (size_t)cols;
    const bool frozen = t->run.first_unit > 0;
    t->backend->copy(t->stream, s->unit, t->run.values[tensor], size);
    t->backend->unit(t->stream, rows, cols, s->unit);
    dumi_training_product(t, rows, rows, cols, s->unit, s->unit, true, false, s->similarity);
    if (s->row_scale != NULL)
        DUMI_TRY(scales_from_logits(t, s));
    const dumi_cross_entropy shape = {.rows = rows,
                                      .cols = rows,
                                      .skip = 0,
                                      .scale = (float)(1 / t->values[DUMI_E_TEMPERATURE]),
                                      .row_scale = s->row_scale,
                                      .labels = t->labels};
    DUMI_TRY(t->backend->cross_entropy(t->stream, &shape, s->similarity, s->similarity, s->d_row_scale,
                                       &t->loss, &t->right));
    if (s->row_scale != NULL)
        DUMI_TRY(gradient_of_logits(t, s));
    if (frozen)
        return DUM_OK;
    float *d = dumi_batch_run_gradient(&t->run, tensor);
    dumi_training_product(t, rows, cols, rows, s->similarity, s->unit, false, false, d);
    dumi_training_product_turned(t, rows, cols, rows, s->similarity, s->unit, true, d);
    t->backend->unit_backward(t->stream, rows, cols, t->run.values[tensor], d);
    return DUM_OK;
}

const dumi_objective dumi_simclr = {
    .views = 2, .run_views = 2, .create = create, .destroy = destroy, .loss = loss};
