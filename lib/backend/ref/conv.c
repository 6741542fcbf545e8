/* SPDX-License-Identifier: MIT
 * Convolution and pooling, channels last. */
#include "backend/ref/ref.h"

dum_status dumi_ref_conv_reserve(dumi_stream *stream, const dumi_conv_shape *shape)
{
    (void)stream;
    (void)shape;
    return DUM_OK;
}

/* The part of the kernel that lies inside the image, for output (i, j). */
typedef struct {
    int32_t top, left;      /* input pixel under the kernel's first tap */
    int32_t y0, y1, x0, x1; /* taps */
} window;

static int32_t last_tap(int32_t first, int32_t kernel, int32_t size)
{
    return first + kernel > size ? size - first : kernel;
}

static window window_at(const dumi_conv_shape *s, int32_t i, int32_t j)
{
    window w = {.top = i * s->stride - s->padding, .left = j * s->stride - s->padding};
    w.y0 = w.top < 0 ? -w.top : 0;
    w.x0 = w.left < 0 ? -w.left : 0;
    w.y1 = last_tap(w.top, s->kernel, s->height);
    w.x1 = last_tap(w.left, s->kernel, s->width);
    return w;
}

/* Where the pixel under a tap begins. */
static int64_t pixel(const dumi_conv_shape *s, int64_t image, const window *w, int32_t y, int32_t x)
{
    return ((image * s->height + w->top + y) * s->width + w->left + x) * s->cols;
}

static int64_t weights_at(const dumi_conv_shape *s, int32_t y, int32_t x)
{
    return ((int64_t)y * s->kernel + x) * s->cols * s->outputs;
}

typedef struct {
    const dumi_conv_shape *shape;
    const float *x, *weights, *d_y;
    float *d_x, *d_weights;
} taps;

typedef void (*visit_fn)(const taps *t, int64_t x, int64_t weights, int64_t y);

static void visit_window(const taps *t, int64_t image, int32_t i, int32_t j, int64_t y_at, visit_fn visit)
{
    const window w = window_at(t->shape, i, j);
    for (int32_t y = w.y0; y < w.y1; y++)
        for (int32_t x = w.x0; x < w.x1; x++)
            visit(t, pixel(t->shape, image, &w, y, x), weights_at(t->shape, y, x), y_at);
}

/* Every tap of every output pixel. */
static void visit_all(const taps *t, visit_fn visit)
{
    const dumi_conv_shape *s = t->shape;
    const int32_t height = dumi_conv_out(s, s->height), width = dumi_conv_out(s, s->width);
    for (int64_t image = 0; image < s->images; image++)
        for (int32_t i = 0; i < height; i++)
            for (int32_t j = 0; j < width; j++)
                visit_window(t, image, i, j, ((image * height + i) * width + j) * s->outputs, visit);
}

static void visit_input(const taps *t, int64_t x, int64_t weights, int64_t y)
{
    for (int32_t c = 0; c < t->shape->cols; c++) {
        double sum = 0;
        for (int32_t o = 0; o < t->shape->outputs; o++)
            sum += (double)t->d_y[y + o] * (double)t->weights[weights + (int64_t)c * t->shape->outputs + o];
        t->d_x[x + c] += (float)sum;
    }
}

static void visit_weights(const taps *t, int64_t x, int64_t weights, int64_t y)
{
    for (int32_t c = 0; c < t->shape->cols; c++)
        for (int32_t o = 0; o < t->shape->outputs; o++)
            t->d_weights[weights + (int64_t)c * t->shape->outputs + o] += t->x[x + c] * t->d_y[y + o];
}

void dumi_ref_conv_input(dumi_stream *stream, const dumi_conv_shape *shape, const float *weights,
                         const float *d_y, bool add, float *d_x)
{
    const taps t = {.shape = shape, .weights = weights, .d_y = d_y, .d_x = d_x};
    const size_t pixels = (size_t)shape->images * (size_t)shape->height * (size_t)shape->width;
    if (!add)
        dumi_ref_fill(stream, d_x, 0, pixels * (size_t)shape->cols);
    visit_all(&t, visit_input);
}

void dumi_ref_conv_weights(dumi_stream *stream, const dumi_conv_shape *shape, const float *x, const float *d_y,
                           float *d_weights)
{
    const taps t = {.shape = shape, .x = x, .d_y = d_y, .d_weights = d_weights};
    const size_t count = (size_t)weights_at(shape, shape->kernel, 0);
    dumi_ref_fill(stream, d_weights, 0, count);
    visit_all(&t, visit_weights);
}

