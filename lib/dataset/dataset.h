/* SPDX-License-Identifier: MIT
 * Rows of float32 from memory (floats or bytes), a .npy file or the host; and views of them. */
#ifndef DUMI_DATASET_H
#define DUMI_DATASET_H

#include "core/core.h"

/* Reads rows by index into contiguous memory; the indices are in range. */
typedef dum_status (*dumi_gather_fn)(const dum_dataset *dataset, const int64_t *indices, int64_t count,
                                     float *out);

struct dum_dataset {
    dum_context *context;
    int64_t rows;
    int32_t cols;
    dumi_gather_fn gather;
    char **names; /* one a column, or NULL */
    /* Of the source: */
    const float *data;
    const uint8_t *bytes;
    int64_t row_stride;
    void *npy;
    dum_read_fn read;
    const void *user; /* the host's pointer, or what a view needs */
};

/* Rows by index. */
dum_status dumi_dataset_gather(const dum_dataset *dataset, const int64_t *indices, int64_t count, float *out);

/* Labels of all rows, 0 to 65535; `name` is for errors. classes: one more than the largest. */
dum_status dumi_labels_check(const char *name, const int32_t *labels, int64_t rows, int32_t *classes);

/* Column names: deep copies through the context; errors name the column. */
dum_status dumi_names_copy(dum_context *context, const char *const *names, int32_t count, char ***out);
void dumi_names_free(dum_context *context, char **names, int32_t count);

#endif
