/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A running machine's back-ends: what they say unasked, and that they hang up and come back; see machine.h.
 *
 * A back-end that hung up is looked for by a thread of its own, which connects and shakes hands, for both may
 * take long with a server that is stopped or just coming up. Then machine_run()'s thread puts the connection
 * into the device's hands, which starts its queues again: that takes as long as some messages to a server that has
 * just answered, and a vCPU waits for it only if it touches the device's registers meanwhile. Doorbells and
 * interrupts are eventfds that stay; what the guest asks for in between waits in its rings.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "util/log.h"
#include "util/thread.h"
#include "virtio/vhost_user_frontend.h"
#include "vmm/machine_internal.h"
#include "vmm/vhost_user_device.h"

#define SEARCH_MS 200 /* between two attempts */

/* ---- Looking for one that hung up ---- */

/* Whether the search was given up within `ms`. */
static bool given_up(const struct machine_search *search, int ms)
{
	struct pollfd entry = { .fd = search->cancel, .events = POLLIN };

	return poll(&entry, 1, ms) > 0;
}

/* Notes what to shut down to have the attempt fail, or that there is nothing. */
static void set_attempt(struct machine_search *search, int fd)
{
	pthread_mutex_lock(&search->lock);
	cleanup_close(&search->attempt);
	search->attempt = fd;
	pthread_mutex_unlock(&search->lock);
}

static void shake_hands(struct machine_slot *slot, int fd)
{
	struct machine_search *search = &slot->search;

	set_attempt(search, dup(fd));
	/* Given up just now, it is not waited for. */
	if (given_up(search, 0))
		shutdown(fd, SHUT_RDWR);
	if (vhost_user_device_shake_hands(slot->pci->device, fd, &search->found, NULL) < 0)
		search->found = NULL;
	set_attempt(search, -1);
}

static void *look_for_it(void *arg)
{
	struct machine_slot *slot = arg;
	struct machine_search *search = &slot->search;
	bool ended = search->again && given_up(search, SEARCH_MS);

	while (!ended && !search->found) {
		struct error error = { 0 };
		int fd = slot->connect(slot->connect_context, &error);

		if (fd >= 0)
			shake_hands(slot, fd);
		ended = !search->found && given_up(search, SEARCH_MS);
	}
	atomic_store(&search->done, true);
	eventfd_write(search->wake, 1);
	return NULL;
}

static void start_search(struct machine *machine, struct machine_slot *slot, bool again)
{
	struct machine_search *search = &slot->search;
	int rc;

	search->found = NULL;
	search->again = again;
	search->attempt = -1;
	search->wake = machine->wake;
	atomic_store(&search->done, false);
	search->cancel = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&search->lock, NULL);
	rc = search->cancel < 0 ? -errno
				: thread_start(&search->thread, "search", look_for_it, slot);
	search->running = rc == 0;
	if (rc == 0)
		return;
	cleanup_close(&search->cancel);
	log_error(machine->log, "%s: it cannot be looked for: %s", slot->pci->device->name,
		  error_name(rc));
	virtio_pci_fail(slot->pci,
			"the back-end hung up; the guest's device does not work any more");
}

/* Waits for the thread's end; what it found is the caller's. */
static struct vhost_user_frontend *end_search(struct machine_search *search)
{
	pthread_join(search->thread, NULL);
	cleanup_close(&search->cancel);
	pthread_mutex_destroy(&search->lock);
	search->running = false;
	return steal_pointer(&search->found);
}

void machine_devices_give_up(struct machine *machine)
{
	for (unsigned i = 0; i < machine->device_count; i++) {
		struct machine_search *search = &machine->devices[i].search;

		if (!search->running)
			continue;
		eventfd_write(search->cancel, 1);
		pthread_mutex_lock(&search->lock);
		if (search->attempt >= 0)
			shutdown(search->attempt, SHUT_RDWR);
		pthread_mutex_unlock(&search->lock);
		vhost_user_frontend_close(end_search(search));
	}
}

/* A search has ended: the device goes on with what was found. */
static void take_found(struct machine *machine, struct machine_slot *slot)
{
	struct vhost_user_frontend *found = end_search(&slot->search);
	struct error error = { 0 };
	int rc = found ? virtio_pci_resume(slot->pci, found, &error) : -ECANCELED;

	if (rc == 0) {
		slot->fd = vhost_user_device_fd(slot->pci->device);
		log_warning(machine->log, "%s: the back-end is back", slot->pci->device->name);
	} else if (rc == -EINVAL) {
		virtio_pci_fail(slot->pci, error.text);
	} else {
		log_debug(machine->log, "%s", error.text);
		start_search(machine, slot, true);
	}
}

/* ---- Watching ---- */

static bool hung_up(const struct pollfd *entry)
{
	return entry->revents & (POLLHUP | POLLRDHUP | POLLERR);
}

unsigned machine_devices_prepare(const struct machine *machine, struct pollfd *entries)
{
	for (unsigned i = 0; i < machine->device_count; i++) {
		const struct machine_slot *slot = &machine->devices[i];
		int channel = slot->fd < 0 ? -1 : vhost_user_device_channel(slot->pci->device);

		entries[2 * i] = (struct pollfd){ .fd = slot->fd, .events = POLLRDHUP };
		entries[2 * i + 1] = (struct pollfd){ .fd = channel, .events = POLLIN };
	}
	return 2 * machine->device_count;
}

void machine_devices_notice_lost(struct machine *machine)
{
	struct pollfd entries[MACHINE_DEVICE_ENTRIES];

	poll(entries, machine_devices_prepare(machine, entries), 0);
	for (unsigned i = 0; i < machine->device_count; i++)
		if (hung_up(&entries[2 * i]))
			machine->devices[i].fd = -1;
}

void machine_devices_check(struct machine *machine, const struct pollfd *entries)
{
	for (unsigned i = 0; i < machine->device_count; i++) {
		struct machine_slot *slot = &machine->devices[i];

		if (slot->search.running && atomic_load(&slot->search.done))
			take_found(machine, slot);
		if (entries[2 * i + 1].revents)
			virtio_pci_refresh(slot->pci);
		if (!hung_up(&entries[2 * i]))
			continue;
		slot->fd = -1;
		if (!slot->connect) {
			virtio_pci_fail(slot->pci, "the back-end hung up; the guest's device does "
						   "not work any more");
			continue;
		}
		log_warning(machine->log,
			    "%s: the back-end hung up; the guest waits for it to come back",
			    slot->pci->device->name);
		start_search(machine, slot, false);
	}
}
