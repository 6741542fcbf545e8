/* SPDX-License-Identifier: MIT */
#include "head/checkpoint.h"
#include "io/checkpoint.h"

static const char STEP[] = "dum.checkpoint.step", ROWS[] = "dum.checkpoint.rows",
                  RANKS[] = "dum.checkpoint.ranks";

/* ---- To bytes ------------------------------------------------------------------------------ */

/* parameters, and the moments behind them. */
static dum_status download(const dumi_checkpoint *c, float *parameters)
{
    const dumi_backend *backend = c->context->backend;
    const size_t count = c->model->parameter_count;
    DUMI_TRY(backend->download(c->stream, parameters, c->model->parameters, count));
    DUMI_TRY(backend->download(c->stream, parameters + count, c->optimiser->first, count));
    if (c->optimiser->second == NULL)
        return DUM_OK;
    return backend->download(c->stream, parameters + 2 * count, c->optimiser->second, count);
}

static dum_status to_bytes(const dumi_checkpoint *c, unsigned char **bytes, size_t *size)
{
    const size_t count = c->model->parameter_count;
    dumi_model_writer *writer = NULL;
    float *parameters;
    DUMI_TRY(DUMI_NEW(c->context, parameters, 3 * count));
    dum_status status;
    DUMI_GO(download(c, parameters));
    DUMI_GO(dumi_writer_create(c->context, "checkpoint", &writer));
    DUMI_GO(dumi_options_write(&dumi_head_table, c->values, DUMI_OPTIONS, writer));
    DUMI_GO(dumi_checkpoint_write_number(writer, STEP, c->step));
    DUMI_GO(dumi_checkpoint_write_number(writer, ROWS, c->rows));
    if (c->ranks > 1)
        DUMI_GO(dumi_checkpoint_write_number(writer, RANKS, c->ranks));
    DUMI_GO(dumi_head_model_write(c->model, parameters, writer));
    DUMI_GO(dumi_writer_tensor(writer, "moment.first", DUMI_F32, (int64_t)count, 0, parameters + count));
    if (c->optimiser->second != NULL)
        DUMI_GO(
            dumi_writer_tensor(writer, "moment.second", DUMI_F32, (int64_t)count, 0, parameters + 2 * count));
    DUMI_GO(dumi_writer_finish(writer, bytes, size));
done:
    dumi_writer_destroy(writer);
    dumi_free(c->context, parameters);
    return status;
}

dum_status dumi_checkpoint_save(const dumi_checkpoint *c, const dum_fit_options *options)
{
    unsigned char *bytes;
    size_t size;
    DUMI_TRY(to_bytes(c, &bytes, &size));
    return dumi_checkpoint_put(c->context, options, c->step, bytes, size);
}

/* ---- From bytes ---------------------------------------------------------------------------- */

static dum_status check_options(const dumi_checkpoint *c, const dumi_reader *reader)
{
    int64_t ranks = 1;
    if (dumi_reader_meta(reader, RANKS) != NULL)
        DUMI_TRY(dumi_checkpoint_read_number(reader, RANKS, &ranks));
    DUMI_REQUIRE(ranks == c->ranks, DUM_ERR_ARGUMENT,
                 "options.ranks is %lld, %lld when the checkpoint was made", (long long)c->ranks,
                 (long long)ranks);
    double theirs[DUMI_HEAD_PARAMS];
    dumi_head_defaults(theirs);
    DUMI_TRY(dumi_options_read(&dumi_head_table, reader, DUMI_OPTIONS, theirs));
    for (int32_t i = 0; i < DUMI_HEAD_PARAMS; i++)
        DUMI_REQUIRE(theirs[i] == c->values[i], DUM_ERR_ARGUMENT,
                     "option %s is not what it was when the checkpoint was made", dumi_head_params[i].name);
    return DUM_OK;
}

