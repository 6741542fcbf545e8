/* SPDX-License-Identifier: MIT
 * The radial kernel exp(-gamma |x - y|^2) of few rows with many that are kept for that. */
#ifndef DUMI_SCORER_RADIAL_H
#define DUMI_SCORER_RADIAL_H

#include "core/core.h"

/* Rows of a block; rows that meet the blocks at once, at most; blocks that stay in the cache meanwhile, at most. */
enum { DUMI_LANES = 32, DUMI_TOGETHER = 2, DUMI_STRETCH = 16 };

/* Rows in blocks of DUMI_LANES, each block column by column: what is done to one row is done to a block at once, and
 * each lane adds up in the same order whatever the vectors of the processor. */
typedef struct {
    dum_context *context;
    int64_t count, blocks;
    int32_t cols;
    float *whole, *last; /* the blocks that are full, and the last one, whose missing rows are 0 */
    float scale;         /* that the rows have been multiplied by: a power of two */
    float exponent;      /* kernel: 2^(exponent x squared distance of scaled rows) */
} dumi_panels;

/* Packs the rows where they are, for a kernel with this gamma. The panels own them then, also where this fails. */
dum_status dumi_panels_pack(dum_context *context, float *rows, int64_t count, int32_t cols, double gamma,
                            dumi_panels *p);
void dumi_panels_free(dumi_panels *p);

/* One of the rows, scaled. */
void dumi_panels_row(const dumi_panels *p, int64_t row, float *to);

/* Kernel of `count` (1 or 2) rows x, times `scale`, with the rows of blocks first .. end - 1, one at least. */
void dumi_panels_kernel(const dumi_panels *p, const float *const *x, int count, float scale, int64_t first,
                        int64_t end, float *const *out);

/* How many blocks to take at a time where several rows meet them. */
int64_t dumi_panels_stretch(int32_t cols);

/* Operations, roughly, of the kernel of two rows. */
double dumi_panels_cost(int32_t cols);

#endif
