/* SPDX-License-Identifier: BSD-2-Clause */
/* Looking at one device: is it a PV, and of which group. */
#include <errno.h>
#include <string.h>

#include "block/block.h"
#include "util/bytes.h"
#include "util/error.h"
#include "volume/lvm_io.h"
#include "volume/lvm_vg.h"

void lvm_pv_info(const struct lvm_label *label, struct volume_pv_info *info)
{
	memset(info, 0, sizeof(*info));
	memcpy(info->uuid, label->uuid, sizeof(info->uuid));
	info->label_sector = label->sector;
	info->device_size = label->device_size;
	if (label->data_count)
		info->data_offset = label->data[0].offset;
	if (label->bootloader_count) {
		info->bootloader_offset = label->bootloader[0].offset;
		info->bootloader_length = label->bootloader[0].size;
	}
	info->used = label->extension_flags & LVM_EXTENSION_USED;
	info->metadata_areas = label->metadata_count;
}

/* The text begins with the group's name and a space; whether the rest is good is not looked at. */
static void read_vg_name(struct block *block, const struct lvm_metadata_area *area,
			 struct volume_pv_info *info)
{
	char head[VOLUME_NAME_LENGTH + 2] = "";
	uint64_t length;
	char *space;

	if (lvm_slot_check(area, &area->committed, block->name, NULL))
		return;
	length = MIN(area->committed.size, area->size - area->committed.offset);
	length = MIN(length, sizeof(head) - 1);
	if (lvm_read(block, area->start + area->committed.offset, head, length, NULL))
		return;
	space = strchr(head, ' ');
	if (!space)
		return;
	*space = '\0';
	if (!volume_group_name_check(head, NULL))
		memcpy(info->vg_name, head, sizeof(info->vg_name));
}

int volume_pv_probe(struct block *block, struct volume_pv_info *info, struct error *error)
{
	struct lvm_label label;
	int rc = lvm_label_read(block, &label, error);

	if (rc <= 0)
		return rc;
	lvm_pv_info(&label, info);
	for (unsigned i = 0; i < label.metadata_count; i++) {
		struct lvm_metadata_area area;

		if (lvm_metadata_area_read(block, &label.metadata[i], &area, NULL) || area.ignored)
			continue;
		info->metadata_areas_used++;
		if (!*info->vg_name)
			read_vg_name(block, &area, info);
	}
	return 1;
}
