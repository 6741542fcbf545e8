/* SPDX-License-Identifier: MIT
 * Where training stands: parameters, statistics, moments, what the objective keeps, and the number of steps. */
#include "encoder/training.h"
#include "io/checkpoint.h"

static const char STEP[] = "dum.checkpoint.step", ROWS[] = "dum.checkpoint.rows";

/* All that training changes, on the device. */
enum { MOST_PARTS = 4 + DUMI_MOST_KEPT };

static int32_t list_parts(const dumi_training *t, dumi_kept *parts)
{
    const dumi_network *n = &t->model->network;
    int32_t count = 0;
    parts[count++] = (dumi_kept){"parameters", t->parameters, n->parameters};
    if (n->statistics > 0)
        parts[count++] = (dumi_kept){"statistics", t->statistics, n->statistics};
    parts[count++] = (dumi_kept){"moment.first", t->optimiser.first, n->parameters};
    if (t->optimiser.second != NULL)
        parts[count++] = (dumi_kept){"moment.second", t->optimiser.second, n->parameters};
    for (int32_t i = 0; i < t->kept_count; i++)
        if (t->kept[i].count > 0)
            parts[count++] = t->kept[i];
    return count;
}

static dum_status write_parts(const dumi_training *t, dumi_model_writer *writer, float *host)
{
    dumi_kept parts[MOST_PARTS];
    const int32_t count = list_parts(t, parts);
    for (int32_t i = 0; i < count; host += parts[i++].count) {
        DUMI_TRY(t->backend->download(t->stream, host, parts[i].buffer, parts[i].count));
        DUMI_TRY(dumi_writer_tensor(writer, parts[i].name, DUMI_F32, (int64_t)parts[i].count, 0, host));
    }
    return DUM_OK;
}

static size_t size_of_parts(const dumi_training *t)
{
    dumi_kept parts[MOST_PARTS];
    size_t size = 0;
    for (int32_t i = list_parts(t, parts); i > 0; i--)
        size += parts[i - 1].count;
    return size;
}

static dum_status write_all(const dumi_training *t, dumi_model_writer *writer, float *host)
{
    DUMI_TRY(dumi_options_write(&dumi_encoder_table, t->values, DUMI_OPTIONS, writer));
    DUMI_TRY(dumi_checkpoint_write_number(writer, STEP, t->step));
    DUMI_TRY(dumi_checkpoint_write_number(writer, ROWS, t->data->rows));
    DUMI_TRY(dumi_writer_tensor(writer, "shift", DUMI_F32, t->model->channels, 0, t->model->shift));
    DUMI_TRY(dumi_writer_tensor(writer, "scale", DUMI_F32, t->model->channels, 0, t->model->scale));
    return write_parts(t, writer, host);
}

dum_status dumi_training_save(dumi_training *t)
{
    unsigned char *bytes = NULL;
    size_t size = 0;
    float *host;
    dumi_model_writer *writer = NULL;
    DUMI_TRY(DUMI_NEW(t->context, host, size_of_parts(t)));
    dum_status status;
    DUMI_GO(dumi_writer_create(t->context, "checkpoint.encoder", &writer));
    DUMI_GO(write_all(t, writer, host));
    DUMI_GO(dumi_writer_finish(writer, &bytes, &size));
done:
    dumi_writer_destroy(writer);
    dumi_free(t->context, host);
    return status == DUM_OK ? dumi_checkpoint_put(t->context, t->options, t->step, bytes, size) : status;
}

/* ---- Going on ----------------------------------------------------------------------------- */

static dum_status check_options(const dumi_training *t, const dumi_reader *reader)
{
    double theirs[DUMI_ENCODER_PARAMS];
    DUMI_TRY(dumi_options_read(&dumi_encoder_table, reader, DUMI_OPTIONS, theirs));
    for (int32_t i = 0; i < DUMI_ENCODER_PARAMS; i++)
        DUMI_REQUIRE(i == DUMI_E_OUTPUT || theirs[i] == t->values[i], DUM_ERR_ARGUMENT,
                     "option %s is not what it was when the checkpoint was made", dumi_encoder_params[i].name);
    return DUM_OK;
}

/* Mean and deviation were measured anew: they are the same where the data are. */
static dum_status check_data(const dumi_training *t, const dumi_reader *reader, int64_t rows)
{
    const dumi_encoder_model *m = t->model;
    DUMI_REQUIRE(rows == t->data->rows, DUM_ERR_ARGUMENT,
                 "the data have %lld rows, the checkpoint was made on %lld", (long long)t->data->rows,
                 (long long)rows);
    float *theirs;
    DUMI_TRY(DUMI_NEW(t->context, theirs, (size_t)m->channels * 2));
    dum_status status;
    DUMI_GO(dumi_reader_copy(reader, "shift", DUMI_F32, m->channels, 0, theirs));
    DUMI_GO(dumi_reader_copy(reader, "scale", DUMI_F32, m->channels, 0, theirs + m->channels));
    const size_t size = (size_t)m->channels * sizeof *theirs;
    if (memcmp(theirs, m->shift, size) != 0 || memcmp(theirs + m->channels, m->scale, size) != 0)
        status = dumi_fail(DUM_ERR_ARGUMENT, "the data are not those that the checkpoint was made on");
done:
    dumi_free(t->context, theirs);
    return status;
}

static dum_status read_parts(const dumi_training *t, const dumi_reader *reader)
{
    dumi_kept parts[MOST_PARTS];
    const int32_t count = list_parts(t, parts);
    float *host;
    DUMI_TRY(DUMI_NEW(t->context, host, size_of_parts(t)));
    dum_status status = DUM_OK;
    for (int32_t i = 0; i < count && status == DUM_OK; i++) {
        status = dumi_reader_copy(reader, parts[i].name, DUMI_F32, (int64_t)parts[i].count, 0, host);
        if (status != DUM_OK)
            break;
        t->backend->upload(t->stream, parts[i].buffer, host, parts[i].count);
        status = t->backend->sync(t->stream);
    }
    dumi_free(t->context, host);
    return status;
}

static dum_status from_bytes(dumi_training *t, const void *bytes, size_t size)
{
    dumi_reader *reader;
    int64_t rows, step;
    DUMI_TRY(dumi_reader_open(t->context, bytes, size, &reader));
    dum_status status;
    DUMI_GO(dumi_reader_expect_kind(reader, "checkpoint.encoder"));
    DUMI_GO(dumi_checkpoint_read_number(reader, STEP, &step));
    DUMI_GO(dumi_checkpoint_read_number(reader, ROWS, &rows));
    DUMI_GO(check_options(t, reader));
    DUMI_GO(check_data(t, reader, rows));
    DUMI_GO(read_parts(t, reader));
    if (step > t->pace.steps)
        DUMI_GO(dumi_fail(DUM_ERR_FORMAT, "the checkpoint is at step %lld of %lld", (long long)step,
                          (long long)t->pace.steps));
    t->pace.begun = t->optimiser.steps = step;
    dumi_checkpoint_log(t->context, step);
done:
    dumi_reader_close(reader);
    return status;
}

dum_status dumi_training_resume(dumi_training *t)
{
    const void *bytes;
    unsigned char *owned;
    size_t size;
    DUMI_TRY(dumi_checkpoint_get(t->context, t->options, &bytes, &owned, &size));
    const dum_status status = bytes != NULL ? from_bytes(t, bytes, size) : DUM_OK;
    dumi_free(t->context, owned);
    return status;
}
