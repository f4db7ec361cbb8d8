// SPDX-License-Identifier: GPL-2.0-only
/*
 * netlink_set.c - what can be changed. A request is worked out whole, and what may fail comes
 * first: when an answer is an error, nothing has changed.
 */
#include <linux/slab.h>

#include "../balloon/balloon.h"
#include "../ksm_cmd/ksm_cmd.h"
#include "../mem/owned.h"
#include "emys.h"
#include "netlink.h"

/* -- policies ------------------------------------------------------------------- */

static int nested(struct nlattr **a, int max, const struct nlattr *nest, struct genl_info *info)
{
	/* Types and ranges were checked with the request; this only sorts them. */
	return nla_parse_nested(a, max, nest, NULL, info->extack);
}

static void take_u32(u32 *value, const struct nlattr *a)
{
	if (a)
		*value = nla_get_u32(a);
}

static void take_u64(u64 *value, const struct nlattr *a)
{
	if (a)
		*value = nla_get_u64(a);
}

/* @p, with what the request has. */
static int take_dedup_policy(struct dedup_policy *p, const struct nlattr *nest,
			     struct genl_info *info)
{
	struct nlattr *a[EMYS_A_DEDUP_POLICY_MAX + 1];
	int r = nested(a, EMYS_A_DEDUP_POLICY_MAX, nest, info);

	if (r)
		return r;
	if (a[EMYS_A_DEDUP_POLICY_ALGORITHM])
		p->algorithm = nla_get_u32(a[EMYS_A_DEDUP_POLICY_ALGORITHM]);
	if (a[EMYS_A_DEDUP_POLICY_RUN])
		p->run = nla_get_u8(a[EMYS_A_DEDUP_POLICY_RUN]);
	if (a[EMYS_A_DEDUP_POLICY_ADAPTIVE])
		p->adaptive = nla_get_u8(a[EMYS_A_DEDUP_POLICY_ADAPTIVE]);
	take_u32(&p->classes, a[EMYS_A_DEDUP_POLICY_CLASSES]);
	take_u32(&p->pages, a[EMYS_A_DEDUP_POLICY_PAGES]);
	take_u32(&p->sleep_ms, a[EMYS_A_DEDUP_POLICY_SLEEP_MS]);
	take_u32(&p->cpu_permille, a[EMYS_A_DEDUP_POLICY_CPU_PERMILLE]);
	return 0;
}

static int take_bounds(u32 *permille, const struct nlattr *nest, struct genl_info *info)
{
	struct nlattr *a[EMYS_A_BOUNDS_MAX + 1];
	int r;

	if (!nest)
		return 0;
	r = nested(a, EMYS_A_BOUNDS_MAX, nest, info);
	if (r)
		return r;
	take_u32(&permille[HOST_CLEAR], a[EMYS_A_BOUNDS_CLEAR]);
	take_u32(&permille[HOST_SOFT], a[EMYS_A_BOUNDS_SOFT]);
	take_u32(&permille[HOST_HARD], a[EMYS_A_BOUNDS_HARD]);
	take_u32(&permille[HOST_LOW], a[EMYS_A_BOUNDS_LOW]);
	return 0;
}

static int take_reclaim_policy(struct reclaim_policy *p, const struct nlattr *nest,
			       struct genl_info *info)
{
	struct nlattr *a[EMYS_A_RECLAIM_POLICY_MAX + 1];
	int r = nested(a, EMYS_A_RECLAIM_POLICY_MAX, nest, info);

	if (!r)
		r = take_bounds(p->up, a[EMYS_A_RECLAIM_POLICY_UP], info);
	if (!r)
		r = take_bounds(p->down, a[EMYS_A_RECLAIM_POLICY_DOWN], info);
	if (r)
		return r;
	take_u64(&p->budget, a[EMYS_A_RECLAIM_POLICY_BUDGET]);
	take_u64(&p->min_free, a[EMYS_A_RECLAIM_POLICY_MIN_FREE]);
	if (a[EMYS_A_RECLAIM_POLICY_LARGE])
		p->large = nla_get_u32(a[EMYS_A_RECLAIM_POLICY_LARGE]);
	take_u32(&p->sample_ms, a[EMYS_A_RECLAIM_POLICY_SAMPLE_MS]);
	take_u32(&p->sample_pages, a[EMYS_A_RECLAIM_POLICY_SAMPLE_PAGES]);
	take_u32(&p->cold_samples, a[EMYS_A_RECLAIM_POLICY_COLD_SAMPLES]);
	take_u32(&p->share_permille, a[EMYS_A_RECLAIM_POLICY_SHARE_PERMILLE]);
	take_u32(&p->storm, a[EMYS_A_RECLAIM_POLICY_STORM]);
	return 0;
}

