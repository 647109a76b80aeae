/* `tenon vm run`: a KVM machine with our own monitor. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "tools/cli.h"
#include "tools/vm_devices.h"
#include "util/log.h"
#include "vmm/layout.h"
#include "vmm/machine.h"

/* How long a guest has to power off after a polite signal. */
#define GRACE_SECONDS 10

/* ---- Signals: SIGTERM, SIGINT and SIGHUP press the power button, then switch off ---- */

struct signals {
	struct machine *machine;
	sigset_t set;
	pthread_t thread;
	_Atomic bool done, forced;
};

static void *watch_signals(void *argument)
{
	const struct timespec grace = { .tv_sec = GRACE_SECONDS };
	struct signals *signals = argument;
	int number;

	sigwait(&signals->set, &number);
	if (atomic_load(&signals->done))
		return NULL;
	machine_press_power_button(signals->machine);
	sigtimedwait(&signals->set, NULL, &grace);
	if (atomic_load(&signals->done))
		return NULL;
	atomic_store(&signals->forced, true);
	machine_stop(signals->machine);
	return NULL;
}

/* Before any other thread is made, so that all of them leave these signals alone. */
static void block_signals(struct signals *signals)
{
	sigemptyset(&signals->set);
	sigaddset(&signals->set, SIGTERM);
	sigaddset(&signals->set, SIGINT);
	sigaddset(&signals->set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &signals->set, NULL);
}

static int run_with_signals(struct signals *signals, enum machine_end *end, struct error *error)
{
	int rc = pthread_create(&signals->thread, NULL, watch_signals, signals);

	if (rc)
		return error_set(error, -rc, "cannot start a thread: %s", error_name(rc));
	rc = machine_run(signals->machine, end, error);
	atomic_store(&signals->done, true);
	pthread_kill(signals->thread, SIGHUP);
	pthread_join(signals->thread, NULL);
	if (!rc && *end == MACHINE_END_STOPPED && atomic_load(&signals->forced))
		return error_set(error, -ETIMEDOUT,
				 "the guest did not power off when asked to, and was switched off");
	return rc;
}

/* ---- run ---- */

static const char run_usage[] =
	"vm run --kernel FILE [--initrd FILE] [--cmdline TEXT] [--memory 256M] [--cpus 1]\n"
	"	[--disk FILE|vhost-user:SOCKET]... [--nic vhost-user:SOCKET|tap:IFNAME]...\n"
	"	[--console stdio|FILE]";

struct run {
	struct machine_options machine;
	struct cli_words disks, nics;
	struct signals signals;
	struct vm_devices devices;
};

static int make_devices(struct run *run, struct error *error)
{
	int rc = vm_devices_add_disks(&run->devices, &run->disks, error);

	if (!rc)
		rc = vm_devices_add_nics(&run->devices, &run->nics, error);
	if (!rc)
		rc = vm_devices_attach(&run->devices, run->signals.machine, error);
	return rc;
}

/* A KVM that interprets is no reason not to start, but people should know why nothing happens. */
static void warn_if_slow(void)
{
	uint64_t speed;

	if (machine_kvm_speed(&speed, NULL) == 0 && speed < MACHINE_KVM_SPEED_FOR_LINUX)
		cli_note("this host's KVM runs %.1f million instructions a second: it interprets "
			 "guest code, and Linux will take very long to boot",
			 (double)speed / 1e6);
}

static int run_machine(struct run *run, struct error *error)
{
	enum machine_end end;
	int rc;

	block_signals(&run->signals);
	rc = machine_create(&run->signals.machine, &run->machine, error);
	if (rc < 0)
		return rc;
	rc = make_devices(run, error);
	if (rc >= 0) {
		warn_if_slow();
		rc = run_with_signals(&run->signals, &end, error);
	}
	machine_destroy(run->signals.machine);
	vm_devices_close(&run->devices);
	return rc;
}

static int run(int argc, char **argv)
{
	struct run run = { .machine.console = "stdio" };
	struct machine_options *machine = &run.machine;
	uint64_t memory = 256ULL << 20, cpus = 1;
	struct log log;
	const struct cli_option options[] = {
		{ "kernel", CLI_TEXT, &machine->kernel, "FILE", "the kernel: a bzImage" },
		{ "initrd", CLI_TEXT, &machine->initrd, "FILE", "its initial RAM disk" },
		{ "cmdline", CLI_TEXT, &machine->cmdline, "TEXT",
		  "kernel parameters (console=ttyS0)" },
		{ "memory", CLI_SIZE, &memory, "SIZE", "of the machine (256M)",
		  LAYOUT_MEMORY_MINIMUM, 0 },
		{ "cpus", CLI_NUMBER, &cpus, "N", "processors (1)", 1, LAYOUT_CPUS_MAX },
		{ "disk", CLI_LIST, &run.disks, "FILE|vhost-user:SOCKET",
		  "a disk, /dev/vda and so on: an image or a server's socket" },
		{ "nic", CLI_LIST, &run.nics, "vhost-user:SOCKET|tap:IFNAME",
		  "a NIC, on a port of a switch or an interface of this host; ,mac=XX:... may "
		  "follow" },
		{ "console", CLI_TEXT, &machine->console, "stdio|FILE",
		  "where the serial console goes; on a terminal Ctrl-A x ends the machine" },
		{ 0 },
	};
	struct cli_words operands;
	struct error error = { 0 };
	int status, rc;

	if (!cli_parse(run_usage, options, argc, argv, 0, 0, &operands, &status))
		return status;
	if (!machine->kernel)
		return cli_usage_error("--kernel is missing");
	for (unsigned i = 0; i < run.nics.count; i++)
		if (!vm_devices_is_nic(run.nics.words[i]))
			return cli_usage_error("--nic %s: expected vhost-user:SOCKET or tap:IFNAME",
					       run.nics.words[i]);
	log_to_stderr(&log, LOG_LEVEL_WARNING);
	machine->log = run.devices.log = &log;
	machine->memory = memory;
	machine->cpus = (unsigned)cpus;
	rc = run_machine(&run, &error);
	return rc < 0 ? cli_fail(rc, &error) : EXIT_DONE;
}

int command_vm(int argc, char **argv)
{
	static const struct cli_verb verbs[] = {
		{ "run", run, "--kernel FILE [OPTION]...", "boot a machine on this console" },
		{ 0 },
	};

	return cli_run_verb("vm", verbs, argc, argv);
}
