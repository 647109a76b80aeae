/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Serial numbers of disks: what a guest reads from its disk (/dev/disk/by-id/virtio-SERIAL, lsblk -o SERIAL) and
 * tells it apart by. virtio has room for 20 bytes, and names cut to 20 are often the same; so they are made of the
 * UUIDs, are the same at each start and after a rename, and differ in a copied group once that has UUIDs of its own
 * (vgimportclone changes the group's, not the volumes').
 */
#ifndef TENON_TOOLS_SERIAL_H
#define TENON_TOOLS_SERIAL_H

#include <stdint.h>

struct error;
struct volume_group;
struct volume_lv;

#define SERIAL_BYTES 20
#define SERIAL_TEXT  (SERIAL_BYTES + 1)

/* 20 characters of a to z and 2 to 7: 100 bits of a hash. All return `serial`. */
const char *serial_of_volume(const struct volume_group *group, const struct volume_lv *lv,
			     char serial[SERIAL_TEXT]);
const char *serial_of_array(const uint8_t set_uuid[16], char serial[SERIAL_TEXT]);

/* Of an image or a device that a machine has by itself: of its path, symbolic links resolved. */
const char *serial_of_file(const char *path, char serial[SERIAL_TEXT]);

/* One that a person chose: 1 to 20 letters, digits, and "-._+:@#", of which udev makes a file name as they
 * are. 0, or -EINVAL with `error` set. */
int serial_check(const char *serial, struct error *error);

#endif
