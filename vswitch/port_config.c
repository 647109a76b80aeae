/* SPDX-License-Identifier: BSD-2-Clause */
/* The words that decide about a port; see port_config.h. */
#include "vswitch/port_config.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "util/number.h"

#define STORM_MOST     100000000u
#define ADDRESSES_MOST 1000000u

static const char *const storm_names[] = {
	[PORT_STORM_BROADCAST] = "broadcast",
	[PORT_STORM_MULTICAST] = "multicast",
	[PORT_STORM_UNKNOWN] = "unknown",
};

static_assert(ARRAY_SIZE(storm_names) == PORT_STORM_COUNT, "each kind has a name");

const char *port_storm_name(enum port_storm kind)
{
	return storm_names[kind];
}

static bool is_none(const char *value)
{
	return !*value || !strcmp(value, "none");
}

/* A number in [least, most]; -EINVAL with `error` naming what it is of. */
static int parse_number(const char *key, const char *value, uint64_t least, uint64_t most,
			uint64_t *number, struct error *error)
{
	char *end;
	unsigned long long parsed;

	errno = 0;
	parsed = strtoull(value, &end, 10);
	if (*value < '0' || *value > '9' || *end || errno || parsed < least || parsed > most)
		return error_set(error, -EINVAL,
				 "%s=%.40s: expected a number from %llu to %llu, or \"none\"", key,
				 value, (unsigned long long)least, (unsigned long long)most);
	*number = parsed;
	return 0;
}

static int set_access(struct port_config *config, const char *value, struct error *error)
{
	uint64_t vlan = 0;

	if (!is_none(value) && parse_number("vlan", value, 1, VLAN_ID_MAX, &vlan, error))
		return -EINVAL;
	config->vlan = (struct vlan_port){ .kind = vlan ? VLAN_PORT_ACCESS : VLAN_PORT_ANY,
					   .untagged = (uint16_t)vlan,
					   .tag_type = config->vlan.tag_type };
	return 0;
}

static int set_customer(struct port_config *config, const char *value, struct error *error)
{
	uint64_t vlan;

	if (is_none(value))
		return set_access(config, value, error);
	if (parse_number("dot1q-tunnel", value, 1, VLAN_ID_MAX, &vlan, error))
		return -EINVAL;
	if (config->vlan.kind != VLAN_PORT_TUNNEL)
		config->vlan = (struct vlan_port){ .kind = VLAN_PORT_TUNNEL,
						   .tag_type = config->vlan.tag_type };
	config->vlan.untagged = (uint16_t)vlan;
	return 0;
}

static const struct {
	const char *name;
	uint16_t type;
} tag_types[] = {
	{ "802.1q", VLAN_TYPE },
	{ "802.1ad", VLAN_TYPE_S },
	{ "0x9100", VLAN_TYPE_OLD_S },
};

static int set_tag_type(struct port_config *config, const char *value, struct error *error)
{
	if (is_none(value)) {
		config->vlan.tag_type = 0;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(tag_types); i++)
		if (!strcmp(value, tag_types[i].name)) {
			config->vlan.tag_type = i ? tag_types[i].type : 0;
			return 0;
		}
	return error_set(error, -EINVAL,
			 "tag-type=%.40s: expected the word 802.1q for 0x8100, 802.1ad for 0x88a8, "
			 "or 0x9100",
			 value);
}

/* "10" or "20-29" */
static int add_range(const char *key, uint64_t least, uint64_t members[64], char *range,
		     struct error *error)
{
	char *dash = strchr(range, '-');
	uint64_t from, to;

	if (dash)
		*dash++ = '\0';
	if (parse_number(key, range, least, VLAN_ID_MAX, &from, error))
		return -EINVAL;
	to = from;
	if (dash && parse_number(key, dash, least, VLAN_ID_MAX, &to, error))
		return -EINVAL;
	if (to < from)
		return error_set(error, -EINVAL, "%s=%s-%s: it ends before it begins", key, range,
				 dash);
	for (; from <= to; from++)
		members[from / 64] |= 1ULL << from % 64;
	return 0;
}

/* "10+20-29" */
static int add_ranges(const char *key, uint64_t least, uint64_t members[64], const char *value,
		      struct error *error)
{
	CLEANUP_FREE char *copy = strdup(value);
	char *rest = copy, *range;

	if (!copy)
		return error_set(error, -ENOMEM, "%s: out of memory", key);
	while ((range = strsep(&rest, "+")))
		if (add_range(key, least, members, range, error))
			return -EINVAL;
	return 0;
}

static int set_trunk(struct port_config *config, const char *value, struct error *error)
{
	struct vlan_port vlan = { .kind = VLAN_PORT_TRUNK, .tag_type = config->vlan.tag_type };
	int rc;

	if (is_none(value))
		return set_access(config, value, error);
	rc = add_ranges("trunk", 1, vlan.members, strcmp(value, "all") ? value : "1-4094", error);
	if (rc)
		return rc;
	if (config->vlan.kind == VLAN_PORT_TRUNK)
		vlan.untagged = config->vlan.untagged;
	config->vlan = vlan;
	return 0;
}

