/* SPDX-License-Identifier: BSD-2-Clause */
/* The devices of `tenon vm run`; see vm_devices.h. */
#include "tools/vm_devices.h"

#include "tools/served.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/ethernet.h"
#include "util/unix_socket.h"
#include "vswitch/switch.h"

#define VHOST_USER "vhost-user:"
#define TAP        "tap:"

/* If `text` begins with `prefix`, what follows it; else NULL. */
static char *after(char *text, const char *prefix)
{
	size_t length = strlen(prefix);

	return strncmp(text, prefix, length) ? NULL : text + length;
}

static int connect_again(void *context, struct error *error)
{
	return unix_socket_connect(context, error);
}

static struct machine_device *add(struct vm_devices *devices, enum machine_device_type type,
				  const char *name, struct error *error)
{
	struct machine_device *device;

	if (devices->count == VM_DEVICES_MAX) {
		error_set(error, -EINVAL, "%s: a machine has room for %u disks and NICs", name,
			  VM_DEVICES_MAX);
		return NULL;
	}
	device = &devices->devices[devices->count++];
	*device = (struct machine_device){ .type = type, .name = name, .fd = -1 };
	return device;
}

static int connect_to(struct machine_device *device, char *socket, struct error *error)
{
	device->connect = connect_again;
	device->connect_context = socket;
	device->fd = unix_socket_connect(socket, error);
	return device->fd < 0 ? device->fd : 0;
}

/* Cuts ",WORD" from the end of `text`, if it ends so. */
static bool cut_option(char *text, const char *word)
{
	size_t length = strlen(text), end = strlen(word) + 1;

	if (length <= end || text[length - end] != ',' || strcmp(text + length - end + 1, word))
		return false;
	text[length - end] = '\0';
	return true;
}

/* Cuts ",serial=TEXT" from the end of `text`, if it ends so, and returns TEXT. */
static char *cut_serial(char *text)
{
	char *comma = strrchr(text, ',');

	if (!comma || comma == text || strncmp(comma, ",serial=", 8))
		return NULL;
	*comma = '\0';
	return comma + 8;
}

/* FILE[,ro][,raw][,serial=TEXT] in any order; what else is behind a comma belongs to the name. */
static struct vm_local_disk_options parse_image(char *word, struct log *log)
{
	struct vm_local_disk_options options = { .path = word, .log = log };

	for (;;) {
		char *serial = cut_serial(word);

		if (serial)
			options.serial = serial;
		else if (cut_option(word, "ro"))
			options.read_only = true;
		else if (cut_option(word, "raw") || cut_option(word, "format=raw"))
			options.raw = true;
		else
			return options;
	}
}

/* A guest tells its disks apart by them. */
static int choose_serial(struct vm_devices *devices, struct vm_local_disk_options *options,
			 struct error *error)
{
	char *serial = devices->serials[devices->local_disk_count];

	int rc = options->serial ? serial_check(options->serial, error) : 0;

	if (rc) {
		error_prefix(error, "%s", options->path);
		return rc;
	}
	if (options->serial)
		snprintf(serial, SERIAL_TEXT, "%s", options->serial);
	else
		serial_of_file(options->path, serial);
	options->serial = serial;
	for (unsigned i = 0; i < devices->local_disk_count; i++)
		if (!strcmp(devices->serials[i], serial))
			return error_set(error, -EINVAL,
					 "%s: another disk has its serial number, %s",
					 options->path, serial);
	return 0;
}

static int add_image(struct vm_devices *devices, struct machine_device *device, char *word,
		     struct error *error)
{
	struct vm_local_disk_options options = parse_image(word, devices->log);
	int rc = choose_serial(devices, &options, error);

	if (rc)
		return rc;
	rc = vm_local_disk_start(&devices->local_disks[devices->local_disk_count], &options,
				 &device->fd, error);

	if (rc == 0)
		devices->local_disk_count++;
	if (rc == -ENOENT && strchr(word, ','))
		error_advise(error,
			     "options that may follow a file are ,ro, ,raw and ,serial=TEXT");
	return rc;
}

