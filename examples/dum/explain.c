/* SPDX-License-Identifier: MIT
 * dum explain: which features made the highest scores, as CSV. */
#include "report.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    const inputs *in;
    const top_rows *top;
} explanation;

static void put_name(FILE *file, const inputs *in, int32_t col)
{
    const char *name = column_name(in, col);
    if (name == NULL) {
        fprintf(file, "%d", col);
        return;
    }
    fputc('"', file);
    for (; *name != '\0'; name++) {
        if (*name == '"')
            fputc('"', file);
        /* A terminal would obey control characters. */
        fputc((unsigned char)*name < 0x20 || *name == 0x7f ? '?' : *name, file);
    }
    fputc('"', file);
}

/* A line for each feature of each row. */
static void put_explanation(FILE *file, const void *what)
{
    const explanation *e = what;
    const top_rows *top = e->top;
    fprintf(file, "row,score%s,feature,value,share%s\n", top->has_p ? ",p" : "",
            top->has_deviation ? ",deviation" : "");
    for (int32_t i = 0; i < top->count; i++) {
        const top_row *row = &top->rows[i];
        for (int32_t k = 0; k < row->count; k++) {
            const feature *f = &row->features[k];
            fprintf(file, "%lld,%.17g,", (long long)row->row, row->score);
            if (top->has_p)
                fprintf(file, "%.17g,", row->p);
            put_name(file, e->in, f->col);
            fprintf(file, ",%.9g,%.6g", (double)f->value, (double)f->share);
            if (top->has_deviation)
                fprintf(file, ",%.6g", (double)f->deviation);
            fputc('\n', file);
        }
    }
}

static int explain_top(const arguments *args, const inputs *in)
{
    double *scores = score_inputs(args, in);
    if (scores == NULL)
        return TOOL_FAILED;
    top_rows top;
    int status = find_top(in, scores, args->top, &top);
    if (status == TOOL_OK && !top.has_shares)
        status = fail("%s cannot say which features made a score: %s", args->model, top.reason);
    if (status == TOOL_OK)
        status = write_output(args->out, put_explanation, &(explanation){in, &top});
    free_top(&top);
    free(scores);
    return status;
}

int command_explain(int argc, char **argv)
{
    static const char *const accepted[] = {"--data",         "--model",   "--out",    "--top",
                                           "--threads",      "--backend", "--header", "--no-header",
                                           "--label-column", "--quiet",   NULL};
    arguments args;
    int status = parse_arguments(argc, argv, accepted, 0, &args);
    if (status != TOOL_OK)
        return status;
    if (args.out != NULL && has_ending(args.out, ".npy")) {
        complain("--out is %s, expected a name for CSV: features are text, which .npy has no place for",
                 args.out);
        return TOOL_USAGE;
    }
    inputs in;
    status = open_inputs(&args, &in);
    if (status == TOOL_OK)
        status = explain_top(&args, &in);
    close_inputs(&in);
    return finish_output(status);
}
