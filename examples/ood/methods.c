/* SPDX-License-Identifier: MIT
 * The rows of the table: a kind of scorer on an output of an encoder. */
#include "ood.h"

#include <stdlib.h>
#include <string.h>

const method methods[] = {
    {"Baseline (largest softmax)", "Hendrycks & Gimpel 2017", "msp", "logits", SUPERVISED, {NULL}},
    {"ODIN", "Liang et al. 2018", "msp", "odin", SUPERVISED, {"temperature=1000"}},
    {"Mahalanobis (features)", "Lee et al. 2018", "mds", "features", SUPERVISED, {NULL}},
    {"Mahalanobis (feature ensemble)", "Lee et al. 2018", "mds", "stages", SUPERVISED, {NULL}},
    {"Residual flow", "Zisselman & Tamar 2020", "flow", "stages", SUPERVISED, {NULL}},
    {"Gram matrices", "Sastry & Oore 2020", "gram", "gram-all", SUPERVISED, {NULL}},
    {"Gram matrices (stages)", "Sastry & Oore 2020", "gram", "gram", SUPERVISED, {NULL}},
    {"Rotation prediction", "Hendrycks et al. 2019", "rotation", "rotation", ROTATION, {NULL}},
    {"Energy", "Liu et al. 2020", "energy", "logits", SUPERVISED, {NULL}},
    {"ViM", "Wang et al. 2022", "vim", "joint", SUPERVISED, {NULL}},
    {"kNN", "Sun et al. 2022", "knn", "features", SUPERVISED, {"scaling=unit", "neighbours=50"}},
    {"SSD", "Sehwag et al. 2021", "mahalanobis", "features", SUPERVISED, {"scaling=unit"}},
    {"kNN", "Sun et al. 2022", "knn", "features", SIMCLR, {"scaling=unit", "neighbours=50"}},
    {"SSD", "Sehwag et al. 2021", "mahalanobis", "features", SIMCLR, {"scaling=unit"}},
    {"DUM, diagonal, poe",
     "Wu & Goodman 2020",
     "dum",
     "features",
     SIMCLR,
     {"covariance=diagonal", "objective=poe"}},
    {"DUM, circular, poe",
     "Wu & Goodman 2020",
     "dum",
     "features",
     SIMCLR,
     {"covariance=circular", "objective=poe"}},
    {"DUM, diagonal, local", "", "dum", "features", SIMCLR, {"covariance=diagonal", "objective=local"}},
    {"DUM, circular, local", "", "dum", "features", SIMCLR, {"covariance=circular", "objective=local"}},
    {"DUM, poe, unit length",
     "Wu & Goodman 2020",
     "dum",
     "features",
     SIMCLR,
     {"preset=paper-images", "width=256", "scaling=unit"}},
    {"DUM, local, unit length", "", "dum", "features", SIMCLR, {"scaling=unit"}},
    {"DUM, local, unit length, projections", "", "dum", "projection", SIMCLR, {"scaling=unit"}},
};
const int method_count = sizeof methods / sizeof methods[0];

static bool set_scorer(dum_scorer *scorer, const char *const *settings)
{
    for (; *settings != NULL; settings++) {
        setting s;
        if (!split_setting(*settings, &s))
            return false;
        const dum_status status = s.is_number ? dum_scorer_set_number(scorer, s.name, s.number)
                                              : dum_scorer_set_text(scorer, s.name, s.value);
        if (status != DUM_OK)
            return complain_library(*settings);
    }
    return true;
}

/* Fitted on the training images. The scorer keeps the output that the encoder has now. */
static bool fit(const experiment *e, const method *by, dum_scorer *scorer)
{
    dum_encoder *encoder = e->encoder[by->encoder];
    dum_fit_options options;
    DUM_INIT(options);
    if (strcmp(by->kind, "mds") == 0 || strcmp(by->kind, "flow") == 0)
        options.labels = e->labels;
    if (!set_scorer(scorer, by->settings) ||
        (strcmp(by->kind, "dum") == 0 && !set_scorer(scorer, e->args->dum)))
        return false;
    if (dum_encoder_set_text(encoder, "output", by->output) != DUM_OK ||
        dum_scorer_set_encoder(scorer, encoder) != DUM_OK ||
        dum_scorer_fit(scorer, e->train.data, &options) != DUM_OK)
        return complain_library(by->name);
    return true;
}

/* Images of the set are the positive ones. */
static bool judge(const double *scores, int64_t inside, int64_t outside, int32_t set, result *out)
{
    const int64_t n = inside + outside;
    uint8_t *labels = calloc((size_t)n, 1);
    if (labels == NULL)
        return complain("out of memory");
    memset(labels + inside, 1, (size_t)outside);
    dum_interval_options options;
    DUM_INIT(options);
    options.method = DUM_INTERVAL_BOOTSTRAP;
    DUM_INIT(out->auroc[set]);
    DUM_INIT(out->precision[set]);
    DUM_INIT(out->fpr[set]);
    const bool good = (dum_auroc(scores, labels, n, &options, &out->auroc[set]) == DUM_OK &&
                       dum_average_precision(scores, labels, n, &options, &out->precision[set]) == DUM_OK &&
                       dum_fpr95(scores, labels, n, &options, &out->fpr[set]) == DUM_OK) ||
                      complain_library(out->by->name);
    free(labels);
    return good;
}

static bool score_sets(const experiment *e, const dum_scorer *scorer, result *out)
{
    int64_t most = 0;
    for (int32_t s = 0; s < e->args->sets; s++)
        most = e->out[s].rows > most ? e->out[s].rows : most;
    double *scores = malloc((size_t)(e->test.rows + most) * sizeof *scores);
    bool good = scores != NULL || complain("out of memory");
    if (good && dum_scorer_score_dataset(scorer, e->test.data, scores) != DUM_OK)
        good = complain_library(out->by->name);
    for (int32_t s = 0; s < e->args->sets && good; s++) {
        if (dum_scorer_score_dataset(scorer, e->out[s].data, scores + e->test.rows) != DUM_OK)
            good = complain_library(out->by->name);
        good = good && judge(scores, e->test.rows, e->out[s].rows, s, out);
    }
    free(scores);
    return good;
}

bool run_method(const experiment *e, const method *by, result *out)
{
    dum_scorer *scorer;
    const double begin = seconds_now();
    out->by = by;
    if (dum_scorer_create(e->context, by->kind, &scorer) != DUM_OK)
        return complain_library(by->kind);
    const bool good = fit(e, by, scorer) && score_sets(e, scorer, out);
    out->seconds = seconds_now() - begin;
    dum_scorer_destroy(scorer);
    return good;
}
