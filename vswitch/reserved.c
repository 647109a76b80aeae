/* SPDX-License-Identifier: BSD-2-Clause */
/* See reserved.h. */
#include "vswitch/reserved.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "vswitch/vlan.h"

#define TYPE_LEAST 0x0600 /* below it is a length, and LLC follows: IEEE 802.3-2022, 3.2.6 */
#define LLC_STP    0x42

/* Which of the sixteen are in table 8-1 and not in 8-2: a provider bridge passes on what customers' bridges say. */
#define OF_CUSTOMERS 0xb801u

/* What tells them: EtherType 0: LLC's address of spanning trees; and the first byte in a range, where `most` is not 0. */
static const struct {
	const char *name;
	uint16_t type;
	uint8_t least, most;
} protocols[] = {
	[RESERVED_STP] = { "stp", 0, 0, 0 },          [RESERVED_LLDP] = { "lldp", 0x88cc, 0, 0 },
	[RESERVED_LACP] = { "lacp", 0x8809, 1, 2 }, /* and its markers */
	[RESERVED_OAM] = { "oam", 0x8809, 3, 3 },     [RESERVED_EAPOL] = { "eapol", 0x888e, 0, 0 },
	[RESERVED_PAUSE] = { "pause", 0x8808, 0, 0 }, [RESERVED_PTP] = { "ptp", 0x88f7, 0, 0 },
};

static_assert(ARRAY_SIZE(protocols) == RESERVED_PROTOCOLS, "each protocol has a name");

static const char *const choice_names[] = {
	[RESERVED_UNSAID] = "none",
	[RESERVED_HANDLE] = "handle",
	[RESERVED_DROP] = "drop",
	[RESERVED_FLOOD] = "flood",
};

/* ---- Words ---- */

static int parse_choice(const char *text, uint8_t *choice)
{
	for (unsigned i = 0; i < ARRAY_SIZE(choice_names); i++)
		if (text && !strcmp(text, choice_names[i])) {
			*choice = (uint8_t)i;
			return 0;
		}
	return -EINVAL;
}

static bool parse_address(const char *text, unsigned *address)
{
	char *end;

	if (strlen(text) != 2 || text[0] != '0')
		return false;
	*address = (unsigned)strtoul(text + 1, &end, 16);
	return !*end && *address < RESERVED_ADDRESSES;
}

/* Sets the bit of what it is in *said. */
static int set_one(struct reserved_choices *choices, const char *name, uint8_t choice,
		   unsigned *said)
{
	unsigned address;

	if (!strcmp(name, "all")) {
		memset(choices->of_address, choice, sizeof(choices->of_address));
		memset(choices->of_protocol, RESERVED_UNSAID, sizeof(choices->of_protocol));
		return 0;
	}
	if (parse_address(name, &address)) {
		choices->of_address[address] = choice;
		*said |= 1u << address;
		return 0;
	}
	for (unsigned i = 0; i < RESERVED_PROTOCOLS; i++)
		if (!strcmp(name, protocols[i].name)) {
			choices->of_protocol[i] = choice;
			*said |= 1u << (RESERVED_ADDRESSES + i);
			return 0;
		}
	return -EINVAL;
}

int reserved_parse(struct reserved_choices *choices, const char *text, struct error *error)
{
	struct reserved_choices changed = *choices;
	CLEANUP_FREE char *copy = strdup(text);
	char *rest = copy, *value;
	unsigned said = 0;

	if (!copy)
		return error_set(error, -ENOMEM, "reserved addresses: out of memory");
	if (!*text || !strcmp(text, "none")) {
		*choices = (struct reserved_choices){ 0 };
		return 0;
	}
	while ((value = strsep(&rest, ",+"))) {
		bool first = value == copy;
		const char *name = strsep(&value, "=:");
		unsigned before = said;
		uint8_t choice;

		if (parse_choice(value, &choice))
			return error_set(error, -EINVAL,
					 "%.40s%s%.40s: expected handle, drop, flood or none", name,
					 value ? "=" : "", value ? value : "");
		/* It takes back what was chosen before, which nobody means who says that beside it. */
		if (!first && !strcmp(name, "all"))
			return error_set(error, -EINVAL,
					 "%.80s: all comes first, and what is otherwise behind it",
					 text);
		if (set_one(&changed, name, choice, &said))
			return error_set(error, -EINVAL,
					 "\"%.40s\": expected stp, lldp, lacp, oam, eapol, pause, "
					 "ptp, the last byte of an address (00 to 0f) or all",
					 name);
		if (said == before && strcmp(name, "all") != 0)
			return error_set(error, -EINVAL,
					 "%.80s: %s is said twice: expected one choice for it",
					 text, name);
	}
	*choices = changed;
	return 0;
}

