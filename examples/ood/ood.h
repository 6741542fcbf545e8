/* SPDX-License-Identifier: MIT
 * dum ood: Table 3 of Wu & Goodman 2020, out-of-distribution images by scorers on encoders. Public header alone. */
#ifndef OOD_H
#define OOD_H

#include <dum.h>

#include <stdbool.h>
#include <stdio.h>

enum { SIDE = 32, CHANNELS = 3, PIXELS = SIDE * SIDE * CHANNELS, MOST_SETS = 8, MOST_SETTINGS = 32 };

/* Images of 32 x 32 x 3, values 0 to 255. */
typedef struct {
    const char *name; /* of an out-of-distribution set */
    bool far;
    uint8_t *pixels;
    int64_t rows;
    dum_dataset *data; /* borrows the pixels */
} image_set;

typedef struct {
    const char *train, *labels, *test, *markdown, *json, *models;
    const char *set_name[MOST_SETS], *set_path[MOST_SETS];
    bool set_far[MOST_SETS];
    int32_t sets;
    /* name=value: of all encoders, of the supervised ones, of SimCLR's, of DUM's head. */
    const char *both[MOST_SETTINGS], *supervised[MOST_SETTINGS], *simclr[MOST_SETTINGS], *dum[MOST_SETTINGS];
    int32_t threads;
    int64_t limit; /* rows of each set; 0: all */
} ood_arguments;

enum { SUPERVISED, ROTATION, SIMCLR, ENCODERS };

typedef struct {
    dum_context *context;
    const ood_arguments *args;
    image_set train, test, out[MOST_SETS];
    int32_t *labels;
    dum_encoder *encoder[ENCODERS];
    double seconds[ENCODERS]; /* of training; 0: it was loaded */
} experiment;

/* A row of the table. */
typedef struct {
    const char *name, *source, *kind, *output;
    int encoder;
    const char *settings[4]; /* name=value */
} method;

typedef struct {
    const method *by;
    double seconds; /* fit, and the scores of all test sets */
    dum_estimate auroc[MOST_SETS], precision[MOST_SETS], fpr[MOST_SETS];
} result;

extern const method methods[];
extern const int method_count;
const char *encoder_name(int encoder);

/* The tool's command, its arguments from the first on; returns the exit code. */
int command_ood(int argc, char **argv);

void say(const char *what);
void say_library(const char *what);
/* A message, and false: macros, so that analysers see that. */
#define complain(what) (say(what), false)
#define complain_library(what) (say_library(what), false)

/* name=value, taken apart. */
typedef struct {
    char name[64];
    const char *value;
    bool is_number;
    double number;
} setting;

/* All of these: false after a message. */
bool split_setting(const char *text, setting *out);
bool load_image_set(dum_context *context, const char *path, int64_t limit, image_set *out);
void free_image_set(image_set *set);
bool load_labels(dum_context *context, const char *path, int64_t rows, int32_t **out);
bool train_encoders(experiment *e);
bool run_method(const experiment *e, const method *by, result *out);
bool write_markdown(const experiment *e, const result *results, const char *path);
bool write_json(const experiment *e, const result *results, const char *path);
double seconds_now(void);

#endif
