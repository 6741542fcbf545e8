/* SPDX-License-Identifier: MIT
 * The table of operations through which all training and scoring runs.
 *
 * Floats live in device buffers; on a CPU backend a device buffer is ordinary memory, but only
 * upload and download may assume so. Work is queued on a stream, which one caller at a time uses;
 * a failure of the device is kept in the stream and comes out of download, loss or sync.
 * Results never depend on the number of threads, and no row's result on the rows beside it.
 *
 * A backend that needs other libraries is a module of its own (backend/registry.c loads it). */
#ifndef DUMI_BACKEND_H
#define DUMI_BACKEND_H

#include "core/core.h"

/* Raised with every change of what is below: a module built for another number is refused. */
enum { DUMI_BACKEND_ABI = 7 };

typedef struct dumi_stream dumi_stream; /* defined by each backend */
typedef struct dumi_packed dumi_packed; /* a constant matrix in the layout its gemm wants */

typedef struct {
    float rate;                  /* with Adam's bias correction in it */
    float beta1, beta2, epsilon; /* Adam; SGD: beta1 is the momentum */
    float decay;                 /* weight decay added to the gradient */
    float scale;                 /* gradient is multiplied by this (clip) */
} dumi_step;

/* A product that is a gradient and goes at once into the weights it belongs to. */
typedef struct {
    const dumi_step *step;
    float *weights, *first;
    float *second; /* NULL: SGD */
} dumi_update;

/* C = A B (`add`: + what C holds), then, where given: + bias by column, max(0, .), zero where mask <= 0. A is m x k, B is
 * k x n with element strides (so transposing is exchanging two strides); C is row-major. */
typedef struct {
    int32_t m, n, k;
    const float *a;
    int64_t a_row, a_col;
    const float *b; /* unused where packed */
    int64_t b_row, b_col;
    const dumi_packed *packed;
    int32_t precision; /* DUMI_FLOAT32, or DUMI_BFLOAT16: A and B are rounded to it; `packed` has its own */
    float *c;
    int64_t c_row;
    const float *bias;
    const float *mask; /* m x n, contiguous rows of n */
    bool relu, add;
    const dumi_update *update; /* where not NULL: C is scratch (c_row = n), the step is what comes out */
} dumi_gemm;

enum { DUMI_BOUND_NONE = 0, DUMI_BOUND_TANH = 1 };

/* From the network's output o to the log-variance s (spec: "log-variance bound", "anchor"):
 * s = bound(o) + (anchor ? log(epsilon + D / cols) : 0) + *offset, where D is the mean of |z - c|^2 over the
 * DUMI_NEAR centres c that are nearest (those whose product is largest; of all where there are fewer), or |z|^2 where there
 * are no centres. */
enum { DUMI_NEAR = 5 };
typedef struct {
    int32_t rows, cols; /* of z */
    int32_t outputs;    /* columns of o and s: cols or 1 */
    int32_t bound;      /* DUMI_BOUND_* */
    float bound_scale;  /* c in c tanh(o / c) */
    bool anchor;
    float epsilon;
    int32_t centre_count;
    const float *centres;  /* centre_count x cols, on the device */
    const float *products; /* rows x centre_count, on the device: z . c - |c|^2 / 2 */
    const float *offset;   /* one float on the device */
    float shrinkage;       /* backward only: the loss has shrinkage / 2 times the mean of o^2 */
} dumi_head_shape;

typedef struct {
    int32_t rows, cols, outputs;
    int32_t split; /* rows of bag A; B is the rest (disjoint) or all rows (nested) */
    bool nested, cosine;
    float temperature, prior;
} dumi_poe_shape;

/* A convolution of images x height x width x cols, channels last, with zeros round them. Its weights are
 * (kernel x kernel x cols) x outputs. */
typedef struct {
    int32_t images, height, width, cols;
    int32_t outputs, kernel, stride, padding;
} dumi_conv_shape;

static inline int32_t dumi_conv_out(const dumi_conv_shape *shape, int32_t size)
{
    return (size + 2 * shape->padding - shape->kernel) / shape->stride + 1;
}

