/* SPDX-License-Identifier: MIT
 * Numbers as text. printf and strtod follow the locale of the host; only the decimal separator
 * differs, so it is found out and exchanged. */
#include "core/core.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* The separator may be several bytes in some locales. */
static size_t decimal_separator(char *separator, size_t capacity)
{
    char text[16];
    snprintf(text, sizeof text, "%.1f", 0.5);
    const size_t length = strlen(text);
    if (length < 3 || length - 2 >= capacity)
        return 0;
    memcpy(separator, text + 1, length - 2);
    separator[length - 2] = '\0';
    return length - 2;
}

void dumi_format_number(double value, char *buffer, size_t capacity)
{
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(buffer, capacity, "%.*g", digits, value);
        if (!isfinite(value) || strtod(buffer, NULL) == value)
            break;
    }
    char separator[8];
    const size_t length = decimal_separator(separator, sizeof separator);
    char *at = length > 0 ? strstr(buffer, separator) : NULL;
    if (at != NULL) {
        *at = '.';
        memmove(at + 1, at + length, strlen(at + length) + 1);
    }
}

bool dumi_parse_number(const char *text, double *value)
{
    char copy[72], separator[8];
    const size_t size = strlen(text);
    if (size == 0 || size > 48 || strspn(text, "0123456789+-.eE") != size)
        return false;
    const char *point = strchr(text, '.');
    const size_t length = decimal_separator(separator, sizeof separator);
    if (point != NULL && length > 0) {
        const size_t before = (size_t)(point - text);
        memcpy(copy, text, before);
        memcpy(copy + before, separator, length);
        memcpy(copy + before + length, point + 1, size - before);
    } else {
        memcpy(copy, text, size + 1);
    }
    char *end;
    *value = strtod(copy, &end);
    return *end == '\0' && isfinite(*value);
}
