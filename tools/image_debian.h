/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside of `tenon image build debian`:
 *
 *	image_debian.c	the steps, one after the other, in the temporary folder
 *	image_apt.c	where the host's apt has Debian from
 *	image_tree.c	what tells the new system who and where it is
 *
 * mmdebstrap installs the packages as the user (in a user namespace, or by fakechroot) and gives an archive. That is unpacked
 * under fakeroot, which remembers whose the files are, changed, and put into an ext4 file system by mke2fs, again under fakeroot. The
 * ESP gets systemd-boot, the kernel and its initial RAM disk.
 */
#ifndef TENON_TOOLS_IMAGE_DEBIAN_H
#define TENON_TOOLS_IMAGE_DEBIAN_H

#include <stdint.h>

struct error;
struct image_identity;

#define IMAGE_ENTRY_TOKEN "debian" /* of kernel-install: its folder on the ESP */

struct image_debian {
	const char *suite, *packages, *mirror, *kernel; /* the user's words; NULL: not said */
	struct image_identity *identity;
};

/* Makes TEMPORARY/disk of `size` bytes. */
int image_debian_make(const char *temporary, const struct image_debian *debian, uint64_t size,
		      struct error *error);
/* Whether these are words that can be a suite, packages, a mirror: -EINVAL with `error` set. */
int image_debian_check(const struct image_debian *debian, struct error *error);

/* ---- image_apt.c ---- */

/* "deb URI SUITE main" lines, NULL-terminated (image_list_free()): of `mirror`, or of what this host's apt is configured with. Users and
 * passwords are not in them but in *auth, in the words of apt_auth.conf(5), which the caller frees; also where it fails. */
int image_apt_sources(const char *temporary, const char *suite, const char *mirror, char ***lines,
		      char **auth, struct error *error);
/* The proxy that it goes through, or NULL; the caller frees it. */
char *image_apt_proxy(const char *temporary);

/* ---- image_tree.c ---- */

struct image_layout {
	char root_uuid[40], esp_uuid[40]; /* of the partitions */
	uint64_t root_start, root_length, esp_start, esp_length;
	char cmdline[160];
};

int image_tree_set(const char *path, const struct image_identity *identity,
		   const struct image_layout *layout, struct error *error);

#endif
