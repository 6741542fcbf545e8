/* SPDX-License-Identifier: MIT
 * What dum certainty gathers, and what its page shows. */
#ifndef CERTAINTY_H
#define CERTAINTY_H

#include "image_model.h"

/* Images and their scores in the order of certainty. */
typedef struct {
    const loaded_images *images;
    const double *scores;
    int64_t *order; /* rows, the most certain first */
    int64_t count;
    int32_t label; /* of a class */
} ranking;

/* How many of each side are shown: at most `most`, and none on both sides unless it is the only one. */
int64_t shown(const ranking *r, int64_t most);
/* The i-th from the certain side, or from the other. */
int64_t ranked(const ranking *r, bool certain, int64_t i);
double mean_score(const ranking *r);

/* What one step of a random view alone does to the scores. */
typedef struct {
    const char *name;
    double mean, d,
        auroc; /* against the images as they are: Cohen's d; chance that one with the step scores higher */
} view_step;

enum { VIEW_STEPS = 8, USUAL_TOP = 10, LINES = 4 };

typedef struct {
    const arguments *args;
    image_model model;
    loaded_images images, views; /* views.rows 0: none */
    int32_t *labels;             /* NULL: none */
    double *scores, *view_scores;
    ranking all, all_views, *classes;
    int64_t *class_rows; /* what the classes' orders lie in */
    int32_t class_count, top, scale;
    view_step steps[VIEW_STEPS];
    int64_t step_rows; /* images that they were tried on */
    double plain_mean; /* score of these as they are */
} certainty;

/* put_fns; `what` is a certainty. */
void put_certainty_page(FILE *file, const void *what);
void put_certainty_summary(FILE *file, const void *what);
void put_certainty_scores(FILE *file, const void *what);

#endif
