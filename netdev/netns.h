/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Network namespaces: calling a function inside one, and sockets opened there.
 *
 * A thread's namespace decides where its sockets are made and which interfaces it finds; a socket keeps
 * the namespace it was made in. So whatever touches another namespace runs on a short-lived thread
 * that entered it, and the caller's own namespace never changes. An ordinary user enters the namespaces of a user namespace
 * of the same user (`unshare -rn`): `fn` runs in a process then that shares memory and descriptors, while the caller waits.
 */
#ifndef TENON_NETDEV_NETNS_H
#define TENON_NETDEV_NETNS_H

struct error;

/* Opens a namespace by what a user calls it: a path (/proc/PID/ns/net, a bind mount), a name that `ip netns add` gave
 * (/run/netns/NAME), or else the number of a process in it. An fd, or a negative errno with `error` set. */
int netns_open(const char *name, struct error *error);

/* Runs `fn(arg)` in the namespace `fd`, or on the calling thread if `fd` is -1; it must not care which thread or process it is.
 * Returns what `fn` returned, or a negative errno with `error` set: setns()'s, or that of making a thread or process. */
int netns_call(int fd, int (*fn)(void *arg), void *arg, struct error *error);

/* A socket made in the namespace `fd`; close-on-exec. A negative errno with `error` set. */
int netns_socket(int fd, int domain, int type, int protocol, struct error *error);

#endif
