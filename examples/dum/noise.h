/* SPDX-License-Identifier: MIT
 * What dum noise measures, and the forms in which it is written. */
#ifndef NOISE_H
#define NOISE_H

#include "image_model.h"

enum { SEVERITIES = 5, MOST_CORRUPTIONS = 64, DELAY_TESTS = 3 };

/* Rows of a stream: scores drawn at random, first of clean images, then, until the alarm, of corrupted ones. */
enum { DELAY_BEFORE = 5000, DELAY_AFTER = 10000 };

/* Rows from the change to the alarm. */
typedef struct {
    int32_t found;              /* of so many streams */
    double median, quantile_90; /* infinite where fewer were found */
} delay;

typedef struct {
    const char *name;
    comparison all; /* the images of all severities together */
    comparison severity[SEVERITIES];
    delay delays[SEVERITIES][DELAY_TESTS];
} noise_row;

typedef struct {
    const arguments *args;
    image_model model;
    loaded_images a, b;
    double *clean, *second; /* scores of a and b */
    double *scores;         /* of a, corrupted: each corruption, each severity */
    double clean_mean;
    comparison none; /* b against a */
    delay none_delays[DELAY_TESTS];
    noise_row rows[MOST_CORRUPTIONS];
    int32_t count;
    int64_t false_alarms; /* while images were clean, in all streams of all tests */
} noise;

extern const char *const delay_tests[DELAY_TESTS];

/* Fills the rows' delays from the scores. */
int measure_delays(noise *n, uint64_t seed);

/* put_fns; `what` is a noise. */
void put_noise_markdown(FILE *file, const void *what);
void put_noise_json(FILE *file, const void *what);
void put_noise_svg(FILE *file, const void *what);
void put_delays_markdown(FILE *file, const void *what);
void put_delays_json(FILE *file, const void *what);
void put_delays_svg(FILE *file, const void *what);

#endif
