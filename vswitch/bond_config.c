/* SPDX-License-Identifier: BSD-2-Clause */
/* See bond_config.h. */
#include "vswitch/bond_config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"
#include "vswitch/lacp.h"
#include "vswitch/mac_table.h"

static const char *const modes[] = {
	[BOND_LACP] = "lacp", [BOND_STATIC] = "static", [BOND_ACTIVE_BACKUP] = "active-backup"
};
static const char *const hashes[] = { [BOND_LAYER2] = "layer2",
				      [BOND_LAYER23] = "layer2+3",
				      [BOND_LAYER34] = "layer3+4",
				      [BOND_VLAN_SOURCE] = "vlan+srcmac" };
static const char *const activities[] = { "active", "passive" };
static const char *const rates[] = { "slow", "fast" };
static const char *const choices[] = { "no", "yes" };

/* Words of a list; the first is what holds if nothing was said. */
static const struct {
	const char *key;
	const char *const *names;
	unsigned count;
	size_t at;
} choice_words[] = {
	{ "bond-mode", modes, ARRAY_SIZE(modes), offsetof(struct bond_config, mode) },
	{ "bond-hash", hashes, ARRAY_SIZE(hashes), offsetof(struct bond_config, hash) },
	{ "bond-lacp", activities, 2, offsetof(struct bond_config, passive) },
	{ "bond-rate", rates, 2, offsetof(struct bond_config, fast) },
	{ "bond-fallback", choices, 2, offsetof(struct bond_config, fallback) },
};

static const struct {
	const char *key;
	size_t at;
} number_words[] = {
	{ "bond-priority", offsetof(struct bond_config, priority) },
	{ "bond-key", offsetof(struct bond_config, key) },
	{ "bond-system-priority", offsetof(struct bond_config, system_priority) },
	{ "bond-updelay", offsetof(struct bond_config, up_delay_ms) },
	{ "bond-downdelay", offsetof(struct bond_config, down_delay_ms) },
};

static const struct {
	const char *key;
	size_t at;
} name_words[] = {
	{ "bond", offsetof(struct bond_config, of) },
	{ "bond-primary", offsetof(struct bond_config, primary) },
};

_Static_assert(sizeof(bool) == 1, "choices are set as bytes");

const char *bond_mode_name(enum bond_mode mode)
{
	return modes[mode];
}

const char *bond_hash_name(enum bond_hash_kind kind)
{
	return hashes[kind];
}

/* The value behind "key=", if the word is of that key. */
static const char *value_for(const char *word, const char *key)
{
	size_t length = strlen(key);

	return !strncmp(word, key, length) && word[length] == '=' ? word + length + 1 : NULL;
}

static bool is_nothing(const char *value)
{
	return !*value || !strcmp(value, "none");
}

static int take_bond_number(const char *key, const char *value, unsigned most, unsigned *number,
			    struct error *error)
{
	unsigned long parsed;
	char *end;

	*number = 0;
	if (is_nothing(value))
		return 0;
	errno = 0;
	parsed = strtoul(value, &end, 10);
	if (*value < '0' || *value > '9' || *end || errno || !parsed || parsed > most)
		return error_set(error, -EINVAL,
				 "%s=%.40s: expected a number from 1 to %u, or \"none\"", key,
				 value, most);
	*number = (unsigned)parsed;
	return 0;
}

static int take_bond_choice(uint8_t *chosen, size_t word, const char *value, struct error *error)
{
	char list[100] = "";
	size_t used = 0;

	for (unsigned i = 0; i < choice_words[word].count; i++) {
		if (!strcmp(value, choice_words[word].names[i]) || (is_nothing(value) && !i)) {
			*chosen = (uint8_t)i;
			return 0;
		}
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", used ? ", " : "",
					 choice_words[word].names[i]);
	}
	return error_set(error, -EINVAL, "%s=%.40s: expected one of %s", choice_words[word].key,
			 value, list);
}

static int take_bond_name(char name[BOND_NAME_MAX], const char *key, const char *value,
			  struct error *error)
{
	if (is_nothing(value))
		value = "";
	if (strlen(value) >= BOND_NAME_MAX || value[strcspn(value, ",/ \t\n")])
		return error_set(error, -EINVAL, "%s=%.40s: expected the name of a port", key,
				 value);
	memset(name, 0, BOND_NAME_MAX);
	memcpy(name, value, strlen(value));
	return 0;
}

