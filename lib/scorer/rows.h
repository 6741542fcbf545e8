/* SPDX-License-Identifier: MIT
 * What kinds that work on plain rows share. */
#ifndef DUMI_SCORER_ROWS_H
#define DUMI_SCORER_ROWS_H

#include "scorer/scorer.h"

/* All rows of a dataset, contiguous (the caller's to dumi_free); out NULL: only looks at them. NONFINITE with row and column; ARGUMENT for
 * fit options that such kinds have no use for. */
dum_status dumi_rows_read(dum_context *context, const dum_dataset *data, const dum_fit_options *options,
                          float **out);

/* parts[j], where not NULL: what column j adds to the score. */
typedef double (*dumi_row_fn)(const void *state, const float *row, float *parts);

/* Scores of rows on the context's threads. NONFINITE with row and column. `operations`: of one row, roughly. */
dum_status dumi_rows_score(dum_context *context, dumi_row_fn score, const void *state, double operations,
                           const float *data, int64_t rows, int32_t cols, int64_t row_stride, double *scores);

/* dumi_scorer_kind.explain for a score that is a sum over columns of parts of one sign. */
dum_status dumi_rows_explain(dumi_row_fn score, const void *state, int32_t cols, int64_t row, const float *x,
                             float *share, const float *deviation);

#endif
