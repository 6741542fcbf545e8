/* SPDX-License-Identifier: MIT
 * Kind "hbos" (Goldstein & Dengel 2012): the density of each value in a histogram of its column; the columns are
 * taken for independent. */
#include "scorer/rows.h"

#include <math.h>
#include <stddef.h>

enum { BINS = DUMI_SCORER_PARAMS, ALPHA, TOLERANCE, PARAMS };

static const dumi_param own[] = {
    {"bins", 10, 2, 10000, NULL, NULL, true, "of equal width, from a column's least to its largest value"},
    {"alpha", 0.1, 1e-12, 1e6, NULL, NULL, false,
     "added to each density, so that an empty bin has a logarithm"},
    {"tolerance", 0.5, 0, 1e6, NULL, NULL, false,
     "a value this share of a bin outside counts as in the outermost one, further out as in the rarest"},
};

static const dumi_param *param(int32_t index)
{
    return index == DUMI_SCORER_HOLDOUT ? &dumi_scorer_holdout : &own[index - BINS];
}

typedef struct {
    dumi_state head;
    int64_t cols, bins;
    double tolerance;
    double *least, *width; /* of each column: where its bins begin, and how wide one is */
    double *surprise;      /* columns x bins: -log2(density + alpha) */
    double *rarest;        /* the largest of each column */
} histograms;

enum { BIN_COUNT = 1 };

/* The bin of a value; -1 and `bins` outside. The largest value belongs to the last bin. */
static int64_t bin_of(const histograms *h, int64_t j, double value)
{
    const double least = h->least[j], width = h->width[j];
    if (value < least)
        return -1;
    const double at = floor((value - least) / width);
    int64_t bin = at < (double)h->bins ? (int64_t)at : h->bins;
    /* Rounding: the edge itself decides. */
    if (bin < h->bins && bin > 0 && value < least + (double)bin * width)
        bin--;
    else if (bin + 1 < h->bins && value >= least + (double)(bin + 1) * width)
        bin++;
    return bin == h->bins && value <= least + (double)h->bins * width ? h->bins - 1 : bin;
}

static void count_column(const histograms *h, int64_t j, const float *rows, int64_t n, double alpha)
{
    double least = (double)rows[j], most = least, *surprise = h->surprise + j * h->bins;
    for (int64_t i = 1; i < n; i++) { /* not by fmin, over which gcc 12.2 breaks down on aarch64 */
        const double x = (double)rows[i * h->cols + j];
        least = x < least ? x : least;
        most = x > most ? x : most;
    }
    if (!(most > least)) { /* as NumPy has it for a constant column */
        least -= 0.5;
        most += 0.5;
    }
    h->least[j] = least;
    h->width[j] = (most - least) / (double)h->bins;
    for (int64_t b = 0; b < h->bins; b++)
        surprise[b] = 0;
    for (int64_t i = 0; i < n; i++) {
        const int64_t bin = bin_of(h, j, (double)rows[i * h->cols + j]);
        surprise[bin < 0 ? 0 : bin < h->bins ? bin : h->bins - 1] += 1;
    }
    for (int64_t b = 0; b < h->bins; b++)
        surprise[b] = -log2(surprise[b] / ((double)n * h->width[j]) + alpha);
}

static dum_status ready(const double *values, void *state)
{
    histograms *h = state;
    h->cols = h->head.sizes[DUMI_COLS];
    h->bins = h->head.sizes[BIN_COUNT];
    h->tolerance = values[TOLERANCE];
    DUMI_TRY(DUMI_NEW(h->head.context, h->rarest, h->cols));
    for (int64_t j = 0; j < h->cols; j++) {
        DUMI_REQUIRE(h->width[j] > 0, DUM_ERR_FORMAT, "tensor hbos.width: element %lld is not positive",
                     (long long)j);
        h->rarest[j] = h->surprise[j * h->bins];
        for (int64_t b = 1; b < h->bins; b++)
            h->rarest[j] = fmax(h->rarest[j], h->surprise[j * h->bins + b]);
    }
    return DUM_OK;
}

static void release(void *state)
{
    histograms *h = state;
    dumi_free(h->head.context, h->rarest);
}

static const dumi_array arrays[] = {
    {"hbos.least", DUMI_F64, offsetof(histograms, least), DUMI_COLS, DUMI_VECTOR},
    {"hbos.width", DUMI_F64, offsetof(histograms, width), DUMI_COLS, DUMI_VECTOR},
    {"hbos.surprise", DUMI_F64, offsetof(histograms, surprise), DUMI_COLS, BIN_COUNT},
};
static const dumi_layout layout = {
    .bytes = sizeof(histograms), .count = 3, .arrays = arrays, .ready = ready, .release = release};

typedef struct {
    const histograms *h;
    const dumi_fitting *f;
} counting;

static void count_task(void *argument, int64_t col, int32_t worker)
{
    (void)worker;
    const counting *c = argument;
    count_column(c->h, col, c->f->rows, c->f->count, c->f->values[ALPHA]);
}

static dum_status fit(dumi_fitting *f, void **state)
{
    const int64_t sizes[DUMI_STATE_SIZES] = {[DUMI_COLS] = f->cols, [BIN_COUNT] = (int64_t)f->values[BINS]};
    histograms *h;
    DUMI_TRY(dumi_state_create(f->context, &layout, sizes, (void **)&h));
    h->cols = f->cols;
    h->bins = sizes[BIN_COUNT];
    counting c = {h, f};
    const dumi_watch watch = dumi_fitting_watch(f);
    const dum_status status = dumi_parallel_watched(f->context, f->context->threads, f->cols,
                                                    20.0 * (double)f->count * f->cols, count_task, &c, &watch);
    if (status != DUM_OK) {
        dumi_state_destroy(h);
        return status;
    }
    return dumi_state_ready(f->values, h, state);
}

static double surprise_at(const histograms *h, int64_t j, double value)
{
    const double *surprise = h->surprise + j * h->bins, reach = h->tolerance * h->width[j];
    const int64_t bin = bin_of(h, j, value);
    if (bin < 0)
        return h->least[j] - value <= reach ? surprise[0] : h->rarest[j];
    if (bin == h->bins)
        return value - (h->least[j] + (double)h->bins * h->width[j]) <= reach ? surprise[h->bins - 1]
                                                                              : h->rarest[j];
    return surprise[bin];
}

/* Parts: how much rarer than the column's commonest bin, so that none is negative. */
static double score_row(const void *state, const float *row, float *parts)
{
    const histograms *h = state;
    double sum = 0;
    for (int64_t j = 0; j < h->cols; j++) {
        const double part = surprise_at(h, j, (double)row[j]);
        sum += part;
        if (parts == NULL)
            continue;
        double least = part;
        for (int64_t b = 0; b < h->bins; b++)
            least = fmin(least, h->surprise[j * h->bins + b]);
        parts[j] = (float)(part - least);
    }
    return sum;
}

const dumi_scorer_kind dumi_scorer_hbos = {
    .name = "hbos",
    .params = {"scorer hbos", PARAMS, param},
    .fit_rows = fit,
    .layout = &layout,
    .row = score_row,
    .row_cost = 10,
    .row_explains = true,
};
