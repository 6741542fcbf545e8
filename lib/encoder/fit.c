/* SPDX-License-Identifier: MIT
 * The training loop of encoders. */
#include "encoder/training.h"

#include <math.h>

/* ---- What objectives share ---------------------------------------------------------------- */

void dumi_training_product(const dumi_training *t, int32_t m, int32_t n, int32_t k, const float *a,
                           const float *b, bool turned, bool add, float *c)
{
    t->backend->gemm(t->stream, &(dumi_gemm){.m = m,
                                             .n = n,
                                             .k = k,
                                             .a = a,
                                             .a_row = k,
                                             .a_col = 1,
                                             .b = b,
                                             .b_row = turned ? 1 : n,
                                             .b_col = turned ? k : 1,
                                             .c = c,
                                             .c_row = n,
                                             .add = add});
}

void dumi_training_product_turned(const dumi_training *t, int32_t m, int32_t n, int32_t k, const float *a,
                                  const float *b, bool add, float *c)
{
    t->backend->gemm(t->stream, &(dumi_gemm){.m = m,
                                             .n = n,
                                             .k = k,
                                             .a = a,
                                             .a_row = 1,
                                             .a_col = m,
                                             .b = b,
                                             .b_row = n,
                                             .b_col = 1,
                                             .c = c,
                                             .c_row = n,
                                             .add = add});
}

/* A step of SGD at rate 0: what it does to the velocity is wanted, and the weights stay. */
static void average(const dumi_training *t, size_t count, double keep, double take, const float *from,
                    float *to)
{
    const dumi_step step = {.beta1 = (float)keep, .scale = (float)take};
    t->backend->sgd(t->stream, count, &step, from, t->parameters, to);
}

void dumi_training_average(const dumi_training *t, size_t count, double momentum, const float *from, float *to)
{
    for (size_t at = 0; at < count; at += t->model->network.parameters) {
        const size_t left = count - at, piece = t->model->network.parameters;
        average(t, left < piece ? left : piece, momentum, 1 - momentum, from + at, to + at);
    }
}

/* ---- Checks and plan ---------------------------------------------------------------------- */

static dum_status check_labels(const dumi_training *t, int32_t *classes)
{
    const int32_t *labels = t->options->labels;
    DUMI_REQUIRE(labels != NULL, DUM_ERR_ARGUMENT,
                 "options.labels is NULL, objective supervised needs one a row");
    DUMI_TRY(dumi_labels_check("options.labels", labels, t->data->rows, classes));
    DUMI_REQUIRE(*classes >= 2, DUM_ERR_ARGUMENT, "options.labels are all 0, expected two classes or more");
    return DUM_OK;
}

