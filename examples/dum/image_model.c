/* SPDX-License-Identifier: MIT */
#include "image_model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int open_image_model(const arguments *args, const char *path, image_model *out)
{
    memset(out, 0, sizeof *out);
    int status = open_context(args, &out->context);
    if (status == TOOL_OK && dum_scorer_load(out->context, path, &out->scorer) != DUM_OK)
        status = fail_library(path);
    if (status == TOOL_OK && dum_encoder_load(out->context, path, &out->encoder) != DUM_OK)
        status = fail("%s: %s (dum fit --encoder makes one)", path, dum_error_message());
    return status;
}

void close_image_model(image_model *model)
{
    dum_encoder_destroy(model->encoder);
    dum_scorer_destroy(model->scorer);
    dum_context_destroy(model->context);
}

int load_model_images(const image_model *model, const char *path, loaded_images *out)
{
    int status = load_images(path, out);
    if (status == TOOL_OK)
        status = check_encoder_data(model->encoder, path);
    if (status == TOOL_OK && image_size(out) != dum_scorer_cols(model->scorer))
        status = fail("%s has images of %d x %d x %d, the model takes %d columns", path, out->height,
                      out->width, out->channels, dum_scorer_cols(model->scorer));
    return status;
}

double *score_images(const image_model *model, const loaded_images *images, const char *path)
{
    double *scores = malloc((size_t)images->rows * sizeof *scores);
    dum_dataset *data = NULL;
    if (scores == NULL) {
        complain("out of memory");
        return NULL;
    }
    if (dum_dataset_from_bytes(model->context, images->pixels, images->rows, (int32_t)image_size(images), 0,
                               &data) != DUM_OK ||
        dum_scorer_score_dataset(model->scorer, data, scores) != DUM_OK) {
        fail_library(path);
        free(scores);
        scores = NULL;
    }
    dum_dataset_destroy(data);
    return scores;
}

int score_pixels(const image_model *model, const float *pixels, int64_t rows, int64_t cols, double *scores)
{
    return dum_scorer_score(model->scorer, pixels, rows, (int32_t)cols, 0, scores) == DUM_OK
               ? TOOL_OK
               : fail_library("scores");
}

static double mean(const double *values, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += values[i];
    return sum / (double)n;
}

static int find_auroc(const double *reference, int64_t m, const double *sample, int64_t n, comparison *out)
{
    double *scores = malloc((size_t)(m + n) * sizeof *scores);
    uint8_t *labels = calloc((size_t)(m + n), 1);
    dum_estimate auroc;
    DUM_INIT(auroc);
    int status = scores != NULL && labels != NULL ? TOOL_OK : fail("out of memory");
    if (status == TOOL_OK) {
        memcpy(scores, reference, (size_t)m * sizeof *scores);
        memcpy(scores + m, sample, (size_t)n * sizeof *scores);
        memset(labels + m, 1, (size_t)n);
        if (dum_auroc(scores, labels, m + n, NULL, &auroc) != DUM_OK)
            status = fail_library("AUROC");
    }
    out->auroc = auroc.value;
    out->auroc_low = auroc.low;
    out->auroc_high = auroc.high;
    free(scores);
    free(labels);
    return status;
}

int compare_scores(const double *reference, int64_t m, const double *sample, int64_t n, comparison *out)
{
    dum_ttest_result test;
    DUM_INIT(test);
    *out = (comparison){.mean = mean(sample, n), .p = NAN, .log10_p = NAN, .d = NAN};
    /* Samples that are constant and equal have no t. */
    if (dum_ttest(sample, n, reference, m, DUM_TTEST_POOLED, &test) == DUM_OK) {
        out->p = test.p;
        out->log10_p = test.log10_p;
        out->d = test.cohens_d;
    }
    return find_auroc(reference, m, sample, n, out);
}
