/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Verifying PVs: labels, metadata areas and texts of each device, then that the devices agree. Every
 * thing that was looked at gives a finding, so that a user sees what was verified, too.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "util/bytes.h"
#include "util/error.h"
#include "volume/lvm_io.h"
#include "volume/lvm_vg.h"

static char *text_of(const char *format, ...) __attribute__((format(printf, 1, 2)));

static char *text_of(const char *format, ...)
{
	va_list arguments;
	char *text;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	return text;
}

/* Adds a finding; takes the three texts over (`found` and `expected` may be NULL). */
static int add(struct volume_check *check, enum volume_severity severity, const char *device,
	       uint64_t offset, char *what, char *found, char *expected)
{
	struct volume_finding *grown =
		realloc(check->findings, (check->count + 1) * sizeof(*grown));
	char *name = strdup(device);

	if (grown)
		check->findings = grown;
	if (!grown || !name || !what) {
		free(name);
		free(what);
		free(found);
		free(expected);
		return -ENOMEM;
	}
	grown[check->count++] = (struct volume_finding){ .severity = severity,
							 .device = name,
							 .offset = offset,
							 .what = what,
							 .found = found,
							 .expected = expected };
	check->worst = MAX(check->worst, severity);
	return 0;
}

void volume_check_free(struct volume_check *check)
{
	for (unsigned i = 0; i < check->count; i++) {
		free(check->findings[i].device);
		free(check->findings[i].what);
		free(check->findings[i].found);
		free(check->findings[i].expected);
	}
	free(check->findings);
	free(check);
}

/* ---- One device ---- */

/* A CRC that is wrong, with both values; `stored` is where the four bytes lie. */
static int add_crc(struct volume_check *check, const struct block *block, uint64_t stored,
		   char *what, uint32_t found, uint32_t expected)
{
	return add(check, VOLUME_DAMAGED, block->name, stored, what, text_of("0x%08x", found),
		   text_of("0x%08x", expected));
}

/* The label's own sector when its CRC is what is wrong: 1 and told of, else 0. */
static int check_label_crc(struct volume_check *check, struct block *block)
{
	uint8_t sector[LVM_SECTOR_SIZE];

	for (unsigned i = 0; i < LVM_LABEL_SCAN_SECTORS; i++) {
		uint64_t at = i * (uint64_t)LVM_SECTOR_SIZE;
		uint32_t found, expected;
		int rc;

		if (lvm_read(block, at, sector, sizeof(sector), NULL))
			return 0;
		if (memcmp(sector, LVM_LABEL_ID, strlen(LVM_LABEL_ID)))
			continue;
		found = get_le32(sector + offsetof(struct lvm_label_header, crc));
		expected = lvm_crc(LVM_CRC_INITIAL, sector + 20, sizeof(sector) - 20);
		if (found == expected)
			continue;
		rc = add_crc(check, block, at + offsetof(struct lvm_label_header, crc),
			     text_of("label CRC"), found, expected);
		return rc ? rc : 1;
	}
	return 0;
}

static int check_header_crc(struct volume_check *check, struct block *block,
			    const struct lvm_location *where, unsigned number)
{
	uint8_t sector[LVM_METADATA_HEADER];
	uint32_t found, expected;
	int rc;

	if (lvm_read(block, where->offset, sector, sizeof(sector), NULL))
		return 0;
	found = get_le32(sector);
	expected = lvm_crc(LVM_CRC_INITIAL, sector + 4, sizeof(sector) - 4);
	if (found == expected)
		return 0;
	rc = add_crc(check, block, where->offset,
		     text_of("metadata area %u: header CRC", number + 1), found, expected);
	return rc ? rc : 1;
}

static int check_text(struct volume_check *check, struct block *block,
		      const struct lvm_metadata_area *area, unsigned number)
{
	uint64_t at = area->start + area->committed.offset;
	CLEANUP_VOLUME_GROUP struct volume_group *group = NULL;
	CLEANUP_FREE char *text = NULL;
	struct error why = { 0 };
	uint32_t crc;
	size_t size;
	int rc;

	rc = lvm_metadata_text_read(block, area, &area->committed, &text, &size, &why);
	if (rc == -ENOMEM)
		return rc;
	if (rc && !lvm_metadata_text_crc(block, area, &area->committed, &crc, NULL))
		return add_crc(check, block, at, text_of("metadata area %u: text CRC", number + 1),
			       crc, area->committed.crc);
	if (rc)
		return add(check, VOLUME_DAMAGED, block->name, at,
			   text_of("metadata area %u: text", number + 1), strdup(why.text), NULL);
	rc = lvm_vg_read(text, size, block->name, &group, &why);
	if (rc == -ENOMEM)
		return rc;
	if (rc)
		return add(check, VOLUME_DAMAGED, block->name, at,
			   text_of("metadata area %u: contents", number + 1), strdup(why.text),
			   NULL);
	return add(check, VOLUME_FINE, block->name, at,
		   text_of("metadata area %u: text", number + 1),
		   text_of("volume group %s, sequence number %u, CRC 0x%08x", group->name,
			   group->seqno, area->committed.crc),
		   NULL);
}

