/* SPDX-License-Identifier: MIT
 * Kind "hbos" (Goldstein & Dengel 2012): the density of each value in a histogram of its column; the columns are
 * taken for independent. */
#include "scorer/rows.h"

#include <math.h>

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
    dum_context *context;
    int32_t cols, bins;
    double tolerance;
    double *least, *width; /* of each column: where its bins begin, and how wide one is */
    double *surprise;      /* cols x bins: -log2(density + alpha) */
    double *rarest;        /* the largest of each column */
} histograms;

static void destroy(void *state)
{
    histograms *h = state;
    if (h == NULL)
        return;
    dum_context *context = h->context;
    dumi_free(context, h->least);
    dumi_free(context, h->surprise);
    dumi_free(context, h);
    dum_context_destroy(context);
}

static dum_status create(dum_context *context, const double *values, int32_t cols, histograms **out)
{
    histograms *h;
    DUMI_TRY(DUMI_NEW(context, h, 1));
    *h = (histograms){.context = dumi_context_keep(context),
                      .cols = cols,
                      .bins = (int32_t)values[BINS],
                      .tolerance = values[TOLERANCE]};
    h->least = dumi_alloc(context, 3 * (size_t)cols, sizeof *h->least);
    h->surprise =
        h->least != NULL ? dumi_alloc(context, (size_t)cols * (size_t)h->bins, sizeof *h->surprise) : NULL;
    if (h->surprise == NULL) {
        const dum_status status = dumi_status();
        destroy(h);
        return status;
    }
    h->width = h->least + cols;
    h->rarest = h->width + cols;
    *out = h;
    return DUM_OK;
}

/* The bin of a value; -1 and `bins` outside. The largest value belongs to the last bin. */
static int32_t bin_of(const histograms *h, int32_t j, double value)
{
    const double least = h->least[j], width = h->width[j];
    if (value < least)
        return -1;
    const double at = floor((value - least) / width);
    int32_t bin = at < h->bins ? (int32_t)at : h->bins;
    /* Rounding: the edge itself decides. */
    if (bin < h->bins && bin > 0 && value < least + bin * width)
        bin--;
    else if (bin + 1 < h->bins && value >= least + (bin + 1) * width)
        bin++;
    return bin == h->bins && value <= least + h->bins * width ? h->bins - 1 : bin;
}

static void find_rarest(histograms *h)
{
    for (int32_t j = 0; j < h->cols; j++) {
        h->rarest[j] = h->surprise[(int64_t)j * h->bins];
        for (int32_t b = 1; b < h->bins; b++)
            h->rarest[j] = fmax(h->rarest[j], h->surprise[(int64_t)j * h->bins + b]);
    }
}

static void count_column(histograms *h, int32_t j, const float *rows, int64_t n, double alpha)
{
    double least = (double)rows[j], most = least, *surprise = h->surprise + (int64_t)j * h->bins;
    for (int64_t i = 1; i < n; i++) {
        least = fmin(least, (double)rows[i * h->cols + j]);
        most = fmax(most, (double)rows[i * h->cols + j]);
    }
    if (!(most > least)) { /* as NumPy has it for a constant column */
        least -= 0.5;
        most += 0.5;
    }
    h->least[j] = least;
    h->width[j] = (most - least) / h->bins;
    for (int32_t b = 0; b < h->bins; b++)
        surprise[b] = 0;
    for (int64_t i = 0; i < n; i++) {
        const int32_t bin = bin_of(h, j, (double)rows[i * h->cols + j]);
        surprise[bin < 0 ? 0 : bin < h->bins ? bin : h->bins - 1] += 1;
    }
    for (int32_t b = 0; b < h->bins; b++)
        surprise[b] = -log2(surprise[b] / ((double)n * h->width[j]) + alpha);
}

static dum_status fit(dum_context *context, const double *values, const void *old, const dum_dataset *data,
                      const dum_fit_options *options, void **state)
{
    (void)old;
    float *rows;
    DUMI_TRY(dumi_rows_read(context, data, options, &rows));
    histograms *h = NULL;
    const dum_status status = create(context, values, data->cols, &h);
    if (status == DUM_OK) {
        for (int32_t j = 0; j < h->cols; j++)
            count_column(h, j, rows, data->rows, values[ALPHA]);
        find_rarest(h);
        *state = h;
    }
    dumi_free(context, rows);
    return status;
}

