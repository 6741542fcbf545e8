/* SPDX-License-Identifier: MIT
 * dum sheet: some of the images of a file side by side, as PNG. */
#include "images.h"
#include "png.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

static int make_sheet(const arguments *args, const loaded_images *images)
{
    contact_sheet sheet = {.images = images, .columns = args->columns, .scale = args->scale};
    int status = parse_rows(args->rows, &sheet);
    if (status == TOOL_OK)
        status = draw_sheet(&sheet);
    if (status == TOOL_OK) {
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
    int status = parse_arguments(argc, argv, accepted, 1, &args);
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
