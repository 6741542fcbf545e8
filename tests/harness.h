/* SPDX-License-Identifier: MIT
 * What the Check programs share. */
#ifndef DUM_TESTS_HARNESS_H
#define DUM_TESTS_HARNESS_H

#include "dum.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

#define ck_ok(call) ck_assert_msg((call) == DUM_OK, "%s: %s", #call, dum_error_message())

/* The call fails with this status, and the message holds this text. */
#define ck_fails(call, wanted, text)                                                                           \
    do {                                                                                                       \
        const dum_status found_ = (call);                                                                      \
        ck_assert_msg(found_ == (wanted), "%s: %s, expected %s (%s)", #call, dum_status_name(found_),          \
                      dum_status_name(wanted), dum_error_message());                                           \
        ck_assert_msg(strstr(dum_error_message(), text) != NULL, "%s: message \"%s\" lacks \"%s\"", #call,     \
                      dum_error_message(), text);                                                              \
    } while (0)

/* fmax, over which gcc 12.2 for aarch64 breaks down in some loops. */
static inline double larger(double a, double b)
{
    return a > b ? a : b;
}

/* The host's allocator, which counts, and fails from the allocation numbered `left` on once; negative: never. */
typedef struct {
    int64_t left, made, live;
} allocation_counter;

static inline void *counted_alloc(void *user, size_t size, size_t align)
{
    allocation_counter *c = user;
    c->made++;
    if (c->left-- == 0)
        return NULL;
    void *pointer = aligned_alloc(align, (size + align - 1) / align * align);
    c->live += pointer != NULL;
    return pointer;
}

static inline void counted_free(void *user, void *pointer, size_t size)
{
    (void)size;
    ((allocation_counter *)user)->live--;
    free(pointer);
}

static inline int run_suite(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}

#endif
