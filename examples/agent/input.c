/* SPDX-License-Identifier: MIT
 * Rows in: float32 or lines of CSV, scored in chunks and pushed one by one. */
#define _POSIX_C_SOURCE 200809L
#include "agent.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- Rows --------------------------------------------------------------------------------- */

int end_alarm(agent *a)
{
    a->holds = false;
    if (dum_monitor_reset(a->monitor) == DUM_OK)
        return 0;
    (void)fail_library("monitor");
    return -1;
}

static int tell_alarm(agent *a)
{
    char text[32];
    const time_t clock = time(NULL);
    struct tm utc;
    const bool known =
        gmtime_r(&clock, &utc) != NULL && strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc) > 0;
    if (print_monitor_event(a->monitor, "alarm", known ? text : NULL) != TOOL_OK)
        return -1;
    /* A full disk must not stop the rows. */
    if (fflush(stdout) != 0) {
        complain("cannot write an alarm: %s", strerror(errno));
        a->write_errors++;
        clearerr(stdout);
    }
    a->holds = a->args.rearm > 0;
    a->rearm_at = now() + a->args.rearm;
    return a->holds ? 0 : end_alarm(a);
}

/* One by one, so that an alarm is told where it begins, however the rows came in. */
static int push_scores(agent *a, const double *scores)
{
    for (int64_t i = 0; i < a->filled; i++) {
        const double score = a->malformed[i] ? NAN : scores[i];
        int32_t alarm;
        if (dum_monitor_push_scores(a->monitor, &score, 1, &alarm) != DUM_OK) {
            (void)fail_library("monitor");
            return -1;
        }
        if (alarm && !a->holds && tell_alarm(a) < 0)
            return -1;
    }
    a->filled = 0;
    return 1;
}

static int take_rows(agent *a)
{
    double scores[CHUNK_ROWS];
    if (a->filled == 0)
        return 1;
    if (score_chunk(a->in.scorer, a->rows, a->filled, a->cols, scores) != DUM_OK) {
        (void)fail_library("rows");
        return -1;
    }
    return push_scores(a, scores);
}

static float *next_row(const agent *a)
{
    return a->rows + a->filled * a->cols;
}

/* What was no row counts as one that is bad, so that rows are counted as they were sent. */
static int end_row(agent *a, bool is_malformed)
{
    if (is_malformed)
        memset(next_row(a), 0, (size_t)a->cols * sizeof *a->rows);
    a->malformed_rows += is_malformed;
    a->malformed[a->filled++] = is_malformed;
    return a->filled == CHUNK_ROWS ? take_rows(a) : 1;
}

/* ---- Streams ------------------------------------------------------------------------------ */

static size_t row_bytes(const agent *a)
{
    return (size_t)a->cols * 4;
}

static size_t capacity(const agent *a)
{
    return (1 << 16) + 8 * row_bytes(a);
}

bool source_open(const agent *a, int file, source *s)
{
    *s = (source){.file = file, .buffer = malloc(capacity(a) + 1)};
    if (s->buffer == NULL)
        s->file = -1;
    return s->buffer != NULL;
}

void source_close(source *s)
{
    if (s->file > STDIN_FILENO)
        close(s->file);
    free(s->buffer);
    *s = (source){.file = -1};
}

