/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Groups of RAID volumes that lose power while they are written, as images for other tools, and what their volumes must hold then:
 *
 *	volume_cut make DIRECTORY COUNT SEED	COUNT cuts. DIRECTORY/diskN has PV N of all groups one behind the other, that of gK at (K + 1) * 8 MiB;
 *						DIRECTORY/gK.LV says what its volume LV holds
 *	volume_cut check DEVICE FILE [ROW]	whether a volume holds that; with ROW, but for rows of so many units that were being written
 *	volume_cut write DEVICE JOURNAL NUMBER	fills a volume with 1, 2, 3 ... until it is killed; sector NUMBER of the journal says what was flushed last
 *	volume_cut journal JOURNAL NUMBER UNITS	the FILE of a volume that was written so
 *
 * Units of 4 KiB have one value in all words of a sector. FILE has a line for each unit: the value that was flushed last, and the last that was
 * written. Values rise, so a sector may hold all that lie between.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/block.h"
#include "block/volatile.h"
#include "fiber/fiber.h"
#include "raid/raid.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/random.h"
#include "volume/volume.h"
#include "volume/volume_raid.h"

#define DISKS   5u
#define SIZE    (8ull << 20)
#define EXTENT  (128u << 10)
#define UNIT    4096u
#define UNITS   192u /* at most */
#define WRITERS 2u
#define VOLUMES 5u
#define SECTOR  512u
#define LONGEST 6u /* units of a write */
#define VALUES  (UNIT / 4)

static const struct kind {
	const char *name, *type;
	unsigned stripes, extents;
} kinds[VOLUMES] = {
	{ "one", "raid1", 1, 4 }, { "four", "raid4", 2, 4 }, { "five", "raid5", 2, 4 },
	{ "six", "raid6", 3, 6 }, { "ten", "raid10", 2, 4 },
};

/* Of each unit what a flush made durable, what was acknowledged and what was written last. */
struct model {
	uint32_t durable[UNITS], done[UNITS], latest[UNITS], value;
	unsigned units;
};

struct scene {
	struct block *memory, *power, *disks[DISKS];
	struct volume_context context;
	struct volume_scan *scan;
	struct volume_group *group;
	struct block *volumes[VOLUMES];
	struct model models[VOLUMES];
	struct random random;
	struct error error;
};

static void fill_unit(uint8_t *bytes, uint32_t value)
{
	for (unsigned i = 0; i < VALUES; i++)
		put_le32(bytes + 4ul * i, value);
}

/* ---- Written ---- */

struct writer {
	struct scene *scene;
	unsigned volume, index;
};

/* Units are a writer's own by LONGEST: of two writes at the same time to one place nobody could say which is the later. */
static int write_units(const struct writer *writer)
{
	struct scene *scene = writer->scene;
	struct model *model = &scene->models[writer->volume];
	struct random *random = &scene->random;
	unsigned slots = model->units / LONGEST / WRITERS;
	uint64_t at = LONGEST * (WRITERS * random_below(random, slots) + writer->index);
	uint64_t from = random_below(random, LONGEST);
	uint64_t count = 1 + random_below(random, LONGEST - from);
	bool fua = random_below(random, 8) == 0;
	uint8_t bytes[LONGEST * UNIT];
	int rc;

	at += from;
	for (uint64_t i = 0; i < count; i++) {
		model->latest[at + i] = ++model->value;
		fill_unit(bytes + i * UNIT, model->value);
	}
	rc = block_write(scene->volumes[writer->volume], at * UNIT, bytes, count * UNIT,
			 fua ? BLOCK_FUA : 0);
	for (uint64_t i = 0; !rc && i < count; i++) {
		model->done[at + i] = model->latest[at + i];
		if (fua)
			model->durable[at + i] = model->latest[at + i];
	}
	return rc;
}

