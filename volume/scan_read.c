/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading devices for a scan: labels, metadata areas, texts; see scan.c. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "block/raid_magic.h"
#include "util/bytes.h"
#include "volume/scan.h"

/* Of a header and its text, while somebody changes them. */
#define READ_ATTEMPTS 4

void lvm_scan_problem(struct volume_scanned *scanned, const char *format, ...)
{
	va_list arguments;

	if (scanned->problem)
		return;
	va_start(arguments, format);
	if (vasprintf(&scanned->problem, format, arguments) < 0)
		scanned->problem = NULL;
	va_end(arguments);
}

static void parse_text(const struct scanner *scanner, struct scan_text *found, const char *name)
{
	int (*read)(const char *text, size_t size, const char *name, struct volume_group **out,
		    struct error *error) = scanner->pvs_only ? lvm_vg_read_pvs : lvm_vg_read;

	if (!read(found->text, found->size, name, &found->group, &found->error) &&
	    scanner->pvs_only)
		lvm_vg_lock(found->group, LVM_LOCK_OTHER, "its volumes were not read");
}

/* Takes `text` over. The index among the texts, or -ENOMEM. */
static int add_text(struct scanner *scanner, char *text, size_t size, const char *name)
{
	struct scan_text *grown, *new;

	for (unsigned i = 0; i < scanner->text_count; i++)
		if (scanner->texts[i].size == size && !memcmp(scanner->texts[i].text, text, size)) {
			free(text);
			return (int)i;
		}
	grown = realloc(scanner->texts, (scanner->text_count + 1) * sizeof(*grown));
	if (!grown) {
		free(text);
		return -ENOMEM;
	}
	scanner->texts = grown;
	new = &grown[scanner->text_count];
	*new = (struct scan_text){ .text = text, .size = size };
	parse_text(scanner, new, name);
	return (int)scanner->text_count++;
}

/* The header and its text. A server may be at work on the device: a text that is not what the header says
 * is read again with the header, which names another one then. */
static int read_text(struct block *block, struct block *ends, const struct lvm_location *where,
		     struct volume_metadata_area *area, char **text, size_t *size,
		     struct error *why)
{
	struct lvm_slot before;
	int rc = 0;

	for (unsigned i = 0; i < READ_ATTEMPTS; i++) {
		before = area->area.committed;
		*text = NULL;
		rc = lvm_metadata_area_read(i ? block : ends, where, &area->area, why);
		area->readable = !rc;
		if (rc || area->area.ignored || !area->area.committed.size)
			return rc;
		if (i && lvm_slot_equal(&before, &area->area.committed))
			break;
		rc = lvm_metadata_text_read(block, &area->area, &area->area.committed, text, size,
					    why);
		if (rc != -EBADMSG)
			return rc;
	}
	return -EBADMSG;
}

static int read_area(struct scanner *scanner, struct volume_scanned *scanned,
		     struct scan_device *device, unsigned number)
{
	struct volume_metadata_area *area = &device->areas[number];
	struct error why = { 0 };
	char *text = NULL;
	size_t size;
	int rc;

	device->texts[number] = -1;
	rc = read_text(scanned->block, scanner->ends[device - scanner->devices],
		       &device->label.metadata[number], area, &text, &size, &why);
	scanned->info.metadata_areas_used += area->readable && !area->area.ignored;
	if (rc) {
		lvm_scan_problem(scanned, "%s", why.text);
		/* Damage is repaired from other areas. What was not read may be newer than they. */
		if (rc != -EBADMSG && range_within(device->label.metadata[number].offset,
						   LVM_METADATA_HEADER, scanned->block->size))
			device->unread = rc;
		return rc == -ENOMEM ? rc : 0;
	}
	if (!text)
		return 0;
	rc = add_text(scanner, text, size, scanned->block->name);
	if (rc < 0)
		return rc;
	device->texts[number] = rc;
	if (!scanner->texts[rc].group)
		lvm_scan_problem(scanned, "%s", scanner->texts[rc].error.text);
	else if (!*scanned->info.vg_name)
		snprintf(scanned->info.vg_name, sizeof(scanned->info.vg_name), "%s",
			 scanner->texts[rc].group->name);
	return 0;
}

/* Whether what is on the device belongs to an array that has its superblock behind it; or that cannot be told. What is within the PV by
 * its label's size is data where it cannot be read: a mirror is smaller than what is before its superblock. An array of several members' data is larger
 * than each: so may a PV be that its label has larger than the device. */
static bool is_of_an_array(struct volume_scanned *scanned, const struct lvm_label *label,
			   struct block *ends)
{
	uint64_t data = label->device_size <= ends->size ? label->device_size : 0;
	struct block_raid_magic magic;
	struct error why = { 0 };
	int rc = block_raid_magic_find(ends, data, &magic, &why);

	if (rc > 0)
		lvm_scan_problem(scanned,
				 "%s: its physical volume is not used: it belongs to an array, of "
				 "which there is a %s at byte %llu",
				 scanned->block->name, magic.name,
				 (unsigned long long)magic.offset);
	else if (rc < 0)
		lvm_scan_problem(scanned, "%s", why.text);
	return rc != 0;
}

int lvm_scan_read(struct scanner *scanner, unsigned number)
{
	struct volume_scanned *scanned = &scanner->scan->devices[number];
	struct scan_device *device = &scanner->devices[number];
	struct error why = { 0 };
	struct block *ends = scanner->ends[number];
	int rc = lvm_label_read(ends, &device->label, &why);

	if (rc < 0)
		lvm_scan_problem(scanned, "%s", why.text);
	if (rc <= 0 || is_of_an_array(scanned, &device->label, ends))
		return 0;
	scanned->is_pv = true;
	lvm_pv_info(&device->label, &scanned->info);
	for (unsigned i = 0; i < device->label.metadata_count; i++) {
		rc = read_area(scanner, scanned, device, i);
		if (rc)
			return rc;
	}
	return 0;
}
