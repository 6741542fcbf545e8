/* SPDX-License-Identifier: MIT
 *
 * libdum: how far to trust an embedding.
 *
 * A Deep Uncertainty Model (DUM; Wu & Goodman 2020, "A Simple Framework for Uncertainty in
 * Contrastive Learning") maps an embedding z to a Gaussian centred at z. The network learns only
 * the log-variance s; a norm of exp(s) is the score: higher = less certain = more anomalous.
 *
 * In reading order: conventions, status, backends, context, dataset, images, options by name, encoder,
 * head, product of experts, scorer, monitor, model files, statistics.
 *
 * Conventions that hold for every function:
 *  - Each fallible call returns a dum_status; dum_error_message() then says, for the calling
 *    thread, which argument had which value and what would be right.
 *  - The library never prints, exits, aborts, installs signal handlers or changes the locale, the
 *    rounding mode, the environment or BLIS's global settings. Its only output is the log callback
 *    of a context (none by default).
 *  - Handles are opaque and count references inside: any order of destroying works, and destroying
 *    NULL does nothing. A create, load or open call sets *out to NULL first.
 *  - Option and result structs begin with struct_size: clear them and set it with DUM_INIT(). Zero
 *    (or NULL) is the default of every member. Where a function takes a pointer to options, NULL
 *    means all defaults.
 *  - Matrices are float32, row-major: pointer, rows, columns, and the distance between the starts
 *    of two rows in elements (row_stride >= columns; 0 means columns).
 *  - Thread safety: handles may be used by several threads at once for calls that take them as
 *    const; a call that takes a handle without const needs that handle for itself. Different
 *    handles are independent, also when they share a context: a call that takes a context only to
 *    make a handle may run on several threads at once although it is not const.
 *  - Every function may return DUM_ERR_ARGUMENT for NULL or out-of-range arguments,
 *    DUM_ERR_ABI / DUM_ERR_UNSUPPORTED for a struct whose struct_size it cannot read, and
 *    DUM_ERR_NOMEM; these are not repeated below.
 */
#ifndef DUM_H
#define DUM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(DUM_BUILDING) && defined(__GNUC__)
#define DUM_API __attribute__((visibility("default")))
#else
#define DUM_API
#endif
#if defined(__GNUC__)
#define DUM_NODISCARD __attribute__((warn_unused_result))
#else
#define DUM_NODISCARD
#endif

#define DUM_VERSION_MAJOR 0
#define DUM_VERSION_MINOR 1
#define DUM_VERSION_PATCH 0
#define DUM_VERSION "0.1.0"

/* Clears an option or result struct and tells the library which version of it the caller was
 * compiled with: `dum_context_options o; DUM_INIT(o);` */
#define DUM_INIT(object) (memset(&(object), 0, sizeof(object)), (object).struct_size = sizeof(object))

/* ---- Status ------------------------------------------------------------------------------- */

/* Numbers are fixed for ever. */
typedef enum dum_status {
    DUM_OK = 0,
    DUM_CANCELLED = 1,         /* a callback or max_seconds stopped the call; the handle is usable */
    DUM_ERR_ARGUMENT = -1,     /* an argument is NULL, out of range, or an unknown name */
    DUM_ERR_SHAPE = -2,        /* rows or columns do not fit the handle */
    DUM_ERR_NONFINITE = -3,    /* NaN or infinity in the data, or training diverged */
    DUM_ERR_STATE = -4,        /* not fitted, not calibrated, or fitted already */
    DUM_ERR_NOMEM = -5,        /* an allocation failed */
    DUM_ERR_IO = -6,           /* the operating system refused to open, read or write a file */
    DUM_ERR_FORMAT = -7,       /* a file is not what it should be */
    DUM_ERR_VERSION = -8,      /* a model file needs a newer library */
    DUM_ERR_CHECKSUM = -9,     /* a model file was altered or damaged */
    DUM_ERR_LIMIT = -10,       /* the context's max_bytes or a stated size limit would be passed */
    DUM_ERR_BACKEND = -11,     /* a backend is missing, of the wrong version, or failed */
    DUM_ERR_UNSUPPORTED = -12, /* this library or this kind cannot do that */
    DUM_ERR_ABI = -13,         /* struct_size is impossible: was DUM_INIT() forgotten? */
    DUM_ERR_CALLBACK = -14,    /* a callback of the host reported failure */
    DUM_ERR_INTERNAL = -15     /* a bug in libdum */
} dum_status;

/* The name of a status, such as "DUM_ERR_SHAPE"; "unknown" for other numbers. Static text. */
DUM_API const char *dum_status_name(dum_status status);

/* What went wrong in the last fallible call of this thread; "" after success. UTF-8, at most 255
 * bytes, valid until the thread's next call into libdum. Never NULL. */
DUM_API const char *dum_error_message(void);

/* The version of the library that is loaded, such as "0.1.0". Static text. */
DUM_API const char *dum_version(void);

/* ---- Backends ----------------------------------------------------------------------------- */

typedef struct dum_backend_info {
    size_t struct_size;
    const char *name;  /* "blis", "ref", "cuda"; static text */
    int32_t available; /* 1: a context can be made with it */
    int32_t reserved;
    char reason[200]; /* why not available, or what it runs on */
} dum_backend_info;

/* How many backends this library knows, available or not. */
DUM_API int32_t dum_backend_count(void);

/* Describes backend `index` (0 .. count - 1), best first. Any thread. Errors: ARGUMENT. */
DUM_API DUM_NODISCARD dum_status dum_backend_get(int32_t index, dum_backend_info *info);

/* ---- Context ------------------------------------------------------------------------------ */

/* Threads, memory, log and backend for the handles made from it. Any number may live side by side;
 * one context may serve many threads. After fork() both processes may go on using it, provided no
 * other thread was inside a libdum call at the moment of the fork. */
typedef struct dum_context dum_context;

enum { DUM_LOG_ERROR = 1, DUM_LOG_WARNING = 2, DUM_LOG_INFO = 3, DUM_LOG_DEBUG = 4 };

/* Codes of log lines, for hosts that filter. Numbers are fixed for ever. */
enum {
    DUM_LOG_BACKEND = 1,        /* which backend "auto" chose, and why */
    DUM_LOG_CONSTANT_SCORE = 2, /* after fit all training rows have one and the same score */
    DUM_LOG_IMPUTED = 3,        /* non-finite values were replaced by column medians */
    DUM_LOG_RESERVOIR = 4,      /* neighbours come from a random sample of the rows */
    DUM_LOG_IGNORED = 5,        /* an option of a model file is unknown here and was ignored */
    DUM_LOG_CHECKPOINT = 6,     /* a checkpoint could not be written (training goes on), or was found */
    DUM_LOG_IMPORT = 7,         /* a tensor that does not fit the encoder it is imported into */
    DUM_LOG_CHOICE = 8          /* which scaling or anchor "auto" chose, and why */
};

typedef void (*dum_log_fn)(void *user, int32_t level, int32_t code, const char *line);

