/* SPDX-License-Identifier: MIT
 * What every public function on images does: checks its rows, and makes each of them on some thread. */
#include "image/image.h"

#include <math.h>

enum { ROWS_A_TASK = 4, MOST_SIDE = 65535 };

static dum_status check_shape(const dumi_image *s)
{
    DUMI_REQUIRE(s->height >= 1 && s->width >= 1 && s->height <= MOST_SIDE && s->width <= MOST_SIDE,
                 DUM_ERR_ARGUMENT, "height x width is %d x %d, expected 1 x 1 to 65535 x 65535", s->height,
                 s->width);
    DUMI_REQUIRE(s->channels == 1 || s->channels == 3, DUM_ERR_ARGUMENT, "channels is %d, expected 1 or 3",
                 s->channels);
    DUMI_REQUIRE(s->height <= INT32_MAX / s->channels / s->width, DUM_ERR_ARGUMENT,
                 "height x width x channels is %d x %d x %d, expected at most 2147483647 elements", s->height,
                 s->width, s->channels);
    return DUM_OK;
}

/* Without a way out, so that it is done several at a time. */
DUMI_CLONES static int32_t count_bad(const float *values, int64_t count)
{
    int32_t bad = 0;
    for (int64_t i = 0; i < count; i++)
        bad |= !(values[i] >= 0 && values[i] <= 255);
    return bad;
}

static dum_status check_row(const dumi_images *images, int64_t row)
{
    const float *values = images->images + row * images->row_stride;
    const int64_t count = dumi_image_size(&images->shape);
    if (count_bad(values, count) == 0)
        return DUM_OK;
    int64_t i = 0;
    while (values[i] >= 0 && values[i] <= 255)
        i++;
    DUMI_REQUIRE(isfinite(values[i]), DUM_ERR_NONFINITE, "row %lld, element %lld of images is not finite",
                 (long long)row, (long long)i);
    return dumi_fail(DUM_ERR_ARGUMENT, "row %lld, element %lld of images is %s, expected 0 to 255",
                     (long long)row, (long long)i, dumi_show((double)values[i]).text);
}

dum_status dumi_images_check(dumi_images *images)
{
    DUMI_TRY(check_shape(&images->shape));
    const int64_t size = dumi_image_size(&images->shape);
    DUMI_REQUIRE(images->rows >= 0, DUM_ERR_SHAPE, "rows is %lld, expected 0 or more", (long long)images->rows);
    if (images->row_stride == 0)
        images->row_stride = size;
    DUMI_REQUIRE(images->row_stride >= size, DUM_ERR_SHAPE,
                 "row_stride is %lld, expected height x width x channels = %lld or more",
                 (long long)images->row_stride, (long long)size);
    DUMI_REQUIRE(images->images != NULL || images->rows == 0, DUM_ERR_ARGUMENT, "images is NULL");
    DUMI_REQUIRE(images->out != NULL || images->rows == 0, DUM_ERR_ARGUMENT, "out is NULL");
    for (int64_t row = 0; row < images->rows; row++)
        DUMI_TRY(check_row(images, row));
    return DUM_OK;
}

typedef struct {
    const dumi_images *images;
    dumi_image_fn make;
    const void *argument;
    float *scratch;
    size_t scratch_size;
} image_job;

static void make_some(void *argument, int64_t task, int32_t worker)
{
    const image_job *job = argument;
    const int64_t first = task * ROWS_A_TASK, left = job->images->rows - first;
    const int64_t end = first + (left < ROWS_A_TASK ? left : ROWS_A_TASK);
    for (int64_t row = first; row < end; row++)
        job->make(job->argument, job->images, row, job->scratch + (size_t)worker * job->scratch_size);
}

dum_status dumi_images_run(dum_context *context, const dumi_images *images, size_t scratch, double operations,
                           dumi_image_fn make, const void *argument)
{
    const int64_t tasks = (images->rows + ROWS_A_TASK - 1) / ROWS_A_TASK;
    const int32_t threads = tasks < context->threads ? (int32_t)tasks : context->threads;
    image_job job = {images, make, argument, NULL, (scratch + 15) / 16 * 16};
    DUMI_TRY(DUMI_NEW(context, job.scratch, job.scratch_size * (size_t)(threads > 0 ? threads : 1)));
    dumi_parallel(context, threads, tasks, operations * (double)images->rows, make_some, &job);
    dumi_free(context, job.scratch);
    return DUM_OK;
}
