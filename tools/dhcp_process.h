/* SPDX-License-Identifier: BSD-2-Clause */
/* The process behind a port `dhcp` of a switch: this program, started by it with a word that is no noun. */
#ifndef TENON_TOOLS_DHCP_PROCESS_H
#define TENON_TOOLS_DHCP_PROCESS_H

#define DHCP_PROCESS "--dhcp-process"

/*
 * Its words: the station's address, the file of leases, then what dnsmasq.h has. Descriptor 3 is the switch's socket, 4 the pipe on which
 * it says how it went, as those of uplink.h.
 */
int dhcp_process(int argc, char **argv);

#endif
