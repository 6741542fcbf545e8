/* SPDX-License-Identifier: MIT */
#include "head/share.h"

/* Sums of whole numbers over so many ranks are exact in a float. */
enum { MOST_RANKS = 4096 };
/* What is summed before the first step: the bits of a digest, then these. */
enum { BITS = 64, PRESENT = BITS, RANK, MEAN, FAILED, VALUES };

dum_status dumi_share_open(const dum_fit_options *options, dumi_share *out)
{
    const int32_t ranks = options->ranks != 0 ? options->ranks : 1;
    DUMI_REQUIRE(ranks >= 1 && ranks <= MOST_RANKS, DUM_ERR_ARGUMENT, "options.ranks is %d, expected 1 to %d",
                 ranks, MOST_RANKS);
    DUMI_REQUIRE(options->rank >= 0 && options->rank < ranks, DUM_ERR_ARGUMENT,
                 "options.rank is %d, expected 0 to %d (options.ranks - 1)", options->rank, ranks - 1);
    DUMI_REQUIRE(ranks == 1 || options->reduce != NULL, DUM_ERR_ARGUMENT,
                 "options.reduce is NULL, but options.ranks is %d: they need a sum", ranks);
    *out = (dumi_share){
        .reduce = options->reduce, .user = options->reduce_user, .ranks = ranks, .rank = options->rank};
    return DUM_OK;
}

int32_t dumi_share_first(const dumi_share *share, int32_t count, int32_t rank)
{
    return (int32_t)((int64_t)count * rank / share->ranks);
}

/* A rank that has failed, or was stopped before the first step, still takes part, since the others wait for it: the last
 * value tells them. */
static dum_status add_up(const dumi_share *share, float *values, size_t count, dum_status own)
{
    const float stopped = 0.5f / MOST_RANKS; /* of all together less than one that failed */
    values[count - 1] = own == DUM_OK ? 0 : own == DUM_CANCELLED ? stopped : 1;
    const int32_t result = share->reduce(share->user, values, (int64_t)count);
    if (own != DUM_OK)
        return own;
    DUMI_REQUIRE(result == 0, DUM_ERR_CALLBACK, "options.reduce reported failure (%d) on rank %d", result,
                 share->rank);
    DUMI_REQUIRE(values[count - 1] < 1, DUM_ERR_CALLBACK,
                 "the fit failed on another rank: its message there says why");
    DUMI_REQUIRE(values[count - 1] == 0, DUM_CANCELLED,
                 "fit was stopped on another rank before its first step; the handle is as it was before");
    return DUM_OK;
}

static bool bit_of(const char *digits, int32_t i)
{
    const char digit = digits[i / 4];
    const int value = digit <= '9' ? digit - '0' : digit - 'a' + 10;
    return (value >> i % 4 & 1) != 0;
}

dum_status dumi_share_begin(const dumi_share *share, const char *alike, double *mean, dum_status own)
{
    float values[VALUES] = {0};
    const float ranks = (float)share->ranks;
    if (own == DUM_OK) {
        for (int32_t i = 0; i < BITS; i++)
            values[i] = bit_of(alike, i) ? 1 : 0;
        values[RANK] = (float)share->rank;
        values[MEAN] = (float)(*mean * share->part);
    }
    values[PRESENT] = 1;
    DUMI_TRY(add_up(share, values, VALUES, own));
    DUMI_REQUIRE(values[PRESENT] == ranks, DUM_ERR_ARGUMENT,
                 "options.reduce made %g of a 1 from each of options.ranks = %d ranks, expected their sum",
                 (double)values[PRESENT], share->ranks);
    DUMI_REQUIRE(values[RANK] == ranks * (ranks - 1) / 2, DUM_ERR_ARGUMENT,
                 "options.rank is %d, but those of the %d ranks are not 0 to %d, each once", share->rank,
                 share->ranks, share->ranks - 1);
    for (int32_t i = 0; i < BITS; i++)
        DUMI_REQUIRE(values[i] == 0 || values[i] == ranks, DUM_ERR_ARGUMENT,
                     "the ranks have different data, options, weights or checkpoints, expected the same");
    *mean = (double)values[MEAN];
    return DUM_OK;
}

dum_status dumi_share_step(dumi_share *share, const dumi_backend *backend, dumi_stream *stream, float *gradient,
                           size_t count, double *loss, dum_status own)
{
    float *values = share->values;
    if (own == DUM_OK)
        own = backend->download(stream, values, gradient, count);
    for (size_t i = 0; i < count && own == DUM_OK; i++)
        values[i] = (float)((double)values[i] * share->part);
    values[count] = (float)(*loss * share->part);
    values[count + 1] = share->asked ? 1 : 0;
    DUMI_TRY(add_up(share, values, count + 3, own));
    *loss = (double)values[count];
    share->agreed = values[count + 1] > 0;
    backend->upload(stream, gradient, values, count);
    return backend->sync(stream);
}
