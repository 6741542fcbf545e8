/* SPDX-License-Identifier: MIT
 * Kinds "iforest" (Liu, Ting & Zhou 2008): how few random cuts part a row from a random sample of the others; and "eif"
 * (Hariri, Carrasco Kind & Brunner 2019): cuts in random directions instead of along columns. */
#include "scorer/rows.h"

#include <math.h>
#include <stddef.h>

/* The first of the own options. */
enum { IFOREST_OWN = DUMI_SCORER_PARAMS, EIF_OWN = DUMI_SCALED_PARAMS };
enum { TREES, SAMPLE, SEED, OWN };

static const dumi_param own[] = {
    {"trees", 100, 1, 10000, NULL, NULL, true, "of the forest"},
    {"sample", 256, 2, 65536, NULL, NULL, true,
     "rows that each tree is grown on, or all where there are fewer"},
    {"seed", 0, 0, 9007199254740992.0, NULL, NULL, true, "of all random numbers"},
};

static const dumi_param *iforest_param(int32_t index)
{
    return index == DUMI_SCORER_HOLDOUT ? &dumi_scorer_holdout : &own[index - IFOREST_OWN];
}

static const dumi_param *eif_param(int32_t index)
{
    return index == DUMI_SCORER_HOLDOUT   ? &dumi_scorer_holdout
           : index == DUMI_SCORER_SCALING ? &dumi_scorer_scaling
                                          : &own[index - EIF_OWN];
}

/* A node, as four float32 in a model file: all of them are exact. The left child is the next node. */
typedef struct {
    float feature; /* iforest: the column; eif: the direction; -1: a leaf */
    float cut;     /* less: left */
    float right;   /* nodes from this one to the right child */
    float length;  /* leaf: of the path to it, and of what would follow for the rows that are in it */
} node;

enum { NODE_FLOATS = 4 };
_Static_assert(sizeof(node) == NODE_FLOATS * sizeof(float), "a node is written as four floats");

typedef struct {
    dumi_state head;
    float *shape;    /* columns, and the mean length of a path, by which lengths are measured */
    int64_t *starts; /* of each tree in nodes; and the end */
    node *nodes;
    float *directions; /* eif only: rows */
} forest;

enum { NODES = 1, STARTS, NODE_SIZE, SHAPE_SIZE, DIRECTIONS };
enum { SHAPE_COLS, SHAPE_USUAL, SHAPE_FLOATS };

/* Mean length of an unsuccessful search in a binary tree of n rows (Liu et al., equation 1). */
static double usual_length(double n)
{
    if (n <= 1)
        return 0;
    return n <= 2 ? 1 : 2 * (log(n - 1) + 0.5772156649015329) - 2 * (n - 1) / n;
}

/* A tree of n nodes has (n - 1) / 2 that are not leaves, each with a direction. */
static int64_t first_direction(const forest *f, int64_t tree)
{
    return (f->starts[tree] - tree) / 2;
}

/* A tree while it grows. */
typedef struct {
    forest *f;
    const dum_dataset *data; /* iforest reads samples from here, */
    const float *all;        /* eif from here */
    bool extended;
    int64_t count;
    int32_t sample, deepest;
    float *rows;       /* the sample */
    float *values;     /* of its rows, by the feature or direction looked at */
    int64_t *indices;  /* scratch */
    int32_t *order;    /* rows of the sample, those of a node side by side */
    int32_t *features; /* scratch: those not yet found constant in a node */
    int32_t tree;
    int64_t next, directions;
    dumi_rng rng;
    const dumi_fitting *fitting;
} grower;

