/* SPDX-License-Identifier: BSD-2-Clause */
/* volume/: nothing is committed that lvm2's own check would refuse. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "volume_fixture.h"

static void test_tags(void)
{
	static const struct {
		const char *tag;
		int rc;
	} tags[] = {
		{ "db", 0 },        { "a.b_c-d+e/f=g!h:i&j#k", 0 },
		{ "/", 0 },         { "0", 0 },
		{ "", -EINVAL },    { "@db", -EINVAL },
		{ "d@b", -EINVAL }, { "two words", -EINVAL },
		{ "-x", 0 },        { "x\n", -EINVAL },
		{ "x\"", -EINVAL }, { "gr\xc3\xbc\xc3\x9f", -EINVAL },
		{ "x*", -EINVAL },
	};
	struct error error;

	for (size_t i = 0; i < ARRAY_SIZE(tags); i++)
		CU_ASSERT_EQUAL(volume_tag_check(tags[i].tag, &error), tags[i].rc);
	CU_ASSERT_EQUAL(volume_tag_check("two words", &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "byte 4 is 0x20"));
}

static int create_tagged(struct fixture *f, const char *name, const char *tag)
{
	return volume_lv_create(
		f->group, name,
		&(struct volume_lv_options){ .extents = 1, .tags = &tag, .tag_count = 1 }, NULL,
		&f->error);
}

static void bad_tags_change_nothing(struct fixture *f)
{
	const char *tag = "no good";
	struct volume_group_options options = { .tags = &tag, .tag_count = 1 };
	struct volume_group *group;
	char before[4096], after[4096];

	CU_ASSERT_EQUAL(block_read(f->disks[0], 0, before, sizeof(before)), 0);
	CU_ASSERT_EQUAL(volume_group_create(&group, "vg0", f->disks, f->count, &options,
					    &f->context, &f->error),
			-EINVAL);
	CU_ASSERT_EQUAL(block_read(f->disks[0], 0, after, sizeof(after)), 0);
	CU_ASSERT(!memcmp(before, after, sizeof(before)));
	fixture_create(f, NULL);
	CU_ASSERT_EQUAL(create_tagged(f, "a", ""), -EINVAL);
	CU_ASSERT_EQUAL(create_tagged(f, "a", "@x"), -EINVAL);
	CU_ASSERT_EQUAL(f->group->lv_count, 0);
	CU_ASSERT_EQUAL(create_tagged(f, "a", "x"), 0);
}

static void test_bad_tags_change_nothing(void)
{
	fixture_run(bad_tags_change_nothing, 1, 16 * MIB);
}

/* The group is "vg0": 121 characters are left for a volume. */
static void names_together(struct fixture *f)
{
	char name[140];

	fixture_create(f, NULL);
	memset(name, 'y', sizeof(name));
	name[122] = '\0';
	CU_ASSERT_EQUAL(fixture_lv(f, name, 1), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "125 together, at most 124"));
	name[121] = '\0';
	CU_ASSERT_EQUAL(fixture_lv(f, name, 1), 0);
	CU_ASSERT_EQUAL(fixture_lv(f, "short", 1), 0);
	name[121] = 'y';
	name[122] = '\0';
	CU_ASSERT_EQUAL(volume_lv_rename(f->group, "short", name, &f->error), -EINVAL);
	/* device-mapper's name of it is longer than that of 121 letters */
	memset(name, 'z', 121);
	memset(name + 1, '-', 5);
	name[121] = '\0';
	CU_ASSERT_EQUAL(volume_lv_rename(f->group, "short", name, &f->error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "device-mapper"));
	CU_ASSERT_EQUAL(fixture_scan(f), 0);
	CU_ASSERT_PTR_NOT_NULL(volume_group_get_lv(f->group, "short"));
}

static void test_names_together(void)
{
	fixture_run(names_together, 1, 16 * MIB);
}

/* Replaces `from` in the text that is on the disk, and scans. */
static void rewrite(struct fixture *f, const char *from, const char *to)
{
	char *text, *other;

	CU_ASSERT_EQUAL_FATAL(volume_group_text(f->group, &text, NULL), 0);
	other = fixture_replace(text, from, to);
	fixture_put_text(f, 0, other);
	free(text);
	free(other);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
}