typedef struct dum_context_options {
    size_t struct_size;
    const char *backend; /* NULL or "auto": best available; else "blis", "cuda", "ref" */
    int32_t device;      /* index of the accelerator; 0 on CPU backends */
    int32_t threads;     /* 0: processors available to the process (affinity, cgroup quota) */
    uint64_t max_bytes;  /* most memory that the context's handles may hold together; 0: no limit */
    /* Allocator: both or none. Called from any thread. alloc returns `size` bytes aligned to
     * `align` (a power of two) or NULL; free gets the same size back. */
    void *(*alloc)(void *user, size_t size, size_t align);
    void (*free)(void *user, void *pointer, size_t size);
    void *alloc_user;
    /* Log: one whole line of UTF-8 without newline. Called on the thread that made the call which
     * logs, never after the context's last handle is destroyed. */
    dum_log_fn log;
    void *log_user;
    const char *module_dir; /* where backend modules lie; NULL: the installed folder */
} dum_context_options;

/* Creates a context. Threads start with the first call that has work for them and sleep when idle.
 * Errors: BACKEND (named backend not available; the message has the reason). */
DUM_API DUM_NODISCARD dum_status dum_context_create(const dum_context_options *options, dum_context **out);
DUM_API void dum_context_destroy(dum_context *context);

/* The number of threads that large calls use, the caller's included. */
DUM_API int32_t dum_context_threads(const dum_context *context);

/* The name of the backend in use. Static text. */
DUM_API const char *dum_context_backend(const dum_context *context);

/* Bytes held by the context and its handles now. */
DUM_API uint64_t dum_context_bytes(const dum_context *context);

/* ---- Dataset ------------------------------------------------------------------------------ */

/* Rows of float32 (or of bytes, made float32 when read), read in any order and never copied as a whole: training streams them. Reading
 * a dataset is safe from several threads where the callback of the host is. */
typedef struct dum_dataset dum_dataset;

/* Borrows rows x cols floats, which must stay alive and unchanged as long as the dataset.
 * Errors: SHAPE (rows < 1, cols < 1, row_stride < cols). */
DUM_API DUM_NODISCARD dum_status dum_dataset_from_memory(dum_context *context, const float *data, int64_t rows,
                                                         int32_t cols, int64_t row_stride, dum_dataset **out);

/* The same of bytes, such as pictures: values 0 to 255, made floats when they are read. Stride in bytes.
 * Errors: as dum_dataset_from_memory. */
DUM_API DUM_NODISCARD dum_status dum_dataset_from_bytes(dum_context *context, const uint8_t *data, int64_t rows,
                                                        int32_t cols, int64_t row_stride, dum_dataset **out);

/* Maps a .npy file, version 1 to 3, in C order: little-endian float32, float64 (converted when read; a value
 * that overflows float32 reads as infinity) or uint8 (0 to 255, converted when read). Rows x columns; one
 * dimension is taken as one column; of three or four (images: N x H x W x C) all but the first make up the
 * columns, at most 2^31 - 1. The file must not shrink while it is mapped. Errors: IO, FORMAT. */
DUM_API DUM_NODISCARD dum_status dum_dataset_from_npy(dum_context *context, const char *path,
                                                      dum_dataset **out);

/* Reads the `count` rows with these indices into out (count x cols, contiguous). Returns 0, or
 * anything else to fail the running call with DUM_ERR_CALLBACK. Called on the thread that made the
 * libdum call. */
typedef int32_t (*dum_read_fn)(void *user, const int64_t *indices, int64_t count, float *out);

/* Rows come from the host. */
DUM_API DUM_NODISCARD dum_status dum_dataset_from_callback(dum_context *context, int64_t rows, int32_t cols,
                                                           dum_read_fn read, void *user, dum_dataset **out);
DUM_API void dum_dataset_destroy(dum_dataset *dataset);

DUM_API int64_t dum_dataset_rows(const dum_dataset *dataset);
DUM_API int32_t dum_dataset_cols(const dum_dataset *dataset);

/* Copies rows first .. first + count - 1 into out (count x cols, contiguous).
 * Errors: SHAPE (outside the dataset), CALLBACK. */
DUM_API DUM_NODISCARD dum_status dum_dataset_read(const dum_dataset *dataset, int64_t first, int64_t count,
                                                  float *out);

/* Names the columns (UTF-8, copied; no newline; count must equal cols). A scorer fitted on named
 * columns keeps the names, saves them, and refuses datasets whose names differ. */
DUM_API DUM_NODISCARD dum_status dum_dataset_set_feature_names(dum_dataset *dataset, const char *const *names,
                                                               int32_t count);
/* The name of a column, or NULL where there are none. Valid as long as the dataset. */
DUM_API const char *dum_dataset_feature_name(const dum_dataset *dataset, int32_t col);

/* ---- Images ------------------------------------------------------------------------------- */

/* Images are rows of height x width x channels float32, channels last, values 0 to 255; channels: 1 (grey) or 3
 * (red, green, blue); a side: at most 65535. Where a function makes images it writes them to out: rows x (height x
 * width x channels), contiguous, values 0 to 255; out may be the images themselves where these are contiguous, too,
 * and overlaps them in no other way. docs/images.md describes all of it. */

/* A random view: crop, flip, colour, blur, in this order, each as torchvision defines it. A chance or strength that
 * is negative means never; 0 is the default, as everywhere. The defaults are SimCLR's for images of 32 x 32 (Chen
 * et al. 2020, appendix B.9), but for crop_min, which is 0.08 there. */
typedef struct dum_augment_options {
    size_t struct_size;
    /* Random resized crop: a share of the area between these (0: 0.2 and 1), of an aspect ratio between 3/4 and
     * 4/3, made as large as the image again, bilinear; at most 1. crop_min 1: none. */
    double crop_min, crop_max;
    double flip;       /* chance of a horizontal flip; 0: 0.5 */
    double jitter;     /* chance of colour jitter; 0: 0.8. In random order: */
    double brightness; /* times 1 +- this, uniform; 0: 0.4 */
    double contrast;   /* away from the mean of the grey image times 1 +- this; 0: 0.4 */
    double saturation; /* away from the grey of each pixel times 1 +- this; 0: 0.4 */
    double hue;        /* turned by +- this, in turns, at most 0.5; 0: 0.1 */
    double grey;       /* chance of greyscale; 0: 0.2 */
    double
        blur; /* chance of a Gaussian blur, sigma 0.1 to 2 pixels, a tenth of the image wide; 0: 0.5, but never
                    where height or width is below 64 */
} dum_augment_options;

/* Makes view number `view` of each of rows images; options NULL: SimCLR's. A view depends on its row, the row's
 * number (below 2^48), seed and view alone: any number of threads, and any rows behind it, give the same bits. Runs on
 * the context's threads; thread-safe. Errors: ARGUMENT (options; values outside 0 to 255), SHAPE (rows < 0,
 * row_stride), NONFINITE. */
DUM_API DUM_NODISCARD dum_status dum_image_augment(dum_context *context, const dum_augment_options *options,
                                                   int32_t height, int32_t width, int32_t channels,
                                                   const float *images, int64_t rows, int64_t row_stride,
                                                   uint64_t seed, uint32_t view, float *out);

/* The corruptions by which robustness is measured (Hendrycks & Dietterich 2019): "gaussian_noise", "shot_noise",
 * "impulse_noise", "defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "snow", "frost", "fog", "brightness",
 * "contrast", "elastic_transform", "pixelate", "jpeg_compression". How many, and the name of one (NULL if index is
 * out of range). Static text. */
