/* SPDX-License-Identifier: MIT
 * Images from .npy: 32 x 32 x 3 as they are; 28 x 28 grey ones (MNIST) with two pixels of black round them, in three
 * equal channels. */
#include "ood.h"

#include <stdlib.h>
#include <string.h>

enum { GREY_SIDE = 28, GREY = GREY_SIDE * GREY_SIDE, MARGIN = (SIDE - GREY_SIDE) / 2 };

static void put_grey(const float *from, uint8_t *to)
{
    memset(to, 0, PIXELS);
    for (int y = 0; y < GREY_SIDE; y++)
        for (int x = 0; x < GREY_SIDE; x++)
            memset(to + (ptrdiff_t)((y + MARGIN) * SIDE + x + MARGIN) * CHANNELS,
                   (uint8_t)from[y * GREY_SIDE + x], CHANNELS);
}

static bool read_images(const dum_dataset *source, image_set *out)
{
    const int32_t cols = dum_dataset_cols(source);
    float row[PIXELS];
    for (int64_t i = 0; i < out->rows; i++) {
        if (dum_dataset_read(source, i, 1, row) != DUM_OK)
            return complain_library("reading images");
        if (cols == GREY)
            put_grey(row, out->pixels + i * PIXELS);
        for (int at = 0; at < PIXELS && cols == PIXELS; at++)
            out->pixels[i * PIXELS + at] = (uint8_t)row[at];
    }
    return true;
}

bool load_image_set(dum_context *context, const char *path, int64_t limit, image_set *out)
{
    dum_dataset *source;
    if (dum_dataset_from_npy(context, path, &source) != DUM_OK)
        return complain_library(path);
    const int32_t cols = dum_dataset_cols(source);
    out->rows = dum_dataset_rows(source);
    out->rows = limit > 0 && limit < out->rows ? limit : out->rows;
    out->pixels = malloc((size_t)out->rows * PIXELS);
    bool good = out->pixels != NULL || complain("out of memory");
    if (cols != PIXELS && cols != GREY)
        good = complain("images are neither N x 32 x 32 x 3 nor N x 28 x 28");
    good = good && read_images(source, out);
    if (good && dum_dataset_from_bytes(context, out->pixels, out->rows, PIXELS, 0, &out->data) != DUM_OK)
        good = complain_library(path);
    dum_dataset_destroy(source);
    return good;
}

void free_image_set(image_set *set)
{
    dum_dataset_destroy(set->data);
    free(set->pixels);
}

bool load_labels(dum_context *context, const char *path, int64_t rows, int32_t **out)
{
    dum_dataset *source;
    if (dum_dataset_from_npy(context, path, &source) != DUM_OK)
        return complain_library(path);
    const bool fits = dum_dataset_cols(source) == 1 && dum_dataset_rows(source) >= rows;
    float *values = malloc((size_t)rows * sizeof *values);
    *out = malloc((size_t)rows * sizeof **out);
    bool good = fits || complain("labels: expected one a training image");
    good = good && ((values != NULL && *out != NULL) || complain("out of memory"));
    if (good && dum_dataset_read(source, 0, rows, values) != DUM_OK)
        good = complain_library(path);
    for (int64_t i = 0; i < rows && good; i++)
        (*out)[i] = (int32_t)values[i];
    free(values);
    dum_dataset_destroy(source);
    return good;
}
