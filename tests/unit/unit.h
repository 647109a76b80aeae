/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A unit test program: one file `FOLDER/NAME_test.c` below this folder, one CUnit suite.
 *
 *	static void test_empty_name_is_refused(void) { CU_ASSERT_EQUAL(...); }
 *
 *	UNIT_MAIN("pv label", UNIT(test_empty_name_is_refused), UNIT(...))
 *
 * Each prints its failures and, last, "tenon-unit: N passed, N failed, N skipped". An argument that
 * does not begin with '-' runs only the tests whose name contains it.
 */
#ifndef TENON_TESTS_UNIT_H
#define TENON_TESTS_UNIT_H

#include <CUnit/CUnit.h>

struct unit_test {
	const char *name;
	void (*run)(void);
};

/* Says that the running test cannot run here and why; the test should return after it. */
void unit_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A directory of this run's own, removed at exit. */
const char *unit_directory(void);

int unit_main(const char *suite, const struct unit_test *tests, unsigned count, int argc,
	      char **argv);

#define UNIT(function)                                                                             \
	{                                                                                          \
#function, function                                                                \
	}

#define UNIT_MAIN(suite, ...)                                                                      \
	int main(int argc, char **argv)                                                            \
	{                                                                                          \
		static const struct unit_test tests_[] = { __VA_ARGS__ };                          \
		return unit_main(suite, tests_, sizeof(tests_) / sizeof(tests_[0]), argc, argv);   \
	}

#endif
