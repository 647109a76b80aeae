/* Unix stream sockets at a path, as every server of ours makes them. */
#ifndef TENON_RPC_UNIX_SOCKET_H
#define TENON_RPC_UNIX_SOCKET_H

struct error;

/*
 * A listening socket at `path`: non-blocking, close-on-exec, mode 0600. A socket left there by a dead
 * process is replaced; one that somebody listens on is refused with -EADDRINUSE, anything else in its
 * place with -EEXIST. -ENAMETOOLONG for a path over 107 bytes. Returns the fd or a negative errno with
 * `error` set. Who closes it unlinks the path.
 */
int unix_socket_listen(const char *path, struct error *error);

/* A blocking, close-on-exec connection to `path`, or a negative errno with `error` set. */
int unix_socket_connect(const char *path, struct error *error);

#endif
