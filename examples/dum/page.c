/* SPDX-License-Identifier: MIT
 * The page of dum report. It needs nothing from elsewhere: no script, and style and pictures are in it. All text
 * from files goes through put_text, as names of columns and files may hold anything. */
#include "report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BINS = 48, LONGEST_NAME = 200, LISTED_COLUMNS = 100 };

static const char style[] =
    ":root{color-scheme:light dark;--back:#fff;--ink:#1d1d20;--dim:#66666d;--line:#dcdce0;--tint:#f9d9c9;\n"
    "--rows:#3b6fb6;--top:#c43d0b}\n"
    "@media(prefers-color-scheme:dark){:root{--back:#17181b;--ink:#e7e7ea;--dim:#a0a0a8;--line:#3a3b41;\n"
    "--tint:#5a2f1d;--rows:#7aa7e8;--top:#ff8a5c}}\n"
    "body{background:var(--back);color:var(--ink);font:15px/1.5 system-ui,sans-serif;max-width:60rem;\n"
    "margin:2rem auto;padding:0 1rem}\n"
    "h1,h2{line-height:1.2}h2{margin-top:2.5rem}h1,td,li{overflow-wrap:anywhere}\n"
    "p.note{color:var(--dim)}\n"
    "table{border-collapse:collapse}th,td{text-align:left;vertical-align:top;padding:.3rem 1rem .3rem 0;\n"
    "border-bottom:1px solid var(--line)}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}\n"
    "td ul{list-style:none;margin:0;padding:0}td ul li{padding:0 .4rem;margin-bottom:1px;\n"
    "background:linear-gradient(90deg,var(--tint) var(--share),transparent 0)}\n"
    "svg{width:100%;height:auto;font-size:12px}svg text{fill:var(--ink)}\n"
    ".axis{stroke:var(--ink);fill:none}.grid{stroke:var(--line)}.bar{fill:var(--rows)}\n"
    ".row{fill:var(--rows);fill-opacity:.45}.top{fill:var(--top);stroke:var(--back)}\n"
    ".limit{stroke:var(--top);stroke-width:2;stroke-dasharray:6 4}svg text.limit-text{fill:var(--top)}\n";

void put_text(FILE *file, const char *text, size_t most)
{
    for (size_t i = 0; text[i] != '\0'; i++) {
        const unsigned char c = (unsigned char)text[i];
        /* Not within a character of UTF-8. */
        if (i >= most && (c & 0xc0) != 0x80) {
            fputs("&hellip;", file);
            return;
        }
        if (c == '&' || c == '<' || c == '>' || c == '"' || c == '\'')
            fprintf(file, "&#%d;", c);
        else if (c < 0x20 || c == 0x7f)
            fputs("&#xfffd;", file);
        else
            fputc(c, file);
    }
}

/* The name of a column, or "column 3". */
static const char *column_label(const report *r, int32_t col, char buffer[32])
{
    const char *name = column_name(&r->in, col);
    if (name != NULL)
        return name;
    snprintf(buffer, 32, "column %d", col);
    return buffer;
}

/* bdi: a name that is written from right to left must not turn what stands around it. */
static void put_name(FILE *file, const char *name)
{
    fputs("<bdi>", file);
    put_text(file, name, LONGEST_NAME);
    fputs("</bdi>", file);
}

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

static void put_column(FILE *file, const report *r, int32_t col)
{
    char buffer[32];
    put_name(file, column_label(r, col, buffer));
}

/* ---- The scores --------------------------------------------------------------------------------- */

typedef struct {
    double least, most;
    int64_t count[BINS], tallest, infinite;
} histogram;

/* The threshold belongs to the range, so that it is seen. */
static histogram count_scores(const report *r)
{
    const int64_t n = dum_dataset_rows(r->in.data.dataset);
    histogram h = {.least = INFINITY, .most = -INFINITY};
    for (int64_t i = 0; i < n; i++) {
        h.infinite += !isfinite(r->scores[i]);
        if (isfinite(r->scores[i])) {
            h.least = fmin(h.least, r->scores[i]);
            h.most = fmax(h.most, r->scores[i]);
        }
    }
    if (h.infinite == n)
        return h;
    if (r->has_threshold && isfinite(r->threshold)) {
        h.least = fmin(h.least, r->threshold);
        h.most = fmax(h.most, r->threshold);
    }
    widen(&h.least, &h.most);
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(r->scores[i]))
            continue;
        const int at = (int)((r->scores[i] - h.least) / (h.most - h.least) * BINS);
        const int64_t count = ++h.count[at < BINS ? at : BINS - 1];
        h.tallest = count > h.tallest ? count : h.tallest;
    }
    return h;
}

