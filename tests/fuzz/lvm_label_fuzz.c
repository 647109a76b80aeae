/* SPDX-License-Identifier: BSD-2-Clause */
/* The first four sectors of a hostile device. A label whose CRC is wrong gets it put right for half of
 * the inputs, or nothing behind it would ever be reached. */
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"
#include "volume/lvm_io.h"
#include "volume/lvm_label.h"

static void put_sums(uint8_t *head)
{
	for (unsigned i = 0; i < LVM_LABEL_SCAN_SECTORS; i++) {
		uint8_t *sector = head + i * LVM_SECTOR_SIZE;

		put_le32(sector + 16, lvm_crc(LVM_CRC_INITIAL, sector + 20, LVM_SECTOR_SIZE - 20));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t head[LVM_LABEL_SCAN_SIZE] = { 0 }, again[LVM_LABEL_SCAN_SIZE] = { 0 };
	struct lvm_label label, second;
	struct error error = { 0 };

	if (size)
		memcpy(head, data + 1, MIN(size - 1, sizeof(head)));
	if (size && data[0] & 1)
		put_sums(head);
	if (lvm_label_decode(head, sizeof(head), "fuzz", &label, &error) <= 0)
		return 0;
	/* What was understood must be written so that it is understood the same. */
	lvm_label_encode(&label, again + label.sector * LVM_SECTOR_SIZE);
	if (!label.extension_version)
		label.extension_flags = 0;
	label.extension_version = LVM_EXTENSION_VERSION;
	if (lvm_label_decode(again, sizeof(again), "fuzz", &second, &error) != 1 ||
	    memcmp(&label, &second, sizeof(label)))
		abort();
	return 0;
}
