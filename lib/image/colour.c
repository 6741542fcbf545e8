/* SPDX-License-Identifier: MIT
 * Colour of planes. Everything is clipped to 0..255, as torchvision does after each step. Written without branches,
 * so that compilers do several pixels at a time. */
#include "image/image.h"

static inline float clip(float value)
{
    value = value < 0 ? 0 : value;
    return value > 255 ? 255 : value;
}

DUMI_CLONES void dumi_colour_scale(float *values, int64_t count, float factor, float offset)
{
    for (int64_t i = 0; i < count; i++)
        values[i] = clip(values[i] * factor + offset);
}

DUMI_CLONES static void grey3(const float *restrict planes, int64_t pixels, float *restrict grey)
{
    const float *green = planes + pixels, *blue = planes + 2 * pixels;
    for (int64_t i = 0; i < pixels; i++)
        grey[i] = 0.299f * planes[i] + 0.587f * green[i] + 0.114f * blue[i];
}

void dumi_colour_grey(const float *planes, int64_t pixels, int32_t channels, float *grey)
{
    if (channels == 3)
        grey3(planes, pixels, grey);
    else
        memcpy(grey, planes, (size_t)pixels * sizeof *grey);
}

DUMI_CLONES double dumi_colour_mean(const float *values, int64_t count)
{
    enum { LANES = 8 };
    double sums[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES)
        for (int k = 0; k < LANES; k++)
            sums[k] += (double)values[i + k];
    for (; i < count; i++)
        sums[0] += (double)values[i];
    double sum = 0;
    for (int k = 0; k < LANES; k++)
        sum += sums[k];
    return sum / (double)count;
}

DUMI_CLONES static void saturate(float *restrict red, float *restrict green, float *restrict blue,
                                 int64_t pixels, float factor)
{
    const float rest = 1 - factor;
    for (int64_t i = 0; i < pixels; i++) {
        const float grey = rest * (0.299f * red[i] + 0.587f * green[i] + 0.114f * blue[i]);
        red[i] = clip(factor * red[i] + grey);
        green[i] = clip(factor * green[i] + grey);
        blue[i] = clip(factor * blue[i] + grey);
    }
}

void dumi_colour_saturate(float *planes, int64_t pixels, float factor)
{
    saturate(planes, planes + pixels, planes + 2 * pixels, pixels, factor);
}

/* A channel of HSV's hexagon: hue in sixths of a turn, counted from where this channel is 0. */
static inline float channel(float value, float chroma, float sixths)
{
    sixths = sixths >= 6 ? sixths - 6 : sixths;
    float share = sixths < 4 - sixths ? sixths : 4 - sixths;
    share = share < 0 ? 0 : share;
    share = share > 1 ? 1 : share;
    return value - chroma * share;
}

DUMI_CLONES static void turn(float *restrict red, float *restrict green, float *restrict blue, int64_t pixels,
                             float turns)
{
    const float shift = 6 * turns + 6; /* a turn more, so that what follows is positive */
    for (int64_t i = 0; i < pixels; i++) {
        const float r = red[i], g = green[i], b = blue[i];
        const float rg = r > g ? r : g, low_rg = r < g ? r : g;
        const float most = rg > b ? rg : b, least = low_rg < b ? low_rg : b;
        const float chroma = most - least, divisor = chroma > 0 ? chroma : 1;
        const float above = most == r ? g - b : most == g ? b - r : r - g;
        const float sector = most == r ? 0.0f : most == g ? 2.0f : 4.0f;
        float hue = sector + above / divisor + shift;
        hue -= 6 * (float)(int32_t)(hue / 6);
        hue = hue >= 6 ? 0 : hue;
        red[i] = channel(most, chroma, hue + 5);
        green[i] = channel(most, chroma, hue + 3);
        blue[i] = channel(most, chroma, hue + 1);
    }
}

void dumi_colour_turn(float *planes, int64_t pixels, float turns)
{
    turn(planes, planes + pixels, planes + 2 * pixels, pixels, turns);
}

DUMI_CLONES static void add_value(float *restrict red, float *restrict green, float *restrict blue,
                                  int64_t pixels, float offset)
{
    for (int64_t i = 0; i < pixels; i++) {
        const float rg = red[i] > green[i] ? red[i] : green[i];
        const float most = rg > blue[i] ? rg : blue[i];
        const float value = clip(most + offset), factor = value / (most > 0 ? most : 1);
        /* Black has no hue: it becomes grey. */
        const float base = most > 0 ? 0 : value;
        red[i] = clip(red[i] * factor + base);
        green[i] = clip(green[i] * factor + base);
        blue[i] = clip(blue[i] * factor + base);
    }
}

void dumi_colour_value(float *planes, int64_t pixels, float offset)
{
    add_value(planes, planes + pixels, planes + 2 * pixels, pixels, offset);
}
