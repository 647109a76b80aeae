/* SPDX-License-Identifier: BSD-2-Clause */
/* libpcap, loaded by what compiles or runs a filter, or reads a capture (util/library.h). */
#ifndef TENON_VSWITCH_PCAP_LIBRARY_H
#define TENON_VSWITCH_PCAP_LIBRARY_H

#include <pcap/pcap.h>

struct error;

/* What is used of it: its functions by their own names. */
#define PCAP_LIBRARY(F)                                                                            \
	F(bpf_filter)                                                                              \
	F(bpf_validate)                                                                            \
	F(pcap_close)                                                                              \
	F(pcap_compile)                                                                            \
	F(pcap_datalink)                                                                           \
	F(pcap_fopen_offline_with_tstamp_precision)                                                \
	F(pcap_freecode)                                                                           \
	F(pcap_geterr)                                                                             \
	F(pcap_next_ex)                                                                            \
	F(pcap_open_dead)

struct pcap_library {
#define PCAP_LIBRARY_MEMBER(name) __typeof__(name) *name;
	PCAP_LIBRARY(PCAP_LIBRARY_MEMBER)
#undef PCAP_LIBRARY_MEMBER
};

/* 0, or -ENOPKG with `error` set where this host lacks it. */
int pcap_library_load(struct pcap_library *library, struct error *error);

#endif
