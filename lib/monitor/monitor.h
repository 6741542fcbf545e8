/* SPDX-License-Identifier: MIT
 * Monitors: one handle, eight tests. A window is compared with the reference; a sequential test looks at the rank of
 * each row among the rows before it; a tail follows the largest scores. */
#ifndef DUMI_MONITOR_H
#define DUMI_MONITOR_H

#include "core/param.h"
#include "io/io.h"

#include <math.h>
#include <pthread.h>

enum {
    DUMI_M_TEST,
    DUMI_M_WINDOW,
    DUMI_M_FALSE_ALARMS,
    DUMI_M_THIN,
    DUMI_M_EFFECT,
    DUMI_M_DIRECTION,
    DUMI_M_SHIFT,
    DUMI_M_KEEP,
    DUMI_M_SEED,
    DUMI_M_PARAMS
};
extern const dumi_params dumi_monitor_params;

enum {
    DUMI_TEST_T,
    DUMI_TEST_WELCH,
    DUMI_TEST_KS,
    DUMI_TEST_MANN_WHITNEY,
    DUMI_TEST_CUSUM,
    DUMI_TEST_PAGE_HINKLEY,
    DUMI_TEST_MARTINGALE,
    DUMI_TEST_POT,
    DUMI_TESTS
};

enum { DUMI_BETS = 8, DUMI_HISTOGRAM = 16, DUMI_EDGES = 511, DUMI_PEAKS = 1024 };

#define DUMI_BINS_OF(edges) (2 * (edges) + 1)

/* All whole numbers that pushing changes; one tensor of a file, so members go to the end. */
typedef struct {
    int64_t rows, bad, good, used;
    int64_t alarm, alarm_row, alarms;
    int64_t repeats;               /* how often the last score has come in a row */
    int64_t at, filled;            /* of the ring: where the next score goes, how many are there */
    int64_t in_window;             /* rows since the last window that was tested */
    int64_t mean_rows;             /* Page-Hinkley: rows of the running mean */
    int64_t tail_rows, tail_peaks; /* rows that the tail knows of, and those of them over its threshold */
    int64_t peaks, peak_at,
        unfitted; /* peaks that are kept, where the next goes, how many came since the fit */
} dumi_monitor_counts;

/* And all other numbers. */
typedef struct {
    double last;
    double statistic;
    double up, down; /* CUSUM, Page-Hinkley */
    double mean;
    double bets[DUMI_BETS], adaptive; /* martingale */
    double histogram[DUMI_HISTOGRAM];
    double peak_level, peak_threshold;
} dumi_monitor_sums;

typedef struct dumi_monitor_live dumi_monitor_live;

typedef struct {
    /* How many reference rows the wanted rate needs. */
    double (*rows_needed)(const dumi_monitor_live *m);
    bool ranks, tail;
    void (*row)(dumi_monitor_live *m, double score);
} dumi_monitor_test;

/* What a monitor has once it is fitted. */
struct dumi_monitor_live {
    dum_context *context;
    pthread_mutex_t lock;
    const dumi_monitor_test *test;
    double values[DUMI_M_PARAMS];
    int64_t window;
    char scorer[32]; /* kind of the scorer whose scores these are; "": of none */
    int64_t cols;
    double rate; /* wanted alarms a row that is used */
    double threshold;

    /* The reference: its scores in ascending order (evenly spaced ones of many), and the moments of all. */
    double *reference;
    int64_t kept;
    struct {
        double rows, mean, squares;
    } moments;
    double ties; /* sum of t^3 - t over groups of equal scores */

    /* Tests by rank: edges of bins from one half of the reference; how many rows of the other half and of the
     * stream lie in each. */
    double *edges;
    int64_t edge_count;
    int64_t *bag;

    double *peaks;
    double *ring, *scratch; /* window scores each; scratch is as large as the peaks at least */
    int64_t *ring_rows;     /* the numbers of their rows */
    dumi_monitor_counts counts;
    dumi_monitor_sums sums;
};

struct dum_monitor {
    dum_context *context;
    double values[DUMI_M_PARAMS];
    dumi_monitor_live *live; /* NULL: not fitted */
};

extern const dumi_monitor_test dumi_monitor_tests[DUMI_TESTS];

/* A window beside the reference. */
typedef struct {
    double mean, sd;
    double t, df, log_p, cohens_d; /* two-sided t-test: pooled, or Welch where that is the test */
    double auroc;
    double z;                  /* Mann-Whitney, with the correction for continuity */
    double ks_above, ks_below; /* largest distance of the distributions, the window above or below */
} dumi_comparison;

/* sorted: count >= 2 scores, ascending. */
void dumi_monitor_compare(const dumi_monitor_live *m, const double *sorted, int64_t count, dumi_comparison *c);
/* Copies the ring to the scratch, in ascending order; how many. */
int64_t dumi_monitor_sort_window(const dumi_monitor_live *m);

static inline bool dumi_monitor_two_sided(const dumi_monitor_live *m)
{
    return m->values[DUMI_M_DIRECTION] < 0.5;
}

/* The alarm holds until reset. */
void dumi_monitor_raise(dumi_monitor_live *m);
/* How many of count ascending values are less than this one; with equal: or equal to it. */
int64_t dumi_monitor_count_below(const double *values, int64_t count, double value, bool equal);

/* Tests by rank. */
void dumi_monitor_fill_bag(dumi_monitor_live *m, double *scores, int64_t count);
void dumi_monitor_restart_ranks(dumi_monitor_live *m);
double dumi_monitor_rank_threshold(const dumi_monitor_live *m);
double dumi_monitor_needed_ranks(const dumi_monitor_live *m);
void dumi_monitor_row_ranks(dumi_monitor_live *m, double score);

/* The window. */
double dumi_monitor_needed_window(const dumi_monitor_live *m);
void dumi_monitor_row_window(dumi_monitor_live *m, double score);

/* The tail. */
void dumi_monitor_fill_tail(dumi_monitor_live *m, const double *sorted, int64_t count);
double dumi_monitor_needed_tail(const dumi_monitor_live *m);
void dumi_monitor_row_tail(dumi_monitor_live *m, double score);

/* A live part with its arrays, all of it zero; `tested` has the options. */
dum_status dumi_monitor_live_create(dum_context *context, const double *values, int64_t kept, int64_t edges,
                                    dumi_monitor_live **out);
void dumi_monitor_live_destroy(dumi_monitor_live *m);
/* What follows from the options and the reference. */
void dumi_monitor_prepare(dumi_monitor_live *m);

/* Of the standard normal distribution: the quantile of p, and the logarithm of the probability above z. */
double dumi_normal_quantile(double p);
double dumi_normal_log_tail(double z);

#endif