/* Say which field of the policy it was, when the owner of it says so. */
static int bad_field(struct genl_info *info, const struct nlattr *nest, const char *bad, int r)
{
	if (r == -EINVAL && bad)
		compat_nl_err(info->extack, nest, "a field is out of range or out of order",
			      "%s is out of range or out of order", bad);
	return r;
}

static int nothing(struct genl_info *info)
{
	NL_SET_ERR_MSG(info->extack, "it is not said what to change");
	return -EINVAL;
}

/* -- the module ------------------------------------------------------------------------ */

static int module_set(struct genl_info *info)
{
	const struct nlattr *dedup_nest = info->attrs[EMYS_A_MODULE_DEDUP];
	const struct nlattr *reclaim_nest = info->attrs[EMYS_A_MODULE_RECLAIM];
	struct reclaim_policy reclaim, old;
	struct dedup_policy dedup;
	const char *bad = NULL;
	int r = 0;

	emys_dedup_default_get(&dedup);
	emys_reclaim_policy_get(&old);
	reclaim = old;
	if (dedup_nest)
		r = take_dedup_policy(&dedup, dedup_nest, info);
	if (!r && reclaim_nest)
		r = take_reclaim_policy(&reclaim, reclaim_nest, info);
	if (r)
		return r;
	if (reclaim_nest) {
		r = emys_reclaim_policy_set(&reclaim, &bad);
		if (r)
			return bad_field(info, reclaim_nest, bad, r);
	}
	if (dedup_nest) {
		r = emys_dedup_default_set(&dedup, &bad);
		/* What was in force is taken back without fail. */
		if (r && reclaim_nest)
			WARN_ON_ONCE(emys_reclaim_policy_set(&old, &bad));
		if (r)
			return bad_field(info, dedup_nest, bad, r);
	}
	return 0;
}

int emys_nl_module_set_doit(struct sk_buff *skb, struct genl_info *info)
{
	int r = nl_need_admin(skb, info);

	if (r)
		return r;
	if (!info->attrs[EMYS_A_MODULE_DEDUP] && !info->attrs[EMYS_A_MODULE_RECLAIM])
		return nothing(info);
	mutex_lock(&nl_policy_lock);
	r = module_set(info);
	mutex_unlock(&nl_policy_lock);
	return r;
}

/* -- domains ------------------------------------------------------------------------------ */

static int domain_set(u32 id, struct genl_info *info)
{
	const struct nlattr *nest = info->attrs[EMYS_A_DOMAIN_POLICY];
	bool known = nl_domain_known(id);
	struct dedup_policy policy;
	const char *bad = NULL;
	int r;

	if (!known && !info->attrs[EMYS_A_DOMAIN_CREATE])
		return nl_no_domain(info, EMYS_A_DOMAIN_ID);
	if (!known && id >= MEM_DOMAIN_OWN) {
		NL_SET_ERR_MSG_ATTR(info->extack, info->attrs[EMYS_A_DOMAIN_ID],
				    "a VM's own domain comes and goes with the VM");
		return -EINVAL;
	}
	if (info->attrs[EMYS_A_DOMAIN_REMOVE]) {
		r = emys_dedup_policy_remove(id);
		/* A VM's domain that nobody has set anything of goes by the default already. */
		return r == -ENOENT ? 0 : r;
	}
	r = emys_dedup_policy_get(id, &policy);
	if (!r && nest)
		r = take_dedup_policy(&policy, nest, info);
	if (r)
		return r;
	if (nest || !known) {
		r = emys_dedup_policy_set(id, &policy, &bad);
		if (r)
			return bad_field(info, nest, bad, r);
	}
	if (info->attrs[EMYS_A_DOMAIN_RESET]) {
		r = emys_dedup_reset(id);
		/* Without an engine there is nothing that counted. */
		if (r && r != -ENOENT)
			return r;
	}
	return 0;
}

