/* SPDX-License-Identifier: MIT */
#include "scorer/net.h"

#include <math.h>

void dumi_net_describe(int64_t *state_sizes, int32_t layers, const int32_t *sizes)
{
    dumi_mlp mlp;
    dumi_mlp_layers(&mlp, layers, sizes);
    state_sizes[DUMI_COLS] = sizes[0];
    state_sizes[DUMI_NET_PARAMETERS] = (int64_t)mlp.parameters;
    state_sizes[DUMI_NET_SIZES] = layers + 1;
}

dum_status dumi_net_create(const dumi_fitting *f, const dumi_layout *layout, const int64_t *state_sizes,
                           int32_t layers, const int32_t *sizes, void **out)
{
    DUMI_TRY(dumi_state_create(f->context, layout, state_sizes, out));
    dumi_net *net = *out;
    for (int32_t l = 0; l <= layers; l++)
        net->sizes[l] = sizes[l];
    dumi_mlp_layers(&net->mlp, layers, sizes);
    return DUM_OK;
}

dum_status dumi_net_ready(const double *values, void *state)
{
    (void)values;
    dumi_net *net = state;
    const int64_t count = net->head.sizes[DUMI_NET_SIZES];
    DUMI_REQUIRE(count >= 2 && count <= DUMI_NET_HIDDEN + 2, DUM_ERR_FORMAT,
                 "tensor net.sizes has %lld elements", (long long)count);
    int32_t sizes[DUMI_NET_HIDDEN + 2];
    double parameters = 0;
    for (int64_t l = 0; l < count; l++) {
        const bool inner = l > 0 && l + 1 < count;
        DUMI_REQUIRE(net->sizes[l] >= 1 && net->sizes[l] <= (inner ? DUMI_NET_WIDTH : INT32_MAX),
                     DUM_ERR_FORMAT, "tensor net.sizes: element %lld is %lld", (long long)l,
                     (long long)net->sizes[l]);
        sizes[l] = (int32_t)net->sizes[l];
        parameters += l > 0 ? (double)sizes[l] * ((double)sizes[l - 1] + 1) : 0;
    }
    DUMI_REQUIRE(parameters == (double)net->head.sizes[DUMI_NET_PARAMETERS], DUM_ERR_FORMAT,
                 "tensor net.parameters does not fit net.sizes");
    net->head.sizes[DUMI_COLS] = sizes[0];
    dumi_mlp_layers(&net->mlp, (int32_t)count - 1, sizes);
    return DUM_OK;
}

typedef struct {
    const dumi_fitting *f;
    dum_context *context;
    const dumi_backend *backend;
    const dumi_net *net;
    const dumi_net_training *t;
    dumi_stream *stream;
    float *parameters, *x, *d_out;         /* device */
    float *host_x, *host_out, *host_d_out; /* host */
    dumi_activations activations;
    dumi_optimiser optimiser;
    double loss;
} trainer;

static dum_status trainer_create(trainer *r)
{
    const dumi_mlp *mlp = &r->net->mlp;
    const size_t rows = (size_t)r->t->rows, in = rows * (size_t)mlp->layers[0].inputs,
                 out = rows * (size_t)mlp->layers[mlp->count - 1].outputs;
    int32_t most = r->t->rows;
    for (int32_t l = 0; l < mlp->count; l++) {
        most = mlp->layers[l].inputs > most ? mlp->layers[l].inputs : most;
        most = mlp->layers[l].outputs > most ? mlp->layers[l].outputs : most;
    }
    DUMI_TRY(r->backend->stream_create(r->context, r->context->threads, most, most, most, &r->stream));
    r->parameters = r->backend->alloc(r->context, mlp->parameters);
    r->x = r->backend->alloc(r->context, in);
    r->d_out = r->backend->alloc(r->context, out);
    if (r->parameters == NULL || r->x == NULL || r->d_out == NULL)
        return dumi_status();
    DUMI_TRY(DUMI_NEW(r->context, r->host_x, in));
    DUMI_TRY(DUMI_NEW(r->context, r->host_out, out));
    DUMI_TRY(DUMI_NEW(r->context, r->host_d_out, out));
    DUMI_TRY(dumi_activations_create(r->context, mlp, r->t->rows, true, &r->activations));
    r->optimiser = (dumi_optimiser){
        .kind = DUMI_ADAM, .decay = r->t->decay, .clip = 5, .mlp = mlp, .parameters = r->parameters};
    DUMI_TRY(dumi_optimiser_create(r->context, r->stream, r->t->rows, &r->optimiser));
    r->backend->upload(r->stream, r->parameters, r->net->parameters, mlp->parameters);
    return DUM_OK;
}

static void trainer_destroy(trainer *r)
{
    dumi_optimiser_destroy(r->context, &r->optimiser);
    dumi_activations_destroy(r->context, &r->activations);
    r->backend->free(r->context, r->parameters);
    r->backend->free(r->context, r->x);
    r->backend->free(r->context, r->d_out);
    dumi_free(r->context, r->host_x);
    dumi_free(r->context, r->host_out);
    dumi_free(r->context, r->host_d_out);
    if (r->stream != NULL)
        r->backend->stream_destroy(r->stream);
}

