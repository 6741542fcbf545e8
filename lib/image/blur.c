/* SPDX-License-Identifier: MIT */
#include "image/corrupt.h"

#include <math.h>

static const double DEGREE = 0.017453292519943295;

double dumi_rng_between(dumi_rng *rng, double low, double high)
{
    return low + (high - low) * dumi_rng_uniform(rng);
}

/* ---- Defocus: a disk, its edge softened ------------------------------------------------------------ */

/* The mean of a disk around each pixel. out is not plane; padded: a row and twice the radius. */
static void disk_plane(const float *plane, const dumi_image *shape, double radius, float *padded, float *out)
{
    const int32_t reach = (int32_t)radius, width = shape->width;
    int64_t inside = 0;
    for (int32_t dy = -reach; dy <= reach; dy++)
        for (int32_t dx = -reach; dx <= reach; dx++)
            inside += (double)dy * dy + (double)dx * dx <= radius * radius;
    const float weight = 1 / (float)inside;
    for (int32_t y = 0; y < shape->height; y++) {
        float *to = out + (int64_t)y * width;
        memset(to, 0, (size_t)width * sizeof *to);
        for (int32_t dy = -reach; dy <= reach; dy++) {
            const float *from = plane + (int64_t)dumi_reflect(y + dy, shape->height) * width;
            const int32_t half = (int32_t)sqrt(radius * radius - (double)dy * dy);
            dumi_pad_row(from, width, half, dumi_reflect, padded);
            for (int32_t dx = 0; dx <= 2 * half; dx++)
                dumi_add_scaled(padded + dx, width, weight, to);
        }
    }
}

void dumi_defocus_blur(dumi_corrupting *c)
{
    static const double radius[DUMI_SEVERITIES] = {0.3, 0.4, 0.5, 1, 1.5};
    static const double softness[DUMI_SEVERITIES] = {0.4, 0.5, 0.6, 0.2, 0.1};
    const int64_t pixels = dumi_image_pixels(&c->shape);
    /* At 32 x 32 three pixels wide, as the authors cut it off. */
    const int32_t half = c->scale < 1 ? 1 : (int32_t)rint(c->scale), taps = 2 * half + 1;
    float *disk = c->work, *work = disk + pixels, *weights = work + pixels + c->shape.width + taps;
    dumi_gaussian(softness[c->severity] * c->scale, taps, weights);
    for (int32_t channel = 0; channel < c->shape.channels; channel++) {
        float *plane = c->planes + channel * pixels;
        disk_plane(plane, &c->shape, radius[c->severity] * c->scale, work, disk);
        dumi_filter_plane(disk, c->shape.height, c->shape.width, weights, taps, dumi_reflect, work, plane);
    }
}

/* ---- Glass: pixels that change places --------------------------------------------------------------- */

static void soften(dumi_corrupting *c, double sigma)
{
    const int64_t pixels = dumi_image_pixels(&c->shape);
    const int32_t taps = 2 * (int32_t)(4 * sigma + 0.5) + 1;
    float *weights = c->work + pixels + c->shape.width + taps;
    dumi_gaussian(sigma, taps, weights);
    for (int32_t channel = 0; channel < c->shape.channels; channel++) {
        float *plane = c->planes + channel * pixels;
        dumi_filter_plane(plane, c->shape.height, c->shape.width, weights, taps, dumi_clamp, c->work, plane);
    }
}

/* Each pixel, from the last on, becomes one of those up to `most` before it, or up to most - 1 behind it. The authors
 * mean to exchange the two; what their program does, and CIFAR-10-C holds, is this. */
static void shuffle(dumi_corrupting *c, int32_t most)
{
    const int64_t pixels = dumi_image_pixels(&c->shape), width = c->shape.width;
    for (int32_t y = c->shape.height - most; y > most; y--) {
        for (int32_t x = c->shape.width - most; x > most; x--) {
            const int32_t dx = (int32_t)dumi_rng_below(&c->rng, 2 * (uint64_t)most) - most;
            const int32_t dy = (int32_t)dumi_rng_below(&c->rng, 2 * (uint64_t)most) - most;
            for (int32_t channel = 0; channel < c->shape.channels; channel++) {
                float *plane = c->planes + channel * pixels;
                plane[y * width + x] = plane[(y + dy) * width + x + dx];
            }
        }
    }
}

void dumi_glass_blur(dumi_corrupting *c)
{
    static const double sigma[DUMI_SEVERITIES] = {0.05, 0.25, 0.4, 0.25, 0.4};
    static const int32_t times[DUMI_SEVERITIES] = {1, 1, 1, 2, 2};
    const int32_t most = c->scale < 1 ? 1 : (int32_t)rint(c->scale);
    soften(c, sigma[c->severity] * c->scale);
    for (int32_t i = 0; i < times[c->severity]; i++)
        shuffle(c, most);
    soften(c, sigma[c->severity] * c->scale);
}

/* ---- Motion --------------------------------------------------------------------------------------- */

