/* SPDX-License-Identifier: MIT
 * dum noise as Markdown, JSON and SVG. */
#include "noise.h"

#include <math.h>
#include <string.h>

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

/* ---- Markdown ----------------------------------------------------------------------------- */

/* Also where it is smaller than a double can be. */
static void put_p(FILE *file, const comparison *c)
{
    if (isnan(c->p))
        fputs("-", file);
    else if (c->log10_p > -300)
        fprintf(file, "%.2g", c->p);
    else if (isfinite(c->log10_p))
        fprintf(file, "1e%.0f", c->log10_p);
    else
        fputs("0", file);
}

static void put_row(FILE *file, const char *name, const comparison *c)
{
    fprintf(file, "| %s | ", name);
    put_p(file, c);
    fprintf(file, " | %.3f (%.3f to %.3f) | %.2f |", c->auroc, c->auroc_low, c->auroc_high, c->d);
}

/* A name of a file may hold anything: in Markdown only what is harmless of it. */
static void put_name(FILE *file, const char *path)
{
    for (const char *at = file_name(path); *at != '\0'; at++)
        fputc(strchr("`|<>&\\", *at) != NULL || (unsigned char)*at < 0x20 ? '?' : *at, file);
}

void put_noise_markdown(FILE *file, const void *what)
{
    const noise *n = what;
    fputs("Model ", file);
    put_name(file, n->args->file);
    fprintf(file, ": %lld images of ", (long long)n->a.rows);
    put_name(file, n->args->files[1]);
    fprintf(file, ", corrupted, against the same as they are; none: %lld of ", (long long)n->b.rows);
    put_name(file, n->args->files[2]);
    fputs(".\n\n| corruption | p, all severities | AUROC, all (95 % interval) | d, all | AUROC, severity 1 | 2 "
          "| 3 | "
          "4 | 5 |\n|---|---|---|---|---|---|---|---|---|\n",
          file);
    put_row(file, "none", &n->none);
    fputs(" | | | | |\n", file);
    for (int32_t i = 0; i < n->count; i++) {
        put_row(file, n->rows[i].name, &n->rows[i].all);
        for (int32_t k = 0; k < SEVERITIES; k++)
            fprintf(file, " %.3f |", n->rows[i].severity[k].auroc);
        fputc('\n', file);
    }
    fputs("\n| p of the t-test | severity 1 | 2 | 3 | 4 | 5 |\n|---|---|---|---|---|---|\n", file);
    for (int32_t i = 0; i < n->count; i++) {
        fprintf(file, "| %s |", n->rows[i].name);
        for (int32_t k = 0; k < SEVERITIES; k++) {
            fputc(' ', file);
            put_p(file, &n->rows[i].severity[k]);
            fputs(" |", file);
        }
        fputc('\n', file);
    }
}

/* ---- JSON --------------------------------------------------------------------------------- */

static void put_member(FILE *file, const char *name, double value, const char *end)
{
    if (isfinite(value))
        fprintf(file, "\"%s\": %.17g%s", name, value, end);
    else
        fprintf(file, "\"%s\": null%s", name, end);
}

static void put_comparison(FILE *file, const comparison *c)
{
    fputc('{', file);
    put_member(file, "mean", c->mean, ", ");
    put_member(file, "p", c->p, ", ");
    put_member(file, "log10_p", c->log10_p, ", ");
    put_member(file, "cohens_d", c->d, ", ");
    put_member(file, "auroc", c->auroc, ", ");
    put_member(file, "auroc_low", c->auroc_low, ", ");
    put_member(file, "auroc_high", c->auroc_high, "}");
}

