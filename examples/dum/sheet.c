/* SPDX-License-Identifier: MIT
 * dum sheet: some of the images of a file side by side, as PNG. */
#include "images.h"
#include "png.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { GAP = 2, USUAL_COLUMNS = 10 };

typedef struct {
    const loaded_images *images;
    int64_t *rows;
    int64_t count;
    int32_t columns, scale;
    uint8_t *pixels;
    int64_t height, width; /* of the sheet */
} contact_sheet;

/* "4,0,7". */
static int parse_rows(const char *text, contact_sheet *sheet)
{
    int64_t most = 1;
    for (const char *at = text; *at != '\0'; at++)
        most += *at == ',';
    sheet->rows = malloc((size_t)most * sizeof *sheet->rows);
    if (sheet->rows == NULL)
        return fail("out of memory");
    for (const char *at = text; sheet->count < most; at++) {
        char *end;
        errno = 0;
        const long long row = strtoll(at, &end, 10);
        if (*at < '0' || *at > '9' || errno != 0 || (*end != ',' && *end != '\0'))
            return bad_value("--rows", text, "numbers from 0 on, with commas between them");
        if (row >= sheet->images->rows)
            return fail("--rows: there is no image %lld, expected 0 to %lld", row,
                        (long long)sheet->images->rows - 1);
        sheet->rows[sheet->count++] = row;
        at = end;
    }
    return TOOL_OK;
}

static int lay_out(const arguments *args, contact_sheet *sheet)
{
    sheet->scale = args->scale > 0 ? args->scale : 1;
    sheet->columns = args->columns > 0 ? args->columns : USUAL_COLUMNS;
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

static void draw(const contact_sheet *sheet, int64_t place)
{
    const loaded_images *images = sheet->images;
    const uint8_t *image = images->pixels + sheet->rows[place] * image_size(images);
    const int64_t high = (int64_t)images->height * sheet->scale, wide = (int64_t)images->width * sheet->scale;
    const int64_t top = GAP + place / sheet->columns * (high + GAP),
                  left = GAP + place % sheet->columns * (wide + GAP);
    for (int64_t y = 0; y < high; y++) {
        uint8_t *to = sheet->pixels + 3 * ((top + y) * sheet->width + left);
        const uint8_t *from = image + y / sheet->scale * images->width * images->channels;
        for (int64_t x = 0; x < wide; x++)
            for (int64_t c = 0; c < 3; c++)
                to[3 * x + c] = from[x / sheet->scale * images->channels + (images->channels == 3 ? c : 0)];
    }
}

static int make_sheet(const arguments *args, const loaded_images *images)
{
    contact_sheet sheet = {.images = images};
    int status = parse_rows(args->rows, &sheet);
    if (status == TOOL_OK)
        status = lay_out(args, &sheet);
    if (status == TOOL_OK) {
        for (int64_t i = 0; i < sheet.count; i++)
            draw(&sheet, i);
        const png_picture picture = {sheet.pixels, (int32_t)sheet.height, (int32_t)sheet.width};
        status = write_output(args->out, put_png, &picture);
    }
    free(sheet.pixels);
    free(sheet.rows);
    return status;
}

int command_sheet(int argc, char **argv)
{
    static const char *const accepted[] = {"--rows", "--columns", "--scale", "--out", "--quiet", NULL};
    arguments args;
    int status = parse_arguments(argc, argv, accepted, true, &args);
    if (status == TOOL_OK)
        status = require_argument(args.file, "IMAGES.npy");
    if (status == TOOL_OK)
        status = require_argument(args.rows, "--rows");
    if (status == TOOL_OK)
        status = require_argument(args.out, "--out");
    if (status != TOOL_OK)
        return status;
    loaded_images images;
    status = load_images(args.file, &images);
    if (status == TOOL_OK)
        status = make_sheet(&args, &images);
    free_images(&images);
    return finish_output(status);
}