DUM_API int32_t dum_corruption_count(void);
DUM_API const char *dum_corruption_name(int32_t index);

/* Corrupts each of rows images, with the constants of CIFAR-10-C at severity 1 (light) to 5: lengths are for 32 x 32
 * and grow with the shorter side. "frost" is made of plasma fractals, where the authors lay photographs over the
 * image. Values are not rounded, but by "jpeg_compression". What is random depends on the row's number (below 2^32),
 * name and seed alone: any number of threads gives the same bits. Runs on the context's threads; thread-safe.
 * Errors: ARGUMENT (unknown name, the message lists those known; severity; values outside 0 to 255), SHAPE
 * (rows < 0, row_stride), NONFINITE. */
DUM_API DUM_NODISCARD dum_status dum_image_corrupt(dum_context *context, const char *name, int32_t severity,
                                                   uint64_t seed, int32_t height, int32_t width,
                                                   int32_t channels, const float *images, int64_t rows,
                                                   int64_t row_stride, float *out);

/* ---- Options by name ---------------------------------------------------------------------- */

/* Heads and scorers have many knobs; each is set by name before fit and can be listed at run time.
 * docs/options.md is made from these tables. */
enum { DUM_PARAM_INTEGER = 1, DUM_PARAM_REAL = 2, DUM_PARAM_TEXT = 3 };

typedef struct dum_param_info {
    size_t struct_size;
    const char *name;
    int32_t type; /* DUM_PARAM_INTEGER, _REAL: set_number; DUM_PARAM_TEXT: set_text */
    int32_t reserved;
    double default_number;    /* for numbers; text: unused */
    double min, max;          /* for numbers, both inclusive */
    const char *default_text; /* text: the default; numbers: NULL */
    const char *choices;      /* text: the allowed values, separated by '|'; numbers: NULL */
    const char *help;         /* one line */
} dum_param_info;

/* ---- Fitting ------------------------------------------------------------------------------ */

typedef struct dum_progress {
    size_t struct_size;
    int64_t step, steps;   /* optimiser steps done, and in all */
    int64_t epoch, epochs; /* passes over the data begun, and in all */
    double loss;           /* of the last step */
    double seconds;        /* since fit began */
    double seconds_left;   /* estimated */
} dum_progress;

/* Called before the first step (step 0; several times where that takes long) and at least after every step, on the thread
 * that called fit. Returns 0 to go on; anything else stops within one step: fit returns DUM_CANCELLED and the handle is
 * fitted as far as it got, or, before the first step, as it was. */
typedef int32_t (*dum_progress_fn)(void *user, const dum_progress *progress);

/* Receives a checkpoint: the bytes of a model file of kind "checkpoint", valid during the call. Returns 0,
 * or anything else to fail the fit with DUM_ERR_CALLBACK. */
typedef int32_t (*dum_checkpoint_fn)(void *user, const void *checkpoint, size_t size);

/* Replaces each of `count` values by its sum over all ranks, as MPI_Allreduce with MPI_SUM and MPI_IN_PLACE does: every
 * rank must end with the same bits. Returns 0, or anything else to fail the fit with DUM_ERR_CALLBACK. Called on the
 * thread that called fit. */
typedef int32_t (*dum_reduce_fn)(void *user, float *values, int64_t count);

typedef struct dum_fit_options {
    size_t struct_size;
    /* Objective "local" only: a second view of each row (as many rows and columns as the data);
     * takes the place of the nearest neighbours. Borrowed during fit. */
    const dum_dataset *pairs;
    dum_progress_fn progress;
    void *progress_user;
    double max_seconds; /* 0: no limit; otherwise fit ends as if cancelled (heads: after a step at least) */
    int32_t warm_start; /* 1: a fitted handle keeps its scaling and weights and trains on from there */
    /* Checkpoints: every checkpoint_epochs passes over the data (0: 1), at the end, and when the fit is
     * stopped, all that training needs to go on is written to checkpoint_path (whole or not at all, as
     * dum_head_save does) and given to the callback. A fit that goes on from a checkpoint ends with the bits
     * that it would have had undisturbed, for any number of threads. A file that cannot be written is logged
     * (DUM_LOG_CHECKPOINT) and the fit goes on: the file before it is still there. A checkpoint takes, while
     * it is made, twice the memory of the weights and moments. */
    int32_t checkpoint_epochs;
    const char *checkpoint_path;  /* NULL: no file */
    dum_checkpoint_fn checkpoint; /* NULL: no callback */
    void *checkpoint_user;
    /* 1: go on from checkpoint_path where that file exists, else begin. The data and the options must be
     * those of the checkpoint: ARGUMENT names what differs. */
    int32_t resume;
    int32_t reserved;
    const void *resume_from; /* or go on from these bytes, which a checkpoint callback got; NULL: none */
    size_t resume_size;
    /* Encoders with objective "supervised", and scorers "mds" and "flow": the class of each row, from 0 to 65535. Other
     * scorers refuse them (ARGUMENT). Borrowed during fit. */
    const int32_t *labels;
    /* Heads with objective "local", and scorer "dum" with it: training shared by `ranks` processes, machines or threads
     * (1 to 4096; 0: 1), of which this call is number `rank`, from 0 on. Each of them calls fit with the same data,
     * options and seed, reads only its part of every batch, and ends with the same bits: the model, to rounding, of one
     * rank with `ranks` times the option batch, which is the share of one. docs/scaling-out.md.
     *  - All ranks call reduce together: once before the first step, with 68 values, which say whether the ranks agree;
     *    then once a step, with the head's parameters and 3 values more.
     *  - It also carries what ends a fit: a rank that is stopped (progress, max_seconds) stops all of them after the
     *    next step, or before the first, and where one fails the others fail with CALLBACK. Not so what fails before or
     *    after training: the arguments reduce, rank and ranks, reduce itself, and what a scorer does (embedding, holding out,
     *    calibrating). Then the host must end the other ranks.
     *  - Memory: at most twice that of the weights more than without, for the whole gradient and what reduce is given.
     *  - Checkpoints are the same on all ranks: one may write them, all must go on from the same one.
     * Errors also: ARGUMENT (ranks that do not agree, a reduce that does not sum, fewer rows in a step than ranks). */
    int32_t ranks, rank;
    dum_reduce_fn reduce; /* NULL: ranks must be 0 or 1 */
    void *reduce_user;
} dum_fit_options;

/* ---- Encoder ------------------------------------------------------------------------------ */

/* What turns an input into an embedding: the thing below the head (paper, section 2; docs/encoders.md). */
typedef struct dum_encoder dum_encoder;

/* Kinds that dum_encoder_create knows: how many, and the name of one (NULL if index is out of range). */
DUM_API int32_t dum_encoder_kind_count(void);
DUM_API const char *dum_encoder_kind_name(int32_t index);

/* Creates an encoder of a kind: "identity" (the input is the embedding already), "mlp" (rows of a table), "resnet"
 * (images: rows of height x width x channels floats, channels last, values 0 to 255; He et al. 2016).
 * Errors: ARGUMENT (unknown kind; the message lists those known). */
