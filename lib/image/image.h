/* SPDX-License-Identifier: MIT
 * Images: rows of height x width x channels floats, channels last, values 0 to 255. */
#ifndef DUMI_IMAGE_H
#define DUMI_IMAGE_H

#include "core/core.h"

typedef struct {
    int32_t height, width, channels; /* channels: 1 or 3 */
} dumi_image;

static inline int64_t dumi_image_pixels(const dumi_image *shape)
{
    return (int64_t)shape->height * shape->width;
}

static inline int64_t dumi_image_size(const dumi_image *shape)
{
    return dumi_image_pixels(shape) * shape->channels;
}

/* ---- What the public functions share ------------------------------------------------------ */

typedef struct {
    dumi_image shape;
    const float *images;
    int64_t rows, row_stride;
    float *out;
} dumi_images;

/* Fills in a row_stride of 0. Errors: ARGUMENT (a shape that is no image's, values outside 0..255), SHAPE,
 * NONFINITE. */
dum_status dumi_images_check(dumi_images *images);

/* Makes a row of out; scratch is the worker's own. */
typedef void (*dumi_image_fn)(const void *argument, const dumi_images *images, int64_t row, float *scratch);

/* All rows, on the context's threads; `operations`: of one image. */
dum_status dumi_images_run(dum_context *context, const dumi_images *images, size_t scratch, double operations,
                           dumi_image_fn make, const void *argument);

/* ---- Planes: one channel after the other ---------------------------------------------------- */

void dumi_planes_split(const float *image, int64_t pixels, int32_t channels, float *planes);
void dumi_planes_join(const float *planes, int64_t pixels, int32_t channels, float *image);

/* Where a mirror without a repeated border (d c b | a b c d | c b a) shows index i, for any i. */
int32_t dumi_reflect(int32_t i, int32_t size);
/* The mirror that repeats the border (c b a | a b c d | d c b). */
int32_t dumi_mirror(int32_t i, int32_t size);
/* The border, repeated (a a a | a b c d | d d d). */
int32_t dumi_clamp(int32_t i, int32_t size);
/* One of these. */
typedef int32_t (*dumi_border)(int32_t i, int32_t size);

/* A plane between its pixels, bilinear. */
float dumi_plane_at(const float *plane, int32_t height, int32_t width, double y, double x, dumi_border border);

/* to += weight x from. */
void dumi_add_scaled(const float *restrict from, int64_t count, float weight, float *restrict to);

/* A row with `by` elements more on either side. */
void dumi_pad_row(const float *row, int32_t width, int32_t by, dumi_border border, float *padded);
/* A row of a separable filter: out[x] = sum of weights[k] padded[x + k]. */
void dumi_filter_row(const float *padded, int32_t width, const float *weights, int32_t taps, float *out);
/* Convolves a plane with weights along both axes; work: a plane and width + taps floats more. In place is fine. */
void dumi_filter_plane(const float *plane, int32_t height, int32_t width, const float *weights, int32_t taps,
                       dumi_border border, float *work, float *out);
/* Weights of a Gaussian that sum to 1; taps is odd. */
void dumi_gaussian(double sigma, int32_t taps, float *weights);

/* ---- Colour: planes, clipped to 0..255 ------------------------------------------------------ */

/* x factor + offset. */
void dumi_colour_scale(float *values, int64_t count, float factor, float offset);
/* Weights of ITU-R BT.601: 0.299, 0.587, 0.114. */
void dumi_colour_grey(const float *planes, int64_t pixels, int32_t channels, float *grey);
double dumi_colour_mean(const float *values, int64_t count);
/* The rest changes 3 planes. Saturation: blends with the grey of each pixel; 0: all grey. */
void dumi_colour_saturate(float *planes, int64_t pixels, float factor);
/* Turns the hue, in turns (-0.5 .. 0.5), at the same value and saturation of HSV. */
void dumi_colour_turn(float *planes, int64_t pixels, float turns);
/* Adds to the value of HSV. */
void dumi_colour_value(float *planes, int64_t pixels, float offset);

/* ---- Augmentation --------------------------------------------------------------------------- */

typedef struct {
    double crop_min,
        crop_max;  /* random resized crop: share of the area, aspect ratio 3/4 .. 4/3; both 1: none */
    double flip;   /* chance of a horizontal flip */
    double jitter; /* chance of colour jitter */
    /* Its strengths: factors 1 +- s, hue in turns +- h; the four in random order. */
    double brightness, contrast, saturation, hue;
    double grey; /* chance of greyscale */
    double
        blur; /* chance of Gaussian blur, sigma uniform in 0.1 .. 2, kernel about a tenth of the image, odd, >= 3 */
} dumi_augment;

/* What options mean for images of a shape: the defaults filled in. */
dum_status dumi_augment_read(const dum_augment_options *options, const dumi_image *shape, dumi_augment *out);

/* How many floats of scratch a view needs. */
size_t dumi_augment_scratch(const dumi_image *shape);

typedef struct {
    int32_t top, left, height, width;
} dumi_box;

/* From a box of an image to planes of the whole size; work: of the size of a view's scratch, less the planes. */
void dumi_augment_cut(const dumi_image *shape, const float *image, const dumi_box *b, bool flip, float *work,
                      float *planes);

/* One random view of an image; `out` is of the same shape and may be `image`. The view depends on seed, index
 * (below 2^48) and view alone. */
void dumi_augment_view(const dumi_augment *a, const dumi_image *shape, const float *image, uint64_t seed,
                       uint64_t index, uint32_t view, float *scratch, float *out);

#endif
