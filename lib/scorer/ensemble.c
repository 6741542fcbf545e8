/* SPDX-License-Identifier: MIT
 * Kind "ensemble" (Aggarwal & Sathe 2017, chapter 3): the weighted mean of what other kinds say, each by its rank among the
 * scores of the training rows, or in their standard deviations. */
#include "scorer/rows.h"

#include <math.h>
#include <stdio.h>

enum { COMBINE = DUMI_SCALED_PARAMS, SEED, WEIGHTS };
enum { RANK, ZSCORE };

static const dumi_param combine = {"combine",
                                   RANK,
                                   0,
                                   0,
                                   (const char *const[]){"rank", "zscore", NULL},
                                   "rank|zscore",
                                   false,
                                   "scores by their share of training scores below, or in their deviations"},
                        seed = {"seed", 0, 0, 9007199254740992.0, NULL, NULL, true, "of members that have one"};

/* Alphabetical: the order in which members are added up. */
#define MEMBER(kind, weight)                                                                                   \
    {                                                                                                          \
        kind, weight, 0, 1e6, NULL, NULL, false, "weight of this kind with its default options; 0: without it" \
    }
static const dumi_param members[] = {
    MEMBER("abod", 0),   MEMBER("autoencoder", 0), MEMBER("copod", 0),       MEMBER("deepsvdd", 0),
    MEMBER("dum", 0),    MEMBER("ecod", 1),        MEMBER("eif", 0),         MEMBER("elliptic", 0),
    MEMBER("hbos", 0),   MEMBER("iforest", 1),     MEMBER("kde", 0),         MEMBER("knn", 1),
    MEMBER("lesinn", 0), MEMBER("lof", 0),         MEMBER("mahalanobis", 0), MEMBER("ocsvm", 0),
    MEMBER("pca", 0),    MEMBER("repen", 0),       MEMBER("sp", 0),
};
enum { MEMBERS = sizeof members / sizeof members[0], PARAMS = WEIGHTS + MEMBERS };
_Static_assert((int)PARAMS <= (int)DUMI_MAX_PARAMS, "options of an ensemble");

static const dumi_param *param(int32_t index)
{
    return index == DUMI_SCORER_HOLDOUT   ? &dumi_scorer_holdout
           : index == DUMI_SCORER_SCALING ? &dumi_scorer_scaling_zscore
           : index == COMBINE             ? &combine
           : index == SEED                ? &seed
                                          : &members[index - WEIGHTS];
}

/* Members are calibrated with the training rows: those scores are what theirs are compared with. */
typedef struct {
    dum_context *context;
    dum_scorer *member[MEMBERS]; /* NULL: not one */
    double mean[MEMBERS], deviation[MEMBERS];
} ensemble;

static void destroy(void *state)
{
    ensemble *e = state;
    if (e == NULL)
        return;
    dum_context *context = e->context;
    for (int32_t i = 0; i < MEMBERS; i++)
        dum_scorer_destroy(e->member[i]);
    dumi_free(context, e);
    dum_context_destroy(context);
}

static dum_status create(dum_context *context, ensemble **out)
{
    DUMI_TRY(DUMI_NEW(context, *out, 1));
    **out = (ensemble){.context = dumi_context_keep(context)};
    return DUM_OK;
}

/* Kinds may score a row with the largest finite number, whose square would not be one. */
static double within(double score)
{
    return fmax(-1e150, fmin(1e150, score));
}

static void set_moments(ensemble *e, int32_t i)
{
    const dum_scorer *m = e->member[i];
    const double n = (double)m->calibration_count;
    double mean = 0, square = 0;
    for (int64_t r = 0; r < m->calibration_count; r++)
        mean += within(m->calibration[r]) / n;
    for (int64_t r = 0; r < m->calibration_count; r++) {
        const double off = within(m->calibration[r]) - mean;
        square += off * off / n;
    }
    e->mean[i] = mean;
    e->deviation[i] = sqrt(square);
}

/* Where the host is told that the fit is, and whether it has stopped it. */
typedef struct {
    const dumi_fitting *f;
    int32_t done, wanted;
    dum_status status;
} position;

static dum_status ask(position *p)
{
    if (p->status == DUM_OK)
        p->status = dumi_fitting_progress(p->f, p->done, p->wanted, 0);
    return p->status;
}

