/* SPDX-License-Identifier: MIT
 * What kinds that work on plain rows share. */
#ifndef DUMI_SCORER_ROWS_H
#define DUMI_SCORER_ROWS_H

#include "scorer/scorer.h"

/* For kinds with `fit` that read a dataset piece by piece: looks at all rows. NONFINITE with row and column;
 * ARGUMENT for fit options that such kinds have no use for. *out: to ask the host by what follows. */
dum_status dumi_rows_check(dum_context *context, const dum_dataset *data, const dum_fit_options *options,
                           dumi_fitting *out);
/* The same for `rows` that are to be scored. */
dum_status dumi_rows_check_finite(const float *data, int64_t rows, int32_t cols, int64_t row_stride);
/* Of one row, with this number. */
dum_status dumi_rows_check_row(const float *row, int32_t cols, int64_t number);

/* Of a kind with `fit_rows`. *scaling: of a kind that scales, as in dum_scorer, the caller's to dumi_free, also
 * where this fails. */
dum_status dumi_rows_fit(const dumi_scorer_kind *kind, dum_context *context, const double *values,
                         const dum_dataset *data, const dumi_output *output, const dum_fit_options *options,
                         float **scaling, void **state);
/* Of a kind with `row`. */
dum_status dumi_rows_score(const dumi_scorer_kind *kind, const void *state, const float *data, int64_t rows,
                           int32_t cols, int64_t row_stride, double *scores);
dum_status dumi_rows_explain(const dumi_scorer_kind *kind, const void *state, int32_t cols, int64_t row,
                             const float *x, float *share, const float *deviation);

/* Of the columns. */
void dumi_rows_means(const dumi_fitting *f, double *mean);
void dumi_rows_variances(const dumi_fitting *f, const double *mean, double *variance);

/* Rows (contiguous) by a scorer's scaling, within +-1e15 so that no square overflows; `to` may be `from`. */
void dumi_rows_scale(const dumi_scorer_kind *kind, const double *values, const float *scaling, int64_t rows,
                     int32_t cols, const float *from, int64_t row_stride, float *to);

/* Rows by index, of a kind that streams; all finite. */
dum_status dumi_fitting_read(const dumi_fitting *f, const int64_t *indices, int64_t count, float *out);
/* Now; rows and all that is made of them are left out. */
dumi_fitting dumi_fitting_begin(dum_context *context, const dum_fit_options *options);
double dumi_fitting_seconds(const dumi_fitting *f);
/* Every so often during a long fit: tells the host, and says whether to go on. CANCELLED: it was stopped, and no
 * state comes of it. `what` the loss is up to the kind (0: there is none). */
dum_status dumi_fitting_progress(const dumi_fitting *f, int64_t step, int64_t steps, double loss);
/* The same as what others ask. */
dumi_watch dumi_fitting_watch(const dumi_fitting *f);
/* Rows at a time where each may meet all others, so that the host is asked some times a second. */
int64_t dumi_fitting_part(const dumi_fitting *f);

#endif
