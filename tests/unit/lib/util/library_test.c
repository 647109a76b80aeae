/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/util/library: what is there, what is not, and which package would mend that. */
#include "unit.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/library.h"

static double (*cosine)(double angle);
static void (*missing)(void);

static void test_functions(void)
{
	const struct library_function functions[] = { { "cos", &cosine } };
	struct error error = { 0 };

	CU_ASSERT_EQUAL_FATAL(library_load("libm.so.6", functions, 1, &error), 0);
	CU_ASSERT_EQUAL(cosine(0), 1);
}

static void test_what_is_not_there(void)
{
	const struct library_function functions[] = { { "cos", &cosine }, { "cosmos", &missing } };
	struct error error = { 0 };

	CU_ASSERT_EQUAL(library_load("libnone.so.9", functions, 2, &error), -ENOPKG);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "cannot use libnone.so.9"));
	CU_ASSERT_PTR_NOT_NULL(strstr(error.advice, "apt-get install libnone9"));
	CU_ASSERT_EQUAL(library_load("libm.so.6", functions, 2, &error), -ENOPKG);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "libm.so.6: has no cosmos()"));
	CU_ASSERT_PTR_NULL(missing);
}

#define MATHS(F) F(sin) F(cos)
LIBRARY_DECLARE(libm, MATHS)
LIBRARY_DEFINE(libm, MATHS, "libm.so.6", "tests")

static void *load_and_ask(void *arg)
{
	*(double *)arg = libm_load(NULL) ? 0 : libm.cos(0) + libm.sin(0);
	return NULL;
}

/* Whoever comes first loads it, and all find it loaded (also under TSan). */
static void test_threads(void)
{
	double answers[8] = { 0 };
	pthread_t threads[8];

	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, load_and_ask, &answers[i]),
				      0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++)
		CU_ASSERT_EQUAL(answers[i], 1);
}

#define WANTING(F) F(sin) F(none)
double none(double angle);
LIBRARY_DECLARE(libwanting, WANTING)
LIBRARY_DEFINE(libwanting, WANTING, "libm-6.so.6", "tests")

/* What failed once fails again, and is not taken for loaded; the package's name by Debian's rule. */
static void test_table_that_is_not_there(void)
{
	for (unsigned i = 0; i < 2; i++) {
		struct error error = { 0 };

		CU_ASSERT_EQUAL(libwanting_load(&error), -ENOPKG);
		CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "cannot use libm-6.so.6"));
		CU_ASSERT_PTR_NOT_NULL(strstr(error.advice, "apt-get install libm-6-6"));
	}
}

static void test_path(void)
{
	CLEANUP_FREE char *path = NULL;

	CU_ASSERT_EQUAL_FATAL(library_path("libm.so.6", &path, NULL), 0);
	CU_ASSERT_EQUAL(path[0], '/');
	CU_ASSERT_EQUAL(access(path, R_OK), 0);
}

UNIT_MAIN("libraries", UNIT(test_functions), UNIT(test_what_is_not_there), UNIT(test_threads),
	  UNIT(test_table_that_is_not_there), UNIT(test_path))
