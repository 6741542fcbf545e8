/* SPDX-License-Identifier: MIT
 * The fitted state of a kind that is a few arrays: described once, by a dumi_layout, it is allocated, written to
 * a model file, read back, checked and freed from that description. */
#ifndef DUMI_SCORER_STATE_H
#define DUMI_SCORER_STATE_H

#include "io/io.h"

/* Sizes that the arrays share: the columns of the data, and others that the kind gives a meaning. */
enum { DUMI_COLS, DUMI_STATE_SIZES = 8, DUMI_VECTOR = -1 };

typedef struct {
    const char *name; /* of the tensor */
    dumi_dtype dtype;
    uint32_t at;       /* of the pointer to it in the state */
    int8_t rows, cols; /* which sizes; cols DUMI_VECTOR: one dimension */
} dumi_array;

typedef struct dumi_layout {
    size_t bytes; /* of the state */
    int32_t count;
    const dumi_array *arrays;
    /* Makes what follows from the arrays, when they have been fitted or read (then they are finite, but may hold
     * anything: FORMAT where no fit makes such), and sets sizes[DUMI_COLS] where no tensor has that size; may be
     * NULL. */
    dum_status (*ready)(const double *values, void *state);
    void (*release)(void *state); /* frees what `ready` made, also where it failed; may be NULL */
} dumi_layout;

/* The head of every such state. */
typedef struct {
    dum_context *context;
    const dumi_layout *layout;
    int64_t sizes[DUMI_STATE_SIZES];
} dumi_state;

/* The arrays, not cleared; everything else of the state is 0. */
dum_status dumi_state_create(dum_context *context, const dumi_layout *layout, const int64_t *sizes, void **out);
/* The last act of a fit: `ready`; *state is `made`, or `made` is gone. */
dum_status dumi_state_ready(const double *values, void *made, void **state);
void dumi_state_destroy(void *state);
dum_status dumi_state_write(const void *state, dumi_model_writer *writer);
dum_status dumi_state_read(dum_context *context, const dumi_layout *layout, const dumi_reader *reader,
                           const double *values, int32_t *cols, void **out);

#endif
