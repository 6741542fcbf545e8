/* SPDX-License-Identifier: MIT
 * The handle: options, fit, push, reset. */
#include "monitor/monitor.h"
#include "scorer/scorer.h"
#include "stats/stats.h"

#include <stdio.h>

enum { CHUNK = 256 };

dum_status dum_monitor_create(dum_context *context, dum_monitor **out)
{
    dumi_clear_error();
    DUMI_NOT_NULL(out);
    *out = NULL;
    DUMI_NOT_NULL(context);
    dum_monitor *monitor;
    DUMI_TRY(DUMI_NEW(context, monitor, 1));
    monitor->context = dumi_context_keep(context);
    monitor->live = NULL;
    for (int32_t i = 0; i < DUMI_M_PARAMS; i++)
        monitor->values[i] = dumi_monitor_params.param(i)->value;
    *out = monitor;
    return DUM_OK;
}

void dum_monitor_destroy(dum_monitor *monitor)
{
    if (monitor == NULL)
        return;
    dum_context *context = monitor->context;
    dumi_monitor_live_destroy(monitor->live);
    dumi_free(context, monitor);
    dum_context_destroy(context);
}

/* ---- Options ------------------------------------------------------------------------------ */

int32_t dum_monitor_param_count(void)
{
    return DUMI_M_PARAMS;
}

dum_status dum_monitor_param_get(int32_t index, dum_param_info *info)
{
    dumi_clear_error();
    return dumi_params_describe(&dumi_monitor_params, index, info);
}

static dum_status check_settable(const dum_monitor *monitor)
{
    DUMI_NOT_NULL(monitor);
    DUMI_REQUIRE(monitor->live == NULL, DUM_ERR_STATE, "monitor is fitted: set options before fit");
    return DUM_OK;
}

dum_status dum_monitor_set_number(dum_monitor *monitor, const char *name, double value)
{
    dumi_clear_error();
    int32_t index;
    DUMI_TRY(check_settable(monitor));
    return dumi_params_set_number(&dumi_monitor_params, monitor->values, name, value, &index);
}

dum_status dum_monitor_set_text(dum_monitor *monitor, const char *name, const char *value)
{
    dumi_clear_error();
    int32_t index;
    DUMI_TRY(check_settable(monitor));
    return dumi_params_set_text(&dumi_monitor_params, monitor->values, name, value, &index);
}

dum_status dum_monitor_get_number(const dum_monitor *monitor, const char *name, double *value)
{
    dumi_clear_error();
    DUMI_NOT_NULL(monitor);
    return dumi_params_get_number(&dumi_monitor_params, monitor->values, name, value);
}

dum_status dum_monitor_get_text(const dum_monitor *monitor, const char *name, const char **value)
{
    dumi_clear_error();
    DUMI_NOT_NULL(monitor);
    return dumi_params_get_text(&dumi_monitor_params, monitor->values, name, value);
}

/* ---- The live part ------------------------------------------------------------------------ */

void dumi_monitor_live_destroy(dumi_monitor_live *m)
{
    if (m == NULL)
        return;
    dum_context *context = m->context;
    pthread_mutex_destroy(&m->lock);
    dumi_free(context, m->reference);
    dumi_free(context, m->edges);
    dumi_free(context, m->bag);
    dumi_free(context, m->peaks);
    dumi_free(context, m->ring);
    dumi_free(context, m->ring_rows);
    dumi_free(context, m->scratch);
    dumi_free(context, m);
}

static dum_status new_doubles(dum_context *context, int64_t count, double **out)
{
    *out = dumi_alloc(context, (size_t)count, sizeof **out);
    if (*out == NULL)
        return dumi_status();
    memset(*out, 0, (size_t)count * sizeof **out);
    return DUM_OK;
}

static dum_status new_wholes(dum_context *context, int64_t count, int64_t **out)
{
    DUMI_TRY(DUMI_NEW(context, *out, count));
    memset(*out, 0, (size_t)count * sizeof **out);
    return DUM_OK;
}

static dum_status make_arrays(dumi_monitor_live *m)
{
    DUMI_TRY(new_doubles(m->context, m->kept, &m->reference));
    DUMI_TRY(new_doubles(m->context, m->window, &m->ring));
    DUMI_TRY(new_wholes(m->context, m->window, &m->ring_rows));
    DUMI_TRY(new_doubles(m->context, m->window > DUMI_PEAKS ? m->window : DUMI_PEAKS, &m->scratch));
    if (m->test->tail)
        DUMI_TRY(new_doubles(m->context, DUMI_PEAKS, &m->peaks));
    if (!m->test->ranks)
        return DUM_OK;
    DUMI_TRY(new_doubles(m->context, m->edge_count, &m->edges));
    DUMI_TRY(new_wholes(m->context, DUMI_BINS_OF(m->edge_count), &m->bag));
    return DUM_OK;
}

