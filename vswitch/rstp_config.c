/* SPDX-License-Identifier: BSD-2-Clause */
/* The words that decide about a spanning tree; see rstp.h. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"
#include "vswitch/mac_table.h"
#include "vswitch/rstp.h"

#define COST_MOST 200000000u /* 17.14 */

struct rstp_config rstp_config_default(void)
{
	return (struct rstp_config){
		.priority = 32768, .hello = 2, .max_age = 20, .forward_delay = 15, .tx_hold = 6
	};
}

/* The value of KEY=VALUE, if the word is of that key. */
static const char *value_behind(const char *word, const char *key)
{
	size_t length = strlen(key);

	return !strncmp(word, key, length) && word[length] == '=' ? word + length + 1 : NULL;
}

static int take_number(const char *word, const char *value, unsigned least, unsigned most,
		       unsigned step, unsigned *number, struct error *error)
{
	char *end;
	unsigned long parsed;

	errno = 0;
	parsed = strtoul(value, &end, 10);
	if (*value < '0' || *value > '9' || *end || errno || parsed < least || parsed > most)
		return error_set(error, -EINVAL, "%.60s: expected a number from %u to %u", word,
				 least, most);
	if (parsed % step)
		return error_set(error, -EINVAL, "%.60s: expected a multiple of %u", word, step);
	*number = (unsigned)parsed;
	return 0;
}

/* One of `count` words; its place. */
static int take_choice(const char *word, const char *value, const char *const *choices,
		       unsigned count, unsigned *chosen, struct error *error)
{
	char text[80] = "";

	for (unsigned i = 0; i < count; i++) {
		if (!strcmp(value, choices[i])) {
			*chosen = i;
			return 0;
		}
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s",
			 !i               ? ""
			 : i + 1 == count ? " or "
					  : ", ",
			 choices[i]);
	}
	return error_set(error, -EINVAL, "%.60s: expected %s", word, text);
}

/* ---- Of the bridge ---- */

static int take_address(struct rstp_config *config, const char *word, const char *value,
			struct error *error)
{
	uint64_t address;

	if (!mac_parse(value, &address) || !mac_is_station(address))
		return error_set(error, -EINVAL,
				 "%.60s: expected a station's address as in 02:00:5e:10:00:01",
				 word);
	config->address = address;
	return 0;
}

int rstp_config_set(struct rstp_config *config, const char *word, struct error *error)
{
	static const char *const modes[] = { "rstp", "stp" };
	static const struct {
		const char *key;
		uint8_t least, most;
		size_t at;
	} numbers[] = {
		{ "hello", 1, 10, offsetof(struct rstp_config, hello) },
		{ "max-age", 6, 40, offsetof(struct rstp_config, max_age) },
		{ "forward-delay", 4, 30, offsetof(struct rstp_config, forward_delay) },
		{ "tx-hold", 1, 10, offsetof(struct rstp_config, tx_hold) },
	};
	const char *value;
	unsigned number;
	int rc;

	if ((value = value_behind(word, "mode"))) {
		rc = take_choice(word, value, modes, ARRAY_SIZE(modes), &number, error);
		config->legacy = rc ? config->legacy : number;
		return rc;
	}
	if ((value = value_behind(word, "address")))
		return take_address(config, word, value, error);
	if ((value = value_behind(word, "priority"))) {
		rc = take_number(word, value, 0, 61440, 4096, &number, error);
		config->priority = rc ? config->priority : (uint16_t)number;
		return rc;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(numbers); i++) {
		if (!(value = value_behind(word, numbers[i].key)))
			continue;
		rc = take_number(word, value, numbers[i].least, numbers[i].most, 1, &number, error);
		if (!rc)
			((uint8_t *)config)[numbers[i].at] = (uint8_t)number;
		return rc;
	}
	return error_set(error, -EINVAL,
			 "\"%.60s\": expected mode=, priority=, hello=, max-age=, forward-delay=, "
			 "tx-hold= or address=",
			 word);
}

int rstp_config_check(const struct rstp_config *config, struct error *error)
{
	if (2 * (config->forward_delay - 1) < config->max_age)
		return error_set(error, -EINVAL,
				 "max-age=%u with forward-delay=%u: expected at most twice one "
				 "less than the "
				 "delay, %u, or old information outlives the wait",
				 config->max_age, config->forward_delay,
				 2 * (config->forward_delay - 1));
	if (config->max_age < 2 * (config->hello + 1))
		return error_set(
			error, -EINVAL,
			"max-age=%u with hello=%u: expected at least twice one more than the "
			"hello time, %u, or one lost message is taken for a lost bridge",
			config->max_age, config->hello, 2 * (config->hello + 1));
	if (!config->legacy && config->hello > 2)
		return error_set(error, -EINVAL,
				 "hello=%u: expected 1 or 2: longer ones are of mode=stp",
				 config->hello);
	return 0;
}

