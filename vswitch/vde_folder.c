/* SPDX-License-Identifier: BSD-2-Clause */
/* See vde_folder.h. */
#include "vswitch/vde_folder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/error.h"

int vde_give_access(const char *path, const struct unix_socket_access *access, mode_t mode)
{
	if (access && access->has_group && chown(path, (uid_t)-1, access->group))
		return -errno;
	return chmod(path, mode) ? -errno : 0;
}

static int open_folder(struct vde_folder *folder, const struct unix_socket_access *access,
		       struct error *error)
{
	mode_t mode = access && access->mode & 077 ? 0750 : 0700;
	CLEANUP_FREE char *ctl = NULL;
	struct stat status;
	int rc;

	if (asprintf(&ctl, "%s/ctl", folder->directory) < 0)
		return error_set(error, -ENOMEM, "out of memory");
	if (!mkdir(folder->directory, 0700))
		folder->made = true;
	else if (errno != EEXIST)
		return error_set(error, -errno, "%s: cannot make the directory: %s",
				 folder->directory, error_name(errno));
	rc = folder->made ? vde_give_access(folder->directory, access, mode) : 0;
	if (rc)
		return error_set(error, rc, "%s: cannot give it mode 0%o%s: %s", folder->directory,
				 mode, access && access->has_group ? " and its group" : "",
				 error_name(rc));
	if (stat(folder->directory, &status))
		return error_set(error, -errno, "%s: %s", folder->directory, error_name(errno));
	folder->device = status.st_dev;
	folder->inode = status.st_ino;
	return unix_listen_for(&folder->socket, ctl, access, error);
}

bool vde_folder_is_at(const struct vde_folder *folder, const char *directory)
{
	struct stat status;

	return !strcmp(folder->directory, directory) ||
	       (!stat(directory, &status) && status.st_dev == folder->device &&
		status.st_ino == folder->inode);
}

static void close_folder(struct vde_folder *folder)
{
	unix_listener_close(&folder->socket);
	if (folder->made)
		rmdir(folder->directory);
	pthread_mutex_destroy(&folder->lock);
	free(folder->directory);
	free(folder);
}

static int make_folder(struct vde_folder **out, const char *directory,
		       const struct unix_socket_access *access, struct error *error)
{
	struct vde_folder *folder = calloc(1, sizeof(*folder));
	int rc;

	if (!folder)
		return error_set(error, -ENOMEM, "out of memory");
	folder->socket.fd = -1;
	pthread_mutex_init(&folder->lock, NULL);
	folder->has_access = access != NULL;
	if (access)
		folder->access = *access;
	folder->directory = strdup(directory);
	rc = folder->directory ? open_folder(folder, access, error)
			       : error_set(error, -ENOMEM, "out of memory");
	if (rc) {
		close_folder(folder);
		return rc;
	}
	*out = folder;
	return 0;
}

static const char *access_text(const struct unix_socket_access *access, char text[64])
{
	if (!access)
		return "none";
	if (access->has_group)
		snprintf(text, 64, "mode 0%o, group %u", access->mode, access->group);
	else
		snprintf(text, 64, "mode 0%o", access->mode);
	return text;
}

/* There is one socket that clients come to, whichever port they get. */
static int check_access(const struct vde_folder *folder, const struct unix_socket_access *access,
			struct error *error)
{
	const struct unix_socket_access *first = folder->has_access ? &folder->access : NULL;
	char asked[64], given[64];

	if (!access ||
	    (first && first->mode == access->mode && first->has_group == access->has_group &&
	     (!first->has_group || first->group == access->group)))
		return 0;
	error_set(error, -EINVAL, "%s: another port has it, with %s: it cannot have %s",
		  folder->directory, access_text(first, given), access_text(access, asked));
	return error_advise(error, "the ports of a directory have one socket: give them the same "
				   "mode= and group=, or only the first one");
}

int vde_folder_join(struct vde_folder **folder, const char *directory,
		    const struct unix_socket_access *access, unsigned *number, struct error *error)
{
	int rc = *folder ? check_access(*folder, access, error)
			 : make_folder(folder, directory, access, error);

	if (rc)
		return rc;
	for (*number = 0; *number < VSWITCH_PORTS_MAX; (*number)++) {
		if ((*folder)->taken[*number])
			continue;
		(*folder)->taken[*number] = true;
		(*folder)->references++;
		return 0;
	}
	return error_set(error, -ENOSPC, "%s: it has %d ports, no more fit", directory,
			 VSWITCH_PORTS_MAX);
}

void vde_folder_leave(struct vde_folder *folder, unsigned number)
{
	if (!folder)
		return;
	folder->taken[number] = false;
	if (!--folder->references)
		close_folder(folder);
}

void vde_folder_set(struct vde_folder *folder, unsigned number, enum vde_place place)
{
	pthread_mutex_lock(&folder->lock);
	folder->places[number] = place;
	pthread_mutex_unlock(&folder->lock);
}

unsigned vde_folder_first_free(struct vde_folder *folder)
{
	unsigned number = 0, none = VDE_FOLDER_FULL;

	pthread_mutex_lock(&folder->lock);
	for (; number < VSWITCH_PORTS_MAX && folder->places[number] != VDE_PLACE_FREE; number++)
		if (folder->places[number] == VDE_PLACE_LATER)
			none = VDE_FOLDER_LATER;
	pthread_mutex_unlock(&folder->lock);
	return number < VSWITCH_PORTS_MAX ? number : none;
}
