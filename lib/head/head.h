/* SPDX-License-Identifier: MIT
 * The DUM head: options, scaling, training, prediction, model file. */
#ifndef DUMI_HEAD_H
#define DUMI_HEAD_H

#include "core/param.h"
#include "core/slots.h"
#include "io/options.h"
#include "nn/nn.h"

/* Indices into dumi_head_params and into the values of a head. */
enum {
    DUMI_PRESET,
    DUMI_OBJECTIVE,
    DUMI_COVARIANCE,
    DUMI_SCALING,
    DUMI_LAYERS,
    DUMI_WIDTH,
    DUMI_BOUND,
    DUMI_BOUND_SCALE,
    DUMI_ANCHOR,
    DUMI_CENTRES,
    DUMI_BAGS,
    DUMI_SIMILARITY,
    DUMI_TEMPERATURE,
    DUMI_PRIOR,
    DUMI_SHRINKAGE,
    DUMI_NEIGHBOURS,
    DUMI_EXPLORE,
    DUMI_RESERVOIR,
    DUMI_OPTIMIZER,
    DUMI_RATE,
    DUMI_SCHEDULE,
    DUMI_MOMENTUM,
    DUMI_DECAY,
    DUMI_BATCH,
    DUMI_EPOCHS,
    DUMI_STEPS,
    DUMI_CLIP,
    DUMI_SEED,
    DUMI_NONFINITE,
    DUMI_PRECISION,
    DUMI_TRAIN_PRECISION,
    DUMI_HEAD_PARAMS
};
enum { DUMI_PRESET_DEFAULT, DUMI_PRESET_PAPER, DUMI_PRESET_PAPER_IMAGES };
enum { DUMI_LOCAL, DUMI_POE };
enum {
    DUMI_SCALE_NONE,
    DUMI_SCALE_MINMAX,
    DUMI_SCALE_ZSCORE,
    DUMI_SCALE_UNIT,
    DUMI_SCALE_WHITEN,
    DUMI_SCALE_AUTO, /* an option only: a fitted scaling is one of the others */
    DUMI_SCALE_WHITEN_COV
};
enum { DUMI_AUTO, DUMI_ON, DUMI_OFF, DUMI_ON_CENTRES };
enum { DUMI_NESTED, DUMI_DISJOINT };
enum { DUMI_DOT, DUMI_COSINE };
enum { DUMI_CONSTANT, DUMI_COSINE_DECAY };
enum { DUMI_REFUSE, DUMI_IMPUTE };

extern const dumi_param dumi_head_params[DUMI_HEAD_PARAMS];
extern const dumi_params dumi_head_table;

void dumi_head_defaults(double *values);
/* Sets what the preset in `values` stands for; seed and nonfinite stay. */
void dumi_head_preset(double *values);

/* From raw rows to z: (x - shift) * scale, then unit length or rotation (whitening). */
typedef struct {
    int32_t kind, cols;
    float *shift, *scale; /* host */
    double *spread;       /* host: standard deviation of each raw column, for explain; 0 = constant */
    float *rotation;      /* host, cols x cols, or NULL: z = scaled x rotation */
    float *shift_device, *scale_device;
    dumi_packed *rotation_packed;
    float *median; /* host: what replaces a non-finite value; NULL = refuse */
} dumi_scaling;

/* One or more passes over the data. Checks every value (or imputes). Here and below, `watch` is asked before and between
 * pieces of what takes long; NULL: none. */
dum_status dumi_scaling_fit(dum_context *context, dumi_stream *stream, const double *values,
                            const dum_dataset *data, const dumi_watch *watch, dumi_scaling *out);
/* Buffers on the device from those on the host; called after fit and after load. */
dum_status dumi_scaling_upload(dum_context *context, dumi_stream *stream, dumi_scaling *scaling);
void dumi_scaling_destroy(dum_context *context, dumi_scaling *scaling);
/* Copies what lies on the host. */
dum_status dumi_scaling_copy(dum_context *context, const dumi_scaling *from, dumi_scaling *to);
/* z (device, rows x cols) from x (device, contiguous); `between` is scratch of the same size, may equal x. */
void dumi_scaling_apply(dumi_stream *stream, const dumi_backend *backend, const dumi_scaling *scaling,
                        int32_t rows, const float *x, float *between, float *z);
/* The rows `indices` of the data, scaled, into `out` on the host: rows x cols. */
dum_status dumi_scaling_gather(dum_context *context, dumi_stream *stream, const dumi_scaling *scaling,
                               const dum_dataset *data, const int64_t *indices, int32_t rows,
                               const dumi_watch *watch, float *out);
/* Ascending rows of a uniform random sample of `count` of the `rows` of a dataset. */
void dumi_sample_rows(int64_t rows, int32_t count, uint64_t seed, int64_t *indices);
/* Scaling auto: whether the whitening that `scaling` is shows more of the data's structure than z-scores do (choose.c).
 * `values`: its eigenvalues; `shares`: of each eigenvector's square, what lies on columns that are not constant. */
