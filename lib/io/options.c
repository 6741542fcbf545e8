/* SPDX-License-Identifier: MIT */
#include "io/options.h"

#include <stdio.h>

static void key_of(const char *prefix, const dumi_param *param, char *key, size_t capacity)
{
    snprintf(key, capacity, "%s%s", prefix, param->name);
}

dum_status dumi_options_write(const dumi_params *table, const double *values, const char *prefix,
                              dumi_model_writer *writer)
{
    for (int32_t i = 0; i < table->count; i++) {
        char key[64], value[64];
        key_of(prefix, table->param(i), key, sizeof key);
        dumi_param_print(table->param(i), values[i], value, sizeof value);
        DUMI_TRY(dumi_writer_meta(writer, key, value));
    }
    return DUM_OK;
}

static bool known(const dumi_params *table, const char *name)
{
    for (int32_t i = 0; i < table->count; i++)
        if (strcmp(table->param(i)->name, name) == 0)
            return true;
    return false;
}

dum_status dumi_options_read(const dumi_params *table, const dumi_reader *reader, const char *prefix,
                             double *values)
{
    const size_t length = strlen(prefix);
    for (int32_t i = 0; i < table->count; i++) {
        char key[64];
        key_of(prefix, table->param(i), key, sizeof key);
        const char *text = dumi_reader_meta(reader, key);
        values[i] = table->param(i)->value;
        DUMI_REQUIRE(text == NULL || dumi_param_parse(table->param(i), text, &values[i]), DUM_ERR_FORMAT,
                     "the model's option %s is \"%.40s\": not a legal value", table->param(i)->name, text);
    }
    for (int32_t i = 0; i < reader->metadata; i++) {
        const char *key = reader->meta[i].key;
        if (strncmp(key, prefix, length) == 0 && !known(table, key + length))
            dumi_log(reader->context, DUM_LOG_INFO, DUM_LOG_IGNORED,
                     "the model's option %.60s is unknown to libdum %s and was ignored", key, DUM_VERSION);
    }
    return DUM_OK;
}
