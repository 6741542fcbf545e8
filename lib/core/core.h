/* SPDX-License-Identifier: MIT
 * What every room stands on: errors, allocation, log, thread pool, random numbers. */
#ifndef DUMI_CORE_H
#define DUMI_CORE_H

#include "dum.h"

#include <stdatomic.h>
#include <stdbool.h>

/* A loop that is compiled for wider vectors too and chosen when the library is loaded. Contraction is off, so the
 * bits are the same. */
#ifdef DUMI_HAVE_TARGET_CLONES
#define DUMI_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define DUMI_CLONES
#endif
/* Before a short loop over vectors of the processor: no loop is left of it. */
#ifdef __clang__
#define DUMI_UNROLL _Pragma("clang loop unroll(full)")
#else
#define DUMI_UNROLL _Pragma("GCC unroll 16")
#endif

/* ---- Errors: recorded per thread --------------------------------------------------------- */

void dumi_record(dum_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The status recorded last. */
dum_status dumi_recorded(void);

static inline dum_status dumi_same(dum_status status)
{
    return status;
}

/* Records status and message for this thread and returns status: `return dumi_fail(...)`. A macro, so that
 * compilers and analysers see which status that is. */
#define dumi_fail(status, ...) (dumi_record((status), __VA_ARGS__), dumi_same(status))

/* For calls that report failure by returning NULL. */
static inline dum_status dumi_status(void)
{
    const dum_status status = dumi_recorded();
    return status != DUM_OK ? status : DUM_ERR_INTERNAL;
}

/* Every fallible public function begins with it. */
void dumi_clear_error(void);
/* Where a part of the rows failed that begins with row `first`: a message that begins with a row's number gets the
 * number that the row has for the caller. */
void dumi_shift_row(int64_t first);

#define DUMI_TRY(expression)                                                                                   \
    do {                                                                                                       \
        const dum_status dumi_try_ = (expression);                                                             \
        if (dumi_try_ != DUM_OK)                                                                               \
            return dumi_try_;                                                                                  \
    } while (0)

/* The same where there is something to clean up: needs `dum_status status` and a label `done`. */
#define DUMI_GO(expression)                                                                                    \
    do {                                                                                                       \
        status = (expression);                                                                                 \
        if (status != DUM_OK)                                                                                  \
            goto done;                                                                                         \
    } while (0)

#define DUMI_REQUIRE(condition, ...)                                                                           \
    do {                                                                                                       \
        if (!(condition))                                                                                      \
            return dumi_fail(__VA_ARGS__);                                                                     \
    } while (0)

#define DUMI_NOT_NULL(argument) DUMI_REQUIRE((argument) != NULL, DUM_ERR_ARGUMENT, "%s is NULL", #argument)

/* Reads a size-tagged struct of the caller into ours (`ours` is cleared first; NULL = all defaults). */
dum_status dumi_read_struct(const char *what, void *ours, size_t our_size, size_t first_size,
                            const void *theirs);
/* Writes as much of a result struct as the caller's struct_size covers. */
dum_status dumi_write_struct(const char *what, void *theirs, const void *ours, size_t our_size,
                             size_t first_size);

/* ---- Text -------------------------------------------------------------------------------- */

bool dumi_utf8_valid(const char *text, size_t size);
/* Puts a question mark in the place of each byte that is not UTF-8, and of each control character. */
void dumi_utf8_repair(char *text);

/* Numbers as text, in any locale. */
/* Shortest text that reads back as the same double; buffer of at least 32 bytes. */
void dumi_format_number(double value, char *buffer, size_t capacity);
/* The same for messages, whose %g would follow the locale: dumi_fail(..., "%s", dumi_show(x).text). */
typedef struct {
    char text[32];
} dumi_shown;
dumi_shown dumi_show(double value);
/* To three places behind the point. */
dumi_shown dumi_show_short(double value);
/* Parses all of text as a number; false if it is not one. */
bool dumi_parse_number(const char *text, double *value);

/* ---- Allocation: through the context's hooks, counted and limited ------------------------ */

/* count x size bytes, aligned to 64, not cleared; NULL with the error recorded (NOMEM, LIMIT).
 * Zero bytes give a valid pointer. */
void *dumi_alloc(dum_context *context, size_t count, size_t size);
void dumi_free(dum_context *context, void *pointer);

/* `DUMI_TRY(DUMI_NEW(context, pointer, count))` */
#define DUMI_NEW(context, pointer, count)                                                                      \
    (((pointer) = dumi_alloc((context), (size_t)(count), sizeof *(pointer))) ? DUM_OK : dumi_status())

/* rows x cols of them; no product that is larger than a size_t gets through. */
#define DUMI_NEW_ROWS(context, pointer, rows, cols)                                                            \
    (((pointer) = dumi_alloc((context), (size_t)(rows), (size_t)(cols) * sizeof *(pointer))) ? DUM_OK          \
                                                                                             : dumi_status())

/* ---- Context ----------------------------------------------------------------------------- */

typedef struct dumi_pool dumi_pool;
struct dumi_backend;

struct dum_context {
    atomic_int references;
    int32_t threads;
    int32_t device;
    const struct dumi_backend *backend;
    void *backend_state;
    uint64_t max_bytes;
    _Atomic uint64_t bytes;
    void *(*alloc)(void *user, size_t size, size_t align);
    void (*free)(void *user, void *pointer, size_t size);
    void *alloc_user;
    dum_log_fn log;
    void *log_user;
    dumi_pool *pool;
};

dum_context *dumi_context_keep(dum_context *context);

void dumi_log(const dum_context *context, int32_t level, int32_t code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* ---- Thread pool ------------------------------------------------------------------------- */

/* worker: 0 .. threads - 1, for scratch that belongs to the job; at any time one task a worker. */
typedef void (*dumi_task_fn)(void *argument, int64_t task, int32_t worker);

/* Runs tasks 0 .. count - 1, on up to context->threads threads where `operations` (a rough count of
 * arithmetic operations in all) pays for waking them; on the caller's thread alone where the pool is
 * busy with another caller's job. Which thread takes which task is not fixed: results must not
 * depend on it. */
void dumi_parallel(dum_context *context, int32_t threads, int64_t count, double operations, dumi_task_fn task,
                   void *argument);

/* Asked every so often during long work; what it answers, other than DUM_OK, ends the work. */
typedef struct {
    dum_status (*ask)(const void *user, int64_t step, int64_t steps);
    const void *user;
} dumi_watch;

/* The same in pieces of a tenth of a second or so, between which `watch` (NULL: none) is asked. */
dum_status dumi_parallel_watched(dum_context *context, int32_t threads, int64_t count, double operations,
                                 dumi_task_fn task, void *argument, const dumi_watch *watch);
/* `watch` where so many operations take long enough to be asked between them, else NULL. */
const dumi_watch *dumi_watch_long(const dumi_watch *watch, double operations);
/* For loops of one thread: asks each time that the operations counted in *since have taken a tenth of a second or so. */
dum_status dumi_watch_count(const dumi_watch *watch, double *since, double operations);

dum_status dumi_pool_create(dum_context *context);
void dumi_pool_destroy(dum_context *context);
/* Processors that this process may use: affinity, cgroup quota. At least 1. */
int32_t dumi_processors(void);

/* ---- Sorting: without allocation --------------------------------------------------------- */

void dumi_sort_int64(int64_t *values, int64_t count);
void dumi_sort_float(float *values, int64_t count, float *scratch); /* scratch: of the same size */
void dumi_sort_double(double *values, int64_t count);

/* ---- Random numbers: Philox 4x32-10, Salmon et al. 2011 ---------------------------------- */

/* What a stream is for: streams of one seed never overlap, whatever the order of use. */
enum {
    DUMI_RNG_WEIGHTS = 1,
    DUMI_RNG_ORDER,
    DUMI_RNG_RESERVOIR,
    DUMI_RNG_EXPLORE,
    DUMI_RNG_HOLDOUT,
    DUMI_RNG_IMPUTE,
    DUMI_RNG_BOOTSTRAP,
    DUMI_RNG_FOREST,
    DUMI_RNG_SAMPLE,
    DUMI_RNG_FEATURES,
    DUMI_RNG_MONITOR,
    DUMI_RNG_AUGMENT,
    DUMI_RNG_CORRUPT,
    DUMI_RNG_VIEW,
    DUMI_RNG_BANK,
    DUMI_RNG_STRUCTURE,
    DUMI_RNG_CENTRES
};

typedef struct dumi_rng {
    uint64_t key;
    uint32_t purpose, stream;
    uint64_t counter;
    uint32_t block[4];
    uint32_t left;
} dumi_rng;

void dumi_rng_init(dumi_rng *rng, uint64_t seed, uint32_t purpose, uint32_t stream);
uint32_t dumi_rng_u32(dumi_rng *rng);
void dumi_rng_skip(dumi_rng *rng, uint64_t count);      /* as if dumi_rng_u32 had been called so often */
double dumi_rng_uniform(dumi_rng *rng);                 /* [0, 1); two numbers */
double dumi_rng_normal(dumi_rng *rng);                  /* standard normal; four numbers */
uint64_t dumi_rng_below(dumi_rng *rng, uint64_t bound); /* 0 .. bound - 1, without bias */

/* Element `index` of a pseudo-random permutation of 0 .. n - 1 chosen by (seed, purpose, stream):
 * a Feistel network with cycle walking, so no memory for n. */
uint64_t dumi_permute(uint64_t n, uint64_t index, uint64_t seed, uint32_t purpose, uint32_t stream);

#endif
