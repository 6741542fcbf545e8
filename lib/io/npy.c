/* SPDX-License-Identifier: MIT
 * .npy files, versions 1 to 3: numpy.lib.format. */
#define _POSIX_C_SOURCE 200809L
#include "io/io.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct dumi_npy {
    dum_context *context;
    const unsigned char *map;
    size_t size;
    dumi_npy_header header;
};

/* The dictionary in the header, read from left to right. */
typedef struct {
    const char *path;
    const char *at, *end;
} cursor;

static dum_status bad(const cursor *c, const char *what)
{
    return dumi_fail(DUM_ERR_FORMAT, "%.120s is not a .npy file: %s", c->path, what);
}

static void skip_space(cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n'))
        c->at++;
}

static bool take(cursor *c, char wanted)
{
    skip_space(c);
    if (c->at == c->end || *c->at != wanted)
        return false;
    c->at++;
    return true;
}

/* A quoted text without escapes. */
static bool take_text(cursor *c, char *out, size_t capacity)
{
    skip_space(c);
    if (c->at == c->end || (*c->at != '\'' && *c->at != '"'))
        return false;
    const char quote = *c->at++;
    size_t length = 0;
    while (c->at < c->end && *c->at != quote && *c->at != '\\' && length + 1 < capacity)
        out[length++] = *c->at++;
    out[length] = '\0';
    return take(c, quote);
}

static bool take_word(cursor *c, const char *word)
{
    skip_space(c);
    const size_t length = strlen(word);
    if ((size_t)(c->end - c->at) < length || memcmp(c->at, word, length) != 0)
        return false;
    c->at += length;
    return true;
}

static bool take_count(cursor *c, int64_t *value)
{
    skip_space(c);
    const char *start = c->at;
    *value = 0;
    while (c->at < c->end && *c->at >= '0' && *c->at <= '9' && *value < ((int64_t)1 << 56))
        *value = 10 * *value + (*c->at++ - '0');
    return c->at > start && (c->at == c->end || *c->at < '0' || *c->at > '9');
}

enum { MOST_DIMENSIONS = 4 }; /* images: N x H x W x C */

typedef struct {
    char descr[24];
    bool fortran;
    int64_t shape[MOST_DIMENSIONS];
    int32_t rank;
    unsigned seen; /* a bit a key */
} dictionary;

static bool take_shape(cursor *c, dictionary *d)
{
    if (!take(c, '('))
        return false;
    while (!take(c, ')')) {
        if (d->rank == MOST_DIMENSIONS || !take_count(c, &d->shape[d->rank++]))
            return false;
        if (!take(c, ','))
            return d->rank > 1 && take(c, ')'); /* "(3)" is no tuple */
    }
    return true;
}

static dum_status take_entry(cursor *c, dictionary *d)
{
    char key[24];
    if (!take_text(c, key, sizeof key) || !take(c, ':'))
        return bad(c, "its header is not a dictionary");
    const unsigned which = strcmp(key, "descr") == 0           ? 1u
                           : strcmp(key, "fortran_order") == 0 ? 2u
                           : strcmp(key, "shape") == 0         ? 4u
                                                               : 0u;
    if (which == 0 || (d->seen & which) != 0)
        return bad(c, "its header has an unknown key or one twice");
    d->seen |= which;
    if (which == 1 && !take_text(c, d->descr, sizeof d->descr))
        return dumi_fail(DUM_ERR_FORMAT, "%.120s holds records, expected float32, float64 or uint8", c->path);
    if (which == 2 && !(d->fortran = take_word(c, "True")) && !take_word(c, "False"))
        return bad(c, "fortran_order is neither True nor False");
    if (which == 4 && !take_shape(c, d))
        return dumi_fail(DUM_ERR_FORMAT,
                         "%.120s has more than 4 dimensions or a bad shape, expected rows x columns", c->path);
    return DUM_OK;
}

static dum_status take_dictionary(cursor *c, dictionary *d)
{
    if (!take(c, '{'))
        return bad(c, "its header is not a dictionary");
    while (!take(c, '}')) {
        DUMI_TRY(take_entry(c, d));
        if (!take(c, ',')) {
            if (!take(c, '}'))
                return bad(c, "its header is not a dictionary");
            break;
        }
    }
    skip_space(c);
    if (c->at != c->end || d->seen != 7)
        return bad(c, "its header lacks a key or goes on after the dictionary");
    return DUM_OK;
}

/* Bytes of an element; 0: a type that is not read. */
static size_t element_size(const char *descr)
{
    return strcmp(descr, "<f4") == 0 ? 4 : strcmp(descr, "<f8") == 0 ? 8 : strcmp(descr, "|u1") == 0 ? 1 : 0;
}

/* The product of all dimensions but the first; above INT32_MAX where a row would be longer than that. */
static int64_t columns(const dictionary *d)
{
    int64_t cols = 1;
    for (int32_t i = 1; i < d->rank; i++)
        if (d->shape[i] == 0)
            return 0;
    for (int32_t i = 1; i < d->rank; i++) {
        if (d->shape[i] > INT32_MAX / cols)
            return (int64_t)INT32_MAX + 1;
        cols *= d->shape[i];
    }
    return cols;
}

/* Elements in one line lie alike in both orders. */
static bool is_line(const dictionary *d)
{
    int32_t longer = 0;
    for (int32_t i = 0; i < d->rank; i++)
        longer += d->shape[i] > 1;
    return longer <= 1;
}

