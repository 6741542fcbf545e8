/* SPDX-License-Identifier: MIT
 * dum noise: does a model notice that images are corrupted? (Wu & Goodman 2020, Table 1.) */
#define _POSIX_C_SOURCE 200809L
#include "noise.h"
#include "settings.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- Measuring ---------------------------------------------------------------------------- */

/* Pixels. */
typedef struct {
    float *clean, *spoilt;
} scratch;

static int make_scratch(const noise *n, scratch *s)
{
    const size_t count = (size_t)(n->a.rows * image_size(&n->a));
    s->clean = malloc(2 * count * sizeof *s->clean);
    if (s->clean == NULL)
        return fail("out of memory");
    s->spoilt = s->clean + count;
    for (size_t i = 0; i < count; i++)
        s->clean[i] = n->a.pixels[i];
    return TOOL_OK;
}

/* Rounded, as images are stored: else it would be the fractions that are noticed. */
static int score_corrupted(const noise *n, const scratch *s, const char *name, int32_t severity, uint64_t seed,
                           double *scores)
{
    const loaded_images *a = &n->a;
    const int64_t count = a->rows * image_size(a);
    if (dum_image_corrupt(n->model.context, name, severity, seed, a->height, a->width, a->channels, s->clean,
                          a->rows, 0, s->spoilt) != DUM_OK)
        return fail_library(name);
    for (int64_t i = 0; i < count; i++)
        s->spoilt[i] = (float)(uint8_t)(s->spoilt[i] + 0.5f);
    return score_pixels(&n->model, s->spoilt, a->rows, image_size(a), scores);
}

static void show(const noise *n, const char *name, int32_t severity, int32_t done)
{
    if (n->args->quiet || !isatty(STDERR_FILENO))
        return;
    fprintf(stderr, "\r%-20s severity %d, %d of %d ", name, severity, done, SEVERITIES * n->count);
    if (done == SEVERITIES * n->count)
        fputc('\n', stderr);
    fflush(stderr);
}

static int measure_row(noise *n, const scratch *s, int32_t index, uint64_t seed)
{
    noise_row *row = &n->rows[index];
    double *all = n->scores + (int64_t)index * SEVERITIES * n->a.rows;
    int status = TOOL_OK;
    row->name = dum_corruption_name(index);
    for (int32_t k = 0; k < SEVERITIES && status == TOOL_OK; k++) {
        double *scores = all + k * n->a.rows;
        status = score_corrupted(n, s, row->name, k + 1, seed, scores);
        if (status == TOOL_OK)
            status = compare_scores(n->clean, n->a.rows, scores, n->a.rows, &row->severity[k]);
        show(n, row->name, k + 1, SEVERITIES * index + k + 1);
    }
    if (status == TOOL_OK)
        status = compare_scores(n->clean, n->a.rows, all, SEVERITIES * n->a.rows, &row->all);
    return status;
}

static int measure_none(noise *n)
{
    n->clean = score_images(&n->model, &n->a, n->args->files[1]);
    n->second = n->clean != NULL ? score_images(&n->model, &n->b, n->args->files[2]) : NULL;
    const int status =
        n->second != NULL ? compare_scores(n->clean, n->a.rows, n->second, n->b.rows, &n->none) : TOOL_FAILED;
    for (int64_t i = 0; i < n->a.rows && status == TOOL_OK; i++)
        n->clean_mean += n->clean[i] / (double)n->a.rows;
    return status;
}

static int measure(noise *n, uint64_t seed)
{
    scratch s = {0};
    n->count = dum_corruption_count() < MOST_CORRUPTIONS ? dum_corruption_count() : MOST_CORRUPTIONS;
    int status = measure_none(n);
    n->scores = malloc((size_t)SEVERITIES * (size_t)n->count * (size_t)n->a.rows * sizeof *n->scores);
    if (status == TOOL_OK && n->scores == NULL)
        status = fail("out of memory");
    if (status == TOOL_OK)
        status = make_scratch(n, &s);
    for (int32_t i = 0; i < n->count && status == TOOL_OK; i++)
        status = measure_row(n, &s, i, seed);
    free(s.clean);
    if (status == TOOL_OK && n->args->delay_count > 0)
        status = measure_delays(n, seed);
    return status;
}