/* A member asks by the host's callback, but not when it is done. */
static int32_t ask_for_member(void *user, const dum_progress *progress)
{
    (void)progress;
    return ask(user) != DUM_OK;
}

static dum_status stopped(void)
{
    return dumi_fail(DUM_CANCELLED, "fit was stopped; the scorer is as it was before");
}

static dum_status calibrate_member(position *p, dum_scorer *m)
{
    const dumi_fitting *f = p->f;
    const int64_t part = dumi_fitting_part(f);
    DUMI_TRY(DUMI_NEW(f->context, m->calibration, f->count));
    m->calibration_count = f->count;
    for (int64_t first = 0; first < f->count; first += part) {
        const int64_t count = f->count - first < part ? f->count - first : part;
        DUMI_TRY(ask(p));
        DUMI_TRY(dumi_scorer_score_rows(m, f->rows + first * f->cols, count, f->cols, m->calibration + first));
    }
    dumi_sort_double(m->calibration, f->count);
    return DUM_OK;
}

static dum_status fit_member(position *p, const dum_dataset *data, int32_t i, dum_scorer **out)
{
    const dumi_fitting *f = p->f;
    DUMI_TRY(dum_scorer_create(f->context, members[i].name, out));
    double ignored;
    if (dumi_params_get_number(&(*out)->kind->params, (*out)->values, "seed", &ignored) == DUM_OK)
        DUMI_TRY(dum_scorer_set_number(*out, "seed", f->values[SEED]));
    dum_fit_options options;
    DUM_INIT(options);
    options.progress = ask_for_member;
    options.progress_user = p;
    const dum_status status = dum_scorer_fit(*out, data, &options);
    if (status == DUM_CANCELLED || p->status != DUM_OK)
        return stopped();
    return status == DUM_OK ? calibrate_member(p, *out) : status;
}

static dum_status fit_members(const dumi_fitting *f, const dum_dataset *data, ensemble *e)
{
    position p = {.f = f};
    for (int32_t i = 0; i < MEMBERS; i++)
        p.wanted += f->values[WEIGHTS + i] > 0;
    DUMI_REQUIRE(p.wanted > 0, DUM_ERR_ARGUMENT, "no kind has a weight, expected one or more above 0");
    for (int32_t i = 0; i < MEMBERS; i++) {
        if (!(f->values[WEIGHTS + i] > 0))
            continue;
        DUMI_TRY(ask(&p));
        DUMI_TRY(fit_member(&p, data, i, &e->member[i]));
        set_moments(e, i);
        p.done++;
    }
    return DUM_OK;
}

static dum_status fit(dumi_fitting *f, void **state)
{
    ensemble *e;
    dum_dataset *data = NULL;
    DUMI_TRY(create(f->context, &e));
    dum_status status;
    DUMI_GO(dum_dataset_from_memory(f->context, f->rows, f->count, f->cols, 0, &data));
    DUMI_GO(fit_members(f, data, e));
    *state = e;
    e = NULL;
done:
    dum_dataset_destroy(data);
    destroy(e);
    return status;
}

/* The share of training scores below, those equal counting half. */
static double rank_of(const dum_scorer *m, double score)
{
    const int64_t below = dumi_scorer_count_below(m, score, false),
                  up_to = dumi_scorer_count_below(m, score, true);
    return 0.5 * (double)(below + up_to) / (double)m->calibration_count;
}

static double opinion(const double *values, const ensemble *e, int32_t i, double score)
{
    if (values[COMBINE] == RANK)
        return rank_of(e->member[i], score);
    return e->deviation[i] > 0 ? (within(score) - e->mean[i]) / e->deviation[i] : 0;
}

static dum_status score(const double *values, void *state, const float *data, int64_t rows, int32_t cols,
                        int64_t row_stride, double *scores)
{
    const ensemble *e = state;
    double *own, sum = 0;
    DUMI_TRY(dumi_rows_check_finite(data, rows, cols, row_stride));
    DUMI_TRY(DUMI_NEW(e->context, own, rows));
    dum_status status = DUM_OK;
    memset(scores, 0, (size_t)rows * sizeof *scores);
    for (int32_t i = 0; i < MEMBERS; i++) {
        const double weight = values[WEIGHTS + i];
        if (e->member[i] == NULL)
            continue;
        DUMI_GO(dumi_scorer_score_rows(e->member[i], data, rows, row_stride, own));
        for (int64_t r = 0; r < rows; r++)
            scores[r] += weight * opinion(values, e, i, own[r]);
        sum += weight;
    }
    for (int64_t r = 0; r < rows; r++)
        scores[r] /= sum;
done:
    dumi_free(e->context, own);
    return status;
}

