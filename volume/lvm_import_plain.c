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
 * is wrong. What is taken here must be what that would make of it (the fuzz target compares the two). Where space does not differ
 * either, the text is what lvm_vg_export() would write of the volume, and is remembered as that (`span`).
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

/* ---- To the byte ---- */

static bool same(struct scan_at *scan, const char *word, size_t length)
{
	if ((size_t)(scan->end - scan->at) < length || memcmp(scan->at, word, length))
		return false;
	scan->at += length;
	return true;
}

#define SAME(scan, word) same(scan, word, sizeof(word) - 1)

/* As it is written: without zeroes before it. */
static bool same_number(struct scan_at *scan, uint64_t *out)
{
	const char *start = scan->at, *at = start;
	uint64_t value = 0;

	for (; at < scan->end && *at >= '0' && *at <= '9'; at++)
		value = value * 10 + (uint64_t)(*at - '0');
	scan->at = at;
	*out = value;
	return at > start && at - start <= DIGITS_MAX && (*start != '0' || at == start + 1);
}

/* Up to the quote, which is not taken. */
static bool same_word(struct scan_at *scan, char *out, size_t size)
{
	const char *at = scan->at;
	size_t length = 0;

	for (; at < scan->end && *at != '"'; at++) {
		if (*at == '\\' || *at == '\n' || length == size - 1)
			return false;
		out[length++] = *at;
	}
	out[length] = '\0';
	scan->at = at;
	return true;
}

static bool scan_exact(struct scan_at *scan, struct plain *plain)
{
	return name(scan, plain->name) && SAME(scan, " {\nid = \"") &&
	       same_word(scan, plain->uuid, sizeof(plain->uuid)) &&
	       SAME(scan, "\"\nstatus = [\"READ\", \"WRITE\", \"VISIBLE\"]\nflags = []\n"
			  "creation_time = ") &&
	       same_number(scan, &plain->time) && SAME(scan, "\ncreation_host = \"") &&
	       same_word(scan, plain->host, sizeof(plain->host)) &&
	       SAME(scan, "\"\nsegment_count = 1\n\nsegment1 {\nstart_extent = 0\n"
			  "extent_count = ") &&
	       same_number(scan, &plain->extents) &&
	       SAME(scan, "\n\ntype = \"striped\"\nstripe_count = 1\n\nstripes = [\n\"") &&
	       same_word(scan, plain->pv, sizeof(plain->pv)) && SAME(scan, "\", ") &&
	       same_number(scan, &plain->extent) && SAME(scan, "\n]\n}\n}\n");
}

/* ---- What it makes ---- */

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

/* All that it has of its own. */
struct plain_parts {
	struct volume_segment segment;
	struct volume_segment_private private;
	struct volume_area area;
	char name[];
};

static void make_segment(struct plain_parts *parts, const struct plain *plain, struct volume_pv *pv)
{
	struct volume_segment *segment = &parts->segment;

	parts->private.type = &lvm_segment_striped;
	parts->area.pv = pv;
	parts->area.extent = (uint32_t)plain->extent;
	segment->private = &parts->private;
	segment->type = (char *)lvm_segment_striped.name;
	segment->extent_count = (uint32_t)plain->extents;
	segment->area_count = 1;
	segment->areas = &parts->area;
}

/* Lists are replaced, and never written to. */
static const char *plain_status[] = { "READ", "WRITE", "VISIBLE" };

static bool make(struct lvm_lvs *lvs, const struct plain *plain, struct volume_pv *pv,
		 struct volume_lv *lv)
{
	size_t length = strlen(plain->name) + 1;
	struct plain_parts *parts = lvm_config_alloc(lvs->reader.memory, sizeof(*parts) + length);

	lv->creation_host = keep_host(lvs, plain->host);
	if (!parts || !lv->creation_host)
		return false;
	make_segment(parts, plain, pv);
	lv->segments = &parts->segment;
	lv->segment_count = 1;
	lv->name = memcpy(parts->name, plain->name, length);
	memcpy(lv->uuid, plain->uuid, sizeof(lv->uuid));
	lv->creation_time = (int64_t)plain->time;
	lv->extent_count = (uint32_t)plain->extents;
	lv->private->status = (struct lvm_strings){ plain_status, ARRAY_SIZE(plain_status) };
	lv->private->plain = true;
	lv->visible = true;
	lv->writable = true;
	return true;
}

size_t lvm_plain_length(const char *at, const char *end)
{
	struct scan_at scan = { at, end };
	struct plain plain;

	return scan_exact(&scan, &plain) ? (size_t)(scan.at - at) : 0;
}

size_t lvm_lvs_add_plain(struct lvm_lvs *lvs, const char *at, const char *end)
{
	struct scan_at scan = { at, end };
	struct plain plain;
	bool exact = scan_exact(&scan, &plain);
	struct volume_pv *pv;
	struct volume_lv *lv;
	uint64_t size;

	if (!exact)
		scan = (struct scan_at){ at, end };
	if (!exact && !scan_plain(&scan, &plain))
		return 0;
	if (!lvm_uuid_valid(plain.uuid) || !plain.extents || plain.extents > UINT32_MAX ||
	    plain.extent > UINT32_MAX ||
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
		if (exact && at > lvs->text && at[-1] == '\n')
			lv->private->span = (struct lvm_span){ (size_t)(at - lvs->text),
							       (size_t)(scan.at - at) };
		lvs->at[lvs->count++] = lv;
		return (size_t)(scan.at - at);
	}
	lvm_lv_free(lv);
	return 0;
}
