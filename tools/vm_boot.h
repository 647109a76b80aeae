/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon vm run` without --kernel: what the first disk has to boot. See image_boot.h. */
#ifndef TENON_TOOLS_VM_BOOT_H
#define TENON_TOOLS_VM_BOOT_H

#include "tools/cli.h"
#include "vmm/machine.h"

/* Files in memory, for as long as the machine is made. */
struct vm_boot {
	int kernel, initrd; /* -1: none */
	char kernel_path[32], initrd_path[32];
	char *kernel_name, *initrd_name, *cmdline;
};
#define VM_BOOT_NONE ((struct vm_boot){ .kernel = -1, .initrd = -1 })

/* Reads kernel, initial RAM disk and, unless `machine` has them, the parameters from the disk `word` (as --disk has it), and
 * has `machine` point at them. An exit status; of a failure people were told. */
int vm_boot_from_disk(struct vm_boot *boot, struct machine_options *machine,
		      const struct cli_words *given, const char *word);
void vm_boot_free(struct vm_boot *boot);

#endif