/* y = convolution of x, then, where given: + bias by output, + add, max(0, .). */
typedef struct {
    dumi_conv_shape shape;
    const float *weights; /* unused where packed */
    const dumi_packed *packed;
    const float *bias, *add;
    bool relu;
} dumi_conv;

/* Batch normalisation by column: y = gamma (x - mean) / sqrt(variance + epsilon) + beta. */
typedef struct {
    int32_t rows, cols;
    float epsilon;
    const float *gamma, *beta, *mean, *variance;
    bool constant; /* backward: mean and variance are not those of x */
} dumi_batch_norm;

/* Cross-entropy of rows of logits: row i is multiplied by scale * row_scale[i], and its right column is
 * labels[i]. Column i + skip is left out of row i; skip < 0: none. */
typedef struct {
    int32_t rows, cols, skip;
    float scale;
    const float *row_scale; /* NULL: 1 */
    const float *labels;    /* whole numbers */
} dumi_cross_entropy;

/* How packed matrices are kept: int8 with one scale a column, so that the column's largest value is 127. With bfloat16, A
 * is rounded to it, too; sums are float32. */
enum { DUMI_FLOAT32 = 0, DUMI_BFLOAT16 = 1, DUMI_INT8 = 2 };

enum { DUMI_NORM_L2 = 0, DUMI_NORM_TRACE = 1, DUMI_NORM_LOGDET = 2 };

