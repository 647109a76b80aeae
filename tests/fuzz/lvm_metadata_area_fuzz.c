/* SPDX-License-Identifier: BSD-2-Clause */
/* A hostile header of a metadata area, and the place for the next text beside whatever it claims. The
 * input is the area's size (8 bytes), the size of a new text (4), and the header. */
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "volume/lvm_io.h"
#include "volume/lvm_metadata_area.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lvm_location where = { .offset = 4096 };
	uint8_t sector[LVM_METADATA_HEADER] = { 0 };
	struct lvm_metadata_area area;
	uint64_t text, offset, ring;

	if (size < 12)
		return 0;
	where.size = get_le64(data);
	text = get_le32(data + 8);
	memcpy(sector, data + 12, MIN(size - 12, sizeof(sector)));
	put_le32(sector, lvm_crc(LVM_CRC_INITIAL, sector + 4, sizeof(sector) - 4));
	if (lvm_metadata_area_decode(sector, &where, "fuzz", &area, NULL))
		return 0;
	lvm_slot_check(&area, &area.precommitted, "fuzz", NULL);
	if (!text || lvm_metadata_place(&area, text, "fuzz", &offset, NULL))
		return 0;
	ring = area.size - LVM_METADATA_HEADER;
	if (offset < LVM_METADATA_HEADER || offset >= area.size || text > ring / 2)
		abort();
	/* walk both along the ring: they must not meet */
	if (!area.ignored && !lvm_slot_check(&area, &area.committed, "fuzz", NULL)) {
		uint64_t old = area.committed.offset;
		uint64_t apart = offset >= old ? offset - old : ring - (old - offset);

		if (apart < area.committed.size || text > ring - apart)
			abort();
	}
	return 0;
}
