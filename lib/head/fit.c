/* SPDX-License-Identifier: MIT
 * The training loop. */
#include "head/checkpoint.h"
#include "head/local.h"
#include "head/share.h"
#include "nn/pace.h"

#include <math.h>

typedef struct {
    dum_context *context;
    const dumi_backend *backend;
    const double *values;
    const dum_dataset *data;
    const dum_fit_options *options;
    dumi_stream *stream;
    dumi_head_model *model;
    bool poe, warm;
    dumi_share share;
    int32_t whole_real;    /* rows of the data in the batch of all ranks */
    int32_t first, passed; /* of these, and of its off-manifold queries, so many are before this rank's */
    int32_t batch, real;   /* this rank's rows of a step; those of them that are rows of the data */
    double mean;           /* of t / exp(s) over the first batch */
    double shrinkage;      /* times half the mean of o^2, in the loss */
    dumi_pace pace;
    int64_t *indices;
    float *host, *host_s; /* raw rows; outputs */
    float *x, *between, *z, *products, *s, *t, *d_s, *d_o;
    dumi_activations activations;
    dumi_optimiser optimiser;
    dumi_local local;
    double loss;
} training;

static dum_status check_data(const training *f)
{
    const int64_t least = f->poe ? 4 : 2;
    const dum_dataset *pairs = f->options->pairs;
    DUMI_REQUIRE(!f->poe || f->share.reduce == NULL, DUM_ERR_ARGUMENT,
                 "options.reduce is for objective local: poe joins the whole batch in one product");
    DUMI_REQUIRE(f->data->rows >= least, DUM_ERR_SHAPE,
                 "the data have %lld rows, objective %s needs %lld or more", (long long)f->data->rows,
                 f->poe ? "poe" : "local", (long long)least);
    DUMI_REQUIRE(
        f->values[DUMI_BATCH] >= (f->poe ? 4 : 1), DUM_ERR_ARGUMENT,
        "option batch is %s, objective poe needs 4 or more: with one row in a bag its variance drops out",
        dumi_show(f->values[DUMI_BATCH]).text);
    DUMI_REQUIRE(f->options->max_seconds >= 0, DUM_ERR_ARGUMENT,
                 "options.max_seconds is %s, expected 0 or more", dumi_show(f->options->max_seconds).text);
    DUMI_REQUIRE(f->options->labels == NULL, DUM_ERR_ARGUMENT,
                 "options.labels is for encoders, scorers mds and flow; heads take none");
    DUMI_REQUIRE(f->options->checkpoint_epochs >= 0, DUM_ERR_ARGUMENT,
                 "options.checkpoint_epochs is %d, expected 0 or more", f->options->checkpoint_epochs);
    if (pairs == NULL)
        return DUM_OK;
    DUMI_REQUIRE(!f->poe, DUM_ERR_ARGUMENT, "options.pairs is for objective local");
    DUMI_REQUIRE(pairs->rows == f->data->rows && pairs->cols == f->data->cols, DUM_ERR_SHAPE,
                 "options.pairs is %lld x %d, the data are %lld x %d", (long long)pairs->rows, pairs->cols,
                 (long long)f->data->rows, f->data->cols);
    return DUM_OK;
}

/* The batch of all ranks, of whose two kinds of rows each rank takes its share. */
static dum_status plan(training *f)
{
    const dumi_share *share = &f->share;
    const int64_t rows = f->data->rows;
    const double wanted = f->values[DUMI_BATCH] * share->ranks;
    const int32_t whole = (int32_t)(wanted < (double)rows ? wanted : (double)rows);
    int32_t explored = 0;
    if (!f->poe && f->options->pairs == NULL)
        explored = (int32_t)(f->values[DUMI_EXPLORE] * whole);
    f->whole_real = whole - explored;
    DUMI_REQUIRE(f->whole_real >= share->ranks, DUM_ERR_ARGUMENT,
                 "options.ranks is %d, but a step has %d rows of the data: one a rank is the least",
                 share->ranks, f->whole_real);
    f->first = dumi_share_first(share, f->whole_real, share->rank);
    f->real = dumi_share_first(share, f->whole_real, share->rank + 1) - f->first;
    f->passed = dumi_share_first(share, explored, share->rank);
    f->batch = f->real + dumi_share_first(share, explored, share->rank + 1) - f->passed;
    f->share.part = (double)f->batch / whole;
    f->pace.per_epoch = rows / f->whole_real;
    const double epochs = f->values[DUMI_EPOCHS] * (double)f->pace.per_epoch;
    f->pace.steps = (int64_t)(f->values[DUMI_STEPS] > 0 ? f->values[DUMI_STEPS] : fmin(epochs, 9e15));
    return DUM_OK;
}