void put_noise_json(FILE *file, const void *what)
{
    const noise *n = what;
    fprintf(file, "{\"n_a\": %lld, \"n_b\": %lld, ", (long long)n->a.rows, (long long)n->b.rows);
    put_member(file, "mean", n->clean_mean, ",\n \"none\": ");
    put_comparison(file, &n->none);
    fputs(",\n \"corruptions\": [", file);
    for (int32_t i = 0; i < n->count; i++) {
        fprintf(file, "%s\n  {\"name\": \"%s\", \"all\": ", i > 0 ? "," : "", n->rows[i].name);
        put_comparison(file, &n->rows[i].all);
        fputs(", \"severities\": [", file);
        for (int32_t k = 0; k < SEVERITIES; k++) {
            fputs(k > 0 ? ",\n   " : "\n   ", file);
            put_comparison(file, &n->rows[i].severity[k]);
        }
        fputs("]}", file);
    }
    fputs("\n ]}\n", file);
}

/* ---- Delays ------------------------------------------------------------------------------- */

static void put_rows(FILE *file, double rows, const char *end)
{
    if (isfinite(rows))
        fprintf(file, "%.0f%s", rows, end);
    else
        fprintf(file, "-%s", end);
}

static void put_delay(FILE *file, const delay *d)
{
    put_rows(file, d->median, isfinite(d->median) ? ", " : " |");
    if (isfinite(d->median))
        put_rows(file, d->quantile_90, " |");
}

static int64_t delay_streams(const noise *n)
{
    return (int64_t)n->args->streams * DELAY_TESTS * (SEVERITIES * n->count + 1);
}

void put_delays_markdown(FILE *file, const void *what)
{
    const noise *n = what;
    fputs("Model ", file);
    put_name(file, n->args->file);
    fprintf(
        file,
        ": rows from the corruption to the alarm, median and 90 %% quantile of %d streams (-: not within %d "
        "rows). none: from images of ",
        n->args->streams, DELAY_AFTER);
    put_name(file, n->args->files[1]);
    fputs(" to those of ", file);
    put_name(file, n->args->files[2]);
    fprintf(file, ". False alarms in the %d clean rows before, in all %lld streams: %lld.\n", DELAY_BEFORE,
            (long long)delay_streams(n), (long long)n->false_alarms);
    for (int32_t t = 0; t < DELAY_TESTS; t++) {
        fprintf(file, "\n| %s | severity 1 | 2 | 3 | 4 | 5 |\n|---|---|---|---|---|---|\n| none | ",
                delay_tests[t]);
        put_delay(file, &n->none_delays[t]);
        fputs(" | | | |\n", file);
        for (int32_t i = 0; i < n->count; i++) {
            fprintf(file, "| %s |", n->rows[i].name);
            for (int32_t k = 0; k < SEVERITIES; k++) {
                fputc(' ', file);
                put_delay(file, &n->rows[i].delays[k][t]);
            }
            fputc('\n', file);
        }
    }
}

static void put_delay_member(FILE *file, const delay *d)
{
    fprintf(file, "{\"found\": %d, ", d->found);
    put_member(file, "median", d->median, ", ");
    put_member(file, "quantile_90", d->quantile_90, "}");
}

void put_delays_json(FILE *file, const void *what)
{
    const noise *n = what;
    fprintf(file,
            "{\"streams\": %d, \"rows_before\": %d, \"rows_after\": %d, \"all_streams\": %lld, "
            "\"false_alarms\": %lld,\n \"none\": {",
            n->args->streams, DELAY_BEFORE, DELAY_AFTER, (long long)delay_streams(n),
            (long long)n->false_alarms);
    for (int32_t t = 0; t < DELAY_TESTS; t++) {
        fprintf(file, "%s\"%s\": ", t > 0 ? ", " : "", delay_tests[t]);
        put_delay_member(file, &n->none_delays[t]);
    }
    fputs("},\n \"corruptions\": [", file);
    for (int32_t i = 0; i < n->count; i++) {
        fprintf(file, "%s\n  {\"name\": \"%s\"", i > 0 ? "," : "", n->rows[i].name);
        for (int32_t t = 0; t < DELAY_TESTS; t++) {
            fprintf(file, ",\n   \"%s\": [", delay_tests[t]);
            for (int32_t k = 0; k < SEVERITIES; k++) {
                fputs(k > 0 ? ", " : "", file);
                put_delay_member(file, &n->rows[i].delays[k][t]);
            }
            fputc(']', file);
        }
        fputc('}', file);
    }
    fputs("\n ]}\n", file);
}

