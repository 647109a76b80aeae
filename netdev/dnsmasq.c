/* SPDX-License-Identifier: BSD-2-Clause */
/* What users say of a segment's DHCP and DNS; see dnsmasq.h. */
#include "netdev/dnsmasq.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/ethernet.h"
#include "util/number.h"

#define PREFIX_LEAST 8
#define PREFIX_MOST  30

/* ---- Pieces ---- */

static bool parse_address(const char *text, struct in_addr *address)
{
	return inet_pton(AF_INET, text, address) == 1 && address->s_addr;
}

static bool parse_address6(const char *text, struct in6_addr *address)
{
	return inet_pton(AF_INET6, text, address) == 1 && !IN6_IS_ADDR_UNSPECIFIED(address);
}

/* What a machine can have: no loopback, group's or "this host" (RFC 6890, 1122). */
static bool is_machines(struct in_addr address)
{
	uint32_t first = ntohl(address.s_addr) >> 24;

	return first && first != IN_LOOPBACKNET && first < 224;
}

static bool is_machines6(const struct in6_addr *address)
{
	return !IN6_IS_ADDR_MULTICAST(address) && !IN6_IS_ADDR_LINKLOCAL(address) &&
	       !IN6_IS_ADDR_LOOPBACK(address) && !IN6_IS_ADDR_V4MAPPED(address);
}

/* Notes an address, of either IP, that is nobody's lease. */
static int take(struct dnsmasq *dnsmasq, const char *text, bool is_upstream, struct error *error)
{
	struct dnsmasq_taken *grown, taken = { .is_upstream = is_upstream };
	char mapped[INET6_ADDRSTRLEN + 8];

	snprintf(mapped, sizeof(mapped), "%s%.46s", strchr(text, ':') ? "" : "::ffff:", text);
	if (inet_pton(AF_INET6, mapped, &taken.address) != 1)
		return 0;
	if (dnsmasq->taken_count == DNSMASQ_TAKEN)
		return error_set(error, -ENOSPC,
				 "dns=, name=, upstream= and option=: at most %d addresses",
				 DNSMASQ_TAKEN);
	grown = reallocarray(dnsmasq->taken, dnsmasq->taken_count + 1, sizeof(*grown));
	if (!grown)
		return error_set(error, -ENOMEM, "out of memory");
	dnsmasq->taken = grown;
	dnsmasq->taken[dnsmasq->taken_count++] = taken;
	return 0;
}

/* Of a list with commas, what is an address. */
static int take_list(struct dnsmasq *dnsmasq, const char *list, struct error *error)
{
	CLEANUP_FREE char *copy = strdup(list);
	char *rest = copy, *one;
	int rc = copy ? 0 : error_set(error, -ENOMEM, "out of memory");

	while (!rc && (one = strsep(&rest, ",")))
		rc = take(dnsmasq, one, false, error);
	return rc;
}

/* Letters, digits and '-' between dots: what a resolver asks for. */
static bool is_name(const char *text, size_t most)
{
	size_t length = strlen(text), label = 0;

	for (size_t i = 0; i < length; i++) {
		bool end = i + 1 == length || text[i + 1] == '.';

		if (text[i] == '.') {
			if (!label)
				return false;
			label = 0;
			continue;
		}
		if (!isalnum((unsigned char)text[i]) && (text[i] != '-' || !label || end))
			return false;
		if (++label > 63)
			return false;
	}
	return length && length < most && text[length - 1] != '.';
}

static int add_extra(struct dnsmasq *dnsmasq, const char *format, const char *a, const char *b,
		     struct error *error)
{
	if (dnsmasq->extra_count == DNSMASQ_EXTRAS)
		return error_set(error, -ENOSPC, "dns=, name=, upstream= and option=: at most %d",
				 DNSMASQ_EXTRAS);
	if (asprintf(&dnsmasq->extras[dnsmasq->extra_count], format, a, b) < 0)
		return error_set(error, -ENOMEM, "out of memory");
	dnsmasq->extra_count++;
	return 0;
}

