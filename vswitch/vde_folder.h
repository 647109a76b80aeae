/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A directory that clients of VDE plug into (port_vde.h): its socket "ctl", and which of the ports that have it are free. Ports are numbered
 * in it; who comes is for the free one with the least number. For as long as the last of its ports.
 *
 * Ports come and go on one thread; who is free they say on their own.
 */
#ifndef TENON_VSWITCH_VDE_FOLDER_H
#define TENON_VSWITCH_VDE_FOLDER_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include "util/unix_socket.h"
#include "vswitch/switch.h"

struct error;

#define VDE_FOLDER_FULL  VSWITCH_PORTS_MAX
#define VDE_FOLDER_LATER (VSWITCH_PORTS_MAX + 1)

enum vde_place {
	VDE_PLACE_TAKEN,
	VDE_PLACE_LATER, /* it will be free soon */
	VDE_PLACE_FREE,
};

struct vde_folder {
	char *directory;
	bool made; /* it was not there */
	dev_t device;
	ino_t inode;
	struct unix_listener socket;
	struct unix_socket_access access; /* of its sockets, all ports' */
	bool has_access;
	unsigned references;
	pthread_mutex_t lock; /* of `places` */
	bool taken[VSWITCH_PORTS_MAX];
	enum vde_place places[VSWITCH_PORTS_MAX];
};

/* Whether `directory` is its own, by whatever path. */
bool vde_folder_is_at(const struct vde_folder *folder, const char *directory);

/* One more port of *folder, or (NULL) of a new one; its number, which is not free yet. `access` is the first port's; another may have the same or NULL.
 * mkdir()'s errors, or those of unix_listen(), -ENOSPC; -EINVAL: another access. */
int vde_folder_join(struct vde_folder **folder, const char *directory,
		    const struct unix_socket_access *access, unsigned *number, struct error *error);
/* One less; with the last it goes. NULL: nothing. */
void vde_folder_leave(struct vde_folder *folder, unsigned number);

/* On any thread. VDE_FOLDER_FULL: none is; VDE_FOLDER_LATER: none is now. */
void vde_folder_set(struct vde_folder *folder, unsigned number, enum vde_place place);
unsigned vde_folder_first_free(struct vde_folder *folder);

/* Gives a file `access`'s group and `mode`: bind() and mkdir() leave out what the umask says. */
int vde_give_access(const char *path, const struct unix_socket_access *access, mode_t mode);

#endif
