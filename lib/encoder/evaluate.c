/* SPDX-License-Identifier: MIT
 * How good embeddings are: accuracy of their nearest neighbours, and of one linear layer on them. */
#include "encoder/encoder.h"

#include <math.h>
#include <stdio.h>

typedef struct {
    const dum_encoder *encoder;
    dum_context *context;
    const dum_dataset *data;
    const int32_t *labels;
    int64_t rows;
    int32_t cols, classes;
    float *embeddings;
} part;

static dum_status load(const dum_encoder *encoder, const char *name, const dum_dataset *data,
                       const int32_t *labels, part *p)
{
    *p = (part){
        .encoder = encoder, .context = encoder->context, .data = data, .labels = labels, .rows = data->rows};
    char have[32], argument[32];
    snprintf(argument, sizeof argument, "%s_labels", name);
    DUMI_TRY(dumi_labels_check(argument, labels, p->rows, &p->classes));
    snprintf(have, sizeof have, "%s has", name);
    DUMI_TRY(dumi_encoder_measure(encoder, have, data->cols, &p->cols));
    DUMI_TRY(DUMI_NEW_ROWS(p->context, p->embeddings, p->rows, p->cols));
    DUMI_TRY(dum_encoder_embed_dataset(encoder, data, p->embeddings));
    for (int64_t at = 0; at < p->rows * p->cols; at++)
        DUMI_REQUIRE(isfinite(p->embeddings[at]), DUM_ERR_NONFINITE,
                     "%s: the embedding of row %lld is not finite", name, (long long)(at / p->cols));
    return DUM_OK;
}

static dum_status load_both(const dum_encoder *encoder, const dum_dataset *train, const int32_t *train_labels,
                            const dum_dataset *test, const int32_t *test_labels, part *a, part *b)
{
    DUMI_REQUIRE(test->cols == train->cols, DUM_ERR_SHAPE, "test has %d columns, train has %d", test->cols,
                 train->cols);
    DUMI_TRY(load(encoder, "train", train, train_labels, a));
    return load(encoder, "test", test, test_labels, b);
}

/* ---- Nearest neighbours -------------------------------------------------------------------- */

enum { TILE = 128 };

typedef struct {
    const part *train, *test;
    int32_t neighbours;
    int64_t first;
    const float *similarity; /* TILE x rows of train */
    float *sorted;           /* of each worker, twice the rows */
    double *votes;           /* of each worker, one a class */
    bool right[TILE];
} search;

static void to_unit(part *p)
{
    for (int64_t i = 0; i < p->rows; i++) {
        float *row = p->embeddings + i * p->cols;
        double squares = 0;
        for (int32_t j = 0; j < p->cols; j++)
            squares += (double)row[j] * (double)row[j];
        for (int32_t j = 0; j < p->cols && squares > 0; j++)
            row[j] = (float)((double)row[j] / sqrt(squares));
    }
}

/* Wu et al. 2018, section 3.4: each neighbour votes with exp(cosine / 0.07). */
static void vote_task(void *argument, int64_t task, int32_t worker)
{
    search *s = argument;
    const int64_t rows = s->train->rows;
    const float *near = s->similarity + task * rows;
    float *sorted = s->sorted + (int64_t)worker * 2 * rows;
    double *votes = s->votes + (int64_t)worker * s->train->classes;
    memcpy(sorted, near, (size_t)rows * sizeof *sorted);
    dumi_sort_float(sorted, rows, sorted + rows);
    const float bound = sorted[rows - s->neighbours];
    int64_t level = 0; /* how many at the bound still count: by row number */
    for (int64_t j = rows - s->neighbours; j < rows && !(sorted[j] > bound); j++)
        level++;
    for (int32_t c = 0; c < s->train->classes; c++)
        votes[c] = 0;
    for (int64_t j = 0; j < rows; j++) {
        if (near[j] < bound || (!(near[j] > bound) && level-- <= 0))
            continue;
        votes[s->train->labels[j]] += exp(((double)near[j] - 1) / 0.07);
    }
    int32_t best = 0;
    for (int32_t c = 1; c < s->train->classes; c++)
        best = votes[c] > votes[best] ? c : best;
    s->right[task] = best == s->test->labels[s->first + task];
}

