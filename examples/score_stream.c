/* SPDX-License-Identifier: MIT
 * One row at a time, as a service does: CSV on standard input, a score a line on standard output.
 *
 *   score_stream model.dum < rows.csv */
#define _POSIX_C_SOURCE 200809L
#include <dum.h>

#include "dum/csv.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

static bool score_row(const dum_scorer *scorer, const csv_table *row, long line)
{
    double score;
    if (dum_scorer_score(scorer, row->values, 1, row->cols, 0, &score) != DUM_OK) {
        fprintf(stderr, "line %ld: %s\n", line, dum_error_message());
        return false;
    }
    /* Whoever waits for the answer gets it now. */
    if (printf("%.17g\n", score) > 0 && fflush(stdout) == 0)
        return true;
    perror("standard output");
    return false;
}

static bool score_lines(const dum_scorer *scorer)
{
    char *text = NULL, message[256];
    size_t capacity = 0;
    bool good = true;
    ssize_t length;
    for (long line = 1; good && (length = getline(&text, &capacity, stdin)) >= 0; line++) {
        csv_table row;
        if (text[0] == '\n' || text[0] == '\r')
            continue;
        if (csv_parse(text, (size_t)length, CSV_HEADER_NO, &row, message)) {
            good = score_row(scorer, &row, line);
            csv_free(&row);
        } else if (line > 1) { /* a first line that holds no numbers is a header */
            fprintf(stderr, "line %ld of the input: %s\n", line, message);
            good = false;
        }
    }
    free(text);
    return good && ferror(stdin) == 0;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: score_stream model.dum < rows.csv\n");
        return 2;
    }
    dum_context *context = NULL;
    dum_scorer *scorer = NULL;
    bool good =
        dum_context_create(NULL, &context) == DUM_OK && dum_scorer_load(context, argv[1], &scorer) == DUM_OK;
    if (!good)
        fprintf(stderr, "%s: %s\n", argv[1], dum_error_message());
    good = good && score_lines(scorer);
    dum_scorer_destroy(scorer);
    dum_context_destroy(context);
    return good ? 0 : 1;
}
