/* SPDX-License-Identifier: MIT */
#include "stats/stats.h"

#include <stdlib.h>

void *dumi_stats_alloc(int64_t count, size_t size)
{
    void *memory = NULL;
    if (count >= 0 && (uint64_t)count <= (uint64_t)PTRDIFF_MAX / size)
        memory = malloc(count > 0 ? (size_t)count * size : 1);
    if (memory == NULL)
        (void)dumi_fail(DUM_ERR_NOMEM, "out of memory: %lld values of %zu bytes", (long long)count, size);
    return memory;
}

/* Puts the positives at the front of values and the negatives at the end. */
static dum_status split_labels(const double *scores, const uint8_t *labels, int64_t n, double *values,
                               int64_t *positives)
{
    int64_t front = 0, back = n;
    for (int64_t i = 0; i < n; i++) {
        DUMI_REQUIRE(labels[i] <= 1, DUM_ERR_ARGUMENT, "labels[%lld] is %d, expected 0 or 1", (long long)i,
                     labels[i]);
        DUMI_REQUIRE(!isnan(scores[i]), DUM_ERR_NONFINITE,
                     "scores[%lld] is NaN, expected a number (infinities are allowed)", (long long)i);
        if (labels[i] == 1)
            values[front++] = scores[i];
        else
            values[--back] = scores[i];
    }
    *positives = front;
    return DUM_OK;
}

/* The two sorted classes, eaten from their upper ends. */
typedef struct merge_state {
    const double *positive, *negative;
    int64_t positives, negatives;
} merge_state;

static bool next_group(merge_state *state, dumi_group *group)
{
    const int64_t positives = state->positives, negatives = state->negatives;
    if (positives == 0 && negatives == 0)
        return false;
    double top = positives > 0 ? state->positive[positives - 1] : state->negative[negatives - 1];
    if (negatives > 0 && state->negative[negatives - 1] > top)
        top = state->negative[negatives - 1];
    /* Equality of sorted values, written so that no compiler warns of comparing floats. */
    while (state->positives > 0 && state->positive[state->positives - 1] >= top)
        state->positives--;
    while (state->negatives > 0 && state->negative[state->negatives - 1] >= top)
        state->negatives--;
    group->positive = positives - state->positives;
    group->negative = negatives - state->negatives;
    return true;
}

static dum_status make_groups(const double *values, int64_t n, dumi_ranking *ranking)
{
    const merge_state start = {values, values + ranking->positives, ranking->positives, n - ranking->positives};
    merge_state state = start;
    dumi_group group;
    while (next_group(&state, &group))
        ranking->count++;
    ranking->groups = dumi_stats_alloc(ranking->count, sizeof *ranking->groups);
    if (ranking->groups == NULL)
        return DUM_ERR_NOMEM;
    state = start;
    for (int64_t g = 0; next_group(&state, &group); g++)
        ranking->groups[g] = group;
    return DUM_OK;
}

dum_status dumi_ranking_create(const double *scores, const uint8_t *labels, int64_t n, dumi_ranking *ranking)
{
    dum_status status = DUM_ERR_NOMEM;
    memset(ranking, 0, sizeof *ranking);
    /* Before the first look at the data: an impossible n is refused, not read. */
    double *const values = dumi_stats_alloc(n, sizeof *values);
    if (values == NULL)
        return status;
    DUMI_GO(split_labels(scores, labels, n, values, &ranking->positives));
    ranking->negatives = n - ranking->positives;
    dumi_sort_double(values, ranking->positives);
    dumi_sort_double(values + ranking->positives, ranking->negatives);
    DUMI_GO(make_groups(values, n, ranking));
done:
    free(values);
    return status;
}
