// SPDX-License-Identifier: GPL-2.0-only
/*
 * nested/vpid: translations of L1 and of L2 by VPID, and what flushes them.
 * Vol. 3, "Caching Translation Information".
 */
#include "nested.h"

#define WINDOW	(1ull << 30)
#define TARGET	0xc00000ull		/* four pages that WINDOW leads to */
#define SEEN	(WINDOW + TARGET)
#define PAGE	4096ull

/* two sets of tables that differ in the page that SEEN is */
static u64 tables[2][4][512] VMX_PAGE;	/* PML4, PDPT, the window's PD, its page table */

static volatile u64 l2_value;

static void make_tables(void)
{
	unsigned int n, i;

	for (i = 0; i < 8; i++)
		*(volatile u64 *)(TARGET + i * PAGE) = 0x1000 + i;
	for (n = 0; n < 2; n++) {
		u64 *pml4 = (u64 *)(uintptr_t)read_cr3();

		for (i = 0; i < 512; i++) {
			tables[n][0][i] = pml4[i];
			tables[n][1][i] = ((u64 *)(pml4[0] & ~0xfffull))[i];
		}
		tables[n][0][0] = pa(tables[n][1]) | PTE_P | PTE_W | PTE_U;
		tables[n][1][1] = pa(tables[n][2]) | PTE_P | PTE_W | PTE_U;
		tables[n][2][TARGET >> 21] = pa(tables[n][3]) | PTE_P | PTE_W | PTE_U;
		tables[n][3][0] = (TARGET + n * PAGE) | PTE_P | PTE_W | PTE_U;
	}
}

static void see(u64 n, u64 page)
{
	tables[n][3][0] = (TARGET + page * PAGE) | PTE_P | PTE_W | PTE_U;
}

static void l2_look(void)
{
	l2_value = *(volatile u64 *)SEEN;
}

static u64 look(u64 n, u64 vpid)
{
	if (vpid)
		vmwrite(VPID, vpid);
	vmwrite(GUEST_CR3, pa(tables[n][0]));
	l2_call(l2_look, 0);
	L2_DONE();
	return l2_value;
}

static void start(u64 ept, bool vpid)
{
	l1_vmx_on();
	make_tables();
	l1_make_vmcs(l1_vmcs, l2_look, 0);
	if (ept)
		l1_use_ept(ept_identity(2));
	if (vpid) {
		vmwrite(VPID, 1);
		l1_control(PROC2_CTL, PROC2_VPID, 0);
	}
}

static void guest_without(u64 ept)
{
	u64 i;

	start(ept, false);
	/* no VPID: each entry and each exit flushes */
	for (i = 0; i < 8; i++) {
		see(0, i);
		GUEST_ASSERT_AT(look(0, 0) == 0x1000 + i, i, l2_value);
	}
}

static void guest_two(u64 ept)
{
	u64 i;

	start(ept, true);
	/* L1's own view is a third one, and goes with none of them */
	*guest_pte(SEEN) = TARGET | PTE_P | PTE_W | PTE_U | PTE_PS;
	see(0, 1);
	see(1, 2);
	for (i = 0; i < 20; i++) {
		GUEST_ASSERT_AT(look(0, 1) == 0x1001, i, l2_value);
		GUEST_ASSERT_AT(look(1, 2) == 0x1002, i, l2_value);
		GUEST_ASSERT_AT(*(volatile u64 *)SEEN == 0x1000, i, *(volatile u64 *)SEEN);
	}
}

static void guest_flush(u64 ept)
{
	u64 type, n = 0;

	start(ept, true);
	for (type = 0; type < 4; type++) {
		if (!(l1_caps.ept_vpid & EPT_CAP_INVVPID_TYPE(type)))
			continue;
		for (n = 0; n < 6; n++) {
			see(0, n);
			see(1, n + 1);
			GUEST_ASSERT_EQ(try_invvpid(type, 1, SEEN), VMX_OK);
			GUEST_ASSERT_AT(look(0, 1) == 0x1000 + n, type, l2_value);
			if (type != 2)
				GUEST_ASSERT_EQ(try_invvpid(type, 2, SEEN), VMX_OK);
			GUEST_ASSERT_AT(look(1, 2) == 0x1001 + n, type, l2_value);
		}
	}
}

static void l2_change(void)
{
	u64 i;

	/* L2 keeps its own tables */
	for (i = 0; i < 8; i++) {
		see(0, i);
		invlpg(SEEN);
		GUEST_ASSERT_AT(*(volatile u64 *)SEEN == 0x1000 + i, i, *(volatile u64 *)SEEN);
	}
	for (i = 0; i < 8; i++) {
		see(0, i);
		write_cr3(read_cr3());
		GUEST_ASSERT_AT(*(volatile u64 *)SEEN == 0x1000 + i, i, *(volatile u64 *)SEEN);
	}
	see(0, 1);
	see(1, 2);
	for (i = 0; i < 8; i++) {
		write_cr3(pa(tables[i & 1][0]));
		GUEST_ASSERT_AT(*(volatile u64 *)SEEN == 0x1001 + (i & 1), i,
				*(volatile u64 *)SEEN);
	}
	tables[1][3][0] = 0;
	invlpg(SEEN);
	l2_value = try_write32((volatile u32 *)SEEN, 0);
}

static void guest_own(u64 arg)
{
	start(arg & 1, arg & 2);
	l1_control(PROC_CTL, 0, PROC_CR3_LOAD | PROC_CR3_STORE | PROC_INVLPG);
	vmwrite(GUEST_CR3, pa(tables[0][0]));
	l2_call(l2_change, 0);
	L2_DONE();
	GUEST_ASSERT_EQ(l2_value, FAULT(PF_VECTOR));
}

/* Without VPID what L1 changes in L2's tables is seen after the next entry. */
static void test_without(void)
{
	nested_run(guest_without, 0);
	nested_run_with(guest_without, 1, PROC2_CTL, PROC2_EPT);
}

/* Two VPIDs and L1 itself: one linear address, three pages. */
static void test_two(void)
{
	nested_run_with(guest_two, 0, PROC2_CTL, PROC2_VPID);
	nested_run_with(guest_two, 1, PROC2_CTL, PROC2_VPID | PROC2_EPT);
}

/* INVVPID of each type: L2 sees what L1 changed. */
static void test_flush(void)
{
	nested_run_with(guest_flush, 0, PROC2_CTL, PROC2_VPID);
	nested_run_with(guest_flush, 1, PROC2_CTL, PROC2_VPID | PROC2_EPT);
}

/* L2's own INVLPG and MOV to CR3, with and without EPT12 and VPID. */
static void test_own(void)
{
	nested_run(guest_own, 0);
	nested_run_with(guest_own, 1, PROC2_CTL, PROC2_EPT);
	nested_run_with(guest_own, 2, PROC2_CTL, PROC2_VPID);
	nested_run_with(guest_own, 3, PROC2_CTL, PROC2_EPT | PROC2_VPID);
}

KSFT_MAIN(
	{ "vpid: none", test_without },
	{ "vpid: two and L1", test_two },
	{ "vpid: INVVPID", test_flush },
	{ "vpid: L2 flushes", test_own },
)
