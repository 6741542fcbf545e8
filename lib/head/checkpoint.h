/* SPDX-License-Identifier: MIT
 * Where training stands: a head file with the optimiser's moments and the number of steps. */
#ifndef DUMI_CHECKPOINT_H
#define DUMI_CHECKPOINT_H

#include "head/head.h"

typedef struct {
    dum_context *context;
    dumi_stream *stream;
    const double *values;
    dumi_head_model *model;
    dumi_optimiser *optimiser;
    int64_t rows, step; /* of the data; done */
    int64_t ranks;      /* that share each batch */
} dumi_checkpoint;

/* To the path and the callback of the options, where given. */
dum_status dumi_checkpoint_save(const dumi_checkpoint *c, const dum_fit_options *options);
/* Where the options say so, fills model, optimiser and step; ARGUMENT if data or options differ. */
dum_status dumi_checkpoint_resume(dumi_checkpoint *c, const dum_fit_options *options);

#endif
