/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bare command line on volume/ for the interop and guest tests: it takes devices as plain paths and
 * prints one line per thing, so that tests of the formats do not depend on the tenon command.
 *
 *	volume show DEVICE...                      groups, PVs, LVs, segments, problems
 *	volume text DEVICE...                      what the next commit would write
 *	volume dump|metadata DEVICE                headers; committed text
 *	volume check DEVICE...                     findings
 *	volume create VG DEVICE...                 TENON_EXTENT, TENON_ALIGN, TENON_MDASIZE, TENON_MDAS
 *	volume lvcreate VG/LV EXTENTS[:STRIPES] DEVICE...
 *	volume lvremove|lvread|lvwrite|vgremove VG[/LV] DEVICE...
 *	volume lvresize VG/LV BYTES DEVICE...      volume lvrename VG/LV NAME DEVICE...
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "fiber/fiber.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/standard.h"
#include "volume/volume.h"

#define DEVICES_MAX 64
#define COPY_SIZE   (1u << 20)

struct run {
	char **arguments; /* after the command's name */
	int count;
	struct block *blocks[DEVICES_MAX];
	unsigned block_count;
	struct volume_scan *scan;
	struct volume_group *group;
	char name[300]; /* of the volume */
	struct error error;
};

static int open_devices(struct run *run, int from, bool write)
{
	for (int i = from; i < run->count && run->block_count < DEVICES_MAX; i++) {
		int r = block_open_file(&run->blocks[run->block_count], run->arguments[i],
					BLOCK_OPEN_LOCK | (write ? BLOCK_OPEN_WRITE : 0), 0,
					&run->error);

		if (r)
			return r;
		run->block_count++;
	}
	return 0;
}

/* Opens devices from argument `from` on and finds the group (and volume) that argument 0 names. */
static int find(struct run *run, int from, bool write)
{
	const struct volume_context context = { .command = "tests/helpers/volume" };
	char group[300], *slash;
	int r = open_devices(run, from, write);

	if (!r)
		r = volume_groups_scan(run->blocks, run->block_count, &context, &run->scan,
				       &run->error);
	if (r)
		return r;
	snprintf(group, sizeof(group), "%s", run->arguments[0]);
	slash = strchr(group, '/');
	if (slash) {
		*slash = '\0';
		snprintf(run->name, sizeof(run->name), "%s", slash + 1);
	}
	return volume_scan_find(run->scan, group, &run->group, &run->error);
}

static void show_lv(const struct volume_lv *lv)
{
	char attributes[VOLUME_ATTRIBUTES];

	volume_lv_attributes(lv, attributes);
	printf("lv %s %s size=%llu type=%s attr=%s visible=%d\n", lv->name, lv->uuid,
	       (unsigned long long)lv->size, volume_lv_type(lv), attributes, lv->visible);
	for (unsigned i = 0; i < lv->segment_count; i++) {
		printf("segment %u+%u %s", lv->segments[i].start_extent,
		       lv->segments[i].extent_count, lv->segments[i].type);
		for (unsigned k = 0; k < lv->segments[i].area_count; k++)
			printf(" %s:%u",
			       lv->segments[i].areas[k].pv ? lv->segments[i].areas[k].pv->name
							   : lv->segments[i].areas[k].lv_name,
			       lv->segments[i].areas[k].extent);
		printf("\n");
	}
	for (unsigned i = 0; i < lv->tag_count; i++)
		printf("tag %s\n", lv->tags[i]);
}

