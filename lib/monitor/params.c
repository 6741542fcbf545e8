/* SPDX-License-Identifier: MIT
 * The options of a monitor, and the table of its tests. */
#include "monitor/monitor.h"

static const char *const tests[] = {"t",          "welch", "ks", "mann-whitney", "cusum", "page-hinkley",
                                    "martingale", "pot",   NULL};
static const char *const directions[] = {"both", "up", NULL};

static const dumi_param params[DUMI_M_PARAMS] = {
    [DUMI_M_TEST] = {"test", DUMI_TEST_MANN_WHITNEY, 0, 0, tests,
                     "t|welch|ks|mann-whitney|cusum|page-hinkley|martingale|pot", false,
                     "the first four compare whole windows with the reference, the others look at every row"},
    [DUMI_M_WINDOW] = {"window", 500, 8, 1000000, NULL, NULL, true,
                       "rows of a window; what is read is of the latest ones"},
    [DUMI_M_FALSE_ALARMS] = {"false_alarms", 1, 1e-6, 1e5, NULL, NULL, false,
                             "most alarms in a million rows that are like the reference"},
    [DUMI_M_THIN] = {"thin", 1, 1, 1000000, NULL, NULL, true,
                     "use every n-th row only: for rows that resemble those just before them"},
    [DUMI_M_EFFECT] = {"effect", 0, 0, 100, NULL, NULL, false,
                       "windows: no alarm below this effect size, in standard deviations (Cohen's d)"},
    [DUMI_M_DIRECTION] = {"direction", 0, 0, 0, directions, "both|up", false,
                          "up: only scores that rise are a reason for an alarm; pot is always up"},
    [DUMI_M_SHIFT] = {"shift", 0.5, 0.05, 4, NULL, NULL, false,
                      "cusum, page-hinkley, martingale: the shift to find, in standard deviations"},
    [DUMI_M_KEEP] = {"keep", 10000, 64, 10000000, NULL, NULL, true,
                     "most reference scores to keep; of more, evenly spaced quantiles"},
    [DUMI_M_SEED] = {"seed", 0, 0, 9007199254740992.0, NULL, NULL, true,
                     "of the random numbers that break ties"},
};

static const dumi_param *param(int32_t index)
{
    return &params[index];
}

const dumi_params dumi_monitor_params = {"monitor", DUMI_M_PARAMS, param};

const dumi_monitor_test dumi_monitor_tests[DUMI_TESTS] = {
    [DUMI_TEST_T] = {dumi_monitor_needed_window, false, false, dumi_monitor_row_window},
    [DUMI_TEST_WELCH] = {dumi_monitor_needed_window, false, false, dumi_monitor_row_window},
    [DUMI_TEST_KS] = {dumi_monitor_needed_window, false, false, dumi_monitor_row_window},
    [DUMI_TEST_MANN_WHITNEY] = {dumi_monitor_needed_window, false, false, dumi_monitor_row_window},
    [DUMI_TEST_CUSUM] = {dumi_monitor_needed_ranks, true, false, dumi_monitor_row_ranks},
    [DUMI_TEST_PAGE_HINKLEY] = {dumi_monitor_needed_ranks, true, false, dumi_monitor_row_ranks},
    [DUMI_TEST_MARTINGALE] = {dumi_monitor_needed_ranks, true, false, dumi_monitor_row_ranks},
    [DUMI_TEST_POT] = {dumi_monitor_needed_tail, false, true, dumi_monitor_row_tail},
};
