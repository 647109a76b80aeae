/* SPDX-License-Identifier: BSD-2-Clause */
/* A method about an array, done at its home: what serve_arrays.c and serve_sync.c share. */
#ifndef TENON_TOOLS_SERVE_ARRAY_CALL_H
#define TENON_TOOLS_SERVE_ARRAY_CALL_H

#include "tools/serve.h"

struct array_call {
	int (*fn)(struct array_call *call);
	struct serve *serve;
	struct serve_home *home;
	struct stack_array *found;
	struct volume_group *group; /* of a volume's array, and then: */
	const char *volume;
	struct raid_array *array;
	json_t *params;
	char *device, *with;
	bool force, back, repair, journal;
	bool adds_later;     /* out: see raid_grow_adds_later() */
	bool goes_on;        /* out: see raid_grow_goes_on() */
	struct block *block; /* a device that is added */
	json_t **result;
	struct error *error;
};

/* Finds the array that the method's "name" is, and with `with_device` its "device", which the caller frees. On the
 * control worker. */
int array_call_find(struct array_call *call, bool with_device);

/* The path of the device that parameter `key` means, by the name that the server has for it; the caller frees it. */
int array_call_device(struct array_call *call, const char *key, char **device);

/* Whether `device`, which is to be added, is an array that machines have as a disk: an error then. On the control worker. */
int array_call_check_served(const struct array_call *call, const char *device);

/* The stack's own reference on a device keeps its lock: gives it up, so that it can be added again. At home. */
void array_call_forget(const struct array_call *call, const char *device);

/* Calls fn(call) at the array's home, if it runs. Suspends. */
int array_call_do(struct array_call *call, int (*fn)(struct array_call *call));

#endif
