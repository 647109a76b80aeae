/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the fields of a GUID partition table are: UEFI specification 2.10, 5.3.2 and 5.3.3. Little-endian. */
#ifndef TENON_BLOCK_GPT_FORMAT_H
#define TENON_BLOCK_GPT_FORMAT_H

#include <stdint.h>

#define GPT_MAGIC       "EFI PART"
#define GPT_REVISION    0x10000u
#define GPT_SECTOR_MOST 4096u
#define GPT_LIST_MOST   (128u << 10) /* bytes of entries that are believed; usual are 16 KiB */

/* The header. */
#define GPT_HEADER_BYTES 92u
#define GPT_REVISION_AT  8
#define GPT_HEADER_SIZE  12
#define GPT_HEADER_CRC   16
#define GPT_AT           24
#define GPT_OTHER        32
#define GPT_FIRST_USABLE 40
#define GPT_LAST_USABLE  48
#define GPT_DISK_ID      56
#define GPT_ENTRIES_AT   72
#define GPT_COUNT        80
#define GPT_ENTRY_SIZE   84
#define GPT_LIST_CRC     88

/* An entry, whose type is first. */
#define GPT_ENTRY_BYTES 128u
#define GPT_ID          16
#define GPT_FIRST       32
#define GPT_LAST        40
#define GPT_ENTRY_NAME  56
#define GPT_NAME_UNITS  36u

static inline uint64_t gpt_list_sectors(uint32_t count, uint32_t size, uint32_t sector)
{
	return ((uint64_t)count * size + sector - 1) / sector;
}

#endif
