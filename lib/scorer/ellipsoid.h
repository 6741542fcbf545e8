/* SPDX-License-Identifier: MIT
 * What "mahalanobis" and "elliptic" have in common: the square of a distance from a mean, in units of a covariance. */
#ifndef DUMI_SCORER_ELLIPSOID_H
#define DUMI_SCORER_ELLIPSOID_H

#include "scorer/rows.h"

/* Columns: a row is scored without an allocation, and a covariance of more would not fit into caches anyway. */
enum { DUMI_MOST_COVARIANCE = 4096 };

typedef struct {
    dumi_state head;
    double *mean;
    double *root; /* W, lower triangular: |W (x - mean)|^2 is the score */
} dumi_ellipsoid;

extern const dumi_layout dumi_ellipsoid_layout;

/* LIMIT for too many columns. */
dum_status dumi_ellipsoid_create(const dumi_fitting *f, dumi_ellipsoid **out);
/* Mean and root of f->count rows (x d) by a covariance that is shrunk (Ledoit & Wolf 2004). Rows that are all the same have
 * none: then the distance is the plain one. */
dum_status dumi_ellipsoid_fit(const dumi_fitting *f, const float *rows, int32_t d, double *mean, double *root);
/* The score of one row; x: d numbers of scratch. */
double dumi_ellipsoid_distance(int32_t d, const double *mean, const double *root, const float *row, double *x);
/* The same of four rows, faster; x: 4 d numbers. */
void dumi_ellipsoid_four(int32_t d, const double *mean, const double *root, const float *const *rows, double *x,
                         double *out);
/* dumi_scorer_kind.row */
double dumi_ellipsoid_row(const void *state, const float *row, float *parts);

#endif
