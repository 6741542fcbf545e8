/* SPDX-License-Identifier: MIT
 * Tables in, and models to score them. */
#include "tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool has_ending(const char *path, const char *ending)
{
    const size_t length = strlen(path), wanted = strlen(ending);
    return length >= wanted && strcmp(path + length - wanted, ending) == 0;
}

char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fail("cannot open \"%s\": %s", path, strerror(errno));
        return NULL;
    }
    char *text = NULL;
    size_t capacity = 1 << 16, used = 0;
    bool whole = false;
    for (;;) {
        char *larger = realloc(text, capacity + 1);
        if (larger == NULL)
            break;
        text = larger;
        used += fread(text + used, 1, capacity - used, file);
        if (used < capacity) {
            whole = ferror(file) == 0;
            break;
        }
        capacity *= 2;
    }
    fclose(file);
    if (!whole) {
        fail("cannot read %s: %s", path, strerror(errno));
        free(text);
        return NULL;
    }
    text[used] = '\0';
    *size = used;
    return text;
}

int load_csv(const char *path, int header, bool doubles, const char *label, csv_table *table)
{
    char message[256];
    size_t size;
    char *text = read_file(path, &size);
    if (text == NULL)
        return TOOL_FAILED;
    const bool parsed = doubles ? csv_parse_double(text, size, header, table, message)
                                : csv_parse_labelled(text, size, header, label, table, message);
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
    int status = load_csv(path, args->header, false, args->label_column, &out->table);
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

int open_model(const arguments *args, inputs *in)
{
    memset(in, 0, sizeof *in);
    int status = require_argument(args->model, "--model");
    if (status == TOOL_OK)
        status = open_context(args, &in->context);
    if (status == TOOL_OK && dum_scorer_load(in->context, args->model, &in->scorer) != DUM_OK)
        status = fail_library(args->model);
    return status;
}

int open_inputs(const arguments *args, inputs *in)
{
    memset(in, 0, sizeof *in);
    int status = require_argument(args->data, "--data");
    if (status == TOOL_OK)
        status = open_model(args, in);
    if (status == TOOL_OK)
        status = load_data(in->context, args->data, args, &in->data);
    return status;
}

void close_inputs(inputs *in)
{
    free_data(&in->data);
    dum_scorer_destroy(in->scorer);
    dum_context_destroy(in->context);
}

double *score_inputs(const arguments *args, const inputs *in)
{
    double *scores = malloc((size_t)dum_dataset_rows(in->data.dataset) * sizeof *scores);
    if (scores == NULL) {
        complain("out of memory");
    } else if (dum_scorer_score_dataset(in->scorer, in->data.dataset, scores) != DUM_OK) {
        fail_library(args->data);
        free(scores);
        scores = NULL;
    }
    return scores;
}
