/* SPDX-License-Identifier: MIT
 * The options of a head: one table, from which the setters, the tool, the bindings and the docs come. */
#include "head/head.h"

#define TEXTS(...)                                                                                             \
    (const char *const[])                                                                                      \
    {                                                                                                          \
        __VA_ARGS__, NULL                                                                                      \
    }

const dumi_param dumi_head_params[DUMI_HEAD_PARAMS] = {
    [DUMI_PRESET] = {"preset", DUMI_PRESET_DEFAULT, 0, 0, TEXTS("default", "paper", "paper-images"),
                     "default|paper|paper-images", false,
                     "sets several options: the recommended ones, or the paper's for vectors or images"},
    [DUMI_OBJECTIVE] = {"objective", DUMI_LOCAL, 0, 0, TEXTS("local", "poe"), "local|poe", false,
                        "local: likelihood of the nearest neighbours; poe: the paper's product of experts"},
    [DUMI_COVARIANCE] = {"covariance", DUM_COVARIANCE_CIRCULAR, 0, 0, TEXTS("diagonal", "circular"),
                         "diagonal|circular", false, "one log-variance a dimension, or one for all"},
    [DUMI_SCALING] =
        {"scaling", DUMI_SCALE_AUTO, 0, 0,
         TEXTS("none", "minmax", "zscore", "unit", "whiten", "auto", "whiten-cov"),
         "none|minmax|zscore|unit|whiten|auto|whiten-cov", false,
         "of the columns; unit: z-score, then rows of length 1; whiten: z-score, then PCA whitening; "
         "whiten-cov: PCA whitening of columns in their own unit; auto: one of zscore, whiten, "
         "whiten-cov, by the data"},
    [DUMI_LAYERS] = {"layers", 3, 0, 16, NULL, NULL, true, "hidden layers"},
    [DUMI_WIDTH] = {"width", 256, 1, 65536, NULL, NULL, true, "units of a hidden layer"},
    [DUMI_BOUND] = {"bound", DUMI_BOUND_TANH, 0, 0, TEXTS("none", "tanh"), "none|tanh", false,
                    "limits the log-variance to c tanh(o / c)"},
    [DUMI_BOUND_SCALE] = {"bound_scale", 0, 0, 40, NULL, NULL, false,
                          "c of the bound; 0: 3 with the anchor, else 10"},
    [DUMI_ANCHOR] = {"anchor", DUMI_AUTO, 0, 0, TEXTS("auto", "on", "off", "centres"), "auto|on|off|centres",
                     false,
                     "adds log(0.001 + D / d), so that s grows far from the data; D: |z|^2 (on), or to the 5 "
                     "nearest centres of k-means; auto: off for poe, for local the better of centres and on"},
    [DUMI_CENTRES] = {"centres", 0, 0, DUMI_MOST_CENTRES, NULL, NULL, true,
                      "of the anchor, but no more than half the rows; 0: 131072 / columns, from 256 to 2048"},
    [DUMI_BAGS] = {"bags", DUMI_NESTED, 0, 0, TEXTS("nested", "disjoint"), "nested|disjoint", false,
                   "poe: the second bag is the whole batch, or its second half"},
    [DUMI_SIMILARITY] = {"similarity", DUMI_DOT, 0, 0, TEXTS("dot", "cosine"), "dot|cosine", false,
                         "poe: of the means of the two bags"},
    [DUMI_TEMPERATURE] = {"temperature", 0.07, 1e-6, 1e6, NULL, NULL, false, "poe: divides the similarity"},
    [DUMI_PRIOR] = {"prior", 0, 0, 1e6, NULL, NULL, false, "poe: weight of mean(s^2)"},
    [DUMI_SHRINKAGE] =
        {"shrinkage", 1, 0, 1e6, NULL, NULL, false,
         "local with the anchor: times columns / rows, weight of mean(o^2) / 2, which keeps s near "
         "the anchor where rows are few"},
    [DUMI_NEIGHBOURS] = {"neighbours", 0, 0, 200, NULL, NULL, true,
                         "local: k nearest training rows; 0: 5 where the anchor has centres, else 20"},
    [DUMI_EXPLORE] = {"explore", 0.5, 0, 0.9, NULL, NULL, false,
                      "local: share of each batch that are off-manifold queries"},
    [DUMI_RESERVOIR] = {"reservoir", 4096, 2, 1000000, NULL, NULL, true,
                        "local: rows of the random sample in which neighbours are searched"},
    [DUMI_OPTIMIZER] = {"optimizer", DUMI_ADAM, 0, 0, TEXTS("adam", "sgd"), "adam|sgd", false,
                        "of the training"},
    [DUMI_RATE] = {"rate", 1e-3, 1e-12, 1e3, NULL, NULL, false, "learning rate"},
    [DUMI_SCHEDULE] = {"schedule", DUMI_CONSTANT, 0, 0, TEXTS("constant", "cosine"), "constant|cosine", false,
                       "of the learning rate over the steps"},
    [DUMI_MOMENTUM] = {"momentum", 0.9, 0, 0.9999, NULL, NULL, false, "sgd only"},
    [DUMI_DECAY] = {"weight_decay", 0, 0, 1e3, NULL, NULL, false, "added to the gradient: decay x weight"},
    [DUMI_BATCH] = {"batch", 256, 1, 65536, NULL, NULL, true, "rows of a step; all rows where there are fewer"},
    [DUMI_EPOCHS] = {"epochs", 100, 1, 1e9, NULL, NULL, true, "passes over the data; used where steps is 0"},
    [DUMI_STEPS] = {"steps", 800, 0, 1e12, NULL, NULL, true, "optimiser steps; 0: as epochs says"},
    [DUMI_CLIP] = {"clip", 5, 0, 1e12, NULL, NULL, false, "largest norm of the gradient; 0: no limit"},
    [DUMI_SEED] = {"seed", 0, 0, 9007199254740992.0, NULL, NULL, true, "of all random numbers"},
    [DUMI_NONFINITE] = {"nonfinite", DUMI_REFUSE, 0, 0, TEXTS("refuse", "impute"), "refuse|impute", false,
                        "NaN and infinity are an error, or replaced by the column's median"},
    [DUMI_PRECISION] =
        {"precision", DUMI_FLOAT32, 0, 0, TEXTS("float32", "bfloat16", "int8"), "float32|bfloat16|int8", false,
         "of the weights when scoring (bfloat16: also of what they are multiplied with): wide heads take "
         "less time, less exactly"},
    [DUMI_TRAIN_PRECISION] = {"train_precision", DUMI_FLOAT32, 0, 0, TEXTS("float32", "bfloat16"),
                              "float32|bfloat16", false,
                              "of what is multiplied in training; sums, weights and steps stay float32"},
};

