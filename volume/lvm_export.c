/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Volume group -> text, as lvm2 writes it on disk (lib/format_text/export.c, the raw form: without
 * indentation and most comments, the group first, who wrote it last). lvm2 reads any layout; keeping
 * to its own lets people and tools compare.
 */
#include <string.h>
#include <time.h>

#include "block/block.h"
#include "util/bytes.h"
#include "volume/segment.h"

static void put_list(struct lvm_text *text, const char *key, const char *const *at, unsigned count)
{
	lvm_text_add(text, key);
	lvm_text_add(text, " = [");
	for (unsigned i = 0; i < count; i++) {
		if (i)
			lvm_text_add(text, ", ");
		lvm_text_quote(text, at[i]);
	}
	lvm_text_add(text, "]\n");
}

static void put_flags(struct lvm_text *text, const struct lvm_strings *status,
		      const struct lvm_strings *flags, char *const *tags, unsigned tag_count)
{
	put_list(text, "status", status->at, status->count);
	put_list(text, "flags", flags->at, flags->count);
	if (tag_count)
		put_list(text, "tags", (const char *const *)tags, tag_count);
}

static void put_extra(struct lvm_text *text, const struct lvm_config_node *node)
{
	for (; node; node = node->next)
		lvm_text_node(text, node);
}

static void put_string(struct lvm_text *text, const char *key, const char *value)
{
	lvm_text_add(text, key);
	lvm_text_add(text, " = ");
	lvm_text_quote(text, value);
	lvm_text_add(text, "\n");
}

/* What comes between is `before`. */
static void put_number(struct lvm_text *text, const char *before, uint64_t number)
{
	lvm_text_add(text, before);
	lvm_text_number(text, number);
}

static void put_pv(struct lvm_text *text, const struct volume_pv *pv)
{
	const struct volume_pv_private *private = pv->private;

	lvm_text_print(text, "\n%s {\n", pv->name);
	put_string(text, "id", pv->uuid);
	if (pv->block)
		put_string(text, "device", pv->block->name);
	else if (pv->device_hint)
		put_string(text, "device", pv->device_hint);
	lvm_text_print(text, "\n");
	put_flags(text, &private->status, &private->flags, pv->tags, pv->tag_count);
	if (private->dev_size_sectors)
		lvm_text_print(text, "dev_size = %llu\n",
			       (unsigned long long)private->dev_size_sectors);
	lvm_text_print(text, "pe_start = %llu\npe_count = %u\n",
		       (unsigned long long)private->pe_start_sectors, pv->extent_count);
	put_extra(text, private->extra);
	lvm_text_print(text, "}\n");
}

static void put_segment(struct lvm_text *text, const struct volume_segment *segment,
			unsigned number)
{
	put_number(text, "segment", number);
	put_number(text, " {\nstart_extent = ", segment->start_extent);
	put_number(text, "\nextent_count = ", segment->extent_count);
	lvm_text_add(text, "\n\n");
	segment->private->type->export(segment, text);
	lvm_text_add(text, "}\n");
}

static void put_lv(struct lvm_text *text, const struct volume_lv *lv)
{
	lvm_text_add(text, "\n");
	lvm_text_add(text, lv->name);
	lvm_text_add(text, " {\n");
	put_string(text, "id", lv->uuid);
	put_flags(text, &lv->private->status, &lv->private->flags, lv->tags, lv->tag_count);
	if (lv->creation_host) {
		/* It is never negative: neither is what is read, nor the time of a change. */
		put_number(text, "creation_time = ", (uint64_t)MAX(lv->creation_time, 0));
		lvm_text_add(text, "\n");
		put_string(text, "creation_host", lv->creation_host);
	}
	put_extra(text, lv->private->extra);
	put_number(text, "segment_count = ", lv->segment_count);
	lvm_text_add(text, "\n\n");
	for (unsigned i = 0; i < lv->segment_count; i++)
		put_segment(text, &lv->segments[i], i + 1);
	lvm_text_add(text, "}\n");
}

void lvm_lv_export(const struct volume_lv *lv, struct lvm_text *text)
{
	put_lv(text, lv);
}

/* How volumes are written. */
struct lv_writer {
	const struct lvm_touched *only; /* these, or NULL: all */
	unsigned count;
	bool keep;               /* their spans become those of the text */
	const char *old;         /* which spans are of, until then; NULL: nothing of it is taken */
	struct lvm_span waiting; /* of the old text, to be taken in one piece */
};

static void write_waiting(struct lvm_text *text, struct lv_writer *writer)
{
	if (writer->waiting.length)
		lvm_text_add_bytes(text, writer->old + writer->waiting.at, writer->waiting.length);
	writer->waiting.length = 0;
}

