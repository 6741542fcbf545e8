/* SPDX-License-Identifier: MIT */
#include "image/corrupt.h"

#include <math.h>

/* ---- Snow ----------------------------------------------------------------------------------------- */

typedef struct {
    double mean, sd, zoom, least; /* of the flakes, before they fall */
    double radius, sigma;         /* of their fall */
    double rest;                  /* what whitening leaves of the picture */
} snow_kind;

/* Flakes in a plane, 0 to 1: bright spots of noise, blurred downwards. */
static void make_flakes(dumi_corrupting *c, const snow_kind *kind, float *work, float *flakes)
{
    const int64_t pixels = dumi_image_pixels(&c->shape);
    float *grown = work, *weights = work + pixels;
    for (int64_t i = 0; i < pixels; i++)
        flakes[i] = (float)(kind->mean + kind->sd * dumi_rng_normal(&c->rng));
    memset(grown, 0, (size_t)pixels * sizeof *grown);
    const double zoom = kind->zoom * c->scale;
    dumi_zoom_plane(flakes, &c->shape, zoom < 1 ? 1 : zoom, 1, grown);
    for (int64_t i = 0; i < pixels; i++)
        grown[i] = (double)grown[i] < kind->least ? 0 : grown[i] > 1 ? 1 : grown[i];
    const double angle = dumi_rng_between(&c->rng, -135, -45);
    dumi_motion_plane(grown, &c->shape, kind->radius * c->scale, kind->sigma * c->scale, angle, weights,
                      flakes);
}

/* Towards a lighter grey, where that is lighter. */
static void whiten(dumi_corrupting *c, double rest, float *grey)
{
    const int64_t pixels = dumi_image_pixels(&c->shape), size = dumi_image_size(&c->shape);
    const float keep = (float)rest;
    dumi_colour_grey(c->planes, pixels, c->shape.channels, grey);
    for (int64_t i = 0; i < size; i++) {
        const float light = 1.5f * grey[i % pixels] + 127.5f, own = c->planes[i];
        c->planes[i] = keep * own + (1 - keep) * (own > light ? own : light);
    }
}

void dumi_snow(dumi_corrupting *c)
{
    static const snow_kind kinds[DUMI_SEVERITIES] = {{0.1, 0.2, 1, 0.6, 8, 3, 0.95},
                                                     {0.1, 0.2, 1, 0.5, 10, 4, 0.9},
                                                     {0.15, 0.3, 1.75, 0.55, 10, 4, 0.9},
                                                     {0.25, 0.3, 2.25, 0.6, 12, 6, 0.85},
                                                     {0.3, 0.3, 1.25, 0.65, 14, 12, 0.8}};
    const int64_t pixels = dumi_image_pixels(&c->shape);
    const snow_kind *kind = &kinds[c->severity];
    float *flakes = c->work, *work = c->work + pixels;
    make_flakes(c, kind, work, flakes);
    whiten(c, kind->rest, work);
    for (int32_t channel = 0; channel < c->shape.channels; channel++) {
        float *plane = c->planes + channel * pixels;
        /* Flakes, and the same turned round. */
        for (int64_t i = 0; i < pixels; i++)
            plane[i] += 255 * (flakes[i] + flakes[pixels - 1 - i]);
    }
}

/* ---- Plasma ---------------------------------------------------------------------------------------- */

enum { MOST_PLASMA = 1024 };

/* The side of the map for an image: a power of two that covers it, or the largest map, which is then enlarged. */
static int32_t plasma_side(const dumi_image *shape)
{
    const int32_t longer = shape->height > shape->width ? shape->height : shape->width;
    int32_t side = 2;
    while (side < longer && side < MOST_PLASMA)
        side *= 2;
    return side;
}

typedef struct {
    float *map;
    int32_t side;
    double wibble;
    dumi_rng *rng;
} plasma;

/* The mean of four points around (y, x), at a distance along the axes or the diagonals, and a random deviation. The
 * map goes on at its borders. */
static void set_point(plasma *p, int32_t y, int32_t x, int32_t by, bool diagonal)
{
    const int32_t mask = p->side - 1, far = diagonal ? by : 0;
    const int64_t side = p->side;
    const int32_t up = (y - by) & mask, down = (y + by) & mask, left = (x - by) & mask, right = (x + by) & mask;
    const float sum = far != 0 ? p->map[up * side + left] + p->map[up * side + right] +
                                     p->map[down * side + left] + p->map[down * side + right]
                               : p->map[up * side + x] + p->map[down * side + x] + p->map[y * side + left] +
                                     p->map[y * side + right];
    p->map[y * side + x] =
        (float)((double)sum / 4 + p->wibble * dumi_rng_between(p->rng, -p->wibble, p->wibble));
}