static dum_status check_options(const dumi_training *t)
{
    const double *v = t->values;
    const int64_t least = t->objective->run_views > 1 || t->kind == DUMI_RESNET ? 2 : 1;
    DUMI_REQUIRE(t->data->rows >= 2, DUM_ERR_SHAPE, "the data have %lld rows, training needs 2 or more",
                 (long long)t->data->rows);
    DUMI_REQUIRE(v[DUMI_E_BATCH] >= (double)least, DUM_ERR_ARGUMENT,
                 "option batch is %s, expected 2 or more: one row has no others to differ from",
                 dumi_show(v[DUMI_E_BATCH]).text);
    DUMI_REQUIRE(v[DUMI_E_CROP_MIN] <= v[DUMI_E_CROP_MAX], DUM_ERR_ARGUMENT,
                 "option crop_min is %s, more than crop_max", dumi_show(v[DUMI_E_CROP_MIN]).text);
    DUMI_REQUIRE(v[DUMI_E_UNCERTAINTY] == 0 || v[DUMI_E_OBJECTIVE] == DUMI_SIMCLR, DUM_ERR_ARGUMENT,
                 "option uncertainty is on, which needs objective simclr");
    DUMI_REQUIRE(v[DUMI_E_ROTATION] == 0 || v[DUMI_E_OBJECTIVE] == DUMI_SUPERVISED, DUM_ERR_ARGUMENT,
                 "option rotation is on, which needs objective supervised");
    DUMI_REQUIRE(v[DUMI_E_FROZEN] == 0 || (v[DUMI_E_UNCERTAINTY] != 0 && t->options->warm_start),
                 DUM_ERR_ARGUMENT, "option frozen is on, which needs uncertainty on and options.warm_start 1");
    DUMI_REQUIRE(t->options->max_seconds >= 0, DUM_ERR_ARGUMENT,
                 "options.max_seconds is %s, expected 0 or more", dumi_show(t->options->max_seconds).text);
    DUMI_REQUIRE(t->options->checkpoint_epochs >= 0, DUM_ERR_ARGUMENT,
                 "options.checkpoint_epochs is %d, expected 0 or more", t->options->checkpoint_epochs);
    DUMI_REQUIRE(t->options->reduce == NULL && t->options->ranks <= 1 && t->options->rank == 0,
                 DUM_ERR_ARGUMENT,
                 "options.reduce, options.ranks and options.rank are for heads and scorer dum");
    DUMI_REQUIRE(t->options->pairs == NULL, DUM_ERR_ARGUMENT,
                 "options.pairs is set, which is for heads and scorer dum");
    return DUM_OK;
}

static void plan(dumi_training *t)
{
    const int64_t rows = t->data->rows;
    t->batch = (int32_t)(t->values[DUMI_E_BATCH] < (double)rows ? t->values[DUMI_E_BATCH] : (double)rows);
    t->pace.per_epoch = rows / t->batch;
    const double epochs = t->values[DUMI_E_EPOCHS] * (double)t->pace.per_epoch;
    t->pace.steps = (int64_t)(t->values[DUMI_E_STEPS] > 0 ? t->values[DUMI_E_STEPS] : fmin(epochs, 9e15));
    t->views = t->objective->views;
    t->run_views = t->objective->run_views;
    if (t->values[DUMI_E_ROTATION] != 0)
        t->views = t->run_views = 2;
}

/* ---- Beginning ---------------------------------------------------------------------------- */

/* Of a channel or column: sums of its values and squares, and the same of what they differ from the first one. */
typedef struct {
    double sum, squares, first, off, off_squares;
} moments;

static void add_value(moments *at, double value)
{
    const double off = value - at->first;
    at->sum += value;
    at->squares += value * value;
    at->off += off;
    at->off_squares += off * off;
}

/* One over the deviation; 0: constant. Where the squares leave nothing of a column of a table that varies far from 0, or in
 * a small unit, what it differs from its first value does. */
static float scale_of(const dumi_encoder_model *m, const moments *at, double n)
{
    const double mean = at->sum / n, variance = at->squares / n - mean * mean;
    if (variance > 1e-12 * (1 + mean * mean))
        return (float)(1 / sqrt(variance));
    const double off = at->off / n, rest = at->off_squares / n - off * off;
    const float scale = rest > 0 && !dumi_encoder_has_images(m) ? (float)(1 / sqrt(rest)) : 0;
    return isfinite(scale) ? scale : 0;
}

/* Mean and deviation of channels or columns, over all rows; checks them all. */
static dum_status measure(const dumi_training *t, moments *all)
{
    dumi_encoder_model *m = t->model;
    for (int64_t first = 0; first < t->data->rows; first += t->batch) {
        const int64_t left = t->data->rows - first, count = left < t->batch ? left : t->batch;
        DUMI_TRY(dum_dataset_read(t->data, first, count, t->rows));
        for (int64_t i = 0; i < count; i++) {
            const float *row = t->rows + i * m->cols;
            DUMI_TRY(dumi_encoder_check_row(m, first + i, row));
            for (int32_t j = 0; j < m->channels && first + i == 0; j++)
                all[j].first = (double)row[j];
            for (int32_t j = 0; j < m->cols; j++)
                add_value(&all[j % m->channels], (double)row[j]);
        }
    }
    const double n = (double)t->data->rows * m->cols / m->channels;
    for (int32_t j = 0; j < m->channels; j++) {
        m->shift[j] = (float)(all[j].sum / n);
        m->scale[j] = scale_of(m, &all[j], n);
    }
    return DUM_OK;
}