/* As it stands in the old text, where it does: with the empty line before it, and in one piece with those beside it. */
static void write_lv(struct lvm_text *text, const struct volume_lv *lv, struct lv_writer *writer)
{
	struct lvm_span *span = &lv->private->span, *waiting = &writer->waiting;
	bool taken = writer->old && span->length;
	size_t at;

	if (!taken || waiting->at + waiting->length != span->at - 1)
		write_waiting(text, writer);
	at = text->size + waiting->length + 1;
	if (taken && !waiting->length)
		waiting->at = span->at - 1;
	if (taken)
		waiting->length += span->length + 1;
	else
		put_lv(text, lv);
	if (writer->keep)
		*span = (struct lvm_span){ at, taken ? span->length : text->size - at };
}

static void put_lvs(struct lvm_text *text, const struct volume_group *group,
		    struct lv_writer *writer)
{
	if (!group->lv_count)
		return;
	lvm_text_print(text, "logical_volumes {\n");
	/* lvm2 writes what users see first, and so do we. */
	for (unsigned i = 0; !writer->only && i < group->lv_count; i++)
		if (group->lvs[i]->visible)
			write_lv(text, group->lvs[i], writer);
	for (unsigned i = 0; !writer->only && i < group->lv_count; i++)
		if (!group->lvs[i]->visible)
			write_lv(text, group->lvs[i], writer);
	for (unsigned i = 0; i < writer->count; i++)
		if (!writer->only[i].gone)
			write_lv(text, writer->only[i].lv, writer);
	write_waiting(text, writer);
	lvm_text_print(text, "}\n");
}

/* "Sun Nov 22 06:50:36 2026\n" in UTC: what ctime() gives, without the process's time zone. */
static void put_date(struct lvm_text *text, int64_t seconds)
{
	time_t at = (time_t)seconds;
	char date[64];
	struct tm parts;

	if (!gmtime_r(&at, &parts) || !strftime(date, sizeof(date), "%a %b %e %H:%M:%S %Y", &parts))
		date[0] = '\0';
	lvm_text_print(text, "%s\n", date);
}

/* A comment ends with its line, so the line must not. */
static void put_comment(struct lvm_text *text, const char *comment)
{
	for (; *comment; comment++)
		lvm_text_print(text, "%c", *comment == '\n' || *comment == '\r' ? ' ' : *comment);
}

void lvm_text_origin(struct lvm_text *text, const char *description, const char *host,
		     const char *system, int64_t seconds)
{
	lvm_text_print(text, "# Generated by tenon in the format of LVM2: ");
	put_date(text, seconds);
	lvm_text_print(text, "\ncontents = \"Text Format Volume Group\"\nversion = 1\n\n");
	lvm_text_print(text, "description = ");
	lvm_text_quote(text, description);
	lvm_text_print(text, "\n\ncreation_host = ");
	lvm_text_quote(text, host);
	lvm_text_print(text, "\t# ");
	put_comment(text, system);
	lvm_text_print(text, "\ncreation_time = %lld\t# ", (long long)seconds);
	put_date(text, seconds);
	lvm_text_print(text, "\n");
}

static void export(const struct volume_group *group, int64_t time, struct lv_writer *writer,
		   struct lvm_text *text)
{
	const struct volume_group_private *private = group->private;

	lvm_text_print(text, "%s {\n", group->name);
	put_string(text, "id", group->uuid);
	lvm_text_print(text, "seqno = %u\nformat = \"lvm2\"\n", group->seqno);
	put_flags(text, &private->status, &private->flags, group->tags, group->tag_count);
	lvm_text_print(text, "extent_size = %llu\nmax_lv = %u\nmax_pv = %u\n",
		       (unsigned long long)private->extent_sectors, group->max_lv, group->max_pv);
	/* Sections of newer versions come last; plain keys (allocation_policy, ...) belong here. */
	for (const struct lvm_config_node *node = private->extra; node; node = node->next)
		if (!node->section)
			lvm_text_node(text, node);
	lvm_text_print(text, "metadata_copies = %u\n\nphysical_volumes {\n",
		       group->metadata_copies);
	for (unsigned i = 0; i < group->pv_count; i++)
		put_pv(text, group->pvs[i]);
	lvm_text_print(text, "}\n\n");
	put_lvs(text, group, writer);
	lvm_text_print(text, "\n");
	for (const struct lvm_config_node *node = private->extra; node; node = node->next)
		if (node->section)
			lvm_text_node(text, node);
	lvm_text_print(text, "}\n");
	lvm_text_origin(text, group->description ? group->description : "", private->host,
			private->system, time);
}

void lvm_vg_export(const struct volume_group *group, int64_t time, struct lvm_text *text)
{
	export(group, time, &(struct lv_writer){ .old = NULL }, text);
}

void lvm_vg_export_keep(struct volume_group *group, int64_t time, bool whole, struct lvm_text *text)
{
	const char *old = whole ? NULL : group->private->text;

	export(group, time, &(struct lv_writer){ .keep = true, .old = old }, text);
}

void lvm_vg_export_touched(const struct volume_group *group, int64_t time,
			   const struct lvm_touched *touched, unsigned count, struct lvm_text *text)
{
	export(group, time, &(struct lv_writer){ .only = touched, .count = count }, text);
}
