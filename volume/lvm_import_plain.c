/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Plain linear volumes, straight from the text: of thousands of volumes nearly all look like this, as LVM2 writes them and as we do.
 *
 *	NAME {
 *	id = "UUID"
 *	status = ["READ", "WRITE", "VISIBLE"]
 *	flags = []
 *	creation_time = N
 *	creation_host = "HOST"
 *	segment_count = 1
 *
 *	segment1 {
 *	start_extent = 0
 *	extent_count = N
 *
 *	type = "striped"
 *	stripe_count = 1
 *
 *	stripes = [
 *	"PV", N
 *	]
 *	}
 *	}
 *
 * Space may differ, and nothing else: what is not exactly so, or is wrong in any way, is left to lvm_lvs_add(), which says what
 * is wrong. What is taken here must be what that would make of it (the fuzz target compares the two).
 */
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"
#include "volume/lvm_io.h"
#include "volume/segment.h"

#define DIGITS_MAX 18 /* of a number that fits into 63 bits */

struct scan_at {
	const char *at, *end;
};

static void skip(struct scan_at *scan)
{
	while (scan->at < scan->end && (*scan->at == ' ' || *scan->at == '\n'))
		scan->at++;
}

/* Words that are there in this order, with space or none between them. */
static bool literal(struct scan_at *scan, const char *word, size_t length)
{
	skip(scan);
	if ((size_t)(scan->end - scan->at) < length || memcmp(scan->at, word, length))
		return false;
	scan->at += length;
	return true;
}

#define LITERAL(scan, word) literal(scan, word, sizeof(word) - 1)

/* KEY = */
#define KEY(scan, word) (LITERAL(scan, word) && LITERAL(scan, "="))

static bool number(struct scan_at *scan, uint64_t *out)
{
	const char *start;

	skip(scan);
	start = scan->at;
	for (*out = 0; scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9'; scan->at++) {
		if (scan->at - start == DIGITS_MAX)
			return false;
		*out = *out * 10 + (uint64_t)(*scan->at - '0');
	}
	/* A bare word goes on up to one of these. */
	return scan->at > start && scan->at < scan->end &&
	       (*scan->at == ' ' || *scan->at == '\n' || *scan->at == ']');
}

/* What is between quotes, without a backslash or a line's end; copied to `out`. */
static bool quoted(struct scan_at *scan, char *out, size_t size)
{
	const char *start, *close;

	if (!LITERAL(scan, "\""))
		return false;
	start = scan->at;
	close = memchr(start, '"', MIN((size_t)(scan->end - start), size));
	if (!close || memchr(start, '\\', (size_t)(close - start)) ||
	    memchr(start, '\n', (size_t)(close - start)))
		return false;
	memcpy(out, start, (size_t)(close - start));
	out[close - start] = '\0';
	scan->at = close + 1;
	return true;
}

static bool name(struct scan_at *scan, char out[VOLUME_NAME_LENGTH + 1])
{
	size_t length = 0;

	for (; scan->at < scan->end && *scan->at != ' '; scan->at++) {
		if (length == VOLUME_NAME_LENGTH)
			return false;
		out[length++] = *scan->at;
	}
	out[length] = '\0';
	return !lvm_name_check("logical volume", out, NULL);
}

struct plain {
	char name[VOLUME_NAME_LENGTH + 1], uuid[VOLUME_UUID_TEXT], host[VOLUME_NAME_LENGTH + 1];
	char pv[VOLUME_NAME_LENGTH + 1];
	uint64_t time, extents, extent;
};

