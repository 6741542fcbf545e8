/* SPDX-License-Identifier: MIT
 * Tables of numbers as text: RFC 4180 with ',', ';' or tab. */
#ifndef CSV_H
#define CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CSV_HEADER_AUTO, CSV_HEADER_YES, CSV_HEADER_NO };

typedef struct {
    int64_t rows;
    int32_t cols;
    float *values;   /* rows x cols; a missing cell (empty, NA, NaN, null, ?) is NaN */
    double *doubles; /* the same, in place of values, from csv_parse_double */
    char **names;    /* cols names, or NULL without a header */
} csv_table;

/* Parses all of text. On failure returns false, and the message says which line of it (from 1) and column (from 0). Blank
 * lines are passed over; within a table of one column they are missing cells. */
bool csv_parse(const char *text, size_t size, int header, csv_table *out, char message[256]);
/* Keeps the digits that float has no room for: rounded scores would tie. */
bool csv_parse_double(const char *text, size_t size, int header, csv_table *out, char message[256]);
/* Cells of the column label (as for csv_find; NULL: none) may be text, which becomes NaN. */
bool csv_parse_labelled(const char *text, size_t size, int header, const char *label, csv_table *out,
                        char message[256]);
/* One line without its end, cut up in place: its cells into row, which has room for cols. How many cells there are, also
 * where they are more than cols; -1 where one is no number. Cells in quotes are none. */
int32_t csv_row(char *line, int32_t cols, float *row);
/* One line as names: out has no rows. */
bool csv_header(const char *line, size_t size, csv_table *out, char message[256]);
void csv_free(csv_table *table);

/* The column with this name, or with this number from 0; -1 if there is none. */
int32_t csv_find(const csv_table *table, const char *column);
/* Takes a column out of a table of floats into `out` (rows). */
void csv_take(csv_table *table, int32_t col, float *out);

#endif