static void load_rows(const dumi_fitting *f, int32_t rows, uint64_t seed, int64_t step, float *x)
{
    const int64_t steps = f->count / rows, epoch = step / steps, first = step % steps * rows;
    for (int32_t i = 0; i < rows; i++) {
        const int64_t row = (int64_t)dumi_permute((uint64_t)f->count, (uint64_t)(first + i), seed,
                                                  DUMI_RNG_ORDER, (uint32_t)epoch);
        memcpy(x + (int64_t)i * f->cols, f->rows + row * f->cols, (size_t)f->cols * sizeof *x);
    }
}

static dum_status one_step(trainer *r, int64_t step)
{
    const dumi_mlp *mlp = &r->net->mlp;
    const dumi_net_training *t = r->t;
    const size_t rows = (size_t)t->rows, in = rows * (size_t)mlp->layers[0].inputs,
                 out = rows * (size_t)mlp->layers[mlp->count - 1].outputs;
    if (t->load != NULL)
        t->load(t->user, step, r->host_x);
    else
        load_rows(r->f, t->rows, t->seed, step, r->host_x);
    r->backend->upload(r->stream, r->x, r->host_x, in);
    dumi_mlp_forward(r->stream, r->backend, mlp, r->parameters, NULL, t->rows, r->x, &r->activations);
    DUMI_TRY(r->backend->download(r->stream, r->host_out, r->activations.output, out));
    r->loss = t->loss(t->user, r->host_x, r->host_out, r->host_d_out);
    DUMI_REQUIRE(isfinite(r->loss), DUM_ERR_NONFINITE,
                 "training diverged at step %lld: the loss is %g; a smaller rate, or scaling, may help",
                 (long long)step, r->loss);
    r->backend->upload(r->stream, r->d_out, r->host_d_out, out);
    const dumi_backprop b = {t->rows, r->x, &r->activations, r->d_out};
    dumi_mlp_deltas(r->stream, r->backend, mlp, r->parameters, &b);
    for (int32_t l = 0; l < mlp->count; l++) {
        float *bias = dumi_optimiser_bias(&r->optimiser, l);
        if (t->biases)
            r->backend->colsum(r->stream, t->rows, mlp->layers[l].outputs, dumi_mlp_delta(mlp, &b, l), bias);
        else
            r->backend->fill(r->stream, bias, 0, (size_t)mlp->layers[l].outputs);
    }
    dumi_optimiser_gradient(r->stream, r->backend, &r->optimiser, &b);
    return dumi_optimiser_step(r->stream, r->backend, &r->optimiser, &b, t->rate);
}

void dumi_net_init(dumi_net *net, uint64_t seed)
{
    dumi_mlp_init(&net->mlp, seed, 1, net->parameters);
}

dum_status dumi_net_finish(const dumi_fitting *f, void *net, dum_status trained, void **state)
{
    if (trained != DUM_OK && trained != DUM_CANCELLED) {
        dumi_state_destroy(net);
        return trained;
    }
    DUMI_TRY(dumi_state_ready(f->values, net, state));
    return trained;
}

dum_status dumi_net_train(const dumi_fitting *f, dumi_net *net, const dumi_net_training *t)
{
    trainer r = {.f = f, .context = f->context, .backend = f->context->backend, .net = net, .t = t};
    dum_status stopped = DUM_OK, status;
    DUMI_GO(trainer_create(&r));
    for (int64_t step = 0; step < t->steps && stopped == DUM_OK; step++) {
        DUMI_GO(one_step(&r, step));
        stopped = dumi_fitting_progress(f, step + 1, t->steps, r.loss);
    }
    DUMI_GO(r.backend->download(r.stream, net->parameters, r.parameters, net->mlp.parameters));
    status = stopped;
done:
    trainer_destroy(&r);
    return status;
}

/* out = bias + in W, for some of the columns of W. */
DUMI_CLONES static void multiply(const dumi_layer *layer, const float *restrict parameters,
                                 const float *restrict in, int32_t first, int32_t count, float *restrict out)
{
    memcpy(out, parameters + layer->bias + first, (size_t)count * sizeof *out);
    for (int32_t i = 0; i < layer->inputs; i++) {
        const float *restrict w = parameters + layer->weights + (int64_t)i * layer->outputs + first;
        const float x = in[i];
        for (int32_t j = 0; j < count; j++)
            out[j] += x * w[j];
    }
}

const float *dumi_net_hidden(const dumi_net *net, const float *row, float *hidden)
{
    float turns[2][DUMI_NET_WIDTH];
    const float *in = row;
    const int32_t layers = net->mlp.count - 1;
    for (int32_t l = 0; l < layers; l++) {
        float *out = l + 1 == layers ? hidden : turns[l % 2];
        const int32_t width = net->mlp.layers[l].outputs;
        multiply(&net->mlp.layers[l], net->parameters, in, 0, width, out);
        for (int32_t j = 0; j < width; j++)
            out[j] = out[j] > 0 ? out[j] : 0;
        in = out;
    }
    return layers > 0 ? hidden : row;
}

void dumi_net_output(const dumi_net *net, const float *hidden, int32_t first, int32_t count, float *out)
{
    multiply(&net->mlp.layers[net->mlp.count - 1], net->parameters, hidden, first, count, out);
}
