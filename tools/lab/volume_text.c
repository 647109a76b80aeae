/* SPDX-License-Identifier: BSD-2-Clause */
/* What disks say of groups, as texts that are compared; see volume.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "tools/lab/volume.h"
#include "util/cleanup.h"

static FILE *open_text(char **text, size_t *size)
{
	FILE *to = open_memstream(text, size);

	if (!to)
		abort();
	return to;
}

static char *close_text(FILE *to, char **text)
{
	if (fclose(to))
		abort();
	return *text;
}

char *lab_volume_text(const struct volume_scan *scan)
{
	char *text;
	size_t size;
	FILE *to = open_text(&text, &size);

	for (unsigned i = 0; i < scan->group_count; i++) {
		const struct volume_group *group = scan->groups[i];
		CLEANUP_FREE char *metadata = NULL;

		if (volume_group_text(group, &metadata, NULL))
			abort();
		fprintf(to, "%s%s, locked: %s\n", metadata, group->partial ? "partial" : "whole",
			group->locked_reason ? group->locked_reason : "no");
	}
	return close_text(to, &text);
}

char *lab_volume_devices(const struct volume_scan *scan)
{
	char *text;
	size_t size;
	FILE *to = open_text(&text, &size);

	for (unsigned i = 0; i < scan->device_count; i++) {
		const struct volume_scanned *device = &scan->devices[i];

		fprintf(to, "%s: %s%s\n", device->block->name,
			!device->is_pv  ? "no PV"
			: device->group ? device->group->name
					: "of no group",
			device->info.used ? ", used" : "");
	}
	return close_text(to, &text);
}

/* ---- Alike ---- */

static bool is_new_id(const char *line, size_t length, const char *known)
{
	char id[80];

	if (strncmp(line, "id = ", 5) != 0 || length >= sizeof(id))
		return false;
	snprintf(id, sizeof(id), "%.*s", (int)length, line);
	return !strstr(known, id);
}

static char *without_news(const char *text, const char *known)
{
	char *out;
	size_t size;
	FILE *to = open_text(&out, &size);

	while (*text) {
		size_t length = strcspn(text, "\n");

		if (is_new_id(text, length, known))
			fputs("id is new\n", to);
		else if (strncmp(text, "seqno = ", 8) != 0)
			fprintf(to, "%.*s\n", (int)length, text);
		text += length + (text[length] == '\n');
	}
	return close_text(to, &out);
}

bool lab_volume_alike(const char *text, const char *other, const char *known)
{
	CLEANUP_FREE char *one = without_news(text, known), *two = without_news(other, known);

	return !strcmp(one, two);
}
