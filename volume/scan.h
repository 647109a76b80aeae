/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside volume/: what is known while devices are scanned, between scan_read.c and scan.c. */
#ifndef TENON_VOLUME_SCAN_H
#define TENON_VOLUME_SCAN_H

#include "util/error.h"
#include "volume/lvm_vg.h"

/* A text that was found, once for all areas that hold the same. */
struct scan_text {
	char *text;
	size_t size;
	struct volume_group *group; /* NULL: not valid */
	struct error error;
};

/* A device while it is scanned, beside its struct volume_scanned. */
struct scan_device {
	struct lvm_label label;
	struct volume_metadata_area areas[LVM_LABEL_AREAS];
	int texts[LVM_LABEL_AREAS]; /* index of the text, or -1 */
	int unread; /* why an area could not be looked at, or 0: it may hold anything */
};

struct scanner {
	struct volume_scan *scan;
	struct scan_device *devices;
	struct block **ends; /* of each device, as they were read at first */
	unsigned count;      /* of devices */
	struct scan_text *texts;
	unsigned text_count;
	bool pvs_only;
};

/* Reads label, metadata areas and texts of device `number`. -ENOMEM only; what is wrong becomes its problem. */
int lvm_scan_read(struct scanner *scanner, unsigned number);

/* Keeps the first problem of a device. */
void lvm_scan_problem(struct volume_scanned *scanned, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