/* Diamond-square (Fournier, Fussell & Carpenter 1982): a fractal, scaled to 0..1. */
static void make_plasma(plasma *p, double decay)
{
    const int32_t side = p->side;
    p->wibble = 100;
    p->map[0] = 0;
    for (int32_t step = side; step >= 2; step /= 2) {
        const int32_t half = step / 2;
        for (int32_t y = half; y < side; y += step)
            for (int32_t x = half; x < side; x += step)
                set_point(p, y, x, half, true);
        for (int32_t y = 0; y < side; y += half)
            for (int32_t x = y % step == 0 ? half : 0; x < side; x += step)
                set_point(p, y, x, half, false);
        p->wibble /= decay;
    }
    const int64_t count = (int64_t)side * side;
    float least = p->map[0], most = p->map[0];
    for (int64_t i = 0; i < count; i++) {
        least = p->map[i] < least ? p->map[i] : least;
        most = p->map[i] > most ? p->map[i] : most;
    }
    const float span = most > least ? most - least : 1;
    for (int64_t i = 0; i < count; i++)
        p->map[i] = (p->map[i] - least) / span;
}

/* A plasma in the first height x width elements of out, which has room for the map. */
static void plasma_plane(dumi_corrupting *c, double decay, float *out)
{
    plasma p = {out, plasma_side(&c->shape), 0, &c->rng};
    make_plasma(&p, decay);
    const int64_t side = p.side, width = c->shape.width, height = c->shape.height;
    const int64_t longer = height > width ? height : width, enlarged = longer > side ? longer : side;
    if (enlarged == side) {
        for (int64_t y = 0; y < height; y++)
            memmove(out + y * width, out + y * side, (size_t)width * sizeof *out);
        return;
    }
    float *map = out + dumi_image_pixels(&c->shape);
    memmove(map, out, (size_t)(side * side) * sizeof *out);
    for (int64_t y = 0; y < height; y++)
        for (int64_t x = 0; x < width; x++)
            out[y * width + x] = dumi_plane_at(map, p.side, p.side, (double)(y * side) / (double)enlarged,
                                               (double)(x * side) / (double)enlarged, dumi_clamp);
}

/* Room for a plasma, and the map that it is made of. */
static size_t plasma_room(const dumi_image *shape)
{
    const size_t side = (size_t)plasma_side(shape);
    return (size_t)dumi_image_pixels(shape) + side * side;
}

/* ---- Fog ------------------------------------------------------------------------------------------- */

void dumi_fog(dumi_corrupting *c)
{
    static const double thickness[DUMI_SEVERITIES] = {0.2, 0.5, 0.75, 1, 1.5},
                        decay[DUMI_SEVERITIES] = {3, 3, 2.5, 2, 1.75};
    const int64_t pixels = dumi_image_pixels(&c->shape), size = dumi_image_size(&c->shape);
    const float thick = (float)(255 * thickness[c->severity]);
    plasma_plane(c, decay[c->severity], c->work);
    float most = 0;
    for (int64_t i = 0; i < size; i++)
        most = c->planes[i] > most ? c->planes[i] : most;
    const float factor = most / (most + thick);
    for (int64_t i = 0; i < size; i++)
        c->planes[i] = (c->planes[i] + thick * c->work[i % pixels]) * factor;
}

/* ---- Frost ----------------------------------------------------------------------------------------- */

/* In the place of the authors' photographs: crystals are the ridges, where either of two plasmas is near its middle,
 * on a glaze that a third makes uneven; bluish white. */
void dumi_frost(dumi_corrupting *c)
{
    static const double rest[DUMI_SEVERITIES] = {1, 1, 0.9, 0.85, 0.75};
    static const double amount[DUMI_SEVERITIES] = {0.2, 0.3, 0.4, 0.4, 0.45};
    static const float tint[3] = {0.88f, 0.95f, 1};
    const int64_t pixels = dumi_image_pixels(&c->shape);
    float *ice = c->work, *more = ice + pixels;
    memset(ice, 0, (size_t)pixels * sizeof *ice);
    for (int i = 0; i < 3; i++) {
        plasma_plane(c, 1.6, more);
        for (int64_t k = 0; k < pixels; k++) {
            const float ridge = 1 - fabsf(2 * more[k] - 1);
            ice[k] += i < 2 ? 0.4f * ridge * ridge * ridge : 0.2f + 0.2f * more[k];
        }
    }
    const float keep = (float)rest[c->severity], weight = (float)(255 * amount[c->severity]);
    for (int32_t channel = 0; channel < c->shape.channels; channel++) {
        const float share = weight * (c->shape.channels == 3 ? tint[channel] : 1);
        float *plane = c->planes + channel * pixels;
        for (int64_t i = 0; i < pixels; i++)
            plane[i] = keep * plane[i] + share * ice[i];
    }
}

/* ---- Brightness -------------------------------------------------------------------------------------- */

void dumi_brightness(dumi_corrupting *c)
{
    static const float more[DUMI_SEVERITIES] = {0.05f, 0.1f, 0.15f, 0.2f, 0.3f};
    const int64_t pixels = dumi_image_pixels(&c->shape);
    if (c->shape.channels == 3)
        dumi_colour_value(c->planes, pixels, 255 * more[c->severity]);
    else
        dumi_colour_scale(c->planes, pixels, 1, 255 * more[c->severity]);
}

size_t dumi_weather_work(const dumi_image *shape, double scale)
{
    /* Frost: its ice and a plasma; snow: three planes and the weights of its longest fall. */
    const size_t pixels = (size_t)dumi_image_pixels(shape);
    return 2 * pixels + plasma_room(shape) + (size_t)dumi_motion_taps(14 * scale);
}