static float *device(const training *f, size_t cols)
{
    return f->backend->alloc(f->context, (size_t)f->batch * cols);
}

static dum_status allocate(training *f)
{
    const size_t cols = (size_t)f->data->cols, outputs = (size_t)f->model->outputs, batch = (size_t)f->batch;
    DUMI_TRY(DUMI_NEW(f->context, f->indices, batch));
    DUMI_TRY(DUMI_NEW(f->context, f->host, batch * cols));
    DUMI_TRY(DUMI_NEW(f->context, f->host_s, 2 * batch * outputs));
    f->x = device(f, cols);
    f->between = device(f, cols);
    f->z = device(f, cols);
    f->s = device(f, outputs);
    f->t = device(f, outputs);
    f->d_s = device(f, outputs);
    f->d_o = device(f, outputs);
    f->products = device(f, (size_t)f->batch * (size_t)(f->model->centres.count + 1));
    if (!f->x || !f->between || !f->z || !f->products || !f->s || !f->t || !f->d_s || !f->d_o)
        return dumi_status();
    DUMI_TRY(dumi_activations_create(f->context, &f->model->mlp, f->batch, true, &f->activations));
    if (f->share.reduce != NULL)
        DUMI_TRY(DUMI_NEW(f->context, f->share.values, f->model->parameter_count + 3));
    f->optimiser = (dumi_optimiser){
        .whole = f->share.reduce != NULL,
        .kind = (int32_t)f->values[DUMI_OPTIMIZER],
        .momentum = f->values[DUMI_MOMENTUM],
        .decay = f->values[DUMI_DECAY],
        .clip = f->values[DUMI_CLIP],
        .mlp = &f->model->mlp,
        .extra = 1,
        .parameters = f->model->parameters,
    };
    return dumi_optimiser_create(f->context, f->stream, f->batch, &f->optimiser);
}

static dum_status init_parameters(training *f)
{
    float *host;
    DUMI_TRY(DUMI_NEW(f->context, host, f->model->parameter_count));
    dumi_mlp_init(&f->model->mlp, (uint64_t)f->values[DUMI_SEED], f->model->anchor ? 0.0f : 0.01f, host);
    host[f->model->mlp.parameters] = 0;
    f->backend->upload(f->stream, f->model->parameters, host, f->model->parameter_count);
    dumi_free(f->context, host);
    return f->backend->sync(f->stream);
}

/* x (device) = rows `indices` of a dataset; then z. */
static dum_status load_rows(training *f, const dum_dataset *data, float *z)
{
    DUMI_TRY(dumi_dataset_gather(data, f->indices, f->real, f->host));
    DUMI_TRY(dumi_scaling_check(&f->model->scaling, f->real, f->host, 0, f->indices));
    f->backend->upload(f->stream, f->x, f->host, (size_t)f->real * (size_t)data->cols);
    dumi_scaling_apply(f->stream, f->backend, &f->model->scaling, f->real, f->x, f->between, z);
    return DUM_OK;
}

/* t from the second view of each row, on the host: pairs are a small part of the work. */
static dum_status pair_targets(training *f)
{
    const int32_t cols = f->data->cols, outputs = f->model->outputs;
    const size_t size = (size_t)f->real * (size_t)cols;
    DUMI_TRY(load_rows(f, f->options->pairs, f->between));
    float *own, *t = f->host_s;
    DUMI_TRY(DUMI_NEW(f->context, own, size));
    dum_status status;
    DUMI_GO(f->backend->download(f->stream, own, f->z, size));
    DUMI_GO(f->backend->download(f->stream, f->host, f->between, size));
    for (int64_t i = 0; i < f->real; i++) {
        double sum = 0;
        for (int64_t j = 0; j < cols; j++) {
            const double difference = (double)f->host[i * cols + j] - (double)own[i * cols + j];
            sum += difference * difference;
            if (outputs > 1)
                t[i * cols + j] = (float)(difference * difference);
        }
        if (outputs == 1)
            t[i] = (float)(sum / cols);
    }
    f->backend->upload(f->stream, f->t, t, (size_t)f->real * (size_t)outputs);
done:
    dumi_free(f->context, own);
    return status;
}

