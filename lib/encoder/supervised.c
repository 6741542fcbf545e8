/* SPDX-License-Identifier: MIT
 * Cross-entropy of labels; with option rotation a second view of each image is turned by a random number of quarters,
 * which the network has to tell (Hendrycks et al. 2019, "Using Self-Supervised Learning Can Improve Model Robustness
 * and Uncertainty"). */
#include "encoder/training.h"

typedef struct {
    float *logits, *turns; /* device: copies that become gradients */
} supervised;

static dum_status create(dumi_training *t)
{
    supervised *s;
    DUMI_TRY(DUMI_NEW(t->context, s, 1));
    memset(s, 0, sizeof *s);
    t->state = s;
    const size_t rows = (size_t)t->batch * (size_t)t->views;
    s->logits = dumi_training_floats(t, rows * dumi_training_cols(t, t->model->network.logits));
    if (s->logits == NULL)
        return dumi_status();
    if (t->model->network.rotation < 0)
        return DUM_OK;
    DUMI_REQUIRE(dumi_encoder_has_images(t->model) && t->values[DUMI_E_HEIGHT] == t->values[DUMI_E_WIDTH],
                 DUM_ERR_ARGUMENT, "option rotation is on, which needs square images");
    s->turns = dumi_training_floats(t, rows * 4);
    return s->turns != NULL ? DUM_OK : dumi_status();
}

static void destroy(dumi_training *t)
{
    supervised *s = t->state;
    if (s == NULL)
        return;
    t->backend->free(t->context, s->logits);
    t->backend->free(t->context, s->turns);
    dumi_free(t->context, s);
}

/* Cross-entropy of rows first .. first + batch - 1 of a tensor, its gradient times weight; the other rows' is 0. */
static dum_status judge(dumi_training *t, int32_t tensor, int32_t first, float *scratch, const float *labels,
                        double *loss, int64_t *right)
{
    const size_t cols = dumi_training_cols(t, tensor), at = (size_t)first * cols;
    const dumi_cross_entropy shape = {
        .rows = t->batch, .cols = (int32_t)cols, .skip = -1, .scale = 1, .labels = labels};
    t->backend->fill(t->stream, scratch, 0, (size_t)t->batch * (size_t)t->views * cols);
    DUMI_TRY(t->backend->cross_entropy(t->stream, &shape, t->run.values[tensor] + at, scratch + at, NULL, loss,
                                       right));
    t->backend->copy(t->stream, dumi_batch_run_gradient(&t->run, tensor), scratch,
                     (size_t)t->batch * (size_t)t->views * cols);
    return DUM_OK;
}

static dum_status loss(dumi_training *t)
{
    supervised *s = t->state;
    const dumi_network *n = &t->model->network;
    double classes, turns = 0;
    int64_t right;
    for (int32_t i = 0; i < t->batch; i++)
        t->host_labels[i] = (float)t->options->labels[t->indices[i]];
    for (int32_t i = 0; i < t->batch && t->views > 1; i++)
        t->host_labels[t->batch + i] = (float)dumi_training_quarters(t, i);
    t->backend->upload(t->stream, t->labels, t->host_labels, (size_t)t->batch * (size_t)t->views);
    DUMI_TRY(t->backend->sync(t->stream));
    DUMI_TRY(judge(t, n->logits, 0, s->logits, t->labels, &classes, &t->right));
    if (n->rotation >= 0)
        DUMI_TRY(judge(t, n->rotation, t->batch, s->turns, t->labels + t->batch, &turns, &right));
    t->loss = classes + turns;
    return DUM_OK;
}

const dumi_objective dumi_supervised = {
    .views = 1, .run_views = 1, .create = create, .destroy = destroy, .loss = loss};
