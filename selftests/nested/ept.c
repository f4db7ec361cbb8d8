// SPDX-License-Identifier: GPL-2.0-only
/*
 * nested/ept: L1's extended page tables: rights, sizes, violations, accessed and dirty flags.
 * Vol. 3, "The Extended Page Table Mechanism (EPT)".
 */
#include "nested.h"

#define WINDOW		(1ull << 30)	/* L2 looks at TARGET through it */
#define TARGET		0xc00000ull	/* 2 MiB of L1's memory, with nothing else in it */
#define OTHER		0xe00000ull	/* and 2 MiB more */
#define SEEN		(WINDOW + TARGET)
#define PAGE		4096ull

/* of the qualification of a violation */
#define Q_READ		(1u << 0)
#define Q_WRITE		(1u << 1)
#define Q_FETCH		(1u << 2)
#define Q_RIGHTS(rwx)	((u32)(rwx) << 3)
#define Q_LINEAR	(1u << 7)	/* there is a linear address */
#define Q_TRANSLATED	(1u << 8)	/* it was its own translation, not a walk's */
/* those of execution by user-mode linear addresses, and the advanced information, left out */
#define Q_MASK		0x1bfu

enum { READ, WRITE, FETCH };

static volatile u64 l2_value;

/* in TARGET, at every page's begin: mov $N, %eax; ret */
static void fill(u64 at, u64 pages)
{
	u64 i;

	for (i = 0; i < pages; i++) {
		volatile u8 *p = (volatile u8 *)(at + i * PAGE);

		p[0] = 0xb8;
		*(volatile u32 *)(p + 1) = at + i;
		p[5] = 0xc3;
	}
}

static void l2_access(u64 how, u64 at)
{
	switch (how) {
	case READ:
		l2_value = *(volatile u8 *)at;
		break;
	case WRITE:
		*(volatile u64 *)(at + 8) = 1;
		break;
	default:
		l2_value = ((u32 (*)(void))at)();
	}
}

static void l2_touch(u64 how)
{
	l2_access(how, SEEN);
}

static u64 access_offset(u64 how)
{
	return how == WRITE ? 8 : 0;
}

static u32 access_bit(u64 how)
{
	return how == READ ? Q_READ : how == WRITE ? Q_WRITE : Q_FETCH;
}

/* the window, by one leaf of this level with these rights */
static u64 map_window(u64 eptp, int level, u64 bits)
{
	u64 mask = (1ull << (3 + 9 * level)) - 1;

	*ept_entry(eptp, SEEN & ~mask, level) = (TARGET & ~mask) | bits | EPT_WB |
		(level > 1 ? EPT_LARGE : 0);
	return eptp;
}

static bool have_level(int level)
{
	return level == 1 || l1_caps.ept_vpid & (level == 2 ? EPT_CAP_2M : EPT_CAP_1G);
}

static void start(u64 eptp, void *fn, u64 arg)
{
	l1_make_vmcs(l1_vmcs, fn, arg);
	l1_use_ept(eptp);
}

static void one_right(u64 eptp, int level, u64 rights, u64 how)
{
	u64 need = how == READ ? EPT_R : how == WRITE ? EPT_W : EPT_X;
	u64 r, q, mark = level << 8 | rights << 4 | how;

	map_window(eptp, level, rights);
	try_invept(1, eptp, 0);
	start(eptp, l2_touch, how);
	r = l2_run();
	if (rights & need) {
		GUEST_ASSERT_AT(r == REASON_VMCALL, mark, r);
		return;
	}
	GUEST_ASSERT_AT(r == REASON_EPT_VIOLATION, mark, r);
	q = vmread(QUALIFICATION) & Q_MASK;
	GUEST_ASSERT_AT(q == (access_bit(how) | Q_RIGHTS(rights) | Q_LINEAR | Q_TRANSLATED),
			mark, q);
	GUEST_ASSERT_AT(vmread(PHYSICAL_ADDRESS) == SEEN + access_offset(how), mark,
			vmread(PHYSICAL_ADDRESS));
	GUEST_ASSERT_AT(vmread(LINEAR_ADDRESS) == SEEN + access_offset(how), mark,
			vmread(LINEAR_ADDRESS));
	GUEST_ASSERT_EQ(vmread(IDT_EVENT) & EVENT_VALID, 0);
	if (how == FETCH)
		GUEST_ASSERT_EQ(vmread(GUEST_RIP), SEEN);
	/* L1 gives the right: L2 goes on, and nothing needs to be flushed */
	map_window(eptp, level, rights | EPT_R | need);
	r = l2_run();
	GUEST_ASSERT_AT(r == REASON_VMCALL, mark, r);
}

static void guest_rights(void)
{
	u64 rights, how, eptp;
	int level;

	l1_vmx_on();
	fill(TARGET, 1);
	eptp = ept_identity(2);
	for (level = 1; level <= 3; level++) {
		if (!have_level(level))
			continue;
		/* a fresh window */
		*ept_entry(eptp, WINDOW, 3) = 0;
		for (rights = 0; rights < 8; rights++) {
			/* these are misconfigurations */
			if ((rights & (EPT_R | EPT_W)) == EPT_W)
				continue;
			if (rights == EPT_X && !(l1_caps.ept_vpid & EPT_CAP_EXEC_ONLY))
				continue;
			for (how = READ; how <= FETCH; how++)
				one_right(eptp, level, rights, how);
		}
	}
}

/*
 * Each right of a leaf of 4K, 2M and 1G: the access it allows, and the violation that its
 * lack is, with exact qualification and addresses.
 */
static void test_rights(void)
{
	nested_run_with(guest_rights, 0, PROC2_CTL, PROC2_EPT);
}

