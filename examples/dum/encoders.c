/* SPDX-License-Identifier: MIT */
#include "encoders.h"
#include "images.h"

#include <stdlib.h>
#include <string.h>

int load_encoder(dum_context *context, const char *path, const arguments *args, dum_encoder **out)
{
    if (dum_encoder_load(context, path, out) != DUM_OK)
        return fail_library(path);
    if (args->output == NULL || dum_encoder_set_text(*out, "output", args->output) == DUM_OK)
        return TOOL_OK;
    fail_library("--output");
    return TOOL_USAGE;
}

static int32_t option(const dum_encoder *encoder, const char *name)
{
    double value;
    return dum_encoder_get_number(encoder, name, &value) == DUM_OK ? (int32_t)value : 0;
}

void encoder_image(const dum_encoder *encoder, int32_t *height, int32_t *width, int32_t *channels)
{
    *height = option(encoder, "height");
    *width = option(encoder, "width");
    *channels = option(encoder, "channels");
}

int check_encoder_data(const dum_encoder *encoder, const char *path)
{
    image_shape shape;
    int32_t height, width, channels;
    if (strcmp(dum_encoder_kind(encoder), "resnet") != 0 || !has_ending(path, ".npy"))
        return TOOL_OK;
    const int status = read_image_shape(path, &shape);
    if (status != TOOL_OK || !shape.is_image)
        return status;
    encoder_image(encoder, &height, &width, &channels);
    if (shape.height == height && shape.width == width && shape.channels == channels)
        return TOOL_OK;
    return fail("%s has images of %lld x %lld x %lld, the encoder takes %d x %d x %d", path, shape.height,
                shape.width, shape.channels, height, width, channels);
}

int load_classes(const char *path, const arguments *args, const char *data, int64_t rows, int32_t **out)
{
    double *values;
    int64_t found;
    int status = load_vector(path, args->label_column, args->header, "label", &values, &found);
    if (status != TOOL_OK)
        return status;
    if (found != rows)
        status = fail("%s has %lld labels, %s has %lld rows", path, (long long)found, data, (long long)rows);
    *out = status == TOOL_OK ? malloc((size_t)rows * sizeof **out) : NULL;
    if (status == TOOL_OK && *out == NULL)
        status = fail("out of memory");
    for (int64_t i = 0; i < rows && status == TOOL_OK; i++) {
        if (!(values[i] >= 0 && values[i] <= 65535 && values[i] == (double)(int32_t)values[i]))
            status = fail("%s: label of row %lld (from 0) is %g, expected a whole number from 0 to 65535", path,
                          (long long)i, values[i]);
        else
            (*out)[i] = (int32_t)values[i];
    }
    free(values);
    return status;
}