static dum_status load_batch(training *f, int64_t step)
{
    const int64_t epoch = step / f->pace.per_epoch, first = step % f->pace.per_epoch * f->whole_real + f->first;
    for (int32_t i = 0; i < f->real; i++)
        f->indices[i] = (int64_t)dumi_permute((uint64_t)f->data->rows, (uint64_t)(first + i),
                                              (uint64_t)f->values[DUMI_SEED], DUMI_RNG_ORDER, (uint32_t)epoch);
    const bool local = !f->poe && f->options->pairs == NULL;
    if (!local || !dumi_local_rows(&f->local, f->indices, f->real, f->host, f->z))
        DUMI_TRY(load_rows(f, f->data, f->z));
    if (!local)
        return f->poe ? DUM_OK : pair_targets(f);
    if (f->real < f->batch)
        dumi_local_explore(&f->local, step, f->passed, f->batch - f->real, f->real, f->z, f->host);
    return dumi_local_targets(&f->local, f->batch, f->real, f->indices, f->z, f->t);
}

static void forward(training *f)
{
    dumi_mlp_forward(f->stream, f->backend, &f->model->mlp, f->model->parameters, NULL, f->batch, f->z,
                     &f->activations);
    dumi_model_head(f->model, f->stream, f->batch, f->activations.output, f->z, f->products, f->s);
}

static dum_status local_loss(training *f)
{
    const size_t count = (size_t)f->batch * (size_t)f->model->outputs;
    const float *o = f->activations.output;
    double squares = 0;
    DUMI_TRY(f->backend->local_loss(f->stream, f->batch, f->model->outputs, f->s, f->t, f->d_s, &f->loss));
    if (f->shrinkage > 0)
        DUMI_TRY(f->backend->dot(f->stream, count, o, o, &squares));
    f->loss += f->shrinkage * squares / (2 * (double)count);
    return DUM_OK;
}

static dum_status loss_and_gradient(training *f)
{
    if (!f->poe)
        return local_loss(f);
    const dumi_poe_shape shape = {
        .rows = f->batch,
        .cols = f->model->cols,
        .outputs = f->model->outputs,
        .split = f->batch / 2,
        .nested = (int32_t)f->values[DUMI_BAGS] == DUMI_NESTED,
        .cosine = (int32_t)f->values[DUMI_SIMILARITY] == DUMI_COSINE,
        .temperature = (float)f->values[DUMI_TEMPERATURE],
        .prior = (float)f->values[DUMI_PRIOR],
    };
    return f->backend->poe_loss(f->stream, &shape, f->z, f->s, f->d_s, &f->loss);
}

static dumi_backprop backprop(const training *f)
{
    return (dumi_backprop){f->batch, f->z, &f->activations, f->d_o};
}

/* Whether nothing is known yet: no weights, no checkpoint. */
static bool is_fresh(const training *f)
{
    return f->pace.begun == 0 && !f->poe && !f->warm;
}

/* Gradients that are 0 but for rounding noise, which Adam would turn into drift.
 * poe: without a prior the loss does not change with a shift of s.
 * local: the first step begins at the offset for which the loss is least. Only where several ranks train, for whom that
 * noise differs with their number. */
static void silence(training *f, int64_t step)
{
    const dumi_head_model *model = f->model;
    const int32_t last = model->mlp.count - 1;
    const bool first = f->share.reduce != NULL && step == 0 && is_fresh(f);
    if (!f->poe && !first)
        return;
    f->backend->fill(f->stream, dumi_optimiser_bias(&f->optimiser, last + 1), 0, 1);
    if (f->poe ? f->values[DUMI_PRIOR] == 0
               : model->outputs == 1 && (model->anchor || model->bound == DUMI_BOUND_NONE))
        f->backend->fill(f->stream, dumi_optimiser_bias(&f->optimiser, last), 0,
                         (size_t)model->mlp.layers[last].outputs);
}

