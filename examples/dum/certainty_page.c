/* SPDX-License-Identifier: MIT
 * The page of dum certainty. It needs nothing from elsewhere: style and images are in it. Text from files goes through
 * put_text. */
#define _POSIX_C_SOURCE 200809L
#include "certainty.h"
#include "png.h"
#include "report.h"

#include <stdlib.h>
#include <string.h>

static const char style[] =
    ":root{color-scheme:light dark;--back:#fff;--ink:#1d1d20;--dim:#66666d;--line:#dcdce0}\n"
    "@media(prefers-color-scheme:dark){:root{--back:#17181b;--ink:#e7e7ea;--dim:#a0a0a8;--line:#3a3b41}}\n"
    "body{background:var(--back);color:var(--ink);font:15px/1.5 system-ui,sans-serif;max-width:60rem;\n"
    "margin:2rem auto;padding:0 1rem}\n"
    "h1,h2,h3{line-height:1.2}h2{margin-top:2.5rem}h1,td{overflow-wrap:anywhere}p.note{color:var(--dim)}\n"
    "table{border-collapse:collapse}th,td{text-align:left;padding:.3rem 1rem .3rem 0;\n"
    "border-bottom:1px solid var(--line)}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}\n"
    ".images{display:flex;flex-wrap:wrap;gap:.5rem}figure{margin:0}\n"
    "figcaption{font-size:11px;line-height:1.3;color:var(--dim);font-variant-numeric:tabular-nums}\n"
    "img{display:block;image-rendering:pixelated}\n";

/* ---- Images in the page --------------------------------------------------------------------- */

static void put_base64(FILE *file, const unsigned char *bytes, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        const size_t left = size - i;
        const unsigned word = (unsigned)bytes[i] << 16 | (left > 1 ? (unsigned)bytes[i + 1] << 8 : 0) |
                              (left > 2 ? (unsigned)bytes[i + 2] : 0);
        fputc(digits[word >> 18], file);
        fputc(digits[word >> 12 & 63], file);
        fputc(left > 1 ? digits[word >> 6 & 63] : '=', file);
        fputc(left > 2 ? digits[word & 63] : '=', file);
    }
}

static void put_png_text(FILE *file, const png_picture *picture)
{
    char *bytes = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&bytes, &size);
    if (memory != NULL) {
        put_png(memory, picture);
        fclose(memory);
        put_base64(file, (const unsigned char *)bytes, size);
    }
    free(bytes);
}

static void put_image(FILE *file, const certainty *c, const loaded_images *images, int64_t row, double score)
{
    const int64_t pixels = (int64_t)images->height * images->width;
    uint8_t *colours = malloc(3 * (size_t)pixels);
    if (colours == NULL)
        return;
    for (int64_t i = 0; i < 3 * pixels; i++)
        colours[i] = image_element(images, row, i / 3 / images->width, i / 3 % images->width, (int)(i % 3));
    fputs("<figure><img src=\"data:image/png;base64,", file);
    put_png_text(file, &(png_picture){colours, images->height, images->width});
    fprintf(file,
            "\" width=\"%d\" height=\"%d\" alt=\"%s %lld\"><figcaption>%lld<br>%.3f</figcaption></figure>\n",
            images->width * c->scale, images->height * c->scale, images == &c->views ? "view" : "image",
            (long long)row, (long long)row, score);
    free(colours);
}

static void put_side(FILE *file, const certainty *c, const ranking *r, int64_t most, bool certain)
{
    fprintf(file, "<h3>%s certain</h3>\n<div class=\"images\">\n", certain ? "Most" : "Least");
    for (int64_t i = 0; i < shown(r, most); i++) {
        const int64_t row = ranked(r, certain, i);
        put_image(file, c, r->images, row, r->scores[row]);
    }
    fputs("</div>\n", file);
}

static void put_sides(FILE *file, const certainty *c, const ranking *r, int64_t most)
{
    put_side(file, c, r, most, true);
    put_side(file, c, r, most, false);
}

/* ---- The parts ------------------------------------------------------------------------------ */

static void put_views(FILE *file, const certainty *c)
{
    const int32_t row = c->args->row;
    fprintf(file,
            "<h2>Views of one image</h2>\n<p>%lld random views of image %d, which itself scores %.3f:</p>\n"
            "<div class=\"images\">\n",
            (long long)c->views.rows, row, c->scores[row]);
    put_image(file, c, &c->images, row, c->scores[row]);
    fputs("</div>\n", file);
    put_sides(file, c, &c->all_views, (int64_t)LINES * c->top);
}

