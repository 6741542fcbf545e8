/* SPDX-License-Identifier: MIT */
#include "images.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_HEADER = 512, MOST_DIMENSIONS = 4, MOST_SIDE = 65535 };

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

static int parse_images(const char *path, loaded_images *out)
{
    const unsigned char *bytes = (const unsigned char *)out->file;
    if (out->file_size < 12 || memcmp(bytes, "\x93NUMPY", 6) != 0)
        return fail("%s is not a .npy file", path);
    const size_t start = bytes[6] == 1 ? 10 : 12;
    size_t header = (size_t)bytes[8] | (size_t)bytes[9] << 8;
    if (bytes[6] > 1)
        header |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    char head[MOST_HEADER];
    if (header >= sizeof head || start + header > out->file_size)
        return fail("%s is not a .npy file: its header is too long", path);
    memcpy(head, bytes + start, header);
    head[header] = '\0';
    if (strstr(head, "'descr': '|u1'") == NULL || strstr(head, "'fortran_order': False") == NULL)
        return fail("%s does not hold images, expected uint8 (|u1) in C order", path);
    long long shape[MOST_DIMENSIONS];
    const int count = parse_shape(head, shape);
    out->pixels = (uint8_t *)out->file + start + header;
    return check_shape(path, shape, count, out->file_size - start - header, out);
}

int load_images(const char *path, loaded_images *out)
{
    memset(out, 0, sizeof *out);
    out->file = read_file(path, &out->file_size);
    return out->file != NULL ? parse_images(path, out) : TOOL_FAILED;
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
