// SPDX-License-Identifier: GPL-2.0-only
/*
 * netlink.c - the generic netlink family "emys": who may do what, and the events.
 * Documentation/netlink.rst; the messages are in Documentation/netlink/specs/emys.yaml.
 *
 * The first network namespace only: ids and memory are the host's, and the events would tell
 * a container about its neighbours.
 */
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/module.h>
#include <linux/timekeeping.h>

#include <net/sock.h>

#include "../balloon/balloon.h"
#include "../ksm_cmd/ksm_cmd.h"
#include "dev.h"
#include "emys.h"
#include "netlink.h"
#include "notice.h"

/* Events of one kind within a second; who creates VMs or sets targets faster is cut off. */
#define EVENT_BURST	256
#define EVENT_SIZE	256

DEFINE_MUTEX(nl_policy_lock);	/* policies, from reading to writing one */

/* -- who may ------------------------------------------------------------------ */

bool nl_admin(const struct sk_buff *skb)
{
	return netlink_capable(skb, CAP_SYS_ADMIN);
}

/*
 * Both who opened the socket and who writes to it: a privileged program that is given a
 * stranger's socket for its output does not act for him.
 */
bool nl_creator(const struct sk_buff *skb, const struct emys_vm *vm)
{
	const struct sock *sk = NETLINK_CB(skb).sk;

	return uid_eq(current_euid(), vm->uid) && sk && sk->sk_socket && sk->sk_socket->file &&
	       uid_eq(sk->sk_socket->file->f_cred->euid, vm->uid);
}

int nl_need_admin(const struct sk_buff *skb, struct genl_info *info)
{
	if (nl_admin(skb))
		return 0;
	NL_SET_ERR_MSG(info->extack, "this needs CAP_SYS_ADMIN");
	return -EPERM;
}

/* -- what they name ------------------------------------------------------------- */

struct emys_vm *nl_vm_of(struct sk_buff *skb, struct genl_info *info, int type)
{
	struct emys_vm *vm;
	u32 id;

	if (GENL_REQ_ATTR_CHECK(info, type)) {
		NL_SET_ERR_MSG(info->extack, "it is not said which VM");
		return ERR_PTR(-EINVAL);
	}
	id = nla_get_u32(info->attrs[type]);
	vm = emys_vm_next(id - 1);
	if (!vm || vm->id != id) {
		if (vm)
			emys_vm_put(vm);
		compat_nl_err(info->extack, info->attrs[type], "there is no such VM",
			      "there is no VM %u", id);
		return ERR_PTR(-ENOENT);
	}
	if (nl_creator(skb, vm) || nl_admin(skb))
		return vm;
	emys_vm_put(vm);
	compat_nl_err(info->extack, info->attrs[type], "that VM is somebody else's",
		      "VM %u is somebody else's", id);
	return ERR_PTR(-EPERM);
}

bool nl_domain_known(u32 id)
{
	struct dedup_stats stats;
	bool known = false;
	struct emys_vm *vm;
	u32 after = 0;

	if (emys_dedup_stats(id, &stats) != -ENOENT)
		return true;
	while (!known && (vm = emys_vm_next(after))) {
		after = vm->id;
		known = mem_vm_domain(vm) == id;
		emys_vm_put(vm);
	}
	return known;
}

int nl_no_domain(struct genl_info *info, int type)
{
	compat_nl_err(info->extack, info->attrs[type], "there is no such domain",
		      "there is no domain %u", nla_get_u32(info->attrs[type]));
	return -ENOENT;
}

int emys_nl_dump_start(struct netlink_callback *cb)
{
	if (!nlmsg_attrlen(cb->nlh, GENL_HDRLEN))
		return 0;
	NL_SET_ERR_MSG(cb->extack, "a dump takes no attributes");
	return -EINVAL;
}

/* -- actions ------------------------------------------------------------------------ */

int emys_nl_dedup_scan_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *passes = info->attrs[EMYS_A_SCAN_PASSES];
	int r = nl_need_admin(skb, info);
	u32 id;

	if (r)
		return r;
	if (GENL_REQ_ATTR_CHECK(info, EMYS_A_SCAN_DOMAIN)) {
		NL_SET_ERR_MSG(info->extack, "it is not said which domain");
		return -EINVAL;
	}
	id = nla_get_u32(info->attrs[EMYS_A_SCAN_DOMAIN]);
	if (!nl_domain_known(id))
		return nl_no_domain(info, EMYS_A_SCAN_DOMAIN);
	return emys_dedup_scan(id, passes ? nla_get_u32(passes) : 1);
}

int emys_nl_reclaim_round_doit(struct sk_buff *skb, struct genl_info *info)
{
	int r = nl_need_admin(skb, info);

	return r ? r : emys_reclaim_round();
}

/* -- events -------------------------------------------------------------------------- */

/* Who can tell a guest's copies from the outside can tell what its neighbours hold. */
enum { GROUP_EVENTS, GROUP_TARGETS };

static const struct genl_multicast_group nl_groups[] = {
	[GROUP_EVENTS] = { .name = EMYS_MCGRP_EVENTS, compat_nl_group_admin },
	[GROUP_TARGETS] = { .name = EMYS_MCGRP_TARGETS },
};

static const u8 event_command[NOTICE_TYPES] = {
	[NOTICE_VM_NEW] = EMYS_CMD_VM_NEW,
	[NOTICE_VM_GONE] = EMYS_CMD_VM_GONE,
	[NOTICE_PRESSURE] = EMYS_CMD_PRESSURE,
	[NOTICE_PASS_END] = EMYS_CMD_PASS_END,
	[NOTICE_BALLOON_TARGET] = EMYS_CMD_BALLOON_TARGET,
	[NOTICE_BALLOON_REACHED] = EMYS_CMD_BALLOON_REACHED,
	[NOTICE_PAGE_STORM] = EMYS_CMD_PAGE_STORM,
};

