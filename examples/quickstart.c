/* SPDX-License-Identifier: MIT
 * The main job on a real table: train an uncertainty head with each objective, judge it, look at it.
 *
 *   quickstart wdbc.csv scores.svg
 *
 * The table is breast cancer cell nuclei (examples/data/README.md); its labels are only used to judge. */
#include <dum.h>

#include "dum/csv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(dum_status status, const char *what)
{
    if (status == DUM_OK)
        return;
    fprintf(stderr, "%s: %s\n", what, dum_error_message());
    exit(1);
}

static csv_table read_table(const char *path)
{
    static char text[1 << 20];
    FILE *file = fopen(path, "rb");
    const size_t size = file != NULL ? fread(text, 1, sizeof text, file) : 0;
    if (file == NULL || ferror(file) != 0) {
        perror(path);
        exit(1);
    }
    fclose(file);
    if (size == sizeof text) {
        fprintf(stderr, "%s: this example reads tables up to 1 MB\n", path);
        exit(1);
    }
    char message[256];
    csv_table table;
    if (!csv_parse(text, size, CSV_HEADER_AUTO, &table, message)) {
        fprintf(stderr, "%s, %s\n", path, message);
        exit(1);
    }
    return table;
}

/* Trains on all rows, as they are; returns their scores: higher = less certain. */
static void train_and_score(dum_context *context, const dum_dataset *data, const char *objective,
                            double *scores)
{
    dum_scorer *scorer;
    check(dum_scorer_create(context, "dum", &scorer), "create");
    if (strcmp(objective, "poe") == 0) {
        /* As the paper, but for the width: 256 serves 569 rows, and takes seconds. */
        check(dum_scorer_set_text(scorer, "preset", "paper"), "preset");
        check(dum_scorer_set_number(scorer, "width", 256), "width");
    }
    check(dum_scorer_fit(scorer, data, NULL), "fit");
    check(dum_scorer_score_dataset(scorer, data, scores), "score");
    dum_scorer_destroy(scorer);
}

static void print_auroc(const char *objective, const double *scores, const uint8_t *labels, int64_t n)
{
    dum_estimate auroc;
    DUM_INIT(auroc);
    check(dum_auroc(scores, labels, n, NULL, &auroc), "auroc");
    printf("objective %-5s  AUROC of malignant against benign: %.3f (95 %% interval %.3f to %.3f)\n", objective,
           auroc.value, auroc.low, auroc.high);
}

static const double *sort_by;

static int by_score(const void *a, const void *b)
{
    const int64_t i = *(const int64_t *)a, j = *(const int64_t *)b;
    const double x = sort_by[i], y = sort_by[j];
    return x != y ? (x > y) - (x < y) : (i > j) - (i < j);
}

/* Rows are numbered from 0, as in the scores. */
static void print_extremes(const double *scores, const uint8_t *labels, int64_t n)
{
    int64_t *order = malloc((size_t)n * sizeof *order);
    if (order == NULL)
        exit(1);
    for (int64_t i = 0; i < n; i++)
        order[i] = i;
    sort_by = scores;
    qsort(order, (size_t)n, sizeof *order, by_score);
    printf("\n%-34s%s\n", "ten most certain rows (local)", "ten least certain rows (local)");
    for (int i = 0; i < 10 && i < n; i++) {
        const int64_t low = order[i], high = order[n - 1 - i];
        printf("row %3lld  %7.3f  %-14s row %3lld  %7.3f  %s\n", (long long)low, scores[low],
               labels[low] ? "malignant" : "benign", (long long)high, scores[high],
               labels[high] ? "malignant" : "benign");
    }
    free(order);
}

/* ---- The picture: one histogram above the other ------------------------------------------------ */

enum { BINS = 40, WIDTH = 640, HEIGHT = 150, MARGIN = 40 };

