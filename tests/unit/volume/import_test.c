/* SPDX-License-Identifier: BSD-2-Clause */
/* volume/: metadata that another LVM2 wrote: what must be kept, what is refused, what is invalid. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "volume/lvm_vg.h"
#include "volume/volume_raid.h"
#include "volume_fixture.h"

static char *exported(struct fixture *f, struct volume_group *group)
{
	struct lvm_text text = { 0 };

	CU_ASSERT_EQUAL(lvm_vg_set_context(group, &f->context), 0);
	lvm_vg_export(group, 1000000000, &text);
	return text.at;
}

/* Imports a text as it is: 0, or the error in f->error. */
static int import(struct fixture *f, const char *text, struct volume_group **out)
{
	struct lvm_config config;
	int r = lvm_config_parse(&config, text, strlen(text), "disk", &f->error);
	struct volume_group *passed = NULL;
	struct error why = { 0 };

	r = r ? r : lvm_vg_import(&config, "disk", out, &f->error);
	/* In one pass it is the same. */
	CU_ASSERT_EQUAL(lvm_vg_read(text, strlen(text), "disk", &passed, &why), r);
	if (r) {
		CU_ASSERT_STRING_EQUAL(why.text, f->error.text);
	} else {
		CLEANUP_FREE char *one = exported(f, passed);
		CLEANUP_FREE char *other = exported(f, *out);

		CU_ASSERT_STRING_EQUAL(one, other);
	}
	volume_group_unref(passed);
	return r;
}

/* vg0 on two disks with the linear volumes a (20 extents over both) and b (1). */
static char *sample_text(struct fixture *f)
{
	char *text;

	fixture_create(f, NULL);
	CU_ASSERT_EQUAL(fixture_lv(f, "a", 20), 0);
	CU_ASSERT_EQUAL(fixture_lv(f, "b", 1), 0);
	CU_ASSERT_EQUAL_FATAL(volume_group_text(f->group, &text, NULL), 0);
	return text;
}

static void text_goes_in_and_comes_out(struct fixture *f)
{
	CLEANUP_FREE char *text = sample_text(f);
	struct lvm_text out = { 0 };
	struct volume_group *group = NULL;

	CU_ASSERT_EQUAL_FATAL(import(f, text, &group), 0);
	CU_ASSERT_EQUAL(lvm_vg_set_context(group, &f->context), 0);
	lvm_vg_export(group, 1000000000, &out);
	CU_ASSERT_STRING_EQUAL(out.at, text);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "# Sun Sep  9 01:46:40 2001\n"));
	free(out.at);
	volume_group_unref(group);
}

static void test_text_goes_in_and_comes_out(void)
{
	fixture_run(text_goes_in_and_comes_out, 2, 16 * MIB);
}

/* Nearly what plain volumes look like, of which no tree is made. */
static const char *const nearly[][2] = {
	{ "\nb {\n", "\n\"b\" {\n" },
	{ "\nb {\n", "\nb{\n" },
	{ "\nb {\n", "\nb\t{\n" },
	{ "\nb {\n", "\nb! {\n" },
	{ "\nb {\n", "\na {\n" },
	{ "\nb {\n", "\nb { # of people\n" },
	{ "extent_count = 1\n", "extent_count = 0x1\n" },
	{ "extent_count = 1\n", "extent_count = 0\n" },
	{ "extent_count = 1\n", "extent_count = 01\n" },
	{ "extent_count = 1\n", "extent_count = 1000\n" },
	{ "extent_count = 1\n", "extent_count = 4294967296\n" },
	{ "extent_count = 1\n", "extent_count = 12345678901234567890\n" },
	{ "extent_count = 1\n", "extent_count = 1 more = 2\n" },
	{ "extent_count = 1\n", "extent_count = 1\n\n\n  " },
};

static void nearly_plain_volumes(struct fixture *f)
{
	CLEANUP_FREE char *text = sample_text(f);

	for (size_t i = 0; i < ARRAY_SIZE(nearly); i++) {
		CLEANUP_FREE char *other = fixture_replace(text, nearly[i][0], nearly[i][1]);
		struct volume_group *group = NULL;

		if (!import(f, other, &group))
			CU_ASSERT_PTR_NOT_NULL(volume_group_get_lv(group, "b"));
		volume_group_unref(group);
	}
}

