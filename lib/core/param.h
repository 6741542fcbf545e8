/* SPDX-License-Identifier: MIT
 * Options by name: one static table a kind, values in an array of doubles beside it. */
#ifndef DUMI_PARAM_H
#define DUMI_PARAM_H

#include "core/core.h"

typedef struct {
    const char *name;
    double value, min, max;     /* default and range of a number; a text's default is its index */
    const char *const *texts;   /* text: the allowed values, NULL-terminated; numbers: NULL */
    const char *choices;        /* the same, joined by '|' */
    bool integer;
    const char *help;
} dumi_param;

/* All of these name the option and what would be right in their errors. `what`: "head", "scorer". */
int32_t dumi_param_find(const dumi_param *table, int32_t count, const char *name);
dum_status dumi_param_check_number(const dumi_param *param, double value);
dum_status dumi_param_check_text(const dumi_param *param, const char *value, double *index);
dum_status dumi_param_unknown(const char *what, const char *name, const dumi_param *table, int32_t count);
dum_status dumi_param_describe(const dumi_param *param, dum_param_info *info);

/* The value as text for a model file, and back (false: not a legal value). */
void dumi_param_print(const dumi_param *param, double value, char *buffer, size_t capacity);
bool dumi_param_parse(const dumi_param *param, const char *text, double *value);

#endif
