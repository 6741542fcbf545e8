/* SPDX-License-Identifier: MIT
 * Philox 4x32-10: Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. */
#include "core/core.h"

#include <math.h>

static void philox(const uint32_t counter[4], uint64_t key, uint32_t out[4])
{
    uint32_t x[4] = {counter[0], counter[1], counter[2], counter[3]};
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++) {
        const uint64_t a = (uint64_t)0xD2511F53u * x[0], b = (uint64_t)0xCD9E8D57u * x[2];
        const uint32_t next[4] = {(uint32_t)(b >> 32) ^ x[1] ^ k0, (uint32_t)b, (uint32_t)(a >> 32) ^ x[3] ^ k1,
                                  (uint32_t)a};
        memcpy(x, next, sizeof x);
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    memcpy(out, x, sizeof x);
}

void dumi_rng_init(dumi_rng *rng, uint64_t seed, uint32_t purpose, uint32_t stream)
{
    memset(rng, 0, sizeof *rng);
    rng->key = seed;
    rng->purpose = purpose;
    rng->stream = stream;
}

uint32_t dumi_rng_u32(dumi_rng *rng)
{
    if (rng->left == 0) {
        const uint32_t counter[4] = {(uint32_t)rng->counter, (uint32_t)(rng->counter >> 32), rng->stream,
                                     rng->purpose};
        philox(counter, rng->key, rng->block);
        rng->counter++;
        rng->left = 4;
    }
    return rng->block[--rng->left];
}

void dumi_rng_skip(dumi_rng *rng, uint64_t count)
{
    if (count <= rng->left) {
        rng->left -= (uint32_t)count;
        return;
    }
    count -= rng->left;
    rng->left = 0;
    rng->counter += count / 4;
    for (uint64_t i = 0; i < count % 4; i++)
        dumi_rng_u32(rng);
}

double dumi_rng_uniform(dumi_rng *rng)
{
    const uint64_t high = dumi_rng_u32(rng) >> 5, low = dumi_rng_u32(rng) >> 6;
    return (double)(high << 26 | low) * 0x1p-53;
}

double dumi_rng_normal(dumi_rng *rng)
{
    const double radius = sqrt(-2.0 * log(1.0 - dumi_rng_uniform(rng)));
    return radius * cos(6.283185307179586 * dumi_rng_uniform(rng));
}

/* Lemire 2019: the high half of a product, without a division but for the rare draw near its edge. */
static uint32_t below32(dumi_rng *rng, uint32_t bound)
{
    uint64_t product = (uint64_t)dumi_rng_u32(rng) * bound;
    if ((uint32_t)product < bound) {
        const uint32_t least = (0 - bound) % bound;
        while ((uint32_t)product < least)
            product = (uint64_t)dumi_rng_u32(rng) * bound;
    }
    return (uint32_t)(product >> 32);
}

uint64_t dumi_rng_below(dumi_rng *rng, uint64_t bound)
{
    if (bound <= UINT32_MAX)
        return below32(rng, (uint32_t)bound);
    const uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
    for (;;) {
        const uint64_t high = dumi_rng_u32(rng);
        const uint64_t value = high << 32 | dumi_rng_u32(rng);
        if (value < limit)
            return value % bound;
    }
}

static uint64_t feistel(uint64_t value, uint32_t half_bits, uint64_t key, const uint32_t counter[2])
{
    const uint64_t mask = ((uint64_t)1 << half_bits) - 1;
    uint64_t left = value >> half_bits, right = value & mask;
    for (uint32_t round = 0; round < 6; round++) {
        const uint32_t in[4] = {(uint32_t)right, round, counter[0], counter[1]};
        uint32_t out[4];
        philox(in, key, out);
        const uint64_t next = left ^ (out[0] & mask);
        left = right;
        right = next;
    }
    return left << half_bits | right;
}

uint64_t dumi_permute(uint64_t n, uint64_t index, uint64_t seed, uint32_t purpose, uint32_t stream)
{
    uint32_t half_bits = 1;
    while (half_bits < 32 && (uint64_t)1 << (2 * half_bits) < n)
        half_bits++;
    const uint32_t counter[2] = {stream, purpose};
    /* The network permutes up to 4 n values: walk its cycle until back inside. */
    uint64_t value = index;
    do
        value = feistel(value, half_bits, seed, counter);
    while (value >= n);
    return value;
}
