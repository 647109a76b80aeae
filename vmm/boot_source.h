/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a machine is started with: copies of its kernel and its initial RAM disk, made once. A restart of
 * the guest uses them again, whatever has become of the files meanwhile: replaced by an upgrade,
 * overwritten in place, gone. A copy is a sealed memfd, mapped for reading only: it costs the host as much
 * memory as the files are long, which can be swapped out.
 */
#ifndef TENON_VMM_BOOT_SOURCE_H
#define TENON_VMM_BOOT_SOURCE_H

#include <stddef.h>
#include <stdint.h>

struct error;
struct machine_options;

struct boot_file {
	char *name; /* its path, for messages */
	const uint8_t *bytes;
	size_t size;
};

/* Zeroed: nothing. */
struct boot_source {
	struct boot_file kernel;
	struct boot_file initrd; /* `bytes` is NULL if there is none */
};

/* Copies both. Never waits for a FIFO or a device. Errors of open() and read(),
 * -EINVAL (no regular file, or empty), -EFBIG, -ENOMEM, with `error` set; closing is due in any case. */
int boot_source_open(struct boot_source *source, const struct machine_options *options,
		     struct error *error);
void boot_source_close(struct boot_source *source);

#endif
