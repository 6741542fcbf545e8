/* SPDX-License-Identifier: MIT
 * The rows that score highest, and what made them score so. */
#include "report.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    double score;
    int64_t row;
} scored_row;

/* Highest first; of equals the earlier row. */
static int by_score(const void *a, const void *b)
{
    const scored_row *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static int rank(const double *scores, int64_t n, top_rows *top)
{
    scored_row *order = malloc((size_t)n * sizeof *order);
    if (order == NULL)
        return fail("out of memory");
    for (int64_t i = 0; i < n; i++)
        order[i] = (scored_row){scores[i], i};
    qsort(order, (size_t)n, sizeof *order, by_score);
    for (int32_t i = 0; i < top->count; i++) {
        top->rows[i].row = order[i].row;
        top->rows[i].score = order[i].score;
    }
    free(order);
    return TOOL_OK;
}

static int add_pvalues(const dum_scorer *scorer, top_rows *top)
{
    top->has_p = dum_scorer_calibration_count(scorer) > 0;
    for (int32_t i = 0; i < top->count && top->has_p; i++)
        if (dum_scorer_pvalue(scorer, &top->rows[i].score, 1, &top->rows[i].p) != DUM_OK)
            return fail_library("p-value");
    return TOOL_OK;
}

/* One row and what explain says of it, each one float a column. */
typedef struct {
    int32_t cols;
    float *x, *share, *deviation;
} explained_row;

static void keep_largest(const explained_row *e, top_row *row)
{
    for (int32_t j = 0; j < e->cols; j++) {
        int32_t at = row->count;
        while (at > 0 && e->share[j] > row->features[at - 1].share)
            at--;
        if (at == TOP_FEATURES || !(e->share[j] > 0))
            continue;
        row->count += row->count < TOP_FEATURES;
        for (int32_t k = row->count - 1; k > at; k--)
            row->features[k] = row->features[k - 1];
        row->features[at] = (feature){j, e->x[j], e->share[j], e->deviation[j]};
    }
}

static dum_status explain(const dum_scorer *scorer, const explained_row *e, top_rows *top)
{
    dum_status status = DUM_ERR_UNSUPPORTED;
    if (top->has_deviation)
        status = dum_scorer_explain(scorer, e->x, 1, e->cols, 0, e->share, e->deviation);
    /* Not every kind that has shares has a deviation. */
    if (status == DUM_ERR_UNSUPPORTED) {
        top->has_deviation = false;
        status = dum_scorer_explain(scorer, e->x, 1, e->cols, 0, e->share, NULL);
    }
    return status;
}

static int explain_rows(const inputs *in, const explained_row *e, top_rows *top)
{
    top->has_shares = top->has_deviation = true;
    for (int32_t i = 0; i < top->count; i++) {
        if (dum_dataset_read(in->data.dataset, top->rows[i].row, 1, e->x) != DUM_OK)
            return fail_library("data");
        const dum_status status = explain(in->scorer, e, top);
        if (status == DUM_ERR_UNSUPPORTED) {
            top->has_shares = false;
            snprintf(top->reason, sizeof top->reason, "%s", dum_error_message());
            return TOOL_OK;
        }
        if (status != DUM_OK)
            return fail_library("explain");
        keep_largest(e, &top->rows[i]);
        for (int32_t j = 0; j < e->cols; j++)
            top->mean_share[j] += (double)e->share[j] / top->count;
    }
    return TOOL_OK;
}

int find_top(const inputs *in, const double *scores, int32_t most, top_rows *out)
{
    const int64_t n = dum_dataset_rows(in->data.dataset);
    const int32_t cols = dum_dataset_cols(in->data.dataset), wanted = most > 0 ? most : TOP_DEFAULT;
    memset(out, 0, sizeof *out);
    out->count = n < wanted ? (int32_t)n : wanted;
    out->rows = calloc((size_t)out->count, sizeof *out->rows);
    out->mean_share = calloc((size_t)cols, sizeof *out->mean_share);
    float *work = calloc(3 * (size_t)cols, sizeof *work);
    int status = TOOL_OK;
    if (out->rows == NULL || out->mean_share == NULL || work == NULL)
        status = fail("out of memory");
    if (status == TOOL_OK)
        status = rank(scores, n, out);
    if (status == TOOL_OK)
        status = add_pvalues(in->scorer, out);
    if (status == TOOL_OK)
        status = explain_rows(in, &(explained_row){cols, work, work + cols, work + 2 * (int64_t)cols}, out);
    free(work);
    return status;
}

void free_top(top_rows *top)
{
    free(top->rows);
    free(top->mean_share);
}

const char *column_name(const inputs *in, int32_t col)
{
    const char *name = dum_scorer_feature_name(in->scorer, col);
    return name != NULL ? name : dum_dataset_feature_name(in->data.dataset, col);
}
