/* SPDX-License-Identifier: MIT */
#include "csv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *at, *end;
    char delimiter;
    int64_t line, next_line; /* of the file, from 1: where this row begins; what comes next */
    char *cell;              /* the cell just read, decoded */
    size_t capacity;
    bool quoted, last_of_row, wide;
    int32_t label; /* column that may hold text, or -1 */
    bool text_label;
    char *message;
} reader;

static bool fail(const reader *r, const char *what)
{
    snprintf(r->message, 256, "line %lld: %.220s", (long long)r->line, what);
    return false;
}

static char find_delimiter(const char *text, size_t size)
{
    size_t count[3] = {0, 0, 0};
    bool quoted = false;
    for (size_t i = 0; i < size && (quoted || (text[i] != '\n' && text[i] != '\r')); i++) {
        quoted ^= text[i] == '"';
        count[0] += !quoted && text[i] == ',';
        count[1] += !quoted && text[i] == ';';
        count[2] += !quoted && text[i] == '\t';
    }
    if (count[1] > count[0] && count[1] >= count[2])
        return ';';
    return count[2] > count[0] ? '\t' : ',';
}

static bool put(reader *r, size_t *length, char c)
{
    if (*length + 1 >= r->capacity) {
        const size_t capacity = 2 * r->capacity + 64;
        char *cell = realloc(r->cell, capacity);
        if (cell == NULL)
            return fail(r, "out of memory");
        r->cell = cell;
        r->capacity = capacity;
    }
    r->cell[(*length)++] = c;
    r->cell[*length] = '\0';
    return true;
}

static bool read_quoted(reader *r, size_t *length)
{
    r->at++;
    for (;; r->at++) {
        if (r->at == r->end)
            return fail(r, "a quoted cell does not end");
        if (*r->at == '"') {
            if (r->at + 1 == r->end || r->at[1] != '"')
                break;
            r->at++;
        }
        if (*r->at == '\0')
            return fail(r, "a NUL byte: not a text file");
        r->next_line += *r->at == '\n';
        if (!put(r, length, *r->at))
            return false;
    }
    r->at++;
    return true;
}

/* Reads a cell and what ends it. */
static bool read_cell(reader *r)
{
    size_t length = 0;
    if (!put(r, &length, ' '))
        return false;
    length = 0;
    r->cell[0] = '\0';
    while (r->at < r->end && *r->at == ' ')
        r->at++;
    r->quoted = r->at < r->end && *r->at == '"';
    if (r->quoted && !read_quoted(r, &length))
        return false;
    for (; r->at < r->end && *r->at != r->delimiter && *r->at != '\n' && *r->at != '\r'; r->at++) {
        if (r->quoted && *r->at != ' ')
            return fail(r, "something follows a quoted cell");
        if (*r->at == '\0')
            return fail(r, "a NUL byte: not a text file");
        if (!r->quoted && !put(r, &length, *r->at))
            return false;
    }
    while (!r->quoted && length > 0 && r->cell[length - 1] == ' ')
        r->cell[--length] = '\0';
    r->last_of_row = r->at == r->end || *r->at != r->delimiter;
    r->next_line += r->last_of_row;
    if (r->at < r->end && *r->at == '\r' && r->at + 1 < r->end && r->at[1] == '\n')
        r->at++;
    if (r->at < r->end)
        r->at++;
    return true;
}

static bool is_missing(const char *cell)
{
    static const char *const names[] = {"", "NA", "N/A", "NaN", "nan", "null", "NULL", "?"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(cell, names[i]) == 0)
            return true;
    return false;
}

/* strtod would also take hexadecimal; the program never sets a locale. */
static bool parse_cell(const char *cell, double *value)
{
    if (is_missing(cell)) {
        *value = NAN;
        return true;
    }
    char *end;
    *value = strtod(cell, &end);
    return *end == '\0' && strpbrk(cell, "xXpP") == NULL;
}

typedef struct {
    char **texts;
    int32_t count, capacity;
} cells;

static bool add_text(reader *r, cells *row)
{
    if (row->count == row->capacity) {
        const int32_t capacity = row->capacity < (1 << 24) ? 2 * row->capacity + 16 : 0;
        char **texts = capacity > 0 ? realloc(row->texts, (size_t)capacity * sizeof *texts) : NULL;
        if (texts == NULL)
            return fail(r, "too many columns");
        row->texts = texts;
        row->capacity = capacity;
    }
    const size_t size = strlen(r->cell) + 1;
    char *copy = malloc(size);
    if (copy == NULL)
        return fail(r, "out of memory");
    memcpy(copy, r->cell, size);
    row->texts[row->count++] = copy;
    return true;
}

