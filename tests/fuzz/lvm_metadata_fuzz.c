/* SPDX-License-Identifier: BSD-2-Clause */
/* Hostile metadata text: grammar and import. What is accepted must be written as a text that is
 * accepted too, and says the same; and so does the tree of it. */
#include <stdlib.h>
#include <string.h>

#include "util/error.h"
#include "volume/lvm_vg.h"

static struct volume_group *import(const char *text, size_t size)
{
	struct volume_group *group = NULL;
	struct error error = { 0 };

	lvm_vg_read(text, size, "fuzz", &group, &error);
	if (!group && (!error.code || !*error.text))
		abort();
	return group;
}

static struct volume_group *import_tree(const char *text, size_t size)
{
	struct volume_group *group = NULL;
	struct lvm_config config;

	if (!lvm_config_parse(&config, text, size, "fuzz", NULL))
		lvm_vg_import(&config, "fuzz", &group, NULL);
	return group;
}

/* Without its volumes a group is on the same PVs. */
static void check_pvs(const struct volume_group *group, const char *text, size_t size)
{
	struct volume_group *below = NULL;

	if (lvm_vg_read_pvs(text, size, "fuzz", &below, NULL) || strcmp(below->uuid, group->uuid) ||
	    below->seqno != group->seqno || below->pv_count != group->pv_count)
		abort();
	for (unsigned i = 0; i < group->pv_count; i++)
		if (strcmp(below->pvs[i]->uuid, group->pvs[i]->uuid))
			abort();
	volume_group_unref(below);
}

/* What is remembered of the text is what would be written. */
static void check_spans(const struct volume_group *group, const char *text, size_t size)
{
	for (unsigned i = 0; i < group->lv_count; i++) {
		const struct lvm_span *span = &group->lvs[i]->private->span;
		struct lvm_text one = { 0 };

		if (!span->length)
			continue;
		lvm_lv_export(group->lvs[i], &one);
		if (span->at > size || span->length > size - span->at ||
		    one.size != span->length + 1 ||
		    memcmp(one.at + 1, text + span->at, span->length))
			abort();
		free(one.at);
	}
}

static struct lvm_text export(struct volume_group *group)
{
	const struct volume_context context = { .host = "h", .system = "s", .command = "c" };
	struct lvm_text text = { 0 };

	if (!lvm_vg_set_context(group, &context))
		lvm_vg_export(group, 1, &text);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct volume_group *first = import((const char *)data, size), *second;
	struct volume_group *tree = import_tree((const char *)data, size);
	struct lvm_text one, two;

	if (!first != !tree)
		abort();
	if (!first)
		return 0;
	check_pvs(first, (const char *)data, size);
	check_spans(first, (const char *)data, size);
	one = export(first);
	two = export(tree);
	if (strcmp(one.at, two.at))
		abort();
	free(two.at);
	volume_group_unref(tree);
	second = import(one.at, one.size);
	if (!second)
		abort();
	two = export(second);
	if (strcmp(one.at, two.at))
		abort();
	free(one.at);
	free(two.at);
	volume_group_unref(first);
	volume_group_unref(second);
	return 0;
}
