/* SPDX-License-Identifier: MIT
 * An encoder in a model file, its own or a scorer's: kind, options, and of a trained one the parameters in the order of
 * its network, which the options describe. */
#include "encoder/encoder.h"
#include "io/checkpoint.h"

#include <math.h>

static const char KIND[] = "dum.encoder.kind", COLS[] = "dum.encoder.cols", CLASSES[] = "dum.encoder.classes",
                  EMBEDDED[] = "dum.encoder.embedding_cols", OPTIONS[] = "dum.encoder.param.";

/* ---- To bytes ------------------------------------------------------------------------------ */

static dum_status write_model(const dumi_encoder_model *m, dumi_model_writer *writer)
{
    DUMI_TRY(dumi_checkpoint_write_number(writer, COLS, m->cols));
    DUMI_TRY(dumi_checkpoint_write_number(writer, CLASSES, m->classes));
    DUMI_TRY(dumi_writer_tensor(writer, "encoder.shift", DUMI_F32, m->channels, 0, m->shift));
    DUMI_TRY(dumi_writer_tensor(writer, "encoder.scale", DUMI_F32, m->channels, 0, m->scale));
    DUMI_TRY(dumi_writer_tensor(writer, "encoder.parameters", DUMI_F32, (int64_t)m->network.parameters, 0,
                                m->parameters));
    if (m->network.statistics == 0)
        return DUM_OK;
    return dumi_writer_tensor(writer, "encoder.statistics", DUMI_F32, (int64_t)m->network.statistics, 0,
                              m->statistics);
}

dum_status dumi_encoder_write(const dum_encoder *encoder, dumi_model_writer *writer)
{
    DUMI_TRY(dumi_writer_meta(writer, KIND, dumi_encoder_kind_name(encoder->kind)));
    if (encoder->kind == DUMI_CALLBACK) {
        DUMI_TRY(dumi_checkpoint_write_number(writer, COLS, encoder->cols));
        return dumi_checkpoint_write_number(writer, EMBEDDED, encoder->embedding_cols);
    }
    if (encoder->kind == DUMI_IDENTITY)
        return DUM_OK;
    DUMI_TRY(dumi_options_write(&dumi_encoder_table, encoder->values, OPTIONS, writer));
    return write_model(encoder->model, writer);
}

static dum_status to_bytes(const dum_encoder *encoder, unsigned char **bytes, size_t *size)
{
    DUMI_NOT_NULL(encoder);
    DUMI_TRY(dumi_encoder_check(encoder));
    DUMI_REQUIRE(encoder->kind != DUMI_CALLBACK, DUM_ERR_UNSUPPORTED,
                 "encoder is a callback of the host: there is nothing to save");
    dumi_model_writer *writer = NULL;
    dum_status status;
    DUMI_GO(dumi_writer_create(encoder->context, "encoder", &writer));
    DUMI_GO(dumi_encoder_write(encoder, writer));
    DUMI_GO(dumi_writer_finish(writer, bytes, size));
done:
    dumi_writer_destroy(writer);
    return status;
}

/* ---- From bytes ---------------------------------------------------------------------------- */

static dum_status read_number(const dumi_reader *reader, const char *key, int64_t least, int64_t most,
                              int32_t *out)
{
    const char *text = dumi_reader_meta(reader, key);
    double number;
    DUMI_REQUIRE(text != NULL && dumi_parse_number(text, &number) && number >= (double)least &&
                     number <= (double)most && number == floor(number),
                 DUM_ERR_FORMAT, "the model has no usable %s", key);
    *out = (int32_t)number;
    return DUM_OK;
}

static dum_status read_parameters(const dumi_reader *reader, dumi_encoder_model *m)
{
    const dumi_network *n = &m->network;
    DUMI_TRY(dumi_reader_copy(reader, "encoder.shift", DUMI_F32, m->channels, 0, m->shift));
    DUMI_TRY(dumi_reader_copy(reader, "encoder.scale", DUMI_F32, m->channels, 0, m->scale));
    DUMI_TRY(
        dumi_reader_copy(reader, "encoder.parameters", DUMI_F32, (int64_t)n->parameters, 0, m->parameters));
    if (n->statistics == 0)
        return DUM_OK;
    DUMI_TRY(
        dumi_reader_copy(reader, "encoder.statistics", DUMI_F32, (int64_t)n->statistics, 0, m->statistics));
    for (int32_t i = 0; i < n->units; i++)
        for (int32_t j = 0; n->unit[i].kind == DUMI_UNIT_CONV && j < n->unit[i].shape.outputs; j++)
            DUMI_REQUIRE(m->statistics[n->unit[i].variance + (size_t)j] >= 0, DUM_ERR_FORMAT,
                         "a variance of tensor encoder.statistics is negative");
    return DUM_OK;
}

