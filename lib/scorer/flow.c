/* SPDX-License-Identifier: MIT
 * Kind "flow", after the residual flow of Zisselman & Tamar 2020 ("Deep Residual Flow for Out of Distribution
 * Detection"): the Gaussians of "mds" are a linear flow, to which a flow that begins as the identity is added. Here that
 * is a chain of affine couplings (Dinh et al. 2017, "Density estimation using Real NVP"), shared by the classes, each
 * trained for the likelihood of what those before it make of the rows. The score is minus the largest log-likelihood over
 * the classes, but for constants; the mean over an encoder's stages. */
#include "scorer/classes.h"
#include "scorer/net.h"

#include <math.h>
#include <stddef.h>

enum { COUPLINGS = DUMI_SCALED_PARAMS, WIDTH, EPOCHS, BATCH, RATE, SEED, PARAMS };
enum { HIDDEN_LAYERS = 2 };

static const dumi_param own[] = {
    {"couplings", 4, 0, 64, NULL, NULL, true, "affine couplings of each part; 0: half of what mds says"},
    {"width", 64, 1, DUMI_NET_WIDTH, NULL, NULL, true, "units of each of a coupling's two hidden layers"},
    {"epochs", 10, 1, 1e6, NULL, NULL, true, "passes over the rows for each coupling"},
    {"batch", 128, 1, 65536, NULL, NULL, true, "rows of a step, or all where there are fewer"},
    {"rate", 0.001, 1e-9, 10, NULL, NULL, false, "of Adam"},
    {"seed", 0, 0, 9007199254740992.0, NULL, NULL, true, "of all random numbers"},
};

static const dumi_param *param(int32_t index)
{
    return index == DUMI_SCORER_HOLDOUT   ? &dumi_scorer_holdout
           : index == DUMI_SCORER_SCALING ? &dumi_scorer_scaling
                                          : &own[index - COUPLINGS];
}

typedef struct {
    dumi_state head;
    int64_t *parts;    /* columns of each */
    int64_t *shape;    /* couplings of a part, width */
    double *means;     /* classes x columns */
    double *roots;     /* of each part as in dumi_ellipsoid, one after the other */
    float *parameters; /* of all couplings, part by part */
    double *centres;   /* means times roots */
    dumi_net *nets;    /* parts x couplings */
} flow;

enum { PARTS = 1, MEANS, ROOTS, WEIGHTS, SHAPE };

/* ---- Couplings ----------------------------------------------------------------------------- */

/* Coupling k leaves every other column of d as it is, from column k % 2 on; by those it moves the rest. */
static int32_t kept_of(int32_t d, int64_t k)
{
    return k % 2 == 0 ? (d + 1) / 2 : d / 2;
}

static void net_shape(int32_t d, int64_t k, int32_t width, dumi_mlp *mlp)
{
    const int32_t kept = kept_of(d, k);
    dumi_mlp_shape(mlp, kept, 2 * (d - kept), HIDDEN_LAYERS, width);
}

/* One column cannot be told by another. */
static int64_t couplings_of(int64_t d, int64_t couplings)
{
    return d > 1 ? couplings : 0;
}

static double weights_of(int64_t d, int64_t couplings, int64_t width)
{
    double sum = 0;
    for (int64_t k = 0; k < couplings_of(d, couplings); k++) {
        const double kept = kept_of((int32_t)d, k), moved = (double)d - kept, w = (double)width;
        sum += (kept + 1) * w + (w + 1) * w + (w + 1) * 2 * moved;
    }
    return sum;
}

static float within(double value)
{
    return (float)(value < -1e15 ? -1e15 : value > 1e15 ? 1e15 : value);
}

static void pick(int32_t d, int64_t k, const float *y, float *kept)
{
    for (int32_t j = (int32_t)(k % 2), i = 0; j < d; j += 2)
        kept[i++] = y[j];
}

/* y = y exp(tanh(out)) + out', of the columns that move; returns the sum of tanh(out). */
static double move(int32_t d, int64_t k, const float *out, float *y)
{
    const int32_t moved = d - kept_of(d, k);
    double sum = 0;
    for (int32_t j = 1 - (int32_t)(k % 2), i = 0; j < d; j += 2, i++) {
        const double s = tanh((double)out[i]);
        y[j] = within((double)y[j] * exp(s) + (double)out[moved + i]);
        sum += s;
    }
    return sum;
}

