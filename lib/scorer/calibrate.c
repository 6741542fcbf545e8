/* SPDX-License-Identifier: MIT
 * Whole datasets; and from scores to decisions: split conformal prediction (Vovk, Gammerman & Shafer
 * 2005). */
#include "scorer/scorer.h"

#include <math.h>

enum { CHUNK_FLOATS = 1 << 20, MOST_CHUNK_ROWS = 4096 };

dum_status dumi_scorer_check_names(const dum_scorer *scorer, const dum_dataset *data)
{
    if (scorer->names == NULL || data->names == NULL)
        return DUM_OK;
    for (int32_t j = 0; j < scorer->cols; j++)
        DUMI_REQUIRE(strcmp(scorer->names[j], data->names[j]) == 0, DUM_ERR_ARGUMENT,
                     "column %d is named \"%.60s\", the scorer was fitted with \"%.60s\" there", j,
                     data->names[j], scorer->names[j]);
    return DUM_OK;
}

static dum_status score_chunks(const dum_scorer *scorer, const dum_dataset *data, double *scores)
{
    const int32_t cols = data->cols;
    int64_t most = CHUNK_FLOATS / cols;
    most = most > MOST_CHUNK_ROWS ? MOST_CHUNK_ROWS : most < 1 ? 1 : most;
    most = most < data->rows ? most : data->rows;
    float *rows = NULL;
    int64_t *indices = NULL;
    dum_status status;
    DUMI_GO(DUMI_NEW(scorer->context, rows, (size_t)most * (size_t)cols));
    DUMI_GO(DUMI_NEW(scorer->context, indices, most));
    for (int64_t first = 0; first < data->rows; first += most) {
        const int64_t count = data->rows - first < most ? data->rows - first : most;
        for (int64_t i = 0; i < count; i++)
            indices[i] = first + i;
        DUMI_GO(dumi_dataset_gather(data, indices, count, rows));
        status = dumi_scorer_score_rows(scorer, rows, count, cols, scores + first);
        if (status != DUM_OK) {
            dumi_shift_row(first);
            goto done;
        }
    }
done:
    dumi_free(scorer->context, rows);
    dumi_free(scorer->context, indices);
    return status;
}

static dum_status score_dataset(const dum_scorer *scorer, const dum_dataset *data, double *scores)
{
    DUMI_REQUIRE(data->cols == scorer->cols, DUM_ERR_SHAPE,
                 "the data have %d columns, the scorer was fitted on %d", data->cols, scorer->cols);
    DUMI_TRY(dumi_scorer_check_names(scorer, data));
    return score_chunks(scorer, data, scores);
}

dum_status dum_scorer_score_dataset(const dum_scorer *scorer, const dum_dataset *data, double *scores)
{
    dumi_clear_error();
    DUMI_TRY(dumi_scorer_check_fitted(scorer));
    DUMI_NOT_NULL(data);
    DUMI_NOT_NULL(scores);
    return score_dataset(scorer, data, scores);
}

dum_status dumi_scorer_sorted_scores(const dum_scorer *scorer, const dum_dataset *data, double **out)
{
    double *scores;
    DUMI_TRY(DUMI_NEW(scorer->context, scores, data->rows));
    const dum_status status = score_dataset(scorer, data, scores);
    if (status != DUM_OK) {
        dumi_free(scorer->context, scores);
        return status;
    }
    dumi_sort_double(scores, data->rows);
    *out = scores;
    return DUM_OK;
}

dum_status dum_scorer_calibrate(dum_scorer *scorer, const dum_dataset *held_out)
{
    dumi_clear_error();
    DUMI_TRY(dumi_scorer_check_fitted(scorer));
    DUMI_NOT_NULL(held_out);
    double *scores;
    DUMI_TRY(dumi_scorer_sorted_scores(scorer, held_out, &scores));
    dumi_free(scorer->context, scorer->calibration);
    scorer->calibration = scores;
    scorer->calibration_count = held_out->rows;
    return DUM_OK;
}

int64_t dum_scorer_calibration_count(const dum_scorer *scorer)
{
    return scorer != NULL ? scorer->calibration_count : 0;
}

static dum_status check_calibrated(const dum_scorer *scorer)
{
    DUMI_TRY(dumi_scorer_check_fitted(scorer));
    DUMI_REQUIRE(scorer->calibration_count > 0, DUM_ERR_STATE,
                 "scorer is not calibrated: call dum_scorer_calibrate, or fit with option holdout");
    return DUM_OK;
}

dum_status dum_scorer_threshold(const dum_scorer *scorer, double false_alarm_rate, double *threshold)
{
    dumi_clear_error();
    DUMI_TRY(check_calibrated(scorer));
    DUMI_NOT_NULL(threshold);
    DUMI_REQUIRE(false_alarm_rate > 0 && false_alarm_rate < 1, DUM_ERR_ARGUMENT,
                 "false_alarm_rate is %s, expected more than 0 and less than 1",
                 dumi_show(false_alarm_rate).text);
    const double n = (double)scorer->calibration_count;
    /* A product that should be whole must not be lifted by rounding. */
    const double rank = ceil((n + 1) * (1 - false_alarm_rate) * (1 - 1e-15));
    DUMI_REQUIRE(rank <= n, DUM_ERR_ARGUMENT,
                 "false_alarm_rate %s needs %.0f calibration rows or more, the scorer has %.0f",
                 dumi_show(false_alarm_rate).text, ceil(1 / false_alarm_rate * (1 - 1e-15)) - 1, n);
    *threshold = scorer->calibration[rank < 1 ? 0 : (int64_t)rank - 1];
    return DUM_OK;
}

int64_t dumi_scorer_count_below(const dum_scorer *scorer, double score, bool at)
{
    int64_t low = 0, high = scorer->calibration_count;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        const double other = scorer->calibration[middle];
        if (other < score || (at && other == score))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

dum_status dum_scorer_pvalue(const dum_scorer *scorer, const double *scores, int64_t n, double *p)
{
    dumi_clear_error();
    DUMI_TRY(check_calibrated(scorer));
    DUMI_REQUIRE(n >= 0, DUM_ERR_ARGUMENT, "n is %lld, expected 0 or more", (long long)n);
    DUMI_REQUIRE((scores != NULL && p != NULL) || n == 0, DUM_ERR_ARGUMENT, "scores or p is NULL");
    for (int64_t i = 0; i < n; i++)
        DUMI_REQUIRE(!isnan(scores[i]), DUM_ERR_NONFINITE, "scores[%lld] is NaN", (long long)i);
    const int64_t count = scorer->calibration_count;
    for (int64_t i = 0; i < n; i++)
        p[i] = (double)(1 + count - dumi_scorer_count_below(scorer, scores[i], false)) / (double)(1 + count);
    return DUM_OK;
}
