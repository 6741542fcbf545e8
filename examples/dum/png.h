/* SPDX-License-Identifier: MIT
 * Pictures out: PNG (ISO/IEC 15948), not compressed. */
#ifndef PNG_H
#define PNG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* The most bytes of pixels, with one more a row, that fit: a chunk has less than 2^31. */
enum { PNG_MOST = 2000000000 };

typedef struct {
    const uint8_t *pixels; /* height x width x 3: red, green, blue */
    int32_t height, width; /* 1 or more */
} png_picture;

bool png_fits(int64_t height, int64_t width);

/* A put_fn of write_output; what: a png_picture. */
void put_png(FILE *file, const void *what);

#endif