static dum_status vote_all(search *s, dumi_stream *stream, float *device_train, float *device_tile,
                           float *device_similarity, float *similarity, int64_t *right)
{
    dum_context *context = s->train->context;
    const dumi_backend *backend = context->backend;
    const int32_t cols = s->train->cols, rows = (int32_t)s->train->rows;
    backend->upload(stream, device_train, s->train->embeddings, (size_t)rows * (size_t)cols);
    for (s->first = 0; s->first < s->test->rows; s->first += TILE) {
        const int64_t left = s->test->rows - s->first;
        const int32_t count = (int32_t)(left < TILE ? left : TILE);
        backend->upload(stream, device_tile, s->test->embeddings + s->first * cols,
                        (size_t)count * (size_t)cols);
        backend->gemm(stream, &(dumi_gemm){.m = count,
                                           .n = rows,
                                           .k = cols,
                                           .a = device_tile,
                                           .a_row = cols,
                                           .a_col = 1,
                                           .b = device_train,
                                           .b_row = 1,
                                           .b_col = cols,
                                           .c = device_similarity,
                                           .c_row = rows});
        DUMI_TRY(backend->download(stream, similarity, device_similarity, (size_t)count * (size_t)rows));
        dumi_parallel(context, context->threads, count, 60.0 * count * rows, vote_task, s);
        for (int32_t i = 0; i < count; i++)
            *right += s->right[i];
    }
    return DUM_OK;
}

static dum_status knn(part *train, part *test, int32_t neighbours, double *accuracy)
{
    dum_context *context = train->context;
    const dumi_backend *backend = context->backend;
    const size_t rows = (size_t)train->rows, cols = (size_t)train->cols, workers = (size_t)context->threads;
    search s = {.train = train, .test = test, .neighbours = neighbours};
    dumi_stream *stream = NULL;
    float *similarity = NULL, *d_train = NULL, *d_tile = NULL, *d_similarity = NULL;
    int64_t right = 0;
    dum_status status;
    to_unit(train);
    to_unit(test);
    DUMI_GO(backend->stream_create(context, context->threads, TILE, 4096, train->cols, &stream));
    DUMI_GO(DUMI_NEW(context, similarity, TILE * rows));
    DUMI_GO(DUMI_NEW(context, s.sorted, workers * 2 * rows));
    DUMI_GO(DUMI_NEW(context, s.votes, workers * (size_t)train->classes));
    d_train = backend->alloc(context, rows * cols);
    d_tile = backend->alloc(context, TILE * cols);
    d_similarity = backend->alloc(context, TILE * rows);
    if (d_train == NULL || d_tile == NULL || d_similarity == NULL)
        DUMI_GO(dumi_status());
    s.similarity = similarity;
    DUMI_GO(vote_all(&s, stream, d_train, d_tile, d_similarity, similarity, &right));
    *accuracy = (double)right / (double)test->rows;
done:
    backend->free(context, d_train);
    backend->free(context, d_tile);
    backend->free(context, d_similarity);
    dumi_free(context, similarity);
    dumi_free(context, s.sorted);
    dumi_free(context, s.votes);
    if (stream != NULL)
        backend->stream_destroy(stream);
    return status;
}

dum_status dum_encoder_knn_accuracy(const dum_encoder *encoder, const dum_dataset *train,
                                    const int32_t *train_labels, const dum_dataset *test,
                                    const int32_t *test_labels, int32_t neighbours, double *accuracy)
{
    dumi_clear_error();
    DUMI_NOT_NULL(encoder);
    DUMI_NOT_NULL(train);
    DUMI_NOT_NULL(train_labels);
    DUMI_NOT_NULL(test);
    DUMI_NOT_NULL(test_labels);
    DUMI_NOT_NULL(accuracy);
    const int64_t wanted = neighbours == 0 ? (train->rows < 200 ? train->rows : 200) : neighbours;
    DUMI_REQUIRE(wanted >= 1 && wanted <= train->rows && train->rows < INT32_MAX, DUM_ERR_ARGUMENT,
                 "neighbours is %d, expected 0 or 1 to the rows of train, %lld", neighbours,
                 (long long)train->rows);
    part a = {0}, b = {0};
    dum_status status = load_both(encoder, train, train_labels, test, test_labels, &a, &b);
    if (status == DUM_OK)
        status = knn(&a, &b, (int32_t)wanted, accuracy);
    dumi_free(encoder->context, a.embeddings);
    dumi_free(encoder->context, b.embeddings);
    return status;
}

