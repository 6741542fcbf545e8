/* SPDX-License-Identifier: MIT
 * Scorers: one handle for all kinds, one file a kind. A new kind is a table like dumi_scorer_dum and a
 * line of `kinds` in scorer.c. */
#ifndef DUMI_SCORER_H
#define DUMI_SCORER_H

#include "core/param.h"
#include "dataset/dataset.h"
#include "encoder/encoder.h"
#include "io/io.h"
#include "scorer/state.h"

#include <time.h>

/* What a kind that works on plain rows is fitted on. */
typedef struct {
    dum_context *context;
    const double *values;
    const dum_fit_options *options;
    struct timespec begin;
    const dum_dataset *data;
    float
        *rows; /* all of them, contiguous, finite; a kind that keeps them sets this to NULL; NULL: it streams */
    int64_t count;
    int32_t cols;
    const int32_t *labels; /* one a row, 0 or more; NULL: none were given */
    int32_t part_count;    /* what a row consists of, as an encoder says; without one: one part */
    int32_t parts[DUMI_MOST_PARTS];
} dumi_fitting;

/* The score of one row; parts[j], where not NULL: what column j adds to it, all of one sign. */
typedef double (*dumi_row_fn)(const void *state, const float *row, float *parts);

/* Scores of a few rows, DUMI_BLOCK_ROWS at most: the same bits as dumi_row_fn's. */
/* A bit of dumi_scorer_kind.outputs: DUMI_OUTPUT(LOGITS). */
#define DUMI_OUTPUT(name) (1u << DUMI_OUT_##name)

enum { DUMI_BLOCK_ROWS = 64 };
typedef void (*dumi_block_fn)(const void *state, const float *rows, int64_t stride, int32_t count,
                              double *scores);

typedef struct dumi_scorer_kind {
    const char *name;
    dumi_params params; /* the first is dumi_scorer_holdout */
    bool scales; /* the second is dumi_scorer_scaling or one of its kin: what the kind gets is scaled rows */
    uint32_t outputs; /* of a trained encoder below it: which it can stand on; 0: any */
    bool labels;      /* it takes options.labels */
    /* What setting option `index` does beyond storing the value; may be NULL. */
    void (*changed)(double *values, int32_t index);

    /* A fitted state from all rows in memory; or, where it streams, from those that it asks for with
     * dumi_fitting_read: of an encoder's, each is then made anew. */
    bool streams;
    dum_status (*fit_rows)(dumi_fitting *f, void **state);
    /* Or, where fit_rows is NULL, from data; `old` is the state before, or NULL. With DUM_CANCELLED there may
     * be a state too. */
    dum_status (*fit)(dum_context *context, const double *values, const void *old, const dum_dataset *data,
                      const dum_fit_options *options, void **state);

    /* A state that begins with a dumi_state. */
    const dumi_layout *layout;
    /* Or, where layout is NULL. Tensors of the state: `prepared` is one allocation that must outlive the
     * writer, such as weights brought back from a device; prepare_write is NULL where there is nothing to
     * prepare. */
    void (*destroy)(void *state);
    dum_status (*prepare_write)(const void *state, void **prepared);
    dum_status (*write)(const void *state, const void *prepared, dumi_model_writer *writer);
    dum_status (*read)(dum_context *context, const dumi_reader *reader, const double *values, int32_t *cols,
                       void **state);

    /* Scores row by row; row_cost: operations a row and column, roughly. */
    dumi_row_fn row;
    dumi_block_fn block; /* where several rows at once are faster than one by one; may be NULL */
    double row_cost;
    bool row_explains; /* it fills parts */
    /* Or, where row is NULL. Many threads at once; a row's score must not depend on the others. Shapes have
     * been checked. */
    dum_status (*score)(const double *values, void *state, const float *data, int64_t rows, int32_t cols,
                        int64_t row_stride, double *scores);
    /* As dum_scorer_explain for one row, which may be changed; NULL: UNSUPPORTED. */
    dum_status (*explain)(const double *values, void *state, int64_t row, float *x, float *scratch,
                          float *share, float *deviation);
} dumi_scorer_kind;

enum { DUMI_MAX_PARAMS = 64 };

struct dum_scorer {
    dum_context *context;
    const dumi_scorer_kind *kind;
    double values[DUMI_MAX_PARAMS];
    dum_encoder *encoder; /* NULL: identity */
    /* Fitted: */
    void *state;
    int32_t cols;
    int32_t embedded; /* columns of what the kind gets: of the embedding, or cols */
    char **names;
    float *scaling;      /* of the columns: what is taken away, then what is multiplied by; NULL: none */
    double *calibration; /* ascending */
    int64_t calibration_count;
};

extern const dumi_scorer_kind dumi_scorer_dum, dumi_scorer_abod, dumi_scorer_autoencoder, dumi_scorer_copod,
    dumi_scorer_deepsvdd, dumi_scorer_ecod, dumi_scorer_eif, dumi_scorer_elliptic, dumi_scorer_energy,
    dumi_scorer_ensemble, dumi_scorer_flow, dumi_scorer_gram, dumi_scorer_hbos, dumi_scorer_iforest,
    dumi_scorer_kde, dumi_scorer_knn, dumi_scorer_lesinn, dumi_scorer_lof, dumi_scorer_mahalanobis,
    dumi_scorer_mds, dumi_scorer_msp, dumi_scorer_ocsvm, dumi_scorer_pca, dumi_scorer_repen,
    dumi_scorer_rotation, dumi_scorer_sp, dumi_scorer_uncertainty, dumi_scorer_vim;

/* What each kind has at the head of its options, and each kind that `scales`. */
enum { DUMI_SCORER_HOLDOUT, DUMI_SCORER_PARAMS, DUMI_SCORER_SCALING = DUMI_SCORER_PARAMS, DUMI_SCALED_PARAMS };
extern const dumi_param dumi_scorer_holdout, dumi_scorer_scaling, dumi_scorer_scaling_minmax,
    dumi_scorer_scaling_zscore;

const dumi_scorer_kind *dumi_scorer_find_kind(const char *name);
/* Scores of rows of the right shape. */
dum_status dumi_scorer_score_rows(const dum_scorer *scorer, const float *data, int64_t rows, int64_t row_stride,
                                  double *scores);
dum_status dumi_scorer_check_fitted(const dum_scorer *scorer);
/* Where both have names, they must be the same; of as many columns. */
dum_status dumi_scorer_check_names(const dum_scorer *scorer, const dum_dataset *data);
/* kind: the only one that the file may be of, as it says ("scorer.knn"); NULL: any. */
dum_status dumi_scorer_from_bytes(dum_context *context, const void *bytes, size_t size, const char *kind,
                                  dum_scorer **out);
/* How many calibration scores are less than this one; `at`: or equal to it. */
int64_t dumi_scorer_count_below(const dum_scorer *scorer, double score, bool at);
/* Scores of all rows of a dataset, sorted: what dum_scorer_calibrate keeps. */
dum_status dumi_scorer_sorted_scores(const dum_scorer *scorer, const dum_dataset *data, double **out);

#endif
