/* SPDX-License-Identifier: MIT
 * Kind "iforest" (Liu, Ting & Zhou 2008): how few random cuts part a row from a random sample of the others. */
#include "scorer/rows.h"

#include <math.h>

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
    dum_context *context;
    int32_t cols, trees;
    float shape
        [2]; /* for the model file: columns, and the mean length of a path, by which lengths are measured */
    int64_t *starts; /* of each tree in nodes; and the end */
    node *nodes;
} forest;

static void destroy(void *state)
{
    forest *f = state;
    if (f == NULL)
        return;
    dum_context *context = f->context;
    dumi_free(context, f->starts);
    dumi_free(context, f->nodes);
    dumi_free(context, f);
    dum_context_destroy(context);
}

static dum_status create(dum_context *context, int32_t cols, int32_t trees, int64_t nodes, forest **out)
{
    forest *f;
    DUMI_TRY(DUMI_NEW(context, f, 1));
    *f = (forest){.context = dumi_context_keep(context), .cols = cols, .trees = trees};
    f->shape[0] = (float)cols;
    f->starts = dumi_alloc(context, (size_t)trees + 1, sizeof *f->starts);
    f->nodes = f->starts != NULL ? dumi_alloc(context, (size_t)nodes, sizeof *f->nodes) : NULL;
    if (f->nodes == NULL) {
        const dum_status status = dumi_status();
        destroy(f);
        return status;
    }
    *out = f;
    return DUM_OK;
}

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
    const int32_t cols = g->f->cols;
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
        if (g->rows[(int64_t)row * g->f->cols + feature] < cut) {
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

static dum_status fit(dum_context *context, const double *values, const void *old, const dum_dataset *data,
                      const dum_fit_options *options, void **state)
{
    (void)old;
    DUMI_TRY(dumi_rows_read(context, data, options, NULL));
    const int32_t trees = (int32_t)values[TREES];
    const int32_t sample = (int32_t)(values[SAMPLE] < (double)data->rows ? values[SAMPLE] : (double)data->rows);
    grower g = {.deepest = (int32_t)ceil(log2(sample))};
    int64_t *indices = NULL;
    float *rows = NULL;
    dum_status status;
    DUMI_REQUIRE(data->cols < 1 << 24, DUM_ERR_LIMIT, "the data have %d columns, iforest takes fewer than %d",
                 data->cols, 1 << 24);
    DUMI_GO(create(context, data->cols, trees, (int64_t)trees * (2 * (int64_t)sample - 1), &g.f));
    g.f->shape[1] = (float)usual_length(sample);
    DUMI_GO(DUMI_NEW(context, indices, sample));
    DUMI_GO(DUMI_NEW(context, rows, (size_t)sample * (size_t)data->cols));
    DUMI_GO(DUMI_NEW(context, g.order, sample));
    DUMI_GO(DUMI_NEW(context, g.features, data->cols));
    g.rows = rows;
    for (int32_t t = 0; t < trees; t++)
        DUMI_GO(grow_tree(&g, data, (uint64_t)values[SEED], t, sample, indices, rows));
    *state = g.f;
    g.f = NULL;
done:
    destroy(g.f);
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
    double sum = 0;
    for (int32_t t = 0; t < f->trees; t++) {
        const node *n = &f->nodes[f->starts[t]];
        while (n->feature >= 0)
            n += row[(int32_t)n->feature] < n->cut ? 1 : (ptrdiff_t)n->right;
        sum += (double)n->length;
    }
    return f->shape[1] > 0 ? exp2(-sum / f->trees / (double)f->shape[1]) : 0.5;
}

static dum_status score(const double *values, void *state, const float *data, int64_t rows, int32_t cols,
                        int64_t row_stride, double *scores)
{
    (void)values;
    const forest *f = state;
    return dumi_rows_score(f->context, score_row, f, 40.0 * f->trees, data, rows, cols, row_stride, scores);
}

static dum_status write_state(const void *state, const void *prepared, dumi_model_writer *writer)
{
    (void)prepared;
    const forest *f = state;
    DUMI_TRY(dumi_writer_tensor(writer, "iforest.nodes", DUMI_F32, f->starts[f->trees], NODE_FLOATS, f->nodes));
    DUMI_TRY(dumi_writer_tensor(writer, "iforest.starts", DUMI_I64, f->trees + 1, 0, f->starts));
    return dumi_writer_tensor(writer, "iforest.shape", DUMI_F32, 2, 0, f->shape);
}

/* Every path must end: children lie behind their parent, within its tree. */
static dum_status check_state(const forest *f, int64_t nodes)
{
    DUMI_REQUIRE(f->starts[0] == 0 && f->starts[f->trees] == nodes && f->shape[1] >= 0, DUM_ERR_FORMAT,
                 "tensor iforest.starts or iforest.shape does not fit the nodes");
    for (int32_t t = 0; t < f->trees; t++) {
        DUMI_REQUIRE(f->starts[t] >= 0 && f->starts[t] < f->starts[t + 1] && f->starts[t + 1] <= nodes,
                     DUM_ERR_FORMAT, "tensor iforest.starts: tree %d is empty or outside", t);
        for (int64_t i = f->starts[t]; i < f->starts[t + 1]; i++) {
            const node *n = &f->nodes[i];
            const float left = (float)(f->starts[t + 1] - i);
            const bool leaf = n->feature == -1;
            DUMI_REQUIRE(leaf || (n->feature >= 0 && n->feature < (float)f->cols &&
                                  n->feature == floorf(n->feature) && n->right >= 2 && n->right < left &&
                                  n->right == floorf(n->right)),
                         DUM_ERR_FORMAT, "tensor iforest.nodes: node %lld leads nowhere", (long long)i);
        }
    }
    return DUM_OK;
}

static dum_status read_state(dum_context *context, const dumi_reader *reader, const double *values,
                             int32_t *cols, void **state)
{
    const int32_t trees = (int32_t)values[TREES];
    const dumi_tensor *nodes = dumi_reader_find(reader, "iforest.nodes");
    DUMI_REQUIRE(nodes != NULL && nodes->rank == 2 && nodes->dtype == DUMI_F32 && nodes->shape[0] >= trees &&
                     nodes->shape[1] == NODE_FLOATS,
                 DUM_ERR_FORMAT, "tensor iforest.nodes is missing or its shape does not fit the options");
    float shape[2];
    DUMI_TRY(dumi_reader_copy(reader, "iforest.shape", DUMI_F32, 2, 0, shape));
    DUMI_REQUIRE(shape[0] >= 1 && shape[0] < 16777216 && shape[0] == floorf(shape[0]), DUM_ERR_FORMAT,
                 "tensor iforest.shape: the number of columns is not usable");
    forest *f = NULL;
    DUMI_TRY(create(context, (int32_t)shape[0], trees, nodes->shape[0], &f));
    f->shape[1] = shape[1];
    dum_status status;
    DUMI_GO(dumi_reader_copy(reader, "iforest.nodes", DUMI_F32, nodes->shape[0], NODE_FLOATS, f->nodes));
    DUMI_GO(dumi_reader_copy(reader, "iforest.starts", DUMI_I64, trees + 1, 0, f->starts));
    DUMI_GO(check_state(f, nodes->shape[0]));
    *cols = f->cols;
    *state = f;
    return DUM_OK;
done:
    destroy(f);
    return status;
}

const dumi_scorer_kind dumi_scorer_iforest = {
    .name = "iforest",
    .params = {"scorer iforest", PARAMS, param},
    .fit = fit,
    .destroy = destroy,
    .score = score,
    .write = write_state,
    .read = read_state,
};
