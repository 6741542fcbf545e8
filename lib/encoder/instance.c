/* SPDX-License-Identifier: MIT
 * Instance discrimination with a memory bank (Wu et al. 2018): a view finds its row's entry of the bank among those
 * of the rest of the batch and of rows drawn at random. Their noise-contrastive estimate is a softmax here, over what
 * was drawn. */
#include "encoder/bank.h"

dum_status dumi_bank_create(dumi_training *t, int32_t cols)
{
    DUMI_REQUIRE(t->data->rows <= INT32_MAX, DUM_ERR_LIMIT,
                 "the data have %lld rows, a memory bank holds %d at most", (long long)t->data->rows,
                 INT32_MAX);
    const size_t count = (size_t)t->data->rows * (size_t)cols;
    t->kept[0] = (dumi_kept){"bank", dumi_training_floats(t, count), count};
    t->kept_count = 1;
    if (t->kept[0].buffer == NULL)
        return dumi_status();
    float *row;
    DUMI_TRY(DUMI_NEW(t->context, row, cols));
    dum_status status = DUM_OK;
    for (int64_t i = 0; i < t->data->rows && status == DUM_OK; i++) {
        dumi_rng rng;
        dumi_rng_init(&rng, (uint64_t)t->values[DUMI_E_SEED], DUMI_RNG_BANK, (uint32_t)i);
        for (int32_t j = 0; j < cols; j++)
            row[j] = (float)dumi_rng_normal(&rng);
        t->backend->upload(t->stream, dumi_bank(t) + i * cols, row, (size_t)cols);
        status = t->backend->sync(t->stream);
    }
    dumi_free(t->context, row);
    if (status == DUM_OK)
        t->backend->unit(t->stream, (int32_t)t->data->rows, cols, dumi_bank(t));
    return status;
}

static void copy_rows(const dumi_training *t, int32_t cols, bool back, float *own)
{
    for (int32_t i = 0; i < t->batch; i++) {
        float *kept = dumi_bank(t) + t->indices[i] * cols, *mine = own + (int64_t)i * cols;
        t->backend->copy(t->stream, back ? kept : mine, back ? mine : kept, (size_t)cols);
    }
}

void dumi_bank_follow(const dumi_training *t, int32_t cols, const float *unit, float *own)
{
    copy_rows(t, cols, false, own);
    dumi_training_average(t, (size_t)t->batch * (size_t)cols, t->values[DUMI_E_BANK_MOMENTUM], unit, own);
    t->backend->unit(t->stream, t->batch, cols, own);
    copy_rows(t, cols, true, own);
}

typedef struct {
    int32_t candidates;
    float *unit, *others, *logits;
} instance;

static dum_status create(dumi_training *t)
{
    const size_t cols = dumi_training_cols(t, t->model->network.projection), batch = (size_t)t->batch;
    instance *s;
    DUMI_TRY(DUMI_NEW(t->context, s, 1));
    memset(s, 0, sizeof *s);
    t->state = s;
    s->candidates = t->batch + (int32_t)t->values[DUMI_E_NEGATIVES];
    s->unit = dumi_training_floats(t, batch * cols);
    s->others = dumi_training_floats(t, (size_t)s->candidates * cols);
    s->logits = dumi_training_floats(t, (size_t)s->candidates * batch);
    if (s->unit == NULL || s->others == NULL || s->logits == NULL)
        return dumi_status();
    for (int32_t i = 0; i < t->batch; i++)
        t->host_labels[i] = (float)i;
    t->backend->upload(t->stream, t->labels, t->host_labels, batch);
    DUMI_TRY(t->backend->sync(t->stream));
    return dumi_bank_create(t, (int32_t)cols);
}

static void destroy(dumi_training *t)
{
    instance *s = t->state;
    if (s == NULL)
        return;
    t->backend->free(t->context, s->unit);
    t->backend->free(t->context, s->others);
    t->backend->free(t->context, s->logits);
    dumi_free(t->context, s);
}

static bool in_batch(const dumi_training *t, int64_t row)
{
    for (int32_t i = 0; i < t->batch; i++)
        if (t->indices[i] == row)
            return true;
    return false;
}

/* The batch's entries of the bank, then as many others; a row of the batch that is drawn is drawn again, unless the
 * data have little else. */
static void draw(const dumi_training *t, const instance *s, int32_t cols)
{
    dumi_rng rng;
    dumi_rng_init(&rng, (uint64_t)t->values[DUMI_E_SEED] + ((uint64_t)t->step << 20), DUMI_RNG_BANK,
                  UINT32_MAX);
    for (int32_t i = 0; i < s->candidates; i++) {
        int64_t row = i < t->batch ? t->indices[i] : (int64_t)dumi_rng_below(&rng, (uint64_t)t->data->rows);
        for (int tries = 0; i >= t->batch && in_batch(t, row) && tries < 20; tries++)
            row = (int64_t)dumi_rng_below(&rng, (uint64_t)t->data->rows);
        t->backend->copy(t->stream, s->others + (int64_t)i * cols, dumi_bank(t) + row * cols, (size_t)cols);
    }
}

static dum_status loss(dumi_training *t)
{
    const instance *s = t->state;
    const int32_t tensor = t->model->network.projection, cols = (int32_t)dumi_training_cols(t, tensor);
    draw(t, s, cols);
    t->backend->copy(t->stream, s->unit, t->run.values[tensor], (size_t)t->batch * (size_t)cols);
    t->backend->unit(t->stream, t->batch, cols, s->unit);
    dumi_training_product(t, t->batch, s->candidates, cols, s->unit, s->others, true, false, s->logits);
    const dumi_cross_entropy shape = {.rows = t->batch,
                                      .cols = s->candidates,
                                      .skip = -1,
                                      .scale = (float)(1 / t->values[DUMI_E_TEMPERATURE]),
                                      .labels = t->labels};
    DUMI_TRY(t->backend->cross_entropy(t->stream, &shape, s->logits, s->logits, NULL, &t->loss, &t->right));
    float *d = dumi_batch_run_gradient(&t->run, tensor);
    dumi_training_product(t, t->batch, cols, s->candidates, s->logits, s->others, false, false, d);
    t->backend->unit_backward(t->stream, t->batch, cols, t->run.values[tensor], d);
    return DUM_OK;
}

static dum_status after(dumi_training *t)
{
    const instance *s = t->state;
    dumi_bank_follow(t, (int32_t)dumi_training_cols(t, t->model->network.projection), s->unit, s->others);
    return DUM_OK;
}

const dumi_objective dumi_instance = {
    .views = 1, .run_views = 1, .create = create, .destroy = destroy, .loss = loss, .after = after};