/* ---- SVG ---------------------------------------------------------------------------------- */

enum { WIDTH = 720, LEFT = 140, RIGHT = 20, TOP = 48, LINE = 24, BOTTOM = 40 };

static const char style[] =
    "svg{color-scheme:light dark;--ink:#1d1d20;--dim:#66666d;--line:#dcdce0;--rows:#3b6fb6;--back:#fff}\n"
    "@media(prefers-color-scheme:dark){svg{--ink:#e7e7ea;--dim:#a0a0a8;--line:#3a3b41;--rows:#7aa7e8;"
    "--back:#17181b}}\n"
    "text{fill:var(--ink);font:12px system-ui,sans-serif}.dim{fill:var(--dim)}.back{fill:var(--back)}\n"
    ".grid{stroke:var(--line)}.null{stroke:var(--dim);stroke-dasharray:4 3}\n"
    ".dot{fill:var(--rows);stroke:var(--rows)}.all{stroke:var(--ink);stroke-width:2}\n";

/* The scale begins at 0.3, or at the next tenth below the least. */
static double least_auroc(const noise *n)
{
    double least = fmin(0.3, n->none.auroc);
    for (int32_t i = 0; i < n->count; i++)
        for (int32_t k = 0; k < SEVERITIES; k++)
            least = fmin(least, n->rows[i].severity[k].auroc);
    return floor(10 * least) / 10;
}

static double at(double least, double auroc)
{
    return LEFT + (auroc - least) / (1 - least) * (WIDTH - LEFT - RIGHT);
}

static void put_scale(FILE *file, double least, int bottom)
{
    for (int tenth = (int)(10 * least + 0.5); tenth <= 10; tenth++) {
        const double x = at(least, tenth / 10.0);
        fprintf(file,
                "<path class=\"%s\" d=\"M%.1f %dV%d\"/><text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.1f"
                "</text>\n",
                tenth == 5 ? "null" : "grid", x, TOP - 8, bottom, x, bottom + 16, tenth / 10.0);
    }
    fprintf(file,
            "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">AUROC: how often a corrupted image scores higher "
            "than a clean one</text>\n",
            (LEFT + WIDTH - RIGHT) / 2, bottom + 34);
}

static void put_head(FILE *file, int width, int height, const char *title)
{
    fprintf(file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\">\n<title>%s</title>\n"
            "<style>\n%s</style>\n<rect class=\"back\" width=\"100%%\" height=\"100%%\"/>\n",
            width, height, title, style);
}

