/* SPDX-License-Identifier: MIT
 * Results out. */
#define _DEFAULT_SOURCE /* flock */
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
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

enum { MOST_LINKS = 40, LINK_SIZE = 4096 };

char *follow_links(const char *path)
{
    char target[LINK_SIZE], *at = strdup(path);
    struct stat about;
    for (int links = 0; at != NULL && lstat(at, &about) == 0 && S_ISLNK(about.st_mode); links++) {
        const ssize_t length = readlink(at, target, sizeof target - 1);
        const char *slash = strrchr(at, '/');
        const size_t folder = slash == NULL || target[0] == '/' ? 0 : (size_t)(slash - at) + 1;
        char *next = length >= 0 && links < MOST_LINKS ? malloc(folder + (size_t)length + 1) : NULL;
        if (length >= 0 && links >= MOST_LINKS)
            errno = ELOOP;
        if (next != NULL) {
            memcpy(next, at, folder);
            memcpy(next + folder, target, (size_t)length);
            next[folder + (size_t)length] = '\0';
        }
        free(at);
        at = next;
    }
    return at;
}

static bool write_and_close(FILE *file, put_fn put, const void *what)
{
    put(file, what);
    const bool written = fflush(file) == 0 && ferror(file) == 0;
    const int error = errno;
    const bool closed = fclose(file) == 0;
    if (!written)
        errno = error;
    return written && closed;
}

/* Of a temporary file that is not new: it was left by one who was killed, and is ours alone from here on. */
static bool take_over(int file, const char *name)
{
    struct stat opened, named;
    return flock(file, LOCK_EX | LOCK_NB) == 0 && fstat(file, &opened) == 0 && lstat(name, &named) == 0 &&
           S_ISREG(named.st_mode) && opened.st_dev == named.st_dev && opened.st_ino == named.st_ino &&
           named.st_nlink == 1 && named.st_uid == geteuid() && ftruncate(file, 0) == 0;
}

/* A file beside `path` that nobody else uses: as the library does it. */
static FILE *open_temporary(const char *path, char *name, size_t capacity)
{
    for (int attempt = 0; attempt < 1000; attempt++) {
        snprintf(name, capacity, "%s.%d.tmp", path, attempt);
        int file = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        const bool is_new = file >= 0;
        if (!is_new && errno != EEXIST)
            return NULL;
        if (!is_new)
            file = open(name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (file < 0)
            continue;
        if (is_new ? flock(file, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK : take_over(file, name))
            return fdopen(file, "wb");
        close(file);
    }
    errno = EEXIST;
    return NULL;
}

static bool replace(const char *path, put_fn put, const void *what)
{
    const size_t capacity = strlen(path) + 32;
    char *name = malloc(capacity);
    FILE *file = name != NULL ? open_temporary(path, name, capacity) : NULL;
    const bool done = file != NULL && write_and_close(file, put, what) && rename(name, path) == 0;
    const int error = errno;
    if (file != NULL && !done)
        remove(name);
    free(name);
    errno = error;
    return done;
}

/* A link is written through; a rename would put a file in the place of a pipe or a device. */
static bool write_path(const char *path, put_fn put, const void *what)
{
    if (is_special_file(path)) {
        FILE *file = fopen(path, "wb");
        return file != NULL && write_and_close(file, put, what);
    }
    if (access(path, F_OK) != 0 && errno == EACCES) /* a link that we may not follow */
        return false;
    char *target = follow_links(path);
    const bool done = target != NULL && replace(target, put, what);
    const int error = errno;
    free(target);
    errno = error;
    return done;
}

int write_output(const char *path, put_fn put, const void *what)
{
    if (path == NULL || strcmp(path, "-") == 0) {
        put(stdout, what);
        return TOOL_OK;
    }
    return write_path(path, put, what) ? TOOL_OK : fail("cannot write %s: %s", path, strerror(errno));
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
