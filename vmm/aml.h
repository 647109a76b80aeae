/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small builder of ACPI Machine Language: just what the DSDT of this machine says.
 *
 * Code is appended to a buffer of fixed size. Things that contain others are opened and closed in
 * pairs; closing one puts the package length in. Running out of room sets `overflow` and drops the
 * rest, so that only the end needs a check.
 *
 * ACPI 6.4 chapter 20 (encoding), 6.4 (resource descriptors).
 */
#ifndef TENON_VMM_AML_H
#define TENON_VMM_AML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aml {
	uint8_t *at;
	size_t length, size;
	bool overflow;
};

/* Remembers where something that is open began. */
typedef size_t aml_mark;

void aml_bytes(struct aml *aml, const void *at, size_t length);
void aml_byte(struct aml *aml, uint8_t value);

/* Data objects. A name is up to four segments "ABCD" joined by '.', with an optional leading '\'. */
void aml_name_string(struct aml *aml, const char *path);
void aml_integer(struct aml *aml, uint64_t value);
void aml_string(struct aml *aml, const char *text);
void aml_eisa_id(struct aml *aml, const char *id); /* "PNP0A08" */

/* Name (PATH, ...): the object follows. The others make the whole. */
void aml_name(struct aml *aml, const char *path);
void aml_name_integer(struct aml *aml, const char *path, uint64_t value);
void aml_name_eisa_id(struct aml *aml, const char *path, const char *id);

aml_mark aml_scope(struct aml *aml, const char *path);
aml_mark aml_device(struct aml *aml, const char *path);
aml_mark aml_method(struct aml *aml, const char *path, unsigned arguments);
aml_mark aml_package(struct aml *aml, unsigned elements);
/* OperationRegion over I/O ports, and one Field of whole bytes in it. */
void aml_port_region(struct aml *aml, const char *name, uint16_t port, uint8_t length);
aml_mark aml_byte_field(struct aml *aml, const char *region);
void aml_field_entry(struct aml *aml, const char *name, unsigned bits);
void aml_field_skip(struct aml *aml, unsigned bits);
aml_mark aml_if(struct aml *aml); /* the predicate follows */
/* Closes what the mark opened; the latest must be closed first. */
void aml_close(struct aml *aml, aml_mark mark);

/* Name (_CRS, ResourceTemplate () { ... }), closed by aml_close_resources(). */
struct aml_resources {
	aml_mark buffer;
	size_t bytes; /* where the descriptors begin */
};
struct aml_resources aml_resources(struct aml *aml);
void aml_close_resources(struct aml *aml, struct aml_resources resources);

void aml_resource_port(struct aml *aml, uint16_t base, uint8_t length);
void aml_resource_memory(struct aml *aml, uint32_t base, uint32_t length);
void aml_resource_interrupt(struct aml *aml, uint32_t gsi); /* edge, active high, exclusive */
/* Address spaces that a bridge passes on. */
void aml_resource_bus_numbers(struct aml *aml, uint16_t first, uint16_t last);
void aml_resource_memory_window(struct aml *aml, uint64_t base, uint64_t length);

/* Opcodes that the DSDT writes by hand. */
enum {
	AML_ARG_0 = 0x68,
	AML_LOCAL_0 = 0x60,
	AML_STORE = 0x70,
	AML_AND = 0x7b,
	AML_NOTIFY = 0x86,
	AML_LOGICAL_EQUAL = 0x93,
};

#endif
