// SPDX-License-Identifier: GPL-2.0-only
/* netlink_get.c - what can be read: VMs, objects, domains, the module. */
#include <linux/math64.h>

#include "../balloon/balloon.h"
#include "../ksm_cmd/ksm_cmd.h"
#include "../mem/owned.h"
#include "emys.h"
#include "netlink.h"

static_assert((int)EMYS_DEDUP_ALGORITHM_EMYS == DEDUP_EMYS);
static_assert((int)EMYS_DEDUP_ALGORITHM_KSM == DEDUP_KSM);
static_assert((int)EMYS_DEDUP_ALGORITHM_CMD_ADDRESS == DEDUP_CMD_ADDRESS);
static_assert((int)EMYS_DEDUP_ALGORITHM_CMD_COUNT == DEDUP_CMD_COUNT);
static_assert((int)EMYS_DEDUP_ALGORITHM_CMD_SUBPAGE == DEDUP_CMD_SUBPAGE);
static_assert((int)EMYS_HOST_STATE_HIGH == HOST_HIGH);
static_assert((int)EMYS_HOST_STATE_CLEAR == HOST_CLEAR);
static_assert((int)EMYS_HOST_STATE_SOFT == HOST_SOFT);
static_assert((int)EMYS_HOST_STATE_HARD == HOST_HARD);
static_assert((int)EMYS_HOST_STATE_LOW == HOST_LOW);
static_assert((int)EMYS_LARGE_POLICY_PROACTIVE == LARGE_PROACTIVE);
static_assert((int)EMYS_LARGE_POLICY_NEVER == LARGE_NEVER);
static_assert((int)EMYS_LARGE_POLICY_DEMAND == LARGE_DEMAND);
static_assert((int)EMYS_LARGE_POLICY_SMALL == LARGE_SMALL);
static_assert((int)EMYS_LARGE_POLICY_MODULE == LARGE_POLICIES);

/* A number of a struct, and the attribute it is sent as. */
struct field {
	u16 type;
	u16 offset;
};

#define FIELD(attr, s, member)	{ EMYS_A_##attr, offsetof(struct s, member) }

static int put_fields(struct sk_buff *skb, const struct field *fields, unsigned int n,
		      const void *from, int pad)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (nla_put_u64_64bit(skb, fields[i].type, *(u64 *)(from + fields[i].offset), pad))
			return -EMSGSIZE;
	return 0;
}

/* -- counts ---------------------------------------------------------------------- */

/* The counts of several objects, and what they save. */
struct nl_counts {
	struct mem_counts c;
	u64 resident, saved;
};

static const struct field count_fields[] = {
	FIELD(COUNTS_RESIDENT, nl_counts, resident),
	FIELD(COUNTS_PRIVATE, nl_counts, c.state[MEM_PRIVATE]),
	FIELD(COUNTS_SHARED, nl_counts, c.state[MEM_SHARED]),
	FIELD(COUNTS_SAVED, nl_counts, saved),
	FIELD(COUNTS_ZERO, nl_counts, c.state[MEM_ZERO]),
	FIELD(COUNTS_BALLOONED, nl_counts, c.state[MEM_BALLOONED]),
	FIELD(COUNTS_ABSENT, nl_counts, c.state[MEM_ABSENT]),
	FIELD(COUNTS_BLOCKS, nl_counts, c.blocks),
	FIELD(COUNTS_MADE, nl_counts, c.blocks_made),
	FIELD(COUNTS_BROKEN, nl_counts, c.blocks_broken),
	FIELD(COUNTS_COLLAPSED, nl_counts, c.blocks_collapsed),
	FIELD(COUNTS_KEPT, nl_counts, c.blocks_kept),
	FIELD(COUNTS_MERGED, nl_counts, c.merged),
	FIELD(COUNTS_ZEROED, nl_counts, c.zeroed),
	FIELD(COUNTS_COPIED, nl_counts, c.copied),
	FIELD(COUNTS_UNSHARED, nl_counts, c.unshared),
	FIELD(COUNTS_PUNCHED, nl_counts, c.punched),
	FIELD(COUNTS_REFAULTED, nl_counts, c.refaulted),
};

