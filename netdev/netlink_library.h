/* SPDX-License-Identifier: BSD-2-Clause */
/* libnl-route-3 and libnl-3, which it brings, loaded by what looks at or changes this host's interfaces (util/library.h). */
#ifndef TENON_NETDEV_NETLINK_LIBRARY_H
#define TENON_NETDEV_NETLINK_LIBRARY_H

#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/bridge.h>
#include <netlink/route/link/veth.h>
#include <netlink/socket.h>

#include "util/library.h"

#define NETLINK_LIBRARY(F)                                                                         \
	F(nl_addr_build)                                                                           \
	F(nl_addr_get_binary_addr)                                                                 \
	F(nl_addr_get_family)                                                                      \
	F(nl_addr_get_len)                                                                         \
	F(nl_addr_get_prefixlen)                                                                   \
	F(nl_addr_parse)                                                                           \
	F(nl_addr_put)                                                                             \
	F(nl_connect)                                                                              \
	F(nl_geterror)                                                                             \
	F(nl_recvmsgs_default)                                                                     \
	F(nl_send_auto)                                                                            \
	F(nl_send_simple)                                                                          \
	F(nl_socket_alloc)                                                                         \
	F(nl_socket_free)                                                                          \
	F(nl_socket_modify_cb)                                                                     \
	F(nla_data)                                                                                \
	F(nla_get_u32)                                                                             \
	F(nla_get_u8)                                                                              \
	F(nla_len)                                                                                 \
	F(nla_parse_nested)                                                                        \
	F(nla_put_string)                                                                          \
	F(nla_strlcpy)                                                                             \
	F(nlmsg_alloc_simple)                                                                      \
	F(nlmsg_append)                                                                            \
	F(nlmsg_data)                                                                              \
	F(nlmsg_free)                                                                              \
	F(nlmsg_hdr)                                                                               \
	F(nlmsg_parse)                                                                             \
	F(rtnl_addr_add)                                                                           \
	F(rtnl_addr_alloc)                                                                         \
	F(rtnl_addr_delete)                                                                        \
	F(rtnl_addr_put)                                                                           \
	F(rtnl_addr_set_ifindex)                                                                   \
	F(rtnl_addr_set_local)                                                                     \
	F(rtnl_link_add)                                                                           \
	F(rtnl_link_alloc)                                                                         \
	F(rtnl_link_bridge_alloc)                                                                  \
	F(rtnl_link_change)                                                                        \
	F(rtnl_link_delete)                                                                        \
	F(rtnl_link_enslave)                                                                       \
	F(rtnl_link_get_addr)                                                                      \
	F(rtnl_link_get_flags)                                                                     \
	F(rtnl_link_get_ifindex)                                                                   \
	F(rtnl_link_get_kernel)                                                                    \
	F(rtnl_link_get_master)                                                                    \
	F(rtnl_link_get_mtu)                                                                       \
	F(rtnl_link_get_name)                                                                      \
	F(rtnl_link_get_type)                                                                      \
	F(rtnl_link_put)                                                                           \
	F(rtnl_link_release)                                                                       \
	F(rtnl_link_set_addr)                                                                      \
	F(rtnl_link_set_flags)                                                                     \
	F(rtnl_link_set_mtu)                                                                       \
	F(rtnl_link_set_name)                                                                      \
	F(rtnl_link_set_ns_fd)                                                                     \
	F(rtnl_link_unset_flags)                                                                   \
	F(rtnl_link_veth_alloc)                                                                    \
	F(rtnl_link_veth_get_peer)

LIBRARY_DECLARE(libnl, NETLINK_LIBRARY)

#endif