/* A file that describes a network larger than what it holds would have us allocate it: the sizes come first. */
static dum_status read_model(dum_context *context, const dumi_reader *reader, dum_encoder *encoder)
{
    int32_t cols, classes;
    const dumi_tensor *t = dumi_reader_find(reader, "encoder.parameters");
    DUMI_TRY(read_number(reader, COLS, 1, INT32_MAX, &cols));
    DUMI_TRY(read_number(reader, CLASSES, 0, 65536, &classes));
    DUMI_TRY(dumi_options_read(&dumi_encoder_table, reader, OPTIONS, encoder->values));
    DUMI_REQUIRE(t != NULL && t->rank == 1, DUM_ERR_FORMAT,
                 "tensor encoder.parameters is missing or no vector");
    DUMI_TRY(dumi_encoder_model_create(context, encoder->kind, encoder->values, cols, classes, t->shape[0],
                                       &encoder->model));
    DUMI_TRY(read_parameters(reader, encoder->model));
    return dumi_encoder_model_finish(encoder->model);
}

dum_status dumi_encoder_read(dum_context *context, const dumi_reader *reader, dum_encoder **out)
{
    *out = NULL;
    const char *kind = dumi_reader_meta(reader, KIND);
    if (kind == NULL)
        return DUM_OK;
    dum_encoder *encoder;
    if (strcmp(kind, dumi_encoder_kind_name(DUMI_CALLBACK)) == 0) {
        int32_t cols, embedded;
        DUMI_TRY(read_number(reader, COLS, 1, INT32_MAX, &cols));
        DUMI_TRY(read_number(reader, EMBEDDED, 1, INT32_MAX, &embedded));
        return dumi_encoder_create_lacking(context, cols, embedded, out);
    }
    DUMI_TRY(dum_encoder_create(context, kind, &encoder));
    const dum_status status = encoder->kind == DUMI_IDENTITY ? DUM_OK : read_model(context, reader, encoder);
    *out = status == DUM_OK ? encoder : NULL;
    if (status != DUM_OK)
        dum_encoder_destroy(encoder);
    return status == DUM_ERR_SHAPE || status == DUM_ERR_ARGUMENT
               ? dumi_fail(DUM_ERR_FORMAT, "the model's encoder cannot be made from its options")
               : status;
}

/* The file of a scorer holds the encoder below it, too. */
static dum_status check_kind(const dumi_reader *reader)
{
    static const char scorer[] = "scorer.";
    const char *kind = dumi_reader_meta(reader, "dum.kind"), *encoder = dumi_reader_meta(reader, KIND);
    if (strncmp(kind, scorer, sizeof scorer - 1) != 0)
        return dumi_reader_expect_kind(reader, "encoder");
    DUMI_REQUIRE(encoder != NULL, DUM_ERR_FORMAT,
                 "the model is of kind \"%.40s\" and has no encoder below it, expected one that has", kind);
    DUMI_REQUIRE(strcmp(encoder, dumi_encoder_kind_name(DUMI_CALLBACK)) != 0, DUM_ERR_FORMAT,
                 "the encoder below the scorer is a callback of the host, which no file holds");
    return DUM_OK;
}

static dum_status from_bytes(dum_context *context, const void *bytes, size_t size, void **out)
{
    dumi_reader *reader;
    DUMI_TRY(dumi_reader_open(context, bytes, size, &reader));
    dum_encoder *encoder = NULL;
    dum_status status;
    DUMI_GO(check_kind(reader));
    DUMI_GO(dumi_encoder_read(context, reader, &encoder));
    if (encoder == NULL)
        status = dumi_fail(DUM_ERR_FORMAT, "the model has no usable %s", KIND);
    *out = encoder;
done:
    dumi_reader_close(reader);
    return status;
}

/* ---- The public calls ---------------------------------------------------------------------- */

DUMI_DEFINE_SAVING(encoder)
