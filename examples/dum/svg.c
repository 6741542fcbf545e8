/* SPDX-License-Identifier: MIT
 * Plots as SVG: frame, scale and labels. Colours come from the classes of the page around them. */
#include "report.h"

#include <math.h>

void widen(double *least, double *most)
{
    if (*least < *most)
        return;
    const double by = fmax(0.5, 0.01 * fabs(*least));
    *least -= by;
    *most += by;
}

double plot_x(const plot *p, double x)
{
    const double width = PLOT_WIDTH - PLOT_LEFT - PLOT_RIGHT;
    return PLOT_LEFT + (x - p->x_least) / (p->x_most - p->x_least) * width;
}

double plot_y(const plot *p, double y)
{
    const double height = PLOT_HEIGHT - PLOT_TOP - PLOT_BOTTOM;
    return PLOT_HEIGHT - PLOT_BOTTOM - (y - p->y_least) / (p->y_most - p->y_least) * height;
}

void plot_begin(const plot *p, const char *title)
{
    fprintf(p->file, "<svg viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\">\n<title>%s</title>\n",
            PLOT_WIDTH, PLOT_HEIGHT, PLOT_WIDTH, PLOT_HEIGHT, title);
}

void plot_end(const plot *p, const char *x_label, const char *y_label)
{
    const int right = PLOT_WIDTH - PLOT_RIGHT, bottom = PLOT_HEIGHT - PLOT_BOTTOM;
    enum { LONGEST = 60 };
    fprintf(p->file, "<path class=\"axis\" d=\"M%d %dV%dH%d\"/>\n", PLOT_LEFT, PLOT_TOP, bottom, right);
    fprintf(p->file, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">", (PLOT_LEFT + right) / 2,
            PLOT_HEIGHT - 10);
    put_text(p->file, x_label, LONGEST);
    fprintf(p->file, "</text>\n<text x=\"4\" y=\"14\">");
    put_text(p->file, y_label, LONGEST);
    fprintf(p->file, "</text>\n</svg>\n");
}

/* Of the form 1, 2 or 5 times a power of ten, for about five steps in the range. */
static double tick_step(double range)
{
    const double rough = range / 5, power = pow(10, floor(log10(rough))), digit = rough / power;
    return power * (digit < 1.5 ? 1 : digit < 3.5 ? 2 : digit < 7.5 ? 5 : 10);
}

void plot_x_ticks(const plot *p)
{
    const double step = tick_step(p->x_most - p->x_least), first = ceil(p->x_least / step);
    for (int i = 0; i < 12 && (first + i) * step <= p->x_most; i++) {
        const double value = (first + i) * step, x = plot_x(p, value);
        fprintf(p->file, "<path class=\"grid\" d=\"M%.1f %dV%d\"/>", x, PLOT_TOP, PLOT_HEIGHT - PLOT_BOTTOM);
        fprintf(p->file, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.10g</text>\n", x,
                PLOT_HEIGHT - PLOT_BOTTOM + 16, value + 0.0);
    }
}

void plot_y_tick(const plot *p, double y, double number)
{
    fprintf(p->file, "<path class=\"grid\" d=\"M%d %.1fH%d\"/>", PLOT_LEFT, plot_y(p, y),
            PLOT_WIDTH - PLOT_RIGHT);
    fprintf(p->file, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.10g</text>\n", PLOT_LEFT - 6,
            plot_y(p, y) + 4, number + 0.0);
}

void plot_y_ticks(const plot *p)
{
    const double step = tick_step(p->y_most - p->y_least), first = ceil(p->y_least / step);
    for (int i = 0; i < 12 && (first + i) * step <= p->y_most; i++)
        plot_y_tick(p, (first + i) * step, (first + i) * step);
}
