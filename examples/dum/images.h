/* SPDX-License-Identifier: MIT
 * Images of bytes from .npy: N x H x W, or N x H x W x C with C of 1 or 3. */
#ifndef IMAGES_H
#define IMAGES_H

#include "tool.h"

typedef struct {
    char *file; /* all of it */
    size_t file_size;
    uint8_t *pixels; /* inside: rows x height x width x channels */
    int64_t rows;
    int32_t height, width, channels;
} loaded_images;

/* TOOL_FAILED after a message. To be freed in any case. */
int load_images(const char *path, loaded_images *out);
void free_images(loaded_images *images);
/* Bytes of one image. */
int64_t image_size(const loaded_images *images);
/* Writes all, with the header that they came with. */
int write_images(const char *path, const loaded_images *images);

#endif
