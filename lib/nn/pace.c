/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "nn/pace.h"

void dumi_pace_start(dumi_pace *pace)
{
    clock_gettime(CLOCK_MONOTONIC, &pace->begin);
}

static double seconds_since(const struct timespec *begin)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - begin->tv_sec) + 1e-9 * (double)(now.tv_nsec - begin->tv_nsec);
}

bool dumi_pace_report(const dumi_pace *pace, const dum_fit_options *options, int64_t done, double loss)
{
    const double seconds = seconds_since(&pace->begin);
    if (options->max_seconds > 0 && seconds >= options->max_seconds)
        return true;
    if (options->progress == NULL)
        return false;
    dum_progress progress;
    DUM_INIT(progress);
    progress.step = done;
    progress.steps = pace->steps;
    progress.epoch = (done - 1) / pace->per_epoch + 1;
    progress.epochs = (pace->steps - 1) / pace->per_epoch + 1;
    progress.loss = loss;
    progress.seconds = seconds;
    progress.seconds_left = seconds / (double)(done - pace->begun) * (double)(pace->steps - done);
    return options->progress(options->progress_user, &progress) != 0;
}

bool dumi_pace_keeps(const dumi_pace *pace, const dum_fit_options *options, int64_t done, bool last)
{
    const int64_t every = pace->per_epoch * (options->checkpoint_epochs > 0 ? options->checkpoint_epochs : 1);
    return (options->checkpoint_path != NULL || options->checkpoint != NULL) && (done % every == 0 || last);
}
