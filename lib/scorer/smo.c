/* SPDX-License-Identifier: MIT
 * Sequential minimal optimisation with the second-order choice of pairs (Fan, Chen & Lin 2005). */
#include "scorer/smo.h"

#include <math.h>

enum { WIDE = 8, HALF = 4 };

typedef double doubles __attribute__((vector_size(HALF * sizeof(double))));
typedef int64_t longs __attribute__((vector_size(HALF * sizeof(int64_t))));

/* Kernel rows of training rows, the one used longest ago is the first to go. */
typedef struct {
    int64_t slots, used;
    float **values;         /* of each slot */
    int64_t *owner;         /* of each slot: the training row */
    int64_t *slot;          /* of each training row, or -1 */
    int64_t *newer, *older; /* neighbours of each slot in a ring through slot `slots` */
} row_cache;

/* Training rows that are gathered at a time, and those of a part of a pass. */
enum { GATHERED = 256, PASS_ROWS = 1024 };

/* What a pass over a part of the training rows finds. */
typedef struct {
    double least; /* gradient of rows whose alpha may grow */
    double most;  /* of those whose alpha may shrink */
    double gain;  /* of the best partner */
    int64_t at;   /* of `least`, or of `gain`; -1: none */
} finding;

typedef struct {
    dumi_fitting *f;
    dum_context *context;
    const dumi_smo_options *options;
    const dumi_panels *rows;
    int64_t padded;
    double *alpha, *gradient; /* padded by 0 and infinity: such rows are never chosen */
    float *gathered;          /* rows as rows */
    int64_t *support;         /* rows that training begins with */
    row_cache cache;
    finding *found; /* of each part of a pass */
    /* The work of a pass: */
    const float *x, *row_i, *row_j;
    float *out;
    double weights[GATHERED]; /* of gathered rows */
    int32_t gathered_count;
    double change_i, change_j;
    finding best;
} solver;

static int64_t parts_of(const solver *s)
{
    return (s->padded + PASS_ROWS - 1) / PASS_ROWS;
}

static int64_t part_end(const solver *s, int64_t part)
{
    return (part + 1) * PASS_ROWS < s->padded ? (part + 1) * PASS_ROWS : s->padded;
}

static void over_parts(solver *s, double operations, dumi_task_fn task)
{
    dumi_parallel(s->context, s->context->threads, parts_of(s), operations * (double)s->padded, task, s);
}

static void kernel_row_task(void *argument, int64_t part, int32_t worker)
{
    (void)worker;
    solver *s = argument;
    float *const out = s->out + part * PASS_ROWS;
    dumi_panels_kernel(s->rows, &s->x, 1, 1, part * (PASS_ROWS / DUMI_LANES), part_end(s, part) / DUMI_LANES,
                       &out);
}

static void unlink_slot(row_cache *c, int64_t slot)
{
    c->newer[c->older[slot]] = c->newer[slot];
    c->older[c->newer[slot]] = c->older[slot];
}

static void make_newest(row_cache *c, int64_t slot)
{
    const int64_t head = c->slots;
    c->older[slot] = c->older[head];
    c->newer[slot] = head;
    c->newer[c->older[head]] = slot;
    c->older[head] = slot;
}

/* A slot for the kernel row of `row`, whose values are to be made. */
static dum_status claim_slot(solver *s, int64_t row, int64_t *slot)
{
    row_cache *c = &s->cache;
    if (c->used < c->slots) {
        *slot = c->used;
        DUMI_TRY(DUMI_NEW(s->context, c->values[*slot], s->padded));
        c->used++;
    } else {
        *slot = c->newer[c->slots];
        unlink_slot(c, *slot);
        c->slot[c->owner[*slot]] = -1;
    }
    c->owner[*slot] = row;
    c->slot[row] = *slot;
    make_newest(c, *slot);
    return DUM_OK;
}

static dum_status kernel_row(solver *s, int64_t row, const float **out)
{
    row_cache *c = &s->cache;
    int64_t slot = c->slot[row];
    if (slot >= 0) {
        unlink_slot(c, slot);
        make_newest(c, slot);
    } else {
        DUMI_TRY(claim_slot(s, row, &slot));
        dumi_panels_row(s->rows, row, s->gathered);
        s->x = s->gathered;
        s->out = c->values[slot];
        over_parts(s, dumi_panels_cost(s->rows->cols), kernel_row_task);
    }
    *out = c->values[slot];
    return DUM_OK;
}

