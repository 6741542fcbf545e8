/* SPDX-License-Identifier: MIT
 * Training shared by several ranks (options.ranks): each makes the gradient of its part of every batch, and the host's
 * options.reduce adds them up. */
#ifndef DUMI_SHARE_H
#define DUMI_SHARE_H

#include "head/head.h"

typedef struct {
    dum_reduce_fn reduce; /* NULL: this process trains alone */
    void *user;
    int32_t ranks, rank;
    double part;        /* of a batch, that is this rank's */
    float *values;      /* gradient, loss, stop, failure: what is summed in a step */
    bool asked, agreed; /* to stop: by this rank's host, by any */
} dumi_share;

/* Takes what concerns it from the options. Errors: ARGUMENT. */
dum_status dumi_share_open(const dum_fit_options *options, dumi_share *out);
/* Of `count` rows this rank's are from the result on, to before that of the next rank. */
int32_t dumi_share_first(const dumi_share *share, int32_t count, int32_t rank);

/* Before the first step, however preparing it ended (`own`): the ranks learn whether all are ready, and whether `alike`
 * (hexadecimal digits) is the same on all. *mean becomes that over the whole batch. */
dum_status dumi_share_begin(const dumi_share *share, const char *alike, double *mean, dum_status own);
/* The gradient (device) and the loss of the whole batch from this rank's part; `own` is what this rank has come to
 * since the last step. */
dum_status dumi_share_step(dumi_share *share, const dumi_backend *backend, dumi_stream *stream, float *gradient,
                           size_t count, double *loss, dum_status own);

#endif
