/* SPDX-License-Identifier: BSD-2-Clause */
/* See large.h. */
#include "util/large.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "util/bytes.h"

#define PAGE  4096u
#define LARGE (2u << 20)
#define LEAST (128u << 10) /* what is smaller comes from memory that has its pages, mostly */

void *large_alloc(size_t size)
{
	size_t large = round_down(size, LARGE), pages = round_down(size, PAGE);
	void *at;

	if (posix_memalign(&at, large ? LARGE : PAGE, size))
		return NULL;
	/* Where the kernel does not know one of them, pages come as they are touched. */
	if (large)
		madvise(at, large, MADV_HUGEPAGE);
	if (size >= LEAST)
		madvise(at, pages, MADV_POPULATE_WRITE);
	return at;
}