static void free_texts(char **texts, int32_t count)
{
    for (int32_t i = 0; texts != NULL && i < count; i++)
        free(texts[i]);
    free(texts);
}

/* Blank lines before the first row. */
static void skip_blank_lines(reader *r)
{
    const char *at = r->at;
    for (; at < r->end && (*at == ' ' || *at == '\r' || *at == '\n'); at++) {
        if (*at == ' ' || (*at == '\r' && at + 1 < r->end && at[1] == '\n'))
            continue;
        r->next_line++;
        r->at = at + 1;
    }
    if (at == r->end)
        r->at = at;
}

static bool read_first_row(reader *r, cells *first)
{
    skip_blank_lines(r);
    if (r->at == r->end)
        return fail(r, "the file is empty");
    r->line = r->next_line;
    r->delimiter = find_delimiter(r->at, (size_t)(r->end - r->at));
    do {
        if (!read_cell(r) || !add_text(r, first))
            return false;
    } while (!r->last_of_row);
    return true;
}

static bool has_text_beside(const cells *first, int32_t label)
{
    double value;
    for (int32_t i = 0; i < first->count; i++)
        if (i != label && !parse_cell(first->texts[i], &value))
            return true;
    return false;
}

static bool grow(reader *r, csv_table *t, int64_t *capacity)
{
    if (t->rows < *capacity)
        return true;
    const size_t row = (size_t)t->cols * (r->wide ? sizeof *t->doubles : sizeof *t->values);
    const int64_t more = *capacity + *capacity / 2 + 16;
    void *grown = NULL;
    if ((uint64_t)more <= SIZE_MAX / row)
        grown = realloc(r->wide ? (void *)t->doubles : (void *)t->values, (size_t)more * row);
    if (grown == NULL)
        return fail(r, "out of memory");
    if (r->wide)
        t->doubles = grown;
    else
        t->values = grown;
    *capacity = more;
    return true;
}

static const char *column_name(const csv_table *t, int32_t col, char *buffer, size_t capacity)
{
    if (t->names != NULL)
        snprintf(buffer, capacity, "%d (from 0, \"%.60s\")", col, t->names[col]);
    else
        snprintf(buffer, capacity, "%d (from 0)", col);
    return buffer;
}

static bool store(reader *r, csv_table *t, int32_t col, const char *cell)
{
    char name[96], what[256];
    if (col >= t->cols) {
        snprintf(what, sizeof what, "more cells than the %d of the first row%s", t->cols,
                 col == t->cols && *cell == '\0' && r->last_of_row ? ": a delimiter at its end begins another"
                                                                   : "");
        return fail(r, what);
    }
    double value;
    if (!parse_cell(cell, &value)) {
        if (col != r->label) {
            snprintf(what, sizeof what, "column %s is \"%.60s\", expected a number",
                     column_name(t, col, name, sizeof name), cell);
            return fail(r, what);
        }
        value = NAN;
        r->text_label = true;
    }
    if (r->wide)
        t->doubles[t->rows * t->cols + col] = value;
    else
        t->values[t->rows * t->cols + col] = (float)value;
    return true;
}

static bool end_row(reader *r, csv_table *t, int32_t found)
{
    char what[128];
    if (found < t->cols) {
        snprintf(what, sizeof what, "%d cell%s, the first row has %d", found, found == 1 ? "" : "s", t->cols);
        return fail(r, what);
    }
    t->rows++;
    return true;
}

static bool read_rows(reader *r, csv_table *t, int64_t capacity)
{
    while (r->at < r->end) {
        if (!grow(r, t, &capacity))
            return false;
        int32_t col = 0;
        r->line = r->next_line;
        do {
            if (!read_cell(r))
                return false;
            const bool blank = col == 0 && r->last_of_row && r->cell[0] == '\0' && !r->quoted && t->cols > 1;
            if (blank) {
                col = -1;
                break;
            }
            if (!store(r, t, col++, r->cell))
                return false;
        } while (!r->last_of_row);
        if (col >= 0 && !end_row(r, t, col))
            return false;
    }
    return true;
}

