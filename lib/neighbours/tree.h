/* SPDX-License-Identifier: MIT */
#ifndef DUMI_NEIGHBOURS_TREE_H
#define DUMI_NEIGHBOURS_TREE_H

#include "neighbours/neighbours.h"

#include <math.h>

enum { DUMI_PANEL = 16 };

typedef struct {
    int64_t first; /* its rows, in the tree's order */
    int32_t count;
    int32_t
        axis; /* an inner node: the column it is cut at, and where; -1: its rows, ascending, are identical */
    float cut;
    bool piled; /* where there are codes: it is such a one, or one below it is */
} dumi_node;

/* Of the rows and of a query alone (sketch.c, codes.c). */
enum { DUMI_SKETCH = 64, DUMI_BOX = 127 };
typedef struct {
    int32_t
        width; /* numbers of a sketch, DUMI_SKETCH at most; without directions as many as columns, or one more */
    float *centre, *directions, rest;
    float step;     /* sketches are moved into a box of DUMI_BOX steps to either side */
    double off;     /* the largest distance of a row's code from its sketch, in steps */
    int8_t *codes;  /* in the packed rows' panels, [pair of numbers][row][2] */
    int32_t *norms; /* squares of their lengths, as codes.c wants them */
    int32_t level;  /* nodes from it on are met as a whole */
    int64_t places; /* with how many rows they have, and what fills panels up */
} dumi_sketch;

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
    float *boxes;        /* of each node: the least of each column, then the largest */
    int64_t *panels;     /* of each leaf: where its panels begin */
    float *packed;       /* rows less their leaf's centre, in panels of 16: [column][row] */
    float *squares;      /* and the squares of their lengths, as the search wants them */
    float *centres;      /* of the leaves */
    dumi_sketch *sketch; /* NULL: none */
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

/* A row less a centre, to every step-th place; returns the square of its length. */
double dumi_move_row(int32_t cols, const float *row, const float *centre, int32_t step, float *to);

/* Directions and step, from a sample of the rows, but no codes; none where the processor lacks the instructions, and in few columns. */
dum_status dumi_sketch_create(const dumi_neighbours *t, dumi_sketch **out);
void dumi_sketch_destroy(dum_context *context, dumi_sketch *sketch);
/* Returns by how much rounding may have moved it. scratch: a number a column, of `to` apart. */
double dumi_sketch_row(const dumi_sketch *s, int32_t cols, const float *row, float *scratch, float *to);

typedef struct {
    int16_t *at; /* in fractions of a step */
    int64_t square;
    double off; /* what it and a row's code are off, in steps */
} dumi_coded;

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
    int32_t found[DUMI_BLOCK];
    dumi_neighbour *lists; /* rows x k */
    dumi_coded coded;      /* of a query alone */
    int32_t *scores;       /* NULL: there are more, or no codes */
    int32_t *least;        /* of every so many of them */
} dumi_block;

/* The distance at which a row is of no use to query i any more. */
static inline double dumi_reach(const dumi_block *b, int32_t k, int32_t i)
{
    return b->found[i] < k ? HUGE_VAL : b->lists[(int64_t)i * k + k - 1].square;
}

/* A block of queries and a leaf. */
typedef struct {
    const dumi_neighbours *t;
    dumi_block *block;
    int32_t k;
    int64_t leaf;
} dumi_meeting;

/* A row for an active one's list. */
void dumi_neighbours_offer(const dumi_meeting *m, int32_t active, double square, int32_t row);
/* Measures the points of a leaf, from that of bit 0 in panel `panel` on, that may be near an active row. */
void dumi_neighbours_consider(const dumi_meeting *m, int32_t active, int32_t panel, uint64_t near);
/* All active rows with all of a leaf. */
void dumi_neighbours_meet(const dumi_meeting *m, int32_t active);

/* A query alone: its code; whether a node is met by codes as a whole; that. */
void dumi_codes_query(const dumi_neighbours *t, dumi_block *b);
bool dumi_codes_cover(const dumi_neighbours *t, int64_t node);
void dumi_codes_meet(const dumi_meeting *m, int64_t node);

#endif
