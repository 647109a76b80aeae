/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A port whose other end is a process of its own, at a stream socket (port_stream.h): the way to the outside for ordinary users, a router
 * with DHCP and DNS (netdev/user_network.h); or a segment's own DHCP and DNS (netdev/dnsmasq.h). A process that ends is started again, a
 * second later.
 */
#ifndef TENON_VSWITCH_PORT_USER_H
#define TENON_VSWITCH_PORT_USER_H

#include <stdint.h>

struct error;
struct port_config;
struct vswitch;

/* What a process says when it is ready: an empty line. Later a line of what has gone wrong, which is in the port's state until the next empty one. */
#define USER_PORT_READY "\n"

struct vswitch_user_options {
	/* What is run: argv[0] and its words, NULL at the end. It has the socket as descriptor 3, and says on 4 that it is ready; or
	 * why not, in a line, and what to do about it in another, which may be empty. */
	char *const *argv;
	const char *program;              /* the file of it */
	const char *type, *where;         /* as it is shown; copied */
	const struct port_config *config; /* NULL: nothing was decided */
};

/* Waits until it is ready, on a fiber. What it says, or the errno of starting it, with `error` set; -ETIMEDOUT after 50 seconds. */
int vswitch_add_port_user(struct vswitch *vswitch, const char *name,
			  const struct vswitch_user_options *options, struct error *error);

/* What is wrong with the process of such a port that runs and is ready: 0; or -EIO with what it last said, -ENOENT or -EINVAL as below. */
int vswitch_check_port_user(struct vswitch *vswitch, const char *name, struct error *error);

/*
 * Has the process of such a port end, and another one be started with these words. *process is for vswitch_look_port_user(). -ENOENT; -EINVAL:
 * the port is of another type; -ENOMEM; nothing has changed then.
 */
int vswitch_restart_port_user(struct vswitch *vswitch, const char *name, char *const *argv,
			      uint64_t *process, struct error *error);
/*
 * Whether a process that was started after that one is ready: 0; -EINPROGRESS: not yet; or why one could not be, with `error` set (it is tried
 * again and again).
 */
int vswitch_look_port_user(struct vswitch *vswitch, const char *name, uint64_t process,
			   struct error *error);

/*
 * Tells the process of such a port something that only changes what it does, by descriptor 5 (SOCK_SEQPACKET), after a number and a space;
 * it answers with the number, a space, and "done", or why not; on a fiber, which waits for it. Others begin with these words from now on. Errors as above; -EIO with what it
 * says; -EPIPE, -EAGAIN: it ended meanwhile; -ETIMEDOUT: it may be done yet.
 */
int vswitch_tell_port_user(struct vswitch *vswitch, const char *name, const char *text,
			   char *const *argv, struct error *error);

#endif