dum_status dumi_monitor_live_create(dum_context *context, const double *values, int64_t kept, int64_t edges,
                                    dumi_monitor_live **out)
{
    dumi_monitor_live *m;
    DUMI_TRY(DUMI_NEW(context, m, 1));
    memset(m, 0, sizeof *m);
    m->context = context;
    memcpy(m->values, values, sizeof m->values);
    m->test = &dumi_monitor_tests[(int)values[DUMI_M_TEST]];
    m->window = (int64_t)values[DUMI_M_WINDOW];
    m->rate = values[DUMI_M_FALSE_ALARMS] * 1e-6 * values[DUMI_M_THIN];
    m->kept = kept;
    m->edge_count = edges;
    if (pthread_mutex_init(&m->lock, NULL) != 0) {
        dumi_free(context, m);
        return dumi_fail(DUM_ERR_NOMEM, "the system has no lock for the monitor");
    }
    const dum_status status = make_arrays(m);
    if (status == DUM_OK)
        *out = m;
    else
        dumi_monitor_live_destroy(m);
    return status;
}

void dumi_monitor_prepare(dumi_monitor_live *m)
{
    m->ties = 0;
    for (int64_t i = 0, next; i < m->kept; i = next) {
        for (next = i + 1; next < m->kept && !(m->reference[next] > m->reference[i]); next++)
            ;
        const double group = (double)(next - i);
        m->ties += group * group * group - group;
    }
    if (m->test->tail)
        m->threshold = m->sums.peak_threshold;
    else if (m->test->ranks)
        m->threshold = dumi_monitor_rank_threshold(m);
    else
        m->threshold = -log10(m->rate * (double)m->window);
}

/* ---- Fit ---------------------------------------------------------------------------------- */

/* `probe` has the options and no arrays. */
static dum_status check_reference(const dumi_monitor_live *probe, int64_t rows)
{
    const double alarms = probe->values[DUMI_M_FALSE_ALARMS];
    const char *name = dumi_monitor_params.param(DUMI_M_TEST)->texts[(int)probe->values[DUMI_M_TEST]];
    const double span = probe->test->ranks || probe->test->tail ? 1 : (double)probe->window;
    DUMI_REQUIRE(probe->rate * span <= 0.5, DUM_ERR_ARGUMENT,
                 "false_alarms %s with thin %.0f and window %lld: every second test would be an alarm",
                 dumi_show(alarms).text, probe->values[DUMI_M_THIN], (long long)probe->window);
    const double needed = fmax(probe->test->rows_needed(probe), 16);
    DUMI_REQUIRE(isfinite(needed), DUM_ERR_ARGUMENT,
                 "test %s cannot have false_alarms %s with window %lld, whatever the reference", name,
                 dumi_show(alarms).text, (long long)probe->window);
    const double thin = probe->values[DUMI_M_THIN];
    DUMI_REQUIRE((double)rows >= (needed - 1) * thin + 1, DUM_ERR_SHAPE,
                 "the reference has %lld rows; false_alarms %s with test %s and thin %.0f needs %.0f or more",
                 (long long)rows, dumi_show(alarms).text, name, thin, (needed - 1) * thin + 1);
    return DUM_OK;
}

static dum_status check_options(const dum_monitor *monitor, int64_t rows)
{
    dumi_monitor_live probe;
    memset(&probe, 0, sizeof probe);
    memcpy(probe.values, monitor->values, sizeof probe.values);
    probe.test = &dumi_monitor_tests[(int)probe.values[DUMI_M_TEST]];
    probe.window = (int64_t)probe.values[DUMI_M_WINDOW];
    probe.rate = probe.values[DUMI_M_FALSE_ALARMS] * 1e-6 * probe.values[DUMI_M_THIN];
    return check_reference(&probe, rows);
}

static dum_status take_moments(dumi_monitor_live *m, const double *sorted, int64_t count)
{
    dumi_sum sum = {0, 0}, squares = {0, 0};
    for (int64_t i = 0; i < count; i++)
        dumi_sum_add(&sum, sorted[i]);
    m->moments.rows = (double)count;
    m->moments.mean = dumi_sum_value(&sum) / m->moments.rows;
    for (int64_t i = 0; i < count; i++)
        dumi_sum_add(&squares, (sorted[i] - m->moments.mean) * (sorted[i] - m->moments.mean));
    m->moments.squares = dumi_sum_value(&squares);
    if (!(sorted[0] < sorted[count - 1])) {
        m->moments.mean = sorted[0];
        m->moments.squares = 0;
    }
    DUMI_REQUIRE(isfinite(m->moments.squares), DUM_ERR_NONFINITE,
                 "the scores of the reference go from %s to %s: too far apart for a variance",
                 dumi_show(sorted[0]).text, dumi_show(sorted[count - 1]).text);
    return DUM_OK;
}

