/* SPDX-License-Identifier: MIT
 * Kind "gram" (Sastry & Oore 2020, "Detecting Out-of-Distribution Examples with Gram Matrices"), on an encoder's output
 * "gram-all" or "gram": by how much the sums of the Gram matrices of each part (a map of a convolution, or of a stage)
 * leave the range that rows of the same predicted class had in training, each part relative to what it is for rows that
 * made no range. The authors take those from a validation set; here every tenth training row is one. */
#include "scorer/rows.h"

#include <float.h>
#include <math.h>
#include <stddef.h>

enum { CLASSES = DUMI_SCORER_PARAMS, PARAMS };
enum { HELD = 10 }; /* one row of so many */

static const dumi_param own = {
    "classes", 0,    0,    65536,
    NULL,      NULL, true, "how many of the last columns are logits; 0: as the encoder says"};

static const dumi_param *param(int32_t index)
{
    return index == DUMI_SCORER_HOLDOUT ? &dumi_scorer_holdout : &own;
}

typedef struct {
    dumi_state head;
    int64_t *parts;       /* columns of each */
    double *expected;     /* deviation of each */
    double *least, *most; /* predicted classes x columns of the parts */
} gram;

enum { PARTS = 1, LOGITS, SUMS };

static dum_status check(const double *values, void *state)
{
    (void)values;
    gram *g = state;
    int64_t cols = 0;
    for (int64_t s = 0; s < g->head.sizes[PARTS]; s++) {
        DUMI_REQUIRE(g->parts[s] >= 1 && g->parts[s] <= INT32_MAX && g->expected[s] > 0, DUM_ERR_FORMAT,
                     "part %lld of the model has %lld columns and deviates by %g", (long long)s,
                     (long long)g->parts[s], g->expected[s]);
        cols += g->parts[s];
    }
    DUMI_REQUIRE(cols == g->head.sizes[SUMS], DUM_ERR_FORMAT, "tensor gram.parts does not fit the others");
    g->head.sizes[DUMI_COLS] = g->head.sizes[SUMS] + g->head.sizes[LOGITS];
    return DUM_OK;
}

static const dumi_array arrays[] = {
    {"gram.parts", DUMI_I64, offsetof(gram, parts), PARTS, DUMI_VECTOR},
    {"gram.expected", DUMI_F64, offsetof(gram, expected), PARTS, DUMI_VECTOR},
    {"gram.least", DUMI_F64, offsetof(gram, least), LOGITS, SUMS},
    {"gram.most", DUMI_F64, offsetof(gram, most), LOGITS, SUMS},
};
static const dumi_layout layout = {.bytes = sizeof(gram), .count = 4, .arrays = arrays, .ready = check};

static int64_t predicted(const gram *g, const float *row)
{
    const float *logits = row + g->head.sizes[SUMS];
    int64_t best = 0;
    for (int64_t c = 1; c < g->head.sizes[LOGITS]; c++)
        best = logits[c] > logits[best] ? c : best;
    return best;
}

/* How far a value is outside a range, in units of the end that it passed. */
static double outside(double value, double least, double most)
{
    const double passed = value < least ? least : most, gap = value < least ? least - value : value - most;
    return gap > 0 ? gap / fmax(fabs(passed + 1e-6), 1e-12) : 0;
}

/* Of columns at .. at + cols - 1 of a row. */
static double deviation(const gram *g, const float *row, int64_t at, int64_t cols)
{
    const int64_t from = predicted(g, row) * g->head.sizes[SUMS];
    double sum = 0;
    for (int64_t j = at; j < at + cols; j++)
        sum += outside((double)row[j], g->least[from + j], g->most[from + j]);
    return sum;
}

/* ---- Fitting ------------------------------------------------------------------------------- */

static bool makes_range(const dumi_fitting *f, int64_t row)
{
    return f->count < HELD || row % HELD != HELD - 1;
}

static void widen(gram *g, const float *row)
{
    const int64_t from = predicted(g, row) * g->head.sizes[SUMS];
    for (int64_t j = 0; j < g->head.sizes[SUMS]; j++) {
        g->least[from + j] = fmin(g->least[from + j], (double)row[j]);
        g->most[from + j] = fmax(g->most[from + j], (double)row[j]);
    }
}

static void add_deviations(gram *g, const float *row)
{
    for (int64_t s = 0, at = 0; s < g->head.sizes[PARTS]; at += g->parts[s++])
        g->expected[s] += deviation(g, row, at, g->parts[s]);
}

