/* SPDX-License-Identifier: BSD-2-Clause */
/* PVs and groups as text for people: headers and slots as they are on disk, and metadata. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "util/bytes.h"
#include "util/error.h"
#include "volume/lvm_vg.h"

static int finish(struct lvm_text *text, const char *name, char **out, struct error *error)
{
	if (text->failed) {
		free(text->at);
		return error_set(error, -ENOMEM, "%s: no memory to print it", name);
	}
	*out = text->at;
	return 0;
}

static void print_locations(struct lvm_text *text, const char *what,
			    const struct lvm_location *list, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		lvm_text_print(text, "  %s %u: byte %llu, %llu bytes%s\n", what, i + 1,
			       (unsigned long long)list[i].offset, (unsigned long long)list[i].size,
			       list[i].size ? "" : " (to the end)");
}

static void print_slot(struct lvm_text *text, const char *what, const struct lvm_slot *slot)
{
	lvm_text_print(text, "  %s: ", what);
	if (slot->size)
		lvm_text_print(text, "offset %llu, %llu bytes, CRC 0x%08x\n",
			       (unsigned long long)slot->offset, (unsigned long long)slot->size,
			       slot->crc);
	else
		lvm_text_print(text, "empty\n");
}

static void print_area(struct lvm_text *text, struct block *block, const struct lvm_location *where,
		       unsigned number)
{
	struct lvm_metadata_area area;
	struct error why = { 0 };

	lvm_text_print(text, "metadata area %u at byte %llu\n", number + 1,
		       (unsigned long long)where->offset);
	if (lvm_metadata_area_read(block, where, &area, &why)) {
		lvm_text_print(text, "  damaged: %s\n", why.text);
		return;
	}
	lvm_text_print(text, "  size: %llu bytes%s\n", (unsigned long long)area.size,
		       area.ignored ? ", ignored" : "");
	print_slot(text, "committed", &area.committed);
	print_slot(text, "precommitted", &area.precommitted);
}

static int read_label(struct block *block, struct lvm_label *label, struct error *error)
{
	int rc = lvm_label_read(block, label, error);

	if (!rc)
		return error_set(error, -ENODEV, "%s: no LVM2 label in its first 2 KiB",
				 block->name);
	return MIN(rc, 0);
}

int volume_pv_dump(struct block *block, char **text, struct error *error)
{
	struct lvm_text out = { 0 };
	struct lvm_label label;
	int rc = read_label(block, &label, error);

	if (rc)
		return rc;
	lvm_text_print(&out, "label at byte %u\n  uuid: %s\n  device size: %llu bytes\n",
		       label.sector * LVM_SECTOR_SIZE, label.uuid,
		       (unsigned long long)label.device_size);
	print_locations(&out, "data area", label.data, label.data_count);
	print_locations(&out, "metadata area", label.metadata, label.metadata_count);
	if (label.extension_version)
		lvm_text_print(&out, "  extension: version %u, flags 0x%x%s\n",
			       label.extension_version, label.extension_flags,
			       label.extension_flags & LVM_EXTENSION_USED ? " (used)" : "");
	print_locations(&out, "bootloader area", label.bootloader, label.bootloader_count);
	for (unsigned i = 0; i < label.metadata_count; i++)
		print_area(&out, block, &label.metadata[i], i);
	return finish(&out, block->name, text, error);
}

int volume_pv_dump_metadata(struct block *block, char **text, struct error *error)
{
	struct lvm_label label;
	struct error why = { 0 };
	int rc = read_label(block, &label, error);

	if (rc)
		return rc;
	/* The first area with a whole text; else what was wrong with the last that has one. */
	for (unsigned i = 0; i < label.metadata_count; i++) {
		struct lvm_metadata_area area;
		size_t size;

		rc = lvm_metadata_area_read(block, &label.metadata[i], &area, &why);
		if (rc || area.ignored || !area.committed.size)
			continue;
		rc = lvm_metadata_text_read(block, &area, &area.committed, text, &size, &why);
		if (!rc)
			return 0;
	}
	if (why.code)
		return error_set(error, why.code, "%s", why.text);
	return error_set(error, -ENODATA, "%s: holds no metadata of a volume group", block->name);
}

int volume_group_text(const struct volume_group *group, char **text, struct error *error)
{
	struct lvm_text out = { 0 };

	lvm_vg_export(group, group->creation_time, &out);
	return finish(&out, group->name, text, error);
}
