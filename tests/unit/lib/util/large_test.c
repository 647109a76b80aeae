/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory for what is large. */
#include "util/large.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "unit.h"
#include "util/bytes.h"

#define PAGE 4096u

/* Linux 5.14 and later. */
static bool knows_populate(void)
{
	void *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool knows = !madvise(at, PAGE, MADV_POPULATE_WRITE);

	munmap(at, PAGE);
	return knows;
}

/* Whether all whole pages of it are there, before anybody has touched them. */
static bool is_there(const char *at, size_t size)
{
	size_t pages = size / PAGE;
	unsigned char *there = calloc(pages, 1);
	bool all = !mincore((void *)at, pages * PAGE, there);

	for (size_t i = 0; i < pages; i++)
		all &= there[i] & 1;
	free(there);
	return all;
}

static void test_pages_are_there(void)
{
	static const size_t sizes[] = {
		1, PAGE, 100000, 200000, (2u << 20) - 1, 2u << 20, 5000001
	};

	bool knows = knows_populate();

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		char *at = large_alloc(sizes[i]);

		CU_ASSERT_PTR_NOT_NULL_FATAL(at);
		CU_ASSERT_EQUAL((uintptr_t)at % PAGE, 0);
		if (knows && sizes[i] >= 200000)
			CU_ASSERT_TRUE(is_there(at, sizes[i]));
		memset(at, 0x5a, sizes[i]);
		CU_ASSERT_EQUAL(at[sizes[i] - 1], 0x5a);
		free(at);
	}
}

UNIT_MAIN("large", UNIT(test_pages_are_there))
