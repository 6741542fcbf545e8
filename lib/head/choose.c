/* SPDX-License-Identifier: MIT
 * Scaling auto: z-scores, or whitened; and if whitened, from z-scores, or from the columns' own units?
 *
 * Whitening makes small directions as large as others. That is right where they carry what is rare, and wrong where they are
 * noise that hides who is near whom. Which of the two it is can be seen without labels: in both scalings a sample's k nearest
 * neighbours are compared with those in Gaussian data of the same size, mean and covariance, which have no structure
 * but their covariance. The scaling in which the neighbours are nearer, against that, shows more. */
#include "dataset/dataset.h"
#include "head/head.h"
#include "linear/linear.h"
#include "neighbours/neighbours.h"

#include <math.h>

enum { MOST_ROWS = 2048 };

typedef struct {
    dum_context *context;
    const dumi_watch *watch;
    int32_t rows, cols, k;
    float *points;   /* rows x cols */
    double *squares; /* by row */
} sample;

/* The mean over the points and their k nearest of the squared distance. */
static dum_status measure(const sample *s, double *mean)
{
    dumi_neighbours *tree;
    DUMI_TRY(dumi_neighbours_create(s->context, s->points, s->rows, s->cols, s->watch, &tree));
    const dum_status status =
        dumi_neighbours_search_self(tree, 0, s->rows, s->k, s->watch, dumi_receive_mean, s->squares);
    dumi_neighbours_destroy(tree);
    DUMI_TRY(status);
    *mean = 0;
    for (int32_t i = 0; i < s->rows; i++)
        *mean += s->squares[i] / s->rows;
    return DUM_OK;
}

/* Gaussian points along the eigenvectors, which leaves their distances as they are; `values`: NULL: whitened. */
static void draw(const sample *s, uint64_t seed, const double *values, const double *shares)
{
    dumi_rng rng;
    dumi_rng_init(&rng, seed, DUMI_RNG_STRUCTURE, 0);
    for (int64_t i = 0; i < s->rows; i++)
        for (int32_t j = 0; j < s->cols; j++)
            s->points[i * s->cols + j] =
                (float)(dumi_rng_normal(&rng) * sqrt(shares[j] * (values != NULL ? values[j] : 1)));
}

dum_status dumi_scaling_choose(dum_context *context, dumi_stream *stream, const double *options,
                               const dum_dataset *data, const dumi_scaling *scaling, const double *values,
                               const double *shares, const dumi_watch *watch, bool *whiten)
{
    sample s = {.context = context, .watch = watch, .cols = scaling->cols};
    const uint64_t seed = (uint64_t)options[DUMI_SEED];
    int64_t *indices = NULL;
    double white, gauss_white, plain, gauss_plain;
    dumi_scaling zscore = *scaling;
    dum_status status;
    zscore.rotation_packed = NULL;
    s.rows = (int32_t)(data->rows < MOST_ROWS ? data->rows : MOST_ROWS);
    const int32_t wanted = dumi_neighbours_wanted(options, false);
    s.k = wanted < s.rows ? wanted : s.rows - 1;
    *whiten = true;
    if (s.k == 0)
        return DUM_OK;
    DUMI_GO(DUMI_NEW(context, indices, s.rows));
    DUMI_GO(DUMI_NEW(context, s.points, (size_t)s.rows * (size_t)s.cols));
    DUMI_GO(DUMI_NEW(context, s.squares, s.rows));
    dumi_sample_rows(data->rows, s.rows, seed, indices);
    DUMI_GO(dumi_scaling_gather(context, stream, scaling, data, indices, s.rows, watch, s.points));
    DUMI_GO(measure(&s, &white));
    DUMI_GO(dumi_scaling_gather(context, stream, &zscore, data, indices, s.rows, watch, s.points));
    DUMI_GO(measure(&s, &plain));
    draw(&s, seed, NULL, shares);
    DUMI_GO(measure(&s, &gauss_white));
    draw(&s, seed, values, shares);
    DUMI_GO(measure(&s, &gauss_plain));
    *whiten = !(white * gauss_plain > plain * gauss_white);
    dumi_log(context, DUM_LOG_INFO, DUM_LOG_CHOICE,
             "scaling auto: %s (squared distance of neighbours against Gaussian data: whiten %s, zscore %s)",
             *whiten ? "whiten" : "zscore", dumi_show_short(white / gauss_white).text,
             dumi_show_short(plain / gauss_plain).text);
done:
    dumi_free(context, indices);
    dumi_free(context, s.points);
    dumi_free(context, s.squares);
    return status;
}

