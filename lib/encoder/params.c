/* SPDX-License-Identifier: MIT
 * The options of the encoders that are trained. */
#include "encoder/encoder.h"

#define TEXTS(...)                                                                                             \
    (const char *const[])                                                                                      \
    {                                                                                                          \
        __VA_ARGS__, NULL                                                                                      \
    }
#define NUMBER(value, min, max, integer, help) value, min, max, NULL, NULL, integer, help

const dumi_param dumi_encoder_params[DUMI_ENCODER_PARAMS] = {
    [DUMI_E_HEIGHT] = {"height", NUMBER(32, 1, 4096, true, "resnet: of the images, in pixels")},
    [DUMI_E_WIDTH] = {"width", NUMBER(32, 1, 4096, true, "resnet: of the images, in pixels")},
    [DUMI_E_CHANNELS] = {"channels", NUMBER(3, 1, 3, true, "resnet: of the images: 3, or 1 for grey ones")},
    [DUMI_E_DEPTH] = {"depth", NUMBER(18, 8, 62, true, "resnet: 18, 34, 50 or 6 n + 2 (8, 14, 20, ...)")},
    [DUMI_E_STEM] = {"stem", DUMI_STEM_SMALL, 0, 0, TEXTS("small", "large"), "small|large", false,
                     "resnet: 3x3, for images of about 32x32, or 7x7 and pooling, for 224x224"},
    [DUMI_E_LAYERS] = {"layers", NUMBER(2, 0, 16, true, "mlp: hidden layers")},
    [DUMI_E_UNITS] = {"units", NUMBER(64, 1, 65536, true,
                                      "resnet: columns of the first stage (each later one has twice as many); "
                                      "mlp: of a hidden layer")},
    [DUMI_E_EMBEDDING] = {"embedding", NUMBER(128, 1, 65536, true, "mlp: columns of the features")},
    [DUMI_E_PROJECTION] = {"projection", NUMBER(128, 1, 65536, true, "columns of the projection")},
    [DUMI_E_OUTPUT] =
        {"output", DUMI_OUT_FEATURES, 0, 0,
         TEXTS("features", "map", "projection", "logits", "uncertainty", "joint", "stages", "gram", "odin",
               "rotation", "gram-all"),
         "features|map|projection|logits|uncertainty|joint|stages|gram|odin|rotation|gram-all", false,
         "what embed returns; map: before pooling; uncertainty: -log of the temperature's "
         "inverse; joint: features, then logits; stages: the means of the map of each stage; gram: "
         "sums of Gram matrices of those maps, then logits; gram-all: of the map after each convolution, and "
         "before residual and ReLU; "
         "odin: logits of a perturbed input; rotation: what four turned copies look like, then logits; can be "
         "set after fit"},
    [DUMI_E_PERTURBATION] = {"perturbation",
                             NUMBER(0.0014, 0, 1, false,
                                    "output odin: step of the input; images: of 255, mlp: of a deviation")},
    [DUMI_E_ODIN_TEMPERATURE] = {"odin_temperature",
                                 NUMBER(1000, 1e-3, 1e6, false,
                                        "output odin: of the softmax that the step raises")},
    [DUMI_E_OBJECTIVE] = {"objective", DUMI_SIMCLR, 0, 0,
                          TEXTS("simclr", "moco", "instance", "local-aggregation", "infomax", "supervised"),
                          "simclr|moco|instance|local-aggregation|infomax|supervised", false,
                          "what is trained; supervised needs labels"},
    [DUMI_E_TEMPERATURE] = {"temperature", NUMBER(0.2, 1e-6, 1e6, false, "divides the similarities")},
    [DUMI_E_UNCERTAINTY] = {"uncertainty", 0, 0, 0, TEXTS("off", "on"), "off|on", false,
                            "simclr: a temperature for each input, learnt (Zhang et al. 2021)"},
    [DUMI_E_FROZEN] = {"frozen", 0, 0, 0, TEXTS("off", "on"), "off|on", false,
                       "with warm_start: only the uncertainty is trained, the rest stays"},
    [DUMI_E_ROTATION] = {"rotation", 0, 0, 0, TEXTS("off", "on"), "off|on", false,
                         "supervised: also tells by how many quarters an image was turned"},
    [DUMI_E_QUEUE] = {"queue", NUMBER(4096, 2, 1e7, true, "moco: keys that are kept")},
    [DUMI_E_KEY_MOMENTUM] = {"key_momentum", NUMBER(0.99, 0, 1, false, "moco: of the network that makes keys")},
    [DUMI_E_BANK_MOMENTUM] = {"bank_momentum",
                              NUMBER(0.5, 0, 1, false, "instance, local-aggregation: of the memory bank")},
    [DUMI_E_NEGATIVES] = {"negatives", NUMBER(4096, 1, 1e7, true, "instance: rows of the bank drawn a step")},
    [DUMI_E_CLUSTERS] = {"clusters", NUMBER(0, 0, 1e6, true, "local-aggregation: of k-means; 0: rows / 30")},
    [DUMI_E_CLUSTERINGS] = {"clusterings", NUMBER(3, 1, 32, true, "local-aggregation: runs of k-means joined")},
    [DUMI_E_NEIGHBOURS] = {"neighbours",
                           NUMBER(512, 1, 1e6, true, "local-aggregation: nearest rows that are background")},
    [DUMI_E_OPTIMIZER] = {"optimizer", DUMI_STEP_SGD, 0, 0, TEXTS("sgd", "adam", "lars"), "sgd|adam|lars",
                          false, "of the training; lars: for batches of thousands"},
    [DUMI_E_RATE] = {"rate", NUMBER(0.06, 1e-12, 1e3, false, "learning rate; scale it with the batch")},
    [DUMI_E_SCHEDULE] = {"schedule", 1, 0, 0, TEXTS("constant", "cosine"), "constant|cosine", false,
                         "of the learning rate over the steps, after the warm-up"},
    [DUMI_E_WARMUP] = {"warmup", NUMBER(0, 0, 1e6, false, "epochs in which the rate rises from 0")},
    [DUMI_E_MOMENTUM] = {"momentum", NUMBER(0.9, 0, 0.9999, false, "sgd, lars")},
    [DUMI_E_DECAY] = {"weight_decay",
                      NUMBER(5e-4, 0, 1e3, false,
                             "added to the gradient: decay x weight; of convolutions and layers")},
    [DUMI_E_CLIP] = {"clip", NUMBER(0, 0, 1e12, false, "largest norm of the gradient; 0: no limit")},
    [DUMI_E_BATCH] = {"batch", NUMBER(256, 1, 65536, true, "rows of a step, each in all its views")},
    [DUMI_E_EPOCHS] = {"epochs", NUMBER(100, 1, 1e9, true, "passes over the data; used where steps is 0")},
    [DUMI_E_STEPS] = {"steps", NUMBER(0, 0, 1e12, true, "optimiser steps; 0: as epochs says")},
    [DUMI_E_CROP_MIN] = {"crop_min", NUMBER(0.2, 0.001, 1, false, "images: smallest share of the area kept")},
    [DUMI_E_CROP_MAX] = {"crop_max", NUMBER(1, 0.001, 1, false, "images: largest share of the area kept")},
    [DUMI_E_FLIP] = {"flip", NUMBER(0.5, 0, 1, false, "images: chance of a horizontal flip")},
    [DUMI_E_JITTER] = {"jitter", NUMBER(0.8, 0, 1, false, "images: chance that colours change")},
    [DUMI_E_BRIGHTNESS] = {"brightness", NUMBER(0.4, 0, 1, false, "images: factors 1 - this to 1 + this")},
    [DUMI_E_CONTRAST] = {"contrast", NUMBER(0.4, 0, 1, false, "images: factors 1 - this to 1 + this")},
    [DUMI_E_SATURATION] = {"saturation", NUMBER(0.4, 0, 1, false, "images: factors 1 - this to 1 + this")},
    [DUMI_E_HUE] = {"hue", NUMBER(0.1, 0, 0.5, false, "images: turns of the colour circle, each way")},
    [DUMI_E_GREY] = {"grey", NUMBER(0.2, 0, 1, false, "images: chance that colours go")},
    [DUMI_E_BLUR] = {"blur", NUMBER(0, 0, 1, false, "images: chance of a Gaussian blur")},
    [DUMI_E_NOISE] = {"noise", NUMBER(0.1, 0, 1e3, false, "mlp: deviation of what is added to scaled columns")},
    [DUMI_E_SWAP] = {"swap", NUMBER(0.3, 0, 1, false, "mlp: chance that a value comes from another row")},
    [DUMI_E_SEED] = {"seed", NUMBER(0, 0, 9007199254740992.0, true, "of all random numbers")},
};

