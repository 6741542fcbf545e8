/* SPDX-License-Identifier: MIT
 * Encoders: what turns an input into an embedding. */
#ifndef DUMI_ENCODER_H
#define DUMI_ENCODER_H

#include "core/param.h"
#include "core/slots.h"
#include "dataset/dataset.h"
#include "image/image.h"
#include "io/options.h"
#include "nn/network.h"

typedef enum { DUMI_IDENTITY, DUMI_MLP, DUMI_RESNET, DUMI_CALLBACK } dumi_encoder_kind;

/* Indices into dumi_encoder_params and into the values of an encoder. */
enum {
    DUMI_E_HEIGHT,
    DUMI_E_WIDTH,
    DUMI_E_CHANNELS,
    DUMI_E_DEPTH,
    DUMI_E_STEM,
    DUMI_E_LAYERS,
    DUMI_E_UNITS,
    DUMI_E_EMBEDDING,
    DUMI_E_PROJECTION,
    DUMI_E_OUTPUT,
    DUMI_E_PERTURBATION,
    DUMI_E_ODIN_TEMPERATURE,
    DUMI_E_OBJECTIVE,
    DUMI_E_TEMPERATURE,
    DUMI_E_UNCERTAINTY,
    DUMI_E_FROZEN,
    DUMI_E_ROTATION,
    DUMI_E_QUEUE,
    DUMI_E_KEY_MOMENTUM,
    DUMI_E_BANK_MOMENTUM,
    DUMI_E_NEGATIVES,
    DUMI_E_CLUSTERS,
    DUMI_E_CLUSTERINGS,
    DUMI_E_NEIGHBOURS,
    DUMI_E_OPTIMIZER,
    DUMI_E_RATE,
    DUMI_E_SCHEDULE,
    DUMI_E_WARMUP,
    DUMI_E_MOMENTUM,
    DUMI_E_DECAY,
    DUMI_E_CLIP,
    DUMI_E_BATCH,
    DUMI_E_EPOCHS,
    DUMI_E_STEPS,
    DUMI_E_CROP_MIN,
    DUMI_E_CROP_MAX,
    DUMI_E_FLIP,
    DUMI_E_JITTER,
    DUMI_E_BRIGHTNESS,
    DUMI_E_CONTRAST,
    DUMI_E_SATURATION,
    DUMI_E_HUE,
    DUMI_E_GREY,
    DUMI_E_BLUR,
    DUMI_E_NOISE,
    DUMI_E_SWAP,
    DUMI_E_SEED,
    DUMI_ENCODER_PARAMS
};
enum {
    DUMI_OUT_FEATURES,
    DUMI_OUT_MAP,
    DUMI_OUT_PROJECTION,
    DUMI_OUT_LOGITS,
    DUMI_OUT_UNCERTAINTY,
    DUMI_OUT_JOINT,
    DUMI_OUT_STAGES,
    DUMI_OUT_GRAM,
    DUMI_OUT_ODIN,
    DUMI_OUT_ROTATION,
    DUMI_OUT_GRAM_ALL
};
enum { DUMI_SIMCLR, DUMI_MOCO, DUMI_INSTANCE, DUMI_LOCAL_AGGREGATION, DUMI_INFOMAX, DUMI_SUPERVISED };

extern const dumi_param dumi_encoder_params[DUMI_ENCODER_PARAMS];
extern const dumi_params dumi_encoder_table;

/* What fit or an import makes: read-only afterwards, but for the slots. */
typedef struct {
    dum_context *context;
    int32_t cols;         /* of an input row */
    int32_t channels;     /* what shift and scale are of: of the pixels of an image, or all columns */
    float *shift, *scale; /* x = (input - shift) * scale */
    int32_t classes;      /* of the labels; 0: it has seen none */
    dumi_network network;
    float *parameters, *statistics; /* host */
    dumi_packed_network *packed;
    dumi_slots slots;
} dumi_encoder_model;

