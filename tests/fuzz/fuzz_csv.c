/* SPDX-License-Identifier: MIT
 * Any bytes as CSV: a message, or a whole table. */
#include "fuzz.h"
#include "../../examples/dum/csv.h"

#include <stdlib.h>
#include <string.h>

static void use_row(const uint8_t *data, size_t size)
{
    float row[3];
    char *line = malloc(size + 1);
    if (line == NULL)
        return;
    memcpy(line, data, size);
    line[size] = '\0';
    if (csv_row(line, 3, row) < -1)
        abort();
    free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    use_row(data, size);
    char message[256];
    csv_table table;
    if (!csv_parse_labelled((const char *)data, size, size % 3 == 0 ? (int)(size % 9) / 3 : CSV_HEADER_AUTO,
                            size % 2 == 0 ? "1" : NULL, &table, message))
        return 0;
    double sum = 0;
    for (int64_t i = 0; i < table.rows * table.cols; i++)
        sum += table.values[i] == table.values[i] ? 1 : 0;
    if (table.rows < 1 || table.cols < 1 || sum < 0)
        abort();
    if (table.cols > 1) {
        float *column = malloc((size_t)table.rows * sizeof *column);
        if (column != NULL)
            csv_take(&table, table.cols / 2, column);
        free(column);
    }
    csv_free(&table);
    return 0;
}