static const dumi_param *param(int32_t index)
{
    return &dumi_encoder_params[index];
}

const dumi_params dumi_encoder_table = {"encoder", DUMI_ENCODER_PARAMS, param};

static bool trained(dumi_encoder_kind kind)
{
    return kind == DUMI_MLP || kind == DUMI_RESNET;
}

int32_t dum_encoder_param_count(void)
{
    return DUMI_ENCODER_PARAMS;
}

dum_status dum_encoder_param_get(int32_t index, dum_param_info *info)
{
    dumi_clear_error();
    return dumi_params_describe(&dumi_encoder_table, index, info);
}

/* What is trained is fixed once it is; what embed returns is not. */
static dum_status check_settable(const dum_encoder *encoder, const char *name)
{
    DUMI_NOT_NULL(encoder);
    DUMI_NOT_NULL(name);
    DUMI_REQUIRE(trained(encoder->kind), DUM_ERR_UNSUPPORTED, "encoder %s has no options",
                 dumi_encoder_kind_name(encoder->kind));
    static const char *const structure[] = {"height", "width", "channels",  "depth",     "stem",
                                            "layers", "units", "embedding", "projection"};
    for (size_t i = 0; i < sizeof structure / sizeof structure[0]; i++)
        DUMI_REQUIRE(encoder->model == NULL || strcmp(name, structure[i]) != 0, DUM_ERR_STATE,
                     "option %s cannot be set: the encoder is fitted", name);
    return DUM_OK;
}

