/* SPDX-License-Identifier: MIT
 * Data in and results out. */
#define _POSIX_C_SOURCE 200809L
#include "tool.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool has_ending(const char *path, const char *ending)
{
    const size_t length = strlen(path), wanted = strlen(ending);
    return length >= wanted && strcmp(path + length - wanted, ending) == 0;
}

/* All of a file, with a NUL behind it. */
static char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fail("cannot open %s: %s", path, strerror(errno));
        return NULL;
    }
    char *text = NULL;
    size_t capacity = 1 << 16, used = 0;
    for (;;) {
        char *larger = realloc(text, capacity + 1);
        if (larger == NULL)
            break;
        text = larger;
        const size_t now = fread(text + used, 1, capacity - used, file);
        used += now;
        if (now == 0)
            break;
        if (used == capacity)
            capacity *= 2;
    }
    const bool bad = ferror(file) != 0 || text == NULL;
    fclose(file);
    if (bad) {
        fail("cannot read %s: %s", path, strerror(errno));
        free(text);
        return NULL;
    }
    text[used] = '\0';
    *size = used;
    return text;
}

static int load_csv(const char *path, int header, csv_table *table)
{
    char message[256];
    size_t size;
    char *text = read_file(path, &size);
    if (text == NULL)
        return TOOL_FAILED;
    const bool parsed = csv_parse(text, size, header, table, message);
    free(text);
    return parsed ? TOOL_OK : fail("%s, %s", path, message);
}

static int drop_label(const char *path, const char *column, csv_table *table)
{
    if (column == NULL)
        return TOOL_OK;
    const int32_t col = csv_find(table, column);
    if (col < 0)
        return fail("%s has no column \"%s\" for --label-column", path, column);
    if (table->cols == 1)
        return fail("%s has no column beside the label", path);
    float *label = malloc((size_t)table->rows * sizeof *label);
    if (label == NULL)
        return fail("out of memory");
    csv_take(table, col, label);
    free(label);
    return TOOL_OK;
}

static int dataset_from_table(dum_context *context, const char *path, loaded_data *out)
{
    const csv_table *t = &out->table;
    if (dum_dataset_from_memory(context, t->values, t->rows, t->cols, 0, &out->dataset) != DUM_OK)
        return fail_library(path);
    if (t->names != NULL &&
        dum_dataset_set_feature_names(out->dataset, (const char *const *)t->names, t->cols) != DUM_OK)
        return fail_library(path);
    return TOOL_OK;
}

int load_data(dum_context *context, const char *path, const arguments *args, loaded_data *out)
{
    memset(out, 0, sizeof *out);
    if (has_ending(path, ".npy")) {
        if (args->label_column != NULL)
            return fail("--label-column is for CSV; %s is .npy", path);
        return dum_dataset_from_npy(context, path, &out->dataset) == DUM_OK ? TOOL_OK
                                                                            : fail_library("cannot load");
    }
    int status = load_csv(path, args->header, &out->table);
    if (status == TOOL_OK)
        status = drop_label(path, args->label_column, &out->table);
    if (status == TOOL_OK)
        status = dataset_from_table(context, path, out);
    return status;
}

void free_data(loaded_data *data)
{
    dum_dataset_destroy(data->dataset);
    csv_free(&data->table);
}

/* ---- Vectors: labels come in more types than the library reads -------------------------------- */

static double element(const unsigned char *at, char kind, int size)
{
    union {
        float f4;
        double f8;
        int8_t i1;
        int16_t i2;
        int32_t i4;
        int64_t i8;
    } u;
    memcpy(&u, at, (size_t)size);
    if (kind == 'f')
        return size == 4 ? (double)u.f4 : u.f8;
    if (kind == 'b' || (kind == 'u' && size == 1))
        return *at;
    return size == 1 ? u.i1 : size == 2 ? u.i2 : size == 4 ? u.i4 : (double)u.i8;
}

/* From "'<f8', 'fortran_order': False, 'shape': (569,), }" and the like. */
static int parse_npy_vector(const char *path, const char *text, size_t size, double **values, int64_t *count)
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
    const char *descr = strstr(head, "'descr':"), *shape = strstr(head, "'shape':");
    char order, kind;
    int width;
    long long rows, cols = 1;
    if (descr == NULL || shape == NULL || sscanf(descr, "'descr': '%c%c%d'", &order, &kind, &width) != 3 ||
        sscanf(shape, "'shape': (%lld,%lld", &rows, &cols) < 1)
        return fail("%s is not a vector in .npy form", path);
    const bool known = (kind == 'f' && (width == 4 || width == 8)) || (kind == 'b' && width == 1) ||
                       (strchr("iu", kind) != NULL && (width == 1 || width == 2 || width == 4 || width == 8));
    if (!known || order == '>')
        return fail("%s has dtype %c%c%d, expected little-endian floats, integers or booleans", path, order,
                    kind, width);
    if (rows < 1 || cols != 1 || (size_t)rows != (size - start - header) / (size_t)width)
        return fail("%s is not a vector of numbers", path);
    *values = malloc((size_t)rows * sizeof **values);
    if (*values == NULL)
        return fail("out of memory");
    *count = rows;
    for (int64_t i = 0; i < rows; i++)
        (*values)[i] = element(bytes + start + header + (size_t)i * (size_t)width, kind, width);
    return TOOL_OK;
}