/* The same by a net, of which `out` has room for the outputs, `kept` for the inputs. */
static double couple(const dumi_net *net, int32_t d, int64_t k, float *kept, float *out, float *y)
{
    float hidden[DUMI_NET_WIDTH];
    pick(d, k, y, kept);
    const float *last = dumi_net_hidden(net, kept, hidden);
    dumi_net_output(net, last, 0, 2 * (d - kept_of(d, k)), out);
    return move(d, k, out, y);
}

/* ---- State --------------------------------------------------------------------------------- */

static dum_status check(const flow *s)
{
    int64_t cols = 0, roots = 0;
    double weights = 1; /* one that is not used, so that there is a tensor */
    DUMI_REQUIRE(s->head.sizes[SHAPE] == 2 && s->shape[0] >= 0 && s->shape[0] <= 64 && s->shape[1] >= 1 &&
                     s->shape[1] <= DUMI_NET_WIDTH,
                 DUM_ERR_FORMAT, "tensor flow.shape is no number of couplings and a width");
    for (int64_t p = 0; p < s->head.sizes[PARTS]; p++) {
        const int64_t d = s->parts[p];
        DUMI_REQUIRE(d >= 1 && d <= DUMI_MOST_COVARIANCE, DUM_ERR_FORMAT,
                     "a part of the model has %lld columns", (long long)d);
        cols += d;
        roots += d * d;
        weights += weights_of(d, s->shape[0], s->shape[1]);
    }
    DUMI_REQUIRE(s->head.sizes[PARTS] <= DUMI_MOST_PARTS && cols == s->head.sizes[DUMI_COLS] &&
                     roots == s->head.sizes[ROOTS] && weights == (double)s->head.sizes[WEIGHTS],
                 DUM_ERR_FORMAT, "tensor flow.parts does not fit the others");
    return DUM_OK;
}

/* Each net's place in the parameters. */
static dum_status set_nets(flow *s)
{
    float *at = s->parameters;
    DUMI_TRY(DUMI_NEW(s->head.context, s->nets, s->head.sizes[PARTS] * s->shape[0] + 1));
    memset(s->nets, 0, (size_t)(s->head.sizes[PARTS] * s->shape[0] + 1) * sizeof *s->nets);
    for (int64_t p = 0; p < s->head.sizes[PARTS]; p++)
        for (int64_t k = 0; k < couplings_of(s->parts[p], s->shape[0]); k++) {
            dumi_net *net = &s->nets[p * s->shape[0] + k];
            net_shape((int32_t)s->parts[p], k, (int32_t)s->shape[1], &net->mlp);
            net->parameters = at;
            at += net->mlp.parameters;
        }
    return DUM_OK;
}

static void release(void *state)
{
    flow *s = state;
    dumi_free(s->head.context, s->centres);
    dumi_free(s->head.context, s->nets);
}

static dum_status ready(const double *values, void *state)
{
    (void)values;
    flow *s = state;
    DUMI_TRY(check(s));
    if (s->centres == NULL)
        DUMI_TRY(DUMI_NEW(s->head.context, s->centres, s->head.sizes[MEANS] * s->head.sizes[DUMI_COLS]));
    dumi_classes_centres(s->head.sizes[MEANS], s->head.sizes[PARTS], s->parts, s->means, s->roots, s->centres);
    return s->nets == NULL ? set_nets(s) : DUM_OK;
}

static const dumi_array arrays[] = {
    {"flow.parts", DUMI_I64, offsetof(flow, parts), PARTS, DUMI_VECTOR},
    {"flow.shape", DUMI_I64, offsetof(flow, shape), SHAPE, DUMI_VECTOR},
    {"flow.means", DUMI_F64, offsetof(flow, means), MEANS, DUMI_COLS},
    {"flow.roots", DUMI_F64, offsetof(flow, roots), ROOTS, DUMI_VECTOR},
    {"flow.parameters", DUMI_F32, offsetof(flow, parameters), WEIGHTS, DUMI_VECTOR},
};
static const dumi_layout layout = {
    .bytes = sizeof(flow), .count = 5, .arrays = arrays, .ready = ready, .release = release};