static void guest_and(void)
{
	u64 eptp, how;
	int level;

	l1_vmx_on();
	fill(TARGET, 1);
	/* the level above is for all of L2's memory */
	for (level = 2; level <= 3; level++) {
		for (how = WRITE; how <= FETCH; how++) {
			u64 take = how == WRITE ? EPT_W : EPT_X;

			eptp = ept_identity(2);
			map_window(eptp, 1, EPT_RWX);
			*ept_entry(eptp, SEEN, level) &= ~take;
			start(eptp, l2_touch, how);
			L2_EXIT(REASON_EPT_VIOLATION);
			GUEST_ASSERT_EQ(vmread(QUALIFICATION) & Q_MASK, access_bit(how) |
					Q_RIGHTS(EPT_RWX & ~take) | Q_LINEAR | Q_TRANSLATED);
			GUEST_ASSERT_EQ(vmread(PHYSICAL_ADDRESS), SEEN + access_offset(how));
		}
	}
}

/* The rights of all levels are anded, in the qualification as well. */
static void test_and(void)
{
	nested_run_with(guest_and, 0, PROC2_CTL, PROC2_EPT);
}

static void misconfigured(u64 eptp, int level, u64 entry, bool is)
{
	u64 r;

	*ept_entry(eptp, SEEN, level) = entry;
	try_invept(1, eptp, 0);
	start(eptp, l2_touch, READ);
	r = l2_run();
	GUEST_ASSERT_AT(r == (is ? REASON_EPT_MISCONFIG : REASON_EPT_VIOLATION), entry, r);
	GUEST_ASSERT_AT(vmread(PHYSICAL_ADDRESS) == SEEN, entry, vmread(PHYSICAL_ADDRESS));
}

static void guest_misconfig(void)
{
	u64 eptp, table;
	int level;

	l1_vmx_on();
	fill(TARGET, 1);
	eptp = ept_identity(2);
	map_window(eptp, 1, EPT_RWX);
	table = *ept_entry(eptp, SEEN, 2);
	/* rights */
	misconfigured(eptp, 1, TARGET | EPT_WB | EPT_W, true);
	misconfigured(eptp, 1, TARGET | EPT_WB | EPT_W | EPT_X, true);
	if (!(l1_caps.ept_vpid & EPT_CAP_EXEC_ONLY))
		misconfigured(eptp, 1, TARGET | EPT_WB | EPT_X, true);
	/* nothing is looked at in an entry that is not present */
	misconfigured(eptp, 1, ~0ull & ~EPT_RWX, false);
	/* memory types of a leaf */
	misconfigured(eptp, 1, TARGET | 2 << 3 | EPT_RWX, true);
	misconfigured(eptp, 1, TARGET | 3 << 3 | EPT_RWX, true);
	misconfigured(eptp, 1, TARGET | 7 << 3 | EPT_RWX, true);
	/* beyond the width */
	misconfigured(eptp, 1, TARGET | 1ull << 51 | EPT_WB | EPT_RWX, true);
	/* reserved bits of an entry that points to a table */
	for (level = 3; level <= 6; level++)
		misconfigured(eptp, 2, table | 1ull << level, true);
	misconfigured(eptp, 2, table | 1ull << 51, true);
	misconfigured(eptp, 2, table & ~EPT_R, true);
	/* and of a large page: the address bits below its size */
	if (have_level(2)) {
		misconfigured(eptp, 2, TARGET | 1ull << 12 | EPT_LARGE | EPT_WB | EPT_RWX, true);
		misconfigured(eptp, 2, TARGET | 1ull << 20 | EPT_LARGE | EPT_WB | EPT_RWX, true);
	}
	if (have_level(3))
		misconfigured(eptp, 3, 1ull << 29 | EPT_LARGE | EPT_WB | EPT_RWX, true);
	else
		misconfigured(eptp, 3, EPT_LARGE | EPT_WB | EPT_RWX, true);
}

/* Misconfigurations: rights, memory types, reserved bits; not in entries that are absent. */
static void test_misconfig(void)
{
	nested_run_with(guest_misconfig, 0, PROC2_CTL, PROC2_EPT);
}

/* where L2's own tables map the window: its page directory */
static u64 window_pd(void)
{
	return GPA_PML4 + 3 * PAGE;
}

static void guest_walk(void)
{
	u64 eptp = 0, entry = window_pd() + (TARGET >> 21) * 8;

	l1_vmx_on();
	fill(TARGET, 1);
	eptp = ept_identity(1);
	map_window(eptp, 1, EPT_RWX);
	/* the walk of L2's own tables reads an entry there */
	*ept_entry(eptp, window_pd(), 1) &= ~EPT_RWX;
	start(eptp, l2_touch, READ);
	L2_EXIT(REASON_EPT_VIOLATION);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION) & Q_MASK, Q_READ | Q_LINEAR);
	GUEST_ASSERT_EQ(vmread(PHYSICAL_ADDRESS), entry);
	GUEST_ASSERT_EQ(vmread(LINEAR_ADDRESS), SEEN);
	/* it may read it and needs no more: accessed and dirty are set already */
	*ept_entry(eptp, window_pd(), 1) |= EPT_R;
	L2_DONE();
}

/*
 * A violation by the walk of L2's own page tables. That the CPU writes an accessed flag there
 * only with the right to is not tried: the emulated one does not ask.
 */
static void test_walk(void)
{
	nested_run_with(guest_walk, 0, PROC2_CTL, PROC2_EPT);
}

/* -- accessed and dirty flags --------------------------------------------------------- */

static void check_flags(u64 eptp, int level, u64 leaf, u64 above)
{
	int at;

	GUEST_ASSERT_AT((*ept_entry(eptp, SEEN, level) & (EPT_A | EPT_D)) == leaf, level,
			*ept_entry(eptp, SEEN, level));
	for (at = level + 1; at <= 4; at++)
		GUEST_ASSERT_AT((*ept_entry(eptp, SEEN, at) & (EPT_A | EPT_D)) == above, at,
				*ept_entry(eptp, SEEN, at));
}

static void clear_flags(u64 eptp, int level)
{
	int at;

	for (at = level; at <= 4; at++)
		*ept_entry(eptp, SEEN, at) &= ~(EPT_A | EPT_D);
	try_invept(1, eptp, 0);
}

