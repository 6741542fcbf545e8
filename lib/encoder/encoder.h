/* SPDX-License-Identifier: MIT */
#ifndef DUMI_ENCODER_H
#define DUMI_ENCODER_H

#include "core/core.h"

struct dum_encoder {
    dum_context *context;
    atomic_int references;
    const char *kind;
};

dum_encoder *dumi_encoder_keep(dum_encoder *encoder);

#endif
