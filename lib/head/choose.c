/* SPDX-License-Identifier: MIT
 * Scaling auto: z-scores, or whitened z-scores?
 *
 * Whitening makes small directions as large as others. That is right where they carry what is rare, and wrong where they are
 * noise that hides who is near whom. Which of the two it is can be seen without labels: in both scalings a sample's k nearest
 * neighbours are compared with those in Gaussian data of the same size, mean and covariance, which have no structure
 * but their covariance. The scaling in which the neighbours are nearer, against that, shows more. */
#include "dataset/dataset.h"
#include "head/head.h"
#include "neighbours/neighbours.h"

#include <math.h>

enum { MOST_ROWS = 2048 };

typedef struct {
    dum_context *context;
    int32_t rows, cols, k;
    float *points;   /* rows x cols */
    double *squares; /* by row */
} sample;

/* The mean over the points and their k nearest of the squared distance. */
static dum_status measure(const sample *s, double *mean)
{
    dumi_neighbours *tree;
    DUMI_TRY(dumi_neighbours_create(s->context, s->points, s->rows, s->cols, &tree));
    const dum_status status =
        dumi_neighbours_search_self(tree, 0, s->rows, s->k, dumi_receive_mean, s->squares);
    dumi_neighbours_destroy(tree);
    DUMI_TRY(status);
    *mean = 0;
    for (int32_t i = 0; i < s->rows; i++)
        *mean += s->squares[i] / s->rows;
    return DUM_OK;
}

/* Gaussian points along the eigenvectors, which leaves their distances as they are; `values`: NULL: whitened. */
static void draw(const sample *s, uint64_t seed, const double *values, const double *shares)
{
    dumi_rng rng;
    dumi_rng_init(&rng, seed, DUMI_RNG_STRUCTURE, 0);
    for (int64_t i = 0; i < s->rows; i++)
        for (int32_t j = 0; j < s->cols; j++)
            s->points[i * s->cols + j] =
                (float)(dumi_rng_normal(&rng) * sqrt(shares[j] * (values != NULL ? values[j] : 1)));
}

dum_status dumi_scaling_choose(dum_context *context, dumi_stream *stream, const double *options,
                               const dum_dataset *data, const dumi_scaling *scaling, const double *values,
                               const double *shares, bool *whiten)
{
    sample s = {.context = context, .cols = scaling->cols};
    const uint64_t seed = (uint64_t)options[DUMI_SEED];
    int64_t *indices = NULL;
    double white, gauss_white, plain, gauss_plain;
    dumi_scaling zscore = *scaling;
    dum_status status;
    zscore.rotation_packed = NULL;
    s.rows = (int32_t)(data->rows < MOST_ROWS ? data->rows : MOST_ROWS);
    const int32_t wanted = dumi_neighbours_wanted(options, false);
    s.k = wanted < s.rows ? wanted : s.rows - 1;
    *whiten = true;
    if (s.k == 0)
        return DUM_OK;
    DUMI_GO(DUMI_NEW(context, indices, s.rows));
    DUMI_GO(DUMI_NEW(context, s.points, (size_t)s.rows * (size_t)s.cols));
    DUMI_GO(DUMI_NEW(context, s.squares, s.rows));
    dumi_sample_rows(data->rows, s.rows, seed, indices);
    DUMI_GO(dumi_scaling_gather(context, stream, scaling, data, indices, s.rows, s.points));
    DUMI_GO(measure(&s, &white));
    DUMI_GO(dumi_scaling_gather(context, stream, &zscore, data, indices, s.rows, s.points));
    DUMI_GO(measure(&s, &plain));
    draw(&s, seed, NULL, shares);
    DUMI_GO(measure(&s, &gauss_white));
    draw(&s, seed, values, shares);
    DUMI_GO(measure(&s, &gauss_plain));
    *whiten = !(white * gauss_plain > plain * gauss_white);
    dumi_log(context, DUM_LOG_INFO, DUM_LOG_CHOICE,
             "scaling auto: %s (squared distance of neighbours against Gaussian data: whiten %s, zscore %s)",
             *whiten ? "whiten" : "zscore", dumi_show_short(white / gauss_white).text,
             dumi_show_short(plain / gauss_plain).text);
done:
    dumi_free(context, indices);
    dumi_free(context, s.points);
    dumi_free(context, s.squares);
    return status;
}