static void put_label(FILE *file, const char *name, double y)
{
    fprintf(file, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", LEFT - 10, y + 4, name);
}

/* title: of the dot. */
static void put_dot(FILE *file, double x, double y, int32_t severity, const char *title)
{
    fprintf(file,
            "<circle class=\"dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"5\" fill-opacity=\"%.2f\"><title>%s, severity %d"
            "</title></circle>\n",
            x, y, 0.2 * severity + 0.1, title, severity + 1);
}

static void put_legend(FILE *file)
{
    fputs("<text x=\"140\" y=\"18\">severity</text>\n", file);
    for (int k = 0; k < SEVERITIES; k++)
        fprintf(file,
                "<circle class=\"dot\" cx=\"%d\" cy=\"14\" r=\"5\" fill-opacity=\"%.2f\"/><text x=\"%d\" "
                "y=\"18\">%d</text>\n",
                205 + 40 * k, 0.2 * k + 0.1, 214 + 40 * k, k + 1);
}

static void put_mark(FILE *file, double x, double y)
{
    fprintf(file, "<path class=\"all\" d=\"M%.1f %.1fV%.1f\"/>\n", x, y - 8, y + 8);
}

static void put_line(FILE *file, const noise_row *row, double least, double y)
{
    put_label(file, row->name, y);
    for (int32_t k = 0; k < SEVERITIES; k++) {
        char title[96];
        snprintf(title, sizeof title, "%s: %.3f", row->name, row->severity[k].auroc);
        put_dot(file, at(least, row->severity[k].auroc), y, k, title);
    }
    put_mark(file, at(least, row->all.auroc), y);
}

void put_noise_svg(FILE *file, const void *what)
{
    const noise *n = what;
    const double least = least_auroc(n);
    const int bottom = TOP + LINE * (n->count + 1);
    put_head(file, WIDTH, bottom + BOTTOM, "Which corruptions of images are noticed");
    put_scale(file, least, bottom);
    put_legend(file);
    fputs("<path class=\"all\" d=\"M420 6V22\"/><text x=\"428\" y=\"18\">all severities</text>\n", file);
    fprintf(file, "<text class=\"dim\" x=\"%d\" y=\"%d\" text-anchor=\"end\">none</text>\n", LEFT - 10,
            TOP + LINE / 2 + 4);
    put_mark(file, at(least, n->none.auroc), TOP + LINE / 2.0);
    for (int32_t i = 0; i < n->count; i++)
        put_line(file, &n->rows[i], least, TOP + LINE * (i + 1.5));
    fputs("</svg>\n", file);
}

enum { PANEL = 260, GAP = 24, DECADES = 4 };

/* Logarithmic, from one row to DELAY_AFTER; what was not found stands behind that. */
static double delay_at(int32_t panel, double rows)
{
    const double left = LEFT + panel * (PANEL + GAP), width = PANEL - 44;
    return isfinite(rows) ? left + log10(rows) / DECADES * width : left + PANEL - 8;
}

static void put_panel(FILE *file, int32_t panel, int bottom)
{
    fprintf(file, "<text x=\"%.1f\" y=\"%d\">%s</text>\n", delay_at(panel, 1), TOP - 14, delay_tests[panel]);
    for (int decade = 0; decade <= DECADES; decade++) {
        const double x = delay_at(panel, pow(10, decade));
        fprintf(file,
                "<path class=\"grid\" d=\"M%.1f %dV%d\"/><text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.0f"
                "</text>\n",
                x, TOP - 8, bottom, x, bottom + 16, pow(10, decade));
    }
    fprintf(file, "<text class=\"dim\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">-</text>\n",
            delay_at(panel, INFINITY), bottom + 16);
}

void put_delays_svg(FILE *file, const void *what)
{
    const noise *n = what;
    const int bottom = TOP + LINE * n->count, width = LEFT + DELAY_TESTS * (PANEL + GAP);
    put_head(file, width, bottom + BOTTOM, "How soon corruptions raise the alarm");
    put_legend(file);
    for (int32_t t = 0; t < DELAY_TESTS; t++)
        put_panel(file, t, bottom);
    fprintf(file,
            "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">rows from the change to the alarm, median (-: not "
            "within %d)</text>\n",
            (LEFT + width) / 2, bottom + 34, DELAY_AFTER);
    for (int32_t i = 0; i < n->count; i++) {
        const double y = TOP + LINE * (i + 0.5);
        put_label(file, n->rows[i].name, y);
        for (int32_t cell = 0; cell < SEVERITIES * DELAY_TESTS; cell++) {
            const int32_t k = cell / DELAY_TESTS, t = cell % DELAY_TESTS;
            const double rows = n->rows[i].delays[k][t].median;
            char title[96];
            if (isfinite(rows))
                snprintf(title, sizeof title, "%s: %.0f", n->rows[i].name, rows);
            else
                snprintf(title, sizeof title, "%s: not found", n->rows[i].name);
            put_dot(file, delay_at(t, rows), y, k, title);
        }
    }
    fputs("</svg>\n", file);
}