int32_t dumi_motion_taps(double radius)
{
    return 2 * (int32_t)ceil(radius) + 1;
}

/* to[x] += weight from[x + by], the border repeated. */
static void add_shifted(const float *from, int32_t width, int32_t by, float weight, float *to)
{
    const int32_t begin = by < -width ? width : by < 0 ? -by : 0;
    const int32_t end = by > width ? 0 : by > 0 ? width - by : width;
    for (int32_t x = 0; x < begin; x++)
        to[x] += weight * from[0];
    if (begin < end)
        dumi_add_scaled(from + begin + by, end - begin, weight, to + begin);
    for (int32_t x = end; x < width; x++)
        to[x] += weight * from[width - 1];
}

void dumi_motion_plane(const float *plane, const dumi_image *shape, double radius, double sigma, double angle,
                       float *weights, float *out)
{
    const int32_t taps = dumi_motion_taps(radius);
    const int64_t width = shape->width;
    double sum = 0;
    for (int32_t i = 0; i < taps; i++)
        sum += exp(-0.5 * i * i / (sigma * sigma));
    for (int32_t i = 0; i < taps; i++)
        weights[i] = (float)(exp(-0.5 * i * i / (sigma * sigma)) / sum);
    memset(out, 0, (size_t)dumi_image_pixels(shape) * sizeof *out);
    for (int32_t i = 0; i < taps; i++) {
        const int32_t dx = (int32_t)ceil(i * cos(angle * DEGREE) - 0.5);
        const int32_t dy = (int32_t)ceil(i * sin(angle * DEGREE) - 0.5);
        for (int32_t y = 0; y < shape->height; y++)
            add_shifted(plane + dumi_clamp(y + dy, shape->height) * width, shape->width, dx, weights[i],
                        out + y * width);
    }
}

void dumi_motion_blur(dumi_corrupting *c)
{
    static const double radius[DUMI_SEVERITIES] = {6, 6, 6, 8, 9}, sigma[DUMI_SEVERITIES] = {1, 1.5, 2, 2, 2.5};
    const int64_t pixels = dumi_image_pixels(&c->shape);
    const double angle = dumi_rng_between(&c->rng, -45, 45);
    for (int32_t channel = 0; channel < c->shape.channels; channel++) {
        float *plane = c->planes + channel * pixels;
        dumi_motion_plane(plane, &c->shape, radius[c->severity] * c->scale, sigma[c->severity] * c->scale,
                          angle, c->work + pixels, c->work);
        memcpy(plane, c->work, (size_t)pixels * sizeof *plane);
    }
}

/* ---- Zoom ------------------------------------------------------------------------------------------ */

/* Where along an axis a pixel of the zoomed middle comes from: first + step x pixel. */
typedef struct {
    double first, step;
} zoom_axis;

static zoom_axis zoom_of(int32_t size, double factor)
{
    double kept = ceil(size / factor), grown = rint(kept * factor);
    kept = kept > size ? size : kept;
    grown = grown < size ? size : grown;
    const double step = grown > 1 ? (kept - 1) / (grown - 1) : 0;
    return (zoom_axis){floor((size - kept) / 2) + floor((grown - size) / 2) * step, step};
}

void dumi_zoom_plane(const float *plane, const dumi_image *shape, double factor, float weight, float *out)
{
    const zoom_axis rows = zoom_of(shape->height, factor), cols = zoom_of(shape->width, factor);
    const int64_t width = shape->width;
    for (int32_t y = 0; y < shape->height; y++) {
        const double at = rows.first + rows.step * y;
        for (int32_t x = 0; x < shape->width; x++)
            out[y * width + x] += weight * dumi_plane_at(plane, shape->height, shape->width, at,
                                                         cols.first + cols.step * x, dumi_clamp);
    }
}

void dumi_zoom_blur(dumi_corrupting *c)
{
    /* In steps of 0.01 from 1 on: as many as NumPy's arange makes of the authors' bounds. */
    static const int32_t zooms[DUMI_SEVERITIES] = {7, 12, 16, 21, 26};
    const int64_t pixels = dumi_image_pixels(&c->shape);
    const int32_t count = zooms[c->severity];
    const float weight = 1 / (float)(count + 1);
    for (int32_t channel = 0; channel < c->shape.channels; channel++) {
        float *plane = c->planes + channel * pixels;
        memset(c->work, 0, (size_t)pixels * sizeof *c->work);
        dumi_add_scaled(plane, pixels, weight, c->work);
        for (int32_t i = 0; i < count; i++)
            dumi_zoom_plane(plane, &c->shape, 1 + 0.01 * i, weight, c->work);
        memcpy(plane, c->work, (size_t)pixels * sizeof *plane);
    }
}

size_t dumi_blur_work(const dumi_image *shape, double scale)
{
    /* Weights: at most the 19 pixels of the longest motion at 32 x 32, twice. */
    return 2 * (size_t)dumi_image_pixels(shape) + (size_t)shape->width + 2 * (size_t)(20 * scale + 4);
}