/* Of @shared pages, the frames that are not needed: all but their part of the stable ones. */
static u64 saved_by_sharing(u32 domain, u64 shared)
{
	struct dedup_stats stats;
	u64 stable, part;

	if (!shared || emys_dedup_stats(domain, &stats) || !stats.sharing)
		return 0;
	/* The two are counted one after the other; never more than the pages themselves. */
	stable = min(stats.stable, stats.sharing);
	part = mul_u64_u64_div_u64(shared, stable, stats.sharing);
	if (part * stats.sharing != shared * stable)
		part++;
	return shared - part;
}

static int counts_add(void *ctx, struct mem_object *obj)
{
	struct nl_counts *sum = ctx;
	struct mem_counts c;
	unsigned int i;

	mem_object_counts(obj, &c);
	for (i = 0; i < MEM_PAGE_STATES; i++)
		sum->c.state[i] += c.state[i];
	sum->c.blocks += c.blocks;
	sum->c.blocks_made += c.blocks_made;
	sum->c.blocks_broken += c.blocks_broken;
	sum->c.blocks_collapsed += c.blocks_collapsed;
	sum->c.blocks_kept += c.blocks_kept;
	sum->c.merged += c.merged;
	sum->c.zeroed += c.zeroed;
	sum->c.copied += c.copied;
	sum->c.unshared += c.unshared;
	sum->c.punched += c.punched;
	sum->c.refaulted += c.refaulted;
	sum->resident += c.state[MEM_PRIVATE] + c.state[MEM_SHARED];
	sum->saved += c.state[MEM_ZERO] +
		      saved_by_sharing(mem_object_domain(obj), c.state[MEM_SHARED]);
	return 0;
}

