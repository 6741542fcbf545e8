/* SPDX-License-Identifier: MIT */
#include "head/head.h"

static void resolve_anchor(const double *values, dumi_head_model *model)
{
    const int32_t anchor = (int32_t)values[DUMI_ANCHOR];
    const bool local = anchor == DUMI_AUTO && (int32_t)values[DUMI_OBJECTIVE] == DUMI_LOCAL;
    model->centred = local || anchor == DUMI_ON_CENTRES;
    model->anchor = model->centred || anchor == DUMI_ON;
}

dum_status dumi_model_create(dum_context *context, const double *values, int32_t cols, dumi_head_model **out)
{
    dumi_head_model *model;
    DUMI_TRY(DUMI_NEW(context, model, 1));
    memset(model, 0, sizeof *model);
    model->context = dumi_context_keep(context);
    model->cols = cols;
    model->outputs = (int32_t)values[DUMI_COVARIANCE] == DUM_COVARIANCE_DIAGONAL ? cols : 1;
    model->bound = (int32_t)values[DUMI_BOUND];
    resolve_anchor(values, model);
    model->bound_scale = values[DUMI_BOUND_SCALE] > 0 ? values[DUMI_BOUND_SCALE] : model->anchor ? 3 : 10;
    model->precision = (int32_t)values[DUMI_PRECISION];
    model->scaling.cols = cols;
    model->scaling.kind = (int32_t)values[DUMI_SCALING];
    dumi_mlp_shape(&model->mlp, cols, model->outputs, (int32_t)values[DUMI_LAYERS],
                   (int32_t)values[DUMI_WIDTH]);
    model->mlp.precision = (int32_t)values[DUMI_TRAIN_PRECISION];
    model->parameter_count = model->mlp.parameters + 1;
    model->parameters = context->backend->alloc(context, model->parameter_count);
    if (model->parameters == NULL) {
        dumi_model_destroy(model);
        return dumi_status();
    }
    *out = model;
    return DUM_OK;
}

dum_status dumi_model_finish(dumi_head_model *model)
{
    dum_context *context = model->context;
    for (int32_t l = 0; l < model->mlp.count; l++) {
        const dumi_layer *layer = &model->mlp.layers[l];
        model->packed[l] = context->backend->pack(context, model->parameters + layer->weights, layer->inputs,
                                                  layer->outputs, model->precision);
        if (model->packed[l] == NULL)
            return dumi_status();
    }
    return DUM_OK;
}

dumi_head_shape dumi_model_shape(const dumi_head_model *model, int32_t rows)
{
    return (dumi_head_shape){
        .rows = rows,
        .cols = model->cols,
        .outputs = model->outputs,
        .bound = model->bound,
        .bound_scale = (float)model->bound_scale,
        .anchor = model->anchor,
        .epsilon = (float)DUMI_EPSILON,
        .centre_count = model->centres.count,
        .centres = model->centres.rows_device,
        .offset = model->parameters + model->mlp.parameters,
    };
}

void dumi_model_head(const dumi_head_model *model, dumi_stream *stream, int32_t rows, const float *o,
                     const float *z, float *products, float *s)
{
    const dumi_backend *backend = model->context->backend;
    const dumi_centres *centres = &model->centres;
    dumi_head_shape shape = dumi_model_shape(model, rows);
    shape.products = products;
    if (centres->count > 0)
        backend->gemm(stream, &(dumi_gemm){
                                  .m = rows,
                                  .n = centres->count,
                                  .k = model->cols,
                                  .a = z,
                                  .a_row = model->cols,
                                  .a_col = 1,
                                  .packed = centres->packed,
                                  .c = products,
                                  .c_row = centres->count,
                                  .bias = centres->bias_device,
                              });
    backend->head(stream, &shape, o, z, s);
}

/* What one thread needs to score a tile of rows. */
struct dumi_workspace {
    dumi_stream *stream;
    float *host; /* raw rows, contiguous */
    float *x, *between, *z, *products, *s;
    dumi_activations activations;
};

