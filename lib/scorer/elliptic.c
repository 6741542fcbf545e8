/* SPDX-License-Identifier: MIT
 * Kind "elliptic": the distance from the mean and by the covariance of the most concentrated half of the rows, by FastMCD
 * (Rousseeuw & Van Driessen 1999), reweighted as they do. */
#include "linear/linear.h"
#include "scorer/ellipsoid.h"

#include <math.h>

enum { SUPPORT = DUMI_SCORER_PARAMS, STARTS, SEED, PARAMS };

static const dumi_param own[] = {
    {"support", 0, 0, 1, NULL, NULL, false,
     "share of the rows whose covariance has the least determinant; 0: (n + d + 1) / 2n, the most robust"},
    {"starts", 100, 1, 10000, NULL, NULL, true, "random subsets that the search begins with"},
    {"seed", 0, 0, 9007199254740992.0, NULL, NULL, true, "of all random numbers"},
};

static const dumi_param *param(int32_t index)
{
    return index == DUMI_SCORER_HOLDOUT ? &dumi_scorer_holdout : &own[index - SUPPORT];
}

/* The search goes from groups of rows to all groups together to all rows. */
enum {
    GROUP_ROWS = 300,
    MOST_GROUPS = 5,
    KEPT = 10,
    LAST = 10,
    TASK_ROWS = 64,
    FIRST_STEPS = 2,
    MOST_STEPS = 100
};

/* A subset of rows, ascending, and how concentrated it is: the fewer dimensions the better, then the determinant. */
typedef struct {
    int64_t *rows;
    int64_t count;
    int32_t rank;
    double log_determinant;
} subset;

typedef struct {
    const dumi_fitting *f;
    double *mean, *root, *x;    /* of the subset looked at; x: four rows for each worker */
    double *distances, *sorted; /* of the rows looked at */
    const int64_t *among;       /* those rows, ascending; NULL: all */
    int64_t count;
    int64_t step, steps; /* how far the search is, for the host */
} search;

static dum_status ask(const void *user, int64_t step, int64_t steps)
{
    const search *s = user;
    (void)step;
    (void)steps;
    return dumi_fitting_progress(s->f, s->step, s->steps, 0);
}

static int64_t row_number(const search *s, int64_t i)
{
    return s->among != NULL ? s->among[i] : i;
}

static void distance_task(void *argument, int64_t task, int32_t worker)
{
    const search *s = argument;
    const int32_t d = s->f->cols;
    const int64_t first = task * TASK_ROWS, end = first + TASK_ROWS < s->count ? first + TASK_ROWS : s->count;
    double *x = s->x + (int64_t)worker * 4 * d;
    for (int64_t i = first; i < end; i += 4) {
        const float *rows[4];
        double distances[4];
        for (int64_t r = 0; r < 4; r++)
            rows[r] = s->f->rows + row_number(s, i + r < end ? i + r : i) * d;
        dumi_ellipsoid_four(d, s->mean, s->root, rows, x, distances);
        for (int64_t r = 0; r < 4 && i + r < end; r++)
            s->distances[i + r] = distances[r];
    }
}

static dum_status measure(search *s)
{
    const dumi_watch watch = {ask, s};
    return dumi_parallel_watched(s->f->context, s->f->context->threads, (s->count + TASK_ROWS - 1) / TASK_ROWS,
                                 1.0 * (double)s->count * s->f->cols * s->f->cols, distance_task, s, &watch);
}

/* The nth smallest (Hoare's selection); destroys the order. */
static double nth_of(double *values, int64_t count, int64_t nth)
{
    int64_t low = 0, high = count - 1;
    while (low < high) {
        const double pivot = values[low + (high - low) / 2];
        int64_t i = low, j = high;
        while (i <= j) {
            while (values[i] < pivot)
                i++;
            while (pivot < values[j])
                j--;
            if (i <= j) {
                const double held = values[i];
                values[i++] = values[j];
                values[j--] = held;
            }
        }
        if (nth <= j)
            high = j;
        else if (nth >= i)
            low = i;
        else
            break;
    }
    return values[nth];
}

/* Rows of a subset; of equal distances the first. */
static void choose_nearest(search *s, subset *to)
{
    memcpy(s->sorted, s->distances, (size_t)s->count * sizeof *s->sorted);
    const double limit = nth_of(s->sorted, s->count, to->count - 1);
    int64_t below = 0, at = 0;
    for (int64_t i = 0; i < s->count; i++)
        below += s->distances[i] < limit;
    int64_t equal = to->count - below;
    for (int64_t i = 0; i < s->count; i++)
        if (s->distances[i] < limit || (s->distances[i] == limit && equal-- > 0))
            to->rows[at++] = row_number(s, i);
}

static dum_status estimate(search *s, subset *from)
{
    const dumi_fitting *f = s->f;
    const dumi_watch watch = {ask, s};
    DUMI_TRY(dumi_covariance(f->context, f->rows, from->rows, from->count, f->cols, s->mean, s->root, &watch));
    return dumi_cholesky_inverse(f->cols, s->root, 1e-10, &watch, &from->rank, &from->log_determinant);
}

