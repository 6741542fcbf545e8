/* SPDX-License-Identifier: MIT
 * Trains a one-class machine: alpha between 0 and 1, of a given sum, that make alpha' K alpha least. */
#ifndef DUMI_SCORER_SMO_H
#define DUMI_SCORER_SMO_H

#include "scorer/radial.h"
#include "scorer/rows.h"

typedef struct {
    double sum;            /* of alpha, at most the number of rows */
    double tolerance;      /* training stops where no pair gains more than this */
    double cache_bytes;    /* for kernel rows; two rows at least are kept */
    double max_iterations; /* 0: no limit */
} dumi_smo_options;

/* alpha and gradient (K alpha) have room for whole blocks of rows. Reports progress to f, and stops where that says
 * so. */
dum_status dumi_smo(dumi_fitting *f, const dumi_smo_options *options, const dumi_panels *rows, double *alpha,
                    double *gradient);

#endif
