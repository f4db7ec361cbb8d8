/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * netlink.h - sentences in acknowledgments: with figures, where this kernel can; multicast groups
 * that not everybody may join, likewise.
 */
#ifndef _EMYS_COMPAT_NETLINK_H
#define _EMYS_COMPAT_NETLINK_H

#include <linux/netlink.h>
#include <net/genetlink.h>

/* @plain is a constant that says the same without figures. */
#ifdef NL_SET_ERR_MSG_ATTR_FMT
#define compat_nl_err(extack, attr, plain, fmt, ...) \
	NL_SET_ERR_MSG_ATTR_FMT(extack, attr, fmt, __VA_ARGS__)
#else
#define compat_nl_err(extack, attr, plain, fmt, ...) \
	NL_SET_ERR_MSG_ATTR(extack, attr, plain)
#endif

/* In the initializer of a group: CAP_SYS_ADMIN to join. Before 6.1.67 everybody may. */
#ifdef GENL_MCAST_CAP_SYS_ADMIN
#define compat_nl_group_admin	.flags = GENL_MCAST_CAP_SYS_ADMIN
#else
#define compat_nl_group_admin
#endif

#endif
