/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside volume/: PVs that cling together by their tags. lvm.conf lists the tags that say so, each behind an "@", in allocation/cling_tag_list; "@*" stands
 * for each. What has one of them in common is alike to the allocator (allocate.h), as to lvm2 (lib/metadata/lv_manip.c).
 */
#ifndef TENON_VOLUME_CLING_H
#define TENON_VOLUME_CLING_H

#include "volume/allocate.h"
#include "volume/lvm_vg.h"

struct lvm_cling {
	struct allocate_tags tags;
	const struct volume_group *group;
	const struct volume_lv *lv;
};

/* `lv`: the volume that grows; without segments, or NULL, it is a new one. NULL where no tags are listed. The file is read when this is first asked of a
 * group. Good as long as `cling`. */
const struct allocate_tags *lvm_cling_tags(struct lvm_cling *cling,
					   const struct volume_group *group,
					   const struct volume_lv *lv);

#endif