DUM_API DUM_NODISCARD dum_status dum_encoder_create(dum_context *context, const char *kind, dum_encoder **out);

/* Embeds rows x cols inputs, row_stride floats apart, into out (rows x embedding columns, contiguous). Returns 0, or
 * anything else to fail the running call with DUM_ERR_CALLBACK. Called on the thread that made the libdum call, from
 * several at once where the host calls from several. */
typedef int32_t (*dum_embed_fn)(void *user, const float *data, int64_t rows, int32_t cols, int64_t row_stride,
                                float *out);

/* An encoder of the host. Errors: SHAPE (cols or embedding_cols < 1). */
DUM_API DUM_NODISCARD dum_status dum_encoder_from_callback(dum_context *context, int32_t cols,
                                                           int32_t embedding_cols, dum_embed_fn embed,
                                                           void *user, dum_encoder **out);
DUM_API void dum_encoder_destroy(dum_encoder *encoder);
/* Its kind, "callback" for one of the host; NULL for NULL. Static text. */
DUM_API const char *dum_encoder_kind(const dum_encoder *encoder);

/* The table of the options of kinds mlp and resnet. Errors: ARGUMENT (index). */
DUM_API int32_t dum_encoder_param_count(void);
DUM_API DUM_NODISCARD dum_status dum_encoder_param_get(int32_t index, dum_param_info *info);

/* Sets or reads one option. Options of the network are fixed once it is fitted; "output" may be set at any time, and
 * those of the training before each fit. The text returned is static.
 * Errors: ARGUMENT (unknown name, wrong type, out of range), STATE (fitted), UNSUPPORTED (a kind without options). */
DUM_API DUM_NODISCARD dum_status dum_encoder_set_number(dum_encoder *encoder, const char *name, double value);
DUM_API DUM_NODISCARD dum_status dum_encoder_set_text(dum_encoder *encoder, const char *name,
                                                      const char *value);
DUM_API DUM_NODISCARD dum_status dum_encoder_get_number(const dum_encoder *encoder, const char *name,
                                                        double *value);
DUM_API DUM_NODISCARD dum_status dum_encoder_get_text(const dum_encoder *encoder, const char *name,
                                                      const char **value);

/* Trains an encoder of kind mlp or resnet by option "objective": simclr (Chen et al. 2020; paper, Eq. 1; with
 * uncertainty on, Zhang et al. 2021), moco (He et al. 2020), instance (Wu et al. 2018), local-aggregation (Zhuang et
 * al. 2019), infomax (Hjelm et al. 2019), supervised (options.labels). A fitted encoder is trained anew unless
 * warm_start. Progress, limits, cancelling and checkpoints are as for dum_head_fit; on an error the encoder is as it
 * was before. The same data, options, seed and backend give the same bits for any number of threads. Memory: a
 * batch's activations, twice; the memory bank of instance and local-aggregation is rows x projection floats, and
 * local-aggregation needs batch x rows floats more.
 * Errors: CANCELLED, ARGUMENT (options that do not go together, labels, pixels outside 0 to 255), SHAPE (rows that are
 * no image of the options' size, images too small for the network, one row), NONFINITE (row and column named, or
 * training diverged), STATE (a scorer stands on it), UNSUPPORTED (a kind that is not trained), LIMIT, CALLBACK,
 * BACKEND; on resuming also those of loading a model file. */
DUM_API DUM_NODISCARD dum_status dum_encoder_fit(dum_encoder *encoder, const dum_dataset *data,
                                                 const dum_fit_options *options);

/* Columns of the input; 0 before fit, and for identity, which takes any. */
DUM_API int32_t dum_encoder_cols(const dum_encoder *encoder);
/* The number of columns of the embedding of an input with cols columns, or 0 where it refuses it. */
DUM_API int32_t dum_encoder_embedding_cols(const dum_encoder *encoder, int32_t cols);

/* Embeds rows x cols inputs into out (rows x embedding columns, contiguous); option "output" says what comes out:
 * "features", "map" (before pooling), "projection", "logits", "uncertainty"; and, for out-of-distribution scorers
 * (docs/ood.md), "joint" (features, then logits), "stages" (resnet: the mean of the map of each stage, one after the
 * other; the last are the features), "gram" (resnet: for each stage and p = 1 to 10, the p-th roots of the sums of the
 * rows of the map's Gram matrix of p-th powers; then logits), "gram-all" (the same for what each convolution
 * puts out, with its batch norm: first without, then with residual and ReLU where it has those), "odin" (logits of an
 * input moved by "perturbation" towards the class that it is taken for), "rotation" (rotation on: four logits for each
 * of the image turned by 0, 1, 2 and 3 quarters; then logits of the upright one). Those that have logits need labels in
 * fit.
 * A row's embedding does not depend on the rows beside it. Any number of threads.
 * Errors: STATE (not fitted), SHAPE, NONFINITE, ARGUMENT (pixels outside 0 to 255), UNSUPPORTED (an output that this
 * encoder does not have), CALLBACK. */
DUM_API DUM_NODISCARD dum_status dum_encoder_embed(const dum_encoder *encoder, const float *data, int64_t rows,
                                                   int32_t cols, int64_t row_stride, float *out);
/* The same for all rows of a dataset, streaming it, into out (its rows x embedding columns). */
DUM_API DUM_NODISCARD dum_status dum_encoder_embed_dataset(const dum_encoder *encoder, const dum_dataset *data,
                                                           float *out);

/* Weights of others: a safetensors file with torchvision's names (conv1.weight, layer1.0.bn1.running_mean, fc.weight
 * ...; float32, or bfloat16 and float16, widened) into an encoder of kind resnet, whose options say depth, stem, units
 * and the size of the images. names: "torchvision" (pixels are normalised by ImageNet's mean and deviation) or "simclr"
 * (checkpoints of Chen et al. 2020 converted to PyTorch: v1 has the same names, v2 those of its modules' places,
 * net.1.blocks.0.net.2.weight ...; pixels are divided by 255); a file that dum_encoder_export made brings its own. A prefix that all names share ("module.", "backbone.") is passed over.
 * Layers fc (logits) and projection come along where the file has them, and option objective is set to fit. On an error
 * the encoder is as it was, and the log has a line (DUM_LOG_IMPORT) for each tensor that is missing, unexpected or of
 * another shape.
 * Errors: ARGUMENT (names), UNSUPPORTED (a kind other than resnet; selective kernels), STATE (a scorer stands on it), SHAPE (options that
 * make no network), IO, FORMAT (no safetensors file; tensors that do not fit; NaN or infinity). */
DUM_API DUM_NODISCARD dum_status dum_encoder_import(dum_encoder *encoder, const char *path, const char *names);
/* The weights of a fitted encoder of kind resnet as a safetensors file by the same names, which PyTorch loads into
 * torchvision's networks. Errors: UNSUPPORTED (another kind), STATE (not fitted), IO. */
DUM_API DUM_NODISCARD dum_status dum_encoder_export(const dum_encoder *encoder, const char *path);

