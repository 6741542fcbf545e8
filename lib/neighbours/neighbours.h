/* SPDX-License-Identifier: MIT
 * Exact nearest neighbours: a k-d tree whose leaves are searched by blocked products.
 *
 * Queries are taken in blocks of neighbouring ones. A block walks the tree (Friedman, Bentley & Finkel 1977); leaves that
 * may hold a neighbour of it are multiplied with it, which ranks candidates; those are measured in double precision.
 * So the result is the exact one, whatever the block, the thread or the processor: distances are those of the float32
 * rows, and of equal distances the lower row comes first. Where there is nothing to prune, as in many columns, this is a
 * search of all pairs at the speed of a matrix product. */
#ifndef DUMI_NEIGHBOURS_H
#define DUMI_NEIGHBOURS_H

#include "core/core.h"

typedef struct {
    double square; /* of the Euclidean distance */
    int32_t row;
} dumi_neighbour;

typedef struct dumi_neighbours dumi_neighbours;

/* Copies the rows (contiguous, finite). watch: asked where there are many; NULL: none. LIMIT for 2^31 rows and more. */
dum_status dumi_neighbours_create(dum_context *context, const float *rows, int64_t count, int32_t cols,
                                  const dumi_watch *watch, dumi_neighbours **out);
/* Makes a query alone faster, by 36 bytes a row (from 200 columns on 68; a byte a column where columns have nothing in
 * common), where the processor can and there are columns enough. */
dum_status dumi_neighbours_code(dumi_neighbours *neighbours);
void dumi_neighbours_destroy(dumi_neighbours *neighbours);

/* A row, by its number, as it was given. */
const float *dumi_neighbours_row(const dumi_neighbours *neighbours, int32_t row);

/* Receives the `count` nearest of one query, nearest first, on any of the context's threads. */
typedef void (*dumi_neighbours_fn)(void *user, int64_t query, const float *x, const dumi_neighbour *found,
                                   int32_t count);

/* Puts a neighbour in its place of a list of the `found` nearest of up to k; into a full one, only what is nearer than the
 * last of it. */
void dumi_neighbours_insert(dumi_neighbour *list, int32_t *found, int32_t k, double square, int32_t row);
/* Receives into an array of doubles, by query: the mean of the squares. */
void dumi_receive_mean(void *user, int64_t query, const float *x, const dumi_neighbour *found, int32_t count);

/* Rows whose neighbours are sought; `self`: the number of each among the rows of the tree, which it then leaves out, or
 * -1; NULL: none is one of them. */
typedef struct {
    const float *rows;
    int64_t count, stride;
    const int32_t *self;
} dumi_queries;

typedef enum {
    DUMI_LEAVE_NONE,
    DUMI_LEAVE_IDENTICAL /* the first row that is identical to the query, where there is one, is left out */
} dumi_leave;

/* The k nearest (fewer where there are fewer rows) of each query. watch: as above. */
dum_status dumi_neighbours_search(const dumi_neighbours *neighbours, const dumi_queries *queries, int32_t k,
                                  dumi_leave leave, const dumi_watch *watch, dumi_neighbours_fn receive,
                                  void *user);
/* The same for rows first .. first + count - 1 of the tree's own order, each of which leaves itself out; `query` is
 * their number. */
dum_status dumi_neighbours_search_self(const dumi_neighbours *neighbours, int64_t first, int64_t count,
                                       int32_t k, const dumi_watch *watch, dumi_neighbours_fn receive,
                                       void *user);

/* The square of the distance, in double precision, always in the same order. */
double dumi_square_distance(int32_t cols, const float *x, const float *y);

#endif
