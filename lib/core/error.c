/* SPDX-License-Identifier: MIT */
#include "core/core.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* 256 bytes in all: more thread-local storage can end a process that loads the library late. */
static _Thread_local struct {
    int32_t status;
    char message[252];
} last;

static const char *const names[] = {
    "DUM_OK",           "DUM_ERR_ARGUMENT", "DUM_ERR_SHAPE",       "DUM_ERR_NONFINITE", "DUM_ERR_STATE",
    "DUM_ERR_NOMEM",    "DUM_ERR_IO",       "DUM_ERR_FORMAT",      "DUM_ERR_VERSION",   "DUM_ERR_CHECKSUM",
    "DUM_ERR_LIMIT",    "DUM_ERR_BACKEND",  "DUM_ERR_UNSUPPORTED", "DUM_ERR_ABI",       "DUM_ERR_CALLBACK",
    "DUM_ERR_INTERNAL",
};

const char *dum_status_name(dum_status status)
{
    const int number = (int)status;
    if (number == DUM_CANCELLED)
        return "DUM_CANCELLED";
    if (number > 0 || number < -(int)(sizeof names / sizeof names[0]) + 1)
        return "unknown";
    return names[-number];
}

const char *dum_error_message(void)
{
    return last.message;
}

const char *dum_version(void)
{
    return DUM_VERSION;
}

void dumi_record(dum_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(last.message, sizeof last.message, format, arguments);
    va_end(arguments);
    if (length < 0)
        last.message[0] = '\0';
    /* Names and paths are the caller's, and may have been cut inside a character. */
    dumi_utf8_repair(last.message);
    last.status = (int32_t)status;
}

dum_status dumi_recorded(void)
{
    return (dum_status)last.status;
}

void dumi_shift_row(int64_t first)
{
    static const char row[] = "row ";
    if (first == 0 || strncmp(last.message, row, sizeof row - 1) != 0)
        return;
    char was[sizeof last.message], *end;
    memcpy(was, last.message, sizeof was);
    const long long number = strtoll(was + sizeof row - 1, &end, 10);
    if (end != was + sizeof row - 1)
        dumi_record(dumi_recorded(), "row %lld%s", number + (long long)first, end);
}

void dumi_clear_error(void)
{
    last.status = DUM_OK;
    last.message[0] = '\0';
}

static dum_status check_size(const char *what, size_t size, size_t first_size)
{
    DUMI_REQUIRE(size >= first_size && size <= 4096, DUM_ERR_ABI,
                 "struct_size of %s is %zu, expected %zu or more: initialise it with DUM_INIT()", what, size,
                 first_size);
    return DUM_OK;
}

static dum_status check_tail(const char *what, const void *theirs, size_t from, size_t size)
{
    const unsigned char *bytes = theirs;
    for (size_t i = from; i < size; i++)
        DUMI_REQUIRE(bytes[i] == 0, DUM_ERR_UNSUPPORTED,
                     "%s sets a member that libdum %s does not know: a newer library is needed", what,
                     DUM_VERSION);
    return DUM_OK;
}

dum_status dumi_read_struct(const char *what, void *ours, size_t our_size, size_t first_size,
                            const void *theirs)
{
    memset(ours, 0, our_size);
    if (theirs == NULL)
        return DUM_OK;
    size_t size;
    memcpy(&size, theirs, sizeof size);
    DUMI_TRY(check_size(what, size, first_size));
    if (size > our_size)
        DUMI_TRY(check_tail(what, theirs, our_size, size));
    memcpy(ours, theirs, size < our_size ? size : our_size);
    return DUM_OK;
}

dum_status dumi_write_struct(const char *what, void *theirs, const void *ours, size_t our_size,
                             size_t first_size)
{
    DUMI_REQUIRE(theirs != NULL, DUM_ERR_ARGUMENT, "%s is NULL", what);
    size_t size;
    memcpy(&size, theirs, sizeof size);
    DUMI_TRY(check_size(what, size, first_size));
    const size_t common = size < our_size ? size : our_size;
    memcpy((char *)theirs + sizeof size, (const char *)ours + sizeof size, common - sizeof size);
    return DUM_OK;
}
