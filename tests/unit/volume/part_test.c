/* SPDX-License-Identifier: BSD-2-Clause */
/* Commits that check what they touch alone (volume/commit_text.c): the group is what is found on the disks, after each of many changes. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/cleanup.h"
#include "volume/lvm_vg.h"
#include "volume_fixture.h"

#define STEPS   400u
#define VOLUMES 40u

static char *text_of(const struct volume_group *group)
{
	char *text = NULL;

	CU_ASSERT_EQUAL_FATAL(volume_group_text(group, &text, NULL), 0);
	return text;
}

static void check_lv(const struct volume_group *group, const struct volume_lv *lv,
		     const struct volume_lv *found)
{
	CU_ASSERT_STRING_EQUAL(lv->name, found->name);
	CU_ASSERT_PTR_EQUAL(volume_group_get_lv(group, found->name), lv);
	CU_ASSERT_EQUAL(lv->size, found->size);
	CU_ASSERT_EQUAL(lv->extent_count, found->extent_count);
	CU_ASSERT_EQUAL(lv->visible, found->visible);
	CU_ASSERT_EQUAL(lv->writable, found->writable);
	CU_ASSERT_EQUAL(lv->partial, found->partial);
	CU_ASSERT_EQUAL(lv->supported, found->supported);
	CU_ASSERT_EQUAL(lv->tag_count, found->tag_count);
	CU_ASSERT_EQUAL(lv->creation_time, found->creation_time);
}

/* What another process sees. */
static void check_same(struct fixture *f)
{
	const struct volume_group *group = f->group, *found;
	CLEANUP_FREE char *own = text_of(group);
	CLEANUP_FREE char *other = NULL;
	struct volume_scan *scan;

	CU_ASSERT_EQUAL_FATAL(volume_groups_scan(f->disks, f->count, &f->context, &scan, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(scan->group_count, 1);
	found = scan->groups[0];
	other = text_of(found);
	CU_ASSERT_STRING_EQUAL_FATAL(own, other);
	CU_ASSERT_STRING_EQUAL(group->private->text, found->private->text);
	CU_ASSERT_EQUAL(group->free_extents, found->free_extents);
	CU_ASSERT_STRING_EQUAL(group->creation_host, found->creation_host);
	CU_ASSERT_EQUAL(group->creation_time, found->creation_time);
	for (unsigned i = 0; i < group->pv_count; i++)
		CU_ASSERT_EQUAL(group->pvs[i]->allocated_extents, found->pvs[i]->allocated_extents);
	CU_ASSERT_EQUAL_FATAL(group->lv_count, found->lv_count);
	for (unsigned i = 0; i < group->lv_count; i++)
		check_lv(group, group->lvs[i], found->lvs[i]);
	volume_scan_free(scan);
}

static int set_something(struct fixture *f, const char *name)
{
	static const char *const tag = "new", *const other = "old";
	bool flag = random_below(&f->random, 2);
	struct volume_settings settings = { 0 };

	switch (random_below(&f->random, 4)) {
	case 0:
		settings.add_tags = &tag;
		settings.add_count = 1;
		break;
	case 1:
		settings.add_tags = &other;
		settings.add_count = 1;
		settings.delete_tags = &tag;
		settings.delete_count = 1;
		break;
	case 2:
		settings.activation_skip = &flag;
		break;
	default:
		return volume_lv_set_writable(f->group, name, flag, &f->error);
	}
	return volume_lv_set(f->group, name, &settings, &f->error);
}

static int create(struct fixture *f, const char *name)
{
	static const char *const tags[] = { "a", "b" };
	struct volume_lv_options options = {
		.extents = 1 + (uint32_t)random_below(&f->random, 5),
		.tags = tags,
		.tag_count = (unsigned)random_below(&f->random, 3),
		.read_only = !random_below(&f->random, 5),
	};

	if (!random_below(&f->random, 4))
		options.stripes = 2;
	if (!random_below(&f->random, 20)) {
		options.type = "raid1";
		options.mirrors = 1;
	}
	return volume_lv_create(f->group, name, &options, NULL, &f->error);
}

static int step(struct fixture *f)
{
	struct volume_lv_options options = { 0 };
	char name[32], other[32];

	snprintf(name, sizeof(name), "lv%u", (unsigned)random_below(&f->random, VOLUMES));
	snprintf(other, sizeof(other), "lv%u", (unsigned)random_below(&f->random, VOLUMES));
	switch (random_below(&f->random, 8)) {
	case 0:
	case 1:
	case 2:
		return create(f, name);
	case 3:
		return volume_lv_remove(f->group, name, &f->error);
	case 4:
		return volume_lv_rename(f->group, name, other, &f->error);
	case 5:
	case 6:
		return volume_lv_resize(f->group, name,
					(1 + random_below(&f->random, 9)) * f->group->extent_size,
					&options, &f->error);
	default:
		return set_something(f, name);
	}
}

static void walk(struct fixture *f)
{
	unsigned made = 0, parts = 0, wholes = 0, refused = 0;
	struct volume_group_options large = { .extent_size = 64 << 10 };

	f->context.quick = true;
	fixture_create(f, &large);
	for (unsigned i = 0; i < STEPS; i++) {
		unsigned before = f->group->private->parts;
		uint32_t seqno = f->group->seqno;

		if (step(f))
			refused++;
		CU_ASSERT_EQUAL_FATAL(f->error.code == -EUCLEAN, false);
		made += f->group->seqno > seqno;
		parts += f->group->private->parts > before;
		wholes += f->group->private->parts < before;
		check_same(f);
	}
	CU_ASSERT(made > STEPS / 4);
	CU_ASSERT(parts > STEPS / 4);
	CU_ASSERT(wholes > 0);
	CU_ASSERT(refused > 0);
}

static void test_walk(void)
{
	fixture_run(walk, 3, 16 * MIB);
}

/* All is read now and then, so that the memory of parts does not add up. */
static void memory_is_freed(struct fixture *f)
{
	unsigned most = 0, wholes = 0;

	f->context.quick = true;
	fixture_create(f, NULL);
	for (unsigned i = 0; i < 200; i++) {
		unsigned before = f->group->private->parts;

		CU_ASSERT_EQUAL_FATAL(i % 2 ? volume_lv_remove(f->group, "a", &f->error)
					    : fixture_lv(f, "a", 1),
				      0);
		most = MAX(most, f->group->private->parts);
		wholes += f->group->private->parts < before;
	}
	CU_ASSERT(most < 100);
	CU_ASSERT(wholes >= 2);
	check_same(f);
}

static void test_memory_is_freed(void)
{
	fixture_run(memory_is_freed, 1, 16 * MIB);
}

/* A volume that is changed behind the change's back: a part would leave the old text, and that is found. */
static void what_is_not_told_is_found(struct fixture *f)
{
	fixture_create(f, NULL);
	CU_ASSERT_EQUAL(fixture_lv(f, "a", 1), 0);
	CU_ASSERT_EQUAL(fixture_lv(f, "b", 1), 0);
	f->group->lvs[0]->creation_time++;
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "b", &f->error), -EUCLEAN);
	CU_ASSERT_PTR_NOT_NULL(volume_group_get_lv(f->group, "b"));
	/* Nothing of it is taken for the next one. */
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "b", &f->error), 0);
	CU_ASSERT_PTR_NULL(volume_group_get_lv(f->group, "b"));
	check_same(f);
}

