/* SPDX-License-Identifier: MIT
 * What dum noise measures, and the forms in which it is written. */
#ifndef NOISE_H
#define NOISE_H

#include "image_model.h"

enum { SEVERITIES = 5, MOST_CORRUPTIONS = 64 };

typedef struct {
    const char *name;
    comparison all; /* the images of all severities together */
    comparison severity[SEVERITIES];
} noise_row;

typedef struct {
    const arguments *args;
    image_model model;
    loaded_images a, b;
    double *clean; /* scores of a */
    double clean_mean;
    comparison none; /* b against a */
    noise_row rows[MOST_CORRUPTIONS];
    int32_t count;
} noise;

/* put_fns; `what` is a noise. */
void put_noise_markdown(FILE *file, const void *what);
void put_noise_json(FILE *file, const void *what);
void put_noise_svg(FILE *file, const void *what);

#endif