/* sorted: ascending, finite; its order is lost. */
static dum_status fit_sorted(dum_monitor *monitor, const dum_scorer *scorer, double *sorted, int64_t count)
{
    const int64_t most = (int64_t)monitor->values[DUMI_M_KEEP], half = count / 2;
    const int64_t kept = count < most ? count : most;
    dumi_monitor_live *m;
    DUMI_TRY(dumi_monitor_live_create(monitor->context, monitor->values, kept,
                                      half < DUMI_EDGES ? half : DUMI_EDGES, &m));
    for (int64_t i = 0; i < kept; i++)
        m->reference[i] = sorted[(int64_t)(((double)i + 0.5) * (double)count / (double)kept)];
    const dum_status status = take_moments(m, sorted, count);
    if (status != DUM_OK) {
        dumi_monitor_live_destroy(m);
        return status;
    }
    if (m->test->tail)
        dumi_monitor_fill_tail(m, sorted, count);
    if (m->test->ranks)
        dumi_monitor_fill_bag(m, sorted, count);
    dumi_monitor_prepare(m);
    if (scorer != NULL) {
        snprintf(m->scorer, sizeof m->scorer, "%s", dum_scorer_kind(scorer));
        m->cols = scorer->cols;
    }
    dumi_monitor_live_destroy(monitor->live);
    monitor->live = m;
    return DUM_OK;
}

/* The reference is thinned as the stream is: rows that resemble each other tell less than their number says. */
static dum_status fit_own(dum_monitor *monitor, const dum_scorer *scorer, double *scores, int64_t rows)
{
    const int64_t thin = (int64_t)monitor->values[DUMI_M_THIN];
    int64_t count = 0;
    for (int64_t i = 0; i < rows; i += thin)
        scores[count++] = scores[i];
    dumi_sort_double(scores, count);
    return fit_sorted(monitor, scorer, scores, count);
}

dum_status dum_monitor_fit_scores(dum_monitor *monitor, const double *scores, int64_t n)
{
    dumi_clear_error();
    DUMI_NOT_NULL(monitor);
    DUMI_NOT_NULL(scores);
    DUMI_REQUIRE(n >= 1, DUM_ERR_ARGUMENT, "n is %lld, expected 1 or more", (long long)n);
    for (int64_t i = 0; i < n; i++)
        DUMI_REQUIRE(isfinite(scores[i]), DUM_ERR_NONFINITE, "scores[%lld] is %s, expected finite",
                     (long long)i, isnan(scores[i]) ? "NaN" : "infinite");
    DUMI_TRY(check_options(monitor, n));
    double *own;
    DUMI_TRY(DUMI_NEW(monitor->context, own, n));
    memcpy(own, scores, (size_t)n * sizeof *own);
    const dum_status status = fit_own(monitor, NULL, own, n);
    dumi_free(monitor->context, own);
    return status;
}

dum_status dum_monitor_fit(dum_monitor *monitor, const dum_scorer *scorer, const dum_dataset *reference)
{
    dumi_clear_error();
    DUMI_NOT_NULL(monitor);
    DUMI_TRY(dumi_scorer_check_fitted(scorer));
    DUMI_NOT_NULL(reference);
    DUMI_TRY(check_options(monitor, reference->rows));
    double *own;
    DUMI_TRY(DUMI_NEW(monitor->context, own, reference->rows));
    dum_status status = dum_scorer_score_dataset(scorer, reference, own);
    if (status == DUM_OK)
        status = fit_own(monitor, scorer, own, reference->rows);
    dumi_free(monitor->context, own);
    return status;
}

/* ---- Push --------------------------------------------------------------------------------- */

static dum_status check_fitted(const dum_monitor *monitor)
{
    DUMI_NOT_NULL(monitor);
    DUMI_REQUIRE(monitor->live != NULL, DUM_ERR_STATE, "monitor is not fitted: call dum_monitor_fit first");
    return DUM_OK;
}

void dumi_monitor_raise(dumi_monitor_live *m)
{
    if (m->counts.alarm != 0)
        return;
    m->counts.alarm = 1;
    m->counts.alarm_row = m->counts.rows;
    m->counts.alarms++;
}

