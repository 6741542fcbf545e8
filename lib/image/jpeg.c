/* SPDX-License-Identifier: MIT
 * A round trip through baseline JPEG (ITU-T T.81, JFIF), as Pillow makes one with the library of the Independent JPEG
 * Group: YCbCr, chroma at half the resolution, 8 x 8 cosine transform, quantisation, and back with that library's
 * smooth chroma. Huffman coding loses nothing, so it is left out. */
#include "image/corrupt.h"

#include <math.h>

enum { SIDE = 8, BLOCK = SIDE * SIDE };

/* T.81, annex K.1, row by row. */
static const uint8_t luminance[BLOCK] = {16, 11, 10, 16, 24,  40,  51,  61,  12, 12, 14, 19, 26,  58,  60,  55,
                                         14, 13, 16, 24, 40,  57,  69,  56,  14, 17, 22, 29, 51,  87,  80,  62,
                                         18, 22, 37, 56, 68,  109, 103, 77,  24, 35, 55, 64, 81,  104, 113, 92,
                                         49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99};
static const uint8_t chrominance[BLOCK] = {17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99,
                                           24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
                                           99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
                                           99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99};

/* What the Independent JPEG Group makes of a quality from 1 to 100. */
static void make_table(const uint8_t base[BLOCK], int32_t quality, float out[BLOCK])
{
    const int32_t percent = quality < 50 ? 5000 / quality : 200 - 2 * quality;
    for (int i = 0; i < BLOCK; i++) {
        const int32_t step = (base[i] * percent + 50) / 100;
        out[i] = (float)(step < 1 ? 1 : step > 255 ? 255 : step);
    }
}

/* Row u: half a cosine of u half waves, orthonormal. */
static void make_cosines(float cosines[BLOCK])
{
    for (int u = 0; u < SIDE; u++)
        for (int x = 0; x < SIDE; x++)
            cosines[u * SIDE + x] =
                (float)(u == 0 ? sqrt(0.125) : 0.5 * cos((2 * x + 1) * u * 0.19634954084936207));
}

/* out = a b; out is neither. */
static void multiply(const float a[BLOCK], const float b[BLOCK], float out[BLOCK])
{
    for (int i = 0; i < SIDE; i++) {
        float row[SIDE] = {0};
        for (int k = 0; k < SIDE; k++)
            for (int j = 0; j < SIDE; j++)
                row[j] += a[i * SIDE + k] * b[k * SIDE + j];
        memcpy(out + (ptrdiff_t)i * SIDE, row, sizeof row);
    }
}

static float to_byte(float value)
{
    value = floorf(value + 0.5f);
    return value < 0 ? 0 : value > 255 ? 255 : value;
}

typedef struct {
    float cosines[BLOCK], turned[BLOCK], table[BLOCK];
} coder;

static void make_coder(const uint8_t base[BLOCK], int32_t quality, coder *out)
{
    make_cosines(out->cosines);
    for (int i = 0; i < BLOCK; i++)
        out->turned[i] = out->cosines[i % SIDE * SIDE + i / SIDE];
    make_table(base, quality, out->table);
}

static void code_block(const coder *c, float block[BLOCK])
{
    float work[BLOCK];
    for (int i = 0; i < BLOCK; i++)
        block[i] -= 128;
    multiply(c->cosines, block, work);
    multiply(work, c->turned, block);
    for (int i = 0; i < BLOCK; i++)
        block[i] = c->table[i] * rintf(block[i] / c->table[i]);
    multiply(c->turned, block, work);
    multiply(work, c->cosines, block);
    for (int i = 0; i < BLOCK; i++)
        block[i] = to_byte(block[i] + 128);
}

/* A plane whose sides are multiples of 8, in place. */
static void code_plane(const coder *c, float *plane, int32_t height, int32_t width)
{
    float block[BLOCK];
    for (int32_t top = 0; top < height; top += SIDE) {
        for (int32_t left = 0; left < width; left += SIDE) {
            float *at = plane + (int64_t)top * width + left;
            for (int64_t y = 0; y < SIDE; y++)
                memcpy(block + y * SIDE, at + y * width, SIDE * sizeof *block);
            code_block(c, block);
            for (int64_t y = 0; y < SIDE; y++)
                memcpy(at + y * width, block + y * SIDE, SIDE * sizeof *block);
        }
    }
}

static int32_t round_up(int32_t size, int32_t to)
{
    return (size + to - 1) / to * to;
}

/* Sides of the padded planes: full, and chroma. */
typedef struct {
    int32_t height, width, half_height, half_width;
} padded_size;

static padded_size padded(const dumi_image *shape)
{
    const int32_t unit = shape->channels == 3 ? 2 * SIDE : SIDE;
    const int32_t height = round_up(shape->height, unit), width = round_up(shape->width, unit);
    return (padded_size){height, width, height / 2, width / 2};
}

