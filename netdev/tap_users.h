/* SPDX-License-Identifier: BSD-2-Clause */
/* Who is attached to a TAP interface. */
#ifndef TENON_NETDEV_TAP_USERS_H
#define TENON_NETDEV_TAP_USERS_H

#include <stdbool.h>

#include "util/process.h"

/*
 * How many queues of the multi-queue TAP `name`, in the caller's network namespace, are attached, enabled or
 * not; -EOPNOTSUPP for one with a single queue, or where the kernel (before 4.17) does not say.
 */
int tap_attached_queues(const char *name);

/* Whether that TAP may have several queues: 1 or 0; -EOPNOTSUPP: it is no TAP, or the kernel does not say. */
int tap_is_multi_queue(const char *name);

/* Whether that TAP stays when nobody is attached to it: 1 or 0; -EOPNOTSUPP as above. */
int tap_is_persistent(const char *name);

/* Whether a process of our network namespace, or this one, has the TAP `name` open, as far as this user may look. */
bool tap_has_user(const char *name);

/* Describes who has the TAP `name` open: this process itself, unless the caller is `attached` to a queue of it, or
 * the first other one (process_describe()), as far as this user may look; otherwise "another process". Returns `text`. */
const char *tap_user(const char *name, bool attached, char text[PROCESS_TEXT]);

#endif