DUMI_CLONES static float project(int64_t cols, const float *restrict direction, const float *restrict row)
{
    double sum[4] = {0, 0, 0, 0};
    int64_t j = 0;
    for (; j + 4 <= cols; j += 4)
        for (int32_t lane = 0; lane < 4; lane++)
            sum[lane] += (double)direction[j + lane] * (double)row[j + lane];
    for (; j < cols; j++)
        sum[0] += (double)direction[j] * (double)row[j];
    return (float)((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

/* A random place between the values of the node's rows, so that both sides get a row; false: they are all the same. */
static bool cut_values(grower *g, int32_t first, int32_t count, float *cut)
{
    float least = g->values[g->order[first]], most = least;
    for (int32_t i = first + 1; i < first + count; i++) {
        const float value = g->values[g->order[i]];
        least = value < least ? value : least;
        most = value > most ? value : most;
    }
    if (!(most > least))
        return false;
    *cut = (float)((double)least + dumi_rng_uniform(&g->rng) * ((double)most - (double)least));
    if (!(*cut > least))
        *cut = nextafterf(least, most);
    return true;
}

/* A random feature that is not constant among the node's rows, and where to cut it; false: there is none. */
static bool choose_column(grower *g, int32_t first, int32_t count, float *feature, float *cut)
{
    const int32_t cols = (int32_t)g->f->head.sizes[DUMI_COLS];
    for (int32_t j = 0; j < cols; j++)
        g->features[j] = j;
    for (int32_t left = cols; left > 0; left--) {
        const int32_t at = (int32_t)dumi_rng_below(&g->rng, (uint64_t)left), j = g->features[at];
        for (int32_t i = first; i < first + count; i++)
            g->values[g->order[i]] = g->rows[(int64_t)g->order[i] * cols + j];
        *feature = (float)j;
        if (cut_values(g, first, count, cut))
            return true;
        g->features[at] = g->features[left - 1];
    }
    return false;
}

/* A random direction, and where to cut it. Directions are numbered within their tree. */
static bool choose_direction(grower *g, int32_t first, int32_t count, float *feature, float *cut)
{
    enum { TRIES = 4 }; /* rows that differ hardly ever project to one value */
    const int64_t cols = g->f->head.sizes[DUMI_COLS];
    float *direction = g->f->directions + g->directions * cols;
    for (int32_t tries = 0; tries < TRIES; tries++) {
        for (int64_t j = 0; j < cols; j++)
            direction[j] = (float)dumi_rng_normal(&g->rng);
        for (int32_t i = first; i < first + count; i++)
            g->values[g->order[i]] = project(cols, direction, g->rows + g->order[i] * cols);
        if (cut_values(g, first, count, cut)) {
            *feature = (float)(g->directions++ - first_direction(g->f, g->tree));
            return true;
        }
    }
    return false;
}

static int32_t partition(const grower *g, int32_t first, int32_t count, float cut)
{
    int32_t below = first;
    for (int32_t i = first; i < first + count; i++) {
        const int32_t row = g->order[i];
        if (g->values[row] < cut) {
            g->order[i] = g->order[below];
            g->order[below++] = row;
        }
    }
    return below - first;
}

/* Depth is at most 17: recursion is safe on a small stack. */
static void grow(grower *g, int32_t first, int32_t count, int32_t depth)
{
    node *n = &g->f->nodes[g->next++];
    float feature = -1, cut = 0;
    if (count <= 1 || depth == g->deepest ||
        !(g->extended ? choose_direction : choose_column)(g, first, count, &feature, &cut)) {
        *n = (node){-1, 0, 0, (float)(depth + usual_length(count))};
        return;
    }
    const int32_t below = partition(g, first, count, cut);
    const int64_t at = g->next;
    grow(g, first, below, depth + 1);
    *n = (node){feature, cut, (float)(g->next - at + 1), 0};
    grow(g, first + below, count - below, depth + 1);
}

static dum_status draw(grower *g, uint64_t seed, int32_t tree)
{
    const int64_t cols = g->f->head.sizes[DUMI_COLS];
    for (int32_t i = 0; i < g->sample; i++) {
        g->indices[i] =
            (int64_t)dumi_permute((uint64_t)g->count, (uint64_t)i, seed, DUMI_RNG_FOREST, (uint32_t)tree);
        g->order[i] = i;
        if (g->all != NULL)
            memcpy(g->rows + i * cols, g->all + g->indices[i] * cols, (size_t)cols * sizeof *g->rows);
    }
    return g->all != NULL ? DUM_OK : dumi_dataset_gather(g->data, g->indices, g->sample, g->rows);
}

static dum_status grow_trees(grower *g, uint64_t seed)
{
    forest *f = g->f;
    const int32_t trees = (int32_t)(f->head.sizes[STARTS] - 1);
    for (g->tree = 0; g->tree < trees; g->tree++) {
        DUMI_TRY(dumi_fitting_progress(g->fitting, g->tree, trees, 0));
        DUMI_TRY(draw(g, seed, g->tree));
        dumi_rng_init(&g->rng, seed, DUMI_RNG_FOREST, (uint32_t)g->tree);
        f->starts[g->tree] = g->next;
        grow(g, 0, g->sample, 0);
        f->starts[g->tree + 1] = g->next;
    }
    f->head.sizes[NODES] = g->next;
    f->head.sizes[DIRECTIONS] = g->directions > 0 ? g->directions : 1; /* rows that are all the same: none */
    return DUM_OK;
}

/* Every path must end: children lie behind their parent, within its tree. */
static dum_status check_tree(const forest *f, int64_t tree, float features)
{
    const int64_t end = f->starts[tree + 1];
    DUMI_REQUIRE(f->starts[tree] >= 0 && f->starts[tree] < end && end <= f->head.sizes[NODES], DUM_ERR_FORMAT,
                 "tensor iforest.starts: tree %lld is empty or outside", (long long)tree);
    for (int64_t i = f->starts[tree]; i < end; i++) {
        const node *n = &f->nodes[i];
        const bool leaf = n->feature == -1;
        DUMI_REQUIRE(leaf || (n->feature >= 0 && n->feature < features && n->feature == floorf(n->feature) &&
                              n->right >= 2 && n->right < (float)(end - i) && n->right == floorf(n->right)),
                     DUM_ERR_FORMAT, "tensor iforest.nodes: node %lld leads nowhere", (long long)i);
    }
    return DUM_OK;
}

static dum_status check_shape(const forest *f)
{
    const int64_t trees = f->head.sizes[STARTS] - 1;
    const float cols = f->shape[SHAPE_COLS];
    DUMI_REQUIRE(f->head.sizes[NODE_SIZE] == NODE_FLOATS && f->head.sizes[SHAPE_SIZE] == SHAPE_FLOATS,
                 DUM_ERR_FORMAT, "tensor iforest.nodes or iforest.shape has not the usual shape");
    DUMI_REQUIRE(cols >= 1 && cols < 16777216 && cols == floorf(cols), DUM_ERR_FORMAT,
                 "tensor iforest.shape: the number of columns is not usable");
    DUMI_REQUIRE(trees >= 1 && f->starts[0] == 0 && f->starts[trees] == f->head.sizes[NODES] &&
                     f->shape[SHAPE_USUAL] >= 0,
                 DUM_ERR_FORMAT, "tensor iforest.starts or iforest.shape does not fit the nodes");
    return DUM_OK;
}

static dum_status iforest_check(const double *values, void *state)
{
    (void)values;
    forest *f = state;
    DUMI_TRY(check_shape(f));
    f->head.sizes[DUMI_COLS] = (int64_t)f->shape[SHAPE_COLS];
    for (int64_t t = 0; t + 1 < f->head.sizes[STARTS]; t++)
        DUMI_TRY(check_tree(f, t, f->shape[SHAPE_COLS]));
    return DUM_OK;
}

static dum_status eif_check(const double *values, void *state)
{
    (void)values;
    const forest *f = state;
    DUMI_TRY(check_shape(f));
    DUMI_REQUIRE((int64_t)f->shape[SHAPE_COLS] == f->head.sizes[DUMI_COLS], DUM_ERR_FORMAT,
                 "tensor eif.directions does not fit iforest.shape");
    for (int64_t t = 0; t + 1 < f->head.sizes[STARTS]; t++) {
        const int64_t left = f->head.sizes[DIRECTIONS] - (f->starts[t] - t) / 2;
        DUMI_TRY(check_tree(f, t, (float)(left < 1 << 24 ? left : 1 << 24)));
    }
    return DUM_OK;
}

static const dumi_array arrays[] = {
    {"iforest.nodes", DUMI_F32, offsetof(forest, nodes), NODES, NODE_SIZE},
    {"iforest.starts", DUMI_I64, offsetof(forest, starts), STARTS, DUMI_VECTOR},
    {"iforest.shape", DUMI_F32, offsetof(forest, shape), SHAPE_SIZE, DUMI_VECTOR},
    {"eif.directions", DUMI_F32, offsetof(forest, directions), DIRECTIONS, DUMI_COLS},
};
static const dumi_layout iforest_layout = {.bytes = sizeof(forest),
                                           .count = 3,
                                           .arrays = arrays,
                                           .ready = iforest_check},
                         eif_layout = {
                             .bytes = sizeof(forest), .count = 4, .arrays = arrays, .ready = eif_check};

/* values: from the first of the own options on. */
static dum_status fit_forest(dum_context *context, const double *values, grower *g, int32_t cols, void **state)
{
    const int32_t trees = (int32_t)values[TREES];
    g->sample = (int32_t)(values[SAMPLE] < (double)g->count ? values[SAMPLE] : (double)g->count);
    g->deepest = (int32_t)ceil(log2(g->sample));
    dum_status status;
    DUMI_REQUIRE(cols < 1 << 24, DUM_ERR_LIMIT, "the data have %d columns, this kind takes fewer than %d", cols,
                 1 << 24);
    const int64_t sizes[DUMI_STATE_SIZES] = {
        [DUMI_COLS] = cols,          [NODES] = trees * (2 * (int64_t)g->sample - 1),
        [STARTS] = trees + 1,        [NODE_SIZE] = NODE_FLOATS,
        [SHAPE_SIZE] = SHAPE_FLOATS, [DIRECTIONS] = trees * (int64_t)g->sample};
    DUMI_GO(dumi_state_create(context, g->extended ? &eif_layout : &iforest_layout, sizes, (void **)&g->f));
    g->f->shape[SHAPE_COLS] = (float)cols;
    g->f->shape[SHAPE_USUAL] = (float)usual_length(g->sample);
    DUMI_GO(DUMI_NEW(context, g->indices, g->sample));
    DUMI_GO(DUMI_NEW(context, g->rows, (size_t)g->sample * (size_t)cols));
    DUMI_GO(DUMI_NEW(context, g->values, g->sample));
    DUMI_GO(DUMI_NEW(context, g->order, g->sample));
    DUMI_GO(DUMI_NEW(context, g->features, cols));
    if (g->extended)
        memset(g->f->directions, 0, (size_t)cols * sizeof *g->f->directions);
    DUMI_GO(grow_trees(g, (uint64_t)values[SEED]));
    *state = g->f;
    g->f = NULL;
done:
    dumi_state_destroy(g->f);
    void *const parts[] = {g->indices, g->rows, g->values, g->order, g->features};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        dumi_free(context, parts[i]);
    return status;
}

static dum_status iforest_fit(dum_context *context, const double *values, const void *old,
                              const dum_dataset *data, const dum_fit_options *options, void **state)
{
    (void)old;
    dumi_fitting f;
    DUMI_TRY(dumi_rows_check(context, data, options, &f));
    grower g = {.data = data, .count = data->rows, .fitting = &f};
    return fit_forest(context, values + IFOREST_OWN, &g, data->cols, state);
}

static dum_status eif_fit(dumi_fitting *f, void **state)
{
    grower g = {.all = f->rows, .extended = true, .count = f->count, .fitting = f};
    return fit_forest(f->context, f->values + EIF_OWN, &g, f->cols, state);
}

/* 2^(-mean length / usual length): 1/2 is usual, 1 is parted at once. */
static double score_of(const forest *f, double sum)
{
    const double trees = (double)(f->head.sizes[STARTS] - 1), usual = (double)f->shape[SHAPE_USUAL];
    return usual > 0 ? exp2(-sum / trees / usual) : 0.5;
}

static float iforest_length(const forest *f, int64_t tree, const float *row)
{
    const node *n = &f->nodes[f->starts[tree]];
    while (n->feature >= 0)
        n += row[(int32_t)n->feature] < n->cut ? 1 : (ptrdiff_t)n->right;
    return n->length;
}

static float eif_length(const forest *f, int64_t tree, const float *row)
{
    const int64_t cols = f->head.sizes[DUMI_COLS];
    const float *directions = f->directions + first_direction(f, tree) * cols;
    const node *n = &f->nodes[f->starts[tree]];
    while (n->feature >= 0)
        n += project(cols, directions + (int64_t)n->feature * cols, row) < n->cut ? 1 : (ptrdiff_t)n->right;
    return n->length;
}

/* Tree by tree, so that each is in cache for all rows. */
static inline __attribute__((always_inline)) void score_rows(
    const forest *f, float (*length)(const forest *, int64_t, const float *), const float *rows, int64_t stride,
    int32_t count, double *scores)
{
    for (int32_t i = 0; i < count; i++)
        scores[i] = 0;
    for (int64_t t = 0; t + 1 < f->head.sizes[STARTS]; t++)
        for (int32_t i = 0; i < count; i++)
            scores[i] += (double)length(f, t, rows + i * stride);
    for (int32_t i = 0; i < count; i++)
        scores[i] = score_of(f, scores[i]);
}

static void iforest_block(const void *state, const float *rows, int64_t stride, int32_t count, double *scores)
{
    score_rows(state, iforest_length, rows, stride, count, scores);
}

static void eif_block(const void *state, const float *rows, int64_t stride, int32_t count, double *scores)
{
    score_rows(state, eif_length, rows, stride, count, scores);
}

static double iforest_row(const void *state, const float *row, float *parts)
{
    (void)parts;
    double score;
    iforest_block(state, row, 0, 1, &score);
    return score;
}

static double eif_row(const void *state, const float *row, float *parts)
{
    (void)parts;
    double score;
    eif_block(state, row, 0, 1, &score);
    return score;
}

const dumi_scorer_kind dumi_scorer_iforest = {
    .name = "iforest",
    .params = {"scorer iforest", IFOREST_OWN + OWN, iforest_param},
    .fit = iforest_fit,
    .layout = &iforest_layout,
    .row = iforest_row,
    .block = iforest_block,
    .row_cost = 400,
};

const dumi_scorer_kind dumi_scorer_eif = {
    .name = "eif",
    .params = {"scorer eif", EIF_OWN + OWN, eif_param},
    .scales = true,
    .fit_rows = eif_fit,
    .layout = &eif_layout,
    .row = eif_row,
    .block = eif_block,
    .row_cost = 2000,
};
