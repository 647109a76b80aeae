/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon vm run`: a KVM machine with our own monitor. */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>

#include "tools/cli.h"
#include "tools/describe.h"
#include "tools/devices.h"
#include "tools/vm_boot.h"
#include "tools/vm_control.h"
#include "tools/vm_devices.h"
#include "tools/vm_signals.h"
#include "tools/vm_volumes.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/size.h"
#include "vmm/layout.h"
#include "vmm/machine.h"

static const char run_usage[] =
	"vm run [--kernel FILE] [--initrd FILE] [--cmdline TEXT] [--memory 256M] [--cpus 1]\n"
	"	[--disk FILE[,ro][,raw]|VG/LV|vhost-user:SOCKET]... [--nic "
	"vhost-user:SOCKET|tap:IFNAME]...\n"
	"	[--console stdio|FILE] [--on-reboot restart|exit] [--on-panic exit|restart|ignore] "
	"[--force]";

/* Exit statuses, besides 0 for a guest that powered off and 2 for wrong usage. */
enum {
	EXIT_NOT_STARTED = EXIT_FAILED,
	EXIT_REBOOT = 3,
	EXIT_PANIC = 4,
	EXIT_SWITCHED_OFF = 5,
	EXIT_BROKEN = 6, /* it ran, and could not go on */
};

struct vm_run {
	struct machine_options machine;
	struct cli_words given, disks, nics;
	struct cli_words disks_said; /* as the user says them */
	struct vm_volumes volumes;
	struct vm_boot boot;
	struct vm_signals signals;
	struct vm_devices devices;
	struct machine *vm;
	json_t *description; /* as `tenon status` shows it */
};

static json_t *describe_words(const struct cli_words *words)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < words->count; i++)
		json_array_append_new(list, describe_text(words->words[i]));
	return list;
}

static json_t *describe_file(const char *name, const char *path)
{
	return name ? describe_text(name) : describe_path(path);
}

/* Before the words are taken apart. */
static json_t *describe_machine(const struct vm_run *run)
{
	const struct machine_options *machine = &run->machine;

	return json_pack("{s:o, s:o, s:o, s:I, s:i, s:o, s:o, s:o}", "kernel",
			 describe_file(machine->kernel_name, machine->kernel), "initrd",
			 describe_file(machine->initrd_name, machine->initrd), "cmdline",
			 describe_text(machine->cmdline), "memory_bytes",
			 (json_int_t)machine->memory, "cpus", (int)machine->cpus, "disks",
			 describe_words(&run->disks_said), "nics", describe_words(&run->nics),
			 "console",
			 strcmp(machine->console, "stdio") ? describe_path(machine->console)
							   : json_string("stdio"));
}

static int make_devices(struct vm_run *run, struct error *error)
{
	int rc = vm_devices_add_disks(&run->devices, &run->disks, error);

	if (!rc)
		rc = vm_devices_add_nics(&run->devices, &run->nics, error);
	if (!rc)
		rc = vm_devices_attach(&run->devices, run->vm, error);
	return rc;
}

/* A KVM that interprets is no reason not to start, but people should know why nothing happens. */
static void warn_if_slow(void)
{
	uint64_t speed;

	if (machine_kvm_speed(&speed, NULL) == 0 && speed < MACHINE_KVM_SPEED_FOR_LINUX)
		cli_warn("this host's KVM runs %.1f million instructions a second: it interprets "
			 "guest code, and Linux will take very long to boot",
			 (double)speed / 1e6);
}

/* Each queue of a disk takes some open files on either side, and a disk in this process takes both. */
static void allow_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* Memory is taken when the guest uses it, so that too much of it is noticed late. */
static void warn_if_large(uint64_t memory)
{
	char wanted[SIZE_TEXT], there[SIZE_TEXT];
	struct sysinfo host;

	if (sysinfo(&host) || memory <= ((uint64_t)host.totalram + host.totalswap) * host.mem_unit)
		return;
	cli_warn(
		"the machine has %s of memory, this host %s with its swap: once the guest uses it, "
		"something will be killed",
		size_format(memory, wanted),
		size_format(((uint64_t)host.totalram + host.totalswap) * host.mem_unit, there));
}

static void run_machine(struct vm_run *run, enum machine_end *end, struct error *error)
{
	allow_files();
	if (machine_create(&run->vm, &run->machine, error) < 0)
		return;
	if (make_devices(run, error) >= 0) {
		struct vm_control *control =
			vm_control_start(steal_pointer(&run->description), run->devices.log);

		warn_if_slow();
		warn_if_large(run->machine.memory);
		vm_signals_watch(&run->signals, run->vm);
		(void)machine_run(run->vm, end, error); /* `end` tells */
		vm_signals_watch(&run->signals, NULL);
		vm_control_stop(control);
	}
	machine_destroy(run->vm);
	vm_devices_close(&run->devices);
}

/* Tells the ends apart, for scripts by the status and for people in words. */
static int exit_status(const struct vm_run *run, enum machine_end end, const struct error *error)
{
	switch (end) {
	case MACHINE_END_POWER_OFF:
		return EXIT_DONE;
	case MACHINE_END_NOT_STARTED:
		cli_fail(error->code, error);
		return EXIT_NOT_STARTED;
	case MACHINE_END_FAILED:
		cli_fail(error->code, error);
		return EXIT_BROKEN;
	case MACHINE_END_REBOOT:
		cli_note("the guest rebooted");
		return EXIT_REBOOT;
	case MACHINE_END_CRASH:
		cli_note("the guest reset itself by a triple fault: it crashed, or reboots that "
			 "way");
		return EXIT_REBOOT;
	case MACHINE_END_PANIC:
		cli_note("the machine ends, for its guest's kernel panicked");
		return EXIT_PANIC;
	case MACHINE_END_QUIT:
		cli_note("the machine was switched off at the console");
		return EXIT_SWITCHED_OFF;
	case MACHINE_END_STOPPED:
		break;
	}
	cli_note(run->signals.signals > 1
			 ? "the machine was switched off by a second signal"
			 : "the guest did not power off when asked to, and was switched off");
	return EXIT_SWITCHED_OFF;
}

static int parse_policy(const char *option, const char *word, bool may_ignore,
			enum machine_policy *policy)
{
	if (!strcmp(word, "restart"))
		*policy = MACHINE_RESTART;
	else if (!strcmp(word, "exit"))
		*policy = MACHINE_EXIT;
	else if (!strcmp(word, "ignore") && may_ignore)
		*policy = MACHINE_IGNORE;
	else
		return cli_usage_error("--%s %s: expected restart%s", option, word,
				       may_ignore ? ", exit or ignore" : " or exit");
	return EXIT_DONE;
}

/* What the form of the words tells, before anything is opened. */
static int check_words(struct vm_run *run, const char *on_reboot, const char *on_panic)
{
	int status;

	if (!run->machine.kernel && run->machine.initrd)
		return cli_usage_error("--initrd: of which kernel? --kernel is missing");
	if (!run->machine.kernel && !run->disks.count)
		return cli_usage_error("--kernel is missing, and there is no --disk to boot from");
	for (unsigned i = 0; i < run->nics.count; i++)
		if (!vm_devices_is_nic(run->nics.words[i]))
			return cli_usage_error("--nic %s: expected vhost-user:SOCKET or tap:IFNAME",
					       run->nics.words[i]);
	if (run->machine.force && !strcmp(run->machine.console, "stdio"))
		return cli_usage_error(
			"--force: it is about a file of --console, which is not given");
	status = parse_policy("on-reboot", on_reboot, false, &run->machine.on_reboot);
	return status ? status : parse_policy("on-panic", on_panic, true, &run->machine.on_panic);
}

/* Volumes are served, and what the first disk boots is known. An exit status. */
static int prepare(struct vm_run *run)
{
	int status;

	for (unsigned i = 0; i < run->disks.count; i++)
		cli_words_add(&run->disks_said, cli_keep_text(run->disks.words[i]));
	status = vm_volumes_start(&run->volumes, &run->given, &run->disks);
	if (!status && !run->machine.kernel)
		status = vm_boot_from_disk(&run->boot, &run->machine, &run->given,
					   run->disks_said.words[0]);
	return status;
}

static int run(int argc, char **argv)
{
	struct vm_run run = { .machine.console = "stdio",
			      .volumes = VM_VOLUMES_NONE,
			      .boot = VM_BOOT_NONE };
	enum machine_end end = MACHINE_END_NOT_STARTED;
	const char *on_reboot = "restart", *on_panic = "exit";
	struct machine_options *machine = &run.machine;
	uint64_t memory = 256ULL << 20, cpus = 1;
	struct log log;
	const struct cli_option options[] = {
		{ "kernel", CLI_TEXT, &machine->kernel, "FILE",
		  "the kernel: a bzImage; else that of the first disk" },
		{ "initrd", CLI_TEXT, &machine->initrd, "FILE", "its initial RAM disk" },
		{ "cmdline", CLI_TEXT, &machine->cmdline, "TEXT",
		  "kernel parameters (console=ttyS0; of a disk, its own)" },
		{ "memory", CLI_SIZE, &memory, "SIZE", "of the machine (256M)",
		  LAYOUT_MEMORY_MINIMUM, 0 },
		{ "cpus", CLI_NUMBER, &cpus, "N", "processors (1)", 1, LAYOUT_CPUS_MAX },
		{ "disk", CLI_LIST, &run.disks, "FILE|VG/LV|vhost-user:SOCKET",
		  "a disk, /dev/vda and so on: an image, a volume or array, a server's socket; ,ro "
		  "and ,raw may follow an image" },
		{ "nic", CLI_LIST, &run.nics, "vhost-user:SOCKET|tap:IFNAME",
		  "a NIC, on a port of a switch or an interface of this host; ,mac=XX:... may "
		  "follow" },
		{ "console", CLI_TEXT, &machine->console, "stdio|FILE",
		  "where the serial console goes; on a terminal Ctrl-A x ends the machine" },
		{ "on-reboot", CLI_TEXT, &on_reboot, "restart|exit",
		  "what a reboot of the guest does (restart)" },
		{ "on-panic", CLI_TEXT, &on_panic, "exit|restart|ignore",
		  "what a panic of its kernel does, where it tells (exit)" },
		{ "force", CLI_FLAG, &machine->force, NULL,
		  "add to a console file that looks like something else" },
		CLI_OPTION_DEVICE(&run.given),
		{ 0 },
	};
	struct cli_words operands;
	struct error error = { 0 };
	int status, rc;

	if (!cli_parse(run_usage, options, argc, argv, 0, 0, &operands, &status))
		return status;
	status = check_words(&run, on_reboot, on_panic);
	if (status != EXIT_DONE)
		return status;
	log_to_stderr(&log, LOG_LEVEL_WARNING);
	machine->log = run.devices.log = &log;
	machine->memory = memory;
	machine->cpus = (unsigned)cpus;
	status = prepare(&run);
	rc = status ? 0 : vm_signals_start(&run.signals, &error);
	if (rc < 0)
		status = cli_fail(rc, &error);
	if (!status) {
		run.description = describe_machine(&run);
		run_machine(&run, &end, &error);
		json_decref(run.description);
		vm_signals_stop(&run.signals);
		status = exit_status(&run, end, &error);
	}
	vm_boot_free(&run.boot);
	vm_volumes_stop(&run.volumes);
	return status;
}

int command_vm(int argc, char **argv)
{
	static const struct cli_verb verbs[] = {
		{ "run", run, "[--kernel FILE] [--disk VG/LV] [OPTION]...",
		  "boot a machine on this console" },
		{ 0 },
	};

	return cli_run_verb("vm", verbs, argc, argv);
}
