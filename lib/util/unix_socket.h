/* SPDX-License-Identifier: BSD-2-Clause */
/* Unix sockets at a path: how every server of ours listens, and every client connects. */
#ifndef TENON_UTIL_UNIX_SOCKET_H
#define TENON_UTIL_UNIX_SOCKET_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

struct error;
struct sockaddr_un;

/* Who besides its owner may connect to a socket. */
struct unix_socket_access {
	mode_t mode;    /* of the socket file, up to 0777; whoever may write to it may connect */
	bool has_group; /* the file is to belong to `group` */
	gid_t group;
};

struct unix_listener {
	int fd;     /* non-blocking, close-on-exec; -1: does not listen */
	char *path; /* owned */
	dev_t device;
	ino_t inode;
};

/*
 * Listens on `path`; the socket file has mode 0600 from the start. A socket file on which nobody
 * answers any more is replaced; of several that do so at once one listens. Errors: -ENAMETOOLONG (over 107
 * bytes), -EADDRINUSE (somebody answers there), -EEXIST (another kind of file is there), -EBUSY (somebody
 * else has had the folder locked for ten seconds), or bind()'s, with `error` set.
 */
int unix_listen(struct unix_listener *listener, const char *path, struct error *error);

/* The same for others too, as `access` says (NULL: nobody). The file gets its group and then its mode
 * before it listens: at no moment can anybody connect who may not. -EPERM where the group is not one of
 * the user's. */
int unix_listen_for(struct unix_listener *listener, const char *path,
		    const struct unix_socket_access *access, struct error *error);

/* The same of a datagram socket, which receives at once (but none before it has its group and mode). */
int unix_bind_datagram(struct unix_listener *listener, const char *path,
		       const struct unix_socket_access *access, struct error *error);

/* What a person says: a mode in octal, "0660", that leaves its owner reading and writing; the name or
 * number of a group. -EINVAL, or -ENOENT for a group that is not known, with `error` set. */
int unix_socket_parse_mode(const char *text, mode_t *mode, struct error *error);
int unix_socket_parse_group(const char *text, gid_t *group, struct error *error);

/* Closes it, and removes the socket file if it is still the one that unix_listen() made. */
void unix_listener_close(struct unix_listener *listener);

/* Whether its path still leads to it; true of one that has none. */
bool unix_listener_is_there(const struct unix_listener *listener);

/*
 * A non-blocking, close-on-exec connection to `path`. Where the server's backlog is full, for which there is no event
 * (unix(7)), it calls `wait`, which returns 0 for another try, or a negative errno to end with.
 */
int unix_socket_connect_with(const char *path, int (*wait)(void *arg), void *arg,
			     struct error *error);

/* The same to a server of ours, which may not run yet, or be stopped: `error` says what to do. Whoever waits gives up
 * with -ETIMEDOUT after this time. */
#define UNIX_SOCKET_PATIENCE_NS 10000000000ULL
int unix_socket_connect_server(const char *path, int (*wait)(void *arg), void *arg,
			       struct error *error);

/* A blocking, close-on-exec connection to `path`, or a negative errno with `error` set; -ETIMEDOUT where the
 * server takes nobody for ten seconds. Blocks. */
int unix_socket_connect(const char *path, struct error *error);

/* The process that listens, or made the other end; 0 where it is not known. */
pid_t unix_socket_peer(int fd);

/* Fills in the address of `path`; -ENAMETOOLONG, or -EINVAL for an empty one, with `error` set. */
int unix_socket_address(struct sockaddr_un *address, const char *path, struct error *error);

#endif