static dum_status check_dictionary(const cursor *c, const dictionary *d, size_t data, dumi_npy_header *out)
{
    out->element = element_size(d->descr);
    DUMI_REQUIRE(out->element != 0, DUM_ERR_FORMAT,
                 "%.120s has dtype %s, expected little-endian float32 (<f4) or float64 (<f8), or uint8 (|u1)",
                 c->path, d->descr);
    DUMI_REQUIRE(d->rank >= 1, DUM_ERR_FORMAT, "%.120s has 0 dimensions, expected 1 to 4", c->path);
    const int64_t rows = d->shape[0], cols = columns(d);
    DUMI_REQUIRE(cols <= INT32_MAX, DUM_ERR_FORMAT, "%.120s has rows of more than 2147483647 elements",
                 c->path);
    DUMI_REQUIRE(rows >= 1 && cols >= 1, DUM_ERR_FORMAT, "%.120s is %lld x %lld, expected at least 1 x 1",
                 c->path, (long long)rows, (long long)cols);
    DUMI_REQUIRE(!d->fortran || is_line(d), DUM_ERR_FORMAT,
                 "%.120s is in Fortran order, expected C order (numpy.ascontiguousarray)", c->path);
    const size_t element = out->element;
    DUMI_REQUIRE((uint64_t)cols <= data / element && (uint64_t)rows == data / element / (uint64_t)cols &&
                     (uint64_t)rows * (uint64_t)cols * element == data,
                 DUM_ERR_FORMAT, "%.120s says %lld x %lld but holds %zu bytes of data", c->path,
                 (long long)rows, (long long)cols, data);
    out->rows = rows;
    out->cols = (int32_t)cols;
    return DUM_OK;
}

dum_status dumi_npy_parse(const char *path, const unsigned char *bytes, size_t size, dumi_npy_header *out)
{
    cursor c = {.path = path};
    if (size < 12 || memcmp(bytes, "\x93NUMPY", 6) != 0)
        return bad(&c, "it does not begin as one");
    if (bytes[6] < 1 || bytes[6] > 3 || bytes[7] != 0)
        return bad(&c, "its version is not 1.0, 2.0 or 3.0");
    size_t length = (size_t)bytes[8] | (size_t)bytes[9] << 8;
    size_t start = 10;
    if (bytes[6] > 1) {
        length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
        start = 12;
    }
    if (length > size - start || length > 65536)
        return bad(&c, "its header is longer than the file, or than 65536 bytes");
    c.at = (const char *)bytes + start;
    c.end = c.at + length;
    dictionary d = {.rank = 0};
    DUMI_TRY(take_dictionary(&c, &d));
    out->offset = start + length;
    return check_dictionary(&c, &d, size - out->offset, out);
}

static dum_status map_file(const char *path, int file, dumi_npy *npy)
{
    struct stat about;
    if (fstat(file, &about) != 0)
        return dumi_file_fail("read", path, errno);
    if (!S_ISREG(about.st_mode))
        return dumi_fail(DUM_ERR_IO, "%.160s is not a regular file", path);
    if (about.st_size < 1)
        return dumi_fail(DUM_ERR_FORMAT, "%.160s is empty", path);
    DUMI_REQUIRE((uint64_t)about.st_size <= SIZE_MAX / 2, DUM_ERR_LIMIT, "%.160s is too large to be mapped",
                 path);
    npy->size = (size_t)about.st_size;
    void *map = mmap(NULL, npy->size, PROT_READ, MAP_PRIVATE, file, 0);
    if (map == MAP_FAILED)
        return dumi_file_fail("map", path, errno);
    npy->map = map;
    return dumi_npy_parse(path, npy->map, npy->size, &npy->header);
}

dum_status dumi_npy_open(dum_context *context, const char *path, dumi_npy **out)
{
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return dumi_file_fail("open", path, errno);
    dumi_npy *npy;
    dum_status status = DUMI_NEW(context, npy, 1);
    if (status == DUM_OK) {
        memset(npy, 0, sizeof *npy);
        npy->context = context;
        status = map_file(path, file, npy);
    }
    close(file);
    if (status != DUM_OK) {
        dumi_npy_close(npy);
        return status;
    }
    *out = npy;
    return DUM_OK;
}

void dumi_npy_close(dumi_npy *npy)
{
    if (npy == NULL)
        return;
    if (npy->map != NULL)
        munmap((void *)(uintptr_t)npy->map, npy->size);
    dumi_free(npy->context, npy);
}

int64_t dumi_npy_rows(const dumi_npy *npy)
{
    return npy->header.rows;
}

int32_t dumi_npy_cols(const dumi_npy *npy)
{
    return npy->header.cols;
}

static void narrow(const unsigned char *row, size_t cols, bool little, float *out)
{
    for (size_t j = 0; j < cols; j++) {
        double value;
        if (little)
            memcpy(&value, row + j * 8, 8); /* inline: rows are read again in every epoch */
        else
            dumi_copy_elements(&value, row + j * 8, 1, 8);
        out[j] = (float)value;
    }
}

void dumi_npy_read(const dumi_npy *npy, const int64_t *indices, int64_t count, float *out)
{
    const size_t cols = (size_t)npy->header.cols, element = npy->header.element;
    const bool little = dumi_little_endian();
    for (int64_t i = 0; i < count; i++) {
        const unsigned char *row = npy->map + npy->header.offset + (size_t)indices[i] * cols * element;
        float *to = out + (size_t)i * cols;
        if (element == 8)
            narrow(row, cols, little, to);
        else if (element == 4)
            dumi_copy_elements(to, row, cols, 4);
        else
            dumi_widen(row, cols, to);
    }
}
