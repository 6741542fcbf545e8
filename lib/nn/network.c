/* SPDX-License-Identifier: MIT
 * What a network consists of. */
#include "nn/network.h"

#include <math.h>
#include <stdio.h>

/* ---- Units -------------------------------------------------------------------------------- */

static size_t take(size_t *total, size_t count)
{
    const size_t at = *total;
    *total += count;
    return at;
}

static void begin(dumi_network *n, dumi_tensor_shape input)
{
    memset(n, 0, sizeof *n);
    n->tensors = 1;
    n->tensor[0] = input;
    n->map = n->features = n->projection = n->local = n->uncertainty = n->logits = n->rotation = -1;
}

static dumi_unit *add_unit(dumi_network *n, int32_t kind, int32_t input, dumi_tensor_shape output)
{
    dumi_unit *unit = &n->unit[n->units++];
    const dumi_tensor_shape *from = &n->tensor[input];
    unit->kind = kind;
    unit->input = input;
    unit->add = -1;
    unit->output = n->tensors;
    unit->shape = (dumi_conv_shape){.height = from->height,
                                    .width = from->width,
                                    .cols = from->cols,
                                    .outputs = output.cols,
                                    .kernel = 1,
                                    .stride = 1};
    n->tensor[n->tensors++] = output;
    return unit;
}

static int32_t add_conv(dumi_network *n, int32_t input, int32_t cols, int32_t kernel, int32_t stride, bool relu,
                        int32_t add)
{
    dumi_conv_shape s = {.height = n->tensor[input].height,
                         .width = n->tensor[input].width,
                         .cols = n->tensor[input].cols,
                         .outputs = cols,
                         .kernel = kernel,
                         .stride = stride,
                         .padding = kernel / 2};
    const dumi_tensor_shape output = {dumi_conv_out(&s, s.height), dumi_conv_out(&s, s.width), cols};
    dumi_unit *unit = add_unit(n, DUMI_UNIT_CONV, input, output);
    unit->shape = s;
    unit->relu = relu;
    unit->add = add;
    const size_t wide = (size_t)cols;
    unit->weights = take(&n->parameters, (size_t)kernel * (size_t)kernel * (size_t)s.cols * wide);
    unit->gamma = take(&n->parameters, wide);
    unit->beta = take(&n->parameters, wide);
    unit->mean = take(&n->statistics, wide);
    unit->variance = take(&n->statistics, wide);
    return unit->output;
}

static int32_t add_linear(dumi_network *n, int32_t input, int32_t cols, bool relu, const char *name)
{
    const int32_t inputs = n->tensor[input].cols;
    dumi_unit *unit = add_unit(n, DUMI_UNIT_LINEAR, input, (dumi_tensor_shape){1, 1, cols});
    unit->relu = relu;
    unit->weights = take(&n->parameters, (size_t)inputs * (size_t)cols);
    unit->beta = take(&n->parameters, (size_t)cols);
    snprintf(unit->name, sizeof unit->name, "%s", name);
    return unit->output;
}

static int32_t add_pool_mean(dumi_network *n, int32_t input)
{
    return add_unit(n, DUMI_UNIT_POOL_MEAN, input, (dumi_tensor_shape){1, 1, n->tensor[input].cols})->output;
}

static int32_t add_pool_max(dumi_network *n, int32_t input)
{
    dumi_conv_shape s = {.height = n->tensor[input].height,
                         .width = n->tensor[input].width,
                         .cols = n->tensor[input].cols,
                         .outputs = n->tensor[input].cols,
                         .kernel = 3,
                         .stride = 2,
                         .padding = 1};
    dumi_unit *unit =
        add_unit(n, DUMI_UNIT_POOL_MAX, input,
                 (dumi_tensor_shape){dumi_conv_out(&s, s.height), dumi_conv_out(&s, s.width), s.cols});
    unit->shape = s;
    return unit->output;
}

/* ---- Residual networks -------------------------------------------------------------------- */