static dum_status create_cache(solver *s)
{
    row_cache *c = &s->cache;
    const double rows = s->options->cache_bytes / ((double)s->padded * sizeof(float));
    const int64_t count = s->rows->count, least = count < 2 ? count : 2;
    c->slots = rows < (double)least ? least : rows > (double)count ? count : (int64_t)rows;
    DUMI_TRY(DUMI_NEW(s->context, c->values, c->slots));
    for (int64_t i = 0; i < c->slots; i++)
        c->values[i] = NULL;
    DUMI_TRY(DUMI_NEW(s->context, c->owner, c->slots));
    DUMI_TRY(DUMI_NEW(s->context, c->newer, c->slots + 1));
    DUMI_TRY(DUMI_NEW(s->context, c->older, c->slots + 1));
    c->newer[c->slots] = c->older[c->slots] = c->slots;
    DUMI_TRY(DUMI_NEW(s->context, c->slot, count));
    for (int64_t i = 0; i < count; i++)
        c->slot[i] = -1;
    return DUM_OK;
}

static void destroy_solver(solver *s)
{
    row_cache *c = &s->cache;
    for (int64_t i = 0; i < c->used; i++)
        dumi_free(s->context, c->values[i]);
    void *const all[] = {c->values, c->owner, c->newer, c->older, c->slot, s->gathered, s->support, s->found};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        dumi_free(s->context, all[i]);
}

DUMI_CLONES static void add_scaled(const float *restrict k, double factor, int64_t count, double *restrict sums)
{
    for (int64_t i = 0; i < count; i++)
        sums[i] += factor * (double)k[i];
}

/* Adds the weighted kernel rows of the gathered rows to a part of the gradient. */
static void gather_task(void *argument, int64_t part, int32_t worker)
{
    (void)worker;
    solver *s = argument;
    const int64_t step = dumi_panels_stretch(s->rows->cols), end = part_end(s, part) / DUMI_LANES;
    for (int64_t first = part * (PASS_ROWS / DUMI_LANES); first < end; first += step) {
        const int64_t stop = first + step < end ? first + step : end;
        for (int32_t i = 0; i < s->gathered_count; i += DUMI_TOGETHER) {
            float k[DUMI_TOGETHER][DUMI_STRETCH * DUMI_LANES];
            const int now = s->gathered_count - i < DUMI_TOGETHER ? 1 : DUMI_TOGETHER;
            const float *row = s->gathered + (int64_t)i * s->rows->cols,
                        *x[] = {row, row + (int64_t)(now - 1) * s->rows->cols};
            float *out[] = {k[0], k[1]};
            dumi_panels_kernel(s->rows, x, now, 1, first, stop, out);
            for (int q = 0; q < now; q++)
                add_scaled(k[q], s->weights[i + q], (stop - first) * DUMI_LANES,
                           s->gradient + first * DUMI_LANES);
        }
    }
}

/* gradient = sum over `count` rows of their alpha, or 1, times their kernel rows. */
static dum_status sum_rows(solver *s, const int64_t *rows, int64_t count, bool by_alpha)
{
    for (int64_t i = 0; i < s->padded; i++)
        s->gradient[i] = 0;
    for (int64_t first = 0; first < count; first += GATHERED) {
        s->gathered_count = (int32_t)(count - first < GATHERED ? count - first : GATHERED);
        for (int32_t i = 0; i < s->gathered_count; i++) {
            dumi_panels_row(s->rows, rows[first + i], s->gathered + (int64_t)i * s->rows->cols);
            s->weights[i] = by_alpha ? s->alpha[rows[first + i]] : 1;
        }
        over_parts(s, dumi_panels_cost(s->rows->cols) * s->gathered_count, gather_task);
        DUMI_TRY(dumi_fitting_progress(s->f, 0, s->rows->count, 0));
    }
    return DUM_OK;
}

/* The rows with the fewest others around them, as far as a sample tells: the first `count` of `support`. */
static dum_status find_lonely(solver *s, int64_t count)
{
    enum { SAMPLE = 2 * GATHERED };
    const int64_t n = s->rows->count, sample = n / 8 < SAMPLE ? n / 8 + 1 : SAMPLE;
    for (int64_t i = 0; i < sample; i++)
        s->support[i] = i * n / sample;
    DUMI_TRY(sum_rows(s, s->support, sample, false));
    memcpy(s->alpha, s->gradient, (size_t)n * sizeof *s->alpha);
    dumi_sort_double(s->alpha, n);
    const double limit = s->alpha[count - 1];
    int64_t found = 0;
    for (int64_t i = 0; i < n; i++)
        if (s->gradient[i] < limit)
            s->support[found++] = i;
    for (int64_t i = 0; i < n && found < count; i++)
        if (s->gradient[i] == limit)
            s->support[found++] = i;
    return DUM_OK;
}

