/* SPDX-License-Identifier: MIT
 * A SimCLR run on small images, with its learning curve: loss and nearest-neighbour accuracy after each few epochs.
 *
 *   bench_simclr DATA EPOCHS EVERY [OUT.dum] [OPTION VALUE]...
 *
 * DATA holds cifar10_train and cifar10_test (images.npy, labels.npy). tests/bench/simclr_torch.py is the same recipe
 * in PyTorch. The run stops and goes on from a checkpoint for each point of the curve, which changes no bit. */
#define _GNU_SOURCE
#include "dum.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void must(dum_status status)
{
    if (status == DUM_OK || status == DUM_CANCELLED)
        return;
    fprintf(stderr, "bench_simclr: %s\n", dum_error_message());
    exit(1);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

typedef struct {
    int64_t stop;
    double loss;
    int64_t epoch;
} curve;

static int32_t watch(void *user, const dum_progress *progress)
{
    curve *c = user;
    /* A mean over about a quarter of an epoch: one batch says little. */
    c->loss = c->loss == 0 ? progress->loss : 0.9 * c->loss + 0.1 * progress->loss;
    c->epoch = progress->epoch;
    return progress->step * progress->epochs >= c->stop * progress->steps;
}

typedef struct {
    dum_dataset *images;
    int32_t *labels;
} part;

static part load(dum_context *context, const char *folder, const char *name)
{
    char path[1024];
    part p;
    dum_dataset *labels;
    snprintf(path, sizeof path, "%s/%s/images.npy", folder, name);
    must(dum_dataset_from_npy(context, path, &p.images));
    snprintf(path, sizeof path, "%s/%s/labels.npy", folder, name);
    must(dum_dataset_from_npy(context, path, &labels));
    const int64_t rows = dum_dataset_rows(labels);
    float *values = malloc((size_t)rows * sizeof *values);
    p.labels = malloc((size_t)rows * sizeof *p.labels);
    must(dum_dataset_read(labels, 0, rows, values));
    for (int64_t i = 0; i < rows; i++)
        p.labels[i] = (int32_t)values[i];
    free(values);
    dum_dataset_destroy(labels);
    return p;
}

static void set(dum_encoder *encoder, const char *name, const char *value)
{
    char *end;
    const double number = strtod(value, &end);
    must(*end == '\0' ? dum_encoder_set_number(encoder, name, number)
                      : dum_encoder_set_text(encoder, name, value));
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: bench_simclr DATA EPOCHS EVERY [OUT.dum] [OPTION VALUE]...\n");
        return 2;
    }
    dum_context_options context_options;
    DUM_INIT(context_options);
    context_options.threads = getenv("THREADS") != NULL ? atoi(getenv("THREADS")) : 0;
    dum_context *context;
    must(dum_context_create(&context_options, &context));
    const part train = load(context, argv[1], "cifar10_train"), test = load(context, argv[1], "cifar10_test");
    dum_encoder *encoder;
    must(dum_encoder_create(context, "resnet", &encoder));
    set(encoder, "units", "16");
    set(encoder, "epochs", argv[2]);
    for (int i = 5; i + 1 < argc; i += 2)
        set(encoder, argv[i], argv[i + 1]);
    char checkpoint[] = "/tmp/bench_simclr-XXXXXX";
    const int file = mkstemp(checkpoint);
    close(file);
    unlink(checkpoint);
    const int64_t epochs = atoll(argv[2]), every = atoll(argv[3]);
    curve c = {0};
    dum_fit_options options;
    DUM_INIT(options);
    options.progress = watch;
    options.progress_user = &c;
    options.checkpoint_path = checkpoint;
    options.checkpoint_epochs = (int32_t)every;
    options.resume = 1;
    options.labels = train.labels;
    printf("| epoch | loss | kNN | minutes |\n|---|---|---|---|\n");
    double minutes = 0, accuracy = 0;
    for (c.stop = every; c.stop < epochs + every; c.stop += every) {
        const double begin = now();
        must(dum_encoder_fit(encoder, train.images, &options));
        minutes += (now() - begin) / 60;
        must(dum_encoder_knn_accuracy(encoder, train.images, train.labels, test.images, test.labels, 0,
                                      &accuracy));
        printf("| %lld | %.3f | %.4f | %.1f |\n", (long long)c.epoch, c.loss, accuracy, minutes);
        fflush(stdout);
        if (argc > 4)
            must(dum_encoder_save(encoder, argv[4]));
    }
    unlink(checkpoint);
    must(dum_encoder_linear_accuracy(encoder, train.images, train.labels, test.images, test.labels, &accuracy));
    printf("linear: %.4f\n", accuracy);
    dum_encoder_destroy(encoder);
    dum_dataset_destroy(train.images);
    dum_dataset_destroy(test.images);
    free(train.labels);
    free(test.labels);
    dum_context_destroy(context);
    return 0;
}
