/* SPDX-License-Identifier: MIT
 * dum corrupt: images as a camera, the weather or a file format spoil them. */
#include "images.h"

#include <stdlib.h>
#include <string.h>

/* In one call: what is random in an image depends on its number. */
static int corrupt(dum_context *context, const arguments *args, uint64_t seed, loaded_images *images)
{
    const int64_t count = images->rows * image_size(images);
    float *values = malloc((size_t)count * sizeof *values);
    if (values == NULL)
        return fail("out of memory");
    for (int64_t i = 0; i < count; i++)
        values[i] = images->pixels[i];
    int status = TOOL_OK;
    if (dum_image_corrupt(context, args->corruption, args->severity, seed, images->height, images->width,
                          images->channels, values, images->rows, 0, values) != DUM_OK)
        status = fail_library("--corruption");
    for (int64_t i = 0; i < count && status == TOOL_OK; i++)
        images->pixels[i] = (uint8_t)(values[i] + 0.5f);
    free(values);
    return status;
}

static int check_arguments(const arguments *args, uint64_t *seed)
{
    int status = require_argument(args->file, "IN.npy");
    if (status == TOOL_OK)
        status = require_argument(args->out, "--out");
    if (status == TOOL_OK)
        status = require_argument(args->corruption, "--corruption");
    if (status == TOOL_OK && args->severity == 0)
        status = require_argument(NULL, "--severity");
    if (status == TOOL_OK)
        status = parse_seed(args->seed, seed);
    for (int32_t i = 0; status == TOOL_OK && i < dum_corruption_count(); i++)
        if (strcmp(args->corruption, dum_corruption_name(i)) == 0)
            return TOOL_OK;
    return status == TOOL_OK ? bad_value("--corruption", args->corruption,
                                         "a name as gaussian_noise: docs/images.md has all of them")
                             : status;
}

int command_corrupt(int argc, char **argv)
{
    static const char *const accepted[] = {"--out",     "--corruption", "--severity", "--seed",
                                           "--threads", "--backend",    "--quiet",    NULL};
    arguments args;
    uint64_t seed;
    int status = parse_arguments(argc, argv, accepted, 1, &args);
    if (status == TOOL_OK)
        status = check_arguments(&args, &seed);
    if (status != TOOL_OK)
        return status;
    dum_context *context = NULL;
    loaded_images images = {0};
    status = open_context(&args, &context);
    if (status == TOOL_OK)
        status = load_images(args.file, &images);
    if (status == TOOL_OK)
        status = corrupt(context, &args, seed, &images);
    if (status == TOOL_OK)
        status = write_images(args.out, &images);
    free_images(&images);
    dum_context_destroy(context);
    return finish_output(status);
}
