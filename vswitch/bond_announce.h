/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * After a bond's frames leave by another link, who is at its other end still has all stations at the old one. So each station that
 * was heard at other ports is announced by the new one: a reverse ARP request from its address (RFC 903), as QEMU sends after a
 * migration and Open vSwitch after a failover; it is broadcast, and no host answers.
 */
#ifndef TENON_VSWITCH_BOND_ANNOUNCE_H
#define TENON_VSWITCH_BOND_ANNOUNCE_H

struct port;
struct protocol;

#define BOND_ANNOUNCE_MOST 1024 /* stations, those that were heard last */

/* In a call. Returns how many were announced. */
unsigned bond_announce(struct protocol *protocol, const struct port *bond);

#endif
