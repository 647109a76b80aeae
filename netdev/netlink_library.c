/* SPDX-License-Identifier: BSD-2-Clause */
/* See netlink_library.h. */
#include "netdev/netlink_library.h"

LIBRARY_DEFINE(libnl, NETLINK_LIBRARY, SONAME_nl_route_3, "interfaces of this host")