static dum_status fit_scaling(dumi_training *t)
{
    moments *all;
    DUMI_TRY(DUMI_NEW(t->context, all, t->model->channels));
    memset(all, 0, (size_t)t->model->channels * sizeof *all);
    const dum_status status = measure(t, all);
    dumi_free(t->context, all);
    return status;
}

/* Everything up to the first unit that the new network does not share. */
static dum_status copy_model(dumi_training *t, const dumi_encoder_model *old)
{
    dumi_encoder_model *m = t->model;
    DUMI_REQUIRE(old->cols == m->cols, DUM_ERR_SHAPE, "the data have %d columns, the encoder was fitted on %d",
                 m->cols, old->cols);
    memcpy(m->shift, old->shift, (size_t)m->channels * sizeof *m->shift);
    memcpy(m->scale, old->scale, (size_t)m->channels * sizeof *m->scale);
    memcpy(m->statistics, old->statistics,
           (m->network.statistics < old->network.statistics ? m->network.statistics : old->network.statistics) *
               sizeof *m->statistics);
    for (int32_t i = 0; i < m->network.units; i++) {
        for (int32_t j = 0; j < old->network.units; j++) {
            const dumi_unit *to = &m->network.unit[i], *from = &old->network.unit[j];
            if (!dumi_unit_has_weights(to) || strcmp(to->name, from->name) != 0 ||
                dumi_unit_weights(to) != dumi_unit_weights(from))
                continue;
            const size_t count =
                dumi_unit_weights(to) + (to->kind == DUMI_UNIT_CONV ? 2u : 1u) * (size_t)to->shape.outputs;
            memcpy(m->parameters + to->weights, old->parameters + from->weights, count * sizeof(float));
        }
    }
    return DUM_OK;
}

static dum_status allocate_host(dumi_training *t)
{
    const size_t size = (size_t)t->batch * (size_t)t->data->cols, views = (size_t)t->views;
    DUMI_TRY(DUMI_NEW(t->context, t->indices, t->batch));
    DUMI_TRY(DUMI_NEW(t->context, t->rows, size));
    DUMI_TRY(DUMI_NEW(t->context, t->inputs, size * views));
    if (!dumi_encoder_has_images(t->model))
        DUMI_TRY(DUMI_NEW(t->context, t->others, size * views));
    DUMI_TRY(DUMI_NEW(t->context, t->scratch, (size_t)t->context->threads * dumi_training_scratch(t)));
    return DUMI_NEW(t->context, t->host_labels, (size_t)t->batch * DUMI_MOST_VIEWS);
}

static dum_status allocate_device(dumi_training *t)
{
    const dumi_network *n = &t->model->network;
    int32_t most = t->batch * t->run_views;
    for (int32_t i = 0; i < n->units; i++)
        if (n->unit[i].kind == DUMI_UNIT_LINEAR && n->unit[i].shape.cols > most)
            most = n->unit[i].shape.cols;
    DUMI_TRY(t->backend->stream_create(t->context, t->context->threads, most, most, most, &t->stream));
    t->labels = dumi_training_floats(t, (size_t)t->batch * DUMI_MOST_VIEWS);
    t->parameters = dumi_training_floats(t, n->parameters);
    t->statistics = dumi_training_floats(t, n->statistics);
    if (t->labels == NULL || t->parameters == NULL || t->statistics == NULL)
        return dumi_status();
    t->backend->upload(t->stream, t->parameters, t->model->parameters, n->parameters);
    t->backend->upload(t->stream, t->statistics, t->model->statistics, n->statistics);
    DUMI_TRY(t->backend->sync(t->stream));
    DUMI_TRY(dumi_batch_run_create(t->context, t->stream, n, t->batch * t->run_views, true, &t->run));
    t->optimiser = (dumi_steps){.kind = (int32_t)t->values[DUMI_E_OPTIMIZER],
                                .momentum = t->values[DUMI_E_MOMENTUM],
                                .decay = t->values[DUMI_E_DECAY],
                                .clip = t->values[DUMI_E_CLIP],
                                .parameters = t->parameters};
    if (t->values[DUMI_E_FROZEN] != 0)
        t->run.first_unit = t->optimiser.first_unit = n->uncertainty - 1;
    return dumi_steps_create(t->context, t->stream, n, &t->optimiser);
}