static int put_counts(struct sk_buff *skb, int type, const struct nl_counts *counts)
{
	struct nlattr *nest = nla_nest_start(skb, type);

	if (!nest || put_fields(skb, count_fields, ARRAY_SIZE(count_fields), counts,
				EMYS_A_COUNTS_PAD))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

/* -- policies and statistics ----------------------------------------------------------- */

static int put_dedup_policy(struct sk_buff *skb, int type, const struct dedup_policy *p)
{
	struct nlattr *nest = nla_nest_start(skb, type);

	if (!nest || nla_put_u32(skb, EMYS_A_DEDUP_POLICY_ALGORITHM, p->algorithm) ||
	    nla_put_u8(skb, EMYS_A_DEDUP_POLICY_RUN, p->run) ||
	    nla_put_u8(skb, EMYS_A_DEDUP_POLICY_ADAPTIVE, p->adaptive) ||
	    nla_put_u32(skb, EMYS_A_DEDUP_POLICY_CLASSES, p->classes) ||
	    nla_put_u32(skb, EMYS_A_DEDUP_POLICY_PAGES, p->pages) ||
	    nla_put_u32(skb, EMYS_A_DEDUP_POLICY_SLEEP_MS, p->sleep_ms) ||
	    nla_put_u32(skb, EMYS_A_DEDUP_POLICY_CPU_PERMILLE, p->cpu_permille))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static const struct field dedup_fields[] = {
	FIELD(DEDUP_STATS_PASSES, dedup_stats, passes),
	FIELD(DEDUP_STATS_SCANNED, dedup_stats, scanned),
	FIELD(DEDUP_STATS_SKIPPED, dedup_stats, skipped),
	FIELD(DEDUP_STATS_VOLATILE, dedup_stats, volatile_),
	FIELD(DEDUP_STATS_COMPARED, dedup_stats, compared),
	FIELD(DEDUP_STATS_FUTILE, dedup_stats, futile),
	FIELD(DEDUP_STATS_HASH_STEPS, dedup_stats, hash_steps),
	FIELD(DEDUP_STATS_MERGED, dedup_stats, merged),
	FIELD(DEDUP_STATS_ZEROED, dedup_stats, zeroed),
	FIELD(DEDUP_STATS_REFUSED, dedup_stats, refused),
	FIELD(DEDUP_STATS_RACED, dedup_stats, raced),
	FIELD(DEDUP_STATS_BYTES, dedup_stats, bytes),
	FIELD(DEDUP_STATS_TICKS, dedup_stats, ticks),
	FIELD(DEDUP_STATS_PASS_TICKS, dedup_stats, pass_ticks),
	FIELD(DEDUP_STATS_PASS_SCANNED, dedup_stats, pass_scanned),
	FIELD(DEDUP_STATS_STABLE, dedup_stats, stable),
	FIELD(DEDUP_STATS_SHARING, dedup_stats, sharing),
	FIELD(DEDUP_STATS_UNSTABLE, dedup_stats, unstable),
	FIELD(DEDUP_STATS_RECLASSIFIED, dedup_stats, reclassified),
	FIELD(DEDUP_STATS_CLASS_MIN, dedup_stats, class_min),
	FIELD(DEDUP_STATS_CLASS_MAX, dedup_stats, class_max),
	FIELD(DEDUP_STATS_RATE, dedup_stats, rate),
	FIELD(DEDUP_STATS_TRACED, dedup_stats, traced),
	FIELD(DEDUP_STATS_TRACE_WRITTEN, dedup_stats, trace_written),
	FIELD(DEDUP_STATS_TRACE_CHANGED, dedup_stats, trace_changed),
	FIELD(DEDUP_STATS_TRACE_OTHER, dedup_stats, trace_other),
};

static int put_dedup_stats(struct sk_buff *skb, int type, const struct dedup_stats *stats)
{
	struct nlattr *nest = nla_nest_start(skb, type);

	if (!nest || put_fields(skb, dedup_fields, ARRAY_SIZE(dedup_fields), stats,
				EMYS_A_DEDUP_STATS_PAD))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int put_bounds(struct sk_buff *skb, int type, const u32 *permille)
{
	struct nlattr *nest = nla_nest_start(skb, type);

	if (!nest || nla_put_u32(skb, EMYS_A_BOUNDS_CLEAR, permille[HOST_CLEAR]) ||
	    nla_put_u32(skb, EMYS_A_BOUNDS_SOFT, permille[HOST_SOFT]) ||
	    nla_put_u32(skb, EMYS_A_BOUNDS_HARD, permille[HOST_HARD]) ||
	    nla_put_u32(skb, EMYS_A_BOUNDS_LOW, permille[HOST_LOW]))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int put_reclaim_policy(struct sk_buff *skb, int type, const struct reclaim_policy *p)
{
	struct nlattr *nest = nla_nest_start(skb, type);

	if (!nest || nla_put_u64_64bit(skb, EMYS_A_RECLAIM_POLICY_BUDGET, p->budget,
				       EMYS_A_RECLAIM_POLICY_PAD) ||
	    nla_put_u64_64bit(skb, EMYS_A_RECLAIM_POLICY_MIN_FREE, p->min_free,
			      EMYS_A_RECLAIM_POLICY_PAD) ||
	    put_bounds(skb, EMYS_A_RECLAIM_POLICY_UP, p->up) ||
	    put_bounds(skb, EMYS_A_RECLAIM_POLICY_DOWN, p->down) ||
	    nla_put_u32(skb, EMYS_A_RECLAIM_POLICY_LARGE, p->large) ||
	    nla_put_u32(skb, EMYS_A_RECLAIM_POLICY_SAMPLE_MS, p->sample_ms) ||
	    nla_put_u32(skb, EMYS_A_RECLAIM_POLICY_SAMPLE_PAGES, p->sample_pages) ||
	    nla_put_u32(skb, EMYS_A_RECLAIM_POLICY_COLD_SAMPLES, p->cold_samples) ||
	    nla_put_u32(skb, EMYS_A_RECLAIM_POLICY_SHARE_PERMILLE, p->share_permille) ||
	    nla_put_u32(skb, EMYS_A_RECLAIM_POLICY_STORM, p->storm))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static const struct field reclaim_fields[] = {
	FIELD(RECLAIM_STATS_CHANGES, reclaim_stats, changes),
	FIELD(RECLAIM_STATS_USED, reclaim_stats, used),
	FIELD(RECLAIM_STATS_BUDGET, reclaim_stats, budget),
	FIELD(RECLAIM_STATS_FREE, reclaim_stats, free),
	FIELD(RECLAIM_STATS_SAMPLED, reclaim_stats, sampled),
	FIELD(RECLAIM_STATS_COLD, reclaim_stats, cold),
	FIELD(RECLAIM_STATS_SHAREABLE, reclaim_stats, shareable),
	FIELD(RECLAIM_STATS_BROKEN_PRIVATE, reclaim_stats, broken_private),
	FIELD(RECLAIM_STATS_COLLAPSED, reclaim_stats, collapsed),
	FIELD(RECLAIM_STATS_SHRUNK, reclaim_stats, shrunk),
	FIELD(RECLAIM_STATS_WAITS, reclaim_stats, waits),
};

static const struct field broken_fields[] = {
	FIELD(BY_STATE_HIGH, reclaim_stats, broken[HOST_HIGH]),
	FIELD(BY_STATE_CLEAR, reclaim_stats, broken[HOST_CLEAR]),
	FIELD(BY_STATE_SOFT, reclaim_stats, broken[HOST_SOFT]),
	FIELD(BY_STATE_HARD, reclaim_stats, broken[HOST_HARD]),
	FIELD(BY_STATE_LOW, reclaim_stats, broken[HOST_LOW]),
};

static int put_reclaim_stats(struct sk_buff *skb, int type, const struct reclaim_stats *stats)
{
	struct nlattr *nest = nla_nest_start(skb, type);
	struct nlattr *broken;

	if (!nest || nla_put_u32(skb, EMYS_A_RECLAIM_STATS_STATE, stats->state) ||
	    put_fields(skb, reclaim_fields, ARRAY_SIZE(reclaim_fields), stats,
		       EMYS_A_RECLAIM_STATS_PAD))
		return -EMSGSIZE;
	broken = nla_nest_start(skb, EMYS_A_RECLAIM_STATS_BROKEN);
	if (!broken || put_fields(skb, broken_fields, ARRAY_SIZE(broken_fields), stats,
				  EMYS_A_BY_STATE_PAD))
		return -EMSGSIZE;
	nla_nest_end(skb, broken);
	nla_nest_end(skb, nest);
	return 0;
}

/* -- whole messages ------------------------------------------------------------------------ */

/* Where a message goes: an answer to @info, or a part of the dump of @cb. */
struct reply {
	struct sk_buff *skb;
	u32 portid, seq;
	int flags;
};

static int fill_vm(const struct reply *to, struct emys_vm *vm)
{
	struct nl_counts counts = {};
	u64 small, large, tables;
	struct vm_balloon b;
	struct nlattr *nest;
	struct sk_buff *skb = to->skb;
	void *head;

	mem_vm_objects(vm, counts_add, &counts);
	mem_vm_leaves(vm, &small, &large, &tables);
	emys_vm_balloon_get(vm, &b);

	head = genlmsg_put(skb, to->portid, to->seq, &emys_nl_family, to->flags,
			   EMYS_CMD_VM_GET);
	if (!head)
		return -EMSGSIZE;
	if (nla_put_u32(skb, EMYS_A_VM_ID, vm->id) ||
	    nla_put_u32(skb, EMYS_A_VM_PID, vm->owner) ||
	    nla_put_u32(skb, EMYS_A_VM_UID, from_kuid(&init_user_ns, vm->uid)) ||
	    nla_put_u32(skb, EMYS_A_VM_DOMAIN, mem_vm_domain(vm)) ||
	    (b.target >= 0 && nla_put_s64(skb, EMYS_A_VM_TARGET, b.target, EMYS_A_VM_PAD)) ||
	    nla_put_u64_64bit(skb, EMYS_A_VM_SHARES, b.shares, EMYS_A_VM_PAD) ||
	    nla_put_u32(skb, EMYS_A_VM_LARGE, b.large) ||
	    (b.large_set && nla_put_flag(skb, EMYS_A_VM_LARGE_OWN)) ||
	    put_counts(skb, EMYS_A_VM_COUNTS, &counts) ||
	    nla_put_u64_64bit(skb, EMYS_A_VM_LEAVES_SMALL, small, EMYS_A_VM_PAD) ||
	    nla_put_u64_64bit(skb, EMYS_A_VM_LEAVES_LARGE, large, EMYS_A_VM_PAD) ||
	    nla_put_u64_64bit(skb, EMYS_A_VM_TABLES, tables, EMYS_A_VM_PAD))
		goto full;
	nest = nla_nest_start(skb, EMYS_A_VM_BALLOON);
	if (!nest ||
	    nla_put_u64_64bit(skb, EMYS_A_BALLOON_ACTUAL, b.actual, EMYS_A_BALLOON_PAD) ||
	    nla_put_u64_64bit(skb, EMYS_A_BALLOON_ACTIVE, b.active, EMYS_A_BALLOON_PAD) ||
	    nla_put_u32(skb, EMYS_A_BALLOON_SHAREABLE_PERMILLE, b.shareable_permille))
		goto full;
	nla_nest_end(skb, nest);
	genlmsg_end(skb, head);
	return 0;

full:
	genlmsg_cancel(skb, head);
	return -EMSGSIZE;
}

static int fill_object(const struct reply *to, struct mem_object *obj)
{
	u32 domain = mem_object_domain(obj);
	struct nl_counts counts = {};
	struct sk_buff *skb = to->skb;
	void *head;

	counts_add(&counts, obj);
	head = genlmsg_put(skb, to->portid, to->seq, &emys_nl_family, to->flags,
			   EMYS_CMD_OBJECT_GET);
	if (!head)
		return -EMSGSIZE;
	if (nla_put_u32(skb, EMYS_A_OBJECT_ID, mem_object_id(obj)) ||
	    (domain && nla_put_u32(skb, EMYS_A_OBJECT_DOMAIN, domain)) ||
	    nla_put_u64_64bit(skb, EMYS_A_OBJECT_END, mem_object_end(obj), EMYS_A_OBJECT_PAD) ||
	    put_counts(skb, EMYS_A_OBJECT_COUNTS, &counts)) {
		genlmsg_cancel(skb, head);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, head);
	return 0;
}

static int fill_domain(const struct reply *to, u32 id)
{
	struct nl_counts counts = {};
	struct sk_buff *skb = to->skb;
	struct dedup_policy policy;
	struct dedup_stats stats;
	struct mem_object *obj;
	struct emys_vm *vm;
	u32 after, vms = 0;
	bool engine;
	void *head;
	int r;

	for (after = 0; (vm = emys_vm_next(after)); emys_vm_put(vm)) {
		after = vm->id;
		vms += mem_vm_domain(vm) == id;
	}
	for (after = 0; (obj = mem_object_next(after)); mem_object_put(obj)) {
		after = mem_object_id(obj);
		if (mem_object_domain(obj) == id)
			counts_add(&counts, obj);
	}
	r = emys_dedup_policy_get(id, &policy);
	if (r)
		return r;
	engine = !emys_dedup_stats(id, &stats);
	/* Of the whole domain it is no matter of shares, and not rounded. */
	counts.saved = counts.c.state[MEM_ZERO];
	if (engine)
		counts.saved += stats.sharing - min(stats.stable, stats.sharing);

	head = genlmsg_put(skb, to->portid, to->seq, &emys_nl_family, to->flags,
			   EMYS_CMD_DOMAIN_GET);
	if (!head)
		return -EMSGSIZE;
	if (nla_put_u32(skb, EMYS_A_DOMAIN_ID, id) ||
	    nla_put_u32(skb, EMYS_A_DOMAIN_VMS, vms) ||
	    put_dedup_policy(skb, EMYS_A_DOMAIN_POLICY, &policy) ||
	    (engine && put_dedup_stats(skb, EMYS_A_DOMAIN_STATS, &stats)) ||
	    put_counts(skb, EMYS_A_DOMAIN_COUNTS, &counts)) {
		genlmsg_cancel(skb, head);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, head);
	return 0;
}

static int fill_module(const struct reply *to)
{
	struct reclaim_policy reclaim;
	struct reclaim_stats stats;
	struct dedup_policy dedup;
	struct sk_buff *skb = to->skb;
	struct emys_vm *vm;
	u32 after, vms = 0;
	void *head;

	for (after = 0; (vm = emys_vm_next(after)); emys_vm_put(vm)) {
		after = vm->id;
		vms++;
	}
	emys_dedup_default_get(&dedup);
	emys_reclaim_policy_get(&reclaim);
	emys_reclaim_stats(&stats);
	head = genlmsg_put(skb, to->portid, to->seq, &emys_nl_family, to->flags,
			   EMYS_CMD_MODULE_GET);
	if (!head)
		return -EMSGSIZE;
	if (put_dedup_policy(skb, EMYS_A_MODULE_DEDUP, &dedup) ||
	    put_reclaim_policy(skb, EMYS_A_MODULE_RECLAIM, &reclaim) ||
	    put_reclaim_stats(skb, EMYS_A_MODULE_STATS, &stats) ||
	    nla_put_u64_64bit(skb, EMYS_A_MODULE_PAGES, mem_pages_allocated(),
			      EMYS_A_MODULE_PAD) ||
	    nla_put_u64_64bit(skb, EMYS_A_MODULE_SHARED, mem_pages_shared(), EMYS_A_MODULE_PAD) ||
	    nla_put_u32(skb, EMYS_A_MODULE_VMS, vms)) {
		genlmsg_cancel(skb, head);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, head);
	return 0;
}

/* -- one ------------------------------------------------------------------------------------- */

static int reply_start(struct reply *to, struct genl_info *info)
{
	*to = (struct reply){
		.skb = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL),
		.portid = info->snd_portid,
		.seq = info->snd_seq,
	};
	return to->skb ? 0 : -ENOMEM;
}

static int reply_send(struct reply *to, struct genl_info *info, int r)
{
	if (!r)
		return genlmsg_reply(to->skb, info);
	nlmsg_free(to->skb);
	return r;
}

int emys_nl_vm_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct emys_vm *vm = nl_vm_of(skb, info, EMYS_A_VM_ID);
	struct reply to;
	int r;

	if (IS_ERR(vm))
		return PTR_ERR(vm);
	r = reply_start(&to, info);
	if (!r)
		r = reply_send(&to, info, fill_vm(&to, vm));
	emys_vm_put(vm);
	return r;
}

int emys_nl_object_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *id = info->attrs[EMYS_A_OBJECT_ID];
	struct mem_object *obj;
	struct reply to;
	int r = nl_need_admin(skb, info);

	if (r)
		return r;
	if (GENL_REQ_ATTR_CHECK(info, EMYS_A_OBJECT_ID)) {
		NL_SET_ERR_MSG(info->extack, "it is not said which object");
		return -EINVAL;
	}
	obj = mem_object_find(nla_get_u32(id));
	if (!obj) {
		compat_nl_err(info->extack, id, "there is no such object",
			      "there is no object %u", nla_get_u32(id));
		return -ENOENT;
	}
	r = reply_start(&to, info);
	if (!r)
		r = reply_send(&to, info, fill_object(&to, obj));
	mem_object_put(obj);
	return r;
}

int emys_nl_domain_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	int r = nl_need_admin(skb, info);
	struct reply to;
	u32 id;

	if (r)
		return r;
	if (GENL_REQ_ATTR_CHECK(info, EMYS_A_DOMAIN_ID)) {
		NL_SET_ERR_MSG(info->extack, "it is not said which domain");
		return -EINVAL;
	}
	id = nla_get_u32(info->attrs[EMYS_A_DOMAIN_ID]);
	if (!nl_domain_known(id))
		return nl_no_domain(info, EMYS_A_DOMAIN_ID);
	r = reply_start(&to, info);
	return r ? r : reply_send(&to, info, fill_domain(&to, id));
}

int emys_nl_module_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	int r = nl_need_admin(skb, info);
	struct reply to;

	if (!r)
		r = reply_start(&to, info);
	return r ? r : reply_send(&to, info, fill_module(&to));
}

