/* SPDX-License-Identifier: MIT
 * Peaks over threshold: Siffer, Fouque, Termier & Largouet, "Anomaly detection in streams with extreme value theory",
 * KDD 2017. What scores have above a high level is close to a generalised Pareto distribution, from which the score
 * follows that one row in so many passes. Level and tail follow the stream. */
#include "monitor/monitor.h"

static const double SHARE = 0.02; /* of the reference that lies above the level */
enum { LEAST_PEAKS = 40, REFIT = 16 };

/* Probability-weighted moments (Hosking & Wallis 1987): closed, and steady for the tails that scores have. */
static void fit_pareto(const double *sorted, int64_t count, double *scale, double *shape)
{
    double mean = 0, weighted = 0;
    const double n = (double)count;
    for (int64_t i = 0; i < count; i++) {
        mean += sorted[i] / n;
        weighted += sorted[i] * (1 - ((double)i + 0.65) / n) / n;
    }
    const double rest = mean - 2 * weighted;
    *shape = rest > 0 ? 2 - mean / rest : 0;
    /* So many peaks say little of the shape: it is drawn to that of an exponential tail, and a tail is never taken
     * for a bounded one. */
    *shape = fmin(fmax(*shape * n / (n + 200), 0), 0.9);
    *scale = mean * (1 - *shape);
}

static void refit(dumi_monitor_live *m)
{
    const int64_t count = m->counts.peaks;
    m->counts.unfitted = 0;
    memcpy(m->scratch, m->peaks, (size_t)count * sizeof *m->scratch);
    dumi_sort_double(m->scratch, count);
    double scale, shape;
    fit_pareto(m->scratch, count, &scale, &shape);
    const double share = m->rate * (double)m->counts.tail_rows / (double)m->counts.tail_peaks;
    const double reach = -log(fmin(share, 1));
    /* With an exponential tail and its mean known from n peaks only, n ((1 / share)^(1 / n) - 1) means are passed by
     * that share of new peaks. */
    const double n = (double)count, uncertain = n * expm1(reach / n);
    const double times = shape > 1e-9 ? expm1(shape * uncertain) / shape : uncertain;
    m->sums.peak_threshold = fmin(m->sums.peak_level + scale * times, 1e300);
    m->threshold = m->sums.peak_threshold;
}

static void add_peak(dumi_monitor_live *m, double score)
{
    m->peaks[m->counts.peak_at] = score - m->sums.peak_level;
    m->counts.peak_at = (m->counts.peak_at + 1) % DUMI_PEAKS;
    if (m->counts.peaks < DUMI_PEAKS)
        m->counts.peaks++;
    m->counts.tail_peaks++;
    m->counts.unfitted++;
}

double dumi_monitor_needed_tail(const dumi_monitor_live *m)
{
    return m->rate < 0.5 * SHARE ? LEAST_PEAKS / SHARE : INFINITY;
}

void dumi_monitor_fill_tail(dumi_monitor_live *m, const double *sorted, int64_t count)
{
    const int64_t first = count - (int64_t)(SHARE * (double)count);
    m->sums.peak_level = sorted[first - 1];
    m->counts.tail_rows = count;
    /* Where there are too many to keep: evenly spaced ones. */
    for (int64_t i = first; i < count; i++)
        if ((i - first) % (1 + (count - first) / DUMI_PEAKS) == 0)
            add_peak(m, sorted[i]);
    m->counts.tail_peaks = count - first;
    refit(m);
}

void dumi_monitor_row_tail(dumi_monitor_live *m, double score)
{
    m->sums.statistic = score;
    if (score > m->threshold) {
        dumi_monitor_raise(m);
        return;
    }
    m->counts.tail_rows++;
    if (score > m->sums.peak_level)
        add_peak(m, score);
    if (m->counts.unfitted >= REFIT)
        refit(m);
}
