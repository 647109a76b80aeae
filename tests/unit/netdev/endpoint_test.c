/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses of UDP as a person says them. */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <string.h>
#include <unistd.h>

#include "netdev/endpoint.h"
#include "util/bytes.h"

static void test_udp(void)
{
	static const struct {
		const char *text, *host; /* NULL: it is refused */
		unsigned port;
	} cases[] = {
		{ "192.0.2.1", "192.0.2.1", 4789 },
		{ "192.0.2.1:7", "192.0.2.1", 7 },
		{ "2001:db8::1", "2001:db8::1", 4789 },
		{ "[2001:db8::1]", "2001:db8::1", 4789 },
		{ "[2001:db8::1]:7", "2001:db8::1", 7 },
		{ "::1", "::1", 4789 },
		{ "::", "::", 4789 },
		{ "::ffff:192.0.2.1", "192.0.2.1", 4789 },
		{ "[::ffff:c000:201]:7", "192.0.2.1", 7 },
		{ "[::1]:7", "::1", 7 },
		{ ":4789", NULL, 0 },
		{ ":", NULL, 0 },
		{ "", NULL, 0 },
		{ "::1:", NULL, 0 },
		{ "[]", NULL, 0 },
		{ "192.0.2.1:", NULL, 0 },
		{ "192.0.2.1:65536", NULL, 0 },
		{ "host", NULL, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char host[INET6_ADDRSTRLEN];
		struct endpoint endpoint;
		int rc = endpoint_parse_udp(&endpoint, cases[i].text, 4789, NULL);

		CU_ASSERT_EQUAL(rc == 0, cases[i].host != NULL);
		if (rc || !cases[i].host)
			continue;
		CU_ASSERT_STRING_EQUAL(endpoint_host(&endpoint, host), cases[i].host);
		/* sin_port and sin6_port lie at one place. */
		CU_ASSERT_EQUAL(ntohs(endpoint.address.in.sin_port), cases[i].port);
	}
}

/* A tunnel over IPv6 and one over IPv4 can be beside each other at their usual port. */
static void test_both_families(void)
{
	struct endpoint first, second;
	struct sockaddr_in6 bound;
	socklen_t size = sizeof(bound);
	int fd, other;

	CU_ASSERT_EQUAL_FATAL(endpoint_parse_udp(&first, "::", 1, NULL), 0);
	first.address.in6.sin6_port = 0;
	fd = endpoint_listen(&first, SOCK_DGRAM, NULL);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL_FATAL(getsockname(fd, (struct sockaddr *)&bound, &size), 0);
	CU_ASSERT_EQUAL_FATAL(
		endpoint_parse_udp(&second, "127.0.0.1", ntohs(bound.sin6_port), NULL), 0);
	other = endpoint_listen(&second, SOCK_DGRAM, NULL);
	CU_ASSERT_TRUE(other >= 0);
	close(other);
	close(fd);
}

UNIT_MAIN("endpoint", UNIT(test_udp), UNIT(test_both_families))
