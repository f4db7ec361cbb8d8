/* SPDX-License-Identifier: GPL-2.0-only */
/* netlink.h - sentences in acknowledgments: with figures, where this kernel can. */
#ifndef _EMYS_COMPAT_NETLINK_H
#define _EMYS_COMPAT_NETLINK_H

#include <linux/netlink.h>

/* @plain is a constant that says the same without figures. */
#ifdef NL_SET_ERR_MSG_ATTR_FMT
#define compat_nl_err(extack, attr, plain, fmt, ...) \
	NL_SET_ERR_MSG_ATTR_FMT(extack, attr, fmt, __VA_ARGS__)
#else
#define compat_nl_err(extack, attr, plain, fmt, ...) \
	NL_SET_ERR_MSG_ATTR(extack, attr, plain)
#endif

#endif