static void guest_ad(void)
{
	int level;

	l1_vmx_on();
	fill(TARGET, 1);
	for (level = 1; level <= 3; level++) {
		u64 eptp;

		if (!have_level(level))
			continue;
		eptp = ept_identity(2);
		map_window(eptp, level, EPT_RWX);
		/* off: nothing is written */
		start(eptp, l2_touch, WRITE);
		L2_DONE();
		check_flags(eptp, level, 0, 0);
		eptp |= EPTP_AD;
		start(eptp, l2_touch, READ);
		L2_DONE();
		check_flags(eptp, level, EPT_A, EPT_A);
		start(eptp, l2_touch, WRITE);
		L2_DONE();
		check_flags(eptp, level, EPT_A | EPT_D, EPT_A);
		/* L1 harvests, flushes, and finds what is used after that */
		clear_flags(eptp, level);
		start(eptp, l2_touch, FETCH);
		L2_DONE();
		check_flags(eptp, level, EPT_A, EPT_A);
		clear_flags(eptp, level);
		start(eptp, l2_touch, WRITE);
		L2_DONE();
		check_flags(eptp, level, EPT_A | EPT_D, EPT_A);
	}
}

/* Accessed and dirty flags in EPT12: kept exactly when L1 asks for them. */
static void test_ad(void)
{
	struct vcpu *vcpu = nested_vcpu_with(guest_ad, 0, PROC2_CTL, PROC2_EPT);

	REQUIRE(nested_msr(vcpu, MSR_VMX_EPT_VPID) & EPT_CAP_AD, "no accessed and dirty flags");
	vcpu_done(vcpu);
}

/* RELAXED: bits of the qualification that may be either way */
static void guest_ad_walk(u64 relaxed)
{
	u64 eptp;

	l1_vmx_on();
	fill(TARGET, 1);
	eptp = ept_identity(1) | EPTP_AD;
	map_window(eptp, 1, EPT_RWX);
	*ept_entry(eptp, window_pd(), 1) &= ~EPT_W;
	start(eptp, l2_touch, READ);
	L2_EXIT(REASON_EPT_VIOLATION);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION) & Q_MASK & ~relaxed,
			(Q_READ | Q_WRITE | Q_RIGHTS(EPT_R | EPT_X) | Q_LINEAR) & ~relaxed);
	*ept_entry(eptp, window_pd(), 1) |= EPT_W;
	L2_DONE();
	/* the table was used as by a write */
	GUEST_ASSERT_EQ(*ept_entry(eptp, window_pd(), 1) & (EPT_A | EPT_D), EPT_A | EPT_D);
}

static void ad_walk(u64 relaxed)
{
	struct vcpu *vcpu = nested_vcpu_with(guest_ad_walk, relaxed, PROC2_CTL, PROC2_EPT);

	REQUIRE(nested_msr(vcpu, MSR_VMX_EPT_VPID) & EPT_CAP_AD, "no accessed and dirty flags");
	vcpu_done(vcpu);
}

/* With the flags on, a walk of L2's tables counts as a write. */
static void test_ad_walk(void)
{
	ad_walk(Q_READ);
}

/* And as a read, too. */
static void test_ad_walk_both(void)
{
	REQUIRE(ksft_is_emys(), "KVM has what the CPU says, and the emulated one says no read");
	ad_walk(0);
}

/* -- changes -------------------------------------------------------------------------- */

static void l2_look(u64 at)
{
	l2_value = ((u32 (*)(void))at)();
}

static void guest_change(void)
{
	u64 eptp, i;
	int level;

	l1_vmx_on();
	fill(TARGET, 1);
	fill(OTHER, 1);
	for (level = 1; level <= 2; level++) {
		if (!have_level(level))
			continue;
		eptp = ept_identity(2);
		for (i = 0; i < 6; i++) {
			u64 to = i & 1 ? OTHER : TARGET;

			*ept_entry(eptp, SEEN, level) = to | EPT_RWX | EPT_WB |
				(level > 1 ? EPT_LARGE : 0);
			if (l1_caps.ept_vpid & EPT_CAP_INVEPT_ALL && i & 2)
				GUEST_ASSERT_EQ(try_invept(2, 0, 0), VMX_OK);
			else
				GUEST_ASSERT_EQ(try_invept(1, eptp, 0), VMX_OK);
			start(eptp, l2_look, SEEN);
			L2_DONE();
			GUEST_ASSERT_AT(l2_value == to, i, l2_value);
		}
		/* taken away */
		*ept_entry(eptp, SEEN, level) = 0;
		GUEST_ASSERT_EQ(try_invept(1, eptp, 0), VMX_OK);
		start(eptp, l2_look, SEEN);
		L2_EXIT(REASON_EPT_VIOLATION);
	}
	/* a table above the leaf is exchanged */
	eptp = ept_identity(2);
	map_window(eptp, 1, EPT_RWX);
	start(eptp, l2_look, SEEN);
	L2_DONE();
	GUEST_ASSERT_EQ(l2_value, TARGET);
	*ept_entry(eptp, SEEN, 3) = 0;
	ept_map(eptp, SEEN, OTHER, 1, EPT_RWX);
	GUEST_ASSERT_EQ(try_invept(1, eptp, 0), VMX_OK);
	start(eptp, l2_look, SEEN);
	L2_DONE();
	GUEST_ASSERT_EQ(l2_value, OTHER);
}

/* INVEPT: L2 sees what L1 changed, a leaf or a table. */
static void test_change(void)
{
	struct vcpu *vcpu = nested_vcpu_with(guest_change, 0, PROC2_CTL, PROC2_EPT);

	REQUIRE(nested_msr(vcpu, MSR_VMX_EPT_VPID) & EPT_CAP_INVEPT_ONE, "no INVEPT");
	vcpu_done(vcpu);
}

