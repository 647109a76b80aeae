/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch/link_table: distributions of jitter from files, as iproute2 and netem have them. */
#include "unit.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"
#include "vswitch/link_model.h"

#define PACKETS 40000u

static struct link_table *read_table(const char *text)
{
	struct link_table *table = NULL;
	struct error error = { 0 };

	CU_ASSERT_EQUAL_FATAL(link_table_read(&table, "a/b c.dist", text, &error), 0);
	return table;
}

static void test_reading(void)
{
	struct link_table *table = read_table("# made\n  -8192 0\n\t8192 32767\r\n#5\n\n-32768");
	static const int16_t wanted[] = { -8192, 0, 8192, 32767, -32768 };

	CU_ASSERT_STRING_EQUAL(table->name, "b_c.dist");
	CU_ASSERT_EQUAL_FATAL(table->count, 5);
	CU_ASSERT(!memcmp(table->values, wanted, sizeof(wanted)));
	link_table_drop(table);
}

static void test_wrong_files(void)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "", "nothing in it" },
		{ "# nothing\n", "nothing in it" },
		{ "1\n2 x\n", "line 2: expected whole numbers" },
		{ "1\n\n1.5\n", "line 3: expected whole numbers" },
		{ "32768", "line 1: expected whole numbers" },
		{ "-32769", "line 1: expected whole numbers" },
		{ "99999999999999999999", "line 1: expected whole numbers" },
		{ "1 # not at the line's begin", "line 1: expected whole numbers" },
	};
	static char many[2 * (LINK_TABLE_MOST + 1) + 1];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct link_table *table = NULL;
		struct error error = { 0 };

		CU_ASSERT_EQUAL(link_table_read(&table, "t", cases[i].text, &error), -EINVAL);
		CU_ASSERT_PTR_NOT_NULL(strstr(error.text, cases[i].says));
	}
	for (size_t i = 0; i <= LINK_TABLE_MOST; i++)
		memcpy(many + 2 * i, "1 ", 2);
	for (unsigned more = 0; more < 2; more++) {
		struct link_table *table = NULL;

		many[2 * (LINK_TABLE_MOST + more)] = '\0';
		CU_ASSERT_EQUAL(link_table_read(&table, "t", many, NULL), more ? -EINVAL : 0);
		link_table_drop(table);
		many[2 * (LINK_TABLE_MOST + more)] = '1';
	}
}

/* tabledist() of sch_netem.c, with `t` the number that is drawn. */
static int64_t netem_delay(int64_t mu, int64_t sigma, int64_t t)
{
	int64_t x = sigma % 8192 * t;

	x += x >= 0 ? 4096 : -4096;
	return x / 8192 + sigma / 8192 * t + mu;
}

/* Each number gives netem's delay, and is as likely as the others (chi-square of 4 degrees at 1e-5: 28.5). */
static void test_delays_are_netems(void)
{
	struct link_table *table = read_table("-8192 -100 1 8191 30000");
	struct link_model model = { .delay_ns = 50000000,
				    .jitter_ns = 3000001,
				    .jitter = LINK_TABLE,
				    .table = table,
				    .seed = 5 };
	unsigned counts[5] = { 0 };
	struct link_way way;
	double chi = 0;

	link_way_start(&way, &model, "l", false);
	for (unsigned i = 0; i < PACKETS; i++) {
		struct link_fate fate;
		unsigned at = 0;

		link_way_decide(&way, 1000, 100, 0, false, &fate);
		while (at < 5) {
			int64_t netem = netem_delay(50000000, 3000001, table->values[at]);
			int64_t ours = (int64_t)(fate.due[0] - 1000);

			if (ours >= netem - 1 && ours <= netem + 1)
				break;
			at++;
		}
		CU_ASSERT_FATAL(at < 5);
		counts[at]++;
	}
	for (unsigned i = 0; i < 5; i++) {
		double off = counts[i] - PACKETS / 5.0;

		chi += off * off / (PACKETS / 5.0);
	}
	CU_ASSERT(chi < 28.5);
	link_table_drop(table);
}

static void test_words(void)
{
	struct link_table *table = read_table("1 2");
	struct link_model model = { 0 };
	char text[512];

	CU_ASSERT_EQUAL(link_model_set(&model, "delay=10ms", NULL), 0);
	CU_ASSERT_EQUAL(link_model_set(&model, "jitter=2ms,table=x/b_c.dist", NULL), 0);
	CU_ASSERT_EQUAL(link_model_check(&model, NULL), -EINVAL);
	model.table = table;
	CU_ASSERT_EQUAL(link_model_check(&model, NULL), 0);
	link_model_describe(&model, text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "delay=10ms jitter=2ms,table=b_c.dist");
	/* Another shape forgets it. */
	CU_ASSERT_EQUAL(link_model_set(&model, "jitter=2ms", NULL), 0);
	CU_ASSERT_PTR_NULL(model.table);
	CU_ASSERT_EQUAL(link_model_check(&model, NULL), 0);
	CU_ASSERT_EQUAL(link_model_set(&model, "jitter=2ms,table=", NULL), -EINVAL);
	link_table_drop(table);
}

/* iproute2's own, where it is installed: all that netem takes. */
static void test_iproute2s_files(void)
{
	glob_t found = { 0 };

	glob("/usr/lib/tc/*.dist", 0, NULL, &found);
	glob("/usr/lib/*/tc/*.dist", GLOB_APPEND, NULL, &found);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		static char text[LINK_TABLE_BYTES];
		FILE *file = fopen(found.gl_pathv[i], "r");
		struct link_table *table;

		CU_ASSERT_PTR_NOT_NULL_FATAL(file);
		text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
		fclose(file);
		table = read_table(text);
		CU_ASSERT(table->count >= 4096);
		link_table_drop(table);
	}
	globfree(&found);
}

UNIT_MAIN("tables of jitter", UNIT(test_reading), UNIT(test_wrong_files),
	  UNIT(test_delays_are_netems), UNIT(test_words), UNIT(test_iproute2s_files))