/* As torchvision names the parts of a block. */
static void name_conv(dumi_network *n, const char *block, int32_t index)
{
    dumi_unit *unit = &n->unit[n->units - 1];
    snprintf(unit->name, sizeof unit->name, "%sconv%d", block, index);
    snprintf(unit->norm_name, sizeof unit->norm_name, "%sbn%d", block, index);
}

static int32_t add_shortcut(dumi_network *n, int32_t input, int32_t cols, int32_t stride, const char *block)
{
    if (stride == 1 && n->tensor[input].cols == cols)
        return input;
    const int32_t output = add_conv(n, input, cols, 1, stride, false, -1);
    dumi_unit *unit = &n->unit[n->units - 1];
    snprintf(unit->name, sizeof unit->name, "%sdownsample.0", block);
    snprintf(unit->norm_name, sizeof unit->norm_name, "%sdownsample.1", block);
    return output;
}

static int32_t add_basic(dumi_network *n, int32_t input, int32_t cols, int32_t stride, const char *block)
{
    const int32_t shortcut = add_shortcut(n, input, cols, stride, block);
    const int32_t inner = add_conv(n, input, cols, 3, stride, true, -1);
    name_conv(n, block, 1);
    const int32_t output = add_conv(n, inner, cols, 3, 1, true, shortcut);
    name_conv(n, block, 2);
    return output;
}

/* The stride is in the 3 x 3 convolution, as torchvision has it. */
static int32_t add_bottleneck(dumi_network *n, int32_t input, int32_t cols, int32_t stride, const char *block)
{
    const int32_t shortcut = add_shortcut(n, input, 4 * cols, stride, block);
    int32_t at = add_conv(n, input, cols, 1, 1, true, -1);
    name_conv(n, block, 1);
    at = add_conv(n, at, cols, 3, stride, true, -1);
    name_conv(n, block, 2);
    at = add_conv(n, at, 4 * cols, 1, 1, true, shortcut);
    name_conv(n, block, 3);
    return at;
}

typedef struct {
    int32_t stages, blocks[4];
    bool bottleneck;
} plan;

static bool plan_of(int32_t depth, plan *p)
{
    static const plan known[] = {{4, {2, 2, 2, 2}, false}, {4, {3, 4, 6, 3}, false}, {4, {3, 4, 6, 3}, true}};
    const int32_t place = depth == 18 ? 0 : depth == 34 ? 1 : depth == 50 ? 2 : -1;
    if (place >= 0) {
        *p = known[place];
        return true;
    }
    const int32_t n = (depth - 2) / 6;
    *p = (plan){3, {n, n, n, 0}, false};
    return n >= 1 && n <= 10 && depth == 6 * n + 2;
}

static dum_status add_stem(dumi_network *n, int32_t stem, int32_t width, const plan *p, int32_t *at)
{
    const dumi_tensor_shape *image = &n->tensor[0];
    /* Each stage after the first halves; below one pixel a stage there is nothing to halve. */
    const int32_t least = (stem == DUMI_STEM_LARGE ? 4 : 1) << (p->stages - 1);
    DUMI_REQUIRE(image->height >= least && image->width >= least, DUM_ERR_SHAPE,
                 "images are %d x %d, expected at least %d x %d for this depth and stem", image->height,
                 image->width, least, least);
    *at = add_conv(n, 0, width, stem == DUMI_STEM_LARGE ? 7 : 3, stem == DUMI_STEM_LARGE ? 2 : 1, true, -1);
    name_conv(n, "", 1);
    if (stem == DUMI_STEM_LARGE)
        *at = add_pool_max(n, *at);
    return DUM_OK;
}

