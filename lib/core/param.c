/* SPDX-License-Identifier: MIT */
#include "core/param.h"

#include <math.h>
#include <stdio.h>

static dum_status check_number(const dumi_param *param, double value)
{
    DUMI_REQUIRE(param->texts == NULL, DUM_ERR_ARGUMENT, "option %s is a text (%s), not a number", param->name,
                 param->choices);
    DUMI_REQUIRE(value >= param->min && value <= param->max, DUM_ERR_ARGUMENT,
                 "option %s is %s, expected %s to %s", param->name, dumi_show(value).text,
                 dumi_show(param->min).text, dumi_show(param->max).text);
    DUMI_REQUIRE(!param->integer || value == floor(value), DUM_ERR_ARGUMENT,
                 "option %s is %s, expected an integer", param->name, dumi_show(value).text);
    return DUM_OK;
}

static dum_status check_text(const dumi_param *param, const char *value, double *index)
{
    DUMI_REQUIRE(param->texts != NULL, DUM_ERR_ARGUMENT, "option %s is a number (%s to %s), not a text",
                 param->name, dumi_show(param->min).text, dumi_show(param->max).text);
    for (int32_t i = 0; param->texts[i] != NULL; i++) {
        if (strcmp(param->texts[i], value) == 0) {
            *index = i;
            return DUM_OK;
        }
    }
    return dumi_fail(DUM_ERR_ARGUMENT, "option %s is \"%.40s\", expected %s", param->name, value,
                     param->choices);
}

static dum_status find(const dumi_params *table, const char *name, int32_t *index)
{
    DUMI_NOT_NULL(name);
    char list[200] = "";
    for (*index = 0; *index < table->count; (*index)++) {
        const dumi_param *param = table->param(*index);
        if (strcmp(param->name, name) == 0)
            return DUM_OK;
        const size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", *index > 0 ? ", " : "", param->name);
    }
    return dumi_fail(DUM_ERR_ARGUMENT, "%s has no option \"%.40s\"; it has %s", table->what, name, list);
}

dum_status dumi_params_describe(const dumi_params *table, int32_t index, dum_param_info *info)
{
    DUMI_REQUIRE(index >= 0 && index < table->count, DUM_ERR_ARGUMENT, "index is %d, expected 0 to %d", index,
                 table->count - 1);
    const dumi_param *param = table->param(index);
    const bool text = param->texts != NULL;
    const dum_param_info ours = {
        .struct_size = sizeof ours,
        .name = param->name,
        .type = text             ? DUM_PARAM_TEXT
                : param->integer ? DUM_PARAM_INTEGER
                                 : DUM_PARAM_REAL,
        .default_number = text ? 0 : param->value,
        .min = text ? 0 : param->min,
        .max = text ? 0 : param->max,
        .default_text = text ? param->texts[(int)param->value] : NULL,
        .choices = text ? param->choices : NULL,
        .help = param->help,
    };
    return dumi_write_struct("info", info, &ours, sizeof ours, sizeof ours);
}

dum_status dumi_params_set_number(const dumi_params *table, double *values, const char *name, double value,
                                  int32_t *index)
{
    DUMI_TRY(find(table, name, index));
    DUMI_TRY(check_number(table->param(*index), value));
    values[*index] = value;
    return DUM_OK;
}

dum_status dumi_params_set_text(const dumi_params *table, double *values, const char *name, const char *value,
                                int32_t *index)
{
    DUMI_TRY(find(table, name, index));
    DUMI_NOT_NULL(value);
    return check_text(table->param(*index), value, &values[*index]);
}

dum_status dumi_params_get_number(const dumi_params *table, const double *values, const char *name,
                                  double *value)
{
    int32_t index;
    DUMI_NOT_NULL(value);
    DUMI_TRY(find(table, name, &index));
    DUMI_REQUIRE(table->param(index)->texts == NULL, DUM_ERR_ARGUMENT, "option %s is a text, not a number",
                 name);
    *value = values[index];
    return DUM_OK;
}

dum_status dumi_params_get_text(const dumi_params *table, const double *values, const char *name,
                                const char **value)
{
    int32_t index;
    DUMI_NOT_NULL(value);
    DUMI_TRY(find(table, name, &index));
    const dumi_param *param = table->param(index);
    DUMI_REQUIRE(param->texts != NULL, DUM_ERR_ARGUMENT, "option %s is a number, not a text", name);
    *value = param->texts[(int32_t)values[index]];
    return DUM_OK;
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
        return check_text(param, text, value) == DUM_OK;
    return dumi_parse_number(text, value) && check_number(param, *value) == DUM_OK;
}