static void test_nearly_plain_volumes(void)
{
	fixture_run(nearly_plain_volumes, 2, 16 * MIB);
}

/* ---- Required fields and consistency ---- */

static const struct {
	const char *from, *to, *says;
} broken[] = {
	{ "contents = \"Text", "contents = \"Other", "contents is \"Other Format" },
	{ "\nversion = 1\n", "\nversion = 2\n", "version is 2, expected 1" },
	{ "\nversion = 1\n", "\n", "has no version" },
	{ "seqno = 3\n", "", "vg0 has no seqno" },
	{ "seqno = 3\n", "seqno = \"3\"\n", "seqno of vg0 is no integer" },
	{ "seqno = 3\n", "seqno = -3\n", "seqno of vg0 is -3, expected 0 to 4294967295" },
	{ "seqno = 3\n", "seqno {\n}\n", "seqno of vg0 is a section" },
	{ "extent_size = 2048\n", "", "vg0 has no extent_size" },
	{ "extent_size = 2048\n", "extent_size = 0\n", "extent_size of vg0 is 0" },
	{ "max_pv = 0\n", "", "vg0 has no max_pv" },
	{ "pe_start = 2048\n", "", "has no pe_start" },
	{ "pe_count = 15\n", "pe_count = 17\n", "extents of pv0 end at sector 36864" },
	{ "pe_count = 15\n", "pe_count = 4294967296\n", "expected 0 to 4294967295" },
	{ "status = [\"ALLOCATABLE\"]\n", "", "pv0 has no status" },
	{ "pv1 {", "pv0 {", "two PVs are named pv0" },
	{ "physical_volumes {", "physical_things {", "vg0 has no physical_volumes" },
	{ "\nb {", "\na {", "two LVs are named a" },
	{ "segment_count = 2\n", "segment_count = 1\n", "segment_count of a is 1, it has 2" },
	{ "segment_count = 2\n", "", "a has no segment_count" },
	{ "start_extent = 15\n", "start_extent = 16\n", "begins at extent 16, expected 15" },
	{ "start_extent = 15\n", "start_extent = 14\n", "begins at extent 14, expected 15" },
	{ "start_extent = 15\n", "", "segment2 has no start_extent" },
	{ "extent_count = 15\n", "extent_count = 0\n", "segment1 has 0 extents" },
	{ "extent_count = 15\n", "extent_count = 4294967295\n", "extents 0 to 4294967295 of pv0" },
	{ "\"pv0\", 0\n", "\"pv0\", 1\n", "extents 1 to 16 of pv0 are used, it has 15" },
	{ "\"pv0\", 0\n", "\"pv0\", -1\n", "stripes has extent -1" },
	{ "\"pv0\", 0\n", "\"pv0\"\n", "not of 1 pairs" },
	{ "\"pv0\", 0\n", "0, \"pv0\"\n", "no list of pairs" },
	{ "\"pv1\", 5\n", "\"pv1\", 4\n", "extent 4 of pv1 is used twice" },
	{ "stripe_count = 1\n", "stripe_count = 0\n", "stripe_count of segment1 is 0" },
	{ "stripe_count = 1\n", "stripe_count = 2\n", "has no stripe_size" },
	{ "stripe_count = 1\n", "", "segment1 has no stripe_count" },
	{ "creation_host = \"testhost\"\nsegment", "segment", "creation_time and creation_host" },
	{ "\nb {", "\n\"b b\" {", "logical volume name" },
	{ "vg0 {", "\"v/g\" {", "volume group name" },
};

static void invalid_metadata(struct fixture *f)
{
	CLEANUP_FREE char *text = sample_text(f);

	for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
		CLEANUP_FREE char *bad = fixture_replace(text, broken[i].from, broken[i].to);
		struct volume_group *group = NULL;

		CU_ASSERT_EQUAL(import(f, bad, &group), -EBADMSG);
		CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, broken[i].says));
		if (!strstr(f->error.text, broken[i].says))
			fprintf(stderr, "%s -> %s: got: %s\n", broken[i].from, broken[i].to,
				f->error.text);
	}
}

static void test_invalid_metadata(void)
{
	fixture_run(invalid_metadata, 2, 16 * MIB);
}

/* ---- What is not known is kept ---- */

