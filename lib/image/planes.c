/* SPDX-License-Identifier: MIT
 * Images as planes, and separable filters of a plane. */
#include "image/image.h"

#include <math.h>

DUMI_CLONES static void split3(const float *restrict image, int64_t pixels, float *restrict planes)
{
    float *restrict green = planes + pixels, *restrict blue = planes + 2 * pixels;
    for (int64_t i = 0; i < pixels; i++) {
        planes[i] = image[3 * i];
        green[i] = image[3 * i + 1];
        blue[i] = image[3 * i + 2];
    }
}

void dumi_planes_split(const float *image, int64_t pixels, int32_t channels, float *planes)
{
    if (channels == 3)
        split3(image, pixels, planes);
    else
        memcpy(planes, image, (size_t)pixels * sizeof *planes);
}

DUMI_CLONES static void join3(const float *restrict planes, int64_t pixels, float *restrict image)
{
    const float *restrict green = planes + pixels, *restrict blue = planes + 2 * pixels;
    for (int64_t i = 0; i < pixels; i++) {
        image[3 * i] = planes[i];
        image[3 * i + 1] = green[i];
        image[3 * i + 2] = blue[i];
    }
}

void dumi_planes_join(const float *planes, int64_t pixels, int32_t channels, float *image)
{
    if (channels == 3)
        join3(planes, pixels, image);
    else
        memcpy(image, planes, (size_t)pixels * sizeof *image);
}

int32_t dumi_reflect(int32_t i, int32_t size)
{
    if (i >= 0 && i < size)
        return i;
    if (size == 1)
        return 0;
    const int64_t period = 2 * ((int64_t)size - 1);
    const int64_t at = (i % period + period) % period;
    return (int32_t)(at < size ? at : period - at);
}

int32_t dumi_mirror(int32_t i, int32_t size)
{
    if (i >= 0 && i < size)
        return i;
    const int64_t period = 2 * (int64_t)size;
    const int64_t at = (i % period + period) % period;
    return (int32_t)(at < size ? at : period - 1 - at);
}

int32_t dumi_clamp(int32_t i, int32_t size)
{
    return i < 0 ? 0 : i < size ? i : size - 1;
}

float dumi_plane_at(const float *plane, int32_t height, int32_t width, double y, double x, dumi_border border)
{
    const double top = floor(y), left = floor(x);
    const int32_t y0 = (int32_t)top, x0 = (int32_t)left;
    const float down = (float)(y - top), right = (float)(x - left);
    const float *upper = plane + (int64_t)border(y0, height) * width;
    const float *lower = plane + (int64_t)border(y0 + 1, height) * width;
    const int32_t x_low = border(x0, width), x_high = border(x0 + 1, width);
    const float above = upper[x_low] + right * (upper[x_high] - upper[x_low]);
    const float below = lower[x_low] + right * (lower[x_high] - lower[x_low]);
    return above + down * (below - above);
}

DUMI_CLONES void dumi_add_scaled(const float *restrict from, int64_t count, float weight, float *restrict to)
{
    for (int64_t i = 0; i < count; i++)
        to[i] += weight * from[i];
}

void dumi_filter_row(const float *padded, int32_t width, const float *weights, int32_t taps, float *out)
{
    memset(out, 0, (size_t)width * sizeof *out);
    for (int32_t k = 0; k < taps; k++)
        dumi_add_scaled(padded + k, width, weights[k], out);
}

void dumi_pad_row(const float *row, int32_t width, int32_t by, dumi_border border, float *padded)
{
    memcpy(padded + by, row, (size_t)width * sizeof *row);
    for (int32_t i = 1; i <= by; i++) {
        padded[by - i] = row[border(-i, width)];
        padded[by + width - 1 + i] = row[border(width - 1 + i, width)];
    }
}

void dumi_filter_plane(const float *plane, int32_t height, int32_t width, const float *weights, int32_t taps,
                       dumi_border border, float *work, float *out)
{
    const int32_t half = taps / 2;
    float *padded = work + (int64_t)height * width;
    for (int32_t y = 0; y < height; y++) {
        dumi_pad_row(plane + (int64_t)y * width, width, half, border, padded);
        dumi_filter_row(padded, width, weights, taps, work + (int64_t)y * width);
    }
    for (int32_t y = 0; y < height; y++) {
        float *row = out + (int64_t)y * width;
        memset(row, 0, (size_t)width * sizeof *row);
        for (int32_t k = 0; k < taps; k++)
            dumi_add_scaled(work + (int64_t)border(y + k - half, height) * width, width, weights[k], row);
    }
}

void dumi_gaussian(double sigma, int32_t taps, float *weights)
{
    const int32_t middle = taps / 2;
    double sum = 0;
    for (int32_t k = 0; k < taps; k++) {
        const double x = (k - middle) / sigma;
        sum += exp(-0.5 * x * x);
    }
    for (int32_t k = 0; k < taps; k++) {
        const double x = (k - middle) / sigma;
        weights[k] = (float)(exp(-0.5 * x * x) / sum);
    }
}