static bool better(const subset *a, const subset *b)
{
    return a->rank < b->rank || (a->rank == b->rank && a->log_determinant < b->log_determinant);
}

/* C-steps from `from`, which may be the same subset, to the `count` most concentrated of the rows looked at. */
static dum_status concentrate(search *s, subset *from, subset *to, int32_t steps)
{
    DUMI_TRY(estimate(s, from));
    for (int32_t step = 0; step < steps; step++) {
        const subset before = *to;
        DUMI_TRY(measure(s));
        choose_nearest(s, to);
        DUMI_TRY(estimate(s, to));
        if (step > 0 && to->rank == before.rank && !(to->log_determinant < before.log_determinant - 1e-12))
            break;
    }
    return DUM_OK;
}

/* Puts `made` among the `kept` best if it is better than the last of them; which then is `made`. */
static void keep(subset *best, int32_t *found, int32_t kept, subset *made)
{
    int32_t at = *found < kept ? (*found)++ : kept;
    subset last = best[at < kept ? at : kept - 1];
    if (at == kept) {
        if (!better(made, &best[kept - 1]))
            return;
        at = kept - 1;
    }
    for (; at > 0 && better(made, &best[at - 1]); at--)
        best[at] = best[at - 1];
    best[at] = *made;
    *made = last;
}

static int64_t half_of(const dumi_fitting *f, int64_t count)
{
    const double share = f->values[SUPPORT];
    const double whole = share > 0 ? ceil(share * (double)count) : floor(((double)count + f->cols + 1) / 2);
    return whole < 1 ? 1 : whole < (double)count ? (int64_t)whole : count;
}

/* `count` different ones of `from`, ascending. */
static void draw(const search *s, int64_t *to, int64_t count, uint32_t stream)
{
    for (int64_t i = 0; i < count; i++)
        to[i] = row_number(s, (int64_t)dumi_permute((uint64_t)s->count, (uint64_t)i,
                                                    (uint64_t)s->f->values[SEED], DUMI_RNG_SAMPLE, stream));
    dumi_sort_int64(to, count);
}

typedef struct {
    int32_t groups, found;  /* best subsets of each group */
    int64_t grouped;        /* rows of all groups */
    int64_t *members;       /* of one group after the other, each ascending; then all of them, ascending */
    int64_t *space, *whole; /* rows of the subsets; and of two that may hold all rows */
    subset best[MOST_GROUPS * KEPT], next[KEPT], spare;
} stages;

static dum_status first_stage(search *s, stages *g)
{
    const int32_t starts = (int32_t)s->f->values[STARTS], each = (starts + g->groups - 1) / g->groups;
    s->steps = (int64_t)each * g->groups + 1;
    for (int32_t group = 0; group < g->groups; group++) {
        s->count = g->grouped / g->groups;
        s->among = g->members + group * s->count;
        int32_t found = 0;
        for (int32_t start = 0; start < each; start++) {
            s->step = (int64_t)group * each + start;
            /* Few rows are seldom contaminated; a random half, in many columns, leads to lower determinants. */
            const int64_t half = half_of(s->f, s->count),
                          few = start % 2 == 0 && s->f->cols + 1 < half ? s->f->cols + 1 : half;
            subset first = {.rows = g->spare.rows, .count = few};
            draw(s, first.rows, few, (uint32_t)(group * each + start + 1));
            g->spare.count = half;
            DUMI_TRY(concentrate(s, &first, &g->spare, FIRST_STEPS));
            keep(g->best + (ptrdiff_t)group * KEPT, &found, each < KEPT ? each : KEPT, &g->spare);
        }
        g->found = found;
    }
    return DUM_OK;
}

/* From all groups' best to the best of all their rows together. */
static dum_status second_stage(search *s, stages *g)
{
    int32_t found = 0;
    s->among = g->members + g->grouped;
    s->count = g->grouped;
    for (int32_t group = 0; group < g->groups; group++)
        for (int32_t i = 0; i < g->found; i++) {
            g->spare.count = half_of(s->f, s->count);
            DUMI_TRY(concentrate(s, &g->best[group * KEPT + i], &g->spare, FIRST_STEPS));
            keep(g->next, &found, KEPT, &g->spare);
        }
    for (int32_t i = 0; i < found; i++) {
        const subset held = g->best[i];
        g->best[i] = g->next[i];
        g->next[i] = held;
    }
    g->found = found;
    return DUM_OK;
}

/* C-steps for each subset on all rows, as Rousseeuw & Van Driessen's program has them. */
static int32_t last_steps(const dumi_fitting *f)
{
    const double values = (double)f->count * f->cols;
    if (values <= 1e5)
        return MOST_STEPS;
    return values > 1e6 ? 1 : 12 - (int32_t)ceil(values / 1e5);
}

