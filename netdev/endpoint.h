/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a socket is, as a user writes it: the path of a Unix socket, also as "unix:PATH", or "tcp:HOST:PORT" and
 * "udp:HOST:PORT" with a numeric address ("[::1]" with brackets; none: 127.0.0.1). No name is looked up, for that may take
 * as long as it likes.
 */
#ifndef TENON_NETDEV_ENDPOINT_H
#define TENON_NETDEV_ENDPOINT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

struct error;

#define ENDPOINT_TEXT 128

struct endpoint {
	union {
		struct sockaddr any;
		struct sockaddr_un local;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} address;
	socklen_t length; /* of the address; 0: none */
	char text[ENDPOINT_TEXT];
};

/* `scheme`: what besides a path is possible, "tcp" or "udp". -EINVAL, -ENAMETOOLONG, with `error` set. */
int endpoint_parse(struct endpoint *endpoint, const char *text, const char *scheme,
		   struct error *error);

/* Of UDP: "ADDRESS" or "ADDRESS:PORT", an IPv6 address with a port in brackets. -EINVAL with `error` set. */
int endpoint_parse_udp(struct endpoint *endpoint, const char *text, uint16_t port,
		       struct error *error);

/* The address of one of AF_INET or AF_INET6, as text without its port. Returns `text`. */
char *endpoint_host(const struct endpoint *endpoint, char text[INET6_ADDRSTRLEN]);

/* Whether two are of one host, whatever their ports. */
bool endpoint_same_host(const struct endpoint *a, const struct endpoint *b);

static inline bool endpoint_is_local(const struct endpoint *endpoint)
{
	return endpoint->address.any.sa_family == AF_UNIX;
}

/* A socket for it, of SOCK_STREAM or SOCK_DGRAM; non-blocking, close-on-exec. A negative errno. */
int endpoint_socket(const struct endpoint *endpoint, int type);

/* The same, bound to it and, a stream one, listening; not for paths. One of datagrams to :: leaves IPv4 to another socket of that port. With `error` set. */
int endpoint_listen(const struct endpoint *endpoint, int type, struct error *error);

/* Of a TCP connection: nothing is held back, and a peer whose machine is gone, which says nothing, is asked, and given up after 25 s. */
void endpoint_tune_tcp(int fd);

#endif
