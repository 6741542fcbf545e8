/* SPDX-License-Identifier: MIT
 * A monitor in a model file: options, reference, and all that pushing has changed. */
#include "io/options.h"
#include "monitor/monitor.h"

#include <stdio.h>

#define WHOLES ((int64_t)(sizeof(dumi_monitor_counts) / sizeof(int64_t)))
#define REALS ((int64_t)(sizeof(dumi_monitor_sums) / sizeof(double)))
_Static_assert(sizeof(dumi_monitor_counts) % sizeof(int64_t) == 0 &&
                   sizeof(dumi_monitor_sums) % sizeof(double) == 0,
               "they are tensors of a file");

/* Larger than any count of rows, and no sum of them overflows. */
static const int64_t MOST = (int64_t)1 << 50;

static dum_status write_all(const dumi_monitor_live *m, dumi_model_writer *writer)
{
    char cols[32];
    snprintf(cols, sizeof cols, "%lld", (long long)m->cols);
    DUMI_TRY(dumi_options_write(&dumi_monitor_params, m->values, DUMI_OPTIONS, writer));
    DUMI_TRY(dumi_writer_meta(writer, "dum.monitor.scorer", m->scorer));
    DUMI_TRY(dumi_writer_meta(writer, "dum.monitor.cols", cols));
    DUMI_TRY(dumi_writer_tensor(writer, "reference.scores", DUMI_F64, m->kept, 0, m->reference));
    DUMI_TRY(dumi_writer_tensor(writer, "reference.moments", DUMI_F64, 3, 0, &m->moments));
    if (m->test->ranks) {
        DUMI_TRY(dumi_writer_tensor(writer, "ranks.edges", DUMI_F64, m->edge_count, 0, m->edges));
        DUMI_TRY(dumi_writer_tensor(writer, "ranks.counts", DUMI_I64, DUMI_BINS_OF(m->edge_count), 0, m->bag));
    }
    if (m->test->tail)
        DUMI_TRY(dumi_writer_tensor(writer, "tail.peaks", DUMI_F64, DUMI_PEAKS, 0, m->peaks));
    DUMI_TRY(dumi_writer_tensor(writer, "window", DUMI_F64, m->window, 0, m->ring));
    DUMI_TRY(dumi_writer_tensor(writer, "window.rows", DUMI_I64, m->window, 0, m->ring_rows));
    DUMI_TRY(dumi_writer_tensor(writer, "state.counts", DUMI_I64, WHOLES, 0, &m->counts));
    return dumi_writer_tensor(writer, "state.sums", DUMI_F64, REALS, 0, &m->sums);
}

static dum_status to_bytes(const dum_monitor *monitor, unsigned char **bytes, size_t *size)
{
    DUMI_NOT_NULL(monitor);
    DUMI_REQUIRE(monitor->live != NULL, DUM_ERR_STATE, "monitor is not fitted: call dum_monitor_fit first");
    dumi_monitor_live *m = monitor->live;
    dumi_model_writer *writer = NULL;
    pthread_mutex_lock(&m->lock);
    dum_status status;
    DUMI_GO(dumi_writer_create(m->context, "monitor", &writer));
    DUMI_GO(write_all(m, writer));
    DUMI_GO(dumi_writer_finish(writer, bytes, size));
done:
    pthread_mutex_unlock(&m->lock);
    dumi_writer_destroy(writer);
    return status;
}

static bool is_ascending(const double *values, int64_t count)
{
    for (int64_t i = 1; i < count; i++)
        if (values[i - 1] > values[i])
            return false;
    return true;
}

static bool in_range(const int64_t *values, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (values[i] < 0 || values[i] > MOST)
            return false;
    return true;
}

static bool not_negative(const double *values, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (values[i] < 0)
            return false;
    return true;
}

static dum_status check_counts(const dumi_monitor_live *m)
{
    int64_t all[sizeof(dumi_monitor_counts) / sizeof(int64_t)];
    const dumi_monitor_counts *c = &m->counts;
    memcpy(all, c, sizeof all);
    DUMI_REQUIRE(in_range(all, WHOLES) && c->at < m->window && c->filled <= m->window &&
                     c->in_window < m->window && c->alarm <= 1 && c->peak_at < DUMI_PEAKS &&
                     c->peaks <= DUMI_PEAKS,
                 DUM_ERR_FORMAT, "tensor state.counts has a number that is out of range");
    DUMI_REQUIRE(!m->test->tail || (c->peaks >= 1 && c->tail_peaks >= 1 && c->tail_rows >= 1), DUM_ERR_FORMAT,
                 "tensor state.counts knows of no peaks");
    return DUM_OK;
}

