/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arrays from a script, for the tests of raid/: finer than the command line, and it can crash.
 *
 *	raid_tool create NAME [-l LEVEL] [-L LAYOUT] [-k CHUNK] [-z SIZE] [-m 1.0|1.1|1.2] [-b CHUNK|-B] [-c]
 *		[-C ppl] [-j DEVICE] [-s DEVICE]... DEVICE|missing... [-- STEP...]
 *	raid_tool assemble [-r] [-n] [-b FILE] DEVICE... [-- STEP...]
 *	raid_tool components [-r] LEVEL LAYOUT CHUNK SIZE META-SIZE [rebuild=]DATA:BYTE:META:BYTE|missing...
 *		[-- STEP...]
 *
 * -b: a bitmap (0: the usual chunk), -B: none. -C ppl, -j: a log, a write journal. -c: assume clean. -r: read-only. -n: no resync or recovery by itself; -b: a backup file. Steps, in order:
 *
 *	cat			the whole array to standard output
 *	fill FILE		the whole array from a file, as long as that goes
 *	write OFFSET LENGTH SEED, verify OFFSET LENGTH SEED
 *	put OFFSET LENGTH FILE	what the file has there
 *	bitmap CHUNK|none
 *	flush, fail DEVICE, remove DEVICE, add DEVICE, replace DEVICE DEVICE, wait, check, status, freeze, thaw
 *	devices NUMBER, fewer NUMBER, chunk BYTES, layout NAME, level6 LAYOUT	of the shape to go to
 *	backup FILE		of the next reshape, in place
 *	more NUMBER ADDING	of level 0; so many are added next, and then it is devices NUMBER
 *	rate BYTES		limit of a rebuild; sleep MILLISECONDS
 *	until PERCENT		of a rebuild
 *	crash			ends at once, without stopping the array
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "fiber/fiber.h"
#include "raid/raid.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/log.h"
#include "util/size.h"
#include "util/standard.h"

#define DEVICES_MAX 32
#define PIECE       (1u << 20)

struct tool {
	int argc;
	char **argv;
	struct log log;
	struct block *blocks[DEVICES_MAX];
	unsigned count;
	struct raid_array *array;
	struct block *backup; /* one of the blocks, or NULL */
	struct error error;
};

static int wrong(const char *what)
{
	fprintf(stderr, "raid_tool: %s\n", what);
	return 2;
}

static const char *take(struct tool *tool)
{
	if (!tool->argc)
		return NULL;
	tool->argc--;
	return *tool->argv++;
}

static uint64_t take_number(struct tool *tool)
{
	const char *text = take(tool);
	uint64_t value = 0;

	if (!text || size_parse(text, &value, NULL))
		exit(wrong("a number is missing"));
	return value;
}

static struct block *open_device(struct tool *tool, const char *path, bool read_only)
{
	struct block *block;

	if (!path || tool->count == DEVICES_MAX)
		exit(wrong("a device is missing, or there are too many"));
	if (block_open_file(&block, path, BLOCK_OPEN_LOCK | (read_only ? 0 : BLOCK_OPEN_WRITE), 0,
			    &tool->error)) {
		fprintf(stderr, "raid_tool: %s\n", tool->error.text);
		exit(1);
	}
	tool->blocks[tool->count++] = block;
	return block;
}

/* ---- Steps ---- */

static void fill_pattern(uint8_t *bytes, uint64_t offset, uint64_t length, uint64_t seed)
{
	for (uint64_t i = 0; i < length; i += 8)
		put_le64(bytes + i, (offset + i) * 0x9e3779b97f4a7c15ull + seed);
}

static int step_pattern(struct tool *tool, bool verify)
{
	struct block *block = raid_array_block(tool->array);
	uint64_t offset = take_number(tool), length = take_number(tool), seed = take_number(tool);
	uint8_t *expected = malloc(PIECE), *found = malloc(PIECE);
	int rc = 0;

	for (uint64_t at = 0; !rc && at < length; at += PIECE) {
		uint64_t piece = MIN(PIECE, length - at);

		fill_pattern(expected, offset + at, piece, seed);
		if (!verify) {
			rc = block_write(block, offset + at, expected, piece, 0);
			continue;
		}
		rc = block_read(block, offset + at, found, piece);
		if (!rc && memcmp(found, expected, piece) != 0)
			rc = error_set(&tool->error, -5, "other data at byte %llu",
				       (unsigned long long)(offset + at));
	}
	free(expected);
	free(found);
	return rc;
}

