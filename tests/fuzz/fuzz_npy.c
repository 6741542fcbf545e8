/* SPDX-License-Identifier: MIT
 * Any bytes as a .npy file: an error, or a header that fits the bytes. */
#include "fuzz.h"
#include "io/io.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    dumi_npy_header header;
    if (dumi_npy_parse("input", data, size, &header) != DUM_OK)
        return 0;
    if ((header.element != 1 && header.element != 4 && header.element != 8) || header.rows < 1 ||
        header.cols < 1 || header.offset > size ||
        (size_t)header.rows * (size_t)header.cols * header.element != size - header.offset)
        abort();
    return 0;
}
