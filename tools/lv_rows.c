/* SPDX-License-Identifier: BSD-2-Clause */
/* See lv_rows.h. */
#include "tools/lv_rows.h"

#include <errno.h>
#include <stdlib.h>

#include "tools/describe.h"
#include "tools/served_table.h"
#include "tools/stack.h"
#include "util/bytes.h"
#include "volume/volume.h"
#include "volume/volume_move.h"
#include "volume/volume_raid.h"

enum {
	LV_NAME,
	LV_GROUP,
	LV_STATE,
	LV_SIZE,
	LV_TYPE,
	LV_ATTRIBUTES,
	LV_MOVED,
	LV_SYNCED,
	LV_SEGMENTS,
	LV_TAGS,
	LV_UUID,
	LV_SERVED,
	LV_NOT_SERVED,
	LV_COLUMNS
};

const struct cli_column lv_columns[] = {
	[LV_NAME] = { "LV", "name", CLI_AS_TEXT },
	[LV_GROUP] = { "VG", "vg", CLI_AS_TEXT },
	[LV_STATE] = { "STATE", "state", CLI_AS_STATE, 1 },
	[LV_SIZE] = { "SIZE", "size_bytes", CLI_AS_SIZE },
	[LV_TYPE] = { "TYPE", "type", CLI_AS_TEXT, 4 },
	[LV_ATTRIBUTES] = { "ATTR", "attributes", CLI_AS_TEXT, 3 },
	[LV_MOVED] = { "MOVED", "moved_percent", CLI_AS_PERCENT, 2 },
	[LV_SYNCED] = { "SYNCED", "synced_percent", CLI_AS_PERCENT, 2 },
	[LV_SEGMENTS] = { "SEGMENTS", "segment_count", CLI_AS_TEXT, 5 },
	[LV_TAGS] = { "TAGS", "tags", CLI_AS_TEXT, 6 },
	[LV_UUID] = { "UUID", "uuid", CLI_AS_TEXT, CLI_LONG },
	[LV_SERVED] = { "SERVED", "served", CLI_AS_PATH, 2 },
	[LV_NOT_SERVED] = { "NOT SERVED", "not_served", CLI_AS_NOTE, 3 },
	[LV_COLUMNS] = { NULL },
};

struct lv_row {
	const struct volume_group *group;
	const struct volume_lv *lv;
	struct served_place place;
};

struct lv_rows {
	struct cli_source source;
	struct lv_row *all;
};

static void give_text(struct cli_value *out, const char *text)
{
	out->kind = text ? CLI_VALUE_TEXT : CLI_VALUE_NONE;
	out->text = text;
}

static void give_number(struct cli_value *out, uint64_t number)
{
	out->kind = CLI_VALUE_NUMBER;
	out->number = (int64_t)number;
}

static void give_json(struct cli_value *out, json_t *json)
{
	out->kind = json ? CLI_VALUE_JSON : CLI_VALUE_NONE;
	out->json = json;
}

/* What stands in the metadata. */
static void value_of_lv(const struct volume_group *group, const struct volume_lv *lv,
			unsigned column, struct cli_value *out)
{
	uint32_t moved, moving;

	switch (column) {
	case LV_NAME:
		return give_text(out, lv->name);
	case LV_GROUP:
		return give_text(out, group->name);
	case LV_STATE:
		return give_text(out, describe_lv_state(lv));
	case LV_SIZE:
		return give_number(out, lv->size);
	case LV_TYPE:
		return give_text(out, volume_lv_type(lv));
	case LV_ATTRIBUTES:
		volume_lv_attributes(lv, out->buffer);
		return give_text(out, out->buffer);
	case LV_MOVED:
		if (volume_lv_moving(lv, &moved, &moving))
			give_json(out, json_real(100.0 * moved / moving));
		return;
	case LV_SEGMENTS:
		return give_number(out, lv->segment_count);
	case LV_TAGS:
		if (lv->tag_count)
			give_json(out, describe_tags(lv->tags, lv->tag_count));
		return;
	case LV_UUID:
		return give_text(out, lv->uuid);
	default:
		return;
	}
}

static void value_of_row(const struct cli_source *source, size_t row, unsigned column,
			 struct cli_value *out)
{
	const struct lv_row *of = &container_of(source, struct lv_rows, source)->all[row];

	if (column == LV_SERVED)
		give_text(out, of->place.socket);
	else if (column == LV_NOT_SERVED)
		give_text(out, of->place.problem);
	else
		value_of_lv(of->group, of->lv, column, out);
	if (column == LV_ATTRIBUTES && of->place.socket)
		describe_in_use(out->buffer);
}

bool lv_wants(const struct lv_wanted *wanted, const struct volume_group *group,
	      const struct volume_lv *lv)
{
	if (wanted->lv)
		return lv == wanted->lv;
	return (!wanted->group || group == wanted->group) && (wanted->all || lv->visible);
}

/* False: one of them wants JSON. */
static bool collect(struct lv_rows *rows, const struct volume_group *group,
		    const struct lv_wanted *wanted)
{
	for (unsigned i = 0; i < group->lv_count; i++) {
		const struct volume_lv *lv = group->lvs[i];

		if (!lv_wants(wanted, group, lv))
			continue;
		if (volume_lv_is_raid(lv))
			return false;
		rows->all[rows->source.count++] = (struct lv_row){ .group = group, .lv = lv };
	}
	return true;
}

static int add_places(struct lv_rows *rows, struct served_table **table)
{
	int rc = rows->source.count ? served_table_ask(table) : 0;

	for (size_t i = 0; !rc && i < rows->source.count; i++) {
		struct lv_row *row = &rows->all[i];

		served_table_find(*table, row->group, row->lv, &row->place);
	}
	return rc;
}

int lv_rows_print(const struct stack *stack, const struct lv_wanted *wanted,
		  const struct cli_listing *listing)
{
	struct lv_rows rows = { .source.value = value_of_row };
	const struct volume_scan *scan = stack->scan;
	struct served_table *table = NULL;
	bool plain = !listing->json && !listing->sort;
	size_t most = 0;
	int rc = 0;

	for (unsigned i = 0; i < scan->group_count; i++)
		most += scan->groups[i]->lv_count;
	rows.all = plain ? calloc(most + 1, sizeof(*rows.all)) : NULL;
	if (plain && !rows.all)
		return -ENOMEM;
	for (unsigned i = 0; plain && i < scan->group_count; i++)
		plain = collect(&rows, scan->groups[i], wanted);
	if (plain)
		rc = add_places(&rows, &table);
	if (plain && !rc)
		cli_print_source(&rows.source, lv_columns, listing);
	served_table_free(table);
	free(rows.all);
	return rc ? rc : plain;
}