typedef struct dumi_backend {
    size_t struct_size;
    uint32_t abi;
    const char *name;

    /* Why it cannot be used on this machine (NULL: it can); what it runs on goes to `detail`. */
    const char *(*unavailable)(char *detail, size_t capacity);
    dum_status (*open)(dum_context *context);
    void (*close)(dum_context *context);

    /* Buffers of floats. alloc: NULL with the error recorded. */
    float *(*alloc)(dum_context *context, size_t count);
    void (*free)(dum_context *context, float *buffer);

    /* A stream. The sizes are those of the largest gemms (max_n 0: packed only): larger ones are right, too,
     * but slower. */
    dum_status (*stream_create)(dum_context *context, int32_t threads, int32_t max_m, int32_t max_n,
                                int32_t max_k, dumi_stream **out);
    void (*stream_destroy)(dumi_stream *stream);
    dum_status (*sync)(dumi_stream *stream);
    void (*upload)(dumi_stream *stream, float *to, const float *from, size_t count);
    dum_status (*download)(dumi_stream *stream, float *to, const float *from, size_t count);
    void (*copy)(dumi_stream *stream, float *to, const float *from, size_t count);
    void (*fill)(dumi_stream *stream, float *to, float value, size_t count);

    /* A constant matrix, k x n. What is packed narrower than float32 is rounded once; products are float32. */
    dumi_packed *(*pack)(dum_context *context, const float *b, int32_t k, int32_t n, int32_t precision);
    void (*unpack)(dum_context *context, dumi_packed *packed);
    void (*gemm)(dumi_stream *stream, const dumi_gemm *gemm);

    /* out[j] = sum over rows of a[i, j], in row order. */
    void (*colsum)(dumi_stream *stream, int32_t rows, int32_t cols, const float *a, float *out);
    /* out = (x - shift) * scale by column, kept within +-1e15 so that no square overflows. */
    void (*affine)(dumi_stream *stream, int32_t rows, int32_t cols, const float *x, const float *shift,
                   const float *scale, float *out);
    /* Each row of z divided by its length (a zero row stays zero). */
    void (*unit)(dumi_stream *stream, int32_t rows, int32_t cols, float *z);

    void (*head)(dumi_stream *stream, const dumi_head_shape *shape, const float *o, const float *z, float *s);
    /* d_o from d_s and shrinkage; d_offset (one float, may be NULL) = sum of d_s. */
    void (*head_backward)(dumi_stream *stream, const dumi_head_shape *shape, const float *o, const float *d_s,
                          float *d_o, float *d_offset);

    /* Objective `local`: loss = mean of 1/2 (t exp(-s) + s), and its gradient by s. */
    dum_status (*local_loss)(dumi_stream *stream, int32_t rows, int32_t outputs, const float *s, const float *t,
                             float *d_s, double *loss);
    /* Objective `poe` (paper, section 3): loss and gradient by s. */
    dum_status (*poe_loss)(dumi_stream *stream, const dumi_poe_shape *shape, const float *z, const float *s,
                           float *d_s, double *loss);

    /* The sum of x[i] y[i]. */
    dum_status (*dot)(dumi_stream *stream, size_t count, const float *x, const float *y, double *sum);
    void (*adam)(dumi_stream *stream, size_t count, const dumi_step *step, const float *gradient,
                 float *weights, float *first, float *second);
    void (*sgd)(dumi_stream *stream, size_t count, const dumi_step *step, const float *gradient, float *weights,
                float *velocity);

    /* Convolutions. Those that a stream is to compute, and the batch norms of their outputs, it must have made
     * room for; a pack holds for any number and size of images. */
    dum_status (*conv_reserve)(dumi_stream *stream, const dumi_conv_shape *shape);
    dumi_packed *(*conv_pack)(dum_context *context, const dumi_conv_shape *shape, const float *weights);
    void (*conv)(dumi_stream *stream, const dumi_conv *conv, const float *x, float *y);
    /* The gradients by x (`add`: added to what d_x holds) and by the weights, from that by y. */
    void (*conv_input)(dumi_stream *stream, const dumi_conv_shape *shape, const float *weights,
                       const float *d_y, bool add, float *d_x);
    void (*conv_weights)(dumi_stream *stream, const dumi_conv_shape *shape, const float *x, const float *d_y,
                         float *d_weights);

    /* Mean and variance (of the population) by column. */
    void (*batch_moments)(dumi_stream *stream, int32_t rows, int32_t cols, const float *x, float *mean,
                          float *variance);
    /* y as above, then + add (NULL: none), max(0, .) where `relu`. */
    void (*batch_norm)(dumi_stream *stream, const dumi_batch_norm *norm, const float *x, const float *add,
                       bool relu, float *y);
    /* d: the gradient by y on the way in, by x on the way out (mean and variance follow x unless they are constant). `y` where there was
     * a ReLU, else NULL. d_add (NULL: none) receives the gradient by `add`, or with `more` has it added. */
    void (*batch_norm_backward)(dumi_stream *stream, const dumi_batch_norm *norm, const float *x,
                                const float *y, float *d, float *d_add, bool more, float *d_gamma,
                                float *d_beta);

    /* Largest value under the window of a shape (outputs = cols); the first of equals takes the gradient. */
    void (*pool_max)(dumi_stream *stream, const dumi_conv_shape *shape, const float *x, float *y);
    void (*pool_max_backward)(dumi_stream *stream, const dumi_conv_shape *shape, const float *x,
                              const float *d_y, float *d_x);
    /* Means over all pixels of an image. */
    void (*pool_mean)(dumi_stream *stream, int32_t images, int32_t pixels, int32_t cols, const float *x,
                      float *y);
    void (*pool_mean_backward)(dumi_stream *stream, int32_t images, int32_t pixels, int32_t cols,
                               const float *d_y, bool add, float *d_x);

    /* Of `unit`: d by its result becomes d by z. */
    void (*unit_backward)(dumi_stream *stream, int32_t rows, int32_t cols, const float *z, float *d);
    /* The mean loss, its gradients by the logits (may be where they are) and by row_scale (NULL: not
     * wanted), and how many rows have their largest logit in the right column. */
    dum_status (*cross_entropy)(dumi_stream *stream, const dumi_cross_entropy *shape, const float *logits,
                                float *d_logits, float *d_row_scale, double *loss, int64_t *right);

    /* Per row the log of a norm of the variance exp(s) (DUMI_NORM_*). */
    dum_status (*norm)(dumi_stream *stream, int32_t rows, int32_t outputs, int32_t norm, const float *s,
                       double *scores);
} dumi_backend;

extern const dumi_backend dumi_backend_ref;
extern const dumi_backend dumi_backend_blis;

/* Opens the backend named in the options and puts it into the context. */
dum_status dumi_backend_open(dum_context *context, const char *name, const char *module_dir);

#endif