static int flush_volume(const struct writer *writer)
{
	struct model *model = &writer->scene->models[writer->volume];
	uint32_t done[UNITS];
	int rc;

	memcpy(done, model->done, sizeof(done));
	rc = block_flush(writer->scene->volumes[writer->volume]);
	for (unsigned i = 0; !rc && i < UNITS; i++)
		model->durable[i] = MAX(model->durable[i], done[i]);
	return rc;
}

static int write_all(void *arg)
{
	const struct writer *writer = arg;
	struct scene *scene = writer->scene;
	int rc = 0;

	for (unsigned i = 0; !rc && i < 200 && !block_volatile_is_off(scene->power); i++) {
		rc = write_units(writer);
		if (!rc && random_below(&scene->random, 10) == 0)
			rc = flush_volume(writer);
		if (random_below(&scene->random, 8) == 0)
			fiber_sleep(random_below(&scene->random, 8000000000ull));
	}
	return rc;
}

static void write_until_cut(struct scene *scene)
{
	struct writer writers[VOLUMES * WRITERS];
	struct fiber *fibers[VOLUMES * WRITERS];

	for (unsigned i = 0; i < ARRAY_SIZE(writers); i++) {
		writers[i] = (struct writer){ scene, i / WRITERS, i % WRITERS };
		fibers[i] = fiber_spawn(write_all, &writers[i]);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(writers); i++)
		fiber_join(fibers[i]);
	if (!block_volatile_is_off(scene->power))
		block_volatile_power_cut(scene->power, random_next(&scene->random));
}

/* ---- One cut ---- */

static int make_disks(struct scene *scene)
{
	struct error *error = &scene->error;
	int rc = block_create_memory(&scene->memory, "memory", DISKS * SIZE, error);

	if (!rc)
		rc = block_create_volatile(&scene->power, "power", scene->memory, error);
	for (unsigned i = 0; !rc && i < DISKS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "disk%u", i);
		rc = block_create_slice(&scene->disks[i], name, scene->power, i * SIZE, SIZE,
					error);
	}
	return rc;
}

static int make_volume(struct scene *scene, unsigned number, bool in_sync)
{
	const struct kind *kind = &kinds[number];
	struct volume_lv_options options = { .type = kind->type,
					     .stripes = kind->stripes,
					     .stripe_size = kind->stripes > 1 ? 16384 : 0,
					     .region_size = 16384,
					     .extents = kind->extents };
	int rc = volume_lv_create(scene->group, kind->name, &options, NULL, &scene->error);

	if (!rc)
		rc = volume_open_lv(scene->group, kind->name, true, &scene->volumes[number],
				    &scene->error);
	if (!rc && in_sync)
		rc = raid_rebuild_wait(
			volume_lv_array(volume_group_get_lv(scene->group, kind->name)), NULL, NULL,
			1000000000, &scene->error);
	scene->models[number].units = kind->extents * (EXTENT / UNIT);
	return rc;
}

static int make_group(struct scene *scene, unsigned number)
{
	struct volume_group_options options = { .extent_size = EXTENT };
	char name[16];
	int rc;

	snprintf(name, sizeof(name), "g%u", number);
	scene->context =
		(struct volume_context){ .command = "volume_cut", .random = &scene->random };
	rc = volume_group_create(&scene->group, name, scene->disks, DISKS, &options,
				 &scene->context, &scene->error);
	if (rc)
		return rc;
	volume_group_unref(scene->group);
	rc = volume_groups_scan(scene->disks, DISKS, &scene->context, &scene->scan, &scene->error);
	if (!rc)
		rc = volume_scan_find(scene->scan, name, &scene->group, &scene->error);
	/* Of two in six some are cut while they are brought into line for the first time. */
	for (unsigned i = 0; !rc && i < VOLUMES; i++)
		rc = make_volume(scene, i, number % 6 || random_below(&scene->random, 2));
	return rc;
}

