/* SPDX-License-Identifier: MIT
 * Heapsort: qsort of the C library may allocate behind the host's hooks. Floats, of which there may be many, by their
 * digits. */
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
DEFINE_SORT(dumi_sort_double, double)

/* Of the bits of a float, which order as the numbers do. */
static uint32_t key_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}

/* By 11 bits at a time, the lowest first. */
void dumi_sort_float(float *values, int64_t count, float *scratch)
{
    enum { BITS = 11, BUCKETS = 1 << BITS, PASSES = 3 };
    int64_t starts[BUCKETS];
    float *from = values, *to = scratch;
    for (int32_t pass = 0; pass < PASSES; pass++) {
        memset(starts, 0, sizeof starts);
        for (int64_t i = 0; i < count; i++)
            starts[key_of(from[i]) >> (pass * BITS) & (BUCKETS - 1)]++;
        for (int64_t b = 0, sum = 0; b < BUCKETS; b++) {
            const int64_t held = starts[b];
            starts[b] = sum;
            sum += held;
        }
        for (int64_t i = 0; i < count; i++)
            to[starts[key_of(from[i]) >> (pass * BITS) & (BUCKETS - 1)]++] = from[i];
        float *held = from;
        from = to;
        to = held;
    }
    memcpy(values, from, (size_t)count * sizeof *values);
}