static void backward(training *f, int64_t step)
{
    const dumi_mlp *mlp = &f->model->mlp;
    dumi_head_shape shape = dumi_model_shape(f->model, f->batch);
    const dumi_backprop b = backprop(f);
    shape.shrinkage = (float)f->shrinkage;
    float *d_offset = dumi_optimiser_bias(&f->optimiser, mlp->count);
    f->backend->head_backward(f->stream, &shape, f->activations.output, f->d_s, f->d_o, d_offset);
    dumi_mlp_deltas(f->stream, f->backend, mlp, f->model->parameters, &b);
    for (int32_t l = 0; l < mlp->count; l++)
        f->backend->colsum(f->stream, f->batch, mlp->layers[l].outputs, dumi_mlp_delta(mlp, &b, l),
                           dumi_optimiser_bias(&f->optimiser, l));
    silence(f, step);
    dumi_optimiser_gradient(f->stream, f->backend, &f->optimiser, &b);
}

/* The first batch, and its mean of t / exp(s). */
static dum_status first_batch(training *f)
{
    DUMI_TRY(load_batch(f, 0));
    const size_t count = (size_t)f->batch * (size_t)f->model->outputs;
    float *s = f->host_s, *t = f->host_s + count;
    forward(f);
    DUMI_TRY(f->backend->download(f->stream, s, f->s, count));
    DUMI_TRY(f->backend->download(f->stream, t, f->t, count));
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)t[i] * exp(-(double)s[i]);
    f->mean = sum / (double)count;
    return DUM_OK;
}

/* The best single number for all rows of the first batch: that mean, in logs. Training then starts from the one
 * Gaussian that fits. */
static void init_offset(training *f)
{
    f->backend->fill(f->stream, f->model->parameters + f->model->mlp.parameters,
                     (float)log(fmax(f->mean, 1e-12)), 1);
}

static double rate_at(const training *f, int64_t step)
{
    const double rate = f->values[DUMI_RATE];
    if ((int32_t)f->values[DUMI_SCHEDULE] == DUMI_CONSTANT)
        return rate;
    return rate * 0.5 * (1 + cos(3.141592653589793 * (double)step / (double)f->pace.steps));
}

static dum_status own_gradient(training *f, int64_t step)
{
    if (step > 0 || !is_fresh(f))
        DUMI_TRY(load_batch(f, step));
    forward(f);
    DUMI_TRY(loss_and_gradient(f));
    backward(f, step);
    return DUM_OK;
}

/* Of the whole batch. `status`: what came after the last step, which all ranks hear of here. */
static dum_status gradient(training *f, int64_t step, dum_status status)
{
    if (status == DUM_OK)
        status = own_gradient(f, step);
    if (f->share.reduce == NULL)
        return status;
    return dumi_share_step(&f->share, f->backend, f->stream, f->optimiser.gradient, f->model->parameter_count,
                           &f->loss, status);
}

static dum_status checkpoint(training *f, int64_t done, bool last)
{
    if (!dumi_pace_keeps(&f->pace, f->options, done, last))
        return DUM_OK;
    const dumi_checkpoint c = {f->context,    f->stream,     f->values, f->model,
                               &f->optimiser, f->data->rows, done,      f->share.ranks};
    return dumi_checkpoint_save(&c, f->options);
}

static dum_status resume(training *f)
{
    dumi_checkpoint c = {f->context,    f->stream,     f->values, f->model,
                         &f->optimiser, f->data->rows, 0,         f->share.ranks};
    DUMI_TRY(dumi_checkpoint_resume(&c, f->options));
    DUMI_REQUIRE(c.step <= f->pace.steps, DUM_ERR_FORMAT, "the checkpoint is at step %lld of %lld",
                 (long long)c.step, (long long)f->pace.steps);
    f->pace.begun = c.step;
    return DUM_OK;
}

