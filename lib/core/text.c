/* SPDX-License-Identifier: MIT
 * Text: UTF-8, and numbers. printf and strtod follow the locale of the host; only the decimal separator
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

static void put_point(char *buffer)
{
    char separator[8];
    const size_t length = decimal_separator(separator, sizeof separator);
    char *at = length > 0 ? strstr(buffer, separator) : NULL;
    if (at != NULL) {
        *at = '.';
        memmove(at + 1, at + length, strlen(at + length) + 1);
    }
}

void dumi_format_number(double value, char *buffer, size_t capacity)
{
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(buffer, capacity, "%.*g", digits, value);
        if (!isfinite(value) || strtod(buffer, NULL) == value)
            break;
    }
    put_point(buffer);
}

dumi_shown dumi_show(double value)
{
    dumi_shown shown;
    if (fabs(value) < 1e6 && value == floor(value)) /* 10, not 1e+01 */
        snprintf(shown.text, sizeof shown.text, "%.0f", value);
    else
        dumi_format_number(value, shown.text, sizeof shown.text);
    return shown;
}

dumi_shown dumi_show_short(double value)
{
    dumi_shown shown;
    if (!(fabs(value) < 1e15))
        return dumi_show(value);
    snprintf(shown.text, sizeof shown.text, "%.3f", value);
    put_point(shown.text);
    return shown;
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

/* Length of the character that starts here, or 0: Unicode 15, table 3-7. */
static size_t character(const unsigned char *p, size_t left)
{
    if (p[0] < 0x80)
        return 1;
    const size_t size = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
    if (p[0] < 0xC2 || p[0] > 0xF4 || size > left)
        return 0;
    for (size_t i = 1; i < size; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    const bool bad = (p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F) ||
                     (p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F);
    return bad ? 0 : size;
}

bool dumi_utf8_valid(const char *text, size_t size)
{
    for (size_t i = 0; i < size;) {
        const size_t step = character((const unsigned char *)text + i, size - i);
        if (step == 0)
            return false;
        i += step;
    }
    return true;
}

void dumi_utf8_repair(char *text)
{
    size_t left = strlen(text);
    while (left > 0) {
        const size_t step = character((const unsigned char *)text, left), taken = step > 0 ? step : 1;
        if (step == 0 || (unsigned char)*text < ' ' || *text == 127)
            *text = '?';
        text += taken;
        left -= taken;
    }
}