/* Accuracy of weighted nearest neighbours on embeddings (Wu et al. 2018: cosine, votes exp(cosine / 0.07)): trained on
 * nothing, it is the usual first measure of an encoder. Labels: one a row, 0 to 65535; neighbours 0: 200, or all rows
 * where there are fewer. Holds both sets' embeddings in memory. Errors: as dum_encoder_embed; ARGUMENT (labels,
 * neighbours). */
DUM_API DUM_NODISCARD dum_status dum_encoder_knn_accuracy(const dum_encoder *encoder, const dum_dataset *train,
                                                          const int32_t *train_labels, const dum_dataset *test,
                                                          const int32_t *test_labels, int32_t neighbours,
                                                          double *accuracy);
/* Accuracy of one linear layer on standardised embeddings, trained for 100 epochs (SGD with momentum 0.9, rate 0.1 to
 * 0 by a cosine, batch 256, weight decay 1e-4; seed 0). Errors: as dum_encoder_knn_accuracy. */
DUM_API DUM_NODISCARD dum_status dum_encoder_linear_accuracy(const dum_encoder *encoder,
                                                             const dum_dataset *train,
                                                             const int32_t *train_labels,
                                                             const dum_dataset *test,
                                                             const int32_t *test_labels, double *accuracy);

/* ---- Head --------------------------------------------------------------------------------- */

/* The DUM head f1 (paper, section 3): feature scaling, MLP, log-variance. */
typedef struct dum_head dum_head;

/* Creates a head with default options. */
DUM_API DUM_NODISCARD dum_status dum_head_create(dum_context *context, dum_head **out);
DUM_API void dum_head_destroy(dum_head *head);

/* The table of a head's options. Errors: ARGUMENT (index). */
DUM_API int32_t dum_head_param_count(void);
DUM_API DUM_NODISCARD dum_status dum_head_param_get(int32_t index, dum_param_info *info);

/* Sets or reads one option. Setting "preset" sets several. The text returned is static.
 * Errors: ARGUMENT (unknown name, wrong type, out of range), STATE (set after fit). */
DUM_API DUM_NODISCARD dum_status dum_head_set_number(dum_head *head, const char *name, double value);
DUM_API DUM_NODISCARD dum_status dum_head_set_text(dum_head *head, const char *name, const char *value);
DUM_API DUM_NODISCARD dum_status dum_head_get_number(const dum_head *head, const char *name, double *value);
DUM_API DUM_NODISCARD dum_status dum_head_get_text(const dum_head *head, const char *name, const char **value);

/* Trains on a dataset of embeddings (paper, section 3; docs/method.md for every formula). A fitted
 * head is trained anew unless warm_start. On an error the head is as it was before.
 * The same data, options, seed and backend give the same bits for any number of threads.
 * Errors: CANCELLED, SHAPE (too few rows, pairs of another shape), NONFINITE (row and column named,
 * or the loss diverged), LIMIT, CALLBACK, BACKEND; on resuming also those of loading a model file. */
DUM_API DUM_NODISCARD dum_status dum_head_fit(dum_head *head, const dum_dataset *data,
                                              const dum_fit_options *options);

/* Columns of the embedding, and of the log-variance (columns again for a diagonal covariance, 1 for
 * a circular one); 0 before fit. */
DUM_API int32_t dum_head_cols(const dum_head *head);
DUM_API int32_t dum_head_log_variance_cols(const dum_head *head);

/* Predicts the log-variance s = log sigma^2 of rows x cols embeddings, in the head's scaled space,
 * into out (rows x log_variance_cols, contiguous). Any number of threads, no lock; a row's result
 * does not depend on the rows beside it. Errors: STATE, SHAPE, NONFINITE. */
DUM_API DUM_NODISCARD dum_status dum_head_log_variance(const dum_head *head, const float *data, int64_t rows,
                                                       int32_t cols, int64_t row_stride, float *out);

/* ---- Product of experts ------------------------------------------------------------------- */

enum { DUM_COVARIANCE_DIAGONAL = 0, DUM_COVARIANCE_CIRCULAR = 1 };

/* f2 of the paper (section 3; Cao & Fleet 2014): joins m Gaussians, given by means (m x cols) and
 * log-variances (m x cols if diagonal, m if circular), into one: precision-weighted mean (cols) and
 * log-variance (cols or 1). All contiguous; computed in double by log-sum-exp, so nothing overflows.
 * Any thread. Errors: NONFINITE. */
DUM_API DUM_NODISCARD dum_status dum_product_of_experts(const float *means, const float *log_variances,
                                                        int64_t m, int32_t cols, int32_t covariance,
                                                        float *mean, float *log_variance);

/* ---- Scorer ------------------------------------------------------------------------------- */

/* Anything that gives each row one number, higher = more anomalous. Kinds (docs/detectors.md has their formulas):
 * "dum": encoder, head and a norm of the variance (the paper);
 * neighbours: "knn" (Ramaswamy et al. 2000), "lof" (Breunig et al. 2000), "abod" (Kriegel et al. 2008), "sp"
 * (Sugiyama & Borgwardt 2013), "lesinn" (Pang et al. 2015), "repen" (Pang et al. 2018);
 * one column at a time: "ecod" (Li et al. 2022), "copod" (Li et al. 2020), "hbos" (Goldstein & Dengel 2012);
 * all columns: "mahalanobis" (Ledoit & Wolf 2004), "elliptic" (Rousseeuw & Van Driessen 1999), "pca" (Shyu et al. 2003),
 * "kde" (Rahimi & Recht 2007), "ocsvm" (Schoelkopf et al. 2001);
 * trees: "iforest" (Liu et al. 2008), "eif" (Hariri et al. 2019);
 * networks: "autoencoder" (Sakurada & Yairi 2014), "deepsvdd" (Ruff et al. 2018);
 * "ensemble": the weighted mean of others (Aggarwal & Sathe 2017);
 * out-of-distribution, on what an encoder puts out (in brackets: its option output; docs/ood.md): "msp" (logits; Hendrycks
 * & Gimpel 2017; odin: Liang et al. 2018), "energy" (logits; Liu et al. 2020), "mds" (features, stages; with
 * options.labels; Lee et al. 2018), "flow" (the same, labels or not; Zisselman & Tamar 2020), "gram" (gram, gram-all;
 * Sastry & Oore 2020), "rotation" (rotation; Hendrycks et al. 2019), "uncertainty" (uncertainty; Zhang et al. 2021),
 * "vim" (joint; Wang et al. 2022). "gram" and "vim" on an encoder of the host, or none, need option classes. */
typedef struct dum_scorer dum_scorer;

/* Kinds known: how many, and the name of one (NULL if index is out of range). Static text. */
DUM_API int32_t dum_scorer_kind_count(void);
DUM_API const char *dum_scorer_kind_name(int32_t index);

/* The options of a kind. Errors: ARGUMENT (unknown kind, index). */
DUM_API int32_t dum_scorer_param_count(const char *kind);
DUM_API DUM_NODISCARD dum_status dum_scorer_param_get(const char *kind, int32_t index, dum_param_info *info);

/* Creates a scorer of a kind. Errors: ARGUMENT (unknown kind; the message lists those known). */
DUM_API DUM_NODISCARD dum_status dum_scorer_create(dum_context *context, const char *kind, dum_scorer **out);
DUM_API void dum_scorer_destroy(dum_scorer *scorer);
DUM_API const char *dum_scorer_kind(const dum_scorer *scorer);