static const char *const additions[][2] = {
	{ "max_pv = 0\n", "max_pv = 0\nallocation_policy = \"cling\"\nnew_number = 0x10\n" },
	{ "pe_count = 15\n",
	  "pe_count = 15\nba_start = 1024\nba_size = 512\nnew_key = [1, 1.5]\n" },
	{ "segment_count = 2\n", "read_ahead = -1\nsegment_count = 2\n" },
	{ "type = \"striped\"\n", "type = \"striped\"\ntags = [\"seg\"]\n" },
	{ "logical_volumes {", "future_things {\nx {\ny = \"z\\\"\"\n}\n}\nlogical_volumes {" },
};

static void unknown_keys_are_kept(struct fixture *f)
{
	char *text = sample_text(f);

	for (size_t i = 0; i < ARRAY_SIZE(additions); i++) {
		char *more = fixture_replace(text, additions[i][0], additions[i][1]);

		free(text);
		text = more;
	}
	fixture_put_text(f, 0, text);
	fixture_put_text(f, 1, text);
	free(text);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(volume_lv_rename(f->group, "b", "c", NULL), 0);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(f->group->seqno, 4);
	CU_ASSERT_EQUAL_FATAL(volume_pv_dump_metadata(f->disks[1], &text, NULL), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "allocation_policy = \"cling\"\nnew_number = 16\n"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(text, "ba_start = 1024\nba_size = 512\nnew_key = [1, 1.5]\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "read_ahead = -1\nsegment_count = 2\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "tags = [\"seg\"]\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "future_things {\nx {\ny = \"z\\\"\"\n}\n}\n"));
	free(text);
}

static void test_unknown_keys_are_kept(void)
{
	fixture_run(unknown_keys_are_kept, 2, 16 * MIB);
}

/* A raid1 of two internal volumes, a snapshot's origin, a mirror on bare PVs. */
static const char other_types[] =
	"r {\nid = \"aaaaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaaaa\"\n"
	"status = [\"READ\", \"WRITE\", \"VISIBLE\"]\nflags = []\nsegment_count = 1\n\n"
	"segment1 {\nstart_extent = 0\nextent_count = 2\n\ntype = \"raid1\"\ndevice_count = 2\n"
	"region_size = 4096\nraids = [\"r_rmeta_0\", \"r_rimage_0\", \"r_rmeta_1\", "
	"\"b\"]\n}\n}\n\n"
	"m {\nid = \"bbbbbb-aaaa-aaaa-aaaa-aaaa-aaaa-aaaaaa\"\n"
	"status = [\"READ\", \"WRITE\", \"VISIBLE\"]\nflags = []\nsegment_count = 1\n\n"
	"segment1 {\nstart_extent = 0\nextent_count = 2\n\ntype = \"mirror\"\nmirror_count = 2\n"
	"mirrors = [\"pv1\", 8, \"pv1\", 10]\n}\n}\n\n"
	"r_rimage_0 {\nid = \"cccccc-aaaa-aaaa-aaaa-aaaa-aaaa-aaaaaa\"\n"
	"status = [\"READ\", \"WRITE\"]\nflags = []\nsegment_count = 1\n\n"
	"segment1 {\nstart_extent = 0\nextent_count = 2\n\ntype = \"striped\"\nstripe_count = 1\n\n"
	"stripes = [\n\"pv1\", 6\n]\n}\n}\n}\n\n}\n# Generated";

static void other_types_are_listed_kept_and_left_alone(struct fixture *f)
{
	char *text = sample_text(f),
	     *more = fixture_replace(text, "}\n\n}\n# Generated", other_types);
	struct block *lv;

	free(text);
	fixture_put_text(f, 0, more);
	fixture_put_text(f, 1, more);
	free(more);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(f->group->lv_count, 5);
	CU_ASSERT_STRING_EQUAL(volume_lv_type(volume_group_get_lv(f->group, "r")), "raid1");
	CU_ASSERT_FALSE(volume_group_get_lv(f->group, "r_rimage_0")->visible);
	CU_ASSERT_EQUAL(volume_open_lv(f->group, "r", false, &lv, &f->error), -EOPNOTSUPP);
	CU_ASSERT_PTR_NOT_NULL(strstr(
		f->error.text, "vg0/r: lies on another volume, r_rmeta_0, which is not there"));
	CU_ASSERT_EQUAL(volume_open_lv(f->group, "r_rimage_0", false, &lv, NULL), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "r", NULL), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "r_rimage_0", NULL), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(volume_lv_rename(f->group, "b", "c", &f->error), -EOPNOTSUPP);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "r is made of it"));
	/* 30 less 21 of a and b, 2 of the image, 4 of the mirror's two parts */
	CU_ASSERT_EQUAL(f->group->free_extents, 3);
	/* lvm2 would read it no more */
	CU_ASSERT_EQUAL(fixture_lv(f, "rest", 3), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "vg0/r: lies on r_rmeta_0, which is no PV"));
	CU_ASSERT_EQUAL_FATAL(volume_group_text(f->group, &text, NULL), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(text,
				      "type = \"raid1\"\ndevice_count = 2\nregion_size = 4096\n\n"
				      "raids = [\n\"r_rmeta_0\", \"r_rimage_0\",\n\"r_rmeta_1\", "
				      "\"b\"\n]\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "mirrors = [\"pv1\", 8, \"pv1\", 10]\n"));
	free(text);
}

