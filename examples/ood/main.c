/* SPDX-License-Identifier: MIT
 * Trains a supervised encoder, one that also predicts rotations, and a SimCLR encoder, fits baselines and DUM on them,
 * and says how well each tells images of other sets from held-out ones: docs/ood.md. */
#include "ood.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void say(const char *what)
{
    fprintf(stderr, "dum: %s\n", what);
}

void say_library(const char *what)
{
    fprintf(stderr, "dum: %s: %s\n", what, dum_error_message());
}

/* ---- Arguments ----------------------------------------------------------------------------- */

static bool add_setting(const char **settings, const char *value)
{
    int at = 0;
    while (settings[at] != NULL)
        at++;
    if (at + 1 >= MOST_SETTINGS || strchr(value, '=') == NULL)
        return complain("a setting is not name=value, or there are more than 31");
    settings[at] = value;
    return true;
}

static bool add_set(ood_arguments *a, char *value, bool far)
{
    char *path = strchr(value, '=');
    if (path == NULL || path == value || a->sets == MOST_SETS)
        return complain("--near and --far want NAME=X.npy, eight times at most");
    *path = '\0';
    a->set_name[a->sets] = value;
    a->set_path[a->sets] = path + 1;
    a->set_far[a->sets++] = far;
    return true;
}

static bool read_number(const char *name, const char *text, long most, long *out)
{
    char *end;
    errno = 0;
    *out = strtol(text, &end, 10);
    if (errno == 0 && *text != '\0' && *end == '\0' && *out >= 0 && *out <= most)
        return true;
    fprintf(stderr, "dum: %s is \"%s\", expected a whole number from 0 to %ld\n", name, text, most);
    return false;
}

static bool store(ood_arguments *a, const char *name, char *value)
{
    const struct {
        const char *name, **to;
    } texts[] = {{"--train", &a->train},       {"--labels", &a->labels}, {"--test", &a->test},
                 {"--markdown", &a->markdown}, {"--json", &a->json},     {"--models", &a->models}},
      lists[] = {{"--set", a->both},
                 {"--set-supervised", a->supervised},
                 {"--set-simclr", a->simclr},
                 {"--set-dum", a->dum}};
    long number = 0;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (strcmp(name, texts[i].name) == 0) {
            *texts[i].to = value;
            return true;
        }
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        if (strcmp(name, lists[i].name) == 0)
            return add_setting(lists[i].to, value);
    if (strcmp(name, "--near") == 0 || strcmp(name, "--far") == 0)
        return add_set(a, value, name[2] == 'f');
    if (strcmp(name, "--threads") == 0 && read_number(name, value, 256, &number)) {
        a->threads = (int32_t)number;
        return true;
    }
    if (strcmp(name, "--limit") == 0 && read_number(name, value, 1000000000, &number)) {
        a->limit = number;
        return true;
    }
    return complain("unknown or bad option (see dum ood --help)");
}

static bool parse(int argc, char **argv, ood_arguments *a)
{
    for (int i = 0; i < argc; i += 2) {
        if (i + 1 == argc)
            return complain("the last option lacks its value (see dum ood --help)");
        if (!store(a, argv[i], argv[i + 1]))
            return false;
    }
    if (a->train == NULL || a->labels == NULL || a->test == NULL || a->sets == 0)
        return complain("--train, --labels, --test and a --near or --far are needed (see dum ood --help)");
    return true;
}

bool split_setting(const char *text, setting *out)
{
    char *end;
    out->value = strchr(text, '=');
    if (out->value == NULL || out->value - text >= (ptrdiff_t)sizeof out->name)
        return complain("a setting is not name=value");
    memcpy(out->name, text, (size_t)(out->value - text));
    out->name[out->value - text] = '\0';
    out->number = strtod(++out->value, &end);
    out->is_number = *end == '\0' && end > out->value;
    return true;
}

/* ---- Running ------------------------------------------------------------------------------- */

static bool load_all(experiment *e)
{
    const ood_arguments *a = e->args;
    if (!load_image_set(e->context, a->train, a->limit, &e->train) ||
        !load_image_set(e->context, a->test, a->limit, &e->test) ||
        !load_labels(e->context, a->labels, e->train.rows, &e->labels))
        return false;
    for (int32_t s = 0; s < a->sets; s++) {
        e->out[s].name = a->set_name[s];
        e->out[s].far = a->set_far[s];
        if (!load_image_set(e->context, a->set_path[s], a->limit, &e->out[s]))
            return false;
    }
    return true;
}

static bool run_all(const experiment *e, result *results)
{
    for (int i = 0; i < method_count; i++) {
        if (!run_method(e, &methods[i], &results[i]))
            return false;
        fprintf(stderr, "dum: %-30s %-10s %6.1f s", methods[i].name, encoder_name(methods[i].encoder),
                results[i].seconds);
        for (int32_t s = 0; s < e->args->sets; s++)
            fprintf(stderr, "  %s %.3f", e->out[s].name, results[i].auroc[s].value);
        fputc('\n', stderr);
    }
    return (e->args->markdown == NULL || write_markdown(e, results, e->args->markdown)) &&
           (e->args->json == NULL || write_json(e, results, e->args->json));
}

static void close_all(experiment *e)
{
    for (int which = 0; which < ENCODERS; which++)
        dum_encoder_destroy(e->encoder[which]);
    free_image_set(&e->train);
    free_image_set(&e->test);
    for (int32_t s = 0; s < MOST_SETS; s++)
        free_image_set(&e->out[s]);
    free(e->labels);
    dum_context_destroy(e->context);
}

int command_ood(int argc, char **argv)
{
    static ood_arguments arguments;
    static experiment e;
    if (!parse(argc, argv, &arguments))
        return 2;
    dum_context_options options;
    DUM_INIT(options);
    options.threads = arguments.threads;
    e.args = &arguments;
    result *results = calloc((size_t)method_count, sizeof *results);
    bool good = results != NULL || complain("out of memory");
    if (good && dum_context_create(&options, &e.context) != DUM_OK)
        good = complain_library("cannot start");
    good = good && load_all(&e) && train_encoders(&e) && run_all(&e, results);
    close_all(&e);
    free(results);
    return good ? 0 : 1;
}