int emys_nl_domain_set_doit(struct sk_buff *skb, struct genl_info *info)
{
	bool change = info->attrs[EMYS_A_DOMAIN_POLICY] || info->attrs[EMYS_A_DOMAIN_RESET] ||
		      info->attrs[EMYS_A_DOMAIN_CREATE];
	const struct nlattr *remove = info->attrs[EMYS_A_DOMAIN_REMOVE];
	int r = nl_need_admin(skb, info);

	if (r)
		return r;
	if (GENL_REQ_ATTR_CHECK(info, EMYS_A_DOMAIN_ID)) {
		NL_SET_ERR_MSG(info->extack, "it is not said which domain");
		return -EINVAL;
	}
	if (!change && !remove)
		return nothing(info);
	if (change && remove) {
		NL_SET_ERR_MSG_ATTR(info->extack, remove, "a policy is removed by itself");
		return -EINVAL;
	}
	mutex_lock(&nl_policy_lock);
	r = domain_set(nla_get_u32(info->attrs[EMYS_A_DOMAIN_ID]), info);
	mutex_unlock(&nl_policy_lock);
	return r;
}

/* -- VMs ------------------------------------------------------------------------------------ */

static int vm_set_domain(struct sk_buff *skb, struct emys_vm *vm, struct genl_info *info)
{
	const struct nlattr *a = info->attrs[EMYS_A_VM_DOMAIN];
	u32 domain = nla_get_u32(a), own = MEM_DOMAIN_OWN | vm->id;

	if (domain >= MEM_DOMAIN_OWN && domain != own) {
		NL_SET_ERR_MSG_ATTR(info->extack, a, "that is another VM's own domain");
		return -EINVAL;
	}
	/* Who shares pages with a neighbour can learn what he holds: not for a guest's user. */
	if (domain && domain != own && !nl_admin(skb)) {
		NL_SET_ERR_MSG_ATTR(info->extack, a,
				    "to join a domain of several VMs needs CAP_SYS_ADMIN");
		return -EPERM;
	}
	return mem_vm_set_domain(vm, domain);
}

static int vm_set_rest(struct sk_buff *skb, struct emys_vm *vm, struct genl_info *info)
{
	const struct nlattr *target = info->attrs[EMYS_A_VM_TARGET];
	const struct nlattr *shares = info->attrs[EMYS_A_VM_SHARES];
	const struct nlattr *large = info->attrs[EMYS_A_VM_LARGE];
	int r;

	if (shares && !nl_admin(skb)) {
		NL_SET_ERR_MSG_ATTR(info->extack, shares,
				    "a weight against others needs CAP_SYS_ADMIN");
		return -EPERM;
	}
	/* The one that can still fail; the ranges of the others are those of the request. */
	if (target) {
		r = emys_vm_balloon_target(vm, nla_get_s64(target));
		if (r == -EINVAL)
			compat_nl_err(info->extack, target, "that is more than the VM's memory",
				      "%lld pages are more than the VM's memory",
				      (long long)nla_get_s64(target));
		if (r)
			return r;
	}
	if (shares)
		WARN_ON_ONCE(emys_vm_balloon_shares(vm, nla_get_u64(shares)));
	if (large)
		WARN_ON_ONCE(emys_vm_large_policy(vm, nla_get_u32(large)));
	return 0;
}

int emys_nl_vm_set_doit(struct sk_buff *skb, struct genl_info *info)
{
	bool rest = info->attrs[EMYS_A_VM_TARGET] || info->attrs[EMYS_A_VM_SHARES] ||
		    info->attrs[EMYS_A_VM_LARGE];
	bool domain = info->attrs[EMYS_A_VM_DOMAIN];
	struct emys_vm *vm = nl_vm_of(skb, info, EMYS_A_VM_ID);
	int r;

	if (IS_ERR(vm))
		return PTR_ERR(vm);
	if (domain && rest) {
		/* Both may fail, and neither can be taken back without fail. */
		NL_SET_ERR_MSG_ATTR(info->extack, info->attrs[EMYS_A_VM_DOMAIN],
				    "the domain is set by itself");
		r = -EINVAL;
	} else if (domain) {
		r = vm_set_domain(skb, vm, info);
	} else if (rest) {
		mutex_lock(&nl_policy_lock);
		r = vm_set_rest(skb, vm, info);
		mutex_unlock(&nl_policy_lock);
	} else {
		r = nothing(info);
	}
	emys_vm_put(vm);
	return r;
}

/* -- clones ------------------------------------------------------------------------------------ */

/* The objects of a VM, in order, each with a reference. */
struct object_list {
	unsigned int n;
	struct mem_object *obj[EMYS_MEM_SLOTS];
};