static dum_status update(training *f, int64_t step, bool *stopped)
{
    DUMI_REQUIRE(isfinite(f->loss), DUM_ERR_NONFINITE,
                 "training diverged at step %lld: the loss is %g; a smaller rate or bound tanh may help",
                 (long long)step, f->loss);
    const dumi_backprop b = backprop(f);
    DUMI_TRY(dumi_optimiser_step(f->stream, f->backend, &f->optimiser, &b, rate_at(f, step)));
    const bool last = step + 1 == f->pace.steps;
    /* The host, once it has asked, is not told of the step that the other ranks need to hear of it. */
    f->share.asked = f->share.asked || dumi_pace_report(&f->pace, f->options, step + 1, f->loss);
    *stopped = !last && (f->share.reduce != NULL ? f->share.agreed : f->share.asked);
    return checkpoint(f, step + 1, *stopped || last);
}

static dum_status train(training *f, bool *stopped)
{
    dum_status status = DUM_OK;
    for (int64_t step = f->pace.begun; step < f->pace.steps && !*stopped; step++) {
        DUMI_TRY(gradient(f, step, status));
        status = update(f, step, stopped);
    }
    return status;
}

/* A model that starts where the fitted one is. */
static dum_status copy_model(training *f, const dumi_head_model *old)
{
    DUMI_REQUIRE(old->cols == f->data->cols, DUM_ERR_SHAPE,
                 "the data have %d columns, the head was fitted on %d", f->data->cols, old->cols);
    DUMI_TRY(dumi_scaling_copy(f->context, &old->scaling, &f->model->scaling));
    DUMI_TRY(dumi_scaling_upload(f->context, f->stream, &f->model->scaling));
    DUMI_TRY(dumi_centres_copy(f->context, f->stream, old->cols, &old->centres, &f->model->centres));
    float *host;
    DUMI_TRY(DUMI_NEW(f->context, host, old->parameter_count));
    const dum_status status = f->backend->download(f->stream, host, old->parameters, old->parameter_count);
    if (status == DUM_OK)
        f->backend->upload(f->stream, f->model->parameters, host, old->parameter_count);
    dumi_free(f->context, host);
    return status;
}

static dum_status ask(const void *user, int64_t step, int64_t steps)
{
    const training *f = user;
    (void)step;
    (void)steps;
    return dumi_pace_prepare(&f->pace, f->options)
               ? dumi_fail(DUM_CANCELLED,
                           "fit was stopped before its first step; the handle is as it was before")
               : DUM_OK;
}

static dum_status prepare(training *f, const dumi_head_model *old)
{
    const dumi_watch watch = {ask, f};
    DUMI_TRY(ask(f, 0, 1));
    int32_t most = f->batch;
    for (int32_t l = 0; l < f->model->mlp.count; l++)
        most = f->model->mlp.layers[l].inputs > most ? f->model->mlp.layers[l].inputs : most;
    DUMI_TRY(f->backend->stream_create(f->context, f->context->threads, most, most > 1024 ? most : 1024, most,
                                       &f->stream));
    if (old != NULL) {
        DUMI_TRY(copy_model(f, old));
    } else {
        DUMI_TRY(dumi_scaling_fit(f->context, f->stream, f->values, f->data, &watch, &f->model->scaling));
        if (f->model->centred)
            DUMI_TRY(dumi_centres_fit(f->context, f->stream, f->values, f->data, &f->model->scaling, &watch,
                                      &f->model->centres));
        DUMI_TRY(init_parameters(f));
    }
    DUMI_TRY(allocate(f));
    if (f->poe || f->options->pairs != NULL)
        return DUM_OK;
    return dumi_local_create(f->context, f->stream, f->values, &f->model->scaling, f->model->centres.count > 0,
                             f->model->outputs, f->batch, f->data, &watch, &f->local);
}

static void release(training *f)
{
    dumi_local_destroy(&f->local);
    dumi_optimiser_destroy(f->context, &f->optimiser);
    dumi_activations_destroy(f->context, &f->activations);
    float *const buffers[] = {f->x, f->between, f->z, f->products, f->s, f->t, f->d_s, f->d_o};
    for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++)
        f->backend->free(f->context, buffers[i]);
    dumi_free(f->context, f->indices);
    dumi_free(f->context, f->host);
    dumi_free(f->context, f->host_s);
    dumi_free(f->context, f->share.values);
    if (f->stream != NULL)
        f->backend->stream_destroy(f->stream);
}

