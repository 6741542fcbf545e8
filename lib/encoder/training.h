/* SPDX-License-Identifier: MIT
 * A training run, as its parts see it: views of the rows, objectives, checkpoints. */
#ifndef DUMI_TRAINING_H
#define DUMI_TRAINING_H

#include "encoder/encoder.h"
#include "nn/pace.h"

/* What an objective keeps from step to step, on the device: it goes into checkpoints. */
typedef struct {
    const char *name;
    float *buffer;
    size_t count;
} dumi_kept;

enum { DUMI_MOST_KEPT = 4, DUMI_MOST_VIEWS = 2 };

typedef struct dumi_training {
    dum_context *context;
    const dumi_backend *backend;
    dumi_stream *stream;
    dumi_encoder_kind kind;
    const double *values;
    const dum_dataset *data;
    const dum_fit_options *options;
    dumi_encoder_model *model;
    int32_t batch, views, run_views;
    dumi_pace pace;
    int64_t step;
    int64_t *indices; /* of the batch's rows in the data */
    float *rows, *others,
        *inputs;    /* host: raw rows; rows that values are swapped with; views x batch, scaled */
    float *scratch; /* host, of each worker */
    float *labels;  /* device: views x batch */
    float *host_labels;
    float *parameters, *statistics; /* device */
    dumi_batch_run run;
    dumi_steps optimiser;
    const struct dumi_objective *objective;
    void *state; /* of the objective */
    dumi_kept kept[DUMI_MOST_KEPT];
    int32_t kept_count;
    double loss;
    int64_t right;
} dumi_training;

/* An objective: how embeddings are judged. */
typedef struct dumi_objective {
    int32_t views, run_views; /* of each row: made, and put through the network that is trained */
    dum_status (*create)(dumi_training *t);
    void (*destroy)(dumi_training *t);
    /* After the forward pass: sets loss and puts gradients in place. */
    dum_status (*loss)(dumi_training *t);
    /* After the step; may be NULL. */
    dum_status (*after)(dumi_training *t);
} dumi_objective;

extern const dumi_objective dumi_simclr, dumi_moco, dumi_instance, dumi_local_aggregation, dumi_infomax,
    dumi_supervised;

static inline size_t dumi_training_cols(const dumi_training *t, int32_t tensor)
{
    return dumi_network_size(&t->model->network, tensor);
}

/* A buffer on the device, or NULL with the error recorded. */
static inline float *dumi_training_floats(const dumi_training *t, size_t count)
{
    return t->backend->alloc(t->context, count);
}

/* Fills t->inputs with the views of the batch that t->indices name, and the device's input with them. */
dum_status dumi_training_views(dumi_training *t);
/* By how many quarters the second view of a row of the batch is turned, where the network is to tell. */
int32_t dumi_training_quarters(const dumi_training *t, int32_t row);
/* Floats of scratch that a worker needs. */
size_t dumi_training_scratch(const dumi_training *t);
/* to = momentum x to + (1 - momentum) x from, on the device. */
void dumi_training_average(const dumi_training *t, size_t count, double momentum, const float *from, float *to);

/* C (m x n) = A B or A B', contiguous; `add`: + what C holds. */
void dumi_training_product(const dumi_training *t, int32_t m, int32_t n, int32_t k, const float *a,
                           const float *b, bool turned, bool add, float *c);
/* C (m x n) = A' B; A is k x m. */
void dumi_training_product_turned(const dumi_training *t, int32_t m, int32_t n, int32_t k, const float *a,
                                  const float *b, bool add, float *c);

dum_status dumi_training_save(dumi_training *t);
/* Where the options say so, goes on from a checkpoint: sets t->begun. */
dum_status dumi_training_resume(dumi_training *t);

#endif
