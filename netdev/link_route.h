/* SPDX-License-Identifier: BSD-2-Clause */
/* What link.c and nic*.c share of talking to the kernel by rtnetlink. */
#ifndef TENON_NETDEV_LINK_ROUTE_H
#define TENON_NETDEV_LINK_ROUTE_H

#include <netlink/route/link.h>
#include <netlink/socket.h>

struct error;

/* A netlink socket of the namespace; the socket stays there whoever uses it. */
int link_open_route(int netns, struct nl_sock **out, struct error *error);

/* "interface NAME: cannot WHAT: ...", with advice where it is privileges. Returns the errno of libnl's code `nl`. */
int link_fail(struct error *error, const char *name, const char *what, int nl);

/* -ENODEV with `error` set. */
int link_find(struct nl_sock *sock, const char *name, struct rtnl_link **out, struct error *error);

#endif
