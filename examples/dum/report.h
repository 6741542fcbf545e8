/* SPDX-License-Identifier: MIT
 * What dum explain and dum report share, and the parts of the report. */
#ifndef REPORT_H
#define REPORT_H

#include "tool.h"

enum { TOP_DEFAULT = 10, TOP_FEATURES = 5 };

typedef struct {
    int32_t col;
    float value, share, deviation;
} feature;

typedef struct {
    int64_t row; /* from 0 */
    double score, p;
    int32_t count; /* of the features, largest share first; those without a share are left out */
    feature features[TOP_FEATURES];
} top_row;

/* The rows with the highest scores, highest first. */
typedef struct {
    top_row *rows;
    int32_t count;
    bool has_p;         /* the model is calibrated */
    bool has_shares;    /* the model explains; else `reason` says why not */
    bool has_deviation; /* and gives a deviation */
    char reason[256];
    double *mean_share; /* of each column */
} top_rows;

/* most: 0: TOP_DEFAULT. To be freed after failure, too. */
int find_top(const inputs *in, const double *scores, int32_t most, top_rows *out);
void free_top(top_rows *top);

/* The column's name, or NULL. */
const char *column_name(const inputs *in, int32_t col);

/* All that the page shows. */
typedef struct {
    const arguments *args;
    inputs in;
    dum_model_info about;
    double *scores;
    top_rows top;
    double rate, threshold;
    bool has_threshold;
    char no_threshold[256]; /* why not */
    int64_t above;          /* rows */
    /* The points drawn, some of all rows and the top ones. y_col is -1 where there is but one column: y is the
     * score. */
    int32_t x_col, y_col;
    int64_t *drawn;
    int64_t drawn_count;
    float *x, *y;
} report;

/* Orders int64_t, as drawn is. */
int by_number(const void *a, const void *b);
/* Writes the page; `what` is a report. */
void put_page(FILE *file, const void *what);
/* Text in HTML; of more than `most` bytes, the beginning. */
void put_text(FILE *file, const char *text, size_t most);

/* A plot in SVG: the ranges of x and y, and where they lie on the picture. */
typedef struct {
    FILE *file;
    double x_least, x_most, y_least, y_most;
} plot;

enum { PLOT_WIDTH = 720, PLOT_HEIGHT = 340, PLOT_LEFT = 84, PLOT_RIGHT = 12, PLOT_TOP = 24, PLOT_BOTTOM = 48 };

/* Widens a range that is a single point, which has no scale. */
void widen(double *least, double *most);
double plot_x(const plot *p, double x);
double plot_y(const plot *p, double y);
/* title: what the picture shows, for those who do not see it; plain text. */
void plot_begin(const plot *p, const char *title);
void plot_end(const plot *p, const char *x_label, const char *y_label);
void plot_x_ticks(const plot *p);
void plot_y_ticks(const plot *p);
/* One line across, with its number. */
void plot_y_tick(const plot *p, double y, double number);

/* A replay in columns of as many rows as there have to be. Set `rows`, the rest is 0. */
enum { TIMELINE_COLUMNS = 624 };

typedef struct {
    int64_t scores, alarms;
    double low, high, mean; /* of the scores that are finite */
    double statistic, threshold;
    bool has_state;
} timeline_column;

typedef struct {
    int64_t rows, seen;
    timeline_column columns[TIMELINE_COLUMNS];
} timeline;

/* The next row, after it was pushed. */
int timeline_add(timeline *t, const dum_monitor *monitor, double score, bool alarm);
/* Writes the picture; `what` is a timeline. */
void put_timeline(FILE *file, const void *what);

#endif