static void take_score(dumi_monitor_live *m, double score)
{
    m->counts.rows++;
    if (!isfinite(score)) {
        m->counts.bad++;
        return;
    }
    const bool same = m->counts.good > 0 && !(score < m->sums.last) && !(score > m->sums.last);
    m->counts.repeats = same ? m->counts.repeats + 1 : 1;
    m->sums.last = score;
    if (m->counts.good++ % (int64_t)m->values[DUMI_M_THIN] != 0)
        return;
    m->ring[m->counts.at] = score;
    m->ring_rows[m->counts.at] = m->counts.rows;
    m->counts.at = (m->counts.at + 1) % m->window;
    m->counts.filled += m->counts.filled < m->window;
    m->counts.used++;
    m->test->row(m, score);
}

/* The scores enter together: no other thread's come between. */
static void take_scores(dumi_monitor_live *m, const double *scores, int64_t n, int32_t *alarm)
{
    pthread_mutex_lock(&m->lock);
    for (int64_t i = 0; i < n; i++)
        take_score(m, scores[i]);
    if (alarm != NULL)
        *alarm = (int32_t)m->counts.alarm;
    pthread_mutex_unlock(&m->lock);
}

dum_status dum_monitor_push_scores(dum_monitor *monitor, const double *scores, int64_t n, int32_t *alarm)
{
    dumi_clear_error();
    DUMI_TRY(check_fitted(monitor));
    DUMI_REQUIRE(n >= 0, DUM_ERR_ARGUMENT, "n is %lld, expected 0 or more", (long long)n);
    DUMI_REQUIRE(scores != NULL || n == 0, DUM_ERR_ARGUMENT, "scores is NULL");
    take_scores(monitor->live, scores, n, alarm);
    return DUM_OK;
}

/* Row by row: what cannot be scored becomes NaN. */
static dum_status score_singly(const dum_scorer *scorer, const float *data, int64_t rows, int64_t row_stride,
                               double *scores)
{
    for (int64_t i = 0; i < rows; i++) {
        const dum_status status =
            dumi_scorer_score_rows(scorer, data + i * row_stride, 1, row_stride, &scores[i]);
        if (status == DUM_ERR_NONFINITE)
            scores[i] = NAN;
        else if (status != DUM_OK)
            return status;
    }
    dumi_clear_error();
    return DUM_OK;
}

static dum_status check_scorer(const dumi_monitor_live *m, const dum_scorer *scorer, int32_t cols)
{
    DUMI_TRY(dumi_scorer_check_fitted(scorer));
    DUMI_REQUIRE(strcmp(m->scorer, dum_scorer_kind(scorer)) == 0 && m->cols == scorer->cols, DUM_ERR_ARGUMENT,
                 "scorer is a %s of %d columns, the monitor was fitted with %.31s%s of %lld",
                 dum_scorer_kind(scorer), scorer->cols, m->scorer[0] != '\0' ? "a " : "scores, not rows",
                 m->scorer, (long long)m->cols);
    DUMI_REQUIRE(cols == scorer->cols, DUM_ERR_SHAPE, "cols is %d, the scorer was fitted on %d columns", cols,
                 scorer->cols);
    return DUM_OK;
}

dum_status dum_monitor_push_rows(dum_monitor *monitor, const dum_scorer *scorer, const float *data,
                                 int64_t rows, int32_t cols, int64_t row_stride, int32_t *alarm)
{
    dumi_clear_error();
    DUMI_TRY(check_fitted(monitor));
    DUMI_TRY(check_scorer(monitor->live, scorer, cols));
    DUMI_REQUIRE(rows >= 0, DUM_ERR_SHAPE, "rows is %lld, expected 0 or more", (long long)rows);
    DUMI_REQUIRE(data != NULL || rows == 0, DUM_ERR_ARGUMENT, "data is NULL");
    row_stride = row_stride == 0 ? cols : row_stride;
    DUMI_REQUIRE(row_stride >= cols, DUM_ERR_SHAPE, "row_stride is %lld, expected cols = %d or more",
                 (long long)row_stride, cols);
    double scores[CHUNK];
    take_scores(monitor->live, scores, 0, alarm);
    for (int64_t first = 0; first < rows; first += CHUNK) {
        const int64_t count = rows - first < CHUNK ? rows - first : CHUNK;
        const float *from = data + first * row_stride;
        dum_status status = dumi_scorer_score_rows(scorer, from, count, row_stride, scores);
        if (status == DUM_ERR_NONFINITE)
            status = score_singly(scorer, from, count, row_stride, scores);
        if (status != DUM_OK)
            return status;
        take_scores(monitor->live, scores, count, alarm);
    }
    return DUM_OK;
}

