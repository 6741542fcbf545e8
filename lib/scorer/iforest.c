/* SPDX-License-Identifier: MIT
 * Kind "iforest" (Liu, Ting & Zhou 2008): how few random cuts part a row from a random sample of the others. */
#include "scorer/rows.h"

#include <math.h>
#include <stddef.h>

enum { TREES = DUMI_SCORER_PARAMS, SAMPLE, SEED, PARAMS };

static const dumi_param own[] = {
    {"trees", 100, 1, 10000, NULL, NULL, true, "of the forest"},
    {"sample", 256, 2, 65536, NULL, NULL, true,
     "rows that each tree is grown on, or all where there are fewer"},
    {"seed", 0, 0, 9007199254740992.0, NULL, NULL, true, "of all random numbers"},
};

static const dumi_param *param(int32_t index)
{
    return index == DUMI_SCORER_HOLDOUT ? &dumi_scorer_holdout : &own[index - TREES];
}

/* A node, as four float32 in a model file: all of them are exact. The left child is the next node. */
typedef struct {
    float feature; /* -1: a leaf */
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
} forest;

enum { NODES = 1, STARTS, NODE_SIZE, SHAPE_SIZE };
enum { SHAPE_COLS, SHAPE_USUAL, SHAPE_FLOATS };

/* Mean length of an unsuccessful search in a binary tree of n rows (Liu et al., equation 1). */
static double usual_length(double n)
{
    if (n <= 1)
        return 0;
    return n <= 2 ? 1 : 2 * (log(n - 1) + 0.5772156649015329) - 2 * (n - 1) / n;
}

/* A tree while it grows. */
typedef struct {
    forest *f;
    const float *rows; /* the sample */
    int32_t *order;    /* rows of the sample, those of a node side by side */
    int32_t *features; /* scratch: those not yet found constant in a node */
    int32_t deepest;
    int64_t next;
    dumi_rng rng;
} grower;

/* A random feature that is not constant among the node's rows, and where to cut it; false: there is none. */
static bool choose_cut(grower *g, int32_t first, int32_t count, int32_t *feature, float *cut)
{
    const int32_t cols = (int32_t)g->f->head.sizes[DUMI_COLS];
    for (int32_t j = 0; j < cols; j++)
        g->features[j] = j;
    for (int32_t left = cols; left > 0; left--) {
        const int32_t at = (int32_t)dumi_rng_below(&g->rng, (uint64_t)left), j = g->features[at];
        float least = g->rows[(int64_t)g->order[first] * cols + j], most = least;
        for (int32_t i = first + 1; i < first + count; i++) {
            const float value = g->rows[(int64_t)g->order[i] * cols + j];
            least = value < least ? value : least;
            most = value > most ? value : most;
        }
        if (most > least) {
            *feature = j;
            *cut = (float)((double)least + dumi_rng_uniform(&g->rng) * ((double)most - (double)least));
            if (!(*cut > least)) /* both sides get a row */
                *cut = nextafterf(least, most);
            return true;
        }
        g->features[at] = g->features[left - 1];
    }
    return false;
}