/* The rows that make ranges, or the others: with an encoder each row is made once, and none is kept. */
static dum_status for_rows(const dumi_fitting *f, gram *g, bool ranges, void (*take)(gram *, const float *))
{
    enum { READ_ROWS = 64 };
    float *rows;
    DUMI_TRY(DUMI_NEW_ROWS(f->context, rows, READ_ROWS, f->cols));
    dum_status status = DUM_OK;
    for (int64_t at = 0; at < f->count && status == DUM_OK;) {
        int64_t indices[READ_ROWS], count = 0;
        for (; at < f->count && count < READ_ROWS; at++)
            if (makes_range(f, at) == ranges)
                indices[count++] = at;
        status = dumi_fitting_progress(f, ranges ? at : f->count, f->count, 0);
        if (status == DUM_OK && count > 0)
            status = dumi_fitting_read(f, indices, count, rows);
        for (int64_t i = 0; i < count && status == DUM_OK; i++)
            take(g, rows + i * f->cols);
    }
    dumi_free(f->context, rows);
    return status;
}

/* A class that no row is taken for gets the ranges of all rows. */
static void fill_range(gram *g, int64_t empty)
{
    const int64_t sums = g->head.sizes[SUMS];
    double *least = g->least + empty * sums, *most = g->most + empty * sums;
    for (int64_t c = 0; c < g->head.sizes[LOGITS]; c++)
        for (int64_t j = 0; j < sums; j++) {
            least[j] = fmin(least[j], g->least[c * sums + j]);
            most[j] = fmax(most[j], g->most[c * sums + j]);
        }
}

static dum_status find_ranges(const dumi_fitting *f, gram *g)
{
    const int64_t sums = g->head.sizes[SUMS], classes = g->head.sizes[LOGITS];
    for (int64_t at = 0; at < classes * sums; at++) {
        g->least[at] = DBL_MAX;
        g->most[at] = -DBL_MAX;
    }
    DUMI_TRY(for_rows(f, g, true, widen));
    for (int64_t c = 0; c < classes; c++)
        if (g->least[c * sums] == DBL_MAX)
            fill_range(g, c);
    return DUM_OK;
}

static dum_status find_expected(const dumi_fitting *f, gram *g)
{
    const int64_t rows = f->count / HELD;
    memset(g->expected, 0, (size_t)g->head.sizes[PARTS] * sizeof *g->expected);
    DUMI_TRY(for_rows(f, g, false, add_deviations));
    for (int64_t s = 0; s < g->head.sizes[PARTS]; s++)
        g->expected[s] = g->expected[s] > 0 ? fmin(g->expected[s] / (double)rows, 1e300) : 1;
    return DUM_OK;
}

/* The maps, then the logits. */
static dum_status find_parts(const dumi_fitting *f, int64_t *parts, int64_t *logits)
{
    *logits = (int64_t)f->values[CLASSES];
    *parts = 1;
    if (f->part_count > 1) {
        *parts = f->part_count - 1;
        *logits = *logits > 0 ? *logits : f->parts[*parts];
    }
    DUMI_REQUIRE(*logits > 0, DUM_ERR_ARGUMENT,
                 "option classes is 0, expected the number of logits: no encoder says how many there are");
    DUMI_REQUIRE(*logits < f->cols && (f->part_count == 1 || *logits == f->parts[*parts]), DUM_ERR_SHAPE,
                 "option classes is %lld, which does not fit the data's %d columns", (long long)*logits,
                 f->cols);
    return DUM_OK;
}

static dum_status fit(dumi_fitting *f, void **state)
{
    int64_t sizes[DUMI_STATE_SIZES] = {[DUMI_COLS] = f->cols};
    gram *g;
    DUMI_TRY(find_parts(f, &sizes[PARTS], &sizes[LOGITS]));
    sizes[SUMS] = f->cols - sizes[LOGITS];
    DUMI_TRY(dumi_state_create(f->context, &layout, sizes, (void **)&g));
    g->parts[0] = sizes[SUMS];
    for (int64_t s = 0; s < sizes[PARTS] && f->part_count > 1; s++)
        g->parts[s] = f->parts[s];
    dum_status status = find_ranges(f, g);
    if (status == DUM_OK)
        status = find_expected(f, g);
    if (status != DUM_OK) {
        dumi_state_destroy(g);
        return status;
    }
    return dumi_state_ready(f->values, g, state);
}

static double score_row(const void *state, const float *row, float *parts)
{
    (void)parts;
    const gram *g = state;
    double sum = 0;
    for (int64_t s = 0, at = 0; s < g->head.sizes[PARTS]; at += g->parts[s++])
        sum += deviation(g, row, at, g->parts[s]) / g->expected[s];
    return sum <= DBL_MAX ? sum : DBL_MAX;
}

const dumi_scorer_kind dumi_scorer_gram = {
    .name = "gram",
    .params = {"scorer gram", PARAMS, param},
    .outputs = DUMI_OUTPUT(GRAM) | DUMI_OUTPUT(GRAM_ALL),
    .streams = true,
    .fit_rows = fit,
    .layout = &layout,
    .row = score_row,
    .row_cost = 10,
};
