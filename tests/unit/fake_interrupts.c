/* SPDX-License-Identifier: BSD-2-Clause */
/* See fake_interrupts.h. */
#include "fake_interrupts.h"

#include <errno.h>

#include "util/bytes.h"

static struct fake_interrupts *fake_of(struct interrupts *interrupts)
{
	return container_of(interrupts, struct fake_interrupts, interrupts);
}

static int set_line(struct interrupts *interrupts, unsigned gsi, bool level)
{
	struct fake_interrupts *fake = fake_of(interrupts);

	(void)gsi;
	fake->line_changes++;
	fake->rises += level && !fake->level;
	fake->level = level;
	return 0;
}

static int send_message(struct interrupts *interrupts, const struct interrupt_message *message)
{
	struct fake_interrupts *fake = fake_of(interrupts);

	fake->sent++;
	fake->last = *message;
	return 0;
}

static int allocate_route(struct interrupts *interrupts)
{
	struct fake_interrupts *fake = fake_of(interrupts);

	for (int i = 0; i < FAKE_ROUTES; i++) {
		if (!fake->route_used[i]) {
			fake->route_used[i] = true;
			return i;
		}
	}
	return -ENOSPC;
}

static void free_route(struct interrupts *interrupts, int gsi)
{
	fake_of(interrupts)->route_used[gsi] = false;
}

static void set_route(struct interrupts *interrupts, int gsi,
		      const struct interrupt_message *message)
{
	fake_of(interrupts)->routes[gsi] = *message;
}

static int commit_routes(struct interrupts *interrupts)
{
	fake_of(interrupts)->commits++;
	return fake_of(interrupts)->refuse;
}

static int fake_attach(struct interrupts *interrupts, int gsi, int event_fd)
{
	(void)event_fd;
	fake_of(interrupts)->attached[gsi]++;
	fake_of(interrupts)->attach_calls++;
	return 0;
}

static int fake_detach(struct interrupts *interrupts, int gsi, int event_fd)
{
	(void)event_fd;
	fake_of(interrupts)->attached[gsi]--;
	return 0;
}

static int add_doorbell(struct interrupts *interrupts, uint64_t address, int event_fd)
{
	(void)event_fd;
	fake_of(interrupts)->doorbells++;
	fake_of(interrupts)->last_doorbell = address;
	return 0;
}

static int remove_doorbell(struct interrupts *interrupts, uint64_t address, int event_fd)
{
	(void)address, (void)event_fd;
	fake_of(interrupts)->doorbells--;
	return 0;
}

static const struct interrupts_ops fake_ops = {
	.set_line = set_line,
	.send = send_message,
	.allocate_route = allocate_route,
	.free_route = free_route,
	.set_route = set_route,
	.commit_routes = commit_routes,
	.attach = fake_attach,
	.detach = fake_detach,
	.add_doorbell = add_doorbell,
	.remove_doorbell = remove_doorbell,
};

void fake_interrupts_init(struct fake_interrupts *fake)
{
	*fake = (struct fake_interrupts){ .interrupts.ops = &fake_ops };
}

unsigned fake_interrupts_routes(const struct fake_interrupts *fake)
{
	unsigned count = 0;

	for (int i = 0; i < FAKE_ROUTES; i++)
		count += fake->route_used[i];
	return count;
}

int fake_interrupts_attached(const struct fake_interrupts *fake)
{
	int count = 0;

	for (int i = 0; i < FAKE_ROUTES; i++)
		count += fake->attached[i];
	return count;
}