/* On all rows; the best of them to the end. */
static dum_status last_stage(search *s, stages *g, subset *out)
{
    s->among = NULL;
    s->count = s->f->count;
    const int32_t most = g->groups > 1 ? LAST : KEPT, tried = g->found < most ? g->found : most;
    *out = (subset){.rows = g->whole};
    subset made = {.rows = g->whole + s->count};
    s->steps = tried + 1;
    for (int32_t i = 0; i < tried; i++) {
        s->step = i;
        made.count = half_of(s->f, s->count);
        DUMI_TRY(concentrate(s, &g->best[i], &made, last_steps(s->f)));
        if (i == 0 || better(&made, out)) {
            const subset held = *out;
            *out = made;
            made.rows = held.rows;
        }
    }
    s->step = tried;
    return last_steps(s->f) < MOST_STEPS ? concentrate(s, out, out, MOST_STEPS) : DUM_OK;
}

/* Of chi-square with d degrees of freedom, `z` normal deviations from its median (Wilson & Hilferty 1931). */
static double chi_square(double d, double z)
{
    const double root = 1 - 2 / (9 * d) + z * sqrt(2 / (9 * d));
    return d * root * root * root;
}

/* Rows within the 97.5 % ellipsoid, of which mean and covariance are taken once more. */
static dum_status reweight(search *s, subset *chosen)
{
    const double d = s->f->cols;
    DUMI_TRY(estimate(s, chosen));
    DUMI_TRY(measure(s));
    memcpy(s->sorted, s->distances, (size_t)s->count * sizeof *s->sorted);
    const double unit = nth_of(s->sorted, s->count, (s->count - 1) / 2) / chi_square(d, 0);
    int64_t count = 0;
    for (int64_t i = 0; i < s->count; i++)
        if (s->distances[i] <= unit * chi_square(d, 1.959963984540054))
            chosen->rows[count++] = i;
    chosen->count = count;
    return estimate(s, chosen);
}

static dum_status allocate(search *s, stages *g)
{
    const dumi_fitting *f = s->f;
    const int64_t groups = f->count / GROUP_ROWS;
    g->groups = groups < 2 ? 1 : groups < MOST_GROUPS ? (int32_t)groups : MOST_GROUPS;
    g->grouped = g->groups == 1 ? f->count : (int64_t)g->groups * GROUP_ROWS;
    const int32_t sets = MOST_GROUPS * KEPT + KEPT + 1;
    DUMI_TRY(DUMI_NEW(f->context, s->x, (size_t)f->context->threads * 4 * (size_t)f->cols));
    DUMI_TRY(DUMI_NEW(f->context, s->distances, f->count));
    DUMI_TRY(DUMI_NEW(f->context, s->sorted, f->count));
    DUMI_TRY(DUMI_NEW(f->context, g->members, 2 * g->grouped));
    DUMI_TRY(DUMI_NEW(f->context, g->whole, 2 * f->count));
    DUMI_TRY(DUMI_NEW(f->context, g->space, sets * g->grouped));
    g->spare.rows = g->space;
    for (int32_t i = 0; i < MOST_GROUPS * KEPT; i++)
        g->best[i].rows = g->space + (i + 1) * g->grouped;
    for (int32_t i = 0; i < KEPT; i++)
        g->next[i].rows = g->space + (MOST_GROUPS * KEPT + 1 + i) * g->grouped;
    return DUM_OK;
}

/* A random part of the rows, in groups. */
static void divide(search *s, stages *g)
{
    const int64_t each = g->grouped / g->groups;
    s->count = s->f->count;
    s->among = NULL;
    draw(s, g->members + g->grouped, g->grouped, 0);
    memcpy(g->members, g->members + g->grouped, (size_t)g->grouped * sizeof *g->members);
    for (int64_t i = 0; i < g->grouped && g->groups > 1; i++)
        g->members[i % g->groups * each + i / g->groups] = g->members[g->grouped + i];
}

static dum_status search_all(search *s, stages *g)
{
    subset chosen;
    DUMI_TRY(allocate(s, g));
    divide(s, g);
    DUMI_TRY(first_stage(s, g));
    if (g->groups > 1)
        DUMI_TRY(second_stage(s, g));
    DUMI_TRY(last_stage(s, g, &chosen));
    return reweight(s, &chosen);
}

static dum_status fit(dumi_fitting *f, void **state)
{
    dumi_ellipsoid *e;
    stages *g = NULL;
    search s = {.f = f};
    DUMI_TRY(dumi_ellipsoid_create(f, &e));
    s.mean = e->mean;
    s.root = e->root;
    dum_status status;
    DUMI_GO(DUMI_NEW(f->context, g, 1));
    memset(g, 0, sizeof *g);
    DUMI_GO(search_all(&s, g));
    *state = e;
    e = NULL;
done:
    dumi_state_destroy(e);
    void *const parts[] = {s.x,
                           s.distances,
                           s.sorted,
                           g != NULL ? g->members : NULL,
                           g != NULL ? g->whole : NULL,
                           g != NULL ? g->space : NULL,
                           g};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        dumi_free(f->context, parts[i]);
    return status;
}

const dumi_scorer_kind dumi_scorer_elliptic = {
    .name = "elliptic",
    .params = {"scorer elliptic", PARAMS, param},
    .fit_rows = fit,
    .layout = &dumi_ellipsoid_layout,
    .row = dumi_ellipsoid_row,
    .row_cost = 30,
    .row_explains = true,
};