/* The height is logarithmic: the few rows that matter would not be seen beside the many. */
static double height_of(double rows)
{
    return log1p(rows);
}

static void put_count_ticks(const plot *p, int64_t tallest)
{
    for (int64_t power = 1; power <= tallest; power *= 10) {
        plot_y_tick(p, height_of((double)power), (double)power);
        for (int64_t by = 2; by <= 5 && tallest < 100; by += 3)
            if (by * power <= tallest)
                plot_y_tick(p, height_of((double)(by * power)), (double)(by * power));
    }
}

static void put_bars(const plot *p, const histogram *h)
{
    const double step = (h->most - h->least) / BINS;
    for (int b = 0; b < BINS; b++) {
        if (h->count[b] == 0)
            continue;
        const double from = h->least + b * step, to = from + step,
                     top = plot_y(p, height_of((double)h->count[b]));
        fprintf(p->file,
                "<rect class=\"bar\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"><title>From %.4g to "
                "%.4g: %lld</title></rect>\n",
                plot_x(p, from) + 0.5, top, plot_x(p, to) - plot_x(p, from) - 1, plot_y(p, 0) - top, from, to,
                (long long)h->count[b]);
    }
}

static void put_threshold_line(const plot *p, const report *r)
{
    const double x = plot_x(p, r->threshold);
    const bool left = x > PLOT_WIDTH / 2.0;
    fprintf(p->file, "<path class=\"limit\" d=\"M%.1f %dV%d\"/>\n", x, PLOT_TOP, PLOT_HEIGHT - PLOT_BOTTOM);
    fprintf(p->file,
            "<text class=\"limit-text\" x=\"%.1f\" y=\"%d\" text-anchor=\"%s\">threshold %.4g</text>\n",
            left ? x - 6 : x + 6, PLOT_TOP + 10, left ? "end" : "start", r->threshold);
}

static void put_threshold_note(FILE *file, const report *r)
{
    fputs("<p id=\"threshold\">", file);
    if (r->has_threshold) {
        const double n = (double)dum_dataset_rows(r->in.data.dataset);
        fprintf(
            file,
            "Threshold at a false-alarm rate of %g: %.6g. %lld of the rows (%.3g %%) score above it; were all "
            "of them normal, %g %% would be expected at most.</p>\n",
            r->rate, r->threshold, (long long)r->above, 100 * (double)r->above / n, 100 * r->rate);
        return;
    }
    fprintf(file, "No threshold at a false-alarm rate of %g: ", r->rate);
    put_text(file, r->no_threshold, SIZE_MAX);
    fputs(".</p>\n", file);
}

static void put_scores(FILE *file, const report *r)
{
    const histogram h = count_scores(r);
    fputs("<h2>Scores</h2>\n", file);
    put_threshold_note(file, r);
    if (h.tallest > 0) {
        const plot p = {file, h.least, h.most, 0, height_of((double)h.tallest)};
        plot_begin(&p, "Histogram of the scores");
        plot_x_ticks(&p);
        put_count_ticks(&p, h.tallest);
        put_bars(&p, &h);
        if (r->has_threshold && isfinite(r->threshold))
            put_threshold_line(&p, r);
        plot_end(&p, "score (higher: more anomalous)", "rows (logarithmic)");
    }
    if (h.infinite > 0)
        fprintf(file, "<p class=\"note\">%lld rows with an infinite score are not drawn.</p>\n",
                (long long)h.infinite);
}

/* ---- The top rows ------------------------------------------------------------------------------- */

static void put_value(FILE *file, double value)
{
    if (isfinite(value))
        fprintf(file, "%.6g", value);
    else
        fputs("missing", file);
}

static void put_features(FILE *file, const report *r, const top_row *row)
{
    fputs("<td><ul>", file);
    for (int32_t k = 0; k < row->count; k++) {
        const feature *f = &row->features[k];
        const double percent = 100 * (double)f->share;
        fprintf(file, "<li style=\"--share:%.1f%%\">", fmin(percent, 100));
        put_column(file, r, f->col);
        fputs(" = ", file);
        put_value(file, (double)f->value);
        if (r->top.has_deviation)
            fprintf(file, " &plusmn; %.3g", (double)f->deviation);
        fprintf(file, " (%.3g %%)</li>", percent);
    }
    fputs("</ul></td>", file);
}