void dumi_head_defaults(double *values)
{
    for (int32_t i = 0; i < DUMI_HEAD_PARAMS; i++)
        values[i] = dumi_head_params[i].value;
}

/* Paper, section 4.2 and appendix A.3 (vectors); section 4.1 (images). What a preset does not name goes
 * back to its default. */
void dumi_head_preset(double *values)
{
    const int32_t preset = (int32_t)values[DUMI_PRESET];
    const double seed = values[DUMI_SEED], nonfinite = values[DUMI_NONFINITE];
    dumi_head_defaults(values);
    values[DUMI_SEED] = seed;
    values[DUMI_NONFINITE] = nonfinite;
    values[DUMI_PRESET] = preset;
    if (preset == DUMI_PRESET_DEFAULT)
        return;
    values[DUMI_OBJECTIVE] = DUMI_POE;
    values[DUMI_COVARIANCE] = DUM_COVARIANCE_DIAGONAL;
    values[DUMI_SCALING] = DUMI_SCALE_MINMAX;
    values[DUMI_WIDTH] = 4096;
    values[DUMI_BOUND] = DUMI_BOUND_NONE;
    values[DUMI_STEPS] = 0;
    if (preset == DUMI_PRESET_PAPER_IMAGES) {
        values[DUMI_OPTIMIZER] = DUMI_SGD;
        values[DUMI_RATE] = 0.01;
        values[DUMI_EPOCHS] = 50;
    }
}

/* Rows that lie in clusters have near neighbours that say enough; where all are equally far, a mean of more has less
 * noise. */
int32_t dumi_neighbours_wanted(const double *values, bool centres)
{
    const int32_t wanted = (int32_t)values[DUMI_NEIGHBOURS];
    return wanted > 0 ? wanted : centres ? 5 : 20;
}

static const dumi_param *param(int32_t index)
{
    return &dumi_head_params[index];
}

const dumi_params dumi_head_table = {"head", DUMI_HEAD_PARAMS, param};

int32_t dum_head_param_count(void)
{
    return DUMI_HEAD_PARAMS;
}

dum_status dum_head_param_get(int32_t index, dum_param_info *info)
{
    dumi_clear_error();
    return dumi_params_describe(&dumi_head_table, index, info);
}

static dum_status check_settable(const dum_head *head)
{
    DUMI_NOT_NULL(head);
    DUMI_REQUIRE(head->model == NULL, DUM_ERR_STATE, "head is fitted: set options before fit");
    return DUM_OK;
}

dum_status dum_head_set_number(dum_head *head, const char *name, double value)
{
    dumi_clear_error();
    DUMI_TRY(check_settable(head));
    int32_t index;
    return dumi_params_set_number(&dumi_head_table, head->values, name, value, &index);
}

dum_status dum_head_set_text(dum_head *head, const char *name, const char *value)
{
    dumi_clear_error();
    DUMI_TRY(check_settable(head));
    int32_t index;
    DUMI_TRY(dumi_params_set_text(&dumi_head_table, head->values, name, value, &index));
    if (index == DUMI_PRESET)
        dumi_head_preset(head->values);
    return DUM_OK;
}

dum_status dum_head_get_number(const dum_head *head, const char *name, double *value)
{
    dumi_clear_error();
    DUMI_NOT_NULL(head);
    return dumi_params_get_number(&dumi_head_table, head->values, name, value);
}

dum_status dum_head_get_text(const dum_head *head, const char *name, const char **value)
{
    dumi_clear_error();
    DUMI_NOT_NULL(head);
    return dumi_params_get_text(&dumi_head_table, head->values, name, value);
}
