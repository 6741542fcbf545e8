/* SPDX-License-Identifier: MIT
 * Corruptions: Hendrycks & Dietterich 2019, "Benchmarking Neural Network Robustness to Common Corruptions and
 * Perturbations", with the constants of their CIFAR-10-C. */
#ifndef DUMI_CORRUPT_H
#define DUMI_CORRUPT_H

#include "image/image.h"

enum { DUMI_SEVERITIES = 5 };

/* An image on its way. */
typedef struct {
    dumi_image shape;
    int32_t severity; /* 0 .. 4 */
    double scale;     /* of lengths, which the constants give for 32 x 32: the shorter side / 32 */
    dumi_rng rng;
    float *planes; /* in and out; clipped to 0..255 afterwards */
    float *work;
} dumi_corrupting;

typedef struct {
    const char *name;
    void (*make)(dumi_corrupting *c);
    size_t (*work)(const dumi_image *shape, double scale); /* floats of work; NULL: none */
    double operations;                                     /* rough count, of one element */
} dumi_corruption;

void dumi_gaussian_noise(dumi_corrupting *c);
void dumi_shot_noise(dumi_corrupting *c);
void dumi_impulse_noise(dumi_corrupting *c);

void dumi_defocus_blur(dumi_corrupting *c);
void dumi_glass_blur(dumi_corrupting *c);
void dumi_motion_blur(dumi_corrupting *c);
void dumi_zoom_blur(dumi_corrupting *c);
size_t dumi_blur_work(const dumi_image *shape, double scale);

void dumi_snow(dumi_corrupting *c);
void dumi_frost(dumi_corrupting *c);
void dumi_fog(dumi_corrupting *c);
void dumi_brightness(dumi_corrupting *c);
size_t dumi_weather_work(const dumi_image *shape, double scale);

void dumi_contrast(dumi_corrupting *c);
void dumi_elastic_transform(dumi_corrupting *c);
void dumi_pixelate(dumi_corrupting *c);
size_t dumi_digital_work(const dumi_image *shape, double scale);

void dumi_jpeg_compression(dumi_corrupting *c);
/* Quality: 1 to 100. */
void dumi_jpeg_round_trip(dumi_corrupting *c, int32_t quality);
size_t dumi_jpeg_work(const dumi_image *shape, double scale);

/* ---- What several of them use ----------------------------------------------------------------- */

double dumi_rng_between(dumi_rng *rng, double low, double high);

/* Blurs along a line from each pixel: half a Gaussian of 2 ceil(radius) + 1 pixels, rounded to whole ones, the border
 * repeated (ImageMagick's motion blur). angle in degrees, 0: along the rows. out is not plane; weights: room for
 * dumi_motion_taps. */
int32_t dumi_motion_taps(double radius);
void dumi_motion_plane(const float *plane, const dumi_image *shape, double radius, double sigma, double angle,
                       float *weights, float *out);

/* The middle of a plane, `factor` (1 or more) times as large, bilinear; times weight and added to out. */
void dumi_zoom_plane(const float *plane, const dumi_image *shape, double factor, float weight, float *out);

#endif
