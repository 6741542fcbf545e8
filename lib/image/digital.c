/* SPDX-License-Identifier: MIT */
#include "image/corrupt.h"

#include <math.h>

void dumi_contrast(dumi_corrupting *c)
{
    static const float factor[DUMI_SEVERITIES] = {0.75f, 0.5f, 0.4f, 0.3f, 0.15f};
    const int64_t pixels = dumi_image_pixels(&c->shape);
    for (int32_t channel = 0; channel < c->shape.channels; channel++) {
        float *plane = c->planes + channel * pixels;
        const double mean = dumi_colour_mean(plane, pixels);
        dumi_colour_scale(plane, pixels, factor[c->severity],
                          (float)(mean * (1 - (double)factor[c->severity])));
    }
}

/* ---- Elastic transform ------------------------------------------------------------------------------ */

typedef struct {
    double x, y;
} point;

/* (x, y) comes from origin + x across + y down. */
typedef struct {
    point origin, across, down;
} affine;

static point between(const point *a, const point *b, double weight_a, double weight_b)
{
    return (point){a->x * weight_a + b->x * weight_b, a->y * weight_a + b->y * weight_b};
}

/* The map that takes three points of the new image to three of the old one; the identity where the new ones span an
 * area below `least`. */
static affine solve(const point to[3], const point from[3], double least)
{
    const point u = between(&to[1], &to[0], 1, -1), v = between(&to[2], &to[0], 1, -1);
    const point a = between(&from[1], &from[0], 1, -1), b = between(&from[2], &from[0], 1, -1);
    const double determinant = u.x * v.y - u.y * v.x;
    if (fabs(determinant) < least)
        return (affine){{0, 0}, {1, 0}, {0, 1}};
    affine m;
    m.across = between(&a, &b, v.y / determinant, -u.y / determinant);
    m.down = between(&a, &b, -v.x / determinant, u.x / determinant);
    m.origin.x = from[0].x - m.across.x * to[0].x - m.down.x * to[0].y;
    m.origin.y = from[0].y - m.across.y * to[0].x - m.down.y * to[0].y;
    return m;
}

/* Three corners of a square in the middle, each moved at random. */
static affine random_affine(dumi_corrupting *c, double most)
{
    const double x = floor(0.5 * c->shape.width), y = floor(0.5 * c->shape.height);
    const double by = fmax(1, floor(32 * c->scale / 3));
    const point from[3] = {{x + by, y + by}, {x + by, y - by}, {x - by, y - by}};
    point to[3];
    for (int i = 0; i < 3; i++) {
        to[i].x = from[i].x + dumi_rng_between(&c->rng, -most, most);
        to[i].y = from[i].y + dumi_rng_between(&c->rng, -most, most);
    }
    return solve(to, from, by * by / 10);
}

/* How far each pixel is moved: noise, smoothed. */
static void make_field(dumi_corrupting *c, double most, double sigma, float *work, float *field)
{
    const int64_t pixels = dumi_image_pixels(&c->shape);
    for (int64_t i = 0; i < pixels; i++)
        field[i] = (float)dumi_rng_between(&c->rng, -most, most);
    if (sigma <= 0)
        return;
    const int32_t taps = 2 * (int32_t)(3 * sigma + 0.5) + 1;
    float *weights = work + pixels + c->shape.width + taps;
    dumi_gaussian(sigma, taps, weights);
    dumi_filter_plane(field, c->shape.height, c->shape.width, weights, taps, dumi_mirror, work, field);
}

static void warp(const float *plane, const dumi_image *shape, const affine *m, float *out)
{
    for (int32_t y = 0; y < shape->height; y++)
        for (int32_t x = 0; x < shape->width; x++)
            out[(int64_t)y * shape->width + x] =
                dumi_plane_at(plane, shape->height, shape->width, m->origin.y + m->across.y * x + m->down.y * y,
                              m->origin.x + m->across.x * x + m->down.x * y, dumi_reflect);
}

