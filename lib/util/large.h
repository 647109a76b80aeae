/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory for what is megabytes long and filled from end to end, as metadata of thousands of volumes are. */
#ifndef TENON_UTIL_LARGE_H
#define TENON_UTIL_LARGE_H

#include <stddef.h>

/* As malloc(), on a page: but its pages are there at once, and large ones where the system has them, rather than that the kernel is entered for each
 * of them. free() takes it. NULL without memory. */
void *large_alloc(size_t size);

#endif
