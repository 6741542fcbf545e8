/* SPDX-License-Identifier: MIT
 * Threads of one context: started by the first call that has work for them, asleep when idle, left
 * behind untouched in a forked child, which starts its own. */
#define _GNU_SOURCE
#include "core/core.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

enum { STACK_BYTES = 1 << 20, MAX_THREADS = 256 };

/* Waking a thread costs tens of microseconds: less work than this (about 100 us) stays on one. */
static const double PARALLEL_OPERATIONS = 2e6, PIECE_OPERATIONS = 3e8;

typedef struct {
    dumi_pool *pool;
    int32_t worker;
} thread_start;

struct dumi_pool {
    atomic_int pid; /* of the process that owns the threads; 0 while a forked child takes over */
    int32_t started;
    pthread_t threads[MAX_THREADS];
    thread_start starts[MAX_THREADS];

    atomic_flag busy; /* one job at a time */
    pthread_mutex_t mutex;
    pthread_cond_t wake, finished;
    uint64_t job; /* number of the current job: what sleeping threads watch */
    bool stop;
    int32_t wanted;  /* workers below this may join; 0: none, the tasks are all taken */
    int32_t running; /* workers that joined and are not done */
    dumi_task_fn task;
    void *argument;
    int64_t count;
    _Atomic int64_t next;
};

static void run_tasks(dumi_pool *pool, int32_t worker)
{
    for (;;) {
        const int64_t task = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (task >= pool->count)
            return;
        pool->task(pool->argument, task, worker);
    }
}

static void *thread_main(void *argument)
{
    const thread_start *start = argument;
    dumi_pool *pool = start->pool;
    const int32_t worker = start->worker;
    pthread_mutex_lock(&pool->mutex);
    /* A thread that starts late joins the job it was started for. */
    uint64_t seen = pool->job - 1;
    while (!pool->stop) {
        if (pool->job == seen) {
            pthread_cond_wait(&pool->wake, &pool->mutex);
            continue;
        }
        seen = pool->job;
        if (worker >= pool->wanted)
            continue;
        pool->running++;
        pthread_mutex_unlock(&pool->mutex);
        run_tasks(pool, worker);
        pthread_mutex_lock(&pool->mutex);
        if (--pool->running == 0)
            pthread_cond_signal(&pool->finished);
    }
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

static bool start_thread(dumi_pool *pool, int32_t worker)
{
    pool->starts[worker] = (thread_start){pool, worker};
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0)
        return false;
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    /* The host's signals belong to the host's threads. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const bool started =
        pthread_create(&pool->threads[worker], &attributes, thread_main, &pool->starts[worker]) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (started)
        pthread_setname_np(pool->threads[worker], "dum-worker");
    return started;
}

static void init_synchronisation(dumi_pool *pool)
{
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->finished, NULL);
    atomic_flag_clear(&pool->busy);
    pool->started = 1; /* worker 0 is the caller */
    pool->job = 1;
    pool->wanted = 0;
    pool->running = 0;
    pool->stop = false;
    atomic_store(&pool->pid, getpid());
}

/* In a forked child the parent's threads do not exist and its mutex may be held: start afresh. */
static bool owned_by_this_process(dumi_pool *pool)
{
    int owner = atomic_load(&pool->pid);
    if (owner == getpid())
        return true;
    if (owner == 0 || !atomic_compare_exchange_strong(&pool->pid, &owner, 0))
        return false; /* another thread of the child is at it */
    init_synchronisation(pool);
    return true;
}

dum_status dumi_pool_create(dum_context *context)
{
    DUMI_TRY(DUMI_NEW(context, context->pool, 1));
    memset(context->pool, 0, sizeof *context->pool);
    init_synchronisation(context->pool);
    return DUM_OK;
}

void dumi_pool_destroy(dum_context *context)
{
    dumi_pool *pool = context->pool;
    if (pool == NULL)
        return;
    if (atomic_load(&pool->pid) == getpid()) {
        pthread_mutex_lock(&pool->mutex);
        pool->stop = true;
        pthread_cond_broadcast(&pool->wake);
        pthread_mutex_unlock(&pool->mutex);
        for (int32_t i = 1; i < pool->started; i++)
            pthread_join(pool->threads[i], NULL);
        pthread_mutex_destroy(&pool->mutex);
        pthread_cond_destroy(&pool->wake);
        pthread_cond_destroy(&pool->finished);
    }
    dumi_free(context, pool);
}

