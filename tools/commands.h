/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The nouns of the `tenon` command. Each has a file of its own with one function, which is given its
 * arguments from the noun on (argv[0] is the noun) and returns the exit status: 0 done, 1 failed (with
 * one message on standard error), 2 wrong usage, 3 done in a running server, which cannot serve the result.
 */
#ifndef TENON_TOOLS_COMMANDS_H
#define TENON_TOOLS_COMMANDS_H

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_NOT_SERVED = 3 };

typedef int command_fn(int argc, char **argv);

/* noun, function, summary */
#define COMMANDS(X)                                                                                \
	X("attach", command_attach, "a volume as a block device, for root")                        \
	X("copy", command_copy, "copy between files, arrays and volumes")                          \
	X("detach", command_detach, "end that")                                                    \
	X("device", command_device, "keep the list of devices to look at")                         \
	X("host", command_host, "what this host offers and lacks")                                 \
	X("image", command_image, "make disks for guests, and tell what is on them")               \
	X("link", command_link, "links of switches, bad on purpose")                               \
	X("lv", command_lv, "logical volumes")                                                     \
	X("mount", command_mount, "volumes as files, beside the machines that have them")          \
	X("nic", command_nic, "network interfaces: TAP, veth, bridges")                            \
	X("pv", command_pv, "physical volumes")                                                    \
	X("raid", command_raid, "md arrays")                                                       \
	X("serve", command_serve, "serve volumes and arrays over vhost-user-blk")                  \
	X("status", command_status, "what runs: servers, switches, machines, rebuilds")            \
	X("switch", command_switch, "run virtual switches")                                        \
	X("unmount", command_unmount, "end a mount")                                               \
	X("vg", command_vg, "volume groups")                                                       \
	X("vm", command_vm, "run virtual machines")

#define COMMAND_DECLARE(noun, function, summary) command_fn function;
COMMANDS(COMMAND_DECLARE)
#undef COMMAND_DECLARE

#endif
