/* SPDX-License-Identifier: MIT
 * How far a training in steps has come: what its loop tells the host, and when it stops or keeps a checkpoint. */
#ifndef DUMI_PACE_H
#define DUMI_PACE_H

#include "core/core.h"

#include <time.h>

typedef struct {
    int64_t steps, per_epoch;
    int64_t begun; /* steps that a checkpoint had behind it */
    struct timespec begin;
    double prepared; /* seconds from there to the first step */
} dumi_pace;

/* Sets begin to now. */
void dumi_pace_start(dumi_pace *pace);
/* Says that the next thing is the first step. */
void dumi_pace_prepared(dumi_pace *pace);
/* Before that: true if the host wants to stop. The clock does not: nothing has been made yet. */
bool dumi_pace_prepare(const dumi_pace *pace, const dum_fit_options *options);
/* After step `done`: true if the host or the clock wants to stop. */
bool dumi_pace_report(const dumi_pace *pace, const dum_fit_options *options, int64_t done, double loss);
/* Whether step `done` is one to keep; `last`: the loop ends with it. */
bool dumi_pace_keeps(const dumi_pace *pace, const dum_fit_options *options, int64_t done, bool last);

#endif
