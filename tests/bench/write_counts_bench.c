/*
 * What a 4 KiB write costs in counts, which no other load of the machine changes: switches into fibers, entries
 * into the kernel's ring and requests given to it, on a file, on a linear volume over it and on a two-way mirror.
 * Usage: write_counts_bench file|linear|mirror FOLDER WRITES. counts.sh adds the instructions.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/block.h"
#include "fiber/fiber.h"
#include "raid/raid.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/standard.h"
#include "volume/volume.h"

#define FILE_SIZE (64u << 20)
#define UNIT      4096u
#define UNITS     4096u /* of the device that are written to, in turn */

struct bench {
	const char *kind, *folder;
	unsigned long writes;
	struct error error;
};

static int open_image(const struct bench *bench, const char *name, struct block **out,
		      struct error *error)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s.img", bench->folder, name);
	unlink(path);
	return block_open_file(out, path, BLOCK_OPEN_CREATE, FILE_SIZE, error);
}

static int measure(struct bench *bench, struct block *block)
{
	static unsigned char data[UNIT] __attribute__((aligned(4096)));
	struct worker_counters before, after;
	double writes = (double)bench->writes;
	int rc = 0;

	/* The first writes allocate, and mark an array dirty. */
	for (uint64_t i = 0; !rc && i < UNITS; i++)
		rc = block_write(block, i * UNIT, data, UNIT, 0);
	worker_counters(worker_current(), &before);
	for (uint64_t i = 0; !rc && i < bench->writes; i++)
		rc = block_write(block, i % UNITS * UNIT, data, UNIT, 0);
	worker_counters(worker_current(), &after);
	if (rc)
		return error_set(&bench->error, rc, "%s: %s", block->name, error_name(rc));
	if (bench->writes)
		printf("%s: %.3f fiber switches, %.3f ring calls, %.3f requests a write\n",
		       bench->kind, (double)(after.switches - before.switches) / writes,
		       (double)(after.enters - before.enters) / writes,
		       (double)(after.submitted - before.submitted) / writes);
	return 0;
}

static int on_file(struct bench *bench)
{
	CLEANUP_BLOCK struct block *file = NULL;
	int rc = open_image(bench, "a", &file, &bench->error);

	return rc ? rc : measure(bench, file);
}

static int on_linear(struct bench *bench)
{
	const struct volume_group_options options = { 0 };
	const struct volume_context context = { .command = "write_counts_bench" };
	CLEANUP_BLOCK struct block *file = NULL, *volume = NULL;
	struct volume_group *group = NULL;
	int rc = open_image(bench, "a", &file, &bench->error);

	if (!rc)
		rc = volume_group_create(&group, "bench", &file, 1, &options, &context,
					 &bench->error);
	if (!rc)
		rc = volume_lv_create(group, "l", &(struct volume_lv_options){ .extents = 10 },
				      NULL, &bench->error);
	if (!rc)
		rc = volume_open_lv(group, "l", true, &volume, &bench->error);
	if (!rc)
		rc = measure(bench, volume);
	block_unref(steal_pointer(&volume));
	if (group)
		volume_group_unref(group);
	return rc;
}

static int on_mirror(struct bench *bench)
{
	struct raid_create_options options = {
		.name = "bench", .level = 1, .bitmap = RAID_BITMAP_NONE, .assume_clean = true
	};
	CLEANUP_BLOCK struct block *a = NULL, *b = NULL;
	struct raid_array *array = NULL;
	int rc = open_image(bench, "a", &a, &bench->error);

	if (!rc)
		rc = open_image(bench, "b", &b, &bench->error);
	if (!rc) {
		struct raid_new_member members[2] = { { .block = a }, { .block = b } };

		rc = raid_create(&array, members, 2, &options, &bench->error);
	}
	if (!rc)
		rc = measure(bench, raid_array_block(array));
	raid_stop(array, NULL);
	return rc;
}

static int run(void *arg)
{
	struct bench *bench = arg;

	if (!strcmp(bench->kind, "file"))
		return on_file(bench);
	if (!strcmp(bench->kind, "linear"))
		return on_linear(bench);
	if (!strcmp(bench->kind, "mirror"))
		return on_mirror(bench);
	return error_set(&bench->error, -EINVAL, "%s: expected file, linear or mirror",
			 bench->kind);
}

int main(int argc, char **argv)
{
	struct bench bench = { .writes = 1000 };
	struct worker *worker;
	int rc;

	if (standard_open() || argc < 3)
		return 2;
	bench.kind = argv[1];
	bench.folder = argv[2];
	if (argc > 3)
		bench.writes = strtoul(argv[3], NULL, 10);
	rc = worker_create(&worker, NULL, &bench.error);
	if (!rc) {
		rc = worker_run(worker, run, &bench);
		worker_destroy(worker);
	}
	if (rc)
		fprintf(stderr, "%s\n", bench.error.text);
	return rc != 0;
}
