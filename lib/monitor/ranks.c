/* SPDX-License-Identifier: MIT
 * Sequential tests by rank.
 *
 * Each row gets a conformal p-value (Vovk, Gammerman & Shafer 2005): its rank, ties broken by chance, among the rows
 * before it. Where reference and stream are exchangeable these p-values are independent and uniform, exactly, for
 * any reference, any distribution of scores and for ever: so what is tested has a known distribution. "The rows
 * before it" are kept as counts in bins, whose edges come from one half of the reference, drawn by lot; the other
 * half and the stream are counted. A row that came after an alarm is not counted.
 *
 * CUSUM (Page 1954) sums the normal scores of the ranks; Page-Hinkley sums their recursive residuals, that is, their
 * distance from the mean of the stream so far, which are independent and normal as well. The threshold is
 * Siegmund's (1985). The martingale is a mixture of bets in the form of Shiryaev and Roberts: R = (1 + R) x bet, so
 * that R minus the number of rows is a martingale, and alarms come after 1 / rate rows or more on average. */
#include "monitor/monitor.h"

/* For what Siegmund's approximation may be off. */
static const double SAFETY = 1.02;

static int bets_of(const dumi_monitor_live *m)
{
    return dumi_monitor_two_sided(m) ? DUMI_BETS : DUMI_BETS / 2;
}

/* Expected rows to an alarm of the CUSUM of independent standard normal numbers. */
static double siegmund(double allowance, double threshold)
{
    const double x = 2 * allowance * (threshold + 1.166);
    return (expm1(x) - x) / (2 * allowance * allowance);
}

static double cusum_threshold(const dumi_monitor_live *m)
{
    const double allowance = 0.5 * m->values[DUMI_M_SHIFT];
    const double wanted = SAFETY * (dumi_monitor_two_sided(m) ? 2 : 1) / m->rate;
    double low = 0, high = 400 / allowance;
    for (int i = 0; i < 200; i++) {
        const double middle = 0.5 * (low + high);
        if (siegmund(allowance, middle) < wanted)
            low = middle;
        else
            high = middle;
    }
    return high;
}

double dumi_monitor_rank_threshold(const dumi_monitor_live *m)
{
    return (int)m->values[DUMI_M_TEST] == DUMI_TEST_MARTINGALE ? -log10(m->rate) : cusum_threshold(m);
}

/* Rows that the shift of the options takes to be found; the stream is counted among the rows before it, so many more
 * of the reference must be there. */
double dumi_monitor_needed_ranks(const dumi_monitor_live *m)
{
    const double shift = m->values[DUMI_M_SHIFT];
    double delay = 2 * cusum_threshold(m) / shift;
    if ((int)m->values[DUMI_M_TEST] == DUMI_TEST_MARTINGALE)
        delay = 2 * (log(bets_of(m) + 1.0) - log(m->rate)) / (shift * shift);
    return ceil(8 * delay);
}

/* Bins between the edges, and one for each edge itself: scores that come often have a bin of their own. */
static int64_t bin_of(const dumi_monitor_live *m, double score)
{
    const int64_t below = dumi_monitor_count_below(m->edges, m->edge_count, score, false);
    const bool is_edge = below < m->edge_count && !(score < m->edges[below]);
    return is_edge ? below + dumi_monitor_count_below(m->edges, m->edge_count, score, true) : 2 * below;
}

/* Shuffles the scores. */
void dumi_monitor_fill_bag(dumi_monitor_live *m, double *scores, int64_t count)
{
    dumi_rng rng;
    dumi_rng_init(&rng, (uint64_t)m->values[DUMI_M_SEED], DUMI_RNG_MONITOR, 1);
    for (int64_t i = count - 1; i > 0; i--) {
        const int64_t j = (int64_t)dumi_rng_below(&rng, (uint64_t)i + 1);
        const double held = scores[i];
        scores[i] = scores[j];
        scores[j] = held;
    }
    const int64_t half = count / 2;
    dumi_sort_double(scores, half);
    for (int64_t i = 0; i < m->edge_count; i++)
        m->edges[i] = scores[(int64_t)((double)half * ((double)i + 0.5) / (double)m->edge_count)];
    for (int64_t i = half; i < count; i++)
        m->bag[bin_of(m, scores[i])]++;
}

