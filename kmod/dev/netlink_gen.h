/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The operations that netlink.c provides.
 * Made by tools/nlgen of Documentation/netlink/specs/emys.yaml: edit that.
 */

#ifndef _EMYS_NETLINK_GEN_H
#define _EMYS_NETLINK_GEN_H

#include <net/genetlink.h>
#include <net/netlink.h>

#include "../../include/uapi/linux/emys_netlink.h"

int emys_nl_dump_start(struct netlink_callback *cb);
int emys_nl_vm_get_doit(struct sk_buff *skb, struct genl_info *info);
int emys_nl_vm_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb);
int emys_nl_vm_set_doit(struct sk_buff *skb, struct genl_info *info);
int emys_nl_object_get_doit(struct sk_buff *skb, struct genl_info *info);
int emys_nl_object_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb);
int emys_nl_domain_get_doit(struct sk_buff *skb, struct genl_info *info);
int emys_nl_domain_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb);
int emys_nl_domain_set_doit(struct sk_buff *skb, struct genl_info *info);
int emys_nl_dedup_scan_doit(struct sk_buff *skb, struct genl_info *info);
int emys_nl_module_get_doit(struct sk_buff *skb, struct genl_info *info);
int emys_nl_module_set_doit(struct sk_buff *skb, struct genl_info *info);
int emys_nl_reclaim_round_doit(struct sk_buff *skb, struct genl_info *info);
int emys_nl_clone_doit(struct sk_buff *skb, struct genl_info *info);

extern const struct genl_ops emys_nl_ops[];
extern const unsigned int emys_nl_nr_ops;

#endif
