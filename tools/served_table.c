/* SPDX-License-Identifier: BSD-2-Clause */
/* See served_table.h. Lines are cut up where they lie, and found by their first two words. */
#include "tools/served_table.h"

#include <errno.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fiber/fiber.h"
#include "rpc/rpc.h"
#include "tools/cli.h"
#include "tools/pieces.h"
#include "tools/runtime.h"
#include "tools/serial.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "volume/volume.h"

/* A listing does not wait long for what is only a part of it. */
#define LINES_NS (3 * 1000000000ull)

struct served_line {
	const char *key; /* NULL: empty */
	struct served_place place;
};

struct served_table {
	char **texts; /* answers, and paths that were put together */
	size_t text_count, text_capacity;
	struct served_line
		*lines; /* open addressing; a power of two, at least twice what is in it */
	size_t size, count;
	bool by_id; /* some have no UUID: the serial number that a volume has by itself is asked for then, too */
	bool failed;
};

/* ---- The table ---- */

static size_t hash(const char *key)
{
	uint64_t sum = 0xcbf29ce484222325u;

	for (; *key; key++)
		sum = (sum ^ (uint8_t)*key) * 0x100000001b3u;
	return (size_t)(sum ^ sum >> 32);
}

static struct served_line *line_of(const struct served_table *table, const char *key)
{
	size_t at = hash(key) & (table->size - 1);

	while (table->lines[at].key && strcmp(table->lines[at].key, key))
		at = (at + 1) & (table->size - 1);
	return &table->lines[at];
}

static void grow(struct served_table *table)
{
	struct served_line *old = table->lines;
	size_t size = table->size;

	table->size = MAX(2 * size, (size_t)64);
	table->lines = calloc(table->size, sizeof(*table->lines));
	table->failed |= !table->lines;
	if (!table->lines) {
		table->lines = old;
		table->size = size;
		return;
	}
	for (size_t i = 0; i < size; i++)
		if (old[i].key)
			*line_of(table, old[i].key) = old[i];
	free(old);
}

static void put(struct served_table *table, const char *key, const struct served_place *place)
{
	struct served_line *line;

	if (2 * (table->count + 1) > table->size)
		grow(table);
	if (table->failed)
		return;
	line = line_of(table, key);
	table->count += !line->key;
	*line = (struct served_line){ key, *place };
}

/* Takes `text` over; NULL says that there was no memory for it. */
static char *keep(struct served_table *table, char *text)
{
	if (text && table->text_count == table->text_capacity) {
		size_t capacity = 2 * table->text_capacity + 16;
		char **grown = realloc(table->texts, capacity * sizeof(*grown));

		if (grown) {
			table->texts = grown;
			table->text_capacity = capacity;
		} else {
			free(text);
			text = NULL;
		}
	}
	table->failed |= !text;
	if (text)
		table->texts[table->text_count++] = text;
	return text;
}

/* ---- Lines ---- */

static const char *path_in(struct served_table *table, const char *folder, const char *path)
{
	char *whole = NULL;

	if (*path == '/' || !folder)
		return path;
	if (asprintf(&whole, "%s/%s", folder, path) < 0)
		whole = NULL;
	return keep(table, whole);
}

/* "GROUP/VOLUME ID + SOCKET", "GROUP/VOLUME ID - WHY", by UUIDs; what is not of that form is passed over. */
static void take_line(struct served_table *table, const char *folder, char *line)
{
	char *rest = line, *uuids = strsep(&rest, " "), *id = strsep(&rest, " ");
	struct served_place place = { 0 };

	if (!id || !*id || !rest || (*rest != '+' && *rest != '-') || rest[1] != ' ')
		return;
	if (*rest == '+')
		place.socket = path_in(table, folder, rest + 2);
	else
		place.problem = rest + 2;
	if (!strcmp(uuids, "-")) {
		table->by_id = true;
		put(table, id, &place);
	} else {
		put(table, uuids, &place);
	}
}

/* Returns how many lines there were. */
static size_t take_answer(struct served_table *table, json_t *answer)
{
	const char *lines = json_string_value(json_object_get(answer, "lines"));
	const char *folder = json_string_value(json_object_get(answer, "folder"));
	char *rest = lines ? keep(table, strdup(lines)) : NULL, *line, *kept = NULL;
	size_t count = 0;

	if (rest && folder)
		kept = keep(table, strdup(folder));
	while (rest && (line = strsep(&rest, "\n"))) {
		count += *line != '\0';
		take_line(table, kept, line);
	}
	return count;
}

/* ---- Asking ---- */

struct server {
	struct served_table *table;
	const char *path;
	struct fiber *fiber;
};

/* It suspends only in the call, so tables are filled by one at a time. */
static int ask(void *arg)
{
	const struct server *server = arg;
	struct pieces pieces = { 0 };
	bool more = true;

	while (more && !server->table->failed) {
		struct error error = { 0 };
		json_t *answer = NULL;
		size_t bytes;
		int rc = rpc_call_measured(server->path, "server.lines",
					   json_pack("{s:I}", "from", (json_int_t)pieces.from),
					   LINES_NS, &answer, &bytes, &error);

		if (rc == -ETIMEDOUT)
			cli_warn("%s", error.text);
		more = pieces_next(&pieces, take_answer(server->table, answer), bytes);
		json_decref(answer);
		if (pieces.left)
			cli_warn("%s: it says that there is more than %zu disks", server->path,
				 pieces.from);
	}
	return 0;
}

static int note_path(const char *path, void *arg)
{
	cli_words_add(arg, cli_keep_text(path));
	return 0;
}

int served_table_ask(struct served_table **out)
{
	CLEANUP_FREE struct server *servers = NULL;
	struct served_table *table = calloc(1, sizeof(*table));
	struct cli_words paths = { 0 };
	struct error why = { 0 };

	/* What lists say of disks is without who serves them then. */
	if (runtime_each_socket("serve-", note_path, &paths, &why))
		cli_warn("%s: servers are not seen", why.text);
	servers = calloc(paths.count + 1, sizeof(*servers));
	if (!table || !servers) {
		free(table);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < paths.count; i++) {
		servers[i] = (struct server){ .table = table, .path = paths.words[i] };
		servers[i].fiber = fiber_spawn(ask, &servers[i]);
	}
	for (unsigned i = 0; i < paths.count; i++)
		fiber_join(servers[i].fiber);
	if (table->failed) {
		served_table_free(table);
		return -ENOMEM;
	}
	*out = table;
	return 0;
}

void served_table_free(struct served_table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < table->text_count; i++)
		free(table->texts[i]);
	free(table->texts);
	free(table->lines);
	free(table);
}

bool served_table_find(const struct served_table *table, const struct volume_group *group,
		       const struct volume_lv *lv, struct served_place *place)
{
	char serial[SERIAL_TEXT], uuids[2 * VOLUME_UUID_TEXT];
	const struct served_line *line;

	snprintf(uuids, sizeof(uuids), "%s/%s", group->uuid, lv->uuid);
	line = table->size ? line_of(table, uuids) : NULL;
	if (line && !line->key && table->by_id)
		line = line_of(table, serial_of_volume(group, lv, serial));
	if (!line || !line->key)
		return false;
	*place = line->place;
	return true;
}