static int save(const struct scene *scene, const char *directory, unsigned number)
{
	uint8_t *bytes = malloc(SIZE);
	char path[500];
	int rc = bytes ? 0 : -ENOMEM;

	for (unsigned i = 0; !rc && i < DISKS; i++) {
		int fd;

		snprintf(path, sizeof(path), "%s/disk%u", directory, i);
		fd = open(path, O_WRONLY | O_CREAT, 0600);
		rc = block_read(scene->memory, i * SIZE, bytes, SIZE);
		for (uint64_t at = 0; !rc && at < SIZE; at += UNIT)
			if (!bytes_all_zero(bytes + at, UNIT) &&
			    pwrite(fd, bytes + at, UNIT, (off_t)((number + 1) * SIZE + at)) != UNIT)
				rc = -EIO;
		if (fd < 0 || ftruncate(fd, (off_t)((number + 2) * SIZE)) || close(fd))
			rc = -EIO;
	}
	free(bytes);
	for (unsigned i = 0; !rc && i < VOLUMES; i++) {
		const struct model *model = &scene->models[i];
		FILE *file;

		snprintf(path, sizeof(path), "%s/g%u.%s", directory, number, kinds[i].name);
		file = fopen(path, "w");
		for (unsigned unit = 0; file && unit < model->units; unit++)
			fprintf(file, "%u %u\n", model->durable[unit], model->latest[unit]);
		if (!file || fclose(file))
			rc = -EIO;
	}
	return rc;
}

static int make_one(const char *directory, unsigned number, uint64_t seed)
{
	static struct scene scene;
	int rc;

	scene = (struct scene){ .random = { .state = random_mix(seed + number) } };
	rc = make_disks(&scene);
	if (!rc)
		rc = make_group(&scene, number);
	if (!rc) {
		block_volatile_cut_after(scene.power, 20 + random_below(&scene.random, 1500),
					 random_next(&scene.random));
		write_until_cut(&scene);
	}
	for (unsigned i = 0; i < VOLUMES; i++)
		block_unref(scene.volumes[i]);
	if (scene.scan)
		volume_scan_free(scene.scan);
	if (!rc)
		rc = save(&scene, directory, number);
	for (unsigned i = 0; i < DISKS; i++)
		block_unref(scene.disks[i]);
	block_unref(scene.power);
	block_unref(scene.memory);
	if (rc)
		fprintf(stderr, "volume_cut: g%u: %s: %s\n", number, error_name(rc),
			scene.error.text);
	return rc;
}

static int make(void *arg)
{
	char **words = arg;
	int rc = 0;

	for (unsigned i = 0; !rc && i < (unsigned)atoi(words[1]); i++)
		rc = make_one(words[0], i, strtoull(words[2], NULL, 10) << 32);
	return rc;
}

static int make_all(char **words)
{
	struct worker_options options = { .virtual_clock = true, .seed = 3 };
	struct error error = { 0 };
	struct worker *worker;
	int rc;

	if (worker_create(&worker, &options, &error))
		return fprintf(stderr, "volume_cut: %s\n", error.text), 1;
	rc = worker_run(worker, make, words);
	worker_destroy(worker);
	return rc ? 1 : 0;
}

/* ---- Looked at ---- */

static bool sector_is(const uint8_t *bytes, uint32_t durable, uint32_t latest)
{
	uint32_t value = get_le32(bytes);

	for (unsigned i = 4; i < SECTOR; i += 4)
		if (get_le32(bytes + i) != value)
			return false;
	return value >= durable && value <= latest;
}

static unsigned read_model(const char *path, struct model *model)
{
	FILE *file = fopen(path, "r");

	while (file && model->units < UNITS &&
	       fscanf(file, "%u %u", &model->durable[model->units], &model->latest[model->units]) ==
		       2)
		model->units++;
	if (file)
		fclose(file);
	return model->units;
}

