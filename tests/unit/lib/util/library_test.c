/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/util/library: what is there, what is not, and which package would mend that. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "util/error.h"
#include "util/library.h"

static double (*cosine)(double angle);
static void (*missing)(void);

static void test_functions(void)
{
	const struct library_function functions[] = { { "cos", &cosine } };
	struct error error = { 0 };

	CU_ASSERT_EQUAL_FATAL(library_load("libm.so.6", "libc6", functions, 1, &error), 0);
	CU_ASSERT_EQUAL(cosine(0), 1);
}

static void test_what_is_not_there(void)
{
	const struct library_function functions[] = { { "cos", &cosine }, { "cosmos", &missing } };
	struct error error = { 0 };

	CU_ASSERT_EQUAL(library_load("libnone.so.9", "libnone9", functions, 2, &error), -ENOPKG);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "cannot use libnone.so.9"));
	CU_ASSERT_PTR_NOT_NULL(strstr(error.advice, "apt-get install libnone9"));
	CU_ASSERT_EQUAL(library_load("libm.so.6", "libc6", functions, 2, &error), -ENOPKG);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "libm.so.6: has no cosmos()"));
	CU_ASSERT_PTR_NULL(missing);
}

UNIT_MAIN("libraries", UNIT(test_functions), UNIT(test_what_is_not_there))
