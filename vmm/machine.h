/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtual machine: the folder's main header.
 *
 *	machine_create()      memory, serial port, PCI bus, power registers; nothing runs
 *	machine_add_device()  virtio devices whose back-end is a connected vhost-user socket
 *	machine_run()         powers on, and returns when the guest has powered off
 *	machine_destroy()
 *
 * The monitor is not on the data path: guest doorbells go from KVM to the back-end by eventfd, and
 * interrupts from the back-end to KVM by eventfd. What is left to it is configuration, the console
 * and the clockwork below:
 *
 *	vcpu.c         a thread per processor; hands accesses to the buses (bus.c)
 *	boot_source.c  keeps kernel and initial RAM disk
 *	boot_linux.c   puts a kernel into memory; acpi.c, aml.c describe the machine to it
 *	pci.c          configuration space; virtio_pci.c and msix.c are a function on it
 *	machine_devices.c    back-ends that hang up and come back while the guest runs
 *	vhost_user_device.c  virtio device operations over a vhost-user connection
 *	serial.c, console.c  the console, as the guest and as the host sees it; console_output.c writes it
 *	power.c        power-off, reset, power button; panic.c, where the guest says that it panicked
 *	kvm.c, kvm_interrupts.c  /dev/kvm; the rest knows only interrupts.h
 *	cpuid.c        what the processors say of themselves; sandbox.c, what their threads may do
 *	layout.h       every address
 *
 * A reset is complete: processors, interrupt controllers, devices and back-ends start as after
 * power-on, memory is zero, and kernel and initial RAM disk are those that the machine was made with.
 *
 * Threads: the caller's, in machine_run(), waits for input, back-ends that hang up, and requests; one
 * for each vCPU; one writes the console's output. A device has a lock of its own. Order of locks: PCI bus, device, interrupt routes.
 */
#ifndef TENON_VMM_MACHINE_H
#define TENON_VMM_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct log;
struct machine;

enum machine_policy {
	MACHINE_RESTART,
	MACHINE_EXIT,
	MACHINE_IGNORE, /* a panic only: the guest goes on with whatever it does then */
};

struct machine_options {
	const char *kernel;                    /* path of a bzImage */
	const char *initrd;                    /* path, or NULL */
	const char *kernel_name, *initrd_name; /* for messages; NULL: the paths */
	const char *cmdline;                   /* NULL: "console=ttyS0" */
	uint64_t memory;                       /* bytes */
	unsigned cpus;
	const char *console; /* "stdio" or a path; NULL: "stdio" */
	bool force;          /* a path of the console may be a file with a signature */
	enum machine_policy on_reboot, on_panic;
	struct log *log;
};

/* Checks the options and makes the machine; strings are copied. -EINVAL and what /dev/kvm, memory and
 * the console file give, with `error` set. */
int machine_create(struct machine **out, const struct machine_options *options,
		   struct error *error);
/* NULL is fine. Not while it runs. */
void machine_destroy(struct machine *machine);

enum machine_device_type { MACHINE_DISK, MACHINE_NIC };

struct machine_device {
	enum machine_device_type type;
	const char *name; /* for messages: the socket's path */
	int fd;           /* a connected vhost-user socket, taken over also when it fails */
	uint8_t mac[6];   /* of a NIC */

	/* Optional: makes a new connection when the back-end had hung up and the guest restarts; an fd
	 * or a negative errno with `error` set. On the thread of machine_run(). */
	int (*connect)(void *context, struct error *error);
	void *connect_context;
};

/* Puts a device on the PCI bus, in the order of the calls. Before machine_run(). */
int machine_add_device(struct machine *machine, const struct machine_device *device,
		       struct error *error);

enum machine_end {
	MACHINE_END_NOT_STARTED,
	MACHINE_END_FAILED,    /* KVM's failure, or it could not be started again */
	MACHINE_END_POWER_OFF, /* by the guest */
	MACHINE_END_REBOOT,    /* by the guest, which on_reboot makes the end */
	MACHINE_END_CRASH,   /* the same by a triple fault: a crash, or how some systems restart */
	MACHINE_END_PANIC,   /* told by the guest, which on_panic makes the end */
	MACHINE_END_STOPPED, /* by machine_stop() */
	MACHINE_END_QUIT,    /* by Ctrl-A x on the console */
};

/*
 * Runs the machine on the calling thread and others until it ends; a reset by the guest starts it again, if
 * on_reboot says so. The first two ends are failures: a negative errno with `error` set.
 */
int machine_run(struct machine *machine, enum machine_end *end, struct error *error);

/* From any thread: ask the guest to power off; switch it off. */
void machine_press_power_button(struct machine *machine);
void machine_stop(struct machine *machine);

/* From any thread: gives the terminal back, for a process that is about to die; the process was stopped
 * (SIGSTOP) and goes on, so that the terminal may be in another state. */
void machine_leave_terminal(struct machine *machine);
void machine_continued(struct machine *machine);

/*
 * How fast this host's KVM runs guest code, in instructions per second, by a loop in a guest without
 * devices, in about 50 ms. Hardware gives 10^9 and more; a KVM that interprets gives some 10^6, on
 * which Linux takes hours to boot. Errors as of machine_create().
 */
int machine_kvm_speed(uint64_t *instructions_per_second, struct error *error);

/* Below this, starting a Linux guest is pointless. */
#define MACHINE_KVM_SPEED_FOR_LINUX 30000000ULL

#endif
