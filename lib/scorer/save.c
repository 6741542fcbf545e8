/* SPDX-License-Identifier: MIT
 * A scorer in a model file: options, column names, calibration scores, and what its kind keeps. */
#include "io/options.h"
#include "scorer/scorer.h"

#include <stdio.h>

/* Names hold no newline, so newlines part them. */
static dum_status write_names(const dum_scorer *scorer, dumi_model_writer *writer)
{
    if (scorer->names == NULL)
        return DUM_OK;
    size_t size = 1;
    for (int32_t j = 0; j < scorer->cols; j++)
        size += strlen(scorer->names[j]) + 1;
    char *joined = dumi_alloc(scorer->context, size, 1);
    if (joined == NULL)
        return dumi_status();
    char *to = joined;
    for (int32_t j = 0; j < scorer->cols; j++) {
        const size_t length = strlen(scorer->names[j]);
        memcpy(to, scorer->names[j], length);
        to += length;
        *to++ = '\n';
    }
    *(to - 1) = '\0';
    const dum_status status = dumi_writer_meta(writer, "dum.features", joined);
    dumi_free(scorer->context, joined);
    return status;
}

static dum_status split_names(dum_scorer *scorer, char *joined, const char **names)
{
    int32_t count = 0;
    for (char *at = joined; at != NULL && count < scorer->cols; count++) {
        names[count] = at;
        at = strchr(at, '\n');
        if (at != NULL)
            *at++ = '\0';
        if (at != NULL && count + 1 == scorer->cols)
            return dumi_fail(DUM_ERR_FORMAT, "the model names more columns than its %d", scorer->cols);
    }
    DUMI_REQUIRE(count == scorer->cols, DUM_ERR_FORMAT, "the model names %d columns of %d", count,
                 scorer->cols);
    return dumi_names_copy(scorer->context, names, count, &scorer->names);
}

static dum_status read_names(dum_scorer *scorer, const dumi_reader *reader)
{
    const char *text = dumi_reader_meta(reader, "dum.features");
    if (text == NULL)
        return DUM_OK;
    char *joined = dumi_alloc(scorer->context, strlen(text) + 1, 1);
    const char **names = dumi_alloc(scorer->context, (size_t)scorer->cols, sizeof *names);
    dum_status status = joined != NULL && names != NULL ? DUM_OK : dumi_status();
    if (status == DUM_OK) {
        memcpy(joined, text, strlen(text) + 1);
        status = split_names(scorer, joined, names);
    }
    dumi_free(scorer->context, joined);
    dumi_free(scorer->context, names);
    return status;
}

static dum_status read_calibration(dum_scorer *scorer, const dumi_reader *reader)
{
    const dumi_tensor *t = dumi_reader_find(reader, "calibration.scores");
    if (t == NULL)
        return DUM_OK;
    DUMI_REQUIRE(t->rank == 1 && t->shape[0] >= 1 && t->dtype == DUMI_F64, DUM_ERR_FORMAT,
                 "tensor calibration.scores is not a vector of F64");
    const int64_t count = t->shape[0];
    DUMI_TRY(DUMI_NEW(scorer->context, scorer->calibration, count));
    DUMI_TRY(dumi_reader_copy(reader, "calibration.scores", DUMI_F64, count, 0, scorer->calibration));
    for (int64_t i = 1; i < count; i++)
        DUMI_REQUIRE(scorer->calibration[i - 1] <= scorer->calibration[i], DUM_ERR_FORMAT,
                     "tensor calibration.scores is not in ascending order");
    scorer->calibration_count = count;
    return DUM_OK;
}

static dum_status read_scaling(dum_scorer *scorer, const dumi_reader *reader)
{
    if (!scorer->kind->scales || scorer->values[DUMI_SCORER_SCALING] == 0)
        return DUM_OK;
    DUMI_TRY(DUMI_NEW(scorer->context, scorer->scaling, 2 * (size_t)scorer->embedded));
    return dumi_reader_copy(reader, "scaling", DUMI_F32, 2, scorer->embedded, scorer->scaling);
}

/* Below a scorer: what it makes must be what the kind was fitted on. */
static dum_status read_encoder(dum_scorer *scorer, const dumi_reader *reader)
{
    DUMI_TRY(dumi_encoder_read(scorer->context, reader, &scorer->encoder));
    if (scorer->encoder == NULL)
        return DUM_OK;
    scorer->cols = dum_encoder_cols(scorer->encoder);
    DUMI_REQUIRE(dum_encoder_embedding_cols(scorer->encoder, scorer->cols) == scorer->embedded, DUM_ERR_FORMAT,
                 "the model's encoder does not make the %d columns that its scorer takes", scorer->embedded);
    return DUM_OK;
}