static int32_t partition(const grower *g, int32_t first, int32_t count, int32_t feature, float cut)
{
    int32_t below = first;
    for (int32_t i = first; i < first + count; i++) {
        const int32_t row = g->order[i];
        if (g->rows[row * g->f->head.sizes[DUMI_COLS] + feature] < cut) {
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
    int32_t feature = -1;
    float cut = 0;
    if (count <= 1 || depth == g->deepest || !choose_cut(g, first, count, &feature, &cut)) {
        *n = (node){-1, 0, 0, (float)(depth + usual_length(count))};
        return;
    }
    const int32_t below = partition(g, first, count, feature, cut);
    const int64_t at = g->next;
    grow(g, first, below, depth + 1);
    *n = (node){(float)feature, cut, (float)(g->next - at + 1), 0};
    grow(g, first + below, count - below, depth + 1);
}

static dum_status grow_tree(grower *g, const dum_dataset *data, uint64_t seed, int32_t tree, int32_t sample,
                            int64_t *indices, float *rows)
{
    for (int32_t i = 0; i < sample; i++)
        indices[i] =
            (int64_t)dumi_permute((uint64_t)data->rows, (uint64_t)i, seed, DUMI_RNG_FOREST, (uint32_t)tree);
    DUMI_TRY(dumi_dataset_gather(data, indices, sample, rows));
    for (int32_t i = 0; i < sample; i++)
        g->order[i] = i;
    dumi_rng_init(&g->rng, seed, DUMI_RNG_FOREST, (uint32_t)tree);
    g->f->starts[tree] = g->next;
    grow(g, 0, sample, 0);
    g->f->starts[tree + 1] = g->next;
    return DUM_OK;
}

/* Every path must end: children lie behind their parent, within its tree. */
static dum_status check(const double *values, void *state)
{
    (void)values;
    forest *f = state;
    const int64_t nodes = f->head.sizes[NODES], trees = f->head.sizes[STARTS] - 1;
    DUMI_REQUIRE(f->head.sizes[NODE_SIZE] == NODE_FLOATS && f->head.sizes[SHAPE_SIZE] == SHAPE_FLOATS,
                 DUM_ERR_FORMAT, "tensor iforest.nodes or iforest.shape has not the usual shape");
    const float cols = f->shape[SHAPE_COLS];
    DUMI_REQUIRE(cols >= 1 && cols < 16777216 && cols == floorf(cols), DUM_ERR_FORMAT,
                 "tensor iforest.shape: the number of columns is not usable");
    f->head.sizes[DUMI_COLS] = (int64_t)cols;
    DUMI_REQUIRE(trees >= 1 && f->starts[0] == 0 && f->starts[trees] == nodes && f->shape[SHAPE_USUAL] >= 0,
                 DUM_ERR_FORMAT, "tensor iforest.starts or iforest.shape does not fit the nodes");
    for (int64_t t = 0; t < trees; t++) {
        DUMI_REQUIRE(f->starts[t] >= 0 && f->starts[t] < f->starts[t + 1] && f->starts[t + 1] <= nodes,
                     DUM_ERR_FORMAT, "tensor iforest.starts: tree %lld is empty or outside", (long long)t);
        for (int64_t i = f->starts[t]; i < f->starts[t + 1]; i++) {
            const node *n = &f->nodes[i];
            const float left = (float)(f->starts[t + 1] - i);
            const bool leaf = n->feature == -1;
            DUMI_REQUIRE(leaf || (n->feature >= 0 && n->feature < cols && n->feature == floorf(n->feature) &&
                                  n->right >= 2 && n->right < left && n->right == floorf(n->right)),
                         DUM_ERR_FORMAT, "tensor iforest.nodes: node %lld leads nowhere", (long long)i);
        }
    }
    return DUM_OK;
}

static const dumi_array arrays[] = {
    {"iforest.nodes", DUMI_F32, offsetof(forest, nodes), NODES, NODE_SIZE},
    {"iforest.starts", DUMI_I64, offsetof(forest, starts), STARTS, DUMI_VECTOR},
    {"iforest.shape", DUMI_F32, offsetof(forest, shape), SHAPE_SIZE, DUMI_VECTOR},
};
static const dumi_layout layout = {.bytes = sizeof(forest), .count = 3, .arrays = arrays, .ready = check};

static dum_status fit(dum_context *context, const double *values, const void *old, const dum_dataset *data,
                      const dum_fit_options *options, void **state)
{
    (void)old;
    DUMI_TRY(dumi_rows_check(context, data, options));
    const int32_t trees = (int32_t)values[TREES];
    const int32_t sample = (int32_t)(values[SAMPLE] < (double)data->rows ? values[SAMPLE] : (double)data->rows);
    grower g = {.deepest = (int32_t)ceil(log2(sample))};
    int64_t *indices = NULL;
    float *rows = NULL;
    dum_status status;
    DUMI_REQUIRE(data->cols < 1 << 24, DUM_ERR_LIMIT, "the data have %d columns, iforest takes fewer than %d",
                 data->cols, 1 << 24);
    const int64_t sizes[DUMI_STATE_SIZES] = {[DUMI_COLS] = data->cols,
                                             [NODES] = trees * (2 * (int64_t)sample - 1),
                                             [STARTS] = trees + 1,
                                             [NODE_SIZE] = NODE_FLOATS,
                                             [SHAPE_SIZE] = SHAPE_FLOATS};
    DUMI_GO(dumi_state_create(context, &layout, sizes, (void **)&g.f));
    g.f->shape[SHAPE_COLS] = (float)data->cols;
    g.f->shape[SHAPE_USUAL] = (float)usual_length(sample);
    DUMI_GO(DUMI_NEW(context, indices, sample));
    DUMI_GO(DUMI_NEW(context, rows, (size_t)sample * (size_t)data->cols));
    DUMI_GO(DUMI_NEW(context, g.order, sample));
    DUMI_GO(DUMI_NEW(context, g.features, data->cols));
    g.rows = rows;
    for (int32_t t = 0; t < trees; t++)
        DUMI_GO(grow_tree(&g, data, (uint64_t)values[SEED], t, sample, indices, rows));
    g.f->head.sizes[NODES] = g.next;
    *state = g.f;
    g.f = NULL;
done:
    dumi_state_destroy(g.f);
    dumi_free(context, indices);
    dumi_free(context, rows);
    dumi_free(context, g.order);
    dumi_free(context, g.features);
    return status;
}

/* 2^(-mean length / usual length): 1/2 is usual, 1 is parted at once. */
static double score_row(const void *state, const float *row, float *parts)
{
    (void)parts;
    const forest *f = state;
    const int64_t trees = f->head.sizes[STARTS] - 1;
    double sum = 0;
    for (int64_t t = 0; t < trees; t++) {
        const node *n = &f->nodes[f->starts[t]];
        while (n->feature >= 0)
            n += row[(int32_t)n->feature] < n->cut ? 1 : (ptrdiff_t)n->right;
        sum += (double)n->length;
    }
    const float usual = f->shape[SHAPE_USUAL];
    return usual > 0 ? exp2(-sum / (double)trees / (double)usual) : 0.5;
}

const dumi_scorer_kind dumi_scorer_iforest = {
    .name = "iforest",
    .params = {"scorer iforest", PARAMS, param},
    .fit = fit,
    .layout = &layout,
    .row = score_row,
    .row_cost = 400,
};