/* ---- Words ---- */

static int set_address(struct dnsmasq *dnsmasq, char *value, struct error *error)
{
	char *slash = strchr(value, '/');
	uint64_t prefix = 0;

	if (slash)
		*slash++ = '\0';
	if (!slash || !parse_address(value, &dnsmasq->address) ||
	    number_parse(slash, PREFIX_LEAST, PREFIX_MOST, &prefix, NULL))
		return error_set(error, -EINVAL,
				 "address \"%.60s\": expected its own address and the network's "
				 "length, %d to %d, as in 10.1.0.1/24",
				 value, PREFIX_LEAST, PREFIX_MOST);
	if (!is_machines(dnsmasq->address))
		return error_set(error, -EINVAL,
				 "address \"%.60s\": expected a machine's, not of 0.0.0.0/8, "
				 "127.0.0.0/8 or from 224.0.0.0 on",
				 value);
	dnsmasq->prefix = (unsigned)prefix;
	return 0;
}

static int set_range(struct dnsmasq *dnsmasq, char *value, struct error *error)
{
	char *last = strchr(value, '-');

	if (last)
		*last++ = '\0';
	if (last && parse_address(value, &dnsmasq->first) && parse_address(last, &dnsmasq->last) &&
	    ntohl(dnsmasq->first.s_addr) <= ntohl(dnsmasq->last.s_addr))
		return 0;
	return error_set(error, -EINVAL,
			 "range=%.60s: expected the first and the last address, as in "
			 "10.1.0.100-10.1.0.199",
			 value);
}

static int set_range6(struct dnsmasq *dnsmasq, char *value, struct error *error)
{
	char *last = strchr(value, '-');

	if (last)
		*last++ = '\0';
	if (last && parse_address6(value, &dnsmasq->first6) &&
	    parse_address6(last, &dnsmasq->last6) &&
	    memcmp(&dnsmasq->first6, &dnsmasq->last6, sizeof(dnsmasq->first6)) <= 0)
		return 0;
	return error_set(error, -EINVAL,
			 "range6=%.60s: expected the first and the last address, as in "
			 "fd00:1::100-fd00:1::1ff",
			 value);
}

static int set_lease(struct dnsmasq *dnsmasq, char *value, struct error *error)
{
	static const struct {
		char unit;
		unsigned seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 'w', 604800 } };
	size_t length = strlen(value);
	unsigned each = 1;
	uint64_t count;

	if (!strcmp(value, "infinite")) {
		dnsmasq->lease_s = DNSMASQ_LEASE_INFINITE;
		return 0;
	}
	for (size_t i = 0; length && i < ARRAY_SIZE(units); i++)
		if (value[length - 1] == units[i].unit) {
			each = units[i].seconds;
			value[length - 1] = '\0';
			break;
		}
	if (!number_parse(value, 1, INT32_MAX, &count, NULL) &&
	    count * each >= DNSMASQ_LEASE_LEAST && count * each <= INT32_MAX) {
		dnsmasq->lease_s = (uint32_t)(count * each);
		return 0;
	}
	return error_set(error, -EINVAL,
			 "lease=%.40s: expected a time of at least %d seconds, as in 600, 45m, "
			 "12h or 7d, or infinite",
			 value, DNSMASQ_LEASE_LEAST);
}

/* What dnsmasq takes for something else where a host's name may be: a word of its own, or how long a lease is. */
static bool is_dnsmasq_word(const char *name)
{
	size_t digits = strspn(name, "0123456789");

	return !strcmp(name, "ignore") || !strcmp(name, "infinite") ||
	       (digits &&
		(!name[digits] || (strchr("smhdwSMHDW", name[digits]) && !name[digits + 1])));
}

static int bad_host(const char *value, struct error *error)
{
	return error_set(error, -EINVAL,
			 "host=%.80s: expected MAC/ADDRESS, MAC//NAME or MAC/ADDRESS/NAME, as in "
			 "02:00:00:00:00:01/10.1.0.10/web",
			 value);
}