static dum_status begin(dumi_training *t, const dumi_encoder_model *old)
{
    DUMI_TRY(allocate_host(t));
    dumi_network_init(&t->model->network, (uint64_t)t->values[DUMI_E_SEED], t->model->parameters,
                      t->model->statistics);
    DUMI_TRY(old != NULL ? copy_model(t, old) : fit_scaling(t));
    DUMI_TRY(allocate_device(t));
    DUMI_TRY(t->objective->create(t));
    return dumi_training_resume(t);
}

/* ---- Steps -------------------------------------------------------------------------------- */

static double rate_at(const dumi_training *t)
{
    const double rate = t->values[DUMI_E_RATE], step = (double)t->step;
    const double warm = t->values[DUMI_E_WARMUP] * (double)t->pace.per_epoch, steps = (double)t->pace.steps;
    if (step < warm)
        return rate * (step + 1) / warm;
    if ((int32_t)t->values[DUMI_E_SCHEDULE] == 0 || steps <= warm)
        return rate;
    return rate * 0.5 * (1 + cos(3.141592653589793 * (step - warm) / (steps - warm)));
}

/* As torchvision: a tenth of the batch's, its variance without bias. */
static void follow_moments(const dumi_training *t)
{
    const dumi_network *n = &t->model->network;
    for (int32_t i = 0; i < n->units; i++) {
        const dumi_unit *u = &n->unit[i];
        if (u->kind != DUMI_UNIT_CONV)
            continue;
        const dumi_tensor_shape *o = &n->tensor[u->output];
        const double rows = (double)t->run.images * o->height * o->width, unbiased = rows / (rows - 1);
        const size_t cols = (size_t)u->shape.outputs;
        average(t, cols, 0.9, 0.1, t->run.moments + u->mean, t->statistics + u->mean);
        average(t, cols, 0.9, 0.1 * unbiased, t->run.moments + u->variance, t->statistics + u->variance);
    }
}

static dum_status one_step(dumi_training *t)
{
    const int64_t epoch = t->step / t->pace.per_epoch, first = t->step % t->pace.per_epoch * t->batch;
    const bool frozen = t->run.first_unit > 0;
    for (int32_t i = 0; i < t->batch; i++)
        t->indices[i] =
            (int64_t)dumi_permute((uint64_t)t->data->rows, (uint64_t)(first + i),
                                  (uint64_t)t->values[DUMI_E_SEED], DUMI_RNG_ORDER, (uint32_t)epoch);
    DUMI_TRY(dumi_training_views(t));
    dumi_batch_run_forward(&t->run, t->parameters, frozen ? t->statistics : NULL);
    DUMI_TRY(t->objective->loss(t));
    DUMI_REQUIRE(isfinite(t->loss), DUM_ERR_NONFINITE,
                 "training diverged at step %lld: the loss is %g; a smaller rate or a warm-up may help",
                 (long long)t->step, t->loss);
    dumi_batch_run_backward(&t->run, t->parameters, t->optimiser.gradient);
    if (!frozen)
        follow_moments(t);
    DUMI_TRY(dumi_steps_apply(t->stream, t->backend, &t->model->network, &t->optimiser, rate_at(t)));
    return t->objective->after != NULL ? t->objective->after(t) : DUM_OK;
}

