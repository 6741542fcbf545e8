/* SPDX-License-Identifier: MIT
 * Scratch that calls on a shared handle borrow: no lock, nothing allocated once each thread has had its own. */
#include "core/slots.h"

/* Where a thread looks first, so that many do not all try the same slot. */
static uint32_t first_slot(void)
{
    static _Thread_local char own;
    return (uint32_t)((uintptr_t)&own >> 12) * 2654435761u >> 16;
}

void *dumi_slots_take(dumi_slots *slots)
{
    const uint32_t first = first_slot();
    for (uint32_t i = 0; i < DUMI_SLOTS; i++) {
        _Atomic(void *) *slot = &slots->slot[(first + i) % DUMI_SLOTS];
        if (atomic_load_explicit(slot, memory_order_relaxed) == NULL)
            continue;
        void *taken = atomic_exchange_explicit(slot, NULL, memory_order_acquire);
        if (taken != NULL)
            return taken;
    }
    return NULL;
}

bool dumi_slots_put(dumi_slots *slots, void *workspace)
{
    const uint32_t first = first_slot();
    for (uint32_t i = 0; i < DUMI_SLOTS; i++) {
        _Atomic(void *) *slot = &slots->slot[(first + i) % DUMI_SLOTS];
        void *empty = NULL;
        if (atomic_compare_exchange_strong_explicit(slot, &empty, workspace, memory_order_release,
                                                    memory_order_relaxed))
            return true;
    }
    return false;
}