/* ---- Of two whitenings ------------------------------------------------------------------------
 *
 * Shrinking (Ledoit & Wolf 2004) pulls all directions towards one variance. Where columns have one unit, as the outputs of a
 * network, one that hardly varies is noise, and is held small; z-scores make it as large as all others. Where units differ
 * it is the other way round. Both are Gaussian models of the same rows: the one under which rows that were held out are
 * more likely is right. */

enum { MOST_FITTED = 2048, MOST_HELD_OUT = 512 };

typedef struct {
    dum_context *context;
    const dumi_watch *watch;
    int32_t cols, rows, held; /* columns that vary among the fitted rows; rows fitted on, then rows held out */
    float *points, *scaled;
    double *mean, *covariance, *off;
    double *own, *zscore; /* what columns are multiplied with */
    double *likely;       /* held, by own, then by zscore */
} trial;

/* The first `rows` in a random order are fitted on: `points` come in the order of the data. */
static void part(trial *t, int32_t cols, uint64_t seed)
{
    const uint64_t all = (uint64_t)t->rows + (uint64_t)t->held;
    for (uint64_t i = 0; i < all; i++)
        memcpy(t->scaled + (int64_t)i * cols,
               t->points + (int64_t)dumi_permute(all, i, seed, DUMI_RNG_STRUCTURE, 1) * cols,
               (size_t)cols * sizeof *t->points);
}

/* Keeps the columns that vary among the fitted rows, and sets both scales. */
static void keep_columns(trial *t, int32_t cols, const double *spread)
{
    double mean_square = 0;
    for (int32_t j = 0; j < cols; j++)
        mean_square += spread[j] * spread[j] / cols;
    t->cols = 0;
    for (int32_t j = 0; j < cols; j++) {
        double mean = 0, square = 0;
        for (int64_t i = 0; i < t->rows; i++)
            mean += (double)t->scaled[i * cols + j] / t->rows;
        for (int64_t i = 0; i < t->rows; i++) {
            const double off = (double)t->scaled[i * cols + j] - mean;
            square += off * off / t->rows;
        }
        if (!(square > 1e-12) || !(spread[j] > 0))
            continue;
        t->own[t->cols] = spread[j] / sqrt(mean_square);
        t->zscore[t->cols] = 1 / sqrt(square);
        for (int64_t i = 0; i < t->rows + t->held; i++)
            t->points[i * cols + t->cols] = t->scaled[i * cols + j];
        t->cols++;
    }
    for (int64_t i = 0; i < t->rows + t->held; i++)
        memmove(t->points + i * t->cols, t->points + i * cols, (size_t)t->cols * sizeof *t->points);
}

/* The log-likelihood of each of the rows held out, but for a constant. */
static dum_status likelihood(const trial *t, const double *scale, double *out)
{
    const int32_t d = t->cols;
    const dumi_watch *watch = dumi_watch_long(t->watch, 0.5 * t->rows * d * d);
    double jacobian = 0, since = 0, mu, log_determinant;
    int32_t rank;
    for (int64_t i = 0; i < (int64_t)(t->rows + t->held) * d; i++)
        t->scaled[i] = (float)((double)t->points[i] * scale[i % d]);
    DUMI_TRY(dumi_shrunk_covariance(t->context, t->scaled, t->rows, d, t->mean, t->covariance, watch, &mu));
    for (int64_t j = 0; j < d; j++) {
        t->covariance[j * d + j] += 1e-6 * mu; /* what the whitening resolves */
        jacobian += log(scale[j]);
    }
    DUMI_TRY(dumi_cholesky_inverse(d, t->covariance, 1e-12, t->watch, &rank, &log_determinant));
    for (int64_t i = 0; i < t->held; i++) {
        double square = 0;
        DUMI_TRY(dumi_watch_count(t->watch, &since, 0.5 * d * d));
        for (int32_t j = 0; j < d; j++)
            t->off[j] = (double)t->scaled[(t->rows + i) * d + j] - t->mean[j];
        for (int32_t j = 0; j < d; j++) {
            const double value = dumi_dot_double(j + 1, t->covariance + (int64_t)j * d, t->off);
            square += value * value;
        }
        out[i] = jacobian - (square + log_determinant) / 2;
    }
    return DUM_OK;
}