/* ---- One linear layer ---------------------------------------------------------------------- */

enum { BATCH = 256, EPOCHS = 100 };

typedef struct {
    dum_context *context;
    dumi_stream *stream;
    dumi_network network;
    dumi_batch_run run;
    dumi_steps steps;
    float *labels, *host, *host_labels;
    int32_t batch, logits;
} layer;

/* Columns to mean 0 and deviation 1, as of the training rows. */
static void standardise(part *train, part *test)
{
    for (int32_t j = 0; j < train->cols; j++) {
        double sum = 0, squares = 0;
        for (int64_t i = 0; i < train->rows; i++)
            sum += (double)train->embeddings[i * train->cols + j];
        const double mean = sum / (double)train->rows;
        for (int64_t i = 0; i < train->rows; i++) {
            const double gap = (double)train->embeddings[i * train->cols + j] - mean;
            squares += gap * gap;
        }
        const double scale = squares > 0 ? 1 / sqrt(squares / (double)train->rows) : 0;
        part *const both[] = {train, test};
        for (int k = 0; k < 2; k++)
            for (int64_t at = j; at < both[k]->rows * train->cols; at += train->cols)
                both[k]->embeddings[at] = (float)(((double)both[k]->embeddings[at] - mean) * scale);
    }
}

static dum_status layer_create(dum_context *context, const part *train, layer *l)
{
    const dumi_backend *backend = context->backend;
    l->context = context;
    l->batch = (int32_t)(train->rows < BATCH ? train->rows : BATCH);
    dumi_mlp_network(&l->network, train->cols, 0, 1, train->classes);
    l->logits = l->network.features;
    const int32_t most = train->cols > l->batch ? train->cols : l->batch;
    DUMI_TRY(backend->stream_create(context, context->threads, most,
                                    train->classes > most ? train->classes : most, most, &l->stream));
    DUMI_TRY(dumi_batch_run_create(context, l->stream, &l->network, l->batch, true, &l->run));
    l->steps = (dumi_steps){.kind = DUMI_STEP_SGD, .momentum = 0.9, .decay = 1e-4};
    l->steps.parameters = backend->alloc(context, l->network.parameters);
    l->labels = backend->alloc(context, (size_t)l->batch);
    if (l->steps.parameters == NULL || l->labels == NULL)
        return dumi_status();
    backend->fill(l->stream, l->steps.parameters, 0, l->network.parameters);
    DUMI_TRY(dumi_steps_create(context, l->stream, &l->network, &l->steps));
    DUMI_TRY(
        DUMI_NEW(context, l->host, (size_t)l->batch * (size_t)(most > train->classes ? most : train->classes)));
    return DUMI_NEW(context, l->host_labels, l->batch);
}

static void layer_destroy(layer *l)
{
    const dumi_backend *backend = l->context->backend;
    dumi_batch_run_destroy(&l->run);
    dumi_steps_destroy(l->context, &l->steps);
    backend->free(l->context, l->steps.parameters);
    backend->free(l->context, l->labels);
    dumi_free(l->context, l->host);
    dumi_free(l->context, l->host_labels);
    if (l->stream != NULL)
        backend->stream_destroy(l->stream);
}