/* One of Y, Cb, Cr at a pixel, from 0 to 255. */
static float component(const dumi_corrupting *c, int which, int64_t i)
{
    const int64_t pixels = dumi_image_pixels(&c->shape);
    const float red = to_byte(c->planes[i]);
    if (c->shape.channels == 1)
        return red;
    const float green = to_byte(c->planes[pixels + i]), blue = to_byte(c->planes[2 * pixels + i]);
    if (which == 0)
        return to_byte(0.299f * red + 0.587f * green + 0.114f * blue);
    if (which == 1)
        return to_byte(-0.168736f * red - 0.331264f * green + 0.5f * blue + 128);
    return to_byte(0.5f * red - 0.418688f * green - 0.081312f * blue + 128);
}

/* A component of the padded image: its last row and column go on. */
static void make_component(const dumi_corrupting *c, int which, const padded_size *size, float *out)
{
    for (int32_t y = 0; y < size->height; y++)
        for (int32_t x = 0; x < size->width; x++)
            out[(int64_t)y * size->width + x] = component(
                c, which,
                (int64_t)dumi_clamp(y, c->shape.height) * c->shape.width + dumi_clamp(x, c->shape.width));
}

/* Means of four, in place; rounded down and up in turn, as the group's library does. */
static void halve(float *plane, const padded_size *size)
{
    const int64_t width = size->width;
    for (int64_t y = 0; y < size->half_height; y++) {
        for (int64_t x = 0; x < size->half_width; x++) {
            const float *at = plane + 2 * y * width + 2 * x;
            const float sum = at[0] + at[1] + at[width] + at[width + 1];
            plane[y * size->half_width + x] = floorf((sum + (x % 2 == 0 ? 1.0f : 2.0f)) / 4);
        }
    }
}

/* Chroma at a pixel: three quarters of the nearer row and column, a quarter of the next ("fancy upsampling"). */
static float chroma_at(const float *plane, const dumi_image *shape, const padded_size *size, int32_t y,
                       int32_t x)
{
    const int32_t rows = (shape->height + 1) / 2, cols = (shape->width + 1) / 2;
    const int64_t near_row = y / 2, near_col = x / 2;
    const int64_t far_row = dumi_clamp(y / 2 + (y % 2 == 0 ? -1 : 1), rows);
    const int64_t far_col = dumi_clamp(x / 2 + (x % 2 == 0 ? -1 : 1), cols);
    const float *near_at = plane + near_row * size->half_width, *far_at = plane + far_row * size->half_width;
    const float near_sum = 3 * near_at[near_col] + far_at[near_col];
    const float far_sum = 3 * near_at[far_col] + far_at[far_col];
    return floorf((3 * near_sum + far_sum + (x % 2 == 0 ? 8.0f : 7.0f)) / 16) - 128;
}

static void to_colours(dumi_corrupting *c, const padded_size *size, const float *y, const float *cb,
                       const float *cr)
{
    const int64_t pixels = dumi_image_pixels(&c->shape);
    for (int32_t row = 0; row < c->shape.height; row++) {
        for (int32_t col = 0; col < c->shape.width; col++) {
            const int64_t i = (int64_t)row * c->shape.width + col;
            const float light = y[(int64_t)row * size->width + col];
            const float blue = chroma_at(cb, &c->shape, size, row, col);
            const float red = chroma_at(cr, &c->shape, size, row, col);
            c->planes[i] = to_byte(light + 1.402f * red);
            c->planes[pixels + i] = to_byte(light - 0.344136f * blue - 0.714136f * red);
            c->planes[2 * pixels + i] = to_byte(light + 1.772f * blue);
        }
    }
}

static void to_grey(dumi_corrupting *c, const padded_size *size, const float *y)
{
    for (int64_t row = 0; row < c->shape.height; row++)
        memcpy(c->planes + row * c->shape.width, y + row * size->width,
               (size_t)c->shape.width * sizeof *c->planes);
}

void dumi_jpeg_round_trip(dumi_corrupting *c, int32_t quality)
{
    const padded_size size = padded(&c->shape);
    const int64_t count = (int64_t)size.height * size.width;
    float *y = c->work, *cb = y + count, *cr = cb + count;
    coder code;
    make_coder(luminance, quality, &code);
    make_component(c, 0, &size, y);
    code_plane(&code, y, size.height, size.width);
    if (c->shape.channels == 1) {
        to_grey(c, &size, y);
        return;
    }
    make_table(chrominance, quality, code.table);
    make_component(c, 1, &size, cb);
    make_component(c, 2, &size, cr);
    halve(cb, &size);
    halve(cr, &size);
    code_plane(&code, cb, size.half_height, size.half_width);
    code_plane(&code, cr, size.half_height, size.half_width);
    to_colours(c, &size, y, cb, cr);
}

void dumi_jpeg_compression(dumi_corrupting *c)
{
    static const int32_t quality[DUMI_SEVERITIES] = {80, 65, 58, 50, 40};
    dumi_jpeg_round_trip(c, quality[c->severity]);
}

size_t dumi_jpeg_work(const dumi_image *shape, double scale)
{
    (void)scale;
    const padded_size size = padded(shape);
    return 3 * (size_t)size.height * (size_t)size.width;
}
