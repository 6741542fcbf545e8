/* SPDX-License-Identifier: MIT
 * Vectors in: labels and scores come in more types than the library reads. */
#include "tool.h"

#include <stdlib.h>
#include <string.h>

/* A number as .npy holds it: little-endian. */
static double element(const unsigned char *at, char kind, int width)
{
    uint64_t bits = 0;
    for (int i = width; i-- > 0;)
        bits = bits << 8 | at[i];
    if (kind == 'f' && width == 4) {
        const uint32_t half = (uint32_t)bits;
        float single;
        memcpy(&single, &half, sizeof single);
        return (double)single;
    }
    if (kind == 'f') {
        double number;
        memcpy(&number, &bits, sizeof number);
        return number;
    }
    const int unused = 64 - 8 * width;
    return kind == 'i' ? (double)((int64_t)(bits << unused) >> unused) : (double)bits;
}

typedef struct {
    const unsigned char *data;
    char order, kind;
    int width;
    bool by_column;
    long long rows, cols;
} npy_array;

/* From "'<f8', 'fortran_order': False, 'shape': (569,), }" and the like. */
static bool parse_npy_header(const char *head, npy_array *a)
{
    const char *descr = strstr(head, "'descr':"), *shape = strstr(head, "'shape':");
    a->by_column = strstr(head, "'fortran_order': True") != NULL;
    a->cols = 1;
    return descr != NULL && shape != NULL &&
           sscanf(descr, "'descr': '%c%c%d'", &a->order, &a->kind, &a->width) == 3 &&
           sscanf(shape, "'shape': (%lld,%lld", &a->rows, &a->cols) >= 1;
}

static bool is_known_type(const npy_array *a)
{
    const bool whole = a->width == 1 || a->width == 2 || a->width == 4 || a->width == 8;
    return a->order != '>' &&
           ((a->kind == 'f' && (a->width == 4 || a->width == 8)) || (a->kind == 'b' && a->width == 1) ||
            ((a->kind == 'i' || a->kind == 'u') && whole));
}

static int parse_npy(const char *path, const char *text, size_t size, npy_array *a)
{
    const unsigned char *bytes = (const unsigned char *)text;
    if (size < 12 || memcmp(text, "\x93NUMPY", 6) != 0)
        return fail("%s is not a .npy file", path);
    const size_t start = bytes[6] == 1 ? 10 : 12;
    size_t header = (size_t)bytes[8] | (size_t)bytes[9] << 8;
    if (bytes[6] > 1)
        header |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    char head[512];
    if (header >= sizeof head || start + header > size)
        return fail("%s is not a .npy file: its header is too long", path);
    memcpy(head, text + start, header);
    head[header] = '\0';
    if (!parse_npy_header(head, a))
        return fail("%s is not a vector in .npy form", path);
    if (!is_known_type(a))
        return fail("%s has dtype %c%c%d, expected little-endian floats, integers or booleans", path, a->order,
                    a->kind, a->width);
    const size_t count = (size - start - header) / (size_t)a->width;
    if (a->rows < 1 || a->cols < 1 || count % (size_t)a->cols != 0 ||
        count / (size_t)a->cols != (size_t)a->rows)
        return fail("%s is not a vector of numbers", path);
    a->data = bytes + start + header;
    return TOOL_OK;
}

static int load_npy_vector(const char *path, bool first_of_many, double **values, int64_t *count)
{
    size_t size;
    char *text = read_file(path, &size);
    if (text == NULL)
        return TOOL_FAILED;
    npy_array a;
    int status = parse_npy(path, text, size, &a);
    if (status == TOOL_OK && a.cols > 1 && (!first_of_many || a.by_column))
        status = fail("%s has %lld columns, expected a vector", path, a.cols);
    if (status == TOOL_OK && (*values = malloc((size_t)a.rows * sizeof **values)) == NULL)
        status = fail("out of memory");
    if (status == TOOL_OK) {
        *count = a.rows;
        const size_t stride = (size_t)a.cols * (size_t)a.width;
        for (int64_t i = 0; i < a.rows; i++)
            (*values)[i] = element(a.data + (size_t)i * stride, a.kind, a.width);
    }
    free(text);
    return status;
}

static int load_csv_vector(const char *path, const char *column, int header, const char *usual, double **values,
                           int64_t *count)
{
    csv_table table;
    int status = load_csv(path, header, true, NULL, &table);
    if (status != TOOL_OK)
        return status;
    const char *wanted = column != NULL ? column : table.cols > 1 ? usual : NULL;
    const int32_t col = wanted != NULL ? csv_find(&table, wanted) : table.cols == 1 ? 0 : -1;
    if (col < 0)
        status = wanted != NULL ? fail("%s has no column \"%s\"", path, wanted)
                                : fail("%s has %d columns: say which with --label-column", path, table.cols);
    else if ((*values = malloc((size_t)table.rows * sizeof **values)) == NULL)
        status = fail("out of memory");
    if (status == TOOL_OK) {
        *count = table.rows;
        for (int64_t i = 0; i < table.rows; i++)
            (*values)[i] = table.doubles[i * table.cols + col];
    }
    csv_free(&table);
    return status;
}

int load_vector(const char *path, const char *column, int header, const char *usual, double **values,
                int64_t *count)
{
    *values = NULL;
    *count = 0;
    if (has_ending(path, ".npy"))
        return load_npy_vector(path, usual != NULL, values, count);
    return load_csv_vector(path, column, header, usual, values, count);
}
