/* SPDX-License-Identifier: MIT
 * A scorer that stands on an encoder, and images that it takes. */
#ifndef IMAGE_MODEL_H
#define IMAGE_MODEL_H

#include "encoders.h"
#include "images.h"

typedef struct {
    dum_context *context;
    dum_scorer *scorer;
    dum_encoder *encoder; /* the one below it, once more */
} image_model;

/* To be closed after failure, too. */
int open_image_model(const arguments *args, const char *path, image_model *out);
void close_image_model(image_model *model);
/* TOOL_FAILED after a message where the images are not of the model's size. To be freed in any case. */
int load_model_images(const image_model *model, const char *path, loaded_images *out);
/* Scores of images, to be freed; NULL after a message. path: whose they are, for the message. */
double *score_images(const image_model *model, const loaded_images *images, const char *path);
/* The same of images as floats, contiguous. */
int score_pixels(const image_model *model, const float *pixels, int64_t rows, int64_t cols, double *scores);

/* How the scores of a sample lie to those of a reference. */
typedef struct {
    double mean, p, log10_p, d, auroc, auroc_low, auroc_high;
} comparison;

int compare_scores(const double *reference, int64_t m, const double *sample, int64_t n, comparison *out);

#endif
