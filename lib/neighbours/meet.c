/* SPDX-License-Identifier: MIT
 * A block of queries meets a leaf: |q - p|^2 = |q|^2 + |p|^2 - 2 q.p, both from the leaf's centre, so that little
 * cancels. The sums only rule rows out: which instructions make them does not show in the result. */
#include "neighbours/tree.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#define WIDE __attribute__((target("avx2,fma")))

/* rows x panels of 16; eight to twelve sums at once hide the latency of an addition. Sets near[r] to
 * the points that may be nearer to row r than its bound; returns whether there are any. */
static inline __attribute__((always_inline)) WIDE bool tile(const int rows, const int panels,
                                                            const dumi_meeting *m, int32_t first, int32_t panel,
                                                            uint64_t *near)
{
    const dumi_neighbours *t = m->t;
    const int64_t cols = t->cols, at = t->panels[m->leaf] + panel;
    const float *q = m->block->packed + first * cols, *p = t->packed + at * DUMI_PANEL * cols,
                *squares = t->squares + at * DUMI_PANEL;
    __m256 sum[6][8];
    DUMI_UNROLL
    for (int r = 0; r < rows; r++)
        DUMI_UNROLL
    for (int v = 0; v < 2 * panels; v++)
        sum[r][v] = _mm256_setzero_ps();
    for (int64_t j = 0; j < cols; j++, q += rows, p += DUMI_PANEL) {
        __m256 right[8];
        DUMI_UNROLL
        for (int v = 0; v < 2 * panels; v++)
            right[v] = _mm256_loadu_ps(p + (ptrdiff_t)(v / 2) * DUMI_PANEL * cols + (ptrdiff_t)8 * (v % 2));
        DUMI_UNROLL
        for (int r = 0; r < rows; r++) {
            const __m256 left = _mm256_broadcast_ss(q + r);
            DUMI_UNROLL
            for (int v = 0; v < 2 * panels; v++)
                sum[r][v] = _mm256_fmadd_ps(left, right[v], sum[r][v]);
        }
    }
    uint64_t any = 0;
    DUMI_UNROLL
    for (int r = 0; r < rows; r++) {
        const __m256 square = _mm256_broadcast_ss(m->block->squares + first + r),
                     bound = _mm256_broadcast_ss(m->block->bounds + first + r);
        near[r] = 0;
        DUMI_UNROLL
        for (int v = 0; v < 2 * panels; v++) {
            const __m256 both = _mm256_add_ps(square, _mm256_loadu_ps(squares + (ptrdiff_t)8 * v));
            const __m256 distance = _mm256_fnmadd_ps(_mm256_set1_ps(2), sum[r][v], both);
            /* not greater: NaN, too, is looked at */
            const int mask = _mm256_movemask_ps(_mm256_cmp_ps(distance, bound, _CMP_NGT_UQ));
            near[r] |= (uint64_t)(uint32_t)mask << (8 * v);
        }
        any |= near[r];
    }
    return any != 0;
}

static WIDE void meet_one(const dumi_meeting *m, int32_t panels)
{
    uint64_t near[1];
    int32_t panel = 0;
    for (; panel + 4 <= panels; panel += 4)
        if (tile(1, 4, m, 0, panel, near))
            dumi_neighbours_consider(m, 0, panel, near[0]);
    for (; panel < panels; panel++)
        if (tile(1, 1, m, 0, panel, near))
            dumi_neighbours_consider(m, 0, panel, near[0]);
}

/* A panel stays in the first cache while all rows meet it. */
static WIDE void meet_wide(const dumi_meeting *m, int32_t active, int32_t panels)
{
    uint64_t near[DUMI_GROUP];
    for (int32_t panel = 0; panel < panels; panel++)
        for (int32_t first = 0; first < active; first += DUMI_GROUP)
            if (tile(DUMI_GROUP, 1, m, first, panel, near))
                for (int32_t r = 0; r < DUMI_GROUP && first + r < active; r++)
                    dumi_neighbours_consider(m, first + r, panel, near[r]);
}
#endif

static void meet_plain(const dumi_meeting *m, int32_t active, int32_t panels)
{
    const dumi_neighbours *t = m->t;
    for (int32_t i = 0; i < active; i++)
        for (int32_t panel = 0; panel < panels; panel++) {
            const int64_t at = t->panels[m->leaf] + panel;
            const int32_t step = active == 1 ? 1 : DUMI_GROUP;
            const float *q = m->block->packed + (int64_t)(i - i % step) * t->cols + i % step,
                        *p = t->packed + at * DUMI_PANEL * t->cols;
            float distances[DUMI_PANEL] = {0};
            for (int64_t j = 0; j < t->cols; j++)
                for (int32_t v = 0; v < DUMI_PANEL; v++)
                    distances[v] += q[j * step] * p[j * DUMI_PANEL + v];
            uint64_t near = 0;
            for (int32_t v = 0; v < DUMI_PANEL; v++) {
                const float distance =
                    m->block->squares[i] + t->squares[at * DUMI_PANEL + v] - 2 * distances[v];
                near |= (uint64_t) !(distance > m->block->bounds[i]) << v;
            }
            dumi_neighbours_consider(m, i, panel, near);
        }
}

void dumi_neighbours_meet(const dumi_meeting *m, int32_t active)
{
    const int32_t rows = m->t->nodes[m->t->leaves - 1 + m->leaf].count;
    const int32_t panels = (rows + DUMI_PANEL - 1) / DUMI_PANEL;
#if defined(__x86_64__) && defined(__GNUC__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        if (active == 1)
            meet_one(m, panels);
        else
            meet_wide(m, active, panels);
        return;
    }
#endif
    meet_plain(m, active, panels);
}
