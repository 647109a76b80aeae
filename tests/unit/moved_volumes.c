/* SPDX-License-Identifier: BSD-2-Clause */
/* See moved_volumes.h. */
#include "moved_volumes.h"

#include <string.h>

#include "unit.h"
#include "util/bytes.h"

struct volume_pv *moved_pv_on(const struct volume_group *group, const char *disk)
{
	for (unsigned i = 0; i < group->pv_count; i++)
		if (!strcmp(group->pvs[i]->block->name, disk))
			return group->pvs[i];
	return NULL;
}

void moved_create(struct fixture *f)
{
	struct volume_pv *pv;
	struct volume_lv_options on_first = { .pvs = &pv, .pv_count = 1, .extents = 2 };
	struct volume_lv_options striped = { .extents = 6, .stripes = 2, .stripe_size = 8192 };

	fixture_create(f, &(struct volume_group_options){ .extent_size = MOVED_EXTENT });
	pv = moved_pv_on(f->group, "d0");
	CU_ASSERT_EQUAL_FATAL(volume_lv_create(f->group, "a", &on_first, NULL, &f->error), 0);
	CU_ASSERT_EQUAL_FATAL(volume_lv_create(f->group, "b", &on_first, NULL, &f->error), 0);
	for (unsigned i = 2; i <= 3; i++) {
		CU_ASSERT_EQUAL_FATAL(volume_lv_resize(f->group, "a", 2 * i * MOVED_EXTENT,
						       &on_first, &f->error),
				      0);
		CU_ASSERT_EQUAL_FATAL(volume_lv_resize(f->group, "b", 2 * i * MOVED_EXTENT,
						       &on_first, &f->error),
				      0);
	}
	striped.pvs = (struct volume_pv *[]){ pv, moved_pv_on(f->group, "d1") };
	striped.pv_count = 2;
	CU_ASSERT_EQUAL_FATAL(volume_lv_create(f->group, "s", &striped, NULL, &f->error), 0);
	CU_ASSERT_EQUAL(volume_group_get_lv(f->group, "a")->segment_count, 3);
}

static void write_unit(struct moved_user *user, unsigned unit)
{
	uint64_t data[MOVED_UNIT / 8];

	user->written[unit] = ++user->number;
	for (unsigned i = 0; i < MOVED_UNIT / 8; i++)
		data[i] = user->number;
	user->rc = block_write(user->block, unit * MOVED_UNIT, data, MOVED_UNIT, 0);
}

int moved_user_run(void *arg)
{
	struct moved_user *user = arg;
	unsigned units = (unsigned)MIN(user->block->size / MOVED_UNIT, ARRAY_SIZE(user->written));

	while (!user->stop && !user->rc) {
		uint64_t written[ARRAY_SIZE(user->written)];
		uint64_t data[MOVED_UNIT / 8];
		unsigned unit = (unsigned)random_below(&user->random, units);

		switch (random_below(&user->random, 4)) {
		case 0:
			memcpy(written, user->written, sizeof(written));
			user->rc = block_flush(user->block);
			if (!user->rc)
				memcpy(user->flushed, written, sizeof(written));
			break;
		case 1:
			user->rc = block_read(user->block, unit * MOVED_UNIT, data, MOVED_UNIT);
			user->wrong |= !user->rc && data[7] != user->written[unit];
			break;
		default:
			write_unit(user, unit);
		}
		fiber_sleep(100000);
	}
	return 0;
}

bool moved_user_is_kept(struct moved_user *user, struct block *block)
{
	for (unsigned i = 0; i < ARRAY_SIZE(user->written) && i * MOVED_UNIT < block->size; i++) {
		uint64_t data[MOVED_UNIT / 8];

		if (block_read(block, i * MOVED_UNIT, data, MOVED_UNIT))
			return false;
		/* a unit may be torn at sectors */
		for (unsigned k = 0; k < MOVED_UNIT / 8; k++)
			if (data[k] < user->flushed[i] || data[k] > user->written[i])
				return false;
		user->written[i] = user->flushed[i] = data[7];
		write_unit(user, i);
		if (user->rc)
			return false;
	}
	return block_flush(block) == 0;
}
