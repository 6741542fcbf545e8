/* SPDX-License-Identifier: MIT */
#include "io/io.h"

#include <math.h>

const char *dumi_reader_meta(const dumi_reader *reader, const char *key)
{
    for (int32_t i = 0; i < reader->metadata; i++)
        if (strcmp(reader->meta[i].key, key) == 0)
            return reader->meta[i].value;
    return NULL;
}

/* 1 .. 999999 in plain digits, or 0. */
static int32_t parse_version(const char *text)
{
    int32_t value = 0;
    if (text == NULL || text[0] == '0' || strlen(text) > 6)
        return 0;
    for (; *text >= '0' && *text <= '9'; text++)
        value = 10 * value + (*text - '0');
    return *text == '\0' ? value : 0;
}

static dum_status read_version(const dumi_reader *r, const char *key, int32_t *out)
{
    const char *text = dumi_reader_meta(r, key);
    DUMI_REQUIRE(text != NULL, DUM_ERR_FORMAT, "not a libdum model: it has no %s", key);
    *out = parse_version(text);
    DUMI_REQUIRE(*out >= 1, DUM_ERR_FORMAT, "%s is \"%.20s\", expected an integer from 1", key, text);
    return DUM_OK;
}

/* Comes before everything else that could be wrong: a newer format may have what looks wrong to us. */
static dum_status check_age(const dumi_reader *r)
{
    const int32_t least = parse_version(dumi_reader_meta(r, "dum.min_reader"));
    const char *writer = dumi_reader_meta(r, "dum.writer");
    DUMI_REQUIRE(least <= DUMI_FORMAT, DUM_ERR_VERSION,
                 "the model needs a newer library: format %d, written by %.40s; libdum %s reads up to %d",
                 least, writer != NULL ? writer : "an unknown program", DUM_VERSION, DUMI_FORMAT);
    return DUM_OK;
}

static dum_status check_version(const dumi_reader *r)
{
    int32_t format, least;
    DUMI_TRY(read_version(r, "dum.format", &format));
    DUMI_TRY(read_version(r, "dum.min_reader", &least));
    DUMI_REQUIRE(dumi_reader_meta(r, "dum.writer") != NULL && dumi_reader_meta(r, "dum.kind") != NULL,
                 DUM_ERR_FORMAT, "not a libdum model: it has no dum.writer or dum.kind");
    return DUM_OK;
}

static dum_status check_digest(const dumi_reader *r, const char *key, const char *found)
{
    const char *stored = dumi_reader_meta(r, key);
    DUMI_REQUIRE(stored != NULL, DUM_ERR_FORMAT, "the model has no %s", key);
    DUMI_REQUIRE(strcmp(stored, found) == 0, DUM_ERR_CHECKSUM,
                 "the model was altered or damaged: %s does not match", key);
    return DUM_OK;
}

static dum_status check_digests(const dumi_reader *r, const unsigned char *bytes, size_t size)
{
    uint64_t length = 0;
    for (int i = 7; i >= 0; i--)
        length = length << 8 | bytes[i];
    char text[65];
    dumi_header_digest(r->meta, r->metadata, r->tensor, r->tensors, text);
    DUMI_TRY(check_digest(r, "dum.meta_sha256", text));
    dumi_sha256 hash;
    dumi_sha256_init(&hash);
    dumi_sha256_add(&hash, bytes + 8 + length, size - 8 - (size_t)length);
    dumi_sha256_text(&hash, text);
    return check_digest(r, "dum.data_sha256", text);
}

dum_status dumi_reader_open(dum_context *context, const unsigned char *bytes, size_t size, dumi_reader **out)
{
    dumi_reader *reader;
    *out = NULL;
    DUMI_TRY(DUMI_NEW(context, reader, 1));
    memset(reader, 0, sizeof *reader);
    reader->context = context;
    dum_status status;
    const dum_status parsed = dumi_header_parse(reader, bytes, size);
    if (parsed == DUM_OK || parsed == DUM_ERR_FORMAT)
        DUMI_GO(check_age(reader));
    DUMI_GO(parsed);
    DUMI_GO(check_version(reader));
    DUMI_GO(check_digests(reader, bytes, size));
    *out = reader;
    return DUM_OK;
done:
    dumi_reader_close(reader);
    return status;
}

dum_status dumi_reader_open_foreign(dum_context *context, const unsigned char *bytes, size_t size,
                                    dumi_reader **out)
{
    dumi_reader *reader;
    *out = NULL;
    DUMI_TRY(DUMI_NEW(context, reader, 1));
    memset(reader, 0, sizeof *reader);
    reader->context = context;
    reader->foreign = true;
    const dum_status status = dumi_header_parse(reader, bytes, size);
    if (status == DUM_OK)
        *out = reader;
    else
        dumi_reader_close(reader);
    return status;
}

