/* SPDX-License-Identifier: MIT
 * Heapsort: qsort of the C library may allocate behind the host's hooks. */
#include "core/core.h"

#define DEFINE_SORT(name, type)                                                                                \
    static void name##_sift(type *values, int64_t root, int64_t count)                                         \
    {                                                                                                          \
        const type value = values[root];                                                                       \
        for (;;) {                                                                                             \
            int64_t child = 2 * root + 1;                                                                      \
            if (child >= count)                                                                                \
                break;                                                                                         \
            if (child + 1 < count && values[child] < values[child + 1])                                        \
                child++;                                                                                       \
            if (!(value < values[child]))                                                                      \
                break;                                                                                         \
            values[root] = values[child];                                                                      \
            root = child;                                                                                      \
        }                                                                                                      \
        values[root] = value;                                                                                  \
    }                                                                                                          \
    void name(type *values, int64_t count)                                                                     \
    {                                                                                                          \
        for (int64_t root = count / 2 - 1; root >= 0; root--)                                                  \
            name##_sift(values, root, count);                                                                  \
        for (int64_t end = count - 1; end > 0; end--) {                                                        \
            const type most = values[0];                                                                       \
            values[0] = values[end];                                                                           \
            values[end] = most;                                                                                \
            name##_sift(values, 0, end);                                                                       \
        }                                                                                                      \
    }

DEFINE_SORT(dumi_sort_int64, int64_t)
DEFINE_SORT(dumi_sort_float, float)
DEFINE_SORT(dumi_sort_double, double)
