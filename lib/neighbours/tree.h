/* SPDX-License-Identifier: MIT */
#ifndef DUMI_NEIGHBOURS_TREE_H
#define DUMI_NEIGHBOURS_TREE_H

#include "neighbours/neighbours.h"

enum { DUMI_PANEL = 16 };

typedef struct {
    int64_t first; /* its rows, in the tree's order */
    int32_t count;
    int32_t
        axis; /* an inner node: the column it is cut at, and where; -1: its rows, ascending, are identical */
    float cut;
} dumi_node;

/* A complete binary tree of `levels`: the children of node i are 2i + 1 and 2i + 2; the last `leaves` are leaves. */
struct dumi_neighbours {
    dum_context *context;
    int64_t count;
    int32_t cols, levels;
    int64_t leaves;
    float *rows;    /* in the tree's order: those of a node side by side */
    int32_t *order; /* number of each of them */
    int32_t *place; /* and back */
    dumi_node *nodes;
    float *boxes;    /* of each node: the least of each column, then the largest */
    int64_t *panels; /* of each leaf: where its panels begin */
    float *packed;   /* rows less their leaf's centre, in panels of 16: [column][row] */
    float *squares;  /* and the squares of their lengths, as the search wants them */
    float *centres;  /* of the leaves */
    int8_t *codes;   /* the panels again, roughly (codes.c); NULL: none */
};

/* Products of float32 may be off by this share of the squares of the two lengths. */
static inline double dumi_slack(int32_t cols)
{
    return (2 * (double)cols + 32) * 0x1p-24;
}

/* The square of a length, less what rounding may do to a distance that is made of it. NaN where it overflows:
 * whatever is made of that is not ruled out. */
static inline float dumi_low_square(int32_t cols, double square)
{
    const double low = square * (1 - dumi_slack(cols));
    return low < 3e38 ? (float)low : (float)(0 * (low * 1e300));
}

/* Where a query alone gains by codes: on processors with the instructions, with columns enough. */
bool dumi_codes_wanted(int32_t cols);
size_t dumi_codes_bytes(int32_t cols); /* of a panel */

typedef struct {
    int16_t *codes; /* pairs of columns */
    float step, error, length;
} dumi_coded;

/* scratch: a number a column. */
void dumi_codes_pack(int32_t cols, const float *panel, int16_t *scratch, int8_t *code);
void dumi_codes_query(int32_t cols, const float *x, dumi_coded *query);

/* What one thread needs for a block of queries. */
enum { DUMI_BLOCK = 96, DUMI_GROUP = 6 };

typedef struct {
    int32_t rows;
    const float *x;      /* rows x columns */
    const int32_t *self; /* the queries' own numbers, which are left out; -1: none */
    int32_t own[DUMI_BLOCK];
    float *box;    /* of the block: least, most */
    double worst;  /* the largest of the distances that would still be of use */
    float *copy;   /* of the rows */
    float *packed; /* active rows less a leaf's centre, in groups of 6: [column][row]; a single one alone */
    int32_t active[DUMI_BLOCK];
    float squares[DUMI_BLOCK], bounds[DUMI_BLOCK]; /* of the active rows */
    dumi_coded coded;                              /* of a single active one */
    int32_t found[DUMI_BLOCK];
    dumi_neighbour *lists; /* rows x k */
} dumi_block;

/* A block of queries and a leaf. */
typedef struct {
    const dumi_neighbours *t;
    dumi_block *block;
    int32_t k;
    int64_t leaf;
} dumi_meeting;

/* Measures the points of a leaf, from that of bit 0 in panel `panel` on, that may be near an active row. */
void dumi_neighbours_consider(const dumi_meeting *m, int32_t active, int32_t panel, uint64_t near);
/* The points of a panel, a bit each, that may be nearer to the one active row than its bound. */
uint64_t dumi_codes_near(const dumi_meeting *m, int32_t panel);
/* All active rows with all of a leaf. */
void dumi_neighbours_meet(const dumi_meeting *m, int32_t active);

#endif
