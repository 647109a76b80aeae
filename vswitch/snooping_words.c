/* SPDX-License-Identifier: BSD-2-Clause */
/* Settings of snooping in words; see snooping_words.h. */
#include "vswitch/snooping_words.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"
#include "util/number.h"

#define GROUPS_MOST           65536u
#define SOURCES_OF_GROUP_MOST 1024u

/* The value behind "key=", if the word is of that key. */
static const char *text_behind(const char *word, const char *key)
{
	size_t length = strlen(key);

	return !strncmp(word, key, length) && word[length] == '=' ? word + length + 1 : NULL;
}

/* One of two words. */
static int parse_either(const char *word, const char *value, const char *yes, const char *no,
			bool *out, struct error *error)
{
	if (strcmp(value, yes) != 0 && strcmp(value, no) != 0)
		return error_set(error, -EINVAL, "%.60s: expected %s or %s", word, yes, no);
	*out = !strcmp(value, yes);
	return 0;
}

static int parse_amount(const char *word, const char *value, uint64_t least, uint64_t most,
			uint64_t *out, struct error *error)
{
	if (!number_parse(value, least, most, out, error))
		return 0;
	error_prefix(error, "%.60s", word);
	return -EINVAL;
}

static int parse_v4(const char *word, const char *value, uint32_t *out, struct error *error)
{
	struct in_addr address;

	if (inet_pton(AF_INET, value, &address) != 1 || ntohl(address.s_addr) >> 28 == 0xe ||
	    address.s_addr == UINT32_MAX)
		return error_set(error, -EINVAL,
				 "%.60s: expected the IPv4 address of a station, or 0.0.0.0", word);
	*out = ntohl(address.s_addr);
	return 0;
}

/* Hosts take queries from addresses of the link only. */
static int parse_v6(const char *word, const char *value, struct group_address *out,
		    struct error *error)
{
	uint8_t bytes[16] = { 0 };

	if (strcmp(value, "none") != 0 &&
	    (inet_pton(AF_INET6, value, bytes) != 1 || (get_be16(bytes) & 0xffc0) != 0xfe80))
		return error_set(error, -EINVAL,
				 "%.60s: expected a link-local IPv6 address (fe80::1), or none",
				 word);
	*out = (struct group_address){ get_be64(bytes), get_be64(bytes + 8) };
	return 0;
}

/* ---- Of the switch ---- */

static const struct {
	const char *key, *yes, *no;
	size_t at; /* of a bool */
} choices[] = {
	{ "igmp", "on", "off", offsetof(struct snooping_settings, igmp) },
	{ "mld", "on", "off", offsetof(struct snooping_settings, mld) },
	{ "querier", "on", "off", offsetof(struct snooping_settings, querier) },
	{ "unknown", "drop", "flood", offsetof(struct snooping_settings, drop_unknown) },
};

enum number_kind { NUMBER_BYTE, NUMBER_COUNT, NUMBER_SECONDS };

static const struct {
	const char *key;
	enum number_kind kind;
	uint64_t least, most;
	size_t at;
} numbers[] = {
	{ "igmp-version", NUMBER_BYTE, 2, 3, offsetof(struct snooping_settings, igmp_version) },
	{ "mld-version", NUMBER_BYTE, 1, 2, offsetof(struct snooping_settings, mld_version) },
	{ "robustness", NUMBER_BYTE, 1, 7, offsetof(struct snooping_settings, robustness) },
	{ "query-interval", NUMBER_SECONDS, 1, 31744,
	  offsetof(struct snooping_settings, query_interval) },
	{ "response-interval", NUMBER_SECONDS, 1, 3174,
	  offsetof(struct snooping_settings, response_interval) },
	{ "last-member-interval", NUMBER_SECONDS, 1, 25,
	  offsetof(struct snooping_settings, last_member_interval) },
	{ "groups", NUMBER_COUNT, 1, GROUPS_MOST, offsetof(struct snooping_settings, groups) },
	{ "port-groups", NUMBER_COUNT, 1, GROUPS_MOST,
	  offsetof(struct snooping_settings, groups_per_port) },
	{ "sources", NUMBER_COUNT, 1, GROUPS_MOST, offsetof(struct snooping_settings, sources) },
	{ "port-sources", NUMBER_COUNT, 1, GROUPS_MOST,
	  offsetof(struct snooping_settings, sources_per_port) },
	{ "group-sources", NUMBER_COUNT, 0, SOURCES_OF_GROUP_MOST,
	  offsetof(struct snooping_settings, sources_per_group) },
};

