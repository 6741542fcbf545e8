/* SPDX-License-Identifier: MIT */
#include "images.h"
#include "png.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_HEADER = 512, MOST_DIMENSIONS = 4, MOST_SIDE = 65535 };
enum { GAP = 2, USUAL_COLUMNS = 10 };

/* "'shape': (10, 32, 32, 3), }" and the like: how many there are; more than four count as five. */
static int parse_shape(const char *head, long long shape[MOST_DIMENSIONS])
{
    const char *at = strstr(head, "'shape':");
    at = at != NULL ? strchr(at, '(') : NULL;
    int count = 0;
    while (at != NULL && *at != ')' && count <= MOST_DIMENSIONS) {
        char *end;
        const long long number = strtoll(at + 1, &end, 10);
        if (end == at + 1)
            break;
        if (count < MOST_DIMENSIONS)
            shape[count] = number;
        count++;
        at = *end == ',' || *end == ')' ? end : NULL;
    }
    return at != NULL ? count : 0;
}

static int check_shape(const char *path, const long long *shape, int count, size_t size, loaded_images *out)
{
    const long long channels = count == 4 ? shape[3] : 1;
    if (count < 3 || count > 4 || (channels != 1 && channels != 3))
        return fail("%s is not N x H x W or N x H x W x C with 1 or 3 channels", path);
    if (shape[0] < 1 || shape[1] < 1 || shape[2] < 1 || shape[1] > MOST_SIDE || shape[2] > MOST_SIDE)
        return fail("%s is %lld images of %lld x %lld, expected 1 or more of 1 x 1 to %d x %d", path, shape[0],
                    shape[1], shape[2], MOST_SIDE, MOST_SIDE);
    const size_t image = (size_t)(shape[1] * shape[2] * channels);
    if (size % image != 0 || size / image != (size_t)shape[0])
        return fail("%s says %lld images of %lld x %lld x %lld but holds %zu bytes", path, shape[0], shape[1],
                    shape[2], channels, size);
    out->rows = shape[0];
    out->height = (int32_t)shape[1];
    out->width = (int32_t)shape[2];
    out->channels = (int32_t)channels;
    return TOOL_OK;
}

/* The text of the header; *start: where the data begin. */
static int parse_header(const char *path, const unsigned char *bytes, size_t size, char head[MOST_HEADER],
                        size_t *start)
{
    if (size < 12 || memcmp(bytes, "\x93NUMPY", 6) != 0)
        return fail("%s is not a .npy file", path);
    const size_t from = bytes[6] == 1 ? 10 : 12;
    size_t header = (size_t)bytes[8] | (size_t)bytes[9] << 8;
    if (bytes[6] > 1)
        header |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    if (header >= MOST_HEADER || from + header > size)
        return fail("%s is not a .npy file: its header is too long", path);
    memcpy(head, bytes + from, header);
    head[header] = '\0';
    *start = from + header;
    return TOOL_OK;
}

static int parse_images(const char *path, loaded_images *out)
{
    char head[MOST_HEADER];
    size_t start;
    const int status = parse_header(path, (const unsigned char *)out->file, out->file_size, head, &start);
    if (status != TOOL_OK)
        return status;
    if (strstr(head, "'descr': '|u1'") == NULL || strstr(head, "'fortran_order': False") == NULL)
        return fail("%s does not hold images, expected uint8 (|u1) in C order", path);
    long long shape[MOST_DIMENSIONS];
    const int count = parse_shape(head, shape);
    out->pixels = (uint8_t *)out->file + start;
    return check_shape(path, shape, count, out->file_size - start, out);
}

int load_images(const char *path, loaded_images *out)
{
    memset(out, 0, sizeof *out);
    out->file = read_file(path, &out->file_size);
    return out->file != NULL ? parse_images(path, out) : TOOL_FAILED;
}

int read_image_shape(const char *path, image_shape *out)
{
    memset(out, 0, sizeof *out);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return fail("cannot open \"%s\": %s", path, strerror(errno));
    unsigned char bytes[12 + MOST_HEADER];
    char head[MOST_HEADER];
    size_t start;
    long long shape[MOST_DIMENSIONS];
    const size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    const int status = parse_header(path, bytes, size, head, &start);
    const int count = status == TOOL_OK ? parse_shape(head, shape) : 0;
    if (count == 3 || count == 4)
        *out = (image_shape){shape[0], shape[1], shape[2], count == 4 ? shape[3] : 1, true};
    return status;
}

void free_images(loaded_images *images)
{
    free(images->file);
}

int64_t image_size(const loaded_images *images)
{
    return (int64_t)images->height * images->width * images->channels;
}

static void put_file(FILE *file, const void *what)
{
    const loaded_images *images = what;
    fwrite(images->file, 1, images->file_size, file);
}

int write_images(const char *path, const loaded_images *images)
{
    return write_output(path, put_file, images);
}

/* ---- Contact sheets ------------------------------------------------------------------------ */

static int lay_out(contact_sheet *sheet)
{
    sheet->scale = sheet->scale > 0 ? sheet->scale : 1;
    sheet->columns = sheet->columns > 0 ? sheet->columns : USUAL_COLUMNS;
    if (sheet->columns > sheet->count && sheet->count > 0)
        sheet->columns = (int32_t)sheet->count;
    const int64_t lines = (sheet->count + sheet->columns - 1) / sheet->columns;
    sheet->height = lines * ((int64_t)sheet->images->height * sheet->scale + GAP) + GAP;
    sheet->width = sheet->columns * ((int64_t)sheet->images->width * sheet->scale + GAP) + GAP;
    if (!png_fits(sheet->height, sheet->width))
        return fail("the sheet would have %lld x %lld pixels, expected less than 600 million",
                    (long long)sheet->width, (long long)sheet->height);
    sheet->pixels = malloc((size_t)(3 * sheet->height * sheet->width));
    if (sheet->pixels == NULL)
        return fail("out of memory");
    memset(sheet->pixels, 255, (size_t)(3 * sheet->height * sheet->width));
    return TOOL_OK;
}

uint8_t image_element(const loaded_images *images, int64_t row, int64_t y, int64_t x, int c)
{
    const int64_t pixel = (row * images->height + y) * images->width + x;
    return images->pixels[pixel * images->channels + (images->channels == 3 ? c : 0)];
}

static void draw(const contact_sheet *sheet, int64_t place)
{
    const loaded_images *images = sheet->images;
    const int64_t high = (int64_t)images->height * sheet->scale, wide = (int64_t)images->width * sheet->scale;
    const int64_t top = GAP + place / sheet->columns * (high + GAP),
                  left = GAP + place % sheet->columns * (wide + GAP);
    for (int64_t y = 0; y < high; y++) {
        uint8_t *to = sheet->pixels + 3 * ((top + y) * sheet->width + left);
        for (int64_t x = 0; x < wide; x++)
            for (int c = 0; c < 3; c++)
                to[3 * x + c] =
                    image_element(images, sheet->rows[place], y / sheet->scale, x / sheet->scale, c);
    }
}

int draw_sheet(contact_sheet *sheet)
{
    const int status = lay_out(sheet);
    /* A row of -1 is an empty place. */
    for (int64_t i = 0; i < sheet->count && status == TOOL_OK; i++)
        if (sheet->rows[i] >= 0)
            draw(sheet, i);
    return status;
}