static void workspace_destroy(const dumi_head_model *model, dumi_workspace *w)
{
    if (w == NULL)
        return;
    dum_context *context = model->context;
    const dumi_backend *backend = context->backend;
    dumi_free(context, w->host);
    backend->free(context, w->x);
    backend->free(context, w->between);
    backend->free(context, w->z);
    backend->free(context, w->products);
    backend->free(context, w->s);
    dumi_activations_destroy(context, &w->activations);
    backend->stream_destroy(w->stream);
    dumi_free(context, w);
}

static dum_status workspace_fill(const dumi_head_model *model, dumi_workspace *w)
{
    dum_context *context = model->context;
    const dumi_backend *backend = context->backend;
    const size_t size = (size_t)DUMI_TILE_ROWS * (size_t)model->cols;
    int32_t most = model->cols;
    for (int32_t l = 0; l < model->mlp.count; l++)
        most = model->mlp.layers[l].inputs > most ? model->mlp.layers[l].inputs : most;
    DUMI_TRY(backend->stream_create(context, 1, DUMI_TILE_ROWS, model->precision == DUMI_INT8 ? most : 0, most,
                                    &w->stream));
    DUMI_TRY(dumi_activations_create(context, &model->mlp, DUMI_TILE_ROWS, false, &w->activations));
    DUMI_TRY(DUMI_NEW(context, w->host, size));
    w->x = backend->alloc(context, size);
    w->between = backend->alloc(context, size);
    w->z = backend->alloc(context, size);
    w->products = backend->alloc(context, (size_t)DUMI_TILE_ROWS * (size_t)(model->centres.count + 1));
    w->s = backend->alloc(context, (size_t)DUMI_TILE_ROWS * (size_t)model->outputs);
    const bool all = w->x != NULL && w->between != NULL && w->z != NULL && w->products != NULL && w->s != NULL;
    return all ? DUM_OK : dumi_status();
}

static dum_status workspace_create(const dumi_head_model *model, dumi_workspace **out)
{
    dumi_workspace *w;
    DUMI_TRY(DUMI_NEW(model->context, w, 1));
    memset(w, 0, sizeof *w);
    const dum_status status = workspace_fill(model, w);
    if (status != DUM_OK) {
        workspace_destroy(model, w);
        return status;
    }
    *out = w;
    return DUM_OK;
}

static dum_status take_workspace(dumi_head_model *model, dumi_workspace **out)
{
    *out = dumi_slots_take(&model->slots);
    return *out != NULL ? DUM_OK : workspace_create(model, out);
}

static void return_workspace(dumi_head_model *model, dumi_workspace *w)
{
    if (!dumi_slots_put(&model->slots, w))
        workspace_destroy(model, w);
}

void dumi_model_destroy(dumi_head_model *model)
{
    if (model == NULL)
        return;
    dum_context *context = model->context;
    const dumi_backend *backend = context->backend;
    for (dumi_workspace *w; (w = dumi_slots_take(&model->slots)) != NULL;)
        workspace_destroy(model, w);
    for (int32_t l = 0; l < model->mlp.count; l++)
        if (model->packed[l] != NULL)
            backend->unpack(context, model->packed[l]);
    backend->free(context, model->parameters);
    dumi_scaling_destroy(context, &model->scaling);
    dumi_centres_destroy(context, &model->centres);
    dumi_free(context, model);
    dum_context_destroy(context);
}

/* A call on many rows, cut into tiles. */
typedef struct {
    dumi_head_model *model;
    const float *data;
    int64_t rows, row_stride;
    float *s; /* host; NULL: scores are wanted */
    double *scores;
    int32_t norm;
    atomic_int failed; /* dum_status of a tile that failed */
} run;

