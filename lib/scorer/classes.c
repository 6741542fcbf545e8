/* SPDX-License-Identifier: MIT */
#include "scorer/classes.h"

#include "linear/linear.h"

static int32_t label_of(const dumi_fitting *f, int64_t row)
{
    return f->labels != NULL ? f->labels[row] : 0;
}

void dumi_classes_destroy(dum_context *context, dumi_classes *c)
{
    dumi_free(context, c->rows);
    dumi_free(context, c->place);
}

dum_status dumi_classes_create(const dumi_fitting *f, dumi_classes *c)
{
    int32_t labels = 0;
    *c = (dumi_classes){0};
    for (int32_t p = 0; p < f->part_count; p++)
        DUMI_REQUIRE(f->parts[p] <= DUMI_MOST_COVARIANCE, DUM_ERR_LIMIT,
                     "the data have %d columns, kinds with a covariance take %d at most", f->parts[p],
                     DUMI_MOST_COVARIANCE);
    for (int64_t i = 0; i < f->count; i++)
        labels = label_of(f, i) >= labels ? label_of(f, i) + 1 : labels;
    dum_status status = DUMI_NEW(f->context, c->rows, labels);
    if (status == DUM_OK)
        status = DUMI_NEW(f->context, c->place, labels);
    if (status != DUM_OK) {
        dumi_classes_destroy(f->context, c);
        return status;
    }
    memset(c->rows, 0, (size_t)labels * sizeof *c->rows);
    for (int64_t i = 0; i < f->count; i++)
        c->rows[label_of(f, i)]++;
    for (int32_t l = 0; l < labels; l++)
        c->place[l] = c->rows[l] > 0 ? c->count++ : -1;
    return DUM_OK;
}

/* Rows become what is left of them without the mean of their class. */
static void centre(const dumi_fitting *f, const dumi_classes *c, double *means)
{
    const int64_t d = f->cols;
    memset(means, 0, (size_t)c->count * (size_t)d * sizeof *means);
    for (int64_t i = 0; i < f->count; i++) {
        const int32_t label = label_of(f, i);
        for (int64_t j = 0; j < d; j++)
            means[c->place[label] * d + j] += (double)f->rows[i * d + j] / (double)c->rows[label];
    }
    for (int64_t i = 0; i < f->count; i++)
        for (int64_t j = 0; j < d; j++)
            f->rows[i * d + j] = (float)((double)f->rows[i * d + j] - means[c->place[label_of(f, i)] * d + j]);
}

static dum_status fit_parts(const dumi_fitting *f, int64_t *parts, double *roots, float *part, double *mean)
{
    for (int32_t p = 0, at = 0; p < f->part_count; at += f->parts[p++]) {
        const int32_t d = f->parts[p];
        parts[p] = d;
        for (int64_t i = 0; i < f->count; i++)
            memcpy(part + i * d, f->rows + i * f->cols + at, (size_t)d * sizeof *part);
        DUMI_TRY(dumi_ellipsoid_fit(f, part, d, mean, roots));
        roots += (int64_t)d * d;
    }
    return DUM_OK;
}

dum_status dumi_classes_fit(const dumi_fitting *f, const dumi_classes *c, int64_t *parts, double *means,
                            double *roots)
{
    float *part = NULL;
    double *mean = NULL;
    dum_status status;
    centre(f, c, means);
    DUMI_GO(DUMI_NEW(f->context, part, (size_t)f->count * (size_t)f->cols));
    DUMI_GO(DUMI_NEW(f->context, mean, f->cols));
    DUMI_GO(fit_parts(f, parts, roots, part, mean));
done:
    dumi_free(f->context, part);
    dumi_free(f->context, mean);
    return status;
}

void dumi_transform(int64_t d, const double *root, const double *x, double *out)
{
    for (int64_t i = 0; i < d; i++)
        out[i] = dumi_dot_double((int32_t)i + 1, root + i * d, x);
}

void dumi_classes_centres(int64_t classes, int64_t parts, const int64_t *cols, const double *means,
                          const double *roots, double *centres)
{
    for (int64_t c = 0, at = 0; c < classes; c++) {
        const double *root = roots;
        for (int64_t p = 0; p < parts; at += cols[p++]) {
            dumi_transform(cols[p], root, means + at, centres + at);
            root += cols[p] * cols[p];
        }
    }
}
