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

/* What the header of a .npy file says of its shape. is_image: it has three (grey) or four dimensions. */
typedef struct {
    long long rows, height, width, channels;
    bool is_image;
} image_shape;

/* Of any type of number, where load_images takes bytes alone. TOOL_FAILED after a message. */
int read_image_shape(const char *path, image_shape *out);

/* TOOL_FAILED after a message. To be freed in any case. */
int load_images(const char *path, loaded_images *out);
void free_images(loaded_images *images);
/* Bytes of one image. */
int64_t image_size(const loaded_images *images);
/* Some of them, side by side, rows of `columns` images, as pixels of red, green, blue. */
typedef struct {
    const loaded_images *images;
    int64_t *rows; /* their numbers, `count`; -1: an empty place */
    int64_t count;
    int32_t columns, scale;
    uint8_t *pixels;
    int64_t height, width; /* of the sheet */
} contact_sheet;

/* Makes the pixels, to be freed after failure, too. columns, scale: 0: the usual ones. */
int draw_sheet(contact_sheet *sheet);
/* The red, green or blue of an image's pixel. */
uint8_t image_element(const loaded_images *images, int64_t row, int64_t y, int64_t x, int c);
/* Writes all, with the header that they came with. */
int write_images(const char *path, const loaded_images *images);

#endif