/* The scaling was fitted anew to the data: it is the same where they are. */
static dum_status check_data(const dumi_checkpoint *c, const dumi_reader *reader, int64_t rows)
{
    const dumi_scaling *scaling = &c->model->scaling;
    const int32_t cols = scaling->cols;
    const dumi_tensor *shift = dumi_reader_find(reader, "scaling.shift");
    DUMI_REQUIRE(rows == c->rows && shift != NULL && shift->rank == 1 && shift->shape[0] == cols,
                 DUM_ERR_ARGUMENT, "the data are %lld x %d, the checkpoint was made on %lld x %lld",
                 (long long)c->rows, cols, (long long)rows, shift != NULL ? (long long)shift->shape[0] : 0);
    float *theirs;
    DUMI_TRY(DUMI_NEW(c->context, theirs, (size_t)cols * 2));
    dum_status status;
    DUMI_GO(dumi_reader_copy(reader, "scaling.shift", DUMI_F32, cols, 0, theirs));
    DUMI_GO(dumi_reader_copy(reader, "scaling.scale", DUMI_F32, cols, 0, theirs + cols));
    const size_t size = (size_t)cols * sizeof *theirs;
    if (memcmp(theirs, scaling->shift, size) != 0 || memcmp(theirs + cols, scaling->scale, size) != 0)
        status = dumi_fail(DUM_ERR_ARGUMENT, "the data are not those that the checkpoint was made on");
    else if ((dumi_reader_find(reader, "anchor.centres") != NULL) != (c->model->centres.count > 0))
        status = dumi_fail(DUM_ERR_ARGUMENT, "the checkpoint is a version's whose anchor auto had no centres: "
                                             "it cannot be resumed, train anew");
done:
    dumi_free(c->context, theirs);
    return status;
}

static dum_status upload(const dumi_checkpoint *c, const dumi_reader *reader)
{
    const dumi_backend *backend = c->context->backend;
    const size_t count = c->model->parameter_count;
    float *host;
    DUMI_TRY(DUMI_NEW(c->context, host, count));
    dum_status status;
    DUMI_GO(dumi_head_parameters_read(c->model, reader, host));
    backend->upload(c->stream, c->model->parameters, host, count);
    DUMI_GO(backend->sync(c->stream));
    DUMI_GO(dumi_reader_copy(reader, "moment.first", DUMI_F32, (int64_t)count, 0, host));
    backend->upload(c->stream, c->optimiser->first, host, count);
    DUMI_GO(backend->sync(c->stream));
    if (c->optimiser->second != NULL) {
        DUMI_GO(dumi_reader_copy(reader, "moment.second", DUMI_F32, (int64_t)count, 0, host));
        backend->upload(c->stream, c->optimiser->second, host, count);
        DUMI_GO(backend->sync(c->stream));
    }
done:
    dumi_free(c->context, host);
    return status;
}

static dum_status from_bytes(dumi_checkpoint *c, const void *bytes, size_t size)
{
    dumi_reader *reader;
    int64_t rows, step;
    DUMI_TRY(dumi_reader_open(c->context, bytes, size, &reader));
    dum_status status;
    DUMI_GO(dumi_reader_expect_kind(reader, "checkpoint"));
    DUMI_GO(dumi_checkpoint_read_number(reader, STEP, &step));
    DUMI_GO(dumi_checkpoint_read_number(reader, ROWS, &rows));
    DUMI_GO(check_options(c, reader));
    DUMI_GO(check_data(c, reader, rows));
    DUMI_GO(upload(c, reader));
    c->step = c->optimiser->steps = step;
    dumi_checkpoint_log(c->context, step);
done:
    dumi_reader_close(reader);
    return status;
}

dum_status dumi_checkpoint_resume(dumi_checkpoint *c, const dum_fit_options *options)
{
    const void *bytes;
    unsigned char *owned;
    size_t size;
    DUMI_TRY(dumi_checkpoint_get(c->context, options, &bytes, &owned, &size));
    const dum_status status = bytes != NULL ? from_bytes(c, bytes, size) : DUM_OK;
    dumi_free(c->context, owned);
    return status;
}
