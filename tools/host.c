/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon host check`: what this host offers and lacks, and what that means for tenon. */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "tools/cli.h"
#include "tools/devices.h"
#include "tools/output.h"
#include "tools/spawn.h"
#include "vmm/machine.h"

static void add_row(json_t *rows, const char *what, bool there, const char *found,
		    const char *meaning)
{
	json_array_append_new(rows, json_pack("{s:s, s:b, s:s, s:s}", "feature", what, "available",
					      there, "found", found, "meaning", meaning));
}

static void check_kvm(json_t *rows)
{
	CLEANUP_CLOSE int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	struct error error = { 0 };
	uint64_t speed;
	char found[96];

	if (fd < 0) {
		snprintf(found, sizeof(found), "/dev/kvm: %s", error_name(errno));
		add_row(rows, "kvm", false, found,
			errno == EACCES ? "join the group that owns /dev/kvm to run machines"
					: "`tenon vm` cannot run machines here; QEMU's TCG can");
		return;
	}
	if (machine_kvm_speed(&speed, &error)) {
		add_row(rows, "kvm", false, error.text, "`tenon vm` cannot run machines here");
		return;
	}
	snprintf(found, sizeof(found), "API version %d, %.1f million instructions a second",
		 ioctl(fd, KVM_GET_API_VERSION, 0), (double)speed / 1e6);
	add_row(rows, "kvm", true, found,
		speed < MACHINE_KVM_SPEED_FOR_LINUX
			? "`tenon vm run` works, but is too slow for Linux here"
			: "`tenon vm run` can run machines");
}

static void check_uring(json_t *rows)
{
	struct io_uring ring;
	int rc = io_uring_queue_init(8, &ring, 0);

	if (!rc)
		io_uring_queue_exit(&ring);
	add_row(rows, "io_uring", !rc, rc ? error_name(rc) : "works",
		rc ? "disks are served through libaio instead, somewhat slower"
		   : "disks are served through io_uring");
}

static void check_tun(json_t *rows)
{
	CLEANUP_CLOSE int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	int rc = errno;

	add_row(rows, "tun", fd >= 0, fd >= 0 ? "/dev/net/tun opens" : error_name(rc),
		fd >= 0 ? "switches and machines can have TAP ports, with CAP_NET_ADMIN"
			: "no TAP ports; vhost-user ports work all the same");
}

static void check_user_namespaces(json_t *rows)
{
	FILE *file = fopen("/proc/sys/user/max_user_namespaces", "re");
	long most = 0;
	bool there = file && fscanf(file, "%ld", &most) == 1 && most > 0;

	if (file)
		fclose(file);
	add_row(rows, "user namespaces", there, there ? "allowed" : "not allowed",
		there ? "TAP ports without root: `unshare -rn`" : "TAP ports need root");
}

static void check_fuse(json_t *rows)
{
	CLEANUP_CLOSE int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	int rc = errno;
	bool helper = !geteuid() || spawn_finds("fusermount3");

	add_row(rows, "FUSE", fd >= 0 && helper,
		fd < 0   ? error_name(rc)
		: helper ? "/dev/fuse opens"
			 : "fusermount3 is not installed",
		fd < 0   ? "`tenon mount` does not work here: `modprobe fuse` as root"
		: helper ? "`tenon mount` shows volumes as files"
			 : "`tenon mount` needs the package fuse3, but for root");
}

static void check_host(json_t *rows)
{
	struct utsname name;

	if (!uname(&name))
		add_row(rows, "kernel", true, name.release, name.machine);
	check_kvm(rows);
	check_uring(rows);
	check_tun(rows);
	check_user_namespaces(rows);
	check_fuse(rows);
}

static int host_check(int argc, char **argv)
{
	static const struct cli_column columns[] = {
		{ "FEATURE", "feature", CLI_AS_TEXT },
		{ "AVAILABLE", "available", CLI_AS_TEXT },
		{ "FOUND", "found", CLI_AS_TEXT, 2 },
		{ "MEANING", "meaning", CLI_AS_NOTE },
		{ NULL },
	};
	struct cli_listing listing = { 0 };
	const struct cli_option options[] = { CLI_OPTIONS_LISTING(&listing), CLI_OPTION_END };
	struct cli_words operands;
	json_t *rows;
	int status;

	if (!cli_parse("host check [--json]", options, argc, argv, 0, 0, &operands, &status) ||
	    !cli_listing_check(&listing, columns, &status))
		return status;
	rows = json_array();
	check_host(rows);
	cli_print_result(rows, columns, NULL, &listing);
	json_decref(rows);
	return EXIT_DONE;
}

int command_host(int argc, char **argv)
{
	static const struct cli_verb verbs[] = {
		{ "check", host_check, "[--json]", "list features and what they mean" },
		{ NULL, NULL, NULL, NULL },
	};

	return cli_run_verb("host", verbs, argc, argv);
}