/* ---- Fitting ------------------------------------------------------------------------------- */

/* One coupling in training: y, all rows as those before it left them. */
typedef struct {
    const dumi_fitting *f;
    const flow *s;
    float *y;
    int32_t d, rows;
    int64_t k, steps; /* steps of an epoch */
    uint64_t seed;
    int64_t *chosen; /* rows of the batch */
} training;

static void load(void *user, int64_t step, float *x)
{
    training *t = user;
    for (int32_t i = 0; i < t->rows; i++) {
        t->chosen[i] = (int64_t)dumi_permute((uint64_t)t->f->count, (uint64_t)(step % t->steps * t->rows + i),
                                             t->seed, DUMI_RNG_ORDER, (uint32_t)(step / t->steps));
        pick(t->d, t->k, t->y + t->chosen[i] * t->d, x + (int64_t)i * kept_of(t->d, t->k));
    }
}

/* Mean over the rows of half the squares of what moved, less the logarithms of the stretching. */
static double loss(void *user, const float *x, const float *out, float *d_out)
{
    (void)x;
    const training *t = user;
    const int32_t moved = t->d - kept_of(t->d, t->k);
    double sum = 0;
    for (int64_t i = 0; i < t->rows; i++) {
        const float *y = t->y + t->chosen[i] * t->d, *o = out + i * 2 * moved;
        float *d = d_out + i * 2 * moved;
        for (int32_t j = 1 - (int32_t)(t->k % 2), c = 0; j < t->d; j += 2, c++) {
            const double s = tanh((double)o[c]), stretched = (double)y[j] * exp(s);
            const double z = stretched + (double)o[moved + c];
            sum += z * z / 2 - s;
            d[c] = (float)((z * stretched - 1) * (1 - s * s) / t->rows);
            d[moved + c] = (float)(z / t->rows);
        }
    }
    return sum / t->rows;
}

static dum_status train_coupling(training *t, dumi_net *net)
{
    const double *v = t->f->values;
    const dumi_net_training how = {.rows = t->rows,
                                   .steps = (int64_t)v[EPOCHS] * t->steps,
                                   .rate = v[RATE],
                                   .biases = true,
                                   .load = load,
                                   .loss = loss,
                                   .user = t};
    dumi_mlp_init(&net->mlp, t->seed, 0, net->parameters);
    DUMI_TRY(dumi_net_train(t->f, net, &how));
    float kept[DUMI_MOST_COVARIANCE], out[2 * DUMI_MOST_COVARIANCE];
    for (int64_t i = 0; i < t->f->count; i++)
        couple(net, t->d, t->k, kept, out, t->y + i * t->d);
    return DUM_OK;
}

/* y = W times the rows of a part, which have no class mean any more. */
static void whiten(const dumi_fitting *f, int64_t at, int32_t d, const double *root, float *y)
{
    double x[DUMI_MOST_COVARIANCE], w[DUMI_MOST_COVARIANCE];
    for (int64_t i = 0; i < f->count; i++) {
        for (int32_t j = 0; j < d; j++)
            x[j] = (double)f->rows[i * f->cols + at + j];
        dumi_transform(d, root, x, w);
        for (int32_t j = 0; j < d; j++)
            y[i * d + j] = within(w[j]);
    }
}

static dum_status train_part(training *t, int64_t part, int64_t at, const double *root)
{
    const flow *s = t->s;
    t->d = (int32_t)s->parts[part];
    whiten(t->f, at, t->d, root, t->y);
    for (t->k = 0; t->k < couplings_of(t->d, s->shape[0]); t->k++) {
        t->seed = (uint64_t)t->f->values[SEED] + ((uint64_t)(part * 64 + t->k) << 53);
        DUMI_TRY(train_coupling(t, &s->nets[part * s->shape[0] + t->k]));
    }
    return DUM_OK;
}

static dum_status train(const dumi_fitting *f, const flow *s)
{
    training t = {.f = f, .s = s};
    t.rows = (int32_t)(f->values[BATCH] < (double)f->count ? f->values[BATCH] : (double)f->count);
    t.steps = f->count / t.rows;
    dum_status status;
    DUMI_GO(DUMI_NEW(f->context, t.y, (size_t)f->count * (size_t)f->cols));
    DUMI_GO(DUMI_NEW(f->context, t.chosen, t.rows));
    const double *root = s->roots;
    for (int64_t p = 0, at = 0; p < s->head.sizes[PARTS]; at += s->parts[p++]) {
        DUMI_GO(train_part(&t, p, at, root));
        root += s->parts[p] * s->parts[p];
    }
done:
    dumi_free(f->context, t.y);
    dumi_free(f->context, t.chosen);
    return status;
}