static DEFINE_SPINLOCK(event_lock);
static struct event_limit {	/* by event_lock */
	unsigned long since;	/* jiffies */
	u32 sent, withheld;
} event_limit[NOTICE_TYPES];

/* May one more go out? Then how many did not before it. */
static bool event_allowed(enum emys_notice_type type, u32 *withheld)
{
	struct event_limit *limit = &event_limit[type];
	unsigned long flags;
	bool allowed;

	spin_lock_irqsave(&event_lock, flags);
	if (!limit->sent || time_after_eq(jiffies, limit->since + HZ)) {
		limit->since = jiffies;
		limit->sent = 0;
	}
	allowed = limit->sent < EVENT_BURST;
	if (allowed) {
		limit->sent++;
		*withheld = limit->withheld;
		limit->withheld = 0;
	} else {
		limit->withheld++;
	}
	spin_unlock_irqrestore(&event_lock, flags);
	return allowed;
}

static bool put_u64(struct sk_buff *skb, int type, u64 value)
{
	return !nla_put_u64_64bit(skb, type, value, EMYS_A_EVENT_PAD);
}

static bool put_u32(struct sk_buff *skb, int type, u32 value)
{
	return !nla_put_u32(skb, type, value);
}

static bool event_fill(struct sk_buff *skb, const struct emys_notice *n)
{
	switch (n->type) {
	case NOTICE_VM_NEW:
	case NOTICE_VM_GONE:
		return put_u32(skb, EMYS_A_EVENT_VM, n->vm) &&
		       put_u32(skb, EMYS_A_EVENT_PID, n->pid) &&
		       put_u32(skb, EMYS_A_EVENT_UID, n->uid);
	case NOTICE_PRESSURE:
		return put_u32(skb, EMYS_A_EVENT_WAS, n->was) &&
		       put_u32(skb, EMYS_A_EVENT_STATE, n->state) &&
		       put_u64(skb, EMYS_A_EVENT_USED, n->used) &&
		       put_u64(skb, EMYS_A_EVENT_BUDGET, n->budget) &&
		       put_u64(skb, EMYS_A_EVENT_FREE, n->free);
	case NOTICE_PASS_END:
		return put_u32(skb, EMYS_A_EVENT_DOMAIN, n->domain) &&
		       put_u64(skb, EMYS_A_EVENT_PASSES, n->passes) &&
		       put_u64(skb, EMYS_A_EVENT_SCANNED, n->scanned) &&
		       put_u64(skb, EMYS_A_EVENT_MERGED, n->merged) &&
		       put_u64(skb, EMYS_A_EVENT_TICKS, n->ticks);
	case NOTICE_BALLOON_TARGET:
	case NOTICE_BALLOON_REACHED:
		return put_u32(skb, EMYS_A_EVENT_VM, n->vm) &&
		       put_u64(skb, EMYS_A_EVENT_TARGET, n->target) &&
		       put_u64(skb, EMYS_A_EVENT_ACTUAL, n->actual);
	case NOTICE_PAGE_STORM:
		return put_u32(skb, EMYS_A_EVENT_VM, n->vm) &&
		       put_u64(skb, EMYS_A_EVENT_COPIED, n->copied) &&
		       put_u64(skb, EMYS_A_EVENT_REFAULTED, n->refaulted);
	default:
		return false;
	}
}

/* A notice that finds no memory is lost: the state it tells of can be read. */
static void event_send(const struct emys_notice *n)
{
	unsigned int group = n->type == NOTICE_BALLOON_TARGET ? GROUP_TARGETS : GROUP_EVENTS;
	u32 withheld = 0;
	struct sk_buff *skb;
	void *head;

	if (!genl_has_listeners(&emys_nl_family, &init_net, group) ||
	    !event_allowed(n->type, &withheld))
		return;
	skb = genlmsg_new(EVENT_SIZE, GFP_ATOMIC);
	if (!skb)
		return;
	head = genlmsg_put(skb, 0, 0, &emys_nl_family, 0, event_command[n->type]);
	if (!head || !put_u64(skb, EMYS_A_EVENT_TIME, ktime_get_boottime_ns()) ||
	    (withheld && !put_u32(skb, EMYS_A_EVENT_WITHHELD, withheld)) ||
	    WARN_ON_ONCE(!event_fill(skb, n))) {
		nlmsg_free(skb);
		return;
	}
	genlmsg_end(skb, head);
	genlmsg_multicast(&emys_nl_family, skb, 0, group, GFP_ATOMIC);
}

/* -- the family ------------------------------------------------------------------------ */

struct genl_family emys_nl_family = {
	.name = EMYS_FAMILY_NAME,
	.version = EMYS_FAMILY_VERSION,
	.module = THIS_MODULE,
	.netnsok = false,
	/* A scan takes its time: it must not hold up every other family of the kernel. */
	.parallel_ops = true,
	/* From the first one on: reserved fields are 0, flags and attributes known. */
	.resv_start_op = EMYS_CMD_VM_GET,
	.ops = emys_nl_ops,
	.mcgrps = nl_groups,
	.n_mcgrps = ARRAY_SIZE(nl_groups),
};

int netlink_init(void)
{
	int r;

	/* The largest attribute of all requests, which the core would else work out from n_ops. */
	emys_nl_family.n_ops = emys_nl_nr_ops;
	r = genl_register_family(&emys_nl_family);
	if (r)
		return r;
	emys_notice_listen(event_send);
	return 0;
}

void netlink_exit(void)
{
	emys_notice_listen(NULL);
	genl_unregister_family(&emys_nl_family);
}
