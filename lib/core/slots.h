/* SPDX-License-Identifier: MIT */
#ifndef DUMI_SLOTS_H
#define DUMI_SLOTS_H

#include "core/core.h"

enum { DUMI_SLOTS = 64 };

/* Cleared to begin with; whoever destroys the handle empties it by taking until NULL. */
typedef struct {
    _Atomic(void *) slot[DUMI_SLOTS];
} dumi_slots;

/* A workspace that no other thread has, or NULL. */
void *dumi_slots_take(dumi_slots *slots);
/* Gives it back; false where there is no room, and it stays the caller's. */
bool dumi_slots_put(dumi_slots *slots, void *workspace);

#endif
