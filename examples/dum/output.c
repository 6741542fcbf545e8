/* SPDX-License-Identifier: MIT
 * Results out. */
#define _POSIX_C_SOURCE 200809L
#include "tool.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    const void *values; /* doubles, or floats */
    int width;          /* bytes of one */
    int64_t rows;
    int32_t cols;
    const char *const *names;
} table;

/* Little-endian, whatever the machine is. */
static void put_bits(FILE *file, const table *t, int64_t i)
{
    unsigned char bytes[8];
    uint32_t half;
    uint64_t bits;
    if (t->width == 4) {
        memcpy(&half, (const float *)t->values + i, sizeof half);
        bits = half;
    } else {
        memcpy(&bits, (const double *)t->values + i, sizeof bits);
    }
    for (int b = 0; b < t->width; b++)
        bytes[b] = (unsigned char)(bits >> 8 * b);
    fwrite(bytes, 1, (size_t)t->width, file);
}

static void put_npy(FILE *file, const void *what)
{
    const table *t = what;
    char head[128];
    if (t->cols == 1)
        snprintf(head, sizeof head, "{'descr': '<f%d', 'fortran_order': False, 'shape': (%lld,), }", t->width,
                 (long long)t->rows);
    else
        snprintf(head, sizeof head, "{'descr': '<f%d', 'fortran_order': False, 'shape': (%lld, %d), }",
                 t->width, (long long)t->rows, t->cols);
    fwrite("\x93NUMPY\x01\x00\x76\x00", 1, 10, file);
    fprintf(file, "%-117s\n", head);
    for (int64_t i = 0; i < t->rows * t->cols; i++)
        put_bits(file, t, i);
}

static void put_csv(FILE *file, const void *what)
{
    const table *t = what;
    for (int32_t j = 0; t->names != NULL && j < t->cols; j++)
        fprintf(file, "%s%s", t->names[j], j + 1 < t->cols ? "," : "\n");
    for (int64_t i = 0; i < t->rows * t->cols; i++) {
        if (t->width == 4)
            fprintf(file, "%.9g", (double)((const float *)t->values)[i]);
        else
            fprintf(file, "%.17g", ((const double *)t->values)[i]);
        fputc((i + 1) % t->cols != 0 ? ',' : '\n', file);
    }
}

bool is_special_file(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && !S_ISREG(about.st_mode);
}

static bool write_file(const char *path, bool temporary, put_fn put, const void *what)
{
    FILE *file = fopen(path, temporary ? "wbx" : "wb");
    if (file == NULL)
        return false;
    put(file, what);
    const bool written = fflush(file) == 0 && ferror(file) == 0;
    const int error = errno;
    const bool closed = fclose(file) == 0;
    if (!written)
        errno = error;
    if (written && closed)
        return true;
    if (temporary) {
        const int reason = errno;
        remove(path);
        errno = reason;
    }
    return false;
}

int write_output(const char *path, put_fn put, const void *what)
{
    if (path == NULL || strcmp(path, "-") == 0) {
        put(stdout, what);
        return TOOL_OK;
    }
    /* A rename would put a file in the place of a pipe or a device. */
    if (is_special_file(path))
        return write_file(path, false, put, what) ? TOOL_OK
                                                  : fail("cannot write %s: %s", path, strerror(errno));
    const size_t capacity = strlen(path) + 32;
    char *temporary = malloc(capacity);
    if (temporary == NULL)
        return fail("out of memory");
    snprintf(temporary, capacity, "%s.%ld.tmp", path, (long)getpid());
    /* Left by one who was killed, with our number: in a container it is always the same. */
    remove(temporary);
    int status = TOOL_OK;
    if (!write_file(temporary, true, put, what)) {
        status = fail("cannot write %s: %s", path, strerror(errno));
    } else if (rename(temporary, path) != 0) {
        status = fail("cannot write %s: %s", path, strerror(errno));
        remove(temporary);
    }
    free(temporary);
    return status;
}

static int write_any(const char *path, const table *t)
{
    const bool npy = path != NULL && has_ending(path, ".npy");
    return write_output(path, npy ? put_npy : put_csv, t);
}

int write_table(const char *path, const double *values, int64_t rows, int32_t cols, const char *const *names)
{
    return write_any(path, &(table){values, sizeof *values, rows, cols, names});
}

int write_floats(const char *path, const float *values, int64_t rows, int32_t cols)
{
    return write_any(path, &(table){values, sizeof *values, rows, cols, NULL});
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
