/* SPDX-License-Identifier: MIT
 * One row at a time, as a service does: rows of numbers on standard input, scores on standard output.
 *
 *   score_stream model.dum < rows.txt */
#include <dum.h>

#include <stdio.h>
#include <stdlib.h>

/* The next row of blank- or comma-separated numbers; false at the end of the input. */
static int read_row(float *row, int32_t cols)
{
    for (int32_t j = 0; j < cols; j++)
        if (scanf("%f%*[, \t\r]", &row[j]) != 1)
            return 0;
    return 1;
}

int main(int argc, char **argv)
{
    dum_context *context = NULL;
    dum_scorer *scorer = NULL;
    if (argc != 2 || dum_context_create(NULL, &context) != DUM_OK ||
        dum_scorer_load(context, argv[1], &scorer) != DUM_OK) {
        fprintf(stderr, "usage: score_stream model.dum (%s)\n", dum_error_message());
        dum_context_destroy(context);
        return 2;
    }
    const int32_t cols = dum_scorer_cols(scorer);
    float *row = malloc((size_t)cols * sizeof *row);
    int status = row == NULL;
    while (status == 0 && read_row(row, cols)) {
        double score;
        if (dum_scorer_score(scorer, row, 1, cols, 0, &score) != DUM_OK) {
            fprintf(stderr, "%s\n", dum_error_message());
            status = 1;
        } else {
            printf("%.9g\n", score);
        }
    }
    free(row);
    dum_scorer_destroy(scorer);
    dum_context_destroy(context);
    return status;
}
