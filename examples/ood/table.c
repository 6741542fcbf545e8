/* SPDX-License-Identifier: MIT
 * The table, for people and for programs. */
#include "ood.h"

#include <errno.h>
#include <string.h>

static bool open_file(const char *path, FILE **out)
{
    *out = fopen(path, "w");
    if (*out == NULL)
        fprintf(stderr, "dum: cannot write %s: %s\n", path, strerror(errno));
    return *out != NULL;
}

static bool close_file(const char *path, FILE *file)
{
    const bool written = fflush(file) == 0 && ferror(file) == 0;
    const bool closed = fclose(file) == 0;
    if (!written || !closed)
        fprintf(stderr, "dum: cannot write %s\n", path);
    return written && closed;
}

static void put_cell(FILE *file, const dum_estimate *e)
{
    fprintf(file, " %.3f (%.3f to %.3f) |", e->value, e->low, e->high);
}

bool write_markdown(const experiment *e, const result *results, const char *path)
{
    FILE *file;
    if (!open_file(path, &file))
        return false;
    fputs("| out-of-distribution set | encoder | method | AUROC | AP | FPR95 |\n|---|---|---|---|---|---|\n",
          file);
    for (int32_t s = 0; s < e->args->sets; s++)
        for (int i = 0; i < method_count; i++) {
            const method *by = results[i].by;
            fprintf(file, "| %s (%s) | %s | %s |", e->out[s].name, e->out[s].far ? "far" : "near",
                    encoder_name(by->encoder), by->name);
            put_cell(file, &results[i].auroc[s]);
            put_cell(file, &results[i].precision[s]);
            put_cell(file, &results[i].fpr[s]);
            fputc('\n', file);
        }
    return close_file(path, file);
}

/* Names are the caller's own: what JSON has to escape is escaped. */
static void put_text(FILE *file, const char *name, const char *value)
{
    fprintf(file, "\"%s\": \"", name);
    for (; *value != '\0'; value++) {
        if ((unsigned char)*value < 0x20)
            fprintf(file, "\\u%04x", (unsigned)*value);
        else
            fprintf(file, *value == '"' || *value == '\\' ? "\\%c" : "%c", *value);
    }
    fputc('"', file);
}

static void put_estimate(FILE *file, const char *name, const dum_estimate *e)
{
    fprintf(file, ", \"%s\": [%.6g, %.6g, %.6g]", name, e->value, e->low, e->high);
}

static void put_result(FILE *file, const experiment *e, const result *r, int32_t s)
{
    fputs("    {", file);
    put_text(file, "set", e->out[s].name);
    fprintf(file, ", \"distance\": \"%s\", ", e->out[s].far ? "far" : "near");
    put_text(file, "encoder", encoder_name(r->by->encoder));
    fputs(", ", file);
    put_text(file, "method", r->by->name);
    fputs(", ", file);
    put_text(file, "scorer", r->by->kind);
    fputs(", ", file);
    put_text(file, "output", r->by->output);
    put_estimate(file, "auroc", &r->auroc[s]);
    put_estimate(file, "average_precision", &r->precision[s]);
    put_estimate(file, "fpr95", &r->fpr[s]);
    fprintf(file, ", \"seconds\": %.2f}", r->seconds);
}

bool write_json(const experiment *e, const result *results, const char *path)
{
    FILE *file;
    if (!open_file(path, &file))
        return false;
    fprintf(file, "{\"libdum\": \"%s\", \"train_rows\": %lld, \"test_rows\": %lld,\n", dum_version(),
            (long long)e->train.rows, (long long)e->test.rows);
    fputs(" \"training_seconds\": {", file);
    for (int which = 0; which < ENCODERS; which++)
        fprintf(file, "\"%s\": %.1f%s", encoder_name(which), e->seconds[which],
                which + 1 < ENCODERS ? ", " : "},\n");
    fputs(" \"results\": [\n", file);
    for (int32_t s = 0; s < e->args->sets; s++)
        for (int i = 0; i < method_count; i++) {
            put_result(file, e, &results[i], s);
            fputs(s + 1 < e->args->sets || i + 1 < method_count ? ",\n" : "\n", file);
        }
    fputs("]}\n", file);
    return close_file(path, file);
}
