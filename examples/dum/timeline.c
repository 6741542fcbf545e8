/* SPDX-License-Identifier: MIT
 * A replay as a picture: scores, the statistic beside its threshold, alarms. Its memory does not grow with the rows:
 * each column of the picture stands for as many rows as there have to be. */
#include "report.h"

#include <math.h>

static const char style[] =
    "svg{font:12px sans-serif}.axis{stroke:#1d1d20;fill:none}.grid{stroke:#dcdce0}\n"
    ".range{stroke:#3b6fb6;stroke-opacity:.35}.line{stroke:#3b6fb6;fill:none}\n"
    ".limit{stroke:#c43d0b;fill:none;stroke-dasharray:6 4}.alarm{stroke:#c43d0b;stroke-opacity:.5}\n";

static int32_t column_of(const timeline *t, int64_t row)
{
    return (int32_t)((double)row / (double)t->rows * TIMELINE_COLUMNS);
}

static int add_state(const dum_monitor *monitor, timeline_column *c)
{
    dum_monitor_state s;
    DUM_INIT(s);
    if (dum_monitor_read(monitor, &s) != DUM_OK)
        return fail_library("monitor");
    c->statistic = c->has_state ? fmax(c->statistic, s.statistic) : s.statistic;
    c->threshold = s.threshold;
    c->has_state = true;
    return TOOL_OK;
}

int timeline_add(timeline *t, const dum_monitor *monitor, double score, bool alarm)
{
    const int64_t row = t->seen++;
    timeline_column *c = &t->columns[column_of(t, row)];
    if (isfinite(score)) {
        c->low = c->scores > 0 ? fmin(c->low, score) : score;
        c->high = c->scores > 0 ? fmax(c->high, score) : score;
        c->mean += (score - c->mean) / (double)++c->scores;
    }
    c->alarms += alarm;
    /* To read a state takes longer than to push a row. */
    const bool is_last = t->seen == t->rows || column_of(t, t->seen) != column_of(t, row);
    return alarm || is_last ? add_state(monitor, c) : TOOL_OK;
}

static double middle(const timeline *t, int32_t column)
{
    return ((double)column + 0.5) / TIMELINE_COLUMNS * (double)t->rows;
}

static void put_alarms(const plot *p, const timeline *t)
{
    for (int32_t i = 0; i < TIMELINE_COLUMNS; i++)
        if (t->columns[i].alarms > 0)
            fprintf(p->file, "<path class=\"alarm\" d=\"M%.1f %dV%d\"><title>%lld alarm%s</title></path>\n",
                    plot_x(p, middle(t, i)), PLOT_TOP, PLOT_HEIGHT - PLOT_BOTTOM,
                    (long long)t->columns[i].alarms, t->columns[i].alarms > 1 ? "s" : "");
}

/* One of the numbers of a column, where there is one. */
typedef bool (*value_fn)(const timeline_column *c, double *value);

static bool mean_of(const timeline_column *c, double *value)
{
    *value = c->mean;
    return c->scores > 0;
}

static bool statistic_of(const timeline_column *c, double *value)
{
    *value = c->statistic;
    return c->has_state && isfinite(c->statistic);
}

static bool threshold_of(const timeline_column *c, double *value)
{
    *value = c->threshold;
    return c->has_state && isfinite(c->threshold);
}

static void put_line(const plot *p, const timeline *t, const char *kind, value_fn value_of)
{
    char command = 'M';
    fprintf(p->file, "<path class=\"%s\" d=\"", kind);
    for (int32_t i = 0; i < TIMELINE_COLUMNS; i++) {
        double value;
        if (!value_of(&t->columns[i], &value))
            continue;
        fprintf(p->file, "%c%.1f %.1f", command, plot_x(p, middle(t, i)), plot_y(p, value));
        command = 'L';
    }
    fputs("\"/>\n", p->file);
}

static void put_ranges(const plot *p, const timeline *t)
{
    fputs("<path class=\"range\" d=\"", p->file);
    for (int32_t i = 0; i < TIMELINE_COLUMNS; i++)
        if (t->columns[i].scores > 0)
            fprintf(p->file, "M%.1f %.1fV%.1f", plot_x(p, middle(t, i)), plot_y(p, t->columns[i].low),
                    plot_y(p, t->columns[i].high));
    fputs("\"/>\n", p->file);
}

static void include(plot *p, double value)
{
    p->y_least = fmin(p->y_least, value);
    p->y_most = fmax(p->y_most, value);
}

static plot new_plot(FILE *file, const timeline *t)
{
    return (plot){file, 0, (double)t->rows, INFINITY, -INFINITY};
}

static void begin(plot *p, const char *title)
{
    if (!(p->y_least <= p->y_most))
        p->y_least = p->y_most = 0;
    widen(&p->y_least, &p->y_most);
    plot_begin(p, title);
    plot_x_ticks(p);
    plot_y_ticks(p);
}

void put_timeline(FILE *file, const void *what)
{
    const timeline *t = what;
    plot p = new_plot(file, t);
    fprintf(file, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\">\n<style>\n%s</style>\n",
            PLOT_WIDTH, 2 * PLOT_HEIGHT, style);
    for (int32_t i = 0; i < TIMELINE_COLUMNS; i++)
        if (t->columns[i].scores > 0) {
            include(&p, t->columns[i].low);
            include(&p, t->columns[i].high);
        }
    begin(&p, "Scores: least, mean and largest");
    put_ranges(&p, t);
    put_line(&p, t, "line", mean_of);
    put_alarms(&p, t);
    plot_end(&p, "row", "score: least, mean and largest; alarms");
    p = new_plot(file, t);
    for (int32_t i = 0; i < TIMELINE_COLUMNS; i++) {
        double value;
        if (statistic_of(&t->columns[i], &value))
            include(&p, value);
        if (threshold_of(&t->columns[i], &value))
            include(&p, value);
    }
    fprintf(file, "<g transform=\"translate(0 %d)\">\n", PLOT_HEIGHT);
    begin(&p, "Statistic of the test and its threshold");
    put_line(&p, t, "line", statistic_of);
    put_line(&p, t, "limit", threshold_of);
    put_alarms(&p, t);
    plot_end(&p, "row", "statistic, its threshold (dashed); alarms");
    fputs("</g>\n</svg>\n", file);
}
