/* SPDX-License-Identifier: MIT
 * The table of corruptions, and what all of them have in common. */
#include "image/corrupt.h"

#include <stdio.h>

static const dumi_corruption corruptions[] = {
    /* Random numbers are keyed by the place in this table: new ones go to the end. */
    {"gaussian_noise", dumi_gaussian_noise, NULL, 150},
    {"shot_noise", dumi_shot_noise, NULL, 250},
    {"impulse_noise", dumi_impulse_noise, NULL, 50},
    {"defocus_blur", dumi_defocus_blur, dumi_blur_work, 50},
    {"glass_blur", dumi_glass_blur, dumi_blur_work, 100},
    {"motion_blur", dumi_motion_blur, dumi_blur_work, 100},
    {"zoom_blur", dumi_zoom_blur, dumi_blur_work, 500},
    {"snow", dumi_snow, dumi_weather_work, 150},
    {"frost", dumi_frost, dumi_weather_work, 150},
    {"fog", dumi_fog, dumi_weather_work, 50},
    {"brightness", dumi_brightness, NULL, 5},
    {"contrast", dumi_contrast, NULL, 5},
    {"elastic_transform", dumi_elastic_transform, dumi_digital_work, 200},
    {"pixelate", dumi_pixelate, dumi_digital_work, 100},
    {"jpeg_compression", dumi_jpeg_compression, dumi_jpeg_work, 100},
};

enum { CORRUPTIONS = sizeof corruptions / sizeof corruptions[0] };

int32_t dum_corruption_count(void)
{
    return CORRUPTIONS;
}

const char *dum_corruption_name(int32_t index)
{
    return index >= 0 && index < CORRUPTIONS ? corruptions[index].name : NULL;
}

static dum_status find(const char *name, int32_t *index)
{
    char known[224];
    size_t length = 0;
    for (int32_t i = 0; i < CORRUPTIONS; i++) {
        if (strcmp(name, corruptions[i].name) == 0) {
            *index = i;
            return DUM_OK;
        }
        length += (size_t)snprintf(known + length, sizeof known - length, "%s%s", i > 0 ? "|" : "",
                                   corruptions[i].name);
    }
    return dumi_fail(DUM_ERR_ARGUMENT, "name is \"%.20s\", expected %s", name, known);
}

typedef struct {
    int32_t index, severity;
    double scale;
    uint64_t seed;
} corrupt_job;

static void corrupt_row(const void *argument, const dumi_images *images, int64_t row, float *scratch)
{
    const corrupt_job *job = argument;
    const int64_t size = dumi_image_size(&images->shape), pixels = dumi_image_pixels(&images->shape);
    dumi_corrupting c = {.shape = images->shape,
                         .severity = job->severity - 1,
                         .scale = job->scale,
                         .planes = scratch,
                         .work = scratch + size};
    /* Each row has 2^32 blocks of random numbers of its own. */
    dumi_rng_init(&c.rng, job->seed, DUMI_RNG_CORRUPT, (uint32_t)job->index);
    c.rng.counter = (uint64_t)row << 32;
    dumi_planes_split(images->images + row * images->row_stride, pixels, images->shape.channels, c.planes);
    corruptions[job->index].make(&c);
    dumi_colour_scale(c.planes, size, 1, 0);
    dumi_planes_join(c.planes, pixels, images->shape.channels, images->out + row * size);
}

dum_status dum_image_corrupt(dum_context *context, const char *name, int32_t severity, uint64_t seed,
                             int32_t height, int32_t width, int32_t channels, const float *images, int64_t rows,
                             int64_t row_stride, float *out)
{
    dumi_clear_error();
    DUMI_NOT_NULL(context);
    DUMI_NOT_NULL(name);
    dumi_images job = {{height, width, channels}, images, rows, row_stride, out};
    corrupt_job corrupt = {.severity = severity, .seed = seed};
    DUMI_TRY(find(name, &corrupt.index));
    DUMI_REQUIRE(severity >= 1 && severity <= DUMI_SEVERITIES, DUM_ERR_ARGUMENT,
                 "severity is %d, expected 1 to 5", severity);
    DUMI_TRY(dumi_images_check(&job));
    corrupt.scale = (height < width ? height : width) / 32.0;
    const dumi_corruption *kind = &corruptions[corrupt.index];
    const size_t size = (size_t)dumi_image_size(&job.shape);
    const size_t work = kind->work != NULL ? kind->work(&job.shape, corrupt.scale) : 0;
    return dumi_images_run(context, &job, size + work, kind->operations * (double)size, corrupt_row, &corrupt);
}