static void test_other_types_are_listed_kept_and_left_alone(void)
{
	fixture_run(other_types_are_listed_kept_and_left_alone, 2, 16 * MIB);
}

/* Volume b as the store of a snapshot of a. */
static const char snapshot[] =
	"snapshot0 {\nid = \"aaaaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaaaa\"\n"
	"status = [\"READ\", \"WRITE\", \"VISIBLE\"]\nflags = []\nsegment_count = 1\n\n"
	"segment1 {\nstart_extent = 0\nextent_count = 20\n\ntype = \"snapshot\"\n"
	"chunk_size = 8\norigin = \"a\"\ncow_store = \"b\"\n}\n}\n}\n\n}\n# Generated";

static void origins_of_snapshots_are_not_written(struct fixture *f)
{
	CLEANUP_FREE char *text = sample_text(f);
	CLEANUP_FREE char *more = fixture_replace(text, "}\n\n}\n# Generated", snapshot);
	CLEANUP_FREE char *merging = fixture_replace(more, "cow_store", "merging_store");
	char attributes[VOLUME_ATTRIBUTES];
	struct block *lv;

	fixture_put_text(f, 0, more);
	fixture_put_text(f, 1, more);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_FALSE(volume_group_get_lv(f->group, "snapshot0")->visible);
	CU_ASSERT(volume_group_get_lv(f->group, "b")->visible);
	CU_ASSERT_STRING_EQUAL(volume_lv_type(volume_group_get_lv(f->group, "b")), "snapshot");
	volume_lv_attributes(volume_group_get_lv(f->group, "a"), attributes);
	CU_ASSERT_STRING_EQUAL(attributes, "owi---s---");
	CU_ASSERT_EQUAL(volume_open_lv(f->group, "b", false, &lv, NULL), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(volume_open_lv(f->group, "a", true, &lv, &f->error), -EOPNOTSUPP);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "snapshot0 depends on its data"));
	/* below its data it is mended all the same */
	CU_ASSERT_EQUAL(volume_open_for_upkeep(f->group, "a", &lv, &f->error), 0);
	block_unref(lv);
	CU_ASSERT_EQUAL(volume_open_lv(f->group, "a", false, &lv, NULL), 0);
	block_unref(lv);
	CU_ASSERT_EQUAL(volume_lv_resize(f->group, "a", MIB, NULL, NULL), -EOPNOTSUPP);
	/* while it is merged, the origin's data is not in its extents */
	fixture_put_text(f, 0, merging);
	fixture_put_text(f, 1, merging);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(volume_open_lv(f->group, "a", false, &lv, NULL), -EOPNOTSUPP);
}

static void test_origins_of_snapshots_are_not_written(void)
{
	fixture_run(origins_of_snapshots_are_not_written, 2, 16 * MIB);
}

/* ---- Groups that are not ours to change ---- */

static const struct {
	const char *from, *to, *reason;
	bool opens_for_writing;
} locked[] = {
	{ "status = [\"RESIZEABLE\", ", "status = [\"EXPORTED\", \"RESIZEABLE\", ", "exported",
	  false },
	{ "status = [\"RESIZEABLE\", ", "status = [\"CLUSTERED\", \"RESIZEABLE\", ", "CLUSTERED",
	  false },
	{ "max_lv = 0", "max_lv = 0\nsystem_id = \"other\"", "system ID other", false },
	{ "max_lv = 0", "max_lv = 0\nlock_type = \"sanlock\"", "lock type sanlock", false },
	{ "status = [\"RESIZEABLE\", \"READ\", \"WRITE\"]", "status = [\"RESIZEABLE\", \"READ\"]",
	  "it is read-only", true },
	{ "flags = []\ndev_size", "flags = [\"MISSING\"]\ndev_size", "missing", false },
};

