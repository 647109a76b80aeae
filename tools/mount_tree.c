/* SPDX-License-Identifier: BSD-2-Clause */
/* The files of a mount: volumes of a group, as its server lists them; see mount.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "tools/host_disk.h"
#include "tools/mount.h"
#include "util/bytes.h"
#include "util/cleanup.h"

#define FRESH_NS 300000000ull

/* ---- The list ---- */

/* A name that can be a file's, and an id that is one. */
static bool is_usable(const char *name, const char *id)
{
	return name && *name && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
	       !strchr(name, '/') && strlen(name) < 256 && id && *id && strlen(id) < 32;
}

static struct mount_volume *find_id(struct mount *mount, const char *id)
{
	list_for_each(at, &mount->volumes) {
		struct mount_volume *volume = list_entry(at, struct mount_volume, node);

		if (!strcmp(volume->id, id))
			return volume;
	}
	return NULL;
}

static struct mount_volume *add_volume(struct mount *mount, const char *name, const char *id)
{
	struct mount_volume *volume = calloc(1, sizeof(*volume));

	if (!volume || !(volume->name = strdup(name))) {
		free(volume);
		return NULL;
	}
	snprintf(volume->id, sizeof(volume->id), "%s", id);
	fiber_mutex_init(&volume->opening);
	volume->number = mount->next_number++;
	list_add_tail(&mount->volumes, &volume->node);
	return volume;
}

static void take_row(struct mount *mount, json_t *row)
{
	const char *whole = json_string_value(json_object_get(row, "name"));
	const char *id = json_string_value(json_object_get(row, "id"));
	const char *name = whole && strchr(whole, '/') ? strchr(whole, '/') + 1 : NULL;
	json_int_t size = json_integer_value(json_object_get(row, "size_bytes"));
	struct mount_volume *volume;
	char *renamed;

	if (!is_usable(name, id) || !json_is_string(json_object_get(row, "socket")) || size < 0)
		return;
	volume = find_id(mount, id);
	if (!volume && !(volume = add_volume(mount, name, id)))
		return;
	if (strcmp(volume->name, name) != 0 && (renamed = strdup(name))) {
		free(volume->name);
		volume->name = renamed;
	}
	volume->listed = true;
	volume->size = (uint64_t)size;
	volume->read_only = json_is_true(json_object_get(row, "read_only"));
}

static int refresh(struct mount *mount)
{
	json_t *list = NULL, *row;
	bool served = false;
	size_t index;
	int rc;

	if (mount->listed_ns && worker_now() - mount->listed_ns < FRESH_NS)
		return 0;
	rc = host_disk_list(mount->group, &mount->server, &list, &served);
	if (!rc && !served)
		rc = -ENOENT;
	if (!rc) {
		list_for_each(at, &mount->volumes)
			list_entry(at, struct mount_volume, node)->listed = false;
		json_array_foreach(list, index, row)
			take_row(mount, row);
		list_for_each_safe(at, &mount->volumes)
			mount_settle(list_entry(at, struct mount_volume, node));
	}
	json_decref(list);
	mount->listed_ns = worker_now();
	return rc;
}

int mount_refresh(struct mount *mount)
{
	int rc;

	fiber_mutex_lock(&mount->listing);
	rc = refresh(mount);
	fiber_mutex_unlock(&mount->listing);
	return rc;
}

struct mount_volume *mount_find(struct mount *mount, uint64_t number)
{
	list_for_each(at, &mount->volumes) {
		struct mount_volume *volume = list_entry(at, struct mount_volume, node);

		if (volume->number == number)
			return volume;
	}
	return NULL;
}

struct mount_volume *mount_find_name(struct mount *mount, const char *name)
{
	list_for_each(at, &mount->volumes) {
		struct mount_volume *volume = list_entry(at, struct mount_volume, node);

		if (volume->listed && !strcmp(volume->name, name))
			return volume;
	}
	return NULL;
}

static void volume_free(struct mount_volume *volume)
{
	list_remove(&volume->node);
	for (unsigned i = 0; i < MOUNT_WAYS; i++)
		host_disk_close(volume->ways[i].disk);
	free(volume->name);
	free(volume);
}

void mount_settle(struct mount_volume *volume)
{
	if (!volume->listed && !volume->lookups && !volume->ways[MOUNT_BESIDE].opens &&
	    !volume->ways[MOUNT_ALONE].opens)
		volume_free(volume);
}

void mount_free_all(struct mount *mount)
{
	list_for_each_safe(at, &mount->volumes)
		volume_free(list_entry(at, struct mount_volume, node));
	free(mount->server);
	mount->server = NULL;
}

uint64_t mount_size(const struct mount_volume *volume)
{
	for (unsigned i = 0; i < MOUNT_WAYS; i++)
		if (volume->ways[i].disk && volume->ways[i].disk->block)
			return volume->ways[i].disk->block->size;
	return volume->size;
}

/* ---- Opening and closing ---- */

static int connect_disk(struct mount *mount, struct mount_volume *volume, enum mount_way way)
{
	CLEANUP_FREE char *name = NULL;
	struct error error = { 0 };
	int rc;

	if (volume->ways[way].disk)
		return 0;
	if (asprintf(&name, "%s/%s", mount->group, volume->name) < 0)
		return name = NULL, -ENOMEM;
	rc = host_disk_open(&volume->ways[way].disk, name,
			    &(struct host_disk_options){ .id = volume->id,
							 .shared = way == MOUNT_BESIDE,
							 .memory = &mount->memory,
							 .direct = true },
			    &error);
	if (!rc && mount->looped)
		host_disk_tell(volume->ways[way].disk, mount_resized, mount);
	if (rc)
		log_warning(&mount->log, "opening it: %s%s%s", error.text,
			    *error.advice ? "; " : "", error.advice);
	return rc == -EBUSY ? rc : rc ? -EIO : 0;
}

int mount_open(struct mount *mount, struct mount_volume *volume, bool writes)
{
	enum mount_way way = writes && !mount->shared ? MOUNT_ALONE : MOUNT_BESIDE;
	int rc;

	if (writes && (volume->read_only || mount->read_only))
		return -EROFS;
	/* It stays while it is waited for. */
	volume->ways[way].opens++;
	volume->ways[way].writers += writes;
	fiber_mutex_lock(&volume->opening);
	rc = connect_disk(mount, volume, way);
	fiber_mutex_unlock(&volume->opening);
	if (rc)
		mount_close(mount, volume, way, writes);
	return rc ? rc : (int)way;
}

void mount_close(struct mount *mount, struct mount_volume *volume, enum mount_way way, bool wrote)
{
	struct host_disk *disk = volume->ways[way].disk;
	int rc = 0;

	fiber_mutex_lock(&volume->opening);
	/* Nobody need ask for it: a file that is closed for good has its bytes. */
	if (wrote && volume->ways[way].writers == 1 && disk)
		rc = host_disk_flush(disk);
	if (rc)
		log_warning(&mount->log,
			    "%s/%s: closing it: flushing: %s; what was written last may be lost",
			    mount->group, volume->name, error_name(rc));
	volume->ways[way].writers -= wrote;
	if (!--volume->ways[way].opens) {
		host_disk_close(volume->ways[way].disk);
		volume->ways[way].disk = NULL;
	}
	fiber_mutex_unlock(&volume->opening);
	mount_settle(volume);
}
