/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the switch share and nobody else sees. */
#ifndef TENON_VSWITCH_INTERNAL_H
#define TENON_VSWITCH_INTERNAL_H

#include <pthread.h>

#include "util/list.h"
#include "util/poll_window.h"
#include "vswitch/capture.h"
#include "vswitch/forward.h"
#include "vswitch/switch.h"

struct vswitch {
	char name[64];
	struct log *log;
	uint64_t (*clock)(void *arg);
	void *clock_arg;
	uint64_t epoch;

	struct port *ports[VSWITCH_PORTS_MAX];
	unsigned port_count;
	unsigned polled_count; /* ports that are worth polling */
	struct mac_table *table;
	unsigned table_size;
	uint64_t ageing;         /* 0: a hub, which learns nothing */
	struct capture *capture; /* or NULL */
	struct forward_scratch *scratch;
	uint64_t now; /* of this round */

	/* The loop's. */
	int epoll_fd;
	int wake_fd;
	struct poll_window polling;
	uint64_t sleeps, rounds;

	/* Calls from other threads; guarded by `lock`. */
	pthread_mutex_t lock;
	pthread_cond_t called;
	struct list calls;
	bool running, stopping;
	pthread_t thread;
};

/* Makes and takes down what the loop needs. */
int vswitch_loop_init(struct vswitch *vswitch, struct error *error);
void vswitch_loop_destroy(struct vswitch *vswitch);

/* Looks at the watched fds and waits for them at most `timeout_ms` (-1: for ever). Returns how many
 * were ready. */
unsigned vswitch_dispatch(struct vswitch *vswitch, int timeout_ms);

#endif