dum_status dum_monitor_reset(dum_monitor *monitor)
{
    dumi_clear_error();
    DUMI_TRY(check_fitted(monitor));
    dumi_monitor_live *m = monitor->live;
    pthread_mutex_lock(&m->lock);
    m->counts.alarm = 0;
    m->counts.at = m->counts.filled = m->counts.in_window = 0;
    m->sums.statistic = 0;
    if (m->test->ranks)
        dumi_monitor_restart_ranks(m);
    pthread_mutex_unlock(&m->lock);
    return DUM_OK;
}

/* ---- Read --------------------------------------------------------------------------------- */

/* By linear interpolation, as numpy does. */
static double quantile(const double *sorted, int64_t count, double share)
{
    const double place = share * (double)(count - 1);
    const int64_t low = (int64_t)place, high = low + 1 < count ? low + 1 : low;
    return sorted[low] + (place - (double)low) * (sorted[high] - sorted[low]);
}

static void read_window(const dumi_monitor_live *m, dum_monitor_state *s)
{
    s->window_rows = m->counts.filled;
    s->mean = s->quantile_05 = s->median = s->quantile_95 = NAN;
    s->t = s->log10_p = s->cohens_d = s->auroc = NAN;
    if (m->counts.filled < 2)
        return;
    dumi_comparison c;
    const int64_t count = dumi_monitor_sort_window(m);
    dumi_monitor_compare(m, m->scratch, count, &c);
    s->mean = c.mean;
    s->quantile_05 = quantile(m->scratch, count, 0.05);
    s->median = quantile(m->scratch, count, 0.5);
    s->quantile_95 = quantile(m->scratch, count, 0.95);
    s->t = c.t;
    s->log10_p = c.log_p * 0.43429448190325182765;
    s->cohens_d = c.cohens_d;
    s->auroc = c.auroc;
}

dum_status dum_monitor_read(const dum_monitor *monitor, dum_monitor_state *state)
{
    dumi_clear_error();
    DUMI_TRY(check_fitted(monitor));
    dum_monitor_state s;
    DUM_INIT(s);
    dumi_monitor_live *m = monitor->live;
    pthread_mutex_lock(&m->lock);
    s.rows = m->counts.rows;
    s.bad_rows = m->counts.bad;
    s.used_rows = m->counts.used;
    s.repeats = m->counts.repeats;
    s.alarms = m->counts.alarms;
    s.alarm_row = m->counts.alarm_row;
    s.alarm = (int32_t)m->counts.alarm;
    s.statistic = m->sums.statistic;
    s.threshold = m->threshold;
    read_window(m, &s);
    pthread_mutex_unlock(&m->lock);
    s.reference_rows = (int64_t)m->moments.rows;
    s.reference_mean = m->moments.mean;
    s.reference_sd = sqrt(m->moments.squares / (m->moments.rows - 1));
    return dumi_write_struct("state", state, &s, sizeof s, sizeof s);
}

/* Puts a row where it belongs among the `count` that are there, highest first; the last may fall out. */
static int64_t insert_row(double score, int64_t row, int64_t most, int64_t *rows, double *scores, int64_t count)
{
    int64_t at = count < most ? count : most - 1;
    for (; at > 0 && score > scores[at - 1]; at--) {
        scores[at] = scores[at - 1];
        rows[at] = rows[at - 1];
    }
    scores[at] = score;
    rows[at] = row;
    return count < most ? count + 1 : count;
}

dum_status dum_monitor_read_top(const dum_monitor *monitor, int64_t most, int64_t *rows, double *scores,
                                int64_t *count)
{
    dumi_clear_error();
    DUMI_NOT_NULL(count);
    *count = 0;
    DUMI_TRY(check_fitted(monitor));
    DUMI_NOT_NULL(rows);
    DUMI_NOT_NULL(scores);
    DUMI_REQUIRE(most >= 1 && most <= 100, DUM_ERR_ARGUMENT, "most is %lld, expected 1 to 100",
                 (long long)most);
    dumi_monitor_live *m = monitor->live;
    pthread_mutex_lock(&m->lock);
    const int64_t filled = m->counts.filled, first = m->counts.at - filled + m->window;
    for (int64_t i = 0; i < filled; i++) {
        const int64_t at = (first + i) % m->window;
        if (*count < most || m->ring[at] > scores[most - 1])
            *count = insert_row(m->ring[at], m->ring_rows[at], most, rows, scores, *count);
    }
    pthread_mutex_unlock(&m->lock);
    return DUM_OK;
}
