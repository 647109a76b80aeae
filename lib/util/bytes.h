/* SPDX-License-Identifier: BSD-2-Clause */
/* Little- and big-endian integers at any alignment, and a few sums that must not wrap. */
#ifndef TENON_UTIL_BYTES_H
#define TENON_UTIL_BYTES_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BYTES_DEFINE_(bits, order)                                                                 \
	static inline uint##bits##_t get_##order##bits(const void *at)                             \
	{                                                                                          \
		uint##bits##_t value;                                                              \
		memcpy(&value, at, sizeof(value));                                                 \
		return order##bits##toh(value);                                                    \
	}                                                                                          \
	static inline void put_##order##bits(void *at, uint##bits##_t value)                       \
	{                                                                                          \
		value = hto##order##bits(value);                                                   \
		memcpy(at, &value, sizeof(value));                                                 \
	}

/* get_le16(at), put_le16(at, value), ... get_be64(at), put_be64(at, value) */
BYTES_DEFINE_(16, le)
BYTES_DEFINE_(32, le)
BYTES_DEFINE_(64, le)
BYTES_DEFINE_(16, be)
BYTES_DEFINE_(32, be)
BYTES_DEFINE_(64, be)

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define MIN(a, b)         ((a) < (b) ? (a) : (b))
#define MAX(a, b)         ((a) > (b) ? (a) : (b))

#define container_of(at, type, member)                                                             \
	((type *)((char *)(1 ? (at) : &((type *)0)->member) - offsetof(type, member)))

/* `to` is a power of two in both. */
static inline uint64_t round_up(uint64_t value, uint64_t to)
{
	return (value + to - 1) & ~(to - 1);
}

static inline uint64_t round_down(uint64_t value, uint64_t to)
{
	return value & ~(to - 1);
}

static inline bool is_power_of_two(uint64_t value)
{
	return value && !(value & (value - 1));
}

/* Whether [offset, offset + length) lies in [0, size), without wrapping. */
static inline bool range_within(uint64_t offset, uint64_t length, uint64_t size)
{
	return offset <= size && length <= size - offset;
}

/* Whether every byte is zero. */
bool bytes_all_zero(const void *at, size_t length);

#endif