static bool scan_plain(struct scan_at *scan, struct plain *plain)
{
	return name(scan, plain->name) && LITERAL(scan, "{") && KEY(scan, "id") &&
	       quoted(scan, plain->uuid, sizeof(plain->uuid)) && KEY(scan, "status") &&
	       LITERAL(scan, "[\"READ\", \"WRITE\", \"VISIBLE\"]") && KEY(scan, "flags") &&
	       LITERAL(scan, "[]") && KEY(scan, "creation_time") && number(scan, &plain->time) &&
	       KEY(scan, "creation_host") && quoted(scan, plain->host, sizeof(plain->host)) &&
	       KEY(scan, "segment_count") && LITERAL(scan, "1\n") && LITERAL(scan, "segment1") &&
	       LITERAL(scan, "{") && KEY(scan, "start_extent") && LITERAL(scan, "0\n") &&
	       KEY(scan, "extent_count") && number(scan, &plain->extents) && KEY(scan, "type") &&
	       LITERAL(scan, "\"striped\"") && KEY(scan, "stripe_count") && LITERAL(scan, "1\n") &&
	       KEY(scan, "stripes") && LITERAL(scan, "[") &&
	       quoted(scan, plain->pv, sizeof(plain->pv)) && LITERAL(scan, ",") &&
	       number(scan, &plain->extent) && LITERAL(scan, "]") && LITERAL(scan, "}") &&
	       LITERAL(scan, "}");
}

static char *keep(struct lvm_config *memory, const char *text)
{
	size_t size = strlen(text) + 1;
	char *kept = lvm_config_alloc(memory, size);

	return kept ? memcpy(kept, text, size) : NULL;
}

/* Of thousands it is one host. */
static char *keep_host(struct lvm_lvs *lvs, const char *host)
{
	if (!lvs->host || strcmp(lvs->host, host))
		lvs->host = keep(lvs->reader.memory, host);
	return lvs->host;
}

static bool make_segment(struct lvm_lvs *lvs, const struct plain *plain, struct volume_pv *pv,
			 struct volume_lv *lv)
{
	struct lvm_config *memory = lvs->reader.memory;
	struct volume_segment *segment = lvm_config_alloc(memory, sizeof(*segment));
	struct volume_segment_private *private = lvm_config_alloc(memory, sizeof(*private));
	struct volume_area *area = lvm_config_alloc(memory, sizeof(*area));

	if (!segment || !private || !area)
		return false;
	private->type = &lvm_segment_striped;
	area->pv = pv;
	area->extent = (uint32_t)plain->extent;
	segment->private = private;
	segment->type = (char *)lvm_segment_striped.name;
	segment->extent_count = (uint32_t)plain->extents;
	segment->area_count = 1;
	segment->areas = area;
	lv->segments = segment;
	lv->segment_count = 1;
	return true;
}

/* Lists are replaced, and never written to. */
static const char *plain_status[] = { "READ", "WRITE", "VISIBLE" };

static bool make(struct lvm_lvs *lvs, const struct plain *plain, struct volume_pv *pv,
		 struct volume_lv *lv)
{
	lv->name = keep(lvs->reader.memory, plain->name);
	lv->creation_host = keep_host(lvs, plain->host);
	if (!lv->name || !lv->creation_host || !make_segment(lvs, plain, pv, lv))
		return false;
	memcpy(lv->uuid, plain->uuid, sizeof(lv->uuid));
	lv->creation_time = (int64_t)plain->time;
	lv->extent_count = (uint32_t)plain->extents;
	lv->private->status = (struct lvm_strings){ plain_status, ARRAY_SIZE(plain_status) };
	lv->visible = true;
	lv->writable = true;
	return true;
}

size_t lvm_lvs_add_plain(struct lvm_lvs *lvs, const char *at, const char *end)
{
	struct scan_at scan = { at, end };
	struct plain plain;
	struct volume_pv *pv;
	struct volume_lv *lv;
	uint64_t size;

	if (!scan_plain(&scan, &plain) || !lvm_uuid_valid(plain.uuid) || !plain.extents ||
	    plain.extents > UINT32_MAX || plain.extent > UINT32_MAX ||
	    __builtin_mul_overflow(plain.extents, lvs->group->extent_size, &size) ||
	    size > (uint64_t)INT64_MAX)
		return 0;
	pv = lvm_pv_names_find(&lvs->names, plain.pv);
	if (!pv || !range_within(plain.extent, plain.extents, pv->extent_count))
		return 0;
	lv = lvm_lvs_room(lvs);
	if (!lv)
		return 0;
	lv->size = size;
	if (make(lvs, &plain, pv, lv)) {
		lvs->at[lvs->count++] = lv;
		return (size_t)(scan.at - at);
	}
	free(lv);
	return 0;
}
