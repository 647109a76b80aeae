/* SPDX-License-Identifier: BSD-2-Clause */
/* Builds ACPI Machine Language; see aml.h. */
#include "vmm/aml.h"

#include <string.h>

#include "util/bytes.h"

enum {
	OP_ZERO = 0x00,
	OP_ONE = 0x01,
	OP_NAME = 0x08,
	OP_BYTE = 0x0a,
	OP_WORD = 0x0b,
	OP_DWORD = 0x0c,
	OP_STRING = 0x0d,
	OP_QWORD = 0x0e,
	OP_SCOPE = 0x10,
	OP_BUFFER = 0x11,
	OP_PACKAGE = 0x12,
	OP_METHOD = 0x14,
	OP_DUAL_NAME = 0x2e,
	OP_MULTI_NAME = 0x2f,
	OP_EXTENDED = 0x5b,
	OP_REGION = 0x80, /* after OP_EXTENDED, as the next two */
	OP_FIELD = 0x81,
	OP_DEVICE = 0x82,
	OP_IF = 0xa0,
};

#define PACKAGE_LENGTH_MAX 4

void aml_bytes(struct aml *aml, const void *at, size_t length)
{
	if (aml->overflow || length > aml->size - aml->length) {
		aml->overflow = true;
		return;
	}
	memcpy(aml->at + aml->length, at, length);
	aml->length += length;
}

void aml_byte(struct aml *aml, uint8_t value)
{
	aml_bytes(aml, &value, 1);
}

static void put_word(struct aml *aml, uint16_t value)
{
	uint8_t bytes[2];

	put_le16(bytes, value);
	aml_bytes(aml, bytes, sizeof(bytes));
}

static void put_dword(struct aml *aml, uint32_t value)
{
	uint8_t bytes[4];

	put_le32(bytes, value);
	aml_bytes(aml, bytes, sizeof(bytes));
}

static void put_qword(struct aml *aml, uint64_t value)
{
	uint8_t bytes[8];

	put_le64(bytes, value);
	aml_bytes(aml, bytes, sizeof(bytes));
}

/* One name segment: four characters, padded with underscores. */
static void put_segment(struct aml *aml, const char *at, size_t length)
{
	char segment[4] = { '_', '_', '_', '_' };

	memcpy(segment, at, MIN(length, sizeof(segment)));
	aml_bytes(aml, segment, sizeof(segment));
}

void aml_name_string(struct aml *aml, const char *path)
{
	uint8_t segments = 1;

	if (*path == '\\') {
		aml_byte(aml, '\\');
		path++;
	}
	for (const char *at = path; *at; at++)
		segments += *at == '.';
	if (segments == 2) {
		aml_byte(aml, OP_DUAL_NAME);
	} else if (segments > 2) {
		aml_byte(aml, OP_MULTI_NAME);
		aml_byte(aml, segments);
	}
	for (; segments; segments--) {
		size_t length = strcspn(path, ".");

		put_segment(aml, path, length);
		path += length + 1;
	}
}

void aml_integer(struct aml *aml, uint64_t value)
{
	if (value <= 1) {
		aml_byte(aml, value ? OP_ONE : OP_ZERO);
	} else if (value <= UINT8_MAX) {
		aml_byte(aml, OP_BYTE);
		aml_byte(aml, (uint8_t)value);
	} else if (value <= UINT16_MAX) {
		aml_byte(aml, OP_WORD);
		put_word(aml, (uint16_t)value);
	} else if (value <= UINT32_MAX) {
		aml_byte(aml, OP_DWORD);
		put_dword(aml, (uint32_t)value);
	} else {
		aml_byte(aml, OP_QWORD);
		put_qword(aml, value);
	}
}

void aml_string(struct aml *aml, const char *text)
{
	aml_byte(aml, OP_STRING);
	aml_bytes(aml, text, strlen(text) + 1);
}

static uint32_t hex_digit(char digit)
{
	return digit <= '9' ? (uint32_t)(digit - '0') : (uint32_t)(digit - 'A' + 10);
}

/* Three letters of five bits, four hexadecimal digits, big-endian (ACPI 19.3.4, EISAID macro). */
void aml_eisa_id(struct aml *aml, const char *id)
{
	uint32_t value = (uint32_t)(id[0] - '@') << 26 | (uint32_t)(id[1] - '@') << 21 |
			 (uint32_t)(id[2] - '@') << 16;

	for (int i = 0; i < 4; i++)
		value |= hex_digit(id[3 + i]) << (12 - 4 * i);
	aml_byte(aml, OP_DWORD);
	put_dword(aml, htobe32(value));
}

void aml_name(struct aml *aml, const char *path)
{
	aml_byte(aml, OP_NAME);
	aml_name_string(aml, path);
}

void aml_name_integer(struct aml *aml, const char *path, uint64_t value)
{
	aml_name(aml, path);
	aml_integer(aml, value);
}

void aml_name_eisa_id(struct aml *aml, const char *path, const char *id)
{
	aml_name(aml, path);
	aml_eisa_id(aml, id);
}

aml_mark aml_scope(struct aml *aml, const char *path)
{
	aml_mark mark;

	aml_byte(aml, OP_SCOPE);
	mark = aml->length;
	aml_name_string(aml, path);
	return mark;
}

aml_mark aml_device(struct aml *aml, const char *path)
{
	aml_mark mark;

	aml_byte(aml, OP_EXTENDED);
	aml_byte(aml, OP_DEVICE);
	mark = aml->length;
	aml_name_string(aml, path);
	return mark;
}

aml_mark aml_method(struct aml *aml, const char *path, unsigned arguments)
{
	aml_mark mark;

	aml_byte(aml, OP_METHOD);
	mark = aml->length;
	aml_name_string(aml, path);
	aml_byte(aml, (uint8_t)arguments | 0x08); /* serialized */
	return mark;
}

