/* SPDX-License-Identifier: BSD-2-Clause */
/* See endpoint.h. */
#include "netdev/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "util/number.h"
#include "util/unix_socket.h"

/* A TCP peer that answers nothing for 25 s is gone. */
#define KEEP_IDLE_S     10
#define KEEP_INTERVAL_S 5
#define KEEP_PROBES     3

static int bad_endpoint(const char *text, const char *scheme, struct error *error)
{
	return error_set(error, -EINVAL,
			 "address \"%.100s\": expected the path of a socket, or %s:HOST:PORT with "
			 "a numeric "
			 "host, as in %s:127.0.0.1:1234 or %s:[::1]:1234",
			 text, scheme, scheme, scheme);
}

/* ::ffff:192.0.2.1 is IPv4's address 192.0.2.1, and is reached as that. */
static void take_mapped(struct endpoint *endpoint)
{
	const struct sockaddr_in6 *mapped = &endpoint->address.in6;
	struct sockaddr_in ipv4 = { .sin_family = AF_INET, .sin_port = mapped->sin6_port };

	memcpy(&ipv4.sin_addr, mapped->sin6_addr.s6_addr + 12, sizeof(ipv4.sin_addr));
	memset(&endpoint->address, 0, sizeof(endpoint->address));
	endpoint->address.in = ipv4;
	endpoint->length = sizeof(ipv4);
}

/* HOST:PORT, which is cut into pieces. */
static bool parse_internet(struct endpoint *endpoint, char *text)
{
	char *colon = strrchr(text, ':'), *host = text;
	uint64_t port;
	size_t length;

	if (!colon || number_parse(colon + 1, 1, 65535, &port, NULL))
		return false;
	*colon = '\0';
	length = strlen(host);
	if (length > 2 && host[0] == '[' && host[length - 1] == ']') {
		host[length - 1] = '\0';
		endpoint->address.in6.sin6_family = AF_INET6;
		endpoint->address.in6.sin6_port = htons((uint16_t)port);
		endpoint->length = sizeof(endpoint->address.in6);
		if (inet_pton(AF_INET6, host + 1, &endpoint->address.in6.sin6_addr) != 1)
			return false;
		if (IN6_IS_ADDR_V4MAPPED(&endpoint->address.in6.sin6_addr))
			take_mapped(endpoint);
		return true;
	}
	endpoint->address.in.sin_family = AF_INET;
	endpoint->address.in.sin_port = htons((uint16_t)port);
	endpoint->length = sizeof(endpoint->address.in);
	return inet_pton(AF_INET, *host ? host : "127.0.0.1", &endpoint->address.in.sin_addr) == 1;
}

int endpoint_parse(struct endpoint *endpoint, const char *text, const char *scheme,
		   struct error *error)
{
	size_t length = strlen(scheme);
	int rc;

	memset(endpoint, 0, sizeof(*endpoint));
	snprintf(endpoint->text, sizeof(endpoint->text), "%s", text);
	if (!strncmp(text, scheme, length) && text[length] == ':') {
		CLEANUP_FREE char *copy = strdup(text + length + 1);

		if (!copy)
			return error_set(error, -ENOMEM, "out of memory");
		return parse_internet(endpoint, copy) ? 0 : bad_endpoint(text, scheme, error);
	}
	if (!strncmp(text, "unix:", 5))
		text += 5;
	if (!*text || (!strchr(text, '/') && strchr(text, ':')))
		return bad_endpoint(text, scheme, error);
	snprintf(endpoint->text, sizeof(endpoint->text), "%s", text);
	rc = unix_socket_address(&endpoint->address.local, text, error);
	endpoint->length = sizeof(endpoint->address.local);
	return rc;
}

int endpoint_parse_udp(struct endpoint *endpoint, const char *text, uint16_t port,
		       struct error *error)
{
	CLEANUP_FREE char *copy = NULL;
	size_t length = strlen(text);
	bool bare = strchr(text, ':') == strrchr(text, ':') ? !strchr(text, ':') : *text != '[';
	const char *first = text, *last = text + length;

	memset(endpoint, 0, sizeof(*endpoint));
	snprintf(endpoint->text, sizeof(endpoint->text), "%s", text);
	if (length > 2 && *text == '[' && last[-1] == ']') {
		bare = true;
		first++;
		last--;
	}
	if (asprintf(&copy, bare && memchr(first, ':', length) ? "[%.*s]:%u" : "%.*s:%u",
		     (int)(last - first), first, port) < 0)
		return error_set(error, -ENOMEM, "out of memory");
	if (!bare)
		strcpy(copy, text);
	/* ":4789" has no address; "::1" is one. */
	if (*text && (*text != ':' || text[1] == ':') && parse_internet(endpoint, copy))
		return 0;
	return error_set(error, -EINVAL,
			 "address \"%.60s\": expected a numeric address, also with a port, as in "
			 "192.0.2.1, 192.0.2.1:%u, 2001:db8::1 or [2001:db8::1]:%u",
			 text, port, port);
}

char *endpoint_host(const struct endpoint *endpoint, char text[INET6_ADDRSTRLEN])
{
	bool ipv6 = endpoint->address.any.sa_family == AF_INET6;
	const void *address = ipv6 ? (const void *)&endpoint->address.in6.sin6_addr
				   : (const void *)&endpoint->address.in.sin_addr;

	if (!inet_ntop(ipv6 ? AF_INET6 : AF_INET, address, text, INET6_ADDRSTRLEN))
		*text = '\0';
	return text;
}

bool endpoint_same_host(const struct endpoint *a, const struct endpoint *b)
{
	if (a->address.any.sa_family != b->address.any.sa_family)
		return false;
	if (a->address.any.sa_family == AF_INET6)
		return IN6_ARE_ADDR_EQUAL(&a->address.in6.sin6_addr, &b->address.in6.sin6_addr);
	return a->address.in.sin_addr.s_addr == b->address.in.sin_addr.s_addr;
}

int endpoint_socket(const struct endpoint *endpoint, int type)
{
	int fd = socket(endpoint->address.any.sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

int endpoint_listen(const struct endpoint *endpoint, int type, struct error *error)
{
	int rc = 0, on = 1, fd = endpoint_socket(endpoint, type);

	if (fd < 0)
		return error_set(error, fd, "address %s: cannot make a socket: %s", endpoint->text,
				 error_name(fd));
	if (type == SOCK_STREAM)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	else if (endpoint->address.any.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, &endpoint->address.any, endpoint->length) ||
	    (type == SOCK_STREAM && listen(fd, 8)))
		rc = -errno;
	if (!rc)
		return fd;
	close(fd);
	return error_set(error, rc, "address %s: cannot listen there: %s", endpoint->text,
			 error_name(rc));
}

void endpoint_tune_tcp(int fd)
{
	int on = 1, idle = KEEP_IDLE_S, interval = KEEP_INTERVAL_S, probes = KEEP_PROBES;
	unsigned patience = (KEEP_IDLE_S + KEEP_INTERVAL_S * KEEP_PROBES) * 1000;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience, sizeof(patience));
}