static void test_what_is_not_told_is_found(void)
{
	fixture_run(what_is_not_told_is_found, 1, 16 * MIB);
}

/* Two volumes that would be one, or lie on the same extents, are not committed. */
static void what_collides_is_refused(struct fixture *f)
{
	struct volume_area *area;

	f->context.quick = true;
	fixture_create(f, NULL);
	CU_ASSERT_EQUAL(fixture_lv(f, "a", 1), 0);
	CU_ASSERT_EQUAL(fixture_lv(f, "b", 1), 0);
	area = &volume_group_get_lv(f->group, "a")->segments[0].areas[0];
	area->extent = 2; /* "b" has 1, and the next one will get 0 */
	CU_ASSERT_EQUAL(fixture_lv(f, "c", 1), 0);
	area->extent = 0;
	CU_ASSERT_EQUAL(volume_lv_resize(f->group, "c", 3 * MIB, NULL, &f->error), -EUCLEAN);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "same extents"));
	CU_ASSERT_EQUAL(volume_group_get_lv(f->group, "c")->size, MIB);
}

static void test_what_collides_is_refused(void)
{
	fixture_run(what_collides_is_refused, 1, 16 * MIB);
}

UNIT_MAIN("part", UNIT(test_walk), UNIT(test_memory_is_freed), UNIT(test_what_is_not_told_is_found),
	  UNIT(test_what_collides_is_refused))