/* As dum_head_set_number and so on, for the options of the scorer's kind. */
DUM_API DUM_NODISCARD dum_status dum_scorer_set_number(dum_scorer *scorer, const char *name, double value);
DUM_API DUM_NODISCARD dum_status dum_scorer_set_text(dum_scorer *scorer, const char *name, const char *value);
DUM_API DUM_NODISCARD dum_status dum_scorer_get_number(const dum_scorer *scorer, const char *name,
                                                       double *value);
DUM_API DUM_NODISCARD dum_status dum_scorer_get_text(const dum_scorer *scorer, const char *name,
                                                     const char **value);

/* Puts an encoder below the scorer (default: identity): fit and score then take its inputs. Keeps a reference, and its
 * options as they are now: "output" may be set to another for the next scorer, but the encoder cannot be trained while
 * it is below a scorer. Only reads the encoder, which other threads may use meanwhile for calls that take it as const.
 * fit embeds all rows once and holds the embeddings in memory meanwhile. The model file of the scorer holds its encoder,
 * but for one of the host: a scorer that was loaded without it gets it by this call. Errors: STATE (fitted), SHAPE (other
 * columns than the one that a file speaks of). */
DUM_API DUM_NODISCARD dum_status dum_scorer_set_encoder(dum_scorer *scorer, dum_encoder *encoder);

/* Fits to a dataset; with option "holdout" > 0, that share of the rows is kept out of training and
 * calibrates the scorer (see dum_scorer_calibrate). A fit that is stopped leaves a kind that is trained in steps ("dum",
 * "autoencoder", "deepsvdd", "repen") fitted as far as it got, any other as it was; such a kind calls progress while it
 * reads the rows (step 0) and then some times a second. Kinds other than "dum" and "iforest" hold the rows in memory.
 * Errors: as dum_head_fit; SHAPE (fewer rows than the kind needs); LIMIT (more rows or columns than it takes). */
DUM_API DUM_NODISCARD dum_status dum_scorer_fit(dum_scorer *scorer, const dum_dataset *data,
                                                const dum_fit_options *options);

/* Columns of the input; 0 before fit. */
DUM_API int32_t dum_scorer_cols(const dum_scorer *scorer);
/* The name of an input column, or NULL where the training data had none. Valid until refit. */
DUM_API const char *dum_scorer_feature_name(const dum_scorer *scorer, int32_t col);

/* Scores rows x cols inputs into scores (rows). Kind "dum": the log of a norm of the variance
 * (paper, section 4; option "norm"). Any number of threads at once, no lock; no allocation for one
 * row after a thread's first call (kinds with option scaling or neighbours: a few); a row's score does not depend on the rows beside it.
 * Errors: STATE, SHAPE, NONFINITE (unless fitted with nonfinite=impute). */
DUM_API DUM_NODISCARD dum_status dum_scorer_score(const dum_scorer *scorer, const float *data, int64_t rows,
                                                  int32_t cols, int64_t row_stride, double *scores);

/* Scores all rows of a dataset, streaming it, into scores (its rows). Errors: as dum_scorer_score,
 * CALLBACK, ARGUMENT (feature names differ from those of the training data). */
DUM_API DUM_NODISCARD dum_status dum_scorer_score_dataset(const dum_scorer *scorer, const dum_dataset *data,
                                                          double *scores);

/* Says which features made each row's score: for each of rows x cols inputs, each feature's share
 * (rows x cols, contiguous; a row sums to 1). Kind "dum", diagonal covariance: the predicted variance
 * carried back to the units of the input, divided by the feature's variance in the training rows;
 * `deviation` (NULL or rows x cols) receives its square root in the feature's own unit. Circular with
 * anchor: each feature's part of the squared distance from the mean of the anchor's nearest centres (parts can be
 * negative where features are correlated); deviation is then the same for a feature in all rows up to
 * sigma. Of the other kinds, deviation must be NULL: copod, ecod, hbos: each column's part of the sum that the score
 * is (hbos: what it has over the column's commonest bin); knn, lof: of the squares of the distances to the neighbours;
 * autoencoder, pca: of what is left of the row; elliptic, mahalanobis: of the squared distance (0 where a column lowers
 * it, given the others). Any number of threads. Errors: STATE, SHAPE, NONFINITE,
 * UNSUPPORTED. */
DUM_API DUM_NODISCARD dum_status dum_scorer_explain(const dum_scorer *scorer, const float *data, int64_t rows,
                                                    int32_t cols, int64_t row_stride, float *share,
                                                    float *deviation);

/* Scores held-out rows (known to be normal, not trained on) and keeps the scores inside the scorer,
 * where they are saved with it; replaces earlier ones. Errors: as dum_scorer_score_dataset. */
DUM_API DUM_NODISCARD dum_status dum_scorer_calibrate(dum_scorer *scorer, const dum_dataset *held_out);
/* How many calibration scores there are. */
DUM_API int64_t dum_scorer_calibration_count(const dum_scorer *scorer);

/* The threshold t such that a new normal row scores above t with probability at most
 * false_alarm_rate (0 < rate < 1): the ceil((n + 1)(1 - rate))-th smallest calibration score
 * (split conformal; Vovk et al. 2005). Errors: STATE (not calibrated), ARGUMENT (too few calibration
 * rows for the rate; the message says how many are needed). */
DUM_API DUM_NODISCARD dum_status dum_scorer_threshold(const dum_scorer *scorer, double false_alarm_rate,
                                                      double *threshold);

/* Conformal p-values of n scores: (1 + #{calibration >= score}) / (1 + #calibration). May be done in
 * place (p == scores). Errors: STATE, NONFINITE (a NaN score). */
DUM_API DUM_NODISCARD dum_status dum_scorer_pvalue(const dum_scorer *scorer, const double *scores, int64_t n,
                                                   double *p);

/* ---- Monitor ------------------------------------------------------------------------------ */

/* An alarm on the scores of a deployed model: is what comes still like the reference? Fit it with rows (or scores)
 * that are known to be normal and were not trained on; push what comes; read, or wait for the alarm.
 *
 * Option "false_alarms" is in alarms per million rows that are pushed, for rows that are independent and like the
 * reference. What each test (option "test") guarantees; docs/monitor.md has what was measured:
 *  - "t" (Student; the paper, section 4.1), "welch", "ks" (Kolmogorov-Smirnov), "mann-whitney": the latest "window"
 *    rows against the reference, once at the end of each window; windows do not overlap. The expected number of
 *    alarms, over references and streams, is at most the wanted one: for "ks" and "mann-whitney" whatever the scores'
 *    distribution, for "t" and "welch" as far as means of "window" scores are normal. One reference may be an unlucky
 *    one: it should have many times the rows of a window.
 *  - "cusum" (Page 1954), "page-hinkley" (Hinkley 1971), "martingale" (Vovk et al. 2003, in the form of Shiryaev and
 *    Roberts): every row, by its rank among the rows before it (conformal p-value), so the number of alarms is right
 *    for every distribution and any size of the reference: for "martingale" the expected number is at most the wanted
 *    one, for the other two it is the wanted one within a few per cent. They are fast for shifts like option "shift".
 *    "page-hinkley" finds changes within the stream and does not mind a stream that differs from the reference from
 *    its beginning.
 *  - "pot" (peaks over threshold; Siffer et al. 2017): a single row beyond a threshold that follows the stream. An
 *    extrapolation: the rate is of the right order, not a bound.
 * Rows that resemble those just before them (a slow sensor) break all of this: option "thin". */