/* Little-endian, wherever this runs. */
static void decode(const char *from, int32_t count, float *to)
{
    const unsigned char *at = (const unsigned char *)from;
    for (int32_t i = 0; i < count; i++, at += 4) {
        const uint32_t bits =
            (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
        memcpy(&to[i], &bits, sizeof bits);
    }
}

/* The number of bytes used, or -1. */
static int64_t take_floats(agent *a, const source *s)
{
    size_t used = 0;
    for (; s->filled - used >= row_bytes(a); used += row_bytes(a)) {
        decode(s->buffer + used, a->cols, next_row(a));
        if (end_row(a, false) < 0)
            return -1;
    }
    return (int64_t)used;
}

/* Columns in another order are numbers like any others: only their names tell. */
static bool check_names(const agent *a, const csv_table *header)
{
    if (header->cols != a->cols) {
        complain("a header has %d columns, the scorer %d: the stream is refused", header->cols, a->cols);
        return false;
    }
    for (int32_t j = 0; j < a->cols; j++) {
        const char *name = header->names[j], *known = dum_scorer_feature_name(a->in.scorer, j);
        if (strcmp(name, known) != 0) {
            complain(
                "a header has \"%.60s\" as column %d (from 0), the scorer was fitted with \"%.60s\" there: the "
                "stream is refused",
                name, j, known);
            return false;
        }
    }
    return true;
}

static bool check_header(const agent *a, const char *line, size_t size)
{
    char message[256];
    csv_table header;
    if (dum_scorer_feature_name(a->in.scorer, 0) == NULL)
        return true;
    if (!csv_header(line, size, &header, message)) {
        complain("a header cannot be read: %s: the stream is refused", message);
        return false;
    }
    const bool is_right = check_names(a, &header);
    csv_free(&header);
    return is_right;
}

/* A header, or a row. */
static int take_first_line(agent *a, source *s, char *line, size_t size)
{
    char *whole = malloc(size + 1); /* csv_row cuts it up */
    if (whole == NULL) {
        complain("out of memory");
        return -1;
    }
    memcpy(whole, line, size + 1);
    const int32_t cells = csv_row(line, a->cols, next_row(a));
    s->is_refused = cells < 0 && !check_header(a, whole, size);
    a->refused += s->is_refused;
    free(whole);
    return cells < 0 ? 1 : end_row(a, cells != a->cols);
}

static int take_line(agent *a, source *s, char *line, size_t size)
{
    const bool is_first = !s->has_begun;
    if (is_first && size >= 3 && memcmp(line, "\xEF\xBB\xBF", 3) == 0) {
        line += 3;
        size -= 3;
    }
    if (size > 0 && line[size - 1] == '\r')
        size--;
    if (size == 0)
        return 1;
    s->has_begun = true;
    line[size] = '\0';
    if (memchr(line, '\0', size) != NULL)
        return end_row(a, true);
    if (is_first)
        return take_first_line(a, s, line, size);
    return end_row(a, csv_row(line, a->cols, next_row(a)) != a->cols);
}

static int64_t take_lines(agent *a, source *s)
{
    size_t used = 0;
    for (char *end; !s->is_refused && (end = memchr(s->buffer + used, '\n', s->filled - used)) != NULL;) {
        char *line = s->buffer + used;
        used = (size_t)(end - s->buffer) + 1;
        const bool skips = s->skips;
        s->skips = false;
        if (!skips && take_line(a, s, line, (size_t)(end - line)) < 0)
            return -1;
    }
    if (used == 0 && s->filled == capacity(a)) {
        if (!s->skips && end_row(a, true) < 0)
            return -1;
        s->skips = true;
        return (int64_t)s->filled;
    }
    return (int64_t)used;
}

/* What is left at the end: a last line needs no newline. */
static int take_rest(agent *a, source *s)
{
    if (s->filled == 0 || s->skips || s->is_cut)
        return 1;
    return a->is_binary ? end_row(a, true) : take_line(a, s, s->buffer, s->filled);
}

int source_read(agent *a, source *s, size_t most)
{
    const size_t room = capacity(a) - s->filled;
    const ssize_t got = read(s->file, s->buffer + s->filled, most > 0 && most < room ? most : room);
    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return 1;
    if (got <= 0) {
        if (take_rest(a, s) < 0 || take_rows(a) < 0)
            return -1;
        return 0;
    }
    s->filled += (size_t)got;
    s->taken += (uint64_t)got;
    const int64_t used = a->is_binary ? take_floats(a, s) : take_lines(a, s);
    if (used < 0)
        return -1;
    if (s->is_refused)
        return 0;
    s->filled -= (size_t)used;
    memmove(s->buffer, s->buffer + used, s->filled);
    return take_rows(a);
}
