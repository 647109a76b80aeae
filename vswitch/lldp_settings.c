/* SPDX-License-Identifier: BSD-2-Clause */
/* The settings of LLDP; see lldp_settings.h. */
#include "vswitch/lldp_settings.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"
#include "util/number.h"
#include "vswitch/mac_table.h"

static const char *const mode_names[] = {
	[LLDP_UNSAID] = "default",  [LLDP_OFF] = "off",   [LLDP_SEND] = "send",
	[LLDP_RECEIVE] = "receive", [LLDP_BOTH] = "both",
};

const char *lldp_mode_name(uint8_t mode)
{
	return mode_names[mode];
}

uint16_t lldp_settings_ttl(const struct lldp_settings *settings)
{
	uint32_t ttl = (uint32_t)settings->interval * settings->hold + 1;

	return (uint16_t)MIN(ttl, (uint32_t)UINT16_MAX);
}

static void set_text(struct lldp_text *text, const char *from)
{
	*text = (struct lldp_text){ .there = *from != '\0', .length = (uint8_t)strlen(from) };
	memcpy(text->bytes, from, text->length);
}

void lldp_settings_init(struct lldp_settings *settings, const char *name, uint64_t chassis)
{
	*settings = (struct lldp_settings){
		.mode = LLDP_OFF, .interval = 30, .hold = 4, .fast = 4, .chassis = chassis
	};
	set_text(&settings->name, name);
	set_text(&settings->description, "tenon switch");
}

/* The value behind "key=", if the word is of that key. */
static const char *lldp_value(const char *word, const char *key)
{
	size_t length = strlen(key);

	return !strncmp(word, key, length) && word[length] == '=' ? word + length + 1 : NULL;
}

static int parse_text(const char *word, const char *value, struct lldp_text *out,
		      struct error *error)
{
	if (strlen(value) > LLDP_TEXT_MAX)
		return error_set(error, -EINVAL, "%.60s...: %zu bytes: expected at most %d", word,
				 strlen(value), LLDP_TEXT_MAX);
	set_text(out, value);
	return 0;
}

static int parse_mode(const char *word, const char *value, bool of_port, uint8_t *out,
		      struct error *error)
{
	for (unsigned i = of_port ? LLDP_UNSAID : LLDP_OFF; i < ARRAY_SIZE(mode_names); i++)
		if (!strcmp(value, mode_names[i])) {
			*out = (uint8_t)i;
			return 0;
		}
	return error_set(error, -EINVAL, "%.60s: expected both, send, receive%s", word,
			 of_port ? ", off or default" : " or off");
}

static int parse_management(const char *word, const char *value, struct lldp_address *out,
			    struct error *error)
{
	struct lldp_address address = { 0 };

	if (inet_pton(AF_INET, value, address.bytes) == 1) {
		address.kind = LLDP_ADDRESS_IPV4;
		address.length = 4;
	} else if (inet_pton(AF_INET6, value, address.bytes) == 1) {
		address.kind = LLDP_ADDRESS_IPV6;
		address.length = 16;
	} else if (strcmp(value, "none") != 0) {
		return error_set(error, -EINVAL, "%.60s: expected an IPv4 or IPv6 address, or none",
				 word);
	}
	*out = address;
	return 0;
}

static int parse_chassis(const char *word, const char *value, uint64_t *out, struct error *error)
{
	uint64_t address;

	if (!mac_parse(value, &address) || !mac_is_station(address))
		return error_set(error, -EINVAL, "%.60s: expected a station's MAC address", word);
	*out = address;
	return 0;
}

static int parse_count(const char *word, const char *value, uint64_t most, uint16_t *out,
		       struct error *error)
{
	uint64_t number;

	if (number_parse(value, 1, most, &number, error)) {
		error_prefix(error, "%.60s", word);
		return -EINVAL;
	}
	*out = (uint16_t)number;
	return 0;
}

int lldp_settings_set(struct lldp_settings *settings, const char *word, struct error *error)
{
	uint16_t number;
	const char *value;
	int rc;

	if ((value = lldp_value(word, "mode")))
		return parse_mode(word, value, false, &settings->mode, error);
	if ((value = lldp_value(word, "interval")))
		return parse_count(word, value, 3600, &settings->interval, error);
	if ((value = lldp_value(word, "hold"))) {
		rc = parse_count(word, value, 100, &number, error);
		settings->hold = rc ? settings->hold : (uint8_t)number;
		return rc;
	}
	if ((value = lldp_value(word, "fast"))) {
		rc = parse_count(word, value, 8, &number, error);
		settings->fast = rc ? settings->fast : (uint8_t)number;
		return rc;
	}
	if ((value = lldp_value(word, "chassis")))
		return parse_chassis(word, value, &settings->chassis, error);
	if ((value = lldp_value(word, "name")))
		return parse_text(word, value, &settings->name, error);
	if ((value = lldp_value(word, "description")))
		return parse_text(word, value, &settings->description, error);
	if ((value = lldp_value(word, "management")))
		return parse_management(word, value, &settings->management, error);
	return error_set(error, -EINVAL,
			 "\"%.60s\": expected mode=, interval=, hold=, fast=, chassis=, name=, "
			 "description= or management=",
			 word);
}

int lldp_port_settings_set(struct lldp_port_settings *settings, const char *word,
			   struct error *error)
{
	const char *value;

	if ((value = lldp_value(word, "mode")))
		return parse_mode(word, value, true, &settings->mode, error);
	if ((value = lldp_value(word, "description")))
		return parse_text(word, value, &settings->description, error);
	return error_set(error, -EINVAL, "\"%.60s\": expected mode= or description=", word);
}
