/* Listening on a unix socket, for servers: the socket file's ways. */
#ifndef TENON_VIRTIO_UNIX_LISTEN_H
#define TENON_VIRTIO_UNIX_LISTEN_H

#include <sys/stat.h>

struct error;

struct unix_listener {
	int fd;     /* non-blocking; -1: does not listen */
	char *path; /* owned */
	dev_t device;
	ino_t inode;
};

/*
 * Listens on `path`; the socket file has mode 0600 from the start. A socket file on which nobody
 * answers any more is replaced. Errors: -ENAMETOOLONG, -EADDRINUSE (somebody answers there), -EEXIST
 * (another kind of file is there), or bind()'s, with `error` set.
 */
int unix_listen(struct unix_listener *listener, const char *path, struct error *error);

/* Closes it, and removes the socket file if it is still the one that unix_listen() made. */
void unix_listener_close(struct unix_listener *listener);

#endif
