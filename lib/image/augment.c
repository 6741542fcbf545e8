/* SPDX-License-Identifier: MIT
 * Random views of an image, as Chen et al. 2020 ("A Simple Framework for Contrastive Learning of Visual
 * Representations") train with, by the definitions of torchvision. */
#include "image/image.h"

#include <math.h>

enum {
    MOST_TAPS = 33,   /* of a blur: 8 standard deviations on either side */
    TAP_FLOATS = 3,   /* the room of a tap in the scratch */
    BLUR_PIXELS = 64, /* smaller images are not blurred by default */
    CROP_TRIES = 10
};

/* ---- Options ------------------------------------------------------------------------------------ */

typedef struct {
    const char *name;
    double value, usual, most;
    bool can_be_off; /* by a negative value */
    double *to;
} augment_option;

static dum_status read_option(const augment_option *o)
{
    if (o->value < 0 && o->can_be_off) {
        *o->to = 0;
        return DUM_OK;
    }
    DUMI_REQUIRE(
        o->value >= 0 && o->value <= o->most, DUM_ERR_ARGUMENT, "options.%s is %s, expected at most %s%s",
        o->name, dumi_show(o->value).text, dumi_show(o->most).text,
        o->can_be_off ? ", 0 for the default, or negative for none" : ", more than 0, or 0 for the default");
    *o->to = o->value == 0 ? o->usual : o->value;
    return DUM_OK;
}

