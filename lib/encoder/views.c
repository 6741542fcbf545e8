/* SPDX-License-Identifier: MIT
 * Random views of a batch: images after SimCLR (lib/image), rows of a table with noise and values of other rows
 * (after Bahri et al. 2022, "SCARF", which swaps alone). A view depends on seed, row, epoch and its number. */
#include "encoder/training.h"

enum { OTHER_ROW = 1 << 30, QUARTERS = 1 << 29 }; /* apart from the streams of views */

static dumi_image shape_of(const double *v)
{
    return (dumi_image){(int32_t)v[DUMI_E_HEIGHT], (int32_t)v[DUMI_E_WIDTH], (int32_t)v[DUMI_E_CHANNELS]};
}

size_t dumi_training_scratch(const dumi_training *t)
{
    const dumi_image shape = shape_of(t->values);
    return dumi_encoder_has_images(t->model) ? dumi_augment_scratch(&shape) + (size_t)dumi_image_size(&shape)
                                             : 0;
}

int32_t dumi_training_quarters(const dumi_training *t, int32_t row)
{
    dumi_rng rng;
    dumi_rng_init(&rng, (uint64_t)t->values[DUMI_E_SEED] ^ (uint64_t)t->indices[row] << 20, DUMI_RNG_VIEW,
                  QUARTERS + (uint32_t)(t->step / t->pace.per_epoch));
    return (int32_t)dumi_rng_below(&rng, 4);
}

void dumi_encoder_turn(const dumi_image *shape, int32_t quarters, const float *from, float *to)
{
    const int32_t last = shape->width - 1;
    const size_t pixel = (size_t)shape->channels;
    for (int32_t y = 0; y <= last; y++) {
        for (int32_t x = 0; x <= last; x++) {
            const int32_t from_y = quarters == 1 ? x : quarters == 2 ? last - y : quarters == 3 ? last - x : y;
            const int32_t from_x = quarters == 1 ? last - y : quarters == 2 ? last - x : quarters == 3 ? y : x;
            memcpy(to + (size_t)(y * shape->width + x) * pixel,
                   from + (size_t)(from_y * shape->width + from_x) * pixel, pixel * sizeof *to);
        }
    }
}

static void view_image(const dumi_training *t, int32_t row, uint32_t view, float *scratch, float *out)
{
    const double *v = t->values;
    const dumi_image shape = shape_of(v);
    const dumi_augment augment = {.crop_min = v[DUMI_E_CROP_MIN],
                                  .crop_max = v[DUMI_E_CROP_MAX],
                                  .flip = v[DUMI_E_FLIP],
                                  .jitter = v[DUMI_E_JITTER],
                                  .brightness = v[DUMI_E_BRIGHTNESS],
                                  .contrast = v[DUMI_E_CONTRAST],
                                  .saturation = v[DUMI_E_SATURATION],
                                  .hue = v[DUMI_E_HUE],
                                  .grey = v[DUMI_E_GREY],
                                  .blur = v[DUMI_E_BLUR]};
    dumi_augment_view(&augment, &shape, t->rows + (int64_t)row * t->data->cols, (uint64_t)v[DUMI_E_SEED],
                      (uint64_t)t->indices[row], view, scratch, out);
    if (t->model->network.rotation >= 0 && view % DUMI_MOST_VIEWS == 1) {
        memcpy(scratch, out, (size_t)dumi_image_size(&shape) * sizeof *scratch);
        dumi_encoder_turn(&shape, dumi_training_quarters(t, row), scratch, out);
    }
    dumi_encoder_scale(t->model, out, out);
}

static void view_row(const dumi_training *t, int32_t row, int32_t number, uint32_t view, float *out)
{
    const int32_t cols = t->data->cols;
    const float *other = t->others + ((int64_t)number * t->batch + row) * cols;
    dumi_rng rng;
    dumi_rng_init(&rng, (uint64_t)t->values[DUMI_E_SEED] ^ (uint64_t)t->indices[row] << 20, DUMI_RNG_VIEW,
                  view);
    for (int32_t j = 0; j < cols; j++)
        out[j] = dumi_rng_uniform(&rng) < t->values[DUMI_E_SWAP] ? other[j] : t->rows[(int64_t)row * cols + j];
    dumi_encoder_scale(t->model, out, out);
    for (int32_t j = 0; j < cols && t->values[DUMI_E_NOISE] > 0; j++)
        out[j] += (float)(t->values[DUMI_E_NOISE] * dumi_rng_normal(&rng));
}

static void view_task(void *argument, int64_t task, int32_t worker)
{
    const dumi_training *t = argument;
    const int32_t number = (int32_t)(task / t->batch), row = (int32_t)(task % t->batch);
    const uint32_t view = (uint32_t)(t->step / t->pace.per_epoch) * DUMI_MOST_VIEWS + (uint32_t)number;
    float *out = t->inputs + task * t->data->cols;
    if (!dumi_encoder_has_images(t->model)) {
        view_row(t, row, number, view, out);
        return;
    }
    view_image(t, row, view, t->scratch + (size_t)worker * dumi_training_scratch(t), out);
}

/* Checked each time: a fit that goes on from weights has not seen these rows before, and a callback may change its mind. */
static dum_status gather(const dumi_training *t, const int64_t *indices, int32_t count, float *rows)
{
    DUMI_TRY(dumi_dataset_gather(t->data, indices, count, rows));
    for (int64_t i = 0; i < count; i++)
        DUMI_TRY(dumi_encoder_check_row(t->model, indices[i], rows + i * t->data->cols));
    return DUM_OK;
}

/* A row of the data for each view of a table's row. */
static dum_status gather_others(dumi_training *t)
{
    dumi_rng rng;
    dumi_rng_init(&rng, (uint64_t)t->values[DUMI_E_SEED] + ((uint64_t)t->step << 20), DUMI_RNG_VIEW, OTHER_ROW);
    for (int32_t view = 0; view < t->views; view++) {
        int64_t others[256];
        for (int32_t first = 0; first < t->batch; first += 256) {
            const int32_t count = t->batch - first < 256 ? t->batch - first : 256;
            for (int32_t i = 0; i < count; i++)
                others[i] = (int64_t)dumi_rng_below(&rng, (uint64_t)t->data->rows);
            DUMI_TRY(gather(t, others, count, t->others + ((int64_t)view * t->batch + first) * t->data->cols));
        }
    }
    return DUM_OK;
}

dum_status dumi_training_views(dumi_training *t)
{
    DUMI_TRY(gather(t, t->indices, t->batch, t->rows));
    if (t->others != NULL)
        DUMI_TRY(gather_others(t));
    const int64_t count = (int64_t)t->views * t->batch;
    dumi_parallel(t->context, t->context->threads, count, 40.0 * (double)count * t->data->cols, view_task, t);
    t->backend->upload(t->stream, t->run.values[0], t->inputs,
                       (size_t)t->run_views * (size_t)t->batch * (size_t)t->data->cols);
    return DUM_OK;
}
