/* SPDX-License-Identifier: MIT
 * The handle that all kinds share. */
#include "scorer/rows.h"

#include <math.h>

/* The registry: a new kind is one line here and one file. */
static const dumi_scorer_kind *const kinds[] = {
    &dumi_scorer_dum,      &dumi_scorer_abod,     &dumi_scorer_autoencoder, &dumi_scorer_copod,
    &dumi_scorer_deepsvdd, &dumi_scorer_ecod,     &dumi_scorer_eif,         &dumi_scorer_elliptic,
    &dumi_scorer_energy,   &dumi_scorer_ensemble, &dumi_scorer_flow,        &dumi_scorer_gram,
    &dumi_scorer_hbos,     &dumi_scorer_iforest,  &dumi_scorer_kde,         &dumi_scorer_knn,
    &dumi_scorer_lesinn,   &dumi_scorer_lof,      &dumi_scorer_mahalanobis, &dumi_scorer_mds,
    &dumi_scorer_msp,      &dumi_scorer_ocsvm,    &dumi_scorer_pca,         &dumi_scorer_repen,
    &dumi_scorer_rotation, &dumi_scorer_sp,       &dumi_scorer_uncertainty, &dumi_scorer_vim,
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

const dumi_param dumi_scorer_holdout = {
    "holdout", 0, 0, 0.9, NULL, NULL, false, "share of the rows that fit keeps out of training to calibrate"};

int32_t dum_scorer_kind_count(void)
{
    return KINDS;
}

const char *dum_scorer_kind_name(int32_t index)
{
    return index >= 0 && index < KINDS ? kinds[index]->name : NULL;
}

const dumi_scorer_kind *dumi_scorer_find_kind(const char *name)
{
    for (int32_t i = 0; i < KINDS; i++)
        if (strcmp(kinds[i]->name, name) == 0)
            return kinds[i];
    return NULL;
}

static dum_status find_kind(const char *name, const dumi_scorer_kind **kind)
{
    DUMI_REQUIRE(name != NULL, DUM_ERR_ARGUMENT, "kind is NULL");
    *kind = dumi_scorer_find_kind(name);
    if (*kind != NULL)
        return DUM_OK;
    char list[400] = "";
    for (int32_t i = 0; i < KINDS; i++) {
        strncat(list, i > 0 ? ", " : "", sizeof list - strlen(list) - 1);
        strncat(list, kinds[i]->name, sizeof list - strlen(list) - 1);
    }
    return dumi_fail(DUM_ERR_ARGUMENT, "kind is \"%.40s\", expected one of: %s", name, list);
}

int32_t dum_scorer_param_count(const char *kind)
{
    const dumi_scorer_kind *found = kind != NULL ? dumi_scorer_find_kind(kind) : NULL;
    return found != NULL ? found->params.count : 0;
}

dum_status dum_scorer_param_get(const char *kind, int32_t index, dum_param_info *info)
{
    dumi_clear_error();
    const dumi_scorer_kind *found;
    DUMI_TRY(find_kind(kind, &found));
    return dumi_params_describe(&found->params, index, info);
}

dum_status dum_scorer_create(dum_context *context, const char *kind, dum_scorer **out)
{
    dumi_clear_error();
    DUMI_NOT_NULL(out);
    *out = NULL;
    DUMI_NOT_NULL(context);
    const dumi_scorer_kind *found;
    DUMI_TRY(find_kind(kind, &found));
    dum_scorer *scorer;
    DUMI_TRY(DUMI_NEW(context, scorer, 1));
    memset(scorer, 0, sizeof *scorer);
    scorer->context = dumi_context_keep(context);
    scorer->kind = found;
    for (int32_t i = 0; i < found->params.count; i++)
        scorer->values[i] = found->params.param(i)->value;
    *out = scorer;
    return DUM_OK;
}

/* What fit makes, apart from the state of the kind. */
static void forget_fit(dum_scorer *scorer)
{
    if (scorer->state != NULL)
        scorer->kind->layout != NULL ? dumi_state_destroy(scorer->state) : scorer->kind->destroy(scorer->state);
    dumi_names_free(scorer->context, scorer->names, scorer->cols);
    dumi_free(scorer->context, scorer->scaling);
    dumi_free(scorer->context, scorer->calibration);
    scorer->state = NULL;
    scorer->names = NULL;
    scorer->scaling = NULL;
    scorer->calibration = NULL;
    scorer->calibration_count = 0;
    scorer->cols = 0;
}

void dum_scorer_destroy(dum_scorer *scorer)
{
    if (scorer == NULL)
        return;
    dum_context *context = scorer->context;
    forget_fit(scorer);
    dum_encoder_destroy(scorer->encoder);
    dumi_free(context, scorer);
    dum_context_destroy(context);
}

const char *dum_scorer_kind(const dum_scorer *scorer)
{
    return scorer != NULL ? scorer->kind->name : "";
}

static dum_status check_settable(const dum_scorer *scorer)
{
    DUMI_NOT_NULL(scorer);
    DUMI_REQUIRE(scorer->state == NULL, DUM_ERR_STATE, "scorer is fitted: set options before fit");
    return DUM_OK;
}

static void changed(dum_scorer *scorer, int32_t index)
{
    if (scorer->kind->changed != NULL)
        scorer->kind->changed(scorer->values, index);
}

dum_status dum_scorer_set_number(dum_scorer *scorer, const char *name, double value)
{
    dumi_clear_error();
    DUMI_TRY(check_settable(scorer));
    int32_t index;
    DUMI_TRY(dumi_params_set_number(&scorer->kind->params, scorer->values, name, value, &index));
    changed(scorer, index);
    return DUM_OK;
}

dum_status dum_scorer_set_text(dum_scorer *scorer, const char *name, const char *value)
{
    dumi_clear_error();
    DUMI_TRY(check_settable(scorer));
    int32_t index;
    DUMI_TRY(dumi_params_set_text(&scorer->kind->params, scorer->values, name, value, &index));
    changed(scorer, index);
    return DUM_OK;
}

dum_status dum_scorer_get_number(const dum_scorer *scorer, const char *name, double *value)
{
    dumi_clear_error();
    DUMI_NOT_NULL(scorer);
    return dumi_params_get_number(&scorer->kind->params, scorer->values, name, value);
}

dum_status dum_scorer_get_text(const dum_scorer *scorer, const char *name, const char **value)
{
    dumi_clear_error();
    DUMI_NOT_NULL(scorer);
    return dumi_params_get_text(&scorer->kind->params, scorer->values, name, value);
}

/* What a file names: the host has to bring it again. */
static bool lacks_encoder(const dum_scorer *scorer)
{
    return scorer->encoder != NULL && scorer->encoder->kind == DUMI_CALLBACK && scorer->encoder->embed == NULL;
}

static dum_status check_encoder(const dum_scorer *scorer, const dum_encoder *encoder)
{
    if (!lacks_encoder(scorer))
        return check_settable(scorer);
    DUMI_REQUIRE(dum_encoder_embedding_cols(encoder, scorer->cols) == scorer->embedded, DUM_ERR_SHAPE,
                 "the encoder does not make %d columns of %d, as the one did that the scorer was fitted on",
                 scorer->embedded, scorer->cols);
    return DUM_OK;
}

dum_status dum_scorer_set_encoder(dum_scorer *scorer, dum_encoder *encoder)
{
    dumi_clear_error();
    DUMI_NOT_NULL(scorer);
    DUMI_NOT_NULL(encoder);
    DUMI_TRY(check_encoder(scorer, encoder));
    dum_encoder *view = NULL;
    if (encoder->kind != DUMI_IDENTITY)
        DUMI_TRY(dumi_encoder_view(encoder, &view));
    dum_encoder_destroy(scorer->encoder);
    scorer->encoder = view;
    return DUM_OK;
}

int32_t dum_scorer_cols(const dum_scorer *scorer)
{
    return scorer != NULL ? scorer->cols : 0;
}

const char *dum_scorer_feature_name(const dum_scorer *scorer, int32_t col)
{
    if (scorer == NULL || scorer->names == NULL || col < 0 || col >= scorer->cols)
        return NULL;
    return scorer->names[col];
}

/* A part of the rows in a random order: training and held-out rows of one dataset. */
typedef struct {
    const dum_dataset *whole;
    uint64_t seed;
    int64_t first;
} part;

static dum_status gather_part(const dum_dataset *view, const int64_t *indices, int64_t count, float *out)
{
    const part *p = view->user;
    int64_t chunk[256];
    for (int64_t done = 0; done < count;) {
        const int64_t now = count - done < 256 ? count - done : 256;
        for (int64_t i = 0; i < now; i++)
            chunk[i] = (int64_t)dumi_permute((uint64_t)p->whole->rows, (uint64_t)(p->first + indices[done + i]),
                                             p->seed, DUMI_RNG_HOLDOUT, 0);
        DUMI_TRY(dumi_dataset_gather(p->whole, chunk, now, out + done * view->cols));
        done += now;
    }
    return DUM_OK;
}

static dum_dataset view_of(const part *p, int64_t rows)
{
    return (dum_dataset){
        .context = p->whole->context, .rows = rows, .cols = p->whole->cols, .gather = gather_part, .user = p};
}

/* A constant score ranks nothing: the host should hear of it. */
static dum_status warn_if_constant(const dum_scorer *scorer, const dum_dataset *data)
{
    enum { ROWS = 256 };
    const int32_t count = (int32_t)(data->rows < ROWS ? data->rows : ROWS);
    int64_t indices[ROWS];
    double scores[ROWS];
    float *rows;
    for (int32_t i = 0; i < count; i++)
        indices[i] = data->rows / count * i + data->rows % count * i / count;
    DUMI_TRY(DUMI_NEW(scorer->context, rows, (size_t)count * (size_t)data->cols));
    dum_status status;
    DUMI_GO(dumi_dataset_gather(data, indices, count, rows));
    DUMI_GO(dumi_scorer_score_rows(scorer, rows, count, data->cols, scores));
    double least = scores[0], most = scores[0];
    for (int32_t i = 1; i < count; i++) {
        least = scores[i] < least ? scores[i] : least;
        most = scores[i] > most ? scores[i] : most;
    }
    if (count > 1 && !(most - least > 1e-6 * (1 + (most > 0 ? most : -most))))
        dumi_log(scorer->context, DUM_LOG_WARNING, DUM_LOG_CONSTANT_SCORE,
                 "%d training rows, evenly spread, have one and the same score: it ranks nothing; where a "
                 "network was "
                 "trained, a smaller rate may help",
                 count);
done:
    dumi_free(scorer->context, rows);
    return status;
}

static dum_status check_labels(const dumi_scorer_kind *kind, const dum_dataset *data, const int32_t *labels)
{
    DUMI_REQUIRE(labels == NULL || kind->labels, DUM_ERR_ARGUMENT,
                 "options.labels is for encoders, scorers mds and flow; scorer %s takes none", kind->name);
    int32_t classes;
    return labels != NULL ? dumi_labels_check("options.labels", labels, data->rows, &classes) : DUM_OK;
}

/* Labels of the rows of a part, in their order. */
static dum_status labels_of(dum_context *context, const part *p, int64_t rows, const int32_t *labels,
                            int32_t **out)
{
    *out = NULL;
    if (labels == NULL)
        return DUM_OK;
    DUMI_TRY(DUMI_NEW(context, *out, rows));
    for (int64_t i = 0; i < rows; i++)
        (*out)[i] = labels[dumi_permute((uint64_t)p->whole->rows, (uint64_t)(p->first + i), p->seed,
                                        DUMI_RNG_HOLDOUT, 0)];
    return DUM_OK;
}

static dum_status fit_state(dum_scorer *made, const dum_scorer *old, const dum_dataset *data,
                            const dumi_output *output, const dum_fit_options *options)
{
    if (made->kind->fit_rows != NULL)
        return dumi_rows_fit(made->kind, made->context, made->values, data, output, options, &made->scaling,
                             &made->state);
    return made->kind->fit(made->context, made->values, old->state, data, options, &made->state);
}

/* Fits `made`, which has the options but no state, and calibrates it. output: what the rows consist of; NULL: they are
 * no encoder's. */
static dum_status fit_new(dum_scorer *made, const dum_scorer *old, const dum_dataset *data,
                          const dumi_output *output, const dum_fit_options *options)
{
    const int64_t held = (int64_t)(made->values[DUMI_SCORER_HOLDOUT] * (double)data->rows);
    /* The seed of the whole: option seed where the kind has one. */
    double seed = 0;
    int32_t has_seed = dumi_params_get_number(&made->kind->params, made->values, "seed", &seed) == DUM_OK;
    dumi_clear_error();
    const part held_part = {data, (uint64_t)(has_seed ? seed : 0), 0};
    const part train_part = {data, held_part.seed, held};
    const dum_dataset held_out = view_of(&held_part, held), training = view_of(&train_part, data->rows - held);
    DUMI_REQUIRE(held == 0 || options->pairs == NULL, DUM_ERR_ARGUMENT,
                 "option holdout and options.pairs do not go together: hold rows out yourself and calibrate");
    DUMI_TRY(check_labels(made->kind, data, options->labels));
    const dum_dataset *used = held > 0 ? &training : data;
    dum_fit_options own = *options;
    int32_t *labels = NULL;
    if (held > 0) {
        DUMI_TRY(labels_of(made->context, &train_part, training.rows, options->labels, &labels));
        own.labels = labels;
    }
    const dum_status status = fit_state(made, old, used, output, &own);
    dumi_free(made->context, labels);
    if (made->state == NULL)
        return status;
    made->cols = made->embedded = data->cols;
    if (data->names != NULL)
        DUMI_TRY(dumi_names_copy(made->context, (const char *const *)data->names, data->cols, &made->names));
    DUMI_TRY(warn_if_constant(made, used));
    if (held > 0) {
        DUMI_TRY(dumi_scorer_sorted_scores(made, &held_out, &made->calibration));
        made->calibration_count = held;
    }
    if (status == DUM_CANCELLED)
        return dumi_fail(status, "fit was stopped; the scorer is fitted as far as it got");
    return status;
}

/* Whether the kind can stand on what its encoder returns, and what that consists of. */
static dum_status check_output(const dum_scorer *scorer, dumi_output *output)
{
    DUMI_TRY(dumi_encoder_check(scorer->encoder));
    *output = (dumi_output){.count = 0};
    if (scorer->encoder->model == NULL)
        return DUM_OK;
    DUMI_TRY(dumi_encoder_output(scorer->encoder, output));
    const uint32_t wanted = scorer->kind->outputs;
    if (wanted == 0 || (wanted & 1u << output->kind) != 0)
        return DUM_OK;
    const char *const *names = dumi_encoder_params[DUMI_E_OUTPUT].texts;
    char list[80] = "";
    for (int32_t i = 0; names[i] != NULL; i++)
        if ((wanted & 1u << i) != 0) {
            strncat(list, list[0] != 0 ? " or " : "", sizeof list - strlen(list) - 1);
            strncat(list, names[i], sizeof list - strlen(list) - 1);
        }
    return dumi_fail(DUM_ERR_ARGUMENT, "option output of the encoder is %s, scorer %s stands on %s",
                     names[output->kind], scorer->kind->name, list);
}

static dum_status embed_all(const dum_scorer *scorer, const dum_dataset *data, const dumi_fitting *f,
                            float **rows, dum_dataset **out)
{
    const dumi_watch watch = dumi_fitting_watch(f);
    int32_t cols;
    DUMI_TRY(dumi_encoder_measure(scorer->encoder, "the data have", data->cols, &cols));
    DUMI_TRY(DUMI_NEW_ROWS(scorer->context, *rows, data->rows, cols));
    DUMI_TRY(dumi_encoder_embed_watched(scorer->encoder, data, &watch, *rows));
    return dum_dataset_from_memory(scorer->context, *rows, data->rows, cols, 0, out);
}

typedef struct {
    const dum_encoder *encoder;
    const dum_dataset *data;
} source;

/* Embeddings of rows, made when they are asked for. */
static dum_status gather_embeddings(const dum_dataset *view, const int64_t *indices, int64_t count, float *out)
{
    const source *s = view->user;
    const int32_t cols = s->data->cols;
    float *rows;
    DUMI_TRY(DUMI_NEW_ROWS(view->context, rows, count, cols));
    dum_status status = dumi_dataset_gather(s->data, indices, count, rows);
    for (int64_t i = 0; i < count && status == DUM_OK && s->encoder->model != NULL; i++)
        status = dumi_encoder_check_row(s->encoder->model, indices[i], rows + i * cols);
    if (status == DUM_OK)
        status = dum_encoder_embed(s->encoder, rows, count, cols, 0, out);
    dumi_free(view->context, rows);
    return status;
}

/* On the embeddings of all rows, which are made once and held in memory meanwhile, but for a kind that streams. */
static dum_status fit_embedded(dum_scorer *made, const dum_scorer *old, const dum_dataset *data,
                               const dum_fit_options *options)
{
    float *rows = NULL, *pair_rows = NULL;
    dum_dataset *embedded = NULL, *pairs = NULL;
    dum_fit_options own = *options;
    dum_encoder *encoder = made->encoder;
    const source made_anew = {encoder, data};
    dum_dataset view = {
        .context = data->context, .rows = data->rows, .gather = gather_embeddings, .user = &made_anew};
    const dumi_fitting f = dumi_fitting_begin(made->context, options);
    dumi_output output;
    dum_status status;
    DUMI_GO(check_output(made, &output));
    DUMI_GO(dumi_encoder_measure(encoder, "the data have", data->cols, &view.cols));
    if (!made->kind->streams)
        DUMI_GO(embed_all(made, data, &f, &rows, &embedded));
    if (options->pairs != NULL) {
        DUMI_GO(embed_all(made, options->pairs, &f, &pair_rows, &pairs));
        own.pairs = pairs;
    }
    if (options->max_seconds > 0) /* what is left of them */
        own.max_seconds = fmax(options->max_seconds - dumi_fitting_seconds(&f), 1e-9);
    made->encoder = NULL;
    status = fit_new(made, old, embedded != NULL ? embedded : &view, output.count > 0 ? &output : NULL, &own);
    made->encoder = encoder;
    made->cols = data->cols;
    if (made->state != NULL && data->names != NULL && (status == DUM_OK || status == DUM_CANCELLED)) {
        const dum_status named =
            dumi_names_copy(made->context, (const char *const *)data->names, data->cols, &made->names);
        status = named != DUM_OK ? named : status;
    }
done:
    dum_dataset_destroy(embedded);
    dum_dataset_destroy(pairs);
    dumi_free(made->context, rows);
    dumi_free(made->context, pair_rows);
    return status;
}

dum_status dum_scorer_fit(dum_scorer *scorer, const dum_dataset *data, const dum_fit_options *options)
{
    dumi_clear_error();
    DUMI_NOT_NULL(scorer);
    DUMI_NOT_NULL(data);
    dum_fit_options own;
    DUMI_TRY(dumi_read_struct("options", &own, sizeof own, offsetof(dum_fit_options, labels), options));
    /* The weights that go on belong to the columns of before. */
    if (own.warm_start && scorer->cols == data->cols)
        DUMI_TRY(dumi_scorer_check_names(scorer, data));
    dum_scorer made = *scorer;
    made.state = NULL;
    made.names = NULL;
    made.scaling = NULL;
    made.calibration = NULL;
    made.calibration_count = 0;
    const dum_status status = made.encoder != NULL ? fit_embedded(&made, scorer, data, &own)
                                                   : fit_new(&made, scorer, data, NULL, &own);
    if (status == DUM_OK || (status == DUM_CANCELLED && made.state != NULL)) {
        forget_fit(scorer);
        *scorer = made;
    } else {
        forget_fit(&made);
    }
    return status;
}

dum_status dumi_scorer_check_fitted(const dum_scorer *scorer)
{
    DUMI_NOT_NULL(scorer);
    DUMI_REQUIRE(scorer->state != NULL, DUM_ERR_STATE, "scorer is not fitted: call dum_scorer_fit first");
    return DUM_OK;
}

static dum_status check_rows(const dum_scorer *scorer, const float *data, int64_t rows, int32_t cols,
                             int64_t *row_stride)
{
    DUMI_TRY(dumi_scorer_check_fitted(scorer));
    DUMI_REQUIRE(rows >= 0, DUM_ERR_SHAPE, "rows is %lld, expected 0 or more", (long long)rows);
    DUMI_REQUIRE(data != NULL || rows == 0, DUM_ERR_ARGUMENT, "data is NULL");
    DUMI_REQUIRE(cols == scorer->cols, DUM_ERR_SHAPE, "cols is %d, the scorer was fitted on %d columns", cols,
                 scorer->cols);
    if (*row_stride == 0)
        *row_stride = cols;
    DUMI_REQUIRE(*row_stride >= cols, DUM_ERR_SHAPE, "row_stride is %lld, expected cols = %d or more",
                 (long long)*row_stride, cols);
    return DUM_OK;
}

static dum_status score_rows(const dum_scorer *scorer, const float *data, int64_t rows, int64_t row_stride,
                             double *scores)
{
    const dumi_scorer_kind *kind = scorer->kind;
    if (kind->row != NULL)
        return dumi_rows_score(kind, scorer->state, data, rows, scorer->embedded, row_stride, scores);
    return kind->score(scorer->values, scorer->state, data, rows, scorer->embedded, row_stride, scores);
}

static dum_status score_scaled(const dum_scorer *scorer, const float *data, int64_t rows, int64_t row_stride,
                               double *scores)
{
    enum { CHUNK = 4096 };
    if (scorer->scaling == NULL)
        return score_rows(scorer, data, rows, row_stride, scores);
    const int32_t cols = scorer->embedded;
    float *scaled;
    DUMI_TRY(dumi_rows_check_finite(data, rows, cols, row_stride));
    DUMI_TRY(DUMI_NEW(scorer->context, scaled, (size_t)(rows < CHUNK ? rows : CHUNK) * (size_t)cols));
    dum_status status = DUM_OK;
    for (int64_t first = 0; first < rows && status == DUM_OK; first += CHUNK) {
        const int64_t count = rows - first < CHUNK ? rows - first : CHUNK;
        dumi_rows_scale(scorer->kind, scorer->values, scorer->scaling, count, cols, data + first * row_stride,
                        row_stride, scaled);
        status = score_rows(scorer, scaled, count, cols, scores + first);
        if (status != DUM_OK)
            dumi_shift_row(first);
    }
    dumi_free(scorer->context, scaled);
    return status;
}

dum_status dumi_scorer_score_rows(const dum_scorer *scorer, const float *data, int64_t rows, int64_t row_stride,
                                  double *scores)
{
    enum { CHUNK = 256 };
    if (scorer->encoder == NULL)
        return score_scaled(scorer, data, rows, row_stride, scores);
    DUMI_REQUIRE(!lacks_encoder(scorer), DUM_ERR_STATE,
                 "scorer was fitted on an encoder of the host: give it with dum_scorer_set_encoder");
    float *embeddings;
    DUMI_TRY(DUMI_NEW(scorer->context, embeddings,
                      (size_t)(rows < CHUNK ? rows : CHUNK) * (size_t)scorer->embedded));
    dum_status status = DUM_OK;
    for (int64_t first = 0; first < rows && status == DUM_OK; first += CHUNK) {
        const int64_t count = rows - first < CHUNK ? rows - first : CHUNK;
        status = dum_encoder_embed(scorer->encoder, data + first * row_stride, count, scorer->cols, row_stride,
                                   embeddings);
        if (status == DUM_OK)
            status = score_scaled(scorer, embeddings, count, scorer->embedded, scores + first);
        if (status != DUM_OK)
            dumi_shift_row(first);
    }
    dumi_free(scorer->context, embeddings);
    return status;
}

dum_status dum_scorer_score(const dum_scorer *scorer, const float *data, int64_t rows, int32_t cols,
                            int64_t row_stride, double *scores)
{
    dumi_clear_error();
    DUMI_TRY(check_rows(scorer, data, rows, cols, &row_stride));
    if (rows == 0)
        return DUM_OK;
    DUMI_NOT_NULL(scores);
    return dumi_scorer_score_rows(scorer, data, rows, row_stride, scores);
}

static dum_status explain_row(const dum_scorer *scorer, int64_t row, float *x, float *share, float *deviation)
{
    if (scorer->scaling != NULL) {
        DUMI_TRY(dumi_rows_check_row(x, scorer->cols, row));
        dumi_rows_scale(scorer->kind, scorer->values, scorer->scaling, 1, scorer->cols, x, scorer->cols, x);
    }
    if (scorer->kind->row_explains)
        return dumi_rows_explain(scorer->kind, scorer->state, scorer->cols, row, x, share, deviation);
    return scorer->kind->explain(scorer->values, scorer->state, row, x, x + scorer->cols, share, deviation);
}

dum_status dum_scorer_explain(const dum_scorer *scorer, const float *data, int64_t rows, int32_t cols,
                              int64_t row_stride, float *share, float *deviation)
{
    dumi_clear_error();
    DUMI_TRY(check_rows(scorer, data, rows, cols, &row_stride));
    DUMI_REQUIRE(scorer->encoder == NULL, DUM_ERR_UNSUPPORTED,
                 "scorer stands on an encoder: it cannot say which of its input made a score");
    DUMI_REQUIRE(scorer->kind->explain != NULL || scorer->kind->row_explains, DUM_ERR_UNSUPPORTED,
                 "scorer %s does not explain", scorer->kind->name);
    if (rows == 0)
        return DUM_OK;
    DUMI_NOT_NULL(share);
    float *x;
    DUMI_TRY(DUMI_NEW(scorer->context, x, 4 * (size_t)cols));
    dum_status status = DUM_OK;
    for (int64_t i = 0; i < rows && status == DUM_OK; i++) {
        memcpy(x, data + i * row_stride, (size_t)cols * sizeof *x);
        status = explain_row(scorer, i, x, share + i * cols, deviation != NULL ? deviation + i * cols : NULL);
    }
    dumi_free(scorer->context, x);
    return status;
}
