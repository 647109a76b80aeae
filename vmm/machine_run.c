/* SPDX-License-Identifier: BSD-2-Clause */
/* A virtual machine that runs: from power-on to its end; see machine.h. */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <time.h>

#include "util/error.h"
#include "util/event_guard.h"
#include "util/log.h"
#include "vmm/machine_internal.h"
#include "vmm/vhost_user_device.h"

/* How long back-ends that were lost may take, in all, before the rest is not tried. */
#define RECONNECT_SECONDS 10

void machine_press_power_button(struct machine *machine)
{
	atomic_store(&machine->button, true);
	eventfd_write(machine->wake, 1);
}

void machine_stop(struct machine *machine)
{
	machine_ask(machine, MACHINE_REQUEST_STOP);
}

static void drain_event(int fd)
{
	eventfd_t value;

	eventfd_read(fd, &value);
}

static void obey_console(struct machine *machine, enum console_command command)
{
	if (command == CONSOLE_QUIT)
		machine_ask(machine, MACHINE_REQUEST_QUIT);
	else if (command == CONSOLE_POWER_BUTTON)
		power_press_button(&machine->power);
}

/* Serves the console until something asks the machine to stop. */
static enum machine_request serve(struct machine *machine)
{
	enum { WAKE, SERIAL, INPUT, DEVICES };
	struct pollfd entries[DEVICES + MACHINE_DEVICE_ENTRIES];
	enum machine_request request;

	while (!(request = atomic_load(&machine->request))) {
		int timeout = -1;
		unsigned count;

		entries[WAKE] = (struct pollfd){ .fd = machine->wake, .events = POLLIN };
		entries[SERIAL] = (struct pollfd){ .fd = machine->serial_event, .events = POLLIN };
		console_prepare(&machine->console, &machine->serial, &entries[INPUT], &timeout);
		count = machine_devices_prepare(machine, &entries[DEVICES]);
		if (poll(entries, DEVICES + count, timeout) < 0)
			continue;
		if (entries[WAKE].revents)
			drain_event(machine->wake);
		if (entries[SERIAL].revents)
			drain_event(machine->serial_event);
		machine_devices_check(machine, &entries[DEVICES]);
		if (atomic_exchange(&machine->button, false))
			power_press_button(&machine->power);
		obey_console(machine,
			     console_serve(&machine->console, &machine->serial, &entries[INPUT]));
	}
	return request;
}

static time_t monotonic_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static void reconnect(struct machine *machine, unsigned index)
{
	struct virtio_device *device = machine->devices[index].pci->device;
	struct error error = { 0 };
	int fd = machine->devices[index].connect(machine->devices[index].connect_context, &error);

	if (fd >= 0 && vhost_user_device_reconnect(device, fd, &error) == 0)
		machine->devices[index].fd = vhost_user_device_fd(device);
	else
		log_warning(machine->log, "the guest restarts without it: %s", error.text);
}

/* Between a reset and the new start: back-ends that were lost may be there again. None is waited for once
 * one of them has taken its time, or the machine is to end. */
static void reconnect_devices(struct machine *machine)
{
	time_t start = monotonic_seconds();

	machine_devices_notice_lost(machine);
	for (unsigned i = 0; i < machine->device_count; i++) {
		if (machine->devices[i].fd >= 0 || !machine->devices[i].connect)
			continue;
		if (atomic_load(&machine->request))
			return;
		if (monotonic_seconds() - start < RECONNECT_SECONDS)
			reconnect(machine, i);
		else
			log_warning(machine->log,
				    "the guest restarts without %s: other back-ends took too long",
				    machine->devices[i].pci->device->name);
	}
}

/* The message of the vCPU that failed; all have stopped. */
static int take_failure(struct machine *machine, struct error *error)
{
	for (unsigned i = 0; i < machine->cpus; i++) {
		if (!machine->vcpus[i].error.code)
			continue;
		if (error)
			*error = machine->vcpus[i].error;
		return machine->vcpus[i].error.code;
	}
	return error_set(error, -EIO, "the machine failed");
}

/* What follows from a request; false: the machine starts again. */
static bool ends(const struct machine *machine, enum machine_request request, enum machine_end *end)
{
	bool panic = request == MACHINE_REQUEST_PANIC;

	switch (request) {
	case MACHINE_REQUEST_RESET:
		*end = MACHINE_END_REBOOT;
		break;
	case MACHINE_REQUEST_TRIPLE_FAULT:
		*end = MACHINE_END_CRASH;
		break;
	case MACHINE_REQUEST_PANIC:
		*end = MACHINE_END_PANIC;
		break;
	case MACHINE_REQUEST_OFF:
		*end = MACHINE_END_POWER_OFF;
		return true;
	case MACHINE_REQUEST_FAILED:
		*end = MACHINE_END_FAILED;
		return true;
	case MACHINE_REQUEST_QUIT:
		*end = MACHINE_END_QUIT;
		return true;
	default:
		*end = MACHINE_END_STOPPED;
		return true;
	}
	return (panic ? machine->on_panic : machine->on_reboot) != MACHINE_RESTART;
}

static int run(struct machine *machine, enum machine_end *end, struct error *error)
{
	*end = MACHINE_END_NOT_STARTED;
	for (;;) {
		enum machine_request request;
		bool last;
		int rc = machine_power_on(machine, error);

		if (rc < 0)
			return rc;
		request = serve(machine);
		machine_devices_give_up(machine);
		last = ends(machine, request, end);
		machine_power_off(machine, last);
		if (last)
			return *end == MACHINE_END_FAILED ? take_failure(machine, error) : 0;
		*end = MACHINE_END_FAILED; /* if it cannot be started again */
		atomic_compare_exchange_strong(&machine->request, &request, MACHINE_REQUEST_NONE);
		log_info(machine->log, "the guest restarts");
		reconnect_devices(machine);
	}
}

int machine_run(struct machine *machine, enum machine_end *end, struct error *error)
{
	struct event_guard guard;
	int rc;

	event_guard_begin(&guard);
	console_enter(&machine->console);
	rc = run(machine, end, error);
	console_drain(&machine->console);
	console_leave(&machine->console);
	event_guard_end(&guard);
	return rc;
}

void machine_leave_terminal(struct machine *machine)
{
	console_leave(&machine->console);
}

void machine_continued(struct machine *machine)
{
	console_continued(&machine->console);
	eventfd_write(machine->wake, 1);
}