static dum_status checkpoint(dumi_training *t, int64_t done, bool last)
{
    return dumi_pace_keeps(&t->pace, t->options, done, last) ? dumi_training_save(t) : DUM_OK;
}

static dum_status train(dumi_training *t, bool *stopped)
{
    dumi_pace_start(&t->pace);
    for (t->step = t->pace.begun; t->step < t->pace.steps && !*stopped;) {
        DUMI_TRY(one_step(t));
        const int64_t done = ++t->step;
        *stopped = dumi_pace_report(&t->pace, t->options, done, t->loss) && done < t->pace.steps;
        DUMI_TRY(checkpoint(t, done, *stopped || done == t->pace.steps));
    }
    return DUM_OK;
}

static dum_status finish(dumi_training *t)
{
    dumi_encoder_model *m = t->model;
    DUMI_TRY(t->backend->download(t->stream, m->parameters, t->parameters, m->network.parameters));
    DUMI_TRY(t->backend->download(t->stream, m->statistics, t->statistics, m->network.statistics));
    for (size_t i = 0; i < m->network.parameters; i++)
        DUMI_REQUIRE(isfinite(m->parameters[i]), DUM_ERR_NONFINITE,
                     "training diverged: the weights are not finite; a smaller rate or a clip may help");
    return DUM_OK;
}

static void release(dumi_training *t)
{
    t->objective->destroy(t);
    for (int32_t i = 0; i < t->kept_count; i++)
        t->backend->free(t->context, t->kept[i].buffer);
    dumi_steps_destroy(t->context, &t->optimiser);
    dumi_batch_run_destroy(&t->run);
    t->backend->free(t->context, t->labels);
    t->backend->free(t->context, t->parameters);
    t->backend->free(t->context, t->statistics);
    float *const host[] = {t->rows, t->others, t->inputs, t->scratch, t->host_labels};
    for (size_t i = 0; i < sizeof host / sizeof host[0]; i++)
        dumi_free(t->context, host[i]);
    dumi_free(t->context, t->indices);
    if (t->stream != NULL)
        t->backend->stream_destroy(t->stream);
}

static const dumi_objective *objective_of(const double *values)
{
    static const dumi_objective *const objectives[] = {
        &dumi_simclr, &dumi_moco, &dumi_instance, &dumi_local_aggregation, &dumi_infomax, &dumi_supervised};
    return objectives[(int32_t)values[DUMI_E_OBJECTIVE]];
}

dum_status dumi_encoder_train(dum_context *context, dumi_encoder_kind kind, const double *values,
                              const dumi_encoder_model *old, const dum_dataset *data,
                              const dum_fit_options *options, dumi_encoder_model **out)
{
    dumi_training t = {.context = context,
                       .backend = context->backend,
                       .kind = kind,
                       .values = values,
                       .data = data,
                       .options = options,
                       .objective = objective_of(values)};
    bool stopped = false;
    int32_t classes = 0;
    dum_status status;
    DUMI_GO(check_options(&t));
    plan(&t);
    if (t.objective == &dumi_supervised)
        DUMI_GO(check_labels(&t, &classes));
    DUMI_GO(dumi_encoder_model_create(context, kind, values, data->cols, classes, 0, &t.model));
    DUMI_GO(begin(&t, options->warm_start ? old : NULL));
    DUMI_GO(train(&t, &stopped));
    DUMI_GO(finish(&t));
done:
    if (t.model != NULL)
        release(&t);
    if (status == DUM_OK)
        status = dumi_encoder_model_finish(t.model);
    if (status == DUM_OK) {
        *out = t.model;
        if (stopped)
            status = dumi_fail(DUM_CANCELLED, "fit was stopped; the handle is fitted as far as it got");
    } else {
        dumi_encoder_model_destroy(t.model);
    }
    return status;
}