/* The files of the members, one after the other, behind their sizes. */
typedef struct {
    size_t sizes[MEMBERS];
} files;

static dum_status prepare_write(const void *state, void **prepared)
{
    const ensemble *e = state;
    files sizes = {{0}}, *all;
    size_t total = 0;
    for (int32_t i = 0; i < MEMBERS; i++) {
        if (e->member[i] != NULL)
            DUMI_TRY(dum_scorer_save_memory(e->member[i], NULL, 0, &sizes.sizes[i]));
        total += sizes.sizes[i];
    }
    all = dumi_alloc(e->context, 1, sizeof *all + total);
    if (all == NULL)
        return dumi_status();
    *prepared = all;
    *all = sizes;
    unsigned char *to = (unsigned char *)(all + 1);
    for (int32_t i = 0; i < MEMBERS; i++) {
        size_t size = sizes.sizes[i];
        if (e->member[i] != NULL)
            DUMI_TRY(dum_scorer_save_memory(e->member[i], to, size, &size));
        to += sizes.sizes[i];
    }
    return DUM_OK;
}

static void name_tensor(int32_t i, char name[40])
{
    snprintf(name, 40, "member.%s", members[i].name);
}

static dum_status write_state(const void *state, const void *prepared, dumi_model_writer *writer)
{
    (void)state;
    const files *all = prepared;
    const unsigned char *from = (const unsigned char *)(all + 1);
    for (int32_t i = 0; i < MEMBERS; i++) {
        char name[40];
        name_tensor(i, name);
        if (all->sizes[i] > 0)
            DUMI_TRY(dumi_writer_tensor(writer, name, DUMI_U8, (int64_t)all->sizes[i], 0, from));
        from += all->sizes[i];
    }
    return DUM_OK;
}

static dum_status read_member(ensemble *e, const dumi_reader *reader, int32_t i, int32_t *cols)
{
    char name[40], kind[40];
    name_tensor(i, name);
    snprintf(kind, sizeof kind, "scorer.%s", members[i].name);
    const dumi_tensor *t = dumi_reader_find(reader, name);
    DUMI_REQUIRE(t != NULL && t->rank == 1 && t->dtype == DUMI_U8, DUM_ERR_FORMAT, "tensor %s is missing",
                 name);
    unsigned char *bytes;
    DUMI_TRY(DUMI_NEW(e->context, bytes, t->size));
    dum_status status;
    DUMI_GO(dumi_reader_copy(reader, name, DUMI_U8, t->shape[0], 0, bytes));
    DUMI_GO(dumi_scorer_from_bytes(e->context, bytes, t->size, kind, &e->member[i]));
    if (e->member[i]->calibration_count < 1 || (*cols != 0 && e->member[i]->cols != *cols))
        DUMI_GO(dumi_fail(DUM_ERR_FORMAT, "%s is not calibrated, or not of the other members' columns", name));
    *cols = e->member[i]->cols;
    set_moments(e, i);
done:
    dumi_free(e->context, bytes);
    return status;
}

static dum_status read_state(dum_context *context, const dumi_reader *reader, const double *values,
                             int32_t *cols, void **state)
{
    ensemble *e;
    DUMI_TRY(create(context, &e));
    dum_status status = DUM_OK;
    *cols = 0;
    for (int32_t i = 0; i < MEMBERS; i++)
        if (values[WEIGHTS + i] > 0)
            DUMI_GO(read_member(e, reader, i, cols));
    if (*cols == 0)
        DUMI_GO(dumi_fail(DUM_ERR_FORMAT, "the ensemble has no members"));
    *state = e;
    return DUM_OK;
done:
    destroy(e);
    return status;
}

const dumi_scorer_kind dumi_scorer_ensemble = {
    .name = "ensemble",
    .params = {"scorer ensemble", PARAMS, param},
    .scales = true,
    .fit_rows = fit,
    .destroy = destroy,
    .score = score,
    .prepare_write = prepare_write,
    .write = write_state,
    .read = read_state,
};