static int set_host(struct dnsmasq *dnsmasq, char *value, struct error *error)
{
	CLEANUP_FREE char *copy = strdup(value);
	char *rest = copy, *piece;
	struct dnsmasq_host host = { 0 };

	if (dnsmasq->host_count == DNSMASQ_HOSTS)
		return error_set(error, -ENOSPC, "host=%.60s: at most %d", value, DNSMASQ_HOSTS);
	if (!copy)
		return error_set(error, -ENOMEM, "out of memory");
	if (!strchr(copy, '/') || ethernet_parse(strsep(&rest, "/"), host.mac, NULL))
		return bad_host(value, error);
	while ((piece = strsep(&rest, "/"))) {
		if (!*piece)
			continue;
		if (parse_address(piece, &host.address) || parse_address6(piece, &host.address6))
			continue;
		if (rest || strchr(piece, '.') || !is_name(piece, sizeof(host.name)))
			return bad_host(value, error);
		if (is_dnsmasq_word(piece))
			return error_set(error, -EINVAL,
					 "host=%.80s: \"%s\" is no name for it: dnsmasq takes "
					 "numbers, times (as 7d), ignore and infinite for others",
					 value, piece);
		strcpy(host.name, piece);
	}
	for (unsigned i = 0; i < dnsmasq->host_count; i++) {
		const struct dnsmasq_host *other = &dnsmasq->hosts[i];

		if (!memcmp(other->mac, host.mac, sizeof(host.mac)))
			return error_set(error, -EINVAL, "host=%.80s: this machine is given twice",
					 value);
		if (host.address.s_addr && other->address.s_addr == host.address.s_addr)
			return error_set(error, -EINVAL,
					 "host=%.80s: this address is another machine's already",
					 value);
		if (!IN6_IS_ADDR_UNSPECIFIED(&host.address6) &&
		    IN6_ARE_ADDR_EQUAL(&other->address6, &host.address6))
			return error_set(error, -EINVAL,
					 "host=%.80s: this address of IPv6 is another machine's "
					 "already",
					 value);
	}
	dnsmasq->hosts[dnsmasq->host_count++] = host;
	return 0;
}

static int set_router(struct dnsmasq *dnsmasq, char *value, struct error *error)
{
	if (parse_address(value, &dnsmasq->router))
		return 0;
	return error_set(error, -EINVAL, "router=%.60s: expected an address, as in 10.1.0.2",
			 value);
}

static bool are_addresses(const char *value)
{
	CLEANUP_FREE char *copy = strdup(value);
	char *rest = copy, *one;
	struct in_addr address;

	if (!copy)
		return false;
	while ((one = strsep(&rest, ",")))
		if (!parse_address(one, &address))
			return false;
	return true;
}

static int set_dns(struct dnsmasq *dnsmasq, char *value, struct error *error)
{
	int rc;

	if (!strcmp(value, "none")) {
		dnsmasq->no_dns = true;
		return 0;
	}
	for (char *plus = value; (plus = strchr(plus, '+'));)
		*plus = ',';
	if (!are_addresses(value))
		return error_set(error, -EINVAL,
				 "dns=%.60s: expected addresses of IPv4, as in 10.1.0.3+10.1.0.4, "
				 "or none",
				 value);
	dnsmasq->has_dns = true;
	rc = take_list(dnsmasq, value, error);
	return rc ? rc
		  : add_extra(dnsmasq, "--dhcp-option=option:dns-server,%s%s", value, "", error);
}

static int set_domain(struct dnsmasq *dnsmasq, char *value, struct error *error)
{
	if (!is_name(value, sizeof(dnsmasq->domain)))
		return error_set(error, -EINVAL, "domain=%.60s: expected a name, as in lab.test",
				 value);
	strcpy(dnsmasq->domain, value);
	return 0;
}

