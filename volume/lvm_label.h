/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The label of a physical volume: who it is, and where its data and metadata areas lie.
 *
 * lvm_label_decode() is the only reader of labels and takes nothing on trust. Lists that it accepts
 * always fit into the sector that lvm_label_encode() makes.
 */
#ifndef TENON_VOLUME_LVM_LABEL_H
#define TENON_VOLUME_LVM_LABEL_H

#include <stdbool.h>
#include <stdint.h>

#include "volume/lvm_format.h"

struct block;
struct error;

#define LVM_LABEL_AREAS 8 /* of each kind; LVM2 writes at most 1 data, 2 metadata, 1 bootloader */

struct lvm_location {
	uint64_t offset; /* bytes on the device */
	uint64_t size;
};

struct lvm_label {
	unsigned sector;
	char uuid[39];
	uint64_t device_size;
	unsigned data_count, metadata_count, bootloader_count;
	struct lvm_location data[LVM_LABEL_AREAS];
	struct lvm_location metadata[LVM_LABEL_AREAS];
	struct lvm_location bootloader[LVM_LABEL_AREAS];
	uint32_t extension_version; /* 0: none */
	uint32_t extension_flags;
};

/*
 * Looks for a label in the first four sectors, `at`, of `length` bytes; `name` is the device's for
 * errors. 1 and *out filled in; 0 without a label; -EBADMSG with `error` set when what looks like a
 * label of LVM2 is damaged and no other is there.
 */
int lvm_label_decode(const void *at, size_t length, const char *name, struct lvm_label *out,
		     struct error *error);

/* The same on a device; also negative errnos of reading. */
int lvm_label_read(struct block *block, struct lvm_label *out, struct error *error);

/* Where data must end on a device of `size` bytes: at its end, or at a metadata area that lies behind them. */
uint64_t lvm_label_data_end(const struct lvm_label *label, uint64_t size);

/* Writes the label into its sector. Does not flush. */
int lvm_label_write(struct block *block, const struct lvm_label *label, struct error *error);

/* The sector of a label, for lvm_label_write() and tests. */
void lvm_label_encode(const struct lvm_label *label, uint8_t sector[LVM_SECTOR_SIZE]);

#endif