static void put_steps(FILE *file, const certainty *c)
{
    fprintf(
        file,
        "<h2>What makes an image uncertain</h2>\n<p>Each step of a random view alone, on %lld images. d: how "
        "far the mean moves, in standard deviations. AUROC: how often an image with the step scores higher "
        "than "
        "one without; 0.5 = alike.</p>\n<table id=\"steps\"><thead><tr><th>Images</th><th class=\"n\">mean "
        "score</th><th class=\"n\">d</th><th class=\"n\">AUROC</th></tr></thead><tbody>\n"
        "<tr><td>as they are</td><td class=\"n\">%.3f</td><td></td><td></td></tr>\n",
        (long long)c->step_rows, c->plain_mean);
    for (int i = 0; i < VIEW_STEPS; i++)
        fprintf(
            file,
            "<tr><td>%s</td><td class=\"n\">%.3f</td><td class=\"n\">%.2f</td><td class=\"n\">%.3f</td></tr>\n",
            c->steps[i].name, c->steps[i].mean, c->steps[i].d, c->steps[i].auroc);
    fputs("</tbody></table>\n", file);
}

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

static void put_beginning(FILE *file, const certainty *c)
{
    const char *name = file_name(c->args->files[1]);
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src "
          "'unsafe-inline'\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<title>Certainty of ",
          file);
    put_text(file, name, 200);
    fprintf(file, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<h1>Certainty of ", style);
    put_text(file, name, 200);
    fprintf(file, "</h1>\n<p>%lld images of %d x %d x %d, scored by a model of kind ",
            (long long)c->images.rows, c->images.height, c->images.width, c->images.channels);
    put_text(file, dum_scorer_kind(c->model.scorer), SIZE_MAX);
    fputs(" on an encoder of kind ", file);
    put_text(file, dum_encoder_kind(c->model.encoder), SIZE_MAX);
    fputs(" (", file);
    put_text(file, file_name(c->args->file), 200);
    fputs(").</p>\n<p class=\"note\">Below each image: its number, from 0, and its score; the lower, the more "
          "certain is the model of the embedding.</p>\n",
          file);
}

void put_certainty_page(FILE *file, const void *what)
{
    const certainty *c = what;
    put_beginning(file, c);
    fputs("<h2>All images</h2>\n", file);
    put_sides(file, c, &c->all, (int64_t)LINES * c->top);
    if (c->views.rows > 0)
        put_views(file, c);
    put_steps(file, c);
    for (int32_t k = 0; k < c->class_count; k++) {
        const ranking *r = &c->classes[k];
        fprintf(file, "<h2>Class %d</h2>\n<p>%lld images, mean score %.3f.</p>\n", r->label,
                (long long)r->count, mean_score(r));
        put_sides(file, c, r, c->top);
    }
    fprintf(file, "<p class=\"note\">Written by dum %s.</p>\n</body>\n</html>\n", dum_version());
}

/* ---- Beside the page ------------------------------------------------------------------------ */

void put_certainty_scores(FILE *file, const void *what)
{
    const certainty *c = what;
    fprintf(file, "row%s,score\n", c->labels != NULL ? ",label" : "");
    for (int64_t i = 0; i < c->images.rows; i++) {
        fprintf(file, "%lld,", (long long)i);
        if (c->labels != NULL)
            fprintf(file, "%d,", c->labels[i]);
        fprintf(file, "%.17g\n", c->scores[i]);
    }
}

static void put_summary_views(FILE *file, const certainty *c)
{
    const ranking *r = &c->all_views;
    int64_t above = 0;
    for (int64_t i = 0; i < r->count; i++)
        above += r->scores[i] > c->scores[c->args->row];
    fprintf(file,
            "\n%lld random views of image %d: %lld score higher than the image itself (%.3f); %.3f to %.3f.\n",
            (long long)r->count, c->args->row, (long long)above, c->scores[c->args->row],
            r->scores[ranked(r, true, 0)], r->scores[ranked(r, false, 0)]);
}

void put_certainty_summary(FILE *file, const void *what)
{
    const certainty *c = what;
    fprintf(file, "| %lld images | mean score | d | AUROC |\n|---|---|---|---|\n| as they are | %.3f | | |\n",
            (long long)c->step_rows, c->plain_mean);
    for (int i = 0; i < VIEW_STEPS; i++)
        fprintf(file, "| %s | %.3f | %.2f | %.3f |\n", c->steps[i].name, c->steps[i].mean, c->steps[i].d,
                c->steps[i].auroc);
    if (c->views.rows > 0)
        put_summary_views(file, c);
    if (c->class_count > 0)
        fputs("\n| class | images | mean score | most certain | least certain |\n|---|---|---|---|---|\n",
              file);
    for (int32_t k = 0; k < c->class_count; k++) {
        const ranking *r = &c->classes[k];
        fprintf(file, "| %d | %lld | %.3f | %.3f | %.3f |\n", r->label, (long long)r->count, mean_score(r),
                r->scores[ranked(r, true, 0)], r->scores[ranked(r, false, 0)]);
    }
}
