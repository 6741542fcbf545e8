/* SPDX-License-Identifier: MIT
 * The same model gives the same bytes: keys sorted, tensors in the order of their names, data from a
 * multiple of 64 on. */
#include "io/io.h"

#include <stdio.h>

dum_status dumi_writer_create(dum_context *context, const char *kind, dumi_model_writer **out)
{
    dumi_model_writer *writer;
    *out = NULL;
    DUMI_TRY(DUMI_NEW(context, writer, 1));
    memset(writer, 0, sizeof *writer);
    writer->context = context;
    *out = writer;
    char number[16];
    snprintf(number, sizeof number, "%d", DUMI_FORMAT);
    DUMI_TRY(dumi_writer_meta(writer, "dum.format", number));
    DUMI_TRY(dumi_writer_meta(writer, "dum.min_reader", "1"));
    DUMI_TRY(dumi_writer_meta(writer, "dum.writer", "libdum " DUM_VERSION));
    return dumi_writer_meta(writer, "dum.kind", kind);
}

void dumi_writer_destroy(dumi_model_writer *writer)
{
    if (writer == NULL)
        return;
    for (int32_t i = 0; i < writer->metadata; i++)
        dumi_free(writer->context, (void *)(uintptr_t)writer->meta[i].key);
    for (int32_t i = 0; i < writer->tensors; i++)
        dumi_free(writer->context, (void *)(uintptr_t)writer->tensor[i].name);
    dumi_free(writer->context, writer);
}

/* Both texts in one allocation. A reader refuses what is not UTF-8, so nothing else may be written. */
static dum_status keep(dumi_model_writer *writer, const char *first, const char *second, const char **out)
{
    DUMI_REQUIRE(dumi_utf8_valid(first, strlen(first)) && dumi_utf8_valid(second, strlen(second)),
                 DUM_ERR_ARGUMENT, "a name or value for the model file is not UTF-8");
    const size_t size = strlen(first) + 1, more = strlen(second) + 1;
    char *copy = dumi_alloc(writer->context, size + more, 1);
    if (copy == NULL)
        return dumi_status();
    memcpy(copy, first, size);
    memcpy(copy + size, second, more);
    *out = copy;
    return DUM_OK;
}

dum_status dumi_writer_meta(dumi_model_writer *writer, const char *key, const char *value)
{
    DUMI_REQUIRE(writer->metadata < DUMI_MAX_METADATA - 2, DUM_ERR_INTERNAL, "too many metadata");
    const int32_t at = dumi_header_place(key, writer->meta, writer->metadata, sizeof(dumi_metadata));
    dumi_metadata *to = writer->meta + at;
    DUMI_REQUIRE(at == 0 || strcmp(to[-1].key, key) != 0, DUM_ERR_INTERNAL, "key %.60s twice", key);
    const char *both = NULL;
    DUMI_TRY(keep(writer, key, value, &both));
    memmove(to + 1, to, (size_t)(writer->metadata - at) * sizeof *to);
    *to = (dumi_metadata){both, both + strlen(both) + 1};
    writer->metadata++;
    return DUM_OK;
}

dum_status dumi_writer_shaped(dumi_model_writer *writer, const char *name, dumi_dtype dtype, int32_t rank,
                              const int64_t *shape, const void *data)
{
    DUMI_REQUIRE(writer->tensors < DUMI_MAX_TENSORS, DUM_ERR_INTERNAL, "too many tensors");
    dumi_tensor t = {.dtype = dtype, .rank = rank, .data = data, .size = dumi_dtype_size(dtype)};
    for (int32_t i = 0; i < rank; i++) {
        DUMI_REQUIRE(shape[i] >= 0 && (shape[i] == 0 || t.size <= SIZE_MAX / 8 / (size_t)shape[i]),
                     DUM_ERR_INTERNAL, "tensor %.60s has %lld of something", name, (long long)shape[i]);
        t.shape[i] = shape[i];
        t.size *= (size_t)shape[i];
    }
    const int32_t at = dumi_header_place(name, writer->tensor, writer->tensors, sizeof t);
    dumi_tensor *to = writer->tensor + at;
    DUMI_REQUIRE(at == 0 || strcmp(to[-1].name, name) != 0, DUM_ERR_INTERNAL, "tensor %.60s twice", name);
    DUMI_TRY(keep(writer, name, "", &t.name));
    memmove(to + 1, to, (size_t)(writer->tensors - at) * sizeof t);
    *to = t;
    writer->tensors++;
    return DUM_OK;
}

dum_status dumi_writer_tensor(dumi_model_writer *writer, const char *name, dumi_dtype dtype, int64_t rows,
                              int64_t cols, const void *data)
{
    const int64_t shape[] = {rows, cols};
    return dumi_writer_shaped(writer, name, dtype, cols > 0 ? 2 : 1, shape, data);
}