static dum_status run_tile_in(const run *r, dumi_workspace *w, int64_t first, int32_t count)
{
    const dumi_head_model *model = r->model;
    const dumi_backend *backend = model->context->backend;
    const size_t cols = (size_t)model->cols, size = (size_t)count * cols;
    for (int32_t i = 0; i < count; i++)
        memcpy(w->host + (size_t)i * cols, r->data + (first + i) * r->row_stride, cols * sizeof *w->host);
    DUMI_TRY(dumi_scaling_check(&model->scaling, count, w->host, first, NULL));
    backend->upload(w->stream, w->x, w->host, size);
    dumi_scaling_apply(w->stream, backend, &model->scaling, count, w->x, w->between, w->z);
    dumi_mlp_forward(w->stream, backend, &model->mlp, model->parameters, model->packed, count, w->z,
                     &w->activations);
    dumi_model_head(model, w->stream, count, w->activations.output, w->z, w->products, w->s);
    if (r->s != NULL)
        return backend->download(w->stream, r->s + first * model->outputs, w->s,
                                 (size_t)count * (size_t)model->outputs);
    return backend->norm(w->stream, count, model->outputs, r->norm, w->s, r->scores + first);
}

static dum_status run_tile(run *r, int64_t tile)
{
    const int64_t first = tile * DUMI_TILE_ROWS, left = r->rows - first;
    dumi_workspace *w;
    DUMI_TRY(take_workspace(r->model, &w));
    const dum_status status =
        run_tile_in(r, w, first, (int32_t)(left < DUMI_TILE_ROWS ? left : DUMI_TILE_ROWS));
    return_workspace(r->model, w);
    return status;
}

static void run_task(void *argument, int64_t tile, int32_t worker)
{
    (void)worker;
    run *r = argument;
    if (atomic_load_explicit(&r->failed, memory_order_relaxed) != DUM_OK)
        return;
    const dum_status status = run_tile(r, tile);
    if (status != DUM_OK)
        atomic_store(&r->failed, (int)status);
}

/* The message of a tile that failed on another thread is not here: the first bad tile is run again. */
static dum_status run_again(run *r, int64_t tiles)
{
    for (int64_t tile = 0; tile < tiles; tile++)
        DUMI_TRY(run_tile(r, tile));
    return DUM_OK;
}

static dum_status run_all(run *r)
{
    const int64_t tiles = (r->rows + DUMI_TILE_ROWS - 1) / DUMI_TILE_ROWS;
    if (tiles == 1)
        return run_tile(r, 0);
    dum_context *context = r->model->context;
    const double operations = (double)r->rows * (double)r->model->mlp.parameters / 16;
    dumi_parallel(context, context->threads, tiles, operations, run_task, r);
    return atomic_load(&r->failed) == DUM_OK ? DUM_OK : run_again(r, tiles);
}

dum_status dumi_model_run(dumi_head_model *model, const float *data, int64_t rows, int32_t cols,
                          int64_t row_stride, float *s, int32_t norm, double *scores)
{
    DUMI_NOT_NULL(data);
    DUMI_REQUIRE(rows >= 0, DUM_ERR_SHAPE, "rows is %lld, expected 0 or more", (long long)rows);
    DUMI_REQUIRE(cols == model->cols, DUM_ERR_SHAPE, "cols is %d, the head was fitted on %d columns", cols,
                 model->cols);
    if (row_stride == 0)
        row_stride = cols;
    DUMI_REQUIRE(row_stride >= cols, DUM_ERR_SHAPE, "row_stride is %lld, expected cols = %d or more",
                 (long long)row_stride, cols);
    run r = {.model = model,
             .data = data,
             .rows = rows,
             .row_stride = row_stride,
             .s = s,
             .norm = norm,
             .scores = scores};
    return rows > 0 ? run_all(&r) : DUM_OK;
}

dum_status dumi_model_row(dumi_head_model *model, int64_t row, float *x, float *z, float *s)
{
    const dumi_backend *backend = model->context->backend;
    DUMI_TRY(dumi_scaling_check(&model->scaling, 1, x, row, NULL));
    dumi_workspace *w;
    DUMI_TRY(take_workspace(model, &w));
    run r = {.model = model, .data = x, .rows = 1, .row_stride = model->cols, .s = s};
    dum_status status = run_tile_in(&r, w, 0, 1);
    if (status == DUM_OK)
        status = backend->download(w->stream, z, w->z, (size_t)model->cols);
    return_workspace(model, w);
    return status;
}