static double output_sum(const dumi_conv_shape *s, const float *weights, const float *x, int64_t image,
                         const window *w)
{
    double sum = 0;
    for (int32_t ky = w->y0; ky < w->y1; ky++) {
        for (int32_t kx = w->x0; kx < w->x1; kx++) {
            const float *from = x + pixel(s, image, w, ky, kx), *weight = weights + weights_at(s, ky, kx);
            for (int32_t c = 0; c < s->cols; c++)
                sum += (double)from[c] * (double)weight[(int64_t)c * s->outputs];
        }
    }
    return sum;
}

void dumi_ref_conv(dumi_stream *stream, const dumi_conv *conv, const float *x, float *y)
{
    (void)stream;
    const dumi_conv_shape *s = &conv->shape;
    const float *weights = conv->packed != NULL ? dumi_ref_packed_values(conv->packed) : conv->weights;
    const int64_t height = dumi_conv_out(s, s->height), width = dumi_conv_out(s, s->width);
    for (int64_t p = 0; p < s->images * height * width; p++) {
        const window w = window_at(s, (int32_t)(p / width % height), (int32_t)(p % width));
        for (int64_t o = 0; o < s->outputs; o++) {
            double sum = output_sum(s, weights + o, x, p / (height * width), &w);
            sum += conv->bias != NULL ? (double)conv->bias[o] : 0;
            sum += conv->add != NULL ? (double)conv->add[p * s->outputs + o] : 0;
            y[p * s->outputs + o] = (float)(conv->relu && sum < 0 ? 0 : sum);
        }
    }
}

/* ---- Pooling ------------------------------------------------------------------------------ */

/* Where the largest value of column c under a window lies. */
static int64_t largest(const dumi_conv_shape *s, const float *x, int64_t image, const window *w, int32_t c)
{
    int64_t best = pixel(s, image, w, w->y0, w->x0) + c;
    for (int32_t y = w->y0; y < w->y1; y++) {
        for (int32_t k = w->x0; k < w->x1; k++) {
            const int64_t at = pixel(s, image, w, y, k) + c;
            if (x[at] > x[best])
                best = at;
        }
    }
    return best;
}

void dumi_ref_pool_max(dumi_stream *stream, const dumi_conv_shape *s, const float *x, float *y)
{
    (void)stream;
    const int64_t height = dumi_conv_out(s, s->height), width = dumi_conv_out(s, s->width);
    for (int64_t p = 0; p < s->images * height * width; p++) {
        const window w = window_at(s, (int32_t)(p / width % height), (int32_t)(p % width));
        for (int32_t c = 0; c < s->cols; c++)
            y[p * s->cols + c] = x[largest(s, x, p / (height * width), &w, c)];
    }
}

void dumi_ref_pool_max_backward(dumi_stream *stream, const dumi_conv_shape *s, const float *x, const float *d_y,
                                float *d_x)
{
    const int64_t height = dumi_conv_out(s, s->height), width = dumi_conv_out(s, s->width);
    dumi_ref_fill(stream, d_x, 0, (size_t)s->images * (size_t)s->height * (size_t)s->width * (size_t)s->cols);
    for (int64_t p = 0; p < s->images * height * width; p++) {
        const window w = window_at(s, (int32_t)(p / width % height), (int32_t)(p % width));
        for (int32_t c = 0; c < s->cols; c++)
            d_x[largest(s, x, p / (height * width), &w, c)] += d_y[p * s->cols + c];
    }
}

void dumi_ref_pool_mean(dumi_stream *stream, int32_t images, int32_t pixels, int32_t cols, const float *x,
                        float *y)
{
    for (int64_t i = 0; i < images; i++) {
        dumi_ref_colsum(stream, pixels, cols, x + i * pixels * cols, y + i * cols);
        for (int64_t c = i * cols; c < (i + 1) * cols; c++)
            y[c] /= (float)pixels;
    }
}

void dumi_ref_pool_mean_backward(dumi_stream *stream, int32_t images, int32_t pixels, int32_t cols,
                                 const float *d_y, bool add, float *d_x)
{
    (void)stream;
    for (int64_t row = 0; row < (int64_t)images * pixels; row++)
        for (int32_t c = 0; c < cols; c++)
            d_x[row * cols + c] =
                d_y[row / pixels * cols + c] / (float)pixels + (add ? d_x[row * cols + c] : 0);
}