static void run_alone(int64_t count, dumi_task_fn task, void *argument)
{
    for (int64_t i = 0; i < count; i++)
        task(argument, i, 0);
}

/* Posts the job; a thread that cannot be started is done without, and so is one that a busy machine wakes late: the caller
 * takes what tasks are left, and waits for those that joined. */
static void run_job(dumi_pool *pool, int32_t threads, int64_t count, dumi_task_fn task, void *argument)
{
    pthread_mutex_lock(&pool->mutex);
    pool->task = task;
    pool->argument = argument;
    pool->count = count;
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    pool->job++;
    while (pool->started < threads && start_thread(pool, pool->started))
        pool->started++;
    pool->wanted = pool->started < threads ? pool->started : threads;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);

    run_tasks(pool, 0);

    pthread_mutex_lock(&pool->mutex);
    pool->wanted = 0;
    while (pool->running > 0)
        pthread_cond_wait(&pool->finished, &pool->mutex);
    pthread_mutex_unlock(&pool->mutex);
}

void dumi_parallel(dum_context *context, int32_t threads, int64_t count, double operations, dumi_task_fn task,
                   void *argument)
{
    dumi_pool *pool = context->pool;
    if (threads > context->threads)
        threads = context->threads;
    if (threads > count)
        threads = (int32_t)count;
    if (threads <= 1 || operations < PARALLEL_OPERATIONS || !owned_by_this_process(pool)) {
        run_alone(count, task, argument);
        return;
    }
    if (atomic_flag_test_and_set_explicit(&pool->busy, memory_order_acquire)) {
        run_alone(count, task, argument);
        return;
    }
    run_job(pool, threads, count, task, argument);
    atomic_flag_clear_explicit(&pool->busy, memory_order_release);
}

typedef struct {
    dumi_task_fn task;
    void *argument;
    int64_t first;
} piece;

static void run_piece(void *argument, int64_t task, int32_t worker)
{
    const piece *p = argument;
    p->task(p->argument, p->first + task, worker);
}

dum_status dumi_parallel_watched(dum_context *context, int32_t threads, int64_t count, double operations,
                                 dumi_task_fn task, void *argument, const dumi_watch *watch)
{
    if (watch == NULL) {
        dumi_parallel(context, threads, count, operations, task, argument);
        return DUM_OK;
    }
    const int64_t fitting = (int64_t)(PIECE_OPERATIONS * (double)count / fmax(operations, 1));
    const int64_t each = fitting > threads ? fitting : threads;
    piece p = {task, argument, 0};
    for (; p.first < count; p.first += each) {
        const int64_t tasks = count - p.first < each ? count - p.first : each;
        DUMI_TRY(watch->ask(watch->user, p.first, count));
        dumi_parallel(context, threads, tasks, operations * (double)tasks / (double)count, run_piece, &p);
    }
    return watch->ask(watch->user, count, count);
}

const dumi_watch *dumi_watch_long(const dumi_watch *watch, double operations)
{
    return operations < PIECE_OPERATIONS ? NULL : watch;
}

dum_status dumi_watch_count(const dumi_watch *watch, double *since, double operations)
{
    *since += operations;
    if (dumi_watch_long(watch, *since) == NULL)
        return DUM_OK;
    *since = 0;
    return watch->ask(watch->user, 0, 1);
}

/* "max 100000" or "200000 100000": quota and period of cgroup version 2. */
static int32_t cgroup_quota(void)
{
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (file == NULL)
        return MAX_THREADS;
    long long quota = 0, period = 0;
    const int read = fscanf(file, "%lld %lld", &quota, &period);
    fclose(file);
    if (read != 2 || quota <= 0 || period <= 0)
        return MAX_THREADS;
    const long long whole = (quota + period - 1) / period;
    return whole < MAX_THREADS ? (int32_t)whole : MAX_THREADS;
}

int32_t dumi_processors(void)
{
    int32_t count = MAX_THREADS;
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) < count)
        count = CPU_COUNT(&set);
    const int32_t quota = cgroup_quota();
    if (quota < count)
        count = quota;
    return count < 1 ? 1 : count;
}