static void guest_roots(void)
{
	u64 eptp[4], i;

	l1_vmx_on();
	fill(TARGET, 4);
	for (i = 0; i < 4; i++) {
		eptp[i] = ept_identity(2);
		ept_map(eptp[i], SEEN, TARGET + i * PAGE, 1, EPT_RWX);
	}
	l1_make_vmcs(l1_vmcs, l2_look, SEEN);
	for (i = 0; i < 40; i++) {
		l2_call(l2_look, SEEN);
		l1_use_ept(eptp[i * 7 % 4]);
		L2_DONE();
		GUEST_ASSERT_AT(l2_value == TARGET + i * 7 % 4, i, l2_value);
	}
	/* one is changed and named, the others stay as they were */
	ept_map(eptp[2], SEEN, OTHER, 1, EPT_RWX);
	fill(OTHER, 1);
	try_invept(1, eptp[2], 0);
	for (i = 0; i < 8; i++) {
		l2_call(l2_look, SEEN);
		l1_use_ept(eptp[i % 4]);
		L2_DONE();
		GUEST_ASSERT_AT(l2_value == (i % 4 == 2 ? OTHER : TARGET + i % 4), i, l2_value);
	}
}

/* Several roots by turns. */
static void test_roots(void)
{
	nested_run_with(guest_roots, 0, PROC2_CTL, PROC2_EPT);
}

static void l2_permuted(void)
{
	u64 i;

	for (i = 0; i < 512; i++)
		GUEST_ASSERT_AT(*(volatile u32 *)(SEEN + i * PAGE + 1) == TARGET + (i * 77) % 512,
				i, *(volatile u32 *)(SEEN + i * PAGE + 1));
	for (i = 0; i < 512; i++)
		*(volatile u32 *)(SEEN + i * PAGE + 1) ^= 0x5a000000;
}

static void guest_permuted(void)
{
	u64 eptp, i;

	l1_vmx_on();
	fill(TARGET, 512);
	eptp = ept_identity(2);
	for (i = 0; i < 512; i++)
		ept_map(eptp, SEEN + i * PAGE, TARGET + (i * 77) % 512 * PAGE, 1, EPT_RWX);
	start(eptp, l2_permuted, 0);
	L2_DONE();
	for (i = 0; i < 512; i++)
		GUEST_ASSERT_AT(*(volatile u32 *)(TARGET + i * PAGE + 1) ==
				((TARGET + i) ^ 0x5a000000), i, 0);
}

/* 512 small pages in an order of L1's own. */
static void test_permuted(void)
{
	nested_run_with(guest_permuted, 0, PROC2_CTL, PROC2_EPT);
}

/* -- EPTP switching -------------------------------------------------------------------- */

static u64 eptp_list[512] VMX_PAGE;

static u64 try_vmfunc(u64 function, u64 index)
{
	u64 f;

	GUEST_TRY(f, "vmfunc", GUEST_NO_OUT, "a"(function), "c"(index));
	return f;
}

static void l2_vmfunc(u64 index)
{
	u64 f = try_vmfunc(0, index);

	l2_value = f ? f : ((u32 (*)(void))SEEN)();
}

static void l2_function(u64 function)
{
	l2_value = try_vmfunc(function, 0);
}

/* VMFUNC exits, and L2 is where it was */
static void vmfunc_exits(u64 index, u64 eptp)
{
	l2_call(l2_vmfunc, index);
	L2_EXIT(REASON_VMFUNC);
	GUEST_ASSERT_EQ(vmread(EXIT_LENGTH), 3);
	GUEST_ASSERT_AT(*(volatile u32 *)vmread(GUEST_RIP) << 8 == 0xd4010f00, index,
			vmread(GUEST_RIP));
	GUEST_ASSERT_AT(vmread(EPTP) == eptp, index, vmread(EPTP));
}

static void guest_vmfunc(void)
{
	u64 i;

	l1_vmx_on();
	fill(TARGET, 4);
	for (i = 0; i < 4; i++) {
		eptp_list[i] = ept_identity(2);
		ept_map(eptp_list[i], SEEN, TARGET + i * PAGE, 1, EPT_RWX);
	}
	/* a memory type that is none, a walk of 2 levels, a reserved bit, beyond the width */
	eptp_list[5] = eptp_list[0] | 7;
	eptp_list[6] = eptp_list[0] & ~0x10ull;
	eptp_list[7] = eptp_list[0] | 1 << 11;
	eptp_list[8] = eptp_list[0] | 1ull << 63;
	eptp_list[511] = eptp_list[2];
	/* not in VMX root operation */
	GUEST_ASSERT_EQ(try_vmfunc(0, 0), FAULT(UD_VECTOR));
	start(eptp_list[0], l2_vmfunc, 1);
	/* not enabled */
	L2_DONE();
	GUEST_ASSERT_EQ(l2_value, FAULT(UD_VECTOR));
	l1_control(PROC2_CTL, PROC2_VMFUNC, 0);
	vmwrite(VMFUNC_CTL, 0);
	vmfunc_exits(1, eptp_list[0]);
	/* enabled */
	vmwrite(VMFUNC_CTL, 1);
	vmwrite(EPTP_LIST, pa(eptp_list));
	for (i = 0; i < 12; i++) {
		l2_call(l2_vmfunc, i % 4);
		L2_DONE();
		GUEST_ASSERT_AT(l2_value == TARGET + i % 4, i, l2_value);
		GUEST_ASSERT_EQ(vmread(EPTP), eptp_list[i % 4]);
	}
	/* the upper half of RCX is not looked at */
	l2_call(l2_vmfunc, 1ull << 32 | 511);
	L2_DONE();
	GUEST_ASSERT_EQ(l2_value, TARGET + 2);
	/* no such entry, entries that are none */
	vmfunc_exits(512, eptp_list[2]);
	vmfunc_exits(0xffffffff, eptp_list[2]);
	for (i = 4; i < 9; i++)
		vmfunc_exits(i, eptp_list[2]);
	/* other functions: not enabled, and none at all */
	for (i = 1; i < 64; i += 31) {
		l2_call(l2_function, i);
		L2_EXIT(REASON_VMFUNC);
	}
	l2_call(l2_function, 64);
	L2_DONE();
	GUEST_ASSERT_EQ(l2_value, FAULT(UD_VECTOR));
	/* L2 goes on with what it has, and L1 sees what it gave */
	l2_call(l2_look, SEEN);
	L2_DONE();
	GUEST_ASSERT_EQ(l2_value, TARGET + 2);
	/* a list in no memory has no EPTP */
	vmwrite(EPTP_LIST, GPA_MMIO);
	vmfunc_exits(0, eptp_list[2]);
	/* what L1 changes in an EPT12 that is not in use is seen after INVEPT */
	vmwrite(EPTP_LIST, pa(eptp_list));
	ept_map(eptp_list[1], SEEN, OTHER, 1, EPT_RWX);
	fill(OTHER, 1);
	GUEST_ASSERT_EQ(try_invept(1, eptp_list[1], 0), VMX_OK);
	l2_call(l2_vmfunc, 1);
	L2_DONE();
	GUEST_ASSERT_EQ(l2_value, OTHER);
}

