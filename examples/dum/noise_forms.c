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

static void put_legend(FILE *file)
{
    fputs("<text x=\"140\" y=\"18\">severity</text>\n", file);
    for (int k = 0; k < SEVERITIES; k++)
        fprintf(file,
                "<circle class=\"dot\" cx=\"%d\" cy=\"14\" r=\"5\" fill-opacity=\"%.2f\"/><text x=\"%d\" "
                "y=\"18\">%d</text>\n",
                205 + 40 * k, 0.2 * k + 0.1, 214 + 40 * k, k + 1);
    fputs("<path class=\"all\" d=\"M420 6V22\"/><text x=\"428\" y=\"18\">all severities</text>\n", file);
}

static void put_mark(FILE *file, double x, double y)
{
    fprintf(file, "<path class=\"all\" d=\"M%.1f %.1fV%.1f\"/>\n", x, y - 8, y + 8);
}

static void put_line(FILE *file, const noise_row *row, double least, double y)
{
    fprintf(file, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", LEFT - 10, y + 4, row->name);
    for (int32_t k = 0; k < SEVERITIES; k++)
        fprintf(
            file,
            "<circle class=\"dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"5\" fill-opacity=\"%.2f\"><title>%s, severity "
            "%d: %.3f</title></circle>\n",
            at(least, row->severity[k].auroc), y, 0.2 * k + 0.1, row->name, k + 1, row->severity[k].auroc);
    put_mark(file, at(least, row->all.auroc), y);
}

void put_noise_svg(FILE *file, const void *what)
{
    const noise *n = what;
    const double least = least_auroc(n);
    const int bottom = TOP + LINE * (n->count + 1);
    fprintf(file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\">\n<title>Which "
            "corruptions of images are noticed</title>\n<style>\n%s</style>\n"
            "<rect class=\"back\" width=\"100%%\" height=\"100%%\"/>\n",
            WIDTH, bottom + BOTTOM, style);
    put_scale(file, least, bottom);
    put_legend(file);
    fprintf(file, "<text class=\"dim\" x=\"%d\" y=\"%d\" text-anchor=\"end\">none</text>\n", LEFT - 10,
            TOP + LINE / 2 + 4);
    put_mark(file, at(least, n->none.auroc), TOP + LINE / 2.0);
    for (int32_t i = 0; i < n->count; i++)
        put_line(file, &n->rows[i], least, TOP + LINE * (i + 1.5));
    fputs("</svg>\n", file);
}
