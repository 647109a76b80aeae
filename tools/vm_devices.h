/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The devices of `tenon vm run`: what --disk and --nic say, turned into connected vhost-user sockets.
 *
 * A socket of somebody else's is connected to. For an image file the same back-end as that of
 * `tenon serve` runs on a worker thread of this process; for a TAP interface, a switch with two ports.
 */
#ifndef TENON_TOOLS_VM_DEVICES_H
#define TENON_TOOLS_VM_DEVICES_H

#include "tools/serial.h"
#include "tools/cli.h"
#include "vmm/machine.h"

struct vm_local_disk;
struct vswitch;

#define VM_DEVICES_MAX 31u

struct vm_devices {
	struct log *log;
	unsigned count;
	struct machine_device devices[VM_DEVICES_MAX]; /* fd is -1 once a machine has taken it */
	unsigned local_disk_count;
	struct vm_local_disk *local_disks[VM_DEVICES_MAX];
	char serials[VM_DEVICES_MAX][SERIAL_TEXT]; /* of local disks */
	unsigned tap_count;
	struct vswitch *taps[VM_DEVICES_MAX];
};

/*
 * Adds disks and NICs: "FILE", with ",ro" (read-only), ",raw" (whatever it looks like) and ",serial=TEXT" behind it if
 * wanted, or "vhost-user:SOCKET" for a disk; "vhost-user:SOCKET" or "tap:IFNAME"
 * for a NIC, with ",mac=XX:XX:XX:XX:XX:XX" behind it if wanted. Otherwise a NIC's address is made from
 * the rest and this host's machine id, so that it stays the same. -EINVAL for what is not understood,
 * and errors of connecting and opening. vm_devices_close() is due in any case.
 */
int vm_devices_add_disks(struct vm_devices *devices, const struct cli_words *words,
			 struct error *error);
int vm_devices_add_nics(struct vm_devices *devices, const struct cli_words *words,
			struct error *error);

/* Whether a word is a NIC, as far as can be told from its form. */
bool vm_devices_is_nic(const char *word);

/* Hands all of them to the machine. */
int vm_devices_attach(struct vm_devices *devices, struct machine *machine, struct error *error);

/* Ends what runs here, once the machine is gone. */
void vm_devices_close(struct vm_devices *devices);

/* An image file or block device. One in a format of its own (qcow2 and the like) is refused unless `raw`. */
struct vm_local_disk_options {
	const char *path;
	bool read_only; /* shares the file with other readers */
	bool raw;
	const char *serial; /* what the guest is told; NULL: serial_of_file() */
	struct log *log;
};

/* Starts the back-end on a thread of its own; *fd is the front-end's socket. Stopping waits for its end; the
 * front-end must have hung up. `options` is copied, its strings are not. */
int vm_local_disk_start(struct vm_local_disk **out, const struct vm_local_disk_options *options,
			int *fd, struct error *error);
void vm_local_disk_stop(struct vm_local_disk *disk);

#endif
