/* SPDX-License-Identifier: MIT
 * Small linear algebra on the host, in double precision: matrices of a few thousand columns, row-major. */
#ifndef DUMI_LINEAR_H
#define DUMI_LINEAR_H

#include "core/core.h"

/* Rows of `vectors` = eigenvectors of the symmetric matrix a (d x d, destroyed), with `values`. watch: NULL: none. */
dum_status dumi_eigen(dum_context *context, int32_t d, double *a, double *vectors, double *values,
                      const dumi_watch *watch);

/* Mean of rows (count x d; those of `chosen`, ascending, where not NULL) and the sum of squares and products of what is left of
 * each over `count` (d x d). The bits do not depend on the number of threads. watch: NULL: none. */
dum_status dumi_covariance(dum_context *context, const float *rows, const int64_t *chosen, int64_t count,
                           int32_t d, double *mean, double *covariance, const dumi_watch *watch);
/* Shrinks a covariance of `rows` rows towards mu I (Ledoit & Wolf 2004, lemma 3.2 to 3.4), mu being its mean diagonal,
 * which is returned. `fourth`: the sum of the fourth powers of the lengths of the rows less their mean. */
double dumi_shrink(int32_t d, double rows, double fourth, double *covariance);
/* Both, of all rows; mu goes to *mu. */
dum_status dumi_shrunk_covariance(dum_context *context, const float *rows, int64_t count, int32_t d,
                                  double *mean, double *covariance, const dumi_watch *watch, double *mu);

/* a (symmetric, positive semidefinite; its lower half is read) becomes W, lower triangular and zero above, with
 * W a W' = I. A column whose pivot is not above `floor` times its diagonal element depends on those before it: its row and
 * column of W are zero. *rank: how many are left; *log_determinant: of these. watch: NULL: none. */
dum_status dumi_cholesky_inverse(int32_t d, double *a, double floor, const dumi_watch *watch, int32_t *rank,
                                 double *log_determinant);

double dumi_dot_double(int32_t count, const double *x, const double *y);
/* Of x with four others, `stride` apart, side by side: each has the bits of dumi_dot_double. */
void dumi_dot_four(int32_t count, const double *x, const double *y, int64_t stride, double *out);

#endif