static dum_status check_weights(const training *f)
{
    double squares;
    DUMI_TRY(f->backend->dot(f->stream, f->model->parameter_count, f->model->parameters, f->model->parameters,
                             &squares));
    DUMI_REQUIRE(isfinite(squares), DUM_ERR_NONFINITE,
                 "training diverged: the weights are not finite; a smaller rate or a clip may help");
    return DUM_OK;
}

/* All that comes before the first step. */
static dum_status begin(training *f, const dumi_head_model *old)
{
    DUMI_TRY(check_data(f));
    DUMI_TRY(plan(f));
    DUMI_TRY(dumi_model_create(f->context, f->values, f->data->cols, &f->model));
    if (!f->poe && f->model->anchor)
        f->shrinkage = f->values[DUMI_SHRINKAGE] * f->data->cols / (double)f->data->rows;
    DUMI_TRY(prepare(f, old));
    DUMI_TRY(resume(f));
    dumi_pace_prepared(&f->pace);
    return is_fresh(f) ? first_batch(f) : DUM_OK;
}

/* A digest of what must be alike on all ranks. */
static dum_status digest(training *f, char out[65])
{
    const dumi_scaling *scaling = &f->model->scaling;
    const size_t cols = (size_t)scaling->cols, parameters = f->model->parameter_count;
    const int64_t numbers[] = {f->data->rows, f->data->cols,  f->pace.begun,
                               f->pace.steps, f->share.ranks, f->options->pairs != NULL,
                               scaling->kind};
    dumi_sha256 hash;
    DUMI_TRY(f->backend->download(f->stream, f->share.values, f->model->parameters, parameters));
    dumi_sha256_init(&hash);
    dumi_sha256_add(&hash, f->values, DUMI_HEAD_PARAMS * sizeof *f->values);
    dumi_sha256_add(&hash, numbers, sizeof numbers);
    dumi_sha256_add(&hash, scaling->shift, cols * sizeof *scaling->shift);
    dumi_sha256_add(&hash, scaling->scale, cols * sizeof *scaling->scale);
    dumi_sha256_add(&hash, scaling->spread, cols * sizeof *scaling->spread);
    dumi_sha256_add(&hash, f->share.values, parameters * sizeof(float));
    dumi_sha256_text(&hash, out);
    return DUM_OK;
}

/* Here the ranks meet, also those that could not begin: nobody waits for one that does not come. */
static dum_status meet(training *f, dum_status status)
{
    char alike[65] = "";
    if (f->share.reduce == NULL)
        return status;
    if (status == DUM_OK)
        status = digest(f, alike);
    return dumi_share_begin(&f->share, alike, &f->mean, status);
}

dum_status dumi_model_train(dum_context *context, const double *values, const dumi_head_model *old,
                            const dum_dataset *data, const dum_fit_options *options, dumi_head_model **out)
{
    training f = {
        .context = context, .backend = context->backend, .values = values, .data = data, .options = options};
    bool stopped = false;
    dum_status status;
    f.poe = (int32_t)values[DUMI_OBJECTIVE] == DUMI_POE;
    f.warm = options->warm_start && old != NULL;
    dumi_pace_start(&f.pace);
    DUMI_GO(dumi_share_open(options, &f.share));
    DUMI_GO(meet(&f, begin(&f, f.warm ? old : NULL)));
    if (is_fresh(&f))
        init_offset(&f);
    DUMI_GO(train(&f, &stopped));
    DUMI_GO(check_weights(&f));
done:
    /* First what scoring does not need: packing the weights takes as much memory as they do. */
    release(&f);
    if (status == DUM_OK)
        status = dumi_model_finish(f.model);
    if (status == DUM_OK) {
        *out = f.model;
        if (stopped)
            status = dumi_fail(DUM_CANCELLED, "fit was stopped; the handle is fitted as far as it got");
    } else {
        dumi_model_destroy(f.model);
    }
    return status;
}