/* Whether all of its row were flushed. */
static bool is_still(const struct model *model, unsigned unit, unsigned row)
{
	unsigned first = row ? unit - unit % row : 0;

	for (unsigned i = first; row && i < MIN(first + row, model->units); i++)
		if (model->durable[i] != model->latest[i])
			return false;
	return true;
}

static int check(char **words, unsigned row)
{
	static struct model model;
	int fd = open(words[0], O_RDONLY), wrong = 0;
	unsigned looked = 0;
	uint8_t bytes[UNIT];

	if (fd < 0 || !read_model(words[1], &model))
		return fprintf(stderr, "%s: %s: cannot be read\n", words[0], words[1]), 1;
	for (unsigned unit = 0; unit < model.units; unit++) {
		if (!is_still(&model, unit, row))
			continue;
		looked++;
		if (pread(fd, bytes, UNIT, (off_t)unit * UNIT) != UNIT)
			return fprintf(stderr, "%s: unit %u cannot be read\n", words[0], unit), 1;
		for (unsigned at = 0; at < UNIT; at += SECTOR) {
			if (sector_is(bytes + at, model.durable[unit], model.latest[unit]) ||
			    wrong++ > 2)
				continue;
			printf("%s: unit %u, byte %u: %u, flushed %u, written %u\n", words[0], unit,
			       at, get_le32(bytes + at), model.durable[unit], model.latest[unit]);
		}
	}
	close(fd);
	/* Who looks at nothing finds nothing. */
	return wrong || looked < 4;
}

/* ---- On the other side ---- */

static int write_device(char **words)
{
	int fd = open(words[0], O_RDWR | O_DIRECT), journal = open(words[1], O_RDWR | O_DIRECT);
	off_t size = lseek(fd, 0, SEEK_END), at = (off_t)SECTOR * atoi(words[2]);
	uint8_t *bytes = aligned_alloc(UNIT, UNIT);
	struct random random = { .state = (uint64_t)atoi(words[2]) };

	if (fd < 0 || journal < 0 || size < (off_t)UNIT || !bytes)
		return fprintf(stderr, "%s, %s: %s\n", words[0], words[1], strerror(errno)), 1;
	for (uint32_t value = 1;; value++) {
		uint64_t units = (uint64_t)size / UNIT, first = random_below(&random, units);

		fill_unit(bytes, value);
		/* Each unit once, in an order of leaps. */
		for (uint64_t i = 0; i < units; i++) {
			uint64_t unit = (first + i * 37) % units;

			if (pwrite(fd, bytes, UNIT, (off_t)(unit * UNIT)) != UNIT)
				return 1;
		}
		if (fsync(fd) || pwrite(journal, bytes, SECTOR, at) != SECTOR || fsync(journal))
			return 1;
	}
}

static int print_journal(char **words)
{
	int fd = open(words[0], O_RDONLY);
	uint8_t bytes[SECTOR];
	uint32_t value;

	if (fd < 0 || pread(fd, bytes, SECTOR, (off_t)SECTOR * atoi(words[1])) != SECTOR)
		return 1;
	value = get_le32(bytes);
	for (int i = 0; i < atoi(words[2]); i++)
		printf("%u %u\n", value, value + 1);
	return value ? 0 : 1;
}

int main(int argc, char **argv)
{
	char **words = argv + 2;

	if (argc == 5 && !strcmp(argv[1], "make"))
		return make_all(words);
	if ((argc == 4 || argc == 5) && !strcmp(argv[1], "check"))
		return check(words, argc == 5 ? (unsigned)atoi(argv[4]) : 0);
	if (argc == 5 && !strcmp(argv[1], "write"))
		return write_device(words);
	if (argc == 5 && !strcmp(argv[1], "journal"))
		return print_journal(words);
	fprintf(stderr, "usage: volume_cut make DIRECTORY COUNT SEED | check DEVICE FILE [ROW] | "
			"write DEVICE JOURNAL NUMBER | journal JOURNAL NUMBER UNITS\n");
	return 2;
}
