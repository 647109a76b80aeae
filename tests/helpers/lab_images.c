/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * States that an exploration of volume groups looks at, as disk images for other tools:
 *
 *	lab_images SCENARIO DIRECTORY EVERY	each so manieth state: DIRECTORY/STATE/diskN.img, of disks that are there
 *	lab_images verbs			the verbs that are operations there, one a line ("lv create")
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/lab/explore.h"
#include "tools/lab/library.h"
#include "tools/lab/states.h"
#include "tools/lab/store.h"
#include "tools/lab/volume.h"
#include "util/error.h"

struct images {
	const char *directory;
	uint64_t every, seen;
	bool failed;
};

static bool write_image(const char *path, const struct lab_store *store)
{
	uint64_t size = lab_store_size(store);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	bool fine = fd >= 0 && !ftruncate(fd, (off_t)size);
	char page[LAB_PAGE];

	for (uint64_t at = 0; at < size && fine; at += LAB_PAGE) {
		if (lab_store_is_hole(store, at, LAB_PAGE))
			continue;
		lab_store_read(store, at, page, LAB_PAGE);
		fine = pwrite(fd, page, LAB_PAGE, (off_t)at) == LAB_PAGE;
	}
	return fd >= 0 && !close(fd) && fine;
}

static void show(void *arg, const struct lab_states *states, uint64_t gone)
{
	struct images *images = arg;
	char path[500];

	if (images->seen++ % images->every)
		return;
	snprintf(path, sizeof(path), "%s/%llu", images->directory,
		 (unsigned long long)states->states);
	images->failed |= mkdir(path, 0700) && errno != EEXIST;
	for (unsigned i = 0; i < states->disk_count; i++) {
		snprintf(path, sizeof(path), "%s/%llu/disk%u.img", images->directory,
			 (unsigned long long)states->states, i);
		if (!(gone >> i & 1))
			images->failed |= !write_image(path, states->state[i]);
	}
}

static int print_verbs(void)
{
	for (unsigned i = 0; lab_volume_operations[i].name; i++) {
		const char *verbs = lab_volume_operations[i].verbs;

		while (verbs && *verbs) {
			int length = (int)strcspn(verbs, ",");

			printf("%.*s\n", length, verbs);
			verbs += length + strspn(verbs + length, ", ");
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct images images = { .every = 1 };
	struct lab_explore_options options = { .show = show, .show_arg = &images };
	struct lab_explored explored = { 0 };
	struct lab_scenario scenario;
	struct error error = { 0 };
	int rc;

	if (argc == 2 && !strcmp(argv[1], "verbs"))
		return print_verbs();
	if (argc != 4 || atoi(argv[3]) < 1) {
		fprintf(stderr, "usage: lab_images SCENARIO DIRECTORY EVERY | verbs\n");
		return 2;
	}
	images.directory = argv[2];
	images.every = (uint64_t)atoi(argv[3]);
	rc = lab_library_load(&scenario, argv[1], &error);
	options.seed = scenario.seed;
	if (!rc)
		rc = lab_volume_explore(&scenario, &options, &explored, &error);
	if (rc)
		fprintf(stderr, "lab_images: %s\n", error.text);
	else
		printf("%llu states\n", (unsigned long long)explored.states);
	free(explored.pending);
	lab_scenario_free(&scenario);
	return rc || images.failed || explored.failures ? 1 : 0;
}
