/* SPDX-License-Identifier: BSD-2-Clause */
/* Ethernet addresses: as people write them, and made for NICs that were given none. */
#ifndef TENON_UTIL_ETHERNET_H
#define TENON_UTIL_ETHERNET_H

#include <stdint.h>

struct error;

/*
 * "52:54:00:12:34:56": six pairs of hexadecimal digits, of either case. -EINVAL with `error` set for anything
 * else, for a group's address, and for zero, which no station has.
 */
int ethernet_parse(const char *text, uint8_t address[6], struct error *error);

/*
 * A locally administered address of one station for the NIC at the socket `path`, the `index`th of its
 * machine: the same each time on one host, and another for each host, socket and place. It is made from
 * the file that `path` resolves to, so that two folders with sockets named alike give two addresses, and
 * two ways to write one path the same. A path that does not resolve is taken as it stands.
 */
void ethernet_from_path(const char *path, unsigned index, uint8_t address[6]);

#endif
