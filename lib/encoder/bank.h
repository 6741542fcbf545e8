/* SPDX-License-Identifier: MIT
 * A memory bank: one embedding of unit length a row of the data, which follows what the network says. */
#ifndef DUMI_BANK_H
#define DUMI_BANK_H

#include "encoder/training.h"

/* t->kept[0] is the bank. LIMIT for 2^31 rows and more: comes before all else that has a size by rows. */
dum_status dumi_bank_create(dumi_training *t, int32_t cols);
static inline float *dumi_bank(const dumi_training *t)
{
    return t->kept[0].buffer;
}
/* The bank's rows of the batch move towards `unit` (batch x cols). own: room for as many. */
void dumi_bank_follow(const dumi_training *t, int32_t cols, const float *unit, float *own);

#endif
