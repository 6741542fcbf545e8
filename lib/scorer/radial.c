/* SPDX-License-Identifier: MIT
 * The radial kernel of one row with many: differences, squares and powers of two, by blocks. */
#include "scorer/radial.h"

#include <float.h>
#include <math.h>

enum { WIDE = 8, WIDES = DUMI_LANES / WIDE };

typedef float floats __attribute__((vector_size(WIDE * sizeof(float))));
typedef int32_t ints __attribute__((vector_size(WIDE * sizeof(int32_t))));

static const float *block_of(const dumi_panels *p, int64_t block)
{
    return (block + 1) * DUMI_LANES <= p->count ? p->whole + block * DUMI_LANES * p->cols : p->last;
}

/* Squares of differences must stay within float, and what is lost below it must not count. Usual data are left
 * as they are. Without an overflow in the rows, one in the squares means a kernel of 0, as it should. */
static int scale_exponent(float most, double gamma)
{
    const int wanted = (int)lrint(log2(gamma) / 2);
    const int size = most > 0 ? ilogbf(most) : 0;
    if (wanted >= -30 && wanted <= 30 && size <= 50)
        return 0;
    const int bound = wanted < 60 - size ? wanted : 60 - size;
    return bound < -126 ? -126 : bound > 126 ? 126 : bound;
}

static void transpose(const dumi_panels *p, const float *rows, int64_t count, float *to)
{
    for (int64_t j = 0; j < p->cols; j++)
        for (int64_t i = 0; i < DUMI_LANES; i++)
            to[j * DUMI_LANES + i] = i < count ? rows[i * p->cols + j] * p->scale : 0;
}

/* `last` serves as scratch meanwhile. */
dum_status dumi_panels_pack(dum_context *context, float *rows, int64_t count, int32_t cols, double gamma,
                            dumi_panels *p)
{
    *p = (dumi_panels){.context = context,
                       .count = count,
                       .blocks = (count + DUMI_LANES - 1) / DUMI_LANES,
                       .cols = cols,
                       .whole = rows};
    float most = 0;
    for (int64_t i = 0; i < count * cols; i++)
        most = fabsf(rows[i]) > most ? fabsf(rows[i]) : most;
    p->scale = ldexpf(1, scale_exponent(most, gamma));
    const double exponent = gamma / ((double)p->scale * (double)p->scale) * 1.4426950408889634;
    p->exponent = exponent < FLT_MAX ? -(float)exponent : -FLT_MAX;
    DUMI_TRY(DUMI_NEW(context, p->last, DUMI_LANES * (size_t)cols));
    for (int64_t first = 0; first < count; first += DUMI_LANES) {
        float *at = rows + first * cols;
        transpose(p, at, count - first, p->last);
        if (first + DUMI_LANES <= count)
            memcpy(at, p->last, DUMI_LANES * (size_t)cols * sizeof *at);
    }
    return DUM_OK;
}

void dumi_panels_free(dumi_panels *p)
{
    dumi_free(p->context, p->whole);
    dumi_free(p->context, p->last);
    p->whole = p->last = NULL;
}

void dumi_panels_row(const dumi_panels *p, int64_t row, float *to)
{
    const float *from = block_of(p, row / DUMI_LANES) + row % DUMI_LANES;
    for (int64_t j = 0; j < p->cols; j++)
        to[j] = from[j * DUMI_LANES];
}

/* Differences, so that nothing cancels: float is enough for those, and for sums of sums of few squares. `count`, 1 or
 * 2, is a constant where this is called. */
static inline void squares(const dumi_panels *p, const float *block, const float *const *x, int count,
                           float scale, float (*out)[DUMI_LANES])
{
    enum { SPAN = 64 };
    floats sum[DUMI_TOGETHER][WIDES] = {{{0}}};
    for (int64_t first = 0; first < p->cols; first += SPAN) {
        const int64_t end = p->cols - first < SPAN ? p->cols : first + SPAN;
        floats part[DUMI_TOGETHER][WIDES] = {{{0}}};
        for (int64_t j = first; j < end; j++)
            for (int64_t v = 0; v < WIDES; v++) {
                floats y;
                memcpy(&y, block + j * DUMI_LANES + v * WIDE, sizeof y);
                for (int q = 0; q < count; q++) {
                    const floats difference = y - x[q][j] * scale;
                    part[q][v] += difference * difference;
                }
            }
        for (int q = 0; q < count; q++)
            for (int v = 0; v < WIDES; v++)
                sum[q][v] += part[q][v];
    }
    memcpy(out, sum, (size_t)count * sizeof sum[0]);
}

/* 2^(y factor) where that is at most 1: to 1e-7 of itself, and 0 below the least normal number; exactly 1 for 0. */
static inline void powers(const float *y, float factor, float *out)
{
    const float to_integer = 12582912; /* 1.5 x 2^23: adding it rounds */
    floats a, p;
    memcpy(&a, y, sizeof a);
    a *= factor;
    const ints usual = a >= -126.0f;
    a = (floats)((ints)a & usual);
    const floats whole = (a + to_integer) - to_integer, f = a - whole;
    p = 1.5353362e-4f * f + 1.3398875e-3f;
    p = p * f + 9.6184369e-3f;
    p = p * f + 5.5503324e-2f;
    p = p * f + 2.4022648e-1f;
    p = p * f + 6.9314718e-1f;
    p = p * f + 1.0f;
    const ints bits = ((ints)p + (__builtin_convertvector(whole, ints) << 23)) & usual;
    memcpy(out, &bits, sizeof bits);
}

DUMI_CLONES void dumi_panels_kernel(const dumi_panels *p, const float *const *x, int count, float scale,
                                    int64_t first, int64_t end, float *const *out)
{
    int64_t at = 0;
    do {
        float squared[DUMI_TOGETHER][DUMI_LANES];
        if (count == DUMI_TOGETHER)
            squares(p, block_of(p, first), x, DUMI_TOGETHER, scale, squared);
        else
            squares(p, block_of(p, first), x, 1, scale, squared);
        for (int q = 0; q < count; q++)
            for (int64_t v = 0; v < WIDES; v++)
                powers(squared[q] + v * WIDE, p->exponent, out[q] + at + v * WIDE);
        at += DUMI_LANES;
    } while (++first < end);
}

enum { STRETCH_FLOATS = 8192 };

int64_t dumi_panels_stretch(int32_t cols)
{
    const int64_t fit = STRETCH_FLOATS / DUMI_LANES / cols;
    return fit < 1 ? 1 : fit > DUMI_STRETCH ? DUMI_STRETCH : fit;
}

double dumi_panels_cost(int32_t cols)
{
    return 3.0 * cols + 25;
}
