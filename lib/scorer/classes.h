/* SPDX-License-Identifier: MIT
 * What kinds share that know a mean for each class and one covariance for all: "mds" and "flow". */
#ifndef DUMI_SCORER_CLASSES_H
#define DUMI_SCORER_CLASSES_H

#include "scorer/ellipsoid.h"

typedef struct {
    int32_t count;  /* of the classes that have rows */
    int64_t *rows;  /* of each label */
    int32_t *place; /* of each label among those classes; -1: it has no rows */
} dumi_classes;

/* Without labels there is one class. LIMIT for parts of too many columns. */
dum_status dumi_classes_create(const dumi_fitting *f, dumi_classes *out);
void dumi_classes_destroy(dum_context *context, dumi_classes *classes);
/* Columns of each part, means (classes x columns) and roots (one part after the other). What is left of f->rows are the
 * rows without the mean of their class. */
dum_status dumi_classes_fit(const dumi_fitting *f, const dumi_classes *classes, int64_t *parts, double *means,
                            double *roots);
/* out = W x; W: lower triangular, d x d. */
void dumi_transform(int64_t d, const double *root, const double *x, double *out);
/* The means of all classes, part by part, by those roots. */
void dumi_classes_centres(int64_t classes, int64_t parts, const int64_t *cols, const double *means,
                          const double *roots, double *centres);

#endif