static void locked_groups(struct fixture *f)
{
	CLEANUP_FREE char *text = sample_text(f);

	for (size_t i = 0; i < ARRAY_SIZE(locked); i++) {
		CLEANUP_FREE char *other = fixture_replace(text, locked[i].from, locked[i].to);
		struct block *lv;

		fixture_put_text(f, 0, other);
		fixture_put_text(f, 1, other);
		CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
		CU_ASSERT_PTR_NOT_NULL_FATAL(f->group->locked_reason);
		CU_ASSERT_PTR_NOT_NULL(strstr(f->group->locked_reason, locked[i].reason));
		CU_ASSERT_EQUAL(fixture_lv(f, "c", 1), -EROFS);
		CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, locked[i].reason));
		CU_ASSERT_EQUAL(!volume_open_lv(f->group, "b", true, &lv, NULL),
				locked[i].opens_for_writing);
		if (locked[i].opens_for_writing)
			block_unref(lv);
	}
}

static void test_locked_groups(void)
{
	fixture_run(locked_groups, 2, 16 * MIB);
}

static void flags_of_volumes(struct fixture *f)
{
	static const char *const status =
		"status = [\"READ\", \"WRITE\", \"VISIBLE\"]\nflags = []\n";
	CLEANUP_FREE char *text = sample_text(f);
	CLEANUP_FREE char *skip = fixture_replace(
		text, status,
		"status = [\"READ\", \"VISIBLE\", \"FIXED_MINOR\"]\nflags = [\"ACTIVATION_SKIP\", "
		"\"NOAUTOACTIVATE\", \"OF_THE_FUTURE\"]\ntags = [\"t1\", \"t2/=!:&#\"]\nminor = "
		"7\n");
	CLEANUP_FREE char *no_minor = fixture_replace(skip, "minor = 7\n", "");
	CLEANUP_FREE char *locked_lv = fixture_replace(
		text, status, "status = [\"READ\", \"VISIBLE\", \"LOCKED\"]\nflags = []\n");
	char attributes[VOLUME_ATTRIBUTES];
	const struct volume_lv *lv;
	struct volume_group *group = NULL;
	struct block *block;

	fixture_put_text(f, 0, skip);
	fixture_put_text(f, 1, skip);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	lv = volume_group_get_lv(f->group, "b");
	CU_ASSERT(lv->activation_skip && lv->no_autoactivate && !lv->writable && lv->supported);
	CU_ASSERT_EQUAL(lv->tag_count, 2);
	CU_ASSERT_STRING_EQUAL(lv->tags[1], "t2/=!:&#");
	volume_lv_attributes(lv, attributes);
	CU_ASSERT_STRING_EQUAL(attributes, "-rim-----k");
	CU_ASSERT_EQUAL(import(f, no_minor, &group), -EBADMSG);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "minor"));
	fixture_put_text(f, 0, locked_lv);
	fixture_put_text(f, 1, locked_lv);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(volume_open_lv(f->group, "b", false, &block, &f->error), -EOPNOTSUPP);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "its status is not supported (LOCKED)"));
}

static void test_flags_of_volumes(void)
{
	fixture_run(flags_of_volumes, 2, 16 * MIB);
}

/* lvm2 2.03 puts WRITE into the flags so that old versions take it for read-only. */
static void write_locked_is_writable(struct fixture *f)
{
	CLEANUP_FREE char *text = sample_text(f);
	CLEANUP_FREE char *other = fixture_replace(text, "\"WRITE\", \"VISIBLE\"]\nflags = []",
						   "\"VISIBLE\"]\nflags = [\"WRITE_LOCKED\"]");

	fixture_put_text(f, 0, other);
	fixture_put_text(f, 1, other);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT(volume_group_get_lv(f->group, "a")->writable);
}

static void test_write_locked_is_writable(void)
{
	fixture_run(write_locked_is_writable, 2, 16 * MIB);
}

/* ---- Volumes on volumes ---- */

#define STACKED 8
#define TIMES   40 /* 40^8 ways from the first to the last */

