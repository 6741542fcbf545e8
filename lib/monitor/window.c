/* SPDX-License-Identifier: MIT
 * A window beside the reference: Student, Welch, Kolmogorov & Smirnov, Mann & Whitney.
 *
 * Windows do not overlap, and each is tested once, at its end. With a level of (wanted alarms a row) x (rows of a
 * window) the expected number of alarms is the wanted one, however the windows depend on each other by sharing the
 * reference: expectations add up. */
#include "monitor/monitor.h"
#include "stats/stats.h"

static const double LN2 = 0.69314718055994530942;
/* P(D > d) <= 2.17 exp(-2 d^2 n m / (n + m)) for all n and m that Wei & Dudley 2012 have computed. */
static const double LN_KS = 0.77472716755236700;

int64_t dumi_monitor_count_below(const double *values, int64_t count, double value, bool equal)
{
    int64_t low = 0, high = count;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (values[middle] < value || (equal && !(values[middle] > value)))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int64_t dumi_monitor_sort_window(const dumi_monitor_live *m)
{
    const int64_t count = m->counts.filled;
    memcpy(m->scratch, m->ring, (size_t)count * sizeof *m->scratch);
    dumi_sort_double(m->scratch, count);
    return count;
}

/* Values are divided by 2 to this power where their squares could overflow: t does not change with their unit. */
static int exponent_of(const dumi_monitor_live *m, const double *sorted, int64_t count)
{
    enum { ROOM = 480 };
    int bits = 0;
    (void)frexp(fmax(fabs(m->moments.mean), fmax(fabs(sorted[0]), fabs(sorted[count - 1]))), &bits);
    return bits > ROOM ? bits - ROOM : 0;
}

/* Mean, deviation and t-test. */
static void compare_means(const dumi_monitor_live *m, const double *sorted, int64_t count, dumi_comparison *c)
{
    dumi_sum sum = {0, 0}, squares = {0, 0};
    const int exponent = exponent_of(m, sorted, count);
    const double unit = ldexp(1, -exponent), mean = m->moments.mean * unit;
    const double reference = ldexp(m->moments.squares, -2 * exponent);
    const double n = (double)count, rows = m->moments.rows;
    for (int64_t i = 0; i < count; i++)
        dumi_sum_add(&sum, sorted[i] * unit - mean);
    const double difference = dumi_sum_value(&sum) / n, centre = mean + difference;
    c->mean = ldexp(centre, exponent);
    for (int64_t i = 0; i < count; i++)
        dumi_sum_add(&squares, (sorted[i] * unit - centre) * (sorted[i] * unit - centre));
    /* The mean of equal values may be off by a rounding, which is not a deviation. */
    const double own = sorted[0] < sorted[count - 1] ? dumi_sum_value(&squares) : 0;
    c->sd = ldexp(sqrt(own / (n - 1)), exponent);
    const double pooled = (own + reference) / (n + rows - 2);
    double error = pooled * (1 / n + 1 / rows);
    c->df = n + rows - 2;
    if ((int)m->values[DUMI_M_TEST] == DUMI_TEST_WELCH) {
        const double a = own / (n - 1) / n, b = reference / (rows - 1) / rows;
        error = a + b;
        int bits = 0; /* so that no square overflows */
        (void)frexp(error, &bits);
        const double of_window = ldexp(a, -bits), of_reference = ldexp(b, -bits), of_both = ldexp(error, -bits);
        if (error > 0)
            c->df = of_both * of_both /
                    (of_window * of_window / (n - 1) + of_reference * of_reference / (rows - 1));
    }
    const bool equal = !(error > 0) && !(sorted[0] < m->reference[0]) && !(sorted[0] > m->reference[0]);
    c->t = equal ? 0 : difference / sqrt(error);
    c->cohens_d = equal ? 0 : difference / sqrt(pooled);
    c->log_p = equal ? 0 : dumi_student_log_p(c->t, c->df);
}

static double cubed(double group)
{
    return group * group * group - group;
}

/* One pass over the groups of equal scores of the window. */
static void compare_ranks(const dumi_monitor_live *m, const double *sorted, int64_t count, dumi_comparison *c)
{
    const double n = (double)count, kept = (double)m->kept;
    double wins = 0, ties = m->ties;
    c->ks_above = c->ks_below = 0;
    for (int64_t i = 0, next; i < count; i = next) {
        for (next = i + 1; next < count && !(sorted[next] > sorted[i]); next++)
            ;
        const double below = (double)dumi_monitor_count_below(m->reference, m->kept, sorted[i], false);
        const double upto = (double)dumi_monitor_count_below(m->reference, m->kept, sorted[i], true);
        const double group = (double)(next - i), equal = upto - below;
        wins += group * (below + 0.5 * equal);
        ties += cubed(equal + group) - cubed(equal);
        c->ks_above = fmax(c->ks_above, below / kept - (double)i / n);
        c->ks_below = fmax(c->ks_below, (double)next / n - upto / kept);
    }
    c->auroc = wins / (n * kept);
    const double all = n + kept, off = fabs(wins - 0.5 * n * kept);
    const double variance = n * kept / 12 * (all + 1 - ties / (all * (all - 1)));
    const double size = variance > 0 && off > 0.5 ? (off - 0.5) / sqrt(variance) : 0;
    c->z = c->auroc < 0.5 ? -size : size;
}

void dumi_monitor_compare(const dumi_monitor_live *m, const double *sorted, int64_t count, dumi_comparison *c)
{
    compare_means(m, sorted, count, c);
    compare_ranks(m, sorted, count, c);
}

static double log_p_ks(const dumi_monitor_live *m, double n, const dumi_comparison *c, double *effect)
{
    const bool both = dumi_monitor_two_sided(m);
    const double distance = both ? fmax(c->ks_above, c->ks_below) : c->ks_above, kept = (double)m->kept;
    /* The shift of a normal distribution that would make this distance. */
    *effect = distance < 1 ? 2 * dumi_normal_quantile(0.5 + 0.5 * distance) : INFINITY;
    return LN_KS - (both ? 0 : LN2) - 2 * distance * distance * n * kept / (n + kept);
}

/* The logarithm of the p-value of the test that was chosen, and the size of the effect that it sees. */
static double log_p_of(const dumi_monitor_live *m, double n, const dumi_comparison *c, double *effect)
{
    const bool both = dumi_monitor_two_sided(m);
    const int test = (int)m->values[DUMI_M_TEST];
    if (test == DUMI_TEST_KS)
        return log_p_ks(m, n, c, effect);
    if (test == DUMI_TEST_MANN_WHITNEY) {
        const double area = fmin(fmax(c->auroc, 0), 1);
        *effect = 1.41421356237309504880 * fabs(dumi_normal_quantile(fmin(fmax(area, 1e-300), 1 - 1e-16)));
        return both ? LN2 + dumi_normal_log_tail(fabs(c->z)) : dumi_normal_log_tail(c->z);
    }
    *effect = fabs(c->cohens_d);
    if (both)
        return c->log_p;
    return c->t > 0 ? c->log_p - LN2 : 0;
}

void dumi_monitor_row_window(dumi_monitor_live *m, double score)
{
    (void)score;
    if (++m->counts.in_window < m->window)
        return;
    m->counts.in_window = 0;
    dumi_comparison c;
    const int64_t count = dumi_monitor_sort_window(m);
    dumi_monitor_compare(m, m->scratch, count, &c);
    double effect;
    /* Infinity where both are constant and differ: it must fit into a file. */
    const double log_p = fmax(fmin(log_p_of(m, (double)count, &c, &effect), 0), -1e300);
    m->sums.statistic = log_p < 0 ? -log_p * 0.43429448190325182765 : 0;
    if (m->sums.statistic >= m->threshold && effect >= m->values[DUMI_M_EFFECT])
        dumi_monitor_raise(m);
}

/* No test can alarm by chance less often than a complete separation of window and reference happens by chance; and
 * a reference shorter than the window would add more noise than the window has. */
double dumi_monitor_needed_window(const dumi_monitor_live *m)
{
    const double n = (double)m->window, log_level = log(m->rate * n);
    const bool both = dumi_monitor_two_sided(m);
    double needed = 0; /* of n m / (n + m) */
    if ((int)m->values[DUMI_M_TEST] == DUMI_TEST_KS) {
        needed = (LN_KS - (both ? 0 : LN2) - log_level) / 2;
    } else {
        double low = 0, high = 60;
        for (int i = 0; i < 60; i++) {
            const double z = 0.5 * (low + high);
            if (dumi_normal_log_tail(z) + (both ? LN2 : 0) > log_level)
                low = z;
            else
                high = z;
        }
        needed = high * high / 3 + 1;
    }
    return needed < n ? fmax(n, ceil(n * needed / (n - needed))) : INFINITY;
}