static size_t add_choice(char *text, size_t size, size_t used, const char *name, char is,
			 char between, uint8_t choice)
{
	if (choice == RESERVED_UNSAID || used >= size)
		return used;
	return used + (size_t)snprintf(text + used, size - used, "%.1s%s%c%s",
				       used ? (char[]){ between, '\0' } : "", name, is,
				       choice_names[choice]);
}

void reserved_describe(const struct reserved_choices *choices, char is, char between, char *text,
		       size_t size)
{
	const uint8_t *of = choices->of_address;
	size_t used = 0;
	bool all = of[0] != RESERVED_UNSAID;

	text[0] = '\0';
	for (unsigned i = 0; i < RESERVED_ADDRESSES; i++)
		all &= of[i] == of[0];
	if (all)
		used = add_choice(text, size, used, "all", is, between, of[0]);
	for (unsigned i = 0; !all && i < RESERVED_ADDRESSES; i++) {
		char name[3];

		snprintf(name, sizeof(name), "0%x", i & 0xf);
		used = add_choice(text, size, used, name, is, between, of[i]);
	}
	for (unsigned i = 0; i < RESERVED_PROTOCOLS; i++)
		used = add_choice(text, size, used, protocols[i].name, is, between,
				  choices->of_protocol[i]);
}

/* ---- Choosing ---- */

static unsigned protocol_of(const struct frame *frame)
{
	const uint8_t *head = frame->pieces[0].iov_base;
	size_t at = VLAN_AT;
	uint16_t type = get_be16(head + at);
	unsigned i;
	uint8_t first;

	if ((type == VLAN_TYPE || type == VLAN_TYPE_S || type == VLAN_TYPE_OLD_S) &&
	    frame->length >= VIRTIO_NET_FRAME_MIN + VLAN_TAG_SIZE) {
		at += VLAN_TAG_SIZE;
		type = get_be16(head + at);
	}
	first = frame->length > at + 2 ? head[at + 2] : 0;
	if (type < TYPE_LEAST)
		return first == LLC_STP ? RESERVED_STP : RESERVED_PROTOCOLS;
	for (i = 0; i < RESERVED_PROTOCOLS; i++)
		if (protocols[i].type == type &&
		    (!protocols[i].most ||
		     (first >= protocols[i].least && first <= protocols[i].most)))
			break;
	return i;
}

static enum reserved_choice choice_of(const struct reserved_choices *choices, unsigned protocol,
				      unsigned address)
{
	if (protocol < RESERVED_PROTOCOLS && choices->of_protocol[protocol] != RESERVED_UNSAID)
		return choices->of_protocol[protocol];
	return choices->of_address[address];
}

enum reserved_choice reserved_choice_of_bpdus(const struct reserved_choices *port,
					      const struct reserved_choices *vswitch, bool provider)
{
	unsigned address = provider ? 8 : 0;
	enum reserved_choice choice = choice_of(port, RESERVED_STP, address);

	return choice == RESERVED_UNSAID ? choice_of(vswitch, RESERVED_STP, address) : choice;
}

enum reserved_choice reserved_choose(const struct reserved_choices *port,
				     const struct reserved_choices *vswitch, bool provider,
				     const struct frame *frame)
{
	const uint8_t *head = frame->pieces[0].iov_base;
	unsigned protocol = protocol_of(frame), address = head[5] & 0xf;
	enum reserved_choice choice = choice_of(port, protocol, address);

	if (choice == RESERVED_UNSAID)
		choice = choice_of(vswitch, protocol, address);
	if (choice != RESERVED_UNSAID)
		return choice;
	return provider && OF_CUSTOMERS >> address & 1 ? RESERVED_CUSTOMERS : RESERVED_HANDLE;
}