static void l2_vmfunc_flags(u64 index)
{
	GUEST_ASSERT_EQ(try_vmfunc(0, index), 0);
	*(volatile u64 *)(SEEN + 8) = 1;
}

static void guest_vmfunc_flags(void)
{
	u64 i;

	l1_vmx_on();
	for (i = 0; i < 2; i++)
		eptp_list[i] = map_window(ept_identity(2), 1, EPT_RWX);
	eptp_list[1] |= EPTP_AD;
	start(eptp_list[0], l2_vmfunc_flags, 0);
	l1_control(PROC2_CTL, PROC2_VMFUNC, 0);
	vmwrite(VMFUNC_CTL, 1);
	vmwrite(EPTP_LIST, pa(eptp_list));
	L2_DONE();
	check_flags(eptp_list[0], 1, 0, 0);
	l2_call(l2_vmfunc_flags, 1);
	L2_DONE();
	check_flags(eptp_list[1], 1, EPT_A | EPT_D, EPT_A);
	/* and back, to one that has none */
	clear_flags(eptp_list[1], 1);
	l2_call(l2_vmfunc_flags, 0);
	L2_DONE();
	check_flags(eptp_list[0], 1, 0, 0);
}

/* The EPTP's own bits change with it. */
static void test_vmfunc_flags(void)
{
	struct vcpu *vcpu = nested_vcpu_with(guest_vmfunc_flags, 0, PROC2_CTL,
					     PROC2_EPT | PROC2_VMFUNC);

	REQUIRE(nested_msr(vcpu, MSR_VMX_VMFUNC) & 1, "no EPTP switching");
	REQUIRE(nested_msr(vcpu, MSR_VMX_EPT_VPID) & EPT_CAP_AD, "no accessed and dirty flags");
	vcpu_done(vcpu);
}

/* VMFUNC 0 switches among the list's EPTPs; what is wrong exits. */
static void test_vmfunc(void)
{
	struct vcpu *vcpu = nested_vcpu_with(guest_vmfunc, 0, PROC2_CTL, PROC2_EPT | PROC2_VMFUNC);

	REQUIRE(nested_msr(vcpu, MSR_VMX_VMFUNC) & 1, "no EPTP switching");
	vcpu_done(vcpu);
}

/* -- page-modification log --------------------------------------------------------------- */

static u64 pml[512] VMX_PAGE;

static void l2_access_at(u64 offset)
{
	l2_access(WRITE, SEEN + offset);
}

static void l2_write_pages(u64 pages)
{
	u64 i;

	for (i = 0; i < pages; i++)
		*(volatile u64 *)(SEEN + i * PAGE + 0x18) = i;
}

static u64 pml_eptp;

/* EPT12 with 16 clean pages, all else dirty; the log is empty */
static void pml_start(void *fn, u64 arg)
{
	u64 i;

	l1_vmx_on();
	pml_eptp = ept_identity(2);
	/* what L2 writes otherwise is dirty already */
	for (i = 0; i < VM_MEM; i += 1 << 21)
		*ept_entry(pml_eptp, i, 2) |= EPT_A | EPT_D;
	for (i = 0; i < 16; i++)
		ept_map(pml_eptp, SEEN + i * PAGE, TARGET + i * PAGE, 1, EPT_RWX);
	start(pml_eptp | EPTP_AD, fn, arg);
	l1_control(PROC2_CTL, PROC2_PML, 0);
	vmwrite(PML_ADDR, pa(pml));
	vmwrite(PML_INDEX, 511);
}

static u64 pml_flags(u64 gpa)
{
	return *ept_entry(pml_eptp, gpa, 1) & (EPT_A | EPT_D);
}

static void guest_pml(void)
{
	u64 i;

	pml_start(l2_write_pages, 8);
	L2_DONE();
	GUEST_ASSERT_EQ(vmread(PML_INDEX), 511 - 8);
	for (i = 0; i < 8; i++)
		GUEST_ASSERT_AT(pml[511 - i] == SEEN + i * PAGE, i, pml[511 - i]);
	/* dirty pages are not logged again */
	l2_call(l2_write_pages, 8);
	L2_DONE();
	GUEST_ASSERT_EQ(vmread(PML_INDEX), 511 - 8);
	/* full: an exit, before the page is dirty */
	vmwrite(PML_INDEX, 1);
	l2_call(l2_write_pages, 12);
	L2_EXIT(REASON_PML_FULL);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION), 0);
	GUEST_ASSERT_EQ(vmread(IDT_EVENT) & EVENT_VALID, 0);
	GUEST_ASSERT_EQ(vmread(PML_INDEX), 0xffff);
	GUEST_ASSERT_EQ(pml_flags(SEEN + 10 * PAGE) & EPT_D, 0);
	vmwrite(PML_INDEX, 511);
	L2_DONE();
	GUEST_ASSERT_EQ(pml[511], SEEN + 10 * PAGE);
	GUEST_ASSERT_EQ(pml[510], SEEN + 11 * PAGE);
	/* one above the last is full, too */
	vmwrite(PML_INDEX, 512);
	l2_call(l2_write_pages, 13);
	L2_EXIT(REASON_PML_FULL);
	GUEST_ASSERT_EQ(vmread(PML_INDEX), 512);
	GUEST_ASSERT_EQ(pml_flags(SEEN + 12 * PAGE) & EPT_D, 0);
	/* L1 harvests */
	*ept_entry(pml_eptp, SEEN + 3 * PAGE, 1) &= ~EPT_D;
	GUEST_ASSERT_EQ(try_invept(1, pml_eptp | EPTP_AD, 0), VMX_OK);
	vmwrite(PML_INDEX, 511);
	l2_call(l2_write_pages, 12);
	L2_DONE();
	GUEST_ASSERT_EQ(vmread(PML_INDEX), 510);
	GUEST_ASSERT_EQ(pml[511], SEEN + 3 * PAGE);
}

