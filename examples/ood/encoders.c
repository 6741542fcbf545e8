/* SPDX-License-Identifier: MIT
 * The encoders below the scorers: supervised, the same with rotation prediction, and SimCLR. */
#define _POSIX_C_SOURCE 200809L
#include "ood.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *const names[ENCODERS] = {"supervised", "rotation", "simclr"};

/* What differs from the library's defaults; --set and its kin come after. */
static const char *const usual[ENCODERS][12] = {
    {"objective=supervised", "rate=0.1", "batch=128", "epochs=30", "crop_min=0.5", "jitter=0", "grey=0"},
    {"objective=supervised", "rotation=on", "rate=0.1", "batch=128", "epochs=30", "crop_min=0.5", "jitter=0",
     "grey=0"},
    {"objective=simclr", "epochs=60"},
};

const char *encoder_name(int encoder)
{
    return names[encoder];
}

double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static bool set_encoder(dum_encoder *encoder, const char *const *settings)
{
    for (; *settings != NULL; settings++) {
        setting s;
        if (!split_setting(*settings, &s))
            return false;
        const dum_status status = s.is_number ? dum_encoder_set_number(encoder, s.name, s.number)
                                              : dum_encoder_set_text(encoder, s.name, s.value);
        if (status != DUM_OK)
            return complain_library(*settings);
    }
    return true;
}

static bool train(const experiment *e, int which, dum_encoder **out)
{
    const char *const *own = which == SIMCLR ? e->args->simclr : e->args->supervised;
    dum_fit_options options;
    DUM_INIT(options);
    options.labels = e->labels;
    if (dum_encoder_create(e->context, "resnet", out) != DUM_OK)
        return complain_library("encoder");
    if (!set_encoder(*out, usual[which]) || !set_encoder(*out, e->args->both) || !set_encoder(*out, own))
        return false;
    return dum_encoder_fit(*out, e->train.data, &options) == DUM_OK || complain_library(names[which]);
}

/* From --models, or trained, and then kept there. */
static bool have_encoder(experiment *e, int which)
{
    char path[4096] = "";
    const double begin = seconds_now();
    if (e->args->models != NULL)
        snprintf(path, sizeof path, "%s/%s.dum", e->args->models, names[which]);
    if (path[0] != '\0' && dum_encoder_load(e->context, path, &e->encoder[which]) == DUM_OK)
        return true;
    if (!train(e, which, &e->encoder[which]))
        return false;
    e->seconds[which] = seconds_now() - begin;
    fprintf(stderr, "dum: encoder %s: %.0f s\n", names[which], e->seconds[which]);
    return path[0] == '\0' || dum_encoder_save(e->encoder[which], path) == DUM_OK || complain_library(path);
}

bool train_encoders(experiment *e)
{
    for (int which = 0; which < ENCODERS; which++)
        if (!have_encoder(e, which))
            return false;
    return true;
}
