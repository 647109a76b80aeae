/* SPDX-License-Identifier: BSD-2-Clause */
/* The process behind a port `user` of a switch: this program, started by it with a word that is no noun. */
#ifndef TENON_TOOLS_UPLINK_H
#define TENON_TOOLS_UPLINK_H

#define UPLINK_PROCESS "--uplink-process"

/* Its words: "loopback", "nodhcp", and what hostfwd= says. Descriptor 3 is the switch's socket, 4 the pipe on which it says how it went. */
int uplink_process(int argc, char **argv);

#endif