static void show_group(const struct volume_group *group)
{
	printf("vg %s %s seqno=%u extent=%llu extents=%u free=%u%s%s\n", group->name, group->uuid,
	       group->seqno, (unsigned long long)group->extent_size, group->extent_count,
	       group->free_extents, group->locked_reason ? " locked: " : "",
	       group->locked_reason ? group->locked_reason : "");
	for (unsigned i = 0; i < group->pv_count; i++)
		printf("pv %s %s %s extents=%u allocated=%u start=%llu mdas=%u/%u\n",
		       group->pvs[i]->name, group->pvs[i]->uuid,
		       group->pvs[i]->block ? group->pvs[i]->block->name : "missing",
		       group->pvs[i]->extent_count, group->pvs[i]->allocated_extents,
		       (unsigned long long)group->pvs[i]->pe_start,
		       group->pvs[i]->metadata_areas_used, group->pvs[i]->metadata_areas);
	for (unsigned i = 0; i < group->lv_count; i++)
		show_lv(group->lvs[i]);
	for (unsigned i = 0; i < group->problem_count; i++)
		printf("problem %s\n", group->problems[i]);
}

static int show(struct run *run)
{
	int r = open_devices(run, 0, false);

	if (!r)
		r = volume_groups_scan(run->blocks, run->block_count, NULL, &run->scan,
				       &run->error);
	if (r)
		return r;
	for (unsigned i = 0; i < run->scan->group_count; i++)
		show_group(run->scan->groups[i]);
	for (unsigned i = 0; i < run->scan->device_count; i++) {
		const struct volume_scanned *device = &run->scan->devices[i];

		if (device->is_pv && !device->group)
			printf("orphan %s %s\n", device->info.uuid, device->block->name);
		if (device->problem)
			printf("device-problem %s\n", device->problem);
	}
	return 0;
}

static int lvread(struct run *run)
{
	int r = find(run, 1, false);
	CLEANUP_BLOCK struct block *block = NULL;
	CLEANUP_FREE char *buffer = malloc(COPY_SIZE);

	if (!r)
		r = volume_open_lv(run->group, run->name, false, &block, &run->error);
	for (uint64_t at = 0; !r && at < block->size; at += COPY_SIZE) {
		uint64_t length = MIN((uint64_t)COPY_SIZE, block->size - at);

		r = block_read(block, at, buffer, length);
		if (!r && fwrite(buffer, 1, length, stdout) != length)
			r = -EIO;
	}
	return r;
}

static int lvwrite(struct run *run)
{
	int r = find(run, 1, true);
	CLEANUP_BLOCK struct block *block = NULL;
	CLEANUP_FREE char *buffer = calloc(1, COPY_SIZE);
	uint64_t at = 0;
	size_t length;

	if (!r)
		r = volume_open_lv(run->group, run->name, true, &block, &run->error);
	while (!r && (length = fread(buffer, 1, COPY_SIZE, stdin)) > 0) {
		uint64_t whole = MIN(round_up(length, 512), block->size - at);

		if (!whole)
			break;
		r = block_write(block, at, buffer, whole, 0);
		at += whole;
	}
	return r ? r : block_flush(block);
}

static int lvcreate(struct run *run)
{
	int r = find(run, 2, true);
	char *stripes = strchr(run->arguments[1], ':');
	struct volume_lv_options options = {
		.extents = (uint32_t)strtoul(run->arguments[1], NULL, 10),
		.stripes = stripes ? (unsigned)strtoul(stripes + 1, NULL, 10) : 1,
	};
	struct volume_lv *lv;

	return r ? r : volume_lv_create(run->group, run->name, &options, &lv, &run->error);
}

static int lvremove(struct run *run)
{
	int r = find(run, 1, true);

	return r ? r : volume_lv_remove(run->group, run->name, &run->error);
}

static int lvresize(struct run *run)
{
	int r = find(run, 2, true);

	return r ? r
		 : volume_lv_resize(run->group, run->name, strtoull(run->arguments[1], NULL, 10),
				    NULL, &run->error);
}

static int lvrename(struct run *run)
{
	int r = find(run, 2, true);

	return r ? r : volume_lv_rename(run->group, run->name, run->arguments[1], &run->error);
}

static int vgremove(struct run *run)
{
	int r = find(run, 1, true);

	return r ? r : volume_group_remove(run->group, &run->error);
}

static uint64_t setting(const char *name)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : 0;
}

