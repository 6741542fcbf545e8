/* SPDX-License-Identifier: MIT
 * The JSON header of a container: one flat object of tensors and one of metadata. Anything beyond that
 * is refused. */
#include "io/io.h"

#include <stdio.h>

typedef struct {
    const unsigned char *start, *at, *end;
    char *text; /* where the next decoded string goes: decoded strings are never longer than encoded ones */
    dumi_reader *reader;
} parser;

static dum_status bad(const parser *p, const char *what)
{
    return dumi_fail(DUM_ERR_FORMAT, "model header, byte %zu: %s", (size_t)(p->at - p->start), what);
}

static void skip_space(parser *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r'))
        p->at++;
}

static bool take(parser *p, unsigned char wanted)
{
    skip_space(p);
    if (p->at == p->end || *p->at != wanted)
        return false;
    p->at++;
    return true;
}

static int hex_digit(unsigned char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool take_hex(parser *p, uint32_t *code)
{
    *code = 0;
    for (int i = 0; i < 4; i++) {
        const int digit = p->at < p->end ? hex_digit(*p->at) : -1;
        if (digit < 0)
            return false;
        *code = *code << 4 | (uint32_t)digit;
        p->at++;
    }
    return true;
}

static void put_utf8(parser *p, uint32_t code)
{
    if (code < 0x80) {
        *p->text++ = (char)code;
    } else if (code < 0x800) {
        *p->text++ = (char)(0xC0 | code >> 6);
        *p->text++ = (char)(0x80 | (code & 63));
    } else if (code < 0x10000) {
        *p->text++ = (char)(0xE0 | code >> 12);
        *p->text++ = (char)(0x80 | (code >> 6 & 63));
        *p->text++ = (char)(0x80 | (code & 63));
    } else {
        *p->text++ = (char)(0xF0 | code >> 18);
        *p->text++ = (char)(0x80 | (code >> 12 & 63));
        *p->text++ = (char)(0x80 | (code >> 6 & 63));
        *p->text++ = (char)(0x80 | (code & 63));
    }
}

static bool take_unicode(parser *p)
{
    uint32_t code, low;
    if (!take_hex(p, &code) || code == 0 || (code >= 0xDC00 && code < 0xE000))
        return false;
    if (code >= 0xD800 && code < 0xDC00) {
        if (p->end - p->at < 2 || p->at[0] != '\\' || p->at[1] != 'u')
            return false;
        p->at += 2;
        if (!take_hex(p, &low) || low < 0xDC00 || low >= 0xE000)
            return false;
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    put_utf8(p, code);
    return true;
}

static bool take_escape(parser *p)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    if (p->at == p->end)
        return false;
    const unsigned char c = *p->at++;
    if (c == 'u')
        return take_unicode(p);
    const char *found = c != 0 ? strchr(names, c) : NULL;
    if (found == NULL)
        return false;
    *p->text++ = values[found - names];
    return true;
}

static dum_status take_string(parser *p, const char **out)
{
    if (!take(p, '"'))
        return bad(p, "a string is expected");
    *out = p->text;
    while (p->at < p->end && *p->at != '"') {
        if (*p->at < 0x20)
            return bad(p, "a control character in a string");
        if (*p->at == '\\') {
            p->at++;
            if (!take_escape(p))
                return bad(p, "a bad escape in a string");
        } else {
            *p->text++ = (char)*p->at++;
        }
    }
    if (!take(p, '"'))
        return bad(p, "a string does not end");
    if (!dumi_utf8_valid(*out, (size_t)(p->text - *out)))
        return bad(p, "a string is not UTF-8");
    *p->text++ = '\0';
    return DUM_OK;
}

static dum_status take_number(parser *p, int64_t *out)
{
    skip_space(p);
    const unsigned char *first = p->at;
    *out = 0;
    while (p->at < p->end && *p->at >= '0' && *p->at <= '9' && *out < (int64_t)1 << 53)
        *out = 10 * *out + (*p->at++ - '0');
    if (p->at == first || *out >= (int64_t)1 << 53 || (*first == '0' && p->at - first > 1))
        return bad(p, "an integer of 0 to 2^53 is expected");
    return DUM_OK;
}

/* [a, b, ...] with at most `most` numbers. */
static dum_status take_numbers(parser *p, int64_t *numbers, int32_t most, int32_t *count)
{
    *count = 0;
    if (!take(p, '['))
        return bad(p, "a list is expected");
    if (take(p, ']'))
        return DUM_OK;
    do {
        if (*count == most)
            return bad(p, "the list is too long");
        DUMI_TRY(take_number(p, &numbers[(*count)++]));
    } while (take(p, ','));
    return take(p, ']') ? DUM_OK : bad(p, "a list does not end");
}

const char *dumi_dtype_name(dumi_dtype dtype)
{
    static const char *const names[] = {"F32", "F64", "I64", "U8", "F16", "BF16"};
    return names[dtype];
}

size_t dumi_dtype_size(dumi_dtype dtype)
{
    static const size_t sizes[] = {4, 8, 8, 1, 2, 2};
    return sizes[dtype];
}

static bool find_dtype(const char *name, bool foreign, dumi_dtype *out)
{
    for (dumi_dtype dtype = DUMI_F32; dtype <= (foreign ? DUMI_BF16 : DUMI_U8); dtype++) {
        if (strcmp(name, dumi_dtype_name(dtype)) == 0) {
            *out = dtype;
            return true;
        }
    }
    return false;
}

/* Shape x dtype must be the span, without overflow. */
static dum_status check_span(const parser *p, dumi_tensor *t, const int64_t span[2], const unsigned char *data,
                             size_t data_size)
{
    uint64_t size = dumi_dtype_size(t->dtype);
    for (int32_t i = 0; i < t->rank; i++) {
        const uint64_t extent = (uint64_t)t->shape[i];
        if (extent != 0 && size > ((uint64_t)1 << 53) / extent)
            return bad(p, "the shape of a tensor overflows");
        size *= extent;
    }
    if (span[0] > span[1] || (uint64_t)span[1] > data_size || (uint64_t)(span[1] - span[0]) != size)
        return bad(p, "data_offsets do not fit the shape or the file");
    t->data = data + span[0];
    t->size = (size_t)size;
    return DUM_OK;
}

static dum_status take_tensor(parser *p, const char *name, const unsigned char *data, size_t data_size)
{
    dumi_reader *r = p->reader;
    if (r->tensors == DUMI_MAX_TENSORS)
        return bad(p, "too many tensors");
    dumi_tensor *t = &r->tensor[r->tensors++];
    memset(t, 0, sizeof *t);
    t->name = name;
    int64_t span[2] = {0, 0};
    unsigned seen = 0;
    if (!take(p, '{'))
        return bad(p, "a tensor's object is expected");
    do {
        const char *key, *dtype;
        int32_t count;
        DUMI_TRY(take_string(p, &key));
        if (!take(p, ':'))
            return bad(p, "':' is expected");
        const unsigned bit = strcmp(key, "dtype") == 0          ? 1u
                             : strcmp(key, "shape") == 0        ? 2u
                             : strcmp(key, "data_offsets") == 0 ? 4u
                                                                : 0u;
        if (bit == 0 || (seen & bit) != 0)
            return bad(p, "a tensor has an unknown key or one twice");
        seen |= bit;
        if (bit == 1) {
            DUMI_TRY(take_string(p, &dtype));
            if (!find_dtype(dtype, r->foreign, &t->dtype))
                return bad(p, r->foreign ? "dtype is none of F32, F64, I64, U8, F16, BF16"
                                         : "dtype is none of F32, F64, I64, U8");
        } else if (bit == 2) {
            DUMI_TRY(take_numbers(p, t->shape, DUMI_MAX_RANK, &t->rank));
        } else {
            DUMI_TRY(take_numbers(p, span, 2, &count));
            if (count != 2)
                return bad(p, "data_offsets need two numbers");
        }
    } while (take(p, ','));
    if (!take(p, '}') || seen != 7)
        return bad(p, "a tensor needs dtype, shape and data_offsets, and nothing else");
    return check_span(p, t, span, data, data_size);
}

static dum_status take_metadata(parser *p)
{
    dumi_reader *r = p->reader;
    if (r->metadata > 0)
        return bad(p, "__metadata__ twice");
    if (!take(p, '{'))
        return bad(p, "the object __metadata__ is expected");
    do {
        if (r->metadata == DUMI_MAX_METADATA)
            return bad(p, "too many metadata");
        dumi_metadata *m = &r->meta[r->metadata];
        DUMI_TRY(take_string(p, &m->key));
        if (!take(p, ':'))
            return bad(p, "':' is expected");
        DUMI_TRY(take_string(p, &m->value));
        r->metadata++; /* only now whole: a reader looks for the version even where the header is bad */
    } while (take(p, ','));
    return take(p, '}') ? DUM_OK : bad(p, "__metadata__ does not end");
}

static dum_status take_header(parser *p, const unsigned char *data, size_t data_size)
{
    if (!take(p, '{'))
        return bad(p, "a JSON object is expected");
    do {
        const char *name;
        DUMI_TRY(take_string(p, &name));
        if (!take(p, ':'))
            return bad(p, "':' is expected");
        if (strcmp(name, "__metadata__") == 0)
            DUMI_TRY(take_metadata(p));
        else
            DUMI_TRY(take_tensor(p, name, data, data_size));
    } while (take(p, ','));
    if (!take(p, '}'))
        return bad(p, "the header does not end");
    skip_space(p);
    return p->at == p->end ? DUM_OK : bad(p, "something follows the header's object");
}

int32_t dumi_header_place(const char *name, const void *table, int32_t count, size_t stride)
{
    int32_t first = 0;
    while (first < count) {
        const int32_t middle = first + (count - first) / 2;
        const char *other;
        memcpy(&other, (const char *)table + (size_t)middle * stride, sizeof other);
        if (strcmp(other, name) > 0)
            count = middle;
        else
            first = middle + 1;
    }
    return first;
}

/* By insertion: few entries, but names may be as long as the header, so comparisons are what is saved. */
static void sort_tables(dumi_reader *r)
{
    for (int32_t i = 1; i < r->tensors; i++) {
        const dumi_tensor t = r->tensor[i];
        const int32_t at = dumi_header_place(t.name, r->tensor, i, sizeof t);
        memmove(r->tensor + at + 1, r->tensor + at, (size_t)(i - at) * sizeof t);
        r->tensor[at] = t;
    }
    for (int32_t i = 1; i < r->metadata; i++) {
        const dumi_metadata m = r->meta[i];
        const int32_t at = dumi_header_place(m.key, r->meta, i, sizeof m);
        memmove(r->meta + at + 1, r->meta + at, (size_t)(i - at) * sizeof m);
        r->meta[at] = m;
    }
}

/* No name twice; and in the order of their names the tensors cover the data: no gap, no overlap, nothing
 * behind them. So offsets follow from names and shapes, which dum.meta_sha256 holds. */
static dum_status check_tables(const dumi_reader *r, const unsigned char *data, size_t data_size)
{
    for (int32_t i = 1; i < r->metadata; i++)
        DUMI_REQUIRE(strcmp(r->meta[i - 1].key, r->meta[i].key) != 0, DUM_ERR_FORMAT,
                     "model header: key %.60s of __metadata__ twice", r->meta[i].key);
    size_t covered = 0;
    for (int32_t i = 0; i < r->tensors; i++) {
        const dumi_tensor *t = &r->tensor[i];
        DUMI_REQUIRE(i == 0 || strcmp(t[-1].name, t->name) != 0, DUM_ERR_FORMAT,
                     "model header: two tensors have one name, %.60s", t->name);
        const size_t start = (size_t)((const unsigned char *)t->data - data);
        DUMI_REQUIRE(r->foreign || start == covered, DUM_ERR_FORMAT,
                     "model header: tensor %.60s begins at %zu, expected %zu: a gap, an overlap, or not in the "
                     "order of names",
                     t->name, start, covered);
        covered += t->size;
    }
    DUMI_REQUIRE(r->foreign || covered == data_size, DUM_ERR_FORMAT,
                 "model header: the tensors have %zu bytes, but the file holds %zu", covered, data_size);
    return DUM_OK;
}

dum_status dumi_header_parse(dumi_reader *reader, const unsigned char *bytes, size_t size)
{
    DUMI_REQUIRE(size >= 10, DUM_ERR_FORMAT, "%zu bytes are too few for a model", size);
    uint64_t length = 0;
    for (int i = 7; i >= 0; i--)
        length = length << 8 | bytes[i];
    DUMI_REQUIRE(
        length <= size - 8 && length <= DUMI_MAX_HEADER, DUM_ERR_FORMAT,
        "the model's header has %llu bytes, more than the file or than 16 MiB: not a libdum model, or cut off",
        (unsigned long long)length);
    DUMI_TRY(DUMI_NEW(reader->context, reader->texts, length + 1));
    const unsigned char *start = bytes + 8, *data = start + length;
    parser p = {.start = start, .at = start, .end = data, .text = reader->texts, .reader = reader};
    DUMI_TRY(take_header(&p, data, size - 8 - (size_t)length));
    sort_tables(reader);
    return check_tables(reader, data, size - 8 - (size_t)length);
}

static void add_text(dumi_sha256 *hash, const char *text)
{
    dumi_sha256_add(hash, text, strlen(text) + 1);
}

void dumi_header_digest(const dumi_metadata *meta, int32_t metadata, const dumi_tensor *tensor, int32_t tensors,
                        char out[65])
{
    dumi_sha256 hash;
    dumi_sha256_init(&hash);
    for (int32_t i = 0; i < metadata; i++) {
        if (strcmp(meta[i].key, "dum.meta_sha256") == 0)
            continue;
        add_text(&hash, meta[i].key);
        add_text(&hash, meta[i].value);
    }
    for (int32_t i = 0; i < tensors; i++) {
        add_text(&hash, tensor[i].name);
        add_text(&hash, dumi_dtype_name(tensor[i].dtype));
        for (int32_t j = 0; j < tensor[i].rank; j++) {
            char number[24];
            snprintf(number, sizeof number, "%lld", (long long)tensor[i].shape[j]);
            add_text(&hash, number);
        }
        add_text(&hash, "");
    }
    dumi_sha256_text(&hash, out);
}
