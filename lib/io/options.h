/* SPDX-License-Identifier: MIT
 * Options in a model file: one key each, `dum.param.<name>`. */
#ifndef DUMI_IO_OPTIONS_H
#define DUMI_IO_OPTIONS_H

#include "core/param.h"
#include "io/io.h"

dum_status dumi_options_write(const dumi_params *table, const double *values, dumi_model_writer *writer);
/* Options that the file lacks keep their defaults; those unknown here are logged and ignored. */
dum_status dumi_options_read(const dumi_params *table, const dumi_reader *reader, double *values);

#endif