static double surprise_at(const histograms *h, int32_t j, double value)
{
    const double *surprise = h->surprise + (int64_t)j * h->bins, reach = h->tolerance * h->width[j];
    const int32_t bin = bin_of(h, j, value);
    if (bin < 0)
        return h->least[j] - value <= reach ? surprise[0] : h->rarest[j];
    if (bin == h->bins)
        return value - (h->least[j] + h->bins * h->width[j]) <= reach ? surprise[h->bins - 1] : h->rarest[j];
    return surprise[bin];
}

/* Parts: how much rarer than the column's commonest bin, so that none is negative. */
static double score_row(const void *state, const float *row, float *parts)
{
    const histograms *h = state;
    double sum = 0;
    for (int32_t j = 0; j < h->cols; j++) {
        const double part = surprise_at(h, j, (double)row[j]);
        sum += part;
        if (parts == NULL)
            continue;
        double least = part;
        for (int32_t b = 0; b < h->bins; b++)
            least = fmin(least, h->surprise[(int64_t)j * h->bins + b]);
        parts[j] = (float)(part - least);
    }
    return sum;
}

static dum_status score(const double *values, void *state, const float *data, int64_t rows, int32_t cols,
                        int64_t row_stride, double *scores)
{
    (void)values;
    const histograms *h = state;
    return dumi_rows_score(h->context, score_row, h, 10.0 * cols, data, rows, cols, row_stride, scores);
}

static dum_status explain(const double *values, void *state, int64_t row, float *x, float *scratch,
                          float *share, float *deviation)
{
    (void)values;
    (void)scratch;
    return dumi_rows_explain(score_row, state, ((histograms *)state)->cols, row, x, share, deviation);
}

static dum_status write_state(const void *state, const void *prepared, dumi_model_writer *writer)
{
    (void)prepared;
    const histograms *h = state;
    DUMI_TRY(dumi_writer_tensor(writer, "hbos.least", DUMI_F64, h->cols, 0, h->least));
    DUMI_TRY(dumi_writer_tensor(writer, "hbos.width", DUMI_F64, h->cols, 0, h->width));
    return dumi_writer_tensor(writer, "hbos.surprise", DUMI_F64, h->cols, h->bins, h->surprise);
}

static dum_status read_state(dum_context *context, const dumi_reader *reader, const double *values,
                             int32_t *cols, void **state)
{
    const dumi_tensor *surprise = dumi_reader_find(reader, "hbos.surprise");
    DUMI_REQUIRE(surprise != NULL && surprise->rank == 2 && surprise->dtype == DUMI_F64 &&
                     surprise->shape[0] >= 1 && surprise->shape[0] <= INT32_MAX &&
                     surprise->shape[1] == (int64_t)values[BINS],
                 DUM_ERR_FORMAT, "tensor hbos.surprise is missing or its shape does not fit the options");
    histograms *h = NULL;
    DUMI_TRY(create(context, values, (int32_t)surprise->shape[0], &h));
    dum_status status;
    DUMI_GO(dumi_reader_copy(reader, "hbos.least", DUMI_F64, h->cols, 0, h->least));
    DUMI_GO(dumi_reader_copy(reader, "hbos.width", DUMI_F64, h->cols, 0, h->width));
    DUMI_GO(dumi_reader_copy(reader, "hbos.surprise", DUMI_F64, h->cols, h->bins, h->surprise));
    for (int32_t j = 0; j < h->cols; j++)
        if (!(h->width[j] > 0))
            DUMI_GO(dumi_fail(DUM_ERR_FORMAT, "tensor hbos.width: element %d is not positive", j));
    find_rarest(h);
    *cols = h->cols;
    *state = h;
    return DUM_OK;
done:
    destroy(h);
    return status;
}

const dumi_scorer_kind dumi_scorer_hbos = {
    .name = "hbos",
    .params = {"scorer hbos", PARAMS, param},
    .fit = fit,
    .destroy = destroy,
    .score = score,
    .explain = explain,
    .write = write_state,
    .read = read_state,
};
