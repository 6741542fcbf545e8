/* SPDX-License-Identifier: MIT
 * Options in a model file: one key each, `dum.param.<name>`. */
#ifndef DUMI_IO_OPTIONS_H
#define DUMI_IO_OPTIONS_H

#include "core/param.h"
#include "io/io.h"

/* Of whatever the file is a model of; an encoder below a scorer has a prefix of its own. */
#define DUMI_OPTIONS "dum.param."

dum_status dumi_options_write(const dumi_params *table, const double *values, const char *prefix,
                              dumi_model_writer *writer);
/* Options that the file lacks keep their defaults; those unknown here are logged and ignored. */
dum_status dumi_options_read(const dumi_params *table, const dumi_reader *reader, const char *prefix,
                             double *values);

#endif
