/* SPDX-License-Identifier: MIT
 * What dum.h includes comes before the mark, so that only its own lines follow it. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
dum_header_begins
#include <dum.h>