void dumi_monitor_restart_ranks(dumi_monitor_live *m)
{
    m->sums.up = m->sums.down = m->sums.mean = m->sums.adaptive = 0;
    m->counts.mean_rows = 0;
    memset(m->sums.bets, 0, sizeof m->sums.bets);
    memset(m->sums.histogram, 0, sizeof m->sums.histogram);
}

/* The random number of a row is a function of its number: there is no state to save. */
static double chance(const dumi_monitor_live *m)
{
    dumi_rng rng;
    dumi_rng_init(&rng, (uint64_t)m->values[DUMI_M_SEED], DUMI_RNG_MONITOR, 0);
    rng.counter = (uint64_t)m->counts.used;
    return dumi_rng_uniform(&rng);
}

/* The share of rows that are larger: small where the score is high. */
static double pvalue(dumi_monitor_live *m, double score)
{
    const int64_t bin = bin_of(m, score), bins = DUMI_BINS_OF(m->edge_count);
    int64_t above = 0, below = 0;
    for (int64_t i = 0; i < bin; i++)
        below += m->bag[i];
    for (int64_t i = bin + 1; i < bins; i++)
        above += m->bag[i];
    const double equal = (double)m->bag[bin] + 1;
    const double p = ((double)above + chance(m) * equal) / ((double)above + (double)below + equal);
    if (m->counts.alarm == 0)
        m->bag[bin]++;
    return fmin(fmax(p, 1e-15), 1 - 1e-15);
}

static void add_to_cusum(dumi_monitor_live *m, double z)
{
    const double allowance = 0.5 * m->values[DUMI_M_SHIFT];
    m->sums.up = fmax(0, m->sums.up + z - allowance);
    m->sums.down = dumi_monitor_two_sided(m) ? fmax(0, m->sums.down - z - allowance) : 0;
    m->sums.statistic = fmax(m->sums.up, m->sums.down);
}

/* z less the mean of those before, brought to variance 1. */
static double residual(dumi_monitor_live *m, double z)
{
    const double before = (double)m->counts.mean_rows++;
    const double distance = z - m->sums.mean;
    m->sums.mean += distance / (before + 1);
    return before > 0 ? distance * sqrt(before / (before + 1)) : 0;
}

/* A bet on whatever the p-values of late have been: what repeats, or narrows, or widens. */
static double adaptive_bet(dumi_monitor_live *m, double p)
{
    const int32_t bin = (int32_t)(p * DUMI_HISTOGRAM);
    double sum = 0;
    for (int32_t i = 0; i < DUMI_HISTOGRAM; i++)
        sum += m->sums.histogram[i];
    const double bet = DUMI_HISTOGRAM * (m->sums.histogram[bin] + 1) / (sum + DUMI_HISTOGRAM);
    for (int32_t i = 0; i < DUMI_HISTOGRAM; i++)
        m->sums.histogram[i] *= 1 - 1.0 / 256;
    m->sums.histogram[bin] += 1;
    return bet;
}

static double wagered(double evidence, double bet)
{
    return fmin((1 + evidence) * bet, 1e300);
}

static void add_to_martingale(dumi_monitor_live *m, double p, double z)
{
    const int bets = bets_of(m);
    double sum = 0;
    for (int i = 0; i < bets; i++) {
        /* Half the shift, all of it, twice and four times; up, then down. */
        const double shift = ldexp(m->values[DUMI_M_SHIFT], i % 4 - 1) * (i < 4 ? 1 : -1);
        m->sums.bets[i] = wagered(m->sums.bets[i], exp(shift * z - 0.5 * shift * shift));
        sum += m->sums.bets[i] / (bets + 1);
    }
    if (dumi_monitor_two_sided(m))
        m->sums.adaptive = wagered(m->sums.adaptive, adaptive_bet(m, p));
    sum += m->sums.adaptive / (bets + 1);
    m->sums.statistic = log10(fmax(sum, 1e-300));
}

void dumi_monitor_row_ranks(dumi_monitor_live *m, double score)
{
    const double p = pvalue(m, score), z = -dumi_normal_quantile(p);
    const int test = (int)m->values[DUMI_M_TEST];
    if (test == DUMI_TEST_MARTINGALE)
        add_to_martingale(m, p, z);
    else
        add_to_cusum(m, test == DUMI_TEST_PAGE_HINKLEY ? residual(m, z) : z);
    if (m->sums.statistic >= m->threshold)
        dumi_monitor_raise(m);
}