static int step_stream(struct tool *tool, const char *from)
{
	struct block *block = raid_array_block(tool->array);
	FILE *file = from ? fopen(from, "rb") : stdout;
	uint8_t *bytes = calloc(1, PIECE);
	int rc = file ? 0 : -2;

	for (uint64_t at = 0; !rc && at < block->size; at += PIECE) {
		uint64_t piece = MIN(PIECE, block->size - at);

		if (from) {
			piece = round_up(fread(bytes, 1, piece, file), block->logical_block_size);
			if (!piece)
				break;
			rc = block_write(block, at, bytes, piece, 0);
		} else {
			rc = block_read(block, at, bytes, piece);
			if (!rc && fwrite(bytes, 1, piece, file) != piece)
				rc = -5;
		}
	}
	free(bytes);
	if (from && file)
		fclose(file);
	return rc;
}

static int step_put(struct tool *tool)
{
	uint64_t offset = take_number(tool), length = take_number(tool);
	const char *from = take(tool);
	FILE *file = from ? fopen(from, "rb") : NULL;
	uint8_t *bytes = malloc(PIECE);
	int rc = file && !fseeko(file, (off_t)offset, SEEK_SET) ? 0 : -2;

	for (uint64_t at = 0; !rc && at < length; at += PIECE) {
		uint64_t piece = MIN(PIECE, length - at);

		rc = fread(bytes, 1, piece, file) == piece ? 0 : -5;
		if (!rc)
			rc = block_write(raid_array_block(tool->array), offset + at, bytes, piece,
					 0);
	}
	free(bytes);
	if (file)
		fclose(file);
	return rc;
}

static int step_bitmap(struct tool *tool)
{
	const char *word = take(tool);
	uint64_t chunk;

	if (word && !strcmp(word, "none"))
		return raid_bitmap_remove(tool->array, &tool->error);
	if (!word || size_parse(word, &chunk, NULL))
		exit(wrong("a size of chunks is missing"));
	return raid_bitmap_add(tool->array, chunk, &tool->error);
}

static void print_status(struct tool *tool)
{
	struct raid_status status;

	raid_status(tool->array, &status);
	printf("%s: %s, %u of %u, events %llu, %s %llu of %llu, mismatches %llu", status.name,
	       status.state, status.working, status.raid_disks, (unsigned long long)status.events,
	       raid_operation_name(status.progress.operation),
	       (unsigned long long)status.progress.position,
	       (unsigned long long)status.progress.total,
	       (unsigned long long)status.progress.mismatches);
	if (status.bitmap.present)
		printf(", bitmap %llu of %llu dirty", (unsigned long long)status.bitmap.dirty,
		       (unsigned long long)status.bitmap.chunks);
	putchar('\n');
	for (unsigned i = 0; i < status.member_count; i++) {
		const struct raid_member_status *member = &status.members[i];

		printf("  %s: %s, role %d, events %llu, recovered %llu, bad %u %s\n",
		       member->device, raid_member_state_name(member->state), member->role,
		       (unsigned long long)member->events, (unsigned long long)member->recovered,
		       member->bad_blocks, member->reason);
	}
	raid_status_free(&status);
	fflush(stdout);
}

static bool until(const struct raid_progress *progress, void *arg)
{
	const uint64_t *percent = arg;

	/* What ended before is not meant. */
	return progress->operation == RAID_IDLE ||
	       progress->position * 100 < progress->total * *percent;
}