static void put_top_notes(FILE *file, const report *r)
{
    fputs("<p class=\"note\">Rows are numbered from 0.", file);
    if (r->top.has_p)
        fputs(" p: how often a normal row scores as high or higher.", file);
    if (r->top.has_shares) {
        fprintf(file,
                " Features: the value and, in brackets, the share of the score, for the %d largest shares. All "
                "of a "
                "row's shares sum to 100 %%; some kinds have negative ones among them.",
                TOP_FEATURES);
    } else {
        fputs(" Without features: ", file);
        put_text(file, r->top.reason, SIZE_MAX);
        fputs(".", file);
    }
    if (r->top.has_deviation)
        fputs(" Behind &plusmn;: the deviation that the model predicts, in the feature's unit.", file);
    fputs("</p>\n", file);
}

static void put_top(FILE *file, const report *r)
{
    const top_rows *top = &r->top;
    fputs("<h2>Top anomalies</h2>\n", file);
    put_top_notes(file, r);
    fprintf(file,
            "<table id=\"top\"><thead><tr><th class=\"n\">Row</th><th class=\"n\">Score</th>%s%s</tr></thead>"
            "<tbody>\n",
            top->has_p ? "<th class=\"n\">p</th>" : "", top->has_shares ? "<th>Features</th>" : "");
    for (int32_t i = 0; i < top->count; i++) {
        const top_row *row = &top->rows[i];
        fprintf(file, "<tr><td class=\"n\">%lld</td><td class=\"n\">%.6g</td>", (long long)row->row,
                row->score);
        if (top->has_p)
            fprintf(file, "<td class=\"n\">%.3g</td>", row->p);
        if (top->has_shares)
            put_features(file, r, row);
        fputs("</tr>\n", file);
    }
    fputs("</tbody></table>\n", file);
}

/* ---- The scatter plot --------------------------------------------------------------------------- */

static void find_range(const float *values, const float *others, int64_t n, double *least, double *most)
{
    *least = INFINITY;
    *most = -INFINITY;
    for (int64_t i = 0; i < n; i++) {
        if (isfinite(values[i]) && isfinite(others[i])) {
            *least = fmin(*least, (double)values[i]);
            *most = fmax(*most, (double)values[i]);
        }
    }
    widen(least, most);
    const double margin = 0.03 * (*most - *least);
    *least -= margin;
    *most += margin;
}

static bool is_drawn(const report *r, int64_t i)
{
    return isfinite(r->x[i]) && isfinite(r->y[i]);
}

static void put_points(const plot *p, const report *r)
{
    fputs("<g class=\"row\">\n", p->file);
    for (int64_t i = 0; i < r->drawn_count; i++)
        if (is_drawn(r, i))
            fprintf(p->file, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2\"/>\n", plot_x(p, (double)r->x[i]),
                    plot_y(p, (double)r->y[i]));
    fputs("</g>\n<g class=\"top\">\n", p->file);
    /* The highest last: it lies above the others. */
    for (int32_t k = r->top.count; k-- > 0;) {
        const top_row *row = &r->top.rows[k];
        const int64_t *at = bsearch(&row->row, r->drawn, (size_t)r->drawn_count, sizeof *r->drawn, by_number);
        if (at == NULL || !is_drawn(r, at - r->drawn))
            continue;
        fprintf(p->file,
                "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4.5\"><title>row %lld, score %.6g</title></circle>\n",
                plot_x(p, (double)r->x[at - r->drawn]), plot_y(p, (double)r->y[at - r->drawn]),
                (long long)row->row, row->score);
    }
    fputs("</g>\n", p->file);
}

static void put_scatter_note(FILE *file, const report *r, int64_t drawn)
{
    fprintf(file, "<p class=\"note\">%s The top anomalies are large",
            r->y_col < 0        ? "There is one feature."
            : r->top.has_shares ? "The features with the largest mean share of the top anomalies' scores."
                                : "The features in which the top anomalies lie furthest from the median.");
    if (r->drawn_count < dum_dataset_rows(r->in.data.dataset))
        fprintf(file, "; of the others, evenly chosen rows are drawn, %lld points in all", (long long)drawn);
    if (drawn < r->drawn_count)
        fprintf(file, "; %lld rows lack a value", (long long)(r->drawn_count - drawn));
    fputs(".</p>\n", file);
}

static void put_scatter(FILE *file, const report *r)
{
    int64_t drawn = 0;
    for (int64_t i = 0; i < r->drawn_count; i++)
        drawn += is_drawn(r, i);
    fputs("<h2>The most telling features</h2>\n", file);
    put_scatter_note(file, r, drawn);
    if (drawn == 0)
        return;
    plot p = {.file = file};
    find_range(r->x, r->y, r->drawn_count, &p.x_least, &p.x_most);
    find_range(r->y, r->x, r->drawn_count, &p.y_least, &p.y_most);
    char x_buffer[32], y_buffer[32];
    plot_begin(&p, "Rows in the plane of two features");
    plot_x_ticks(&p);
    plot_y_ticks(&p);
    put_points(&p, r);
    plot_end(&p, column_label(r, r->x_col, x_buffer),
             r->y_col >= 0 ? column_label(r, r->y_col, y_buffer) : "score");
}

