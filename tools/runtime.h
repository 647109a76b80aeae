/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where running servers of this user are found: one directory of control sockets.
 *
 * $TENON_RUNTIME_DIR, else $XDG_RUNTIME_DIR/tenon (of an absolute path), else /run/tenon for root and /tmp/tenon-UID for
 * others, also for those who have root's number in a user namespace of their own: UID is theirs outside of it. A storage server listens there as serve-PID.sock, a switch as switch-NAME.sock.
 */
#ifndef TENON_TOOLS_RUNTIME_H
#define TENON_TOOLS_RUNTIME_H

#include <sys/types.h>

struct error;

/* The directory's path, made (mode 0700) if it is not there; refused with -EPERM when it belongs to
 * somebody else. The caller frees *path. */
int runtime_directory(char **path, struct error *error);

/* DIRECTORY/NAME.sock. The caller frees *path. -ENAMETOOLONG where none is there and none can be. */
int runtime_socket(const char *name, char **path, struct error *error);

/* The process that a socket's name says ("serve-77.sock"); 0: it says none. */
pid_t runtime_pid_of(const char *path);

/*
 * Calls fn(path, arg) for each PREFIX*.sock, until it returns non-zero, which is returned. Where the directory cannot be looked into, which is not
 * that nothing is there: why not, with `error` set.
 */
int runtime_each_socket(const char *prefix, int (*fn)(const char *path, void *arg), void *arg,
			struct error *error);
/* The same for who goes on without servers: a directory that is another user's, or cannot be made or reached, has none of this user's. */
int runtime_each_own_socket(const char *prefix, int (*fn)(const char *path, void *arg), void *arg,
			    struct error *error);

/* Removes the sockets of servers for processes of this host (disk-PID-...) that killed ones have left. */
void runtime_tidy_disks(void);

#endif
