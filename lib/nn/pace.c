/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "nn/pace.h"

void dumi_pace_start(dumi_pace *pace)
{
    pace->prepared = 0;
    clock_gettime(CLOCK_MONOTONIC, &pace->begin);
}

static double seconds_since(const struct timespec *begin)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - begin->tv_sec) + 1e-9 * (double)(now.tv_nsec - begin->tv_nsec);
}

void dumi_pace_prepared(dumi_pace *pace)
{
    pace->prepared = seconds_since(&pace->begin);
}

static bool tell(const dumi_pace *pace, const dum_fit_options *options, int64_t done, double loss,
                 double seconds)
{
    if (options->progress == NULL)
        return false;
    const int64_t made = done - pace->begun;
    dum_progress progress;
    DUM_INIT(progress);
    progress.step = done;
    progress.steps = pace->steps;
    progress.epoch = (done + pace->per_epoch - 1) / pace->per_epoch;
    progress.epochs = (pace->steps - 1) / pace->per_epoch + 1;
    progress.loss = loss;
    progress.seconds = seconds;
    if (made > 0)
        progress.seconds_left = (seconds - pace->prepared) / (double)made * (double)(pace->steps - done);
    return options->progress(options->progress_user, &progress) != 0;
}

bool dumi_pace_prepare(const dumi_pace *pace, const dum_fit_options *options)
{
    return tell(pace, options, 0, 0, seconds_since(&pace->begin));
}

bool dumi_pace_report(const dumi_pace *pace, const dum_fit_options *options, int64_t done, double loss)
{
    const double seconds = seconds_since(&pace->begin);
    return (options->max_seconds > 0 && seconds >= options->max_seconds) ||
           tell(pace, options, done, loss, seconds);
}

bool dumi_pace_keeps(const dumi_pace *pace, const dum_fit_options *options, int64_t done, bool last)
{
    const int64_t every = pace->per_epoch * (options->checkpoint_epochs > 0 ? options->checkpoint_epochs : 1);
    return (options->checkpoint_path != NULL || options->checkpoint != NULL) && (done % every == 0 || last);
}
