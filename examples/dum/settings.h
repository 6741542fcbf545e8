/* SPDX-License-Identifier: MIT
 * What commands that train share: options by name, progress, Control-C. */
#ifndef SETTINGS_H
#define SETTINGS_H

#include "tool.h"

/* What takes options by name: a scorer or an encoder. */
typedef struct {
    dum_scorer *scorer; /* one of these */
    dum_encoder *encoder;
} settable;

/* --set, then --seed and --holdout. TOOL_USAGE after a message. */
int set_options(settable to, const arguments *args);

/* --set has a value for this name. */
bool is_set(const arguments *args, const char *name);

typedef struct {
    bool bar, open; /* open: the bar's line has not ended */
    double shown;   /* seconds at which the bar was last drawn */
    double begin;   /* of the fit: seconds on a clock */
} progress_state;

/* A context that tells warnings, unless --quiet. */
int open_training(const arguments *args, dum_context **out);
/* Fills what --max-seconds, --checkpoint and so on say, and has Control-C stop the fit. */
void prepare_fit(const arguments *args, progress_state *state, dum_fit_options *options);
/* After the fit: false where it failed. */
bool end_fit(const progress_state *state, dum_status status);
/* The library's message of a fit that failed. data: the path of its rows. */
int fail_fit(const arguments *args, const char *data, dum_status status);
/* After the model was saved to `path`: says what was done, unless --quiet. what: of which kind it is. */
int report_fit(const arguments *args, const char *path, const dum_dataset *data, const char *what,
               const progress_state *state, dum_status status);

/* Hours of training should not be lost to a mistyped path. */
int check_model_path(const char *path);

#endif
