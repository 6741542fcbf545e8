/* SPDX-License-Identifier: MIT
 * Joint false-discovery rate. With evidence as -log10 p or log10 e the procedures of Benjamini & Hochberg and of Wang
 * & Ramdas are one: the k strongest are named, for the largest k whose weakest has evidence of log10(n / (k rate)). */
#include "stats/stats.h"

#include <stdlib.h>

static dum_status check(const double *evidence, int64_t n, double rate, int32_t method)
{
    DUMI_NOT_NULL(evidence);
    DUMI_REQUIRE(n >= 1, DUM_ERR_ARGUMENT, "n is %lld, expected 1 or more", (long long)n);
    DUMI_REQUIRE(rate > 0 && rate < 1, DUM_ERR_ARGUMENT, "rate is %s, expected a number between 0 and 1",
                 dumi_show(rate).text);
    DUMI_REQUIRE(method == DUM_FDR_PLAIN || method == DUM_FDR_ANY, DUM_ERR_ARGUMENT,
                 "method is %d, expected DUM_FDR_PLAIN or DUM_FDR_ANY", method);
    for (int64_t i = 0; i < n; i++)
        DUMI_REQUIRE(!isnan(evidence[i]), DUM_ERR_NONFINITE, "evidence[%lld] is NaN", (long long)i);
    return DUM_OK;
}

/* The weakest evidence that is named; infinity with *count = 0 where none is. */
static double find_weakest(const double *ascending, int64_t n, double rate, int64_t *count)
{
    for (*count = n; *count > 0; (*count)--) {
        const double weakest = ascending[n - *count];
        if (weakest >= log10((double)n / ((double)*count * rate)))
            return weakest;
    }
    return INFINITY;
}

dum_status dum_false_discoveries(const double *evidence, int64_t n, double rate, int32_t method, uint8_t *found,
                                 int64_t *count)
{
    dumi_clear_error();
    DUMI_TRY(check(evidence, n, rate, method));
    DUMI_NOT_NULL(found);
    DUMI_NOT_NULL(count);
    double *const sorted = dumi_stats_alloc(n, sizeof *sorted);
    if (sorted == NULL)
        return DUM_ERR_NOMEM;
    memcpy(sorted, evidence, (size_t)n * sizeof *sorted);
    dumi_sort_double(sorted, n);
    double harmonic = 1;
    for (int64_t i = 2; i <= n && method == DUM_FDR_ANY; i++)
        harmonic += 1 / (double)i;
    const double weakest = find_weakest(sorted, n, rate / harmonic, count);
    free(sorted);
    for (int64_t i = 0; i < n; i++)
        found[i] = *count > 0 && evidence[i] >= weakest;
    return DUM_OK;
}