aml_mark aml_package(struct aml *aml, unsigned elements)
{
	aml_mark mark;

	aml_byte(aml, OP_PACKAGE);
	mark = aml->length;
	aml_byte(aml, (uint8_t)elements);
	return mark;
}

void aml_port_region(struct aml *aml, const char *name, uint16_t port, uint8_t length)
{
	aml_byte(aml, OP_EXTENDED);
	aml_byte(aml, OP_REGION);
	aml_name_string(aml, name);
	aml_byte(aml, 0x01); /* SystemIO */
	aml_integer(aml, port);
	aml_integer(aml, length);
}

aml_mark aml_byte_field(struct aml *aml, const char *region)
{
	aml_mark mark;

	aml_byte(aml, OP_EXTENDED);
	aml_byte(aml, OP_FIELD);
	mark = aml->length;
	aml_name_string(aml, region);
	aml_byte(aml, 0x41); /* ByteAcc, NoLock, WriteAsZeros */
	return mark;
}

/* A length in package encoding (ACPI 20.2.4); returns how many bytes. */
static unsigned encode_length(uint8_t out[PACKAGE_LENGTH_MAX], size_t length)
{
	unsigned extra = 0;

	if (length < 0x40) {
		out[0] = (uint8_t)length;
		return 1;
	}
	out[0] = length & 0x0f;
	for (length >>= 4; length; length >>= 8)
		out[++extra] = (uint8_t)length;
	out[0] |= (uint8_t)(extra << 6);
	return extra + 1;
}

static void put_bit_length(struct aml *aml, unsigned bits)
{
	uint8_t bytes[PACKAGE_LENGTH_MAX];

	aml_bytes(aml, bytes, encode_length(bytes, bits));
}

void aml_field_entry(struct aml *aml, const char *name, unsigned bits)
{
	put_segment(aml, name, strlen(name));
	put_bit_length(aml, bits);
}

void aml_field_skip(struct aml *aml, unsigned bits)
{
	aml_byte(aml, 0);
	put_bit_length(aml, bits);
}

aml_mark aml_if(struct aml *aml)
{
	aml_byte(aml, OP_IF);
	return aml->length;
}

void aml_close(struct aml *aml, aml_mark mark)
{
	uint8_t encoded[PACKAGE_LENGTH_MAX];
	size_t body = aml->length - mark;
	unsigned bytes = 1;

	if (aml->overflow)
		return;
	/* The length counts its own bytes. */
	while (encode_length(encoded, body + bytes) != bytes)
		bytes++;
	aml_bytes(aml, encoded, bytes);
	if (aml->overflow)
		return;
	memmove(aml->at + mark + bytes, aml->at + mark, body);
	memcpy(aml->at + mark, encoded, bytes);
}

struct aml_resources aml_resources(struct aml *aml)
{
	struct aml_resources resources;

	aml_name(aml, "_CRS");
	aml_byte(aml, OP_BUFFER);
	resources.buffer = aml->length;
	/* The buffer's size, as a word: known when it is closed. */
	aml_byte(aml, OP_WORD);
	put_word(aml, 0);
	resources.bytes = aml->length;
	return resources;
}

void aml_close_resources(struct aml *aml, struct aml_resources resources)
{
	aml_byte(aml, 0x79); /* end tag, with a checksum of 0: "not checked" */
	aml_byte(aml, 0);
	if (!aml->overflow)
		put_le16(aml->at + resources.bytes - 2, (uint16_t)(aml->length - resources.bytes));
	aml_close(aml, resources.buffer);
}

void aml_resource_port(struct aml *aml, uint16_t base, uint8_t length)
{
	aml_byte(aml, 0x47); /* I/O port descriptor */
	aml_byte(aml, 0x01); /* decodes 16 bits */
	put_word(aml, base);
	put_word(aml, base);
	aml_byte(aml, 1);
	aml_byte(aml, length);
}

void aml_resource_memory(struct aml *aml, uint32_t base, uint32_t length)
{
	aml_byte(aml, 0x86); /* 32-bit fixed memory */
	put_word(aml, 9);
	aml_byte(aml, 0x01); /* writable */
	put_dword(aml, base);
	put_dword(aml, length);
}

void aml_resource_interrupt(struct aml *aml, uint32_t gsi)
{
	aml_byte(aml, 0x89); /* extended interrupt */
	put_word(aml, 6);
	aml_byte(aml, 0x03); /* consumer, edge, active high, exclusive */
	aml_byte(aml, 1);
	put_dword(aml, gsi);
}

#define PRODUCER_FIXED 0x0c /* minimum and maximum address are fixed, positive decode */

void aml_resource_bus_numbers(struct aml *aml, uint16_t first, uint16_t last)
{
	aml_byte(aml, 0x88); /* word address space */
	put_word(aml, 13);
	aml_byte(aml, 2); /* bus numbers */
	aml_byte(aml, PRODUCER_FIXED);
	aml_byte(aml, 0);
	put_word(aml, 0);
	put_word(aml, first);
	put_word(aml, last);
	put_word(aml, 0);
	put_word(aml, (uint16_t)(last - first + 1));
}

void aml_resource_memory_window(struct aml *aml, uint64_t base, uint64_t length)
{
	aml_byte(aml, 0x8a); /* quad-word address space */
	put_word(aml, 43);
	aml_byte(aml, 0); /* memory */
	aml_byte(aml, PRODUCER_FIXED);
	aml_byte(aml, 0x01); /* writable, not cacheable */
	put_qword(aml, 0);
	put_qword(aml, base);
	put_qword(aml, base + length - 1);
	put_qword(aml, 0);
	put_qword(aml, length);
}