static int check_area(struct volume_check *check, struct block *block,
		      const struct lvm_label *label, unsigned number)
{
	const struct lvm_location *where = &label->metadata[number];
	struct lvm_metadata_area area;
	struct error why = { 0 };
	int rc = lvm_metadata_area_read(block, where, &area, &why);

	if (rc) {
		rc = check_header_crc(check, block, where, number);
		if (rc)
			return MIN(rc, 0);
		return add(check, VOLUME_DAMAGED, block->name, where->offset,
			   text_of("metadata area %u: header", number + 1), strdup(why.text), NULL);
	}
	if (area.size != where->size)
		rc = add(check, VOLUME_WARNING, block->name, where->offset,
			 text_of("metadata area %u: size", number + 1),
			 text_of("%llu", (unsigned long long)area.size),
			 text_of("%llu, as in the label", (unsigned long long)where->size));
	if (!rc)
		rc = add(check, VOLUME_FINE, block->name, where->offset,
			 text_of("metadata area %u: header", number + 1),
			 text_of("%llu bytes, %s", (unsigned long long)area.size,
				 area.ignored          ? "ignored"
				 : area.committed.size ? "in use"
						       : "empty"),
			 NULL);
	if (!rc && !area.ignored && area.precommitted.size)
		rc = add(check, VOLUME_NOTE, block->name, where->offset,
			 text_of("metadata area %u: precommitted slot", number + 1),
			 text_of("a change that was not finished, at %llu",
				 (unsigned long long)area.precommitted.offset),
			 text_of("empty"));
	if (!rc && !area.ignored && area.committed.size)
		rc = check_text(check, block, &area, number);
	return rc;
}

static int check_device(struct volume_check *check, struct block *block, unsigned *pvs)
{
	struct lvm_label label;
	struct error why = { 0 };
	int rc = lvm_label_read(block, &label, &why);

	if (rc < 0) {
		*pvs += rc == -EBADMSG;
		rc = check_label_crc(check, block);
		if (rc)
			return MIN(rc, 0);
		return add(check, VOLUME_DAMAGED, block->name, 0, text_of("label"),
			   strdup(why.text), NULL);
	}
	if (!rc)
		return add(check, VOLUME_NOTE, block->name, 0, text_of("label"),
			   text_of("none: no physical volume"), NULL);
	(*pvs)++;
	rc = add(check, VOLUME_FINE, block->name, label.sector * (uint64_t)LVM_SECTOR_SIZE,
		 text_of("label"), text_of("PV %s", label.uuid), NULL);
	if (!rc && label.device_size > block->size)
		rc = add(check, VOLUME_DAMAGED, block->name,
			 label.sector * (uint64_t)LVM_SECTOR_SIZE, text_of("device size"),
			 text_of("%llu", (unsigned long long)block->size),
			 text_of("%llu, as in the label", (unsigned long long)label.device_size));
	if (!rc && !label.data_count)
		rc = add(check, VOLUME_DAMAGED, block->name,
			 label.sector * (uint64_t)LVM_SECTOR_SIZE, text_of("data areas"),
			 text_of("none"), text_of("one"));
	for (unsigned i = 0; !rc && i < label.metadata_count; i++)
		rc = check_area(check, block, &label, i);
	return rc;
}

/* ---- All together ---- */

static int check_group(struct volume_check *check, const struct volume_group *group)
{
	const char *device = "";
	int rc = 0;

	for (unsigned i = 0; i < group->pv_count && !*device; i++)
		if (group->pvs[i]->block)
			device = group->pvs[i]->block->name;
	for (unsigned i = 0; !rc && i < group->pv_count; i++) {
		const struct volume_pv *pv = group->pvs[i];

		/* 0 in old labels: pvcreate --metadatacopies 0 of before the extension existed */
		if (pv->block && pv->private->label.extension_version &&
		    !(pv->private->label.extension_flags & LVM_EXTENSION_USED))
			rc = add(check, VOLUME_NOTE, pv->block->name,
				 pv->private->label.sector * (uint64_t)LVM_SECTOR_SIZE,
				 text_of("label: used flag"), text_of("clear"), text_of("set"));
	}
	for (unsigned i = 0; !rc && i < group->problem_count; i++)
		rc = add(check, VOLUME_WARNING, device, 0, text_of("volume group %s", group->name),
			 strdup(group->problems[i]), NULL);
	if (!rc && !group->problem_count)
		rc = add(check, VOLUME_FINE, device, 0, text_of("volume group %s", group->name),
			 text_of("%u PVs agree on sequence number %u", group->pv_count,
				 group->seqno),
			 NULL);
	return rc;
}

static int check_together(struct volume_check *check, struct block *const *blocks, unsigned count)
{
	CLEANUP_VOLUME_SCAN struct volume_scan *scan = NULL;
	int rc = volume_groups_scan(blocks, count, NULL, &scan, NULL);

	for (unsigned i = 0; !rc && i < scan->group_count; i++)
		rc = check_group(check, scan->groups[i]);
	for (unsigned i = 0; !rc && i < scan->device_count; i++) {
		const struct volume_scanned *scanned = &scan->devices[i];

		if (!scanned->is_pv || scanned->group)
			continue;
		rc = add(check, scanned->info.used ? VOLUME_WARNING : VOLUME_NOTE,
			 scanned->block->name, 0, text_of("volume group"),
			 text_of("none found%s",
				 scanned->info.used ? ", but the label says that one uses it" : ""),
			 NULL);
	}
	return rc;
}

int volume_pv_check(struct block *const *blocks, unsigned count, struct volume_check **out,
		    struct error *error)
{
	CLEANUP_VOLUME_CHECK struct volume_check *check = calloc(1, sizeof(*check));
	unsigned pvs = 0;
	int rc = check ? 0 : -ENOMEM;

	for (unsigned i = 0; !rc && i < count; i++)
		rc = check_device(check, blocks[i], &pvs);
	if (!rc)
		rc = check_together(check, blocks, count);
	if (rc)
		return error_set(error, rc, "no memory to check physical volumes");
	if (!pvs)
		return error_set(error, -ENODEV, "%s: no LVM2 label in its first 2 KiB%s",
				 count ? blocks[0]->name : "no device",
				 count > 1 ? ", nor on the other devices" : "");
	*out = steal_pointer(&check);
	return 0;
}