static int list_add_object(void *ctx, struct mem_object *obj)
{
	struct object_list *list = ctx;

	if (list->n == ARRAY_SIZE(list->obj))
		return -E2BIG;
	mem_object_get(obj);
	list->obj[list->n++] = obj;
	return 0;
}

static void list_free(struct object_list *list)
{
	unsigned int i;

	for (i = 0; i < list->n; i++)
		mem_object_put(list->obj[i]);
	kvfree(list);
}

/* Look at all pairs, when all may be looked at. Pages merged, or an error. */
static long clone_pairs(const struct object_list *from, const struct object_list *to,
			struct genl_info *info)
{
	long n, merged = 0;
	unsigned int i;

	if (from->n != to->n) {
		NL_SET_ERR_MSG(info->extack, "they do not have as many objects");
		return -EINVAL;
	}
	for (i = 0; i < from->n; i++) {
		if (from->obj[i] == to->obj[i]) {
			NL_SET_ERR_MSG(info->extack, "nothing is a clone of itself");
			return -EINVAL;
		}
		if (mem_object_domain(from->obj[i]) != mem_object_domain(to->obj[i])) {
			NL_SET_ERR_MSG(info->extack, "they are in different domains");
			return -EXDEV;
		}
	}
	for (i = 0; i < from->n; i++) {
		n = emys_dedup_clone(from->obj[i], to->obj[i]);
		if (n < 0)
			return n;
		merged += n;
	}
	return merged;
}

static int list_of_vm(struct object_list *list, struct sk_buff *skb, struct genl_info *info,
		      int type)
{
	struct emys_vm *vm = nl_vm_of(skb, info, type);
	int r;

	if (IS_ERR(vm))
		return PTR_ERR(vm);
	r = mem_vm_objects(vm, list_add_object, list);
	emys_vm_put(vm);
	return r;
}

static int list_of_object(struct object_list *list, struct genl_info *info, int type)
{
	struct mem_object *obj;

	if (GENL_REQ_ATTR_CHECK(info, type))
		return -EINVAL;
	obj = mem_object_find(nla_get_u32(info->attrs[type]));
	if (!obj) {
		compat_nl_err(info->extack, info->attrs[type], "there is no such object",
			      "there is no object %u", nla_get_u32(info->attrs[type]));
		return -ENOENT;
	}
	list->obj[list->n++] = obj;
	return 0;
}

static int clone_lists(struct object_list *from, struct object_list *to, struct sk_buff *skb,
		       struct genl_info *info)
{
	struct nlattr **a = info->attrs;
	bool vms = a[EMYS_A_CLONE_FROM_VM] || a[EMYS_A_CLONE_TO_VM];
	bool objects = a[EMYS_A_CLONE_FROM_OBJECT] || a[EMYS_A_CLONE_TO_OBJECT];
	int r;

	if (vms == objects) {
		NL_SET_ERR_MSG(info->extack, "a clone is of two VMs or of two objects");
		return -EINVAL;
	}
	if (vms) {
		r = list_of_vm(from, skb, info, EMYS_A_CLONE_FROM_VM);
		return r ? r : list_of_vm(to, skb, info, EMYS_A_CLONE_TO_VM);
	}
	r = nl_need_admin(skb, info);
	if (!r)
		r = list_of_object(from, info, EMYS_A_CLONE_FROM_OBJECT);
	return r ? r : list_of_object(to, info, EMYS_A_CLONE_TO_OBJECT);
}

static int clone_reply(struct genl_info *info, u64 merged)
{
	struct sk_buff *skb = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	void *head;

	if (!skb)
		return -ENOMEM;
	head = genlmsg_put_reply(skb, info, &emys_nl_family, 0, EMYS_CMD_CLONE);
	if (!head || nla_put_u64_64bit(skb, EMYS_A_CLONE_MERGED, merged, EMYS_A_CLONE_PAD)) {
		nlmsg_free(skb);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, head);
	return genlmsg_reply(skb, info);
}

int emys_nl_clone_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct object_list *from = kvzalloc(sizeof(*from), GFP_KERNEL);
	struct object_list *to = kvzalloc(sizeof(*to), GFP_KERNEL);
	long r = -ENOMEM;

	if (from && to) {
		r = clone_lists(from, to, skb, info);
		if (!r)
			r = clone_pairs(from, to, info);
		if (r >= 0)
			r = clone_reply(info, r);
	}
	if (from)
		list_free(from);
	if (to)
		list_free(to);
	return r;
}