static int take_system(uint64_t *system, const char *value, struct error *error)
{
	uint64_t address = 0;

	if (!is_nothing(value) && (!mac_parse(value, &address) || !mac_is_station(address)))
		return error_set(error, -EINVAL,
				 "bond-system=%.40s: expected the address of a station, as in "
				 "02:00:00:00:00:01",
				 value);
	*system = address;
	return 0;
}

bool bond_config_knows(const char *word)
{
	return !strncmp(word, "bond-", 5) || !strncmp(word, "bond=", 5);
}

int bond_config_set(struct bond_config *config, const char *word, struct error *error)
{
	const char *value;
	unsigned number;
	int rc;

	for (size_t i = 0; i < ARRAY_SIZE(choice_words); i++)
		if ((value = value_for(word, choice_words[i].key)))
			return take_bond_choice((uint8_t *)config + choice_words[i].at, i, value,
						error);
	for (size_t i = 0; i < ARRAY_SIZE(name_words); i++)
		if ((value = value_for(word, name_words[i].key)))
			return take_bond_name((char *)config + name_words[i].at, name_words[i].key,
					      value, error);
	for (size_t i = 0; i < ARRAY_SIZE(number_words); i++) {
		if (!(value = value_for(word, number_words[i].key)))
			continue;
		rc = take_bond_number(number_words[i].key, value, UINT16_MAX, &number, error);
		if (!rc)
			*(uint16_t *)(void *)((char *)config + number_words[i].at) =
				(uint16_t)number;
		return rc;
	}
	if ((value = value_for(word, "bond-min-links"))) {
		rc = take_bond_number("bond-min-links", value, BOND_LINKS_MAX, &number, error);
		if (!rc)
			config->min_links = (uint8_t)number;
		return rc;
	}
	if ((value = value_for(word, "bond-system")))
		return take_system(&config->system, value, error);
	return error_set(error, -EINVAL,
			 "\"%.60s\": expected bond=, bond-priority=, bond-mode=, bond-hash=, "
			 "bond-min-links=, bond-primary=, bond-updelay=, bond-downdelay=, "
			 "bond-lacp=, bond-rate=, bond-fallback=, "
			 "bond-key=, bond-system-priority= or bond-system=",
			 word);
}

bool bond_config_is_of_bond(const struct bond_config *config)
{
	return config->mode || config->hash || config->min_links || config->passive ||
	       config->fast || config->fallback || config->key || config->system_priority ||
	       config->up_delay_ms || config->down_delay_ms || config->system || config->primary[0];
}

void bond_config_describe(const struct bond_config *config, char *text, size_t size)
{
	size_t used = 0;
	char address[MAC_TEXT];

	text[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(name_words) && used < size; i++) {
		const char *name = (const char *)config + name_words[i].at;

		if (name[0])
			used += (size_t)snprintf(text + used, size - used, ",%s=%s",
						 name_words[i].key, name);
	}
	for (size_t i = 0; i < ARRAY_SIZE(choice_words) && used < size; i++) {
		uint8_t chosen = ((const uint8_t *)config)[choice_words[i].at];

		if (chosen)
			used += (size_t)snprintf(text + used, size - used, ",%s=%s",
						 choice_words[i].key,
						 choice_words[i].names[chosen]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(number_words) && used < size; i++) {
		uint16_t number = *(const uint16_t *)(const void *)((const char *)config +
								    number_words[i].at);

		if (number)
			used += (size_t)snprintf(text + used, size - used, ",%s=%u",
						 number_words[i].key, number);
	}
	if (config->min_links && used < size)
		used += (size_t)snprintf(text + used, size - used, ",bond-min-links=%u",
					 config->min_links);
	if (config->system && used < size)
		snprintf(text + used, size - used, ",bond-system=%s",
			 mac_format(config->system, address));
}

struct lacp_config bond_config_lacp(const struct bond_config *config, uint64_t mac, uint16_t key)
{
	return (struct lacp_config){
		.system_priority =
			config->system_priority ? config->system_priority : BOND_PRIORITY,
		.system = config->system ? config->system : mac,
		.key = config->key ? config->key : key,
		.passive = config->passive,
		.fast = config->fast,
		.fallback = config->fallback,
	};
}