/* ---- The model ---------------------------------------------------------------------------------- */

static void put_option(FILE *file, const dum_scorer *scorer, int32_t index)
{
    dum_param_info info;
    DUM_INIT(info);
    double number = 0;
    const char *text = NULL;
    if (dum_scorer_param_get(dum_scorer_kind(scorer), index, &info) != DUM_OK ||
        (info.type == DUM_PARAM_TEXT ? dum_scorer_get_text(scorer, info.name, &text)
                                     : dum_scorer_get_number(scorer, info.name, &number)) != DUM_OK)
        return;
    fputs("<tr><td>", file);
    put_text(file, info.name, SIZE_MAX);
    fputs("</td><td>", file);
    if (text != NULL)
        put_text(file, text, SIZE_MAX);
    else
        fprintf(file, "%.10g", number);
    fputs("</td><td>", file);
    put_text(file, info.help, SIZE_MAX);
    fputs("</td></tr>\n", file);
}

static void put_columns(FILE *file, const report *r)
{
    const int32_t cols = dum_scorer_cols(r->in.scorer);
    if (column_name(&r->in, 0) == NULL)
        return;
    fprintf(file, "<details><summary>Columns (%d)</summary><ol start=\"0\">\n", cols);
    for (int32_t j = 0; j < cols && j < LISTED_COLUMNS; j++) {
        fputs("<li>", file);
        put_column(file, r, j);
        fputs("</li>\n", file);
    }
    fputs("</ol>", file);
    if (cols > LISTED_COLUMNS)
        fprintf(file, "<p>and %d more</p>", cols - LISTED_COLUMNS);
    fputs("</details>\n", file);
}

static void put_model(FILE *file, const report *r)
{
    const dum_scorer *scorer = r->in.scorer;
    const long long calibration = dum_scorer_calibration_count(scorer);
    fputs("<h2>Model</h2>\n<table id=\"model\"><tbody>\n<tr><td>File</td><td>", file);
    put_name(file, file_name(r->args->model));
    fputs("</td></tr>\n<tr><td>Kind</td><td>", file);
    put_text(file, dum_scorer_kind(scorer), SIZE_MAX);
    fputs("</td></tr>\n<tr><td>Written by</td><td>", file);
    put_text(file, r->about.writer, SIZE_MAX);
    fprintf(file, "</td></tr>\n<tr><td>Columns</td><td>%d</td></tr>\n<tr><td>Calibration</td><td>",
            dum_scorer_cols(scorer));
    if (calibration > 0)
        fprintf(file, "on %lld rows that were held out</td></tr>\n", calibration);
    else
        fputs("none</td></tr>\n", file);
    fputs("<tr><td>SHA-256 of the tensors</td><td>", file);
    put_text(file, r->about.sha256, SIZE_MAX);
    fputs("</td></tr>\n</tbody></table>\n<details><summary>Options</summary><table><tbody>\n", file);
    for (int32_t i = 0; i < dum_scorer_param_count(dum_scorer_kind(scorer)); i++)
        put_option(file, scorer, i);
    fputs("</tbody></table></details>\n", file);
    put_columns(file, r);
}

/* ---- The page ----------------------------------------------------------------------------------- */

void put_page(FILE *file, const void *what)
{
    const report *r = what;
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
          "'unsafe-inline'\">\n"
          "<meta name=\"viewport\" content=\"width=device-width\">\n<title>Anomalies in ",
          file);
    put_text(file, file_name(r->args->data), LONGEST_NAME);
    fprintf(file, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<h1>Anomalies in ", style);
    put_name(file, file_name(r->args->data));
    fprintf(file, "</h1>\n<p>%lld rows of %d columns, scored by a model of kind ",
            (long long)dum_dataset_rows(r->in.data.dataset), dum_dataset_cols(r->in.data.dataset));
    put_text(file, dum_scorer_kind(r->in.scorer), SIZE_MAX);
    fputs(".</p>\n", file);
    put_scores(file, r);
    put_top(file, r);
    put_scatter(file, r);
    put_model(file, r);
    fprintf(file, "<p class=\"note\">Written by dum %s.</p>\n</body>\n</html>\n", dum_version());
}