static void names_of_the_past(struct fixture *f)
{
	fixture_create(f, NULL);
	CU_ASSERT_EQUAL(fixture_lv(f, "a", 1), 0);
	CU_ASSERT_EQUAL(fixture_lv(f, "origin", 1), 0);
	rewrite(f, "\n}\n# Generated",
		"\nhistorical_logical_volumes {\nt2 {\n"
		"id = \"aaaaaa-aaaa-aaaa-aaaa-aaaa-aaaa-000001\"\norigin = \"origin\"\n}\nx {\n"
		"id = \"aaaaaa-aaaa-aaaa-aaaa-aaaa-aaaa-000002\"\nname = \"named\"\n"
		"descendants = [\"-t2\"]\n}\n}\n}\n"
		"# Generated");
	CU_ASSERT_PTR_NULL(f->group->locked_reason);
	CU_ASSERT_EQUAL(fixture_lv(f, "t2", 1), -EEXIST);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "history"));
	CU_ASSERT_EQUAL(fixture_lv(f, "named", 1), -EEXIST);
	CU_ASSERT_EQUAL(volume_lv_rename(f->group, "a", "t2", &f->error), -EEXIST);
	CU_ASSERT_EQUAL(volume_lv_rename(f->group, "origin", "b", &f->error), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "origin", &f->error), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(volume_lv_rename(f->group, "a", "t3", &f->error), 0);
}

static void test_names_of_the_past(void)
{
	fixture_run(names_of_the_past, 1, 16 * MIB);
}

/* A group that fails the check already is changed only where the change mends it. */
static void what_is_wrong_already(struct fixture *f)
{
	fixture_create(f, NULL);
	CU_ASSERT_EQUAL(create_tagged(f, "a", "tag"), 0);
	CU_ASSERT_EQUAL(fixture_lv(f, "b", 1), 0);
	rewrite(f, "tags = [\"tag\"]", "tags = [\"no tag\"]");
	CU_ASSERT_EQUAL(fixture_lv(f, "c", 1), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "volume a: tag \"no tag\""));
	CU_ASSERT_PTR_NULL(volume_group_get_lv(f->group, "c"));
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "a", &f->error), 0);
	CU_ASSERT_EQUAL(fixture_lv(f, "c", 1), 0);
	rewrite(f, "\n}\n# Generated",
		"\nhistorical_logical_volumes {\nt2 {\n"
		"id = \"aaaaaa-aaaa-aaaa-aaaa-aaaa-aaaa-000001\"\n}\n}\n}\n# Generated");
	CU_ASSERT_EQUAL(fixture_lv(f, "d", 1), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "t2 in the history is in no chain"));
	rewrite(f, "max_lv = 0", "max_lv = 0\nlock_args = \"1.0.0:x\"");
	CU_ASSERT_EQUAL(fixture_lv(f, "e", 1), -EINVAL);
}

static void test_what_is_wrong_already(void)
{
	fixture_run(what_is_wrong_already, 1, 16 * MIB);
}

static void what_nobody_knows(struct fixture *f)
{
	static const struct {
		const char *from, *to, *reason;
	} cases[] = {
		{ "status = [\"ALLOCATABLE\"]", "status = [\"ALLOCATABLE\", \"NEW\"]",
		  "status NEW" },
		{ "\"WRITE\", \"VISIBLE\"]", "\"WRITE\", \"VISIBLE\", \"HYPER\"]", "status HYPER" },
		{ "type = \"striped\"", "type = \"erasure\"", "type erasure" },
		{ "type = \"striped\"", "type = \"striped+RESHAPE\"", "type striped+RESHAPE" },
		{ "type = \"striped\"", "type = \"raid5_ls+PARITY\"", "type raid5_ls+PARITY" },
		{ "status = [\"ALLOCATABLE\"]", "status = [\"CACHE_VOL\"]", "status CACHE_VOL" },
		{ "\"WRITE\", \"VISIBLE\"]", "\"WRITE\", \"VISIBLE\", \"PVMOVE\"]", NULL },
		{ "type = \"striped\"", "type = \"thin-pool+CROP_METADATA\"", NULL },
		{ "flags = []", "flags = [\"NEW\"]", NULL },
	};

	fixture_create(f, NULL);
	CU_ASSERT_EQUAL(fixture_lv(f, "a", 1), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *text;

		CU_ASSERT_EQUAL(volume_group_text(f->group, &text, NULL), 0);
		rewrite(f, cases[i].from, cases[i].to);
		if (cases[i].reason) {
			CU_ASSERT_PTR_NOT_NULL_FATAL(f->group->locked_reason);
			CU_ASSERT_PTR_NOT_NULL(strstr(f->group->locked_reason, cases[i].reason));
		} else {
			CU_ASSERT_PTR_NULL(f->group->locked_reason);
		}
		fixture_put_text(f, 0, text);
		free(text);
		CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	}
}

static void test_what_nobody_knows(void)
{
	fixture_run(what_nobody_knows, 1, 16 * MIB);
}

UNIT_MAIN("metadata as lvm2 wants it", UNIT(test_tags), UNIT(test_bad_tags_change_nothing),
	  UNIT(test_names_together), UNIT(test_names_of_the_past), UNIT(test_what_is_wrong_already),
	  UNIT(test_what_nobody_knows))
