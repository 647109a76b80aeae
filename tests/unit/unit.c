/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs one CUnit suite and reports it in one line; see unit.h. */
#include "unit.h"

#include <CUnit/TestRun.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/standard.h"

static char directory[64];
static unsigned skipped;

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
	(void)status, (void)type, (void)ftw;
	return remove(path);
}

static void remove_directory(void)
{
	nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *unit_directory(void)
{
	if (!directory[0]) {
		strcpy(directory, "/tmp/tenon-unit.XXXXXX");
		if (!mkdtemp(directory)) {
			perror("mkdtemp");
			exit(1);
		}
		atexit(remove_directory);
	}
	return directory;
}

void unit_skip(const char *format, ...)
{
	va_list args;

	skipped++;
	printf("  skipped %s: ", CU_get_current_test()->pName);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
}

static void test_done(const CU_pTest test, const CU_pSuite suite, const CU_pFailureRecord failure)
{
	(void)suite;
	for (const CU_FailureRecord *at = failure; at; at = at->pNext)
		if (at->pTest == test)
			printf("  FAILED %s: %s:%u: %s\n", test->pName, at->strFileName,
			       at->uiLineNumber, at->strCondition);
	fflush(stdout);
}

int unit_main(const char *suite, const struct unit_test *tests, unsigned count, int argc,
	      char **argv)
{
	const char *only = argc > 1 && argv[1][0] != '-' ? argv[1] : NULL;
	unsigned failed, run;
	CU_pSuite handle;

	if (standard_open() || CU_initialize_registry() != CUE_SUCCESS)
		return 1;
	handle = CU_add_suite(suite, NULL, NULL);
	for (unsigned i = 0; handle && i < count; i++)
		if (!only || strstr(tests[i].name, only))
			if (!CU_add_test(handle, tests[i].name, tests[i].run))
				return 1;
	CU_set_test_complete_handler(test_done);
	CU_run_all_tests();
	run = CU_get_number_of_tests_run();
	failed = CU_get_number_of_tests_failed();
	printf("tenon-unit: %u passed, %u failed, %u skipped\n", run - failed - skipped, failed,
	       skipped);
	CU_cleanup_registry();
	return failed || !run;
}