static dum_status check(const dumi_monitor_live *m)
{
    DUMI_TRY(check_counts(m));
    DUMI_REQUIRE(m->moments.rows >= 2 && m->moments.rows <= (double)MOST && m->moments.squares >= 0,
                 DUM_ERR_FORMAT, "tensor reference.moments is out of range");
    DUMI_REQUIRE(in_range(m->ring_rows, m->window), DUM_ERR_FORMAT, "tensor window.rows is out of range");
    DUMI_REQUIRE(is_ascending(m->reference, m->kept), DUM_ERR_FORMAT,
                 "tensor reference.scores is not in ascending order");
    DUMI_REQUIRE(!m->test->ranks ||
                     (is_ascending(m->edges, m->edge_count) && in_range(m->bag, DUMI_BINS_OF(m->edge_count))),
                 DUM_ERR_FORMAT, "tensors ranks.edges and ranks.counts are out of order or range");
    DUMI_REQUIRE(not_negative(m->sums.bets, DUMI_BETS) && not_negative(m->sums.histogram, DUMI_HISTOGRAM) &&
                     m->sums.adaptive >= 0,
                 DUM_ERR_FORMAT, "tensor state.sums has a number that is out of range");
    DUMI_REQUIRE(!m->test->tail || not_negative(m->peaks, DUMI_PEAKS), DUM_ERR_FORMAT,
                 "tensor tail.peaks has a number that is out of range");
    return DUM_OK;
}

/* The length of a vector, at most `most`. */
static dum_status length_of(const dumi_reader *reader, const char *name, int64_t most, int64_t *length)
{
    const dumi_tensor *t = dumi_reader_find(reader, name);
    DUMI_REQUIRE(t != NULL && t->rank == 1 && t->shape[0] >= 1 && t->shape[0] <= most, DUM_ERR_FORMAT,
                 "tensor %s is missing or no vector of 1 to %lld numbers", name, (long long)most);
    *length = t->shape[0];
    return DUM_OK;
}

static dum_status read_arrays(dumi_monitor_live *m, const dumi_reader *reader)
{
    DUMI_TRY(dumi_reader_copy(reader, "reference.scores", DUMI_F64, m->kept, 0, m->reference));
    DUMI_TRY(dumi_reader_copy(reader, "reference.moments", DUMI_F64, 3, 0, &m->moments));
    if (m->test->ranks) {
        DUMI_TRY(dumi_reader_copy(reader, "ranks.edges", DUMI_F64, m->edge_count, 0, m->edges));
        DUMI_TRY(dumi_reader_copy(reader, "ranks.counts", DUMI_I64, DUMI_BINS_OF(m->edge_count), 0, m->bag));
    }
    if (m->test->tail)
        DUMI_TRY(dumi_reader_copy(reader, "tail.peaks", DUMI_F64, DUMI_PEAKS, 0, m->peaks));
    DUMI_TRY(dumi_reader_copy(reader, "window", DUMI_F64, m->window, 0, m->ring));
    /* Files of before it was kept have none: all are 0 then, which is no number of a row. */
    if (dumi_reader_find(reader, "window.rows") != NULL)
        DUMI_TRY(dumi_reader_copy(reader, "window.rows", DUMI_I64, m->window, 0, m->ring_rows));
    DUMI_TRY(dumi_reader_copy(reader, "state.counts", DUMI_I64, WHOLES, 0, &m->counts));
    return dumi_reader_copy(reader, "state.sums", DUMI_F64, REALS, 0, &m->sums);
}

static dum_status read_scorer(dumi_monitor_live *m, const dumi_reader *reader)
{
    const char *kind = dumi_reader_meta(reader, "dum.monitor.scorer"),
               *text = dumi_reader_meta(reader, "dum.monitor.cols");
    double cols = -1;
    DUMI_REQUIRE(kind != NULL && strlen(kind) < sizeof m->scorer && text != NULL &&
                     dumi_parse_number(text, &cols) && cols >= 0 && cols <= INT32_MAX,
                 DUM_ERR_FORMAT, "dum.monitor.scorer or dum.monitor.cols is missing or wrong");
    snprintf(m->scorer, sizeof m->scorer, "%s", kind);
    m->cols = (int64_t)cols;
    return DUM_OK;
}

static dum_status read_live(dum_monitor *monitor, const dumi_reader *reader)
{
    int64_t kept, edges = 1, window;
    DUMI_TRY(length_of(reader, "reference.scores", (int64_t)monitor->values[DUMI_M_KEEP], &kept));
    DUMI_TRY(length_of(reader, "window", (int64_t)monitor->values[DUMI_M_WINDOW], &window));
    if (dumi_monitor_tests[(int)monitor->values[DUMI_M_TEST]].ranks)
        DUMI_TRY(length_of(reader, "ranks.edges", DUMI_EDGES, &edges));
    dumi_monitor_live *m;
    DUMI_TRY(dumi_monitor_live_create(monitor->context, monitor->values, kept, edges, &m));
    monitor->live = m;
    DUMI_TRY(read_scorer(m, reader));
    DUMI_TRY(read_arrays(m, reader));
    DUMI_TRY(check(m));
    dumi_monitor_prepare(m);
    return DUM_OK;
}

static dum_status from_bytes(dum_context *context, const void *bytes, size_t size, void **out)
{
    dumi_reader *reader;
    DUMI_TRY(dumi_reader_open(context, bytes, size, &reader));
    dum_monitor *monitor = NULL;
    dum_status status;
    DUMI_GO(dumi_reader_expect_kind(reader, "monitor"));
    DUMI_GO(dum_monitor_create(context, &monitor));
    DUMI_GO(dumi_options_read(&dumi_monitor_params, reader, DUMI_OPTIONS, monitor->values));
    DUMI_GO(read_live(monitor, reader));
    *out = monitor;
    monitor = NULL;
done:
    dum_monitor_destroy(monitor);
    dumi_reader_close(reader);
    return status;
}

DUMI_DEFINE_SAVING(monitor)