dum_status dum_encoder_set_number(dum_encoder *encoder, const char *name, double value)
{
    dumi_clear_error();
    DUMI_TRY(check_settable(encoder, name));
    int32_t index;
    return dumi_params_set_number(&dumi_encoder_table, encoder->values, name, value, &index);
}

dum_status dum_encoder_set_text(dum_encoder *encoder, const char *name, const char *value)
{
    dumi_clear_error();
    DUMI_TRY(check_settable(encoder, name));
    int32_t index;
    return dumi_params_set_text(&dumi_encoder_table, encoder->values, name, value, &index);
}

dum_status dum_encoder_get_number(const dum_encoder *encoder, const char *name, double *value)
{
    dumi_clear_error();
    DUMI_NOT_NULL(encoder);
    DUMI_REQUIRE(trained(encoder->kind), DUM_ERR_UNSUPPORTED, "encoder %s has no options",
                 dumi_encoder_kind_name(encoder->kind));
    return dumi_params_get_number(&dumi_encoder_table, encoder->values, name, value);
}

dum_status dum_encoder_get_text(const dum_encoder *encoder, const char *name, const char **value)
{
    dumi_clear_error();
    DUMI_NOT_NULL(encoder);
    DUMI_REQUIRE(trained(encoder->kind), DUM_ERR_UNSUPPORTED, "encoder %s has no options",
                 dumi_encoder_kind_name(encoder->kind));
    return dumi_params_get_text(&dumi_encoder_table, encoder->values, name, value);
}
