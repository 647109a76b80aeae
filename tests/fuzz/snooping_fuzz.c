/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages about groups from hostile hosts, over hours, at four ports. The input is a row of steps: a byte that says what (a frame, as it is or with good
 * checksums; time; a port's end), a port, and what that needs. What forwarding would read must agree with what is known.
 */
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "virtio/virtio_net.h"
#include "vswitch/snooping.h"

#define PORTS  4
#define GROUPS 20

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz {
	const uint8_t *at;
	size_t left;
	struct snooping *snooping;
	uint64_t now;
	/* Of the member whose sources come next. */
	struct snooping_member_status members[GROUPS * PORTS];
	unsigned member_count, at_member, of_member, sources;
};

static uint8_t take(struct fuzz *fuzz)
{
	if (!fuzz->left)
		return 0;
	fuzz->left--;
	return *fuzz->at++;
}

static void sent(void *arg, unsigned port, unsigned except, uint16_t vlan, const uint8_t *frame,
		 size_t length)
{
	(void)arg, (void)frame;
	if (port > SNOOPING_PORTS || except > SNOOPING_PORTS || vlan > 4095 || length < 14)
		abort();
}

/* Or nothing behind them would be reached. */
static void mend(uint8_t *frame, size_t length)
{
	uint8_t *ip = frame + 14, *message;
	uint64_t pseudo = 0;
	uint16_t sum;

	if (length < 70)
		return;
	if (ip[0] >> 4 == 4) {
		size_t header = (ip[0] & 15) * 4u;

		if (header < 20 || header + 8 > length - 14)
			return;
		put_be16(ip + 2, (uint16_t)(length - 14));
		put_be16(ip + 10, 0);
		sum = (uint16_t)~virtio_net_fold(virtio_net_sum(0, ip, header));
		memcpy(ip + 10, &sum, 2);
		message = ip + header;
	} else {
		uint8_t tail[8] = { 0, 0, 0, 0, 0, 0, 0, 58 };

		put_be16(ip + 4, (uint16_t)(length - 54));
		put_be32(tail, (uint32_t)(length - 62));
		pseudo = virtio_net_sum(virtio_net_sum(0, ip + 8, 32), tail, 8);
		message = ip + 48;
	}
	put_be16(message + 2, 0);
	sum = (uint16_t)~virtio_net_fold(
		virtio_net_sum(pseudo, message, length - (size_t)(message - frame)));
	memcpy(message + 2, &sum, 2);
}

static void put_frame(struct fuzz *fuzz, unsigned port, bool mended)
{
	uint16_t vlan = take(fuzz) & 1;
	size_t length = 14 + take(fuzz) * 2u;
	uint8_t *frame = calloc(1, length); /* its own, so that reading beyond it is seen */

	if (!frame)
		return;
	memcpy(frame, fuzz->at, MIN(length, fuzz->left));
	fuzz->at += MIN(length, fuzz->left);
	fuzz->left -= MIN(length, fuzz->left);
	if (mended)
		mend(frame, length);
	snooping_frame(fuzz->snooping, port, vlan, frame, length, fuzz->now);
	free(frame);
}

static const struct snooping_port_settings fast = { .fast_leave = true };

static void pass(struct fuzz *fuzz, uint64_t until)
{
	while (snooping_next(fuzz->snooping) <= until) {
		fuzz->now = MAX(fuzz->now, snooping_next(fuzz->snooping));
		snooping_run(fuzz->snooping, fuzz->now);
	}
	fuzz->now = until;
}

static void check_member(void *arg, const struct snooping_member_status *status)
{
	struct fuzz *fuzz = arg;
	struct group_key key = { status->group, status->vlan };
	const struct group_entry *entry = group_set_find(snooping_set(fuzz->snooping), &key);

	if (!entry || status->port >= PORTS || status->until < fuzz->now ||
	    port_set_has(&entry->members, status->port) != status->exclude ||
	    (!status->exclude && !status->sources) || (status->wide && status->sources) ||
	    fuzz->member_count == GROUPS * PORTS)
		abort();
	fuzz->members[fuzz->member_count++] = *status;
}

static void check_source(void *arg, const struct snooping_source_status *status)
{
	struct fuzz *fuzz = arg;
	const struct snooping_member_status *member;
	const struct group_set *set = snooping_set(fuzz->snooping);
	const struct group_source *source;
	struct group_key key;

	while (fuzz->at_member < fuzz->member_count &&
	       fuzz->of_member == fuzz->members[fuzz->at_member].sources) {
		fuzz->at_member++;
		fuzz->of_member = 0;
	}
	if (fuzz->at_member == fuzz->member_count)
		abort();
	member = &fuzz->members[fuzz->at_member];
	fuzz->of_member++;
	fuzz->sources++;
	key = (struct group_key){ member->group, member->vlan };
	source = group_source_find(set, group_set_find(set, &key), status->source);
	if (!source || port_set_has(&source->blocks, member->port) != status->blocked ||
	    port_set_has(&source->wants, member->port) == status->blocked ||
	    status->until < fuzz->now || (status->blocked && !member->exclude))
		abort();
}

/* What forwarding would read is what is known, and that is not more than it may be. */
static void check(struct fuzz *fuzz)
{
	unsigned sources = 0, of_port[PORTS] = { 0 };

	fuzz->member_count = fuzz->at_member = fuzz->of_member = fuzz->sources = 0;
	snooping_each_member(fuzz->snooping, check_member, fuzz);
	snooping_each_source(fuzz->snooping, check_source, fuzz);
	for (unsigned i = 0; i < fuzz->member_count; i++) {
		sources += fuzz->members[i].sources;
		of_port[fuzz->members[i].port] += fuzz->members[i].sources;
		if (fuzz->members[i].sources > 4)
			abort();
	}
	for (unsigned port = 0; port < PORTS; port++)
		if (of_port[port] > 8)
			abort();
	if (sources != fuzz->sources || sources > 12 ||
	    snooping_set(fuzz->snooping)->count > GROUPS)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct snooping_actions actions = { sent };
	struct snooping_options options = { .mac = 0x020000000001, .seed = 1, .actions = &actions };
	struct fuzz fuzz = { .at = data, .left = size, .now = 1 };
	struct snooping_settings settings;
	unsigned steps = 0;

	if (snooping_create(&fuzz.snooping, &options))
		return 0;
	snooping_settings_init(&settings);
	settings.igmp = settings.mld = true;
	settings.querier = size && data[0] & 0x80;
	settings.groups = GROUPS;
	settings.groups_per_port = 8;
	settings.sources = 12;
	settings.sources_per_port = 8;
	settings.sources_per_group = 4;
	if (size > 1 && data[1] & 0x80)
		settings.igmp_version = 2;
	snooping_change(fuzz.snooping, &settings, fuzz.now);
	while (fuzz.left) {
		uint8_t step = take(&fuzz);
		unsigned port = step >> 4 & (PORTS - 1);

		switch (step & 15) {
		case 0:
			snooping_port_down(fuzz.snooping, port, fuzz.now);
			break;
		case 1:
			snooping_port_up(fuzz.snooping, port, fuzz.now);
			break;
		case 2:
			snooping_port_gone(fuzz.snooping, port, fuzz.now);
			break;
		case 3:
			snooping_topology_changed(fuzz.snooping, fuzz.now);
			break;
		case 4:
		case 5:
			pass(&fuzz, fuzz.now + take(&fuzz) * SNOOPING_SECOND);
			break;
		case 15:
			snooping_change_port(fuzz.snooping, port, &fast, fuzz.now);
			break;
		case 6:
			put_frame(&fuzz, port, false);
			break;
		default:
			put_frame(&fuzz, port, true);
		}
		if (++steps % 8 == 0) /* it goes through all buckets */
			check(&fuzz);
	}
	check(&fuzz);
	snooping_destroy(fuzz.snooping);
	return 0;
}
