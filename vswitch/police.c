/* SPDX-License-Identifier: BSD-2-Clause */
/* See police.h. */
#include "vswitch/police.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"

#define SECOND      1000000000
#define LEAST_BURST (1514 * 8u) /* bits: a packet */

/* A number with K, M or G, then perhaps "bit", or `p`; a bare number is neither. Where it ends, or NULL. */
static const char *parse_tokens(const char *text, uint64_t *tokens, bool *packets)
{
	static const char units[] = "KMG";
	unsigned long long value;
	char *end;
	const char *unit;

	if (!isdigit((unsigned char)*text))
		return NULL;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || value > POLICE_RATE_MOST)
		return NULL;
	unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
	/* Never past what a number holds: it is at most POLICE_RATE_MOST before each step. */
	for (const char *at = units; unit && at <= unit && value <= POLICE_RATE_MOST; at++)
		value *= 1000;
	end += unit != NULL;
	*packets = *end == 'p';
	*tokens = value;
	if (!strncmp(end, "bit", 3))
		end += 3;
	else if (*packets)
		end++;
	else if (!unit)
		return NULL;
	return value && value <= POLICE_RATE_MOST ? end : NULL;
}

int police_parse(struct police *police, const char *text, struct error *error)
{
	struct police made = { 0 };
	const char *end = parse_tokens(text, &made.rate, &made.packets);
	bool same = made.packets;

	if (end && *end == '/')
		end = parse_tokens(end + 1, &made.burst, &same);
	if (!end || *end || same != made.packets)
		return error_set(
			error, -EINVAL,
			"rate \"%.40s\": expected RATE or RATE/BURST, both in bits (10M/1M, "
			"500bit) or "
			"both in packets (1000p/50p)",
			text);
	if (!made.burst)
		made.burst = MAX(made.rate / 10, made.packets ? 1u : (uint64_t)LEAST_BURST);
	made.credit = (__int128)made.burst * SECOND;
	*police = made;
	return 0;
}

static void describe_tokens(uint64_t tokens, bool packets, char text[POLICE_TEXT / 2])
{
	static const char *const units[] = { "", "K", "M", "G" };
	unsigned unit = 0;

	while (unit < 3 && tokens % 1000 == 0) {
		tokens /= 1000;
		unit++;
	}
	snprintf(text, POLICE_TEXT / 2, "%llu%s%s", (unsigned long long)tokens, units[unit],
		 packets ? "p"
		 : unit  ? ""
			 : "bit");
}

void police_describe(const struct police *police, char text[POLICE_TEXT])
{
	char rate[POLICE_TEXT / 2], burst[POLICE_TEXT / 2];

	describe_tokens(police->rate, police->packets, rate);
	describe_tokens(police->burst, police->packets, burst);
	snprintf(text, POLICE_TEXT, "%s/%s", rate, burst);
}

bool police_allows(struct police *police, uint64_t now, uint64_t packets, uint64_t bits)
{
	__int128 full = (__int128)police->burst * SECOND;
	__int128 cost = (__int128)(police->packets ? packets : bits) * SECOND;

	if (!police->rate)
		return true;
	if (now > police->filled) {
		police->credit += (__int128)(now - police->filled) * police->rate;
		police->credit = MIN(police->credit, full);
		police->filled = now;
	}
	if (police->credit < MIN(cost, full))
		return false;
	police->credit -= cost;
	return true;
}