static int step(struct tool *tool, const char *what)
{
	struct error *error = &tool->error;
	uint64_t number;

	if (!strcmp(what, "cat"))
		return step_stream(tool, NULL);
	if (!strcmp(what, "fill"))
		return step_stream(tool, take(tool));
	if (!strcmp(what, "write") || !strcmp(what, "verify"))
		return step_pattern(tool, what[0] == 'v');
	if (!strcmp(what, "put"))
		return step_put(tool);
	if (!strcmp(what, "bitmap"))
		return step_bitmap(tool);
	if (!strcmp(what, "flush"))
		return block_flush(raid_array_block(tool->array));
	if (!strcmp(what, "fail"))
		return raid_fail(tool->array, take(tool), error);
	if (!strcmp(what, "remove"))
		return raid_remove(tool->array, take(tool), error);
	if (!strcmp(what, "add"))
		return raid_add(tool->array, open_device(tool, take(tool), false), error);
	if (!strcmp(what, "replace")) {
		const char *device = take(tool);

		return raid_replace_with(tool->array, device, open_device(tool, take(tool), false),
					 false, error);
	}
	if (!strcmp(what, "level6"))
		return raid_grow(tool->array,
				 &(struct raid_grow){ .level = "6", .layout = take(tool) }, error);
	if (!strcmp(what, "more")) {
		struct raid_grow grow = { .devices = (unsigned)take_number(tool) };

		grow.adding = (unsigned)take_number(tool);
		return raid_grow(tool->array, &grow, error);
	}
	if (!strcmp(what, "layout"))
		return raid_grow(
			tool->array,
			&(struct raid_grow){ .layout = take(tool), .backup = tool->backup }, error);
	if (!strcmp(what, "backup"))
		return tool->backup = open_device(tool, take(tool), false), 0;
	if (!strcmp(what, "devices") || !strcmp(what, "fewer") || !strcmp(what, "chunk")) {
		struct raid_grow grow = { .array_size = *what == 'f', .backup = tool->backup };

		number = take_number(tool);
		grow.devices = *what != 'c' ? (unsigned)number : 0;
		grow.chunk = *what == 'c' ? number : 0;
		return raid_grow(tool->array, &grow, error);
	}
	if (!strcmp(what, "wait"))
		return raid_rebuild_wait(tool->array, NULL, NULL, 100000000, error);
	if (!strcmp(what, "check"))
		return raid_scrub_start(tool->array, false, error);
	if (!strcmp(what, "status"))
		return print_status(tool), 0;
	if (!strcmp(what, "freeze") || !strcmp(what, "thaw"))
		return raid_rebuild_freeze(tool->array, what[0] == 'f'), 0;
	if (!strcmp(what, "rate"))
		return raid_rebuild_set_rate(tool->array, take_number(tool)), 0;
	if (!strcmp(what, "sleep"))
		return fiber_sleep(take_number(tool) * 1000000);
	if (!strcmp(what, "until")) {
		number = take_number(tool);
		raid_rebuild_wait(tool->array, until, &number, 10000000, error);
		return 0;
	}
	if (!strcmp(what, "crash"))
		_Exit(0);
	return error_set(error, -22, "no step is called %s", what);
}

static int run_steps(struct tool *tool)
{
	const char *what;

	while ((what = take(tool))) {
		int rc = step(tool, what);

		if (rc) {
			fprintf(stderr, "raid_tool: %s: %s\n", what,
				tool->error.text[0] ? tool->error.text : error_name(rc));
			return 1;
		}
	}
	return 0;
}

/* ---- Arrays ---- */

static int create(struct tool *tool)
{
	struct raid_create_options options = { .level = 1, .log = &tool->log, .name = take(tool) };
	struct raid_new_member members[DEVICES_MAX] = { 0 };
	unsigned count = 0;
	const char *word;

	while ((word = take(tool)) && strcmp(word, "--") != 0 && count < DEVICES_MAX) {
		if (!strcmp(word, "-m")) {
			const char *version = take(tool);

			options.metadata = !version                  ? RAID_METADATA_DEFAULT
					   : !strcmp(version, "1.0") ? RAID_METADATA_1_0
					   : !strcmp(version, "1.1") ? RAID_METADATA_1_1
								     : RAID_METADATA_1_2;
		} else if (!strcmp(word, "-l")) {
			word = take(tool);
			if (!word || raid_level_parse(word, &options.level, &tool->error))
				exit(wrong("a level is missing, or is none"));
		} else if (!strcmp(word, "-L")) {
			options.layout = take(tool);
		} else if (!strcmp(word, "-k")) {
			options.chunk = take_number(tool);
		} else if (!strcmp(word, "-z")) {
			options.size = take_number(tool);
		} else if (!strcmp(word, "-b")) {
			options.bitmap_chunk = take_number(tool);
			options.bitmap = RAID_BITMAP_INTERNAL;
		} else if (!strcmp(word, "-B")) {
			options.bitmap = RAID_BITMAP_NONE;
		} else if (!strcmp(word, "-C")) {
			word = take(tool);
			if (!word || strcmp(word, "ppl") != 0)
				exit(wrong("-C ppl"));
			options.bitmap = RAID_BITMAP_PPL;
		} else if (!strcmp(word, "-j")) {
			options.bitmap = RAID_BITMAP_JOURNAL;
			members[count].journal = true;
			members[count++].block = open_device(tool, take(tool), false);
		} else if (!strcmp(word, "-c")) {
			options.assume_clean = true;
		} else if (!strcmp(word, "-s")) {
			members[count].spare = true;
			members[count++].block = open_device(tool, take(tool), false);
		} else if (!strcmp(word, "missing")) {
			count++;
		} else {
			members[count++].block = open_device(tool, word, false);
		}
	}
	return raid_create(&tool->array, members, count, &options, &tool->error);
}

