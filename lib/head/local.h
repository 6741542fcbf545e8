/* SPDX-License-Identifier: MIT
 * The objective `local`: what each row's variance should be, from its neighbours or its pair. */
#ifndef DUMI_LOCAL_H
#define DUMI_LOCAL_H

#include "dataset/dataset.h"
#include "head/head.h"
#include "neighbours/neighbours.h"

typedef struct {
    dum_context *context;
    dumi_stream *stream;
    const dumi_scaling *scaling;
    int32_t outputs, neighbours, points;
    uint64_t seed;
    int64_t *rows;             /* of the reservoir in the data, ascending */
    float *host;               /* points x cols: the reservoir, scaled and centred */
    float *centre, *deviation; /* by column of z */
    dumi_neighbours *tree;     /* of host */
    float *queries, *targets;  /* batch x cols and x outputs: those of a batch that must be searched */
    int32_t *self;             /* which points they are, or -1 */
    float *cached;             /* points x outputs: targets of all rows, where all are in the reservoir */
} dumi_local;

/* `centres`: whether the anchor has some. Reads the reservoir, and measures all of its rows where it holds all rows of the data. */
dum_status dumi_local_create(dum_context *context, dumi_stream *stream, const double *values,
                             const dumi_scaling *scaling, bool centres, int32_t outputs, int32_t batch,
                             const dum_dataset *data, const dumi_watch *watch, dumi_local *out);
void dumi_local_destroy(dumi_local *local);

/* Replaces z (device) from row `first` of the batch on by `count` off-manifold queries of step `step`, those from number
 * `begin` on. */
void dumi_local_explore(dumi_local *local, int64_t step, int32_t begin, int32_t count, int32_t first, float *z,
                        float *scratch);
/* z (device) of the rows `indices` of the data, where all are in the reservoir; false where not. */
bool dumi_local_rows(dumi_local *local, const int64_t *indices, int32_t count, float *scratch, float *z);
/* t (device, rows x outputs) for z: the first `real` of them are the rows `indices` of the data. */
dum_status dumi_local_targets(dumi_local *local, int32_t rows, int32_t real, const int64_t *indices,
                              const float *z, float *t);

#endif
