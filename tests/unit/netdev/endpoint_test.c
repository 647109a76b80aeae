/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses of UDP as a person says them. */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <string.h>

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
		{ "::ffff:192.0.2.1", "::ffff:192.0.2.1", 4789 },
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

UNIT_MAIN("endpoint", UNIT(test_udp))
