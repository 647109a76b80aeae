/* SPDX-License-Identifier: BSD-2-Clause */
/* Who may be where in an array that is reshaped; see reshape_gate.h. */
#include "raid/reshape_gate.h"

#include <stdbool.h>

void raid_reshape_gate_init(struct raid_reshape_gate *gate)
{
	gate->from = gate->to = 0;
	list_init(&gate->users);
	fiber_queue_init(&gate->queue);
}

static bool is_moving(const struct raid_reshape_gate *gate, const struct raid_reshape_user *user)
{
	return user->offset < gate->to && gate->from < user->end;
}

void raid_reshape_gate_enter(struct raid_reshape_gate *gate, struct raid_reshape_user *user,
			     uint64_t offset, uint64_t length)
{
	user->offset = offset;
	user->end = offset + length;
	while (is_moving(gate, user))
		fiber_queue_wait_always(&gate->queue);
	list_add_tail(&gate->users, &user->node);
}

void raid_reshape_gate_leave(struct raid_reshape_gate *gate, struct raid_reshape_user *user)
{
	list_remove(&user->node);
	if (gate->from < gate->to)
		fiber_queue_wake_all(&gate->queue);
}

static bool any_inside(const struct raid_reshape_gate *gate)
{
	list_for_each(at, &gate->users) {
		if (is_moving(gate, list_entry(at, struct raid_reshape_user, node)))
			return true;
	}
	return false;
}

void raid_reshape_gate_take(struct raid_reshape_gate *gate, uint64_t from, uint64_t to)
{
	gate->from = from;
	gate->to = to;
	while (any_inside(gate))
		fiber_queue_wait_always(&gate->queue);
}

void raid_reshape_gate_let_go(struct raid_reshape_gate *gate)
{
	gate->from = gate->to = 0;
	fiber_queue_wake_all(&gate->queue);
}