/* -- all ------------------------------------------------------------------------------------- */

/*
 * A dump goes on behind the last id that was in it, which cb->args[0] keeps from one part to
 * the next: what comes and goes meanwhile moves nothing.
 */
static struct reply dump_part(struct sk_buff *skb, struct netlink_callback *cb)
{
	return (struct reply){
		.skb = skb,
		.portid = NETLINK_CB(cb->skb).portid,
		.seq = cb->nlh->nlmsg_seq,
		.flags = NLM_F_MULTI,
	};
}

/* After one is filled in, or not for @r: go on? */
static bool dump_more(struct netlink_callback *cb, u32 id, int r)
{
	if (r)
		return false;
	cb->args[0] = id;
	return true;
}

/* A part that is full is no error; one that not even one fits in is. */
static int dump_end(struct sk_buff *skb, int r)
{
	return r && !(r == -EMSGSIZE && skb->len) ? r : skb->len;
}

int emys_nl_vm_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct reply to = dump_part(skb, cb);
	bool admin = nl_admin(cb->skb);
	u32 after = cb->args[0];
	struct emys_vm *vm;
	int r = 0;

	while ((vm = emys_vm_next(after))) {
		after = vm->id;
		if (admin || nl_creator(cb->skb, vm))
			r = fill_vm(&to, vm);
		emys_vm_put(vm);
		if (!dump_more(cb, after, r))
			break;
	}
	return dump_end(skb, r);
}