/* ---- The command -------------------------------------------------------------------------- */

enum { FORMS = 3 };

static const char *const endings[FORMS] = {".md", ".json", ".svg"};
static const put_fn noise_forms[FORMS] = {put_noise_markdown, put_noise_json, put_noise_svg};
static const put_fn delay_forms[FORMS] = {put_delays_markdown, put_delays_json, put_delays_svg};

/* NULL: none. */
static put_fn form_of(const char *path, const put_fn *forms)
{
    for (int i = 0; i < FORMS; i++)
        if (has_ending(path, endings[i]))
            return forms[i];
    return NULL;
}

static int check_outputs(const char *name, const char *const *paths, int32_t count)
{
    int status = TOOL_OK;
    for (int32_t i = 0; i < count && status == TOOL_OK; i++)
        status = form_of(paths[i], noise_forms) != NULL
                     ? check_model_path(paths[i])
                     : bad_value(name, paths[i], "a name that ends in .md, .json or .svg");
    return status;
}

static int write_outputs(const noise *n, const char *const *paths, int32_t count, const put_fn *forms)
{
    int status = TOOL_OK;
    for (int32_t i = 0; i < count && status == TOOL_OK; i++)
        status = write_output(paths[i], form_of(paths[i], forms), n);
    return status;
}

static int check_arguments(const arguments *args, uint64_t *seed)
{
    static const char *const names[] = {"MODEL", "HELD_OUT_A.npy", "HELD_OUT_B.npy"};
    int status = TOOL_OK;
    for (int i = 0; i < 3 && status == TOOL_OK; i++)
        status = require_argument(args->files[i], names[i]);
    if (status == TOOL_OK && args->delay_count == 0)
        status = require_argument(args->out, "--out");
    if (status == TOOL_OK)
        status = check_outputs("--out", args->outs, args->out_count);
    if (status == TOOL_OK)
        status = check_outputs("--delays", args->delays, args->delay_count);
    if (status == TOOL_OK && is_set(args, "test"))
        status = bad_value("--set", "test=...", "the options that the tests share: --delays has three tests");
    if (status == TOOL_OK && args->setting_count > 0)
        status = require_argument(args->delays[0], "--delays, which --set is for,");
    if (status == TOOL_OK)
        status = parse_seed(args->seed, seed);
    return status;
}

static int load(noise *n)
{
    const arguments *a = n->args;
    int status = open_image_model(a, a->file, &n->model);
    if (status == TOOL_OK)
        status = load_model_images(&n->model, a->files[1], &n->a);
    if (status == TOOL_OK)
        status = load_model_images(&n->model, a->files[2], &n->b);
    if (status == TOOL_OK && (n->a.rows < 2 || n->b.rows < 2))
        status = fail("%s has %lld images and %s %lld, expected 2 or more", a->files[1], (long long)n->a.rows,
                      a->files[2], (long long)n->b.rows);
    return status;
}

int command_noise(int argc, char **argv)
{
    static const char *const accepted[] = {"--out",     "--delays",  "--streams", "--set", "--seed",
                                           "--threads", "--backend", "--quiet",   NULL};
    arguments args;
    uint64_t seed;
    int status = parse_arguments(argc, argv, accepted, 3, &args);
    if (status == TOOL_OK)
        status = check_arguments(&args, &seed);
    if (status != TOOL_OK)
        return status;
    if (args.streams == 0)
        args.streams = 100;
    noise n = {.args = &args};
    status = load(&n);
    if (status == TOOL_OK)
        status = measure(&n, seed);
    if (status == TOOL_OK)
        status = write_outputs(&n, args.outs, args.out_count, noise_forms);
    if (status == TOOL_OK)
        status = write_outputs(&n, args.delays, args.delay_count, delay_forms);
    free_images(&n.a);
    free_images(&n.b);
    free(n.clean);
    free(n.second);
    free(n.scores);
    close_image_model(&n.model);
    return finish_output(status);
}
