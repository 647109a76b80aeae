/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Extended attributes of an archive's files, taken to an ext4 file system that was made of them: capabilities (ping has one in place of
 * being root's own), and what users wrote. fakeroot does not remember them, and mke2fs -d would take them from the folder,
 * where only root may set capabilities.
 */
#ifndef TENON_TOOLS_IMAGE_ATTRIBUTES_H
#define TENON_TOOLS_IMAGE_ATTRIBUTES_H

#include <stddef.h>
#include <stdint.h>

struct error;

struct image_attributes {
	struct image_attribute {
		char *path, *name;
		void *value;
		size_t length;
	} * all;
	size_t count;
};

/* Of a tar archive (PAX, as GNU tar writes it): "security.capability" and "user.*". 0 or a negative errno with `error` set. */
int image_attributes_read(struct image_attributes *attributes, const char *archive,
			  struct error *error);
/* Onto the files of these names, as far as they are there, of the ext4 file system at byte `offset` of the file `disk`. */
int image_attributes_set(const struct image_attributes *attributes, const char *disk,
			 uint64_t offset, struct error *error);
void image_attributes_free(struct image_attributes *attributes); /* a zeroed one is fine */

#endif