/* Text that grows; to NULL it only counts. */
typedef struct {
    char *to;
    size_t size;
} text;

static void put(text *t, const char *what)
{
    const size_t size = strlen(what);
    if (t->to != NULL)
        memcpy(t->to + t->size, what, size);
    t->size += size;
}

static void put_string(text *t, const char *what)
{
    put(t, "\"");
    for (; *what != '\0'; what++) {
        char piece[8] = {*what, '\0'};
        const unsigned char c = (unsigned char)*what;
        if (c < 0x20)
            snprintf(piece, sizeof piece, "\\u%04x", c);
        else if (c == '"' || c == '\\')
            snprintf(piece, sizeof piece, "\\%c", c);
        put(t, piece);
    }
    put(t, "\"");
}

static void put_number(text *t, uint64_t value)
{
    char number[24];
    snprintf(number, sizeof number, "%llu", (unsigned long long)value);
    put(t, number);
}

static void put_tensor(text *t, const dumi_tensor *tensor, uint64_t offset)
{
    put(t, ",");
    put_string(t, tensor->name);
    put(t, ":{\"dtype\":");
    put_string(t, dumi_dtype_name(tensor->dtype));
    put(t, ",\"shape\":[");
    for (int32_t i = 0; i < tensor->rank; i++) {
        put(t, i > 0 ? "," : "");
        put_number(t, (uint64_t)tensor->shape[i]);
    }
    put(t, "],\"data_offsets\":[");
    put_number(t, offset);
    put(t, ",");
    put_number(t, offset + tensor->size);
    put(t, "]}");
}

static void put_header(text *t, const dumi_model_writer *writer)
{
    put(t, "{\"__metadata__\":{");
    for (int32_t i = 0; i < writer->metadata; i++) {
        put(t, i > 0 ? "," : "");
        put_string(t, writer->meta[i].key);
        put(t, ":");
        put_string(t, writer->meta[i].value);
    }
    put(t, "}");
    uint64_t offset = 0;
    for (int32_t i = 0; i < writer->tensors; i++) {
        put_tensor(t, &writer->tensor[i], offset);
        offset += writer->tensor[i].size;
    }
    put(t, "}");
    while ((t->size + 8) % 64 != 0)
        put(t, " ");
}

static dum_status add_digests(dumi_model_writer *writer)
{
    char digest[65];
    unsigned char piece[4096];
    dumi_sha256 hash;
    dumi_sha256_init(&hash);
    for (int32_t i = 0; i < writer->tensors; i++) {
        const dumi_tensor *t = &writer->tensor[i];
        const size_t element = dumi_dtype_size(t->dtype);
        for (size_t done = 0; done < t->size;) {
            const size_t now = t->size - done < sizeof piece ? t->size - done : sizeof piece;
            dumi_copy_elements(piece, (const char *)t->data + done, now / element, element);
            dumi_sha256_add(&hash, piece, now);
            done += now;
        }
    }
    dumi_sha256_text(&hash, digest);
    DUMI_TRY(dumi_writer_meta(writer, "dum.data_sha256", digest));
    dumi_header_digest(writer->meta, writer->metadata, writer->tensor, writer->tensors, digest);
    return dumi_writer_meta(writer, "dum.meta_sha256", digest);
}

dum_status dumi_writer_finish(dumi_model_writer *writer, unsigned char **bytes, size_t *size)
{
    DUMI_TRY(add_digests(writer));
    text t = {NULL, 0};
    put_header(&t, writer);
    const size_t header = t.size;
    DUMI_REQUIRE(header <= DUMI_MAX_HEADER, DUM_ERR_LIMIT,
                 "the model's header would have %zu bytes, at most %d can be read: shorten the feature names",
                 header, DUMI_MAX_HEADER);
    size_t data = 0;
    for (int32_t i = 0; i < writer->tensors; i++) {
        DUMI_REQUIRE(writer->tensor[i].size <= SIZE_MAX / 2 - data, DUM_ERR_LIMIT, "the model is too large");
        data += writer->tensor[i].size;
    }
    DUMI_TRY(DUMI_NEW(writer->context, *bytes, 8 + header + data));
    *size = 8 + header + data;
    for (int i = 0; i < 8; i++)
        (*bytes)[i] = (unsigned char)((uint64_t)header >> 8 * i);
    t = (text){(char *)*bytes + 8, 0};
    put_header(&t, writer);
    unsigned char *to = *bytes + 8 + header;
    for (int32_t i = 0; i < writer->tensors; i++) {
        const dumi_tensor *tensor = &writer->tensor[i];
        const size_t element = dumi_dtype_size(tensor->dtype);
        dumi_copy_elements(to, tensor->data, tensor->size / element, element);
        to += tensor->size;
    }
    return DUM_OK;
}