dum_status dumi_resnet(dumi_network *n, int32_t depth, int32_t stem, int32_t width, dumi_tensor_shape image)
{
    plan p;
    DUMI_REQUIRE(plan_of(depth, &p), DUM_ERR_ARGUMENT,
                 "depth is %d, expected 18, 34, 50 or 6 n + 2 (8, 14, 20, ..., 62)", depth);
    begin(n, image);
    int32_t at = 0;
    DUMI_TRY(add_stem(n, stem, width, &p, &at));
    for (int32_t stage = 0; stage < p.stages; stage++) {
        for (int32_t i = 0; i < p.blocks[stage]; i++) {
            char block[32];
            snprintf(block, sizeof block, "layer%d.%d.", stage + 1, i);
            const int32_t cols = width << stage, stride = stage > 0 && i == 0 ? 2 : 1;
            at = p.bottleneck ? add_bottleneck(n, at, cols, stride, block)
                              : add_basic(n, at, cols, stride, block);
        }
        n->stage[n->stages++] = at;
    }
    n->map = at;
    n->features = add_pool_mean(n, at);
    return DUM_OK;
}

/* ---- Layers ------------------------------------------------------------------------------- */

void dumi_mlp_network(dumi_network *n, int32_t inputs, int32_t layers, int32_t width, int32_t outputs)
{
    begin(n, (dumi_tensor_shape){1, 1, inputs});
    int32_t at = 0;
    for (int32_t l = 0; l <= layers; l++) {
        char name[DUMI_UNIT_NAME];
        snprintf(name, sizeof name, "layers.%d", l);
        at = add_linear(n, at, l < layers ? width : outputs, l < layers, name);
    }
    n->features = at;
}

void dumi_network_project(dumi_network *n, int32_t outputs)
{
    const int32_t hidden = add_linear(n, n->features, n->tensor[n->features].cols, true, "projection.0");
    n->projection = add_linear(n, hidden, outputs, false, "projection.2");
}

int32_t dumi_network_layer(dumi_network *n, int32_t outputs, const char *name)
{
    return add_linear(n, n->features, outputs, false, name);
}

void dumi_network_project_map(dumi_network *n, int32_t outputs)
{
    n->local = add_conv(n, n->map, outputs, 1, 1, false, -1);
    dumi_unit *unit = &n->unit[n->units - 1];
    snprintf(unit->name, sizeof unit->name, "local.0");
    snprintf(unit->norm_name, sizeof unit->norm_name, "local.1");
}

/* ---- Outputs ------------------------------------------------------------------------------- */

bool dumi_network_given(const dumi_network *n, int32_t tensor)
{
    const int32_t given[] = {n->map,         n->features, n->projection, n->local,
                             n->uncertainty, n->logits,   n->rotation};
    for (size_t i = 0; i < sizeof given / sizeof given[0]; i++)
        if (tensor == given[i])
            return true;
    return false;
}

/* ---- Parameters --------------------------------------------------------------------------- */

static void set(float *values, int32_t count, float value)
{
    for (int32_t i = 0; i < count; i++)
        values[i] = value;
}

void dumi_network_init(const dumi_network *n, uint64_t seed, float *parameters, float *statistics)
{
    for (int32_t i = 0; i < n->units; i++) {
        const dumi_unit *u = &n->unit[i];
        if (!dumi_unit_has_weights(u))
            continue;
        const dumi_conv_shape *s = &u->shape;
        const bool conv = u->kind == DUMI_UNIT_CONV;
        /* As torchvision: convolutions by what goes out, layers by what comes in. */
        const double fan = conv ? (double)s->kernel * s->kernel * s->outputs : (double)s->cols;
        dumi_rng rng;
        dumi_rng_init(&rng, seed, DUMI_RNG_WEIGHTS, (uint32_t)i);
        const double scale = sqrt((conv || u->relu ? 2 : 1) / fan);
        for (size_t w = 0; w < dumi_unit_weights(u); w++)
            parameters[u->weights + w] = (float)(scale * dumi_rng_normal(&rng));
        set(parameters + u->beta, s->outputs, 0);
        if (!conv)
            continue;
        set(parameters + u->gamma, s->outputs, 1);
        set(statistics + u->mean, s->outputs, 0);
        set(statistics + u->variance, s->outputs, 1);
    }
}
