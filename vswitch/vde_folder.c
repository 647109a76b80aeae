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
	return unix_listen_for(&folder->socket, ctl, access, error);
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

int vde_folder_join(struct vde_folder **folder, const char *directory,
		    const struct unix_socket_access *access, unsigned *number, struct error *error)
{
	int rc = *folder ? 0 : make_folder(folder, directory, access, error);

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

void vde_folder_set_free(struct vde_folder *folder, unsigned number, bool is_free)
{
	pthread_mutex_lock(&folder->lock);
	folder->is_free[number] = is_free;
	pthread_mutex_unlock(&folder->lock);
}

unsigned vde_folder_first_free(struct vde_folder *folder)
{
	unsigned number = 0;

	pthread_mutex_lock(&folder->lock);
	while (number < VSWITCH_PORTS_MAX && !folder->is_free[number])
		number++;
	pthread_mutex_unlock(&folder->lock);
	return number;
}
