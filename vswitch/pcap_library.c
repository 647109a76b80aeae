/* SPDX-License-Identifier: BSD-2-Clause */
/* See pcap_library.h. */
#include "vswitch/pcap_library.h"

#include "util/bytes.h"
#include "util/library.h"

LIBRARY_NOTE(libpcap, SONAME_pcap, "filters and captures", "suggested");

int pcap_library_load(struct pcap_library *library, struct error *error)
{
#define FUNCTION(name) { #name, &library->name },
	const struct library_function functions[] = { PCAP_LIBRARY(FUNCTION) };
#undef FUNCTION

	return library_load(SONAME_pcap, functions, ARRAY_SIZE(functions), error);
}