struct dum_encoder {
    dum_context *context;
    atomic_int references;
    dumi_encoder_kind kind;
    double values[DUMI_ENCODER_PARAMS];
    dumi_encoder_model *model; /* NULL before fit */
    dum_embed_fn embed;        /* of the host */
    void *user;
    int32_t cols, embedding_cols; /* of the callback */
    dum_encoder *whole;           /* of a view: the one whose model it has */
};

/* The encoder as it is now, with options of its own: what is below a scorer, which "output" of the host's handle must
 * not change. Keeps a reference. */
dum_status dumi_encoder_view(dum_encoder *encoder, dum_encoder **out);
const char *dumi_encoder_kind_name(dumi_encoder_kind kind);
/* Whether embeddings can be had; STATE where it is not fitted. */
dum_status dumi_encoder_check(const dum_encoder *encoder);
enum { DUMI_MOST_PARTS = 2 * DUMI_MAX_UNITS + 1 };

/* What a row of embed's output consists of. */
typedef struct {
    int32_t kind, cols;
    int32_t last; /* tensor up to which the network runs */
    int32_t count, parts[DUMI_MOST_PARTS];
} dumi_output;

/* Of a fitted one, what the options ask for; UNSUPPORTED where the network has none. */
dum_status dumi_encoder_output(const dum_encoder *encoder, dumi_output *output);
/* A square image turned counter-clockwise; not in place. */
void dumi_encoder_turn(const dumi_image *shape, int32_t quarters, const float *from, float *to);
/* The columns of the embedding of `cols` columns, or why there are none. have: whose they are, as "the data have". */
dum_status dumi_encoder_measure(const dum_encoder *encoder, const char *have, int32_t cols, int32_t *embedding);
/* dum_encoder_embed_dataset that asks `watch` (NULL: nobody) every few hundred rows, as at step 0. */
dum_status dumi_encoder_embed_watched(const dum_encoder *encoder, const dum_dataset *data,
                                      const dumi_watch *watch, float *out);

/* An empty model of the kind and options for rows of `cols`: network, room on the host for parameters, shift and
 * scale. With `classes` there is a layer of logits. FORMAT where the network
 * has not so many parameters (0: any). */
dum_status dumi_encoder_model_create(dum_context *context, dumi_encoder_kind kind, const double *values,
                                     int32_t cols, int32_t classes, int64_t parameters,
                                     dumi_encoder_model **out);
void dumi_encoder_model_destroy(dumi_encoder_model *model);
/* Packs the parameters for embedding: the last act of fit, load and import. */
dum_status dumi_encoder_model_finish(dumi_encoder_model *model);
dum_status dumi_encoder_model_embed(const dum_encoder *encoder, const float *data, int64_t rows,
                                    int64_t row_stride, float *out);
/* x = (row - shift) * scale for one row, kept within +-1e15 so that no layer overflows. */
void dumi_encoder_scale(const dumi_encoder_model *model, const float *row, float *x);
/* NONFINITE, or ARGUMENT for pixels outside 0 to 255. */
dum_status dumi_encoder_check_row(const dumi_encoder_model *model, int64_t row, const float *values);
static inline bool dumi_encoder_has_images(const dumi_encoder_model *model)
{
    return model->channels != model->cols;
}

/* Trains a model; with DUM_CANCELLED there is one too. */
dum_status dumi_encoder_train(dum_context *context, dumi_encoder_kind kind, const double *values,
                              const dumi_encoder_model *old, const dum_dataset *data,
                              const dum_fit_options *options, dumi_encoder_model **out);

/* An encoder's part of a model file: a scorer's file holds the same under the same names. */
dum_status dumi_encoder_write(const dum_encoder *encoder, dumi_model_writer *writer);
/* A callback encoder whose callback the host still has to bring. */
dum_status dumi_encoder_create_lacking(dum_context *context, int32_t cols, int32_t embedding_cols,
                                       dum_encoder **out);
/* The encoder of a file; *out stays NULL where it has none. */
dum_status dumi_encoder_read(dum_context *context, const dumi_reader *reader, dum_encoder **out);

#endif
