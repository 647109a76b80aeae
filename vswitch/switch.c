/* SPDX-License-Identifier: BSD-2-Clause */
/* Making and ending switches; see switch.h. */
#include "vswitch/switch.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "util/bytes.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/log.h"
#include "util/random.h"
#include "vswitch/internal.h"
#include "vswitch/link_memory.h"

static uint64_t system_clock(void *arg)
{
	(void)arg;
	return monotonic_ns();
}

static uint64_t system_epoch(uint64_t now)
{
	struct timespec day;

	clock_gettime(CLOCK_REALTIME, &day);
	return (uint64_t)day.tv_sec * 1000000000 + (uint64_t)day.tv_nsec - now;
}

static int init(struct vswitch *vswitch, const struct vswitch_options *options, struct error *error)
{
	struct mac_table_options table = {
		.size = options->table_size,
		.per_port = options->table_per_port,
		.ageing_ns = options->ageing_ns,
		.move_limit = options->move_limit,
		.seed = vswitch->seed,
	};
	unsigned threads = options->threads ? options->threads : 1;

	if (threads > VSWITCH_THREADS_MAX)
		return error_set(error, -EINVAL, "switch %s: %u threads: at most %d", vswitch->name,
				 threads, VSWITCH_THREADS_MAX);
	if (mac_table_create(&vswitch->table, &table))
		return error_set(error, -ENOMEM, "switch %s: out of memory", vswitch->name);
	return vswitch_threads_create(vswitch, threads, options->poll_ns, error);
}

int vswitch_create(struct vswitch **out, const struct vswitch_options *options, struct error *error)
{
	static const struct vswitch_options defaults;
	struct vswitch *vswitch = calloc(1, sizeof(*vswitch));
	int rc;

	if (!vswitch)
		return error_set(error, -ENOMEM, "switch: out of memory");
	if (!options)
		options = &defaults;
	snprintf(vswitch->name, sizeof(vswitch->name), "%s",
		 options->name ? options->name : "switch");
	vswitch->log = options->log;
	vswitch->reserved = options->reserved;
	vswitch->clock = options->clock ? options->clock : system_clock;
	vswitch->clock_arg = options->clock_arg;
	vswitch->seed = options->seed ? options->seed : random_seed_from_system();
	/* Administered locally, a station's. What others see tells nothing of the seed. */
	vswitch->mac = options->seed ? random_mix(options->seed) : random_seed_from_system();
	vswitch->mac = (vswitch->mac & 0xfcffffffffff) | 0x020000000000;
	if (options->mac)
		vswitch->mac = options->mac;
	vswitch->epoch = options->epoch_ns ? options->epoch_ns
					   : system_epoch(vswitch->clock(vswitch->clock_arg));
	list_init(&vswitch->calls);
	pthread_mutex_init(&vswitch->lock, NULL);
	pthread_cond_init(&vswitch->changed, NULL);
	vswitch->ageing = options->ageing_ns ? options->ageing_ns : MAC_TABLE_AGEING;
	if (options->hub)
		vswitch->ageing = 0;
	vswitch->link_memory = options->link_memory ? options->link_memory : link_memory_most();
	vswitch->table_size = options->table_size ? options->table_size : MAC_TABLE_SIZE;
	rc = init(vswitch, options, error);
	if (rc) {
		vswitch_destroy(vswitch);
		return rc;
	}
	*out = vswitch;
	return 0;
}

const char *vswitch_name(const struct vswitch *vswitch)
{
	return vswitch->name;
}

void vswitch_destroy(struct vswitch *vswitch)
{
	if (!vswitch)
		return;
	vswitch_stop(vswitch);
	vswitch_destroy_ports(vswitch);
	protocols_destroy(vswitch);
	vswitch_stop_captures(vswitch, NULL);
	mac_table_destroy(vswitch->table);
	vswitch_threads_destroy(vswitch);
	pthread_cond_destroy(&vswitch->changed);
	pthread_mutex_destroy(&vswitch->lock);
	free(vswitch);
}