static int create(struct run *run)
{
	const struct volume_context context = { .command = "tests/helpers/volume create" };
	struct volume_group_options options = {
		.extent_size = setting("TENON_EXTENT"),
		.data_alignment = setting("TENON_ALIGN"),
		.metadata_size = setting("TENON_MDASIZE"),
		.metadata_copies = (unsigned)setting("TENON_MDAS"),
		.force = setting("TENON_FORCE"),
	};
	CLEANUP_VOLUME_GROUP struct volume_group *group = NULL;
	int r = open_devices(run, 1, true);

	return r ? r
		 : volume_group_create(&group, run->arguments[0], run->blocks, run->block_count,
				       &options, &context, &run->error);
}

static int check(struct run *run)
{
	CLEANUP_VOLUME_CHECK struct volume_check *found = NULL;
	int r = open_devices(run, 0, false);

	if (!r)
		r = volume_pv_check(run->blocks, run->block_count, &found, &run->error);
	if (r)
		return r;
	for (unsigned i = 0; i < found->count; i++)
		printf("%d %s %llu %s: %s (%s)\n", (int)found->findings[i].severity,
		       found->findings[i].device, (unsigned long long)found->findings[i].offset,
		       found->findings[i].what,
		       found->findings[i].found ? found->findings[i].found : "",
		       found->findings[i].expected ? found->findings[i].expected : "");
	return found->worst == VOLUME_DAMAGED ? -EBADMSG : 0;
}

static int print_text(struct run *run, int (*get)(struct block *, char **, struct error *))
{
	CLEANUP_FREE char *text = NULL;
	int r = open_devices(run, 0, false);

	if (!r)
		r = get(run->blocks[0], &text, &run->error);
	if (!r)
		fputs(text, stdout);
	return r;
}

static int dump(struct run *run)
{
	return print_text(run, volume_pv_dump);
}

static int metadata(struct run *run)
{
	return print_text(run, volume_pv_dump_metadata);
}

static int text(struct run *run)
{
	int r = open_devices(run, 0, false);
	CLEANUP_FREE char *at = NULL;

	if (!r)
		r = volume_groups_scan(run->blocks, run->block_count, NULL, &run->scan,
				       &run->error);
	if (!r && run->scan->group_count)
		r = volume_group_text(run->scan->groups[0], &at, &run->error);
	if (at)
		fputs(at, stdout);
	return r;
}

static const struct {
	const char *name;
	int (*run)(struct run *run);
	int arguments; /* at least */
} commands[] = {
	{ "show", show, 1 },         { "text", text, 1 },         { "dump", dump, 1 },
	{ "metadata", metadata, 1 }, { "check", check, 1 },       { "create", create, 2 },
	{ "lvcreate", lvcreate, 3 }, { "lvremove", lvremove, 2 }, { "lvread", lvread, 2 },
	{ "lvwrite", lvwrite, 2 },   { "vgremove", vgremove, 2 }, { "lvresize", lvresize, 3 },
	{ "lvrename", lvrename, 3 },
};

static int (*command)(struct run *run);

static int on_fiber(void *arg)
{
	struct run *run = arg;
	int r = command(run);

	if (run->scan)
		volume_scan_free(run->scan);
	for (unsigned i = 0; i < run->block_count; i++)
		block_unref(run->blocks[i]);
	if (r)
		fprintf(stderr, "volume: %s%s%s\n",
			*run->error.text ? run->error.text : error_name(r),
			*run->error.advice ? "; " : "", run->error.advice);
	return r;
}

int main(int argc, char **argv)
{
	struct run run = { .arguments = argv + 2, .count = argc - 2 };
	struct worker *worker;
	int r;

	if (standard_open())
		return 1;
	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, argv[1]) && run.count >= commands[i].arguments)
			command = commands[i].run;
	if (!command) {
		fprintf(stderr, "usage: see tests/helpers/volume.c\n");
		return 2;
	}
	r = worker_create(&worker, NULL, &run.error);
	if (r) {
		fprintf(stderr, "volume: %s\n", run.error.text);
		return 1;
	}
	r = worker_run(worker, on_fiber, &run);
	worker_destroy(worker);
	return r ? 1 : 0;
}