static dum_status write_all(const dum_scorer *scorer, void *prepared, dumi_model_writer *writer)
{
    DUMI_TRY(dumi_options_write(&scorer->kind->params, scorer->values, DUMI_OPTIONS, writer));
    DUMI_TRY(write_names(scorer, writer));
    if (scorer->calibration_count > 0)
        DUMI_TRY(dumi_writer_tensor(writer, "calibration.scores", DUMI_F64, scorer->calibration_count, 0,
                                    scorer->calibration));
    if (scorer->scaling != NULL)
        DUMI_TRY(dumi_writer_tensor(writer, "scaling", DUMI_F32, 2, scorer->embedded, scorer->scaling));
    if (scorer->encoder != NULL)
        DUMI_TRY(dumi_encoder_write(scorer->encoder, writer));
    return scorer->kind->layout != NULL ? dumi_state_write(scorer->state, writer)
                                        : scorer->kind->write(scorer->state, prepared, writer);
}

static dum_status to_bytes(const dum_scorer *scorer, unsigned char **bytes, size_t *size)
{
    DUMI_TRY(dumi_scorer_check_fitted(scorer));
    char kind[32];
    snprintf(kind, sizeof kind, "scorer.%s", scorer->kind->name);
    dumi_model_writer *writer = NULL;
    void *prepared = NULL;
    dum_status status;
    if (scorer->kind->prepare_write != NULL)
        DUMI_GO(scorer->kind->prepare_write(scorer->state, &prepared));
    DUMI_GO(dumi_writer_create(scorer->context, kind, &writer));
    DUMI_GO(write_all(scorer, prepared, writer));
    DUMI_GO(dumi_writer_finish(writer, bytes, size));
done:
    dumi_writer_destroy(writer);
    dumi_free(scorer->context, prepared);
    return status;
}

static dum_status create_by_file(dum_context *context, const dumi_reader *reader, dum_scorer **out)
{
    const char *kind = dumi_reader_meta(reader, "dum.kind");
    DUMI_REQUIRE(strncmp(kind, "scorer.", 7) == 0, DUM_ERR_FORMAT,
                 "the model is of kind \"%.40s\", expected a scorer", kind);
    DUMI_REQUIRE(dumi_scorer_find_kind(kind + 7) != NULL, DUM_ERR_UNSUPPORTED,
                 "the model is of kind \"%.40s\", which libdum %s does not know", kind, DUM_VERSION);
    return dum_scorer_create(context, kind + 7, out);
}

dum_status dumi_scorer_from_bytes(dum_context *context, const void *bytes, size_t size, const char *kind,
                                  dum_scorer **out)
{
    dumi_reader *reader;
    DUMI_TRY(dumi_reader_open(context, bytes, size, &reader));
    dum_scorer *scorer = NULL;
    dum_status status;
    if (kind != NULL && strcmp(dumi_reader_meta(reader, "dum.kind"), kind) != 0)
        DUMI_GO(dumi_fail(DUM_ERR_FORMAT, "a member of kind \"%.40s\" is stored as %s",
                          dumi_reader_meta(reader, "dum.kind"), kind));
    DUMI_GO(create_by_file(context, reader, &scorer));
    DUMI_GO(dumi_options_read(&scorer->kind->params, reader, DUMI_OPTIONS, scorer->values));
    DUMI_GO(scorer->kind->layout != NULL
                ? dumi_state_read(context, scorer->kind->layout, reader, scorer->values, &scorer->cols,
                                  &scorer->state)
                : scorer->kind->read(context, reader, scorer->values, &scorer->cols, &scorer->state));
    scorer->embedded = scorer->cols;
    DUMI_GO(read_scaling(scorer, reader));
    DUMI_GO(read_encoder(scorer, reader));
    DUMI_GO(read_names(scorer, reader));
    DUMI_GO(read_calibration(scorer, reader));
    *out = scorer;
    scorer = NULL;
done:
    dum_scorer_destroy(scorer);
    dumi_reader_close(reader);
    return status;
}

static dum_status from_bytes(dum_context *context, const void *bytes, size_t size, void **out)
{
    dum_scorer *scorer;
    DUMI_TRY(dumi_scorer_from_bytes(context, bytes, size, NULL, &scorer));
    *out = scorer;
    return DUM_OK;
}

DUMI_DEFINE_SAVING(scorer)