static int add_disk(struct vm_devices *devices, char *word, struct error *error)
{
	char *socket = after(word, VHOST_USER);
	struct machine_device *device = add(devices, MACHINE_DISK, socket ? socket : word, error);
	int rc;

	if (!device)
		return -EINVAL;
	if (!socket)
		return add_image(devices, device, word, error);
	rc = connect_to(device, socket, error);
	if (rc == -ENOENT && strstr(socket, ",ro"))
		error_advise(error, "a disk of a server's is read-only where the server says so");
	return rc;
}

int vm_devices_add_disks(struct vm_devices *devices, const struct cli_words *words,
			 struct error *error)
{
	int rc = 0;

	for (unsigned i = 0; i < words->count && !rc; i++)
		rc = add_disk(devices, words->words[i], error);
	return rc;
}

/* A switch between the guest and an interface of the host; *fd is the guest's end. */
static int start_tap(struct vm_devices *devices, const char *ifname, int *fd, struct error *error)
{
	CLEANUP(cleanup_vswitch) struct vswitch *vswitch = NULL;
	struct vswitch_options options = { .name = ifname, .log = devices->log };
	CLEANUP_CLOSE int front = -1;
	int pair[2], rc;

	rc = vswitch_create(&vswitch, &options, error);
	if (rc < 0)
		return rc;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set(error, -errno, "socketpair: %s", error_name(errno));
	front = pair[0];
	if ((rc = vswitch_add_port_vhost_user_fd(vswitch, "guest", pair[1], error)) < 0 ||
	    (rc = vswitch_add_port_tap(vswitch, "host", ifname, NULL, error)) < 0 ||
	    (rc = vswitch_start(vswitch, error)) < 0)
		return rc;
	devices->taps[devices->tap_count++] = steal_pointer(&vswitch);
	*fd = steal_fd(&front);
	return 0;
}

bool vm_devices_is_nic(const char *word)
{
	return !strncmp(word, VHOST_USER, strlen(VHOST_USER)) || !strncmp(word, TAP, strlen(TAP));
}

static int add_nic(struct vm_devices *devices, char *word, struct error *error)
{
	char *socket = after(word, VHOST_USER), *tap = after(word, TAP), *mac;
	struct machine_device *device;
	int rc;

	if (!socket && !tap)
		return error_set(error, -EINVAL,
				 "%s: no NIC, expected vhost-user:SOCKET or tap:IFNAME", word);
	mac = strstr(word, ",mac=");
	if (mac)
		*mac = '\0';
	device = add(devices, MACHINE_NIC, socket ? socket : tap, error);
	if (!device)
		return -EINVAL;
	ethernet_from_path(socket ? socket : word, devices->count, device->mac);
	if (mac) {
		rc = ethernet_parse(mac + strlen(",mac="), device->mac, error);
		if (rc < 0) {
			error_prefix(error, "--nic %s", word);
			return rc;
		}
	}
	if (tap)
		return start_tap(devices, tap, &device->fd, error);
	return connect_to(device, socket, error);
}

int vm_devices_add_nics(struct vm_devices *devices, const struct cli_words *words,
			struct error *error)
{
	int rc = 0;

	for (unsigned i = 0; i < words->count && !rc; i++)
		rc = add_nic(devices, words->words[i], error);
	return rc;
}

int vm_devices_attach(struct vm_devices *devices, struct machine *machine, struct error *error)
{
	int rc = 0;

	for (unsigned i = 0; i < devices->count && !rc; i++) {
		rc = machine_add_device(machine, &devices->devices[i], error);
		/* Of ours that is busy with another machine, its server knows. */
		if (rc == -EPROTO)
			served_explain(devices->devices[i].name, devices->devices[i].name, error);
		devices->devices[i].fd = -1;
	}
	return rc;
}

void vm_devices_close(struct vm_devices *devices)
{
	for (unsigned i = 0; i < devices->count; i++)
		cleanup_close(&devices->devices[i].fd);
	for (unsigned i = 0; i < devices->local_disk_count; i++)
		vm_local_disk_stop(devices->local_disks[i]);
	for (unsigned i = 0; i < devices->tap_count; i++)
		vswitch_destroy(devices->taps[i]);
	devices->count = devices->local_disk_count = devices->tap_count = 0;
}