int emys_nl_object_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct reply to = dump_part(skb, cb);
	u32 after = cb->args[0];
	struct mem_object *obj;
	int r = 0;

	if (!nl_admin(cb->skb)) {
		NL_SET_ERR_MSG(cb->extack, "this needs CAP_SYS_ADMIN");
		return -EPERM;
	}
	while ((obj = mem_object_next(after))) {
		after = mem_object_id(obj);
		r = fill_object(&to, obj);
		mem_object_put(obj);
		if (!dump_more(cb, after, r))
			break;
	}
	return dump_end(skb, r);
}

/* The next domain above @after that has an engine or a VM, or 0. */
static u32 domain_next(u32 after)
{
	u32 vm_after = 0, next = emys_dedup_next(after);
	struct emys_vm *vm;
	u32 domain;

	for (; (vm = emys_vm_next(vm_after)); emys_vm_put(vm)) {
		vm_after = vm->id;
		domain = mem_vm_domain(vm);
		if (domain > after && (!next || domain < next))
			next = domain;
	}
	return next;
}

int emys_nl_domain_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct reply to = dump_part(skb, cb);
	u32 id = cb->args[0];
	int r = 0;

	if (!nl_admin(cb->skb)) {
		NL_SET_ERR_MSG(cb->extack, "this needs CAP_SYS_ADMIN");
		return -EPERM;
	}
	while ((id = domain_next(id))) {
		r = fill_domain(&to, id);
		if (!dump_more(cb, id, r))
			break;
	}
	return dump_end(skb, r);
}