/* ---- Of ports ---- */

static const char *const choices[] = {
	[RSTP_AUTO] = "auto",
	[RSTP_YES] = "yes",
	[RSTP_NO] = "no",
};
static const char *const guards[] = { "no", "yes" };
static const char *const groups[] = {
	[RSTP_GROUP_AUTO] = "auto",
	[RSTP_GROUP_BRIDGE] = "bridge",
	[RSTP_GROUP_PROVIDER] = "provider",
};
static const char *const parts[] = { "on", "off" };

static const struct {
	const char *key;
	const char *const *choices;
	unsigned count;
	size_t at;
} port_words[] = {
	{ "stp-edge", choices, 3, offsetof(struct rstp_port_config, edge) },
	{ "stp-p2p", choices, 3, offsetof(struct rstp_port_config, point_to_point) },
	{ "stp-bpdu-guard", guards, 2, offsetof(struct rstp_port_config, bpdu_guard) },
	{ "stp-root-guard", guards, 2, offsetof(struct rstp_port_config, root_guard) },
	{ "stp-group", groups, 3, offsetof(struct rstp_port_config, group) },
	{ "stp", parts, 2, offsetof(struct rstp_port_config, off) },
};

static_assert(sizeof(bool) == sizeof(uint8_t), "both are set as bytes");

bool rstp_port_config_knows(const char *word)
{
	for (unsigned i = 0; i < ARRAY_SIZE(port_words); i++)
		if (value_behind(word, port_words[i].key))
			return true;
	return value_behind(word, "stp-cost") || value_behind(word, "stp-priority");
}

static bool is_taken_back(const char *value)
{
	return !*value || !strcmp(value, "none");
}

int rstp_port_config_set(struct rstp_port_config *config, const char *word, struct error *error)
{
	const char *value;
	unsigned number = 0;
	int rc = 0;

	if ((value = value_behind(word, "stp-cost"))) {
		if (!is_taken_back(value))
			rc = take_number(word, value, 1, COST_MOST, 1, &number, error);
		config->cost = rc ? config->cost : number;
		return rc;
	}
	if ((value = value_behind(word, "stp-priority"))) {
		if (!is_taken_back(value))
			rc = take_number(word, value, 0, 240, 16, &number, error);
		if (!rc)
			config->priority_steps =
				is_taken_back(value) ? 0 : (uint8_t)(number / 16 + 1);
		return rc;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(port_words); i++) {
		if (!(value = value_behind(word, port_words[i].key)))
			continue;
		if (!is_taken_back(value))
			rc = take_choice(word, value, port_words[i].choices, port_words[i].count,
					 &number, error);
		if (!rc)
			((uint8_t *)config)[port_words[i].at] = (uint8_t)number;
		return rc;
	}
	return error_set(error, -EINVAL,
			 "\"%.60s\": expected stp=, stp-cost=, stp-priority=, stp-edge=, stp-p2p=, "
			 "stp-bpdu-guard=, stp-root-guard= or stp-group=",
			 word);
}

void rstp_port_config_describe(const struct rstp_port_config *config, char *text, size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	if (config->cost)
		used += (size_t)snprintf(text + used, size - used, ",stp-cost=%u", config->cost);
	if (config->priority_steps && used < size)
		used += (size_t)snprintf(text + used, size - used, ",stp-priority=%u",
					 (config->priority_steps - 1u) * 16);
	for (unsigned i = 0; i < ARRAY_SIZE(port_words) && used < size; i++) {
		uint8_t chosen = ((const uint8_t *)config)[port_words[i].at];

		if (chosen)
			used += (size_t)snprintf(text + used, size - used, ",%s=%s",
						 port_words[i].key, port_words[i].choices[chosen]);
	}
}

/* ---- Cost ---- */

/* Table 8-5 of 802.1D-1998, whose costs have 16 bits. */
static uint32_t old_cost(uint64_t speed)
{
	static const struct {
		uint64_t speed;
		uint32_t cost;
	} costs[] = { { 10000000000, 2 },
		      { 1000000000, 4 },
		      { 100000000, 19 },
		      { 10000000, 100 },
		      { 4000000, 250 } };

	for (unsigned i = 0; i < ARRAY_SIZE(costs); i++)
		if (speed >= costs[i].speed)
			return costs[i].cost;
	return 65535;
}

uint32_t rstp_cost_of_speed(uint64_t speed, bool legacy)
{
	uint64_t cost = speed ? 20000000000000ULL / speed : COST_MOST;

	if (legacy)
		return old_cost(speed);
	return (uint32_t)(cost < 1 ? 1 : MIN(cost, (uint64_t)COST_MOST));
}
