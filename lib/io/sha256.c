/* SPDX-License-Identifier: MIT
 * SHA-256, FIPS 180-4; and UTF-8. */
#include "io/io.h"

#include <stdio.h>

static const uint32_t constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t turn(uint32_t x, int by)
{
    return x >> by | x << (32 - by);
}

/* One round. Which variable plays which part turns by one each round, so that nothing is moved. */
static inline void one_round(uint32_t v[8], int turned, uint32_t added)
{
#define PART(i) v[(i - turned) & 7]
    const uint32_t a = PART(0), e = PART(4);
    const uint32_t first =
        PART(7) + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + (PART(6) ^ (e & (PART(5) ^ PART(6)))) + added;
    const uint32_t second =
        (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & PART(1)) | (PART(2) & (a | PART(1))));
    PART(3) += first;
    PART(7) = first + second;
#undef PART
}

static void compress(uint32_t state[8], const unsigned char *block)
{
    uint32_t w[64], v[8];
    for (size_t i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 64; i++)
        w[i] = w[i - 16] + w[i - 7] + (turn(w[i - 15], 7) ^ turn(w[i - 15], 18) ^ w[i - 15] >> 3) +
               (turn(w[i - 2], 17) ^ turn(w[i - 2], 19) ^ w[i - 2] >> 10);
    memcpy(v, state, sizeof v);
    for (int i = 0; i < 64; i += 8) {
        one_round(v, 0, constants[i] + w[i]);
        one_round(v, 1, constants[i + 1] + w[i + 1]);
        one_round(v, 2, constants[i + 2] + w[i + 2]);
        one_round(v, 3, constants[i + 3] + w[i + 3]);
        one_round(v, 4, constants[i + 4] + w[i + 4]);
        one_round(v, 5, constants[i + 5] + w[i + 5]);
        one_round(v, 6, constants[i + 6] + w[i + 6]);
        one_round(v, 7, constants[i + 7] + w[i + 7]);
    }
    for (int i = 0; i < 8; i++)
        state[i] += v[i];
}

void dumi_sha256_init(dumi_sha256 *hash)
{
    static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    memcpy(hash->state, start, sizeof start);
    hash->bytes = 0;
}

void dumi_sha256_add(dumi_sha256 *hash, const void *bytes, size_t size)
{
    const unsigned char *from = bytes;
    while (size > 0) {
        const size_t used = hash->bytes % 64;
        if (used == 0 && size >= 64) {
            compress(hash->state, from);
            hash->bytes += 64;
            from += 64;
            size -= 64;
            continue;
        }
        const size_t now = 64 - used < size ? 64 - used : size;
        memcpy(hash->block + used, from, now);
        hash->bytes += now;
        from += now;
        size -= now;
        if (hash->bytes % 64 == 0)
            compress(hash->state, hash->block);
    }
}

void dumi_sha256_text(dumi_sha256 *hash, char out[65])
{
    static const unsigned char padding[64] = {0x80};
    unsigned char length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)(hash->bytes * 8 >> (56 - 8 * i));
    dumi_sha256_add(hash, padding, 1 + (119 - hash->bytes % 64) % 64);
    dumi_sha256_add(hash, length, sizeof length);
    for (size_t i = 0; i < 8; i++)
        snprintf(out + 8 * i, 9, "%08x", hash->state[i]);
}
