/* SPDX-License-Identifier: MIT
 * dum certainty: images in the order of how certain a model is of their embeddings (Wu & Goodman 2020, Figures 1
 * to 3), and so views of one image; and what each step of a random view does to the scores. */
#define _POSIX_C_SOURCE 200809L
#include "certainty.h"
#include "png.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STEP_ROWS = 3000, SIDE = 64 };

/* ---- Rankings ----------------------------------------------------------------------------- */

int64_t shown(const ranking *r, int64_t most)
{
    const int64_t half = r->count < 2 ? r->count : r->count / 2;
    return half < most ? half : most;
}

int64_t ranked(const ranking *r, bool certain, int64_t i)
{
    return r->order[certain ? i : r->count - 1 - i];
}

double mean_score(const ranking *r)
{
    double sum = 0;
    for (int64_t i = 0; i < r->count; i++)
        sum += r->scores[r->order[i]];
    return sum / (double)r->count;
}

typedef struct {
    double score;
    int64_t row;
} scored;

/* Of equals the earlier row first. */
static int by_certainty(const void *a, const void *b)
{
    const scored *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static int rank(const loaded_images *images, const double *scores, ranking *out)
{
    scored *rows = malloc((size_t)images->rows * sizeof *rows);
    *out = (ranking){images, scores, malloc((size_t)images->rows * sizeof *out->order), images->rows, 0};
    const int status = rows != NULL && out->order != NULL ? TOOL_OK : fail("out of memory");
    for (int64_t i = 0; i < images->rows && status == TOOL_OK; i++)
        rows[i] = (scored){scores[i], i};
    if (status == TOOL_OK)
        qsort(rows, (size_t)images->rows, sizeof *rows, by_certainty);
    for (int64_t i = 0; i < images->rows && status == TOOL_OK; i++)
        out->order[i] = rows[i].row;
    free(rows);
    return status;
}

/* The overall order, dealt out to the classes. */
static int rank_classes(certainty *c)
{
    enum { LABELS = 65536 };
    int32_t *place = calloc(LABELS, sizeof *place);
    c->class_rows = malloc((size_t)c->images.rows * sizeof *c->class_rows);
    c->classes = calloc(LABELS, sizeof *c->classes);
    if (place == NULL || c->class_rows == NULL || c->classes == NULL) {
        free(place);
        return fail("out of memory");
    }
    for (int64_t i = 0; i < c->images.rows; i++)
        place[c->labels[i]]++;
    int64_t *order = c->class_rows;
    for (int32_t label = 0; label < LABELS; label++) {
        if (place[label] == 0)
            continue;
        c->classes[c->class_count] = (ranking){&c->images, c->scores, order, 0, label};
        order += place[label];
        place[label] = c->class_count++;
    }
    for (int64_t i = 0; i < c->images.rows; i++) {
        ranking *r = &c->classes[place[c->labels[c->all.order[i]]]];
        r->order[r->count++] = c->all.order[i];
    }
    free(place);
    return TOOL_OK;
}

/* ---- Views -------------------------------------------------------------------------------- */

static void to_floats(const uint8_t *from, int64_t count, float *to)
{
    for (int64_t i = 0; i < count; i++)
        to[i] = from[i];
}

/* Rounded: what is scored is what is shown. */
static int make_views(certainty *c, uint64_t seed)
{
    loaded_images *v = &c->views;
    const loaded_images *all = &c->images;
    const int64_t size = image_size(all);
    float *image = malloc(2 * (size_t)size * sizeof *image), *view = image != NULL ? image + size : NULL;
    *v = *all;
    v->rows = c->args->views;
    v->file = malloc((size_t)(v->rows * size));
    v->pixels = (uint8_t *)v->file;
    int status = image != NULL && v->file != NULL ? TOOL_OK : fail("out of memory");
    if (status == TOOL_OK)
        to_floats(all->pixels + c->args->row * size, size, image);
    for (int64_t i = 0; i < v->rows && status == TOOL_OK; i++) {
        if (dum_image_augment(c->model.context, NULL, all->height, all->width, all->channels, image, 1, 0, seed,
                              (uint32_t)i, view) != DUM_OK)
            status = fail_library("--views");
        for (int64_t j = 0; j < size && status == TOOL_OK; j++)
            v->pixels[i * size + j] = (uint8_t)(view[j] + 0.5f);
    }
    free(image);
    if (status == TOOL_OK && (c->view_scores = score_images(&c->model, v, "views")) == NULL)
        status = TOOL_FAILED;
    return status == TOOL_OK ? rank(v, c->view_scores, &c->all_views) : status;
}

/* ---- Steps of a view, one at a time --------------------------------------------------------- */

static dum_augment_options nothing(void)
{
    dum_augment_options o;
    DUM_INIT(o);
    o.crop_min = o.crop_max = 1;
    o.flip = o.jitter = o.grey = o.blur = -1;
    return o;
}

static void list_steps(view_step *steps, dum_augment_options *options)
{
    static const double shares[] = {0.75, 0.5, 0.25, 0.1};
    static const char *const names[VIEW_STEPS] = {"flipped",         "colours changed",    "grey",
                                                  "cropped to 75 %", "cropped to 50 %",    "cropped to 25 %",
                                                  "cropped to 10 %", "all, as in training"};
    for (int i = 0; i < VIEW_STEPS; i++) {
        steps[i].name = names[i];
        options[i] = nothing();
    }
    options[0].flip = options[1].jitter = options[2].grey = 1;
    for (int i = 0; i < 4; i++)
        options[3 + i].crop_min = options[3 + i].crop_max = shares[i];
    DUM_INIT(options[VIEW_STEPS - 1]);
}

static int try_step(certainty *c, const dum_augment_options *options, const float *images, const double *plain,
                    uint64_t seed, float *made, double *scores, view_step *step)
{
    const loaded_images *i = &c->images;
    comparison found;
    if (dum_image_augment(c->model.context, options, i->height, i->width, i->channels, images, c->step_rows, 0,
                          seed, 0, made) != DUM_OK)
        return fail_library(step->name);
    int status = score_pixels(&c->model, made, c->step_rows, image_size(i), scores);
    if (status == TOOL_OK)
        status = compare_scores(plain, c->step_rows, scores, c->step_rows, &found);
    if (status == TOOL_OK)
        *step = (view_step){step->name, found.mean, found.d, found.auroc};
    return status;
}

/* On all images, or on evenly chosen ones where there are many. */
static int try_steps(certainty *c, uint64_t seed)
{
    const int64_t size = image_size(&c->images), n = c->images.rows < STEP_ROWS ? c->images.rows : STEP_ROWS;
    float *images = malloc(2 * (size_t)(n * size) * sizeof *images);
    double *scores = malloc(2 * (size_t)n * sizeof *scores);
    dum_augment_options options[VIEW_STEPS];
    int status = images != NULL && scores != NULL ? TOOL_OK : fail("out of memory");
    c->step_rows = n;
    for (int64_t i = 0; i < n && status == TOOL_OK; i++) {
        const int64_t row = i * c->images.rows / n;
        to_floats(c->images.pixels + row * size, size, images + i * size);
        scores[i] = c->scores[row];
        c->plain_mean += scores[i] / (double)n;
    }
    list_steps(c->steps, options);
    for (int i = 0; i < VIEW_STEPS && status == TOOL_OK; i++)
        status = try_step(c, &options[i], images, scores, seed, images + n * size, scores + n, &c->steps[i]);
    free(images);
    free(scores);
    return status;
}

/* ---- The folder --------------------------------------------------------------------------- */

static const char *const file_names[] = {
    "certain.png",       "uncertain.png",       "classes-certain.png", "classes-uncertain.png",
    "views-certain.png", "views-uncertain.png", "scores.csv",          "summary.md",
    "report.html"};
enum { FILES = sizeof file_names / sizeof file_names[0] };

typedef struct {
    char *path, *temporary, *file; /* file: room for a name in the temporary folder */
    size_t capacity;
} folder;

static const char *name_file(const folder *f, const char *name)
{
    snprintf(f->file, f->capacity, "%s/%s", f->temporary, name);
    return f->file;
}

static void remove_temporary(const folder *f)
{
    for (int i = 0; i < FILES; i++)
        remove(name_file(f, file_names[i]));
    rmdir(f->temporary);
}

/* A new folder, or an empty one, which the finished one replaces. */
static int check_folder(const char *path)
{
    DIR *directory = opendir(path);
    if (directory == NULL)
        return errno == ENOENT ? TOOL_OK : fail("cannot write %s: %s", path, strerror(errno));
    int entries = 0;
    while (readdir(directory) != NULL)
        entries++;
    closedir(directory);
    return entries <= 2 ? TOOL_OK
                        : fail("--out: %s holds something, expected a new folder or an empty one", path);
}

static int open_folder(const char *path, folder *out)
{
    const int status = check_folder(path);
    if (status != TOOL_OK)
        return status;
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    out->capacity = length + 80;
    out->path = malloc(out->capacity);
    out->temporary = malloc(out->capacity);
    out->file = malloc(out->capacity);
    if (out->path == NULL || out->temporary == NULL || out->file == NULL)
        return fail("out of memory");
    snprintf(out->path, out->capacity, "%.*s", (int)length, path);
    snprintf(out->temporary, out->capacity, "%s.%ld.tmp", out->path, (long)getpid());
    return TOOL_OK;
}

static int begin_folder(const folder *f)
{
    /* Left by one who was killed, with our number. */
    remove_temporary(f);
    return mkdir(f->temporary, 0777) == 0 ? TOOL_OK : fail("cannot write %s: %s", f->path, strerror(errno));
}

/* Whether it can be written is found out before the work, but it is not there while the work is done. */
static int try_folder(const char *path, folder *out)
{
    int status = open_folder(path, out);
    if (status == TOOL_OK)
        status = begin_folder(out);
    if (status == TOOL_OK)
        rmdir(out->temporary);
    return status;
}

static int finish_folder(folder *f, int status)
{
    if (f->file == NULL)
        return status;
    if (status == TOOL_OK && rename(f->temporary, f->path) != 0)
        status = fail("cannot write %s: %s", f->path, strerror(errno));
    if (status != TOOL_OK)
        remove_temporary(f);
    return status;
}

static void free_folder(folder *f)
{
    free(f->path);
    free(f->temporary);
    free(f->file);
}

/* ---- Sheets ------------------------------------------------------------------------------- */

/* `places` of each ranking, one ranking after the other; those without so many images leave some empty. */
static int write_sheet(const certainty *c, const folder *f, const char *name, const ranking *list,
                       int32_t lists, int64_t places, bool certain)
{
    const loaded_images *images = list->images;
    contact_sheet sheet = {.images = images, .columns = c->top, .scale = c->scale, .count = lists * places};
    sheet.rows = malloc((size_t)sheet.count * sizeof *sheet.rows);
    if (sheet.rows == NULL)
        return fail("out of memory");
    for (int32_t k = 0; k < lists; k++)
        for (int64_t i = 0; i < places; i++)
            sheet.rows[k * places + i] = i < shown(&list[k], places) ? ranked(&list[k], certain, i) : -1;
    int status = draw_sheet(&sheet);
    if (status == TOOL_OK) {
        const png_picture picture = {sheet.pixels, (int32_t)sheet.height, (int32_t)sheet.width};
        status = write_output(name_file(f, name), put_png, &picture);
    }
    free(sheet.pixels);
    free(sheet.rows);
    return status;
}

/* One ranking, of both sides; names: two of them. */
static int write_sides(const certainty *c, const folder *f, const char *const *names, const ranking *list,
                       int32_t lists, int64_t places)
{
    int status = write_sheet(c, f, names[0], list, lists, places, true);
    if (status == TOOL_OK)
        status = write_sheet(c, f, names[1], list, lists, places, false);
    return status;
}

static int write_files(const certainty *c, const folder *f)
{
    const int64_t most = (int64_t)LINES * c->top;
    int status = write_sides(c, f, file_names, &c->all, 1, shown(&c->all, most));
    if (status == TOOL_OK && c->class_count > 0)
        status = write_sides(c, f, file_names + 2, c->classes, c->class_count, c->top);
    if (status == TOOL_OK && c->views.rows > 0)
        status = write_sides(c, f, file_names + 4, &c->all_views, 1, shown(&c->all_views, most));
    if (status == TOOL_OK)
        status = write_output(name_file(f, "scores.csv"), put_certainty_scores, c);
    if (status == TOOL_OK)
        status = write_output(name_file(f, "summary.md"), put_certainty_summary, c);
    if (status == TOOL_OK)
        status = write_output(name_file(f, "report.html"), put_certainty_page, c);
    return status;
}

/* ---- The command -------------------------------------------------------------------------- */

static int load(certainty *c)
{
    const arguments *a = c->args;
    int status = open_image_model(a, a->file, &c->model);
    if (status == TOOL_OK)
        status = load_model_images(&c->model, a->files[1], &c->images);
    if (status == TOOL_OK && a->row >= c->images.rows)
        status = fail("--row: there is no image %d, expected 0 to %lld", a->row, (long long)c->images.rows - 1);
    if (status == TOOL_OK && a->labels != NULL)
        status = load_classes(a->labels, a, a->files[1], c->images.rows, &c->labels);
    c->top = a->top > 0 ? a->top : USUAL_TOP;
    const int32_t side = c->images.height > 0 ? c->images.height : 1;
    c->scale = a->scale > 0 ? a->scale : side < SIDE ? SIDE / side : 1;
    return status;
}

static int gather(certainty *c, uint64_t seed)
{
    int status = TOOL_OK;
    c->scores = score_images(&c->model, &c->images, c->args->files[1]);
    status = c->scores != NULL ? rank(&c->images, c->scores, &c->all) : TOOL_FAILED;
    if (status == TOOL_OK && c->labels != NULL)
        status = rank_classes(c);
    if (status == TOOL_OK)
        status = try_steps(c, seed);
    if (status == TOOL_OK && c->args->views > 0)
        status = make_views(c, seed);
    return status;
}

static void close_certainty(certainty *c)
{
    free_images(&c->images);
    free_images(&c->views);
    free(c->labels);
    free(c->scores);
    free(c->view_scores);
    free(c->all.order);
    free(c->all_views.order);
    free(c->classes);
    free(c->class_rows);
    close_image_model(&c->model);
}

static int check_arguments(const arguments *args, uint64_t *seed)
{
    int status = require_argument(args->file, "MODEL");
    if (status == TOOL_OK)
        status = require_argument(args->files[1], "IMAGES.npy");
    if (status == TOOL_OK)
        status = require_argument(args->out, "--out");
    if (status == TOOL_OK && args->views > 0 && args->row < 0)
        status = require_argument(NULL, "--row");
    if (status == TOOL_OK && args->row >= 0 && args->views == 0)
        status = require_argument(NULL, "--views");
    if (status == TOOL_OK)
        status = parse_seed(args->seed, seed);
    return status;
}

int command_certainty(int argc, char **argv)
{
    static const char *const accepted[] = {
        "--out",     "--labels",  "--views",  "--row",       "--top",          "--scale", "--seed",
        "--threads", "--backend", "--header", "--no-header", "--label-column", "--quiet", NULL};
    arguments args;
    uint64_t seed;
    int status = parse_arguments(argc, argv, accepted, 2, &args);
    if (status == TOOL_OK)
        status = check_arguments(&args, &seed);
    if (status != TOOL_OK)
        return status;
    certainty c = {.args = &args};
    folder f = {0};
    status = load(&c);
    if (status == TOOL_OK)
        status = try_folder(args.out, &f);
    if (status == TOOL_OK)
        status = gather(&c, seed);
    if (status == TOOL_OK)
        status = begin_folder(&f);
    if (status == TOOL_OK)
        status = write_files(&c, &f);
    status = finish_folder(&f, status);
    free_folder(&f);
    close_certainty(&c);
    return finish_output(status);
}