dum_status dumi_scaling_choose(dum_context *context, dumi_stream *stream, const double *options,
                               const dum_dataset *data, const dumi_scaling *scaling, const double *values,
                               const double *shares, const dumi_watch *watch, bool *whiten);
/* Scaling auto, of two whitenings: whether the columns' own units explain rows that were held out better than z-scores do.
 * `zscore`: those. */
dum_status dumi_scaling_choose_units(dum_context *context, dumi_stream *stream, const double *options,
                                     const dum_dataset *data, const dumi_scaling *zscore,
                                     const dumi_watch *watch, bool *own);
/* Refuses or replaces non-finite values of `rows` contiguous rows; `first` numbers the first in errors
 * (`indices` numbers them instead where not NULL). */
dum_status dumi_scaling_check(const dumi_scaling *scaling, int32_t rows, float *x, int64_t first,
                              const int64_t *indices);

/* The centres of the anchor, in the space of z. */
typedef struct {
    int32_t count; /* 0: the anchor is the distance to the origin */
    float *rows;   /* host, count x cols */
    float *rows_device, *bias_device;
    dumi_packed *packed; /* cols x count */
} dumi_centres;

enum { DUMI_MOST_CENTRES = 4096 };
#define DUMI_EPSILON 1e-3 /* of the anchor, so that a row at distance 0 has a logarithm */

dum_status dumi_centres_fit(dum_context *context, dumi_stream *stream, const double *values,
                            const dum_dataset *data, const dumi_scaling *scaling, const dumi_watch *watch,
                            dumi_centres *out);
/* What lies on the device, from `count` and `rows`. */
dum_status dumi_centres_finish(dum_context *context, dumi_stream *stream, int32_t cols, dumi_centres *centres);
dum_status dumi_centres_copy(dum_context *context, dumi_stream *stream, int32_t cols, const dumi_centres *from,
                             dumi_centres *to);
void dumi_centres_destroy(dum_context *context, dumi_centres *centres);

/* What fit makes: read-only afterwards, but for the slots. */
enum { DUMI_TILE_ROWS = 256 };

typedef struct dumi_workspace dumi_workspace;

typedef struct {
    dum_context *context;
    int32_t cols, outputs;
    int32_t bound;
    double bound_scale;
    bool anchor, centred; /* centred: the anchor has centres, once it is fitted */
    int32_t precision;    /* of the packed weights */
    dumi_scaling scaling;
    dumi_centres centres;
    dumi_mlp mlp;
    size_t parameter_count; /* the MLP's and one more, the offset */
    float *parameters;      /* device */
    dumi_packed *packed[DUMI_MAX_LAYERS];
    dumi_slots slots;
} dumi_head_model;

struct dum_head {
    dum_context *context;
    double values[DUMI_HEAD_PARAMS];
    dumi_head_model *model; /* NULL before fit */
};

/* The empty model that the options describe, for `cols` columns; no scaling, no parameters. */
dum_status dumi_model_create(dum_context *context, const double *values, int32_t cols, dumi_head_model **out);
void dumi_model_destroy(dumi_head_model *model);
/* Packs the weights for scoring. */
dum_status dumi_model_finish(dumi_head_model *model);
/* How many neighbours the option `neighbours` means, for an anchor with centres or without. */
int32_t dumi_neighbours_wanted(const double *values, bool centres);
dumi_head_shape dumi_model_shape(const dumi_head_model *model, int32_t rows);
/* From the network's output o and z to s. `products`: rows x centres.count of scratch. */
void dumi_model_head(const dumi_head_model *model, dumi_stream *stream, int32_t rows, const float *o,
                     const float *z, float *products, float *s);

/* Trains a model by the options `values`: from `old` on where warm_start is set and old is not NULL.
 * With DUM_CANCELLED there is a model too. */
dum_status dumi_model_train(dum_context *context, const double *values, const dumi_head_model *old,
                            const dum_dataset *data, const dum_fit_options *options, dumi_head_model **out);

/* Log-variances (s not NULL) or scores by a norm (scores not NULL) of raw rows. */
dum_status dumi_model_run(dumi_head_model *model, const float *data, int64_t rows, int32_t cols,
                          int64_t row_stride, float *s, int32_t norm, double *scores);
/* z and s of one raw row, which is checked (and imputed) in place; for explain. */
dum_status dumi_model_row(dumi_head_model *model, int64_t row, float *x, float *z, float *s);

/* A head's part of a model file: a scorer's file holds the same tensors. `parameters` are the model's on
 * the host (dumi_head_parameters; the caller's to dumi_free). */
dum_status dumi_head_parameters(const dumi_head_model *model, float **out);
dum_status dumi_head_parameters_read(const dumi_head_model *model, const dumi_reader *reader,
                                     float *parameters);
dum_status dumi_head_model_write(const dumi_head_model *model, const float *parameters,
                                 dumi_model_writer *writer);
dum_status dumi_head_model_read(dum_context *context, const dumi_reader *reader, const double *values,
                                dumi_head_model **out);

#endif