/* The page-modification log of L1. */
static void test_pml(void)
{
	nested_run_with(guest_pml, 0, PROC2_CTL, PROC2_EPT | PROC2_PML);
}

static void guest_pml_none(void)
{
	u64 i;

	/* reading needs no room in the log */
	pml_start(l2_touch, READ);
	L2_DONE();
	GUEST_ASSERT_EQ(vmread(PML_INDEX), 511);
	GUEST_ASSERT_EQ(pml_flags(SEEN), EPT_A);
	/* without the control, and without the flags, there is none */
	l1_control(PROC2_CTL, 0, PROC2_PML);
	l2_call(l2_write_pages, 2);
	L2_DONE();
	GUEST_ASSERT_EQ(pml_flags(SEEN + PAGE), EPT_A | EPT_D);
	l1_control(PROC2_CTL, PROC2_PML, 0);
	vmwrite(PML_INDEX, 0xffff);
	vmwrite(EPTP, pml_eptp);
	l2_call(l2_write_pages, 4);
	L2_DONE();
	GUEST_ASSERT_EQ(vmread(PML_INDEX), 0xffff);
	GUEST_ASSERT_EQ(pml_flags(SEEN + 3 * PAGE), 0);
	for (i = 0; i < 512; i++)
		GUEST_ASSERT_AT(!pml[i], i, pml[i]);
	/* a log in no memory: L2 writes all the same */
	vmwrite(EPTP, pml_eptp | EPTP_AD);
	vmwrite(PML_INDEX, 511);
	vmwrite(PML_ADDR, 1ull << 31);
	l2_call(l2_write_pages, 6);
	L2_DONE();
	GUEST_ASSERT_EQ(pml_flags(SEEN + 5 * PAGE), EPT_A | EPT_D);
}

/* What is not logged. */
static void test_pml_none(void)
{
	nested_run_with(guest_pml_none, 0, PROC2_CTL, PROC2_EPT | PROC2_PML);
}

static void guest_pml_sizes(void)
{
	/* L2's tables: the page directory of the window */
	pml_start(l2_touch, READ);
	*ept_entry(pml_eptp, window_pd(), 1) &= ~(EPT_A | EPT_D);
	L2_DONE();
	GUEST_ASSERT_EQ(vmread(PML_INDEX), 510);
	GUEST_ASSERT_EQ(pml[511], window_pd());
	/* of a large page, what was written to in it */
	map_window(pml_eptp, 2, EPT_RWX);
	GUEST_ASSERT_EQ(try_invept(1, pml_eptp | EPTP_AD, 0), VMX_OK);
	l2_call(l2_access_at, 7 * PAGE);
	L2_DONE();
	GUEST_ASSERT_EQ(vmread(PML_INDEX), 509);
	GUEST_ASSERT_EQ(pml[510], SEEN + 7 * PAGE);
	/* the flag is for all of it */
	l2_call(l2_access_at, 8 * PAGE);
	L2_DONE();
	GUEST_ASSERT_EQ(vmread(PML_INDEX), 509);
}

/* The walk of L2's tables writes; and a large page has one entry. */
static void test_pml_sizes(void)
{
	nested_run_with(guest_pml_sizes, 0, PROC2_CTL, PROC2_EPT | PROC2_PML);
}

static void guest_pml_accessed(void)
{
	pml_start(l2_touch, READ);
	vmwrite(PML_INDEX, 0xffff);
	L2_EXIT(REASON_PML_FULL);
	GUEST_ASSERT_EQ(pml_flags(SEEN), 0);
	vmwrite(PML_INDEX, 0);
	L2_DONE();
	GUEST_ASSERT_EQ(pml_flags(SEEN), EPT_A);
	GUEST_ASSERT_EQ(vmread(PML_INDEX), 0);
}

/* To set an accessed flag there has to be room, although nothing is logged. */
static void test_pml_accessed(void)
{
	REQUIRE(ksft_is_emys(), "KVM looks at the index for dirty flags alone");
	nested_run_with(guest_pml_accessed, 0, PROC2_CTL, PROC2_EPT | PROC2_PML);
}

/* -- what is under L1's memory --------------------------------------------------------------- */

static void l2_mmio(void)
{
	*(volatile u32 *)(SEEN + 0x20) = 0x12345678;
	l2_value = *(volatile u32 *)(SEEN + 0x24);
	GUEST_ASSERT_EQ(l2_value, 0xabcd);
}

static void guest_mmio(void)
{
	u64 eptp;

	l1_vmx_on();
	eptp = ept_identity(2);
	/* L1 hands a device that it has to L2 */
	ept_map(eptp, SEEN, GPA_MMIO, 1, EPT_R | EPT_W);
	start(eptp, l2_mmio, 0);
	L2_DONE();
}

/* L2 accesses what is no memory in L1 either: the VMM gets it, with L1's address. */
static void test_mmio(void)
{
	struct vcpu *vcpu = nested_vcpu_with(guest_mmio, 0, PROC2_CTL, PROC2_EPT);

	vcpu_expect(vcpu, KVM_EXIT_MMIO);
	CHECK_EQ(vcpu->run->mmio.phys_addr, GPA_MMIO + 0x20);
	CHECK_EQ(vcpu->run->mmio.is_write, 1);
	CHECK_EQ(*(u32 *)vcpu->run->mmio.data, 0x12345678);
	vcpu_expect(vcpu, KVM_EXIT_MMIO);
	CHECK_EQ(vcpu->run->mmio.phys_addr, GPA_MMIO + 0x24);
	CHECK_EQ(vcpu->run->mmio.is_write, 0);
	*(u32 *)vcpu->run->mmio.data = 0xabcd;
	vcpu_done(vcpu);
}