/* Each of the volumes has the next one many times; the last one's segment is `last`, and something may lie on the first. */
static char *stack_volumes(const char *sample, const char *last, const char *more)
{
	struct lvm_text text = { 0 };
	const char *end = strstr(sample, "logical_volumes {\n");

	CU_ASSERT_PTR_NOT_NULL_FATAL(end);
	end += strlen("logical_volumes {\n");
	lvm_text_print(&text, "%.*s", (int)(end - sample), sample);
	for (unsigned i = 0; i <= STACKED; i++) {
		unsigned count = i < STACKED ? TIMES : 1;

		lvm_text_print(&text,
			       "s%u {\nid = \"bbbbbb-aaaa-aaaa-aaaa-aaaa-aaaa-aaaaa%u\"\n"
			       "status = [\"READ\", \"WRITE\"%s]\nflags = []\nsegment_count = %u\n",
			       i, i, i ? "" : ", \"VISIBLE\"", count);
		for (unsigned k = 0; k < count; k++)
			lvm_text_print(
				&text,
				"segment%u {\nstart_extent = %u\nextent_count = 1\n%s%u%s}\n",
				k + 1, k,
				i < STACKED ? "type = \"striped\"\nstripe_count = 1\nstripes "
					      "= [\"s"
					    : last,
				i + 1, i < STACKED ? "\", 0]\n" : "\n");
		lvm_text_print(&text, "}\n");
	}
	lvm_text_print(&text, "%s}\n}\n", more);
	lvm_text_print(&text, "contents = \"Text Format Volume Group\"\nversion = 1\n");
	return text.at;
}

static void volumes_many_times_over(struct fixture *f)
{
	static const char mirror[] =
		"m {\nid = \"cccccc-aaaa-aaaa-aaaa-aaaa-aaaa-aaaaaa\"\n"
		"status = [\"READ\", \"VISIBLE\"]\nflags = []\nsegment_count = 1\n"
		"segment1 {\nstart_extent = 0\nextent_count = 1\ntype = \"mirror\"\n"
		"mirror_count = 1\nregion_size = 1024\nmirrors = [\"s0\", 0]\n}\n}\n";
	CLEANUP_FREE char *sample = sample_text(f);
	CLEANUP_FREE char *good = stack_volumes(
		sample, "type = \"striped\"\nstripe_count = 1\nstripes = [\"pv0\", 0]\nx = ", "");
	CLEANUP_FREE char *other = stack_volumes(sample, "type = \"none\"\nx = ", mirror);
	const struct volume_lv *lv;
	struct block *block = NULL;

	/* What they lie on is here, and then it is not. */
	fixture_put_text(f, 0, good);
	fixture_put_text(f, 1, good);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	lv = volume_group_get_lv(f->group, "s0");
	CU_ASSERT_PTR_NOT_NULL_FATAL(lv);
	CU_ASSERT_TRUE(lv->supported);
	CU_ASSERT_FALSE(lv->partial);
	CU_ASSERT_EQUAL(volume_open_lv(f->group, "s0", true, &block, &f->error), -EOPNOTSUPP);
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "s0", false, &block, &f->error), 0);
	block_unref(block);
	f->disks[2] = f->disks[0];
	f->disks[0] = f->disks[1];
	f->count = 1;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_TRUE(volume_group_get_lv(f->group, "s0")->partial);
	f->disks[0] = f->disks[2];
	f->count = 2;
	/* A part that cannot be opened, and is not lost. */
	fixture_put_text(f, 0, other);
	fixture_put_text(f, 1, other);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_FALSE(volume_group_get_lv(f->group, "m")->supported);
}

/* In no time. */
static void test_volumes_many_times_over(void)
{
	fixture_run(volumes_many_times_over, 2, 16 * MIB);
}

UNIT_MAIN("LVM2 metadata of others", UNIT(test_text_goes_in_and_comes_out),
	  UNIT(test_nearly_plain_volumes), UNIT(test_volumes_many_times_over),
	  UNIT(test_invalid_metadata), UNIT(test_unknown_keys_are_kept),
	  UNIT(test_other_types_are_listed_kept_and_left_alone),
	  UNIT(test_origins_of_snapshots_are_not_written), UNIT(test_locked_groups),
	  UNIT(test_flags_of_volumes), UNIT(test_write_locked_is_writable))
