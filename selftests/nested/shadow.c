// SPDX-License-Identifier: GPL-2.0-only
/*
 * nested/shadow: VMCS shadowing of L1 for an L2 that is a hypervisor, too.
 * Vol. 3, "VMREAD and VMWRITE in VMX non-root operation" and "VMCS Types: Ordinary and Shadow".
 */
#include "nested.h"

static u8 read_bitmap[4096] VMX_PAGE, write_bitmap[4096] VMX_PAGE;
static u8 shadow[4096] VMX_PAGE;

static volatile u64 result, value;

static void l2_read(u64 field)
{
	u64 v;

	/* not try_vmread(): an error number would be asked for by another VMREAD */
	asm volatile("mov $0x55, %%eax\n"
		     "vmread %[f], %%rax\n"
		     "pushfq\n"
		     "pop %[r]" : "=&a"(v), [r] "=r"(result) : [f] "r"(field) : "cc", "memory");
	value = v;
}

static void l2_write(u64 field)
{
	asm volatile("vmwrite %[v], %[f]\n"
		     "pushfq\n"
		     "pop %[r]" : [r] "=r"(result) : [f] "r"(field), [v] "r"(0x1234567890ull)
		     : "cc", "memory");
}

#define FLAGS	0x8d5u
#define CF	1u
#define ZF	(1u << 6)

static void set_bit(u8 *bitmap, u32 field, bool on)
{
	u32 n = field & 0x7fff;

	if (on)
		bitmap[n / 8] |= 1 << n % 8;
	else
		bitmap[n / 8] &= ~(1 << n % 8);
}

static void setup(void)
{
	unsigned int i;

	l1_vmx_on();
	/* what the shadow holds is written while it is current */
	*(volatile u32 *)shadow = l1_revision() | 1u << 31;
	GUEST_ASSERT_EQ(try_vmclear(pa(shadow)), VMX_OK);
	GUEST_ASSERT_EQ(try_vmptrld(pa(shadow)), VMX_OK);
	vmwrite(GUEST_RIP, 0x4321);
	vmwrite(GUEST_CS, 0x88);
	vmwrite(GUEST_ES_BASE, 0);
	GUEST_ASSERT_EQ(try_vmclear(pa(shadow)), VMX_OK);
	l1_make_vmcs(l1_vmcs, l2_read, GUEST_RIP);
	for (i = 0; i < 4096; i++)
		read_bitmap[i] = write_bitmap[i] = 0xff;
	vmwrite(VMREAD_BITMAP, pa(read_bitmap));
	vmwrite(VMWRITE_BITMAP, pa(write_bitmap));
	vmwrite(LINK_POINTER, pa(shadow));
	l1_control(PROC2_CTL, PROC2_SHADOW_VMCS, 0);
}

static void guest_shadow(void)
{
	u64 v;

	setup();
	/* a bit that is set exits */
	L2_EXIT_SKIP(REASON_VMREAD);
	L2_DONE();
	set_bit(read_bitmap, GUEST_RIP, false);
	l2_call(l2_read, GUEST_RIP);
	L2_DONE();
	GUEST_ASSERT_EQ(result & FLAGS, 0);
	GUEST_ASSERT_EQ(value, 0x4321);
	/* reading and writing have bitmaps of their own */
	l2_call(l2_write, GUEST_RIP);
	L2_EXIT_SKIP(REASON_VMWRITE);
	L2_DONE();
	set_bit(write_bitmap, GUEST_ES_BASE, false);
	set_bit(write_bitmap, GUEST_CS, false);
	l2_call(l2_write, GUEST_ES_BASE);
	L2_DONE();
	GUEST_ASSERT_EQ(result & FLAGS, 0);
	l2_call(l2_write, GUEST_CS);
	L2_DONE();
	l2_call(l2_read, GUEST_ES_BASE);
	L2_EXIT_SKIP(REASON_VMREAD);
	L2_DONE();
	set_bit(read_bitmap, GUEST_ES_BASE, false);
	l2_call(l2_read, GUEST_ES_BASE);
	L2_DONE();
	GUEST_ASSERT_EQ(value, 0x1234567890ull);
	/* a field that does not exist, and one whose encoding is beyond the bitmap */
	set_bit(read_bitmap, 0x7ffe, false);
	l2_call(l2_read, 0x7ffe);
	L2_DONE();
	GUEST_ASSERT_EQ(result & FLAGS, ZF);
	GUEST_ASSERT_EQ(value, 0x55);
	l2_call(l2_read, GUEST_RIP | 1ull << 15);
	L2_EXIT_SKIP(REASON_VMREAD);
	L2_DONE();
	/* without the control each exits */
	vmwrite(LINK_POINTER, -1ull);
	l1_control(PROC2_CTL, 0, PROC2_SHADOW_VMCS);
	l2_call(l2_read, GUEST_RIP);
	L2_EXIT_SKIP(REASON_VMREAD);
	L2_DONE();
	/* L1's VMCS is as it was, and the shadow has what L2 wrote */
	GUEST_ASSERT_EQ(vmread(GUEST_ES_BASE), 0);
	GUEST_ASSERT_EQ(try_vmclear(pa(l1_vmcs)), VMX_OK);
	GUEST_ASSERT_EQ(try_vmptrld(pa(shadow)), VMX_OK);
	GUEST_ASSERT_EQ(try_vmread(GUEST_ES_BASE, &v), VMX_OK);
	GUEST_ASSERT_EQ(v, 0x1234567890ull);
	GUEST_ASSERT_EQ(vmread(GUEST_CS), 0x7890);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), 0x4321);
}

/* VMREAD and VMWRITE of L2 by bitmap: an exit, or the shadow VMCS. */
static void test_shadow(void)
{
	nested_run_with(guest_shadow, 0, PROC2_CTL, PROC2_SHADOW_VMCS);
}

static void guest_none(void)
{
	setup();
	set_bit(read_bitmap, GUEST_RIP, false);
	set_bit(write_bitmap, GUEST_ES_BASE, false);
	vmwrite(LINK_POINTER, -1ull);
	L2_DONE();
	GUEST_ASSERT_EQ(result & FLAGS, CF);
	GUEST_ASSERT_EQ(value, 0x55);
	l2_call(l2_write, GUEST_ES_BASE);
	L2_DONE();
	GUEST_ASSERT_EQ(result & FLAGS, CF);
}

/* Where there is no shadow VMCS, what does not exit fails invalid. */
static void test_none(void)
{
	nested_run_with(guest_none, 0, PROC2_CTL, PROC2_SHADOW_VMCS);
}

static void guest_type(void)
{
	setup();
	/* the link pointer's VMCS has to be of the kind that the control says */
	vmwrite(LINK_POINTER, pa(l1_vmcs2));
	GUEST_ASSERT_EQ(l2_run(), REASON_GUEST_STATE | REASON_ENTRY_FAILURE);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION), 4);
	vmwrite(LINK_POINTER, pa(shadow));
	l1_control(PROC2_CTL, 0, PROC2_SHADOW_VMCS);
	GUEST_ASSERT_EQ(l2_run(), REASON_GUEST_STATE | REASON_ENTRY_FAILURE);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION), 4);
}

/* An ordinary VMCS is no shadow, and a shadow no ordinary one. */
static void test_type(void)
{
	nested_run_with(guest_type, 0, PROC2_CTL, PROC2_SHADOW_VMCS);
}

KSFT_MAIN(
	{ "shadow: bitmaps", test_shadow },
	{ "shadow: no shadow VMCS", test_none },
	{ "shadow: kinds of VMCSs", test_type },
)