/* Training begins with the largest alpha for lonely rows, which is near the solution. */
static dum_status choose_start(solver *s)
{
    const double sum = s->options->sum;
    const int64_t whole = (int64_t)sum, count = whole < s->rows->count ? whole + 1 : whole;
    DUMI_TRY(find_lonely(s, count));
    for (int64_t i = 0; i < s->padded; i++)
        s->alpha[i] = 0;
    for (int64_t i = 0; i < count; i++)
        s->alpha[s->support[i]] = i < whole ? 1 : sum - (double)whole;
    DUMI_TRY(sum_rows(s, s->support, count, true));
    for (int64_t i = s->rows->count; i < s->padded; i++)
        s->gradient[i] = INFINITY;
    return DUM_OK;
}

static dum_status create_solver(solver *s)
{
    const int64_t count = s->rows->count, gathered = count < GATHERED ? count : GATHERED;
    DUMI_TRY(DUMI_NEW(s->context, s->gathered, (size_t)gathered * (size_t)s->rows->cols));
    DUMI_TRY(DUMI_NEW(s->context, s->support, count));
    DUMI_TRY(DUMI_NEW(s->context, s->found, parts_of(s)));
    return create_cache(s);
}

/* The lesser of two candidates; of equals, the first row. */
static void take_least(finding *best, double least, int64_t at)
{
    if (least < best->least || (least == best->least && at < best->at)) {
        best->least = least;
        best->at = at;
    }
}

/* A macro: functions that take vectors have another interface on each processor. */
#define CHOOSE(mask, yes, no) (((mask) & (longs)(yes)) | (~(mask) & (longs)(no)))

/* Follows the change of two alphas in the gradient of rows first .. end - 1, and looks for the next row to grow. */
DUMI_CLONES static void follow(const solver *s, int64_t first, int64_t end, finding *found)
{
    const doubles none = {INFINITY, INFINITY, INFINITY, INFINITY};
    doubles least = none, most = -none;
    longs at = {-1, -1, -1, -1}, index = {first, first + 1, first + 2, first + 3};
    for (int64_t i = first; i < end; i += HALF, index += HALF) {
        doubles g, a;
        memcpy(&g, s->gradient + i, sizeof g);
        memcpy(&a, s->alpha + i, sizeof a);
        const doubles ki = {(double)s->row_i[i], (double)s->row_i[i + 1], (double)s->row_i[i + 2],
                            (double)s->row_i[i + 3]};
        const doubles kj = {(double)s->row_j[i], (double)s->row_j[i + 1], (double)s->row_j[i + 2],
                            (double)s->row_j[i + 3]};
        g = g + (s->change_i * ki + s->change_j * kj);
        memcpy(s->gradient + i, &g, sizeof g);
        const longs less = (a < 1.0) & (g < least), more = (a > 0.0) & (g > most);
        least = (doubles)CHOOSE(less, g, least);
        at = CHOOSE(less, index, at);
        most = (doubles)CHOOSE(more, g, most);
    }
    *found = (finding){INFINITY, -INFINITY, 0, -1};
    for (int l = 0; l < HALF; l++) {
        take_least(found, least[l], at[l]);
        found->most = most[l] > found->most ? most[l] : found->most;
    }
}

static void follow_task(void *argument, int64_t part, int32_t worker)
{
    (void)worker;
    solver *s = argument;
    follow(s, part * PASS_ROWS, part_end(s, part), &s->found[part]);
}

static void find_first(solver *s)
{
    over_parts(s, 6, follow_task);
    s->best = s->found[0];
    for (int64_t part = 1; part < parts_of(s); part++) {
        take_least(&s->best, s->found[part].least, s->found[part].at);
        s->best.most = fmax(s->best.most, s->found[part].most);
    }
}

/* Equal rows: libsvm's lower limit of the curvature along a pair. */
static const float LEAST_CURVATURE = 1e-12f;

/* The row whose alpha shrinks for that of the row found: the one by which the objective falls most. */
DUMI_CLONES static void pair(const solver *s, int64_t first, int64_t end, finding *found)
{
    float gain[WIDE];
    int32_t at[WIDE];
    const double least = s->best.least;
    for (int l = 0; l < WIDE; l++) {
        gain[l] = 0;
        at[l] = -1;
    }
    for (int64_t i = first; i < end; i += WIDE)
        for (int l = 0; l < WIDE; l++) {
            const float rise = (float)(s->gradient[i + l] - least), flat = 2 - 2 * s->row_i[i + l];
            const float curvature = flat > LEAST_CURVATURE ? flat : LEAST_CURVATURE;
            const float falls = s->alpha[i + l] > 0 && rise > 0 ? rise * rise / curvature : 0;
            at[l] = falls > gain[l] ? (int32_t)(i - first) : at[l];
            gain[l] = falls > gain[l] ? falls : gain[l];
        }
    *found = (finding){INFINITY, -INFINITY, 0, -1};
    for (int l = 0; l < WIDE; l++)
        if ((double)gain[l] > found->gain) {
            found->gain = (double)gain[l];
            found->at = first + at[l] + l;
        }
}