static dum_status layer_step(layer *l, const part *train, int64_t step, int64_t steps)
{
    const dumi_backend *backend = l->context->backend;
    const int64_t per_epoch = train->rows / l->batch, first = step % per_epoch * l->batch;
    for (int32_t i = 0; i < l->batch; i++) {
        const uint64_t row = dumi_permute((uint64_t)train->rows, (uint64_t)(first + i), 0, DUMI_RNG_ORDER,
                                          (uint32_t)(step / per_epoch));
        memcpy(l->host + (int64_t)i * train->cols, train->embeddings + (int64_t)row * train->cols,
               (size_t)train->cols * sizeof *l->host);
        l->host_labels[i] = (float)train->labels[row];
    }
    backend->upload(l->stream, l->run.values[0], l->host, (size_t)l->batch * (size_t)train->cols);
    backend->upload(l->stream, l->labels, l->host_labels, (size_t)l->batch);
    dumi_batch_run_forward(&l->run, l->steps.parameters, NULL);
    const dumi_cross_entropy shape = {
        .rows = l->batch, .cols = train->classes, .skip = -1, .scale = 1, .labels = l->labels};
    double loss;
    int64_t right;
    DUMI_TRY(backend->cross_entropy(l->stream, &shape, l->run.values[l->logits],
                                    dumi_batch_run_gradient(&l->run, l->logits), NULL, &loss, &right));
    dumi_batch_run_backward(&l->run, l->steps.parameters, l->steps.gradient);
    const double rate = 0.05 * (1 + cos(3.141592653589793 * (double)step / (double)steps));
    return dumi_steps_apply(l->stream, backend, &l->network, &l->steps, rate);
}

static dum_status layer_judge(layer *l, const part *test, int64_t *right)
{
    const dumi_backend *backend = l->context->backend;
    const int32_t classes = l->network.tensor[l->logits].cols;
    for (int64_t first = 0; first < test->rows; first += l->batch) {
        const int64_t left = test->rows - first;
        const int32_t count = (int32_t)(left < l->batch ? left : l->batch);
        backend->upload(l->stream, l->run.values[0], test->embeddings + first * test->cols,
                        (size_t)count * (size_t)test->cols);
        dumi_batch_run_forward(&l->run, l->steps.parameters, NULL);
        DUMI_TRY(
            backend->download(l->stream, l->host, l->run.values[l->logits], (size_t)count * (size_t)classes));
        for (int32_t i = 0; i < count; i++) {
            const float *logits = l->host + (int64_t)i * classes;
            int32_t best = 0;
            for (int32_t c = 1; c < classes; c++)
                best = logits[c] > logits[best] ? c : best;
            *right += best == test->labels[first + i];
        }
    }
    return DUM_OK;
}

static dum_status linear(part *train, part *test, double *accuracy)
{
    layer l = {0};
    int64_t right = 0;
    standardise(train, test);
    dum_status status = layer_create(train->context, train, &l);
    const int64_t steps = EPOCHS * (train->rows / (train->rows < BATCH ? train->rows : BATCH));
    for (int64_t step = 0; step < steps && status == DUM_OK; step++)
        status = layer_step(&l, train, step, steps);
    if (status == DUM_OK)
        status = layer_judge(&l, test, &right);
    layer_destroy(&l);
    *accuracy = (double)right / (double)test->rows;
    return status;
}

dum_status dum_encoder_linear_accuracy(const dum_encoder *encoder, const dum_dataset *train,
                                       const int32_t *train_labels, const dum_dataset *test,
                                       const int32_t *test_labels, double *accuracy)
{
    dumi_clear_error();
    DUMI_NOT_NULL(encoder);
    DUMI_NOT_NULL(train);
    DUMI_NOT_NULL(train_labels);
    DUMI_NOT_NULL(test);
    DUMI_NOT_NULL(test_labels);
    DUMI_NOT_NULL(accuracy);
    part a = {0}, b = {0};
    double reached = 0;
    dum_status status = load_both(encoder, train, train_labels, test, test_labels, &a, &b);
    if (status == DUM_OK)
        status = linear(&a, &b, &reached);
    dumi_free(encoder->context, a.embeddings);
    dumi_free(encoder->context, b.embeddings);
    if (status == DUM_OK)
        *accuracy = reached;
    return status;
}
