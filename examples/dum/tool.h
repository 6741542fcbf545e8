/* SPDX-License-Identifier: MIT
 * What the commands of the tool share. */
#ifndef TOOL_H
#define TOOL_H

#include <dum.h>

#include "csv.h"

#include <stdbool.h>
#include <stdio.h>

enum { TOOL_OK = 0, TOOL_FAILED = 1, TOOL_USAGE = 2 };

enum { MAX_SETTINGS = 64, MAX_FILES = 3 };

/* The command line, parsed. NULL or 0: not given. */
typedef struct {
    const char *data, *model, *out, *scores, *labels, *reference, *sample, *pairs, *backend, *scorer,
        *label_column, *checkpoint, *state, *svg;
    const char *socket, *metrics, *alarms, *format, *name;
    const char *settings[MAX_SETTINGS]; /* name=value */
    int32_t setting_count, threads, bootstrap, header, checkpoint_epochs, top, severity, columns, scale;
    int32_t port; /* -1: not given */
    double max_seconds, false_alarm_rate, interval;
    double rearm; /* -1: not given */
    const char *seed, *holdout, *corruption, *rows;
    const char *encoder, *kind, *output, *train, *train_labels, *test, *test_labels;
    const char *outs[MAX_FILES]; /* each --out, of which `out` is the last */
    const char *delays[MAX_FILES];
    int32_t out_count, delay_count, neighbours, views, streams;
    int32_t row; /* -1: not given */
    bool quiet, pvalue, resume, json;
    const char *files[MAX_FILES]; /* arguments without a name */
    const char *file;             /* the first of them */
    int32_t file_count;
} arguments;

/* --help or -h. */
bool is_help(const char *argument);
/* TOOL_OK, or TOOL_USAGE after a message. `accepted`: names of the options that this command takes; it takes
 * at most `most_files` arguments without a name. */
int parse_arguments(int argc, char **argv, const char *const *accepted, int32_t most_files, arguments *out);
/* TOOL_USAGE after a message unless the value was given. */
int require_argument(const char *value, const char *name);
/* TOOL_USAGE after a message. */
int bad_value(const char *name, const char *value, const char *expected);

/* A whole number of 64 bits, 0 for NULL; TOOL_USAGE after a message. */
int parse_seed(const char *text, uint64_t *seed);

/* What messages begin with. */
extern const char tool_name[];

/* `dum: message` on stderr. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline int failed(void)
{
    return TOOL_FAILED;
}
/* The same, and TOOL_FAILED: a macro, so that analysers see which status that is. */
#define fail(...) (complain(__VA_ARGS__), failed())
/* The library's message; returns TOOL_FAILED. */
#define fail_library(what) fail("%s: %s", (what), dum_error_message())

int open_context(const arguments *args, dum_context **out);

/* Rows from .npy or CSV. The table holds what a dataset from CSV borrows. */
typedef struct {
    dum_dataset *dataset;
    csv_table table;
} loaded_data;

int load_data(dum_context *context, const char *path, const arguments *args, loaded_data *out);
void free_data(loaded_data *data);

/* --model, and the rows of --data that it is to score. */
typedef struct {
    dum_context *context;
    dum_scorer *scorer;
    loaded_data data;
} inputs;

/* The model only. */
int open_model(const arguments *args, inputs *in);
/* After failure, too, what is open is to be closed. */
int open_inputs(const arguments *args, inputs *in);
void close_inputs(inputs *in);
/* The scores of all rows, to be freed; NULL after a message. */
double *score_inputs(const arguments *args, const inputs *in);

/* With the options of --set; destroyed by the caller after failure, too. */
int create_monitor(const arguments *args, dum_context *context, dum_monitor **out);
/* A monitor from --reference and --set. */
int fit_monitor(const arguments *args, const inputs *in, dum_monitor **out);
/* TOOL_FAILED after a message unless a monitor, which was loaded from --state, has the options of --set. */
int check_settings(const arguments *args, const inputs *in, const dum_monitor *monitor);
/* A row with NaN or infinity has the score NaN, unless the scorer imputes. */
dum_status score_chunk(const dum_scorer *scorer, const float *rows, int64_t count, int32_t cols,
                       double *scores);
/* A JSON line with a monitor's state and its rows that weigh most. time: NULL: none. */
int print_monitor_event(const dum_monitor *monitor, const char *event, const char *time);

bool has_ending(const char *path, const char *ending);
/* All of a file, with a NUL behind it; NULL after a message. */
char *read_file(const char *path, size_t *size);
/* label: a column that may hold text, or NULL. */
int load_csv(const char *path, int header, bool doubles, const char *label, csv_table *table);

/* A vector of numbers from .npy (any of the usual types) or one column of a CSV file. usual: the column of a
 * table where none is asked for, the first one in .npy; NULL: a table is an error. */
int load_vector(const char *path, const char *column, int header, const char *usual, double **values,
                int64_t *count);

/* Writes what `put` puts to a file, or to standard output for "-" or NULL. A file is written beside its place
 * and renamed. */
typedef void (*put_fn)(FILE *file, const void *what);
int write_output(const char *path, put_fn put, const void *what);
/* The same with rows x cols doubles: .npy, or CSV. names: of the columns, for CSV; NULL: no header. */
int write_table(const char *path, const double *values, int64_t rows, int32_t cols, const char *const *names);
/* And with floats. */
int write_floats(const char *path, const float *values, int64_t rows, int32_t cols);
/* There is something at path that is no file: a folder, a pipe, a device. */
bool is_special_file(const char *path);
/* What a symbolic link at path leads to, or path, whether there is a file yet or not; to be freed. NULL: with errno. */
char *follow_links(const char *path);

/* JSON: %.17g, null for what is not finite. */
void print_number(const char *name, double value, bool last);
void print_quoted(const char *text);
void print_text(const char *name, const char *value, bool last);
/* The members of a state, without braces. */
void print_monitor_state(const dum_monitor_state *s);
/* Closes standard output's buffer; a full disk or closed pipe is an error. */
int finish_output(int status);

int command_fit(int argc, char **argv);
int command_score(int argc, char **argv);
int command_explain(int argc, char **argv);
int command_report(int argc, char **argv);
int command_eval(int argc, char **argv);
int command_compare(int argc, char **argv);
int command_monitor(int argc, char **argv);
int command_encoder(int argc, char **argv);
int command_embed(int argc, char **argv);
int command_evaluate(int argc, char **argv);
int command_certainty(int argc, char **argv);
int command_noise(int argc, char **argv);
int command_ood(int argc, char **argv); /* examples/ood */
int command_corrupt(int argc, char **argv);
int command_sheet(int argc, char **argv);
int command_info(int argc, char **argv);
int command_scorers(int argc, char **argv);
int command_encoders(int argc, char **argv);
int command_backends(int argc, char **argv);

#endif
