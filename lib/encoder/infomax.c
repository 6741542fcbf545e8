/* SPDX-License-Identifier: MIT
 * Local and global (Hjelm et al. 2019, "Deep InfoMax", with the InfoNCE bound; between two views as in Bachman et al.
 * 2019): each place of the map of one view finds the projection of the whole other view among those of the batch. */
#include "encoder/training.h"

typedef struct {
    int32_t pixels, cols;
    float *local, *global, *logits; /* device: units, and their products */
} infomax;

static dum_status create(dumi_training *t)
{
    const dumi_network *n = &t->model->network;
    DUMI_REQUIRE(n->local >= 0, DUM_ERR_UNSUPPORTED, "objective infomax needs the map of a resnet");
    infomax *s;
    DUMI_TRY(DUMI_NEW(t->context, s, 1));
    memset(s, 0, sizeof *s);
    t->state = s;
    s->cols = n->tensor[n->local].cols;
    s->pixels = n->tensor[n->local].height * n->tensor[n->local].width;
    const size_t batch = (size_t)t->batch, cols = (size_t)s->cols, pixels = (size_t)s->pixels;
    s->local = dumi_training_floats(t, 2 * batch * pixels * cols);
    s->global = dumi_training_floats(t, 2 * batch * cols);
    s->logits = dumi_training_floats(t, batch * pixels * batch);
    t->backend->free(t->context, t->labels);
    t->labels = dumi_training_floats(t, batch * pixels);
    float *labels;
    DUMI_TRY(DUMI_NEW(t->context, labels, batch * pixels));
    for (size_t i = 0; i < batch; i++)
        for (size_t k = 0; k < pixels; k++)
            labels[i * pixels + k] = (float)i;
    dum_status status = s->local && s->global && s->logits && t->labels ? DUM_OK : dumi_status();
    if (status == DUM_OK) {
        t->backend->upload(t->stream, t->labels, labels, batch * pixels);
        status = t->backend->sync(t->stream);
    }
    dumi_free(t->context, labels);
    return status;
}

static void destroy(dumi_training *t)
{
    infomax *s = t->state;
    if (s == NULL)
        return;
    t->backend->free(t->context, s->local);
    t->backend->free(t->context, s->global);
    t->backend->free(t->context, s->logits);
    dumi_free(t->context, s);
}

/* The places of view `view` and the projections of the other. */
static dum_status judge(dumi_training *t, const infomax *s, int32_t view, float *d_local, float *d_global)
{
    const int32_t rows = t->batch * s->pixels;
    const int64_t mine = (int64_t)view * rows * s->cols, other = (int64_t)(1 - view) * t->batch * s->cols;
    double loss;
    int64_t right;
    dumi_training_product(t, rows, t->batch, s->cols, s->local + mine, s->global + other, true, false,
                          s->logits);
    const dumi_cross_entropy shape = {.rows = rows,
                                      .cols = t->batch,
                                      .skip = -1,
                                      .scale = (float)(1 / t->values[DUMI_E_TEMPERATURE]),
                                      .labels = t->labels};
    DUMI_TRY(t->backend->cross_entropy(t->stream, &shape, s->logits, s->logits, NULL, &loss, &right));
    dumi_training_product(t, rows, s->cols, t->batch, s->logits, s->global + other, false, false,
                          d_local + mine);
    dumi_training_product_turned(t, t->batch, s->cols, rows, s->logits, s->local + mine, false,
                                 d_global + other);
    t->loss += loss;
    t->right += right;
    return DUM_OK;
}

static dum_status loss(dumi_training *t)
{
    const infomax *s = t->state;
    const dumi_network *n = &t->model->network;
    const int32_t images = 2 * t->batch, places = images * s->pixels;
    t->backend->copy(t->stream, s->local, t->run.values[n->local], (size_t)places * (size_t)s->cols);
    t->backend->copy(t->stream, s->global, t->run.values[n->projection], (size_t)images * (size_t)s->cols);
    t->backend->unit(t->stream, places, s->cols, s->local);
    t->backend->unit(t->stream, images, s->cols, s->global);
    float *d_local = dumi_batch_run_gradient(&t->run, n->local),
          *d_global = dumi_batch_run_gradient(&t->run, n->projection);
    t->loss = 0;
    t->right = 0;
    for (int32_t view = 0; view < 2; view++)
        DUMI_TRY(judge(t, s, view, d_local, d_global));
    t->backend->unit_backward(t->stream, places, s->cols, t->run.values[n->local], d_local);
    t->backend->unit_backward(t->stream, images, s->cols, t->run.values[n->projection], d_global);
    return DUM_OK;
}

const dumi_objective dumi_infomax = {
    .views = 2, .run_views = 2, .create = create, .destroy = destroy, .loss = loss};