static void pair_task(void *argument, int64_t part, int32_t worker)
{
    (void)worker;
    solver *s = argument;
    pair(s, part * PASS_ROWS, part_end(s, part), &s->found[part]);
}

static int64_t find_second(solver *s)
{
    over_parts(s, 6, pair_task);
    finding best = s->found[0];
    for (int64_t part = 1; part < parts_of(s); part++)
        if (s->found[part].gain > best.gain)
            best = s->found[part];
    return best.at;
}

/* Moves alpha from row j to row i as far as it helps. False: it stays as it is, in double. */
static bool move(solver *s, int64_t i, int64_t j)
{
    const double before_i = s->alpha[i], before_j = s->alpha[j], room = 1 - before_i;
    const double curvature = fmax(2 - 2 * (double)s->row_i[j], (double)LEAST_CURVATURE);
    const double step = (s->gradient[j] - s->gradient[i]) / curvature;
    const double most = fmin(room, before_j), taken = fmin(step, most);
    s->alpha[i] = taken == room ? 1 : before_i + taken;
    s->alpha[j] = before_j - taken;
    s->change_i = s->alpha[i] - before_i;
    s->change_j = s->alpha[j] - before_j;
    return s->change_i != 0 || s->change_j != 0;
}

/* How many iterations it may be in all, from how fast the gap has closed. */
static int64_t expected_steps(const solver *s, int64_t step, double first_gap, double gap)
{
    const double closed = log(first_gap / gap), wanted = log(first_gap / s->options->tolerance);
    if (!(closed > 0.01) || !(wanted > closed))
        return step + s->rows->count;
    return step + 1 + (int64_t)((double)step * (wanted - closed) / closed);
}

/* How far the solution is from the best: alpha would go from a row of the larger gradient to one of the less. */
static double gap_of(const solver *s)
{
    return fmax(s->best.most - s->best.least, 0);
}

/* Moves alpha between one pair of rows. Not moved: there is none, or double has no room for the step. */
static dum_status improve(solver *s, bool *moved)
{
    const int64_t i = s->best.at;
    DUMI_TRY(kernel_row(s, i, &s->row_i));
    const int64_t j = find_second(s);
    *moved = false;
    if (j < 0)
        return DUM_OK;
    DUMI_TRY(kernel_row(s, j, &s->row_j));
    *moved = move(s, i, j);
    if (*moved)
        find_first(s);
    return DUM_OK;
}

static dum_status train(solver *s)
{
    const double limit = s->options->max_iterations > 0 ? s->options->max_iterations : INFINITY;
    const double cost = dumi_panels_cost(s->rows->cols) * (double)s->padded;
    const int64_t interval = cost > 1e8 ? 1 : cost < 25000 ? 4000 : (int64_t)(1e8 / cost);
    /* No change yet: any finite kernel row will do. */
    DUMI_TRY(kernel_row(s, 0, &s->row_i));
    s->row_j = s->row_i;
    s->change_i = s->change_j = 0;
    find_first(s);
    const double first_gap = gap_of(s);
    int64_t step = 0;
    bool moved = true;
    while (moved && gap_of(s) >= s->options->tolerance && (double)step < limit) {
        if (step % interval == 0)
            DUMI_TRY(
                dumi_fitting_progress(s->f, step, expected_steps(s, step, first_gap, gap_of(s)), gap_of(s)));
        DUMI_TRY(improve(s, &moved));
        step++;
    }
    /* Where it begins with the solution there was no step, but hosts divide by how many there are. */
    const int64_t all = step > 0 ? step : 1;
    return dumi_fitting_progress(s->f, all, all, gap_of(s));
}

dum_status dumi_smo(dumi_fitting *f, const dumi_smo_options *options, const dumi_panels *rows, double *alpha,
                    double *gradient)
{
    solver s = {.f = f,
                .context = f->context,
                .options = options,
                .rows = rows,
                .padded = rows->blocks * DUMI_LANES,
                .alpha = alpha,
                .gradient = gradient};
    dum_status status;
    DUMI_GO(create_solver(&s));
    DUMI_GO(choose_start(&s));
    DUMI_GO(train(&s));
done:
    destroy_solver(&s);
    return status;
}
