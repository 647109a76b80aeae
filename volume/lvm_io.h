/* SPDX-License-Identifier: BSD-2-Clause */
/* Small helpers of the LVM2 format code: checksums, UUIDs, transfers at any byte. */
#ifndef TENON_VOLUME_LVM_IO_H
#define TENON_VOLUME_LVM_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct block;
struct error;
struct random;

/* LVM2's CRC: that of zlib with another start and no final inversion (lib/misc/crc.c). `crc` is
 * LVM_CRC_INITIAL, or what an earlier piece gave. */
uint32_t lvm_crc(uint32_t crc, const void *at, size_t length);

/* As block_read() and block_write(), at any byte: labels and headers are in units of 512 bytes, whatever
 * the device's logical blocks are. A write of part of a logical block reads the rest first. */
int lvm_read(struct block *block, uint64_t offset, void *at, uint64_t length, struct error *error);
int lvm_write(struct block *block, uint64_t offset, const void *at, uint64_t length,
	      struct error *error);
int lvm_flush(struct block *block, struct error *error);

/* "teYCEr-c97o-..." of 32 bytes on disk; false when a byte is none that a UUID may have. */
bool lvm_uuid_from_disk(char text[39], const uint8_t disk[32]);
void lvm_uuid_to_disk(uint8_t disk[32], const char *text);
/* Whether `text` is a UUID with hyphens in their places. */
bool lvm_uuid_valid(const char *text);
void lvm_uuid_generate(char text[39], struct random *random);

#endif