static int set_customer_vlans(struct port_config *config, const char *value, struct error *error)
{
	struct vlan_port vlan = config->vlan;
	bool any = is_none(value) || !strcmp(value, "all");
	int rc = 0;

	if (vlan.kind != VLAN_PORT_TUNNEL)
		return any ? 0
			   : error_set(error, -EINVAL,
				       "cvlans=%.40s: the port is no customer's: dot1q-tunnel=... "
				       "comes first",
				       value);
	memset(vlan.members, 0, sizeof(vlan.members));
	vlan.listed = !any;
	if (!any)
		rc = add_ranges("cvlans", 0, vlan.members, value, error);
	if (!rc)
		config->vlan = vlan;
	return rc;
}

static int set_native(struct port_config *config, const char *value, struct error *error)
{
	uint64_t vlan = 0;

	if (config->vlan.kind != VLAN_PORT_TRUNK)
		return is_none(value) ? 0
				      : error_set(error, -EINVAL,
						  "native=%.40s: the port is no trunk: trunk=... "
						  "comes first",
						  value);
	if (!is_none(value) && parse_number("native", value, 1, VLAN_ID_MAX, &vlan, error))
		return -EINVAL;
	config->vlan.untagged = (uint16_t)vlan;
	return 0;
}

static int set_number(const char *key, const char *value, uint64_t most, uint32_t *number,
		      struct error *error)
{
	uint64_t parsed = 0;

	if (!is_none(value) && parse_number(key, value, 1, most, &parsed, error))
		return -EINVAL;
	*number = (uint32_t)parsed;
	return 0;
}

static int set_isolation(struct port_config *config, const char *value, struct error *error)
{
	uint32_t group;

	if (set_number("isolate", value, UINT16_MAX, &group, error))
		return -EINVAL;
	config->isolation = (uint16_t)group;
	return 0;
}

/* The value behind "key=", if the word is of that key. */
static const char *value_of(const char *word, const char *key)
{
	size_t length = strlen(key);

	return !strncmp(word, key, length) && word[length] == '=' ? word + length + 1 : NULL;
}

static int set_addresses(struct port_config *config, const char *value, struct error *error)
{
	return set_number("addresses", value, ADDRESSES_MOST, &config->addresses, error);
}

static int set_reserved(struct port_config *config, const char *value, struct error *error)
{
	int rc = reserved_parse(&config->reserved, value, error);

	if (rc)
		error_prefix(error, "reserved");
	return rc;
}

static int set_police(const char *key, struct police *police, const char *value,
		      struct error *error)
{
	if (is_none(value)) {
		memset(police, 0, sizeof(*police));
		return 0;
	}
	return police_parse(police, value, error) ? error_set(error, -EINVAL,
							      "%s=%.40s: expected RATE or "
							      "RATE/BURST, both in bits (10M/1M) "
							      "or both in packets (1000p/50p)",
							      key, value)
						  : 0;
}

static int set_police_in(struct port_config *config, const char *value, struct error *error)
{
	return set_police("police-in", &config->police[0], value, error);
}

static int set_police_out(struct port_config *config, const char *value, struct error *error)
{
	return set_police("police-out", &config->police[1], value, error);
}

static const struct {
	const char *key;
	int (*set)(struct port_config *config, const char *value, struct error *error);
} words[] = {
	{ "police-in", set_police_in },   { "police-out", set_police_out },
	{ "vlan", set_access },           { "trunk", set_trunk },
	{ "native", set_native },         { "isolate", set_isolation },
	{ "addresses", set_addresses },   { "reserved", set_reserved },
	{ "dot1q-tunnel", set_customer }, { "tag-type", set_tag_type },
	{ "cvlans", set_customer_vlans },
};

bool port_config_knows(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (value_of(word, words[i].key))
			return true;
	for (unsigned i = 0; i < PORT_STORM_COUNT; i++)
		if (value_of(word, storm_names[i]))
			return true;
	return rstp_port_config_knows(word) || bond_config_knows(word);
}

int port_config_agree(const char **said, const char *word, struct error *error)
{
	static const char *const kinds[] = { "vlan", "trunk", "dot1q-tunnel" };
	const char *value = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(kinds) && !value; i++)
		value = value_of(word, kinds[i]);
	if (!value)
		return 0;
	if (*said)
		return error_set(error, -EINVAL,
				 "%.60s behind %.60s: a port is one of vlan=, trunk= and "
				 "dot1q-tunnel=, and what takes one back (=none) comes first",
				 word, *said);
	if (!is_none(value))
		*said = word;
	return 0;
}

