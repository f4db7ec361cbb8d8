// SPDX-License-Identifier: GPL-2.0-only
/* What reclaim keeps of each VM: balloon target, shares, its own policy, estimates. */
#include <linux/math64.h>

#include "../emys.h"
#include "../notice.h"
#include "reclaim.h"

#define SHARES_DEFAULT	1000
#define SHARES_MAX	1000000
#define NEAR		256	/* pages from the target that count as there: a MiB */

static DEFINE_SPINLOCK(vm_lock);	/* struct emys_vm_reclaim; innermost */

struct vm_sums {
	u64 size, ballooned, present;
};

static int add_object(void *ctx, struct mem_object *obj)
{
	struct vm_sums *sums = ctx;
	struct mem_counts counts;

	mem_object_counts(obj, &counts);
	sums->size += mem_object_end(obj);
	sums->ballooned += counts.state[MEM_BALLOONED];
	sums->present += counts.state[MEM_PRIVATE] + counts.state[MEM_SHARED] +
			 counts.state[MEM_ZERO];
	return 0;
}

static struct vm_sums vm_sums(struct emys_vm *vm)
{
	struct vm_sums sums = { 0 };

	mem_vm_objects(vm, add_object, &sums);
	return sums;
}

void emys_vm_balloon_get(struct emys_vm *vm, struct vm_balloon *b)
{
	struct reclaim_policy policy = reclaim_policy();
	struct emys_vm_reclaim *r = &vm->reclaim;
	struct vm_sums sums = vm_sums(vm);

	spin_lock(&vm_lock);
	*b = (struct vm_balloon) {
		.target = r->target_set ? r->target : -1,
		.actual = sums.size - sums.ballooned,
		.active = working_set_pages(&r->active, sums.present),
		.shares = r->shares ?: SHARES_DEFAULT,
		.large = r->large_set ? r->large : policy.large,
		.large_set = r->large_set,
		.shareable_permille = r->shareable_permille,
	};
	spin_unlock(&vm_lock);
}

int emys_vm_balloon_target(struct emys_vm *vm, s64 target)
{
	struct vm_sums sums = vm_sums(vm);
	struct emys_notice notice = {
		.type = NOTICE_BALLOON_TARGET,
		.vm = vm->id,
		.target = target,
		.actual = sums.size - sums.ballooned,
	};

	if (target < 0 || target > (s64)sums.size)
		return -EINVAL;
	spin_lock(&vm_lock);
	vm->reclaim.target = target;
	vm->reclaim.target_set = true;
	vm->reclaim.reached = false;
	spin_unlock(&vm_lock);
	emys_notify(&notice);
	return 0;
}

int emys_vm_balloon_shares(struct emys_vm *vm, u64 shares)
{
	if (!shares || shares > SHARES_MAX)
		return -EINVAL;
	spin_lock(&vm_lock);
	vm->reclaim.shares = shares;
	spin_unlock(&vm_lock);
	return 0;
}

static int tell_blocks(void *ctx, struct mem_object *obj)
{
	mem_object_blocks(obj, *(enum large_policy *)ctx != LARGE_SMALL);
	return 0;
}

int emys_vm_large_policy(struct emys_vm *vm, enum large_policy policy)
{
	if (policy > LARGE_POLICIES)
		return -EINVAL;
	spin_lock(&vm_lock);
	vm->reclaim.large_set = policy != LARGE_POLICIES;
	vm->reclaim.large = vm->reclaim.large_set ? policy : LARGE_PROACTIVE;
	spin_unlock(&vm_lock);
	policy = reclaim_vm_large(vm, reclaim_policy().large);
	mem_vm_objects(vm, tell_blocks, &policy);
	return 0;
}

enum large_policy reclaim_vm_large(struct emys_vm *vm, enum large_policy large)
{
	spin_lock(&vm_lock);
	if (vm->reclaim.large_set)
		large = vm->reclaim.large;
	spin_unlock(&vm_lock);
	return large;
}

static void tell_reached(struct emys_vm *vm, struct emys_notice *notice)
{
	struct vm_sums sums = vm_sums(vm);
	u64 actual = sums.size - sums.ballooned;
	bool tell;

	spin_lock(&vm_lock);
	tell = vm->reclaim.target_set && !vm->reclaim.reached &&
	       abs(vm->reclaim.target - (s64)actual) <= NEAR;
	if (tell) {
		vm->reclaim.reached = true;
		notice->target = vm->reclaim.target;
	}
	spin_unlock(&vm_lock);
	notice->type = NOTICE_BALLOON_REACHED;
	notice->actual = actual;
	if (tell)
		emys_notify(notice);
}

void reclaim_vm_round(struct emys_vm *vm, const struct reclaim_vm_sums *sums, u32 storm, u64 ms)
{
	struct emys_notice notice = { .type = NOTICE_PAGE_STORM, .vm = vm->id };
	struct emys_notice reached = { .vm = vm->id };
	struct emys_vm_reclaim *r = &vm->reclaim;

	spin_lock(&vm_lock);
	working_set_add(&r->active, sums->active, sums->present);
	if (sums->probed)
		r->shareable_permille = div64_u64(sums->share, sums->probed);
	/* Objects come and go with slots: then the sums may fall */
	if (r->counted && ms && sums->copied >= r->copied && sums->refaulted >= r->refaulted) {
		notice.copied = div64_u64((sums->copied - r->copied) * 1000, ms);
		notice.refaulted = div64_u64((sums->refaulted - r->refaulted) * 1000, ms);
	}
	r->copied = sums->copied;
	r->refaulted = sums->refaulted;
	r->counted = true;
	spin_unlock(&vm_lock);

	if (notice.copied + notice.refaulted >= storm)
		emys_notify(&notice);
	tell_reached(vm, &reached);
}