dum_status dumi_augment_read(const dum_augment_options *options, const dumi_image *shape, dumi_augment *out)
{
    dum_augment_options o;
    DUMI_TRY(dumi_read_struct("options", &o, sizeof o, sizeof o, options));
    const bool large = shape->height >= BLUR_PIXELS && shape->width >= BLUR_PIXELS;
    const augment_option table[] = {
        {"crop_min", o.crop_min, 0.2, 1, false, &out->crop_min},
        {"crop_max", o.crop_max, 1, 1, false, &out->crop_max},
        {"flip", o.flip, 0.5, 1, true, &out->flip},
        {"jitter", o.jitter, 0.8, 1, true, &out->jitter},
        {"brightness", o.brightness, 0.4, 1, true, &out->brightness},
        {"contrast", o.contrast, 0.4, 1, true, &out->contrast},
        {"saturation", o.saturation, 0.4, 1, true, &out->saturation},
        {"hue", o.hue, 0.1, 0.5, true, &out->hue},
        {"grey", o.grey, 0.2, 1, true, &out->grey},
        {"blur", o.blur, large ? 0.5 : 0, 1, true, &out->blur},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        DUMI_TRY(read_option(&table[i]));
    DUMI_REQUIRE(out->crop_min <= out->crop_max, DUM_ERR_ARGUMENT,
                 "options.crop_min is %s, expected at most crop_max = %s", dumi_show(out->crop_min).text,
                 dumi_show(out->crop_max).text);
    return DUM_OK;
}

/* ---- Crop, flip ----------------------------------------------------------------------------------- */

static double uniform(dumi_rng *rng, double low, double high)
{
    return low + (high - low) * dumi_rng_uniform(rng);
}

static dumi_box centre_box(const dumi_image *shape)
{
    dumi_box b = {0, 0, shape->height, shape->width};
    const double ratio = (double)shape->width / shape->height;
    if (ratio < 3.0 / 4)
        b.height = (int32_t)fmin(b.height, fmax(1, rint(b.width * 4.0 / 3)));
    else if (ratio > 4.0 / 3)
        b.width = (int32_t)fmin(b.width, fmax(1, rint(b.height * 4.0 / 3)));
    b.top = (shape->height - b.height) / 2;
    b.left = (shape->width - b.width) / 2;
    return b;
}

/* A share of the area of random place and aspect ratio; after ten tries that do not fit, the middle. */
static dumi_box random_box(const dumi_augment *a, const dumi_image *shape, dumi_rng *rng)
{
    if (a->crop_min >= 1)
        return (dumi_box){0, 0, shape->height, shape->width};
    const double whole = (double)dumi_image_pixels(shape), widest = log(4.0 / 3);
    for (int i = 0; i < CROP_TRIES; i++) {
        const double area = whole * uniform(rng, a->crop_min, a->crop_max);
        const double ratio = exp(uniform(rng, -widest, widest));
        const double width = rint(sqrt(area * ratio)), height = rint(sqrt(area / ratio));
        if (width < 1 || height < 1 || width > shape->width || height > shape->height)
            continue;
        dumi_box b = {0, 0, (int32_t)height, (int32_t)width};
        b.top = (int32_t)dumi_rng_below(rng, (uint64_t)(shape->height - b.height) + 1);
        b.left = (int32_t)dumi_rng_below(rng, (uint64_t)(shape->width - b.width) + 1);
        return b;
    }
    return centre_box(shape);
}

/* The two elements that a bilinear value lies between. A crop is never larger than the image that it becomes, so
 * nothing shrinks, and antialiasing has nothing to do. */
typedef struct {
    int32_t low, high;
    float weight; /* of high */
} tap;

static tap tap_at(int32_t x, int32_t from, int32_t to)
{
    double at = (x + 0.5) * from / to - 0.5;
    at = at < 0 ? 0 : at > from - 1 ? from - 1 : at;
    const int32_t low = (int32_t)at;
    return (tap){low, low + 1 < from ? low + 1 : low, (float)(at - low)};
}

/* Taps of the columns, as offsets into a row of the image: kept in the scratch, whose type they do not have. */
static void make_columns(const dumi_image *shape, const dumi_box *b, bool flip, float *taps)
{
    for (int32_t x = 0; x < shape->width; x++) {
        tap t = tap_at(flip ? shape->width - 1 - x : x, b->width, shape->width);
        t.low = (b->left + t.low) * shape->channels;
        t.high = (b->left + t.high) * shape->channels;
        memcpy(taps + (int64_t)TAP_FLOATS * x, &t, sizeof t);
    }
}

static void stretch_row(const float *restrict row, const float *restrict taps, const dumi_image *shape,
                        float *out, int64_t plane)
{
    for (int32_t x = 0; x < shape->width; x++) {
        tap t;
        memcpy(&t, taps + (int64_t)TAP_FLOATS * x, sizeof t);
        for (int32_t c = 0; c < shape->channels; c++) {
            const float low = row[t.low + c];
            out[c * plane + x] = low + t.weight * (row[t.high + c] - low);
        }
    }
}

DUMI_CLONES static void between(const float *restrict low, const float *restrict high, float weight,
                                int32_t count, float *restrict out)
{
    for (int32_t i = 0; i < count; i++)
        out[i] = low[i] + weight * (high[i] - low[i]);
}

static void stretch_column(const float *from, const dumi_image *shape, int32_t height, float *out)
{
    const int64_t width = shape->width;
    for (int32_t y = 0; y < shape->height; y++) {
        const tap t = tap_at(y, height, shape->height);
        between(from + t.low * width, from + t.high * width, t.weight, shape->width, out + y * width);
    }
}

void dumi_augment_cut(const dumi_image *shape, const float *image, const dumi_box *b, bool flip, float *work,
                      float *planes)
{
    const int64_t pixels = dumi_image_pixels(shape), plane = (int64_t)b->height * shape->width;
    float *taps = work + pixels * shape->channels;
    make_columns(shape, b, flip, taps);
    for (int32_t y = 0; y < b->height; y++)
        stretch_row(image + ((int64_t)b->top + y) * shape->width * shape->channels, taps, shape,
                    work + (int64_t)y * shape->width, plane);
    for (int32_t c = 0; c < shape->channels; c++)
        stretch_column(work + c * plane, shape, b->height, planes + c * pixels);
}

/* ---- Colour, blur ----------------------------------------------------------------------------------- */

enum { BRIGHTNESS, CONTRAST, SATURATION, HUE, COLOURS };

typedef struct {
    bool on;
    int order[COLOURS];
    double factor[COLOURS];
} colour_change;

static colour_change random_colour(const dumi_augment *a, dumi_rng *rng)
{
    colour_change c = {.on = dumi_rng_uniform(rng) < a->jitter, .order = {0, 1, 2, 3}};
    const double strength[COLOURS] = {a->brightness, a->contrast, a->saturation, a->hue};
    for (int i = COLOURS - 1; i > 0; i--) {
        const int j = (int)dumi_rng_below(rng, (uint64_t)i + 1), kept = c.order[i];
        c.order[i] = c.order[j];
        c.order[j] = kept;
    }
    for (int i = 0; i < COLOURS; i++)
        c.factor[i] = uniform(rng, -strength[i], strength[i]);
    return c;
}

static void change_colour(const colour_change *c, int which, int64_t pixels, int32_t channels, float *planes,
                          float *work)
{
    const float factor = (float)(1 + c->factor[which]);
    if (c->factor[which] == 0)
        return;
    if (which == BRIGHTNESS) {
        dumi_colour_scale(planes, pixels * channels, factor, 0);
    } else if (which == CONTRAST) {
        dumi_colour_grey(planes, pixels, channels, work);
        const double mean = dumi_colour_mean(work, pixels);
        dumi_colour_scale(planes, pixels * channels, factor, (float)(mean * -c->factor[which]));
    } else if (which == SATURATION && channels == 3) {
        dumi_colour_saturate(planes, pixels, factor);
    } else if (which == HUE && channels == 3) {
        dumi_colour_turn(planes, pixels, (float)c->factor[which]);
    }
}

static void jitter(const colour_change *c, int64_t pixels, int32_t channels, float *planes, float *work)
{
    for (int i = 0; c->on && i < COLOURS; i++)
        change_colour(c, c->order[i], pixels, channels, planes, work);
}

static void blur(const dumi_image *shape, double sigma, float *planes, float *work)
{
    const int32_t side = shape->height < shape->width ? shape->height : shape->width;
    int32_t taps = side / 10 | 1;
    taps = taps < 3 ? 3 : taps > MOST_TAPS ? MOST_TAPS : taps;
    float weights[MOST_TAPS];
    dumi_gaussian(sigma, taps, weights);
    const int64_t pixels = dumi_image_pixels(shape);
    for (int32_t c = 0; c < shape->channels; c++)
        dumi_filter_plane(planes + c * pixels, shape->height, shape->width, weights, taps, dumi_reflect, work,
                          planes + c * pixels);
    /* Weights sum to 1 but for rounding. */
    dumi_colour_scale(planes, pixels * shape->channels, 1, 0);
}

/* ---- Views ------------------------------------------------------------------------------------------ */

size_t dumi_augment_scratch(const dumi_image *shape)
{
    return 2 * (size_t)dumi_image_size(shape) + (size_t)TAP_FLOATS * (size_t)shape->width + MOST_TAPS;
}

void dumi_augment_view(const dumi_augment *a, const dumi_image *shape, const float *image, uint64_t seed,
                       uint64_t index, uint32_t view, float *scratch, float *out)
{
    /* Each index has 65536 blocks of random numbers of its own; a view needs about twenty. */
    dumi_rng rng;
    dumi_rng_init(&rng, seed, DUMI_RNG_AUGMENT, view);
    rng.counter = index << 16;
    const dumi_box b = random_box(a, shape, &rng);
    const bool flip = dumi_rng_uniform(&rng) < a->flip;
    const colour_change colour = random_colour(a, &rng);
    const bool grey = dumi_rng_uniform(&rng) < a->grey && shape->channels == 3;
    const bool blurred = dumi_rng_uniform(&rng) < a->blur;
    const double sigma = uniform(&rng, 0.1, 2.0);

    const int64_t pixels = dumi_image_pixels(shape);
    float *planes = scratch, *work = scratch + dumi_image_size(shape);
    if (flip || b.width < shape->width || b.height < shape->height)
        dumi_augment_cut(shape, image, &b, flip, work, planes);
    else
        dumi_planes_split(image, pixels, shape->channels, planes);
    jitter(&colour, pixels, shape->channels, planes, work);
    if (grey)
        dumi_colour_saturate(planes, pixels, 0);
    if (blurred)
        blur(shape, sigma, planes, work);
    dumi_planes_join(planes, pixels, shape->channels, out);
}

typedef struct {
    dumi_augment augment;
    uint64_t seed;
    uint32_t view;
} augment_job;

static void augment_row(const void *argument, const dumi_images *images, int64_t row, float *scratch)
{
    const augment_job *job = argument;
    dumi_augment_view(&job->augment, &images->shape, images->images + row * images->row_stride, job->seed,
                      (uint64_t)row, job->view, scratch, images->out + row * dumi_image_size(&images->shape));
}

dum_status dum_image_augment(dum_context *context, const dum_augment_options *options, int32_t height,
                             int32_t width, int32_t channels, const float *images, int64_t rows,
                             int64_t row_stride, uint64_t seed, uint32_t view, float *out)
{
    dumi_clear_error();
    DUMI_NOT_NULL(context);
    dumi_images job = {{height, width, channels}, images, rows, row_stride, out};
    augment_job augment = {.seed = seed, .view = view};
    DUMI_TRY(dumi_images_check(&job));
    DUMI_TRY(dumi_augment_read(options, &job.shape, &augment.augment));
    return dumi_images_run(context, &job, dumi_augment_scratch(&job.shape),
                           30.0 * (double)dumi_image_size(&job.shape), augment_row, &augment);
}
