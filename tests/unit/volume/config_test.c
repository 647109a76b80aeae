/* SPDX-License-Identifier: BSD-2-Clause */
/* volume/lvm_config: the text grammar, both ways, and its errors. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/error.h"
#include "volume/lvm_config.h"

static int parse(struct lvm_config *config, const char *text, struct error *error)
{
	return lvm_config_parse(config, text, strlen(text), "disk", error);
}

static const struct lvm_config_node *only(struct lvm_config *config, const char *text)
{
	CU_ASSERT_EQUAL_FATAL(parse(config, text, NULL), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(config->root);
	return config->root;
}

static void test_sections_keys_and_comments(void)
{
	CLEANUP_LVM_CONFIG struct lvm_config config;
	const struct lvm_config_node *vg =
		only(&config, "# head\nvg0 { # of the group\n\tseqno = 7\n\n\tpv0 {\nid=\"x\"}\n}\n"
			      "version=1");

	CU_ASSERT_STRING_EQUAL(vg->key, "vg0");
	CU_ASSERT(vg->section);
	CU_ASSERT_STRING_EQUAL(vg->child->key, "seqno");
	CU_ASSERT_EQUAL(vg->child->values->integer, 7);
	CU_ASSERT_EQUAL(vg->child->line, 3);
	CU_ASSERT_EQUAL(vg->child->column, 2);
	CU_ASSERT_STRING_EQUAL(vg->child->next->child->values->string, "x");
	CU_ASSERT_STRING_EQUAL(vg->next->key, "version");
	CU_ASSERT_PTR_NULL(vg->next->next);
	CU_ASSERT_PTR_EQUAL(lvm_config_find(vg->child, "pv0"), vg->child->next);
	CU_ASSERT_PTR_NULL(lvm_config_find(vg->child, "pv1"));
}

static void test_values_of_all_types(void)
{
	CLEANUP_LVM_CONFIG struct lvm_config config;
	const struct lvm_config_node *node =
		only(&config, "a = [1, -2, 0x1F, +3, 1.5, .25, \"s\", 'q\\', bare/word, 12-34]");
	static const enum lvm_config_type types[] = {
		LVM_CONFIG_INTEGER, LVM_CONFIG_INTEGER, LVM_CONFIG_INTEGER, LVM_CONFIG_INTEGER,
		LVM_CONFIG_FLOAT,   LVM_CONFIG_FLOAT,   LVM_CONFIG_STRING,  LVM_CONFIG_STRING,
		LVM_CONFIG_STRING,  LVM_CONFIG_STRING,
	};

	CU_ASSERT_EQUAL_FATAL(node->value_count, 10);
	for (unsigned i = 0; i < 10; i++)
		CU_ASSERT_EQUAL(node->values[i].type, types[i]);
	CU_ASSERT_EQUAL(node->values[1].integer, -2);
	CU_ASSERT_EQUAL(node->values[2].integer, 31);
	CU_ASSERT_EQUAL(node->values[3].integer, 3);
	CU_ASSERT_STRING_EQUAL(node->values[4].string, "1.5");
	CU_ASSERT_STRING_EQUAL(node->values[7].string, "q\\");
	CU_ASSERT_STRING_EQUAL(node->values[8].string, "bare/word");
}

static void test_escapes_in_strings(void)
{
	CLEANUP_LVM_CONFIG struct lvm_config config;
	const struct lvm_config_node *node = only(&config, "a = \"q\\\" b\\\\ c\\d # {\xc3\xa9}\"");

	CU_ASSERT_STRING_EQUAL(node->values->string, "q\" b\\ cd # {\xc3\xa9}");
}

static void test_arrays_of_none_one_and_a_last_comma(void)
{
	CLEANUP_LVM_CONFIG struct lvm_config config;
	const struct lvm_config_node *node =
		only(&config, "a=[]\nb = [ 1 ]\nc=[\n\"x\",\n2,\n]\nd=3");

	CU_ASSERT(node->array && node->value_count == 0);
	node = node->next;
	CU_ASSERT(node->array && node->value_count == 1);
	node = node->next;
	CU_ASSERT(node->array && node->value_count == 2);
	node = node->next;
	CU_ASSERT(!node->array && node->value_count == 1);
}

static void test_a_nul_ends_the_text(void)
{
	CLEANUP_LVM_CONFIG struct lvm_config config;

	CU_ASSERT_EQUAL(lvm_config_parse(&config, "a=1\n\0{{{", 8, "disk", NULL), 0);
	CU_ASSERT_STRING_EQUAL(config.root->key, "a");
	CU_ASSERT_PTR_NULL(config.root->next);
}

static void test_errors_say_where(void)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ "a = ", "line 1 column 5: the text ends, expected a value" },
		{ "vg {\n a = 1\n", "line 3 column 1: the text ends, expected '}'" },
		{ "vg {\n a 1\n}", "line 2 column 4: found '1', expected '=' or '{'" },
		{ "}", "line 1 column 1: found '}', expected the end of the text" },
		{ "a = \"open", "expected a closing '\"'" },
		{ "a = [1 2]", "line 1 column 8: found '2', expected ',' or ']'" },
		{ "a = [1, {", "found '{', expected a value" },
		{ "a = 99999999999999999999",
		  "line 1 column 5: 99999999999999999999 does not fit" },
		{ "a = 0x8000000000000000", "does not fit into 64 bits" },
		{ "\"\" = 1", "expected a name that is not empty" },
		{ "=", "expected a name" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CLEANUP_LVM_CONFIG struct lvm_config config;
		struct error error = { 0 };

		CU_ASSERT_EQUAL(parse(&config, bad[i].text, &error), -EBADMSG);
		CU_ASSERT_PTR_NOT_NULL(strstr(error.text, bad[i].says));
		if (!strstr(error.text, bad[i].says))
			fprintf(stderr, "got: %s\n", error.text);
	}
}

static void test_depth_is_bounded(void)
{
	CLEANUP_LVM_CONFIG struct lvm_config config;
	char text[4001] = "";

	for (int i = 0; i < 1000; i++)
		strcat(text, "a { ");
	CU_ASSERT_EQUAL(parse(&config, text, NULL), -EBADMSG);
}

static void test_what_is_written_reads_back_the_same(void)
{
	static const char text[] = "vg {\nid = \"a\\\"b\\\\c\"\nlist = [\"x\", 1, 1.5]\nnone = []\n"
				   "one = [1]\nsub {\n\"odd key!\" = -5\n}\n}\n";
	CLEANUP_LVM_CONFIG struct lvm_config config;
	struct lvm_text out = { 0 };

	lvm_text_node(&out, only(&config, text));
	CU_ASSERT_FALSE(out.failed);
	CU_ASSERT_STRING_EQUAL(out.at, text);
	free(out.at);
}

UNIT_MAIN("LVM2 text grammar", UNIT(test_sections_keys_and_comments),
	  UNIT(test_values_of_all_types), UNIT(test_escapes_in_strings),
	  UNIT(test_arrays_of_none_one_and_a_last_comma), UNIT(test_a_nul_ends_the_text),
	  UNIT(test_errors_say_where), UNIT(test_depth_is_bounded),
	  UNIT(test_what_is_written_reads_back_the_same))
