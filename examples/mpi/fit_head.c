/* SPDX-License-Identifier: MIT
 * Trains a head on all ranks of MPI; docs/scaling-out.md.
 *
 *   mpiexec -n 4 fit_head X.npy head.dum THREADS [OPTION=VALUE]...
 *
 * Every rank maps the same table and reads its part of each batch; rank 0 saves the head. THREADS are those of one rank;
 * options are the head's (docs/options.md), batch is that of one rank. */
#include <dum.h>

#include <limits.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

static int32_t own_rank, ranks;

/* One rank that leaves would let the others wait for ever. */
static void check(dum_status status, const char *what)
{
    if (status == DUM_OK)
        return;
    fprintf(stderr, "rank %d: %s: %s\n", own_rank, what, dum_error_message());
    MPI_Abort(MPI_COMM_WORLD, 1);
}

/* MPI counts in int. */
static int32_t add_up(void *user, float *values, int64_t count)
{
    (void)user;
    for (int64_t first = 0; first < count; first += INT_MAX) {
        const int part = count - first < INT_MAX ? (int)(count - first) : INT_MAX;
        if (MPI_Allreduce(MPI_IN_PLACE, values + first, part, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD) !=
            MPI_SUCCESS)
            return 1;
    }
    return 0;
}

static int32_t report(void *user, const dum_progress *p)
{
    (void)user;
    if (p->step == p->steps || p->step % 100 == 0)
        fprintf(stderr, "step %lld of %lld: loss %.4f\n", (long long)p->step, (long long)p->steps, p->loss);
    return 0;
}

/* NAME=VALUE */
static void set_option(dum_head *head, char *text)
{
    char *value = strchr(text, '='), *end;
    if (value == NULL)
        value = text + strlen(text);
    else
        *value++ = '\0';
    const double number = strtod(value, &end);
    check(*value != '\0' && *end == '\0' ? dum_head_set_number(head, text, number)
                                         : dum_head_set_text(head, text, value),
          "option");
}

static void train(const char *data_path, const char *head_path, int32_t threads, int options, char **option)
{
    dum_context_options context_options;
    DUM_INIT(context_options);
    context_options.threads = threads;
    dum_context *context;
    dum_dataset *data;
    dum_head *head;
    check(dum_context_create(&context_options, &context), "context");
    check(dum_dataset_from_npy(context, data_path, &data), data_path);
    check(dum_head_create(context, &head), "head");
    for (int i = 0; i < options; i++)
        set_option(head, option[i]);

    dum_fit_options fit;
    DUM_INIT(fit);
    fit.ranks = ranks;
    fit.rank = own_rank;
    fit.reduce = add_up;
    fit.progress = own_rank == 0 ? report : NULL;
    check(dum_head_fit(head, data, &fit), "fit");
    if (own_rank == 0)
        check(dum_head_save(head, head_path), head_path);
    dum_head_destroy(head);
    dum_dataset_destroy(data);
    dum_context_destroy(context);
}

int main(int argc, char **argv)
{
    int provided;
    /* The library's own threads never call reduce. */
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &own_rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    if (argc < 4) {
        if (own_rank == 0)
            fprintf(stderr, "usage: mpiexec -n RANKS %s X.npy head.dum THREADS [OPTION=VALUE]...\n", argv[0]);
        MPI_Finalize();
        return 2;
    }
    train(argv[1], argv[2], (int32_t)strtol(argv[3], NULL, 10), argc - 4, argv + 4);
    MPI_Finalize();
    return 0;
}
