/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * netlink.h - what the files of the netlink family share. Private to dev/.
 *
 * The core has checked a request against the policy of netlink_gen.c before it comes here:
 * attributes are known, of their type and in their range. Operations run in
 * parallel; those that read, change and write a policy are under nl_policy_lock. All is
 * process context, of the sender, and may sleep.
 */
#ifndef _EMYS_DEV_NETLINK_H
#define _EMYS_DEV_NETLINK_H

#include <linux/mutex.h>

#include "../compat/netlink.h"
#include "netlink_gen.h"

struct emys_vm;

extern struct genl_family emys_nl_family;
extern struct mutex nl_policy_lock;

/* May the sender of @skb (and who reads a dump) do all? */
bool nl_admin(const struct sk_buff *skb);
/* Is it the creator of the VM? */
bool nl_creator(const struct sk_buff *skb, const struct emys_vm *vm);
/* 0, or -EPERM with a sentence. */
int nl_need_admin(const struct sk_buff *skb, struct genl_info *info);

/*
 * The VM that attribute @type names, with a reference, when the sender may see it.
 * ERR_PTR(-EINVAL) there is no such attribute, -ENOENT, -EPERM; with a sentence.
 */
struct emys_vm *nl_vm_of(struct sk_buff *skb, struct genl_info *info, int type);
/* Has the domain a VM or an engine? */
bool nl_domain_known(u32 id);
/* -ENOENT with a sentence about the attribute. */
int nl_no_domain(struct genl_info *info, int type);

#endif
