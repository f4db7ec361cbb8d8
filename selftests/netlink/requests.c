// SPDX-License-Identifier: GPL-2.0-only
/* netlink/requests: every operation of the family emys, allowed and forbidden */
#include <sched.h>

#include "owned.h"

#define NOBODY		1000
#define DOMAIN		7		/* for several VMs */
#define NONE		0x7ffffff0	/* no VM, object or domain is called so */
#define OWN(vm)		(0x80000000u | (vm))

/* It failed so, and said a sentence. */
#define CHECK_REFUSED(call, err)						\
	do {									\
		int _r = (call);						\
		CHECK_MSG(_r == -(err), "%s is %d (%s), expected %s", #call, _r, \
			  nl->text, #err);					\
		CHECK_MSG(nl->text[0], "%s says nothing", #call);		\
	} while (0)

#define CHECK_DONE(call)							\
	do {									\
		int _r = (call);						\
		CHECK_MSG(!_r, "%s is %d (%s)", #call, _r, nl->text);		\
	} while (0)

static struct nl *begin(void)
{
	REQUIRE(ksft_is_emys(), "not emys");
	return nl_open();
}

/* -- VMs ------------------------------------------------------------------------- */

static void test_vm_get(void)
{
	struct nl *nl = begin();
	struct owned o = owned_make();
	u32 id = nl_my_vm(nl, 0);
	struct nl_object objects[8];
	struct nl_vm vm, all[8];
	u64 sum;

	o.mem[0] = 1;
	o.mem[5 * PAGE] = 1;
	CHECK_DONE(nl_vm_get(nl, id, &vm));
	CHECK_EQ(vm.a[EMYS_A_VM_ID], id);
	CHECK_EQ(vm.a[EMYS_A_VM_PID], getpid());
	CHECK_EQ(vm.a[EMYS_A_VM_UID], getuid());
	CHECK_EQ(vm.a[EMYS_A_VM_DOMAIN], OWN(id));
	CHECK_EQ(vm.a[EMYS_A_VM_SHARES], 1000);
	CHECK(!(vm.has & 1ull << EMYS_A_VM_TARGET));
	CHECK(!(vm.has & 1ull << EMYS_A_VM_LARGE_OWN));
	CHECK(vm.counts[EMYS_A_COUNTS_RESIDENT] >= 2);
	CHECK_EQ(vm.counts[EMYS_A_COUNTS_PRIVATE], vm.counts[EMYS_A_COUNTS_RESIDENT]);
	CHECK_EQ(vm.counts[EMYS_A_COUNTS_SAVED], 0);
	CHECK_EQ(nl_vms(nl, all, 8), 1);
	CHECK(!memcmp(all[0].counts, vm.counts, sizeof(vm.counts)));

	/* its one object has the same, and each page up to the end is in one state */
	CHECK_EQ(nl_objects(nl, objects, 8), 1);
	CHECK(!memcmp(objects[0].counts, vm.counts, sizeof(vm.counts)));
	CHECK_EQ(objects[0].a[EMYS_A_OBJECT_DOMAIN], OWN(id));
	sum = vm.counts[EMYS_A_COUNTS_PRIVATE] + vm.counts[EMYS_A_COUNTS_SHARED] +
	      vm.counts[EMYS_A_COUNTS_ZERO] + vm.counts[EMYS_A_COUNTS_BALLOONED] +
	      vm.counts[EMYS_A_COUNTS_ABSENT];
	CHECK_EQ(sum, objects[0].a[EMYS_A_OBJECT_END]);
	CHECK_DONE(nl_object_get(nl, objects[0].a[EMYS_A_OBJECT_ID], &objects[1]));
	CHECK_EQ(objects[1].a[EMYS_A_OBJECT_ID], objects[0].a[EMYS_A_OBJECT_ID]);
}

static void test_unknown(void)
{
	struct nl *nl = begin();
	int domains = nl_domains(nl, NULL, 0);
	struct nl_object object;
	struct nl_domain domain;
	struct nl_vm vm;

	CHECK_REFUSED(nl_vm_get(nl, NONE, &vm), ENOENT);
	CHECK(nl->offset);
	CHECK_REFUSED(nl_vm_get(nl, 0, &vm), ERANGE);
	CHECK_REFUSED(nl_vm_target(nl, NONE, 1), ENOENT);
	CHECK_REFUSED(nl_object_get(nl, NONE, &object), ENOENT);
	CHECK_REFUSED(nl_domain_get(nl, NONE, &domain), ENOENT);
	CHECK_REFUSED(nl_domain_get(nl, OWN(NONE), &domain), ENOENT);
	CHECK_REFUSED(nl_domain_policy(nl, NONE, EMYS_A_DEDUP_POLICY_RUN, 0), ENOENT);
	CHECK_REFUSED(nl_domain_reset(nl, NONE), ENOENT);
	CHECK_REFUSED(nl_scan(nl, NONE, 1), ENOENT);
	CHECK_REFUSED(nl_clone_vm(nl, NONE, NONE, NULL), ENOENT);
	CHECK_REFUSED(nl_clone_object(nl, NONE, NONE, NULL), ENOENT);
	CHECK_EQ(nl_domains(nl, NULL, 0), domains);
}

/* A request that leaves out what it is about, or has nothing to do. */
static void test_incomplete(void)
{
	static const u8 cmds[] = { EMYS_CMD_VM_GET, EMYS_CMD_VM_SET, EMYS_CMD_OBJECT_GET,
				   EMYS_CMD_DOMAIN_GET, EMYS_CMD_DOMAIN_SET, EMYS_CMD_DEDUP_SCAN,
				   EMYS_CMD_MODULE_SET, EMYS_CMD_CLONE };
	struct nl *nl = begin();
	u32 id;

	for (unsigned int i = 0; i < ARRAY_SIZE(cmds); i++) {
		nl_start(nl, cmds[i], 0);
		CHECK_REFUSED(nl_talk(nl, NULL, NULL), EINVAL);
	}
	owned_make();
	id = nl_my_vm(nl, 0);
	nl_start(nl, EMYS_CMD_VM_SET, 0);
	nl_u32(nl, EMYS_A_VM_ID, id);
	CHECK_REFUSED(nl_talk(nl, NULL, NULL), EINVAL);
	nl_start(nl, EMYS_CMD_DOMAIN_SET, 0);
	nl_u32(nl, EMYS_A_DOMAIN_ID, OWN(id));
	CHECK_REFUSED(nl_talk(nl, NULL, NULL), EINVAL);
}

static void test_vm_set(void)
{
	struct nl *nl = begin();
	struct nl_vm vm;
	u32 id, policy;

	owned_make();
	id = nl_my_vm(nl, 0);
	CHECK_REFUSED(nl_vm_target(nl, id, -1), ERANGE);
	CHECK(nl->offset);
	CHECK_REFUSED(nl_vm_target(nl, id, INT64_MIN), ERANGE);
	CHECK_REFUSED(nl_vm_target(nl, id, OWNED_PAGES + 1), EINVAL);
	CHECK_REFUSED(nl_vm_target(nl, id, INT64_MAX), EINVAL);
	CHECK_DONE(nl_vm_get(nl, id, &vm));
	CHECK(!(vm.has & 1ull << EMYS_A_VM_TARGET));
	CHECK_DONE(nl_vm_target(nl, id, OWNED_PAGES / 2));
	CHECK_REFUSED(nl_vm_target(nl, id, OWNED_PAGES + 1), EINVAL);
	CHECK_DONE(nl_vm_get(nl, id, &vm));
	CHECK_EQ(vm.a[EMYS_A_VM_TARGET], OWNED_PAGES / 2);

	CHECK_REFUSED(nl_vm_shares(nl, id, 0), ERANGE);
	CHECK_REFUSED(nl_vm_shares(nl, id, 1000001), ERANGE);
	CHECK_DONE(nl_vm_shares(nl, id, 1000000));
	CHECK_DONE(nl_vm_get(nl, id, &vm));
	CHECK_EQ(vm.a[EMYS_A_VM_SHARES], 1000000);

	CHECK_REFUSED(nl_vm_large(nl, id, EMYS_LARGE_POLICY_MODULE + 1), ERANGE);
	for (policy = 0; policy < EMYS_LARGE_POLICY_MODULE; policy++) {
		CHECK_DONE(nl_vm_large(nl, id, policy));
		CHECK_DONE(nl_vm_get(nl, id, &vm));
		CHECK_EQ(vm.a[EMYS_A_VM_LARGE], policy);
		CHECK(vm.has & 1ull << EMYS_A_VM_LARGE_OWN);
	}
	CHECK_DONE(nl_vm_large(nl, id, EMYS_LARGE_POLICY_MODULE));
	CHECK_DONE(nl_vm_get(nl, id, &vm));
	CHECK_EQ(vm.a[EMYS_A_VM_LARGE], EMYS_LARGE_POLICY_PROACTIVE);
	CHECK(!(vm.has & 1ull << EMYS_A_VM_LARGE_OWN));
}

/* One bad value: nothing of the others is done. */
static void test_vm_whole(void)
{
	struct nl *nl = begin();
	struct nl_vm vm;
	u32 id;

	owned_make();
	id = nl_my_vm(nl, 0);
	nl_start(nl, EMYS_CMD_VM_SET, 0);
	nl_u32(nl, EMYS_A_VM_ID, id);
	nl_u64(nl, EMYS_A_VM_SHARES, 5);
	nl_u32(nl, EMYS_A_VM_LARGE, EMYS_LARGE_POLICY_NEVER);
	nl_u64(nl, EMYS_A_VM_TARGET, OWNED_PAGES + 1);
	CHECK_REFUSED(nl_talk(nl, NULL, NULL), EINVAL);
	nl_start(nl, EMYS_CMD_VM_SET, 0);
	nl_u32(nl, EMYS_A_VM_ID, id);
	nl_u64(nl, EMYS_A_VM_SHARES, 5);
	nl_u32(nl, EMYS_A_VM_DOMAIN, DOMAIN);
	CHECK_REFUSED(nl_talk(nl, NULL, NULL), EINVAL);
	CHECK_DONE(nl_vm_get(nl, id, &vm));
	CHECK_EQ(vm.a[EMYS_A_VM_SHARES], 1000);
	CHECK_EQ(vm.a[EMYS_A_VM_DOMAIN], OWN(id));
	CHECK(!(vm.has & (1ull << EMYS_A_VM_TARGET | 1ull << EMYS_A_VM_LARGE_OWN)));
	/* and all good ones together are */
	nl_start(nl, EMYS_CMD_VM_SET, 0);
	nl_u32(nl, EMYS_A_VM_ID, id);
	nl_u64(nl, EMYS_A_VM_SHARES, 5);
	nl_u32(nl, EMYS_A_VM_LARGE, EMYS_LARGE_POLICY_NEVER);
	nl_u64(nl, EMYS_A_VM_TARGET, OWNED_PAGES);
	CHECK_DONE(nl_talk(nl, NULL, NULL));
	CHECK_DONE(nl_vm_get(nl, id, &vm));
	CHECK_EQ(vm.a[EMYS_A_VM_SHARES], 5);
	CHECK_EQ(vm.a[EMYS_A_VM_LARGE], EMYS_LARGE_POLICY_NEVER);
	CHECK_EQ(vm.a[EMYS_A_VM_TARGET], OWNED_PAGES);
}

/* -- domains ------------------------------------------------------------------------ */

static void test_move(void)
{
	struct nl *nl = begin();
	struct nl_domain domain;
	struct nl_vm vm;
	u32 one, two;

	owned_make();
	owned_make();
	one = nl_my_vm(nl, 0);
	two = nl_my_vm(nl, 1);
	CHECK_REFUSED(nl_vm_domain(nl, one, OWN(two)), EINVAL);
	CHECK_REFUSED(nl_vm_domain(nl, one, OWN(NONE)), EINVAL);
	CHECK_DONE(nl_vm_domain(nl, one, DOMAIN));
	CHECK_DONE(nl_vm_domain(nl, two, DOMAIN));
	CHECK_DONE(nl_domain_get(nl, DOMAIN, &domain));
	CHECK_EQ(domain.a[EMYS_A_DOMAIN_VMS], 2);
	CHECK_DONE(nl_vm_get(nl, one, &vm));
	CHECK_EQ(vm.a[EMYS_A_VM_DOMAIN], DOMAIN);
	CHECK_DONE(nl_vm_domain(nl, one, 0));
	CHECK_DONE(nl_vm_domain(nl, two, OWN(two)));
	CHECK_DONE(nl_vm_get(nl, one, &vm));
	CHECK_EQ(vm.a[EMYS_A_VM_DOMAIN], OWN(one));
	CHECK_DONE(nl_vm_get(nl, two, &vm));
	CHECK_EQ(vm.a[EMYS_A_VM_DOMAIN], OWN(two));
}

static const struct {
	u16 field;
	u64 low, high;
} dedup_fields[] = {
	{ EMYS_A_DEDUP_POLICY_ALGORITHM, 0, EMYS_DEDUP_ALGORITHM_CMD_SUBPAGE },
	{ EMYS_A_DEDUP_POLICY_RUN, 0, 1 },
	{ EMYS_A_DEDUP_POLICY_ADAPTIVE, 0, 1 },
	{ EMYS_A_DEDUP_POLICY_PAGES, 1, 1048576 },
	{ EMYS_A_DEDUP_POLICY_SLEEP_MS, 0, 3600000 },
	{ EMYS_A_DEDUP_POLICY_CPU_PERMILLE, 1, 1000 },
};

static void test_domain_policy(void)
{
	struct nl *nl = begin();
	struct nl_domain before, after;
	size_t nest;
	u32 id;

	owned_make();
	id = OWN(nl_my_vm(nl, 0));
	CHECK_DONE(nl_domain_policy(nl, id, EMYS_A_DEDUP_POLICY_RUN, 0));
	for (unsigned int i = 0; i < ARRAY_SIZE(dedup_fields); i++) {
		u16 field = dedup_fields[i].field;
		u64 low = dedup_fields[i].low, high = dedup_fields[i].high;

		CHECK_DONE(nl_domain_get(nl, id, &before));
		CHECK_REFUSED(nl_domain_policy(nl, id, field, high + 1), ERANGE);
		CHECK(nl->offset);
		if (low)
			CHECK_REFUSED(nl_domain_policy(nl, id, field, low - 1), ERANGE);
		CHECK_DONE(nl_domain_get(nl, id, &after));
		CHECK(!memcmp(before.policy, after.policy, sizeof(before.policy)));
		CHECK_DONE(nl_domain_policy(nl, id, field, high));
		before.policy[field] = high;
		CHECK_DONE(nl_domain_get(nl, id, &after));
		CHECK(!memcmp(before.policy, after.policy, sizeof(before.policy)));
		CHECK_DONE(nl_domain_policy(nl, id, field, low));
		before.policy[field] = low;
		CHECK_DONE(nl_domain_get(nl, id, &after));
		CHECK(!memcmp(before.policy, after.policy, sizeof(before.policy)));
	}
	/* one bad field of two */
	nl_start(nl, EMYS_CMD_DOMAIN_SET, 0);
	nl_u32(nl, EMYS_A_DOMAIN_ID, id);
	nest = nl_nest(nl, EMYS_A_DOMAIN_POLICY);
	nl_u32(nl, EMYS_A_DEDUP_POLICY_PAGES, 123);
	nl_u32(nl, EMYS_A_DEDUP_POLICY_CPU_PERMILLE, 1001);
	nl_nest_end(nl, nest);
	CHECK_REFUSED(nl_talk(nl, NULL, NULL), ERANGE);
	CHECK_DONE(nl_domain_get(nl, id, &after));
	CHECK(!memcmp(before.policy, after.policy, sizeof(before.policy)));
}

static void test_create(void)
{
	struct nl *nl = begin();
	struct nl_domain d;
	u32 id = DOMAIN;

	/* one with a policy stays until that is removed: other cases may have left some */
	while (!nl_domain_get(nl, id, &d))
		id++;

	CHECK_REFUSED(nl_domain_create(nl, OWN(NONE)), EINVAL);
	CHECK_REFUSED(nl_domain_get(nl, id, &d), ENOENT);
	CHECK_DONE(nl_domain_create(nl, id));
	CHECK_DONE(nl_domain_get(nl, id, &d));
	CHECK_EQ(d.a[EMYS_A_DOMAIN_VMS], 0);
	CHECK_DONE(nl_domain_policy(nl, id, EMYS_A_DEDUP_POLICY_PAGES, 55));
	CHECK_DONE(nl_domain_create(nl, id));
	CHECK_DONE(nl_domain_get(nl, id, &d));
	CHECK_EQ(d.policy[EMYS_A_DEDUP_POLICY_PAGES], 55);
}

/* Nothing is in the domain: it goes, when the thread that looks at it is done at the latest. */
static void check_gone(struct nl *nl, u32 id)
{
	struct nl_domain d;
	int r = 0;

	for (int i = 0; i < 100 && !r; i++) {
		r = nl_domain_get(nl, id, &d);
		if (!r)
			usleep(100000);
	}
	CHECK_EQ(r, -ENOENT);
}

static void test_remove(void)
{
	struct nl *nl = begin();
	struct nl_domain before, after;
	u32 id = DOMAIN, vm;

	while (!nl_domain_get(nl, id, &before))
		id++;
	CHECK_REFUSED(nl_domain_remove(nl, id), ENOENT);
	CHECK_REFUSED(nl_domain_remove(nl, OWN(NONE)), ENOENT);
	CHECK_DONE(nl_domain_create(nl, id));
	CHECK_DONE(nl_domain_get(nl, id, &before));
	CHECK_DONE(nl_domain_policy(nl, id, EMYS_A_DEDUP_POLICY_PAGES, 55));
	CHECK_DONE(nl_domain_policy(nl, id, EMYS_A_DEDUP_POLICY_ALGORITHM,
				    EMYS_DEDUP_ALGORITHM_CMD_SUBPAGE));
	nl_start(nl, EMYS_CMD_DOMAIN_SET, 0);
	nl_u32(nl, EMYS_A_DOMAIN_ID, id);
	nl_flag(nl, EMYS_A_DOMAIN_CREATE);
	nl_flag(nl, EMYS_A_DOMAIN_REMOVE);
	CHECK_REFUSED(nl_talk(nl, NULL, NULL), EINVAL);
	CHECK_DONE(nl_domain_get(nl, id, &after));
	CHECK_EQ(after.policy[EMYS_A_DEDUP_POLICY_PAGES], 55);
	CHECK_DONE(nl_domain_remove(nl, id));
	check_gone(nl, id);
	CHECK_REFUSED(nl_domain_remove(nl, id), ENOENT);

	/* one with a VM stays, by the policy that new domains have, until the VM leaves */
	owned_make();
	vm = nl_my_vm(nl, 0);
	CHECK_DONE(nl_vm_domain(nl, vm, id));
	CHECK_DONE(nl_domain_remove(nl, id));
	CHECK_DONE(nl_domain_policy(nl, id, EMYS_A_DEDUP_POLICY_PAGES, 55));
	CHECK_DONE(nl_scan(nl, id, 1));
	CHECK_DONE(nl_domain_remove(nl, id));
	CHECK_DONE(nl_domain_get(nl, id, &after));
	CHECK_EQ(after.a[EMYS_A_DOMAIN_VMS], 1);
	CHECK(!memcmp(before.policy, after.policy, sizeof(before.policy)));
	CHECK_DONE(nl_vm_domain(nl, vm, 0));
	check_gone(nl, id);
}

static void test_scan(void)
{
	struct nl *nl = begin();
	struct nl_domain d;
	u32 id;
	u64 passes;

	owned_make();
	id = OWN(nl_my_vm(nl, 0));
	CHECK_REFUSED(nl_scan(nl, id, 0), ERANGE);
	CHECK_REFUSED(nl_scan(nl, id, 1001), ERANGE);
	CHECK_DONE(nl_domain_policy(nl, id, EMYS_A_DEDUP_POLICY_RUN, 0));
	CHECK_DONE(nl_domain_get(nl, id, &d));
	passes = d.stats[EMYS_A_DEDUP_STATS_PASSES];
	CHECK_DONE(nl_scan(nl, id, 3));
	CHECK_DONE(nl_domain_get(nl, id, &d));
	CHECK_EQ(d.stats[EMYS_A_DEDUP_STATS_PASSES], passes + 3);
	CHECK_DONE(nl_domain_reset(nl, id));
	CHECK_DONE(nl_domain_get(nl, id, &d));
	CHECK_EQ(d.stats[EMYS_A_DEDUP_STATS_PASSES], 0);
}

/* -- what is saved --------------------------------------------------------------------- */

/* Two VMs that hold the same: the family's figures follow from the page counts. */
static void test_saved(void)
{
	struct nl *nl = begin();
	struct owned a = owned_make(), b = owned_make();
	u32 one = nl_my_vm(nl, 0), two = nl_my_vm(nl, 1);
	struct nl_vm va, vb;
	struct nl_domain d;
	struct nl_module m;
	u64 merged, stable, sharing, i;

	CHECK_DONE(nl_vm_large(nl, one, EMYS_LARGE_POLICY_SMALL));
	CHECK_DONE(nl_vm_large(nl, two, EMYS_LARGE_POLICY_SMALL));
	CHECK_DONE(nl_vm_domain(nl, one, DOMAIN));
	CHECK_REFUSED(nl_clone_vm(nl, one, two, &merged), EXDEV);
	CHECK_DONE(nl_vm_domain(nl, two, DOMAIN));
	CHECK_DONE(nl_domain_policy(nl, DOMAIN, EMYS_A_DEDUP_POLICY_RUN, 0));
	CHECK_DONE(nl_domain_policy(nl, DOMAIN, EMYS_A_DEDUP_POLICY_ALGORITHM,
				    EMYS_DEDUP_ALGORITHM_EMYS));
	/* 100 pages that both have, 20 of zeros in the first */
	for (i = 0; i < 100; i++) {
		memset(a.mem + i * PAGE, 100 + i % 50, PAGE);
		a.mem[i * PAGE] = i;
		memcpy(b.mem + i * PAGE, a.mem + i * PAGE, PAGE);
	}
	for (i = 100; i < 120; i++)
		memset(a.mem + i * PAGE, 0, PAGE);
	for (i = 0; i < 3; i++)
		CHECK_DONE(nl_round(nl));
	CHECK_DONE(nl_clone_vm(nl, one, two, &merged));
	CHECK_DONE(nl_scan(nl, DOMAIN, 4));
	CHECK_DONE(nl_vm_get(nl, one, &va));
	CHECK_DONE(nl_vm_get(nl, two, &vb));
	CHECK_DONE(nl_domain_get(nl, DOMAIN, &d));
	CHECK_DONE(nl_module_get(nl, &m));
	stable = d.stats[EMYS_A_DEDUP_STATS_STABLE];
	sharing = d.stats[EMYS_A_DEDUP_STATS_SHARING];
	ksft_print("clone merged %llu; stable %llu, sharing %llu, zero %llu, saved %llu and %llu",
		   (unsigned long long)merged, (unsigned long long)stable,
		   (unsigned long long)sharing, (unsigned long long)va.counts[EMYS_A_COUNTS_ZERO],
		   (unsigned long long)va.counts[EMYS_A_COUNTS_SAVED],
		   (unsigned long long)vb.counts[EMYS_A_COUNTS_SAVED]);
	CHECK_EQ(va.counts[EMYS_A_COUNTS_SHARED], 100);
	CHECK_EQ(vb.counts[EMYS_A_COUNTS_SHARED], 100);
	CHECK_EQ(stable, 100);
	CHECK_EQ(sharing, 200);
	CHECK(va.counts[EMYS_A_COUNTS_ZERO] >= 20);
	CHECK_EQ(va.counts[EMYS_A_COUNTS_SAVED], 50 + va.counts[EMYS_A_COUNTS_ZERO]);
	CHECK_EQ(vb.counts[EMYS_A_COUNTS_SAVED], 50 + vb.counts[EMYS_A_COUNTS_ZERO]);
	CHECK_EQ(d.counts[EMYS_A_COUNTS_SAVED],
		 va.counts[EMYS_A_COUNTS_SAVED] + vb.counts[EMYS_A_COUNTS_SAVED]);
	CHECK_EQ(m.a[EMYS_A_MODULE_SHARED], 100);
	CHECK_EQ(m.a[EMYS_A_MODULE_PAGES], 100 + va.counts[EMYS_A_COUNTS_PRIVATE] +
		 vb.counts[EMYS_A_COUNTS_PRIVATE]);
	/* apart again, nothing is shared */
	CHECK_DONE(nl_vm_domain(nl, two, 0));
	CHECK_DONE(nl_vm_get(nl, two, &vb));
	CHECK_EQ(vb.counts[EMYS_A_COUNTS_SHARED], 0);
	CHECK_EQ(vb.counts[EMYS_A_COUNTS_UNSHARED], 100);
	CHECK_EQ(b.mem[99 * PAGE], 99);
}

static void test_clone(void)
{
	struct nl *nl = begin();
	struct owned a = owned_make();
	struct nl_object objects[4];
	u32 one, two;
	u64 merged;

	owned_make();
	vm_create_bare(ksft_device);
	one = nl_my_vm(nl, 0);
	two = nl_my_vm(nl, 1);
	a.mem[0] = 1;
	CHECK_EQ(nl_objects(nl, objects, 4), 2);
	CHECK_REFUSED(nl_clone_vm(nl, one, two, &merged), EXDEV);
	CHECK_REFUSED(nl_clone_object(nl, objects[0].a[EMYS_A_OBJECT_ID],
				      objects[1].a[EMYS_A_OBJECT_ID], &merged), EXDEV);
	CHECK_REFUSED(nl_clone_vm(nl, one, one, &merged), EINVAL);
	/* the third has no object */
	CHECK_REFUSED(nl_clone_vm(nl, one, nl_my_vm(nl, 2), &merged), EINVAL);
	nl_start(nl, EMYS_CMD_CLONE, 0);
	nl_u32(nl, EMYS_A_CLONE_FROM_VM, one);
	nl_u32(nl, EMYS_A_CLONE_TO_OBJECT, objects[1].a[EMYS_A_OBJECT_ID]);
	CHECK_REFUSED(nl_talk(nl, NULL, NULL), EINVAL);
	CHECK_DONE(nl_vm_domain(nl, one, DOMAIN));
	CHECK_DONE(nl_vm_domain(nl, two, DOMAIN));
	CHECK_DONE(nl_clone_vm(nl, one, two, &merged));
	CHECK_DONE(nl_clone_object(nl, objects[0].a[EMYS_A_OBJECT_ID],
				   objects[1].a[EMYS_A_OBJECT_ID], &merged));
}

/* -- the module ---------------------------------------------------------------------------- */

static void test_module(void)
{
	struct nl *nl = begin();
	struct nl_module before, after;
	size_t nest, up;

	CHECK_DONE(nl_module_get(nl, &before));
	CHECK_REFUSED(nl_reclaim_policy(nl, EMYS_A_RECLAIM_POLICY_LARGE, EMYS_LARGE_POLICY_MODULE),
		      ERANGE);
	CHECK_REFUSED(nl_reclaim_policy(nl, EMYS_A_RECLAIM_POLICY_SAMPLE_MS, 9), ERANGE);
	CHECK_REFUSED(nl_reclaim_policy(nl, EMYS_A_RECLAIM_POLICY_STORM, 0), ERANGE);
	CHECK_REFUSED(nl_default_policy(nl, EMYS_A_DEDUP_POLICY_CPU_PERMILLE, 0), ERANGE);
	/* the first part is good, bounds out of order are not */
	nl_start(nl, EMYS_CMD_MODULE_SET, 0);
	nest = nl_nest(nl, EMYS_A_MODULE_DEDUP);
	nl_u32(nl, EMYS_A_DEDUP_POLICY_PAGES, 321);
	nl_nest_end(nl, nest);
	nest = nl_nest(nl, EMYS_A_MODULE_RECLAIM);
	nl_u32(nl, EMYS_A_RECLAIM_POLICY_STORM, 321);
	up = nl_nest(nl, EMYS_A_RECLAIM_POLICY_UP);
	nl_u32(nl, EMYS_A_BOUNDS_CLEAR, 0);
	nl_nest_end(nl, up);
	nl_nest_end(nl, nest);
	CHECK_REFUSED(nl_talk(nl, NULL, NULL), EINVAL);
	CHECK(nl->offset);
	CHECK_DONE(nl_module_get(nl, &after));
	CHECK(!memcmp(before.dedup, after.dedup, sizeof(before.dedup)));
	CHECK(!memcmp(before.reclaim, after.reclaim, sizeof(before.reclaim)));
	CHECK(!memcmp(before.up, after.up, sizeof(before.up)));

	CHECK_DONE(nl_default_policy(nl, EMYS_A_DEDUP_POLICY_PAGES, 321));
	CHECK_DONE(nl_reclaim_policy(nl, EMYS_A_RECLAIM_POLICY_STORM, 321));
	CHECK_DONE(nl_module_get(nl, &after));
	CHECK_EQ(after.dedup[EMYS_A_DEDUP_POLICY_PAGES], 321);
	CHECK_EQ(after.reclaim[EMYS_A_RECLAIM_POLICY_STORM], 321);
	CHECK_DONE(nl_default_policy(nl, EMYS_A_DEDUP_POLICY_PAGES,
				     before.dedup[EMYS_A_DEDUP_POLICY_PAGES]));
	CHECK_DONE(nl_reclaim_policy(nl, EMYS_A_RECLAIM_POLICY_STORM,
				     before.reclaim[EMYS_A_RECLAIM_POLICY_STORM]));
	CHECK_DONE(nl_round(nl));
}

/* -- who may --------------------------------------------------------------------------------- */

/* Root's VM and what is everybody's, seen by somebody else. */
static void strange(struct nl *nl, u32 id)
{
	struct nl_object object;
	struct nl_domain domain;
	struct nl_module module;
	struct nl_vm vm;

	CHECK_REFUSED(nl_vm_get(nl, id, &vm), EPERM);
	CHECK_REFUSED(nl_vm_target(nl, id, 1), EPERM);
	CHECK_REFUSED(nl_vm_large(nl, id, 0), EPERM);
	CHECK_REFUSED(nl_vm_shares(nl, id, 1), EPERM);
	CHECK_REFUSED(nl_vm_domain(nl, id, 0), EPERM);
	CHECK_REFUSED(nl_object_get(nl, 1, &object), EPERM);
	CHECK_REFUSED(nl_objects(nl, NULL, 0), EPERM);
	CHECK_REFUSED(nl_domain_get(nl, OWN(id), &domain), EPERM);
	CHECK_REFUSED(nl_domains(nl, NULL, 0), EPERM);
	CHECK_REFUSED(nl_domain_policy(nl, OWN(id), EMYS_A_DEDUP_POLICY_RUN, 0), EPERM);
	CHECK_REFUSED(nl_domain_create(nl, DOMAIN), EPERM);
	CHECK_REFUSED(nl_domain_remove(nl, OWN(id)), EPERM);
	CHECK_REFUSED(nl_scan(nl, OWN(id), 1), EPERM);
	CHECK_REFUSED(nl_module_get(nl, &module), EPERM);
	CHECK_REFUSED(nl_default_policy(nl, EMYS_A_DEDUP_POLICY_RUN, 0), EPERM);
	CHECK_REFUSED(nl_reclaim_policy(nl, EMYS_A_RECLAIM_POLICY_BUDGET, 0), EPERM);
	CHECK_REFUSED(nl_round(nl), EPERM);
	CHECK_REFUSED(nl_clone_vm(nl, id, id, NULL), EPERM);
	CHECK_REFUSED(nl_clone_object(nl, 1, 1, NULL), EPERM);
	CHECK_EQ(nl_vms(nl, NULL, 0), 0);
}

static void test_stranger(void)
{
	struct nl *nl = begin();
	u32 id, mine;
	struct nl_vm vm, all[2];
	int dev, object, fd;
	void *mem;

	owned_make();
	id = nl_my_vm(nl, 0);
	nl_close(nl);
	dev = CHECK_OK(open(ksft_device, O_RDWR));
	object = CHECK_OK(open("/dev/emys-mem", O_RDWR));
	CHECK_OK(setresgid(NOBODY, NOBODY, NOBODY));
	CHECK_OK(setresuid(NOBODY, NOBODY, NOBODY));
	nl = nl_open();
	strange(nl, id);

	/* what is his own he may see and set; not what weighs on others */
	fd = CHECK_OK(ioctl(dev, KVM_CREATE_VM, 0));
	mem = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, object, 0);
	CHECK(mem != MAP_FAILED);
	CHECK_OK(ioctl(fd, KVM_SET_USER_MEMORY_REGION,
		       &(struct kvm_userspace_memory_region){
				.memory_size = PAGE, .userspace_addr = (uintptr_t)mem }));
	CHECK_EQ(nl_vms(nl, all, 2), 1);
	mine = all[0].a[EMYS_A_VM_ID];
	CHECK(mine != id);
	CHECK_EQ(all[0].a[EMYS_A_VM_UID], NOBODY);
	CHECK_DONE(nl_vm_target(nl, mine, 1));
	CHECK_DONE(nl_vm_large(nl, mine, EMYS_LARGE_POLICY_NEVER));
	CHECK_DONE(nl_vm_domain(nl, mine, 0));
	CHECK_REFUSED(nl_vm_shares(nl, mine, 1), EPERM);
	CHECK_REFUSED(nl_vm_domain(nl, mine, DOMAIN), EPERM);
	/* a forbidden part forbids the whole */
	nl_start(nl, EMYS_CMD_VM_SET, 0);
	nl_u32(nl, EMYS_A_VM_ID, mine);
	nl_u64(nl, EMYS_A_VM_TARGET, 0);
	nl_u64(nl, EMYS_A_VM_SHARES, 1);
	CHECK_REFUSED(nl_talk(nl, NULL, NULL), EPERM);
	CHECK_DONE(nl_vm_get(nl, mine, &vm));
	CHECK_EQ(vm.a[EMYS_A_VM_TARGET], 1);
	CHECK_EQ(vm.a[EMYS_A_VM_LARGE], EMYS_LARGE_POLICY_NEVER);
	CHECK_EQ(vm.a[EMYS_A_VM_SHARES], 1000);
}

/* A socket of somebody else's gives no rights to him who writes to it, nor he to it. */
static void test_deputy(void)
{
	struct nl *nl = begin();
	u32 id;

	owned_make();
	id = nl_my_vm(nl, 0);
	nl_close(nl);
	CHECK_OK(seteuid(NOBODY));
	nl = nl_open();
	CHECK_OK(seteuid(0));
	strange(nl, id);
	nl_close(nl);
	nl = nl_open();
	CHECK_OK(seteuid(NOBODY));
	strange(nl, id);
}

/* The family is not seen from another network namespace. */
static void test_namespace(void)
{
	begin();
	REQUIRE(!access("/proc/self/ns/net", F_OK), "a kernel without network namespaces");
	CHECK_OK(unshare(CLONE_NEWNET));
	CHECK(!nl_try_open());
}

/* -- form -------------------------------------------------------------------------------------- */

static void test_form(void)
{
	struct nl *nl = begin();
	static const u8 dumps[] = { EMYS_CMD_VM_GET, EMYS_CMD_OBJECT_GET, EMYS_CMD_DOMAIN_GET };
	struct genlmsghdr *g = NLMSG_DATA(nl->buf);

	for (unsigned int i = 0; i < ARRAY_SIZE(dumps); i++) {
		nl_start(nl, dumps[i], NLM_F_DUMP);
		nl_u32(nl, 2, 1);
		CHECK(nl_talk(nl, NULL, NULL) < 0);
	}
	/* an operation without a dump, events, and no command at all */
	nl_start(nl, EMYS_CMD_MODULE_GET, NLM_F_DUMP);
	CHECK_EQ(nl_talk(nl, NULL, NULL), -EOPNOTSUPP);
	nl_start(nl, EMYS_CMD_VM_NEW, 0);
	CHECK_EQ(nl_talk(nl, NULL, NULL), -EOPNOTSUPP);
	nl_start(nl, EMYS_CMD_MAX + 1, 0);
	CHECK_EQ(nl_talk(nl, NULL, NULL), -EOPNOTSUPP);
	/* what is reserved */
	nl_start(nl, EMYS_CMD_MODULE_GET, 0);
	g->reserved = 1;
	CHECK_EQ(nl_talk(nl, NULL, NULL), -EINVAL);
	nl_start(nl, EMYS_CMD_RECLAIM_ROUND, NLM_F_CREATE);
	CHECK_EQ(nl_talk(nl, NULL, NULL), -EINVAL);
}

KSFT_MAIN({ "a VM and its object", test_vm_get },
	  { "what there is not", test_unknown },
	  { "what is left out", test_incomplete },
	  { "target, shares and large pages of a VM", test_vm_set },
	  { "a VM's settings, all or none", test_vm_whole },
	  { "domains of VMs", test_move },
	  { "policy of a domain", test_domain_policy },
	  { "domains are made", test_create },
	  { "and removed", test_remove },
	  { "scan and reset", test_scan },
	  { "what is saved", test_saved, 60 },
	  { "clones", test_clone },
	  { "policy of the module, all or none", test_module },
	  { "somebody else", test_stranger },
	  { "somebody else's socket", test_deputy },
	  { "network namespaces", test_namespace },
	  { "form of requests", test_form })
