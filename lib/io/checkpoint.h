/* SPDX-License-Identifier: MIT
 * What checkpoints of all kinds of training share: where they go, and where they come from. */
#ifndef DUMI_IO_CHECKPOINT_H
#define DUMI_IO_CHECKPOINT_H

#include "io/io.h"

/* To the path and the callback of the options, where given; frees bytes. */
dum_status dumi_checkpoint_put(dum_context *context, const dum_fit_options *options, int64_t step,
                               unsigned char *bytes, size_t size);
/* What the options say to go on from: *bytes NULL where that is nothing; *owned is the caller's to dumi_free. */
dum_status dumi_checkpoint_get(dum_context *context, const dum_fit_options *options, const void **bytes,
                               unsigned char **owned, size_t *size);

dum_status dumi_checkpoint_write_number(dumi_model_writer *writer, const char *key, int64_t value);
dum_status dumi_checkpoint_read_number(const dumi_reader *reader, const char *key, int64_t *value);
void dumi_checkpoint_log(const dum_context *context, int64_t step);

#endif