static void draw_class(FILE *svg, const int *count, int most, int top, const char *colour, const char *name)
{
    for (int b = 0; b < BINS; b++) {
        const int height = most > 0 ? count[b] * HEIGHT / most : 0;
        fprintf(svg, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"%s\"/>\n",
                MARGIN + b * WIDTH / BINS, top + HEIGHT - height, WIDTH / BINS - 1, height, colour);
    }
    int rows = 0;
    for (int b = 0; b < BINS; b++)
        rows += count[b];
    fprintf(svg, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s: %d rows, tallest bar %d</text>\n",
            MARGIN + WIDTH - 6, top + 14, name, rows, most);
    fprintf(svg, "<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" stroke=\"#444\"/>\n", MARGIN, top + HEIGHT,
            MARGIN + WIDTH, top + HEIGHT);
}

static void draw(const char *path, const double *scores, const uint8_t *labels, int64_t n)
{
    double least = scores[0], most = scores[0];
    for (int64_t i = 1; i < n; i++) {
        least = scores[i] < least ? scores[i] : least;
        most = scores[i] > most ? scores[i] : most;
    }
    int count[2][BINS] = {{0}}, tallest[2] = {0, 0};
    for (int64_t i = 0; i < n; i++) {
        const int bin = most > least ? (int)((scores[i] - least) / (most - least) * (BINS - 1e-9)) : 0;
        const int height = ++count[labels[i]][bin];
        tallest[labels[i]] = height > tallest[labels[i]] ? height : tallest[labels[i]];
    }
    FILE *svg = fopen(path, "w");
    if (svg == NULL) {
        perror(path);
        exit(1);
    }
    const int bottom = 3 * MARGIN + 2 * HEIGHT;
    fprintf(svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" "
            "font-size=\"13\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
            WIDTH + 2 * MARGIN, bottom + 10);
    draw_class(svg, count[0], tallest[0], MARGIN, "#3b7dd8", "benign");
    draw_class(svg, count[1], tallest[1], 2 * MARGIN + HEIGHT, "#d8573b", "malignant");
    fprintf(svg,
            "<text x=\"%d\" y=\"%d\">%.2f</text>\n<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%.2f</text>\n",
            MARGIN, bottom - 16, least, MARGIN + WIDTH, bottom - 16, most);
    fprintf(svg,
            "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">score: log of the uncertainty</text>\n</svg>\n",
            MARGIN + WIDTH / 2, bottom - 16);
    const int bad = ferror(svg);
    if (fclose(svg) != 0 || bad) {
        perror(path);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: quickstart wdbc.csv scores.svg\n");
        return 2;
    }
    csv_table table = read_table(argv[1]);
    const int64_t n = table.rows;
    const int32_t label_column = csv_find(&table, "malignant");
    float *label = malloc((size_t)n * sizeof *label);
    uint8_t *labels = malloc((size_t)n);
    double *scores = malloc((size_t)n * sizeof *scores);
    if (label_column < 0 || label == NULL || labels == NULL || scores == NULL) {
        fprintf(stderr, "no column malignant in %s, or out of memory\n", argv[1]);
        exit(1);
    }
    csv_take(&table, label_column, label);
    for (int64_t i = 0; i < n; i++)
        labels[i] = label[i] == 1;

    dum_context *context;
    dum_dataset *data;
    check(dum_context_create(NULL, &context), "context");
    check(dum_dataset_from_memory(context, table.values, n, table.cols, 0, &data), "dataset");
    printf("%lld rows, %d features, backend %s, %d threads\n\n", (long long)n, table.cols,
           dum_context_backend(context), dum_context_threads(context));
    train_and_score(context, data, "poe", scores);
    print_auroc("poe", scores, labels, n);
    train_and_score(context, data, "local", scores);
    print_auroc("local", scores, labels, n);
    print_extremes(scores, labels, n);
    draw(argv[2], scores, labels, n);
    printf("\n%s: histograms of the scores of both classes (objective local)\n", argv[2]);

    dum_dataset_destroy(data);
    dum_context_destroy(context);
    csv_free(&table);
    free(label);
    free(labels);
    free(scores);
    return 0;
}