/* Whether z-scores make the rows held out more likely, by more than the standard error of that: most of the difference may be
 * a few rows', and then columns stay as they are (Breiman et al. 1984). */
static bool zscore_is_better(dum_context *context, const trial *t)
{
    const double *own = t->likely, *zscore = t->likely + t->held;
    double gain = 0, with_own = 0, square = 0;
    for (int32_t i = 0; i < t->held; i++) {
        with_own += own[i] / t->held;
        gain += (zscore[i] - own[i]) / t->held;
    }
    for (int32_t i = 0; i < t->held; i++)
        square += (zscore[i] - own[i] - gain) * (zscore[i] - own[i] - gain) / t->held;
    const double error = sqrt(square / t->held);
    const bool better = !(gain <= error); /* also where sums are too large to be compared */
    dumi_log(
        context, DUM_LOG_INFO, DUM_LOG_CHOICE,
        "scaling auto: %s (log-likelihood of rows held out, a column: whiten-cov %s, whiten %s more, with a "
        "standard error of %s)",
        better ? "whiten" : "whiten-cov", dumi_show_short(with_own / t->cols).text,
        dumi_show_short(gain / t->cols).text, dumi_show_short(error / t->cols).text);
    return better;
}

static dum_status trial_create(trial *t, int32_t cols)
{
    const size_t size = (size_t)(t->rows + t->held) * (size_t)cols;
    DUMI_TRY(DUMI_NEW(t->context, t->points, size));
    DUMI_TRY(DUMI_NEW(t->context, t->scaled, size));
    DUMI_TRY(DUMI_NEW(t->context, t->mean, 4 * (size_t)cols));
    t->off = t->mean + cols;
    t->own = t->off + cols;
    t->zscore = t->own + cols;
    DUMI_TRY(DUMI_NEW(t->context, t->likely, 2 * (size_t)t->held));
    return DUMI_NEW(t->context, t->covariance, (size_t)cols * (size_t)cols);
}

dum_status dumi_scaling_choose_units(dum_context *context, dumi_stream *stream, const double *options,
                                     const dum_dataset *data, const dumi_scaling *zscore,
                                     const dumi_watch *watch, bool *own)
{
    const int32_t most = MOST_FITTED + MOST_HELD_OUT, rows = (int32_t)(data->rows < most ? data->rows : most),
                  cols = zscore->cols;
    const uint64_t seed = (uint64_t)options[DUMI_SEED];
    trial t = {.context = context, .watch = watch, .held = rows / 2 < MOST_HELD_OUT ? rows / 2 : MOST_HELD_OUT};
    dumi_scaling plain = *zscore;
    int64_t *indices = NULL;
    dum_status status;
    plain.rotation_packed = NULL;
    *own = false;
    t.rows = rows - t.held;
    if (t.rows < 2)
        return DUM_OK;
    DUMI_GO(trial_create(&t, cols));
    DUMI_GO(DUMI_NEW(context, indices, rows));
    dumi_sample_rows(data->rows, rows, seed, indices);
    DUMI_GO(dumi_scaling_gather(context, stream, &plain, data, indices, rows, watch, t.points));
    part(&t, cols, seed);
    keep_columns(&t, cols, zscore->spread);
    if (t.cols == 0)
        goto done;
    DUMI_GO(likelihood(&t, t.own, t.likely));
    DUMI_GO(likelihood(&t, t.zscore, t.likely + t.held));
    *own = !zscore_is_better(context, &t);
done:
    dumi_free(context, indices);
    dumi_free(context, t.points);
    dumi_free(context, t.scaled);
    dumi_free(context, t.mean);
    dumi_free(context, t.likely);
    dumi_free(context, t.covariance);
    return status;
}