static void put_number(void *at, enum number_kind kind, uint64_t number)
{
	switch (kind) {
	case NUMBER_BYTE:
		*(uint8_t *)at = (uint8_t)number;
		break;
	case NUMBER_COUNT:
		*(unsigned *)at = (unsigned)number;
		break;
	case NUMBER_SECONDS:
		*(uint64_t *)at = number * SNOOPING_SECOND;
		break;
	}
}

int snooping_settings_set(struct snooping_settings *settings, const char *word, struct error *error)
{
	const char *value;
	uint64_t number;

	for (size_t i = 0; i < ARRAY_SIZE(choices); i++)
		if ((value = text_behind(word, choices[i].key)))
			return parse_either(word, value, choices[i].yes, choices[i].no,
					    (bool *)((char *)settings + choices[i].at), error);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		value = text_behind(word, numbers[i].key);
		if (!value)
			continue;
		if (parse_amount(word, value, numbers[i].least, numbers[i].most, &number, error))
			return -EINVAL;
		put_number((char *)settings + numbers[i].at, numbers[i].kind, number);
		return 0;
	}
	if ((value = text_behind(word, "address")))
		return parse_v4(word, value, &settings->address, error);
	if ((value = text_behind(word, "mld-address")))
		return parse_v6(word, value, &settings->mld_address, error);
	return error_set(error, -EINVAL,
			 "\"%.60s\": expected igmp=, mld=, querier=, unknown=, address=, "
			 "mld-address=, igmp-version=, mld-version=, robustness=, query-interval=, "
			 "response-interval=, last-member-interval=, groups=, port-groups=, "
			 "sources=, port-sources= or group-sources=",
			 word);
}

int snooping_settings_check(const struct snooping_settings *settings, struct error *error)
{
	if (settings->response_interval >= settings->query_interval)
		return error_set(
			error, -EINVAL,
			"response-interval=%llu: expected less than the query interval, "
			"which is %llu seconds",
			(unsigned long long)(settings->response_interval / SNOOPING_SECOND),
			(unsigned long long)(settings->query_interval / SNOOPING_SECOND));
	return 0;
}

/* ---- Of a port ---- */

static const char *const router_names[] = {
	[SNOOPING_ROUTER_AUTO] = "auto",
	[SNOOPING_ROUTER_ALWAYS] = "always",
	[SNOOPING_ROUTER_NEVER] = "never",
};

const char *snooping_router_name(enum snooping_router router)
{
	return router_names[router];
}

int snooping_port_settings_set(struct snooping_port_settings *settings, const char *word,
			       struct error *error)
{
	const char *value;
	uint64_t number = 0;

	if ((value = text_behind(word, "router"))) {
		for (size_t i = 0; i < ARRAY_SIZE(router_names); i++)
			if (!strcmp(value, router_names[i])) {
				settings->router = (uint8_t)i;
				return 0;
			}
		return error_set(error, -EINVAL, "%.60s: expected auto, always or never", word);
	}
	if ((value = text_behind(word, "fast-leave")))
		return parse_either(word, value, "on", "off", &settings->fast_leave, error);
	if ((value = text_behind(word, "groups"))) {
		if (strcmp(value, "none") != 0 &&
		    parse_amount(word, value, 1, GROUPS_MOST, &number, error))
			return -EINVAL;
		settings->groups = (unsigned)number;
		return 0;
	}
	return error_set(error, -EINVAL,
			 "\"%.60s\": expected router=, fast-leave= or groups=", word);
}
