/* SPDX-License-Identifier: MIT
 * Options by name: one static table a kind, values in an array of doubles beside it. */
#ifndef DUMI_PARAM_H
#define DUMI_PARAM_H

#include "core/core.h"

typedef struct {
    const char *name;
    double value, min, max;   /* default and range of a number; a text's default is its index */
    const char *const *texts; /* text: the allowed values, NULL-terminated; numbers: NULL */
    const char *choices;      /* the same, joined by '|' */
    bool integer;
    const char *help;
} dumi_param;

/* A table: `what` it belongs to ("head", "scorer dum"), and its entries. */
typedef struct {
    const char *what;
    int32_t count;
    const dumi_param *(*param)(int32_t index);
} dumi_params;

/* All of these name the option, its value and what would be right in their errors. */
dum_status dumi_params_describe(const dumi_params *table, int32_t index, dum_param_info *info);
dum_status dumi_params_set_number(const dumi_params *table, double *values, const char *name, double value,
                                  int32_t *index);
dum_status dumi_params_set_text(const dumi_params *table, double *values, const char *name, const char *value,
                                int32_t *index);
dum_status dumi_params_get_number(const dumi_params *table, const double *values, const char *name,
                                  double *value);
dum_status dumi_params_get_text(const dumi_params *table, const double *values, const char *name,
                                const char **value);

/* The value as text for a model file, and back (false: not a legal value). */
void dumi_param_print(const dumi_param *param, double value, char *buffer, size_t capacity);
bool dumi_param_parse(const dumi_param *param, const char *text, double *value);

#endif