#define SLOT		0x8000000ull	/* 4 MiB of memory of its own */
#define SLOT_SIZE	0x400000ull

static void l2_slot(u64 at)
{
	u64 i;

	/* every third page is written, the others are read */
	for (i = 0; i < 64; i++) {
		volatile u64 *p = (volatile u64 *)(at + i * PAGE);

		if (i % 3)
			l2_value = *p;
		else
			*p = i;
	}
	GUEST_SYNC(1);
}

static void guest_slot(u64 level)
{
	u64 eptp;
	int i;

	l1_vmx_on();
	eptp = ept_identity(2);
	if (level == 2)
		ept_map(eptp, SEEN, SLOT, 2, EPT_RWX);
	else
		for (i = 0; i < 512; i++)
			ept_map(eptp, SEEN + i * PAGE, SLOT + i * PAGE, 1, EPT_RWX);
	start(eptp, l2_slot, SEEN);
	L2_DONE();
	l2_call(l2_slot, SEEN);
	L2_DONE();
	l2_call(l2_slot, SEEN + 64 * PAGE);
	L2_DONE();
}

static void dirty_log(struct vm *vm, u64 *bits)
{
	struct kvm_dirty_log log = { .slot = 1, .dirty_bitmap = bits };

	CHECK_OK(ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log));
}

/* exact: what was read only is not in it */
static void check_dirty(struct vm *vm, u64 first, bool exact)
{
	u64 bits[SLOT_SIZE / PAGE / 64] = { 0 };
	u64 i;

	dirty_log(vm, bits);
	for (i = 0; i < SLOT_SIZE / PAGE; i++) {
		bool used = i >= first && i < first + 64;
		bool want = used && !((i - first) % 3);

		if (used && !want && !exact)
			continue;
		CHECK_MSG((bits[i / 64] >> i % 64 & 1) == want, "page %llu: %d",
			  (unsigned long long)i, !want);
	}
}

static void dirty_at(u64 level, bool exact)
{
	struct vcpu *vcpu = nested_vcpu_with(guest_slot, level, PROC2_CTL, PROC2_EPT);
	u64 none[SLOT_SIZE / PAGE / 64];

	vm_region(vcpu->vm, 1, KVM_MEM_LOG_DIRTY_PAGES, SLOT, SLOT_SIZE, host_memory(SLOT_SIZE));
	dirty_log(vcpu->vm, none);
	vcpu_sync(vcpu, 1);
	check_dirty(vcpu->vm, 0, exact);
	/* the same pages again, after they were harvested */
	vcpu_sync(vcpu, 1);
	check_dirty(vcpu->vm, 0, exact);
	vcpu_sync(vcpu, 1);
	check_dirty(vcpu->vm, 64, exact);
	vcpu_done(vcpu);
	vm_free(vcpu->vm);
}

/* The dirty log has the pages that L2 wrote, and none that it did not use. */
static void test_dirty(void)
{
	dirty_at(1, false);
	dirty_at(2, false);
}

/* It has no page that L2 only read. */
static void test_dirty_exact(void)
{
	REQUIRE(ksft_is_emys(), "KVM maps what L2 reads writable, and logs it");
	dirty_at(1, true);
	dirty_at(2, true);
}

static void l2_before_after(void)
{
	GUEST_ASSERT_EQ(*(volatile u64 *)SEEN, 0x1111);
	GUEST_SYNC(1);
	GUEST_ASSERT_EQ(*(volatile u64 *)SEEN, 0x2222);
	*(volatile u64 *)(SEEN + 8) = 0x3333;
}

static void guest_replaced(void)
{
	u64 eptp;

	l1_vmx_on();
	eptp = ept_identity(2);
	ept_map(eptp, SEEN, SLOT, 1, EPT_RWX);
	start(eptp, l2_before_after, 0);
	L2_DONE();
}

/* The VMM takes a slot of L1's away and puts another in its place, while L2 is in it. */
static void test_replaced(void)
{
	struct vcpu *vcpu = nested_vcpu_with(guest_replaced, 0, PROC2_CTL, PROC2_EPT);
	u64 *before = host_memory(SLOT_SIZE), *after = host_memory(SLOT_SIZE);

	before[0] = 0x1111;
	after[0] = 0x2222;
	vm_region(vcpu->vm, 1, 0, SLOT, SLOT_SIZE, before);
	vcpu_sync(vcpu, 1);
	vm_region(vcpu->vm, 1, 0, SLOT, 0, before);
	vm_region(vcpu->vm, 1, 0, SLOT, SLOT_SIZE, after);
	vcpu_done(vcpu);
	CHECK_EQ(before[1], 0);
	CHECK_EQ(after[1], 0x3333);
}

/* -- delivery ------------------------------------------------------------------------------ */

static volatile u64 handled;

static void on_ud(struct guest_frame *frame)
{
	handled++;
	frame->rip += 2;
}

static void l2_ud(void)
{
	asm volatile("ud2");
}

static void guest_delivery(void)
{
	u64 eptp;

	guest_handlers[UD_VECTOR] = on_ud;
	l1_vmx_on();
	eptp = ept_identity(1);
	*ept_entry(eptp, GPA_IDT, 1) &= ~EPT_RWX;
	start(eptp, l2_ud, 0);
	L2_EXIT(REASON_EPT_VIOLATION);
	GUEST_ASSERT_EQ(vmread(PHYSICAL_ADDRESS), GPA_IDT + UD_VECTOR * 16);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION) & Q_MASK, Q_READ | Q_LINEAR | Q_TRANSLATED);
	GUEST_ASSERT_EQ(vmread(IDT_EVENT), EVENT_VALID | EVENT_HARD | UD_VECTOR);
	*ept_entry(eptp, GPA_IDT, 1) |= EPT_RWX;
	vmwrite(ENTRY_EVENT, vmread(IDT_EVENT));
	L2_DONE();
	GUEST_ASSERT_EQ(handled, 1);
	/* an event of L1's */
	*ept_entry(eptp, GPA_IDT, 1) &= ~EPT_RWX;
	try_invept(1, eptp, 0);
	l2_call(l2_ud, 0);
	vmwrite(ENTRY_EVENT, EVENT_VALID | EVENT_HARD | EVENT_ERROR | GP_VECTOR);
	vmwrite(ENTRY_ERROR, 0x28);
	L2_EXIT(REASON_EPT_VIOLATION);
	GUEST_ASSERT_EQ(vmread(IDT_EVENT), EVENT_VALID | EVENT_HARD | EVENT_ERROR | GP_VECTOR);
	GUEST_ASSERT_EQ(vmread(IDT_ERROR), 0x28);
	GUEST_ASSERT_EQ(handled, 1);
}