void dumi_reader_close(dumi_reader *reader)
{
    if (reader == NULL)
        return;
    dumi_free(reader->context, reader->texts);
    dumi_free(reader->context, reader);
}

bool dumi_reader_is_kind(const dumi_reader *reader, const char *kind)
{
    return strcmp(dumi_reader_meta(reader, "dum.kind"), kind) == 0;
}

dum_status dumi_reader_expect_kind(const dumi_reader *reader, const char *kind)
{
    DUMI_REQUIRE(dumi_reader_is_kind(reader, kind), DUM_ERR_FORMAT,
                 "the model is of kind \"%.40s\", expected \"%s\"", dumi_reader_meta(reader, "dum.kind"), kind);
    return DUM_OK;
}

const dumi_tensor *dumi_reader_find(const dumi_reader *reader, const char *name)
{
    for (int32_t i = 0; i < reader->tensors; i++)
        if (strcmp(reader->tensor[i].name, name) == 0)
            return &reader->tensor[i];
    return NULL;
}

void dumi_copy_elements(void *to, const void *from, size_t count, size_t element)
{
    if (dumi_little_endian() || element == 1) {
        memcpy(to, from, count * element);
        return;
    }
    const unsigned char *source = from;
    unsigned char *target = to;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < element; j++)
            target[i * element + j] = source[i * element + element - 1 - j];
}

static bool all_finite(const void *values, dumi_dtype dtype, size_t count)
{
    for (size_t i = 0; i < count && dtype == DUMI_F32; i++)
        if (!isfinite(((const float *)values)[i]))
            return false;
    for (size_t i = 0; i < count && dtype == DUMI_F64; i++)
        if (!isfinite(((const double *)values)[i]))
            return false;
    return true;
}

dum_status dumi_reader_copy(const dumi_reader *reader, const char *name, dumi_dtype dtype, int64_t rows,
                            int64_t cols, void *to)
{
    const dumi_tensor *t = dumi_reader_find(reader, name);
    DUMI_REQUIRE(t != NULL, DUM_ERR_FORMAT, "the model has no tensor %.60s", name);
    const int32_t rank = cols > 0 ? 2 : 1;
    DUMI_REQUIRE(t->dtype == dtype && t->rank == rank && t->shape[0] == rows &&
                     (cols == 0 || t->shape[1] == cols),
                 DUM_ERR_FORMAT, "tensor %.60s has another type or shape than %s %lld x %lld", name,
                 dumi_dtype_name(dtype), (long long)rows, (long long)cols);
    const size_t element = dumi_dtype_size(dtype), count = t->size / element;
    dumi_copy_elements(to, t->data, count, element);
    DUMI_REQUIRE(all_finite(to, dtype, count), DUM_ERR_FORMAT, "tensor %.60s holds NaN or infinity", name);
    return DUM_OK;
}

/* What fits, without half a character at the end. */
static void copy_text(char *to, size_t capacity, const char *text)
{
    size_t length = strlen(text);
    if (length >= capacity) {
        length = capacity - 1;
        while (!dumi_utf8_valid(text, length))
            length--;
    }
    memcpy(to, text, length);
    to[length] = '\0';
}

static dum_status describe(const dumi_reader *reader, dum_model_info *info)
{
    dum_model_info ours = {.struct_size = sizeof ours};
    DUMI_TRY(read_version(reader, "dum.format", &ours.format));
    DUMI_TRY(read_version(reader, "dum.min_reader", &ours.min_reader));
    copy_text(ours.writer, sizeof ours.writer, dumi_reader_meta(reader, "dum.writer"));
    copy_text(ours.kind, sizeof ours.kind, dumi_reader_meta(reader, "dum.kind"));
    copy_text(ours.sha256, sizeof ours.sha256, dumi_reader_meta(reader, "dum.data_sha256"));
    return dumi_write_struct("info", info, &ours, sizeof ours, sizeof ours);
}

dum_status dum_model_inspect(dum_context *context, const char *path, dum_model_info *info)
{
    dumi_clear_error();
    DUMI_NOT_NULL(context);
    DUMI_NOT_NULL(path);
    DUMI_NOT_NULL(info);
    unsigned char *bytes;
    size_t size;
    DUMI_TRY(dumi_file_read(context, path, UINT64_MAX, &bytes, &size));
    dumi_reader *reader;
    dum_status status = dumi_reader_open(context, bytes, size, &reader);
    if (status == DUM_OK) {
        status = describe(reader, info);
        dumi_reader_close(reader);
    }
    dumi_free(context, bytes);
    return status;
}