int port_config_set(struct port_config *config, const char *word, struct error *error)
{
	struct port_config changed = *config;
	const char *value;
	int rc = -ENOENT;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if ((value = value_of(word, words[i].key)))
			rc = words[i].set(&changed, value, error);
	for (unsigned i = 0; i < PORT_STORM_COUNT; i++)
		if ((value = value_of(word, storm_names[i])))
			rc = set_number(storm_names[i], value, STORM_MOST, &changed.storm[i],
					error);
	if (rstp_port_config_knows(word))
		rc = rstp_port_config_set(&changed.stp, word, error);
	if (bond_config_knows(word))
		rc = bond_config_set(&changed.bond, word, error);
	if (rc == -ENOENT)
		return error_set(
			error, -EINVAL,
			"\"%.60s\": expected vlan=, trunk=, native=, dot1q-tunnel=, cvlans=, "
			"tag-type=, isolate=, "
			"addresses=, broadcast=, multicast=, unknown=, police-in=, "
			"police-out=, shape-in=, shape-out=, reserved=, stp...= or bond...=",
			word);
	if (!rc)
		*config = changed;
	return rc;
}

/* "trunk=10+20-29" */
static void describe_members(const char *key, const uint64_t members[64], char *text, size_t size)
{
	size_t used = (size_t)snprintf(text, size, "%s=", key);
	const char *before = "";

	for (unsigned vlan = 0; vlan <= VLAN_ID_MAX && used < size; vlan++) {
		unsigned last = vlan;

		if (!vlan_in_list(members, (uint16_t)vlan))
			continue;
		while (last < VLAN_ID_MAX && vlan_in_list(members, (uint16_t)(last + 1)))
			last++;
		if (last > vlan)
			used += (size_t)snprintf(text + used, size - used, "%s%u-%u", before, vlan,
						 last);
		else
			used += (size_t)snprintf(text + used, size - used, "%s%u", before, vlan);
		before = "+";
		vlan = last;
	}
}

static void add_word(char *text, size_t size, const char *key, uint64_t value)
{
	size_t used = strlen(text);

	if (value)
		snprintf(text + used, size - used, "%s%s=%llu", used ? "," : "", key,
			 (unsigned long long)value);
}

static void add_tag_type(char *text, size_t size, uint16_t type)
{
	size_t used = strlen(text);

	for (size_t i = 1; i < ARRAY_SIZE(tag_types); i++)
		if (tag_types[i].type == type)
			snprintf(text + used, size - used, "%stag-type=%s", used ? "," : "",
				 tag_types[i].name);
}

static void add_reserved(char *text, size_t size, const struct reserved_choices *choices)
{
	size_t used = strlen(text);
	char list[RESERVED_TEXT];

	reserved_describe(choices, ':', '+', list, sizeof(list));
	if (list[0])
		snprintf(text + used, size - used, "%sreserved=%s", used ? "," : "", list);
}

static void add_police(char *text, size_t size, const char *key, const struct police *police)
{
	size_t used = strlen(text);
	char value[POLICE_TEXT];

	if (!police->rate)
		return;
	police_describe(police, value);
	snprintf(text + used, size - used, "%s%s=%s", used ? "," : "", key, value);
}

/* Of a list with a ',' before each. */
static void add_list(char *text, size_t size, const char *list)
{
	snprintf(text + strlen(text), size - strlen(text), "%s", text[0] ? list : list + !!list[0]);
}

void port_config_describe(const struct port_config *config, char *text, size_t size)
{
	char list[BOND_CONFIG_TEXT];

	text[0] = '\0';
	if (config->vlan.kind == VLAN_PORT_ACCESS)
		add_word(text, size, "vlan", config->vlan.untagged);
	if (config->vlan.kind == VLAN_PORT_TRUNK) {
		describe_members("trunk", config->vlan.members, text, size);
		add_word(text, size, "native", config->vlan.untagged);
	}
	if (config->vlan.kind == VLAN_PORT_TUNNEL)
		add_word(text, size, "dot1q-tunnel", config->vlan.untagged);
	if (config->vlan.listed)
		describe_members(",cvlans", config->vlan.members, text + strlen(text),
				 size - strlen(text));
	add_tag_type(text, size, config->vlan.tag_type);
	add_word(text, size, "isolate", config->isolation);
	add_word(text, size, "addresses", config->addresses);
	for (unsigned i = 0; i < PORT_STORM_COUNT; i++)
		add_word(text, size, storm_names[i], config->storm[i]);
	add_police(text, size, "police-in", &config->police[0]);
	add_police(text, size, "police-out", &config->police[1]);
	add_reserved(text, size, &config->reserved);
	rstp_port_config_describe(&config->stp, list, sizeof(list));
	add_list(text, size, list);
	bond_config_describe(&config->bond, list, sizeof(list));
	add_list(text, size, list);
}
