/* SPDX-License-Identifier: MIT
 * From a matrix with any strides to micro-panels: `width` vectors side by side, step by step. */
#include "backend/blis/stream.h"

typedef float quad __attribute__((vector_size(16)));

static inline quad load(const float *from)
{
    quad value;
    memcpy(&value, from, sizeof value);
    return value;
}

static inline void store(float *to, quad value)
{
    memcpy(to, &value, sizeof value);
}

/* Four steps of four vectors whose steps are neighbours in memory. */
static inline void turn(const float *from, int64_t across, float *to, int32_t width)
{
    const quad a = load(from), b = load(from + across), c = load(from + 2 * across),
               d = load(from + 3 * across);
    const quad ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
    const quad ba = __builtin_shufflevector(a, b, 2, 6, 3, 7), dc = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    store(to, __builtin_shufflevector(ab, cd, 0, 1, 4, 5));
    store(to + width, __builtin_shufflevector(ab, cd, 2, 3, 6, 7));
    store(to + (ptrdiff_t)2 * width, __builtin_shufflevector(ba, dc, 0, 1, 4, 5));
    store(to + (ptrdiff_t)3 * width, __builtin_shufflevector(ba, dc, 2, 3, 6, 7));
}

static void pack_any(const float *from, int64_t across, int64_t along, int32_t vectors, int32_t width,
                     int32_t steps, float *restrict to)
{
    for (int32_t p = 0; p < steps; p++)
        for (int32_t v = 0; v < vectors; v++)
            to[(int64_t)p * width + v] = from[v * across + p * along];
}

static void pack_steps(const float *from, int64_t across, int32_t vectors, int32_t width, int32_t steps,
                       float *restrict to)
{
    int32_t done = 0;
    for (; done + 4 <= vectors; done += 4) {
        const float *vector = from + done * across;
        int32_t p = 0;
        for (; p + 4 <= steps; p += 4)
            turn(vector + p, across, to + (int64_t)p * width + done, width);
        for (; p < steps; p++)
            for (int32_t v = 0; v < 4; v++)
                to[(int64_t)p * width + done + v] = vector[v * across + p];
    }
    if (done + 2 <= vectors) {
        const float *first = from + done * across, *second = first + across;
        for (int32_t p = 0; p < steps; p++) {
            float *pair = to + (int64_t)p * width + done;
            pair[0] = first[p];
            pair[1] = second[p];
        }
        done += 2;
    }
    if (done < vectors)
        for (int32_t p = 0; p < steps; p++)
            to[(int64_t)p * width + done] = from[done * across + p];
}

/* One step of all panels after the other: the memory is read in long pieces. */
static inline void copy_steps(const float *from, int64_t along, int32_t panels, size_t width, int32_t steps,
                              float *restrict to)
{
    for (int32_t p = 0; p < steps; p++)
        for (int32_t i = 0; i < panels; i++)
            memcpy(to + ((size_t)i * (size_t)steps + (size_t)p) * width, from + p * along + (size_t)i * width,
                   width * sizeof *to);
}

static void copy_panels(const float *from, int64_t along, int32_t panels, int32_t width, int32_t steps,
                        float *restrict to)
{
    if (width == 6)
        copy_steps(from, along, panels, 6, steps, to); /* a constant width: two moves instead of a call */
    else if (width == 16)
        copy_steps(from, along, panels, 16, steps, to);
    else
        copy_steps(from, along, panels, (size_t)width, steps, to);
}

void dumi_blis_pack_panels(const float *from, int64_t across, int64_t along, int32_t vectors, int32_t width,
                           int32_t steps, float *restrict to)
{
    const int32_t whole = vectors / width, rest = vectors % width;
    const int64_t size = (int64_t)width * steps;
    if (across == 1)
        copy_panels(from, along, whole, width, steps, to);
    else if (along == 1)
        for (int32_t i = 0; i < whole; i++)
            pack_steps(from + (int64_t)i * width * across, across, width, width, steps, to + i * size);
    else
        for (int32_t i = 0; i < whole; i++)
            pack_any(from + (int64_t)i * width * across, across, along, width, width, steps, to + i * size);
    if (rest == 0)
        return;
    memset(to + whole * size, 0, (size_t)size * sizeof *to);
    pack_any(from + (int64_t)whole * width * across, across, along, rest, width, steps, to + whole * size);
}

static void narrow(const float *from, int32_t panels, int32_t width, int32_t steps, const float *scales,
                   int8_t *to)
{
    for (int64_t i = 0; i < (int64_t)panels * width * steps; i++)
        to[i] = dumi_ref_int8(from[i], scales[i / ((int64_t)width * steps) * width + i % width]);
}

DUMI_CLONES void dumi_blis_widen(const dumi_packed *packed, int64_t at, int32_t col, int32_t width,
                                 int32_t steps, int32_t panels, float *restrict to)
{
    const int64_t size = (int64_t)width * steps;
    for (int32_t j = 0; j < panels; j++) {
        const int8_t *restrict from = (const int8_t *)packed->panels + at + j * size;
        const float *restrict scales = packed->scales + col + (ptrdiff_t)j * width;
        for (int32_t p = 0; p < steps; p++)
            for (int32_t v = 0; v < width; v++)
                to[j * size + (int64_t)p * width + v] = (float)from[(int64_t)p * width + v] * scales[v];
    }
}

dumi_packed *dumi_blis_pack(dum_context *context, const float *b, int32_t k, int32_t n, int32_t precision)
{
    if (precision == DUMI_BFLOAT16)
        return dumi_blis_bf16_pack(context, b, k, n);
    const dumi_blis_kernel *kernel = context->backend_state;
    const int32_t wide = dumi_round_up(n, kernel->nr);
    const size_t count = (size_t)k * (size_t)wide;
    enum { ALIGNED = 64 };
    const size_t scales = ((size_t)wide * sizeof(float) + ALIGNED - 1) / ALIGNED * ALIGNED;
    char *memory = dumi_alloc(context, ALIGNED + scales + count * dumi_element_size(precision), 1);
    if (memory == NULL)
        return NULL;
    float *block = NULL; /* one block of kc in float32, on its way to int8 */
    if (precision != DUMI_FLOAT32 &&
        (block = dumi_alloc(context, (size_t)kernel->kc * (size_t)wide, sizeof *block)) == NULL) {
        dumi_free(context, memory);
        return NULL;
    }
    dumi_packed *packed = (dumi_packed *)memory;
    packed->precision = precision;
    packed->scales = (float *)(memory + ALIGNED);
    packed->panels = memory + ALIGNED + scales;
    for (int32_t j = 0; j < wide; j++)
        packed->scales[j] = j < n && precision == DUMI_INT8 ? dumi_ref_int8_scale(b + j, k, n) : 0;
    for (int32_t depth = 0; depth < k; depth += kernel->kc) {
        const int32_t deep = dumi_least(kernel->kc, k - depth);
        const size_t at = (size_t)depth * (size_t)wide;
        float *to = block != NULL ? block : (float *)packed->panels + at;
        dumi_blis_pack_panels(b + (int64_t)depth * n, 1, n, n, kernel->nr, deep, to);
        if (block != NULL)
            narrow(block, wide / kernel->nr, kernel->nr, deep, packed->scales, (int8_t *)packed->panels + at);
    }
    dumi_free(context, block);
    return packed;
}

void dumi_blis_unpack(dum_context *context, dumi_packed *packed)
{
    dumi_free(context, packed);
}