typedef struct dum_monitor dum_monitor;

/* Thread safety, unlike other handles: dum_monitor_push_scores, push_rows, read, read_top, reset, save and save_memory
 * may be called by any threads at once, though push and reset are not const; they take turns by the monitor's lock, in
 * which a window is sorted when it is full. create, set, fit and destroy need the monitor for themselves. */
DUM_API DUM_NODISCARD dum_status dum_monitor_create(dum_context *context, dum_monitor **out);
DUM_API void dum_monitor_destroy(dum_monitor *monitor);

/* The table of a monitor's options, and the options themselves, as those of a head. Errors: STATE (fitted). */
DUM_API int32_t dum_monitor_param_count(void);
DUM_API DUM_NODISCARD dum_status dum_monitor_param_get(int32_t index, dum_param_info *info);
DUM_API DUM_NODISCARD dum_status dum_monitor_set_number(dum_monitor *monitor, const char *name, double value);
DUM_API DUM_NODISCARD dum_status dum_monitor_set_text(dum_monitor *monitor, const char *name,
                                                      const char *value);
DUM_API DUM_NODISCARD dum_status dum_monitor_get_number(const dum_monitor *monitor, const char *name,
                                                        double *value);
DUM_API DUM_NODISCARD dum_status dum_monitor_get_text(const dum_monitor *monitor, const char *name,
                                                      const char **value);

/* Takes the scores of the reference's rows, in the order in which they came (option "thin" thins them, too); neither
 * scorer nor reference is kept. A monitor that is fitted already
 * begins anew, which is how a reference is replaced. Memory from here on is constant: at most option "keep" scores
 * of the reference, three windows, and 32 KiB. Errors: as dum_scorer_score_dataset; SHAPE (a reference too small for the
 * wanted rate; the message says how many rows are needed); ARGUMENT (a rate that this test and window cannot have). */
DUM_API DUM_NODISCARD dum_status dum_monitor_fit(dum_monitor *monitor, const dum_scorer *scorer,
                                                 const dum_dataset *reference);
/* The same from n scores, of any origin. Errors also: NONFINITE. */
DUM_API DUM_NODISCARD dum_status dum_monitor_fit_scores(dum_monitor *monitor, const double *scores, int64_t n);

/* Pushes n scores, which enter together; NaN and infinities are counted as bad rows and otherwise ignored. alarm
 * (NULL: not wanted) receives 1 where an alarm holds afterwards, else 0. No allocation; some microseconds a row, and
 * n log n for the last row of a window of n. Errors: STATE. */
DUM_API DUM_NODISCARD dum_status dum_monitor_push_scores(dum_monitor *monitor, const double *scores, int64_t n,
                                                         int32_t *alarm);
/* Scores rows and pushes their scores, 256 rows at a time: these enter together. The scorer must be the one of the
 * fit (its kind and columns are checked). A row with NaN or infinity is a bad row, unless the scorer imputes. After an
 * error, rows before those 256 have been pushed. Allocation: the scorer's. Errors: STATE, SHAPE, ARGUMENT (another
 * scorer). */
DUM_API DUM_NODISCARD dum_status dum_monitor_push_rows(dum_monitor *monitor, const dum_scorer *scorer,
                                                       const float *data, int64_t rows, int32_t cols,
                                                       int64_t row_stride, int32_t *alarm);

typedef struct dum_monitor_state {
    size_t struct_size;
    int64_t rows;      /* pushed, since fit */
    int64_t bad_rows;  /* of them, not finite */
    int64_t used_rows; /* of them, seen by the test: not bad, and every n-th by option "thin" */
    int64_t repeats;   /* how often the latest score has come in a row; large: something is stuck */
    int64_t alarms;    /* since fit */
    int64_t alarm_row; /* number, from 1, of the row with which the latest alarm began; 0: there was none */
    int32_t alarm;     /* 1: an alarm holds; it does until reset */
    int32_t reserved;
    double
        statistic; /* of the test, and where it alarms. Windows: -log10 p of the latest full window, and the */
    double threshold;       /* level's; martingale: log10; pot: a score */
    int64_t reference_rows; /* after thinning */
    double reference_mean, reference_sd;
    /* Of the latest rows, at most a window, since fit or reset. NaN where there are fewer than 2. */
    int64_t window_rows;
    double mean, quantile_05, median, quantile_95;
    double t, log10_p; /* two-sided t-test against the reference: Welch's with test "welch", else Student's */
    double cohens_d;   /* difference of means / pooled standard deviation */
    double auroc;      /* window against reference: 0.5 = alike */
} dum_monitor_state;

/* Reads the state; it sorts the window. Errors: STATE. */
DUM_API DUM_NODISCARD dum_status dum_monitor_read(const dum_monitor *monitor, dum_monitor_state *state);

/* The rows that weigh most: the highest scores among those that dum_monitor_read describes (the latest rows used, at
 * most a window), highest first, of equal ones the earlier first. rows and scores have room for `most` (1 to 100); rows
 * are numbered from 1, as alarm_row is (0: the monitor was loaded from a file of before numbers were kept, and the row
 * is from before that); *count receives how many there are. No allocation. Errors: STATE. */
DUM_API DUM_NODISCARD dum_status dum_monitor_read_top(const dum_monitor *monitor, int64_t most, int64_t *rows,
                                                      double *scores, int64_t *count);

/* Ends an alarm: the window is empty and the statistic starts from zero; counts go on, and so does what the tests by
 * rank and "pot" know of the stream up to the alarm. Errors: STATE. */
DUM_API DUM_NODISCARD dum_status dum_monitor_reset(dum_monitor *monitor);

/* ---- Model files -------------------------------------------------------------------------- */

/* Fitted scorers, heads, encoders and monitors are saved as one safetensors file (docs/model-format.md), the same bytes
 * for the same model. Saving to a path writes a temporary file beside it, fsyncs and renames: the
 * path holds the old file or the new one, never a part. A symbolic link stays, and what it leads to is written; a path
 * that is a folder, a device or a FIFO is refused. Loading trusts nothing. A checkpoint loads as the head that it is so far.
 * Errors of save: STATE (not fitted), IO, LIMIT (feature names too long for a header). Of load: IO,
 * FORMAT, VERSION, CHECKSUM, LIMIT. */
DUM_API DUM_NODISCARD dum_status dum_scorer_save(const dum_scorer *scorer, const char *path);
DUM_API DUM_NODISCARD dum_status dum_scorer_load(dum_context *context, const char *path, dum_scorer **out);
DUM_API DUM_NODISCARD dum_status dum_head_save(const dum_head *head, const char *path);
DUM_API DUM_NODISCARD dum_status dum_head_load(dum_context *context, const char *path, dum_head **out);

/* Fitted encoders; one of the host cannot be saved (UNSUPPORTED). From the file of a scorer that stands on an encoder,
 * load makes that encoder. */
