/* SPDX-License-Identifier: MIT
 * Distances to the nearest of random samples: kinds "sp" and "lesinn", and "repen" on what it has learned. */
#ifndef DUMI_SCORER_SAMPLES_H
#define DUMI_SCORER_SAMPLES_H

#include "scorer/rows.h"

/* `starts`: where each sample begins in rows, and the end. FORMAT where it does not. */
dum_status dumi_samples_check(const int64_t *starts, int64_t samples, int64_t rows);
/* The i-th training row of samples of `each` rows, which do not repeat within a sample. */
int64_t dumi_samples_row(const dumi_fitting *f, uint64_t sampling_seed, int64_t each, int64_t i);
/* The mean over samples of the distance to the nearest row. */
double dumi_samples_score(const float *rows, const int64_t *starts, int64_t samples, int32_t cols,
                          const float *x);

#endif