static dum_status build(const dumi_fitting *f, const dumi_classes *classes, flow **out)
{
    int64_t sizes[DUMI_STATE_SIZES] = {
        [DUMI_COLS] = f->cols, [PARTS] = f->part_count, [MEANS] = classes->count, [WEIGHTS] = 1, [SHAPE] = 2};
    for (int32_t p = 0; p < f->part_count; p++) {
        sizes[ROOTS] += (int64_t)f->parts[p] * f->parts[p];
        sizes[WEIGHTS] +=
            (int64_t)weights_of(f->parts[p], (int64_t)f->values[COUPLINGS], (int64_t)f->values[WIDTH]);
    }
    DUMI_TRY(dumi_state_create(f->context, &layout, sizes, (void **)out));
    flow *s = *out;
    s->shape[0] = (int64_t)f->values[COUPLINGS];
    s->shape[1] = (int64_t)f->values[WIDTH];
    s->parameters[sizes[WEIGHTS] - 1] = 0;
    dum_status status = dumi_classes_fit(f, classes, s->parts, s->means, s->roots);
    if (status == DUM_OK)
        status = ready(f->values, s);
    if (status == DUM_OK)
        status = train(f, s);
    if (status != DUM_OK)
        dumi_state_destroy(s);
    return status;
}

static dum_status fit(dumi_fitting *f, void **state)
{
    dumi_classes classes;
    flow *made;
    DUMI_TRY(dumi_classes_create(f, &classes));
    const dum_status status = build(f, &classes, &made);
    dumi_classes_destroy(f->context, &classes);
    return status == DUM_OK ? dumi_state_ready(f->values, made, state) : status;
}

/* ---- Scoring ------------------------------------------------------------------------------- */

/* Minus the log-likelihood of a whitened row. */
static double surprise(const dumi_net *nets, int64_t couplings, int32_t d, float *y)
{
    float kept[DUMI_MOST_COVARIANCE], out[2 * DUMI_MOST_COVARIANCE];
    double sum = 0;
    for (int64_t k = 0; k < couplings_of(d, couplings); k++)
        sum -= couple(&nets[k], d, k, kept, out, y);
    for (int32_t j = 0; j < d; j++)
        sum += (double)y[j] * (double)y[j] / 2;
    return sum;
}

static double score_part(const flow *s, int64_t part, int64_t at, const double *root, const float *row)
{
    double x[DUMI_MOST_COVARIANCE], w[DUMI_MOST_COVARIANCE], least = INFINITY;
    float y[DUMI_MOST_COVARIANCE];
    const int32_t d = (int32_t)s->parts[part];
    for (int32_t j = 0; j < d; j++)
        x[j] = (double)row[at + j];
    dumi_transform(d, root, x, w);
    for (int64_t c = 0; c < s->head.sizes[MEANS]; c++) {
        const double *centre = s->centres + c * s->head.sizes[DUMI_COLS] + at;
        for (int32_t j = 0; j < d; j++)
            y[j] = within(w[j] - centre[j]);
        least = fmin(least, surprise(s->nets + part * s->shape[0], s->shape[0], d, y));
    }
    return least;
}

static double score_row(const void *state, const float *row, float *parts)
{
    (void)parts;
    const flow *s = state;
    const double *root = s->roots;
    double sum = 0;
    for (int64_t p = 0, at = 0; p < s->head.sizes[PARTS]; at += s->parts[p++]) {
        sum += score_part(s, p, at, root, row) / (double)s->head.sizes[PARTS];
        root += s->parts[p] * s->parts[p];
    }
    return dumi_net_finite(sum);
}

const dumi_scorer_kind dumi_scorer_flow = {
    .name = "flow",
    .params = {"scorer flow", PARAMS, param},
    .scales = true,
    .labels = true,
    .fit_rows = fit,
    .layout = &layout,
    .row = score_row,
    .row_cost = 4000,
};