DUM_API DUM_NODISCARD dum_status dum_encoder_save(const dum_encoder *encoder, const char *path);
DUM_API DUM_NODISCARD dum_status dum_encoder_load(dum_context *context, const char *path, dum_encoder **out);

/* A monitor is saved with its state: loaded, it goes on with the next row as if nothing had happened. */
DUM_API DUM_NODISCARD dum_status dum_monitor_save(const dum_monitor *monitor, const char *path);
DUM_API DUM_NODISCARD dum_status dum_monitor_load(dum_context *context, const char *path, dum_monitor **out);

/* The same in memory. Saving: *size receives the size needed; buffer may be NULL (capacity 0) to ask
 * for it; a capacity that is too small is DUM_ERR_ARGUMENT and writes nothing. */
DUM_API DUM_NODISCARD dum_status dum_encoder_save_memory(const dum_encoder *encoder, void *buffer,
                                                         size_t capacity, size_t *size);
DUM_API DUM_NODISCARD dum_status dum_encoder_load_memory(dum_context *context, const void *buffer, size_t size,
                                                         dum_encoder **out);
DUM_API DUM_NODISCARD dum_status dum_scorer_save_memory(const dum_scorer *scorer, void *buffer, size_t capacity,
                                                        size_t *size);
DUM_API DUM_NODISCARD dum_status dum_scorer_load_memory(dum_context *context, const void *buffer, size_t size,
                                                        dum_scorer **out);
DUM_API DUM_NODISCARD dum_status dum_head_save_memory(const dum_head *head, void *buffer, size_t capacity,
                                                      size_t *size);
DUM_API DUM_NODISCARD dum_status dum_head_load_memory(dum_context *context, const void *buffer, size_t size,
                                                      dum_head **out);
DUM_API DUM_NODISCARD dum_status dum_monitor_save_memory(const dum_monitor *monitor, void *buffer,
                                                         size_t capacity, size_t *size);
DUM_API DUM_NODISCARD dum_status dum_monitor_load_memory(dum_context *context, const void *buffer, size_t size,
                                                         dum_monitor **out);

typedef struct dum_model_info {
    size_t struct_size;
    int32_t format;     /* version of the format it was written in */
    int32_t min_reader; /* oldest format version whose reader can read it */
    char writer[32];    /* "libdum 0.1.0" */
    /* "head", "encoder", "checkpoint" (of a head), "checkpoint.encoder", "monitor", or "scorer." and its kind */
    char kind[32];
    char sha256[72]; /* of the tensors, hexadecimal */
} dum_model_info;

/* Reads what a model file says of itself, and checks the file, without building the model.
 * Errors: as loading. */
DUM_API DUM_NODISCARD dum_status dum_model_inspect(dum_context *context, const char *path,
                                                   dum_model_info *info);

/* ---- Statistics --------------------------------------------------------------------------- */

/* Scores are doubles, higher = positive; labels are 0 or 1. All of these are pure functions: any
 * thread, no context. NaN scores are NONFINITE; infinities are ordered as usual. */

enum { DUM_INTERVAL_DEFAULT = 0, DUM_INTERVAL_NONE = 1, DUM_INTERVAL_DELONG = 2, DUM_INTERVAL_BOOTSTRAP = 3 };

typedef struct dum_interval_options {
    size_t struct_size;
    double confidence; /* 0: 0.95 */
    int32_t method;    /* DUM_INTERVAL_*; default: DeLong for AUROC, bootstrap for the others */
    int32_t resamples; /* bootstrap: 0: 1000; stratified by label, percentile */
    uint64_t seed;     /* bootstrap */
} dum_interval_options;

typedef struct dum_estimate {
    size_t struct_size;
    double value;
    double low, high; /* confidence interval; both equal value with DUM_INTERVAL_NONE */
} dum_estimate;

/* Area under the ROC curve, ties at mid-rank (= Mann-Whitney U / (n1 n0)). DeLong et al. 1988 by the
 * fast algorithm of Sun & Xu 2014. Errors: ARGUMENT (n < 2, a label beyond 0 and 1, one class only). */
DUM_API DUM_NODISCARD dum_status dum_auroc(const double *scores, const uint8_t *labels, int64_t n,
                                           const dum_interval_options *options, dum_estimate *out);
/* Average precision: sum over thresholds of (R_k - R_{k-1}) P_k, as scikit-learn. Errors: ARGUMENT
 * (no positive label; method DeLong). */
DUM_API DUM_NODISCARD dum_status dum_average_precision(const double *scores, const uint8_t *labels, int64_t n,
                                                       const dum_interval_options *options, dum_estimate *out);
/* False-positive rate at the highest threshold whose true-positive rate is at least 0.95 (rows at
 * the threshold count as positive). Errors: ARGUMENT (one class only; method DeLong). */
DUM_API DUM_NODISCARD dum_status dum_fpr95(const double *scores, const uint8_t *labels, int64_t n,
                                           const dum_interval_options *options, dum_estimate *out);

enum { DUM_TTEST_POOLED = 0, DUM_TTEST_WELCH = 1 };

typedef struct dum_ttest_result {
    size_t struct_size;
    double t, df;
    double p;               /* two-sided; 0 where it underflows */
    double log10_p;         /* right where p underflows */
    double mean_difference; /* mean(a) - mean(b) */
    double cohens_d;        /* mean difference / pooled standard deviation: does not grow with n */
} dum_ttest_result;

/* Two-sample t-test (paper, section 4.1), pooled (Student) or Welch. Equal constant samples: t = NaN
 * has no meaning, so ARGUMENT; different constant samples: t = +-inf, p = 0, log10_p = -inf.
 * Errors: ARGUMENT (n < 1, fewer than 3 values together for pooled, n < 2 in either for Welch),
 * NONFINITE. */
DUM_API DUM_NODISCARD dum_status dum_ttest(const double *a, int64_t n_a, const double *b, int64_t n_b,
                                           int32_t kind, dum_ttest_result *out);

enum { DUM_FDR_PLAIN = 0, DUM_FDR_ANY = 1 };

/* Which of n tests have found something, so that of those named, a share of at most `rate` (0 < rate < 1) is expected to
 * be false. evidence: larger is stronger; one of
 *  - -log10 p, with DUM_FDR_PLAIN (Benjamini & Hochberg 1995): where the p-values are independent or positively
 *    dependent; with DUM_FDR_ANY (Benjamini & Yekutieli 2001): whatever the dependence, at the price of a factor
 *    1 + 1/2 + ... + 1/n;
 *  - log10 e, with DUM_FDR_PLAIN (e-BH, Wang & Ramdas 2022): whatever the dependence. An e-value has expectation 1 or
 *    less where there is nothing to find.
 * Monitors: docs/monitor.md says what to put in. found (n) receives 1 for each that is named, else 0; *count how many.
 * Errors: ARGUMENT (n < 1, rate, method), NONFINITE (NaN; infinities are ordered as usual). */
DUM_API DUM_NODISCARD dum_status dum_false_discoveries(const double *evidence, int64_t n, double rate,
                                                       int32_t method, uint8_t *found, int64_t *count);

#ifdef __cplusplus
}
#endif

#endif
