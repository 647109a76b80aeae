/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon raid examine --kernels`: which versions of Linux assemble what is on devices. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "raid/kernels.h"
#include "tools/describe.h"
#include "tools/device_look.h"
#include "tools/output.h"
#include "tools/raid.h"

static json_t *describe_ranges(const struct raid_kernel_range *ranges, unsigned count)
{
	json_t *list = json_array();
	char text[RAID_KERNEL_TEXT];

	for (unsigned i = 0; i < count; i++) {
		json_t *range = json_object();

		json_object_set_new(range, "from",
				    json_string(raid_kernel_format(ranges[i].from, text)));
		json_object_set_new(
			range, "before",
			ranges[i].before ? json_string(raid_kernel_format(ranges[i].before, text))
					 : json_null());
		json_array_append_new(list, range);
	}
	return list;
}

static void add_kernels(json_t *row, const struct raid_kernels *kernels)
{
	json_t *limits = json_array();

	for (unsigned i = 0; i < kernels->limit_count; i++) {
		const struct raid_kernel_limit *limit = &kernels->limits[i];

		json_array_append_new(limits,
				      json_pack("{s:o, s:o, s:b}", "kernels",
						describe_ranges(limit->ranges, limit->count),
						"reason", describe_text(limit->reason), "perhaps",
						limit->if_it_is_so));
	}
	json_object_set_new(row, "kernels", describe_ranges(kernels->ranges, kernels->count));
	json_object_set_new(row, "limits", limits);
}

/* "from 2.6.16 and before 6.8; from 6.14" */
static void put_ranges(const struct raid_kernel_range *ranges, unsigned count, char text[200])
{
	char from[RAID_KERNEL_TEXT], before[RAID_KERNEL_TEXT];
	size_t at = 0;

	snprintf(text, 200, "none");
	for (unsigned i = 0; i < count && at < 160; i++) {
		raid_kernel_format(ranges[i].from, from);
		if (ranges[i].before)
			at += (size_t)snprintf(text + at, 200 - at, "%sfrom %s and before %s",
					       i ? "; " : "", from,
					       raid_kernel_format(ranges[i].before, before));
		else
			at += (size_t)snprintf(text + at, 200 - at, "%sfrom %s", i ? "; " : "",
					       from);
	}
}

static void say_kernels(const char *path, const struct raid_kernels *kernels)
{
	char text[200];

	put_ranges(kernels->ranges, kernels->count, text);
	cli_say("%s: Linux %s", path, text);
	for (unsigned i = 0; i < kernels->limit_count; i++) {
		const struct raid_kernel_limit *limit = &kernels->limits[i];

		put_ranges(limit->ranges, limit->count, text);
		cli_say("  %s: %s", text, limit->reason);
	}
}

static int look_at(struct block **blocks, const struct cli_words *devices, unsigned which,
		   json_t *rows, struct error *error)
{
	const char *path = devices->words[which];
	json_t *row = json_pack("{s:o, s:n, s:[], s:[]}", "device", describe_path(path), "problem",
				"kernels", "limits");
	struct raid_kernels kernels;
	int rc = blocks[which] ? 0 : device_check_answers(path, error);

	if (!rc && !blocks[which])
		rc = block_open_file(&blocks[which], path, 0, 0, error);
	if (!rc)
		rc = raid_kernels_find(&kernels, blocks, devices->count, which, error);
	if (rc)
		json_object_set_new(row, "problem", describe_text(error->text));
	else if (rows)
		add_kernels(row, &kernels);
	else
		say_kernels(path, &kernels);
	if (rows)
		json_array_append(rows, row);
	json_decref(row);
	return rc;
}

int raid_kernels_run(const struct cli_words *devices, bool json, struct error *error)
{
	CLEANUP_FREE struct block **blocks = calloc(devices->count + 1, sizeof(struct block *));
	json_t *rows = json ? json_array() : NULL;
	int rc = blocks ? 0 : -ENOMEM;

	/* All that can be: one tells of another. */
	for (unsigned i = 0; blocks && i < devices->count; i++)
		if (!device_check_answers(devices->words[i], NULL) &&
		    block_open_file(&blocks[i], devices->words[i], 0, 0, NULL))
			blocks[i] = NULL;
	for (unsigned i = 0; blocks && i < devices->count; i++) {
		struct error why = { 0 };
		int one = look_at(blocks, devices, i, rows, &why);

		if (!one)
			continue;
		if (rc)
			cli_fail(rc, error);
		*error = why;
		rc = one;
	}
	if (rows)
		cli_print_json(rows);
	json_decref(rows);
	for (unsigned i = 0; blocks && i < devices->count; i++)
		block_unref(blocks[i]);
	return rc;
}