static bool parse(reader *r, int header, const char *label, cells *first, csv_table *t)
{
    if (!read_first_row(r, first))
        return false;
    t->cols = first->count;
    int64_t capacity = 0;
    const int64_t first_line = r->line;
    r->label = label != NULL ? csv_find(t, label) : -1;
    const bool has_text = has_text_beside(first, -1), unsure = has_text && !has_text_beside(first, r->label);
    if (header == CSV_HEADER_YES || (header == CSV_HEADER_AUTO && has_text)) {
        t->names = first->texts;
        first->texts = NULL;
        r->label = label != NULL ? csv_find(t, label) : -1;
        if (t->cols > 1 && t->names[t->cols - 1][0] == '\0')
            return fail(r, "the last column has no name: is there a delimiter at the end of the line?");
    } else {
        if (!grow(r, t, &capacity))
            return false;
        for (int32_t i = 0; i < first->count; i++)
            if (!store(r, t, i, first->texts[i]))
                return false;
        end_row(r, t, t->cols);
    }
    if (!read_rows(r, t, capacity))
        return false;
    if (header == CSV_HEADER_AUTO && unsure && r->text_label) {
        r->line = first_line;
        return fail(r, "a label, or the label's name? Say so with --no-header or --header");
    }
    return t->rows > 0 || fail(r, "a header, and no rows of data");
}

static bool parse_text(const char *text, size_t size, int header, bool wide, const char *label, csv_table *out,
                       char *message)
{
    memset(out, 0, sizeof *out);
    reader r = {.line = 1, .next_line = 1, .wide = wide, .message = message};
    if (size >= 2 && (memcmp(text, "\xFF\xFE", 2) == 0 || memcmp(text, "\xFE\xFF", 2) == 0))
        return fail(&r, "the file is UTF-16, expected UTF-8");
    if (size >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
        text += 3;
        size -= 3;
    }
    /* Blank lines at the end are no rows, not even of one column, where a blank line is a missing cell. */
    while (size > 0 && (text[size - 1] == '\n' || text[size - 1] == '\r'))
        size--;
    r.at = text;
    r.end = text + size;
    cells first = {NULL, 0, 0};
    const bool parsed = parse(&r, header, label, &first, out);
    free_texts(first.texts, first.count);
    free(r.cell);
    if (!parsed)
        csv_free(out);
    return parsed;
}

bool csv_parse(const char *text, size_t size, int header, csv_table *out, char message[256])
{
    return parse_text(text, size, header, false, NULL, out, message);
}

bool csv_parse_double(const char *text, size_t size, int header, csv_table *out, char message[256])
{
    return parse_text(text, size, header, true, NULL, out, message);
}

bool csv_parse_labelled(const char *text, size_t size, int header, const char *label, csv_table *out,
                        char message[256])
{
    return parse_text(text, size, header, false, label, out, message);
}

int32_t csv_row(char *line, int32_t cols, float *row)
{
    int32_t count = 0;
    for (char *cell = line, *end;; cell = end + 1) {
        end = cell + strcspn(cell, ",;\t");
        const bool is_last = *end == '\0';
        while (*cell == ' ')
            cell++;
        char *behind = end;
        while (behind > cell && behind[-1] == ' ')
            behind--;
        *behind = '\0';
        double value;
        if (count == INT32_MAX || !parse_cell(cell, &value))
            return -1;
        if (count < cols)
            row[count] = (float)value;
        count++;
        if (is_last)
            return count;
    }
}

bool csv_header(const char *line, size_t size, csv_table *out, char message[256])
{
    memset(out, 0, sizeof *out);
    reader r = {.at = line, .end = line + size, .next_line = 1, .message = message};
    cells first = {NULL, 0, 0};
    const bool parsed = read_first_row(&r, &first);
    free(r.cell);
    out->names = first.texts;
    out->cols = first.count;
    if (!parsed)
        csv_free(out);
    return parsed;
}

void csv_free(csv_table *table)
{
    free(table->values);
    free(table->doubles);
    free_texts(table->names, table->cols);
    memset(table, 0, sizeof *table);
}

int32_t csv_find(const csv_table *table, const char *column)
{
    for (int32_t i = 0; table->names != NULL && i < table->cols; i++)
        if (strcmp(table->names[i], column) == 0)
            return i;
    char *end;
    const long index = strtol(column, &end, 10);
    return *column != '\0' && *end == '\0' && index >= 0 && index < table->cols ? (int32_t)index : -1;
}

void csv_take(csv_table *table, int32_t col, float *out)
{
    const int32_t left = table->cols - 1;
    for (int64_t i = 0; i < table->rows; i++) {
        const float *from = table->values + i * table->cols;
        out[i] = from[col];
        float *to = table->values + i * left;
        memmove(to, from, (size_t)col * sizeof *to);
        memmove(to + col, from + col + 1, (size_t)(left - col) * sizeof *to);
    }
    if (table->names != NULL) {
        free(table->names[col]);
        memmove(table->names + col, table->names + col + 1, (size_t)(left - col) * sizeof *table->names);
    }
    table->cols = left;
}
