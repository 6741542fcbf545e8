/* SPDX-License-Identifier: MIT */
#include "core/param.h"

#include <math.h>
#include <stdio.h>

int32_t dumi_param_find(const dumi_param *table, int32_t count, const char *name)
{
    for (int32_t i = 0; i < count; i++)
        if (strcmp(table[i].name, name) == 0)
            return i;
    return -1;
}

dum_status dumi_param_check_number(const dumi_param *param, double value)
{
    DUMI_REQUIRE(param->texts == NULL, DUM_ERR_ARGUMENT, "option %s is a text (%s), not a number", param->name,
                 param->choices);
    DUMI_REQUIRE(value >= param->min && value <= param->max, DUM_ERR_ARGUMENT,
                 "option %s is %g, expected %g to %g", param->name, value, param->min, param->max);
    DUMI_REQUIRE(!param->integer || value == floor(value), DUM_ERR_ARGUMENT,
                 "option %s is %g, expected an integer", param->name, value);
    return DUM_OK;
}

dum_status dumi_param_check_text(const dumi_param *param, const char *value, double *index)
{
    DUMI_REQUIRE(param->texts != NULL, DUM_ERR_ARGUMENT, "option %s is a number (%g to %g), not a text",
                 param->name, param->min, param->max);
    for (int32_t i = 0; param->texts[i] != NULL; i++) {
        if (strcmp(param->texts[i], value) == 0) {
            *index = i;
            return DUM_OK;
        }
    }
    return dumi_fail(DUM_ERR_ARGUMENT, "option %s is \"%.40s\", expected %s", param->name, value,
                     param->choices);
}

dum_status dumi_param_unknown(const char *what, const char *name, const dumi_param *table, int32_t count)
{
    char list[200] = "";
    for (int32_t i = 0; i < count; i++) {
        const size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", i > 0 ? ", " : "", table[i].name);
    }
    return dumi_fail(DUM_ERR_ARGUMENT, "%s has no option \"%.40s\"; it has %s", what, name, list);
}

dum_status dumi_param_describe(const dumi_param *param, dum_param_info *info)
{
    const bool text = param->texts != NULL;
    const dum_param_info ours = {
        .struct_size = sizeof ours,
        .name = param->name,
        .type = text ? DUM_PARAM_TEXT : param->integer ? DUM_PARAM_INTEGER : DUM_PARAM_REAL,
        .default_number = text ? 0 : param->value,
        .min = text ? 0 : param->min,
        .max = text ? 0 : param->max,
        .default_text = text ? param->texts[(int)param->value] : NULL,
        .choices = text ? param->choices : NULL,
        .help = param->help,
    };
    return dumi_write_struct("info", info, &ours, sizeof ours, sizeof ours);
}

void dumi_param_print(const dumi_param *param, double value, char *buffer, size_t capacity)
{
    if (param->texts != NULL)
        snprintf(buffer, capacity, "%s", param->texts[(int)value]);
    else
        dumi_format_number(value, buffer, capacity);
}

bool dumi_param_parse(const dumi_param *param, const char *text, double *value)
{
    if (param->texts != NULL)
        return dumi_param_check_text(param, text, value) == DUM_OK;
    return dumi_parse_number(text, value) && dumi_param_check_number(param, *value) == DUM_OK;
}
