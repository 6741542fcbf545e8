/* SPDX-License-Identifier: MIT
 * Encoders from files, what they take, and labels beside it. */
#ifndef ENCODERS_H
#define ENCODERS_H

#include "tool.h"

/* An encoder from its own file or that of a scorer that stands on it; --output sets what it returns. */
int load_encoder(dum_context *context, const char *path, const arguments *args, dum_encoder **out);
/* TOOL_FAILED after a message where the file holds images of another size than the encoder takes. Says nothing of
 * tables: the library counts their columns. */
int check_encoder_data(const dum_encoder *encoder, const char *path);
/* The size of the images that an encoder of kind resnet takes. */
void encoder_image(const dum_encoder *encoder, int32_t *height, int32_t *width, int32_t *channels);

/* Classes from 0 to 65535, one for each of `rows` rows of the file `data`, to be freed. */
int load_classes(const char *path, const arguments *args, const char *data, int64_t rows, int32_t **out);

#endif
