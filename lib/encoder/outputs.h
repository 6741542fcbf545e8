/* SPDX-License-Identifier: MIT
 * What embed returns besides single tensors: rows put together from several, or made from maps. */
#ifndef DUMI_OUTPUTS_H
#define DUMI_OUTPUTS_H

#include "encoder/encoder.h"

typedef struct dumi_perturbation dumi_perturbation;

/* What one call of embed works with. */
typedef struct {
    dumi_inference inference;
    float *host;                     /* scaled rows of a tile */
    float *map;                      /* a tensor of a tile; NULL: not wanted yet */
    double *powers;                  /* of each thread; the same */
    dumi_perturbation *perturbation; /* the same */
} dumi_embedding;

void dumi_embedding_destroy(const dumi_encoder_model *model, dumi_embedding *e);
/* Puts what rows the network has in e->host into `out`, whose rows are those of the output. */
dum_status dumi_embedding_make(const dum_encoder *encoder, const dumi_output *output, dumi_embedding *e,
                               int32_t count, float *out);

/* Output "odin": moves rows of e->host (perturb.c). */
dum_status dumi_perturb(const dum_encoder *encoder, dumi_embedding *e, int32_t count);
void dumi_perturbation_destroy(dum_context *context, dumi_perturbation *p);

#endif