int load_vector(const char *path, const char *column, int header, double **values, int64_t *count)
{
    *values = NULL;
    if (has_ending(path, ".npy")) {
        size_t size;
        char *text = read_file(path, &size);
        if (text == NULL)
            return TOOL_FAILED;
        const int status = parse_npy_vector(path, text, size, values, count);
        free(text);
        return status;
    }
    csv_table table;
    int status = load_csv(path, header, &table);
    if (status != TOOL_OK)
        return status;
    const int32_t col = column != NULL ? csv_find(&table, column) : 0;
    if (col < 0 || (column == NULL && table.cols != 1)) {
        status = col < 0 ? fail("%s has no column \"%s\"", path, column)
                         : fail("%s has %d columns: say which with --label-column", path, table.cols);
    } else {
        *count = table.rows;
        *values = malloc((size_t)table.rows * sizeof **values);
        if (*values == NULL)
            status = fail("out of memory");
        for (int64_t i = 0; *values != NULL && i < table.rows; i++)
            (*values)[i] = (double)table.values[i * table.cols + col];
    }
    csv_free(&table);
    return status;
}

/* ---- Results --------------------------------------------------------------------------------- */

static void put_npy(FILE *file, const double *values, int64_t rows, int32_t cols)
{
    char head[128];
    if (cols == 1)
        snprintf(head, sizeof head, "{'descr': '<f8', 'fortran_order': False, 'shape': (%lld,), }",
                 (long long)rows);
    else
        snprintf(head, sizeof head, "{'descr': '<f8', 'fortran_order': False, 'shape': (%lld, %d), }",
                 (long long)rows, cols);
    fwrite("\x93NUMPY\x01\x00\x76\x00", 1, 10, file);
    fprintf(file, "%-117s\n", head);
    fwrite(values, sizeof *values, (size_t)rows * (size_t)cols, file);
}

static void put_csv(FILE *file, const double *values, int64_t rows, int32_t cols, const char *const *names)
{
    for (int32_t j = 0; names != NULL && j < cols; j++)
        fprintf(file, "%s%s", names[j], j + 1 < cols ? "," : "\n");
    for (int64_t i = 0; i < rows; i++)
        for (int32_t j = 0; j < cols; j++)
            fprintf(file, "%.17g%s", values[i * cols + j], j + 1 < cols ? "," : "\n");
}

int write_table(const char *path, const double *values, int64_t rows, int32_t cols, const char *const *names)
{
    if (path == NULL || strcmp(path, "-") == 0) {
        put_csv(stdout, values, rows, cols, names);
        return TOOL_OK;
    }
    const size_t capacity = strlen(path) + 32;
    char *temporary = malloc(capacity);
    if (temporary == NULL)
        return fail("out of memory");
    snprintf(temporary, capacity, "%s.%ld.tmp", path, (long)getpid());
    FILE *file = fopen(temporary, "wbx");
    int status = file != NULL ? TOOL_OK : fail("cannot write %s: %s", path, strerror(errno));
    if (file != NULL) {
        if (has_ending(path, ".npy"))
            put_npy(file, values, rows, cols);
        else
            put_csv(file, values, rows, cols, names);
        const bool bad = ferror(file) != 0;
        if (fclose(file) != 0 || bad || rename(temporary, path) != 0) {
            status = fail("cannot write %s: %s", path, strerror(errno));
            remove(temporary);
        }
    }
    free(temporary);
    return status;
}

void print_number(const char *name, double value, bool last)
{
    if (isfinite(value))
        printf("\"%s\": %.17g%s", name, value, last ? "" : ", ");
    else
        printf("\"%s\": null%s", name, last ? "" : ", ");
}

void print_quoted(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20)
            printf("\\u%04x", (unsigned char)*text);
        else if (*text == '"' || *text == '\\')
            printf("\\%c", *text);
        else
            putchar(*text);
    }
    putchar('"');
}

void print_text(const char *name, const char *value, bool last)
{
    printf("\"%s\": ", name);
    print_quoted(value);
    printf("%s", last ? "" : ", ");
}

int finish_output(int status)
{
    const bool bad = ferror(stdout) != 0;
    if ((fflush(stdout) != 0 || bad) && status == TOOL_OK)
        return fail("cannot write standard output: %s", strerror(errno));
    return status;
}