static int assemble(struct tool *tool)
{
	struct raid_assemble_options options = { .log = &tool->log };
	const char *word, *backup = NULL;
	unsigned count;

	while ((word = take(tool)) && strcmp(word, "--") != 0) {
		if (!strcmp(word, "-r"))
			options.read_only = true;
		else if (!strcmp(word, "-n"))
			options.no_resync = true;
		else if (!strcmp(word, "-b"))
			backup = take(tool);
		else
			open_device(tool, word, options.read_only);
	}
	count = tool->count;
	if (backup) {
		options.backup_count = 1;
		options.backups = &tool->blocks[count];
		open_device(tool, backup, options.read_only);
	}
	return raid_assemble(&tool->array, tool->blocks, count, &options, &tool->error);
}

/* What of a file a word names; cuts it at its last colon. */
static struct block *take_slice(struct tool *tool, char *word, uint64_t size, bool read_only)
{
	char name[4096];
	char *colon = strrchr(word, ':');
	struct block *file, *slice;

	if (!colon)
		exit(wrong("a component is DATA:BYTE:META:BYTE"));
	*colon = '\0';
	for (unsigned i = 0; i < tool->count; i++) {
		if (!strcmp(tool->blocks[i]->name, word)) {
			file = tool->blocks[i];
			goto found;
		}
	}
	file = open_device(tool, word, read_only);
found:
	snprintf(name, sizeof(name), "%s at %s", word, colon + 1);
	if (block_create_slice(&slice, name, file, strtoull(colon + 1, NULL, 10), size,
			       &tool->error)) {
		fprintf(stderr, "raid_tool: %s\n", tool->error.text);
		exit(1);
	}
	tool->blocks[tool->count++] = slice;
	return slice;
}

static int components(struct tool *tool)
{
	struct raid_assemble_options options = { .log = &tool->log };
	struct raid_component parts[DEVICES_MAX] = { 0 };
	struct raid_shape shape = { .name = "x" };
	uint64_t size, meta_size;
	unsigned count = 0;
	const char *word;

	if (tool->argc && !strcmp(tool->argv[0], "-r"))
		options.read_only = take(tool) != NULL;
	shape.level = (int)take_number(tool);
	shape.layout = (uint32_t)take_number(tool);
	shape.chunk = take_number(tool);
	size = take_number(tool);
	meta_size = take_number(tool);
	while ((word = take(tool)) && strcmp(word, "--") != 0) {
		char *meta, *data;

		parts[count].rebuild = !strncmp(word, "rebuild=", 8);
		meta = strdup(word + (parts[count].rebuild ? 8 : 0));

		if (!strcmp(word, "missing")) {
			count++;
			continue;
		}
		data = strchr(meta, ':');
		data = data ? strchr(data + 1, ':') : NULL;
		if (!data)
			exit(wrong("a component is DATA:BYTE:META:BYTE"));
		*data = '\0';
		parts[count].meta = take_slice(tool, data + 1, meta_size, options.read_only);
		parts[count++].data = take_slice(tool, meta, size, options.read_only);
	}
	return raid_assemble_components(&tool->array, &shape, parts, count, &options, &tool->error);
}

static int run(void *arg)
{
	struct tool *tool = arg;
	const char *command = take(tool);
	int rc;

	if (command && !strcmp(command, "create"))
		rc = create(tool);
	else if (command && !strcmp(command, "assemble"))
		rc = assemble(tool);
	else if (command && !strcmp(command, "components"))
		rc = components(tool);
	else
		return wrong("create or assemble?");
	if (!rc) {
		rc = run_steps(tool);
		tool->error.text[0] = '\0';
		if (raid_stop(tool->array, &tool->error) && !rc)
			rc = 1;
	}
	for (unsigned i = 0; i < tool->count; i++)
		block_unref(tool->blocks[i]);
	if (rc && tool->error.text[0])
		fprintf(stderr, "raid_tool: %s\n", tool->error.text);
	return rc ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct tool tool = { .argc = argc - 1, .argv = argv + 1 };
	struct worker *worker;
	int rc;

	if (standard_open())
		return 1;
	log_to_stderr(&tool.log, LOG_LEVEL_INFO);
	if (worker_create(&worker, NULL, &tool.error))
		return wrong(tool.error.text);
	rc = worker_run(worker, run, &tool);
	worker_destroy(worker);
	return rc;
}
