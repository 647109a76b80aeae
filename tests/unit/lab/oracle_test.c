/* SPDX-License-Identifier: BSD-2-Clause */
/* What an array must hold, and the sparse stores of simulated disks. */
#include <stdlib.h>
#include <string.h>

#include "tools/lab/oracle.h"
#include "tools/lab/store.h"
#include "unit.h"
#include "util/random.h"

/* What was flushed must be there; what was not is old or new; nothing else will do. */
static void test_versions(void)
{
	struct lab_oracle oracle;
	char bytes[2 * LAB_SECTOR];
	uint32_t first, second;
	uint64_t token;

	lab_oracle_begin(&oracle, 16, 1);
	first = lab_oracle_issue(&oracle, 4, 2);
	lab_oracle_fill(&oracle, 4, 2, first, bytes);
	CU_ASSERT_EQUAL(lab_oracle_version(&oracle, 5, bytes + LAB_SECTOR), first);
	CU_ASSERT_EQUAL(lab_oracle_version(&oracle, 4, bytes + LAB_SECTOR), LAB_ANYTHING);
	bytes[100] ^= 1;
	CU_ASSERT_EQUAL(lab_oracle_version(&oracle, 4, bytes), LAB_ANYTHING);
	lab_oracle_ack(&oracle, 4, 2, first, false);
	CU_ASSERT_EQUAL(lab_oracle_legal(&oracle, 4, true).least, 0);
	CU_ASSERT_EQUAL(lab_oracle_legal(&oracle, 4, false).least, first);
	token = lab_oracle_flush(&oracle);
	second = lab_oracle_issue(&oracle, 5, 1);
	lab_oracle_ack(&oracle, 5, 1, second, false);
	lab_oracle_flushed(&oracle, token); /* it began before the second was acknowledged */
	CU_ASSERT_EQUAL(lab_oracle_legal(&oracle, 5, true).least, first);
	CU_ASSERT_EQUAL(lab_oracle_legal(&oracle, 5, true).most, second);
	/* What a crash took is covered by no later flush. */
	lab_oracle_crash(&oracle);
	lab_oracle_take(&oracle, 5, first);
	lab_oracle_flushed(&oracle, lab_oracle_flush(&oracle));
	CU_ASSERT_EQUAL(lab_oracle_legal(&oracle, 5, true).least, first);
	CU_ASSERT_EQUAL(lab_oracle_legal(&oracle, 5, true).most, first);
	lab_oracle_end(&oracle);
}

/* A store over another against plain memory. */
static void test_stores(void)
{
	enum { SIZE = 4 << 20 };
	struct lab_store *base = lab_store_create(SIZE, NULL), *over;
	unsigned char *below = calloc(1, SIZE), *model = calloc(1, SIZE), *found = malloc(SIZE);
	struct random random = { 1 };

	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 200; i++) {
			uint64_t at = random_below(&random, SIZE / 2);
			uint64_t length = 1 + random_below(&random, 20000);

			random_fill(&random, found, length);
			lab_store_write(base, at, found, length);
			memcpy(below + at, found, length);
		}
		memcpy(model, below, SIZE);
		over = lab_store_create(SIZE, base);
		for (unsigned i = 0; i < 200; i++) {
			uint64_t at = random_below(&random, SIZE / 2);
			uint64_t length = 1 + random_below(&random, 20000);

			random_fill(&random, found, length);
			if (i % 3) {
				lab_store_write(over, at, found, length);
				memcpy(model + at, found, length);
			} else {
				lab_store_zero(over, at, length);
				memset(model + at, 0, length);
			}
		}
		lab_store_read(over, 0, found, SIZE);
		CU_ASSERT_EQUAL(memcmp(found, model, SIZE), 0);
		lab_store_read(base, 0, found, SIZE);
		CU_ASSERT_EQUAL(memcmp(found, below, SIZE), 0);
		lab_store_reset(over);
		lab_store_read(over, 0, found, SIZE);
		CU_ASSERT_EQUAL(memcmp(found, below, SIZE), 0);
		CU_ASSERT_TRUE(lab_store_is_hole(over, SIZE - 65536, 65536));
		lab_store_free(over);
	}
	lab_store_free(base);
	free(below);
	free(model);
	free(found);
}

UNIT_MAIN("lab oracle", UNIT(test_versions), UNIT(test_stores))