static void displace(const float *plane, const dumi_image *shape, const float *dx, const float *dy, float *out)
{
    for (int32_t y = 0; y < shape->height; y++) {
        for (int32_t x = 0; x < shape->width; x++) {
            const int64_t i = (int64_t)y * shape->width + x;
            out[i] = dumi_plane_at(plane, shape->height, shape->width, y + (double)dy[i], x + (double)dx[i],
                                   dumi_mirror);
        }
    }
}

void dumi_elastic_transform(dumi_corrupting *c)
{
    /* In sides of the image. */
    static const double field[DUMI_SEVERITIES] = {0, 0.05, 0.08, 0.1, 0.1};
    static const double smooth[DUMI_SEVERITIES] = {0, 0.2, 0.06, 0.04, 0.03};
    static const double corners[DUMI_SEVERITIES] = {0.08, 0.07, 0.06, 0.05, 0.03};
    const int64_t pixels = dumi_image_pixels(&c->shape);
    const double side = 32 * c->scale;
    float *dx = c->work, *dy = dx + pixels, *work = dy + pixels;
    const affine m = random_affine(c, corners[c->severity] * side);
    make_field(c, field[c->severity] * side, smooth[c->severity] * side, work, dx);
    make_field(c, field[c->severity] * side, smooth[c->severity] * side, work, dy);
    for (int32_t channel = 0; channel < c->shape.channels; channel++) {
        float *plane = c->planes + channel * pixels;
        warp(plane, &c->shape, &m, work);
        displace(work, &c->shape, dx, dy, plane);
    }
}

/* ---- Pixelate ----------------------------------------------------------------------------------------- */

/* The pixels of an axis that make up one of another size, by Pillow's box filter: those whose middle lies inside. */
typedef struct {
    int32_t first, count;
} box_tap;

static box_tap box_at(int32_t i, int32_t from, int32_t to)
{
    const double ratio = (double)from / to, grown = ratio < 1 ? 1 : ratio, middle = (i + 0.5) * ratio;
    int32_t first = (int32_t)(middle - grown / 2 + 0.5), end = (int32_t)(middle + grown / 2 + 0.5);
    end = end > from ? from : end;
    while (first < end - 1 && (first - middle + 0.5) / grown <= -0.5)
        first++;
    while (end - 1 > first && (end - 1 - middle + 0.5) / grown > 0.5)
        end--;
    return (box_tap){first < from ? first : from - 1, end > first ? end - first : 1};
}

static void box_resize(const float *from, int32_t from_height, int32_t from_width, int32_t to_height,
                       int32_t to_width, float *to)
{
    for (int32_t y = 0; y < to_height; y++) {
        const box_tap rows = box_at(y, from_height, to_height);
        for (int32_t x = 0; x < to_width; x++) {
            const box_tap cols = box_at(x, from_width, to_width);
            float sum = 0;
            for (int32_t i = 0; i < rows.count; i++)
                for (int32_t j = 0; j < cols.count; j++)
                    sum += from[((int64_t)rows.first + i) * from_width + cols.first + j];
            to[(int64_t)y * to_width + x] = sum / (float)((int64_t)rows.count * cols.count);
        }
    }
}

void dumi_pixelate(dumi_corrupting *c)
{
    static const double share[DUMI_SEVERITIES] = {0.95, 0.9, 0.85, 0.75, 0.65};
    const int64_t pixels = dumi_image_pixels(&c->shape);
    int32_t height = (int32_t)(c->shape.height * share[c->severity]);
    int32_t width = (int32_t)(c->shape.width * share[c->severity]);
    height = height < 1 ? 1 : height;
    width = width < 1 ? 1 : width;
    for (int32_t channel = 0; channel < c->shape.channels; channel++) {
        float *plane = c->planes + channel * pixels;
        box_resize(plane, c->shape.height, c->shape.width, height, width, c->work);
        box_resize(c->work, height, width, c->shape.height, c->shape.width, plane);
    }
}

size_t dumi_digital_work(const dumi_image *shape, double scale)
{
    /* The elastic transform's: two fields, a plane, and a filter's row and weights. */
    const size_t taps = 2 * (size_t)(3 * 0.2 * 32 * scale + 0.5) + 1;
    return 3 * (size_t)dumi_image_pixels(shape) + (size_t)shape->width + 2 * taps;
}