static int set_name(struct dnsmasq *dnsmasq, char *value, struct error *error)
{
	char *slash = strchr(value, '/');
	struct in6_addr address6;
	struct in_addr address;

	if (slash)
		*slash++ = '\0';
	if (slash && is_name(value, DNSMASQ_NAME) &&
	    (parse_address(slash, &address) || parse_address6(slash, &address6))) {
		int rc = take(dnsmasq, slash, false, error);

		return rc ? rc : add_extra(dnsmasq, "--host-record=%s,%s", value, slash, error);
	}
	return error_set(error, -EINVAL,
			 "name=%.80s: expected a name and an address, as in "
			 "printer.lab.test/10.1.0.9",
			 value);
}

static int set_upstream(struct dnsmasq *dnsmasq, char *value, struct error *error)
{
	struct in6_addr address6;
	struct in_addr address;
	int rc;

	if (!(parse_address(value, &address) && is_machines(address)) &&
	    !(parse_address6(value, &address6) && is_machines6(&address6)))
		return error_set(error, -EINVAL,
				 "upstream=%.60s: expected the address of a name server, which is "
				 "no loopback's, link's or group's",
				 value);
	dnsmasq->has_upstream = true;
	rc = take(dnsmasq, value, true, error);
	return rc ? rc : add_extra(dnsmasq, "--server=%s%s", value, "", error);
}

/* Of dnsmasq's value list; false: it cannot be one. */
static bool is_option_value(char *value)
{
	for (char *each = value; *each; each++) {
		if ((unsigned char)*each < ' ' || (unsigned char)*each >= 0x7f || *each == '"')
			return false;
		if (*each == '+')
			*each = ',';
	}
	return *value;
}

static int set_option(struct dnsmasq *dnsmasq, char *value, struct error *error)
{
	char *colon = strchr(value, ':');
	uint64_t number;

	if (colon)
		*colon++ = '\0';
	if (colon && is_option_value(colon) && !number_parse(value, 1, 254, &number, NULL)) {
		int rc = take_list(dnsmasq, colon, error);

		return rc ? rc : add_extra(dnsmasq, "--dhcp-option=%s,%s", value, colon, error);
	}
	return error_set(error, -EINVAL,
			 "option=%.60s: expected a DHCP option's number, 1 to 254, and value, as "
			 "in 42:10.1.0.5+10.1.0.6",
			 value);
}

static int set_ipv6(struct dnsmasq *dnsmasq, char *value, struct error *error)
{
	char *slash = strchr(value, '/');

	if (slash)
		*slash++ = '\0';
	if (slash && !strcmp(slash, "64") && parse_address6(value, &dnsmasq->address6) &&
	    is_machines6(&dnsmasq->address6)) {
		dnsmasq->prefix6 = 64;
		return 0;
	}
	return error_set(error, -EINVAL,
			 "ipv6=%.60s: expected its own address in a network of 64 bits, as in "
			 "fd00:1::1/64",
			 value);
}

int dnsmasq_set(struct dnsmasq *dnsmasq, const char *word, struct error *error)
{
	static const struct {
		const char *key;
		int (*set)(struct dnsmasq *dnsmasq, char *value, struct error *error);
	} keys[] = {
		{ "address", set_address },   { "range", set_range },   { "lease", set_lease },
		{ "host", set_host },         { "router", set_router }, { "dns", set_dns },
		{ "domain", set_domain },     { "name", set_name },     { "option", set_option },
		{ "upstream", set_upstream }, { "ipv6", set_ipv6 },     { "range6", set_range6 },
	};
	CLEANUP_FREE char *copy = strdup(word);
	char *value = copy ? strchr(copy, '=') : NULL;

	if (!copy)
		return error_set(error, -ENOMEM, "out of memory");
	if (!value)
		return -ENOTSUP;
	*value++ = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (!strcmp(copy, keys[i].key))
			return keys[i].set(dnsmasq, value, error);
	return -ENOTSUP;
}

/* ---- Going ---- */

void dnsmasq_clear(struct dnsmasq *dnsmasq)
{
	for (unsigned i = 0; i < dnsmasq->extra_count; i++)
		free(dnsmasq->extras[i]);
	free(dnsmasq->taken);
	memset(dnsmasq, 0, sizeof(*dnsmasq));
}
