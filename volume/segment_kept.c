/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Types that are not operated here: raid, mirror, thin, thin-pool, cache, snapshot, vdo, and whatever comes. A section of
 * one is kept as it is and goes back so.
 *
 * It may lie on PVs too (an old mirror: mirrors = ["pv0", 0, ...]). Every pair of a PV's name and a number is taken for an
 * area of the segment's length, cut at the PV's end: too much rather than too little, so that nothing is allocated over
 * it.
 */
#include <errno.h>
#include <string.h>

#include "util/bytes.h"
#include "volume/segment.h"

int lvm_kept_import(const struct lvm_segment_reader *from, const struct lvm_config_node *section,
		    struct volume_segment *segment)
{
	segment->private->node = lvm_config_copy(from->reader->memory, section);
	return segment->private->node ? 0 : -ENOMEM;
}

void lvm_kept_export(const struct volume_segment *segment, struct lvm_text *text)
{
	const struct lvm_config_node *node = segment->private->node->child;

	for (; node; node = node->next)
		if (strcmp(node->key, "start_extent") && strcmp(node->key, "extent_count"))
			lvm_text_node(text, node);
}

static void use_pair(const struct volume_segment *segment, const struct lvm_config_value *pair,
		     struct lvm_pv_names *pvs, lvm_used_fn *use, void *arg)
{
	const struct volume_pv *pv;

	if (pair[0].type != LVM_CONFIG_STRING || pair[1].type != LVM_CONFIG_INTEGER)
		return;
	pv = lvm_pv_names_find(pvs, pair[0].string);
	if (pv && pair[1].integer >= 0 && pair[1].integer < pv->extent_count)
		use(arg, pv, (uint32_t)pair[1].integer,
		    MIN(segment->extent_count, pv->extent_count - (uint32_t)pair[1].integer), true);
}

void lvm_kept_used(const struct volume_segment *segment, struct lvm_pv_names *pvs, lvm_used_fn *use,
		   void *arg)
{
	const struct lvm_config_node *node = segment->private->node->child;

	for (; node; node = node->next)
		for (unsigned i = 0; i + 1 < node->value_count; i++)
			use_pair(segment, &node->values[i], pvs, use, arg);
}
