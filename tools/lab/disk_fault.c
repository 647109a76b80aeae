/* SPDX-License-Identifier: BSD-2-Clause */
/* Rules of what is wrong with a disk; see disk_fault.h. */
#include "tools/lab/disk_fault.h"

#include <errno.h>
#include <stdlib.h>

#include "fiber/fiber.h"
#include "tools/lab/disk.h"
#include "tools/lab/store.h"
#include "util/bytes.h"

#define SECTOR     512u
#define REFUSAL_NS 1000000ull /* how soon a disk that is not there says so */

static bool rule_is_about(const struct lab_rule *rule, enum lab_touch touch, uint64_t offset,
			  uint64_t length)
{
	static const unsigned char touches[] = {
		[LAB_FAULT_GONE] = 7,     [LAB_FAULT_HANG] = 7,        [LAB_FAULT_SLOW] = 7,
		[LAB_FAULT_LATENT] = 3,   [LAB_FAULT_ERROR] = 3,       [LAB_FAULT_TORN] = 2,
		[LAB_FAULT_LOST] = 2,     [LAB_FAULT_MISDIRECTED] = 2, [LAB_FAULT_ROT] = 3,
		[LAB_FAULT_NO_FLUSH] = 4, [LAB_FAULT_FULL] = 2,
	};

	if (!(touches[rule->fault] & 1u << touch))
		return false;
	if (rule->fault == LAB_FAULT_ROT && rule->reads != (touch == LAB_TOUCH_READ))
		return false;
	return !rule->length || touch == LAB_TOUCH_FLUSH ||
	       (offset < rule->offset + rule->length && rule->offset < offset + length);
}

/* A write makes what it covers readable again; in the middle it leaves two ranges. */
static void heal(struct lab_disk *disk, struct lab_rule *rule, uint64_t offset, uint64_t length)
{
	uint64_t end = rule->offset + rule->length;
	struct lab_rule behind = *rule;

	if (offset > rule->offset && offset + length < end) {
		behind.offset = offset + length;
		behind.length = end - behind.offset;
		lab_disk_arm(disk, &behind);
	}
	if (offset <= rule->offset)
		rule->offset = MIN(offset + length, end);
	else
		end = offset;
	rule->length = end - rule->offset;
}

static void free_rule(struct lab_rule *rule)
{
	list_remove(&rule->node);
	free(rule);
}

static void obey(struct lab_disk *disk, struct lab_rule *rule, enum lab_touch touch,
		 uint64_t offset, uint64_t length, struct lab_judgement *judgement)
{
	switch (rule->fault) {
	case LAB_FAULT_GONE:
	case LAB_FAULT_ERROR:
		*judgement =
			(struct lab_judgement){ .rc = -EIO, .latency_ns = REFUSAL_NS, .slow = 0 };
		break;
	case LAB_FAULT_LATENT:
		if (touch == LAB_TOUCH_READ)
			judgement->rc = -EIO;
		else
			heal(disk, rule, offset, length);
		break;
	case LAB_FAULT_SLOW:
		judgement->slow = judgement->slow * rule->factor / 100;
		judgement->latency_ns += rule->latency_ns;
		break;
	case LAB_FAULT_TORN:
		judgement->length = MIN(length, rule->sectors * SECTOR);
		judgement->rc = rule->fails ? -EIO : 0;
		break;
	case LAB_FAULT_LOST:
		judgement->length = 0;
		break;
	case LAB_FAULT_MISDIRECTED:
		judgement->shift = rule->shift;
		break;
	case LAB_FAULT_ROT:
		judgement->rot = true;
		break;
	case LAB_FAULT_NO_FLUSH:
		judgement->no_flush = true;
		break;
	case LAB_FAULT_FULL:
		if (!lab_disk_has_hole(disk, offset, length))
			break;
		judgement->rc = -ENOSPC;
		judgement->length = 0;
		break;
	case LAB_FAULT_HANG:
		break;
	}
}

bool lab_disk_hangs(const struct lab_disk *disk)
{
	uint64_t now = worker_now();

	list_for_each(at, (struct list *)&disk->rules) {
		const struct lab_rule *rule = list_entry(at, struct lab_rule, node);

		if (rule->fault == LAB_FAULT_HANG && (!rule->until_ns || rule->until_ns > now))
			return true;
	}
	return false;
}

bool lab_disk_is_late(const struct lab_disk *disk)
{
	list_for_each(at, (struct list *)&disk->rules) {
		const struct lab_rule *rule = list_entry(at, struct lab_rule, node);

		if (rule->fault == LAB_FAULT_HANG || rule->fault == LAB_FAULT_SLOW)
			return true;
	}
	return false;
}

struct lab_judgement lab_disk_judge(struct lab_disk *disk, enum lab_touch touch, uint64_t offset,
				    uint64_t length)
{
	struct lab_judgement judgement = { .length = length, .slow = 100 };
	uint64_t now = list_empty(&disk->rules) ? 0 : worker_now();

	list_for_each_safe(at, &disk->rules) {
		struct lab_rule *rule = list_entry(at, struct lab_rule, node);

		if (rule->until_ns && rule->until_ns <= now) {
			free_rule(rule);
			continue;
		}
		if (!rule_is_about(rule, touch, offset, length))
			continue;
		obey(disk, rule, touch, offset, length, &judgement);
		if ((rule->count && !--rule->count) ||
		    (rule->fault == LAB_FAULT_LATENT && !rule->length))
			free_rule(rule);
		if (judgement.rc)
			break;
	}
	return judgement;
}

void lab_disk_arm(struct lab_disk *disk, const struct lab_rule *rule)
{
	struct lab_rule *copy = malloc(sizeof(*copy));

	if (!copy)
		abort();
	*copy = *rule;
	list_add_tail(&disk->rules, &copy->node);
}

void lab_disk_disarm(struct lab_disk *disk, enum lab_fault fault)
{
	list_for_each_safe(at, &disk->rules) {
		struct lab_rule *rule = list_entry(at, struct lab_rule, node);

		if (rule->fault == fault)
			free_rule(rule);
	}
	fiber_queue_wake_all(&disk->hung);
}

void lab_disk_disarm_all(struct lab_disk *disk)
{
	list_for_each_safe(at, &disk->rules)
		free_rule(list_entry(at, struct lab_rule, node));
}

void lab_disk_rot_bit(struct lab_disk *disk, char *at, uint64_t length)
{
	uint64_t bit = random_below(&disk->time.random, length * 8);

	at[bit / 8] ^= (char)(1u << bit % 8);
}