/* A violation in the delivery of an event: L1 maps the page and injects it again. */
static void test_delivery(void)
{
	nested_run_with(guest_delivery, 0, PROC2_CTL, PROC2_EPT);
}

/* -- what emys does for L2 ------------------------------------------------------------------- */

#define INS_PORT	0x5a0

static void l2_ins(u64 at)
{
	u64 count = 4;

	asm volatile("cld; rep insb" : "+D"(at), "+c"(count) : "d"(INS_PORT) : "memory", "cc");
	GUEST_ASSERT_EQ(count, 0);
}

/* to the end; the device is asked once, when its answer can be kept */
static void ins_done(struct vcpu *vcpu)
{
	unsigned int asked = 0;
	u32 got;

	while ((got = vcpu_exit(vcpu)) == KVM_EXIT_IO) {
		CHECK_EQ(vcpu->run->io.port, INS_PORT);
		CHECK_EQ(vcpu->run->io.direction, KVM_EXIT_IO_IN);
		memset((u8 *)vcpu->run + vcpu->run->io.data_offset, 0xa5,
		       vcpu->run->io.size * vcpu->run->io.count);
		asked++;
	}
	CHECK_EQ(got, EXIT_UCALL);
	CHECK_EQ(vcpu->uc.cmd, UCALL_DONE);
	/* KVM asks before it looks */
	if (ksft_is_emys())
		CHECK_EQ(asked, 1);
}

static void guest_ins(void)
{
	u64 eptp;

	l1_vmx_on();
	fill(TARGET, 2);
	eptp = ept_identity(2);
	map_window(eptp, 1, EPT_R | EPT_X);
	start(eptp, l2_ins, SEEN + 0x40);
	L2_EXIT(REASON_EPT_VIOLATION);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION) & (Q_WRITE | Q_FETCH), Q_WRITE);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION) & Q_RIGHTS(EPT_RWX), Q_RIGHTS(EPT_R | EPT_X));
	/* KVM tells the page */
	GUEST_ASSERT_EQ(vmread(PHYSICAL_ADDRESS) & ~(PAGE - 1), SEEN);
	GUEST_ASSERT_EQ(vmread(IDT_EVENT) & EVENT_VALID, 0);
	map_window(eptp, 1, EPT_RWX);
	L2_DONE();
	GUEST_ASSERT_EQ(*(volatile u32 *)(TARGET + 0x40), 0xa5a5a5a5);
	/* what it is not, it is not as a page fault of L2 either */
	*ept_entry(eptp, SEEN, 1) |= 1ull << 51;
	GUEST_ASSERT_EQ(try_invept(1, eptp, 0), VMX_OK);
	l2_call(l2_ins, SEEN + 0x40);
	L2_EXIT(REASON_EPT_MISCONFIG);
	GUEST_ASSERT_EQ(vmread(PHYSICAL_ADDRESS) & ~(PAGE - 1), SEEN);
}

/* EPT12 forbids a write of an INS that the VMM carries out: an exit to L1, and then it goes on. */
static void test_ins(void)
{
	ins_done(nested_vcpu_with(guest_ins, 0, PROC2_CTL, PROC2_EPT));
}

static void guest_ins_log(void)
{
	pml_start(l2_ins, SEEN + 0x40);
	vmwrite(PML_INDEX, 0xffff);
	L2_EXIT(REASON_PML_FULL);
	GUEST_ASSERT_EQ(pml_flags(SEEN), 0);
	vmwrite(PML_INDEX, 3);
	L2_DONE();
	GUEST_ASSERT_EQ(vmread(PML_INDEX), 2);
	GUEST_ASSERT_EQ(pml[3], SEEN);
	GUEST_ASSERT_EQ(*(volatile u32 *)(TARGET + 0x40), 0xa5a5a5a5);
}

/* And it is logged for L1, or waits for room in the log. */
static void test_ins_log(void)
{
	ins_done(nested_vcpu_with(guest_ins_log, 0, PROC2_CTL, PROC2_EPT | PROC2_PML));
}

KSFT_MAIN(
	{ "ept: rights of a leaf", test_rights },
	{ "ept: rights of all levels", test_and },
	{ "ept: misconfiguration", test_misconfig },
	{ "ept: violation in a walk", test_walk },
	{ "ept: accessed and dirty", test_ad },
	{ "ept: accessed and dirty in a walk", test_ad_walk },
	{ "ept: a walk reads and writes", test_ad_walk_both },
	{ "ept: INVEPT", test_change },
	{ "ept: several roots", test_roots },
	{ "ept: small pages in any order", test_permuted },
	{ "ept: EPTP switching", test_vmfunc },
	{ "ept: EPTP switching, flags", test_vmfunc_flags },
	{ "ept: page-modification log", test_pml },
	{ "ept: what the log has not", test_pml_none },
	{ "ept: log of walks and large pages", test_pml_sizes },
	{ "ept: accessed flags and a full log", test_pml_accessed },
	{ "ept: the VMM's accesses", test_ins },
	{ "ept: the VMM's accesses, log", test_ins_log },
	{ "ept: MMIO of L1", test_mmio },
	{ "ept: dirty log", test_dirty },
	{ "ept: dirty log, no more than written", test_dirty_exact },
	{ "ept: slot replaced", test_replaced },
	{ "ept: violation in event delivery", test_delivery },
)
