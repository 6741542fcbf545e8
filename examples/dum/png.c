/* SPDX-License-Identifier: MIT */
#include "png.h"

enum { MOST_STORED = 65535, ADLER = 65521 };

/* A chunk on its way out: its bytes go into the cyclic redundancy check of the chunk, those of pixels into the
 * Adler sum of the zlib stream. */
typedef struct {
    FILE *file;
    uint32_t crc, low, high;
    int64_t left, stored; /* bytes of pixels to come, in all and in the block */
} png_writer;

static void put_byte(png_writer *w, unsigned byte)
{
    fputc((int)byte, w->file);
    w->crc ^= byte;
    for (int i = 0; i < 8; i++)
        w->crc = w->crc >> 1 ^ (w->crc & 1 ? 0xEDB88320u : 0);
}

static void put_word(png_writer *w, uint32_t word)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        put_byte(w, word >> shift & 255);
}

static void begin_chunk(png_writer *w, uint32_t size, const char *type)
{
    put_word(w, size);
    w->crc = 0xFFFFFFFFu;
    for (int i = 0; i < 4; i++)
        put_byte(w, (unsigned char)type[i]);
}

static void end_chunk(png_writer *w)
{
    put_word(w, ~w->crc);
}

/* A byte of the picture, in blocks of deflate (RFC 1951) that are stored as they are. */
static void put_pixel_byte(png_writer *w, unsigned byte)
{
    if (w->stored == 0) {
        w->stored = w->left < MOST_STORED ? w->left : MOST_STORED;
        const unsigned size = (unsigned)w->stored;
        put_byte(w, w->left == w->stored);
        put_byte(w, size & 255);
        put_byte(w, size >> 8);
        put_byte(w, ~size & 255);
        put_byte(w, ~size >> 8 & 255);
    }
    put_byte(w, byte);
    w->low = (w->low + byte) % ADLER;
    w->high = (w->high + w->low) % ADLER;
    w->left--;
    w->stored--;
}

static void put_header(png_writer *w, const png_picture *p)
{
    fwrite("\x89PNG\r\n\x1a\n", 1, 8, w->file);
    begin_chunk(w, 13, "IHDR");
    put_word(w, (uint32_t)p->width);
    put_word(w, (uint32_t)p->height);
    static const uint8_t kind[] = {8, 2, 0, 0, 0}; /* bits, colour, deflate, filters, not interlaced */
    for (int i = 0; i < 5; i++)
        put_byte(w, kind[i]);
    end_chunk(w);
}

static void put_pixels(png_writer *w, const png_picture *p)
{
    const int64_t row = 3 * (int64_t)p->width, blocks = (w->left + MOST_STORED - 1) / MOST_STORED;
    begin_chunk(w, (uint32_t)(2 + 5 * blocks + w->left + 4), "IDAT");
    put_byte(w, 0x78); /* zlib (RFC 1950) */
    put_byte(w, 0x01);
    for (int64_t y = 0; y < p->height; y++) {
        put_pixel_byte(w, 0); /* no filter */
        for (int64_t x = 0; x < row; x++)
            put_pixel_byte(w, p->pixels[y * row + x]);
    }
    put_word(w, w->high << 16 | w->low);
    end_chunk(w);
}

bool png_fits(int64_t height, int64_t width)
{
    return height >= 1 && width >= 1 && width <= PNG_MOST / 3 && height <= PNG_MOST / (1 + 3 * width);
}

void put_png(FILE *file, const void *what)
{
    const png_picture *p = what;
    png_writer w = {.file = file, .low = 1, .left = p->height * (1 + 3 * (int64_t)p->width)};
    put_header(&w, p);
    put_pixels(&w, p);
    begin_chunk(&w, 0, "IEND");
    end_chunk(&w);
}
